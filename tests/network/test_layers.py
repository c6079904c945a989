"""Each layer against PyTorch and against finite differences, over random shapes."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from companion import network as cn
from companion.network import initialisers
from tests.network.oracles import (
    DTYPES,
    KINDS,
    SEEDS,
    SIZES,
    assert_close,
    away_from_zero,
    batch_shape,
    central_differences,
    copy_parameters,
    make,
    tensor,
    twin,
)

BATCHES = st.lists(st.integers(1, 4), min_size=1, max_size=2).map(tuple)
# SpectralNorm moves its singular vectors in each training pass: a function of x only in evaluation.
MODES = [(name, training) for name in KINDS for training in (True, False)]


def well_conditioned(name: str) -> bool:
    """Normalisation of two nearly equal numbers magnifies rounding: compare float32 elsewhere."""
    return "Norm" not in name and name != "Sequential"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "training"), MODES)
@given(seed=SEEDS, features=SIZES, batch=BATCHES)
def test_layer_equals_torch(name, training, dtype, seed, features, batch):
    """Oracle: the torch.nn module with the same parameters: output, and autograd's gradients."""
    rng = np.random.default_rng(seed)
    layer = make(name, features, rng, dtype).train(training)
    module, names = twin(name, layer)
    x = rng.normal(size=batch_shape(name, batch, features)).astype(dtype)
    x_torch = tensor(x, grad=True)
    out, expected = layer.forward(x), module(x_torch)
    g = rng.normal(size=out.shape).astype(dtype)
    expected.backward(tensor(g))
    theirs = dict(module.named_parameters())
    tolerance = None
    if not well_conditioned(name):
        tolerance = 1e-9 if dtype == np.float64 else 5e-2
    assert_close(out, expected, tolerance=tolerance)
    assert_close(layer.backward(g), x_torch.grad, tolerance=tolerance)
    gradients = layer.gradients()
    assert len(gradients) == len(theirs)
    for key, gradient in gradients.items():
        assert_close(gradient, theirs[names.get(key, key)].grad, tolerance=tolerance)
    for key, buffer in layer.buffers().items():
        assert_close(buffer, dict(module.named_buffers())[names.get(key, key)], tolerance=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["LayerNorm", "BatchNorm1d", "SpectralNorm", "Sequential"])
@given(seed=SEEDS, rows=st.integers(5, 9), features=st.integers(4, 7))
def test_normalisation_equals_torch_closely(name, training, dtype, seed, rows, features):
    """Oracle: torch, to the last digits, on batches large enough to be well conditioned."""
    rng = np.random.default_rng(seed)
    layer = make(name, features, rng, dtype).train(training)
    module, names = twin(name, layer)
    x = (3 * rng.normal(size=(rows, features)) + 1).astype(dtype)
    x_torch = tensor(x, grad=True)
    out, expected = layer.forward(x), module(x_torch)
    g = rng.normal(size=out.shape).astype(dtype)
    expected.backward(tensor(g))
    tolerance = 1e-11 if dtype == np.float64 else 5e-4
    assert_close(out, expected, tolerance=tolerance)
    assert_close(layer.backward(g), x_torch.grad, tolerance=tolerance)
    for key, gradient in layer.gradients().items():
        theirs = dict(module.named_parameters())[names.get(key, key)]
        assert_close(gradient, theirs.grad, tolerance=tolerance)


@pytest.mark.parametrize(("name", "training"), MODES)
@given(seed=SEEDS, features=SIZES, batch=BATCHES)
def test_backward_equals_finite_differences(name, training, seed, features, batch):
    """Oracle: central differences of <g, forward(x)> in the input and in every parameter."""
    rng = np.random.default_rng(seed)
    layer = make(name, features, rng)
    if name == "SpectralNorm":
        # The singular vectors count as constants, which is exact only where they have converged.
        singular = np.linalg.svd(layer.layer.weight)
        layer.buffers()["u"][:], layer.buffers()["v"][:] = singular.U[:, 0], singular.Vh[0]
        layer.eval()
    else:
        layer.train(training)
    x = away_from_zero(rng.normal(size=batch_shape(name, batch, features)))
    out = layer.forward(x)
    g = rng.normal(size=out.shape)
    if "Norm" in name or name == "Sequential":
        # Smooth only on the scale of the spread, which two random numbers can make tiny.
        spread = x.std(axis=0 if name == "BatchNorm1d" else -1).min()
        assume(features == 1 or spread > 0.05)
    analytic = {"input": layer.backward(g)} | {k: v.copy() for k, v in layer.gradients().items()}
    for key, array in {"input": x, **layer.parameters()}.items():
        numeric = central_differences(lambda: float(np.vdot(g, layer.forward(x))), array)
        scale = 1.0 + np.abs(numeric).max()
        np.testing.assert_allclose(analytic[key], numeric, rtol=0, atol=2e-5 * scale)


