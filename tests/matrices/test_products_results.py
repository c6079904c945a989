"""What the lesson *Matrices as data and as machines* reports, found again in a smaller form.

Timings are compared only where they differ by far more than a busy machine can hide.
"""

from __future__ import annotations

import itertools
import timeit
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import ndimage, sparse
from scipy.spatial.distance import cdist

from companion import data
from companion.matrices import (
    attainable,
    best_order,
    chain_flops,
    crossover_density,
    naive_product,
    predicted_seconds,
    product_cost,
    sparse_product_cost,
)

PEAK, BANDWIDTH = 50e9, 25e9


def shortest(function: Callable[..., Any], *arguments: Any) -> float:
    """Return the shortest time of several calls."""
    timer = timeit.Timer(lambda: function(*arguments))
    loops = max(1, int(0.002 / timer.timeit(1)))
    return min(timer.repeat(7, loops)) / loops


@pytest.fixture(scope="module")
def digits() -> data.Split:
    return data.load_digits(rng=0)


def matrix_of(answers: np.ndarray) -> np.ndarray:
    return answers.reshape(64, 64).T


UNIT_PICTURES = np.eye(64).reshape(64, 8, 8)
TURN = matrix_of(np.rot90(UNIT_PICTURES, axes=(1, 2)))
MIRROR = matrix_of(UNIT_PICTURES[:, :, ::-1])
BLUR = matrix_of(ndimage.uniform_filter(UNIT_PICTURES, (1, 3, 3), mode="constant"))


def test_matrices_found_from_unit_pictures_do_to_every_picture_what_the_machine_does(
    digits: data.Split,
) -> None:
    """Oracle: NumPy's rot90 and flip and SciPy's filter, on all test pictures."""
    pictures = digits.x_test.reshape(-1, 8, 8)
    turned = np.rot90(pictures, axes=(1, 2)).reshape(-1, 64)
    blurred = ndimage.uniform_filter(pictures, (1, 3, 3), mode="constant").reshape(-1, 64)
    np.testing.assert_array_equal(digits.x_test @ TURN.T, turned)
    np.testing.assert_array_equal(digits.x_test @ MIRROR.T, pictures[:, :, ::-1].reshape(-1, 64))
    np.testing.assert_allclose(digits.x_test @ BLUR.T, blurred, atol=1e-12)


def test_turning_and_mirroring_keep_the_rules_of_products() -> None:
    """Oracle: what is known of the symmetries of a square."""
    identity = np.eye(64)
    assert not np.array_equal(TURN @ MIRROR, MIRROR @ TURN)
    # A mirror turns a turn to the left into one to the right.
    np.testing.assert_array_equal(TURN @ MIRROR, MIRROR @ TURN.T)
    np.testing.assert_array_equal((TURN @ MIRROR).T, MIRROR.T @ TURN.T)
    np.testing.assert_array_equal(TURN.T @ TURN, identity)
    np.testing.assert_array_equal(np.linalg.matrix_power(TURN, 4), identity)


def test_four_readings_of_a_product_agree() -> None:
    """Oracle: NumPy; entries, columns, outer products, one map after the other."""
    rng = np.random.default_rng(0)
    a, b, x = rng.normal(size=(3, 4)), rng.normal(size=(4, 5)), rng.normal(size=5)
    entries = [[row @ column for column in b.T] for row in a]
    columns = np.column_stack([a @ column for column in b.T])
    outer = sum(np.outer(a[:, s], b[s]) for s in range(4))
    for reading in (entries, columns, outer, naive_product(a, b)):
        np.testing.assert_allclose(reading, a @ b, atol=1e-12)
    np.testing.assert_allclose((a @ b) @ x, a @ (b @ x), atol=1e-12)


def test_one_product_reads_nine_digits_of_ten(digits: data.Split) -> None:
    """Oracle: the nearest mean by SciPy's distances, picture by picture."""
    one_hot = np.eye(10)[digits.y_train]
    means = (one_hot.T @ digits.x_train) / one_hot.sum(axis=0)[:, None]
    scores = digits.x_test @ means.T - 0.5 * (means**2).sum(axis=1)
    nearest = cdist(digits.x_test, means).argmin(axis=1)
    np.testing.assert_array_equal(scores.argmax(axis=1), nearest)
    accuracy = np.mean(scores.argmax(axis=1) == digits.y_test)
    np.testing.assert_allclose(accuracy, 0.897, atol=0.001)


def test_reading_digits_does_not_hang_on_the_split() -> None:
    """Oracle: five other splits of the data: each within four points of nine in ten."""
    accuracies = []
    for seed in range(1, 6):
        split = data.load_digits(rng=seed)
        means = np.stack([split.x_train[split.y_train == k].mean(axis=0) for k in range(10)])
        scores = split.x_test @ means.T - 0.5 * (means**2).sum(axis=1)
        accuracies.append(np.mean(scores.argmax(axis=1) == split.y_test))
    assert min(accuracies) > 0.86
    assert max(accuracies) < 0.94


