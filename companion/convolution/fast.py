"""The same convolution with fewer multiplications: Winograd's algorithm and the Fourier transform.

As in PyTorch, a convolution does not flip the kernel. Stride and dilation are 1 here: a fast
algorithm shares work between neighbouring outputs, and a stride throws neighbours away.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy import fft

from companion._validation import FloatArray, choice, float_array, float_dtype, integer, real
from companion.convolution.matrix_product import Padding, _Geometry, _geometry, _operands, _pad

Matrix = tuple[tuple[Fraction, ...], ...]
"""A matrix of exact fractions, row by row."""

Array = NDArray[np.inexact[Any]]

# About half of a core's second-level cache: the transformed tiles are written, multiplied and
# transformed back before they leave it.
_CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class WinogradTransforms:
    r"""The three matrices of a fast filter with `m` outputs and `r` taps, exactly.

    Attributes
    ----------
    at : tuple of tuples of Fraction, shape (m, m + r - 1)
        :math:`A^\top`, from products to outputs.
    g : tuple of tuples of Fraction, shape (m + r - 1, r)
        :math:`G`, applied to the kernel.
    bt : tuple of tuples of Fraction, shape (m + r - 1, m + r - 1)
        :math:`B^\top`, applied to the data.
    """

    at: Matrix
    g: Matrix
    bt: Matrix

    def as_arrays(self, dtype: DTypeLike = np.float64) -> tuple[FloatArray, FloatArray, FloatArray]:
        r"""Return :math:`A^\top`, :math:`G` and :math:`B^\top`, each entry rounded once.

        Parameters
        ----------
        dtype : float64 or float32

        Returns
        -------
        tuple of ndarray

        Raises
        ------
        TypeError
            On another dtype.
        """
        kind = float_dtype("dtype", dtype)
        at, g, bt = (
            np.array([[float(entry) for entry in row] for row in matrix], dtype=kind)
            for matrix in (self.at, self.g, self.bt)
        )
        return at, g, bt


def winograd_points(count: int) -> tuple[Fraction, ...]:
    """Return the interpolation points used by default: 0, 1, -1, 2, -2, 1/2, -1/2, 3, ...

    Small numbers and their reciprocals keep the entries of the transforms small.

    Parameters
    ----------
    count : int
        How many, 0 or more.

    Returns
    -------
    tuple of Fraction

    Raises
    ------
    ValueError
        If `count` is negative.

    Examples
    --------
    >>> [str(point) for point in winograd_points(6)]
    ['0', '1', '-1', '2', '-2', '1/2']
    """
    number = integer("count", count, minimum=0)
    points = [Fraction(0), Fraction(1), Fraction(-1)]
    for n in range(2, number // 4 + 3):
        points += [Fraction(n), Fraction(-n), Fraction(1, n), Fraction(-1, n)]
    return tuple(points[:number])


def winograd_transforms(
    outputs: int, taps: int, *, points: Sequence[float | Fraction] | None = None
) -> WinogradTransforms:
    r"""Derive the transforms of the fast filter F(m, r) by polynomial interpolation.

    Implements :eq:`eq-cook-toom`. With the points :math:`a_i`, the polynomials
    :math:`M_i(x) = \prod_{j \ne i} (x - a_j)` and :math:`M(x) = \prod_j (x - a_j)`, row `i` of
    :math:`B^\top` holds the coefficients of :math:`M_i` times the sign of :math:`M_i(a_i)`,
    row `i` of :math:`G` the powers of :math:`a_i` over :math:`\lvert M_i(a_i) \rvert`, and
    column `i` of :math:`A^\top` the powers of :math:`a_i`. The last of the m + r - 1 points is
    always infinity: its powers are 0, ..., 0, 1, and its row of :math:`B^\top` holds the
    coefficients of :math:`M`.

    Parameters
    ----------
    outputs : int
        Number `m` of outputs of one tile.
    taps : int
        Number `r` of entries of the kernel.
    points : sequence of m + r - 2 different numbers, optional
        The finite points; by default :func:`winograd_points`. A float counts as the fraction
        that it is exactly.

    Returns
    -------
    WinogradTransforms

    Raises
    ------
    ValueError
        On a size below 1, or points that are too few, too many, repeated or not finite.
    TypeError
        On sizes that are not integers, or points that are not real numbers.

    References
    ----------
    Toom (Soviet Math. Doklady 3, 1963), Cook (thesis, Harvard, 1966); Winograd, *Arithmetic
    Complexity of Computations* (SIAM, 1980), proves that no algorithm needs fewer
    multiplications; Lavin & Gray (CVPR 2016) bring it to networks.

    Examples
    --------
    >>> at, g, bt = winograd_transforms(2, 3).as_arrays()
    >>> bt
    array([[ 1.,  0., -1.,  0.],
           [ 0.,  1.,  1.,  0.],
           [ 0., -1.,  1.,  0.],
           [ 0., -1.,  0.,  1.]])
    """
    m, r = integer("outputs", outputs), integer("taps", taps)
    if points is None:
        return _cook_toom(m, r, winograd_points(m + r - 2))
    exact = tuple(_exact(f"points[{i}]", point) for i, point in enumerate(points))
    if len(exact) != m + r - 2:
        raise ValueError(f"points must hold {m + r - 2} numbers for F({m}, {r}), got {len(exact)}")
    if len(set(exact)) < len(exact):
        raise ValueError(f"points must differ, got {', '.join(map(str, exact))}")
    return _cook_toom(m, r, exact)


def _exact(name: str, point: float | Fraction) -> Fraction:
    return point if isinstance(point, Fraction) else Fraction(real(name, point))


@lru_cache(maxsize=64)
def _cook_toom(
    m: int,
    r: int,
    points: tuple[Fraction, ...],
) -> WinogradTransforms:
    bt, g = [], []
    for point in points:
        others = [other for other in points if other != point]
        # The divisor goes to the kernel, its sign to the data.
        differences = [point - other for other in others]
        scale = math.prod(differences, start=Fraction(1))
        sign = 1 if scale > 0 else -1
        bt.append((*(sign * entry for entry in _product(others)), Fraction(0)))
        g.append(tuple(power / abs(scale) for power in _powers(point, r)))
    at = [_powers(point, m) for point in points]
    bt.append(_product(points))
    g.append(_powers(None, r))
    at.append(_powers(None, m))
    transposed = tuple(zip(*at, strict=True))
    return WinogradTransforms(transposed, tuple(g), tuple(bt))


def _product(roots: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """Return the coefficients of the product of all (x - root), constant first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        lowered = [*(root * entry for entry in coefficients), Fraction(0)]
        coefficients = [a - b for a, b in zip(shifted, lowered, strict=True)]
    return tuple(coefficients)


