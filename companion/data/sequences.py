"""Two tasks that ask how long a network remembers: adding, and copying."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from companion._validation import FloatArray, IntArray, Seed, float_dtype, generator, integer


def make_adding(
    n: int, length: int, *, rng: Seed, dtype: DTypeLike = np.float64
) -> tuple[FloatArray, FloatArray]:
    """Return sequences of numbers, of which two are marked, and the sum of these two.

    Each step holds a number drawn evenly from [0, 1] and a marker. One marker stands in the first
    half of the sequence, the other in the second, so the first number must be kept for up to
    ``length - 1`` steps. Who always answers 1 has a mean squared error of 1/6, the variance of a
    sum of two such numbers.

    Parameters
    ----------
    n : int
        Number of sequences.
    length : int
        Steps of each, at least 2. The first half is ``length // 2`` steps.
    rng : Generator or int
        Source of randomness, or a seed for one.
    dtype : float64 or float32
        Of both arrays.

    Returns
    -------
    x : ndarray, shape (length, n, 2)
        ``x[:, :, 0]`` are the numbers, ``x[:, :, 1]`` is 1 at the markers and 0 elsewhere.
    y : ndarray, shape (n, 1)
        The sums.

    Raises
    ------
    ValueError
        If `n` is below 1 or `length` below 2.
    TypeError
        If an argument has a wrong type.

    References
    ----------
    S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997,
    experiment 4; in the form of Q. V. Le, N. Jaitly and G. E. Hinton, "A Simple Way to Initialize
    Recurrent Networks of Rectified Linear Units", 2015, arXiv:1504.00941.

    Examples
    --------
    >>> x, y = make_adding(100, 20, rng=0)
    >>> x.shape, y.shape
    ((20, 100, 2), (100, 1))
    >>> bool(np.allclose(np.prod(x, axis=2).sum(axis=0), y[:, 0]))
    True
    """
    count, steps = integer("n", n), integer("length", length, minimum=2)
    random, kind = generator("rng", rng), float_dtype("dtype", dtype)
    x = np.zeros((steps, count, 2), dtype=kind)
    x[:, :, 0] = random.random((steps, count))
    half, columns = steps // 2, np.arange(count)
    x[random.integers(0, half, count), columns, 1] = 1.0
    x[random.integers(half, steps, count), columns, 1] = 1.0
    y = (x[:, :, 0] * x[:, :, 1]).sum(axis=0)
    return x, y[:, None]


def make_copy(
    n: int, delay: int, *, symbols: int = 8, length: int = 10, rng: Seed
) -> tuple[IntArray, IntArray]:
    """Return sequences that begin with a word, and the same word at the end as what to answer.

    The input is `length` symbols, ``delay - 1`` blanks, a delimiter, and `length` blanks. The
    answer is blank until the delimiter has been read, and then the symbols in their order. So
    each symbol must be kept for ``delay + length`` steps.

    Parameters
    ----------
    n : int
        Number of sequences.
    delay : int
        Steps from the end of the word to the start of the answer.
    symbols : int, default 8
        Number of different symbols, each drawn with the same chance. The tokens are 0 for the
        blank, 1 to `symbols`, and ``symbols + 1`` for the delimiter.
    length : int, default 10
        Symbols of a word.
    rng : Generator or int
        Source of randomness, or a seed for one.

    Returns
    -------
    x : ndarray of int, shape (delay + 2 * length, n)
        What the network reads.
    y : ndarray of int, shape (n, delay + 2 * length)
        What it should answer at each step, as class labels: one sequence a row.

    Raises
    ------
    ValueError
        If a size is below 1.
    TypeError
        If an argument has a wrong type.

    References
    ----------
    M. Arjovsky, A. Shah and Y. Bengio, "Unitary Evolution Recurrent Neural Networks", ICML 2016,
    arXiv:1511.06464, section 5.1; the task is from Hochreiter and Schmidhuber (1997).

    Examples
    --------
    >>> x, y = make_copy(1, delay=4, symbols=3, length=2, rng=0)
    >>> x[:, 0]
    array([3, 2, 0, 0, 0, 4, 0, 0])
    >>> y[0]
    array([0, 0, 0, 0, 0, 0, 3, 2])
    """
    count, steps, word = integer("n", n), integer("delay", delay), integer("length", length)
    kinds, random = integer("symbols", symbols), generator("rng", rng)
    words = random.integers(1, kinds + 1, size=(word, count))
    x = np.zeros((steps + 2 * word, count), dtype=np.int64)
    x[:word] = words
    x[word + steps - 1] = kinds + 1
    y = np.zeros((count, steps + 2 * word), dtype=np.int64)
    y[:, word + steps :] = words.T
    return x, y


def copy_baseline(delay: int, *, symbols: int = 8, length: int = 10) -> float:
    """Return the best cross-entropy of a network that does not remember the word of `make_copy`.

    It knows when the answer is due, and then gives every symbol the same chance: ``length`` of
    the ``delay + 2 * length`` steps cost ``ln(symbols)``, the others nothing.

    Parameters
    ----------
    delay, symbols, length : int
        As in `make_copy`.

    Returns
    -------
    float
        In nats, the mean over all steps.

    Raises
    ------
    ValueError
        If a size is below 1.
    TypeError
        If a size is not an integer.

    References
    ----------
    Arjovsky, Shah and Bengio (ICML 2016), section 5.1.

    Examples
    --------
    >>> round(copy_baseline(100), 4)
    0.1733
    """
    word = integer("length", length)
    return word * math.log(integer("symbols", symbols)) / (integer("delay", delay) + 2 * word)
