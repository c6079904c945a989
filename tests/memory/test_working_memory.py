"""Working memory: the memory of a linear network, fast weights, and damage to one store alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_lyapunov

from companion.memory import FastWeights, disturb, interrupt, memory_function, recall_snr
from companion.network import Linear, Sequential, Tanh, initialisers
from companion.recurrence import GRU, LSTM, RNN, LastStep, with_spectral_radius


def network(n, radius, seed):
    """Return a random matrix of a spectral radius, and a vector."""
    rng = np.random.default_rng(seed)
    return with_spectral_radius(radius)((n, n), rng=rng), rng.normal(size=n)


# The memory function.


@given(
    n=st.integers(1, 8),
    radius=st.floats(0.1, 0.95),
    noise=st.floats(0.01, 2.0),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_with_noise_it_is_that_of_the_lyapunov_equation(n, radius, noise, seed):
    """Oracle: the covariance by SciPy's solver of the discrete Lyapunov equation."""
    w, v = network(n, radius, seed)
    covariance = solve_discrete_lyapunov(w, np.outer(v, v) + noise**2 * np.eye(n))
    expected = []
    for k in range(12):
        held = np.linalg.matrix_power(w, k) @ v
        expected.append(held @ np.linalg.solve(covariance, held))
    held = memory_function(w, v, range(12), noise)
    np.testing.assert_allclose(held, expected, rtol=1e-6, atol=1e-9)
    assert memory_function(w, v, range(500), noise).sum() < n


