"""A small reverse-mode automatic differentiation, made to be read.

Every operation returns a :class:`Tensor` that remembers its parents and, for
each, how to turn the gradient of the result into a gradient of that parent.
:meth:`Tensor.backward` walks this graph once, from the result to the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from companion._validation import float_array

Array = NDArray[np.floating[Any]]
Vjp = Callable[[Array], Array]


class Tensor:
    """An array that knows how it was computed.

    Parameters
    ----------
    data : array_like of float
        The value.

    Attributes
    ----------
    data : ndarray
    grad : ndarray or None
        After :meth:`backward` on a later result: its gradient with respect to this.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0])
    >>> (x * x).sum().backward()
    >>> x.grad
    array([2., 4.])
    """

    # NumPy would otherwise take over in ``array + tensor``, entry by entry.
    __array_ufunc__ = None

    def __init__(self, data: ArrayLike, parents: Iterable[tuple[Tensor, Vjp]] = ()) -> None:
        self.data = float_array("data", data)
        self.grad: Array | None = None
        self._parents = tuple(parents)

    def backward(self) -> None:
        r"""Compute the gradient of this number with respect to everything before it.

        Implements :eq:`eq-adjoint`: each node's gradient is the sum over its uses.

        Raises
        ------
        ValueError
            If this tensor is not a single number.
        """
        if self.data.size != 1:
            raise ValueError(f"backward needs a single number, got shape {self.data.shape}")
        order: list[Tensor] = []
        seen: set[int] = set()
        stack = [(self, False)]
        while stack:
            node, parents_done = stack.pop()
            if parents_done:
                order.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                stack.append((node, True))
                stack.extend((parent, False) for parent, _ in node._parents)
        for node in order:
            node.grad = np.zeros_like(node.data)
        self.grad = np.ones_like(self.data)
        for node in reversed(order):
            for parent, vjp in node._parents:
                parent.grad = parent.grad + vjp(node.grad)  # type: ignore[operator,arg-type]

    def _operand(self, value: Tensor | ArrayLike) -> Tensor:
        if isinstance(value, Tensor):
            return value
        # A plain number takes our type: 2 * x stays float32 where x is.
        return Tensor(self.data.dtype.type(value) if isinstance(value, (int, float)) else value)

    def __add__(self, other: Tensor | ArrayLike) -> Tensor:
        a, b = self, self._operand(other)
        return Tensor(
            a.data + b.data,
            [(a, lambda g: _unbroadcast(g, a)), (b, lambda g: _unbroadcast(g, b))],
        )

    def __mul__(self, other: Tensor | ArrayLike) -> Tensor:
        a, b = self, self._operand(other)
        return Tensor(
            a.data * b.data,
            [
                (a, lambda g: _unbroadcast(g * b.data, a)),
                (b, lambda g: _unbroadcast(g * a.data, b)),
            ],
        )

    def __matmul__(self, other: Tensor | ArrayLike) -> Tensor:
        a, b = self, self._operand(other)
        if a.data.ndim != 2 or b.data.ndim != 2:
            raise ValueError(f"@ needs two matrices, got shapes {a.data.shape}, {b.data.shape}")
        return Tensor(a.data @ b.data, [(a, lambda g: g @ b.data.T), (b, lambda g: a.data.T @ g)])

    def __pow__(self, exponent: float) -> Tensor:
        x, p = self.data, float(exponent)
        return Tensor(x**p, [(self, lambda g: g * p * x ** (p - 1.0))])

    def __neg__(self) -> Tensor:
        return self * -1.0

    def __sub__(self, other: Tensor | ArrayLike) -> Tensor:
        return self + -self._operand(other)

    def __truediv__(self, other: Tensor | ArrayLike) -> Tensor:
        return self * self._operand(other) ** -1.0

    def __rsub__(self, other: ArrayLike) -> Tensor:
        return self._operand(other) - self

    def __rtruediv__(self, other: ArrayLike) -> Tensor:
        return self._operand(other) / self

    def __rmatmul__(self, other: ArrayLike) -> Tensor:
        return self._operand(other) @ self

    __radd__ = __add__
    __rmul__ = __mul__

    @property
    def T(self) -> Tensor:
        """The transpose."""
        return Tensor(self.data.T, [(self, lambda g: g.T)])

    def exp(self) -> Tensor:
        """Return the exponential of each entry."""
        y = np.exp(self.data)
        return Tensor(y, [(self, lambda g: g * y)])

    def log(self) -> Tensor:
        """Return the natural logarithm of each entry."""
        return Tensor(np.log(self.data), [(self, lambda g: g / self.data)])

    def tanh(self) -> Tensor:
        """Return the hyperbolic tangent of each entry."""
        y = np.tanh(self.data)
        return Tensor(y, [(self, lambda g: g * (1.0 - y * y))])

    def relu(self) -> Tensor:
        """Return the positive part of each entry."""
        return Tensor(np.maximum(self.data, 0.0), [(self, lambda g: g * (self.data > 0))])

    def sum(self, axis: int | None = None) -> Tensor:
        """Return the sum over all entries, or over one axis, which stays with length 1."""
        total = self.data.sum(axis=axis, keepdims=axis is not None)
        return Tensor(total, [(self, lambda g: np.broadcast_to(g, self.data.shape))])

    def mean(self) -> Tensor:
        """Return the mean over all entries."""
        return self.sum() / self.data.size


def _unbroadcast(gradient: Array, tensor: Tensor) -> Array:
    # Where NumPy repeated the operand, each copy contributes: sum them.
    shape = tensor.data.shape
    extra = gradient.ndim - len(shape)
    repeated = tuple(range(extra)) + tuple(
        extra + i for i, n in enumerate(shape) if n == 1 and gradient.shape[extra + i] > 1
    )
    return np.asarray(gradient.sum(axis=repeated).reshape(shape))
