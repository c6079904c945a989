"""The exercises of the lesson *Memory networks*."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import special

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake, distinct_sizes
from companion.data import make_stories


def _sentence_case(rng: np.random.Generator) -> Mapping[str, Any]:
    words, size = distinct_sizes(rng, 2, low=2, high=8)
    return {"rows": rng.normal(size=(words, size))}


def _entry_by_entry(rows: FloatArray) -> FloatArray:
    words, size = rows.shape
    total = np.zeros(size)
    for k in range(1, size + 1):
        for j in range(1, words + 1):
            weight = (1 - j / words) - (k / size) * (1 - 2 * j / words)
            total[k - 1] += weight * rows[j - 1, k - 1]
    return total


def _encoded(
    *,
    first_place: int = 1,
    first_entry: int = 1,
    weigh: Callable[[FloatArray, FloatArray], FloatArray] = (
        lambda place, entry: (1 - place) - entry * (1 - 2 * place)
    ),
    reduce: Callable[[FloatArray], FloatArray] = lambda rows: np.asarray(rows.sum(axis=0)),
) -> Callable[..., Any]:
    def variant(rows: FloatArray) -> FloatArray:
        words, size = rows.shape
        place = (np.arange(words)[:, None] + first_place) / words
        entry = (np.arange(size) + first_entry) / size
        return reduce(weigh(place, entry) * rows)

    return variant


def _divisors_exchanged(rows: FloatArray) -> FloatArray:
    words, size = rows.shape
    place = np.arange(1, words + 1)[:, None] / size
    entry = np.arange(1, size + 1) / words
    return np.asarray((((1 - place) - entry * (1 - 2 * place)) * rows).sum(axis=0))


encode_sentence = Exercise(
    name="encode_sentence",
    oracle=_entry_by_entry,
    sample=_sentence_case,
    edge_cases=[
        {"rows": np.array([[2.0, 3.0, 4.0, 5.0]])},
        {"rows": np.array([[2.0], [3.0]])},
    ],
    mistakes=[
        Mistake(
            "The rows are added without weights, so the order of the words does not count.",
            variant=_encoded(weigh=lambda place, entry: np.ones((len(place), len(entry)))),
        ),
        Mistake(
            "The places of the words are counted from 0. In the formula they are counted from 1.",
            variant=_encoded(first_place=0),
        ),
        Mistake(
            "The entries of a word are counted from 0. In the formula they are counted from 1.",
            variant=_encoded(first_entry=0),
        ),
        Mistake(
            "Both places and entries are counted from 0. In the formula they are counted from 1.",
            variant=_encoded(first_place=0, first_entry=0),
        ),
        Mistake(
            "The second part is added. The formula subtracts it.",
            variant=_encoded(weigh=lambda place, entry: (1 - place) + entry * (1 - 2 * place)),
        ),
        Mistake(
            "The factor 2 in the second part is missing.",
            variant=_encoded(weigh=lambda place, entry: (1 - place) - entry * (1 - place)),
        ),
        Mistake(
            "The divisors are exchanged: the place of a word is divided by the number of words, "
            "the place of an entry by the number of entries.",
            variant=_divisors_exchanged,
        ),
        Mistake(
            "The weighted rows are averaged. A sentence is their sum.",
            variant=_encoded(reduce=lambda rows: np.asarray(rows.mean(axis=0))),
        ),
        Mistake(
            "The weighted rows are returned one by one. A sentence is their sum.",
            variant=_encoded(reduce=lambda rows: rows),
        ),
    ],
    success="Which word stands where now makes a difference.",
)


def _hops_case(rng: np.random.Generator) -> Mapping[str, Any]:
    sentences, size = distinct_sizes(rng, 2, low=2, high=7)
    tables = int(rng.integers(3, 5))
    return {"u": rng.normal(size=size), "rows": rng.normal(size=(tables, sentences, size))}


def _sentence_by_sentence(u: FloatArray, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    state, seen = list(u), []
    for compared, returned in pairwise(rows):
        scores = [sum(a * b for a, b in zip(state, row, strict=True)) for row in compared]
        p = special.softmax(scores)
        seen.append(p)
        for share, row in zip(p, returned, strict=True):
            state = [a + share * b for a, b in zip(state, row, strict=True)]
    return np.array(state), np.array(seen)


def _hopped(
    *,
    weigh: Callable[[FloatArray], FloatArray] = lambda s: np.asarray(special.softmax(s)),
    compare: Callable[[FloatArray, int], FloatArray] = lambda rows, k: rows[k],
    fetch: Callable[[FloatArray, int], FloatArray] = lambda rows, k: rows[k + 1],
    update: Callable[[FloatArray, FloatArray], FloatArray] = lambda u, o: u + o,
    ask: Callable[[FloatArray, FloatArray], FloatArray] = lambda first, u: u,
    hops: int = 0,
) -> Callable[..., Any]:
    def variant(u: FloatArray, rows: FloatArray) -> Any:
        first, seen = u, []
        for k in range(len(rows) - 1 if hops == 0 else hops):
            p = weigh(compare(rows, k) @ ask(first, u))
            seen.append(p)
            u = update(u, p @ fetch(rows, k))
        return u, np.array(seen)

    return variant


read_hops = Exercise(
    name="read_hops",
    oracle=_sentence_by_sentence,
    sample=_hops_case,
    outputs=("u", "weights"),
    edge_cases=[
        {"u": np.array([1.0, 2.0]), "rows": np.ones((2, 1, 2))},
        # An exponential of the scores themselves would overflow.
        {"u": np.array([900.0, 0.0]), "rows": np.stack((np.eye(2), np.eye(2)[::-1]))},
    ],
    mistakes=[
        Mistake(
            "What a hop compares with is also what it returns. It returns the rows of the next "
            "table.",
            variant=_hopped(fetch=lambda rows, k: rows[k]),
        ),
        Mistake(
            "Every hop reads the first two tables. Hop k + 1 begins where hop k ended.",
            variant=_hopped(compare=lambda rows, k: rows[0], fetch=lambda rows, k: rows[1]),
        ),
        Mistake(
            "The tables are exchanged: the query is compared with those that should be returned.",
            variant=_hopped(compare=lambda rows, k: rows[k + 1], fetch=lambda rows, k: rows[k]),
        ),
        Mistake(
            "What was read replaces the query. It should be added to it.",
            variant=_hopped(update=lambda u, o: o),
        ),
        Mistake(
            "Every hop asks the first question. It should ask with what the hops before it found.",
            variant=_hopped(ask=lambda first, u: first),
        ),
        Mistake(
            "There is only one hop. There is one for each table but the last.",
            variant=_hopped(hops=1),
        ),
        Mistake(
            "The scores are the weights: the softmax is missing.",
            variant=_hopped(weigh=lambda s: s),
        ),
        Mistake(
            "The scores are divided by the root of the length, as in the lesson on attention. "
            "The formula here has no such factor.",
            when=lambda case, expected, got: bool(
                np.allclose(got[1][0], special.softmax(case["rows"][0] @ case["u"] * _root(case)))
            ),
        ),
        Mistake(
            "It is right for small scores, but an exponential overflows for large ones. Subtract "
            "the largest score first.",
            when=lambda case, expected, got: (
                np.abs(case["u"]).max() > 100.0 and not np.isfinite(got[1]).all()
            ),
        ),
    ],
    success="Each hop asks with what the ones before it have found.",
)


def _root(case: Mapping[str, Any]) -> float:
    return float(len(case["u"]) ** -0.5)


def _trace_case(rng: np.random.Generator) -> Mapping[str, Any]:
    made = make_stories(1, task="two-facts", sentences=(4, 12), rng=rng)
    return {"sentences": list(made.texts[0]), "thing": made.question_texts[0].split()[-1]}


_DROPS = ("dropped", "left", "put")


def _moves(sentence: str) -> bool:
    return sentence.split()[2] == "to"


def _told_forwards(sentences: Sequence[str], thing: str) -> tuple[int, int]:
    """Play the story from its start, and keep for the thing which sentences put it where it is."""
    moved: dict[str, int] = {}
    holder, found = "", (-1, -1)
    for number, sentence in enumerate(sentences):
        person, verb, *_ = sentence.split()
        if _moves(sentence):
            moved[person] = number
            if person == holder:
                found = (found[0], number)
        elif sentence.split()[-1] == thing:
            found = (number, moved[person])
            holder = "" if verb in _DROPS else person
    return found


def _traced(
    *,
    about: Callable[[list[int]], int] = lambda numbers: numbers[-1],
    always: str = "",
    anyone: bool = False,
    first: bool = False,
) -> Callable[..., Any]:
    """Return the two-step rule with a part of it changed."""

    def variant(sentences: Sequence[str], thing: str) -> tuple[int, int]:
        mentions = [k for k, s in enumerate(sentences) if s.split()[-1] == thing]
        one = about(mentions)
        person, verb, *_ = sentences[one].split()
        dropped = always == "dropped" if always else verb in _DROPS
        moves = [
            k
            for k, s in enumerate(sentences[: one if dropped else None])
            if _moves(s) and (anyone or s.split()[0] == person)
        ]
        return one, moves[0 if first else -1]

    return variant


where_facts = Exercise(
    name="where_facts",
    oracle=_told_forwards,
    sample=_trace_case,
    outputs=("first", "second"),
    repeats=40,
    edge_cases=[
        {
            "sentences": [
                "mary went to the garden",
                "mary took the cup",
                "mary went to the office",
                "mary dropped the cup",
                "mary went to the kitchen",
            ],
            "thing": "cup",
        },
        {"sentences": ["john moved to the hallway", "john picked up the apple"], "thing": "apple"},
    ],
    mistakes=[
        Mistake(
            "A person who has dropped the thing walks on without it. Only moves before the "
            "dropping count then.",
            variant=_traced(always="held"),
        ),
        Mistake(
            "A person who holds the thing carries it along. Moves after the taking count, too.",
            variant=_traced(always="dropped"),
        ),
        Mistake(
            "It is the first sentence about the thing. The last one decides.",
            variant=_traced(about=lambda numbers: numbers[0]),
        ),
        Mistake(
            "It is the last move of anybody. It should be that of the person in the first fact.",
            variant=_traced(anyone=True),
        ),
        Mistake(
            "It is the first move of that person. The last one that counts decides.",
            variant=_traced(first=True),
        ),
        Mistake(
            "The two sentences are right, but in the wrong order: first the one about the thing.",
            variant=lambda sentences, thing: _told_forwards(sentences, thing)[::-1],
        ),
        Mistake(
            "The sentences are counted from 1. They should be counted from 0, as in Python.",
            variant=lambda sentences, thing: tuple(k + 1 for k in _told_forwards(sentences, thing)),
        ),
    ],
    success="Two look-ups, of which the second needs what the first has found.",
)