def test_linear_by_hand():
    """Oracle: a product of small integers done by hand."""
    layer = cn.Linear(2, 3, rng=0)
    layer.weight[...] = [[1, 2], [3, 4], [5, 6]]
    layer.bias[...] = [10, 20, 30]
    assert np.array_equal(layer([[1, -1], [0, 2]]), [[9, 19, 29], [14, 28, 42]])
    assert np.array_equal(layer.backward([[1, 0, 0], [0, 1, 1]]), [[1, 2], [8, 10]])
    assert np.array_equal(layer.gradients()["weight"], [[1, -1], [0, 2], [0, 2]])
    assert np.array_equal(layer.gradients()["bias"], [1, 1, 1])


def test_linear_starts_as_said():
    """Oracle: he_normal with the same generator, zeros, and the defaults of the signature."""
    layer = cn.Linear(3, 2, rng=7)
    assert np.array_equal(layer.weight, initialisers.he_normal((2, 3), rng=7))
    assert np.array_equal(layer.bias, np.zeros(2))
    assert layer.weight.dtype == layer.bias.dtype == np.float64
    small = cn.Linear(3, 2, rng=7, dtype=np.float32)
    assert small.weight.dtype == small.bias.dtype == np.float32
    assert cn.Linear(3, 2, rng=7, bias=False).bias is None
    assert list(cn.Linear(3, 2, rng=7, bias=False).parameters()) == ["weight"]
    assert (repr(layer), repr(cn.Linear(3, 2, bias=False, rng=0))) == (
        "Linear(3, 2, bias=True)",
        "Linear(3, 2, bias=False)",
    )
    rng = np.random.default_rng(5)
    pair = cn.Linear(2, 2, rng=rng), cn.Linear(2, 2, rng=rng)
    assert not np.array_equal(pair[0].weight, pair[1].weight)


def test_linear_takes_what_an_initialiser_returns_as_its_own():
    """Oracle: the array given, its type converted and its memory not shared."""
    given = np.arange(6.0).reshape(2, 3)
    layer = cn.Linear(3, 2, weight_init=lambda shape, *, rng, dtype: given, rng=0, dtype=np.float32)
    assert layer.weight.dtype == np.float32
    assert np.array_equal(layer.weight, given)
    layer.weight[...] = 0
    assert given.sum() == 15


def test_linear_tells_its_initialiser_shape_source_and_type():
    """Oracle: what a recording initialiser was given."""
    calls = []

    def record(shape, **options):
        calls.append((shape, options))
        return np.zeros(shape)

    rng = np.random.default_rng(0)
    cn.Linear(3, 2, weight_init=record, rng=rng, dtype=np.float32)
    assert calls == [((2, 3), {"rng": rng, "dtype": np.dtype(np.float32)})]
    cn.Linear(3, 2, weight_init=record, rng=0)
    assert isinstance(calls[1][1]["rng"], np.random.Generator)
    assert calls[1][1]["dtype"] == np.float64


