"""What the lesson *Cleaning a noisy matrix* reports, found again with other seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import toeplitz
from scipy.ndimage import gaussian_filter
from scipy.stats import norm
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import RidgeClassifierCV
from sklearn.neighbors import KNeighborsClassifier

from companion import data
from companion import random_matrices as rm
from companion.network import Linear

SEEDS = range(100, 105)


def planted(
    shape: tuple[int, int], strengths: Any, seed: int, noise: float = 1.0, w: Any = None
) -> tuple[Any, Any]:
    """Return a signal of these strengths, and signal plus noise."""
    rng, k = np.random.default_rng(seed), len(strengths)
    u, v = (np.linalg.qr(rng.normal(size=(side, k)))[0] for side in shape)
    signal = np.sqrt(max(shape)) * (u * np.asarray(strengths)) @ v.T
    return signal, signal + noise * (rng.normal(size=shape) if w is None else w(rng))


def cut_errors(x: Any, signal: Any) -> tuple[Any, Any]:
    """Return singular values, and the squared error of each rank from 0."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    along = np.einsum("ij,ij->j", u, signal @ vt.T)
    return s, np.sum(signal**2) + np.append(0, np.cumsum(s**2 - 2 * s * along))


def excess(x: Any, signal: Any, *cuts: float) -> list[float]:
    """Return the share by which the error of each cut exceeds the best."""
    s, errors = cut_errors(x, signal)
    return [float(errors[np.sum(s > cut)] / errors.min() - 1) for cut in cuts]


def ladder(shape: tuple[int, int], rank: int) -> Any:
    steps = np.linspace(6, 1, rank + 1)[:-1]
    return (min(shape) / max(shape)) ** 0.25 * steps


def test_errors_of_cuts() -> None:
    """Oracle: the matrices cut at each rank."""
    signal, x = planted((30, 20), [3.0, 1.5], 0)
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    expected = [np.sum(((u[:, :k] * s[:k]) @ vt[:k] - signal) ** 2) for k in range(21)]
    np.testing.assert_allclose(cut_errors(x, signal)[1], expected, rtol=1e-10)


def test_the_true_rank_is_not_the_best() -> None:
    """Oracle: the lesson's first table: of strengths 4, 2 and 1 two should be kept."""
    for seed in SEEDS:
        signal, x = planted((400, 200), [4.0, 2.0, 1.0], seed)
        assert np.argmin(cut_errors(x, signal)[1]) == 2


def test_worst_cases_are_the_published_ones() -> None:
    """Oracle: Gavish and Donoho (2014): 5, 6, 3 and 2 for a square matrix."""
    theta = np.linspace(0, 300, 300_001)
    out = rm.rectangular_outlier(theta, 1.0)
    y = out.position
    for eta, published in (
        (y, 5),
        (y - 2, 6),
        (rm.shrink(y, 1.0, "threshold"), 3),
        (rm.shrink(y, 1.0), 2),
    ):
        worst = np.max(theta**2 + eta**2 - 2 * theta * eta * out.left)
        assert worst == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize("shape", [(200, 200), (400, 100), (100, 1000)])
@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_threshold_is_within_a_few_per_cent_of_the_best_cut(
    shape: tuple[int, int], noise: float
) -> None:
    """Oracle: the best cut, found with the truth; the noise known, or from the median."""
    unit, tau = np.sqrt(max(shape)), rm.optimal_threshold(min(shape) / max(shape))
    costs = []
    for seed in SEEDS:
        signal, x = planted(shape, ladder(shape, 10), seed, noise)
        costs.append(excess(x, signal, tau * noise * unit, tau * rm.noise_level(x) * unit))
    assert np.mean(costs, axis=0).max() < 0.04
    assert np.max(costs) < 0.12


def test_the_wrong_dimension_costs_much() -> None:
    """Oracle: the right cut, on matrices of 400 x 100."""
    for seed in SEEDS:
        signal, x = planted((400, 100), ladder((400, 100), 10), seed)
        right = rm.optimal_threshold(0.25) * 20
        inverted = np.sqrt((4 * 5 + 2 * np.sqrt(16 + 14 * 4 + 1)) / 3) * 20
        costs = excess(x, signal, right, inverted, right / 2)
        assert costs[0] < 0.1
        assert min(costs[1:]) > 1


