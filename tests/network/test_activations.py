"""The activations as functions: values, derivatives, extreme arguments and what they refuse."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from companion import network as cn
from tests.network.oracles import (
    DTYPES,
    SEEDS,
    assert_close,
    away_from_zero,
    central_differences,
    tensor,
)

PAIRS = {
    "identity": (cn.identity, cn.identity_derivative, lambda z: z.clone()),
    "sigmoid": (cn.sigmoid, cn.sigmoid_derivative, torch.sigmoid),
    "tanh": (cn.tanh, cn.tanh_derivative, torch.tanh),
    "relu": (cn.relu, cn.relu_derivative, torch.relu),
    "leaky_relu": (cn.leaky_relu, cn.leaky_relu_derivative, F.leaky_relu),
    "leaky_relu_steep": (
        lambda z: cn.leaky_relu(z, 0.25),
        lambda z: cn.leaky_relu_derivative(z, 0.25),
        lambda z: F.leaky_relu(z, 0.25),
    ),
    "gelu": (cn.gelu, cn.gelu_derivative, F.gelu),
}
FUNCTIONS = [cn.softmax, cn.log_softmax, *(f for pair in PAIRS.values() for f in pair[:2])]
LOGITS = st.floats(-1e4, 1e4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
@given(data=st.data())
def test_value_and_derivative_equal_torch(name, dtype, data):
    """Oracle: torch.nn.functional and its autograd, on any shape and numbers up to 50."""
    function, derivative, theirs = PAIRS[name]
    width = 8 * np.dtype(dtype).itemsize
    z = data.draw(
        arrays(
            dtype,
            array_shapes(min_dims=0, max_dims=3, max_side=4),
            elements=st.floats(-50, 50, width=width),
        )
    )
    argument = tensor(z, grad=True)
    value = theirs(argument)
    assert_close(function(z), value)
    (slope,) = torch.autograd.grad(value.sum(), argument)
    assert_close(derivative(z), slope)


@pytest.mark.parametrize("name", PAIRS)
@given(seed=SEEDS)
def test_derivative_is_the_slope(name, seed):
    """Oracle: central differences of the function itself."""
    function, derivative, _ = PAIRS[name]
    z = away_from_zero(3 * np.random.default_rng(seed).normal(size=(2, 3)))
    slopes = central_differences(lambda: float(function(z).sum()), z)
    np.testing.assert_allclose(derivative(z), slopes, atol=1e-8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("derivative", "at_zero"),
    [
        (cn.relu_derivative, 0.0),
        (cn.leaky_relu_derivative, 0.01),
        (cn.sigmoid_derivative, 0.25),
        (cn.tanh_derivative, 1.0),
        (cn.gelu_derivative, 0.5),
        (cn.identity_derivative, 1.0),
    ],
)
def test_derivative_at_zero(derivative, at_zero, dtype):
    """Oracle: the closed form at 0; for the corners, PyTorch's convention."""
    slope = derivative(np.zeros(1, dtype))
    assert slope.dtype == dtype
    assert slope[0] == dtype(at_zero)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_saturated_values_are_finite_and_right(name, dtype):
    """Oracle: the limits of each function at -1e4 and 1e4."""
    low, high = {
        "identity": (-1e4, 1e4),
        "sigmoid": (0.0, 1.0),
        "tanh": (-1.0, 1.0),
        "relu": (0.0, 1e4),
        "leaky_relu": (-1e2, 1e4),
        "leaky_relu_steep": (-2.5e3, 1e4),
        "gelu": (0.0, 1e4),
    }[name]
    value = PAIRS[name][0](np.array([-1e4, 1e4], dtype))
    assert value.dtype == dtype
    np.testing.assert_allclose(value, [low, high], rtol=1e-6)
    slope = PAIRS[name][1](np.array([-1e4, 1e4], dtype))
    expected = {
        "identity": (1, 1),
        "sigmoid": (0, 0),
        "tanh": (0, 0),
        "relu": (0, 1),
        "gelu": (0, 1),
    }
    expected |= {"leaky_relu": (0.01, 1), "leaky_relu_steep": (0.25, 1)}
    np.testing.assert_allclose(slope, expected[name], rtol=1e-6, atol=1e-300)


def test_sigmoid_derivative_keeps_its_digits_at_large_z():
    """Oracle: exp(-z), to which the derivative tends; 1 - sigma(z) would give 0 there."""
    np.testing.assert_allclose(
        cn.sigmoid_derivative([40.0, 300.0]), np.exp([-40.0, -300.0]), rtol=1e-12
    )


