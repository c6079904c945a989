"""The checks of the lesson *Attention*: right answers pass, typical wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from companion import check
from companion.check import Exercise
from companion.recurrence import dot_product_attention
from tests.check.oracles import reseeded


def softmax(scores, axis=-1):
    weights = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return weights / weights.sum(axis=axis, keepdims=True)


def attend(query, key, value):
    weights = softmax(query @ key.T / np.sqrt(query.shape[1]))
    return weights @ value, weights


def attend_by_torch(query, key, value):
    tensors = [torch.tensor(a)[None] for a in (query, key, value)]
    output = torch.nn.functional.scaled_dot_product_attention(*tensors)[0].numpy()
    return output, attend(query, key, value)[1]


def masked_softmax(scores, lengths):
    inside = np.arange(scores.shape[2]) < lengths[:, None, None]
    return softmax(np.where(inside, scores, -np.inf))


def masked_by_torch(scores, lengths):
    mask = torch.arange(scores.shape[2]) >= torch.tensor(lengths)[:, None, None]
    return torch.softmax(torch.tensor(scores).masked_fill(mask, -torch.inf), dim=2).numpy()


def beam_step(scores, log_probs, width):
    totals = (scores[:, None] + log_probs).reshape(-1)
    best = np.argsort(-totals)[:width]
    return (*np.divmod(best, log_probs.shape[1]), totals[best])


def beam_by_torch(scores, log_probs, width):
    totals, best = torch.topk(
        (torch.tensor(scores)[:, None] + torch.tensor(log_probs)).ravel(), width
    )
    return (best // log_probs.shape[1]).numpy(), (best % log_probs.shape[1]).numpy(), totals.numpy()


RIGHT = [
    (check.attend, attend),
    (check.attend, attend_by_torch),
    (check.attend, dot_product_attention),
    (check.masked_softmax, masked_softmax),
    (check.masked_softmax, masked_by_torch),
    (check.beam_step, beam_step),
    (check.beam_step, beam_by_torch),
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


def scaled(factor):
    def wrong(query, key, value):
        weights = softmax(query @ key.T * factor(query, key))
        return weights @ value, weights

    return wrong


def weighed(weigh):
    def wrong(query, key, value):
        weights = weigh(query @ key.T / np.sqrt(query.shape[1]))
        return weights @ value, weights

    return wrong


def overflows(query, key, value):
    with np.errstate(over="ignore", invalid="ignore"):
        weights = np.exp(query @ key.T / np.sqrt(query.shape[1]))
        weights = weights / weights.sum(axis=1, keepdims=True)
    return weights @ value, weights


def largest_of_all(query, key, value):
    scores = query @ key.T / np.sqrt(query.shape[1])
    with np.errstate(invalid="ignore"):
        weights = np.exp(scores - scores.max())
        weights = weights / weights.sum(axis=1, keepdims=True)
    return weights @ value, weights


def attend_in_place(query, key, value):
    result = attend(query, key, value)
    query *= 2
    return result


def inside(scores, lengths):
    return np.arange(scores.shape[2]) < lengths[:, None, None]


def outside_instead(scores, lengths):
    with np.errstate(invalid="ignore"):
        return softmax(np.where(inside(scores, lengths), -np.inf, scores))


def underflows(scores, lengths):
    weights = np.exp(scores) * inside(scores, lengths)
    with np.errstate(invalid="ignore"):
        return weights / weights.sum(axis=2, keepdims=True)


def by_total(total, sign=-1):
    def wrong(scores, log_probs, width):
        totals = total(scores, log_probs).reshape(-1)
        best = np.argsort(sign * totals)[:width]
        return (*np.divmod(best, log_probs.shape[1]), totals[best])

    return wrong


def own_best(scores, log_probs, width):
    totals = scores + log_probs.max(axis=1)
    best = np.argsort(-totals)[:width]
    return best, log_probs.argmax(axis=1)[best], totals[best]


def best_parent(scores, log_probs, width):
    k = scores.argmax()
    words = np.argsort(-log_probs[k])[:width]
    return np.full(len(words), k), words, scores[k] + log_probs[k, words]


def wrong_divisor(scores, log_probs, width):
    totals = (scores[:, None] + log_probs).reshape(-1)
    best = np.argsort(-totals)[:width]
    return (*np.divmod(best, len(scores)), totals[best])


WRONG = [
    (check.attend, scaled(lambda q, k: 1.0), "not divided by the root"),
    (check.attend, scaled(lambda q, k: 1 / q.shape[1]), "should be its root"),
    (check.attend, scaled(lambda q, k: np.sqrt(q.shape[1])), "multiplied by the root"),
    (check.attend, scaled(lambda q, k: 1 / np.sqrt(len(k))), "number of keys"),
    (check.attend, weighed(lambda s: softmax(s, axis=0)), "over the queries"),
    (check.attend, weighed(lambda s: softmax(s.reshape(-1)).reshape(s.shape)), "All weights"),
    (check.attend, weighed(lambda s: s), "softmax is missing"),
    (check.attend, weighed(lambda s: np.exp(s)), "not divided by their sum"),
    (check.attend, lambda q, k, v: attend(q, k, v)[::-1], "wrong order"),
    (check.attend, overflows, "overflows for large ones"),
    (check.attend, largest_of_all, "largest of all scores"),
    (check.attend, lambda q, k, v: attend(q, k, v)[0], "2 values (output, weights)"),
    (check.attend, attend_in_place, "in place"),
    (check.masked_softmax, lambda s, n: softmax(s * inside(s, n)), "exponential of zero is one"),
    (check.masked_softmax, lambda s, n: softmax(s) * inside(s, n), "no longer add up"),
    (check.masked_softmax, lambda s, n: softmax(s), "no mask"),
    (check.masked_softmax, lambda s, n: masked_softmax(s, np.maximum(n - 1, 1)), "last word"),
    (check.masked_softmax, lambda s, n: masked_softmax(s, n + 1), "One place too many"),
    (check.masked_softmax, outside_instead, "upside down"),
    (
        check.masked_softmax,
        lambda s, n: masked_softmax(s, np.full(len(n), n.max())),
        "The longest text",
    ),
    (check.masked_softmax, lambda s, n: masked_softmax(s, n[:1]), "The first text"),
    (check.masked_softmax, underflows, "divided by zero"),
    (check.masked_softmax, lambda s, n: masked_softmax(s, n)[0], "has shape"),
    (check.beam_step, by_total(lambda s, p: p), "left out"),
    (check.beam_step, by_total(lambda s, p: s[:, None] * p), "are multiplied"),
    (check.beam_step, by_total(lambda s, p: s[:, None] + p, 1), "The worst candidates"),
    (check.beam_step, own_best, "its best word only"),
    (check.beam_step, best_parent, "Only the best beginning"),
    (check.beam_step, lambda *a: tuple(p[::-1] for p in beam_step(*a)), "worst comes first"),
    (check.beam_step, lambda *a: tuple(beam_step(*a)[k] for k in (1, 0, 2)), "exchanged"),
    (check.beam_step, wrong_divisor, "wrong number"),
    (check.beam_step, lambda *a: beam_step(*a)[:2], "3 values"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    result = exercise(answer)
    assert not result
    assert words in result.message
