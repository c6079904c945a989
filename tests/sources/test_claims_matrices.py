"""Claims of the sources about matrices: products, powers, decompositions, low rank.

Each is compared with an oracle of its own: a closed form, exact integers, PyTorch, SciPy, or the
structure that the data were made with.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch

from companion import data
from companion.matrices import (
    als,
    attainable,
    crossover_density,
    low_rank_approximation,
    matrix_power,
    naive_product,
    pca,
    power_iteration,
    power_products,
    product_cost,
    rank,
    rmse,
    sparse_product_cost,
)

Array = np.ndarray


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)


# --- Products -----------------------------------------------------------------------------------


@pytest.mark.claim("000-matrix-operations-definition")
def test_a_layer_is_a_transpose_a_product_and_a_sum(rng: np.random.Generator) -> None:
    """Oracle: PyTorch's linear function."""
    x, weight, bias = (rng.standard_normal(shape) for shape in ((7, 4), (3, 4), (3,)))
    expected = torch.nn.functional.linear(*map(torch.from_numpy, (x, weight, bias))).numpy()
    np.testing.assert_allclose(naive_product(x, weight.T) + bias, expected, rtol=1e-12)


@pytest.mark.claim("000-weights-as-strengths")
@pytest.mark.claim("002-weights-as-relations")
def test_an_entry_is_the_strength_of_one_connection(rng: np.random.Generator) -> None:
    """Oracle: the change of one output, when one input alone is raised by one."""
    weight, x = rng.standard_normal((3, 4)), rng.standard_normal(4)
    assert weight.min() < 0 < weight.max()
    for j in range(4):
        raised = x.copy()
        raised[j] += 1.0
        np.testing.assert_allclose(weight @ raised - weight @ x, weight[:, j], atol=1e-12)
        np.testing.assert_array_equal(weight @ np.eye(4)[j], weight[:, j])


@pytest.mark.claim("001-listing-rows")
def test_samples_in_rows_take_the_weights_from_the_right(rng: np.random.Generator) -> None:
    """Oracle: each sample alone, and PyTorch with the transposed matrix."""
    x, weight, bias = rng.standard_normal((6, 4)), rng.standard_normal((4, 3)), np.ones(3)
    z = x @ weight + bias
    for sample, row in zip(x, z, strict=True):
        np.testing.assert_allclose(row, weight.T @ sample + bias, rtol=1e-12)
    layer = torch.nn.functional.linear(*map(torch.from_numpy, (x, weight.T.copy(), bias)))
    np.testing.assert_allclose(z, layer.numpy(), rtol=1e-12)


@pytest.mark.claim("002-matrix-notion")
def test_the_same_numbers_in_another_order_are_another_matrix() -> None:
    """Oracle: the second row is twice the first, or it is not."""
    first, second = np.array([[1, 2], [2, 4]]), np.array([[1, 2], [4, 2]])
    assert sorted(first.ravel()) == sorted(second.ravel())
    assert rank(first) == 1
    assert rank(second) == 2


@pytest.mark.claim("002-basic-operations")
def test_shapes_decide_which_operations_exist(rng: np.random.Generator) -> None:
    """Oracle: the definitions, and PyTorch, which refuses the same shapes."""
    a, b = rng.integers(-9, 10, (2, 3)), rng.integers(-9, 10, (3, 4))
    for one, other in ((a, b), (a, b.T)):
        with pytest.raises(RuntimeError, match="must match"):
            _ = torch.from_numpy(one) + torch.from_numpy(other.copy())
        with pytest.raises(ValueError, match="broadcast"):
            _ = one + other
    assert (a @ b).shape == (2, 4)
    for left, right in ((b, a), (a, a)):
        with pytest.raises(ValueError, match="b must"):
            naive_product(left, right)
        with pytest.raises(RuntimeError, match="cannot be multiplied"):
            _ = torch.from_numpy(left) @ torch.from_numpy(right)
    assert all(a.T[j, i] == a[i, j] for i in range(2) for j in range(3))
    np.testing.assert_array_equal((a @ b).T, b.T @ a.T)


@pytest.mark.claim("004-sparse-products")
def test_a_sparse_matrix_stores_more_numbers_above_two_thirds() -> None:
    """Oracle: the arrays that SciPy keeps for a matrix in rows (CSR), counted in bytes."""
    side = 300
    for density, smaller in ((0.60, True), (0.70, False)):
        rng = np.random.default_rng(0)
        dense = rng.standard_normal((side, side)) * (rng.random((side, side)) < density)
        stored = scipy.sparse.csr_array(dense)
        used = stored.data.nbytes + stored.indices.nbytes + stored.indptr.nbytes
        assert (used < dense.nbytes) == smaller
        # Eight bytes for the number and four for its column, against eight bytes for the number.
        assert used / dense.nbytes == pytest.approx(stored.nnz / dense.size * 12 / 8, rel=0.01)


