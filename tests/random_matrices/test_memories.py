"""Memories in a matrix: against gradient descent, simulation, and the rules of chapter 5."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from companion import memory
from companion.random_matrices import (
    MarchenkoPastur,
    covariance_outlier,
    dreamed_eigenvalues,
    dreaming_time,
    hebbian_spike,
    mode_strength,
    mode_time,
    recall_cosine,
    rectangular_outlier,
)

targets = st.floats(0.1, 5.0)


def unit(size: int, rng: np.random.Generator) -> Any:
    """Return a random direction."""
    v = rng.normal(size=size)
    return v / np.linalg.norm(v)


def test_a_mode_of_one_or_two_layers_follows_its_equation() -> None:
    """Oracle: SciPy's solution of da/dt = s - a and of da/dt = 2a(s - a)."""
    times = np.array([0.3, 1.0, 4.0, 9.0])
    speeds: dict[int, Callable[[float, Any], Any]] = {
        1: lambda t, a: 1.7 - a,
        2: lambda t, a: 2 * a * (1.7 - a),
    }
    for layers, speed in speeds.items():
        for start in (0.02, 2.5):
            flow = solve_ivp(speed, (0, 9), [start], t_eval=times, rtol=1e-10, atol=1e-12)
            found = mode_strength(times, 1.7, start, layers=layers)
            np.testing.assert_allclose(found, flow.y[0], rtol=1e-7)


def test_gradient_descent_on_two_matrices_follows_the_modes() -> None:
    """Oracle: many small steps of both factors, from aligned vectors of equal length."""
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.normal(size=(size, 3)))[0] for size in (6, 5))
    R = np.linalg.qr(rng.normal(size=(7, 3)))[0]
    s, a0, lr = np.array([2.0, 1.0, 0.4]), 0.01, 2e-4
    target, first, second = (U * s) @ V.T, math.sqrt(a0) * R @ V.T, math.sqrt(a0) * U @ R.T
    found = []
    for step in range(1, 20_001):
        error = target - second @ first
        first, second = first + lr * second.T @ error, second + lr * error @ first.T
        if step % 5000 == 0:
            found.append(np.einsum("ik,ij,jk->k", U, second @ first, V))
    np.testing.assert_allclose(found, mode_strength(np.arange(1, 5), s, a0), rtol=5e-3)


@given(targets, st.floats(0.01, 0.99), st.sampled_from([1, 2]))
def test_the_time_of_a_share_is_the_inverse(target: float, fraction: float, layers: int) -> None:
    """Oracle: the strength at that time is the share asked for."""
    start = 0.005 * target
    time = mode_time(fraction, target, start, layers=layers)
    again = mode_strength(time, target, start, layers=layers)
    assert again == pytest.approx(fraction * target, rel=1e-9)


def test_shapes_limits_and_types_of_modes() -> None:
    """Oracle: the start at time zero, the target at late times, and the shapes promised."""
    s = np.array([[2.0, 1.0], [0.5, 0.1]])
    for layers in (1, 2):
        found = mode_strength([0.0, 1e5, 1.0], s, s / 10, layers=layers)
        assert found.shape == (3, 2, 2)
        np.testing.assert_allclose(found[:2], [s / 10, s], rtol=1e-12)
        assert mode_time(0.5, s, 0.01, layers=layers).shape == (2, 2)
        assert mode_strength([], s, 0.1, layers=layers).shape == (0, 2, 2)
        assert mode_strength(1.0, [], 0.1, layers=layers).shape == (0,)
        single = mode_strength(np.float32([1.0]), np.float32([2.0]), 0.1, layers=layers)
        assert single.dtype == np.float32
    assert mode_strength(3.0, 2.0, 0.0, layers=1) == pytest.approx(2 - 2 * math.exp(-3))
    assert mode_time(0.5, 2.0, 1.5) < 0
    assert mode_time(0.5, 2.0, 1.0) == pytest.approx(0)


@pytest.mark.parametrize("key", [1.0, 0.6])
def test_the_answer_of_a_noisy_matrix(key: float) -> None:
    """Oracle: simulation of rectangles with more columns than rows."""
    rng, (n, p) = np.random.default_rng(1), (500, 800)
    found = []
    for theta in (0.4, 1.3):
        cosines = []
        for _ in range(4):
            u, v, w = (
                x / np.linalg.norm(x) for x in map(rng.normal, (0, 0, 0), (1,) * 3, (n, p, p))
            )
            w -= (w @ v) * v
            asked = key * v + math.sqrt(1 - key**2) * w / np.linalg.norm(w)
            weight = theta * np.outer(u, v) + rng.normal(size=(n, p)) / math.sqrt(n)
            answer = weight @ asked
            cosines.append(answer @ u / np.linalg.norm(answer))
        found.append(np.mean(cosines))
    np.testing.assert_allclose(found, recall_cosine([0.4, 1.3], key), atol=0.06)


