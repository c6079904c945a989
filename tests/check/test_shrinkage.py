"""The checks of the lesson *Cleaning a noisy matrix*: right answers pass, wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from companion import check
from companion import random_matrices as rm
from companion.check import Exercise
from tests.check.oracles import reseeded


def spike_errors(theta, beta):
    out = rm.rectangular_outlier(theta, beta)
    y, overlap = out.position, np.sqrt(out.left * out.right)
    kept = theta**2 + y**2 - 2 * theta * y * overlap
    return theta**2, kept, theta**2 * (1 - overlap**2)


def in_products(theta, beta):
    """Use the squared cosines without a root where possible."""
    y, left, right = rm.rectangular_outlier(theta, beta)
    eta = theta * left**0.5 * right**0.5
    kept = (y - eta) ** 2 + theta**2 - eta**2
    return [theta * theta, float(kept), theta**2 - eta**2]


def median_cut(s, m, n):
    beta = min(m, n) / max(m, n)
    median = rm.MarchenkoPastur(beta).quantile(0.5)
    tau = np.sqrt((4 * (beta + 1) + 2 * np.sqrt(beta**2 + 14 * beta + 1)) / 3)
    return tau * np.median(s) / np.sqrt(median)


def with_the_package(s, m, n):
    small, large = sorted((m, n))
    tau = rm.optimal_threshold(small / large)
    level = np.median(s) / np.sqrt(large * rm.MarchenkoPastur(small / large).quantile(0.5))
    return float(tau * level * large**0.5)


def three_ranks(s, m, n, noise):
    beta = min(m, n) / max(m, n)
    y = s / (noise * np.sqrt(max(m, n)))
    shares = np.cumsum(s**2) / np.sum(s**2)
    return (
        np.sum(y > 1 + np.sqrt(beta)),
        np.sum(y > rm.optimal_threshold(beta)),
        np.sum(shares < 0.95) + 1,
    )


def by_search(s, m, n, noise):
    beta, unit = min(m, n) / max(m, n), noise * max(m, n) ** 0.5
    ascending = s[::-1]
    cuts = unit * np.array([1 + beta**0.5, rm.optimal_threshold(beta)])
    above = len(s) - np.searchsorted(ascending, cuts, side="right")
    total = np.cumsum(s * s)
    return [*above, int(np.argmax(total >= 0.95 * total[-1])) + 1]


RIGHT = [
    (check.spike_errors, spike_errors),
    (check.spike_errors, in_products),
    (check.median_cut, median_cut),
    (check.median_cut, with_the_package),
    (check.three_ranks, three_ranks),
    (check.three_ranks, by_search),
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


def squared_cosines(theta, beta):
    out = rm.rectangular_outlier(theta, beta)
    y, overlap = out.position, out.left * out.right
    return theta**2, theta**2 + y**2 - 2 * theta * y * overlap, theta**2 * (1 - overlap**2)


def errors_of(change):
    """Return right errors, changed, with the position and the overlap at hand."""

    def answer(theta, beta):
        out = rm.rectangular_outlier(theta, beta)
        overlap = float(np.sqrt(out.left * out.right))
        return change(theta, float(out.position), overlap, list(spike_errors(theta, beta)))

    return answer


def left_only(theta, beta):
    out = rm.rectangular_outlier(theta, beta)
    kept = theta**2 + out.position**2 - 2 * theta * out.position * out.left
    return theta**2, kept, theta**2 * (1 - out.left**2)


def rows_over_columns(s, m, n):
    """Take the aspect ratio of a wide matrix, whatever the shape."""
    beta = m / n
    law = rm.MarchenkoPastur(min(beta, 1.0)).quantile(0.5)
    tau = np.sqrt((4 * (beta + 1) + 2 * np.sqrt(beta**2 + 14 * beta + 1)) / 3)
    return tau * np.median(s) / np.sqrt(law)


def columns_over_rows(s, m, n):
    return rows_over_columns(s, n, m)


def square_everywhere(s, m, n):
    return median_cut(s, 50, 50)


def ranks_of(change):
    """Return the ranks for changed arguments."""
    return lambda s, m, n, noise: three_ranks(s, *change(m, n, noise))


def after(change):
    return lambda s, m, n, noise: change(*three_ranks(s, m, n, noise))


def upside_down(s, m, n, noise):
    beta = max(m, n) / min(m, n)
    y = s / (noise * np.sqrt(max(m, n)))
    tau = np.sqrt((4 * (beta + 1) + 2 * np.sqrt(beta**2 + 14 * beta + 1)) / 3)
    last = three_ranks(s, m, n, noise)[2]
    return np.sum(y > 1 + np.sqrt(beta)), np.sum(y > tau), last


def share_of_sum(s, m, n, noise):
    edge, cut, _ = three_ranks(s, m, n, noise)
    return edge, cut, np.sum(np.cumsum(s) / np.sum(s) < 0.95) + 1


def squared_edge(s: Any, m: int, n: int, noise: float) -> Any:
    beta = min(m, n) / max(m, n)
    _, above, needed = three_ranks(s, m, n, noise)
    return np.sum(s / (noise * max(m, n) ** 0.5) > (1 + beta**0.5) ** 2), above, needed


WRONG: list[tuple[Exercise, Callable[..., Any], str]] = [
    (check.spike_errors, squared_cosines, "are squared cosines"),
    (
        check.spike_errors,
        errors_of(lambda t, y, c, e: (e[0], e[1], t**2 * (1 - c))),
        "not squared",
    ),
    (
        check.spike_errors,
        errors_of(lambda t, y, c, e: (e[0], e[1], t**2 * (1 - c**4))),
        "fourth power",
    ),
    (check.spike_errors, left_only, "Only the left"),
    (check.spike_errors, errors_of(lambda t, y, c, e: (e[0], (y - t) ** 2, e[2])), "length only"),
    (
        check.spike_errors,
        errors_of(lambda t, y, c, e: (e[0], t**2 + y**2 - t * y * c, e[2])),
        "factor of two",
    ),
    (
        check.spike_errors,
        errors_of(lambda t, y, c, e: (e[0], e[1], 2 * t**2 * (1 - c))),
        "strength itself",
    ),
    (check.spike_errors, errors_of(lambda t, y, c, e: (e[0], e[1], t * c)), "number that replaces"),
    (check.spike_errors, errors_of(lambda t, y, c, e: list(np.sqrt(e))), "roots"),
    (check.spike_errors, lambda theta, beta: spike_errors(theta, beta)[1], "3 values"),
    (
        check.median_cut,
        lambda s, m, n: (
            median_cut(s, m, n) / np.sqrt(rm.MarchenkoPastur(min(m, n) / max(m, n)).quantile(0.5))
        ),
        "root is needed",
    ),
    (
        check.median_cut,
        lambda s, m, n: rm.optimal_threshold(min(m, n) / max(m, n)) * np.median(s),
        "not the noise",
    ),
    (
        check.median_cut,
        lambda s, m, n: (
            median_cut(s, m, n)
            / rm.optimal_threshold(min(m, n) / max(m, n))
            * (1 + np.sqrt(min(m, n) / max(m, n)))
        ),
        "edge of the noise",
    ),
    (check.median_cut, square_everywhere, "constant of square matrices"),
    (
        check.median_cut,
        lambda s, m, n: (
            median_cut(s, m, n) / rm.optimal_threshold(min(m, n) / max(m, n)) * (4 / 3**0.5)
        ),
        "threshold is that of square",
    ),
    (
        check.median_cut,
        lambda s, m, n: median_cut(s, m, n) * s.mean() / np.median(s),
        "mean of the singular values",
    ),
    (
        check.median_cut,
        lambda s, m, n: median_cut(s, m, n) * np.sort(s)[len(s) // 2] / np.median(s),
        "middle two",
    ),
    (check.median_cut, lambda s, m, n: median_cut(s, m, n) * max(m, n) ** 0.5, "left over. It"),
    (
        check.median_cut,
        lambda s, m, n: median_cut(s, m, n) / max(m, n) ** 0.5,
        "in the denominator",
    ),
    (
        check.median_cut,
        lambda s, m, n: median_cut(s, m, n) * (min(m, n) / max(m, n)) ** 0.5,
        "smaller dimension",
    ),
    (check.three_ranks, ranks_of(lambda m, n, noise: (m, n, 1.0)), "without the noise"),
    (check.three_ranks, ranks_of(lambda m, n, noise: (m, n, noise**2)), "standard deviation"),
    (
        check.three_ranks,
        ranks_of(lambda m, n, noise: (m, n, noise * (min(m, n) / max(m, n)) ** 0.5)),
        "The smaller dimension",
    ),
    (
        check.three_ranks,
        ranks_of(lambda m, n, noise: (m, n, noise / max(m, n) ** 0.5)),
        "without the root",
    ),
    (check.three_ranks, upside_down, "upside down"),
    (check.three_ranks, squared_edge, "squared singular values"),
    (check.three_ranks, after(lambda a, b, c: (b, a, c)), "wrong order"),
    (check.three_ranks, share_of_sum, "of their squares"),
    (check.three_ranks, after(lambda a, b, c: (a, b, c - 1)), "one too small"),
    (check.three_ranks, after(lambda a, b, c: (a, b, c + 1)), "one too large"),
    (check.three_ranks, after(lambda a, b, c: (a, b)), "values"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    result = exercise(answer)
    assert not result
    assert words in result.message


@pytest.mark.parametrize("answer", [rows_over_columns, columns_over_rows])
def test_an_aspect_ratio_for_one_orientation_fails(answer: Callable[..., Any]) -> None:
    """Oracle: right for wide, or for tall matrices only; the message names the ratio."""
    result = check.median_cut(answer)
    assert not result
    assert "aspect ratio" in result.message
