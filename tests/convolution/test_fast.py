"""Fast convolution: exact transforms, and three ways to what PyTorch computes."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from companion import convolution
from companion.convolution import (
    direct_conv2d,
    fast,
    fft_conv2d,
    operation_count,
    winograd_conv2d,
    winograd_filter,
    winograd_points,
    winograd_transforms,
)

METHODS: dict[str, Callable[..., np.ndarray]] = {
    "direct": direct_conv2d,
    "winograd 1": partial(winograd_conv2d, tile=1),
    "winograd 2": partial(winograd_conv2d, tile=2),
    "winograd 3": partial(winograd_conv2d, tile=3),
    "winograd 4": winograd_conv2d,
    "fft": fft_conv2d,
}
# With an even kernel and "same" PyTorch says that it copies the input.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))


def _torch(x: np.ndarray, weight: np.ndarray, padding: Any = 0) -> np.ndarray:
    """Return PyTorch's convolution in double precision."""
    return torch.nn.functional.conv2d(
        torch.tensor(x, dtype=torch.float64),
        torch.tensor(weight, dtype=torch.float64),
        padding=padding,
    ).numpy()


def _case(
    x_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    *,
    dtype: Any = np.float64,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=x_shape).astype(dtype), rng.normal(size=weight_shape).astype(dtype)


# --- The transforms -------------------------------------------------------------------------------

THIRD = Fraction(1, 3)
SIZES = [(2, 3), (4, 3), (3, 2), (6, 3), (2, 5), (3, 3), (1, 1), (1, 4), (5, 1), (8, 3), (2, 2)]
CHOSEN = [
    (2, 3, (0, 2, THIRD)),
    (4, 3, (0, 1, -1, Fraction(1, 2), Fraction(-1, 2))),
    (2, 3, (5, -7, 0.1)),
]


def _responses(transforms: convolution.WinogradTransforms) -> list[list[list[Fraction]]]:
    """Return, for each unit vector of data and each of the kernel, the outputs, exactly."""
    at, g, bt = transforms.at, transforms.g, transforms.bt
    return [
        [
            [sum(row[i] * g[i][k] * bt[i][j] for i in range(len(bt))) for row in at]
            for k in range(len(g[0]))
        ]
        for j in range(len(bt))
    ]


@pytest.mark.parametrize(
    ("m", "r", "points"), [*((m, r, None) for m, r in SIZES), *CHOSEN], ids=str
)
def test_the_transforms_are_exact(m: int, r: int, points: Any) -> None:
    """Oracle: the definition of a filter. It is bilinear, so all pairs of unit vectors prove it."""
    transforms = winograd_transforms(m, r, points=points)
    wanted = [[[int(j == i + k) for i in range(m)] for k in range(r)] for j in range(m + r - 1)]
    assert _responses(transforms) == wanted


@pytest.mark.parametrize(("m", "r"), SIZES)
def test_a_tile_needs_as_many_products_as_it_has_data(m: int, r: int) -> None:
    """Oracle: Winograd's minimum m + r - 1 (Arithmetic Complexity of Computations, 1980)."""
    at, g, bt = winograd_transforms(m, r).as_arrays()
    assert (at.shape, g.shape, bt.shape) == (
        (m, m + r - 1),
        (m + r - 1, r),
        (m + r - 1, m + r - 1),
    )


