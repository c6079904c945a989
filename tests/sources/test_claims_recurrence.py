"""Claims of the sources about recurrent networks, LSTMs, text, series, translation and attention.

The oracle is PyTorch wherever there is one; else a closed form, a count, or a baseline. What is
trained is small, and what is compared lies far apart. The listings' mistakes are reproduced in a
few lines of our own.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.stats
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from torch import nn

from companion import data, records
from companion.network import (
    SGD,
    Adam,
    CrossEntropyLoss,
    Layer,
    Linear,
    MSELoss,
    Sequential,
    accuracy,
    fit,
    log_softmax,
    numerical_gradient,
    predict,
    softmax,
)
from companion.records.sequences import errors_by_lead
from companion.recurrence import (
    LSTM,
    RNN,
    Embedding,
    EncoderDecoder,
    LastStep,
    NGram,
    RecurrentLayer,
    SequenceClassifier,
    SequenceCrossEntropyLoss,
    autoregression,
    dot_product_attention,
    exact_match,
    gradient_by_lag,
    greedy,
    next_token_probabilities,
    sample,
    seasonal_naive,
    windows_of,
    with_spectral_radius,
)
from tests.recurrence.oracles import load_into, pair

Array = np.ndarray
TIGHT = {"rtol": 0.0, "atol": 1e-12}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


# --- What recurrence is -------------------------------------------------------------------------


def step(h: Array, x: Array, w_hh: Array, w_xh: Array, b: Array) -> Array:
    """Return the next state as source 004 has it, for column vectors."""
    return np.tanh(w_hh @ h + w_xh @ x + b)


@pytest.fixture
def torch_rnn() -> nn.RNN:
    """Return PyTorch's layer of 3 inputs and 4 units, with random parameters."""
    torch.manual_seed(0)
    return nn.RNN(3, 4, dtype=torch.float64)


def of_torch(module: nn.RNN) -> tuple[Array, Array, Array]:
    """Return its matrices, and the two biases as the one that they amount to."""
    values = {name: array.detach().numpy() for name, array in module.named_parameters()}
    bias = values["bias_ih_l0"] + values["bias_hh_l0"]
    return values["weight_hh_l0"], values["weight_ih_l0"], bias


@pytest.mark.claim("004-rnn-idea")
@pytest.mark.claim("004-rnn-formula")
@pytest.mark.claim("004-listing-rnn-values")
def test_the_recurrent_equation_is_the_one_of_pytorch(
    torch_rnn: nn.RNN, rng: np.random.Generator
) -> None:
    """Oracle: PyTorch's layer, which has two biases for the one of the formula."""
    x, start = rng.standard_normal((6, 3)), rng.standard_normal(4)
    parameters, h, states = of_torch(torch_rnn), start, []
    for x_t in x:
        h = step(h, x_t, *parameters)
        states.append(h)
    outputs, last = torch_rnn(torch.from_numpy(x), torch.from_numpy(start)[None])
    np.testing.assert_allclose(states, outputs.detach().numpy(), **TIGHT)
    np.testing.assert_allclose(h, last[0].detach().numpy(), **TIGHT)


@pytest.mark.claim("004-rnn-matrix-products")
def test_a_step_is_one_product_with_two_matrices_side_by_side(
    torch_rnn: nn.RNN, rng: np.random.Generator
) -> None:
    """Oracle: the two products. The bias is a vector; without tanh the steps are one product."""
    w_hh, w_xh, b = of_torch(torch_rnn)
    x, h = rng.standard_normal((5, 3)), np.zeros(4)
    assert b.ndim == 1
    beside = np.hstack([w_hh, w_xh])
    np.testing.assert_allclose(
        np.tanh(beside @ np.concatenate([h, x[0]]) + b), step(h, x[0], w_hh, w_xh, b), **TIGHT
    )
    for x_t in x:
        h = w_hh @ h + w_xh @ x_t
    powers = [np.linalg.matrix_power(w_hh, 4 - t) @ w_xh for t in range(5)]
    np.testing.assert_allclose(h, np.hstack(powers) @ x.ravel(), **TIGHT)


@pytest.mark.claim("004-rnn-matrix-products")
def test_the_input_part_needs_no_order_but_the_states_do(rng: np.random.Generator) -> None:
    """Oracle: step by step. All inputs go through one product; each state waits for the last."""
    layer = RNN(3, 4, rng=0)
    x = rng.standard_normal((6, 2, 3))
    weights = layer.parameters()
    at_once = (x.reshape(12, 3) @ weights["weight_ih_l0"].T).reshape(6, 2, 4)
    h = np.zeros((2, 4))
    for x_t, part in zip(x, at_once, strict=True):
        np.testing.assert_allclose(part, x_t @ weights["weight_ih_l0"].T, **TIGHT)
        h = np.tanh(part + h @ weights["weight_hh_l0"].T)
    layer(x)
    np.testing.assert_allclose(layer.state[0], h, **TIGHT)


@pytest.mark.claim("004-listing-rnn-last-state")
def test_without_the_states_in_between_there_is_no_gradient() -> None:
    """Oracle: finite differences. Two sequences end in one state, with different gradients.

    In the first nothing happens; in the second the last input undoes what the first one did.
    """
    w_hh, w_xh, b = np.array([[0.8]]), np.array([[1.0, -1.0]]), np.zeros(1)
    gradients = []
    for size in (0.0, 2.0):
        x = np.array([[size, 0.0], [0.0, 0.0]])
        x[1, 1] = 0.8 * np.tanh(size)
        h = np.zeros(1)
        for x_t in x:
            h = step(h, x_t, w_hh, w_xh, b)
        np.testing.assert_allclose(h, 0.0, **TIGHT)

        def last(w: Array, x: Array = x) -> float:
            state = np.zeros(1)
            for x_t in x:
                state = step(state, x_t, w, w_xh, b)
            return float(state[0])

        gradients.append(numerical_gradient(last, w_hh)[0, 0])
    assert gradients[0] == pytest.approx(0.0, abs=1e-9)
    assert gradients[1] == pytest.approx(np.tanh(2.0), rel=1e-6)


