"""The checks of the lesson *Backward*: right answers pass, typical wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from companion import check, network
from companion.check import Exercise
from tests.check.oracles import reseeded


def linear_backward(grad_output, x, weight):
    return grad_output @ weight, grad_output.T @ x, grad_output.sum(axis=0)


def linear_by_differences(grad_output, x, weight):
    def loss(x, weight, bias):
        return float(np.sum(grad_output * (x @ weight.T + bias)))

    bias = np.zeros(len(weight))
    return [
        network.numerical_gradient(lambda v: loss(v, weight, bias), x, eps=1.0),
        network.numerical_gradient(lambda v: loss(x, v, bias), weight, eps=1.0),
        network.numerical_gradient(lambda v: loss(x, weight, v), bias, eps=1.0),
    ]


def linear_by_samples(grad_output, x, weight):
    outer = sum(np.outer(g, a) for g, a in zip(grad_output, x, strict=True))
    return np.stack([weight.T @ g for g in grad_output]), outer, np.sum(list(grad_output), axis=0)


def one_hot(logits, labels):
    return np.eye(logits.shape[1])[labels]


def cross_entropy_gradient(logits, labels):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    return (probabilities - one_hot(logits, labels)) / len(logits)


def in_place(logits, labels):
    p = special.softmax(logits, axis=1)
    p[np.arange(len(labels)), labels] -= 1
    p /= len(labels)
    return p


def mean(array, axis=1):
    return array.mean(axis=axis, keepdims=True)


def scale(x, axis=1, eps=1e-5, ddof=0):
    return np.sqrt(x.var(axis=axis, keepdims=True, ddof=ddof) + eps)


def normalise(x):
    return (x - mean(x)) / scale(x)


def normalise_backward(grad_output, x):
    y = normalise(x)
    return (grad_output - mean(grad_output) - y * mean(grad_output * y)) / scale(x)


def normalise_by_jacobian(grad_output, x):
    rows, n = [], x.shape[1]
    for g, row, y, s in zip(grad_output, x, normalise(x), scale(x), strict=True):
        assert row.shape == (n,)
        rows.append(g @ (np.eye(n) - 1 / n - np.outer(y, y) / n) / s)
    return np.stack(rows)


def normalise_by_layer_norm(grad_output, x):
    layer = network.LayerNorm(x.shape[1])
    layer.forward(x)
    return layer.backward(grad_output)


RIGHT = [
    (check.linear_backward, linear_backward),
    (check.linear_backward, linear_by_samples),
    (check.linear_backward, linear_by_differences),
    (check.cross_entropy_gradient, cross_entropy_gradient),
    (check.cross_entropy_gradient, in_place),
    (check.cross_entropy_gradient, network.cross_entropy_gradient),
    (check.normalise_backward, normalise_backward),
    (check.normalise_backward, normalise_by_jacobian),
    (check.normalise_backward, normalise_by_layer_norm),
]


@pytest.mark.parametrize(("exercise", "solution"), RIGHT)
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_right_answers_pass(
    exercise: Exercise, solution: Callable[..., Any], seed: int | None
) -> None:
    """Oracle: answers written out by hand, or the package's layers, on several sets of cases."""
    if seed is not None:
        exercise = reseeded(exercise, seed)
    result = exercise(solution)
    assert result, result.message


def changed_in_place(logits, labels):
    logits -= logits.max(axis=1, keepdims=True)
    return cross_entropy_gradient(logits, labels)


def literal(logits, labels):
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return (p - one_hot(logits, labels)) / len(logits)


def one_maximum(logits, labels):
    return literal(logits - logits.max(), labels)


def in_columns(logits, labels):
    p = special.softmax(logits, axis=1)
    p[:, labels] -= 1
    return p / len(logits)


def by_probability(logits, labels):
    p, rows = special.softmax(logits, axis=1), np.arange(len(labels))
    grad = np.zeros_like(p)
    grad[rows, labels] = -1 / (p[rows, labels] + 1e-12)
    return grad


