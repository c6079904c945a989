"""What is wrong, and what is right, in the listings of the sources.

Each mistake is reproduced in a few lines of our own, with the sizes of the listing where they
matter, and compared with an oracle: finite differences, a closed form, or the error NumPy raises.
"""

from __future__ import annotations

import numpy as np
import pytest

from companion import data
from companion.network import (
    cross_entropy,
    initialisers,
    log_softmax,
    mse,
    numerical_gradient,
    relative_error,
    sigmoid,
    sigmoid_derivative,
    softmax,
    tanh_derivative,
)

SMALL = 1e-7
Array = np.ndarray


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


# --- 000: one matrix, trained by gradient descent -----------------------------------------------


@pytest.mark.claim("000-listing-shapes")
def test_weights_on_the_left_need_samples_in_columns(rng: np.random.Generator) -> None:
    """Oracle: the rule for the shape of a product, and the error NumPy raises."""
    x, target = rng.standard_normal((100, 2)), rng.standard_normal((100, 1))
    weight = rng.standard_normal((2, 100))
    output = weight @ x
    assert output.shape == (2, 2)
    with pytest.raises(ValueError, match="broadcast"):
        _ = output - target
    assert (x @ rng.standard_normal((1, 2)).T).shape == target.shape


@pytest.mark.claim("000-listing-no-hidden-layer")
def test_one_matrix_is_linear_regression(rng: np.random.Generator) -> None:
    """Oracle: superposition, and on the exclusive or the normal equations by hand.

    The best map through the origin is w = (1/3, 1/3); it errs by 2/3 on three of the four cases.
    """
    weight = rng.standard_normal((3, 2))
    x, y = rng.standard_normal((2, 5, 2))
    np.testing.assert_allclose((2 * x - 3 * y) @ weight.T, 2 * x @ weight.T - 3 * y @ weight.T)

    inputs = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    target = np.array([0.0, 1.0, 1.0, 0.0])
    best, *_ = np.linalg.lstsq(inputs, target)
    np.testing.assert_allclose(best, 1 / 3)
    assert mse(inputs @ best, target) == pytest.approx(3 * (2 / 3) ** 2 / 4)


@pytest.mark.claim("000-listing-gradient-scale")
@pytest.mark.parametrize(("samples", "outputs"), [(100, 1), (30, 4)])
def test_the_mean_brings_a_factor_into_the_gradient(samples: int, outputs: int) -> None:
    """Oracle: finite differences of the mean squared error."""
    rng = np.random.default_rng(samples)
    x, target = rng.standard_normal((samples, 2)), rng.standard_normal((samples, outputs))
    weight = rng.standard_normal((outputs, 2))
    without = (x @ weight.T - target).T @ x
    gradient = numerical_gradient(lambda w: mse(x @ w.T, target), weight)
    assert relative_error(2 / (samples * outputs) * without, gradient) < SMALL
    assert np.linalg.norm(without) / np.linalg.norm(gradient) == pytest.approx(
        samples * outputs / 2, rel=1e-6
    )


@pytest.mark.claim("000-listing-gradient-scale")
def test_without_the_factor_more_data_means_divergence() -> None:
    """Oracle: descent on a quadratic converges while rate times largest curvature is below 2."""
    rate = 0.01
    for samples, converges in ((100, True), (1000, False)):
        rng = np.random.default_rng(0)
        x = rng.standard_normal((samples, 2))
        target = x @ np.array([[1.0], [-2.0]])
        curvature = np.linalg.eigvalsh(x.T @ x).max()
        assert (rate * curvature < 2) == converges
        summed, mean = np.zeros((1, 2)), np.zeros((1, 2))
        for _ in range(50):
            summed -= rate * (x @ summed.T - target).T @ x
            mean -= rate * (2 / samples) * (x @ mean.T - target).T @ x
        start = mse(np.zeros_like(target), target)
        assert (mse(x @ summed.T, target) < 1e-3 * start) == converges
        assert mse(x @ mean.T, target) < start


