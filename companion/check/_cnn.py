"""The exercises of the lesson *A CNN, trained*."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from companion._validation import FloatArray, IntArray
from companion.check._engine import Exercise, Mistake, distinct_sizes
from companion.convolution import Conv2d

Stack = Sequence[tuple[int, int, int, int]]


def _windows_case(rng: np.random.Generator) -> Mapping[str, Any]:
    n, c, rows, columns = distinct_sizes(rng, 4, low=1, high=5)
    return {
        "grad_output": rng.normal(size=(n, c, rows, columns)),
        # Few different values, so that many windows hold their maximum more than once.
        "x": rng.integers(4, size=(n, c, 2 * rows, 2 * columns)) - 1.0,
    }


def _winner_by_winner(grad_output: FloatArray, x: FloatArray) -> FloatArray:
    grad = np.zeros_like(x)
    for n, c, i, j in np.ndindex(*grad_output.shape):
        window = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        u, v = np.unravel_index(window.argmax(), window.shape)
        grad[n, c, 2 * i + u, 2 * j + v] = grad_output[n, c, i, j]
    return grad


def _spread(a: FloatArray) -> FloatArray:
    """Return each entry four times, as the window of its output."""
    return np.asarray(a.repeat(2, axis=2).repeat(2, axis=3))


def _extreme(x: FloatArray, reduce: Callable[..., Any]) -> FloatArray:
    n, c, h, w = x.shape
    return np.asarray(reduce(x.reshape(n, c, h // 2, 2, w // 2, 2), axis=(3, 5)))


def _ties(x: FloatArray) -> FloatArray:
    return np.asarray((x == _spread(_extreme(x, np.max))).astype(float))


def _mirrored(grad_output: FloatArray, x: FloatArray) -> FloatArray:
    return _winner_by_winner(grad_output[..., ::-1, ::-1], x[..., ::-1, ::-1])[..., ::-1, ::-1]


def _in_fours(x: FloatArray) -> FloatArray:
    """Return windows of four neighbours in memory order, which are no windows of 2 x 2."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, w // 2, 4)


