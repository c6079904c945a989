"""The gradient check: its parts against closed forms, and above all that it catches planted errors.
The gradient check: its parts against closed forms, and above all that it catches planted errors."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from companion import network as cn
from tests.network.oracles import KINDS, SEEDS, away_from_zero, make

FEATURES = 3
NUMBERS = st.floats(-1e3, 1e3)


# Its parts


@given(seed=SEEDS, shape=array_shapes(min_dims=0, max_dims=3, max_side=4))
def test_numerical_gradient_of_a_cubic(seed, shape):
    """Oracle: the derivative 3 c x^2 of the sum of c x^3, whose central difference errs by c eps^2.
    Oracle: the derivative 3 c x^2 of the sum of c x^3, whose central difference errs by c eps^2."""
    rng = np.random.default_rng(seed)
    x, c = rng.normal(size=shape), rng.normal(size=shape)
    kept = x.copy()
    gradient = cn.numerical_gradient(lambda v: float(np.sum(c * v**3)), x)
    np.testing.assert_allclose(gradient, 3 * c * x**2, rtol=0, atol=1e-7)
    assert gradient.shape == shape
    assert np.array_equal(x, kept)


@pytest.mark.parametrize("eps", [1e-1, 1e-2, 1e-3])
def test_the_truncation_error_is_eps_squared(eps):
    """Oracle: for x^3 the central difference is 3x^2 + eps^2 exactly."""
    gradient = cn.numerical_gradient(lambda v: float(v[0] ** 3), [2.0], eps=eps)
    assert gradient[0] - 12.0 == pytest.approx(eps**2, rel=1e-5)


def test_both_evaluations_lie_eps_from_the_point():
    """Oracle: the arguments a recording function has seen, with the default eps of 1e-6."""
    seen = []
    cn.numerical_gradient(lambda v: seen.append(v.copy()) or 0.0, [[1.0, 2.0]])
    expected = [[[1 + 1e-6, 2]], [[1 - 1e-6, 2]], [[1, 2 + 1e-6]], [[1, 2 - 1e-6]]]
    assert np.array_equal(seen, expected)


def test_numerical_gradient_refuses():
    """Oracle: the message names the argument, what was expected and what came."""
    with pytest.raises(
        TypeError, match=r"^x must be float64, got float32: rounding would drown the differences$"
    ):
        cn.numerical_gradient(np.sum, np.ones(2, np.float32))
    with pytest.raises(TypeError, match=r"^x must hold real numbers, got dtype complex128$"):
        cn.numerical_gradient(np.sum, [1j])
    for wrong in (0.0, -1e-6):
        with pytest.raises(ValueError, match=rf"^eps must lie in \(0, inf\), got {wrong}$"):
            cn.numerical_gradient(np.sum, [1.0], eps=wrong)
    with pytest.raises(TypeError, match=r"^eps must be a real number, got None$"):
        cn.numerical_gradient(np.sum, [1.0], eps=None)


@given(
    pair=array_shapes(max_dims=3, max_side=4).flatmap(
        lambda shape: st.tuples(*(arrays(np.float64, shape, elements=NUMBERS) for _ in range(2)))
    ),
    factor=st.floats(0.1, 10.0),
)
def test_relative_error_is_a_symmetric_bounded_distance(pair, factor):
    """Oracle: the laws of the formula: between 0 and 1, symmetric, without units, |1-f|/(1+f) along
    a line."""
    a, b = pair
    error = cn.relative_error(a, b)
    assert 0.0 <= error <= 1.0 + 1e-15
    assert error == cn.relative_error(b, a)
    assert cn.relative_error(a, a) == 0.0
    assert cn.relative_error(factor * a, factor * b) == pytest.approx(error, rel=1e-9, abs=1e-12)
    if np.linalg.norm(a) > 1e-100:
        assert cn.relative_error(a, -a) == pytest.approx(1.0)
        assert cn.relative_error(a, factor * a) == pytest.approx(
            abs(1 - factor) / (1 + factor), abs=1e-12
        )


def test_relative_error_by_hand():
    """Oracle: |(3,4)-(0,0)|/5 = 1, |(3,4)-(3,0)|/(5+3) = 1/2, and 0 for two zeros."""
    assert cn.relative_error([3.0, 4.0], [0.0, 0.0]) == 1.0
    assert cn.relative_error([3.0, 4.0], [3.0, 0.0]) == 0.5
    assert cn.relative_error([0.0], [0.0]) == 0.0
    with pytest.raises(ValueError, match=r"^b must have shape \(2,\), got \(1,\)$"):
        cn.relative_error([1.0, 2.0], [1.0])
    with pytest.raises(TypeError, match=r"^a must hold real numbers"):
        cn.relative_error(["x"], [1.0])
    with pytest.raises(TypeError, match=r"^b must hold real numbers"):
        cn.relative_error([1.0], [None])


def test_the_outcome_reads_itself():
    """Oracle: three errors around a tolerance of 1e-6, at the limit included."""
    check = cn.GradientCheck({"input": 1e-6, "0.weight": 1e-9, "0.bias": 0.0}, 1e-6)
    assert check.passed
    assert check.worst == "input"
    assert str(check) == (
        "input         1.0e-06  ok\n0.weight      1.0e-09  ok\n0.bias        0.0e+00  ok"
    )
    check = cn.GradientCheck({"input": 1e-9, "0.weight": 1.1e-6}, 1e-6)
    assert not check.passed
    assert check.worst == "0.weight"
    assert str(check) == "input         1.0e-09  ok\n0.weight      1.1e-06  WRONG"
    assert not cn.GradientCheck({"input": math.nan}, 1e-6).passed


# The whole


class FixedDropout(cn.Dropout):
    """Dropout that draws the same mask in every pass: the check needs a function."""

    def forward(self, x):
        self._rng = np.random.default_rng(3)
        return super().forward(x)


def build(name, seed=0):
    """Return a layer under test between two linear layers, and the layer itself."""
    rng = np.random.default_rng(seed)
    if name == "Dropout":
        layer = FixedDropout(0.5, rng=0)
    elif name == "square Linear":
        layer = cn.Linear(FEATURES, FEATURES, rng=rng)
    else:
        layer = make(name, FEATURES, rng)
    if name == "SpectralNorm":
        singular = np.linalg.svd(layer.layer.weight)
        layer.buffers()["u"][:], layer.buffers()["v"][:] = singular.U[:, 0], singular.Vh[0]
    width = layer(np.ones((2, FEATURES)) + np.eye(2, FEATURES)).shape[1]
    first, last = cn.Linear(FEATURES, FEATURES, rng=rng), cn.Linear(width, 2, rng=rng)
    model = cn.Sequential(first, layer, last)
    if name == "SpectralNorm":
        model.eval()
        layer(np.ones((2, FEATURES)))
    return model, layer


def check(name, model, seed=1):
    rng = np.random.default_rng(seed)
    x = away_from_zero(rng.normal(size=(5, FEATURES)))
    if name == "SpectralNorm":
        singular = np.linalg.svd(model[1].layer.weight)
        model[1].buffers()["u"][:], model[1].buffers()["v"][:] = singular.U[:, 0], singular.Vh[0]
    return cn.gradient_check(model, cn.MSELoss(), x, rng.normal(size=(5, 2)))


ALL = [*KINDS, "Dropout", "square Linear"]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_right_backward_pass_passes(name, seed):
    """Oracle: the layers are right by test_layers; the check must say so, and name input and
    parameters."""
    model, _ = build(name, seed)
    kept = {key: w.copy() for key, w in model.parameters().items()}
    result = check(name, model, seed)
    assert result.passed, str(result)
    assert result.tolerance == 1e-6
    assert list(result.errors) == ["input", *kept]
    # Rounding always leaves a trace: an error of exactly 0 would mean that nothing was compared.
    assert 0.0 < result.errors["input"] < 1e-7
    for key, w in model.parameters().items():
        assert np.array_equal(w, kept[key])


def plant_in_input(change):
    def plant(layer):
        right = layer.backward
        layer.backward = lambda g: change(np.asarray(right(g)))

    return plant


ERRORS = {
    "sign": lambda g: -g,
    "scale": lambda g: 1.001 * g,
    "missing mean": lambda g: 5 * g,
    "dropped": lambda g: 0 * g,
    "offset": lambda g: g + 1e-3,
    "order": lambda g: g[..., ::-1],
}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", ALL)
def test_an_error_in_the_input_gradient_is_caught(name, error):
    """Oracle: the error that was planted: what lies before the layer is wrong, what lies after is
    right."""
    model, layer = build(name)
    plant_in_input(ERRORS[error])(layer)
    result = check(name, model)
    assert not result.passed
    wrong = {key for key, e in result.errors.items() if e > result.tolerance}
    assert {"input", "0.weight"} <= wrong
    assert not {key for key in wrong if key.startswith(("1.", "2."))}
    assert result.worst in wrong
    assert "WRONG" in str(result)


PARAMETERS = [(name, key) for name in ALL for key in build(name)[1].parameters()]


@pytest.mark.parametrize("error", ["sign", "scale", "missing mean", "dropped", "offset"])
@pytest.mark.parametrize(("name", "key"), PARAMETERS)
def test_an_error_in_a_parameter_gradient_is_caught(name, key, error):
    """Oracle: the error that was planted: that parameter alone is reported."""
    model, layer = build(name)
    right = layer.backward
    *path, last = key.split(".")

    def wrong(g):
        back, owner = right(g), layer
        for part in path:
            owner = owner.children()[part]
        owner._gradients[last] = ERRORS[error](owner._gradients[last])
        return back

    layer.backward = wrong
    result = check(name, model)
    assert not result.passed
    assert [k for k, e in result.errors.items() if e > result.tolerance] == [f"1.{key}"]
    assert result.worst == f"1.{key}"


def wrong_derivative_argument(layer, g):
    """f'(a) in place of f'(z), the slip of the sources."""
    return g * layer._derivative(layer._function(layer._x))


def without_mean_term(layer, g):
    n, scaled = layer._normalised, g * layer.parameters()["weight"]
    axis = 0 if isinstance(layer, cn.BatchNorm1d) else -1
    return (scaled - n * (scaled * n).mean(axis=axis, keepdims=True)) / layer._std


def without_variance_term(layer, g):
    scaled = g * layer.parameters()["weight"]
    axis = 0 if isinstance(layer, cn.BatchNorm1d) else -1
    return (scaled - scaled.mean(axis=axis, keepdims=True)) / layer._std


def plain_spectral_weight_gradient(layer, g):
    back = cn.SpectralNorm.backward(layer, g)
    layer.layer._gradients["weight"] = g.T @ layer._x / layer.sigma()
    return back


def unscaled_linear(layer, g):
    back = cn.Linear.backward(layer, g)
    layer._gradients["weight"] = layer._gradients["weight"] / len(g)
    return back


TYPICAL = [
    *((name, wrong_derivative_argument) for name in ("Sigmoid", "Tanh", "GELU")),
    ("Softmax", lambda layer, g: g * layer._probabilities * (1 - layer._probabilities)),
    ("Softmax", lambda layer, g: layer._probabilities * (g - g.sum(axis=-1, keepdims=True))),
    ("ReLU", lambda layer, g: g),
    ("LeakyReLU(0.3)", lambda layer, g: g * (layer._x > 0)),
    ("Linear", unscaled_linear),
    ("square Linear", lambda layer, g: cn.Linear.backward(layer, g) * 0 + g @ layer.weight.T),
    ("Residual", lambda layer, g: layer.body.backward(g)),
    ("Residual", lambda layer, g: g + 0 * layer.body.backward(g)),
    ("LayerNorm", without_mean_term),
    ("LayerNorm", without_variance_term),
    ("BatchNorm1d", without_mean_term),
    ("BatchNorm1d", without_variance_term),
    ("Dropout", lambda layer, g: g),
    ("Dropout", lambda layer, g: g * (layer._mask > 0)),
    ("SpectralNorm", plain_spectral_weight_gradient),
    ("SpectralNorm", lambda layer, g: cn.SpectralNorm.backward(layer, g) * layer.sigma()),
]


@pytest.mark.parametrize(("name", "wrong"), TYPICAL)
def test_typical_mistakes_are_caught(name, wrong):
    """Oracle: mistakes that people make in this layer, each planted in its backward pass."""
    model, layer = build(name)
    out = layer(np.random.default_rng(2).normal(size=(4, FEATURES)))
    for part in (layer, *layer.children().values()):
        part._gradients.update({key: np.zeros_like(w) for key, w in part._parameters.items()})
    assert np.shape(wrong(layer, np.ones_like(out))) == (4, FEATURES)

    def backward(g):
        # The parameters' gradients stay right unless the mistake is in them.
        type(layer).backward(layer, g)
        return wrong(layer, g)

    layer.backward = backward
    result = check(name, model)
    assert not result.passed
    assert max(result.errors.values()) > 1e-3


class WrongLoss(cn.MSELoss):
    def __init__(self, factor):
        self.factor = factor

    def backward(self):
        return self.factor * super().backward()


@pytest.mark.parametrize("factor", [-1.0, 0.5, 10.0, 0.0])
def test_an_error_in_the_loss_is_caught(factor):
    """Oracle: a loss whose gradient lacks its 2, its mean or its sign: every array is reported."""
    model, _ = build("Tanh")
    rng = np.random.default_rng(1)
    result = cn.gradient_check(
        model, WrongLoss(factor), rng.normal(size=(5, FEATURES)), rng.normal(size=(5, 2))
    )
    assert all(error > 0.3 for error in result.errors.values())
    # One factor for all: |1-f|/(1+|f|) is what the relative error must be.
    for error in result.errors.values():
        assert error == pytest.approx(abs(1 - factor) / (1 + abs(factor)), rel=1e-5)


def test_a_gradient_that_is_zero_passes_unless_it_is_wrong():
    """Oracle: batch normalisation removes any bias before it, so that bias has no gradient; a
    planted one is caught."""
    model, _ = build("BatchNorm1d")
    result = check("BatchNorm1d", model)
    assert result.passed, str(result)
    assert result.errors["0.bias"] < 1e-6
    right = model[0].backward

    def wrong(g):
        back = right(g)
        model[0]._gradients["bias"] += 1e-6
        return back

    model[0].backward = wrong
    result = check("BatchNorm1d", model)
    assert [key for key, e in result.errors.items() if e > result.tolerance] == ["0.bias"]


@pytest.mark.parametrize("planted", [False, True])
def test_vanishing_gradients_are_compared_as_far_as_rounding_allows(planted):
    """Oracle: twelve sigmoid layers that are right, or with one wrong sign where gradients are
    still large enough to see."""
    model = cn.mlp([3, *[4] * 12, 2], activation="sigmoid", rng=0)
    if planted:
        plant_in_input(ERRORS["sign"])(model[-2])
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    norms = cn.weight_gradient_norms(model, cn.MSELoss(), x, y)
    assert norms["0.weight"] < 1e-6
    result = cn.gradient_check(model, cn.MSELoss(), x, y)
    assert result.passed is not planted, str(result)


def test_the_size_below_which_nothing_is_compared():
    """Oracle: the formula by hand: 2 over max(|a| + |b|, floor)."""
    for floor, error in ((0.0, 1.0), (2.0, 1.0), (4.0, 0.5), (200.0, 0.01)):
        assert cn.relative_error([1.0], [-1.0], floor=floor) == error
    assert cn.relative_error([0.0], [0.0], floor=1.0) == 0.0
    with pytest.raises(ValueError, match=r"^floor must lie in \[0, inf\), got -1$"):
        cn.relative_error([1.0], [1.0], floor=-1)


def test_rounding_sets_the_floor():
    """Oracle: ten roundings of the loss over eps, times the root of the number of entries, over the
    tolerance."""

    class Still(cn.Layer):
        """A layer whose output does not move, and whose gradient is said to be g."""

        def __init__(self, said):
            super().__init__()
            self.said = said

        def forward(self, x):
            return np.full((3, 3), 2.0)

        def backward(self, grad_output):
            return self.said

    noise = 10 * np.finfo(float).eps * 4.0 / 1e-4 * 3
    for factor, error in ((0.5, 0.5e-3), (2.0, 2e-3)):
        said = np.full((3, 3), factor * noise / 3)
        result = cn.gradient_check(
            Still(said), cn.MSELoss(), np.zeros((3, 3)), np.zeros((3, 3)), eps=1e-4, tolerance=1e-3
        )
        assert result.errors["input"] == pytest.approx(error)
        assert result.passed is (factor < 1)


def test_classification_passes_too():
    """Oracle: the check of a right network with cross-entropy and integer inputs."""
    model = cn.mlp([4, 5, 3], activation="gelu", norm="layer", residual=True, rng=0)
    result = cn.gradient_check(model, cn.CrossEntropyLoss(), np.arange(8).reshape(2, 4), [2, 0])
    assert result.passed, str(result)


def test_tolerance_and_eps_are_used():
    """Oracle: a tolerance below and one above the rounding error; a coarse eps spoils the numbers.
    Oracle: a tolerance below and one above the rounding error; a coarse eps spoils the numbers."""
    model, _ = build("Tanh")
    x, y = np.random.default_rng(3).normal(size=(2, 4, 3)), np.zeros((4, 2))
    plant_in_input(ERRORS["scale"])(model[1])
    strict, lax = (
        cn.gradient_check(model, cn.MSELoss(), x[0], y, tolerance=t) for t in (4e-4, 6e-4)
    )
    # A factor of 1.001 is a relative error of 0.001 / 2.001, in each of three arrays.
    assert not strict.passed
    assert lax.passed
    assert strict.errors["input"] == pytest.approx(0.001 / 2.001, rel=1e-4)
    assert strict.tolerance == 4e-4
    del model[1].backward
    coarse = cn.gradient_check(model, cn.MSELoss(), x[0], y, eps=0.5)
    fine = cn.gradient_check(model, cn.MSELoss(), x[0], y)
    for key in ("input", "0.weight", "0.bias"):
        assert coarse.errors[key] > 1e-3 > 1e-7 > fine.errors[key]


def test_gradient_check_refuses():
    """Oracle: the message names the argument, what was expected and what came."""
    model, x, y = cn.Linear(2, 1, rng=0), np.ones((3, 2)), np.ones((3, 1))
    for wrong in (0.0, -1.0):
        with pytest.raises(ValueError, match=r"^tolerance must lie in \(0, inf\), got "):
            cn.gradient_check(model, cn.MSELoss(), x, y, tolerance=wrong)
    with pytest.raises(ValueError, match=r"^eps must lie in \(0, inf\), got 0$"):
        cn.gradient_check(model, cn.MSELoss(), x, y, eps=0)
    with pytest.raises(TypeError, match=r"^x must hold real numbers"):
        cn.gradient_check(model, cn.MSELoss(), "x", y)
    small = cn.Linear(2, 1, rng=0, dtype=np.float32)
    with pytest.raises(TypeError, match=r"^x must be float64, got float32"):
        cn.gradient_check(small, cn.MSELoss(), x.astype(np.float32), y)
