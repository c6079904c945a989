"""The exercises of the lesson *Language, letter by letter*."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import special

from companion._validation import FloatArray, IntArray
from companion.check._engine import Exercise, Mistake, distinct_sizes


def _scored_case(rng: np.random.Generator) -> Mapping[str, Any]:
    steps, size = distinct_sizes(rng, 2, low=3, high=9)
    return {
        "logits": rng.normal(scale=3.0, size=(steps, size)),
        "text": rng.integers(size, size=steps),
    }


def _nats(logits: FloatArray, text: IntArray) -> FloatArray:
    log_p = special.log_softmax(logits, axis=1)
    return np.array([-log_p[t, token] for t, token in enumerate(text)])


def _literal_nats(logits: FloatArray, text: IntArray) -> FloatArray:
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.asarray(-np.log(p[np.arange(len(text)), text]))


def _bits_and_perplexity(logits: FloatArray, text: IntArray) -> tuple[float, float]:
    nats = float(_nats(logits, text).mean())
    return nats / np.log(2.0), float(np.exp(nats))


bits_and_perplexity = Exercise(
    name="bits_and_perplexity",
    oracle=_bits_and_perplexity,
    sample=_scored_case,
    outputs=("bits", "perplexity"),
    edge_cases=[
        {"logits": np.zeros((3, 8)), "text": np.array([0, 5, 7])},
        {"logits": np.array([[1000.0, 999.0], [-1000.0, -999.0]]), "text": np.array([1, 0])},
    ],
    mistakes=[
        Mistake(
            "It is right for small logits only: for large ones an exponential overflows.",
            variant=lambda z, y: (
                _literal_nats(z, y).mean() / np.log(2),
                np.exp(_literal_nats(z, y).mean()),
            ),
        ),
        Mistake(
            "These are nats: the natural logarithm has to be turned into one to base 2.",
            variant=lambda z, y: (_nats(z, y).mean(), np.exp(_nats(z, y).mean())),
        ),
        Mistake(
            "The first result is in nats, where bits are asked for, and the second raises 2 to it.",
            variant=lambda z, y: (_nats(z, y).mean(), 2 ** _nats(z, y).mean()),
        ),
        Mistake(
            "The bits are right. The perplexity raises e to them; bits belong to the base 2.",
            variant=lambda z, y: (
                _nats(z, y).mean() / np.log(2),
                np.exp(_nats(z, y).mean() / np.log(2)),
            ),
        ),
        Mistake(
            "The nats are multiplied by the logarithm of 2. A bit is less than a nat, "
            "so there must be more of them.",
            variant=lambda z, y: (
                _nats(z, y).mean() * np.log(2),
                2 ** (_nats(z, y).mean() * np.log(2)),
            ),
        ),
        Mistake(
            "This is the sum over the text. A mean over its characters is asked for.",
            variant=lambda z, y: (_nats(z, y).sum() / np.log(2), np.exp(_nats(z, y).sum())),
        ),
        Mistake(
            "Every row is asked for every character of the text. Row t belongs to the character "
            "text[t] alone.",
            variant=lambda z, y: (
                -special.log_softmax(z, axis=1)[:, y].mean() / np.log(2),
                np.exp(-special.log_softmax(z, axis=1)[:, y].mean()),
            ),
        ),
        Mistake(
            "The sign is wrong: the logarithm of a probability is negative, bits are not.",
            variant=lambda z, y: (-_nats(z, y).mean() / np.log(2), np.exp(-_nats(z, y).mean())),
        ),
        Mistake(
            "The bits are right. The perplexity is a mean of inverse probabilities; it should be "
            "2 to the power of the mean bits.",
            variant=lambda z, y: (_nats(z, y).mean() / np.log(2), np.exp(_nats(z, y)).mean()),
        ),
        Mistake(
            "The mean is taken over the probabilities, before the logarithm. The logarithms "
            "themselves are averaged.",
            variant=lambda z, y: (
                -np.log2(np.exp(-_nats(z, y)).mean()),
                1 / np.exp(-_nats(z, y)).mean(),
            ),
        ),
        Mistake(
            "This is the entropy of the predictions: what the model expects to need. "
            "What it needs depends on the characters that came.",
            variant=lambda z, y: (
                special.entr(special.softmax(z, axis=1)).sum(axis=1).mean() / np.log(2),
                np.exp(special.entr(special.softmax(z, axis=1)).sum(axis=1).mean()),
            ),
        ),
    ],
    success="Bits and perplexity are right, at logits of a thousand too.",
)


def _tempered_case(rng: np.random.Generator) -> Mapping[str, Any]:
    rows, size = distinct_sizes(rng, 2, low=2, high=7)
    return {
        "logits": rng.normal(scale=2.0, size=(rows, size)),
        "temperature": float(rng.uniform(0.2, 3.0)),
    }


def _tempered(logits: FloatArray, temperature: float) -> FloatArray:
    # Powers of the probabilities, on logarithms: another way than dividing the logits.
    log_p = special.log_softmax(logits, axis=1) / temperature
    return np.asarray(np.exp(log_p - special.logsumexp(log_p, axis=1, keepdims=True)))


def _literal(logits: FloatArray, temperature: float) -> FloatArray:
    powers = np.exp(logits / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _one_maximum(logits: FloatArray, temperature: float) -> FloatArray:
    powers = np.exp((logits - logits.max()) / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


tempered_softmax = Exercise(
    name="tempered_softmax",
    oracle=_tempered,
    sample=_tempered_case,
    edge_cases=[
        {"logits": np.array([[50.0, 30.0, 10.0], [-900.0, -901.0, -903.0]]), "temperature": 0.01},
        {"logits": np.array([[2.0, 1.0]]), "temperature": 1.0},
    ],
    mistakes=[
        Mistake(
            "It is right for mild temperatures. Close to zero an exponential overflows, or all of "
            "them vanish: subtract something first.",
            variant=_literal,
        ),
        Mistake(
            "One maximum is used for all rows, so at a low temperature a row of small logits "
            "vanishes. Each row needs its own.",
            variant=_one_maximum,
        ),
        Mistake(
            "The logits are multiplied by the temperature, or the probabilities raised to it. "
            "A high temperature has to flatten, not to sharpen.",
            variant=lambda z, t: special.softmax(z * t, axis=1),
        ),
        Mistake(
            "The temperature divides the probabilities, after the softmax: their sum is not 1 "
            "any more.",
            variant=lambda z, t: special.softmax(z, axis=1) / t,
        ),
        Mistake(
            "The softmax is taken twice: of the logits, and again of the probabilities over the "
            "temperature.",
            variant=lambda z, t: special.softmax(special.softmax(z, axis=1) / t, axis=1),
        ),
        Mistake(
            "The temperature has no effect.",
            variant=lambda z, t: special.softmax(z, axis=1),
        ),
        Mistake(
            "The powers of the probabilities are right, but nothing makes their sum 1.",
            variant=lambda z, t: special.softmax(z, axis=1) ** (1 / t),
        ),
        Mistake(
            "The softmax runs down the columns. Each row is one distribution.",
            variant=lambda z, t: special.softmax(z / t, axis=0),
        ),
        Mistake(
            "One sum over all rows is used. Each row is a distribution of its own.",
            variant=lambda z, t: special.softmax(z / t),
        ),
        Mistake(
            "These are the logits over the temperature. The softmax is missing.",
            variant=lambda z, t: z / t,
        ),
    ],
    success="Each row is a distribution, at a temperature of a hundredth too.",
)


def _counted_case(rng: np.random.Generator) -> Mapping[str, Any]:
    size = int(rng.integers(3, 6))
    return {"text": rng.integers(size, size=int(rng.integers(12, 40))), "size": size}


def _counts(text: IntArray, size: int) -> FloatArray:
    counts = np.zeros((size, size))
    for first, second in itertools.pairwise(text):
        counts[first, second] += 1
    return counts


def _add_one(text: IntArray, size: int) -> FloatArray:
    counts = _counts(text, size) + 1
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _without_repeats(text: IntArray, size: int) -> FloatArray:
    counts = np.ones((size, size))
    counts[text[:-1], text[1:]] += 1
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _over_occurrences(text: IntArray, size: int) -> FloatArray:
    totals = np.bincount(text, minlength=size)[:, None]
    return np.asarray((_counts(text, size) + 1) / (totals + size))


def _as_ring(text: IntArray, size: int) -> FloatArray:
    return _add_one(np.append(text, text[0]), size)


bigram_table = Exercise(
    name="bigram_table",
    oracle=_add_one,
    sample=_counted_case,
    edge_cases=[
        {"text": np.array([1, 1, 1, 1]), "size": 3},
        {"text": np.array([0, 2]), "size": 3},
    ],
    mistakes=[
        Mistake(
            "Each pair counts only once. Adding 1 at a list of places adds once at each place, "
            "however often it is in the list; np.add.at adds every time.",
            variant=_without_repeats,
        ),
        Mistake(
            "Rows and columns are exchanged: row i belongs to what follows the character i.",
            variant=lambda x, k: _add_one(x, k).T,
        ),
        Mistake(
            "The pairs run backwards: it counts what stands before a character.",
            variant=lambda x, k: _add_one(x[::-1], k),
        ),
        Mistake(
            "Columns are normalised. Each row is a distribution.",
            variant=lambda x, k: (
                (_counts(x, k) + 1) / (_counts(x, k) + 1).sum(axis=0, keepdims=True)
            ),
        ),
        Mistake(
            "The sums of the rows lie along the columns when it divides: they need keepdims=True.",
            variant=lambda x, k: (_counts(x, k) + 1) / (_counts(x, k) + 1).sum(axis=1),
        ),
        Mistake(
            "The whole table sums to 1. Each of its rows should.",
            variant=lambda x, k: (_counts(x, k) + 1) / (_counts(x, k) + 1).sum(),
        ),
        Mistake(
            "The last character is counted as followed by the first. Nothing follows it.",
            variant=_as_ring,
        ),
        Mistake(
            "Each count is divided by how often the character occurs. The last one in the text "
            "has no successor, so its row does not sum to 1.",
            variant=_over_occurrences,
        ),
        Mistake(
            "The 1 is added to the counts, but the rows are divided by the sums without it.",
            variant=lambda x, k: (
                (_counts(x, k) + 1) / np.maximum(_counts(x, k).sum(axis=1, keepdims=True), 1)
            ),
        ),
        Mistake(
            "The 1 is missing: a pair that did not occur gets probability 0.",
            variant=lambda x, k: (
                _counts(x, k) / np.maximum(_counts(x, k).sum(axis=1, keepdims=True), 1)
            ),
        ),
        Mistake(
            "These are counts. Each row has to be divided by its sum.",
            variant=lambda x, k: _counts(x, k) + 1,
        ),
    ],
    success="Every pair is counted, and every row sums to 1.",
)
