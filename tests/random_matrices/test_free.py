"""Free sums and products, against closed forms, another equation, and simulated matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import ortho_group

from companion.random_matrices import (
    Atoms,
    FussCatalan,
    MarchenkoPastur,
    Semicircle,
    free,
    free_product,
    free_sum,
    ginibre,
    spectral_distance,
    wigner,
    wishart,
)

UPPER = np.array([[1 + 1j, -1 + 0.01j, 0.3 + 1e-4j], [5 + 1e-6j, 2j, 300 + 1j]])


def test_semicircles_add_up_to_a_semicircle() -> None:
    """Oracle: the closed form with the variances added."""
    law = free_sum(Semicircle(0.36), Semicircle(0.64))
    np.testing.assert_allclose(law.stieltjes(UPPER), Semicircle().stieltjes(UPPER), rtol=1e-8)
    x = np.linspace(-3, 3, 101)
    np.testing.assert_allclose(law.pdf(x), Semicircle().pdf(x), atol=1e-4)
    np.testing.assert_allclose(law.cdf(x), Semicircle().cdf(x), atol=1e-4)
    p = np.linspace(0, 1, 21)
    np.testing.assert_allclose(law.quantile(p)[1:-1], Semicircle().quantile(p)[1:-1], atol=1e-3)
    assert law.support == pytest.approx((-2.8, 2.8))
    assert law.cdf(-5.0) == 0
    assert law.cdf(5.0) == 1


def test_marchenko_pastur_adds_up_as_a_free_poisson_law() -> None:
    """Oracle: rates add up at equal jumps, so aspect q becomes q/2 and the variance doubles."""
    law, known = free_sum(MarchenkoPastur(0.5), MarchenkoPastur(0.5)), MarchenkoPastur(0.25, 2.0)
    x = np.linspace(0.3, 4.7, 60)
    np.testing.assert_allclose(law.pdf(x), known.pdf(x), atol=1e-5)
    np.testing.assert_allclose(law.cdf(x), known.cdf(x), atol=1e-4)


def test_two_coins_add_up_to_the_arcsine_law() -> None:
    """Oracle: the closed form 1 / (pi sqrt(4 - x^2)); not the coin flips of ordinary chance."""
    law = free_sum(Atoms([-1, 1]), Atoms([-1, 1]))
    x = np.array([-1.9, -1.0, 0.0, 0.5, 1.99])
    np.testing.assert_allclose(law.pdf(x), 1 / (math.pi * np.sqrt(4 - x * x)), rtol=1e-5)
    assert law.cdf(1.0) == pytest.approx(2 / 3, abs=1e-3)


def test_adding_nothing_and_a_constant() -> None:
    """Oracle: a shift of the law, and the law itself."""
    x = np.linspace(-1.9, 1.9, 20)
    np.testing.assert_allclose(
        free_sum(Semicircle(), Atoms([3.0])).pdf(x + 3), Semicircle().pdf(x), atol=1e-7
    )
    x = np.linspace(0.3, 2.2, 20)
    np.testing.assert_allclose(
        free_product(MarchenkoPastur(0.25), Atoms([2.0])).pdf(2 * x) * 2,
        MarchenkoPastur(0.25).pdf(x),
        atol=1e-6,
    )


def test_a_gap_closes_at_variance_one() -> None:
    """Oracle: for -1 and 1 plus a semicircle the cubic equation u^3 - z u^2 + (v - 1) u + z = 0.

    From it the density at zero is 0 up to variance 1, and sqrt(v - 1) / (pi v) beyond.
    """
    for variance in (0.5, 0.9, 1.5, 3.0):
        law = free_sum(Atoms([-1, 1]), Semicircle(variance))
        known = math.sqrt(max(0.0, variance - 1)) / (math.pi * variance)
        assert law.pdf(0.0) == pytest.approx(known, abs=1e-6)
    assert free_sum(Atoms([-1, 1]), Semicircle(1.0)).cdf(0.0) == pytest.approx(0.5, abs=1e-6)


def test_products_of_square_noise() -> None:
    """Oracle: the Fuss-Catalan laws, also with a product that is itself a free product."""
    square = MarchenkoPastur(1.0)
    double = free_product(square, square)
    x = np.linspace(0.1, 6.5, 40)
    np.testing.assert_allclose(double.pdf(x), FussCatalan(2).pdf(x), atol=1e-6)
    # The mass that hides below the first point of the grid is that of the hard edge.
    np.testing.assert_allclose(double.cdf(x), FussCatalan(2).cdf(x), atol=0.01)
    z = np.array([1 + 0.1j, 4 + 0.01j])
    triple = free_product(double, square)
    np.testing.assert_allclose(triple.stieltjes(z), FussCatalan(3).stieltjes(z), rtol=1e-7)


@pytest.mark.parametrize("q", [0.1, 0.5, 3.0])
def test_correlated_data_obey_the_silverstein_equation(q: float) -> None:
    """Oracle: v = 1 / (-z + q sum of w t / (1 + t v)), iterated, for the law of X X'/n instead."""
    points, weights = np.array([1.0, 3.0, 10.0]), np.array([0.2, 0.4, 0.4])
    z = np.linspace(0.5, 15, 12) + 0.2j
    v = np.full(z.shape, 1j)
    for _ in range(5000):
        v = 1 / (q * (weights * points / (1 + points * v[:, None])).sum(axis=1) - z)
    m = (v + (1 - q) / z) / q
    law = free_product(Atoms(points, weights), MarchenkoPastur(q))
    np.testing.assert_allclose(law.stieltjes(z), m, rtol=1e-8)


