"""Bulk, edge, outliers and directions of weight matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import hadamard, subspace_angles

from companion import random_matrices as rm


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Any:
    return np.random.default_rng(seed).normal(scale=scale, size=shape)


# --------------------------------------------------------------------------- bulk


@pytest.mark.parametrize("shape", [(256, 64), (64, 256), (200, 200)])
def test_noise_is_at_the_distance_that_simulation_gives(shape: tuple[int, int]) -> None:
    """Oracle: the rule of `spectral_distance`, a few times 1 / n; and the variance drawn."""
    for seed in range(5):
        bulk = rm.fit_bulk(normal(*shape, seed=seed, scale=0.3), deviation=0.3)
        assert bulk.distance < 4 / min(shape)
        assert bulk.deviation == 0.3
        assert bulk.law == rm.MarchenkoPastur(min(shape) / max(shape), 0.3**2)
        estimated = rm.fit_bulk(normal(*shape, seed=seed, scale=0.3))
        assert estimated.deviation == pytest.approx(0.3, rel=0.03)


def test_the_bulk_is_that_of_the_transposed_matrix() -> None:
    """Oracle: invariance, a matrix and its transpose have the same singular values."""
    w = normal(90, 40)
    tall, wide = rm.fit_bulk(w, deviation=1.0), rm.fit_bulk(w.T, deviation=1.0)
    assert tall.law == wide.law
    assert tall.distance == pytest.approx(wide.distance, abs=1e-12)


def test_outliers_cost_their_share_of_the_distance() -> None:
    """Oracle: the largest difference of distribution functions, counted by hand."""
    w = normal(200, 100)
    w[:, :10] *= 10
    assert rm.fit_bulk(w, deviation=1.0).distance == pytest.approx(0.1, abs=0.03)


def test_the_wrong_variance_is_far_away() -> None:
    """Oracle: twice the deviation moves the lower edge beyond the median."""
    w = normal(256, 64)
    assert rm.fit_bulk(w, deviation=2.0).distance > 0.6
    assert rm.fit_bulk(w, deviation=0.5).distance > 0.6


def test_float32_gives_the_same_bulk() -> None:
    """Oracle: float64."""
    w = normal(60, 30)
    single = rm.fit_bulk(w.astype(np.float32))
    assert single.deviation == pytest.approx(rm.fit_bulk(w).deviation, rel=1e-5)


def test_bulk_refuses() -> None:
    """Oracle: the messages promised."""
    with pytest.raises(ValueError, match="weight must not be empty"):
        rm.fit_bulk(np.empty((0, 3)))
    with pytest.raises(ValueError, match="weight must have 2 axes"):
        rm.fit_bulk(np.ones(3))
    with pytest.raises(ValueError, match="weight must be finite"):
        rm.fit_bulk([[np.nan]])
    with pytest.raises(ValueError, match=r"deviation must lie in \(0, inf\)"):
        rm.fit_bulk(np.eye(2), deviation=0.0)
    with pytest.raises(ValueError, match="deviation must be given"):
        rm.fit_bulk(np.diag([1.0, 0.0, 0.0]))


# --------------------------------------------------------------------------- edge


def test_edge_by_hand() -> None:
    """Oracle: the formula of Johnstone with Ma's halves, and the published quantile 2.0234."""
    n, p = 255.5, 63.5
    center = (n**0.5 + p**0.5) ** 2
    scale = (n**0.5 + p**0.5) * (n**-0.5 + p**-0.5) ** (1 / 3)
    expected = 0.1 * np.sqrt(center + scale * 2.0234)
    assert rm.weight_edge(256, 64, 0.1) == pytest.approx(expected, abs=1e-5)


@given(
    st.integers(2, 300), st.integers(2, 300), st.floats(0.01, 10.0), st.sampled_from([0.01, 0.2])
)
def test_edge_scales_and_does_not_know_rows_from_columns(
    m: int, n: int, std: float, level: float
) -> None:
    """Oracle: invariance under the transpose, and proportionality."""
    edge = rm.weight_edge(m, n, std, level=level)
    assert edge == rm.weight_edge(n, m, std, level=level)
    assert edge == pytest.approx(std * rm.weight_edge(m, n, 1.0, level=level))
    assert edge > rm.weight_edge(m, n, std, level=0.3)


