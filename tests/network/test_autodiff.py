"""The small reverse-mode autodiff against PyTorch: every operation, and graphs that share nodes."""

import operator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

from companion import network as cn
from companion.network.autodiff import Tensor
from tests.network.oracles import SEEDS, assert_close, away_from_zero, tensor

BINARY = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "truediv": operator.truediv,
}
UNARY = {
    "neg": operator.neg,
    "exp": lambda t: t.exp(),
    "log": lambda t: t.log(),
    "tanh": lambda t: t.tanh(),
    "relu": lambda t: t.relu(),
    "square": lambda t: t**2,
    "cube root of a square": lambda t: t ** (2 / 3),
    "inverse": lambda t: t**-1,
    "sum": lambda t: t.sum(),
    "mean": lambda t: t.mean(),
}


def compare(function, *arrays, theirs=None):
    """Compare value and gradients of a function of tensors, through a random linear form, with
    torch's."""
    ours = [Tensor(a) for a in arrays]
    reference = [tensor(a, grad=True) for a in arrays]
    y, expected = function(*ours), (theirs or function)(*reference)
    assert_close(y.data, expected)
    weights = np.random.default_rng(0).normal(size=y.data.shape).astype(y.data.dtype)
    (y * weights).sum().backward()
    (expected * tensor(weights)).sum().backward()
    for a, b in zip(ours, reference, strict=True):
        assert_close(a.grad, b.grad)


def numbers(seed, shape):
    return away_from_zero(np.random.default_rng(seed).normal(size=shape), 0.1)


@pytest.mark.parametrize("name", BINARY)
@given(seed=SEEDS, shapes=mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=4))
def test_binary_operations_broadcast_as_torch(name, seed, shapes):
    """Oracle: torch autograd over any pair of shapes that broadcast."""
    a, b = (numbers(seed + i, s) for i, s in enumerate(shapes.input_shapes))
    compare(BINARY[name], a, b)


@pytest.mark.parametrize("name", UNARY)
@given(seed=SEEDS, shape=array_shapes(min_dims=0, max_dims=3, max_side=4))
def test_unary_operations_equal_torch(name, seed, shape):
    """Oracle: torch autograd, on positive numbers where a logarithm or a root needs them."""
    x = numbers(seed, shape)
    compare(UNARY[name], np.abs(x) if name in ("log", "cube root of a square") else x)


@given(seed=SEEDS, shape=array_shapes(min_dims=1, max_dims=3, max_side=4), data=st.data())
def test_sum_over_an_axis_equals_torch(seed, shape, data):
    """Oracle: torch.sum with keepdim, over each axis counted from either end."""
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    compare(
        lambda t: t.sum(axis=axis),
        numbers(seed, shape),
        theirs=lambda t: t.sum(dim=axis, keepdim=True),
    )


@given(seed=SEEDS, n=st.integers(1, 4), k=st.integers(1, 4), m=st.integers(1, 4))
def test_matrix_product_and_transpose_equal_torch(seed, n, k, m):
    """Oracle: torch autograd over random shapes."""
    a, b = numbers(seed, (n, k)), numbers(seed + 1, (k, m))
    compare(operator.matmul, a, b)
    compare(lambda s, t: (s @ t).T @ s, a, b)


def test_relu_has_no_slope_at_zero():
    """Oracle: torch's convention at the corner."""
    compare(lambda t: t.relu(), np.array([-1.0, 0.0, 2.0]))


@pytest.mark.parametrize("name", [*BINARY, "matmul"])
def test_plain_arrays_and_numbers_on_either_side(name):
    """Oracle: torch with a constant on the left and on the right."""
    operation = BINARY.get(name, operator.matmul)
    x, constant = numbers(0, (2, 2)), numbers(1, (2, 2))
    compare(lambda t: operation(t, constant), x, theirs=lambda t: operation(t, tensor(constant)))
    compare(lambda t: operation(constant, t), x, theirs=lambda t: operation(tensor(constant), t))
    assert isinstance(operation(constant, Tensor(x)), Tensor)
    if name != "matmul":
        compare(lambda t: operation(t, 3), x)
        compare(lambda t: operation(3, t), x)
        compare(
            lambda t: operation(t, [1.0, 2.0]),
            x,
            theirs=lambda t: operation(t, torch.tensor([1.0, 2.0])),
        )
        compare(
            lambda t: operation([1.0, 2.0], t),
            x,
            theirs=lambda t: operation(torch.tensor([1.0, 2.0]), t),
        )


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + x,
        lambda x: x * x * x,
        lambda x: (x + 1.0) * (x - 2.0) / (x * x + 1.0),
        lambda x: x - x,
        lambda x: (lambda h: h * h + h)((x * 2.0).tanh()),
        lambda x: (lambda h: (h + x) * (h * x))(x.exp()),
    ],
    ids=["x + x", "x x x", "rational", "x - x", "diamond", "two diamonds"],
)
@given(seed=SEEDS)
def test_a_value_used_twice_receives_both_gradients(function, seed):
    """Oracle: torch autograd on graphs in which a node has several uses."""
    compare(function, numbers(seed, (2, 3)))


