"""Recurrent layers and backpropagation through time against PyTorch and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from companion import network
from companion.recurrence import (
    GRU,
    LSTM,
    RNN,
    LastStep,
    RecurrentLayer,
    gradient_by_lag,
    recalled,
    step_jacobians,
    with_spectral_radius,
)
from tests.network.oracles import DTYPES, SEEDS, SIZES, assert_close, central_differences, tensor
from tests.recurrence.oracles import (
    CELLS,
    LOOSE,
    as_torch,
    assert_same_gradients,
    pair,
    parts,
    random_state,
    weighted_sum,
)

KIND = st.sampled_from(sorted(CELLS))


@given(
    kind=KIND,
    steps=SIZES,
    n=st.integers(0, 4),
    sizes=st.tuples(SIZES, SIZES),
    layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    bias=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    seed=SEEDS,
)
def test_values_and_gradients_are_those_of_pytorch(
    kind, steps, n, sizes, layers, bidirectional, bias, dtype, seed
):
    """Oracle: torch.nn.RNN, LSTM and GRU with the same parameters, at float32 and float64: outputs,
    final state, and the gradients of input, initial state and every parameter."""
    rng = np.random.default_rng(seed)
    options = {"num_layers": layers, "bidirectional": bidirectional, "bias": bias}
    layer, module = pair(kind, sizes, rng, dtype, **options)
    x = rng.normal(size=(steps, n, sizes[0])).astype(dtype)
    state = random_state(layer, n, rng, dtype)
    x_torch, state_torch = tensor(x, grad=True), as_torch(state, grad=True)
    expected, final = module(x_torch, state_torch)
    limit = LOOSE[np.dtype(dtype)]
    assert_close(layer.forward(x, state), expected, tolerance=limit)
    for ours, theirs in zip(parts(layer.state), parts(final), strict=True):
        assert_close(ours, theirs, tolerance=limit)
    g = rng.normal(size=expected.shape).astype(dtype)
    g_state = random_state(layer, n, rng, dtype)
    weighted_sum(expected, final, g, g_state).backward()
    assert_close(layer.backward(g, g_state), x_torch.grad, tolerance=limit)
    for ours, theirs in zip(parts(layer.grad_state), parts(state_torch), strict=True):
        assert_close(ours, theirs.grad, tolerance=limit)
    assert_same_gradients(layer, module)


@given(
    kind=KIND,
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    seed=SEEDS,
)
def test_lengths_do_what_packed_sequences_do(kind, lengths, layers, bidirectional, dtype, seed):
    """Oracle: PyTorch's pack_padded_sequence, in both directions and several layers."""
    rng = np.random.default_rng(seed)
    layer, module = pair(kind, (3, 4), rng, dtype, num_layers=layers, bidirectional=bidirectional)
    steps, n = max(lengths), len(lengths)
    x = rng.normal(size=(steps, n, 3)).astype(dtype)
    state = random_state(layer, n, rng, dtype)
    x_torch, state_torch = tensor(x, grad=True), as_torch(state, grad=True)
    packed = nn.utils.rnn.pack_padded_sequence(x_torch, torch.tensor(lengths), enforce_sorted=False)
    packed_out, final = module(packed, state_torch)
    expected, _ = nn.utils.rnn.pad_packed_sequence(packed_out)
    limit = LOOSE[np.dtype(dtype)]
    assert_close(layer.forward(x, state, lengths=lengths), expected, tolerance=limit)
    for ours, theirs in zip(parts(layer.state), parts(final), strict=True):
        assert_close(ours, theirs, tolerance=limit)
    g = rng.normal(size=expected.shape).astype(dtype)
    g_state = random_state(layer, n, rng, dtype)
    weighted_sum(expected, final, g, g_state).backward()
    assert_close(layer.backward(g, g_state), x_torch.grad, tolerance=limit)
    for ours, theirs in zip(parts(layer.grad_state), parts(state_torch), strict=True):
        assert_close(ours, theirs.grad, tolerance=limit)
    assert_same_gradients(layer, module)


