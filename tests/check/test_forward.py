"""The checks of the lesson *Forward*: right answers pass, typical wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from companion import check
from companion.check import Exercise


def linear_forward(x, weight, bias):
    return x @ weight.T + bias


def stable_log_softmax(z):
    shifted = z - z.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def mlp_forward(x, layers):
    *hidden, (last_weight, last_bias) = layers
    for weight, bias in hidden:
        x = np.maximum(x @ weight.T + bias, 0)
    return x @ last_weight.T + last_bias


@pytest.mark.parametrize(
    ("exercise", "solution"),
    [
        (check.linear_forward, linear_forward),
        (check.linear_forward, lambda x, w, b: (w @ x.T + b[:, None]).T),
        (check.linear_forward, lambda x, w, b: np.stack([w @ row + b for row in x])),
        (check.stable_log_softmax, stable_log_softmax),
        (check.stable_log_softmax, lambda z: z - special.logsumexp(z, axis=1, keepdims=True)),
        (check.mlp_forward, mlp_forward),
    ],
)
def test_right_answers_pass(exercise: Exercise, solution: Callable[..., Any]) -> None:
    """Oracle: answers written out by hand, by more than one way."""
    assert exercise(solution), exercise(solution).message


def shifted_by(centre, z):
    z = z - centre(z, axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def relu(z):
    return np.maximum(z, 0)


def _wrong_network(change):
    """Return mlp_forward with one line of it changed."""

    def network(x, layers):
        for depth, (weight, bias) in enumerate(layers, start=1):
            x = change(x, weight, bias, depth, len(layers))
        return x

    return network


WRONG = [
    (check.linear_forward, lambda x, w, b: x @ w.T, "bias is missing"),
    (check.linear_forward, lambda x, w, b: x @ w.T - b, "subtracted"),
    (check.linear_forward, lambda x, w, b: x @ w + b, "transposed"),
    (check.linear_forward, lambda x, w, b: w @ x.T + b[:, None], "each sample is a row"),
    (check.linear_forward, lambda x, w, b: (x @ w.T + b)[0], "shape"),
    (check.linear_forward, lambda x, w, b: relu(x @ w.T + b), "off by"),
    (check.linear_forward, lambda x, w, b: -(x @ w.T + b), "wrong sign"),
    (
        check.stable_log_softmax,
        lambda z: np.log(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)),
        "small logits only",
    ),
    (
        check.stable_log_softmax,
        lambda z: np.log(special.softmax(z, axis=1)),
        "rounded to zero",
    ),
    (check.stable_log_softmax, lambda z: special.log_softmax(z, axis=0), "over the samples"),
    (check.stable_log_softmax, lambda z: z - special.logsumexp(z), "whole batch"),
    (
        check.stable_log_softmax,
        lambda z: z - z.max() - np.log(np.exp(z - z.max()).sum(axis=1, keepdims=True)),
        "own maximum",
    ),
    (check.stable_log_softmax, lambda z: special.softmax(z, axis=1), "logarithm"),
    (check.stable_log_softmax, lambda z: z - z.max(axis=1, keepdims=True), "only shifted"),
    (
        check.stable_log_softmax,
        lambda z: z - np.log(np.exp(z).sum(axis=1, keepdims=True)),
        "sum of the exponentials",
    ),
    (check.stable_log_softmax, lambda z: np.log(special.softmax(z, axis=1) + 1e-12), "A floor"),
    (
        check.stable_log_softmax,
        lambda z: np.log(np.clip(special.softmax(z, axis=1), 1e-15, 1)),
        "A floor",
    ),
    (
        check.stable_log_softmax,
        lambda z: np.log(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) + 1e-9),
        "A floor",
    ),
    (check.stable_log_softmax, lambda z: shifted_by(np.mean, z), "at or below 0"),
    (check.stable_log_softmax, lambda z: shifted_by(np.min, z), "at or below 0"),
    (
        check.stable_log_softmax,
        lambda z: z - np.log(np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True)),
        "one side only",
    ),
    (check.stable_log_softmax, lambda z: -special.log_softmax(z, axis=1), "wrong sign"),
    (
        check.mlp_forward,
        _wrong_network(lambda x, w, b, depth, last: relu(x @ w.T + b)),
        "last layer has no activation",
    ),
    (
        check.mlp_forward,
        _wrong_network(
            lambda x, w, b, depth, last: (relu(x @ w.T) if depth < last else x @ w.T) + b
        ),
        "after ReLU",
    ),
    (
        check.mlp_forward,
        _wrong_network(
            lambda x, w, b, depth, last: relu(x @ w.T + b) if depth == 1 < last else x @ w.T + b
        ),
        "first layer only",
    ),
    (
        check.mlp_forward,
        _wrong_network(
            lambda x, w, b, depth, last: max(x @ w.T + b, 0) if depth < last else x @ w.T + b
        ),
        "entry by entry",
    ),
    (check.mlp_forward, _wrong_network(lambda x, w, b, depth, last: x @ w.T + b), "collapse"),
    (
        check.mlp_forward,
        _wrong_network(lambda x, w, b, depth, last: relu(x) @ w.T + b),
        "cuts the input",
    ),
    (
        check.mlp_forward,
        _wrong_network(lambda x, w, b, depth, last: relu(x @ w.T) if depth < last else x @ w.T),
        "biases are missing",
    ),
    (
        check.mlp_forward,
        lambda x, layers: special.softmax(mlp_forward(x, layers), axis=1),
        "probabilities",
    ),
    (check.mlp_forward, lambda x, layers: mlp_forward(x, layers[:1]), "shape"),
    (
        check.mlp_forward,
        _wrong_network(
            lambda x, w, b, depth, last: np.tanh(x @ w.T + b) if depth < last else x @ w.T + b
        ),
        "off by",
    ),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    result = exercise(answer)
    assert not result
    assert words in result.message
