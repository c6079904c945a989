"""Rank, power iteration, powers and the numerical range against NumPy and closed forms."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate, pairwise, repeat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from companion import matrices as cm

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(1, 7)
DTYPES = (np.float64, np.float32)
HUGE, TINY = 1e300, 1e-300


def jordan(n: int, value: float = 0.0, link: float = 1.0) -> np.ndarray:
    """Return the matrix with one eigenvalue and one eigenvector."""
    return value * np.eye(n) + link * np.eye(n, k=1)


def from_eigenvalues(values: list[float], rng: np.random.Generator) -> np.ndarray:
    """Return a matrix with these eigenvalues that is not symmetric."""
    vectors = np.eye(len(values)) + 0.3 * rng.normal(size=(len(values),) * 2)
    return vectors @ np.diag(values) @ np.linalg.inv(vectors)


# --- Rank -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, m=st.integers(0, 8), n=st.integers(0, 8), r=st.integers(0, 8))
def test_rank_equals_numpy(dtype, seed, m, n, r):
    """Oracle: numpy.linalg.matrix_rank, on products of an (m, r) and an (r, n) matrix."""
    rng = np.random.default_rng(seed)
    product = (rng.normal(size=(m, r)) @ rng.normal(size=(r, n))).astype(dtype)
    expected = np.linalg.matrix_rank(product) if product.size else 0
    assert cm.rank(product) == expected
    assert type(cm.rank(product)) is int
    assert cm.rank(product, rtol=0.1) == np.sum(
        np.linalg.svd(product, compute_uv=False) > 0.1 * np.linalg.norm(product, 2)
        if product.size
        else 0
    )


@given(seed=SEEDS, outer=st.integers(0, 5))
def test_rank_of_a_sum_of_outer_products(seed, outer):
    """Oracle: random vectors are independent, so each outer product adds one."""
    rng = np.random.default_rng(seed)
    total = np.zeros((7, 6))
    for _ in range(outer):
        total += np.outer(rng.normal(size=7), rng.normal(size=6))
    assert cm.rank(total) == outer


def test_the_tolerance_is_relative_and_strict():
    """Oracle: diagonal matrices, whose singular values are known."""
    matrix = np.diag([8.0, 4.0, 1.0])
    assert [cm.rank(matrix, rtol=t) for t in (0, 0.12, 0.125, 0.49, 0.5, 0.9)] == [3, 3, 2, 2, 1, 1]
    assert cm.rank(1e-30 * matrix) == cm.rank(HUGE * matrix) == 3
    eps = np.finfo(float).eps
    assert cm.rank(np.diag([1.0, 2.1 * eps])) == 2
    assert cm.rank(np.diag([1.0, 1.9 * eps])) == 1
    assert cm.rank(np.diag([1.0, 2.1 * eps]).astype(np.float32)) == 1
    assert cm.rank(np.zeros((2, 3))) == 0
    wide = np.zeros((2, 9))
    wide[0, 0], wide[1, 1] = 1.0, 8 * eps
    assert cm.rank(wide) == cm.rank(wide.T) == 1


# --- Power iteration and subspace iteration -------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, n=st.integers(1, 6), top=st.sampled_from([-3.0, 3.0]))
def test_power_iteration_finds_the_top_eigenvalue(dtype, seed, n, top):
    """Oracle: numpy.linalg.eigh of a symmetric matrix with a gap of 2 between eigenvalues."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(n, n))).Q
    matrix = (basis * np.r_[top, rng.uniform(-1.5, 1.5, n - 1)]) @ basis.T
    found = cm.power_iteration(matrix.astype(dtype), rng=seed)
    assert found.converged
    assert found.value == pytest.approx(top, rel=1e-12 if dtype == np.float64 else 1e-5)
    assert found.vector.dtype == found.values.dtype == found.residuals.dtype == dtype
    assert found.vector.shape == (n,)
    assert found.steps == len(found.values) == len(found.residuals) < 60
    assert found.values[-1] == found.value
    vector = basis[:, 0] * np.sign(basis[np.argmax(np.abs(basis[:, 0])), 0])
    # The angle to the eigenvector is at most the residual over the gap.
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    # The largest entry may be tied with another of the other sign.
    assert min(np.abs(found.vector - vector).max(), np.abs(found.vector + vector).max()) < tolerance
    assert found.vector[np.argmax(np.abs(found.vector))] > 0


