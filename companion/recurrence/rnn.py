"""Recurrent layers: one step after another, and the gradient back through all of them.

:class:`.RecurrentLayer` is everything that recurrent networks share: layers and
directions, masks for sequences of unequal length, and backpropagation through
time. A kind of cell adds one step forward and one step backward.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from companion._validation import (
    FloatArray,
    Seed,
    choice,
    float_array,
    float_dtype,
    generator,
    integer,
    real,
)
from companion.matrices import spectral_radius
from companion.network import initialisers
from companion.network.initialisers import Initialiser
from companion.network.layers import Layer

States = tuple[FloatArray, ...]
"""What a cell hands to the next step, ``(h,)`` or, for an LSTM, ``(h, c)``."""


@dataclass
class _Sweep:
    """What one layer in one direction remembers of its way through a sequence."""

    x: FloatArray
    order: range
    states: list[States]  # before each step, in the order of the steps
    saved: list[tuple[FloatArray, ...]]  # what the cell keeps of each step


class RecurrentLayer(Layer):
    """Base of :class:`RNN`, :class:`.LSTM` and :class:`.GRU`: everything but the cell.

    A subclass names its blocks of rows in `gates`, its states in `state_names`
    and what a step keeps in `saved_names`, and defines ``_step`` and
    ``_step_backward``. Parameters, their shapes and their names are those of
    PyTorch's layers, so ``load_state_dict`` accepts them.

    Parameters
    ----------
    input_size, hidden_size : int
        Numbers in one step of the input, and in the state of one layer.
    num_layers : int, default 1
        Layers above each other; each reads the outputs of the one below.
    bias : bool, default True
    bidirectional : bool, default False
        Whether a second set of weights reads the sequence from its end.
    weight_init : callable, default xavier_uniform
        Initialiser of each gate's block of ``weight_ih``.
    recurrent_init : callable, default orthogonal
        Initialiser of each gate's block of ``weight_hh`` (Saxe, McClelland &
        Ganguli, ICLR 2014, for why orthogonal).
    rng : Generator or int
    dtype : float64 or float32

    Attributes
    ----------
    state : ndarray, or pair of ndarray for an LSTM
        After ``forward``: the state after each sequence's last step, shape
        (num_layers * directions, N, hidden_size).
    grad_state : ndarray, or pair of ndarray
        After ``backward``: the gradient with respect to the initial state.
    """

    gates: ClassVar[tuple[str, ...]]
    state_names: ClassVar[tuple[str, ...]] = ("h",)
    saved_names: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        bias: bool = True,
        bidirectional: bool = False,
        weight_init: Initialiser = initialisers.xavier_uniform,
        recurrent_init: Initialiser = initialisers.orthogonal,
        rng: Seed,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        self.input_size = integer("input_size", input_size)
        self.hidden_size = integer("hidden_size", hidden_size)
        self.num_layers = integer("num_layers", num_layers)
        self.bidirectional = bool(bidirectional)
        random, kind = generator("rng", rng), float_dtype("dtype", dtype)
        self._sweeps: list[_Sweep] = []
        below = self.input_size
        for layer in range(self.num_layers):
            for suffix in self._suffixes():
                for part, init, size in (
                    ("ih", weight_init, below),
                    ("hh", recurrent_init, self.hidden_size),
                ):
                    blocks = [
                        self._block(init, (self.hidden_size, size), random, kind)
                        for _ in self.gates
                    ]
                    self._parameters[f"weight_{part}_l{layer}{suffix}"] = np.concatenate(blocks)
                for part in ("ih", "hh") if bias else ():
                    zeros = np.zeros(len(self.gates) * self.hidden_size, dtype=kind)
                    self._parameters[f"bias_{part}_l{layer}{suffix}"] = zeros
            below = self.hidden_size * len(self._suffixes())

    @staticmethod
    def _block(
        init: Initialiser, shape: tuple[int, int], rng: np.random.Generator, dtype: np.dtype[Any]
    ) -> FloatArray:
        block = init(shape, rng=rng, dtype=dtype)
        if np.shape(block) != shape:
            raise ValueError(f"an initialiser must return shape {shape}, got {np.shape(block)}")
        return np.asarray(block, dtype=dtype)

    def _suffixes(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    def _keys(self) -> list[str]:
        """Return the names of the sweeps: one for each layer and direction."""
        return [f"l{k}{suffix}" for k in range(self.num_layers) for suffix in self._suffixes()]

    def _weights(self, key: str) -> tuple[FloatArray, FloatArray]:
        return self._parameters[f"weight_ih_{key}"], self._parameters[f"weight_hh_{key}"]

    def _biases(self, key: str) -> tuple[FloatArray | float, FloatArray | float]:
        return (
            self._parameters.get(f"bias_ih_{key}", 0.0),
            self._parameters.get(f"bias_hh_{key}", 0.0),
        )

    # One step, defined by the cell.

    def _step(
        self, z: FloatArray, states: States, w_hh: FloatArray, b_hh: FloatArray | float
    ) -> tuple[States, tuple[FloatArray, ...]]:
        """Return the next states and what to keep, from the input's part `z` of the sums."""
        raise TypeError(f"{type(self).__name__} must define _step")

    def _step_backward(
        self, grads: States, states: States, saved: tuple[FloatArray, ...], w_hh: FloatArray
    ) -> tuple[FloatArray, States]:
        """Return the gradients with respect to `z` and to the states before the step."""
        raise TypeError(f"{type(self).__name__} must define _step_backward")

    def _recurrent_part(self, grad_z: FloatArray, sweep: _Sweep) -> FloatArray:
        """Return the gradient with respect to the state's part of the sums: that of `z`."""
        return grad_z

    # Whole sequences.

    def forward(
        self,
        x: ArrayLike,
        state: ArrayLike | tuple[ArrayLike, ArrayLike] | None = None,
        *,
        lengths: ArrayLike | None = None,
    ) -> FloatArray:
        """Return the outputs at all steps; the final state is then in ``state``.

        Parameters
        ----------
        x : array_like, shape (T, N, input_size)
            One sequence a column: step first, as in PyTorch.
        state : array_like, shape (num_layers * directions, N, hidden_size), optional
            Initial state; zeros without it. An LSTM takes a pair ``(h, c)``.
        lengths : array_like of int, shape (N,), optional
            Steps of each sequence, 1 to T. What lies beyond is padding: it
            changes no state, its outputs are zero, and no gradient reaches it.

        Returns
        -------
        ndarray, shape (T, N, directions * hidden_size)
            Outputs of the top layer; those of both directions side by side.

        Raises
        ------
        ValueError
            If a shape does not fit, there is no step, or a length is not in 1 .. T.
        """
        out = float_array("x", x, shape=(None, None, self.input_size))
        out = out.astype(self._parameters["weight_ih_l0"].dtype, copy=False)
        steps, n, _ = out.shape
        if steps == 0:
            raise ValueError(f"x must have at least one step, got shape {out.shape}")
        initial = self._initial(state, n, out.dtype)
        self._mask = None if lengths is None else _mask(lengths, steps, n)
        self._sweeps, final = [], []
        keys = iter(self._keys())
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(len(self._suffixes())):
                index = layer * len(self._suffixes()) + direction
                order = range(steps) if direction == 0 else range(steps - 1, -1, -1)
                start = tuple(part[index] for part in initial)
                output, end = self._forward_sweep(next(keys), out, start, order)
                outputs.append(output)
                final.append(end)
            out = np.concatenate(outputs, axis=2) if self.bidirectional else outputs[0]
        self.state = _pack([np.stack(parts) for parts in zip(*final, strict=True)])
        return out

    def _initial(self, state: Any, n: int, dtype: np.dtype[Any]) -> list[FloatArray]:
        shape = (len(self._keys()), n, self.hidden_size)
        if state is None:
            return [np.zeros(shape, dtype=dtype) for _ in self.state_names]
        parts = (state,) if len(self.state_names) == 1 else state
        if not isinstance(parts, (tuple, list)) or len(parts) != len(self.state_names):
            raise TypeError(f"state must be a pair (h, c), got {type(state).__name__}")
        return [
            float_array(f"state {name}", part, shape=shape).astype(dtype, copy=False)
            for name, part in zip(self.state_names, parts, strict=True)
        ]

    def _forward_sweep(
        self, key: str, x: FloatArray, states: States, order: range
    ) -> tuple[FloatArray, States]:
        (w_ih, w_hh), (b_ih, b_hh) = self._weights(key), self._biases(key)
        z = x @ w_ih.T + b_ih  # the input's part does not wait for the state: all steps at once
        sweep = _Sweep(x, order, [], [])
        output = np.empty((*x.shape[:2], self.hidden_size), dtype=x.dtype)
        for t in order:
            after, saved = self._step(z[t], states, w_hh, b_hh)
            if self._mask is not None:
                pairs = zip(after, states, strict=True)
                after = tuple(np.where(self._mask[t], new, old) for new, old in pairs)
            sweep.states.append(states)
            sweep.saved.append(saved)
            output[t], states = after[0], after
        if self._mask is not None:
            output *= self._mask
        self._sweeps.append(sweep)
        return output, states

    def backward(
        self,
        grad_output: ArrayLike,
        grad_state: ArrayLike | tuple[ArrayLike, ArrayLike] | None = None,
        *,
        truncate: int | None = None,
    ) -> FloatArray:
        r"""Return the gradient with respect to the input: backpropagation through time.

        Parameters
        ----------
        grad_output : array_like, shape of the last output
        grad_state : as the attribute ``state``, optional
            Gradient with respect to the final state, where the loss uses it.
        truncate : int, optional
            Cut the sequence into windows of so many steps and let no gradient
            pass from one window to the one before it (Williams & Peng, Neural
            Computation 1990). Not for bidirectional layers.

        Returns
        -------
        ndarray, shape (T, N, input_size)
            Also stores the gradients of the parameters, and that of the initial
            state in ``grad_state``.

        Raises
        ------
        ValueError
            If a shape does not fit, or a bidirectional layer is to be truncated.
        RuntimeError
            If called before ``forward``.
        """
        self._remembered("state")
        steps, n = self._sweeps[0].x.shape[:2]
        directions, size = len(self._suffixes()), self.hidden_size
        grad = float_array("grad_output", grad_output, shape=(steps, n, directions * size))
        dtype = self._parameters["weight_ih_l0"].dtype
        grad = grad.astype(dtype, copy=False)
        final = self._initial(grad_state, n, dtype)
        if truncate is not None:
            integer("truncate", truncate)
            if self.bidirectional:
                raise ValueError("truncate must be None for a bidirectional layer, got a window")
        if self._mask is not None:
            grad = grad * self._mask
        keys, first = self._keys(), [np.empty_like(part) for part in final]
        self._state_grads: dict[str, list[States]] = {}
        for layer in reversed(range(self.num_layers)):
            below = np.zeros_like(self._sweeps[layer * directions].x)
            for direction in range(directions):
                index = layer * directions + direction
                part = grad[:, :, direction * size : (direction + 1) * size]
                ends = tuple(end[index] for end in final)
                grad_x, starts = self._backward_sweep(index, keys[index], part, ends, truncate)
                below += grad_x
                for array, start in zip(first, starts, strict=True):
                    array[index] = start
            grad = below if self._mask is None else below * self._mask
        self.grad_state = _pack(first)
        return below

    def _backward_sweep(
        self, index: int, key: str, grad_output: FloatArray, grads: States, truncate: int | None
    ) -> tuple[FloatArray, States]:
        sweep, (w_ih, w_hh) = self._sweeps[index], self._weights(key)
        grad_z = np.empty((*grad_output.shape[:2], len(w_ih)), dtype=grad_output.dtype)
        h = np.empty_like(grad_output)  # the state before each step
        trace: list[States] = []
        for k in reversed(range(len(sweep.order))):
            t = sweep.order[k]
            grads = (grads[0] + grad_output[t], *grads[1:])
            trace.append(grads)
            states, saved = sweep.states[k], sweep.saved[k]
            h[t] = states[0]
            if self._mask is None:
                grad_z[t], grads = self._step_backward(grads, states, saved, w_hh)
            else:
                # A padded step copies the state, so its gradient passes unchanged.
                inside = tuple(self._mask[t] * grad for grad in grads)
                grad_z[t], before = self._step_backward(inside, states, saved, w_hh)
                pairs = zip(before, grads, strict=True)
                grads = tuple(np.where(self._mask[t], new, old) for new, old in pairs)
            if truncate is not None and t % truncate == 0 and t > 0:
                grads = tuple(np.zeros_like(grad) for grad in grads)
        self._state_grads[key] = trace[::-1]
        rows = grad_z.reshape(-1, len(w_ih))
        recurrent_rows = self._recurrent_part(grad_z, sweep).reshape(-1, len(w_ih))
        self._gradients[f"weight_ih_{key}"] = rows.T @ sweep.x.reshape(-1, w_ih.shape[1])
        self._gradients[f"weight_hh_{key}"] = recurrent_rows.T @ h.reshape(-1, self.hidden_size)
        if f"bias_ih_{key}" in self._parameters:
            self._gradients[f"bias_ih_{key}"] = rows.sum(axis=0)
            self._gradients[f"bias_hh_{key}"] = recurrent_rows.sum(axis=0)
        return grad_z @ w_ih, grads

    # What to look at afterwards.

    def activations(self, layer: int = 0, *, reverse: bool = False) -> dict[str, FloatArray]:
        """Return the states and gates of the last forward pass, step by step.

        Parameters
        ----------
        layer : int, default 0
        reverse : bool, default False
            Those of the direction that reads from the end.

        Returns
        -------
        dict of str to ndarray, each of shape (T, N, hidden_size)
            ``"h"`` after each step; an LSTM adds its cell ``"c"`` and its gates
            ``"i"``, ``"f"``, ``"g"``, ``"o"``; a GRU ``"r"``, ``"z"``, ``"n"``.

        Raises
        ------
        ValueError
            If there is no such layer or direction.
        RuntimeError
            If called before ``forward``.
        """
        index = self._index(layer, reverse)
        final = self.state if isinstance(self.state, tuple) else (self.state,)
        sweep = self._remembered("_sweeps")[index]
        after = [*sweep.states[1:], tuple(part[index] for part in final)]
        found = dict(zip(self.state_names, zip(*after, strict=True), strict=True))
        found |= dict(zip(self.saved_names, zip(*sweep.saved, strict=True), strict=False))
        step = 1 if sweep.order.step == 1 else -1
        return {name: np.stack(arrays)[::step] for name, arrays in found.items()}

    def state_gradients(self, layer: int = 0, *, reverse: bool = False) -> dict[str, FloatArray]:
        """Return the loss gradient with respect to each state of the last pass.

        Parameters
        ----------
        layer, reverse
            As in :meth:`activations`.

        Returns
        -------
        dict of str to ndarray, each of shape (T, N, hidden_size)
            Entry t is the gradient with respect to the state after step t. For an
            LSTM the pair ``"h"``, ``"c"`` counts as two variables, as in PyTorch:
            what goes through :math:`h_t` is not in that of :math:`c_t`.

        Raises
        ------
        ValueError
            If there is no such layer or direction.
        RuntimeError
            If called before ``backward``.
        """
        index = self._index(layer, reverse)
        trace = self._remembered("_state_grads")[self._keys()[index]]
        step = 1 if self._sweeps[index].order.step == 1 else -1
        return {
            name: np.stack([grads[k] for grads in trace])[::step]
            for k, name in enumerate(self.state_names)
        }

    def _index(self, layer: int, reverse: bool) -> int:
        self._remembered("state")
        if integer("layer", layer, minimum=0) >= self.num_layers:
            raise ValueError(f"layer must be below {self.num_layers}, got {layer}")
        if reverse and not self.bidirectional:
            raise ValueError("reverse must be False for a layer of one direction, got True")
        return layer * len(self._suffixes()) + int(reverse)

    def __repr__(self) -> str:
        """Return the sizes."""
        extra = f", num_layers={self.num_layers}" if self.num_layers > 1 else ""
        extra += ", bidirectional=True" if self.bidirectional else ""
        return f"{type(self).__name__}({self.input_size}, {self.hidden_size}{extra})"


