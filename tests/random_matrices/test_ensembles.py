"""Random matrices drawn, against the moments their docstrings promise and against the laws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from companion.random_matrices import (
    CircularLaw,
    FussCatalan,
    MarchenkoPastur,
    Semicircle,
    gaussian_ensemble,
    ginibre,
    ginibre_product,
    heavy_tailed,
    sparse,
    spectral_distance,
    wigner,
    wishart,
)

KINDS = [
    {"field": field, "entries": entries}
    for field in ("real", "complex")
    for entries in ("gaussian", "signs", "uniform", "student")
]


def assert_mean_square(values: np.ndarray, expected: float) -> None:
    """The mean of |x|^2 lies within five of its own standard errors of what is expected."""
    squares = np.abs(values.ravel()) ** 2
    error = squares.std(ddof=1) / math.sqrt(squares.size)
    assert squares.mean() == pytest.approx(expected, abs=5 * error + 1e-12)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))
def test_wigner_has_the_promised_moments(kind: dict[str, str]) -> None:
    """Oracle: the docstring. Mean 0, mean square 1/n on and off the diagonal, symmetry."""
    n = 300
    a = wigner(n, rng=1, **kind)
    np.testing.assert_array_equal(a, a.conj().T)
    above = a[np.triu_indices(n, 1)]
    assert_mean_square(above * math.sqrt(n), 1.0)
    assert abs(above.mean()) < 5 / math.sqrt(n * above.size)
    diagonals = [wigner(n, rng=seed, **kind).diagonal() for seed in range(20)]
    assert_mean_square(np.concatenate(diagonals) * math.sqrt(n), 1.0)
    if kind["field"] == "complex":
        assert_mean_square(above.real * math.sqrt(n), 0.5)
        assert abs(np.mean(above.real * above.imag)) < 5 / (n * math.sqrt(above.size))
    else:
        assert a.dtype == np.float64


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))
def test_wigner_and_wishart_follow_their_laws(kind: dict[str, str]) -> None:
    """Oracle: the laws, whose own oracles stand in test_laws. A factor of 2 would show at once."""
    n = 400
    assert spectral_distance(np.linalg.eigvalsh(wigner(n, rng=0, **kind)), Semicircle()) < 5 / n
    for samples, variables in ((800, 200), (200, 800)):
        values = np.linalg.eigvalsh(wishart(samples, variables, rng=0, **kind))
        law = MarchenkoPastur(variables / samples)
        assert spectral_distance(values, law) < 0.02
        wrong = MarchenkoPastur(samples / variables)
        assert spectral_distance(values, wrong) > 0.2


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_gaussian_ensembles(beta: int) -> None:
    """Oracle: the variances of the docstring, the semicircle, and the doubling for beta 4."""
    n = 300
    h = gaussian_ensemble(n, beta=beta, rng=0)
    assert h.shape == ((2 * n, 2 * n) if beta == 4 else (n, n))
    np.testing.assert_array_equal(h, h.conj().T)
    values = np.linalg.eigvalsh(h)
    if beta == 4:
        np.testing.assert_allclose(values[::2], values[1::2], atol=1e-12)
        values = values[::2]
    assert spectral_distance(values, Semicircle()) < 4 / n
    # The squared size of the quaternion at (i, j) is that of the first row of its block.
    squares = np.abs(h[:n, :n]) ** 2 + (np.abs(h[:n, n:]) ** 2 if beta == 4 else 0.0)
    assert_mean_square(np.sqrt(squares[np.triu_indices(n, 1)]) * math.sqrt(n), 1.0)
    draws = [gaussian_ensemble(40, beta=beta, rng=s).diagonal().real[:40] for s in range(100)]
    assert_mean_square(np.concatenate(draws) * math.sqrt(40), 2 / beta)


def test_gaussian_ensemble_of_two_by_hand() -> None:
    """Oracle: E tr H^2 = n/n * ((n - 1) + 2/beta) for n different eigenvalues, by addition."""
    for beta in (1, 2, 4):
        traces = []
        for seed in range(4000):
            values = np.linalg.eigvalsh(gaussian_ensemble(2, beta=beta, rng=seed))
            traces.append(np.sum((values[::2] if beta == 4 else values) ** 2))
        error = np.std(traces) / math.sqrt(4000)
        assert np.mean(traces) == pytest.approx(1 + 2 / beta, abs=4 * error)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))
def test_ginibre_fills_the_disc(kind: dict[str, str]) -> None:
    """Oracle: the circular law for radius and direction, and the mean square 1/n."""
    n = 400
    g = ginibre(n, rng=0, **kind)
    assert_mean_square(g * math.sqrt(n), 1.0)
    values = np.linalg.eigvals(g)
    radii = np.sort(np.abs(values))
    share = (np.arange(n) + 0.5) / n
    assert np.abs(CircularLaw().cdf(radii) - share).max() < 0.06
    assert abs(np.mean(values / np.abs(values))) < 0.05
    assert (np.linalg.norm(g - g.T) ** 2) == pytest.approx(2 * n, rel=0.05)


@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("factors", [1, 2, 4])
def test_products(field: str, factors: int) -> None:
    """Oracle: the Fuss-Catalan and circular laws, whose own oracles stand in test_laws."""
    n = 400
    product = ginibre_product(n, factors, field=field, rng=0)
    squares = np.linalg.svd(product, compute_uv=False) ** 2
    assert spectral_distance(squares, FussCatalan(factors)) < 0.02
    radii = np.sort(np.abs(np.linalg.eigvals(product)))
    assert np.abs(CircularLaw(factors).cdf(radii) - (np.arange(n) + 0.5) / n).max() < 0.05
    assert spectral_distance(squares, FussCatalan(factors + 1)) > 0.05


def test_a_product_of_one_is_the_matrix_itself() -> None:
    """Oracle: ginibre with the same seed."""
    np.testing.assert_array_equal(ginibre_product(5, 1, rng=3), ginibre(5, rng=3))


def test_heavy_tails_scale_with_the_size() -> None:
    """Oracle: for Cauchy's law the median of |t| is 1, so the median entry is 1/n."""
    for n in (100, 400):
        a = heavy_tailed(n, alpha=1.0, rng=0)
        np.testing.assert_array_equal(a, a.T)
        assert np.median(np.abs(a[np.triu_indices(n)])) * n == pytest.approx(1, rel=0.1)
    # Not the semicircle, at a distance that does not fall with the size.
    far = [
        spectral_distance(np.linalg.eigvalsh(heavy_tailed(n, alpha=1.0, rng=0)), Semicircle())
        for n in (200, 800)
    ]
    assert min(far) > 0.05
    assert np.median(np.abs(heavy_tailed(200, alpha=0.5, rng=0))) * 200**2 < 10