@pytest.mark.parametrize("wrong", [np.zeros((3, 2)), np.zeros(2), 0.0, np.zeros((2, 3, 1))])
def test_linear_refuses_a_weight_of_another_shape(wrong):
    """Oracle: the message gives the shape wanted and the one that came."""
    message = f"weight_init must return shape (2, 3), got {np.shape(wrong)}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        cn.Linear(3, 2, weight_init=lambda shape, *, rng, dtype: wrong, rng=0)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((0, 2), {}, ValueError, r"^in_features must be at least 1, got 0$"),
        ((2, -1), {}, ValueError, r"^out_features must be at least 1, got -1$"),
        ((2.0, 2), {}, TypeError, r"^in_features must be an integer, got 2\.0$"),
        ((2, "2"), {}, TypeError, r"^out_features must be an integer, got '2'$"),
        (
            (2, 2),
            {"dtype": int},
            TypeError,
            r"^dtype must be float32 or float64, got <class 'int'>$",
        ),
        (
            (2, 2),
            {"dtype": "float65"},
            TypeError,
            r"^dtype must be float32 or float64, got 'float65'$",
        ),
        (
            (2, 2),
            {"rng": None},
            TypeError,
            r"^rng must be a numpy.random.Generator or an integer seed, got None$",
        ),
        ((2, 2), {"rng": -1}, ValueError, r"^rng must be a non-negative seed, got -1$"),
    ],
)
def test_linear_refuses(arguments, options, error, message):
    """Oracle: the message names the argument, what was expected and what came."""
    with pytest.raises(error, match=message):
        cn.Linear(*arguments, **{"rng": 0, **options})


# Sequential and Residual


def test_sequential_names_its_parameters_as_torch():
    """Oracle: the names and order of nn.Sequential's state_dict; equal outputs once they are
    copied."""
    rng = np.random.default_rng(0)
    ours = make("Sequential", 4, rng)
    theirs, names = twin("Sequential", ours)
    assert not names
    assert list(ours.parameters()) == list(theirs.state_dict())
    for name, array in ours.parameters().items():
        assert tuple(theirs.state_dict()[name].shape) == array.shape
    x = rng.normal(size=(5, 4))
    assert_close(ours(x), theirs(tensor(x)))


def test_sequential_is_a_sequence():
    """Oracle: the layers that were given, by index, in order and by name."""
    layers = [cn.Linear(2, 3, rng=0), cn.ReLU(), cn.Linear(3, 1, rng=1)]
    model = cn.Sequential(*layers)
    assert len(model) == 3
    assert [model[i] for i in range(3)] == layers == list(model)
    assert model[-1] is layers[2]
    assert list(model.children()) == ["0", "1", "2"]
    assert repr(model) == (
        "Sequential(\n  (0): Linear(2, 3, bias=True)\n  (1): ReLU()\n"
        "  (2): Linear(3, 1, bias=True)\n)"
    )
    x = np.ones((1, 2))
    assert np.array_equal(model(x), layers[2](layers[1](layers[0](x))))
    assert model.parameters()["2.weight"] is layers[2].weight


def test_sequential_refuses():
    """Oracle: the message names the place in the row."""
    with pytest.raises(ValueError, match=r"^layers must hold at least one layer, got none$"):
        cn.Sequential()
    with pytest.raises(TypeError, match=r"^layers\[1\] must be a Layer, got 'relu'$"):
        cn.Sequential(cn.ReLU(), "relu")
    with pytest.raises(TypeError, match=r"^layers\[0\] must be a Layer, got \[ReLU\(\)\]$"):
        cn.Sequential([cn.ReLU()])
    relu = cn.ReLU()
    with pytest.raises(
        ValueError, match=r"^layers\[2\] must be a layer of its own, got ReLU\(\) again$"
    ):
        cn.Sequential(relu, cn.Linear(2, 2, rng=0), relu)
    with pytest.raises(TypeError, match=r"^x must hold real numbers, got dtype <U1$"):
        cn.Sequential(relu)("a")


def test_residual_refuses_a_body_that_changes_the_shape():
    """Oracle: the message names the body and both shapes."""
    with pytest.raises(ValueError, match=r"^body must keep the shape \(4, 2\) of x, got \(4, 3\)$"):
        cn.Residual(cn.Linear(2, 3, rng=0))(np.ones((4, 2)))
    # One feature would broadcast against any number of them.
    with pytest.raises(ValueError, match=r"^body must keep the shape \(4, 1\) of x, got \(4, 3\)$"):
        cn.Residual(cn.Linear(1, 3, rng=0))(np.ones((4, 1)))
    with pytest.raises(TypeError, match=r"^body must be a Layer, got None$"):
        cn.Residual(None)
    with pytest.raises(TypeError, match=r"^x must hold real numbers"):
        cn.Residual(cn.ReLU())(["a"])
    assert repr(cn.Residual(cn.ReLU())) == "Residual(ReLU())"


# Normalisation


