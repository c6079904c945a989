"""The checks of the lesson *Low rank at work*: right answers pass, typical wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from companion import check
from companion.check import Exercise
from companion.matrices import als_step
from tests.check.oracles import reseeded


def largest_rank(out_features, in_features, budget):
    return min(budget // (out_features + in_features), out_features, in_features)


def merged_weight(weight, lora_a, lora_b, alpha):
    return weight + alpha / len(lora_a) * lora_b @ lora_a


def fold_in(ratings, observed, item_factors, ridge):
    known = item_factors[observed]
    system = known.T @ known + ridge * np.eye(known.shape[1])
    return np.linalg.solve(system, known.T @ ratings[observed])


def fold_in_by_the_package(ratings, observed, item_factors, ridge):
    return als_step(ratings[None], observed[None], item_factors, ridge=ridge)[0]


@pytest.mark.parametrize("seed", [None, 1, 2])
@pytest.mark.parametrize(
    ("exercise", "solution"),
    [
        (check.largest_rank, largest_rank),
        (check.largest_rank, lambda m, n, budget: int(min(budget / (m + n), m, n))),
        (check.merged_weight, merged_weight),
        (check.merged_weight, lambda w, a, b, alpha: w + (alpha * b / b.shape[1]) @ a),
        (check.fold_in, fold_in),
        (check.fold_in, fold_in_by_the_package),
    ],
)
def test_right_answers_pass(
    exercise: Exercise, solution: Callable[..., Any], seed: int | None
) -> None:
    """Oracle: answers written out by hand, by more than one way, and on other cases."""
    exercise = exercise if seed is None else reseeded(exercise, seed)
    assert exercise(solution), exercise(solution).message


def solved(change):
    """Return fold_in with its system and right side changed."""

    def wrong(ratings, observed, item_factors, ridge):
        g = item_factors[observed]
        system, right = change(g, ratings[observed], ridge, np.eye(g.shape[1]))
        return np.linalg.solve(system, right)

    return wrong


WRONG = [
    (check.largest_rank, lambda m, n, b: b // (m + n), "smaller side"),
    (check.largest_rank, lambda m, n, b: min(int(b / (m + n) + 0.999999), m, n), "rounds up"),
    (check.largest_rank, lambda m, n, b: min(round(b / (m + n)), min(m, n)), "nearest"),
    (check.largest_rank, lambda m, n, b: min(b // (m * n), m, n), "full matrix"),
    (check.largest_rank, lambda m, n, b: min(b // n, m, n), "in_features columns only"),
    (check.largest_rank, lambda m, n, b: min(b // m, m, n), "out_features rows only"),
    (check.largest_rank, lambda m, n, b: max(1, largest_rank(m, n, b)), "allows none"),
    (check.largest_rank, lambda m, n, b: (m + n) * largest_rank(m, n, b), "number of parameters"),
    (check.largest_rank, lambda m, n, b: b / (m + n), "whole number"),
    (check.merged_weight, lambda w, a, b, alpha: w + b @ a, "scale is missing"),
    (check.merged_weight, lambda w, a, b, alpha: w + alpha * b @ a, "division by the rank"),
    (check.merged_weight, lambda w, a, b, alpha: w + b @ a / len(a), "not multiplied by alpha"),
    (check.merged_weight, lambda w, a, b, alpha: w + alpha * b @ a / len(a.T), "number of inputs"),
    (check.merged_weight, lambda w, a, b, alpha: w - alpha * b @ a / len(a), "subtracted"),
    (check.merged_weight, lambda w, a, b, alpha: alpha / len(a) * b @ a, "change alone"),
    (check.merged_weight, lambda w, a, b, alpha: w + a @ b, "wrong axis"),
    (check.merged_weight, lambda w, a, b, alpha: alpha / len(a) * (w + b @ a), "too"),
    (check.merged_weight, lambda w, a, b, alpha: w + b @ a * len(a) / alpha, "upside down"),
    (check.merged_weight, lambda w, a, b, alpha: merged_weight(w, a, b, alpha).T, "transpose"),
    (check.fold_in, lambda r, o, g, ridge: fold_in(r, o | True, g, ridge), "not observed count"),
    (check.fold_in, lambda r, o, g, ridge: fold_in(r * o, o | True, g, ridge), "count as zeros"),
    (
        check.fold_in,
        lambda r, o, g, ridge: np.linalg.lstsq(g[o], r[o], rcond=None)[0],
        "ridge is missing",
    ),
    (check.fold_in, solved(lambda g, r, ridge, eye: (g.T @ g, g.T @ r)), "ridge is missing"),
    (check.fold_in, solved(lambda g, r, ridge, eye: (g.T @ g + ridge, g.T @ r)), "diagonal"),
    (
        check.fold_in,
        solved(lambda g, r, ridge, eye: (g.T @ g - ridge * eye, g.T @ r)),
        "subtracted",
    ),
    (
        check.fold_in,
        solved(lambda g, r, ridge, eye: (g.T @ g + ridge**2 * eye, g.T @ r)),
        "squared",
    ),
    (
        check.fold_in,
        lambda r, o, g, ridge: fold_in(r, o, g, ridge * o.sum() + (not o.any())),
        "number of known ratings",
    ),
    (check.fold_in, lambda r, o, g, ridge: g[o].T @ r[o], "never solved"),
    (check.fold_in, lambda r, o, g, ridge: g @ fold_in(r, o, g, ridge), "predicted ratings"),
    (check.fold_in, lambda r, o, g, ridge: -fold_in(r, o, g, ridge), "wrong sign"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    result = exercise(answer)
    assert not result
    assert words in result.message
