"""Alternating least squares, and a linear layer with a change of low rank."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion import data, network
from companion.matrices import LowRankLinear, als, als_step, rmse
from companion.network import Adam, CrossEntropyLoss, Linear, MSELoss, Sequential, gradient_check

DTYPES = (np.float64, np.float32)


def _partly_known(seed: int, rows: int = 7, columns: int = 5, share: float = 0.6):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, columns)), rng.random((rows, columns)) < share


# --- rmse -----------------------------------------------------------------------------------------


def test_rmse_counts_only_the_mask() -> None:
    """Oracle: sqrt((3^2 + 4^2) / 2), by hand; NaN outside the mask is not read."""
    prediction = [[3.0, np.nan], [0.0, 7.0]]
    target = [[0.0, 1.0], [4.0, np.nan]]
    mask = [[True, False], [True, False]]
    assert rmse(prediction, target, mask) == pytest.approx(np.sqrt(12.5), rel=1e-15)


@given(st.integers(0, 2**32 - 1))
def test_rmse_is_scikit_learns(seed: int) -> None:
    """Oracle: scikit-learn's mean_squared_error on the masked entries."""
    from sklearn.metrics import mean_squared_error

    target, mask = _partly_known(seed)
    mask[0, 0] = True
    prediction = np.random.default_rng(seed + 1).normal(size=target.shape)
    expected = np.sqrt(mean_squared_error(target[mask], prediction[mask]))
    assert rmse(prediction, target, mask) == pytest.approx(expected, rel=1e-12)


def test_rmse_refuses_what_it_cannot_average() -> None:
    """Oracle: the messages name the argument."""
    one = np.ones((2, 3))
    with pytest.raises(ValueError, match="target must have shape"):
        rmse(one, np.ones((3, 2)), one > 0)
    with pytest.raises(ValueError, match=r"mask must have shape \(2, 3\), got \(3,\)"):
        rmse(one, one, [True, False, True])
    with pytest.raises(ValueError, match="mask must name at least one entry"):
        rmse(one, one, one < 0)
    with pytest.raises(TypeError, match="mask must hold booleans, got dtype int"):
        rmse(one, one, np.ones((2, 3), dtype=int))
    with pytest.raises(ValueError, match=r"prediction\[mask\] must be finite"):
        rmse(np.nan * one, one, one > 0)
    with pytest.raises(ValueError, match=r"target\[mask\] must be finite"):
        rmse(one, np.inf * one, one > 0)


# --- als_step -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ridge", [1e-3, 0.7, 20.0])
@pytest.mark.parametrize("rank", [1, 3, 5])
def test_als_step_solves_each_row_by_itself(rank: int, ridge: float) -> None:
    """Oracle: numpy.linalg.lstsq row by row, the ridge as extra equations sqrt(ridge) I u = 0."""
    ratings, observed = _partly_known(rank)
    observed[2] = False
    factors = np.random.default_rng(9).normal(size=(5, rank))
    found = als_step(ratings, observed, factors, ridge=ridge)
    assert found.shape == (7, rank)
    for row, known, answer in zip(ratings, observed, found, strict=True):
        matrix = np.vstack([factors[known], np.sqrt(ridge) * np.eye(rank)])
        right = np.concatenate([row[known], np.zeros(rank)])
        np.testing.assert_allclose(answer, np.linalg.lstsq(matrix, right)[0], rtol=1e-8, atol=1e-12)
    np.testing.assert_array_equal(found[2], 0.0)


@given(st.integers(0, 2**32 - 1))
def test_hidden_entries_are_not_read(seed: int) -> None:
    """Oracle: the same result when what is not observed becomes NaN."""
    ratings, observed = _partly_known(seed)
    factors = np.random.default_rng(seed).normal(size=(5, 2))
    expected = als_step(ratings, observed, factors, ridge=0.5)
    hidden = np.where(observed, ratings, np.nan)
    np.testing.assert_array_equal(als_step(hidden, observed, factors, ridge=0.5), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_als_step_keeps_the_dtype(dtype: type) -> None:
    """Oracle: float64 arithmetic, within the rounding of the type."""
    ratings, observed = _partly_known(0)
    factors = np.random.default_rng(1).normal(size=(5, 2))
    expected = als_step(ratings, observed, factors, ridge=0.5)
    found = als_step(ratings.astype(dtype), observed, factors.astype(dtype), ridge=0.5)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=100 * np.finfo(dtype).eps, atol=1e-6)


