"""The checks of the lesson *Spectra of networks* on layers: right ones pass, wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from companion import check
from companion import random_matrices as rm
from companion.check import Exercise
from tests.check.oracles import reseeded


def spread_over(vectors):
    squares = vectors**2
    return squares.sum(axis=1) ** 2 / (squares**2).sum(axis=1)


def by_norms(vectors):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return 1 / np.einsum("ij,ij,ij,ij->i", unit, unit, unit, unit)


def decayed_edge(weight, deviation, rate, decay, steps):
    edge = rm.weight_edge(*weight.shape, deviation * (1 - rate * decay) ** steps)
    return edge, np.sum(np.linalg.svd(weight, compute_uv=False) > edge)


def with_the_package(weight, deviation, rate, decay, steps):
    left = np.exp(steps * np.log1p(-rate * decay))
    edge = left * rm.weight_edge(*weight.shape[::-1], deviation, level=0.01)
    return float(edge), rm.count_outliers(weight, left * deviation)


RIGHT = [
    (check.spread_over, spread_over),
    (check.spread_over, by_norms),
    (check.spread_over, rm.participation_ratio),
    (check.decayed_edge, decayed_edge),
    (check.decayed_edge, with_the_package),
]


@pytest.mark.parametrize(("exercise", "solution"), RIGHT)
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_right_answers_pass(
    exercise: Exercise, solution: Callable[..., Any], seed: int | None
) -> None:
    """Oracle: answers written out by hand, by more than one way, on several sets of cases."""
    if seed is not None:
        exercise = reseeded(exercise, seed)
    result = exercise(solution)
    assert result, result.message


def edge_with(left=lambda r, d, t: (1 - r * d) ** t, **options):
    """Return an answer whose noise shrinks in another way."""

    def answer(weight, deviation, rate, decay, steps):
        edge = rm.weight_edge(*weight.shape, deviation * left(rate, decay, steps), **options)
        return edge, int(np.sum(np.linalg.svd(weight, compute_uv=False) > edge))

    return answer


def squares_beyond(weight, deviation, rate, decay, steps):
    edge = decayed_edge(weight, deviation, rate, decay, steps)[0]
    return edge, np.sum(np.linalg.svd(weight, compute_uv=False) ** 2 > edge)


def trained_deviation(weight, deviation, rate, decay, steps):
    edge = rm.weight_edge(*weight.shape, weight.std())
    return edge, np.sum(np.linalg.svd(weight, compute_uv=False) > edge)


def end_of_the_law(weight, deviation, rate, decay, steps):
    m, n = weight.shape
    edge = deviation * (1 - rate * decay) ** steps * (m**0.5 + n**0.5)
    return edge, np.sum(np.linalg.svd(weight, compute_uv=False) > edge)


def in_the_wrong_order(weight, deviation, rate, decay, steps):
    return decayed_edge(weight, deviation, rate, decay, steps)[::-1]


WRONG = [
    (check.spread_over, lambda vectors: 1 / (vectors**4).sum(axis=1), "of length 1"),
    (check.spread_over, lambda vectors: 1 / spread_over(vectors), "upside down"),
    (
        check.spread_over,
        lambda vectors: (vectors**2).sum(axis=0) ** 2 / (vectors**4).sum(axis=0),
        "the columns",
    ),
    (
        check.spread_over,
        lambda vectors: (vectors**2).sum() ** 2 / (vectors**4).sum(),
        "thrown together",
    ),
    (
        check.spread_over,
        lambda vectors: (vectors**2).sum(axis=1) / (vectors**4).sum(axis=1),
        "is not squared",
    ),
    (
        check.spread_over,
        lambda vectors: vectors.sum(axis=1) ** 2 / (vectors**4).sum(axis=1),
        "before the squares",
    ),
    (
        check.spread_over,
        lambda vectors: np.abs(vectors).sum(axis=1) ** 2 / (vectors**2).sum(axis=1),
        "sizes and squares",
    ),
    (check.spread_over, lambda vectors: spread_over(vectors) / vectors.shape[1], "share of all"),
    (check.spread_over, lambda vectors: spread_over(vectors) ** 0.5, "root too many"),
    (
        check.spread_over,
        lambda vectors: 3 * spread_over(vectors) / (vectors.shape[1] + 2),
        "for normal vectors",
    ),
    (check.decayed_edge, edge_with(lambda r, d, t: 1.0), "of the initial weights"),
    (check.decayed_edge, edge_with(lambda r, d, t: np.exp(-r * d * t)), "exponential"),
    (check.decayed_edge, edge_with(lambda r, d, t: (1 - r * d) ** (2 * t)), "variance"),
    (check.decayed_edge, edge_with(lambda r, d, t: (1 - r * d) ** (t / 2)), "under a root"),
    (check.decayed_edge, edge_with(lambda r, d, t: 1 - r * d), "One step only"),
    (check.decayed_edge, edge_with(lambda r, d, t: (1 - r) ** t), "decay is forgotten"),
    (check.decayed_edge, edge_with(level=0.05), "5 %"),
    (check.decayed_edge, squares_beyond, "squares of singular values"),
    (check.decayed_edge, trained_deviation, "trained entries"),
    (check.decayed_edge, end_of_the_law, "Marchenko and Pastur"),
    (check.decayed_edge, in_the_wrong_order, "edge"),
]


@pytest.mark.parametrize(("exercise", "answer", "said"), WRONG)
def test_wrong_answers_get_their_diagnosis(
    exercise: Exercise, answer: Callable[..., Any], said: str
) -> None:
    """Oracle: the diagnosis that belongs to the mistake."""
    result = exercise(answer)
    assert not result
    assert said in result.message, result.message


@pytest.mark.parametrize("exercise", [check.spread_over, check.decayed_edge])
def test_stubs_fail(exercise: Exercise) -> None:
    """Oracle: a function without a body is told so."""
    assert "write its body" in exercise(lambda *args: None).message or not exercise(
        lambda vectors: None
    )


def test_every_variant_is_wrong() -> None:
    """Oracle: no diagnosis belongs to a right answer."""
    for exercise in (check.spread_over, check.decayed_edge):
        for mistake in exercise.mistakes:
            if mistake.variant is not None:
                assert not exercise(mistake.variant), mistake.diagnosis