@given(seed=SEEDS, rows=st.integers(2, 6), features=st.integers(2, 6))
def test_normalisation_gives_mean_zero_and_variance_one(seed, rows, features):
    """Oracle: mean and variance of the output, along the axis each layer normalises."""
    x = 100 + 5 * np.random.default_rng(seed).normal(size=(rows, features))
    for layer, axis in ((cn.LayerNorm(features), 1), (cn.BatchNorm1d(features), 0)):
        y = layer(x)
        np.testing.assert_allclose(y.mean(axis=axis), 0, atol=1e-9)
        var = x.var(axis=axis)
        np.testing.assert_allclose(y.var(axis=axis), var / (var + 1e-5), rtol=1e-8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.3, "eps": 0.1}, {"momentum": 0.0}, {"momentum": 1.0}]
)
def test_batch_norm_follows_torch_over_several_batches(options, dtype):
    """Oracle: nn.BatchNorm1d fed the same batches: running mean, unbiased running variance,
    evaluation."""
    rng = np.random.default_rng(3)
    layer = cn.BatchNorm1d(3, dtype=dtype, **options)
    module = copy_parameters(
        layer, nn.BatchNorm1d(3, **options).to(tensor(np.zeros(1, dtype)).dtype), {}
    )
    for rows in (2, 5, 3, 7):
        x = (rng.normal(size=(rows, 3)) * [1, 10, 0.1] + [0, 5, -1]).astype(dtype)
        assert_close(layer(x), module(tensor(x)), tolerance=1e-10 if dtype == np.float64 else 1e-3)
        assert_close(layer.buffers()["running_mean"], module.running_mean)
        assert_close(layer.buffers()["running_var"], module.running_var)
    layer.eval()
    module.eval()
    before = {name: array.copy() for name, array in layer.buffers().items()}
    x = rng.normal(size=(1, 3)).astype(dtype)
    x_torch = tensor(x, grad=True)
    out = module(x_torch)
    assert_close(layer(x), out)
    g = np.array([[1.0, -2.0, 0.5]], dtype)
    out.backward(tensor(g))
    assert_close(layer.backward(g), x_torch.grad)
    assert_close(layer.gradients()["weight"], module.weight.grad)
    assert_close(layer.gradients()["bias"], module.bias.grad)
    for name, array in layer.buffers().items():
        assert np.array_equal(array, before[name])


def test_batch_norm_goes_back_in_the_mode_of_its_forward_pass():
    """Oracle: the gradient before the mode was switched; training's rows sum to zero, evaluation's
    do not."""
    layer = cn.BatchNorm1d(2)
    x, g = np.array([[0.0, 1.0], [3.0, 5.0], [1.0, -1.0]]), np.array([[1.0, 0], [0, 0], [0, 2]])
    layer(x)
    expected = layer.backward(g)
    np.testing.assert_allclose(expected.sum(axis=0), 0, atol=1e-12)
    layer.eval()
    assert np.array_equal(layer.backward(g), expected)
    layer(x)
    assert not np.allclose(layer.backward(g), expected)


def test_normalisation_starts_as_torch_does():
    """Oracle: the defaults and first arrays of torch's modules."""
    for ours, theirs in (
        (cn.LayerNorm(3), nn.LayerNorm(3)),
        (cn.BatchNorm1d(3), nn.BatchNorm1d(3)),
    ):
        assert ours.eps == theirs.eps
        state = theirs.double().state_dict()
        state.pop("num_batches_tracked", None)
        arrays = ours.parameters() | ours.buffers()
        assert list(arrays) == list(state)
        for name, array in arrays.items():
            assert_close(array, state[name])
    assert cn.BatchNorm1d(3).momentum == nn.BatchNorm1d(3).momentum
    for layer in (cn.LayerNorm(2, dtype=np.float32), cn.BatchNorm1d(2, dtype=np.float32)):
        assert {a.dtype for a in (layer.parameters() | layer.buffers()).values()} == {
            np.dtype(np.float32)
        }
    assert (repr(cn.LayerNorm(3)), repr(cn.BatchNorm1d(4))) == ("LayerNorm(3)", "BatchNorm1d(4)")


