"""Attention, the encoder with a decoder, and the search for a text."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from companion import network
from companion.recurrence import (
    GRU,
    LSTM,
    RNN,
    AdditiveAttention,
    EncoderDecoder,
    SentenceScorer,
    SequenceCrossEntropyLoss,
    beam_search,
    dot_product_attention,
    dot_product_attention_backward,
    exact_match,
    greedy,
)
from companion.recurrence.attention import _search
from tests.network.oracles import (
    DTYPES,
    SEEDS,
    SIZES,
    TOLERANCE,
    assert_close,
    central_differences,
    tensor,
)
from tests.recurrence.oracles import LOOSE, assert_same_gradients, load_into

LEADING = st.sampled_from([(), (2,), (2, 3), (0,)])


def random_mask(rng, shape):
    """Return a mask in which every query may look somewhere."""
    mask = rng.random(shape) < 0.6
    np.put_along_axis(mask, rng.integers(shape[-1], size=(*shape[:-1], 1)), True, axis=-1)
    return mask


@given(
    leading=LEADING,
    queries=st.integers(0, 4),
    keys=SIZES,
    sizes=st.tuples(SIZES, SIZES),
    masked=st.booleans(),
    scale=st.sampled_from([None, 1.0, -0.3]),
    dtype=st.sampled_from(DTYPES),
    seed=SEEDS,
)
def test_dot_product_attention(leading, queries, keys, sizes, masked, scale, dtype, seed):
    """Oracle: torch.nn.functional.scaled_dot_product_attention, and its gradients."""
    rng = np.random.default_rng(seed)
    query, key, value = (
        rng.normal(size=(*leading, *shape)).astype(dtype)
        for shape in ((queries, sizes[0]), (keys, sizes[0]), (keys, sizes[1]))
    )
    mask = random_mask(rng, (*leading, queries, keys)) if masked else None
    output, weights = dot_product_attention(query, key, value, mask=mask, scale=scale)
    tensors = [tensor(array, grad=True) for array in (query, key, value)]
    expected = nn.functional.scaled_dot_product_attention(
        *tensors, attn_mask=None if mask is None else torch.tensor(mask), scale=scale
    )
    assert_close(output, expected)
    assert_close(weights.sum(axis=-1), np.ones((*leading, queries), dtype=dtype))
    assert (weights >= 0).all()
    if masked:
        assert not weights[~mask].any()
    g = rng.normal(size=output.shape).astype(dtype)
    expected.backward(tensor(g))
    grads = dot_product_attention_backward(g, query, key, value, weights, scale=scale)
    for grad, theirs in zip(grads, tensors, strict=True):
        assert_close(grad, theirs.grad, tolerance=LOOSE[np.dtype(dtype)])


def test_attention_gradients_by_differences():
    """Oracle: central differences of a weighted sum of the outputs."""
    rng = np.random.default_rng(0)
    query, key, value = rng.normal(size=(2, 3)), rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    mask, g = random_mask(rng, (2, 4)), rng.normal(size=(2, 2))

    def total():
        return float((g * dot_product_attention(query, key, value, mask=mask)[0]).sum())

    _, weights = dot_product_attention(query, key, value, mask=mask)
    grads = dot_product_attention_backward(g, query, key, value, weights)
    for grad, array in zip(grads, (query, key, value), strict=True):
        assert_close(grad, central_differences(total, array), tolerance=1e-8)


def test_attention_of_a_dictionary():
    """Closed form: orthogonal keys and a large scale look up, and a scale of zero averages."""
    keys, values = np.eye(4), np.arange(8.0).reshape(4, 2)
    found, weights = dot_product_attention(keys[[2, 0]], keys, values, scale=1e3)
    assert_close(found, values[[2, 0]])
    assert_close(weights, np.eye(4)[[2, 0]])
    assert_close(
        dot_product_attention(keys[:1], keys, values, scale=0.0)[0], values.mean(axis=0)[None]
    )


def test_a_mask_may_be_stretched():
    """Oracle: the same mask written out."""
    rng = np.random.default_rng(0)
    query, key = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4))
    mask = random_mask(rng, (2, 1, 5))
    narrow = dot_product_attention(query, key, key, mask=mask)
    wide = dot_product_attention(query, key, key, mask=np.repeat(mask, 3, axis=1))
    assert_close(narrow[0], wide[0], tolerance=1e-15)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        (([1.0], [[1.0]], [[1.0]]), {}, ValueError, "query must have at least 2 axes"),
        (([[1.0]], [[1.0, 2.0]], [[1.0]]), {}, ValueError, r"key must have shape \(any, 1\)"),
        (([[1.0]], [[1.0]], [[1.0], [2.0]]), {}, ValueError, r"value must have shape \(1, any\)"),
        (([[1.0]], np.ones((0, 1)), np.ones((0, 1))), {}, ValueError, "at least one row"),
        ((np.ones((1, 0)), np.ones((1, 0)), [[1.0]]), {}, ValueError, "one column"),
        (([[1.0]], [[1.0]], [[1.0]]), {"mask": [[1]]}, TypeError, "mask must be of type bool"),
        (([[1.0]], [[1.0]], [[1.0]]), {"mask": [True]}, ValueError, "mask must have shape"),
        (([[1.0]], [[1.0]], [[1.0]]), {"mask": [[True] * 2]}, ValueError, "mask must have shape"),
        (([[1.0]], [[1.0]], [[1.0]]), {"mask": [[False]]}, ValueError, "a row of False"),
        (([[1.0]], [[1.0]], [[1.0]]), {"scale": np.inf}, ValueError, "scale must lie in"),
    ],
)
def test_attention_refuses(arguments, options, error, words):
    """Messages name the argument."""
    with pytest.raises(error, match=words):
        dot_product_attention(*arguments, **options)


def test_attention_backward_refuses():
    """Messages name the argument."""
    one = np.ones((1, 1))
    with pytest.raises(ValueError, match="weights must have shape"):
        dot_product_attention_backward(one, one, one, one, np.ones((1, 2)))
    with pytest.raises(ValueError, match="grad_output must have shape"):
        dot_product_attention_backward(np.ones((2, 1)), one, one, one, one)


class TorchAdditive(nn.Module):
    """Bahdanau's score, written with PyTorch's layers."""

    def __init__(self, query_size: int, key_size: int, hidden_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, hidden_size)
        self.key = nn.Linear(key_size, hidden_size, bias=False)
        self.score = nn.Linear(hidden_size, 1, bias=False)

    def forward(self, query, key, mask=None):
        hidden = torch.tanh(self.query(query).unsqueeze(-2) + self.key(key).unsqueeze(-3))
        scores = self.score(hidden).squeeze(-1)
        if mask is not None:
            scores = scores.masked_fill(~torch.as_tensor(mask), -torch.inf)
        return torch.softmax(scores, dim=-1) @ key


@given(
    leading=LEADING,
    steps=st.tuples(st.integers(0, 4), SIZES),
    sizes=st.tuples(SIZES, SIZES, SIZES),
    masked=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    seed=SEEDS,
)
def test_additive_attention(leading, steps, sizes, masked, dtype, seed):
    """Oracle: the same in PyTorch, differentiated by it."""
    rng = np.random.default_rng(seed)
    layer = AdditiveAttention(*sizes, rng=rng, dtype=dtype)
    for array in layer.parameters().values():
        array[...] = rng.normal(size=array.shape)
    module = TorchAdditive(*sizes)
    load_into(layer, module)
    query = rng.normal(size=(*leading, steps[0], sizes[0])).astype(dtype)
    key = rng.normal(size=(*leading, steps[1], sizes[1])).astype(dtype)
    mask = random_mask(rng, (*leading, *steps)) if masked else None
    tensors = tensor(query, grad=True), tensor(key, grad=True)
    expected = module(*tensors, mask)
    assert_close(layer.forward((query, key), mask=mask), expected)
    if masked:
        assert not layer.weights[~mask].any()
    g = rng.normal(size=expected.shape).astype(dtype)
    expected.backward(tensor(g))
    for grad, theirs in zip(layer.backward(g), tensors, strict=True):
        assert_close(grad, theirs.grad, tolerance=LOOSE[np.dtype(dtype)])
    assert_same_gradients(layer, module)


def test_additive_attention_refuses():
    """Messages name the argument."""
    layer = AdditiveAttention(2, 3, 4, rng=0)
    assert repr(layer) == "AdditiveAttention(2, 3, 4)"
    with pytest.raises(TypeError, match=r"x must be a pair \(query, key\), got ndarray"):
        layer.forward(np.ones((1, 2)))
    with pytest.raises(ValueError, match="key must have shape"):
        layer.forward((np.ones((1, 2)), np.ones((1, 2))))
    with pytest.raises(ValueError, match="key must have at least one row"):
        layer.forward((np.ones((1, 2)), np.ones((0, 3))))
    with pytest.raises(ValueError, match="a row of False"):
        layer.forward((np.ones((1, 2)), np.ones((1, 3))), mask=[[False]])
    with pytest.raises(RuntimeError, match="before forward"):
        AdditiveAttention(2, 3, 4, rng=0).backward(np.ones((1, 3)))


class TorchEncoderDecoder(nn.Module):
    """The whole model in PyTorch, with packed sequences instead of our masks."""

    def __init__(self, source, target, embedding, hidden, *, attention, cell, bidirectional):
        super().__init__()
        kind = {RNN: nn.RNN, GRU: nn.GRU, LSTM: nn.LSTM}[cell]
        each = hidden // 2 if bidirectional else hidden
        self.source_embedding = nn.Embedding(source, embedding)
        self.encoder = kind(embedding, each, bidirectional=bidirectional)
        self.target_embedding = nn.Embedding(target, embedding)
        self.decoder = kind(embedding, hidden)
        if attention == "additive":
            self.attention = TorchAdditive(hidden, hidden, hidden)
        if attention:
            self.combine = nn.Linear(2 * hidden, hidden, bias=False)
        self.output = nn.Linear(hidden, target)
        self.kind = attention

    def forward(self, source, target):
        lengths = (source != 0).sum(dim=0)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.source_embedding(source), lengths, enforce_sorted=False
        )
        memory, state = self.encoder(packed)
        memory, _ = nn.utils.rnn.pad_packed_sequence(memory, total_length=len(source))

        def join(part):
            return torch.cat(list(part), dim=1).unsqueeze(0)

        state = tuple(join(p) for p in state) if isinstance(state, tuple) else join(state)
        outputs, _ = self.decoder(self.target_embedding(target), state)
        if self.kind:
            query, memory = outputs.transpose(0, 1), memory.transpose(0, 1)
            mask = (source != 0).T.unsqueeze(1)
            if self.kind == "additive":
                context = self.attention(query, memory, mask)
            else:
                context = nn.functional.scaled_dot_product_attention(
                    query, memory, memory, attn_mask=mask
                )
            joined = torch.cat((context, query), dim=2)
            outputs = torch.tanh(self.combine(joined)).transpose(0, 1)
        return self.output(outputs)


def random_pairs(rng, sizes=(6, 7), steps=(5, 4), n=3):
    """Return padded sources and targets."""
    source, target = (rng.integers(3, k, size=(t, n)) for k, t in zip(sizes, steps, strict=True))
    for array in (source, target):
        for column, length in enumerate(rng.integers(1, len(array) + 1, size=n)):
            array[length:, column] = 0
    target[0] = 1
    return source, target


@settings(max_examples=30)
@given(
    attention=st.sampled_from([None, "dot", "additive"]),
    cell=st.sampled_from([RNN, GRU, LSTM]),
    bidirectional=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    seed=SEEDS,
)
def test_encoder_decoder(attention, cell, bidirectional, dtype, seed):
    """Oracle: the same model in PyTorch, values and all gradients."""
    rng = np.random.default_rng(seed)
    options = {"attention": attention, "cell": cell, "bidirectional": bidirectional}
    model = EncoderDecoder(6, 7, 3, 4, rng=rng, dtype=dtype, **options)
    for array in model.parameters().values():
        array[...] = rng.normal(scale=0.7, size=array.shape)
    module = TorchEncoderDecoder(6, 7, 3, 4, **options)
    load_into(model, module)
    source, target = random_pairs(rng)
    expected = module(torch.tensor(source), torch.tensor(target))
    out = model.forward((source, target))
    loose = LOOSE[np.dtype(dtype)]
    assert_close(out, expected, tolerance=loose)
    g = rng.normal(size=out.shape).astype(dtype)
    expected.backward(tensor(g))
    grads = model.backward(g)
    assert [grad.shape for grad in grads] == [source.shape, target.shape]
    assert not any(grad.any() for grad in grads)
    assert_same_gradients(model, module)
    if attention is None:
        assert model.attention_weights is None
    else:
        weights = model.attention_weights
        assert weights.shape == (3, 4, 5)
        assert not weights[np.repeat((source == 0).T[:, None], 4, axis=1)].any()


@pytest.mark.parametrize("attention", [None, "dot", "additive"])
def test_padding_changes_nothing(attention):
    """Oracle: the same source without its padding."""
    rng = np.random.default_rng(0)
    model = EncoderDecoder(6, 7, 3, 4, attention=attention, bidirectional=True, rng=rng)
    source, target = rng.integers(3, 6, size=(4, 2)), rng.integers(3, 7, size=(3, 2))
    short = model.forward((source, target))
    longer = model.forward((np.pad(source, ((0, 3), (0, 0))), target))
    assert_close(longer, short, tolerance=1e-14)


def test_an_untrained_model_learns_to_copy():
    """Oracle: the pairs themselves; the loop of chapter 2 trains a model of two inputs."""
    rng = np.random.default_rng(0)
    words = rng.integers(3, 7, size=(3, 60))
    target = np.concatenate((np.full((1, 60), 1), words, np.full((1, 60), 2)))
    model = EncoderDecoder(7, 7, 8, 16, bidirectional=True, rng=0)
    x, y = (words, target[:-1]), target[1:].T
    loss = SequenceCrossEntropyLoss(ignore_index=0)
    history = network.fit(
        model, loss, network.Adam(0.02), x, y, epochs=25, batch_size=20, rng=0, batch_axis=1
    )
    assert history.train_loss[-1] < 0.1 * history.train_loss[0]
    texts, scores = greedy(model, words, max_length=6)
    assert exact_match(texts, target[1:]).mean() > 0.9
    logits = network.predict(model, x, batch_axis=1, batch_size=7)
    assert logits.shape == (4, 60, 7)
    # A text's score is the sum of the logarithms of its probabilities.
    right = exact_match(texts, target[1:])
    chosen = np.take_along_axis(network.log_softmax(logits), target[1:, :, None], axis=2)
    assert_close(scores[right], chosen[..., 0].sum(axis=0)[right], tolerance=1e-2)


def test_encoder_decoder_refuses():
    """Messages name the argument."""
    model = EncoderDecoder(6, 7, 3, 4, rng=0)
    assert repr(model) == "EncoderDecoder(6, 7, 3, 4, attention='dot')"
    with pytest.raises(ValueError, match="attention must be one of 'dot', 'additive'"):
        EncoderDecoder(6, 7, 3, 4, attention="much", rng=0)
    with pytest.raises(TypeError, match="cell must be a kind of RecurrentLayer"):
        EncoderDecoder(6, 7, 3, 4, cell=GRU(3, 4, rng=0), rng=0)
    with pytest.raises(TypeError, match="cell must be a kind of RecurrentLayer"):
        EncoderDecoder(6, 7, 3, 4, cell=int, rng=0)
    with pytest.raises(ValueError, match="hidden_size must be even"):
        EncoderDecoder(6, 7, 3, 5, bidirectional=True, rng=0)
    with pytest.raises(TypeError, match=r"x must be a pair \(source, target\)"):
        model.forward(np.ones((2, 2), int))
    with pytest.raises(ValueError, match="source must have 2 axes"):
        model.forward(([3], [[1]]))
    with pytest.raises(ValueError, match=r"source must lie in 0\.\.5"):
        model.forward(([[6]], [[1]]))
    with pytest.raises(ValueError, match=r"target must have shape \(any, 1\), got \(1, 2\)"):
        model.forward(([[3]], [[1, 1]]))
    for source in ([[0]], [[0], [3]], [[3], [0], [3]]):
        with pytest.raises(ValueError, match="source must have a token on top of each column"):
            model.forward((source, [[1]]))
    with pytest.raises(RuntimeError, match="before forward"):
        EncoderDecoder(6, 7, 3, 4, rng=0).backward(np.zeros((1, 1, 7)))


def random_model(rng, target=6, **options):
    """Return an untrained model whose probabilities differ enough to search among them."""
    model = EncoderDecoder(6, target, 3, 4, rng=rng, **options)
    for array in model.parameters().values():
        array[...] = rng.normal(size=array.shape)
    return model


def log_probability(model, source, text):
    """Return the score of one text by a forward pass over all of it at once."""
    logits = model.forward((source, np.array([1, *text[:-1]])[:, None]))[:, 0]
    logits[:, :2] = -np.inf  # neither padding nor start is ever written
    return sum(network.log_softmax(logits)[range(len(text)), text])


def all_texts(target, max_length):
    """Yield every text that ends, and every one cut off at the limit."""
    words = range(3, target)
    for length in range(max_length):
        for beginning in itertools.product(words, repeat=length):
            yield [*beginning, 2]
    yield from (list(text) for text in itertools.product(words, repeat=max_length))


@settings(max_examples=15)
@given(
    attention=st.sampled_from([None, "dot", "additive"]),
    cell=st.sampled_from([GRU, LSTM]),
    alpha=st.sampled_from([0.0, 0.7, 1.0]),
    seed=SEEDS,
)
def test_beam_search_finds_the_best_of_all(attention, cell, alpha, seed):
    """Oracle: the score of every text over a small vocabulary, by brute force."""
    rng = np.random.default_rng(seed)
    model = random_model(rng, attention=attention, cell=cell)
    source = random_pairs(rng, n=2)[0]
    texts, scores = beam_search(model, source, width=120, max_length=3, length_penalty=alpha)
    for column in range(2):
        column_source = source[: (source[:, column] > 0).sum(), [column]]
        every = {
            tuple(text): log_probability(model, column_source, text) / len(text) ** alpha
            for text in all_texts(6, 3)
        }
        best = max(every, key=every.get)
        assert scores[column] == pytest.approx(every[best], abs=1e-9)
        found = tuple(texts[texts[:, column] > 0, column])
        assert every[found] == pytest.approx(every[best], abs=1e-9)


@settings(max_examples=15)
@given(
    width=st.integers(1, 5),
    alpha=st.sampled_from([0.0, 1.0]),
    attention=st.sampled_from([None, "dot"]),
    seed=SEEDS,
)
def test_a_beam_is_never_worse_than_greedy(width, alpha, attention, seed):
    """Oracle: greedy, and a loop that takes the most probable token; width 1 is the same."""
    rng = np.random.default_rng(seed)
    model = random_model(rng, attention=attention, bidirectional=True)
    source = random_pairs(rng, n=4)[0]
    texts, scores = greedy(model, source, max_length=5)
    lengths = (texts > 0).sum(axis=0)
    for column in range(4):
        alone = source[: (source[:, column] > 0).sum(), [column]]
        text: list[int] = []
        while len(text) < 5 and text[-1:] != [2]:
            logits = model.forward((alone, np.array([1, *text])[:, None]))[-1, 0]
            text.append(2 + int(logits[2:].argmax()))
        assert texts[:, column].tolist() == text + [0] * (5 - len(text))
        assert scores[column] == pytest.approx(log_probability(model, alone, text), abs=1e-9)
    options = {"max_length": 5, "length_penalty": alpha}
    found, values = beam_search(model, source, width=width, **options)
    assert (values >= scores / lengths**alpha - 1e-12).all()
    same, one = beam_search(model, source, width=1, **options)
    assert (same == texts).all()
    assert_close(one, scores / lengths**alpha)
    assert found.shape == texts.shape


@pytest.mark.parametrize("cell", [GRU, LSTM])
def test_every_text_of_a_beam_has_the_score_of_the_model(cell):
    """Oracle: a forward pass over each text at once, with a state that follows its own words."""
    model = random_model(np.random.default_rng(1), target=8, cell=cell, bidirectional=True)
    source = random_pairs(np.random.default_rng(2), n=3)[0]
    texts, scores = _search(model, source, 6, 5)
    for column, place in np.ndindex(3, 6):
        alone = source[: (source[:, column] > 0).sum(), [column]]
        text = texts[texts[:, column, place] > 0, column, place].tolist()
        expected = log_probability(model, alone, text)
        assert scores[column, place] == pytest.approx(expected, abs=1e-9)
    assert len({tuple(text) for text in texts[:, 0].T}) == 6
    assert (np.diff(scores, axis=1) <= 0).all()


def test_what_is_kept_fills_up_with_nothing():
    """Closed form: with one text possible, every beam finds it."""
    model = random_model(np.random.default_rng(0), target=3)
    texts, scores = beam_search(model, [[3, 4]], width=5, max_length=4, length_penalty=1.0)
    assert texts.tolist() == [[2, 2], [0, 0], [0, 0], [0, 0]]
    assert_close(scores, np.zeros(2))


def test_search_refuses():
    """Messages name the argument."""
    model = random_model(np.random.default_rng(0))
    with pytest.raises(TypeError, match="model must be an EncoderDecoder, got int"):
        greedy(3, [[3]], max_length=2)
    with pytest.raises(ValueError, match="max_length must be at least 1"):
        greedy(model, [[3]], max_length=0)
    with pytest.raises(ValueError, match="width must be at least 1"):
        beam_search(model, [[3]], width=0, max_length=2)
    with pytest.raises(ValueError, match="length_penalty must lie in"):
        beam_search(model, [[3]], width=1, max_length=2, length_penalty=-1.0)
    with pytest.raises(ValueError, match="source must lie in"):
        greedy(model, [[9]], max_length=2)


def test_exact_match():
    """Closed form: a missing end, a wrong token and a longer text are no match."""
    target = np.array([[3, 3, 3, 3], [4, 4, 4, 4], [2, 2, 2, 2]])
    texts = np.array([[3, 3, 3, 3], [4, 5, 4, 4], [2, 2, 5, 0], [0, 0, 2, 0]])
    assert exact_match(texts, target).tolist() == [True, False, False, False]
    assert exact_match(texts[:3, :1], np.pad(target[:, :1], ((0, 2), (0, 0)))).tolist() == [True]
    assert exact_match(np.zeros((2, 0), int), np.zeros((3, 0), int)).shape == (0,)
    with pytest.raises(ValueError, match="texts and target must have as many columns"):
        exact_match(texts, target[:, :2])


class TorchScorer(nn.Module):
    """The scores of sentences in PyTorch, one text at a time, without masks."""

    def __init__(self, vocabulary, embedding, hidden, *, attention):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.encoder = nn.GRU(embedding, hidden // 2, bidirectional=True)
        if attention:
            self.query, self.key, self.value = (
                nn.Linear(hidden, hidden, bias=False) for _ in range(3)
            )
        self.combine = nn.Linear(hidden * (2 if attention else 1), hidden)
        self.score = nn.Linear(hidden, 1, bias=False)
        self.attends = attention

    def forward(self, words, sentence):
        states, _ = self.encoder(self.embedding(words))
        means = torch.stack([states[sentence == k].mean(dim=0) for k in sentence.unique()])
        if self.attends:
            context = nn.functional.scaled_dot_product_attention(
                self.query(means), self.key(states), self.value(states)
            )
            means = torch.cat((means, context), dim=1)
        return self.score(torch.tanh(self.combine(means)))[:, 0]


@settings(max_examples=20)
@given(attention=st.booleans(), dtype=st.sampled_from(DTYPES), seed=SEEDS)
def test_sentence_scorer(attention, dtype, seed):
    """Oracle: PyTorch, each text alone and without padding."""
    rng = np.random.default_rng(seed)
    model = SentenceScorer(8, 3, 4, 3, attention=attention, rng=rng, dtype=dtype)
    for array in model.parameters().values():
        array[...] = rng.normal(scale=0.7, size=array.shape)
    module = TorchScorer(8, 3, 4, attention=attention)
    load_into(model, module)
    sentences = [[0, 0, 1, 1, 1, 2], [0], [0, 1, 1]]
    words, place = np.zeros((6, 3), int), np.full((6, 3), -1)
    for column, row in enumerate(sentences):
        words[: len(row), column] = rng.integers(1, 8, size=len(row))
        place[: len(row), column] = row
    scores = model.forward((words, place))
    g = rng.normal(size=scores.shape).astype(dtype)
    total = torch.zeros(())
    for column, row in enumerate(sentences):
        count = row[-1] + 1
        expected = module(torch.tensor(words[: len(row), column]), torch.tensor(row))
        assert_close(scores[column, :count], expected, tolerance=LOOSE[np.dtype(dtype)])
        assert (scores[column, count:] < -1e8).all()
        total = total + (expected * tensor(g[column, :count])).sum()
    total.backward()
    assert not model.backward(g).any()
    assert_same_gradients(model, module)
    assert scores.dtype == dtype
    if attention:
        assert model.attention_weights.shape == (3, 3, 6)
        assert not model.attention_weights[1, :, 1:].any()
    else:
        assert model.attention_weights is None


def test_a_scorer_trains_in_the_loop():
    """Oracle: the labels; the sentence with the largest token is to keep."""
    rng = np.random.default_rng(0)
    words = rng.permuted(np.tile(np.arange(1, 7), (80, 1)), axis=1).T
    place = np.repeat([[0], [1], [2]], 2, axis=0) * np.ones((1, 80), int)
    keep = words.argmax(axis=0) // 2
    model = SentenceScorer(7, 6, 8, 3, rng=0)
    history = network.fit(
        model,
        network.CrossEntropyLoss(),
        network.Adam(0.02),
        (words, place),
        keep,
        epochs=20,
        batch_size=20,
        rng=0,
        batch_axis=1,
        output_axis=0,
    )
    assert history.train_loss[-1] < 0.2
    scores = network.predict(model, (words, place), batch_axis=1, output_axis=0)
    assert network.accuracy(scores, keep) > 0.95


def test_sentence_scorer_refuses():
    """Messages name the argument."""
    model = SentenceScorer(8, 3, 4, 2, rng=0)
    assert repr(model) == "SentenceScorer(8, 3, 4, 2, attention=True)"
    with pytest.raises(ValueError, match="hidden_size must be even"):
        SentenceScorer(8, 3, 5, 2, rng=0)
    with pytest.raises(TypeError, match=r"x must be a pair \(tokens, sentence\)"):
        model.forward([[1]])
    with pytest.raises(ValueError, match="tokens and sentence must have the same shape"):
        model.forward(([[1]], [[0, 0]]))
    with pytest.raises(ValueError, match="tokens and sentence must have the same shape"):
        model.forward(([1], [0]))
    for place in (-1, 2):
        with pytest.raises(ValueError, match=r"sentence must lie in 0\.\.1"):
            model.forward(([[1]], [[place]]))
    with pytest.raises(ValueError, match="tokens must have a token on top"):
        model.forward(([[0]], [[-1]]))
    with pytest.raises(RuntimeError, match="before forward"):
        SentenceScorer(8, 3, 4, 2, rng=0).backward(np.zeros((1, 2)))


def test_tolerances_are_the_tight_ones():
    """The twins above agree to rounding: 1e-10 and better in float64."""
    assert max(LOOSE[np.dtype(np.float64)], TOLERANCE[np.dtype(np.float64)]) < 1e-10
