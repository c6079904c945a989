"""The checks of the lesson *Laws of large matrices*: right answers pass, wrong ones do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from companion import check
from companion.check import Exercise
from tests.check.oracles import reseeded


def noise_moment(k, aspect):
    total = 0.0
    for r in range(1, k + 1):
        total += math.comb(k, r) * math.comb(k, r - 1) / k * aspect ** (r - 1)
    return total


def by_recursion(k, aspect):
    """Go through the convolution that the moments of free Poisson variables obey."""
    moments = [1.0]
    for n in range(k):
        inner = sum(moments[j] * moments[n - j] for j in range(1, n + 1))
        moments.append(moments[n] + aspect * inner if n else 1.0)
    return moments[k]


def by_polynomial(k, aspect):
    coefficients = [math.comb(k, r) * math.comb(k, r + 1) // k for r in range(k)]
    return np.polynomial.polynomial.polyval(aspect, coefficients)


def smoothed_semicircle(x, variance, eta):
    z = x + 1j * eta
    m = 1j * np.ones_like(z)
    for _ in range(2000):
        m = 1 / (-z - variance * m)
    return m.imag / np.pi


def by_formula(x, variance, eta):
    z = x + 1j * eta
    root = np.sqrt(z * z - 4 * variance)
    root = np.where(root.imag < 0, -root, root)
    return ((-z + root) / (2 * variance)).imag / np.pi


def noise_edges(x):
    n, p = x.shape
    variance, root = np.mean(x**2), np.sqrt(p / n)
    return variance * (1 - root) ** 2, variance * (1 + root) ** 2, max(0, p - n)


def by_rank(x):
    low, high, _ = noise_edges(x)
    return low, high, x.shape[1] - np.linalg.matrix_rank(x)


def by_counting(x):
    n, p = x.shape
    variance = np.linalg.norm(x) ** 2 / x.size
    low, high = ((np.sqrt(n) + sign * np.sqrt(p)) ** 2 * variance / n for sign in (-1, 1))
    return float(low), float(high), p - min(n, p)


RIGHT = [
    (check.noise_moment, noise_moment),
    (check.noise_moment, by_recursion),
    (check.noise_moment, by_polynomial),
    (check.smoothed_semicircle, smoothed_semicircle),
    (check.smoothed_semicircle, by_formula),
    (check.noise_edges, noise_edges),
    (check.noise_edges, by_counting),
    (check.noise_edges, by_rank),
]


@pytest.mark.parametrize(("exercise", "solution"), RIGHT)
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_right_answers_pass(
    exercise: Exercise, solution: Callable[..., Any], seed: int | None
) -> None:
    """Oracle: answers written out by hand, by more than one way, on several sets of cases."""
    if seed is not None:
        exercise = reseeded(exercise, seed)
    result = exercise(solution)
    assert result, result.message


def moment_of(term, first=1, last=0):
    def answer(k, aspect):
        return sum(term(k, r) * aspect ** (r - 1) for r in range(first, k + 1 + last))

    return answer


def narayana(k, r):
    return math.comb(k, r) * math.comb(k, r - 1) / k


def iterate(x, variance, eta, steps=2000, start=1j, sign=-1):
    z = x + 1j * eta
    m = start * np.ones_like(z)
    for _ in range(steps):
        m = 1 / (sign * z - variance * m)
    return m


def edges_of(change):
    def answer(x):
        n, p = x.shape
        return change(x, n, p)

    return answer


WRONG: list[tuple[Exercise, Callable[..., Any], str]] = [
    (check.noise_moment, lambda k, aspect: math.comb(2 * k, k) // (k + 1), "Catalan"),
    (check.noise_moment, lambda k, aspect: noise_moment(k, 1 / aspect), "transposed"),
    (check.noise_moment, lambda k, aspect: aspect * noise_moment(k, aspect), "one power"),
    (
        check.noise_moment,
        lambda k, aspect: noise_moment(k, aspect) / min(1.0, 1 / aspect),
        "zeros included",
    ),
    (check.noise_moment, moment_of(lambda k, r: k * narayana(k, r)), "factor 1/k"),
    (check.noise_moment, moment_of(narayana, last=-1), "last term"),
    (check.noise_moment, moment_of(narayana, first=2), "first term"),
    (check.noise_moment, moment_of(lambda k, r: math.comb(k, r) ** 2), "squares of binomial"),
    (check.noise_moment, lambda k, aspect: 1.0, "power of the mean"),
    (check.noise_moment, lambda k, aspect: [noise_moment(k, aspect)], "a list"),
    (
        check.smoothed_semicircle,
        lambda x, v, eta: np.sqrt(np.maximum(4 * v - x * x, 0)) / (2 * np.pi * v),
        "the density itself",
    ),
    (check.smoothed_semicircle, lambda x, v, eta: iterate(x, v, eta).imag, "divided by pi"),
    (
        check.smoothed_semicircle,
        lambda x, v, eta: iterate(x, v, -eta, start=-1j).imag / np.pi,
        "It is negative",
    ),
    (
        check.smoothed_semicircle,
        lambda x, v, eta: iterate(x, v, eta, start=-1j, sign=1).imag / np.pi,
        "It is negative",
    ),
    (check.smoothed_semicircle, lambda x, v, eta: iterate(x, v, eta).real / np.pi, "real part"),
    (check.smoothed_semicircle, lambda x, v, eta: smoothed_semicircle(x, 1.0, eta), "variance 1"),
    (check.smoothed_semicircle, lambda x, v, eta: smoothed_semicircle(x, v * v, eta), "squared"),
    (
        check.smoothed_semicircle,
        lambda x, v, eta: smoothed_semicircle(x, v**0.5, eta),
        "root of the variance",
    ),
    (
        check.smoothed_semicircle,
        lambda x, v, eta: iterate(x, v, eta, steps=40).imag / np.pi,
        "not settled",
    ),
    (check.smoothed_semicircle, lambda x, v, eta: 0.0 * x, "without the imaginary part"),
    (check.smoothed_semicircle, lambda x, v, eta: list(by_formula(x, v, eta)), "a list"),
    (check.smoothed_semicircle, lambda x, v, eta: by_formula(x, v, eta) + 0j, "complex128"),
    (
        check.noise_edges,
        edges_of(
            lambda x, n, p: (
                np.mean(x**2) * (1 - (n / p) ** 0.5) ** 2,
                np.mean(x**2) * (1 + (n / p) ** 0.5) ** 2,
                max(0, p - n),
            )
        ),
        "upside down",
    ),
    (
        check.noise_edges,
        lambda x: noise_edges(x / np.sqrt(np.mean(x**2))),
        "noise of variance 1",
    ),
    (
        check.noise_edges,
        lambda x: noise_edges(x * np.mean(x**2) ** -0.25),
        "standard deviation",
    ),
    (
        check.noise_edges,
        lambda x: (*(e * x.var() / np.mean(x**2) for e in noise_edges(x)[:2]), noise_edges(x)[2]),
        "subtracted once more",
    ),
    (
        check.noise_edges,
        lambda x: (
            *(e * x.var(ddof=1) / np.mean(x**2) for e in noise_edges(x)[:2]),
            noise_edges(x)[2],
        ),
        "must not be estimated",
    ),
    (
        check.noise_edges,
        lambda x: (*(e**0.5 for e in noise_edges(x)[:2]), noise_edges(x)[2]),
        "singular values",
    ),
    (
        check.noise_edges,
        lambda x: (*noise_edges(x)[:2], x.shape[1] - x.shape[0]),
        "negative",
    ),
    (
        check.noise_edges,
        lambda x: (*noise_edges(x)[:2], max(0, x.shape[0] - x.shape[1])),
        "transposed product",
    ),
    (
        check.noise_edges,
        lambda x: (*noise_edges(x)[:2], max(0.0, 1 - x.shape[0] / x.shape[1])),
        "as a share",
    ),
    (check.noise_edges, lambda x: (*noise_edges(x)[:2], 0), "counts no zeros"),
    (
        check.noise_edges,
        edges_of(lambda x, n, p: (noise_edges(x)[0] * (p <= n), *noise_edges(x)[1:])),
        "begin higher up",
    ),
    (
        check.noise_edges,
        edges_of(
            lambda x, n, p: (
                np.mean(x**2) * (1 - p / n) ** 2,
                np.mean(x**2) * (1 + p / n) ** 2,
                max(0, p - n),
            )
        ),
        "where its root belongs",
    ),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    result = exercise(answer)
    assert not result
    assert words in result.message
