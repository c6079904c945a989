"""The singular value decomposition and its uses."""

from __future__ import annotations

import math

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA as ReferencePCA

from companion.matrices import (
    PCA,
    approximation_error,
    condition_number,
    jacobi_svd,
    least_squares,
    low_rank_approximation,
    pca,
    pseudo_inverse,
)

SHAPES = [(1, 1), (1, 4), (4, 1), (5, 3), (3, 5), (6, 6), (12, 7)]
RULES = settings(max_examples=40, deadline=None)
# Either zero or far from underflow, so that relative statements can be made.
NUMBERS = st.one_of(st.just(0.0), st.floats(1e-3, 1e3), st.floats(-1e3, -1e-3))
MATRICES = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=7), elements=NUMBERS
)


def random(shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def of_rank(rank, m, n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, rank)) @ rng.normal(size=(rank, n))


def graded(exponents):
    """Return a matrix of very unequal columns, and its smallest singular value.

    The inverse of a Pascal matrix holds integers, and powers of two are exact, so the inverse is
    known without rounding. Its largest singular value is one over the smallest that is asked for.
    """
    n, scales = len(exponents), 2.0 ** np.array(exponents, dtype=float)
    inverse = scipy.linalg.invpascal(n, kind="lower", exact=True) / scales[:, None]
    matrix = scipy.linalg.pascal(n, kind="lower").astype(float) * scales
    return matrix, 1 / np.linalg.norm(inverse, 2)


# --- The decomposition ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(2))
def test_jacobi_finds_what_lapack_finds(shape, seed) -> None:
    """Oracle: numpy.linalg.svd; vectors agree up to a common sign of each pair."""
    matrix = random(shape, seed)
    U, s, Vt = jacobi_svd(matrix)
    right_U, right_s, right_Vt = np.linalg.svd(matrix, full_matrices=False)
    np.testing.assert_allclose(s, right_s, rtol=1e-13)
    signs = np.sign(np.sum(U * right_U, axis=0))
    np.testing.assert_allclose(U * signs, right_U, atol=1e-12)
    np.testing.assert_allclose(Vt * signs[:, None], right_Vt, atol=1e-12)


@given(MATRICES)
@RULES
def test_jacobi_returns_a_decomposition_of_any_matrix(matrix) -> None:
    """Oracle: the definition: orthonormal factors, descending values, and the product."""
    U, s, Vt = jacobi_svd(matrix)
    size = np.abs(matrix).max() + 1e-300
    assert (s >= 0).all()
    assert (np.diff(s) <= 0).all()
    np.testing.assert_allclose((U * s) @ Vt, matrix, atol=1e-13 * size)
    np.testing.assert_allclose(U.T @ U, np.eye(s.size), atol=1e-12)
    np.testing.assert_allclose(Vt @ Vt.T, np.eye(s.size), atol=1e-12)


@pytest.mark.parametrize("rank", [0, 1, 3])
@pytest.mark.parametrize(("m", "n"), [(9, 5), (5, 9), (6, 6)])
def test_jacobi_completes_the_vectors_of_singular_matrices(rank, m, n) -> None:
    """Oracle: rank by construction; the factors stay orthonormal."""
    matrix = of_rank(rank, m, n)
    matrix[:, -1] = 0
    matrix[-1] = 0
    U, s, Vt = jacobi_svd(matrix)
    assert np.sum(s > 1e-12) == rank
    np.testing.assert_allclose(U.T @ U, np.eye(5 if m != n else 6), atol=1e-12)
    np.testing.assert_allclose(Vt @ Vt.T, np.eye(5 if m != n else 6), atol=1e-12)
    np.testing.assert_allclose((U * s) @ Vt, matrix, atol=1e-12)


