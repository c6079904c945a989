"""Penalties on weights: their gradients, what they leave alone, and what they are equal to."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion import network as cn
from tests.network.oracles import DTYPES, SEEDS, away_from_zero, central_differences, tensor

PENALTIES = [cn.L1, cn.L2]


def parameters(seed, dtype=np.float64):
    """Return a matrix, a kernel with three axes, and two vectors that no penalty may touch."""
    rng = np.random.default_rng(seed)
    shapes = {"0.weight": (3, 2), "0.bias": (3,), "1.weight": (2, 2, 3), "2.weight": (4,)}
    return {k: away_from_zero(rng.normal(size=s).astype(dtype)) for k, s in shapes.items()}


@pytest.mark.parametrize("penalty", PENALTIES)
@given(seed=SEEDS, strength=st.floats(0.0, 10.0))
def test_gradient_equals_finite_differences(penalty, seed, strength):
    """Oracle: central differences of the value, in every parameter; vectors have none."""
    term, weights = penalty(strength), parameters(seed)
    gradients = {name: np.zeros_like(w) for name, w in weights.items()}
    term.add_gradient(weights, gradients)
    for name, w in weights.items():
        numeric = central_differences(lambda: term.value(weights), w)
        np.testing.assert_allclose(gradients[name], numeric, atol=1e-6)
        if w.ndim == 1:
            assert not gradients[name].any()


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, strength=st.floats(0.0, 10.0))
def test_values_equal_torch(dtype, seed, strength):
    """Oracle: torch.norm of the matrices, of order 1, and of order 2 squared and halved."""
    weights = parameters(seed, dtype)
    matrices = [tensor(w).double() for w in weights.values() if w.ndim >= 2]
    one = sum(torch.linalg.vector_norm(w, 1).item() for w in matrices)
    two = sum(torch.linalg.vector_norm(w, 2).item() ** 2 for w in matrices)
    assert cn.L1(strength).value(weights) == pytest.approx(strength * one, rel=1e-5)
    assert cn.L2(strength).value(weights) == pytest.approx(strength * two / 2, rel=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_gradients_are_added_in_place(penalty, dtype):
    """Oracle: the sum of what was there and what an empty gradient receives, in the same array and
    dtype."""
    weights = parameters(1, dtype)
    alone = {name: np.zeros_like(w) for name, w in weights.items()}
    penalty(0.5).add_gradient(weights, alone)
    gradients = {name: np.full_like(w, 3.0) for name, w in weights.items()}
    kept, arrays = {name: w.copy() for name, w in weights.items()}, dict(gradients)
    penalty(0.5).add_gradient(weights, gradients)
    for name in weights:
        assert gradients[name] is arrays[name]
        assert gradients[name].dtype == dtype
        np.testing.assert_allclose(gradients[name], 3.0 + alone[name], rtol=1e-6)
        assert np.array_equal(weights[name], kept[name])


def test_l1_has_no_slope_at_zero():
    """Oracle: the sign function, which is 0 at 0 as in torch."""
    weights, gradients = {"w": np.array([[0.0, -2.0, 3.0]])}, {"w": np.zeros((1, 3))}
    cn.L1(2.0).add_gradient(weights, gradients)
    assert np.array_equal(gradients["w"], [[0.0, -2.0, 2.0]])


@given(seed=SEEDS, strength=st.floats(0.0, 1.0), lr=st.floats(1e-3, 1.0))
def test_l2_is_weight_decay_under_plain_gradient_descent(seed, strength, lr):
    """Oracle: torch.optim.SGD with weight_decay of the same strength, five steps."""
    rng = np.random.default_rng(seed)
    weights = {"w": rng.normal(size=(3, 2))}
    theirs = tensor(weights["w"], grad=True)
    reference = torch.optim.SGD([theirs], lr=lr, weight_decay=strength)
    ours = cn.SGD(lr=lr)
    for _ in range(5):
        gradients = {"w": rng.normal(size=(3, 2))}
        theirs.grad = tensor(gradients["w"])
        cn.L2(strength).add_gradient(weights, gradients)
        ours.step(weights, gradients)
        reference.step()
    np.testing.assert_allclose(weights["w"], theirs.detach().numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("penalty", [*PENALTIES, cn.Penalty])
def test_strength_is_checked(penalty):
    """Oracle: the message names strength."""
    assert penalty(0).strength == 0.0
    for wrong in (-1e-9, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"^strength must lie in \[0, inf\), got "):
            penalty(wrong)
    with pytest.raises(TypeError, match=r"^strength must be a real number, got '1'$"):
        penalty("1")


def test_the_base_class_says_what_is_missing():
    """Oracle: the message names the subclass and the method it lacks."""

    class Half(cn.Penalty):
        pass

    weights = {"w": np.ones((1, 1))}
    with pytest.raises(TypeError, match=r"^Half must define _value$"):
        Half(1.0).value(weights)
    with pytest.raises(TypeError, match=r"^Half must define _gradient$"):
        Half(1.0).add_gradient(weights, weights)
