"""mlp: which layers it makes, in which order and with which numbers."""

from functools import partial

import numpy as np
import pytest
from torch import nn

from companion import network as cn
from companion.network import initialisers
from tests.network.oracles import assert_close, copy_parameters, randomise, tensor


def names(model):
    return [type(layer).__name__ for layer in model]


def test_the_plain_network():
    """Oracle: Linear and ReLU in turn, ending in Linear; sizes as given."""
    model = cn.mlp([5, 4, 3, 2], rng=0)
    assert names(model) == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    assert [
        (layer.in_features, layer.out_features) for layer in model if isinstance(layer, cn.Linear)
    ] == [
        (5, 4),
        (4, 3),
        (3, 2),
    ]
    assert repr(cn.mlp((5, 2), rng=0)) == "Sequential(\n  (0): Linear(5, 2, bias=True)\n)"


def test_it_equals_the_network_of_torch():
    """Oracle: nn.Sequential written out, with the same parameters."""
    ours = randomise(
        cn.mlp([3, 4, 4, 2], activation="gelu", norm="layer", rng=0), np.random.default_rng(0)
    )
    block = [
        nn.Linear(3, 4),
        nn.LayerNorm(4),
        nn.GELU(),
        nn.Linear(4, 4),
        nn.LayerNorm(4),
        nn.GELU(),
        nn.Linear(4, 2),
    ]
    theirs = copy_parameters(ours, nn.Sequential(*block).double(), {})
    assert list(ours.parameters()) == list(theirs.state_dict())
    x = np.random.default_rng(1).normal(size=(6, 3))
    assert_close(ours(x), theirs(tensor(x)), tolerance=1e-11)


@pytest.mark.parametrize("activation", cn.ACTIVATIONS)
def test_every_activation(activation):
    """Oracle: the class that ACTIVATIONS gives, a new one for each layer."""
    model = cn.mlp([2, 3, 3, 1], activation=activation, rng=0)
    assert type(model[1]) is type(model[3]) is type(cn.ACTIVATIONS[activation]())
    assert model[1] is not model[3]


@pytest.mark.parametrize(("norm", "layer"), [("layer", "LayerNorm"), ("batch", "BatchNorm1d")])
def test_order_within_a_hidden_layer(norm, layer):
    """Oracle: linear, normalisation, activation, dropout; nothing of it after the last linear
    layer."""
    model = cn.mlp([5, 4, 3, 2], norm=norm, activation="tanh", dropout=0.25, rng=0)
    assert names(model) == [*(["Linear", layer, "Tanh", "Dropout"] * 2), "Linear"]
    assert model[3].p == 0.25
    assert model[1](np.random.default_rng(0).normal(size=(2, 4))).shape == (2, 4)


def test_residual_where_the_width_stays():
    """Oracle: the widths 5-4-4-4-3-3: two hidden layers keep theirs, the output layer is never
    wrapped."""
    model = cn.mlp([5, 4, 4, 4, 3, 3], residual=True, norm="layer", dropout=0.5, rng=0)
    plain = ["Linear", "LayerNorm", "ReLU", "Dropout"]
    assert names(model) == [*plain, "Residual", "Residual", *plain, "Linear"]
    assert names(model[4].body) == plain
    assert "Residual" not in names(cn.mlp([4, 4, 4], rng=0))
    assert names(cn.mlp([4, 4], residual=True, rng=0)) == ["Linear"]


def test_all_randomness_comes_from_one_generator():
    """Oracle: the draws repeated by hand, dropout's after the weights."""
    rng = np.random.default_rng(3)
    model = cn.mlp([3, 4, 2], dropout=0.5, rng=np.random.default_rng(3))
    assert np.array_equal(model[0].weight, initialisers.he_normal((4, 3), rng=rng))
    assert np.array_equal(model[3].weight, initialisers.he_normal((2, 4), rng=rng))
    assert np.array_equal(model[2](np.ones((2, 4))) > 0, rng.random((2, 4)) >= 0.5)
    same, other = cn.mlp([3, 4, 2], rng=3), cn.mlp([3, 4, 2], rng=4)
    assert np.array_equal(same[0].weight, model[0].weight)
    assert not np.array_equal(other[0].weight, model[0].weight)


def test_initialiser_and_type_reach_every_layer():
    """Oracle: a constant-free check: all weights orthogonal with the gain asked for, all arrays
    float32."""
    init = partial(initialisers.orthogonal, gain=2.0)
    for norm in ("layer", "batch"):
        model = cn.mlp([4, 4, 4, 4], weight_init=init, norm=norm, rng=0, dtype=np.float32)
        for name, array in (model.parameters() | model.buffers()).items():
            assert array.dtype == np.float32
            if array.ndim == 2:
                np.testing.assert_allclose(
                    np.linalg.svd(array, compute_uv=False), 2.0, rtol=1e-5, err_msg=name
                )
        assert (
            model(np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)).dtype
            == np.float32
        )
    assert cn.mlp([4, 4], rng=0).parameters()["0.weight"].dtype == np.float64


@pytest.mark.parametrize(
    ("sizes", "options", "error", "message"),
    [
        ([3], {}, ValueError, r"^sizes must hold at least input and output width, got \[3\]$"),
        ([], {}, ValueError, r"^sizes must hold at least input and output width, got \[\]$"),
        (5, {}, ValueError, r"^sizes must hold at least input and output width, got 5$"),
        ([3, 0, 2], {}, ValueError, r"^sizes\[1\] must be at least 1, got 0$"),
        ([3, 2.5], {}, TypeError, r"^sizes\[1\] must be an integer, got 2\.5$"),
        (
            [3, 2],
            {"activation": "swish"},
            ValueError,
            r"^activation must be one of 'identity', 'sigmoid', .*, got 'swish'$",
        ),
        (
            [3, 2],
            {"norm": "group"},
            ValueError,
            r"^norm must be one of 'none', 'layer', 'batch', got 'group'$",
        ),
        (
            [3, 2],
            {"norm": None},
            ValueError,
            r"^norm must be one of 'none', 'layer', 'batch', got None$",
        ),
        ([3, 2], {"dropout": 1.0}, ValueError, r"^dropout must lie in \[0, 1\), got 1\.0$"),
        ([3, 2], {"dropout": -0.1}, ValueError, r"^dropout must lie in \[0, 1\), got -0\.1$"),
        (
            [3, 2],
            {"rng": None},
            TypeError,
            r"^rng must be a numpy.random.Generator or an integer seed, got None$",
        ),
        ([3, 2], {"dtype": "f2"}, TypeError, r"^dtype must be float32 or float64, got 'f2'$"),
    ],
)
def test_mlp_refuses(sizes, options, error, message):
    """Oracle: the message names the argument, what was expected and what came."""
    with pytest.raises(error, match=message):
        cn.mlp(sizes, **{"rng": 0, **options})