def test_power_iteration_by_hand():
    """Oracle: two steps of the iteration written out."""
    matrix = np.array([[1.0, 2.0], [3.0, 4.0]])
    x = np.random.default_rng(5).normal(size=2)
    values, residuals = [], []
    for _ in range(3):
        x = x / np.linalg.norm(x)
        values.append(x @ matrix @ x)
        residuals.append(np.linalg.norm(matrix @ x - values[-1] * x))
        last, x = x, matrix @ x
    found = cm.power_iteration(matrix, rng=5, max_steps=3)
    assert not found.converged
    assert found.steps == 3
    np.testing.assert_allclose(found.values, values, rtol=1e-13)
    np.testing.assert_allclose(found.residuals, residuals, rtol=1e-10)
    np.testing.assert_allclose(np.abs(found.vector), np.abs(last), rtol=1e-13)
    again = cm.power_iteration(matrix, rng=np.random.default_rng(5), max_steps=3)
    np.testing.assert_array_equal(again.values, found.values)


@pytest.mark.parametrize("ratio", [0.5, -0.8, 0.95])
def test_the_residual_falls_by_the_ratio_of_the_two_top_eigenvalues(ratio):
    """Oracle: |lambda_2 / lambda_1|, on a matrix that is not symmetric."""
    matrix = from_eigenvalues([2.0, 2.0 * ratio, 0.3, -0.1], np.random.default_rng(1))
    found = cm.power_iteration(matrix, rng=0, tol=1e-11)
    assert found.converged
    steps = np.arange(found.steps)
    tail = found.residuals < 1e-4
    assert np.exp(np.polyfit(steps[tail], np.log(found.residuals[tail]), 1)[0]) == pytest.approx(
        abs(ratio), rel=5e-3
    )


@pytest.mark.parametrize("matrix", [[[0, -2], [2, 0]], [[1, 0], [0, -1]], [[3, 4], [4, -3]]])
def test_power_iteration_says_that_it_failed(matrix):
    """Oracle: two eigenvalues of one modulus, so no vector is favoured."""
    found = cm.power_iteration(matrix, rng=0, max_steps=200)
    assert not found.converged
    assert found.steps == 200
    assert found.residuals[-1] > 0.1


def test_power_iteration_on_degenerate_matrices():
    """Oracle: a matrix of size 1, the zero matrix, the identity, a nilpotent one."""
    assert cm.power_iteration([[-5]], rng=0).value == -5
    assert cm.power_iteration([[-5]], rng=0).vector.tolist() == [1.0]
    for matrix, value, steps in ((np.zeros((3, 3)), 0, 1), (np.eye(3), 1, 1), (jordan(3), 0, 3)):
        found = cm.power_iteration(matrix, rng=0)
        assert (found.converged, found.steps) == (True, steps)
        assert found.value == pytest.approx(value)
        assert np.linalg.norm(found.vector) == pytest.approx(1)


@pytest.mark.parametrize("scale", [HUGE, TINY, 2.0**-1030])
def test_scaling_the_matrix_scales_the_eigenvalue(scale):
    """Oracle: the iteration for the matrix itself; squares of its entries leave the range."""
    matrix = np.array([[2.0, 1.0], [0.5, 3.0]])
    plain = cm.power_iteration(matrix, rng=0)
    scaled = cm.power_iteration(scale * matrix, rng=0)
    assert scaled.converged
    assert scaled.value / scale == pytest.approx(plain.value, rel=1e-9)
    pair = cm.subspace_iteration(scale * matrix, 2, rng=0)
    np.testing.assert_allclose(
        pair.values / scale, np.sort(np.linalg.eigvals(matrix))[::-1], rtol=1e-9
    )


