"""What the lesson *Backward* reports, found again in a smaller form."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from companion import data, network
from companion.network import (
    Activation,
    CrossEntropyLoss,
    Linear,
    MSELoss,
    Sequential,
    Softmax,
    Tanh,
    gradient_check,
    mlp,
    numerical_gradient,
    relative_error,
)
from companion.network.autodiff import Tensor


@pytest.fixture(scope="module")
def digits() -> data.Split:
    return data.load_digits(rng=0)


# The derivation


@pytest.mark.parametrize("seed", range(3))
def test_three_steps_give_every_gradient_of_a_small_network(seed: int) -> None:
    """Oracle: central differences of a forward pass written with SciPy."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(4, 2)), rng.integers(2, size=4)
    parameters = [rng.normal(size=shape) for shape in ((3, 2), (3,), (2, 3), (2,))]

    def loss(w1, b1, w2, b2):
        logits = np.tanh(x @ w1.T + b1) @ w2.T + b2
        return -float(np.mean(log_softmax(logits, axis=1)[np.arange(4), y]))

    w1, b1, w2, b2 = parameters
    z1 = x @ w1.T + b1
    a1 = np.tanh(z1)
    delta2 = (softmax(a1 @ w2.T + b2, axis=1) - np.eye(2)[y]) / 4
    delta1 = (delta2 @ w2) * (1 - np.tanh(z1) ** 2)
    derived = [delta1.T @ x, delta1.sum(axis=0), delta2.T @ a1, delta2.sum(axis=0)]
    for place, gradient in enumerate(derived):

        def moved(value, place=place):
            return loss(*parameters[:place], value, *parameters[place + 1 :])

        assert relative_error(gradient, numerical_gradient(moved, parameters[place])) < 1e-7
    outer = [np.outer(d, a) for d, a in zip(delta2, a1, strict=True)]
    np.testing.assert_allclose(sum(outer), derived[2], atol=1e-14)
    assert all(np.linalg.matrix_rank(one) == 1 for one in outer)


# The step of the finite differences


def test_truncation_and_rounding_have_the_slopes_of_the_argument() -> None:
    """Oracle: exponents 2, 1 and -1 from Taylor's theorem and from the rounding of a difference."""
    x = np.random.default_rng(0).normal(size=40)
    steps = 10.0 ** np.arange(-12, -0.9, 0.5)

    def function(v):
        return float(np.sum(np.exp(v)))

    def one_sided(eps):
        above = [function(x + eps * row) for row in np.eye(len(x))]
        return (np.array(above) - function(x)) / eps

    central = [relative_error(numerical_gradient(function, x, eps=e), np.exp(x)) for e in steps]
    simple = [relative_error(one_sided(e), np.exp(x)) for e in steps]

    def slope(errors, low, high):
        part = (steps > low) & (steps < high)
        return np.polyfit(np.log(steps[part]), np.log(np.array(errors)[part]), 1)[0]

    assert slope(central, 2e-12, 2e-7) == pytest.approx(-1, abs=0.15)
    assert slope(simple, 2e-12, 2e-9) == pytest.approx(-1, abs=0.15)
    assert slope(central, 2e-3, 0.2) == pytest.approx(2, abs=0.1)
    assert slope(simple, 2e-6, 0.02) == pytest.approx(1, abs=0.1)
    assert 1e-6 < steps[np.argmin(central)] < 1e-4
    assert min(central) < 1e-9 < 1e-8 < min(simple)


# The planted bugs


class NoTranspose(Linear):
    def backward(self, grad_output):
        super().backward(grad_output)
        return grad_output @ self.weight.T


class TransposedGradient(Linear):
    def backward(self, grad_output):
        grad_input = super().backward(grad_output)
        self._gradients["weight"] = self._gradients["weight"].T.copy()
        return grad_input


class AveragedBias(Linear):
    def backward(self, grad_output):
        grad_input = super().backward(grad_output)
        self._gradients["bias"] = self._gradients["bias"] / len(grad_output)
        return grad_input


class NoMean(CrossEntropyLoss):
    def backward(self):
        return super().backward() * len(self._gradient)


class NoTwo(MSELoss):
    def backward(self):
        return super().backward() / 2


def wrong_sign() -> Activation:
    return Activation(np.tanh, lambda z: -network.tanh_derivative(z))


def at_a() -> Activation:
    return Activation(np.tanh, lambda z: network.tanh_derivative(np.tanh(z)))


def of_sigmoid() -> Activation:
    return Activation(np.tanh, lambda z: np.tanh(z) * (1 - np.tanh(z)))