PUBLISHED = {
    2: (
        [[1, 1, 1, 0], [0, 1, -1, -1]],
        [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
        [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    ),
    4: (
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
        [
            [1 / 4, 0, 0],
            [-1 / 6, -1 / 6, -1 / 6],
            [-1 / 6, 1 / 6, -1 / 6],
            [1 / 24, 1 / 12, 1 / 6],
            [1 / 24, -1 / 12, 1 / 6],
            [0, 0, 1],
        ],
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ],
    ),
}


@pytest.mark.parametrize("m", [2, 4])
def test_published_transforms(m: int) -> None:
    """Oracle: Lavin & Gray (2016), whose products differ from ours at most in their sign."""
    theirs = [np.array(matrix, dtype=float) for matrix in PUBLISHED[m]]
    ours = winograd_transforms(m, 3).as_arrays()
    for i in range(m + 2):
        rows = [(a[:, i], g[i], bt[i]) for a, g, bt in (ours, theirs)]
        signs = []
        for one, other in zip(*rows, strict=True):
            signs.append(1 if np.allclose(one, other) else -1)
            np.testing.assert_allclose(one, signs[-1] * other, rtol=1e-15)
        assert math.prod(signs) == 1


def test_the_default_points() -> None:
    """Oracle: their list."""
    wanted = ["0", "1", "-1", "2", "-2", "1/2", "-1/2", "3", "-3", "1/3", "-1/3", "4"]
    assert [str(point) for point in winograd_points(12)] == wanted
    assert winograd_points(0) == ()


def test_a_float_counts_as_what_it_is() -> None:
    """Oracle: 0.1 is not one tenth, and 0.5 is one half."""
    assert winograd_transforms(2, 2, points=[0, 0.1]).at[1][1] == Fraction(0.1) != Fraction(1, 10)
    halves = winograd_transforms(2, 2, points=[0.5, -1])
    assert halves == winograd_transforms(2, 2, points=[Fraction(1, 2), -1])


def test_transforms_as_arrays() -> None:
    """Oracle: the fraction rounded to the type asked for."""
    transforms = winograd_transforms(4, 3)
    for dtype in (np.float32, np.float64):
        at, g, bt = transforms.as_arrays(dtype)
        assert at.dtype == g.dtype == bt.dtype == dtype
        assert g[3, 0] == dtype(1) / dtype(24)
    with pytest.raises(TypeError, match="dtype must be float32 or float64"):
        transforms.as_arrays(int)


@pytest.mark.parametrize(
    ("arguments", "points", "error", "message"),
    [
        ((0, 3), None, ValueError, "outputs must be at least 1, got 0"),
        ((2, 0), None, ValueError, "taps must be at least 1, got 0"),
        ((2.5, 3), None, TypeError, "outputs must be an integer"),
        ((2, 3), (0, 1), ValueError, r"points must hold 3 numbers for F\(2, 3\), got 2"),
        ((2, 3), (0, 1, 1), ValueError, "points must differ, got 0, 1, 1"),
        ((2, 3), (0, 1, np.inf), ValueError, r"points\[2\] must lie in"),
        ((2, 3), (0, "1", 2), TypeError, r"points\[1\] must be a real number"),
    ],
)
def test_refused_transforms(
    arguments: Any, points: Any, error: type[Exception], message: str
) -> None:
    """Oracle: the documented errors."""
    with pytest.raises(error, match=message):
        winograd_transforms(*arguments, points=points)


def test_refused_points() -> None:
    """Oracle: the documented error."""
    with pytest.raises(ValueError, match="count must be at least 0, got -1"):
        winograd_points(-1)


@given(m=st.integers(1, 5), r=st.integers(1, 5), seed=st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_one_tile_is_a_correlation(m: int, r: int, seed: int) -> None:
    """Oracle: np.correlate."""
    rng = np.random.default_rng(seed)
    d, g = rng.normal(size=m + r - 1), rng.normal(size=r)
    np.testing.assert_allclose(winograd_filter(d, g), np.correlate(d, g), rtol=0, atol=1e-9)


def test_one_tile_with_other_points_and_types() -> None:
    """Oracle: np.correlate; float32 in, float32 out."""
    rng = np.random.default_rng(0)
    d, g = rng.normal(size=6), rng.normal(size=3)
    points = (0, 1, -1, Fraction(1, 2), Fraction(-1, 2))
    np.testing.assert_allclose(winograd_filter(d, g, points=points), np.correlate(d, g), rtol=1e-12)
    single = winograd_filter(d.astype(np.float32), g.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, np.correlate(d, g), rtol=1e-5)
    assert winograd_filter([2], [3]).tolist() == [6.0]


@pytest.mark.parametrize(
    ("d", "g", "message"),
    [
        ([1, 2], [1, 2, 3], "no more than d, got 3 and 2"),
        ([1, 2], [], "at least one entry and no more than d, got 0 and 2"),
        ([[1, 2]], [1], "d must have 1 axes"),
        ([1, 2], [[1]], "g must have 1 axes"),
    ],
)
def test_refused_tiles(d: Any, g: Any, message: str) -> None:
    """Oracle: the documented errors."""
    with pytest.raises(ValueError, match=message):
        winograd_filter(d, g)


# --- Convolutions ---------------------------------------------------------------------------------


@every_method
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_they_compute_what_pytorch_computes(
    method: Callable[..., np.ndarray], data: st.DataObject
) -> None:
    """Oracle: torch.nn.functional.conv2d in double precision."""
    draw = data.draw
    kernel = draw(st.integers(1, 5))
    padding = draw(st.sampled_from([0, 1, 3, (2, 0), "same", "valid"]))
    n, c, k = (draw(st.integers(low, 4)) for low in (0, 1, 1))
    x_shape = (n, c, draw(st.integers(kernel, 13)), draw(st.integers(kernel, 13)))
    x, weight = _case(x_shape, (k, c, kernel, kernel), seed=draw(st.integers(0, 99)))
    got, wanted = method(x, weight, padding=padding), _torch(x, weight, padding)
    assert got.shape == wanted.shape
    # The transforms of the largest tile, 4 + 5 - 1 = 8 points, lose four digits of sixteen.
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-10 * c * kernel**2)


@pytest.mark.parametrize("method", [direct_conv2d, fft_conv2d])
@given(
    height=st.integers(1, 4), width=st.integers(1, 6), padding=st.sampled_from([0, (1, 3), "same"])
)
@settings(max_examples=30, deadline=None)
def test_oblong_kernels(
    method: Callable[..., np.ndarray], height: int, width: int, padding: Any
) -> None:
    """Oracle: torch.nn.functional.conv2d."""
    x, weight = _case((2, 3, 7, 9), (2, 3, height, width))
    got = method(x, weight, padding=padding)
    np.testing.assert_allclose(got, _torch(x, weight, padding), rtol=0, atol=1e-12)


# Twice what twenty seeds gave, and more. The two large tiles lose a digit.
SINGLE = {"winograd 3": 30, "winograd 4": 60}


@pytest.mark.parametrize("name", list(METHODS))
@pytest.mark.parametrize("seed", range(5))
def test_single_precision(name: str, seed: int) -> None:
    """Oracle: PyTorch in double; errors in roundings of the largest sum of absolute products."""
    x, weight = _case((2, 16, 17, 23), (8, 16, 3, 3), dtype=np.float32, seed=seed)
    got = METHODS[name](x, weight, padding=1)
    assert got.dtype == np.float32
    scale = _torch(np.abs(x), np.abs(weight), 1).max()
    error = np.abs(got - _torch(x, weight, 1)).max()
    assert error <= SINGLE.get(name, 6) * np.finfo(np.float32).eps / 2 * scale


@every_method
def test_arguments_stay_and_results_are_new_and_contiguous(
    method: Callable[..., np.ndarray],
) -> None:
    """Oracle: copies made before the call."""
    x, weight = _case((2, 2, 5, 6), (3, 2, 3, 3))
    before = x.copy(), weight.copy()
    out = method(x, weight, padding=1)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(weight, before[1])
    assert out.flags.c_contiguous
    assert out.flags.writeable
    assert not np.shares_memory(out, x)


@every_method
def test_views_and_integers(method: Callable[..., np.ndarray]) -> None:
    """Oracle: PyTorch; a transposed view and whole numbers are images as well."""
    x, weight = _case((6, 5, 2, 3), (3, 3, 2, 2))[0].T, np.arange(2 * 3 * 4).reshape(2, 3, 2, 2)
    assert x.shape == (3, 2, 5, 6)
    with pytest.raises(ValueError, match="channels"):
        method(x, weight)
    weight = weight.reshape(3, 2, 2, 2)
    np.testing.assert_allclose(method(x, weight), _torch(x, weight), rtol=0, atol=1e-10)


@every_method
@pytest.mark.parametrize(
    ("x_shape", "weight_shape", "padding", "message"),
    [
        ((2, 3, 4), (1, 3, 2, 2), 0, "x must have 4 axes"),
        ((2, 3, 4, 4), (3, 2, 2), 0, "weight must have 4 axes"),
        ((2, 3, 4, 4), (1, 2, 3, 3), 0, "x must have 2 channels"),
        ((2, 3, 4, 4), (1, 3, 5, 5), 0, "kernel_size must fit"),
        ((2, 3, 4, 4), (1, 3, 0, 0), 0, "weight must not be empty"),
        ((2, 3, 4, 4), (1, 3, 3, 3), -1, "padding must be at least 0"),
        ((2, 3, 4, 4), (1, 3, 3, 3), "full", "padding must be one of"),
    ],
)
def test_refused_convolutions(
    method: Callable[..., np.ndarray],
    x_shape: Any,
    weight_shape: Any,
    padding: Any,
    message: str,
) -> None:
    """Oracle: the documented errors."""
    with pytest.raises(ValueError, match=message):
        method(np.ones(x_shape), np.ones(weight_shape), padding=padding)


@every_method
def test_types_must_agree(method: Callable[..., np.ndarray]) -> None:
    """Oracle: the documented error."""
    with pytest.raises(TypeError, match="weight must be float32 like x"):
        method(np.ones((1, 1, 3, 3), dtype=np.float32), np.ones((1, 1, 2, 2)))


def test_refused_tiles_of_images() -> None:
    """Oracle: the documented errors."""
    x, weight = _case((1, 1, 6, 6), (1, 1, 3, 3))
    with pytest.raises(ValueError, match="tile must be at least 1"):
        winograd_conv2d(x, weight, tile=0)
    with pytest.raises(TypeError, match="tile must be an integer"):
        winograd_conv2d(x, weight, tile=2.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"weight must hold square kernels .*\(1, 3\)"):
        winograd_conv2d(x, weight[:, :, :1])
    with pytest.raises(ValueError, match="points must hold 5 numbers"):
        winograd_conv2d(x, weight, points=(0, 1, -1))


def test_other_points_give_the_same_convolution() -> None:
    """Oracle: PyTorch."""
    x, weight = _case((2, 3, 9, 7), (4, 3, 3, 3))
    points = (0, 1, -1, Fraction(1, 2), Fraction(-1, 2))
    got = winograd_conv2d(x, weight, points=points)
    np.testing.assert_allclose(got, _torch(x, weight), rtol=0, atol=1e-11)


@pytest.mark.parametrize("chunk", [1, 3000, 8000, 10**9])
def test_chunks_change_nothing(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: PyTorch, whatever fits into a chunk: a row of tiles, some, a sample or all."""
    monkeypatch.setattr(fast, "_CHUNK_BYTES", chunk)
    x, weight = _case((5, 2, 11, 9), (3, 2, 3, 3))
    for method in METHODS.values():
        np.testing.assert_allclose(
            method(x, weight, padding=1), _torch(x, weight, 1), rtol=0, atol=1e-10
        )


def test_how_far_a_nan_reaches() -> None:
    """Oracle: the documented notes: the tiles it is in, or the whole image, and no other image."""
    x, weight = _case((2, 1, 12, 12), (1, 1, 3, 3))
    x[0, 0, 5, 5] = np.nan
    right = np.isnan(_torch(x, weight))
    assert right.sum() == 9
    by_tiles = np.isnan(winograd_conv2d(x, weight, tile=2))
    # Its 4 x 4 windows start at multiples of 2: two along each axis hold pixel 5.
    assert by_tiles[0, 0, 2:6, 2:6].all()
    assert by_tiles.sum() == 16
    by_spectra = np.isnan(fft_conv2d(x, weight))
    assert by_spectra[0].all()
    assert not by_spectra[1].any()


# --- Counts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [0, 1, "same"])
def test_direct_count(padding: Any) -> None:
    """Oracle: PyTorch's own counter, which counts a multiplication and an addition as two."""
    x, weight = _case((2, 3, 10, 11), (4, 3, 3, 3))
    with FlopCounterMode(display=False) as counter:
        torch.nn.functional.conv2d(torch.tensor(x), torch.tensor(weight), padding=padding)
    count = operation_count("direct", x.shape, weight.shape, padding=padding)
    assert count.total == 2 * count.multiplications == counter.get_total_flops()
    assert count.transforms == 0


@pytest.mark.parametrize(("tile", "saving"), [(2, 2.25), (4, 4.0)])
def test_winograd_saves_what_was_published(tile: int, saving: float) -> None:
    """Oracle: Lavin & Gray (2016): 36 over 16, and 144 over 36."""
    shapes = (2, 3, 8, 12), (4, 3, 3, 3)
    direct = operation_count("direct", *shapes, padding=1)
    fast_count = operation_count("winograd", *shapes, padding=1, tile=tile)
    assert direct.multiplications == saving * fast_count.multiplications


def test_transforms_of_two_by_two_tiles() -> None:
    """Oracle: Lavin & Gray (2016): 32 additions for the data and 24 for the outputs of a tile."""
    counts = [
        operation_count("winograd", (1, c, 4, 2 + 2 * tiles), (k, c, 3, 3), tile=2).transforms
        for c, k, tiles in ((1, 1, 1), (1, 1, 2), (2, 1, 1), (1, 2, 1))
    ]
    kernel = counts[0] - 32 - 24
    # Per vector 4 additions and 6 halves; 3 columns and 4 rows.
    assert kernel == 10 * 7
    assert counts[1] - counts[0] == 32 + 24
    assert counts[2] - counts[0] == 32 + kernel
    assert counts[3] - counts[0] == 24 + kernel


def test_tiles_that_stick_out_are_counted() -> None:
    """Oracle: five outputs need two tiles of four."""
    one, two = (
        operation_count("winograd", (1, 1, h, 6), (1, 1, 3, 3)).multiplications for h in (6, 7)
    )
    assert (one, two) == (36, 72)


def test_fft_count() -> None:
    """Oracle: the convention, by hand: 16 x 9 frequencies, 16 x 16 numbers of 8 halvings."""
    count = operation_count("fft", (2, 3, 14, 14), (5, 3, 3, 3), padding=1)
    assert count.multiplications == 4 * 16 * 9 * 2 * 3 * 5
    assert count.transforms == (2 * 3 + 3 * 5 + 2 * 5) * 2.5 * 256 * 8
    assert count.total == 2 * count.multiplications + count.transforms


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("fast", (1, 1, 4, 4), (1, 1, 3, 3)), ValueError, "method must be one of"),
        (("fft", (1, 4, 4), (1, 1, 3, 3)), ValueError, "x_shape must hold four sizes"),
        (("fft", (1, 1, 4, 4), (1, 1, 3)), ValueError, "weight_shape must hold four sizes"),
        (("fft", (1, 2, 4, 4), (1, 1, 3, 3)), ValueError, "must have 2 channels like x_shape"),
        (("fft", (1, 1, 4, 4), (1, 1, 5, 5)), ValueError, "kernel_size must fit"),
        (("winograd", (1, 1, 4, 4), (1, 1, 3, 2)), ValueError, "square"),
        (("fft", (0, 1, 4, 4), (1, 1, 3, 3)), ValueError, r"x_shape\[0\] must be at least 1"),
        (("fft", (1, 1, 4.0, 4), (1, 1, 3, 3)), TypeError, r"x_shape\[2\] must be an integer"),
    ],
)
def test_refused_counts(arguments: Any, error: type[Exception], message: str) -> None:
    """Oracle: the documented errors."""
    with pytest.raises(error, match=message):
        operation_count(*arguments)