@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_eps_is_added_to_the_variance(eps):
    """Oracle: torch with the same eps, on rows of nearly no variance."""
    x = np.array([[1.0, 1.001], [1.002, 1.0]])
    assert_close(
        cn.LayerNorm(2, eps=eps)(x),
        nn.functional.layer_norm(tensor(x), (2,), eps=eps),
        tolerance=1e-9,
    )
    theirs = nn.functional.batch_norm(tensor(x), None, None, training=True, eps=eps)
    assert_close(cn.BatchNorm1d(2, eps=eps)(x), theirs, tolerance=1e-9)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cn.LayerNorm(0), ValueError, r"^normalized_shape must be at least 1, got 0$"),
        (lambda: cn.LayerNorm(2, eps=0), ValueError, r"^eps must lie in \(0, inf\), got 0$"),
        (lambda: cn.LayerNorm(2, dtype=int), TypeError, r"^dtype must be float32 or float64"),
        (
            lambda: cn.LayerNorm(2)(np.ones((3, 4))),
            ValueError,
            r"^x must have normalized_shape = 2 on its last axis, got \(3, 4\)$",
        ),
        (lambda: cn.BatchNorm1d("2"), TypeError, r"^num_features must be an integer, got '2'$"),
        (
            lambda: cn.BatchNorm1d(2, eps=-1e-5),
            ValueError,
            r"^eps must lie in \(0, inf\), got -1e-05$",
        ),
        (
            lambda: cn.BatchNorm1d(2, momentum=1.1),
            ValueError,
            r"^momentum must lie in \[0, 1\], got 1\.1$",
        ),
        (
            lambda: cn.BatchNorm1d(2, momentum=-0.1),
            ValueError,
            r"^momentum must lie in \[0, 1\], got -0\.1$",
        ),
        (
            lambda: cn.BatchNorm1d(2, dtype="int8"),
            TypeError,
            r"^dtype must be float32 or float64, got 'int8'$",
        ),
        (
            lambda: cn.BatchNorm1d(2)(np.ones((3, 4))),
            ValueError,
            r"^x must have num_features = 2 on its last axis, got \(3, 4\)$",
        ),
        (
            lambda: cn.BatchNorm1d(2)(np.ones((3, 4, 2))),
            ValueError,
            r"^x must have shape \(N, 2\), got \(3, 4, 2\)$",
        ),
        (
            lambda: cn.BatchNorm1d(2)(np.ones(2)),
            ValueError,
            r"^x must have shape \(N, 2\), got \(2,\)$",
        ),
        (
            lambda: cn.BatchNorm1d(2)(np.ones((1, 2))),
            ValueError,
            r"^x must have at least 2 rows in training mode, got 1$",
        ),
        (
            lambda: cn.BatchNorm1d(2)(np.ones((0, 2))),
            ValueError,
            r"^x must have at least 2 rows in training mode, got 0$",
        ),
    ],
)
def test_normalisation_refuses(call, error, message):
    """Oracle: the message names the argument, what was expected and what came."""
    with pytest.raises(error, match=message):
        call()


# Dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_drops_its_share_and_keeps_the_mean(p):
    """Oracle: the binomial distribution, within five standard errors."""
    n = 200_000
    y = cn.Dropout(p, rng=1)(np.ones(n))
    share, error = np.mean(y == 0), math.sqrt(p * (1 - p) / n)
    assert abs(share - p) < 5 * error
    assert np.array_equal(np.unique(y), [0.0, 1.0 / (1.0 - p)])
    assert abs(y.mean() - 1.0) < 5 * error / (1 - p)


def test_dropout_draws_each_entry_alone():
    """Oracle: 25 pairs (column, neighbour) of a fair coin; each correlation within five standard
    errors."""
    y = cn.Dropout(0.5, rng=2)(np.ones((20_000, 5)))
    correlation = np.corrcoef(y, rowvar=False) - np.eye(5)
    assert np.abs(correlation).max() < 5 / math.sqrt(20_000)


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, rows=st.integers(1, 5), p=st.sampled_from([0.0, 0.2, 0.5, 0.9]))
def test_dropout_goes_back_through_the_entries_it_kept(dtype, seed, rows, p):
    """Oracle: the mask seen in the output of ones."""
    rng = np.random.default_rng(seed)
    layer = cn.Dropout(p, rng=rng)
    mask = layer(np.ones((rows, 4), dtype))
    g = rng.normal(size=(rows, 4)).astype(dtype)
    back = layer.backward(g)
    assert back.dtype == mask.dtype == dtype
    assert np.array_equal(back, g * mask)
    assert not np.array_equal(layer(np.ones((200, 4))), layer(np.ones((200, 4)))) or p == 0.0


