"""The exercises of the lesson *Forecasts and sentences*."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from companion._validation import FloatArray, IntArray
from companion.check._engine import Exercise, Mistake, distinct_sizes


def _series_case(rng: np.random.Generator) -> Mapping[str, Any]:
    period, horizon, more = distinct_sizes(rng, 3, low=2, high=9)
    level = rng.uniform(5.0, 9.0)
    return {
        "train": level + rng.normal(size=3 * period + more).cumsum(),
        "target": level + rng.normal(size=horizon).cumsum(),
        "period": period,
    }


def _value_by_value(train: FloatArray, target: FloatArray, period: int) -> float:
    misses = []
    for k, value in enumerate(target):
        place = len(train) + k
        while place >= len(train):
            place -= period
        misses.append(abs(value - train[place]))
    known = [abs(train[t] - train[t - period]) for t in range(period, len(train))]
    return float(sum(misses) / len(misses) / (sum(known) / len(known)))


def _naive(
    *,
    forecast: Callable[[FloatArray, int, int], FloatArray] = lambda train, n, period: np.resize(
        train[-period:], n
    ),
    yardstick: Callable[[FloatArray, FloatArray, int], FloatArray] = lambda train, target, period: (
        train[period:] - train[:-period]
    ),
    size: Callable[[FloatArray], Any] = lambda errors: np.mean(np.abs(errors)),
    ratio: Callable[[float, float], float] = lambda error, scale: error / scale,
) -> Callable[[FloatArray, FloatArray, int], float]:
    def wrong(train: FloatArray, target: FloatArray, period: int) -> float:
        errors = target - forecast(train, len(target), period)
        return ratio(float(size(errors)), float(size(yardstick(train, target, period))))

    return wrong


seasonal_naive_mase = Exercise(
    name="seasonal_naive_mase",
    oracle=_value_by_value,
    sample=_series_case,
    edge_cases=[
        {"train": np.array([1.0, 2.0, 4.0]), "target": np.array([4.0, 5.0]), "period": 1},
        {"train": np.array([1.0, 5.0, 2.0]), "target": np.array([5.0, 2.5, 9.0]), "period": 2},
    ],
    mistakes=[
        Mistake(
            "The forecast repeats the first period of the training values. It should repeat the "
            "last one.",
            variant=_naive(forecast=lambda train, n, period: np.resize(train[:period], n)),
        ),
        Mistake(
            "The forecast is the last value for every step. That is persistence; each step has a "
            "value of its own, one period back.",
            variant=_naive(forecast=lambda train, n, period: np.full(n, train[-1])),
        ),
        Mistake(
            "The forecast repeats the last period backwards.",
            variant=_naive(
                forecast=lambda train, n, period: np.resize(train[: -period - 1 : -1], n)
            ),
        ),
        Mistake(
            "The yardstick compares neighbouring values. It should compare values a period apart.",
            variant=_naive(yardstick=lambda train, target, period: np.diff(train)),
        ),
        Mistake(
            "The yardstick uses the values that were to be forecast. It may use the training "
            "values only.",
            variant=_naive(
                yardstick=lambda train, target, period: (
                    target - np.resize(train[-period:], len(target))
                )
            ),
        ),
        Mistake(
            "The yardstick is the spread of the training values around their mean, not the error "
            "of a forecast.",
            variant=_naive(yardstick=lambda train, target, period: train - train.mean()),
        ),
        Mistake(
            "The errors are squared; they should be taken without sign.",
            variant=_naive(size=lambda errors: np.mean(errors**2)),
        ),
        Mistake(
            "The errors are squared, and a root is taken at the end. That is another measure; "
            "here errors are taken without sign.",
            variant=_naive(size=lambda errors: np.sqrt(np.mean(errors**2))),
        ),
        Mistake(
            "The errors keep their signs and cancel each other.",
            variant=_naive(size=lambda errors: np.abs(np.mean(errors))),
        ),
        Mistake(
            "The errors are added up, not averaged: the two sums have different numbers of terms.",
            variant=_naive(size=lambda errors: np.sum(np.abs(errors))),
        ),
        Mistake(
            "The ratio is upside down: a larger error should give a larger number.",
            variant=_naive(ratio=lambda error, scale: scale / error),
        ),
        Mistake(
            "The error is not divided by the yardstick.",
            variant=_naive(ratio=lambda error, scale: error),
        ),
    ],
    success="The error is measured by a forecast that anyone can make.",
)


def _outputs_case(rng: np.random.Generator) -> Mapping[str, Any]:
    steps, n, units = distinct_sizes(rng, 3, low=3, high=8)
    # No sentence fills all steps, and the longest one is not the first.
    lengths = rng.integers(1, steps - 1, size=n)
    lengths[1] = steps - 1
    return {"outputs": rng.normal(size=(steps, n, units)), "lengths": lengths}


def _one_by_one(outputs: FloatArray, lengths: IntArray) -> FloatArray:
    return np.stack([outputs[:length, k][-1] for k, length in enumerate(lengths)])


def _means(outputs: FloatArray, lengths: IntArray) -> FloatArray:
    return np.stack([outputs[:length, k].mean(axis=0) for k, length in enumerate(lengths)])


last_valid_step = Exercise(
    name="last_valid_step",
    oracle=_one_by_one,
    sample=_outputs_case,
    edge_cases=[
        {"outputs": np.arange(2.0).reshape(1, 2, 1), "lengths": np.array([1, 1])},
        {"outputs": np.arange(12.0).reshape(3, 2, 2), "lengths": np.array([3, 3])},
    ],
    mistakes=[
        Mistake(
            "You take the last row for every sentence. Where a sentence is shorter, that row is "
            "padding.",
            variant=lambda outputs, lengths: outputs[-1],
        ),
        Mistake(
            "You take the step after the last one. A sentence of three words has its last at "
            "index 2.",
            variant=lambda outputs, lengths: outputs[
                np.minimum(lengths, len(outputs) - 1), np.arange(len(lengths))
            ],
        ),
        Mistake(
            "You take the step after the last one, and run out of steps for the longest sentence.",
            variant=lambda outputs, lengths: outputs[lengths, np.arange(len(lengths))],
        ),
        Mistake(
            "You take the step before the last one.",
            variant=lambda outputs, lengths: outputs[lengths - 2, np.arange(len(lengths))],
        ),
        Mistake(
            "You take every sentence's step for every sentence: index both axes at once, step and "
            "sentence side by side.",
            variant=lambda outputs, lengths: outputs[lengths - 1],
        ),
        Mistake(
            "You take the first step of each sentence.",
            variant=lambda outputs, lengths: outputs[0],
        ),
        Mistake(
            "You average over the steps of each sentence; only the last is asked for.",
            variant=_means,
        ),
        Mistake(
            "You average over all steps, padding included; only the last valid one is asked for.",
            variant=lambda outputs, lengths: outputs.mean(axis=0),
        ),
        Mistake(
            "You use the length of the first sentence for all of them.",
            variant=lambda outputs, lengths: outputs[lengths[0] - 1],
        ),
        Mistake(
            "You use the longest length for all sentences.",
            variant=lambda outputs, lengths: outputs[lengths.max() - 1],
        ),
    ],
    success="Each sentence answers after its own last word.",
)


def _split_case(rng: np.random.Generator) -> Mapping[str, Any]:
    length, horizon, more = distinct_sizes(rng, 3, low=2, high=6)
    start = length + horizon + more
    total = start + horizon + int(rng.integers(2, 6))
    trend = rng.uniform(0.5, 1.5) * np.arange(total)
    return {
        "series": trend + rng.normal(size=total),
        "length": length,
        "horizon": horizon,
        "start": start,
    }


Split = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


def _split(
    *,
    scale: Callable[[FloatArray, int], tuple[Any, Any]] = lambda series, start: (
        series[:start].mean(),
        series[:start].std(),
    ),
    is_train: Callable[[int, int, int, int], bool] = lambda k, length, horizon, start: (
        k + length + horizon <= start
    ),
    is_test: Callable[[int, int, int, int], bool] = lambda k, length, horizon, start: (
        k + length >= start
    ),
) -> Callable[[FloatArray, int, int, int], Split]:
    """Return a way to split, by deciding on each window by itself."""

    def split(series: FloatArray, length: int, horizon: int, start: int) -> Split:
        mean, spread = scale(series, start)
        scaled = (series - mean) / spread
        parts: list[FloatArray] = []
        for belongs in (is_train, is_test):
            places = [
                k
                for k in range(len(series) - length - horizon + 1)
                if belongs(k, length, horizon, start)
            ]
            parts.append(np.array([scaled[k : k + length] for k in places]).reshape(-1, length))
            ends = [scaled[k + length : k + length + horizon] for k in places]
            parts.append(np.array(ends).reshape(-1, horizon))
        return parts[0], parts[1], parts[2], parts[3]

    return split


def _each_part_by_itself(series: FloatArray, length: int, horizon: int, start: int) -> Split:
    later = series[start - length :]
    by_later = _split(scale=lambda series, start: (later.mean(), later.std()))
    return (
        *_split()(series, length, horizon, start)[:2],
        *by_later(series, length, horizon, start)[2:],
    )


time_split = Exercise(
    name="time_split",
    oracle=_split(),
    sample=_split_case,
    outputs=("x_train", "y_train", "x_test", "y_test"),
    edge_cases=[{"series": np.arange(6.0) ** 2, "length": 1, "horizon": 1, "start": 3}],
    mistakes=[
        Mistake(
            "The mean and the standard deviation are those of the whole series. They may know the "
            "training part only, or the future leaks in.",
            variant=_split(scale=lambda series, start: (series.mean(), series.std())),
        ),
        Mistake(
            "The test part is scaled by its own mean and standard deviation. Both parts need those "
            "of the values before the cut; a forecaster does not know the others yet.",
            variant=_each_part_by_itself,
        ),
        Mistake(
            "The values are not scaled.",
            variant=_split(scale=lambda series, start: (0.0, 1.0)),
        ),
        Mistake(
            "The values are centred, but not divided by the standard deviation.",
            variant=_split(scale=lambda series, start: (series[:start].mean(), 1.0)),
        ),
        Mistake(
            "The standard deviation divides by one less than the number of values; NumPy's "
            "default is asked for.",
            variant=_split(
                scale=lambda series, start: (series[:start].mean(), series[:start].std(ddof=1))
            ),
        ),
        Mistake(
            "Training windows forecast values of the test part: the whole window, target "
            "included, must end before it.",
            variant=_split(is_train=lambda k, length, horizon, start: k + length <= start),
        ),
        Mistake(
            "Training windows forecast values of the test part: only the place where a window "
            "begins is compared with the cut.",
            variant=_split(is_train=lambda k, length, horizon, start: k < start),
        ),
        Mistake(
            "The last training window is missing: it may end exactly where the test part begins.",
            variant=_split(is_train=lambda k, length, horizon, start: k + length + horizon < start),
        ),
        Mistake(
            "The first test windows are missing. What a window reads may lie before the cut: "
            "those values are known by then.",
            variant=_split(is_test=lambda k, length, horizon, start: k >= start),
        ),
        Mistake(
            "The first test window is missing: its first target is the first value of the test "
            "part.",
            variant=_split(is_test=lambda k, length, horizon, start: k + length > start),
        ),
        Mistake(
            "Test windows forecast values of the training part: only their last target lies "
            "behind the cut.",
            variant=_split(is_test=lambda k, length, horizon, start: k + length + horizon > start),
        ),
        Mistake(
            "Every window is in the test part, the training windows too.",
            variant=_split(is_test=lambda k, length, horizon, start: True),
        ),
    ],
    success="Nothing from behind the cut reaches the training.",
)
