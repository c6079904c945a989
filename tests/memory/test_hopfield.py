"""Hopfield networks against loops, exact enumeration, closed forms, PyTorch and the definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from companion.memory import (
    Recall,
    critical_load,
    dense_recall,
    dreaming,
    energy,
    flip,
    hebbian,
    mean_field_overlap,
    modern_energy,
    modern_recall,
    one_step_error,
    overlap,
    projection,
    random_patterns,
    recall,
    storkey,
)
from companion.recurrence import dot_product_attention

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=30, deadline=None)


def all_states(units):
    """Every row of plus and minus ones."""
    return np.array(list(itertools.product((-1.0, 1.0), repeat=units)))


# --- Patterns -------------------------------------------------------------------------------------


def test_random_patterns_are_fair_coins():
    """Oracle: the binomial distribution of sums of coins, and of products of two of them."""
    patterns = random_patterns(400, 500, rng=1)
    assert patterns.shape == (400, 500)
    assert patterns.dtype == np.float64
    assert set(np.unique(patterns)) == {-1.0, 1.0}
    assert abs(patterns.mean()) < 4 / np.sqrt(patterns.size)
    other = overlap(patterns, patterns)[np.triu_indices(400, k=1)]
    assert other.std() == pytest.approx(500**-0.5, rel=0.02)
    assert random_patterns(0, 3, rng=0, dtype=np.float32).shape == (0, 3)
    assert random_patterns(2, 3, rng=0, dtype=np.float32).dtype == np.float32


@given(seed=seeds, units=st.integers(1, 12), fraction=st.floats(0.0, 1.0))
@few
def test_flip_turns_as_many_in_each_row(seed, units, fraction):
    """Oracle: the number of flips, counted; and the overlap that the docstring states."""
    patterns = random_patterns(5, units, rng=seed)
    flipped = flip(patterns, fraction, rng=seed)
    count = round(fraction * units)
    np.testing.assert_array_equal((flipped != patterns).sum(axis=1), count)
    mine = overlap(patterns, flipped).diagonal()
    np.testing.assert_allclose(mine, 1 - 2 * count / units, atol=1e-12)


def test_flip_chooses_each_place_as_often():
    """Oracle: the binomial distribution; another draw for each row, and any number of axes."""
    ones = np.ones((4, 5000, 5), dtype=np.float32)
    flipped = flip(ones, 0.4, rng=0)
    assert flipped.dtype == np.float32
    assert flipped.shape == ones.shape
    share = (flipped < 0).mean(axis=(0, 1))
    np.testing.assert_allclose(share, 0.4, atol=4 * np.sqrt(0.24 / 20000))
    np.testing.assert_array_equal(flip(np.ones(5), 1.0, rng=0), -np.ones(5))
    assert flip(np.ones((0, 5)), 0.4, rng=0).shape == (0, 5)


# --- Rules ----------------------------------------------------------------------------------------


def hebbian_by_loops(patterns):
    count, units = patterns.shape
    weight = np.zeros((units, units))
    for i, j in itertools.product(range(units), repeat=2):
        if i != j:
            weight[i, j] = sum(patterns[mu, i] * patterns[mu, j] for mu in range(count)) / units
    return weight


def storkey_by_loops(patterns):
    """Oracle: the recursion as printed, with the sum that leaves out two units."""
    units = patterns.shape[1]
    weight = np.zeros((units, units))
    for x in patterns:
        old = weight.copy()

        def field(i, j, old=old, x=x):
            return sum(old[i, k] * x[k] for k in range(units) if k not in (i, j))

        for i, j in itertools.product(range(units), repeat=2):
            change = x[i] * x[j] - x[i] * field(j, i) - field(i, j) * x[j]
            weight[i, j] = old[i, j] + change / units
        np.fill_diagonal(weight, 0.0)
    return weight


@pytest.mark.parametrize("seed", range(3))
def test_hebbian_and_storkey_against_loops(seed):
    """Oracle: the definitions, entry by entry."""
    patterns = random_patterns(4, 7, rng=seed)
    np.testing.assert_allclose(hebbian(patterns), hebbian_by_loops(patterns), atol=1e-12)
    np.testing.assert_allclose(storkey(patterns), storkey_by_loops(patterns), atol=1e-12)
    with_diagonal = hebbian(patterns, diagonal=True)
    np.testing.assert_allclose(with_diagonal.diagonal(), 4 / 7)
    np.testing.assert_allclose(with_diagonal - np.eye(7) * 4 / 7, hebbian(patterns), atol=1e-12)


@given(seed=seeds, count=st.integers(1, 8), units=st.integers(2, 9))
@few
def test_projection_projects(seed, count, units):
    """Oracle: the four properties of the orthogonal projection on the patterns' span."""
    patterns = random_patterns(count, units, rng=seed)
    weight = projection(patterns, diagonal=True)
    np.testing.assert_allclose(patterns @ weight, patterns, atol=1e-9)
    np.testing.assert_allclose(weight @ weight, weight, atol=1e-9)
    np.testing.assert_array_equal(weight, weight.T)
    assert np.trace(weight) == pytest.approx(np.linalg.matrix_rank(patterns))
    bare = projection(patterns)
    np.testing.assert_array_equal(bare.diagonal(), 0.0)
    np.testing.assert_allclose(bare + np.diag(weight.diagonal()), weight, atol=1e-12)


