"""The checks of the lesson *Convolution is a matrix product*: right answers pass, wrong ones do
not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import linalg

from companion import check, convolution
from companion.check import Exercise
from tests.check.oracles import reseeded


def conv_matrix(kernel, length, stride):
    rows = (length - len(kernel)) // stride + 1
    matrix = np.zeros((rows, length))
    for i in range(rows):
        matrix[i, i * stride : i * stride + len(kernel)] = kernel
    return matrix


def matrix_by_scipy(kernel, length, stride):
    row = np.concatenate([kernel, np.zeros(length - len(kernel))])
    column = np.zeros(length - len(kernel) + 1)
    column[0] = kernel[0]
    return linalg.toeplitz(column, row)[::stride]


def patch_columns(image, height, width):
    rows, columns = image.shape[0] - height + 1, image.shape[1] - width + 1
    return np.stack(
        [image[u : u + rows, v : v + columns].ravel() for u in range(height) for v in range(width)]
    )


def patches_by_pixels(image, height, width, *, down_first=False):
    places = list(np.ndindex(image.shape[0] - height + 1, image.shape[1] - width + 1))
    if down_first:
        places.sort(key=lambda place: place[::-1])
    return np.stack([image[i : i + height, j : j + width].ravel() for i, j in places], axis=1)


def slide_backward(grad_output, x, kernel, stride):
    grad_x, grad_kernel = np.zeros(len(x)), np.zeros(len(kernel))
    for i, grad in enumerate(grad_output):
        place = slice(i * stride, i * stride + len(kernel))
        grad_x[place] += grad * kernel
        grad_kernel += grad * x[place]
    return grad_x, grad_kernel


def slide_by_conv2d(grad_output, x, kernel, stride):
    grad_x, grad_kernel, _ = convolution.conv2d_backward(
        grad_output[None, None, None],
        x[None, None, None],
        kernel[None, None, None],
        stride=(1, stride),
    )
    return grad_x.ravel(), grad_kernel.ravel()


RIGHT = [
    (check.conv_matrix, conv_matrix),
    (check.conv_matrix, matrix_by_scipy),
    (
        check.conv_matrix,
        lambda kernel, n, s: convolution.toeplitz_matrix(kernel, n, stride=s),
    ),
    (check.patch_columns, patch_columns),
    (check.patch_columns, patches_by_pixels),
    (check.patch_columns, lambda image, h, w: convolution.im2col(image[None, None], (h, w))),
    (check.slide_backward, slide_backward),
    (check.slide_backward, slide_by_conv2d),
]


@pytest.mark.parametrize(("exercise", "solution"), RIGHT)
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_right_answers_pass(
    exercise: Exercise, solution: Callable[..., Any], seed: int | None
) -> None:
    """Oracle: answers by loops, by SciPy, or by the package, on several sets of cases."""
    if seed is not None:
        exercise = reseeded(exercise, seed)
    result = exercise(solution)
    assert result, result.message


def one_row_more(kernel, length, stride):
    rows = (length - len(kernel)) // stride + 2
    matrix = np.zeros((rows, length))
    for i in range(rows):
        fits = min(len(kernel), max(0, length - i * stride))
        matrix[i, i * stride : i * stride + fits] = kernel[:fits]
    return matrix


def one_place_a_row(kernel, length, stride):
    rows = (length - len(kernel)) // stride + 1
    matrix = np.zeros((rows, length))
    for i in range(rows):
        matrix[i, i : i + len(kernel)] = kernel
    return matrix


def dilated(kernel, length, stride):
    rows = length - stride * (len(kernel) - 1)
    matrix = np.zeros((rows, length))
    for i in range(rows):
        matrix[i, i : i + stride * (len(kernel) - 1) + 1 : stride] = kernel
    return matrix


def one_position_short(image, height, width):
    rows, columns = image.shape[0] - height, image.shape[1] - width
    return np.stack(
        [image[u : u + rows, v : v + columns].ravel() for u in range(height) for v in range(width)]
    )


def apart(image, height, width):
    places = [
        (i, j)
        for i in range(0, image.shape[0] - height + 1, height)
        for j in range(0, image.shape[1] - width + 1, width)
    ]
    return np.stack([image[i : i + height, j : j + width].ravel() for i, j in places], axis=1)


def by_columns(image, height, width):
    places = np.ndindex(image.shape[0] - height + 1, image.shape[1] - width + 1)
    return np.stack([image[i : i + height, j : j + width].T.ravel() for i, j in places], axis=1)


def all_by_columns(image, height, width):
    return patches_by_pixels(image.T, width, height)


def last_output_only(grad_output, x, kernel, stride):
    grad_x = np.zeros(len(x))
    for i, grad in enumerate(grad_output):
        grad_x[i * stride : i * stride + len(kernel)] = grad * kernel
    return grad_x, slide_backward(grad_output, x, kernel, stride)[1]


def last_entry_only(grad_output, x, kernel, stride):
    grad_x = np.zeros(len(x))
    for u in range(len(kernel)):
        grad_x[u : u + stride * (len(grad_output) - 1) + 1 : stride] = kernel[u] * grad_output
    return grad_x, slide_backward(grad_output, x, kernel, stride)[1]


def flipped(grad_output, x, kernel, stride):
    right = slide_backward(grad_output, x, kernel, stride)
    return slide_backward(grad_output, x, kernel[::-1], stride)[0], right[1]


def stride_ignored(grad_output, x, kernel, stride):
    return slide_backward(grad_output, x, kernel, 1)


def stride_ignored_by_kernel(grad_output, x, kernel, stride):
    right = slide_backward(grad_output, x, kernel, stride)
    return right[0], np.correlate(x, grad_output, "valid")[: len(kernel)]


def convolved_at_stride_1(grad_output, x, kernel, stride):
    return np.convolve(grad_output, kernel), slide_backward(grad_output, x, kernel, stride)[1]


def too_short(grad_output, x, kernel, stride):
    grad_x, grad_kernel = slide_backward(grad_output, x, kernel, stride)
    return grad_x[: stride * (len(grad_output) - 1) + len(kernel)], grad_kernel


def averaged(grad_output, x, kernel, stride):
    grad_x, grad_kernel = slide_backward(grad_output, x, kernel, stride)
    return grad_x, grad_kernel / len(grad_output)


def in_place(grad_output, x, kernel, stride):
    right = slide_backward(grad_output, x, kernel, stride)
    x[:] = right[0]
    return right


WRONG = [
    (check.conv_matrix, lambda k, n, s: conv_matrix(k[::-1], n, s), "The kernel is flipped"),
    (check.conv_matrix, lambda k, n, s: conv_matrix(k, n, s).T, "This is the transpose"),
    (check.conv_matrix, lambda k, n, s: conv_matrix(k, n, 1), "The stride is ignored"),
    (check.conv_matrix, one_place_a_row, "moves by one place a row"),
    (check.conv_matrix, lambda k, n, s: conv_matrix(k, n, s)[:-1], "The last row is missing"),
    (check.conv_matrix, one_row_more, "one row too many"),
    (check.conv_matrix, dilated, "That is dilation"),
    (check.conv_matrix, lambda k, n, s: conv_matrix(k, n, s).astype(int), "holds int64"),
    (check.conv_matrix, lambda k, n, s: conv_matrix(k, n, s).tolist(), "not a list"),
    (check.patch_columns, lambda x, h, w: patch_columns(x, h, w).T, "Each patch is a row"),
    (
        check.patch_columns,
        lambda x, h, w: patches_by_pixels(x, h, w, down_first=True),
        "top to bottom first",
    ),
    (check.patch_columns, by_columns, "written column by column"),
    (check.patch_columns, all_by_columns, "Both orders"),
    (check.patch_columns, lambda x, h, w: patch_columns(x, w, h), "have changed places"),
    (check.patch_columns, one_position_short, "one more position"),
    (check.patch_columns, apart, "do not overlap"),
    (check.patch_columns, lambda x, h, w: patch_columns(x, h, w)[::-1], "upside down"),
    (check.slide_backward, lambda g, x, k, s: slide_backward(g, x, k, s)[::-1], "other order"),
    (check.slide_backward, last_entry_only, "several entries of the kernel"),
    (check.slide_backward, last_output_only, "several outputs overlap"),
    (check.slide_backward, flipped, "the kernel is flipped"),
    (check.slide_backward, stride_ignored, "The stride is ignored"),
    (check.slide_backward, stride_ignored_by_kernel, "grad_kernel ignores the stride"),
    (check.slide_backward, convolved_at_stride_1, "that of stride 1"),
    (check.slide_backward, too_short, "grad_x is too short"),
    (check.slide_backward, averaged, "grad_kernel is averaged"),
    (check.slide_backward, in_place, "in place"),
    (check.slide_backward, lambda g, x, k, s: slide_backward(g, x, k, s)[0], "2 values"),
    (
        check.slide_backward,
        lambda g, x, k, s: tuple(-part for part in slide_backward(g, x, k, s)),
        "wrong sign",
    ),
]


@pytest.mark.parametrize(("exercise", "answer", "diagnosis"), WRONG)
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_wrong_answers_get_a_diagnosis(
    exercise: Exercise, answer: Callable[..., Any], diagnosis: str, seed: int | None
) -> None:
    if seed is not None:
        exercise = reseeded(exercise, seed)
    result = exercise(answer)
    assert not result
    assert diagnosis in result.message