@pytest.mark.claim("004-listing-rnn-last-state")
def test_the_states_in_between_are_what_backpropagation_uses(rng: np.random.Generator) -> None:
    """Oracle: PyTorch. The gradient of the weights is formed from the states before each step."""
    layer, module = pair("tanh", (3, 4), rng)
    x = rng.standard_normal((5, 2, 3))
    outputs, _ = module(torch.from_numpy(x))
    outputs[-1].sum().backward()
    states = layer(x)
    grad = np.zeros_like(states)
    grad[-1] = 1.0
    layer.backward(grad)
    before = np.concatenate([np.zeros((1, 2, 4)), states[:-1]])
    deltas = layer.state_gradients()["h"] * (1 - states**2)
    by_hand = np.einsum("tni,tnj->ij", deltas, before)
    np.testing.assert_allclose(by_hand, module.weight_hh_l0.grad.numpy(), **TIGHT)


@pytest.mark.claim("004-listing-rnn-one-sequence")
def test_a_loop_over_vectors_takes_no_batch(rng: np.random.Generator) -> None:
    """Oracle: NumPy's rule for shapes; and one sequence at a time through the layer."""
    w_hh, w_xh = rng.standard_normal((4, 4)), rng.standard_normal((4, 3))
    batch = rng.standard_normal((6, 2, 3))
    with pytest.raises(ValueError, match="mismatch"):
        step(np.zeros(4), batch[0], w_hh, w_xh, np.zeros(4))
    layer = RNN(3, 4, rng=0)
    together = layer(batch)
    alone = np.concatenate([layer(batch[:, [n]]) for n in range(2)], axis=1)
    np.testing.assert_allclose(together, alone, **TIGHT)


@pytest.mark.claim("001-listing-no-recurrence")
def test_a_feed_forward_net_on_rows_keeps_nothing_from_row_to_row(
    rng: np.random.Generator,
) -> None:
    """Oracle: the rows in another order, and another first row; a recurrent layer notices both."""
    first, second = rng.standard_normal((3, 5)), rng.standard_normal((5, 2))
    rows, order = rng.standard_normal((8, 3)), rng.permutation(8)
    recurrent = RNN(3, 2, rng=0)

    def without(x: Array) -> Array:
        return np.tanh(np.tanh(x @ first) @ second)

    def with_recurrence(x: Array) -> Array:
        return recurrent(x[:, None])[:, 0]

    changed = rows.copy()
    changed[0] += 1.0
    for net, keeps in ((without, False), (with_recurrence, True)):
        assert np.allclose(net(rows[order]), net(rows)[order]) != keeps
        assert np.allclose(net(changed)[1:], net(rows)[1:]) != keeps


@pytest.mark.claim("001-recurrent-formula")
def test_the_gradient_of_a_shared_matrix_is_a_sum_over_the_steps(
    rng: np.random.Generator,
) -> None:
    """Oracle: PyTorch on the unrolled network, with a copy of the matrices for each step."""
    layer, _ = pair("tanh", (3, 4), rng)
    x, target = rng.standard_normal((5, 2, 3)), rng.standard_normal((2, 4))
    weights = layer.parameters()
    copies = [
        [torch.from_numpy(weights[f"weight_{part}_l0"].copy()).requires_grad_() for _ in x]
        for part in ("ih", "hh")
    ]
    bias = torch.from_numpy(weights["bias_ih_l0"] + weights["bias_hh_l0"])
    h = torch.zeros(2, 4, dtype=torch.float64)
    for x_t, w_ih, w_hh in zip(torch.from_numpy(x), *copies, strict=True):
        h = torch.tanh(x_t @ w_ih.T + h @ w_hh.T + bias)
    (0.5 * (h - torch.from_numpy(target)).square().sum()).backward()

    outputs = layer(x)
    grad = np.zeros_like(outputs)
    grad[-1] = outputs[-1] - target
    layer.backward(grad)
    for part, matrices in zip(("ih", "hh"), copies, strict=True):
        each = [matrix.grad.numpy() for matrix in matrices]
        np.testing.assert_allclose(layer.gradients()[f"weight_{part}_l0"], sum(each), **TIGHT)
        assert np.abs(each[-1] - sum(each)).max() > 1e-3
    # One matrix can do the work of two, if it multiplies input and state one below the other.
    assert weights["weight_ih_l0"].shape == (4, 3)
    assert weights["weight_hh_l0"].shape == (4, 4)


@pytest.mark.claim("001-training-updates-state")
def test_training_changes_the_weights_and_not_the_state() -> None:
    """Oracle: copies from before. A pass changes the state alone, a training step the weights."""
    layer = RNN(2, 3, rng=0)
    model = Sequential(layer, LastStep(), Linear(3, 1, rng=1))
    x, y = data.make_adding(10, 6, rng=0)
    before = {name: array.copy() for name, array in model.parameters().items()}
    first = model(x)
    state = layer.state.copy()
    assert np.abs(state).max() > 0
    for name, array in model.parameters().items():
        np.testing.assert_array_equal(array, before[name])
    # The next pass starts from zero again: the state is nothing that was learned.
    np.testing.assert_array_equal(model(x), first)
    np.testing.assert_array_equal(layer.state, state)
    assert not any(array.shape == state.shape for array in before.values())

    fit(
        model,
        MSELoss(),
        SGD(lr=0.1),
        x,
        y,
        epochs=1,
        batch_size=10,
        rng=0,
        batch_axis=1,
        output_axis=0,
    )
    assert all(np.abs(array - before[name]).max() > 0 for name, array in model.parameters().items())


@pytest.mark.claim("001-hidden-state-stores")
def test_a_linear_state_forgets_geometrically() -> None:
    """Oracle: the closed form: after k steps 0.9 to the power k of an input is left."""
    layer = RNN(1, 1, nonlinearity="relu", rng=0)
    for name, value in (("weight_ih_l0", 1.0), ("weight_hh_l0", 0.9)):
        layer.parameters()[name][...] = value
    x = np.zeros((60, 2, 1))
    x[0, 1] = 1.0
    left = np.diff(layer(x)[:, :, 0], axis=1)[:, 0]
    np.testing.assert_allclose(left, 0.9 ** np.arange(60), rtol=1e-12)


