"""Products and their costs against NumPy, SciPy, PyTorch, and counts made another way."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from companion.matrices import (
    Cost,
    Order,
    attainable,
    best_order,
    chain_flops,
    crossover_density,
    naive_product,
    predicted_seconds,
    product_cost,
    sparse_product_cost,
)

sizes = st.integers(0, 6)
positive_sizes = st.integers(1, 40)
speeds = st.floats(1e8, 1e13)


# --- the product ----------------------------------------------------------------------------------


@given(sizes, sizes, sizes, st.integers(0, 2**32 - 1))
def test_product_agrees_with_numpy(m: int, k: int, n: int, seed: int) -> None:
    """Oracle: NumPy, for every shape, empty ones too."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(m, k)), rng.normal(size=(k, n))
    c = naive_product(a, b)
    assert c.shape == (m, n)
    np.testing.assert_allclose(c, a @ b, rtol=1e-13, atol=1e-13)


def test_product_of_two_by_two_matrices_by_hand() -> None:
    """Oracle: the four sums, written out."""
    (a11, a12), (a21, a22) = a = [[1.0, 2.0], [3.0, 4.0]]
    (b11, b12), (b21, b22) = b = [[5.0, -6.0], [7.0, 0.5]]
    expected = [
        [a11 * b11 + a12 * b21, a11 * b12 + a12 * b22],
        [a21 * b11 + a22 * b21, a21 * b12 + a22 * b22],
    ]
    np.testing.assert_array_equal(naive_product(a, b), expected)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (np.float32, np.float32, np.float32),
        (np.float32, np.float64, np.float64),
        (np.int64, np.int64, np.float64),
    ],
)
def test_product_keeps_the_type(left: type, right: type, expected: type) -> None:
    """Oracle: the package's rule, float32 stays float32."""
    assert naive_product(np.ones((2, 3), left), np.ones((3, 1), right)).dtype == expected


def test_product_leaves_its_factors_alone() -> None:
    """Oracle: copies made before."""
    a, b = np.arange(6.0).reshape(2, 3), np.arange(3.0).reshape(3, 1)
    before = a.copy(), b.copy()
    naive_product(a, b)
    np.testing.assert_array_equal(a, before[0])
    np.testing.assert_array_equal(b, before[1])


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 3)), r"b must have shape \(3, any\), got \(2, 3\)"),
        (np.ones(3), np.ones((3, 2)), r"a must have 2 axes, got shape \(3,\)"),
        (np.ones((2, 3)), np.ones(3), r"b must have shape \(3, any\), got \(3,\)"),
    ],
)
def test_product_refuses_shapes_that_do_not_fit(a: np.ndarray, b: np.ndarray, message: str) -> None:
    """Oracle: the message names argument, expectation and what came."""
    with pytest.raises(ValueError, match=message):
        naive_product(a, b)
    with pytest.raises(TypeError, match="a must hold real numbers"):
        naive_product(np.ones((1, 1)) * 1j, b)


# --- costs ----------------------------------------------------------------------------------------


@given(sizes, sizes, sizes)
def test_flops_are_those_of_the_three_loops(m: int, k: int, n: int) -> None:
    """Oracle: one multiplication and one addition counted each time round."""
    counted = sum(2 for _ in itertools.product(range(m), range(n), range(k)))
    assert product_cost(m, k, n).flops == counted


@given(positive_sizes, positive_sizes, positive_sizes)
def test_flops_are_pytorchs(m: int, k: int, n: int) -> None:
    """Oracle: PyTorch's own counter."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        torch.ones(m, k) @ torch.ones(k, n)
    assert product_cost(m, k, n).flops == counter.get_total_flops()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(m=sizes, k=sizes, n=sizes)
def test_bytes_are_those_of_the_three_matrices(dtype: type, m: int, k: int, n: int) -> None:
    """Oracle: what NumPy says the arrays take."""
    a, b = np.ones((m, k), dtype), np.ones((k, n), dtype)
    assert product_cost(m, k, n, dtype=dtype).bytes == a.nbytes + b.nbytes + (a @ b).nbytes


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(m=st.integers(1, 12), k=st.integers(1, 12), n=sizes, seed=st.integers(0, 2**32 - 1))
def test_sparse_cost_is_that_of_scipys_arrays(
    dtype: type, m: int, k: int, n: int, seed: int
) -> None:
    """Oracle: the sizes of SciPy's three arrays, and FLOPs counted entry by entry."""
    rng = np.random.default_rng(seed)
    a = (rng.normal(size=(m, k)) * (rng.random((m, k)) < 0.4)).astype(dtype)
    stored = sparse.csr_array(a)
    b = np.ones((k, n), dtype)
    cost = sparse_product_cost(m, k, n, nnz=stored.nnz, dtype=dtype)
    arrays = (stored.data, stored.indices, stored.indptr, b, stored @ b)
    assert cost.bytes == sum(array.nbytes for array in arrays)
    assert cost.flops == sum(2 * n for _ in stored.data)


