"""The checks of *Working memory and long-term memory*: right answers pass, wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov

from companion import check
from companion.check import Exercise
from tests.check.oracles import reseeded


def memory_curve(w, v, noise, lags):
    n = len(v)
    step = np.outer(v, v) + noise**2 * np.eye(n)
    c = np.linalg.solve(np.eye(n * n) - np.kron(w, w), step.ravel()).reshape(n, n)
    held = []
    for _ in range(lags):
        held.append(v @ np.linalg.solve(c, v))
        v = w @ v
    return np.array(held)


def memory_curve_by_lyapunov(w, v, noise, lags):
    c = solve_discrete_lyapunov(w, np.outer(v, v) + noise**2 * np.eye(len(v)))
    inverse = np.linalg.inv(c)
    powers = [np.linalg.matrix_power(w, k) @ v for k in range(lags)]
    return np.array([u @ inverse @ u for u in powers])


def memory_curve_by_sum(w, v, noise, lags):
    c = term = np.outer(v, v) + noise**2 * np.eye(len(v))
    for _ in range(2000):
        term = w @ term @ w.T
        c = c + term
    held = np.column_stack([np.linalg.matrix_power(w, k) @ v for k in range(lags)])
    return np.diag(held.T @ np.linalg.solve(c, held))


def line_capacity(size, noise):
    return sum(1 / (1 + (k + 1) * noise**2) for k in range(size))


def line_capacity_at_once(size, noise):
    return (1 / (1 + np.arange(1, size + 1) * noise**2)).sum()


def recall(keys, values, query, decay):
    ages = np.arange(len(keys))[::-1]
    return (decay**ages * (keys @ query)) @ values


def recall_by_loop(keys, values, query, decay):
    total = np.zeros(values.shape[1])
    for key, value in zip(keys, values, strict=True):
        total = decay * total + (key @ query) * value
    return total


RIGHT = [
    (check.memory_curve, memory_curve),
    (check.memory_curve, memory_curve_by_lyapunov),
    (check.memory_curve, memory_curve_by_sum),
    (check.line_capacity, line_capacity),
    (check.line_capacity, line_capacity_at_once),
    (check.recall, recall),
    (check.recall, recall_by_loop),
]


@pytest.mark.parametrize(("exercise", "solution"), RIGHT)
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_right_answers_pass(
    exercise: Exercise, solution: Callable[..., Any], seed: int | None
) -> None:
    """Oracle: answers written in other ways: Kronecker product, SciPy, sums, loops."""
    if seed is not None:
        exercise = reseeded(exercise, seed)
    result = exercise(solution)
    assert result, result.message


def covariance(w, step):
    return solve_discrete_lyapunov(w, step)


def curve(w, v, c, lags, first=0):
    powers = [np.linalg.matrix_power(w, k + first) @ v for k in range(lags)]
    return np.array([u @ np.linalg.solve(c, u) for u in powers])


def one_step(w, v, noise, lags):
    return curve(w, v, np.outer(v, v) + noise**2 * np.eye(len(v)), lags)


def deviation(w, v, noise, lags):
    return curve(w, v, covariance(w, np.outer(v, v) + noise * np.eye(len(v))), lags)


def noise_only(w, v, noise, lags):
    return curve(w, v, covariance(w, noise**2 * np.eye(len(v))), lags)


def inputs_only(w, v, noise, lags):
    inverse = np.linalg.pinv(covariance(w, np.outer(v, v)), rcond=1e-12)
    powers = [np.linalg.matrix_power(w, k) @ v for k in range(lags)]
    return np.array([u @ inverse @ u for u in powers])


def one_late(w, v, noise, lags):
    c = covariance(w, np.outer(v, v) + noise**2 * np.eye(len(v)))
    return curve(w, v, c, lags, first=1)


def no_inverse(w, v, noise, lags):
    return curve(w, v, np.eye(len(v)), lags)


WRONG = [
    (check.memory_curve, one_step, "one step only"),
    (check.memory_curve, deviation, "adds up variances"),
    (check.memory_curve, noise_only, "noise alone"),
    (check.memory_curve, inputs_only, "inputs alone"),
    (check.memory_curve, lambda w, v, s, k: memory_curve(w.T, v, s, k), "transposed"),
    (check.memory_curve, one_late, "one too large"),
    (check.memory_curve, no_inverse, "inverse of the covariance is missing"),
    (check.memory_curve, lambda *a: np.sqrt(memory_curve(*a)), "their squares"),
    (check.memory_curve, lambda *a: np.cumsum(memory_curve(*a)), "running sums"),
    (check.line_capacity, lambda n, s: n, "noise is missing"),
    (check.line_capacity, lambda n, s: line_capacity(n, np.sqrt(s)), "Variances add up"),
    (check.line_capacity, lambda n, s: 1 + line_capacity(n - 1, s), "first unit gets noise"),
    (check.line_capacity, lambda n, s: n / (1 + s**2), "adds up along the line"),
    (check.line_capacity, lambda n, s: n / (1 + n * s**2), "first ones"),
    (
        check.line_capacity,
        lambda n, s: sum(1 / (k * s**2) if s else np.inf for k in range(1, n + 1)),
        "signal and noise together",
    ),
    (
        check.line_capacity,
        lambda n, s: sum(1 / (1 + (k * s) ** 2) for k in range(1, n + 1)),
        "before they are squared",
    ),
    (
        check.line_capacity,
        lambda n, s: sum((1 + k * s**2) ** -0.5 for k in range(1, n + 1)),
        "has their squares",
    ),
    (check.recall, lambda k, v, q, d: recall(k, v, q, 1.0), "decay is missing"),
    (check.recall, lambda k, v, q, d: recall(k[::-1], v[::-1], q, d), "wrong way round"),
    (check.recall, lambda k, v, q, d: d * recall(k, v, q, d), "once too often"),
    (check.recall, lambda k, v, q, d: recall(k, v, q, d**2), "decay is squared"),
    (
        check.recall,
        lambda k, v, q, d: v[(k @ q).argmax()] * d ** (len(k) - 1 - (k @ q).argmax()),
        "adds up all of them",
    ),
    (
        check.recall,
        lambda k, v, q, d: recall(k, v, q, d) / recall(k, np.ones((len(k), 1)), q, d),
        "divided by their sum",
    ),
]


@pytest.mark.parametrize(("exercise", "wrong", "hint"), WRONG)
def test_wrong_answers_get_their_diagnosis(
    exercise: Exercise, wrong: Callable[..., Any], hint: str
) -> None:
    """Oracle: the sentence written for this mistake."""
    result = exercise(wrong)
    assert not result
    assert hint in result.message, result.message


def test_attention_is_not_fast_weights() -> None:
    """Oracle: the softmax of the lesson on attention, with the decay before or after it."""

    def attend(keys, values, query, decay):
        scores = np.exp(keys @ query) * decay ** np.arange(len(keys))[::-1]
        return scores / scores.sum() @ values

    def attend_and_decay(keys, values, query, decay):
        scores = np.exp(keys @ query)
        return decay ** np.arange(len(keys))[::-1] * scores / scores.sum() @ values

    for wrong in (attend, attend_and_decay):
        result = check.recall(wrong)
        assert not result
        assert "softmax" in result.message
