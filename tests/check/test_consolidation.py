"""The checks of the lesson *Consolidation*: right answers pass, typical wrong ones do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from companion import check
from companion.check import Exercise
from companion.memory import Teacher, consolidate, consolidation_threshold
from tests.check.oracles import reseeded


def mode_error(eigenvalue, rule, start, noise, time):
    left = math.exp(-eigenvalue * time)
    learned = noise * (1 - left) ** 2 / eigenvalue if eigenvalue else 0.0
    return (left * (start - rule)) ** 2 + learned


def mode_error_by_numpy(eigenvalue, rule, start, noise, time):
    rate = np.float64(eigenvalue)
    learned = np.where(rate > 0, np.expm1(-rate * time) ** 2 / np.where(rate > 0, rate, 1), 0)
    return np.exp(-2 * rate * time) * (rule - start) ** 2 + noise * learned


def ridge_student(x, y, snr):
    return np.linalg.solve(x.T @ x + np.eye(x.shape[1]) / snr, x.T @ y)


def ridge_by_examples(x, y, snr):
    return x.T @ np.linalg.solve(x @ x.T + np.eye(len(x)) / snr, y)


def ridge_by_more_rows(x, y, snr):
    n = x.shape[1]
    rows = np.vstack([x, np.eye(n) / math.sqrt(snr)])
    return np.linalg.lstsq(rows, np.concatenate([y, np.zeros(n)]))[0]


def full_consolidation_error(examples, units, snr):
    noise = 1 / (1 + snr)
    unseen = max(0, units - examples) / units
    trace = min(examples, units) / (abs(examples - units) - 1)
    return noise + (1 - noise) * unseen + noise * trace


def full_error_in_two_cases(examples, units, snr):
    noise = 1 / (1 + snr)
    signal = snr * noise
    if examples > units:
        return noise * (1 + units / (examples - units - 1))
    return noise * (1 + examples / (units - examples - 1)) + signal * (1 - examples / units)


RIGHT = [
    (check.mode_error, mode_error),
    (check.mode_error, mode_error_by_numpy),
    (check.ridge_student, ridge_student),
    (check.ridge_student, ridge_by_examples),
    (check.ridge_student, ridge_by_more_rows),
    (check.full_consolidation_error, full_consolidation_error),
    (check.full_consolidation_error, full_error_in_two_cases),
]


@pytest.mark.parametrize(("exercise", "solution"), RIGHT)
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_right_answers_pass(
    exercise: Exercise, solution: Callable[..., Any], seed: int | None
) -> None:
    """Oracle: answers written in other ways."""
    if seed is not None:
        exercise = reseeded(exercise, seed)
    result = exercise(solution)
    assert result, result.message


def no_case_for_zero(eigenvalue, rule, start, noise, time):
    left = np.exp(-np.float64(eigenvalue) * time)
    with np.errstate(invalid="ignore"):
        return left**2 * (start - rule) ** 2 + noise * (1 - left) ** 2 / np.float64(eigenvalue)


def mode_with(change):
    def wrong(eigenvalue, rule, start, noise, time):
        left = math.exp(-eigenvalue * time)
        return change(eigenvalue or math.inf, rule, start, noise, left)

    return wrong


WRONG = [
    (check.mode_error, no_case_for_zero, "eigenvalue is zero"),
    (
        check.mode_error,
        mode_with(lambda v, r, s, n, e: (e * r) ** 2 + n * (1 - e) ** 2 / v),
        "starts from zero",
    ),
    (
        check.mode_error,
        mode_with(lambda v, r, s, n, e: e * (s - r) ** 2 + n * (1 - e) / v),
        "not their squares",
    ),
    (
        check.mode_error,
        mode_with(lambda v, r, s, n, e: (e * (s - r)) ** 2 + n * (1 - e) ** 2),
        "not divided",
    ),
    (
        check.mode_error,
        mode_with(lambda v, r, s, n, e: (e * (s - r)) ** 2 + n * (1 - e) ** 2 / math.sqrt(v)),
        "divided by the singular value",
    ),
    (
        check.mode_error,
        mode_with(lambda v, r, s, n, e: (e * (s - r)) ** 2 + n / v),
        "little by little",
    ),
    (
        check.mode_error,
        mode_with(lambda v, r, s, n, e: (e * (s - r)) ** 2 + n * (1 - e**2) / v),
        "all of that is squared",
    ),
    (
        check.mode_error,
        mode_with(lambda v, r, s, n, e: (e * (s - r)) ** 2 + n * (1 - e) ** 2 / v + n),
        "weights alone",
    ),
    (
        check.mode_error,
        mode_with(lambda v, r, s, n, e: (e * (s - r)) ** 2),
        "is missing",
    ),
    (check.ridge_student, lambda x, y, s: ridge_student(x, y, 1 / s), "larger penalty"),
    (check.ridge_student, lambda x, y, s: np.linalg.pinv(x) @ y, "never stops"),
    (check.ridge_student, lambda x, y, s: ridge_student(x, y, s / len(x)), "number of examples"),
    (
        check.ridge_student,
        lambda x, y, s: ridge_student(x, y, s / x.shape[1]),
        "number of weights",
    ),
    (check.ridge_student, lambda x, y, s: ridge_student(x, y, s / 2), "twice too large"),
    (check.ridge_student, lambda x, y, s: ridge_student(x, y, s**2), "Do not square"),
    (check.ridge_student, lambda x, y, s: ridge_student(x, y, math.sqrt(s)), "No root"),
    (check.ridge_student, lambda x, y, s: x @ ridge_student(x, y, s), "shape"),
    (
        check.full_consolidation_error,
        lambda p, n, s: (
            1 / (1 + s) * (1 + min(p, n) / abs(p - n)) + s / (1 + s) * max(0, 1 - p / n)
        ),
        "infinitely many",
    ),
    (
        check.full_consolidation_error,
        lambda p, n, s: 1 / (1 + s) * (1 + min(p, n) / (abs(p - n) - 1)),
        "never seen",
    ),
    (
        check.full_consolidation_error,
        lambda p, n, s: full_consolidation_error(p, n, s) - 1 / (1 + s),
        "new example itself",
    ),
    (
        check.full_consolidation_error,
        lambda p, n, s: full_consolidation_error(p, n, 1 / s),
        "exchanged",
    ),
    (
        check.full_consolidation_error,
        lambda p, n, s: (1 + min(p, n) / (abs(p - n) - 1) / n + s * max(0, 1 - p / n)) / (1 + s),
        "inverses are large",
    ),
    (
        check.full_consolidation_error,
        lambda p, n, s: (1 + n / (abs(p - n) - 1) + s * max(0, 1 - p / n)) / (1 + s),
        "smaller of the two",
    ),
]


@pytest.mark.parametrize(("exercise", "wrong", "hint"), WRONG)
def test_wrong_answers_get_their_diagnosis(
    exercise: Exercise, wrong: Callable[..., Any], hint: str
) -> None:
    """Oracle: the sentence written for this mistake."""
    result = exercise(wrong)
    assert not result
    assert hint in result.message


def test_the_finite_error_is_that_of_many_draws() -> None:
    """Oracle: 3,000 draws of a student of five weights, within five standard errors."""
    rng, errors = np.random.default_rng(0), []
    for _ in range(3000):
        teacher = Teacher(5, 2.0, rng=rng)
        errors.append(teacher.error(consolidate(*teacher.examples(12, rng=rng), np.inf)))
    error = np.std(errors) / math.sqrt(len(errors))
    assert abs(np.mean(errors) - full_consolidation_error(12, 5, 2.0)) < 5 * error


def test_for_many_weights_the_finite_error_meets_the_threshold() -> None:
    """Oracle: the closed form of the lesson, which is the limit."""
    for load in (0.5, 2.0):
        edge = float(consolidation_threshold(load))
        error = check.full_consolidation_error.oracle(round(load * 400), 400, edge)
        assert error == pytest.approx(1.0, abs=0.01)
