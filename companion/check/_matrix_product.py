"""The exercises of the lesson *Convolution is a matrix product*."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake
from companion.convolution import toeplitz_matrix


def _matrix_case(rng: np.random.Generator) -> Mapping[str, Any]:
    # Strides above 1 that often leave places over at the end, and room for a dilated kernel.
    size, stride = int(rng.integers(2, 5)), int(rng.integers(2, 4))
    length = size * stride + int(rng.integers(1, 6))
    return {"kernel": rng.normal(size=size), "length": length, "stride": stride}


def _by_windows(kernel: FloatArray, length: int, stride: int) -> FloatArray:
    # The matrix of a linear map has the images of the unit vectors as columns.
    windows = sliding_window_view(np.eye(length), len(kernel), axis=1)[:, ::stride]
    return np.asarray((windows @ kernel).T)


def _wide_matrix(kernel: FloatArray, length: int, stride: int) -> FloatArray:
    """Return the matrix with one row more, the kernel cut off at the end if need be."""
    right = _by_windows(kernel, length, stride)
    row = np.zeros(length)
    start = stride * len(right)
    part = kernel[: max(0, length - start)]
    row[start : start + len(part)] = part
    return np.vstack([right, row])


def _unit_steps(kernel: FloatArray, length: int, stride: int) -> FloatArray:
    """Return as many rows as the stride allows, each one place further than the last."""
    return _by_windows(kernel, length, 1)[: len(_by_windows(kernel, length, stride))]


conv_matrix = Exercise(
    name="conv_matrix",
    oracle=_by_windows,
    sample=_matrix_case,
    edge_cases=[
        {"kernel": np.array([2.0, -1.0, 0.5]), "length": 3, "stride": 1},
        {"kernel": np.array([3.0]), "length": 4, "stride": 3},
        {"kernel": np.array([1.0, 2.0]), "length": 5, "stride": 1},
    ],
    mistakes=[
        Mistake(
            "The kernel is flipped. This is the matrix of the convolution in the strict sense; "
            "the correlation is asked for.",
            variant=lambda kernel, length, stride: _by_windows(kernel[::-1], length, stride),
        ),
        Mistake(
            "This is the transpose. A row says what one output takes from each input.",
            variant=lambda kernel, length, stride: _by_windows(kernel, length, stride).T,
        ),
        Mistake(
            "The stride is ignored: each row lies one place further than the row above.",
            variant=lambda kernel, length, stride: _by_windows(kernel, length, 1),
        ),
        Mistake(
            "The number of rows follows the stride, but the kernel moves by one place a row.",
            variant=_unit_steps,
        ),
        Mistake(
            "The last row is missing. Count the first position, too.",
            variant=lambda kernel, length, stride: _by_windows(kernel, length, stride)[:-1],
        ),
        Mistake(
            "There is one row too many: there the whole kernel does not fit any more.",
            variant=_wide_matrix,
        ),
        Mistake(
            "The stride sets gaps inside the kernel. That is dilation; "
            "the stride moves the whole kernel.",
            variant=lambda kernel, length, stride: toeplitz_matrix(kernel, length, dilation=stride),
        ),
    ],
    success="Each row holds the kernel, and only whole kernels count.",
)


def _patch_case(rng: np.random.Generator) -> Mapping[str, Any]:
    # A kernel of different sides, so that rows and columns cannot be confused unseen.
    height, width = (int(size) for size in rng.choice([2, 3, 4], size=2, replace=False))
    rows, columns = (int(size) for size in rng.choice([5, 6, 7, 8], size=2, replace=False))
    return {"image": rng.normal(size=(rows, columns)), "height": height, "width": width}


def _patches(image: FloatArray, height: int, width: int) -> FloatArray:
    """Return the patches as an array (rows, columns, height, width)."""
    return np.asarray(sliding_window_view(image, (height, width)))


def _as_columns(patches: FloatArray, order: tuple[int, int, int, int]) -> FloatArray:
    """Return the patches as columns after putting their axes in the given order."""
    axes = patches.transpose(order)
    return np.asarray(axes.reshape(axes.shape[0] * axes.shape[1], -1))


patch_columns = Exercise(
    name="patch_columns",
    oracle=lambda image, height, width: (
        _patches(image, height, width).reshape(-1, height * width).T.copy()
    ),
    sample=_patch_case,
    edge_cases=[
        {"image": np.arange(9.0).reshape(3, 3), "height": 3, "width": 3},
        {"image": np.arange(6.0).reshape(2, 3), "height": 1, "width": 1},
    ],
    mistakes=[
        Mistake(
            "Each patch is a row; the patches are to be columns.",
            variant=lambda image, height, width: _as_columns(
                _patches(image, height, width), (0, 1, 2, 3)
            ),
        ),
        Mistake(
            "The patches go from top to bottom first. They are to go along a row of the image.",
            variant=lambda image, height, width: _as_columns(
                _patches(image, height, width), (2, 3, 1, 0)
            ),
        ),
        Mistake(
            "Each patch is written column by column; it is to be written row by row.",
            variant=lambda image, height, width: _as_columns(
                _patches(image, height, width), (3, 2, 0, 1)
            ),
        ),
        Mistake(
            "Both orders run down the columns: that of the patches and that inside a patch. "
            "Rows come first in both.",
            variant=lambda image, height, width: _as_columns(
                _patches(image, height, width), (3, 2, 1, 0)
            ),
        ),
        Mistake(
            "Height and width of the kernel have changed places.",
            variant=lambda image, height, width: _as_columns(
                _patches(image, width, height), (2, 3, 0, 1)
            ),
        ),
        Mistake(
            "The last row and the last column of patches are missing. "
            "Along each axis there is one more position than you count.",
            variant=lambda image, height, width: _as_columns(
                _patches(image, height, width)[:-1, :-1], (2, 3, 0, 1)
            ),
        ),
        Mistake(
            "The patches do not overlap here. They begin at every pixel at which one fits.",
            variant=lambda image, height, width: _as_columns(
                _patches(image, height, width)[::height, ::width], (2, 3, 0, 1)
            ),
        ),
        Mistake(
            "Each patch is turned upside down and back to front. "
            "The first number of a column is the upper left one of its patch.",
            variant=lambda image, height, width: _as_columns(
                _patches(image, height, width), (2, 3, 0, 1)
            )[::-1],
        ),
    ],
    success="Every patch is a column, in the order of the outputs.",
)


def _slide_case(rng: np.random.Generator) -> Mapping[str, Any]:
    size, stride = int(rng.integers(3, 5)), int(rng.integers(2, 4))
    outputs = int(rng.integers(3, 6))
    # Some inputs at the end are met by no position.
    length = stride * (outputs - 1) + size + int(rng.integers(0, stride))
    return {
        "grad_output": rng.normal(size=outputs),
        "x": rng.normal(size=length),
        "kernel": rng.normal(size=size),
        "stride": stride,
    }


Gradients = tuple[FloatArray, FloatArray]


def _slide_gradients(
    grad_output: FloatArray, x: FloatArray, kernel: FloatArray, stride: int
) -> Gradients:
    # Both gradients are read off the matrix of the map in question.
    windows = sliding_window_view(x, len(kernel))[::stride]
    return toeplitz_matrix(kernel, len(x), stride=stride).T @ grad_output, windows.T @ grad_output


def _overwritten(
    grad_output: FloatArray, x: FloatArray, kernel: FloatArray, stride: int
) -> Gradients:
    grad_x, grad_kernel = np.zeros(len(x)), np.zeros(len(kernel))
    reach = stride * (len(grad_output) - 1) + 1
    for u, weight in enumerate(kernel):
        met = slice(u, u + reach, stride)
        grad_x[met] = weight * grad_output
        grad_kernel[u] = grad_output @ x[met]
    return grad_x, grad_kernel


def _overwritten_by_output(
    grad_output: FloatArray, x: FloatArray, kernel: FloatArray, stride: int
) -> Gradients:
    grad_x = np.zeros(len(x))
    for i, grad in enumerate(grad_output):
        grad_x[i * stride : i * stride + len(kernel)] = grad * kernel
    return grad_x, _slide_gradients(grad_output, x, kernel, stride)[1]


def _flipped(grad_output: FloatArray, x: FloatArray, kernel: FloatArray, stride: int) -> Gradients:
    right = _slide_gradients(grad_output, x, kernel, stride)
    return _slide_gradients(grad_output, x, kernel[::-1], stride)[0], right[1]


def _without_stride(
    grad_output: FloatArray, x: FloatArray, kernel: FloatArray, stride: int
) -> Gradients:
    grad_x, grad_kernel = np.zeros(len(x)), np.zeros(len(kernel))
    for u, weight in enumerate(kernel):
        met = slice(u, u + len(grad_output))
        grad_x[met] += weight * grad_output
        grad_kernel[u] = grad_output @ x[met]
    return grad_x, grad_kernel


def _cut_to_what_is_met(
    grad_output: FloatArray, x: FloatArray, kernel: FloatArray, stride: int
) -> Gradients:
    grad_x, grad_kernel = _slide_gradients(grad_output, x, kernel, stride)
    return grad_x[: stride * (len(grad_output) - 1) + len(kernel)], grad_kernel


def _averaged(grad_output: FloatArray, x: FloatArray, kernel: FloatArray, stride: int) -> Gradients:
    grad_x, grad_kernel = _slide_gradients(grad_output, x, kernel, stride)
    return grad_x, grad_kernel / len(grad_output)


def _stride_only_in_x(
    grad_output: FloatArray, x: FloatArray, kernel: FloatArray, stride: int
) -> Gradients:
    return (
        _slide_gradients(grad_output, x, kernel, stride)[0],
        _without_stride(grad_output, x, kernel, stride)[1],
    )


def _dense_convolution(
    grad_output: FloatArray, x: FloatArray, kernel: FloatArray, stride: int
) -> Gradients:
    right = _slide_gradients(grad_output, x, kernel, stride)
    return np.convolve(grad_output, kernel), right[1]


slide_backward = Exercise(
    name="slide_backward",
    oracle=_slide_gradients,
    sample=_slide_case,
    outputs=("grad_x", "grad_kernel"),
    edge_cases=[
        {
            "grad_output": np.array([2.0]),
            "x": np.array([1.0, -1.0, 3.0]),
            "kernel": np.array([0.5, 2.0, -1.0]),
            "stride": 1,
        },
        {
            "grad_output": np.array([1.0, -2.0, 0.5, 4.0]),
            "x": np.array([3.0, 1.0, -4.0, 1.0, 5.0]),
            "kernel": np.array([1.0, 2.0]),
            "stride": 1,
        },
    ],
    mistakes=[
        Mistake(
            "The two gradients are right, but in the other order: that of x comes first.",
            variant=lambda g, x, k, s: _slide_gradients(g, x, k, s)[::-1],
        ),
        Mistake(
            "Where several entries of the kernel send to the same input, only the last one "
            "counts. Their contributions add up.",
            variant=_overwritten,
        ),
        Mistake(
            "Where the places of several outputs overlap, only the last output counts. "
            "Their contributions add up.",
            variant=_overwritten_by_output,
        ),
        Mistake(
            "In grad_x the kernel is flipped. An input that met an entry of the kernel gets its "
            "gradient through that same entry.",
            variant=_flipped,
        ),
        Mistake(
            "The stride is ignored: the entry u of the kernel met every stride-th input from u on.",
            variant=_without_stride,
        ),
        Mistake(
            "grad_x is right, but grad_kernel ignores the stride: the entry u of the kernel met "
            "every stride-th input from u on.",
            variant=_stride_only_in_x,
        ),
        Mistake(
            "Your grad_x is that of stride 1. With a larger stride the places of neighbouring "
            "outputs lie stride inputs apart.",
            variant=_dense_convolution,
        ),
        Mistake(
            "grad_x is too short. Inputs that no position meets have a gradient as well, zero.",
            variant=_cut_to_what_is_met,
        ),
        Mistake(
            "grad_kernel is averaged over the positions. The same kernel served all of them, so "
            "it is a sum.",
            variant=_averaged,
        ),
    ],
    success="Both gradients are right, with any stride.",
)