def test_als_step_without_rows() -> None:
    """Oracle: no rows in, no rows out."""
    found = als_step(np.zeros((0, 3)), np.zeros((0, 3), dtype=bool), np.ones((3, 2)), ridge=1.0)
    assert found.shape == (0, 2)


def test_als_step_refuses_by_name() -> None:
    """Oracle: the messages name the argument, what was expected and what came."""
    ratings, observed = _partly_known(0)
    factors = np.ones((5, 2))
    with pytest.raises(ValueError, match=r"factors must have shape \(5, any\), got \(7, 2\)"):
        als_step(ratings, observed, np.ones((7, 2)), ridge=1.0)
    with pytest.raises(ValueError, match=r"factors\.shape\[1\], must be at least 1"):
        als_step(ratings, observed, np.ones((5, 0)), ridge=1.0)
    with pytest.raises(ValueError, match="factors must be finite"):
        als_step(ratings, observed, np.nan * factors, ridge=1.0)
    with pytest.raises(TypeError, match="factors must be float64 like ratings, got float32"):
        als_step(ratings, observed, factors.astype(np.float32), ridge=1.0)
    with pytest.raises(ValueError, match="ridge must lie in"):
        als_step(ratings, observed, factors, ridge=0.0)
    with pytest.raises(ValueError, match="ratings must have 2 axes"):
        als_step(ratings[0], observed[0], factors, ridge=1.0)
    with pytest.raises(TypeError, match="observed must hold booleans"):
        als_step(ratings, observed.astype(float), factors, ridge=1.0)
    with pytest.raises(ValueError, match=r"ratings\[observed\] must be finite"):
        als_step(np.nan * ratings, observed, factors, ridge=1.0)


# --- als ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_a_planted_rank_is_recovered_without_noise(rank: int) -> None:
    """Oracle: the truth that data.make_ratings planted, at entries that were never seen."""
    made = data.make_ratings(80, 60, rank=rank, observed=0.8, noise=0.0, rng=rank)
    fitted = als(made.values - 3, made.train, rank, ridge=1e-9, sweeps=60)
    assert rmse(fitted.predict() + 3, made.truth, made.test) < 1e-6


def test_everything_known_and_almost_no_ridge_is_the_truncated_svd() -> None:
    """Oracle: the theorem of Eckart and Young, through numpy.linalg.svd."""
    ratings = np.random.default_rng(3).normal(size=(9, 6))
    u, s, vt = np.linalg.svd(ratings, full_matrices=False)
    everything = np.ones(ratings.shape, dtype=bool)
    fitted = als(ratings, everything, 2, ridge=1e-10, sweeps=300, start="random", rng=0)
    np.testing.assert_allclose(fitted.predict(), (u[:, :2] * s[:2]) @ vt[:2], atol=1e-6)


def test_everything_known_and_a_ridge_shrinks_the_singular_values() -> None:
    """Oracle: the closed form max(s - ridge, 0) of the penalised problem, at full rank.

    The ridge on both factors is twice the ridge times the sum of the singular values of their
    product (Hastie et al., 2015), so the squared error gives up `ridge` of each.
    """
    ratings = np.random.default_rng(4).normal(size=(9, 6))
    u, s, vt = np.linalg.svd(ratings, full_matrices=False)
    ridge = float(s[2] + s[3]) / 2
    fitted = als(ratings, np.ones(ratings.shape, dtype=bool), 6, ridge=ridge, sweeps=3000)
    expected = (u * np.maximum(s - ridge, 0.0)) @ vt
    np.testing.assert_allclose(fitted.predict(), expected, atol=1e-5)
    assert np.linalg.matrix_rank(fitted.predict(), tol=1e-4) == 3


@given(
    seed=st.integers(0, 2**32 - 1),
    rank=st.integers(1, 5),
    ridge=st.floats(1e-3, 10.0),
    start=st.sampled_from(["spectral", "random"]),
)
def test_the_objective_never_rises(seed: int, rank: int, ridge: float, start: str) -> None:
    """Oracle: each half step minimises it over one side, so it falls up to rounding."""
    ratings, observed = _partly_known(seed)
    observed[0, 0] = True
    fitted = als(ratings, observed, rank, ridge=ridge, sweeps=8, start=start, rng=seed)
    assert fitted.objective.shape == (16,)
    fall = -np.diff(fitted.objective)
    assert (fall >= -1e-10 * fitted.objective[0]).all()


