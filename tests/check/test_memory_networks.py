"""The checks of the lesson *Memory networks*: right answers pass, typical wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from companion import check
from companion.check import Exercise
from companion.data import make_stories
from companion.memory import memory_read, position_encoding
from tests.check.oracles import reseeded


def softmax(scores):
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def encode_by_package(rows):
    return (position_encoding(*rows.shape) * rows).sum(axis=0)


def encode_by_einsum(rows):
    words, size = rows.shape
    place = np.arange(1, words + 1) / words
    entry = np.arange(1, size + 1) / size
    weights = (1 - place)[:, None] - np.outer(1 - 2 * place, entry)
    return np.einsum("jk,jk->k", weights, rows)


def read_hops(u, rows):
    weights = []
    for m, c in pairwise(rows):
        weights.append(softmax(m @ u))
        u = u + weights[-1] @ c
    return u, np.array(weights)


def read_by_torch(u, rows):
    state, tables, weights = torch.tensor(u), torch.tensor(rows), []
    for k in range(len(tables) - 1):
        weights.append(torch.softmax(tables[k] @ state, dim=0))
        state = state + tables[k + 1].T @ weights[-1]
    return state.numpy(), torch.stack(weights).numpy()


def read_by_package(u, rows):
    weights = []
    for m, c in pairwise(rows):
        read, p = memory_read(u[None], m[None], c[None])
        u = u + read[0]
        weights.append(p[0])
    return u, np.stack(weights)


def where_facts(sentences, thing):
    words = [s.split() for s in sentences]
    one = max(k for k, w in enumerate(words) if w[-1] == thing)
    end = one if words[one][1] in ("dropped", "left", "put") else len(words)
    two = max(k for k in range(end) if words[k][0] == words[one][0] and words[k][2] == "to")
    return one, two


def where_facts_as_list(sentences, thing):
    return list(where_facts(sentences, thing))


RIGHT = [
    (check.encode_sentence, encode_by_package),
    (check.encode_sentence, encode_by_einsum),
    (check.read_hops, read_hops),
    (check.read_hops, read_by_torch),
    (check.read_hops, read_by_package),
    (check.where_facts, where_facts),
    (check.where_facts, where_facts_as_list),
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


def test_the_facts_are_those_of_the_data():
    """Oracle: the supporting sentences that the generator of the stories names."""
    made = make_stories(300, task="two-facts", rng=0)
    for text, question, needed in zip(
        made.texts, made.question_texts, made.supporting, strict=True
    ):
        thing = question.split()[-1]
        assert list(check.where_facts.oracle(text, thing)) == needed.tolist()


def weighted(weigh, places=1, entries=1):
    def wrong(rows):
        words, size = rows.shape
        place = (np.arange(words)[:, None] + places) / words
        entry = (np.arange(size) + entries) / size
        return (weigh(place, entry) * rows).sum(axis=0)

    return wrong


def wrong_divisors(rows):
    words, size = rows.shape
    j, k = np.arange(1, words + 1)[:, None] / size, np.arange(1, size + 1) / words
    return (formula(j, k) * rows).sum(axis=0)


def formula(place, entry):
    return (1 - place) - entry * (1 - 2 * place)


def hops(step):
    def wrong(u, rows):
        first, weights = u, []
        for k in range(len(rows) - 1):
            p, u = step(first, u, rows, k)
            weights.append(p)
        return u, np.array(weights)

    return wrong


def read(compared, returned, u, add=True):
    p = softmax(compared @ u)
    return p, (u if add else 0.0) + p @ returned


def overflows(first, u, rows, k):
    with np.errstate(over="ignore", invalid="ignore"):
        p = np.exp(rows[k] @ u)
        p = p / p.sum()
    return p, u + p @ rows[k + 1]


def scaled(first, u, rows, k):
    p = softmax(rows[k] @ u / np.sqrt(len(u)))
    return p, u + p @ rows[k + 1]


def one_hop(u, rows):
    found, weights = read_hops(u, rows[:2])
    return found, weights


def traced(*, drop=("dropped", "left", "put"), last=True, own=True, latest=max):
    def wrong(sentences, thing):
        words = [s.split() for s in sentences]
        about = [k for k, w in enumerate(words) if w[-1] == thing]
        one = about[-1] if last else about[0]
        end = one if words[one][1] in drop else len(words)
        person = words[one][0]
        two = latest(
            k for k in range(end) if words[k][2] == "to" and (words[k][0] == person or not own)
        )
        return one, two

    return wrong


ALL = ("took", "grabbed", "picked", "dropped", "left", "put")
WRONG = [
    (check.encode_sentence, lambda rows: rows.sum(axis=0), "without weights"),
    (check.encode_sentence, weighted(formula, places=0), "places of the words are counted from 0"),
    (check.encode_sentence, weighted(formula, entries=0), "entries of a word are counted from 0"),
    (check.encode_sentence, weighted(formula, 0, 0), "Both places and entries"),
    (check.encode_sentence, weighted(lambda p, e: (1 - p) + e * (1 - 2 * p)), "is added"),
    (check.encode_sentence, weighted(lambda p, e: (1 - p) - e * (1 - p)), "factor 2"),
    (check.encode_sentence, wrong_divisors, "divisors are exchanged"),
    (check.encode_sentence, lambda rows: encode_by_einsum(rows) / len(rows), "averaged"),
    (check.encode_sentence, lambda rows: position_encoding(*rows.shape) * rows, "one by one"),
    (check.encode_sentence, lambda rows: -encode_by_einsum(rows), "wrong sign"),
    (check.read_hops, hops(lambda f, u, r, k: read(r[k], r[k], u)), "also what it returns"),
    (check.read_hops, hops(lambda f, u, r, k: read(r[0], r[1], u)), "first two tables"),
    (check.read_hops, hops(lambda f, u, r, k: read(r[k + 1], r[k], u)), "tables are exchanged"),
    (
        check.read_hops,
        hops(lambda f, u, r, k: read(r[k], r[k + 1], u, add=False)),
        "replaces the query",
    ),
    (
        check.read_hops,
        hops(lambda f, u, r, k: (softmax(r[k] @ f), u + softmax(r[k] @ f) @ r[k + 1])),
        "asks the first question",
    ),
    (check.read_hops, one_hop, "only one hop"),
    (check.read_hops, hops(lambda f, u, r, k: (r[k] @ u, u + r[k] @ u @ r[k + 1])), "missing"),
    (check.read_hops, hops(scaled), "divided by the root"),
    (check.read_hops, hops(overflows), "overflows for large ones"),
    (check.read_hops, lambda u, rows: read_hops(u, rows)[0], "2 values (u, weights)"),
    (check.where_facts, traced(drop=()), "walks on without it"),
    (check.where_facts, traced(drop=ALL), "carries it along"),
    (check.where_facts, traced(last=False), "first sentence about the thing"),
    (check.where_facts, traced(own=False), "last move of anybody"),
    (check.where_facts, traced(latest=min), "first move of that person"),
    (check.where_facts, lambda s, t: where_facts(s, t)[::-1], "wrong order"),
    (check.where_facts, lambda s, t: [k + 1 for k in where_facts(s, t)], "counted from 1"),
    (check.where_facts, lambda s, t: where_facts(s, t)[0], "2 values (first, second)"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: wrong answers written apart from the check's own."""
    result = exercise(answer)
    assert not result
    assert words in result.message
