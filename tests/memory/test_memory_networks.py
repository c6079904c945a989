"""Memory networks: one read, the network and its gradients, linear start, and conversations."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from companion import network
from companion.data import Vocabulary
from companion.memory import (
    Conversation,
    MemN2N,
    as_sequences,
    linear_start,
    memory_read,
    position_encoding,
)
from tests.network.oracles import DTYPES, SEEDS, SIZES, assert_close, central_differences, tensor
from tests.recurrence.oracles import LOOSE

WORDS, ANSWERS = 11, [4, 9, 10]


class Twin(nn.Module):
    """The same network in PyTorch: sentence by sentence, word by word, from the paper's text."""

    def __init__(self, model: MemN2N) -> None:
        super().__init__()
        self.tables = nn.Parameter(tensor(model.parameters()["embedding"]))
        times = model.parameters().get("temporal")
        self.times = None if times is None else nn.Parameter(tensor(times))
        self.options = model

    def sentence(self, words, table):
        words = [int(w) for w in words if w != 0]
        total = torch.zeros(table.shape[1], dtype=table.dtype)
        d, count = table.shape[1], len(words)
        for j, word in enumerate(words, start=1):
            if self.options.position_encoding:
                k = torch.arange(1, d + 1, dtype=table.dtype)
                weight = (1 - j / count) - (k / d) * (1 - 2 * j / count)
            else:
                weight = torch.ones(d, dtype=table.dtype)
            total = total + weight * table[word]
        return total

    def rows(self, story, hop):
        told = [s for s in story if (s != 0).any()]
        rows = []
        for i, s in enumerate(told):
            row = self.sentence(s, self.tables[hop])
            if self.times is not None:
                row = row + self.times[hop, len(told) - 1 - i]
            rows.append(row)
        return torch.stack(rows)

    def forward(self, stories, questions):
        logits, self.weights = [], []
        for story, question in zip(stories, questions, strict=True):
            u = self.sentence(question, self.tables[0])
            for hop in range(self.options.hops):
                scores = self.rows(story, hop) @ u
                p = scores if self.options.linear else torch.softmax(scores, dim=0)
                self.weights.append(p)
                u = u + p @ self.rows(story, hop + 1)
            logits.append(self.tables[-1][torch.tensor(self.options.answers)] @ u)
        return torch.stack(logits)


def stories_of(rng, n=4, sentences=3, words=4, question=3):
    """Return stories and questions of different lengths."""
    stories = rng.integers(1, WORDS, size=(n, sentences, words))
    stories *= np.arange(words) < rng.integers(1, words + 1, size=(n, sentences, 1))
    stories *= np.arange(sentences)[:, None] < rng.integers(1, sentences + 1, size=(n, 1, 1))
    questions = rng.integers(1, WORDS, size=(n, question))
    return stories, questions * (np.arange(question) < rng.integers(1, question + 1, size=(n, 1)))


def network_of(rng, dtype=np.float64, **options):
    """Return a network with large random parameters, so that no part of it hides."""
    model = MemN2N(WORDS, ANSWERS, 5, 6, rng=rng, dtype=dtype, **options)
    for array in model.parameters().values():
        array[...] = rng.normal(scale=0.6, size=array.shape)
    model.parameters()["embedding"][:, 0] = 0.0
    return model


@given(
    hops=st.integers(1, 3),
    place=st.booleans(),
    time=st.booleans(),
    linear=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    seed=SEEDS,
)
@settings(max_examples=40)
def test_memn2n_and_its_twin(hops, place, time, linear, dtype, seed):
    """Oracle: the network in PyTorch, one story and one word at a time, and its autograd."""
    rng = np.random.default_rng(seed)
    model = network_of(
        rng, dtype, hops=hops, position_encoding=place, temporal_encoding=time, linear=linear
    )
    stories, questions = stories_of(rng)
    twin = Twin(model)
    logits, expected = model((stories, questions)), twin(stories, questions)
    scale, tolerance = 10.0 ** (hops * linear), LOOSE[np.dtype(dtype)]
    assert_close(logits, expected, scale=scale, tolerance=tolerance)
    assert model.attention_weights.dtype == dtype
    told = (stories != 0).any(axis=2)
    for i, (n, hop) in enumerate(np.ndindex(len(stories), hops)):
        weights = model.attention_weights[n, hop]
        assert_close(weights[told[n]], twin.weights[i], scale=scale, tolerance=tolerance)
        assert not weights[~told[n]].any()
    g = rng.normal(size=logits.shape).astype(dtype)
    expected.backward(tensor(g))
    zeros = model.backward(g)
    assert [z.shape for z in zeros] == [stories.shape, questions.shape]
    assert not any(z.any() for z in zeros)
    scale = 100.0 ** (hops * linear)
    found = model.gradients()
    assert_close(found["embedding"], twin.tables.grad, scale=scale, tolerance=tolerance)
    assert not found["embedding"][:, 0].any()
    assert ("temporal" in found) == time
    if time:
        assert_close(found["temporal"], twin.times.grad, scale=scale, tolerance=tolerance)