def test_indices_grow_when_four_bytes_cannot_count_so_far() -> None:
    """Oracle: the largest number of four bytes with a sign, 2^31 - 1."""
    limit = 2**31 - 1
    for columns, index in ((limit, 4), (limit + 1, 8)):
        assert sparse_product_cost(1, columns, 0, nnz=0).bytes == 2 * index
    narrow = sparse_product_cost(2, limit, 0, nnz=limit)
    wide = sparse_product_cost(2, limit, 0, nnz=limit + 1)
    assert narrow.bytes == 12 * limit + 3 * 4
    assert wide.bytes == 16 * (limit + 1) + 3 * 8


def test_costs_add_up() -> None:
    """Oracle: addition by hand."""
    both = product_cost(2, 3, 4) + Cost(flops=5, bytes=7)
    assert both == Cost(flops=48 + 5, bytes=8 * (6 + 12 + 8) + 7)
    with pytest.raises(TypeError, match="unsupported operand"):
        both + 1  # type: ignore[operator]


@given(positive_sizes)
def test_intensity_of_square_matrices_grows_with_their_size(n: int) -> None:
    """Oracle: the closed form n / 12 for float64, n / 6 for float32."""
    np.testing.assert_allclose(product_cost(n, n, n).intensity, n / 12)
    np.testing.assert_allclose(product_cost(n, n, n, dtype=np.float32).intensity, n / 6)


def test_intensity_of_matrix_times_vector_stays_below_a_quarter() -> None:
    """Oracle: the closed form: two FLOP for each entry of eight bytes, and vectors besides."""
    values = [product_cost(n, n, 1).intensity for n in (1, 10, 100, 10_000)]
    assert values == sorted(values)
    assert values[-1] < 0.25
    np.testing.assert_allclose(values[-1], 0.25, rtol=1e-3)


def test_intensity_of_nothing_is_no_number() -> None:
    """Oracle: zero by zero is undefined, and says so."""
    assert np.isnan(product_cost(0, 0, 0).intensity)


def test_costs_are_exact_beyond_64_bits() -> None:
    """Oracle: Python's whole numbers."""
    assert product_cost(10**8, 10**8, 10**8).flops == 2 * 10**24


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: product_cost(-1, 2, 3), ValueError, "m must be at least 0, got -1"),
        (lambda: product_cost(1, -2, 3), ValueError, "k must be at least 0, got -2"),
        (lambda: product_cost(1, 2, -3), ValueError, "n must be at least 0, got -3"),
        (lambda: product_cost(1.0, 2, 3), TypeError, "m must be an integer"),
        (lambda: product_cost(1, 2, 3, dtype=np.int8), TypeError, "dtype must be float32 or"),
        (lambda: sparse_product_cost(2, 3, 1, nnz=7), ValueError, r"m \* k = 6, got 7"),
        (lambda: sparse_product_cost(2, 3, 1, nnz=-1), ValueError, "nnz must be at least 0"),
        (lambda: sparse_product_cost(2, -3, 1, nnz=0), ValueError, "k must be at least 0"),
        (lambda: sparse_product_cost(2, 3, 1, nnz=0, dtype=int), TypeError, "dtype must be"),
        (lambda: Cost(-1, 2), ValueError, "flops must be at least 0, got -1"),
        (lambda: Cost(1, 2.5), TypeError, "bytes must be an integer, got 2.5"),
    ],
)
def test_costs_refuse_what_is_no_count(call, error: type[Exception], message: str) -> None:
    """Oracle: the message names argument, expectation and what came."""
    with pytest.raises(error, match=message):
        call()


# --- the roofline ---------------------------------------------------------------------------------


def test_roofline_by_hand() -> None:
    """Oracle: 10 GFLOP/s and 4 GB/s meet at 2.5 FLOP a byte."""
    got = attainable([0.0, 0.5, 2.5, 100.0], peak=10.0, bandwidth=4.0)
    np.testing.assert_array_equal(got, [0.0, 2.0, 10.0, 10.0])
    assert attainable(np.float32([1.0]), peak=10.0, bandwidth=4.0).dtype == np.float32
    assert attainable(1.0, peak=10.0, bandwidth=4.0).shape == ()


@given(positive_sizes, positive_sizes, positive_sizes, speeds, speeds)
def test_time_and_speed_are_two_forms_of_one_bound(
    m: int, k: int, n: int, peak: float, bandwidth: float
) -> None:
    """Oracle: time is FLOPs over FLOP/s, and never below either lower bound."""
    cost = product_cost(m, k, n)
    seconds = predicted_seconds(cost, peak=peak, bandwidth=bandwidth)
    speed = attainable(cost.intensity, peak=peak, bandwidth=bandwidth)
    np.testing.assert_allclose(seconds, cost.flops / speed, rtol=1e-12)
    assert seconds >= cost.flops / peak
    assert seconds >= cost.bytes / bandwidth


