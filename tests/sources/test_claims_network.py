"""Claims of the sources about training, measured on networks of the companion.

The networks and budgets are small; what is compared differs by orders of magnitude, or follows
from a formula that serves as the oracle.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from companion import data
from companion.network import (
    L2,
    SGD,
    Adam,
    CrossEntropyLoss,
    Linear,
    MSELoss,
    Muon,
    Optimiser,
    Sequential,
    accuracy,
    fit,
    gradient_check,
    initialisers,
    jacobian,
    mlp,
    predict,
    schedules,
    softmax,
    tanh_derivative,
    weight_gradient_norms,
)

Array = np.ndarray
XAVIER = initialisers.xavier_normal
SMALL_NORMAL = partial(initialisers.normal, std=0.01)


@pytest.fixture(scope="module")
def digits() -> data.Split:
    return data.load_digits(rng=0)


def deep(depth: int, seed: int = 0, **choices: object) -> Sequential:
    """Return a network from 64 pixels to 10 classes with `depth` hidden layers of 64 units."""
    return mlp([64, *[64] * depth, 10], rng=seed, **choices)  # type: ignore[arg-type]


def weight_norms(model: Sequential, split: data.Split) -> Array:
    """Return the norm of each weight gradient on a batch of digits, first layer first."""
    x, y = split.x_train[:64], split.y_train[:64]
    return np.array(list(weight_gradient_norms(model, CrossEntropyLoss(), x, y).values()))


def first_to_last(model: Sequential, split: data.Split) -> float:
    """Return the norm of the first weight gradient in units of the last one's."""
    norms = weight_norms(model, split)
    return float(norms[0] / norms[-1])


def stretch(model: Sequential, split: data.Split) -> float:
    """Return the spectral norm of the network's Jacobian, the median over five digits."""
    return float(np.median([np.linalg.norm(jacobian(model, x), 2) for x in split.x_train[:5]]))


def train(
    model: Sequential, split: data.Split, optimiser: Optimiser, epochs: int = 20, **more: object
) -> float:
    """Train on 256 digits and return the last training loss."""
    x, y = split.x_train[:256], split.y_train[:256]
    history = fit(
        model,
        CrossEntropyLoss(),
        optimiser,
        x,
        y,
        epochs=epochs,
        batch_size=64,
        rng=0,
        **more,  # type: ignore[arg-type]
    )
    return history.train_loss[-1]


# --- What backpropagation does ------------------------------------------------------------------


@pytest.mark.claim("000-four-steps")
@pytest.mark.claim("001-training-recipe")
@pytest.mark.claim("003-backpropagation")
@pytest.mark.claim("004-backpropagation")
def test_backward_computes_a_gradient_and_changes_no_parameter() -> None:
    """Oracle: finite differences for the gradient, a copy for the parameters."""
    rng = np.random.default_rng(0)
    model = mlp([5, 7, 3], activation="tanh", rng=rng)
    x, y = rng.standard_normal((6, 5)), rng.integers(0, 3, 6)
    before = {name: array.copy() for name, array in model.parameters().items()}
    loss = CrossEntropyLoss()
    loss.forward(model(x), y)
    model.backward(loss.backward())
    for name, array in model.parameters().items():
        np.testing.assert_array_equal(array, before[name])
    assert gradient_check(model, loss, x, y).passed


@pytest.mark.claim("000-four-steps")
@pytest.mark.claim("004-backpropagation")
def test_one_gradient_serves_different_optimisers() -> None:
    """Oracle: the first step of each rule, written down for one gradient."""
    gradient = {"w": np.array([[4.0, 0.0], [0.0, 0.25]])}
    moves = {}
    for name, optimiser in (("sgd", SGD(lr=0.1)), ("adam", Adam(lr=0.1)), ("muon", Muon(lr=0.1))):
        w = {"w": np.zeros((2, 2))}
        optimiser.step(w, gradient)
        moves[name] = -np.diag(w["w"])
    np.testing.assert_allclose(moves["sgd"], [0.4, 0.025])
    np.testing.assert_allclose(moves["adam"], [0.1, 0.1], rtol=1e-6)
    assert 0.5 < moves["muon"][1] / moves["muon"][0] < 2


