"""Laws of eigenvalues, against numerical integration, published numbers and simulated matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.integrate import quad

from companion.random_matrices import Law, MarchenkoPastur, Semicircle

LAWS = [
    Semicircle(),
    Semicircle(2.5),
    *(MarchenkoPastur(q, v) for q in (0.01, 0.25, 0.9, 1.0, 1.1, 4.0, 50.0) for v in (1.0, 2.5)),
]
aspects = st.floats(0.01, 100.0)
variances = st.floats(0.01, 100.0)


def integral(law: Law, f: Any, low: float, high: float) -> float:
    """Integrate f times the density after the substitution x = middle - half cos(angle)."""
    a, b = law.support
    middle, half = (a + b) / 2, (b - a) / 2

    def integrand(angle: float) -> float:
        x = middle - half * math.cos(angle)
        return float(f(x) * law.pdf(x) * half * math.sin(angle))

    angles = [math.acos(np.clip((middle - x) / half, -1, 1)) for x in (low, high)]
    return quad(integrand, *angles, epsabs=1e-13, limit=400)[0]


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_cdf_is_the_integral_of_the_density(law: Law) -> None:
    """Oracle: scipy.integrate.quad."""
    low, high = law.support
    x = np.linspace(low, high, 9)[1:]
    mass = [law.atom + integral(law, lambda _: 1.0, low, end) for end in x]
    np.testing.assert_allclose(law.cdf(x), mass, rtol=0, atol=1e-9)
    assert law.cdf(high) == pytest.approx(1, abs=1e-14)
    assert law.cdf(high + 1) == 1
    assert law.cdf(min(low, 0) - 1) == 0
    assert law.cdf(low) == pytest.approx(law.atom, abs=1e-14)


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_quantile_inverts_cdf(law: Law) -> None:
    """Oracle: the cdf, tested above; and the ends of the support."""
    p = np.linspace(0, 1, 41)
    x = law.quantile(p)
    np.testing.assert_allclose(law.cdf(x), np.maximum(p, law.atom), rtol=0, atol=1e-13)
    assert np.all(np.diff(x) >= 0)
    assert law.quantile(1.0) == pytest.approx(law.support[1], abs=1e-15)
    assert law.quantile(0.0) == (0.0 if law.atom else law.support[0])
    assert law.quantile(0.5).shape == ()


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize("time", [0.0, 1.0, 30.0])
def test_expectation(law: Law, time: float) -> None:
    """Oracle: scipy.integrate.quad, with the atom added by hand."""
    high = law.support[1]
    expected = law.atom + integral(law, lambda x: math.exp(-time * x / high), *law.support)
    assert law.expect(lambda x: np.exp(-time * x / high)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("q", [0.99, 0.999, 0.99999, 1.00001, 1.001, 1.01])
def test_expectation_near_aspect_one(q: float) -> None:
    """Oracle: the rule of a million points, which resolves the pole; and total mass one."""
    law = MarchenkoPastur(q)
    assert law.expect(np.ones_like, points=50) == pytest.approx(1, abs=1e-13)
    fine = law.expect(lambda x: np.exp(-x), points=1_000_000)
    assert law.expect(lambda x: np.exp(-x)) == pytest.approx(fine, abs=1e-9)


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_moments(law: Semicircle | MarchenkoPastur) -> None:
    """Oracle: the quadrature of the density."""
    for k in range(9):
        expected = law.expect(lambda x, k=k: x**k)
        assert law.moment(k) == pytest.approx(expected, rel=1e-12, abs=1e-9 * 11**k)


def test_even_moments_of_the_semicircle_are_catalan_numbers() -> None:
    """Oracle: the published sequence 1, 1, 2, 5, 14, 42, 132, 429 (OEIS A000108)."""
    assert [Semicircle().moment(2 * m) for m in range(8)] == [1, 1, 2, 5, 14, 42, 132, 429]
    assert Semicircle(3.0).moment(4) == 18
    assert Semicircle().moment(5) == 0


def test_moments_of_marchenko_pastur_have_narayana_coefficients() -> None:
    """Oracle: the published triangle of Narayana numbers (OEIS A001263)."""
    triangle = [[1], [1, 1], [1, 3, 1], [1, 6, 6, 1], [1, 10, 20, 10, 1], [1, 15, 50, 50, 15, 1]]
    for q in (0.5, 3.0):
        for k, row in enumerate(triangle, start=1):
            expected = sum(c * q**r for r, c in enumerate(row))
            assert MarchenkoPastur(q).moment(k) == pytest.approx(expected, rel=1e-14)
    assert MarchenkoPastur(1.0, 2.0).moment(3) == 40


@given(aspects, variances)
@example(1.0, 1.0)
def test_variance_only_scales(q: float, v: float) -> None:
    """Oracle: invariance. Entries times sigma make eigenvalues times sigma squared."""
    unit, scaled = MarchenkoPastur(q), MarchenkoPastur(q, v)
    x = np.linspace(*unit.support, 11)[1:-1]
    np.testing.assert_allclose(scaled.pdf(v * x) * v, unit.pdf(x), rtol=1e-6)
    np.testing.assert_allclose(scaled.cdf(v * x), unit.cdf(x), atol=1e-7)


@given(aspects)
def test_transposing_swaps_aspect_and_moves_the_atom(q: float) -> None:
    """Oracle: X'X/n and XX'/p share their non-zero eigenvalues, up to the factor q = p/n."""
    tall, wide = MarchenkoPastur(q), MarchenkoPastur(1 / q)
    low, high = wide.support
    np.testing.assert_allclose(tall.support, (low * q, high * q), rtol=1e-6, atol=1e-12)
    x = np.linspace(low, high, 9)
    # p eigenvalues of the one against n of the other: shares of non-zero ones scale by q.
    above = (1 - tall.cdf(q * x)) * q
    np.testing.assert_allclose(above, 1 - wide.cdf(x), atol=1e-6 * max(1, q))


@pytest.mark.parametrize(("rows", "columns"), [(1200, 300), (600, 600), (300, 1200)])
def test_simulated_covariances_follow_the_law(rows: int, columns: int) -> None:
    """Oracle: eigenvalues of a matrix drawn from a seed; n to p mistaken would show at once."""
    x = np.random.default_rng(0).normal(scale=1.5, size=(rows, columns))
    eigenvalues = np.sort(np.linalg.eigvalsh(x.T @ x / rows))
    law = MarchenkoPastur(columns / rows, 2.25)
    # Away from zero, where rounding decides on which side an eigenvalue of zero falls.
    levels = np.linspace(max(0.02, law.support[0]), law.support[1], 200)
    share = np.searchsorted(eigenvalues, levels, side="right") / columns
    # Eigenvalues repel: their count deviates by far less than 1/sqrt(columns).
    assert np.abs(share - law.cdf(levels)).max() < 3 / min(rows, columns)


def test_simulated_symmetric_matrix_follows_the_semicircle() -> None:
    """Oracle: eigenvalues of a symmetric matrix of random signs, drawn from a seed."""
    n = 600
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(n, n))
    eigenvalues = np.linalg.eigvalsh((np.triu(signs) + np.triu(signs, 1).T) / math.sqrt(n))
    law = Semicircle()
    share = (np.arange(n) + 0.5) / n
    assert np.abs(law.cdf(eigenvalues) - share).max() < 5 / n


def test_density_is_zero_outside() -> None:
    """Oracle: the definition. No warning may come from outside the support either."""
    law = MarchenkoPastur(4.0)
    np.testing.assert_array_equal(law.pdf([-1.0, 0.0, 0.5, 1.0, 9.0, 20.0]), 0)
    assert law.pdf(np.float32(2)).shape == ()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Semicircle(0.0), ValueError, "variance must lie in"),
        (lambda: MarchenkoPastur(0.0), ValueError, "aspect must lie in"),
        (lambda: MarchenkoPastur(1.0, -2.0), ValueError, "variance must lie in"),
        (lambda: MarchenkoPastur("1"), TypeError, "aspect must be a real number"),  # type: ignore[arg-type]
        (lambda: MarchenkoPastur(1.0).moment(-1), ValueError, "k must be"),
        (lambda: Semicircle().moment(1.5), TypeError, "k must be"),  # type: ignore[arg-type]
        (lambda: Semicircle().quantile(1.5), ValueError, "p must lie in 0..1"),
        (lambda: Semicircle().quantile(math.nan), ValueError, "p must be finite"),
        (lambda: Semicircle().pdf("a"), TypeError, "x must hold real numbers"),
        (lambda: Semicircle().cdf(math.nan), ValueError, "x must not hold NaN"),
        (lambda: Semicircle().expect(lambda x: x[:1]), ValueError, r"f\(x\) must have shape"),
        (lambda: Semicircle().expect(np.log), ValueError, r"f\(x\) must be finite"),
        (lambda: MarchenkoPastur(2.0).expect(lambda x: 1 / x), ValueError, r"f\(0\) must be"),
        (lambda: Semicircle().expect(np.ones_like, points=0), ValueError, "points must be"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_wrong_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    """Oracle: the messages promised."""
    with pytest.raises(error, match=message):
        call()