def test_the_tolerance_is_relative_to_the_frobenius_norm():
    """Oracle: the first residual below tol times that norm."""
    matrix = from_eigenvalues([2.0, 1.5, 0.3, -0.1], np.random.default_rng(3))
    for tol in (1e-3, 1e-6):
        limit = tol * np.linalg.norm(matrix)
        for found in (
            cm.power_iteration(matrix, rng=0, tol=tol),
            cm.subspace_iteration(matrix, 2, rng=0, tol=tol),
        ):
            assert found.converged
            assert found.residuals[-1] <= limit < found.residuals[-2]
    assert cm.power_iteration(matrix, rng=0).residuals[-1] < 1e-13
    assert not cm.power_iteration(matrix, rng=0, tol=0.0, max_steps=5).converged


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, n=st.integers(2, 7), data=st.data())
def test_subspace_iteration_finds_the_top_eigenvalues(dtype, seed, n, data):
    """Oracle: the eigenvalues the matrix was built from, and its invariant subspace."""
    k = data.draw(st.integers(1, n))
    rng = np.random.default_rng(seed)
    values = np.r_[4.0, -3.0, 2.0, 1.0, 0.5, -0.2, 0.1][:n]
    matrix = from_eigenvalues(list(values), rng)
    if np.linalg.norm(matrix, 2) > 100:  # An ill-conditioned basis; rounding decides.
        return
    found = cm.subspace_iteration(matrix.astype(dtype), k, rng=seed)
    double = dtype == np.float64
    assert found.converged
    assert found.basis.shape == (n, k)
    assert found.basis.dtype == found.residuals.dtype == dtype
    np.testing.assert_allclose(found.values, values[:k], rtol=1e-8 if double else 2e-2)
    q = found.basis.astype(float)
    np.testing.assert_allclose(q.T @ q, np.eye(k), atol=1e-13 if double else 1e-5)
    np.testing.assert_allclose(
        matrix @ q,
        q @ (q.T @ matrix @ q),
        atol=(1e-12 if double else 1e-3) * np.linalg.norm(matrix),
    )


def test_subspace_iteration_finds_a_complex_pair():
    """Oracle: a rotation times 2 has the eigenvalues 2 exp(+-i angle)."""
    angle = 0.7
    turn = 2 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.block([[turn, np.ones((2, 2))], [np.zeros((2, 2)), np.diag([1.0, 0.5])]])
    found = cm.subspace_iteration(matrix, 2, rng=0)
    assert found.converged
    np.testing.assert_allclose(found.values, 2 * np.exp([1j * angle, -1j * angle]), rtol=1e-12)
    single = cm.subspace_iteration(matrix.astype(np.float32), 2, rng=0)
    assert single.values.dtype == np.complex64
    assert not cm.subspace_iteration(matrix, 1, rng=0).converged
    assert cm.subspace_iteration(matrix, 4, rng=0).steps == 1


@pytest.mark.parametrize(("k", "rate"), [(1, 0.9), (2, 0.5), (3, 0.25)])
def test_the_subspace_converges_at_the_next_ratio(k, rate):
    """Oracle: |lambda_{k+1} / lambda_k| for the eigenvalues 2, 1.8, 0.9 and 0.225."""
    matrix = from_eigenvalues([2.0, 1.8, 0.9, 0.225], np.random.default_rng(2))
    found = cm.subspace_iteration(matrix, k, rng=0, tol=1e-11)
    tail = found.residuals < 1e-3
    steps = np.arange(found.steps)
    assert np.exp(np.polyfit(steps[tail], np.log(found.residuals[tail]), 1)[0]) == pytest.approx(
        rate, rel=0.02
    )


def test_subspace_iteration_of_the_zero_matrix():
    """Oracle: every subspace is invariant, with eigenvalues 0."""
    found = cm.subspace_iteration(np.zeros((3, 3)), 2, rng=0)
    assert (found.converged, found.steps, found.values.tolist()) == (True, 1, [0.0, 0.0])