@pytest.mark.parametrize("diagonal", [True, False])
def test_projection_keeps_independent_patterns_exactly(diagonal):
    """Closed form: W x = x with the diagonal, (1 - W_ii) x_i > 0 without it."""
    patterns = random_patterns(80, 100, rng=0)
    weight = projection(patterns, diagonal=diagonal)
    found = recall(weight, patterns, mode="synchronous")
    np.testing.assert_array_equal(found.state, patterns)
    assert found.converged.all()


@pytest.mark.parametrize("diagonal", [True, False])
def test_dreaming_goes_from_hebbian_to_projection(diagonal):
    """Oracle: both ends, and in between the formula with an explicit inverse."""
    patterns = random_patterns(6, 20, rng=3)
    start = dreaming(patterns, 0.0, diagonal=diagonal)
    np.testing.assert_allclose(start, hebbian(patterns, diagonal=diagonal), atol=1e-12)
    end = projection(patterns, diagonal=diagonal)
    np.testing.assert_array_equal(dreaming(patterns, np.inf, diagonal=diagonal), end)
    np.testing.assert_allclose(dreaming(patterns, 1e9, diagonal=diagonal), end, atol=1e-7)
    t = 2.5
    inverse = np.linalg.inv(np.eye(6) + t * patterns @ patterns.T / 20)
    middle = patterns.T @ ((1 + t) * inverse) @ patterns / 20
    if not diagonal:
        np.fill_diagonal(middle, 0.0)
    np.testing.assert_allclose(dreaming(patterns, t, diagonal=diagonal), middle, atol=1e-12)


@pytest.mark.parametrize("rule", [hebbian, projection, storkey, lambda x: dreaming(x, 3.0)])
def test_rules_keep_float32_are_symmetric_and_take_no_pattern(rule):
    """Invariant: dtype, symmetry, zero diagonal; nothing stored is a matrix of zeros."""
    patterns = random_patterns(5, 30, rng=0, dtype=np.float32)
    weight = rule(patterns)
    assert weight.dtype == np.float32
    np.testing.assert_allclose(weight, rule(patterns.astype(np.float64)), atol=1e-5)
    np.testing.assert_allclose(weight, weight.T, atol=1e-7)
    np.testing.assert_array_equal(weight.diagonal(), 0.0)
    np.testing.assert_array_equal(rule(np.empty((0, 4))), np.zeros((4, 4)))


def test_storkey_holds_more_than_hebbian():
    """Published ordering (Storkey 1997): at a load of 0.2 more patterns are fixed points."""
    fixed = {}
    for rule in (hebbian, storkey):
        patterns = random_patterns(40, 200, rng=5)
        found = recall(rule(patterns), patterns, mode="synchronous", max_sweeps=1)
        fixed[rule] = found.converged.mean()
    assert fixed[storkey] > fixed[hebbian] + 0.5