@pytest.mark.claim("004-sparse-products")
def test_a_sparse_product_multiplies_only_what_is_stored(rng: np.random.Generator) -> None:
    """Oracle: the dense product for the values; a count entry by entry for the arithmetic.

    The crossover follows from the bytes for a vector, and for many columns from the speeds: at a
    tenth of the speed the sparse product may have a tenth of the arithmetic at most.
    """
    dense = rng.standard_normal((40, 30)) * (rng.random((40, 30)) < 0.1)
    other = rng.standard_normal((30, 5))
    nnz = np.count_nonzero(dense)
    by_entry = np.zeros((40, 5))
    for i, j in zip(*np.nonzero(dense), strict=True):
        by_entry[i] += dense[i, j] * other[j]
    np.testing.assert_allclose(scipy.sparse.csr_array(dense) @ other, by_entry, atol=1e-12)
    np.testing.assert_allclose(dense @ other, by_entry, atol=1e-12)
    assert sparse_product_cost(40, 30, 5, nnz=nnz).flops == 2 * nnz * 5

    speeds = {"peak": 50e9, "bandwidth": 20e9, "sparse_peak": 5e9}
    assert crossover_density(1000, 1000, 1, **speeds) == pytest.approx(2 / 3, abs=0.01)
    assert crossover_density(1000, 1000, 1000, **speeds) == pytest.approx(0.1, abs=0.01)


@pytest.mark.claim("004-hardware")
def test_a_matrix_times_a_vector_cannot_use_a_higher_peak() -> None:
    """Oracle: 2 n^2 operations on 8 n^2 bytes make a quarter FLOP a byte, and for two square
    matrices 2 n^3 on 24 n^2 make n/12.
    """
    n = 1200
    vector, square = product_cost(n, n, 1), product_cost(n, n, n)
    assert vector.intensity == pytest.approx(1 / 4, rel=0.01)
    assert square.intensity == pytest.approx(n / 12)
    for cost, gain in ((vector, 1.0), (square, 10.0)):
        slow, fast = (
            attainable(cost.intensity, peak=peak, bandwidth=1e11) for peak in (1e11, 1e12)
        )
        assert fast / slow == pytest.approx(gain)


@pytest.mark.claim("004-new-structures")
def test_a_contraction_of_tensors_is_a_matrix_product(rng: np.random.Generator) -> None:
    """Oracle: the sum over the common axes, index by index, and PyTorch's tensordot."""
    a, b = rng.standard_normal((2, 3, 4)), rng.standard_normal((4, 3, 5))
    rows = a.transpose(0, 2, 1).reshape(2, 12)
    columns = b.reshape(12, 5)
    expected = [
        [sum(a[i, k, l] * b[l, k, j] for k in range(3) for l in range(4)) for j in range(5)]  # noqa: E741
        for i in range(2)
    ]
    np.testing.assert_allclose(rows @ columns, expected, rtol=1e-12)
    contracted = torch.tensordot(torch.from_numpy(a), torch.from_numpy(b), dims=([1, 2], [1, 0]))
    np.testing.assert_allclose(rows @ columns, contracted.numpy(), rtol=1e-12)
    assert a.ndim == 3  # and a matrix has two axes


@pytest.mark.claim("004-memory-management")
def test_blocks_reduce_what_a_product_reads(rng: np.random.Generator) -> None:
    """Oracle: without blocks each output entry reads a row and a column, 2 n^3 numbers in all.

    With blocks of side s each pair of blocks is read once, and that makes 2 n^3 / s.
    """
    n, side = 24, 6
    a, b = rng.standard_normal((2, n, n))
    out, read = np.zeros((n, n)), 0
    for i in range(0, n, side):
        for j in range(0, n, side):
            for k in range(0, n, side):
                left, right = a[i : i + side, k : k + side], b[k : k + side, j : j + side]
                out[i : i + side, j : j + side] += left @ right
                read += left.size + right.size
    np.testing.assert_allclose(out, a @ b, atol=1e-12)
    assert read == 2 * n**3 // side


# --- Powers -------------------------------------------------------------------------------------