@pytest.mark.claim("000-listing-test-on-training-data")
def test_noise_is_fitted_on_training_samples_only() -> None:
    """Oracle: least squares with p of n directions leaves 1 - p/n of the noise, on average.

    On new Gaussian samples the expected error is 1 + p/(n - p - 1).
    """
    n, p = 30, 10
    rng = np.random.default_rng(0)
    seen, new = [], []
    for _ in range(400):
        x, target = rng.standard_normal((n, p)), rng.standard_normal(n)
        best, *_ = np.linalg.lstsq(x, target)
        seen.append(mse(x @ best, target))
        fresh = rng.standard_normal((n, p))
        new.append(mse(fresh @ best, rng.standard_normal(n)))
    assert np.mean(seen) == pytest.approx(1 - p / n, rel=0.05)
    assert np.mean(new) == pytest.approx(1 + p / (n - p - 1), rel=0.05)


# --- 001: two tanh networks ---------------------------------------------------------------------


@pytest.mark.claim("001-listing-runs")
def test_two_networks_in_series_clash_in_shape() -> None:
    """Oracle: NumPy; the sizes are those of the listing (10 inputs, 2 outputs)."""
    samples = 20
    passed_back = np.ones((samples, 5)) @ np.ones((10, 5)).T
    output_of_first = np.ones((samples, 2))
    with pytest.raises(ValueError, match="broadcast"):
        _ = passed_back * (1 - output_of_first**2)


@pytest.mark.claim("001-listing-runs")
def test_a_bias_vector_takes_no_row_matrix_in_place() -> None:
    """Oracle: NumPy; the sum over samples with kept axes has shape (1, h)."""
    bias = np.zeros(5)
    gradient = np.ones((20, 5)).sum(axis=0, keepdims=True)
    with pytest.raises(ValueError, match="non-broadcastable output"):
        bias -= 0.01 * gradient
    bias -= 0.01 * gradient[0]
    np.testing.assert_allclose(bias, -0.2)