def relu_at_a() -> Activation:
    return Activation(network.relu, lambda z: network.relu_derivative(network.relu(z)))


def square_net(
    middle: type[Linear] = Linear,
    bend: Callable[[], Activation] = Tanh,
    *,
    seed: int = 0,
    scale: float = 1.0,
) -> Sequential:
    rng = np.random.default_rng(seed)
    first, last = Linear(64, 8, rng=rng), Linear(8, 10, rng=rng)
    model = Sequential(first, Tanh(), middle(8, 8, rng=rng), bend(), last)
    for array in model.parameters().values():
        array *= scale
    return model


def checked(model: Sequential, digits: data.Split, loss=None, eps: float = 1e-6):
    target = digits.y_train[:5]
    if isinstance(loss, MSELoss):
        target = np.eye(10)[target]
    return gradient_check(model, loss or CrossEntropyLoss(), digits.x_train[:5], target, eps=eps)


BUGS = [
    # The options of square_net, the loss, the last wrong array, and the error if it is known.
    ({"bend": wrong_sign}, None, "2.bias", 1.0),
    ({"bend": at_a}, None, "2.bias", None),
    ({"bend": of_sigmoid}, None, "2.bias", None),
    ({"middle": NoTranspose}, None, "0.bias", None),
    ({"middle": TransposedGradient}, None, "2.weight", None),
    ({"middle": AveragedBias}, None, "2.bias", 4 / 6),
    ({}, NoMean, "4.bias", 4 / 6),
    ({}, NoTwo, "4.bias", 1 / 3),
]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("options", "loss", "last", "error"), BUGS)
def test_a_planted_bug_shows_and_the_last_wrong_array_is_next_to_it(
    digits: data.Split, options, loss, last, error, seed: int
) -> None:
    """Oracle: the place where the bug was put, and |c - 1| / (c + 1) for a factor c."""
    result = checked(square_net(**options, seed=seed), digits, loss() if loss else None)
    wrong = [name for name, e in result.errors.items() if e > result.tolerance]
    assert wrong[-1] == last
    assert result.errors[result.worst] > 0.01
    if error is not None:
        assert result.errors[last] == pytest.approx(error, abs=1e-4)


@pytest.mark.parametrize("loss", [None, MSELoss()])
def test_the_network_without_a_bug_passes(digits: data.Split, loss) -> None:
    """Oracle: central differences, with three digits to spare."""
    result = checked(square_net(), digits, loss)
    assert result.errors[result.worst] < 1e-7


# What the check does not see


def test_a_wrong_forward_pass_passes_and_shows_in_the_loss(digits: data.Split) -> None:
    """Oracle: the closed form -log(e / (e + 9)), the least loss of a softmax of probabilities."""
    assert checked(Sequential(*square_net(), Softmax()), digits).passed
    floor = -np.log(np.e / (np.e + 9))
    perfect = network.cross_entropy(np.eye(10)[digits.y_train], digits.y_train)
    assert perfect == pytest.approx(floor, abs=1e-12)
    losses = {}
    for name, extra in (("once", []), ("twice", [Softmax()])):
        model = Sequential(*mlp([64, 32, 10], activation="tanh", rng=0), *extra)
        history = network.fit(
            model,
            CrossEntropyLoss(),
            network.SGD(lr=1.0),
            digits.x_train,
            digits.y_train,
            epochs=30,
            rng=0,
        )
        losses[name] = history.train_loss[-1]
    assert losses["once"] < 0.02
    assert floor < losses["twice"] < floor + 0.05


def test_the_derivative_at_the_activation_is_invisible_with_relu(digits: data.Split) -> None:
    """Oracle: relu(z) > 0 exactly where z > 0, so both derivatives are one function."""
    z = np.random.default_rng(0).normal(size=1000)
    np.testing.assert_array_equal(relu_at_a()._derivative(z), network.relu_derivative(z))
    assert checked(square_net(bend=relu_at_a), digits).passed


def test_the_derivative_at_the_activation_hides_where_weights_are_small(
    digits: data.Split,
) -> None:
    """Oracle: the gradient without the bug, with which the buggy one is compared."""
    errors, passed = [], []
    for scale in (1.0, 0.3, 0.1):
        right, wrong = square_net(scale=scale), square_net(bend=at_a, scale=scale)
        checked(right, digits)
        passed.append(checked(wrong, digits).passed)
        pair = [net.gradients()["0.weight"] for net in (right, wrong)]
        errors.append(relative_error(*pair))
    assert passed == [False, False, True]
    assert errors[0] > 0.01
    assert errors[0] > 100 * errors[1] > 1000 * errors[2] > 0


