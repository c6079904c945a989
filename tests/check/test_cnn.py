"""The checks of the lesson *A CNN, trained*: right answers pass, typical wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from companion import check
from companion.check import Exercise
from companion.convolution import MaxPool2d, conv_output_size
from tests.check.oracles import reseeded


def windows(x):
    n, c, h, w = x.shape
    split = x.reshape(n, c, h // 2, 2, w // 2, 2)
    return split.transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)


def max_pool_backward(grad_output, x):
    n, c, h, w = x.shape
    chosen = windows(x).argmax(axis=-1)[..., None] == np.arange(4)
    grad = chosen * grad_output[..., None]
    grad = grad.reshape(n, c, h // 2, w // 2, 2, 2)
    return grad.transpose(0, 1, 2, 4, 3, 5).reshape(x.shape)


def by_layer(grad_output, x):
    layer = MaxPool2d(2)
    layer.forward(x)
    return layer.backward(grad_output)


def by_torch(grad_output, x):
    pixels = torch.tensor(x, requires_grad=True)
    torch.nn.functional.max_pool2d(pixels, 2).backward(torch.tensor(grad_output))
    return pixels.grad.numpy()


def conv_stack(image_shape, layers):
    (c, h, w), parameters = image_shape, 0
    for kernels, size, stride, padding in layers:
        parameters += kernels * (c * size**2 + 1)
        c = kernels
        h, w = ((n + 2 * padding - size) // stride + 1 for n in (h, w))
    return c, h, w, parameters


def conv_stack_by_package(image_shape, layers):
    (c, h, w), parameters = image_shape, 0
    for kernels, k, stride, padding in layers:
        parameters += kernels * c * k * k + kernels
        c, h, w = (
            kernels,
            *(conv_output_size(n, k, stride=stride, padding=padding) for n in (h, w)),
        )
    return [c, h, w, parameters]


def shift_images(images, shifts):
    n, h, w = images.shape
    rows, columns = np.arange(h) - shifts[:, :1], np.arange(w) - shifts[:, 1:]
    inside = ((rows >= 0) & (rows < h))[:, :, None] & ((columns >= 0) & (columns < w))[:, None]
    moved = images[np.arange(n)[:, None, None], (rows % h)[:, :, None], (columns % w)[:, None]]
    return np.where(inside, moved, 0.0)


def shift_by_padding(images, shifts):
    _, h, w = images.shape
    out = []
    for image, (down, right) in zip(images, shifts, strict=True):
        padded = np.pad(image, ((h + 9, h + 9), (w + 9, w + 9)))
        top, left = h + 9 - down, w + 9 - right
        out.append(padded[top : top + h, left : left + w])
    return np.stack(out)


RIGHT = [
    (check.max_pool_backward, max_pool_backward),
    (check.max_pool_backward, by_layer),
    (check.max_pool_backward, by_torch),
    (check.conv_stack, conv_stack),
    (check.conv_stack, conv_stack_by_package),
    (check.shift_images, shift_images),
    (check.shift_images, shift_by_padding),
]


@pytest.mark.parametrize(("exercise", "solution"), RIGHT)
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_right_answers_pass(
    exercise: Exercise, solution: Callable[..., Any], seed: int | None
) -> None:
    """Oracle: answers written by hand, the package's layers and PyTorch, on several sets of
    cases."""
    if seed is not None:
        exercise = reseeded(exercise, seed)
    result = exercise(solution)
    assert result, result.message


def spread(a):
    return a.repeat(2, axis=2).repeat(2, axis=3)


def is_maximum(x):
    return x == spread(windows(x).max(axis=-1))


def in_place(grad_output, x):
    result = max_pool_backward(grad_output, x)
    x[...] = 0
    return result


def without_transposing(g, x):
    n, c, h, w = x.shape
    fours = x.reshape(n, c, h // 2, w // 2, 4)
    return ((fours.argmax(axis=-1)[..., None] == np.arange(4)) * g[..., None]).reshape(x.shape)


def without_transposing_back(g, x):
    chosen = windows(x).argmax(axis=-1)[..., None] == np.arange(4)
    return (chosen * g[..., None]).reshape(x.shape)


def first_channels(image_shape, layers):
    *shape, _ = conv_stack(image_shape, layers)
    c, parameters = image_shape[0], 0
    for kernels, size, _, _ in layers:
        parameters += kernels * (c * size**2 + 1)
    return *shape, parameters


def last_winner(g, x):
    return max_pool_backward(g[..., ::-1, ::-1], x[..., ::-1, ::-1])[..., ::-1, ::-1]


def down_the_columns(g, x):
    return max_pool_backward(g.swapaxes(2, 3), x.swapaxes(2, 3)).swapaxes(2, 3)


def counted(parameters):
    def wrong(image_shape, layers):
        (c, h, w), total = image_shape, 0
        for kernels, k, stride, padding in layers:
            h, w = ((n + 2 * padding - k) // stride + 1 for n in (h, w))
            total = parameters(total, c, kernels, k, h * w)
            c = kernels
        return c, h, w, total

    return wrong


def sized(size):
    def wrong(image_shape, layers):
        (c, h, w), total = image_shape, 0
        for kernels, k, stride, padding in layers:
            h, w = (size(n, k, stride, padding) for n in (h, w))
            total += kernels * (c * k * k + 1)
            c = kernels
        return c, h, w, total

    return wrong


def each(function):
    return lambda images, shifts: np.stack(
        [function(i, s) for i, s in zip(images, shifts, strict=True)]
    )


def edges_repeated(image, shift):
    h, w = image.shape
    rows = np.clip(np.arange(h) - shift[0], 0, h - 1)
    return image[rows][:, np.clip(np.arange(w) - shift[1], 0, w - 1)]


WRONG = [
    (check.max_pool_backward, lambda g, x: spread(g) * is_maximum(x), "Every entry that equals"),
    (
        check.max_pool_backward,
        lambda g, x: spread(g) * is_maximum(x) / spread(windows(is_maximum(x)).sum(axis=-1)),
        "share the gradient",
    ),
    (check.max_pool_backward, last_winner, "the last receives"),
    (check.max_pool_backward, down_the_columns, "down the columns"),
    (check.max_pool_backward, lambda g, x: spread(g) / 4, "right for the mean"),
    (check.max_pool_backward, lambda g, x: spread(g), "Every entry of a window"),
    (check.max_pool_backward, lambda g, x: max_pool_backward(g, -x), "smallest entry"),
    (check.max_pool_backward, lambda g, x: max_pool_backward(g, x) * x, "slope of a copy"),
    (
        check.max_pool_backward,
        lambda g, x: np.tile(g, (1, 1, 2, 2)) * max_pool_backward(np.ones_like(g), x),
        "like tiles",
    ),
    (check.max_pool_backward, without_transposing, "follow each other in memory"),
    (check.max_pool_backward, without_transposing_back, "not put back"),
    (check.max_pool_backward, lambda g, x: -max_pool_backward(g, x), "wrong sign"),
    (check.max_pool_backward, lambda g, x: g, "has shape"),
    (check.max_pool_backward, in_place, "in place"),
    (check.conv_stack, counted(lambda t, c, m, k, hw: t + m * c * k * k), "biases are missing"),
    (
        check.conv_stack,
        counted(lambda t, c, m, k, hw: t + m * c * k * k + m * hw),
        "a bias for each pixel",
    ),
    (
        check.conv_stack,
        counted(lambda t, c, m, k, hw: t + m * hw * (c * k * k + 1)),
        "once for each place",
    ),
    (check.conv_stack, counted(lambda t, c, m, k, hw: t + m * (k * k + 1)), "channels are missing"),
    (check.conv_stack, counted(lambda t, c, m, k, hw: t + m * (c * k + 1)), "it counts once"),
    (check.conv_stack, first_channels, "channels of the image"),
    (check.conv_stack, counted(lambda t, c, m, k, hw: m * (c * k * k + 1)), "Only the last"),
    (check.conv_stack, sized(lambda n, k, s, p: (n + p - k) // s + 1), "one side only"),
    (check.conv_stack, sized(lambda n, k, s, p: (n + 2 * p - k) // s), "one too small"),
    (check.conv_stack, sized(lambda n, k, s, p: -((k - n - 2 * p) // s) + 1), "rounded up"),
    (check.conv_stack, sized(lambda n, k, s, p: n + 2 * p - k + 1), "depend on the stride"),
    (check.conv_stack, sized(lambda n, k, s, p: (n - k) // s + 1), "depend on the padding"),
    (check.conv_stack, lambda image_shape, layers: conv_stack(image_shape, layers)[:3], "4 values"),
    (
        check.shift_images,
        each(lambda i, s: np.roll(i, tuple(s), axis=(0, 1))),
        "comes back on the other",
    ),
    (check.shift_images, each(edges_repeated), "repeat the edge"),
    (check.shift_images, lambda i, s: shift_images(i, -s), "wrong way"),
    (check.shift_images, lambda i, s: shift_images(i, s[:, ::-1]), "exchanged"),
    (
        check.shift_images,
        lambda i, s: shift_images(i, np.repeat(s[:1], len(s), axis=0)),
        "All images move",
    ),
    (check.shift_images, lambda i, s: shift_images(i, s * [1, 0]), "Only the rows"),
    (check.shift_images, lambda i, s: shift_images(i, s * [0, 1]), "Only the columns"),
    (check.shift_images, lambda i, s: i, "did not move"),
    (check.shift_images, lambda i, s: shift_images(i, s)[:-1], "has shape"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    result = exercise(answer)
    assert not result
    assert words in result.message
