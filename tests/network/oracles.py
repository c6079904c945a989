"""What several tests of the network share: comparison, finite differences, and a PyTorch twin of
each layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from torch import nn

from companion import network as cn

torch.set_num_threads(1)

DTYPES = (np.float64, np.float32)
TOLERANCE = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-5}
SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(1, 6)


def assert_close(actual, expected, *, scale: float = 1.0, tolerance: float | None = None) -> None:
    """Compare shape, dtype and values; the error may be 1e-12 (float64) or 1e-5 (float32) of the
    largest value."""
    if isinstance(expected, torch.Tensor):
        expected = expected.detach().numpy()
    expected = np.asarray(expected)
    actual = np.asarray(actual)
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    limit = TOLERANCE[actual.dtype] if tolerance is None else tolerance
    largest = max(scale, float(np.abs(expected).max(initial=0.0)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=limit * largest)


def tensor(array: np.ndarray, *, grad: bool = False) -> torch.Tensor:
    """Return a tensor with its own copy of an array."""
    return torch.tensor(np.array(array), requires_grad=grad)


def central_differences(
    function: Callable[[], float], array: np.ndarray, h: float = 1e-6
) -> np.ndarray:
    """Return the gradient of ``function()`` with respect to an array that it reads, changed in
    place."""
    gradient = np.zeros(array.shape)
    flat = array.reshape(-1)
    assert np.shares_memory(flat, array)
    for i, centre in enumerate(flat.copy()):
        flat[i] = centre + h
        above = function()
        flat[i] = centre - h
        below = function()
        flat[i] = centre
        gradient.reshape(-1)[i] = (above - below) / (2 * h)
    return gradient


def away_from_zero(x: np.ndarray, margin: float = 1e-3) -> np.ndarray:
    """Move entries off the corner at 0, where a finite difference means nothing."""
    return x + np.where(x >= 0, margin, -margin).astype(x.dtype)


@dataclass(frozen=True)
class Kind:
    """A layer, how to make it for ``features`` inputs, and the PyTorch module that does the same.

    ``twin`` takes the layer and gives a module and a map from our parameter names to the module's.
    """

    build: Callable[..., cn.Layer]
    twin: Callable[[cn.Layer], tuple[nn.Module, Mapping[str, str]]]
    dtype_free: bool = False
    batch_only: bool = False


def randomise(layer: cn.Layer, rng: np.random.Generator) -> cn.Layer:
    """Give every parameter a random value, so that ones and zeros hide nothing."""
    for array in layer.parameters().values():
        array[...] = rng.normal(size=array.shape)
    return layer


def copy_parameters(layer: cn.Layer, module: nn.Module, names: Mapping[str, str]) -> nn.Module:
    """Copy our parameters and buffers into the module of the same shape."""
    with torch.no_grad():
        state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        ours = {**layer.parameters(), **layer.buffers()}
        for name, array in ours.items():
            theirs = state[names.get(name, name)]
            assert tuple(theirs.shape) == array.shape
            theirs.copy_(tensor(array))
    return module


def _torch_dtype(layer: cn.Layer) -> torch.dtype:
    arrays = [*layer.parameters().values()]
    return torch.float32 if arrays and arrays[0].dtype == np.float32 else torch.float64


def _plain(module: Callable[[cn.Layer], nn.Module], **names: str):
    def twin(layer: cn.Layer) -> tuple[nn.Module, Mapping[str, str]]:
        return module(layer).to(_torch_dtype(layer)), names

    return twin


class TorchResidual(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


def _network(f: int, rng: np.random.Generator, dtype) -> cn.Layer:
    return cn.Sequential(
        cn.Linear(f, f + 2, rng=rng, dtype=dtype),
        cn.LayerNorm(f + 2, eps=1e-2, dtype=dtype),
        cn.Tanh(),
        cn.Residual(cn.Sequential(cn.Linear(f + 2, f + 2, rng=rng, dtype=dtype), cn.GELU())),
        cn.Linear(f + 2, 3, bias=False, rng=rng, dtype=dtype),
    )


def _torch_network(layer: cn.Layer) -> nn.Module:
    f = layer[0].in_features
    return nn.Sequential(
        nn.Linear(f, f + 2),
        nn.LayerNorm(f + 2, eps=1e-2),
        nn.Tanh(),
        TorchResidual(nn.Sequential(nn.Linear(f + 2, f + 2), nn.GELU())),
        nn.Linear(f + 2, 3, bias=False),
    )


def _linear(layer: cn.Layer) -> nn.Module:
    return nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None)


KINDS: dict[str, Kind] = {
    "Linear": Kind(lambda f, rng, dtype: cn.Linear(f, 4, rng=rng, dtype=dtype), _plain(_linear)),
    "Linear without bias": Kind(
        lambda f, rng, dtype: cn.Linear(f, 3, bias=False, rng=rng, dtype=dtype), _plain(_linear)
    ),
    "LayerNorm": Kind(
        lambda f, rng, dtype: cn.LayerNorm(f, dtype=dtype),
        _plain(lambda layer: nn.LayerNorm(layer.normalized_shape)),
    ),
    "BatchNorm1d": Kind(
        lambda f, rng, dtype: cn.BatchNorm1d(f, dtype=dtype),
        _plain(lambda layer: nn.BatchNorm1d(layer.num_features)),
        batch_only=True,
    ),
    "Residual": Kind(
        lambda f, rng, dtype: cn.Residual(cn.Linear(f, f, rng=rng, dtype=dtype)),
        _plain(
            lambda layer: TorchResidual(nn.Linear(layer.body.in_features, layer.body.in_features))
        ),
    ),
    "Sequential": Kind(_network, _plain(_torch_network)),
    "SpectralNorm": Kind(
        lambda f, rng, dtype: cn.SpectralNorm(cn.Linear(f, 4, rng=rng, dtype=dtype), rng=rng),
        _plain(
            # This form (Miyato's order: v first, then u) starts from u as ours does.
            lambda layer: nn.utils.spectral_norm(nn.Linear(layer.layer.in_features, 4)),
            **{
                "layer.weight": "weight_orig",
                "layer.bias": "bias",
                "u": "weight_u",
                "v": "weight_v",
            },
        ),
    ),
    "Dropout at p = 0": Kind(
        lambda f, rng, dtype: cn.Dropout(0.0, rng=rng),
        _plain(lambda layer: nn.Dropout(0.0)),
        dtype_free=True,
    ),
    "Identity": Kind(
        lambda f, rng, dtype: cn.Identity(), _plain(lambda layer: nn.Identity()), dtype_free=True
    ),
    "Sigmoid": Kind(
        lambda f, rng, dtype: cn.Sigmoid(), _plain(lambda layer: nn.Sigmoid()), dtype_free=True
    ),
    "Tanh": Kind(lambda f, rng, dtype: cn.Tanh(), _plain(lambda layer: nn.Tanh()), dtype_free=True),
    "ReLU": Kind(lambda f, rng, dtype: cn.ReLU(), _plain(lambda layer: nn.ReLU()), dtype_free=True),
    "LeakyReLU": Kind(
        lambda f, rng, dtype: cn.LeakyReLU(), _plain(lambda layer: nn.LeakyReLU()), dtype_free=True
    ),
    "LeakyReLU(0.3)": Kind(
        lambda f, rng, dtype: cn.LeakyReLU(0.3),
        _plain(lambda layer: nn.LeakyReLU(0.3)),
        dtype_free=True,
    ),
    "GELU": Kind(lambda f, rng, dtype: cn.GELU(), _plain(lambda layer: nn.GELU()), dtype_free=True),
    "Softmax": Kind(
        lambda f, rng, dtype: cn.Softmax(),
        _plain(lambda layer: nn.Softmax(dim=-1)),
        dtype_free=True,
    ),
}
"""Every kind of layer in companion.network. test_protocol fails when one is missing."""


def make(name: str, features: int, rng: np.random.Generator, dtype=np.float64) -> cn.Layer:
    """Return a layer of this kind with random parameters."""
    return randomise(KINDS[name].build(features, rng, dtype), rng)


def twin(name: str, layer: cn.Layer) -> tuple[nn.Module, Mapping[str, str]]:
    """Return the PyTorch module with the same parameters and mode, and how its names differ."""
    module, names = KINDS[name].twin(layer)
    return copy_parameters(layer, module, names).train(layer.training), names


def batch_shape(name: str, draw_batch: tuple[int, ...], features: int) -> tuple[int, ...]:
    """Return a shape this kind of layer accepts: batch normalisation wants two axes and two rows.
    Return a shape this kind of layer accepts: batch normalisation wants two axes and two rows."""
    if KINDS[name].batch_only:
        return (draw_batch[0] + 1, features)
    return (*draw_batch, features)
