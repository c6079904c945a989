r"""Convolution and pooling as layers, and networks made of them.

The layers follow the protocol of :class:`.Layer`, so the training
loop, the optimisers, storage and the gradient check of chapter 2 take them as they
are. The arithmetic of a convolution is in :mod:`companion.convolution.matrix_product`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from companion._validation import (
    FloatArray,
    Seed,
    choice,
    float_array,
    float_dtype,
    generator,
    integer,
)
from companion.convolution.matrix_product import (
    Padding,
    Size,
    _geometry,
    _pair,
    col2im,
    conv2d,
    conv2d_backward,
    conv_transpose2d,
    conv_transpose2d_backward,
    im2col,
    resolve_padding,
)
from companion.network import initialisers
from companion.network.activations import ReLU
from companion.network.gradient_check import relative_error
from companion.network.initialisers import Initialiser
from companion.network.layers import Layer, Linear, Sequential


class _Convolution(Layer):
    """What a convolution and its transpose share: sizes, weight and bias."""

    padding: tuple[int, int] | str

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        *,
        stride: Size,
        dilation: Size,
        groups: int,
        bias: bool,
        weight_init: Initialiser,
        rng: Seed,
        dtype: DTypeLike,
    ) -> None:
        super().__init__()
        self.in_channels = integer("in_channels", in_channels)
        self.out_channels = integer("out_channels", out_channels)
        self.kernel_size = _pair("kernel_size", kernel_size)
        self.stride = _pair("stride", stride)
        self.dilation = _pair("dilation", dilation)
        self.groups = integer("groups", groups)
        for name in ("in_channels", "out_channels"):
            if getattr(self, name) % self.groups:
                raise ValueError(
                    f"groups must divide {name} = {getattr(self, name)}, got {self.groups}"
                )
        kind = float_dtype("dtype", dtype)
        shape = self._weight_shape()
        weight = weight_init(shape, rng=generator("rng", rng), dtype=kind)
        if np.shape(weight) != shape:
            raise ValueError(f"weight_init must return shape {shape}, got {np.shape(weight)}")
        self._parameters["weight"] = np.array(weight, dtype=kind)
        if bias:
            self._parameters["bias"] = np.zeros(self.out_channels, dtype=kind)

    def _weight_shape(self) -> tuple[int, ...]:
        return (self.out_channels, self.in_channels // self.groups, *self.kernel_size)

    @property
    def weight(self) -> FloatArray:
        """The kernels; their shape is in the docstring of the class."""
        return self._parameters["weight"]

    @property
    def bias(self) -> FloatArray | None:
        """One number for each output channel, shape (out_channels,), or None."""
        return self._parameters.get("bias")

    def _images(self, x: ArrayLike) -> FloatArray:
        images = float_array("x", x, ndim=4)
        if images.shape[1] != self.in_channels:
            raise ValueError(
                f"x must have in_channels = {self.in_channels} on axis 1, got shape {images.shape}"
            )
        if images.dtype != self.weight.dtype:
            raise TypeError(
                f"x must be {self.weight.dtype} like the layer, got {images.dtype}; "
                "convert x or give the layer dtype=..."
            )
        return images

    def __repr__(self) -> str:
        """Return the sizes."""
        return (
            f"{type(self).__name__}({self.in_channels}, {self.out_channels}, "
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, groups={self.groups}, bias={self.bias is not None})"
        )


class Conv2d(_Convolution):
    """Slide the same small kernels over every place of an image.

    A layer around :func:`.conv2d`: one matrix product for the whole batch.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input; kernels, and so channels of the output.
    kernel_size : int or (int, int)
        Height and width of a kernel, in pixels.
    stride : int or (int, int), default 1
        Pixels from one place to the next.
    padding : int, (int, int), "same" or "valid", default 0
        Rows and columns of zeros added at each edge, see :func:`.resolve_padding`.
    dilation : int or (int, int), default 1
        Pixels between neighbouring entries of a kernel.
    groups : int, default 1
        The channels fall into this many groups, and a kernel sees its own only.
    bias : bool, default True
        Whether to add one number to each output channel.
    weight_init : callable, default he_normal
        Initialiser of the weight; the bias starts at zero.
    rng : Generator or int
        Source of randomness, or a seed for one.
    dtype : float64 or float32
        Type of the parameters.

    Attributes
    ----------
    weight : ndarray, shape (out_channels, in_channels / groups, kh, kw)
    bias : ndarray, shape (out_channels,), or None

    Raises
    ------
    ValueError
        If a size is too small, or `groups` does not divide the channels.

    References
    ----------
    LeCun, Bottou, Bengio & Haffner, Gradient-based learning applied to document
    recognition, Proceedings of the IEEE 86(11), 1998.

    Examples
    --------
    >>> layer = Conv2d(1, 8, 3, padding=1, rng=0)
    >>> layer(np.ones((5, 1, 8, 8))).shape
    (5, 8, 8, 8)
    >>> {name: array.shape for name, array in layer.parameters().items()}
    {'weight': (8, 1, 3, 3), 'bias': (8,)}
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        *,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        weight_init: Initialiser = initialisers.he_normal,
        rng: Seed,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            dilation=dilation,
            groups=groups,
            bias=bias,
            weight_init=weight_init,
            rng=rng,
            dtype=dtype,
        )
        resolve_padding(padding, self.kernel_size, self.stride, self.dilation)
        self.padding = padding if isinstance(padding, str) else _pair("padding", padding, minimum=0)

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return the feature maps.

        Parameters
        ----------
        x : array_like, shape (N, in_channels, H, W)

        Returns
        -------
        ndarray, shape (N, out_channels, H_out, W_out)
            Sizes as :func:`.conv_output_size` gives them.

        Raises
        ------
        ValueError
            If the shape is wrong, or the kernel is larger than the padded image.
        TypeError
            If `x` is not of the layer's type.
        """
        images = self._images(x)
        out = conv2d(
            images,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        self._x, self._shape = images, out.shape
        return out

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        """Store the parameter gradients; return that of the input.

        Parameters
        ----------
        grad_output : array_like, shape (N, out_channels, H_out, W_out)

        Returns
        -------
        ndarray, shape (N, in_channels, H, W)
        """
        x = self._remembered("_x")
        grad_x, grad_weight, grad_bias = conv2d_backward(
            float_array("grad_output", grad_output, shape=self._shape),
            x,
            self.weight,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        self._gradients["weight"] = grad_weight
        if self.bias is not None:
            self._gradients["bias"] = grad_bias
        return grad_x


class ConvTranspose2d(_Convolution):
    """Spread every pixel over a kernel's area: the transpose of a convolution.

    A layer around :func:`.conv_transpose2d`. Its forward pass is the backward pass of
    :class:`Conv2d` with respect to the input, and the other way round. It is not the
    inverse: it gives back the shape, not the image.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    kernel_size : int or (int, int)
        Height and width of a kernel, in pixels.
    stride : int or (int, int), default 1
        Output pixels from one input pixel's kernel to the next.
    padding : int or (int, int), default 0
        Rows and columns cut off at each edge of the output.
    output_padding : int or (int, int), default 0
        Rows and columns added at the bottom and on the right, fewer than `stride` or
        `dilation`: with a stride, several input sizes of a convolution have one output size.
    dilation : int or (int, int), default 1
        Pixels between neighbouring entries of a kernel.
    groups : int, default 1
        The channels fall into this many groups, and a kernel sees its own only.
    bias : bool, default True
        Whether to add one number to each output channel.
    weight_init : callable, default he_normal
        Initialiser of the weight; the bias starts at zero. As in PyTorch the fans are
        counted from the shape, which here begins with the input channels.
    rng : Generator or int
        Source of randomness, or a seed for one.
    dtype : float64 or float32
        Type of the parameters.

    Attributes
    ----------
    weight : ndarray, shape (in_channels, out_channels / groups, kh, kw)
    bias : ndarray, shape (out_channels,), or None

    Raises
    ------
    ValueError
        If a size is too small, or `groups` does not divide the channels.

    Examples
    --------
    >>> layer = ConvTranspose2d(8, 1, 2, stride=2, rng=0)
    >>> layer(np.ones((5, 8, 4, 4))).shape
    (5, 1, 8, 8)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        *,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        weight_init: Initialiser = initialisers.he_normal,
        rng: Seed,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            dilation=dilation,
            groups=groups,
            bias=bias,
            weight_init=weight_init,
            rng=rng,
            dtype=dtype,
        )
        self.padding: tuple[int, int] = _pair("padding", padding, minimum=0)
        self.output_padding = _pair("output_padding", output_padding, minimum=0)

    def _weight_shape(self) -> tuple[int, ...]:
        return (self.in_channels, self.out_channels // self.groups, *self.kernel_size)

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return the enlarged maps.

        Parameters
        ----------
        x : array_like, shape (N, in_channels, H, W)

        Returns
        -------
        ndarray, shape (N, out_channels, H_out, W_out)
            ``H_out = (H - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1``.

        Raises
        ------
        ValueError
            If the shape is wrong, the padding cuts everything off, or `output_padding`
            is too large.
        TypeError
            If `x` is not of the layer's type.
        """
        images = self._images(x)
        out = conv_transpose2d(
            images,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        self._x, self._shape = images, out.shape
        return out

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        """Store the parameter gradients; return that of the input.

        Parameters
        ----------
        grad_output : array_like, shape (N, out_channels, H_out, W_out)

        Returns
        -------
        ndarray, shape (N, in_channels, H, W)
        """
        x = self._remembered("_x")
        grad_x, grad_weight, grad_bias = conv_transpose2d_backward(
            float_array("grad_output", grad_output, shape=self._shape),
            x,
            self.weight,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        self._gradients["weight"] = grad_weight
        if self.bias is not None:
            self._gradients["bias"] = grad_bias
        return grad_x

    def __repr__(self) -> str:
        """Return the sizes."""
        return f"{super().__repr__()[:-1]}, output_padding={self.output_padding})"


class _Pooling(Layer):
    """What all pooling shares: windows, which are the patches of each channel by itself."""

    def __init__(
        self, kernel_size: Size, *, stride: Size | None, padding: Size, dilation: Size
    ) -> None:
        super().__init__()
        self.kernel_size = _pair("kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else _pair("stride", stride)
        self.padding = _pair("padding", padding, minimum=0)
        self.dilation = _pair("dilation", dilation)
        # Beyond half a window, some window would lie in the padding alone.
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(
                f"padding must be at most half of kernel_size {self.kernel_size}, "
                f"got {self.padding}"
            )

    def _windows(self, images: FloatArray) -> FloatArray:
        """Return one window a column, shape (kh kw, N C H_out W_out), zeros in the padding."""
        n, c, h, w = self._input_shape = images.shape
        g = _geometry((h, w), self.kernel_size, self.stride, self.padding, self.dilation)
        self._output_shape = (n, c, *g.output)
        return self._columns(images.reshape(n * c, 1, h, w))

    def _columns(self, channels: FloatArray) -> FloatArray:
        return im2col(
            channels,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )

    def _inside(self) -> FloatArray:
        """Return 1 for window entries in the image, 0 in the padding, shape (kh kw, positions)."""
        return self._columns(np.ones((1, 1, *self._input_shape[2:])))

    def _add_up(self, windows: FloatArray) -> FloatArray:
        """Add the entries of the windows back to the pixels they were taken from."""
        n, c, h, w = self._input_shape
        summed = col2im(
            windows,
            (n * c, 1, h, w),
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )
        return summed.reshape(self._input_shape)

    def __repr__(self) -> str:
        """Return the sizes."""
        return (
            f"{type(self).__name__}(kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding})"
        )


class MaxPool2d(_Pooling):
    r"""Keep the largest entry of each window.

    Implements :eq:`eq-max-pool` and, in the backward pass, :eq:`eq-max-pool-backward`: each
    output sends its gradient to the entry it was copied from. Of several largest entries
    that is the first in reading order, as in PyTorch. The layer is not linear.

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of a window, in pixels.
    stride : int or (int, int), optional
        Pixels from one window to the next; `kernel_size` by default. Rows and columns that
        fill no whole window are left out (PyTorch's ``ceil_mode=False``, the only mode here).
    padding : int or (int, int), default 0
        Rows and columns of minus infinity added at each edge; at most half a window.
    dilation : int or (int, int), default 1
        Pixels between neighbouring entries of a window.

    Raises
    ------
    ValueError
        If a size is too small, or `padding` more than half of `kernel_size`.

    Examples
    --------
    >>> layer = MaxPool2d(2)
    >>> layer([[[[1.0, 3.0], [2.0, 0.0]]]])
    array([[[[3.]]]])
    >>> layer.backward([[[[5.0]]]])
    array([[[[0., 5.],
             [0., 0.]]]])
    """

    def __init__(
        self,
        kernel_size: Size,
        *,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
    ) -> None:
        super().__init__(kernel_size, stride=stride, padding=padding, dilation=dilation)

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return the largest entry of each window.

        Parameters
        ----------
        x : array_like, shape (N, C, H, W)

        Returns
        -------
        ndarray, shape (N, C, H_out, W_out)
            Sizes as :func:`.conv_output_size` gives them.

        Raises
        ------
        ValueError
            If `x` has not four axes, or the window is larger than the padded image.
        """
        windows = self._windows(float_array("x", x, ndim=4))
        if any(self.padding):
            outside = np.tile(self._inside() == 0, self._input_shape[0] * self._input_shape[1])
            windows[outside] = -np.inf
        self._winner = windows.argmax(axis=0)[None]
        return np.take_along_axis(windows, self._winner, axis=0).reshape(self._output_shape)

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        """Return the gradient of the input: each entry of `grad_output` at its winner.

        Parameters
        ----------
        grad_output : array_like, shape (N, C, H_out, W_out)

        Returns
        -------
        ndarray, shape (N, C, H, W)
        """
        winner = self._remembered("_winner")
        grad = float_array("grad_output", grad_output, shape=self._output_shape)
        windows = np.zeros((math.prod(self.kernel_size), winner.size), dtype=grad.dtype)
        np.put_along_axis(windows, winner, grad.reshape(1, -1), axis=0)
        # Windows may overlap: a pixel that wins twice collects both gradients.
        return self._add_up(windows)


class AvgPool2d(_Pooling):
    r"""Take the mean of each window.

    Implements :eq:`eq-avg-pool`. The layer is linear: it is a convolution with one constant
    kernel for each channel.

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of a window, in pixels.
    stride : int or (int, int), optional
        Pixels from one window to the next; `kernel_size` by default. Rows and columns that
        fill no whole window are left out.
    padding : int or (int, int), default 0
        Rows and columns of zeros added at each edge; at most half a window.
    count_include_pad : bool, default True
        Whether the zeros count in the number that the sum is divided by.

    Raises
    ------
    ValueError
        If a size is too small, or `padding` more than half of `kernel_size`.

    Examples
    --------
    >>> AvgPool2d(2)([[[[1.0, 3.0], [2.0, 0.0]]]])
    array([[[[1.5]]]])
    """

    def __init__(
        self,
        kernel_size: Size,
        *,
        stride: Size | None = None,
        padding: Size = 0,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride=stride, padding=padding, dilation=1)
        self.count_include_pad = bool(count_include_pad)

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return the mean of each window.

        Parameters
        ----------
        x : array_like, shape (N, C, H, W)

        Returns
        -------
        ndarray, shape (N, C, H_out, W_out)
            Sizes as :func:`.conv_output_size` gives them.

        Raises
        ------
        ValueError
            If `x` has not four axes, or the window is larger than the padded image.
        """
        windows = self._windows(float_array("x", x, ndim=4))
        self._count = np.asarray(len(windows), dtype=windows.dtype)
        if not self.count_include_pad:
            inside = self._inside().sum(axis=0, dtype=windows.dtype)
            self._count = inside.reshape(self._output_shape[2:])
        return np.asarray(windows.sum(axis=0).reshape(self._output_shape) / self._count)

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        """Return the gradient of the input: each entry of `grad_output` shared out evenly.

        Parameters
        ----------
        grad_output : array_like, shape (N, C, H_out, W_out)

        Returns
        -------
        ndarray, shape (N, C, H, W)
        """
        count = self._remembered("_count")
        grad = float_array("grad_output", grad_output, shape=self._output_shape)
        share = (grad / count).astype(grad.dtype, copy=False).reshape(1, -1)
        return self._add_up(np.repeat(share, math.prod(self.kernel_size), axis=0))


class Flatten(Layer):
    """Lay each sample out as one row: (N, C, H, W) becomes (N, C H W).

    Examples
    --------
    >>> Flatten()(np.zeros((5, 2, 3, 3))).shape
    (5, 18)
    """

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return `x` of shape (N, ...) as rows, shape (N, features)."""
        x = float_array("x", x, min_ndim=2)
        self._shape = x.shape
        return x.reshape(len(x), math.prod(x.shape[1:])).copy()

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        """Return the gradient in the shape of the input."""
        shape = self._remembered("_shape")
        rows = (shape[0], math.prod(shape[1:]))
        return float_array("grad_output", grad_output, shape=rows).reshape(shape).copy()

    def __repr__(self) -> str:
        """Return the name."""
        return "Flatten()"


class Unflatten(Layer):
    """Give each row the shape of an image again: (N, C H W) becomes (N, C, H, W).

    Parameters
    ----------
    unflattened_size : sequence of int
        Shape of one sample, ``(C, H, W)``. (PyTorch's layer takes the axis as well;
        here it is always the last of two.)

    Raises
    ------
    ValueError
        If a size is below 1.

    Examples
    --------
    >>> Unflatten((1, 8, 8))(np.zeros((5, 64))).shape
    (5, 1, 8, 8)
    """

    def __init__(self, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.unflattened_size = _sizes("unflattened_size", unflattened_size)

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return `x` of shape (N, features) with each row in the layer's shape."""
        features = math.prod(self.unflattened_size)
        x = float_array("x", x, shape=(None, features))
        self._shape = (len(x), *self.unflattened_size)
        return x.reshape(self._shape).copy()

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        """Return the gradient as rows, the shape of the input."""
        shape = self._remembered("_shape")
        grad = float_array("grad_output", grad_output, shape=shape)
        return grad.reshape(shape[0], math.prod(shape[1:])).copy()

    def __repr__(self) -> str:
        """Return the shape."""
        return f"Unflatten({self.unflattened_size})"


def lenet(
    image_shape: Sequence[int] = (1, 8, 8),
    *,
    channels: Sequence[int] = (16, 48),
    kernel_size: int = 3,
    hidden: Sequence[int] = (),
    classes: int = 10,
    pool: str = "max",
    head: str = "flatten",
    weight_init: Initialiser = initialisers.he_normal,
    rng: Seed,
    dtype: DTypeLike = np.float64,
) -> Sequential:
    """Return a network in the manner of LeNet, which takes images as rows and returns logits.

    For each entry of `channels` there are a convolution that keeps the size of the image,
    ReLU, and pooling that halves it; then linear layers with ReLU between them. (LeNet-5
    had kernels of 5 x 5 without padding, average pooling with learned scales, and tanh.)

    Parameters
    ----------
    image_shape : (int, int, int), default (1, 8, 8)
        Channels, height and width of an image.
    channels : sequence of int, default (16, 48)
        Kernels of each convolution.
    kernel_size : int, default 3
        Height and width of all kernels.
    hidden : sequence of int, default ()
        Widths of linear layers before the last one.
    classes : int, default 10
        Number of logits.
    pool : {'max', 'avg'}
        Kind of the pooling.
    head : {'flatten', 'average'}
        What the linear layers see: every pixel of the last maps, or the mean of each map.
    weight_init : callable, default he_normal
        Initialiser of every weight.
    rng : Generator or int
        Source of randomness, or a seed for one.
    dtype : float64 or float32
        Type of the parameters.

    Returns
    -------
    Sequential
        From (N, C H W) to (N, classes).

    Raises
    ------
    ValueError
        If a size is too small, the image too small to be halved that often, or a name not
        one of those listed.

    References
    ----------
    LeCun, Bottou, Bengio & Haffner, Gradient-based learning applied to document
    recognition, Proceedings of the IEEE 86(11), 1998.

    Examples
    --------
    >>> model = lenet(rng=0)
    >>> [type(layer).__name__ for layer in model]
    ['Unflatten', 'Conv2d', 'ReLU', 'MaxPool2d', 'Conv2d', 'ReLU', 'MaxPool2d', 'Flatten', 'Linear']
    >>> model(np.zeros((5, 64))).shape
    (5, 10)
    """
    shape = _sizes("image_shape", image_shape)
    if len(shape) != 3:
        raise ValueError(f"image_shape must be (channels, height, width), got {shape}")
    widths = _sizes("channels", channels)
    make_pool = MaxPool2d if choice("pool", pool, ("max", "avg")) == "max" else AvgPool2d
    choice("head", head, ("flatten", "average"))
    height, width = (n // 2 ** len(widths) for n in shape[1:])
    if min(height, width) == 0:
        raise ValueError(
            f"image_shape must be at least {2 ** len(widths)} pixels high and wide for "
            f"{len(widths)} poolings, got {shape}"
        )
    random = generator("rng", rng)
    layers: list[Layer] = [Unflatten(shape)]
    for n_in, n_out in itertools.pairwise((shape[0], *widths)):
        conv = Conv2d(
            n_in,
            n_out,
            kernel_size,
            padding="same",
            weight_init=weight_init,
            rng=random,
            dtype=dtype,
        )
        layers += [conv, ReLU(), make_pool(2)]
    if head == "average":
        layers.append(AvgPool2d((height, width)))
        height = width = 1
    layers.append(Flatten())
    maps = (shape[0], *widths)[-1]
    features = (maps * height * width, *_sizes("hidden", hidden), integer("classes", classes))
    for n_in, n_out in itertools.pairwise(features):
        layers += [Linear(n_in, n_out, weight_init=weight_init, rng=random, dtype=dtype), ReLU()]
    return Sequential(*layers[:-1])


def equivariance_error(
    layer: Callable[[FloatArray], FloatArray],
    x: ArrayLike,
    shift: tuple[int, int],
    *,
    stride: Size = 1,
    border: Size = 0,
) -> float:
    r"""Return how far a layer is from moving its output when its input moves.

    Implements :eq:`eq-equivariance`: the relative distance (:func:`.relative_error`)
    between the output of the shifted images and the shifted output. Shifts are circular;
    rows and columns that have wrapped round are left out of the comparison, and so are
    `border` more at each edge. Where `shift` is no multiple of `stride` no whole shift of
    the output corresponds to it; the result is then the smallest among the nearest ones.

    Parameters
    ----------
    layer : Layer or callable
        From (N, C, H, W) to (N, C', H', W').
    x : array_like, shape (N, C, H, W)
    shift : (int, int)
        Pixels down and to the right; negative for up and left.
    stride : int or (int, int), default 1
        Input pixels from one output pixel to the next.
    border : int or (int, int), default 0
        Rows and columns at each edge of the output that are not compared, because padding
        or a wrapped pixel reaches them.

    Returns
    -------
    float in [0, 1]
        0 if the layer is equivariant for this shift.

    Raises
    ------
    ValueError
        If nothing would be left to compare.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(1, 1, 12, 12))
    >>> equivariance_error(Conv2d(1, 4, 3, rng=0), x, (0, 2))
    0.0
    >>> equivariance_error(MaxPool2d(2), x, (0, 2), stride=2)
    0.0
    >>> equivariance_error(MaxPool2d(2), x, (0, 1), stride=2) > 0.1
    True
    """
    images = float_array("x", x, ndim=4)
    down, right = (integer(f"shift[{i}]", d, minimum=-(2**31)) for i, d in enumerate(shift))
    steps = _pair("stride", stride)
    margins = _pair("border", border, minimum=0)
    expected = np.asarray(layer(images))
    found = np.asarray(layer(np.roll(images, (down, right), axis=(2, 3))))
    inside: list[slice] = []
    for d, step, margin, size in zip(
        (down, right), steps, margins, expected.shape[2:], strict=True
    ):
        edge = margin + math.ceil(abs(d) / step)
        if 2 * edge >= size:
            raise ValueError(
                f"shift {(down, right)} and border {margins} must leave something to compare, "
                f"got an output of shape {expected.shape}"
            )
        inside.append(slice(edge, size - edge))
    nearest = [
        {math.floor(d / step), math.ceil(d / step)}
        for d, step in zip((down, right), steps, strict=True)
    ]
    region = (slice(None), slice(None), *inside)
    return min(
        relative_error(found[region], np.roll(expected, move, axis=(2, 3))[region])
        for move in itertools.product(*nearest)
    )


def _sizes(name: str, value: Sequence[int]) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{name} must be a tuple of integers, got {value!r}")
    return tuple(integer(f"{name}[{i}]", n) for i, n in enumerate(value))
