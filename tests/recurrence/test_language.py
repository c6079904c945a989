"""Embedding, loss, counting and writing: against PyTorch, SciPy, definitions and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from torch import nn

from companion import network
from companion.recurrence import (
    GRU,
    LSTM,
    RNN,
    Embedding,
    NGram,
    SequenceCrossEntropyLoss,
    bits_per_token,
    log2_probabilities,
    next_token_probabilities,
    sample,
    state_trace,
    temper,
    tokens,
    windows,
)
from tests.network.oracles import DTYPES, SEEDS, SIZES, assert_close, central_differences, tensor


@given(
    steps=st.integers(0, 4),
    n=st.integers(0, 4),
    padding=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    seed=SEEDS,
)
def test_embedding(steps, n, padding, dtype, seed):
    """Oracle: torch.nn.Embedding, with repeated tokens and with padding."""
    rng = np.random.default_rng(seed)
    index = 2 if padding else None
    layer = Embedding(5, 3, padding_idx=index, rng=rng, dtype=dtype)
    assert not padding or not layer.weight[2].any()
    module = nn.Embedding(5, 3, padding_idx=index)
    module = module.to(tensor(layer.weight).dtype)
    module.load_state_dict({"weight": tensor(layer.weight)}, strict=True)
    x = rng.integers(5, size=(steps, n))
    out = module(torch.tensor(x))
    assert_close(layer.forward(x), out)
    assert_close(layer.forward(x.astype(float)), out)
    g = rng.normal(size=out.shape).astype(dtype)
    out.backward(tensor(g))
    assert not layer.backward(g).any()
    assert_close(layer.gradients()["weight"], module.weight.grad)


def test_embedding_is_a_product_with_one_hot_vectors():
    """Closed form: the one-hot matrix times the table, and its transposed product back."""
    layer = Embedding(6, 4, rng=0)
    x = np.array([3, 0, 3, 5])
    one_hot = np.eye(6)[x]
    assert_close(layer(x), one_hot @ layer.weight, tolerance=1e-15)
    g = np.random.default_rng(0).normal(size=(4, 4))
    layer.backward(g)
    assert_close(layer.gradients()["weight"], one_hot.T @ g, tolerance=1e-15)


@given(
    steps=SIZES,
    n=SIZES,
    classes=st.integers(2, 5),
    ignore=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    seed=SEEDS,
)
def test_sequence_loss(steps, n, classes, ignore, dtype, seed):
    """Oracle: torch's cross_entropy over all steps, with ignore_index."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(steps, n, classes)).astype(dtype)
    target = rng.integers(classes, size=(n, steps))
    target[0, 0] = 1
    loss = SequenceCrossEntropyLoss(ignore_index=0 if ignore else None)
    theirs = tensor(logits, grad=True)
    expected = nn.functional.cross_entropy(
        theirs.permute(1, 2, 0), torch.tensor(target), ignore_index=0 if ignore else -100
    )
    expected.backward()
    assert loss.forward(logits, target) == pytest.approx(expected.item(), rel=1e-5)
    assert_close(loss.backward(), theirs.grad)


def test_a_token_model_trains_with_the_gradient_of_finite_differences():
    """Oracle: central differences; then the loop learns to repeat the last token."""
    rng = np.random.default_rng(0)
    x = rng.integers(4, size=(6, 40))
    y = np.vstack([x[:1], x[:-1]]).T
    model = network.Sequential(
        Embedding(4, 3, rng=1), RNN(3, 8, rng=2), network.Linear(8, 4, rng=3)
    )
    loss = SequenceCrossEntropyLoss()
    for name, array in model.parameters().items():
        slopes = central_differences(lambda: loss.forward(model(x[:, :5]), y[:5]), array)
        loss.forward(model(x[:, :5]), y[:5])
        model.backward(loss.backward())
        np.testing.assert_allclose(model.gradients()[name], slopes, rtol=1e-5, atol=1e-8)
    history = network.fit(
        model, loss, network.Adam(0.02), x, y, epochs=60, batch_size=10, rng=0, batch_axis=1
    )
    assert history.train_loss[-1] < 0.05


