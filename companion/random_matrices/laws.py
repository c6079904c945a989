"""Laws of the eigenvalues of large random matrices."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize.elementwise import find_root

from companion._validation import FloatArray, float_array, integer, real

ComplexArray = NDArray[np.complexfloating[Any, Any]]


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

    @abstractmethod
    def _transform(self, z: ComplexArray) -> ComplexArray:
        """Return the Stieltjes transform at points of the closed upper half-plane."""

    def stieltjes(self, z: ArrayLike) -> ComplexArray:
        r"""Return the Stieltjes transform, the mean of :math:`1 / (x - z)`.

        The sign is the one for which the imaginary part is positive above the
        real axis; near the axis that part divided by :math:`\pi` is the density.

        Parameters
        ----------
        z : array_like
            Complex numbers with an imaginary part of at least zero, of any shape.
            A real number inside the support gives the limit from above.

        Returns
        -------
        ndarray of complex
            The transform, of the same shape.

        Raises
        ------
        ValueError
            If `z` is not finite, lies below the real axis, or is zero where the
            law has its atom.
        """
        z = upper_half_plane(z)
        if self.atom and (z == 0).any():
            raise ValueError("z must not be 0, where the law has an atom")
        return self._transform(z)

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
            return self._mass_at(angle) / (1 - self.atom) - mass

        # Near an edge the angle, unlike x, depends smoothly on the probability.
        angle = find_root(excess, (np.zeros_like(mass), np.full_like(mass, math.pi)), args=(mass,))
        x = np.where(mass == 0, low, np.where(mass == 1, high, self._at(angle.x)))
        return np.where((p <= self.atom) & (self.atom > 0), 0.0, x)

    def _at(self, angle: FloatArray) -> FloatArray:
        """Return the point of the support at an angle between 0, its low end, and pi."""
        low, high = self.support
        return np.asarray(low + (high - low) * np.sin(angle / 2) ** 2)

    def _mass_at(self, angle: FloatArray) -> FloatArray:
        """Return the mass of the density below the point at an angle."""
        return self._mass_below(self._at(angle))

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
    :math:`[-2 \sigma, 2 \sigma]` (Wigner, Ann. Math. 62, 1955). Implements
    :eq:`eq-semicircle`.

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

        Implements :eq:`eq-catalan`. Odd moments are zero. The moment of order
        :math:`2m` is the :math:`m`-th Catalan number times :math:`\sigma^{2m}`.

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

    def r_transform(self, g: ArrayLike) -> ComplexArray:
        r"""Return the R-transform, which adds up when free matrices are added.

        It is :math:`R(g) = \sigma^2 g`. For any law, with :math:`g = -m(z)` for the
        Stieltjes transform :math:`m`, it satisfies :math:`z = R(g) + 1/g`.

        Parameters
        ----------
        g : array_like
            Complex numbers, of any shape.

        Returns
        -------
        ndarray of complex
            The transform, of the same shape.
        """
        return self.variance * _complex_array("g", g)

    def _density(self, x: FloatArray) -> FloatArray:
        root = np.sqrt(4 * self.variance - x * x)
        return np.asarray(root / (2 * math.pi * self.variance))

    def _mass_below(self, x: FloatArray) -> FloatArray:
        u = x / self.support[1]
        return np.asarray(0.5 + (u * np.sqrt(1 - u * u) + np.arcsin(u)) / math.pi)

    def _transform(self, z: ComplexArray) -> ComplexArray:
        r"""Return the root of the self-consistent equation that decays at infinity.

        Implements :eq:`eq-self-consistent`, multiplied by its denominator and solved.
        """
        return np.asarray(-2 / (z + _root(z, *self.support)))

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
    1967). Implements :eq:`eq-marchenko-pastur`.

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
        """Probability of the value zero, positive if there are more columns than rows."""
        return max(0.0, 1 - 1 / self.aspect)

    def moment(self, k: int) -> float:
        r"""Return the mean of :math:`x^k`.

        Implements :eq:`eq-narayana`: it is :math:`\sigma^{2k}` times a polynomial in
        :math:`q` whose coefficients are the Narayana numbers.

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

    def r_transform(self, g: ArrayLike) -> ComplexArray:
        r"""Return the R-transform, which adds up when free matrices are added.

        It is :math:`R(g) = \sigma^2 / (1 - q \sigma^2 g)`.

        Parameters
        ----------
        g : array_like
            Complex numbers, of any shape; not the pole.

        Returns
        -------
        ndarray of complex
            The transform, of the same shape.

        Raises
        ------
        ValueError
            If `g` holds the pole, :math:`1 / (q \sigma^2)`.
        """
        g = _complex_array("g", g)
        below = 1 - self.aspect * self.variance * g
        if (below == 0).any():
            raise ValueError(f"g must not be {1 / (self.aspect * self.variance):g}, the pole")
        return np.asarray(self.variance / below)

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

    def _transform(self, z: ComplexArray) -> ComplexArray:
        # The transform solves q v z m^2 + (z + v (q - 1)) m + 1 = 0. Of the two forms of its root
        # the one without a difference of close numbers is taken.
        linear, root = z + self.variance * (self.aspect - 1), _root(z, *self.support)
        away = np.abs(linear + root) >= np.abs(linear - root)
        denominator = np.where(away, linear + root, 2 * self.aspect * self.variance * z)
        return np.asarray(np.where(away, -2, root - linear) / denominator)

    def _nodes(self, points: int) -> tuple[FloatArray, FloatArray]:
        angle = (np.arange(points) + 0.5) * math.pi / points
        x = self._at(angle)
        weight = 2 * self.variance * np.sin(angle) ** 2 / (points * x)
        # With an aspect close to 1 the pole at zero nearly touches the support, and the rule misses
        # a little mass there. The lowest point gets it.
        weight[0] += 1 - self.atom - weight.sum()
        return x, weight


