r"""Sums and products of large matrices whose eigenvectors have nothing to do with each other.

Such matrices are called free. The law of their sum, or product, follows from the
two laws alone. It is computed here by a fixed-point iteration in the complex
plane.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from companion._validation import FloatArray, float_array, real
from companion.random_matrices.laws import ComplexArray, upper_half_plane

_STEPS = 100
_FINE, _COARSE = 1e-11, 1e-7
_GRID = 4001

Map = Callable[[ComplexArray], ComplexArray]
Step = Callable[[ComplexArray, ComplexArray], ComplexArray]


class Spectrum(Protocol):
    """What ``free_sum`` and ``free_product`` need of a law."""

    @property
    def support(self) -> tuple[float, float]:
        """Ends of an interval that holds all of the law."""

    def stieltjes(self, z: ArrayLike) -> ComplexArray:
        """Return the mean of 1 / (x - z)."""


class Atoms:
    """A law of finitely many values: the spectrum of one matrix, as it is.

    Parameters
    ----------
    points : array_like, shape (m,)
        The values.
    weights : array_like, shape (m,), optional
        Their probabilities, positive, adding up to 1; all equal by default.

    Attributes
    ----------
    points, weights : ndarray, shape (m,)
        As given.

    Raises
    ------
    ValueError
        If there is no value, a weight is not positive, or they do not add up to 1.

    Examples
    --------
    >>> two = Atoms([-1.0, 1.0])
    >>> two.support
    (-1.0, 1.0)
    >>> two.moment(2)
    1.0
    """

    def __init__(self, points: ArrayLike, weights: ArrayLike | None = None) -> None:
        self.points = float_array("points", points, ndim=1, finite=True)
        if not self.points.size:
            raise ValueError("points must not be empty")
        share = np.full(self.points.shape, 1 / self.points.size) if weights is None else weights
        self.weights = float_array("weights", share, shape=self.points.shape, finite=True)
        if self.weights.min() <= 0 or abs(self.weights.sum() - 1) > 1e-6:
            raise ValueError(
                "weights must be positive and add up to 1, "
                f"got a sum of {self.weights.sum():g} and a smallest of {self.weights.min():g}"
            )

    @property
    def support(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return float(self.points.min()), float(self.points.max())

    def moment(self, k: int) -> float:
        """Return the mean of the k-th powers."""
        return float(self.weights @ self.points**k)

    def stieltjes(self, z: ArrayLike) -> ComplexArray:
        """Return the mean of 1 / (x - z).

        Parameters
        ----------
        z : array_like
            Complex numbers on or above the real axis, not among the values.

        Returns
        -------
        ndarray of complex
            The transform, of the same shape.

        Raises
        ------
        ValueError
            If `z` lies below the real axis, is not finite, or is one of the values.
        """
        gaps = self.points - upper_half_plane(z)[..., None]
        if (gaps == 0).any():
            raise ValueError("z must not be one of the points")
        return np.asarray((1 / gaps) @ self.weights)


class FreeLaw:
    r"""A law that is known through its Stieltjes transform only.

    ``free_sum`` and ``free_product`` return it.

    The density is read off at a small distance :math:`\eta` above the real axis,
    :math:`\operatorname{Im} m(x + i \eta) / \pi`. That is the density smoothed by
    Cauchy's law of width :math:`\eta`. Where the density is smooth the error is of
    the order of :math:`\eta`, at an edge of the usual kind of the order of its root.

    Attributes
    ----------
    support : (float, float)
        Ends of an interval that holds all of the law. The law may be narrower.
    smoothing : float
        :math:`\eta`.
    """

    def __init__(self, support: tuple[float, float], transform: Map, smoothing: float) -> None:
        self.support = support
        self.smoothing = smoothing
        self._transform = transform
        self._table: tuple[FloatArray, FloatArray] | None = None

    def stieltjes(self, z: ArrayLike) -> ComplexArray:
        """Return the mean of 1 / (x - z).

        Parameters
        ----------
        z : array_like
            Complex numbers above the real axis, of any shape.

        Returns
        -------
        ndarray of complex
            The transform, of the same shape.

        Raises
        ------
        ValueError
            If `z` is not finite, or not above the real axis.
        RuntimeError
            If the iteration does not settle, which happens close to the axis.
        """
        z = upper_half_plane(z)
        if (z.imag == 0).any():
            raise ValueError("z must lie above the real axis")
        return self._transform(z.ravel()).reshape(z.shape)

    def pdf(self, x: ArrayLike) -> FloatArray:
        """Return the density, smoothed.

        Parameters
        ----------
        x : array_like
            Points, of any shape.

        Returns
        -------
        ndarray
            Density per unit of `x`, of the same shape.

        Raises
        ------
        ValueError
            If `x` is not finite.
        RuntimeError
            As in ``stieltjes``.
        """
        x = float_array("x", x, finite=True)
        return np.asarray(self.stieltjes(x + 1j * self.smoothing).imag / math.pi)

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Return the probability of a value of at most `x`.

        The density is computed once at 4001 points of the support, which lie
        closer together near its ends, and added up.

        Parameters
        ----------
        x : array_like
            Points, of any shape.

        Returns
        -------
        ndarray
            Probabilities, of the same shape.

        Raises
        ------
        ValueError
            If `x` is not finite, or if the density does not add up to 1 within
            one per cent: the law has an atom, or `smoothing` is too large.
        RuntimeError
            As in ``stieltjes``.
        """
        points, mass = self._cumulative()
        return np.asarray(np.interp(float_array("x", x, finite=True), points, mass))

    def quantile(self, p: ArrayLike) -> FloatArray:
        """Return the smallest value that is not exceeded with probability `p`.

        Parameters
        ----------
        p : array_like
            Probabilities between 0 and 1, of any shape.

        Returns
        -------
        ndarray
            Values, of the same shape.

        Raises
        ------
        ValueError
            If a probability lies outside 0 and 1; and as ``cdf``.
        RuntimeError
            As in ``stieltjes``.
        """
        p = float_array("p", p, finite=True)
        if p.size and (p.min() < 0 or p.max() > 1):
            raise ValueError(f"p must lie in 0..1, got values from {p.min()} to {p.max()}")
        points, mass = self._cumulative()
        # Where the density is zero the mass stands still, and any of the points would do.
        rising = np.concatenate([[True], np.diff(mass) > 0])
        return np.asarray(np.interp(p, mass[rising], points[rising]))

    def _cumulative(self) -> tuple[FloatArray, FloatArray]:
        if self._table is None:
            low, high = self.support
            angle = np.linspace(0.0, math.pi, _GRID)
            x = low + (high - low) * np.sin(angle / 2) ** 2
            # In the angle an edge is smooth, and the ends themselves count nothing.
            rate = np.zeros_like(x)
            rate[1:-1] = self.pdf(x[1:-1]) * (high - low) / 2 * np.sin(angle[1:-1])
            mass = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2)])
            mass *= math.pi / (_GRID - 1)
            if abs(mass[-1] - 1) > 0.01:
                raise ValueError(
                    f"the density adds up to {mass[-1]:.3f} instead of 1: "
                    "the law has an atom, or smoothing is too large"
                )
            self._table = x, mass / mass[-1]
        return self._table