BAD_CALLS = {
    "no tokens": (lambda: Embedding(0, 2, rng=0), ValueError, "num_embeddings must be at least 1"),
    "padding": (
        lambda: Embedding(3, 2, padding_idx=3, rng=0),
        ValueError,
        "padding_idx must be below 3, got 3",
    ),
    "negative padding": (
        lambda: Embedding(3, 2, padding_idx=-1, rng=0),
        ValueError,
        "padding_idx must be at least 0, got -1",
    ),
    "fractions": (
        lambda: Embedding(3, 2, rng=0).forward([0.5]),
        TypeError,
        "x must hold whole numbers, got dtype float64",
    ),
    "words": (
        lambda: Embedding(3, 2, rng=0).forward(["a"]),
        TypeError,
        "x must hold whole numbers",
    ),
    "not a number": (lambda: tokens("x", [np.nan], 3), TypeError, "x must hold whole numbers"),
    "unknown": (
        lambda: Embedding(3, 2, rng=0).forward([[0, 3]]),
        ValueError,
        "x must lie in 0..2, got values from 0 to 3",
    ),
    "negative": (
        lambda: tokens("x", [-1], 3),
        ValueError,
        "x must lie in 0..2, got values from -1",
    ),
    "loss of rows": (
        lambda: SequenceCrossEntropyLoss().forward(np.zeros((3, 2)), [0, 1, 1]),
        ValueError,
        "prediction must have 3 axes",
    ),
    "loss transposed": (
        lambda: SequenceCrossEntropyLoss().forward(np.zeros((3, 2, 4)), np.zeros((3, 2), int)),
        ValueError,
        r"target must have shape \(2, 3\), got \(3, 2\)",
    ),
    "nothing counts": (
        lambda: SequenceCrossEntropyLoss(ignore_index=0).forward(
            np.zeros((3, 2, 4)), np.zeros((2, 3), int)
        ),
        ValueError,
        "target must have a label other than 0, got none",
    ),
    "label": (
        lambda: SequenceCrossEntropyLoss().forward(np.zeros((1, 1, 2)), [[2]]),
        ValueError,
        r"target must lie in 0\.\.1",
    ),
    "ignored label": (
        lambda: SequenceCrossEntropyLoss(ignore_index=-1),
        ValueError,
        "ignore_index must be at least 0, got -1",
    ),
}


@pytest.mark.parametrize("call", BAD_CALLS)
def test_wrong_input_says_what_is_wrong(call):
    """Each message names the argument, what was expected and what came."""
    run, error, message = BAD_CALLS[call]
    with pytest.raises(error, match=message):
        run()


def test_backward_before_forward():
    """Both say so."""
    with pytest.raises(RuntimeError, match=r"Embedding.backward was called before forward"):
        Embedding(3, 2, rng=0).backward(np.ones((1, 2)))
    with pytest.raises(RuntimeError, match="was called before forward"):
        SequenceCrossEntropyLoss().backward()


def test_repr():
    """What a student sees when printing it."""
    assert repr(Embedding(3, 2, rng=0)) == "Embedding(3, 2)"


# Counting.


def witten_bell(text, context, token, order, size):
    """Return the probability by the definition, one run at a time."""
    p = 1.0 / size
    for k in range(1, order + 1):
        if k - 1 > len(context):
            break
        before = tuple(context[len(context) - k + 1 :])
        after = [
            text[i + k - 1]
            for i in range(len(text) - k + 1)
            if tuple(text[i : i + k - 1]) == before
        ]
        if after:
            different = len(set(after))
            p = (after.count(token) + different * p) / (len(after) + different)
    return p


