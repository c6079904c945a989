"""The formulas and definitions of the sources, each against an oracle of its own.

Where a source is right, its formula is checked; where it is not, the test shows what is true and
that the printed form differs.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from companion.network import (
    SGD,
    Linear,
    MSELoss,
    Sequential,
    Tanh,
    mlp,
    mse,
    numerical_gradient,
    relative_error,
    relu,
    relu_derivative,
    schedules,
    tanh_derivative,
)

SMALL = 1e-7


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2)


# --- What a layer is ----------------------------------------------------------------------------


@pytest.mark.claim("000-activation-nonlinearity")
@pytest.mark.claim("004-forward-backward-matrix-products")
def test_linear_layers_collapse_into_one(rng: np.random.Generator) -> None:
    """Oracle: the product of the matrices, formed without the network."""
    network = mlp([5, 7, 6, 3], activation="identity", rng=rng)
    w1, w2, w3 = (network.parameters()[f"{i}.weight"] for i in (0, 2, 4))
    x = rng.standard_normal((9, 5))
    np.testing.assert_allclose(network(x), x @ (w3 @ w2 @ w1).T, rtol=1e-12)


@pytest.mark.claim("000-activation-nonlinearity")
def test_one_hidden_relu_layer_computes_exclusive_or() -> None:
    """Oracle: the truth table; the best affine map is found by least squares."""
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    target = np.array([0.0, 1.0, 1.0, 0.0])
    hidden = relu(x @ np.ones((2, 2)) + np.array([0.0, -1.0]))
    np.testing.assert_array_equal(hidden @ np.array([1.0, -2.0]), target)

    affine = np.column_stack([x, np.ones(4)])
    best, *_ = np.linalg.lstsq(affine, target)
    np.testing.assert_allclose(affine @ best, 0.5)


@pytest.mark.claim("000-one-matrix-for-three-layers")
def test_three_layers_of_units_have_two_weight_matrices() -> None:
    """Oracle: the sizes written down in the definition of a layer."""
    n, m, k = 4, 3, 2
    network = Sequential(Linear(n, m, rng=0), Tanh(), Linear(m, k, rng=1))
    shapes = {name: array.shape for name, array in network.parameters().items()}
    assert shapes == {
        "0.weight": (m, n),
        "0.bias": (m,),
        "2.weight": (k, m),
        "2.bias": (k,),
    }


@pytest.mark.claim("004-nodes-as-elements")
def test_a_batch_stacks_vectors_of_nodes(rng: np.random.Generator) -> None:
    """Oracle: the same samples one at a time, each a vector of nodes."""
    layer = Linear(4, 3, rng=rng)
    x = rng.standard_normal((6, 4))
    one_by_one = [layer.weight @ sample + layer.bias for sample in x]
    assert all(nodes.shape == (3,) for nodes in one_by_one)
    np.testing.assert_allclose(layer(x), np.stack(one_by_one), rtol=1e-12)


@pytest.mark.claim("004-forward-formula")
def test_forward_formula(rng: np.random.Generator) -> None:
    """Oracle: the sum over the inputs of each unit, in plain Python."""
    network = mlp([3, 4, 2], activation="tanh", rng=rng)
    first, second = network[0], network[2]
    assert isinstance(first, Linear)
    assert isinstance(second, Linear)

    def layer(a: list[float], weight: np.ndarray, bias: np.ndarray) -> list[float]:
        return [
            sum(w * x for w, x in zip(row, a, strict=True)) + b
            for row, b in zip(weight.tolist(), bias.tolist(), strict=True)
        ]

    x = [0.3, -1.2, 0.7]
    hidden = [float(np.tanh(z)) for z in layer(x, first.weight, first.bias)]
    expected = layer(hidden, second.weight, second.bias)
    np.testing.assert_allclose(network(np.array([x]))[0], expected, rtol=1e-12)


@pytest.mark.claim("004-forward-backward-matrix-products")
def test_products_take_nearly_all_arithmetic() -> None:
    """Oracle: a count of additions and multiplications from the sizes of the layers."""
    samples, sizes = 64, (64, 128, 128, 10)
    pairs = list(itertools.pairwise(sizes))
    # Forward A W^T; backward delta^T A and delta W: three products of equal size.
    products = sum(3 * 2 * samples * n_in * n_out for n_in, n_out in pairs)
    # Bias, activation, derivative and their product, generously at ten operations a number.
    elementwise = sum(10 * samples * n_out for _, n_out in pairs)
    assert products / (products + elementwise) > 0.97


# --- Matrices -----------------------------------------------------------------------------------


@pytest.mark.claim("002-sum-formula")
def test_two_by_two_sum_and_difference(rng: np.random.Generator) -> None:
    """Oracle: Python's integers, entry by entry."""
    a, b = rng.integers(-9, 10, (2, 2, 2))
    for row in range(2):
        for column in range(2):
            assert (a + b)[row, column] == int(a[row, column]) + int(b[row, column])
            assert (a - b)[row, column] == int(a[row, column]) - int(b[row, column])


