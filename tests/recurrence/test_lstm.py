"""What is particular to gates. That LSTM and GRU agree with PyTorch stands in test_rnn.py."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from companion import network
from companion.recurrence import GRU, LSTM, cell_half_life
from tests.network.oracles import DTYPES, SEEDS, assert_close, central_differences
from tests.recurrence.oracles import pair

GATES = {"lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n")}


def lstm_by_the_letter(p, x):
    """Return h and c at every step, from the four equations with a loop over units."""
    steps, n, _ = x.shape
    size = p["weight_hh_l0"].shape[1]
    h, c = np.zeros((n, size)), np.zeros((n, size))
    hs, cs = [], []
    for t in range(steps):
        new_h, new_c = np.empty_like(h), np.empty_like(c)
        for k in range(n):
            for j in range(size):
                total = [
                    p["weight_ih_l0"][g * size + j] @ x[t, k]
                    + p["bias_ih_l0"][g * size + j]
                    + p["weight_hh_l0"][g * size + j] @ h[k]
                    + p["bias_hh_l0"][g * size + j]
                    for g in range(4)
                ]
                new_c[k, j] = expit(total[1]) * c[k, j] + expit(total[0]) * np.tanh(total[2])
                new_h[k, j] = expit(total[3]) * np.tanh(new_c[k, j])
        h, c = new_h, new_c
        hs.append(h)
        cs.append(c)
    return np.stack(hs), np.stack(cs)


@given(seed=SEEDS)
def test_lstm_equations_unit_by_unit(seed):
    """Oracle: the equations written out with one loop for each index."""
    rng = np.random.default_rng(seed)
    layer, _ = pair("lstm", (2, 3), rng)
    x = rng.normal(size=(4, 2, 2))
    h, c = lstm_by_the_letter(layer.parameters(), x)
    assert_close(layer.forward(x), h, tolerance=1e-13)
    assert_close(layer.activations()["c"], c, tolerance=1e-13)


@given(seed=SEEDS)
def test_gru_equations_step_by_step(seed):
    """Oracle: the equations in PyTorch's form, one matrix for each gate."""
    rng = np.random.default_rng(seed)
    layer, _ = pair("gru", (2, 3), rng)
    x, p = rng.normal(size=(4, 2, 2)), layer.parameters()
    (ir, iz, i_n), (hr, hz, hn) = (np.split(p[f"weight_{k}_l0"], 3) for k in ("ih", "hh"))
    (bir, biz, bin_), (bhr, bhz, bhn) = (np.split(p[f"bias_{k}_l0"], 3) for k in ("ih", "hh"))
    h = np.zeros((2, 3))
    for t, out in enumerate(layer.forward(x)):
        r = expit(x[t] @ ir.T + bir + h @ hr.T + bhr)
        z = expit(x[t] @ iz.T + biz + h @ hz.T + bhz)
        n = np.tanh(x[t] @ i_n.T + bin_ + r * (h @ hn.T + bhn))
        h = (1 - z) * n + z * h
        assert_close(out, h, tolerance=1e-13)
        for name, value in (("r", r), ("z", z), ("n", n)):
            assert_close(layer.activations()[name][t], value, tolerance=1e-13)


@pytest.mark.parametrize(
    ("kind", "gate"), [(kind, gate) for kind, gates in GATES.items() for gate in gates]
)
@pytest.mark.parametrize("part", ["weight_ih", "weight_hh", "bias_ih", "bias_hh"])
def test_the_gradient_of_each_gate(kind, gate, part):
    """Oracle: central differences in the rows of one gate alone, so that a swap of two gates with
    the right total would show."""
    rng = np.random.default_rng(7)
    layer, _ = pair(kind, (2, 3), rng)
    x, target = rng.normal(size=(5, 2, 2)), rng.normal(size=(5, 2, 3))
    loss = network.MSELoss()
    k = GATES[kind].index(gate)
    rows = layer.parameters()[f"{part}_l0"][3 * k : 3 * (k + 1)]

    def value() -> float:
        return loss.forward(layer.forward(x), target)

    slopes = central_differences(value, rows)
    value()
    layer.backward(loss.backward())
    ours = layer.gradients()[f"{part}_l0"][3 * k : 3 * (k + 1)]
    assert np.abs(slopes).max() > 1e-4
    np.testing.assert_allclose(ours, slopes, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_shut_and_kept_cell_is_copied_for_a_thousand_steps(dtype):
    """Closed form: forget gate 1 and input gate 0 to the last bit, so the cell does not change by
    one bit, and neither does the gradient on its way back."""
    layer = LSTM(2, 4, rng=0, dtype=dtype)
    bias = layer.parameters()["bias_ih_l0"]
    bias[:4], bias[4:8] = -1e4, 1e4
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 3, 2)).astype(dtype)
    h, c = rng.normal(size=(2, 1, 3, 4)).astype(dtype)
    layer.forward(x, (h, c))
    cells = layer.activations()["c"]
    assert all(np.array_equal(cell, c[0]) for cell in cells)
    grad_c = rng.normal(size=c.shape).astype(dtype)
    layer.backward(np.zeros((1000, 3, 4), dtype=dtype), (np.zeros_like(h), grad_c))
    np.testing.assert_array_equal(layer.grad_state[1], grad_c)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_gru_with_a_shut_update_copies_its_state(dtype):
    """Closed form: update gate 1 to the last bit keeps h."""
    layer = GRU(2, 4, rng=0, dtype=dtype)
    layer.parameters()["bias_ih_l0"][4:8] = 1e4
    rng = np.random.default_rng(0)
    h = rng.uniform(-1, 1, size=(1, 3, 4)).astype(dtype)
    out = layer.forward(rng.normal(size=(1000, 3, 2)).astype(dtype), h)
    np.testing.assert_array_equal(out[-1], h[0])