def test_the_last_objective_is_the_formula() -> None:
    """Oracle: the sum written out entry by entry."""
    ratings, observed = _partly_known(5)
    fitted = als(ratings, observed, 2, ridge=0.3, sweeps=3)
    total = sum(
        (ratings[i, j] - fitted.user_factors[i] @ fitted.item_factors[j]) ** 2
        for i, j in np.argwhere(observed)
    )
    total += 0.3 * ((fitted.user_factors**2).sum() + (fitted.item_factors**2).sum())
    assert fitted.objective[-1] == pytest.approx(total, rel=1e-12)


def test_at_the_end_both_sides_solve_their_regressions() -> None:
    """Oracle: a fixed point: another half step changes neither side."""
    ratings, observed = _partly_known(6, rows=12, columns=9)
    fitted = als(ratings, observed, 2, ridge=1.0, sweeps=2000)
    users = als_step(ratings, observed, fitted.item_factors, ridge=1.0)
    items = als_step(ratings.T, observed.T, fitted.user_factors, ridge=1.0)
    np.testing.assert_allclose(users, fitted.user_factors, atol=1e-9)
    np.testing.assert_allclose(items, fitted.item_factors, atol=1e-9)


def test_transposed_ratings_give_the_transposed_prediction() -> None:
    """Oracle: symmetry of the objective, whose minimum does not know which side is which."""
    made = data.make_ratings(40, 30, rank=2, observed=0.8, noise=0.1, rng=0)
    known = made.values - 3
    there = als(known, made.train, 2, ridge=0.5, sweeps=200).predict()
    back = als(known.T, made.train.T, 2, ridge=0.5, sweeps=200).predict()
    np.testing.assert_allclose(there, back.T, atol=1e-8)


def test_a_cold_user_gets_the_mean() -> None:
    """Oracle: with nothing known the penalty alone decides, and its minimum is zero."""
    made = data.make_ratings(30, 20, rank=2, observed=0.8, noise=0.1, rng=0)
    observed = made.train.copy()
    observed[4], observed[:, 7] = False, False
    predicted = als(made.values - 3, observed, 2, ridge=0.5).predict()
    np.testing.assert_array_equal(predicted[4], 0.0)
    np.testing.assert_array_equal(predicted[:, 7], 0.0)
    assert np.abs(predicted[5]).max() > 0.1


def test_the_random_start_is_the_generators() -> None:
    """Oracle: the same seed twice, and another seed."""
    ratings, observed = _partly_known(7)

    def fitted(rng: int | np.random.Generator) -> np.ndarray:
        return als(ratings, observed, 2, ridge=0.1, sweeps=1, start="random", rng=rng).predict()

    np.testing.assert_array_equal(fitted(1), fitted(np.random.default_rng(1)))
    assert not np.allclose(fitted(1), fitted(2))


