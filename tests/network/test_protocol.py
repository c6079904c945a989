"""The contract of a layer, tried on every layer there is; a new kind is one line in oracles.KINDS.
The contract of a layer, tried on every layer there is; a new kind is one line in oracles.KINDS."""

import numpy as np
import pytest

from companion import network as cn
from tests.network.oracles import DTYPES, KINDS, make

FEATURES = 3
SHAPES = {"rows": (5, FEATURES), "sequence": (4, 2, FEATURES), "one sample": (FEATURES,)}
WITH_PARAMETERS = [name for name, kind in KINDS.items() if not kind.dtype_free]
CASES = [
    (name, shape)
    for name, kind in KINDS.items()
    for shape in SHAPES.values()
    if len(shape) == 2 or not kind.batch_only
]


def layer_types(base: type = cn.Layer) -> set[type]:
    """Return every subclass of Layer that companion.network exports, down the tree."""
    found = {value for value in vars(cn).values() if isinstance(value, type)}
    return {t for t in found if issubclass(t, base) and t is not base}


def test_every_exported_layer_is_tried():
    """Oracle: the classes in companion.network; Activation is the base of those that are tried."""
    rng = np.random.default_rng(0)
    tried = {type(make(name, FEATURES, rng)) for name in KINDS}
    assert layer_types() - {cn.Activation} == tried


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "shape"), CASES)
def test_shapes_types_and_names(name, shape, dtype):
    """Oracle: the protocol in Layer's docstrings: shapes, dtypes and names of what goes out and
    comes back."""
    rng = np.random.default_rng(1)
    layer = make(name, FEATURES, rng, dtype)
    x = rng.normal(size=shape).astype(dtype)
    kept = x.copy()
    out = layer(x)
    assert type(out) is np.ndarray
    assert out.dtype == dtype
    assert out.shape[:-1] == shape[:-1]
    g = rng.normal(size=out.shape).astype(dtype)
    back = layer.backward(g)
    assert type(back) is np.ndarray
    assert back.dtype == dtype
    assert back.shape == shape
    assert np.array_equal(x, kept)
    parameters, gradients = layer.parameters(), layer.gradients()
    assert parameters.keys() == gradients.keys()
    for key, parameter in parameters.items():
        assert gradients[key].shape == parameter.shape
        assert gradients[key].dtype == parameter.dtype == dtype
        assert not np.shares_memory(gradients[key], parameter)
        assert not np.shares_memory(gradients[key], g)
    assert not np.shares_memory(back, g)
    assert not np.shares_memory(back, x)


@pytest.mark.parametrize("name", KINDS)
def test_backward_before_forward_is_refused(name):
    """Oracle: RuntimeError with the name of the class that was not ready."""
    layer = make(name, FEATURES, np.random.default_rng(2))
    last = {"Sequential": "Linear", "Residual": "Linear"}.get(name, type(layer).__name__)
    width = {"Linear": 4, "SpectralNorm": 4}.get(name, FEATURES)
    with pytest.raises(RuntimeError, match=rf"^{last}\.backward was called before forward$"):
        layer.backward(np.ones((2, width)))


@pytest.mark.parametrize("name", KINDS)
def test_wrong_gradient_is_refused_by_name(name):
    """Oracle: the message names grad_output, in shape and in type."""
    layer = make(name, FEATURES, np.random.default_rng(3))
    out = layer(np.ones((2, FEATURES)) + np.eye(2, FEATURES))
    wanted = ", ".join(map(str, out.shape))
    for shape in ((3, out.shape[1]), (2, out.shape[1] + 1), (out.shape[1],)):
        got = str(shape).replace("(", r"\(").replace(")", r"\)")
        with pytest.raises(
            ValueError, match=rf"^grad_output must have shape \({wanted}\), got {got}$"
        ):
            layer.backward(np.ones(shape))
    with pytest.raises(TypeError, match=r"^grad_output must hold real numbers, got dtype <U1$"):
        layer.backward("a")


@pytest.mark.parametrize("name", KINDS)
def test_wrong_input_is_refused_by_name(name):
    """Oracle: the message names x, and for a layer with weights the size or type that it needs."""
    layer = make(name, FEATURES, np.random.default_rng(4))
    with pytest.raises(TypeError, match=r"^x must hold real numbers|^z must hold real numbers"):
        layer(np.full((2, FEATURES), "a"))
    if name not in WITH_PARAMETERS:
        return
    with pytest.raises(ValueError, match=r"^x must have \w+ = 3 on its last axis, got \(2, 4\)$"):
        layer(np.ones((2, FEATURES + 1)))
    with pytest.raises(ValueError, match=r"^x must have at least 1 axes, got shape \(\)$"):
        layer(1.0)
    message = (
        r"^x must be float64 like the layer, got float32; convert x or give the layer dtype=\.\.\.$"
    )
    with pytest.raises(TypeError, match=message):
        layer(np.ones((2, FEATURES), np.float32))
    small = make(name, FEATURES, np.random.default_rng(4), np.float32)
    with pytest.raises(TypeError, match=r"^x must be float32 like the layer, got float64; "):
        small(np.ones((2, FEATURES)))


