"""The exercises of the lesson *A recurrent network*."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake, distinct_sizes
from companion.network.autodiff import Tensor
from companion.recurrence import RNN


def _forward_case(rng: np.random.Generator) -> Mapping[str, Any]:
    steps, n, c, h = distinct_sizes(rng, 4)
    return {
        "x": rng.normal(size=(steps, n, c)),
        "state": rng.normal(size=(n, h)),
        "w_ih": rng.normal(size=(h, c)),
        "w_hh": rng.normal(size=(h, h)) / np.sqrt(h),
        "bias": rng.normal(size=h),
    }


def _layer(w_ih: FloatArray, w_hh: FloatArray, bias: FloatArray | None = None) -> RNN:
    layer = RNN(w_ih.shape[1], len(w_hh), bias=bias is not None, rng=0)
    layer.parameters()["weight_ih_l0"][...] = w_ih
    layer.parameters()["weight_hh_l0"][...] = w_hh
    if bias is not None:
        layer.parameters()["bias_ih_l0"][...] = bias
    return layer


def _states_by_layer(
    x: FloatArray, state: FloatArray, w_ih: FloatArray, w_hh: FloatArray, bias: FloatArray
) -> FloatArray:
    return _layer(w_ih, w_hh, bias).forward(x, state[None])


def _forward_but(
    *,
    transposed: bool = False,
    reset: bool = False,
    zero_start: bool = False,
    linear: bool = False,
    no_bias: bool = False,
    halves: bool = False,
) -> Callable[..., FloatArray]:
    def wrong(
        x: FloatArray, state: FloatArray, w_ih: FloatArray, w_hh: FloatArray, bias: FloatArray
    ) -> FloatArray:
        h = np.zeros_like(state) if zero_start else state
        states = []
        for step in x:
            before = state if reset else h
            part = before @ (w_hh if transposed else w_hh.T)
            inside = step @ w_ih.T + (0.0 if no_bias else bias)
            if halves:
                h = np.tanh(inside) + np.tanh(part)
            else:
                h = inside + part if linear else np.tanh(inside + part)
            states.append(h)
        return np.stack(states)

    return wrong


rnn_forward = Exercise(
    name="rnn_forward",
    oracle=_states_by_layer,
    sample=_forward_case,
    edge_cases=[
        {
            "x": np.array([[[0.5]]]),
            "state": np.array([[-1.0]]),
            "w_ih": np.array([[2.0]]),
            "w_hh": np.array([[0.5]]),
            "bias": np.array([0.25]),
        }
    ],
    mistakes=[
        Mistake(
            "Only the last state is returned. Later layers and losses may need those of all steps.",
            when=lambda case, right, got: (
                np.shape(got) == right.shape[1:] and np.allclose(got, right[-1])
            ),
        ),
        Mistake(
            "The states are those of the steps 0 to T - 1: the first one is the state before the "
            "first step.",
            when=lambda case, right, got: (
                np.shape(got) == right.shape
                and np.allclose(got[0], case["state"])
                and np.allclose(got[1:], right[:-1])
            ),
        ),
        Mistake(
            "There is one state too many: the one before the first step is no output.",
            when=lambda case, right, got: np.shape(got) == (len(right) + 1, *right.shape[1:]),
        ),
        Mistake(
            "The product with w_hh uses its columns where its rows belong. Samples are rows here.",
            variant=_forward_but(transposed=True),
        ),
        Mistake(
            "Every step starts from the first state again, so nothing recurs.",
            variant=_forward_but(reset=True),
        ),
        Mistake(
            "It starts from zeros. The state that came as an argument is not used.",
            variant=_forward_but(zero_start=True),
        ),
        Mistake("The tanh is missing.", variant=_forward_but(linear=True)),
        Mistake("The bias is missing.", variant=_forward_but(no_bias=True)),
        Mistake(
            "The tanh is taken of the two products one by one. It is taken once, of their sum.",
            variant=_forward_but(halves=True),
        ),
    ],
    success="All states agree with those of the package's layer.",
)


def _scalar_case(rng: np.random.Generator) -> Mapping[str, Any]:
    return {
        "x": rng.normal(size=rng.integers(3, 7)),
        "w": float(rng.uniform(0.4, 1.6)),
        "u": float(rng.uniform(0.5, 1.5)),
        "y": float(rng.normal()),
    }


def _scalar_by_autodiff(x: FloatArray, w: float, u: float, y: float) -> tuple[float, float]:
    weights = Tensor(np.array([[w]])), Tensor(np.array([[u]]))
    h = Tensor(np.zeros((1, 1)))
    for step in x:
        h = (weights[0] * h + weights[1] * float(step)).tanh()
    error = h - y
    (error * error * 0.5).sum().backward()
    grad_w, grad_u = (float(np.asarray(weight.grad)[0, 0]) for weight in weights)
    return grad_w, grad_u


def _scalar_but(
    *,
    last_only: bool = False,
    no_slope: bool = False,
    slope_of_z: bool = False,
    no_weight: bool = False,
    state_after: bool = False,
    sign: float = 1.0,
    factor: float = 1.0,
    fixed_error: bool = False,
) -> Callable[..., tuple[float, float]]:
    def wrong(x: FloatArray, w: float, u: float, y: float) -> tuple[float, float]:
        h = [0.0]
        for step in x:
            h.append(float(np.tanh(w * h[-1] + u * step)))
        grad, grad_w, grad_u = sign * factor * (h[-1] - y), 0.0, 0.0
        for t in reversed(range(len(x))):
            slope = 1.0 - h[t + 1] ** 2
            if no_slope:
                slope = 1.0
            elif slope_of_z:
                slope = 1.0 - float(np.tanh(h[t + 1])) ** 2
            delta = grad * slope
            grad_w += delta * (h[t + 1] if state_after else h[t])
            grad_u += delta * float(x[t])
            if last_only:
                break
            if not fixed_error:
                grad = delta if no_weight else delta * w
        return grad_w, grad_u

    return wrong


scalar_bptt = Exercise(
    name="scalar_bptt",
    oracle=_scalar_by_autodiff,
    sample=_scalar_case,
    outputs=("grad_w", "grad_u"),
    edge_cases=[
        {"x": np.array([0.7]), "w": 1.2, "u": 0.8, "y": -0.5},
        {"x": np.array([5.0, -4.0, 0.0, 0.1]), "w": 3.0, "u": 2.0, "y": 0.5},
    ],
    mistakes=[
        Mistake(
            "Only the last step counts here. The weights were used at every step, and each use "
            "adds a term.",
            variant=_scalar_but(last_only=True),
        ),
        Mistake(
            "The slope of the tanh is missing.",
            variant=_scalar_but(no_slope=True),
        ),
        Mistake(
            "The slope is taken of the state as if that were the sum. With h = tanh(z) the slope "
            "is a function of h itself.",
            variant=_scalar_but(slope_of_z=True),
        ),
        Mistake(
            "On the way from one step to the one before it, the weight of the state is missing.",
            variant=_scalar_but(no_weight=True),
        ),
        Mistake(
            "Every step meets the error of the last one. It has to pass through the steps between.",
            variant=_scalar_but(fixed_error=True),
        ),
        Mistake(
            "In grad_w each term has the state after its step. The weight multiplies the one "
            "before it.",
            variant=_scalar_but(state_after=True),
        ),
        Mistake(
            "Both signs are wrong: the derivative of the loss is output minus target.",
            variant=_scalar_but(sign=-1.0),
        ),
        Mistake(
            "Both are twice too large. The loss has a factor of one half.",
            variant=_scalar_but(factor=2.0),
        ),
        Mistake(
            "Both are right, but in another order: grad_w comes first.",
            when=lambda case, right, got: len(got) == 2 and np.allclose(got[::-1], right),
        ),
    ],
    success="Both gradients agree with automatic differentiation.",
)


def _bptt_case(rng: np.random.Generator) -> Mapping[str, Any]:
    size, window = (int(v) for v in (rng.integers(2, 5), rng.integers(2, 5)))
    steps = int(window * rng.integers(2, 4) + rng.integers(0, window))
    w_hh = 1.2 * rng.normal(size=(size, size)) / np.sqrt(size)
    h = _layer(np.eye(size), w_hh).forward(0.7 * rng.normal(size=(steps, 1, size)))
    return {
        "h": np.concatenate([np.zeros((1, size)), h[:, 0]]),
        "w_hh": w_hh,
        "grad_output": rng.normal(size=(steps, size)),
        "window": window,
    }


def _bptt_by_layer(
    h: FloatArray, w_hh: FloatArray, grad_output: FloatArray, window: int
) -> FloatArray:
    # With the identity as input weights, these are the inputs that led to these states.
    x = np.arctanh(h[1:]) - h[:-1] @ w_hh.T
    layer = _layer(np.eye(len(w_hh)), w_hh)
    layer.forward(x[:, None], h[:1][None])
    layer.backward(grad_output[:, None], truncate=window)
    return layer.gradients()["weight_hh_l0"]


def _bptt_but(
    *,
    cut: Callable[[int, int], bool] = lambda t, window: t % window == 0,
    transposed: bool = False,
    no_slope: bool = False,
    state_after: bool = False,
    layout: bool = False,
    last_only: bool = False,
    cut_before_step: bool = False,
    mean: bool = False,
) -> Callable[..., FloatArray]:
    def wrong(h: FloatArray, w_hh: FloatArray, grad_output: FloatArray, window: int) -> FloatArray:
        grad, total = np.zeros(len(w_hh)), np.zeros_like(w_hh)
        for t in reversed(range(len(grad_output))):
            if not last_only or t == len(grad_output) - 1:
                grad = grad + grad_output[t]
            if cut_before_step and t % window == 0:
                grad = np.zeros_like(grad)
            delta = grad if no_slope else grad * (1.0 - h[t + 1] ** 2)
            total += np.outer(delta, h[t + 1] if state_after else h[t])
            grad = (w_hh @ delta) if transposed else (w_hh.T @ delta)
            if cut(t, window):
                grad = np.zeros_like(grad)
        total = total / len(grad_output) if mean else total
        return total.T if layout else total

    return wrong


def _sliding(h: FloatArray, w_hh: FloatArray, grad_output: FloatArray, window: int) -> FloatArray:
    total = np.zeros_like(w_hh)
    for end in range(len(grad_output)):
        grad = grad_output[end]
        for t in range(end, max(end - window, -1), -1):
            delta = grad * (1.0 - h[t + 1] ** 2)
            total += np.outer(delta, h[t])
            grad = w_hh.T @ delta
    return total


def _from_the_end(
    h: FloatArray, w_hh: FloatArray, grad_output: FloatArray, window: int
) -> FloatArray:
    steps = len(grad_output)
    return _bptt_but(cut=lambda t, size: (steps - t) % size == 0)(h, w_hh, grad_output, window)


truncated_bptt = Exercise(
    name="truncated_bptt",
    oracle=_bptt_by_layer,
    sample=_bptt_case,
    edge_cases=[
        {
            "h": np.array([[0.5, -0.2], [0.1, 0.3]]),
            "w_hh": np.array([[0.5, -1.0], [0.25, 2.0]]),
            "grad_output": np.array([[1.0, -2.0]]),
            "window": 1,
        }
    ],
    mistakes=[
        Mistake(
            "Nothing is cut: this is the full gradient.",
            variant=_bptt_but(cut=lambda t, window: False),
        ),
        Mistake(
            "The cut comes one step too early on the way back. The first step of a window still "
            "belongs to it.",
            variant=_bptt_but(cut=lambda t, window: (t - 1) % window == 0),
        ),
        Mistake(
            "The cut comes one step too late on the way back: the last step of the window before "
            "still gets a gradient from this one.",
            variant=_bptt_but(cut=lambda t, window: (t + 1) % window == 0),
        ),
        Mistake(
            "The first step of each window gets no gradient at all. Cut after it has been counted.",
            variant=_bptt_but(cut_before_step=True),
        ),
        Mistake(
            "Windows are counted from the end of the sequence. They start at its first step.",
            variant=_from_the_end,
        ),
        Mistake(
            "Each output reaches back a whole window of its own. Here the windows lie side by "
            "side, and an output reaches back to the start of the one that it is in.",
            variant=_sliding,
        ),
        Mistake(
            "On the way back w_hh must be transposed.",
            variant=_bptt_but(transposed=True),
        ),
        Mistake("The slope of the tanh is missing.", variant=_bptt_but(no_slope=True)),
        Mistake(
            "Each term has the state after its step. The matrix multiplied the one before it.",
            variant=_bptt_but(state_after=True),
        ),
        Mistake(
            "Rows and columns are exchanged: the gradient has the layout of w_hh, one row for "
            "each unit that receives.",
            variant=_bptt_but(layout=True),
        ),
        Mistake(
            "Only the gradient at the last output is used. Every step has one.",
            variant=_bptt_but(last_only=True),
        ),
        Mistake(
            "The terms are averaged over the steps; they add up.",
            variant=_bptt_but(mean=True),
        ),
    ],
    success="It agrees with the package's truncated backward pass.",
)
