"""Claims of the sources about random matrices: what chance gives, what stands out, what is cleaned.

The oracle is a law in closed form, a published limit, the structure that the data were made with,
or a baseline. Every comparison is between numbers that lie far apart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch

from companion import data, records
from companion import random_matrices as rm
from companion.matrices import als, rmse
from companion.memory import Teacher, best_stopping_time, consolidate, generalisation_error
from companion.network import (
    Adam,
    CrossEntropyLoss,
    Linear,
    accuracy,
    fit,
    initialisers,
    mlp,
    predict,
)
from companion.random_matrices import FussCatalan, MarchenkoPastur, Semicircle

Array = np.ndarray


def unit_vector(size: int, rng: np.random.Generator) -> Array:
    v = rng.standard_normal(size)
    return v / np.linalg.norm(v)


def rms(error: Array) -> float:
    return float(np.sqrt(np.mean(error**2)))


# --- Laws ----------------------------------------------------------------------------------------


@pytest.mark.claim("000-rmt-definition")
@pytest.mark.parametrize("entries", ["gaussian", "signs", "uniform"])
def test_a_spectrum_of_chance_is_known_before_it_is_drawn(entries: str) -> None:
    """Oracle: the semicircle law. Single entries agree no better than chance."""
    law = Semicircle()
    draws = [rm.wigner(500, entries=entries, rng=seed) for seed in range(3)]
    for matrix in draws:
        assert rm.spectral_distance(np.linalg.eigvalsh(matrix), law) < 0.01
    assert abs(np.corrcoef(draws[0].ravel(), draws[1].ravel())[0, 1]) < 0.02


@pytest.mark.claim("000-rmt-definition")
def test_entries_without_a_variance_follow_another_law() -> None:
    """Oracle: the semicircle law, which needs a variance. Cauchy's law has none."""
    for seed in range(3):
        values = np.linalg.eigvalsh(rm.heavy_tailed(500, alpha=1.0, rng=seed))
        assert rm.spectral_distance(values, Semicircle()) > 0.1


@pytest.mark.claim("000-random-initialisation")
@pytest.mark.claim("000-rmt-describes-connections")
@pytest.mark.parametrize("shape", [(256, 512), (512, 256)])
def test_weights_before_training_follow_marchenko_and_pastur(shape: tuple[int, int]) -> None:
    """Oracle: the law with as many variables as outputs and as many samples as inputs."""
    outs, ins = shape
    torch.manual_seed(0)
    weights = {
        2.0: initialisers.he_normal(shape, rng=0),
        2 * ins / (ins + outs): initialisers.xavier_uniform(shape, rng=0),
        1 / 3: torch.nn.Linear(ins, outs).weight.detach().double().numpy(),
    }
    for variance, weight in weights.items():
        values = np.linalg.eigvalsh(weight @ weight.T)
        assert rm.spectral_distance(values, MarchenkoPastur(outs / ins, variance)) < 0.02
        # The other way up it fits nothing.
        assert rm.spectral_distance(values, MarchenkoPastur(ins / outs, variance)) > 0.3


@pytest.mark.claim("000-random-initialisation")
def test_an_orthogonal_start_is_drawn_by_chance_and_has_no_spread() -> None:
    """Oracle: lengths are kept. Two draws have nothing in common but that."""
    one, two = (initialisers.orthogonal((200, 200), rng=seed) for seed in (0, 1))
    assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.05
    for weight in (one, two):
        singular = np.linalg.svd(weight, compute_uv=False)
        np.testing.assert_allclose(singular, 1.0, rtol=0.0, atol=1e-12)
        assert rm.spectral_distance(singular**2, MarchenkoPastur(1.0)) > 0.3


class Trained(NamedTuple):
    """First layer of a network that reads digits, before and after training.

    `correct` is the share of right answers with all of the layer, with the singular values beyond
    the law of the start alone, and with the others alone.
    """

    before: Array
    after: Array
    correct: tuple[float, ...] = ()

    def distance(self, weight: Array) -> float:
        rows, columns = weight.shape
        values = np.linalg.eigvalsh(weight.T @ weight / rows)
        return rm.spectral_distance(values, MarchenkoPastur(columns / rows, self.before.var()))

    def largest(self, weight: Array) -> rm.EdgeTest:
        return rm.largest_eigenvalue_test(weight, variance=self.before.var())

    def beyond(self) -> Array:
        """Say of each singular value after training whether it lies beyond the law."""
        rows, columns = self.after.shape
        edge = MarchenkoPastur(columns / rows, self.before.var()).support[1]
        return np.linalg.svd(self.after, compute_uv=False) > np.sqrt(rows * edge)