@pytest.mark.parametrize("linear", [False, True])
def test_memn2n_gradients_by_differences(linear):
    """Oracle: central differences of the cross-entropy."""
    rng = np.random.default_rng(0)
    model = network_of(rng, hops=3, linear=linear)
    x, y, loss = stories_of(rng), np.array([0, 1, 2, 1]), network.CrossEntropyLoss()

    def total():
        return loss.forward(model(x), y)

    total()
    model.backward(loss.backward())
    gradients = {name: array.copy() for name, array in model.gradients().items()}
    for name, array in model.parameters().items():
        assert_close(gradients[name], central_differences(total, array) * (1.0), tolerance=1e-7)


def test_a_switch_between_the_passes_does_no_harm():
    """Invariant: backward goes back by the pass that was made, not by what is set since."""
    rng = np.random.default_rng(0)
    model, x = network_of(rng, linear=True), stories_of(rng)
    g = rng.normal(size=model(x).shape)
    model.backward(g)
    before = model.gradients()["embedding"].copy()
    model(x)
    model.linear = False
    model.backward(g)
    np.testing.assert_array_equal(model.gradients()["embedding"], before)


def test_one_hop_by_hand():
    """Closed form: orthogonal words, of which the query finds the one it shares."""
    model = MemN2N(5, [3, 4], 4, 2, hops=1, position_encoding=False, rng=0)
    model.parameters()["temporal"][...] = 0.0
    tables = model.parameters()["embedding"]
    tables[...] = 0.0
    tables[0, 1:3, :2] = 10.0 * np.eye(2)  # the first words, as the query sees them
    tables[1, 3:5, 2:] = np.eye(2)  # the second words, as they come back
    logits = model((np.array([[[1, 4], [2, 3]]]), np.array([[2]])))
    assert_close(model.attention_weights, np.array([[[0.0, 1.0]]]))
    assert_close(logits, np.array([[1.0, 0.0]]))


@given(seed=SEEDS)
def test_padding_changes_nothing(seed):
    """Invariant: more zeros behind words and sentences give the same logits and gradients."""
    rng = np.random.default_rng(seed)
    model, (stories, questions) = network_of(rng), stories_of(rng)
    g = rng.normal(size=(len(stories), len(ANSWERS)))
    results = []
    for extra in (0, 2):
        wide = np.pad(stories, ((0, 0), (0, extra), (0, extra)))
        logits = model((wide, np.pad(questions, ((0, 0), (0, extra)))))
        model.backward(g)
        results.append((logits, *(a.copy() for a in model.gradients().values())))
    for narrow, wide in zip(*results, strict=True):
        assert_close(wide, narrow)


def test_order_counts_only_with_its_encodings():
    """Invariant: without temporal encoding sentences may be swapped, without position
    encoding words; with both neither."""
    rng = np.random.default_rng(0)
    stories, questions = rng.integers(1, WORDS, size=(3, 4, 5)), np.array([[1], [2], [3]])
    for place, time in ((True, False), (False, True), (True, True)):
        model = network_of(rng, position_encoding=place, temporal_encoding=time)
        logits = model((stories, questions))
        same_words = np.allclose(model((stories[:, :, ::-1], questions)), logits)
        same_sentences = np.allclose(model((stories[:, ::-1], questions)), logits)
        assert (same_words, same_sentences) == (not place, not time)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"num_embeddings": 0}, ValueError, "num_embeddings must be at least 1"),
        ({"embed_dim": 0}, ValueError, "embed_dim must be at least 1"),
        ({"memory_size": 0}, ValueError, "memory_size must be at least 1"),
        ({"hops": 0}, ValueError, "hops must be at least 1"),
        ({"answers": [1, 11]}, ValueError, "answers must lie in 0..10"),
        ({"answers": [0, 1]}, ValueError, "answers must be a list of tokens without 0"),
        ({"answers": []}, ValueError, "answers must be a list of tokens without 0"),
        ({"answers": 3}, ValueError, "answers must be a list of tokens without 0"),
        ({"answers": [3, 3]}, ValueError, "answers must all be different"),
        ({"dtype": int}, TypeError, "dtype must be float32 or float64"),
    ],
)
def test_memn2n_arguments(change, error, message):
    """Oracle: the message names the argument."""
    options = {"num_embeddings": WORDS, "answers": ANSWERS, "embed_dim": 5, "memory_size": 6}
    with pytest.raises(error, match=re.escape(message)):
        MemN2N(**(options | change), rng=0)