# --- Energy and recall ----------------------------------------------------------------------------


def test_energy_and_overlap_by_loops():
    """Oracle: the double sum, and the mean of products."""
    rng = np.random.default_rng(0)
    weight, states = rng.normal(size=(4, 4)), random_patterns(6, 4, rng=1).reshape(2, 3, 4)
    found = energy(weight, states)
    assert found.shape == (2, 3)
    for place in np.ndindex(2, 3):
        s = states[place]
        total = sum(weight[i, j] * s[i] * s[j] for i in range(4) for j in range(4))
        assert found[place] == pytest.approx(-total / 2)
    patterns = random_patterns(5, 4, rng=2)
    found = overlap(patterns, states)
    assert found.shape == (2, 3, 5)
    assert found[1, 2, 3] == pytest.approx(np.mean(patterns[3] * states[1, 2]))


def is_fixed(weight, state):
    """No unit disagrees with its field."""
    return (state * (state @ weight.T) >= -1e-9).all(axis=-1)


@given(seed=seeds, count=st.integers(1, 6), units=st.integers(2, 20), diagonal=st.booleans())
@few
def test_asynchronous_updates_never_raise_the_energy(seed, count, units, diagonal):
    """Invariant: energies sweep by sweep; what has settled agrees with all its fields."""
    patterns = random_patterns(count, units, rng=seed)
    weight = hebbian(patterns, diagonal=diagonal)
    state = random_patterns(7, units, rng=seed + 1)
    start = energy(weight, state)
    for sweep in range(100):
        found = recall(weight, state, max_sweeps=1, rng=seed + sweep)
        end = energy(weight, found.state)
        assert (end <= start + 1e-9).all()
        np.testing.assert_array_equal(found.converged, (found.state == state).all(axis=1))
        if found.converged.all():
            break
        state, start = found.state, end
    assert is_fixed(weight, found.state).all()


@given(seed=seeds)
@few
def test_asynchronous_recall_against_a_loop(seed):
    """Oracle: one unit after another in Python, in the order that the generator gives."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(9, 9))
    weight += weight.T
    np.fill_diagonal(weight, 0.0)
    state = random_patterns(1, 9, rng=seed)[0]
    found = recall(weight, state, rng=seed)
    order, mine, sweeps = np.random.default_rng(seed), state.copy(), 0
    while True:
        before = mine.copy()
        for unit in order.permutation(9):
            mine[unit] = np.sign(weight[unit] @ mine)
        if (before == mine).all():
            break
        sweeps += 1
    np.testing.assert_array_equal(found.state, mine)
    assert found.sweeps.shape == ()
    assert (found.sweeps, found.period) == (sweeps, 1)


@given(seed=seeds)
@few
def test_synchronous_recall_against_a_loop(seed):
    """Oracle: matrix times state in Python; its end is a fixed point or a cycle of two."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(9, 9))
    weight += weight.T
    states = random_patterns(6, 9, rng=seed)
    found = recall(weight, states, mode="synchronous")
    for k, state in enumerate(states):
        seen = [state]
        while not any((seen[-1] == old).all() for old in seen[-3:-1]):
            seen.append(np.sign(weight @ seen[-1]))
        period = 1 if (seen[-1] == seen[-2]).all() else 2
        assert found.period[k] == period
        assert any((found.state[k] == s).all() for s in seen[-period:])
        assert found.sweeps[k] == len(seen) - 2
        assert found.converged[k] == (period == 1)


