"""Convolution: as a matrix product, as layers of a network, and by fast algorithms.

Chapter 3 teaches it.
"""

from companion.convolution.cnn import (
    AvgPool2d,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    MaxPool2d,
    Unflatten,
    equivariance_error,
    lenet,
)
from companion.convolution.fast import (
    OperationCount,
    WinogradTransforms,
    direct_conv2d,
    fft_conv2d,
    operation_count,
    winograd_conv2d,
    winograd_filter,
    winograd_points,
    winograd_transforms,
)
from companion.convolution.matrix_product import (
    col2im,
    conv2d,
    conv2d_backward,
    conv_output_size,
    conv_transpose2d,
    conv_transpose2d_backward,
    doubly_block_toeplitz,
    im2col,
    resolve_padding,
    toeplitz_matrix,
)

__all__ = [
    "AvgPool2d",
    "Conv2d",
    "ConvTranspose2d",
    "Flatten",
    "MaxPool2d",
    "OperationCount",
    "Unflatten",
    "WinogradTransforms",
    "col2im",
    "conv2d",
    "conv2d_backward",
    "conv_output_size",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "direct_conv2d",
    "doubly_block_toeplitz",
    "equivariance_error",
    "fft_conv2d",
    "im2col",
    "lenet",
    "operation_count",
    "resolve_padding",
    "toeplitz_matrix",
    "winograd_conv2d",
    "winograd_filter",
    "winograd_points",
    "winograd_transforms",
]
