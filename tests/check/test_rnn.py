"""The checks of the lesson *A recurrent network*: right answers pass, typical wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from companion import check, network
from companion.check import Exercise
from tests.check.oracles import reseeded


def rnn_forward(x, state, w_ih, w_hh, bias):
    states = []
    for step in x:
        state = np.tanh(step @ w_ih.T + state @ w_hh.T + bias)
        states.append(state)
    return np.stack(states)


def rnn_forward_by_columns(x, state, w_ih, w_hh, bias):
    states = np.empty((*x.shape[:2], len(w_hh)))
    for n in range(x.shape[1]):
        h = state[n]
        for t in range(len(x)):
            h = np.tanh(w_ih @ x[t, n] + w_hh @ h + bias)
            states[t, n] = h
    return states


def rnn_forward_by_torch(x, state, w_ih, w_hh, bias):
    module = torch.nn.RNN(w_ih.shape[1], len(w_hh)).double()
    arrays = {"weight_ih_l0": w_ih, "weight_hh_l0": w_hh, "bias_ih_l0": bias}
    arrays["bias_hh_l0"] = np.zeros_like(bias)
    module.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    return module(torch.tensor(x), torch.tensor(state)[None])[0].detach().numpy()


def forward_scalar(x, w, u):
    h = [0.0]
    for value in x:
        h.append(np.tanh(w * h[-1] + u * value))
    return h


def scalar_bptt(x, w, u, y):
    h = forward_scalar(x, w, u)
    grad, grad_w, grad_u = h[-1] - y, 0.0, 0.0
    for t in range(len(x), 0, -1):
        delta = grad * (1 - h[t] ** 2)
        grad_w += delta * h[t - 1]
        grad_u += delta * x[t - 1]
        grad = w * delta
    return grad_w, grad_u


def scalar_forward_mode(x, w, u, y):
    """Carry the two derivatives of the state along instead of going back."""
    h, by_w, by_u = 0.0, 0.0, 0.0
    for value in x:
        new = np.tanh(w * h + u * value)
        slope = 1 - new**2
        by_w, by_u, h = slope * (h + w * by_w), slope * (value + w * by_u), new
    return (h - y) * by_w, (h - y) * by_u


def scalar_by_differences(x, w, u, y):
    def loss(weights):
        return float(0.5 * (forward_scalar(x, *weights)[-1] - y) ** 2)

    return tuple(network.numerical_gradient(loss, np.array([w, u])))


def truncated_bptt(h, w_hh, grad_output, window):
    grad, total = np.zeros(len(w_hh)), np.zeros_like(w_hh)
    for t in reversed(range(len(grad_output))):
        delta = (grad + grad_output[t]) * (1 - h[t + 1] ** 2)
        total += np.outer(delta, h[t])
        grad = w_hh.T @ delta
        if t % window == 0:
            grad = np.zeros_like(grad)
    return total


def truncated_by_windows(h, w_hh, grad_output, window):
    total = np.zeros_like(w_hh)
    for start in range(0, len(grad_output), window):
        part = slice(start, start + window)
        states = h[start : start + window + 1]
        total += truncated_bptt(states, w_hh, grad_output[part], len(grad_output))
    return total


RIGHT = [
    (check.rnn_forward, rnn_forward),
    (check.rnn_forward, rnn_forward_by_columns),
    (check.rnn_forward, rnn_forward_by_torch),
    (check.scalar_bptt, scalar_bptt),
    (check.scalar_bptt, scalar_forward_mode),
    (check.scalar_bptt, scalar_by_differences),
    (check.truncated_bptt, truncated_bptt),
    (check.truncated_bptt, truncated_by_windows),
]


@pytest.mark.parametrize(("exercise", "solution"), RIGHT)
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_right_answers_pass(
    exercise: Exercise, solution: Callable[..., Any], seed: int | None
) -> None:
    """Oracle: answers written in other ways, PyTorch, forward-mode derivatives, differences."""
    if seed is not None:
        exercise = reseeded(exercise, seed)
    result = exercise(solution)
    assert result, result.message


def shifted(x, state, w_ih, w_hh, bias):
    return np.concatenate([state[None], rnn_forward(x, state, w_ih, w_hh, bias)[:-1]])


def one_more(x, state, w_ih, w_hh, bias):
    return np.concatenate([state[None], rnn_forward(x, state, w_ih, w_hh, bias)])


def not_handed_on(x, state, w_ih, w_hh, bias):
    return np.tanh(x @ w_ih.T + state @ w_hh.T + bias)


def no_tanh(x, state, w_ih, w_hh, bias):
    states = []
    for step in x:
        state = step @ w_ih.T + state @ w_hh.T + bias
        states.append(state)
    return np.stack(states)


def from_the_end(h, w_hh, grad_output, window):
    steps, grad, total = len(grad_output), np.zeros(len(w_hh)), np.zeros_like(w_hh)
    for t in reversed(range(steps)):
        delta = (grad + grad_output[t]) * (1 - h[t + 1] ** 2)
        total += np.outer(delta, h[t])
        grad = w_hh.T @ delta * ((steps - t) % window != 0)
    return total


def cut_by(rule):
    def wrong(h, w_hh, grad_output, window):
        grad, total = np.zeros(len(w_hh)), np.zeros_like(w_hh)
        for t in reversed(range(len(grad_output))):
            delta = (grad + grad_output[t]) * (1 - h[t + 1] ** 2)
            total += np.outer(delta, h[t])
            grad = w_hh.T @ delta * (not rule(t, window))
        return total

    return wrong


WRONG = [
    (check.rnn_forward, lambda x, s, a, b, c: rnn_forward(x, s, a, b, c)[-1], "last state"),
    (check.rnn_forward, shifted, "steps 0 to T - 1"),
    (check.rnn_forward, one_more, "one state too many"),
    (check.rnn_forward, not_handed_on, "nothing recurs"),
    (check.rnn_forward, no_tanh, "tanh is missing"),
    (check.rnn_forward, lambda x, s, a, b, c: rnn_forward(x, s, a, b.T, c), "columns"),
    (check.rnn_forward, lambda x, s, a, b, c: rnn_forward(x, 0 * s, a, b, c), "starts from zeros"),
    (check.rnn_forward, lambda x, s, a, b, c: rnn_forward(x, s, a, b, 0 * c), "bias is missing"),
    (check.scalar_bptt, lambda x, w, u, y: scalar_bptt(x, w, u, y)[::-1], "another order"),
    (
        check.scalar_bptt,
        lambda x, w, u, y: tuple(-g for g in scalar_bptt(x, w, u, y)),
        "output minus target",
    ),
    (
        check.scalar_bptt,
        lambda x, w, u, y: tuple(2 * g for g in scalar_bptt(x, w, u, y)),
        "twice too large",
    ),
    (check.scalar_bptt, lambda x, w, u, y: scalar_bptt(x, w, u, y)[0], "2 values"),
    (check.truncated_bptt, cut_by(lambda t, window: False), "full gradient"),
    (check.truncated_bptt, cut_by(lambda t, w: (t + 1) % w == 0), "one step too late"),
    (check.truncated_bptt, cut_by(lambda t, w: (t - 1) % w == 0), "one step too early"),
    (check.truncated_bptt, from_the_end, "from the end"),
    (
        check.truncated_bptt,
        lambda h, w, g, k: truncated_bptt(h, w.T, g, k),
        "must be transposed",
    ),
    (check.truncated_bptt, lambda h, w, g, k: truncated_bptt(h, w, g, k).T, "exchanged"),
    (check.truncated_bptt, lambda h, w, g, k: truncated_bptt(h, w, g, k) / len(g), "averaged"),
]


@pytest.mark.parametrize(("exercise", "wrong", "hint"), WRONG)
def test_wrong_answers_get_their_diagnosis(
    exercise: Exercise, wrong: Callable[..., Any], hint: str
) -> None:
    """Oracle: the sentence written for this mistake."""
    result = exercise(wrong)
    assert not result
    assert hint in result.message


def test_windows_of_one_step_need_no_way_back() -> None:
    """Closed form: at window 1 the gradient is the sum of the outer products of each step alone."""
    rng = np.random.default_rng(0)
    case = check.truncated_bptt.sample(rng) | {"window": 1}
    delta = case["grad_output"] * (1 - case["h"][1:] ** 2)
    expected = delta.T @ case["h"][:-1]
    np.testing.assert_allclose(check.truncated_bptt.oracle(**case), expected, rtol=1e-10)