@given(seed=seeds)
@few
def test_synchronous_recall_with_ties_has_no_longer_cycle(seed):
    """Published (Goles, Fogelman & Pellegrin 1985): a unit that stays in a tie acts like one with
    a small weight to itself, and the matrix is still symmetric."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(-2, 3, size=(5, 5))
    states = np.array(list(itertools.product((1.0, -1.0), repeat=5)))
    found = recall(weight + weight.T, states, mode="synchronous")
    assert set(found.period.tolist()) <= {1, 2}


def test_two_units_that_agree_only_in_turn():
    """Closed form: two units joined by a positive weight exchange their states for ever, if both
    are updated at once."""
    weight = np.array([[0.0, 1.0], [1.0, 0.0]])
    found = recall(weight, [1.0, -1.0], mode="synchronous")
    assert (found.period, found.sweeps) == (2, 1)
    assert not found.converged
    both = recall(weight, [[1.0, -1.0], [1.0, 1.0]], mode="synchronous", max_sweeps=1)
    assert both.period.tolist() == [0, 1]
    assert recall(weight, [1.0, -1.0]).state.tolist() in ([1, 1], [-1, -1])


def test_a_field_of_zero_changes_nothing():
    """Closed form: without weights everything is a fixed point; a tie is one after rounding too."""
    state = random_patterns(3, 6, rng=0)
    for mode in ("asynchronous", "synchronous"):
        found = recall(np.zeros((6, 6)), state, mode=mode)
        np.testing.assert_array_equal(found.state, state)
        assert not found.sweeps.any()
    # 0.1 + 0.2 - 0.3 is not zero in floating point.
    weight = np.zeros((4, 4))
    weight[0, 1:] = weight[1:, 0] = [0.1, 0.2, -0.3]
    found = recall(weight, [-1.0, 1.0, 1.0, 1.0], mode="synchronous", max_sweeps=1)
    assert found.state[0] == -1.0


@pytest.mark.parametrize("mode", ["asynchronous", "synchronous"])
def test_recall_mends_patterns_in_either_precision(mode):
    """Oracle: the patterns, at a load far below the capacity."""
    patterns = random_patterns(10, 400, rng=0, dtype=np.float32)
    start = flip(patterns, 0.2, rng=1).reshape(2, 5, 400)
    single = recall(hebbian(patterns), start, mode=mode)
    double = recall(hebbian(patterns.astype(float)), start.astype(float), mode=mode)
    assert single.state.dtype == np.float32
    assert double.state.dtype == np.float64
    np.testing.assert_array_equal(single.state.reshape(10, 400), patterns)
    np.testing.assert_array_equal(single.state, double.state)
    assert single.sweeps.shape == single.period.shape == (2, 5)
    assert isinstance(single, Recall)


def test_recall_of_no_state_and_leaves_its_input():
    """Edge: an empty batch; the arguments are not changed."""
    patterns = random_patterns(3, 8, rng=0)
    weight, start = hebbian(patterns), flip(patterns, 0.25, rng=0)
    kept = weight.copy(), start.copy()
    recall(weight, start)
    dense_recall(patterns, start, 3)
    np.testing.assert_array_equal(weight, kept[0])
    np.testing.assert_array_equal(start, kept[1])
    for mode in ("asynchronous", "synchronous"):
        assert recall(weight, np.empty((0, 8)), mode=mode).state.shape == (0, 8)


def test_warm_asynchronous_units_follow_boltzmann():
    """Closed form: probabilities proportional to exp(-E / T), over all states of four units."""
    weight = hebbian(random_patterns(2, 4, rng=1)) + 0.1 - 0.1 * np.eye(4)
    states = all_states(4)
    wanted = np.exp(-energy(weight, states) / 0.7)
    wanted /= wanted.sum()
    start = random_patterns(20_000, 4, rng=0)
    found = recall(weight, start, temperature=0.7, max_sweeps=30, rng=0)
    assert (found.sweeps == 30).all()
    assert not found.period.any()
    codes = (found.state > 0) @ (2 ** np.arange(3, -1, -1))
    share = np.bincount(codes.astype(int), minlength=16) / len(start)
    np.testing.assert_allclose(share, wanted, atol=5 * np.sqrt(0.25 / 20_000) * 0.7)


def test_one_warm_synchronous_step_is_a_logistic_coin():
    """Closed form: probability 1 / (1 + exp(-2 h / T)) for each unit."""
    weight = np.array([[0.0, 0.6, -0.2], [0.6, 0.0, 0.1], [-0.2, 0.1, 0.0]])
    start = np.tile([1.0, 1.0, -1.0], (50_000, 1)).astype(np.float32)
    found = recall(weight, start, mode="synchronous", temperature=0.5, max_sweeps=1, rng=0)
    assert found.state.dtype == np.float32
    field = weight @ [1.0, 1.0, -1.0]
    wanted = 1 / (1 + np.exp(-2 * field / 0.5))
    np.testing.assert_allclose((found.state > 0).mean(axis=0), wanted, atol=0.01)


def test_cold_is_the_limit_of_warm():
    """Limit: at a temperature far below all fields the noise never wins."""
    patterns = random_patterns(5, 200, rng=0)
    start = flip(patterns, 0.2, rng=0)
    for mode in ("asynchronous", "synchronous"):
        found = recall(hebbian(patterns), start, mode=mode, temperature=1e-6, max_sweeps=8)
        np.testing.assert_array_equal(found.state, patterns)


# --- Theory ---------------------------------------------------------------------------------------


def test_one_step_error_is_a_tail_of_the_normal_distribution():
    """Oracle: SciPy's normal distribution; and what updating a stored pattern once does."""
    loads = np.array([[0.0, 0.05], [0.138, 1.0]])
    wanted = stats.norm.sf(1 / np.sqrt(np.where(loads > 0, loads, 1e-9)))
    np.testing.assert_allclose(one_step_error(loads), wanted, rtol=1e-9, atol=1e-300)
    patterns = random_patterns(600, 2000, rng=0, dtype=np.float32)
    fields = patterns @ hebbian(patterns)
    measured = np.mean(fields * patterns < 0)
    assert measured == pytest.approx(float(one_step_error(0.3)), rel=0.02)


