"""Losses: one number that says how wrong a batch of outputs is, and its gradient."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from companion._validation import FloatArray, float_array, labels
from companion.network.activations import log_softmax


class Loss(Protocol):
    """What the training loop asks of a loss."""

    def forward(self, prediction: ArrayLike, target: ArrayLike) -> float:
        """Return the mean loss of a batch."""

    def backward(self) -> FloatArray:
        """Return its gradient with respect to the last prediction."""


def mse(prediction: ArrayLike, target: ArrayLike) -> float:
    r"""Return the mean squared error over all entries.

    Implements :eq:`eq-mse`.

    Parameters
    ----------
    prediction, target : array_like of float, same shape

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the shapes differ, or there is nothing to average.

    Examples
    --------
    >>> mse([1.0, 2.0], [0.0, 4.0])
    2.5
    """
    return float(np.mean(np.square(_difference(prediction, target))))


def mse_gradient(prediction: ArrayLike, target: ArrayLike) -> FloatArray:
    r"""Return the gradient of :func:`mse` with respect to the prediction.

    Implements :eq:`eq-mse-gradient`: twice the difference over the number of
    entries.

    Parameters
    ----------
    prediction, target : array_like of float, same shape

    Returns
    -------
    ndarray, shape of `prediction`

    Examples
    --------
    >>> mse_gradient([1.0, 2.0], [0.0, 4.0])
    array([ 1., -2.])
    """
    difference = _difference(prediction, target)
    return np.asarray(2.0 * difference / difference.size)


def _difference(prediction: ArrayLike, target: ArrayLike) -> FloatArray:
    prediction = float_array("prediction", prediction)
    if prediction.size == 0:
        raise ValueError(f"prediction must not be empty, got shape {prediction.shape}")
    wanted = float_array("target", target, shape=prediction.shape)
    # The gradient goes back into the network: it keeps the type of the prediction.
    return np.asarray(prediction - wanted.astype(prediction.dtype, copy=False))


def cross_entropy(logits: ArrayLike, target: ArrayLike) -> float:
    r"""Return the mean negative log-probability of the right class.

    Implements :eq:`eq-cross-entropy` in nats, from logits, without computing a
    probability that could round to zero.

    Parameters
    ----------
    logits : array_like of float, shape (N, K)
        One sample a row.
    target : array_like of int, shape (N,)
        The right class of each sample, ``0 .. K-1``.

    Returns
    -------
    float
        At least 0; ``log K`` for uniform guesses.

    Raises
    ------
    TypeError
        If the labels are not integers.
    ValueError
        If shapes do not fit, or a label is out of range.

    Examples
    --------
    >>> round(cross_entropy([[0.0, 0.0]], [1]), 4)
    0.6931
    >>> cross_entropy([[10000.0, -10000.0]], [1])
    20000.0
    """
    logits, target = _logits_and_labels(logits, target)
    return float(-np.mean(log_softmax(logits)[np.arange(len(target)), target]))


def cross_entropy_gradient(logits: ArrayLike, target: ArrayLike) -> FloatArray:
    r"""Return the gradient of :func:`cross_entropy` with respect to the logits.

    Implements :eq:`eq-cross-entropy-gradient`: probability minus truth, over
    the number of samples.

    Parameters
    ----------
    logits : array_like of float, shape (N, K)
    target : array_like of int, shape (N,)

    Returns
    -------
    ndarray, shape (N, K)
        Each row sums to zero.

    Examples
    --------
    >>> cross_entropy_gradient([[0.0, 0.0]], [1])
    array([[ 0.5, -0.5]])
    """
    logits, target = _logits_and_labels(logits, target)
    gradient = np.exp(log_softmax(logits))
    gradient[np.arange(len(target)), target] -= 1.0
    return np.asarray(gradient / len(target))


def _logits_and_labels(logits: ArrayLike, target: ArrayLike) -> tuple[FloatArray, np.ndarray]:
    array = float_array("logits", logits, ndim=2)
    if array.size == 0:
        raise ValueError(f"logits must not be empty, got shape {array.shape}")
    return array, labels("target", target, length=array.shape[0], classes=array.shape[1])


class MSELoss:
    """Mean squared error, :func:`mse`, for the training loop.

    Examples
    --------
    >>> loss = MSELoss()
    >>> loss.forward([1.0, 2.0], [0.0, 4.0])
    2.5
    """

    def forward(self, prediction: ArrayLike, target: ArrayLike) -> float:
        """Return the loss; both arrays have the same shape."""
        self._gradient = mse_gradient(prediction, target)
        return mse(prediction, target)

    def backward(self) -> FloatArray:
        """Return the gradient with respect to the last prediction."""
        return _remembered(self)


class CrossEntropyLoss:
    """Cross-entropy from logits, :func:`cross_entropy`, for the training loop.

    Examples
    --------
    >>> loss = CrossEntropyLoss()
    >>> round(loss.forward([[0.0, 0.0]], [1]), 4)
    0.6931
    """

    def forward(self, prediction: ArrayLike, target: ArrayLike) -> float:
        """Return the loss of logits (N, K) for labels (N,)."""
        self._gradient = cross_entropy_gradient(prediction, target)
        return cross_entropy(prediction, target)

    def backward(self) -> FloatArray:
        """Return the gradient with respect to the last logits, shape (N, K)."""
        return _remembered(self)


def _remembered(loss: MSELoss | CrossEntropyLoss) -> FloatArray:
    if not hasattr(loss, "_gradient"):
        raise RuntimeError(f"{type(loss).__name__}.backward was called before forward")
    return loss._gradient
