"""Edges of spectra: where the largest eigenvalue of pure noise lies, and how much it varies."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.typing import ArrayLike
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize.elementwise import find_root
from scipy.special import airy, logit, roots_legendre

from companion._validation import FloatArray, Seed, float_array, generator, integer, real

# Enough for the Airy kernel to reach full precision from -8 to 30.
_NODES = 48
# Matrices of _NODES x _NODES that are in memory at once.
_BATCH = 256
# Below this, by beta, the distribution function comes from its asymptotic series: the determinant
# has lost half of its digits there, and the series has become good.
_SERIES_BELOW = {1: -6.0, 2: -6.0, 4: -7.5}
# What the limit of the largest eigenvalue must be multiplied by to follow the law of TracyWidom.
_RESCALE = {1: 1.0, 2: 1.0, 4: 2 ** (2 / 3)}
# Derivative of Riemann's zeta function at -1.
_ZETA_PRIME = -0.1654211437004509


@dataclass(frozen=True)
class TracyWidom:
    r"""Law of the largest eigenvalue of a large random matrix, centred and scaled.

    With :math:`V_s(x, y) = \tfrac12 \mathrm{Ai}((x + y)/2 + s)` on
    :math:`(0, \infty)` the distribution functions are Fredholm determinants:

    .. math::
        F_1 = \det(I - V_s), \quad
        F_2 = \det(I - V_s) \det(I + V_s), \quad
        F_4 = \tfrac12 (\det(I - V_s) + \det(I + V_s)).

    Implements :eq:`eq-tracy-widom`.

    A Gauss-Legendre rule turns each into the determinant of a small matrix
    (Bornemann, Markov Process. Relat. Fields 16, 2010; the kernel is that of
    Ferrari and Spohn, J. Phys. A 38, 2005). Far to the left the determinants
    lose their digits, and the expansion that follows from Painlevé's second
    equation takes over.

    For ``beta=4`` the literature has three scales. This is Bornemann's, of mean
    -3.2624. Tracy and Widom (Comm. Math. Phys. 177, 1996) have
    :math:`F_4(\sqrt 2 s)`, of mean -2.3069. The limit of the tridiagonal
    ensembles in the scale of the other two betas is :math:`F_4(2^{2/3} s)`, of
    mean -2.0552; :func:`hermite_edge` and :func:`laguerre_edge` know that.

    Accuracy: 1e-13 absolute; relative 1e-10 in the right tail up to 30, and
    1e-7 in the left tail.

    Parameters
    ----------
    beta : int
        1 for real symmetric, 2 for complex Hermitian, 4 for quaternion matrices.

    Raises
    ------
    ValueError
        If `beta` is not 1, 2 or 4.

    Examples
    --------
    >>> law = TracyWidom(2)
    >>> round(float(law.cdf(-2.0)), 10)
    0.413224143
    >>> round(float(TracyWidom(1).quantile(0.95)), 4)
    0.9793
    """

    beta: int = 1

    def __post_init__(self) -> None:
        if integer("beta", self.beta) not in (1, 2, 4):
            raise ValueError(f"beta must be 1, 2 or 4, got {self.beta}")

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Return the probability of a value of at most `x`.

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
            If `x` holds NaN or infinity.
        """
        return self._evaluate(x, lambda flat: self._tails(flat)[0])

    def sf(self, x: ArrayLike) -> FloatArray:
        """Return the probability of a value above `x`, accurate where it is tiny.

        Parameters
        ----------
        x : array_like
            Points, of any shape.

        Returns
        -------
        ndarray
            Probabilities, of the same shape: the p-values of a test.

        Raises
        ------
        ValueError
            If `x` holds NaN or infinity.
        """
        return self._evaluate(x, lambda flat: self._tails(flat)[1])

    def pdf(self, x: ArrayLike) -> FloatArray:
        r"""Return the density at `x`.

        It is the derivative of the determinant,
        :math:`(\log \det(I - V))' = -\mathrm{tr}((I - V)^{-1} V')`; no
        difference is taken.

        Parameters
        ----------
        x : array_like
            Points, of any shape.

        Returns
        -------
        ndarray
            Densities, of the same shape.

        Raises
        ------
        ValueError
            If `x` holds NaN or infinity.
        """
        return self._evaluate(x, self._pdf)

    def quantile(self, p: ArrayLike) -> FloatArray:
        """Return the value that is not exceeded with probability `p`.

        Parameters
        ----------
        p : array_like
            Probabilities strictly between 0 and 1, of any shape.

        Returns
        -------
        ndarray
            Values, of the same shape.

        Raises
        ------
        ValueError
            If a probability is not strictly between 0 and 1.
        """
        p = float_array("p", p, finite=True)
        if p.size and (p.min() <= 0 or p.max() >= 1):
            raise ValueError(
                f"p must lie strictly between 0 and 1, got values from {p.min()} to {p.max()}"
            )

        def excess(x: FloatArray, p: FloatArray) -> FloatArray:
            # Logarithms of the nearer tail, so that both tails are met to relative accuracy.
            left, right = self._tails(x.ravel())
            low = np.log(left).reshape(x.shape) - np.log(p)
            high = np.log1p(-p) - np.log(right).reshape(x.shape)
            return np.where(p < 0.5, low, high)

        # Beyond these ends not even the smallest number has its quantile.
        return np.asarray(
            find_root(excess, (np.full_like(p, -20.0), np.full_like(p, 20.0)), args=(p,)).x
        )

    def sample(self, size: int, *, rng: Seed) -> FloatArray:
        """Draw from the law, by the inverse of its distribution function.

        The inverse is interpolated, so that a sample costs next to nothing; the
        probability of a value is met to 1e-9.

        Parameters
        ----------
        size : int
            Number of values, at least 0.
        rng : numpy.random.Generator or int
            Source of randomness, or a seed for one.

        Returns
        -------
        ndarray of shape (size,)
            Independent values.
        """
        size = integer("size", size, minimum=0)
        uniform = generator("rng", rng).random(size)
        return np.asarray(_inverse(self.beta)(logit(np.maximum(uniform, 1e-16))))

    def mean(self) -> float:
        """Return the mean, by quadrature of the density."""
        return float(_moments(self.beta)[0])

    def std(self) -> float:
        """Return the standard deviation, by quadrature of the density."""
        return float(_moments(self.beta)[1])

    def _evaluate(self, x: ArrayLike, f: Callable[[FloatArray], FloatArray]) -> FloatArray:
        x = float_array("x", x, finite=True)
        flat = x.ravel().astype(np.float64)
        parts = [f(flat[i : i + _BATCH]) for i in range(0, flat.size, _BATCH)]
        return np.concatenate(parts).reshape(x.shape) if parts else np.empty(x.shape)

    def _tails(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the distribution function and its complement at points of shape (m,)."""
        left = x < _SERIES_BELOW[self.beta]
        right = ~left
        below, above = np.empty_like(x), np.empty_like(x)
        below[left] = self._series(x[left])[0]
        above[left] = 1 - below[left]
        below[right], above[right] = self._from_eigenvalues(
            np.linalg.eigvalsh(_kernel(x[right])[0])
        )
        return below, above

    def _pdf(self, x: FloatArray) -> FloatArray:
        left = x < _SERIES_BELOW[self.beta]
        right = ~left
        out = np.empty_like(x)
        out[left] = self._series(x[left])[1]
        nu, slope = _eigenvalues(*_kernel(x[right]))
        if self.beta == 4:
            out[right] = _even_part(nu, slope)[1]
        else:
            value, _ = self._from_eigenvalues(nu)
            rate = slope / (1 - nu) if self.beta == 1 else 2 * nu * slope / (1 - nu * nu)
            out[right] = -value * rate.sum(axis=-1)
        return np.maximum(out, 0.0)

    def _from_eigenvalues(self, nu: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the distribution function and its complement from the eigenvalues of V."""
        if self.beta == 4:
            above = -_even_part(nu, np.zeros_like(nu))[0]
            return 1 - above, above
        log = np.log1p(-nu if self.beta == 1 else -nu * nu).sum(axis=-1)
        return np.exp(log), -np.expm1(log)

    def _series(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return distribution function and density far to the left."""
        log_f2, slope_f2, log_e, slope_e = _left_tail(x)
        half, slope_half = log_f2 / 2, slope_f2 / 2
        if self.beta == 2:
            log, slope = log_f2, slope_f2
        elif self.beta == 1:
            log, slope = half + log_e, slope_half + slope_e
        else:
            log = half + np.logaddexp(log_e, -log_e) - math.log(2)
            slope = slope_half + slope_e * np.tanh(log_e)
        value = np.exp(log)
        return value, value * slope


def _kernel(s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return V_s and its derivative by s as symmetric matrices on a quadrature rule."""
    # Beyond this length the kernel is 1e-17 of its value at the corner.
    length = 2 * ((60 + np.maximum(s, 0) ** 1.5) ** (2 / 3) - s)[:, None]
    nodes, weights = roots_legendre(_NODES)
    x, w = (nodes + 1) / 2 * length, weights / 2 * length
    i, j = np.tril_indices(_NODES)
    matrices = np.zeros((2, s.size, _NODES, _NODES))
    scale = np.sqrt(w[:, i] * w[:, j]) / 2
    for matrix, values in zip(
        matrices, airy((x[:, i] + x[:, j]) / 2 + s[:, None])[:2], strict=True
    ):
        matrix[:, i, j] = matrix[:, j, i] = values * scale
    return matrices[0], matrices[1]


def _eigenvalues(value: FloatArray, slope: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the eigenvalues of symmetric matrices, and their derivatives."""
    nu, u = np.linalg.eigh(value)
    return nu, np.sum(u * (slope @ u), axis=-2)


def _even_part(nu: FloatArray, slope: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return half the sum of the products of 1 - nu and of 1 + nu, less one; and its derivative.

    This is the sum of the even symmetric functions of the eigenvalues. Added up
    like this the leading terms of the two products, which cancel, never appear.
    """
    even, odd, d_even, d_odd = np.zeros((4, *nu.shape[:-1]))
    for v, dv in zip(np.moveaxis(nu, -1, 0), np.moveaxis(slope, -1, 0), strict=True):
        d_even, d_odd = d_even + dv * odd + v * d_odd, d_odd + dv * (1 + even) + v * d_even
        even, odd = even + v * odd, odd + v * (1 + even)
    return even, d_even


@functools.cache
def _painleve(terms: int = 14) -> tuple[tuple[float, ...], tuple[float, ...]]:
    r"""Return the coefficients of q and of q squared for s to minus infinity.

    With :math:`t = -s` the solution of :math:`q'' = s q + 2 q^3` that belongs to
    the Airy kernel is :math:`\sqrt{t/2} \sum_k a_k t^{-3k}`. The equation gives
    the :math:`a_k` one after another.
    """
    a = [Fraction(1)]
    for k in range(1, terms):
        power = Fraction(1, 2) - 3 * (k - 1)
        known = [*a, Fraction(0)]
        cube = sum(
            known[i] * known[j] * known[k - i - j] for i in range(k + 1) for j in range(k + 1 - i)
        )
        a.append((a[-1] * power * (power - 1) - cube) / 2)
    square = [sum(a[i] * a[k - i] for i in range(k + 1)) for k in range(terms)]
    return tuple(map(float, a)), tuple(map(float, square))


def _left_tail(s: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    r"""Return log F2, its slope, log(F1 / sqrt F2) and its slope, by asymptotic series.

    :math:`(\log F_2)'' = -q^2` and :math:`(\log F_1/\sqrt{F_2})' = q/2`. The
    constants are those of Deift, Its and Krasovsky (2008) and of Baik,
    Buckingham and DiFranco (2008), both Comm. Math. Phys.
    """
    t = -s
    a, b = _painleve()
    log_f2 = -(t**3) / 12 - np.log(t) / 8 + math.log(2) / 24 + _ZETA_PRIME
    slope_f2 = t**2 / 4 + 1 / (8 * t)
    log_e = -(t**1.5) / (3 * math.sqrt(2)) - math.log(2) / 4
    slope_e = np.sqrt(t / 8)
    # The series diverge in the end: nine terms are best where they begin to be used, and ample
    # further left.
    for k in range(1, 10):
        slope_e = slope_e + a[k] * t ** (0.5 - 3 * k) / math.sqrt(8)
        log_e = log_e - a[k] * t ** (1.5 - 3 * k) / (math.sqrt(8) * (1.5 - 3 * k))
        if k > 1:
            slope_f2 = slope_f2 + b[k] / 2 * t ** (2 - 3 * k) / (2 - 3 * k)
            log_f2 = log_f2 - b[k] / 2 * t ** (3 - 3 * k) / ((2 - 3 * k) * (3 - 3 * k))
    return log_f2, slope_f2, log_e, slope_e


@dataclass(frozen=True)
class EdgeScale:
    """Where the largest eigenvalue of an ensemble lies, and on which scale it varies.

    Attributes
    ----------
    center, scale : float
        ``(largest - center) / scale`` follows, nearly, :class:`TracyWidom`.
    beta : int
        Which of its three laws.
    """

    center: float
    scale: float
    beta: int

    def standardise(self, largest: ArrayLike) -> FloatArray:
        """Return ``(largest - center) / scale``.

        Parameters
        ----------
        largest : array_like
            Largest eigenvalues, of any shape.

        Returns
        -------
        ndarray
            Values to hold against :class:`TracyWidom`, of the same shape.
        """
        return (float_array("largest", largest) - self.center) / self.scale


def hermite_edge(n: int, beta: int = 1) -> EdgeScale:
    r"""Return centre and scale of the largest eigenvalue of :func:`beta_hermite`.

    In the limit the centre is 2 and the scale :math:`n^{-2/3}`. With
    :math:`n + 1/2 - 1/\beta` in the place of :math:`n` the error of the
    distribution falls like :math:`n^{-2/3}` (Johnstone and Ma, Ann. Appl.
    Probab. 22, 2012, for beta 1 and 2).

    Parameters
    ----------
    n : int
        Size of the matrix.
    beta : int
        1, 2 or 4.

    Returns
    -------
    EdgeScale
        Centre and scale.

    Raises
    ------
    ValueError
        If `beta` is not 1, 2 or 4.

    Examples
    --------
    >>> hermite_edge(1000, beta=2)
    EdgeScale(center=2.0, scale=0.01, beta=2)
    """
    n, beta = integer("n", n), TracyWidom(beta).beta
    effective = n + 0.5 - 1 / beta
    center, scale = 2 * math.sqrt(effective / n), effective ** (-1 / 6) / math.sqrt(n)
    return EdgeScale(center, scale / _RESCALE[beta], beta)


def laguerre_edge(n: int, p: int, beta: int = 1) -> EdgeScale:
    r"""Return centre and scale of the largest eigenvalue of a sample covariance of noise.

    For :math:`X^\top X / n` with an :math:`n \times p` matrix :math:`X` of
    independent standard normal entries, real for ``beta=1``. With
    :math:`n' = n + 1/2 - 1/\beta` and :math:`p' = p + 1/2 - 1/\beta` the centre
    is :math:`(\sqrt{n'} + \sqrt{p'})^2 / n` and the scale
    :math:`(\sqrt{n'} + \sqrt{p'})(1/\sqrt{n'} + 1/\sqrt{p'})^{1/3} / n`
    (Johnstone, Ann. Stat. 29, 2001; the halves are those of Ma, Bernoulli 18,
    2012).

    Implements :eq:`eq-johnstone`.

    Parameters
    ----------
    n : int
        Number of rows: of samples.
    p : int
        Number of columns: of variables. It may exceed `n`.
    beta : int
        1, 2 or 4.

    Returns
    -------
    EdgeScale
        Centre and scale.

    Raises
    ------
    ValueError
        If `beta` is not 1, 2 or 4.

    Examples
    --------
    >>> edge = laguerre_edge(200, 50)
    >>> round(edge.center, 3), round(edge.scale, 4)
    (2.239, 0.0632)
    """
    n, p, beta = integer("n", n), integer("p", p), TracyWidom(beta).beta
    rows, columns = (math.sqrt(size + 0.5 - 1 / beta) for size in (n, p))
    center = (rows + columns) ** 2 / n
    scale = (rows + columns) * (1 / rows + 1 / columns) ** (1 / 3) / n
    return EdgeScale(center, scale / _RESCALE[beta], beta)


def beta_hermite(n: int, beta: float, *, rng: Seed) -> tuple[FloatArray, FloatArray]:
    r"""Draw a tridiagonal matrix with the eigenvalues of a Gaussian ensemble.

    The diagonal is normal of variance :math:`2/(\beta n)`; beside it stand
    :math:`\chi_{\beta k} / \sqrt{\beta n}` for :math:`k = n-1, \dots, 1`. The
    eigenvalues have the joint density
    :math:`\prod_{i<j} |\lambda_i - \lambda_j|^\beta
    \exp(-\beta n \sum_i \lambda_i^2 / 4)` up to a constant, and for large
    :math:`n` the semicircle law on :math:`[-2, 2]` (Dumitriu and Edelman, J.
    Math. Phys. 43, 2002). For ``beta=1`` they are those of a symmetric matrix
    with variance :math:`1/n` off the diagonal.

    Implements :eq:`eq-beta-hermite`.

    Parameters
    ----------
    n : int
        Size of the matrix.
    beta : float
        Strength of the repulsion, positive; 1, 2 and 4 are the classical ones.
    rng : numpy.random.Generator or int
        Source of randomness, or a seed for one.

    Returns
    -------
    diagonal : ndarray of shape (n,)
        Diagonal, as :func:`scipy.linalg.eigvalsh_tridiagonal` takes it.
    off_diagonal : ndarray of shape (n - 1,)
        Entries beside the diagonal.

    Raises
    ------
    ValueError
        If `beta` is not positive.

    Examples
    --------
    >>> from scipy.linalg import eigvalsh_tridiagonal
    >>> spectrum = eigvalsh_tridiagonal(*beta_hermite(1000, 2.0, rng=0))
    >>> bool(abs(spectrum).max() < 2.05)
    True
    """
    n, rng = integer("n", n), generator("rng", rng)
    beta = real("beta", beta, minimum=0.0, open_minimum=True)
    diagonal = rng.normal(scale=math.sqrt(2 / (beta * n)), size=n)
    off_diagonal = np.sqrt(rng.chisquare(beta * np.arange(n - 1, 0, -1)) / (beta * n))
    return diagonal, off_diagonal


def beta_laguerre(n: int, p: int, beta: float, *, rng: Seed) -> tuple[FloatArray, FloatArray]:
    r"""Draw a tridiagonal matrix with the eigenvalues of a sample covariance of noise.

    It is :math:`B B^\top / (\beta n)`, where :math:`B` has
    :math:`\chi_{\beta n}, \chi_{\beta (n-1)}, \dots` on its diagonal and
    :math:`\chi_{\beta (p-1)}, \dots, \chi_\beta` below it (Dumitriu and Edelman,
    J. Math. Phys. 43, 2002). For ``beta=1`` the eigenvalues are those of
    :math:`X^\top X / n` with standard normal entries.

    Parameters
    ----------
    n : int
        Number of rows of :math:`X`, at least `p`.
    p : int
        Number of columns, and of eigenvalues.
    beta : float
        Strength of the repulsion, positive.
    rng : numpy.random.Generator or int
        Source of randomness, or a seed for one.

    Returns
    -------
    diagonal : ndarray of shape (p,)
        Diagonal, as :func:`scipy.linalg.eigvalsh_tridiagonal` takes it.
    off_diagonal : ndarray of shape (p - 1,)
        Entries beside the diagonal.

    Raises
    ------
    ValueError
        If `beta` is not positive, or `n` is less than `p`.

    Examples
    --------
    >>> from scipy.linalg import eigvalsh_tridiagonal
    >>> spectrum = eigvalsh_tridiagonal(*beta_laguerre(4000, 1000, 1.0, rng=0))
    >>> bool(spectrum.min() > 0.23 and spectrum.max() < 2.28)
    True
    """
    n, p, rng = integer("n", n), integer("p", p), generator("rng", rng)
    beta = real("beta", beta, minimum=0.0, open_minimum=True)
    if n < p:
        raise ValueError(f"n must be at least p = {p}, got {n}")
    diagonal = rng.chisquare(beta * np.arange(n, n - p, -1)) / (beta * n)
    below = rng.chisquare(beta * np.arange(p - 1, 0, -1)) / (beta * n)
    squares = diagonal.copy()
    squares[1:] += below
    return squares, np.sqrt(diagonal[:-1] * below)


@dataclass(frozen=True)
class EdgeTest:
    """Result of :func:`largest_eigenvalue_test`.

    Attributes
    ----------
    largest : float
        Largest eigenvalue of the sample covariance, in units of the variance of
        the noise.
    statistic : float
        The same, centred and scaled.
    pvalue : float
        Probability that pure noise reaches this statistic.
    """

    largest: float
    statistic: float
    pvalue: float


def largest_eigenvalue_test(x: ArrayLike, *, variance: float | None = None) -> EdgeTest:
    r"""Test whether the largest principal component is more than noise.

    The hypothesis is that the rows of `x` are independent, with independent
    normal entries of one variance and mean zero. If the mean is unknown, take the
    column means off first, which costs one row. The test holds the largest eigenvalue
    of :math:`X^\top X / n` against :class:`TracyWidom` (Johnstone, Ann. Stat. 29,
    2001).

    Parameters
    ----------
    x : array_like of shape (n, p)
        Data, one sample a row; at least two rows and two columns.
    variance : float, optional
        Variance of the noise. By default it is the mean square of `x`, which a
        strong component raises: the test then errs on the side of noise.

    Returns
    -------
    EdgeTest
        Statistic and p-value.

    Raises
    ------
    ValueError
        If `x` is not a matrix of that size, holds NaN or infinity, or is zero,
        or if `variance` is not positive.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(200, 50))
    >>> largest_eigenvalue_test(x).pvalue > 0.05
    True
    >>> x[:, 0] *= 2
    >>> largest_eigenvalue_test(x).pvalue < 1e-6
    True
    """
    x = float_array("x", x, ndim=2, finite=True).astype(np.float64)
    n, p = x.shape
    if min(n, p) < 2:
        raise ValueError(f"x must have at least two rows and two columns, got shape {x.shape}")
    if variance is None:
        variance = float(np.mean(x * x))
        if variance == 0:
            raise ValueError("x must not be zero everywhere")
    variance = real("variance", variance, minimum=0.0, open_minimum=True)
    largest = float(np.linalg.norm(x, 2) ** 2 / (n * variance))
    edge = laguerre_edge(n, p)
    statistic = float(edge.standardise(largest))
    return EdgeTest(largest, statistic, float(TracyWidom(1).sf(statistic)))


@functools.cache
def _inverse(beta: int) -> CubicHermiteSpline:
    """Return the quantile function of the log odds as a spline."""
    law = TracyWidom(beta)

    def log_odds(x: FloatArray) -> FloatArray:
        below, above = law._tails(x)
        return np.log(below) - np.log(above)

    # The log odds are almost straight. A polynomial through a few exact values gives many more.
    low, high = map(float, law.quantile([1e-15, 1 - 1e-15]))
    odds = Chebyshev.interpolate(log_odds, 70, domain=(low, high))
    x = np.linspace(low, high, 1000)
    return CubicHermiteSpline(odds(x), x, 1 / odds.deriv()(x))


@functools.cache
def _moments(beta: int) -> tuple[float, float]:
    nodes, weights = roots_legendre(120)
    x, w = -12 + (nodes + 1) * 14, weights * 14
    density = TracyWidom(beta).pdf(x)
    mean = w @ (x * density)
    return float(mean), math.sqrt(w @ ((x - mean) ** 2 * density))