@given(st.floats(0.1, 10.0), st.floats(1.01, 20.0))
def test_the_spectrum_is_a_key_as_good_as_its_right_overlap(aspect: float, times: float) -> None:
    """Oracle: algebra. Asking with the right singular vector is answered by the left one.

    And with the true key the cleaned matrix keeps the share 1 - t^-4 of the squared cosine,
    where t is the strength in units of the threshold.
    """
    theta = times * aspect**0.25
    out = rectangular_outlier(theta, aspect)
    asked = recall_cosine(theta, math.sqrt(out.right))
    assert asked**2 == pytest.approx(float(out.left), rel=1e-9)
    kept = out.left / recall_cosine(theta) ** 2
    assert kept == pytest.approx(1 - times**-4, rel=1e-9)


def weighted(weights: Any, patterns: Any) -> Any:
    """Return Hebb's matrix of patterns with weights, its diagonal included."""
    return (patterns.T * weights) @ patterns / patterns.shape[1]


@pytest.mark.parametrize("load", [0.1, 1.5])
@pytest.mark.parametrize("times", [0.5, 1.8])
def test_a_rehearsed_pattern(load: float, times: float) -> None:
    """Oracle: simulation below and above the threshold, at two loads.

    Below it the edge of 1,000 units is a few hundredths short of its limit.
    """
    rng, found = np.random.default_rng(2), []
    w = 1 + times * math.sqrt(load)
    for _ in range(3):
        xi = memory.random_patterns(round(1000 * load), 1000, rng=rng)
        values, vectors = np.linalg.eigh(weighted(np.r_[w, np.ones(len(xi) - 1)], xi))
        found.append((values[-1], (vectors[:, -1] @ xi[0]) ** 2 / 1000))
    position, overlap = np.mean(found, axis=0)
    expected = hebbian_spike(w, load)
    assert position == pytest.approx(float(expected.position), rel=0.02)
    assert overlap == pytest.approx(float(expected.overlap), abs=0.04)


def test_copies_that_are_not_exact() -> None:
    """Oracle: simulation of 8 copies with an overlap of 0.6 among 200 patterns of 1,000 units."""
    rng, found = np.random.default_rng(3), []
    for _ in range(6):
        xi = memory.random_patterns(201, 1000, rng=rng)
        copies = memory.flip(np.repeat(xi[:1], 8, axis=0), 0.2, rng=rng)
        values, vectors = np.linalg.eigh(weighted(1.0, np.concatenate([copies, xi[1:]])))
        found.append((values[-1], (vectors[:, -1] @ xi[0]) ** 2 / 1000))
    expected = hebbian_spike(8, 0.2, likeness=0.6)
    assert np.mean(found, axis=0)[0] == pytest.approx(float(expected.position), rel=0.03)
    assert np.mean(found, axis=0)[1] == pytest.approx(float(expected.overlap), abs=0.03)


@given(st.floats(0.01, 5.0), st.floats(0.1, 1.0))
def test_the_threshold_of_rehearsal(load: float, likeness: float) -> None:
    """Oracle: the edge of the law of the overlaps, and the spiked covariance behind it."""
    edge = 1 + math.sqrt(load) / likeness**2
    below = hebbian_spike([1.0, 0.99 * edge + 0.01], load, likeness)
    np.testing.assert_allclose(below.position, MarchenkoPastur(load).support[1])
    np.testing.assert_allclose(below.overlap, 0, atol=1e-12)
    above = hebbian_spike(2 * edge, load, likeness)
    assert 0 < above.overlap < 1
    assert above.position > MarchenkoPastur(load).support[1]
    # What the spiked covariance says of the eigenvector among patterns, carried to the units.
    w = 3 + math.sqrt(load)
    among = covariance_outlier(w, load)
    assert hebbian_spike(w, load).overlap == pytest.approx(among.position / w * among.overlap)


@pytest.mark.parametrize("time", [0.0, 2.0, 50.0])
def test_dreaming_moves_eigenvalues_and_no_vector(time: float) -> None:
    """Oracle: the matrices of chapter 5."""
    xi = memory.random_patterns(12, 40, rng=4)
    values, vectors = np.linalg.eigh(memory.hebbian(xi, diagonal=True))
    dreamed = dreamed_eigenvalues(np.maximum(values, 0), time)
    expected = memory.dreaming(xi, time, diagonal=True)
    np.testing.assert_allclose((vectors * dreamed) @ vectors.T, expected, atol=1e-12)