@given(
    order=st.integers(1, 5),
    size=st.integers(2, 4),
    length=st.integers(5, 30),
    seed=SEEDS,
)
def test_ngram_against_the_definition(order, size, length, seed):
    """Oracle: the formula, run by run in plain Python, on every context and on a second text."""
    rng = np.random.default_rng(seed)
    text, other = rng.integers(size, size=length), rng.integers(size, size=9)
    model = NGram(order, size).fit(text)
    found = 2 ** model.log2_probabilities(other)
    for t in range(1, len(other)):
        context = other[:t].tolist()
        by_token = [witten_bell(text.tolist(), context, c, order, size) for c in range(size)]
        np.testing.assert_allclose(model.probabilities(other[:t]), by_token, rtol=1e-12)
        assert found[t - 1] == pytest.approx(by_token[other[t]], rel=1e-12)
        assert sum(by_token) == pytest.approx(1.0)


def test_ngram_by_hand():
    """Closed form, counted on paper: after a 0 came 1, 1 and 2; the unigrams are 4, 3 and 2
    ninths."""
    model = NGram(2, 3).fit([0, 1, 0, 1, 0, 2])
    np.testing.assert_allclose(model.probabilities([]), [4 / 9, 3 / 9, 2 / 9])
    np.testing.assert_allclose(model.probabilities([1, 0]), [8 / 45, 8 / 15, 13 / 45])
    # After a 2 nothing came: the unigrams stand in.
    np.testing.assert_allclose(model.probabilities([2]), [4 / 9, 3 / 9, 2 / 9])
    assert model.num_runs == 3
    assert repr(model) == "NGram(2, 3)"


def test_unigrams_of_a_long_text_need_its_entropy():
    """Oracle: the entropy of the frequencies (scipy.stats.entropy); smoothing vanishes."""
    p = np.array([0.5, 0.25, 0.2, 0.05])
    text = np.random.default_rng(0).choice(4, size=100_000, p=p)
    share = np.bincount(text[1:]) / (len(text) - 1)
    bits = bits_per_token(NGram(1, 4).fit(text), text)
    assert bits == pytest.approx(stats.entropy(share, base=2), abs=1e-6)
    assert bits >= stats.entropy(share, base=2)


def test_ngram_finds_the_entropy_rate_of_a_markov_chain():
    """Oracle: sum of pi_i P_ij log P_ij, for the bigram; the unigram needs the entropy of pi, and a
    higher order gains nothing."""
    chain = np.array([[0.1, 0.9, 0.0], [0.3, 0.0, 0.7], [0.5, 0.25, 0.25]])
    values, vectors = np.linalg.eig(chain.T)
    pi = np.real(vectors[:, np.argmax(values.real)])
    pi /= pi.sum()
    rate = float(pi @ stats.entropy(chain, base=2, axis=1))
    rng, text = np.random.default_rng(0), [0]
    for u in rng.random(60_000):
        text.append(int(np.searchsorted(chain[text[-1]].cumsum(), u)))
    train, test = text[:40_000], text[40_000:]
    bits = [bits_per_token(NGram(n, 3).fit(train), test) for n in (1, 2, 3)]
    assert bits[0] == pytest.approx(stats.entropy(pi, base=2), abs=0.02)
    assert bits[1] == pytest.approx(rate, abs=0.02)
    assert bits[2] == pytest.approx(rate, abs=0.02)


def test_a_large_alphabet_and_the_highest_order():
    """Invariant: probabilities sum to one where the codes nearly fill an int64."""
    rng = np.random.default_rng(0)
    text = rng.integers(59, size=500)
    model = NGram(10, 59).fit(text)
    assert model.probabilities(text[:40]).sum() == pytest.approx(1.0)
    # A run of the text itself is nearly certain.
    assert model.probabilities(text[100:140])[text[140]] > 0.99


# Windows.


@given(length=st.integers(1, 6), stride=st.integers(1, 7), n=st.integers(0, 20))
def test_windows_against_slices(length, stride, n):
    """Oracle: slices in a loop."""
    text = np.random.default_rng(n).integers(9, size=length + 1 + n)
    x, y = windows(text, length, stride=stride)
    starts = range(0, len(text) - length, stride)
    assert x.shape == (length, len(starts))
    for k, start in enumerate(starts):
        assert x[:, k].tolist() == text[start : start + length].tolist()
        assert y[k].tolist() == text[start + 1 : start + length + 1].tolist()
    default = windows(text, length)
    np.testing.assert_array_equal(default[0], windows(text, length, stride=length)[0])
    x[...] = 0  # a copy: the text stays
    assert (y[0] == text[1 : length + 1]).all()


