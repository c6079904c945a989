"""The adding problem and the copy task: what stands where, and the two baselines."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion import data


@given(n=st.integers(1, 9), length=st.integers(2, 30), seed=st.integers(0, 999))
def test_one_number_of_each_half_is_added(n, length, seed):
    """Oracle: a loop that reads each sequence step by step."""
    x, y = data.make_adding(n, length, rng=seed)
    assert (x.shape, y.shape) == ((length, n, 2), (n, 1))
    for column in range(n):
        marked = [step for step in range(length) if x[step, column, 1] == 1.0]
        assert len(marked) == 2
        assert marked[0] < length // 2 <= marked[1]
        assert x[:, column, 1].sum() == 2.0
        first, second = (x[step, column, 0] for step in marked)
        assert y[column, 0] == pytest.approx(first + second)


def test_numbers_and_markers_are_spread_evenly():
    """Oracle: the uniform distribution, within four standard errors: mean 1/2 and variance 1/12 of
    the numbers, equal shares of each place for the markers; variance 1/6 of the sums."""
    x, y = data.make_adding(20_000, 7, rng=0)
    values, marks = x[:, :, 0], x[:, :, 1].sum(axis=1)
    assert values.min() >= 0.0
    assert values.max() <= 1.0
    assert values.mean() == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / values.size))
    assert values.var() == pytest.approx(1 / 12, abs=4 * np.sqrt(1 / 180 / values.size))
    np.testing.assert_allclose(marks[:3], 20_000 / 3, atol=4 * np.sqrt(20_000 * 2 / 9))
    np.testing.assert_allclose(marks[3:], 20_000 / 4, atol=4 * np.sqrt(20_000 * 3 / 16))
    # The fourth central moment of the triangle is 1/15, so the variance of (y - 1)^2 is 7/180.
    assert np.mean((y - 1) ** 2) == pytest.approx(1 / 6, abs=4 * np.sqrt(7 / 180 / 20_000))


def test_adding_in_float32_adds_the_rounded_numbers():
    """Oracle: the sum of what the sequence holds, in float32."""
    x, y = data.make_adding(50, 10, rng=1, dtype=np.float32)
    assert x.dtype == y.dtype == np.float32
    np.testing.assert_allclose(y[:, 0], (x[:, :, 0] * x[:, :, 1]).sum(axis=0), rtol=1e-6)
    assert data.make_adding(1, 2, rng=0)[0].dtype == np.float64


@given(
    n=st.integers(1, 5),
    delay=st.integers(1, 20),
    symbols=st.integers(1, 9),
    length=st.integers(1, 6),
    seed=st.integers(0, 999),
)
def test_a_word_is_read_and_asked_for_again(n, delay, symbols, length, seed):
    """Oracle: the layout of Arjovsky, Shah and Bengio (2016), put together from lists."""
    x, y = data.make_copy(n, delay, symbols=symbols, length=length, rng=seed)
    assert x.shape == (delay + 2 * length, n)
    assert y.shape == (n, delay + 2 * length)
    assert x.dtype == y.dtype == np.int64
    for column in range(n):
        word = x[:length, column].tolist()
        assert set(word) <= set(range(1, symbols + 1))
        blanks = [0] * (delay - 1)
        assert x[:, column].tolist() == [*word, *blanks, symbols + 1, *[0] * length]
        assert y[column].tolist() == [*[0] * (delay + length), *word]


def test_symbols_have_equal_chances():
    """Oracle: equal counts, within four standard errors."""
    x, _ = data.make_copy(4000, 1, rng=0)
    counts = np.bincount(x[:10].ravel(), minlength=10)
    assert counts[[0, 9]].tolist() == [0, 0]
    np.testing.assert_allclose(counts[1:9], 5000, atol=4 * np.sqrt(40_000 * 7 / 64))


@pytest.mark.parametrize(
    ("delay", "symbols", "length"), [(1, 2, 3), (100, 8, 10), (7, 1, 2), (500, 8, 10)]
)
def test_the_baseline_is_the_loss_of_a_guesser_without_memory(delay, symbols, length):
    """Oracle: the cross-entropy of that guesser, step by step on drawn sequences; and 10 ln 8 /
    (T + 20), the paper's."""
    _, y = data.make_copy(3, delay, symbols=symbols, length=length, rng=0)
    chances = np.zeros((y.shape[1], symbols + 2))
    chances[: delay + length, 0] = 1.0
    chances[delay + length :, 1 : symbols + 1] = 1.0 / symbols
    loss = -np.log(chances[np.arange(y.shape[1]), y]).mean()
    assert data.copy_baseline(delay, symbols=symbols, length=length) == pytest.approx(loss)
    assert data.copy_baseline(delay) == pytest.approx(10 * np.log(8) / (delay + 20))


def test_sequences_follow_their_seed():
    """Oracle: a seed is short for its generator, and another gives other sequences."""
    for make in (data.make_adding, data.make_copy):
        one, same, other = (make(3, 5, rng=rng)[0] for rng in (4, np.random.default_rng(4), 5))
        assert np.array_equal(one, same)
        assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: data.make_adding(0, 5, rng=0), ValueError, "n must be at least 1, got 0"),
        (lambda: data.make_adding(1, 1, rng=0), ValueError, "length must be at least 2, got 1"),
        (lambda: data.make_adding(1, 2.0, rng=0), TypeError, "length must be an integer, got 2.0"),
        (lambda: data.make_adding(1, 2, rng=0, dtype=int), TypeError, "dtype must be float32 or"),
        (lambda: data.make_adding(1, 2, rng=None), TypeError, "rng must be a numpy.random"),
        (lambda: data.make_copy(0, 1, rng=0), ValueError, "n must be at least 1, got 0"),
        (lambda: data.make_copy(1, 0, rng=0), ValueError, "delay must be at least 1, got 0"),
        (lambda: data.make_copy(1, 1, symbols=0, rng=0), ValueError, "symbols must be at least 1"),
        (lambda: data.make_copy(1, 1, length=0, rng=0), ValueError, "length must be at least 1"),
        (lambda: data.make_copy(1, 1, rng=-1), ValueError, "rng must be a non-negative seed"),
        (lambda: data.copy_baseline(0), ValueError, "delay must be at least 1, got 0"),
        (lambda: data.copy_baseline(1, symbols=0), ValueError, "symbols must be at least 1"),
        (lambda: data.copy_baseline(1, length=0), ValueError, "length must be at least 1, got 0"),
    ],
)
def test_sequences_refuse(call, error, message):
    with pytest.raises(error, match=message):
        call()