@pytest.mark.claim("001-hidden-state-stores")
def test_a_unit_that_feeds_itself_holds_one_bit() -> None:
    """Oracle: the root of h = tanh(2 h), by bisection. It holds the sign, and loses the size."""
    layer = RNN(1, 1, rng=0)
    for name, value in (("weight_ih_l0", 1.0), ("weight_hh_l0", 2.0)):
        layer.parameters()[name][...] = value
    x = np.zeros((1000, 3, 1))
    x[0, :, 0] = 1.0, 3.0, -1.0
    root = scipy.optimize.brentq(lambda h: h - np.tanh(2 * h), 0.5, 1.0)
    np.testing.assert_allclose(layer(x)[-1, :, 0], [root, root, -root], rtol=1e-12)


# --- Gates --------------------------------------------------------------------------------------


def columns_lstm(x: Array, h: Array, c: Array, w: dict[str, Array]) -> tuple[Array, Array, Array]:
    """Return all outputs, the last state and the last cell, as source 003 has the equations."""
    outputs = []
    for x_t in x:
        gate = {k: w[f"x{k}"] @ x_t + w[f"h{k}"] @ h + w[f"b{k}"] for k in "ifco"}
        c = expit(gate["f"]) * c + expit(gate["i"]) * np.tanh(gate["c"])
        h = expit(gate["o"]) * np.tanh(c)
        outputs.append(h)
    return np.array(outputs), h, c


@pytest.fixture
def torch_lstm() -> nn.LSTM:
    """Return PyTorch's layer of 3 inputs and 4 units, with random parameters."""
    torch.manual_seed(1)
    return nn.LSTM(3, 4, dtype=torch.float64)


@pytest.fixture
def by_gate(torch_lstm: nn.LSTM) -> dict[str, Array]:
    """Return its parameters under the names of the source: eight matrices and four biases."""
    values = {name: array.detach().numpy() for name, array in torch_lstm.named_parameters()}
    found = {}
    for k, gate in enumerate("ifco"):
        rows = slice(4 * k, 4 * k + 4)
        found[f"x{gate}"] = values["weight_ih_l0"][rows]
        found[f"h{gate}"] = values["weight_hh_l0"][rows]
        found[f"b{gate}"] = values["bias_ih_l0"][rows] + values["bias_hh_l0"][rows]
    return found


@pytest.mark.claim("003-lstm-formulas")
def test_the_printed_lstm_is_the_one_of_pytorch(
    torch_lstm: nn.LSTM, by_gate: dict[str, Array], rng: np.random.Generator
) -> None:
    """Oracle: PyTorch. With the star as a product of matrices the formula does not exist."""
    x, h, c = rng.standard_normal((7, 3)), *rng.standard_normal((2, 4))
    ours = columns_lstm(x, h, c, by_gate)
    starts = tuple(torch.from_numpy(part)[None] for part in (h, c))
    outputs, (last_h, last_c) = torch_lstm(torch.from_numpy(x), starts)
    for found, expected in zip(ours, (outputs, last_h[0], last_c[0]), strict=True):
        np.testing.assert_allclose(found, expected.detach().numpy(), **TIGHT)
    gate, cell = expit(h)[:, None], c[:, None]
    with pytest.raises(ValueError, match="mismatch"):
        _ = gate @ cell


@pytest.mark.claim("003-lstm-weight-names")
def test_all_eight_matrices_lead_into_one_layer(
    by_gate: dict[str, Array], torch_lstm: nn.LSTM
) -> None:
    """Oracle: PyTorch's parameters: per gate one matrix from the input and one from the state."""
    assert {name: array.shape for name, array in by_gate.items()} == {
        f"{kind}{gate}": shape
        for gate in "ifco"
        for kind, shape in (("x", (4, 3)), ("h", (4, 4)), ("b", (4,)))
    }
    assert {name: tuple(array.shape) for name, array in torch_lstm.named_parameters()} == {
        "weight_ih_l0": (16, 3),
        "weight_hh_l0": (16, 4),
        "bias_ih_l0": (16,),
        "bias_hh_l0": (16,),
    }


@pytest.mark.claim("003-lstm-output-twice")
def test_the_output_gate_is_applied_once(rng: np.random.Generator) -> None:
    """Oracle: PyTorch; its output is the hidden state, in which the gate is contained."""
    layer, module = pair("lstm", (3, 4), rng)
    x = rng.standard_normal((5, 2, 3))
    expected = module(torch.from_numpy(x))[0].detach().numpy()
    layer(x)
    found = layer.activations()
    np.testing.assert_allclose(found["o"] * np.tanh(found["c"]), expected, **TIGHT)
    np.testing.assert_allclose(found["h"], expected, **TIGHT)
    assert np.abs(found["o"] * found["h"] - expected).max() > 0.01


def gated(gates: dict[str, float], *, reads: str = "") -> LSTM:
    """Return one cell with constant gates; those in `reads` see one input each, times 200.

    The first input goes to the candidate g.
    """
    layer = LSTM(1 + len(reads), 1, rng=0)
    weights = layer.parameters()
    for array in weights.values():
        array[...] = 0.0
    for k, name in enumerate("ifgo"):
        weights["bias_ih_l0"][k] = gates.get(name, 0.0)
        if name in reads:
            weights["weight_ih_l0"][k, 1 + reads.index(name)] = 200.0
    weights["weight_ih_l0"][2, 0] = 1.0
    return layer


@pytest.mark.claim("003-lstm-hidden-stores")
def test_the_cell_keeps_what_the_hidden_state_does_not_show() -> None:
    """Oracle: by hand. The output gate opens at the last step of a thousand and shows the cell.

    Gates are shut by -100 and opened by +100: the sigmoid is then 0 to 43 digits, or exactly 1.
    """
    layer = gated({"i": -100.0, "f": 100.0, "o": -100.0}, reads="io")
    x = np.zeros((1000, 1, 3))
    x[0, 0] = 0.5, 1.0, 0.0  # write 0.5
    x[-1, 0, 2] = 1.0  # read
    h = layer(x)[:, 0, 0]
    cell = layer.activations()["c"][:, 0, 0]
    np.testing.assert_array_equal(cell, np.tanh(0.5))
    np.testing.assert_allclose(h[:-1], 0.0, atol=1e-40)
    assert h[-1] == np.tanh(np.tanh(0.5))