# --- Spectral radius and powers -------------------------------------------------------------------


@given(seed=SEEDS, n=SIZES)
def test_spectral_radius(seed, n):
    """Oracle: numpy.linalg.eigvals, and that the transpose has the same one."""
    matrix = np.random.default_rng(seed).normal(size=(n, n))
    expected = max(abs(value) for value in np.linalg.eigvals(matrix))
    assert cm.spectral_radius(matrix) == pytest.approx(expected, rel=1e-14)
    assert cm.spectral_radius(matrix.T) == pytest.approx(expected, rel=1e-10)
    assert type(cm.spectral_radius(matrix)) is float


def test_spectral_radius_of_known_matrices():
    """Oracle: closed forms for a rotation, a Jordan block and a negative number."""
    assert cm.spectral_radius([[0, -3], [3, 0]]) == pytest.approx(3)
    assert cm.spectral_radius(jordan(4, value=-0.5)) == 0.5
    assert cm.spectral_radius([[-2]]) == 2
    assert cm.spectral_radius(np.eye(2, dtype=np.float32)) == 1


@given(
    entries=st.lists(st.lists(st.integers(-3, 3), min_size=3, max_size=3), min_size=3, max_size=3),
    exponent=st.integers(0, 12),
)
def test_matrix_power_equals_exact_arithmetic(entries, exponent):
    """Oracle: repeated products of fractions; entries below 2^53 are exact in float64 too."""
    exact = [[Fraction(i == j) for j in range(3)] for i in range(3)]
    for _ in range(exponent):
        exact = [[sum(row[k] * entries[k][j] for k in range(3)) for j in range(3)] for row in exact]
    result = cm.matrix_power(entries, exponent)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, np.array(exact, dtype=float))


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, n=SIZES, exponent=st.integers(0, 70))
def test_matrix_power_equals_numpy(dtype, seed, n, exponent):
    """Oracle: numpy.linalg.matrix_power."""
    matrix = (np.random.default_rng(seed).normal(size=(n, n)) / np.sqrt(n)).astype(dtype)
    original = matrix.copy()
    result = cm.matrix_power(matrix, exponent)
    expected = np.linalg.matrix_power(matrix.astype(float), exponent)
    assert result.dtype == dtype
    scale = np.linalg.norm(matrix, 2) ** exponent + 1.0
    np.testing.assert_allclose(
        result, expected, atol=scale * (1e-12 if dtype == np.float64 else 1e-4)
    )
    np.testing.assert_array_equal(matrix, original)


def test_fibonacci():
    """Oracle: the Fibonacci numbers 0 and 1, then sums of two; the 78th is below 2^53."""
    numbers = list(accumulate(range(77), lambda pair, _: (pair[1], sum(pair)), initial=(0, 1)))
    assert cm.matrix_power([[1, 1], [1, 0]], 77)[0, 1] == numbers[77][0] == 5527939700884757


def test_matrix_power_overflows_loudly():
    """Oracle: the range of each dtype; only squares that are used may overflow."""
    assert cm.matrix_power([[2.0]], 1023) == 2.0**1023
    assert cm.matrix_power([[1e200]], 1) == 1e200
    with pytest.raises(OverflowError, match=r"^matrix to the power 1024 is too large for float64$"):
        cm.matrix_power([[2.0]], 1024)
    with pytest.raises(OverflowError, match=r"^matrix to the power 128 is too large for float32$"):
        cm.matrix_power(np.float32([[2.0]]), 128)
    with pytest.raises(OverflowError, match=r"^matrix to the power 3 "):
        cm.matrix_power([[1e200, 0.0], [0.0, 0.0]], 3)


class Counting(np.ndarray):
    """An array that counts the products it takes part in."""

    products = 0

    def __matmul__(self, other):
        type(self).products += 1
        return (np.asarray(self) @ np.asarray(other)).view(type(self))