@pytest.mark.parametrize("kind", CELLS)
def test_padding_changes_nothing_and_gets_no_gradient(kind):
    """Invariant: whatever stands in the padded steps, even NaN-free nonsense of size 1e6, outputs,
    state and gradients are bitwise the same."""
    rng = np.random.default_rng(0)
    layer, _ = pair(kind, (2, 3), rng, num_layers=2, bidirectional=True)
    lengths = [5, 2, 4]
    x = rng.normal(size=(5, 3, 2))
    other = x.copy()
    for k, length in enumerate(lengths):
        other[length:, k] = 1e6
    results = []
    for inputs in (x, other):
        out = layer.forward(inputs, lengths=lengths)
        grad = layer.backward(np.ones_like(out))
        gradients = {name: array.copy() for name, array in layer.gradients().items()}
        results.append((out, layer.state, grad, gradients))
    (out, state, grad, gradients), (out2, state2, grad2, gradients2) = results
    np.testing.assert_array_equal(out, out2)
    np.testing.assert_array_equal(state, state2)
    np.testing.assert_array_equal(grad, grad2)
    for k, length in enumerate(lengths):
        assert not out[length:, k].any()
        assert not grad[length:, k].any()
    for name, array in gradients.items():
        np.testing.assert_allclose(array, gradients2[name], rtol=1e-12)


@pytest.mark.parametrize("kind", CELLS)
def test_every_gradient_by_finite_differences(kind):
    """Oracle: central differences, through the package's own gradient check."""
    rng = np.random.default_rng(3)
    layer, _ = pair(kind, (2, 3), rng, num_layers=2, bidirectional=True)
    x, y = rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 3, 6))
    result = network.gradient_check(layer, network.MSELoss(), x, y)
    assert result.passed, result.errors


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_truncated_at_the_whole_length_is_full(kind, layers):
    """Invariant: a window that covers the sequence cuts nothing."""
    rng = np.random.default_rng(0)
    layer, _ = pair(kind, (2, 3), rng, num_layers=layers)
    x = rng.normal(size=(6, 2, 2))
    g = rng.normal(size=layer.forward(x, random_state(layer, 2, rng)).shape)
    full = layer.backward(g)
    start = [part.copy() for part in parts(layer.grad_state)]
    gradients = {name: array.copy() for name, array in layer.gradients().items()}
    for window in (6, 7, 100):
        np.testing.assert_array_equal(layer.backward(g, truncate=window), full)
        for ours, before in zip(parts(layer.grad_state), start, strict=True):
            np.testing.assert_array_equal(ours, before)
        for name, array in layer.gradients().items():
            np.testing.assert_array_equal(array, gradients[name])


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("window", [1, 2, 3, 5])
def test_truncated_is_a_stream_of_windows_with_a_detached_state(kind, window):
    """Oracle: PyTorch, window by window, each starting from the last one's state as a constant."""
    rng = np.random.default_rng(1)
    layer, module = pair(kind, (2, 3), rng)
    x = rng.normal(size=(7, 2, 2))
    g = rng.normal(size=(7, 2, 3))
    x_torch, state, total = tensor(x, grad=True), None, torch.tensor(0.0)
    for start in range(0, 7, window):
        out, state = module(x_torch[start : start + window], state)
        total = total + (out * tensor(g[start : start + window])).sum()
        state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
    total.backward()
    layer.forward(x)
    assert_close(layer.backward(g, truncate=window), x_torch.grad, tolerance=1e-11)
    assert_same_gradients(layer, module)


@given(kind=KIND, cut=st.integers(1, 5), layers=st.integers(1, 2), seed=SEEDS)
def test_the_state_carried_over_makes_one_sequence_of_two(kind, cut, layers, seed):
    """Invariant: reading a sequence in two pieces, the second from the state of the first, gives
    the outputs of one piece."""
    rng = np.random.default_rng(seed)
    layer, _ = pair(kind, (2, 3), rng, num_layers=layers)
    x = rng.normal(size=(6, 2, 2))
    whole = layer.forward(x)
    first = layer.forward(x[:cut])
    second = layer.forward(x[cut:], layer.state)
    assert_close(np.concatenate([first, second]), whole, tolerance=1e-14)


def test_state_gradients_are_those_of_every_single_state():
    """Oracle: PyTorch, one step at a time, keeping the gradient of each state."""
    rng = np.random.default_rng(0)
    for kind in CELLS:
        layer, module = pair(kind, (2, 3), rng)
        x, g = rng.normal(size=(5, 2, 2)), rng.normal(size=(5, 2, 3))
        layer.forward(x)
        layer.backward(g)
        state, total, kept = None, torch.tensor(0.0), []
        for t in range(5):
            _, state = module(tensor(x[t : t + 1]), state)
            for part in parts(state):
                part.retain_grad()
            kept.append(parts(state))
            total = total + (parts(state)[0] * tensor(g[t])).sum()
        total.backward()
        for k, array in enumerate(layer.state_gradients().values()):
            grads = [step[k].grad for step in kept]
            # Nothing uses the last cell, and PyTorch leaves its gradient out.
            grads = [torch.zeros_like(grads[0]) if grad is None else grad for grad in grads]
            theirs = torch.cat(grads)
            assert_close(array, theirs, tolerance=1e-12)