def test_each_node_is_visited_once():
    """Oracle: 2^60: a chain of 60 doublings has that many paths, and only 60 nodes."""
    x = Tensor(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad == 2.0**60


def test_a_long_chain_does_not_exhaust_the_stack():
    """Oracle: the slope 1 of 20,000 additions, more than Python would recurse."""
    x = Tensor([1.0, 2.0])
    y = x
    for _ in range(20_000):
        y = y + 1.0
    y.sum().backward()
    assert np.array_equal(x.grad, [1.0, 1.0])


def test_an_ancestor_reached_by_paths_of_different_lengths():
    """Oracle: torch, where a node must wait for its longest path before it passes its gradient on.
    Oracle: torch, where a node must wait for its longest path before it passes its gradient on."""

    def function(x):
        a = x * 3.0
        b = a.exp()
        c = b * a + x
        return c * a + b

    compare(function, numbers(3, (2,)))


def test_backward_twice_gives_the_same_gradient():
    """Oracle: the first result; and None before any."""
    x = Tensor([1.0, -2.0])
    y = (x * x).sum()
    assert x.grad is None
    assert y.grad is None
    y.backward()
    first = x.grad.copy()
    y.backward()
    assert np.array_equal(x.grad, first)
    assert np.array_equal(first, [2.0, -4.0])
    assert y.grad == 1.0
    (x * 5.0).sum().backward()
    assert np.array_equal(x.grad, [5.0, 5.0])


def test_gradients_of_every_node_are_kept():
    """Oracle: the chain rule by hand for (3x)^2 at x = 2."""
    x = Tensor(2.0)
    h = x * 3.0
    y = h**2
    y.backward()
    assert (float(y.data), float(y.grad), float(h.grad), float(x.grad)) == (36.0, 1.0, 12.0, 36.0)


def test_float32_is_kept():
    """Oracle: the dtype of the input, and torch in float32."""
    compare(lambda t: (t * t).sum() * 2.0 + t.mean(), np.array([1.5, -2.0], np.float32))
    assert Tensor([1, 2]).data.dtype == np.float64


@given(seed=SEEDS)
def test_a_network_has_the_gradients_of_the_layers(seed):
    """Oracle: the hand-written backward pass of companion.network for the same two-layer network
    and MSE."""
    rng = np.random.default_rng(seed)
    model = cn.mlp([3, 4, 2], activation="tanh", rng=rng)
    loss = cn.MSELoss()
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    value = loss.forward(model(x), y)
    grad_x = model.backward(loss.backward())
    weights = {name: Tensor(array) for name, array in model.parameters().items()}
    start = Tensor(x)
    hidden = (start @ weights["0.weight"].T + weights["0.bias"]).tanh()
    difference = hidden @ weights["2.weight"].T + weights["2.bias"] - y
    result = (difference**2).mean()
    result.backward()
    assert result.data == pytest.approx(value, rel=1e-12)
    assert_close(start.grad, grad_x)
    for name, gradient in model.gradients().items():
        assert_close(weights[name].grad, gradient)


@given(seed=SEEDS)
def test_a_softmax_can_be_built_from_the_parts(seed):
    """Oracle: the gradient of cross-entropy in companion.network."""
    rng = np.random.default_rng(seed)
    z, target = rng.normal(size=(4, 3)), rng.integers(3, size=4)
    logits = Tensor(z)
    log_p = logits - logits.exp().sum(axis=1).log()
    loss = -(log_p * np.eye(3)[target]).sum() / 4
    loss.backward()
    assert loss.data == pytest.approx(cn.cross_entropy(z, target), rel=1e-12)
    assert_close(logits.grad, cn.cross_entropy_gradient(z, target))


def test_wrong_use_is_refused():
    """Oracle: the message says what was expected and what came."""
    with pytest.raises(ValueError, match=r"^backward needs a single number, got shape \(2,\)$"):
        Tensor([1.0, 2.0]).backward()
    with pytest.raises(ValueError, match=r"^backward needs a single number, got shape \(0,\)$"):
        Tensor([]).backward()
    Tensor([[3.0]]).backward()
    for a, b, shapes in (
        (np.ones(2), np.ones((2, 2)), r"\(2,\), \(2, 2\)"),
        (np.ones((2, 2)), np.ones(2), r"\(2, 2\), \(2,\)"),
        (np.ones((1, 2, 2)), np.ones((2, 2)), r"\(1, 2, 2\), \(2, 2\)"),
    ):
        with pytest.raises(ValueError, match=rf"^@ needs two matrices, got shapes {shapes}$"):
            Tensor(a) @ Tensor(b)
    with pytest.raises(TypeError, match=r"^data must hold real numbers, got dtype <U1$"):
        Tensor("a")
    with pytest.raises(TypeError, match=r"^data must hold real numbers, got dtype object$"):
        Tensor([1.0]) + None
    with pytest.raises(ValueError, match=r"^data must be an array of numbers: "):
        Tensor([[1.0], [1.0, 2.0]])