@pytest.mark.parametrize("exponent", range(1, 130))
def test_power_products_counts_them(exponent, monkeypatch):
    """Oracle: the products that matrix_power takes, less the one with the identity."""
    monkeypatch.setattr("companion.matrices.powers._square", lambda m: np.eye(2).view(Counting))
    Counting.products = 0
    eye = np.eye
    monkeypatch.setattr(np, "eye", lambda *a, **k: eye(*a, **k).view(Counting))
    cm.matrix_power(np.zeros((2, 2)), exponent)
    assert cm.power_products(exponent) == Counting.products - 1
    assert cm.power_products(exponent) <= 2 * np.log2(exponent)


# --- Gelfand's formula ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, n=SIZES)
def test_gelfand_equals_norms_of_powers(dtype, seed, n):
    """Oracle: numpy.linalg.norm of numpy.linalg.matrix_power; never below the spectral radius."""
    matrix = np.random.default_rng(seed).normal(size=(n, n)).astype(dtype)
    exponents = [3, 1, 8, 8]
    got = cm.gelfand(matrix, exponents)
    powers = [np.linalg.matrix_power(matrix.astype(float), k) for k in exponents]
    expected = [np.linalg.norm(p, 2) ** (1 / k) for p, k in zip(powers, exponents, strict=True)]
    assert got.dtype == dtype
    np.testing.assert_allclose(got, expected, rtol=1e-10 if dtype == np.float64 else 1e-4)
    assert (got >= cm.spectral_radius(matrix) * (1 - 1e-4)).all()


def test_gelfand_tends_to_the_spectral_radius():
    """Oracle: |lambda| times a root of (1 + k link / lambda), which tends to 1."""
    roots = cm.gelfand(jordan(2, 0.5, 10.0), [10, 100, 1000, 10_000])
    assert (np.diff(roots) < 0).all()
    assert roots[-1] == pytest.approx(0.5, rel=2e-3)
    k = 10_000
    assert roots[-1] == pytest.approx(0.5 * (k * 20) ** (1 / k), rel=1e-9)


@pytest.mark.parametrize("scale", [HUGE, TINY])
def test_gelfand_neither_overflows_nor_underflows(scale):
    """Oracle: the roots scale with the matrix."""
    matrix = np.array([[2.0, 1.0], [0.0, 1.0]])
    exponents = np.array([1, 7, 300])
    np.testing.assert_allclose(
        cm.gelfand(scale * matrix, exponents) / scale, cm.gelfand(matrix, exponents), rtol=1e-9
    )


def test_gelfand_of_special_matrices():
    """Oracle: normal matrices give the radius at once, nilpotent ones end at zero."""
    np.testing.assert_allclose(cm.gelfand([[0, -3], [3, 0]], [1, 2, 50]), 3.0)
    assert cm.gelfand(jordan(3), [1, 2, 3, 4]).tolist() == [1.0, 1.0, 0.0, 0.0]
    assert cm.gelfand(np.eye(2), np.array([], dtype=int)).shape == (0,)


# --- The numerical range --------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_the_range_of_a_jordan_block_is_a_disc(n):
    """Oracle: Haagerup and de la Harpe's radius cos(pi / (n + 1)), shifted by the eigenvalue."""
    radius = np.cos(np.pi / (n + 1))
    points = cm.numerical_range(jordan(n, value=2.0), angles=16)
    assert points.shape == (16,)
    directions = np.exp(2j * np.pi * np.arange(16) / 16)
    np.testing.assert_allclose(points, 2.0 + radius * directions, atol=1e-12)
    assert cm.numerical_radius(jordan(n)) == pytest.approx(radius, rel=1e-12)
    assert cm.numerical_radius(jordan(n, value=-2.0)) == pytest.approx(2 + radius, rel=1e-12)


