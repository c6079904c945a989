"""The digits: real images, split by class, the same for every seed; the larger set on a local
stand-in. The photographs, and images on larger canvases."""

from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.datasets
import sklearn.model_selection
from hypothesis import given
from hypothesis import strategies as st

from companion import data

DIGITS = sklearn.datasets.load_digits()
PARTS = ("train", "val", "test")


def pieces(split):
    return [(getattr(split, f"x_{p}"), getattr(split, f"y_{p}")) for p in PARTS]


def rows(x):
    return {tuple(row) for row in np.round(16 * x).astype(int)}


def test_the_pixels_are_scikit_learns():
    """Oracle: sklearn.datasets.load_digits: every image once, divided by 16, with its label."""
    split = data.load_digits()
    x = np.concatenate([x for x, _ in pieces(split)])
    y = np.concatenate([y for _, y in pieces(split)])
    ours = np.column_stack([x, y])
    theirs = np.column_stack([DIGITS.data / 16, DIGITS.target])
    assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])
    assert x.min() == 0.0
    assert x.max() == 1.0
    assert split.image_shape == (8, 8)
    assert np.array_equal(DIGITS.images[0].ravel(), DIGITS.data[0])


@given(seed=st.integers(0, 1000), val=st.floats(0.05, 0.45), test=st.floats(0.05, 0.45))
def test_parts_are_disjoint_complete_and_stratified(seed, val, test):
    """Oracle: the sizes asked for, within two samples, and each class's share of the whole, within
    two samples."""
    split = data.load_digits(rng=seed, val_fraction=val, test_fraction=test)
    n = len(DIGITS.target)
    found = [rows(x) for x, _ in pieces(split)]
    assert sum(map(len, found)) == len(set.union(*found)) == len(rows(DIGITS.data / 16)) == n
    for (x, y), fraction in zip(pieces(split), (1 - val - test, val, test), strict=True):
        assert len(x) == len(y)
        assert abs(len(x) - fraction * n) <= 2
        shares = np.bincount(y, minlength=10) / len(y)
        assert np.abs(shares - np.bincount(DIGITS.target) / n).max() <= 2 / len(y)


def test_defaults():
    """Oracle: a fifth for validation, a fifth for the test, float64, and the seed 0."""
    split = data.load_digits()
    assert repr(split) == "Split(train=1077, val=360, test=360, features=64, classes=10)"
    assert (split.features, split.classes) == (64, 10)
    assert {x.dtype for x, _ in pieces(split)} == {np.dtype(np.float64)}
    assert {y.dtype for _, y in pieces(split)} == {np.dtype(np.int64)}
    for (x, y), (x0, y0) in zip(pieces(split), pieces(data.load_digits(rng=0)), strict=True):
        assert np.array_equal(x, x0)
        assert np.array_equal(y, y0)


def test_parts_are_not_mixed_up():
    """Oracle: the three sizes of unequal fractions."""
    split = data.load_digits(val_fraction=0.1, test_fraction=0.3)
    assert [len(y) for _, y in pieces(split)] == [1077, 180, 540]
    assert repr(split).startswith("Split(train=1077, val=180, test=540, ")


def test_a_seed_is_a_generator_made_from_it():
    """Oracle: equal splits for an integer and its generator, other ones for another seed and for a
    generator used twice."""
    first = data.load_digits(rng=5)
    rng = np.random.default_rng(5)
    assert np.array_equal(first.x_test, data.load_digits(rng=rng).x_test)
    again, other = data.load_digits(rng=rng), data.load_digits(rng=6)
    for part in ("x_train", "x_val", "x_test"):
        assert not np.array_equal(getattr(first, part), getattr(again, part))
        assert not np.array_equal(getattr(first, part), getattr(other, part))


