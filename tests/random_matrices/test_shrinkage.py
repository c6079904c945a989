"""Shrinkage against published constants, closed forms, brute-force search and scikit-learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.covariance import ledoit_wolf

from companion.random_matrices import (
    covariance_outlier,
    denoise,
    noise_level,
    optimal_threshold,
    rectangular_outlier,
    rectangular_strength,
    shrink,
    shrink_covariance,
)

aspects = st.floats(0.01, 1.0)


def planted(
    shape: tuple[int, int], strengths: Any, rng: np.random.Generator, noise: float = 1.0
) -> tuple[Any, Any]:
    """Return a signal with these strengths in units of the noise, and signal plus noise."""
    k = len(strengths)
    u = np.linalg.qr(rng.normal(size=(shape[0], k)))[0]
    v = np.linalg.qr(rng.normal(size=(shape[1], k)))[0]
    signal = noise * math.sqrt(max(shape)) * (u * np.asarray(strengths)) @ v.T
    return signal, signal + noise * rng.normal(size=shape)


def test_threshold_of_a_square_matrix() -> None:
    """Oracle: Gavish and Donoho (2014): 4/sqrt(3); and sqrt(2) as the aspect goes to zero."""
    assert optimal_threshold(1.0) == pytest.approx(4 / math.sqrt(3), rel=1e-15)
    assert optimal_threshold(1e-9) == pytest.approx(math.sqrt(2), rel=1e-8)


@given(aspects)
def test_threshold_in_its_published_form(b: float) -> None:
    """Oracle: the formula as Gavish and Donoho (2014) print it, which the code does not use."""
    published = math.sqrt(2 * (b + 1) + 8 * b / (b + 1 + math.sqrt(b * b + 14 * b + 1)))
    assert optimal_threshold(b) == pytest.approx(published, rel=1e-12)


@given(aspects)
def test_threshold_is_where_the_best_shrinkage_halves(aspect: float) -> None:
    """Oracle: keeping pays if y < 2 eta, with eta the best number for the squared error."""
    tau = optimal_threshold(aspect)
    assert float(shrink(tau, aspect)) == pytest.approx(tau / 2, rel=1e-9)


@pytest.mark.parametrize("aspect", [0.1, 0.25, 0.5, 0.75, 1.0])
def test_threshold_for_unknown_noise(aspect: float) -> None:
    """Oracle: the published fit of threshold over median, good to 0.02.

    Gavish and Donoho (2014): 0.56 b^3 - 0.95 b^2 + 1.82 b + 1.43. With rows and columns the wrong
    way round the ratio would be off by up to a factor of sqrt(1 / b).
    """
    rows, columns = 1000, round(1000 * aspect)
    x = np.random.default_rng(0).normal(size=(rows, columns))
    median = np.median(np.linalg.svd(x, compute_uv=False))
    factor = optimal_threshold(aspect) * noise_level(x) * math.sqrt(rows) / median
    fit = 0.56 * aspect**3 - 0.95 * aspect**2 + 1.82 * aspect + 1.43
    assert factor == pytest.approx(fit, abs=0.02)
    assert noise_level(x.T) == pytest.approx(noise_level(x), rel=1e-9)


@pytest.mark.parametrize("shape", [(200, 800), (800, 200), (400, 400)])
def test_noise_is_found(shape: tuple[int, int]) -> None:
    """Oracle: the noise that was put in, with a strong signal in the way."""
    _, x = planted(shape, [9.0, 5.0, 3.0], np.random.default_rng(0), noise=2.5)
    assert noise_level(x) == pytest.approx(2.5, rel=0.02)


@given(aspects)
def test_threshold_is_where_keeping_begins_to_pay(aspect: float) -> None:
    """Oracle: the two errors of one spike. Dropped: theta^2. Kept: theta^2 + y^2 - 2 theta y c.

    The worst case of a threshold lies where both are equal.
    """
    y = optimal_threshold(aspect)
    theta = float(rectangular_strength(y, aspect))
    out = rectangular_outlier(theta, aspect)
    kept = theta**2 + y**2 - 2 * theta * y * math.sqrt(out.left * out.right)
    assert kept == pytest.approx(theta**2, rel=1e-6)


@given(aspects, st.floats(1.05, 8.0))
def test_rules_minimise_their_losses(aspect: float, times: float) -> None:
    """Oracle: a search over all values, on the 2 x 2 block that holds a spike and its estimate."""
    theta = times * aspect**0.25
    out = rectangular_outlier(theta, aspect)
    left, right = math.sqrt(out.left), math.sqrt(out.right)
    a = np.array([left, math.sqrt(1 - out.left)])
    b = np.array([right, math.sqrt(1 - out.right)])
    signal = np.array([[theta, 0.0], [0.0, 0.0]])
    for rule, order in (("frobenius", "fro"), ("operator", 2), ("nuclear", "nuc")):

        def loss(value: float, order: Any = order) -> float:
            return float(np.linalg.norm(signal - value * np.outer(a, b), order))

        best = minimize_scalar(loss, bounds=(0, 3 * theta), method="bounded")
        value = float(shrink(float(out.position), aspect, rule))
        # The operator loss has a kink, or a flat stretch: compare the losses.
        assert loss(value) <= best.fun + 1e-6 * theta


@given(aspects, st.floats(0.0, 20.0))
def test_frobenius_rule_in_closed_form(aspect: float, y: float) -> None:
    """Oracle: the formula of Gavish and Donoho (2017), which the code does not use."""
    inside = (y**2 - aspect - 1) ** 2 - 4 * aspect
    expected = math.sqrt(inside) / y if y > 1 + math.sqrt(aspect) and inside > 0 else 0.0
    assert float(shrink(y, aspect)) == pytest.approx(expected, abs=1e-6)


@given(aspects)
def test_order_of_the_rules(aspect: float) -> None:
    """Oracle: nuclear below Frobenius below operator below the value itself; all grow."""
    y = np.linspace(0, 10, 400)
    rules = [shrink(y, aspect, rule) for rule in ("nuclear", "frobenius", "operator")]
    for low, high in zip(rules, [*rules[1:], y], strict=True):
        assert np.all(low <= high + 1e-9)
    for values in rules:
        assert np.all(np.diff(values) >= -1e-9)
        assert np.all(values[y <= 1 + math.sqrt(aspect)] == 0)


@pytest.mark.parametrize("shape", [(150, 600), (600, 150), (300, 300)])
@pytest.mark.parametrize("known", [True, False])
def test_denoising_predicts_its_error(shape: tuple[int, int], known: bool) -> None:
    """Oracle: the asymptotic error, theta^2 (1 - left right) a spike; and the rank planted."""
    rng, strengths = np.random.default_rng(0), np.array([6.0, 4.0, 2.5])
    signal, x = planted(shape, strengths, rng, noise=0.5)
    result = denoise(x, noise=0.5 if known else None)
    out = rectangular_outlier(strengths, min(shape) / max(shape))
    expected = float(np.sum(strengths**2 * (1 - out.left * out.right)))
    error = np.sum((result.matrix - signal) ** 2) / (0.25 * max(shape))
    assert error == pytest.approx(expected, rel=0.12)
    assert result.rank == 3
    assert result.noise == pytest.approx(0.5, rel=0.03)
    hard = denoise(x, rule="threshold", noise=result.noise)
    assert hard.rank == 3
    assert np.linalg.norm(hard.matrix - signal) > np.linalg.norm(result.matrix - signal)


def test_pure_noise_and_no_noise() -> None:
    """Oracle: nothing remains of noise under the threshold; a matrix of low rank is left alone."""
    rng = np.random.default_rng(0)
    assert denoise(rng.normal(size=(300, 200)), rule="threshold").rank == 0
    exact = np.outer(rng.normal(size=30), np.eye(20)[0])
    exact[:, 1:] = 0
    result = denoise(exact)
    np.testing.assert_array_equal(result.matrix, exact)
    assert (result.rank, result.noise) == (1, 0.0)


def test_float32_stays() -> None:
    """Oracle: the type of the input."""
    x = np.random.default_rng(0).normal(size=(30, 20)).astype(np.float32)
    assert denoise(x).matrix.dtype == np.float32
    assert shrink_covariance(x).dtype == np.float32


@pytest.mark.parametrize("loss", ["frobenius", "operator"])
@pytest.mark.parametrize(("rows", "columns"), [(600, 200), (200, 400)])
def test_covariance(loss: str, rows: int, columns: int) -> None:
    """Oracle: the planted covariance; scikit-learn's Ledoit-Wolf, which knows nothing of spikes."""
    rng = np.random.default_rng(0)
    truth = 4 * np.eye(columns)
    truth[0, 0], truth[1, 1] = 80.0, 40.0
    order = "fro" if loss == "frobenius" else 2
    errors = []
    for _ in range(8):
        x = rng.normal(size=(rows, columns)) * np.sqrt(np.diag(truth))
        estimates = (
            shrink_covariance(x, loss=loss),
            x.T @ x / rows,
            ledoit_wolf(x, assume_centered=True)[0],
        )
        errors.append([np.linalg.norm(estimate - truth, order) for estimate in estimates])
    ours, sample, ledoit = np.mean(errors, axis=0)
    assert ours < min(sample, ledoit)
    np.testing.assert_allclose(estimates[0], estimates[0].T, atol=1e-12)
    assert np.linalg.eigvalsh(estimates[0])[0] == pytest.approx(4, rel=0.05)


