"""The long runs of the lesson on sequences: forecasts of two series, and classes of sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from companion import data
from companion._validation import FloatArray
from companion.network import (
    Adam,
    CrossEntropyLoss,
    EarlyStopping,
    Linear,
    Sequential,
    accuracy,
    fit,
    predict,
    schedules,
)
from companion.recurrence.lstm import GRU, LSTM
from companion.recurrence.rnn import RNN, LastStep, RecurrentLayer
from companion.recurrence.sequences import (
    SequenceClassifier,
    WindowForecaster,
    mase,
    rolling_forecasts,
)

CELLS: Mapping[str, type[RecurrentLayer]] = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}
# Values for training, for training and validation, to forecast at a time, and of a period.
PLANS: Mapping[str, Mapping[str, int]] = {
    "sunspots": {"train": 200, "known": 240, "horizon": 11, "period": 11},
    "co2": {"train": 310, "known": 382, "horizon": 12, "period": 12},
}
TESTS = ("test", "longer", "negated", "held-out")


def train_forecaster(
    values: FloatArray,
    name: str,
    *,
    cell: str = "GRU",
    length: int = 22,
    units: int = 16,
    lr: float = 0.01,
    difference: int | None = None,
    epochs: int = 200,
    seed: int = 0,
    dtype: DTypeLike = np.float32,
) -> WindowForecaster:
    """Return a recurrent network trained on the first part of a series, stopped on the second."""
    plan = PLANS[name]
    rng = np.random.default_rng(seed)
    model = Sequential(
        CELLS[cell](1, units, rng=rng, dtype=dtype),
        LastStep(),
        Linear(units, plan["horizon"], rng=rng, dtype=dtype),
    )
    forecaster = WindowForecaster(model, length, plan["horizon"], difference=difference)
    forecaster.fit(
        values[: plan["train"]],
        validation=values[plan["train"] : plan["known"]],
        optimiser=Adam(lr),
        epochs=epochs,
        batch_size=64,
        rng=rng,
        max_grad_norm=1.0,
        early_stopping=EarlyStopping(patience=40),
    )
    return forecaster


def errors_by_lead(
    forecaster: Callable[[FloatArray], FloatArray], values: FloatArray, name: str, *, part: str
) -> list[float]:
    """Return the MASE of each step ahead, over all forecasts inside one part of a series."""
    plan = PLANS[name]
    start, end = {
        "validation": (plan["train"], plan["known"]),
        "test": (plan["known"], len(values)),
    }[part]
    forecasts, targets = rolling_forecasts(
        forecaster, values[:end], start=start, horizon=plan["horizon"]
    )
    train, period = values[: plan["train"]], plan["period"]
    return [
        mase(target, forecast, train, period=period)
        for target, forecast in zip(targets.T, forecasts.T, strict=True)
    ]


def _forecast_errors(settings: Mapping[str, Any]) -> dict[str, list[float]]:
    values = (data.load_sunspots() if settings["name"] == "sunspots" else data.load_co2()).values
    forecaster = train_forecaster(values, **settings)
    return {
        part: errors_by_lead(forecaster, values, settings["name"], part=part)
        for part in ("validation", "test")
    }


def forecasts(
    *,
    cells: Sequence[str],
    lengths: Sequence[int],
    units: Sequence[int],
    rates: Sequence[float],
    differences: Sequence[int | None],
    choose_seeds: Sequence[int],
    seeds: Sequence[int],
    epochs: int,
    jobs: int = 1,
) -> dict[str, Any]:
    """Choose each cell's settings by the validation years, then measure it on the test years.

    Sunspots: for each of `cells` every combination of `lengths`, `units` and `rates` is tried with
    `choose_seeds`. CO2: for each cell and each of `differences`, one combination.

    Returns
    -------
    dict
        ``"sunspots"``: by cell ``"chosen"`` (the settings), ``"tried"`` (how many) and, one row
        a seed and one column a step ahead, the MASE under ``"validation"`` and ``"test"``.
        ``"co2"``: by cell, by difference, the same two tables.
    """
    grid = [
        {"length": length, "units": width, "lr": lr}
        for length in lengths
        for width in units
        for lr in rates
    ]
    common: dict[str, Any] = {"epochs": epochs}
    tries = [
        {"name": "sunspots", "cell": cell, "seed": seed, **setting, **common}
        for cell in cells
        for setting in grid
        for seed in choose_seeds
    ]
    found = _map(_forecast_errors, tries, jobs)
    results: dict[str, Any] = {"sunspots": {}, "co2": {}}
    jobs_left, places = [], []
    for cell in cells:
        scores = [
            np.mean(
                [
                    errors["validation"]
                    for errors, settings in zip(found, tries, strict=True)
                    if settings["cell"] == cell and setting.items() <= settings.items()
                ]
            )
            for setting in grid
        ]
        chosen = grid[int(np.argmin(scores))]
        results["sunspots"][cell] = {"chosen": chosen, "tried": len(grid)}
        for seed in seeds:
            places.append(results["sunspots"][cell])
            jobs_left.append({"name": "sunspots", "cell": cell, "seed": seed, **chosen, **common})
        results["co2"][cell] = {str(lag): {} for lag in differences}
        for lag in differences:
            for seed in seeds:
                places.append(results["co2"][cell][str(lag)])
                settings = {"name": "co2", "cell": cell, "length": 24, "difference": lag}
                jobs_left.append({**settings, "seed": seed, **common})
    for place, errors in zip(places, _map(_forecast_errors, jobs_left, jobs), strict=True):
        for part, by_lead in errors.items():
            place.setdefault(part, []).append([round(error, 4) for error in by_lead])
    return results


def bag_of_words(train: data.Sentences, validation: data.Sentences, *, longest: int) -> Any:
    """Return logistic regression on counts of words, and of runs of up to `longest` words.

    It is a pipeline of scikit-learn. Validation sentences choose how strongly it is regularised.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    models = [
        make_pipeline(
            CountVectorizer(token_pattern=r"\S+", ngram_range=(1, longest)),
            LogisticRegression(C=strength, max_iter=5000),
        ).fit(train.texts, train.labels)
        for strength in (0.01, 0.1, 1.0, 10.0)
    ]
    scores = [model.score(validation.texts, validation.labels) for model in models]
    return models[int(np.argmax(scores))]