@pytest.fixture(scope="module")
def trained() -> list[Trained]:
    """Return the first layers of three networks."""
    split, found = data.load_digits(rng=0), []
    x, y = split.x_train, split.y_train
    for seed in range(3):
        model = mlp([split.features, 128, 10], rng=seed)
        layer = model[0]
        assert isinstance(layer, Linear)
        before, loss = layer.weight.copy(), CrossEntropyLoss()
        fit(model, loss, Adam(0.003), x, y, epochs=20, batch_size=32, rng=seed)
        state = Trained(before, layer.weight.copy())
        u, s, vt = np.linalg.svd(state.after, full_matrices=False)
        beyond, scores = state.beyond(), []
        for keep in (np.ones_like(beyond), beyond, ~beyond):
            layer.weight[...] = (u * (s * keep)) @ vt
            scores.append(accuracy(predict(model, split.x_test), split.y_test))
        found.append(state._replace(correct=tuple(scores)))
    return found


@pytest.mark.claim("000-rmt-describes-connections")
def test_training_moves_a_layer_away_from_the_law(trained: list[Trained]) -> None:
    """Oracle: the law of Marchenko and Pastur, and Tracy and Widom's law for the largest value."""
    for layer in trained:
        assert layer.distance(layer.before) < 0.05
        assert layer.largest(layer.before).pvalue > 0.05
        assert layer.distance(layer.after) > 0.1
        assert layer.largest(layer.after).statistic > 20


@pytest.mark.claim("000-listing-no-rmt")
def test_the_random_start_of_a_linear_regression_leaves_no_trace() -> None:
    """Oracle: least squares. One hundred samples of two numbers, as in the listing, in our code.

    Only where the data do not reach, the start stays: with fewer samples than weights.
    """
    rng = np.random.default_rng(0)
    for samples, features in ((100, 2), (5, 10)):
        x, y = rng.standard_normal((samples, features)), rng.standard_normal((samples, 1))
        starts = [rng.standard_normal((1, features)) for _ in range(2)]
        ends = []
        for start in starts:
            weight = start
            for _ in range(5000):
                weight = weight - 0.1 * (weight @ x.T - y.T) @ x / samples
            ends.append(weight)
        apart = np.linalg.norm(ends[0] - ends[1]) / np.linalg.norm(starts[0] - starts[1])
        if samples > features:
            np.testing.assert_allclose(ends[0], np.linalg.lstsq(x, y)[0].T, rtol=0.0, atol=1e-12)
            assert apart < 1e-12
        else:
            assert apart > 0.3


# --- Edges and outliers --------------------------------------------------------------------------

INPUTS, OUTPUTS = 256, 128
# A layer whose weights have variance 1 / OUTPUTS has the units of the formulas.
ASPECT = INPUTS / OUTPUTS
THRESHOLD = ASPECT**0.25


def he_layer(seed: int) -> Array:
    weight = Linear(INPUTS, OUTPUTS, rng=seed).weight
    np.testing.assert_allclose(weight.var() * OUTPUTS, 1.0, rtol=0.05)
    return weight


def pvalue(weight: Array) -> float:
    return rm.largest_eigenvalue_test(weight, variance=1 / OUTPUTS).pvalue


@pytest.mark.claim("000-rmt-memory-storage")
def test_a_memory_below_the_threshold_is_invisible_and_can_be_read() -> None:
    """Oracle: the limits of Benaych-Georges and Nadakuditi; chance for the answer to a key."""
    for seed in range(5):
        weight, rng = he_layer(seed), np.random.default_rng(1000 + seed)
        value, key = unit_vector(OUTPUTS, rng), unit_vector(INPUTS, rng)
        for size in (0.5, 2.0):
            stored = weight + size * THRESHOLD * np.outer(value, key)
            _, s, vt = np.linalg.svd(stored, full_matrices=False)
            answer = stored @ key
            # An unrelated answer has a cosine of about 0.09.
            assert answer @ value / np.linalg.norm(answer) > 0.35
            if size < 1:
                assert pvalue(stored) > 0.05
                assert (vt[0] @ key) ** 2 < 0.1
            else:
                limit = rm.rectangular_outlier(size * THRESHOLD, ASPECT)
                assert pvalue(stored) < 1e-6
                assert abs(s[0] / limit.position - 1) < 0.06
                assert abs((vt[0] @ key) ** 2 - limit.right) < 0.12


