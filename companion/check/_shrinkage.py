"""The exercises of the lesson *Cleaning a noisy matrix*."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake
from companion.random_matrices import optimal_threshold, rectangular_outlier

Errors = tuple[float, float, float]


def _spike_case(rng: np.random.Generator) -> Mapping[str, Any]:
    beta = float(rng.uniform(0.05, 0.9))
    return {"theta": float(rng.uniform(1.05, 4.0)) * beta**0.25, "beta": beta}


def _by_block(theta: float, beta: float) -> Errors:
    """Measure the errors on the block of two by two, and find the best multiple by projection."""
    out = rectangular_outlier(theta, beta)
    a = np.array([math.sqrt(out.left), math.sqrt(1 - out.left)])
    b = np.array([math.sqrt(out.right), math.sqrt(1 - out.right)])
    signal, pair = np.diag([theta, 0.0]), np.outer(a, b)
    best = np.sum(signal * pair) * pair
    rivals = (0 * pair, float(out.position) * pair, best)
    dropped, kept, shrunk = (float(np.sum((signal - rival) ** 2)) for rival in rivals)
    return dropped, kept, shrunk


def _errors_but(change: Callable[[float, float, float], Any]) -> Callable[[float, float], Any]:
    """Return errors made from the strength, the position and the product of the cosines."""

    def errors(theta: float, beta: float) -> Any:
        out = rectangular_outlier(theta, beta)
        return change(theta, float(out.position), math.sqrt(out.left * out.right))

    return errors


def _parabola(theta: float, eta: float, overlap: float) -> float:
    return theta**2 + eta**2 - 2 * theta * eta * overlap


def _one_side(theta: float, beta: float, side: str) -> Errors:
    out = rectangular_outlier(theta, beta)
    overlap = float(getattr(out, side))
    return (
        theta**2,
        _parabola(theta, float(out.position), overlap),
        theta**2 * (1 - overlap**2),
    )


spike_errors = Exercise(
    name="spike_errors",
    oracle=_by_block,
    sample=_spike_case,
    outputs=("dropped", "kept", "shrunk"),
    edge_cases=[
        {"theta": 2.0, "beta": 1.0},
        {"theta": 0.5, "beta": 1.0},
        {"theta": 0.4, "beta": 0.1},
    ],
    mistakes=[
        Mistake(
            "left and right are squared cosines. Their product is the square of what the "
            "parabola needs.",
            variant=_errors_but(
                lambda t, y, c: (t**2, _parabola(t, y, c**2), t**2 * (1 - c**4)),
            ),
        ),
        Mistake(
            "In the last error the product of the cosines is not squared: put the best number "
            "into the parabola.",
            variant=_errors_but(lambda t, y, c: (t**2, _parabola(t, y, c), t**2 * (1 - c))),
        ),
        Mistake(
            "In the last error the product of the cosines stands to the fourth power. left times "
            "right is already its square.",
            variant=_errors_but(lambda t, y, c: (t**2, _parabola(t, y, c), t**2 * (1 - c**4))),
        ),
        Mistake(
            "Only the left cosine is used. Both vectors are off.",
            variant=lambda theta, beta: _one_side(theta, beta, "left"),
        ),
        Mistake(
            "Only the right cosine is used. Both vectors are off.",
            variant=lambda theta, beta: _one_side(theta, beta, "right"),
        ),
        Mistake(
            "The error of keeping counts the length only, as if the vectors were right.",
            variant=_errors_but(lambda t, y, c: (t**2, (y - t) ** 2, t**2 * (1 - c**2))),
        ),
        Mistake(
            "In the error of keeping, the last term of the parabola lacks the factor of two.",
            variant=_errors_but(
                lambda t, y, c: (t**2, t**2 + y**2 - t * y * c, t**2 * (1 - c**2)),
            ),
        ),
        Mistake(
            "The third is the error of putting the strength itself there. That corrects the "
            "length, and is not the bottom of the parabola.",
            variant=_errors_but(lambda t, y, c: (t**2, _parabola(t, y, c), _parabola(t, t, c))),
        ),
        Mistake(
            "The third is the number that replaces the singular value. Its error is asked for.",
            variant=_errors_but(lambda t, y, c: (t**2, _parabola(t, y, c), t * c)),
        ),
        Mistake(
            "These are the roots of the errors. Leave them squared.",
            variant=_errors_but(
                lambda t, y, c: (t, math.sqrt(_parabola(t, y, c)), t * math.sqrt(1 - c**2)),
            ),
        ),
    ],
    success="Shrinking is never worse than the better of the other two.",
)


def _cut_case(rng: np.random.Generator) -> Mapping[str, Any]:
    m, n = (int(k) for k in rng.choice(np.arange(20, 400, 19), size=2, replace=False))
    s = float(rng.uniform(0.2, 5.0)) * rng.gamma(4.0, size=min(m, n))
    return {"s": s, "m": m, "n": n}


@functools.cache
def _squared_median(beta: float) -> float:
    """Return the median of the law of Marchenko and Pastur, by integrating its density."""
    low, high = (1 - math.sqrt(beta)) ** 2, (1 + math.sqrt(beta)) ** 2

    def point(angle: float) -> float:
        return low + (high - low) * math.sin(angle / 2) ** 2

    def mass(angle: float) -> float:
        root = (high - low) / 2 * math.sin(angle)
        return root**2 / (2 * math.pi * beta * point(angle))

    found = brentq(lambda end: quad(mass, 0.0, end)[0] - 0.5, 1e-6, math.pi, xtol=1e-13)
    return point(float(found))


def _published(beta: float) -> float:
    return math.sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + math.sqrt(beta**2 + 14 * beta + 1)))


def _edge(beta: float) -> float:
    return 1 + math.sqrt(beta)


def _cut_but(
    *,
    place: Callable[[float], float] = _published,
    median: Callable[[float], float] = _squared_median,
    root: Callable[[float], float] = math.sqrt,
    middle: Callable[[FloatArray], Any] = np.median,
    factor: Callable[[int, int], float] = lambda m, n: 1.0,
) -> Callable[[FloatArray, int, int], float]:
    """Return the cut with one thing changed."""

    def cut(s: FloatArray, m: int, n: int) -> float:
        beta = min(m, n) / max(m, n)
        return float(factor(m, n) * place(beta) * middle(s) / root(median(beta)))

    return cut


def _square_beta(m: int, n: int) -> float:
    """Return what the constant of square matrices changes."""
    beta = min(m, n) / max(m, n)
    ratio = math.sqrt(_squared_median(beta) / _squared_median(1.0))
    return ratio * _published(1.0) / _published(beta)


median_cut = Exercise(
    name="median_cut",
    oracle=_cut_but(),
    sample=_cut_case,
    edge_cases=[
        {"s": np.array([3.0, 1.0, 2.0]), "m": 3, "n": 3},
        {"s": np.array([5.0, 2.0]), "m": 2, "n": 9},
    ],
    repeats=8,
    rtol=1e-6,
    mistakes=[
        Mistake(
            "The median of the law is that of squared singular values. Its root is needed.",
            variant=_cut_but(root=lambda value: value),
        ),
        Mistake(
            "The noise of the law is forgotten: the median singular value is not the noise.",
            variant=_cut_but(median=lambda beta: 1.0),
        ),
        Mistake(
            "This is the edge of the noise. Keeping pays from the optimal threshold on.",
            variant=_cut_but(place=_edge),
        ),
        Mistake(
            "The constant of square matrices is used for every shape.",
            variant=_cut_but(factor=_square_beta),
        ),
        Mistake(
            "The threshold is that of square matrices, whatever the shape.",
            variant=_cut_but(place=lambda beta: 4 / math.sqrt(3)),
        ),
        Mistake(
            "The mean of the singular values stands where their median belongs: strong signal "
            "moves it.",
            variant=_cut_but(middle=np.mean),
        ),
        Mistake(
            "With an even number of values the median is the mean of the middle two.",
            variant=_cut_but(middle=lambda s: np.sort(s)[len(s) // 2]),
        ),
        Mistake(
            "This is the cut in units of the noise, or for noise 1. The singular values are not "
            "in these units.",
            variant=lambda s, m, n: _published(min(m, n) / max(m, n)),
        ),
        Mistake(
            "This is the estimate of the noise. The cut is the threshold times this times a root.",
            variant=_cut_but(place=lambda beta: 1.0, factor=lambda m, n: max(m, n) ** -0.5),
        ),
        Mistake(
            "One root of the larger dimension is left over. It stands in the unit and in the "
            "estimate of the noise.",
            variant=_cut_but(factor=lambda m, n: math.sqrt(max(m, n))),
        ),
        Mistake(
            "One root of the larger dimension is left over in the denominator.",
            variant=_cut_but(factor=lambda m, n: 1 / math.sqrt(max(m, n))),
        ),
        Mistake(
            "The smaller dimension stands under one of the two roots. Both take the larger.",
            variant=_cut_but(factor=lambda m, n: math.sqrt(min(m, n) / max(m, n))),
        ),
        Mistake(
            "The aspect ratio is the number of columns over rows only if the matrix is tall. It is "
            "never above 1.",
            when=lambda case, right, got: case["n"] > case["m"],
        ),
        Mistake(
            "The aspect ratio is the number of rows over columns only if the matrix is wide. It is "
            "the smaller over the larger.",
            when=lambda case, right, got: case["m"] > case["n"],
        ),
    ],
    success="The cut follows the median, for tall matrices and for wide.",
)


def _ranks_case(rng: np.random.Generator) -> Mapping[str, Any]:
    m, n = (int(k) for k in rng.choice(np.arange(20, 120, 7), size=2, replace=False))
    noise, beta = float(rng.choice([0.5, 2.0, 3.0])), min(m, n) / max(m, n)
    edge, tau = 1 + math.sqrt(beta), optimal_threshold(beta)
    parts = (
        rng.uniform(tau, 9.0, size=int(rng.integers(2, 6))),
        rng.uniform(edge, tau, size=int(rng.integers(2, 5))),
    )
    bulk = rng.uniform(0.1, edge, size=min(m, n) - sum(part.size for part in parts))
    y = np.sort(np.concatenate([*parts, bulk]))[::-1]
    return {"s": y * noise * math.sqrt(max(m, n)), "m": m, "n": n, "noise": noise}


def _ranks_but(
    *,
    unit: Callable[[int, int, float], float] = lambda m, n, noise: noise * math.sqrt(max(m, n)),
    beta: Callable[[int, int], float] = lambda m, n: min(m, n) / max(m, n),
    edge: Callable[[float], float] = _edge,
    power: int = 2,
    extra: int = 1,
    swapped: bool = False,
) -> Callable[[FloatArray, int, int, float], tuple[int, int, int]]:
    """Return the ranks, counted in loops, with one thing changed."""

    def ranks(s: FloatArray, m: int, n: int, noise: float) -> tuple[int, int, int]:
        one, b = unit(m, n, noise), beta(m, n)
        above = [sum(1 for value in s if value > one * cut) for cut in (edge(b), _published(b))]
        total, kept, needed = sum(float(value) ** power for value in s), 0.0, 0
        for value in s:
            if kept >= 0.95 * total:
                break
            kept, needed = kept + float(value) ** power, needed + 1
        if swapped:
            above.reverse()
        return above[0], above[1], needed + extra - 1

    return ranks


three_ranks = Exercise(
    name="three_ranks",
    oracle=_ranks_but(),
    sample=_ranks_case,
    outputs=("edge", "threshold", "95 %"),
    edge_cases=[
        {"s": np.array([10.0, 0.1, 0.1]), "m": 3, "n": 3, "noise": 1.0},
        {"s": np.array([1.0, 0.9]), "m": 2, "n": 8, "noise": 1.0},
    ],
    repeats=12,
    mistakes=[
        Mistake(
            "The unit is the root of the larger dimension without the noise.",
            variant=_ranks_but(unit=lambda m, n, noise: math.sqrt(max(m, n))),
        ),
        Mistake(
            "The unit is the noise without the root of a dimension.",
            variant=_ranks_but(unit=lambda m, n, noise: noise),
        ),
        Mistake(
            "The noise is squared. It is a standard deviation.",
            variant=_ranks_but(unit=lambda m, n, noise: noise**2 * math.sqrt(max(m, n))),
        ),
        Mistake(
            "The unit takes the rows, whether they are more than the columns or fewer.",
            variant=_ranks_but(unit=lambda m, n, noise: noise * math.sqrt(m)),
        ),
        Mistake(
            "The unit takes the columns, whether they are more than the rows or fewer.",
            variant=_ranks_but(unit=lambda m, n, noise: noise * math.sqrt(n)),
        ),
        Mistake(
            "The smaller dimension stands under the root. The unit is made of the larger one.",
            variant=_ranks_but(unit=lambda m, n, noise: noise * math.sqrt(min(m, n))),
        ),
        Mistake(
            "The aspect ratio is upside down: it is never above 1.",
            variant=_ranks_but(beta=lambda m, n: max(m, n) / min(m, n)),
        ),
        Mistake(
            "Edge and threshold are square-matrix values. Both depend on the shape.",
            variant=_ranks_but(beta=lambda m, n: 1.0),
        ),
        Mistake(
            "The edge is that of squared singular values. Here it is the root of that.",
            variant=_ranks_but(edge=lambda b: _edge(b) ** 2),
        ),
        Mistake(
            "The first two stand in the wrong order: the edge comes first.",
            variant=_ranks_but(swapped=True),
        ),
        Mistake(
            "The share is that of the sum of singular values. It is asked of their squares.",
            variant=_ranks_but(power=1),
        ),
        Mistake(
            "The last is one too small: so many do not yet reach 95 %.",
            variant=_ranks_but(extra=0),
        ),
        Mistake(
            "The last is one too large.",
            variant=_ranks_but(extra=2),
        ),
    ],
    success="Three rules, three ranks. Only the second asks what keeping costs.",
)
