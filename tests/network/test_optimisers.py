"""Optimisers step for step against torch.optim, gradient clipping, and orthogonalised momentum."""

import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion import network as cn
from companion.network.optimisers import Optimiser
from tests.network.oracles import DTYPES, SEEDS, assert_close, tensor

SHAPES = {"0.weight": (4, 3), "0.bias": (4,), "1.weight": (2, 4), "2.kernel": (2, 2, 3)}
STEPS = 40
TORCH_DTYPE = {np.float64: torch.float64, np.float32: torch.float32}

CASES = {
    "SGD": (lambda: cn.SGD(lr=0.1), torch.optim.SGD, {"lr": 0.1}),
    "SGD with decay": (
        lambda: cn.SGD(lr=0.1, weight_decay=0.05),
        torch.optim.SGD,
        {"lr": 0.1, "weight_decay": 0.05},
    ),
    "momentum": (
        lambda: cn.SGD(lr=0.05, momentum=0.9),
        torch.optim.SGD,
        {"lr": 0.05, "momentum": 0.9},
    ),
    "momentum with decay": (
        lambda: cn.SGD(lr=0.05, momentum=0.7, weight_decay=0.1),
        torch.optim.SGD,
        {"lr": 0.05, "momentum": 0.7, "weight_decay": 0.1},
    ),
    "Nesterov": (
        lambda: cn.SGD(lr=0.05, momentum=0.9, nesterov=True),
        torch.optim.SGD,
        {"lr": 0.05, "momentum": 0.9, "nesterov": True},
    ),
    "Nesterov with decay": (
        lambda: cn.SGD(lr=0.05, momentum=0.6, nesterov=True, weight_decay=0.2),
        torch.optim.SGD,
        {"lr": 0.05, "momentum": 0.6, "nesterov": True, "weight_decay": 0.2},
    ),
    "Adam": (cn.Adam, torch.optim.Adam, {}),
    "Adam with all options": (
        lambda: cn.Adam(lr=0.02, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
        torch.optim.Adam,
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
    ),
    "Adam without averages": (
        lambda: cn.Adam(lr=0.02, betas=(0.0, 0.0)),
        torch.optim.Adam,
        {"lr": 0.02, "betas": (0.0, 0.0)},
    ),
    "AdamW": (cn.AdamW, torch.optim.AdamW, {}),
    "AdamW with all options": (
        lambda: cn.AdamW(lr=0.02, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.5),
        torch.optim.AdamW,
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.5},
    ),
}


def start(rng, dtype, shapes=SHAPES):
    parameters = {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}
    return parameters, {name: tensor(w, grad=True) for name, w in parameters.items()}


def gradients_like(rng, parameters, size=1.0):
    return {
        name: (size * rng.normal(size=w.shape)).astype(w.dtype) for name, w in parameters.items()
    }


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_every_step_equals_torch(name, dtype):
    """Oracle: the optimiser of torch.optim with the same options, after each of 40 random
    gradients."""
    make, theirs, options = CASES[name]
    rng = np.random.default_rng(0)
    parameters, tensors = start(rng, dtype)
    ours, reference = make(), theirs(tensors.values(), **options)
    for step in range(STEPS):
        # Sizes from 1e-4 to 1e2: eps and the averages both matter.
        gradients = gradients_like(rng, parameters, size=10.0 ** rng.integers(-4, 3))
        kept = {key: g.copy() for key, g in gradients.items()}
        for key, w in tensors.items():
            w.grad = tensor(gradients[key])
        ours.step(parameters, gradients)
        reference.step()
        assert ours.steps == step + 1
        for key, w in parameters.items():
            assert_close(w, tensors[key], tolerance=1e-12 if dtype == np.float64 else 2e-5)
            assert np.array_equal(gradients[key], kept[key])


@pytest.mark.parametrize("name", ["momentum", "Nesterov", "Adam", "AdamW"])
def test_the_rate_may_change_between_steps(name):
    """Oracle: torch with the same rates written into its param_groups."""
    make, theirs, options = CASES[name]
    rng = np.random.default_rng(1)
    parameters, tensors = start(rng, np.float64)
    ours, reference = make(), theirs(tensors.values(), **options)
    for lr in (0.1, 0.2, 0.01, 1e-4, 0.3):
        gradients = gradients_like(rng, parameters)
        ours.lr = reference.param_groups[0]["lr"] = lr
        for key, w in tensors.items():
            w.grad = tensor(gradients[key])
        ours.step(parameters, gradients)
        reference.step()
        for key, w in parameters.items():
            assert_close(w, tensors[key])