def test_state_gradients_and_activations_of_the_other_direction():
    """Oracle: a layer of one direction with the reverse weights, reading the reversed sequence."""
    rng = np.random.default_rng(0)
    for kind in CELLS:
        both, _ = pair(kind, (2, 3), rng, bidirectional=True)
        ours, _, extra = CELLS[kind]
        one = ours(2, 3, rng=0, **extra)
        for name, array in one.parameters().items():
            array[...] = both.parameters()[f"{name}_reverse"]
        x, g = rng.normal(size=(5, 2, 2)), rng.normal(size=(5, 2, 6))
        both.forward(x)
        both.backward(g)
        one.forward(x[::-1])
        one.backward(g[::-1, :, 3:])
        for name, array in both.activations(reverse=True).items():
            assert_close(array, one.activations()[name][::-1], tolerance=1e-14)
        for name, array in both.state_gradients(reverse=True).items():
            assert_close(array, one.state_gradients()[name][::-1], tolerance=1e-14)


def test_activations_begin_with_the_outputs():
    """Invariant: "h" of the top layer is the output; the last of it is the final state."""
    rng = np.random.default_rng(0)
    for kind in CELLS:
        layer, _ = pair(kind, (2, 3), rng, num_layers=2)
        out = layer.forward(rng.normal(size=(5, 2, 2)))
        found = layer.activations(1)
        np.testing.assert_array_equal(found["h"], out)
        np.testing.assert_array_equal(found["h"][-1], parts(layer.state)[0][1])
        assert all(array.shape == out.shape for array in found.values())


def test_starting_values():
    """Closed form: orthogonal blocks, Xavier's bound, zero biases, and a seed that decides all."""
    layer = LSTM(5, 7, rng=4)
    for block in np.split(layer.parameters()["weight_hh_l0"], 4):
        assert_close(block @ block.T, np.eye(7), tolerance=1e-12)
    bound = np.sqrt(6 / (5 + 7))
    largest = np.abs(layer.parameters()["weight_ih_l0"]).max()
    assert 0.9 * bound < largest <= bound
    again = LSTM(5, 7, rng=4).parameters()
    for name, array in layer.parameters().items():
        np.testing.assert_array_equal(array, again[name])
    assert not np.array_equal(LSTM(5, 7, rng=5).parameters()["weight_ih_l0"], again["weight_ih_l0"])
    assert not any(b.any() for name, b in RNN(2, 3, rng=0).parameters().items() if "bias" in name)


def test_a_recurrent_layer_trains_in_the_same_loop():
    """Invariant: fit lowers the loss of a small memory task by far."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 64, 1))
    model = network.Sequential(RNN(1, 8, rng=0), LastStep(), network.Linear(8, 1, rng=1))
    history = network.fit(
        model, network.MSELoss(), network.Adam(0.01), x, x[3], epochs=40, rng=0, batch_axis=1
    )
    assert history.train_loss[-1] < 0.05 * history.train_loss[0]


@given(steps=SIZES, n=st.integers(0, 3), dtype=st.sampled_from(DTYPES), seed=SEEDS)
def test_last_step(steps, n, dtype, seed):
    """Oracle: indexing in PyTorch, and its gradient."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(steps, n, 2)).astype(dtype)
    x_torch = tensor(x, grad=True)
    layer = LastStep()
    assert_close(layer.forward(x), x_torch[-1])
    g = rng.normal(size=(n, 2)).astype(dtype)
    x_torch[-1].backward(tensor(g))
    assert_close(layer.backward(g), x_torch.grad)


@pytest.mark.parametrize("radius", [0.0, 0.5, 1.0, 1.7])
def test_spectral_radius_of_the_initialiser(radius):
    """Oracle: NumPy's eigenvalues."""
    matrix = with_spectral_radius(radius)((40, 40), rng=3, dtype=np.float64)
    assert abs(np.abs(np.linalg.eigvals(matrix)).max() - radius) < 1e-10
    assert with_spectral_radius(radius)((4, 4), rng=3, dtype=np.float32).dtype == np.float32


