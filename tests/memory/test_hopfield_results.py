"""What the lesson *Hopfield networks* reports, found again in another or a smaller form."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from companion import data, memory
from companion.records import RUNS, load
from companion.records.hopfield import (
    MODELS,
    RULES,
    capacity,
    exactly_recalled,
    predicted_capacity,
    retrieval,
)

NAMES = ("hopfield-curve", "hopfield-map", "hopfield-rules", "hopfield-capacity")


# --- The runs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_short_form_is_the_long_one_with_fewer_numbers(name):
    """Invariant: the same arguments, but for the number of processes."""
    run = RUNS[name]
    assert set(run.full) - {"jobs"} == set(run.short)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_stored_is_the_full_run(name):
    """Oracle: the settings in the list of runs."""

    def plain(value):
        if isinstance(value, dict):
            return {key: plain(part) for key, part in value.items()}
        return [plain(part) for part in value] if isinstance(value, list | tuple) else value

    assert load(name).settings == plain(RUNS[name].full)


TINY = {"loads": [0.05, 0.4], "noises": [0.0, 0.1], "networks": [3, 2], "probes": 4}


def test_retrieval_of_one_rule_is_the_same_among_several():
    """Oracle: the run by itself, and the same run with two processes; shapes and ranges."""
    both = retrieval(["Hebb", "projection"], [20, 40], **TINY)
    alone = retrieval(["projection"], [20, 40], jobs=2, **TINY)
    assert both["projection"] == alone["projection"]
    assert both["settled"] == 1.0
    for found in both["projection"].values():
        assert np.shape(found["overlap"]) == np.shape(found["spread"]) == (2, 2)
        # Without noise the projection keeps everything at these loads.
        assert [row[0] for row in found["recalled"]] == [1.0, 1.0]
        assert [row[0] for row in found["spread"]] == [0.0, 0.0]


def test_retrieval_counts_what_recall_finds():
    """Oracle: the same network by hand, at a single load."""
    found = retrieval(["Storkey"], [30], [0.3], [0.1, 0.2], [1], 5, seed=3)["Storkey"]["30"]
    rng = np.random.default_rng((3, 30, 0, 0))
    patterns = memory.random_patterns(9, 30, rng=rng, dtype=np.float32)
    starts = [memory.flip(patterns[:5], noise, rng=rng) for noise in (0.1, 0.2)]
    ends = memory.recall(
        memory.storkey(patterns), np.stack(starts, axis=1), rng=np.random.default_rng((3, 30, 0, 0))
    ).state
    overlaps = np.einsum("pni,pi->np", ends, patterns[:5]) / 30
    np.testing.assert_allclose(found["overlap"][0], overlaps.mean(axis=1), atol=1e-4)
    np.testing.assert_allclose(found["recalled"][0], (overlaps > 0.9).mean(axis=1), atol=1e-4)
    with pytest.raises(ValueError, match="rules must be one of"):
        retrieval(["none"], [30], [0.3], [0.1], [1], 5)


def test_exactly_recalled_counts_whole_patterns():
    """Oracle: one pattern is always recalled; too many are not; unknown memories are refused."""
    for model in MODELS:
        one = memory.random_patterns(1, 30, rng=0)
        start = memory.flip(one, 0.1, rng=0)
        assert exactly_recalled(model, one, start, one, 0.1) == 1.0
        many = memory.random_patterns(2000, 10, rng=0)
        start = memory.flip(many[:40], 0.1, rng=0)
        assert exactly_recalled(model, many, start, many[:40], 0.1) < 0.3
    with pytest.raises(ValueError, match="model must be one of"):
        predicted_capacity("sparse", 10, 0.1)


def test_predicted_capacity_has_the_published_limits():
    """Published: N / (2 ln N), N^(n-1) / (2 (2n-3)!! ln N), and 2^(N (1 - H)); reached slowly."""
    for model, power, factor in (("Hebb", 2, 1), ("dense 3", 3, 3), ("dense 4", 4, 15)):
        ratios = [
            predicted_capacity(model, n, 0.1) / (n ** (power - 1) / (2 * factor * np.log(n)))
            for n in (10**2, 10**6, 10**12)
        ]
        assert ratios[0] > ratios[1] > ratios[2] > 1.0
        assert ratios[2] < 1.12
    entropy = -(0.1 * np.log2(0.1) + 0.9 * np.log2(0.9))
    rate = np.log2(predicted_capacity("modern", 1000, 0.1)) / 1000
    assert rate == pytest.approx(1 - entropy, abs=0.01)


def test_capacity_finds_where_half_are_recalled():
    """Oracle: the shares just below and above the number found."""
    (found,) = capacity({"dense 3": [20]}, 0.1, [0, 1, 2], 60)["dense 3"]
    count = float(np.mean(found))
    shares = []
    for factor in (0.5, 2.0):
        share = []
        for seed in range(4):
            patterns = memory.random_patterns(round(factor * count), 20, rng=seed)
            wanted = patterns[np.random.default_rng(seed).integers(len(patterns), size=60)]
            starts = memory.flip(wanted, 0.1, rng=seed)
            share.append(exactly_recalled("dense 3", patterns, starts, wanted, 0.1))
        shares.append(np.mean(share))
    assert shares[0] > 0.6
    assert shares[1] < 0.3


# --- What they found ------------------------------------------------------------------------------


def crossing(loads, shares, level=0.5):
    """The load at which falling shares cross a level, between two loads."""
    k = int(np.flatnonzero(np.array(shares) < level)[0])
    part = (shares[k - 1] - level) / (shares[k - 1] - shares[k])
    return loads[k - 1] + part * (loads[k] - loads[k - 1])


def test_larger_networks_break_more_sharply_and_nearer_to_the_theory():
    """Published constant 0.138, as a limit: the load of one half falls towards it with size."""
    curve = load("hopfield-curve")
    loads = curve.settings["loads"]
    halves = []
    for found in curve.results["Hebb"].values():
        shares = [row[0] for row in found["recalled"]]
        halves.append(crossing(loads, shares))
    assert halves[0] > halves[1] > halves[2] > memory.critical_load()
    assert halves[2] < 0.17


def test_large_networks_follow_the_mean_field_below_the_critical_load():
    """Oracle: the mean-field overlap, at loads up to 0.12."""
    curve = load("hopfield-curve")
    loads = np.array(curve.settings["loads"])
    measured = np.array(curve.results["Hebb"]["2000"]["overlap"])[:, 0]
    theory = memory.mean_field_overlap(loads)
    np.testing.assert_allclose(measured[loads <= 0.12], theory[loads <= 0.12], atol=0.005)
    # Beyond it states do not forget everything, as the theory's zero may suggest.
    assert measured[-1] > 0.15


def test_the_map_of_a_large_network_is_the_sharper_one():
    """Invariant: fewer cells of the map lie between one fifth and four fifths."""
    found = load("hopfield-map").results["Hebb"]
    between = [
        np.mean((np.array(part["recalled"]) > 0.2) & (np.array(part["recalled"]) < 0.8))
        for part in found.values()
    ]
    assert between[0] > between[1] > between[2]


def test_finite_dreams_have_larger_basins_than_the_projection():
    """Invariant: the gaps at a load of one half are larger than four standard errors of each."""
    record = load("hopfield-rules")
    k = record.settings["loads"].index(0.5)
    at = record.settings["noises"].index(0.1)
    networks = record.settings["networks"][0]

    def share(rule):
        found = record.results[rule]["200"]
        return found["recalled"][k][at], found["spread"][k][at] / networks**0.5

    order = ["projection, diagonal", "projection", "dreaming, 10"]
    for low, high in itertools.pairwise(order):
        (a, da), (b, db) = share(low), share(high)
        assert b - a > 4 * max(da, db)
    assert set(record.settings["rules"]) == set(RULES)
    # Without noise both projections keep every pattern, up to the largest load.
    for rule in order[:2]:
        kept = [row[0] for row in record.results[rule]["200"]["recalled"]]
        assert min(kept) > 0.99


def test_capacities_grow_as_predicted():
    """Oracle: the formulas, to a third, but for the fourth power; slopes in a logarithmic plot."""
    record = load("hopfield-capacity")
    slopes = {}
    for model, sizes in record.settings["units"].items():
        measured = np.mean(record.results[model], axis=1)
        theory = [predicted_capacity(model, n, 0.1) for n in sizes]
        ratio = measured / theory
        assert (ratio > (0.4 if model == "dense 4" else 0.7)).all()
        assert (ratio < 1.4).all()
        slopes[model] = np.log(measured[-1] / measured[0]) / np.log(sizes[-1] / sizes[0])
    assert slopes["Hebb"] < 1.0 < slopes["dense 3"] < 2.0 < slopes["dense 4"] < 3.0


# --- What is computed live ------------------------------------------------------------------------


def test_digits_need_the_pseudo_inverse():
    """Oracle: fixed points counted, for ten digits of ten classes."""
    digits = data.load_digits(rng=0)
    rng = np.random.default_rng(7)
    at = [rng.choice(np.flatnonzero(digits.y_train == k)) for k in range(10)]
    ten = np.where(digits.x_train[at] > 0.5, 1.0, -1.0)
    fixed = {}
    for rule in (memory.hebbian, memory.projection):
        found = memory.recall(rule(ten), ten, mode="synchronous", max_sweeps=1)
        fixed[rule] = int(found.converged.sum())
    assert fixed == {memory.hebbian: 0, memory.projection: 10}


def test_the_best_beta_makes_one_step_a_mean_given_the_state():
    """Oracle: Bayes' rule with the probability of the state given each pattern, unit by unit."""
    patterns, f = memory.random_patterns(6, 9, rng=0), 0.2
    state = memory.random_patterns(1, 9, rng=1)[0]
    likelihood = np.where(patterns == state, 1 - f, f).prod(axis=1)
    wanted = likelihood @ patterns / likelihood.sum()
    beta = 0.5 * np.log((1 - f) / f)
    np.testing.assert_allclose(memory.modern_recall(patterns, state, beta), wanted, atol=1e-12)


