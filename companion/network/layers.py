"""The layer protocol, and the layers every network is made of.

A layer is anything with a ``forward`` and a ``backward``. The training loop
knows nothing else, so a convolution or a recurrent cell joins by subclassing
:class:`Layer`; neither the loop nor the optimisers change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

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
from companion.network import initialisers
from companion.network.initialisers import Initialiser


class Layer:
    """Base of all layers.

    A subclass implements :meth:`forward` and :meth:`backward`. One with
    parameters also fills ``self._parameters`` and ``self._gradients``; one made
    of other layers overrides :meth:`children` instead.

    Attributes
    ----------
    training : bool
        Whether dropout drops and batch normalisation uses the batch.
    """

    def __init__(self) -> None:
        self.training = True
        self._parameters: dict[str, FloatArray] = {}
        self._gradients: dict[str, FloatArray] = {}
        self._buffers: dict[str, FloatArray] = {}

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return the output for a batch `x`, and remember what backward needs."""
        raise TypeError(f"{type(self).__name__} must define forward(x)")

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        """Return the loss gradient with respect to the last input.

        Parameters
        ----------
        grad_output : array_like, shape of the last output
            Gradient of the loss with respect to that output.

        Returns
        -------
        ndarray, shape of the last input
            Also stores the gradient of each parameter, see :meth:`gradients`.
        """
        raise TypeError(f"{type(self).__name__} must define backward(grad_output)")

    def __call__(self, x: ArrayLike) -> FloatArray:
        """Return ``self.forward(x)``."""
        return self.forward(x)

    def children(self) -> dict[str, Layer]:
        """Return the layers inside this one, by name."""
        return {}

    def parameters(self) -> dict[str, FloatArray]:
        """Return the trained arrays by name: the arrays themselves, not copies.

        Names are PyTorch's, with a dot between a layer and its part:
        ``"0.weight"``.
        """
        return self._collect("_parameters")

    def gradients(self) -> dict[str, FloatArray]:
        """Return the gradients of the last backward pass, named as the parameters."""
        return self._collect("_gradients")

    def buffers(self) -> dict[str, FloatArray]:
        """Return arrays that are saved but not trained, such as running means."""
        return self._collect("_buffers")

    def _collect(self, kind: str) -> dict[str, FloatArray]:
        found: dict[str, FloatArray] = dict(getattr(self, kind))
        for name, child in self.children().items():
            for key, array in child._collect(kind).items():
                found[f"{name}.{key}"] = array
        return found

    def train(self, mode: bool = True) -> Self:
        """Switch to training (or, with ``mode=False``, to evaluation); return self."""
        self.training = mode
        for child in self.children().values():
            child.train(mode)
        return self

    def eval(self) -> Self:
        """Switch to evaluation and return self."""
        return self.train(False)

    def _remembered(self, attribute: str) -> Any:
        if not hasattr(self, attribute):
            raise RuntimeError(f"{type(self).__name__}.backward was called before forward")
        return getattr(self, attribute)


