"""Spikes: positions and overlaps against simulation, exact limits and each other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import eigsh, svds

from companion.random_matrices import (
    MarchenkoPastur,
    Semicircle,
    covariance_outlier,
    rectangular_outlier,
    rectangular_strength,
    wigner_outlier,
)

aspects = st.floats(0.01, 100.0)
strengths = st.floats(0.0, 50.0)


def unit(size: int, rng: np.random.Generator) -> Any:
    """Return a random direction."""
    v = rng.normal(size=size)
    return v / np.linalg.norm(v)


@pytest.mark.parametrize(("theta", "variance"), [(2.0, 1.0), (3.0, 2.25), (0.5, 1.0)])
def test_wigner(theta: float, variance: float) -> None:
    """Oracle: simulation, three matrices of 1,200 rows, within five standard errors."""
    n, rng = 1200, np.random.default_rng(0)
    positions, overlaps = [], []
    for _ in range(3):
        u, noise = unit(n, rng), rng.normal(size=(n, n))
        a = theta * np.outer(u, u) + math.sqrt(variance / (2 * n)) * (noise + noise.T)
        value, vector = eigsh(a, k=1, which="LA", v0=u)
        positions.append(value[0])
        overlaps.append(float(vector[:, 0] @ u) ** 2)
    expected = wigner_outlier(theta, variance)
    assert np.mean(positions) == pytest.approx(float(expected.position), abs=0.06)
    assert np.mean(overlaps) == pytest.approx(float(expected.overlap), abs=0.04)


@pytest.mark.parametrize(("ell", "rows", "columns"), [(3.0, 2400, 600), (5.0, 600, 1200)])
def test_covariance(ell: float, rows: int, columns: int) -> None:
    """Oracle: simulation. Rows for columns would move the outlier by more than the tolerance."""
    rng = np.random.default_rng(0)
    positions, overlaps = [], []
    for _ in range(3):
        v = unit(columns, rng)
        x = rng.normal(size=(rows, columns))
        x += (math.sqrt(ell) - 1) * np.outer(x @ v, v)
        _, s, vt = svds(x / math.sqrt(rows), k=1, v0=unit(min(rows, columns), rng))
        positions.append(s[0] ** 2)
        overlaps.append(float(vt[0] @ v) ** 2)
    expected = covariance_outlier(ell, columns / rows)
    assert np.mean(positions) == pytest.approx(float(expected.position), rel=0.05)
    assert np.mean(overlaps) == pytest.approx(float(expected.overlap), abs=0.04)


@pytest.mark.parametrize(("rows", "columns"), [(1600, 400), (400, 1600)])
@pytest.mark.parametrize("theta", [0.4, 1.8])
def test_rectangle(rows: int, columns: int, theta: float) -> None:
    """Oracle: simulation; left and right exchanged would show, since the aspects differ."""
    rng, q = np.random.default_rng(0), columns / rows
    theta *= q**0.25
    found = []
    for _ in range(3):
        u, v = unit(rows, rng), unit(columns, rng)
        x = theta * np.outer(u, v) + rng.normal(size=(rows, columns)) / math.sqrt(rows)
        left, s, right = svds(x, k=1, v0=unit(min(rows, columns), rng))
        found.append((s[0], float(left[:, 0] @ u) ** 2, float(right[0] @ v) ** 2))
    np.testing.assert_allclose(np.mean(found, axis=0), rectangular_outlier(theta, q), atol=0.05)


def test_exact_limits() -> None:
    """Oracle: limits with an answer of their own.

    With few columns the sample covariance is the true one. A single column theta u + x has
    the squared length 1 + theta^2, of which theta^2 lies along u.
    """
    few = covariance_outlier([1.5, 4.0], 1e-12)
    np.testing.assert_allclose(few.position, [1.5, 4.0], rtol=1e-9)
    np.testing.assert_allclose(few.overlap, 1, rtol=1e-9)
    theta = np.array([0.5, 2.0])
    column = rectangular_outlier(theta, 1e-12)
    np.testing.assert_allclose(column.position, np.sqrt(1 + theta**2), rtol=1e-9)
    np.testing.assert_allclose(column.left, theta**2 / (1 + theta**2), rtol=1e-9)
    np.testing.assert_allclose(column.right, 1, rtol=1e-9)
    strong = wigner_outlier(1e6)
    assert (strong.position - 1e6, 1 - strong.overlap) == pytest.approx((0, 0), abs=1e-5)


@given(aspects)
def test_below_the_threshold_there_is_only_the_edge(q: float) -> None:
    """Oracle: the edges of the laws of pure noise."""
    assert wigner_outlier(0.99 * math.sqrt(q), q).position == pytest.approx(
        Semicircle(q).support[1]
    )
    edge = MarchenkoPastur(q).support[1]
    low = covariance_outlier([1.0, 1 + 0.99 * math.sqrt(q)], q)
    np.testing.assert_allclose(low.position, edge)
    np.testing.assert_allclose(low.overlap, 0, atol=1e-12)
    out = rectangular_outlier([0.0, 0.99 * q**0.25], q)
    np.testing.assert_allclose(out.position**2, edge)
    np.testing.assert_allclose([out.left, out.right], 0, atol=1e-12)


@given(aspects, strengths)
def test_transposing_swaps_left_and_right(q: float, theta: float) -> None:
    """Oracle: invariance. The transposed matrix over sqrt(q) has noise of variance 1/p."""
    here, there = rectangular_outlier(theta, q), rectangular_outlier(theta / math.sqrt(q), 1 / q)
    assert here.position == pytest.approx(float(there.position) * math.sqrt(q), rel=1e-9)
    assert here.left == pytest.approx(float(there.right), abs=1e-9)
    assert here.right == pytest.approx(float(there.left), abs=1e-9)


@given(aspects, st.floats(1.001, 40.0))
def test_strength_inverts_position(q: float, times: float) -> None:
    """Oracle: the position, tested above."""
    theta = times * q**0.25
    position = rectangular_outlier(theta, q).position
    assert rectangular_strength(position, q) == pytest.approx(theta, rel=1e-5)
    edge = MarchenkoPastur(q).support[1] ** 0.5
    np.testing.assert_array_equal(rectangular_strength([0.0, edge / 2, edge * (1 - 1e-9)], q), 0)


@given(aspects)
def test_overlap_and_position_grow_with_strength(q: float) -> None:
    """Oracle: monotony."""
    theta = np.linspace(0, 10, 200)
    for out in (wigner_outlier(theta, q), covariance_outlier(1 + theta, q)):
        assert np.all(np.diff(out.position) >= -1e-12)
        assert np.all(np.diff(out.overlap) >= -1e-12)
        assert np.all((out.overlap >= 0) & (out.overlap <= 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wigner_outlier(-1.0), "strength must be at least 0, got -1.0"),
        (lambda: wigner_outlier(math.nan), "strength must be finite"),
        (lambda: wigner_outlier(1.0, 0.0), "variance must lie in"),
        (lambda: covariance_outlier(0.5, 1.0), "eigenvalue must be at least 1, got 0.5"),
        (lambda: covariance_outlier(2.0, 0.0), "aspect must lie in"),
        (lambda: rectangular_outlier([1.0, -2.0], 1.0), "strength must be at least 0, got -2.0"),
        (lambda: rectangular_outlier(1.0, -1.0), "aspect must lie in"),
        (lambda: rectangular_strength(-1.0, 1.0), "position must be at least 0"),
        (lambda: rectangular_strength(1.0, 0.0), "aspect must lie in"),
    ],
)
def test_wrong_input_is_named(call: Any, message: str) -> None:
    """Oracle: the messages promised."""
    with pytest.raises(ValueError, match=message):
        call()


def test_empty_and_float32() -> None:
    """Oracle: shapes and types of the input."""
    assert wigner_outlier(np.empty((0, 2))).position.shape == (0, 2)
    assert rectangular_outlier(np.ones(3, np.float32), 0.5).left.dtype == np.float32
