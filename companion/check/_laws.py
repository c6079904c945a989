"""The exercises of the lesson *Laws of large matrices*."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake, distinct_sizes
from companion.random_matrices import MarchenkoPastur, Semicircle


def _moment_case(rng: np.random.Generator) -> Mapping[str, Any]:
    return {"k": int(rng.integers(2, 8)), "aspect": float(rng.choice([0.2, 0.5, 0.8, 1.5, 3.0]))}


def _moment_by_quadrature(k: int, aspect: float) -> float:
    return MarchenkoPastur(aspect).expect(lambda x: x**k)


def _narayana(k: int, r: int) -> float:
    return math.comb(k, r) * math.comb(k, r - 1) / k


def _moment_but(
    term: Callable[[int, int, float], float], *, first: int = 1, short: int = 0
) -> Callable[[int, float], float]:
    """Return the sum of ``term(k, r, aspect)`` over r from ``first`` to ``k - short``."""
    return lambda k, aspect: float(sum(term(k, r, aspect) for r in range(first, k + 1 - short)))


noise_moment = Exercise(
    name="noise_moment",
    oracle=_moment_by_quadrature,
    sample=_moment_case,
    edge_cases=[{"k": 1, "aspect": 0.5}, {"k": 4, "aspect": 1.0}, {"k": 6, "aspect": 4.0}],
    mistakes=[
        Mistake(
            "These are the Catalan numbers, which is right for aspect 1 only. "
            "Each Narayana number has its own power of the aspect.",
            variant=lambda k, aspect: math.comb(2 * k, k) / (k + 1),
        ),
        Mistake(
            "This is the moment of the transposed matrix: the aspect is columns over rows.",
            variant=lambda k, aspect: _moment_by_quadrature(k, 1 / aspect),
        ),
        Mistake(
            "It is right where no eigenvalue has to be zero. With an aspect above 1 some have to, "
            "and the mean is over all of them, zeros included.",
            variant=lambda k, aspect: _moment_by_quadrature(k, aspect) * max(1.0, aspect),
        ),
        Mistake(
            "Every term has one power of the aspect too many. The first term is 1: "
            "for k = 1 the moment is 1 for every aspect.",
            variant=_moment_but(lambda k, r, q: _narayana(k, r) * q**r),
        ),
        Mistake(
            "The factor 1/k of the Narayana numbers is missing.",
            variant=_moment_but(lambda k, r, q: k * _narayana(k, r) * q ** (r - 1)),
        ),
        Mistake(
            "The last term of the sum is missing: r runs up to k.",
            variant=_moment_but(lambda k, r, q: _narayana(k, r) * q ** (r - 1), short=1),
        ),
        Mistake(
            "The first term of the sum is missing: r starts at 1, and that term is 1.",
            variant=_moment_but(lambda k, r, q: _narayana(k, r) * q ** (r - 1), first=2),
        ),
        Mistake(
            "These are squares of binomial coefficients. A Narayana number multiplies two "
            "neighbouring ones, and divides by k.",
            variant=_moment_but(lambda k, r, q: math.comb(k, r) ** 2 * q ** (r - 1)),
        ),
        Mistake(
            "This is a power of the mean eigenvalue. The mean of a power is asked for.",
            variant=lambda k, aspect: 1.0,
        ),
    ],
    success="It agrees with the integral of the density, at every order and aspect.",
)


def _density_case(rng: np.random.Generator) -> Mapping[str, Any]:
    variance = float(rng.choice([0.5, 1.5, 2.0, 4.0]))
    reach = 3 * math.sqrt(variance)
    return {
        "x": rng.uniform(-reach, reach, size=int(rng.integers(3, 9))),
        "variance": variance,
        "eta": float(rng.uniform(0.1, 0.5)),
    }


def _density_in_closed_form(x: FloatArray, variance: float, eta: float) -> FloatArray:
    return np.asarray(Semicircle(variance).stieltjes(x + 1j * eta).imag / math.pi)


def _real_part(x: FloatArray, variance: float, eta: float) -> FloatArray:
    return np.asarray(Semicircle(variance).stieltjes(x + 1j * eta).real / math.pi)


smoothed_semicircle = Exercise(
    name="smoothed_semicircle",
    oracle=_density_in_closed_form,
    sample=_density_case,
    edge_cases=[
        {"x": np.array([0.0, 2.0, -2.0]), "variance": 1.0, "eta": 0.05},
        {"x": np.array([[0.5, 100.0]]), "variance": 1.0, "eta": 1.0},
    ],
    rtol=1e-6,
    mistakes=[
        Mistake(
            "This is the density itself. It is asked for at the height eta above the axis, "
            "where it is smoother.",
            variant=lambda x, variance, eta: Semicircle(variance).pdf(x),
        ),
        Mistake(
            "The imaginary part has to be divided by pi.",
            variant=lambda x, variance, eta: math.pi * _density_in_closed_form(x, variance, eta),
        ),
        Mistake(
            "It is negative: the number m of this lesson has a positive imaginary part above the "
            "axis. Look at the sign of z in the equation, and at the start of the iteration.",
            variant=lambda x, variance, eta: -_density_in_closed_form(x, variance, eta),
        ),
        Mistake("This is the real part. The density is in the imaginary one.", variant=_real_part),
        Mistake(
            "It is right for variance 1 only: the variance is missing in the equation.",
            variant=lambda x, variance, eta: _density_in_closed_form(x, 1.0, eta),
        ),
        Mistake(
            "The variance enters squared. The letter in the equation is the square already.",
            variant=lambda x, variance, eta: _density_in_closed_form(x, variance**2, eta),
        ),
        Mistake(
            "The root of the variance stands where the variance belongs.",
            variant=lambda x, variance, eta: _density_in_closed_form(x, math.sqrt(variance), eta),
        ),
        Mistake(
            "It is close, but has not settled: near the axis the iteration needs many steps.",
            when=lambda case, right, got: (
                isinstance(got, np.ndarray)
                and (got.shape, got.dtype) == (right.shape, right.dtype)
                and np.abs(got - right).max() < 0.1 * np.abs(right).max()
            ),
        ),
        Mistake(
            "The argument of the number m is x alone, without the imaginary part eta.",
            when=lambda case, right, got: bool(np.all(got == 0)),
        ),
    ],
    success="It agrees with the closed form, inside the interval and out.",
)


def _noise_case(rng: np.random.Generator) -> Mapping[str, Any]:
    shape = distinct_sizes(rng, 2, low=3, high=40)
    return {"x": rng.normal(scale=rng.choice([0.5, 2.0, 3.0]), size=shape)}


def _edges_by_the_law(x: FloatArray) -> tuple[float, float, int]:
    n, p = x.shape
    low, high = MarchenkoPastur(p / n, float(np.mean(x**2))).support
    return low, high, max(0, p - n)


def _edges_but(
    *,
    aspect: Callable[[int, int], float] = lambda n, p: p / n,
    variance: Callable[[FloatArray], Any] = lambda x: np.mean(x**2),
    edge: Callable[[float], float] = lambda e: e,
    zeros: Callable[[int, int], float] = lambda n, p: max(0, p - n),
) -> Callable[[FloatArray], tuple[float, float, float]]:
    def wrong(x: FloatArray) -> tuple[float, float, float]:
        n, p = x.shape
        root, v = math.sqrt(aspect(n, p)), float(variance(x))
        return edge(v * (1 - root) ** 2), edge(v * (1 + root) ** 2), zeros(n, p)

    return wrong


noise_edges = Exercise(
    name="noise_edges",
    oracle=_edges_by_the_law,
    sample=_noise_case,
    outputs=("low", "high", "zeros"),
    edge_cases=[
        # Of full rank, so that zeros may also be counted in the data.
        {"x": np.array([[1.0, -1.0], [1.0, 1.0]])},
        {"x": np.array([[2.0, 0.0, -2.0, 1.0]])},
    ],
    mistakes=[
        Mistake(
            "The aspect is upside down: it is the number of columns over the number of rows.",
            variant=_edges_but(aspect=lambda n, p: n / p),
        ),
        Mistake(
            "The edges are those of noise of variance 1. Estimate the variance from the data.",
            variant=_edges_but(variance=lambda x: 1.0),
        ),
        Mistake(
            "The standard deviation stands where the variance belongs.",
            variant=_edges_but(variance=lambda x: np.sqrt(np.mean(x**2))),
        ),
        Mistake(
            "The mean is known to be zero, and must not be subtracted once more: "
            "the variance is the mean square.",
            variant=_edges_but(variance=np.var),
        ),
        Mistake(
            "The mean is known to be zero, and must not be estimated: the variance is the mean "
            "square.",
            variant=_edges_but(variance=lambda x: x.var(ddof=1)),
        ),
        Mistake(
            "These are the edges of the singular values, over the root of the number of rows. "
            "Eigenvalues of the covariance matrix are their squares.",
            variant=_edges_but(edge=math.sqrt),
        ),
        Mistake(
            "The number of zeros is negative where there are more rows than columns.",
            variant=_edges_but(zeros=lambda n, p: p - n),
        ),
        Mistake(
            "It counts no zeros, whatever the shape. Where there are more columns than rows, the "
            "covariance matrix cannot have full rank.",
            variant=_edges_but(zeros=lambda n, p: 0),
        ),
        Mistake(
            "It counts zeros of the transposed product. The covariance matrix has as many rows as "
            "the data have columns.",
            variant=_edges_but(zeros=lambda n, p: max(0, n - p)),
        ),
        Mistake(
            "The zeros are given as a share. Their number is asked for.",
            variant=_edges_but(zeros=lambda n, p: max(0.0, 1 - n / p)),
        ),
        Mistake(
            "The lower edge is 0 where there are more columns than rows. The eigenvalues that are "
            "not zero begin higher up there.",
            variant=lambda x: (
                0.0 if x.shape[1] > x.shape[0] else _edges_by_the_law(x)[0],
                *_edges_by_the_law(x)[1:],
            ),
        ),
        Mistake(
            "The aspect itself stands where its root belongs.",
            variant=_edges_but(aspect=lambda n, p: (p / n) ** 2),
        ),
    ],
    success="Both edges and the number of zeros are right, for tall data and for wide.",
)