GOOD = np.array([[[1, 2], [3, 0]]]), np.array([[1, 0]])


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (GOOD[0], TypeError, "x must be a pair (stories, questions), got ndarray"),
        ((GOOD[0] + 0.5, GOOD[1]), TypeError, "stories must hold whole numbers"),
        ((GOOD[0] + 9, GOOD[1]), ValueError, "stories must lie in 0..10"),
        ((GOOD[0][0], GOOD[1]), ValueError, "must have shapes (N, S, W) and (N, Q)"),
        ((GOOD[0], GOOD[1][0]), ValueError, "must have shapes (N, S, W) and (N, Q)"),
        ((GOOD[0], GOOD[1][[0, 0]]), ValueError, "must have shapes (N, S, W) and (N, Q)"),
        ((GOOD[0][:, [0] * 7], GOOD[1]), ValueError, "at most 6 sentences, got 7"),
        ((GOOD[0] * 0, GOOD[1]), ValueError, "stories must have at least one sentence"),
        ((GOOD[0][:, :0], GOOD[1]), ValueError, "stories must have at least one sentence"),
        ((GOOD[0], GOOD[1] * 0), ValueError, "questions must have at least one word"),
        ((GOOD[0][:, :, ::-1], GOOD[1]), ValueError, "stories must have zeros only behind"),
        ((GOOD[0] * [[0], [1]], GOOD[1]), ValueError, "stories must have zeros only behind"),
        ((GOOD[0], GOOD[1][:, ::-1]), ValueError, "questions must have zeros only behind"),
    ],
)
def test_memn2n_inputs(x, error, message):
    """Oracle: the message names what is wrong."""
    model = MemN2N(WORDS, ANSWERS, 5, 6, rng=0)
    with pytest.raises(error, match=re.escape(message)):
        model(x)


def test_memn2n_misuse():
    """Oracle: the messages, and the sizes in the text of the network."""
    model = MemN2N(WORDS, ANSWERS, 5, 6, rng=0)
    with pytest.raises(RuntimeError, match="backward was called before forward"):
        model.backward(np.zeros((1, 3)))
    model(GOOD)
    with pytest.raises(ValueError, match=re.escape("grad_output must have shape (1, 3)")):
        model.backward(np.zeros((1, 2)))
    assert repr(model) == "MemN2N(11, 3 answers, 5, 6, hops=3)"


@given(words=SIZES, size=SIZES, dtype=st.sampled_from(DTYPES))
def test_position_encoding(words, size, dtype):
    """Oracle: the formula, entry by entry, and that the places of a sentence add up to
    (J - 1) / 2 + k / d."""
    found = position_encoding(words, size, dtype=dtype)
    expected = [
        [(1 - j / words) - (k / size) * (1 - 2 * j / words) for k in range(1, size + 1)]
        for j in range(1, words + 1)
    ]
    assert_close(found, np.array(expected, dtype=dtype))
    total = (words - 1) / 2 + np.arange(1, size + 1) / size
    assert_close(found.sum(axis=0), total.astype(dtype))


@pytest.mark.parametrize("place", [True, False])
def test_the_network_weighs_words_by_their_place(place):
    """Oracle: the weighted sum of the rows of the words, written out."""
    rng = np.random.default_rng(0)
    model = network_of(rng, hops=1, position_encoding=place, temporal_encoding=False)
    words, question = np.array([3, 1, 3, 7]), np.array([2, 5])
    logits = model((words[None, None], question[None]))
    weigh = position_encoding if place else lambda j, d: np.ones((j, d))
    tables = model.parameters()["embedding"]
    u = (weigh(2, 5) * tables[0, question]).sum(axis=0)
    c = (weigh(4, 5) * tables[1, words]).sum(axis=0)
    # With one sentence its weight is one.
    assert_close(logits, ((u + c) @ tables[1, ANSWERS].T)[None])


def test_position_encoding_arguments():
    """Oracle: the messages."""
    with pytest.raises(ValueError, match="words must be at least 1"):
        position_encoding(0, 3)
    with pytest.raises(ValueError, match="embed_dim must be at least 1"):
        position_encoding(3, 0)
    with pytest.raises(TypeError, match="dtype must be float32 or float64"):
        position_encoding(3, 3, dtype=int)


