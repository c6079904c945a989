"""The checks of the lesson on products: right answers pass, typical wrong ones do not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from companion import check
from companion.check import Exercise
from tests.check.oracles import reseeded


def mlp_flops(widths, batch):
    return 2 * batch * sum(n * m for n, m in itertools.pairwise(widths))


def csr_matvec(data, indices, indptr, x):
    y = np.zeros(len(indptr) - 1)
    for i in range(len(y)):
        row = slice(indptr[i], indptr[i + 1])
        y[i] = data[row] @ x[indices[row]]
    return y


def arithmetic_bound_batch(m, n, itemsize, ridge):
    room = 2 * m * n - ridge * itemsize * (m + n)
    return math.ceil(ridge * itemsize * m * n / room) if room > 0 else 0


def flops_counted_by_pytorch(widths, batch):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    layers = [torch.nn.Linear(n, m) for n, m in itertools.pairwise(widths)]
    with FlopCounterMode(display=False) as counter:
        torch.nn.Sequential(*layers)(torch.zeros(batch, widths[0]))
    return counter.get_total_flops()


def csr_by_entry(data, indices, indptr, x):
    y = np.zeros(len(indptr) - 1)
    np.add.at(y, np.repeat(np.arange(len(y)), np.diff(indptr)), data * x[indices])
    return y


def csr_by_counting(data, indices, indptr, x):
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    return np.bincount(rows, weights=data * x[indices], minlength=len(indptr) - 1)


def csr_by_running_sum(data, indices, indptr, x):
    total = np.concatenate([[0.0], np.cumsum(data * x[indices])])
    return total[indptr[1:]] - total[indptr[:-1]]


def csr_made_dense(data, indices, indptr, x):
    return sparse.csr_array((data, indices, indptr), shape=(len(indptr) - 1, len(x))).toarray() @ x


def batch_by_doubling(m, n, itemsize, ridge):
    """Look for a batch that is enough, then halve the interval."""

    def enough(batch):
        return 2 * batch * m * n >= ridge * itemsize * (batch * n + m * n + batch * m)

    high = 1
    while not enough(high):
        high *= 2
        if high > 2**40:
            return 0
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


RIGHT = [
    (check.mlp_flops, mlp_flops),
    (check.mlp_flops, flops_counted_by_pytorch),
    (check.csr_matvec, csr_matvec),
    (check.csr_matvec, csr_by_entry),
    (check.csr_matvec, csr_by_counting),
    (check.csr_matvec, csr_by_running_sum),
    (check.csr_matvec, csr_made_dense),
    (check.arithmetic_bound_batch, arithmetic_bound_batch),
    (check.arithmetic_bound_batch, batch_by_doubling),
]


@pytest.mark.parametrize(("exercise", "solution"), RIGHT)
def test_right_answers_pass(exercise: Exercise, solution: Callable[..., Any]) -> None:
    """Oracle: answers written out by hand, by more than one way."""
    assert exercise(solution), exercise(solution).message


@pytest.mark.parametrize(("exercise", "solution"), RIGHT)
@pytest.mark.parametrize("seed", [1, 2])
def test_right_answers_pass_in_other_cases(
    exercise: Exercise, solution: Callable[..., Any], seed: int
) -> None:
    """Oracle: the same answers, on cases drawn from other seeds."""
    result = reseeded(exercise, seed)(solution)
    assert result, result.message


def _csr_loop(change):
    """Return csr_matvec with the number that each row gets changed."""

    def wrong(data, indices, indptr, x):
        y = np.zeros(len(indptr) - 1)
        for i in range(len(y)):
            y[i] = change(data, indices, slice(indptr[i], indptr[i + 1]), x)
        return y

    return wrong


def _overwriting(data, indices, indptr, x):
    y = np.zeros(len(indptr) - 1)
    for i in range(len(y)):
        for p in range(indptr[i], indptr[i + 1]):
            y[i] = data[p] * x[indices[p]]
    return y


WRONG = [
    (check.mlp_flops, lambda w, b: b * sum(n * m for n, m in itertools.pairwise(w)), "addition"),
    (check.mlp_flops, lambda w, b: mlp_flops(w, 1), "one sample"),
    (check.mlp_flops, lambda w, b: mlp_flops(w, 1) // 2, "number of weights"),
    (check.mlp_flops, lambda w, b: 2 * b * math.prod(w), "multiplied together"),
    (check.mlp_flops, lambda w, b: mlp_flops(w[:-1], b), "last layer"),
    (check.mlp_flops, lambda w, b: mlp_flops(w[1:], b), "first layer"),
    (check.mlp_flops, lambda w, b: mlp_flops(w, b) + b * sum(w[1:]), "shifts"),
    (check.mlp_flops, lambda w, b: mlp_flops(w, b) - b * sum(w[1:]), "first addition"),
    (check.mlp_flops, lambda w, b: 2 * b * sum(w), "sums the widths"),
    (check.mlp_flops, lambda w, b: 2 * b * sum(n**2 for n in w), "squares"),
    (check.mlp_flops, lambda w, b: 2 * b * w[0] * sum(w[1:]), "output of the first"),
    (check.csr_matvec, _csr_loop(lambda d, i, r, x: d[r] @ x[: r.stop - r.start]), "in order"),
    (check.csr_matvec, _csr_loop(lambda d, i, r, x: d[r].sum()), "x does not enter"),
    (check.csr_matvec, _csr_loop(lambda d, i, r, x: x[i[r]].sum()), "stored numbers do not"),
    (
        check.csr_matvec,
        lambda d, i, p, x: np.add.reduceat(d * x[i], p[:-1]),
        "without stored numbers",
    ),
    (
        check.csr_matvec,
        _csr_loop(lambda d, i, r, x: sum(d[q] * x[i[q]] for q in range(r.start, r.stop - 1))),
        "left out",
    ),
    (check.csr_matvec, _overwriting, "add up"),
    (check.csr_matvec, lambda d, i, p, x: csr_matvec(d, i, p[:-1], x), "one row too few"),
    (check.csr_matvec, lambda d, i, p, x: -csr_matvec(d, i, p, x), "wrong sign"),
    (
        check.arithmetic_bound_batch,
        lambda m, n, w, r: math.ceil(r * w * m * n / (2 * m * n - r * w * (m + n))),
        "should give 0",
    ),
    (check.arithmetic_bound_batch, lambda m, n, w, r: math.ceil(r * w / 2), "Only the weights"),
    (
        check.arithmetic_bound_batch,
        lambda m, n, w, r: max(0, math.ceil(r * w * m * n / (2 * m * n - r * w * n))),
        "has to be written",
    ),
    (
        check.arithmetic_bound_batch,
        lambda m, n, w, r: max(0, math.ceil(r * w * m * n / (2 * m * n - r * w * m))),
        "has to be read",
    ),
    (
        check.arithmetic_bound_batch,
        lambda m, n, w, r: arithmetic_bound_batch(m, n, w, 2 * r),
        "addition",
    ),
    (
        check.arithmetic_bound_batch,
        lambda m, n, w, r: arithmetic_bound_batch(m, n, 1, r),
        "not bytes",
    ),
    (
        check.arithmetic_bound_batch,
        lambda m, n, w, r: max(0, arithmetic_bound_batch(m, n, w, r) - 1),
        "one too small",
    ),
    (
        check.arithmetic_bound_batch,
        lambda m, n, w, r: max(0.0, r * w * m * n / (2 * m * n - r * w * (m + n))),
        "whole number",
    ),
    (
        check.arithmetic_bound_batch,
        lambda m, n, w, r: found + 1 if (found := arithmetic_bound_batch(m, n, w, r)) else 0,
        "one too large",
    ),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    result = exercise(answer)
    assert not result
    assert words in result.message


def test_spreading_by_column_is_named() -> None:
    """Oracle: the product with the transpose, cut or padded to the number of rows."""

    def wrong(data, indices, indptr, x):
        y = np.zeros(max(len(x), len(indptr) - 1))
        for i in range(len(indptr) - 1):
            for p in range(indptr[i], indptr[i + 1]):
                y[indices[p]] += data[p] * x[min(i, len(x) - 1)]
        return y[: len(indptr) - 1]

    result = check.csr_matvec(wrong)
    assert not result
    assert "by their column" in result.message