@pytest.mark.parametrize("name", [*CASES, "Muon"])
def test_parameters_change_in_place_and_keep_their_type(name):
    """Oracle: the identity and dtype of the arrays before."""
    make = CASES[name][0] if name in CASES else cn.Muon
    rng = np.random.default_rng(2)
    parameters, _ = start(rng, np.float32)
    before = dict(parameters)
    optimiser = make()
    for _ in range(2):
        optimiser.step(parameters, gradients_like(rng, parameters))
    for key, w in parameters.items():
        assert w is before[key]
        assert w.dtype == np.float32
        assert np.isfinite(w).all()


@pytest.mark.parametrize("name", [*CASES, "Muon"])
def test_a_parameter_does_not_feel_its_neighbours(name):
    """Oracle: an optimiser that holds this parameter alone."""
    make = CASES[name][0] if name in CASES else cn.Muon
    rng = np.random.default_rng(3)
    parameters, _ = start(rng, np.float64)
    alone = {"1.weight": parameters["1.weight"].copy()}
    together, single = make(), make()
    for _ in range(3):
        gradients = gradients_like(rng, parameters)
        together.step(parameters, gradients)
        single.step(alone, {"1.weight": gradients["1.weight"]})
    assert np.array_equal(alone["1.weight"], parameters["1.weight"])


@pytest.mark.parametrize("name", [*CASES, "Muon"])
def test_a_bad_gradient_is_refused_and_changes_nothing(name):
    """Oracle: the message names the array; parameters and the count of steps are as before."""
    optimiser = CASES[name][0]() if name in CASES else cn.Muon()
    rng = np.random.default_rng(4)
    parameters, _ = start(rng, np.float64)
    optimiser.step(parameters, gradients_like(rng, parameters))
    kept = {key: w.copy() for key, w in parameters.items()}
    good = gradients_like(rng, parameters)
    for value, count in ((math.nan, 1), (math.inf, 1), (-math.inf, 1)):
        bad = {**good, "1.weight": np.where(np.arange(8).reshape(2, 4) == 3, value, 1.0)}
        message = rf"^gradients\['1\.weight'\] must be finite, got {count} NaN or infinity$"
        with pytest.raises(ValueError, match=message):
            optimiser.step(parameters, bad)
    with pytest.raises(
        ValueError, match=r"^gradients\['0\.bias'\] must have shape \(4,\), got \(3,\)$"
    ):
        optimiser.step(parameters, {**good, "0.bias": np.ones(3)})
    names = r"^gradients must have the names of the parameters, differing: \['0\.bias', 'b'\]$"
    with pytest.raises(ValueError, match=names):
        optimiser.step(
            parameters, {**{k: g for k, g in good.items() if k != "0.bias"}, "b": good["0.bias"]}
        )
    with pytest.raises(
        ValueError, match=r"differing: \['0\.bias', '0\.weight', '1\.weight', '2\.kernel'\]$"
    ):
        optimiser.step(parameters, {})
    assert optimiser.steps == 1
    for key, w in parameters.items():
        assert np.array_equal(w, kept[key])
    # The refused calls leave no trace in the state either.
    optimiser.step(parameters, good)
    again = CASES[name][0]() if name in CASES else cn.Muon()
    rng = np.random.default_rng(4)
    twin, _ = start(rng, np.float64)
    again.step(twin, gradients_like(rng, twin))
    again.step(twin, good)
    for key, w in parameters.items():
        assert np.array_equal(w, twin[key])


RATE = [
    (0, ValueError),
    (-0.1, ValueError),
    (math.nan, ValueError),
    ("0.1", TypeError),
    (True, TypeError),
]


