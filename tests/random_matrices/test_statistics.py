"""Distances and spacings, against SciPy, published means, and integrals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from companion.random_matrices import (
    MarchenkoPastur,
    Semicircle,
    gaussian_ensemble,
    spacing_ratios,
    spectral_distance,
    wigner_surmise,
    wishart,
)


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=30))
def test_kolmogorov_distance(values: list[float]) -> None:
    """Oracle: scipy.stats.kstest, ties included."""
    known = stats.kstest(values, lambda x: Semicircle().cdf(x)).statistic
    assert spectral_distance(values, Semicircle()) == pytest.approx(known, abs=1e-12)


def test_wasserstein_distance() -> None:
    """Oracle: scipy.stats.wasserstein_distance to a million quantiles, up to order 1/n."""
    n, law = 200, Semicircle()
    values = np.random.default_rng(0).normal(size=n)
    fine = law.quantile((np.arange(1_000_000) + 0.5) / 1_000_000)
    known = stats.wasserstein_distance(values, fine)
    assert spectral_distance(values, law, metric="wasserstein") == pytest.approx(known, abs=4 / n)
    assert spectral_distance(law.quantile([0.25, 0.75]), law, metric="wasserstein") < 1e-12


def test_an_atom_counts_as_what_it_is() -> None:
    """Oracle: the ranks. Of 4n eigenvalues 3n are zero but for rounding, on either side."""
    values = np.linalg.eigvalsh(wishart(100, 400, rng=0))
    law = MarchenkoPastur(4.0)
    assert (np.abs(values) < 1e-10).sum() == 300
    assert spectral_distance(values, law) < 0.01
    assert spectral_distance(values, law, metric="wasserstein") < 0.05
    # The same eigenvalues without any zero are three quarters of the mass away.
    assert spectral_distance(values[300:], law) == pytest.approx(0.75, abs=0.01)
    # At the atom both sides count: all values zero are 1/4 too many.
    assert spectral_distance(np.zeros(5), law) == pytest.approx(0.25)


def test_eigenvalues_are_closer_to_the_law_than_independent_values() -> None:
    """Oracle: the mean of Kolmogorov's law for independent values, sqrt(pi/2) ln 2 / sqrt(n)."""
    n, law, rng = 300, Semicircle(), np.random.default_rng(0)
    draws = [spectral_distance(law.quantile(rng.random(n)), law) for _ in range(200)]
    expected = math.sqrt(math.pi / 2) * math.log(2) / math.sqrt(n)
    assert np.mean(draws) == pytest.approx(expected, rel=0.05)
    matrices = [gaussian_ensemble(n, rng=seed) for seed in range(5)]
    assert max(spectral_distance(np.linalg.eigvalsh(h), law) for h in matrices) < expected / 4


@pytest.mark.parametrize(
    ("beta", "known"), [(1, 0.5307), (2, 0.5996), (4, 0.6744)], ids=["GOE", "GUE", "GSE"]
)
def test_mean_ratio_of_the_ensembles(beta: int, known: float) -> None:
    """Oracle: Atas et al. (2013), table I, in the middle half of the spectrum."""
    ratios = []
    for seed in range(12):
        values = np.linalg.eigvalsh(gaussian_ensemble(240, beta=beta, rng=seed))
        values = values[:: 2 if beta == 4 else 1]
        ratios.append(spacing_ratios(values[60:180]).mean())
    error = np.std(ratios, ddof=1) / math.sqrt(len(ratios))
    assert np.mean(ratios) == pytest.approx(known, abs=4 * error)
    assert error < 0.01


def test_mean_ratio_of_independent_values() -> None:
    """Oracle: 2 ln 2 - 1."""
    ratios = spacing_ratios(np.random.default_rng(0).random(40_000))
    assert ratios.mean() == pytest.approx(2 * math.log(2) - 1, abs=0.006)
    assert ratios.min() >= 0
    assert ratios.max() <= 1


def test_ratios_of_a_known_list() -> None:
    """Oracle: gaps 1, 2, 4 by hand, in any order of the values; a zero gap gives 0."""
    np.testing.assert_array_equal(spacing_ratios([3.0, 0.0, 7.0, 1.0]), [0.5, 0.5])
    np.testing.assert_array_equal(spacing_ratios([0.0, 0.0, 1.0]), [0.0])
    assert spacing_ratios(np.array([0, 1, 3], dtype=np.float32)).dtype == np.float32


@pytest.mark.parametrize("beta", [0.5, 1, 2, 4, 7.5])
def test_surmise_has_mass_and_mean_one(beta: float) -> None:
    """Oracle: scipy.integrate.quad."""
    for power in (0, 1):
        total, _ = quad(lambda s, k=power: s**k * float(wigner_surmise(s, beta)), 0, 20, limit=200)
        assert total == pytest.approx(1, abs=1e-7)


def test_surmises_in_their_textbook_form() -> None:
    """Oracle: Mehta's formulas for the three ensembles."""
    s = np.linspace(0, 4, 9)
    pi = math.pi
    known = {
        1: pi / 2 * s * np.exp(-pi / 4 * s**2),
        2: 32 / pi**2 * s**2 * np.exp(-4 / pi * s**2),
        4: 2**18 / (3**6 * pi**3) * s**4 * np.exp(-64 / (9 * pi) * s**2),
    }
    for beta, density in known.items():
        np.testing.assert_allclose(wigner_surmise(s, beta), density, rtol=1e-13)


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_surmise_is_exact_for_two_eigenvalues(beta: int) -> None:
    """Oracle: the gaps of 4,000 drawn matrices, by a Kolmogorov test at a level of 0.1 per cent."""
    values = np.array(
        [np.linalg.eigvalsh(gaussian_ensemble(2, beta=beta, rng=s)) for s in range(4000)]
    )
    gaps = values[:, -1] - values[:, 0]
    s = np.linspace(0, 6, 6001)
    mass = np.concatenate([[0], np.cumsum(wigner_surmise(s, beta)[1:]) * 1e-3])
    test = stats.kstest(gaps / gaps.mean(), lambda x: np.interp(x, s, mass))
    assert test.pvalue > 1e-3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: spectral_distance([], Semicircle()), ValueError, "must not be empty"),
        (lambda: spectral_distance([math.nan], Semicircle()), ValueError, "must be finite"),
        (lambda: spectral_distance([[1.0]], Semicircle()), ValueError, "must have 1 axes"),
        (lambda: spectral_distance([1j], Semicircle()), TypeError, "must hold real numbers"),
        (
            lambda: spectral_distance([1.0], Semicircle(), metric="l2"),
            ValueError,
            "metric must be one of",
        ),
        (lambda: spacing_ratios([1.0, 2.0]), ValueError, "at least three, got 2"),
        (lambda: spacing_ratios([1.0, 1.0, 1.0]), ValueError, "three of the eigenvalues"),
        (lambda: wigner_surmise(-1.0, 1), ValueError, "s must not be negative"),
        (lambda: wigner_surmise(1.0, 0), ValueError, "beta must lie in"),
    ],
)
def test_wrong_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    """Oracle: the messages promised."""
    with pytest.raises(error, match=message):
        call()