@pytest.mark.parametrize("draw", ["normal", "uniform"])
def test_noise_exceeds_the_edge_as_often_as_the_level_says(draw: str) -> None:
    """Oracle: simulation, 2,000 matrices, three binomial errors."""
    rng = np.random.default_rng(1)
    top = []
    for _ in range(2000):
        unit = 3**0.5
        w = rng.normal(size=(60, 30)) if draw == "normal" else rng.uniform(-unit, unit, (60, 30))
        top.append(np.linalg.norm(w, 2))
    for level in (0.2, 0.05):
        alarms = np.mean(np.array(top) > rm.weight_edge(60, 30, 1.0, level=level))
        error = np.sqrt(level * (1 - level) / 2000)
        # Uniform entries have lighter tails, and fewer alarms at this size.
        low = level - 3 * error if draw == "normal" else 0.0
        assert low < alarms < level + 3 * error


def test_edge_refuses() -> None:
    """Oracle: the messages promised."""
    with pytest.raises(ValueError, match="rows must be at least 1"):
        rm.weight_edge(0, 3, 1.0)
    with pytest.raises(TypeError, match="columns must be an integer"):
        rm.weight_edge(3, 2.5, 1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"deviation must lie in \(0, inf\)"):
        rm.weight_edge(3, 3, -1.0)
    for level in (0.0, 1.0):
        with pytest.raises(ValueError, match=r"level must lie in \(0, 1\)"):
            rm.weight_edge(3, 3, 1.0, level=level)


def test_outliers_are_those_planted() -> None:
    """Oracle: three spikes far above the threshold, two far below."""
    w = normal(120, 80)
    u, v = (np.linalg.qr(normal(side, 5, seed=side))[0] for side in (120, 80))
    planted = w + (u * [90.0, 60.0, 24.0, 2.0, 1.0]) @ v.T
    assert rm.count_outliers(w, 1.0) == 0
    assert rm.count_outliers(planted, 1.0) == 3
    assert rm.count_outliers(planted.T.astype(np.float32), 1.0) == 3
    # The variance is the trap: with that of all entries fewer stand out.
    assert rm.count_outliers(planted, float(planted.std())) < 3


def test_a_value_at_the_edge_is_no_outlier() -> None:
    """Oracle: the definition, beyond."""
    edge = rm.weight_edge(1, 1, 1.0)
    assert rm.count_outliers([[edge]], 1.0) == 0
    assert rm.count_outliers([[np.nextafter(edge, np.inf)]], 1.0) == 1


# --------------------------------------------------------------------------- participation


@pytest.mark.parametrize("k", [1, 2, 5, 8])
def test_participation_counts_equal_entries(k: int) -> None:
    """Oracle: the closed form k for k equal entries."""
    v = np.zeros(8)
    v[:k] = -3.0
    assert rm.participation_ratio(v) == pytest.approx(k, rel=1e-14)


def test_participation_of_normal_vectors() -> None:
    """Oracle: E[sum of fourth powers] = 3 / (n + 2) on the sphere, exactly, for every n."""
    for n in (3, 64):
        inverse = 1 / rm.participation_ratio(normal(20_000, n))
        error = inverse.std() / np.sqrt(20_000)
        assert abs(inverse.mean() - 3 / (n + 2)) < 4 * error
        assert 4 * error < 0.1 * abs(3 / (n + 2) - 3 / n) or n > 3
    vt = np.linalg.svd(normal(64, 64))[2]
    assert (1 / rm.participation_ratio(vt)).mean() == pytest.approx(3 / 66, rel=0.1)


@given(st.integers(0, 1000), st.floats(1e-3, 1e3))
def test_participation_has_no_unit(seed: int, factor: float) -> None:
    """Oracle: invariance under scaling, signs and order; bounds 1 and n."""
    v = normal(3, 7, seed=seed)
    ratio = rm.participation_ratio(v)
    assert ((ratio >= 1) & (ratio <= 7)).all()
    np.testing.assert_allclose(rm.participation_ratio(-factor * v[:, ::-1]), ratio, rtol=1e-12)


def test_participation_keeps_float32_and_tiny_numbers() -> None:
    """Oracle: the same vector in float64."""
    v = normal(4, 9)
    small = rm.participation_ratio((1e-20 * v).astype(np.float32))
    assert small.dtype == np.float32
    np.testing.assert_allclose(small, rm.participation_ratio(v), rtol=1e-5)
    np.testing.assert_allclose(rm.participation_ratio(hadamard(8)), 8.0)


@pytest.mark.parametrize("bad", [np.zeros(3), np.empty((2, 0)), np.eye(3) - np.diag([0, 0, 1])])
def test_participation_refuses_zero_vectors(bad: Any) -> None:
    """Oracle: the message promised."""
    with pytest.raises(ValueError, match="vectors must hold no zero vector"):
        rm.participation_ratio(bad)


