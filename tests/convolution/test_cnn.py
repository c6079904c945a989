"""The layers of a convolutional network against PyTorch, finite differences and closed forms."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from companion import network
from companion.convolution import (
    AvgPool2d,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    MaxPool2d,
    Unflatten,
    equivariance_error,
    lenet,
)
from companion.network import Layer, Linear, ReLU, initialisers
from tests.network.oracles import (
    DTYPES,
    SEEDS,
    TOLERANCE,
    assert_close,
    central_differences,
    copy_parameters,
    randomise,
    tensor,
)

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
SMALL = st.tuples(st.integers(0, 2), st.integers(0, 2))


def against_torch(layer: Layer, module: nn.Module, x: np.ndarray, rng: np.random.Generator) -> None:
    """Compare output, input gradient and parameter gradients with those of a PyTorch module."""
    module = module.to(torch.float32 if x.dtype == np.float32 else torch.float64)
    copy_parameters(layer, module, {})
    x_torch = tensor(x, grad=True)
    kept = x.copy()
    expected = module(x_torch)
    out = layer.forward(x)
    # Sums of hundreds of float32 numbers round differently in another order.
    tolerance = 10 * TOLERANCE[x.dtype]
    assert_close(out, expected, tolerance=tolerance)
    g = rng.normal(size=out.shape).astype(x.dtype)
    expected.backward(tensor(g))
    back = layer.backward(g)
    assert_close(back, x_torch.grad, tolerance=tolerance)
    theirs = dict(module.named_parameters())
    assert layer.gradients().keys() == layer.parameters().keys() == theirs.keys()
    for name, gradient in layer.gradients().items():
        assert_close(gradient, theirs[name].grad, tolerance=tolerance)
    np.testing.assert_array_equal(x, kept)
    assert not np.shares_memory(back, g)
    assert not np.shares_memory(out, x)


@st.composite
def convolutions(draw, *, transposed: bool = False):
    """Return options of a layer, and a size of images that its kernel fits."""
    options = {
        "kernel_size": draw(PAIRS),
        "stride": draw(PAIRS),
        "padding": draw(SMALL),
        "dilation": draw(PAIRS),
        "groups": draw(st.integers(1, 3)),
        "bias": draw(st.booleans()),
    }
    if transposed:
        options["output_padding"] = tuple(
            draw(st.integers(0, max(s, d) - 1))
            for s, d in zip(options["stride"], options["dilation"], strict=True)
        )
    spans = [
        d * (k - 1) + 1 for k, d in zip(options["kernel_size"], options["dilation"], strict=True)
    ]
    extra = draw(SMALL)
    if transposed:
        size = tuple(1 + 2 * p + e for p, e in zip(options["padding"], extra, strict=True))
    else:
        size = tuple(span + e for span, e in zip(spans, extra, strict=True))
    channels = tuple(options["groups"] * draw(st.integers(1, 2)) for _ in range(2))
    return channels, options, (draw(st.integers(1, 3)), channels[0], *size)


@pytest.mark.parametrize("dtype", DTYPES)
@given(case=convolutions(), seed=SEEDS)
def test_convolution_equals_torch(dtype, case, seed):
    """Oracle: torch.nn.Conv2d and autograd, over kernels, strides, paddings, dilations, groups."""
    channels, options, shape = case
    rng = np.random.default_rng(seed)
    layer = randomise(Conv2d(*channels, **options, rng=rng, dtype=dtype), rng)
    against_torch(layer, nn.Conv2d(*channels, **options), rng.normal(size=shape).astype(dtype), rng)


@pytest.mark.parametrize("dtype", DTYPES)
@given(case=convolutions(transposed=True), seed=SEEDS)
def test_transposed_convolution_equals_torch(dtype, case, seed):
    """Oracle: torch.nn.ConvTranspose2d and autograd, over all its options."""
    channels, options, shape = case
    rng = np.random.default_rng(seed)
    layer = randomise(ConvTranspose2d(*channels, **options, rng=rng, dtype=dtype), rng)
    module = nn.ConvTranspose2d(*channels, **options)
    against_torch(layer, module, rng.normal(size=shape).astype(dtype), rng)


# PyTorch says that an even kernel makes it copy the input once more.
@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_named_paddings_equal_torch(padding):
    """Oracle: torch.nn.Conv2d with the same word, for an even and an odd side of the kernel."""
    rng = np.random.default_rng(0)
    layer = randomise(Conv2d(2, 3, (4, 3), padding=padding, rng=rng), rng)
    module = nn.Conv2d(2, 3, (4, 3), padding=padding)
    against_torch(layer, module, rng.normal(size=(2, 2, 6, 7)), rng)


@st.composite
def poolings(draw):
    """Return options of a pooling layer and a shape of images that fill at least one window."""
    kernel = draw(PAIRS)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    stride = draw(st.none() | PAIRS)
    size = tuple(k + e for k, e in zip(kernel, draw(SMALL), strict=True))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 3)), *size)
    return {"kernel_size": kernel, "stride": stride, "padding": padding}, shape


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("levels", [3, None])
@given(case=poolings(), dilation=PAIRS, seed=SEEDS)
def test_max_pooling_equals_torch(levels, dtype, case, dilation, seed):
    """Oracle: torch.nn.MaxPool2d and autograd; few levels of brightness make most windows tie."""
    options, (n, c, h, w) = case
    rng = np.random.default_rng(seed)
    shape = (n, c, h * dilation[0], w * dilation[1])
    x = rng.normal(size=shape) if levels is None else rng.integers(levels, size=shape) - 1.0
    layer = MaxPool2d(**options, dilation=dilation)
    against_torch(layer, nn.MaxPool2d(**options, dilation=dilation), x.astype(dtype), rng)


@pytest.mark.parametrize("dtype", DTYPES)
@given(case=poolings(), count_include_pad=st.booleans(), seed=SEEDS)
def test_average_pooling_equals_torch(dtype, case, count_include_pad, seed):
    """Oracle: torch.nn.AvgPool2d and autograd."""
    options, shape = case
    rng = np.random.default_rng(seed)
    options["count_include_pad"] = count_include_pad
    x = rng.normal(size=shape).astype(dtype)
    against_torch(AvgPool2d(**options), nn.AvgPool2d(**options), x, rng)


def spread_out(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return numbers that differ by at least a hundredth, so no difference changes a winner."""
    return rng.permutation(math.prod(shape)).reshape(shape) / 100.0