def _powers(point: Fraction | None, count: int) -> tuple[Fraction, ...]:
    """Return 1, a, a^2, ...; at infinity, None, only the highest power counts."""
    if point is None:
        return (*[Fraction(0)] * (count - 1), Fraction(1))
    return tuple(point**k for k in range(count))


def winograd_filter(
    d: ArrayLike, g: ArrayLike, *, points: Sequence[float | Fraction] | None = None
) -> FloatArray:
    r"""Return the outputs of one tile, with one multiplication for each entry of `d`.

    Implements :eq:`eq-winograd`, :math:`y = A^\top [(G g) \odot (B^\top d)]`.

    Parameters
    ----------
    d : array_like, shape (m + r - 1,)
        Data.
    g : array_like, shape (r,)
        Kernel.
    points : sequence of m + r - 2 numbers, optional
        See :func:`winograd_transforms`.

    Returns
    -------
    ndarray, shape (m,)
        ``y[i] = sum(g[k] * d[i + k])``, as ``np.correlate(d, g)``.

    Raises
    ------
    ValueError
        If an argument is empty or not one-dimensional, or `d` is shorter than `g`.

    Examples
    --------
    >>> winograd_filter([1, 2, 3, 4], [1, 0, 2])
    array([ 7., 10.])
    """
    data, kernel = float_array("d", d, ndim=1), float_array("g", g, ndim=1)
    if not 1 <= kernel.size <= data.size:
        raise ValueError(
            f"g must have at least one entry and no more than d, got {kernel.size} and {data.size}"
        )
    dtype = np.result_type(data, kernel)
    transforms = winograd_transforms(data.size - kernel.size + 1, kernel.size, points=points)
    at, gt, bt = transforms.as_arrays(dtype)
    return np.asarray(at @ ((gt @ kernel) * (bt @ data)))