def free_sum(a: Spectrum, b: Spectrum, *, smoothing: float = 1e-8) -> FreeLaw:
    r"""Return the law of the sum of two large matrices in general position.

    Let :math:`A` and :math:`B` be symmetric with the laws `a` and `b`, and let
    :math:`U` be a random orthogonal matrix. The eigenvalues of
    :math:`A + U B U^\top` then follow the free sum of the two laws as the size
    grows. Implements :eq:`eq-free-sum`: with :math:`F = -1/m` for each law, two
    numbers :math:`u` and :math:`v` in the upper half-plane solve

    .. math:: u + v = z + F_a(u), \qquad F_a(u) = F_b(v),

    and the transform of the sum is :math:`m_a(u)`.

    Parameters
    ----------
    a, b : Law, Atoms or FreeLaw
        The two laws.
    smoothing : float, default 1e-8
        Distance from the real axis at which the density is read off.

    Returns
    -------
    FreeLaw

    Raises
    ------
    ValueError
        If `smoothing` is not positive.

    References
    ----------
    Voiculescu, Addition of Certain Non-commuting Random Variables, Journal of
    Functional Analysis 66 (1986); Belinschi & Bercovici, A New Approach to
    Subordination Results in Free Probability, Journal d'Analyse Mathématique
    101 (2007), who prove that the iteration converges.

    Examples
    --------
    >>> from companion.random_matrices import Semicircle
    >>> law = free_sum(Semicircle(0.36), Semicircle(0.64))
    >>> bool(np.allclose(law.pdf([0.0, 1.0]), Semicircle().pdf([0.0, 1.0]), atol=1e-4))
    True
    """
    ends = a.support[0] + b.support[0], a.support[1] + b.support[1]

    def transform(z: ComplexArray) -> ComplexArray:
        return a.stieltjes(_settle(lambda u, z: z + _rise(b, z + _rise(a, u)), z))

    return FreeLaw(ends, transform, real("smoothing", smoothing, minimum=0.0, open_minimum=True))