@pytest.mark.claim("002-product-formula")
def test_two_by_two_product(rng: np.random.Generator) -> None:
    """Oracle: composition, since A B x must be A applied to B x, over exact integers."""
    a, b = rng.integers(-9, 10, (2, 2, 2))
    (a11, a12), (a21, a22) = a.tolist()
    (b11, b12), (b21, b22) = b.tolist()
    printed = np.array(
        [
            [a11 * b11 + a12 * b21, a11 * b12 + a12 * b22],
            [a21 * b11 + a22 * b21, a21 * b12 + a22 * b22],
        ]
    )
    for x in ([1, 0], [0, 1], [3, -5]):
        bx = [b11 * x[0] + b12 * x[1], b21 * x[0] + b22 * x[1]]
        abx = [a11 * bx[0] + a12 * bx[1], a21 * bx[0] + a22 * bx[1]]
        assert (printed @ np.array(x)).tolist() == abx


@pytest.mark.claim("002-rank")
@pytest.mark.parametrize(("rows", "columns", "rank"), [(6, 4, 2), (3, 8, 3), (5, 5, 1)])
def test_row_rank_equals_column_rank(rows: int, columns: int, rank: int) -> None:
    """Oracle: the number of outer products that the matrix was built from."""
    rng = np.random.default_rng(rank)
    matrix = rng.standard_normal((rows, rank)) @ rng.standard_normal((rank, columns))
    assert np.linalg.matrix_rank(matrix) == np.linalg.matrix_rank(matrix.T) == rank


@pytest.mark.claim("002-rank")
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_rank_of_a_gradient_is_at_most_the_batch(batch: int) -> None:
    """Oracle: a sum of outer products has their number as rank, in general position."""
    rng = np.random.default_rng(batch)
    network, loss = mlp([12, 10, 8], activation="tanh", rng=rng), MSELoss()
    loss.forward(network(rng.standard_normal((batch, 12))), rng.standard_normal((batch, 8)))
    network.backward(loss.backward())
    gradients = network.gradients()
    assert np.linalg.matrix_rank(gradients["0.weight"]) == batch
    assert np.linalg.matrix_rank(gradients["2.weight"]) == batch


@pytest.mark.claim("002-eigenvalues")
def test_a_shear_stretches_although_its_eigenvalues_are_one() -> None:
    """Oracle: the characteristic polynomial (1 - x)^2, and the image of one vector by hand."""
    for s in (1.0, 10.0, 1000.0):
        shear = np.array([[1.0, s], [0.0, 1.0]])
        np.testing.assert_array_equal(np.linalg.eigvals(shear), [1.0, 1.0])
        assert np.linalg.norm(shear @ np.array([0.0, 1.0])) == pytest.approx(np.hypot(s, 1.0))
    symmetric = np.array([[2.0, 1.0], [1.0, -3.0]])
    np.testing.assert_allclose(
        np.sort(np.abs(np.linalg.eigvalsh(symmetric))),
        np.sort(np.linalg.svd(symmetric, compute_uv=False)),
    )


@pytest.mark.claim("002-spectra-reveal-topology")
def test_renumbering_units_changes_eigenvalues_but_not_the_function(
    rng: np.random.Generator,
) -> None:
    """Oracle: the network before its hidden units were renumbered."""
    network = mlp([4, 5, 5, 3], activation="tanh", rng=rng)
    x = rng.standard_normal((7, 4))
    before = network(x)
    weights = network.parameters()
    hidden = weights["2.weight"]
    old = hidden.copy()
    order = np.roll(np.arange(5), 1)
    hidden[...] = hidden[order]
    weights["2.bias"][...] = weights["2.bias"][order]
    weights["4.weight"][...] = weights["4.weight"][:, order]

    np.testing.assert_allclose(network(x), before, rtol=1e-12)
    np.testing.assert_allclose(
        np.linalg.svd(hidden, compute_uv=False), np.linalg.svd(old, compute_uv=False), rtol=1e-10
    )
    radius_before, radius_after = (np.abs(np.linalg.eigvals(w)).max() for w in (old, hidden))
    assert abs(radius_after - radius_before) > 0.1