def direct_conv2d(x: ArrayLike, weight: ArrayLike, *, padding: Padding = 0) -> FloatArray:
    """Return the convolution as its definition says: one product for each tap, added up.

    Each tap is a (K, C) matrix that multiplies the image shifted to the place of the tap.
    It is the yardstick of the other functions; no column matrix is built.

    Parameters
    ----------
    x : array_like, shape (N, C, H, W)
        Images; N may be 0.
    weight : array_like, shape (K, C, kh, kw)
        Kernels, of the dtype of `x`.
    padding : int, (int, int), "same" or "valid", default 0
        Zeros around the images, see :func:`.resolve_padding`.

    Returns
    -------
    ndarray, shape (N, K, Ho, Wo)

    Raises
    ------
    ValueError
        If shapes do not fit, or the kernel is larger than the padded image.
    TypeError
        If the dtypes differ.

    Examples
    --------
    >>> direct_conv2d(np.ones((1, 1, 3, 4)), np.ones((1, 1, 2, 2)))[0, 0]
    array([[4., 4., 4.],
           [4., 4., 4.]])
    """
    x, weight, g = _checked(x, weight, padding)
    padded = _pad(x, g)
    out = np.zeros((len(x), len(weight), math.prod(g.output)), dtype=x.dtype)
    for i, j in np.ndindex(*g.kernel):
        shifted = padded[:, :, *g.met_by((i, j))]
        out += weight[:, :, i, j] @ shifted.reshape(*x.shape[:2], math.prod(g.output))
    return out.reshape(len(x), len(weight), *g.output)


