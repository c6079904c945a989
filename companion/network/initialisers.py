r"""Initial weights.

An initialiser is a function of a shape and a source of randomness. A shape is
``(out_features, in_features)`` for a linear layer; further axes (a convolution
kernel's) multiply both fans, as in PyTorch: ``fan_in = shape[1] * prod(shape[2:])``
and ``fan_out = shape[0] * prod(shape[2:])``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import DTypeLike

from companion._validation import (
    FloatArray,
    Seed,
    choice,
    float_dtype,
    generator,
    integer,
    real,
)

Initialiser = Callable[..., FloatArray]
"""A function ``(shape, *, rng, dtype) -> ndarray``."""


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Return ``(fan_in, fan_out)`` of a weight.

    Parameters
    ----------
    shape : sequence of int, at least two
        ``(out, in, ...)``.

    Returns
    -------
    tuple of int
        Inputs to one output unit, and outputs one input unit reaches.

    Raises
    ------
    ValueError
        If `shape` has fewer than two entries, or an entry below 1.

    Examples
    --------
    >>> fans((8, 3, 5, 5))
    (75, 200)
    """
    sizes = _shape(shape)
    if len(sizes) < 2:
        raise ValueError(f"shape must have at least two entries (out, in), got {sizes}")
    field = math.prod(sizes[2:])
    return sizes[1] * field, sizes[0] * field


def gain(nonlinearity: str, negative_slope: float = 0.01) -> float:
    r"""Return the factor that keeps the second moment through an activation.

    For ReLU, :math:`\sqrt 2`: half of a symmetric distribution is set to zero.
    The value 5/3 for tanh is PyTorch's; it is a rule of thumb, not a theorem.

    Parameters
    ----------
    nonlinearity : {'identity', 'sigmoid', 'tanh', 'relu', 'leaky_relu'}
    negative_slope : float, default 0.01
        Slope of the leaky ReLU.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the name is not one of those listed.

    Examples
    --------
    >>> round(gain('relu'), 4)
    1.4142
    """
    gains = {
        "identity": 1.0,
        "sigmoid": 1.0,
        "tanh": 5.0 / 3.0,
        "relu": math.sqrt(2.0),
        "leaky_relu": math.sqrt(2.0 / (1.0 + real("negative_slope", negative_slope) ** 2)),
    }
    return gains[choice("nonlinearity", nonlinearity, gains)]


def zeros(shape: Sequence[int], *, rng: Seed = 0, dtype: DTypeLike = np.float64) -> FloatArray:
    """Return zeros. Right for biases; wrong for weights, which stay equal for ever.

    Parameters
    ----------
    shape : sequence of int
    rng : Generator or int, unused
        Accepted so that all initialisers are called alike.
    dtype : float64 or float32

    Returns
    -------
    ndarray, shape `shape`

    Examples
    --------
    >>> zeros((2, 1))
    array([[0.],
           [0.]])
    """
    return np.zeros(_shape(shape), dtype=float_dtype("dtype", dtype))


def normal(
    shape: Sequence[int], *, std: float = 1.0, rng: Seed, dtype: DTypeLike = np.float64
) -> FloatArray:
    r"""Return independent draws from :math:`\mathcal N(0, \text{std}^2)`.

    Parameters
    ----------
    shape : sequence of int
    std : float, default 1
        Standard deviation, at least 0.
    rng : Generator or int
        Source of randomness, or a seed for one.
    dtype : float64 or float32

    Returns
    -------
    ndarray, shape `shape`

    Examples
    --------
    >>> normal((2, 3), std=0.1, rng=0).shape
    (2, 3)
    """
    std = real("std", std, minimum=0.0)
    draws = generator("rng", rng).standard_normal(_shape(shape))
    return (std * draws).astype(float_dtype("dtype", dtype))


def _uniform(shape: Sequence[int], std: float, rng: Seed, dtype: DTypeLike) -> FloatArray:
    # A uniform distribution on (-b, b) has standard deviation b / sqrt 3.
    bound = math.sqrt(3.0) * std
    draws = generator("rng", rng).uniform(-bound, bound, _shape(shape))
    return draws.astype(float_dtype("dtype", dtype))


def xavier_normal(
    shape: Sequence[int], *, gain: float = 1.0, rng: Seed, dtype: DTypeLike = np.float64
) -> FloatArray:
    r"""Return normal weights of standard deviation :math:`g\sqrt{2/(n_{in}+n_{out})}`.

    Implements :eq:`eq-xavier`.

    Parameters
    ----------
    shape : sequence of int, at least two
        ``(out, in, ...)``.
    gain : float, default 1
        The factor :math:`g`, see :func:`gain`.
    rng : Generator or int
        Source of randomness, or a seed for one.
    dtype : float64 or float32

    Returns
    -------
    ndarray, shape `shape`

    References
    ----------
    Glorot & Bengio, Understanding the difficulty of training
    deep feedforward neural networks, AISTATS 2010.

    Examples
    --------
    >>> bool(abs(xavier_normal((300, 500), rng=0).std() - 0.05) < 0.001)
    True
    """
    return normal(shape, std=_xavier_std(shape, gain), rng=rng, dtype=dtype)


