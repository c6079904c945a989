"""Stories: answers and supporting sentences by a second reading, and what guessing would get."""

import itertools
import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from companion import data

TASKS = ("one-fact", "two-facts", "relations", "yes-no", "counting", "lists")
MADE = {task: data.make_stories(4000, task=task, rng=seed) for seed, task in enumerate(TASKS)}
TEST = {
    task: data.make_stories(3000, task=task, part="test", rng=seed)
    for seed, task in enumerate(TASKS)
}
# The sizes of a story at which something could go wrong, each with the fewest sentences.
SHORT = {
    task: data.make_stories(200, task=task, sentences=fewest, rng=9)
    for task, fewest in zip(TASKS, (1, 3, 1, 1, 4, 4), strict=True)
    if fewest > 1
} | {task: data.make_stories(20, task=task, sentences=1, rng=9) for task in ("one-fact", "yes-no")}
LONG = {task: data.make_stories(100, task=task, sentences=(30, 40), rng=9) for task in TASKS}
ALL = [(task, made) for group in (MADE, TEST, SHORT, LONG) for task, made in group.items()]

MOVE = re.compile(r"(\w+) (?:went|walked|moved) to the (\w+)")
TAKE = re.compile(r"(\w+) (?:took|grabbed|picked up) the (\w+)")
DROP = re.compile(r"(\w+) (?:dropped|left|put down) the (\w+)")
GIVE = re.compile(r"(\w+) (?:gave|handed|passed) the (\w+) to (\w+)")
KINDS = {
    "one-fact": (MOVE,),
    "two-facts": (MOVE, TAKE, DROP),
    "relations": (GIVE,),
    "yes-no": (MOVE,),
    "counting": (MOVE, TAKE, DROP),
    "lists": (MOVE, TAKE, DROP),
}


def read(text, kinds):
    """Return what kind of sentence it is, and the names in it."""
    matches = [(kind, kind.fullmatch(text)) for kind in kinds if kind.fullmatch(text)]
    assert len(matches) == 1
    return matches[0][0], matches[0][1].groups()


def answer(sentences, question, kinds):
    """Answer from the texts alone, reading backwards; return the answer and what it rests on."""
    told = [(number, *read(text, kinds)) for number, text in enumerate(sentences)][::-1]
    words = question.split()

    def moved(person, before):
        return next(
            (names[1], number)
            for number, kind, names in told
            if kind is MOVE and names[0] == person and number < before
        )

    def carried(person):
        """Return what the person holds, and the last sentence on each thing they ever held."""
        last = {}
        for number, kind, names in told:
            if kind is not MOVE and names[0] == person:
                last.setdefault(names[1], (number, kind))
        held = sorted(thing for thing, (_, kind) in last.items() if kind is TAKE)
        return held, tuple(sorted(number for number, _ in last.values()))

    if found := re.fullmatch(r"where is the (\w+)", question):
        number, kind, names = next(
            line for line in told if line[1] is not MOVE and line[2][1] == found[1]
        )
        place, since = moved(names[0], len(sentences) if kind is TAKE else number)
        return place, (number, since)
    if found := re.fullmatch(r"where is (\w+)", question):
        place, number = moved(found[1], len(sentences))
        return place, (number,)
    if found := re.fullmatch(r"is (\w+) in the (\w+)", question):
        place, number = moved(found[1], len(sentences))
        return "yes" if place == found[2] else "no", (number,)
    if found := re.fullmatch(r"how many objects is (\w+) carrying", question):
        held, numbers = carried(found[1])
        return ["none", "one", "two", "three"][len(held)], numbers
    if found := re.fullmatch(r"what is (\w+) carrying", question):
        held, numbers = carried(found[1])
        return ",".join(held) if held else "nothing", numbers
    if found := re.fullmatch(r"who gave the (\w+) to (\w+)", question):
        wanted, known = 0, {1: found[1], 2: found[2]}
    elif found := re.fullmatch(r"who did (\w+) give the (\w+) to", question):
        wanted, known = 2, {0: found[1], 1: found[2]}
    elif found := re.fullmatch(r"what did (\w+) give to (\w+)", question):
        wanted, known = 1, {0: found[1], 2: found[2]}
    else:
        assert words[:3] == ["who", "received", "the"]
        wanted, known = 2, {1: words[3]}
    return next(
        (names[wanted], (number,))
        for number, _, names in told
        if all(names[position] == name for position, name in known.items())
    )


