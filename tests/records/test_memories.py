"""Two tasks watched in the spectra: the functions at tiny settings, and the stored run."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import scipy
from scipy.stats import spearmanr

from companion import records
from companion.network import Adam
from companion.records import RUNS
from companion.records import memories as runs

TINY = {
    "kinds": ["split"],
    "scales": [1.0],
    "rates": [0.001, 0.01],
    "choose_seeds": [0],
    "choose_budget": 20,
    "seeds": [0, 1],
    "steps": 12,
    "every": 6,
    "budgets": [20, None],
    "directions": 3,
}
WAYS = [
    "after the old task",
    "old task only",
    "no replay",
    "replay of 20",
    "replay of all",
    "labels mixed up",
    "both from the start",
]


# --- The functions of the run ---------------------------------------------------------------------


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def tiny():
    return runs.replay(**TINY)["split, 1"]


def test_the_start_is_hes_times_the_scale():
    """Oracle: He's variance, two over the inputs; the same draw at every scale."""
    one, small = (runs.hidden_weights(runs.network(64, scale, 3)) for scale in (1.0, 0.25))
    assert [w.shape for w in one] == [(128, 64), (128, 128)]
    for a, b in zip(one, small, strict=True):
        np.testing.assert_allclose(a.var(), 2 / a.shape[1], rtol=0.05)
        np.testing.assert_allclose(0.25 * a, b, rtol=1e-6)


def test_the_shared_part_of_two_subspaces_is_that_of_the_angles(rng):
    """Oracle: SciPy's principal angles, and k / n for random subspaces."""
    a, b = (np.linalg.qr(rng.standard_normal((40, 5)))[0] for _ in range(2))
    expected = np.mean(np.cos(scipy.linalg.subspace_angles(a, b)) ** 2)
    assert runs.shared(a, b) == pytest.approx(expected)
    assert runs.shared(a, a @ np.linalg.qr(rng.standard_normal((5, 5)))[0]) == pytest.approx(1.0)
    draws = [runs.shared(a, np.linalg.qr(rng.standard_normal((40, 5)))[0]) for _ in range(200)]
    assert np.mean(draws) == pytest.approx(5 / 40, abs=0.01)