def test_the_range_of_a_2_by_2_matrix_is_an_ellipse():
    """Oracle: the elliptical range theorem, foci 1 and -1 and minor axis 3."""
    points = cm.numerical_range([[1.0, 3.0], [0.0, -1.0]], angles=40)
    major = np.hypot(2.0, 3.0)
    distances = np.abs(points - 1) + np.abs(points + 1)
    np.testing.assert_allclose(distances, major, rtol=1e-12)
    assert cm.numerical_radius([[1.0, 3.0], [0.0, -1.0]]) == pytest.approx(major / 2, rel=1e-12)


def test_the_range_of_a_normal_matrix_is_the_hull_of_its_eigenvalues():
    """Oracle: each boundary point of a cyclic shift's range is a cube root of 1."""
    points = cm.numerical_range(np.roll(np.eye(3), 1, axis=0), angles=7)
    np.testing.assert_allclose(points**3, 1.0, atol=1e-12)
    assert cm.numerical_radius(np.diag([1.0, -3.0, 2.0])) == pytest.approx(3)


@given(seed=SEEDS, n=SIZES)
def test_the_range_holds_every_quotient(seed, n):
    """Oracle: random vectors: no quotient x* W x lies beyond a supporting line."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, n))
    points = cm.numerical_range(matrix, angles=24)
    x = rng.normal(size=(50, n)) + 1j * rng.normal(size=(50, n))
    quotients = np.einsum("ij,jk,ik->i", x.conj(), matrix, x) / np.sum(np.abs(x) ** 2, axis=1)
    rotation = np.exp(-2j * np.pi * np.arange(24) / 24)
    support = (rotation * points).real
    assert ((rotation[:, None] * quotients).real <= support[:, None] + 1e-10).all()
    assert (np.abs(quotients) <= cm.numerical_radius(matrix) + 1e-10).all()


@given(seed=SEEDS, n=SIZES)
def test_radius_norm_and_numerical_radius_in_order(seed, n):
    """Oracle: rho <= w <= ||W|| <= 2 w, and Berger's inequality w(W^k) <= w(W)^k."""
    matrix = np.random.default_rng(seed).normal(size=(n, n))
    w, norm = cm.numerical_radius(matrix), np.linalg.norm(matrix, 2)
    room = 1 + 1e-9
    assert cm.spectral_radius(matrix) <= w * room
    assert w <= norm * room
    assert norm <= 2 * w * room
    for k in (2, 3, 5):
        power = np.linalg.matrix_power(matrix, k)
        assert cm.numerical_radius(power) <= w**k * (1 + 1e-5)
        assert np.linalg.norm(power, 2) <= 2 * w**k * (1 + 1e-5)


@given(seed=SEEDS, n=SIZES)
def test_the_numerical_radius_of_symmetric_matrices_is_their_norm(seed, n):
    """Oracle: numpy.linalg.norm."""
    matrix = np.random.default_rng(seed).normal(size=(n, n))
    assert cm.numerical_radius(matrix + matrix.T) == pytest.approx(
        np.linalg.norm(matrix + matrix.T, 2), rel=1e-10
    )


@given(seed=SEEDS)
def test_the_numerical_radius_misses_no_peak_by_more_than_it_says(seed):
    """Oracle: a grid ten times as fine."""
    matrix = np.random.default_rng(seed).normal(size=(4, 4))
    finest = np.abs(cm.numerical_range(matrix, angles=7200)).max()
    assert finest * (1 - 1e-5) <= cm.numerical_radius(matrix) <= finest * (1 + 1e-5)


def test_the_numerical_radius_is_sharp_between_the_points_of_its_grid():
    """Oracle: a normal matrix: the largest modulus of its eigenvalues, at an angle off the grid.

    The other pair is nearly as large and lies where a coarse grid would look first.
    """
    rotations = [
        size * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        for size, a in ((1.0, 9.5 * np.pi / 20), (0.9995, 4 * np.pi / 20))
    ]
    zero = np.zeros((2, 2))
    matrix = np.block([[rotations[0], zero], [zero, rotations[1]]])
    assert cm.numerical_radius(matrix) == pytest.approx(1.0, rel=1e-13)
    for angle in (0.3, 1.0, 2.0, 3.1):
        turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        assert cm.numerical_radius(turn) == pytest.approx(1.0, rel=1e-13)