@dataclass(frozen=True)
class FussCatalan(Law):
    r"""Law of the squared singular values of a product of large square matrices.

    Let :math:`P = G_1 \cdots G_L`, where the :math:`G_l` are independent
    :math:`n \times n` matrices with independent entries of variance :math:`1/n`. As
    :math:`n` grows, the eigenvalues of :math:`P^\top P` have a density on the
    interval from 0 to :math:`(L + 1)^{L + 1} / L^L`. For :math:`L = 1` the law is
    ``MarchenkoPastur(1.0)``. Implements :eq:`eq-fuss-catalan`.

    Parameters
    ----------
    factors : int
        :math:`L`, at least 1.

    Raises
    ------
    ValueError
        If `factors` is below 1.

    References
    ----------
    Penson & Życzkowski, Product of Ginibre matrices: Fuss-Catalan and Raney
    distributions, Physical Review E 83 (2011).

    Examples
    --------
    >>> law = FussCatalan(2)
    >>> law.support
    (0.0, 6.75)
    >>> [law.moment(k) for k in range(5)]
    [1.0, 1.0, 3.0, 12.0, 55.0]
    """

    factors: int

    def __post_init__(self) -> None:
        integer("factors", self.factors)

    @property
    def support(self) -> tuple[float, float]:
        """Ends of the interval on which the density is positive."""
        return 0.0, (self.factors + 1) * (1 + 1 / self.factors) ** self.factors

    def moment(self, k: int) -> float:
        r"""Return the mean of :math:`x^k`, a Fuss-Catalan number.

        Parameters
        ----------
        k : int
            Order, at least 0.

        Returns
        -------
        float
            :math:`\binom{(L+1)k}{k} / (Lk + 1)`.
        """
        k = integer("k", k, minimum=0)
        return math.comb((self.factors + 1) * k, k) / (self.factors * k + 1)

    # All follows from w = z g, where g is the mean of 1 / (z - x): it solves
    # w^(L+1) = z (w - 1). Above a point x of the support w = r exp(-i phi) with
    # r = sin((L+1) phi) / sin(L phi), and phi between 0, where x is the upper end,
    # and pi / (L+1), where x = 0.

    def _phi(self, angle: FloatArray) -> FloatArray:
        # At the upper end itself the quotients below would be 0/0.
        return np.maximum((math.pi - angle) / (self.factors + 1), 1e-9)

    def _radius(self, phi: FloatArray) -> FloatArray:
        return np.asarray(np.sin((self.factors + 1) * phi) / np.sin(self.factors * phi))

    def _at(self, angle: FloatArray) -> FloatArray:
        phi = self._phi(angle)
        x = self._radius(phi) ** self.factors * np.sin((self.factors + 1) * phi) / np.sin(phi)
        return np.clip(x, *self.support)

    def _mass_at(self, angle: FloatArray) -> FloatArray:
        phi = self._phi(angle)
        above = (self.factors + 1) * phi - self.factors * self._radius(phi) * np.sin(phi)
        return np.where(angle <= 0, 0.0, 1 - above / math.pi)

    def _angle(self, x: FloatArray) -> FloatArray:
        """Return the angle at points of the support; it rises with them."""

        def excess(angle: FloatArray, x: FloatArray) -> FloatArray:
            return self._at(angle) - x

        ends = np.zeros_like(x), np.full_like(x, math.pi)
        angle = find_root(excess, ends, args=(x,)).x
        return np.where(x <= 0, 0.0, np.where(x >= self.support[1], math.pi, angle))

    def _density(self, x: FloatArray) -> FloatArray:
        phi = self._phi(self._angle(x))
        return np.asarray(self._radius(phi) * np.sin(phi) / (math.pi * x))

    def _mass_below(self, x: FloatArray) -> FloatArray:
        return self._mass_at(self._angle(x))

    def _nodes(self, points: int) -> tuple[FloatArray, FloatArray]:
        # Gauss's rule in phi, where everything is analytic: 500 points are as good as more.
        nodes, weight = np.polynomial.legendre.leggauss(min(points, 500))
        angle, count = (nodes + 1) * math.pi / 2, self.factors
        phi = self._phi(angle)
        top, bottom = (count + 1) * phi, count * phi
        # The derivative of sin((L+1) phi) sin(phi) / sin(L phi), and with it that of the mass.
        slope = (count + 1) * np.cos(top) * np.sin(phi) + np.sin(top) * np.cos(phi)
        slope -= count * np.cos(bottom) * self._radius(phi) * np.sin(phi)
        mass = 1 - count / (count + 1) * slope / np.sin(bottom)
        return self._at(angle), weight * mass / 2

    def _transform(self, z: ComplexArray) -> ComplexArray:
        # Of the roots w the one in the sector that the description of phi above names is right.
        flat = np.empty(z.size, dtype=z.dtype)
        for k, point in enumerate(z.ravel()):
            w = np.roots(np.array([1.0, *(0.0,) * (self.factors - 1), -point, point]))
            angle = -np.angle(w)
            inside = (angle > -1e-9) & (angle < math.pi / (self.factors + 1) + 1e-9)
            # On the real line above the support two roots lie in it; the smaller is 1 far away.
            best = w[inside][np.argmin(np.abs(w[inside]))]
            flat[k] = -best / point
        return flat.reshape(z.shape)


