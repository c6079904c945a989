"""What the lesson *Edges and outliers* reports, found again at small sizes with other seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.linalg import eigh_tridiagonal, eigvalsh_tridiagonal
from scipy.optimize import brentq

from companion import random_matrices as rm
from companion.network import Linear

Tridiagonal = tuple[Any, Any]


def top(matrix: Tridiagonal) -> tuple[float, float]:
    """Return the largest eigenvalue and the squared first entry of its vector."""
    diagonal, beside = matrix
    keep = min(len(diagonal), int(10 * len(diagonal) ** (1 / 3)))
    value, vector = eigh_tridiagonal(
        diagonal[:keep], beside[: keep - 1], select="i", select_range=(keep - 1, keep - 1)
    )
    return float(value[0]), float(vector[0, 0] ** 2)


def spiked(n: int, theta: float, rng: np.random.Generator) -> Tridiagonal:
    """Return noise with a spike in the corner of its tridiagonal form."""
    diagonal, beside = rm.beta_hermite(n, 1.0, rng=rng)
    diagonal[0] += theta
    return diagonal, beside


def spiked_covariance(n: int, p: int, ell: float, rng: np.random.Generator) -> Tridiagonal:
    """Return the tridiagonal form of a sample covariance whose first variable is strong."""
    diagonal, beside = rm.beta_laguerre(n, p, 1.0, rng=rng)
    diagonal[0] *= ell
    beside[0] *= np.sqrt(ell)
    return diagonal, beside


@pytest.mark.parametrize("n", [300, 3000])
def test_a_corner_holds_the_largest_eigenvalue(n: int) -> None:
    """Oracle: all eigenvalues of the same matrix."""
    for seed in range(5):
        matrix = rm.beta_hermite(n, 1.0, rng=seed)
        whole = eigvalsh_tridiagonal(*matrix, select="i", select_range=(n - 1, n - 1))[0]
        assert top(matrix)[0] == pytest.approx(whole, abs=1e-9)


def test_a_spike_in_the_corner_is_a_spike_in_the_full_matrix() -> None:
    """Oracle: dense matrices with a spike in a random direction, within four standard errors."""
    rng, n, theta = np.random.default_rng(10), 60, 1.5
    found: list[tuple[float, float]] = []
    dense = []
    for _ in range(200):
        found.append(top(spiked(n, theta, rng)))
        u = rng.normal(size=n)
        u /= np.linalg.norm(u)
        a = rm.gaussian_ensemble(n, rng=rng) + theta * np.outer(u, u)
        values, vectors = np.linalg.eigh(a)
        dense.append((values[-1], (vectors[:, -1] @ u) ** 2))
    gap = np.mean(found, axis=0) - np.mean(dense, axis=0)
    error = np.hypot(np.std(found, axis=0), np.std(dense, axis=0)) / np.sqrt(200)
    assert np.all(np.abs(gap) < 4 * error)


def test_a_strong_variable_in_the_corner_is_one_in_the_data() -> None:
    """Oracle: data with the variance in a random direction, within four standard errors."""
    rng, n, p, ell = np.random.default_rng(11), 120, 30, 2.5
    found: list[tuple[float, float]] = []
    dense = []
    for _ in range(200):
        found.append(top(spiked_covariance(n, p, ell, rng)))
        v = rng.normal(size=p)
        v /= np.linalg.norm(v)
        x = rng.normal(size=(n, p))
        x += (np.sqrt(ell) - 1) * np.outer(x @ v, v)
        values, vectors = np.linalg.eigh(x.T @ x / n)
        dense.append((values[-1], (vectors[:, -1] @ v) ** 2))
    gap = np.mean(found, axis=0) - np.mean(dense, axis=0)
    error = np.hypot(np.std(found, axis=0), np.std(dense, axis=0)) / np.sqrt(200)
    assert np.all(np.abs(gap) < 4 * error)


def test_the_edge_narrows_by_the_power_two_thirds() -> None:
    """Oracle: the exponent, within four standard errors of a standard deviation."""
    rng, sizes, times = np.random.default_rng(12), np.array([100, 1000, 10_000]), 200
    spread = [
        np.std([top(rm.beta_hermite(n, 1.0, rng=rng))[0] for _ in range(times)]) for n in sizes
    ]
    slope = np.polyfit(np.log(sizes), np.log(spread), 1)[0]
    # The logarithm of each has the standard error 1 / sqrt(2 times), and the ends count.
    error = np.sqrt(2) / np.sqrt(2 * times) / np.log(100)
    assert slope == pytest.approx(-2 / 3, abs=4 * error)


def test_below_the_threshold_the_top_tells_less_than_the_trace() -> None:
    """Oracle: power of the trace in closed form, 14.0 % at strength 0.8, and the level, 5 %."""
    rng, n, theta = np.random.default_rng(13), 10_000, 0.8
    draws = [spiked(n, theta, rng) for _ in range(600)]
    z = rm.hermite_edge(n).standardise([top(a)[0] for a in draws])
    power = np.mean(z > rm.TracyWidom(1).quantile(0.95))
    trace = np.mean([a[0].sum() / np.sqrt(2) > 1.6448536 for a in draws])
    assert power < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 600)
    assert trace == pytest.approx(0.140, abs=4 * np.sqrt(0.14 * 0.86 / 600))
    assert trace > power + 0.03


def test_heavy_tails_break_the_level_and_independence_keeps_it() -> None:
    """Oracle: the level of the test for normal entries; for Student's it is exceeded."""
    rng, shape = np.random.default_rng(14), (200, 50)
    bound = float(rm.TracyWidom(1).quantile(0.95))

    def alarms(draw: Any) -> float:
        values = []
        for _ in range(200):
            x = draw()
            values.append(np.linalg.eigvalsh(x.T @ x)[-1] / 200 / np.mean(x * x))
        return float(np.mean(rm.laguerre_edge(*shape).standardise(values) > bound))

    assert alarms(lambda: rng.normal(size=shape)) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 200)
    assert alarms(lambda: rng.standard_t(5, size=shape)) > 0.25
    assert alarms(lambda: rng.standard_t(3, size=shape)) > 0.9


