"""The runs on working memory, with settings that take a moment."""

from __future__ import annotations

import json

import numpy as np
import pytest

from companion import data
from companion.network import Linear, accuracy
from companion.records import RUNS
from companion.records.working_memory import (
    CELLS,
    CONDITIONS,
    TEST_SEED,
    VALIDATION_SEED,
    back_sequences,
    delayed_match,
    match_accuracy,
    match_trials,
    n_back,
    n_back_score,
    train_match,
    train_n_back,
)


class Rule(Linear):
    """A layer that knows the answer: it compares the first symbol with the last."""

    def __init__(self) -> None:
        super().__init__(1, 1, rng=0)

    def forward(self, x):
        same = np.all(x[0, :, :4] == x[-1, :, :4], axis=1)
        return np.column_stack([~same, same]).astype(float)


class Back(Linear):
    """A layer that knows whether a symbol is that of two steps before."""

    def __init__(self, right: bool = True) -> None:
        super().__init__(1, 1, rng=0)
        self.right = right

    def forward(self, x):
        same = np.zeros(x.shape[:2], dtype=bool)
        same[2:] = np.all(x[2:] == x[:-2], axis=2) == self.right
        return np.stack([~same, same], axis=2).astype(float)


def test_the_tasks_are_those_of_the_data():
    """Oracle: the generators called directly."""
    x, y = match_trials(6, 5, 2, rng=3)
    wanted = data.make_delayed_match(6, delay=5, distractors=2, rng=3, dtype=np.float32)
    np.testing.assert_array_equal(x, wanted[0])
    np.testing.assert_array_equal(y, wanted[1])
    x, y = back_sequences(5, 3, rng=4)
    wanted = data.make_n_back(5, 20, back=3, symbols=6, rng=4, dtype=np.float32)
    np.testing.assert_array_equal(x, wanted[0])
    np.testing.assert_array_equal(y, wanted[1])


def test_who_knows_the_rule_makes_no_error():
    """Oracle: the rule itself, and its opposite."""
    assert match_accuracy(Rule(), 9) == match_accuracy(Rule(), 9, 4) == 1.0
    assert n_back_score(Back(), 2) == 1.0
    assert n_back_score(Back(right=False), 2) == -1.0
    assert abs(n_back_score(Back(), 3)) < 0.4


@pytest.mark.parametrize("cell", CELLS)
def test_a_network_learns_to_match(cell):
    """Oracle: the accuracy on fresh trials, counted here; untrained it is near chance."""
    model = train_match(cell, "one delay", lr=0.01, seed=0, updates=200, units=16)
    x, y = match_trials(500, 8, rng=TEST_SEED)
    assert match_accuracy(model, 8) == accuracy(model(x), y) > 0.9
    assert model[0].parameters()["weight_ih_l0"].dtype == np.float32
    fresh = train_match(cell, "one delay", lr=0.01, seed=0, updates=10, units=16)
    assert match_accuracy(fresh, 8) < 0.8


def test_conditions_differ_and_runs_can_be_repeated():
    """Invariant: the same seed gives the same weights, another condition or seed others."""

    def weights(condition, seed):
        model = train_match("RNN", condition, lr=0.01, seed=seed, updates=20, units=4)
        return model.parameters()["0.weight_hh_l0"]

    first = weights("many delays", 1)
    np.testing.assert_array_equal(first, weights("many delays", 1))
    for condition, seed in (("many delays", 2), ("one delay", 1), ("distractors", 1)):
        assert not np.array_equal(first, weights(condition, seed))
    assert CONDITIONS["one delay"] == ((8,), 0)
    assert CONDITIONS["distractors"][0] == CONDITIONS["many delays"][0]


def test_a_network_learns_one_back():
    """Oracle: hits and false alarms counted one by one."""
    model = train_n_back("GRU", 1, lr=0.01, seed=0, updates=200, units=16)
    x, y = back_sequences(500, 1, rng=TEST_SEED)
    said, hits, alarms = model(x).argmax(axis=2), [], []
    for n in range(500):
        for t in range(1, 20):
            (hits if y[n, t] else alarms).append(said[t, n])
    assert n_back_score(model, 1) == pytest.approx(np.mean(hits) - np.mean(alarms))
    assert n_back_score(model, 1) > 0.9


def test_the_table_of_delays():
    """Oracle: single runs, put together by hand."""
    found = delayed_match(
        {"RNN": [0.001, 0.01], "GRU": [0.02]}, [0, 1], 20, [2, 5], [0, 3], choose_seeds=[7]
    )
    tried = {}
    for lr in (0.001, 0.01):
        model = train_match("RNN", "many delays", lr=lr, seed=7, updates=20)
        delays = range(2, 13)
        tried[lr] = np.mean([match_accuracy(model, k, seed=VALIDATION_SEED) for k in delays])
    assert found["rates"] == {"RNN": max(tried, key=tried.get), "GRU": 0.02}
    assert found["tried"] == {"RNN": {f"{lr:g}": round(v, 4) for lr, v in tried.items()}}
    model = train_match("GRU", "distractors", lr=0.02, seed=1, updates=20)
    run = found["runs"]["GRU"]["distractors"][1]
    assert run["by_delay"] == [round(match_accuracy(model, k), 4) for k in (2, 5)]
    assert run["by_distractors"] == [round(match_accuracy(model, 12, k), 4) for k in (0, 3)]
    json.dumps(found, allow_nan=False)


def test_the_table_of_n_back():
    """Oracle: single runs, put together by hand."""
    found = n_back({"RNN": [0.001, 0.01]}, [1, 3], [4, 8], [0, 1], 20, choose_seeds=[7])
    tried = {}
    for lr in (0.001, 0.01):
        model = train_n_back("RNN", 3, lr=lr, seed=7, updates=20, units=16)
        tried[lr] = n_back_score(model, 3, seed=VALIDATION_SEED)
    lr = max(tried, key=tried.get)
    assert found["rates"] == {"RNN": lr}
    model = train_n_back("RNN", 3, lr=lr, seed=1, updates=20, units=8)
    assert found["runs"]["RNN"][1][1][1] == round(n_back_score(model, 3), 4)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("name", ["working-memory-delay", "working-memory-n-back"])
def test_the_short_forms_are_small_and_alike(name):
    """Invariant: rates, sizes and tests of the short form are among those of the full one."""
    run = RUNS[name]
    for cell, rates in run.short["rates"].items():
        assert set(rates) <= set(run.full["rates"][cell])
    for key in ("delays", "distractors", "backs", "units", "seeds"):
        assert set(run.short.get(key, ())) <= set(run.full.get(key, ()))


def test_unknown_names():
    """The message names what there is."""
    with pytest.raises(ValueError, match="cell must be one of 'RNN', 'GRU', 'LSTM'"):
        train_match("CNN", "one delay", lr=0.1, seed=0)
    with pytest.raises(ValueError, match="condition must be one of 'one delay'"):
        train_match("RNN", "no delay", lr=0.1, seed=0)
    with pytest.raises(ValueError, match="cell must be one of"):
        train_n_back("CNN", 1, lr=0.1, seed=0)
