"""The runs of the lesson on gates in tiny forms, and the headlines of what is stored."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion import data
from companion.network import CrossEntropyLoss, MSELoss
from companion.records import RUNS
from companion.records.lstm import (
    CELLS,
    EVERY,
    PARAMETERS,
    SYMBOLS,
    TEST_SEED,
    WORD,
    Task,
    by_length,
    train,
    units,
    variants,
)
from companion.recurrence import RNN


@given(cell=st.sampled_from(sorted(CELLS)), size=st.integers(1, 60))
def test_as_many_units_as_fit(cell, size):
    """Oracle: parameters counted in the layer itself; one unit more would be too many."""

    def count(hidden):
        layer = CELLS[cell][0](size, hidden, rng=0)
        return sum(array.size for array in layer.parameters().values())

    hidden = units(cell, size)
    assert count(hidden) <= PARAMETERS < count(hidden + 1)


def test_the_tasks_are_those_of_the_data():
    """Oracle: the generators called directly, the baselines of their docstrings, and the losses."""
    x, y = Task("adding", 7).make(5, 3)
    wanted = data.make_adding(5, 7, rng=3, dtype=np.float32)
    np.testing.assert_array_equal(x, wanted[0])
    np.testing.assert_array_equal(y, wanted[1])
    assert Task("adding", 7).baseline == pytest.approx(1 / 6)
    assert isinstance(Task("adding", 7).loss(), MSELoss)
    x, y = Task("copying", 4).make(5, 3)
    wanted = data.make_copy(5, 4, symbols=SYMBOLS, length=WORD, rng=3)
    np.testing.assert_array_equal(x, wanted[0])
    np.testing.assert_array_equal(y, wanted[1])
    assert Task("copying", 4).baseline == pytest.approx(5 * math.log(4) / 14)
    assert Task("copying", 4).goal == pytest.approx(0.1 * Task("copying", 4).baseline)


def test_the_baselines_are_those_of_a_network_that_does_not_remember():
    """Oracle: the loss of the best constant answer, on the sequences of the test."""
    task = Task("adding", 9)
    _, y = task.make(20_000, 1)
    assert np.mean((y - 1) ** 2) == pytest.approx(task.baseline, rel=0.03)
    task = Task("copying", 3)
    x, y = task.make(50, 1)
    logits = np.full((*x.shape, SYMBOLS + 1), -1e4)
    logits[: 3 + WORD, :, 0] = 0.0
    logits[3 + WORD :, :, 1:] = 0.0
    loss = CrossEntropyLoss().forward(logits.reshape(-1, SYMBOLS + 1), y.T.ravel())
    assert loss == pytest.approx(task.baseline)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_learns_to_add_two_of_four_numbers(cell):
    """Oracle: the goal, measured again on other sequences than those it was stopped on."""
    task = Task("adding", 4)
    model, curve = train(task, cell, lr=0.01, seed=0, updates=1500)
    assert curve[-1] < task.goal
    assert all(value >= task.goal for value in curve[:-1])
    assert task.evaluate(model, TEST_SEED) < 1.5 * task.goal
    assert model[0].parameters()["weight_ih_l0"].dtype == np.float32


def test_the_start_of_the_relu_network():
    """Oracle: Le, Jaitly & Hinton: the identity, and small weights of the input."""
    layer = Task("adding", 4).model("RNN, ReLU", np.random.default_rng(0))[0]
    assert isinstance(layer, RNN)
    assert layer.nonlinearity == "relu"
    np.testing.assert_array_equal(layer.parameters()["weight_hh_l0"], np.eye(layer.hidden_size))
    assert 0 < np.abs(layer.parameters()["weight_ih_l0"]).max() < 0.005


def test_a_run_can_be_repeated():
    """Invariant: the same seed gives the same curve, another seed another."""
    task = Task("copying", 2)
    first, again, other = (
        train(task, "GRU", lr=0.003, seed=seed, updates=200)[1] for seed in (0, 0, 1)
    )
    assert first == again != other
    assert len(first) == 2


def test_training_that_diverges_is_written_down():
    """Edge case: a learning rate without any sense, for a network without bounds."""
    found = variants(3, {"mad": {"max_grad_norm": None}}, 0.01, [0], EVERY)
    assert found["runs"]["mad"][0]["updates"] in (None, EVERY)
    rates = {"RNN, ReLU": [1e30, 0.01]}
    found = by_length(
        "adding", [30], rates, [0], 100, choose_at=30, choose_seeds=[1], choose_updates=200
    )
    assert found["tried"]["RNN, ReLU"]["1e+30"] is None
    assert found["rates"] == {"RNN, ReLU": 0.01}
    found = by_length("adding", [30], {"RNN, ReLU": [1e30]}, [0], 200)
    (run,) = found["runs"]["RNN, ReLU"][0]
    assert run == {"curve": [None], "test": None, "updates": None}


def test_the_table_by_length():
    """Oracle: single runs, put together by hand."""
    rates = {"RNN, tanh": [0.003], "GRU": [0.001, 0.02]}
    settings = {"choose_at": 3, "choose_seeds": [7], "choose_updates": 200}
    found = by_length("adding", [3, 5], rates, [0, 1], 200, **settings)
    tried = {}
    for lr in rates["GRU"]:
        curve = train(Task("adding", 3), "GRU", lr=lr, seed=7, updates=200)[1]
        tried[lr] = np.mean(np.resize([*curve, curve[-1]], 2))
    assert found["rates"] == {"RNN, tanh": 0.003, "GRU": min(tried, key=tried.get)}
    assert found["tried"].keys() == {"GRU"}
    assert found["tried"]["GRU"] == {f"{lr:g}": round(v, 5) for lr, v in tried.items()}
    assert found["goals"] == [0.01, 0.01]
    model, curve = train(Task("adding", 5), "RNN, tanh", lr=0.003, seed=1, updates=200)
    run = found["runs"]["RNN, tanh"][1][1]
    assert run["curve"] == [round(value, 5) for value in curve]
    assert run["test"] == round(Task("adding", 5).evaluate(model, TEST_SEED), 5)
    assert run["updates"] == (200 if curve[-1] < 0.01 else None)
    json.dumps(found, allow_nan=False)


def test_variants_are_given_to_the_layer():
    """Oracle: the same run by hand, with the bias that the variant names."""
    found = variants(4, {"a": {"forget_bias": -1.0}, "b": {}}, 0.01, [3], 200)["runs"]
    _, curve = train(Task("adding", 4), "LSTM", lr=0.01, seed=3, updates=200, forget_bias=-1.0)
    assert found["a"][0]["curve"] == [round(value, 5) for value in curve]
    assert found["a"] != found["b"]


@pytest.mark.parametrize("name", ["lstm-adding", "lstm-copying"])
def test_the_short_forms_are_small_and_alike(name):
    """Invariant: the same cells and the same task as in the full form."""
    run = RUNS[name]
    assert run.short["task"] == run.full["task"]
    assert run.short["rates"].keys() == run.full["rates"].keys() == CELLS.keys()


def test_unknown_names():
    """The message names what there is."""
    with pytest.raises(ValueError, match="cell must be one of 'RNN, tanh'"):
        train(Task("adding", 4), "peephole", lr=0.1, seed=0, updates=100)
    with pytest.raises(ValueError, match="task must be one of"):
        by_length("sorting", [3], {}, [0], 100)
