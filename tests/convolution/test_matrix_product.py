"""Convolution against PyTorch and SciPy, and the matrices against each other."""

import re
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg, signal, sparse
from torch.nn import functional

from companion import convolution as cc
from companion.convolution import matrix_product
from tests.network.oracles import DTYPES, SEEDS, assert_close, central_differences, tensor

# With an even kernel and "same" PyTorch says that it copies the input.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def convolutions(draw, *, max_channels=2):
    """Draw shapes and options of a convolution that fits, and a seed."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(PAIRS)
    padding = draw(
        st.one_of(
            st.tuples(st.integers(0, 2), st.integers(0, 2)),
            st.integers(0, 2),
            st.sampled_from(["same", "valid"]),
        )
    )
    stride = (1, 1) if padding == "same" else draw(PAIRS)
    sides = cc.resolve_padding(padding, kernel, stride, dilation)
    size = tuple(
        max(1, d * (k - 1) + 1 - sum(side)) + draw(st.integers(0, 5))
        for k, d, side in zip(kernel, dilation, sides, strict=True)
    )
    groups = draw(st.integers(1, 3))
    inside = draw(st.integers(1, max_channels))
    return {
        "x": (draw(st.integers(0, 3)), groups * inside, *size),
        "weight": (groups * draw(st.integers(1, 2)), inside, *kernel),
        "options": {
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
        },
        "seed": draw(SEEDS),
    }


def arrays(case, dtype=np.float64):
    rng = np.random.default_rng(case["seed"])
    x, weight = (rng.normal(size=case[name]).astype(dtype) for name in ("x", "weight"))
    return rng, x, weight, rng.normal(size=len(weight)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@given(case=convolutions())
def test_conv2d_and_its_gradients_equal_torch(dtype, case):
    """Oracle: torch.nn.functional.conv2d and autograd, over random shapes and options."""
    rng, x, weight, bias = arrays(case, dtype)
    leaves = [tensor(array, grad=True) for array in (x, weight, bias)]
    expected = functional.conv2d(*leaves, **case["options"])
    out = cc.conv2d(x, weight, bias, **case["options"])
    assert_close(out, expected)
    grad = rng.normal(size=out.shape).astype(dtype)
    expected.backward(tensor(grad))
    gradients = cc.conv2d_backward(grad, x, weight, **case["options"])
    for ours, leaf in zip(gradients, leaves, strict=True):
        assert_close(ours, leaf.grad)


@st.composite
def transposed(draw):
    """Draw shapes and options of a transposed convolution with some output, and a seed."""
    kernel, stride, dilation = draw(PAIRS), draw(PAIRS), draw(PAIRS)
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    extra = tuple(
        draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)
    )
    size = tuple(
        1 + max(0, -(-(2 * p - d * (k - 1) - e) // s)) + draw(st.integers(0, 3))
        for k, s, d, p, e in zip(kernel, stride, dilation, padding, extra, strict=True)
    )
    groups = draw(st.integers(1, 3))
    channels = groups * draw(st.integers(1, 2))
    return {
        "x": (draw(st.integers(0, 2)), channels, *size),
        "weight": (channels, draw(st.integers(1, 2)), *kernel),
        "options": {
            "stride": stride,
            "padding": padding,
            "output_padding": extra,
            "dilation": dilation,
            "groups": groups,
        },
        "seed": draw(SEEDS),
    }


@pytest.mark.parametrize("dtype", DTYPES)
@given(case=transposed())
def test_conv_transpose2d_and_its_gradients_equal_torch(dtype, case):
    """Oracle: torch.nn.functional.conv_transpose2d and autograd."""
    rng, x, weight, _ = arrays(case, dtype)
    bias = rng.normal(size=case["options"]["groups"] * weight.shape[1]).astype(dtype)
    leaves = [tensor(array, grad=True) for array in (x, weight, bias)]
    expected = functional.conv_transpose2d(*leaves, **case["options"])
    out = cc.conv_transpose2d(x, weight, bias, **case["options"])
    assert_close(out, expected)
    grad = rng.normal(size=out.shape).astype(dtype)
    expected.backward(tensor(grad))
    gradients = cc.conv_transpose2d_backward(grad, x, weight, **case["options"])
    for ours, leaf in zip(gradients, leaves, strict=True):
        assert_close(ours, leaf.grad)


def test_output_padding_may_add_pixels_that_no_kernel_meets():
    """Oracle: PyTorch; with dilation, a 1 x 1 kernel of stride 1 does not meet the last column."""
    rng = np.random.default_rng(0)
    x, weight, grad = (rng.normal(size=size) for size in ((2, 3, 4, 5), (3, 2, 1, 1), (2, 2, 4, 6)))
    options = {"dilation": (1, 2), "output_padding": (0, 1)}
    leaves = [tensor(array, grad=True) for array in (x, weight)]
    expected = functional.conv_transpose2d(*leaves, **options)
    expected.backward(tensor(grad))
    assert_close(cc.conv_transpose2d(x, weight, **options), expected)
    gradients = cc.conv_transpose2d_backward(grad, x, weight, **options)
    for ours, leaf in zip(gradients[:2], leaves, strict=True):
        assert_close(ours, leaf.grad)


@given(case=convolutions())
def test_the_transposed_convolution_is_the_adjoint(case):
    """Oracle: <conv(x), y> = <x, conv_transpose(y)>; output_padding names the size of x."""
    if isinstance(case["options"]["padding"], str):
        case["options"]["padding"] = 0
        h, w = ((k - 1) * 3 + 1 for k in case["weight"][2:])
        case["x"] = (*case["x"][:2], h, w)
    rng, x, weight, _ = arrays(case)
    options = case["options"]
    z = cc.conv2d(x, weight, **options)
    y = rng.normal(size=z.shape)
    extra = tuple(
        (h + sum(side) - d * (k - 1) - 1) % s
        for h, side, k, s, d in zip(
            x.shape[2:],
            cc.resolve_padding(options["padding"], weight.shape[2:]),
            weight.shape[2:],
            options["stride"],
            options["dilation"],
            strict=True,
        )
    )
    back = cc.conv_transpose2d(y, weight, output_padding=extra, **options)
    assert back.shape == x.shape
    np.testing.assert_allclose(np.vdot(z, y), np.vdot(x, back), atol=1e-9)


@given(case=convolutions())
def test_the_matrix_times_an_image_is_the_convolution(case):
    """Oracle: conv2d, itself compared with PyTorch; the transpose gives its input gradient."""
    case["options"]["groups"] = 1
    case["x"] = (case["x"][0], case["weight"][1], *case["x"][2:])
    rng, x, weight, _ = arrays(case)
    options = {key: case["options"][key] for key in ("stride", "padding", "dilation")}
    matrix = cc.doubly_block_toeplitz(weight, x.shape[2:], **options)
    z = cc.conv2d(x, weight, **options)
    assert isinstance(matrix, sparse.csr_array)
    assert matrix.shape == (np.prod(z.shape[1:]), np.prod(x.shape[1:]))
    flat = x.reshape(len(x), matrix.shape[1])
    assert_close((matrix @ flat.T).T, z.reshape(len(x), matrix.shape[0]))
    grad = rng.normal(size=z.shape)
    grad_x, _, _ = cc.conv2d_backward(grad, x, weight, **options)
    flat = grad.reshape(len(x), matrix.shape[0])
    assert_close((matrix.T @ flat.T).T, grad_x.reshape(len(x), matrix.shape[1]))


@given(case=convolutions())
def test_col2im_is_the_adjoint_of_im2col(case):
    """Oracle: <im2col(x), c> = <x, col2im(c)>; and the product with the kernels is conv2d."""
    case["options"]["groups"] = 1
    case["x"] = (case["x"][0], case["weight"][1], *case["x"][2:])
    rng, x, weight, _ = arrays(case)
    options = {key: case["options"][key] for key in ("stride", "padding", "dilation")}
    columns = cc.im2col(x, weight.shape[2:], **options)
    assert columns.flags.c_contiguous
    other = rng.normal(size=columns.shape)
    back = cc.col2im(other, x.shape, weight.shape[2:], **options)
    assert back.shape == x.shape
    np.testing.assert_allclose(np.vdot(columns, other), np.vdot(x, back), atol=1e-9)
    z = cc.conv2d(x, weight, **options)
    product = weight.reshape(len(weight), -1) @ columns
    assert_close(np.moveaxis(product.reshape(len(weight), len(x), *z.shape[2:]), 1, 0), z)


@given(case=convolutions())
def test_im2col_equals_torch_unfold(case):
    """Oracle: torch.nn.functional.unfold, which keeps the samples apart."""
    _, x, _, _ = arrays(case)
    kernel = case["weight"][2:]
    stride, dilation = case["options"]["stride"], case["options"]["dilation"]
    padding = case["options"]["padding"]
    if isinstance(padding, str):
        padding = (1, 0)
        x = np.pad(x, ((0, 0), (0, 0), (12, 0), (12, 0)))
    columns = cc.im2col(x, kernel, stride=stride, padding=padding, dilation=dilation)
    if len(x):  # unfold refuses an empty batch
        expected = functional.unfold(
            tensor(x), kernel, stride=stride, padding=padding, dilation=dilation
        )
        assert_close(columns, expected.permute(1, 0, 2).reshape(columns.shape))
    else:
        assert columns.shape == (x.shape[1] * kernel[0] * kernel[1], 0)


def test_conv2d_equals_scipy():
    """Oracle: scipy.signal.correlate2d, summed over the input channels."""
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(2, 3, 7, 9)), rng.normal(size=(4, 3, 3, 2)), np.arange(4.0)
    expected = [
        [
            sum(map(lambda a, b: signal.correlate2d(a, b, "valid"), image, kernel)) + b
            for kernel, b in zip(weight, bias, strict=True)
        ]
        for image in x
    ]
    assert_close(cc.conv2d(x, weight, bias), expected)


@given(
    kernel=st.lists(st.integers(-5, 5), min_size=1, max_size=4),
    more=st.integers(0, 6),
    stride=st.integers(1, 3),
    padding=st.one_of(st.integers(0, 3), st.sampled_from(["same", "valid"])),
    dilation=st.integers(1, 3),
    seed=SEEDS,
)
def test_toeplitz_matrix_times_a_signal_equals_torch(kernel, more, stride, padding, dilation, seed):
    """Oracle: torch.nn.functional.conv1d on whole numbers, so exactly."""
    length = dilation * (len(kernel) - 1) + 1 + more
    stride = 1 if padding == "same" else stride
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    x = np.random.default_rng(seed).integers(-9, 10, size=length).astype(float)
    expected = functional.conv1d(
        tensor(x)[None, None], torch.tensor([[kernel]], dtype=torch.float64), **options
    )
    matrix = cc.toeplitz_matrix(kernel, length, **options)
    np.testing.assert_array_equal(matrix @ x, expected[0, 0])


def test_toeplitz_matrix_equals_scipy():
    """Oracle: scipy.linalg.toeplitz from its first column and row."""
    kernel = np.array([3.0, 1.0, 4.0])
    expected = linalg.toeplitz([3, 0, 0, 0], [3, 1, 4, 0, 0, 0])
    np.testing.assert_array_equal(cc.toeplitz_matrix(kernel, 6), expected)


def test_the_blocks_of_the_matrix_are_toeplitz_matrices():
    """Oracle: kron of shifted identities with the Toeplitz matrix of each row of the kernel."""
    kernel = np.arange(1.0, 7.0).reshape(2, 3)
    expected = sum(np.kron(np.eye(4, 5, k=u), cc.toeplitz_matrix(kernel[u], 6)) for u in range(2))
    np.testing.assert_array_equal(cc.doubly_block_toeplitz(kernel, (5, 6)).toarray(), expected)


def test_the_matrix_stores_the_zeros_of_a_kernel():
    """Oracle: 4 positions times 4 entries, of which one a row is zero."""
    matrix = cc.doubly_block_toeplitz([[1.0, 0.0], [2.0, 3.0]], (3, 3))
    assert matrix.nnz == 16
    assert matrix.count_nonzero() == 12


def test_a_channel_pair_has_its_own_block():
    """Oracle: the matrix of each pair of channels alone, put together."""
    weight = np.random.default_rng(0).normal(size=(2, 3, 2, 2))
    blocks = [[cc.doubly_block_toeplitz(kernel, (4, 3)) for kernel in row] for row in weight]
    expected = sparse.block_array(blocks).toarray()
    np.testing.assert_array_equal(cc.doubly_block_toeplitz(weight, (4, 3)).toarray(), expected)


@pytest.mark.parametrize("bytes_", [1, 300, 2000])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3])
def test_chunks_change_nothing(monkeypatch, bytes_, groups, kernel):
    """Oracle: the same calls with all samples in one chunk."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 4, 6, 5))
    weight = rng.normal(size=(6, 4 // groups, kernel, kernel))
    options = {"padding": kernel // 2, "groups": groups}
    out = cc.conv2d(x, weight, **options)
    grad = rng.normal(size=out.shape)
    whole = (out, *cc.conv2d_backward(grad, x, weight, **options))
    monkeypatch.setattr(matrix_product, "CHUNK_BYTES", bytes_)
    split = (
        cc.conv2d(x, weight, **options),
        *cc.conv2d_backward(grad, x, weight, **options),
    )
    for one, many in zip(whole, split, strict=True):
        assert_close(many, one)


@given(samples=st.integers(0, 40), size=st.integers(1, 100), limit=st.integers(1, 400))
def test_chunks_cover_the_samples_within_the_limit(samples, size, limit):
    """Invariant: in order, without gaps, as many as fit but at least one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matrix_product, "CHUNK_BYTES", limit)
        parts = list(matrix_product._chunks(samples, size))
    covered = [i for part in parts for i in range(samples)[part]]
    assert covered == list(range(samples))
    for part in parts[:-1]:
        count = part.stop - part.start
        assert count == 1 or count * size <= limit
        assert (count + 1) * size > limit


def test_inputs_are_left_alone_and_outputs_are_new():
    """Invariant: also for a 1 x 1 kernel, whose columns are the image itself."""
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 3, 4, 4)), rng.normal(size=(5, 3, 1, 1))
    copies = x.copy(), weight.copy()
    out = cc.conv2d(x, weight, np.ones(5))
    results = [out, *cc.conv2d_backward(out, x, weight), cc.im2col(x, 1)]
    results.append(cc.col2im(results[-1], x.shape, 1))
    for result in results:
        assert not np.shares_memory(result, x)
        result += 1.0
    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(weight, copies[1])


def test_arrays_need_not_be_contiguous():
    """Oracle: contiguous copies of the same arrays."""
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(6, 5, 2, 3)).T, rng.normal(size=(3, 3, 2, 4)).T
    grad = rng.normal(size=(4, 3, 4, 3)).T
    for kernels in (weight, weight[:, :, :1, :1]):
        g = grad if kernels is weight else np.ones((3, 4, 5, 6))[..., ::-1]
        call = [x, kernels, g]
        same = [np.ascontiguousarray(array) for array in call]
        if kernels is weight:
            call[2] = same[2] = rng.normal(size=cc.conv2d(x, kernels).shape)
        assert_close(cc.conv2d(*call[:2]), cc.conv2d(*same[:2]))
        ours = cc.conv2d_backward(call[2], *call[:2])
        theirs = cc.conv2d_backward(same[2], *same[:2])
        for one, other in zip(ours, theirs, strict=True):
            assert_close(one, other)


def test_the_gradients_equal_finite_differences():
    """Oracle: central differences of <grad, conv(x)>."""
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(2, 4, 5, 6)), rng.normal(size=(2, 2, 3, 2)), np.zeros(2)
    options = {"stride": (2, 1), "padding": 1, "dilation": (1, 2), "groups": 2}
    grad = rng.normal(size=cc.conv2d(x, weight, bias, **options).shape)

    def value():
        return float(np.vdot(grad, cc.conv2d(x, weight, bias, **options)))

    gradients = cc.conv2d_backward(grad, x, weight, **options)
    for ours, array in zip(gradients, (x, weight, bias), strict=True):
        np.testing.assert_allclose(ours, central_differences(value, array), atol=1e-8)


@given(
    size=st.integers(1, 30),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 4),
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    dilation=st.integers(1, 4),
)
def test_output_size_counts_positions(size, kernel, stride, padding, dilation):
    """Oracle: counting the starts at which the last entry still lies inside."""
    padded = size + sum(padding)
    count = len([s for s in range(0, padded, stride) if s + dilation * (kernel - 1) < padded])
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    if count:
        assert cc.conv_output_size(size, kernel, **options) == count
    else:
        with pytest.raises(ValueError, match="kernel_size must fit"):
            cc.conv_output_size(size, kernel, **options)


@given(size=st.integers(1, 30), kernel=st.integers(1, 6), dilation=st.integers(1, 4))
def test_same_keeps_the_size(size, kernel, dilation):
    """Invariant: the output is as long as the input; an odd zero goes to the end."""
    (above, below), (left, right) = cc.resolve_padding("same", kernel, 1, dilation)
    assert (above, below) == (left, right)
    assert below - above == dilation * (kernel - 1) % 2
    options = {"padding": (above, below), "dilation": dilation}
    assert cc.conv_output_size(size, kernel, **options) == size


def test_padding_in_words_and_numbers():
    """Oracle: the definition."""
    assert cc.resolve_padding(2, 3) == ((2, 2), (2, 2))
    assert cc.resolve_padding((0, 3), 5, 2, 4) == ((0, 0), (3, 3))
    assert cc.resolve_padding(np.array([1, 2]), 3) == ((1, 1), (2, 2))
    assert cc.resolve_padding("valid", 3, stride=2) == ((0, 0), (0, 0))


X = np.zeros((2, 4, 5, 5))
WEIGHT = np.zeros((6, 4, 3, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cc.conv2d(X[0], WEIGHT), ValueError, "x must have 4 axes, got shape (4, 5, 5)"),
        (lambda: cc.conv2d(X, WEIGHT[0]), ValueError, "weight must have 4 axes"),
        (
            lambda: cc.conv2d(X[:, :3], WEIGHT),
            ValueError,
            "x must have 4 channels for weight (6, 4, 3, 3) and groups=1, got shape (2, 3, 5, 5)",
        ),
        (
            lambda: cc.conv2d(X, WEIGHT, groups=2),
            ValueError,
            "x must have 8 channels for weight (6, 4, 3, 3) and groups=2",
        ),
        (
            lambda: cc.conv2d(X, WEIGHT[:, :1], groups=4),
            ValueError,
            "groups must divide the first axis of weight, got groups=4 and shape (6, 1, 3, 3)",
        ),
        (lambda: cc.conv2d(X, WEIGHT, groups=0), ValueError, "groups must be at least 1"),
        (lambda: cc.conv2d(X, WEIGHT[:0]), ValueError, "weight must not be empty"),
        (
            lambda: cc.conv2d(X, WEIGHT.astype(np.float32)),
            TypeError,
            "weight must be float64 like x, got float32",
        ),
        (lambda: cc.conv2d(X, WEIGHT, np.zeros(5)), ValueError, "bias must have shape (6,)"),
        (
            lambda: cc.conv2d(X, WEIGHT, np.zeros(6, np.float32)),
            TypeError,
            "bias must be float64 like x, got float32",
        ),
        (
            lambda: cc.conv2d(X[:, :, :2], WEIGHT),
            ValueError,
            "kernel_size must fit: 3 with dilation 1 spans 3, "
            "but size 2 with padding 0 + 0 has only 2",
        ),
        (
            lambda: cc.conv2d(X, WEIGHT, dilation=3),
            ValueError,
            "kernel_size must fit: 3 with dilation 3 spans 7",
        ),
        (lambda: cc.conv2d(X, WEIGHT, stride=0), ValueError, "stride must be at least 1, got 0"),
        (lambda: cc.conv2d(X, WEIGHT, stride=1.5), TypeError, "stride must be an integer, got 1.5"),
        (
            lambda: cc.conv2d(X, WEIGHT, stride=(1, 2, 3)),
            ValueError,
            "stride must be an integer or two of them, got (1, 2, 3)",
        ),
        (lambda: cc.conv2d(X, WEIGHT, padding=-1), ValueError, "padding must be at least 0"),
        (
            lambda: cc.conv2d(X, WEIGHT, padding="full"),
            ValueError,
            "padding must be one of 'same', 'valid', got 'full'",
        ),
        (
            lambda: cc.conv2d(X, WEIGHT, padding="same", stride=2),
            ValueError,
            "padding 'same' needs stride 1, got stride (2, 2)",
        ),
        (
            lambda: cc.conv2d_backward(np.zeros((2, 6, 5, 5)), X, WEIGHT),
            ValueError,
            "grad_output must have shape (2, 6, 3, 3), got (2, 6, 5, 5)",
        ),
        (
            lambda: cc.conv2d_backward(np.zeros((2, 6, 3, 3), np.float32), X, WEIGHT),
            TypeError,
            "grad_output must be float64 like x",
        ),
        (
            lambda: cc.conv_transpose2d(X, WEIGHT),
            ValueError,
            "x must have 6 channels for weight (6, 4, 3, 3), got shape (2, 4, 5, 5)",
        ),
        (
            lambda: cc.conv_transpose2d(X, WEIGHT[:4], padding=4),
            ValueError,
            "padding (4, 4) leaves an output of size (-1, -1)",
        ),
        (
            lambda: cc.conv_transpose2d(X, WEIGHT[:4], stride=2, output_padding=2),
            ValueError,
            "output_padding must be smaller than stride or dilation, got (2, 2) "
            "with stride (2, 2) and dilation (1, 1)",
        ),
        (
            lambda: cc.conv_transpose2d_backward(X, X, WEIGHT[:4]),
            ValueError,
            "grad_output must have shape (2, 4, 7, 7), got (2, 4, 5, 5)",
        ),
        (lambda: cc.im2col(X[0], 3), ValueError, "x must have 4 axes"),
        (lambda: cc.im2col(X, "3"), TypeError, "kernel_size must be an integer, got '3'"),
        (
            lambda: cc.col2im(np.zeros((36, 17)), X.shape, 3),
            ValueError,
            "columns must have shape (36, 18), got (36, 17)",
        ),
        (
            lambda: cc.col2im(np.zeros((9, 9)), (5, 5), 3),
            ValueError,
            "input_shape must be (N, C, H, W), got (5, 5)",
        ),
        (
            lambda: cc.col2im(np.zeros((9, 9)), (1, 0, 5, 5), 3),
            ValueError,
            "input_shape[1] must be at least 1, got 0",
        ),
        (lambda: cc.toeplitz_matrix([[1.0]], 3), ValueError, "kernel must have 1 axes"),
        (lambda: cc.toeplitz_matrix([], 3), ValueError, "kernel must not be empty"),
        (lambda: cc.toeplitz_matrix([1.0], 0), ValueError, "length must be at least 1, got 0"),
        (lambda: cc.toeplitz_matrix([1.0, 2.0], 1), ValueError, "kernel_size must fit"),
        (
            lambda: cc.doubly_block_toeplitz(np.zeros((2, 3, 3)), (5, 5)),
            ValueError,
            "weight must have shape (kh, kw) or (K, C, kh, kw), none of them 0, got (2, 3, 3)",
        ),
        (lambda: cc.doubly_block_toeplitz(WEIGHT, (5, 0)), ValueError, "size must be at least 1"),
        (lambda: cc.conv_output_size(0, 1), ValueError, "size must be at least 1, got 0"),
        (lambda: cc.conv_output_size(5, 2.0), TypeError, "kernel_size must be an integer"),
    ],
)
def test_wrong_arguments_are_named(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_memory_is_bounded_by_chunks_not_by_the_batch():
    """Oracle: NumPy's own count of allocated bytes, for one output pixel and many kernels.

    The columns are few, but the products of all samples would take 64 times the weight.
    """
    x, weight = np.ones((64, 32, 3, 3)), np.ones((256, 32, 3, 3))
    grad = np.ones((64, 256, 1, 1))
    tracemalloc.start()
    try:
        cc.conv2d_backward(grad, x, weight)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * matrix_product.CHUNK_BYTES + 3 * weight.nbytes
    assert 64 * weight.nbytes > 3 * peak