@pytest.mark.parametrize("make", [cn.SGD, cn.Adam, cn.AdamW, cn.Muon, Optimiser])
@pytest.mark.parametrize(("lr", "error"), RATE)
def test_the_rate_is_checked(make, lr, error):
    """Oracle: the message names lr, and for a number its interval."""
    message = (
        r"^lr must lie in \(0, inf\), got "
        if error is ValueError
        else r"^lr must be a real number, got "
    )
    with pytest.raises(error, match=message):
        make(lr=lr)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: cn.SGD(lr=1, momentum=1.0),
            ValueError,
            r"^momentum must lie in \[0, 1\), got 1\.0$",
        ),
        (
            lambda: cn.SGD(lr=1, momentum=-0.1),
            ValueError,
            r"^momentum must lie in \[0, 1\), got -0\.1$",
        ),
        (
            lambda: cn.SGD(lr=1, weight_decay=-1),
            ValueError,
            r"^weight_decay must lie in \[0, inf\), got -1$",
        ),
        (
            lambda: cn.SGD(lr=1, nesterov=True),
            ValueError,
            r"^nesterov needs momentum > 0, got momentum 0$",
        ),
        (
            lambda: cn.Adam(betas=(0.9, 1.0)),
            ValueError,
            r"^betas\[1\] must lie in \[0, 1\), got 1\.0$",
        ),
        (
            lambda: cn.Adam(betas=(-0.1, 0.9)),
            ValueError,
            r"^betas\[0\] must lie in \[0, 1\), got -0\.1$",
        ),
        (
            lambda: cn.Adam(betas=(0.9,)),
            ValueError,
            r"^betas must hold two numbers, got \(0\.9,\)$",
        ),
        (lambda: cn.Adam(betas=0.9), ValueError, r"^betas must hold two numbers, got 0\.9$"),
        (lambda: cn.Adam(betas="ab"), ValueError, r"^betas must hold two numbers, got 'ab'$"),
        (lambda: cn.Adam(eps=0), ValueError, r"^eps must lie in \(0, inf\), got 0$"),
        (
            lambda: cn.Adam(weight_decay="x"),
            TypeError,
            r"^weight_decay must be a real number, got 'x'$",
        ),
        (
            lambda: cn.AdamW(weight_decay=-1e-9),
            ValueError,
            r"^weight_decay must lie in \[0, inf\), got -1e-09$",
        ),
        (lambda: cn.AdamW(eps=-1), ValueError, r"^eps must lie in \(0, inf\), got -1$"),
        (
            lambda: cn.AdamW(betas=(0.9, 0.9, 0.9)),
            ValueError,
            r"^betas must hold two numbers, got \(0\.9, 0\.9, 0\.9\)$",
        ),
        (lambda: cn.Muon(momentum=1), ValueError, r"^momentum must lie in \[0, 1\), got 1$"),
        (lambda: cn.Muon(momentum=-0.5), ValueError, r"^momentum must lie in \[0, 1\), got -0\.5$"),
        (
            lambda: cn.Muon(weight_decay=-0.5),
            ValueError,
            r"^weight_decay must lie in \[0, inf\), got -0\.5$",
        ),
        (lambda: cn.Muon(ns_steps=0), ValueError, r"^ns_steps must be at least 1, got 0$"),
        (
            lambda: cn.Muon(fallback="adam"),
            TypeError,
            r"^fallback must be Adam or AdamW, got 'adam'$",
        ),
        (
            lambda: cn.orthogonalise(np.ones(3)),
            ValueError,
            r"^matrix must have 2 axes, got shape \(3,\)$",
        ),
        (
            lambda: cn.orthogonalise(np.eye(2), steps=0),
            ValueError,
            r"^steps must be at least 1, got 0$",
        ),
        (
            lambda: cn.orthogonalise(np.eye(2), steps=2.5),
            TypeError,
            r"^steps must be an integer, got 2\.5$",
        ),
        (
            lambda: cn.orthogonalise([["a"]]),
            TypeError,
            r"^matrix must hold real numbers, got dtype <U1$",
        ),
        (
            lambda: cn.orthogonalise(np.eye(2), coefficients=(1.5, -0.5)),
            ValueError,
            r"^coefficients must hold three numbers, got \(1\.5, -0\.5\)$",
        ),
        (
            lambda: cn.orthogonalise(np.eye(2), coefficients=1.5),
            ValueError,
            r"^coefficients must hold three numbers, got 1\.5$",
        ),
        (
            lambda: cn.orthogonalise(np.eye(2), coefficients=(1, "b", 2)),
            TypeError,
            r"^coefficients\[1\] must be a real number, got 'b'$",
        ),
        (lambda: cn.clip_grad_norm({}, 0), ValueError, r"^max_norm must lie in \(0, inf\), got 0$"),
        (
            lambda: cn.clip_grad_norm({}, -1.0),
            ValueError,
            r"^max_norm must lie in \(0, inf\), got -1\.0$",
        ),
        (
            lambda: cn.clip_grad_norm({}, None),
            TypeError,
            r"^max_norm must be a real number, got None$",
        ),
    ],
)
def test_arguments_are_checked(call, error, message):
    """Oracle: the message names the argument, what was expected and what came."""
    with pytest.raises(error, match=message):
        call()