@pytest.mark.claim("003-lstm-three-gates")
def test_each_gate_does_one_thing() -> None:
    """Oracle: by hand: shut, the input gate writes nothing, the forget gate erases, and so on."""
    x = np.full((3, 1, 1), 0.5)
    wide = {"i": 100.0, "f": 100.0, "o": 100.0}
    new = np.tanh(0.5)
    for shut, cells in (
        (None, [new, 2 * new, 3 * new]),
        ("i", [0.0, 0.0, 0.0]),
        ("f", [new, new, new]),
        ("o", [new, 2 * new, 3 * new]),
    ):
        layer = gated(wide | ({shut: -100.0} if shut else {}))
        h = layer(x)[:, 0, 0]
        cell = layer.activations()["c"][:, 0, 0]
        np.testing.assert_allclose(cell, cells, **TIGHT)
        np.testing.assert_allclose(h, np.zeros(3) if shut == "o" else np.tanh(cells), **TIGHT)


@pytest.mark.claim("003-lstm-vanishing")
@pytest.mark.parametrize("bias", [-1.0, 0.0, 1.0, 3.0, 100.0])
def test_the_gradient_along_the_cell_is_the_product_of_the_forget_gates(bias: float) -> None:
    """Oracle: the closed form, sigmoid of the bias to the power of the lag."""
    layer = gated({"f": bias})
    steps = 101
    layer(np.zeros((steps, 1, 1)))
    layer.backward(np.zeros((steps, 1, 1)), (np.zeros((1, 1, 1)), np.ones((1, 1, 1))))
    along = layer.state_gradients()["c"][::-1, 0, 0]
    np.testing.assert_allclose(along, expit(bias) ** np.arange(steps), rtol=1e-10)
    # Half open, as at PyTorch's start, nothing is left after a hundred steps; open, all is.
    assert (along[100] < 1e-8) == (bias < 2)
    assert (along[100] > 0.99) == (bias > 50)


@pytest.mark.claim("003-lstm-vanishing")
def test_an_lstm_can_make_gradients_explode() -> None:
    """Oracle: the Jacobian at rest, by hand: c' = f c + i w o c, so 1/2 + 8/4 at each step."""
    layer = gated({})
    layer.parameters()["weight_hh_l0"][2, 0] = 8.0
    norms = gradient_by_lag(layer, np.zeros((31, 1, 1)), rng=0)["h"]
    # From h the way leads into the cell, factor w i; there on by 2.5, and out again, factor o.
    growth = norms[2:] / norms[1:-1]
    np.testing.assert_allclose(growth, 0.5 + 8.0 / 4, rtol=1e-10)
    assert norms[30] > 1e10