def test_columns_of_zeros_get_vectors_too() -> None:
    """Oracle: the decomposition of a diagonal matrix with a zero, written by hand."""
    U, s, Vt = jacobi_svd([[0.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(s, [2, 0])
    np.testing.assert_array_equal(np.abs(Vt), [[0, 1], [1, 0]])
    assert abs(U[0, 0]) == 1
    assert np.linalg.norm(U[1:, 1]) == pytest.approx(1)


@pytest.mark.parametrize("scale", [1.0, 0.001, 1 / 3, 1e-20])
@pytest.mark.parametrize("factor", [1.0, 3.0, 1e-8, -0.1])
def test_parallel_columns_end_at_zero_and_not_in_a_chase_of_rounding(scale, factor) -> None:
    """Oracle: closed form for a matrix of rank one."""
    rows = random(6) * scale
    _, s, _ = jacobi_svd(np.stack([rows, factor * rows], axis=1), max_sweeps=3)
    assert s[0] == pytest.approx(np.linalg.norm(rows) * math.hypot(1, factor), rel=1e-13)
    assert s[1] <= 1e-15 * s[0]
    assert jacobi_svd(np.full((2, 2), scale * factor), max_sweeps=3)[1][1] == 0


@pytest.mark.parametrize(("m", "n"), [(0, 3), (3, 0), (0, 0)])
def test_empty_matrices_have_no_singular_values(m, n) -> None:
    """Oracle: the shapes of numpy.linalg.svd."""
    for got, right in zip(
        jacobi_svd(np.ones((m, n))),
        np.linalg.svd(np.ones((m, n)), full_matrices=False),
        strict=True,
    ):
        assert got.shape == right.shape


def test_a_two_by_two_matrix_in_closed_form() -> None:
    """Oracle: the sum of squares of the entries, and the determinant, give both values."""
    a, b, c, d = random(4, 3)
    _, s, _ = jacobi_svd([[a, b], [c, d]])
    total, det = a * a + b * b + c * c + d * d, a * d - b * c
    root = math.sqrt(total + 2 * abs(det))
    other = math.sqrt(total - 2 * abs(det))
    np.testing.assert_allclose(s, [(root + other) / 2, (root - other) / 2], rtol=1e-13)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_scaling_a_matrix_scales_its_values_without_overflow(scale) -> None:
    """Oracle: the singular values of the unscaled matrix."""
    matrix = random((4, 3))
    _, s, _ = jacobi_svd(matrix)
    np.testing.assert_allclose(jacobi_svd(scale * matrix)[1] / scale, s, rtol=1e-13)


@pytest.mark.parametrize(
    "exponents",
    [[-80, -60, -40, -20, 0], [0, -20, -40, -60, -80], [-40, 0, -80, -60, -20], [0, -200, -400]],
)
def test_small_singular_values_have_a_small_relative_error(exponents) -> None:
    """Oracle: one over the largest singular value of the exact inverse."""
    matrix, smallest = graded(exponents)
    assert jacobi_svd(matrix)[1][-1] == pytest.approx(smallest, rel=1e-14, abs=0)


def test_lapack_loses_the_smallest_value_of_a_graded_matrix() -> None:
    """Oracle: the same exact inverse; the loss depends on the order of the columns."""
    matrix, smallest = graded([-80, -60, -40, -20, 0])
    assert np.linalg.svd(matrix, compute_uv=False)[-1] != pytest.approx(smallest, rel=1e-6, abs=0)
    matrix, smallest = graded([0, -20, -40, -60, -80])
    assert np.linalg.svd(matrix, compute_uv=False)[-1] == pytest.approx(smallest, rel=1e-12, abs=0)


def test_float32_stays_float32() -> None:
    """Oracle: the float64 results, to the accuracy of float32."""
    matrix = random((6, 4), dtype=np.float32)
    for got, right in zip(jacobi_svd(matrix), jacobi_svd(matrix.astype(float)), strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(np.abs(got), np.abs(right), atol=1e-5)
    for result in (low_rank_approximation(matrix, 2), pseudo_inverse(matrix)):
        assert result.dtype == np.float32
    model = pca(matrix, 2)
    for array in (model.mean, model.components, model.explained_variance, model.transform(matrix)):
        assert array.dtype == np.float32
    assert least_squares(matrix, matrix[:, 0]).dtype == np.float32


def test_jacobi_leaves_its_argument_alone() -> None:
    """Oracle: a copy."""
    matrix = random((4, 4))
    kept = matrix.copy()
    jacobi_svd(matrix)
    np.testing.assert_array_equal(matrix, kept)


def test_jacobi_stops_at_the_last_sweep_or_at_the_tolerance() -> None:
    """Oracle: two columns need one rotation, and a second sweep to see that it was enough."""
    matrix = [[1.0, 1.0], [0.0, 1.0]]
    jacobi_svd(matrix, max_sweeps=2)
    wide = np.pad(matrix, ((0, 0), (0, 1)))
    for one in (matrix, wide, wide.T):
        with pytest.raises(np.linalg.LinAlgError, match="not orthogonal after 1 sweeps"):
            jacobi_svd(one, max_sweeps=1)
    # The cosine of the angle between the two columns is 0.707.
    _, s, Vt = jacobi_svd(matrix, tol=0.71)
    np.testing.assert_allclose(s, [math.sqrt(2), 1])
    np.testing.assert_array_equal(Vt, [[0, 1], [1, 0]])
    np.testing.assert_allclose(jacobi_svd(wide, tol=0.71)[1], [math.sqrt(2), 1])
    assert jacobi_svd(matrix, tol=0.70)[1][0] == pytest.approx((1 + math.sqrt(5)) / 2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"tol": 0}, ValueError, "tol must lie in"),
        ({"tol": "small"}, TypeError, "tol must be a real number"),
        ({"max_sweeps": 0}, ValueError, "max_sweeps must be at least 1"),
        ({"max_sweeps": 2.5}, TypeError, "max_sweeps must be an integer"),
    ],
)
def test_jacobi_refuses_bad_options(options, error, message) -> None:
    """Oracle: the contract in the docstring."""
    with pytest.raises(error, match=message):
        jacobi_svd(np.eye(2), **options)


# --- The best approximation of lower rank ---------------------------------------------------------


@given(MATRICES, st.data())
@RULES
def test_the_error_is_the_discarded_singular_values(matrix, data) -> None:
    """Oracle: the norms of the difference, by numpy.linalg.norm."""
    s = np.linalg.svd(matrix, compute_uv=False)
    rank = data.draw(st.integers(0, s.size))
    best = low_rank_approximation(matrix, rank)
    assert best.shape == matrix.shape
    for norm in ("fro", 2):
        distance = np.linalg.norm(matrix - best, norm)
        assert approximation_error(s, rank, norm=norm) == pytest.approx(
            distance, rel=1e-10, abs=1e-12 * np.abs(matrix).max() + 1e-300
        )


@given(MATRICES, st.integers(0, 2**32 - 1), st.data())
@RULES
def test_no_other_matrix_of_the_rank_is_nearer(matrix, seed, data) -> None:
    """Oracle: random matrices of the rank, each with the best coefficients for its rows."""
    rank = data.draw(st.integers(0, min(matrix.shape)))
    rng = np.random.default_rng(seed)
    columns = np.linalg.qr(rng.normal(size=(len(matrix), rank)))[0]
    rival = columns @ (columns.T @ matrix)
    near = low_rank_approximation(matrix, rank)
    rival_near = near + 0.01 * rng.normal(size=(len(matrix), 1)) * near[:1]
    for norm in ("fro", 2):
        error = np.linalg.norm(matrix - near, norm)
        slack = 1e-12 * np.abs(matrix).max()
        assert error <= np.linalg.norm(matrix - rival, norm) + slack
        if np.linalg.matrix_rank(rival_near) <= rank:
            assert error <= np.linalg.norm(matrix - rival_near, norm) + slack


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
def test_the_approximation_has_the_rank_and_ends_at_the_matrix(shape) -> None:
    """Oracle: numpy.linalg.matrix_rank, zero at rank 0, the matrix itself at full rank."""
    matrix = random(shape)
    full = min(shape)
    for rank in range(full + 1):
        assert np.linalg.matrix_rank(low_rank_approximation(matrix, rank)) == rank
    assert not low_rank_approximation(matrix, 0).any()
    np.testing.assert_allclose(low_rank_approximation(matrix, full), matrix, atol=1e-14)
    s = np.linalg.svd(matrix, compute_uv=False)
    assert approximation_error(s, full) == approximation_error(s, full, norm=2) == 0.0


def test_the_approximation_of_an_empty_matrix_is_empty() -> None:
    """Oracle: the shape."""
    assert low_rank_approximation(np.ones((0, 3)), 0).shape == (0, 3)
    assert approximation_error([], 0) == 0.0


@pytest.mark.parametrize("rank", [-1, 4])
def test_the_rank_must_be_possible(rank) -> None:
    """Oracle: the contract in the docstring."""
    with pytest.raises(ValueError, match="rank must be at"):
        low_rank_approximation(random((5, 3)), rank)
    with pytest.raises(ValueError, match="rank must be at"):
        approximation_error([3, 2, 1], rank)
    with pytest.raises(TypeError, match="rank must be an integer"):
        low_rank_approximation(random((5, 3)), 1.0)


@pytest.mark.parametrize(
    ("s", "options", "message"),
    [
        ([1, 2], {}, "the largest first"),
        ([1, -2], {}, "none negative"),
        ([[1, 2]], {}, "s must have 1 axes"),
        ([2, 1], {"norm": 1}, "norm must be 'fro' or 2, got 1"),
        ([2, 1], {"norm": "nuc"}, "norm must be 'fro' or 2, got 'nuc'"),
    ],
)
def test_errors_need_singular_values_and_a_known_norm(s, options, message) -> None:
    """Oracle: the contract in the docstring."""
    with pytest.raises(ValueError, match=message):
        approximation_error(s, 1, **options)


# --- Condition number, pseudo-inverse, least squares ----------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_the_condition_number_is_numpys(shape) -> None:
    """Oracle: numpy.linalg.cond."""
    matrix = random(shape)
    assert condition_number(matrix) == pytest.approx(np.linalg.cond(matrix), rel=1e-12)


def test_condition_numbers_of_special_matrices() -> None:
    """Oracle: 1 for an orthogonal matrix, infinity where a singular value is exactly 0."""
    assert condition_number(np.linalg.qr(random((5, 5)))[0]) == pytest.approx(1)
    assert condition_number(np.diag([3.0, 0.0])) == math.inf
    assert condition_number(np.zeros((2, 2))) == math.inf
    with pytest.raises(ValueError, match=r"matrix must not be empty, got shape \(0, 3\)"):
        condition_number(np.ones((0, 3)))


@given(MATRICES)
@RULES
def test_the_pseudo_inverse_meets_penroses_conditions(matrix) -> None:
    """Oracle: the four conditions of Penrose (1955), which only one matrix meets."""
    inverse = pseudo_inverse(matrix, rtol=1e-9)
    assert inverse.shape == matrix.T.shape
    kept = low_rank_approximation(matrix, np.linalg.matrix_rank(matrix, rtol=1e-9))
    size = 1e-5 * (1 + np.abs(matrix).max()) * (1 + np.abs(inverse).max())
    for got, right in [
        (kept @ inverse @ kept, kept),
        (inverse @ kept @ inverse, inverse),
        ((kept @ inverse).T, kept @ inverse),
        ((inverse @ kept).T, inverse @ kept),
    ]:
        np.testing.assert_allclose(got, right, atol=size)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rank", [1, 99])
def test_the_pseudo_inverse_is_scipys(shape, rank) -> None:
    """Oracle: scipy.linalg.pinv, at full rank and at rank 1."""
    matrix = of_rank(min(rank, *shape), *shape)
    np.testing.assert_allclose(pseudo_inverse(matrix), scipy.linalg.pinv(matrix), atol=1e-12)


def test_small_singular_values_count_as_zero_from_the_tolerance_down() -> None:
    """Oracle: a diagonal matrix, whose values are its entries; at the limit counts as zero."""
    matrix = np.diag([4.0, 1.0, 0.5])
    for rtol, inverted in [(0.0, 3), (0.1, 3), (0.125, 2), (0.2, 2), (0.25, 1), (0.9, 1)]:
        right = np.zeros(3)
        right[:inverted] = 1 / np.diag(matrix)[:inverted]
        np.testing.assert_allclose(pseudo_inverse(matrix, rtol=rtol), np.diag(right), atol=1e-15)


def test_the_default_tolerance_is_that_of_numpys_rank() -> None:
    """Oracle: numpy.linalg.matrix_rank on both sides of its limit, and zero matrices."""
    limit = 6 * np.finfo(float).eps
    for factor in (0.9, 1.1):
        matrix = np.eye(3, 6) * [[1.0], [1.0], [factor * limit]]
        count = np.linalg.matrix_rank(pseudo_inverse(matrix), rtol=1e-30)
        assert count == np.linalg.matrix_rank(matrix)
    assert not pseudo_inverse(np.zeros((2, 3))).any()
    assert pseudo_inverse(np.ones((0, 3))).shape == (3, 0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rank", [1, 99])
@pytest.mark.parametrize("targets", [(), (3,)])
def test_least_squares_is_numpys(shape, rank, targets) -> None:
    """Oracle: numpy.linalg.lstsq, which returns the shortest solution as well."""
    matrix, target = of_rank(min(rank, *shape), *shape), random((shape[0], *targets), 1)
    right = np.linalg.lstsq(matrix, target, rcond=None)[0]
    np.testing.assert_allclose(least_squares(matrix, target), right, atol=1e-11)
    np.testing.assert_allclose(
        least_squares(matrix, target), pseudo_inverse(matrix) @ target, atol=1e-12
    )


def test_the_residual_is_orthogonal_and_the_solution_is_the_shortest() -> None:
    """Oracle: the normal equations, and other solutions that differ in the null space."""
    matrix, target = of_rank(2, 6, 4), random(6, 1)
    x = least_squares(matrix, target)
    np.testing.assert_allclose(matrix.T @ (matrix @ x - target), 0, atol=1e-12)
    for direction in scipy.linalg.null_space(matrix).T:
        np.testing.assert_allclose(matrix @ (x + direction), matrix @ x, atol=1e-12)
        assert np.linalg.norm(x + 0.1 * direction) > np.linalg.norm(x)
    assert np.abs(least_squares(matrix, target, rtol=0.9)).max() < np.abs(x).max()


def test_the_error_of_a_solution_is_bounded_by_the_condition_number() -> None:
    """Oracle: the bound of Trefethen & Bau, reached along the outer singular vectors."""
    matrix = random((5, 5), 2)
    U, _, _ = np.linalg.svd(matrix)
    kappa = condition_number(matrix)

    def amplification(target, change):
        x, moved = np.linalg.solve(matrix, target), np.linalg.solve(matrix, target + change)
        relative = np.linalg.norm(moved - x) / np.linalg.norm(x)
        return relative * np.linalg.norm(target) / np.linalg.norm(change)

    for seed in range(50):
        target, change = random((2, 5), seed)
        assert amplification(target, change) <= kappa * (1 + 1e-9)
    assert amplification(U[:, 0], U[:, -1]) == pytest.approx(kappa)


@pytest.mark.parametrize("shape", [(4,), (4, 1), (3, 2, 1), ()])
def test_targets_must_have_one_row_for_each_row_of_the_matrix(shape) -> None:
    """Oracle: the contract in the docstring; a target of the wrong length must not broadcast."""
    with pytest.raises(ValueError, match="target must have"):
        least_squares(random((3, 2)), np.ones(shape))


@pytest.mark.parametrize("rtol", [-0.1, 1.0, np.nan])
def test_the_tolerance_is_a_share(rtol) -> None:
    """Oracle: the contract in the docstring."""
    for call in (pseudo_inverse, lambda matrix, rtol: least_squares(matrix, [1, 1], rtol=rtol)):
        with pytest.raises(ValueError, match="rtol must lie in"):
            call(np.eye(2), rtol=rtol)


# --- Principal components -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("samples", "features", "k"), [(30, 4, 2), (5, 8, 5), (6, 1, 1), (2, 3, 1)]
)
@pytest.mark.parametrize("seed", range(2))
def test_pca_is_that_of_scikit_learn(samples, features, k, seed) -> None:
    """Oracle: sklearn.decomposition.PCA, signs included, on data far from the origin."""
    x = random((samples, features), seed) * np.arange(1, features + 1) + 10
    ours, theirs = pca(x, k), ReferencePCA(k, svd_solver="full").fit(x)
    real = min(k, samples - 1)  # The last direction of too few samples is arbitrary.
    np.testing.assert_allclose(ours.mean, theirs.mean_)
    np.testing.assert_allclose(ours.components[:real], theirs.components_[:real], atol=1e-10)
    np.testing.assert_allclose(ours.explained_variance, theirs.explained_variance_, atol=1e-10)
    np.testing.assert_allclose(
        ours.explained_variance_ratio, theirs.explained_variance_ratio_, atol=1e-10
    )
    scores = ours.transform(x)
    np.testing.assert_allclose(scores[:, :real], theirs.transform(x)[:, :real], atol=1e-10)
    np.testing.assert_allclose(
        ours.inverse_transform(scores), theirs.inverse_transform(theirs.transform(x)), atol=1e-10
    )


@given(hnp.arrays(np.float64, (8, 3), elements=st.integers(-20, 20)), st.integers(1, 3))
@RULES
def test_scores_are_uncorrelated_and_carry_the_variance(x, k) -> None:
    """Oracle: the covariance matrix of the scores, by numpy.cov."""
    if (x == x[:1]).all():
        with pytest.raises(ValueError, match="two different samples"):
            pca(x, k)
        return
    model = pca(x, k)
    covariance = np.atleast_2d(np.cov(model.transform(x), rowvar=False))
    np.testing.assert_allclose(covariance, np.diag(model.explained_variance), atol=1e-10)
    np.testing.assert_allclose(model.components @ model.components.T, np.eye(k), atol=1e-12)
    if k == 3:
        np.testing.assert_allclose(model.inverse_transform(model.transform(x)), x, atol=1e-10)
        assert model.explained_variance.sum() == pytest.approx(x.var(axis=0, ddof=1).sum())
        assert model.explained_variance_ratio.sum() == pytest.approx(1)


def test_reconstruction_is_the_low_rank_approximation_of_centred_data() -> None:
    """Oracle: low_rank_approximation."""
    x = random((20, 6)) + 5
    model = pca(x, 3)
    right = low_rank_approximation(x - x.mean(axis=0), 3) + x.mean(axis=0)
    np.testing.assert_allclose(model.inverse_transform(model.transform(x)), right, atol=1e-12)


def test_pca_says_how_much_it_keeps() -> None:
    """Oracle: two columns with variances 9 and 1 and no correlation."""
    x = [[3.0, 1.0], [3.0, -1.0], [-3.0, 1.0], [-3.0, -1.0]]
    model = pca(x, 1)
    assert repr(model) == "PCA(1 of 2 directions, 90.0 % of the variance)"
    np.testing.assert_allclose(model.explained_variance, [12])
    np.testing.assert_allclose(model.components, [[1, 0]], atol=1e-15)
    assert isinstance(model, PCA)


@pytest.mark.parametrize(
    ("x", "k", "error", "message"),
    [
        (np.eye(3), 0, ValueError, "components must be at least 1"),
        (np.eye(3), 4, ValueError, "components must be at most 3, got 4"),
        (np.eye(3), 1.5, TypeError, "components must be an integer"),
        (np.ones((1, 3)), 1, ValueError, r"two different samples, got shape \(1, 3\)"),
        (np.ones((4, 3)), 1, ValueError, "two different samples"),
        (np.ones((0, 3)), 1, ValueError, "two different samples"),
        (np.ones((4, 0)), 1, ValueError, "two different samples"),
        (np.ones(3), 1, ValueError, "x must have 2 axes"),
        # The mean of three times 0.1 is not 0.1, and the square of 1e-200 is zero.
        (np.full((3, 2), 0.1), 1, ValueError, "two different samples"),
        (1e-200 * np.eye(2), 1, ValueError, "two different samples"),
    ],
)
def test_pca_refuses_what_has_no_directions(x, k, error, message) -> None:
    """Oracle: the contract in the docstring."""
    with pytest.raises(error, match=message):
        pca(x, k)


def test_new_samples_must_fit_the_model() -> None:
    """Oracle: the contract in the docstring; one sample alone must not broadcast."""
    model = pca(random((5, 3)), 2)
    with pytest.raises(ValueError, match=r"x must have shape \(any, 3\), got \(3,\)"):
        model.transform(np.ones(3))
    with pytest.raises(ValueError, match=r"x must have shape \(any, 3\), got \(5, 1\)"):
        model.transform(np.ones((5, 1)))
    with pytest.raises(ValueError, match=r"scores must have shape \(any, 2\), got \(5, 1\)"):
        model.inverse_transform(np.ones((5, 1)))
    assert model.transform(np.ones((0, 3))).shape == (0, 2)


# --- What all refuse ------------------------------------------------------------------------------

CALLS = {
    "jacobi_svd": jacobi_svd,
    "low_rank_approximation": lambda matrix: low_rank_approximation(matrix, 1),
    "condition_number": condition_number,
    "pseudo_inverse": pseudo_inverse,
    "least_squares": lambda matrix: least_squares(matrix, [1.0, 1.0]),
    "pca": lambda matrix: pca(matrix, 1),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("matrix", "error", "message"),
    [
        ([[1.0, np.nan], [0.0, 1.0]], ValueError, "must be finite"),
        ([[1.0, np.inf], [0.0, 1.0]], ValueError, "must be finite"),
        ([1.0, 2.0], ValueError, "must have 2 axes"),
        ([[1.0, 2.0], [3.0]], ValueError, "must be an array of numbers"),
        ([[1j, 2.0], [3.0, 1.0]], TypeError, "must hold real numbers"),
    ],
)
def test_matrices_must_be_real_finite_and_rectangular(name, matrix, error, message) -> None:
    """Oracle: the contract in the docstrings."""
    with pytest.raises(error, match=message):
        CALLS[name](matrix)


def test_integers_are_taken_as_numbers() -> None:
    """Oracle: the same matrix in float64."""
    matrix = [[2, 0], [1, 3]]
    np.testing.assert_array_equal(jacobi_svd(matrix)[1], jacobi_svd(np.array(matrix, float))[1])
    assert pseudo_inverse(matrix).dtype == np.float64
