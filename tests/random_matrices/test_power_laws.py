"""Power-law tails, against SciPy, statsmodels, brute force and simulated tails."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.diagnostic import lilliefors

from companion.random_matrices import (
    compare_tails,
    fit_power_law,
    goodness_of_fit,
    hill_estimates,
    power_laws,
)

SAMPLES = st.lists(st.floats(0.01, 100.0), min_size=6, max_size=40, unique=True)


def pareto(rng: np.random.Generator, size: Any, alpha: float = 2.5) -> Any:
    """Draw from the density (alpha - 1) x^-alpha beyond 1 by inverting its distribution."""
    return (1 - rng.random(size)) ** (-1 / (alpha - 1))


@given(SAMPLES, st.floats(0.005, 0.009))
def test_a_given_minimum(values: list[float], minimum: float) -> None:
    """Oracle: scipy.stats.pareto.fit with fixed location and scale, and scipy.stats.kstest."""
    fit = fit_power_law(values, minimum=minimum, min_tail=2)
    shape = stats.pareto.fit(values, floc=0, fscale=minimum)[0]
    assert fit.alpha == pytest.approx(1 + shape, rel=1e-9)
    assert fit.standard_error == pytest.approx(shape / math.sqrt(len(values)), rel=1e-9)
    assert (fit.tail, fit.minimum) == (len(values), pytest.approx(minimum))
    known = stats.kstest(values, stats.pareto(shape, scale=minimum).cdf).statistic
    assert fit.distance == pytest.approx(known, abs=1e-9)
    assert fit.law.sf(2 * minimum) == pytest.approx(2**-shape, rel=1e-9)


def by_trying(values: Any, least: int) -> tuple[float, ...]:
    """Try every value as the minimum, one after another."""
    best: tuple[float, ...] = (math.inf,)
    for minimum in sorted(set(values)):
        tail = [x for x in values if x >= minimum]
        if len(tail) < least or max(tail) == minimum:
            continue
        rate = len(tail) / sum(math.log(x / minimum) for x in tail)
        law = stats.pareto(rate, scale=minimum)
        distance = float(stats.kstest(tail, law.cdf).statistic)
        if distance < best[0] - 1e-12:
            best = (distance, minimum, 1 + rate, len(tail))
    return best


@given(st.lists(st.integers(1, 30), min_size=5, max_size=40), st.integers(2, 5))
def test_the_minimum_is_the_best_of_all_values(values: list[int], least: int) -> None:
    """Oracle: a loop over the candidates with scipy.stats.kstest, ties included."""
    if len(set(values)) == 1:
        return
    distance, minimum, alpha, tail = by_trying(values, least)
    fit = fit_power_law(values, min_tail=least)
    assert fit.distance == pytest.approx(distance, abs=1e-9)
    others = [fit_power_law(values, minimum=fit.minimum * (1 - 1e-12), min_tail=2).distance]
    assert others[0] == pytest.approx(distance, abs=1e-8)
    if fit.minimum == pytest.approx(minimum):
        assert (fit.alpha, fit.tail) == (pytest.approx(alpha), tail)


def test_blocks_do_not_change_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the same search with one candidate at a time."""
    values = np.random.default_rng(0).lognormal(size=400)
    known = fit_power_law(values)
    monkeypatch.setattr(power_laws, "_BLOCK", 1)
    assert fit_power_law(values) == known


def test_hill_estimates_are_the_sums() -> None:
    """Oracle: Hill's sum, written as a loop, with a tie and in any order."""
    values = np.array([3.0, 1.0, 8.0, 2.0, 3.0, 5.0])
    falling = sorted(values, reverse=True)
    known = [
        1 + m / sum(math.log(x / falling[m - 1]) for x in falling[:m])
        for m in range(2, len(values) + 1)
    ]
    np.testing.assert_allclose(hill_estimates(values), known, rtol=1e-12)
    np.testing.assert_allclose(hill_estimates(7 * values), known, rtol=1e-12)


def test_the_standard_error_covers() -> None:
    """Oracle: independent Pareto samples. Exponent minus one is m over a Gamma variable."""
    rng, m = np.random.default_rng(0), 200
    fits = [fit_power_law(pareto(rng, m), minimum=1.0) for _ in range(500)]
    z = np.array([(fit.alpha - 2.5) / fit.standard_error for fit in fits])
    # The mean of m / Gamma(m) is m / (m - 1), so the estimate is too large by 1 / (m - 1).
    alphas = np.array([fit.alpha for fit in fits])
    expected = 1 + 1.5 * m / (m - 1)
    assert alphas.mean() == pytest.approx(expected, abs=4 * alphas.std() / math.sqrt(500))
    assert np.mean(np.abs(z) < 1.96) == pytest.approx(0.95, abs=0.03)


