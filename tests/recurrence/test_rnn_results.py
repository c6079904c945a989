"""What the lesson *A recurrent network* reports, found again in another or a smaller form."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy import integrate, stats

from companion.network import SGD, Adam, Linear, Sequential, clip_grad_norm, initialisers
from companion.recurrence import (
    RNN,
    gradient_by_lag,
    recalled,
    with_spectral_radius,
)

UNITS = 64


def wide(start, seed):
    weights = partial(initialisers.normal, std=1 / np.sqrt(UNITS))
    return RNN(UNITS, UNITS, recurrent_init=start, weight_init=weights, rng=seed)


def norms_by_lag(layer, scale, seed, steps=61):
    """Gradient norms from a random state, or from zero where there is no input."""
    rng = np.random.default_rng(seed)
    x = scale * rng.normal(size=(steps, 8, UNITS))
    state = np.sign(scale) * rng.normal(size=(1, 8, UNITS))
    return gradient_by_lag(layer, x, rng=rng, state=state)["h"]


@pytest.mark.parametrize("radius", [0.8, 1.0, 1.2])
@pytest.mark.parametrize("seed", range(3))
def test_in_a_silent_network_the_factor_is_the_spectral_radius(radius, seed):
    """Oracle: the power of the transposed matrix itself, and its eigenvalues by NumPy."""
    layer = wide(with_spectral_radius(radius), seed)
    norms = norms_by_lag(layer, 0.0, seed, steps=201)
    factor = (norms[200] / norms[50]) ** (1 / 150)
    matrix = layer.parameters()["weight_hh_l0"]
    assert factor == pytest.approx(np.abs(np.linalg.eigvals(matrix)).max(), rel=0.01)
    assert norms[60] < radius**60  # a random vector has little of the leading eigenvectors


def test_an_orthogonal_matrix_keeps_the_gradient_of_a_silent_network():
    """Oracle: an isometry."""
    norms = norms_by_lag(wide(initialisers.orthogonal, 0), 0.0, 0)
    np.testing.assert_allclose(norms, 1.0, rtol=1e-10)


def predicted_factor(gain, scale):
    """The mean-field factor, with SciPy's quadrature for the expectations."""

    def expectation(function):
        return integrate.quad(lambda u: function(u) * stats.norm.pdf(u), -9, 9)[0]

    q = 1.0
    for _ in range(60):
        root = np.sqrt(q)
        q = gain**2 * expectation(lambda u, root=root: np.tanh(root * u) ** 2) + scale**2
    return gain * np.sqrt(expectation(lambda u: np.cosh(np.sqrt(q) * u) ** -4))


@pytest.mark.parametrize("start", [1.0, 1.2, 1.5, 2.0, "orthogonal"])
def test_driven_networks_follow_the_mean_field_factor_and_not_the_radius(start):
    """Oracle: the two expectations of the lesson by adaptive quadrature; margin two hundredths."""
    orthogonal = start == "orthogonal"
    init = initialisers.orthogonal if orthogonal else with_spectral_radius(start)
    factors, gains = [], []
    for seed in range(5):
        layer = wide(init, seed)
        norms = norms_by_lag(layer, 1.0, seed)
        factors.append((norms[45] / norms[5]) ** (1 / 40))
        gains.append(np.linalg.norm(layer.parameters()["weight_hh_l0"]) / np.sqrt(UNITS))
    assert np.mean(factors) == pytest.approx(predicted_factor(np.mean(gains), 1.0), abs=0.02)
    assert np.mean(factors) < 0.75 * (1.0 if orthogonal else start)


# The recall of bits, with fewer units and shorter lags than in the lesson where it says nothing
# else.


def batch(rng, lags, n=32, steps=30):
    x = rng.choice([-1.0, 1.0], size=(steps, n, 1))
    late = range(max(lags), steps)
    y = np.stack([np.stack([x[t - lag, :, 0] for lag in lags], axis=-1) for t in late])
    return x, y


