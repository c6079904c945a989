"""Networks built from a few choices, for comparing depths, activations and initialisers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import DTypeLike

from companion._validation import Seed, choice, generator, integer, real
from companion.network import initialisers
from companion.network.activations import ACTIVATIONS
from companion.network.initialisers import Initialiser
from companion.network.layers import (
    BatchNorm1d,
    Dropout,
    Layer,
    LayerNorm,
    Linear,
    Residual,
    Sequential,
)


def mlp(
    sizes: Sequence[int],
    *,
    activation: str = "relu",
    weight_init: Initialiser = initialisers.he_normal,
    norm: str = "none",
    residual: bool = False,
    dropout: float = 0.0,
    rng: Seed,
    dtype: DTypeLike = np.float64,
) -> Sequential:
    """Return a multilayer perceptron that ends in a linear layer (logits).

    Each hidden layer is Linear, then normalisation, activation and dropout where
    asked for. With `residual`, hidden layers that keep the width are wrapped in
    :class:`.Residual`.

    Parameters
    ----------
    sizes : sequence of int
        Widths from input to output, at least two.
    activation : {'identity', 'sigmoid', 'tanh', 'relu', 'leaky_relu', 'gelu'}
    weight_init : callable, default he_normal
        Initialiser of every weight.
    norm : {'none', 'layer', 'batch'}
        Normalisation of the pre-activations of hidden layers.
    residual : bool, default False
    dropout : float in [0, 1), default 0
    rng : Generator or int
        Source of all randomness, dropout's included.
    dtype : float64 or float32

    Returns
    -------
    Sequential

    Raises
    ------
    ValueError
        If there are fewer than two sizes, or a name is not one of those listed.

    Examples
    --------
    >>> model = mlp([64, 32, 10], activation="tanh", rng=0)
    >>> [type(layer).__name__ for layer in model]
    ['Linear', 'Tanh', 'Linear']
    """
    if not isinstance(sizes, (tuple, list)) or len(sizes) < 2:
        raise ValueError(f"sizes must hold at least input and output width, got {sizes!r}")
    widths = [integer(f"sizes[{i}]", n) for i, n in enumerate(sizes)]
    make_activation = ACTIVATIONS[choice("activation", activation, ACTIVATIONS)]
    choice("norm", norm, ("none", "layer", "batch"))
    real("dropout", dropout, minimum=0.0, maximum=1.0, open_maximum=True)
    random = generator("rng", rng)
    layers: list[Layer] = []
    for n_in, n_out in pairwise(widths[:-1]):
        block: list[Layer] = [Linear(n_in, n_out, weight_init=weight_init, rng=random, dtype=dtype)]
        if norm == "layer":
            block.append(LayerNorm(n_out, dtype=dtype))
        elif norm == "batch":
            block.append(BatchNorm1d(n_out, dtype=dtype))
        block.append(make_activation())
        if dropout:
            block.append(Dropout(dropout, rng=random))
        if residual and n_in == n_out:
            layers.append(Residual(Sequential(*block)))
        else:
            layers.extend(block)
    layers.append(Linear(*widths[-2:], weight_init=weight_init, rng=random, dtype=dtype))
    return Sequential(*layers)