@pytest.mark.claim("003-backpropagation")
def test_gradient_descent_can_end_above_the_smallest_loss() -> None:
    """Oracle: x^4 - 2 x^2 + x/2 has two minima; where they are, a cubic says."""
    roots = np.sort(np.roots([4.0, 0.0, -4.0, 0.5]).real)

    def value(x: float) -> float:
        return x**4 - 2 * x**2 + 0.5 * x

    w = {"w": np.array([1.5])}
    optimiser = SGD(lr=0.02)
    for _ in range(500):
        x = w["w"]
        optimiser.step(w, {"w": 4 * x**3 - 4 * x + 0.5})
    end = float(w["w"][0])
    assert end == pytest.approx(roots[2])
    assert value(end) > value(roots[0]) + 0.9


# --- Losses -------------------------------------------------------------------------------------


@pytest.mark.claim("000-mse-regression")
def test_squared_error_follows_an_outlier() -> None:
    """Oracle: a search over constants; then the mean and the median in closed form."""
    target = np.array([1.0, 2.0, 3.0, 4.0, 1000.0])
    constants = np.arange(0.0, 1001.0)
    squared = ((constants[:, None] - target) ** 2).mean(axis=1)
    absolute = np.abs(constants[:, None] - target).mean(axis=1)
    assert constants[squared.argmin()] == target.mean() == 202.0
    assert constants[absolute.argmin()] == np.median(target) == 3.0