def test_a_corner_within_reach_of_the_step_is_a_false_alarm(digits: data.Split) -> None:
    """Oracle: the same network at a step that crosses no corner, and a smooth one at the large."""
    relu, tanh = (mlp([64, 32, 32, 10], activation=f, rng=0) for f in ("relu", "tanh"))
    assert not checked(relu, digits, eps=1e-3).passed
    assert checked(relu, digits, eps=1e-6).passed
    assert checked(tanh, digits, eps=1e-3).passed
    at_corner = numerical_gradient(lambda z: float(network.relu(z)), 0.0)
    assert at_corner == pytest.approx(0.5)
    assert network.relu_derivative(0.0) == 0.0


# Automatic differentiation


@pytest.mark.parametrize("seed", range(3))
def test_automatic_differentiation_repeats_the_hand_made_gradients(
    digits: data.Split, seed: int
) -> None:
    """Oracle: the layers' own backward passes, which share no code with the autodiff."""
    x, y = digits.x_train, digits.y_train
    model, loss = mlp([64, 32, 10], activation="tanh", rng=seed), CrossEntropyLoss()
    loss.forward(model(x), y)
    model.backward(loss.backward())
    p = {name: Tensor(array) for name, array in model.parameters().items()}
    hidden = (Tensor(x) @ p["0.weight"].T + p["0.bias"]).tanh()
    logits = hidden @ p["2.weight"].T + p["2.bias"]
    log_p = logits - logits.exp().sum(axis=1).log()
    (-(log_p * np.eye(10)[y]).sum() / len(y)).backward()
    for name, gradient in model.gradients().items():
        np.testing.assert_allclose(p[name].grad, gradient, atol=1e-12)


# The cost


@pytest.mark.parametrize("pixels", [True, False])
def test_a_backward_pass_costs_two_forward_passes_less_the_pixels(pixels: bool) -> None:
    """Oracle: PyTorch's counter of floating-point operations, two for each multiplication."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    widths, batch = [64, 32, 16, 10], 8
    products = [batch * n * m for n, m in pairwise(widths)]
    layers = []
    for n, m in pairwise(widths):
        layers += [torch.nn.Linear(n, m), torch.nn.Tanh()]
    x = torch.ones(batch, 64, requires_grad=pixels)
    with FlopCounterMode(display=False) as ahead:
        value = torch.nn.Sequential(*layers)(x).sum()
    with FlopCounterMode(display=False) as back:
        value.backward()
    assert ahead.get_total_flops() == 2 * sum(products)
    assert back.get_total_flops() == 4 * sum(products) - (0 if pixels else 2 * products[0])


# The training


def trained(split: data.Split, widths: list[int], epochs: int, seed: int) -> tuple[float, float]:
    """Return the last training loss and the test accuracy."""
    model = mlp(widths, activation="tanh", rng=seed)
    loss, optimiser = CrossEntropyLoss(), network.SGD(lr=1.0)
    history = network.fit(
        model, loss, optimiser, split.x_train, split.y_train, epochs=epochs, rng=seed
    )
    score = network.accuracy(network.predict(model, split.x_test), split.y_test)
    return history.train_loss[-1], score


def test_the_patient_baseline_is_as_good_as_a_solver() -> None:
    """Oracle: scikit-learn's multinomial logistic regression, at a good strength of its penalty."""
    ours, theirs = [], []
    for seed in range(3):
        split = data.load_digits(rng=seed)
        ours.append(trained(split, [64, 10], 200, seed)[1])
        solver = LogisticRegression(C=10.0, max_iter=3000).fit(split.x_train, split.y_train)
        theirs.append(solver.score(split.x_test, split.y_test))
    assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=0.008)


def test_the_hidden_layer_gains_a_little_over_the_patient_baseline() -> None:
    """Oracle: the test sets of five splits. The gain is there, and it is below two points."""
    gains, ratios = [], []
    for seed in range(5):
        split = data.load_digits(rng=seed)
        plain, _ = trained(split, [64, 10], 30, seed)
        _, patient = trained(split, [64, 10], 200, seed)
        loss, hidden = trained(split, [64, 32, 10], 30, seed)
        gains.append(hidden - patient)
        ratios.append(plain / loss)
    assert 0 < np.mean(gains) < 0.02
    assert min(ratios) > 4
