"""Reports: the sentence to keep by a second reading, what simple rules score, and the parts."""

import re

import numpy as np
import pytest

from companion import data

NUMBERS = {data.number_words(number): number for number in range(1, 21)}
MADE = {
    part: data.make_reports(n, part=part, rng=seed)
    for seed, (part, n) in enumerate((("train", 3000), ("validation", 500), ("test", 500)))
}
TRAIN = MADE["train"]


def sentences(text):
    return re.findall(r"[^.]+ \.", text)


def read(text):
    """Return position and figure of each station's change, and the stations withdrawn, by regular
    expressions over the whole text."""
    changes = {}
    for position, sentence in enumerate(sentences(text)):
        found = re.search(r"\bat (\w+) .*(?:rose|fell|climbed|dropped) by (\w+) \.", sentence)
        if found:
            assert found[1] not in changes
            changes[found[1]] = (position, NUMBERS[found[2]])
    wrong = set(re.findall(r"from (\w+) was (?:wrong|not right) \.", text))
    right = set(re.findall(r"from (\w+) was (?:right|not wrong) \.", text))
    assert not wrong & right
    return changes, wrong, right


@pytest.mark.parametrize("part", list(MADE))
def test_the_sentence_to_keep_is_the_largest_figure_that_stands(part):
    """Oracle: a second reading of the text, by regular expressions."""
    made = MADE[part]
    for text, keep, withdrawn in zip(made.texts, made.keep, made.withdrawn, strict=True):
        changes, wrong, _ = read(text)
        standing = {changes[station] for station in changes.keys() - wrong}
        assert max(standing, key=lambda change: change[1])[0] == keep
        largest = max(changes, key=lambda station: changes[station][1])
        assert withdrawn == (largest in wrong)


def test_the_rule_is_plain_on_a_report_read_by_a_person():
    """Oracle: a person."""
    text = (
        "at elm the water dropped by nine . the river at birch rose by twenty . "
        "the figure from elm was not wrong . the figure from birch was not right . "
    )
    assert read(text) == ({"elm": (0, 9), "birch": (1, 20)}, {"birch"}, {"elm"})


def test_each_report_is_as_long_and_as_well_ordered_as_promised():
    """Oracle: the second reading: 4 to 8 sentences, at least two changes by different figures, and
    no word on a figure before the figure."""
    for text, count in zip(TRAIN.texts, TRAIN.counts, strict=True):
        assert 4 <= len(sentences(text)) == count <= 8
        changes, wrong, right = read(text)
        figures = [figure for _, figure in changes.values()]
        assert len(set(figures)) == len(figures) >= 2
        for position, sentence in enumerate(sentences(text)):
            found = re.match(r"the figure from (\w+)", sentence)
            if found:
                assert found[1] in wrong | right
                assert changes[found[1]][0] < position
    assert set(TRAIN.counts) == {4, 5, 6, 7, 8}


def largest(changes):
    """Return the position of the largest of some changes, or -1 if there is none."""
    return max(changes, key=lambda change: change[1], default=(-1, 0))[0]


def test_no_simple_rule_does_well():
    """Oracle: the rules themselves: the first sentence and the last, the first change and the
    last, the largest figure, the largest of which "wrong" is not said, and the largest of which
    nothing is said."""
    guesses = {}
    for text in TRAIN.texts:
        changes, wrong, right = read(text)
        blamed = set(re.findall(r"from (\w+) was (?:not )?wrong", text))
        for rule, guess in {
            "first": 0,
            "last": len(sentences(text)) - 1,
            "first change": min(changes.values())[0],
            "last change": max(changes.values())[0],
            "largest": largest(changes.values()),
            "wrong": largest(changes[station] for station in changes.keys() - blamed),
            "silence": largest(changes[station] for station in changes.keys() - wrong - right),
        }.items():
            guesses.setdefault(rule, []).append(guess)
    shares = {rule: np.mean(np.array(guess) == TRAIN.keep) for rule, guess in guesses.items()}
    assert shares == {
        "first": pytest.approx(0.25, abs=0.04),
        "last": pytest.approx(0.09, abs=0.03),
        "first change": pytest.approx(0.33, abs=0.04),
        "last change": pytest.approx(0.31, abs=0.04),
        "largest": pytest.approx(1.0 - TRAIN.withdrawn.mean()),
        "wrong": pytest.approx(0.60, abs=0.04),
        "silence": pytest.approx(0.65, abs=0.04),
    }
    assert TRAIN.withdrawn.mean() == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("part", list(MADE))
def test_the_arrays_say_what_the_texts_say(part):
    """Oracle: a loop over sentences and words."""
    made = MADE[part]
    assert made.tokens.shape == made.sentence.shape == (made.lengths.max(), len(made.texts))
    for column, text in enumerate(made.texts):
        ids, owners = [], []
        for position, sentence in enumerate(sentences(text)):
            for word in sentence.split():
                ids.append(made.vocabulary.tokens.index(word))
                owners.append(position)
        rest = len(made.tokens) - len(ids)
        assert made.tokens[:, column].tolist() == ids + [0] * rest
        assert made.sentence[:, column].tolist() == owners + [-1] * rest
        assert made.lengths[column] == len(ids)
    for array in (made.tokens, made.lengths, made.sentence, made.counts, made.keep):
        assert array.dtype == np.int64


def test_no_report_is_in_two_parts_or_twice_in_one():
    """Oracle: sets of texts."""
    sets = [set(made.texts) for made in MADE.values()]
    assert len(set.union(*sets)) == sum(len(made.texts) for made in MADE.values())
    used = {word for text in TRAIN.texts for word in text.split()}
    assert used == set(TRAIN.vocabulary.tokens) - {"<pad>"}


def test_reports_follow_their_seed():
    """Oracle: a seed is short for its generator, and another gives other reports."""
    one, same, other = (data.make_reports(9, rng=r) for r in (4, np.random.default_rng(4), 5))
    assert one.texts == same.texts
    assert np.array_equal(one.keep, same.keep)
    assert one.texts != other.texts
    assert repr(one).startswith("Reports(9, longest=")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n": 0}, ValueError, "n must be at least 1, got 0"),
        ({"part": "all"}, ValueError, "part must be one of 'train', 'validation', 'test', got"),
        ({"rng": 0.5}, TypeError, "rng must be a numpy.random.Generator"),
    ],
)
def test_make_reports_refuses(options, error, message):
    with pytest.raises(error, match=message):
        data.make_reports(**({"n": 1, "rng": 0} | options))