def test_float32():
    """Oracle: the float64 pixels, which a division by 16 makes exact in float32 too."""
    small, large = data.load_digits(dtype=np.float32), data.load_digits()
    for (x, y), (x64, y64) in zip(pieces(small), pieces(large), strict=True):
        assert x.dtype == np.float32
        assert np.array_equal(x, x64)
        assert np.array_equal(y, y64)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"val_fraction": 0.0}, ValueError, r"^val_fraction must lie in \(0, 1\], got 0\.0$"),
        ({"val_fraction": -0.1}, ValueError, r"^val_fraction must lie in \(0, 1\], got -0\.1$"),
        ({"test_fraction": 0}, ValueError, r"^test_fraction must lie in \(0, 1\], got 0$"),
        ({"test_fraction": 1.5}, ValueError, r"^test_fraction must lie in \(0, 1\], got 1\.5$"),
        ({"val_fraction": "0.2"}, TypeError, r"^val_fraction must be a real number, got '0\.2'$"),
        (
            {"val_fraction": 0.5, "test_fraction": 0.5},
            ValueError,
            r"^val_fraction \+ test_fraction must be below 1, got 1$",
        ),
        (
            {"val_fraction": 0.75, "test_fraction": 0.5},
            ValueError,
            r"^val_fraction \+ test_fraction must be below 1, got 1\.25$",
        ),
        (
            {"source": "cifar"},
            ValueError,
            r"^source must be one of 'bundled', 'mnist', got 'cifar'$",
        ),
        ({"source": None}, ValueError, r"^source must be one of 'bundled', 'mnist', got None$"),
        ({"dtype": int}, TypeError, r"^dtype must be float32 or float64, got <class 'int'>$"),
        (
            {"rng": None},
            TypeError,
            r"^rng must be a numpy.random.Generator or an integer seed, got None$",
        ),
        ({"rng": -1}, ValueError, r"^rng must be a non-negative seed, got -1$"),
    ],
)
def test_bad_arguments_are_refused(options, error, message):
    """Oracle: the message names the argument, what was expected and what came."""
    with pytest.raises(error, match=message):
        data.load_digits(**options)