@pytest.mark.parametrize("start", ["spectral", "random"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_als_keeps_the_dtype(dtype: type, start: str) -> None:
    """Oracle: the dtype of the ratings; the prediction within its rounding."""
    made = data.make_ratings(30, 20, rank=2, observed=0.8, noise=0.1, rng=0)
    ratings = made.values - 3
    fitted = als(ratings.astype(dtype), made.train, 2, ridge=0.5, start=start)
    assert fitted.user_factors.dtype == fitted.item_factors.dtype == dtype
    assert fitted.predict().dtype == dtype
    expected = als(ratings, made.train, 2, ridge=0.5, start=start).predict()
    np.testing.assert_allclose(fitted.predict(), expected, atol=1e-4)


def test_one_entry_is_enough() -> None:
    """Oracle: the closed form of min (2 - u v)^2 + ridge (u^2 + v^2), u v = 2 - ridge."""
    fitted = als([[2.0]], [[True]], 1, ridge=0.5, sweeps=200)
    np.testing.assert_allclose(fitted.predict(), [[1.5]], rtol=1e-9)
    assert (fitted.rank, repr(fitted)) == (1, "Factorisation(users=1, items=1, rank=1)")


def test_als_refuses_by_name() -> None:
    """Oracle: the messages name the argument."""
    ratings, observed = _partly_known(0)
    with pytest.raises(ValueError, match="observed must name at least one entry"):
        als(ratings, observed & False, 2, ridge=1.0)
    with pytest.raises(ValueError, match="rank must be at least 1"):
        als(ratings, observed, 0, ridge=1.0)
    with pytest.raises(ValueError, match=r"rank must be at most min\(users, items\) = 5, got 6"):
        als(ratings, observed, 6, ridge=1.0)
    with pytest.raises(ValueError, match="ridge must lie in"):
        als(ratings, observed, 2, ridge=0.0)
    with pytest.raises(ValueError, match="sweeps must be at least 1"):
        als(ratings, observed, 2, ridge=1.0, sweeps=0)
    with pytest.raises(ValueError, match="start must be one of 'spectral', 'random'"):
        als(ratings, observed, 2, ridge=1.0, start="zero")
    with pytest.raises(TypeError, match="rng must be"):
        als(ratings, observed, 2, ridge=1.0, rng=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="observed must have shape"):
        als(ratings, observed.T, 2, ridge=1.0)


# --- LowRankLinear --------------------------------------------------------------------------------


def _layer(
    rank: int = 2, *, bias: bool = True, alpha: float | None = 3.0, dtype: type = np.float64
) -> LowRankLinear:
    """Return a layer of which every array is random, the second factor and the bias too."""
    rng = np.random.default_rng(11)
    linear = Linear(5, 4, bias=bias, rng=rng, dtype=dtype)
    if linear.bias is not None:
        linear.bias[...] = rng.normal(size=4)
    layer = LowRankLinear(linear, rank, alpha=alpha, rng=rng)
    layer.lora_B[...] = rng.normal(size=layer.lora_B.shape)
    return layer


@pytest.mark.parametrize("dtype", DTYPES)
def test_at_the_start_it_is_the_old_layer(dtype: type) -> None:
    """Oracle: the layer it was made from, bit for bit, and B at zero."""
    linear = Linear(5, 4, rng=0, dtype=dtype)
    linear.parameters()["bias"][...] = [1.0, -2.0, 3.0, 0.5]
    layer = LowRankLinear(linear, 3, alpha=7.0, rng=1)
    x = np.random.default_rng(2).normal(size=(6, 5)).astype(dtype)
    np.testing.assert_array_equal(layer(x), linear(x))
    assert layer(x).dtype == layer.lora_A.dtype == layer.lora_B.dtype == dtype
    assert not layer.lora_B.any()
    assert np.abs(layer.lora_A).min() > 0


def test_the_start_of_a_has_the_stated_variance() -> None:
    """Oracle: 1 / in_features, within five standard errors of a variance of n normal numbers."""
    layer = LowRankLinear(Linear(400, 100, rng=0), 50, rng=1)
    n = layer.lora_A.size
    assert abs(layer.lora_A.var() * 400 - 1) < 5 * np.sqrt(2 / n)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5,), (6, 5), (3, 2, 5)])
