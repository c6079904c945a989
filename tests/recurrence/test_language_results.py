"""What the lesson on language reports, found again from the stored network and by counting."""

from __future__ import annotations

import bz2
import lzma

import numpy as np
import pytest

from companion import data
from companion.network import Sequential
from companion.records import load
from companion.records.language import character_model, restored
from companion.recurrence import NGram, bits_per_token, log2_probabilities, sample, state_trace

PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def text() -> data.Text:
    return data.load_prose()


@pytest.fixture(scope="module")
def ngrams(text: data.Text) -> dict[int, NGram]:
    return {n: NGram(n, 59).fit(text.encode(text.train)) for n in (1, 3, 5, 7)}


@pytest.fixture(scope="module")
def model() -> Sequential:
    stored = load("language")
    return restored(stored.results["parameters"], size=59, units=stored.settings["units"])


def test_counts_run_out(text: data.Text, ngrams: dict[int, NGram]) -> None:
    """Oracle: the lesson's table. Training bits fall with the order, test bits turn at five."""
    bits = {
        n: [bits_per_token(m, text.encode(getattr(text, part))) for part in PARTS]
        for n, m in ngrams.items()
    }
    train, validation, test = zip(*bits.values(), strict=True)
    assert list(train) == sorted(train, reverse=True)
    assert min(bits, key=lambda n: bits[n][1]) == min(bits, key=lambda n: bits[n][2]) == 5
    assert test == pytest.approx((4.40, 2.77, 2.07, 2.19), abs=0.05)
    assert validation[2] < test[2]


def test_how_many_runs_of_the_test_text_are_new(text: data.Text) -> None:
    """Oracle: sets of runs, counted by hand: a seventh of those of five, under half of eight."""
    for n, expected in ((5, 0.14), (8, 0.44)):
        known = {text.train[i : i + n] for i in range(len(text.train))}
        runs = [text.test[i : i + n] for i in range(len(text.test) - n + 1)]
        assert np.mean([run not in known for run in runs]) == pytest.approx(expected, abs=0.03)


def test_compressors_are_ahead_of_the_counts(text: data.Text, ngrams: dict[int, NGram]) -> None:
    """Oracle: the length of the files that they write."""
    before, after = text.train.encode(), (text.train + text.test).encode()
    counts = bits_per_token(ngrams[5], text.encode(text.test))
    for compress, bits in ((lzma.compress, 2.03), (bz2.compress, 1.89)):
        extra = 8 * (len(compress(after)) - len(compress(before))) / len(text.test)
        assert extra == pytest.approx(bits, abs=0.06)
        assert extra < counts


def test_the_network_is_ahead_of_the_counts_and_a_mixture_of_both(
    text: data.Text, ngrams: dict[int, NGram], model: Sequential
) -> None:
    """Oracle: the lesson's 1.90 bits against 2.07, and 1.83 for the mixture. All three seeds are
    ahead, and emptying the state costs some hundredths."""
    test = text.encode(text.test)
    alone = log2_probabilities(model, test)
    count = ngrams[5].log2_probabilities(test)
    mixed = np.logaddexp2(alone + np.log2(0.6), count + np.log2(0.4))
    assert -alone.mean() == pytest.approx(1.90, abs=0.03)
    assert -mixed.mean() == pytest.approx(1.83, abs=0.03)
    for run in load("language").results["runs"]:
        assert run["test"] < -count.mean() - 0.1
        assert 0.03 < run["test_from_zero"] - run["test"] < 0.1


def test_greedy_decoding_falls_into_a_loop(text: data.Text, model: Sequential) -> None:
    """Oracle: the lesson's sample. From some place on the text repeats itself exactly; at a
    temperature of 1 it does not."""

    def repeats(temperature: float) -> bool:
        prompt = text.encode("\nthe ")
        end = sample(model, prompt, 400, temperature=temperature, rng=0)[-200:]
        return any((end[period:] == end[:-period]).all() for period in range(1, 100))

    assert repeats(0.0)
    assert not repeats(1.0)


