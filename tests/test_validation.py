"""The checks of arguments from outside: what passes, what does not, and what the message says."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion import _validation as check


def refused(error, message):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


# float_array


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (np.ones(2, np.float32), np.float32),
        (np.ones(2, np.float64), np.float64),
        (np.ones(2, np.float16), np.float64),
        (np.ones(2, np.int8), np.float64),
        (np.ones(2, np.uint64), np.float64),
        ([True, False], np.float64),
        ([1, 2.5], np.float64),
        (3, np.float64),
        (np.float32(3), np.float32),
    ],
)
def test_float_array_converts(value, dtype):
    """Oracle: the rule: float32 stays, every other real type becomes float64, the values are the
    same."""
    array = check.float_array("x", value)
    assert type(array) is np.ndarray
    assert array.dtype == dtype
    assert np.array_equal(array, value)


def test_float_array_copies_only_to_convert():
    """Oracle: the identity of the array."""
    for dtype in (np.float32, np.float64):
        array = np.ones((2, 3), dtype)
        assert check.float_array("x", array, ndim=2, min_ndim=2, shape=(2, 3), finite=True) is array


@pytest.mark.parametrize(
    ("value", "options", "error", "message"),
    [
        ([1j], {}, TypeError, "x must hold real numbers, got dtype complex128"),
        ("a", {}, TypeError, "x must hold real numbers, got dtype <U1"),
        (None, {}, TypeError, "x must hold real numbers, got dtype object"),
        (
            [np.datetime64("2020")],
            {},
            TypeError,
            "x must hold real numbers, got dtype datetime64[Y]",
        ),
        (np.ones((2, 3)), {"ndim": 1}, ValueError, "x must have 1 axes, got shape (2, 3)"),
        (np.ones((2, 3)), {"ndim": 3}, ValueError, "x must have 3 axes, got shape (2, 3)"),
        (1.0, {"ndim": 1}, ValueError, "x must have 1 axes, got shape ()"),
        ([1.0], {"ndim": 0}, ValueError, "x must have 0 axes, got shape (1,)"),
        (np.ones(3), {"min_ndim": 2}, ValueError, "x must have at least 2 axes, got shape (3,)"),
        (np.ones((2, 3)), {"shape": (3, 2)}, ValueError, "x must have shape (3, 2), got (2, 3)"),
        (
            np.ones((2, 3)),
            {"shape": (None, 2)},
            ValueError,
            "x must have shape (any, 2), got (2, 3)",
        ),
        (
            np.ones((2, 3)),
            {"shape": (2, 3, None)},
            ValueError,
            "x must have shape (2, 3, any), got (2, 3)",
        ),
        (np.ones((2, 3)), {"shape": (2,)}, ValueError, "x must have shape (2,), got (2, 3)"),
        (1.0, {"shape": (1,)}, ValueError, "x must have shape (1,), got ()"),
        ([1.0], {"shape": ()}, ValueError, "x must have shape (), got (1,)"),
        ([1.0, np.nan], {"finite": True}, ValueError, "x must be finite, got 1 NaN or infinity"),
        (
            [-np.inf, np.nan, np.inf, 1],
            {"finite": True},
            ValueError,
            "x must be finite, got 3 NaN or infinity",
        ),
    ],
)
def test_float_array_refuses(value, options, error, message):
    """Oracle: the message, word for word."""
    with refused(error, message):
        check.float_array("x", value, **options)


def test_float_array_explains_ragged_lists():
    """Oracle: the name of the argument before numpy's own words."""
    with pytest.raises(
        ValueError, match=r"^rows must be an array of numbers: .*inhomogeneous"
    ) as caught:
        check.float_array("rows", [[1.0], [1.0, 2.0]])
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "options",
    [
        {"ndim": 2},
        {"min_ndim": 1},
        {"min_ndim": 2},
        {"shape": (2, 3)},
        {"shape": (None, 3)},
        {"shape": (None, None)},
    ],
)
def test_float_array_accepts_what_fits(options):
    """Oracle: the array comes back."""
    array = np.ones((2, 3))
    assert check.float_array("x", array, **options) is array


def test_float_array_does_not_mind_what_it_was_not_asked():
    """Oracle: NaN, infinity, no entries and no axes pass by default."""
    assert np.isnan(check.float_array("x", [np.nan, np.inf]))[0]
    assert check.float_array("x", []).shape == (0,)
    assert check.float_array("x", 1).shape == ()
    assert check.float_array("x", [], finite=True).shape == (0,)


# labels


def test_labels_pass():
    """Oracle: the labels, unchanged, at both ends of their range."""
    for dtype in (np.int8, np.int64, np.uint16):
        target = np.array([0, 2, 1], dtype)
        assert check.labels("y", target, length=3, classes=3) is target
    assert check.labels("y", [0], length=1, classes=1).tolist() == [0]
    assert check.labels("y", np.empty(0, int), length=0, classes=3).shape == (0,)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([0.0, 1.0], TypeError, "y must hold integer class labels, got dtype float64"),
        ([True, False], TypeError, "y must hold integer class labels, got dtype bool"),
        (["a", "b"], TypeError, "y must hold integer class labels, got dtype <U1"),
        ([0, 1, 2], ValueError, "y must have shape (2,), got (3,)"),
        ([[0], [1]], ValueError, "y must have shape (2,), got (2, 1)"),
        (0, ValueError, "y must have shape (2,), got ()"),
        ([0, 3], ValueError, "y must lie in 0..2, got values from 0 to 3"),
        ([-1, 2], ValueError, "y must lie in 0..2, got values from -1 to 2"),
    ],
)
def test_labels_refuse(value, error, message):
    """Oracle: the message, word for word."""
    with refused(error, message):
        check.labels("y", value, length=2, classes=3)