def test_brackets_change_the_cost_five_hundredfold_and_not_the_result() -> None:
    """Oracle: counts by hand, NumPy's results, and a stopwatch."""
    n = 1000
    left = chain_flops([n, n, n, 1], ((0, 1), 2))
    right = chain_flops([n, n, n, 1], (0, (1, 2)))
    assert (left, right) == (2 * n**3 + 2 * n**2, 4 * n**2)
    # In time the model lets the vectors gain less, about sixtyfold: they are bound by memory.
    square, thin = (
        predicted_seconds(product_cost(n, n, columns), peak=PEAK, bandwidth=BANDWIDTH)
        for columns in (n, 1)
    )
    np.testing.assert_allclose(square, 2 * n**3 / PEAK)
    np.testing.assert_allclose(thin, 8 * (n**2 + 2 * n) / BANDWIDTH)
    assert 60 < (square + thin) / (2 * thin) < 65
    a, b = np.random.default_rng(0).normal(size=(2, n, n))
    v = np.ones(n)
    np.testing.assert_allclose((a @ b) @ v, a @ (b @ v), atol=1e-8)
    assert shortest(lambda: (a @ b) @ v) > 5 * shortest(lambda: a @ (b @ v))


def test_the_best_order_of_the_lessons_chain_meets_in_the_middle() -> None:
    """Oracle: the three products counted by hand."""
    widths = [32, 1000, 4, 1000, 32]
    assert best_order(widths) == ((0, 1), (2, 3))
    assert chain_flops(widths, ((0, 1), (2, 3))) == 2 * (2 * 32 * 1000 * 4) + 2 * 32 * 4 * 32
    assert chain_flops(widths, (((0, 1), 2), 3)) == chain_flops(widths, (0, (1, (2, 3))))


def test_batching_lifts_a_wide_layer_to_the_roof_and_never_a_narrow_one() -> None:
    """Oracle: the closed forms; the ridge of the explorer's machine is 2 FLOP a byte."""

    def bound_by_arithmetic(width: int, batch: int) -> bool:
        intensity = product_cost(batch, width, width).intensity
        return bool(attainable(intensity, peak=PEAK, bandwidth=BANDWIDTH) == PEAK)

    smallest = {
        width: next((n for n in range(1, 10_000) if bound_by_arithmetic(width, n)), None)
        for width in (16, 32, 1024)
    }
    assert smallest == {16: None, 32: 16, 1024: 9}
    # However large the batch, side 16 has at most 2 * 16 / (2 * 8) = 2, never reached.
    assert product_cost(10**9, 16, 16).intensity < 2


def test_float32_doubles_the_intensity() -> None:
    """Oracle: half the bytes for the same arithmetic."""
    for batch, side in itertools.product((1, 64), (16, 3000)):
        wide = product_cost(batch, side, side)
        narrow = product_cost(batch, side, side, dtype=np.float32)
        np.testing.assert_allclose(narrow.intensity, 2 * wide.intensity)


def test_loops_in_python_are_over_a_hundred_times_slower() -> None:
    """Oracle: a stopwatch; a factor of thousands was measured, a hundred is asserted."""
    a, b = np.random.default_rng(0).normal(size=(2, 64, 64))
    assert shortest(naive_product, a, b) > 100 * shortest(np.matmul, a, b)


def test_a_batch_is_faster_than_its_samples_one_by_one() -> None:
    """Oracle: a stopwatch; a factor of four and more was measured."""
    weight = np.random.default_rng(0).normal(size=(1500, 1500))
    one, many = np.ones((1, 1500)), np.ones((64, 1500))
    alone = shortest(np.matmul, one, weight.T)
    assert shortest(np.matmul, many, weight.T) < 64 * alone


def test_traffic_would_allow_two_thirds_but_sparse_loses_before() -> None:
    """Oracle: the model's limit, and a stopwatch at densities far from the crossing."""
    n = 1000
    limit = crossover_density(n, n, 1, peak=PEAK, bandwidth=BANDWIDTH)
    np.testing.assert_allclose(limit, 2 / 3, atol=0.001)
    rng = np.random.default_rng(0)
    dense, places = rng.normal(size=(n, n)), rng.random((n, n))
    for x in (rng.normal(size=n), rng.normal(size=(n, 100))):
        thin, thick = (
            sparse.csr_array(np.where(places < share, dense, 0)) for share in (0.01, 0.6)
        )
        np.testing.assert_allclose(thick @ x, np.where(places < 0.6, dense, 0) @ x, atol=1e-9)
        time = shortest(np.matmul, dense, x)
        assert shortest(thin.dot, x) < time < shortest(thick.dot, x)


def test_the_matrix_that_turns_a_picture_is_sparse() -> None:
    """Oracle: one entry in each row, counted; its traffic is a small part of the dense one's."""
    stored = sparse.csr_array(TURN)
    assert stored.nnz == 64
    assert (np.diff(stored.indptr) == 1).all()
    thin = sparse_product_cost(64, 64, 1, nnz=stored.nnz)
    assert 10 * thin.bytes < product_cost(64, 64, 1).bytes
    np.testing.assert_array_equal(stored @ np.arange(64.0), TURN @ np.arange(64.0))