@given(n=st.integers(1, 10), radius=st.floats(0.3, 0.95), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_without_noise_it_is_a_projection(n, radius, seed):
    """Oracle: the right singular vectors of the matrix with the columns W^k v, by NumPy."""
    w, v = network(n, radius, seed)
    columns = [v]
    for _ in range(1500):
        columns.append(w @ columns[-1])
    _, s, vt = np.linalg.svd(np.column_stack(columns), full_matrices=False)
    # The two ways agree where no direction is near the edge of what counts.
    kept = s > 1e-8 * s[0]
    held = memory_function(w, v, range(1501), rtol=1e-8)
    if not np.any((s < 1e-7 * s[0]) & (s > 1e-9 * s[0])):
        np.testing.assert_allclose(held, np.sum(vt[kept] ** 2, axis=0), atol=1e-5)
        assert held.sum() == pytest.approx(kept.sum(), abs=1e-3)
    assert held.sum() < n + 1e-6
    assert held.min() >= 0
    assert held.max() < 1 + 1e-6


def test_a_delay_line():
    """Closed form: N inputs are held, each with the noise of the steps that it has travelled."""
    line, entry = np.eye(7, k=-1), np.eye(7)[0]
    lags = np.arange(12)
    np.testing.assert_allclose(memory_function(line, entry, lags), lags < 7, atol=1e-12)
    for noise in (0.01, 0.3, 1.0):
        expected = (lags < 7) / (1 + noise**2 * (lags + 1))
        np.testing.assert_allclose(
            memory_function(line, entry[:, None], lags, noise), expected, atol=1e-12
        )


@pytest.mark.parametrize("leak", [-0.9, 0.0, 0.5, 0.999])
def test_a_leaky_unit(leak):
    """Closed form: (1 - a^2) a^2k, with noise divided by 1 + s^2; the sum is 1."""
    lags = np.arange(40)
    expected = (1 - leak**2) * leak ** (2.0 * lags)
    np.testing.assert_allclose(memory_function([[leak]], [2.0], lags), expected, rtol=1e-9)
    noisy = memory_function([[leak]], [1.0], lags, 0.5)
    np.testing.assert_allclose(noisy, expected / 1.25, rtol=1e-9)


def test_a_scaled_rotation_has_a_closed_form_when_all_directions_are_driven():
    """Closed form: an isotropic cyclic network holds (1 - r^2N) r^2j of the input of k = j + mN."""
    n, radius = 5, 0.8
    ring = radius * np.roll(np.eye(n), 1, axis=0)
    lags = np.arange(20)
    expected = (1 - radius ** (2 * n)) * radius ** (2.0 * n * (lags // n))
    np.testing.assert_allclose(memory_function(ring, np.eye(n)[0], lags), expected, rtol=1e-9)


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_it_is_the_squared_correlation_of_a_readout(noise):
    """Oracle: simulation, and least squares by NumPy; the margin is that of 40,000 steps."""
    w, v = network(6, 0.8, 3)
    rng = np.random.default_rng(0)
    steps, lags = 40_000, np.arange(8)
    x, h = rng.normal(size=steps), np.zeros(6)
    states = np.empty((steps, 6))
    for t in range(steps):
        h = w @ h + v * x[t] + noise * rng.normal(size=6)
        states[t] = h
    measured = []
    for k in lags:
        past, now = x[100 - k : steps - k], states[100:]
        readout = now @ np.linalg.lstsq(now, past, rcond=None)[0]
        measured.append(np.corrcoef(readout, past)[0, 1] ** 2)
    held = memory_function(w, v, lags, noise)
    np.testing.assert_allclose(measured, held, atol=0.02)
    if noise:  # without it both would be alike, see the next test
        assert np.abs(measured - memory_function(w.T, v, lags, noise)).max() > 0.05


def test_without_noise_only_the_eigenvalues_count():
    """Invariant: another basis and other input weights multiply the matrix of the columns W^k v
    by an invertible one, and leave its row space; noise tells them apart."""
    w, v = network(5, 0.9, 0)
    rng = np.random.default_rng(1)
    basis = rng.normal(size=(5, 5))
    similar = basis @ w @ np.linalg.inv(basis)
    held = memory_function(w, v, range(20))
    np.testing.assert_allclose(memory_function(similar, rng.normal(size=5), range(20)), held, 1e-5)
    noisy = [memory_function(m, v, range(20), 0.1) for m in (w, similar)]
    assert np.abs(noisy[0] - noisy[1]).max() > 0.05


def test_numerical_rank():
    """Invariant: the more directions count, the larger the sum; never more than there are units."""
    w, v = network(32, 0.5, 0)
    sums = [memory_function(w, v, range(300), rtol=r).sum() for r in (1e-2, 1e-6, 1e-10)]
    np.testing.assert_allclose(sums, np.round(sums), atol=1e-4)
    assert sums[0] < sums[1] < sums[2] < 32


def test_memory_edge_cases():
    """Edge cases: no lag, repeated lags in any order, no input, a matrix of zeros, float32."""
    w, v = network(4, 0.9, 1)
    assert memory_function(w, v, []).shape == (0,)
    held = memory_function(w, v, [3, 0, 3])
    assert held[0] == held[2] == memory_function(w, v, [0, 1, 2, 3])[3] != held[1]
    np.testing.assert_array_equal(memory_function(w, np.zeros(4), range(3)), 0.0)
    np.testing.assert_allclose(memory_function(np.zeros((2, 2)), [1, 2], range(2)), [1, 0])
    np.testing.assert_allclose(memory_function(np.zeros((2, 2)), [3, 4], [0], 5.0), [0.5])
    assert memory_function(w, v, range(3)).dtype == np.float64
    single = memory_function(w.astype(np.float32), v.astype(np.float32), range(3))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, memory_function(w, v, range(3)), rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"weight_hh": np.ones((2, 3))}, ValueError, "weight_hh must be square"),
        ({"weight_hh": np.empty((0, 0))}, ValueError, "weight_hh must be square"),
        ({"weight_hh": [[0, np.nan], [0, 0]]}, ValueError, "weight_hh must be finite"),
        ({"weight_hh": np.eye(2)}, ValueError, "spectral radius below 1, got 1"),
        ({"weight_ih": [1.0, 2.0, 3.0]}, ValueError, r"shape \(2,\) or \(2, 1\), got \(3,\)"),
        ({"weight_ih": [[1.0, 2.0]]}, ValueError, "weight_ih must have shape"),
        ({"lags": 3}, ValueError, "lags must have 1 axes"),
        ({"lags": [0.5]}, TypeError, "lags must hold integers, got dtype float64"),
        ({"lags": [1, -1]}, ValueError, "lags must not be negative, got -1"),
        ({"noise": -0.1}, ValueError, "noise must lie in"),
        ({"rtol": 0.0}, ValueError, "rtol must lie in"),
        ({"rtol": 1.0}, ValueError, "rtol must lie in"),
    ],
)
def test_memory_function_says_what_is_wrong(change, error, message):
    """Each message names the argument, what was expected and what came."""
    arguments = {"weight_hh": 0.5 * np.eye(2), "weight_ih": [1.0, 2.0], "lags": range(3)}
    with pytest.raises(error, match=message):
        memory_function(**(arguments | change))