@pytest.mark.parametrize("dtype", DTYPES)
@given(
    seed=SEEDS,
    rows=st.integers(1, 4),
    classes=st.integers(1, 6),
    size=st.sampled_from([1.0, 1e2, 1e4]),
)
def test_softmax_and_its_logarithm_equal_torch(dtype, seed, rows, classes, size):
    """Oracle: torch.softmax and torch.log_softmax, with logits of size 1 to 1e4."""
    z = (size * np.random.default_rng(seed).uniform(-1, 1, size=(2, rows, classes))).astype(dtype)
    assert_close(cn.softmax(z), torch.softmax(tensor(z), dim=-1))
    assert_close(cn.log_softmax(z), torch.log_softmax(tensor(z), dim=-1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sign", [1, -1])
def test_softmax_of_huge_logits_has_its_closed_form(dtype, sign):
    """Oracle: for two logits 0 and d, log p = (-log(1 + e^d), d - log(1 + e^d))."""
    for gap in (0.0, 1.0, 30.0, 1e4):
        z = np.array([sign * 1e4, sign * 1e4 + gap], dtype)
        gap = float(z[1] - z[0])
        total = gap + math.log1p(math.exp(-gap))
        expected = np.array([-total, gap - total])
        log_p, p = cn.log_softmax(z), cn.softmax(z)
        assert log_p.dtype == p.dtype == dtype
        np.testing.assert_allclose(
            log_p, expected, rtol=1e-6, atol=1e-6 if dtype == np.float32 else 1e-11
        )
        np.testing.assert_allclose(p, np.exp(expected), rtol=1e-5 if dtype == np.float32 else 1e-11)


@given(z=arrays(np.float64, array_shapes(min_dims=1, max_dims=3, max_side=4), elements=LOGITS))
def test_softmax_is_a_distribution_that_ignores_a_common_shift(z):
    """Oracle: the two laws a softmax obeys, whatever the logits."""
    p = cn.softmax(z)
    assert np.isfinite(p).all()
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=1e-12)
    assert np.isfinite(cn.log_softmax(z)).all()
    np.testing.assert_allclose(cn.softmax(z + 64.0), p, atol=1e-10)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_integers_become_float64_and_the_argument_is_left_alone(function):
    """Oracle: the conversion rule of the package, and a copy made before."""
    z = np.array([[-2, 0, 3]])
    assert function(z).dtype == np.float64
    assert function([[True, False]]).dtype == np.float64
    for dtype in DTYPES:
        z = np.array([[-2.0, 0.0, 3.0]], dtype)
        before = z.copy()
        out = function(z)
        assert out.dtype == dtype
        assert not np.shares_memory(out, z)
        assert np.array_equal(z, before)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_bad_input_is_refused_by_name(function):
    """Oracle: the message names z, what it must hold and what came."""
    with pytest.raises(TypeError, match=r"^z must hold real numbers, got dtype complex128$"):
        function([1j])
    with pytest.raises(TypeError, match=r"^z must hold real numbers, got dtype <U1$"):
        function(["a"])
    with pytest.raises(TypeError, match=r"^z must hold real numbers, got dtype object$"):
        function(None)
    with pytest.raises(ValueError, match=r"^z must be an array of numbers: "):
        function([[1.0], [1.0, 2.0]])


@pytest.mark.parametrize("function", [cn.softmax, cn.log_softmax])
def test_softmax_refuses_an_empty_axis(function):
    """Oracle: the message gives the shape."""
    with pytest.raises(ValueError, match=r"^z must have at least 1 axes, got shape \(\)$"):
        function(1.0)
    with pytest.raises(
        ValueError, match=r"^z must have at least one logit on its last axis, got shape \(2, 0\)$"
    ):
        function(np.ones((2, 0)))
    with pytest.raises(TypeError, match=r"^z must hold real numbers"):
        function(None)


@pytest.mark.parametrize(
    "function",
    [lambda s: cn.leaky_relu(0.0, s), lambda s: cn.leaky_relu_derivative(0.0, s), cn.LeakyReLU],
)
@pytest.mark.parametrize(
    ("slope", "error"),
    [("0.1", TypeError), (True, TypeError), (np.nan, ValueError), (np.inf, ValueError)],
)
def test_negative_slope_is_checked(function, slope, error):
    """Oracle: the message names negative_slope."""
    with pytest.raises(error, match=r"^negative_slope must "):
        function(slope)


def test_layers_by_name():
    """Oracle: each entry of ACTIVATIONS makes the layer whose function has that name."""
    z = np.linspace(-2, 2, 7)
    assert list(cn.ACTIVATIONS) == ["identity", "sigmoid", "tanh", "relu", "leaky_relu", "gelu"]
    for name, make in cn.ACTIVATIONS.items():
        assert isinstance(make(), cn.Activation)
        assert np.array_equal(make().forward(z), PAIRS[name][0](z))


def test_leaky_relu_layer_keeps_its_slope():
    """Oracle: the constructor call, and torch's default slope."""
    assert repr(cn.LeakyReLU()) == "LeakyReLU(negative_slope=0.01)"
    assert repr(cn.LeakyReLU(0.25)) == "LeakyReLU(negative_slope=0.25)"
    assert cn.LeakyReLU().negative_slope == torch.nn.LeakyReLU().negative_slope
    assert cn.LeakyReLU(0.25)([-4.0]) == -1.0


def test_any_function_and_its_derivative_make_a_layer():
    """Oracle: the square, whose derivative is twice its argument."""
    layer = cn.Activation(np.square, lambda z: 2 * z)
    assert np.array_equal(layer([3.0, -1.0]), [9.0, 1.0])
    assert np.array_equal(layer.backward([1.0, 10.0]), [6.0, -20.0])
    assert repr(layer) == "Activation()"
