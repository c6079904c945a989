"""Claims of the sources about convolution, pooling and what is done with them.

The loop of source 004 is reproduced in a few lines of our own, with its mistakes. The oracle is
PyTorch wherever there is one; else SciPy, a closed form, or a count.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import scipy.signal
import torch

from companion import data
from companion.convolution import (
    AvgPool2d,
    Conv2d,
    Flatten,
    MaxPool2d,
    conv2d,
    conv_output_size,
    doubly_block_toeplitz,
    im2col,
    lenet,
    operation_count,
    winograd_conv2d,
    winograd_filter,
    winograd_transforms,
)
from companion.network import (
    Adam,
    CrossEntropyLoss,
    Linear,
    ReLU,
    Sequential,
    accuracy,
    fit,
    predict,
)

Array = np.ndarray


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def torch_conv2d(
    x: Array, weight: Array, bias: Array | None = None, *, stride: int = 1, padding: int = 0
) -> Array:
    """Return what PyTorch computes; batches of images and kernels, as arrays."""
    tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in (x, weight)]
    shift = None if bias is None else torch.from_numpy(bias)
    return torch.nn.functional.conv2d(*tensors, shift, stride=stride, padding=padding).numpy()


# --- What a convolution is ----------------------------------------------------------------------


@pytest.mark.claim("004-convolution-by-matrices")
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1)])
def test_convolution_is_a_matrix_product_in_two_ways(stride: int, padding: int) -> None:
    """Oracle: PyTorch, two images of two channels and three kernels."""
    rng = np.random.default_rng(stride)
    x, weight = rng.standard_normal((2, 2, 6, 5)), rng.standard_normal((3, 2, 3, 3))
    expected = torch_conv2d(x, weight, stride=stride, padding=padding)

    large = doubly_block_toeplitz(weight, (6, 5), stride=stride, padding=padding)
    by_kernel = np.stack([large @ image.ravel() for image in x])
    np.testing.assert_allclose(by_kernel.reshape(expected.shape), expected, atol=1e-12)
    assert large.nnz < large.shape[0] * large.shape[1] / 2

    patches = im2col(x, 3, stride=stride, padding=padding)
    by_patches = (weight.reshape(3, -1) @ patches).reshape(3, 2, *expected.shape[2:])
    np.testing.assert_allclose(by_patches.swapaxes(0, 1), expected, atol=1e-12)


@pytest.mark.claim("004-convolution-two-matrices")
def test_image_and_kernel_as_they_stand_have_no_product(rng: np.random.Generator) -> None:
    """Oracle: the rule for shapes; and where the shapes do fit, PyTorch's convolution."""
    image, kernel = rng.standard_normal((5, 5)), rng.standard_normal((3, 3))
    with pytest.raises(ValueError, match="mismatch"):
        _ = image @ kernel
    small = image[:3, :3]
    convolved = torch_conv2d(small[None, None], kernel[None, None])
    assert convolved.shape == (1, 1, 1, 1)
    assert (small @ kernel).shape == (3, 3)
    assert Conv2d(3, 8, 3, rng=0).weight.ndim == 4


@pytest.mark.claim("004-convolution-formula")
def test_frameworks_compute_cross_correlation(rng: np.random.Generator) -> None:
    """Oracle: SciPy's correlation and convolution, which flips the kernel; and the sum itself."""
    image, kernel = rng.standard_normal((6, 7)), rng.standard_normal((3, 2))
    frame = torch_conv2d(image[None, None], kernel[None, None])[0, 0]
    np.testing.assert_allclose(
        frame, scipy.signal.correlate2d(image, kernel, mode="valid"), atol=1e-12
    )
    convolution = scipy.signal.convolve2d(image, kernel, mode="valid")
    assert np.abs(frame - convolution).max() > 0.1
    flipped = torch_conv2d(image[None, None], kernel[None, None, ::-1, ::-1])[0, 0]
    np.testing.assert_allclose(flipped, convolution, atol=1e-12)
    for i, j in np.ndindex(frame.shape):
        total = sum(kernel[u, v] * image[i + u, j + v] for u in range(3) for v in range(2))
        assert frame[i, j] == pytest.approx(total)


