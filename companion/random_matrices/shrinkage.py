"""Shrinkage: what to do with the singular values of a matrix that holds a signal and noise."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from companion._validation import FloatArray, choice, float_array, real
from companion.random_matrices.laws import MarchenkoPastur
from companion.random_matrices.spikes import (
    covariance_outlier,
    rectangular_outlier,
    rectangular_strength,
)

RULES = ("threshold", "frobenius", "operator", "nuclear")
"""Names of the rules that `shrink` and `denoise` know."""
LOSSES = ("frobenius", "operator")
"""Names of the losses that `shrink_covariance` knows."""


class Denoised(NamedTuple):
    """Result of :func:`denoise`.

    Attributes
    ----------
    matrix : ndarray of shape (m, n)
        Estimate of the signal.
    rank : int
        Number of singular values that were kept.
    noise : float
        Standard deviation of the noise, given or estimated.
    """

    matrix: FloatArray
    rank: int
    noise: float


def optimal_threshold(aspect: float) -> float:
    r"""Return the best place to cut singular values, in units of the noise.

    With :math:`\beta` the smaller dimension over the larger one and
    :math:`3 \tau_*^2 = 4 (\beta + 1) + 2 \sqrt{\beta^2 + 14 \beta + 1}`,
    singular values below :math:`\tau_* \sigma \sqrt{\max(m, n)}` are set to zero.
    No other hard threshold has a smaller mean squared error, whatever the signal,
    as the matrix grows and the rank stays (Gavish and Donoho, IEEE Trans. Inf.
    Theory 60, 2014).

    Implements :eq:`eq-optimal-threshold`.

    Parameters
    ----------
    aspect : float
        :math:`\beta`, in (0, 1]: the smaller dimension over the larger.

    Returns
    -------
    float
        :math:`\tau_*`; for a square matrix :math:`4 / \sqrt 3`.

    Raises
    ------
    ValueError
        If `aspect` does not lie in (0, 1].

    Examples
    --------
    >>> round(optimal_threshold(1.0), 4)
    2.3094
    """
    b = _aspect(aspect)
    return math.sqrt((4 * (b + 1) + 2 * math.sqrt(b * b + 14 * b + 1)) / 3)


def noise_level(matrix: ArrayLike) -> float:
    r"""Estimate the standard deviation of the noise from the median singular value.

    A signal of low rank hardly moves the median. For pure noise the median tends
    to :math:`\sigma \sqrt{\max(m, n) \mu_\beta}` with :math:`\mu_\beta` the
    median of the law of Marchenko and Pastur (Gavish and Donoho, 2014).

    Implements :eq:`eq-noise-median`.

    Parameters
    ----------
    matrix : array_like of shape (m, n)
        Signal and noise. Entries of the noise are independent, of one variance.

    Returns
    -------
    float
        Estimate of :math:`\sigma`.

    Raises
    ------
    ValueError
        If `matrix` is empty, or holds NaN or infinity.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(scale=3.0, size=(300, 200))
    >>> abs(noise_level(x) / 3 - 1) < 0.02
    True
    """
    x = _matrix(matrix)
    return _noise_level(np.linalg.svd(x, compute_uv=False), x.shape)


def shrink(singular_values: ArrayLike, aspect: float, rule: str = "frobenius") -> FloatArray:
    r"""Return what a rule makes of singular values, all in units of the noise.

    With :math:`y` a singular value over :math:`\sigma \sqrt{\max(m, n)}`,
    :math:`\beta` the smaller dimension over the larger and :math:`\theta(y)` the
    strength of the spike behind it, with overlaps :math:`c_u^2` and
    :math:`c_v^2`, the best rule as the matrix grows is

    - ``"threshold"``: :math:`y` beyond :func:`optimal_threshold`, else zero; the
      best of this form, for the squared error;
    - ``"frobenius"``: :math:`\sqrt{(y^2 - \beta - 1)^2 - 4 \beta} / y`, for the
      squared error; it is :math:`\theta c_u c_v`;
    - ``"operator"``: :math:`\theta` times the smaller over the larger of
      :math:`c_u` and :math:`c_v`, for the largest singular value of the error;
    - ``"nuclear"``: :math:`\max(0, \theta^4 - \beta - \sqrt\beta \theta y) /
      (\theta^2 y)`, for the sum of the singular values of the error

    beyond the edge :math:`1 + \sqrt\beta`, and zero within it (Gavish and Donoho,
    IEEE Trans. Inf. Theory 63, 2017). For the operator norm they have
    :math:`\theta` alone, which is best for square matrices only (Leeb, Stat.
    Probab. Lett. 186, 2022).

    Implements :eq:`eq-frobenius-shrinker`, :eq:`eq-nuclear-shrinker` and
    :eq:`eq-operator-shrinker`.

    Parameters
    ----------
    singular_values : array_like
        :math:`y`, at least 0, of any shape.
    aspect : float
        :math:`\beta`, in (0, 1]: the smaller dimension over the larger.
    rule : str
        One of the four names.

    Returns
    -------
    ndarray
        Shrunken values, of the same shape.

    Raises
    ------
    ValueError
        If a value is negative, NaN or infinite, `aspect` does not lie in (0, 1],
        or the rule is unknown.

    Examples
    --------
    >>> shrink([1.0, 2.5], aspect=1.0)
    array([0. , 1.5])
    >>> shrink([1.0, 2.5], aspect=1.0, rule="operator")
    array([0., 2.])
    """
    y = float_array("singular_values", singular_values, finite=True)
    if y.size and y.min() < 0:
        raise ValueError(f"singular_values must be at least 0, got {y.min()}")
    b, rule = _aspect(aspect), choice("rule", rule, RULES)
    if rule == "threshold":
        return np.where(y > optimal_threshold(b), y, 0.0)
    theta = rectangular_strength(y, b)
    out, seen = rectangular_outlier(theta, b), theta > 0
    if rule == "frobenius":
        return np.asarray(theta * np.sqrt(out.left * out.right))
    if rule == "operator":
        left, right = np.where(seen, out.left, 1.0), np.where(seen, out.right, 1.0)
        return np.asarray(theta * np.sqrt(np.minimum(left / right, right / left)))
    t, v = np.where(seen, theta, 1.0), np.where(seen, y, 1.0)
    return np.where(seen, np.maximum(t**4 - b - math.sqrt(b) * t * v, 0.0) / (t**2 * v), 0.0)


def denoise(matrix: ArrayLike, *, rule: str = "frobenius", noise: float | None = None) -> Denoised:
    """Return an estimate of a matrix of low rank that was seen through noise.

    The singular vectors stay; :func:`shrink` changes the singular values. No
    rank has to be chosen.

    Parameters
    ----------
    matrix : array_like of shape (m, n)
        Signal and noise. Entries of the noise are independent, of mean zero and
        of one variance.
    rule : str
        ``"threshold"``, ``"frobenius"``, ``"operator"`` or ``"nuclear"``.
    noise : float, optional
        Standard deviation of the noise, positive. By default it is estimated by
        :func:`noise_level`.

    Returns
    -------
    Denoised
        Estimate, its rank and the noise.

    Raises
    ------
    ValueError
        If `matrix` is empty, holds NaN or infinity, the rule is unknown, or
        `noise` is not positive.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> signal = np.outer(rng.normal(size=300), rng.normal(size=200))
    >>> result = denoise(signal + rng.normal(size=(300, 200)))
    >>> result.rank, bool(np.linalg.norm(result.matrix - signal) < 30)
    (1, True)
    """
    x = _matrix(matrix)
    choice("rule", rule, RULES)
    if noise is not None:
        noise = real("noise", noise, minimum=0.0, open_minimum=True)
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    if noise is None:
        noise = _noise_level(s, x.shape)
    if noise == 0:
        # More than half of the singular values are zero: nothing says what is noise.
        return Denoised(x.copy(), int(np.count_nonzero(s)), 0.0)
    unit = noise * math.sqrt(max(x.shape))
    shrunk = unit * shrink(s / unit, min(x.shape) / max(x.shape), rule)
    return Denoised((u * shrunk) @ vt, int(np.count_nonzero(shrunk)), noise)


def shrink_covariance(
    x: ArrayLike, *, loss: str = "frobenius", noise: float | None = None
) -> FloatArray:
    r"""Return an estimate of a covariance that is noise plus a few strong directions.

    An eigenvalue :math:`\lambda` of the sample covariance beyond the edge of the
    noise belongs to a true one, :math:`\ell`, which
    :func:`.covariance_outlier` maps to
    :math:`\lambda`. With :math:`c^2` the overlap of the eigenvectors it becomes
    :math:`\ell c^2 + 1 - c^2` for the squared error and :math:`\ell` for the
    largest eigenvalue of the error, in units of the variance of the noise; all
    others become 1 (Donoho, Gavish and Johnstone, Ann. Stat. 46, 2018).

    Implements :eq:`eq-covariance-shrinker`.

    Parameters
    ----------
    x : array_like of shape (n, p)
        Data of mean zero, one sample a row.
    loss : str
        ``"frobenius"`` or ``"operator"``.
    noise : float, optional
        Standard deviation of the noise, positive. By default it is estimated by
        :func:`noise_level`.

    Returns
    -------
    ndarray of shape (p, p)
        Estimate of the covariance.

    Raises
    ------
    ValueError
        If `x` is empty, holds NaN or infinity, the loss is unknown, `noise` is
        not positive, or no noise can be found.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(400, 100))
    >>> x[:, 0] *= 3
    >>> estimate = shrink_covariance(x)
    >>> bool(abs(estimate[0, 0] / 9 - 1) < 0.2), bool(abs(estimate[5, 6]) < 0.05)
    (True, True)
    """
    x = _matrix(x, "x")
    choice("loss", loss, LOSSES)
    n, p = x.shape
    _, s, vt = np.linalg.svd(x, full_matrices=False)
    noise = _noise_level(s, x.shape) if noise is None else noise
    noise = real("noise", noise, minimum=0.0, open_minimum=True)
    q, found = p / n, s**2 / (n * noise**2)
    seen = found > MarchenkoPastur(q).support[1]
    # The inverse of the position: half of a sum whose product is known, without cancelling.
    half = (found[seen] + 1 - q) / 2
    spike = half + np.sqrt(np.maximum(half**2 - found[seen], 0.0)) - 1
    overlap = covariance_outlier(1 + spike, q).overlap if loss == "frobenius" else 1.0
    extra = (vt[seen].T * (spike * overlap)) @ vt[seen]
    return np.asarray(noise**2 * (np.eye(p, dtype=x.dtype) + extra))


@functools.cache
def _median(aspect: float) -> float:
    return float(MarchenkoPastur(aspect).quantile(0.5))


def _noise_level(singular_values: FloatArray, shape: tuple[int, ...]) -> float:
    aspect = min(shape) / max(shape)
    return float(np.median(singular_values)) / math.sqrt(max(shape) * _median(aspect))


def _aspect(aspect: Any) -> float:
    return real("aspect", aspect, minimum=0.0, maximum=1.0, open_minimum=True)


def _matrix(matrix: ArrayLike, name: str = "matrix") -> FloatArray:
    x = float_array(name, matrix, ndim=2, finite=True)
    if x.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {x.shape}")
    return x