@dataclass(frozen=True)
class CircularLaw:
    r"""Law of the eigenvalues of large square matrices without symmetry, and of products.

    The eigenvalues of a matrix with independent entries of variance :math:`1/n`
    fill the unit disc evenly. Those of a product of :math:`L` such matrices lie in
    the same disc, closer to its middle: a share :math:`r^{2/L}` of them lies within
    the radius :math:`r`. Implements :eq:`eq-circular`.

    Parameters
    ----------
    factors : int, default 1
        :math:`L`, at least 1.

    Raises
    ------
    ValueError
        If `factors` is below 1.

    References
    ----------
    Girko, Circular Law, Theory of Probability and its Applications 29 (1985);
    Tao & Vu, Random matrices: Universality of ESDs and the circular law,
    Annals of Probability 38 (2010); for products Burda, Janik & Waclaw,
    Spectrum of the product of independent random Gaussian matrices, Physical
    Review E 81 (2010).

    Examples
    --------
    >>> CircularLaw().cdf(0.5)
    array(0.25)
    >>> CircularLaw(2).cdf(0.5)
    array(0.5)
    """

    factors: int = 1

    def __post_init__(self) -> None:
        integer("factors", self.factors)

    def pdf(self, z: ArrayLike) -> FloatArray:
        r"""Return the density per unit of area.

        Parameters
        ----------
        z : array_like
            Complex numbers, of any shape; zero is allowed for one factor only.

        Returns
        -------
        ndarray
            :math:`\lvert z \rvert^{2/L - 2} / (\pi L)` inside the unit disc and
            zero outside, of the same shape.

        Raises
        ------
        ValueError
            If `z` is not finite, or is zero where the density is infinite.
        """
        radius = np.abs(_complex_array("z", z))
        if self.factors > 1 and (radius == 0).any():
            raise ValueError("z must not be 0, where the density of a product is infinite")
        inside = radius <= 1
        density = np.where(inside, radius, 1.0) ** (2 / self.factors - 2) / (math.pi * self.factors)
        return np.where(inside, density, 0.0)

    def cdf(self, radius: ArrayLike) -> FloatArray:
        """Return the share of eigenvalues within a radius.

        Parameters
        ----------
        radius : array_like
            Radii, of any shape.

        Returns
        -------
        ndarray
            Shares, of the same shape.

        Raises
        ------
        ValueError
            If `radius` holds NaN.
        """
        return np.asarray(np.clip(_points(radius), 0.0, 1.0) ** (2 / self.factors))

    def quantile(self, p: ArrayLike) -> FloatArray:
        """Return the radius within which a share `p` of the eigenvalues lies.

        Parameters
        ----------
        p : array_like
            Shares between 0 and 1, of any shape.

        Returns
        -------
        ndarray
            Radii, of the same shape.

        Raises
        ------
        ValueError
            If a share lies outside 0 and 1.
        """
        p = float_array("p", p, finite=True)
        if p.size and (p.min() < 0 or p.max() > 1):
            raise ValueError(f"p must lie in 0..1, got values from {p.min()} to {p.max()}")
        return np.asarray(p ** (self.factors / 2))