@pytest.mark.claim("002-spectra-reveal-topology")
def test_a_rectangular_matrix_has_no_eigenvalues() -> None:
    """Oracle: A x and x live in different spaces, so A x = c x has no meaning; NumPy refuses."""
    with pytest.raises(np.linalg.LinAlgError, match="square"):
        np.linalg.eigvals(np.ones((10, 64)))


@pytest.mark.claim("002-matrix-factorisation-definition")
def test_factorisations_are_exact_and_need_not_be_of_low_rank(rng: np.random.Generator) -> None:
    """Oracle: the matrix itself, and for the truncation the theorem of Eckart and Young."""
    matrix = rng.standard_normal((6, 6))
    q, r = np.linalg.qr(matrix)
    np.testing.assert_allclose(q @ r, matrix, atol=1e-12)
    assert np.linalg.matrix_rank(q) == np.linalg.matrix_rank(r) == 6

    u, s, vt = np.linalg.svd(matrix)
    low = (u[:, :2] * s[:2]) @ vt[:2]
    assert np.linalg.matrix_rank(low) == 2
    assert np.linalg.norm(matrix - low, 2) == pytest.approx(s[2])


@pytest.mark.claim("002-svd-definition")
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
def test_singular_value_decomposition(shape: tuple[int, int]) -> None:
    """Oracle: the definition, checked factor by factor; the matrix has rank one less than full."""
    matrix = np.random.default_rng(0).standard_normal(shape)
    matrix[-1] = 0.0
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    np.testing.assert_allclose(u @ np.diag(s) @ vt, matrix, atol=1e-12)
    np.testing.assert_allclose(u.T @ u, np.eye(len(s)), atol=1e-12)
    np.testing.assert_allclose(vt @ vt.T, np.eye(len(s)), atol=1e-12)
    assert (s >= 0).all()
    assert (np.diff(s) <= 0).all()


# --- Gradients ----------------------------------------------------------------------------------


@pytest.mark.claim("000-matrix-operations")
def test_a_step_is_a_transpose_a_product_and_a_sum(rng: np.random.Generator) -> None:
    """Oracle: finite differences of the loss."""
    x, target = rng.standard_normal((5, 4)), rng.standard_normal((5, 3))
    weight = rng.standard_normal((3, 4))
    error = 2.0 * (x @ weight.T - target) / target.size
    step = weight + (-0.1) * (error.T @ x)
    gradient = numerical_gradient(lambda w: mse(x @ w.T, target), weight)
    assert relative_error(weight - 0.1 * gradient, step) < SMALL


@pytest.mark.claim("004-weight-gradient-transposed")
def test_weight_gradient_is_error_times_input_transposed(rng: np.random.Generator) -> None:
    """Oracle: finite differences of J = ||f(W a + b) - y||^2 / 2 for one sample."""
    a, b, y = rng.standard_normal(4), rng.standard_normal(3), rng.standard_normal(3)
    weight = rng.standard_normal((3, 4))

    def loss(w: np.ndarray) -> float:
        return 0.5 * float(np.sum((np.tanh(w @ a + b) - y) ** 2))

    z = weight @ a + b
    delta = (np.tanh(z) - y) * tanh_derivative(z)
    gradient = numerical_gradient(loss, weight)
    assert relative_error(np.outer(delta, a), gradient) < SMALL
    printed = np.outer(a, delta)
    assert printed.shape == weight.shape[::-1]
    assert relative_error(printed.T, gradient) < SMALL