@given(st.floats(0.05, 3.0), st.floats(1.05, 20.0))
def test_covariance_shrinker_inverts_the_outlier(aspect: float, times: float) -> None:
    """Oracle: covariance_outlier on data made to have exactly one eigenvalue beyond the edge."""
    rows = 60
    columns = max(1, round(aspect * rows))
    q = columns / rows
    ell = 1 + times * math.sqrt(q)
    out = covariance_outlier(ell, q)
    x = np.zeros((rows, columns))
    x[0, 0] = math.sqrt(rows * float(out.position))
    found = shrink_covariance(x, loss="operator", noise=1.0)[0, 0]
    assert found == pytest.approx(ell, rel=1e-6)
    shrunk = shrink_covariance(x, noise=1.0)[0, 0]
    assert shrunk == pytest.approx(1 + (ell - 1) * float(out.overlap), rel=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: optimal_threshold(0.0), ValueError, "aspect must lie in"),
        (lambda: optimal_threshold(4.0), ValueError, "aspect must lie in"),
        (lambda: noise_level(np.empty((0, 3))), ValueError, "matrix must not be empty"),
        (lambda: noise_level([1.0]), ValueError, "matrix must have 2 axes"),
        (lambda: shrink([-1.0], 1.0), ValueError, "singular_values must be at least 0"),
        (lambda: shrink([1.0], 1.5), ValueError, "aspect must lie in"),
        (lambda: shrink([1.0], 1.0, "ridge"), ValueError, "rule must be one of"),
        (lambda: denoise(np.full((2, 2), np.nan)), ValueError, "matrix must be finite"),
        (lambda: denoise(np.eye(2), rule="hard"), ValueError, "rule must be one of"),
        (lambda: denoise(np.eye(2), noise=0.0), ValueError, "noise must lie in"),
        (lambda: shrink_covariance(np.eye(2), loss="nuclear"), ValueError, "loss must be one of"),
        (lambda: shrink_covariance(np.zeros((4, 3))), ValueError, "noise must lie in"),
        (lambda: shrink_covariance("x"), TypeError, "x must hold real numbers"),
    ],
)
def test_wrong_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    """Oracle: the messages promised."""
    with pytest.raises(error, match=message):
        call()