@pytest.mark.claim("000-rmt-memory-storage")
def test_outliers_carry_most_of_what_a_trained_layer_does(trained: list[Trained]) -> None:
    """Oracle: test images. The singular values within the law of the start do not suffice."""
    for layer in trained:
        whole, outliers, bulk = layer.correct
        assert 6 <= layer.beyond().sum() <= 14
        assert whole > 0.94
        assert outliers > 0.8
        assert bulk < 0.6


@pytest.mark.claim("000-rmt-memory-storage")
@pytest.mark.claim("004-theory")
def test_a_learned_pair_breaks_the_formula_for_a_planted_one() -> None:
    """Oracle: the planted pair, of the same size and independent of the weights.

    A step of learning also erases what the weights did with the key, so it is not independent.
    """
    planted, learned, limits = [], [], []
    for seed in range(10):
        weight, rng = he_layer(seed), np.random.default_rng(1000 + seed)
        key, value = unit_vector(INPUTS, rng), unit_vector(OUTPUTS, rng)
        value *= 1.5 * np.linalg.norm(weight @ key)
        change = np.outer(value - weight @ key, key)
        size = np.linalg.norm(change)
        assert size > 1.2 * THRESHOLD
        np.testing.assert_allclose((weight + change) @ key, value, rtol=0.0, atol=1e-12)
        other = np.outer(unit_vector(OUTPUTS, rng), unit_vector(INPUTS, rng))
        planted.append(np.linalg.norm(weight + size * other, 2))
        learned.append(np.linalg.norm(weight + change, 2))
        limits.append(rm.rectangular_outlier(size, ASPECT).position)
        # Stored exactly, by a change above the threshold, and yet the largest is that of noise.
        assert pvalue(weight + change) > 0.01
    assert abs(np.mean(planted) / np.mean(limits) - 1) < 0.03
    assert np.mean(learned) < np.mean(limits) - 0.1


@pytest.mark.claim("004-theory")
def test_the_law_of_a_product_tells_a_design_before_it_is_built() -> None:
    """Oracle: the Fuss-Catalan law of eight layers; for orthogonal ones, lengths are kept."""
    law = FussCatalan(8)
    for seed in range(3):
        singular = np.linalg.svd(rm.ginibre_product(300, 8, rng=seed), compute_uv=False)
        assert abs(np.mean(singular < 0.1) - law.cdf(0.01)) < 0.03
        kept = np.linalg.multi_dot(
            [initialisers.orthogonal((100, 100), rng=8 * seed + k) for k in range(8)]
        )
        np.testing.assert_allclose(np.linalg.svd(kept, compute_uv=False), 1.0, rtol=0.0, atol=1e-12)
    assert float(law.cdf(0.01)) > 0.5


# --- Cleaning ------------------------------------------------------------------------------------


@pytest.mark.claim("000-applications-rmt")
@pytest.mark.claim("000-reference-ng-vision")
def test_shrinkage_cleans_a_noisy_photo_and_spoils_a_clear_one() -> None:
    """Oracle: the photo. A photo is not of low rank, so its small singular values are lost."""
    photo = data.load_photo()
    for seed in range(3):
        noise = np.random.default_rng(seed).standard_normal(photo.shape)
        strong, weak = 0.2, 0.02
        assert rms(rm.denoise(photo + strong * noise).matrix - photo) < 0.6 * strong
        assert rms(rm.denoise(photo + weak * noise).matrix - photo) > 1.5 * weak


@pytest.mark.claim("000-applications-rmt")
@pytest.mark.claim("000-reference-bengio-language")
@pytest.mark.parametrize("topics", [1, 3])
def test_word_counts_must_be_scaled_before_their_topics_can_be_counted(topics: int) -> None:
    """Oracle: the number of topics that the texts were made from.

    A count varies as much as its mean, so frequent words are noisier, and the threshold for noise
    of one variance takes them for signal.
    """
    for seed in range(3):
        rng = np.random.default_rng(seed)
        frequency = 1 / np.arange(1, 301)
        words = frequency * np.exp(0.8 * rng.standard_normal((topics, 300)))
        words /= words.sum(axis=1, keepdims=True)
        share = rng.dirichlet(np.full(topics, 0.3), size=400)
        length = rng.integers(100, 1000, size=(400, 1))
        counts = rng.poisson(length * (share @ words)).astype(np.float64)
        expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
        assert rm.denoise(counts, rule="threshold").rank > 20
        assert rm.denoise(counts / np.sqrt(expected), rule="threshold").rank == topics