def test_the_best_beta_for_units_is_not_the_best_for_whole_patterns():
    """Oracle: where the right pattern alone is nearest, on the same copies; the share of theory."""
    count = round(predicted_capacity("modern", 30, 0.1))
    shares = []
    for seed in (11, 12):
        rng = np.random.default_rng(seed)
        stored = memory.random_patterns(count, 30, rng=rng, dtype=np.float32)
        wanted = stored[:150]
        copies = memory.flip(wanted, 0.1, rng=rng)
        ends = [np.sign(memory.modern_recall(stored, copies, b)) for b in (np.log(9) / 2, 3.0)]
        shares.append([(end == wanted).all(axis=1).mean() for end in ends])
        products = copies @ stored.T
        right = (products * (np.arange(count) != np.arange(150)[:, None])).max(axis=1)
        shares[-1].append((right < (copies * wanted).sum(axis=1)).mean())
    best, large, nearest = np.mean(shares, axis=0)
    assert best < large - 0.03
    assert large == pytest.approx(0.5, abs=0.1)
    assert large == pytest.approx(nearest, abs=0.02)


def test_dreaming_is_least_squares_on_noisy_copies():
    """Oracle: all ways to flip units, with their probabilities, and weighted least squares."""
    units, f = 6, 0.15
    patterns = memory.random_patterns(3, units, rng=2)
    second, first = np.zeros((units, units)), np.zeros((units, units))
    for turned in itertools.product((1.0, -1.0), repeat=units):
        noise = np.array(turned)
        chance = np.where(noise < 0, f, 1 - f).prod()
        copies = patterns * noise
        second += chance * copies.T @ copies
        first += chance * patterns.T @ copies
    best = first @ np.linalg.inv(second)
    time = (1 - 2 * f) ** 2 / (4 * f * (1 - f) * 3 / units)
    found = memory.dreaming(patterns, time, diagonal=True)
    np.testing.assert_allclose(best / best[0, 0], found / found[0, 0], atol=1e-12)


def test_three_patterns_vote_for_a_fixed_point():
    """Published (Amit, Gutfreund & Sompolinsky 1985): overlaps of one half, and a higher energy."""
    stored = memory.random_patterns(5, 1000, rng=3)
    weight = memory.hebbian(stored)
    mixture = np.sign(stored[0] - stored[1] + stored[2])
    assert memory.recall(weight, mixture).converged
    found = memory.recall(weight, mixture)
    np.testing.assert_allclose(memory.overlap(stored, found.state)[:3], [0.5, -0.5, 0.5], atol=0.1)
    assert memory.energy(weight, found.state) > memory.energy(weight, stored).max()
    np.testing.assert_allclose(memory.energy(weight, -stored), memory.energy(weight, stored))
