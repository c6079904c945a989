"""Laws of the eigenvalues of large random matrices."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize.elementwise import find_root

from companion._validation import FloatArray, float_array, integer, real


class Law(ABC):
    """A law on the real line: a density on one interval, and perhaps an atom at zero.

    The classes below give the densities. What follows from a density in the
    same way for all of them stands here.
    """

    @property
    @abstractmethod
    def support(self) -> tuple[float, float]:
        """Ends of the interval on which the density is positive."""

    @property
    def atom(self) -> float:
        """Probability of the value zero, outside the density."""
        return 0.0

    @abstractmethod
    def _density(self, x: FloatArray) -> FloatArray:
        """Return the density at points inside the support."""

    @abstractmethod
    def _mass_below(self, x: FloatArray) -> FloatArray:
        """Return the mass of the density below points of the support."""

    @abstractmethod
    def _nodes(self, points: int) -> tuple[FloatArray, FloatArray]:
        """Return points and weights of a quadrature for the density."""

    def pdf(self, x: ArrayLike) -> FloatArray:
        """Return the density at `x`.

        The atom, if there is one, has no density and is left out.

        Parameters
        ----------
        x : array_like
            Points, of any shape.

        Returns
        -------
        ndarray
            Density per unit of `x`, of the same shape; zero outside the
            support.

        Raises
        ------
        ValueError
            If `x` holds NaN.
        """
        x = _points(x)
        low, high = self.support
        inside = (x > low) & (x < high)
        # Points outside are moved to the middle, so that no square root of theirs is taken.
        return np.where(inside, self._density(np.where(inside, x, (low + high) / 2)), 0.0)

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Return the probability of a value of at most `x`.

        Parameters
        ----------
        x : array_like
            Points, of any shape.

        Returns
        -------
        ndarray
            Probabilities, of the same shape. The atom counts from zero on.

        Raises
        ------
        ValueError
            If `x` holds NaN.
        """
        x = _points(x)
        below = self._mass_below(np.clip(x, *self.support))
        probability = np.clip(below + self.atom * (x >= 0), 0.0, 1.0)
        return np.where(x >= self.support[1], 1.0, probability)

    def quantile(self, p: ArrayLike) -> FloatArray:
        """Return the smallest value that is not exceeded with probability `p`.

        Parameters
        ----------
        p : array_like
            Probabilities between 0 and 1, of any shape.

        Returns
        -------
        ndarray
            Values, of the same shape. A probability of at most the atom's gives
            zero.

        Raises
        ------
        ValueError
            If a probability lies outside 0 and 1.
        """
        p = float_array("p", p, finite=True)
        if p.size and (p.min() < 0 or p.max() > 1):
            raise ValueError(f"p must lie in 0..1, got values from {p.min()} to {p.max()}")
        low, high = self.support
        # Both laws have their atom, if any, below the support.
        mass = np.clip((p - self.atom) / (1 - self.atom), 0.0, 1.0)

        def excess(angle: FloatArray, mass: FloatArray) -> FloatArray:
            return self._mass_below(self._at(angle)) / (1 - self.atom) - mass

        # Near an edge the angle, unlike x, depends smoothly on the probability.
        angle = find_root(excess, (np.zeros_like(mass), np.full_like(mass, math.pi)), args=(mass,))
        x = np.where(mass == 0, low, np.where(mass == 1, high, self._at(angle.x)))
        return np.where((p <= self.atom) & (self.atom > 0), 0.0, x)

    def _at(self, angle: FloatArray) -> FloatArray:
        """Return the point of the support at an angle between 0, its low end, and pi."""
        low, high = self.support
        return np.asarray(low + (high - low) * np.sin(angle / 2) ** 2)

    def expect(self, f: Callable[[FloatArray], FloatArray], *, points: int = 2000) -> float:
        """Return the mean of `f` under the law, atom included.

        Parameters
        ----------
        f : callable
            Takes an array of values of shape (m,) and returns as many numbers.
            It must be smooth on the support, and defined at zero if the law has
            an atom.
        points : int
            Number of points of the quadrature.

        Returns
        -------
        float
            The mean. The error falls geometrically with `points` for an
            analytic `f`.

        Raises
        ------
        ValueError
            If `f` returns another shape than it got, or NaN or infinity.
        """
        x, weight = self._nodes(integer("points", points))
        mean = float(weight @ float_array("f(x)", f(x), shape=x.shape, finite=True))
        if self.atom:
            zero = float_array("f(0)", f(np.zeros(1)), shape=(1,), finite=True)
            mean += self.atom * float(zero[0])
        return mean