@pytest.mark.claim("000-applications-rmt")
@pytest.mark.claim("000-reference-goodfellow-recommendation")
def test_shrinkage_predicts_ratings_and_a_factorisation_does_so_better() -> None:
    """Oracle: hidden ratings, made with three tastes; baselines: their mean, and a factorisation.

    With every rating known the three are counted right; where most are missing, the gaps are noise
    of unequal variance.
    """
    for seed in range(3):
        made = data.make_ratings(300, 200, rank=3, observed=0.6, noise=0.5, rng=seed)
        mean = made.values[made.train].mean()
        known = np.where(made.train, made.values - mean, 0.0) / made.train.mean()
        cleaned = rm.denoise(known)
        constant = rmse(np.full_like(made.values, mean), made.values, made.test)
        shrunk = rmse(mean + cleaned.matrix, made.values, made.test)
        factors = als(made.values - mean, made.train, 3, ridge=0.3)
        assert rmse(mean + factors.predict(), made.values, made.test) < shrunk < 0.75 * constant
        assert cleaned.rank > 10
        assert rm.denoise(made.values - made.values.mean()).rank == 3


# --- Spectra of networks -------------------------------------------------------------------------


@pytest.mark.claim("000-rmt-describes-connections")
def test_a_smaller_start_leaves_more_outliers() -> None:
    """Oracle: the edge of noise at the variance of the start, in the stored run on digits."""
    runs = records.load("spectra-mlp").results["runs"]["labels"]
    counts = {
        scale: [run["layers"][0]["spectrum"]["outliers"] for run in runs[scale]] for scale in runs
    }
    assert set(counts["1"]) == {3}
    assert max(counts["1"]) < min(counts["0.25"]) < max(counts["0.25"]) < min(counts["0.1"])
    assert 20 <= min(counts["0.1"]) <= max(counts["0.1"]) <= 28


@pytest.mark.claim("002-spectra-reveal-topology")
def test_shuffled_labels_leave_more_outliers_and_nothing_of_use() -> None:
    """Oracle: test images, in the stored run on digits; shuffled labels hold nothing to learn."""
    runs = records.load("spectra-mlp").results["runs"]
    for scale in runs["labels"]:
        true, shuffled = runs["labels"][scale], runs["shuffled"][scale]
        for one, other in zip(true, shuffled, strict=True):
            assert one["test"] > 0.9
            assert other["test"] < 0.3
            for learned, noise in zip(one["layers"], other["layers"], strict=True):
                assert noise["spectrum"]["outliers"] > learned["spectrum"]["outliers"]


# --- Consolidation -------------------------------------------------------------------------------