def test_defaults_are_torchs_where_torch_has_them():
    """Oracle: the defaults of torch.optim, but Muon's rate and decay, which are those of Jordan
    (2024)."""
    w = [torch.zeros(2, 2, requires_grad=True)]
    for ours, theirs in ((cn.Adam(), torch.optim.Adam(w)), (cn.AdamW(), torch.optim.AdamW(w))):
        for name in ("lr", "betas", "eps", "weight_decay"):
            assert getattr(ours, name) == theirs.defaults[name]
    muon, theirs = cn.Muon(), torch.optim.Muon(w)
    for name in ("momentum", "nesterov", "ns_steps"):
        assert getattr(muon, name) == theirs.defaults[name]
    assert (muon.lr, muon.weight_decay) == (0.02, 0.0)
    assert type(muon.fallback) is cn.AdamW
    assert (muon.fallback.lr, muon.fallback.weight_decay) == (1e-3, 0.0)
    sgd = cn.SGD(lr=0.5)
    assert (sgd.momentum, sgd.nesterov, sgd.weight_decay, sgd.steps) == (0.0, False, 0.0, 0)


def test_the_base_class_says_what_is_missing():
    """Oracle: the message names the subclass and the method it lacks."""

    class Half(Optimiser):
        pass

    with pytest.raises(TypeError, match=r"^Half must define _update$"):
        Half(0.1).step({"w": np.ones(1)}, {"w": np.ones(1)})


# Orthogonalised momentum


def newton_schulz_by_svd(matrix, steps, coefficients=(3.4445, -4.775, 2.0315)):
    """The same polynomial, applied to each singular value: an odd polynomial commutes with the SVD.
    The same polynomial, applied to each singular value: an odd polynomial commutes with the SVD."""
    u, s, vt = np.linalg.svd(np.asarray(matrix, np.float64), full_matrices=False)
    s = s / max(np.sqrt(np.sum(s**2)), 1e-7)
    a, b, c = coefficients
    for _ in range(steps):
        s = a * s + b * s**3 + c * s**5
    return (u * s) @ vt