@pytest.mark.claim("004-convolution-formula")
def test_the_output_of_a_batch_has_four_axes(rng: np.random.Generator) -> None:
    """Oracle: PyTorch; only one image and one kernel give what can be read as a matrix."""
    x, weight = rng.standard_normal((4, 3, 8, 8)), rng.standard_normal((5, 3, 3, 3))
    assert torch_conv2d(x, weight).shape == conv2d(x, weight).shape == (4, 5, 6, 6)
    assert conv2d(x[:1], weight[:1]).shape == (1, 1, 6, 6)


# --- The loop of source 004 ---------------------------------------------------------------------


def loop(x: Array, kernels: Array, bias: Array, *, padding: int, stride: int) -> Array:
    """Return the convolution as the listing computes it, with its mistakes.

    The image has shape (channels, rows, columns), the kernels (height, width, outputs). Height
    and width go by one name, the later one; the padding goes into the size of the output alone.
    """
    _, side, outputs = kernels.shape
    rows, columns = (int((n - side + 2 * padding) / stride) + 1 for n in x.shape[1:])
    out = np.zeros((outputs, rows, columns))
    for k, i, j in np.ndindex(out.shape):
        top, left = i * stride, j * stride
        window = x[:, top : top + side, left : left + side]
        out[k, i, j] = (window * kernels[:, :, k]).sum() + bias[k]
    return out


def in_torch_order(kernels: Array, channels: int) -> Array:
    """Return the same kernel for each input channel, in PyTorch's order of axes."""
    return np.repeat(kernels.transpose(2, 0, 1)[:, None], channels, axis=1)


