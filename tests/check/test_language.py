"""The checks of the lesson on language: right answers pass, typical wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from companion import check
from companion.check import Exercise
from companion.recurrence import temper
from tests.check.oracles import reseeded


def nats(logits, text):
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(text)), text]


def bits_and_perplexity(logits, text):
    bits = nats(logits, text).mean() / np.log(2)
    return bits, 2**bits


def bits_by_torch(logits, text):
    loss = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(text))
    return [loss.item() / np.log(2), loss.exp().item()]


def tempered_softmax(logits, temperature):
    z = (logits - logits.max(axis=1, keepdims=True)) / temperature
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def softmax_by_torch(logits, temperature):
    return torch.softmax(torch.tensor(logits) / temperature, dim=1).numpy()


def bigram_table(text, size):
    counts = np.ones((size, size))
    np.add.at(counts, (text[:-1], text[1:]), 1)
    return counts / counts.sum(axis=1, keepdims=True)


def bigrams_by_bincount(text, size):
    counts = np.bincount(text[:-1] * size + text[1:], minlength=size**2).reshape(size, size) + 1
    return counts / counts.sum(1)[:, None]


RIGHT = [
    (check.bits_and_perplexity, bits_and_perplexity),
    (check.bits_and_perplexity, bits_by_torch),
    (check.tempered_softmax, tempered_softmax),
    (check.tempered_softmax, softmax_by_torch),
    (check.tempered_softmax, temper),
    (check.bigram_table, bigram_table),
    (check.bigram_table, bigrams_by_bincount),
]


@pytest.mark.parametrize(("exercise", "solution"), RIGHT)
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_right_answers_pass(
    exercise: Exercise, solution: Callable[..., Any], seed: int | None
) -> None:
    """Oracle: answers written by hand, the package and PyTorch, on several sets of cases."""
    if seed is not None:
        exercise = reseeded(exercise, seed)
    result = exercise(solution)
    assert result, result.message


def softmax(z, axis=1):
    p = np.exp(z - z.max(axis=axis, keepdims=True))
    return p / p.sum(axis=axis, keepdims=True)


def literal_bits(z, y):
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    bits = -np.log2(p[np.arange(len(y)), y]).mean()
    return bits, 2**bits


def expected_bits(z, y):
    p = softmax(z)
    bits = -(p * np.log2(p, out=np.zeros_like(p), where=p > 0)).sum(axis=1).mean()
    return bits, 2**bits


def literal_tempered(z, t):
    return np.exp(z / t) / np.exp(z / t).sum(axis=1, keepdims=True)


def without_repeats(x, k):
    table = np.ones((k, k))
    table[x[:-1], x[1:]] += 1
    return table / table.sum(axis=1, keepdims=True)


def plain(x, k):
    table = np.zeros((k, k))
    np.add.at(table, (x[:-1], x[1:]), 1)
    return table


def over_occurrences(x, k):
    return (plain(x, k) + 1) / (np.bincount(x, minlength=k) + k)[:, None]


def every_row(z, y):
    bits = -np.log2(softmax(z)[:, y]).mean()
    return bits, 2**bits


WRONG = [
    (check.bits_and_perplexity, every_row, "Row t belongs"),
    (check.bits_and_perplexity, literal_bits, "overflows"),
    (
        check.bits_and_perplexity,
        lambda z, y: (nats(z, y).mean(), np.exp(nats(z, y).mean())),
        "These are nats",
    ),
    (
        check.bits_and_perplexity,
        lambda z, y: (nats(z, y).mean(), 2 ** nats(z, y).mean()),
        "first result is in nats",
    ),
    (
        check.bits_and_perplexity,
        lambda z, y: (bits_and_perplexity(z, y)[0], np.exp(bits_and_perplexity(z, y)[0])),
        "raises e to them",
    ),
    (
        check.bits_and_perplexity,
        lambda z, y: (
            nats(z, y).mean() * np.log(2),
            2 ** (nats(z, y).mean() * np.log(2)),
        ),
        "multiplied by the logarithm",
    ),
    (
        check.bits_and_perplexity,
        lambda z, y: (nats(z, y).sum() / np.log(2), 2 ** (nats(z, y).sum() / np.log(2))),
        "the sum over the text",
    ),
    (
        check.bits_and_perplexity,
        lambda z, y: (-bits_and_perplexity(z, y)[0], 1 / bits_and_perplexity(z, y)[1]),
        "sign is wrong",
    ),
    (
        check.bits_and_perplexity,
        lambda z, y: (bits_and_perplexity(z, y)[0], np.exp(nats(z, y)).mean()),
        "mean of inverse",
    ),
    (
        check.bits_and_perplexity,
        lambda z, y: (-np.log2(np.exp(-nats(z, y)).mean()), 1 / np.exp(-nats(z, y)).mean()),
        "before the logarithm",
    ),
    (check.bits_and_perplexity, expected_bits, "entropy of the predictions"),
    (check.bits_and_perplexity, lambda z, y: bits_and_perplexity(z, y)[0], "2 values"),
    (check.tempered_softmax, literal_tempered, "mild temperatures"),
    (
        check.tempered_softmax,
        lambda z, t: np.exp((z - z.max()) / t) / np.exp((z - z.max()) / t).sum(1, keepdims=True),
        "One maximum",
    ),
    (check.tempered_softmax, lambda z, t: softmax(z * t), "A high temperature has to flatten"),
    (check.tempered_softmax, lambda z, t: softmax(z) / t, "divides the probabilities"),
    (check.tempered_softmax, lambda z, t: softmax(softmax(z) / t), "taken twice"),
    (check.tempered_softmax, lambda z, t: softmax(z), "no effect"),
    (check.tempered_softmax, lambda z, t: softmax(z) ** (1 / t), "makes their sum 1"),
    (
        check.tempered_softmax,
        lambda z, t: softmax(z) ** t / (softmax(z) ** t).sum(axis=1, keepdims=True),
        "A high temperature has to flatten",
    ),
    (check.tempered_softmax, lambda z, t: softmax(z / t, axis=0), "down the columns"),
    (
        check.tempered_softmax,
        lambda z, t: np.exp((z - z.max()) / t) / np.exp((z - z.max()) / t).sum(),
        "One sum over all rows",
    ),
    (check.tempered_softmax, lambda z, t: z / t, "softmax is missing"),
    (check.tempered_softmax, lambda z, t: tempered_softmax(z, t)[0], "has shape"),
    (check.bigram_table, without_repeats, "counts only once"),
    (check.bigram_table, lambda x, k: bigram_table(x, k).T, "exchanged"),
    (check.bigram_table, lambda x, k: bigram_table(x[::-1], k), "run backwards"),
    (
        check.bigram_table,
        lambda x, k: (plain(x, k) + 1) / (plain(x, k) + 1).sum(axis=0),
        "Columns are normalised",
    ),
    (
        check.bigram_table,
        lambda x, k: (plain(x, k) + 1) / (plain(x, k) + 1).sum(),
        "whole table",
    ),
    (check.bigram_table, lambda x, k: bigram_table(np.append(x, x[0]), k), "followed by the first"),
    (check.bigram_table, over_occurrences, "no successor"),
    (
        check.bigram_table,
        lambda x, k: (plain(x, k) + 1) / (plain(x, k) + 1).sum(axis=1),
        "need keepdims=True",
    ),
    (
        check.bigram_table,
        lambda x, k: (plain(x, k) + 1) / np.maximum(plain(x, k).sum(1, keepdims=True), 1),
        "sums without it",
    ),
    (
        check.bigram_table,
        lambda x, k: plain(x, k) / np.maximum(plain(x, k).sum(1, keepdims=True), 1),
        "The 1 is missing",
    ),
    (check.bigram_table, lambda x, k: plain(x, k) + 1, "These are counts"),
    (check.bigram_table, lambda x, k: bigram_table(x, k)[:-1], "has shape"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    result = exercise(answer)
    assert not result
    assert words in result.message