LAYERS = {
    "Conv2d": lambda: Conv2d(2, 4, (3, 2), stride=(1, 2), padding=1, groups=2, rng=0),
    "ConvTranspose2d": lambda: ConvTranspose2d(
        2, 3, 3, stride=2, padding=1, output_padding=1, rng=0
    ),
    "MaxPool2d": lambda: MaxPool2d(3, stride=2, padding=1),
    "AvgPool2d": lambda: AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
    "Flatten": Flatten,
    "Unflatten": lambda: Unflatten((2, 5, 3)),
}
INPUT = {name: (2, 30) if name == "Unflatten" else (2, 2, 5, 6) for name in LAYERS}


@pytest.mark.parametrize("name", LAYERS)
def test_backward_equals_finite_differences(name):
    """Oracle: central differences of <g, layer(x)> with respect to the input and each parameter."""
    rng = np.random.default_rng(1)
    layer, x = randomise(LAYERS[name](), rng), spread_out(INPUT[name], rng)
    g = rng.normal(size=layer(x).shape)
    back = layer.backward(g)

    def loss() -> float:
        return float(np.sum(g * layer(x)))

    np.testing.assert_allclose(back, central_differences(loss, x), atol=1e-8)
    for key, parameter in layer.parameters().items():
        expected = central_differences(loss, parameter)
        np.testing.assert_allclose(layer.gradients()[key], expected, atol=1e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_keep_the_protocol(name, dtype):
    """Oracle: the docstrings of Layer: types, names, no array shared, the last forward counts."""
    rng = np.random.default_rng(2)
    options = {"dtype": dtype} if name.startswith("Conv") else {}
    layer = LAYERS[name]() if not options else type(LAYERS[name]())(2, 2, 3, rng=0, **options)
    first, last = rng.normal(size=(2, *INPUT[name])).astype(dtype)
    layer(first)
    out = layer(last)
    g = rng.normal(size=out.shape).astype(dtype)
    back = layer.backward(g)
    assert type(out) is type(back) is np.ndarray
    assert out.dtype == back.dtype == dtype
    assert back.shape == last.shape
    assert np.array_equal(layer.backward(g), back)
    for array in (out, back):
        assert not any(np.shares_memory(array, other) for other in (last, g))
    for key, parameter in layer.parameters().items():
        assert parameter.dtype == layer.gradients()[key].dtype == dtype
    assert repr(layer).startswith(f"{name}(")


@pytest.mark.parametrize("name", LAYERS)
def test_an_empty_batch_goes_through(name):
    """Oracle: the shapes of a full batch without the batch; gradients of an empty sum are zero."""
    layer = LAYERS[name]()
    full = layer(np.ones(INPUT[name]))
    out = layer(np.ones((0, *INPUT[name][1:])))
    assert out.shape == (0, *full.shape[1:])
    assert layer.backward(out).shape == (0, *INPUT[name][1:])
    assert all(not gradient.any() for gradient in layer.gradients().values())


@pytest.mark.parametrize("name", LAYERS)
def test_backward_before_forward_is_refused(name):
    """Oracle: RuntimeError with the name of the class."""
    with pytest.raises(RuntimeError, match=rf"^{name}\.backward was called before forward$"):
        LAYERS[name]().backward(np.ones((2, 2)))


@pytest.mark.parametrize("name", LAYERS)
def test_wrong_arrays_are_refused_by_name(name):
    """Oracle: the message names x or grad_output, what was expected and what came."""
    layer = LAYERS[name]()
    out = layer(np.ones(INPUT[name]))
    with pytest.raises(ValueError, match=r"^grad_output must have shape \(2, .*, got \(3, "):
        layer.backward(np.ones((3, *out.shape[1:])))
    with pytest.raises(TypeError, match=r"^grad_output must hold real numbers"):
        layer.backward("a")
    with pytest.raises(TypeError, match=r"^x must hold real numbers"):
        layer("a")
    with pytest.raises(ValueError, match=r"^x must have .*got .*\(5,\)$"):
        layer(np.ones(5))


@pytest.mark.parametrize("kind", [Conv2d, ConvTranspose2d])
def test_convolutions_refuse_what_does_not_fit(kind):
    """Oracle: the message names the argument, what was expected and what came."""
    layer = kind(2, 4, 3, rng=0)
    with pytest.raises(ValueError, match=r"^x must have in_channels = 2 on axis 1, got shape \(1"):
        layer(np.ones((1, 3, 5, 5)))
    with pytest.raises(TypeError, match=r"^x must be float64 like the layer, got float32; "):
        layer(np.ones((1, 2, 5, 5), np.float32))
    for name, options in {
        "in_channels": {"in_channels": 0},
        "out_channels": {"out_channels": 0},
        "kernel_size": {"kernel_size": 0},
        r"kernel_size\[1\]": {"kernel_size": (3, 0)},
        "stride": {"stride": 0},
        "padding": {"padding": -1},
        "dilation": {"dilation": 0},
        "groups": {"groups": 0},
    }.items():
        with pytest.raises(ValueError, match=rf"^{name.split(chr(92))[0]}"):
            kind(**{"in_channels": 2, "out_channels": 4, "kernel_size": 3, "rng": 0} | options)
    with pytest.raises(ValueError, match=r"^groups must divide in_channels = 2, got 3$"):
        kind(2, 3, 3, groups=3, rng=0)
    with pytest.raises(ValueError, match=r"^groups must divide out_channels = 3, got 2$"):
        kind(2, 3, 3, groups=2, rng=0)
    with pytest.raises(TypeError, match=r"^dtype must be float32 or float64"):
        kind(2, 4, 3, rng=0, dtype=np.int64)
    with pytest.raises(TypeError, match=r"^rng must be a numpy\.random\.Generator"):
        kind(2, 4, 3, rng=None)
    with pytest.raises(ValueError, match=r"^weight_init must return shape .*, got \(1,\)$"):
        kind(2, 4, 3, rng=0, weight_init=lambda shape, rng, dtype: np.zeros(1))


def test_each_convolution_refuses_paddings_of_its_own():
    """Oracle: "same" needs stride 1; a transposed convolution cannot fill more than a step."""
    with pytest.raises(ValueError, match=r"^padding 'same' needs stride 1"):
        Conv2d(1, 1, 3, stride=2, padding="same", rng=0)
    with pytest.raises(TypeError, match=r"^padding must be an integer, got 'same'$"):
        ConvTranspose2d(1, 1, 3, padding="same", rng=0)
    with pytest.raises(
        ValueError, match=r"^output_padding must be smaller than stride or dilation"
    ):
        ConvTranspose2d(1, 1, 3, output_padding=1, rng=0)(np.ones((1, 1, 4, 4)))
    with pytest.raises(ValueError, match=r"^kernel_size must fit"):
        Conv2d(1, 1, 5, rng=0)(np.ones((1, 1, 4, 4)))


@pytest.mark.parametrize("kind", [MaxPool2d, AvgPool2d])
def test_poolings_refuse_what_does_not_fit(kind):
    """Oracle: PyTorch's limits, with a message that names the argument."""
    with pytest.raises(ValueError, match=r"^padding must be at most half of kernel_size \(3, 2\)"):
        kind((3, 2), padding=(2, 1))
    with pytest.raises(ValueError, match=r"^kernel_size must be at least 1, got 0$"):
        kind(0)
    with pytest.raises(ValueError, match=r"^stride must be at least 1, got 0$"):
        kind(2, stride=0)
    with pytest.raises(ValueError, match=r"^kernel_size must fit"):
        kind(5)(np.ones((1, 1, 4, 4)))
    with pytest.raises(ValueError, match=r"^dilation must be at least 1, got 0$"):
        MaxPool2d(2, dilation=0)


def test_a_kernel_starts_with_the_variance_of_its_whole_field():
    """Oracle: the closed form 2 / (C kh kw / groups) of He initialisation, over 20,000 draws."""
    weight = Conv2d(40, 200, 5, groups=4, rng=0).weight
    assert weight.shape == (200, 10, 5, 5)
    np.testing.assert_allclose(weight.var(), 2 / (10 * 25), rtol=0.03)
    assert not Conv2d(1, 2, 3, rng=0).bias.any()
    assert Conv2d(1, 2, 3, bias=False, rng=0).bias is None


def test_pooling_strides_that_do_not_divide_leave_the_rest_out():
    """Oracle: by hand: of five columns two windows of two see the first four."""
    x = np.arange(5.0).reshape(1, 1, 1, 5)
    assert MaxPool2d((1, 2))(x).ravel().tolist() == [1.0, 3.0]
    average = AvgPool2d((1, 2))
    assert average(x).ravel().tolist() == [0.5, 2.5]
    back = average.backward(np.ones((1, 1, 1, 2)))
    assert back.ravel().tolist() == [0.5, 0.5, 0.5, 0.5, 0.0]


def test_a_tie_sends_the_gradient_to_the_first_pixel():
    """Oracle: PyTorch's documented code, read by hand: reading order, strictly greater wins."""
    layer = MaxPool2d(2)
    layer(np.ones((1, 1, 2, 4)))
    back = layer.backward(np.array([[[[3.0, 7.0]]]]))
    assert back.tolist() == [[[[3.0, 0.0, 7.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]]


def test_padding_never_wins_against_a_negative_pixel():
    """Oracle: by hand: the largest of negative numbers is negative, although zeros are around."""
    layer = MaxPool2d(3, stride=1, padding=1)
    x = -1.0 - np.arange(4.0).reshape(1, 1, 2, 2)
    assert (layer(x) == -1.0).all()
    assert layer.backward(np.ones((1, 1, 2, 2))).ravel().tolist() == [4.0, 0.0, 0.0, 0.0]


def test_a_nan_is_not_hidden_by_pooling():
    """Oracle: a window that holds NaN has no largest entry."""
    x = np.array([[[[1.0, np.nan], [3.0, 2.0]]]])
    assert np.isnan(MaxPool2d(2)(x)).all()
    assert np.isnan(AvgPool2d(2)(x)).all()


def test_average_pooling_is_linear_and_max_pooling_is_not():
    """Oracle: the definition of linearity on random images, and a counterexample by hand."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 2, 3, 6, 6))
    average, largest = AvgPool2d(2), MaxPool2d(2)
    np.testing.assert_allclose(average(2 * x - y), 2 * average(x) - average(y), atol=1e-12)
    left, right = (np.array([[[[1.0, 0.0], [0.0, 0.0]]]]), np.array([[[[0.0, 1.0], [0.0, 0.0]]]]))
    assert largest(left + right).item() == 1.0
    assert (largest(left) + largest(right)).item() == 2.0
    assert not np.allclose(largest(-x), -largest(x))


def test_average_pooling_is_a_convolution_with_one_constant_kernel_for_each_channel():
    """Oracle: Conv2d with groups = channels and all weights 1 / (kh kw)."""
    x = np.random.default_rng(4).normal(size=(2, 3, 6, 7))
    layer = Conv2d(3, 3, (2, 3), stride=(2, 3), groups=3, bias=False, rng=0)
    layer.weight[...] = 1 / 6
    np.testing.assert_allclose(AvgPool2d((2, 3))(x), layer(x), atol=1e-14)


@given(case=convolutions(), seed=SEEDS)
def test_the_transposed_layer_is_the_adjoint(case, seed):
    """Oracle: the definition of an adjoint, <conv x, y> = <x, transposed y>."""
    channels, options, shape = case
    options["bias"] = False
    rng = np.random.default_rng(seed)
    conv = randomise(Conv2d(*channels, **options, rng=rng), rng)
    x = rng.normal(size=shape)
    y = rng.normal(size=conv(x).shape)
    # With a stride several input sizes give one output size: this picks that of x.
    missing = tuple(
        (n + 2 * p - d * (k - 1) - 1) % s
        for n, p, d, k, s in zip(
            shape[2:], conv.padding, conv.dilation, conv.kernel_size, conv.stride, strict=True
        )
    )
    transposed = ConvTranspose2d(*channels[::-1], **options, output_padding=missing, rng=rng)
    transposed.weight[...] = conv.weight
    np.testing.assert_allclose(np.sum(conv(x) * y), np.sum(x * transposed(y)), atol=1e-9)
    np.testing.assert_allclose(conv.backward(y), transposed(y), atol=1e-12)


@given(seed=SEEDS, shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple))
def test_flatten_and_unflatten_undo_each_other(seed, shape):
    """Oracle: the identity, forward and backward; the order is that of numpy.reshape."""
    x = np.random.default_rng(seed).normal(size=(3, *shape))
    flatten, unflatten = Flatten(), Unflatten(shape)
    assert np.array_equal(flatten(x), x.reshape(3, -1))
    assert np.array_equal(unflatten(flatten(x)), x)
    assert np.array_equal(flatten.backward(unflatten.backward(x)), x)


def test_flatten_and_unflatten_equal_torch():
    """Oracle: torch.nn.Flatten and torch.nn.Unflatten."""
    rng = np.random.default_rng(5)
    against_torch(Flatten(), nn.Flatten(), rng.normal(size=(2, 3, 4, 5)), rng)
    against_torch(Unflatten((3, 4)), nn.Unflatten(1, (3, 4)), rng.normal(size=(2, 12)), rng)


def test_shapes_must_be_tuples_of_positive_integers():
    """Oracle: the message names the argument and the entry."""
    with pytest.raises(TypeError, match=r"^unflattened_size must be a tuple of integers, got 64$"):
        Unflatten(64)
    with pytest.raises(ValueError, match=r"^unflattened_size\[1\] must be at least 1, got 0$"):
        Unflatten((1, 0))
    with pytest.raises(ValueError, match=r"^x must have shape \(any, 6\), got \(2, 7\)$"):
        Unflatten((2, 3))(np.ones((2, 7)))


# --- The network ---------------------------------------------------------------------------------


def torch_lenet(pool: type[nn.Module], head: str) -> nn.Sequential:
    """Return the same network of two convolutions and one hidden layer, written in PyTorch."""
    last = [nn.AvgPool2d((3, 2))] if head == "average" else []
    return nn.Sequential(
        nn.Unflatten(1, (2, 12, 8)),
        nn.Conv2d(2, 4, 3, padding=1),
        nn.ReLU(),
        pool(2),
        nn.Conv2d(4, 6, 3, padding=1),
        nn.ReLU(),
        pool(2),
        *last,
        nn.Flatten(),
        nn.Linear(6 if last else 36, 7),
        nn.ReLU(),
        nn.Linear(7, 3),
    )


@pytest.mark.parametrize("pool", ["max", "avg"])
@pytest.mark.parametrize("head", ["flatten", "average"])
def test_lenet_equals_torch(pool, head):
    """Oracle: the network written out in PyTorch: logits and all gradients."""
    rng = np.random.default_rng(6)
    model = lenet(
        (2, 12, 8),
        channels=(4, 6),
        hidden=(7,),
        classes=3,
        pool=pool,
        head=head,
        rng=rng,
    )
    randomise(model, rng)
    module = torch_lenet(nn.MaxPool2d if pool == "max" else nn.AvgPool2d, head)
    against_torch(model, module, rng.normal(size=(3, 192)), rng)


def test_lenet_passes_the_gradient_check():
    """Oracle: finite differences of the loss, through network.gradient_check."""
    rng = np.random.default_rng(7)
    model = lenet((1, 4, 4), channels=(2, 3), hidden=(4,), classes=3, rng=rng)
    x, y = rng.normal(size=(4, 16)), rng.integers(3, size=4)
    result = network.gradient_check(model, network.CrossEntropyLoss(), x, y)
    assert result.passed, str(result)


@pytest.mark.parametrize("dtype", DTYPES)
def test_lenet_trains_and_is_saved(dtype, tmp_path):
    """Oracle: a task that is solved exactly, and equal logits after a round trip through a file."""
    rng = np.random.default_rng(8)
    y = rng.integers(2, size=60)
    x = np.zeros((60, 8, 8), dtype)
    # A bar that lies or stands, anywhere.
    for image, label, row, column in zip(x, y, *rng.integers(5, size=(2, 60)), strict=True):
        image[row : row + (4 if label else 1), column : column + (1 if label else 4)] = 1.0
    x = x.reshape(60, 64)
    model = lenet(channels=(4, 4), classes=2, rng=0, dtype=dtype)
    optimiser = network.Adam(lr=0.02)
    history = network.fit(model, network.CrossEntropyLoss(), optimiser, x, y, epochs=40, rng=0)
    assert history.train_loss[-1] < 0.05
    logits = network.predict(model, x)
    assert logits.dtype == dtype
    assert network.accuracy(logits, y) == 1.0
    network.save(model, tmp_path / "model.npz")
    other = lenet(channels=(4, 4), classes=2, rng=1, dtype=dtype)
    network.load(other, tmp_path / "model.npz")
    assert np.array_equal(network.predict(other, x), logits)


def test_lenet_builds_what_is_asked_for():
    """Oracle: names and shapes read off the definition by hand; one seed, one network."""
    model = lenet((3, 10, 9), channels=(4,), kernel_size=5, hidden=(7, 6), classes=2, rng=0)
    kinds = [Unflatten, Conv2d, ReLU, MaxPool2d, Flatten, Linear, ReLU, Linear, ReLU, Linear]
    assert [type(layer) for layer in model] == kinds
    assert {name: array.shape for name, array in model.parameters().items()} == {
        "1.weight": (4, 3, 5, 5),
        "1.bias": (4,),
        "5.weight": (7, 80),
        "5.bias": (7,),
        "7.weight": (6, 7),
        "7.bias": (6,),
        "9.weight": (2, 6),
        "9.bias": (2,),
    }
    again = lenet((3, 10, 9), channels=(4,), kernel_size=5, hidden=(7, 6), classes=2, rng=0)
    x = np.random.default_rng(9).normal(size=(2, 270))
    assert np.array_equal(model(x), again(x))
    zero = lenet(weight_init=initialisers.zeros, rng=0)
    assert not any(array.any() for array in zero.parameters().values())
    assert type(lenet(channels=(), rng=0)[1]) is Flatten


def test_lenet_refuses_what_does_not_fit():
    """Oracle: the message names the argument, what was expected and what came."""
    for message, options in {
        r"image_shape must be (channels, height, width), got (8, 8)": {"image_shape": (8, 8)},
        "image_shape must be a tuple of integers, got 64": {"image_shape": 64},
        "image_shape must be at least 8 pixels high and wide for 3 poolings, got (1, 8, 7)": {
            "image_shape": (1, 8, 7),
            "channels": (2, 2, 2),
        },
        "channels[1] must be at least 1, got 0": {"channels": (2, 0)},
        "hidden[0] must be at least 1, got 0": {"hidden": (0,)},
        "classes must be at least 1, got 0": {"classes": 0},
        "kernel_size must be at least 1, got 0": {"kernel_size": 0},
        "pool must be one of 'max', 'avg', got 'min'": {"pool": "min"},
        "head must be one of 'flatten', 'average', got 'max'": {"head": "max"},
    }.items():
        with pytest.raises((ValueError, TypeError), match=f"^{re.escape(message)}$"):
            lenet(**options, rng=0)


# --- Equivariance --------------------------------------------------------------------------------


@given(
    seed=SEEDS,
    kernel=PAIRS,
    dilation=PAIRS,
    shift=st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
)
def test_a_convolution_is_equivariant(seed, kernel, dilation, shift):
    """Oracle: the theorem; without padding, what wraps round stays within the rolled edge."""
    rng = np.random.default_rng(seed)
    layer = Conv2d(2, 3, kernel, dilation=dilation, rng=rng)
    x = rng.normal(size=(2, 2, 16, 17))
    assert equivariance_error(layer, x, shift) < 1e-14


@pytest.mark.parametrize("layer", [MaxPool2d(2), AvgPool2d(2), Conv2d(1, 2, 2, stride=2, rng=0)])
def test_a_stride_of_two_keeps_even_shifts_only(layer):
    """Oracle: the theorem for multiples of the stride, and the sampling that breaks the others."""
    x = np.random.default_rng(10).normal(size=(4, 1, 16, 16))
    for even in ((0, 2), (2, -2), (-4, 0)):
        assert equivariance_error(layer, x, even, stride=2) < 1e-14
    for odd in ((0, 1), (3, 0), (-1, 2)):
        assert equivariance_error(layer, x, odd, stride=2) > 0.1


def test_padding_breaks_equivariance_at_the_border_only():
    """Oracle: the reach of a kernel of 5 x 5 is two pixels."""
    layer, x = (
        Conv2d(1, 2, 5, padding=2, rng=0),
        np.random.default_rng(11).normal(size=(2, 1, 9, 9)),
    )
    assert equivariance_error(layer, x, (0, 1), border=2) < 1e-14
    assert equivariance_error(layer, x, (0, 1)) > 0.05
    assert equivariance_error(layer, x, (0, 1), border=(2, 1)) > 0.01


def test_the_error_of_equivariance_by_hand():
    """Oracle: by hand: position-dependent weights, compared on the columns that did not wrap."""

    def ramp(x):
        return x * np.arange(5.0)

    x = np.ones((1, 1, 3, 5))
    # Unshifted 0 1 2 3 4, moved right by one: . 0 1 2 3; compared in the columns 1 to 3.
    left, right = np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0])
    expected = np.linalg.norm(left - right) / (np.linalg.norm(left) + np.linalg.norm(right))
    np.testing.assert_allclose(equivariance_error(ramp, x, (0, 1)), expected)
    assert equivariance_error(ramp, x, (1, 0)) == 0.0


def test_equivariance_needs_something_to_compare():
    """Oracle: the message names shift and border."""
    x = np.ones((1, 1, 4, 4))
    with pytest.raises(ValueError, match=r"^shift \(0, 2\) and border \(0, 0\) must leave some"):
        equivariance_error(lambda x: x, x, (0, 2))
    with pytest.raises(ValueError, match=r"^x must have 4 axes"):
        equivariance_error(lambda x: x, np.ones((4, 4)), (0, 1))
    with pytest.raises(TypeError, match=r"^shift\[1\] must be an integer"):
        equivariance_error(lambda x: x, x, (0, 0.5))