class TestTwoTanhNetworks:
    """Networks of equal sizes side by side on the same data, as in the listing but smaller."""

    @pytest.fixture
    def case(self, rng: np.random.Generator) -> dict[str, Array]:
        w1, w2, w3, w4 = rng.standard_normal((4, 3, 3))
        x, y = rng.standard_normal((2, 6, 3))
        return {"w1": w1, "w2": w2, "w3": w3, "w4": w4, "x": x, "y": y}

    @staticmethod
    def loss(case: dict[str, Array], **changed: Array) -> float:
        """Return half the squared error of the second network."""
        v = case | changed
        _unused = np.tanh(np.tanh(v["x"] @ v["w1"]) @ v["w2"])
        output = np.tanh(np.tanh(v["x"] @ v["w3"]) @ v["w4"])
        return 0.5 * float(np.sum((output - v["y"]) ** 2))

    @staticmethod
    def hidden_and_output(case: dict[str, Array]) -> tuple[Array, Array]:
        hidden = np.tanh(case["x"] @ case["w3"])
        return hidden, np.tanh(hidden @ case["w4"])

    @pytest.mark.claim("001-listing-series")
    def test_a_network_that_is_not_used_has_gradient_zero(self, case: dict[str, Array]) -> None:
        """Oracle: finite differences; the listing's chain through both networks is not zero."""
        for name in ("w1", "w2"):
            gradient = numerical_gradient(lambda w, n=name: self.loss(case, **{n: w}), case[name])
            np.testing.assert_array_equal(gradient, 0.0)
        hidden, output = self.hidden_and_output(case)
        delta = (((output - case["y"]) @ case["w4"].T) * (1 - hidden**2)) @ case["w3"].T
        assert np.linalg.norm(np.tanh(case["x"] @ case["w1"]).T @ delta) > 1.0

    @pytest.mark.claim("001-listing-weight-gradient")
    def test_a_weight_gradient_needs_the_input_of_its_own_layer(
        self, case: dict[str, Array]
    ) -> None:
        """Oracle: finite differences with respect to the first weights of the second network."""
        hidden, output = self.hidden_and_output(case)
        delta = (((output - case["y"]) * (1 - output**2)) @ case["w4"].T) * (1 - hidden**2)
        gradient = numerical_gradient(lambda w: self.loss(case, w3=w), case["w3"])
        others = np.tanh(np.tanh(case["x"] @ case["w1"]) @ case["w2"])
        assert relative_error(case["x"].T @ delta, gradient) < SMALL
        assert relative_error(others.T @ delta, gradient) > 0.1

    @pytest.mark.claim("001-listing-output-error")
    def test_the_error_term_of_a_tanh_output_has_its_derivative(
        self, case: dict[str, Array]
    ) -> None:
        """Oracle: finite differences with respect to the last weights."""
        hidden, output = self.hidden_and_output(case)
        gradient = numerical_gradient(lambda w: self.loss(case, w4=w), case["w4"])
        with_derivative = hidden.T @ ((output - case["y"]) * (1 - output**2))
        without = hidden.T @ (output - case["y"])
        assert relative_error(with_derivative, gradient) < SMALL
        assert relative_error(without, gradient) > 0.1

    @pytest.mark.claim("001-listing-hidden-error")
    def test_the_error_term_of_a_hidden_tanh_layer(self, case: dict[str, Array]) -> None:
        """Oracle: finite differences with respect to the hidden pre-activations."""
        z = case["x"] @ case["w3"]

        def loss(v: Array) -> float:
            return 0.5 * float(np.sum((np.tanh(v) @ case["w4"] - case["y"]) ** 2))

        hidden = np.tanh(z)
        passed_back = (hidden @ case["w4"] - case["y"]) @ case["w4"].T
        assert relative_error(passed_back * (1 - hidden**2), numerical_gradient(loss, z)) < SMALL


@pytest.mark.claim("001-listing-unit-normal")
def test_standard_normal_weights_saturate_tanh(rng: np.random.Generator) -> None:
    """Oracle: the mean of tanh'(s g) over a standard normal g, by quadrature.

    With ten inputs of variance one, s squared is ten times the variance of a weight: 10 for the
    standard normal, and 10 x 2 / (10 + 5) for Xavier with the five hidden units of the listing.
    The sum of ten products is nearly normal, hence the tolerance.
    """
    x = rng.standard_normal((500, 10))
    g = np.linspace(-9, 9, 20001)
    density = np.exp(-0.5 * g**2) / np.sqrt(2 * np.pi)
    slopes = []
    for initialiser, variance in ((initialisers.normal, 10.0), (initialisers.xavier_normal, 4 / 3)):
        weights = [initialiser((5, 10), rng=rng) for _ in range(100)]
        slope = np.mean([tanh_derivative(x @ w.T).mean() for w in weights])
        expected = np.trapezoid(tanh_derivative(np.sqrt(variance) * g) * density, g)
        assert slope == pytest.approx(float(expected), rel=0.1)
        slopes.append(slope)
    assert slopes[0] < 0.3
    assert slopes[1] > 0.5


@pytest.mark.claim("001-listing-targets-out-of-range")
def test_tanh_cannot_reach_normal_targets(rng: np.random.Generator) -> None:
    """Oracle: the chance that a standard normal lies beyond one standard deviation."""
    target = rng.standard_normal((10_000, 2))
    assert np.mean(np.abs(target) > 1) == pytest.approx(0.3173, abs=0.01)
    # The best that any tanh output can do is to clip the target.
    assert mse(np.clip(target, -1, 1), target) > 0.1
    assert np.abs(np.tanh(rng.standard_normal(1000) * 100)).max() <= 1


# --- 002: a small tanh network ------------------------------------------------------------------


