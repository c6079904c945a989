r"""Convolution as a matrix product: which matrix it is, and how to multiply by it fast.

A convolution is linear, so it is a product with a matrix: the Toeplitz matrix of the kernel, mostly
zeros. :func:`toeplitz_matrix` and :func:`doubly_block_toeplitz` write it down. The fast way turns
the product round: :func:`im2col` copies the patches of the image into the columns of a dense
matrix, and the kernel becomes a dense matrix with one row for each output channel.
:func:`conv2d` does this, and :func:`conv2d_backward` multiplies by the transposes.

Images have shape (N, C, H, W), kernels (K, C, kh, kw), as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from companion._validation import FloatArray, choice, float_array, integer

#: One number for both axes of an image, or one for the rows and one for the columns.
Size = int | Sequence[int]
#: The same for padding, or the word that says how much.
Padding = int | Sequence[int] | str
#: Zeros before and after the rows, and before and after the columns.
Sides = tuple[tuple[int, int], tuple[int, int]]

#: The columns of as many samples as fit into this many bytes are made at once. That is enough for a
#: long product, and so little that the columns are still in a cache when the product reads them.
CHUNK_BYTES = 4 * 2**20


def conv_output_size(
    size: int,
    kernel_size: int,
    *,
    stride: int = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int = 1,
) -> int:
    r"""Return how many positions a kernel has along one axis.

    Implements :eq:`eq-conv-output-size`.

    Parameters
    ----------
    size : int
        Length of the axis.
    kernel_size : int
        Length of the kernel along it.
    stride : int, default 1
        Step from one position to the next.
    padding : int or (int, int), default 0
        Zeros on each side, or before and after.
    dilation : int, default 1
        Step from one entry of the kernel to the next; 1 leaves no gap.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ValueError
        If an argument is too small, or the kernel is longer than the padded axis.
    TypeError
        If an argument is not an integer.

    Examples
    --------
    >>> conv_output_size(28, 3), conv_output_size(28, 3, padding=1, stride=2)
    (26, 14)
    """
    size = integer("size", size)
    kernel_size = integer("kernel_size", kernel_size)
    stride = integer("stride", stride)
    before, after = _pair("padding", padding, minimum=0)
    span = integer("dilation", dilation) * (kernel_size - 1) + 1
    padded = size + before + after
    if span > padded:
        raise ValueError(
            f"kernel_size must fit: {kernel_size} with dilation {dilation} spans {span}, "
            f"but size {size} with padding {before} + {after} has only {padded}"
        )
    return (padded - span) // stride + 1


def resolve_padding(
    padding: Padding, kernel_size: Size, stride: Size = 1, dilation: Size = 1
) -> Sides:
    """Return how many zeros go above and below, and left and right of an image.

    Parameters
    ----------
    padding : int, (int, int), "same" or "valid"
        Zeros on both sides of both axes, or for rows and for columns. "same"
        keeps the size of the image, "valid" adds nothing.
    kernel_size, stride, dilation : int or (int, int)
        As in :func:`conv2d`.

    Returns
    -------
    ((int, int), (int, int))
        ``(top, bottom), (left, right)``. When "same" needs an odd number of
        zeros, the extra one goes below or to the right, as in PyTorch.

    Raises
    ------
    ValueError
        If "same" is asked for with a stride other than 1, on another word, or a negative number.
    TypeError
        On anything else that is not an integer.

    Examples
    --------
    >>> resolve_padding("same", (3, 4))
    ((1, 1), (1, 2))
    """
    kernel = _pair("kernel_size", kernel_size)
    steps = _pair("stride", stride)
    gaps = _pair("dilation", dilation)
    if not isinstance(padding, str):
        rows, columns = _pair("padding", padding, minimum=0)
        return (rows, rows), (columns, columns)
    if choice("padding", padding, ("same", "valid")) == "valid":
        return (0, 0), (0, 0)
    if steps != (1, 1):
        raise ValueError(f"padding 'same' needs stride 1, got stride {stride!r}")
    total_rows, total_columns = (d * (k - 1) for k, d in zip(kernel, gaps, strict=True))
    return (
        (total_rows // 2, total_rows - total_rows // 2),
        (total_columns // 2, total_columns - total_columns // 2),
    )


def im2col(
    x: ArrayLike,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
) -> FloatArray:
    r"""Copy the patches that a kernel meets into the columns of a matrix.

    Implements :eq:`eq-im2col`.

    Parameters
    ----------
    x : array_like, shape (N, C, H, W)
        Images.
    kernel_size, stride, padding, dilation
        As in :func:`conv2d`.

    Returns
    -------
    ndarray, shape (C * kh * kw, N * Ho * Wo)
        One patch a column: channel by channel, each row by row. Positions run
        over a row of the output first, then its rows, then the samples.

    Raises
    ------
    ValueError
        If `x` does not have four axes, or the kernel does not fit.
    TypeError
        If `x` does not hold real numbers, or a size is not an integer.

    References
    ----------
    Chellapilla, Puri & Simard, High performance convolutional neural networks
    for document processing, IWFHR 2006.

    Examples
    --------
    >>> im2col([[[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]]], 2)
    array([[0., 1.],
           [1., 2.],
           [3., 4.],
           [4., 5.]])
    """
    x = float_array("x", x, ndim=4)
    g = _geometry(x.shape[2:], kernel_size, stride, padding, dilation)
    n, c = x.shape[:2]
    columns = np.empty((c, *g.kernel, n, *g.output), dtype=x.dtype)
    _fill(np.moveaxis(columns, 3, 0), _pad(x, g), g)
    return columns.reshape(c * g.kernel[0] * g.kernel[1], -1)


def col2im(
    columns: ArrayLike,
    input_shape: tuple[int, int, int, int],
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
) -> FloatArray:
    r"""Add each column back to where :func:`im2col` took it from.

    The adjoint of :func:`im2col`, not its inverse: a pixel that stands in
    several columns gets their sum. Implements :eq:`eq-col2im`.

    Parameters
    ----------
    columns : array_like, shape (C * kh * kw, N * Ho * Wo)
    input_shape : (int, int, int, int)
        N, C, H and W of the images.
    kernel_size, stride, padding, dilation
        As in :func:`conv2d`.

    Returns
    -------
    ndarray, shape (N, C, H, W)

    Raises
    ------
    ValueError
        If the shape of `columns` is not that of ``im2col`` of such images.
    TypeError
        If `columns` does not hold real numbers, or a size is not an integer.

    Examples
    --------
    >>> col2im(np.ones((4, 2)), (1, 1, 2, 3), 2)
    array([[[[1., 2., 1.],
             [1., 2., 1.]]]])
    """
    n, c, h, w = (
        integer(f"input_shape[{i}]", size, minimum=0 if i == 0 else 1)
        for i, size in enumerate(_four("input_shape", input_shape))
    )
    g = _geometry((h, w), kernel_size, stride, padding, dilation)
    shape = (c * g.kernel[0] * g.kernel[1], n * g.output[0] * g.output[1])
    array = float_array("columns", columns, shape=shape)
    images = _col2im(np.moveaxis(array.reshape(c, *g.kernel, n, *g.output), 3, 0), g)
    return np.ascontiguousarray(images)


def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> FloatArray:
    r"""Slide kernels over images, as PyTorch's ``conv2d`` does: a cross-correlation.

    Implements :eq:`eq-conv2d` as one matrix product for each group of channels
    and sample, :eq:`eq-conv-im2col`. The columns are made for a few samples at
    a time (``CHUNK_BYTES``), so memory does not grow with the batch.

    Parameters
    ----------
    x : array_like, shape (N, C, H, W)
        Images; N may be 0.
    weight : array_like, shape (K, C / groups, kh, kw)
        One kernel for each output channel, of the dtype of `x`.
    bias : array_like, shape (K,), optional
        Added to every pixel of an output channel.
    stride : int or (int, int), default 1
        Step from one position of the kernel to the next.
    padding : int, (int, int), "same" or "valid", default 0
        Zeros around the image, see :func:`resolve_padding`.
    dilation : int or (int, int), default 1
        Step from one entry of the kernel to the next.
    groups : int, default 1
        Number of groups of channels that do not see each other; it divides C and K.

    Returns
    -------
    ndarray, shape (N, K, Ho, Wo)
        Ho and Wo are given by :func:`conv_output_size`.

    Raises
    ------
    ValueError
        If shapes or groups do not fit, or the kernel is larger than the padded image.
    TypeError
        If the dtypes differ, or a size is not an integer.

    Examples
    --------
    >>> conv2d([[[[0.0, 1.0, 3.0, 6.0]]]], [[[[-1.0, 1.0]]]])
    array([[[[1., 2., 3.]]]])
    """
    x, weight, groups = _operands(x, weight, groups)
    g = _geometry(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    return _plus(_product(x, weight, g, groups), _bias(bias, len(weight), x))


def conv2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Return the gradients of :func:`conv2d`: products with the transposed matrices.

    Implements :eq:`eq-conv-gradients`. The columns are made again rather than
    kept since the forward pass, where they would take kh * kw times the memory of `x`.

    Parameters
    ----------
    grad_output : array_like, shape (N, K, Ho, Wo)
        Gradient with respect to the output, of the dtype of `x`.
    x, weight, stride, padding, dilation, groups
        As in the forward pass.

    Returns
    -------
    grad_x : ndarray, shape (N, C, H, W)
    grad_weight : ndarray, shape (K, C / groups, kh, kw)
    grad_bias : ndarray, shape (K,)

    Raises
    ------
    ValueError
        If the shapes are not those of a forward pass.
    TypeError
        If the dtypes differ, or a size is not an integer.

    Examples
    --------
    >>> x = np.arange(4.0).reshape(1, 1, 1, 4)
    >>> for gradient in conv2d_backward(np.ones((1, 1, 1, 3)), x, [[[[-1.0, 1.0]]]]):
    ...     print(gradient.ravel())
    [-1.  0.  0.  1.]
    [3. 6.]
    [3.]
    """
    x, weight, groups = _operands(x, weight, groups)
    g = _geometry(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    grad = _like(x, "grad_output", grad_output, shape=(len(x), len(weight), *g.output))
    return (
        _transposed_product(grad, weight, g, groups),
        _weight_gradient(grad, x, weight, g, groups),
        grad.sum(axis=(0, 2, 3)),
    )


def conv_transpose2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> FloatArray:
    r"""Multiply by the transpose of a convolution's matrix, as PyTorch's ``conv_transpose2d``.

    Every input pixel adds a copy of its kernel to the output. With a stride
    above 1 the output is larger than the input. It does not undo :func:`conv2d`;
    it goes back from the shape of its output to the shape of its input.
    Implements :eq:`eq-transposed-size` for the height and the width.

    Parameters
    ----------
    x : array_like, shape (N, C, H, W)
        What would be the output of the convolution.
    weight : array_like, shape (C, K / groups, kh, kw)
        The kernels of the convolution, with its output channels first.
    bias : array_like, shape (K,), optional
    stride, dilation : int or (int, int), default 1
        Those of the convolution.
    padding : int or (int, int), default 0
        That of the convolution; so many rows and columns are cut off on each side.
    output_padding : int or (int, int), default 0
        Rows and columns more at the bottom and the right. A convolution with a stride
        has one output size for several input sizes; this says which is meant.
    groups : int, default 1

    Returns
    -------
    ndarray, shape (N, K, Ho, Wo)

    Raises
    ------
    ValueError
        If shapes or groups do not fit, nothing is left after the padding is cut off, or
        `output_padding` is not smaller than the stride or the dilation.
    TypeError
        If the dtypes differ, or a size is not an integer.

    References
    ----------
    Dumoulin & Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285, 2016.

    Examples
    --------
    >>> conv_transpose2d([[[[1.0, 2.0]]]], [[[[1.0, 10.0, 100.0]]]], stride=(1, 2))
    array([[[[  1.,  10., 102.,  20., 200.]]]])
    """
    x, weight, groups = _transposed_operands(x, weight, groups)
    g = _transposed_geometry(x, weight, stride, padding, output_padding, dilation)
    out = _transposed_product(x, weight, g, groups)
    return _plus(out, _bias(bias, groups * weight.shape[1], x))


def conv_transpose2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    *,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Return the gradients of :func:`conv_transpose2d`.

    The transpose of a transpose is the matrix: `grad_x` is a convolution of `grad_output`.

    Parameters
    ----------
    grad_output : array_like, shape (N, K, Ho, Wo)
        Gradient with respect to the output, of the dtype of `x`.
    x, weight, stride, padding, output_padding, dilation, groups
        As in the forward pass.

    Returns
    -------
    grad_x : ndarray, shape (N, C, H, W)
    grad_weight : ndarray, shape (C, K / groups, kh, kw)
    grad_bias : ndarray, shape (K,)

    Raises
    ------
    ValueError
        If the shapes are not those of a forward pass.
    TypeError
        If the dtypes differ, or a size is not an integer.

    Examples
    --------
    >>> grad = [[[[1.0, 2.0, 3.0]]]]
    >>> for gradient in conv_transpose2d_backward(grad, [[[[1.0, 1.0]]]], [[[[-1.0, 1.0]]]]):
    ...     print(gradient.ravel())
    [1. 1.]
    [3. 5.]
    [6.]
    """
    x, weight, groups = _transposed_operands(x, weight, groups)
    g = _transposed_geometry(x, weight, stride, padding, output_padding, dilation)
    shape = (len(x), groups * weight.shape[1], *g.size)
    grad = _like(x, "grad_output", grad_output, shape=shape)
    return (
        _product(grad, weight, g, groups),
        _weight_gradient(x, grad, weight, g, groups),
        grad.sum(axis=(0, 2, 3)),
    )


def toeplitz_matrix(
    kernel: ArrayLike,
    length: int,
    *,
    stride: int = 1,
    padding: int | str = 0,
    dilation: int = 1,
) -> FloatArray:
    r"""Return the matrix whose product with a signal is the correlation with a kernel.

    Implements :eq:`eq-toeplitz`. With stride 1 the entries depend on column
    minus row only: a Toeplitz matrix.

    Parameters
    ----------
    kernel : array_like, shape (k,)
    length : int
        Length n of the signal.
    stride, dilation : int, default 1
    padding : int, "same" or "valid", default 0
        Zeros on each side of the signal. They have no column in the matrix.

    Returns
    -------
    ndarray, shape (number of positions, length)
        Dense, of the dtype of `kernel`.

    Raises
    ------
    ValueError
        If `kernel` is empty, does not have one axis, or does not fit.
    TypeError
        If a size is not an integer.

    Examples
    --------
    >>> toeplitz_matrix([1.0, 2.0, 3.0], 5)
    array([[1., 2., 3., 0., 0.],
           [0., 1., 2., 3., 0.],
           [0., 0., 1., 2., 3.]])
    """
    kernel = float_array("kernel", kernel, ndim=1)
    length = integer("length", length)
    if kernel.size == 0:
        raise ValueError("kernel must not be empty")
    matrix = doubly_block_toeplitz(
        kernel[None],
        (1, length),
        # A signal is an image of one row, above and below which there is nothing.
        stride=(1, stride),
        padding=padding if isinstance(padding, str) else (0, padding),
        dilation=(1, dilation),
    )
    return np.asarray(matrix.toarray())


def doubly_block_toeplitz(
    weight: ArrayLike,
    size: Sequence[int],
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
) -> sparse.csr_array:
    r"""Return the matrix whose product with a flattened image is :func:`conv2d` of the image.

    Implements :eq:`eq-doubly-block-toeplitz`. With one channel and stride 1 it
    is a Toeplitz matrix of blocks, one for each pair of rows, and each block is
    the Toeplitz matrix of a row of the kernel. With more channels there is one
    such matrix for each pair of output and input channel.

    Parameters
    ----------
    weight : array_like, shape (kh, kw) or (K, C, kh, kw)
        One kernel, or those of a layer.
    size : (int, int)
        Height and width of the image.
    stride, padding, dilation
        As in :func:`conv2d`.

    Returns
    -------
    scipy.sparse.csr_array, shape (K * Ho * Wo, C * H * W)
        Each row stores the entries of the kernel that meet a pixel, zeros among them too. Use
        ``.toarray()`` for small images.

    Raises
    ------
    ValueError
        If `weight` has another number of axes or none of some channel, or does not fit.
    TypeError
        If a size is not an integer.

    Examples
    --------
    >>> matrix = doubly_block_toeplitz([[1.0, 2.0], [3.0, 4.0]], (2, 3))
    >>> matrix.toarray()
    array([[1., 2., 0., 3., 4., 0.],
           [0., 1., 2., 0., 3., 4.]])
    """
    weight = float_array("weight", weight)
    if weight.ndim not in (2, 4) or weight.size == 0:
        raise ValueError(
            f"weight must have shape (kh, kw) or (K, C, kh, kw), none of them 0, got {weight.shape}"
        )
    weight = weight if weight.ndim == 4 else weight[None, None]
    h, w = _pair("size", size)
    g = _geometry((h, w), weight.shape[2:], stride, padding, dilation)
    k, c = weight.shape[:2]
    # Patches of the pixels' own numbers say which pixel each entry of a kernel meets;
    # 0 stands for the padding.
    pixels = np.arange(1, c * h * w + 1).reshape(1, c, h, w)
    met = _im2col(pixels, g).reshape(weight[0].size, -1)
    shape = (k, *met.shape)
    rows = np.arange(k * met.shape[1]).reshape(k, 1, -1)
    inside = np.broadcast_to(met > 0, shape)
    entries = np.broadcast_to(weight.reshape(k, -1, 1), shape)[inside]
    places = (np.broadcast_to(rows, shape)[inside], np.broadcast_to(met - 1, shape)[inside])
    return sparse.coo_array((entries, places), shape=(rows.size, pixels.size)).tocsr()


class _Geometry(NamedTuple):
    """Where a kernel meets an image: all sizes resolved to pairs, rows first."""

    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Sides
    dilation: tuple[int, int]
    output: tuple[int, int]

    def met_by(self, entry: tuple[int, int]) -> tuple[slice, slice]:
        """Return the pixels of the padded image that one entry of the kernel meets."""
        rows, columns = (
            slice(d * i, d * i + s * (n - 1) + 1, s)
            for i, d, s, n in zip(entry, self.dilation, self.stride, self.output, strict=True)
        )
        return rows, columns


def _geometry(
    size: Sequence[int], kernel_size: Size, stride: Size, padding: Padding, dilation: Size
) -> _Geometry:
    kernel, steps = _pair("kernel_size", kernel_size), _pair("stride", stride)
    gaps = _pair("dilation", dilation)
    sides = resolve_padding(padding, kernel, steps, gaps)
    height, width = (
        conv_output_size(n, k, stride=s, padding=p, dilation=d)
        for n, k, s, p, d in zip(size, kernel, steps, sides, gaps, strict=True)
    )
    return _Geometry((size[0], size[1]), kernel, steps, sides, gaps, (height, width))


def _transposed_geometry(
    x: FloatArray,
    weight: FloatArray,
    stride: Size,
    padding: Size,
    output_padding: Size,
    dilation: Size,
) -> _Geometry:
    """Return the geometry of the convolution whose output would have the shape of `x`."""
    kernel = (weight.shape[2], weight.shape[3])
    steps, gaps = _pair("stride", stride), _pair("dilation", dilation)
    cut = _pair("padding", padding, minimum=0)
    extra = _pair("output_padding", output_padding, minimum=0)
    if any(e >= max(s, d) for e, s, d in zip(extra, steps, gaps, strict=True)):
        raise ValueError(
            f"output_padding must be smaller than stride or dilation, got {extra} "
            f"with stride {steps} and dilation {gaps}"
        )
    height, width = (
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, k, s, p, d, e in zip(x.shape[2:], kernel, steps, cut, gaps, extra, strict=True)
    )
    if min(height, width) < 1:
        raise ValueError(f"padding {cut} leaves an output of size ({height}, {width})")
    sides = ((cut[0], cut[0]), (cut[1], cut[1]))
    output = (x.shape[2], x.shape[3])
    return _Geometry((height, width), kernel, steps, sides, gaps, output)


def _pad(x: NDArray[Any], g: _Geometry) -> NDArray[Any]:
    (top, bottom), (left, right) = g.padding
    if not (top or bottom or left or right):
        return x
    h, w = g.size
    # Much faster than np.pad for small images.
    padded = np.zeros((*x.shape[:2], top + h + bottom, left + w + right), dtype=x.dtype)
    padded[:, :, top : top + h, left : left + w] = x
    return padded


def _fill(columns: NDArray[Any], padded: NDArray[Any], g: _Geometry) -> None:
    """Write the patches of (n, C, ...) images to columns (n, C, kh, kw, Ho, Wo)."""
    for i, j in np.ndindex(*g.kernel):
        columns[:, :, i, j] = padded[:, :, *g.met_by((i, j))]


def _im2col(x: NDArray[Any], g: _Geometry) -> NDArray[Any]:
    """Return the patches as an array (n, C, kh, kw, Ho, Wo)."""
    padded = _pad(x, g)
    if g.kernel == (1, 1) and g.output == padded.shape[2:]:
        return padded[:, :, None, None]  # The patches are the pixels: nothing to copy.
    columns = np.empty((*x.shape[:2], *g.kernel, *g.output), dtype=x.dtype)
    _fill(columns, padded, g)
    return columns


def _col2im(columns: FloatArray, g: _Geometry) -> FloatArray:
    """Add columns (n, C, kh, kw, Ho, Wo) up to images (n, C, H, W)."""
    (top, bottom), (left, right) = g.padding
    h, w = g.size
    shape = (*columns.shape[:2], top + h + bottom, left + w + right)
    padded = np.zeros(shape, dtype=columns.dtype)
    for i, j in np.ndindex(*g.kernel):
        padded[:, :, *g.met_by((i, j))] += columns[:, :, i, j]
    return padded[:, :, top : top + h, left : left + w]


def _product(x: FloatArray, weight: FloatArray, g: _Geometry, groups: int) -> FloatArray:
    k, length = len(weight), g.output[0] * g.output[1]
    out = np.empty((len(x), groups, k // groups, length), dtype=x.dtype)
    matrix = weight.reshape(groups, k // groups, -1)
    shape = (-1, groups, matrix.shape[2], length)
    for part in _chunks(len(x), groups * matrix.shape[2] * length * x.itemsize):
        columns = _im2col(x[part], g).reshape(shape)
        np.matmul(matrix, columns, out=out[part])
    return out.reshape(len(x), k, *g.output)


def _transposed_product(
    grad: FloatArray, weight: FloatArray, g: _Geometry, groups: int
) -> FloatArray:
    k, length = len(weight), g.output[0] * g.output[1]
    c = groups * weight.shape[1]
    out = np.empty((len(grad), c, *g.size), dtype=grad.dtype)
    matrix = weight.reshape(groups, k // groups, -1).swapaxes(1, 2)
    rows = grad.reshape(len(grad), groups, k // groups, length)
    for part in _chunks(len(grad), matrix.size * length // (k // groups) * grad.itemsize):
        columns = np.matmul(matrix, rows[part])
        out[part] = _col2im(columns.reshape(-1, c, *g.kernel, *g.output), g)
    return out


def _weight_gradient(
    grad: FloatArray, x: FloatArray, weight: FloatArray, g: _Geometry, groups: int
) -> FloatArray:
    k, length = len(weight), g.output[0] * g.output[1]
    total = np.zeros((groups, k // groups, weight[0].size), dtype=x.dtype)
    rows = grad.reshape(len(grad), groups, k // groups, length)
    # The products of a chunk stand side by side before they are summed; they count, too.
    largest = groups * weight[0].size * max(length, k // groups)
    for part in _chunks(len(x), largest * x.itemsize):
        columns = _im2col(x[part], g).reshape(-1, groups, weight[0].size, length)
        total += np.matmul(rows[part], columns.swapaxes(2, 3)).sum(axis=0)
    return total.reshape(weight.shape)


def _chunks(samples: int, bytes_per_sample: int) -> Iterator[slice]:
    step = max(1, CHUNK_BYTES // bytes_per_sample)
    for start in range(0, samples, step):
        yield slice(start, start + step)


def _pair(name: str, value: Any, *, minimum: int = 1) -> tuple[int, int]:
    """Return one integer twice, or two integers as they are."""
    if isinstance(value, str) or not isinstance(value, (Sequence, np.ndarray)):
        number = integer(name, value, minimum=minimum)
        return number, number
    if len(value) != 2:
        raise ValueError(f"{name} must be an integer or two of them, got {value!r}")
    return integer(name, value[0], minimum=minimum), integer(name, value[1], minimum=minimum)


def _four(name: str, value: Sequence[int]) -> Sequence[int]:
    if len(value) != 4:
        raise ValueError(f"{name} must be (N, C, H, W), got {value!r}")
    return value


def _operands(x: ArrayLike, weight: ArrayLike, groups: int) -> tuple[FloatArray, FloatArray, int]:
    x, weight, groups = _images_and_kernels(x, weight, groups)
    if x.shape[1] != groups * weight.shape[1]:
        raise ValueError(
            f"x must have {groups * weight.shape[1]} channels for weight {weight.shape} "
            f"and groups={groups}, got shape {x.shape}"
        )
    return x, weight, groups


def _transposed_operands(
    x: ArrayLike, weight: ArrayLike, groups: int
) -> tuple[FloatArray, FloatArray, int]:
    x, weight, groups = _images_and_kernels(x, weight, groups)
    if x.shape[1] != len(weight):
        raise ValueError(
            f"x must have {len(weight)} channels for weight {weight.shape}, got shape {x.shape}"
        )
    return x, weight, groups


def _images_and_kernels(
    x: ArrayLike, weight: ArrayLike, groups: int
) -> tuple[FloatArray, FloatArray, int]:
    x = float_array("x", x, ndim=4)
    weight = _like(x, "weight", weight, ndim=4)
    groups = integer("groups", groups)
    if weight.size == 0:
        raise ValueError(f"weight must not be empty, got shape {weight.shape}")
    if len(weight) % groups:
        raise ValueError(
            f"groups must divide the first axis of weight, got groups={groups} "
            f"and shape {weight.shape}"
        )
    return x, weight, groups


def _like(x: FloatArray, name: str, value: ArrayLike, **wanted: Any) -> FloatArray:
    array = float_array(name, value, **wanted)
    if array.dtype != x.dtype:
        raise TypeError(f"{name} must be {x.dtype} like x, got {array.dtype}")
    return array


def _bias(bias: ArrayLike | None, channels: int, x: FloatArray) -> FloatArray | None:
    return None if bias is None else _like(x, "bias", bias, shape=(channels,))


def _plus(out: FloatArray, bias: FloatArray | None) -> FloatArray:
    if bias is not None:
        out += bias[:, None, None]
    return out
