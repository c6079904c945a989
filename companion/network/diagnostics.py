"""Measure how signals and gradients travel through a network."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from companion._validation import FloatArray, float_array
from companion.network.layers import Layer
from companion.network.losses import Loss


def weight_gradient_norms(model: Layer, loss: Loss, x: ArrayLike, y: ArrayLike) -> dict[str, float]:
    r"""Return the size of the gradient of each weight matrix.

    Parameters
    ----------
    model : Layer
    loss : Loss
    x, y : array_like
        One batch.

    Returns
    -------
    dict of str to float
        Frobenius norm of :math:`\partial J/\partial W` by parameter name, from
        the first layer to the last. Biases are left out.

    Examples
    --------
    >>> from companion.network import CrossEntropyLoss, mlp
    >>> model = mlp([4, 8, 3], rng=0)
    >>> list(weight_gradient_norms(model, CrossEntropyLoss(), np.ones((2, 4)), [0, 1]))
    ['0.weight', '2.weight']
    """
    loss.forward(model.forward(x), y)
    model.backward(loss.backward())
    return {
        name: float(np.linalg.norm(gradient))
        for name, gradient in model.gradients().items()
        if gradient.ndim >= 2
    }


def jacobian(model: Layer, x: ArrayLike) -> FloatArray:
    r"""Return the Jacobian of a model at one sample.

    Implements :eq:`eq-jacobian`: one backward pass of a batch of copies of `x`
    with the rows of the identity gives all rows of the product. The layers
    must treat samples independently, so not batch normalisation in training
    mode, and not random, so not dropout in training mode.

    Parameters
    ----------
    model : Layer
        From (N, n) to (N, m).
    x : array_like, shape (n,)
        One sample.

    Returns
    -------
    ndarray, shape (m, n)
        Entry i, j is the derivative of output i with respect to input j.

    Raises
    ------
    ValueError
        If `x` does not have one axis.

    Examples
    --------
    >>> from companion.network import Linear
    >>> layer = Linear(3, 2, rng=0)
    >>> bool(np.array_equal(jacobian(layer, np.ones(3)), layer.weight))
    True
    """
    x = float_array("x", x, ndim=1)
    outputs = model.forward(x[None, :]).shape[-1]
    model.forward(np.repeat(x[None, :], outputs, axis=0))
    return model.backward(np.eye(outputs, dtype=x.dtype))