def test_sparse() -> None:
    """Oracle: counts of entries by the binomial law; the semicircle for many entries a row."""
    n, d = 1000, 6.0
    a = sparse(n, degree=d, rng=0)
    np.testing.assert_array_equal(a, a.T)
    assert set(np.unique(a * math.sqrt(d)).round(12)) == {-1.0, 0.0, 1.0}
    kept = np.count_nonzero(a[np.triu_indices(n)])
    mean = d / n * n * (n + 1) / 2
    assert abs(kept - mean) < 4 * math.sqrt(mean)
    close = np.linalg.eigvalsh(sparse(500, degree=100.0, rng=0))
    far = np.linalg.eigvalsh(sparse(500, degree=2.0, rng=0))
    assert spectral_distance(close, Semicircle()) < 0.02
    assert spectral_distance(far, Semicircle()) > 0.09
    assert np.count_nonzero(sparse(5, degree=5, rng=0)) == 25


def test_the_seed_decides() -> None:
    """Oracle: the same seed twice, another seed, and one generator used twice."""
    draws: list[Any] = [
        wigner,
        gaussian_ensemble,
        ginibre,
        lambda n, rng: ginibre_product(n, 2, rng=rng),
        lambda n, rng: wishart(n, 3, rng=rng),
        lambda n, rng: heavy_tailed(n, alpha=1.5, rng=rng),
        lambda n, rng: sparse(n, degree=2.0, rng=rng),
    ]
    for draw in draws:
        np.testing.assert_array_equal(draw(6, rng=1), draw(6, rng=1))
        assert not np.array_equal(draw(6, rng=1), draw(6, rng=2))
        rng = np.random.default_rng(0)
        assert not np.array_equal(draw(6, rng=rng), draw(6, rng=rng))


def test_smallest_sizes() -> None:
    """Oracle: the definitions, for one row."""
    assert wigner(1, entries="signs", rng=0) in (-1.0, 1.0)
    assert wigner(1, field="complex", rng=0).imag == 0
    assert wishart(1, 1, entries="signs", rng=0) == 1.0
    assert gaussian_ensemble(1, beta=4, rng=0).shape == (2, 2)
    assert ginibre(1, rng=0).shape == (1, 1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: wigner(0), ValueError, "n must be at least 1"),
        (lambda: wigner(2, field="quaternion"), ValueError, "field must be one of"),
        (lambda: wigner(2, entries="cauchy"), ValueError, "entries must be one of"),
        (lambda: wigner(2, entries="student", dof=2.0), ValueError, "dof must lie in"),
        (lambda: wigner(2, rng=-1), ValueError, "rng must be a non-negative seed"),
        (lambda: gaussian_ensemble(2, beta=3), ValueError, "beta must be 1, 2 or 4, got 3"),
        (lambda: ginibre(2.0), TypeError, "n must be an integer"),  # type: ignore[arg-type]
        (lambda: ginibre_product(2, 0), ValueError, "factors must be at least 1"),
        (lambda: wishart(2, 0), ValueError, "p must be at least 1"),
        (lambda: heavy_tailed(2, alpha=2.0), ValueError, "alpha must lie in"),
        (lambda: heavy_tailed(2, alpha=0.0), ValueError, "alpha must lie in"),
        (lambda: sparse(2, degree=0.0), ValueError, "degree must lie in"),
        (lambda: sparse(2, degree=3.0), ValueError, "degree must lie in"),
    ],
)
def test_wrong_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    """Oracle: the messages promised."""
    with pytest.raises(error, match=message):
        call()