def train(
    start, lags, seed, *, steps=300, window=None, limit=1.0, optimiser=None, hidden=24, length=30
):
    """Return the shares recalled of fresh bits, and the norms of the gradients."""
    rng, norms = np.random.default_rng(seed), []
    optimiser = Adam(0.003) if optimiser is None else optimiser
    weights = partial(initialisers.normal, std=0.3)
    layer = RNN(1, hidden, recurrent_init=start, weight_init=weights, rng=seed)
    model = Sequential(layer, Linear(hidden, len(lags), rng=seed))
    for _ in range(steps):
        x, y = batch(rng, lags, steps=length)
        error = model(x)
        error[-len(y) :] -= y
        error[: -len(y)] = 0.0
        layer.backward(model[1].backward(2 * error / y.size), truncate=window)
        norms.append(clip_grad_norm(model.gradients(), limit))
        optimiser.step(model.parameters(), model.gradients())
    x, y = batch(np.random.default_rng(99), lags, 100, length)
    return recalled(model(x)[-len(y) :], y), np.array(norms)


@pytest.mark.parametrize("seed", range(2))
def test_orthogonal_weights_learn_a_lag_alone(seed):
    """Oracle: the statement of the lesson."""
    assert train(initialisers.orthogonal, [8], seed)[0][0] > 0.9


def test_from_radius_one_half_few_seeds_learn_lag_ten_alone():
    """Oracle: the statement of the lesson in its own sizes, two of ten seeds, with a margin of
    two; the nearer lag is learned."""
    options = {"steps": 400, "hidden": 32, "length": 40}
    start = with_spectral_radius(0.5)
    shares = [train(start, [10], seed, **options)[0][0] for seed in range(10)]
    assert sum(share > 0.5 for share in shares) <= 4
    assert max(shares[:3]) < 0.1  # the three of the lesson
    assert train(start, [5], 0, **options)[0][0] > 0.9
    assert train(start, [15], int(np.argmax(shares)), **options)[0][0] < 0.5


def test_lags_together_lead_further_than_one_alone():
    """Oracle: the statement of the lesson, at the lag that was not learned alone."""
    shares, _ = train(with_spectral_radius(0.5), range(1, 11), 0, steps=400)
    assert shares.min() > 0.8


def test_short_windows_fail_at_a_lag_alone_and_not_at_a_ladder():
    """Oracle: the statement of the lesson; a window of lag + 2 steps is long enough."""
    alone = {w: train(initialisers.orthogonal, [8], 0, window=w)[0][0] for w in (4, 10)}
    assert alone[4] < 0.5 < 0.9 < alone[10]
    ladder, _ = train(with_spectral_radius(0.5), range(1, 11), 0, window=1, steps=400)
    assert ladder.sum() > 6


@pytest.mark.parametrize("seed", range(2))
def test_clipping_decides_where_the_gradient_explodes(seed):
    """Oracle: the statement of the lesson, for radius 2 at rate 1, in its own sizes."""
    options = {"steps": 100, "hidden": 32}
    lags = range(1, 11)
    start = with_spectral_radius(2.0)
    with np.errstate(over="ignore", invalid="ignore"):
        free = train(start, lags, seed, limit=np.finfo(float).max, optimiser=SGD(lr=1.0), **options)
    clipped = train(start, lags, seed, limit=1.0, optimiser=SGD(lr=1.0), **options)
    assert free[1][:20].max() > 100 > clipped[1][:20].max()
    assert np.maximum(free[0], 0).sum() < 1 < 7 < clipped[0].sum()


def test_clipping_changes_nothing_from_orthogonal_weights_at_a_low_rate():
    """Oracle: the statement of the lesson."""
    options = {"steps": 150, "hidden": 32}
    shares = [
        train(initialisers.orthogonal, range(1, 11), 0, limit=c, optimiser=SGD(lr=0.5), **options)[
            0
        ].sum()
        for c in (1.0, np.finfo(float).max)
    ]
    assert shares[0] == pytest.approx(shares[1], abs=0.3)
    assert min(shares) > 9
