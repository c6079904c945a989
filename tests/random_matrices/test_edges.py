"""Tracy-Widom laws against published constants, many digits and simulation; ensembles too."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import eigvalsh_tridiagonal
from scipy.special import airy
from scipy.stats import kstest

from companion.random_matrices import (
    MarchenkoPastur,
    Semicircle,
    TracyWidom,
    beta_hermite,
    beta_laguerre,
    hermite_edge,
    laguerre_edge,
    largest_eigenvalue_test,
)

BETAS = (1, 2, 4)


def largest(tridiagonal: tuple[Any, Any]) -> float:
    """Return the largest eigenvalue alone."""
    last = len(tridiagonal[0]) - 1
    return float(eigvalsh_tridiagonal(*tridiagonal, select="i", select_range=(last, last))[0])


@pytest.mark.parametrize(
    ("beta", "mean", "variance", "skewness", "kurtosis"),
    [
        (1, -1.206533574582, 1.607781034581, 0.29346452408, 0.1652429384),
        (2, -1.771086807411, 0.8131947928329, 0.224084203610, 0.0934480876),
        (4, -3.262427902857, 1.035447441591, 0.165509494335, 0.0491951565),
    ],
)
def test_moments_are_the_published_ones(
    beta: int, mean: float, variance: float, skewness: float, kurtosis: float
) -> None:
    """Oracle: Bornemann (2010), table of moments; its scale of beta = 4 is ours."""
    law = TracyWidom(beta)

    def central(k: int) -> float:
        def integrand(x: float) -> float:
            return float((x - mean) ** k * law.pdf(x))

        return quad(integrand, -14, 14, epsabs=1e-11)[0]

    assert law.mean() == pytest.approx(mean, abs=2e-9)
    assert law.std() ** 2 == pytest.approx(variance, abs=2e-9)
    assert central(0) == pytest.approx(1, abs=1e-9)
    assert central(3) / variance**1.5 == pytest.approx(skewness, abs=1e-7)
    assert central(4) / variance**2 - 3 == pytest.approx(kurtosis, abs=1e-7)


def test_a_value_to_many_digits() -> None:
    """Oracle: F2(-2) by mpmath with 50 digits, from V and from the Airy kernel alike."""
    assert TracyWidom(2).cdf(-2.0) == pytest.approx(0.41322414250512255469, abs=5e-14)


@pytest.mark.parametrize(
    ("p", "value"), [(0.90, 0.4501), (0.95, 0.9793), (0.99, 2.0234), (0.05, -3.1804)]
)
def test_published_quantiles(p: float, value: float) -> None:
    """Oracle: the table in general use for beta = 1, four decimals (Johnstone 2001)."""
    assert TracyWidom(1).quantile(p) == pytest.approx(value, abs=1e-4)


def determinants(s: float, nodes: int = 36) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Return det(I - V_s) and det(I + V_s) with 40 digits, by Gauss-Legendre quadrature."""
    with mpmath.workdps(40):
        end = 2 * ((60 + max(mpmath.mpf(s), 0) ** 1.5) ** (mpmath.mpf(2) / 3) - s)
        rule = []
        for i in range(1, nodes + 1):
            x = mpmath.cos(mpmath.pi * (i - 0.25) / (nodes + 0.5))
            for _ in range(8):
                previous, here = mpmath.mpf(1), x
                for n in range(2, nodes + 1):
                    previous, here = here, ((2 * n - 1) * x * here - (n - 1) * previous) / n
                slope = nodes * (x * here - previous) / (x * x - 1)
                x -= here / slope
            rule.append(((x + 1) / 2 * end, end / ((1 - x * x) * slope**2)))
        v = mpmath.matrix(nodes, nodes)
        for i, (x, w) in enumerate(rule):
            for j, (y, u) in enumerate(rule):
                if j <= i:
                    v[i, j] = v[j, i] = mpmath.sqrt(w * u) / 2 * mpmath.airyai((x + y) / 2 + s)
        eye = mpmath.eye(nodes)
        return mpmath.det(eye - v), mpmath.det(eye + v)