def train_classifier(
    train: data.Sentences,
    *,
    cell: str = "GRU",
    bidirectional: bool = False,
    lr: float = 0.01,
    embedding: int = 16,
    steps: int = 600,
    seed: int = 0,
    dtype: DTypeLike = np.float32,
) -> SequenceClassifier:
    """Return a recurrent network trained on sentences, 64 at a time, for about `steps` steps."""
    rng = np.random.default_rng(seed)
    model = SequenceClassifier(
        len(train.vocabulary),
        len(train.classes),
        embedding_dim=embedding,
        cell=CELLS[cell],
        bidirectional=bidirectional,
        rng=rng,
        dtype=dtype,
    )
    batches = -(-len(train.labels) // 64)
    epochs = max(1, round(steps / batches))
    fit(
        model,
        CrossEntropyLoss(),
        Adam(lr),
        train.tokens,
        train.labels,
        epochs=epochs,
        batch_size=64,
        rng=rng,
        schedule=schedules.cosine(lr, total_steps=epochs * batches),
        max_grad_norm=1.0,
        batch_axis=1,
        output_axis=0,
    )
    return model


def right(model: SequenceClassifier, sentences: data.Sentences) -> float:
    """Return the share of sentences that a network classifies rightly."""
    logits = predict(model, sentences.tokens, batch_axis=1, output_axis=0)
    return round(accuracy(logits, sentences.labels), 4)


@lru_cache
def _sentences(task: str, part: str, n: int) -> data.Sentences:
    """Return the sentences of all runs: each part is drawn with a seed of its own."""
    parts = ("train", "validation", *TESTS)
    return data.make_sentences(n, task=task, part=part, rng=parts.index(part))


def _classifier_accuracies(
    settings: Mapping[str, Any], *, tests: int, keep: Sequence[str]
) -> dict[str, float]:
    options = dict(settings)
    task = options.pop("task", "sentiment")
    train = _sentences(task, "train", options.pop("n"))
    model = train_classifier(train, **options)
    return {part: right(model, _sentences(task, part, tests)) for part in keep}


def _bag_accuracies(
    n: int, *, task: str, longest: int, tests: int, keep: Sequence[str]
) -> dict[str, float]:
    train, validation = _sentences(task, "train", n), _sentences(task, "validation", tests)
    model = bag_of_words(train, validation, longest=longest)
    scores = {}
    for part in keep:
        sentences = _sentences(task, part, tests)
        scores[part] = round(float(model.score(sentences.texts, sentences.labels)), 4)
    return scores


def sentences(
    *,
    n: int,
    tests: int,
    steps: int,
    networks: Mapping[str, Mapping[str, Any]],
    rates: Sequence[float],
    choose_seeds: Sequence[int],
    seeds: Sequence[int],
    sizes: Sequence[int],
    topic_sizes: Sequence[int],
    curve_seeds: Sequence[int],
    jobs: int = 1,
) -> dict[str, Any]:
    """Compare networks and bags of words, by kind of test sentence and by size of the training set.

    Each of `networks` (a name and settings for `train_classifier`) gets the one of `rates` that is
    best on the validation sentences, mean over `choose_seeds`.

    Returns
    -------
    dict
        ``"models"``: by name ``"lr"`` and the accuracies, one a seed, on each kind of test.
        ``"bags"``: the same accuracies for runs of up to 1, 2 and 3 words.
        ``"curve"``: by task, by model, by size of the training set, accuracies on the test part.
    """
    measure = partial(_classifier_accuracies, tests=tests, keep=("validation", *TESTS))
    tries = [
        {"n": n, "steps": steps, "lr": lr, "seed": seed, **settings}
        for settings in networks.values()
        for lr in rates
        for seed in choose_seeds
    ]
    found = np.array([scores["validation"] for scores in _map(measure, tries, jobs)])
    means = found.reshape(len(networks), len(rates), len(choose_seeds)).mean(axis=2)
    best = {name: rates[k] for name, k in zip(networks, means.argmax(axis=1), strict=True)}
    runs = [
        {"n": n, "steps": steps, "lr": best[name], "seed": seed, **settings}
        for name, settings in networks.items()
        for seed in seeds
    ]
    rows = iter(_map(measure, runs, jobs))
    results: dict[str, Any] = {"models": {}, "bags": {}, "curve": {}}
    for name in networks:
        scores = [next(rows) for _ in seeds]
        by_part = {part: [row[part] for row in scores] for part in ("validation", *TESTS)}
        results["models"][name] = {"lr": best[name], **by_part}
    for longest in (1, 2, 3):
        results["bags"][str(longest)] = _bag_accuracies(
            n, task="sentiment", longest=longest, tests=tests, keep=("validation", *TESTS)
        )
    for task, counts in (("sentiment", sizes), ("topic", topic_sizes)):
        curve = [
            {
                "task": task,
                "n": count,
                "steps": steps if task == "sentiment" else steps // 3,
                "seed": seed,
            }
            for count in counts
            for seed in curve_seeds
        ]
        found_rows = _map(partial(_classifier_accuracies, tests=tests, keep=("test",)), curve, jobs)
        by_size = np.array([row["test"] for row in found_rows]).reshape(len(counts), -1).tolist()
        results["curve"][task] = {"GRU": by_size}
        for longest in (1, 2):
            bags = [
                _bag_accuracies(count, task=task, longest=longest, tests=tests, keep=("test",))
                for count in counts
            ]
            results["curve"][task][f"bag of {longest}"] = [bag["test"] for bag in bags]
    held_out = _bag_accuracies(
        max(topic_sizes), task="topic", longest=1, tests=tests, keep=("test", "held-out", "longer")
    )
    results["topic bag"] = held_out
    return results


def _map(function: Callable[..., Any], items: Sequence[Any], jobs: int) -> list[Any]:
    if jobs == 1:
        return [function(item) for item in items]
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        return list(pool.map(function, items))