def test_critical_load_is_the_published_one():
    """Published constants: 0.138 and 0.967 (Amit, Gutfreund & Sompolinsky 1985, 1987)."""
    critical = critical_load()
    assert round(critical, 3) == 0.138
    assert mean_field_overlap(critical - 1e-12) == pytest.approx(0.967, abs=5e-4)
    assert mean_field_overlap(critical + 1e-9) == 0.0
    assert critical == pytest.approx(0.1379, abs=5e-5)


@pytest.mark.parametrize("load", [0.01, 0.05, 0.1, 0.13])
def test_mean_field_overlap_solves_the_saddle_point_equations(load):
    """Oracle: the three equations at temperature zero, iterated: overlap m, susceptibility c (the
    derivative of the mean response, by differences of SciPy's normal distribution) and noise r."""
    m, c = 1.0, 0.0
    for _ in range(2000):
        width = np.sqrt(load) / (1 - c)

        def response(m, width=width):
            return 1 - 2 * stats.norm.sf(m / width)

        m, c = response(m), (response(m + 1e-5) - response(m - 1e-5)) / 2e-5
    assert float(mean_field_overlap(load)) == pytest.approx(m, abs=1e-6)


def test_mean_field_overlap_shapes_and_limits():
    """Edges: load zero and far above; the shape of the argument; it falls with the load."""
    loads = np.linspace(0, 0.2, 21).reshape(3, 7)
    found = mean_field_overlap(loads)
    assert found.shape == (3, 7)
    assert found[0, 0] == 1.0
    assert mean_field_overlap(1e-9) == 1.0
    assert (np.diff(found.ravel()) <= 0).all()
    assert one_step_error(0.0) == 0.0
    assert one_step_error(0.0).shape == mean_field_overlap(0.0).shape == ()


# --- Dense and modern -----------------------------------------------------------------------------


def dense_by_loops(patterns, state, power, order):
    """Oracle: the energy with the unit up and down, compared."""

    def level(s):
        return -float((patterns @ s) @ (patterns @ s) ** (power - 1))

    s = state.copy()
    while True:
        before = s.copy()
        for unit in order.permutation(len(s)):
            up, down = s.copy(), s.copy()
            up[unit], down[unit] = 1.0, -1.0
            if level(up) != level(down):
                s = up if level(up) < level(down) else down
        if (s == before).all():
            return s


