"""What the lesson *The singular value decomposition* reports, found again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import invpascal, pascal

from companion import data
from companion.matrices import (
    approximation_error,
    condition_number,
    jacobi_svd,
    least_squares,
    low_rank_approximation,
    pca,
)

# --- The ellipse ----------------------------------------------------------------------------------


def test_the_longest_and_the_shortest_image_of_the_example_are_perpendicular() -> None:
    """Oracle: the roots of 45 and 5 by hand, and a fine grid of directions."""
    matrix = np.array([[3.0, 0.0], [4.0, 5.0]])
    angles = np.deg2rad(np.arange(0, 180, 0.25))
    directions = np.stack([np.cos(angles), np.sin(angles)])
    images = matrix @ directions
    lengths = np.linalg.norm(images, axis=0)
    longest, shortest = lengths.argmax(), lengths.argmin()
    assert np.rad2deg(angles[[longest, shortest]]).round() == pytest.approx([45, 135])
    assert lengths[[longest, shortest]] ** 2 == pytest.approx([45, 5])
    assert images[:, longest] @ images[:, shortest] == pytest.approx(0, abs=1e-12)
    assert np.linalg.eigvals(matrix) == pytest.approx([5, 3])


def test_a_shear_has_eigenvalues_of_one_and_stretches_tenfold() -> None:
    """Oracle: closed form: the values of a unit shear by a are (root(a² + 4) ± a) / 2."""
    shear = np.array([[1.0, 10.0], [0.0, 1.0]])
    np.testing.assert_allclose(np.linalg.eigvals(shear), 1)
    root = np.sqrt(104)
    np.testing.assert_allclose(jacobi_svd(shear)[1], [(root + 10) / 2, (root - 10) / 2])


# --- Digits lost and kept -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_detour_over_the_squares_loses_half_of_the_digits(seed: int) -> None:
    """Oracle: singular values by construction; the root of the unit of rounding."""
    rng = np.random.default_rng(seed)
    true = 10.0 ** (-1.5 * np.arange(10))
    left = np.linalg.qr(rng.normal(size=(20, 10)))[0]
    right = np.linalg.qr(rng.normal(size=(10, 10)))[0]
    matrix = (left * true) @ right.T
    np.testing.assert_allclose(np.linalg.svd(matrix, compute_uv=False), true, rtol=0.2)
    squares = np.linalg.eigvalsh(matrix.T @ matrix)[::-1]
    detour = np.sqrt(np.maximum(squares, 0))
    np.testing.assert_allclose(detour[:6], true[:6], rtol=0.5)
    assert (np.abs(detour[7:] / true[7:] - 1) > 0.5).all()


def test_jacobi_keeps_the_smallest_value_whatever_the_order_of_the_columns() -> None:
    """Oracle: one over the largest singular value of the exact inverse."""
    errors = {}
    for exponents in ([0, -20, -40, -60, -80], [-80, -60, -40, -20, 0]):
        scale = 2.0 ** np.array(exponents)
        matrix = pascal(5, kind="lower") * scale
        truth = 1 / np.linalg.norm(invpascal(5, kind="lower") / scale[:, None], 2)
        assert abs(jacobi_svd(matrix)[1][-1] / truth - 1) < 1e-13
        errors[exponents[0]] = abs(np.linalg.svd(matrix, compute_uv=False)[-1] / truth - 1)
    assert errors[0] < 1e-13
    assert errors[-80] > 1e-6


# --- The photographs ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def temple() -> np.ndarray:
    return data.load_photo("china")


def test_the_error_is_known_before_the_approximation_and_no_rival_is_nearer(temple) -> None:
    """Oracle: norms of the difference, and five rivals of the same rank."""
    s = np.linalg.svd(temple, compute_uv=False)
    for rank in (1, 20, 80):
        rest = temple - low_rank_approximation(temple, rank)
        for norm in ("fro", 2):
            error = approximation_error(s, rank, norm=norm)
            assert np.linalg.norm(rest, norm) == pytest.approx(error, abs=1e-12 * s[0])
    best = approximation_error(s, 20)
    assert best / np.linalg.norm(temple) == pytest.approx(0.139, abs=5e-4)

    def left_over(rows):
        basis = np.linalg.qr(rows.T)[0]
        return np.linalg.norm(temple - temple @ basis @ basis.T) / best

    for seed in range(3):
        rng = np.random.default_rng(seed)
        rows = temple[rng.choice(len(temple), 20, replace=False)]
        assert 1.2 < left_over(rows) < 1.5
        assert left_over(rng.normal(size=(20, temple.shape[1]))) > 6
    assert 1.2 < left_over(temple[np.linspace(0, 426, 20).astype(int)]) < 1.3
    bright = np.argsort(-np.linalg.norm(temple, axis=1))[20:]
    assert np.linalg.norm(temple[bright]) / best > 6


@pytest.mark.parametrize("seed", range(2))
def test_a_photograph_has_a_low_rank_and_its_mixed_pixels_have_not(temple, seed: int) -> None:
    """Oracle: the ranks printed in the lesson, and the rank at which storage breaks even."""
    mixed = np.random.default_rng(seed).permutation(temple.ravel()).reshape(temple.shape)
    needed = []
    for picture in (temple, data.load_photo("flower"), mixed):
        s = np.linalg.svd(picture, compute_uv=False)
        errors = np.array([approximation_error(s, k) for k in range(s.size)])
        needed.append(int(np.argmax(errors <= 0.1 * np.linalg.norm(picture))))
    assert needed[:2] == [56, 29]
    assert needed[2] == pytest.approx(320, abs=3)
    m, n = temple.shape
    assert 255 * (m + n + 1) < m * n < 256 * (m + n + 1)


@pytest.mark.parametrize("seed", range(2))
def test_whole_rows_may_change_places_and_no_singular_value_changes(temple, seed: int) -> None:
    """Oracle: the photograph with its rows in another order."""
    rows = np.random.default_rng(seed).permutation(temple)
    values = [np.linalg.svd(picture, compute_uv=False) for picture in (temple, rows)]
    np.testing.assert_allclose(values[1], values[0], atol=1e-12 * values[0][0])


def test_blocks_win_at_little_storage_and_the_whole_at_much(temple) -> None:
    """Oracle: errors at equal storage, from the singular values of both matrices."""
    mixed = np.random.default_rng(0).permutation(temple.ravel()).reshape(temple.shape)

    def ratios(picture):
        whole = picture[:424]
        blocks = whole.reshape(53, 8, 80, 8).swapaxes(1, 2).reshape(-1, 64)
        values = [np.linalg.svd(matrix, compute_uv=False) for matrix in (blocks, whole)]
        for k in (1, 4, 16):
            same = k * (sum(blocks.shape) + 1) // (sum(whole.shape) + 1)
            yield approximation_error(values[0], k) / approximation_error(values[1], same)

    for picture in (temple, data.load_photo("flower")):
        small, middle, large = ratios(picture)
        assert small < 0.9
        assert middle < 0.95
        assert large > 1
    assert min(ratios(mixed)) > 1


# --- Systems of equations -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_the_condition_number_bounds_the_amplification_and_is_rarely_met(seed: int) -> None:
    """Oracle: the outer singular vectors reach it; the median of random cases is near 1."""
    matrix = np.array([[1.0, 1.0], [1.0, 1.01]])
    kappa, U = condition_number(matrix), np.linalg.svd(matrix)[0]

    def amplification(b, change):
        x, dx = np.linalg.solve(matrix, b), np.linalg.solve(matrix, change)
        sizes = [np.linalg.norm(v) for v in (dx, x, b, change)]
        return sizes[0] / sizes[1] * sizes[2] / sizes[3]

    assert kappa == pytest.approx(402.0, abs=0.05)
    assert amplification(U[:, 0], U[:, 1]) == pytest.approx(kappa)
    rng = np.random.default_rng(seed)
    factors = [amplification(*rng.normal(size=(2, 2))) for _ in range(1000)]
    assert max(factors) <= kappa * (1 + 1e-9)
    assert 0.8 < np.median(factors) < 1.25


@pytest.mark.parametrize("seed", range(4))
def test_digits_need_the_shortest_solution(seed: int) -> None:
    """Oracle: the count of pixels without ink, and other solutions of the same fit."""
    split = data.load_digits(rng=seed)
    x, y = split.x_train, np.eye(10)[split.y_train]
    dark = np.flatnonzero(x.max(axis=0) == 0)
    assert set(dark) >= {0, 32, 39}
    assert np.linalg.matrix_rank(x) == 64 - dark.size
    with pytest.raises(np.linalg.LinAlgError):
        np.linalg.solve(x.T @ x, x.T @ y)
    weights = least_squares(x, y)
    assert np.abs(weights[dark]).max() < 1e-9
    others = weights.copy()
    others[dark] += 1.0
    np.testing.assert_allclose(x @ others, x @ weights, atol=1e-9)


def test_a_tolerance_shortens_the_weights_at_no_price_until_it_is_too_large() -> None:
    """Oracle: validation accuracy and length of the weights on the lesson's ten splits."""
    splits = [data.load_digits(rng=seed) for seed in range(10)]

    def mean_accuracy_and_longest(rtol):
        accuracies, lengths = [], []
        for split in splits:
            weights = least_squares(split.x_train, np.eye(10)[split.y_train], rtol=rtol)
            guess = np.argmax(split.x_val @ weights, axis=1)
            accuracies.append(np.mean(guess == split.y_val))
            lengths.append(np.linalg.norm(weights))
        return np.mean(accuracies), max(lengths)

    default, some, much = (mean_accuracy_and_longest(r) for r in (None, 0.03, 0.1))
    assert default[0] == pytest.approx(0.932, abs=0.002)
    assert some[0] == pytest.approx(default[0], abs=0.005)
    assert much[0] < default[0] - 0.02
    assert default[1] > 90
    assert some[1] < 2.5
    for split in splits:
        s = np.linalg.svd(split.x_train, compute_uv=False)
        assert (s > 0.3 * s[0]).sum() == 1


