"""What the lesson *Spectra of networks* reports: its functions, and the stored results."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from companion import random_matrices as rm
from companion import records
from companion.network import SGD, CrossEntropyLoss, fit, mlp
from companion.records import spectra
from companion.records.runs import RUNS

SCALES = ("0.1", "0.25", "1")


@cache
def small() -> spectra.Trained:
    """Return a network that has learned a little."""
    return spectra.train("mlp", 0.25, 7, rate=0.1, epochs=3)


# --------------------------------------------------------------------------- functions


def test_initial_weights_obey_the_law() -> None:
    """Oracle: Marchenko and Pastur, at the distance of a few over the number of values."""
    for kind, scale in (("mlp", 0.25), ("lstm", 1.0)):
        net = spectra.train(kind, scale, 3, rate=1e-9, epochs=1)
        for k, before in enumerate(net.initial):
            found = spectra.spectrum(net, k)
            assert found["outliers"] == 0
            assert found["distance"][0] < 5 / min(before.shape)
            assert found["noise"] == pytest.approx(1, abs=0.1)


def test_kernels_become_rows() -> None:
    """Oracle: the shapes of im2col."""
    net = spectra.train("cnn", 1.0, 3, rate=1e-9, epochs=1)
    assert [spectra.as_matrix(w).shape for w in net.weights] == [(16, 9), (48, 144)]
    assert spectra.spectrum(net, 1)["outliers"] == 0


def test_training_is_that_of_fit() -> None:
    """Oracle: the same network trained by hand."""
    net, data = small(), small().data
    rng = np.random.default_rng([7, 1])
    model = mlp(spectra.SIZES, rng=rng, dtype=np.float32)
    for name, parameter in model.parameters().items():
        if "weight" in name:
            parameter *= np.float32(0.25)
    loss, sgd = CrossEntropyLoss(), SGD(0.1, momentum=0.9)
    fit(model, loss, sgd, data.x_train, data.y_train, epochs=3, batch_size=64, rng=rng)
    np.testing.assert_array_equal(model.parameters()["2.weight"], net.weights[1])


def test_surgery_leaves_the_network_as_it_was() -> None:
    """Oracle: the accuracy and the weights before."""
    net = small()
    before, weight = net.accuracy(), net.weights[0].copy()
    assert net.accuracy_with(0, np.zeros_like(weight)) < before
    np.testing.assert_array_equal(net.weights[0], weight)
    assert net.accuracy() == before == net.accuracy_with(0, weight)
    found = spectra.pruned(net, 1)
    assert found["whole"] == before
    assert found["reset"] == net.accuracy_with(1, net.initial[1])


def test_spectrum_by_hand() -> None:
    """Oracle: the definitions, with NumPy."""
    net = small()
    found = spectra.spectrum(net, 1)
    before, after = (x[1].astype(float) for x in (net.initial, net.weights))
    s = np.linalg.svd(after, compute_uv=False)
    edge = rm.weight_edge(256, 256, 0.25 * (2 / 256) ** 0.5)
    assert found["outliers"] == found["outliers, left"] == np.sum(s > edge)
    assert found["edge"] == pytest.approx(edge, abs=1e-5)
    change = np.linalg.norm(after - before) / np.linalg.norm(before)
    assert found["change"] == pytest.approx(change, abs=1e-5)
    assert found["top"]["trained"] == pytest.approx(s[0], abs=1e-5)
    spike = np.linalg.norm(after - before, 2)
    assert found["top"]["rotated"] >= 0.9 * spike


def test_directions_of_an_untouched_layer_are_random() -> None:
    """Oracle: 10 / n and (n + 2) / 3."""
    net = spectra.train("mlp", 1.0, 3, rate=1e-9, epochs=1)
    found = spectra.directions(net, 1)
    assert found["outliers"] is None
    assert found["bulk"]["class means"] == pytest.approx(10 / 256, rel=0.02)
    assert found["bulk"]["next layer"] == pytest.approx(10 / 256, rel=0.02)
    assert found["bulk"]["right"] == pytest.approx(258 / 3, rel=0.05)


def test_a_frozen_matrix_stays() -> None:
    """Oracle: the initial weights."""
    net = spectra.train("mlp", 1.0, 3, rate=0.1, epochs=1, frozen=0)
    np.testing.assert_array_equal(net.weights[0], net.initial[0])
    assert (net.weights[1] != net.initial[1]).any()
    assert spectra.Frozen("0.weight").value({}) == 0


def test_shuffling_keeps_the_counts_of_labels() -> None:
    """Oracle: the labels in order."""
    net = spectra.train("mlp", 1.0, 3, rate=1e-9, epochs=1, shuffled=True)
    y, mixed = small().data.y_train, net.data.y_train
    assert (y != mixed).mean() > 0.8
    np.testing.assert_array_equal(np.sort(y), np.sort(mixed))
    np.testing.assert_array_equal(net.data.y_test, small().data.y_test)


def test_what_decay_leaves() -> None:
    """Oracle: the roots of z^2 - (1 + mu - eta lambda) z + mu, and the formula of the lesson."""
    assert spectra.what_is_left(0.1, 0.0, 500) == 1.0
    mu, step = spectra.MOMENTUM, 0.1 * 0.001
    slow, fast = sorted(np.roots([1, -(1 + mu - step), mu]).real)[::-1]
    share = (1 - step - fast) / (slow - fast)  # so that the first step is that of SGD
    left = spectra.what_is_left(0.1, 0.001, 2550)
    assert left == pytest.approx(share * slow**2550 + (1 - share) * fast**2550, rel=1e-9)
    assert left == pytest.approx((1 - step / (1 - mu)) ** 2550, rel=0.03)


@pytest.mark.parametrize("name", ["spectra-mlp", "spectra-others", "spectra-tails"])
def test_short_forms_run(name: str) -> None:
    """Oracle: the shape of the stored result."""
    run = RUNS[name]
    made = run({**run.short, **({"epochs": 1} if name == "spectra-mlp" else {})})
    stored = records.load(name).results

    def keys(entry: Any) -> Any:
        return set(entry) if isinstance(entry, dict) else len(entry)

    if name == "spectra-others":
        made, stored = made["cnn"], stored["cnn"]
    if name != "spectra-tails":
        assert keys(made) == keys(stored)
        made, stored = made["runs"], stored["runs"]
    scale = next(iter(made["labels"]))
    one, other = made["labels"][scale][0], stored["labels"][scale][0]
    assert keys(one) == keys(other)
    if name != "spectra-tails":
        assert keys(one["layers"][0]["spectrum"]) == keys(other["layers"][0]["spectrum"])


def test_keeping_more_and_more() -> None:
    """Oracle: nothing kept is everything removed, and the other way round."""
    made = RUNS["spectra-kept"](RUNS["spectra-kept"].short)["1"][0]
    assert made["kept"][0] == made["removed"][1]
    assert made["kept"][1] == made["removed"][0] > made["kept"][0]
    assert len(made["singular values"]) == 40
    stored = records.load("spectra-kept")
    for scale, each in stored.results.items():
        whole = over_seeds("labels", scale, 1, "accuracy", "whole")
        for run, other in zip(each, whole, strict=True):
            assert run["removed"][0] == pytest.approx(other, abs=1e-5)
            assert run["kept"][-1] > 0.9


def test_a_rate_is_chosen_by_validation() -> None:
    """Oracle: of two rates one does nothing."""
    options: dict[str, Any] = {"conditions": {}, "seeds": [0], "epochs": 2}
    found = spectra.compare("mlp", [1.0], rates=[1e-9, 0.05], choose_seeds=[5], **options)
    assert found["rate"] == 0.05
    assert found["validation"]["0.05"] > found["validation"]["1e-09"]


# --------------------------------------------------------------------------- stored results


def over_seeds(condition: str, scale: str, layer: int, *keys: str) -> Any:
    runs = records.load("spectra-mlp").results["runs"][condition][scale]
    found = [run["layers"][layer] for run in runs]
    for key in keys:
        found = [entry[key] for entry in found]
    return np.array(found, dtype=float)


def test_no_seed_was_chosen_with() -> None:
    """Oracle: the settings."""
    for name in ("spectra-mlp", "spectra-others"):
        settings = records.load(name).settings
        assert not set(settings["seeds"]) & set(settings["choose_seeds"])


@pytest.mark.parametrize("scale", ["0.1", "0.25"])
@pytest.mark.parametrize("layer", [0, 1])
def test_from_small_weights_the_outliers_carry_the_accuracy(scale: str, layer: int) -> None:
    """Oracle: the stored accuracies of five seeds, and their random controls."""
    score = {key: over_seeds("labels", scale, layer, "accuracy", key) for key in KEYS}
    assert (np.abs(score["keep"] - score["whole"]) < 0.02).all()
    assert (score["remove"] < 0.15).all()
    assert score["keep random"].max() < 0.5
    assert (score["remove random"] - score["remove"] > 0.4).all()


KEYS = ("whole", "keep", "remove", "keep random", "remove random", "reset", "change")


def test_from_he_the_picture_is_weaker() -> None:
    """Oracle: the stored accuracies of five seeds."""
    first = {key: over_seeds("labels", "1", 0, "accuracy", key) for key in KEYS}
    assert first["keep"].max() < 0.7
    assert first["remove"].min() > 0.6
    assert 0.9 < over_seeds("labels", "1", 1, "accuracy", "keep").min() < 0.97
    runs = records.load("spectra-mlp").results["runs"]
    frozen = np.mean([run["test"] for run in runs["first frozen"]["1"]])
    cost = first["whole"].mean() - frozen
    assert 0 < cost < 0.015 < first["whole"].mean() - first["reset"].mean()


def test_shuffled_labels_make_more_outliers_and_no_generalisation() -> None:
    """Oracle: the stored counts and accuracies of five seeds."""
    for scale in SCALES:
        for layer in (0, 1):
            true, mixed = (
                over_seeds(labels, scale, layer, "spectrum", "outliers")
                for labels in ("labels", "shuffled")
            )
            assert mixed.min() > 2 * true.max()
        runs = records.load("spectra-mlp").results["runs"]["shuffled"][scale]
        assert min(run["train"] for run in runs) > 0.95
        assert max(run["test"] for run in runs) < 0.15


def test_weight_decay_moves_the_edge() -> None:
    """Oracle: the stored counts by both edges, and the deviation that decay predicts."""
    for layer in (0, 1):
        assert over_seeds("decay", "1", layer, "spectrum", "outliers").max() == 0
        assert over_seeds("decay", "1", layer, "spectrum", "outliers, left").min() > 10
        score = {key: over_seeds("decay", "1", layer, "accuracy", key) for key in KEYS}
        assert (np.abs(score["keep"] - score["whole"]) < 0.01).all()
        assert score["remove"].max() < 0.12
    left = records.load("spectra-mlp").results["runs"]["decay"]["1"][0]["left"]
    assert over_seeds("decay", "1", 1, "spectrum", "noise").mean() == pytest.approx(left, rel=0.1)


def test_the_formula_is_too_small_for_learned_changes() -> None:
    """Oracle: the stored largest singular values, and the rotated control."""
    for condition in ("labels", "shuffled"):
        for scale in SCALES:
            for layer in (0, 1):
                at = (condition, scale, layer, "spectrum", "top")
                top = {key: over_seeds(*at, key) for key in ("trained", "formula", "rotated")}
                assert (top["trained"] > top["formula"]).all()
                assert np.abs(top["rotated"] / top["formula"] - 1).max() < 0.08


def test_learned_directions_were_there_before() -> None:
    """Oracle: under independence u W0 v over the deviation is normal of variance 1."""
    net = spectra.train("mlp", 0.25, 11, rate=0.1, epochs=30)
    before = spectra.as_matrix(net.initial[1])
    u, _, vt = np.linalg.svd(spectra.as_matrix(net.weights[1]) - before)
    found = np.einsum("ki,ij,kj->k", u.T[:5], before, vt[:5]) / net.deviations[1]
    assert found.min() > 4


def test_outliers_point_at_the_class_means() -> None:
    """Oracle: the share of a random direction, 10 / n."""
    for scale in SCALES:
        for layer, n in ((0, 64), (1, 256)):
            at = ("labels", scale, layer, "directions")
            assert over_seeds(*at, "outliers", "class means").min() > 2 * 10 / n
            assert over_seeds(*at, "bulk", "class means").max() < 10 / n
            assert over_seeds(*at, "outliers", "next layer").min() > 5 * 10 / 256


def test_noise_of_the_same_size_makes_more_outliers_from_small_weights() -> None:
    """Oracle: the stored control."""
    for scale in ("0.1", "0.25"):
        for layer in (0, 1):
            at = ("labels", scale, layer, "spectrum")
            assert over_seeds(*at, "outliers, noise").min() > 2 * over_seeds(*at, "outliers").max()


def test_gates_have_outliers_that_are_hardly_needed() -> None:
    """Oracle: the stored accuracies of three seeds."""
    runs = records.load("spectra-others").results["lstm"]["runs"]["labels"]
    for each in runs.values():
        for k, worst in ((1, 0.03), (2, 0.03), (4, 0.05)):
            layers = [run["layers"][k] for run in each]
            assert min(layer["spectrum"]["outliers"] for layer in layers) >= 3
            for key in ("remove", "reset"):
                lost = [la["accuracy"]["whole"] - la["accuracy"][key] for la in layers]
                assert max(lost) < worst
        needed = [run["layers"][3]["accuracy"] for run in each]
        assert max(score["remove"] for score in needed) < 0.4


def test_power_laws_do_not_tell_the_networks_apart() -> None:
    """Oracle: the stored fits of five seeds."""
    stored = records.load("spectra-tails").results
    alpha = {
        (labels, scale): np.array([run["trained"]["alpha"] for run in each])
        for labels, by_scale in stored.items()
        for scale, each in by_scale.items()
    }
    good, bad = ([alpha[labels, s] for s in ("0.1", "1")] for labels in ("labels", "shuffled"))
    assert good[0].max() < min(part.min() for part in bad)
    assert good[1].min() > max(part.max() for part in bad)
    he = [run["trained"] for run in stored["labels"]["1"]]
    assert all(fit["power law"] > 0.5 and fit["lognormal"] > 0.1 for fit in he)
    assert max(fit["largest"] for fit in he) < 10**0.6
    small_scale = [run["trained"]["power law"] for run in stored["labels"]["0.1"]]
    assert max(small_scale) < 0.1