class RNN(RecurrentLayer):
    r"""A plain recurrent layer.

    Implements :eq:`eq-rnn`,
    :math:`h_t = f(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})` (Elman,
    Cognitive Science 1990), and in the backward pass :eq:`eq-bptt` (Werbos,
    Proceedings of the IEEE 1990).

    Parameters
    ----------
    input_size, hidden_size : int
    nonlinearity : {"tanh", "relu"}, default "tanh"
        The function :math:`f`.
    **options
        See :class:`.RecurrentLayer`.

    Raises
    ------
    ValueError
        If a size is below 1 or the nonlinearity is unknown.

    Examples
    --------
    >>> rnn = RNN(3, 4, rng=0)
    >>> rnn(np.ones((6, 2, 3))).shape, rnn.state.shape
    ((6, 2, 4), (1, 2, 4))
    """

    gates = ("h",)

    def __init__(
        self, input_size: int, hidden_size: int, *, nonlinearity: str = "tanh", **options: Any
    ) -> None:
        super().__init__(input_size, hidden_size, **options)
        self.nonlinearity = choice("nonlinearity", nonlinearity, ("tanh", "relu"))

    def _step(
        self, z: FloatArray, states: States, w_hh: FloatArray, b_hh: FloatArray | float
    ) -> tuple[States, tuple[FloatArray, ...]]:
        total = z + states[0] @ w_hh.T + b_hh
        h = np.tanh(total) if self.nonlinearity == "tanh" else np.maximum(total, 0.0)
        return (h,), (h,)

    def _step_backward(
        self, grads: States, states: States, saved: tuple[FloatArray, ...], w_hh: FloatArray
    ) -> tuple[FloatArray, States]:
        (h,) = saved
        grad_z = grads[0] * self._slope(h)
        return grad_z, (grad_z @ w_hh,)

    def _slope(self, h: FloatArray) -> FloatArray:
        """Return f'(z), from h = f(z)."""
        return 1.0 - h**2 if self.nonlinearity == "tanh" else (h > 0.0).astype(h.dtype)