@pytest.mark.claim("002-listing-runs")
def test_the_inner_sizes_of_a_product_must_agree() -> None:
    """Oracle: NumPy, with the sizes of the listing."""
    with pytest.raises(ValueError, match="mismatch"):
        _ = np.ones((100, 1)) @ np.ones((2, 1))


@pytest.mark.claim("002-listing-runs")
def test_a_cell_of_a_vector_holds_no_matrix() -> None:
    """Oracle: NumPy; a list holds arrays of different shapes."""
    gradients = np.zeros(4)
    with pytest.raises((ValueError, TypeError)):
        gradients[0] = np.ones((2, 1))
    assert [np.ones((2, 1)), np.ones((1, 1))][0].shape == (2, 1)


@pytest.mark.claim("002-listing-sigmoid-derivative")
def test_the_sigmoid_derivative_turns_tanh_steps_uphill() -> None:
    """Oracle: finite differences of tanh and of the sigmoid."""
    z = np.linspace(-2, 2, 9)
    step = 1e-6
    slope = (np.tanh(z + step) - np.tanh(z - step)) / (2 * step)
    y = np.tanh(z)
    np.testing.assert_allclose(1 - y**2, slope, rtol=1e-8)
    listed = y * (1 - y)
    assert (listed[z < 0] < 0).all()
    assert (slope > 0).all()
    s = sigmoid(z)
    np.testing.assert_allclose(s * (1 - s), sigmoid_derivative(z), rtol=1e-12)

    # One unit, target above its negative output: the listing's step raises the loss.
    weight, x, target = -0.5, 1.0, 0.5
    output = np.tanh(weight * x)
    for factor, falls in ((1 - output**2, True), (output * (1 - output), False)):
        moved = np.tanh((weight - 0.01 * (output - target) * factor * x) * x)
        assert ((moved - target) ** 2 < (output - target) ** 2) == falls


@pytest.mark.claim("002-listing-chain")
def test_the_first_layer_needs_the_whole_chain(rng: np.random.Generator) -> None:
    """Oracle: finite differences of half the squared error, samples in rows."""
    x, target = rng.standard_normal((20, 1)), rng.standard_normal((20, 1))
    w1, b1 = rng.standard_normal((1, 2)), rng.standard_normal((1, 2))
    w2, b2 = rng.standard_normal((2, 1)), rng.standard_normal((1, 1))

    def loss(w1: Array = w1, b1: Array = b1, b2: Array = b2) -> float:
        output = np.tanh(np.tanh(x @ w1 + b1) @ w2 + b2)
        return 0.5 * float(np.sum((output - target) ** 2))

    hidden = np.tanh(x @ w1 + b1)
    output = np.tanh(hidden @ w2 + b2)
    delta2 = (output - target) * (1 - output**2)
    delta1 = (delta2 @ w2.T) * (1 - hidden**2)
    first = numerical_gradient(lambda v: loss(w1=v), w1)
    assert relative_error(x.T @ delta1, first) < SMALL
    # The listing's shortcut gives one and the same column for both hidden units.
    shortcut = np.repeat(x.T @ delta2, 2, axis=1)
    assert relative_error(shortcut, first) > 0.1

    for name, delta in (("b1", delta1), ("b2", delta2)):
        gradient = numerical_gradient(lambda v, n=name: loss(**{n: v}), {"b1": b1, "b2": b2}[name])
        assert relative_error(delta.sum(axis=0, keepdims=True), gradient) < SMALL
        error_alone = np.full_like(gradient, (output - target).sum())
        assert relative_error(error_alone, gradient) > 0.1


@pytest.mark.claim("002-listing-positive-weights")
def test_positive_weights_saturate_every_unit() -> None:
    """Oracle: 1 - tanh^2 z < 4 exp(-2 z), and z is near half the sum of the pixels."""
    images = data.load_digits(rng=0).x_train
    rng = np.random.default_rng(0)
    z = images @ rng.random((64, 32))
    np.testing.assert_allclose(z.mean(axis=1), images.sum(axis=1) / 2, rtol=0.25)
    assert tanh_derivative(z).max() < 0.01
    centred = images @ initialisers.xavier_normal((32, 64), rng=rng).T
    assert tanh_derivative(centred).mean() > 0.5


