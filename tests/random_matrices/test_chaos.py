"""Random recurrent networks, against PyTorch, SciPy, known maps, eigenvalues and simulation."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq

from companion.random_matrices import (
    CircularLaw,
    activity,
    excitatory_inhibitory,
    excitatory_inhibitory_cdf,
    ginibre,
    largest_lyapunov,
    lyapunov_exponents,
    mean_field_exponent,
    mean_field_variance,
)


def test_with_step_one_it_is_a_recurrent_layer() -> None:
    """Oracle: torch.nn.RNN, whose hidden state is the tanh of ours."""
    rng = np.random.default_rng(0)
    weight, start, inputs = rng.normal(size=(5, 5)), rng.normal(size=5), rng.normal(size=(7, 5))
    states = activity(weight, start, steps=7, inputs=inputs)
    layer = torch.nn.RNN(5, 5, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(torch.tensor(weight))
        layer.weight_ih_l0.copy_(torch.eye(5))
        theirs, _ = layer(torch.tensor(inputs), torch.tensor(np.tanh(start))[None])
    assert states.shape == (8, 5)
    np.testing.assert_allclose(np.tanh(states[1:]), theirs.numpy(), atol=1e-13)


def test_small_steps_follow_the_differential_equation() -> None:
    """Oracle: scipy.integrate.solve_ivp; the error falls with the step."""
    rng = np.random.default_rng(1)
    weight, start = 2 * ginibre(20, rng=rng), rng.normal(size=20)
    known = solve_ivp(lambda t, x: -x + weight @ np.tanh(x), (0, 3), start, rtol=1e-10, atol=1e-12)
    errors = [
        np.abs(activity(weight, start, steps=round(3 / h), step=h)[-1] - known.y[:, -1]).max()
        for h in (0.02, 0.01)
    ]
    assert errors[1] < 0.1
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.2)


def test_runs_side_by_side() -> None:
    """Oracle: one run at a time; float32 stays; no steps are allowed."""
    rng = np.random.default_rng(2)
    weight, starts, inputs = (
        rng.normal(size=(4, 4)),
        rng.normal(size=(3, 4)),
        rng.normal(size=(6, 4)),
    )
    together = activity(weight, starts, steps=6, step=0.3, inputs=inputs)
    for k, start in enumerate(starts):
        alone = activity(weight, start, steps=6, step=0.3, inputs=inputs)
        np.testing.assert_allclose(together[:, k], alone, atol=1e-14)
    half = activity(weight.astype(np.float32), starts.astype(np.float32), steps=6)
    assert half.dtype == np.float32
    np.testing.assert_array_equal(activity(weight, starts, steps=0), starts[None])


def logistic(x: Any, tangents: Any) -> tuple[Any, Any]:
    return 4 * x * (1 - x), (4 - 8 * x)[:, None] * tangents


def henon(x: Any, tangents: Any) -> tuple[Any, Any]:
    derivative = np.array([[-2.8 * x[0], 1.0], [0.3, 0.0]])
    return np.array([1 - 1.4 * x[0] ** 2 + x[1], 0.3 * x[0]]), derivative @ tangents


def test_exponents_of_known_maps() -> None:
    """Oracle: log 2 for the logistic map; 0.4192 and the sum log 0.3 for Henon's."""
    found = lyapunov_exponents(logistic, [0.3], steps=20_000, rng=0)
    assert found == pytest.approx([math.log(2)], abs=0.01)
    found = lyapunov_exponents(henon, [0.1, 0.1], steps=20_000, warm_up=100, count=2, rng=0)
    assert found[0] == pytest.approx(0.4192, abs=0.01)
    assert found.sum() == pytest.approx(math.log(0.3), abs=1e-10)


def test_exponents_of_a_linear_map() -> None:
    """Oracle: logarithms of the sizes of the eigenvalues; a zero gives minus infinity."""
    rng = np.random.default_rng(0)
    values = np.array([2.0, -1.1, 0.6, 0.2])
    basis = rng.normal(size=(4, 4))
    matrix = basis @ np.diag(values) @ np.linalg.inv(basis)
    found = lyapunov_exponents(
        lambda x, v: (x, matrix @ v), np.zeros(4), steps=500, warm_up=200, count=4, rng=1
    )
    np.testing.assert_allclose(found, np.log(np.abs(values)), atol=1e-8)
    nothing = lyapunov_exponents(lambda x, v: (x, 0 * v), np.zeros(2), steps=3, rng=1)
    assert nothing[0] == -math.inf


