"""Penalties on the size of weights, added to the loss by the training loop."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from companion._validation import FloatArray, real


class Penalty:
    """Base of penalties: a strength times a sum over the weight matrices.

    Only parameters with at least two axes are penalised: biases and the scales
    of normalisation layers are left alone.

    Parameters
    ----------
    strength : float
        Factor, at least 0.
    """

    def __init__(self, strength: float) -> None:
        self.strength = real("strength", strength, minimum=0.0)

    def value(self, parameters: Mapping[str, FloatArray]) -> float:
        """Return the amount added to the loss."""
        return self.strength * sum(self._value(w) for w in parameters.values() if w.ndim >= 2)

    def add_gradient(
        self, parameters: Mapping[str, FloatArray], gradients: Mapping[str, FloatArray]
    ) -> None:
        """Add the gradient of :meth:`value` to `gradients`, in place."""
        for name, w in parameters.items():
            if w.ndim >= 2:
                gradients[name][...] += self.strength * self._gradient(w)

    def _value(self, w: FloatArray) -> float:
        raise TypeError(f"{type(self).__name__} must define _value")

    def _gradient(self, w: FloatArray) -> FloatArray:
        raise TypeError(f"{type(self).__name__} must define _gradient")


class L1(Penalty):
    r"""Sum of absolute values: it drives weights to zero.

    Implements :eq:`eq-l1` (Tibshirani, J. R. Stat. Soc. B 58, 1996). At zero
    the gradient is taken as zero.

    Examples
    --------
    >>> L1(0.1).value({"w": np.array([[1.0, -2.0]])})
    0.30000000000000004
    """

    def _value(self, w: FloatArray) -> float:
        return float(np.abs(w).sum())

    def _gradient(self, w: FloatArray) -> FloatArray:
        return np.asarray(np.sign(w))


class L2(Penalty):
    r"""Half the sum of squares: it shrinks weights in proportion.

    Implements :eq:`eq-l2` (Krogh & Hertz, NIPS 1991). For plain gradient
    descent it is the same as ``weight_decay`` of the same strength.

    Examples
    --------
    >>> L2(0.1).value({"w": np.array([[1.0, -2.0]])})
    0.25
    """

    def _value(self, w: FloatArray) -> float:
        return 0.5 * float(np.square(w).sum())

    def _gradient(self, w: FloatArray) -> FloatArray:
        return w