# Networks.


def network_of(kind=LSTM, *, size=7, units=5, layers=1, dtype=np.float64, rng=0, dropout=0.0):
    return network.Sequential(
        Embedding(size, 4, rng=rng, dtype=dtype),
        network.Dropout(dropout, rng=rng),
        kind(4, units, num_layers=layers, rng=rng, dtype=dtype),
        network.Linear(units, size, rng=rng, dtype=dtype),
    )


def by_torch(model, text):
    """Return log2 probabilities of the twin with PyTorch's layers, read in one go."""
    layer, linear = model[2], model[3]
    twin = nn.LSTM(4, layer.hidden_size, num_layers=layer.num_layers).double()
    twin.load_state_dict({k: tensor(a).double() for k, a in layer.parameters().items()})
    rows = tensor(model[0].weight).double()[torch.tensor(text[:-1])]
    logits = twin(rows[:, None])[0][:, 0] @ tensor(linear.weight).double().T
    logits = logits + tensor(linear.bias).double()
    nats = torch.log_softmax(logits, 1)[torch.arange(len(text) - 1), torch.tensor(text[1:])]
    return (nats / np.log(2)).detach().numpy()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("window", [1, 3, 10, 40])
def test_carrying_the_state_is_reading_in_one_go(window, layers, dtype):
    """Oracle: torch.nn.LSTM over the whole text; the window does not matter, and dropout is
    off."""
    model = network_of(layers=layers, dtype=dtype, dropout=0.5)
    text = np.random.default_rng(1).integers(7, size=31)
    found = log2_probabilities(model, text, window=window)
    assert found.dtype == np.float64
    np.testing.assert_allclose(
        found, by_torch(model, text), atol=1e-10 if dtype == np.float64 else 1e-5
    )
    assert bits_per_token(model, text.astype(float), window=window) == pytest.approx(-found.mean())
    assert model.training


def test_without_carrying_each_window_starts_from_nothing():
    """Oracle: PyTorch on each window by itself. The states matter: the results differ."""
    model = network_of()
    text = np.random.default_rng(1).integers(7, size=31)
    found = log2_probabilities(model, text, window=10, carry=False)
    parts = [by_torch(model, text[start : start + 11]) for start in (0, 10, 20)]
    np.testing.assert_allclose(found, np.concatenate(parts), atol=1e-10)
    assert not np.allclose(found, log2_probabilities(model, text, window=10))


@pytest.mark.parametrize("kind", [RNN, GRU, LSTM])
def test_state_trace(kind):
    """Oracle: one forward pass, and the layer's own activations."""
    model = network_of(kind)
    text = np.random.default_rng(1).integers(7, size=20)
    trace = state_trace(model, text, window=6)
    model(text[:, None])
    for name, array in model[2].activations().items():
        np.testing.assert_allclose(trace[name], array[:, 0], atol=1e-12)
    assert set(trace) == set(model[2].activations())


# Writing.


@given(
    k=st.integers(1, 8),
    temperature=st.floats(0.05, 20.0),
    rows=st.integers(0, 3),
    dtype=st.sampled_from(DTYPES),
    seed=SEEDS,
)
def test_temper_is_the_softmax_of_the_quotient(k, temperature, rows, dtype, seed):
    """Oracle: scipy.special.softmax; with top_k, the same after sorting and cutting."""
    z = np.random.default_rng(seed).normal(scale=3, size=(rows, 8)).astype(dtype)
    found = temper(z, temperature)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, special.softmax(z / temperature, axis=1), rtol=1e-4)
    cut = temper(z, temperature, top_k=k)
    assert (np.count_nonzero(cut, axis=1) <= k).all()
    kept = np.sort(found, axis=1)[:, -k:]
    np.testing.assert_allclose(
        np.sort(cut, axis=1)[:, -k:], kept / kept.sum(axis=1, keepdims=True), rtol=1e-4
    )


