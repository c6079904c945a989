"""Tasks that ask how long a network remembers, and what: adding, copying, matching."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from companion._validation import (
    FloatArray,
    IntArray,
    Seed,
    float_dtype,
    generator,
    integer,
    real,
)


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


def make_delayed_match(
    n: int,
    *,
    delay: int,
    symbols: int = 4,
    distractors: int = 0,
    rng: Seed,
    dtype: DTypeLike = np.float64,
) -> tuple[FloatArray, IntArray]:
    """Return trials that show a sample, wait, and show a test that may be the same.

    The first step holds the sample, the last one the test and a signal to answer. Between them
    lie `delay` steps, blank but for the distractors: symbols that mean nothing, marked as such,
    at steps drawn for each trial. Any symbol may distract, that of the sample or the test too. So
    who has lost the sample can only guess, and is right half the time.

    Parameters
    ----------
    n : int
        Number of trials.
    delay : int
        Steps between sample and test, 0 or more.
    symbols : int, default 4
        Number of different symbols, at least 2, with the same chance for the sample. A test that
        is another symbol is each of the others with the same chance.
    distractors : int, default 0
        Steps of the delay at which a symbol distracts, at most `delay`.
    rng : Generator or int
        Source of randomness, or a seed for one.
    dtype : float64 or float32
        Of `x`.

    Returns
    -------
    x : ndarray, shape (delay + 2, n, symbols + 2)
        The first `symbols` features are the symbol of a step, one of them 1 and the others 0. The
        last feature but one is 1 at the test, the last is 1 at distractors.
    y : ndarray of int, shape (n,)
        1 if the test is the sample, in ``n // 2`` of the trials, else 0.

    Raises
    ------
    ValueError
        If a size is too small, or there are more distractors than steps of the delay.
    TypeError
        If an argument has a wrong type.

    References
    ----------
    Cells that fire throughout such a delay: J. M. Fuster and G. E. Alexander, "Neuron Activity
    Related to Short-Term Memory", Science 173, 1971.

    Examples
    --------
    >>> x, y = make_delayed_match(100, delay=3, distractors=1, rng=0)
    >>> x.shape, y.shape
    ((5, 100, 6), (100,))
    >>> x[:, 0].astype(int)  # sample, two blanks, distractor, test
    array([[0, 0, 0, 1, 0, 0],
           [0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0],
           [0, 0, 1, 0, 0, 1],
           [0, 0, 1, 0, 1, 0]])
    >>> int(y[0])
    0
    """
    count, steps = integer("n", n), integer("delay", delay, minimum=0)
    kinds = integer("symbols", symbols, minimum=2)
    shown = integer("distractors", distractors, minimum=0)
    if shown > steps:
        raise ValueError(f"distractors must be at most the delay, {steps}, got {shown}")
    random, kind = generator("rng", rng), float_dtype("dtype", dtype)
    columns = np.arange(count)
    x = np.zeros((steps + 2, count, kinds + 2), dtype=kind)
    sample = random.integers(0, kinds, count)
    y = random.permutation(columns % 2)
    test = np.where(y == 1, sample, _another(random, sample, kinds))
    x[0, columns, sample] = 1.0
    x[-1, columns, test] = 1.0
    x[-1, :, kinds] = 1.0
    if shown:
        # The steps with the smallest of random numbers are a random choice among them.
        when = 1 + random.random((steps, count)).argsort(axis=0)[:shown]
        x[when, columns, random.integers(0, kinds, (shown, count))] = 1.0
        x[when, columns, kinds + 1] = 1.0
    return x, y


def make_n_back(
    n: int,
    length: int,
    *,
    back: int,
    symbols: int = 8,
    match_rate: float = 0.5,
    lure_rate: float = 0.5,
    rng: Seed,
    dtype: DTypeLike = np.float64,
) -> tuple[FloatArray, IntArray]:
    """Return sequences of symbols, and at which steps a symbol equals the one `back` steps before.

    Each step from `back` on matches with the chance `match_rate`, whatever came before. If it
    does not match, with the chance `lure_rate` it is made a lure: it repeats the symbol of
    ``back - 1`` or ``back + 1`` steps before, unless there is none or what it repeats would match.
    Lures are what tells who remembers when a symbol came from who only knows that it came lately.
    Who always gives the more frequent answer is right with the chance
    ``max(match_rate, 1 - match_rate)``.

    Parameters
    ----------
    n : int
        Number of sequences.
    length : int
        Steps of each, more than `back`.
    back : int
        How many steps before.
    symbols : int, default 8
        Number of different symbols, at least 2. What neither matches nor lures is each symbol
        that does not match with the same chance.
    match_rate, lure_rate : float, default 0.5
        Chances, from 0 to 1.
    rng : Generator or int
        Source of randomness, or a seed for one.
    dtype : float64 or float32
        Of `x`.

    Returns
    -------
    x : ndarray, shape (length, n, symbols)
        The symbol of each step, one feature 1 and the others 0.
    y : ndarray of int, shape (n, length)
        One sequence a row: 1 at matches, 0 at other steps, and 2 at the first `back` steps, about
        which nothing is asked: ``SequenceCrossEntropyLoss(ignore_index=2)`` leaves them out.

    Raises
    ------
    ValueError
        If a size is too small, or a rate outside 0 to 1.
    TypeError
        If an argument has a wrong type.

    References
    ----------
    W. K. Kirchner, "Age Differences in Short-Term Retention of Rapidly Changing Information",
    Journal of Experimental Psychology 55, 1958. Lures: J. R. Gray, C. F. Chabris and T. S. Braver,
    "Neural Mechanisms of General Fluid Intelligence", Nature Neuroscience 6, 2003.

    Examples
    --------
    >>> x, y = make_n_back(100, 10, back=2, symbols=4, rng=0)
    >>> x.shape, y.shape
    ((10, 100, 4), (100, 10))
    >>> x[:, 0].argmax(axis=1)
    array([3, 1, 3, 1, 3, 1, 1, 1, 1, 1])
    >>> y[0]
    array([2, 2, 1, 1, 1, 1, 0, 1, 1, 1])
    """
    count, lag = integer("n", n), integer("back", back)
    steps = integer("length", length, minimum=lag + 1)
    kinds = integer("symbols", symbols, minimum=2)
    matching = real("match_rate", match_rate, minimum=0.0, maximum=1.0)
    luring = real("lure_rate", lure_rate, minimum=0.0, maximum=1.0)
    random, kind = generator("rng", rng), float_dtype("dtype", dtype)
    columns = np.arange(count)
    shown = np.zeros((steps, count), dtype=np.int64)
    shown[:lag] = random.integers(0, kinds, (lag, count))
    for step in range(lag, steps):
        target = shown[step - lag]
        other = _another(random, target, kinds)
        sources = [before for before in (step - lag + 1, step - lag - 1) if 0 <= before < step]
        if sources:
            source = random.choice(sources, count)
            lure = shown[source, columns]
            # The other neighbour, if there are two and this one matches.
            source = np.where(lure == target, sources[0] + sources[-1] - source, source)
            lure = shown[source, columns]
            other = np.where((lure != target) & (random.random(count) < luring), lure, other)
        shown[step] = np.where(random.random(count) < matching, target, other)
    y = np.full((count, steps), 2)
    y[:, lag:] = (shown[lag:] == shown[:-lag]).T
    return np.eye(kinds, dtype=kind)[shown], y


def _another(random: np.random.Generator, values: IntArray, size: int) -> IntArray:
    """Return for each of `values` another integer in 0 .. size - 1."""
    return (values + random.integers(1, size, len(values))) % size