class TestLoopListing:
    """Images of one or more channels and two kernels, with random numbers."""

    @staticmethod
    def case(channels: int, size: int, side: int) -> tuple[Array, Array, Array]:
        rng = np.random.default_rng(100 * channels + 10 * size + side)
        return (
            rng.standard_normal((channels, size, size + 1)),
            rng.standard_normal((side, side, 2)),
            rng.standard_normal(2),
        )

    @pytest.mark.claim("004-listing-conv-values")
    @pytest.mark.parametrize("side", [1, 2, 3, 5])
    @pytest.mark.parametrize("stride", [1, 2, 3])
    def test_one_channel_without_padding_is_right(self, side: int, stride: int) -> None:
        """Oracle: PyTorch, on images that the stride divides and on others."""
        for size in (5, 6, 7):
            x, kernels, bias = self.case(1, size, side)
            expected = torch_conv2d(x[None], in_torch_order(kernels, 1), bias, stride=stride)
            found = loop(x, kernels, bias, padding=0, stride=stride)
            np.testing.assert_allclose(found, expected[0], atol=1e-12)

    @pytest.mark.claim("004-listing-conv-padding")
    @pytest.mark.parametrize("side", [2, 3, 4, 5])
    def test_padding_without_zeros_runs_out_of_the_image(self, side: int) -> None:
        """Oracle: the error NumPy raises; with zeros around the image the same loop is right."""
        x, kernels, bias = self.case(1, 6, side)
        for padding in (1, 2):
            with pytest.raises(ValueError, match="broadcast"):
                loop(x, kernels, bias, padding=padding, stride=1)
            padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
            expected = torch_conv2d(x[None], in_torch_order(kernels, 1), bias, padding=padding)
            found = loop(padded, kernels, bias, padding=0, stride=1)
            np.testing.assert_allclose(found, expected[0], atol=1e-12)

    @pytest.mark.claim("004-listing-conv-padding")
    @pytest.mark.parametrize(("size", "side", "stride"), [(6, 3, 3), (7, 3, 2), (6, 1, 1)])
    def test_padding_without_zeros_can_end_with_shifted_windows(
        self, size: int, side: int, stride: int
    ) -> None:
        """Oracle: PyTorch. The loop's window at (i, j) should start one row and column before.

        It ends if the last window stays in the image, if one row or column is left of it, which
        NumPy repeats, or if the kernel has one pixel, since an empty window adds up to zero.
        """
        rng = np.random.default_rng(0)
        x, kernels, bias = (
            rng.standard_normal(shape) for shape in ((1, size, size), (side, side, 2), (2,))
        )
        found = loop(x, kernels, bias, padding=1, stride=stride)
        weight = in_torch_order(kernels, 1)
        expected = torch_conv2d(x[None], weight, bias, padding=1, stride=stride)[0]
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() > 0.1
        unpadded = torch_conv2d(x[None], weight, bias, stride=stride)[0]
        inside = unpadded.shape[1]
        np.testing.assert_allclose(found[:, :inside, :inside], unpadded, atol=1e-12)

    @pytest.mark.claim("004-listing-conv-channels")
    def test_a_shared_kernel_adds_the_channels_up_first(self) -> None:
        """Oracle: PyTorch on the sum of the channels; and a layer with kernels of their own."""
        x, kernels, bias = self.case(3, 6, 3)
        found = loop(x, kernels, bias, padding=0, stride=1)
        summed = torch_conv2d(x.sum(axis=0)[None, None], in_torch_order(kernels, 1), bias)[0]
        np.testing.assert_allclose(found, summed, atol=1e-12)
        same = torch_conv2d(x[None], in_torch_order(kernels, 3), bias)[0]
        np.testing.assert_allclose(found, same, atol=1e-12)

        # Red and green change places: the loop sees no difference, a layer does.
        exchanged = x[[1, 0, 2]]
        np.testing.assert_allclose(
            loop(exchanged, kernels, bias, padding=0, stride=1), found, atol=1e-12
        )
        layer = Conv2d(3, 2, 3, rng=0)
        assert layer.weight.shape == (2, 3, 3, 3)
        assert np.abs(layer(exchanged[None]) - layer(x[None])).max() > 0.1

    @pytest.mark.claim("004-listing-conv-names")
    def test_one_name_for_height_and_width_keeps_the_width(self, rng: np.random.Generator) -> None:
        """Oracle: PyTorch; a kernel of one row is broadcast over five rows, without an error."""
        x, bias = rng.standard_normal((1, 7, 7)), np.zeros(4)
        flat = rng.standard_normal((1, 5, 4))
        found = loop(x, flat, bias, padding=0, stride=1)
        expected = torch_conv2d(x[None], in_torch_order(flat, 1))[0]
        assert expected.shape == (4, 7, 3)
        assert found.shape == (4, 3, 3)
        five_rows = torch_conv2d(x[None], in_torch_order(np.repeat(flat, 5, axis=0), 1))[0]
        np.testing.assert_allclose(found, five_rows, atol=1e-12)
        with pytest.raises(ValueError, match="broadcast"):
            loop(x, rng.standard_normal((3, 5, 4)), bias, padding=0, stride=1)
        # What is called the channels of the previous layer counts the outputs.
        assert len(found) == flat.shape[2]
        assert len(x) == 1

    @pytest.mark.claim("004-listing-conv-loops")
    def test_one_product_replaces_three_loops(self) -> None:
        """Oracle: the loop itself."""
        x, kernels, bias = self.case(1, 7, 3)
        rows = in_torch_order(kernels, 1).reshape(2, -1)
        product = rows @ im2col(x[None], 3, stride=2) + bias[:, None]
        found = loop(x, kernels, bias, padding=0, stride=2)
        np.testing.assert_allclose(product.reshape(found.shape), found, atol=1e-12)


