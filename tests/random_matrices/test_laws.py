"""Laws of eigenvalues, against numerical integration, published numbers and simulated matrices."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.integrate import quad

from companion.random_matrices import (
    CircularLaw,
    FussCatalan,
    Law,
    MarchenkoPastur,
    Semicircle,
    closed_walks,
    ginibre_product,
    wigner,
)

LAWS = [
    Semicircle(),
    Semicircle(2.5),
    *(MarchenkoPastur(q, v) for q in (0.01, 0.25, 0.9, 1.0, 1.1, 4.0, 50.0) for v in (1.0, 2.5)),
    *(FussCatalan(factors) for factors in (1, 2, 3, 6)),
]
aspects = st.floats(0.01, 100.0)
variances = st.floats(0.01, 100.0)


def integral(law: Law, f: Any, low: float, high: float) -> float:
    """Integrate f times the density after the substitution x = middle - half cos(angle)."""
    a, b = law.support
    if isinstance(law, FussCatalan):
        # The density grows as x^(-L/(L+1)) at zero and vanishes as a root at the other end.
        power = law.factors + 1
        nodes, weight = np.polynomial.legendre.leggauss(200)
        ends = [math.asin(math.sqrt((x / b) ** (1 / power))) for x in (low, high)]
        theta = ends[0] + (ends[1] - ends[0]) * (nodes + 1) / 2
        s = np.sin(theta) ** 2
        rate = b * power * s ** (power - 1) * np.sin(2 * theta)
        values = law.pdf(b * s**power) * rate * np.array([f(x) for x in b * s**power])
        return float(weight @ values * (ends[1] - ends[0]) / 2)
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
def test_moments(law: Semicircle | MarchenkoPastur | FussCatalan) -> None:
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


UPPER = np.array([1 + 1j, -1 + 0.5j, 0.1 + 0.3j, 30 + 0.1j, 40j])


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_stieltjes_is_the_mean_of_the_resolvent(law: Law) -> None:
    """Oracle: quadrature of real and imaginary part, with the atom that expect adds."""
    scale = law.support[1]
    for z in UPPER * scale:
        real = law.expect(lambda x, z=z: (1 / (x - z)).real, points=20_000)
        imaginary = law.expect(lambda x, z=z: (1 / (x - z)).imag, points=20_000)
        assert law.stieltjes(z) == pytest.approx(complex(real, imaginary), rel=1e-9)
    assert law.stieltjes(np.full((2, 3), 1j)).shape == (2, 3)
    assert np.all(law.stieltjes(UPPER).imag > 0)


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_stieltjes_on_the_real_line(law: Law) -> None:
    """Oracle: the density inside the support, a quadrature outside."""
    low, high = law.support
    x = np.linspace(low, high, 13)[1:-1]
    on_the_line = law.stieltjes(x)
    np.testing.assert_allclose(on_the_line.imag / math.pi, law.pdf(x), rtol=1e-7, atol=1e-12)
    for outside in (1.5 * high, -high - 1.0):
        expected = law.expect(lambda t, z=outside: 1 / (t - z))
        assert law.stieltjes(outside) == pytest.approx(expected, rel=1e-9)
    # A sum over the whole line gives back the mass.
    far = 1e6j
    assert law.stieltjes(far) * far == pytest.approx(-1, abs=1e-4)


def test_stieltjes_solves_its_equation() -> None:
    """Oracle: m = 1 / (-z - v m), and m = 1 / (v (1 - q - q z m) - z) of Marchenko and Pastur."""
    for v in (0.5, 1.0, 3.0):
        m = Semicircle(v).stieltjes(UPPER)
        np.testing.assert_allclose(m, 1 / (-UPPER - v * m), rtol=1e-12)
        for q in (0.2, 1.0, 5.0):
            m = MarchenkoPastur(q, v).stieltjes(UPPER)
            np.testing.assert_allclose(m, 1 / (v * (1 - q - q * UPPER * m) - UPPER), rtol=1e-10)


@pytest.mark.parametrize("law", LAWS[:16], ids=repr)
def test_r_transform_inverts_stieltjes(law: Semicircle | MarchenkoPastur) -> None:
    """Oracle: the definition, z = R(g) + 1/g at g = -m(z); and the first two cumulants at 0."""
    z = UPPER * (law.support[1] + 1)
    g = -law.stieltjes(z)
    np.testing.assert_allclose(law.r_transform(g) + 1 / g, z, rtol=1e-9)
    mean, variance = law.moment(1), law.moment(2) - law.moment(1) ** 2
    assert law.r_transform(0.0) == pytest.approx(mean)
    slope = (law.r_transform(1e-6) - law.r_transform(-1e-6)) / 2e-6
    assert slope == pytest.approx(variance, rel=1e-6)


def test_fuss_catalan_numbers() -> None:
    """Oracle: the published sequences A001764 and A002293 of the OEIS."""
    assert [FussCatalan(2).moment(k) for k in range(7)] == [1, 1, 3, 12, 55, 273, 1428]
    assert [FussCatalan(3).moment(k) for k in range(6)] == [1, 1, 4, 22, 140, 969]
    assert FussCatalan(2).support == (0.0, pytest.approx(27 / 4, rel=1e-15))


def test_fuss_catalan_of_one_factor_is_marchenko_pastur() -> None:
    """Oracle: the law of aspect 1, whose density is 1/x times another root."""
    one, other = FussCatalan(1), MarchenkoPastur(1.0)
    x = np.linspace(0.01, 3.99, 50)
    for name in ("pdf", "cdf", "stieltjes"):
        np.testing.assert_allclose(getattr(one, name)(x), getattr(other, name)(x), rtol=1e-10)
    p = np.linspace(0.01, 1, 20)
    np.testing.assert_allclose(one.quantile(p), other.quantile(p), rtol=1e-10)


def test_fuss_catalan_density_of_two_factors() -> None:
    """Oracle: the closed form of Penson and Zyczkowski (2011), written with cube roots."""
    x = np.array([0.05, 0.5, 2.0, 5.0, 6.7])
    root = (27 + 3 * np.sqrt(81 - 12 * x)) ** (1 / 3)
    known = 2 ** (1 / 3) * math.sqrt(3) / (12 * math.pi)
    known = known * (2 ** (1 / 3) * root**2 - 6 * x ** (1 / 3)) / (x ** (2 / 3) * root)
    np.testing.assert_allclose(FussCatalan(2).pdf(x), known, rtol=1e-10)


@pytest.mark.parametrize("factors", [1, 2, 5])
def test_circular_law(factors: int) -> None:
    """Oracle: quad for the mass of a ring, the inverse for the quantile, simulation for both."""
    law = CircularLaw(factors)
    for low, high in ((0.1, 0.3), (0.3, 1.0)):
        mass, _ = quad(lambda r: float(2 * math.pi * r * law.pdf(r)), low, high, epsabs=1e-13)
        assert mass == pytest.approx(float(law.cdf(high) - law.cdf(low)), abs=1e-10)
    p = np.linspace(0, 1, 11)
    np.testing.assert_allclose(law.cdf(law.quantile(p)), p, atol=1e-14)
    np.testing.assert_array_equal(law.pdf([1.1, 2j]), 0)
    np.testing.assert_array_equal(law.cdf([-1.0, 1.0, 7.0]), [0, 1, 1])
    np.testing.assert_allclose(law.pdf(0.6 + 0.0j), law.pdf(0.36 + 0.48j))
    radii = np.abs(np.linalg.eigvals(ginibre_product(500, factors, rng=0)))
    assert np.mean(radii < 0.5) == pytest.approx(float(law.cdf(0.5)), abs=0.03)


def test_density_of_the_disc_is_one_over_pi() -> None:
    """Oracle: its area."""
    np.testing.assert_allclose(CircularLaw().pdf([0, 0.5, 0.3j]), 1 / math.pi)


@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_closed_walks_give_the_mean_trace_exactly(k: int) -> None:
    """Oracle: the sum over all index tuples, one by one."""
    shapes = closed_walks(k)
    for n in range(1, 7 if k < 6 else 5):
        known = 0
        for walk in itertools.product(range(n), repeat=k):
            steps = [tuple(sorted(edge)) for edge in zip(walk, walk[1:] + walk[:1], strict=True)]
            known += all(steps.count(edge) % 2 == 0 for edge in steps)
        assert sum(count * math.perm(n, v) for v, count in shapes.items()) == known


def test_walks_around_trees_are_counted_by_catalan_numbers() -> None:
    """Oracle: the Catalan numbers; no walk visits more places, and none of odd length counts."""
    for m, catalan in enumerate([1, 2, 5, 14], start=1):
        shapes = closed_walks(2 * m)
        assert max(shapes) == m + 1
        assert shapes[m + 1] == catalan == Semicircle().moment(2 * m)
    assert closed_walks(3) == {}
    assert closed_walks(5) == {}


def test_exact_moments_of_small_sign_matrices() -> None:
    """Oracle: the mean over many draws, within five standard errors; n = 4, where 2 is far."""
    n, draws = 4, 4000
    for k in (4, 6):
        exact = sum(c * math.perm(n, v) for v, c in closed_walks(k).items()) / n ** (k / 2 + 1)
        found = [
            np.trace(np.linalg.matrix_power(wigner(n, entries="signs", rng=seed), k)) / n
            for seed in range(draws)
        ]
        error = np.std(found) / math.sqrt(draws)
        assert np.mean(found) == pytest.approx(exact, abs=5 * error)
    assert sum(c * math.perm(9, v) for v, c in closed_walks(4).items()) / 9**3 == 2 - 1 / 9


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
        (lambda: Semicircle().stieltjes(-1j), ValueError, "z must not lie below"),
        (lambda: Semicircle().stieltjes(math.nan), ValueError, "z must be finite"),
        (lambda: Semicircle().stieltjes("a"), TypeError, "z must hold numbers"),
        (lambda: MarchenkoPastur(2.0).stieltjes(0.0), ValueError, "has an atom"),
        (lambda: MarchenkoPastur(2.0).r_transform(0.5), ValueError, "g must not be 0.5, the pole"),
        (lambda: Semicircle().r_transform(math.inf), ValueError, "g must be finite"),
        (lambda: FussCatalan(0), ValueError, "factors must be at least 1"),
        (lambda: CircularLaw(0), ValueError, "factors must be at least 1"),
        (lambda: CircularLaw(2).pdf(0.0), ValueError, "z must not be 0"),
        (lambda: CircularLaw().quantile(2.0), ValueError, "p must lie in 0..1"),
        (lambda: CircularLaw().cdf(math.nan), ValueError, "x must not hold NaN"),
        (lambda: closed_walks(13), ValueError, "k must be at most 12"),
        (lambda: closed_walks(0), ValueError, "k must be at least 1"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_wrong_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    """Oracle: the messages promised."""
    with pytest.raises(error, match=message):
        call()