def test_the_limits_of_temperature():
    """Closed forms: 1 is the softmax, 0 and one candidate are the maximum, the first of equals; a
    tiny one is the same and does not overflow; a huge one is even."""
    z = np.array([1.0, 3.0, 3.0, -np.inf])
    np.testing.assert_allclose(temper(z), special.softmax(z))
    for greedy in (temper(z, 0.0), temper(z, top_k=1), temper(z, 5.0, top_k=1)):
        np.testing.assert_array_equal(greedy, [0, 1, 0, 0])
    for dtype in DTYPES:
        np.testing.assert_array_equal(temper(z.astype(dtype), 1e-300), [0, 0.5, 0.5, 0])
    np.testing.assert_allclose(temper([1.0, 3.0, 5.0], 1e9), np.full(3, 1 / 3), rtol=1e-6)
    np.testing.assert_allclose(temper([1e4, -1e4]), [1.0, 0.0])
    np.testing.assert_allclose(temper([2.0], top_k=9), [1.0])


@pytest.mark.parametrize("model", [network_of(rng=3), NGram(3, 7).fit(np.arange(60) % 13 % 7)])
def test_next_token_probabilities_are_those_that_are_scored(model):
    """Oracle: log2_probabilities, which reads the text at once."""
    text = np.random.default_rng(2).integers(7, size=12)
    scored = 2 ** log2_probabilities(model, text)
    for t in (1, 5, 11):
        p = next_token_probabilities(model, text[:t])
        assert p.sum() == pytest.approx(1.0)
        assert p[text[t]] == pytest.approx(scored[t - 1])
        warm = p ** (1 / 0.7)
        np.testing.assert_allclose(
            next_token_probabilities(model, text[:t], temperature=0.7), warm / warm.sum()
        )


@pytest.mark.parametrize("model", [network_of(rng=3), NGram(3, 7).fit(np.arange(60) % 13 % 7)])
def test_a_sample_follows_the_distribution(model):
    """Oracle: chi-square of the second token drawn, over both, against the product of the
    probabilities."""
    prompt, rng, n = [1, 4], np.random.default_rng(0), 3000
    drawn = np.array([sample(model, prompt, 2, temperature=0.8, rng=rng) for _ in range(n)])
    first = next_token_probabilities(model, prompt, temperature=0.8)
    joint = np.stack(
        [
            p * next_token_probabilities(model, [*prompt, c], temperature=0.8)
            for c, p in enumerate(first)
        ]
    )
    seen = np.zeros((7, 7))
    np.add.at(seen, tuple(drawn.T), 1)
    expected = n * joint.ravel()
    rare = expected < 5
    expected = np.append(expected[~rare], expected[rare].sum())
    seen = np.append(seen.ravel()[~rare], seen.ravel()[rare].sum())
    assert stats.chisquare(seen[expected > 0], expected[expected > 0]).pvalue > 1e-3


def test_greedy_in_three_ways():
    """Oracle: argmax, token by token, of a network that reads everything anew each time."""
    model = network_of(rng=4)
    text = [3, 0, 6]
    for _ in range(12):
        text.append(int(model(np.array(text)[:, None])[-1, 0].argmax()))
    for options in ({"temperature": 0}, {"top_k": 1}, {"temperature": 1e-6}):
        np.testing.assert_array_equal(sample(model, text[:3], 12, rng=0, **options), text[3:])
    assert sample(model, [1], 0, rng=0).shape == (0,)


def test_the_same_seed_writes_the_same():
    """Invariant: a seed is a generator, and the layers' state before does not matter."""
    model = network_of(rng=4)
    first = sample(model, [1], 20, rng=5)
    model(np.array([[2], [3]]))
    np.testing.assert_array_equal(first, sample(model, [1], 20, rng=np.random.default_rng(5)))
    assert not np.array_equal(first, sample(model, [1], 20, rng=6))