def test_nothing_takes_no_time_and_a_copy_takes_the_traffic() -> None:
    """Oracle: closed forms."""
    assert predicted_seconds(Cost(0, 0), peak=1.0, bandwidth=1.0) == 0
    assert predicted_seconds(Cost(0, 60), peak=1.0, bandwidth=20.0) == 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: attainable(-1.0, peak=1, bandwidth=1), ValueError, "intensity must not be neg"),
        (lambda: attainable(np.nan, peak=1, bandwidth=1), ValueError, "intensity must be finite"),
        (lambda: attainable(1.0, peak=0, bandwidth=1), ValueError, "peak must lie in"),
        (lambda: attainable(1.0, peak=1, bandwidth=-1), ValueError, "bandwidth must lie in"),
        (lambda: attainable(1.0, peak="1", bandwidth=1), TypeError, "peak must be a real"),
        (
            lambda: predicted_seconds(5, peak=1, bandwidth=1),
            TypeError,
            "cost must be a Cost, got 5",
        ),
        (
            lambda: predicted_seconds(Cost(1, 1), peak=np.inf, bandwidth=1),
            ValueError,
            "peak must lie in",
        ),
        (
            lambda: predicted_seconds(Cost(1, 1), peak=1, bandwidth=0),
            ValueError,
            "bandwidth must lie in",
        ),
    ],
)
def test_roofline_refuses_what_is_no_speed(call, error: type[Exception], message: str) -> None:
    """Oracle: the message names argument, expectation and what came."""
    with pytest.raises(error, match=message):
        call()


# --- sparse against dense -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(
    m=st.integers(10, 10_000),
    k=st.integers(10, 10_000),
    n=st.integers(1, 1000),
    peak=st.floats(1e9, 1e12),
    bandwidth=st.floats(1e9, 1e11),
    slowdown=st.none() | st.floats(1.5, 100.0),
)
def test_at_the_crossover_both_take_the_same_time(
    dtype: type, m: int, k: int, n: int, peak: float, bandwidth: float, slowdown: float | None
) -> None:
    """Oracle: the two predicted times, just below and just above the density."""
    sparse_peak = None if slowdown is None else peak / slowdown
    density = crossover_density(
        m, k, n, peak=peak, bandwidth=bandwidth, sparse_peak=sparse_peak, dtype=dtype
    )
    assert 0 <= density <= 1
    dense = predicted_seconds(product_cost(m, k, n, dtype=dtype), peak=peak, bandwidth=bandwidth)

    def seconds(share: float) -> float:
        cost = sparse_product_cost(m, k, n, nnz=round(share * m * k), dtype=dtype)
        speed = sparse_peak if sparse_peak is not None else 1e30
        return predicted_seconds(cost, peak=speed, bandwidth=bandwidth)

    room = 2 / (m * k)
    if density > room:
        assert seconds(density - room) <= dense * (1 + 1e-12)
    if density < 1 - room:
        assert seconds(density + room) >= dense * (1 - 1e-12)


@pytest.mark.parametrize(("dtype", "share"), [(np.float64, 8 / 12), (np.float32, 4 / 8)])
def test_traffic_alone_lets_a_sparse_matrix_fill_two_thirds_or_a_half(
    dtype: type, share: float
) -> None:
    """Oracle: the closed form w / (w + 4) for large matrices times a vector."""
    got = crossover_density(10_000, 10_000, 1, peak=1e12, bandwidth=1e10, dtype=dtype)
    np.testing.assert_allclose(got, share, rtol=1e-3)


def test_speeds_alone_decide_for_large_products() -> None:
    """Oracle: the closed form, sparse speed over dense speed."""
    got = crossover_density(2000, 2000, 2000, peak=50e9, bandwidth=1e12, sparse_peak=10e9)
    np.testing.assert_allclose(got, 0.2, rtol=1e-12)