@pytest.mark.parametrize("dtype", DTYPES)
@given(
    seed=SEEDS,
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    steps=st.integers(1, 6),
    size=st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_orthogonalise_acts_on_singular_values(dtype, seed, rows, columns, steps, size):
    """Oracle: the polynomial of each singular value, in float64, by numpy.linalg.svd."""
    matrix = (size * np.random.default_rng(seed).normal(size=(rows, columns))).astype(dtype)
    kept = matrix.copy()
    result = cn.orthogonalise(matrix, steps=steps)
    expected = newton_schulz_by_svd(matrix, steps).astype(dtype)
    # Each of the steps multiplies a rounding error by at most 3.4445.
    tolerance = 3.5**steps * (1e-15 if dtype == np.float64 else 1e-6)
    assert_close(result, expected, tolerance=10 * tolerance)
    assert np.array_equal(matrix, kept)


@given(seed=SEEDS, rows=st.integers(1, 5), columns=st.integers(1, 5))
def test_convergent_coefficients_reach_the_polar_factor(seed, rows, columns):
    """Oracle: U V^T of numpy.linalg.svd, which (1.5, -0.5, 0) converges to."""
    rng = np.random.default_rng(seed)
    u, _, vt = np.linalg.svd(rng.normal(size=(rows, columns)), full_matrices=False)
    matrix = (u * rng.uniform(0.5, 2.0, size=min(rows, columns))) @ vt
    result = cn.orthogonalise(matrix, steps=40, coefficients=(1.5, -0.5, 0.0))
    np.testing.assert_allclose(result, u @ vt, atol=1e-9)


def test_default_coefficients_bring_singular_values_near_one():
    """Oracle: numpy.linalg.svd of five steps on a spectrum from 0.05 to 1: all between 0.68 and
    1.14."""
    rng = np.random.default_rng(6)
    u, _, vt = np.linalg.svd(rng.normal(size=(20, 30)), full_matrices=False)
    matrix = (u * np.geomspace(0.05, 1.0, 20)) @ vt
    singular = np.linalg.svd(cn.orthogonalise(matrix), compute_uv=False)
    assert singular.min() > 0.68
    assert singular.max() < 1.14
    np.testing.assert_allclose(
        cn.orthogonalise(matrix), newton_schulz_by_svd(matrix, 5), atol=1e-11
    )


@pytest.mark.parametrize("shape", [(2000, 2), (2, 2000)])
def test_orthogonalise_works_on_the_short_side(shape):
    """Oracle: the peak of memory: products of 2 x 2, where the long side would need 32 MB."""
    matrix = np.random.default_rng(0).normal(size=shape)
    tracemalloc.start()
    cn.orthogonalise(matrix)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * matrix.nbytes


@pytest.mark.parametrize(("size", "divisor"), [(1e-9, 1e-7), (1e-7, 1e-7), (2e-7, 2e-7)])
def test_tiny_matrices_are_not_blown_up(size, divisor):
    """Oracle: one step by hand, with the norm that torch.optim.Muon never takes below 1e-7."""
    s = size / divisor
    expected = 3.4445 * s - 4.775 * s**3 + 2.0315 * s**5
    np.testing.assert_allclose(cn.orthogonalise([[size]], steps=1), [[expected]], rtol=1e-12)
    assert not cn.orthogonalise(np.zeros((2, 3))).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 3), (6, 2), (2, 6)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"nesterov": False},
        {"momentum": 0.5, "weight_decay": 0.1, "lr": 0.3, "ns_steps": 2},
        {"momentum": 0.0},
    ],
)
def test_muon_equals_its_definition(options, shape, dtype):
    """Oracle: the update written out again in float64, with the polynomial on singular values."""
    rng = np.random.default_rng(7)
    w = rng.normal(size=shape).astype(dtype)
    expected, buffer = w.astype(np.float64), np.zeros(shape)
    lr, mu = options.get("lr", 0.02), options.get("momentum", 0.95)
    decay, steps = options.get("weight_decay", 0.0), options.get("ns_steps", 5)
    optimiser = cn.Muon(**options)
    for _ in range(20):
        g = rng.normal(size=shape).astype(dtype)
        buffer = mu * buffer + (1 - mu) * g
        update = mu * buffer + (1 - mu) * g if options.get("nesterov", True) else buffer
        tall = math.sqrt(max(1.0, shape[0] / shape[1]))
        expected = (1 - lr * decay) * expected - lr * tall * newton_schulz_by_svd(update, steps)
        optimiser.step({"w": w}, {"w": g})
        np.testing.assert_allclose(w, expected, rtol=0, atol=1e-10 if dtype == np.float64 else 1e-3)


@pytest.mark.parametrize("shape", [(8, 8), (16, 4), (4, 16)])
@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.02, "weight_decay": 0.0},
        {"lr": 0.1, "weight_decay": 0.1, "momentum": 0.8, "nesterov": False},
    ],
)
def test_muon_equals_torch_within_bfloat16(options, shape):
    """Oracle: torch.optim.Muon, which orthogonalises in bfloat16 (8 bits): updates agree to 5 per
    cent."""
    rng = np.random.default_rng(8)
    w = rng.normal(size=shape)
    theirs = tensor(w, grad=True)
    ours, reference = cn.Muon(**options), torch.optim.Muon([theirs], **options)
    for _ in range(10):
        g = rng.normal(size=shape)
        before, before_theirs = w.copy(), theirs.detach().numpy().copy()
        theirs.grad = tensor(g)
        ours.step({"w": w}, {"w": g})
        reference.step()
        update, update_theirs = w - before, theirs.detach().numpy() - before_theirs
        assert np.linalg.norm(update - update_theirs) < 0.05 * np.linalg.norm(update_theirs)


def test_muon_leaves_what_is_not_a_matrix_to_its_fallback():
    """Oracle: the fallback alone on vectors and kernels, over ten steps, so that its bias
    correction counts them."""
    rng = np.random.default_rng(9)
    for fallback in (
        None,
        cn.Adam(lr=0.03, betas=(0.5, 0.7), eps=1e-2),
        cn.AdamW(lr=0.01, weight_decay=0.3),
    ):
        parameters, _ = start(rng, np.float64)
        rest = {key: w.copy() for key, w in parameters.items() if w.ndim != 2}
        if fallback is None:
            alone = cn.AdamW(lr=1e-3, weight_decay=0.0)
        else:
            options = {
                "betas": fallback.betas,
                "eps": fallback.eps,
                "weight_decay": fallback.weight_decay,
            }
            alone = type(fallback)(lr=fallback.lr, **options)
        muon = cn.Muon(fallback=fallback)
        for _ in range(10):
            gradients = gradients_like(rng, parameters)
            muon.step(parameters, gradients)
            alone.step(rest, {key: gradients[key] for key in rest})
        for key, w in rest.items():
            assert_close(parameters[key], w)
        assert muon.steps == muon.fallback.steps == 10