def test_long_dreams_and_no_dreams() -> None:
    """Oracle: limits, and the fixed points zero and one."""
    values = np.array([0.0, 0.3, 1.0, 7.0])
    np.testing.assert_array_equal(dreamed_eigenvalues(values, 0.0), values)
    np.testing.assert_allclose(dreamed_eigenvalues(values, 1e9), [0, 1, 1, 1], atol=1e-8)
    assert dreamed_eigenvalues(np.float32([0.5]), 2.0).dtype == np.float32
    assert dreamed_eigenvalues([], 1.0).shape == (0,)


def test_the_time_of_dreaming_is_the_best_linear_step() -> None:
    """Oracle: least squares on all flips of four patterns of six units, up to a factor."""
    xi, f = memory.random_patterns(4, 6, rng=5), 0.15
    flips = np.array([[1 - 2 * (k >> i & 1) for i in range(6)] for k in range(64)])
    wrong = np.sum(flips < 0, axis=1)
    weight = np.repeat((f**wrong * (1 - f) ** (6 - wrong))[:, None], 4, axis=1).T.ravel()
    copies = (xi[:, None] * flips).reshape(-1, 6)
    root = np.sqrt(weight)[:, None]
    best = np.linalg.lstsq(root * copies, root * np.repeat(xi, 64, axis=0), rcond=None)[0].T
    dreamed = memory.dreaming(xi, dreaming_time(f, 4 / 6), diagonal=True)
    np.testing.assert_allclose(best / np.trace(best), dreamed / np.trace(dreamed), atol=1e-10)
    assert dreaming_time(0.5, 1.0) == 0.0
    assert dreaming_time(0.1, 0.5) == pytest.approx(2 * dreaming_time(0.1, 1.0))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mode_strength(-1.0, 1.0, 0.1), "time must be at least 0"),
        (lambda: mode_strength(np.nan, 1.0, 0.1), "time must be finite"),
        (lambda: mode_strength(1.0, 0.0, 0.1), "target must be positive"),
        (lambda: mode_strength(1.0, -1.0, 0.1), "target must be at least 0"),
        (lambda: mode_strength(1.0, 1.0, 0.0), "start must be positive"),
        (lambda: mode_strength(1.0, 1.0, -0.1, layers=1), "start must be at least 0"),
        (lambda: mode_strength(1.0, [1.0, 2.0], [[0.1]]), "start must be one number or"),
        (lambda: mode_strength(1.0, 1.0, 0.1, layers=3), "layers must be 1 or 2"),
        (lambda: mode_strength(1.0, 1.0, 0.1, layers=0), "layers must be at least 1"),
        (lambda: mode_time(0.0, 1.0, 0.1), "fraction must lie in"),
        (lambda: mode_time(1.0, 1.0, 0.1), "fraction must lie in"),
        (lambda: mode_time(0.5, [1.0, 2.0], 1.0), "start must be below target"),
        (lambda: recall_cosine(-1.0), "strength must be at least 0"),
        (lambda: recall_cosine(1.0, 1.1), "key must lie in"),
        (lambda: recall_cosine(1.0, -0.1), "key must lie in"),
        (lambda: recall_cosine([1.0, 2.0], [0.1]), "key must be one number or"),
        (lambda: hebbian_spike(0.5, 0.1), "rehearsals must be at least 1"),
        (lambda: hebbian_spike(2.0, 0.0), "load must lie in"),
        (lambda: hebbian_spike(2.0, 0.1, 0.0), "likeness must lie in"),
        (lambda: hebbian_spike(2.0, 0.1, 1.2), "likeness must lie in"),
        (lambda: dreamed_eigenvalues([-0.1], 1.0), "eigenvalues must be at least 0"),
        (lambda: dreamed_eigenvalues([0.1], -1.0), "time must lie in"),
        (lambda: dreaming_time(0.0, 1.0), "flipped must lie in"),
        (lambda: dreaming_time(0.6, 1.0), "flipped must lie in"),
        (lambda: dreaming_time(0.1, 0.0), "load must lie in"),
    ],
)
def test_wrong_input_is_named(call: Callable[[], Any], words: str) -> None:
    """Oracle: the documented exceptions."""
    with pytest.raises(ValueError, match=words):
        call()


def test_layers_that_are_no_number() -> None:
    """Oracle: the documented exception."""
    with pytest.raises(TypeError, match="layers must be an integer"):
        mode_strength(1.0, 1.0, 0.1, layers="two")  # type: ignore[arg-type]
