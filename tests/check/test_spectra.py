"""The checks of the lesson *Spectra of networks*: right answers pass, wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest, pareto

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


def tail_exponent(values, minimum):
    x = np.sort(values[values >= minimum])
    m = len(x)
    alpha = 1 + m / np.sum(np.log(x / minimum))
    fitted = 1 - (x / minimum) ** (1 - alpha)
    above, below = np.arange(1, m + 1) / m - fitted, fitted - np.arange(m) / m
    return alpha, max(above.max(), below.max())


def by_package(values, minimum):
    fit = rm.fit_power_law(values, minimum=minimum, min_tail=2)
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
    (check.spread_over, spread_over),
    (check.spread_over, by_norms),
    (check.spread_over, rm.participation_ratio),
    (check.decayed_edge, decayed_edge),
    (check.decayed_edge, with_the_package),
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


def count_before_decay(weight, deviation, rate, decay, steps):
    edge, _ = decayed_edge(weight, deviation, rate, decay, steps)
    return edge, rm.count_outliers(weight, deviation)


def in_the_wrong_order(weight, deviation, rate, decay, steps):
    return decayed_edge(weight, deviation, rate, decay, steps)[::-1]


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
    (check.decayed_edge, count_before_decay, "edge of the initial weights"),
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
    (
        check.tail_exponent,
        with_distance(lambda s, m, x, a: np.abs(s - x ** (1 - a)).max()),
        "share beyond a value",
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


EXERCISES = [check.spread_over, check.decayed_edge, check.tail_exponent, check.growth_rate]


@pytest.mark.parametrize("exercise", EXERCISES)
def test_stubs_fail(exercise: Exercise) -> None:
    """Oracle: a function without a body is told so."""
    result = exercise(lambda *args, **kwargs: None)
    assert not result
    assert "write its body" in result.message


@pytest.mark.parametrize("exercise", EXERCISES)
def test_every_variant_is_wrong(exercise: Exercise) -> None:
    """Oracle: no diagnosis belongs to a right answer."""
    for mistake in exercise.mistakes:
        if mistake.variant is not None:
            with np.errstate(all="ignore"):
                assert not exercise(mistake.variant), mistake.diagnosis
