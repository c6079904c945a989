"""What the tests of recurrence share: PyTorch's twin of a recurrent layer, and the comparison."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from companion.network import Layer
from companion.recurrence import GRU, LSTM, RNN, RecurrentLayer
from tests.network.oracles import TOLERANCE, assert_close, tensor

CELLS = {
    "tanh": (RNN, nn.RNN, {}),
    "relu": (RNN, nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (LSTM, nn.LSTM, {}),
    "gru": (GRU, nn.GRU, {}),
}
LOOSE = {dtype: 20 * limit for dtype, limit in TOLERANCE.items()}


def load_into(layer: Layer, module: nn.Module) -> None:
    """Give a PyTorch module the parameters of a layer; every name and shape must fit."""
    state = {name: tensor(array) for name, array in layer.parameters().items()}
    module.to(next(iter(state.values())).dtype).load_state_dict(state, strict=True)


def pair(
    kind: str, sizes: tuple[int, int], rng: np.random.Generator, dtype=np.float64, **options
) -> tuple[RecurrentLayer, nn.RNNBase]:
    """Return a layer with random parameters, biases too, and its PyTorch twin."""
    ours, theirs, extra = CELLS[kind]
    layer = ours(*sizes, rng=rng, dtype=dtype, **extra, **options)
    for array in layer.parameters().values():
        array[...] = rng.normal(scale=0.7, size=array.shape)
    module = theirs(*sizes, **extra, **options)
    load_into(layer, module)
    return layer, module


def random_state(layer: RecurrentLayer, n: int, rng: np.random.Generator, dtype=np.float64):
    """Return an initial state of the form that the layer takes."""
    shape = (layer.num_layers * (2 if layer.bidirectional else 1), n, layer.hidden_size)
    parts = tuple(rng.normal(size=shape).astype(dtype) for _ in layer.state_names)
    return parts if len(parts) == 2 else parts[0]


def as_torch(state, *, grad: bool = False):
    """Return the tensors of a state."""
    if isinstance(state, tuple):
        return tuple(tensor(part, grad=grad) for part in state)
    return tensor(state, grad=grad)


def parts(state) -> tuple:
    """Return a state as a tuple, whatever the cell."""
    return state if isinstance(state, tuple) else (state,)


def assert_same_gradients(layer: Layer, module: nn.Module) -> None:
    """Compare the gradients of all parameters by name."""
    theirs = dict(module.named_parameters())
    assert layer.gradients().keys() == layer.parameters().keys() == theirs.keys()
    for name, gradient in layer.gradients().items():
        assert_close(gradient, theirs[name].grad, tolerance=LOOSE[gradient.dtype])


def weighted_sum(outputs: torch.Tensor, state, grad_output, grad_state) -> torch.Tensor:
    """Return a scalar whose gradient is `grad_output` at the outputs, `grad_state` at the state."""
    total = (outputs * tensor(grad_output)).sum()
    for part, grad in zip(parts(state), parts(grad_state), strict=True):
        total = total + (part * tensor(grad)).sum()
    return total