# --- Principal components -------------------------------------------------------------------------


def nearest_mean_accuracy(train, val, split) -> float:
    means = np.stack([train[split.y_train == c].mean(axis=0) for c in range(10)])
    distances = np.linalg.norm(val[:, None] - means, axis=2)
    return float(np.mean(distances.argmin(axis=1) == split.y_val))


def test_two_components_say_little_and_twenty_nearly_all() -> None:
    """Oracle: the lesson's table of shares, errors and accuracies."""
    split = data.load_digits(rng=0)
    base = np.linalg.norm(split.x_test - split.x_train.mean(axis=0))
    found = []
    for k in (2, 20):
        model = pca(split.x_train, k)
        back = model.inverse_transform(model.transform(split.x_test))
        error = np.linalg.norm(split.x_test - back) / base
        scores = model.transform(split.x_train), model.transform(split.x_val)
        share = model.explained_variance_ratio.sum()
        found.append([share, error, nearest_mean_accuracy(*scores, split)])
    np.testing.assert_allclose(found, [[0.287, 0.850, 0.581], [0.895, 0.336, 0.897]], atol=0.004)
    for share, error, _ in found:
        assert error**2 == pytest.approx(1 - share, abs=0.02)


def test_without_centring_the_first_direction_is_the_mean() -> None:
    """Oracle: the cosine of the two."""
    x = data.load_digits(rng=0).x_train
    first, mean = np.linalg.svd(x)[2][0], x.mean(axis=0)
    assert abs(first @ mean) / np.linalg.norm(mean) > 0.9999


