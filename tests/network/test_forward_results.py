"""What the lesson *Forward* reports, found again in a smaller form."""

from __future__ import annotations

import numpy as np
import pytest

from companion import data, network
from companion.network import Linear, Sequential, mlp

RATES = {"cross-entropy": 0.1, "softmax": 1.0, "raw": 0.1}


@pytest.fixture(scope="module")
def digits() -> data.Split:
    return data.load_digits(rng=0)


@pytest.fixture(scope="module")
def trained(digits: data.Split) -> dict[str, list[Sequential]]:
    one_hot = np.eye(10)[digits.y_train]
    models: dict[str, list[Sequential]] = {}
    for kind, lr in RATES.items():
        for seed in range(5):
            model = mlp([64, 32, 10], rng=seed)
            loss, target = network.CrossEntropyLoss(), digits.y_train
            if kind != "cross-entropy":
                loss, target = network.MSELoss(), one_hot
            if kind == "softmax":
                model = Sequential(*model, network.Softmax())
            optimiser = network.SGD(lr=lr, momentum=0.9)
            network.fit(model, loss, optimiser, digits.x_train, target, epochs=20, rng=seed)
            models.setdefault(kind, []).append(model)
    return models


def _test_accuracy(models: list[Sequential], digits: data.Split) -> np.ndarray:
    return np.array(
        [network.accuracy(network.predict(m, digits.x_test), digits.y_test) for m in models]
    )


def test_linear_layers_collapse_to_the_product_of_their_matrices(digits: data.Split) -> None:
    """Oracle: associativity, the product computed by NumPy."""
    first, second = Linear(64, 32, rng=1), Linear(32, 10, rng=2)
    both = Sequential(first, second)(digits.x_test)
    np.testing.assert_allclose(both, digits.x_test @ (second.weight @ first.weight).T, atol=1e-12)


def test_an_untrained_network_starts_near_log_10(digits: data.Split) -> None:
    """Oracle: the closed form log K for uniform guesses, which random logits exceed."""
    losses = [
        network.cross_entropy(mlp([64, 32, 10], rng=seed)(digits.x_train), digits.y_train)
        for seed in range(5)
    ]
    assert all(np.log(10) < loss < np.log(10) + 0.5 for loss in losses)


def test_squared_error_has_no_slope_where_the_network_is_sure_and_wrong() -> None:
    """Oracle: the closed forms, slopes -(1 - p) and -2 (1 - p)^2 p at p = sigmoid(z)."""
    z = -8.0
    p = float(network.sigmoid(z))
    cross_entropy = network.numerical_gradient(lambda v: float(-np.log(network.sigmoid(v))), z)
    squared = network.numerical_gradient(lambda v: float((1 - network.sigmoid(v)) ** 2), z)
    np.testing.assert_allclose(cross_entropy, -(1 - p), rtol=1e-6)
    np.testing.assert_allclose(squared, -2 * (1 - p) ** 2 * p, rtol=1e-5)
    assert abs(squared) < 1e-3 < 0.99 < abs(cross_entropy)


def test_tuned_squared_error_on_probabilities_is_level_with_cross_entropy(
    trained: dict[str, list[Sequential]], digits: data.Split
) -> None:
    """Oracle: the measured spread: the means differ by less than two standard deviations."""
    ce = _test_accuracy(trained["cross-entropy"], digits)
    se = _test_accuracy(trained["softmax"], digits)
    assert abs(ce.mean() - se.mean()) < 2 * max(ce.std(ddof=1), se.std(ddof=1))
    assert min(ce.mean(), se.mean()) > 0.94


def test_squared_error_on_raw_outputs_kills_more_units(
    trained: dict[str, list[Sequential]], digits: data.Split
) -> None:
    """Oracle: a count of units that are zero on every training image, seed by seed."""

    def dead(model: Sequential) -> int:
        hidden = model[1](model[0](digits.x_train))
        return int((hidden.max(axis=0) == 0).sum())

    raw = [dead(model) for model in trained["raw"]]
    ce = [dead(model) for model in trained["cross-entropy"]]
    assert all(r > c for r, c in zip(raw, ce, strict=True))
    assert _test_accuracy(trained["raw"], digits).mean() < 0.93


def test_squared_error_on_raw_outputs_is_slow_rather_than_unable(digits: data.Split) -> None:
    """Oracle: the same training, with five times the epochs, seed by seed."""
    target, score = np.eye(10)[digits.y_train], {}
    for epochs in (20, 100):
        models = []
        for seed in range(3):
            model = mlp([64, 32, 10], rng=seed)
            sgd = network.SGD(lr=0.03, momentum=0.9)
            x = digits.x_train
            network.fit(model, network.MSELoss(), sgd, x, target, epochs=epochs, rng=seed)
            models.append(model)
        score[epochs] = _test_accuracy(models, digits)
    assert (score[100] - score[20]).min() > 0.02
    assert score[100].mean() > 0.93
