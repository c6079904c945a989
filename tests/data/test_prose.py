"""The prose: what is left of the documentation, its alphabet, and that no part leaks."""

import itertools
import re
from pydoc_data.topics import topics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion import data
from companion.data import prose

TEXT = data.load_prose()
PARTS = {part: getattr(TEXT, part) for part in ("train", "validation", "test")}


def test_the_parts_hold_about_80_10_and_10_per_cent():
    """Oracle: the shares asked for; a topic is not cut, so each may be 4 points off."""
    total = sum(map(len, PARTS.values()))
    assert total > 200_000
    for part, share in zip(PARTS, (0.8, 0.1, 0.1), strict=True):
        assert len(PARTS[part]) / total == pytest.approx(share, abs=0.04)
    assert repr(TEXT).startswith("Text(train=")
    assert repr(TEXT).endswith(", alphabet=59)")


def test_every_character_is_of_the_alphabet():
    """Oracle: sets of characters; the unknown ones are few."""
    whole = "".join(PARTS.values())
    assert set(whole) <= set(TEXT.alphabet)
    assert len(TEXT.alphabet) == len(set(TEXT.alphabet)) == 59
    assert TEXT.alphabet[-1] == "~"
    assert whole.count("~") < 0.001 * len(whole)
    assert all(part.endswith("\n") and not part.startswith("\n") for part in PARTS.values())
    assert not re.search(r"\n\n|  | \n|\n ", whole)


def words(text):
    """Cut a text into words, in a way that knows no lines."""
    return re.findall(r"[a-z0-9]+", text.lower())


def test_each_paragraph_stands_in_a_topic_of_its_own_part_alone():
    """Oracle: the words of each paragraph, looked for in the words of the raw topics. Paragraphs
    that other topics repeat stand in the first of them."""
    raw = {name: " ".join(words(topics[name])) for name in sorted(topics)}
    homes = {}
    for part, text in PARTS.items():
        for line in text.splitlines():
            key = " ".join(words(line))
            names = [name for name in raw if key in raw[name]]
            if names:
                homes.setdefault(part, []).append(names[0])
    found = sum(map(len, homes.values()))
    assert found > 0.9 * sum(text.count("\n") for text in PARTS.values())
    bounds = [(min(homes[part]), max(homes[part])) for part in PARTS]
    assert all(left[1] < right[0] for left, right in itertools.pairwise(bounds))


def test_no_long_run_of_words_is_in_two_parts():
    """Oracle: sets of runs of 12 words: none of another part occurs in training, and of runs of 8
    words less than one in a thousand."""

    def runs(text, length):
        return {
            tuple(line[start : start + length])
            for line in map(words, text.splitlines())
            for start in range(len(line) - length + 1)
        }

    for part in ("validation", "test"):
        assert not runs(PARTS[part], 12) & runs(PARTS["train"], 12)
        short = runs(PARTS[part], 8)
        assert len(short & runs(PARTS["train"], 8)) < 0.001 * len(short)
    # One sentence on types "compared by value" is in both of the smaller parts.
    assert len(runs(PARTS["validation"], 12) & runs(PARTS["test"], 12)) < 10


def test_cleaning_keeps_prose_and_drops_the_rest():
    """Oracle: a topic written by hand, of every kind of paragraph that the documentation has."""
    topic = """\
A heading of the topic that is long enough to look like a sentence
******************************************************************

   The *first* paragraph names "code", it’s
   “quoted” – and goes on: ünder “two” lines.

* A point of a list that is kept as a sentence.

[1] A footnote of several words that is kept too.

Changed in version 3.8: The method now takes five more arguments.

   rule ::= "not" rule of the grammar is left out.

   >>> this line is a session of the interpreter.

str.lower()

Too short a line.

A line of many words that ends without a full stop

then total = sum(item.price for item in basket) + tax[0] of (it) is left.

The arguments *args and the names **kwargs are not marks of emphasis.
"""
    assert list(prose._paragraphs(topic)) == [
        "the first paragraph names code, it's quoted - and goes on: ~nder two lines.",
        "a point of a list that is kept as a sentence.",
        "a footnote of several words that is kept too.",
        "the method now takes five more arguments.",
        "the arguments *args and the names **kwargs are not marks of emphasis.",
    ]


def test_a_third_of_known_runs_makes_a_paragraph_old():
    """Oracle: counted by hand: nine words have five runs of five."""
    seen = set()
    assert prose._is_new("a b c d e f g h i", seen)
    assert not prose._is_new("a b c d e f g h i", seen)
    # One of five runs is known, then two of five.
    assert prose._is_new("a b c d e z y x w", seen)
    assert not prose._is_new("b c d e f g q r s", seen)
    # One of three runs is a third.
    assert not prose._is_new("c d e f g k l", seen)
    assert prose._is_new("m n", seen)
    assert not prose._is_new("m n", seen)


def test_the_text_is_cut_at_the_nearest_topics(monkeypatch):
    """Oracle: eleven topics of one line each, the sizes of which are known."""
    lines = {}
    for letter in "abcdefghijk":
        lines[letter] = " ".join(letter + word for word in ("one", "two", "six", "ten", "x", "y."))
    monkeypatch.setattr("pydoc_data.topics.topics", dict(reversed(lines.items())))
    text = data.load_prose()
    # 80 % of 11 is 8.8, 90 % is 9.9.
    assert [part.count("\n") for part in (text.train, text.validation, text.test)] == [9, 1, 1]
    assert text.train.startswith("aone")
    assert text.test.startswith("kone")


@given(st.text(TEXT.alphabet, max_size=30))
def test_encoding_is_undone_by_decoding(text):
    """Oracle: the text itself, and str.index."""
    ids = TEXT.encode(text)
    assert ids.dtype == np.int64
    assert ids.tolist() == [TEXT.alphabet.index(character) for character in text]
    assert TEXT.decode(ids) == text


def test_unknown_characters_become_the_last():
    """Oracle: a letter with an accent and a capital, in place."""
    assert TEXT.decode(TEXT.encode("Né à")) == "~~ ~"
    with pytest.raises(TypeError, match=r"text must be a string, got \[1\]"):
        TEXT.encode([1])
    with pytest.raises(ValueError, match=r"ids must lie in 0\.\.58, got values from 59 to 59"):
        TEXT.decode([59])
    with pytest.raises(TypeError, match="ids must hold integers"):
        TEXT.decode([0.0])