@given(forget_bias=st.floats(-3, 3), layers=st.integers(1, 2), bidirectional=st.booleans())
def test_the_forget_bias_starts_where_it_is_told(forget_bias, layers, bidirectional):
    """Closed form: the second block of every bias_ih, and nothing else, is not zero."""
    layer = LSTM(
        2,
        3,
        forget_bias=forget_bias,
        num_layers=layers,
        bidirectional=bidirectional,
        rng=0,
    )
    wanted = np.zeros(12)
    wanted[3:6] = forget_bias
    for name, array in layer.parameters().items():
        if name.startswith("bias_ih"):
            np.testing.assert_array_equal(array, wanted)
        elif name.startswith("bias_hh"):
            assert not array.any()


def test_without_bias_there_is_no_forget_bias():
    """The names of the parameters are PyTorch's for bias=False."""
    assert set(LSTM(2, 3, bias=False, rng=0).parameters()) == {"weight_ih_l0", "weight_hh_l0"}


def test_a_saturated_gate_is_quiet():
    """Invariant: huge sums give gates of exactly 0 and 1, no warning and no NaN."""
    for layer in (LSTM(1, 2, rng=0), GRU(1, 2, rng=0)):
        out = layer.forward(np.full((3, 1, 1), 1e8))
        back = layer.backward(np.ones_like(out))
        assert np.isfinite(out).all()
        assert np.isfinite(back).all()


@pytest.mark.parametrize(
    ("value", "error"), [(np.nan, ValueError), ("1", TypeError), (None, TypeError)]
)
def test_wrong_forget_bias(value, error):
    """The message names the argument."""
    with pytest.raises(error, match="forget_bias must"):
        LSTM(2, 3, forget_bias=value, rng=0)


@given(bias=st.floats(-30, 10))
def test_the_half_life_halves(bias):
    """Oracle: the gate itself, to the power of the half-life."""
    assert_close(expit(bias) ** cell_half_life(bias), 0.5, tolerance=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
def test_half_lives_that_are_known(dtype):
    """Closed form: a gate of 1/2 halves in one step, 2^(-1/n) in n, and e^(-b) is 1 - gate for a
    large b, far below the spacing of numbers around 1."""
    steps = np.array([1, 2, 10, 100])
    biases = np.append(-np.log(2.0 ** (1 / steps) - 1.0), 60.0).astype(dtype)
    found = cell_half_life(biases)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, [*steps, np.log(2) * np.exp(60.0)], rtol=1e-4)
    assert cell_half_life(0.0).shape == ()


def test_half_life_of_a_gate_of_one_is_infinite():
    """Edge case: sigma(1000) is 1 in 64 bits, and nothing is ever lost."""
    assert cell_half_life(1000.0) == np.inf
    assert cell_half_life([]).shape == (0,)
    with pytest.raises(ValueError, match="forget_bias must be finite"):
        cell_half_life([0.0, np.nan])


@given(seed=SEEDS, bias=st.floats(-3, 4))
def test_a_gate_that_sees_only_its_bias_loses_half_in_a_half_life(seed, bias):
    """Oracle: the layer, forward and backward, with forget gates of constant value."""
    layer = LSTM(2, 3, forget_bias=bias, rng=seed)
    for name, array in layer.parameters().items():
        if name.startswith("weight"):
            array[3:6] = 0.0
    rng = np.random.default_rng(seed)
    x, grad_c = rng.normal(size=(9, 2, 2)), rng.normal(size=(1, 2, 3))
    layer.parameters()["bias_ih_l0"][:3] = -1e4  # nothing is written
    c = rng.normal(size=(1, 2, 3))
    layer.forward(x, (np.zeros_like(c), c))
    layer.backward(np.zeros((9, 2, 3)), (np.zeros_like(c), grad_c))
    left = 0.5 ** (9 / cell_half_life(bias))
    assert_close(layer.state[1], left * c, tolerance=1e-12)
    assert_close(layer.grad_state[1], left * grad_c, tolerance=1e-12)