@pytest.mark.claim("004-layer-index")
@pytest.mark.claim("004-bias-gradient")
def test_layer_indices_of_the_gradients(rng: np.random.Generator) -> None:
    """Oracle: finite differences, with the layers numbered as in the source's forward rule.

    There W1 and b1 lead from layer 1 to layer 2. All layers have three units, so that no shape
    betrays a wrong index.
    """
    w1, w2 = rng.standard_normal((2, 3, 3))
    b1, b2, a1, y = rng.standard_normal((4, 3))

    def loss(w: np.ndarray, b: np.ndarray) -> float:
        a2 = np.tanh(w @ a1 + b)
        return 0.5 * float(np.sum((np.tanh(w2 @ a2 + b2) - y) ** 2))

    z2 = w1 @ a1 + b1
    z3 = w2 @ np.tanh(z2) + b2
    delta3 = (np.tanh(z3) - y) * tanh_derivative(z3)
    delta2 = (w2.T @ delta3) * tanh_derivative(z2)
    weight_gradient = numerical_gradient(lambda w: loss(w, b1), w1)
    bias_gradient = numerical_gradient(lambda b: loss(w1, b), b1)
    assert relative_error(np.outer(delta2, a1), weight_gradient) < SMALL
    assert relative_error(delta2, bias_gradient) < SMALL

    # What the printed indices give for the second pair: delta 2 with a 1, not delta 3 with a 2.
    w2_gradient = numerical_gradient(
        lambda w: 0.5 * float(np.sum((np.tanh(w @ np.tanh(z2) + b2) - y) ** 2)), w2
    )
    assert relative_error(np.outer(delta3, np.tanh(z2)), w2_gradient) < SMALL
    assert relative_error(np.outer(delta2, a1), w2_gradient) > 0.1


@pytest.mark.claim("004-delta-derivative")
def test_the_error_term_takes_the_derivative_at_the_pre_activation(
    rng: np.random.Generator,
) -> None:
    """Oracle: finite differences of the loss with respect to z."""
    z, w, y = rng.standard_normal(5), rng.standard_normal((2, 5)), rng.standard_normal(2)

    def gradient(f: object) -> np.ndarray:
        assert callable(f)
        return numerical_gradient(lambda v: 0.5 * float(np.sum((w @ f(v) - y) ** 2)), z)

    a = np.tanh(z)
    back = w.T @ (w @ a - y)
    assert relative_error(back * tanh_derivative(z), gradient(np.tanh)) < SMALL
    assert relative_error(back * tanh_derivative(a), gradient(np.tanh)) > 0.05

    a = relu(z)
    back = w.T @ (w @ a - y)
    assert relative_error(back * relu_derivative(z), gradient(relu)) < SMALL
    np.testing.assert_array_equal(relu_derivative(a), relu_derivative(z))


# --- Steps --------------------------------------------------------------------------------------


@pytest.mark.claim("001-update-rule")
def test_gradient_descent_lowers_by_the_rate_times_the_derivative(
    rng: np.random.Generator,
) -> None:
    """Oracle: the rule itself, and a loss that falls by about rate times squared gradient."""
    network, loss = mlp([4, 6, 3], activation="tanh", rng=rng), MSELoss()
    x, y = rng.standard_normal((8, 4)), rng.standard_normal((8, 3))
    before = loss.forward(network(x), y)
    network.backward(loss.backward())
    parameters, gradients = network.parameters(), network.gradients()
    expected = {name: w - 1e-4 * gradients[name] for name, w in parameters.items()}
    square = sum(float(np.vdot(g, g)) for g in gradients.values())
    SGD(lr=1e-4).step(parameters, gradients)
    for name, w in parameters.items():
        np.testing.assert_array_equal(w, expected[name])
    assert before - loss.forward(network(x), y) == pytest.approx(1e-4 * square, rel=1e-2)


@pytest.mark.claim("002-learning-rate-decay-formula")
def test_the_printed_decay_has_a_constant_rate() -> None:
    """Oracle: on a slope of constant gradient the length of a step is the rate."""
    printed, decayed = {"w": np.array([0.0])}, {"w": np.array([0.0])}
    plain, falling = SGD(lr=0.5), SGD(lr=0.5)
    schedule = schedules.exponential_decay(0.5, gamma=0.9)
    steps: dict[str, list[float]] = {"printed": [], "decayed": []}
    for t in range(5):
        falling.lr = schedule(t)
        for name, w, optimiser in (
            ("printed", printed, plain),
            ("decayed", decayed, falling),
        ):
            before = float(w["w"][0])
            optimiser.step(w, {"w": np.array([1.0])})
            steps[name].append(before - float(w["w"][0]))
    np.testing.assert_allclose(steps["printed"], 0.5)
    np.testing.assert_allclose(steps["decayed"], [0.5 * 0.9**t for t in range(5)])