def winograd_conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    *,
    tile: int = 4,
    padding: Padding = 0,
    points: Sequence[float | Fraction] | None = None,
) -> FloatArray:
    r"""Return the convolution by Winograd's algorithm F(m x m, r x r).

    Implements :eq:`eq-winograd-tiles`. The output is cut into tiles of m x m pixels; where they
    do not come out even, the image is padded with zeros and the result cropped. The products
    of all tiles and channels are :math:`(m + r - 1)^2` matrix products, one for each
    place in a transformed tile.

    Parameters
    ----------
    x : array_like, shape (N, C, H, W)
        Images; N may be 0.
    weight : array_like, shape (K, C, r, r)
        Kernels, square, of the dtype of `x`.
    tile : int, default 4
        Outputs `m` along each side of a tile. Up to 6 single precision loses about one digit,
        above 6 two or more.
    padding : int, (int, int), "same" or "valid", default 0
        Zeros around the images, see :func:`.resolve_padding`.
    points : sequence of m + r - 2 numbers, optional
        See :func:`winograd_transforms`.

    Returns
    -------
    ndarray, shape (N, K, Ho, Wo)

    Raises
    ------
    ValueError
        If shapes do not fit, the kernel is not square or larger than the padded image,
        `tile` is below 1, or the points do not fit.
    TypeError
        If the dtypes differ, or `tile` is not an integer.

    Notes
    -----
    A NaN or infinity in the image spoils the whole tiles that it is in.

    References
    ----------
    Lavin & Gray, CVPR 2016, arXiv:1509.09308.

    Examples
    --------
    >>> winograd_conv2d(np.ones((1, 2, 5, 5)), np.ones((1, 2, 3, 3)), tile=2)[0, 0]
    array([[18., 18., 18.],
           [18., 18., 18.],
           [18., 18., 18.]])
    """
    x, weight, geometry = _checked(x, weight, padding)
    m, r = _tile(tile, geometry)
    at, g, bt = winograd_transforms(m, r, points=points).as_arrays(x.dtype)
    (samples, channels), kernels = x.shape[:2], len(weight)
    down, across = (-(-size // m) for size in geometry.output)

    matrices = _along_both(g, g, weight.transpose(3, 2, 0, 1))
    matrices = matrices.reshape(-1, kernels, channels)
    padded = _grown(x, geometry, (m * down + r - 1, m * across + r - 1))
    out = np.empty((samples, kernels, m * down, m * across), dtype=x.dtype)
    row_bytes = len(matrices) * channels * across * x.itemsize
    for part, rows in _chunks(samples, down, row_bytes):
        strip = padded[:, part, m * rows.start : m * rows.stop + r - 1]
        # Rows first: the columns that two tiles share are transformed once.
        half = _along_first(bt, _windows(strip, 2, m, len(bt)))
        tiles = _along_first(bt, _windows(half, 4, m, len(bt)))
        products = matrices @ tiles.reshape(len(matrices), channels, -1)
        outputs = _along_both(at, at, products.reshape(*bt.shape, kernels, -1))
        # Column and row in a tile, kernel, sample, row and column of tiles:
        high = rows.stop - rows.start
        outputs = outputs.reshape(m, m, kernels, -1, high, across)
        outputs = outputs.transpose(3, 2, 4, 1, 5, 0)
        place = out[part, :, m * rows.start : m * rows.stop]
        place[...] = outputs.reshape(place.shape)
    height, width = geometry.output
    return np.ascontiguousarray(out[:, :, :height, :width])


def fft_conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    *,
    padding: Padding = 0,
) -> FloatArray:
    r"""Return the convolution by the Fourier transform.

    Implements :eq:`eq-correlation-theorem`: the spectra of images and kernels are multiplied
    frequency by frequency, those of the kernels conjugated. The products of all channels are one
    complex matrix product for each frequency.

    Parameters
    ----------
    x : array_like, shape (N, C, H, W)
        Images; N may be 0.
    weight : array_like, shape (K, C, kh, kw)
        Kernels, of the dtype of `x`.
    padding : int, (int, int), "same" or "valid", default 0
        Zeros around the images, see :func:`.resolve_padding`.

    Returns
    -------
    ndarray, shape (N, K, Ho, Wo)

    Raises
    ------
    ValueError
        If shapes do not fit, or the kernel is larger than the padded image.
    TypeError
        If the dtypes differ.

    Notes
    -----
    A NaN or infinity in an image spoils all outputs of this image.

    References
    ----------
    Cooley & Tukey, Math. Comp. 19, 1965; Mathieu, Henaff & LeCun, arXiv:1312.5851, 2014.

    Examples
    --------
    >>> fft_conv2d(np.ones((1, 2, 4, 4)), np.ones((1, 2, 3, 3))).round(6)[0, 0]
    array([[18., 18.],
           [18., 18.]])
    """
    x, weight, geometry = _checked(x, weight, padding)
    out = np.empty((len(x), len(weight), *geometry.output), dtype=x.dtype)
    if not len(x):
        return out  # scipy.fft refuses an array without entries.
    # What wraps round falls on outputs where the kernel would leave
    # the image; they are cropped.
    size = _fft_size(geometry)
    spectra = fft.rfft2(_grown(x, geometry, size))
    spectra = spectra.reshape(*spectra.shape[:2], -1)
    images = np.ascontiguousarray(spectra.transpose(2, 0, 1))
    # A kernel has few rows and columns, so plain Fourier matrices are fast
    # enough, and the products find its spectrum in the order that they want.
    down, across = _fourier_matrices(geometry.kernel, size, x.dtype)
    height, width = geometry.output
    step = max(1, _CHUNK_BYTES // (images.itemsize * len(images) * x.shape[1]))
    for start in range(0, len(weight), step):
        some = weight[start : start + step]
        matrices = _along_both(down, across, some.transpose(2, 3, 0, 1))
        products = matrices.reshape(len(images), *some.shape[:2]) @ images
        products = np.ascontiguousarray(products.transpose(2, 1, 0))
        products = products.reshape(len(x), len(some), size[0], -1)
        full = fft.irfft2(products, size)
        out[:, start : start + step] = full[:, :, :height, :width]
    return out


@dataclass(frozen=True)
class OperationCount:
    """Operations on real numbers that a convolution needs.

    Attributes
    ----------
    multiplications : int
        Products of something of the image and something of the kernel. Each is added to a sum.
    transforms : int
        Additions, and multiplications by constants, of all transforms.
    """

    multiplications: int
    transforms: int

    @property
    def total(self) -> int:
        """Multiplications, as many additions, and the transforms."""
        return 2 * self.multiplications + self.transforms


def operation_count(
    method: str,
    x_shape: Sequence[int],
    weight_shape: Sequence[int],
    *,
    padding: Padding = 0,
    tile: int = 4,
) -> OperationCount:
    r"""Count the operations of one convolution.

    Parameters
    ----------
    method : {"direct", "winograd", "fft"}
        The matrix product of :func:`.conv2d` counts as "direct": it copies
        more, but it multiplies the same numbers.
    x_shape : (int, int, int, int)
        N, C, H, W.
    weight_shape : (int, int, int, int)
        K, C, kh, kw; for "winograd" kh = kw.
    padding : int, (int, int), "same" or "valid", default 0
    tile : int, default 4
        For "winograd", the outputs along each side of a tile.

    Returns
    -------
    OperationCount
        For "winograd", a row of a transform with `n` entries that are not zero counts
        n - 1 additions, and one multiplication for each that is not 1 or -1 either. For "fft",
        a product of complex numbers counts four multiplications, and a transform of
        `n` real numbers the customary :math:`2.5\, n \log_2 n` operations.

    Raises
    ------
    ValueError
        If the method is unknown, or the shapes do not fit.
    TypeError
        If a size is not an integer.

    Examples
    --------
    >>> operation_count("direct", (1, 1, 4, 4), (1, 1, 3, 3)).multiplications
    36
    >>> operation_count("winograd", (1, 1, 4, 4), (1, 1, 3, 3), tile=2).multiplications
    16
    """
    choice("method", method, ("direct", "winograd", "fft"))
    n, c, height, width = _shape("x_shape", x_shape)
    k, c_weight, *kernel = _shape("weight_shape", weight_shape)
    if c != c_weight:
        raise ValueError(f"weight_shape must have {c} channels like x_shape, got {c_weight}")
    geometry = _geometry((height, width), kernel, 1, padding, 1)
    if method == "direct":
        return OperationCount(n * k * c * math.prod(geometry.kernel + geometry.output), 0)
    if method == "fft":
        size = _fft_size(geometry)
        frequencies = size[0] * (size[1] // 2 + 1)
        transforms = (n * c + k * c + n * k) * 2.5 * math.prod(size) * math.log2(math.prod(size))
        return OperationCount(4 * n * k * c * frequencies, round(transforms))
    m, r = _tile(tile, geometry)
    tiles = n * math.prod(-(-size // m) for size in geometry.output)
    matrices = winograd_transforms(m, r)
    of_output, of_kernel, of_data = map(_operations, (matrices.at, matrices.g, matrices.bt))
    transforms = of_data * tiles * c + of_kernel * k * c + of_output * tiles * k
    return OperationCount((m + r - 1) ** 2 * tiles * k * c, transforms)


def _operations(matrix: Matrix) -> int:
    """Count what it takes to apply a transform along both axes of a square tile."""
    entries = [entry for row in matrix for entry in row if entry]
    scaled = sum(abs(entry) != 1 for entry in entries)
    return (len(entries) - len(matrix) + scaled) * (len(matrix) + len(matrix[0]))


def _shape(name: str, value: Sequence[int]) -> tuple[int, ...]:
    if len(value) != 4:
        raise ValueError(f"{name} must hold four sizes, got {value!r}")
    return tuple(integer(f"{name}[{i}]", size) for i, size in enumerate(value))


def _checked(
    x: ArrayLike, weight: ArrayLike, padding: Padding
) -> tuple[FloatArray, FloatArray, _Geometry]:
    x, weight, _ = _operands(x, weight, 1)
    return x, weight, _geometry(x.shape[2:], weight.shape[2:], 1, padding, 1)


def _tile(tile: int, g: _Geometry) -> tuple[int, int]:
    """Return outputs and taps along each side of a tile."""
    if g.kernel[0] != g.kernel[1]:
        raise ValueError(f"weight must hold square kernels for Winograd, got {g.kernel}")
    return integer("tile", tile), g.kernel[0]


def _fft_size(g: _Geometry) -> tuple[int, int]:
    """Return a size of at least the padded image, of small prime factors."""
    height, width = (
        fft.next_fast_len(n + sum(sides), real=True)
        for n, sides in zip(g.size, g.padding, strict=True)
    )
    return height, width


def _grown(x: FloatArray, g: _Geometry, size: tuple[int, int]) -> FloatArray:
    """Return the padded images with zeros below and to the right, channels before samples."""
    (top, _), (left, _) = g.padding
    grown = np.zeros((x.shape[1], len(x), *size), dtype=x.dtype)
    grown[:, :, top : top + g.size[0], left : left + g.size[1]] = x.swapaxes(0, 1)
    return grown


def _windows(array: Array, axis: int, step: int, length: int) -> Array:
    """Cut an axis into overlapping windows; the place in a window becomes the first axis."""
    count = (array.shape[axis] - length) // step + 1
    before = (slice(None),) * axis
    places = (slice(i, i + step * (count - 1) + 1, step) for i in range(length))
    return np.stack([array[(*before, place)] for place in places])


def _along_first(matrix: Array, array: Array) -> Array:
    """Multiply the first axis of an array by a matrix."""
    product = matrix @ array.reshape(len(array), -1)
    return np.asarray(product).reshape(len(matrix), *array.shape[1:])


def _along_both(first: Array, second: Array, array: Array) -> Array:
    """Multiply the first axis of an array by one matrix and the second by another."""
    half = _along_first(first, array)
    product = second @ half.reshape(*half.shape[:2], -1)
    return np.asarray(product).reshape(len(first), len(second), *array.shape[2:])


def _fourier_matrices(
    kernel: tuple[int, int], size: tuple[int, int], dtype: DTypeLike
) -> tuple[Array, Array]:
    """Return the conjugated Fourier matrices that a padded kernel leaves something of."""
    down = fft.fft(np.eye(kernel[0], dtype=dtype), size[0], axis=0)
    across = fft.rfft(np.eye(kernel[1], dtype=dtype), size[1], axis=0)
    return down.conj(), across.conj()


def _chunks(samples: int, rows: int, bytes_per_row: int) -> Iterator[tuple[slice, slice]]:
    """Yield some samples and some rows of tiles at a time: whole samples where they fit."""
    fitting = max(1, _CHUNK_BYTES // bytes_per_row)
    step, height = max(1, fitting // rows), min(fitting, rows)
    for sample in range(0, samples, step):
        for row in range(0, rows, height):
            yield slice(sample, sample + step), slice(row, min(row + height, rows))