@given(sizes=st.tuples(SIZES, SIZES, SIZES, SIZES), linear=st.booleans(), seed=SEEDS)
def test_memory_read(sizes, linear, seed):
    """Oracle: torch, one memory at a time, without the rows that the mask hides."""
    n, sentences, size, width = sizes
    rng = np.random.default_rng(seed)
    query, memory = rng.normal(size=(n, size)), rng.normal(size=(n, sentences, size))
    output = rng.normal(size=(n, sentences, width))
    mask = rng.random((n, sentences)) < 0.6
    mask[:, 0] = True
    for given_mask in (mask, None):
        seen = np.ones_like(mask) if given_mask is None else mask
        read, weights = memory_read(query, memory, output, mask=given_mask, linear=linear)
        assert not weights[~seen].any()
        for i in range(n):
            p = tensor(memory[i, seen[i]]) @ tensor(query[i])
            p = p if linear else torch.softmax(p, dim=0)
            assert_close(weights[i, seen[i]], p)
            assert_close(read[i], p @ tensor(output[i, seen[i]]))


@pytest.mark.parametrize("linear", [False, True])
def test_memory_read_arguments(linear):
    """Oracle: the messages; float32 stays."""
    u, m, c = np.ones((2, 3)), np.ones((2, 4, 3)), np.ones((2, 4, 5))
    with pytest.raises(ValueError, match="memory must have shape"):
        memory_read(u, m[:, :, :2], c, linear=linear)
    with pytest.raises(ValueError, match="output must have shape"):
        memory_read(u, m, c[:, :2], linear=linear)
    with pytest.raises(ValueError, match="query must have 2 axes"):
        memory_read(u[0], m, c, linear=linear)
    with pytest.raises(ValueError, match=re.escape("mask must have shape (2, 4), got (4,)")):
        memory_read(u, m, c, mask=np.full(4, True), linear=linear)
    with pytest.raises(TypeError, match="mask must be of type bool"):
        memory_read(u, m, c, mask=np.ones((2, 4)), linear=linear)
    small = (a.astype(np.float32) for a in (u, m, c))
    mask = np.full((2, 4), True)
    assert {a.dtype for a in memory_read(*small, mask=mask, linear=linear)} == {np.dtype("f4")}


def toy(rng, n=200):
    """Return stories of two sentences, a name and a place each, and who is where."""
    stories = np.stack((rng.permuted(np.tile([1, 2], (n, 1)), axis=1), rng.integers(3, 6, (n, 2))))
    stories = np.moveaxis(stories, 0, 2)
    asked = rng.integers(1, 3, size=(n, 1))
    return (stories, asked), stories[np.arange(n), (stories[:, :, 0] == asked).argmax(axis=1), 1]


def test_linear_start():
    """Oracle: a task that one hop solves is solved; the softmax is in place afterwards."""
    rng = np.random.default_rng(0)
    x, y = toy(rng)
    model = MemN2N(6, [3, 4, 5], 8, 2, hops=1, rng=0)
    options = {"validation": toy(rng), "rng": 0}
    options["validation"] = (options["validation"][0], options["validation"][1] - 3)
    loss, adam = network.CrossEntropyLoss(), network.Adam(0.02)
    modes = []

    def metric(prediction, target):
        modes.append(model.linear)
        return network.accuracy(prediction, target)

    history = linear_start(model, loss, adam, x, y - 3, epochs=30, metric=metric, **options)
    assert all(modes)
    assert len(modes) == len(history)
    assert not model.linear
    network.fit(model, loss, adam, x, y - 3, epochs=20, **options)
    test, answers = toy(rng)
    assert network.accuracy(network.predict(model, test), answers - 3) > 0.99


def test_linear_start_stops_and_cleans_up():
    """Oracle: patience of one ends early when nothing can improve; an error restores the
    softmax."""
    rng = np.random.default_rng(0)
    x, y = toy(rng, 20)
    model = MemN2N(6, [3, 4, 5], 8, 2, rng=0)
    loss = network.CrossEntropyLoss()
    still = network.SGD(lr=1e-12)
    options = {"validation": (x, y - 3), "epochs": 9, "patience": 1, "rng": 0}
    model.parameters()["embedding"][...] = 0.0
    model.parameters()["temporal"][...] = 0.0
    assert linear_start(model, loss, still, x, y - 3, **options).stopped_early
    with pytest.raises(ValueError, match="y must have one entry"):
        linear_start(model, loss, still, x, y[1:] - 3, **options)
    assert not model.linear
    with pytest.raises(TypeError, match="model must be a MemN2N, got Linear"):
        linear_start(network.Linear(1, 1, rng=0), loss, still, x, y, **options)


