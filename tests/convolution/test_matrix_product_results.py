"""What the lesson *Convolution is a matrix product* reports, found again in a smaller form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from companion import data
from companion.convolution import (
    col2im,
    conv2d,
    conv_output_size,
    conv_transpose2d,
    doubly_block_toeplitz,
    im2col,
    toeplitz_matrix,
)

SOBEL = np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])


def test_frameworks_compute_the_correlation() -> None:
    """Oracle: np.correlate, and np.convolve of the flipped kernel."""
    rng = np.random.default_rng(0)
    x, kernel = rng.integers(-5, 6, size=8) * 1.0, rng.integers(-5, 6, size=3) * 1.0
    slid = toeplitz_matrix(kernel, 8) @ x
    np.testing.assert_array_equal(slid, np.correlate(x, kernel, "valid"))
    np.testing.assert_array_equal(slid, np.convolve(x, kernel[::-1], "valid"))
    image = rng.normal(size=(7, 6))
    ours = conv2d(image[None, None], SOBEL[None, None])[0, 0]
    np.testing.assert_allclose(ours, signal.convolve2d(image, SOBEL[::-1, ::-1], "valid"))


def test_the_matrix_of_a_photograph_is_nearly_empty() -> None:
    """Oracle: nine entries for each of the (H - 2)(W - 2) outputs."""
    photo = data.load_photo("china")
    matrix = doubly_block_toeplitz(SOBEL, photo.shape)
    assert matrix.shape == (425 * 638, 427 * 640)
    assert matrix.nnz == 9 * matrix.shape[0]
    assert matrix.data.nbytes + matrix.indices.nbytes > 10 * photo.nbytes
    assert set(np.unique(matrix.data)) == set(np.unique(SOBEL))


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_columns_take_the_kernel_s_size_times_the_memory(kernel: int) -> None:
    """Oracle: one patch a pixel when padding keeps the size."""
    x = np.zeros((2, 3, 8, 9), dtype=np.float32)
    assert im2col(x, kernel, padding="same").nbytes == kernel**2 * x.nbytes


# The listing of source 004: kernels without an axis for the input channels, padding that only
# enters the size.


def test_a_kernel_without_a_channel_axis_sees_only_the_sum_of_the_channels() -> None:
    """Oracle: the listing's expression, X_slice * W[:, :, c], pixel by pixel."""
    rng = np.random.default_rng(1)
    x, kernel = rng.normal(size=(3, 6, 7)), rng.normal(size=(3, 3))
    listing = np.array(
        [[np.sum(x[:, i : i + 3, j : j + 3] * kernel) for j in range(5)] for i in range(4)]
    )
    shared = np.broadcast_to(kernel, (1, 3, 3, 3)).copy()
    np.testing.assert_allclose(conv2d(x[None], shared)[0, 0], listing)
    of_the_sum = conv2d(x.sum(axis=0)[None, None], kernel[None, None])[0, 0]
    np.testing.assert_allclose(of_the_sum, listing)
    own = rng.normal(size=(1, 3, 3, 3))
    swapped = x[[1, 0, 2]][None]
    np.testing.assert_allclose(conv2d(swapped, shared), conv2d(x[None], shared))
    assert not np.allclose(conv2d(swapped, own), conv2d(x[None], own))


@pytest.mark.parametrize("padding", [1, 2])
def test_padding_that_only_enters_the_size_runs_out_of_the_image(padding: int) -> None:
    """Oracle: the error NumPy raises for a patch of two rows and a kernel of three."""
    x, kernel = np.ones((2, 5, 6)), np.ones((3, 3))
    rows = conv_output_size(5, 3, padding=padding)
    heights = [x[:, h : h + 3, :3].shape[1] for h in range(rows)]
    assert heights[-1] < 3
    first_short = next(h for h, height in enumerate(heights) if height < 3)
    assert heights[first_short] == 2
    with pytest.raises(ValueError, match="could not be broadcast"):
        _ = x[:, first_short : first_short + 3, :3] * kernel
    # One row would not even be noticed: it is repeated three times.
    assert (x[:, 4:7, :3] * kernel).shape == (2, 3, 3)
    assert conv2d(x[None], np.ones((1, 2, 3, 3)), padding=padding).shape[2] == rows