def test_the_warm_up_does_not_count() -> None:
    """Oracle: a map that grows tenfold in its first three steps only."""

    def early(x: Any, tangents: Any) -> tuple[Any, Any]:
        return x + 1, (10.0 if x[0] < 3 else 0.5) * tangents

    found = lyapunov_exponents(early, [0.0], steps=4, warm_up=3, rng=0)
    assert found == pytest.approx([math.log(0.5)])
    found = lyapunov_exponents(early, [0.0], steps=6, rng=0)
    assert found == pytest.approx([(3 * math.log(10) + 3 * math.log(0.5)) / 6])


@pytest.mark.parametrize("step", [1.0, 0.2])
def test_exponents_of_quiet_networks(step: float) -> None:
    """Oracle: when activity dies out, the eigenvalues of the linear step."""
    weight = 0.7 * ginibre(40, rng=3)
    known = np.log(np.abs(1 - step + step * np.linalg.eigvals(weight))).max() / step
    found = largest_lyapunov(weight, step=step, steps=3000, warm_up=300, rng=4)
    assert found == pytest.approx(known, abs=5e-3)


def test_exponent_of_a_single_unit() -> None:
    """Oracle: the slope at the fixed point x = w tanh x, and of the first step at any start."""
    point = float(brentq(lambda x: x - 3 * math.tanh(x), 1, 4))
    known = math.log(3 / math.cosh(point) ** 2)
    assert largest_lyapunov([[3.0]], steps=50, rng=0) == pytest.approx(known, abs=1e-9)


@pytest.mark.parametrize(("step", "noise"), [(1.0, 0.0), (0.3, 0.0), (1.0, 0.8)])
def test_exponents_are_growth_rates_of_small_differences(step: float, noise: float) -> None:
    """Oracle: finite differences between two runs of `activity` from neighbouring states."""
    weight, steps = 2.5 * ginibre(30, rng=0), 12
    rng = np.random.default_rng(7)
    start, vector = rng.standard_normal(30), rng.standard_normal(30)
    inputs = noise * rng.standard_normal((steps, 30))
    vector /= np.linalg.norm(vector)
    starts = np.stack([start - 1e-6 * vector, start + 1e-6 * vector])
    runs = activity(weight, starts, steps=steps, step=step, inputs=inputs)
    growth = np.linalg.norm(runs[-1, 1] - runs[-1, 0]) / 2e-6
    found = largest_lyapunov(weight, steps=steps, warm_up=0, step=step, noise=noise, rng=7)
    assert found == pytest.approx(math.log(growth) / (steps * step), abs=1e-7)