class Linear(Layer):
    r"""A fully connected layer: one matrix product and a shift.

    Implements :eq:`eq-linear`, :math:`Z = X W^\top + b`, and in the backward pass
    :eq:`eq-weight-gradient` and :eq:`eq-bias-gradient`.

    Parameters
    ----------
    in_features, out_features : int
        Length of an input and of an output vector.
    bias : bool, default True
        Whether to add :math:`b`.
    weight_init : callable, default he_normal
        Initialiser of the weight; the bias starts at zero.
    rng : Generator or int
        Source of randomness, or a seed for one.
    dtype : float64 or float32
        Type of the parameters.

    Attributes
    ----------
    weight : ndarray, shape (out_features, in_features)
    bias : ndarray, shape (out_features,), or None

    Raises
    ------
    ValueError
        If a size is below 1.

    Examples
    --------
    >>> layer = Linear(3, 2, rng=0)
    >>> layer(np.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        weight_init: Initialiser = initialisers.he_normal,
        rng: Seed,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        self.in_features = integer("in_features", in_features)
        self.out_features = integer("out_features", out_features)
        kind = float_dtype("dtype", dtype)
        shape = (self.out_features, self.in_features)
        weight = weight_init(shape, rng=generator("rng", rng), dtype=kind)
        if np.shape(weight) != shape:
            raise ValueError(f"weight_init must return shape {shape}, got {np.shape(weight)}")
        self._parameters["weight"] = np.array(weight, dtype=kind)
        if bias:
            self._parameters["bias"] = np.zeros(self.out_features, dtype=kind)

    @property
    def weight(self) -> FloatArray:
        """The matrix :math:`W`, shape (out_features, in_features)."""
        return self._parameters["weight"]

    @property
    def bias(self) -> FloatArray | None:
        """The shift :math:`b`, shape (out_features,), or None."""
        return self._parameters.get("bias")

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return ``x @ weight.T + bias``.

        Parameters
        ----------
        x : array_like, shape (..., in_features)
            One sample a row; any axes before the last count as batch.

        Returns
        -------
        ndarray, shape (..., out_features)

        Raises
        ------
        ValueError
            If the last axis of `x` is not ``in_features`` long.
        """
        self._x = _input(x, self.in_features, self.weight, "in_features")
        z = self._x @ self.weight.T
        return np.asarray(z if self.bias is None else z + self.bias)

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        r"""Store the parameter gradients and return :math:`\Delta W`.

        Parameters
        ----------
        grad_output : array_like, shape (..., out_features)
            :math:`\Delta`, one error vector a row.

        Returns
        -------
        ndarray, shape (..., in_features)
        """
        x = self._remembered("_x")
        delta = float_array("grad_output", grad_output, shape=(*x.shape[:-1], self.out_features))
        rows = delta.reshape(-1, self.out_features)
        self._gradients["weight"] = rows.T @ x.reshape(-1, self.in_features)
        if self.bias is not None:
            self._gradients["bias"] = rows.sum(axis=0)
        return np.asarray(delta @ self.weight)

    def __repr__(self) -> str:
        """Return the sizes."""
        return f"Linear({self.in_features}, {self.out_features}, bias={self.bias is not None})"


class Sequential(Layer):
    """Layers applied one after the other.

    Implements the chain :math:`a^{(l)} = f(z^{(l)})` by calling each layer in
    order, and :eq:`eq-delta` by calling them in reverse.

    Parameters
    ----------
    *layers : Layer
        At least one.

    Raises
    ------
    TypeError
        If something given is not a :class:`Layer`.
    ValueError
        If nothing is given, or one layer twice.

    Examples
    --------
    >>> from companion.network.activations import ReLU
    >>> model = Sequential(Linear(4, 8, rng=0), ReLU(), Linear(8, 3, rng=1))
    >>> sorted(model.parameters())
    ['0.bias', '0.weight', '2.bias', '2.weight']
    """

    def __init__(self, *layers: Layer) -> None:
        super().__init__()
        if not layers:
            raise ValueError("layers must hold at least one layer, got none")
        for i, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"layers[{i}] must be a Layer, got {layer!r}")
            # A layer remembers one forward pass; used twice, it would go back by the wrong one.
            if any(layer is earlier for earlier in layers[:i]):
                raise ValueError(f"layers[{i}] must be a layer of its own, got {layer!r} again")
        self.layers = layers

    def children(self) -> dict[str, Layer]:
        """Return the layers, named by their position."""
        return {str(i): layer for i, layer in enumerate(self.layers)}

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return the output of the last layer."""
        out = float_array("x", x)
        for layer in self.layers:
            out = layer.forward(out)
        return out

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        """Return the gradient with respect to the input of the first layer."""
        grad = float_array("grad_output", grad_output)
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return grad

    def __len__(self) -> int:
        """Return the number of layers."""
        return len(self.layers)

    def __getitem__(self, index: int) -> Layer:
        """Return one layer."""
        return self.layers[index]

    def __iter__(self) -> Iterator[Layer]:
        """Go through the layers from first to last."""
        return iter(self.layers)

    def __repr__(self) -> str:
        """Return one layer a line."""
        inside = "\n".join(f"  ({i}): {layer!r}" for i, layer in enumerate(self.layers))
        return f"Sequential(\n{inside}\n)"


class Residual(Layer):
    """Add the input to the output of a layer.

    Implements :eq:`eq-residual`, :math:`y = x + F(x)` (He, Zhang, Ren & Sun,
    CVPR 2016). The gradient has a path that no weight scales.

    Parameters
    ----------
    body : Layer
        :math:`F`; its output has the shape of its input.

    Examples
    --------
    >>> block = Residual(Linear(3, 3, weight_init=initialisers.zeros, rng=0))
    >>> block([[1.0, 2.0, 3.0]])
    array([[1., 2., 3.]])
    """

    def __init__(self, body: Layer) -> None:
        super().__init__()
        if not isinstance(body, Layer):
            raise TypeError(f"body must be a Layer, got {body!r}")
        self.body = body

    def children(self) -> dict[str, Layer]:
        """Return the body."""
        return {"body": self.body}

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return ``x + body(x)``, shape of `x`."""
        x = float_array("x", x)
        out = self.body.forward(x)
        if out.shape != x.shape:
            raise ValueError(f"body must keep the shape {x.shape} of x, got {out.shape}")
        return np.asarray(x + out)

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        """Return the gradient along both paths, shape of the input."""
        grad_output = float_array("grad_output", grad_output)
        return np.asarray(grad_output + self.body.backward(grad_output))

    def __repr__(self) -> str:
        """Return the body."""
        return f"Residual({self.body!r})"