@pytest.mark.claim("004-listing-conv-size")
def test_the_size_formula_is_right_where_the_kernel_fits() -> None:
    """Oracle: PyTorch's output, for all small sizes."""
    for n, side, padding, stride in itertools.product(
        range(1, 9), range(1, 6), range(3), (1, 2, 3)
    ):
        if side > n + 2 * padding:
            continue
        shape = torch_conv2d(
            np.zeros((1, 1, n, n)), np.zeros((1, 1, side, side)), padding=padding, stride=stride
        ).shape
        printed = int((n - side + 2 * padding) / stride) + 1
        assert printed == shape[2]
        assert printed == conv_output_size(n, side, stride=stride, padding=padding)


@pytest.mark.claim("004-listing-conv-size")
def test_cutting_promises_a_row_where_there_is_none() -> None:
    """Oracle: PyTorch and the course's function, which refuse the kernel."""
    n, side, stride = 2, 3, 2
    assert int((n - side) / stride) + 1 == 1
    assert math.floor((n - side) / stride) + 1 == 0
    with pytest.raises(RuntimeError, match="can't be greater than actual input size"):
        torch_conv2d(np.zeros((1, 1, n, n)), np.zeros((1, 1, side, side)), stride=stride)
    with pytest.raises(ValueError, match="kernel_size must fit"):
        conv_output_size(n, side, stride=stride)


@pytest.mark.claim("004-memory-management")
def test_patches_hold_each_pixel_many_times() -> None:
    """Oracle: a kernel of 3 x 3 meets each pixel nine times, if zeros are added at the edge."""
    x = np.ones((2, 3, 10, 10))
    patches = im2col(x, 3, padding=1)
    assert patches.size == 9 * x.size
    halves = [im2col(image[None], 3, padding=1) for image in x]
    np.testing.assert_array_equal(np.concatenate(halves, axis=1), patches)
    assert max(half.size for half in halves) == patches.size // 2


# --- Networks -----------------------------------------------------------------------------------


@pytest.mark.claim("004-pooling")
def test_average_pooling_is_a_matrix_and_max_pooling_is_not() -> None:
    """Oracle: the columns of a linear map are its values at the unit images; additivity."""
    units = np.eye(16).reshape(16, 1, 4, 4)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 5, 1, 4, 4))
    for pool, linear in ((AvgPool2d(2), True), (MaxPool2d(2), False)):
        matrix = pool(units).reshape(16, 4)
        assert np.allclose(x.reshape(5, 16) @ matrix, pool(x).reshape(5, 4)) == linear
        assert np.allclose(pool(x + y), pool(x) + pool(y)) == linear
    layer = Conv2d(1, 2, 3, bias=False, rng=0)
    np.testing.assert_allclose(layer(x + y), layer(x) + layer(y), atol=1e-12)


@pytest.mark.claim("000-image-recognition")
@pytest.mark.claim("001-image-recognition")
@pytest.mark.claim("003-image-recognition")
@pytest.mark.claim("004-image-recognition")
def test_a_small_convolutional_network_reads_digits() -> None:
    """Oracle: the classes of digits that the network never saw; chance is one tenth."""
    digits = data.load_digits(rng=0, dtype=np.float32)
    model = lenet(rng=0, dtype=np.float32)
    fit(
        model,
        CrossEntropyLoss(),
        Adam(lr=0.01),
        digits.x_train,
        digits.y_train,
        epochs=6,
        batch_size=32,
        rng=0,
    )
    assert accuracy(predict(model, digits.x_test), digits.y_test) > 0.95


@pytest.mark.claim("003-image-recognition")
def test_a_convolutional_network_keeps_no_state(rng: np.random.Generator) -> None:
    """Oracle: the outputs in another order of the images, and one image at a time."""
    model, x = lenet(rng=0), rng.random((5, 64))
    outputs = model(x)
    np.testing.assert_allclose(model(x[::-1])[::-1], outputs, atol=1e-12)
    np.testing.assert_allclose(np.concatenate([model(row[None]) for row in x]), outputs, atol=1e-12)


