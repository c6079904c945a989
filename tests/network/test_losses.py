"""The losses against PyTorch, finite differences and closed forms."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from companion import network as cn
from tests.network.oracles import DTYPES, SEEDS, assert_close, central_differences, tensor

MSE = (cn.mse, cn.mse_gradient, cn.MSELoss, F.mse_loss)
CROSS_ENTROPY = (cn.cross_entropy, cn.cross_entropy_gradient, cn.CrossEntropyLoss, F.cross_entropy)


def compare(loss, prediction, target, tolerance=None):
    """Compare value and gradient of the functions and of the class with torch's."""
    function, gradient, cls, theirs = loss
    argument = tensor(prediction, grad=True)
    value = theirs(argument, tensor(target))
    value.backward()
    layer = cls()
    ours = function(prediction, target)
    assert type(ours) is float
    assert layer.forward(prediction, target) == ours
    limit = 1e-12 if prediction.dtype == np.float64 else 1e-5
    assert math.isclose(ours, value.item(), rel_tol=limit, abs_tol=limit)
    assert_close(gradient(prediction, target), argument.grad, scale=0.01)
    assert np.array_equal(layer.backward(), gradient(prediction, target))


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, shape=array_shapes(min_dims=0, max_dims=3, max_side=5))
def test_mse_equals_torch(dtype, seed, shape):
    """Oracle: torch.nn.functional.mse_loss and autograd."""
    rng = np.random.default_rng(seed)
    compare(MSE, rng.normal(size=shape).astype(dtype), rng.normal(size=shape).astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@given(
    seed=SEEDS,
    rows=st.integers(1, 5),
    classes=st.integers(1, 6),
    size=st.sampled_from([1.0, 30.0, 1e4]),
)
def test_cross_entropy_equals_torch(dtype, seed, rows, classes, size):
    """Oracle: torch.nn.functional.cross_entropy and autograd, with logits up to 1e4."""
    rng = np.random.default_rng(seed)
    logits = (size * rng.uniform(-1, 1, size=(rows, classes))).astype(dtype)
    compare(CROSS_ENTROPY, logits, rng.integers(classes, size=rows))


@given(seed=SEEDS, rows=st.integers(1, 4), columns=st.integers(1, 5))
def test_gradients_equal_finite_differences(seed, rows, columns):
    """Oracle: central differences of the loss itself."""
    rng = np.random.default_rng(seed)
    prediction = rng.normal(size=(rows, columns))
    for loss, target in (
        (MSE, rng.normal(size=(rows, columns))),
        (CROSS_ENTROPY, rng.integers(columns, size=rows)),
    ):
        function, gradient = loss[:2]
        numeric = central_differences(lambda f=function, t=target: f(prediction, t), prediction)
        np.testing.assert_allclose(gradient(prediction, target), numeric, atol=1e-8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gap", [0.0, 1.0, 40.0, 2e4])
def test_cross_entropy_of_two_classes_in_closed_form(gap, dtype):
    """Oracle: log(1 + e^gap) for the wrong class and log(1 + e^-gap) for the right one, at logits
    of +-1e4."""
    logits = np.array([[gap / 2, -gap / 2]], dtype)
    small = math.log1p(math.exp(-gap))
    tolerance = {"rel": 1e-6, "abs": 1e-6 if dtype == np.float32 else 1e-14}
    assert cn.cross_entropy(logits, [0]) == pytest.approx(small, **tolerance)
    assert cn.cross_entropy(logits, [1]) == pytest.approx(gap + small, **tolerance)
    p = 1 / (1 + math.exp(-gap))
    gradient = cn.cross_entropy_gradient(logits, [1])
    assert gradient.dtype == dtype
    np.testing.assert_allclose(gradient, [[p, -p]], rtol=1e-6)


def test_uniform_logits_cost_the_logarithm_of_their_number():
    """Oracle: log K."""
    for classes in (1, 2, 10):
        loss = cn.cross_entropy(np.full((3, classes), 7.0), np.zeros(3, int))
        assert loss == pytest.approx(math.log(classes), abs=1e-14)


@given(seed=SEEDS, rows=st.integers(1, 5), classes=st.integers(2, 6))
def test_rows_of_the_cross_entropy_gradient_sum_to_zero(seed, rows, classes):
    """Oracle: a common shift of the logits changes nothing; and only the right class pulls up."""
    rng = np.random.default_rng(seed)
    target = rng.integers(classes, size=rows)
    gradient = cn.cross_entropy_gradient(rng.normal(size=(rows, classes)), target)
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-15)
    assert np.array_equal(gradient < 0, np.eye(classes, dtype=bool)[target])


def test_the_gradient_has_the_type_of_the_prediction():
    """Oracle: the dtype rule: integers and float64 targets do not widen a float32 network."""
    small = np.array([[1.0, 2.0]], np.float32)
    assert cn.mse_gradient(small, [[0, 1]]).dtype == np.float32
    assert cn.mse_gradient(small, np.zeros((1, 2))).dtype == np.float32
    assert cn.mse_gradient([[1, 2]], np.zeros((1, 2), np.float32)).dtype == np.float64
    assert cn.cross_entropy_gradient(small, np.array([1], np.int8)).dtype == np.float32
    assert cn.cross_entropy_gradient([[1, 2]], np.array([1], np.uint64)).dtype == np.float64


@pytest.mark.parametrize(("loss", "target"), [(MSE, [[1.0, 0.0]]), (CROSS_ENTROPY, [1])])
def test_arguments_are_left_alone_and_backward_follows_the_last_forward(loss, target):
    """Oracle: copies made before, and a second forward pass."""
    function, gradient, cls, _ = loss
    prediction, target = np.array([[0.5, 2.0]]), np.array(target)
    kept = prediction.copy(), target.copy()
    layer = cls()
    layer.forward(prediction, target)
    first = layer.backward()
    layer.forward(2 * prediction, target)
    assert np.array_equal(layer.backward(), gradient(2 * prediction, target))
    assert not np.array_equal(layer.backward(), first)
    function(prediction, target)
    assert np.array_equal(prediction, kept[0])
    assert np.array_equal(target, kept[1])


@pytest.mark.parametrize("cls", [cn.MSELoss, cn.CrossEntropyLoss])
def test_backward_before_forward_is_refused(cls):
    """Oracle: RuntimeError with the name of the loss."""
    with pytest.raises(
        RuntimeError, match=rf"^{cls.__name__}\.backward was called before forward$"
    ):
        cls().backward()


@pytest.mark.parametrize("call", [cn.mse, cn.mse_gradient, cn.MSELoss().forward])
@pytest.mark.parametrize(
    ("prediction", "target", "error", "message"),
    [
        ([1.0, 2.0], [1.0], ValueError, r"^target must have shape \(2,\), got \(1,\)$"),
        ([[1.0, 2.0]], [1.0, 2.0], ValueError, r"^target must have shape \(1, 2\), got \(2,\)$"),
        ([], [], ValueError, r"^prediction must not be empty, got shape \(0,\)$"),
        (["a"], [1.0], TypeError, r"^prediction must hold real numbers, got dtype <U1$"),
        ([1.0], [1j], TypeError, r"^target must hold real numbers, got dtype complex128$"),
    ],
)
def test_mse_refuses(call, prediction, target, error, message):
    """Oracle: the message names the argument, what was expected and what came."""
    with pytest.raises(error, match=message):
        call(prediction, target)


@pytest.mark.parametrize(
    "call", [cn.cross_entropy, cn.cross_entropy_gradient, cn.CrossEntropyLoss().forward]
)
@pytest.mark.parametrize(
    ("logits", "target", "error", "message"),
    [
        ([1.0, 2.0], [1], ValueError, r"^logits must have 2 axes, got shape \(2,\)$"),
        (np.ones((0, 3)), [], ValueError, r"^logits must not be empty, got shape \(0, 3\)$"),
        (np.ones((3, 0)), [0, 0, 0], ValueError, r"^logits must not be empty, got shape \(3, 0\)$"),
        ([["a", "b"]], [1], TypeError, r"^logits must hold real numbers, got dtype <U1$"),
        (
            [[1.0, 2.0]],
            [1.0],
            TypeError,
            r"^target must hold integer class labels, got dtype float64$",
        ),
        (
            [[1.0, 2.0]],
            [True],
            TypeError,
            r"^target must hold integer class labels, got dtype bool$",
        ),
        ([[1.0, 2.0]], [0, 1], ValueError, r"^target must have shape \(1,\), got \(2,\)$"),
        ([[1.0, 2.0]], [[0, 1]], ValueError, r"^target must have shape \(1,\), got \(1, 2\)$"),
        ([[1.0, 2.0]], [2], ValueError, r"^target must lie in 0\.\.1, got values from 2 to 2$"),
        (
            [[1.0, 2.0], [0.0, 0.0]],
            [-1, 1],
            ValueError,
            r"^target must lie in 0\.\.1, got values from -1 to 1$",
        ),
    ],
)
def test_cross_entropy_refuses(call, logits, target, error, message):
    """Oracle: the message names the argument, what was expected and what came."""
    with pytest.raises(error, match=message):
        call(logits, target)


def test_a_nan_stays_visible():
    """Oracle: NaN in, NaN out, as in torch; the training loop then stops."""
    assert math.isnan(cn.mse([math.nan], [0.0]))
    assert math.isnan(cn.cross_entropy([[math.nan, 0.0]], [0]))
    assert math.isnan(F.cross_entropy(torch.tensor([[math.nan, 0.0]]), torch.tensor([0])).item())
