"""The checks of the capstone: right answers pass, wrong ones do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from companion import check
from companion import random_matrices as rm
from companion.check import Exercise
from tests.check.oracles import reseeded


def learning_time(strength, start, share):
    left = (1 / share - 1) / (strength / start - 1)
    return -np.log(left) / (2 * strength)


def by_package(strength, start, share):
    return float(rm.mode_time(share, strength, start))


def by_bisection(strength, start, share):
    low, high = 0.0, 1000.0
    for _ in range(100):
        time = (low + high) / 2
        if rm.mode_strength(time, strength, start) < share * strength:
            low = time
        else:
            high = time
    return time


def copies_needed(load, flipped):
    likeness = 1 - 2 * flipped
    return int(np.floor(1 + np.sqrt(load) / likeness**2)) + 1


def by_overlap(load, flipped):
    copies = 1
    while rm.hebbian_spike(copies, load, 1 - 2 * flipped).overlap < 1e-9:
        copies += 1
    return copies


def as_float(load, flipped):
    return float(copies_needed(load, flipped))


RIGHT = [
    (check.learning_time, learning_time),
    (check.learning_time, by_package),
    (check.learning_time, by_bisection),
    (check.copies_needed, copies_needed),
    (check.copies_needed, by_overlap),
    (check.copies_needed, as_float),
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


def learning_but(change):
    def answer(strength, start, share):
        return change(learning_time(strength, start, share), strength)

    return answer


def unclamped(strength, start, share):
    """Take the share for a strength, wherever that has an answer."""
    if share >= strength:
        return math.nan
    return math.log(share * (strength - start) / ((strength - share) * start)) / (2 * strength)


def copies_but(change):
    def answer(load, flipped):
        return math.ceil(1 + change(load, flipped))

    return answer


WRONG = [
    (check.learning_time, lambda s, a, f: None, "returns None"),
    (check.learning_time, learning_but(lambda t, s: 2 * t), "twice the time"),
    (check.learning_time, learning_but(lambda t, s: t / 2), "half of the time"),
    (check.learning_time, learning_but(lambda t, s: -t), "sign is wrong"),
    (check.learning_time, learning_but(lambda t, s: 2 * s * t), "is divided by twice"),
    (check.learning_time, learning_but(lambda t, s: 2 * s * s * t), "multiplied by"),
    (check.learning_time, learning_but(lambda t, s: t + 1), "off by"),
    (check.learning_time, lambda s, a, f: learning_time(s, a, 0.5), "time for one half"),
    (check.learning_time, lambda s, a, f: math.log(f * s / a) / (2 * s), "pure exponential"),
    (check.learning_time, lambda s, a, f: math.log(f * (s - a) / a) / (2 * s), "is missing"),
    (
        check.learning_time,
        lambda s, a, f: math.log(f * s / a / (1 - f)) / (2 * s),
        "minus one",
    ),
    (
        check.learning_time,
        lambda s, a, f: math.log((s - a) / ((1 - f) * s)),
        "single layer",
    ),
    (check.copies_needed, lambda load, f: None, "returns None"),
    (check.copies_needed, lambda load, f: copies_needed(load, f) - 1, "One too few"),
    (check.copies_needed, lambda load, f: copies_needed(load, f) + 1, "One too many"),
    (
        check.copies_needed,
        lambda load, f: 1 + load**0.5 / (1 - 2 * f) ** 2,
        "the bound itself",
    ),
    (
        check.copies_needed,
        copies_but(lambda load, f: load**0.5 / (1 - 2 * f)),
        "overlap of two copies",
    ),
    (
        check.copies_needed,
        copies_but(lambda load, f: load**0.5 / (1 - f) ** 2),
        "not flipped is not",
    ),
    (check.copies_needed, copies_but(lambda load, f: load / (1 - 2 * f) ** 2), "its root belongs"),
    (check.copies_needed, copies_but(lambda load, f: load**0.5), "copies as exact"),
    (
        check.copies_needed,
        copies_but(lambda load, f: ((1 + load**0.5) ** 2 - 1) / (1 - 2 * f) ** 2),
        "edge of the bulk",
    ),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    # The edge cases hold whole numbers, where a rounding mistake looks like another.
    result = replace(exercise, edge_cases=())(answer)
    assert not result
    assert words in result.message


def test_a_share_that_is_taken_for_a_strength_is_named() -> None:
    """Oracle: the mistake itself, among modes strong enough for it to have an answer."""
    strong = replace(
        check.learning_time,
        edge_cases=(),
        sample=lambda rng: {
            "strength": float(rng.uniform(1.5, 3.0)),
            "start": float(rng.uniform(0.01, 0.1)),
            "share": float(rng.uniform(0.6, 0.9)),
        },
    )
    result = strong(unclamped)
    assert not result
    assert "share of the strength" in result.message


def test_at_the_threshold_itself_nothing_stands_out() -> None:
    """Oracle: the bound rounded up, which is wrong only where it is a whole number."""
    result = check.copies_needed(copies_but(lambda load, f: load**0.5 / (1 - 2 * f) ** 2))
    assert not result
    assert "One too few" in result.message


def test_where_the_share_is_no_strength_that_is_reached_another_mistake_is_told() -> None:
    """Oracle: a mistake without a name of its own, made in a mode weaker than the share."""
    weak = replace(
        check.learning_time,
        edge_cases=(),
        sample=lambda rng: {"strength": 0.4, "start": float(rng.uniform(0.01, 0.1)), "share": 0.8},
    )
    result = weak(learning_but(lambda t, s: t + 1))
    assert not result
    assert "off by" in result.message