def test_high_rank_spoils_the_median_and_not_the_known_noise() -> None:
    """Oracle: the best cut, with half of the directions signal."""
    tau = rm.optimal_threshold(1.0) * np.sqrt(200)
    for seed in SEEDS:
        signal, x = planted((200, 200), np.linspace(8, 2, 100), seed)
        level = rm.noise_level(x)
        known, median = excess(x, signal, tau, tau * level)
        assert level > 1.8
        assert known < 0.15
        assert median > 1


def test_correlated_columns_spoil_both() -> None:
    """Oracle: the best cut, with neighbouring columns correlated by 0.6."""
    root = np.linalg.cholesky(toeplitz(0.6 ** np.arange(200))).T
    tau = rm.optimal_threshold(1.0) * np.sqrt(200)
    alone = np.random.default_rng(100).normal(size=(200, 200)) @ root
    assert np.linalg.norm(alone, 2) > tau
    for seed in SEEDS:
        signal, x = planted(
            (200, 200), np.linspace(6, 2, 10), seed, w=lambda g: g.normal(size=(200, 200)) @ root
        )
        known, median = excess(x, signal, tau, tau * rm.noise_level(x))
        assert known > 0.2
        assert median > 1


@pytest.mark.parametrize("shape", [(200, 200), (1000, 100)])
def test_each_rule_wins_in_its_own_loss(shape: tuple[int, int]) -> None:
    """Oracle: the losses of all the rules on the same draws."""
    beta, unit = min(shape) / max(shape), np.sqrt(max(shape))
    found: dict[str, list[Any]] = {rule: [] for rule in (*rm.shrinkage.RULES, "strength")}
    for seed in SEEDS:
        signal, x = planted(shape, beta**0.25 * np.array([3, 2.25, 1.5]), seed)
        u, s, vt = np.linalg.svd(x / unit, full_matrices=False)
        for rule, losses in found.items():
            strength = rule == "strength"
            eta = rm.rectangular_strength(s, beta) if strength else rm.shrink(s, beta, rule)
            error = np.linalg.svdvals((u * eta) @ vt - signal / unit)
            losses.append((error @ error, error.max(), error.sum()))
    mean = {rule: np.mean(losses, axis=0) for rule, losses in found.items()}
    for column, best in enumerate(("frobenius", "operator", "nuclear")):
        rivals = [mean[rule][column] for rule in rm.shrinkage.RULES if rule != best]
        assert mean[best][column] < min(rivals)
    worse = np.array(found["strength"])[:, 1] - np.array(found["operator"])[:, 1]
    assert (worse > 0).all() if beta < 1 else np.allclose(worse, 0, atol=1e-9)


def test_a_photograph_is_not_low_rank_plus_nothing() -> None:
    """Oracle: the noisy photograph itself, the best cut, and the noise that was added."""
    photo = data.load_photo("china", factor=2)
    grain = np.random.default_rng(100).normal(size=photo.shape)

    def rms(estimate: Any) -> float:
        return float(np.sqrt(np.mean((estimate - photo) ** 2)))

    little, much = photo + 0.02 * grain, photo + 0.1 * grain
    assert rms(rm.denoise(little, rule="threshold", noise=0.02).matrix) > rms(little)
    assert rm.noise_level(little) > 2 * 0.02
    best = np.sqrt(cut_errors(much, photo)[1].min() / photo.size)
    assert rms(rm.denoise(much, rule="threshold", noise=0.1).matrix) < 1.02 * best
    shrunk = rms(rm.denoise(much, noise=0.1).matrix)
    assert shrunk < best
    assert rms(gaussian_filter(much, 1.0)) < shrunk