def test_single_precision_and_scale_of_the_range():
    """Oracle: the same matrix in double precision, and at another scale."""
    matrix = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 1.0], [0.5, 0.0, 0.3]])
    double, single = (cm.numerical_range(matrix.astype(d), angles=12) for d in DTYPES)
    assert (double.dtype, single.dtype) == (np.complex128, np.complex64)
    np.testing.assert_allclose(single, double, atol=1e-5)
    w = cm.numerical_radius(matrix)
    assert cm.numerical_radius(HUGE * matrix) / HUGE == pytest.approx(w, rel=1e-9)
    assert cm.numerical_radius(TINY * matrix) / TINY == pytest.approx(w, rel=1e-9)
    assert cm.numerical_radius(matrix.astype(np.float32)) == pytest.approx(w, rel=1e-5)
    assert cm.numerical_radius(np.zeros((2, 2))) == 0


# --- Lengths through many matrices ----------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, sizes=st.lists(SIZES, min_size=1, max_size=6))
def test_log_growth_equals_norms(dtype, seed, sizes):
    """Oracle: the products formed one after the other, with NumPy's norm."""
    rng = np.random.default_rng(seed)
    chain = [rng.normal(size=(m, n)).astype(dtype) for n, m in pairwise(sizes)]
    x = rng.normal(size=sizes[0]).astype(dtype)
    got, expected, y = cm.log_growth(chain, x), [], x.astype(float)
    for matrix in chain:
        y = matrix.astype(float) @ y
        expected.append(np.log(np.linalg.norm(y) / np.linalg.norm(x.astype(float))))
    assert got.dtype == dtype
    assert got.shape == (len(chain),)
    np.testing.assert_allclose(got, expected, atol=1e-9 if dtype == np.float64 else 2e-3)


def test_log_growth_survives_any_length():
    """Oracle: 2000 times the logarithm of the factor, far outside the range of float64."""
    for factor in (1e-3, 7.0, 1e200, 1e-200):
        logs = cm.log_growth(repeat([[factor]], 2000), [3.0])
        np.testing.assert_allclose(logs, np.log(factor) * np.arange(1, 2001), rtol=1e-12)
    np.testing.assert_allclose(cm.log_growth([[[2.0]]], [HUGE]), np.log(2))
    assert cm.log_growth([jordan(2)] * 3, [1.0, 1.0]).tolist()[1:] == [-np.inf, -np.inf]


@pytest.mark.parametrize(("n", "gain"), [(1, 1.0), (2, 0.5), (10, 1.0), (64, 2.0)])
def test_the_lyapunov_exponent_is_the_mean_of_the_logarithm(n, gain):
    """Oracle: the mean of half the logarithm of a chi-square variable, integrated by SciPy."""
    mean = stats.chi2(df=n).expect(np.log)
    expected = np.log(gain) + 0.5 * (mean - np.log(n))
    assert cm.lyapunov_exponent(n, gain=gain) == pytest.approx(expected, abs=1e-6)


def test_the_lyapunov_exponent_tends_to_the_logarithm_of_the_gain():
    """Oracle: the expansion -1 / (2 n) of digamma, and Euler's constant at n = 2."""
    assert cm.lyapunov_exponent(10**6) == pytest.approx(-0.5e-6, rel=1e-3)
    assert cm.lyapunov_exponent(2) == pytest.approx(-np.euler_gamma / 2)


# --- Errors ---------------------------------------------------------------------------------------

SQUARE = {
    "power_iteration": lambda m: cm.power_iteration(m, rng=0),
    "subspace_iteration": lambda m: cm.subspace_iteration(m, 1, rng=0),
    "spectral_radius": cm.spectral_radius,
    "matrix_power": lambda m: cm.matrix_power(m, 2),
    "gelfand": lambda m: cm.gelfand(m, [1]),
    "numerical_range": cm.numerical_range,
    "numerical_radius": cm.numerical_radius,
}