# integer and real


@pytest.mark.parametrize("value", [1, 7, np.int8(7), np.uint64(7), np.array(7)])
def test_integer_passes(value):
    """Oracle: a Python int of the same value."""
    number = check.integer("n", value)
    assert type(number) is int
    assert number == int(value)


def test_integer_minimum():
    """Oracle: the limit itself passes, one below does not; it is 1 unless told."""
    assert check.integer("n", -2, minimum=-2) == -2
    assert check.integer("n", 0, minimum=0) == 0
    with refused(ValueError, "n must be at least -2, got -3"):
        check.integer("n", -3, minimum=-2)
    with refused(ValueError, "n must be at least 1, got 0"):
        check.integer("n", 0)


@pytest.mark.parametrize(
    "value", [1.0, "1", None, True, False, [1], np.float64(1), np.bool_(True), 1 + 0j]
)
def test_integer_refuses(value):
    """Oracle: the message, word for word, with no chain of other errors."""
    with refused(TypeError, f"n must be an integer, got {value!r}") as caught:
        check.integer("n", value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("value", [2, 2.5, np.float32(2.5), np.float64(2.5), np.int16(2)])
def test_real_passes(value):
    """Oracle: a Python float of the same value."""
    number = check.real("r", value)
    assert type(number) is float
    assert number == value


@pytest.mark.parametrize("value", ["1", None, True, np.bool_(True), [1.0], np.array(1.0), 1j])
def test_real_refuses_what_is_no_number(value):
    """Oracle: the message, word for word."""
    with refused(TypeError, f"r must be a real number, got {value!r}"):
        check.real("r", value)


@pytest.mark.parametrize("open_minimum", [True, False])
@pytest.mark.parametrize("open_maximum", [True, False])
def test_real_interval(open_minimum, open_maximum):
    """Oracle: inside passes, outside does not, and the ends as the brackets of the message say."""
    options = {
        "minimum": -1.5,
        "maximum": 2,
        "open_minimum": open_minimum,
        "open_maximum": open_maximum,
    }
    interval = f"{'(' if open_minimum else '['}-1.5, 2{')' if open_maximum else ']'}"
    for value, inside in (
        (0, True),
        (-1.5, not open_minimum),
        (2, not open_maximum),
        (-1.6, False),
        (2.1, False),
    ):
        if inside:
            assert check.real("r", value, **options) == value
        else:
            with refused(ValueError, f"r must lie in {interval}, got {value!r}"):
                check.real("r", value, **options)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("options", "interval"),
    [
        ({}, "(-inf, inf)"),
        ({"minimum": 0.0}, "[0, inf)"),
        ({"maximum": 1.0}, "(-inf, 1]"),
        ({"minimum": 0.0, "open_minimum": True}, "(0, inf)"),
        ({"maximum": 1.0, "open_maximum": True}, "(-inf, 1)"),
    ],
)
def test_real_is_finite(value, options, interval):
    """Oracle: the message, with the interval in mathematical brackets."""
    with refused(ValueError, f"r must lie in {interval}, got {value!r}"):
        check.real("r", value, **options)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_finite_number_is_real(value):
    """Oracle: the number itself."""
    assert check.real("r", value) == value


# choice, generator, float_dtype


def test_choice():
    """Oracle: the option; a message with all of them."""
    for options in (("a", "b"), {"a": 1, "b": 2}, ["a", "b"]):
        assert check.choice("c", "b", options) == "b"
        for wrong in ("c", "", None, 1, ["a"], {"a"}):
            with refused(ValueError, f"c must be one of 'a', 'b', got {wrong!r}"):
                check.choice("c", wrong, options)


def test_generator():
    """Oracle: the generator itself, or numpy's own for that seed."""
    rng = np.random.default_rng(3)
    assert check.generator("rng", rng) is rng
    for seed in (0, 3, np.int64(3), np.uint8(3)):
        expected = np.random.default_rng(int(seed)).integers(1000, size=5)
        assert np.array_equal(check.generator("rng", seed).integers(1000, size=5), expected)


@pytest.mark.parametrize(
    "value", [None, 1.0, "1", True, [1], np.random.RandomState(0), np.bool_(True)]
)
def test_generator_refuses_what_is_no_seed(value):
    """Oracle: the message, word for word: nothing is seeded by chance."""
    with refused(
        TypeError, f"rng must be a numpy.random.Generator or an integer seed, got {value!r}"
    ):
        check.generator("rng", value)


@pytest.mark.parametrize("value", [-1, np.int8(-1)])
def test_generator_refuses_negative_seeds(value):
    """Oracle: the message, word for word."""
    with refused(ValueError, "rng must be a non-negative seed, got -1"):
        check.generator("rng", value)


@pytest.mark.parametrize("value", [np.float32, "float32", "f4", np.dtype("float32")])
def test_float_dtype(value):
    """Oracle: numpy's dtype of that name."""
    assert check.float_dtype("dtype", value) == np.dtype(np.float32)
    assert (
        check.float_dtype("dtype", np.float64)
        == check.float_dtype("dtype", float)
        == np.dtype(np.float64)
    )


@pytest.mark.parametrize("value", [int, np.float16, "complex64", "float65", bool, 3, [1]])
def test_float_dtype_refuses(value):
    """Oracle: the message, word for word, with no chain of other errors shown."""
    with refused(TypeError, f"dtype must be float32 or float64, got {value!r}"):
        check.float_dtype("dtype", value)