@pytest.mark.claim("000-cross-entropy-classification")
def test_cross_entropy_corrects_a_confident_mistake() -> None:
    """Oracle: the gradients in closed form, p - y and J^T (p - y) with J = diag p - p p^T."""
    logits, target = np.array([12.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    p = softmax(logits)
    cross = p - target
    squared = (np.diag(p) - np.outer(p, p)) @ (p - target)
    assert np.abs(cross).max() > 0.99
    assert np.abs(squared).max() < 1e-4


@pytest.mark.claim("000-cross-entropy-classification")
def test_squared_error_classifies_digits_too(digits: data.Split) -> None:
    """Oracle: the classes; the share right is compared with cross-entropy on the same budget."""
    shares = []
    one_hot = np.eye(10)[digits.y_train]
    for loss, target in ((CrossEntropyLoss(), digits.y_train), (MSELoss(), one_hot)):
        model = mlp([64, 32, 10], rng=0)
        fit(model, loss, Adam(lr=0.01), digits.x_train, target, epochs=20, batch_size=64, rng=0)
        shares.append(accuracy(predict(model, digits.x_test), digits.y_test))
    assert min(shares) > 0.93
    assert abs(shares[0] - shares[1]) < 0.03


@pytest.mark.claim("002-image-recognition")
def test_a_small_network_reads_digits(digits: data.Split) -> None:
    """Oracle: the classes of digits that the network never saw; chance is one tenth."""
    model = mlp([64, 32, 10], rng=1)
    fit(
        model,
        CrossEntropyLoss(),
        Adam(lr=0.01),
        digits.x_train,
        digits.y_train,
        epochs=8,
        batch_size=64,
        rng=1,
    )
    assert accuracy(predict(model, digits.x_test), digits.y_test) > 0.93


# --- Optimisers ---------------------------------------------------------------------------------


@pytest.mark.claim("000-gd-simple")
def test_gradient_descent_is_slow_on_a_simple_ill_conditioned_bowl() -> None:
    """Oracle: at the best constant rate the error falls by (c - 1)/(c + 1) a step.

    With condition number c = 10,000 a thousandth of the start takes over 30,000 steps; Adam and
    momentum need less than a tenth of that.
    """
    condition = 1e4
    curvature = np.array([1.0, condition])
    best = 2 / (1 + condition)

    def distance(optimiser: Optimiser, steps: int) -> float:
        w = {"w": np.ones(2)}
        for _ in range(steps):
            optimiser.step(w, {"w": curvature * w["w"]})
        return float(np.linalg.norm(w["w"]))

    steps = 2000
    expected = np.sqrt(2) * ((condition - 1) / (condition + 1)) ** steps
    assert distance(SGD(lr=best), steps) == pytest.approx(expected, rel=1e-6)
    assert expected > 0.9
    root = np.sqrt(condition)
    heavy_ball = SGD(lr=4 / (1 + root) ** 2, momentum=((root - 1) / (root + 1)) ** 2)
    assert distance(heavy_ball, steps) < 1e-3


@pytest.mark.claim("000-adam-complex")
def test_adam_fails_on_a_convex_problem_of_one_variable() -> None:
    """Oracle: the sum of the losses over one period is x, so -1 is the best point of [-1, 1].

    The example is that of Reddi, Kale and Kumar: slope c every third step and -1 otherwise. With
    beta1 = 0 and beta2 = 1/(1 + c^2) the large slope is scaled down to the size of the small.
    """
    c = 3.0
    slopes = np.tile([c, -1.0, -1.0], 1000)

    def end(optimiser: Optimiser) -> float:
        w = {"w": np.array([0.0])}
        for t, slope in enumerate(slopes, start=1):
            optimiser.lr = 0.1 / np.sqrt(t)
            optimiser.step(w, {"w": np.array([slope])})
            np.clip(w["w"], -1, 1, out=w["w"])
        return float(w["w"][0])

    assert end(SGD(lr=0.1)) < -0.9
    assert end(Adam(lr=0.1, betas=(0.0, 1 / (1 + c**2)))) > 0.9


@pytest.mark.claim("002-svd-update")
def test_muon_moves_all_layers_equally_far(digits: data.Split) -> None:
    """Oracle: the singular values of each layer's step, against those of its gradient."""
    model = deep(10, activation="sigmoid", weight_init=XAVIER)
    norms = weight_norms(model, digits)
    assert norms[0] < 1e-5 * norms[-1]
    weights = {k: w for k, w in model.parameters().items() if w.ndim == 2}
    gradients = {k: g for k, g in model.gradients().items() if g.ndim == 2}
    before = {name: w.copy() for name, w in weights.items()}
    Muon(lr=0.1).step(weights, gradients)
    steps = [np.linalg.norm(weights[name] - before[name], 2) / 0.1 for name in weights]
    assert min(steps) > 0.5
    assert max(steps) < 1.5
    # The gradient on its way back is what it was: only the length of the step has changed.
    assert first_to_last(model, digits) < 1e-4


# --- Initialisers -------------------------------------------------------------------------------


def second_moments(
    activation: Callable[[Array], Array], initialiser: initialisers.Initialiser
) -> Array:
    """Return the mean square after each of eight layers of width 256, averaged over ten draws."""
    moments = np.zeros(8)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        a = rng.standard_normal((50, 256))
        for layer in range(8):
            a = activation(a @ initialiser((256, 256), rng=rng).T)
            moments[layer] += np.mean(a**2) / 10
    return moments


@pytest.mark.claim("000-xavier-linear")
def test_xavier_keeps_the_second_moment_of_linear_layers() -> None:
    """Oracle: n times the variance 2/(n + n) is 1, and ReLU halves what is left at each layer."""
    linear = second_moments(lambda z: z, XAVIER)
    rectified = second_moments(lambda z: np.maximum(z, 0), XAVIER)
    np.testing.assert_allclose(linear, 1.0, rtol=0.2)
    np.testing.assert_allclose(rectified * 2.0 ** np.arange(1, 9), 1.0, rtol=0.3)


@pytest.mark.claim("000-xavier-linear")
def test_xavier_keeps_the_jacobian_of_tanh_but_not_of_relu(digits: data.Split) -> None:
    """Oracle: the Jacobian by backpropagation; with ReLU each layer costs the square root of 2."""
    kept = [stretch(deep(20, s, activation="tanh", weight_init=XAVIER), digits) for s in range(3)]
    lost = [stretch(deep(20, s, activation="relu", weight_init=XAVIER), digits) for s in range(3)]
    assert all(0.1 < value < 10 for value in kept)
    assert all(0.1 < value * np.sqrt(2.0) ** 20 < 10 for value in lost)


@pytest.mark.claim("000-he-nonlinear")
def test_he_keeps_the_second_moment_of_relu_layers() -> None:
    """Oracle: n times the variance 2/n, halved by ReLU, is 1; without ReLU it doubles."""
    rectified = second_moments(lambda z: np.maximum(z, 0), initialisers.he_normal)
    linear = second_moments(lambda z: z, initialisers.he_normal)
    np.testing.assert_allclose(rectified, 1.0, rtol=0.3)
    np.testing.assert_allclose(linear / 2.0 ** np.arange(1, 9), 1.0, rtol=0.2)


@pytest.mark.claim("000-he-nonlinear")
def test_he_does_not_save_the_sigmoid(digits: data.Split) -> None:
    """Oracle: a slope of at most 1/4 and a stretch of about 2 sqrt 2 bound each layer by 0.71."""
    for seed in range(3):
        he = deep(20, seed, activation="sigmoid", weight_init=initialisers.he_normal)
        assert stretch(he, digits) < 0.71**20
        assert first_to_last(he, digits) < 1e-6


@pytest.mark.claim("001-listing-unit-normal")
def test_standard_normal_weights_explode_in_deep_tanh_networks(digits: data.Split) -> None:
    """Oracle: the same network with Xavier's variance, whose gradients keep their size."""
    for seed in range(3):
        unit = deep(20, seed, activation="tanh", weight_init=initialisers.normal)
        xavier = deep(20, seed, activation="tanh", weight_init=XAVIER)
        assert first_to_last(unit, digits) > 1e3 * first_to_last(xavier, digits)


@pytest.mark.claim("002-weight-initialisation")
@pytest.mark.claim("002-answer-remedies")
def test_a_suitable_initialiser_keeps_the_jacobian_of_forty_layers(digits: data.Split) -> None:
    """Oracle: for weights of standard deviation 0.01 each layer stretches at most by about 0.16."""
    good = (("relu", initialisers.he_normal), ("tanh", initialisers.orthogonal))
    for seed in range(3):
        for activation, initialiser in good:
            model = deep(40, seed, activation=activation, weight_init=initialiser)
            assert 0.05 < stretch(model, digits) < 20
            small = deep(40, seed, activation=activation, weight_init=SMALL_NORMAL)
            assert stretch(small, digits) < 0.16**40


@pytest.mark.claim("000-initialiser-matters")
def test_the_initialiser_decides_whether_a_deep_network_learns(digits: data.Split) -> None:
    """Oracle: log 10, the loss of a network that gives each class the same probability."""
    good = deep(10, activation="relu", weight_init=initialisers.he_normal)
    bad = deep(10, activation="relu", weight_init=SMALL_NORMAL)
    assert train(good, digits, SGD(lr=0.02), epochs=60) < 0.5
    assert train(bad, digits, SGD(lr=0.02), epochs=60) == pytest.approx(np.log(10), rel=0.02)


# --- How gradients vanish -----------------------------------------------------------------------


@pytest.mark.claim("002-vanishing-definition")
def test_the_gradient_is_a_product_of_jacobians() -> None:
    """Oracle: the product W_L D_(L-1) W_(L-1) … D_1 W_1, formed layer by layer."""
    rng = np.random.default_rng(0)
    model = mlp([4, 6, 5, 3], activation="tanh", rng=rng)
    x = rng.standard_normal(4)
    product, a = np.eye(4), x
    for layer in model:
        if isinstance(layer, Linear):
            z = layer.weight @ a + layer.bias
            product = layer.weight @ product
        else:
            product = np.diag(tanh_derivative(z)) @ product
        a = layer(a[None])[0]
    np.testing.assert_allclose(jacobian(model, x), product, rtol=1e-10)


@pytest.mark.claim("002-vanishing-definition")
@pytest.mark.claim("002-worse-with-depth")
@pytest.mark.claim("002-matrix-analysis-remedy")
def test_orthogonal_linear_layers_keep_the_gradient(digits: data.Split) -> None:
    """Oracle: a product of orthogonal matrices has all singular values equal to one."""
    for depth in (2, 40):
        model = deep(depth, activation="identity", weight_init=initialisers.orthogonal)
        singular = np.linalg.svd(jacobian(model, digits.x_train[0]), compute_uv=False)
        np.testing.assert_allclose(singular, 1.0, rtol=1e-10)


@pytest.mark.claim("002-deep-nodes")
def test_the_first_layers_suffer_not_the_last(digits: data.Split) -> None:
    """Oracle: the order of the layers; each norm is smaller than that of the layer above."""
    norms = weight_norms(deep(20, activation="sigmoid", weight_init=XAVIER), digits)
    assert (np.diff(np.log(norms)) > 0).mean() > 0.9
    assert norms[0] < 1e-8 * norms[-1]
    assert norms[-1] > 0.1


@pytest.mark.claim("002-worse-with-depth")
def test_sigmoid_gradients_fall_geometrically_with_depth(digits: data.Split) -> None:
    """Oracle: a straight line through the logarithms, with slope below log 1/2."""
    depths = np.array([4, 8, 12, 16, 20])
    logs = [
        np.log([first_to_last(deep(d, s, activation="sigmoid", weight_init=XAVIER), digits)])
        for d in depths
        for s in range(2)
    ]
    mean = np.array(logs).reshape(len(depths), 2).mean(axis=1)
    slope, intercept = np.polyfit(depths, mean, 1)
    assert slope < np.log(0.5)
    assert np.abs(mean - (slope * depths + intercept)).max() < 0.1 * np.ptp(mean)


# --- The remedies of source 002, one by one -----------------------------------------------------


@pytest.mark.claim("002-learning-rate-decay")
def test_learning_rate_decay_leaves_the_ratio_between_layers(digits: data.Split) -> None:
    """Oracle: the step, whose ratio between layers is that of the gradients at any rate.

    And training: with decay the first layer's gradient stays below a hundred-thousandth of the
    last layer's, and the weights move less than without.
    """
    model = deep(10, activation="sigmoid", weight_init=XAVIER)
    norms = weight_norms(model, digits)
    ratios = []
    for rate in (0.5, 0.005):
        weights = {name: w.copy() for name, w in model.parameters().items()}
        SGD(lr=rate).step(weights, model.gradients())
        steps = [weights[f"{i}.weight"] - model.parameters()[f"{i}.weight"] for i in (0, 20)]
        ratios.append(np.linalg.norm(steps[0]) / np.linalg.norm(steps[1]))
    np.testing.assert_allclose(ratios, norms[0] / norms[-1], rtol=1e-6)

    moved = {}
    for name, gamma in (("constant", 1.0), ("decay", 0.95)):
        trained = deep(10, activation="sigmoid", weight_init=XAVIER)
        start = trained.parameters()["20.weight"].copy()
        schedule = schedules.exponential_decay(0.5, gamma=gamma)
        train(trained, digits, SGD(lr=0.5), schedule=schedule)
        moved[name] = np.linalg.norm(trained.parameters()["20.weight"] - start)
        assert first_to_last(trained, digits) < 1e-5
    assert moved["decay"] < moved["constant"]


@pytest.mark.claim("002-weight-regularisation")
@pytest.mark.claim("002-matrix-analysis-remedy")
def test_weight_decay_shrinks_every_jacobian(digits: data.Split) -> None:
    """Oracle: one step of decay multiplies each weight by 1 - rate x strength.

    The Jacobian of ten linear layers and the output layer then shrinks by the eleventh power.
    """
    model = deep(10, activation="identity", weight_init=initialisers.orthogonal)
    x = digits.x_train[0]
    before = jacobian(model, x)
    weights = {name: w for name, w in model.parameters().items() if w.ndim == 2}
    gradients = {name: np.zeros_like(w) for name, w in weights.items()}
    L2(0.5).add_gradient(weights, gradients)
    SGD(lr=0.1).step(weights, gradients)
    np.testing.assert_allclose(jacobian(model, x), (1 - 0.1 * 0.5) ** 11 * before, rtol=1e-9)


@pytest.mark.claim("002-weight-regularisation")
def test_a_trained_network_with_a_penalty_passes_less_gradient(digits: data.Split) -> None:
    """Oracle: the same training without the penalty."""
    found = {}
    for strength in (0.0, 0.1):
        model = deep(10, activation="sigmoid", weight_init=XAVIER)
        train(model, digits, SGD(lr=0.1), penalties=[L2(strength)])
        found[strength] = stretch(model, digits), first_to_last(model, digits)
    assert found[0.1][0] < 0.1 * found[0.0][0]
    assert found[0.1][1] < 0.1 * found[0.0][1]


@pytest.mark.claim("002-matrix-factorisation")
def test_exact_factors_leave_the_gradient_unchanged(digits: data.Split) -> None:
    """Oracle: the network before its matrices were factorised."""
    model = deep(6, activation="tanh", weight_init=XAVIER)
    layers = []
    for layer in model:
        if isinstance(layer, Linear):
            q, r = np.linalg.qr(layer.weight)
            inner = Linear(layer.in_features, r.shape[0], bias=False, rng=0)
            outer = Linear(r.shape[0], layer.out_features, rng=0)
            inner.weight[...], outer.weight[...] = r, q
            layers += [inner, outer]
        else:
            layers.append(layer)
    x = digits.x_train[0]
    np.testing.assert_allclose(jacobian(Sequential(*layers), x), jacobian(model, x), rtol=1e-9)


@pytest.mark.claim("002-matrix-factorisation")
def test_low_rank_factors_block_the_gradient(digits: data.Split) -> None:
    """Oracle: the rank of a product is at most the least rank of its factors."""
    model = deep(6, activation="tanh", weight_init=XAVIER)
    x = digits.x_train[0]
    assert np.linalg.matrix_rank(jacobian(model, x)) == 10
    hidden = model.parameters()["4.weight"]
    u, s, vt = np.linalg.svd(hidden)
    hidden[...] = (u[:, :3] * s[:3]) @ vt[:3]
    singular = np.linalg.svd(jacobian(model, x), compute_uv=False)
    assert (singular[3:] < 1e-12 * singular[0]).all()


@pytest.mark.claim("002-matrix-powers")
def test_powers_make_small_singular_values_smaller() -> None:
    """Oracle: for a symmetric matrix the singular values of W^k are those of W to the k."""
    rng = np.random.default_rng(0)
    q = initialisers.orthogonal((4, 4), rng=rng)
    values = np.array([1.2, 1.0, 0.8, 0.5])
    weight = (q * values) @ q.T
    for k in (2, 5, 20):
        power = np.linalg.matrix_power(weight, k)
        np.testing.assert_allclose(np.linalg.svd(power, compute_uv=False), values**k, rtol=1e-6)
    with pytest.raises(np.linalg.LinAlgError, match="square"):
        np.linalg.matrix_power(np.ones((10, 64)), 2)


@pytest.mark.claim("002-answer-remedies")
def test_residual_connections_and_normalisation_restore_the_gradient(digits: data.Split) -> None:
    """Oracle: the same sigmoid network without them."""
    for seed in range(3):
        plain = first_to_last(deep(20, seed, activation="sigmoid", weight_init=XAVIER), digits)
        assert plain < 1e-10
        for remedy in ({"residual": True}, {"norm": "batch"}):
            model = deep(20, seed, activation="sigmoid", weight_init=XAVIER, **remedy)
            assert first_to_last(model, digits) > 1e-3, remedy


@pytest.mark.claim("002-listing-shows-less-vanishing")
def test_plain_gradient_descent_does_not_restore_the_first_layer(digits: data.Split) -> None:
    """Oracle: the ratio of the gradients before training."""
    model = deep(20, activation="sigmoid", weight_init=XAVIER)
    before = first_to_last(model, digits)
    train(model, digits, SGD(lr=0.1))
    assert before < 1e-10
    assert first_to_last(model, digits) < 1e-6
