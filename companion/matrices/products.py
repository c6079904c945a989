"""Matrix products: what they compute, and what they cost in arithmetic and in memory traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from scipy import sparse

from companion._validation import FloatArray, float_array, float_dtype, integer, real

#: Where the brackets stand in a chain of factors 0, 1, 2 … For example, ``((0, 1), 2)`` multiplies
#: the first two factors first.
Order: TypeAlias = "int | tuple[Order, Order]"


def naive_product(a: ArrayLike, b: ArrayLike) -> FloatArray:
    r"""Multiply two matrices with three loops: the definition, and slow.

    Implements :eq:`eq-product`, :math:`c_{ij} = \sum_s a_{is} b_{sj}`.

    Parameters
    ----------
    a : array_like, shape (m, k)
    b : array_like, shape (k, n)

    Returns
    -------
    ndarray, shape (m, n)
        float32 if both factors are.

    Raises
    ------
    ValueError
        If a factor is no matrix, or the rows of `b` are not as many as the columns of `a`.

    Examples
    --------
    >>> naive_product([[1, 2], [3, 4]], [[0, 1], [1, 0]])
    array([[2., 1.],
           [4., 3.]])
    """
    a = float_array("a", a, ndim=2)
    b = float_array("b", b, shape=(a.shape[1], None))
    c = np.zeros((a.shape[0], b.shape[1]), dtype=np.result_type(a, b))
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            for s in range(a.shape[1]):
                c[i, j] += a[i, s] * b[s, j]
    return c


@dataclass(frozen=True)
class Cost:
    """What a computation costs: arithmetic, and traffic between memory and processor.

    Costs of steps that follow one another add up: ``first + second``.

    Attributes
    ----------
    flops : int
        Additions and multiplications of floating-point numbers.
    bytes : int
        Bytes moved if each operand is read once and each result written once. That is the
        least possible when nothing is in the processor's cache at the start.

    Raises
    ------
    ValueError
        If a count is negative.
    TypeError
        If a count is no integer.

    Examples
    --------
    >>> Cost(flops=200, bytes=80) + Cost(flops=40, bytes=40)
    Cost(flops=240, bytes=120)
    """

    flops: int
    bytes: int

    def __post_init__(self) -> None:
        """Refuse what cannot be a count."""
        integer("flops", self.flops, minimum=0)
        integer("bytes", self.bytes, minimum=0)

    @property
    def intensity(self) -> float:
        """Arithmetic intensity in FLOP for each byte moved.

        Implements :eq:`eq-intensity`. Not a number if nothing is moved.
        """
        return self.flops / self.bytes if self.bytes else float("nan")

    def __add__(self, other: Cost) -> Cost:
        """Return the cost of doing one and then the other."""
        if not isinstance(other, Cost):
            return NotImplemented
        return Cost(self.flops + other.flops, self.bytes + other.bytes)


def product_cost(m: int, k: int, n: int, *, dtype: DTypeLike = np.float64) -> Cost:
    r"""Return the cost of a product of shapes (m, k) and (k, n).

    Implements :eq:`eq-product-cost`: :math:`2mkn` FLOP, and three matrices moved once
    (Golub & Van Loan, *Matrix Computations*, 2013, section 1.1).

    Parameters
    ----------
    m, k, n : int
        Sizes, 0 allowed.
    dtype : float64 or float32
        Type of the entries.

    Returns
    -------
    Cost

    Raises
    ------
    ValueError
        If a size is negative.
    TypeError
        If a size is no integer, or the type not one of the two.

    Examples
    --------
    >>> product_cost(100, 100, 100)
    Cost(flops=2000000, bytes=240000)
    """
    m, k, n = _sizes(m, k, n)
    width = float_dtype("dtype", dtype).itemsize
    return Cost(2 * m * k * n, width * (m * k + k * n + m * n))


def sparse_product_cost(m: int, k: int, n: int, *, nnz: int, dtype: DTypeLike = np.float64) -> Cost:
    r"""Return the cost of a product of a CSR matrix (m, k) and a dense matrix (k, n).

    Implements :eq:`eq-sparse-cost`: two FLOP for each stored entry and column; each stored
    entry is moved with its column index, and each row with its pointer.

    Parameters
    ----------
    m, k, n : int
        Sizes, 0 allowed.
    nnz : int
        Number of stored entries, at most :math:`mk`.
    dtype : float64 or float32
        Type of the entries. Indices take the 4 bytes that SciPy gives them, or 8 where
        4 cannot count so far.

    Returns
    -------
    Cost

    Raises
    ------
    ValueError
        If a size is negative, or `nnz` more than the matrix has entries.
    TypeError
        If a size is no integer, or the type not one of the two.

    Examples
    --------
    >>> sparse_product_cost(100, 100, 1, nnz=500)
    Cost(flops=1000, bytes=8004)
    """
    m, k, n = _sizes(m, k, n)
    nnz = integer("nnz", nnz, minimum=0)
    if nnz > m * k:
        raise ValueError(f"nnz must be at most m * k = {m * k}, got {nnz}")
    width = float_dtype("dtype", dtype).itemsize
    index = _index_bytes(nnz, k)
    return Cost(2 * nnz * n, nnz * (width + index) + (m + 1) * index + width * (k * n + m * n))


def attainable(intensity: ArrayLike, *, peak: float, bandwidth: float) -> FloatArray:
    r"""Return the most FLOP/s that a machine can give a computation: the roofline.

    Implements :eq:`eq-roofline` (Williams, Waterman & Patterson, Communications of the ACM 2009).

    Parameters
    ----------
    intensity : array_like
        FLOP for each byte moved, not negative.
    peak : float
        FLOP/s of the machine when the data are at hand.
    bandwidth : float
        Bytes that it moves in a second.

    Returns
    -------
    ndarray, shape of `intensity`

    Raises
    ------
    ValueError
        If an intensity is negative or not finite, or `peak` or `bandwidth` not positive.
    TypeError
        If something is no real number.

    Examples
    --------
    >>> attainable([0.25, 4.0], peak=50e9, bandwidth=20e9) / 1e9
    array([ 5., 50.])
    """
    values = float_array("intensity", intensity, finite=True)
    if (values < 0).any():
        raise ValueError(f"intensity must not be negative, got {values.min():g}")
    peak, bandwidth = _speed("peak", peak), _speed("bandwidth", bandwidth)
    return np.asarray(np.minimum(peak, bandwidth * values))


def predicted_seconds(cost: Cost, *, peak: float, bandwidth: float) -> float:
    r"""Return the least time for a computation, if arithmetic and traffic overlap fully.

    Implements :eq:`eq-roofline-time`.

    Parameters
    ----------
    cost : Cost
    peak : float
        FLOP/s of the machine when the data are at hand.
    bandwidth : float
        Bytes that it moves in a second.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ValueError
        If `peak` or `bandwidth` is not positive.
    TypeError
        If `cost` is no :class:`Cost`.

    Examples
    --------
    >>> predicted_seconds(product_cost(1000, 1000, 1000), peak=50e9, bandwidth=20e9)
    0.04
    """
    if not isinstance(cost, Cost):
        raise TypeError(f"cost must be a Cost, got {cost!r}")
    return max(cost.flops / _speed("peak", peak), cost.bytes / _speed("bandwidth", bandwidth))


def crossover_density(
    m: int,
    k: int,
    n: int,
    *,
    peak: float,
    bandwidth: float,
    sparse_peak: float | None = None,
    dtype: DTypeLike = np.float64,
) -> float:
    r"""Return the density below which the model says that CSR is faster than dense storage.

    Implements :eq:`eq-crossover`: the share of stored entries at which
    :func:`predicted_seconds` of the sparse and of the dense product are equal.

    Parameters
    ----------
    m, k, n : int
        Shapes (m, k) of the matrix in question and (k, n) of the dense one, at least 1.
    peak : float
        FLOP/s of a dense product.
    bandwidth : float
        Bytes moved in a second, in either product.
    sparse_peak : float, optional
        FLOP/s of a sparse product; by default arithmetic on sparse entries is free, and
        memory traffic alone decides.
    dtype : float64 or float32
        Type of the entries.

    Returns
    -------
    float in [0, 1]
        1 if the sparse product is faster at every density, 0 if at none.

    Raises
    ------
    ValueError
        If a size is below 1, or a speed not positive.
    TypeError
        If an argument has the wrong type.

    Examples
    --------
    >>> crossover_density(1000, 1000, 1, peak=50e9, bandwidth=20e9)
    0.666
    """
    m, k, n = integer("m", m), integer("k", k), integer("n", n)
    dense = product_cost(m, k, n, dtype=dtype)
    time = predicted_seconds(dense, peak=peak, bandwidth=bandwidth)
    width, index = float_dtype("dtype", dtype).itemsize, _index_bytes(m * k, k)
    fixed = (m + 1) * index + width * (k * n + m * n)
    by_traffic = (bandwidth * time - fixed) / (m * k * (width + index))
    by_arithmetic = np.inf
    if sparse_peak is not None:
        by_arithmetic = _speed("sparse_peak", sparse_peak) * time / dense.flops
    return float(np.clip(min(by_traffic, by_arithmetic), 0.0, 1.0))


def chain_flops(dimensions: Sequence[int], order: Order) -> int:
    """Return the FLOPs of a chain of products, multiplied in a given order.

    Parameters
    ----------
    dimensions : sequence of int, length chain + 1
        Factor `i` has shape ``(dimensions[i], dimensions[i + 1])``.
    order : int or nested pairs of int
        The factors 0, 1, 2 … from left to right, with a pair for each product:
        ``((0, 1), 2)`` or ``(0, (1, 2))``.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there is no factor, a size is below 1, or `order` is not made of pairs that hold
        each factor once, from left to right.
    TypeError
        If a size is no integer.

    Examples
    --------
    >>> chain_flops([100, 100, 100, 1], ((0, 1), 2))
    2020000
    >>> chain_flops([100, 100, 100, 1], (0, (1, 2)))
    40000
    """
    sizes = _dimensions(dimensions)

    def walk(part: Order, first: int) -> tuple[int, int]:
        """Return the FLOPs of a part that begins with factor `first`, and its last factor + 1."""
        if not isinstance(part, tuple):
            if part != first:
                raise ValueError(f"order must hold the factors from left to right, got {order!r}")
            return 0, first + 1
        if len(part) != 2:
            raise ValueError(f"order must be made of pairs, got {order!r}")
        left, middle = walk(part[0], first)
        right, last = walk(part[1], middle)
        if last >= len(sizes):
            raise ValueError(f"order must hold {len(sizes) - 1} factors, got {order!r}")
        return left + right + 2 * sizes[first] * sizes[middle] * sizes[last], last

    total, end = walk(order, 0)
    if end != len(sizes) - 1:
        raise ValueError(f"order must hold {len(sizes) - 1} factors, got {order!r}")
    return total


def best_order(dimensions: Sequence[int]) -> Order:
    r"""Return the order of a chain of products that takes the fewest FLOPs.

    Implements :eq:`eq-chain`, filling a table from short parts of the chain to long ones
    (Cormen, Leiserson, Rivest & Stein, *Introduction to Algorithms*, on matrix-chain
    multiplication).

    Parameters
    ----------
    dimensions : sequence of int, length chain + 1
        Factor `i` has shape ``(dimensions[i], dimensions[i + 1])``.

    Returns
    -------
    int or nested pairs of int
        As :func:`chain_flops` takes it. Of orders that cost the same, the one whose
        first part is the shortest.

    Raises
    ------
    ValueError
        If there is no factor, or a size is below 1.
    TypeError
        If a size is no integer.

    Examples
    --------
    >>> best_order([100, 100, 100, 1])
    (0, (1, 2))
    """
    d = _dimensions(dimensions)
    best: dict[tuple[int, int], tuple[int, Order]] = {}
    factors = len(d) - 1
    for i in range(factors):
        best[i, i + 1] = 0, i
    for length in range(2, factors + 1):
        for i in range(factors - length + 1):
            j = i + length
            totals = []
            for s in range(i + 1, j):
                last = 2 * d[i] * d[s] * d[j]
                totals.append((best[i, s][0] + best[s, j][0] + last, s))
            flops, cut = min(totals)
            best[i, j] = flops, (best[i, cut][1], best[cut, j][1])
    return best[0, factors][1]


def _dimensions(dimensions: Sequence[int]) -> list[int]:
    sizes = [integer(f"dimensions[{i}]", size) for i, size in enumerate(dimensions)]
    if len(sizes) < 2:
        raise ValueError(f"dimensions must hold at least two sizes, got {len(sizes)}")
    return sizes


def _sizes(m: int, k: int, n: int) -> tuple[int, int, int]:
    return integer("m", m, minimum=0), integer("k", k, minimum=0), integer("n", n, minimum=0)


def _speed(name: str, value: float) -> float:
    return real(name, value, minimum=0.0, open_minimum=True)


def _index_bytes(nnz: int, columns: int) -> int:
    """Return the size of an index in a CSR matrix, by SciPy's own rule."""
    return int(np.dtype(sparse.get_index_dtype(maxval=max(nnz, columns))).itemsize)