# Fast weights.


def pairs(n, d, m, seed=0):
    rng = np.random.default_rng(seed)
    keys = rng.normal(size=(n, d))
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    return keys, rng.choice([-1.0, 1.0], size=(n, m))


@given(
    n=st.integers(1, 6),
    decay=st.sampled_from([0.0, 0.3, 1.0]),
    rate=st.floats(0.1, 3.0),
    seed=st.integers(0, 99),
)
def test_what_is_read_is_a_weighted_sum_of_values(n, decay, rate, seed):
    """Closed form: sum over j of rate * decay^lag * (key_j . query) value_j, without a matrix."""
    keys, values = pairs(n, 4, 3, seed)
    query = np.random.default_rng(seed).normal(size=(2, 4))
    store = FastWeights(4, 3, decay=decay, rate=rate)
    store.write(keys, values)
    factors = rate * decay ** np.arange(n - 1, -1, -1.0)
    expected = (query @ keys.T * factors) @ values
    np.testing.assert_allclose(store.read(query), expected, atol=1e-12)


def test_writing_in_parts_and_reading_between():
    """Invariant: reading changes nothing, and pairs may come one by one."""
    keys, values = pairs(5, 6, 2)
    whole, parts = FastWeights(6, 2, decay=0.9), FastWeights(6, 2, decay=0.9)
    whole.write(keys, values)
    for k in range(5):
        parts.write(keys[k : k + 1], values[k : k + 1])
        parts.read(keys)
    parts.write(keys[:0], values[:0])
    np.testing.assert_array_equal(whole.weight, parts.weight)
    whole.reset()
    np.testing.assert_array_equal(whole.weight, 0.0)
    np.testing.assert_array_equal(whole.read(keys), 0.0)


def test_orthogonal_keys_do_not_disturb_each_other():
    """Closed form: the value times decay to the power of its lag."""
    values = pairs(4, 1, 3)[1]
    store = FastWeights(4, 3, decay=0.5)
    store.write(np.eye(4), values)
    np.testing.assert_allclose(store.read(np.eye(4)), values * [[0.125], [0.25], [0.5], [1.0]])