BAD_MODELS = {
    "order": (lambda: NGram(0, 3), ValueError, "order must be at least 1"),
    "no tokens": (lambda: NGram(2, 0), ValueError, "size must be at least 1"),
    "too long": (lambda: NGram(11, 59), ValueError, "order must be smaller for 59 tokens, got 11"),
    "short": (
        lambda: NGram(3, 3).fit([0, 1]),
        ValueError,
        r"text must have 1 axis and at least 3 tokens, got shape \(2,\)",
    ),
    "unknown": (lambda: NGram(1, 3).fit([0, 3]), ValueError, r"text must lie in 0\.\.2"),
    "unfitted": (lambda: NGram(1, 3).probabilities([0]), RuntimeError, "must be fitted first"),
    "unfitted score": (
        lambda: NGram(1, 3).log2_probabilities([0, 1]),
        RuntimeError,
        "must be fitted first",
    ),
    "one token": (
        lambda: bits_per_token(NGram(1, 3).fit([0]), [0]),
        ValueError,
        "at least 2 tokens",
    ),
    "one token, network": (
        lambda: bits_per_token(network_of(), [0]),
        ValueError,
        "at least 2 tokens",
    ),
    "foreign token": (
        lambda: bits_per_token(network_of(), [0, 7, 0]),
        ValueError,
        r"x must lie in 0\.\.6",
    ),
    "foreign last token": (
        lambda: bits_per_token(network_of(), [0, 7]),
        ValueError,
        "text must hold tokens below 7, got 7",
    ),
    "negative": (lambda: bits_per_token(network_of(), [0, -1]), ValueError, "text must lie in 0"),
    "words": (lambda: sample(network_of(), ["a"], 2, rng=0), TypeError, "text must hold whole"),
    "NaN in a text": (
        lambda: bits_per_token(network_of(), [0, np.nan]),
        TypeError,
        "text must hold whole numbers",
    ),
    "window": (
        lambda: bits_per_token(network_of(), [0, 1], window=0),
        ValueError,
        "window must be at least 1",
    ),
    "a layer": (
        lambda: bits_per_token(LSTM(2, 3, rng=0), [0, 1]),
        TypeError,
        "model must be a Sequential or an NGram, got LSTM",
    ),
    "both directions": (
        lambda: sample(
            network.Sequential(Embedding(3, 2, rng=0), LSTM(2, 3, bidirectional=True, rng=0)),
            [0],
            1,
            rng=0,
        ),
        TypeError,
        "model must read in one direction",
    ),
    "trace of two layers": (
        lambda: state_trace(network_of(layers=2), [0]),
        TypeError,
        "model must have one recurrent layer",
    ),
    "trace of none": (
        lambda: state_trace(network.Sequential(Embedding(3, 2, rng=0)), [0]),
        TypeError,
        "model must have one recurrent layer",
    ),
    "empty prompt": (
        lambda: sample(network_of(), [], 2, rng=0),
        ValueError,
        r"at least 1 tokens, got shape \(0,\)",
    ),
    "length": (
        lambda: sample(network_of(), [0], -1, rng=0),
        ValueError,
        "length must be at least 0",
    ),
    "temperature": (lambda: temper([0.0], -1.0), ValueError, "temperature must lie in"),
    "top_k": (lambda: temper([0.0], top_k=0), ValueError, "top_k must be at least 1"),
    "no logit": (lambda: temper(np.zeros((2, 0))), ValueError, "logits must have a finite largest"),
    "NaN": (lambda: temper([0.0, np.nan]), ValueError, "and no NaN"),
    "nothing possible": (lambda: temper([-np.inf] * 2), ValueError, "finite largest entry"),
    "infinite": (lambda: temper([0.0, np.inf]), ValueError, "finite largest entry"),
    "short for windows": (
        lambda: windows([0, 1, 2], 3),
        ValueError,
        "text must have 1 axis and more than 3 tokens",
    ),
    "stride": (lambda: windows([0, 1, 2], 1, stride=0), ValueError, "stride must be at least 1"),
    "windows of words": (lambda: windows(["a", "b"], 1), TypeError, "text must hold whole numbers"),
}


@pytest.mark.parametrize("call", BAD_MODELS)
def test_wrong_models_and_texts_say_what_is_wrong(call):
    """Each message names the argument, what was expected and what came."""
    run, error, message = BAD_MODELS[call]
    with pytest.raises(error, match=message):
        run()