def test_participation_refuses_the_rest() -> None:
    """Oracle: the messages promised."""
    with pytest.raises(ValueError, match="vectors must have at least 1 axes"):
        rm.participation_ratio(1.0)
    with pytest.raises(ValueError, match="vectors must be finite"):
        rm.participation_ratio([1.0, np.inf])
    assert rm.participation_ratio(np.empty((0, 4))).shape == (0,)


# --------------------------------------------------------------------------- subspaces


def test_share_is_the_cosine_of_scipy() -> None:
    """Oracle: scipy.linalg.subspace_angles."""
    rows, v = normal(3, 10), normal(4, 10, seed=1)
    expected = [np.cos(subspace_angles(rows.T, each[:, None])[0]) ** 2 for each in v]
    np.testing.assert_allclose(rm.subspace_share(v, rows), expected, rtol=1e-10)


def test_share_of_a_random_direction() -> None:
    """Oracle: k / n."""
    share = rm.subspace_share(normal(20_000, 50), normal(10, 50, seed=1))
    assert share.mean() == pytest.approx(10 / 50, abs=4 * share.std() / np.sqrt(20_000))


def test_dependent_rows_count_once() -> None:
    """Oracle: the same span without them."""
    rows, v = normal(2, 6), normal(5, 6, seed=1)
    more = np.vstack([rows, rows.sum(axis=0), 0 * rows[:1]])
    np.testing.assert_allclose(rm.subspace_share(v, more), rm.subspace_share(v, rows), rtol=1e-10)
    np.testing.assert_allclose(rm.subspace_share(rows.sum(axis=0), more), 1.0)
    assert rm.subspace_share(v.astype(np.float32), rows.astype(np.float32)).dtype == np.float32


def test_share_refuses() -> None:
    """Oracle: the messages promised."""
    with pytest.raises(ValueError, match=r"subspace must have shape \(any, 3\)"):
        rm.subspace_share(np.ones(3), np.ones((2, 4)))
    with pytest.raises(ValueError, match="vectors must hold no zero vector"):
        rm.subspace_share(np.zeros(3), np.eye(3))
    with pytest.raises(ValueError, match="vectors must hold no zero vector"):
        rm.subspace_share(np.empty((2, 0)), np.empty((1, 0)))
    for empty in (np.zeros((2, 3)), np.empty((0, 3))):
        with pytest.raises(ValueError, match="subspace must hold a row that is not zero"):
            rm.subspace_share(np.ones(3), empty)


# --------------------------------------------------------------------------- surgery


@pytest.mark.parametrize("shape", [(7, 4), (4, 7)])
def test_directions_are_kept_one_by_one(shape: tuple[int, int]) -> None:
    """Oracle: a loop over outer products."""
    w = normal(*shape)
    u, s, vt = np.linalg.svd(w)
    expected = sum(s[i] * np.outer(u[:, i], vt[i]) for i in (3, 0))
    np.testing.assert_allclose(rm.keep_directions(w, [3, 0]), expected, atol=1e-12)
    np.testing.assert_allclose(rm.remove_directions(w, [3, 0]), w - expected, atol=1e-12)


def test_the_first_directions_are_the_best_approximation() -> None:
    """Oracle: Eckart and Young, the error is the size of the rest."""
    w = normal(9, 6)
    s = np.linalg.svd(w, compute_uv=False)
    error = np.linalg.norm(w - rm.keep_directions(w, range(2)))
    assert error == pytest.approx(np.linalg.norm(s[2:]))


def test_nothing_and_everything() -> None:
    """Oracle: zero, and the matrix itself."""
    w = normal(5, 3).astype(np.float32)
    assert not rm.keep_directions(w, []).any()
    np.testing.assert_allclose(rm.remove_directions(w, []), w, atol=1e-6)
    assert not rm.remove_directions(w, range(3)).any()
    assert rm.keep_directions(w, np.arange(2)).dtype == np.float32


@pytest.mark.parametrize("function", [rm.keep_directions, rm.remove_directions])
def test_directions_refuse(function: Any) -> None:
    """Oracle: the messages promised."""
    w = normal(5, 3)
    with pytest.raises(ValueError, match=r"directions must lie in 0\.\.2, got 3"):
        function(w, [0, 3])
    with pytest.raises(ValueError, match="directions must be at least 0, got -1"):
        function(w, [-1])
    with pytest.raises(ValueError, match="directions must differ, got 1 twice"):
        function(w, [1, 0, 1])
    with pytest.raises(TypeError, match="directions must be an integer"):
        function(w, [0.5])
    with pytest.raises(ValueError, match="weight must not be empty"):
        function(np.empty((0, 2)), [])
