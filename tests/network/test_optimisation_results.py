"""What the lesson *Optimisation* reports, found again in a smaller form."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from scipy import linalg, stats

from companion import data, network
from companion.network import SGD, Adam, AdamW, Muon, fit, mlp, orthogonalise, schedules

SEEDS = range(10, 18)
STEPS = 170


@pytest.fixture(scope="module")
def splits() -> dict[int, data.Split]:
    return {seed: data.load_digits(rng=seed) for seed in (0, *SEEDS)}


def _best_pair(low: float, high: float) -> tuple[SGD, SGD]:
    root = np.sqrt(high / low)
    momentum = ((root - 1) / (root + 1)) ** 2
    heavy_ball = SGD(4 / (np.sqrt(low) + np.sqrt(high)) ** 2, momentum=momentum)
    return SGD(2 / (low + high)), heavy_ball


def _distances(
    optimiser: SGD, hessian: np.ndarray, start: np.ndarray, optimum: np.ndarray, steps: int
) -> np.ndarray:
    w = {"w": start.copy()}
    found = [np.linalg.norm(start - optimum)]
    for _ in range(steps):
        optimiser.step(w, {"w": hessian @ (w["w"] - optimum)})
        found.append(np.linalg.norm(w["w"] - optimum))
    return np.array(found)


@pytest.mark.parametrize("kappa", [10.0, 100.0, 1000.0])
def test_rates_of_descent_and_momentum_are_those_of_the_theory(kappa: float) -> None:
    """Oracle: (kappa - 1)/(kappa + 1) and the same with the root of kappa, in closed form."""
    root, steps = np.sqrt(kappa), int(100 * np.sqrt(kappa))
    measured = []
    for optimiser in _best_pair(1.0, kappa):
        e = _distances(optimiser, np.diag([1.0, kappa]), np.ones(2), np.zeros(2), steps)
        measured.append((e[-1] / e[steps // 2]) ** (1 / (steps - steps // 2)))
    assert measured[0] == pytest.approx((kappa - 1) / (kappa + 1), rel=1e-9)
    assert measured[1] == pytest.approx((root - 1) / (root + 1), rel=0.005)
    assert measured[1] > (root - 1) / (root + 1)


def test_on_digits_both_keep_their_bounds_and_momentum_needs_a_tenth(
    splits: dict[int, data.Split],
) -> None:
    """Oracle: the bounds rho^t and (1 + 2t) rho^t, and the solution by numpy.linalg.solve."""
    digits = splits[0]
    x = np.hstack([digits.x_train, np.ones((len(digits.x_train), 1))])
    hessian = x.T @ x / len(x) + 0.01 * np.eye(65)
    optimum = np.linalg.solve(hessian, x.T @ np.eye(10)[digits.y_train] / len(x))
    low, *_, high = np.linalg.eigvalsh(hessian)
    kappa, t, needed = high / low, np.arange(1501), []
    rho = (kappa - 1) / (kappa + 1), (np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1)
    for optimiser, bound in zip(
        _best_pair(low, high), (rho[0] ** t, (1 + 2 * t) * rho[1] ** t), strict=True
    ):
        e = _distances(optimiser, hessian, np.zeros_like(optimum), optimum, 1500)
        assert (e / e[0] <= bound + 1e-9).all()
        needed.append(int(np.argmax(e / e[0] < 0.01)))
    assert kappa > 1000
    assert 0 < 8 * needed[1] < needed[0]


def test_the_noise_of_a_batch_falls_with_its_root(splits: dict[int, data.Split]) -> None:
    """Oracle: the variance of a mean drawn without replacement, (N - B) / (B (N - 1))."""
    digits, rng = splits[0], np.random.default_rng(1)
    model, n = mlp([64, 16, 10], rng=0), len(digits.x_train)

    def gradient(rows: np.ndarray) -> np.ndarray:
        loss = network.CrossEntropyLoss()
        loss.forward(model.forward(digits.x_train[rows]), digits.y_train[rows])
        model.backward(loss.backward())
        return model.gradients()["0.weight"]

    full, errors = gradient(np.arange(n)), {}
    for size in (8, 128):
        draws = [gradient(rng.permutation(n)[:size]) for _ in range(100)]
        errors[size] = np.sqrt(np.mean([np.sum((g - full) ** 2) for g in draws]))
    theory = np.sqrt((n - 128) / 128 / ((n - 8) / 8))
    assert errors[128] / errors[8] == pytest.approx(theory, rel=0.1)


def test_decay_in_the_gradient_erases_weights_that_decoupled_decay_spares(
    splits: dict[int, data.Split],
) -> None:
    """Oracle: (1 - lr alpha)^T for AdamW; weights of white pixels have no gradient."""
    digits = splits[0]
    white = (digits.x_train == 0).all(axis=0)
    assert white.sum() >= 1
    ratios = []
    for optimiser in (Adam(0.01, weight_decay=0.01), AdamW(0.01, weight_decay=0.01)):
        model = mlp([64, 64, 10], rng=0)
        start = model[0].weight[:, white].copy()
        loss = network.CrossEntropyLoss()
        fit(model, loss, optimiser, digits.x_train, digits.y_train, epochs=8, rng=0)
        ratios.append(np.abs(model[0].weight[:, white]).mean() / np.abs(start).mean())
    assert ratios[0] < 1e-3
    assert ratios[1] == pytest.approx((1 - 0.01 * 0.01) ** optimiser.steps, rel=1e-9)


def test_five_steps_come_near_the_polar_factor_and_forty_cubic_ones_reach_it(
    splits: dict[int, data.Split],
) -> None:
    """Oracle: scipy.linalg.polar, which computes the factor by an SVD."""
    digits, model = splits[0], mlp([64, 64, 10], rng=0)
    loss = network.CrossEntropyLoss()
    loss.forward(model.forward(digits.x_train[:64]), digits.y_train[:64])
    model.backward(loss.backward())
    u, s, vt = np.linalg.svd(model.gradients()["0.weight"])
    kept = s > 1e-9 * s[0]
    # In the bases of the singular vectors that are not null, the matrix is square and regular.
    gradient = np.diag(s[kept])
    exact = linalg.polar(u[:, kept] @ gradient @ vt[kept] + u[:, ~kept] @ vt[~kept])[0]
    exact = exact - u[:, ~kept] @ vt[~kept]
    gradient = u[:, kept] @ gradient @ vt[kept]

    def cosine(matrix: np.ndarray) -> float:
        return float(np.vdot(matrix, exact) / np.linalg.norm(matrix) / np.linalg.norm(exact))

    cubic = (1.5, -0.5, 0.0)
    assert cosine(gradient) < 0.5 < cosine(orthogonalise(gradient, coefficients=cubic)) < 0.7
    assert cosine(orthogonalise(gradient)) > 0.88
    assert cosine(orthogonalise(gradient, steps=40, coefficients=cubic)) > 0.9999
    lifted = np.linalg.svd(orthogonalise(gradient), compute_uv=False)
    far_enough = np.sort(lifted)[::-1][: np.sum(s > 0.002 * np.linalg.norm(s))]
    assert (far_enough > 0.6).all()
    assert (far_enough < 1.25).all()


class _SameLength(Muon):
    """Muon without the orthogonal shape: the averaged gradient at the same Frobenius norm."""

    def _update(self, state, w, g):  # type: ignore[no-untyped-def]
        before = w.copy()
        super()._update(state, w, g)
        if w.ndim == 2:
            direction = self.momentum * state["momentum"] + (1 - self.momentum) * g
            length = np.sqrt(min(w.shape))
            w[...] = before - self.lr * direction * length / np.linalg.norm(direction)


def _accuracies(
    make: Callable[[], network.Optimiser], splits: dict[int, data.Split], **options: object
) -> np.ndarray:
    found = []
    for seed in SEEDS:
        digits, model = splits[seed], mlp([64, 64, 10], rng=seed)
        loss = network.CrossEntropyLoss()
        settings = {"epochs": 10, "batch_size": 64, "rng": seed} | options
        fit(model, loss, make(), digits.x_train, digits.y_train, **settings)
        found.append(network.accuracy(network.predict(model, digits.x_test), digits.y_test))
    return np.array(found)


def _interval(difference: np.ndarray) -> tuple[float, float]:
    half = stats.t.ppf(0.975, len(difference) - 1) * stats.sem(difference)
    return difference.mean() - half, difference.mean() + half


def test_the_orthogonal_shape_helps_and_decoupling_a_weak_decay_does_not(
    splits: dict[int, data.Split],
) -> None:
    """Oracle: Student's interval of paired differences, at the rates that the lesson found best."""
    muon = _accuracies(partial(Muon, 0.03), splits)
    low, _ = _interval(muon - _accuracies(partial(_SameLength, 0.01), splits))
    assert low > 0
    adamw = _accuracies(partial(AdamW, 0.01), splits) - _accuracies(partial(Adam, 0.01), splits)
    assert abs(adamw.mean()) < 0.005