@dataclass(frozen=True)
class Semicircle(Law):
    r"""Law of the eigenvalues of a large symmetric matrix of independent entries.

    Let :math:`A` be symmetric, :math:`n \times n`, with independent entries of
    mean zero and variance :math:`\sigma^2 / n` above the diagonal. As :math:`n`
    grows, its eigenvalues have the density
    :math:`\sqrt{4 \sigma^2 - x^2} / (2 \pi \sigma^2)` on
    :math:`[-2 \sigma, 2 \sigma]` (Wigner, Ann. Math. 62, 1955).

    Parameters
    ----------
    variance : float
        :math:`\sigma^2`, positive: the variance of :math:`\sqrt n A_{ij}`.

    Raises
    ------
    ValueError
        If `variance` is not positive.

    Examples
    --------
    >>> law = Semicircle()
    >>> law.support
    (-2.0, 2.0)
    >>> [round(law.moment(k)) for k in range(7)]
    [1, 0, 1, 0, 2, 0, 5]
    """

    variance: float = 1.0

    def __post_init__(self) -> None:
        real("variance", self.variance, minimum=0.0, open_minimum=True)

    @property
    def support(self) -> tuple[float, float]:
        """Ends of the interval on which the density is positive."""
        edge = 2 * math.sqrt(self.variance)
        return -edge, edge

    def moment(self, k: int) -> float:
        r"""Return the mean of :math:`x^k`.

        Odd moments are zero. The moment of order :math:`2m` is the
        :math:`m`-th Catalan number times :math:`\sigma^{2m}`.

        Parameters
        ----------
        k : int
            Order, at least 0.

        Returns
        -------
        float
            The moment.
        """
        k = integer("k", k, minimum=0)
        half = k // 2
        return 0.0 if k % 2 else math.comb(k, half) / (half + 1) * self.variance**half

    def _density(self, x: FloatArray) -> FloatArray:
        return np.asarray(np.sqrt(4 * self.variance - x * x) / (2 * math.pi * self.variance))

    def _mass_below(self, x: FloatArray) -> FloatArray:
        u = x / self.support[1]
        return np.asarray(0.5 + (u * np.sqrt(1 - u * u) + np.arcsin(u)) / math.pi)

    def _nodes(self, points: int) -> tuple[FloatArray, FloatArray]:
        angle = (np.arange(points) + 0.5) * math.pi / points
        return self._at(angle), 2 * np.sin(angle) ** 2 / points


@dataclass(frozen=True)
class MarchenkoPastur(Law):
    r"""Law of the eigenvalues of a large sample covariance matrix of pure noise.

    Let :math:`X` be :math:`n \times p` with independent entries of mean zero and
    variance :math:`\sigma^2`, and let :math:`q = p / n` stay fixed as both grow.
    The :math:`p` eigenvalues of :math:`X^\top X / n` have the density
    :math:`\sqrt{(b - x)(x - a)} / (2 \pi q \sigma^2 x)` between
    :math:`a = \sigma^2 (1 - \sqrt q)^2` and
    :math:`b = \sigma^2 (1 + \sqrt q)^2`. If :math:`q > 1`, a share
    :math:`1 - 1/q` of them is zero (Marchenko and Pastur, Math. USSR-Sb. 1,
    1967).

    Parameters
    ----------
    aspect : float
        :math:`q`, positive: the number of columns over the number of rows. The
        transposed matrix has aspect :math:`1/q`, and another law.
    variance : float
        :math:`\sigma^2`, positive: the variance of an entry of :math:`X`.

    Raises
    ------
    ValueError
        If `aspect` or `variance` is not positive.

    Examples
    --------
    >>> law = MarchenkoPastur(aspect=0.25)
    >>> law.support, law.atom
    ((0.25, 2.25), 0.0)
    >>> [law.moment(k) for k in (1, 2, 3)]
    [1.0, 1.25, 1.8125]
    >>> MarchenkoPastur(aspect=4.0).atom
    0.75
    """

    aspect: float
    variance: float = 1.0

    def __post_init__(self) -> None:
        real("aspect", self.aspect, minimum=0.0, open_minimum=True)
        real("variance", self.variance, minimum=0.0, open_minimum=True)

    @property
    def support(self) -> tuple[float, float]:
        """Ends of the interval on which the density is positive."""
        root = math.sqrt(self.aspect)
        return self.variance * (1 - root) ** 2, self.variance * (1 + root) ** 2

    @property
    def atom(self) -> float:
        """Probability of the value zero: positive if there are more columns than rows."""
        return max(0.0, 1 - 1 / self.aspect)

    def moment(self, k: int) -> float:
        r"""Return the mean of :math:`x^k`.

        It is :math:`\sigma^{2k}` times a polynomial in :math:`q` whose
        coefficients are the Narayana numbers.

        Parameters
        ----------
        k : int
            Order, at least 0.

        Returns
        -------
        float
            The moment.
        """
        k = integer("k", k, minimum=0)
        if k == 0:
            return 1.0
        narayana = (math.comb(k, r) * math.comb(k, r + 1) / k for r in range(k))
        return self.variance**k * sum(c * self.aspect**r for r, c in enumerate(narayana))

    def _density(self, x: FloatArray) -> FloatArray:
        low, high = self.support
        root = np.sqrt((high - x) * (x - low))
        return np.asarray(root / (2 * math.pi * self.aspect * self.variance * x))

    def _mass_below(self, x: FloatArray) -> FloatArray:
        # The integral of the density, with the substitution of _at: no difference of close numbers.
        low, high = self.support
        half = np.arcsin(np.sqrt(np.clip((x - low) / (high - low), 0.0, 1.0)))
        root = np.sqrt((high - x) * (x - low))
        # arctan2 needs no quotient, which would be 0/0 at the low end when that end is zero.
        ratio = np.arctan2(math.sqrt(high) * np.sin(half), math.sqrt(low) * np.cos(half))
        whole = root + (low + high) * half - 2 * math.sqrt(low * high) * ratio
        return np.asarray(whole / (2 * math.pi * self.aspect * self.variance))

    def _nodes(self, points: int) -> tuple[FloatArray, FloatArray]:
        angle = (np.arange(points) + 0.5) * math.pi / points
        x = self._at(angle)
        weight = 2 * self.variance * np.sin(angle) ** 2 / (points * x)
        # With an aspect close to 1 the pole at zero nearly touches the support, and the rule misses
        # a little mass there. The lowest point gets it.
        weight[0] += 1 - self.atom - weight.sum()
        return x, weight


def _points(x: ArrayLike) -> FloatArray:
    """Return `x` as an array that may hold infinity, but not NaN."""
    array = float_array("x", x)
    if np.isnan(array).any():
        raise ValueError(f"x must not hold NaN, got {np.isnan(array).sum()}")
    return array
