"""What the lesson *Working memory and long-term memory* reports, found again or in the record."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from companion import records
from companion.memory import FastWeights, disturb, interrupt, memory_function, recall_snr
from companion.network import SGD, Linear, MSELoss, fit, initialisers
from companion.records.working_memory import match_trials, train_match
from companion.recurrence import with_spectral_radius

# One trained network for the statements on damage; the lesson has three.


@pytest.fixture(scope="module")
def net():
    return train_match("GRU", "many delays", lr=0.01, seed=1, updates=1000)


def named(layer, cut=None):
    """Share of trials in which a nearest-mean readout names the item from the last state."""

    def states(seed):
        x, _ = match_trials(300, 8, rng=seed)
        h = layer(x) if cut is None else interrupt(layer, x, cut)
        return h[-2], x[0, :, :4].argmax(axis=1)

    h, items = states(1)
    means = np.stack([h[items == k].mean(axis=0) for k in range(4)])
    other, wanted = states(2)
    distances = np.linalg.norm(other[:, None] - means, axis=2)
    return np.mean(distances.argmin(axis=1) == wanted)


def right(layer, readout, cut=None):
    x, y = match_trials(300, 8, rng=3)
    h = layer(x) if cut is None else interrupt(layer, x, cut)
    return np.mean(readout(h[-1]).argmax(axis=1) == y)


def test_a_reset_clears_the_item_and_spares_the_rule(net):
    """Oracle: chance, 1/4 and 1/2, with four standard errors; the next trial is right."""
    layer, _, readout = net
    assert right(layer, readout) > 0.97
    assert named(layer) > 0.97
    assert right(layer, readout, cut=5) < 0.62
    assert named(layer, cut=5) < 0.36
    assert right(layer, readout) > 0.97


def test_noise_on_the_weights_spares_the_item_and_destroys_the_rule(net):
    """Oracle: the statement of the lesson, with noise twice as large as the weights."""
    layer, _, readout = net
    answers, items = [], []
    for draw in range(4):
        hurt = disturb(layer, 2.0, rng=draw)
        answers.append(right(hurt, readout))
        items.append(named(hurt))
    assert np.mean(answers) < 0.75
    assert np.mean(items) > 0.9


# The linear network.


def kinds(n, seed, radius):
    v = np.random.default_rng(seed).normal(size=n)
    v /= np.linalg.norm(v)
    return {
        "rotation": (radius * initialisers.orthogonal((n, n), rng=seed), v),
        "Gaussian": (radius * with_spectral_radius(1.0)((n, n), rng=seed), v),
    }


def capacity(name, n, noise, *, radius=0.99, length=1.0):
    sums = []
    for seed in range(3):
        w, v = kinds(n, seed, radius)[name]
        sums.append(memory_function(w, length * v, range(1500), noise).sum())
    return np.mean(sums)


def test_with_input_to_each_unit_the_capacity_of_rotations_grows_with_the_units():
    """Oracle: White, Lee & Sompolinsky (2004): in proportion to the number of units."""
    grown = [capacity("rotation", n, 0.3, length=np.sqrt(n)) for n in (16, 32, 64, 128)]
    assert np.all(np.divide(grown[1:], grown[:-1]) > 1.75)
    gauss = [capacity("Gaussian", n, 0.3, length=np.sqrt(n)) for n in (16, 128)]
    assert gauss[1] / gauss[0] < 5


def test_with_input_of_one_length_it_does_not():
    """Oracle: the statement of the lesson: eight times the units, less than twice the memory."""
    few, many = (capacity("rotation", n, 0.3) for n in (16, 128))
    assert few < many < 2 * few


def test_a_little_noise_costs_a_gaussian_matrix_most():
    """Oracle: the table of the lesson: a third lost to a thousandth, a delay line hardly any."""
    assert capacity("Gaussian", 32, 0.0, radius=0.95) > 31
    assert capacity("Gaussian", 32, 0.001, radius=0.95) < 0.75 * 32
    assert capacity("rotation", 32, 0.001, radius=0.95) > 31
    line = memory_function(np.eye(32, k=-1), np.eye(32)[0], range(40), 0.1).sum()
    assert line == pytest.approx(sum(1 / (1 + 0.01 * k) for k in range(1, 33)))
    assert capacity("Gaussian", 32, 0.1, radius=0.95) < line / 3


# Fast weights and slow ones.


def pairs(n, d, rng):
    keys = rng.normal(size=(n, d))
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    return keys, rng.choice([-1.0, 1.0], size=(n, 50))


def held(n, decay, d=32):
    """Measured number of items held, and that of the law."""
    shares = []
    for seed in range(20):
        keys, values = pairs(n, d, np.random.default_rng(seed))
        store = FastWeights(d, 50, decay=decay)
        store.write(keys, values)
        shares.append(np.mean(np.sign(store.read(keys)) == values))
    law = np.mean(norm.cdf(np.sqrt(recall_snr(range(n), n, d, decay))))
    return n * (2 * np.mean(shares) - 1), n * (2 * law - 1)


@pytest.mark.parametrize(("decay", "limit"), [(0.5, 3.7), (0.7, 6.2), (0.9, 15.2)])
def test_with_decay_the_items_held_level_off(decay, limit):
    """Oracle: the law, and the same number at twice the set size; the margin is that of 20
    draws."""
    measured, law = held(64, decay)
    assert measured == pytest.approx(law, abs=0.6)
    assert law == pytest.approx(limit, abs=0.1)
    assert held(128, decay)[1] == pytest.approx(law, abs=0.1)


def test_without_decay_they_do_not():
    """Oracle: the law: n (2 Phi(sqrt(d / (n - 1))) - 1), which grows like the root of n."""
    few, many = held(64, 1.0), held(256, 1.0)
    assert few[0] == pytest.approx(few[1], abs=1.0)
    assert many[1] > 1.9 * few[1]


def test_the_slow_store_holds_as_many_pairs_as_a_key_has_numbers():
    """Oracle: linear independence; one pair more has an error, and nothing fades with time."""
    rng = np.random.default_rng(0)
    keys, values = pairs(33, 32, rng)
    exact = np.linalg.pinv(keys[:32]) @ values[:32]
    np.testing.assert_allclose(keys[:32] @ exact, values[:32], atol=1e-9)
    assert np.abs(keys @ (np.linalg.pinv(keys) @ values) - values).max() > 0.01


def test_gradient_descent_finds_the_pairs():
    """Oracle: all signs right after some hundred passes, from random weights."""
    keys, values = pairs(16, 32, np.random.default_rng(0))
    slow = Linear(32, 50, bias=False, rng=0)
    fit(slow, MSELoss(), SGD(lr=20.0), keys, values, epochs=300, batch_size=16, rng=0)
    assert np.all(np.sign(slow(keys)) == values)


# The stored runs.


def shares(cell, condition, by="by_delay"):
    full = records.load("working-memory-delay").results
    where = full["delays" if by == "by_delay" else "distractors"]
    rows = np.array([run[by] for run in full["runs"][cell][condition]])
    return dict(zip(where, rows.T, strict=True))


def test_the_delay_of_training_decides_how_long_an_item_is_held():
    """Oracle: the statements of the lesson, on the stored run of eight networks a case."""
    for cell in ("RNN", "GRU", "LSTM"):
        assert shares(cell, "one delay")[8].min() == 1.0
    one = shares("RNN", "one delay")
    assert max(one[k].mean() for k in (1, 2, 4, 7, 9, 12, 32, 256)) < 0.65
    for cell in ("GRU", "LSTM"):
        many = shares(cell, "many delays")
        assert min(many[k].min() for k in (1, 2, 4, 8, 12, 16)) == 1.0
        assert many[256].mean() > 0.85 > 0.75 > shares(cell, "one delay")[256].mean()
    assert shares("RNN", "many delays")[8].mean() > 0.95 > shares("RNN", "many delays")[64].mean()


def test_distraction_clears_only_what_was_not_trained_against_it():
    """Oracle: the statements of the lesson, on the stored run of eight networks a case."""
    for cell in ("RNN", "GRU", "LSTM"):
        without = shares(cell, "many delays", "by_distractors")
        assert 0.6 < without[10].mean() < 0.8 < 0.95 < without[0].mean()
        assert shares(cell, "distractors", "by_distractors")[10].min() > 0.95
    longer = [shares("RNN", c)[256] for c in ("distractors", "many delays")]
    gain = longer[0].mean() - longer[1].mean()
    assert gain > 2 * np.sqrt(sum(x.var(ddof=1) / len(x) for x in longer))


def test_how_far_back_a_network_reaches_depends_on_its_size():
    """Oracle: the statements of the lesson, on the stored run of three networks a case."""
    stored = records.load("working-memory-n-back").results
    for by_units in stored["runs"].values():
        scores = np.mean(by_units, axis=2)  # units by n
        reach = [np.max(np.array(stored["backs"])[row >= 0.9]) for row in scores]
        assert reach == sorted(reach)
        assert reach[0] == 1
        assert reach[-1] >= 6
    rnn, gru = (np.array(stored["runs"][cell])[2:, -1] for cell in ("RNN", "GRU"))
    gap = rnn.mean(axis=1) - gru.mean(axis=1)
    assert np.all(gap > np.hypot(rnn.std(axis=1, ddof=1), gru.std(axis=1, ddof=1)))