class LastStep(Layer):
    """Keep the outputs of the last step: from (T, N, C) to (N, C).

    Examples
    --------
    >>> LastStep()(np.arange(6.0).reshape(3, 2, 1))
    array([[4.],
           [5.]])
    """

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return ``x[-1]`` of an array of shape (T, N, C) with at least one step."""
        array = float_array("x", x, ndim=3)
        if len(array) == 0:
            raise ValueError(f"x must have at least one step, got shape {array.shape}")
        self._shape = array.shape
        return np.asarray(array[-1])

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        """Return an array of zeros with `grad_output` at its last step."""
        shape = self._remembered("_shape")
        grad = float_array("grad_output", grad_output, shape=shape[1:])
        full = np.zeros(shape, dtype=grad.dtype)
        full[-1] = grad
        return full

    def __repr__(self) -> str:
        """Return the name."""
        return "LastStep()"


def with_spectral_radius(radius: float) -> Initialiser:
    r"""Return an initialiser of square matrices with a given spectral radius.

    Gaussian entries, divided by the spectral radius that they happen to have and
    multiplied by `radius` (Jaeger, GMD Report 148, 2001, uses it for the same end).

    Parameters
    ----------
    radius : float
        :math:`\rho(W_{hh})`, not negative.

    Returns
    -------
    callable
        For ``recurrent_init``.

    Raises
    ------
    ValueError
        If `radius` is negative, or the initialiser is asked for a shape that is
        not square.

    Examples
    --------
    >>> rnn = RNN(2, 50, recurrent_init=with_spectral_radius(0.9), rng=0)
    >>> eigenvalues = np.linalg.eigvals(rnn.parameters()["weight_hh_l0"])
    >>> round(float(np.abs(eigenvalues).max()), 6)
    0.9
    """
    return partial(_with_spectral_radius, real("radius", radius, minimum=0.0))


def _with_spectral_radius(
    radius: float, shape: Iterable[int], *, rng: Seed = 0, dtype: DTypeLike = np.float64
) -> FloatArray:
    size = tuple(shape)
    if len(size) != 2 or size[0] != size[1]:
        raise ValueError(f"shape must be square for a spectral radius, got {size}")
    kind = float_dtype("dtype", dtype)
    matrix = generator("rng", rng).normal(size=size)
    return np.asarray(matrix * (radius / spectral_radius(matrix)), dtype=kind)


def gradient_by_lag(
    layer: RecurrentLayer, x: ArrayLike, *, rng: Seed, state: Any = None
) -> dict[str, FloatArray]:
    r"""Return how large a gradient at the last step still is, k steps earlier.

    A random vector of norm 1 for each sequence plays the gradient at the last
    output, :math:`\partial J / \partial h_T`; backpropagation carries it back.

    Parameters
    ----------
    layer : RecurrentLayer
        Of one layer and one direction.
    x : array_like, shape (T, N, input_size)
    rng : Generator or int
        For the directions of the vectors.
    state : optional
        Initial state.

    Returns
    -------
    dict of str to ndarray, shape (T,)
        Root mean square over the sequences of
        :math:`\lVert \partial J / \partial h_{T-k} \rVert` at lag k under ``"h"``;
        for an LSTM that of the cell under ``"c"``. At lag 0 ``"h"`` is 1 and
        ``"c"`` is 0.

    Raises
    ------
    ValueError
        If the layer has several layers or directions.

    Examples
    --------
    >>> rnn = RNN(2, 30, recurrent_init=with_spectral_radius(0.5), rng=0)
    >>> norms = gradient_by_lag(rnn, np.zeros((20, 4, 2)), rng=1)["h"]
    >>> bool(norms[19] < 1e-4)
    True
    """
    if not isinstance(layer, RecurrentLayer):
        raise TypeError(f"layer must be a RecurrentLayer, got {layer!r}")
    _only_sweep(layer)
    output = layer.forward(x, state)
    last = generator("rng", rng).normal(size=output.shape[1:]).astype(output.dtype)
    grad = np.zeros_like(output)
    grad[-1] = last / np.linalg.norm(last, axis=1, keepdims=True)
    layer.backward(grad)
    return {
        name: np.sqrt(np.mean(np.sum(array[::-1] ** 2, axis=2), axis=1))
        for name, array in layer.state_gradients().items()
    }


def step_jacobians(layer: RNN) -> FloatArray:
    r"""Return how each state depends on the state one step before.

    Implements :eq:`eq-step-jacobian`,
    :math:`\partial h_t / \partial h_{t-1} = \operatorname{diag}(f'(z_t))\, W_{hh}`, for
    the last forward pass.

    Parameters
    ----------
    layer : RNN
        Of one layer and one direction.

    Returns
    -------
    ndarray, shape (T, N, hidden_size, hidden_size)
        Entry ``[t, n, i, j]`` is the derivative of unit i after step t with respect
        to unit j before it, in sequence n.

    Raises
    ------
    TypeError
        If `layer` is no RNN.
    ValueError
        If it has several layers or directions.
    RuntimeError
        If called before ``forward``.

    Examples
    --------
    >>> rnn = RNN(1, 3, rng=0)
    >>> out = rnn(np.zeros((5, 2, 1)))
    >>> bool(np.allclose(step_jacobians(rnn)[0, 0], rnn.parameters()["weight_hh_l0"]))
    True
    """
    if not isinstance(layer, RNN):
        raise TypeError(f"layer must be an RNN, got {layer!r}")
    _only_sweep(layer)
    h = layer.activations()["h"]
    return np.asarray(layer._slope(h)[..., None] * layer._parameters["weight_hh_l0"])


def recalled(prediction: ArrayLike, target: ArrayLike) -> FloatArray:
    r"""Return the share of each target's variance that a prediction explains.

    Implements :eq:`eq-recalled`,
    :math:`R^2_k = 1 - \sum (\hat y_k - y_k)^2 / \sum (y_k - \bar y_k)^2`. If the
    targets are the inputs of 1, 2, ... steps ago, independent of each other, the sum
    over k is the memory capacity (Jaeger, GMD Report 152, 2002). With a linear
    readout, fitted and measured on the same long stretch, it is at most the number
    of units.

    Parameters
    ----------
    prediction, target : array_like, shape (..., K)
        One column for each target.

    Returns
    -------
    ndarray, shape (K,)
        1 if a target is recalled exactly, 0 if no better than by its mean, and
        negative if worse.

    Raises
    ------
    ValueError
        If shapes differ, there is nothing, or a target is constant.

    Examples
    --------
    >>> y = np.array([[1.0, 1.0], [-1.0, -1.0]])
    >>> recalled([[0.5, 1.0], [-0.5, -1.0]], y)
    array([0.75, 1.  ])
    """
    true = float_array("target", target)
    guess = float_array("prediction", prediction, shape=true.shape)
    if true.ndim == 0 or true.size == 0:
        raise ValueError(f"target must have at least one row and one column, got {true.shape}")
    rows = tuple(range(true.ndim - 1))
    total = np.sum((true - true.mean(axis=rows)) ** 2, axis=rows)
    if (total == 0.0).any():
        raise ValueError("target must vary in every column, got a constant one")
    return np.asarray(1.0 - np.sum((guess - true) ** 2, axis=rows) / total)


def _only_sweep(layer: RecurrentLayer) -> None:
    if len(layer._keys()) != 1:
        raise ValueError(f"layer must have one layer and one direction, got {layer!r}")


def _mask(lengths: ArrayLike, steps: int, n: int) -> NDArray[np.bool_]:
    """Return which steps belong to a sequence, shape (T, N, 1)."""
    array = np.asarray(lengths)
    if array.dtype.kind not in "iu":
        raise TypeError(f"lengths must hold integers, got dtype {array.dtype}")
    if array.shape != (n,):
        raise ValueError(f"lengths must have shape ({n},), got {array.shape}")
    if array.size and (array.min() < 1 or array.max() > steps):
        raise ValueError(
            f"lengths must lie in 1..{steps}, got values from {array.min()} to {array.max()}"
        )
    return (np.arange(steps)[:, None] < array)[:, :, None]


def _pack(parts: list[FloatArray]) -> Any:
    """Return the only state, or the tuple of them, as PyTorch does."""
    return parts[0] if len(parts) == 1 else tuple(parts)