class LayerNorm(Layer):
    r"""Give each sample mean 0 and variance 1 over its features, then scale and shift.

    Implements :eq:`eq-layer-norm` (Ba, Kiros & Hinton, arXiv:1607.06450, 2016).

    Parameters
    ----------
    normalized_shape : int
        Length of the last axis.
    eps : float, default 1e-5
        Added to the variance.
    dtype : float64 or float32

    Attributes
    ----------
    weight, bias : ndarray, shape (normalized_shape,)

    Examples
    --------
    >>> LayerNorm(2, eps=1e-12)([[1.0, 3.0]])
    array([[-1.,  1.]])
    """

    def __init__(
        self, normalized_shape: int, *, eps: float = 1e-5, dtype: DTypeLike = np.float64
    ) -> None:
        super().__init__()
        self.normalized_shape = integer("normalized_shape", normalized_shape)
        self.eps = real("eps", eps, minimum=0.0, open_minimum=True)
        kind = float_dtype("dtype", dtype)
        self._parameters["weight"] = np.ones(self.normalized_shape, dtype=kind)
        self._parameters["bias"] = np.zeros(self.normalized_shape, dtype=kind)

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return the normalised batch, shape (..., normalized_shape)."""
        weight = self._parameters["weight"]
        x = _input(x, self.normalized_shape, weight, "normalized_shape")
        self._std = np.sqrt(x.var(axis=-1, keepdims=True) + x.dtype.type(self.eps))
        self._normalised = (x - x.mean(axis=-1, keepdims=True)) / self._std
        return np.asarray(self._normalised * weight + self._parameters["bias"])

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        """Store the parameter gradients; return that of the input, of the same shape."""
        n = self._remembered("_normalised")
        g = float_array("grad_output", grad_output, shape=n.shape)
        batch = tuple(range(n.ndim - 1))
        self._gradients["weight"] = (g * n).sum(axis=batch)
        self._gradients["bias"] = g.sum(axis=batch)
        return _normalisation_backward(g * self._parameters["weight"], n, self._std, axis=-1)

    def __repr__(self) -> str:
        """Return the size."""
        return f"LayerNorm({self.normalized_shape})"


class BatchNorm1d(Layer):
    r"""Give each feature mean 0 and variance 1 over the batch, then scale and shift.

    Implements :eq:`eq-batch-norm` (Ioffe & Szegedy, ICML 2015). In evaluation
    mode it uses running averages of mean and (unbiased) variance instead.

    Parameters
    ----------
    num_features : int
        Length of the last axis.
    eps : float, default 1e-5
        Added to the variance.
    momentum : float in [0, 1], default 0.1
        Weight of the new batch in the running averages.
    dtype : float64 or float32

    Attributes
    ----------
    weight, bias, running_mean, running_var : ndarray, shape (num_features,)

    Examples
    --------
    >>> BatchNorm1d(1, eps=1e-12)([[1.0], [3.0]])
    array([[-1.],
           [ 1.]])
    """

    def __init__(
        self,
        num_features: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        self.num_features = integer("num_features", num_features)
        self.eps = real("eps", eps, minimum=0.0, open_minimum=True)
        self.momentum = real("momentum", momentum, minimum=0.0, maximum=1.0)
        kind = float_dtype("dtype", dtype)
        self._parameters["weight"] = np.ones(self.num_features, dtype=kind)
        self._parameters["bias"] = np.zeros(self.num_features, dtype=kind)
        self._buffers["running_mean"] = np.zeros(self.num_features, dtype=kind)
        self._buffers["running_var"] = np.ones(self.num_features, dtype=kind)

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return the normalised batch.

        Parameters
        ----------
        x : array_like, shape (N, num_features)
            At least two rows in training mode: one row has no variance.

        Returns
        -------
        ndarray, shape (N, num_features)

        Raises
        ------
        ValueError
            If the shape is wrong, or training sees fewer than two rows.
        """
        weight = self._parameters["weight"]
        x = _input(x, self.num_features, weight, "num_features")
        if x.ndim != 2:
            raise ValueError(f"x must have shape (N, {self.num_features}), got {x.shape}")
        mean, var = self._buffers["running_mean"], self._buffers["running_var"]
        if self.training:
            n = len(x)
            if n < 2:
                raise ValueError(f"x must have at least 2 rows in training mode, got {n}")
            batch_mean, batch_var = x.mean(axis=0), x.var(axis=0)
            mean += self.momentum * (batch_mean - mean)
            var += self.momentum * (batch_var * (n / (n - 1)) - var)
            mean, var = batch_mean, batch_var
        self._used_batch = self.training
        self._std = np.sqrt(var + x.dtype.type(self.eps))
        self._normalised = (x - mean) / self._std
        return np.asarray(self._normalised * weight + self._parameters["bias"])

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        """Store the parameter gradients; return that of the input, of the same shape."""
        n = self._remembered("_normalised")
        g = float_array("grad_output", grad_output, shape=n.shape)
        self._gradients["weight"] = (g * n).sum(axis=0)
        self._gradients["bias"] = g.sum(axis=0)
        scaled = g * self._parameters["weight"]
        if not self._used_batch:
            return np.asarray(scaled / self._std)
        return _normalisation_backward(scaled, n, self._std, axis=0)

    def __repr__(self) -> str:
        """Return the size."""
        return f"BatchNorm1d({self.num_features})"