def test_schedule_and_clipping_forgive_a_rate_that_is_too_large(
    splits: dict[int, data.Split],
) -> None:
    """Oracle: the same runs without either; a good rate gains nothing from clipping."""
    make = partial(SGD, 1.0, momentum=0.9)
    falling = schedules.cosine(1.0, total_steps=STEPS)
    plain = _accuracies(make, splits).mean()
    assert plain < 0.75
    assert _accuracies(make, splits, max_grad_norm=0.25).mean() > 0.93
    assert _accuracies(make, splits, schedule=falling).mean() > plain + 0.1
    good = partial(SGD, 0.3, momentum=0.9)
    gain = _accuracies(good, splits, max_grad_norm=0.25) - _accuracies(good, splits)
    assert gain.mean() < 0.005


REGULARISERS = {
    "L2": {"penalties": [network.L2(0.01)]},
    "L1": {"penalties": [network.L1(0.003)]},
    "dropout": {"dropout": 0.5},
    "early stopping": {"early_stopping": network.EarlyStopping(2)},
}


def _small(split: data.Split, seed: int, wrong_share: float, **options: object) -> float:
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(split.y_train))[:200]
    x, y = split.x_train[rows], split.y_train[rows]
    wrong = int(wrong_share * len(y))
    y[:wrong] = (y[:wrong] + rng.integers(1, 10, size=wrong)) % 10
    model = mlp([64, 64, 10], dropout=options.pop("dropout", 0.0), rng=seed)
    if "early_stopping" in options:
        options["validation"] = split.x_val, split.y_val
    settings = {"epochs": 30, "batch_size": 50, "rng": seed} | options
    fit(model, network.CrossEntropyLoss(), Adam(0.01), x, y, **settings)
    return network.accuracy(network.predict(model, split.x_test), split.y_test)