@pytest.mark.claim("002-power-definition")
def test_a_power_is_a_product_of_copies() -> None:
    """Oracle: exact integers, copy by copy; and the Fibonacci numbers."""
    matrix = [[1, 1], [1, 0]]
    copies: list[list[int]] = [[1, 0], [0, 1]]
    for k in range(1, 31):
        copies = [
            [sum(row[l] * matrix[l][j] for l in range(2)) for j in range(2)]  # noqa: E741
            for row in copies
        ]
        assert matrix_power(matrix, k).tolist() == copies
    assert copies[0][1] == 832040
    assert power_products(30) <= 2 * np.log2(30)
    assert (np.array([[1, 2], [3, 4]]) ** 2).tolist() == [[1, 4], [9, 16]]
    assert matrix_power([[1, 2], [3, 4]], 2).tolist() == [[7, 10], [15, 22]]
    with pytest.raises(ValueError, match="square"):
        matrix_power(np.ones((3, 2)), 2)


@pytest.mark.claim("002-powers-in-optimisation")
def test_gradient_descent_on_a_quadratic_takes_powers_of_a_matrix(
    rng: np.random.Generator,
) -> None:
    """Oracle: the steps themselves, taken one by one."""
    root = rng.standard_normal((5, 5))
    hessian = root @ root.T
    best, w = rng.standard_normal((2, 5))
    rate = 1 / np.linalg.norm(hessian, 2)
    start = w - best
    for k in range(1, 41):
        w = w - rate * hessian @ (w - best)
        np.testing.assert_allclose(
            w - best, matrix_power(np.eye(5) - rate * hessian, k) @ start, atol=1e-12
        )


@pytest.mark.claim("002-powers-in-optimisation")
def test_power_iteration_finds_the_largest_singular_value(rng: np.random.Generator) -> None:
    """Oracle: the singular values by LAPACK; those of W are the roots of W^T W's eigenvalues."""
    weight = rng.standard_normal((30, 20))
    found = power_iteration(weight.T @ weight, rng=0, max_steps=5000)
    assert found.converged
    assert np.sqrt(found.value) == pytest.approx(np.linalg.norm(weight, 2), rel=1e-8)
    normalised = weight / np.sqrt(found.value)
    assert np.linalg.svd(normalised, compute_uv=False)[0] == pytest.approx(1.0, rel=1e-8)


# --- The singular value decomposition -----------------------------------------------------------


def assert_decomposition(matrix: Array) -> None:
    """The definition, with square orthogonal factors and a diagonal of the shape of the matrix."""
    u, s, vt = np.linalg.svd(matrix)
    diagonal = np.zeros(matrix.shape)
    np.fill_diagonal(diagonal, s)
    scale = max(1.0, float(s.max(initial=0.0)))
    np.testing.assert_allclose(u @ diagonal @ vt, matrix, atol=1e-12 * scale)
    np.testing.assert_allclose(u @ u.T, np.eye(len(u)), atol=1e-12)
    np.testing.assert_allclose(vt @ vt.T, np.eye(len(vt)), atol=1e-12)
    assert (s >= 0).all()


@pytest.mark.claim("000-svd-formula")
@pytest.mark.parametrize(
    "matrix",
    [
        np.random.default_rng(0).standard_normal((5, 3)),
        np.random.default_rng(0).standard_normal((3, 5)),
        np.zeros((4, 2)),
        np.ones((3, 3)),
        np.array([[0.0, 1.0], [0.0, 0.0]]),
        np.array([[-2.0]]),
    ],
    ids=["tall", "wide", "zero", "rank one", "nilpotent", "one number"],
)
def test_every_matrix_has_a_singular_value_decomposition(matrix: Array) -> None:
    """Oracle: the definition, checked factor by factor."""
    assert_decomposition(matrix)


@pytest.mark.claim("000-svd-formula")
def test_without_a_rule_for_signs_the_diagonal_is_not_determined(
    rng: np.random.Generator,
) -> None:
    """Oracle: all eight choices of signs give the same product."""
    matrix = rng.standard_normal((3, 3))
    u, s, vt = np.linalg.svd(matrix)
    diagonals = set()
    for bits in np.ndindex(2, 2, 2):
        signs = 1.0 - 2.0 * np.array(bits)
        np.testing.assert_allclose((u * signs) @ np.diag(signs * s) @ vt, matrix, atol=1e-12)
        np.testing.assert_allclose((u * signs).T @ (u * signs), np.eye(3), atol=1e-12)
        diagonals.add(tuple(signs * s))
    assert len(diagonals) == 8