@given(seed=seeds, power=st.integers(2, 5))
@few
def test_dense_recall_goes_to_the_lower_energy(seed, power):
    """Oracle: whole energies, unit by unit."""
    patterns = random_patterns(6, 8, rng=seed)
    state = random_patterns(1, 8, rng=seed + 1)[0]
    found = dense_recall(patterns, state, power, rng=seed)
    wanted = dense_by_loops(patterns, state, power, np.random.default_rng(seed))
    np.testing.assert_array_equal(found.state, wanted)
    assert found.converged


@given(seed=seeds)
@few
def test_dense_recall_of_power_two_is_hebbian_recall(seed):
    """Oracle: :func:`recall` with Hebb's weights, the same order of units."""
    patterns = random_patterns(7, 30, rng=seed)
    start = random_patterns(5, 30, rng=seed + 1)
    dense = dense_recall(patterns, start, 2, rng=seed)
    linear = recall(hebbian(patterns), start, rng=seed)
    np.testing.assert_array_equal(dense.state, linear.state)
    np.testing.assert_array_equal(dense.sweeps, linear.sweeps)


def test_dense_recall_keeps_precision_and_shape():
    """Invariant: float32 in, float32 out; several axes of states."""
    patterns = random_patterns(30, 40, rng=0, dtype=np.float32)
    start = flip(patterns[:6], 0.1, rng=0).reshape(2, 3, 40)
    found = dense_recall(patterns, start, 4)
    assert found.state.dtype == np.float32
    np.testing.assert_array_equal(found.state.reshape(6, 40), patterns[:6])
    untouched = dense_recall(np.empty((0, 40)), start, 3)
    np.testing.assert_array_equal(untouched.state, start)


@pytest.mark.parametrize("beta", [0.1, 1.0, 30.0])
def test_modern_recall_is_attention(beta):
    """Oracle: the course's attention and PyTorch's, with beta for the scale."""
    rng = np.random.default_rng(0)
    patterns, state = rng.normal(size=(5, 8)), rng.normal(size=(3, 8))
    found = modern_recall(patterns, state, beta)
    wanted, _ = dot_product_attention(state, patterns, patterns, scale=beta)
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    theirs = torch.nn.functional.scaled_dot_product_attention(
        *(torch.tensor(a) for a in (state, patterns, patterns)), scale=beta
    )
    np.testing.assert_allclose(found, theirs.numpy(), atol=1e-12)
    twice = modern_recall(patterns, state, beta, steps=2)
    np.testing.assert_allclose(twice, modern_recall(patterns, found, beta), atol=1e-12)


def test_modern_recall_between_its_limits():
    """Limits: the mean of all patterns, and the nearest one; in float32 as well."""
    patterns = random_patterns(6, 64, rng=0, dtype=np.float32)
    state = flip(patterns[2], 0.2, rng=0)
    blurred = modern_recall(patterns, state, 1e-6)
    assert blurred.dtype == np.float32
    np.testing.assert_allclose(blurred, patterns.mean(axis=0), atol=1e-3)
    np.testing.assert_array_equal(modern_recall(patterns, state, 100.0), patterns[2])


@given(seed=seeds, beta=st.floats(0.05, 20.0))
@few
def test_modern_recall_never_raises_its_energy(seed, beta):
    """Invariant, and the gradient of the energy is state minus update, by differences."""
    rng = np.random.default_rng(seed)
    patterns, state = rng.normal(size=(5, 4)), rng.normal(size=(3, 4))
    new = modern_recall(patterns, state, beta)
    assert (modern_energy(patterns, new, beta) <= modern_energy(patterns, state, beta) + 1e-9).all()
    step = 1e-6 * np.eye(4)
    slopes = [
        (modern_energy(patterns, state + e, beta) - modern_energy(patterns, state - e, beta)) / 2e-6
        for e in step
    ]
    np.testing.assert_allclose(np.stack(slopes, axis=-1), state - new, atol=1e-6)


def test_modern_energy_keeps_precision():
    """Invariant: float32 in, float32 out."""
    patterns = random_patterns(3, 4, rng=0, dtype=np.float32)
    assert modern_energy(patterns, patterns, 1.0).dtype == np.float32


