"""What the lesson *LSTM: a cell with gates* reports, found again in another or a smaller form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from companion import records
from companion.records import RUNS
from companion.records.lstm import TEST_SEED, Task, train
from companion.recurrence import GRU, LSTM, cell_half_life, gradient_by_lag
from tests.recurrence.oracles import load_into

STEPS = 101


def gradients_of_the_last_cell(layer, x, seed):
    """Return the gradient with respect to each cell of a random projection of the last one, and
    the part of it that comes along the cells alone."""
    layer.forward(x)
    gates = layer.activations()["f"]
    start = np.random.default_rng(seed).normal(size=(1, x.shape[1], layer.hidden_size))
    layer.backward(np.zeros((*x.shape[:2], layer.hidden_size)), (np.zeros_like(start), start))
    along = start[0] * np.cumprod(gates[::-1], axis=0)
    return layer.grad_state[1][0], along[-1], start


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).normal(size=(STEPS, 8, 4))


@pytest.mark.parametrize("seed", range(3))
def test_with_a_large_bias_the_belt_shrinks_and_the_whole_gradient_grows(noise, seed):
    """Oracle: PyTorch's gradient of the same layer; the sizes that the lesson reports, less a
    margin."""
    layer = LSTM(4, 32, forget_bias=5.0, rng=seed)
    whole, along, start = gradients_of_the_last_cell(layer, noise, seed)
    assert np.linalg.norm(along) < np.linalg.norm(start)
    assert np.linalg.norm(whole) > 10 * np.linalg.norm(start)
    theirs = torch.nn.LSTM(4, 32)
    load_into(layer, theirs)
    h, c = torch.zeros(1, 8, 32).double(), torch.zeros(1, 8, 32).double().requires_grad_()
    _, (_, last) = theirs(torch.tensor(noise), (h, c))
    (last * torch.tensor(start)).sum().backward()
    np.testing.assert_allclose(whole, c.grad[0], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("bias", [-1.0, 0.0, 1.0])
def test_with_a_small_bias_gradients_vanish(noise, bias):
    """Oracle: the closed form of the half-life for the belt, to within a quarter in the exponent;
    the whole gradient lies between the belt and its start."""
    layer = LSTM(4, 32, forget_bias=bias, rng=0)
    whole, along, start = (np.linalg.norm(a) for a in gradients_of_the_last_cell(layer, noise, 0))
    predicted = -math.log(2) * STEPS / float(cell_half_life(bias))
    assert math.log(along / start) == pytest.approx(predicted, rel=0.25)
    assert along < whole < 1e-3 * start


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_the_trained_network_carries_the_gradient_and_knows_one_length_only(cell):
    """Oracle: the lesson's orders of size: a gradient at lag 35 of more than a hundredth after
    training, of less before for the GRU, and errors that grow away from the trained length."""
    task = Task("adding", 40)
    new = task.model(cell, np.random.default_rng(0))
    model, curve = train(task, cell, lr=0.01, seed=0, updates=1500)
    assert curve[-1] < task.goal
    assert task.evaluate(model, TEST_SEED) < 0.015
    x, _ = task.make(100, 5)
    state = "c" if cell == "LSTM" else "h"
    before, after = (gradient_by_lag(m[0], x, rng=0)[state][35] for m in (new, model))
    assert after > 0.02
    if cell == "GRU":
        assert before < 1e-3
    errors = [Task("adding", steps).evaluate(model, TEST_SEED) for steps in (20, 40, 120)]
    assert errors[0] > 2 * errors[1]
    assert errors[2] > 5 * errors[1]


def test_another_rate_lets_the_tanh_network_add_at_ten_steps():
    """Oracle: the goal, which the stored run with the rate chosen at forty steps did not meet."""
    stored = records.load("lstm-adding")
    ten = stored.settings["lengths"].index(10)
    assert all(run["updates"] is None for run in stored.results["runs"]["RNN, tanh"][ten])
    task = Task("adding", 10)
    _, curve = train(task, "RNN, tanh", lr=0.003, seed=0, updates=stored.settings["updates"])
    assert curve[-1] < task.goal


def test_pytorch_starts_forget_gates_near_one_half():
    """Oracle: PyTorch itself; two biases drawn evenly around zero."""
    torch.manual_seed(0)
    theirs = torch.nn.LSTM(2, 64)
    bias = theirs.bias_ih_l0[64:128] + theirs.bias_hh_l0[64:128]
    assert abs(torch.sigmoid(bias).mean().item() - 0.5) < 0.02
    assert bias.abs().max().item() <= 2 / math.sqrt(64)


def test_the_number_of_parameters():
    """Closed form: blocks times H (I + H + 2)."""
    for kind, blocks in ((LSTM, 4), (GRU, 3)):
        total = sum(a.size for a in kind(10, 64, rng=0).parameters().values())
        assert total == blocks * 64 * (10 + 64 + 2)


def updates(record, cell, length):
    """Return the updates to the goal of each seed."""
    rows = records.load(record).results["runs"][cell]
    return [run["updates"] for run in rows[records.load(record).settings["lengths"].index(length)]]


def test_the_stored_runs_on_the_adding_problem():
    """Oracle: the lesson's headlines: gates meet the goal at every length and seed, plain networks
    at ten steps or not at all; the baseline 1/6."""
    stored = records.load("lstm-adding")
    for length in stored.settings["lengths"]:
        gru, lstm = (updates("lstm-adding", cell, length) for cell in ("GRU", "LSTM"))
        assert None not in gru + lstm
        assert np.median(gru) < np.median(lstm)
    assert None not in updates("lstm-adding", "RNN, ReLU", 10)
    for cell in ("RNN, tanh", "RNN, ReLU"):
        rows = stored.results["runs"][cell]
        for row in rows[3:]:
            assert all(run["test"] > 0.15 for run in row)
    short = RUNS["lstm-adding"].short["rates"]
    assert {cell: rate for cell, (rate,) in short.items()} == stored.results["rates"]
    for cell, (rate,) in records.load("lstm-patience").settings["rates"].items():
        assert rate == stored.results["rates"][cell]


def test_the_stored_runs_with_patience():
    """Oracle: the lesson's headline: with five times the updates plain networks come near."""
    found = records.load("lstm-patience").results["runs"]
    assert sum(run["updates"] is not None for run in found["RNN, ReLU"][0]) == 2
    assert all(0.01 < run["test"] < 0.03 for run in found["RNN, tanh"][0])
    assert min(run["updates"] or 10_000 for run in found["RNN, ReLU"][0]) > 5 * max(
        updates("lstm-adding", "LSTM", 40)
    )