@pytest.mark.parametrize(("task", "made"), ALL)
def test_answers_are_those_of_a_second_reading(task, made):
    """Oracle: regular expressions that read each text backwards from its end."""
    for number, sentences in enumerate(made.texts):
        expected, supporting = answer(sentences, made.question_texts[number], KINDS[task])
        assert made.answer_texts[number] == expected
        assert made.answer_names[made.answers[number]] == expected
        row = made.supporting[number].tolist()
        assert tuple(row[: len(supporting)]) == supporting
        assert set(row[len(supporting) :]) <= {-1}


@pytest.mark.parametrize(
    ("story", "question", "expected", "supporting"),
    [
        ("mary went to the kitchen. john went to the garden", "where is mary", "kitchen", (0,)),
        ("mary went to the office. mary took the cup", "where is the cup", "office", (1, 0)),
        (
            "mary went to the office. mary took the cup. john went to the office. "
            "mary moved to the garden. mary left the cup. mary went to the kitchen",
            "where is the cup",
            "garden",
            (4, 3),
        ),
        (
            "john gave the cup to mary. mary gave the cup to john",
            "who received the cup",
            "john",
            (1,),
        ),
        (
            "john gave the cup to mary. mary gave the cup to john",
            "who gave the cup to mary",
            "john",
            (0,),
        ),
        (
            "john gave the cup to mary. mary gave the apple to john",
            "what did mary give to john",
            "apple",
            (1,),
        ),
        (
            "john gave the cup to mary. mary gave the cup to anna",
            "who did mary give the cup to",
            "anna",
            (1,),
        ),
        ("mary went to the office. mary went to the garden", "is mary in the office", "no", (1,)),
        (
            "mary went to the office. mary took the cup. mary took the apple. mary left the cup",
            "how many objects is mary carrying",
            "one",
            (2, 3),
        ),
        (
            "mary went to the office. mary took the cup. mary took the apple",
            "what is mary carrying",
            "apple,cup",
            (1, 2),
        ),
        (
            "mary went to the office. mary moved to the garden",
            "what is mary carrying",
            "nothing",
            (),
        ),
    ],
)
def test_the_second_reading_is_right_where_it_is_plain(story, question, expected, supporting):
    """Oracle: a person."""
    kinds = (MOVE, TAKE, DROP, GIVE)
    assert answer(story.split(". "), question, kinds) == (expected, supporting)


@pytest.mark.parametrize(("task", "made"), ALL)
def test_what_is_told_can_happen(task, made):
    """Oracle: a world that is played through from the texts, and objects where they can be."""
    for sentences in made.texts:
        place, lies, holder = {}, {}, {}
        for text in sentences:
            kind, names = read(text, KINDS[task])
            if kind is MOVE:
                assert place.get(names[0]) != names[1]
                place[names[0]] = names[1]
            elif kind is TAKE:
                assert names[1] not in holder
                assert lies.get(names[1], place[names[0]]) == place[names[0]]
                holder[names[1]] = names[0]
            elif kind is DROP:
                assert holder.pop(names[1]) == names[0]
                lies[names[1]] = place[names[0]]
            else:
                assert holder.get(names[1], names[0]) == names[0] != names[2]
                holder[names[1]] = names[2]


@pytest.mark.parametrize(("task", "made"), ALL)
def test_the_arrays_say_what_the_texts_say(task, made):
    """Oracle: a loop over words."""
    n = len(made.texts)
    k = {"two-facts": 2, "counting": 3, "lists": 3}.get(task, 1)
    longest = made.stories.shape[1]
    assert made.stories.shape == (n, longest, 6)
    assert made.questions.shape == (n, 7)
    assert made.supporting.shape == (n, k)
    arrays = (made.stories, made.questions, made.answers, made.supporting, made.lengths)
    assert {array.dtype for array in arrays} == {np.dtype(np.int64)}

    def encode(text, width):
        ids = [made.vocabulary.tokens.index(word) for word in text.split(" ")]
        return ids + [0] * (width - len(ids))

    for number, sentences in enumerate(made.texts):
        assert made.lengths[number] == len(sentences)
        rows = [encode(text, 6) for text in sentences]
        rows += [[0] * 6] * (longest - len(sentences))
        assert made.stories[number].tolist() == rows
        assert made.questions[number].tolist() == encode(made.question_texts[number], 7)
    assert len(set(zip(made.texts, made.question_texts, strict=True))) == n


