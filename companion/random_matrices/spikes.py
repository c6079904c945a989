"""Spikes: when a signal of low rank stands out of the noise around it, where, and how truly."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from companion._validation import FloatArray, float_array, real


class Outlier(NamedTuple):
    """What a spike becomes in a large matrix.

    Attributes
    ----------
    position : ndarray
        Limit of the largest eigenvalue or singular value. Below the threshold
        it is the edge of the noise.
    overlap : ndarray
        Limit of the squared inner product of the leading vector with the planted
        one, both of length one. Below the threshold it is zero.
    """

    position: FloatArray
    overlap: FloatArray


class RectangularOutlier(NamedTuple):
    """What a spike becomes in a large rectangular matrix.

    Attributes
    ----------
    position : ndarray
        Limit of the largest singular value. Below the threshold it is the edge of
        the noise.
    left, right : ndarray
        Limits of the squared inner products of the leading left and right
        singular vectors with the planted ones. Below the threshold they are zero.
    """

    position: FloatArray
    left: FloatArray
    right: FloatArray


def wigner_outlier(strength: ArrayLike, variance: float = 1.0) -> Outlier:
    r"""Return what a spike of this strength becomes in a symmetric matrix of noise.

    For :math:`\theta u u^\top + W`, where :math:`W` is symmetric with entries of
    variance :math:`\sigma^2 / n`, the threshold is :math:`\theta = \sigma`.
    Above it the largest eigenvalue tends to :math:`\theta + \sigma^2 / \theta`
    and the overlap to :math:`1 - \sigma^2 / \theta^2` (Péché, Probab. Theory
    Relat. Fields 134, 2006; Benaych-Georges and Nadakuditi, Adv. Math. 227,
    2011).

    Implements :eq:`eq-bbp-wigner`.

    Parameters
    ----------
    strength : array_like
        :math:`\theta`, at least 0, of any shape.
    variance : float
        :math:`\sigma^2`, positive.

    Returns
    -------
    Outlier
        Position and overlap, of the shape of `strength`.

    Raises
    ------
    ValueError
        If a strength is negative, NaN or infinite, or `variance` not positive.

    Examples
    --------
    >>> wigner_outlier([0.5, 2.0])
    Outlier(position=array([2. , 2.5]), overlap=array([0.  , 0.75]))
    """
    theta = _strength("strength", strength)
    variance = real("variance", variance, minimum=0.0, open_minimum=True)
    # At the threshold both formulas meet, so a smaller strength may take its value there.
    seen = np.maximum(theta, math.sqrt(variance))
    return Outlier(seen + variance / seen, _no_less_than_zero(1 - variance / seen**2))


def covariance_outlier(eigenvalue: ArrayLike, aspect: float) -> Outlier:
    r"""Return what a strong direction becomes in a sample covariance.

    The rows of the :math:`n \times p` matrix :math:`X` have the covariance
    :math:`I + (\ell - 1) v v^\top`, and :math:`q = p/n`. If
    :math:`\ell > 1 + \sqrt q`, the largest eigenvalue of :math:`X^\top X / n`
    tends to :math:`\ell (1 + q / (\ell - 1))` and the overlap with :math:`v` to
    :math:`(1 - q/(\ell - 1)^2) / (1 + q/(\ell - 1))` (Baik, Ben Arous and Péché,
    Ann. Probab. 33, 2005; Paul, Stat. Sin. 17, 2007).

    Implements :eq:`eq-bbp-covariance`.

    Parameters
    ----------
    eigenvalue : array_like
        :math:`\ell`, the variance along :math:`v` in units of the noise, at least
        1, of any shape.
    aspect : float
        :math:`q`, positive: columns per row.

    Returns
    -------
    Outlier
        Position and overlap, of the shape of `eigenvalue`.

    Raises
    ------
    ValueError
        If an eigenvalue is below 1, NaN or infinite, or `aspect` not positive.

    Examples
    --------
    >>> covariance_outlier([1.2, 3.0], aspect=0.25)
    Outlier(position=array([2.25 , 3.375]), overlap=array([0.        , 0.83333333]))
    """
    spike = _strength("eigenvalue", eigenvalue, minimum=1.0) - 1
    aspect = real("aspect", aspect, minimum=0.0, open_minimum=True)
    seen = np.maximum(spike, math.sqrt(aspect))
    overlap = (1 - aspect / seen**2) / (1 + aspect / seen)
    return Outlier((1 + seen) * (1 + aspect / seen), _no_less_than_zero(overlap))


def rectangular_outlier(strength: ArrayLike, aspect: float) -> RectangularOutlier:
    r"""Return what a spike of this strength becomes in a rectangular matrix of noise.

    For :math:`\theta u v^\top + X` with an :math:`n \times p` matrix :math:`X` of
    entries of variance :math:`1/n`, and :math:`q = p/n`, the threshold is
    :math:`\theta = q^{1/4}`. Above it the largest singular value tends to
    :math:`\sqrt{(1 + \theta^2)(q + \theta^2)} / \theta`, the overlap on the left
    to :math:`1 - (q + \theta^2) / (\theta^2 (1 + \theta^2))` and on the right to
    :math:`1 - q (1 + \theta^2) / (\theta^2 (q + \theta^2))` (Benaych-Georges and
    Nadakuditi, J. Multivar. Anal. 111, 2012).

    Implements :eq:`eq-bbp-rectangle`.

    Parameters
    ----------
    strength : array_like
        :math:`\theta`, at least 0, of any shape.
    aspect : float
        :math:`q`, positive: columns per row.

    Returns
    -------
    RectangularOutlier
        Position and the two overlaps, of the shape of `strength`.

    Raises
    ------
    ValueError
        If a strength is negative, NaN or infinite, or `aspect` not positive.

    Examples
    --------
    >>> out = rectangular_outlier(2.0, aspect=1.0)
    >>> float(out.position), float(out.left), float(out.right)
    (2.5, 0.75, 0.75)
    """
    theta = _strength("strength", strength)
    aspect = real("aspect", aspect, minimum=0.0, open_minimum=True)
    square = np.maximum(theta, aspect**0.25) ** 2
    left = 1 - (aspect + square) / (square * (1 + square))
    right = 1 - aspect * (1 + square) / (square * (aspect + square))
    position = np.sqrt((1 + square) * (aspect + square) / square)
    return RectangularOutlier(position, _no_less_than_zero(left), _no_less_than_zero(right))


def rectangular_strength(position: ArrayLike, aspect: float) -> FloatArray:
    r"""Return the strength of the spike behind a singular value: the inverse of the position.

    With :math:`y` the singular value,
    :math:`2 \theta^2 = y^2 - 1 - q + \sqrt{(y^2 - 1 - q)^2 - 4 q}` beyond the edge
    :math:`1 + \sqrt q`; within the noise there is no telling, and the answer is
    zero.

    Parameters
    ----------
    position : array_like
        :math:`y`, at least 0, of any shape.
    aspect : float
        :math:`q`, positive: columns per row.

    Returns
    -------
    ndarray
        :math:`\theta`, of the shape of `position`.

    Raises
    ------
    ValueError
        If a position is negative, NaN or infinite, or `aspect` not positive.

    Examples
    --------
    >>> rectangular_strength([1.9, 2.5], aspect=1.0)
    array([0., 2.])
    """
    y = _strength("position", position)
    aspect = real("aspect", aspect, minimum=0.0, open_minimum=True)
    # The root is a product of distances from both edges, which keeps its digits close to them.
    low, high = abs(1 - math.sqrt(aspect)), 1 + math.sqrt(aspect)
    root = np.sqrt(np.maximum((y**2 - low**2) * (y**2 - high**2), 0.0))
    square = np.maximum(y**2 - 1 - aspect + root, 0.0) / 2
    return np.where(y > high, np.sqrt(square), 0.0)


def _strength(name: str, value: ArrayLike, minimum: float = 0.0) -> FloatArray:
    array = float_array(name, value, finite=True)
    if array.size and array.min() < minimum:
        raise ValueError(f"{name} must be at least {minimum:g}, got {array.min()}")
    return array


def _no_less_than_zero(overlap: FloatArray) -> FloatArray:
    # At the threshold an overlap is zero but for rounding.
    return np.maximum(overlap, 0)
