"""The exercises of the lesson *Fast convolution*."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import fft

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake
from companion.convolution.fast import winograd_transforms

Pair = tuple[FloatArray, FloatArray]


def _tiles_case(rng: np.random.Generator) -> Mapping[str, Any]:
    return {"d": rng.normal(size=(rng.integers(2, 7), 4)), "g": rng.normal(size=3)}


def _by_transforms(d: FloatArray, g: FloatArray) -> Pair:
    _, kernel, data = winograd_transforms(2, 3).as_arrays()
    outputs = np.stack([np.correlate(row, g) for row in d])
    return (d @ data.T) * (kernel @ g), outputs


def _four_products_but(
    *,
    halves: tuple[float, float] = (0.5, 0.5),
    third: Callable[[FloatArray], FloatArray] = lambda d: d[:, 2] - d[:, 1],
    last: int = 1,
    second: tuple[int, int, int, int] = (0, 1, -1, 1),
    flip: bool = False,
) -> Callable[[FloatArray, FloatArray], Pair]:
    def wrong(d: FloatArray, g: FloatArray) -> Pair:
        a, b, c = g[::-1] if flip else g
        products = np.stack(
            [
                (d[:, 0] - d[:, 2]) * a,
                (d[:, 1] + d[:, 2]) * (a + b + c) * halves[0],
                third(d) * (a - b + c) * halves[1],
                last * (d[:, 3] - d[:, 1]) * c,
            ],
            axis=1,
        )
        signs = np.array([[1, 1, 1, 0], second])
        return products, np.asarray(products @ signs.T)

    return wrong


def _halves_at_the_outputs(d: FloatArray, g: FloatArray) -> Pair:
    products, _ = _four_products_but(halves=(1.0, 1.0))(d, g)
    signs = np.array([[1, 0.5, 0.5, 0], [0, 0.5, -0.5, 1]])
    return products, np.asarray(products @ signs.T)


def _six_products(d: FloatArray, g: FloatArray) -> Pair:
    outputs = np.stack([np.correlate(row, g) for row in d])
    return np.stack([d[:, k] * g[k] for k in range(3)], axis=1), outputs


two_outputs = Exercise(
    name="two_outputs",
    oracle=_by_transforms,
    sample=_tiles_case,
    outputs=("products", "outputs"),
    edge_cases=[{"d": np.array([[1.0, 2.0, 3.0, 4.0]]), "g": np.array([0.0, 1.0, 0.0])}],
    mistakes=[
        Mistake(
            "The two halves are missing from the second and the third product.",
            variant=_four_products_but(halves=(1.0, 1.0)),
        ),
        Mistake(
            "The outputs are right, but their sums halve the second and the third product. "
            "The lesson halves the sums of taps, which are computed once for all tiles.",
            variant=_halves_at_the_outputs,
        ),
        Mistake(
            "The third product lacks its half.",
            variant=_four_products_but(halves=(0.5, 1.0)),
        ),
        Mistake(
            "The second product lacks its half.",
            variant=_four_products_but(halves=(1.0, 0.5)),
        ),
        Mistake(
            "The third product has the wrong sign. It needs the value at the point -1, "
            "which takes d1 from d2.",
            variant=_four_products_but(third=lambda d: d[:, 1] - d[:, 2]),
        ),
        Mistake(
            "The third product adds where the point -1 asks for a difference.",
            variant=_four_products_but(third=lambda d: d[:, 1] + d[:, 2]),
        ),
        Mistake(
            "In the second output the fourth product has the wrong sign.",
            variant=_four_products_but(second=(0, 1, -1, -1)),
        ),
        Mistake(
            "In the second output the third product has the wrong sign.",
            variant=_four_products_but(second=(0, 1, 1, 1)),
        ),
        Mistake(
            "The outputs are right, and the fourth product has the other sign than the lesson's, "
            "which takes d1 from d3.",
            variant=_four_products_but(last=-1, second=(0, 1, -1, -1)),
        ),
        Mistake(
            "The kernel is reversed. The filter of this lesson takes it as it is.",
            variant=_four_products_but(flip=True),
        ),
        Mistake(
            "The outputs are right, but made of other products. "
            "Four are asked for, each of a sum of data and a sum of taps.",
            variant=_six_products,
        ),
    ],
    success="Two outputs of every tile from four products.",
)


def _count_case(rng: np.random.Generator) -> Mapping[str, Any]:
    taps = int(rng.integers(2, 6))
    height, width = (int(taps + rng.integers(0, 40)) for _ in range(2))
    return {"height": height, "width": width, "taps": taps, "tile": int(rng.integers(2, 7))}


def _count_by_tiles(height: int, width: int, taps: int, tile: int) -> int:
    rows = range(0, height - taps + 1, tile)
    columns = range(0, width - taps + 1, tile)
    return len(rows) * len(columns) * (tile + taps - 1) ** 2


tile_products = Exercise(
    name="tile_products",
    oracle=_count_by_tiles,
    sample=_count_case,
    edge_cases=[
        {"height": 3, "width": 3, "taps": 3, "tile": 4},
        {"height": 10, "width": 10, "taps": 3, "tile": 4},
    ],
    mistakes=[
        Mistake(
            "Tiles that stick out at the edge are dropped, but their outputs are needed.",
            variant=lambda h, w, r, m: ((h - r + 1) // m) * ((w - r + 1) // m) * (m + r - 1) ** 2,
        ),
        Mistake(
            "A part of a tile costs as much as a whole one. Round up, along each axis.",
            variant=lambda h, w, r, m: (h - r + 1) / m * ((w - r + 1) / m) * (m + r - 1) ** 2,
        ),
        Mistake(
            "The tiles cover the image. They need to cover the output, which is smaller.",
            variant=lambda h, w, r, m: math.ceil(h / m) * math.ceil(w / m) * (m + r - 1) ** 2,
        ),
        Mistake(
            "This counts the products along one axis of a tile; a tile has two.",
            variant=lambda h, w, r, m: (
                math.ceil((h - r + 1) / m) * math.ceil((w - r + 1) / m) * (m + r - 1)
            ),
        ),
        Mistake(
            "The transformed tile has one place too many along each axis.",
            variant=lambda h, w, r, m: (
                math.ceil((h - r + 1) / m) * math.ceil((w - r + 1) / m) * (m + r) ** 2
            ),
        ),
        Mistake(
            "The number of tiles is rounded to the nearest. Every output needs a tile: round up.",
            variant=lambda h, w, r, m: (
                round((h - r + 1) / m) * round((w - r + 1) / m) * (m + r - 1) ** 2
            ),
        ),
        Mistake(
            "One output is missing along each axis: the first place of the kernel counts, too.",
            variant=lambda h, w, r, m: (
                math.ceil((h - r) / m) * math.ceil((w - r) / m) * (m + r - 1) ** 2
            ),
        ),
        Mistake(
            "This counts the outputs of each tile. It takes a product for each place of the "
            "transformed tile, which is larger.",
            variant=lambda h, w, r, m: (
                math.ceil((h - r + 1) / m) * math.ceil((w - r + 1) / m) * m**2
            ),
        ),
        Mistake(
            "This is the count of the definition: every output takes all taps.",
            variant=lambda h, w, r, m: (h - r + 1) * (w - r + 1) * r**2,
        ),
        Mistake(
            "This is the definition's count for each tile. Winograd's tile needs fewer products.",
            variant=lambda h, w, r, m: (
                math.ceil((h - r + 1) / m) * math.ceil((w - r + 1) / m) * m**2 * r**2
            ),
        ),
        Mistake(
            "The number of tiles is rounded after multiplying. Each axis is rounded up by itself.",
            variant=lambda h, w, r, m: (
                math.ceil((h - r + 1) * (w - r + 1) / m**2) * (m + r - 1) ** 2
            ),
        ),
    ],
    success="Right for every image, tiles that stick out included.",
)


def _signals_case(rng: np.random.Generator) -> Mapping[str, Any]:
    return {
        "a": rng.normal(size=rng.integers(5, 14)),
        "b": rng.normal(size=rng.integers(2, 5)),
    }


def _spectra_but(
    length: Callable[[int, int], int], *, conjugate: bool = False
) -> Callable[[FloatArray, FloatArray], FloatArray]:
    def wrong(a: FloatArray, b: FloatArray) -> FloatArray:
        n = length(len(a), len(b))
        second = fft.rfft(b, n)
        return np.asarray(fft.irfft(fft.rfft(a, n) * (second.conj() if conjugate else second), n))

    return wrong


def _length_forgotten(a: FloatArray, b: FloatArray) -> FloatArray:
    n = len(a) + len(b) - 1
    return np.asarray(fft.irfft(fft.rfft(a, n) * fft.rfft(b, n)))


def _complex(a: FloatArray, b: FloatArray) -> Any:
    n = len(a) + len(b) - 1
    return fft.ifft(fft.fft(a, n) * fft.fft(b, n))


fft_convolve = Exercise(
    name="fft_convolve",
    oracle=np.convolve,
    sample=_signals_case,
    edge_cases=[{"a": np.array([2.0, 1.0]), "b": np.array([3.0])}],
    mistakes=[
        Mistake(
            "The end wraps round to the beginning: the transforms are as long as the longer "
            "signal. Both need zeros at the end first.",
            variant=_spectra_but(max),
        ),
        Mistake(
            "The transforms are one place short, so that one product wraps round. "
            "They need as many places as the result.",
            variant=_spectra_but(lambda n, k: n + k - 2),
        ),
        Mistake(
            "The result has one entry too many. The last products of the two signals meet "
            "at place n + k - 2, counted from 0.",
            variant=_spectra_but(lambda n, k: n + k),
        ),
        Mistake(
            "This is a correlation, moved round. For a convolution no spectrum is conjugated.",
            variant=_spectra_but(lambda n, k: n + k - 1, conjugate=True),
        ),
        Mistake(
            "This is the full correlation. A convolution takes the second signal backwards.",
            variant=lambda a, b: np.correlate(a, b, mode="full"),
        ),
        Mistake(
            "irfft assumes an even length unless it is told. For odd lengths one entry is lost.",
            variant=_length_forgotten,
        ),
        Mistake(
            "The result is complex. The signals are real, so take rfft and irfft.",
            variant=_complex,
        ),
        Mistake(
            "Only the outputs of the longer signal's length are kept; all are asked for.",
            variant=lambda a, b: np.convolve(a, b, mode="same"),
        ),
        Mistake(
            "The outputs at which the signals overlap in part are missing.",
            variant=lambda a, b: np.convolve(a, b, mode="valid"),
        ),
    ],
    success="It agrees with np.convolve for even and odd lengths.",
)


def _transforms_case(rng: np.random.Generator) -> Mapping[str, Any]:
    at, g, bt = winograd_transforms(*(int(n) for n in rng.integers(2, 6, size=2))).as_arrays()
    return {"at": at, "g": g, "bt": bt}


def _amplification_by_loops(at: FloatArray, g: FloatArray, bt: FloatArray) -> float:
    sums = [
        sum(
            abs(row[i]) * sum(abs(entry) for entry in g[i]) * sum(abs(entry) for entry in bt[i])
            for i in range(len(g))
        )
        for row in at
    ]
    return float(max(sums))


amplification = Exercise(
    name="amplification",
    oracle=_amplification_by_loops,
    sample=_transforms_case,
    edge_cases=[{"at": np.eye(1), "g": np.eye(1), "bt": np.eye(1)}],
    mistakes=[
        Mistake(
            "Terms of opposite sign cancel here, which a bound must not count on. Take the "
            "absolute value of every entry, before any sum.",
            variant=lambda at, g, bt: np.max(at @ (g.sum(axis=1) * bt.sum(axis=1))),
        ),
        Mistake(
            "This is the mean over the outputs. The bound is that of the worst one.",
            variant=lambda at, g, bt: np.mean(
                np.abs(at) @ (np.abs(g).sum(axis=1) * np.abs(bt).sum(axis=1))
            ),
        ),
        Mistake(
            "This is the sum over the outputs. The bound is that of the worst one.",
            variant=lambda at, g, bt: np.sum(
                np.abs(at) @ (np.abs(g).sum(axis=1) * np.abs(bt).sum(axis=1))
            ),
        ),
        Mistake(
            "The entries of A^T still have their signs. Take their absolute values, too.",
            variant=lambda at, g, bt: np.max(at @ (np.abs(g).sum(axis=1) * np.abs(bt).sum(axis=1))),
        ),
        Mistake(
            "These are the bounds of all outputs. Return the largest.",
            variant=lambda at, g, bt: np.abs(at) @ (np.abs(g).sum(axis=1) * np.abs(bt).sum(axis=1)),
        ),
        Mistake(
            "The three largest row sums are multiplied. They need not belong to the same product.",
            variant=lambda at, g, bt: math.prod(np.abs(m).sum(axis=1).max() for m in (at, g, bt)),
        ),
        Mistake(
            "The sums run down the columns of G and of B^T. A row belongs to a product.",
            variant=lambda at, g, bt: np.max(
                np.abs(at) @ (np.resize(np.abs(g).sum(axis=0), len(g)) * np.abs(bt).sum(axis=0))
            ),
        ),
        Mistake(
            "The kernel's transform is missing.",
            variant=lambda at, g, bt: np.max(np.abs(at) @ np.abs(bt).sum(axis=1)),
        ),
        Mistake(
            "The data's transform is missing.",
            variant=lambda at, g, bt: np.max(np.abs(at) @ np.abs(g).sum(axis=1)),
        ),
        Mistake(
            "The transform of the outputs is missing.",
            variant=lambda at, g, bt: np.max(np.abs(g).sum(axis=1) * np.abs(bt).sum(axis=1)),
        ),
        Mistake(
            "The largest entry of each row stands where the sum of its entries belongs.",
            variant=lambda at, g, bt: np.max(
                np.abs(at) @ (np.abs(g).max(axis=1) * np.abs(bt).max(axis=1))
            ),
        ),
    ],
    success="The bound agrees with one computed term by term.",
)