def test_fast_weights_are_a_linear_layer():
    """Oracle: torch.nn.functional.linear with the matrix as its weight."""
    keys, values = pairs(3, 5, 2)
    store = FastWeights(5, 2, decay=0.7, dtype=np.float32)
    store.write(keys, values)
    got = store.read(keys)
    assert got.dtype == store.weight.dtype == np.float32
    single = torch.tensor(keys, dtype=torch.float32)
    expected = torch.nn.functional.linear(single, torch.tensor(store.weight))
    np.testing.assert_allclose(got, expected.numpy(), rtol=1e-5, atol=1e-6)
    assert repr(store) == "FastWeights(5, 2, decay=0.7, rate=1)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: FastWeights(0, 2, decay=0.5), "key_size must be at least 1"),
        (lambda: FastWeights(2, 0, decay=0.5), "value_size must be at least 1"),
        (lambda: FastWeights(2, 2, decay=1.1), r"decay must lie in \[0, 1\]"),
        (lambda: FastWeights(2, 2, decay=-0.1), r"decay must lie in \[0, 1\]"),
        (lambda: FastWeights(2, 2, decay=1, rate=0.0), "rate must lie in"),
        (lambda: FastWeights(2, 3, decay=1).write([[1.0]], [[1.0]]), "keys must have shape"),
        (
            lambda: FastWeights(1, 3, decay=1).write([[1.0]], [[1.0, 2.0]]),
            r"values must have shape \(1, 3\)",
        ),
        (
            lambda: FastWeights(1, 1, decay=1).write([[1.0], [2.0]], [[1.0]]),
            r"values must have shape \(2, 1\)",
        ),
        (lambda: FastWeights(1, 1, decay=1).write([[np.inf]], [[1.0]]), "keys must be finite"),
        (lambda: FastWeights(2, 1, decay=1).read([1.0, 2.0]), "keys must have shape"),
        (lambda: recall_snr([0], 0, 2, 0.5), "items must be at least 1"),
        (lambda: recall_snr([0], 2, 0, 0.5), "key_size must be at least 1"),
        (lambda: recall_snr([0], 2, 2, 0.0), r"decay must lie in \(0, 1\]"),
        (lambda: recall_snr([2], 2, 2, 0.5), r"lags must lie in 0..1, got values from 2 to 2"),
        (lambda: recall_snr([-1], 2, 2, 0.5), "lags must lie in 0..1"),
        (lambda: recall_snr(0, 2, 2, 0.5), "lags must have 1 axes"),
    ],
)
def test_fast_weights_say_what_is_wrong(call, message):
    """Each message names the argument, what was expected and what came."""
    with pytest.raises(ValueError, match=message):
        call()


def test_lags_that_are_no_integers():
    """The message names the type that came."""
    with pytest.raises(TypeError, match="lags must hold integers, got dtype float64"):
        recall_snr([0.5], 2, 2, 0.5)


@pytest.mark.parametrize("decay", [0.8, 1.0])
def test_the_signal_to_noise_ratio_is_that_of_stored_pairs(decay):
    """Oracle: many stores filled with random pairs; the margin is that of 2,000 draws."""
    n, d, m, draws = 6, 16, 8, 2000
    signal, noise = np.zeros(n), np.zeros(n)
    for seed in range(draws):
        keys, values = pairs(n, d, m, seed)
        store = FastWeights(d, m, decay=decay)
        store.write(keys, values)
        right = decay ** np.arange(n - 1, -1, -1.0)[:, None] * values
        signal += np.mean(right**2, axis=1)
        noise += np.mean((store.read(keys) - right) ** 2, axis=1)
    measured = (signal / noise)[::-1]  # the last pair has lag 0
    np.testing.assert_allclose(measured, recall_snr(range(n), n, d, decay), rtol=0.05)


