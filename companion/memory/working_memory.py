"""Two kinds of store: activity that fades with time, and weights that stay until they are changed.

What a network holds in its activity is measured by :func:`memory_function`, what it
holds in quickly changing weights by :class:`FastWeights` and :func:`recall_snr`.
:func:`interrupt` and :func:`disturb` damage one store and leave the other whole.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from companion._validation import (
    FloatArray,
    Seed,
    float_array,
    float_dtype,
    generator,
    integer,
    real,
)
from companion.matrices import spectral_radius
from companion.network.layers import Layer
from companion.recurrence.rnn import RecurrentLayer

AnyLayer = TypeVar("AnyLayer", bound=Layer)
"""A kind of layer; what comes out is of the kind that came in."""


def memory_function(
    weight_hh: ArrayLike,
    weight_ih: ArrayLike,
    lags: ArrayLike,
    noise: float = 0.0,
    *,
    rtol: float = 1e-10,
) -> FloatArray:
    r"""Return how much of each past input a linear recurrent network still holds.

    Implements :eq:`eq-memory-function`,
    :math:`m(k) = v^\top (W^k)^\top C^{+} W^k v`, for the network
    :math:`h_t = W h_{t-1} + v x_t + \sigma \varepsilon_t` with white input and white
    noise of variance 1. The number m(k) is the squared correlation of the input of
    k steps ago with the linear readout of the state that recalls it best, and C is the
    covariance of the state (Jaeger, GMD Report 152, 2002, without noise; White, Lee &
    Sompolinsky, Physical Review Letters 2004, with noise). Without noise the sum over
    all lags is the rank of C, at most the number of units.

    Parameters
    ----------
    weight_hh : array_like, shape (N, N)
        W, with spectral radius below 1.
    weight_ih : array_like, shape (N,) or (N, 1)
        The vector v.
    lags : array_like of int, shape (K,)
        Steps back, 0 for the input that has just been read.
    noise : float, default 0
        Standard deviation of the noise added to each unit at each step.
    rtol : float, default 1e-10
        Directions in which the state moves less than this share of its largest
        standard deviation count as still: rounding hides them.

    Returns
    -------
    ndarray, shape (K,)
        Each in [0, 1], up to rounding.

    Raises
    ------
    ValueError
        If a shape does not fit, a value is not finite, the spectral radius is not below
        1, a lag or the noise is negative, or `rtol` is not in (0, 1).
    TypeError
        If the lags are not integers.

    Examples
    --------
    A delay line of three units holds three inputs, and nothing before them:

    >>> line = np.eye(3, k=-1)
    >>> memory_function(line, [1.0, 0.0, 0.0], range(5)).round(6)
    array([1., 1., 1., 0., 0.])

    A single leaky unit holds all of them a little:

    >>> memory_function([[0.5]], [1.0], range(4)).round(6)
    array([0.75    , 0.1875  , 0.046875, 0.011719])
    """
    w = float_array("weight_hh", weight_hh, ndim=2, finite=True)
    n = len(w)
    if n == 0 or w.shape != (n, n):
        raise ValueError(f"weight_hh must be square with at least one row, got shape {w.shape}")
    v = float_array("weight_ih", weight_ih, finite=True)
    if v.shape not in ((n,), (n, 1)):
        raise ValueError(f"weight_ih must have shape ({n},) or ({n}, 1), got {v.shape}")
    steps = np.asarray(lags)
    if steps.ndim != 1:
        raise ValueError(f"lags must have 1 axes, got shape {steps.shape}")
    if steps.size and steps.dtype.kind not in "iu":
        raise TypeError(f"lags must hold integers, got dtype {steps.dtype}")
    if steps.size and steps.min() < 0:
        raise ValueError(f"lags must not be negative, got {steps.min()}")
    std = real("noise", noise, minimum=0.0)
    cut = real("rtol", rtol, minimum=0.0, maximum=1.0, open_minimum=True, open_maximum=True)
    radius = spectral_radius(w)
    if radius >= 1.0:
        raise ValueError(f"weight_hh must have a spectral radius below 1, got {radius:.6g}")
    # The answer has the precision of the arguments, the way to it always has more.
    dtype = np.result_type(w, v)
    w, v = w.astype(np.float64), v.astype(np.float64).reshape(n)
    start = np.column_stack([v, std * np.eye(n)]) if std else v[:, None]
    inverse = np.linalg.pinv(_covariance_root(w, start), rcond=cut)
    held = np.zeros(int(steps.max()) + 1 if steps.size else 0)
    for k in range(len(held)):
        held[k] = np.sum((inverse @ v) ** 2)
        v = w @ v
    return np.asarray(held[steps.astype(int)], dtype=dtype)


def _covariance_root(w: FloatArray, start: FloatArray) -> FloatArray:
    """Return L with L L^T = sum over k of W^k S S^T W^kT, for the start S.

    Twice as many terms in each round. To carry the root and not the covariance keeps
    directions that are weaker than the strongest by up to 1e-15, instead of 1e-8.
    """
    root, power = start, w
    while np.linalg.norm(power) > 1e-30:
        stacked = np.hstack([root, power @ root])
        root = np.asarray(np.linalg.qr(stacked.T, mode="r")).T
        power = power @ power
    return root


class FastWeights:
    r"""A matrix that stores pairs of keys and values at once, and forgets them by and by.

    Implements :eq:`eq-fast-weights`,
    :math:`A_t = \lambda A_{t-1} + \eta\, v_t k_t^\top` (Hinton & Plaut, Proceedings of
    the Cognitive Science Society 1987; Schmidhuber, Neural Computation 1992; Ba, Hinton,
    Mnih, Leibo & Ionescu, NIPS 2016, whose keys and values are both the hidden state).
    No gradient is needed to write, and none is computed.

    Parameters
    ----------
    key_size, value_size : int
        Numbers in a key and in a value.
    decay : float
        The factor :math:`\lambda` in [0, 1] at each writing.
    rate : float, default 1
        The factor :math:`\eta` of a new pair, positive.
    dtype : float64 or float32

    Attributes
    ----------
    weight : ndarray, shape (value_size, key_size)
        A, zeros at first.

    Raises
    ------
    ValueError
        If a size is below 1, the decay not in [0, 1] or the rate not positive.

    Examples
    --------
    >>> store = FastWeights(2, 3, decay=0.5)
    >>> store.write([[1.0, 0.0], [0.0, 1.0]], [[4.0, 0.0, 0.0], [0.0, 0.0, 4.0]])
    >>> store.read([[1.0, 0.0], [0.0, 1.0]])
    array([[2., 0., 0.],
           [0., 0., 4.]])
    """

    def __init__(
        self,
        key_size: int,
        value_size: int,
        *,
        decay: float,
        rate: float = 1.0,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.key_size = integer("key_size", key_size)
        self.value_size = integer("value_size", value_size)
        self.decay = real("decay", decay, minimum=0.0, maximum=1.0)
        self.rate = real("rate", rate, minimum=0.0, open_minimum=True)
        self.weight: FloatArray = np.zeros(
            (self.value_size, self.key_size), dtype=float_dtype("dtype", dtype)
        )

    def write(self, keys: ArrayLike, values: ArrayLike) -> None:
        """Store pairs one after another; the last comes out strongest.

        Parameters
        ----------
        keys : array_like, shape (T, key_size)
        values : array_like, shape (T, value_size)

        Raises
        ------
        ValueError
            If a shape does not fit or a number is not finite.
        """
        k = float_array("keys", keys, shape=(None, self.key_size), finite=True)
        v = float_array("values", values, shape=(len(k), self.value_size), finite=True)
        for key, value in zip(k, v, strict=True):
            self.weight *= self.decay
            self.weight += self.rate * np.outer(value, key)

    def read(self, keys: ArrayLike) -> FloatArray:
        """Return what the store holds under some keys, and leave it as it is.

        Parameters
        ----------
        keys : array_like, shape (T, key_size)

        Returns
        -------
        ndarray, shape (T, value_size)
            The products of A with each key.

        Raises
        ------
        ValueError
            If the shape does not fit or a number is not finite.
        """
        k = float_array("keys", keys, shape=(None, self.key_size), finite=True)
        return np.asarray(k.astype(self.weight.dtype, copy=False) @ self.weight.T)

    def reset(self) -> None:
        """Empty the store."""
        self.weight[...] = 0.0

    def __repr__(self) -> str:
        """Return the sizes and the two factors."""
        return (
            f"FastWeights({self.key_size}, {self.value_size}, "
            f"decay={self.decay:g}, rate={self.rate:g})"
        )


def recall_snr(lags: ArrayLike, items: int, key_size: int, decay: float) -> FloatArray:
    r"""Return the signal-to-noise ratio with which fast weights recall a pair.

    Implements :eq:`eq-fast-snr`: the mean power of the right value in what is read, over the
    mean power of all other values in it. Keys are independent and evenly
    distributed on the unit sphere, so that two of them have a mean squared product of
    1/d; values are independent of them and of each other, with mean 0 and the same mean
    power.

    Parameters
    ----------
    lags : array_like of int, shape (K,)
        How many pairs were written after the one asked for, 0 to ``items - 1``.
    items : int
        Pairs written in all, n, to an empty store.
    key_size : int
        Numbers in a key, d.
    decay : float
        The factor :math:`\lambda` in (0, 1].

    Returns
    -------
    ndarray, shape (K,)
        Infinity where there is no other pair.

    Raises
    ------
    ValueError
        If a lag is not in 0 .. n - 1, a size is below 1 or the decay not in (0, 1].
    TypeError
        If the lags are not integers.

    Examples
    --------
    >>> recall_snr([0, 1, 2], items=3, key_size=10, decay=1.0)
    array([5., 5., 5.])
    >>> recall_snr([0, 1, 2], items=3, key_size=10, decay=0.5).round(4)
    array([32.    ,  2.3529,  0.5   ])
    """
    n, d = integer("items", items), integer("key_size", key_size)
    factor = real("decay", decay, minimum=0.0, maximum=1.0, open_minimum=True)
    steps = np.asarray(lags)
    if steps.ndim != 1:
        raise ValueError(f"lags must have 1 axes, got shape {steps.shape}")
    if steps.size and steps.dtype.kind not in "iu":
        raise TypeError(f"lags must hold integers, got dtype {steps.dtype}")
    if steps.size and (steps.min() < 0 or steps.max() >= n):
        raise ValueError(
            f"lags must lie in 0..{n - 1}, got values from {steps.min()} to {steps.max()}"
        )
    power = factor ** (2.0 * np.arange(n))
    signal = power[steps.astype(int)]
    # The others summed up as such: a difference of nearly equal sums would round.
    others = np.array([power[:k].sum() + power[k + 1 :].sum() for k in steps])
    with np.errstate(divide="ignore"):
        return np.asarray(d * signal / others)


def interrupt(layer: RecurrentLayer, x: ArrayLike, step: int, state: Any = None) -> FloatArray:
    """Run a recurrent layer, and replace its state before one of the steps.

    The weights stay as they are. What the layer knew of the earlier steps is gone
    unless the new state holds it.

    Parameters
    ----------
    layer : RecurrentLayer
        Of one direction.
    x : array_like, shape (T, N, input_size)
    step : int
        The first step that starts from the new state, 0 to T.
    state : optional
        As for the layer's ``forward``: zeros without it, a pair for an LSTM.

    Returns
    -------
    ndarray, shape (T, N, hidden_size)
        Outputs at all steps.

    Raises
    ------
    ValueError
        If the layer reads in both directions, or the step is not in 0 .. T.
    TypeError
        If `layer` is no recurrent layer.

    Examples
    --------
    >>> from companion.recurrence import RNN
    >>> rnn, x = RNN(2, 3, rng=0), np.random.default_rng(0).normal(size=(6, 1, 2))
    >>> whole, cut = rnn(x), interrupt(rnn, x, 4)
    >>> bool(np.all(cut[:4] == whole[:4])), bool(np.allclose(cut[4:], rnn(x[4:])))
    (True, True)
    """
    if not isinstance(layer, RecurrentLayer):
        raise TypeError(f"layer must be a RecurrentLayer, got {layer!r}")
    if layer.bidirectional:
        raise ValueError("layer must read in one direction, got a bidirectional one")
    array = float_array("x", x, ndim=3)
    at = integer("step", step, minimum=0)
    if at > len(array):
        raise ValueError(f"step must be at most {len(array)}, the steps of x, got {at}")
    parts = []
    if at > 0:
        parts.append(layer.forward(array[:at]))
    if at < len(array) or at == 0:
        parts.append(layer.forward(array[at:], state))
    return np.concatenate(parts)


def disturb(model: AnyLayer, scale: float, *, rng: Seed) -> AnyLayer:
    """Return a copy of a model with noise on all its parameters.

    Parameters
    ----------
    model : Layer
        Left as it is.
    scale : float
        Standard deviation of the noise, as a share of the root mean square of each
        array of parameters. An array of zeros stays one.
    rng : Generator or int

    Returns
    -------
    Layer
        Of the same kind, on its own arrays.

    Raises
    ------
    ValueError
        If `scale` is negative.
    TypeError
        If `model` is no layer.

    Examples
    --------
    >>> from companion.network import Linear
    >>> layer = Linear(50, 40, rng=0)
    >>> change = disturb(layer, 0.1, rng=1).weight - layer.weight
    >>> round(float(np.std(change) / np.std(layer.weight)), 2)
    0.1
    """
    if not isinstance(model, Layer):
        raise TypeError(f"model must be a Layer, got {model!r}")
    size, random = real("scale", scale, minimum=0.0), generator("rng", rng)
    changed = copy.deepcopy(model)
    for array in changed.parameters().values():
        usual = float(np.sqrt(np.mean(array**2)))
        array += (size * usual * random.normal(size=array.shape)).astype(array.dtype)
    return changed