def test_crossover_stays_a_density() -> None:
    """Oracle: limits: a dense product so slow that sparse always wins, and the reverse."""
    assert crossover_density(100, 100, 100, peak=1.0, bandwidth=1e12) == 1
    # One row and one column: the two row pointers alone outweigh the dense entry.
    assert crossover_density(1, 1, 1, peak=1e30, bandwidth=1e9) == 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"m": 0}, ValueError, "m must be at least 1, got 0"),
        ({"k": 0}, ValueError, "k must be at least 1, got 0"),
        ({"n": 0}, ValueError, "n must be at least 1, got 0"),
        ({"m": 2.0}, TypeError, "m must be an integer"),
        ({"peak": 0.0}, ValueError, "peak must lie in"),
        ({"bandwidth": np.nan}, ValueError, "bandwidth must lie in"),
        ({"sparse_peak": -1.0}, ValueError, "sparse_peak must lie in"),
        ({"dtype": np.int32}, TypeError, "dtype must be float32 or float64"),
    ],
)
def test_crossover_refuses_bad_arguments(
    change: dict[str, object], error: type[Exception], message: str
) -> None:
    """Oracle: the message names argument, expectation and what came."""
    arguments = {"m": 3, "k": 3, "n": 3, "peak": 1.0, "bandwidth": 1.0, **change}
    with pytest.raises(error, match=message):
        crossover_density(**arguments)  # type: ignore[arg-type]


# --- chains ---------------------------------------------------------------------------------------


def all_orders(first: int, last: int) -> list[Order]:
    """Return every way to bracket the factors first .. last - 1."""
    if last - first == 1:
        return [first]
    return [
        (left, right)
        for cut in range(first + 1, last)
        for left in all_orders(first, cut)
        for right in all_orders(cut, last)
    ]


def multiplied(matrices: list[np.ndarray], order: Order) -> tuple[np.ndarray, int]:
    """Multiply in the order given, counting from the shapes that come up."""
    if isinstance(order, int):
        return matrices[order], 0
    (left, before), (right, after) = (multiplied(matrices, part) for part in order)
    return left @ right, before + after + 2 * left.shape[0] * left.shape[1] * right.shape[1]


chains = st.lists(st.integers(1, 9), min_size=2, max_size=7)


@given(chains)
def test_the_best_order_is_the_best_of_all(dimensions: list[int]) -> None:
    """Oracle: exhaustive search over all orders, at most 132 of them."""
    orders = all_orders(0, len(dimensions) - 1)
    fewest = min(chain_flops(dimensions, order) for order in orders)
    found = best_order(dimensions)
    assert found in orders
    assert chain_flops(dimensions, found) == fewest


@given(chains, st.data())
def test_flops_of_a_chain_are_those_of_its_products(
    dimensions: list[int], data: st.DataObject
) -> None:
    """Oracle: the products themselves, carried out by NumPy; every order gives one result."""
    order = data.draw(st.sampled_from(all_orders(0, len(dimensions) - 1)))
    rng = np.random.default_rng(0)
    matrices = [rng.normal(size=shape) for shape in itertools.pairwise(dimensions)]
    product, counted = multiplied(matrices, order)
    assert chain_flops(dimensions, order) == counted
    in_turn = matrices[0]
    for matrix in matrices[1:]:
        in_turn = in_turn @ matrix
    np.testing.assert_allclose(product, in_turn, rtol=1e-9, atol=1e-9)


def test_a_chain_from_a_textbook() -> None:
    """Oracle: Cormen et al.'s example: 15,125 multiplications, so 30,250 FLOPs."""
    dimensions = [30, 35, 15, 5, 10, 20, 25]
    order = best_order(dimensions)
    assert order == ((0, (1, 2)), ((3, 4), 5))
    assert chain_flops(dimensions, order) == 2 * 15_125


def test_one_factor_costs_nothing_and_ties_cut_early() -> None:
    """Oracle: closed forms."""
    assert best_order([3, 4]) == 0
    assert chain_flops([3, 4], 0) == 0
    assert best_order([2, 2, 2, 2]) == (0, (1, 2))


@pytest.mark.parametrize(
    ("dimensions", "order", "error", "message"),
    [
        ([3], 0, ValueError, "dimensions must hold at least two sizes, got 1"),
        ([3, 0], 0, ValueError, r"dimensions\[1\] must be at least 1, got 0"),
        ([3, 2.0], 0, TypeError, r"dimensions\[1\] must be an integer"),
        ([2, 3, 4], (1, 0), ValueError, "from left to right"),
        ([2, 3, 4], (0, 0), ValueError, "from left to right"),
        ([2, 3, 4], (0, 1, 2), ValueError, "made of pairs"),
        ([2, 3, 4], (0, (1, 2)), ValueError, "must hold 2 factors"),
        ([2, 3, 4], ((0, 1), 2), ValueError, "must hold 2 factors"),
        ([2, 3, 4, 5], (0, 1), ValueError, "must hold 3 factors"),
        ([2, 3, 4], 0, ValueError, "must hold 2 factors"),
        ([2, 3, 4], "no", ValueError, "from left to right"),
    ],
)
def test_chains_refuse_what_is_none(
    dimensions: list[int], order: Order, error: type[Exception], message: str
) -> None:
    """Oracle: the message names argument, expectation and what came."""
    with pytest.raises(error, match=message):
        chain_flops(dimensions, order)
    if "dimensions" in message:
        with pytest.raises(error, match=message):
            best_order(dimensions)
