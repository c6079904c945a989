"""The runs of the lesson on memory networks in tiny forms."""

from __future__ import annotations

import json

import numpy as np
import pytest

from companion import data
from companion.memory import MemN2N
from companion.records import RUNS
from companion.records.memory_networks import (
    TASKS,
    TEST,
    TEST_SEED,
    Plan,
    about_people,
    attended,
    error,
    inputs,
    lengths,
    parts,
    reader,
    readers,
    stories,
    table,
    train,
)
from companion.recurrence import SequenceClassifier

TINY = {"n": 64, "epochs": 2}


def test_the_stories_are_those_of_the_data():
    """Oracle: the generator called directly; the same call gives the same object."""
    made = stories("two-facts", "test", 50, 3, 8)
    direct = data.make_stories(50, task="two-facts", part="test", sentences=8, rng=3)
    assert made.texts == direct.texts
    np.testing.assert_array_equal(made.questions, direct.questions)
    assert stories("two-facts", "test", 50, 3, 8) is made


def test_no_for_any_place():
    """Oracle: each question in words. A yes is left alone; a no asks for another place than the
    one where the person is, and all places but this one are asked for."""
    plain = stories("yes-no", "train", 400, 0)
    free = stories("yes-no", "train", 400, 0, (4, 10), True)
    assert free.texts == plain.texts
    asked = set()
    for row, answer in enumerate(plain.answer_texts):
        before = plain.vocabulary.decode(plain.questions[row]).split()
        after = plain.vocabulary.decode(free.questions[row]).split()
        assert before[:-1] == after[:-1]
        here = plain.texts[row][plain.supporting[row, 0]].split()[-1]
        if answer == "yes":
            assert before[-1] == after[-1] == here
        else:
            assert after[-1] != here
            asked.add((here, after[-1]))
    assert len(asked) == 6 * 5


@pytest.mark.parametrize("hops", [0, 1, 3])
def test_train(hops):
    """Oracle: the kind of network, its sizes, and the type of its numbers."""
    plan = Plan(hops, 0.01, **TINY, dtype="float64" if hops == 1 else "float32", hidden=5)
    model, loss = train("one-fact", plan, 0)
    assert 0 < loss < 5
    assert isinstance(model, SequenceClassifier if hops == 0 else MemN2N)
    assert {a.dtype for a in model.parameters().values()} == {np.dtype(plan.dtype)}
    made = stories("one-fact", "test", TEST, TEST_SEED)
    assert 0 <= error(model, made) <= 1
    if isinstance(model, MemN2N):
        assert model.hops == hops


def test_the_parts_of_a_plan():
    """Oracle: what the network says about itself; linear start ends with the softmax in place."""
    plan = Plan(2, 0.01, **TINY, position=False, temporal=False, memory_size=12)
    model, _ = train("one-fact", plan, 0)
    assert not model.position_encoding
    assert not model.temporal_encoding
    assert model.memory_size == 12
    model, _ = train("one-fact", Plan(1, 0.01, n=64, epochs=4, linear=True), 0)
    assert not model.linear


def test_attended():
    """Oracle: weights set by hand on stories whose needed sentences are known."""
    made = stories("two-facts", "test", 200, 0)
    count, sentences = made.stories.shape[:2]

    class Known(MemN2N):
        def forward(self, x):
            self.attention_weights = weights
            return np.zeros((count, 1))

    model = Known(len(made.vocabulary), [1], 2, 10, hops=2, rng=0)
    weights = np.zeros((count, 2, sentences))
    for hop in range(2):
        weights[np.arange(count), hop, made.supporting[:, hop]] = 1.0
    found = attended(model, made)
    assert found["found"] == 1.0
    assert found["hops"] == [[1.0, 0.0], [0.0, 1.0]]
    assert found["chance"] == pytest.approx(np.mean(2 / made.lengths), abs=1e-4)
    weights = weights[:, ::-1]
    assert attended(model, made)["hops"] == [[0.0, 1.0], [1.0, 0.0]]
    # The weights go to the first sentences: what is found is what happens to stand there.
    weights = np.zeros((count, 2, sentences))
    weights[:, :, 0] = 0.7
    weights[:, :, 1] = 0.3
    expected = np.mean(made.supporting < 2)
    assert attended(model, made)["found"] == pytest.approx(expected, abs=1e-4)


def test_attended_counts_only_what_is_needed():
    """Oracle: a loop over stories that need none to three sentences, with random weights."""
    made = stories("lists", "test", 200, 0)
    rng = np.random.default_rng(0)
    weights = rng.random((200, 1, 10)) * (np.arange(10) < made.lengths[:, None])[:, None]

    class Known(MemN2N):
        def forward(self, x):
            self.attention_weights = weights
            return np.zeros((200, 1))

    model = Known(len(made.vocabulary), [1], 2, 10, hops=1, rng=0)
    hits = total = 0
    for row, needed in zip(weights[:, 0], made.supporting, strict=True):
        wanted = {k for k in needed.tolist() if k >= 0}
        best = set(np.argsort(-row)[: len(wanted)].tolist())
        hits, total = hits + len(wanted & best), total + len(wanted)
    assert attended(model, made)["found"] == pytest.approx(hits / total, abs=1e-4)