@pytest.mark.claim("000-svd-memory-model")
def test_weights_have_the_decomposition_before_and_after_training(
    rng: np.random.Generator,
) -> None:
    """Oracle: the definition; what training changes are the factors.

    One linear layer learns a planted map, by gradient descent on the mean squared error.
    """
    x, truth = rng.standard_normal((200, 6)), rng.standard_normal((4, 6))
    before = rng.standard_normal((4, 6))
    after = before.copy()
    for _ in range(500):
        after -= 0.1 * (x @ (after - truth).T).T @ x / len(x)
    np.testing.assert_allclose(after, truth, atol=1e-6)
    shuffled = rng.permutation(after.ravel()).reshape(after.shape)
    for weight in (before, after, shuffled):
        assert_decomposition(weight)
    values = [np.linalg.svd(weight, compute_uv=False) for weight in (before, after)]
    assert np.abs(values[0] - values[1]).max() > 0.1


@pytest.mark.claim("002-algorithm-complexity")
def test_a_few_products_find_a_nearly_best_approximation() -> None:
    """Oracle: the error of the best matrix of that rank, by the full decomposition.

    Two passes back and forth with twenty random vectors, for rank ten.
    """
    photo = data.load_photo("china", factor=2)
    k = 10
    best = np.linalg.norm(photo - low_rank_approximation(photo, k))
    start = np.random.default_rng(0).standard_normal((photo.shape[1], 2 * k))
    basis, _ = np.linalg.qr(photo @ start)
    for _ in range(2):
        basis, _ = np.linalg.qr(photo @ (photo.T @ basis))
    found = basis @ low_rank_approximation(basis.T @ photo, k)
    assert rank(found) == k
    assert best <= np.linalg.norm(photo - found) < 1.02 * best


@pytest.mark.claim("004-lapack")
def test_numpy_calls_lapack_for_the_decomposition(rng: np.random.Generator) -> None:
    """Oracle: LAPACK's routine gesdd, called by name."""
    from scipy.linalg import lapack

    matrix = rng.standard_normal((6, 4))
    u, s, vt, info = lapack.dgesdd(matrix, full_matrices=False)
    assert info == 0
    for found, expected in zip(np.linalg.svd(matrix, full_matrices=False), (u, s, vt), strict=True):
        np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-12)


@pytest.mark.claim("004-feature-extraction")
def test_thirty_principal_components_serve_a_linear_classifier() -> None:
    """Oracle: the classes of digits not seen, with the same classifier on all 64 pixels.

    A least-squares classifier, over five divisions into training and test.
    """
    shares: dict[str, list[float]] = {"pixels": [], "features": []}
    for seed in range(5):
        split = data.load_digits(rng=seed)
        found = pca(split.x_train, 30)
        assert found.components.shape == (30, 64)
        features = found.transform(split.x_train), found.transform(split.x_test)
        np.testing.assert_allclose(
            features[1], (split.x_test - found.mean) @ found.components.T, atol=1e-12
        )
        for name, (train, test) in (
            ("pixels", (split.x_train, split.x_test)),
            ("features", features),
        ):
            columns = [np.column_stack([x, np.ones(len(x))]) for x in (train, test)]
            weights, *_ = np.linalg.lstsq(columns[0], np.eye(10)[split.y_train])
            right = (columns[1] @ weights).argmax(axis=1) == split.y_test
            shares[name].append(float(right.mean()))
    pixels, components = np.mean(shares["pixels"]), np.mean(shares["features"])
    assert pixels > 0.9
    assert components > pixels - 0.015


# --- Low rank -----------------------------------------------------------------------------------


@pytest.mark.claim("000-recommendation")
@pytest.mark.claim("004-recommendation")
def test_a_factorisation_predicts_hidden_ratings_better_than_means() -> None:
    """Oracle: the noise, below which no prediction can fall; baseline: the better of two means.

    The ratings are made with rank 3; no model of memory or of random matrices is used.
    """
    noise = 0.3
    for seed in range(3):
        made = data.make_ratings(120, 100, rank=3, observed=0.4, noise=noise, rng=seed)
        mean = made.values[made.train].mean()
        deviation = np.where(made.train, made.values - mean, 0.0)
        users = deviation.sum(axis=1, keepdims=True) / made.train.sum(axis=1, keepdims=True)
        rest = np.where(made.train, deviation - users, 0.0)
        items = rest.sum(axis=0) / made.train.sum(axis=0)
        constant = np.full_like(made.values, mean)
        means = min(
            rmse(prediction, made.values, made.test)
            for prediction in (constant, mean + users + items)
        )
        fitted = als(made.values - mean, made.train, 3, ridge=0.3)
        factors = rmse(mean + fitted.predict(), made.values, made.test)
        assert noise < factors < 0.5 * means
