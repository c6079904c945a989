"""The checks of the lesson *Forgetting*: right answers pass, typical wrong ones do not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from companion import check, memory
from companion.network import Linear, Sequential
from tests.check.oracles import reseeded


def sequence_metrics(matrix):
    end, old = matrix[-1], matrix[-1, :-1]
    best = matrix[:-1, :-1].max(axis=0)
    return end.mean(), (best - old).mean(), (old - np.diagonal(matrix)[:-1]).mean()


def metrics_of_the_package(matrix):
    return [
        memory.average_accuracy(matrix),
        memory.average_forgetting(matrix),
        memory.backward_transfer(matrix),
    ]


def softmax_fisher(x, weight):
    p = special.softmax(x @ weight.T, axis=1)
    return (p * (1 - p)).T @ x**2 / len(x)


def fisher_by_einsum(x, weight):
    p = np.exp(x @ weight.T)
    p /= p.sum(axis=1, keepdims=True)
    delta = np.eye(len(weight)) - p[:, None]
    return np.einsum("nc,nck,ni->ki", p, delta**2, x**2) / len(x)


def fisher_of_the_package(x, weight):
    model = Sequential(Linear(x.shape[1], len(weight), bias=False, rng=0))
    model[0].weight[...] = weight
    return memory.fisher_diagonal(model, x)["0.weight"]


def reservoir(stream, budget, draws):
    kept = stream[:budget].copy()
    for item, draw in zip(stream[budget:], draws[budget:], strict=True):
        if draw < budget:
            kept[draw] = item
    return kept


def reservoir_as_a_list(stream, budget, draws):
    kept = []
    for i, item in enumerate(stream):
        if len(kept) < budget:
            kept.append(item)
        elif draws[i] in range(budget):
            kept[draws[i]] = item
    return np.asarray(kept)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        (check.sequence_metrics, sequence_metrics),
        (check.sequence_metrics, metrics_of_the_package),
        (check.softmax_fisher, softmax_fisher),
        (check.softmax_fisher, fisher_by_einsum),
        (check.softmax_fisher, fisher_of_the_package),
        (check.reservoir, reservoir),
        (check.reservoir, reservoir_as_a_list),
    ],
)
def test_right_answers_in_several_styles_pass(exercise, answer, seed):
    """Oracle: the exercise's own, on cases of other seeds."""
    result = reseeded(exercise, seed)(answer)
    assert result, result


