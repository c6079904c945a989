"""Activation functions, their derivatives, and the layers that apply them.

Each function works elementwise on an array of any shape, except the softmax,
which works along the last axis. A derivative takes the same argument ``z`` as
its function: it is :math:`f'(z)`, never :math:`f'(f(z))`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from companion._validation import FloatArray, float_array, real
from companion.network.layers import Layer

_INVERSE_SQRT_2PI: Final = 1.0 / np.sqrt(2.0 * np.pi)


def identity(z: ArrayLike) -> FloatArray:
    """Return ``z`` unchanged: the activation of a linear layer.

    Parameters
    ----------
    z : array_like of float, any shape
        Pre-activations.

    Returns
    -------
    ndarray, shape of `z`

    Examples
    --------
    >>> identity([-1.0, 2.0])
    array([-1.,  2.])
    """
    return float_array("z", z).copy()


def identity_derivative(z: ArrayLike) -> FloatArray:
    """Return the derivative of the identity, one everywhere.

    Parameters
    ----------
    z : array_like of float, any shape

    Returns
    -------
    ndarray, shape of `z`
    """
    return np.ones_like(float_array("z", z))


def sigmoid(z: ArrayLike) -> FloatArray:
    r"""Squash each number into the interval (0, 1).

    Implements :eq:`eq-sigmoid`, :math:`\sigma(z) = 1 / (1 + e^{-z})`, without
    overflow for any finite `z`.

    Parameters
    ----------
    z : array_like of float, any shape
        Pre-activations.

    Returns
    -------
    ndarray, shape of `z`

    Raises
    ------
    TypeError
        If `z` does not hold real numbers.

    Examples
    --------
    >>> sigmoid([-1000.0, 0.0, 1000.0])
    array([0. , 0.5, 1. ])
    """
    return np.asarray(special.expit(float_array("z", z)))


def sigmoid_derivative(z: ArrayLike) -> FloatArray:
    r"""Return :math:`\sigma'(z) = \sigma(z)\,(1 - \sigma(z))`, at most 1/4.

    Parameters
    ----------
    z : array_like of float, any shape
        Pre-activations (not the outputs of the sigmoid).

    Returns
    -------
    ndarray, shape of `z`

    Examples
    --------
    >>> sigmoid_derivative(0.0)
    array(0.25)
    """
    z = float_array("z", z)
    # sigma(-z) is 1 - sigma(z) without the cancellation at large z.
    return np.asarray(special.expit(z) * special.expit(-z))


def tanh(z: ArrayLike) -> FloatArray:
    r"""Squash each number into the interval (-1, 1).

    Implements :eq:`eq-tanh`.

    Parameters
    ----------
    z : array_like of float, any shape
        Pre-activations.

    Returns
    -------
    ndarray, shape of `z`

    Examples
    --------
    >>> tanh([0.0, 100.0])
    array([0., 1.])
    """
    return np.asarray(np.tanh(float_array("z", z)))


def tanh_derivative(z: ArrayLike) -> FloatArray:
    r"""Return :math:`\tanh'(z) = 1 - \tanh^2 z`, at most 1.

    Parameters
    ----------
    z : array_like of float, any shape
        Pre-activations (not the outputs of the tanh).

    Returns
    -------
    ndarray, shape of `z`

    Examples
    --------
    >>> tanh_derivative(0.0)
    array(1.)
    """
    return np.asarray(1.0 - np.tanh(float_array("z", z)) ** 2)


def relu(z: ArrayLike) -> FloatArray:
    r"""Keep positive numbers and set the others to zero.

    Implements :eq:`eq-relu`, :math:`\max(0, z)`.

    Parameters
    ----------
    z : array_like of float, any shape
        Pre-activations.

    Returns
    -------
    ndarray, shape of `z`

    Examples
    --------
    >>> relu([-2.0, 3.0])
    array([0., 3.])
    """
    return np.asarray(np.maximum(float_array("z", z), 0))


def relu_derivative(z: ArrayLike) -> FloatArray:
    r"""Return 1 where `z` is positive and 0 elsewhere.

    The function has a corner at zero. The value there is a convention: 0, as
    in PyTorch.

    Parameters
    ----------
    z : array_like of float, any shape
        Pre-activations.

    Returns
    -------
    ndarray, shape of `z`

    Examples
    --------
    >>> relu_derivative([-2.0, 0.0, 3.0])
    array([0., 0., 1.])
    """
    z = float_array("z", z)
    return (z > 0).astype(z.dtype)


def leaky_relu(z: ArrayLike, negative_slope: float = 0.01) -> FloatArray:
    r"""Keep positive numbers and scale the others by a small slope.

    Implements :eq:`eq-leaky-relu`.

    Parameters
    ----------
    z : array_like of float, any shape
        Pre-activations.
    negative_slope : float, default 0.01
        Slope for negative numbers.

    Returns
    -------
    ndarray, shape of `z`

    References
    ----------
    Maas, Hannun & Ng, Rectifier nonlinearities improve neural
    network acoustic models, ICML Workshop 2013.

    Examples
    --------
    >>> leaky_relu([-2.0, 3.0], negative_slope=0.1)
    array([-0.2,  3. ])
    """
    z = float_array("z", z)
    slope = z.dtype.type(real("negative_slope", negative_slope))
    return np.where(z > 0, z, slope * z)


def leaky_relu_derivative(z: ArrayLike, negative_slope: float = 0.01) -> FloatArray:
    """Return 1 where `z` is positive and `negative_slope` elsewhere.

    Parameters
    ----------
    z : array_like of float, any shape
        Pre-activations.
    negative_slope : float, default 0.01
        Slope for negative numbers.

    Returns
    -------
    ndarray, shape of `z`

    Examples
    --------
    >>> leaky_relu_derivative([-2.0, 3.0], negative_slope=0.1)
    array([0.1, 1. ])
    """
    z = float_array("z", z)
    slope = real("negative_slope", negative_slope)
    return np.where(z > 0, z.dtype.type(1), z.dtype.type(slope))


def gelu(z: ArrayLike) -> FloatArray:
    r"""Weigh each number by the chance that a standard normal lies below it.

    Implements :eq:`eq-gelu`, :math:`z\,\Phi(z)`, with the exact normal
    distribution function rather than its tanh approximation.

    Parameters
    ----------
    z : array_like of float, any shape
        Pre-activations.

    Returns
    -------
    ndarray, shape of `z`

    References
    ----------
    Hendrycks & Gimpel, Gaussian error linear units,
    arXiv:1606.08415, 2016.

    Examples
    --------
    >>> gelu([0.0, 10.0])
    array([ 0., 10.])
    """
    z = float_array("z", z)
    return np.asarray(z * special.ndtr(z))


def gelu_derivative(z: ArrayLike) -> FloatArray:
    r"""Return :math:`\Phi(z) + z\,\varphi(z)`, with :math:`\varphi` the normal density.

    Parameters
    ----------
    z : array_like of float, any shape
        Pre-activations.

    Returns
    -------
    ndarray, shape of `z`

    Examples
    --------
    >>> gelu_derivative(0.0)
    array(0.5)
    """
    z = float_array("z", z)
    density = z.dtype.type(_INVERSE_SQRT_2PI) * np.exp(-0.5 * z * z)
    return np.asarray(special.ndtr(z) + z * density)


def log_softmax(z: ArrayLike) -> FloatArray:
    r"""Return the logarithm of the softmax along the last axis.

    Implements :eq:`eq-log-softmax`: the largest logit is subtracted first, so
    no exponential overflows and no logarithm of zero is taken.

    Parameters
    ----------
    z : array_like of float, shape (..., K)
        Logits.

    Returns
    -------
    ndarray, shape (..., K)

    Raises
    ------
    ValueError
        If `z` has no axis, or its last axis is empty.

    References
    ----------
    Blanchard, Higham & Higham, Accurately computing the
    log-sum-exp and softmax functions, IMA J. Numer. Anal. 41, 2021.

    Examples
    --------
    >>> log_softmax([0.0, 10000.0])
    array([-10000.,      0.])
    """
    z = float_array("z", z, min_ndim=1)
    if z.shape[-1] == 0:
        raise ValueError(f"z must have at least one logit on its last axis, got shape {z.shape}")
    shifted = z - z.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def softmax(z: ArrayLike) -> FloatArray:
    r"""Turn logits into probabilities along the last axis.

    Implements :eq:`eq-softmax`, for logits of any finite size.

    Parameters
    ----------
    z : array_like of float, shape (..., K)
        Logits.

    Returns
    -------
    ndarray, shape (..., K)
        Non-negative, and one in sum along the last axis.

    Raises
    ------
    ValueError
        If `z` has no axis, or its last axis is empty.

    Examples
    --------
    >>> softmax([0.0, 0.0])
    array([0.5, 0.5])
    >>> softmax([-10000.0, 10000.0])
    array([0., 1.])
    """
    return np.asarray(np.exp(log_softmax(z)))


class Activation(Layer):
    """Apply a function to each element: the layer :math:`a = f(z)`.

    Parameters
    ----------
    function : callable
        :math:`f`, an array to an array of the same shape.
    derivative : callable
        :math:`f'`, as a function of the same argument.
    """

    def __init__(
        self,
        function: Callable[[FloatArray], FloatArray],
        derivative: Callable[[FloatArray], FloatArray],
    ) -> None:
        super().__init__()
        self._function = function
        self._derivative = derivative

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return :math:`f(x)`, shape of `x`, and remember `x`."""
        self._x = float_array("x", x)
        return self._function(self._x)

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        r"""Return :math:`g \odot f'(x)`, the second factor of :eq:`eq-delta`."""
        x = self._remembered("_x")
        grad_output = float_array("grad_output", grad_output, shape=x.shape)
        return np.asarray(grad_output * self._derivative(x))

    def __repr__(self) -> str:
        """Return the constructor call."""
        return f"{type(self).__name__}()"