def test_mnist_goes_through_fetch_openml(monkeypatch):
    """Oracle: a local stand-in of the same form as OpenML's: labels as text, pixels to 255."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(256, size=(200, 784)).astype(float)
    pixels[0, 0], pixels[0, 1] = 0, 255
    labels = np.repeat(np.arange(10), 20)
    calls = []

    def fetch(*arguments, **options):
        calls.append((arguments, options))
        return SimpleNamespace(data=pixels, target=labels.astype(str).astype(object))

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    split = data.load_digits(source="mnist", rng=1, dtype=np.float32)
    # Version 1 is the original; the parser without pandas keeps the course's dependencies few.
    assert calls == [(("mnist_784",), {"version": 1, "as_frame": False, "parser": "liac-arff"})]
    assert split.image_shape == (28, 28)
    assert repr(split) == "Split(train=120, val=40, test=40, features=784, classes=10)"
    by_pixels = {tuple(np.float32(p / 255)): label for p, label in zip(pixels, labels, strict=True)}
    assert len(by_pixels) == 200
    for x, y in pieces(split):
        assert x.dtype == np.float32
        assert y.dtype == np.int64
        assert [by_pixels[tuple(row)] for row in x] == y.tolist()
        assert np.bincount(y).tolist() == [len(y) // 10] * 10
    x = np.concatenate([x for x, _ in pieces(split)])
    assert (x.min(), x.max()) == (0.0, 1.0)


def test_nothing_is_fetched_unless_asked(monkeypatch):
    """Oracle: a fetcher that fails when it is called."""

    def fetch(*arguments, **options):
        raise AssertionError("the bundled set needs no network")

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    assert data.load_digits(source="bundled").features == 64


def test_classes_are_counted_from_the_largest_label():
    """Oracle: labels 0 and 3 in the training part."""
    x, y = np.zeros((2, 6)), np.array([0, 3])
    split = data.Split(x, y, x[:1], y[:1], x[:0], y[:0], (2, 3))
    assert (split.features, split.classes) == (6, 4)
    assert repr(split) == "Split(train=2, val=1, test=0, features=6, classes=4)"
    with pytest.raises(AttributeError):
        split.x_train = x


def test_splits_are_drawn_from_32_bits(monkeypatch):
    """Oracle: the largest of 40 uniform draws; half the range is missed once in 10^12."""
    states = []
    split = sklearn.model_selection.train_test_split

    def record(*arrays, **options):
        states.append(options["random_state"])
        return split(*arrays, **options)

    monkeypatch.setattr(sklearn.model_selection, "train_test_split", record)
    for seed in range(20):
        data.load_digits(rng=seed)
    assert len(states) == len(set(states)) == 40
    assert 2**31 < max(states) < 2**32
    assert min(states) < 2**31


# --- Photographs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["china", "flower"])
def test_a_photo_is_scikit_learns_in_channels_first(name):
    """Oracle: sklearn.datasets.load_sample_image, divided by 255."""
    theirs = sklearn.datasets.load_sample_image(f"{name}.jpg") / 255.0
    ours = data.load_photo(name, grey=False)
    assert ours.shape == (3, 427, 640)
    for channel in range(3):
        assert np.array_equal(ours[channel], theirs[:, :, channel])


def test_grey_is_the_weighted_brightness():
    """Oracle: the weights of ITU-R BT.601, pixel by pixel; they add up to 1, so white stays 1."""
    red, green, blue = data.load_photo("flower", grey=False)
    grey = data.load_photo("flower")
    np.testing.assert_allclose(grey, 0.299 * red + 0.587 * green + 0.114 * blue, atol=1e-14)
    assert grey.min() >= 0.0
    assert grey.max() <= 1.0


@pytest.mark.parametrize("factor", [2, 7, 427])
def test_blocks_are_averaged_and_the_rest_cut_off(factor):
    """Oracle: the mean of the first and of the last whole block."""
    photo, small = data.load_photo("china"), data.load_photo("china", factor=factor)
    rows, columns = 427 // factor, 640 // factor
    assert small.shape == (rows, columns)
    assert small[0, 0] == pytest.approx(photo[:factor, :factor].mean())
    bottom, right = slice((rows - 1) * factor, rows * factor), slice((columns - 1) * factor, None)
    last = photo[bottom, right][:, :factor]
    assert small[-1, -1] == pytest.approx(last.mean())


def test_a_photo_takes_the_type_asked_for():
    """Oracle: float32, and float64 by default."""
    assert data.load_photo(factor=50, dtype=np.float32).dtype == np.float32
    assert data.load_photo(factor=50).dtype == np.float64


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "lena"}, ValueError, "name must be one of 'china', 'flower', got 'lena'"),
        ({"factor": 0}, ValueError, "factor must be at least 1, got 0"),
        ({"factor": 428}, ValueError, "factor must be at most 427, got 428"),
        ({"factor": 1.5}, TypeError, "factor must be an integer, got 1.5"),
        ({"dtype": int}, TypeError, "dtype must be float32 or float64"),
    ],
)
def test_load_photo_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        data.load_photo(**arguments)


# --- Canvases -------------------------------------------------------------------------------------


@given(seed=st.integers(0, 999), count=st.integers(0, 4))
def test_each_image_stands_at_its_place(seed, count):
    """Oracle: a loop over images that assigns a slice."""
    rng = np.random.default_rng(seed)
    images, places = rng.normal(size=(count, 3, 2)), rng.integers(0, [3, 4], size=(count, 2))
    expected = np.zeros((count, 5, 5))
    for canvas, image, (row, column) in zip(expected, images, places, strict=True):
        canvas[row : row + 3, column : column + 2] = image
    assert np.array_equal(data.place_on_canvas(images, 5, offsets=places), expected)


def test_one_offset_serves_all_images_and_float32_stays():
    """Oracle: numpy.pad."""
    images = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    canvas = data.place_on_canvas(images, 4, offsets=(1, 2))
    assert canvas.dtype == np.float32
    assert np.array_equal(canvas, np.pad(images, ((0, 0), (1, 1), (2, 0))))


@pytest.mark.parametrize(
    ("images", "size", "offsets", "error", "message"),
    [
        (np.ones((2, 3)), 4, (0, 0), ValueError, "images must have 3 axes"),
        (np.ones((2, 3, 3)), 4, (0.5, 0), TypeError, "offsets must hold integers, got dtype float"),
        (np.ones((2, 3, 3)), 4, (0, 0, 0), ValueError, r"shape \(2,\) or \(2, 2\), got \(3,\)"),
        (np.ones((2, 3, 3)), 4, (0, 2), ValueError, "inside the canvas, so lie in 0..1"),
        (np.ones((2, 3, 3)), 4, (-1, 0), ValueError, "got values from -1 to 0"),
        (np.ones((2, 3, 3)), 0, (0, 0), ValueError, "size must be at least 1, got 0"),
    ],
)
def test_place_on_canvas_refuses(images, size, offsets, error, message):
    with pytest.raises(error, match=message):
        data.place_on_canvas(images, size, offsets=offsets)
