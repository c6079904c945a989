"""The exercises of the lesson *Attention*."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special

from companion._validation import FloatArray, IntArray
from companion.check._engine import Exercise, Mistake, distinct_sizes


def _attend_case(rng: np.random.Generator) -> Mapping[str, Any]:
    queries, keys, length, width = distinct_sizes(rng, 4, low=2, high=7)
    return {
        "query": rng.normal(size=(queries, length)),
        "key": rng.normal(size=(keys, length)),
        "value": rng.normal(size=(keys, width)),
    }


def _one_query_at_a_time(
    query: FloatArray, key: FloatArray, value: FloatArray
) -> tuple[FloatArray, FloatArray]:
    weights = np.zeros((len(query), len(key)))
    output = np.zeros((len(query), value.shape[1]))
    for t, q in enumerate(query):
        scores = np.array([sum(q * k) for k in key]) / np.sqrt(len(q))
        weights[t] = special.softmax(scores)
        for weight, v in zip(weights[t], value, strict=True):
            output[t] += weight * v
    return output, weights


def _attend(
    *,
    scale: Callable[[FloatArray, FloatArray], float] = lambda q, k: q.shape[1] ** -0.5,
    weigh: Callable[[FloatArray], FloatArray] = lambda s: np.asarray(special.softmax(s, axis=1)),
    swap: bool = False,
) -> Callable[..., Any]:
    def wrong(query: FloatArray, key: FloatArray, value: FloatArray) -> Any:
        weights = weigh(query @ key.T * scale(query, key))
        return (weights, weights @ value) if swap else (weights @ value, weights)

    return wrong


attend = Exercise(
    name="attend",
    oracle=_one_query_at_a_time,
    sample=_attend_case,
    outputs=("output", "weights"),
    edge_cases=[
        {"query": np.ones((1, 1)), "key": np.ones((1, 1)), "value": np.array([[3.0]])},
        {
            # The second row is small beside the first: each needs a largest score of its own.
            "query": np.array([[3000.0, 0.0], [1.0, 0.0]]),
            "key": np.array([[1.0, 0.0], [-1.0, 0.0]]),
            "value": np.array([[1.0], [2.0]]),
        },
    ],
    mistakes=[
        Mistake(
            "The scores are not divided by the root of the length of a query.",
            variant=_attend(scale=lambda q, k: 1.0),
        ),
        Mistake(
            "The scores are divided by the length of a query; it should be its root.",
            variant=_attend(scale=lambda q, k: 1.0 / q.shape[1]),
        ),
        Mistake(
            "The scores are multiplied by the root of the length, not divided by it.",
            variant=_attend(scale=lambda q, k: q.shape[1] ** 0.5),
        ),
        Mistake(
            "The root is that of the number of keys. It should be that of the length of a query, "
            "the number of products in a score.",
            variant=_attend(scale=lambda q, k: len(k) ** -0.5),
        ),
        Mistake(
            "The weights of a key add up to one over the queries. They should add up to one over "
            "the keys, for each query.",
            variant=_attend(weigh=lambda s: np.asarray(special.softmax(s, axis=0))),
        ),
        Mistake(
            "All weights together add up to one. Each query has a softmax of its own.",
            variant=_attend(weigh=lambda s: np.asarray(special.softmax(s))),
        ),
        Mistake(
            "The scores themselves are the weights: the softmax is missing.",
            variant=_attend(weigh=lambda s: s),
        ),
        Mistake(
            "The exponentials are not divided by their sum.",
            variant=_attend(weigh=lambda s: np.asarray(np.exp(s))),
        ),
        Mistake(
            "The right two arrays in the wrong order: first the output, then the weights.",
            variant=_attend(swap=True),
        ),
        Mistake(
            "It is right for small scores, but an exponential overflows for large ones. Softmax "
            "does not change if a row's largest score is subtracted first.",
            when=lambda case, expected, got: (
                np.abs(case["query"]).max() > 100.0 and not np.isfinite(got[1][0]).all()
            ),
        ),
        Mistake(
            "The largest of all scores is subtracted from every row, so that all exponentials of "
            "another row may become zero. Subtract from each row its own largest score.",
            when=lambda case, expected, got: (
                np.abs(case["query"]).max() > 100.0 and not np.isfinite(got[1][1]).all()
            ),
        ),
    ],
    success="Each query has weights of its own, and large scores do no harm.",
)


def _masked_case(rng: np.random.Generator) -> Mapping[str, Any]:
    n, steps, places = distinct_sizes(rng, 3, low=2, high=7)
    lengths = rng.integers(1, places + 1, size=n)
    lengths[0] = 1  # one text at least has padding
    return {"scores": rng.normal(size=(n, steps, places)), "lengths": lengths}


def _text_by_text(scores: FloatArray, lengths: IntArray) -> FloatArray:
    weights = np.zeros_like(scores)
    for n, length in enumerate(lengths):
        weights[n, :, :length] = special.softmax(scores[n, :, :length], axis=1)
    return weights


def _inside(scores: FloatArray, lengths: IntArray) -> FloatArray:
    return np.asarray((np.arange(scores.shape[2]) < lengths[:, None, None]).astype(float))


def _zeroed(scores: FloatArray, lengths: IntArray) -> FloatArray:
    return np.asarray(special.softmax(scores * _inside(scores, lengths), axis=2))


def _cut(scores: FloatArray, lengths: IntArray) -> FloatArray:
    return np.asarray(special.softmax(scores, axis=2) * _inside(scores, lengths))


def _fewer(scores: FloatArray, lengths: IntArray) -> FloatArray:
    return _text_by_text(scores, np.maximum(lengths - 1, 1))


def _inverted(scores: FloatArray, lengths: IntArray) -> FloatArray:
    weights = np.exp(scores - scores.max()) * (1.0 - _inside(scores, lengths))
    total = weights.sum(axis=2, keepdims=True)
    return np.asarray(np.divide(weights, total, out=np.zeros_like(weights), where=total > 0))


masked_softmax = Exercise(
    name="masked_softmax",
    oracle=_text_by_text,
    sample=_masked_case,
    edge_cases=[
        {"scores": np.zeros((1, 1, 1)), "lengths": np.array([1])},
        {"scores": np.full((1, 2, 3), -800.0), "lengths": np.array([2])},
    ],
    mistakes=[
        Mistake(
            "The padding still has weights: its scores are set to zero before the softmax, and "
            "the exponential of zero is one.",
            variant=_zeroed,
        ),
        Mistake(
            "The weights of the padding are set to zero after the softmax, so the others no "
            "longer add up to one.",
            variant=_cut,
        ),
        Mistake(
            "There is no mask: the padding has weights.",
            variant=lambda scores, lengths: special.softmax(scores, axis=2),
        ),
        Mistake(
            "The last word of each text is left out, too. A text of length 3 has the places 0, 1 "
            "and 2.",
            variant=_fewer,
        ),
        Mistake(
            "One place too many is let in. A text of length 3 has the places 0, 1 and 2.",
            variant=lambda scores, lengths: _text_by_text(scores, lengths + 1),
        ),
        Mistake(
            "The mask is upside down: the weights are on the padding.",
            when=lambda case, expected, got: bool(
                np.allclose(np.nan_to_num(got), _inverted(**case))
            ),
        ),
        Mistake(
            "The longest text sets the mask of all. Each text has its own length.",
            variant=lambda scores, lengths: _text_by_text(
                scores, np.full(len(lengths), lengths.max())
            ),
        ),
        Mistake(
            "The first text sets the mask of all. Each text has its own length.",
            variant=lambda scores, lengths: _text_by_text(
                scores, np.full(len(lengths), lengths[0])
            ),
        ),
        Mistake(
            "A row is divided by zero: all its exponentials are too small. Subtract the largest "
            "score that is not padding first.",
            when=lambda case, expected, got: (
                case["scores"].min() < -700.0 and not np.isfinite(got).all()
            ),
        ),
    ],
    success="Every row adds up to one, and the padding gets nothing.",
)


def _beam_case(rng: np.random.Generator) -> Mapping[str, Any]:
    beginnings, words = distinct_sizes(rng, 2, low=2, high=7)
    logits = rng.normal(size=(beginnings, words))
    return {
        "scores": -rng.exponential(1.0, size=beginnings),
        "log_probs": special.log_softmax(logits, axis=1),
        "width": int(rng.integers(1, beginnings + 1)),
    }


def _all_candidates(
    scores: FloatArray, log_probs: FloatArray, width: int
) -> tuple[IntArray, IntArray, FloatArray]:
    candidates = [
        (score + gain, parent, word)
        for parent, score in enumerate(scores)
        for word, gain in enumerate(log_probs[parent])
    ]
    best = sorted(candidates, key=lambda c: -c[0])[:width]
    totals, parents, words = zip(*best, strict=True)
    return np.array(parents), np.array(words), np.array(totals)


def _chosen(
    total: Callable[[FloatArray, FloatArray], FloatArray], sign: int = -1
) -> Callable[..., Any]:
    def wrong(scores: FloatArray, log_probs: FloatArray, width: int) -> Any:
        totals = total(scores, log_probs)
        best = np.argsort(sign * totals.reshape(-1), kind="stable")[:width]
        return (*np.divmod(best, log_probs.shape[1]), totals.reshape(-1)[best])

    return wrong


def _sum(scores: FloatArray, log_probs: FloatArray) -> FloatArray:
    return np.asarray(scores[:, None] + log_probs)


def _each_its_best(scores: FloatArray, log_probs: FloatArray, width: int) -> Any:
    words = log_probs.argmax(axis=1)
    totals = scores + log_probs.max(axis=1)
    best = np.argsort(-totals)[:width]
    return best, words[best], totals[best]


def _from_the_best(scores: FloatArray, log_probs: FloatArray, width: int) -> Any:
    parent = int(scores.argmax())
    words = np.argsort(-log_probs[parent])[:width]
    return np.full(len(words), parent), words, scores[parent] + log_probs[parent][words]


def _backwards(scores: FloatArray, log_probs: FloatArray, width: int) -> Any:
    return tuple(part[::-1] for part in _all_candidates(scores, log_probs, width))


def _swapped(scores: FloatArray, log_probs: FloatArray, width: int) -> Any:
    parents, words, totals = _all_candidates(scores, log_probs, width)
    return words, parents, totals


def _wrong_divisor(scores: FloatArray, log_probs: FloatArray, width: int) -> Any:
    totals = _sum(scores, log_probs).reshape(-1)
    best = np.argsort(-totals, kind="stable")[:width]
    return (*np.divmod(best, len(scores)), totals[best])


beam_step = Exercise(
    name="beam_step",
    oracle=_all_candidates,
    sample=_beam_case,
    outputs=("beginnings", "words", "scores"),
    edge_cases=[
        {"scores": np.array([0.0]), "log_probs": np.array([[-0.5, -0.2]]), "width": 1},
        {
            "scores": np.array([-1.0, -9.0]),
            "log_probs": np.log([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]]),
            "width": 2,
        },
    ],
    mistakes=[
        Mistake(
            "The scores of the beginnings are left out. A text's score is the sum over all of its "
            "words.",
            variant=_chosen(lambda scores, log_probs: log_probs),
        ),
        Mistake(
            "Score and log probability are multiplied. The logarithm of a product is a sum.",
            variant=_chosen(lambda scores, log_probs: scores[:, None] * log_probs),
        ),
        Mistake(
            "The worst candidates are kept.",
            variant=_chosen(_sum, sign=1),
        ),
        Mistake(
            "Each beginning is extended by its best word only. Two of the best candidates may "
            "have the same beginning.",
            variant=_each_its_best,
        ),
        Mistake(
            "Only the best beginning is extended. The others may overtake it.",
            variant=_from_the_best,
        ),
        Mistake(
            "The right candidates, but the worst comes first.",
            variant=_backwards,
        ),
        Mistake(
            "Beginnings and words are exchanged.",
            variant=_swapped,
        ),
        Mistake(
            "Right places in the flat array, but they are taken apart by the wrong number: a row "
            "has as many entries as there are words.",
            variant=_wrong_divisor,
        ),
    ],
    success="The best candidates are found, whatever beginnings they come from.",
)