def test_the_vocabulary_is_the_same_for_all_tasks_and_is_used():
    """Oracle: all words of all texts, questions and answers."""
    assert len({made.vocabulary for _, made in ALL}) == 1
    used = set()
    for made in MADE.values():
        texts = (*itertools.chain(*made.texts), *made.question_texts, *made.answer_names)
        used.update(word for text in texts for word in text.split())
        assert len(made.vocabulary.encode(" ".join(made.answer_names))) == len(made.answer_names)
        assert set(made.answer_texts) == set(made.answer_names)
    assert {"<pad>", *used} == set(MADE["lists"].vocabulary.tokens)
    assert MADE["lists"].vocabulary.tokens[0] == "<pad>"


@pytest.mark.parametrize("task", TASKS)
def test_no_story_is_in_two_parts(task):
    """Oracle: sets of texts, from several seeds."""
    parts = [
        {
            story
            for seed in (3, 4)
            for story in data.make_stories(
                300, task=task, part=part, sentences=(5, 8), rng=seed
            ).texts
        }
        for part in ("train", "validation", "test")
    ]
    assert len(set.union(*parts)) == sum(map(len, parts))
    assert not set(MADE[task].texts) & set(TEST[task].texts)


def right(guesses, made):
    return np.mean([guess == text for guess, text in zip(guesses, made.answer_texts, strict=True)])


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("with_length", [False, True])
def test_the_question_alone_and_the_length_tell_only_what_is_possible(task, with_length):
    """Oracle: a table of the most frequent answer to each question in training, looked up for the
    test: right as often as a guess among the possible answers, within four standard errors. In
    relations three answers are possible, and four to who received something."""
    train, test = MADE[task], TEST[task]

    def keys(made):
        lengths = made.lengths.tolist() if with_length else [0] * len(made.texts)
        return list(zip(made.question_texts, lengths, strict=True))

    table = defaultdict(Counter)
    for key, text in zip(keys(train), train.answer_texts, strict=True):
        table[key][text] += 1
    chance = {
        "relations": np.mean(
            [1 / 4 if "received" in question else 1 / 3 for question in test.question_texts]
        )
    }.get(task, 1 / len(test.answer_names))
    spread = np.sqrt(chance * (1 - chance) / len(test.texts))
    guesses = [table[key].most_common(1)[0][0] for key in keys(test)]
    assert right(guesses, test) == pytest.approx(chance, abs=4 * spread)


@pytest.mark.parametrize("task", TASKS)
def test_answers_have_equal_chances(task):
    """Oracle: equal shares, within four and a half standard errors; of relations by form."""
    made = MADE[task]
    counts = np.bincount(made.answers, minlength=len(made.answer_names))
    n, expected = len(made.texts), np.full(len(counts), len(made.texts) / len(counts))
    if task == "relations":
        # One question of four asks for one of three objects, the others for one of four people.
        expected = np.array([n * 3 / 16] * 4 + [n / 12] * 3)
        forms = Counter(" ".join(text.split()[:2]) for text in made.question_texts)
        assert set(forms) == {"who gave", "who did", "what did", "who received"}
        for count in forms.values():
            assert count == pytest.approx(n / 4, abs=4 * np.sqrt(n * 3 / 16))
    np.testing.assert_array_less(np.abs(counts - expected), 4.5 * np.sqrt(expected))
    lengths = np.bincount(made.lengths)
    assert len(lengths) == 11
    assert lengths[:4].tolist() == [0] * 4
    np.testing.assert_allclose(lengths[4:], n / 7, atol=4 * np.sqrt(n * 6 / 49))


def places(sentences):
    return [match[2] for match in map(MOVE.fullmatch, sentences) if match]