@pytest.mark.parametrize("name", ["rows", "columns"])
def test_sobel_has_rank_one_and_finds_edges_of_one_direction(name: str) -> None:
    """Oracle: a step of height one, where the kernel's positive entries sum to four."""
    step = np.repeat([[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]], 6, axis=0)
    image, kernel = (step, SOBEL) if name == "columns" else (step.T, SOBEL.T)
    found = conv2d(image[None, None], kernel[None, None])[0, 0]
    missed = conv2d(image[None, None], kernel.T[None, None])[0, 0]
    assert found.max() == 4.0
    assert not missed.any()
    assert np.linalg.matrix_rank(kernel) == 1


# The transpose


def test_a_pixel_stands_in_as_many_columns_as_kernels_meet_it() -> None:
    """Oracle: the outer product of the counts along one axis."""
    counts = col2im(np.ones((9, 16)), (1, 1, 6, 6), 3)[0, 0]
    along = [1, 2, 3, 3, 2, 1]
    np.testing.assert_array_equal(counts, np.outer(along, along))


def test_the_transpose_of_a_slide_is_a_convolution_in_the_strict_sense() -> None:
    """Oracle: np.convolve with full overlap."""
    rng = np.random.default_rng(2)
    kernel, delta = rng.normal(size=4), rng.normal(size=6)
    np.testing.assert_allclose(toeplitz_matrix(kernel, 9).T @ delta, np.convolve(delta, kernel))


def test_the_transpose_is_no_inverse() -> None:
    """Oracle: T T^T from the kernel's products with itself, two places apart."""
    matrix = toeplitz_matrix([1.0, 2.0, 3.0], 9, stride=2)
    expected = 14.0 * np.eye(4) + 3.0 * (np.eye(4, k=1) + np.eye(4, k=-1))
    np.testing.assert_array_equal(matrix @ matrix.T, expected)


@pytest.mark.parametrize("kernel", range(2, 7))
@pytest.mark.parametrize("stride", range(1, 4))
def test_a_flat_image_becomes_a_chessboard_unless_the_stride_divides_the_kernel(
    kernel: int, stride: int
) -> None:
    """Oracle: the count of kernels over a place repeats with the stride."""
    if kernel < stride:
        return
    out = conv_transpose2d(np.ones((1, 1, 9, 9)), np.ones((1, 1, kernel, kernel)), stride=stride)
    inside = out[0, 0, kernel:-kernel, kernel:-kernel]
    assert (np.ptp(inside) == 0) == (kernel % stride == 0)


# A motif in DNA


def sites_found(kernel: np.ndarray, x: np.ndarray, starts: np.ndarray) -> float:
    score = conv2d(x[: len(starts)], kernel.T[None, :, None])[:, 0, 0]
    best = score == score.max(axis=1, keepdims=True)
    return float(np.mean(best[np.arange(len(starts)), starts] / best.sum(axis=1)))


@pytest.mark.parametrize("seed", range(100, 104))
def test_logarithms_find_more_sites_than_agreement_and_flipped_ones_few(seed: int) -> None:
    """Oracle: the log-likelihood ratio is the best score (Neyman & Pearson)."""
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.full(4, 0.5), size=10) * 0.96 + 0.01
    letters = rng.integers(4, size=(300, 100))
    starts = rng.integers(91, size=300)
    for row, start in enumerate(starts):
        letters[row, start : start + 10] = [rng.choice(4, p=p) for p in table]
    x = np.eye(4)[letters].transpose(0, 2, 1)[:, :, None]
    logarithms = np.log(table / 0.25)
    found = sites_found(logarithms, x, starts)
    assert found > sites_found(np.eye(4)[table.argmax(axis=1)], x, starts) + 0.05
    assert found > sites_found(logarithms[::-1], x, starts) + 0.2
    assert found > 0.4
