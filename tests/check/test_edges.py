"""The checks of the lesson *Edges and outliers*: right answers pass, wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from companion import check
from companion import random_matrices as rm
from companion.check import Exercise
from companion.random_matrices import TracyWidom
from tests.check.oracles import reseeded


def noise_bound(n, p, variance, level):
    edge = rm.laguerre_edge(n, p)
    return variance * (edge.center + edge.scale * TracyWidom(1).quantile(1 - level))


def by_hand(n, p, variance, level):
    rows, columns = np.sqrt(n - 0.5), np.sqrt(p - 0.5)
    scale = (rows + columns) * (1 / rows + 1 / columns) ** (1 / 3)
    value = float(TracyWidom().quantile(1 - level))
    return float(((rows + columns) ** 2 + scale * value) * variance / n)


def outlier(noise, strength):
    low, high = np.max(noise), np.max(noise) + strength
    for _ in range(100):
        z = (low + high) / 2
        if strength * np.mean(1 / (z - noise)) > 1:
            low = z
        else:
            high = z
    z = (low + high) / 2
    return z, 1 / (strength**2 * np.mean(1 / (z - noise) ** 2))


def by_brentq(noise, strength):
    last = noise.max()
    z = brentq(lambda z: 1 / np.mean(1 / (z - noise)) - strength, last + 1e-12, last + strength + 1)
    return [z, 1 / strength**2 / np.mean((z - noise) ** -2.0)]


def by_matrix(noise, strength):
    """Put the same weight on every eigenvector, and ask for the eigenvalues."""
    u = np.ones(len(noise)) / len(noise) ** 0.5
    values, vectors = np.linalg.eigh(np.diag(noise) + strength * u[:, None] * u)
    return np.float64(values[-1]), np.dot(vectors[:, -1], u) ** 2


RIGHT = [
    (check.noise_bound, noise_bound),
    (check.noise_bound, by_hand),
    (check.outlier, outlier),
    (check.outlier, by_brentq),
    (check.outlier, by_matrix),
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


def bound_of(change):
    """Return an answer made from the edge, the variance and the level."""

    def answer(n, p, variance, level):
        return change(rm.laguerre_edge(n, p), variance, level)

    return answer


QUANTILES: dict[tuple[int, float], float] = {}


def quantile(p, beta=1):
    """Return a quantile, computed once."""
    if (beta, p) not in QUANTILES:
        QUANTILES[beta, p] = float(TracyWidom(beta).quantile(p))
    return QUANTILES[beta, p]


def complex_data(n, p, variance, level):
    edge = rm.laguerre_edge(n, p, 2)
    return variance * (edge.center + edge.scale * quantile(1 - level, 2))


def without_halves(minus):
    def answer(n, p, variance, level):
        rows, columns = (n - minus) ** 0.5, p**0.5
        scale = (rows + columns) * (1 / rows + 1 / columns) ** (1 / 3)
        return variance / n * ((rows + columns) ** 2 + scale * quantile(1 - level))

    return answer


def with_sum(noise, strength):
    return outlier(noise, strength * len(noise))


def careless(noise, strength):
    z, overlap = outlier(noise, strength)
    return z + 1e-4, overlap


def overlap_of(change):
    def answer(noise, strength):
        z, overlap = outlier(noise, strength)
        return z, change(overlap, strength, len(noise))

    return answer


def inside(noise, strength):
    """Bisect between the two largest eigenvalues of the noise."""
    if len(noise) == 1 or np.ptp(noise) == 0 or np.sum(noise == noise.max()) > 1:
        u = np.full(len(noise), len(noise) ** -0.5)
        values, vectors = np.linalg.eigh(np.diag(noise) + strength * np.outer(u, u))
        return values[-2], (vectors[:, -2] @ u) ** 2
    low, high = np.sort(noise)[-2:]
    for _ in range(200):
        z = (low + high) / 2
        if strength * np.mean(1 / (z - noise)) > 1:
            low = z
        else:
            high = z
    return z, 1 / (strength**2 * np.mean(1 / (z - noise) ** 2))


WRONG: list[tuple[Exercise, Callable[..., Any], str]] = [
    (
        check.noise_bound,
        bound_of(lambda e, v, a: v * (e.center + e.scale * quantile(a))),
        "staying below",
    ),
    (check.noise_bound, lambda n, p, v, a: by_hand(p, n, v, a), "exchanged"),
    (
        check.noise_bound,
        bound_of(lambda e, v, a: e.center + e.scale * quantile(1 - a)),
        "for variance 1",
    ),
    (
        check.noise_bound,
        bound_of(lambda e, v, a: v**0.5 * (e.center + e.scale * quantile(1 - a))),
        "root of the variance",
    ),
    (
        check.noise_bound,
        bound_of(lambda e, v, a: v * e.center + e.scale * quantile(1 - a)),
        "centre only",
    ),
    (check.noise_bound, complex_data, "complex data"),
    (
        check.noise_bound,
        bound_of(lambda e, v, a: v * (e.center + e.scale * quantile(1 - a, 2))),
        "quantile is that of beta = 2",
    ),
    (check.noise_bound, lambda n, p, v, a: v * (1 + (p / n) ** 0.5) ** 2, "in the limit"),
    (
        check.noise_bound,
        bound_of(lambda e, v, a: v * (e.center + quantile(1 - a) / e.scale)),
        "divided by the scale",
    ),
    (
        check.noise_bound,
        bound_of(lambda e, v, a: v * (e.center + quantile(1 - a))),
        "without the scale",
    ),
    (
        check.noise_bound,
        bound_of(lambda e, v, a: v * e.scale * quantile(1 - a)),
        "centre is missing",
    ),
    (check.noise_bound, without_halves(0), "without the halves"),
    (check.noise_bound, without_halves(1), "with n - 1"),
    (check.noise_bound, lambda n, p, v, a: n * by_hand(n, p, v, a), "divided by n"),
    (check.noise_bound, lambda n, p, v, a: by_hand(n, p, v, a / 2), "level is halved"),
    (
        check.noise_bound,
        bound_of(
            lambda e, v, a: v * (e.center + e.scale * (-1.20653357 + 1.26798306 * norm.isf(a)))
        ),
        "not normal",
    ),
    (check.outlier, with_sum, "sum over the eigenvalues"),
    (
        check.outlier,
        lambda noise, t: (t + 1 / t, 1 - 1 / t**2),
        "semicircle with variance 1",
    ),
    (
        check.outlier,
        lambda noise, t: (t + noise.var() / t, 1 - noise.var() / t**2),
        "variance of the noise",
    ),
    (check.outlier, lambda noise, t: outlier(noise, 1 / t), "wrong side"),
    (check.outlier, overlap_of(lambda o, t, n: o**0.5), "not its size"),
    (check.outlier, overlap_of(lambda o, t, n: o * t), "not squared"),
    (check.outlier, overlap_of(lambda o, t, n: o * t * t), "strength is missing"),
    (check.outlier, overlap_of(lambda o, t, n: 1 / o), "upside down"),
    (check.outlier, overlap_of(lambda o, t, n: o / n), "their mean belongs"),
    (check.outlier, overlap_of(lambda o, t, n: 1.0), "square of the mean"),
    (check.outlier, overlap_of(lambda o, t, n: 1 - o), "What is lost"),
    (check.outlier, lambda noise, t: outlier(noise, t)[::-1], "exchanged"),
    (
        check.outlier,
        lambda noise, t: (outlier(noise, t)[0], 1 - noise.var() / t**2),
        "overlap is that of the semicircle",
    ),
    (check.outlier, careless, "It is close"),
    (check.outlier, lambda noise, t: outlier(noise, t)[0], "2 values"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    result = exercise(answer)
    assert not result
    assert words in result.message


def test_a_root_inside_the_noise_is_named() -> None:
    """Oracle: the same mistake, where the noise has two different largest eigenvalues."""
    result = replace(check.outlier, edge_cases=())(inside)
    assert not result
    assert "between eigenvalues" in result.message