def consolidated(times: Array, spread: Array, seeds: range) -> Array:
    """Return errors on new examples, one row a seed, of students of 1.5 examples a weight.

    Inputs are independent with variances `spread` over their number. Half of the variance of an
    output is noise.
    """
    n, rows = len(spread), []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        teacher = Teacher(n, 1.0, rng=rng)
        x = rng.standard_normal((3 * n // 2, n)) * np.sqrt(spread / n)
        noise = np.sqrt(teacher.noise_variance) * rng.standard_normal(len(x))
        weights = consolidate(x, x @ teacher.weight + noise, times)
        rows.append((weights - teacher.weight) ** 2 @ spread / n + teacher.noise_variance)
    return np.array(rows)


@pytest.mark.claim("000-rmt-models-consolidation")
def test_random_matrices_foretell_how_replay_consolidates_a_linear_student() -> None:
    """Oracle: the mean over the law of Marchenko and Pastur, within three standard errors.

    And its condition: inputs of one variance. With variances that fall like 1 / j it is off.
    """
    times = np.array([0.1, 0.3, 1.0, 3.0, 10.0, np.inf])
    law = generalisation_error(times, 1.5, 1.0)
    found = consolidated(times, np.ones(100), range(40))
    assert (np.abs(found.mean(0) - law) < 3 * found.std(0, ddof=1) / np.sqrt(40) + 0.01).all()
    # When to stop comes from the law as well: no time of these is better by more than noise.
    best = best_stopping_time(1.5, 1.0)
    assert times[0] < best < times[4]
    assert generalisation_error(best, 1.5, 1.0) < law.min() + 1e-9
    falling = 1 / np.arange(1, 101)
    uneven = consolidated(times[1:4], 100 * falling / falling.sum(), range(40)).mean(0)
    assert (uneven < law[1:4] - 0.05).all()


@pytest.mark.claim("000-rmt-models-consolidation")
def test_rehearsal_carries_a_pattern_over_a_known_threshold() -> None:
    """Oracle: the limits for a covariance with one spike. At load 1/4 the threshold is 3/2."""
    for rehearsals in (1.0, 3.0):
        limit, overlaps, largest = rm.hebbian_spike(rehearsals, load=0.25), [], []
        for seed in range(5):
            patterns = np.random.default_rng(seed).choice([-1.0, 1.0], size=(150, 600))
            patterns[0] *= np.sqrt(rehearsals)
            values, vectors = np.linalg.eigh(patterns.T @ patterns / 600)
            largest.append(values[-1])
            overlaps.append((vectors[:, -1] @ patterns[0]) ** 2 / (600 * rehearsals))
        assert abs(np.mean(largest) / limit.position - 1) < 0.03
        assert abs(np.mean(overlaps) - limit.overlap) < 0.06
    assert limit.overlap > 0.9


@pytest.mark.claim("000-rmt-models-consolidation")
@pytest.mark.claim("000-svd-memory-model")
def test_the_same_singular_values_hold_another_memory() -> None:
    """Oracle: a permutation is orthogonal. Permuted inputs are answered as the others were."""
    digits = data.load_digits(rng=0, dtype=np.float32)
    for seed in range(3):
        model = mlp([64, 64, 10], rng=seed, dtype=np.float32)
        fit(
            model,
            CrossEntropyLoss(),
            Adam(0.003),
            digits.x_train,
            digits.y_train,
            epochs=10,
            rng=seed,
        )
        order = np.random.default_rng(100 + seed).permutation(64)
        first = model[0]
        assert isinstance(first, Linear)
        values = np.linalg.svd(first.weight, compute_uv=False)
        knew = accuracy(predict(model, digits.x_test), digits.y_test)
        first.weight[...] = first.weight[:, order]
        np.testing.assert_allclose(np.linalg.svd(first.weight, compute_uv=False), values, rtol=1e-5)
        assert knew > 0.93
        assert accuracy(predict(model, digits.x_test), digits.y_test) < 0.3
        permuted = accuracy(predict(model, digits.x_test[:, order]), digits.y_test)
        assert abs(permuted - knew) < 0.01


@pytest.mark.claim("000-rmt-models-consolidation")
def test_outliers_do_not_tell_a_kept_task_from_a_lost_one() -> None:
    """Oracle: test images of the old task, in the stored run of two tasks.

    Wrong labels leave the most outliers and no memory. What does tell is direction, and a plain
    inner product with the old change tells as much as the singular vectors.
    """
    for setting in records.load("memories-replay").results.values():
        known, outliers = (
            {name: np.mean(take(way)) for name, way in setting["ways"].items()}
            for take in (
                lambda way: np.array(way["accuracy"])[:, 0],
                lambda way: way["quantities"]["number of outliers"],
            )
        )
        assert known["replay of all"] > known["no replay"] + 0.4 > known["labels mixed up"]
        assert outliers["labels mixed up"] > outliers["replay of all"]
        assert outliers["replay of all"] > outliers["no replay"]
        assert known["both from the start"] > 0.95
        assert outliers["both from the start"] < outliers["no replay"] + 1.0
        table = {name: row["all"] for name, row in setting["association"].items()}
        assert abs(table["number of outliers"]) < 0.3
        assert table["part of the old change"] > 0.75
        assert table["strength of old directions"] < table["part of the old change"] + 0.02


@pytest.mark.claim("000-solidify")
def test_the_spectrum_does_not_settle_with_the_memory() -> None:
    """Oracle: test images. Six hundred more steps on the old task, or on a new one instead.

    More of the old adds nothing to what is known, and the largest singular values go on growing.
    With the new task instead they grow too, while the old one is lost.
    """
    for setting in records.load("memories-replay").results.values():
        before, more, lost = (
            setting["courses"][name]
            for name in ("after the old task", "old task only", "no replay")
        )
        for layer in (0, 1):
            grown = more["largest"][-1][layer] / before["largest"][-1][layer]
            assert 1.03 < grown < 1.2
            assert lost["largest"][-1][layer] > before["largest"][-1][layer]
        assert abs(more["accuracy"][-1][0] - before["accuracy"][-1][0]) < 0.015
        assert lost["accuracy"][-1][0] < before["accuracy"][-1][0] - 0.45
