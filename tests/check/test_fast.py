"""The checks of the lesson *Fast convolution*: right answers pass, typical wrong ones fail."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import fft, signal

from companion import check
from companion.check import Exercise
from companion.convolution import operation_count, winograd_transforms
from tests.check.oracles import reseeded


def outputs_by_hand(d, g):
    d0, d1, d2, d3 = d.T
    products = [
        (d0 - d2) * g[0],
        (d1 + d2) * (g[0] + g[1] + g[2]) / 2,
        (d2 - d1) * (g[0] - g[1] + g[2]) / 2,
        (d3 - d1) * g[2],
    ]
    m0, m1, m2, m3 = products
    return np.stack(products, axis=1), np.stack([m0 + m1 + m2, m1 - m2 + m3], axis=1)


def outputs_by_matrices(d, g):
    at, kernel, bt = winograd_transforms(2, 3).as_arrays()
    products = (d @ bt.T) * (kernel @ g)
    return products, products @ at.T


def count_by_hand(height, width, taps, tile):
    down = -((taps - 1 - height) // tile)
    across = -((taps - 1 - width) // tile)
    return down * across * (tile + taps - 1) ** 2


def count_by_package(height, width, taps, tile):
    shapes = (1, 1, height, width), (1, 1, taps, taps)
    return operation_count("winograd", *shapes, tile=tile).multiplications


def convolve_by_hand(a, b):
    n = len(a) + len(b) - 1
    return fft.irfft(fft.rfft(a, n) * fft.rfft(b, n), n)


def convolve_padded(a, b):
    n = len(a) + len(b) - 1
    size = fft.next_fast_len(n)
    return fft.ifft(fft.fft(a, size) * fft.fft(b, size)).real[:n]


def amplification_by_hand(at, g, bt):
    return np.max(abs(at) @ (abs(g).sum(axis=1) * abs(bt).sum(axis=1)))


def amplification_by_einsum(at, g, bt):
    return np.einsum("oi,ik,ij->o", abs(at), abs(g), abs(bt)).max()


RIGHT = [
    (check.two_outputs, outputs_by_hand),
    (check.two_outputs, outputs_by_matrices),
    (check.tile_products, count_by_hand),
    (check.tile_products, count_by_package),
    (check.fft_convolve, convolve_by_hand),
    (check.fft_convolve, convolve_padded),
    (check.fft_convolve, lambda a, b: signal.fftconvolve(a, b)),
    (check.amplification, amplification_by_hand),
    (check.amplification, amplification_by_einsum),
]


@pytest.mark.parametrize(("exercise", "solution"), RIGHT)
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_right_answers_pass(
    exercise: Exercise, solution: Callable[..., Any], seed: int | None
) -> None:
    """Oracle: answers written out by hand in two ways, on several sets of cases."""
    if seed is not None:
        exercise = reseeded(exercise, seed)
    result = exercise(solution)
    assert result, result.message


def product(k, factor):
    """Return an answer whose product k is wrong by a factor, and whose outputs follow."""

    def wrong(d, g):
        products = outputs_by_hand(d, g)[0].copy()
        products[:, k] *= factor
        return products, products @ winograd_transforms(2, 3).as_arrays()[0].T

    return wrong


def halves_later(d, g):
    products, outputs = outputs_by_hand(d, g)
    return products * [1, 2, 2, 1], outputs


def published_signs(d, g):
    products, outputs = outputs_by_hand(d, g)
    return products * [1, 1, 1, -1], outputs


def second_output(d, g, signs):
    products, outputs = outputs_by_hand(d, g)
    return products, np.stack([outputs[:, 0], products @ signs], axis=1)


def count(tiles, points):
    def wrong(height, width, taps, tile):
        down, across = ((size - taps + 1) / tile for size in (height, width))
        return tiles(down) * tiles(across) * points(tile, taps)

    return wrong


def spectra(length):
    def wrong(a, b):
        n = length(len(a), len(b))
        return fft.irfft(fft.rfft(a, n) * fft.rfft(b, n), n)

    return wrong


def square(tile, taps):
    return (tile + taps - 1) ** 2


WRONG = [
    (check.two_outputs, lambda d, g: outputs_by_hand(d, g)[1], "2 values"),
    (check.two_outputs, lambda d, g: outputs_by_hand(d, g)[::-1], "shape"),
    (check.two_outputs, lambda d, g: outputs_by_hand(d, g[::-1]), "reversed"),
    (check.two_outputs, halves_later, "halve the second"),
    (check.two_outputs, published_signs, "takes d1 from d3"),
    (check.two_outputs, product(1, 2), "second product lacks its half"),
    (check.two_outputs, product(2, 2), "third product lacks its half"),
    (check.two_outputs, product(2, -1), "third product has the wrong sign"),
    (check.two_outputs, lambda d, g: second_output(d, g, [0, 1, -1, -1]), "fourth product has the"),
    (check.two_outputs, lambda d, g: second_output(d, g, [0, 1, 1, 1]), "third product has the"),
    (check.two_outputs, lambda d, g: outputs_by_hand(d.T, g), "Error"),
    (check.tile_products, count(math.floor, square), "dropped"),
    (check.tile_products, count(lambda n: n, square), "Round up"),
    (check.tile_products, count(math.ceil, lambda m, r: m + r - 1), "one axis"),
    (check.tile_products, count(math.ceil, lambda m, r: (m + r) ** 2), "one place too many"),
    (check.tile_products, count(math.ceil, lambda m, r: m**2 * r**2), "for each tile"),
    (
        check.tile_products,
        lambda h, w, r, m: (h - r + 1) * (w - r + 1) * r**2,
        "count of the definition",
    ),
    (
        check.tile_products,
        lambda h, w, r, m: -(-h // m) * -(-w // m) * (m + r - 1) ** 2,
        "cover the output",
    ),
    (check.tile_products, count(round, square), "rounded to the nearest"),
    (check.tile_products, count(math.ceil, lambda m, r: m**2), "counts the outputs"),
    (check.tile_products, lambda h, w, r, m: count_by_hand(h - 1, w - 1, r, m), "first place"),
    (check.fft_convolve, spectra(max), "wraps round to the beginning"),
    (check.fft_convolve, spectra(lambda n, k: n + k - 2), "one place short"),
    (check.fft_convolve, spectra(lambda n, k: n + k), "one entry too many"),
    (check.fft_convolve, spectra(lambda n, k: n + k + 5), "shape"),
    (check.fft_convolve, lambda a, b: np.correlate(a, b, "full"), "full correlation"),
    (check.fft_convolve, lambda a, b: np.convolve(a, b, "same"), "longer signal"),
    (check.fft_convolve, lambda a, b: np.convolve(a, b, "valid"), "overlap in part"),
    (check.fft_convolve, lambda a, b: convolve_by_hand(a, b).astype(complex), "complex"),
    (check.fft_convolve, lambda a, b: convolve_by_hand(a, b)[:-1], "shape"),
    (check.fft_convolve, lambda a, b: fft.rfft(a) * fft.rfft(b), "Error"),
    (check.amplification, lambda at, g, bt: np.abs(at @ (g.sum(1) * bt.sum(1))).max(), "cancel"),
    (
        check.amplification,
        lambda at, g, bt: abs(at) @ (abs(g).sum(1) * abs(bt).sum(1)),
        "all outputs",
    ),
    (
        check.amplification,
        lambda at, g, bt: (abs(at) @ (abs(g).sum(1) * abs(bt).sum(1))).mean(),
        "mean over the outputs",
    ),
    (
        check.amplification,
        lambda at, g, bt: (abs(at) @ (abs(g).sum(1) * abs(bt).sum(1))).sum(),
        "sum over the outputs",
    ),
    (
        check.amplification,
        lambda at, g, bt: (at @ (abs(g).sum(1) * abs(bt).sum(1))).max(),
        "A^T still",
    ),
    (check.amplification, lambda at, g, bt: (abs(at) @ abs(g).sum(1)).max(), "data's transform"),
    (check.amplification, lambda at, g, bt: (abs(at) @ abs(bt).sum(1)).max(), "kernel's transform"),
    (
        check.amplification,
        lambda at, g, bt: (abs(g).sum(1) * abs(bt).sum(1)).max(),
        "transform of the outputs",
    ),
    (
        check.amplification,
        lambda at, g, bt: abs(at).sum(1).max() * abs(g).sum(1).max() * abs(bt).sum(1).max(),
        "same product",
    ),
    (
        check.amplification,
        lambda at, g, bt: (abs(at) @ (abs(g).max(1) * abs(bt).max(1))).max(),
        "largest entry of each row",
    ),
    (check.amplification, lambda at, g, bt: -amplification_by_hand(at, g, bt), "wrong sign"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    result = exercise(answer)
    assert not result
    assert words in result.message


def test_the_oracle_of_the_tile_multiplies_four_times() -> None:
    """Oracle: np.correlate for the outputs, and products that span all of them."""
    rng = np.random.default_rng(0)
    d, g = rng.normal(size=(5, 4)), rng.normal(size=3)
    products, outputs = check.two_outputs.oracle(d, g)
    assert products.shape == (5, 4)
    np.testing.assert_allclose(outputs, [np.correlate(row, g) for row in d])
    at, _, _ = winograd_transforms(2, 3).as_arrays()
    np.testing.assert_allclose(products @ at.T, outputs)


def test_the_amplification_bounds_what_the_terms_add_up_to() -> None:
    """Oracle: random data and kernels of entries within 1, and signs that reach the bound."""
    rng = np.random.default_rng(0)
    at, g, bt = winograd_transforms(3, 3).as_arrays()
    bound = check.amplification.oracle(at, g, bt)
    for _ in range(100):
        d, taps = rng.uniform(-1, 1, size=5), rng.uniform(-1, 1, size=3)
        terms = np.einsum("oi,ik,ij->oikj", at, g * taps, bt * d)
        assert np.abs(terms).sum(axis=(1, 2, 3)).max() <= bound
    assert bound == np.abs(np.einsum("oi,ik,ij->oikj", at, g, bt)).sum(axis=(1, 2, 3)).max()