def closed_walks(k: int) -> dict[int, int]:
    r"""Count the closed walks of `k` steps that use every edge an even number of times.

    Implements :eq:`eq-walks`: the mean of :math:`\operatorname{tr} A^k` is a sum
    over closed walks, and for a matrix of random signs a walk counts if it takes
    each of its edges (in either direction, loops included) an even number of
    times. Walks that differ only in the names of their places are one shape.

    Parameters
    ----------
    k : int
        Steps, from 1 to 12: the time grows as the Bell numbers do.

    Returns
    -------
    dict of int to int
        For each number :math:`v` of different places the number :math:`N_v` of
        shapes. Those with :math:`v = k/2 + 1` are walks around trees, and there
        are as many as the Catalan number of order :math:`k/2`.

    Raises
    ------
    ValueError
        If `k` is below 1 or above 12.

    Examples
    --------
    >>> closed_walks(4)
    {1: 1, 2: 5, 3: 2}
    """
    steps = integer("k", k)
    if steps > 12:
        raise ValueError(f"k must be at most 12, got {steps}")
    counts: Counter[int] = Counter()
    for walk in _shapes([0], steps):
        edges = Counter(frozenset(edge) for edge in zip(walk, [*walk[1:], walk[0]], strict=True))
        if all(times % 2 == 0 for times in edges.values()):
            counts[max(walk) + 1] += 1
    return dict(sorted(counts.items()))


def _shapes(walk: list[int], length: int) -> Iterator[list[int]]:
    """Yield the walks in which each new place gets the smallest free number."""
    if len(walk) == length:
        yield walk
        return
    for place in range(max(walk) + 2):
        yield from _shapes([*walk, place], length)


def _root(z: ComplexArray, low: float, high: float) -> ComplexArray:
    """Return the root of (z - low)(z - high) that is close to z far away."""
    return np.asarray(np.sqrt(z - low) * np.sqrt(z - high))


def _complex_array(name: str, value: ArrayLike) -> ComplexArray:
    array = np.asarray(value)
    if array.dtype.kind not in "fiubc":
        raise TypeError(f"{name} must hold numbers, got dtype {array.dtype}")
    array = array.astype(np.complex128)
    if not np.isfinite(array).all():
        raise ValueError(
            f"{name} must be finite, got {np.sum(~np.isfinite(array))} NaN or infinity"
        )
    return array


def upper_half_plane(z: ArrayLike) -> ComplexArray:
    """Return `z` as complex numbers on or above the real axis, or say what is wrong."""
    array = _complex_array("z", z)
    if (array.imag < 0).any():
        raise ValueError(f"z must not lie below the real axis, got {np.sum(array.imag < 0)} such")
    return array


def _points(x: ArrayLike) -> FloatArray:
    """Return `x` as an array that may hold infinity, but not NaN."""
    array = float_array("x", x)
    if np.isnan(array).any():
        raise ValueError(f"x must not hold NaN, got {np.isnan(array).sum()}")
    return array