def free_product(a: Spectrum, b: Spectrum, *, smoothing: float = 1e-8) -> FreeLaw:
    r"""Return the law of the product of two large matrices in general position.

    Let :math:`A` and :math:`B` be symmetric with the laws `a` and `b`, both without
    negative values, and let :math:`U` be a random orthogonal matrix. The
    eigenvalues of :math:`A^{1/2} U B U^\top A^{1/2}` then follow the free product
    of the two laws as the size grows. With :math:`F = -1/m` for each law, two
    numbers :math:`u` and :math:`v` in the upper half-plane solve

    .. math:: u\, (v - F_b(v)) = z, \qquad v\, (u - F_a(u)) = z,

    and the transform of the product is :math:`u\, m_a(u) / z`.

    With `b` a ``MarchenkoPastur`` law it is the law of the sample covariance
    matrix of data whose true covariance has the law `a`.

    Parameters
    ----------
    a, b : Law, Atoms or FreeLaw
        The two laws, on values that are not negative.
    smoothing : float, default 1e-8
        Distance from the real axis at which the density is read off.

    Returns
    -------
    FreeLaw

    Raises
    ------
    ValueError
        If `smoothing` is not positive, or a law has negative values.

    References
    ----------
    Voiculescu, Multiplication of Certain Non-commuting Random Variables,
    Journal of Operator Theory 18 (1987); Belinschi & Bercovici (2007), as for
    ``free_sum``.

    Examples
    --------
    >>> from companion.random_matrices import FussCatalan, MarchenkoPastur
    >>> law = free_product(MarchenkoPastur(1.0), MarchenkoPastur(1.0))
    >>> bool(np.allclose(law.pdf([1.0, 4.0]), FussCatalan(2).pdf([1.0, 4.0]), atol=1e-4))
    True
    """
    for name, law in (("a", a), ("b", b)):
        if law.support[0] < 0:
            raise ValueError(f"{name} must have no negative values, got {law.support[0]:g}")
    ends = a.support[0] * b.support[0], a.support[1] * b.support[1]

    def transform(z: ComplexArray) -> ComplexArray:
        u = _settle(lambda u, z: -z / _rise(b, -z / _rise(a, u)), z)
        return np.asarray(u * a.stieltjes(u) / z)

    return FreeLaw(ends, transform, real("smoothing", smoothing, minimum=0.0, open_minimum=True))


def _rise(law: Spectrum, z: ComplexArray) -> ComplexArray:
    """Return -1/m(z) - z, whose imaginary part is not negative."""
    return np.asarray(-1 / law.stieltjes(z) - z)


def _settle(step: Step, z: ComplexArray) -> ComplexArray:
    """Return u with u = step(u, z), where step maps the upper half-plane into itself.

    Near the real axis plain iteration is slow, and a faster one may be drawn to a
    solution below the axis. So each point comes down to the axis in stages, tenfold
    closer each time, and every stage starts from the solution of the one before.
    """
    height = max(1.0, float(np.abs(z).max(initial=0.0)))
    u = z + 1j * height
    while (far := z.imag < height).any():
        u[far] = _iterate(step, z[far] + 1j * height, u[far])
        height /= 10
    return _iterate(step, z, u)


def _iterate(step: Step, z: ComplexArray, start: ComplexArray) -> ComplexArray:
    """Return the fixed point, entry by entry, that is reached from a start.

    Each round takes two steps and extrapolates from them (Aitken's method, as
    Steffensen uses it); the extrapolation is kept where it is better.
    """
    u, left = start.copy(), np.arange(z.size)
    for _ in range(_STEPS):
        old, target = u[left], z[left]
        once = step(old, target)
        twice = step(once, target)
        first, second = once - old, twice - once
        with np.errstate(divide="ignore", invalid="ignore"):
            guess = old - first**2 / (second - first)
        # Only points of the upper half-plane may go back into the map.
        guess = np.where(np.isfinite(guess) & (guess.imag > 0), guess, twice)
        better = np.abs(step(guess, target) - guess) < np.abs(step(twice, target) - twice)
        u[left] = np.where(better, guess, twice)
        left = left[np.abs(first) > _FINE * np.abs(old)]
        if not left.size:
            return u
    # Where one of the two numbers is huge, in a gap, rounding keeps the other from settling.
    rest = np.abs(step(u[left], z[left]) - u[left])
    if (rest > _COARSE * (np.abs(u[left]) + 1)).any():
        raise RuntimeError(f"the iteration did not settle in {_STEPS} rounds; raise smoothing")
    return u
