"""What the lesson *Consolidation* reports, found again in a smaller form or in the stored runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from companion import network, records
from companion.memory import (
    Notebook,
    Teacher,
    best_stopping_time,
    consolidate,
    generalisation_error,
    hebbian,
    overlap,
    random_patterns,
    recall,
    ridge_error,
)
from companion.records import RUNS
from companion.records import consolidation as runs

NAMES = ("consolidation-split", "consolidation-permuted", "consolidation-stopping")
TINY = {
    "kind": "split",
    "rates": [0.001, 0.003],
    "choose_seeds": [0],
    "seeds": [0],
    "steps": 20,
    "fractions": [0.5],
    "budgets": [20, None],
    "cycle": 10,
    "cycles": [20, None],
    "dream_budget": 20,
    "networks": {"small": {"units": 100, "active": 10}},
}


# --- The functions of the runs --------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_run_is_the_one_described(name):
    """Oracle: the settings in the table of runs."""
    stored = records.load(name)
    expected = {k: list(v) if isinstance(v, tuple) else v for k, v in RUNS[name].full.items()}
    assert stored.settings == expected


@pytest.mark.parametrize(("load", "snr"), [(1.0, 2.0), (2.0, 0.5)])
def test_the_estimated_ratio_makes_the_outputs_most_probable(load, snr):
    """Oracle: SciPy's multivariate normal density at the best variance for each ratio."""
    x, y = Teacher(80, snr, rng=0).examples(round(80 * load), rng=1)
    found = runs.estimated_snr(x, y)
    assert 1e-2 < found < 1e2

    def score(ratio):
        covariance = np.eye(len(x)) + ratio * x @ x.T
        level = y @ np.linalg.solve(covariance, y) / len(y)
        return multivariate_normal(cov=level * covariance).logpdf(y)

    best = score(found)
    assert best >= score(found * 1.3) - 1e-3
    assert best >= score(found / 1.3) - 1e-3


def test_the_rules_of_stopping_are_ordered_as_they_must_be():
    """Oracle: the best time for the examples is the best; never starting leaves the rule."""
    found = runs.stopping(units=20, loads=[1.0], ratios=[1.0], seeds=[0, 1])["errors"]["1, 1"]
    floor = np.array(found["best for these examples"])
    for name, errors in found.items():
        if name not in ("estimate", "best on average", "estimated ratio"):
            assert (np.array(errors) >= floor - 1e-12).all() or name == "a fifth left out"
    teacher = Teacher(20, 1.0, rng=np.random.default_rng(0))
    assert found["never start"][0] == pytest.approx(float(teacher.error(np.zeros(20))))


@pytest.mark.parametrize("kind", ["split", "permuted"])
def test_tasks_for_choosing_are_not_those_reported(kind):
    """Oracle: other classes, or pixels in another order; and no task tests on what it trains on."""
    reported, choosing = runs.tasks(kind, 0), runs.tasks(kind, 0, choosing=True)
    if kind == "split":
        assert [task.classes for task in reported] == [tuple(range(5)), tuple(range(5, 10))]
        assert [task.classes for task in choosing] == [(0, 2, 4, 6, 8), (1, 3, 5, 7, 9)]
    else:
        assert not np.array_equal(reported[1].x_train, choosing[1].x_train)
    for task in (*reported, *choosing):
        rows = {row.tobytes() for row in task.x_test}
        shared = rows & {row.tobytes() for row in task.x_train}
        assert len(shared) <= 2  # the digits have few images twice


def test_every_condition_takes_the_same_number_of_steps(monkeypatch):
    """Oracle: the steps of the optimiser, counted."""
    counts = []
    step = network.Adam.step

    def counted(self, parameters, gradients):
        counts[-1] += 1
        step(self, parameters, gradients)

    monkeypatch.setattr(network.Adam, "step", counted)
    old, new = runs.tasks("split", 0)
    rng = np.random.default_rng(0)
    counts.append(0)
    student = runs._student(old, 0.001, 12, rng)
    assert counts == [12]
    pools = (new.x_train, new.y_train), runs.kept_examples(old, 10, rng)
    for fraction in (0.0, 0.3, 1.0):
        for cycle in (25, 10, 7, None):
            counts.append(0)
            runs.share_the_time(student, *pools, fraction=fraction, cycle=cycle, steps=25, rng=rng)
            assert counts[-1] == 25