def test_dropout_drops_draws_below_p_only():
    """Oracle: draws lie in [0, 1) and a share p lies below p: a draw equal to p is kept."""

    class Scripted(np.random.Generator):
        def random(self, size):
            return np.array([0.0, 0.25, 0.5, 0.75]).reshape(size)

    rng = Scripted(np.random.PCG64(0))
    assert np.array_equal(cn.Dropout(0.0, rng=rng)(np.ones(4)), [1, 1, 1, 1])
    assert np.array_equal(cn.Dropout(0.25, rng=rng)(np.ones(4)), [0, 4 / 3, 4 / 3, 4 / 3])
    assert np.array_equal(cn.Dropout(0.75, rng=rng)(np.ones(4)), [0, 0, 0, 4])


def test_dropout_is_the_identity_in_evaluation():
    """Oracle: the input, and the gradient, unchanged; the same draws afterwards as if it had not
    run."""
    layer, reference = cn.Dropout(0.5, rng=3), cn.Dropout(0.5, rng=3)
    x = np.arange(12.0).reshape(3, 4)
    layer.eval()
    assert np.array_equal(layer(x), x)
    assert np.array_equal(layer.backward(x), x)
    assert np.array_equal(layer.train()(x), reference(x))
    assert layer.p == nn.Dropout().p == cn.Dropout(rng=0).p
    assert repr(cn.Dropout(0.25, rng=0)) == "Dropout(p=0.25)"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"p": 1.0}, ValueError, r"^p must lie in \[0, 1\), got 1\.0$"),
        ({"p": -0.1}, ValueError, r"^p must lie in \[0, 1\), got -0\.1$"),
        ({"p": math.nan}, ValueError, r"^p must lie in \[0, 1\), got nan$"),
        ({"p": "half"}, TypeError, r"^p must be a real number, got 'half'$"),
        (
            {"rng": 0.5},
            TypeError,
            r"^rng must be a numpy.random.Generator or an integer seed, got 0\.5$",
        ),
    ],
)
def test_dropout_refuses(options, error, message):
    """Oracle: the message names the argument, what was expected and what came."""
    with pytest.raises(error, match=message):
        cn.Dropout(**{"rng": 0, **options})


# Spectral normalisation


