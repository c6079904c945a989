"""The checks of the lesson *Forecasts and sentences*: right answers pass, typical wrong ones do
not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from companion import check
from companion.check import Exercise
from companion.recurrence import RNN, mase, seasonal_naive, windows_of
from tests.check.oracles import reseeded


def seasonal_naive_mase(train, target, period):
    forecast = train[-period:][np.arange(len(target)) % period]
    yardstick = np.abs(train[period:] - train[:-period]).mean()
    return np.abs(target - forecast).mean() / yardstick


def by_package(train, target, period):
    forecast = seasonal_naive(train, len(target), period=period)
    return mase(target, forecast, train, period=period)


def last_valid_step(outputs, lengths):
    return outputs[lengths - 1, np.arange(len(lengths))]


def last_by_take(outputs, lengths):
    return np.take_along_axis(outputs, (lengths - 1)[None, :, None], axis=0)[0]


def time_split(series, length, horizon, start):
    known = series[:start]
    scaled = (series - known.mean()) / known.std()
    x, y = windows_of(scaled, length, horizon)
    x, ends = x[:, :, 0].T, np.arange(len(y)) + length
    train, test = ends + horizon <= start, ends >= start
    return x[train], y[train], x[test], y[test]


def split_by_slices(series, length, horizon, start):
    scaled = (series - series[:start].mean()) / series[:start].std()
    parts = []
    for piece in (scaled[:start], scaled[start - length :]):
        count = len(piece) - length - horizon + 1
        parts.append(np.array([piece[k : k + length] for k in range(count)]))
        parts.append(np.array([piece[k + length : k + length + horizon] for k in range(count)]))
    return tuple(parts)


RIGHT = [
    (check.seasonal_naive_mase, seasonal_naive_mase),
    (check.seasonal_naive_mase, by_package),
    (check.last_valid_step, last_valid_step),
    (check.last_valid_step, last_by_take),
    (check.time_split, time_split),
    (check.time_split, split_by_slices),
]


@pytest.mark.parametrize(("exercise", "solution"), RIGHT)
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_right_answers_pass(
    exercise: Exercise, solution: Callable[..., Any], seed: int | None
) -> None:
    """Oracle: answers written by hand and with the package, on several sets of cases."""
    if seed is not None:
        exercise = reseeded(exercise, seed)
    result = exercise(solution)
    assert result, result.message


def test_the_last_valid_step_is_the_final_state() -> None:
    """Oracle: the state that a recurrent layer reports for sequences of unequal length."""
    rng = np.random.default_rng(0)
    layer, lengths = RNN(2, 3, rng=rng), np.array([5, 1, 3])
    outputs = layer.forward(rng.normal(size=(5, 3, 2)), lengths=lengths)
    np.testing.assert_allclose(last_valid_step(outputs, lengths), layer.state[0])


def with_forecast(forecast):
    def wrong(train, target, period):
        yardstick = np.abs(train[period:] - train[:-period]).mean()
        return np.abs(target - forecast(train, len(target), period)).mean() / yardstick

    return wrong


def with_yardstick(yardstick):
    def wrong(train, target, period):
        errors = np.abs(target - np.resize(train[-period:], len(target)))
        return errors.mean() / np.abs(yardstick(train, target, period)).mean()

    return wrong


def with_size(size):
    def wrong(train, target, period):
        errors = target - np.resize(train[-period:], len(target))
        return size(errors) / size(train[period:] - train[:-period])

    return wrong


def split_with(*, known=None, train=None, test=None):
    def wrong(series, length, horizon, start):
        part = series[:start] if known is None else known(series, start)
        x, y = windows_of((series - part.mean()) / part.std(), length, horizon)
        x, begins = x[:, :, 0].T, np.arange(len(y))
        ends = begins + length + horizon
        first = ends <= start if train is None else train(begins, ends, length, start)
        second = begins + length >= start if test is None else test(begins, ends, length, start)
        return x[first], y[first], x[second], y[second]

    return wrong


def unscaled(series, length, horizon, start):
    mean, std = series[:start].mean(), series[:start].std()
    return tuple(part * std + mean for part in time_split(series, length, horizon, start))


def only_centred(series, length, horizon, start):
    return tuple(p * series[:start].std() for p in time_split(series, length, horizon, start))


def other_deviation(series, length, horizon, start):
    factor = np.sqrt(1 - 1 / start)
    return tuple(part * factor for part in time_split(series, length, horizon, start))


def each_part_by_itself(series, length, horizon, start):
    x_train, y_train, _, _ = time_split(series, length, horizon, start)
    later = series[start - length :]
    x, y = windows_of((later - np.mean(later)) / np.std(later), length, horizon)
    return x_train, y_train, x[:, :, 0].T, y


def in_place(series, length, horizon, start):
    parts = time_split(series.copy(), length, horizon, start)
    series -= series[:start].mean()
    return parts


WRONG = [
    (
        check.seasonal_naive_mase,
        with_forecast(lambda train, n, period: np.resize(train[:period], n)),
        "repeats the first period",
    ),
    (
        check.seasonal_naive_mase,
        with_forecast(lambda train, n, period: train[-1] * np.ones(n)),
        "persistence",
    ),
    (
        check.seasonal_naive_mase,
        with_forecast(lambda train, n, period: np.resize(train[-period:][::-1], n)),
        "backwards",
    ),
    (
        check.seasonal_naive_mase,
        with_yardstick(lambda train, target, period: train[1:] - train[:-1]),
        "neighbouring values",
    ),
    (
        check.seasonal_naive_mase,
        with_yardstick(
            lambda train, target, period: target - np.resize(train[-period:], len(target))
        ),
        "that were to be forecast",
    ),
    (
        check.seasonal_naive_mase,
        with_yardstick(lambda train, target, period: train - np.mean(train)),
        "around their mean",
    ),
    (check.seasonal_naive_mase, with_size(lambda e: (e**2).mean()), "errors are squared; they"),
    (check.seasonal_naive_mase, with_size(lambda e: (e**2).mean() ** 0.5), "a root is taken"),
    (check.seasonal_naive_mase, with_size(lambda e: abs(e.mean())), "cancel each other"),
    (check.seasonal_naive_mase, with_size(lambda e: np.abs(e).sum()), "added up, not averaged"),
    (
        check.seasonal_naive_mase,
        lambda train, target, period: 1 / seasonal_naive_mase(train, target, period),
        "upside down",
    ),
    (
        check.seasonal_naive_mase,
        lambda train, target, period: np.abs(
            target - np.resize(train[-period:], len(target))
        ).mean(),
        "not divided by the yardstick",
    ),
    (
        check.seasonal_naive_mase,
        lambda train, target, period: np.abs(target - np.resize(train[-period:], len(target))),
        "has shape",
    ),
    (check.last_valid_step, lambda outputs, lengths: outputs[-1], "that row is padding"),
    (
        check.last_valid_step,
        lambda outputs, lengths: outputs[
            np.clip(lengths, 0, len(outputs) - 1), np.arange(len(lengths))
        ],
        "the step after the last one. A sentence",
    ),
    (
        check.last_valid_step,
        lambda outputs, lengths: outputs[lengths, np.arange(len(lengths))],
        "run out of steps",
    ),
    (
        check.last_valid_step,
        lambda outputs, lengths: outputs[lengths - 2, np.arange(len(lengths))],
        "the step before",
    ),
    (check.last_valid_step, lambda outputs, lengths: outputs[lengths - 1], "both axes at once"),
    (check.last_valid_step, lambda outputs, lengths: outputs[0], "the first step"),
    (
        check.last_valid_step,
        lambda outputs, lengths: np.stack(
            [outputs[:n, k].sum(axis=0) / n for k, n in enumerate(lengths)]
        ),
        "average over the steps of each sentence",
    ),
    (check.last_valid_step, lambda outputs, lengths: outputs.mean(axis=0), "padding included"),
    (
        check.last_valid_step,
        lambda outputs, lengths: outputs[lengths[0] - 1],
        "length of the first sentence",
    ),
    (
        check.last_valid_step,
        lambda outputs, lengths: outputs[max(lengths) - 1],
        "the longest length",
    ),
    (check.time_split, split_with(known=lambda series, start: series), "of the whole series"),
    (check.time_split, each_part_by_itself, "by its own mean"),
    (check.time_split, unscaled, "not scaled"),
    (check.time_split, only_centred, "not divided by the standard deviation"),
    (check.time_split, other_deviation, "one less than the number"),
    (
        check.time_split,
        split_with(train=lambda begins, ends, length, start: begins + length <= start),
        "target included",
    ),
    (
        check.time_split,
        split_with(train=lambda begins, ends, length, start: begins < start),
        "where a window begins",
    ),
    (
        check.time_split,
        split_with(train=lambda begins, ends, length, start: ends < start),
        "last training window is missing",
    ),
    (
        check.time_split,
        split_with(test=lambda begins, ends, length, start: begins >= start),
        "may lie before the cut",
    ),
    (
        check.time_split,
        split_with(test=lambda begins, ends, length, start: begins + length > start),
        "first test window is missing",
    ),
    (
        check.time_split,
        split_with(test=lambda begins, ends, length, start: ends > start),
        "only their last target",
    ),
    (
        check.time_split,
        split_with(test=lambda begins, ends, length, start: begins >= 0),
        "training windows too",
    ),
    (check.time_split, lambda *case: time_split(*case)[:2], "4 values"),
    (check.time_split, in_place, "in place"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    result = exercise(answer)
    assert not result
    assert words in result.message