def _normalisation_backward(
    grad: FloatArray, normalised: FloatArray, std: FloatArray, *, axis: int
) -> FloatArray:
    # Mean and variance depend on every entry, which removes from the gradient
    # its mean and its component along the normalised input.
    mean = grad.mean(axis=axis, keepdims=True)
    along = (grad * normalised).mean(axis=axis, keepdims=True)
    return np.asarray((grad - mean - normalised * along) / std)


class Dropout(Layer):
    r"""Set each number to zero with probability `p` and scale up the rest, in training.

    Implements :eq:`eq-dropout` (Srivastava et al., JMLR 15, 2014). The scale
    :math:`1/(1-p)` keeps the mean, so that evaluation needs no change.

    Parameters
    ----------
    p : float in [0, 1), default 0.5
    rng : Generator or int
        Source of randomness, or a seed for one.

    Examples
    --------
    >>> layer = Dropout(0.5, rng=0).eval()
    >>> layer([1.0, 2.0])
    array([1., 2.])
    """

    def __init__(self, p: float = 0.5, *, rng: Seed) -> None:
        super().__init__()
        self.p = real("p", p, minimum=0.0, maximum=1.0, open_maximum=True)
        self._rng = generator("rng", rng)

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return `x` with entries dropped, shape of `x`."""
        x = float_array("x", x)
        self._mask = np.ones_like(x)
        if self.training:
            kept = self._rng.random(x.shape) >= self.p
            self._mask = kept.astype(x.dtype) / x.dtype.type(1.0 - self.p)
        return np.asarray(x * self._mask)

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        """Return the gradient through the entries that were kept."""
        mask = self._remembered("_mask")
        return np.asarray(float_array("grad_output", grad_output, shape=mask.shape) * mask)

    def __repr__(self) -> str:
        """Return the probability."""
        return f"Dropout(p={self.p:g})"


class SpectralNorm(Layer):
    r"""A linear layer whose matrix is divided by its largest singular value.

    Implements :eq:`eq-spectral-norm` (Miyato et al., ICLR 2018): the layer
    stretches no vector by more than one. The singular value is followed by
    power iteration, one step a training pass.

    Parameters
    ----------
    layer : Linear
        Its weight stays the trained parameter.
    n_power_iterations : int, default 1
        Steps for each forward pass in training mode.
    rng : Generator or int
        For the first guess of the singular vectors.

    Examples
    --------
    >>> layer = SpectralNorm(Linear(3, 3, rng=0), n_power_iterations=100, rng=0)
    >>> _ = layer(np.eye(3))
    >>> round(float(np.linalg.norm(layer.normalised_weight(), 2)), 6)
    1.0
    """

    def __init__(self, layer: Linear, *, n_power_iterations: int = 1, rng: Seed) -> None:
        super().__init__()
        if not isinstance(layer, Linear):
            raise TypeError(f"layer must be Linear, got {layer!r}")
        self.layer = layer
        self.n_power_iterations = integer("n_power_iterations", n_power_iterations)
        random = generator("rng", rng)
        for name, size in (("u", layer.out_features), ("v", layer.in_features)):
            vector = random.standard_normal(size).astype(layer.weight.dtype)
            self._buffers[name] = vector / np.linalg.norm(vector)

    def children(self) -> dict[str, Layer]:
        """Return the linear layer."""
        return {"layer": self.layer}

    def sigma(self) -> float:
        r"""Return the present estimate :math:`u^\top W v` of the largest singular value."""
        return float(self._buffers["u"] @ self.layer.weight @ self._buffers["v"])

    def normalised_weight(self) -> FloatArray:
        """Return the matrix in use, shape (out_features, in_features)."""
        return np.asarray(self.layer.weight / self.layer.weight.dtype.type(self.sigma()))

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return ``x @ normalised_weight.T + bias``, shape (..., out_features)."""
        layer = self.layer
        self._x = _input(x, layer.in_features, layer.weight, "in_features")
        u, v = self._buffers["u"], self._buffers["v"]
        if self.training:
            for _ in range(self.n_power_iterations):
                v[:] = _unit(layer.weight.T @ u)
                u[:] = _unit(layer.weight @ v)
        z = self._x @ self.normalised_weight().T
        return np.asarray(z if layer.bias is None else z + layer.bias)

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        """Store the gradients of the unnormalised weight and the bias.

        The singular vectors count as constants, as in PyTorch.
        """
        x, layer = self._remembered("_x"), self.layer
        delta = float_array("grad_output", grad_output, shape=(*x.shape[:-1], layer.out_features))
        rows = delta.reshape(-1, layer.out_features)
        weight, sigma = self.normalised_weight(), layer.weight.dtype.type(self.sigma())
        grad = rows.T @ x.reshape(-1, layer.in_features)
        direction = np.outer(self._buffers["u"], self._buffers["v"])
        layer._gradients["weight"] = (grad - np.sum(grad * weight) * direction) / sigma
        if layer.bias is not None:
            layer._gradients["bias"] = rows.sum(axis=0)
        return np.asarray(delta @ weight)

    def __repr__(self) -> str:
        """Return the layer inside."""
        return f"SpectralNorm({self.layer!r})"


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12))


def _input(x: ArrayLike, size: int, weight: FloatArray, size_name: str) -> FloatArray:
    array = float_array("x", x, min_ndim=1)
    if array.shape[-1] != size:
        raise ValueError(f"x must have {size_name} = {size} on its last axis, got {array.shape}")
    if array.dtype != weight.dtype:
        raise TypeError(
            f"x must be {weight.dtype} like the layer, got {array.dtype}; "
            "convert x or give the layer dtype=..."
        )
    return array