@given(seed=SEEDS, n_in=st.integers(1, 5), n_out=st.integers(1, 5))
def test_sigma_is_the_largest_singular_value_once_converged(seed, n_in, n_out):
    """Oracle: numpy.linalg.svd."""
    rng = np.random.default_rng(seed)
    layer = cn.SpectralNorm(cn.Linear(n_in, n_out, rng=rng), n_power_iterations=3000, rng=rng)
    layer(np.ones(n_in))
    singular = np.linalg.svd(layer.layer.weight, compute_uv=False)
    np.testing.assert_allclose(layer.sigma(), singular[0], rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(layer.normalised_weight(), 2), 1.0, rtol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_spectral_norm_steps_as_torch(steps):
    """Oracle: nn.utils.spectral_norm from the same u: u, v and the output over three training
    passes, then none in evaluation."""
    rng = np.random.default_rng(4)
    layer = cn.SpectralNorm(cn.Linear(5, 3, rng=rng), n_power_iterations=steps, rng=rng)
    module = nn.utils.spectral_norm(nn.Linear(5, 3), n_power_iterations=steps)
    names = {"layer.weight": "weight_orig", "layer.bias": "bias", "u": "weight_u", "v": "weight_v"}
    module = copy_parameters(layer, module.double(), names)
    x = rng.normal(size=(2, 5))
    for training in (True, True, True, False, False):
        layer.train(training)
        module.train(training)
        assert_close(layer(x), module(tensor(x)))
        assert_close(layer.buffers()["u"], module.weight_u)
        assert_close(layer.buffers()["v"], module.weight_v)


@given(seed=SEEDS, n_in=st.integers(1, 5), n_out=st.integers(1, 5))
def test_spectral_norm_equals_the_parametrisation_of_torch(seed, n_in, n_out):
    """Oracle: nn.utils.parametrizations.spectral_norm in evaluation mode with the same u and v."""
    rng = np.random.default_rng(seed)
    layer = cn.SpectralNorm(cn.Linear(n_in, n_out, rng=rng), rng=rng)
    layer(rng.normal(size=(2, n_in)))
    layer.eval()
    module = nn.utils.parametrizations.spectral_norm(nn.Linear(n_in, n_out).double()).eval()
    stem = "parametrizations.weight"
    names = {
        "layer.weight": f"{stem}.original",
        "layer.bias": "bias",
        "u": f"{stem}.0._u",
        "v": f"{stem}.0._v",
    }
    copy_parameters(layer, module, names)
    x = rng.normal(size=(2, 3, n_in))
    x_torch = tensor(x, grad=True)
    out = module(x_torch)
    assert_close(layer(x), out, tolerance=1e-11)
    assert_close(layer.normalised_weight(), module.weight, tolerance=1e-11)
    g = rng.normal(size=out.shape)
    out.backward(tensor(g))
    assert_close(layer.backward(g), x_torch.grad, tolerance=1e-10)
    assert_close(layer.gradients()["layer.bias"], module.bias.grad)
    assert_close(
        layer.gradients()["layer.weight"],
        module.parametrizations.weight.original.grad,
        tolerance=1e-10,
    )


def test_spectral_norm_starts_and_reads_as_said():
    """Oracle: unit vectors drawn from the seed, the names of its arrays, and its text."""
    for dtype in DTYPES:
        layer = cn.SpectralNorm(cn.Linear(4, 3, rng=0, dtype=dtype), rng=5)
        rng = np.random.default_rng(5)
        for name, size in (("u", 3), ("v", 4)):
            draw = rng.standard_normal(size)
            np.testing.assert_allclose(
                layer.buffers()[name], draw / np.linalg.norm(draw), rtol=1e-6
            )
            assert layer.buffers()[name].dtype == dtype
        assert layer.normalised_weight().dtype == dtype
    assert layer.n_power_iterations == 1
    assert list(layer.parameters()) == ["layer.weight", "layer.bias"]
    assert list(layer.buffers()) == ["u", "v"]
    assert repr(layer) == "SpectralNorm(Linear(4, 3, bias=True))"
    plain = cn.SpectralNorm(cn.Linear(4, 3, bias=False, rng=0), rng=5)
    assert np.array_equal(plain(np.eye(4)), plain.normalised_weight().T)
    plain.backward(np.ones((4, 3)))
    assert list(plain.gradients()) == ["layer.weight"]


def test_a_zero_vector_stays_zero_in_power_iteration():
    """Oracle: torch's normalize, which divides by no less than 1e-12."""
    layer = cn.SpectralNorm(cn.Linear(2, 2, rng=0), rng=0)
    layer.layer.weight[...] = [[1e-9, 0], [0, 0]]
    layer.buffers()["u"][:] = [1, 0]
    layer([1.0, 0.0])
    assert np.array_equal(layer.buffers()["v"], [1, 0])
    layer.layer.weight[...] = [[1e-13, 0], [0, 0]]
    layer([1.0, 0.0])
    theirs = nn.functional.normalize(
        torch.tensor([1e-13, 0.0], dtype=torch.float64), dim=0, eps=1e-12
    )
    assert_close(layer.buffers()["v"], theirs)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: cn.SpectralNorm(cn.ReLU(), rng=0),
            TypeError,
            r"^layer must be Linear, got ReLU\(\)$",
        ),
        (
            lambda: cn.SpectralNorm(cn.Linear(2, 2, rng=0), n_power_iterations=0, rng=0),
            ValueError,
            r"^n_power_iterations must be at least 1, got 0$",
        ),
        (
            lambda: cn.SpectralNorm(cn.Linear(2, 2, rng=0), n_power_iterations=1.5, rng=0),
            TypeError,
            r"^n_power_iterations must be an integer, got 1\.5$",
        ),
        (
            lambda: cn.SpectralNorm(cn.Linear(2, 2, rng=0), rng="0"),
            TypeError,
            r"^rng must be a numpy.random.Generator or an integer seed, got '0'$",
        ),
        (
            lambda: cn.SpectralNorm(cn.Linear(2, 2, rng=0), rng=0)(np.ones(3)),
            ValueError,
            r"^x must have in_features = 2 on its last axis, got \(3,\)$",
        ),
    ],
)
def test_spectral_norm_refuses(call, error, message):
    """Oracle: the message names the argument, what was expected and what came."""
    with pytest.raises(error, match=message):
        call()