def test_table():
    """Oracle: its shape, the choice of the smallest mean validation error, the majority counted."""
    found = table(
        ["one-fact", "yes-no"],
        {"0": [0.01], "1": [1e-6, 0.02]},
        {"0": [0], "1": [0, 1]},
        n=64,
        epochs={"0": 1, "1": 8},
    )
    json.dumps(found, allow_nan=False)
    assert list(found["runs"]) == ["LSTM", "1 hop"]
    assert list(found["tried"]) == ["1 hop"]
    tried = found["tried"]["1 hop"]
    assert found["rates"] == {"LSTM": 0.01, "1 hop": float(min(tried, key=tried.get))}
    assert [len(runs) for runs in found["runs"]["1 hop"].values()] == [2, 2]
    assert "hops" in found["runs"]["1 hop"]["one-fact"][0]
    assert "hops" not in found["runs"]["LSTM"]["one-fact"][0]
    answers = stories("yes-no", "test", TEST, TEST_SEED).answer_texts
    most = max(answers.count("yes"), answers.count("no"))
    assert found["majority"]["yes-no"] == pytest.approx(1 - most / TEST)


def test_parts():
    """Oracle: one entry for each case, task and seed."""
    cases = {
        "plain": {"tasks": ["one-fact", "lists"]},
        "other seeds": {"tasks": ["yes-no"], "seeds": [4], "any_place": True, "hops": 1},
    }
    for case in cases.values():
        case.update(n=64)
    found = parts(cases, lr=0.01, seeds=[0, 1], epochs=2)["runs"]
    json.dumps(found, allow_nan=False)
    assert {case: {t: len(r) for t, r in runs.items()} for case, runs in found.items()} == {
        "plain": {"one-fact": 2, "lists": 2},
        "other seeds": {"yes-no": 1},
    }
    assert set(found["plain"]["lists"][0]) == {"loss", "validation", "test"}


def test_lengths():
    """Oracle: one list for each seed, and the same error on stories that need no cut."""
    found = lengths(
        ["one-fact"],
        [6, 12],
        {"0": 0.01, "2": 0.01},
        {"0": [0], "2": [0, 1]},
        n=64,
        epochs={"0": 1, "2": 2},
    )["errors"]["one-fact"]
    assert {name: np.shape(errors) for name, errors in found.items()} == {
        "LSTM": (1, 2),
        "2 hops, all sentences": (2, 2),
        "2 hops, the last ones": (2, 2),
    }
    whole, last = (
        np.array(found[f"2 hops, {name}"]) for name in ("all sentences", "the last ones")
    )
    np.testing.assert_array_equal(whole[:, 0], last[:, 0])


def test_inputs_and_tasks():
    """Oracle: the arrays of the stories; the tasks are those of the full run."""
    made = stories("one-fact", "test", 50, 3)
    assert inputs(made)[0] is made.stories
    assert inputs(made)[1] is made.questions
    assert RUNS["memory-networks-table"].full["tasks"] == list(TASKS)


def test_about_people():
    """Oracle: the story told forwards; all people of a story are asked about in turn."""
    made = stories("two-facts", "train", 300, 0)
    questions, places = about_people(made, np.random.default_rng(0))
    assert questions.shape == made.questions.shape
    for text, ids, place in zip(made.texts, questions, places, strict=True):
        person = made.vocabulary.decode(ids).removeprefix("where is ")
        where = {}
        for sentence in text:
            who, *_, what = sentence.split()
            if " to the " in sentence:
                where[who] = what
        assert where[person] == place
    assert len({tuple(ids) for ids in questions.tolist()}) == 4


def test_readers():
    """Oracle: the stored numbers make a network with the stored errors."""
    settings = {"tasks": {"one-fact": 64, "lists": 64}, "people": {"lists": 32}}
    found = readers(**settings, epochs=3, lr=0.01, seeds=[0, 1])
    json.dumps(found, allow_nan=False)
    assert set(found["readers"]) == {"without", "with"}
    test = stories("lists", "test", TEST, TEST_SEED)
    wanted = np.array([found["answers"].index(text) for text in test.answer_texts])
    for kept in found["readers"].values():
        assert len(kept["losses"]) == 2
        assert set(kept["errors"]) == {"one-fact", "lists", "lists, where somebody is"}
        model = reader(test.vocabulary, found["answers"], kept)
        wrong = model(inputs(test)).argmax(axis=1) != wanted
        # Rounding may turn an answer or two.
        assert wrong.mean() == pytest.approx(kept["errors"]["lists"], abs=0.005)
    fresh = reader(test.vocabulary, found["answers"], rng=1)
    assert not np.array_equal(fresh.parameters()["temporal"], model.parameters()["temporal"])