def test_leading_directions(rng):
    """Oracle: NumPy's SVD."""
    w = rng.standard_normal((7, 5))
    U, V = runs.leading(w, 2)
    s = np.linalg.svd(w, compute_uv=False)
    np.testing.assert_allclose(U.T @ U, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(V.T @ V, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(w @ V, U * s[:2], atol=1e-12)


def test_quantities_of_planted_changes(rng):
    """Oracle: closed forms where the old task adds one outer product and the new one another."""
    start = 0.01 * rng.standard_normal((20, 10))
    (u, u_new), (v, v_new) = (np.linalg.qr(rng.standard_normal((n, 2)))[0].T for n in (20, 10))
    old, x = start + 3 * np.outer(u, v), rng.standard_normal((30, 10))

    def seen(end):
        return runs.quantities([start], [old], [end], [0.2], [x], 1)

    same = seen(old)
    for name in ("distance", "distance on old images", "change of singular values"):
        assert same[name] == 0.0
    assert same["number of outliers"] == 1.0
    for name in same:
        if any(word in name for word in ("overlap", "strength", "largest", "part")):
            assert same[name] == pytest.approx(1.0)
    more = seen(old + 4 * np.outer(u_new, v_new))
    assert more["distance"] == pytest.approx(4 / 3, rel=1e-6)
    assert more["number of outliers"] == 2.0
    expected = 4 / 3 * np.linalg.norm(x @ v_new) / np.linalg.norm(x @ v)
    assert more["distance on old images"] == pytest.approx(expected)
    assert more["largest singular value"] == pytest.approx(4 / 3, rel=0.02)
    # The leading direction is the new one now, and the old one is as strong as before.
    assert more["overlap of directions"] < 0.01
    assert more["overlap of changes"] < 0.01
    assert more["part of the old change"] == pytest.approx(1.0)
    assert more["strength of old directions"] == pytest.approx(1.0, abs=0.01)
    # Other directions, the same singular values.
    turned = seen(old[:, ::-1])
    assert turned["change of singular values"] == pytest.approx(0.0, abs=1e-12)
    assert turned["distance"] > 0.5


def test_overlaps_of_weights_are_not_those_of_changes(rng):
    """Oracle: a strong direction of the start that both tasks keep, and changes that share none."""
    left, right = (np.linalg.qr(rng.standard_normal((n, 3)))[0].T for n in (20, 10))
    start, old, new = (
        10 * np.outer(left[0], right[0]) + sum(3 * np.outer(left[i], right[i]) for i in places)
        for places in ((), (1,), (2,))
    )
    found = runs.quantities([start], [old], [new], [5.0], [np.eye(10)], 1)
    assert found["overlap of directions"] == pytest.approx(1.0)
    assert found["overlap of changes"] == pytest.approx(0.0, abs=1e-9)
    assert found["part of the old change"] == pytest.approx(0.0, abs=1e-9)


def test_the_ways_differ_in_what_is_replayed():
    """Oracle: the tasks. Mixed-up labels are the same labels at other images."""
    old, new = runs.tasks("split", 0)
    yesterday, today = (old.x_train, old.y_train), (new.x_train, new.y_train)
    ways = runs._ways(yesterday, today, old, [20, None], 0)
    assert list(ways) == WAYS[1:-1]
    for name, pools in ways.items():
        assert sum(share for _, share in pools) == 1.0
        assert (pools[0][0] is today) == (name != "old task only")
    assert [len(ways[f"replay of {n}"][1][0][0]) for n in (20, "all")] == [20, len(old.x_train)]
    (x, y), _ = ways["labels mixed up"][1]
    np.testing.assert_array_equal(x, old.x_train)
    np.testing.assert_array_equal(np.sort(y), np.sort(old.y_train))
    assert np.mean(y == old.y_train) < 0.3


def test_every_way_starts_where_the_old_task_ended(tiny):
    """Oracle: the first two ways, trained one by one from the same weights."""
    old, new = pair = runs.tasks("split", 0)
    for number, pools in enumerate(
        [[((old.x_train, old.y_train), 1.0)], [((new.x_train, new.y_train), 1.0)]]
    ):
        student = runs.network(64, 1.0, 0), Adam(tiny["rate"])
        for pool, seed in (([((old.x_train, old.y_train), 1.0)], [0, 1]), (pools, [0, 3, number])):
            rng = np.random.default_rng(seed)
            seen = runs.course(student, pool, [0, 0], pair, steps=12, every=6, rng=rng)
        name = WAYS[1 + number]
        assert seen["accuracy"][-1] == tiny["ways"][name]["accuracy"][0]


def test_restricting_the_change(rng):
    """Oracle: all directions keep everything, and without them only the start is left."""
    old, _ = pair = runs.tasks("split", 0)
    model = runs.network(64, 1.0, 0)
    start = runs.hidden_weights(model)
    pools = [((old.x_train, old.y_train), 1.0)]
    seen = runs.course((model, Adam(0.003)), pools, [1e9, 0.0], pair, steps=40, every=20, rng=rng)
    assert len(seen["accuracy"]) == 2
    assert seen["outliers"][-1] == [0, 128]
    learned = [b - a for a, b in zip(start, runs.hidden_weights(model), strict=True)]
    # The first layer has 64 directions.
    found = runs.restricted(model, start[:1], learned[:1], pair, 64, rng)
    assert found["kept"] == seen["accuracy"][-1]
    begun = copy.deepcopy(model)
    runs.linear_layers(begun)[0].weight[...] = start[0]
    assert found["removed"] == runs._rounded(runs.tested(begun, pair, "test"))
    # One direction of random place is as large, and nobody misses it.
    one = runs.restricted(model, start, learned, pair, 1, rng)
    assert one["random removed"][0] > max(one["removed"][0], one["kept"][0])
    assert runs.with_old_outputs(model, model, old) == seen["accuracy"][-1][0]
    untrained = runs.network(64, 1.0, 1)
    assert runs.with_old_outputs(model, untrained, old) < 0.7


def test_hidden_inputs_are_what_the_layers_get():
    """Oracle: the forward pass written out."""
    model, x = runs.network(64, 1.0, 0), np.random.default_rng(0).random((5, 64), dtype=np.float32)
    first, second = runs._hidden_inputs(model, x)
    layer = runs.linear_layers(model)[0]
    np.testing.assert_array_equal(first, x)
    z = x @ layer.weight.T + layer.parameters()["bias"]
    np.testing.assert_allclose(second, np.maximum(z, 0), rtol=1e-5)


def test_rank_correlations_are_spearmans(rng):
    """Oracle: SciPy, ties included; and 0 by convention where nothing varies."""
    a, b = rng.integers(0, 5, size=(3, 12)).astype(float), rng.standard_normal((3, 12))
    expected = [spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(runs.rank_correlation(a, b), expected)
    assert runs.rank_correlation(np.ones(5), np.arange(5.0)) == 0.0


def test_an_association_is_found_where_it_was_planted(rng):
    """Oracle: outcomes made from the quantity within ways, between them only, or not at all."""
    seeds, noise = np.linspace(0, 1, 16), rng.standard_normal((4, 16))
    level = np.arange(4.0)[:, None]
    inside = seeds + 0.01 * noise
    between = level + 0.01 * noise
    found = runs.association(inside, seeds + 0 * level, between, np.random.default_rng(0))
    assert found["within"] > 0.95
    assert found["p"] < 0.005
    assert found["beats"] == 1.0
    other = runs.association(
        between, level + 0.01 * rng.standard_normal((4, 16)), inside, np.random.default_rng(0)
    )
    assert other["low"] > 0.8
    assert other["all"] <= other["high"]
    assert abs(other["within"]) < 0.4
    assert other["p"] > 0.05
    # A p-value below 0.05 comes up in about one of twenty drawings of pure noise.
    ps = [
        runs.association(*rng.standard_normal((3, 4, 16)), np.random.default_rng(i))["p"]
        for i in range(60)
    ]
    assert 0 <= np.mean(np.array(ps) < 0.05) < 0.15


def test_every_way_is_there_and_is_measured_alike(tiny):
    """Oracle: the settings; replay starts where the old task ended, whatever comes after."""
    assert list(tiny["choices"]) == ["0.001", "0.01"]
    assert tiny["rate"] in TINY["rates"]
    assert list(tiny["ways"]) == list(tiny["courses"]) == WAYS
    for name, way in tiny["ways"].items():
        assert np.shape(way["accuracy"]) == np.shape(way["restricted"]["kept"]) == (2, 2)
        assert set(way["quantities"]) == set(tiny["association"]) == set(tiny["before"])
        course = tiny["courses"][name]
        assert np.shape(course["accuracy"]) == np.shape(course["outliers"]) == (2, 2)
        np.testing.assert_allclose(
            course["accuracy"][-1], np.mean(way["accuracy"], axis=0), atol=1e-4
        )
        assert np.mean(way["quantities"]["number of outliers"]) == pytest.approx(
            np.mean(course["outliers"][-1])
        )
    first = tiny["ways"]["after the old task"]
    assert first["quantities"]["distance"] == [0.0, 0.0]
    assert first["quantities"]["part of the old change"] == [1.0, 1.0]
    assert first["with old outputs"] == [row[0] for row in first["accuracy"]]
    assert tiny["before"]["distance"] == [1.0, 1.0]
    assert tiny["before"]["part of the old change"] == [0.0, 0.0]


def test_a_run_can_be_repeated(tiny):
    """Oracle: the run itself. Seeds differ."""
    again = runs.two_tasks(
        "split", 1.0, tiny["rate"], 1, steps=12, every=6, budgets=[20, None], directions=3
    )
    for name, way in again["ways"].items():
        stored = tiny["ways"][name]["quantities"]
        for quantity, value in way["quantities"].items():
            assert value == stored[quantity][1]
    assert (
        tiny["before"]["strength of old directions"][0]
        != again["before"]["strength of old directions"]
    )


# --- The stored run -------------------------------------------------------------------------------


def test_the_stored_run_is_the_one_described():
    """Oracle: the settings in the table of runs."""
    assert records.load("memories-replay").settings == RUNS["memories-replay"].full


@pytest.fixture(scope="module")
def stored():
    return records.load("memories-replay").results


def old_accuracy(setting, way):
    return np.array(setting["ways"][way]["accuracy"])[:, 0]


def test_replay_keeps_the_old_task_and_wrong_labels_do_not(stored):
    """Oracle: test images, twelve seeds for each of four settings."""
    for setting in stored.values():
        known = {way: old_accuracy(setting, way).mean() for way in setting["ways"]}
        assert known["no replay"] < 0.5 < 0.7 < known["replay of 20"] < known["replay of 100"]
        assert known["replay of 100"] < known["replay of all"] + 0.01
        assert min(known["replay of all"], known["both from the start"]) > 0.95
        assert known["labels mixed up"] < 0.25
        for way in setting["ways"]:
            if way not in ("after the old task", "old task only"):
                assert np.mean(setting["ways"][way]["accuracy"], axis=0)[1] > 0.93


def test_outliers_do_not_sort_the_ways_by_memory(stored):
    """Oracle: wrong labels leave the most outliers; both from the start, fewer than replay."""
    for setting in stored.values():
        counts = {
            name: np.mean(way["quantities"]["number of outliers"])
            for name, way in setting["ways"].items()
        }
        assert max(counts, key=counts.get) == "labels mixed up"
        assert counts["both from the start"] < counts["replay of all"]
        assert counts["after the old task"] < counts["no replay"] < counts["replay of all"]


def test_directions_tell_more_than_distance_and_need_no_spectrum(stored):
    """Oracle: intervals and resamples of the stored associations."""
    for setting in stored.values():
        table = setting["association"]
        for name in ("strength of old directions", "part of the old change"):
            assert table[name]["low"] > 0.7
            assert table[name]["beats"] > 0.99
        strength, part = table["strength of old directions"], table["part of the old change"]
        assert abs(strength["all"] - part["all"]) < 0.05
    outliers = [s["association"]["number of outliers"]["all"] for s in stored.values()]
    largest = [s["association"]["largest singular value"]["all"] for s in stored.values()]
    assert max(np.abs(outliers)) < 0.3
    assert min(largest) < -0.4 < 0.8 < max(largest)


def correlations(stored, quantity, ways):
    """Return the rank correlation with the old task's accuracy in each setting."""
    return [
        spearmanr(
            np.ravel([setting["ways"][way]["quantities"][quantity] for way in ways]),
            np.ravel([old_accuracy(setting, way) for way in ways]),
        ).statistic
        for setting in stored.values()
    ]


def test_without_the_control_singular_values_would_seem_to_tell(stored):
    """Oracle: SciPy's rank correlation, without the wrong labels and with every way."""
    replays = ["no replay", "replay of 20", "replay of 100", "replay of all"]
    assert min(correlations(stored, "number of outliers", replays)) > 0.15
    assert min(correlations(stored, "change of singular values", replays)) > 0.3
    every = [*replays, "labels mixed up", "both from the start"]
    for name in ("strength of old directions", "part of the old change"):
        assert max(correlations(stored, name, every)) < 0.65
    assert max(correlations(stored, "distance on old images", every)) < -0.6


def test_nothing_spectral_tells_seeds_apart(stored):
    """Oracle: Holm's correction for the nine quantities of a setting."""
    found = []
    for setting in stored.values():
        ps = {name: row["p"] for name, row in setting["association"].items()}
        assert len(ps) == 9
        worst = 0.0
        for i, name in enumerate(sorted(ps, key=ps.get)):
            worst = max(worst, (9 - i) * ps[name])
            if worst < 0.05:
                found.append(name)
    assert found == ["part of the old change", "distance on old images"]


def test_ten_directions_carry_the_old_memory(stored):
    """Oracle: a part as large in random directions."""
    for setting in stored.values():
        for name in ("after the old task", "replay of all"):
            cut = setting["ways"][name]["restricted"]
            known = old_accuracy(setting, name).mean()
            assert np.mean(cut["removed"], axis=0)[0] < 0.6 * known
            assert np.mean(cut["random removed"], axis=0)[0] > known - 0.06
        kept = np.mean(setting["ways"]["no replay"]["restricted"]["kept"], axis=0)[0]
        assert kept > old_accuracy(setting, "no replay").mean() - 1e-9