def test_the_minimum_of_clauset_shalizi_and_newman_is_found() -> None:
    """Oracle: their test density (their equation 3.10), exponential below 100 and 2.5 beyond."""
    rng = np.random.default_rng(1)
    # Mass of exp(-alpha (x / 100 - 1)) below 100 against that of (x / 100)^-alpha beyond.
    below, beyond = math.expm1(2.5) / 2.5, 1 / 1.5
    fits = []
    for _ in range(20):
        body = rng.random(1000) < below / (below + beyond)
        u = rng.random(1000)
        x = np.where(body, -100 / 2.5 * np.log1p(u * math.expm1(-2.5)), 100 * pareto(rng, 1000))
        fits.append(fit_power_law(x))
    assert np.mean([fit.alpha for fit in fits]) == pytest.approx(2.5, abs=0.1)
    # Density and slope join smoothly at 100, so that a minimum somewhat below fits as well.
    assert 60 < np.median([fit.minimum for fit in fits]) < 120


@settings(max_examples=25)
@given(SAMPLES, st.floats(0.1, 10.0), st.floats(0.3, 3.0))
def test_scale_and_power(values: list[float], scale: float, power: float) -> None:
    """Invariant: in other units nothing changes; a power p divides alpha - 1 by p."""
    fit = fit_power_law(values, min_tail=5)
    again = fit_power_law(scale * np.array(values) ** power, min_tail=5)
    assert again.distance == pytest.approx(fit.distance, abs=1e-9)
    if again.tail == fit.tail:
        assert again.alpha - 1 == pytest.approx((fit.alpha - 1) / power, rel=1e-7)
        assert again.minimum == pytest.approx(scale * fit.minimum**power, rel=1e-9)


def test_squares_of_singular_values_have_half_the_rate() -> None:
    """Oracle: the rule of change of variables; float32 and integers are taken too."""
    values = np.random.default_rng(0).pareto(2.0, 100).astype(np.float32) + np.float32(1)
    fit, squared = fit_power_law(values), fit_power_law(values.astype(np.float64) ** 2)
    assert squared.alpha - 1 == pytest.approx((fit.alpha - 1) / 2)
    assert isinstance(fit.alpha, float)
    assert fit_power_law(np.arange(1, 30)).alpha > 1


def test_with_a_given_minimum_the_test_is_that_of_lilliefors() -> None:
    """Oracle: statsmodels' test of an exponential law, for the logarithms."""
    rng = np.random.default_rng(3)
    for _ in range(4):
        y = rng.gamma(1.3, size=60)
        known = lilliefors(y, dist="exp", pvalmethod="table")
        got = goodness_of_fit(np.exp(y), minimum=1.0, rng=1, repeats=600)
        assert got.fit.distance == pytest.approx(known[0], abs=1e-9)
        assert got.pvalue == pytest.approx(known[1], abs=0.07)


def test_pvalues_are_uniform_under_a_power_law() -> None:
    """Oracle: uniformity. With a given minimum it is exact, with a chosen one it is near."""
    rng = np.random.default_rng(0)
    given_minimum = [
        goodness_of_fit(pareto(rng, 50), minimum=1.0, rng=rng, repeats=39).pvalue
        for _ in range(150)
    ]
    # Forty values are possible, so that a uniform law on them is 1/40 from the continuous one.
    shifted = np.array(given_minimum) - rng.random(150) / 40
    assert stats.kstest(shifted, "uniform").pvalue > 0.01
    chosen = np.array(
        [goodness_of_fit(pareto(rng, 100), rng=rng, repeats=39).pvalue for _ in range(150)]
    )
    assert chosen.mean() == pytest.approx(0.5, abs=0.12)
    assert np.mean(chosen <= 0.1) <= 0.2


def test_bodies_below_the_minimum_are_kept() -> None:
    """Oracle: a power law that begins at the median, over a body of another shape."""
    rng = np.random.default_rng(5)
    values = np.concatenate([rng.uniform(0.5, 1.0, 100), pareto(rng, 100)])
    test = goodness_of_fit(values, rng=0, repeats=100)
    assert 0.7 < test.fit.minimum < 1.5
    assert test.pvalue > 0.1
    assert goodness_of_fit(values, minimum=0.5, rng=0, repeats=100).pvalue < 0.05


def test_the_end_of_a_bounded_law_passes_for_a_power_law() -> None:
    """Oracle: the exponent. Uniform values are no power law, and their tail has no other flaw."""
    values = np.random.default_rng(5).uniform(1, 2, 300)
    assert goodness_of_fit(values, minimum=1.0, rng=0, repeats=100).pvalue < 0.02
    test = goodness_of_fit(values, rng=0, repeats=100)
    assert (test.pvalue > 0.1, test.fit.alpha > 20, test.fit.tail < 100) == (True, True, True)