def test_gradient_by_lag_of_a_linear_network():
    """Closed form: a ReLU network whose units all stay positive is linear, and with an orthogonal
    matrix times r the gradient at lag k is exactly r to the power k."""
    r = 0.8
    layer = RNN(1, 6, nonlinearity="relu", rng=0)
    layer.parameters()["weight_hh_l0"] *= r
    layer.parameters()["bias_ih_l0"][...] = 100.0
    layer.parameters()["weight_hh_l0"][...] = r * np.eye(6)[np.random.default_rng(0).permutation(6)]
    norms = gradient_by_lag(layer, np.zeros((12, 5, 1)), rng=0)
    assert_close(norms["h"], r ** np.arange(12), tolerance=1e-12)


def test_gradient_by_lag_against_finite_differences():
    """Oracle: central differences of the last output in the state of an earlier step."""
    rng = np.random.default_rng(0)
    layer, _ = pair("tanh", (2, 3), rng)
    x = rng.normal(size=(6, 1, 2))
    norms = gradient_by_lag(layer, x, rng=5)["h"]
    direction = np.random.default_rng(5).normal(size=(1, 3))
    direction /= np.linalg.norm(direction)
    state = layer.activations()["h"][2:3]

    def last() -> float:
        return float(np.sum(direction * layer.forward(x[3:], state)[-1]))

    slopes = central_differences(last, state)
    assert abs(norms[3] - np.linalg.norm(slopes)) < 1e-7
    assert abs(norms[0] - 1.0) < 1e-14


