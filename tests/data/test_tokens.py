"""Vocabularies: there and back, filling, frames; and how examples are drawn and parted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion import data
from companion.data import tokens

WORDS = data.Vocabulary(("<pad>", "<start>", "<end>", "a", "bb", "ccc"))
LETTERS = data.Vocabulary(("<pad>", "<start>", "<end>", *"abc "), characters=True)


@given(st.lists(st.lists(st.sampled_from(["a", "bb", "ccc"]), max_size=5), max_size=4))
def test_padded_texts_come_back(texts):
    """Oracle: a loop that writes each number, and the texts themselves."""
    joined = [" ".join(words) for words in texts]
    padded, lengths = WORDS.pad(joined)
    assert padded.shape == (max(map(len, texts), default=0), len(texts))
    assert lengths.tolist() == [len(words) for words in texts]
    for column, words in enumerate(texts):
        for row in range(len(padded)):
            expected = WORDS.tokens.index(words[row]) if row < len(words) else 0
            assert padded[row, column] == expected
        assert WORDS.decode(padded[:, column]) == joined[column]


@given(st.lists(st.text("abc ", max_size=6), min_size=1, max_size=4))
def test_framed_characters_come_back(texts):
    """Oracle: start, text, end, zeros, by hand; what follows the end is not read."""
    padded, lengths = LETTERS.pad(texts, framed=True)
    for column, text in enumerate(texts):
        body = [LETTERS.tokens.index(character) for character in text]
        rest = [0] * (len(padded) - len(text) - 2)
        assert padded[:, column].tolist() == [1, *body, 2, *rest]
        assert lengths[column] == len(text) + 2
        assert LETTERS.decode(padded[:, column]) == text
        assert LETTERS.decode([*padded[: lengths[column], column], 3, 4, 2]) == text


def test_integers_are_of_one_type_also_for_empty_texts():
    """Oracle: int64 everywhere."""
    assert WORDS.encode("").dtype == WORDS.encode("a bb").dtype == np.int64
    for texts in ([], [""], ["a"]):
        assert [array.dtype for array in WORDS.pad(texts)] == [np.int64, np.int64]
    assert WORDS.pad([])[0].shape == (0, 0)
    assert WORDS.decode([]) == ""
    assert (len(WORDS), repr(WORDS), repr(LETTERS)) == (
        *(6, "Vocabulary(6 words)", "Vocabulary(7 characters)"),
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: data.Vocabulary(("a",)), ValueError, "tokens must begin with '<pad>', got"),
        (lambda: data.Vocabulary(()), ValueError, "tokens must begin with '<pad>', got"),
        (lambda: data.Vocabulary(("<pad>", "a", "a")), ValueError, "tokens must be distinct"),
        (lambda: WORDS.encode("a dd"), ValueError, "text must be made of the vocabulary, got 'dd'"),
        (lambda: WORDS.encode(["a"]), TypeError, r"text must be a string, got \['a'\]"),
        (lambda: WORDS.decode([0.5]), TypeError, "ids must hold integers, got dtype float64"),
        (lambda: WORDS.decode([[1]]), ValueError, r"ids must have 1 axis, got shape \(1, 1\)"),
        (lambda: WORDS.decode([6]), ValueError, r"ids must lie in 0\.\.5, got values from 6 to 6"),
        (lambda: WORDS.decode([-1, 1]), ValueError, "got values from -1 to 1"),
    ],
)
def test_a_vocabulary_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_parts_have_their_shares():
    """Oracle: 8, 1 and 1 of 10, within four standard errors at 20,000 texts."""
    names = [tokens.part_of(f"text {number}") for number in range(20_000)]
    for part, share in zip(tokens.PARTS, (0.8, 0.1, 0.1), strict=True):
        assert names.count(part) / 20_000 == pytest.approx(
            share, abs=4 * np.sqrt(share * (1 - share) / 20_000)
        )


def test_pick_reaches_every_option_alike():
    """Oracle: equal counts, within four standard errors."""
    random = np.random.default_rng(0)
    picked = [tokens.pick(random, "abcde") for _ in range(10_000)]
    for letter in "abcde":
        assert picked.count(letter) == pytest.approx(2000, abs=4 * np.sqrt(10_000 * 0.16))


def test_distinct_examples_are_drawn_until_none_is_left():
    """Oracle: the even numbers below 40: all of them are found, in the order of their drawing, and
    one more is refused."""
    random, drawn = np.random.default_rng(0), []

    def draw():
        drawn.append(int(random.integers(40)))
        return drawn[-1]

    found = tokens.draw_distinct(20, draw, lambda number: number % 2 == 0)
    assert sorted(found) == list(range(0, 40, 2))
    assert found == list(dict.fromkeys(number for number in drawn if number % 2 == 0))
    with pytest.raises(ValueError, match=r"different examples, here 20, got 21$"):
        tokens.draw_distinct(21, draw, lambda number: number % 2 == 0)
    # The last try of a long row of misses still counts, and each row is counted anew.
    late = iter([0] * 10_000 + [1] * 10_000 + [2])
    assert tokens.draw_distinct(3, lambda: next(late), lambda _: True) == [0, 1, 2]
