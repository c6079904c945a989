"""Spectra of weights: what is left of the initial noise, and what training wrote beside it."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from companion._validation import FloatArray, float_array, integer, real
from companion.random_matrices.edges import TracyWidom, laguerre_edge
from companion.random_matrices.laws import MarchenkoPastur
from companion.random_matrices.shrinkage import _matrix, noise_level
from companion.random_matrices.statistics import spectral_distance


class Bulk(NamedTuple):
    """Result of :func:`fit_bulk`.

    Attributes
    ----------
    deviation : float
        Standard deviation of the entries of the noise, given or estimated.
    law : MarchenkoPastur
        Law of the squared singular values over the larger dimension.
    distance : float
        Kolmogorov's distance of all of them from that law, between 0 and 1.
    """

    deviation: float
    law: MarchenkoPastur
    distance: float


def fit_bulk(weight: ArrayLike, *, deviation: float | None = None) -> Bulk:
    r"""Hold the singular values of a weight matrix against the law of noise.

    The squares of the singular values, over the larger dimension, are held
    against :class:`.MarchenkoPastur` with the smaller dimension over the larger
    as aspect. Each outlier adds to the distance: of :math:`p` singular values
    :math:`k` that lie beyond the law cost about :math:`k / p`.

    Parameters
    ----------
    weight : array_like of shape (m, n)
        Weights, at least one row and one column.
    deviation : float, optional
        Standard deviation of the noise, positive: that of the initial weights,
        where it is known. By default it is estimated from the median singular
        value by :func:`.noise_level`, which assumes that fewer than half of the
        directions carry a signal and that all entries of the noise have one
        variance.

    Returns
    -------
    Bulk
        Deviation, law and distance.

    Raises
    ------
    ValueError
        If `weight` is empty, holds NaN or infinity, if `deviation` is not
        positive, or if it is to be estimated and comes out as zero.

    Examples
    --------
    >>> w = np.random.default_rng(0).normal(scale=0.1, size=(200, 100))
    >>> bulk = fit_bulk(w)
    >>> round(bulk.deviation, 2), bulk.distance < 0.05
    (0.1, True)
    """
    w = _matrix(weight, "weight")
    if deviation is None:
        deviation = noise_level(w)
        if deviation == 0:
            raise ValueError("deviation must be given: half of the singular values are zero")
    std = real("deviation", deviation, minimum=0.0, open_minimum=True)
    law = MarchenkoPastur(min(w.shape) / max(w.shape), std**2)
    squares = np.linalg.svd(w.astype(np.float64), compute_uv=False) ** 2 / max(w.shape)
    return Bulk(std, law, spectral_distance(squares, law))


def weight_edge(rows: int, columns: int, deviation: float, *, level: float = 0.01) -> float:
    r"""Return the singular value that noise exceeds with a given probability.

    For an :math:`m \times n` matrix of independent entries of mean zero and
    standard deviation :math:`\tau` it is
    :math:`\tau \sqrt{N (\mu + s\, q)}` with :math:`N = \max(m, n)`, centre
    :math:`\mu` and scale :math:`s` of :func:`.laguerre_edge`, and :math:`q` the
    quantile of :class:`.TracyWidom` at one minus the level. Normal entries meet the
    level. Uniform entries have lighter tails, and exceed the edge less often.

    Implements :eq:`eq-weight-edge`.

    Parameters
    ----------
    rows, columns : int
        Shape of the matrix.
    deviation : float
        :math:`\tau`, positive.
    level : float
        Probability, strictly between 0 and 1, that at least one singular value
        of noise lies beyond.

    Returns
    -------
    float
        The edge, in the unit of a singular value.

    Raises
    ------
    ValueError
        If a size is below 1, `deviation` is not positive, or `level` does not lie
        strictly between 0 and 1.

    Examples
    --------
    >>> round(weight_edge(256, 64, 1.0), 2)
    24.53
    """
    m, n = integer("rows", rows), integer("columns", columns)
    std = real("deviation", deviation, minimum=0.0, open_minimum=True)
    level = real("level", level, minimum=0.0, maximum=1.0, open_minimum=True, open_maximum=True)
    edge = laguerre_edge(max(m, n), min(m, n))
    largest = edge.center + edge.scale * _quantile(level)
    return std * math.sqrt(max(m, n) * largest)


def count_outliers(weight: ArrayLike, deviation: float, *, level: float = 0.01) -> int:
    """Return how many singular values lie beyond the edge of noise.

    Parameters
    ----------
    weight : array_like of shape (m, n)
        Weights.
    deviation : float
        Standard deviation of an entry of the noise, positive. For a trained layer
        it is that of its *initial* weights: estimated from the trained entries
        it would hold the signal too.
    level : float
        Probability that pure noise has an outlier, see :func:`weight_edge`.

    Returns
    -------
    int
        Singular values above the edge.

    Raises
    ------
    ValueError
        If `weight` is empty, holds NaN or infinity, `deviation` is not positive,
        or `level` does not lie strictly between 0 and 1.

    Examples
    --------
    >>> w = np.random.default_rng(0).normal(size=(60, 40))
    >>> count_outliers(w, 1.0), count_outliers(w + 1.0, 1.0)
    (0, 1)
    """
    w = _matrix(weight, "weight")
    rows, columns = w.shape
    edge = weight_edge(rows, columns, deviation, level=level)
    return int(np.sum(np.linalg.svd(w, compute_uv=False) > edge))


def participation_ratio(vectors: ArrayLike) -> FloatArray:
    r"""Return over how many of its entries a vector is spread.

    It is :math:`(\sum_i v_i^2)^2 / \sum_i v_i^4`: one if a single entry is not
    zero, :math:`n` if all have one size. For a normal vector, and so for a
    singular vector of a matrix of normal entries, the mean of its inverse is
    exactly :math:`3 / (n + 2)`. Of singular values it is the effective number of
    directions of a matrix.

    Implements :eq:`eq-participation-ratio`.

    Parameters
    ----------
    vectors : array_like of shape (..., n)
        Vectors along the last axis, of any length but zero. Singular vectors on
        the right are the rows of ``Vt``, those on the left the rows of ``U.T``.

    Returns
    -------
    ndarray of shape (...)
        Numbers from 1 to :math:`n`.

    Raises
    ------
    ValueError
        If a vector is zero or has no entry, or holds NaN or infinity.

    References
    ----------
    Bell & Dean, Atomic vibrations in vitreous silica, Discussions of the Faraday
    Society 50 (1970).

    Examples
    --------
    >>> participation_ratio([[0.0, 2.0, 0.0, 0.0], [1.0, -1.0, 1.0, 1.0]])
    array([1., 4.])
    """
    v = float_array("vectors", vectors, min_ndim=1, finite=True)
    size = np.abs(v).max(axis=-1, keepdims=True, initial=0)
    if not size.all() or not v.shape[-1]:
        raise ValueError(f"vectors must hold no zero vector, got shape {v.shape}")
    # Fourth powers of small numbers would vanish in float32.
    squares = (v / size) ** 2
    return np.asarray(squares.sum(axis=-1) ** 2 / (squares**2).sum(axis=-1))


def subspace_share(vectors: ArrayLike, subspace: ArrayLike) -> FloatArray:
    r"""Return which share of a vector's square lies in a subspace.

    It is :math:`\lVert P v \rVert^2 / \lVert v \rVert^2`, where :math:`P` projects
    on the span of the rows of `subspace`. A direction drawn at random in
    :math:`n` dimensions has :math:`k / n` on average, if the span has :math:`k`.

    Implements :eq:`eq-subspace-share`.

    Parameters
    ----------
    vectors : array_like of shape (..., n)
        Vectors along the last axis, of any length but zero.
    subspace : array_like of shape (k, n)
        Rows that span the subspace. They need not be independent; what is
        dependent but for rounding counts once.

    Returns
    -------
    ndarray of shape (...)
        Numbers from 0 to 1.

    Raises
    ------
    ValueError
        If shapes do not fit, a vector is zero, the subspace has no dimension, or
        something is NaN or infinite.

    Examples
    --------
    >>> subspace_share([[3.0, 4.0], [0.0, 1.0]], [[2.0, 0.0]])
    array([0.36, 0.  ])
    """
    v = float_array("vectors", vectors, min_ndim=1, finite=True)
    rows = float_array("subspace", subspace, shape=(None, v.shape[-1]), finite=True)
    length = (v**2).sum(axis=-1)
    if not length.all() or not v.shape[-1]:
        raise ValueError(f"vectors must hold no zero vector, got shape {v.shape}")
    _, s, basis = np.linalg.svd(rows, full_matrices=False)
    rounding = max(rows.shape) * np.finfo(rows.dtype).eps * s.max(initial=0)
    basis = basis[s > rounding]
    if not len(basis):
        raise ValueError(f"subspace must hold a row that is not zero, got shape {rows.shape}")
    return np.asarray(((v @ basis.T) ** 2).sum(axis=-1) / length)


def keep_directions(weight: ArrayLike, directions: Iterable[int]) -> FloatArray:
    r"""Return a matrix built again from some of its singular directions.

    With :math:`W = U S V^\top` it is
    :math:`\sum_{i \in K} \sigma_i u_i v_i^\top`. The first `k` directions give the
    best approximation of rank `k`.

    Implements :eq:`eq-keep-directions`.

    Parameters
    ----------
    weight : array_like of shape (m, n)
        Weights.
    directions : iterable of int
        :math:`K`: places in the list of singular values, largest first, from 0.
        None twice.

    Returns
    -------
    ndarray of shape (m, n)
        Of the type of `weight`; zero if nothing is kept.

    Raises
    ------
    ValueError
        If `weight` is empty or holds NaN or infinity, or a direction is out of
        range or stands there twice.
    TypeError
        If a direction is not an integer.

    Examples
    --------
    >>> keep_directions([[3.0, 0.0], [0.0, 1.0]], [0]).round(9)
    array([[3., 0.],
           [0., 0.]])
    """
    w = _matrix(weight, "weight")
    chosen = _directions(directions, min(w.shape))
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    return np.asarray((u[:, chosen] * s[chosen]) @ vt[chosen])


def remove_directions(weight: ArrayLike, directions: Iterable[int]) -> FloatArray:
    """Return a matrix without some of its singular directions.

    It is what :func:`keep_directions` leaves out.

    Parameters
    ----------
    weight : array_like of shape (m, n)
        Weights.
    directions : iterable of int
        Places in the list of singular values, largest first, from 0. None twice.

    Returns
    -------
    ndarray of shape (m, n)
        Of the type of `weight`.

    Raises
    ------
    ValueError
        If `weight` is empty or holds NaN or infinity, or a direction is out of
        range or stands there twice.
    TypeError
        If a direction is not an integer.

    Examples
    --------
    >>> remove_directions([[3.0, 0.0], [0.0, 1.0]], [0]).round(9)
    array([[0., 0.],
           [0., 1.]])
    """
    w = _matrix(weight, "weight")
    removed = set(_directions(directions, min(w.shape)))
    return keep_directions(w, [i for i in range(min(w.shape)) if i not in removed])


@functools.cache
def _quantile(level: float) -> float:
    return float(TracyWidom(1).quantile(1 - level))


def _directions(directions: Iterable[int], count: int) -> list[int]:
    chosen = [integer("directions", i, minimum=0) for i in directions]
    if any(i >= count for i in chosen):
        raise ValueError(f"directions must lie in 0..{count - 1}, got {max(chosen)}")
    if len(set(chosen)) < len(chosen):
        twice = min(i for i in chosen if chosen.count(i) > 1)
        raise ValueError(f"directions must differ, got {twice} twice")
    return chosen