WRONG = [
    (check.linear_backward, lambda g, x, w: (g @ w, x.T @ g, g.sum(axis=0)), "layout of weight"),
    (check.linear_backward, lambda g, x, w: (g @ w.T, g.T @ x, g.sum(axis=0)), "does not fit"),
    (check.linear_backward, lambda g, x, w: (w.T @ g.T, g.T @ x, g.sum(axis=0)), "layout of x"),
    (
        check.linear_backward,
        lambda g, x, w: (g @ w, g.T @ x, g.mean(axis=0)),
        "grad_bias is averaged",
    ),
    (
        check.linear_backward,
        lambda g, x, w: (g @ w, g.T @ x / len(x), g.sum(axis=0)),
        "grad_weight is averaged",
    ),
    (
        check.linear_backward,
        lambda g, x, w: (g @ w, g.T @ x / len(x), g.mean(axis=0)),
        "parameter gradients",
    ),
    (check.linear_backward, lambda g, x, w: (g @ w, g.T @ x, g), "one row for each sample"),
    (check.linear_backward, lambda g, x, w: (g @ w, g.T @ x, g.sum(axis=1)), "over the samples"),
    (check.linear_backward, lambda g, x, w: (g.T @ x, g.sum(axis=0), g @ w), "another order"),
    (check.linear_backward, lambda g, x, w: [g.T @ x, g @ w, g.sum(axis=0)], "another order"),
    (
        check.linear_backward,
        lambda g, x, w: (g @ w / len(x), g.T @ x / len(x), g.mean(axis=0)),
        "All three gradients",
    ),
    (check.linear_backward, lambda g, x, w: (g @ w, g.T @ x), "3 values"),
    (check.linear_backward, lambda g, x, w: (x @ w, g.T @ x, g.sum(axis=0)), "inner sizes"),
    (
        check.linear_backward,
        lambda g, x, w: (g @ w, g.T @ x, g.sum(axis=0, keepdims=True)),
        "grad_bias has shape (1, ",
    ),
    (check.linear_backward, lambda g, x, w: (-(g @ w), g.T @ x, g.sum(axis=0)), "wrong sign"),
    (check.linear_backward, lambda g, x, w: g @ w, "3 values"),
    (check.cross_entropy_gradient, literal, "overflows"),
    (check.cross_entropy_gradient, one_maximum, "own maximum"),
    (
        check.cross_entropy_gradient,
        lambda z, y: len(z) * cross_entropy_gradient(z, y),
        "the loss is their mean",
    ),
    (
        check.cross_entropy_gradient,
        lambda z, y: cross_entropy_gradient(z, y) / z.shape[1],
        "number of all logits",
    ),
    (
        check.cross_entropy_gradient,
        lambda z, y: -cross_entropy_gradient(z, y),
        "truth minus probability",
    ),
    (
        check.cross_entropy_gradient,
        lambda z, y: (special.softmax(z, axis=0) - one_hot(z, y)) / len(z),
        "Each row is one sample",
    ),
    (
        check.cross_entropy_gradient,
        lambda z, y: special.softmax(z, axis=1) / len(z),
        "not subtracted",
    ),
    (check.cross_entropy_gradient, lambda z, y: (z - one_hot(z, y)) / len(z), "logits stand where"),
    (
        check.cross_entropy_gradient,
        lambda z, y: (special.softmax(z, axis=1) - y[:, None]) / len(z),
        "as a number",
    ),
    (check.cross_entropy_gradient, in_columns, "whole columns"),
    (
        check.cross_entropy_gradient,
        lambda z, y: cross_entropy_gradient(z, y) * len(z) / z.shape[1],
        "number of classes",
    ),
    (
        check.cross_entropy_gradient,
        lambda z, y: -cross_entropy_gradient(z, y) * len(z),
        "every sign is wrong",
    ),
    (check.cross_entropy_gradient, lambda z, y: literal(z, y) * len(z), "sum of the losses"),
    (
        check.cross_entropy_gradient,
        lambda z, y: -one_hot(z, y) / special.softmax(z, axis=1) / len(z),
        "with respect to the probability",
    ),
    (check.cross_entropy_gradient, by_probability, "with respect to the probability"),
    (check.cross_entropy_gradient, changed_in_place, "in place"),
    (check.cross_entropy_gradient, lambda z, y: network.cross_entropy(z, y), "has shape () where"),
    (check.normalise_backward, lambda g, x: g / scale(x), "treated as constants"),
    (
        check.normalise_backward,
        lambda g, x: (g - mean(g)) / scale(x),
        "variance is treated as a constant",
    ),
    (
        check.normalise_backward,
        lambda g, x: (g - normalise(x) * mean(g * normalise(x))) / scale(x),
        "path through the mean",
    ),
    (
        check.normalise_backward,
        lambda g, x: (g - mean(g) + normalise(x) * mean(g * normalise(x))) / scale(x),
        "wrong sign",
    ),
    (
        check.normalise_backward,
        lambda g, x: (
            (g - x.shape[1] * (mean(g) + normalise(x) * mean(g * normalise(x)))) / scale(x)
        ),
        "1/n",
    ),
    (check.normalise_backward, lambda g, x: normalise_backward(g.T, x.T).T, "normalised by itself"),
    (
        check.normalise_backward,
        lambda g, x: normalise_backward(g, x) * scale(x),
        "division by the scale",
    ),
    (
        check.normalise_backward,
        lambda g, x: normalise_backward(g, x) * scale(x) ** 2,
        "should divide",
    ),
    (
        check.normalise_backward,
        lambda g, x: (
            (
                g
                - mean(g)
                - (x - mean(x)) / scale(x, eps=0) * mean(g * (x - mean(x)) / scale(x, eps=0))
            )
            / scale(x, eps=0)
        ),
        "small constant",
    ),
    (
        check.normalise_backward,
        lambda g, x: (
            (
                g
                - mean(g)
                - (x - mean(x)) / scale(x, ddof=1) * mean(g * (x - mean(x)) / scale(x, ddof=1))
            )
            / scale(x, ddof=1)
        ),
        "divides by n - 1",
    ),
    (
        check.normalise_backward,
        lambda g, x: (g - mean(g) - normalise(x) * mean(g)) / scale(x),
        "grad_output alone",
    ),
    (
        check.normalise_backward,
        lambda g, x: (g - mean(g) - (x - mean(x)) * mean(g * normalise(x))) / scale(x),
        "In one place",
    ),
    (
        check.normalise_backward,
        lambda g, x: (g - mean(g) - (x - mean(x)) * mean(g * (x - mean(x)))) / scale(x),
        "In two places",
    ),
    (
        check.normalise_backward,
        lambda g, x: (
            (g - mean(g) - normalise(x) * (g * normalise(x)).sum(axis=1, keepdims=True)) / scale(x)
        ),
        "sum over the row",
    ),
    (
        check.normalise_backward,
        lambda g, x: normalise_backward(g, x) / scale(x),
        "divides by the variance",
    ),
    (check.normalise_backward, lambda g, x: normalise(x), "off by"),
    (check.normalise_backward, lambda g, x: normalise_backward(x, g), "off by"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    result = exercise(answer)
    assert not result
    assert words in result.message


def forward(name: str, case: dict[str, np.ndarray]) -> tuple[Callable[..., float], np.ndarray]:
    """Return the loss whose gradient an exercise asks for, and the point to differentiate at."""
    if name == "normalise_backward":
        return lambda x: float(np.sum(case["grad_output"] * normalise(x))), case["x"]
    labels = case["labels"]
    rows = np.arange(len(labels))
    return lambda z: -float(np.mean(special.log_softmax(z, axis=1)[rows, labels])), case["logits"]


@pytest.mark.parametrize("exercise", [check.cross_entropy_gradient, check.normalise_backward])
def test_the_oracles_agree_with_finite_differences(exercise: Exercise) -> None:
    """Oracle: central differences, which share no code with the autodiff inside the checks."""
    rng = np.random.default_rng(5)
    for _ in range(5):
        case = exercise.sample(rng)
        differences = network.numerical_gradient(*forward(exercise.name, case))
        np.testing.assert_allclose(exercise.oracle(*case.values()), differences, atol=1e-7)