@pytest.mark.claim("004-cnn-core")
def test_convolutions_take_most_multiplications_and_few_weights() -> None:
    """Oracle: a count by hand from the shapes of LeNet-5, with all its maps connected.

    A kernel multiplies at every place of its output, a dense weight once.
    """
    layers = (
        Conv2d(1, 6, 5, rng=0),
        MaxPool2d(2),
        Conv2d(6, 16, 5, rng=0),
        MaxPool2d(2),
        Flatten(),
        *(Linear(n_in, n_out, rng=0) for n_in, n_out in ((400, 120), (120, 84), (84, 10))),
    )
    x = np.zeros((1, 1, 32, 32))
    weights, multiplications = {True: 0, False: 0}, {True: 0, False: 0}
    for layer in layers:
        x = layer(x)
        if isinstance(layer, Conv2d | Linear):
            convolution = isinstance(layer, Conv2d)
            weights[convolution] += layer.weight.size
            places = x.shape[2] * x.shape[3] if convolution else 1
            multiplications[convolution] += layer.weight.size * places
    assert multiplications == {True: 117_600 + 240_000, False: 48_000 + 10_080 + 840}
    assert multiplications[True] / sum(multiplications.values()) > 0.8
    assert weights[True] / sum(weights.values()) < 0.05


@pytest.mark.claim("003-analysing-weights")
def test_renumbered_and_rescaled_filters_compute_the_same_function(
    rng: np.random.Generator,
) -> None:
    """Oracle: the network before its filters were renumbered and rescaled."""
    first, second = Conv2d(1, 4, 3, rng=0), Conv2d(4, 2, 3, rng=1)
    model = Sequential(first, ReLU(), second)
    x = rng.standard_normal((3, 1, 8, 8))
    before, filters = model(x), first.weight.copy()
    order, factors = np.array([2, 0, 3, 1]), np.array([100.0, 0.01, 3.0, 0.5])
    first.weight[...] = first.weight[order] * factors[:, None, None, None]
    assert first.bias is not None
    first.bias[...] = first.bias[order] * factors
    second.weight[...] = second.weight[:, order] / factors[:, None, None]
    np.testing.assert_allclose(model(x), before, atol=1e-12)
    assert np.abs(first.weight - filters).max() > 1


# --- Fast algorithms ----------------------------------------------------------------------------


@pytest.mark.claim("004-winograd")
def test_winograd_needs_fewer_multiplications(rng: np.random.Generator) -> None:
    """Oracle: PyTorch for the values; a multiplication for each entry of a transformed tile."""
    image, kernel = rng.standard_normal((1, 2, 9, 8)), rng.standard_normal((3, 2, 3, 3))
    expected = torch_conv2d(image, kernel)
    np.testing.assert_allclose(winograd_conv2d(image, kernel, tile=2), expected, atol=1e-10)
    data_row, taps = rng.standard_normal(4), rng.standard_normal(3)
    np.testing.assert_allclose(
        winograd_filter(data_row, taps), np.correlate(data_row, taps), atol=1e-12
    )
    at, g, bt = winograd_transforms(2, 3).as_arrays()
    assert (at.shape, g.shape, bt.shape) == ((2, 4), (4, 3), (4, 4))
    assert len(bt) ** 2 == 16  # in two dimensions, for a tile of 2 x 2 outputs
    assert at.shape[0] ** 2 * g.shape[1] ** 2 == 36
    # The transforms are not free: with one channel they cost more than is saved.
    for channels, pays in ((1, False), (64, True)):
        shapes = (1, channels, 56, 56), (channels, channels, 3, 3)
        direct, fast = (
            operation_count(method, *shapes, tile=2) for method in ("direct", "winograd")
        )
        assert fast.multiplications * 36 == direct.multiplications * 16
        assert (fast.total < direct.total) == pays