def _left_in_fours(grad_output: FloatArray, x: FloatArray) -> FloatArray:
    n, c, h, w = x.shape
    grad = _winner_by_winner(grad_output, x).reshape(n, c, h // 2, 2, w // 2, 2)
    return grad.transpose(0, 1, 2, 4, 3, 5).reshape(x.shape)


def _fours_for_windows(grad_output: FloatArray, x: FloatArray) -> FloatArray:
    mask = _in_fours(x).argmax(axis=-1)[..., None] == np.arange(4)
    return np.asarray(mask * grad_output[..., None]).reshape(x.shape)


max_pool_backward = Exercise(
    name="max_pool_backward",
    oracle=_winner_by_winner,
    sample=_windows_case,
    edge_cases=[
        {"grad_output": np.array([[[[2.0]]]]), "x": np.array([[[[1.0, 5.0], [4.0, 3.0]]]])},
        {"grad_output": np.array([[[[2.0]]]]), "x": np.zeros((1, 1, 2, 2))},
    ],
    mistakes=[
        Mistake(
            "Every entry that equals the maximum receives the gradient. Where a window holds its "
            "maximum twice, the first in reading order receives it alone.",
            variant=lambda g, x: _spread(g) * _ties(x),
        ),
        Mistake(
            "Equal maxima share the gradient. The convention here, PyTorch's, is that the first "
            "in reading order receives all of it.",
            variant=lambda g, x: _spread(g / _extreme(_ties(x), np.sum)) * _ties(x),
        ),
        Mistake(
            "Of equal maxima the last receives the gradient; it should be the first in reading "
            "order.",
            variant=_mirrored,
        ),
        Mistake(
            "Of equal maxima the first one down the columns receives the gradient. Reading order "
            "goes along the rows.",
            variant=lambda g, x: _winner_by_winner(g.swapaxes(2, 3), x.swapaxes(2, 3)).swapaxes(
                2, 3
            ),
        ),
        Mistake(
            "The gradient is shared out evenly over the window. That is right for the mean, not "
            "for the maximum.",
            variant=lambda g, x: _spread(g) / 4.0,
        ),
        Mistake(
            "Every entry of a window receives the whole gradient. Only the one that was copied to "
            "the output has any influence on it.",
            variant=lambda g, x: _spread(g),
        ),
        Mistake(
            "The smallest entry of each window receives the gradient.",
            variant=lambda g, x: _winner_by_winner(g, -x),
        ),
        Mistake(
            "The gradient is multiplied by the pixel. The output is a copy of the pixel, and the "
            "slope of a copy is 1.",
            variant=lambda g, x: _winner_by_winner(g, x) * x,
        ),
        Mistake(
            "Four numbers that follow each other in memory are taken for a window. A window has "
            "two rows: bring its axes side by side before reshaping.",
            variant=_fours_for_windows,
        ),
        Mistake(
            "The winners are right, and at the end they are not put back: undo the exchange of the "
            "axes before the last reshaping.",
            variant=_left_in_fours,
        ),
        Mistake(
            "The gradients are laid out like tiles, the whole map again and again. Each one "
            "belongs to a window of neighbouring pixels.",
            variant=lambda g, x: np.tile(g, (1, 1, 2, 2)) * _winner_by_winner(np.ones_like(g), x),
        ),
    ],
    success="Each gradient goes to one pixel, the first largest of its window.",
)


def _stack_case(rng: np.random.Generator) -> Mapping[str, Any]:
    layers = []
    for _ in range(rng.integers(1, 4)):
        kernels, kernel_size = distinct_sizes(rng, 2, low=2, high=6)
        layers.append((kernels, kernel_size, int(rng.integers(1, 3)), int(rng.integers(0, 3))))
    channels, height, width = distinct_sizes(rng, 3, low=20, high=40)
    return {"image_shape": (channels // 10, height, width), "layers": layers}


def _stack_by_running(image_shape: tuple[int, int, int], layers: Stack) -> tuple[int, ...]:
    x: FloatArray = np.zeros((1, *image_shape))
    parameters = 0
    for kernels, kernel_size, stride, padding in layers:
        layer = Conv2d(x.shape[1], kernels, kernel_size, stride=stride, padding=padding, rng=0)
        x = layer(x)
        parameters += sum(array.size for array in layer.parameters().values())
    return (*x.shape[1:], parameters)


def _stack_of_first_channels(image_shape: tuple[int, int, int], layers: Stack) -> tuple[int, ...]:
    *shape, _ = _stack_by_running(image_shape, layers)
    return (*shape, sum(m * (image_shape[0] * k * k + 1) for m, k, _, _ in layers))


def _stack(
    *,
    size: Callable[[int, int, int, int], int] = lambda n, k, s, p: (n + 2 * p - k) // s + 1,
    count: Callable[[int, int, int, int, int], int] = lambda c, m, k, h, w: m * (c * k * k + 1),
    add: bool = True,
) -> Callable[[tuple[int, int, int], Stack], tuple[int, ...]]:
    def wrong(image_shape: tuple[int, int, int], layers: Stack) -> tuple[int, ...]:
        (c, h, w), parameters = image_shape, 0
        for kernels, k, s, p in layers:
            h, w = size(h, k, s, p), size(w, k, s, p)
            parameters = add * parameters + count(c, kernels, k, h, w)
            c = kernels
        return c, h, w, parameters

    return wrong


conv_stack = Exercise(
    name="conv_stack",
    oracle=_stack_by_running,
    sample=_stack_case,
    outputs=("channels", "height", "width", "parameters"),
    edge_cases=[{"image_shape": (3, 5, 4), "layers": [(1, 1, 1, 0)]}],
    mistakes=[
        Mistake(
            "The biases are missing: one number for each kernel.",
            variant=_stack(count=lambda c, m, k, h, w: m * c * k * k),
        ),
        Mistake(
            "There is a bias for each pixel of the output. One for each kernel serves all places.",
            variant=_stack(count=lambda c, m, k, h, w: m * (c * k * k + h * w)),
        ),
        Mistake(
            "The parameters are counted once for each place. All places share one kernel.",
            variant=_stack(count=lambda c, m, k, h, w: m * (c * k * k + 1) * h * w),
        ),
        Mistake(
            "A kernel has a slice for each channel of its input; the channels are missing from "
            "the count.",
            variant=_stack(count=lambda c, m, k, h, w: m * (k * k + 1)),
        ),
        Mistake(
            "A kernel has a height and a width, and kernel_size is both; it counts once here.",
            variant=_stack(count=lambda c, m, k, h, w: m * (c * k + 1)),
        ),
        Mistake(
            "Every layer is counted with the channels of the image. The input of a later layer is "
            "the output of the one before.",
            variant=_stack_of_first_channels,
        ),
        Mistake(
            "Only the last layer's parameters are returned.",
            variant=_stack(add=False),
        ),
        Mistake(
            "The padding is added on one side only.",
            variant=_stack(size=lambda n, k, s, p: (n + p - k) // s + 1),
        ),
        Mistake(
            "The size is one too small: a kernel as large as the image still has one place.",
            variant=_stack(size=lambda n, k, s, p: (n + 2 * p - k) // s),
        ),
        Mistake(
            "The size is rounded up. A place where the kernel hangs over the edge does not count.",
            variant=_stack(size=lambda n, k, s, p: -(-(n + 2 * p - k) // s) + 1),
        ),
        Mistake(
            "The size does not depend on the stride.",
            variant=_stack(size=lambda n, k, s, p: n + 2 * p - k + 1),
        ),
        Mistake(
            "The size does not depend on the padding.",
            variant=_stack(size=lambda n, k, s, p: (n - k) // s + 1),
        ),
    ],
    success="Shape and count are those of the layers themselves.",
)


def _shift_case(rng: np.random.Generator) -> Mapping[str, Any]:
    n, h, w = distinct_sizes(rng, 3, low=3, high=8)
    shifts = rng.integers(-2, 3, size=(n, 2))
    shifts[0] = (1, -2)
    return {"images": rng.uniform(0.1, 1.0, size=(n, h, w)), "shifts": shifts}


def _shift_one_by_one(images: FloatArray, shifts: IntArray, mode: str = "constant") -> FloatArray:
    moved = [
        ndimage.shift(image, shift, order=0, mode=mode)
        for image, shift in zip(images, shifts, strict=True)
    ]
    return np.stack(moved)


shift_images = Exercise(
    name="shift_images",
    oracle=_shift_one_by_one,
    sample=_shift_case,
    edge_cases=[
        {"images": np.ones((2, 3, 4)), "shifts": np.array([[0, 0], [3, 0]])},
        {"images": np.ones((2, 3, 4)), "shifts": np.array([[-5, 1], [0, 9]])},
    ],
    mistakes=[
        Mistake(
            "What leaves the image on one side comes back on the other. The pixels that come in "
            "are zero.",
            variant=lambda images, shifts: np.stack(
                [np.roll(i, tuple(s), axis=(0, 1)) for i, s in zip(images, shifts, strict=True)]
            ),
        ),
        Mistake(
            "The pixels that come in repeat the edge; they are zero.",
            variant=lambda images, shifts: _shift_one_by_one(images, shifts, "nearest"),
        ),
        Mistake(
            "The images move the wrong way: a positive shift is down and to the right.",
            variant=lambda images, shifts: _shift_one_by_one(images, -shifts),
        ),
        Mistake(
            "Rows and columns are exchanged: the first number of a shift is down.",
            variant=lambda images, shifts: _shift_one_by_one(images, shifts[:, ::-1]),
        ),
        Mistake(
            "All images move by the same shift. Each has its own.",
            variant=lambda images, shifts: _shift_one_by_one(
                images, np.broadcast_to(shifts[0], shifts.shape)
            ),
        ),
        Mistake(
            "Only the rows move. The second number of a shift is to the right.",
            variant=lambda images, shifts: _shift_one_by_one(images, shifts * [1, 0]),
        ),
        Mistake(
            "Only the columns move. The first number of a shift is down.",
            variant=lambda images, shifts: _shift_one_by_one(images, shifts * [0, 1]),
        ),
        Mistake(
            "The images did not move.",
            variant=lambda images, shifts: images,
        ),
    ],
    success="Every image moves by its own shift, and what comes in is empty.",
)