def test_sleep_takes_its_fraction_and_wake_sees_new_examples_alone(monkeypatch):
    """Oracle: the digits in the batches, counted."""
    seen = []
    monkeypatch.setattr(
        runs, "fit", lambda model, loss, optimiser, x, y, **options: seen.append(np.array(y))
    )
    old, new = runs.tasks("split", 0)
    rng = np.random.default_rng(0)
    pools = (new.x_train, new.y_train), runs.kept_examples(old, None, rng)
    options = {"fraction": 0.25, "steps": 40, "rng": rng}
    runs.share_the_time((None, None), *pools, cycle=20, **options)
    assert [len(y) // runs.BATCH for y in seen] == [15, 5, 15, 5]
    for k, y in enumerate(seen):
        assert (y < 5).all() if k % 2 else (y >= 5).all()
    seen.clear()
    runs.share_the_time((None, None), *pools, cycle=None, **options)
    assert np.mean(seen[0] < 5) == pytest.approx(0.25, abs=0.06)


def test_the_student_that_is_handed_over_stays_as_it_was():
    """Oracle: its parameters before and after."""
    old, new = runs.tasks("split", 0)
    rng = np.random.default_rng(0)
    student = runs._student(old, 0.001, 5, rng)
    before = {name: array.copy() for name, array in student[0].parameters().items()}
    fresh = (new.x_train, new.y_train)
    runs.share_the_time(student, fresh, fresh, fraction=0.5, cycle=4, steps=8, rng=rng)
    for name, array in student[0].parameters().items():
        np.testing.assert_array_equal(array, before[name])


def test_dreams_of_a_large_notebook_are_its_examples():
    """Oracle: the stored images, up to the share of the others."""
    old, _ = runs.tasks("split", 0)
    x, y = runs.kept_examples(old, 30, np.random.default_rng(0))
    (images, labels), facts = runs.dreamed((x, y), 200, np.random.default_rng(1))
    assert images.shape == (200, 64)
    assert set(labels) <= set(y)
    assert facts["matched"] > 0.95
    assert facts["right label"] == 1.0
    nearest = ((images[:, None] - x) ** 2).sum(axis=-1).min(axis=1)
    assert np.mean(nearest) < 0.2 * ((x - x.mean(axis=0)) ** 2).sum(axis=-1).mean()


def test_the_short_forms_run():
    """Oracle: the names that the lesson reads; accuracies are shares."""
    found = runs.sleep(**TINY)
    assert set(found["choices"]) == {"0.001", "0.003"}
    assert set(found["shared"]) == {"20, 0.5", "all, 0.5"}
    assert set(found["rhythm"]) == {"20", "every batch"}
    assert set(found["sources"]) == {"the examples", "their labels mixed up", "small"}
    for group in ("ends", "shared", "rhythm", "sources"):
        for pairs in found[group].values():
            assert np.shape(pairs) == (1, 2)
            assert (np.array(pairs) >= 0).all()
            assert (np.array(pairs) <= 1).all()
    again = runs.sleep(**TINY)
    assert again == found


# --- What the stored runs say ---------------------------------------------------------------------


def pairs(kind, group, name):
    return np.array(records.load(f"consolidation-{kind}").results[group][name])


def test_continued_wake_forgets_and_a_tenth_of_sleep_keeps():
    """Oracle: the stored run, with margins of several times its spread."""
    assert pairs("split", "ends", "wake only").mean(axis=0)[0] < 0.02
    old, new = pairs("split", "shared", "200, 0.1").mean(axis=0)
    assert old > 0.8
    assert pairs("split", "ends", "wake only").mean(axis=0)[1] - new < 0.03
    for kind in ("split", "permuted"):
        wake = pairs(kind, "ends", "wake only").mean(axis=1)
        slept = pairs(kind, "shared", "200, 0.25").mean(axis=1)
        assert (slept > wake).all()


@pytest.mark.parametrize("kind", ["split", "permuted"])
def test_more_sleep_costs_what_is_new(kind):
    """Oracle: the stored run; the ends of the scale, what is new in every seed."""
    little, much = pairs(kind, "shared", "200, 0.1"), pairs(kind, "shared", "200, 0.9")
    assert much[:, 0].mean() > little[:, 0].mean()
    assert (much[:, 1] < little[:, 1]).all()


@pytest.mark.parametrize("kind", ["split", "permuted"])
def test_one_long_night_is_worse_than_turns(kind):
    """Oracle: the stored run, paired, by more than two standard errors."""
    gap = pairs(kind, "rhythm", "20").mean(axis=1) - pairs(kind, "rhythm", "600").mean(axis=1)
    assert gap.mean() > 2 * gap.std(ddof=1) / math.sqrt(len(gap))


def test_replay_with_wrong_labels_does_not_save_the_old():
    """Oracle: the stored run, in every seed."""
    for kind in ("split", "permuted"):
        right = pairs(kind, "sources", "the examples")[:, 0]
        assert (pairs(kind, "sources", "their labels mixed up")[:, 0] < right - 0.3).all()


def test_an_overloaded_notebook_still_teaches():
    """Oracle: the stored run: few dreams are stored images, yet the accuracy stays near."""
    found = records.load("consolidation-split").results
    assert max(each["matched"] for each in found["dreams"]["200 units"]) < 0.2
    gap = pairs("split", "sources", "the examples") - pairs("split", "sources", "200 units")
    assert 0 < gap.mean() < 0.05


def test_a_fifth_left_out_can_be_worse_than_never_starting():
    """Oracle: the stored run at the lowest load and ratio, paired."""
    errors = records.load("consolidation-stopping").results["errors"]["0.5, 0.2"]
    gap = np.subtract(errors["a fifth left out"], errors["never start"])
    assert gap.mean() > 2 * gap.std(ddof=1) / math.sqrt(len(gap))


def test_the_estimated_ratio_is_the_cheapest_rule_without_the_teacher():
    """Oracle: the stored run, by means, up to a thousandth."""
    for errors in records.load("consolidation-stopping").results["errors"].values():
        for name in ("a fifth left out", "five fifths"):
            assert np.mean(errors["estimated ratio"]) < np.mean(errors[name]) + 1e-3


# --- What the cells of the lesson say -------------------------------------------------------------


def test_full_consolidation_hurts_on_one_side_of_the_threshold():
    """Oracle: simulated students, against the closed form 1 / |1 - load|."""
    for load, snr, hurts in ((0.5, 1.0, True), (0.5, 4.0, False), (2.0, 0.5, True)):
        worse = []
        for seed in range(20):
            teacher = Teacher(60, snr, rng=seed)
            x, y = teacher.examples(round(60 * load), rng=seed + 100)
            worse.append(teacher.error(consolidate(x, y, np.inf)) > teacher.error(np.zeros(60)))
        assert (np.mean(worse) > 0.5) == hurts


def test_early_stopping_is_within_its_bound_of_ridge_regression():
    """Oracle: Ali, Kolter and Tibshirani (2019): at most 1.22 times, without the noise."""
    for load in (0.2, 1.0, 1.5, 5.0):
        for snr in (0.2, 2.0, 10.0):
            best = best_stopping_time(load, snr)
            noise = 1 / (1 + snr)
            stopped = float(generalisation_error(best, load, snr)) - noise
            assert 1 <= stopped / (ridge_error(load, snr) - noise) + 1e-9 < 1.06


def test_a_dense_network_dreams_of_mixtures_and_a_sparse_one_of_what_it_stored():
    """Oracle: shares of random starts that end at a stored pattern, at one example in ten units."""
    xi = random_patterns(30, 300, rng=0)
    ends = recall(hebbian(xi), random_patterns(60, 300, rng=1), max_sweeps=20, rng=0).state
    assert np.mean(np.abs(overlap(xi, ends)).max(axis=1) > 0.9) < 0.2
    notebook = Notebook(np.zeros((30, 1)), units=300, active=20, rng=0)
    assert np.mean(notebook.reactivate(200, rng=1).match >= 0) > 0.9


def test_what_a_student_cannot_represent_acts_as_noise():
    """Oracle: the closed form for noise of the same variance, within five standard errors."""
    errors = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        teacher = Teacher(80, math.inf, variance=0.5, rng=rng)
        x, y = teacher.examples(80, rng=rng)
        form = rng.normal(size=(80, 80))
        form += form.T
        form *= 80 * math.sqrt(0.25) / np.linalg.norm(form)
        bent = np.einsum("pi,ij,pj->p", x, form, x) - np.trace(form) / 80
        errors.append(0.5 + teacher.error(consolidate(x, y + bent, [1.0, 5.0])))
    error = np.std(errors, axis=0) / math.sqrt(30)
    law = generalisation_error([1.0, 5.0], 1.0, 1.0)
    assert (np.abs(np.mean(errors, axis=0) - law) < 5 * error).all()