WRONG = [
    (check.sequence_metrics, lambda r: sequence_metrics(r.T), "Rows and columns"),
    (check.sequence_metrics, lambda r: (r.mean(), *sequence_metrics(r)[1:]), "whole matrix"),
    (
        check.sequence_metrics,
        lambda r: (np.trace(r) / len(r), *sequence_metrics(r)[1:]),
        "just after training on each task",
    ),
    (
        check.sequence_metrics,
        lambda r: (r[-1].mean(), (r.max(0) - r[-1])[:-1].mean(), sequence_metrics(r)[2]),
        "in all rows",
    ),
    (
        check.sequence_metrics,
        lambda r: (r[-1].mean(), (np.diag(r) - r[-1])[:-1].mean(), sequence_metrics(r)[2]),
        "in whichever row",
    ),
    (
        check.sequence_metrics,
        lambda r: (r[-1].mean(), (r.max(0) - r[-1]).mean(), (r[-1] - np.diag(r)).mean()),
        "no time to be forgotten",
    ),
    (
        check.sequence_metrics,
        lambda r: (
            r[-1].mean(),
            (r[:-1].max(0) - r[-1])[:-1].sum() / len(r),
            (r[-1] - np.diag(r))[:-1].sum() / len(r),
        ),
        "divided by T",
    ),
    (
        check.sequence_metrics,
        lambda r: (*sequence_metrics(r)[:2], -sequence_metrics(r)[2]),
        "negative where accuracy fell",
    ),
    (
        check.sequence_metrics,
        lambda r: (r[-1].mean(), -sequence_metrics(r)[1], sequence_metrics(r)[2]),
        "positive where accuracy fell",
    ),
    (
        check.sequence_metrics,
        lambda r: (
            r[-1].mean(),
            np.mean([max(r[j:-1, j]) - r[-1, j] for j in range(len(r) - 1)]),
            sequence_metrics(r)[2],
        ),
        "rows before it",
    ),
    (check.sequence_metrics, lambda r: r[-1].mean(), "should be 3 values"),
    (check.softmax_fisher, lambda x, w: len(x) * softmax_fisher(x, w), "not divided"),
    (check.softmax_fisher, lambda x, w: softmax_fisher(x, w).T, "transpose"),
    (
        check.softmax_fisher,
        lambda x, w: (special.softmax(x @ w.T, axis=1)).T @ x**2 / len(x),
        "something smaller",
    ),
    (
        check.softmax_fisher,
        lambda x, w: np.mean(
            special.softmax(x @ w.T, axis=1)[:, :, None]
            * (1 - special.softmax(x @ w.T, axis=1)[:, :, None]) ** 2
            * x[:, None] ** 2,
            axis=0,
        ),
        "Only the case",
    ),
    (
        check.softmax_fisher,
        lambda x, w: (
            fisher_by_einsum(x, w) ** 1 * 0
            + ((special.softmax(x @ w.T, axis=1) * (1 - special.softmax(x @ w.T, axis=1))) ** 2).T
            @ x**2
            / len(x)
        ),
        "itself the mean",
    ),
    (
        check.softmax_fisher,
        lambda x, w: (
            (special.softmax(x @ w.T, axis=1) * (1 - special.softmax(x @ w.T, axis=1))).T
            @ x
            / len(x)
        ),
        "inputs are not squared",
    ),
    (
        check.softmax_fisher,
        lambda x, w: (
            (special.softmax(x @ w.T, axis=0) * (1 - special.softmax(x @ w.T, axis=0))).T
            @ x**2
            / len(x)
        ),
        "over the samples",
    ),
    (
        check.softmax_fisher,
        lambda x, w: np.outer(
            np.mean(special.softmax(x @ w.T, 1) * (1 - special.softmax(x @ w.T, 1)), 0),
            np.mean(x**2, 0),
        ),
        "belong together",
    ),
    (check.reservoir, lambda s, b, d: s[-b:], "last items"),
    (check.reservoir, lambda s, b, d: s[:b], "first items of the stream"),
    (check.reservoir, lambda s, b, d: draws_from_the_start(s, b, d), "belongs to draws[i]"),
    (check.reservoir, lambda s, b, d: ring(s, b), "in turn"),
    (check.reservoir, lambda s, b, d: reservoir(s, b, d)[::-1], "For "),
    (check.reservoir, lambda s, b, d: reservoir(s, b, np.maximum(d, 1)), "For "),
    (check.reservoir, lambda s, b, d: reservoir(s, b, np.where(d, d, b)), "draw of zero"),
    (
        check.reservoir,
        lambda s, b, d: reservoir(s, b, np.where(np.arange(len(d)) == b, b, d)),
        "passed over",
    ),
    (check.reservoir, lambda s, b, d: fills_by_draw(s, b, d), "still free places"),
    (check.reservoir, lambda s, b, d: in_place(s, b, d), "changes its argument stream"),
]


def draws_from_the_start(stream, budget, draws):
    kept = stream[:budget].copy()
    for i in range(budget, len(stream)):
        if draws[i - budget] < budget:
            kept[draws[i - budget]] = stream[i]
    return kept


def ring(stream, budget):
    kept = stream[:budget].copy()
    for i in range(budget, len(stream)):
        kept[i % budget] = stream[i]
    return kept


def fills_by_draw(stream, budget, draws):
    kept = stream[:budget].copy()
    for i, draw in enumerate(draws):
        if draw < budget:
            kept[draw] = stream[i]
    return kept


def in_place(stream, budget, draws):
    kept = stream[:budget]
    for i in range(budget, len(stream)):
        if draws[i] < budget:
            kept[draws[i]] = stream[i]
    return kept


@pytest.mark.parametrize(("exercise", "answer", "says"), WRONG)
def test_wrong_answers_fail_with_what_helps(exercise, answer, says):
    """Oracle: part of the diagnosis that the wrong answer should get."""
    result = exercise(answer)
    assert not result
    assert says in result.message, result.message


def test_reservoir_sampling_is_uniform():
    """Oracle: budget over stream length, within four standard errors, for the exercise's answer."""
    rng, kept = np.random.default_rng(0), np.zeros(10)
    for _ in range(4000):
        draws = rng.integers(0, np.arange(1, 11))
        kept[reservoir(np.arange(10), 3, draws)] += 1
    assert np.abs(kept / 4000 - 0.3).max() < 4 * np.sqrt(0.21 / 4000)
