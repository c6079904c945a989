"""The checks of the lesson *Spectra of networks*: right answers pass, wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest, pareto

from companion import check
from companion.check import Exercise
from companion.random_matrices import fit_power_law
from tests.check.oracles import reseeded


def tail_exponent(values, minimum):
    x = np.sort(values[values >= minimum])
    m = len(x)
    alpha = 1 + m / np.sum(np.log(x / minimum))
    fitted = 1 - (x / minimum) ** (1 - alpha)
    above, below = np.arange(1, m + 1) / m - fitted, fitted - np.arange(m) / m
    return alpha, max(above.max(), below.max())


def by_package(values, minimum):
    fit = fit_power_law(values, minimum=minimum, min_tail=2)
    return [fit.alpha, fit.distance]


def by_scipy(values, minimum):
    tail = [x for x in values if x >= minimum]
    rate = len(tail) / sum(np.log(x) - np.log(minimum) for x in tail)
    return np.float64(1 + rate), kstest(tail, lambda x: pareto.cdf(x / minimum, rate)).statistic


def growth_rate(weight, start, direction, steps):
    x, v, total = start, direction / np.linalg.norm(direction), 0.0
    for _ in range(steps):
        hidden = np.tanh(x)
        v = weight @ ((1 - hidden**2) * v)
        total += np.log(np.linalg.norm(v))
        x, v = weight @ hidden, v / np.linalg.norm(v)
    return total / steps


def by_matrices(weight, start, direction, steps):
    """Multiply by the whole derivative, and never normalise."""
    x, v = start.copy(), direction.copy()
    for _ in range(steps):
        v = weight @ np.diag(1 / np.cosh(x) ** 2) @ v
        x = weight @ np.tanh(x)
    return np.log(np.sqrt(v @ v) / np.sqrt(direction @ direction)) / steps


def by_hidden_states(weight, start, direction, steps):
    """Carry the difference of the hidden states, and undo the last slope."""
    x, h = start, np.tanh(start)
    v = (1 - h**2) * direction
    for t in range(steps):
        x = weight @ h
        v, h = weight @ v, np.tanh(x)
        if t < steps - 1:
            v = (1 - h**2) * v
    return float(np.log(np.linalg.norm(v) / np.linalg.norm(direction)) / steps)


RIGHT = [
    (check.tail_exponent, tail_exponent),
    (check.tail_exponent, by_package),
    (check.tail_exponent, by_scipy),
    (check.growth_rate, growth_rate),
    (check.growth_rate, by_matrices),
    (check.growth_rate, by_hidden_states),
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


def tail_of(change):
    """Return an answer made from the exponent, the sorted tail and the minimum."""

    def answer(values, minimum):
        x = np.sort(values[values >= minimum])
        alpha = change(x, minimum)
        fitted = 1 - (x / minimum) ** (1 - alpha)
        steps = np.arange(len(x) + 1) / len(x)
        return alpha, max(np.max(steps[1:] - fitted), np.max(fitted - steps[:-1]))

    return answer


def with_distance(change):
    """Return an answer with the right exponent, and a distance made from ranks and the fit."""

    def answer(values, minimum):
        x = np.sort(values[values >= minimum])
        alpha = 1 + len(x) / np.sum(np.log(x / minimum))
        return alpha, change(np.arange(1, len(x) + 1) / len(x), len(x), x / minimum, alpha)

    return answer


def rate(x, low):
    return len(x) / np.sum(np.log(x / low))


def everything(values, minimum):
    return 1 + len(values) / np.sum(np.log(values / minimum)), 0.1


def all_counted(values, minimum):
    x = values[values >= minimum]
    return 1 + len(values) / np.sum(np.log(x / minimum)), 0.1


def strictly_beyond(values, minimum):
    x = values[values > minimum]
    alpha = 1 + len(x) / np.sum(np.log(x / minimum))
    return alpha, kstest(x, pareto(alpha - 1, scale=minimum).cdf).statistic


def two_sided(ranks, m, ratio, slope):
    fitted = 1 - ratio**-slope
    return max((ranks - fitted).max(), (fitted - ranks + 1 / m).max())


def growth_with(derivative, *, late=False, rate=lambda total, t, v: total / t):
    """Return an answer that multiplies by a derivative made from weights and state."""

    def answer(weight, start, direction, steps):
        x, v, total = start, direction, -np.log(np.linalg.norm(direction))
        for _ in range(steps):
            following = weight @ np.tanh(x)
            v = derivative(weight, following if late else x) @ v
            x = following
        return rate(total + np.log(np.linalg.norm(v)), steps, direction)

    return answer


def jacobian(w, x):
    return w * (1 - np.tanh(x) ** 2)


def frozen(weight, start, direction, steps):
    v = direction
    for _ in range(steps):
        v = jacobian(weight, start) @ v
    return np.log(np.linalg.norm(v) / np.linalg.norm(direction)) / steps


def by_differences(weight, start, direction, steps):
    a, b = start, start + 1e-6 * direction
    for _ in range(steps):
        a, b = weight @ np.tanh(a), weight @ np.tanh(b)
    return np.log(np.linalg.norm(b - a) / np.linalg.norm(1e-6 * direction)) / steps


WRONG: list[tuple[Exercise, Callable[..., Any], str]] = [
    (check.tail_exponent, everything, "below the minimum"),
    (check.tail_exponent, tail_of(lambda x, low: rate(x, low)), "add 1"),
    (
        check.tail_exponent,
        tail_of(lambda x, low: 1 + len(x) / np.sum(np.log10(x / low))),
        "base 10",
    ),
    (check.tail_exponent, tail_of(lambda x, low: 1 + np.mean(np.log(x / low))), "reciprocal"),
    (
        check.tail_exponent,
        tail_of(lambda x, low: 1 + 1 / np.mean(np.log(x))),
        "not divided by the minimum",
    ),
    (check.tail_exponent, all_counted, "number of all values"),
    (check.tail_exponent, strictly_beyond, "at least the minimum"),
    (
        check.tail_exponent,
        tail_of(lambda x, low: 1 + (len(x) - 1) / np.sum(np.log(x / low))),
        "removes a bias",
    ),
    (
        check.tail_exponent,
        with_distance(lambda s, m, x, a: np.abs(s - 1 + x ** (1 - a)).max()),
        "from one side",
    ),
    (
        check.tail_exponent,
        with_distance(lambda s, m, x, a: np.abs(s - 1 / m - 1 + x ** (1 - a)).max()),
        "just below each value",
    ),
    (
        check.tail_exponent,
        with_distance(lambda s, m, x, a: np.max(s - 1 + x ** (1 - a))),
        "one sign",
    ),
    (
        check.tail_exponent,
        with_distance(lambda s, m, x, a: two_sided(s, m, x, a)),
        "has one less",
    ),
    (check.tail_exponent, lambda x, low: tail_exponent(x, low)[::-1], "exchanged"),
    (check.tail_exponent, lambda x, low: tail_exponent(x, low)[0], "2 values"),
    (check.growth_rate, growth_with(lambda w, x: w), "slope of tanh is missing"),
    (check.growth_rate, growth_with(lambda w, x: w * (1 - x**2)), "square of the state"),
    (check.growth_rate, growth_with(lambda w, x: w * np.tanh(x)), "tanh stands where its slope"),
    (check.growth_rate, growth_with(lambda w, x: w * (1 - np.tanh(x))), "1 minus tanh"),
    (
        check.growth_rate,
        growth_with(lambda w, x: w * (1 - np.tanh(np.tanh(x)) ** 2)),
        "taken twice",
    ),
    (check.growth_rate, growth_with(jacobian, late=True), "after the step"),
    (
        check.growth_rate,
        growth_with(lambda w, x: np.diag(1 - np.tanh(x) ** 2) @ w),
        "tanh acts before",
    ),
    (check.growth_rate, growth_with(lambda w, x: jacobian(w, x).T), "carries gradients back"),
    (
        check.growth_rate,
        growth_with(lambda w, x: w.T * (1 - np.tanh(x) ** 2)),
        "weights are transposed",
    ),
    (check.growth_rate, frozen, "stays where it started"),
    (
        check.growth_rate,
        growth_with(jacobian, rate=lambda total, t, v: total),
        "Divide by their number",
    ),
    (
        check.growth_rate,
        growth_with(jacobian, rate=lambda total, t, v: (total + np.log(np.linalg.norm(v))) / t),
        "has a length at the start",
    ),
    (
        check.growth_rate,
        growth_with(jacobian, rate=lambda total, t, v: np.exp(total / t)),
        "Its logarithm",
    ),
    (
        check.growth_rate,
        growth_with(jacobian, rate=lambda total, t, v: total / t / np.log(2)),
        "base 2",
    ),
    (
        check.growth_rate,
        growth_with(jacobian, rate=lambda total, t, v: total / t / np.log(10)),
        "base ten",
    ),
    (
        check.growth_rate,
        growth_with(jacobian, rate=lambda total, t, v: total / (t + 1)),
        "one too many",
    ),
    (check.growth_rate, by_differences, "a little off"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    with np.errstate(all="ignore"):
        result = exercise(answer)
    assert not result
    assert words in result.message