@given(seed=SEEDS)
def test_as_sequences(seed):
    """Oracle: the words of each story and question in a Python list."""
    stories, questions = stories_of(np.random.default_rng(seed))
    columns = as_sequences(stories, questions).T
    lists = [
        [w for w in (*story.reshape(-1), *question) if w]
        for story, question in zip(stories, questions, strict=True)
    ]
    assert [[w for w in column if w] for column in columns.tolist()] == lists
    assert columns.shape[1] == max(map(len, lists))
    assert all((np.diff((column == 0).astype(int)) >= 0).all() for column in columns)


def test_as_sequences_edges():
    """Oracle: no stories, no words; the message."""
    assert as_sequences(np.zeros((0, 2, 3), int), np.zeros((0, 1), int)).shape == (0, 0)
    with pytest.raises(ValueError, match=re.escape("(N, S, W) and (N, Q), got (2, 3) and (1, 1)")):
        as_sequences(np.zeros((2, 3), int), np.zeros((1, 1), int))


@pytest.fixture
def talk():
    """Return a conversation with a network that knows who is where."""
    words = Vocabulary(("<pad>", "ann", "bob", "attic", "bath", "cellar"))
    x, y = toy(np.random.default_rng(0))
    model = MemN2N(6, [3, 4, 5], 8, 2, hops=1, rng=0)
    network.fit(model, network.CrossEntropyLoss(), network.Adam(0.02), x, y - 3, epochs=20, rng=0)
    return Conversation(model, words, ["attic", "bath", "cellar"])


def test_conversation(talk):
    """Oracle: the answers and the sentences that were told; a third sentence pushes out the
    first one from a memory of two."""
    talk.tell("Ann attic.")
    talk.tell(" bob cellar ")
    assert talk.sentences == ["Ann attic.", "bob cellar"]
    reply = talk.ask("Bob?")
    assert reply.answer == "cellar"
    assert 0.5 < reply.probability <= 1.0
    assert reply.weights.shape == (1, 2)
    assert reply.weights.argmax() == 1
    assert talk.say("ann ?").answer == "attic"
    assert talk.say("ann bath") is None
    later = talk.ask("ann")
    assert later.answer == "bath"
    assert later.weights.shape == (1, 3)
    assert later.weights[0, 0] == 0.0
    assert repr(talk).splitlines()[:3] == [
        "Ann attic.",
        "bob cellar",
        f"Bob? -> cellar ({reply.probability:.2f})",
    ]


def test_conversation_says_what_is_wrong(talk):
    """Oracle: the messages; nothing wrong is kept."""
    with pytest.raises(ValueError, match="question must come after a sentence"):
        talk.ask("ann?")
    unknown = "'eve', 'yard'; it knows ann, attic, bath, bob, cellar"
    with pytest.raises(ValueError, match=f"sentence must be made of .* got {unknown}"):
        talk.tell("eve yard")
    with pytest.raises(ValueError, match=r"sentence must have at least one word, got ' \. '"):
        talk.tell(" . ")
    with pytest.raises(TypeError, match="question must be a string, got 3"):
        talk.ask(3)
    assert talk.sentences == []
    with pytest.raises(TypeError, match="model must be a MemN2N, got str"):
        Conversation("model", talk.vocabulary, ["attic"])
    with pytest.raises(ValueError, match="answers must name the 3 answers of the model, got 1"):
        Conversation(talk.model, talk.vocabulary, ["attic"])


def test_conversation_in_a_notebook(talk):
    """Oracle: what the field shows after each entry; the HTML escapes what was typed."""
    talk.vocabulary = Vocabulary((*talk.vocabulary.tokens[:5], "<b>"))
    talk.tell("ann <b>")
    bundle = talk._repr_mimebundle_()
    assert bundle["text/plain"] == "ann <b>"
    assert "<li>ann &lt;b&gt;</li>" in bundle["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in bundle
    said, field, problem = talk.widget().children
    field.value = "eve attic"
    assert "got &#x27;eve&#x27;" in problem.value
    assert field.value == "eve attic"
    field.value = "bob bath"
    assert "<li>bob bath</li>" in said.value
    assert (problem.value, field.value) == ("", "")
    field.value = "bob?"
    assert re.search(r"<li>bob\? <strong>bath \(\d\.\d\d\)</strong></li>", said.value)
    field.value = "  "
    assert said.value == talk._repr_html_()
