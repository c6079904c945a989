"""What the lesson *Rank, eigenvalues, powers* reports, found again in a smaller form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special, stats

from companion import data
from companion import matrices as cm


def _rate(errors: np.ndarray, low: float = 1e-10, high: float = 1e-4) -> float:
    use = (errors > low) & (errors < high)
    return float(np.exp(np.polyfit(np.arange(len(errors))[use], np.log(errors[use]), 1)[0]))


def _gaussian(rng: np.random.Generator, count: int, width: int) -> np.ndarray:
    return rng.normal(size=(count, width, width)) / np.sqrt(width)


def _chain(link: float) -> np.ndarray:
    return 0.9 * np.eye(8) + link * np.eye(8, k=1)


def _norms(matrix: np.ndarray, last: int = 300) -> np.ndarray:
    exponents = np.arange(1, last + 1)
    return np.asarray(cm.gelfand(matrix, exponents) ** exponents)


def test_any_noise_makes_the_rank_full_and_a_tolerance_brings_it_back() -> None:
    """Oracle: the number of outer products that the clean matrix is a sum of."""
    rng = np.random.default_rng(11)
    clean = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 30))
    noise = rng.normal(size=clean.shape)
    assert cm.rank(clean) == 4
    for size in (1e-10, 1e-6, 1e-3):
        assert cm.rank(clean + size * noise) == 30
        assert cm.rank(clean + size * noise, rtol=1e-2) == 4


def test_on_the_digits_the_value_converges_at_the_square_of_the_rate() -> None:
    """Oracle: the two largest eigenvalues of the covariance matrix of the pixels."""
    matrix = np.cov(data.load_digits(rng=0).x_train.T)
    second, first = np.linalg.eigvalsh(matrix)[-2:]
    found, size = cm.power_iteration(matrix, rng=3), np.linalg.norm(matrix)
    assert found.converged
    assert _rate(found.residuals / size) == pytest.approx(second / first, abs=2e-3)
    assert _rate(np.abs(found.values - first) / size) == pytest.approx(
        (second / first) ** 2, abs=4e-3
    )


def test_without_symmetry_the_value_converges_at_the_rate_itself() -> None:
    """Oracle: the eigenvalues 1 and 0.8 that the matrix is built from."""
    rng = np.random.default_rng(12)
    vectors = np.eye(32) + 0.5 * rng.normal(size=(32, 32)) / np.sqrt(32)
    values = np.r_[1.0, 0.8, rng.uniform(-0.5, 0.5, 30)]
    found = cm.power_iteration(vectors @ np.diag(values) @ np.linalg.inv(vectors), rng=0)
    assert _rate(found.residuals) == pytest.approx(0.8, abs=5e-3)
    assert _rate(np.abs(found.values - 1.0)) == pytest.approx(0.8, abs=5e-3)


def test_the_top_of_a_random_matrix_is_mostly_a_pair_which_two_vectors_find() -> None:
    """Oracle: numpy.linalg.eigvals; power iteration fails exactly on the pairs."""
    pairs = 0
    for matrix in _gaussian(np.random.default_rng(13), 60, 64):
        values = np.linalg.eigvals(matrix)
        top = values[np.argmax(np.abs(values))]
        if not top.imag:
            continue
        pairs += 1
        if pairs <= 3:
            assert not cm.power_iteration(matrix, rng=0).converged
            found = cm.subspace_iteration(matrix, 2, rng=0, max_steps=20_000)
            assert found.converged
            np.testing.assert_allclose(np.abs(found.values), np.abs(top), rtol=1e-8)
    assert pairs > 30


def test_eigenvalues_give_a_wrong_power_of_a_jordan_block() -> None:
    """Oracle: the entry k lambda^(k - 1) in closed form."""
    block, k = np.array([[0.9, 1.0], [0.0, 0.9]]), 10
    exact = k * 0.9 ** (k - 1)
    values, vectors = np.linalg.eig(block)
    assert values[0] == values[1]
    assert np.linalg.cond(vectors) > 1e15
    guess = vectors @ np.diag(values**k) @ np.linalg.inv(vectors)
    assert abs(guess[0, 1] - exact) > 0.5 * exact
    assert cm.matrix_power(block, k)[0, 1] == pytest.approx(exact, rel=1e-13)


def test_the_chain_rises_before_it_falls() -> None:
    """Oracle: powers from binomial coefficients, C(k, j) 0.9^(k - j) 0.2^j on diagonal j."""
    norms = _norms(_chain(0.2))
    for k in (1, 64, 200):
        exact = sum(
            special.binom(k, j) * 0.9 ** (k - j) * 0.2**j * np.eye(8, k=j)
            for j in range(min(k, 7) + 1)
        )
        assert norms[k - 1] == pytest.approx(np.linalg.norm(exact, 2), rel=1e-10)
    assert 26 < norms.max() < 27
    assert norms[-1] < 1e-3
    assert cm.spectral_radius(_chain(0.2)) == 0.9


def test_normal_matrices_do_not_rise() -> None:
    """Oracle: the norm of a power of a rotation times 0.9 is a power of 0.9."""
    turn = 0.9 * np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    np.testing.assert_allclose(_norms(turn), 0.9 ** np.arange(1, 301), rtol=1e-10)


@pytest.mark.parametrize("name", ["random", "shear", "chain", "weak chain"])
def test_the_bounds_hold_and_a_small_numerical_radius_is_a_certificate(name: str) -> None:
    """Oracle: rho^k <= ||W^k|| <= 2 w^k, for all k up to 300."""
    gauss = np.random.default_rng(14).normal(size=(32, 32))
    matrix = {
        "random": 0.9 * gauss / cm.spectral_radius(gauss),
        "shear": np.array([[0.9, 1.0], [0.0, 0.8]]),
        "chain": _chain(0.2),
        "weak chain": _chain(0.1),
    }[name]
    k, norms, w = np.arange(1, 301), _norms(matrix), cm.numerical_radius(matrix)
    assert (norms >= 0.9**k * (1 - 1e-9)).all()
    assert (norms <= 2 * w**k * (1 + 1e-9)).all()
    assert (w > 1) == (name != "weak chain") == (norms.max() > 1)


def test_the_numerical_radius_certifies_what_the_norm_cannot() -> None:
    """Oracle: the kick has the range of diag(0.9) and a block of norm 1.9, radius 1.9 / 2."""
    kick = np.array([[0.9, 0, 0], [0, 0, 1.9], [0, 0, 0]])
    assert cm.numerical_radius(kick) == pytest.approx(0.95, rel=1e-12)
    np.testing.assert_allclose(_norms(kick), np.r_[1.9, 0.9 ** np.arange(2, 301)], rtol=1e-10)


@pytest.mark.parametrize("width", [2, 8, 32])
def test_fresh_random_layers_follow_the_lyapunov_exponent(width: int) -> None:
    """Oracle: digamma for the mean and trigamma for the variance, within four standard errors."""
    rng, draws, layers = np.random.default_rng(15), 400, 20
    final = np.array(
        [
            cm.log_growth(_gaussian(rng, layers, width), rng.normal(size=width))[-1]
            for _ in range(draws)
        ]
    )
    variance = layers * special.polygamma(1, width / 2) / 4
    error = 4 * np.sqrt(variance / draws)
    assert abs(final.mean() - layers * cm.lyapunov_exponent(width)) < error
    assert final.var(ddof=1) == pytest.approx(variance, rel=0.3)


def test_the_mean_square_is_kept_while_the_typical_length_falls() -> None:
    """Oracle: the mean square of a chi-square variable over n is 1; its logarithm is negative."""
    rng = np.random.default_rng(16)
    one_layer = np.array(
        [np.exp(2 * cm.log_growth(_gaussian(rng, 1, 4), np.ones(4))[0]) for _ in range(4000)]
    )
    assert one_layer.mean() == pytest.approx(1.0, abs=0.05)
    assert np.log(one_layer).mean() / 2 == pytest.approx(cm.lyapunov_exponent(4), abs=0.03)


def test_one_matrix_repeated_follows_its_spectral_radius() -> None:
    """Oracle: the eigenvalues; at gain 1 and width 64 the radius is above 1 in most draws."""
    rng = np.random.default_rng(17)
    repeated = _gaussian(rng, 40, 64)
    radii = np.array([cm.spectral_radius(matrix) for matrix in repeated])
    assert np.mean(radii > 1) > 0.7
    assert 1.02 < radii.mean() < 1.10
    for matrix, radius in zip(repeated[:5], radii[:5], strict=True):
        logs = cm.log_growth([matrix] * 2000, rng.normal(size=64))
        assert logs[-1] / 2000 == pytest.approx(np.log(radius), abs=3e-3)


def test_a_random_start_falls_behind_the_spectral_radius_in_the_first_layers() -> None:
    """Oracle: the logarithm of the radius of each draw, as often as there are layers."""
    rng = np.random.default_rng(20)
    lag = np.array(
        [
            cm.log_growth([matrix] * 50, rng.normal(size=64))
            - np.arange(1, 51) * np.log(cm.spectral_radius(matrix))
            for matrix in _gaussian(rng, 100, 64)
        ]
    ).mean(axis=0)
    assert lag[19] < -0.6
    assert abs(lag[49] - lag[19]) < abs(lag[19]) / 2


def test_rotations_in_between_exchange_the_fates() -> None:
    """Oracle: the mean of log ||S u|| over directions u, which knows singular values only."""
    rng = np.random.default_rng(18)
    shift, spike = 1.2 * np.eye(8, k=1), np.diag([1.2] + [0.6] * 7)
    u = rng.normal(size=(20_000, 8))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    factors = {}
    for name, matrix in (("shift", shift), ("spike", spike)):
        turns = stats.ortho_group.rvs(8, size=1000, random_state=rng)
        mixed = cm.log_growth(matrix @ turns, u[0])[-1] / 1000
        s = np.linalg.svd(matrix, compute_uv=False)
        assert mixed == pytest.approx(np.log(np.linalg.norm(u * s, axis=1)).mean(), abs=0.03)
        factors[name] = np.exp(mixed)
    assert factors["shift"] > 1 > factors["spike"]
    assert cm.log_growth([shift] * 8, u[0])[-1] == -np.inf
    assert cm.log_growth([spike] * 500, u[0])[-1] / 500 == pytest.approx(np.log(1.2), abs=0.01)


def test_fifty_small_layers_are_zero_in_single_precision() -> None:
    """Oracle: PyTorch's layers in 64 bits; the smallest positive 32-bit number is above 1e-45."""
    weights = 0.1 * _gaussian(np.random.default_rng(19), 50, 64)
    expected = 8 * np.exp(cm.log_growth(weights, np.ones(64))[-1])
    for dtype, length in ((torch.float64, expected), (torch.float32, 0.0)):
        x = torch.ones(64, dtype=dtype)
        for weight in weights:
            x = torch.tensor(weight, dtype=dtype) @ x
        assert x.norm().item() == pytest.approx(length, rel=1e-10)