def test_a_learned_pair_sits_where_the_secular_equation_says() -> None:
    """Oracle: the secular equation on the eigenvalues of what is left; the naive one is above."""
    inputs, outputs, unit = 256, 128, 1.0
    gaps = []
    for seed in range(20, 26):
        rng = np.random.default_rng(seed)
        weight = Linear(inputs, outputs, rng=rng).weight
        x, y = rng.normal(size=inputs), rng.normal(size=outputs)
        y *= 2 * np.linalg.norm(weight @ x) / np.linalg.norm(y)
        change = np.outer(y - weight @ x, x) / (x @ x)
        learned = weight + change
        np.testing.assert_allclose(learned @ x, y, atol=1e-12)
        rest = weight - np.outer(weight @ x, x) / (x @ x)
        noise, strength = np.linalg.eigvalsh(rest @ rest.T), float((y @ y) / (x @ x))

        def excess(z: float, noise: Any = noise, strength: float = strength) -> float:
            return float(strength * np.mean(1 / (z - noise)) - 1)

        z = brentq(excess, noise[-1] + 1e-9, noise[-1] + strength)
        found = np.linalg.norm(learned, 2)
        naive = rm.rectangular_outlier(np.linalg.norm(change) / unit, inputs / outputs)
        assert found == pytest.approx(np.sqrt(z), abs=0.15)
        gaps.append(float(naive.position) * unit - found)
    assert np.mean(gaps) > 0.15


def test_a_short_target_is_learned_and_not_seen() -> None:
    """Oracle: the matrix before; the change is above the threshold of an independent spike."""
    inputs, outputs, moved = 256, 128, []
    for seed in range(30, 36):
        rng = np.random.default_rng(seed)
        weight = Linear(inputs, outputs, rng=rng).weight
        x, y = rng.normal(size=inputs), rng.normal(size=outputs)
        y *= 1.25 * np.linalg.norm(weight @ x) / np.linalg.norm(y)
        change = np.outer(y - weight @ x, x) / (x @ x)
        threshold = np.sqrt(2 / inputs) * (inputs * outputs) ** 0.25
        assert np.linalg.norm(change) > 1.1 * threshold
        moved.append(np.linalg.norm(weight + change, 2) - np.linalg.norm(weight, 2))
    assert np.abs(moved).max() < 0.05


@pytest.mark.parametrize(("inputs", "outputs"), [(256, 128), (100, 400)])
def test_from_where_on_a_learned_pair_is_seen(inputs: int, outputs: int) -> None:
    """Oracle: the secular equation at the edge of the law of Marchenko and Pastur.

    With the variance 1 / inputs the matrix W W^T has that law, and the squares of W x and x are in
    the ratio outputs / inputs.
    """
    law = rm.MarchenkoPastur(outputs / inputs)
    edge = law.support[1] * (1 + 1e-9)
    strength = 1 / law.expect(lambda values: 1 / (edge - values))
    ratio = np.sqrt(strength * inputs / outputs)
    assert ratio == pytest.approx(np.sqrt(1 + np.sqrt(inputs / outputs)), rel=1e-3)