@pytest.mark.claim("004-winograd")
def test_the_rounding_error_of_winograd_grows_with_the_tile() -> None:
    """Oracle: PyTorch in double precision; the inputs are the same numbers in single precision."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 32, 26, 26)).astype(np.float32)
    weight = rng.standard_normal((8, 32, 3, 3)).astype(np.float32)
    exact = torch_conv2d(x.astype(np.float64), weight.astype(np.float64))
    errors = []
    for tile in (2, 4, 8):
        found = winograd_conv2d(x, weight, tile=tile)
        assert found.dtype == np.float32
        errors.append(float(np.sqrt(np.mean((found - exact) ** 2))))
    assert errors[0] < 1e-5
    assert all(larger > 4 * smaller for smaller, larger in itertools.pairwise(errors))
    assert errors[2] > 300 * errors[0]


@pytest.mark.claim("004-speech-features")
def test_a_spectrogram_is_a_matrix_product(rng: np.random.Generator) -> None:
    """Oracle: SciPy's short-time Fourier transform and its FFT; and a convolution with stride."""
    sound, length, hop = rng.standard_normal(400), 64, 16
    window = scipy.signal.windows.hann(length, sym=False)
    pieces = np.stack([sound[s : s + length] for s in range(0, 400 - length + 1, hop)])
    angles = 2 * np.pi * np.outer(np.arange(length // 2 + 1), np.arange(length)) / length
    waves = np.concatenate([np.cos(angles), -np.sin(angles)]) * window
    real, imaginary = np.split(waves @ pieces.T, 2)

    np.testing.assert_allclose(real + 1j * imaginary, scipy.fft.rfft(pieces * window).T, atol=1e-11)
    transform = scipy.signal.ShortTimeFFT(window, hop, fs=1.0, phase_shift=None)
    # SciPy counts pieces by their middle; these lie wholly inside the sound.
    first = length // 2 // hop
    slices = transform.stft(sound, p0=first, p1=first + len(pieces))
    np.testing.assert_allclose(real + 1j * imaginary, slices, atol=1e-11)

    strided = conv2d(sound[None, None, None], waves[:, None, None], stride=(1, hop))
    np.testing.assert_allclose(strided[0, :, 0], waves @ pieces.T, atol=1e-11)


@pytest.mark.claim("004-speech-features")
def test_linear_prediction_solves_a_toeplitz_system(rng: np.random.Generator) -> None:
    """Oracle: the recursion that made the signal; and the dense system."""
    truth = np.array([1.2, -0.8])
    sound = scipy.signal.lfilter(
        [1.0], np.concatenate([[1.0], -truth]), rng.standard_normal(20_000)
    )
    correlation = np.array([sound[: len(sound) - lag] @ sound[lag:] for lag in range(3)])
    found = scipy.linalg.solve_toeplitz(correlation[:2], correlation[1:])
    np.testing.assert_allclose(found, truth, atol=0.03)
    dense = np.linalg.solve(scipy.linalg.toeplitz(correlation[:2]), correlation[1:])
    np.testing.assert_allclose(found, dense, rtol=1e-10)


# --- Sequences ----------------------------------------------------------------------------------


@pytest.mark.claim("004-bioinformatics")
def test_searching_a_motif_is_a_matrix_product() -> None:
    """Oracle: Python's own search in the text."""
    letters = "ACGT"
    rng = np.random.default_rng(0)
    gene = "".join(rng.choice(list(letters), 500))
    motif = gene[120:126]
    one_hot = np.array([[float(letter == base) for base in gene] for letter in letters])
    kernel = np.array([[float(letter == base) for base in motif] for letter in letters])
    scores = conv2d(one_hot[None, :, None], kernel[None, :, None])[0, 0, 0]
    product = kernel.ravel() @ im2col(one_hot[None, :, None], (1, len(motif)))
    np.testing.assert_array_equal(product, scores)
    found = np.flatnonzero(scores == len(motif)).tolist()
    assert found == [i for i in range(len(gene)) if gene.startswith(motif, i)]
    assert 120 in found