# --- Errors ---------------------------------------------------------------------------------------

GOOD = np.array([[1.0, -1.0, 1.0], [1.0, 1.0, 1.0]])
WEIGHT = np.zeros((3, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: random_patterns(-1, 3, rng=0), ValueError, "patterns must be at least 0"),
        (lambda: random_patterns(1, 0, rng=0), ValueError, "units must be at least 1"),
        (lambda: random_patterns(1, 2, rng=0, dtype=int), TypeError, "dtype must be"),
        (lambda: flip(GOOD, 1.5, rng=0), ValueError, "fraction must lie in"),
        (lambda: flip(GOOD * 2, 0.5, rng=0), ValueError, r"patterns must hold nothing but \+1"),
        (lambda: flip(1.0, 0.5, rng=0), ValueError, "patterns must have at least 1 axes"),
        (lambda: hebbian(GOOD[0]), ValueError, "patterns must have 2 axes"),
        (lambda: hebbian(np.empty((2, 0))), ValueError, "patterns must have at least one entries"),
        (lambda: projection([[0.5, 1.0]]), ValueError, "patterns must hold nothing but"),
        (lambda: storkey([[np.nan, 1.0]]), ValueError, "patterns must hold nothing but"),
        (lambda: dreaming(GOOD, -1.0), ValueError, "time must lie in"),
        (lambda: dreaming(GOOD, np.nan), ValueError, "time must lie in"),
        (lambda: overlap(GOOD, [1.0, 1.0]), ValueError, "state must have 3 entries"),
        (lambda: overlap(np.empty((2, 0)), []), ValueError, "patterns must have at least one col"),
        (lambda: energy(WEIGHT[:2], GOOD), ValueError, "weight must be a square matrix"),
        (lambda: energy(np.empty((0, 0)), GOOD), ValueError, "weight must be a square matrix"),
        (lambda: energy(WEIGHT, [1.0]), ValueError, "state must have 3 entries"),
        (lambda: recall(WEIGHT, [1.0, 1.0]), ValueError, "state must have 3 entries"),
        (lambda: recall(WEIGHT, [1.0, 0.0, 1.0]), ValueError, "state must hold nothing but"),
        (lambda: recall(WEIGHT + np.nan, GOOD), ValueError, "weight must be finite"),
        (lambda: recall(WEIGHT, GOOD, mode="both"), ValueError, "mode must be one of"),
        (lambda: recall(WEIGHT, GOOD, max_sweeps=0), ValueError, "max_sweeps must be at least 1"),
        (lambda: recall(WEIGHT, GOOD, temperature=-1.0), ValueError, "temperature must lie in"),
        (lambda: recall(WEIGHT, GOOD, rng=None), TypeError, "rng must be"),
        (lambda: one_step_error(-0.1), ValueError, "load must not be negative"),
        (lambda: mean_field_overlap([0.1, np.inf]), ValueError, "load must be finite"),
        (lambda: dense_recall(GOOD, [1.0], 3), ValueError, "state must have 3 entries"),
        (lambda: dense_recall(GOOD, GOOD, 1), ValueError, "power must be at least 2"),
        (lambda: dense_recall(GOOD, GOOD, 700), ValueError, "power must leave the energy finite"),
        (lambda: modern_recall(np.empty((0, 3)), GOOD, 1.0), ValueError, "at least one number"),
        (lambda: modern_recall(GOOD, [1.0], 1.0), ValueError, "state must have 3 entries"),
        (lambda: modern_recall(GOOD, GOOD, 0.0), ValueError, "beta must lie in"),
        (lambda: modern_recall(GOOD, GOOD, 1.0, steps=0), ValueError, "steps must be at least 1"),
        (lambda: modern_energy(GOOD, GOOD, -1.0), ValueError, "beta must lie in"),
    ],
)
def test_errors_say_what_was_expected(call, error, message):
    """Oracle: the messages."""
    with pytest.raises(error, match=message):
        call()
