"""Adding, copying and matching: what stands where, and what guessing would get."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion import data
from companion.recurrence import SequenceCrossEntropyLoss


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


@given(
    n=st.integers(1, 9),
    delay=st.integers(0, 6),
    symbols=st.integers(2, 5),
    share=st.floats(0, 1),
    seed=st.integers(0, 999),
)
def test_a_delayed_match_shows_sample_delay_and_test(n, delay, symbols, share, seed):
    """Oracle: a loop that reads each trial step by step."""
    distractors = round(share * delay)
    x, y = data.make_delayed_match(
        n, delay=delay, symbols=symbols, distractors=distractors, rng=seed
    )
    assert x.shape == (delay + 2, n, symbols + 2)
    assert y.shape == (n,)
    assert y.dtype == np.int64
    assert y.sum() == n // 2
    for column in range(n):
        sample, *between, test = x[:, column].tolist()
        assert sorted(sample[:symbols]) == sorted(test[:symbols]) == [0.0] * (symbols - 1) + [1.0]
        assert sample[symbols:] == [0.0, 0.0]
        assert test[symbols:] == [1.0, 0.0]
        assert (sample[:symbols] == test[:symbols]) == (y[column] == 1)
        for step in between:
            assert step[symbols] == 0.0
            assert sum(step[:symbols]) == step[symbols + 1]
        assert sum(step[symbols + 1] for step in between) == distractors


def test_samples_tests_and_distractors_have_equal_chances():
    """Oracle: equal counts, within four standard errors: of the samples, of the tests that are
    another symbol given the sample, of the distractors, of the steps that they stand at, and of
    the matches in every other trial."""
    x, y = data.make_delayed_match(30_000, delay=5, symbols=3, distractors=2, rng=0)
    sample, test = x[0, :, :3].argmax(axis=1), x[-1, :, :3].argmax(axis=1)
    np.testing.assert_allclose(np.bincount(sample), 10_000, atol=4 * np.sqrt(30_000 * 2 / 9))
    for symbol in range(3):
        others = np.bincount(test[(sample == symbol) & (y == 0)], minlength=3)
        assert others[symbol] == 0
        expected = others.sum() / 2
        np.testing.assert_allclose(np.delete(others, symbol), expected, atol=4 * np.sqrt(expected))
    shown = x[1:-1, :, :3].sum(axis=(0, 1))
    np.testing.assert_allclose(shown, 20_000, atol=4 * np.sqrt(60_000 * 2 / 9))
    # Of half the trials, matches are drawn without replacement.
    assert y[::2].sum() == pytest.approx(7500, abs=4 * np.sqrt(15_000 / 8))
    steps = x[1:-1, :, 4].sum(axis=1)
    np.testing.assert_allclose(steps, 12_000, atol=4 * np.sqrt(30_000 * 0.4 * 0.6))


def test_who_has_lost_the_sample_can_only_guess():
    """Oracle: the share of matches is one half for any test and any last distractor, within four
    standard errors."""
    x, y = data.make_delayed_match(40_000, delay=1, symbols=2, distractors=1, rng=1)
    test, distractor = (x[step, :, :2].argmax(axis=1) for step in (2, 1))
    for first in (0, 1):
        for second in (0, 1):
            share = y[(test == first) & (distractor == second)]
            assert share.mean() == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / len(share)))


@given(
    n=st.integers(1, 5),
    back=st.integers(1, 4),
    more=st.integers(1, 12),
    symbols=st.integers(2, 6),
    seed=st.integers(0, 999),
)
def test_n_back_asks_whether_symbols_repeat(n, back, more, symbols, seed):
    """Oracle: a loop over the steps."""
    length = back + more
    x, y = data.make_n_back(n, length, back=back, symbols=symbols, rng=seed)
    assert x.shape == (length, n, symbols)
    assert y.shape == (n, length)
    assert y.dtype == np.int64
    assert set(x.ravel()) == {0.0, 1.0}
    assert np.array_equal(x.sum(axis=2), np.ones((length, n)))
    for column in range(n):
        shown = x[:, column].argmax(axis=1).tolist()
        assert y[column, :back].tolist() == [2] * back
        for step in range(back, length):
            assert y[column, step] == (shown[step] == shown[step - back])


@pytest.mark.parametrize("back", [1, 2, 3])
@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_matches_come_at_their_rate_whatever_came_before(back, rate):
    """Oracle: the rate, within four standard errors, at each step, for each symbol, and after
    matches and other steps alike."""
    x, y = data.make_n_back(8000, 9, back=back, symbols=3, match_rate=rate, rng=2)
    asked = y[:, back:]
    spread = 4 * np.sqrt(rate * (1 - rate) / len(asked))
    np.testing.assert_allclose(asked.mean(axis=0), rate, atol=spread)
    shown = x.argmax(axis=2).T[:, back:]
    for symbol in range(3):
        share = asked[shown == symbol]
        assert share.mean() == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / len(share)))
    for label in (0, 1):
        after = asked[:, 1:][asked[:, :-1] == label]
        if after.size:
            assert after.mean() == pytest.approx(
                rate, abs=4 * np.sqrt(rate * (1 - rate) / len(after))
            )


def test_lures_come_at_their_rate():
    """Oracle: the rate, within four standard errors, where a neighbour of the step asked about
    does not match, of 200 symbols that hardly repeat by chance; never where there is none."""
    x, _ = data.make_n_back(
        4000, 9, back=2, symbols=200, match_rate=0.0, lure_rate=0.6, rng=3, dtype=np.float32
    )
    shown = x.argmax(axis=2)
    now, after, target, before = shown[3:], shown[2:-1], shown[1:-2], shown[:-3]
    either = (after != target) & (before != target) & (after != before)
    repeats = np.array([now == after, now == before])
    for usable, share in (
        (repeats[0][either], 0.3),
        (repeats[1][either], 0.3),
        (repeats[0][(after != target) & (before == target)], 0.6),
        (repeats[1][(after == target) & (before != target)], 0.6),
        ((shown[2] == shown[1])[shown[1] != shown[0]], 0.6),
    ):
        spread = np.sqrt(share * (1 - share) / usable.size)
        assert usable.mean() == pytest.approx(share, abs=4 * spread + 0.005)
    assert not (now == target).any()
    # One step before the step asked about is the only neighbour, if not the step itself.
    x, _ = data.make_n_back(4000, 3, back=1, symbols=200, match_rate=0.0, lure_rate=0.6, rng=3)
    shown = x.argmax(axis=2)
    assert (shown[2] == shown[0]).mean() == pytest.approx(0.6, abs=4 * np.sqrt(0.24 / 4000) + 0.005)
    assert not (shown[1:] == shown[:-1]).any()
    x, _ = data.make_n_back(500, 9, back=2, symbols=200, lure_rate=0.0, match_rate=0.0, rng=3)
    shown = x.argmax(axis=2)
    assert (shown[1:] == shown[:-1]).mean() < 0.02


def test_familiarity_answers_without_lures_and_not_with_them():
    """Oracle: the definition of a lure. "Shown in the last three steps" finds all matches of
    2-back, and without lures nearly nothing else."""
    for lure_rate in (0.0, 1.0):
        x, y = data.make_n_back(2000, 12, back=2, symbols=50, lure_rate=lure_rate, rng=4)
        shown, asked = x.argmax(axis=2), y.T[3:]
        familiar = np.any([shown[3:] == shown[3 - lag : -lag] for lag in (1, 2, 3)], axis=0)
        assert familiar[asked == 1].all()
        false_alarms = familiar[asked == 0].mean()
        assert false_alarms < 0.05 if lure_rate == 0.0 else false_alarms > 0.5


def test_the_loss_of_sequences_leaves_out_what_is_not_asked():
    """Oracle: the cross-entropy of the asked steps alone."""
    _, y = data.make_n_back(20, 7, back=2, rng=5)
    logits = np.random.default_rng(0).normal(size=(7, 20, 2))
    value = SequenceCrossEntropyLoss(ignore_index=2).forward(logits, y)
    asked = SequenceCrossEntropyLoss().forward(logits[2:], y[:, 2:])
    assert value == pytest.approx(asked)


def test_matching_in_float32():
    """Oracle: the same numbers in another type."""
    for make in (
        lambda dtype: data.make_delayed_match(9, delay=4, distractors=2, rng=0, dtype=dtype),
        lambda dtype: data.make_n_back(9, 8, back=3, rng=0, dtype=dtype),
    ):
        (x, y), (single, labels) = make(np.float64), make(np.float32)
        assert x.dtype == np.float64
        assert single.dtype == np.float32
        assert np.array_equal(x, single)
        assert np.array_equal(y, labels)


def test_sequences_follow_their_seed():
    """Oracle: a seed is short for its generator, and another gives other sequences."""
    makers = (
        lambda rng: data.make_adding(3, 5, rng=rng),
        lambda rng: data.make_copy(3, 5, rng=rng),
        lambda rng: data.make_delayed_match(9, delay=5, distractors=3, rng=rng),
        lambda rng: data.make_n_back(3, 9, back=2, rng=rng),
    )
    for make in makers:
        one, same, other = (make(rng)[0] for rng in (4, np.random.default_rng(4), 5))
        assert np.array_equal(one, same)
        assert not np.array_equal(one, other)


def match(**options):
    return data.make_delayed_match(**({"n": 1, "delay": 3, "rng": 0} | options))


def n_back(**options):
    return data.make_n_back(**({"n": 1, "length": 5, "back": 2, "rng": 0} | options))


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
        (lambda: match(n=0), ValueError, "n must be at least 1, got 0"),
        (lambda: match(delay=-1), ValueError, "delay must be at least 0, got -1"),
        (lambda: match(delay=0.5), TypeError, "delay must be an integer, got 0.5"),
        (lambda: match(symbols=1), ValueError, "symbols must be at least 2, got 1"),
        (lambda: match(distractors=-1), ValueError, "distractors must be at least 0, got -1"),
        (
            lambda: match(distractors=4),
            ValueError,
            "distractors must be at most the delay, 3, got 4",
        ),
        (lambda: match(rng=None), TypeError, "rng must be a numpy.random"),
        (lambda: match(dtype=int), TypeError, "dtype must be float32 or"),
        (lambda: n_back(n=0), ValueError, "n must be at least 1, got 0"),
        (lambda: n_back(back=0), ValueError, "back must be at least 1, got 0"),
        (lambda: n_back(length=2), ValueError, "length must be at least 3, got 2"),
        (lambda: n_back(symbols=1), ValueError, "symbols must be at least 2, got 1"),
        (lambda: n_back(match_rate=1.1), ValueError, r"match_rate must lie in \[0, 1\], got 1.1"),
        (lambda: n_back(lure_rate=-0.1), ValueError, r"lure_rate must lie in \[0, 1\], got -0.1"),
        (lambda: n_back(lure_rate="1"), TypeError, "lure_rate must be a real number, got '1'"),
        (lambda: n_back(rng=-1), ValueError, "rng must be a non-negative seed"),
        (lambda: n_back(dtype=int), TypeError, "dtype must be float32 or"),
        (lambda: data.copy_baseline(0), ValueError, "delay must be at least 1, got 0"),
        (lambda: data.copy_baseline(1, symbols=0), ValueError, "symbols must be at least 1"),
        (lambda: data.copy_baseline(1, length=0), ValueError, "length must be at least 1, got 0"),
    ],
)
def test_sequences_refuse(call, error, message):
    with pytest.raises(error, match=message):
        call()