@pytest.mark.parametrize("kind", ["tanh", "relu"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_step_jacobians_against_pytorch(kind, dtype):
    """Oracle: torch.autograd's Jacobian of a single step, at each step of each sequence."""
    rng = np.random.default_rng(0)
    layer, module = pair(kind, (2, 3), rng, dtype)
    x = rng.normal(size=(5, 2, 2)).astype(dtype)
    h = np.concatenate([np.zeros((1, 2, 3), dtype), layer.forward(x)])
    found = step_jacobians(layer)
    assert found.shape == (5, 2, 3, 3)
    assert found.dtype == dtype
    for t in range(5):
        for n in range(2):

            def step(state, t=t, n=n):
                return module(tensor(x[t : t + 1, n : n + 1]), state[None, None])[1][0, 0]

            expected = torch.autograd.functional.jacobian(step, tensor(h[t, n]))
            assert_close(found[t, n], expected, tolerance=LOOSE[np.dtype(dtype)])


def test_step_jacobians_multiply_to_the_gradient_by_lag():
    """Invariant: a vector sent back through the product of the last k Jacobians has the norm that
    backpropagation through time finds at lag k."""
    rng = np.random.default_rng(0)
    layer, _ = pair("tanh", (2, 6), rng)
    norms = gradient_by_lag(layer, rng.normal(size=(9, 1, 2)), rng=4)["h"]
    vector = np.random.default_rng(4).normal(size=6)
    vector /= np.linalg.norm(vector)
    for k in range(9):
        assert abs(np.linalg.norm(vector) - norms[k]) < 1e-12
        vector = vector @ step_jacobians(layer)[8 - k, 0]


@given(
    n=st.integers(2, 20),
    k=st.integers(1, 4),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 99),
)
def test_recalled_is_the_coefficient_of_determination(n, k, dtype, seed):
    """Oracle: NumPy's variance, column by column, and for least squares with a constant the
    square of the correlation."""
    rng = np.random.default_rng(seed)
    y, guess = rng.normal(size=(2, n, 3, k)).astype(dtype)
    found = recalled(guess, y)
    assert found.shape == (k,)
    assert found.dtype == dtype
    for column in range(k):
        error = np.mean((guess[..., column] - y[..., column]) ** 2)
        expected = 1.0 - error / np.var(y[..., column])
        assert abs(found[column] - expected) < 1e-4 * max(1.0, abs(expected))
    rows = np.concatenate([guess.reshape(-1, k), np.ones((3 * n, 1))], axis=1).astype(float)
    fitted = rows @ np.linalg.lstsq(rows, y.reshape(-1, k).astype(float), rcond=None)[0]
    for column, share in enumerate(recalled(fitted, y.reshape(-1, k))):
        correlation = np.corrcoef(fitted[:, column], y.reshape(-1, k)[:, column])[0, 1]
        assert abs(share - correlation**2) < 1e-4


def test_recalled_by_a_shift_register():
    """Closed form: a linear register of H units holds the last H inputs, and its memory capacity
    is H, the largest that Jaeger's bound allows."""
    size, steps = 5, 400
    layer = RNN(1, size, nonlinearity="relu", bias=False, rng=0)
    layer.parameters()["weight_hh_l0"][...] = np.eye(size, k=-1)
    layer.parameters()["weight_ih_l0"][...] = np.eye(size, 1)
    x = np.random.default_rng(0).integers(0, 2, size=(steps, 1, 1)).astype(float)
    h = layer.forward(x)[20:, 0]
    lags = range(12)
    y = np.stack([x[20 - k : steps - k, 0, 0] for k in lags], axis=1)
    rows = np.concatenate([h, np.ones((len(h), 1))], axis=1)
    shares = recalled(rows @ np.linalg.lstsq(rows, y, rcond=None)[0], y)
    assert_close(shares[:size], np.ones(size), tolerance=1e-10)
    assert shares[size:].max() < 0.1


def test_lag_of_an_lstm_has_the_cell_too():
    """Closed form: with all input gates shut, no recurrent weights and a forget gate of one half,
    the gradient of the cell halves at each step."""
    layer = LSTM(1, 4, rng=0)
    for array in layer.parameters().values():
        array[...] = 0.0
    norms = gradient_by_lag(layer, np.zeros((8, 3, 1)), rng=0)
    assert_close(norms["c"][2:] / norms["c"][1:-1], np.full(6, 0.5), tolerance=1e-12)
    assert not norms["h"][1:].any()


BAD_CALLS = {
    "sizes": (lambda: RNN(0, 3, rng=0), ValueError, "input_size must be at least 1, got 0"),
    "hidden": (lambda: GRU(2, 2.5, rng=0), TypeError, "hidden_size must be an integer"),
    "layers": (
        lambda: LSTM(2, 3, num_layers=0, rng=0),
        ValueError,
        "num_layers must be at least 1",
    ),
    "nonlinearity": (
        lambda: RNN(2, 3, nonlinearity="sine", rng=0),
        ValueError,
        "nonlinearity must be one of 'tanh', 'relu', got 'sine'",
    ),
    "dtype": (lambda: RNN(2, 3, rng=0, dtype=int), TypeError, "dtype must be float32 or float64"),
    "initialiser": (
        lambda: RNN(2, 3, recurrent_init=lambda s, **_: np.zeros(3), rng=0),
        ValueError,
        r"must return shape \(3, 3\), got \(3,\)",
    ),
    "input": (
        lambda: RNN(2, 3, rng=0).forward(np.ones((4, 2))),
        ValueError,
        r"x must have shape \(any, any, 2\), got \(4, 2\)",
    ),
    "no step": (
        lambda: RNN(2, 3, rng=0).forward(np.ones((0, 1, 2))),
        ValueError,
        "x must have at least one step",
    ),
    "state": (
        lambda: RNN(2, 3, rng=0).forward(np.ones((4, 1, 2)), np.ones((1, 2, 3))),
        ValueError,
        r"state h must have shape \(1, 1, 3\), got \(1, 2, 3\)",
    ),
    "state of an LSTM": (
        lambda: LSTM(2, 3, rng=0).forward(np.ones((4, 1, 2)), np.ones((1, 1, 3))),
        TypeError,
        r"state must be a pair \(h, c\), got ndarray",
    ),
    "lengths of floats": (
        lambda: RNN(2, 3, rng=0).forward(np.ones((4, 1, 2)), lengths=[2.0]),
        TypeError,
        "lengths must hold integers",
    ),
    "too many lengths": (
        lambda: RNN(2, 3, rng=0).forward(np.ones((4, 1, 2)), lengths=[2, 2]),
        ValueError,
        r"lengths must have shape \(1,\), got \(2,\)",
    ),
    "length too long": (
        lambda: RNN(2, 3, rng=0).forward(np.ones((4, 1, 2)), lengths=[5]),
        ValueError,
        r"lengths must lie in 1..4, got values from 5 to 5",
    ),
    "length zero": (
        lambda: RNN(2, 3, rng=0).forward(np.ones((4, 1, 2)), lengths=[0]),
        ValueError,
        r"lengths must lie in 1..4",
    ),
    "last step of a matrix": (
        lambda: LastStep().forward(np.ones((4, 1))),
        ValueError,
        "x must have 3 axes",
    ),
    "last step of nothing": (
        lambda: LastStep().forward(np.ones((0, 1, 1))),
        ValueError,
        "x must have at least one step",
    ),
    "radius": (
        lambda: with_spectral_radius(-1.0),
        ValueError,
        r"radius must lie in \[0, inf\), got -1.0",
    ),
    "radius of a rectangle": (
        lambda: with_spectral_radius(1.0)((2, 3), rng=0),
        ValueError,
        r"shape must be square for a spectral radius, got \(2, 3\)",
    ),
    "lag of many layers": (
        lambda: gradient_by_lag(RNN(2, 3, num_layers=2, rng=0), np.ones((4, 1, 2)), rng=0),
        ValueError,
        "layer must have one layer and one direction",
    ),
    "jacobians of an LSTM": (
        lambda: step_jacobians(LSTM(2, 3, rng=0)),
        TypeError,
        r"layer must be an RNN, got LSTM\(2, 3\)",
    ),
    "jacobians of two directions": (
        lambda: step_jacobians(RNN(2, 3, bidirectional=True, rng=0)),
        ValueError,
        "layer must have one layer and one direction",
    ),
    "jacobians of nothing": (
        lambda: step_jacobians(RNN(2, 3, rng=0)),
        RuntimeError,
        "before forward",
    ),
    "recalled of another shape": (
        lambda: recalled(np.ones((3, 1)), np.ones((3, 2))),
        ValueError,
        r"prediction must have shape \(3, 2\), got \(3, 1\)",
    ),
    "recalled of nothing": (
        lambda: recalled(np.ones((0, 2)), np.ones((0, 2))),
        ValueError,
        "target must have at least one row and one column",
    ),
    "recalled of a constant": (
        lambda: recalled(np.ones((3, 2)), np.ones((3, 2))),
        ValueError,
        "target must vary in every column",
    ),
    "lag of a linear layer": (
        lambda: gradient_by_lag(network.Linear(2, 3, rng=0), np.ones((4, 1, 2)), rng=0),
        TypeError,
        "layer must be a RecurrentLayer",
    ),
}


@pytest.mark.parametrize("call", BAD_CALLS)
def test_wrong_input_says_what_is_wrong(call):
    """Each message names the argument, what was expected and what came."""
    run, error, message = BAD_CALLS[call]
    with pytest.raises(error, match=message):
        run()


def test_wrong_calls_after_a_forward_pass():
    """Messages of backward and of what is looked at afterwards."""
    layer = RNN(2, 3, rng=0)
    with pytest.raises(RuntimeError, match=r"RNN.backward was called before forward"):
        layer.backward(np.ones((4, 1, 3)))
    with pytest.raises(RuntimeError, match="before forward"):
        layer.activations()
    layer.forward(np.ones((4, 1, 2)))
    with pytest.raises(RuntimeError, match="before forward"):
        layer.state_gradients()
    with pytest.raises(ValueError, match=r"grad_output must have shape \(4, 1, 3\)"):
        layer.backward(np.ones((4, 1, 2)))
    with pytest.raises(ValueError, match="truncate must be at least 1, got 0"):
        layer.backward(np.ones((4, 1, 3)), truncate=0)
    with pytest.raises(ValueError, match="layer must be below 1, got 1"):
        layer.activations(1)
    with pytest.raises(ValueError, match="reverse must be False"):
        layer.activations(reverse=True)
    both = RNN(2, 3, bidirectional=True, rng=0)
    both.forward(np.ones((4, 1, 2)))
    with pytest.raises(ValueError, match="truncate must be None for a bidirectional layer"):
        both.backward(np.ones((4, 1, 6)), truncate=2)


def test_a_cell_must_define_its_step():
    """A subclass without a step says so."""

    class Empty(RecurrentLayer):
        gates = ("h",)

    with pytest.raises(TypeError, match="Empty must define _step"):
        Empty(2, 3, rng=0).forward(np.ones((4, 1, 2)))
    with pytest.raises(TypeError, match="Empty must define _step_backward"):
        Empty(2, 3, rng=0)._step_backward((), (), (), np.ones((3, 3)))


def test_repr():
    """What a student sees when printing a layer."""
    assert repr(RNN(2, 3, rng=0)) == "RNN(2, 3)"
    both = LSTM(2, 3, num_layers=2, bidirectional=True, rng=0)
    assert repr(both) == "LSTM(2, 3, num_layers=2, bidirectional=True)"
    assert repr(LastStep()) == "LastStep()"