def test_what_the_test_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the share beyond the minimum, the mean of an exponential law, and the body."""
    rng, drawn = np.random.default_rng(8), []
    values = np.concatenate([rng.uniform(0.5, 1.0, 150), pareto(rng, 100)])
    fit, known = power_laws._fit, fit_power_law(values)

    def spy(logs: Any, start: float | None, least: int) -> Any:
        drawn.append(logs)
        return fit(logs, start, least)

    monkeypatch.setattr(power_laws, "_fit", spy)
    goodness_of_fit(values, rng=0, repeats=200)
    together = np.concatenate(drawn[1:])
    assert together.size == 200 * values.size
    # The logarithm of the minimum may differ in the last digit.
    tail = together[together > math.log(known.minimum) - 1e-12]
    assert tail.size / together.size == pytest.approx(known.tail / values.size, abs=0.01)
    mean = (tail - math.log(known.minimum)).mean()
    assert mean == pytest.approx(1 / (known.alpha - 1), rel=0.03)
    body = np.log(values[values < known.minimum])
    assert set(together[together < math.log(known.minimum) - 1e-12]) == set(body)


def test_the_data_count_among_the_draws() -> None:
    """Oracle: no draw is as far away, so the p-value is one of the number of draws plus one."""
    values = np.random.default_rng(0).uniform(1, 2, 500)
    assert goodness_of_fit(values, minimum=1.0, rng=0, repeats=49).pvalue == 1 / 50


def test_the_same_seed_gives_the_same_pvalue() -> None:
    """Invariant: randomness comes from `rng` alone, and the values are not changed."""
    values = pareto(np.random.default_rng(0), 80)
    before = values.copy()
    first = goodness_of_fit(values, rng=4, repeats=30)
    assert first == goodness_of_fit(values, rng=np.random.default_rng(4), repeats=30)
    assert first.fit == fit_power_law(values)
    assert first.pvalue == pytest.approx(round(first.pvalue * 31) / 31)
    np.testing.assert_array_equal(values, before)


@given(SAMPLES)
def test_exponential_tails(values: list[float]) -> None:
    """Oracle: scipy.stats' densities at their maximum, and Vuong's formula."""
    got = compare_tails(values, "exponential", minimum=0.005, min_tail=2)
    x = np.array(values)
    shape = stats.pareto.fit(x, floc=0, fscale=0.005)[0]
    rate = 1 / (x.mean() - 0.005)
    terms = stats.pareto.logpdf(x, shape, scale=0.005) - stats.expon.logpdf(x, 0.005, 1 / rate)
    assert got.parameters == (pytest.approx(rate, rel=1e-7),)
    assert got.ratio == pytest.approx(terms.sum(), abs=1e-6)
    vuong = terms.sum() / (terms.std() * math.sqrt(x.size))
    assert got.statistic == pytest.approx(vuong, abs=1e-6)
    assert got.pvalue == pytest.approx(2 * stats.norm.sf(abs(vuong)), abs=1e-6)


def best_lognormal(x: Any, minimum: float) -> tuple[float, float, float]:
    """Maximise the likelihood of a lognormal cut off at the minimum, by Nelder and Mead."""

    def cost(parameters: Any) -> float:
        mean, deviation = parameters[0], math.exp(parameters[1])
        z = (np.log(x) - mean) / deviation
        cut = stats.norm.logsf((math.log(minimum) - mean) / deviation)
        return float(-np.sum(stats.norm.logpdf(z) - math.log(deviation) - np.log(x) - cut))

    found = optimize.minimize(
        cost,
        [np.log(x).mean(), math.log(np.log(x).std())],
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 20_000, "maxfev": 20_000},
    )
    return -float(found.fun), float(found.x[0]), math.exp(found.x[1])


@pytest.mark.parametrize("minimum", [0.4, 1.0, 2.0])
def test_lognormal_tails(minimum: float) -> None:
    """Oracle: a general optimiser with scipy.stats' normal law; the likelihood ratio's law."""
    x = np.random.default_rng(0).lognormal(0.3, 0.8, size=400)
    x = x[x >= minimum]
    got = compare_tails(x, "lognormal", minimum=minimum)
    likelihood, mean, deviation = best_lognormal(x, minimum)
    shape = stats.pareto.fit(x, floc=0, fscale=minimum)[0]
    power = stats.pareto.logpdf(x, shape, scale=minimum).sum()
    assert got.ratio == pytest.approx(power - likelihood, abs=1e-6)
    assert got.parameters == (pytest.approx(mean, abs=1e-3), pytest.approx(deviation, abs=1e-3))
    assert got.pvalue == pytest.approx(stats.chi2.sf(-2 * got.ratio, 1) / 2)
    assert got.statistic < 0


@given(SAMPLES)
def test_a_lognormal_tail_is_never_worse(values: list[float]) -> None:
    """Oracle: the power law is its limit, reached if the logarithms spread at least their mean."""
    got = compare_tails(values, "lognormal", minimum=0.005, min_tail=2)
    y = np.log(np.array(values) / 0.005)
    assert got.ratio <= 1e-9
    assert np.isfinite([got.ratio, got.statistic, got.pvalue]).all()
    # Next to the border the two laws differ by less than the series distinguishes.
    if y.std() > y.mean():
        assert (got.ratio, got.statistic, got.pvalue) == (0.0, 0.0, 1.0)
        assert got.parameters == (-math.inf, math.inf)
    elif y.std() < 0.99 * y.mean():
        assert got.ratio < 0


def test_far_from_the_minimum_a_lognormal_is_not_cut() -> None:
    """Oracle: mean and standard deviation of the logarithms, for a narrow law; and continuity."""
    y = np.random.default_rng(0).normal(50.0, 1.0, size=200)
    for values, rel in ((y, 1e-12), (40.5 + (y - 50), 1e-9), (38.0 + (y - 50), 1e-9)):
        mean, deviation = compare_tails(np.exp(values), "lognormal", minimum=1.0).parameters
        assert mean == pytest.approx(values.mean(), rel=rel)
        assert deviation == pytest.approx(values.std(), rel=1e-6)


def test_the_law_of_the_ratio_under_a_power_law() -> None:
    """Oracle: half of the ratios are zero, and the p-value keeps its level (large samples)."""
    rng = np.random.default_rng(2)
    pvalues = np.array(
        [compare_tails(pareto(rng, 2000), "lognormal", minimum=1.0).pvalue for _ in range(400)]
    )
    assert np.mean(pvalues == 1.0) == pytest.approx(0.5, abs=0.08)
    assert np.mean(pvalues < 0.1) == pytest.approx(0.1, abs=0.05)


def test_the_comparison_uses_the_fitted_minimum() -> None:
    """Oracle: the comparison with that minimum given."""
    values = np.random.default_rng(0).lognormal(size=200)
    fit = fit_power_law(values)
    for alternative in power_laws.ALTERNATIVES:
        chosen = compare_tails(values, alternative)
        given_minimum = compare_tails(values, alternative, minimum=fit.minimum * (1 - 1e-13))
        assert chosen.ratio == pytest.approx(given_minimum.ratio, abs=1e-8)
        assert chosen.parameters == pytest.approx(given_minimum.parameters, rel=1e-6)


GOOD = np.linspace(1, 2, 20)
CALLS: list[tuple[Any, type[Exception], str]] = [
    (lambda: fit_power_law([*GOOD, 0.0]), ValueError, "values must be positive, got 0"),
    (lambda: fit_power_law([*GOOD, np.nan]), ValueError, "values must be finite"),
    (lambda: fit_power_law(np.ones((3, 3))), ValueError, "values must have 1 axes"),
    (lambda: fit_power_law([]), ValueError, "at least min_tail = 10 values, got 0"),
    (lambda: fit_power_law(GOOD[:9]), ValueError, "at least min_tail = 10 values, got 9"),
    (lambda: fit_power_law(GOOD, minimum=1.9), ValueError, "at least min_tail = 10 values, got 2"),
    (lambda: fit_power_law(GOOD, minimum=0.0), ValueError, "minimum must lie in"),
    (lambda: fit_power_law(GOOD, min_tail=1), ValueError, "min_tail must be at least 2"),
    (lambda: fit_power_law(np.ones(20)), ValueError, "must differ, got 20 times 1"),
    (lambda: hill_estimates([1.0]), ValueError, "at least min_tail = 2 values, got 1"),
    (lambda: hill_estimates([1.0, 2.0, 2.0]), ValueError, "two different largest"),
    (lambda: goodness_of_fit(GOOD, rng=0, repeats=0), ValueError, "repeats must be at least 1"),
    (lambda: goodness_of_fit(GOOD, rng=-1), ValueError, "rng must be a non-negative seed"),
    (lambda: compare_tails(GOOD, "normal"), ValueError, "alternative must be one of"),
    (lambda: compare_tails(["a"], "lognormal"), TypeError, "values must hold real numbers"),
]


@pytest.mark.parametrize(("call", "error", "words"), CALLS)
def test_errors_say_what_is_wrong(call: Any, error: type[Exception], words: str) -> None:
    """Oracle: the message that the docstring promises."""
    with pytest.raises(error, match=words):
        call()
