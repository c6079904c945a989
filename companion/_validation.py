"""The one place where arguments from outside are checked.

Public functions call these helpers first; inner functions trust their callers.
Every message names the argument, what was expected and what came.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]
Seed = int | np.random.Generator


def float_array(
    name: str,
    value: ArrayLike,
    *,
    ndim: int | None = None,
    min_ndim: int = 0,
    shape: Sequence[int | None] | None = None,
    finite: bool = False,
) -> FloatArray:
    """Return ``value`` as a float32 or float64 array, or say what is wrong with it.

    float32 stays float32; every other real type becomes float64. ``None`` in
    ``shape`` accepts any length on that axis.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be an array of numbers: {error}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    if array.dtype != np.float32:
        array = array.astype(np.float64, copy=False)
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} axes, got shape {array.shape}")
    if array.ndim < min_ndim:
        raise ValueError(f"{name} must have at least {min_ndim} axes, got shape {array.shape}")
    if shape is not None and not _shape_fits(array.shape, shape):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        # As Python writes shapes: with one axis there is a comma too.
        wanted = f"({wanted},)" if len(shape) == 1 else f"({wanted})"
        raise ValueError(f"{name} must have shape {wanted}, got {array.shape}")
    if finite and not np.isfinite(array).all():
        raise ValueError(
            f"{name} must be finite, got {np.sum(~np.isfinite(array))} NaN or infinity"
        )
    return array


def _shape_fits(shape: tuple[int, ...], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(
        w is None or w == n for n, w in zip(shape, wanted, strict=True)
    )


def labels(name: str, value: ArrayLike, *, length: int, classes: int) -> IntArray:
    """Return class labels: ``length`` integers, each in ``0 .. classes - 1``."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integer class labels, got dtype {array.dtype}")
    if array.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), got {array.shape}")
    if array.size and (array.min() < 0 or array.max() >= classes):
        raise ValueError(
            f"{name} must lie in 0..{classes - 1}, got values from {array.min()} to {array.max()}"
        )
    return array


def integer(name: str, value: Any, *, minimum: int = 1) -> int:
    """Return ``value`` as an int that is at least ``minimum``."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {number}")
    return number


def real(
    name: str,
    value: Any,
    *,
    minimum: float = -np.inf,
    maximum: float = np.inf,
    open_minimum: bool = False,
    open_maximum: bool = False,
) -> float:
    """Return ``value`` as a finite float inside the given interval."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    number = float(value)
    too_low = number <= minimum if open_minimum else number < minimum
    too_high = number >= maximum if open_maximum else number > maximum
    if not np.isfinite(number) or too_low or too_high:
        left = "(" if open_minimum or minimum == -np.inf else "["
        right = ")" if open_maximum or maximum == np.inf else "]"
        raise ValueError(f"{name} must lie in {left}{minimum:g}, {maximum:g}{right}, got {value!r}")
    return number


def choice(name: str, value: str, options: Collection[str]) -> str:
    """Return ``value`` if it is one of ``options``."""
    if not isinstance(value, str) or value not in options:
        listed = ", ".join(repr(option) for option in options)
        raise ValueError(f"{name} must be one of {listed}, got {value!r}")
    return value


def generator(name: str, value: Any) -> np.random.Generator:
    """Return a generator: the one given, or a new one from an integer seed."""
    if isinstance(value, np.random.Generator):
        return value
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"{name} must be a non-negative seed, got {value}")
        return np.random.default_rng(int(value))
    raise TypeError(f"{name} must be a numpy.random.Generator or an integer seed, got {value!r}")


def float_dtype(name: str, value: Any) -> np.dtype[np.floating[Any]]:
    """Return ``value`` as float32 or float64."""
    try:
        dtype: np.dtype[Any] = np.dtype(value)
    except TypeError:
        dtype = np.dtype(object)
    if dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise TypeError(f"{name} must be float32 or float64, got {value!r}")
    return dtype
