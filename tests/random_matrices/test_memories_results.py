"""What the capstone reports, found again at small sizes with other seeds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from companion import memory
from companion import random_matrices as rm
from companion.data import load_digits

SEEDS = range(100, 104)


def layers(scale: float, rng: np.random.Generator, sizes: tuple[int, int, int]) -> list[Any]:
    """Return two random layers whose columns have about this length."""
    inputs, hidden, outputs = sizes
    shapes = (hidden, inputs), (outputs, hidden)
    return [rng.normal(scale=scale / math.sqrt(hidden), size=shape) for shape in shapes]


def descend(target: Any, both: list[Any], steps: int, lr: float) -> Any:
    """Return the product of the layers before each step."""
    (first, second), products = both, []
    for _ in range(steps):
        products.append(second @ first)
        error = target - products[-1]
        first, second = first + lr * second.T @ error, second + lr * error @ first.T
    return np.array(products)


def spread_out(rng: np.random.Generator, sizes: tuple[int, int], values: Any) -> Any:
    """Return random orthonormal directions and the matrix with these singular values."""
    U, V = (np.linalg.qr(rng.normal(size=(size, len(values))))[0] for size in sizes)
    return U, V, (U * values) @ V.T


def half_times(products: Any, U: Any, V: Any, s: Any, lr: float) -> Any:
    along = np.einsum("ik,tij,jk->tk", U, products, V)
    error = np.abs(s - along)
    return lr * np.argmax(error <= error[0] / 2, axis=0)


def test_times_are_known_before_training_from_a_small_start() -> None:
    """Oracle: the closed form from the aligned part of the start, on gradient descent."""
    s, worst = np.array([1.5, 1.0, 0.5]), 0.0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        U, V, target = spread_out(rng, (9, 6), s)
        both = layers(1e-3, rng, (6, 40, 9))
        start = np.sum((both[0] @ V + both[1].T @ U) ** 2, axis=0) / 4
        found = half_times(descend(target, both, 1200, 0.02), U, V, s, 0.02)
        worst = max(worst, np.abs(found / rm.mode_time(0.5, s, start) - 1).max())
        assert np.all(np.diff(found) > 0)
    assert worst < 0.03


def test_from_a_large_start_there_is_no_order() -> None:
    """Oracle: one rate for all modes, twice the squared length of a column."""
    s, ratios, times = np.array([1.5, 1.0, 0.5]), [], []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        U, V, target = spread_out(rng, (9, 6), s)
        both = layers(3.0, rng, (6, 200, 9))
        found = half_times(descend(target, both, 150, 0.002), U, V, s, 0.002)
        ratios.append(found[2] / found[0])
        times.append(found.mean())
    assert 0.6 < np.mean(ratios) < 1.7
    assert np.mean(times) == pytest.approx(math.log(2) / 18, rel=0.3)


def noisy(seed: int) -> tuple[Any, Any]:
    """Return a noisy square matrix and the truth."""
    rng = np.random.default_rng(seed)
    signal = spread_out(rng, (80, 80), np.array([4.0, 2.5, 1.5]))[2]
    return signal + rng.normal(size=(80, 80)) / math.sqrt(80), signal


def test_stopping_at_the_edge_is_a_cut_in_the_spectrum() -> None:
    """Oracle: the squared errors of the rules themselves; the order the lesson reports."""
    rows, cut = [], 4 / math.sqrt(3)
    when = float(rm.mode_time(0.5, cut, 5e-5))
    times = np.linspace(0.02, 6, 300)
    for seed in range(100, 112):
        seen, signal = noisy(seed)
        left, values, right = np.linalg.svd(seen)
        along = np.einsum("ij,ij->j", left, signal @ right.T)

        def error(a: Any, along: Any = along, signal: Any = signal) -> Any:
            return np.sum(a * (a - 2 * along), axis=-1) + np.sum(signal**2)

        rows.append(
            [
                error(rm.shrink(values, 1.0)),
                error(rm.mode_strength(when, values, 5e-5)),
                error(np.where(values > cut, values, 0)),
                error(rm.mode_strength(times, values, 0.0, layers=1)).min(),
                error(values),
            ]
        )
        assert rows[-1][1] < 1.15 * error(rm.mode_strength(times, values, 5e-5)).min()
    assert np.all(np.diff(np.mean(rows, axis=0)) > 0)


def test_descent_from_a_small_start_stops_at_the_same_time() -> None:
    """Oracle: the lowest error of the same run; from a large start no time is any good."""
    for scale, good in ((0.01, True), (1.0, False)):
        for seed in (100, 101):
            seen, signal = noisy(seed)
            both = layers(scale, np.random.default_rng(seed + 50), (80, 80, 80))
            products = descend(seen, both, 150, 0.02)
            errors = np.sum((products - signal) ** 2, axis=(1, 2))
            when = float(rm.mode_time(0.5, 4 / math.sqrt(3), scale**2 / 2))
            nothing = np.sum(signal**2)
            assert (errors[round(when / 0.02)] < 1.1 * errors.min()) or not good
            assert (errors.min() < nothing / 2) == good
            assert good or errors.min() > nothing


def test_the_key_is_answered_below_the_threshold_and_cleaning_does_not_help() -> None:
    """Oracle: the closed form with the key; chance, or less than the key, without it."""
    n, p = 100, 200
    for times in (0.5, 1.5, 3.0):
        theta, found = times * 2**0.25, []
        for seed in range(100, 110):
            rng = np.random.default_rng(seed)
            u, v = (x / np.linalg.norm(x) for x in (rng.normal(size=n), rng.normal(size=p)))
            weight = theta * np.outer(u, v) + rng.normal(size=(n, p)) / math.sqrt(n)
            answer, left = weight @ v, np.linalg.svd(weight)[0][:, 0]
            found.append((answer @ u / np.linalg.norm(answer), abs(left @ u)))
        key, spectrum = np.mean(found, axis=0)
        assert key == pytest.approx(float(rm.recall_cosine(theta)), abs=0.06)
        assert spectrum < key
        assert (spectrum < 0.25) == (times < 1)


def test_equal_memories_cannot_be_told_apart_in_the_spectrum() -> None:
    """Oracle: the crosstalk, and a match that falls with the number of memories."""
    matches = []
    for count in (4, 64):
        rng = np.random.default_rng(count)
        keys, stored = rng.normal(size=(count, 256)), rng.normal(size=(count, 128))
        keys /= np.linalg.norm(keys, axis=1)[:, None]
        stored /= np.linalg.norm(stored, axis=1)[:, None]
        weight = stored.T @ keys
        answers = keys @ weight.T
        cosines = np.sum(answers * stored, axis=1) / np.linalg.norm(answers, axis=1)
        assert cosines.mean() == pytest.approx(1 / math.sqrt(1 + (count - 1) / 256), abs=0.02)
        matches.append(np.abs(stored @ np.linalg.svd(weight)[0][:, 0]).max())
    assert matches[1] < 0.6 < 0.98 > matches[0] > matches[1]


@pytest.mark.parametrize(("load", "holds"), [(0.05, True), (0.1, True), (0.3, False)])
def test_recall_fails_and_the_spectrum_does_not_notice(load: float, holds: bool) -> None:
    """Oracle: the law of Marchenko and Pastur on both sides of the critical load."""
    for seed in SEEDS:
        xi = memory.random_patterns(round(512 * load), 512, rng=seed)
        law = rm.MarchenkoPastur(len(xi) / 512)
        values = np.linalg.eigvalsh(xi @ xi.T / 512)
        assert rm.spectral_distance(values, law) * len(xi) < 4
        assert values[-1] < law.support[1] * 1.03
        ends = memory.recall(memory.hebbian(xi), xi[:10], rng=seed).state
        assert (np.mean(ends * xi[:10]) > 0.98) == holds


def test_what_stands_out_of_digits_is_their_mean() -> None:
    """Oracle: the mean of the stored digits."""
    x = np.where(load_digits(rng=1).x_train[100:200] > 0.5, 1.0, -1.0)
    values, vectors = np.linalg.eigh(x.T @ x / 64)
    mean = x.mean(axis=0)
    assert values[-1] > 5 * (1 + math.sqrt(100 / 64)) ** 2
    assert abs(vectors[:, -1] @ mean) / np.linalg.norm(mean) > 0.99
    assert np.abs(x @ vectors[:, -1]).max() / 8 < 0.9


def rehearsed(w: float, seed: int) -> Any:
    """Return the overlaps of one pattern at load 1/4, as the lesson does."""
    rng = np.random.default_rng(seed)
    xi = memory.random_patterns(128, 512, rng=rng)
    weights = np.r_[w, np.ones(127)][:, None]
    top = np.linalg.svd(np.sqrt(weights) * xi, full_matrices=False)[2][0]
    hebb = xi.T @ (weights * xi) / 512
    np.fill_diagonal(hebb, 0.0)
    copies = memory.flip(np.repeat(xi[:1], 4, axis=0), 0.1, rng=rng)
    states = np.concatenate([copies, memory.random_patterns(6, 512, rng=rng)])
    m = memory.recall(hebb, states, rng=rng).state @ xi[0] / 512
    return abs(top @ xi[0]) / math.sqrt(512), m[:4].mean(), np.abs(m[4:]).mean()


def test_a_key_comes_before_the_spectrum_and_no_key_after_it() -> None:
    """Oracle: the order that the lesson reports, at three weights."""
    low, middle, high = (np.mean([rehearsed(w, k) for k in SEEDS], 0) for w in (1.0, 1.375, 3.0))
    assert low.max() < 0.7
    assert middle[1] > 0.9
    assert max(middle[0], middle[2]) < 0.6
    assert high.min() > 0.9


def test_the_best_linear_step_has_the_computed_time_and_long_dreams_are_worse() -> None:
    """Oracle: the squared error of one step, and recall, at load 1/2 with a tenth flipped."""
    times = (0.0, 1.0, rm.dreaming_time(0.1, 0.5), 10.0, 1e6)
    rows = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        xi = memory.random_patterns(100, 200, rng=rng)
        copies = xi * np.where(rng.random(xi.shape) < 0.1, -1, 1)
        row = []
        for time in times:
            step = copies @ memory.dreaming(xi, time, diagonal=True)
            step *= np.sum(step * xi) / np.sum(step**2)
            ends = memory.recall(memory.dreaming(xi, time), copies, rng=rng).state
            share = np.mean(np.mean(ends * xi, axis=1) > 0.95)
            row.append((np.mean((step - xi) ** 2), share))
        rows.append(row)
    errors, shares = np.mean(rows, axis=0).T
    assert np.argmin(errors) == 2
    assert shares[0] < 0.05
    assert shares[3] > shares[4] + 0.1 > 0.3