def test_the_stored_runs_on_the_copy_task():
    """Oracle: the lesson's headlines: the tanh network is first at five steps, the GRU alone at
    twenty, the ReLU network nowhere."""
    stored = records.load("lstm-copying")
    first = {cell: updates("lstm-copying", cell, 5) for cell in ("RNN, tanh", "GRU", "LSTM")}
    assert max(first["RNN, tanh"]) < min(n for c in ("GRU", "LSTM") for n in first[c] if n)
    assert None not in first["LSTM"]
    assert None not in updates("lstm-copying", "GRU", 20)
    for cell in ("RNN, tanh", "LSTM"):
        assert updates("lstm-copying", cell, 20) == [None] * 3
    for length in stored.settings["lengths"]:
        assert updates("lstm-copying", "RNN, ReLU", length) == [None] * 3
    far = {
        cell: np.array([r["test"] for r in rows[3]])
        for cell, rows in stored.results["runs"].items()
    }
    baseline = stored.results["baselines"][3]
    assert (far["GRU"] < 0.35 * baseline).all()
    assert (far["LSTM"] > 0.6 * baseline).all()
    short = RUNS["lstm-copying"].short["rates"]
    assert {cell: rate for cell, (rate,) in short.items()} == stored.results["rates"]


def test_the_stored_variants():
    """Oracle: the lesson's headlines: all meet the goal, the lowest bias last."""
    runs = records.load("lstm-variants").results["runs"]
    medians = {name: np.median([run["updates"] for run in row]) for name, row in runs.items()}
    assert min(medians, key=medians.get) == "forget bias 1"
    assert max(medians, key=medians.get) == "forget bias -2"
    assert medians["forget bias -2"] > 2 * medians["forget bias 1"]