class Identity(Activation):
    """The activation :func:`identity` as a layer."""

    def __init__(self) -> None:
        super().__init__(identity, identity_derivative)


class Sigmoid(Activation):
    """The activation :func:`sigmoid` as a layer."""

    def __init__(self) -> None:
        super().__init__(sigmoid, sigmoid_derivative)


class Tanh(Activation):
    """The activation :func:`tanh` as a layer."""

    def __init__(self) -> None:
        super().__init__(tanh, tanh_derivative)


class ReLU(Activation):
    """The activation :func:`relu` as a layer."""

    def __init__(self) -> None:
        super().__init__(relu, relu_derivative)


class GELU(Activation):
    """The activation :func:`gelu` as a layer."""

    def __init__(self) -> None:
        super().__init__(gelu, gelu_derivative)


class LeakyReLU(Activation):
    """The activation :func:`leaky_relu` as a layer.

    Parameters
    ----------
    negative_slope : float, default 0.01
        Slope for negative numbers.
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        slope = real("negative_slope", negative_slope)
        super().__init__(
            lambda z: leaky_relu(z, slope),
            lambda z: leaky_relu_derivative(z, slope),
        )
        self.negative_slope = slope

    def __repr__(self) -> str:
        """Return the constructor call."""
        return f"LeakyReLU(negative_slope={self.negative_slope:g})"


class Softmax(Layer):
    """The :func:`softmax` along the last axis, as a layer.

    For training, leave it out and give the logits to
    :class:`~companion.network.losses.CrossEntropyLoss`, which is stable and cheaper.
    """

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return probabilities, shape (..., K), for logits of the same shape."""
        self._probabilities = softmax(x)
        return self._probabilities

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        r"""Return :math:`s \odot (g - \langle g, s\rangle)` for each row :math:`s`."""
        s = self._remembered("_probabilities")
        g = float_array("grad_output", grad_output, shape=s.shape)
        return np.asarray(s * (g - (g * s).sum(axis=-1, keepdims=True)))

    def __repr__(self) -> str:
        """Return the constructor call."""
        return "Softmax()"


ACTIVATIONS: Final[dict[str, Callable[[], Activation]]] = {
    "identity": Identity,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "gelu": GELU,
}