def test_components_of_equal_variance_differ_in_what_they_say_of_the_class() -> None:
    """Oracle: accuracies of the ninth and the tenth component alone, on ten splits."""
    alone = np.zeros((10, 10))
    for row, split in enumerate(data.load_digits(rng=seed) for seed in range(10)):
        model = pca(split.x_train, 10)
        train, val = model.transform(split.x_train), model.transform(split.x_val)
        for i in range(10):
            alone[row, i] = nearest_mean_accuracy(train[:, [i]], val[:, [i]], split)
        assert model.explained_variance_ratio[9] > 0.8 * model.explained_variance_ratio[8]
    mean = alone.mean(axis=0)
    assert mean[8] == pytest.approx(0.215, abs=0.005)
    assert mean[9] == pytest.approx(0.134, abs=0.005)
    assert (alone[:, 8] > alone[:, 9]).all()


def test_units_decide_the_first_component() -> None:
    """Oracle: one pixel multiplied by a hundred."""
    x = data.load_digits(rng=0).x_train.copy()
    x[:, 20] *= 100
    model = pca(x, 1)
    assert np.abs(model.components[0]).argmax() == 20
    assert model.explained_variance_ratio[0] > 0.99


@pytest.mark.parametrize("seed", range(3))
def test_a_direction_of_small_variance_can_hold_the_class(seed: int) -> None:
    """Oracle: classes made to differ along the second direction alone."""
    rng = np.random.default_rng(seed)
    label = rng.integers(2, size=400)
    x = np.column_stack([5 * rng.normal(size=400), 2 * label - 1 + 0.3 * rng.normal(size=400)])
    model = pca(x, 2)
    assert model.explained_variance_ratio[0] > 0.95
    accuracies = []
    for scores in model.transform(x).T:
        means = [scores[label == c].mean() for c in (0, 1)]
        nearer = np.abs(scores - means[1]) < np.abs(scores - means[0])
        accuracies.append(np.mean(nearer == label))
    assert accuracies[0] < 0.6
    assert accuracies[1] > 0.99


# --- The sources ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3)])
@pytest.mark.parametrize("kind", ["random", "zero", "ones"])
def test_every_matrix_has_a_singular_value_decomposition(shape, kind: str) -> None:
    """Oracle: matrices that nothing was ever stored in; three factors give each of them back."""
    rng = np.random.default_rng(0)
    matrix = {"random": rng.normal(size=shape), "zero": np.zeros(shape), "ones": np.ones(shape)}[
        kind
    ]
    U, s, Vt = jacobi_svd(matrix)
    np.testing.assert_allclose((U * s) @ Vt, matrix, atol=1e-13)
