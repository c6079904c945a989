"""The checks of the lesson *Rank, eigenvalues, powers*: right answers pass, wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from companion import check, matrices
from companion.check import Exercise
from tests.check.oracles import reseeded


def top_eigenvalue(matrix, start, steps):
    x = start
    for _ in range(steps):
        x = matrix @ x
        x = x / np.linalg.norm(x)
    return x @ matrix @ x, x


def by_lengths(matrix, start, steps):
    """Divide before the product, which leaves one division for the end."""
    y = start
    for _ in range(steps):
        y = matrix @ (y / np.linalg.norm(y))
    x = y / np.linalg.norm(y)
    return np.dot(x, np.dot(matrix, x)), x


def counted_power(matrix, exponent):
    if exponent == 1:
        return matrix.copy(), 0
    half, products = counted_power(matrix, exponent // 2)
    power, products = half @ half, products + 1
    if exponent % 2:
        power, products = matrix @ power, products + 1
    return power, products


def counted_by_digits(matrix, exponent):
    power, products = matrix, 0
    for digit in f"{exponent:b}"[1:]:
        power, products = power @ power, products + 1
        if digit == "1":
            power, products = power @ matrix, products + 1
    return power.copy(), products


def link_for_growth(radius, growth):
    k = np.arange(1, 201)
    above = growth - radius ** (2 * k) / growth
    return (above / (k * radius ** (k - 1.0))).min()


def link_by_bisection(radius, growth):
    low, high = 0.0, growth
    exponents = np.arange(1, 80)
    for _ in range(60):
        middle = (low + high) / 2
        norms = matrices.gelfand([[radius, middle], [0, radius]], exponents) ** exponents
        low, high = (middle, high) if norms.max() < growth else (low, middle)
    return low


RIGHT = [
    (check.top_eigenvalue, top_eigenvalue),
    (check.top_eigenvalue, by_lengths),
    (check.counted_power, counted_power),
    (check.counted_power, counted_by_digits),
    (check.link_for_growth, link_for_growth),
    (check.link_for_growth, link_by_bisection),
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


def without_division(matrix, start, steps):
    for _ in range(steps):
        start = matrix @ start
    x = start / np.linalg.norm(start)
    return x @ matrix @ x, x


def quotient_in_the_loop(matrix, start, steps):
    x = start / np.linalg.norm(start)
    for _ in range(steps):
        y = matrix @ x
        value, x = x @ y, y / np.linalg.norm(y)
    return value, x


def new_vector_with_old_product(matrix, start, steps):
    x = start
    for _ in range(steps):
        y = matrix @ x
        x = y / np.linalg.norm(y)
    return x @ y, x


def another_size(size):
    def wrong(matrix, start, steps):
        x = start
        for _ in range(steps):
            x = matrix @ x
            x = x / size(x)
        return x @ matrix @ x, x

    return wrong


def changed_start(matrix, start, steps):
    for _ in range(steps):
        start[:] = matrix @ start
        start /= np.linalg.norm(start)
    return start @ matrix @ start, start.copy()


def with_identity(matrix, exponent):
    power, products = np.eye(len(matrix)), 0
    while exponent:
        if exponent % 2:
            power, products = power @ matrix, products + 1
        exponent //= 2
        if exponent:
            matrix, products = matrix @ matrix, products + 1
    return power, products


def with_identity_and_last_square(matrix, exponent):
    power, products = np.eye(len(matrix)), 0
    while exponent:
        if exponent % 2:
            power, products = power @ matrix, products + 1
        matrix, products = matrix @ matrix, products + 1
        exponent //= 2
    return power, products


def one_by_one(matrix, exponent):
    power = matrix
    for _ in range(exponent - 1):
        power = power @ matrix
    return power.copy(), exponent - 1


def half_twice(matrix, exponent):
    if exponent == 1:
        return matrix.copy(), 0
    left, products = half_twice(matrix, exponent // 2)
    right, more = half_twice(matrix, exponent - exponent // 2)
    return left @ right, products + more + 1


def powers_of_two_only(matrix, exponent):
    products = 0
    while exponent > 1:
        matrix, exponent, products = matrix @ matrix, exponent // 2, products + 1
    return matrix.copy(), products


def of_power(change):
    """Return counted_power with its two results changed."""
    return lambda matrix, exponent: change(*counted_power(matrix, exponent), exponent)


def of_links(change):
    """Return an answer from the exponents and the links that each of them asks for."""

    def wrong(radius, growth):
        k = np.arange(1, 301)
        links = (growth - radius ** (2 * k) / growth) / (k * radius ** (k - 1.0))
        return change(k, links, radius, growth)

    return wrong


def between_powers(radius, growth):
    k = max(1.0, -1 / np.log(radius))
    return (growth - radius ** (2 * k) / growth) / (k * radius ** (k - 1))


def frobenius(radius, growth):
    k = np.arange(1, 301)
    return (np.sqrt(growth**2 - 2 * radius ** (2.0 * k)) / (k * radius ** (k - 1.0))).min()


WRONG = [
    (check.top_eigenvalue, without_division, "a few steps only"),
    (check.top_eigenvalue, quotient_in_the_loop, "one step earlier"),
    (check.top_eigenvalue, new_vector_with_old_product, "mixes two steps"),
    (
        check.top_eigenvalue,
        lambda m, s, k: (
            np.linalg.norm(m @ top_eigenvalue(m, s, k)[1]),
            top_eigenvalue(m, s, k)[1],
        ),
        "never negative",
    ),
    (check.top_eigenvalue, lambda m, s, k: top_eigenvalue(m, s, k - 1), "too few"),
    (check.top_eigenvalue, lambda m, s, k: top_eigenvalue(m, s, k + 1), "too many"),
    (check.top_eigenvalue, another_size(lambda x: abs(x).max()), "largest entry"),
    (check.top_eigenvalue, another_size(lambda x: abs(x).sum()), "sum of its entries"),
    (check.top_eigenvalue, another_size(lambda x: x @ x), "squared length"),
    (check.top_eigenvalue, lambda m, s, k: top_eigenvalue(m.T, s, k), "transpose"),
    (check.top_eigenvalue, lambda m, s, k: top_eigenvalue(m, s, k)[::-1], "another order"),
    (check.top_eigenvalue, changed_start, "in place"),
    (check.counted_power, one_by_one, "at a time"),
    (check.counted_power, half_twice, "half once"),
    (check.counted_power, with_identity, "one product too many"),
    (check.counted_power, with_identity_and_last_square, "two products too many"),
    (check.counted_power, of_power(lambda p, c, k: (p, k.bit_length() - 1)), "only the squarings"),
    (
        check.counted_power,
        of_power(lambda p, c, k: (p, f"{k:b}".count("1") - 1)),
        "are not counted",
    ),
    (check.counted_power, of_power(lambda p, c, k: (p, int(2 * np.log2(k)))), "rounded down"),
    (check.counted_power, lambda m, k: (m**k, counted_power(m, k)[1]), "by itself"),
    (check.counted_power, powers_of_two_only, "power of two"),
    (check.counted_power, lambda m, k: counted_power(m, k + 1), "once too often"),
    (check.counted_power, of_power(lambda p, c, k: (c, p)), "another order"),
    (check.link_for_growth, of_links(lambda k, c, r, g: c[0]), "the matrix itself"),
    (
        check.link_for_growth,
        of_links(lambda k, c, r, g: (g / (k * r ** (k - 1.0))).min()),
        "largest entry",
    ),
    (check.link_for_growth, frobenius, "Frobenius"),
    (check.link_for_growth, between_powers, "between two powers"),
    (check.link_for_growth, of_links(lambda k, c, r, g: c[:10].min()), "first few powers"),
    (check.link_for_growth, of_links(lambda k, c, r, g: (c / r).min()), "too many"),
    (check.link_for_growth, of_links(lambda k, c, r, g: [c.min()]), "a list"),
    (check.link_for_growth, of_links(lambda k, c, r, g: round(c.min(), 5)), "eight digits"),
    (check.link_for_growth, of_links(lambda k, c, r, g: 2 * c.min()), "above the growth"),
    (check.link_for_growth, of_links(lambda k, c, r, g: c.min() / 2), "below the growth"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    result = exercise(answer)
    assert not result
    assert words in result.message
