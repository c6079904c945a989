"""The runs of the lesson on forecasts and sentences, in their short forms."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from companion import data
from companion.network import predict
from companion.records import RUNS
from companion.records.sequences import (
    PLANS,
    TESTS,
    bag_of_words,
    errors_by_lead,
    forecasts,
    right,
    sentences,
    train_classifier,
    train_forecaster,
)
from companion.recurrence import LSTM, mase, seasonal_naive

KINDS = {"validation", *TESTS}


def test_plans_cut_the_series_where_the_lesson_says():
    """Oracle: the calendar."""
    ends = {"sunspots": (1899, 1939), "co2": (1983 + 11.5 / 12, 1989 + 11.5 / 12)}
    for name, series in (("sunspots", data.load_sunspots()), ("co2", data.load_co2())):
        plan = PLANS[name]
        got = series.time[[plan["train"] - 1, plan["known"] - 1]]
        np.testing.assert_allclose(got, ends[name])


@pytest.mark.parametrize("part", ["validation", "test"])
def test_errors_by_lead(part):
    """Oracle: the MASE of each step ahead from forecasts written out by hand."""
    values = data.load_sunspots().values
    first, end = {"validation": (200, 240), "test": (240, 309)}[part]
    got = errors_by_lead(lambda h: seasonal_naive(h, 11, period=11), values, "sunspots", part=part)
    for k in range(11):
        origins = np.arange(first, end - 10)
        expected = mase(values[origins + k], values[origins + k - 11], values[:200], period=11)
        assert got[k] == pytest.approx(expected)


def test_the_forecaster_learns_from_the_first_part_only():
    """Oracle: the same training on a series whose test part is another."""
    values = data.load_co2().values
    other = values.copy()
    other[PLANS["co2"]["known"] :] = 0.0
    settings = {"cell": "LSTM", "length": 12, "units": 3, "difference": 1, "epochs": 2, "seed": 1}
    one, two = (train_forecaster(v, "co2", **settings) for v in (values, other))
    np.testing.assert_array_equal(one(values[:100]), two(values[:100]))
    assert isinstance(one.model[0], LSTM)
    assert one.model[0].parameters()["weight_hh_l0"].dtype == np.float32
    assert one(values).shape == (12,)


def test_forecasts_choose_by_the_validation_years():
    """Oracle: the one setting of two whose rerun has the lower validation error."""
    settings = {
        "cells": ["RNN"],
        "lengths": [5, 11],
        "units": [4],
        "rates": [0.01],
        "differences": [1],
        "epochs": 3,
    }
    results = forecasts(choose_seeds=[0, 1], seeds=[2, 3], jobs=2, **settings)
    values = data.load_sunspots().values
    scores = {}
    for length in (5, 11):
        runs = [
            train_forecaster(
                values, "sunspots", cell="RNN", length=length, units=4, epochs=3, seed=seed
            )
            for seed in (0, 1)
        ]
        scores[length] = np.mean(
            [errors_by_lead(run, values, "sunspots", part="validation") for run in runs]
        )
    row = results["sunspots"]["RNN"]
    assert row["chosen"] == {"length": min(scores, key=scores.get), "units": 4, "lr": 0.01}
    assert row["tried"] == 2
    assert np.shape(row["validation"]) == np.shape(row["test"]) == (2, 11)
    assert np.shape(results["co2"]["RNN"]["1"]["test"]) == (2, 12)


def test_the_short_form_of_the_forecasts():
    """Oracle: the shapes that the lesson reads, and numbers that JSON holds."""
    results = RUNS["forecasts"](RUNS["forecasts"].short | {"epochs": 2})
    assert json.loads(json.dumps(results)) == results
    assert set(results["sunspots"]) == {"GRU"}
    assert set(results["co2"]["GRU"]) == {"None", "1"}


def test_bag_of_words_is_chosen_by_the_validation_sentences():
    """Oracle: each strength tried here; word counts alone have one column a word."""
    train = data.make_sentences(300, rng=0)
    validation = data.make_sentences(100, part="validation", rng=1)
    model = bag_of_words(train, validation, longest=1)
    assert set(model[0].vocabulary_) == {word for text in train.texts for word in text.split()}
    scores = []
    for strength in (0.01, 0.1, 1.0, 10.0):
        other = type(model)([("c", CountVectorizer(token_pattern=r"\S+")), ("l", model[1])])
        other = other.set_params(l__C=strength).fit(train.texts, train.labels)
        scores.append(other.score(validation.texts, validation.labels))
    assert bag_of_words(train, validation, longest=1).score(
        validation.texts, validation.labels
    ) == max(scores)


def test_the_classifier_learns_topics_in_a_moment():
    """Oracle: the labels of the grammar."""
    train = data.make_sentences(200, task="topic", rng=0)
    test = data.make_sentences(100, task="topic", part="test", rng=1)
    model = train_classifier(train, steps=60, lr=0.02, dtype=np.float64)
    assert model.parameters()["linear.weight"].dtype == np.float64
    logits = predict(model, test.tokens, batch_axis=1, output_axis=0)
    assert right(model, test) == np.mean(logits.argmax(axis=1) == test.labels)
    assert right(model, test) > 0.9


def test_the_short_form_of_the_sentences():
    """Oracle: the shapes that the lesson reads; the better rate of two is taken."""
    short = RUNS["sentences"].short
    results = sentences(**short | {"rates": [1e-6, 0.02], "n": 200, "steps": 60})
    assert json.loads(json.dumps(results)) == results
    row = results["models"]["GRU"]
    assert set(row) == KINDS | {"lr"}
    assert row["lr"] in (1e-6, 0.02)
    assert all(len(row[kind]) == 1 for kind in KINDS)
    assert set(results["bags"]) == {"1", "2", "3"}
    assert np.shape(results["curve"]["topic"]["GRU"]) == (1, 1)
    assert results["topic bag"]["test"] > 0.9
