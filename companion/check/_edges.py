"""The exercises of the lesson *Edges and outliers*."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake
from companion.random_matrices import EdgeScale, TracyWidom, laguerre_edge


def _bound_case(rng: np.random.Generator) -> Mapping[str, Any]:
    n, p = rng.choice(np.arange(10, 400, 7), size=2, replace=False)
    return {
        "n": int(n),
        "p": int(p),
        "variance": float(rng.choice([0.25, 2.0, 9.0])),
        "level": float(rng.choice([0.01, 0.05, 0.2])),
    }


@functools.cache
def _exceeded(level: float, beta: int = 1) -> float:
    """Return what a standardised eigenvalue exceeds with this probability, by bisection."""
    law = TracyWidom(beta)
    return float(brentq(lambda x: float(law.sf(x)) - level, -15.0, 15.0, xtol=1e-13, rtol=1e-14))


def _normal(level: float) -> float:
    law = TracyWidom(1)
    return float(norm.isf(level, law.mean(), law.std()))


def _bound_but(
    *,
    value: Callable[[float], float] = _exceeded,
    edge: Callable[[int, int], Any] = laguerre_edge,
    scale: Callable[[float], float] = lambda s: s,
    variance: Callable[[float], float] = lambda v: v,
    whole: bool = True,
) -> Callable[[int, int, float, float], float]:
    """Return the bound with one thing changed."""

    def bound(n: int, p: int, v: float, level: float) -> float:
        place = edge(n, p)
        beyond = scale(place.scale) * value(level)
        return float(variance(v) * (place.center + beyond if whole else beyond))

    return bound


def _only_center_scaled(n: int, p: int, variance: float, level: float) -> float:
    edge = laguerre_edge(n, p)
    return variance * edge.center + edge.scale * _exceeded(level)


def _rounded(minus: float, n: int, p: int) -> EdgeScale:
    """Return centre and scale without the halves, with n - minus in the place of n."""
    rows, columns = math.sqrt(n - minus), math.sqrt(p)
    scale = (rows + columns) * (1 / rows + 1 / columns) ** (1 / 3) / n
    return EdgeScale((rows + columns) ** 2 / n, scale, 1)


def _limit(n: int, p: int, variance: float, level: float) -> float:
    return variance * (1 + math.sqrt(p / n)) ** 2


noise_bound = Exercise(
    name="noise_bound",
    oracle=_bound_but(),
    sample=_bound_case,
    edge_cases=[
        {"n": 10, "p": 10, "variance": 1.0, "level": 0.5},
        {"n": 5, "p": 300, "variance": 1.0, "level": 0.05},
    ],
    repeats=10,
    mistakes=[
        Mistake(
            "This is exceeded with probability 1 - level. The quantile takes the probability of "
            "staying below.",
            variant=_bound_but(value=lambda level: _exceeded(1 - level)),
        ),
        Mistake(
            "n and p are exchanged. n is the number of rows, by which the product is divided.",
            variant=_bound_but(edge=lambda n, p: laguerre_edge(p, n)),
        ),
        Mistake(
            "It is the bound for variance 1, whatever the variance.",
            variant=_bound_but(variance=lambda v: 1.0),
        ),
        Mistake(
            "The root of the variance stands where the variance belongs: eigenvalues of the "
            "covariance matrix grow with the square of the data.",
            variant=_bound_but(variance=math.sqrt),
        ),
        Mistake(
            "The variance multiplies the centre only. All eigenvalues grow by the same factor, "
            "and so does their spread.",
            variant=_only_center_scaled,
        ),
        Mistake(
            "Real data need the law of beta = 1; this is the one of complex data.",
            variant=_bound_but(
                value=lambda level: _exceeded(level, 2),
                edge=lambda n, p: laguerre_edge(n, p, 2),
            ),
        ),
        Mistake(
            "The centre and scale are those of real data, but the quantile is that of beta = 2.",
            variant=_bound_but(value=lambda level: _exceeded(level, 2)),
        ),
        Mistake(
            "This is the edge in the limit. A finite matrix stays below it or goes beyond, and "
            "the level says how often.",
            variant=_limit,
        ),
        Mistake(
            "The standardised value is divided by the scale. Undo the standardisation: it "
            "subtracted the centre and divided by the scale.",
            variant=_bound_but(scale=lambda s: 1 / s),
        ),
        Mistake(
            "The standardised value is added without the scale.",
            variant=_bound_but(scale=lambda s: 1.0),
        ),
        Mistake("The centre is missing.", variant=_bound_but(whole=False)),
        Mistake(
            "The centre and the scale are without the halves. laguerre_edge has them.",
            variant=_bound_but(edge=functools.partial(_rounded, 0.0)),
        ),
        Mistake(
            "The centre and the scale are those with n - 1 and p. They have the same limit, and "
            "those with the halves come closer to it: use laguerre_edge.",
            variant=_bound_but(edge=functools.partial(_rounded, 1.0)),
        ),
        Mistake(
            "This is the bound for the eigenvalues of the product. It is divided by n.",
            variant=lambda n, p, variance, level: n * _bound_but()(n, p, variance, level),
        ),
        Mistake(
            "The level is halved. Only large values are an alarm here, so all of it belongs to "
            "the right tail.",
            variant=_bound_but(value=lambda level: _exceeded(level / 2)),
        ),
        Mistake(
            "The quantile is that of a normal law with the mean and the spread of Tracy and "
            "Widom's. The law itself is not normal.",
            variant=_bound_but(value=_normal),
        ),
    ],
    success="Noise exceeds it as often as the level allows, for tall data and for wide.",
)


def _outlier_case(rng: np.random.Generator) -> Mapping[str, Any]:
    noise = rng.uniform(0.5, 3.0) * rng.normal(size=int(rng.integers(3, 30))) + rng.normal()
    return {"noise": noise, "strength": float(rng.uniform(0.3, 6.0))}


def _by_matrix(noise: FloatArray, strength: float) -> tuple[float, float]:
    """Read both off a matrix whose spike has equal weight on all eigenvectors of the noise."""
    u = np.full(noise.size, noise.size**-0.5)
    values, vectors = np.linalg.eigh(np.diag(noise) + strength * np.outer(u, u))
    return float(values[-1]), float((vectors[:, -1] @ u) ** 2)


def _outlier_but(
    change: Callable[[FloatArray, float, float, float], tuple[float, float]],
) -> Callable[[FloatArray, float], tuple[float, float]]:
    """Return both results, changed: the function gets noise, strength, position and overlap."""
    return lambda noise, strength: change(noise, strength, *_by_matrix(noise, strength))


def _inside(noise: FloatArray, strength: float) -> tuple[float, float]:
    """Take the root before the last, which lies between two eigenvalues of the noise."""
    u = np.full(noise.size, noise.size**-0.5)
    values, vectors = np.linalg.eigh(np.diag(noise) + strength * np.outer(u, u))
    return float(values[-2]), float((vectors[:, -2] @ u) ** 2)


def _semicircle(noise: FloatArray, strength: float, variance: float) -> tuple[float, float]:
    return strength + variance / strength, 1 - variance / strength**2


outlier = Exercise(
    name="outlier",
    oracle=_by_matrix,
    sample=_outlier_case,
    outputs=("position", "overlap"),
    edge_cases=[
        {"noise": np.array([2.0]), "strength": 1.0},
        {"noise": np.array([1.0, -1.0, 1.0]), "strength": 0.5},
        {"noise": np.zeros(4), "strength": 3.0},
    ],
    mistakes=[
        Mistake(
            "The sum over the eigenvalues stands where their mean belongs, in the equation.",
            variant=lambda noise, strength: _by_matrix(noise, noise.size * strength),
        ),
        Mistake(
            "This is the formula for the semicircle with variance 1. The noise here is another.",
            variant=lambda noise, strength: _semicircle(noise, strength, 1.0),
        ),
        Mistake(
            "This is the formula for a semicircle with the variance of the noise. Solve the "
            "equation with the eigenvalues themselves.",
            variant=lambda noise, strength: _semicircle(noise, strength, float(np.var(noise))),
        ),
        Mistake(
            "This root lies between eigenvalues of the noise. The outlier is beyond all of them.",
            variant=_inside,
        ),
        Mistake(
            "The equation has the strength on the wrong side: its product with the mean is 1.",
            variant=lambda noise, strength: _by_matrix(noise, 1 / strength),
        ),
        Mistake(
            "The position is right. The overlap is the squared inner product, not its size.",
            variant=_outlier_but(lambda noise, t, z, o: (z, math.sqrt(o))),
        ),
        Mistake(
            "The position is right. In the overlap the strength is not squared.",
            variant=_outlier_but(lambda noise, t, z, o: (z, o * t)),
        ),
        Mistake(
            "The position is right. In the overlap the strength is missing.",
            variant=_outlier_but(lambda noise, t, z, o: (z, o * t**2)),
        ),
        Mistake(
            "The position is right. The overlap is upside down: it must lie between 0 and 1.",
            variant=_outlier_but(lambda noise, t, z, o: (z, 1 / o)),
        ),
        Mistake(
            "The position is right. In the overlap the sum over the eigenvalues stands where "
            "their mean belongs.",
            variant=_outlier_but(lambda noise, t, z, o: (z, o / noise.size)),
        ),
        Mistake(
            "The position is right. In the overlap the mean of the squares is needed, not the "
            "square of the mean, which is known already.",
            variant=_outlier_but(lambda noise, t, z, o: (z, 1.0)),
        ),
        Mistake(
            "The two results are exchanged: first the root, then the overlap.",
            variant=_outlier_but(lambda noise, t, z, o: (o, z)),
        ),
        Mistake(
            "The position is right. What is lost is returned in the place of the overlap.",
            variant=_outlier_but(lambda noise, t, z, o: (z, 1 - o)),
        ),
        Mistake(
            "The position is right. The overlap is that of the semicircle; the noise here is "
            "another.",
            variant=_outlier_but(lambda noise, t, z, o: (z, 1 - float(np.var(noise)) / t**2)),
        ),
        Mistake(
            "It is close. The root is asked for to eight digits: bisect more often, or set a "
            "smaller tolerance.",
            when=lambda case, right, got: bool(
                np.allclose(got, right, rtol=1e-2, atol=1e-2 * np.ptp(case["noise"]) + 1e-3)
            ),
        ),
    ],
    success="Position and overlap are right in noise of any shape.",
)
