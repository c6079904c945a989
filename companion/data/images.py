"""Images: the handwritten digits, two photographs, and images placed on larger canvases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from companion._validation import (
    FloatArray,
    IntArray,
    Seed,
    choice,
    float_array,
    float_dtype,
    generator,
    integer,
    real,
)


@dataclass(frozen=True)
class Split:
    """A classification data set, cut into three parts that share no sample.

    Attributes
    ----------
    x_train, x_val, x_test : ndarray, shape (N, features)
        One sample a row.
    y_train, y_val, y_test : ndarray of int, shape (N,)
        Class of each sample.
    image_shape : tuple of int
        (height, width): ``x_train[0].reshape(image_shape)`` is a picture.
    """

    x_train: FloatArray
    y_train: IntArray
    x_val: FloatArray
    y_val: IntArray
    x_test: FloatArray
    y_test: IntArray
    image_shape: tuple[int, int]

    @property
    def features(self) -> int:
        """Length of one sample."""
        return int(self.x_train.shape[1])

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.y_train.max()) + 1

    def __repr__(self) -> str:
        """Return the sizes of the three parts."""
        return (
            f"Split(train={len(self.y_train)}, val={len(self.y_val)}, test={len(self.y_test)}, "
            f"features={self.features}, classes={self.classes})"
        )


def load_digits(
    *,
    rng: Seed = 0,
    val_fraction: float = 0.2,
    test_fraction: float = 0.2,
    source: str = "bundled",
    dtype: DTypeLike = np.float64,
) -> Split:
    """Return handwritten digits, split at random with the same class shares in each part.

    The bundled set holds 1,797 real images of 8 x 8 pixels, a part of the UCI
    set of Alpaydin & Kaynak (1998, doi:10.24432/C50P49) that scikit-learn ships.

    Parameters
    ----------
    rng : Generator or int, default 0
        For the split.
    val_fraction, test_fraction : float in (0, 1), default 0.2
        Share of all samples; their sum must be below 1.
    source : {'bundled', 'mnist'}
        ``'mnist'`` fetches 70,000 images of 28 x 28 pixels through scikit-learn's
        ``fetch_openml``: it needs a network the first time.
    dtype : float64 or float32
        Of the pixels, which are scaled to the interval [0, 1].

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If a fraction is out of range or `source` is unknown.

    Examples
    --------
    >>> load_digits(rng=0)
    Split(train=1077, val=360, test=360, features=64, classes=10)
    """
    choice("source", source, ("bundled", "mnist"))
    val = real("val_fraction", val_fraction, minimum=0, maximum=1, open_minimum=True)
    test = real("test_fraction", test_fraction, minimum=0, maximum=1, open_minimum=True)
    if val + test >= 1.0:
        raise ValueError(f"val_fraction + test_fraction must be below 1, got {val + test:g}")
    kind = float_dtype("dtype", dtype)
    random = generator("rng", rng)
    x, y, image_shape = _bundled_digits() if source == "bundled" else _mnist()

    from sklearn.model_selection import train_test_split

    def cut(indices: NDArray[Any], fraction: float) -> tuple[NDArray[Any], NDArray[Any]]:
        seed = int(random.integers(2**32))
        left, right = train_test_split(
            indices, test_size=fraction, stratify=y[indices], random_state=seed
        )
        return left, right

    rest, test_part = cut(np.arange(len(y)), test)
    train_part, val_part = cut(rest, val / (1.0 - test))
    x = x.astype(kind)
    return Split(
        x[train_part],
        y[train_part],
        x[val_part],
        y[val_part],
        x[test_part],
        y[test_part],
        image_shape,
    )


def _bundled_digits() -> tuple[FloatArray, IntArray, tuple[int, int]]:
    from sklearn.datasets import load_digits as sklearn_digits

    bunch = sklearn_digits()
    return bunch.data / 16.0, bunch.target.astype(np.int64), (8, 8)


def _mnist() -> tuple[FloatArray, IntArray, tuple[int, int]]:
    from sklearn.datasets import fetch_openml

    bunch = fetch_openml("mnist_784", version=1, as_frame=False, parser="liac-arff")
    return np.asarray(bunch.data) / 255.0, bunch.target.astype(np.int64), (28, 28)


def load_photo(
    name: str = "china", *, grey: bool = True, factor: int = 1, dtype: DTypeLike = np.float64
) -> FloatArray:
    """Return one of the two photographs that come with scikit-learn.

    Parameters
    ----------
    name : {'china', 'flower'}
        A Chinese temple, or a dahlia.
    grey : bool, default True
        Whether to weigh red, green and blue into one brightness, with the
        weights of ITU-R BT.601 (0.299, 0.587, 0.114).
    factor : int, default 1
        Averages blocks of `factor` x `factor` pixels into one. Rows and columns
        that fill no block are cut off.
    dtype : float64 or float32
        Of the pixels, which are scaled to the interval [0, 1].

    Returns
    -------
    ndarray, shape (427 // factor, 640 // factor) or (3, 427 // factor, 640 // factor)
        The second shape holds red, green and blue, when `grey` is false.

    Raises
    ------
    ValueError
        If `name` is unknown, or `factor` is below 1 or above 427.

    Examples
    --------
    >>> load_photo("china").shape
    (427, 640)
    >>> load_photo("flower", grey=False, factor=4).shape
    (3, 106, 160)
    """
    choice("name", name, ("china", "flower"))
    side = integer("factor", factor)
    kind = float_dtype("dtype", dtype)
    from sklearn.datasets import load_sample_image

    pixels = load_sample_image(f"{name}.jpg").transpose(2, 0, 1) / 255.0
    height, width = (length // side for length in pixels.shape[1:])
    if height < 1:
        raise ValueError(f"factor must be at most {pixels.shape[1]}, got {side}")
    blocks = pixels[:, : height * side, : width * side].reshape(3, height, side, width, side)
    photo = blocks.mean(axis=(2, 4))
    if grey:
        photo = np.tensordot([0.299, 0.587, 0.114], photo, axes=1)
    return np.asarray(photo, dtype=kind)


def place_on_canvas(images: ArrayLike, size: int, *, offsets: ArrayLike) -> FloatArray:
    """Return images on larger empty canvases, each at a place of its own.

    Parameters
    ----------
    images : array_like, shape (N, height, width)
        The images.
    size : int
        Height and width of a canvas.
    offsets : array_like of int, shape (N, 2) or (2,)
        Row and column of each image's upper left corner, or one place for all.

    Returns
    -------
    ndarray, shape (N, size, size)
        Zero where there is no image.

    Raises
    ------
    ValueError
        If a shape is wrong or an image would stand over the edge.
    TypeError
        If `offsets` does not hold integers.

    Examples
    --------
    >>> place_on_canvas(np.ones((1, 2, 2)), 3, offsets=[0, 1])[0]
    array([[0., 1., 1.],
           [0., 1., 1.],
           [0., 0., 0.]])
    """
    array = float_array("images", images, ndim=3)
    side = integer("size", size)
    places = np.asarray(offsets)
    if places.dtype.kind not in "iu":
        raise TypeError(f"offsets must hold integers, got dtype {places.dtype}")
    if places.shape not in ((2,), (len(array), 2)):
        raise ValueError(f"offsets must have shape (2,) or ({len(array)}, 2), got {places.shape}")
    room = side - np.array(array.shape[1:])
    if (places < 0).any() or (places > room).any():
        raise ValueError(
            f"offsets must keep images of {array.shape[1:]} inside the canvas, so lie in "
            f"0..{room[0]} and 0..{room[1]}, got values from {places.min()} to {places.max()}"
        )
    places = np.broadcast_to(places, (len(array), 2))
    canvas = np.zeros((len(array), side, side), dtype=array.dtype)
    rows = places[:, 0, None] + np.arange(array.shape[1])
    columns = places[:, 1, None] + np.arange(array.shape[2])
    canvas[np.arange(len(array))[:, None, None], rows[:, :, None], columns[:, None, :]] = array
    return canvas
