"""Gated recurrent layers: the LSTM and the GRU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, log_expit

from companion._validation import FloatArray, float_array, real
from companion.recurrence.rnn import RecurrentLayer, States, _Sweep


class LSTM(RecurrentLayer):
    r"""A layer with a cell that is kept, written and read through gates.

    Implements :eq:`eq-lstm` (Hochreiter & Schmidhuber, Neural Computation 1997,
    with the forget gate of Gers, Schmidhuber & Cummins, Neural Computation 2000),
    and in the backward pass :eq:`eq-lstm-backward`. The rows of the weights are
    the gates in PyTorch's order: i, f, g, o.

    Parameters
    ----------
    input_size, hidden_size : int
    forget_bias : float, default 1
        Where the bias of the forget gate starts (Jozefowicz, Zaremba &
        Sutskever, ICML 2015, recommend 1). It lies in ``bias_ih``; ``bias_hh``
        starts at zero. A layer with ``bias=False`` has none.
    **options
        See :class:`.RecurrentLayer`.

    Raises
    ------
    ValueError
        If a size is below 1, or the forget bias is not finite.

    Examples
    --------
    >>> lstm = LSTM(3, 4, rng=0)
    >>> h, c = (lstm(np.ones((6, 2, 3))), lstm.state)[1]
    >>> h.shape, c.shape, lstm.parameters()["weight_ih_l0"].shape
    ((1, 2, 4), (1, 2, 4), (16, 3))
    """

    gates = ("i", "f", "g", "o")
    state_names = ("h", "c")
    saved_names = ("i", "f", "g", "o")

    def __init__(
        self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0, **options: Any
    ) -> None:
        super().__init__(input_size, hidden_size, **options)
        start = real("forget_bias", forget_bias)
        for name, bias in self._parameters.items():
            if name.startswith("bias_ih"):
                bias[self.hidden_size : 2 * self.hidden_size] = start

    def _step(
        self, z: FloatArray, states: States, w_hh: FloatArray, b_hh: FloatArray | float
    ) -> tuple[States, tuple[FloatArray, ...]]:
        h, c = states
        i, f, g, o = np.split(z + h @ w_hh.T + b_hh, 4, axis=1)
        i, f, g, o = expit(i), expit(f), np.tanh(g), expit(o)
        c = f * c + i * g
        squashed = np.tanh(c)
        return (o * squashed, c), (i, f, g, o, squashed)

    def _step_backward(
        self, grads: States, states: States, saved: tuple[FloatArray, ...], w_hh: FloatArray
    ) -> tuple[FloatArray, States]:
        (grad_h, grad_c), (_, c), (i, f, g, o, squashed) = grads, states, saved
        grad_c = grad_c + grad_h * o * (1.0 - squashed**2)
        parts = (
            grad_c * g * i * (1.0 - i),
            grad_c * c * f * (1.0 - f),
            grad_c * i * (1.0 - g**2),
            grad_h * squashed * o * (1.0 - o),
        )
        grad_z = np.concatenate(parts, axis=1)
        return grad_z, (grad_z @ w_hh, grad_c * f)


class GRU(RecurrentLayer):
    r"""A gated layer without a cell of its own.

    Implements :eq:`eq-gru` (Cho et al., EMNLP 2014) in PyTorch's form, in which
    the reset gate multiplies :math:`W_{hn} h_{t-1} + b_{hn}` and not
    :math:`h_{t-1}`. The rows of the weights are in the order r, z, n.

    Parameters
    ----------
    input_size, hidden_size : int
    **options
        See :class:`.RecurrentLayer`.

    Examples
    --------
    >>> gru = GRU(3, 4, rng=0)
    >>> gru(np.ones((6, 2, 3))).shape, gru.parameters()["weight_hh_l0"].shape
    ((6, 2, 4), (12, 4))
    """

    gates = ("r", "z", "n")
    saved_names = ("r", "z", "n")

    def _step(
        self, z: FloatArray, states: States, w_hh: FloatArray, b_hh: FloatArray | float
    ) -> tuple[States, tuple[FloatArray, ...]]:
        (h,) = states
        z_r, z_u, z_n = np.split(z, 3, axis=1)
        h_r, h_u, h_n = np.split(h @ w_hh.T + b_hh, 3, axis=1)
        reset, update = expit(z_r + h_r), expit(z_u + h_u)
        new = np.tanh(z_n + reset * h_n)
        # Not new + update (h - new), which rounds: a shut gate must copy h to the last bit.
        return ((1.0 - update) * new + update * h,), (reset, update, new, h_n)

    def _step_backward(
        self, grads: States, states: States, saved: tuple[FloatArray, ...], w_hh: FloatArray
    ) -> tuple[FloatArray, States]:
        (grad_h,), (h,), (reset, update, new, h_n) = grads, states, saved
        grad_n = grad_h * (1.0 - update) * (1.0 - new**2)
        grad_r = grad_n * h_n * reset * (1.0 - reset)
        grad_u = grad_h * (h - new) * update * (1.0 - update)
        grad_z = np.concatenate((grad_r, grad_u, grad_n), axis=1)
        through = np.concatenate((grad_r, grad_u, grad_n * reset), axis=1)
        return grad_z, (grad_h * update + through @ w_hh,)

    def _recurrent_part(self, grad_z: FloatArray, sweep: _Sweep) -> FloatArray:
        # The reset gate stands between the state's product and the sum of the candidate.
        through = grad_z.copy()
        for t, (reset, *_) in zip(sweep.order, sweep.saved, strict=True):
            through[t, :, 2 * self.hidden_size :] *= reset
        return through


def cell_half_life(forget_bias: ArrayLike) -> FloatArray:
    r"""Return the number of steps after which half of a cell is left.

    Implements :eq:`eq-half-life`, :math:`n = \ln 2 / (-\ln \sigma(b))`: a forget
    gate that sees nothing but its bias b multiplies the cell, and on the way back
    the gradient along the cell, by :math:`\sigma(b)` at each step (Jozefowicz,
    Zaremba & Sutskever, ICML 2015, on why that bias should be large; Tallec &
    Ollivier, ICLR 2018, on choosing it by the time to remember).

    Parameters
    ----------
    forget_bias : array_like, any shape
        Sum of all that the gate sees, constant in time.

    Returns
    -------
    ndarray, shape of `forget_bias`
        In steps; infinite where rounding has made the gate exactly 1.

    Raises
    ------
    ValueError
        If a bias is not finite.

    Examples
    --------
    >>> cell_half_life([0.0, 1.0, 5.0]).round(1)
    array([  1. ,   2.2, 103.2])
    """
    # log_expit keeps the digits that log(expit(b)) loses where the gate is nearly 1.
    bias = float_array("forget_bias", forget_bias, finite=True)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(2.0) / -log_expit(bias), dtype=bias.dtype)