def test_digits_help_neighbours_and_not_a_linear_classifier() -> None:
    """Oracle: the same classifiers on the noisy digits, five splits."""
    gains = []
    for seed in SEEDS:
        d, rng = data.load_digits(rng=seed), np.random.default_rng([seed, 1])
        mean = d.x_train.mean(axis=0)
        train, test = (x - mean + 0.6 * rng.normal(size=x.shape) for x in (d.x_train, d.x_test))
        _, s, vt = np.linalg.svd(train, full_matrices=False)
        unit = 0.6 * np.sqrt(len(train))
        through = vt.T * (unit * rm.shrink(s / unit, 64 / len(train)) / s)
        pair = []
        for make in (
            lambda: KNeighborsClassifier(5),
            lambda: RidgeClassifierCV(np.logspace(0, 3, 7)),
        ):
            noisy = make().fit(train, d.y_train).score(test, d.y_test)
            clean = make().fit(train @ through, d.y_train).score(test @ through, d.y_test)
            pair.append(clean - noisy)
        gains.append(pair)
    neighbours, linear = np.mean(gains, axis=0)
    assert neighbours > 0.04
    assert linear < 0.01


def accuracy(covariance: Any, means: Any, d: Any, truth: Any) -> float:
    """Return the exact accuracy of the linear discriminant of an estimate."""
    w = np.linalg.lstsq(covariance, means[1] - means[0], rcond=1e-10)[0]
    middle, spread = w @ (means[0] + means[1]) / 2, np.sqrt(w @ truth @ w)
    return float(norm.cdf([(w @ d / 2 - middle) / spread, (w @ d / 2 + middle) / spread]).mean())


@pytest.mark.parametrize(
    ("truth", "spikes"),
    [
        (np.diag([20.0, 10, 5, 3] + [1] * 96), True),
        (toeplitz(0.7 ** np.arange(100)), False),
    ],
)
def test_each_covariance_wins_where_its_model_holds(truth: Any, spikes: bool) -> None:
    """Oracle: scikit-learn's Ledoit-Wolf on the same data; error and exact accuracy."""
    rows = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        x, d = rng.normal(size=(120, 100)) @ np.linalg.cholesky(truth).T, rng.normal(size=100)
        d *= 3 / np.sqrt(d @ np.linalg.solve(truth, d))
        parts = x[:60] - d / 2, x[60:] + d / 2
        means = [part.mean(axis=0) for part in parts]
        centred = np.concatenate([part - mean for part, mean in zip(parts, means, strict=True)])
        guesses = rm.shrink_covariance(centred), ledoit_wolf(centred, assume_centered=True)[0]
        errors = [np.linalg.norm(guess - truth) for guess in guesses]
        scores = [accuracy(guess, means, d, truth) for guess in guesses]
        rows.append((errors[0] - errors[1], scores[0] - scores[1]))
    error, score = np.mean(rows, axis=0)
    assert (error < 0) == spikes
    assert (score > 0) == spikes


@given(st.floats(0.05, 1.0), st.floats(1.01, 8.0))
def test_cleaning_costs_recall_a_known_factor(beta: float, times: float) -> None:
    """Oracle: the quotient of the two squared cosines, 1 - t^-4, by algebra."""
    theta = times * beta**0.25
    stored = theta**2 / (theta**2 + beta)
    cleaned = float(rm.rectangular_outlier(theta, beta).right)
    assert cleaned / stored == pytest.approx(1 - times**-4, rel=1e-9)


@pytest.mark.parametrize("times", [0.6, 2.0])
def test_cleaned_weights_answer_no_better(times: float) -> None:
    """Oracle: one memory in a layer of He weights, asked with its key before and after."""
    threshold = np.sqrt(2 / 256) * (256 * 128) ** 0.25
    cosines = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        key, value = rng.normal(size=256), rng.normal(size=128)
        key, value = key / np.linalg.norm(key), value / np.linalg.norm(value)
        stored = Linear(256, 128, rng=rng).weight + times * threshold * np.outer(value, key)
        answers = [stored @ key, rm.denoise(stored).matrix @ key]
        cosines.append([value @ a / max(np.linalg.norm(a), 1e-12) for a in answers])
    before, after = np.mean(cosines, axis=0)
    assert after < before
    if times < 1:
        assert before > 0.4
        assert abs(after) < 0.2
    else:
        ratio = np.sqrt(1 - times**-4)
        assert after / before == pytest.approx(ratio, abs=0.03)
