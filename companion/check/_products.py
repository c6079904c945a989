"""The exercises of the lesson *Matrices as data and as machines*."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from companion._validation import FloatArray, IntArray
from companion.check._engine import Exercise, Mistake, distinct_sizes
from companion.matrices.products import product_cost


def _widths_case(rng: np.random.Generator) -> Mapping[str, Any]:
    batch, *widths = distinct_sizes(rng, int(rng.integers(4, 7)), low=2, high=40)
    return {"widths": widths, "batch": batch}


def _flops_by_layer(widths: Sequence[int], batch: int) -> int:
    return sum(product_cost(batch, n, m).flops for n, m in itertools.pairwise(widths))


def _pairs(widths: Sequence[int]) -> int:
    return sum(n * m for n, m in itertools.pairwise(widths))


mlp_flops = Exercise(
    name="mlp_flops",
    oracle=_flops_by_layer,
    sample=_widths_case,
    edge_cases=[{"widths": [7, 3], "batch": 1}, {"widths": [64, 32, 10], "batch": 256}],
    mistakes=[
        Mistake(
            "It counts multiplications only. Each comes with an addition.",
            variant=lambda widths, batch: batch * _pairs(widths),
        ),
        Mistake(
            "This is the cost of one sample. The batch has more of them.",
            variant=lambda widths, batch: 2 * _pairs(widths),
        ),
        Mistake(
            "This is the number of weights. Each of them meets every sample of the batch.",
            variant=lambda widths, batch: _pairs(widths),
        ),
        Mistake(
            "All widths are multiplied together. Each layer is a product of its own, "
            "and their costs add up.",
            variant=lambda widths, batch: 2 * batch * math.prod(widths),
        ),
        Mistake(
            "The last layer is missing.",
            variant=lambda widths, batch: 2 * batch * _pairs(widths[:-1]),
        ),
        Mistake(
            "The first layer is missing.",
            variant=lambda widths, batch: 2 * batch * _pairs(widths[1:]),
        ),
        Mistake(
            "The shifts are counted as well. Count the products alone.",
            variant=lambda widths, batch: batch * (2 * _pairs(widths) + sum(widths[1:])),
        ),
        Mistake(
            "The first addition of each sum is left out. The lesson counts from zero: "
            "as many additions as multiplications.",
            variant=lambda widths, batch: batch * (2 * _pairs(widths) - sum(widths[1:])),
        ),
        Mistake(
            "It sums the widths. A layer costs the product of the widths on its two sides.",
            variant=lambda widths, batch: 2 * batch * sum(widths),
        ),
        Mistake(
            "It squares each width. A layer joins two neighbouring widths.",
            variant=lambda widths, batch: 2 * batch * sum(n * n for n in widths),
        ),
        Mistake(
            "Every layer is given the width of the input. "
            "The second layer sees the output of the first.",
            variant=lambda widths, batch: 2 * batch * widths[0] * sum(widths[1:]),
        ),
    ],
    success="Two FLOP for each sample and weight.",
)


def _csr_case(rng: np.random.Generator) -> Mapping[str, Any]:
    m, n = distinct_sizes(rng, 2, low=4, high=9)
    dense = rng.normal(size=(m, n)) * (rng.random((m, n)) < 0.5)
    # A row without entries, never the last: that one is an edge case.
    dense[rng.integers(m - 1)] = 0.0
    dense[-1, rng.integers(n)] = 1.5
    return _csr_arguments(dense, rng.normal(size=n))


def _csr_arguments(dense: FloatArray, x: FloatArray) -> Mapping[str, Any]:
    a = sparse.csr_array(dense)
    return {"data": a.data, "indices": a.indices, "indptr": a.indptr, "x": x}


def _csr_by_scipy(
    data: FloatArray, indices: IntArray, indptr: IntArray, x: FloatArray
) -> FloatArray:
    a = sparse.csr_array((data, indices, indptr), shape=(len(indptr) - 1, len(x)))
    return np.asarray(a @ x)


def _rows(indptr: IntArray) -> list[slice]:
    return [slice(start, end) for start, end in itertools.pairwise(indptr)]


def _csr_transposed(
    data: FloatArray, indices: IntArray, indptr: IntArray, x: FloatArray
) -> FloatArray:
    """Return what a learner gets who adds to ``y[indices]`` and reads ``x`` by row."""
    y = np.zeros(max(len(x), len(indptr) - 1))
    for i, row in enumerate(_rows(indptr)):
        y[indices[row]] += data[row] * x[min(i, len(x) - 1)]
    return y[: len(indptr) - 1]


csr_matvec = Exercise(
    name="csr_matvec",
    oracle=_csr_by_scipy,
    sample=_csr_case,
    edge_cases=[
        _csr_arguments(np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]]), np.array([1.0, 2.0, 3.0])),
        _csr_arguments(np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 5.0]]), np.array([1.0, 2.0])),
    ],
    mistakes=[
        Mistake(
            "The numbers of x are taken in order from the first. "
            "Each stored number belongs to the column that indices names.",
            variant=lambda data, indices, indptr, x: np.array(
                [data[row] @ x[: row.stop - row.start] for row in _rows(indptr)]
            ),
        ),
        Mistake(
            "The stored numbers of each row are summed; x does not enter.",
            variant=lambda data, indices, indptr, x: np.array(
                [data[row].sum() for row in _rows(indptr)]
            ),
        ),
        Mistake(
            "The chosen numbers of x are summed; the stored numbers do not enter.",
            variant=lambda data, indices, indptr, x: np.array(
                [x[indices[row]].sum() for row in _rows(indptr)]
            ),
        ),
        Mistake(
            "A row without stored numbers must give 0; reduceat takes the next number instead.",
            variant=lambda data, indices, indptr, x: np.add.reduceat(
                data * x[indices], indptr[:-1]
            ),
        ),
        Mistake(
            "The last stored number of each row is left out. "
            "indptr[i + 1] is where the next row begins, and a slice ends before its end.",
            variant=lambda data, indices, indptr, x: np.array(
                [
                    data[row.start : max(row.stop - 1, row.start)]
                    @ x[indices[row.start : max(row.stop - 1, row.start)]]
                    for row in _rows(indptr)
                ]
            ),
        ),
        Mistake(
            "Each product replaces the one before it. The products of a row add up.",
            variant=lambda data, indices, indptr, x: np.array(
                [
                    data[row.stop - 1] * x[indices[row.stop - 1]] if row.stop > row.start else 0.0
                    for row in _rows(indptr)
                ]
            ),
        ),
        Mistake(
            "There is one row too few: indptr has one number more than the matrix has rows.",
            variant=lambda data, indices, indptr, x: _csr_by_scipy(data, indices, indptr, x)[:-1],
        ),
        Mistake(
            "The stored numbers are spread over the result by their column. "
            "A column says which number of x to read; the row says where to add.",
            variant=_csr_transposed,
        ),
    ],
    success="It touches the stored numbers only, and an empty row gives 0.",
)


def _batch_case(rng: np.random.Generator) -> Mapping[str, Any]:
    m, n = distinct_sizes(rng, 2, low=16, high=400)
    itemsize = int(rng.choice([4, 8]))
    limit = 2 * m * n / (itemsize * (m + n))
    return {"m": m, "n": n, "itemsize": itemsize, "ridge": float(rng.uniform(0.05, 0.85) * limit)}


def _batch_by_search(m: int, n: int, itemsize: int, ridge: float) -> int:
    dtype = np.dtype(f"f{itemsize}")
    # An endless batch would have this intensity; no batch reaches it.
    if ridge >= 2 * m * n / (itemsize * (m + n)):
        return 0
    return next(
        batch
        for batch in itertools.count(1)
        if product_cost(batch, n, m, dtype=dtype).intensity >= ridge
    )


def _batch_if(
    m: int,
    n: int,
    itemsize: int,
    ridge: float,
    *,
    flops: int = 2,
    inputs: int = 1,
    outputs: int = 1,
) -> float:
    """Return the batch, not rounded, at which the intensity is the ridge's, some traffic left out.

    Negative where no batch reaches it.
    """
    return (
        ridge * itemsize * m * n / (flops * m * n - ridge * itemsize * (inputs * n + outputs * m))
    )


def _rounded_up(batch: float) -> int:
    return math.ceil(batch) if batch > 0 else 0


arithmetic_bound_batch = Exercise(
    name="arithmetic_bound_batch",
    oracle=_batch_by_search,
    sample=_batch_case,
    edge_cases=[
        {"m": 100, "n": 200, "itemsize": 8, "ridge": 0.01},
        {"m": 30, "n": 60, "itemsize": 8, "ridge": 6.0},
    ],
    mistakes=[
        Mistake(
            "A layer so small that no batch is enough should give 0.",
            variant=lambda m, n, itemsize, ridge: math.ceil(_batch_if(m, n, itemsize, ridge)),
        ),
        Mistake(
            "Only the weights are counted as traffic. The batch itself is read, "
            "and its result is written.",
            variant=lambda m, n, itemsize, ridge: math.ceil(ridge * itemsize / 2),
        ),
        Mistake(
            "The result is missing from the traffic: it has to be written.",
            variant=lambda m, n, itemsize, ridge: _rounded_up(
                _batch_if(m, n, itemsize, ridge, outputs=0)
            ),
        ),
        Mistake(
            "The input is missing from the traffic: the batch has to be read.",
            variant=lambda m, n, itemsize, ridge: _rounded_up(
                _batch_if(m, n, itemsize, ridge, inputs=0)
            ),
        ),
        Mistake(
            "It counts multiplications only. Each comes with an addition.",
            variant=lambda m, n, itemsize, ridge: _rounded_up(
                _batch_if(m, n, itemsize, ridge, flops=1)
            ),
        ),
        Mistake(
            "It counts numbers moved, not bytes. Each number has itemsize bytes.",
            variant=lambda m, n, itemsize, ridge: _rounded_up(_batch_if(m, n, 1, ridge)),
        ),
        Mistake(
            "It is one too small: at that batch the intensity is still below the ridge.",
            variant=lambda m, n, itemsize, ridge: max(
                _batch_by_search(m, n, itemsize, ridge) - 1, 0
            ),
        ),
        Mistake(
            "A batch is a whole number of samples. Take the smallest one that is enough.",
            variant=lambda m, n, itemsize, ridge: max(_batch_if(m, n, itemsize, ridge), 0.0),
        ),
        Mistake(
            "It is one too large: the batch before it is enough.",
            variant=lambda m, n, itemsize, ridge: (
                found + 1 if (found := _batch_by_search(m, n, itemsize, ridge)) else 0
            ),
        ),
    ],
    success="From this batch on, the layer is bound by arithmetic.",
)