@pytest.mark.parametrize("s", [-7.5, -5.5, -1.0])
def test_left_tail_and_body_to_the_promised_accuracy(s: float) -> None:
    """Oracle: the same determinants with 40 digits, on both sides of the switch to the series."""
    minus, plus = determinants(s)
    exact = {1: minus, 2: minus * plus, 4: (minus + plus) / 2}
    for beta in BETAS:
        found = float(TracyWidom(beta).cdf(s))
        assert found == pytest.approx(float(exact[beta]), rel=1e-7, abs=0)
        assert found == pytest.approx(float(exact[beta]), rel=0, abs=1e-13)


@pytest.mark.parametrize("s", [3.0, 9.0])
def test_right_tail_to_the_promised_accuracy(s: float) -> None:
    """Oracle: the same determinants with 40 digits, which the difference from one leaves intact."""
    minus, plus = determinants(s)
    with mpmath.workdps(40):
        exact = {1: 1 - minus, 2: 1 - minus * plus, 4: 1 - (minus + plus) / 2}
    for beta in BETAS:
        found = float(TracyWidom(beta).sf(s))
        assert found == pytest.approx(float(exact[beta]), rel=1e-10, abs=0)


@pytest.mark.parametrize("beta", BETAS)
def test_series_and_determinant_meet(beta: int) -> None:
    """Oracle: continuity where one method takes over from the other."""
    law = TracyWidom(beta)
    switch = -7.5 if beta == 4 else -6.0
    ends = np.array([switch - 1e-12, switch + 1e-12])
    for f in (law.cdf, law.pdf):
        left, right = f(ends)
        assert left == pytest.approx(right, rel=1e-7)
    left, right = law.sf(ends)
    assert left == pytest.approx(right, abs=1e-13)


@pytest.mark.parametrize("beta", BETAS)
def test_right_tail(beta: int) -> None:
    """Oracle: the leading terms, by SciPy's Airy function and quadrature of the kernel.

    For beta 1 the tail begins with the trace of V, for beta 2 with that of V squared, for beta 4
    with half of (trace of V squared, minus trace squared), which is minus the second symmetric
    function.
    """
    for s in (8.0, 12.0, 20.0):
        trace = quad(lambda x, s=s: airy(x + s)[0] / 2, 0, np.inf, epsabs=0)[0]
        # The double integral of V(x, y)^2 depends on u = (x + y)/2 alone, with weight 2 u.
        square = quad(lambda u, s=s: u * airy(u + s)[0] ** 2, 0, np.inf, epsabs=0)[0]
        leading = {1: trace, 2: square, 4: (square - trace**2) / 2}[beta]
        # Two terms of the beta = 4 tail nearly cancel: the oracle has fewer digits there.
        tolerance = 2e-6 if beta == 4 else 1e-7
        assert TracyWidom(beta).sf(s) == pytest.approx(leading, rel=tolerance, abs=0)


@pytest.mark.parametrize("beta", BETAS)
def test_density_is_the_derivative(beta: int) -> None:
    """Oracle: differences of the distribution function; of its complement on the right."""
    law, h = TracyWidom(beta), 1e-4
    x = np.array([-9.0, -6.5, -4.0, -3.0, -2.0, -1.0])
    slope = (law.cdf(x + h) - law.cdf(x - h)) / (2 * h)
    np.testing.assert_allclose(law.pdf(x), slope, rtol=1e-5, atol=1e-11)
    x = np.array([0.0, 2.0, 6.0, 10.0])
    slope = (law.sf(x - h) - law.sf(x + h)) / (2 * h)
    np.testing.assert_allclose(law.pdf(x), slope, rtol=1e-5, atol=0)


@pytest.mark.parametrize("beta", BETAS)
def test_quantile_inverts_both_tails(beta: int) -> None:
    """Oracle: the distribution function and its complement."""
    law = TracyWidom(beta)
    p = np.array([[1e-20, 1e-6, 0.01], [0.5, 0.9, 1 - 1e-9]])
    x = law.quantile(p)
    assert x.shape == p.shape
    np.testing.assert_allclose(law.cdf(x), p, rtol=1e-7)
    np.testing.assert_allclose(law.sf(x), 1 - p, rtol=1e-9, atol=1e-13)
    assert law.quantile(0.5).shape == ()


