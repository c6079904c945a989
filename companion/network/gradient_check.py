"""Compare a backward pass with finite differences of the forward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from companion._validation import FloatArray, float_array, real
from companion.network.layers import Layer
from companion.network.losses import Loss


def numerical_gradient(
    function: Callable[[FloatArray], float], x: ArrayLike, *, eps: float = 1e-6
) -> FloatArray:
    r"""Return the gradient of a scalar function by central differences.

    Implements :eq:`eq-finite-difference`. The error has two parts: truncation,
    of order ``eps**2``, and rounding, of order ``1e-16 / eps``.

    Parameters
    ----------
    function : callable
        From an array of the shape of `x` to a number.
    x : array_like of float64, any shape
        Where to differentiate.
    eps : float, default 1e-6
        Half the distance between the two evaluations.

    Returns
    -------
    ndarray, shape of `x`

    Raises
    ------
    TypeError
        If `x` is float32: rounding would drown the differences.

    Examples
    --------
    >>> numerical_gradient(lambda x: float(np.sum(x**2)), [1.0, -3.0]).round(6)
    array([ 2., -6.])
    """
    point = float_array("x", x).copy()
    if point.dtype == np.float32:
        raise TypeError("x must be float64, got float32: rounding would drown the differences")
    h = real("eps", eps, minimum=0.0, open_minimum=True)
    gradient = np.zeros_like(point)
    for index in np.ndindex(point.shape):
        centre = point[index]
        point[index] = centre + h
        above = function(point)
        point[index] = centre - h
        below = function(point)
        point[index] = centre
        gradient[index] = (above - below) / (2.0 * h)
    return gradient


def relative_error(a: ArrayLike, b: ArrayLike, *, floor: float = 0.0) -> float:
    r"""Return how far two arrays are apart, in units of their size.

    Implements :eq:`eq-relative-error`: 0 for equal arrays, 1 for opposite ones.

    Parameters
    ----------
    a, b : array_like of float, same shape
    floor : float, default 0
        Smallest size to measure by: what is known only up to rounding is not
        compared more closely than that.

    Returns
    -------
    float in [0, 1]

    Examples
    --------
    >>> relative_error([1.0, 0.0], [-1.0, 0.0])
    1.0
    """
    a = float_array("a", a)
    b = float_array("b", b, shape=a.shape)
    smallest = real("floor", floor, minimum=0.0)
    scale = max(float(np.linalg.norm(a) + np.linalg.norm(b)), smallest)
    return 0.0 if scale == 0.0 else float(np.linalg.norm(a - b)) / scale


@dataclass(frozen=True)
class GradientCheck:
    """Outcome of :func:`gradient_check`.

    Attributes
    ----------
    errors : dict of str to float
        Relative error for the input (named ``"input"``) and each parameter.
    tolerance : float
    """

    errors: dict[str, float]
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether every error is at most the tolerance."""
        return all(error <= self.tolerance for error in self.errors.values())

    @property
    def worst(self) -> str:
        """Name of the array with the largest error."""
        return max(self.errors, key=lambda name: self.errors[name])

    def __str__(self) -> str:
        """Return one line for each array."""
        lines = [
            f"{name:12s} {error:8.1e}  {'ok' if error <= self.tolerance else 'WRONG'}"
            for name, error in self.errors.items()
        ]
        return "\n".join(lines)


def gradient_check(
    model: Layer,
    loss: Loss,
    x: ArrayLike,
    y: ArrayLike,
    *,
    eps: float = 1e-6,
    tolerance: float = 1e-6,
) -> GradientCheck:
    """Compare the gradients of a model with finite differences.

    The error of an array is :func:`relative_error`, but no difference counts
    that rounding alone could make. The model must be deterministic: put dropout
    in evaluation mode first.

    Parameters
    ----------
    model : Layer
        With float64 parameters, which are left unchanged.
    loss : Loss
    x, y : array_like
        A small batch: each entry of `x` and of each parameter costs two forward passes.
    eps : float, default 1e-6
        See :func:`numerical_gradient`.
    tolerance : float, default 1e-6
        Largest relative error that passes.

    Returns
    -------
    GradientCheck

    Examples
    --------
    >>> from companion.network import Linear, MSELoss
    >>> check = gradient_check(Linear(3, 2, rng=0), MSELoss(), np.ones((4, 3)), np.zeros((4, 2)))
    >>> check.passed
    True
    """
    limit = real("tolerance", tolerance, minimum=0.0, open_minimum=True)
    h = real("eps", eps, minimum=0.0, open_minimum=True)
    x = float_array("x", x)
    value = loss.forward(model.forward(x), y)
    analytic = {"input": model.backward(loss.backward())}
    analytic |= {name: g.copy() for name, g in model.gradients().items()}

    def error(name: str, numeric: FloatArray) -> float:
        # The loss is known to about ten roundings, so its differences to this much an entry.
        # Without it, a gradient that is truly zero (a bias before batch normalisation) would fail.
        noise = 10.0 * float(np.finfo(np.float64).eps) * abs(value) / h
        return relative_error(analytic[name], numeric, floor=noise * numeric.size**0.5 / limit)

    numeric = numerical_gradient(lambda point: loss.forward(model.forward(point), y), x, eps=h)
    errors = {"input": error("input", numeric)}
    for name, parameter in model.parameters().items():
        original = parameter.copy()

        def loss_at(value: FloatArray, parameter: FloatArray = parameter) -> float:
            parameter[...] = value
            return loss.forward(model.forward(x), y)

        numeric = numerical_gradient(loss_at, original, eps=h)
        parameter[...] = original
        errors[name] = error(name, numeric)
    return GradientCheck(errors, limit)
