"""Initial weights: their distribution, their fans and gains, and what they refuse."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from companion.network import initialisers
from tests.network.oracles import DTYPES, SEEDS, assert_close

SHAPE = (120, 250)
NORMAL = {
    "normal": (initialisers.normal, 1.0),
    "normal, std 0.05": (partial(initialisers.normal, std=0.05), 0.05),
    "xavier_normal": (initialisers.xavier_normal, math.sqrt(2 / 370)),
    "xavier_normal, gain 3": (
        partial(initialisers.xavier_normal, gain=3.0),
        3 * math.sqrt(2 / 370),
    ),
    "he_normal": (initialisers.he_normal, math.sqrt(2 / 250)),
    "he_normal, gain 1": (partial(initialisers.he_normal, gain=1.0), math.sqrt(1 / 250)),
    "he_normal, fan_out": (partial(initialisers.he_normal, mode="fan_out"), math.sqrt(2 / 120)),
}
UNIFORM = {
    "xavier_uniform": (initialisers.xavier_uniform, math.sqrt(6 / 370)),
    "xavier_uniform, gain 3": (
        partial(initialisers.xavier_uniform, gain=3.0),
        3 * math.sqrt(6 / 370),
    ),
    "he_uniform": (initialisers.he_uniform, math.sqrt(6 / 250)),
    "he_uniform, gain 1": (partial(initialisers.he_uniform, gain=1.0), math.sqrt(3 / 250)),
    "he_uniform, fan_out": (partial(initialisers.he_uniform, mode="fan_out"), math.sqrt(6 / 120)),
}
RANDOM = [f for n, f in initialisers.INITIALISERS.items() if n != "zeros"]
WITH_FANS = [f for n, f in initialisers.INITIALISERS.items() if n not in ("zeros", "normal")]


@pytest.mark.parametrize("name", NORMAL)
def test_normal_weights_have_their_variance_and_shape(name):
    """Oracle: the variance asked for, within five standard errors, and a Kolmogorov-Smirnov test at
    1 in 10,000."""
    initialiser, std = NORMAL[name]
    w = initialiser(SHAPE, rng=0)
    n = w.size
    assert abs(w.mean()) < 5 * std / math.sqrt(n)
    assert abs(w.var() / std**2 - 1) < 5 * math.sqrt(2 / n)
    assert stats.kstest(w.ravel() / std, "norm").pvalue > 1e-4


@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_weights_fill_their_interval(name):
    """Oracle: the bound sqrt 3 times the deviation, and a Kolmogorov-Smirnov test at 1 in 10,000.
    Oracle: the bound sqrt 3 times the deviation, and a Kolmogorov-Smirnov test at 1 in 10,000."""
    initialiser, bound = UNIFORM[name]
    w = initialiser(SHAPE, rng=0)
    assert np.abs(w).max() <= bound
    # The largest of n draws misses the bound by bound/n on average; twenty times that is e^-20.
    assert np.abs(w).max() > bound * (1 - 20 / w.size)
    assert stats.kstest(w.ravel() / bound, stats.uniform(-1, 2).cdf).pvalue > 1e-4
    # The variance of a squared uniform is 4/45 bound^4.
    assert abs(w.var() - bound**2 / 3) < 5 * math.sqrt(4 / 45 / w.size) * bound**2


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (initialisers.xavier_normal, nn.init.xavier_normal_),
        (initialisers.xavier_uniform, nn.init.xavier_uniform_),
        (initialisers.he_normal, partial(nn.init.kaiming_normal_, nonlinearity="relu")),
        (initialisers.he_uniform, partial(nn.init.kaiming_uniform_, nonlinearity="relu")),
        (
            partial(initialisers.he_normal, mode="fan_out"),
            partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu"),
        ),
    ],
)
@pytest.mark.parametrize("shape", [(300, 60), (60, 20, 3, 5)])
def test_weights_are_distributed_as_torchs(ours, theirs, shape):
    """Oracle: a sample of torch.nn.init of the same size, by the two-sample Kolmogorov-Smirnov
    test."""
    torch.manual_seed(0)
    sample = theirs(torch.empty(shape, dtype=torch.float64)).numpy().ravel()
    assert stats.ks_2samp(ours(shape, rng=1).ravel(), sample).pvalue > 1e-4


@given(
    seed=SEEDS,
    shape=st.lists(st.integers(1, 6), min_size=2, max_size=4).map(tuple),
    gain=st.floats(0.1, 4.0),
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_orthogonal_has_one_singular_value(dtype, seed, shape, gain):
    """Oracle: numpy.linalg.svd: every singular value is the gain, rows or columns being orthogonal.
    Oracle: numpy.linalg.svd: every singular value is the gain, rows or columns being orthogonal."""
    w = initialisers.orthogonal(shape, gain=gain, rng=seed, dtype=dtype)
    assert w.shape == shape
    assert w.dtype == dtype
    singular = np.linalg.svd(w.reshape(shape[0], -1), compute_uv=False)
    np.testing.assert_allclose(singular, gain, rtol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2)])
def test_orthogonal_is_uniform(shape):
    """Oracle: the Haar measure: each entry has mean 0 and variance 1/max(shape), within five
    standard errors."""
    rng = np.random.default_rng(5)
    draws = np.array([initialisers.orthogonal(shape, rng=rng) for _ in range(4000)])
    n = max(shape)
    assert np.abs(draws.mean(axis=0)).max() < 5 / math.sqrt(n * len(draws))
    # A squared entry of a unit vector in R^n is Beta(1/2, (n-1)/2): variance 2(n-1)/(n^2(n+2)).
    error = math.sqrt(2 * (n - 1) / (n**2 * (n + 2)) / len(draws))
    assert np.abs((draws**2).mean(axis=0) - 1 / n).max() < 5 * error
    cdf = stats.beta(0.5, (n - 1) / 2).cdf
    for i, j in np.ndindex(shape):
        assert stats.kstest(draws[:, i, j] ** 2, cdf).pvalue > 1e-5
        assert abs(np.mean(draws[:, i, j] > 0) - 0.5) < 5 * 0.5 / math.sqrt(len(draws))


def test_orthogonal_defaults_to_gain_one_and_knows_no_sign_convention():
    """Oracle: the identity W W^T = I; both determinants occur among square draws."""
    w = initialisers.orthogonal((3, 5), rng=0)
    np.testing.assert_allclose(w @ w.T, np.eye(3), atol=1e-14)
    signs = [np.linalg.det(initialisers.orthogonal((2, 2), rng=s)) for s in range(200)]
    assert 60 < sum(s > 0 for s in signs) < 140
    np.testing.assert_allclose(np.abs(signs), 1.0)


def test_zeros():
    """Oracle: zeros, with or without a generator."""
    for dtype in DTYPES:
        w = initialisers.zeros((2, 3), dtype=dtype)
        assert_close(w, np.zeros((2, 3), dtype))
    assert initialisers.zeros((2,), rng=np.random.default_rng(0)).dtype == np.float64


@given(shape=st.lists(st.integers(1, 9), min_size=2, max_size=5))
def test_fans_equal_torch(shape):
    """Oracle: torch.nn.init._calculate_fan_in_and_fan_out."""
    expected = nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
    assert initialisers.fans(tuple(shape)) == initialisers.fans(shape) == expected


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("identity", "linear"),
        ("sigmoid", "sigmoid"),
        ("tanh", "tanh"),
        ("relu", "relu"),
        ("leaky_relu", "leaky_relu"),
    ],
)
def test_gain_equals_torch(ours, theirs):
    """Oracle: torch.nn.init.calculate_gain."""
    assert initialisers.gain(ours) == pytest.approx(nn.init.calculate_gain(theirs), rel=1e-15)
    for slope in (0.2, -0.5, 1.0):
        value = initialisers.gain(ours, negative_slope=slope)
        assert value == pytest.approx(nn.init.calculate_gain(theirs, slope), rel=1e-15)


def test_gain_of_relu_keeps_the_second_moment():
    """Oracle: E[relu(gz)^2] = 1 for standard normal z, by sampling, within five standard errors."""
    z = np.random.default_rng(0).standard_normal(200_000)
    for name, f in (
        ("relu", lambda v: np.maximum(v, 0)),
        ("leaky_relu", lambda v: np.where(v > 0, v, 0.01 * v)),
    ):
        squares = f(initialisers.gain(name) * z) ** 2
        assert abs(squares.mean() - 1) < 5 * squares.std() / math.sqrt(len(z))


@pytest.mark.parametrize("initialiser", RANDOM)
def test_seed_type_and_freshness(initialiser):
    """Oracle: a seed is a generator made from it; the same seed repeats, a generator moves on;
    float32 is the rounded float64."""
    w = initialiser((4, 3), rng=5)
    assert w.shape == (4, 3)
    assert w.dtype == np.float64
    assert np.array_equal(w, initialiser((4, 3), rng=np.random.default_rng(5)))
    assert np.array_equal(w, initialiser([4, 3], rng=5))
    assert not np.array_equal(w, initialiser((4, 3), rng=6))
    rng = np.random.default_rng(5)
    assert not np.array_equal(initialiser((4, 3), rng=rng), initialiser((4, 3), rng=rng))
    assert np.array_equal(initialiser((4, 3), rng=5, dtype=np.float32), w.astype(np.float32))


def test_table_of_initialisers():
    """Oracle: the functions of the module, by their own names."""
    names = [
        "zeros",
        "normal",
        "xavier_normal",
        "xavier_uniform",
        "he_normal",
        "he_uniform",
        "orthogonal",
    ]
    assert list(initialisers.INITIALISERS) == names
    for name, function in initialisers.INITIALISERS.items():
        assert function is getattr(initialisers, name)


@pytest.mark.parametrize("initialiser", initialisers.INITIALISERS.values())
def test_shape_and_dtype_are_checked(initialiser):
    """Oracle: the message names the entry of shape, or dtype."""
    with pytest.raises(TypeError, match=r"^shape must be a tuple of integers, got 3$"):
        initialiser(3, rng=0)
    with pytest.raises(TypeError, match=r"^shape must be a tuple of integers, got '32'$"):
        initialiser("32", rng=0)
    with pytest.raises(ValueError, match=r"^shape\[1\] must be at least 1, got 0$"):
        initialiser((3, 0), rng=0)
    with pytest.raises(TypeError, match=r"^shape\[0\] must be an integer, got 3\.0$"):
        initialiser((3.0, 2), rng=0)
    with pytest.raises(TypeError, match=r"^dtype must be float32 or float64, got 'int64'$"):
        initialiser((3, 2), rng=0, dtype="int64")


@pytest.mark.parametrize("initialiser", RANDOM)
def test_rng_is_checked(initialiser):
    """Oracle: the message names rng."""
    with pytest.raises(
        TypeError, match=r"^rng must be a numpy.random.Generator or an integer seed, got None$"
    ):
        initialiser((3, 2), rng=None)
    with pytest.raises(ValueError, match=r"^rng must be a non-negative seed, got -3$"):
        initialiser((3, 2), rng=-3)


@pytest.mark.parametrize("initialiser", WITH_FANS)
def test_gain_argument_and_axes_are_checked(initialiser):
    """Oracle: the message names gain, or the two axes that a weight has."""
    with pytest.raises(ValueError, match=r"^gain must lie in \[0, inf\), got -1$"):
        initialiser((3, 2), gain=-1, rng=0)
    with pytest.raises(TypeError, match=r"^gain must be a real number, got 'relu'$"):
        initialiser((3, 2), gain="relu", rng=0)
    with pytest.raises(
        ValueError, match=r"^shape must have at least two entries \(out, in\), got \(3,\)$"
    ):
        initialiser((3,), rng=0)
    assert not initialiser((3, 2), gain=0, rng=0).any()


def test_other_arguments_are_checked():
    """Oracle: the message names the argument, what was expected and what came."""
    for initialiser in (initialisers.he_normal, initialisers.he_uniform):
        with pytest.raises(
            ValueError, match=r"^mode must be one of 'fan_in', 'fan_out', got 'fan_avg'$"
        ):
            initialiser((3, 2), mode="fan_avg", rng=0)
        with pytest.raises(
            ValueError, match=r"^mode must be one of 'fan_in', 'fan_out', got None$"
        ):
            initialiser((3, 2), mode=None, rng=0)
    with pytest.raises(ValueError, match=r"^std must lie in \[0, inf\), got -0\.1$"):
        initialisers.normal((3, 2), std=-0.1, rng=0)
    with pytest.raises(TypeError, match=r"^std must be a real number, got None$"):
        initialisers.normal((3, 2), std=None, rng=0)
    assert not initialisers.normal((3, 2), std=0, rng=0).any()
    names = "'identity', 'sigmoid', 'tanh', 'relu', 'leaky_relu'"
    with pytest.raises(ValueError, match=rf"^nonlinearity must be one of {names}, got 'gelu'$"):
        initialisers.gain("gelu")
    with pytest.raises(ValueError, match=rf"^nonlinearity must be one of {names}, got \['relu'\]$"):
        initialisers.gain(["relu"])
    with pytest.raises(TypeError, match=r"^negative_slope must be a real number, got '0\.1'$"):
        initialisers.gain("leaky_relu", "0.1")
    with pytest.raises(
        ValueError, match=r"^shape must have at least two entries \(out, in\), got \(7,\)$"
    ):
        initialisers.fans((7,))
    with pytest.raises(TypeError, match=r"^shape must be a tuple of integers, got 7$"):
        initialisers.fans(7)
    with pytest.raises(ValueError, match=r"^shape\[2\] must be at least 1, got -2$"):
        initialisers.fans((7, 2, -2))