@pytest.mark.parametrize("beta", BETAS)
def test_sample_follows_the_law(beta: int) -> None:
    """Oracle: SciPy's Kolmogorov-Smirnov test at a fixed seed, and the moments."""
    law = TracyWidom(beta)
    values = law.sample(50_000, rng=1)
    assert kstest(values[:800], law.cdf).pvalue > 0.01
    assert abs(values.mean() - law.mean()) < 3 * law.std() / math.sqrt(50_000)
    np.testing.assert_array_equal(values[:10], law.sample(10, rng=1))
    assert law.sample(0, rng=1).shape == (0,)


class Zero(np.random.Generator):
    """A generator that draws the rarest number: zero."""

    def random(self, size: int) -> Any:  # type: ignore[override]
        return np.zeros(size)


def test_the_rarest_draw_is_finite() -> None:
    """Oracle: a generator that gives zero, whose log odds are minus infinity."""
    assert np.isfinite(TracyWidom(1).sample(1, rng=Zero(np.random.PCG64(0)))).all()


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("ensemble", ["hermite", "laguerre"])
def test_simulated_edges(beta: int, ensemble: str) -> None:
    """Oracle: simulation. A wrong scale of beta = 4, or beta for 2 beta, is many errors off."""
    rng, law, trials = np.random.default_rng(beta), TracyWidom(beta), 1200
    if ensemble == "hermite":
        values = [largest(beta_hermite(60, beta, rng=rng)) for _ in range(trials)]
        z = hermite_edge(60, beta).standardise(values)
    else:
        values = [largest(beta_laguerre(120, 60, beta, rng=rng)) for _ in range(trials)]
        z = laguerre_edge(120, 60, beta).standardise(values)
    # At this size the law itself is off by a few hundredths.
    assert abs(z.mean() - law.mean()) < 0.05 + 3 * law.std() / math.sqrt(trials)
    assert z.std() == pytest.approx(law.std(), rel=0.1)


def test_shifted_sizes_halve_the_error_at_least() -> None:
    """Oracle: simulation of small real matrices; the plain centring is known to be worse."""
    rng, law = np.random.default_rng(0), TracyWidom(1)
    values = np.array([largest(beta_hermite(10, 1, rng=rng)) for _ in range(2000)])
    shifted = abs(hermite_edge(10).standardise(values).mean() - law.mean())
    plain = abs((10 ** (2 / 3) * (values - 2)).mean() - law.mean())
    assert shifted < plain / 2


@pytest.mark.parametrize("beta", [1.0, 2.0, 4.0, 7.5])
def test_hermite_bulk_is_the_semicircle(beta: float) -> None:
    """Oracle: the law, tested elsewhere."""
    n = 1500
    spectrum = eigvalsh_tridiagonal(*beta_hermite(n, beta, rng=0))
    assert np.abs(Semicircle().cdf(spectrum) - (np.arange(n) + 0.5) / n).max() < 5 / n


@pytest.mark.parametrize("beta", [1.0, 2.0, 4.0])
def test_laguerre_bulk_is_marchenko_pastur(beta: float) -> None:
    """Oracle: the law, tested elsewhere. n and p exchanged would show at once."""
    n, p = 2000, 800
    spectrum = eigvalsh_tridiagonal(*beta_laguerre(n, p, beta, rng=0))
    law = MarchenkoPastur(p / n)
    assert np.abs(law.cdf(spectrum) - (np.arange(p) + 0.5) / p).max() < 5 / p


def test_tridiagonal_has_the_exact_moments_of_the_full_matrix() -> None:
    """Oracle: E tr A^2 / n = 1 + 1/n for real A, and E tr(X'X/n)/p = 1, in closed form."""
    rng, n, trials = np.random.default_rng(0), 5, 20_000
    squares, traces = [], []
    for _ in range(trials):
        diagonal, off = beta_hermite(n, 1, rng=rng)
        squares.append((diagonal @ diagonal + 2 * off @ off) / n)
        traces.append(beta_laguerre(n, 3, 1, rng=rng)[0].mean())
    for values, exact in ((squares, 1 + 1 / n), (traces, 1.0)):
        assert abs(np.mean(values) - exact) < 4 * np.std(values) / math.sqrt(trials)


