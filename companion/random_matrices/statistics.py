"""How far a spectrum is from a law, and how its eigenvalues keep their distance."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from companion._validation import FloatArray, choice, float_array, real


class Distribution(Protocol):
    """What ``spectral_distance`` needs of a law."""

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Return the probability of a value of at most x."""

    def quantile(self, p: ArrayLike) -> FloatArray:
        """Return the smallest value that is not exceeded with probability p."""


def spectral_distance(
    eigenvalues: ArrayLike, law: Distribution, *, metric: str = "kolmogorov"
) -> float:
    r"""Return how far a list of eigenvalues is from a law.

    Parameters
    ----------
    eigenvalues : array_like, shape (n,)
        Real numbers, in any order.
    law : Law or FreeLaw
        Anything with ``cdf`` and ``quantile``. An atom at zero, if it has one, is
        its attribute ``atom``; eigenvalues that are zero but for rounding then
        count as zero.
    metric : {"kolmogorov", "wasserstein"}
        The largest difference between the share of eigenvalues below a point and
        the probability, over all points, a number without a unit; or the mean
        distance between the :math:`i`-th eigenvalue and the law's quantile at
        :math:`(i - 1/2) / n`, in units of the eigenvalues. The latter is
        Wasserstein's distance of order 1 up to terms of order :math:`1/n`.

    Returns
    -------
    float
        The distance, at least 0. For independent draws from the law the first
        one has a mean of about :math:`0.87 / \sqrt n`. Eigenvalues of a random
        matrix are far closer to their law: no further away, for most ensembles
        here, than a few times :math:`1/n`.

    Raises
    ------
    ValueError
        If there is no eigenvalue, one is not finite, or `metric` is unknown.

    Examples
    --------
    >>> from companion.random_matrices import Semicircle
    >>> spectral_distance([0.0], Semicircle())
    0.5
    >>> spectral_distance([-1.0, 1.0], Semicircle(), metric="wasserstein") < 0.2
    True
    """
    x = np.sort(float_array("eigenvalues", eigenvalues, ndim=1, finite=True).astype(np.float64))
    choice("metric", metric, ("kolmogorov", "wasserstein"))
    if not x.size:
        raise ValueError("eigenvalues must not be empty")
    atom = float(getattr(law, "atom", 0.0))
    if atom:
        rounding = x.size * np.finfo(np.float64).eps * np.abs(x).max()
        x = np.where(np.abs(x) <= rounding, 0.0, x)
    if metric == "wasserstein":
        return float(np.abs(x - law.quantile((np.arange(x.size) + 0.5) / x.size)).mean())
    at = law.cdf(x)
    above = np.searchsorted(x, x, side="right") / x.size - at
    below = at - atom * (x == 0) - np.searchsorted(x, x, side="left") / x.size
    return float(np.maximum(np.abs(above), np.abs(below)).max())


def spacing_ratios(eigenvalues: ArrayLike) -> FloatArray:
    r"""Return, for each two neighbouring gaps of a spectrum, the smaller over the larger.

    With the eigenvalues in order and the gaps
    :math:`s_i = \lambda_{i+1} - \lambda_i`, the ratio is
    :math:`r_i = \min(s_i, s_{i+1}) / \max(s_i, s_{i+1})`. Its law needs no knowledge
    of the density: a slowly varying factor cancels. The mean for large matrices is
    about 0.531 for the GOE, 0.600 for the GUE and 0.674 for the GSE; for
    independent values it is :math:`2 \ln 2 - 1`, about 0.386.

    Parameters
    ----------
    eigenvalues : array_like, shape (n,)
        Real numbers in any order, at least three. Of eigenvalues that come in
        equal pairs, as those of the GSE do, keep one of each pair.

    Returns
    -------
    ndarray, shape (n - 2,)
        Numbers between 0 and 1.

    Raises
    ------
    ValueError
        If there are fewer than three, one is not finite, or three are equal.

    References
    ----------
    Oganesyan & Huse, Localization of interacting fermions at high temperature,
    Physical Review B 75 (2007); Atas, Bogomolny, Giraud & Roux, Distribution of
    the Ratio of Consecutive Level Spacings in Random Matrix Ensembles, Physical
    Review Letters 110 (2013), for the means.

    Examples
    --------
    >>> spacing_ratios([0.0, 1.0, 3.0, 4.0])
    array([0.5, 0.5])
    """
    x = np.sort(float_array("eigenvalues", eigenvalues, ndim=1, finite=True))
    if x.size < 3:
        raise ValueError(f"eigenvalues must hold at least three, got {x.size}")
    gaps = np.diff(x)
    smaller, larger = np.minimum(gaps[1:], gaps[:-1]), np.maximum(gaps[1:], gaps[:-1])
    if (larger == 0).any():
        raise ValueError("three of the eigenvalues are equal, so the ratio of their gaps is 0/0")
    return np.asarray(smaller / larger)


def wigner_surmise(s: ArrayLike, beta: float) -> FloatArray:
    r"""Return Wigner's approximation to the density of the gap between neighbours.

    Implements :eq:`eq-surmise`. It is exact for Gaussian matrices with two
    eigenvalues, and close for large ones.

    Parameters
    ----------
    s : array_like
        Gaps over their mean, not negative, of any shape.
    beta : float
        1, 2 or 4 for the GOE, GUE or GSE; any positive number will do. (The
        exponential law of independent values is not its limit at zero.)

    Returns
    -------
    ndarray
        Density, of the same shape. Its total is 1, and its mean is 1.

    Raises
    ------
    ValueError
        If a gap is negative or not finite, or `beta` is not positive.

    References
    ----------
    Mehta, *Random Matrices* (3rd edition, 2004), chapter 1.

    Examples
    --------
    >>> wigner_surmise([0.0, 1.0], beta=1).round(4)
    array([0.    , 0.7162])
    """
    s = float_array("s", s, finite=True)
    if s.size and s.min() < 0:
        raise ValueError(f"s must not be negative, got {s.min()}")
    power = real("beta", beta, minimum=0.0, open_minimum=True)
    upper, lower = math.gamma(power / 2 + 1), math.gamma((power + 1) / 2)
    rate, scale = (upper / lower) ** 2, 2 * upper * (upper / lower) ** power / lower**2
    return np.asarray(scale * s**power * np.exp(-rate * s * s))