@given(n=st.integers(2, 30), d=st.integers(1, 50), decay=st.floats(0.1, 0.99))
def test_the_ratio_in_closed_form(n, d, decay):
    """Closed form: the geometric series; and d / (n - 1) without decay."""
    lags = np.arange(n)
    power = decay ** (2.0 * lags)
    total = (1 - decay ** (2.0 * n)) / (1 - decay**2)
    expected = (total - power) / (d * power)
    np.testing.assert_allclose(1 / recall_snr(lags, n, d, decay), expected, rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(recall_snr(lags, n, d, 1.0), d / (n - 1))


def test_a_pair_alone_is_recalled_without_noise():
    """Edge cases: nothing to interfere, and no lag asked for."""
    assert recall_snr([0], 1, 5, 0.5)[0] == np.inf
    assert recall_snr([], 3, 5, 0.5).shape == (0,)


# Damage.


@pytest.mark.parametrize("kind", [RNN, GRU, LSTM])
@pytest.mark.parametrize("layers", [1, 2])
def test_an_interrupted_layer_continues_from_the_state_given(kind, layers):
    """Oracle: the pieces run one by one; its own state put back changes nothing."""
    layer = kind(3, 4, num_layers=layers, rng=0)
    x = np.random.default_rng(1).normal(size=(7, 2, 3))
    whole = layer(x)
    layer(x[:3])
    own = layer.state
    np.testing.assert_allclose(interrupt(layer, x, 3, own), whole, atol=1e-14)
    cut = interrupt(layer, x, 3)
    np.testing.assert_array_equal(cut[:3], whole[:3])
    np.testing.assert_allclose(cut[3:], layer(x[3:]), atol=1e-14)
    assert np.abs(cut[3] - whole[3]).max() > 1e-3
    np.testing.assert_allclose(interrupt(layer, x, 0), whole, atol=1e-14)
    np.testing.assert_allclose(interrupt(layer, x, 7), whole, atol=1e-14)


def test_interrupt_says_what_is_wrong():
    """Each message names the argument, what was expected and what came."""
    x = np.zeros((5, 1, 2))
    with pytest.raises(ValueError, match="step must be at most 5, the steps of x, got 6"):
        interrupt(RNN(2, 2, rng=0), x, 6)
    with pytest.raises(ValueError, match="step must be at least 0"):
        interrupt(RNN(2, 2, rng=0), x, -1)
    with pytest.raises(ValueError, match="one direction"):
        interrupt(RNN(2, 2, bidirectional=True, rng=0), x, 1)
    with pytest.raises(TypeError, match="layer must be a RecurrentLayer"):
        interrupt(Linear(2, 2, rng=0), x, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="x must have at least one step"):
        interrupt(RNN(2, 2, rng=0), x[:0], 0)


def test_disturbed_parameters():
    """Oracle: the size of the change, array by array; the model itself is untouched."""
    made = {"rng": 0, "dtype": np.float32}
    model = Sequential(GRU(4, 60, **made), LastStep(), Linear(60, 200, **made))
    model[2].bias[...] = 3.0
    before = {name: array.copy() for name, array in model.parameters().items()}
    changed = disturb(model, 0.2, rng=5)
    assert type(changed) is Sequential
    for name, array in changed.parameters().items():
        np.testing.assert_array_equal(model.parameters()[name], before[name])
        assert array.dtype == np.float32
        size = np.sqrt(np.mean(before[name] ** 2))
        change = array - before[name]
        assert np.sqrt(np.mean(change**2)) == pytest.approx(0.2 * size, rel=0.2, abs=1e-9)
    again = disturb(model, 0.2, rng=5)
    for name, array in changed.parameters().items():
        np.testing.assert_array_equal(array, again.parameters()[name])
    other = disturb(model, 0.2, rng=6)
    assert not np.array_equal(other.parameters()["2.weight"], changed.parameters()["2.weight"])
    x = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
    np.testing.assert_array_equal(disturb(model, 0.0, rng=0)(x), model(x))
    assert disturb(Tanh(), 1.0, rng=0).parameters() == {}


def test_disturb_says_what_is_wrong():
    """Each message names the argument, what was expected and what came."""
    with pytest.raises(ValueError, match="scale must lie in"):
        disturb(Tanh(), -1.0, rng=0)
    with pytest.raises(TypeError, match="model must be a Layer, got 3"):
        disturb(3, 1.0, rng=0)  # type: ignore[type-var]


def test_noise_costs_a_rotation_less_than_a_gaussian_matrix():
    """Invariant of the lesson: the same units and noise; a spread spectrum holds less."""
    sums = {}
    for name, init in {
        "gauss": with_spectral_radius(0.95),
        "turn": initialisers.orthogonal,
    }.items():
        w = init((16, 16), rng=0)
        w = 0.95 * w if name == "turn" else w
        v = np.random.default_rng(1).normal(size=16) / 4
        sums[name] = memory_function(w, v, range(400), 0.01).sum()
    assert sums["gauss"] < sums["turn"] < 16