def test_significance_test_keeps_its_level() -> None:
    """Oracle: the share of noise that it rejects, within the binomial error; wide and tall."""
    rng = np.random.default_rng(0)
    for shape in ((80, 40), (40, 80)):
        pvalues = [largest_eigenvalue_test(rng.normal(size=shape)).pvalue for _ in range(200)]
        known = [
            largest_eigenvalue_test(3 * rng.normal(size=shape), variance=9.0).pvalue
            for _ in range(200)
        ]
        for values in (pvalues, known):
            assert abs(np.mean(np.array(values) < 0.1) - 0.1) < 0.065


def test_significance_test_finds_a_strong_component() -> None:
    """Oracle: a planted component far above the edge; scale and transposition change nothing."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 50)) + 2 * rng.normal(size=(100, 1)) * np.full(50, 50**-0.5)
    found = largest_eigenvalue_test(x)
    assert found.pvalue < 1e-3
    again = largest_eigenvalue_test(100 * x)
    assert again.statistic == pytest.approx(found.statistic, rel=1e-9)
    other = largest_eigenvalue_test(x.T)
    assert other.pvalue == pytest.approx(found.pvalue, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: TracyWidom(3), ValueError, "beta must be 1, 2 or 4, got 3"),
        (lambda: TracyWidom(1.0), TypeError, "beta must be"),  # type: ignore[arg-type]
        (lambda: TracyWidom().cdf(math.nan), ValueError, "x must be finite"),
        (lambda: TracyWidom().sf([math.inf]), ValueError, "x must be finite"),
        (lambda: TracyWidom().pdf("0"), TypeError, "x must hold real numbers"),
        (lambda: TracyWidom().quantile([0.0, 0.5]), ValueError, "strictly between 0 and 1"),
        (lambda: TracyWidom().quantile(1.0), ValueError, "strictly between 0 and 1"),
        (lambda: TracyWidom().sample(-1, rng=0), ValueError, "size must be"),
        (lambda: TracyWidom().sample(1, rng="a"), TypeError, "rng must be"),  # type: ignore[arg-type]
        (lambda: hermite_edge(0), ValueError, "n must be"),
        (lambda: hermite_edge(5, 3), ValueError, "beta must be 1, 2 or 4"),
        (lambda: laguerre_edge(5, 0), ValueError, "p must be"),
        (lambda: laguerre_edge(5, 5, 3), ValueError, "beta must be 1, 2 or 4"),
        (lambda: beta_hermite(5, 0.0, rng=0), ValueError, "beta must lie in"),
        (lambda: beta_laguerre(5, 6, 1.0, rng=0), ValueError, "n must be at least p = 6, got 5"),
        (lambda: beta_laguerre(5, 5, -1.0, rng=0), ValueError, "beta must lie in"),
        (lambda: largest_eigenvalue_test(np.ones(3)), ValueError, "x must have 2 axes"),
        (lambda: largest_eigenvalue_test(np.ones((1, 9))), ValueError, "at least two rows"),
        (lambda: largest_eigenvalue_test(np.zeros((3, 3))), ValueError, "not be zero everywhere"),
        (lambda: largest_eigenvalue_test(np.full((3, 3), np.nan)), ValueError, "x must be finite"),
        (lambda: largest_eigenvalue_test(np.ones((3, 3)), variance=0.0), ValueError, "variance"),
    ],
)
def test_wrong_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    """Oracle: the messages promised."""
    with pytest.raises(error, match=message):
        call()


def test_empty_and_scalar_points() -> None:
    """Oracle: the shape of the input."""
    law = TracyWidom(2)
    assert law.cdf(np.empty((0, 3))).shape == (0, 3)
    assert law.pdf(np.float32(-1)).shape == ()
    assert law.cdf(np.linspace(-5, 2, 600).reshape(2, 300)).shape == (2, 300)