# --- 003 and 004 --------------------------------------------------------------------------------


@pytest.mark.claim("003-listing-loss")
def test_integer_labels_and_one_hot_targets_give_one_loss(rng: np.random.Generator) -> None:
    """Oracle: the sum over all classes with one-hot targets."""
    logits, labels = rng.standard_normal((7, 4)), rng.integers(0, 4, 7)
    one_hot = np.eye(4)[labels]
    expected = -np.mean(np.sum(one_hot * log_softmax(logits), axis=1))
    assert cross_entropy(logits, labels) == pytest.approx(expected)


def _relu_softmax(w1: Array, b1: Array, w2: Array, b2: Array, x: Array) -> tuple[Array, Array]:
    hidden = np.maximum(w1 @ x + b1, 0)
    return hidden, softmax((w2 @ hidden + b2).T).T


@pytest.mark.claim("004-listing-forward-backward")
def test_relu_softmax_gradients_in_columns(rng: np.random.Generator) -> None:
    """Oracle: finite differences of the mean cross-entropy, samples in columns."""
    samples = 5
    x = rng.standard_normal((4, samples))
    target = np.eye(3)[rng.integers(0, 3, samples)].T
    values = {
        "w1": rng.standard_normal((6, 4)),
        "b1": rng.standard_normal((6, 1)),
        "w2": rng.standard_normal((3, 6)),
        "b2": rng.standard_normal((3, 1)),
    }

    def loss(**changed: Array) -> float:
        _, output = _relu_softmax(**(values | changed), x=x)
        return -float(np.sum(target * np.log(output))) / samples

    hidden, output = _relu_softmax(**values, x=x)
    delta2 = output - target
    delta1 = (values["w2"].T @ delta2) * (hidden > 0)
    gradients = {
        "w1": delta1 @ x.T / samples,
        "b1": delta1.sum(axis=1, keepdims=True) / samples,
        "w2": delta2 @ hidden.T / samples,
        "b2": delta2.sum(axis=1, keepdims=True) / samples,
    }
    for name, gradient in gradients.items():
        numeric = numerical_gradient(lambda v, n=name: loss(**{n: v}), values[name])
        assert relative_error(gradient, numeric) < SMALL, name


@pytest.mark.claim("004-listing-output-error")
def test_output_minus_target_belongs_to_cross_entropy(rng: np.random.Generator) -> None:
    """Oracle: finite differences of both losses with respect to the logits."""
    logits, target = rng.standard_normal(4), np.array([0.0, 1.0, 0.0, 0.0])
    difference = softmax(logits) - target

    def cross(z: Array) -> float:
        return -float(target @ log_softmax(z))

    def squared(z: Array) -> float:
        return 0.5 * float(np.sum((softmax(z) - target) ** 2))

    assert relative_error(difference, numerical_gradient(cross, logits)) < SMALL
    assert relative_error(difference, numerical_gradient(squared, logits)) > 0.1


@pytest.mark.claim("004-listing-softmax")
def test_softmax_without_a_shift_overflows() -> None:
    """Oracle: the exact values, since one logit dominates; and invariance under a shift."""
    logits = np.array([1e4, 0.0, -1e4])
    with np.errstate(over="ignore", invalid="ignore"):
        plain = np.exp(logits) / np.exp(logits).sum()
    assert np.isnan(plain[0])
    np.testing.assert_array_equal(softmax(logits), [1.0, 0.0, 0.0])
    small = np.array([0.3, -1.0, 2.0])
    np.testing.assert_allclose(
        np.exp(small - small.max()) / np.exp(small - small.max()).sum(),
        np.exp(small) / np.exp(small).sum(),
        rtol=1e-14,
    )