def test_low_temperature_writes_what_is_too_likely(text: data.Text, model: Sequential) -> None:
    """Oracle: the lesson's table. Bits by the network itself rise with the temperature; at 1 they
    are fewer than genuine text needs."""
    prompt = text.encode("\nthe ")
    bits = [
        bits_per_token(model, sample(model, prompt, 2000, temperature=heat, rng=0))
        for heat in (0.3, 0.7, 1.0, 1.5)
    ]
    genuine = bits_per_token(model, text.encode(text.test))
    assert bits == sorted(bits)
    assert bits[1] < bits[2] < genuine < bits[3]


def _inside_and_letters(string: str) -> np.ndarray:
    """Return for each character: whether a parenthesis is open, letters since the last space."""
    rows, inside, letters = [], 0, 0
    for c in string:
        inside = {"(": 1, ")": 0, "\n": 0}.get(c, inside)
        letters = letters + 1 if c.isalnum() or c == "_" else 0
        rows.append((inside, min(letters, 12)))
    return np.array(rows, dtype=float)


def test_a_unit_counts_letters_and_none_holds_a_parenthesis(
    text: data.Text, model: Sequential
) -> None:
    """Oracle: numpy.corrcoef for the unit that is best on the validation text."""
    found = []
    for feature in (0, 1):
        tables = [
            np.corrcoef(
                state_trace(model, text.encode(part))["c"].T,
                _inside_and_letters(part)[:, feature],
            )[-1, :-1]
            for part in (text.validation, text.test)
        ]
        found.append(abs(tables[1][np.abs(tables[0]).argmax()]))
    assert found[0] < 0.3
    assert found[1] > 0.65


def test_the_other_units_hold_the_letters_too(text: data.Text, model: Sequential) -> None:
    """Oracle: least squares on the validation text, measured on the test text. Without the best
    unit nothing is lost, and an untrained network is nearly as good."""
    counts = [_inside_and_letters(part)[:, 1] for part in (text.validation, text.test)]
    blank = character_model(59, model[2].hidden_size, rng=0).eval()
    found = []
    for net, left_out in ((model, None), (model, "best"), (blank, None)):
        v, t = (state_trace(net, text.encode(p))["c"] for p in (text.validation, text.test))
        if left_out:
            unit = np.abs(np.corrcoef(v.T, counts[0])[-1, :-1]).argmax()
            v, t = np.delete(v, unit, axis=1), np.delete(t, unit, axis=1)
        fitted = np.linalg.lstsq(v - v.mean(axis=0), counts[0] - counts[0].mean())[0]
        found.append(np.corrcoef(t @ fitted, counts[1])[0, 1])
    assert found[0] == pytest.approx(found[1], abs=0.02)
    assert 0.8 < found[2] < found[0]


def test_most_parentheses_of_the_training_text_close_within_the_counts(text: data.Text) -> None:
    """Oracle: a scan with an index. More than half of the opened ones close within the four
    characters that a run of five sees before its last."""
    near, opened = 0, None
    for i, c in enumerate(text.train):
        near += c == ")" and opened is not None and i - opened <= 4
        opened = {"(": i, ")": None, "\n": None}.get(c, opened)
    assert near > 0.5 * text.train.count("(")


def test_an_open_parenthesis_is_not_remembered(text: data.Text, model: Sequential) -> None:
    """Oracle: the same text without the opening one. The closing costs about as many bits."""
    saved, opened, string = [], None, text.test
    for i, c in enumerate(string):
        if c == ")" and opened is not None and i - opened > 5:
            head, inside = string[max(0, opened - 100) : opened], string[opened + 1 : i + 1]
            kept, cut = (
                log2_probabilities(model, text.encode(head + p + inside))[-1] for p in ("(", "")
            )
            saved.append(kept - cut)
        opened = {"(": i, ")": None, "\n": None}.get(c, opened)
    assert len(saved) > 40
    assert abs(np.mean(saved)) < 0.5