@pytest.mark.parametrize("name", KINDS)
def test_modes_reach_every_layer_inside(name):
    """Oracle: a walk through the children."""

    def walk(layer):
        yield layer
        for child in layer.children().values():
            yield from walk(child)

    layer = make(name, FEATURES, np.random.default_rng(5))
    assert all(part.training for part in walk(layer))
    assert layer.eval() is layer
    assert not any(part.training for part in walk(layer))
    assert layer.train() is layer
    assert all(part.training for part in walk(layer))
    assert layer.train(False) is layer
    assert not any(part.training for part in walk(layer))


@pytest.mark.parametrize("name", KINDS)
def test_parameters_are_the_arrays_themselves(name):
    """Oracle: a change made through parameters() is seen in the output, or through buffers() where
    there are some."""
    rng = np.random.default_rng(6)
    layer = make(name, FEATURES, rng).eval()
    x = rng.normal(size=(4, FEATURES))
    for key, array in layer.parameters().items():
        before = layer(x)
        array += 1.0
        assert not np.array_equal(layer(x), before), key
        assert layer.parameters()[key] is array
    for key, array in layer.buffers().items():
        before = layer(x)
        array += 1.0
        assert not np.array_equal(layer(x), before), key
    assert not layer.parameters().keys() & layer.buffers().keys()


@pytest.mark.parametrize("name", KINDS)
def test_backward_belongs_to_the_last_forward(name):
    """Oracle: a fresh copy of the layer that saw only the last batch; gradients replace, they do
    not add up."""
    rng = np.random.default_rng(7)
    layer, fresh = (make(name, FEATURES, np.random.default_rng(8)).eval() for _ in range(2))
    first, last = rng.normal(size=(4, FEATURES)), rng.normal(size=(6, FEATURES))
    g = rng.normal(size=layer(first).shape)
    layer.backward(g)
    out = layer(last)
    g = rng.normal(size=out.shape)
    assert np.array_equal(out, fresh(last))
    assert np.array_equal(layer.backward(g), fresh.backward(g))
    assert np.array_equal(layer.backward(g), fresh.backward(g))
    for key, gradient in layer.gradients().items():
        assert np.array_equal(gradient, fresh.gradients()[key])


@pytest.mark.parametrize("name", KINDS)
def test_backward_is_linear(name):
    """Oracle: linearity of a derivative in the direction that comes in."""
    rng = np.random.default_rng(9)
    layer = make(name, FEATURES, rng)
    out = layer(rng.normal(size=(4, FEATURES)))
    g, h = rng.normal(size=(2, *out.shape))
    together, apart = layer.backward(2 * g - h), 2 * layer.backward(g) - layer.backward(h)
    np.testing.assert_allclose(together, apart, atol=1e-10)


@pytest.mark.parametrize("name", KINDS)
def test_repr_starts_with_the_class(name):
    """Oracle: the name of the class, and no address in memory."""
    text = repr(make(name, FEATURES, np.random.default_rng(10)))
    assert text.startswith(f"{name.split()[0].split('(')[0]}(")
    assert text.endswith(")")
    assert " at 0x" not in text


def test_the_base_class_says_what_is_missing():
    """Oracle: the message names the subclass and the method it lacks."""

    class Half(cn.Layer):
        pass

    layer = Half()
    with pytest.raises(TypeError, match=r"^Half must define forward\(x\)$"):
        layer(np.ones(1))
    with pytest.raises(TypeError, match=r"^Half must define backward\(grad_output\)$"):
        layer.backward(np.ones(1))
    assert layer.training is True
    assert layer.parameters() == layer.gradients() == layer.buffers() == layer.children() == {}


def test_names_of_nested_layers_are_joined_by_dots():
    """Oracle: the path from the root to the array."""
    model = cn.Sequential(
        cn.Residual(
            cn.Sequential(cn.BatchNorm1d(2), cn.SpectralNorm(cn.Linear(2, 2, rng=0), rng=0))
        )
    )
    assert list(model.parameters()) == [
        "0.body.0.weight",
        "0.body.0.bias",
        "0.body.1.layer.weight",
        "0.body.1.layer.bias",
    ]
    assert list(model.buffers()) == [
        "0.body.0.running_mean",
        "0.body.0.running_var",
        "0.body.1.u",
        "0.body.1.v",
    ]
    assert model.gradients() == {}
