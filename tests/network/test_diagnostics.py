"""Gradient norms and Jacobians against PyTorch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion import network as cn
from tests.network.oracles import DTYPES, SEEDS, assert_close, make, tensor, twin


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name", ["Linear", "Sequential", "LayerNorm", "Residual", "Softmax", "Tanh"]
)
@given(seed=SEEDS, features=st.integers(2, 5))
def test_jacobian_equals_torch(name, dtype, seed, features):
    """Oracle: torch.autograd.functional.jacobian of the module with the same parameters."""
    rng = np.random.default_rng(seed)
    layer = make(name, features, rng, dtype)
    module, _ = twin(name, layer)
    x = rng.normal(size=features).astype(dtype)
    expected = torch.autograd.functional.jacobian(lambda v: module(v[None])[0], tensor(x))
    ours = cn.jacobian(layer, x)
    assert ours.shape == tuple(expected.shape)
    assert_close(ours, expected, tolerance=1e-9 if dtype == np.float64 else 1e-2)


def test_jacobian_is_the_product_of_the_layers():
    """Oracle: W2 diag(f'(z)) W1, multiplied out."""
    model = cn.mlp([4, 6, 3], activation="tanh", rng=0)
    x = np.linspace(-1, 1, 4)
    first, _, last = model
    slope = 1 - np.tanh(first.weight @ x + first.bias) ** 2
    np.testing.assert_allclose(
        cn.jacobian(model, x), last.weight @ (slope[:, None] * first.weight), rtol=1e-12
    )
    assert cn.jacobian(model, [1, 0, 0, 1]).dtype == np.float64


@given(seed=SEEDS)
def test_weight_gradient_norms_equal_torch(seed):
    """Oracle: Frobenius norms of torch's gradients of the same network, loss and batch."""
    rng = np.random.default_rng(seed)
    layer = make("Sequential", 4, rng)
    module, _ = twin("Sequential", layer)
    x, y = rng.normal(size=(6, 4)), rng.integers(3, size=6)
    torch.nn.functional.cross_entropy(module(tensor(x)), tensor(y)).backward()
    norms = cn.weight_gradient_norms(layer, cn.CrossEntropyLoss(), x, y)
    expected = {k: w.grad.norm().item() for k, w in module.named_parameters() if w.ndim == 2}
    assert list(norms) == ["0.weight", "3.body.0.weight", "4.weight"]
    assert norms == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert {type(value) for value in norms.values()} == {float}


def test_kernels_count_as_weights():
    """Oracle: the norm of a gradient with three axes, and silence about one with a single axis."""

    class Stub(cn.Linear):
        def gradients(self):
            return {"kernel": np.full((1, 2, 2), 3.0), "vector": np.ones(4)}

    norms = cn.weight_gradient_norms(
        Stub(2, 1, rng=0), cn.MSELoss(), np.ones((1, 2)), np.ones((1, 1))
    )
    assert norms == {"kernel": 6.0}


def test_bad_input_is_refused():
    """Oracle: the message names the argument, what was expected and what came."""
    model = cn.Linear(2, 3, rng=0)
    with pytest.raises(ValueError, match=r"^x must have 1 axes, got shape \(1, 2\)$"):
        cn.jacobian(model, [[1.0, 2.0]])
    with pytest.raises(TypeError, match=r"^x must hold real numbers, got dtype <U1$"):
        cn.jacobian(model, "x")
    with pytest.raises(
        ValueError, match=r"^x must have in_features = 2 on its last axis, got \(1, 3\)$"
    ):
        cn.jacobian(model, np.ones(3))
    with pytest.raises(TypeError, match=r"^x must be float64 like the layer, got float32"):
        cn.jacobian(model, np.ones(2, np.float32))
    with pytest.raises(
        ValueError, match=r"^x must have in_features = 2 on its last axis, got \(4, 3\)$"
    ):
        cn.weight_gradient_norms(model, cn.MSELoss(), np.ones((4, 3)), np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"^target must have shape \(4, 3\), got \(4,\)$"):
        cn.weight_gradient_norms(model, cn.MSELoss(), np.ones((4, 2)), np.ones(4))
    with pytest.raises(
        TypeError, match=r"^target must hold integer class labels, got dtype float64$"
    ):
        cn.weight_gradient_norms(model, cn.CrossEntropyLoss(), np.ones((4, 2)), np.ones(4))