def test_rules_that_hardly_read_do_better_than_chance():
    """Oracle: the shares that the docstring states, by regular expressions, within 3 points."""
    for task, share in (("one-fact", 0.43), ("two-facts", 0.30)):
        made = TEST[task]
        assert right([places(story)[-1] for story in made.texts], made) == pytest.approx(
            share, abs=0.03
        )

    now, then = [], []
    made = TEST["two-facts"]
    lying = 0
    for sentences, question, rows in zip(
        made.texts, made.question_texts, made.supporting, strict=True
    ):
        thing = question.split()[-1]
        last = max(number for number, text in enumerate(sentences) if text.endswith(thing))
        assert last == rows[0]
        own = [text for text in sentences if text.split()[0] == sentences[last].split()[0]]
        now.append(places(own)[-1])
        then.append(places(own[: own.index(sentences[last]) + 1])[-1])
        lying += DROP.fullmatch(sentences[last]) is not None
    assert right(now, made) == pytest.approx(0.83, abs=0.03)
    assert right(then, made) == pytest.approx(0.88, abs=0.03)
    assert lying / len(made.texts) == pytest.approx(1 / 3, abs=0.04)

    made = TEST["yes-no"]
    ever = []
    for sentences, question in zip(made.texts, made.question_texts, strict=True):
        _, person, _, _, place = question.split()
        told = [MOVE.fullmatch(text).groups() for text in sentences]
        assert place in places(sentences) or len(set(places(sentences))) == 1
        ever.append("yes" if (person, place) in told else "no")
    assert right(ever, made) == pytest.approx(0.67, abs=0.03)

    made = TEST["counting"]
    taken = [
        sum(TAKE.fullmatch(text) is not None for text in story if text.split()[0] == who)
        for story, who in zip(made.texts, [q.split()[-2] for q in made.question_texts], strict=True)
    ]
    names = made.answer_names
    assert right([names[min(count, 3)] for count in taken], made) == pytest.approx(0.81, abs=0.03)


def test_sentences_take_one_number_or_two():
    """Oracle: the lengths of what comes; a list is as good as a tuple."""
    made = data.make_stories(50, task="lists", sentences=6, rng=0)
    assert set(made.lengths) == {6}
    assert made.stories.shape == (50, 6, 6)
    made = data.make_stories(50, task="one-fact", sentences=[2, 3], rng=0)
    assert set(made.lengths) == {2, 3}
    # The array has room for the longest, whether or not one came.
    assert data.make_stories(1, sentences=(1, 50), rng=0).stories.shape == (1, 50, 6)


def test_stories_follow_their_seed():
    """Oracle: a seed is short for its generator, and another gives other stories."""
    for task in TASKS:
        one, same, other = (
            data.make_stories(9, task=task, rng=rng) for rng in (4, np.random.default_rng(4), 5)
        )
        assert one.texts == same.texts
        assert np.array_equal(one.supporting, same.supporting)
        assert one.texts != other.texts
    assert repr(one) == "Stories(9, sentences=10, vocabulary=53, answers=8)"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n": 0}, ValueError, "n must be at least 1, got 0"),
        ({"n": 1.0}, TypeError, "n must be an integer, got 1.0"),
        ({"task": "paths"}, ValueError, "task must be one of 'one-fact', 'two-facts', 'relations'"),
        ({"part": "all"}, ValueError, "part must be one of 'train', 'validation', 'test'"),
        ({"rng": None}, TypeError, "rng must be a numpy.random.Generator"),
        ({"sentences": 0}, ValueError, "sentences must be at least 1, got 0"),
        ({"sentences": 2.5}, TypeError, "sentences must be an integer, got 2.5"),
        ({"sentences": (3, 2)}, ValueError, r"sentences\[1\] must be at least 3, got 2"),
        ({"sentences": (0, 2)}, ValueError, r"sentences\[0\] must be at least 1, got 0"),
        ({"sentences": (1, 2, 3)}, ValueError, "sentences must be one or two integers, got"),
        ({"sentences": 2, "task": "two-facts"}, ValueError, "sentences must be at least 3, got 2"),
        ({"sentences": 3, "task": "lists"}, ValueError, "sentences must be at least 4, got 3"),
        ({"sentences": 3, "task": "counting"}, ValueError, "sentences must be at least 4, got 3"),
        ({"n": 1000, "sentences": 1}, ValueError, "n must be at most the number of different"),
    ],
)
def test_make_stories_refuses(options, error, message):
    with pytest.raises(error, match=message):
        data.make_stories(**({"n": 1, "rng": 0} | options))