def test_forward_and_backward_are_pytorchs(shape: tuple[int, ...], bias: bool) -> None:
    """Oracle: torch.nn.functional.linear with the full matrix, differentiated by autograd."""
    layer, rng = _layer(bias=bias), np.random.default_rng(4)
    x = rng.normal(size=shape)
    delta = rng.normal(size=(*shape[:-1], 4))
    out = layer(x)
    grad_x = layer.backward(delta)
    their_x, a, b = (
        torch.tensor(array, requires_grad=True) for array in (x, layer.lora_A, layer.lora_B)
    )
    frozen = {key: torch.tensor(array) for key, array in layer.buffers().items()}
    weight = frozen["weight"] + 3.0 / 2 * b @ a
    theirs = torch.nn.functional.linear(their_x, weight, frozen.get("bias"))
    theirs.backward(torch.tensor(delta))
    np.testing.assert_allclose(out, theirs.detach().numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(grad_x, their_x.grad, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(layer.gradients()["lora_A"], a.grad, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(layer.gradients()["lora_B"], b.grad, rtol=1e-12, atol=1e-13)


def test_gradients_inside_a_network_are_the_finite_differences() -> None:
    """Oracle: central differences of the loss, for the input and both factors."""
    rng = np.random.default_rng(5)
    model = Sequential(
        _layer(rank=3), network.Tanh(), LowRankLinear(Linear(4, 3, rng=rng), 1, rng=6)
    )
    result = gradient_check(model, MSELoss(), rng.normal(size=(6, 5)), rng.normal(size=(6, 3)))
    assert result.passed, str(result)
    assert set(result.errors) == {"input", "0.lora_A", "0.lora_B", "2.lora_A", "2.lora_B"}


def test_training_moves_the_factors_and_nothing_else() -> None:
    """Oracle: copies of the frozen arrays, and of the layer it came from, taken before."""
    rng = np.random.default_rng(7)
    linear = Linear(5, 4, rng=rng)
    layer = LowRankLinear(linear, 2, rng=rng)
    before = {key: array.copy() for key, array in (layer.buffers() | layer.parameters()).items()}
    x, y = rng.normal(size=(20, 5)), rng.integers(4, size=20)
    history = network.fit(layer, CrossEntropyLoss(), Adam(0.05), x, y, epochs=5, rng=0)
    assert history.train_loss[-1] < history.train_loss[0]
    assert layer.parameters().keys() == layer.gradients().keys() == {"lora_A", "lora_B"}
    for key, array in layer.parameters().items():
        assert np.abs(array - before[key]).max() > 0
    for key, array in layer.buffers().items():
        np.testing.assert_array_equal(array, before[key])
        np.testing.assert_array_equal(array, linear.parameters()[key])
        assert not np.shares_memory(array, linear.parameters()[key])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [True, False])
def test_merging_gives_one_layer_with_the_same_outputs(bias: bool, dtype: type) -> None:
    """Oracle: the layer's own forward pass, and the scale alpha / rank written out."""
    layer = _layer(bias=bias, dtype=dtype)
    merged = layer.merge()
    assert type(merged) is Linear
    assert merged.weight.dtype == dtype
    assert (merged.bias is not None) == bias
    x = np.random.default_rng(8).normal(size=(6, 5)).astype(dtype)
    tight = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(merged(x), layer(x), rtol=tight, atol=tight)
    change = merged.weight - layer.buffers()["weight"]
    np.testing.assert_allclose(change, 1.5 * layer.lora_B @ layer.lora_A, rtol=0, atol=tight)
    merged.weight[...] = 0
    assert layer.buffers()["weight"].any()


def test_by_default_the_scale_is_one() -> None:
    """Oracle: alpha = rank."""
    layer = _layer(rank=3, alpha=None)
    assert (layer.alpha, layer.scale) == (3.0, 1.0)
    assert repr(layer) == "LowRankLinear(5, 4, rank=3, alpha=3)"


def test_the_change_has_at_most_the_rank_asked_for() -> None:
    """Oracle: numpy.linalg.matrix_rank of the difference of the two weights."""
    for rank in (1, 2, 3):
        layer = _layer(rank=rank)
        change = layer.merge().weight - layer.buffers()["weight"]
        assert np.linalg.matrix_rank(change, tol=1e-12) == rank


def test_it_can_be_saved_and_loaded(tmp_path) -> None:
    """Oracle: the outputs before saving; the file holds frozen arrays and factors."""
    layer, x = _layer(), np.random.default_rng(9).normal(size=(3, 5))
    network.save(layer, tmp_path / "layer.npz")
    other = LowRankLinear(Linear(5, 4, rng=99), 2, alpha=3.0, rng=98)
    assert not np.allclose(other(x), layer(x))
    network.load(other, tmp_path / "layer.npz")
    np.testing.assert_array_equal(other(x), layer(x))


def test_low_rank_linear_refuses_by_name() -> None:
    """Oracle: the messages name the argument, what was expected and what came."""
    linear = Linear(5, 4, rng=0)
    with pytest.raises(TypeError, match="linear must be a Linear, got Tanh"):
        LowRankLinear(network.Tanh(), 2, rng=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rank must be at least 1"):
        LowRankLinear(linear, 0, rng=0)
    with pytest.raises(ValueError, match="rank must be at most 4, got 5"):
        LowRankLinear(linear, 5, rng=0)
    with pytest.raises(ValueError, match="alpha must lie in"):
        LowRankLinear(linear, 2, alpha=0.0, rng=0)
    layer = LowRankLinear(linear, 2, rng=0)
    with pytest.raises(RuntimeError, match=r"LowRankLinear\.backward was called before forward"):
        layer.backward(np.ones((2, 4)))
    with pytest.raises(ValueError, match="x must have in_features = 5"):
        layer(np.ones((2, 4)))
    with pytest.raises(TypeError, match="x must be float64 like the layer"):
        layer(np.ones((2, 5), dtype=np.float32))
    layer(np.ones((2, 5)))
    with pytest.raises(ValueError, match=r"grad_output must have shape \(2, 4\), got \(2, 5\)"):
        layer.backward(np.ones((2, 5)))
