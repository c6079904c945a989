"""Sentences: their labels by a second reading, what each part holds, and that none is in two."""

import re

import numpy as np
import pytest

from companion import data

# Written down a second time, so that a word in the wrong list of the grammar is found.
PRAISE = {
    "usual": "charming clever fresh funny good lovely strong warm admire enjoy like",
    "plain": "bright graceful superb witty praise treasure",
    "held-out": "elegant splendid tender vivid adore relish",
}
BLAME = {
    "usual": "bad boring clumsy cold dull stale ugly weak dislike hate resent",
    "plain": "awful hollow messy tedious despise loathe",
    "held-out": "bland crude dreary lame detest mock",
}
NEGATION = re.compile(r"\b(?:not|never|hardly|doubt|nobody|false)\b")
TOPIC_WORDS = {
    "cooking": "baker chef cook waiter baked boiled fried tasted bread cake sauce soup",
    "music": "conductor pianist singer violinist composed performed recorded sang "
    "ballad melody sonata song",
    "sailing": "captain mate pilot sailor anchored boarded moored steered boat ferry ship yacht",
    "sport": "coach goalkeeper runner striker kicked scored trained won ball goal match race",
}
HELD_OUT_TOPIC_WORDS = {
    "cooking": "brewer butcher roasted seasoned omelette stew",
    "music": "cellist drummer hummed rehearsed anthem waltz",
    "sailing": "fisherman navigator launched towed canoe trawler",
    "sport": "defender referee dribbled tackled penalty tournament",
}
SENTIMENT_PARTS = ("train", "validation", "test", "negated", "held-out", "longer")
TOPIC_PARTS = ("train", "validation", "test", "held-out", "longer")
CASES = [
    *(("sentiment", part) for part in SENTIMENT_PARTS),
    *(("topic", part) for part in TOPIC_PARTS),
]
MADE = {
    (task, part): data.make_sentences(
        4000 if part == "train" else 1500, task=task, part=part, rng=seed
    )
    # Two seeds: the parts must not depend on it.
    for seed, (task, part) in enumerate(CASES)
}


def one_of(words):
    return re.compile(rf"\b(?:{'|'.join(words.split())})\b")


def deciding(text):
    """Return the clause that the sentence says: after the last "but", before any "although"."""
    return re.sub(r" although .*", "", re.sub(r".* but ", "", text))


def clauses(text):
    return re.split(r" (?:but|although) ", text)


def group(clause):
    """Return which group of words the clause thinks with, and 1 for a word of praise."""
    found = [
        (name, int(words is PRAISE))
        for words in (PRAISE, BLAME)
        for name in words
        for _ in one_of(words[name]).findall(clause)
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("part", SENTIMENT_PARTS)
def test_sentiments_are_those_of_a_second_reading(part):
    """Oracle: regular expressions: the clause that decides, its word, and the parity of its
    negations."""
    made = MADE["sentiment", part]
    assert made.classes == ("negative", "positive")
    for text, label in zip(made.texts, made.labels, strict=True):
        clause = deciding(text)
        assert label == (group(clause)[1] + len(NEGATION.findall(clause))) % 2


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("the film is not very good", 0),
        ("nobody says that the film is hardly bad", 0),
        ("i do not think that critics do not like the plot", 1),
        ("the cast is good although the plot is bad but the film is dull although i like it", 0),
    ],
)
def test_the_second_reading_is_right_where_it_is_plain(text, label):
    """Oracle: a person."""
    clause = deciding(text)
    assert (group(clause)[1] + len(NEGATION.findall(clause))) % 2 == label


@pytest.mark.parametrize("part", TOPIC_PARTS)
def test_topics_are_those_of_all_their_words(part):
    """Oracle: regular expressions: three words of the topic in each clause, none of another."""
    made = MADE["topic", part]
    assert made.classes == ("cooking", "music", "sailing", "sport")
    tables = HELD_OUT_TOPIC_WORDS if part == "held-out" else TOPIC_WORDS
    for text, label in zip(made.texts, made.labels, strict=True):
        count = len(re.split(r" (?:and|while) ", text))
        for number, topic in enumerate(made.classes):
            expected = 3 * count if number == label else 0
            assert len(one_of(tables[topic]).findall(text)) == expected
        assert count in ((3, 4) if part == "longer" else (1, 2))


@pytest.mark.parametrize(("task", "part"), CASES)
def test_the_arrays_say_what_the_texts_say(task, part):
    """Oracle: a loop over words; equal shares of the classes, within four standard errors."""
    made = MADE[task, part]
    assert made.tokens.shape == (max(made.lengths), len(made.texts))
    for column, text in enumerate(made.texts):
        words = text.split(" ")
        assert made.lengths[column] == len(words)
        ids = [made.vocabulary.tokens.index(word) for word in words]
        assert made.tokens[:, column].tolist() == ids + [0] * (len(made.tokens) - len(ids))
    n, classes = len(made.labels), len(made.classes)
    spread = 4 * np.sqrt((1 / classes) * (1 - 1 / classes) / n)
    np.testing.assert_allclose(np.bincount(made.labels) / n, 1 / classes, atol=spread)