def recall(n: int, steps: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return sequences that show a bit at their first step and noise after it, and the bits."""
    bits = rng.integers(0, 2, n)
    x = np.zeros((steps, n, 2), dtype=np.float32)
    x[0, :, 0] = 2 * bits - 1
    x[1:, :, 1] = rng.normal(size=(steps - 1, n))
    return x, bits


def learn(
    layer: RecurrentLayer, x: Array, y: Array, rng: np.random.Generator, lr: float = 0.01
) -> Sequential:
    """Train a layer and a readout of its last step, once through the data."""
    readout = Linear(layer.hidden_size, 2, rng=rng, dtype=np.float32)
    model = Sequential(layer, LastStep(), readout)
    fit(
        model,
        CrossEntropyLoss(),
        Adam(lr),
        x,
        y,
        epochs=1,
        batch_size=32,
        rng=rng,
        max_grad_norm=1.0,
        batch_axis=1,
        output_axis=0,
    )
    return model


def share_right(model: Layer, x: Array, y: Array) -> float:
    """Return the accuracy on sequences (T, N, C)."""
    return accuracy(predict(model, x, batch_axis=1, output_axis=0), y)


@pytest.mark.claim("003-lstm-long-dependencies")
def test_lstms_learned_to_add_at_lengths_where_plain_networks_did_not() -> None:
    """Oracle: the goal of the stored run, an error of 0.01 where 1/6 needs no memory."""
    stored = records.load("lstm-adding")
    lengths = stored.settings["lengths"]
    assert max(lengths) >= 160
    for name, met in (("LSTM", True), ("RNN, tanh", False), ("RNN, ReLU", False)):
        for length, seeds in zip(lengths, stored.results["runs"][name], strict=True):
            if met or length >= 20:
                assert all((run["updates"] is not None) == met for run in seeds)


@pytest.mark.claim("003-lstm-long-dependencies")
def test_an_lstm_learns_what_lies_forty_steps_back_if_its_gate_starts_open() -> None:
    """Oracle: bits it has not seen; chance is one half. Both have the same budget of updates."""
    steps = 40
    shares: dict[float, list[float]] = {3.0: [], 0.0: []}
    for bias, seed in itertools.product(shares, (0, 1, 2)):
        rng = np.random.default_rng(seed)
        layer = LSTM(2, 12, forget_bias=bias, rng=rng, dtype=np.float32)
        model = learn(layer, *recall(32 * 150, steps, rng), rng)
        shares[bias].append(share_right(model, *recall(500, steps, rng)))
    assert min(shares[3.0]) > 0.9
    assert max(shares[0.0]) < 0.7


@pytest.mark.claim("003-choice-by-length")
def test_what_counts_is_the_lag_and_not_the_length() -> None:
    """Oracle: bits it has not seen. A plain network reads two hundred steps, or forty.

    In the long sequences the bit stands three steps before the end, in the short ones at their
    start. The network starts with a spectral radius of one half.
    """
    rng = np.random.default_rng(0)
    shares = {}
    for steps, lag in ((200, 3), (40, 39)):
        x, bits = recall(32 * 100, lag + 1, rng)
        noise = np.zeros((steps - lag - 1, x.shape[1], 2), dtype=np.float32)
        noise[:, :, 1] = rng.normal(size=noise.shape[:2])
        whole = np.concatenate([noise, x])
        start = with_spectral_radius(0.5)
        layer = RNN(2, 12, recurrent_init=start, rng=rng, dtype=np.float32)
        model = learn(layer, whole[:, :2700], bits[:2700], rng)
        shares[steps] = share_right(model, whole[:, 2700:], bits[2700:])
    assert shares[200] > 0.95
    assert shares[40] < 0.65


@pytest.mark.claim("003-choice-by-length")
def test_the_gradient_at_a_lag_does_not_depend_on_the_length() -> None:
    """Oracle: the longer sequence; without an input nothing but the lag can matter."""
    layer = RNN(2, 20, recurrent_init=with_spectral_radius(0.8), rng=0)
    short, long = (gradient_by_lag(layer, np.zeros((t, 5, 2)), rng=1)["h"] for t in (30, 300))
    np.testing.assert_allclose(long[:30], short, rtol=1e-10)


@pytest.mark.claim("003-lstm-cost")
@pytest.mark.parametrize(("inputs", "units"), [(3, 4), (64, 128)])
def test_an_lstm_has_four_times_the_weights_of_a_plain_layer(inputs: int, units: int) -> None:
    """Oracle: PyTorch's parameters. Each weight of a matrix is one multiplication at each step."""
    plain = units * (inputs + units + 2)
    for ours, theirs, expected in ((RNN, nn.RNN, plain), (LSTM, nn.LSTM, 4 * plain)):
        counted = sum(array.numel() for array in theirs(inputs, units).parameters())
        parameters = ours(inputs, units, rng=0).parameters().values()
        assert sum(array.size for array in parameters) == counted == expected


@pytest.mark.claim("003-lstm-cost")
def test_half_the_units_pay_for_the_gates() -> None:
    """Oracle: a count. With as many weights as a plain layer of 68 units, an LSTM has 33 units."""
    sizes = {
        units: sum(array.size for array in kind(2, units, rng=0).parameters().values())
        for kind, units in ((RNN, 68), (LSTM, 33))
    }
    assert sizes[33] == pytest.approx(sizes[68], rel=0.05)


# --- Text ---------------------------------------------------------------------------------------


@pytest.mark.claim("003-listing-runs")
def test_a_model_needs_its_sizes_and_a_text_its_vocabulary() -> None:
    """Oracle: Python and the layer; only the library is known, as in the listing."""
    known = {"Embedding": Embedding}
    for line in ("Embedding(words, width, rng=0)", "index_to_word[0]", "[0] * length"):
        with pytest.raises(NameError, match="is not defined"):
            eval(line, dict(known))


@pytest.mark.claim("003-listing-string")
def test_an_embedding_takes_numbers_and_no_text() -> None:
    """Oracle: PyTorch, which refuses as well; the words' numbers are what it takes."""
    words = data.Vocabulary(("<pad>", "a", "is", "this"))
    layer = Embedding(len(words), 2, rng=0)
    with pytest.raises(TypeError, match="must hold whole numbers"):
        layer(np.array("this is a"))
    module = nn.Embedding(len(words), 2, dtype=torch.float64)
    with pytest.raises(TypeError):
        module("this is a")
    load_into(layer, module)
    numbers = words.encode("this is a")
    expected = module(torch.from_numpy(numbers)).detach().numpy()
    np.testing.assert_array_equal(layer(numbers), expected)


@pytest.mark.claim("003-listing-spaces")
def test_words_without_spaces_cannot_be_read_back() -> None:
    """Oracle: two texts that become the same; and the vocabulary, which knows no such word."""
    words = data.Vocabulary(("<pad>", "a", "apart", "part", "this"))
    assert "".join(["a", "part"]) == "".join(["apart"])
    text = "this"
    for number in (1, 3):
        text += words.tokens[number]
    assert text == "thisapart"
    with pytest.raises(ValueError, match="must be made of the vocabulary"):
        words.encode(text)
    assert words.decode(words.encode("this a part")) == "this a part"


@pytest.fixture(scope="module")
def prose() -> data.Text:
    return data.load_prose()


@pytest.mark.claim("003-listing-greedy")
def test_always_taking_the_likeliest_ends_in_a_circle(prose: data.Text) -> None:
    """Oracle: the pigeonhole. Where the last characters come back, all that follows comes back.

    The model sees four characters, so a text of greedy choices is periodic from the first four
    that occur twice. Drawn by their probabilities, characters are not caught.
    """
    model = NGram(5, len(prose.alphabet)).fit(prose.encode(prose.train))
    for prompt in ("the ", "this is a", "if a class"):
        start = prose.encode(prompt)
        told = sample(model, start, 800, temperature=0, rng=0).tolist()
        seen: dict[tuple[int, ...], int] = {}
        for end in range(4, len(told)):
            first = seen.setdefault(tuple(told[end - 4 : end]), end)
            if first < end:
                break
        assert told[end:] == told[first : first + len(told) - end]
        assert first + 2 * (end - first) < 600
        drawn = sample(model, start, 800, rng=0).tolist()
        assert drawn[end:] != drawn[first : first + len(drawn) - end]
        variety = [len({tuple(text[k : k + 5]) for k in range(300, 796)}) for text in (told, drawn)]
        assert 3 * variety[0] < variety[1]


def small_language_model(rng: np.random.Generator, words: int = 6) -> Sequential:
    """Return an untrained network from tokens (T, N) to logits (T, N, words)."""
    return Sequential(Embedding(words, 3, rng=rng), LSTM(3, 5, rng=rng), Linear(5, words, rng=rng))


@pytest.mark.claim("003-listing-one-target")
def test_one_pass_predicts_after_every_word(rng: np.random.Generator) -> None:
    """Oracle: a pass of its own for each beginning, of which only the last answer is used."""
    model = small_language_model(rng)
    text, target = rng.integers(0, 6, (2, 8))
    loss = SequenceCrossEntropyLoss()
    total = loss.forward(model(text[:, None]), target[None])
    model.backward(loss.backward())
    at_once = {name: gradient.copy() for name, gradient in model.gradients().items()}

    losses, summed = [], {name: np.zeros_like(g) for name, g in at_once.items()}
    for t in range(8):
        logits = model(text[: t + 1, None])
        one = CrossEntropyLoss()
        losses.append(one.forward(logits[-1], target[[t]]))
        grad = np.zeros_like(logits)
        grad[-1] = one.backward()
        model.backward(grad)
        for name, gradient in model.gradients().items():
            summed[name] += gradient / 8
    assert total == pytest.approx(np.mean(losses), rel=1e-12)
    for name, gradient in at_once.items():
        np.testing.assert_allclose(gradient, summed[name], **TIGHT)


@pytest.mark.claim("003-listing-rereads")
def test_the_state_stands_for_all_that_was_read(rng: np.random.Generator) -> None:
    """Oracle: reading everything again. Twenty words cost 20 steps with the state, 210 without."""
    model = small_language_model(rng)
    layer = model[1]
    assert isinstance(layer, LSTM)
    text = rng.integers(0, 6, 20)
    state, steps = None, {"carried": 0, "again": 0}
    for t in range(len(text)):
        again = softmax(model(text[: t + 1, None])[-1, 0])
        out = layer.forward(model[0](text[t : t + 1, None]), state)
        state = layer.state
        np.testing.assert_allclose(softmax(model[2](out)[-1, 0]), again, **TIGHT)
        steps["carried"] += 1
        steps["again"] += t + 1
    assert steps == {"carried": 20, "again": 210}


@pytest.mark.claim("003-embedding")
def test_an_embedding_is_a_product_with_one_hot_vectors(rng: np.random.Generator) -> None:
    """Oracle: the product and its gradient, which adds up the places of a word."""
    layer = Embedding(6, 3, rng=rng)
    words = rng.integers(0, 6, 20)
    one_hot = np.eye(6)[words]
    np.testing.assert_array_equal(layer(words), one_hot @ layer.weight)
    grad = rng.standard_normal((20, 3))
    layer.backward(grad)
    np.testing.assert_allclose(layer.gradients()["weight"], one_hot.T @ grad, **TIGHT)


@pytest.mark.claim("003-next-word-probabilities")
def test_a_linear_layer_and_softmax_give_the_next_word_a_distribution(
    rng: np.random.Generator,
) -> None:
    """Oracle: PyTorch's softmax of the last logits; all probabilities are positive, one in sum."""
    model = small_language_model(rng)
    text = rng.integers(0, 6, 9)
    p = next_token_probabilities(model, text)
    logits = torch.from_numpy(model(text[:, None])[-1, 0])
    np.testing.assert_allclose(p, torch.softmax(logits, dim=0).numpy(), **TIGHT)
    assert p.sum() == pytest.approx(1.0)
    assert p.min() > 0


@pytest.mark.claim("003-evaluation-metrics")
def test_accuracy_does_not_see_how_well_a_text_is_predicted() -> None:
    """Oracle: by hand. Two models with the same guesses need 0.40 and 0.99 bits for a letter."""
    letters = np.array([0, 0, 1, 0, 0, 0, 1, 0])
    sure = np.where(letters[:, None] == np.arange(2), 0.9, 0.1)
    sure[letters == 1] = 0.55, 0.45
    vague = np.full((8, 2), (0.51, 0.49))
    bits = [-np.log2(p[np.arange(8), letters]).mean() for p in (sure, vague)]
    shares = [accuracy(p, letters) for p in (sure, vague)]
    assert shares == [0.75, 0.75]
    by_hand = [(6 * math.log2(0.9) + 2 * math.log2(0.45)) / -8]
    by_hand.append((6 * math.log2(0.51) + 2 * math.log2(0.49)) / -8)
    assert bits == pytest.approx(by_hand)
    assert bits[0] < 0.5 < 0.95 < bits[1]


@pytest.mark.claim("003-evaluation-metrics")
def test_accuracy_needs_recall_beside_it() -> None:
    """Oracle: the definitions. Who always says no is right 95 times in 100, and finds nothing."""
    truth = np.repeat([0, 1], [95, 5])
    guess = np.zeros(100, dtype=int)
    found = ((guess == 1) & (truth == 1)).sum()
    assert (guess == truth).mean() == 0.95
    assert found / truth.sum() == 0.0


@pytest.mark.claim("003-visualising-states")
def test_some_of_many_units_follow_any_feature_by_chance() -> None:
    """Oracle: the law of the correlation of independent normal numbers, and its largest of many.

    With n places, r sqrt((n - 2) / (1 - r^2)) follows Student's law with n - 2 degrees of freedom.
    """
    rng = np.random.default_rng(0)
    places, units, largest = 200, 128, []
    for _ in range(200):
        feature, traces = rng.standard_normal(places), rng.standard_normal((units, places))
        largest.append(np.abs(np.corrcoef(feature, traces)[0, 1:]).max())

    def size(chance: float) -> float:
        t = scipy.stats.t.isf(chance / 2, places - 2)
        return float(t / math.sqrt(places - 2 + t**2))

    median = size(1 - 0.5 ** (1 / units))
    assert np.median(largest) == pytest.approx(median, rel=0.03)
    # The largest of 128 units is usually what one unit shows once in two hundred times.
    assert median > size(0.006) > 2.5 / math.sqrt(places)


# --- Series and sentences -----------------------------------------------------------------------


@pytest.mark.claim("003-listing-mask")
@pytest.mark.parametrize("in_front", [False, True])
def test_padding_without_a_mask_changes_the_answer(
    in_front: bool, rng: np.random.Generator
) -> None:
    """Oracle: PyTorch on the sentence alone. With its length told, padding changes nothing."""
    embedding = Embedding(6, 3, rng=rng)
    layer, module = pair("lstm", (3, 4), rng)
    text = np.array([[4], [2], [5]])
    expected = module(torch.from_numpy(embedding(text)))[1][0].detach().numpy()
    filling = np.zeros((4, 1), dtype=int)
    padded = np.concatenate([filling, text] if in_front else [text, filling])
    layer(embedding(padded))
    assert np.abs(layer.state[0] - expected).max() > 0.01
    layer.forward(embedding(np.concatenate([text, filling])), lengths=[3])
    np.testing.assert_allclose(layer.state[0], expected, **TIGHT)


def bag(sentences: data.Sentences) -> Array:
    """Return how often each word occurs in each sentence."""
    size = len(sentences.vocabulary)
    return np.stack([np.bincount(column, minlength=size)[1:] for column in sentences.tokens.T])


@pytest.mark.claim("000-text-classification")
def test_counting_words_tells_the_topic() -> None:
    """Oracle: the topics of sentences that were not fitted; chance is one quarter."""
    train = data.make_sentences(1000, task="topic", rng=0)
    test = data.make_sentences(500, task="topic", part="test", rng=1)
    model = LogisticRegression(max_iter=1000).fit(bag(train), train.labels)
    assert model.score(bag(test), test.labels) > 0.99


@pytest.mark.claim("000-text-classification")
@pytest.mark.claim("003-sentiment")
def test_sentiment_under_negation_needs_the_order_of_the_words() -> None:
    """Oracle: the grammar's labels of sentences that were not trained on; chance is one half."""
    train = data.make_sentences(2000, rng=0)
    test = data.make_sentences(500, part="test", rng=1)
    counted = LogisticRegression(max_iter=1000).fit(bag(train), train.labels)
    model = SequenceClassifier(
        len(train.vocabulary), 2, embedding_dim=8, hidden_size=24, rng=0, dtype=np.float32
    )
    fit(
        model,
        CrossEntropyLoss(),
        Adam(0.02),
        train.tokens,
        train.labels,
        epochs=16,
        batch_size=50,
        rng=0,
        max_grad_norm=1.0,
        batch_axis=1,
        output_axis=0,
    )
    by_count = counted.score(bag(test), test.labels)
    in_order = share_right(model, test.tokens, test.labels)
    assert by_count < 0.7
    assert in_order > by_count + 0.2


@pytest.mark.claim("003-sentiment")
def test_the_same_words_in_another_order_say_the_opposite() -> None:
    """Oracle: the grammar's rule that what stands after "but" counts. Both are the same bag."""
    sentences = data.make_sentences(4000, rng=0)
    labels = dict(zip(sentences.texts, sentences.labels.tolist(), strict=True))
    swapped, differ = 0, 0
    for text, label in labels.items():
        first, joint, second = text.partition(" but ")
        if not joint or "but" in second or "although" in text:
            continue
        swapped += 1
        alone = {clause: labels.get(clause) for clause in (first, second)}
        if None not in alone.values():
            assert alone[second] == label
            differ += alone[first] != label
    assert swapped > 500
    assert differ > 0


@pytest.mark.claim("003-time-series")
def test_autoregression_beats_the_last_value_on_sunspots() -> None:
    """Oracle: the error of repeating the last value, on years after those that were fitted."""
    values = data.load_sunspots().values
    lags, split = 9, 220
    x, y = windows_of(values, lags)
    design = np.column_stack([x[:, :, 0].T, np.ones(len(y))])
    known = split - lags
    weights, *_ = np.linalg.lstsq(design[:known], y[:known, 0])
    errors = np.abs(design[known:] @ weights - y[known:, 0])
    last = np.abs(x[-1, known:, 0] - y[known:, 0])
    assert errors.mean() < 0.75 * last.mean()
    # Eleven years before is no match for either: the cycle is not that regular.
    season = [seasonal_naive(values[:t], 1, period=11)[0] for t in range(split, len(values))]
    assert np.abs(season - values[split:]).mean() > last.mean()


@pytest.mark.claim("003-time-series")
def test_networks_had_no_lead_over_autoregression_on_sunspots() -> None:
    """Oracle: forecasts of the test years by nine weights, fitted to the training years alone.

    The networks' errors are those of the stored run, five seeds for each kind of cell.
    """
    spots = data.load_sunspots().values
    linear = errors_by_lead(autoregression(spots[:200], 9, 11), spots, "sunspots", part="test")
    networks = records.load("forecasts").results["sunspots"]
    assert set(networks) == {"RNN", "GRU", "LSTM"}
    for cell in networks.values():
        assert np.mean(linear) < np.mean(cell["test"])


@pytest.mark.claim("003-time-series")
def test_a_tanh_network_cannot_follow_a_trend() -> None:
    """Oracle: states lie in -1 .. 1, so weights and bias, taken without sign, bound the answer."""
    layer, readout = LSTM(1, 8, rng=0), Linear(8, 1, rng=1)
    model = Sequential(layer, LastStep(), readout)
    assert readout.bias is not None
    bound = np.abs(readout.weight).sum() + abs(float(readout.bias[0]))
    climbing = np.linspace(0, 1, 20)[:, None, None] * np.array([1.0, 100.0, 1e4])[None, :, None]
    answers = model(climbing)
    assert np.abs(answers).max() <= bound
    assert bound < 5


@pytest.mark.claim("003-stock-prices")
def test_nothing_beats_the_last_value_of_a_random_walk() -> None:
    """Oracle: the next step is independent of the past, so the last value is the best forecast.

    Its squared error is the variance of a step, 1. Fitted forecasts do worse on new values, and
    yet their curve lies close to that of the prices.
    """
    rng = np.random.default_rng(0)
    ratios, alike, late, ups = [], [], [], []
    for _ in range(40):
        prices = np.cumsum(rng.standard_normal(600))
        x, y = windows_of(prices, 20)
        design = np.column_stack([x[:, :, 0].T, np.ones(len(y))])
        weights, *_ = np.linalg.lstsq(design[:400], y[:400, 0])
        forecast, last, truth = design[400:] @ weights, x[-1, 400:, 0], y[400:, 0]
        ratios.append(np.mean((forecast - truth) ** 2) / np.mean((last - truth) ** 2))
        alike.append(np.corrcoef(forecast, truth)[0, 1])
        late.append(np.mean(np.abs(forecast - last)) / np.mean(np.abs(forecast - truth)))
        ups.append(np.mean((forecast > last) == (truth > last)))
    assert np.mean(ratios) > 1.02
    assert np.mean(alike) > 0.9
    assert np.mean(late) < 0.5
    assert np.mean(ups) == pytest.approx(0.5, abs=0.03)


# --- Translation, summaries and attention -------------------------------------------------------


@pytest.fixture(scope="module")
def pairs() -> tuple[data.Translation, data.Translation]:
    """Return numbers of up to three digits and their words, to train on and to test."""
    return (
        data.make_translation(600, max_digits=3, rng=0),
        data.make_translation(90, max_digits=3, part="test", rng=1),
    )


@pytest.fixture(scope="module")
def translator(pairs: tuple[data.Translation, data.Translation]) -> EncoderDecoder:
    """Return a network that was trained on them."""
    train, _ = pairs
    sizes = len(train.source_vocabulary), len(train.target_vocabulary)
    model = EncoderDecoder(*sizes, 16, 32, rng=0, dtype=np.float32)
    fit(
        model,
        SequenceCrossEntropyLoss(ignore_index=0),
        Adam(0.01),
        (train.source, train.target[:-1]),
        train.target[1:].T,
        epochs=30,
        batch_size=50,
        rng=0,
        max_grad_norm=1.0,
        batch_axis=1,
        output_axis=1,
    )
    return model


@pytest.mark.claim("003-translation")
def test_an_encoder_and_a_decoder_translate_numbers_into_words(
    translator: EncoderDecoder, pairs: tuple[data.Translation, data.Translation]
) -> None:
    """Oracle: the words of numbers that were not trained on, whole and without a mistake."""
    _, test = pairs
    texts, _ = greedy(translator, test.source, max_length=len(test.target))
    assert exact_match(texts, test.target[1:]).mean() > 0.85


@pytest.mark.claim("003-translation-one-network")
def test_a_translation_has_its_own_length_and_order(
    pairs: tuple[data.Translation, data.Translation],
) -> None:
    """Oracle: the pairs, whose lengths differ either way; one layer answers once for each input."""
    train, _ = pairs
    spoken = train.target_lengths - 2
    assert (spoken < train.source_lengths).any()
    assert (spoken > train.source_lengths).any()
    layer = LSTM(2, 3, rng=0)
    for steps in (1, 2, 3):
        assert len(layer(np.zeros((steps, 1, 2)))) == steps
    # Neither does the n-th word stand for the n-th digit: 19 is one word, 90 another.
    assert (data.number_words(19), data.number_words(90)) == ("nineteen", "ninety")
    # And after one digit an LSTM could not know which word comes first.
    starts = {data.number_words(number).split()[0] for number in (1, 10, 15, 19, 100)}
    assert len(starts) == 4


@pytest.mark.claim("003-translation-training")
def test_training_minimises_the_surprise_at_the_true_words(
    translator: EncoderDecoder, pairs: tuple[data.Translation, data.Translation]
) -> None:
    """Oracle: the chain rule of probabilities: the losses of the words add up to the sentence's."""
    _, test = pairs
    logits = translator.forward((test.source, test.target[:-1])).astype(np.float64)
    wanted = test.target[1:]
    each = np.take_along_axis(log_softmax(logits), wanted[:, :, None], axis=2)[:, :, 0]
    whole = np.where(wanted > 0, each, 0.0).sum(axis=0)
    loss = SequenceCrossEntropyLoss(ignore_index=0).forward(logits, wanted.T)
    assert loss == pytest.approx(-whole.sum() / (wanted > 0).sum(), rel=1e-10)
    # The network reads the true words, not its own: where it writes the truth, the scores agree.
    texts, scores = greedy(translator, test.source, max_length=len(wanted))
    right = exact_match(texts, wanted)
    assert right.any()
    # Greedy writing never takes padding or start, which training has made very unlikely.
    np.testing.assert_allclose(scores[right], whole[right], atol=1e-2)


@pytest.mark.claim("003-summarisation")
def test_choosing_a_sentence_shortens_a_report_and_place_does_not_find_it() -> None:
    """Oracle: the generator's rule. No place holds the sentence in much more than a quarter."""
    reports = data.make_reports(1000, part="test", rng=0)
    chosen = reports.sentence == reports.keep
    assert np.mean(chosen.sum(axis=0) / reports.lengths) < 0.3
    for place in range(reports.counts.max()):
        assert np.mean(reports.keep == place) < 0.3
        assert np.mean(reports.keep == reports.counts - 1 - place) < 0.3
    # What is kept is copied: no word is new.
    for number in range(20):
        kept = reports.vocabulary.decode(reports.tokens[chosen[:, number], number])
        assert kept in reports.texts[number]


@pytest.mark.claim("004-attention-matrices")
def test_attention_is_two_products_with_a_softmax_between(rng: np.random.Generator) -> None:
    """Oracle: PyTorch's scaled dot-product attention."""
    query, key, value = (
        rng.standard_normal((2, rows, size)) for rows, size in ((5, 4), (7, 4), (7, 3))
    )
    expected = torch.nn.functional.scaled_dot_product_attention(
        *(torch.from_numpy(array) for array in (query, key, value))
    ).numpy()
    by_hand = softmax(query @ key.swapaxes(1, 2) / 2) @ value
    np.testing.assert_allclose(by_hand, expected, **TIGHT)
    np.testing.assert_allclose(dot_product_attention(query, key, value)[0], expected, **TIGHT)
    # The softmax is no product: twice the queries do not give twice the output.
    doubled = dot_product_attention(2 * query, key, value)[0]
    assert np.abs(doubled - 2 * expected).max() > 0.1


@pytest.mark.claim("003-attention-explains")
def test_other_weights_give_the_same_output() -> None:
    """Oracle: the null space of the values. Ten states of four numbers leave five directions free.

    Along them the weights can change, stay positive and sum to one, and nothing else changes.
    """
    rng = np.random.default_rng(0)
    states = rng.standard_normal((10, 4))
    output, weights = dot_product_attention(rng.standard_normal((1, 4)), states, states)
    free = scipy.linalg.null_space(np.vstack([states.T, np.ones(10)]))
    assert free.shape == (10, 5)
    # As far as possible from the first place: a linear programme.
    found = scipy.optimize.linprog(
        np.eye(10)[int(weights.argmax())],
        A_eq=np.vstack([states.T, np.ones(10)]),
        b_eq=np.append(output[0], 1.0),
        bounds=(0, 1),
    )
    assert found.status == 0
    np.testing.assert_allclose(found.x @ states, output[0], atol=1e-9)
    assert found.x.min() >= 0
    assert found.x.argmax() != weights.argmax()
    assert np.abs(found.x - weights[0]).sum() / 2 > 0.2


@pytest.mark.claim("003-attention-explains")
def test_a_weight_of_zero_removes_what_stands_there(rng: np.random.Generator) -> None:
    """Oracle: the output without that place. So much attention does say about its own layer."""
    states = rng.standard_normal((6, 4))
    query = rng.standard_normal((1, 4))
    mask = np.array([[True, True, False, True, True, True]])
    masked, weights = dot_product_attention(query, states, states, mask=mask)
    kept = states[mask[0]]
    np.testing.assert_allclose(masked, dot_product_attention(query, kept, kept)[0], **TIGHT)
    assert weights[0, 2] == 0.0