def test_regularisers_help_against_wrong_labels_and_not_otherwise(
    splits: dict[int, data.Split],
) -> None:
    """Oracle: the network without any, on the same images and labels."""
    for wrong_share, expected in ((0.0, False), (0.2, True)):
        plain = np.array([_small(splits[s], s, wrong_share) for s in SEEDS])
        for name, options in REGULARISERS.items():
            runs = [_small(splits[s], s, wrong_share, **options) for s in SEEDS]
            low, high = _interval(np.array(runs) - plain)
            if expected:
                assert low > 0.02, name
            else:
                assert low < 0, name
                assert high < 0.015, name


def test_l1_makes_weights_small_but_not_zero(splits: dict[int, data.Split]) -> None:
    """Oracle: the same training with L2 of the same strength, and counting."""
    digits = splits[0]
    falling, shares = schedules.cosine(0.1, total_steps=2 * STEPS), {}
    for name, penalty, schedule in (
        ("L2", network.L2(0.001), falling),
        ("L1", network.L1(0.001), falling),
        ("constant", network.L1(0.001), None),
    ):
        model = mlp([64, 64, 10], rng=0)
        optimiser, loss = SGD(0.1, momentum=0.9), network.CrossEntropyLoss()
        options = {"epochs": 20, "batch_size": 64, "penalties": [penalty], "schedule": schedule}
        fit(model, loss, optimiser, digits.x_train, digits.y_train, rng=0, **options)
        w = np.concatenate([p.ravel() for p in model.parameters().values() if p.ndim == 2])
        shares[name] = [np.mean(np.abs(w) <= limit) for limit in (1e-3, 1e-5, 0.0)]
    assert shares["L2"][0] < 0.02
    assert shares["L1"][0] > 0.3
    assert shares["L1"][2] == 0
    assert shares["constant"][1] < 0.2 * shares["L1"][1]


def test_spectral_norms_bound_the_stretch_once_power_iteration_has_settled(
    splits: dict[int, data.Split],
) -> None:
    """Oracle: singular values of weights and Jacobians by numpy.linalg.norm(..., 2)."""
    digits, rng = splits[0], np.random.default_rng(0)
    layers = [network.Linear(64, 64, rng=rng), network.Linear(64, 10, rng=rng)]
    first, second = (network.SpectralNorm(layer, rng=rng) for layer in layers)
    normalised = network.Sequential(first, network.ReLU(), second)
    plain = mlp([64, 64, 10], rng=0)
    bounds, stretches, tested = [], [], []
    for model in (plain, normalised):
        options = {"epochs": 10, "batch_size": 64, "rng": 0}
        loss = network.CrossEntropyLoss()
        fit(model, loss, Adam(0.01), digits.x_train, digits.y_train, **options)
        matrices = [
            layer.normalised_weight() if isinstance(layer, network.SpectralNorm) else layer.weight
            for layer in (model[0], model[2])
        ]
        model.eval()
        bounds.append(np.prod([np.linalg.norm(m, 2) for m in matrices]))
        jacobians = [network.jacobian(model, image) for image in digits.x_test]
        stretches.append(max(np.linalg.norm(j, 2) for j in jacobians))
        tested.append(network.accuracy(network.predict(model, digits.x_test), digits.y_test))
    assert stretches[0] <= bounds[0]
    assert stretches[1] <= bounds[1]
    assert stretches[0] > 10
    assert 1.01 < bounds[1] < 1.6
    assert tested[1] < tested[0] - 0.03
    normalised.train()
    for _ in range(300):
        normalised.forward(digits.x_test[:1])
    settled = [np.linalg.norm(layer.normalised_weight(), 2) for layer in (first, second)]
    np.testing.assert_allclose(settled, 1.0, atol=1e-3)