def expected(function: Any, variance: float) -> float:
    def integrand(z: float) -> float:
        return float(function(math.sqrt(variance) * z)) * math.exp(-z * z / 2)

    return float(quad(integrand, -12, 12, points=[0.0], limit=500)[0]) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize("noise", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("gain", [0.3, 1.0, 1.001, 1.5, 4.0, 60.0])
def test_the_mean_field_solves_its_equation(gain: float, noise: float) -> None:
    """Oracle: scipy.integrate.quad."""
    q = mean_field_variance(gain, noise=noise)
    right = gain**2 * expected(lambda x: math.tanh(x) ** 2, q) + noise**2
    assert q == pytest.approx(right, rel=1e-9, abs=1e-12)
    assert (q > 0) == (gain > 1 or noise > 0)
    slopes = expected(lambda x: math.cosh(x) ** -4 if abs(x) < 300 else 0.0, q)
    known = math.log(gain**2 * slopes) / 2
    assert mean_field_exponent(gain, noise=noise) == pytest.approx(known, abs=1e-8)


def test_the_mean_field_near_the_transition_and_far_from_it() -> None:
    """Oracle: series in the distance from gain 1, and the limit in which tanh is a sign."""
    for distance in (1e-12, 1e-9, 4.9e-7, 5.1e-7, 1e-5, 1e-3):
        room = 1 - 1 / (1 + distance) ** 2
        q = mean_field_variance(1 + distance)
        # The next term of the series is of the order of the square of the distance.
        rel = max(1e-8, 20 * distance**2)
        assert q / (room / 2 * (1 + 17 * room / 12)) == pytest.approx(1, abs=rel)
    assert mean_field_exponent(1.001) == pytest.approx(2 / 3 * 1e-6, rel=0.01)
    assert mean_field_exponent(1.0) == pytest.approx(0.0, abs=1e-15)
    limit = math.log(4 * 1e4 / (3 * math.sqrt(2 * math.pi))) / 2
    assert mean_field_exponent(1e4) == pytest.approx(limit, abs=1e-3)
    assert mean_field_variance(1e4) == pytest.approx(1e8, rel=1e-3)


@pytest.mark.parametrize(("gain", "noise"), [(2.0, 0.0), (3.0, 0.0), (2.0, 1.0), (1.5, 1.5)])
def test_the_mean_field_is_that_of_large_networks(gain: float, noise: float) -> None:
    """Oracle: simulations of 500 units; they stay below the limit by terms of order 1/n."""
    variances, exponents = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        weight = gain * ginibre(500, rng=rng)
        inputs = noise * rng.standard_normal((400, 500))
        states = activity(weight, rng.standard_normal(500), steps=400, inputs=inputs)
        variances.append(states[100:].var())
        exponents.append(
            largest_lyapunov(weight, steps=400, warm_up=100, noise=noise, rng=100 + seed)
        )
    q = mean_field_variance(gain, noise=noise)
    assert np.mean(variances) == pytest.approx(q, rel=0.03)
    assert np.mean(exponents) == pytest.approx(mean_field_exponent(gain, noise=noise), abs=0.015)


def test_input_suppresses_chaos() -> None:
    """Invariant (Molgedey, Schuchhardt & Schuster): the exponent falls with the noise."""
    falling = [mean_field_exponent(1.5, noise=noise) for noise in (0.0, 0.3, 1.0, 3.0)]
    assert all(first > second for first, second in itertools.pairwise(falling))
    assert falling[0] > 0 > falling[-1]


def test_columns_have_one_sign_and_the_right_moments() -> None:
    """Oracle: the moments that the docstring states, within five standard errors."""
    n = 400
    j = excitatory_inhibitory(
        n, fraction=0.75, spreads=(0.5, 2.0), mean=1.5, balanced=False, rng=0
    ) * math.sqrt(n)
    excite, inhibit = j[:, :300], j[:, 300:]
    assert (excite > 0).all()
    assert (inhibit < 0).all()
    assert excite.mean() == pytest.approx(1.5, abs=5 * 0.5 / math.sqrt(excite.size))
    assert inhibit.mean() == pytest.approx(-4.5, abs=5 * 2.0 / math.sqrt(inhibit.size))
    assert excite.std() == pytest.approx(0.5, rel=0.02)
    assert inhibit.std() == pytest.approx(2.0, rel=0.03)
    balanced = excitatory_inhibitory(n, fraction=0.75, spreads=(0.5, 2.0), mean=1.5, rng=0)
    np.testing.assert_allclose(balanced.sum(axis=1), 0, atol=1e-12)
    np.testing.assert_array_equal(np.sign(balanced), np.sign(j))
    np.testing.assert_array_equal(balanced[:, :300] * math.sqrt(n), excite)


@pytest.mark.parametrize(("fraction", "exciting"), [(0.0, 1), (0.5, 3), (1.0, 5)])
def test_one_column_of_each_kind_remains(fraction: float, exciting: int) -> None:
    """Oracle: the count of signs, at the ends of the range too."""
    j = excitatory_inhibitory(6, fraction=fraction, rng=0)
    assert (j[0] > 0).sum() == exciting


def test_balance_removes_the_outliers() -> None:
    """Oracle: the edge of the disc; and that a mean of each column changes no eigenvalue."""
    spreads, edge = (0.5, 2.0), math.sqrt(0.8 * 0.25 + 0.2 * 4)
    loose, tied = (
        np.linalg.eigvals(excitatory_inhibitory(400, spreads=spreads, mean=8.0, balanced=b, rng=1))
        for b in (False, True)
    )
    assert np.abs(loose).max() > 2 * edge
    assert np.abs(tied).max() < 1.1 * edge
    # Rows that sum to zero: whatever is added to whole columns, if it sums to zero too, is unseen.
    j = excitatory_inhibitory(60, spreads=spreads, rng=2)
    shift = np.random.default_rng(3).normal(size=60)
    again = np.linalg.eigvals(j + (shift - shift.mean()))
    distance = np.abs(np.linalg.eigvals(j)[:, None] - again).min(axis=1)
    assert distance.max() < 1e-6


@pytest.mark.parametrize(("fraction", "spreads"), [(0.8, (0.5, 2.0)), (0.5, (1.5, 0.1))])
def test_the_disc_of_two_kinds(fraction: float, spreads: tuple[float, float]) -> None:
    """Oracle: eigenvalues of balanced weights."""
    j = excitatory_inhibitory(800, fraction=fraction, spreads=spreads, rng=5)
    radii = np.sort(np.abs(np.linalg.eigvals(j)))
    shares = excitatory_inhibitory_cdf(radii, fraction=fraction, spreads=spreads)
    assert np.abs(shares - (np.arange(800) + 0.5) / 800).max() < 0.035


@settings(max_examples=40)
@given(st.floats(0.05, 0.95), st.floats(0.1, 5.0), st.floats(0.1, 5.0), st.floats(0.0, 1.3))
def test_the_share_solves_its_equations(f: float, a: float, b: float, times: float) -> None:
    """Oracle: the parameter s by bisection."""
    weights, squares = np.array([f, 1 - f]), np.array([a, b]) ** 2
    edge = math.sqrt(float(weights @ squares))
    got = excitatory_inhibitory_cdf(times * edge, fraction=f, spreads=(a, b))

    def excess(log_s: float) -> float:
        s = math.exp(log_s)
        return float(weights @ (squares / (1 + squares * s))) - (times * edge) ** 2

    if times >= 1:
        assert got == pytest.approx(1.0)
    elif times < 1e-3:
        assert got == pytest.approx(0.0, abs=1e-4)
    elif excess(-40) > 0:
        s = math.exp(brentq(excess, -40, 40, xtol=1e-13))
        assert got == pytest.approx(float(weights @ (1 / (1 + squares * s))), abs=1e-8)


def test_equal_spreads_fill_the_disc_evenly() -> None:
    """Oracle: the circular law; the share is 0 at 0 and of the shape of the argument."""
    radius = np.linspace(0, 1.5, 12).reshape(3, 4)
    got = excitatory_inhibitory_cdf(2 * radius, fraction=0.3, spreads=(2.0, 2.0))
    np.testing.assert_allclose(got, CircularLaw().cdf(radius), atol=1e-12)
    assert got.shape == (3, 4)
    assert excitatory_inhibitory_cdf([]).shape == (0,)


SQUARE = np.eye(3)
CALLS: list[tuple[Any, type[Exception], str]] = [
    (lambda: activity(np.ones((2, 3)), [0.0, 0.0], steps=1), ValueError, "weight must be square"),
    (lambda: activity(np.ones((0, 0)), [], steps=1), ValueError, "weight must be square and not"),
    (lambda: activity(SQUARE, np.zeros(4), steps=1), ValueError, r"start must have shape \(3,\)"),
    (lambda: activity(SQUARE, np.zeros((1, 1, 3)), steps=1), ValueError, "or .runs, 3."),
    (lambda: activity(SQUARE, np.zeros(3), steps=-1), ValueError, "steps must be at least 0"),
    (lambda: activity(SQUARE, np.zeros(3), steps=1, step=0.0), ValueError, "step must lie in"),
    (lambda: activity(SQUARE, np.zeros(3), steps=1, step=1.5), ValueError, "step must lie in"),
    (
        lambda: activity(SQUARE, np.zeros(3), steps=2, inputs=np.zeros((1, 3))),
        ValueError,
        r"inputs must have shape \(2, 3\)",
    ),
    (lambda: activity(SQUARE * np.nan, np.zeros(3), steps=1), ValueError, "weight must be finite"),
    (
        lambda: lyapunov_exponents(logistic, [0.1], steps=1, count=2, rng=0),
        ValueError,
        "count must be at most the 1 entries",
    ),
    (lambda: lyapunov_exponents(logistic, [0.1], steps=0, rng=0), ValueError, "steps must be"),
    (
        lambda: lyapunov_exponents(lambda x, v: (x / 0.0 if x else x, v), [0.0], steps=1, rng=-1),
        ValueError,
        "rng must be",
    ),
    (
        lambda: lyapunov_exponents(lambda x, v: (x + np.inf, v), [0.1], steps=5, rng=0),
        ValueError,
        "not finite after step 1",
    ),
    (
        lambda: lyapunov_exponents(lambda x, v: (x, v * np.nan), [0.1], steps=5, rng=0),
        ValueError,
        "not finite after step 1",
    ),
    (lambda: largest_lyapunov(SQUARE, noise=-1.0, rng=0), ValueError, "noise must lie in"),
    (lambda: largest_lyapunov(SQUARE[:2], rng=0), ValueError, "weight must be square"),
    (lambda: mean_field_variance(0.0), ValueError, "gain must lie in"),
    (lambda: mean_field_variance(1.0, noise=-0.1), ValueError, "noise must lie in"),
    (lambda: mean_field_exponent(2e4), ValueError, "gain must lie in"),
    (lambda: excitatory_inhibitory(1, rng=0), ValueError, "n must be at least 2"),
    (lambda: excitatory_inhibitory(9, fraction=1.1, rng=0), ValueError, "fraction must lie in"),
    (lambda: excitatory_inhibitory(9, mean=0.0, rng=0), ValueError, "mean must lie in"),
    (
        lambda: excitatory_inhibitory(9, spreads=(1.0, 0.0), rng=0),
        ValueError,
        r"spreads\[1\] must lie in",
    ),
    (
        lambda: excitatory_inhibitory(9, spreads=(1.0,), rng=0),  # type: ignore[arg-type]
        ValueError,
        "spreads must be two numbers",
    ),
    (lambda: excitatory_inhibitory_cdf([-0.1]), ValueError, "radius must not be negative"),
]


@pytest.mark.parametrize(("call", "error", "words"), CALLS)
def test_errors_say_what_is_wrong(call: Any, error: type[Exception], words: str) -> None:
    """Oracle: the message that the docstring promises."""
    with pytest.raises(error, match=words):
        call()