def xavier_uniform(
    shape: Sequence[int], *, gain: float = 1.0, rng: Seed, dtype: DTypeLike = np.float64
) -> FloatArray:
    """Return uniform weights with the standard deviation of :func:`xavier_normal`.

    Parameters
    ----------
    shape : sequence of int, at least two
        ``(out, in, ...)``.
    gain : float, default 1
        See :func:`gain`.
    rng : Generator or int
        Source of randomness, or a seed for one.
    dtype : float64 or float32

    Returns
    -------
    ndarray, shape `shape`

    Examples
    --------
    >>> bool(abs(xavier_uniform((300, 500), rng=0).std() - 0.05) < 0.001)
    True
    """
    return _uniform(shape, _xavier_std(shape, gain), rng, dtype)


def _xavier_std(shape: Sequence[int], gain_factor: float) -> float:
    fan_in, fan_out = fans(shape)
    return real("gain", gain_factor, minimum=0.0) * math.sqrt(2.0 / (fan_in + fan_out))


def he_normal(
    shape: Sequence[int],
    *,
    gain: float = math.sqrt(2.0),
    mode: str = "fan_in",
    rng: Seed,
    dtype: DTypeLike = np.float64,
) -> FloatArray:
    r"""Return normal weights of standard deviation :math:`\sqrt{2/n}`.

    Implements :eq:`eq-he`; PyTorch calls it ``kaiming_normal_``.

    Parameters
    ----------
    shape : sequence of int, at least two
        ``(out, in, ...)``.
    gain : float, default sqrt(2)
        Factor for the activation that follows, see :func:`gain`.
    mode : {'fan_in', 'fan_out'}
        Which fan is :math:`n`: ``fan_in`` keeps the size of activations,
        ``fan_out`` that of gradients.
    rng : Generator or int
        Source of randomness, or a seed for one.
    dtype : float64 or float32

    Returns
    -------
    ndarray, shape `shape`

    References
    ----------
    He, Zhang, Ren & Sun, Delving deep into rectifiers, ICCV 2015.

    Examples
    --------
    >>> bool(abs(he_normal((300, 800), rng=0).std() - 0.05) < 0.001)
    True
    """
    return normal(shape, std=_he_std(shape, gain, mode), rng=rng, dtype=dtype)


def he_uniform(
    shape: Sequence[int],
    *,
    gain: float = math.sqrt(2.0),
    mode: str = "fan_in",
    rng: Seed,
    dtype: DTypeLike = np.float64,
) -> FloatArray:
    """Return uniform weights with the standard deviation of :func:`he_normal`.

    Parameters
    ----------
    shape : sequence of int, at least two
        ``(out, in, ...)``.
    gain : float, default sqrt(2)
        See :func:`gain`.
    mode : {'fan_in', 'fan_out'}
        See :func:`he_normal`.
    rng : Generator or int
        Source of randomness, or a seed for one.
    dtype : float64 or float32

    Returns
    -------
    ndarray, shape `shape`

    Examples
    --------
    >>> bool(abs(he_uniform((300, 800), rng=0).std() - 0.05) < 0.001)
    True
    """
    return _uniform(shape, _he_std(shape, gain, mode), rng, dtype)


def _he_std(shape: Sequence[int], gain_factor: float, mode: str) -> float:
    fan_in, fan_out = fans(shape)
    fan = fan_in if choice("mode", mode, ("fan_in", "fan_out")) == "fan_in" else fan_out
    return real("gain", gain_factor, minimum=0.0) / math.sqrt(fan)


def orthogonal(
    shape: Sequence[int], *, gain: float = 1.0, rng: Seed, dtype: DTypeLike = np.float64
) -> FloatArray:
    r"""Return a matrix all of whose singular values equal `gain`.

    Implements :eq:`eq-orthogonal`. The matrix is uniform (Haar) on the matrices
    with orthonormal rows or columns, whichever are fewer. Axes
    after the first are flattened for a convolution kernel.

    Parameters
    ----------
    shape : sequence of int, at least two
        ``(out, in, ...)``.
    gain : float, default 1
        The common singular value.
    rng : Generator or int
        Source of randomness, or a seed for one.
    dtype : float64 or float32

    Returns
    -------
    ndarray, shape `shape`

    References
    ----------
    Saxe, McClelland & Ganguli, Exact solutions to the nonlinear
    dynamics of learning in deep linear neural networks, ICLR 2014.

    Examples
    --------
    >>> w = orthogonal((3, 5), rng=0)
    >>> bool(np.allclose(w @ w.T, np.eye(3)))
    True
    """
    fans(shape)
    sizes = _shape(shape)
    factor = real("gain", gain, minimum=0.0)
    rows, columns = sizes[0], math.prod(sizes[1:])
    draws = generator("rng", rng).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(draws)
    # Without the signs of R's diagonal the distribution would depend on LAPACK's convention.
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    if rows < columns:
        q = q.T
    return (factor * q).reshape(sizes).astype(float_dtype("dtype", dtype))


def _shape(shape: Sequence[int]) -> tuple[int, ...]:
    if not isinstance(shape, (tuple, list)):
        raise TypeError(f"shape must be a tuple of integers, got {shape!r}")
    return tuple(integer(f"shape[{i}]", n) for i, n in enumerate(shape))


INITIALISERS: dict[str, Initialiser] = {
    "zeros": zeros,
    "normal": normal,
    "xavier_normal": xavier_normal,
    "xavier_uniform": xavier_uniform,
    "he_normal": he_normal,
    "he_uniform": he_uniform,
    "orthogonal": orthogonal,
}