# Clipping


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, size=st.sampled_from([1e-3, 1.0, 1e3]), limit=st.floats(0.01, 100.0))
def test_clip_equals_torch(dtype, seed, size, limit):
    """Oracle: torch.nn.utils.clip_grad_norm_, whose divisor has 1e-6 added."""
    rng = np.random.default_rng(seed)
    gradients = {
        f"{i}": (size * rng.normal(size=s)).astype(dtype) for i, s in enumerate([(2, 3), (4,), ()])
    }
    gradients = {key: np.asarray(g) for key, g in gradients.items()}
    tensors = [
        torch.zeros(g.shape, dtype=TORCH_DTYPE[dtype], requires_grad=True)
        for g in gradients.values()
    ]
    for w, g in zip(tensors, gradients.values(), strict=True):
        w.grad = tensor(g)
    arrays = dict(gradients)
    expected = torch.nn.utils.clip_grad_norm_(tensors, limit).item()
    norm = cn.clip_grad_norm(gradients, limit)
    assert type(norm) is float
    assert norm == pytest.approx(expected, rel=1e-12 if dtype == np.float64 else 1e-5)
    for w, (key, g) in zip(tensors, gradients.items(), strict=True):
        assert g is arrays[key]
        assert g.dtype == dtype
        np.testing.assert_allclose(g, w.grad.numpy(), rtol=1e-5 + 1e-6 / limit)


def test_clip_changes_only_what_is_too_long():
    """Oracle: the 3-4-5 triangle: at the limit and below nothing moves, above the length is the
    limit."""
    for limit, factor in ((5.0, 1.0), (5.000001, 1.0), (10.0, 1.0), (4.999, 0.9998), (1.0, 0.2)):
        g = {"a": np.array([3.0]), "b": np.array([[-4.0]])}
        assert cn.clip_grad_norm(g, limit) == 5.0
        np.testing.assert_allclose([g["a"][0], g["b"][0, 0]], [3 * factor, -4 * factor], rtol=1e-14)
        if factor == 1.0:
            assert (g["a"][0], g["b"][0, 0]) == (3.0, -4.0)


@given(seed=SEEDS)
def test_grad_norm_is_the_norm_of_one_long_vector(seed):
    """Oracle: numpy.linalg.norm of all entries."""
    rng = np.random.default_rng(seed)
    gradients = {f"{i}": rng.normal(size=s) for i, s in enumerate([(2, 3), (4,), (1, 2, 2)])}
    flat = np.concatenate([g.ravel() for g in gradients.values()])
    assert cn.grad_norm(gradients) == pytest.approx(np.linalg.norm(flat), rel=1e-14)
    assert cn.grad_norm({}) == 0.0


@pytest.mark.parametrize("norm", [cn.grad_norm, lambda g: cn.clip_grad_norm(g, 1.0)])
@pytest.mark.parametrize(
    ("wrong", "kind"), [("a", "<U1"), (None, "object"), (np.ones(2, complex), "complex128")]
)
def test_what_is_no_gradient_is_refused_by_name(norm, wrong, kind):
    """Oracle: the message names the array and its type."""
    message = rf"^gradients\['1\.bias'\] must hold real numbers, got dtype {kind}$"
    with pytest.raises(TypeError, match=message):
        norm({"0.weight": np.ones((2, 2)), "1.bias": wrong})


def test_a_schedule_on_muon_scales_its_fallback_too() -> None:
    """Oracle: AdamW alone, given the halved rate by hand for the second step."""
    rng = np.random.default_rng(0)
    bias, twin = {"b": rng.normal(size=3)}, {}
    twin["b"] = bias["b"].copy()
    muon = cn.Muon(lr=0.02, fallback=cn.AdamW(lr=1e-2))
    alone = cn.AdamW(lr=1e-2)
    for factor in (1.0, 0.5):
        gradient = {"b": rng.normal(size=3)}
        muon.lr, alone.lr = 0.02 * factor, 1e-2 * factor
        muon.step(bias, gradient)
        alone.step(twin, gradient)
    np.testing.assert_allclose(bias["b"], twin["b"], rtol=1e-12)
