"""Data sets of the course: bundled with scikit-learn, or made from a seed.

Nothing is downloaded unless a reader asks for the larger MNIST set by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from companion._validation import FloatArray, IntArray, Seed, choice, float_dtype, generator, real


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