@pytest.mark.parametrize("name", SQUARE)
def test_only_square_finite_matrices(name):
    """Oracle: the message names the argument, what was expected and what came."""
    function = SQUARE[name]
    for shape in ((2, 3), (0, 0)):
        with pytest.raises(
            ValueError,
            match=rf"^matrix must be square and not empty, got shape \({shape[0]}, {shape[1]}\)$",
        ):
            function(np.zeros(shape))
    with pytest.raises(ValueError, match=r"^matrix must have 2 axes, got shape \(3,\)$"):
        function([1, 2, 3])
    with pytest.raises(ValueError, match=r"^matrix must be finite, got 1 NaN or infinity$"):
        function([[1, np.nan], [0, 1]])
    with pytest.raises(TypeError, match=r"^matrix must hold real numbers, got dtype complex128$"):
        function([[1j]])


def test_other_bad_arguments():
    """Oracle: the message names the argument, what was expected and what came."""
    eye = np.eye(2)
    with pytest.raises(ValueError, match=r"^matrix must have 2 axes, got shape \(2,\)$"):
        cm.rank([1, 2])
    with pytest.raises(ValueError, match=r"^rtol must lie in \[0, 1\), got 1.0$"):
        cm.rank(eye, rtol=1.0)
    with pytest.raises(ValueError, match=r"^k must be at most 2, the size of matrix, got 3$"):
        cm.subspace_iteration(eye, 3, rng=0)
    with pytest.raises(ValueError, match=r"^k must be at least 1, got 0$"):
        cm.subspace_iteration(eye, 0, rng=0)
    for function in (
        lambda **options: cm.power_iteration(eye, **options),
        lambda **options: cm.subspace_iteration(eye, 1, **options),
    ):
        with pytest.raises(ValueError, match=r"^tol must lie in \[0, inf\), got -1$"):
            function(rng=0, tol=-1)
        with pytest.raises(ValueError, match=r"^max_steps must be at least 1, got 0$"):
            function(rng=0, max_steps=0)
        with pytest.raises(TypeError, match=r"^rng must be a numpy.random.Generator"):
            function(rng=None)
    with pytest.raises(ValueError, match=r"^exponent must be at least 0, got -1$"):
        cm.matrix_power(eye, -1)
    with pytest.raises(TypeError, match=r"^exponent must be an integer, got 0.5$"):
        cm.matrix_power(eye, 0.5)
    with pytest.raises(ValueError, match=r"^exponent must be at least 1, got 0$"):
        cm.power_products(0)
    with pytest.raises(TypeError, match=r"^exponents must hold integers, got dtype float64$"):
        cm.gelfand(eye, [1.0])
    with pytest.raises(
        ValueError, match=r"^exponents must be a list of integers from 1 on, got \[0, 1\]$"
    ):
        cm.gelfand(eye, [0, 1])
    with pytest.raises(
        ValueError, match=r"^exponents must be a list of integers from 1 on, got 3$"
    ):
        cm.gelfand(eye, 3)
    with pytest.raises(ValueError, match=r"^angles must be at least 3, got 2$"):
        cm.numerical_range(eye, angles=2)
    with pytest.raises(ValueError, match=r"^x must not be zero, got shape \(2,\)$"):
        cm.log_growth([eye], [0, 0])
    with pytest.raises(ValueError, match=r"^x must not be zero, got shape \(0,\)$"):
        cm.log_growth([], [])
    with pytest.raises(
        ValueError, match=r"^matrices\[1\] must have shape \(any, 2\), got \(2, 3\)$"
    ):
        cm.log_growth([eye, np.ones((2, 3))], [1, 1])
    with pytest.raises(ValueError, match=r"^width must be at least 1, got 0$"):
        cm.lyapunov_exponent(0)
    with pytest.raises(ValueError, match=r"^gain must lie in \(0, inf\), got 0$"):
        cm.lyapunov_exponent(4, gain=0)