@pytest.mark.parametrize("task", ["sentiment", "topic"])
def test_no_sentence_is_in_two_parts_or_twice_in_one(task):
    """Oracle: sets of texts, for large parts of several seeds."""
    sets = [set(made.texts) for (name, _), made in MADE.items() if name == task]
    assert len(set.union(*sets)) == sum(map(len, sets))
    train = data.make_sentences(10_000, task=task, rng=99)
    assert len(set(train.texts)) == 10_000
    for (name, part), made in MADE.items():
        if name == task and part != "train":
            assert not set(train.texts) & set(made.texts)


def test_what_training_shows_of_words_and_what_the_other_parts_ask():
    """Oracle: the three groups of words, read clause by clause."""
    trained = ("train", "validation", "test", "longer")
    asked = {
        "held-out": [("held-out", False), ("held-out", True)],
        "negated": [("plain", True)],
    }
    for part in SENTIMENT_PARTS:
        special = 0
        for text in MADE["sentiment", part].texts:
            parted = clauses(text)
            assert len(parted) in ((3, 4) if part == "longer" else (1, 2))
            for clause in parted:
                name, _ = group(clause)
                negated = bool(NEGATION.search(clause))
                if (name, negated) in asked.get(part, []):
                    special += 1
                    assert clause == deciding(text)
                else:
                    assert name != "held-out"
                    assert not (name == "plain" and negated)
        assert special == (0 if part in trained else len(MADE["sentiment", part].texts))


def test_longer_sentences_are_longer_than_any_of_training():
    """Oracle: the longest sentence that training can have: two clauses, as in the example."""
    example = "i do not think that critics do not really like the film"
    possible = len(f"{example} but {example}".split())
    for task in ("sentiment", "topic"):
        assert MADE[task, "longer"].lengths.min() > possible
        assert MADE[task, "train"].lengths.max() <= possible
    longest = max(
        len(clause.split())
        for text in data.make_sentences(20_000, rng=3).texts
        for clause in clauses(text)
    )
    assert longest == len(example.split())


def test_only_the_word_that_decides_tells_the_label_of_a_held_out_sentence():
    """Oracle: no correlation of the label with any word of training, within 4.5 standard errors;
    and none with how often the sentence negates."""
    made = data.make_sentences(6000, part="held-out", rng=0)
    signs = 2.0 * made.labels - 1.0
    known = set(MADE["sentiment", "train"].tokens.ravel().tolist()) - {0}
    for word in known:
        holds = (made.tokens == word).any(axis=0)
        assert abs(signs[holds].sum()) <= 4.5 * np.sqrt(holds.sum())
    negations = np.array([len(NEGATION.findall(deciding(text))) for text in made.texts])
    assert set(negations) == {0, 1, 2}
    for count in range(3):
        chosen = signs[negations == count]
        assert abs(chosen.sum()) <= 4.5 * np.sqrt(len(chosen))


def test_two_of_three_negated_sentences_are_negated_once():
    """Oracle: counts, within four standard errors."""
    texts = MADE["sentiment", "negated"].texts
    counts = np.bincount([len(NEGATION.findall(deciding(text))) for text in texts]) / len(texts)
    np.testing.assert_allclose(counts, [0, 2 / 3, 1 / 3], atol=4 * np.sqrt(2 / 9 / len(texts)))


def test_training_uses_every_word_but_those_held_out():
    """Oracle: the vocabulary less the lists of this file."""
    for task, lists in (
        ("sentiment", (PRAISE["held-out"], BLAME["held-out"])),
        ("topic", HELD_OUT_TOPIC_WORDS.values()),
    ):
        made = MADE[task, "train"]
        held_out = {word for words in lists for word in words.split()}
        used = {word for text in made.texts for word in text.split()}
        assert used == set(made.vocabulary.tokens) - held_out - {"<pad>"}
        assert made.vocabulary.tokens[0] == "<pad>"


def test_sentences_follow_their_seed():
    """Oracle: a seed is short for its generator, and another gives other sentences."""
    one, same, other = (data.make_sentences(9, rng=r) for r in (4, np.random.default_rng(4), 5))
    assert one.texts == same.texts
    assert np.array_equal(one.labels, same.labels)
    assert one.texts != other.texts
    assert repr(one).startswith("Sentences(9, longest=")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n": 0}, ValueError, "n must be at least 1, got 0"),
        ({"n": 1.0}, TypeError, "n must be an integer, got 1.0"),
        ({"task": "irony"}, ValueError, "task must be one of 'sentiment', 'topic', got 'irony'"),
        ({"part": "all"}, ValueError, "part must be one of 'train', 'validation', 'test', 'held-"),
        ({"task": "topic", "part": "negated"}, ValueError, "part must be one of"),
        ({"rng": None}, TypeError, "rng must be a numpy.random.Generator"),
    ],
)
def test_make_sentences_refuses(options, error, message):
    with pytest.raises(error, match=message):
        data.make_sentences(**({"n": 1, "rng": 0} | options))