def test_moments_of_sum_and_product() -> None:
    """Oracle: free cumulants by hand: means add, variances add; means multiply."""
    two = Atoms([1.0, 4.0], [0.75, 0.25])
    for law, mean in (
        (free_sum(two, Semicircle(0.5)), 1.75),
        (free_product(two, MarchenkoPastur(0.3)), 1.75),
    ):
        z = 1e4j
        # m(z) = -1/z - mean/z^2 - second/z^3 - ...
        tail = -law.stieltjes(z) * z
        assert (tail - 1).imag * 1e4 == pytest.approx(-mean, rel=1e-6)
    variance = two.moment(2) - 1.75**2
    tail = -free_sum(two, Semicircle(0.5)).stieltjes(1e3j) * 1e3j
    assert (1 - tail.real) * 1e6 == pytest.approx(1.75**2 + variance + 0.5, rel=1e-4)


def test_simulated_sums_and_products() -> None:
    """Oracle: eigenvalues of A + U B U', and of A^(1/2) U B U' A^(1/2), with a random rotation."""
    n = 400
    rotation = ortho_group.rvs(n, random_state=0)
    values = np.repeat([-1.0, 0.5], n // 2)
    noise = wishart(2 * n, n, rng=0)
    found = np.linalg.eigvalsh(np.diag(values) + noise)
    law = free_sum(Atoms([-1.0, 0.5]), MarchenkoPastur(0.5))
    assert spectral_distance(found, law) < 0.01
    found = np.linalg.eigvalsh(np.diag(values) + rotation @ np.diag(values) @ rotation.T)
    assert spectral_distance(found, free_sum(Atoms([-1, 0.5]), Atoms([-1, 0.5]))) < 0.01
    root = np.sqrt(np.repeat([1.0, 6.0], n // 2))
    found = np.linalg.eigvalsh(root[:, None] * noise * root)
    law = free_product(Atoms([1.0, 6.0]), MarchenkoPastur(0.5))
    assert spectral_distance(found, law) < 0.015
    # Without the rotation the eigenvectors agree, and the law fails.
    found = np.linalg.eigvalsh(np.diag(values) + np.diag(values))
    assert spectral_distance(found, free_sum(Atoms([-1, 0.5]), Atoms([-1, 0.5]))) > 0.2
    found = np.linalg.eigvalsh(np.diag(values) + wigner(n, rng=1))
    assert spectral_distance(found, free_sum(Atoms([-1, 0.5]), Semicircle())) < 0.01


def test_the_spectrum_of_one_matrix_can_be_a_factor() -> None:
    """Oracle: simulation, for a spectrum that has no closed form."""
    g = ginibre(200, rng=0)
    signal = np.linalg.eigvalsh(g + g.T)
    found = np.linalg.eigvalsh(g + g.T + wigner(200, rng=1))
    assert spectral_distance(found, free_sum(Atoms(signal), Semicircle())) < 0.02


def test_atoms() -> None:
    """Oracle: numpy, and the one value of a law of one atom."""
    atoms = Atoms([3.0, -1.0], [0.25, 0.75])
    assert atoms.support == (-1.0, 3.0)
    assert [atoms.moment(k) for k in range(3)] == [1.0, 0.0, 3.0]
    z = np.array([[1j, 2 + 1j]])
    np.testing.assert_allclose(atoms.stieltjes(z), 0.25 / (3 - z) + 0.75 / (-1 - z))


def test_an_atom_is_not_smoothed_away() -> None:
    """Oracle: of two projections onto three quarters, a half of the space is common."""
    law = free_sum(Atoms([0, 1], [0.25, 0.75]), Atoms([0, 1], [0.25, 0.75]))
    with pytest.raises(ValueError, match="the law has an atom"):
        law.cdf(1.0)
    eta = 1e-4
    assert law.stieltjes(2 + 1j * eta).imag * eta == pytest.approx(0.5, abs=1e-3)


def test_no_points() -> None:
    """Oracle: nothing in, nothing out."""
    assert free_sum(Semicircle(), Semicircle()).pdf([]).shape == (0,)


def test_giving_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the message, when too few rounds are allowed."""
    monkeypatch.setattr(free, "_STEPS", 1)
    with pytest.raises(RuntimeError, match="did not settle in 1 rounds; raise smoothing"):
        free_sum(Semicircle(), MarchenkoPastur(0.5)).pdf(0.3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Atoms([]), ValueError, "points must not be empty"),
        (lambda: Atoms([1.0], [0.5]), ValueError, "weights must be positive and add up to 1"),
        (lambda: Atoms([1.0, 2.0], [1.5, -0.5]), ValueError, "weights must be positive"),
        (lambda: Atoms([1.0]).stieltjes(1.0), ValueError, "z must not be one of the points"),
        (lambda: Atoms([1.0]).stieltjes(-1j), ValueError, "z must not lie below"),
        (
            lambda: free_product(Semicircle(), MarchenkoPastur(1.0)),
            ValueError,
            "a must have no negative values, got -2",
        ),
        (
            lambda: free_sum(Semicircle(), Semicircle(), smoothing=0.0),
            ValueError,
            "smoothing must lie in",
        ),
        (lambda: free_sum(Semicircle(), Semicircle()).stieltjes(1.0), ValueError, "above the real"),
        (lambda: free_sum(Semicircle(), Semicircle()).pdf(math.inf), ValueError, "x must be fini"),
        (lambda: free_sum(Semicircle(), Semicircle()).quantile(-1.0), ValueError, "p must lie in"),
    ],
)
def test_wrong_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    """Oracle: the messages promised."""
    with pytest.raises(error, match=message):
        call()
