r"""Memories in a matrix: how modes are learned, what stands out, and what dreaming does."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from companion._validation import FloatArray, float_array, integer, real
from companion.random_matrices.spikes import Outlier, covariance_outlier


def mode_strength(
    time: ArrayLike, target: ArrayLike, start: ArrayLike, *, layers: int = 2
) -> FloatArray:
    r"""Return how far a linear network has learned a mode.

    Gradient flow on half the mean squared error, with whitened inputs, takes a
    mode of strength :math:`a_0` to the strength :math:`s` that the data have, by

    .. math:: a(t) = \frac{s}{1 + (s / a_0 - 1)\, e^{-2 s t}}

    in a network of two layers whose vectors are aligned and of equal length, and
    by :math:`a(t) = s + (a_0 - s)\, e^{-t}` in one layer (Saxe, McClelland and
    Ganguli, ICLR 2014).

    Implements :eq:`eq-mode-strength`.

    Parameters
    ----------
    time : array_like
        :math:`t`, at least 0, of any shape: steps times learning rate.
    target : array_like
        :math:`s`, positive, of any shape.
    start : array_like
        :math:`a_0`, one number or one for each target. Not negative, and positive
        for two layers: from zero they never start.
    layers : int
        1 or 2.

    Returns
    -------
    ndarray of shape ``time.shape + target.shape``
        :math:`a(t)`.

    Raises
    ------
    ValueError
        If an argument is out of its range, NaN or infinite, or the shape of
        `start` fits neither one number nor `target`.

    Examples
    --------
    >>> mode_strength([0.0, 2.0, 4.0], 2.0, 0.01).round(2)
    array([0.01, 1.87, 2.  ])
    >>> mode_strength([0.0, 2.0, 4.0], 2.0, 0.01, layers=1).round(2)
    array([0.01, 1.73, 1.96])
    """
    t = _no_less("time", time)
    s, a0 = _mode(target, start, layers)
    t = t.reshape(t.shape + (1,) * s.ndim)
    if layers == 1:
        return np.asarray(s + (a0 - s) * np.exp(-t))
    # With the decaying exponential nothing overflows at late times.
    return np.asarray(s / (1 + (s / a0 - 1) * np.exp(-2 * s * t)))


def mode_time(
    fraction: float, target: ArrayLike, start: ArrayLike, *, layers: int = 2
) -> FloatArray:
    r"""Return when a linear network has learned this share of a mode.

    .. math:: t = \frac{1}{2 s} \ln \frac{f\, (s - a_0)}{(1 - f)\, a_0}

    for two layers, and :math:`\ln((s - a_0) / ((1 - f) s))` for one: the inverse of
    :func:`mode_strength` (Saxe, McClelland and Ganguli, ICLR 2014).

    Implements :eq:`eq-mode-time`.

    Parameters
    ----------
    fraction : float
        :math:`f`, in (0, 1): the share of `target` that is asked for.
    target, start : array_like
        :math:`s` and :math:`a_0`, as in :func:`mode_strength`. Where the start is
        beyond the share, the time is negative, and there is none where it is
        beyond the target.
    layers : int
        1 or 2.

    Returns
    -------
    ndarray
        :math:`t`, of the shape of `target`.

    Raises
    ------
    ValueError
        If an argument is out of its range, NaN or infinite, a start is not below
        its target, or the shape of `start` fits neither one number nor `target`.

    Examples
    --------
    >>> mode_time(0.5, [2.0, 1.0, 0.5], 0.001).round(2)
    array([1.9 , 3.45, 6.21])
    >>> mode_time(0.5, [2.0, 1.0, 0.5], 0.001, layers=1).round(2)
    array([0.69, 0.69, 0.69])
    """
    f = real("fraction", fraction, minimum=0.0, maximum=1.0, open_minimum=True, open_maximum=True)
    s, a0 = _mode(target, start, layers)
    if np.any(a0 >= s):
        raise ValueError(f"start must be below target, got {a0.max()} and {s.min()}")
    if layers == 1:
        return np.asarray(np.log((s - a0) / ((1 - f) * s)))
    return np.asarray(np.log(f * (s - a0) / ((1 - f) * a0)) / (2 * s))


def recall_cosine(strength: ArrayLike, key: ArrayLike = 1.0) -> FloatArray:
    r"""Return how near the answer of a noisy matrix is to what was stored.

    The matrix is :math:`\theta u v^\top + X`, as in :func:`.rectangular_outlier`: the
    noise has :math:`n` rows and entries of variance :math:`1/n`. It is asked with a
    key of length one whose cosine with :math:`v` is :math:`c`. The cosine of the
    answer and :math:`u` tends to

    .. math:: \frac{\theta c}{\sqrt{1 + \theta^2 c^2}} ,

    because the noise turns any key into a vector of length one.

    Implements :eq:`eq-recall-cosine`.

    Parameters
    ----------
    strength : array_like
        :math:`\theta`, at least 0, of any shape.
    key : array_like
        :math:`c`, in [0, 1], one number or of the shape of `strength`.

    Returns
    -------
    ndarray
        Cosine, of the shape of `strength`.

    Raises
    ------
    ValueError
        If a strength is negative, NaN or infinite, a key does not lie in [0, 1], or
        the shapes do not fit.

    Examples
    --------
    >>> recall_cosine([0.5, 1.0, 2.0]).round(2)
    array([0.45, 0.71, 0.89])
    >>> float(recall_cosine(1.0, key=0.0))
    0.0
    """
    theta = _no_less("strength", strength)
    c = _one_or_each("key", key, "strength", theta)
    if np.any((c < 0) | (c > 1)):
        raise ValueError(f"key must lie in [0, 1], got values from {c.min()} to {c.max()}")
    return np.asarray(theta * c / np.sqrt(1 + (theta * c) ** 2))


def hebbian_spike(rehearsals: ArrayLike, load: float, likeness: float = 1.0) -> Outlier:
    r"""Return what rehearsal makes of one pattern in the spectrum of Hebb's matrix.

    :math:`\Xi^\top \Xi / N` holds :math:`\alpha N` random patterns of :math:`N` units
    and :math:`M` copies of one more. Each entry of a copy agrees with this one's so
    often that their mean overlap is :math:`r`. With :math:`w = 1 + (M - 1) r^2`, the
    largest eigenvalue tends to :math:`w (1 + \alpha / (w - 1))` if
    :math:`w > 1 + \sqrt\alpha`, and the squared overlap of its vector and the
    pattern to

    .. math:: \Bigl( 1 - \frac{\alpha}{(w - 1)^2} \Bigr) \frac{M r^2}{w} .

    Otherwise the pattern does not stand out: the limits are
    :math:`(1 + \sqrt\alpha)^2` and zero. It is :func:`.covariance_outlier` with the
    patterns in the place of the variables.

    Implements :eq:`eq-hebbian-spike`.

    Parameters
    ----------
    rehearsals : array_like
        :math:`M`, at least 1, of any shape. Exact copies may be counted in parts: as
        the weight of one pattern.
    load : float
        :math:`\alpha`, positive: patterns per unit.
    likeness : float
        :math:`r`, in (0, 1]; 1 for exact copies.

    Returns
    -------
    Outlier
        Position and squared overlap, of the shape of `rehearsals`. With the diagonal
        of the matrix left out, subtract its value from the position.

    Raises
    ------
    ValueError
        If an argument is out of its range, NaN or infinite.

    Examples
    --------
    >>> spike = hebbian_spike([1.2, 2.0, 3.0], load=0.16)
    >>> spike.position.round(2), spike.overlap.round(2)
    (array([1.96, 2.32, 3.24]), array([0.  , 0.84, 0.96]))
    """
    m = _no_less("rehearsals", rehearsals, 1.0)
    alpha = real("load", load, minimum=0.0, open_minimum=True)
    r = real("likeness", likeness, minimum=0.0, maximum=1.0, open_minimum=True)
    excess = (m - 1) * r**2
    seen = np.maximum(excess, math.sqrt(alpha))
    # At the threshold the overlap is zero but for rounding.
    overlap = np.maximum(1 - alpha / seen**2, 0) * m * r**2 / (1 + excess)
    return Outlier(covariance_outlier(1 + excess, alpha).position, np.asarray(overlap))


def dreamed_eigenvalues(eigenvalues: ArrayLike, time: float) -> FloatArray:
    r"""Return what dreaming makes of the eigenvalues of Hebb's matrix.

    Each :math:`\lambda` becomes :math:`(1 + t) \lambda / (1 + t \lambda)`, and the
    eigenvectors stay (Fachechi, Agliari and Barra, Neural Networks 112, 2019, for
    the rule). Zero and one stay, and all that is positive tends to one.

    Implements :eq:`eq-dreamed-eigenvalues`.

    Parameters
    ----------
    eigenvalues : array_like
        :math:`\lambda`, at least 0, of any shape: of :math:`\Xi^\top \Xi / N`, with its
        diagonal, or of the matrix of overlaps :math:`\Xi \Xi^\top / N`.
    time : float
        :math:`t`, at least 0.

    Returns
    -------
    ndarray
        Eigenvalues, of the same shape.

    Raises
    ------
    ValueError
        If an eigenvalue or `time` is negative, NaN or infinite.

    Examples
    --------
    >>> dreamed_eigenvalues([0.0, 0.25, 1.0, 4.0], time=3.0).round(2)
    array([0.  , 0.57, 1.  , 1.23])
    """
    values = _no_less("eigenvalues", eigenvalues)
    t = real("time", time, minimum=0.0)
    return np.asarray((1 + t) * values / (1 + t * values))


def dreaming_time(flipped: float, load: float) -> float:
    r"""Return how long to dream, to mend copies of which this share is flipped.

    .. math:: t = \frac{(1 - 2 f)^2}{4 f (1 - f)\, \alpha}

    With this time the matrix of Fachechi, Agliari and Barra (Neural Networks 112,
    2019), its diagonal included, is proportional to the one that brings such copies
    nearest to their patterns in one linear step, by the mean squared distance.

    Implements :eq:`eq-dreaming-time`.

    Parameters
    ----------
    flipped : float
        :math:`f`, in (0, 1/2]: the probability that a unit is flipped.
    load : float
        :math:`\alpha`, positive: patterns per unit.

    Returns
    -------
    float
        :math:`t`. At one half it is zero: the copies say nothing.

    Raises
    ------
    ValueError
        If `flipped` does not lie in (0, 1/2], or `load` is not positive.

    Examples
    --------
    >>> round(dreaming_time(0.1, load=0.5), 2)
    3.56
    """
    f = real("flipped", flipped, minimum=0.0, maximum=0.5, open_minimum=True)
    alpha = real("load", load, minimum=0.0, open_minimum=True)
    return (1 - 2 * f) ** 2 / (4 * f * (1 - f) * alpha)


def _no_less(name: str, value: ArrayLike, minimum: float = 0.0) -> FloatArray:
    array = float_array(name, value, finite=True)
    if array.size and array.min() < minimum:
        raise ValueError(f"{name} must be at least {minimum:g}, got {array.min()}")
    return array


def _one_or_each(name: str, value: ArrayLike, other: str, like: FloatArray) -> FloatArray:
    array = float_array(name, value, finite=True)
    if array.ndim and array.shape != like.shape:
        raise ValueError(
            f"{name} must be one number or have the shape {like.shape} of {other}, "
            f"got {array.shape}"
        )
    # A plain number must not make float64 of a float32 array.
    return array if array.ndim else array.astype(like.dtype)


def _mode(target: ArrayLike, start: ArrayLike, layers: int) -> tuple[FloatArray, FloatArray]:
    s = _no_less("target", target)
    a0 = _one_or_each("start", start, "target", s)
    if integer("layers", layers) > 2:
        raise ValueError(f"layers must be 1 or 2, got {layers}")
    if s.size and s.min() == 0:
        raise ValueError("target must be positive, got 0")
    if np.any(a0 < 0) or (layers == 2 and np.any(a0 == 0)):
        bound = "positive" if layers == 2 else "at least 0"
        raise ValueError(f"start must be {bound}, got {a0.min()}")
    return s, a0
