"""Teacher, notebook and student: closed forms against the same things done step by step."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import hypergeom

from companion.memory import (
    Notebook,
    Teacher,
    best_stopping_time,
    consolidate,
    consolidation_threshold,
    generalisation_error,
    mode_stopping_time,
    ridge_error,
    training_error,
)

LOADS = (0.3, 0.5, 1.0, 1.6, 3.0)


def problem(load: float, snr: float, *, units: int = 400, seed: int = 0):
    rng = np.random.default_rng(seed)
    teacher = Teacher(units, snr, rng=rng)
    return teacher, *teacher.examples(round(load * units), rng=rng)


# --- The teacher ----------------------------------------------------------------------------------


def test_a_teacher_splits_the_variance_by_the_ratio():
    """Oracle: the definition of the ratio, and sample variances within five standard errors."""
    teacher = Teacher(4000, 3.0, variance=2.0, rng=0)
    assert teacher.noise_variance == pytest.approx(0.5)
    assert teacher.weight.var() == pytest.approx(1.5, rel=5 * math.sqrt(2 / 4000))
    x, y = teacher.examples(3000, rng=1)
    assert x.var() * 4000 == pytest.approx(1.0, rel=0.01)
    rule = x @ teacher.weight
    assert (y - rule).var() == pytest.approx(0.5, rel=5 * math.sqrt(2 / 3000))
    assert rule.var() == pytest.approx(1.5, rel=0.15)


def test_without_noise_the_examples_follow_the_rule():
    """Oracle: the rule itself."""
    teacher = Teacher(7, math.inf, rng=0)
    x, y = teacher.examples(5, rng=1)
    np.testing.assert_allclose(y, x @ teacher.weight)
    assert teacher.noise_variance == 0.0


def test_the_error_of_a_student_is_that_on_fresh_examples():
    """Oracle: the mean over fresh examples, within five standard errors."""
    teacher = Teacher(20, 2.0, rng=0)
    students = np.random.default_rng(1).normal(size=(2, 3, 20))
    x, y = teacher.examples(40_000, rng=2)
    squares = (np.einsum("pn,abn->pab", x, students) - y[:, None, None]) ** 2
    error = squares.std(axis=0) / math.sqrt(len(x))
    assert (np.abs(squares.mean(axis=0) - teacher.error(students)) < 5 * error).all()


def test_a_seed_makes_the_same_teacher_and_examples():
    """Oracle: NumPy's generators are deterministic."""
    first, second = Teacher(5, 1.0, rng=3), Teacher(5, 1.0, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(first.weight, second.weight)
    np.testing.assert_array_equal(first.examples(4, rng=0)[1], second.examples(4, rng=0)[1])


# --- The student ----------------------------------------------------------------------------------


@pytest.mark.parametrize("load", LOADS)
def test_many_small_steps_lead_to_the_weights_of_the_flow(load):
    """Oracle: plain gradient descent on half the summed squared error."""
    _, x, y = problem(load, 2.0, units=30)
    w, step, marks = np.zeros(30), 1e-4, {1000: 0.1, 10_000: 1.0}
    for k in range(1, 10_001):
        w -= step * x.T @ (x @ w - y)
        if k in marks:
            np.testing.assert_allclose(w, consolidate(x, y, marks[k]), atol=2e-3)


@pytest.mark.parametrize("load", LOADS)
def test_at_the_end_of_time_stands_the_pseudo_inverse(load):
    """Oracle: NumPy's pseudo-inverse."""
    _, x, y = problem(load, 2.0, units=40)
    np.testing.assert_allclose(
        consolidate(x, y, math.inf), np.linalg.pinv(x) @ y, rtol=1e-6, atol=1e-8
    )


def test_the_flow_solves_its_differential_equation():
    """Oracle: the derivative by central differences equals the negative gradient."""
    _, x, y = problem(0.5, 1.0, units=20)
    before, w, after = consolidate(x, y, [0.7 - 1e-5, 0.7, 0.7 + 1e-5])
    np.testing.assert_allclose((after - before) / 2e-5, x.T @ (y - x @ w), atol=1e-7)


def test_repeated_examples_and_zeros_leave_no_nan():
    """Oracle: the null space of the examples is never entered."""
    x = np.zeros((4, 3))
    x[:, 0] = 1.0
    w = consolidate(x, [1.0, 2.0, 3.0, 4.0], [0.0, 1.0, math.inf])
    np.testing.assert_allclose(w[:, 0], [0.0, 2.5 * (1 - math.exp(-4.0)), 2.5])
    np.testing.assert_array_equal(w[:, 1:], 0.0)
    np.testing.assert_array_equal(consolidate(np.zeros((2, 3)), [1.0, 2.0], 5.0), np.zeros(3))


def test_times_keep_their_shape_and_float32_stays():
    """Oracle: NumPy's rules of shapes and types."""
    _, x, y = problem(0.5, 1.0, units=10)
    assert consolidate(x, y, np.ones((2, 3))).shape == (2, 3, 10)
    assert consolidate(x, y, []).shape == (0, 10)
    small = consolidate(x.astype(np.float32), y.astype(np.float32), [1.0])
    assert small.dtype == np.float32
    np.testing.assert_allclose(small, consolidate(x, y, [1.0]), atol=1e-5)


# --- Closed forms ---------------------------------------------------------------------------------


def by_modes(x, snr, t):
    """Return both errors from the eigenvalues of one matrix, averaged over teacher and noise."""
    signal, noise = snr / (1 + snr), 1 / (1 + snr)
    squares = np.linalg.svd(x, compute_uv=False) ** 2
    of_examples, of_weights = (
        np.concatenate([squares, np.zeros(n - len(squares))]) for n in x.shape
    )
    new = noise
    for value in of_weights:
        new += signal * math.exp(-2 * value * t) / len(of_weights)
        if value > 0:
            new += noise * (1 - math.exp(-value * t)) ** 2 / value / len(of_weights)
    old = np.mean(np.exp(-2 * of_examples * t) * (signal * of_examples + noise))
    return new, old


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("t", [0.0, 0.4, 3.0, 20.0])
def test_the_law_gives_the_error_of_a_large_matrix(load, t):
    """Oracle: the sum over the eigenvalues of one drawn matrix."""
    _, x, _ = problem(load, 1.0, units=round(400 / max(load, 1.0)))
    new, old = by_modes(x, 0.8, t)
    assert generalisation_error(t, load, 0.8) == pytest.approx(new, rel=0.02, abs=0.005)
    assert training_error(t, load, 0.8) == pytest.approx(old, rel=0.02, abs=0.005)


@pytest.mark.parametrize("load", [0.5, 2.0])
def test_the_mean_over_teachers_and_noise_is_the_sum_over_modes(load):
    """Oracle: 400 teachers with the same inputs, within five standard errors."""
    _, x, _ = problem(load, 1.0, units=24)
    noise, rng = math.sqrt(1 / 1.8), np.random.default_rng(5)
    news, olds = [], []
    for _ in range(400):
        teacher = Teacher(24, 0.8, rng=rng)
        y = x @ teacher.weight + rng.normal(scale=noise, size=len(x))
        w = consolidate(x, y, 1.5)
        news.append(teacher.error(w))
        olds.append(np.mean((x @ w - y) ** 2))
    for values, expected in zip((news, olds), by_modes(x, 0.8, 1.5), strict=True):
        assert abs(np.mean(values) - expected) < 5 * np.std(values) / math.sqrt(400)


@pytest.mark.parametrize("load", [0.4, 2.5])
def test_quadrature_over_the_density(load):
    """Oracle: SciPy's adaptive quadrature of the Marchenko-Pastur density, written out."""
    low, high = (math.sqrt(load) - 1) ** 2, (math.sqrt(load) + 1) ** 2

    def density(v):
        return math.sqrt((high - v) * (v - low)) / (2 * math.pi * v)

    def integrand(v):
        return density(v) * (math.exp(-4 * v) * 2 + (1 - math.exp(-2 * v)) ** 2 / v) / 3

    expected = 1 / 3 + quad(integrand, low, high, epsabs=1e-12)[0] + 2 / 3 * max(0, 1 - load)
    assert generalisation_error(2.0, load, 2.0) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("load", [0.3, 0.7, 1.5, 4.0])
@pytest.mark.parametrize("snr", [0.3, 3.0, math.inf])
def test_infinite_time_is_the_limit_of_long_times(load, snr):
    """Oracle: the quadrature at a long time."""
    for error in (generalisation_error, training_error):
        assert error(math.inf, load, snr) == pytest.approx(error(5e3, load, snr), abs=1e-6)


def test_at_load_one_the_peak_has_no_end():
    """Oracle: the mean of 1 / eigenvalue diverges; without noise there is nothing to diverge."""
    assert generalisation_error(math.inf, 1.0, 10.0) == math.inf
    assert generalisation_error(math.inf, 1.0, math.inf) == 0.0
    errors = generalisation_error([1e2, 1e3, 1e4, 1e5], 1.0, 1.0)
    # The density near zero goes as one over the root, so the error goes as the root of time.
    np.testing.assert_allclose(errors[1:] / errors[:-1], math.sqrt(10), rtol=0.06)


@pytest.mark.parametrize("error", [generalisation_error, training_error])
def test_before_consolidation_the_error_is_the_variance(error):
    """Oracle: a student of zeros answers zero."""
    for load in LOADS:
        assert error(0.0, load, 2.0, variance=3.0) == pytest.approx(3.0)
    assert error(np.zeros((2, 0)), 1.0, 1.0).shape == (2, 0)


def test_errors_scale_with_the_variance():
    """Oracle: the model is linear."""
    for error in (generalisation_error, training_error):
        np.testing.assert_allclose(
            error([0.5, 2.0], 0.8, 1.3, variance=4.0), 4 * error([0.5, 2.0], 0.8, 1.3)
        )
    assert ridge_error(0.8, 1.3, variance=4.0) == pytest.approx(4 * ridge_error(0.8, 1.3))


@pytest.mark.parametrize("load", [0.2, 0.5, 0.9, 1.1, 2.0, 5.0])
def test_at_the_threshold_full_consolidation_and_none_are_equal(load):
    """Oracle: the two errors themselves, on both sides of the threshold."""
    edge = float(consolidation_threshold(load))
    assert generalisation_error(math.inf, load, edge) == pytest.approx(1.0)
    assert generalisation_error(math.inf, load, 0.9 * edge) > 1.0
    assert generalisation_error(math.inf, load, 1.1 * edge) < 1.0
    assert consolidation_threshold(1.0) == math.inf


# --- When to stop ---------------------------------------------------------------------------------


@pytest.mark.parametrize("snr", [0.1, 1.0, 30.0])
def test_one_mode_stops_best_where_a_search_says(snr):
    """Oracle: the smallest error of the mode on a fine grid."""
    for value in (0.05, 0.7, 3.0):
        best = float(mode_stopping_time(value, snr))
        t = np.linspace(0.5, 1.5, 1001) * best
        error = snr * np.exp(-2 * value * t) + (1 - np.exp(-value * t)) ** 2 / value
        assert t[error.argmin()] == pytest.approx(best, rel=2e-3)
    assert mode_stopping_time(2.0, math.inf) == math.inf


@settings(max_examples=20, deadline=None)
@given(
    st.floats(0.05, 20.0).filter(lambda load: abs(load - 1) > 1e-3),
    st.floats(0.01, 100.0),
)
def test_the_best_time_for_all_modes_lies_between_their_best_times(load, snr):
    """Oracle: the bracket that the docstring states, and a coarse search outside it."""
    best = best_stopping_time(load, snr)
    earliest = float(mode_stopping_time((1 + math.sqrt(load)) ** 2, snr))
    assert earliest <= best * (1 + 1e-6)
    assert best <= snr * (1 + 1e-6)
    lowest = float(generalisation_error(best, load, snr))
    grid = np.geomspace(earliest / 10, 10 * snr, 25)
    assert (generalisation_error(grid, load, snr) >= lowest - 1e-9).all()
    assert ridge_error(load, snr) <= lowest + 1e-9


def test_the_best_time_is_stationary():
    """Oracle: the derivative by central differences is zero."""
    for load, snr in ((0.5, 1.0), (1.0, 8.0), (3.0, 0.2)):
        best = best_stopping_time(load, snr)
        low, high = generalisation_error([0.999 * best, 1.001 * best], load, snr)
        assert (high - low) / (0.002 * best) == pytest.approx(0.0, abs=1e-5)
    assert best_stopping_time(0.5, math.inf) == math.inf


@pytest.mark.parametrize("load", [0.5, 1.0, 2.0])
def test_the_error_of_ridge_regression(load):
    """Oracle: ridge regressions of a large student, solved by NumPy."""
    teacher, x, y = problem(load, 2.0, units=900)
    w = np.linalg.solve(x.T @ x + np.eye(900) / 2.0, x.T @ y)
    assert ridge_error(load, 2.0) == pytest.approx(float(teacher.error(w)), rel=0.05)


def test_ridge_regression_without_noise_misses_what_was_not_shown():
    """Oracle: directions without examples keep the variance of the rule."""
    assert ridge_error(0.25, math.inf) == pytest.approx(0.75)
    assert ridge_error(3.0, math.inf) == 0.0


# --- The notebook ---------------------------------------------------------------------------------


def stored(examples=60, units=1200, active=40, features=5, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(examples, features))
    return values, Notebook(values, units=units, active=active, rng=rng)


def test_each_example_has_an_index_of_its_own_with_so_many_active_units():
    """Oracle: counting."""
    _, notebook = stored()
    assert set(np.unique(notebook.index)) == {0.0, 1.0}
    np.testing.assert_array_equal(notebook.index.sum(axis=1), 40)
    assert len(np.unique(notebook.index, axis=0)) == 60


def test_the_weights_are_the_sum_over_examples():
    """Oracle: the Hebbian sums, by a loop."""
    values, notebook = stored(examples=7, units=30, active=6)
    share = 0.2
    recurrent, readout = np.zeros((30, 30)), np.zeros((30, 5))
    for index, value in zip(notebook.index, values, strict=True):
        recurrent += np.outer(index - share, index - share) / (30 * share * (1 - share))
        readout += np.outer(index - share, value) / (30 * share * (1 - share))
    np.fill_diagonal(recurrent, 0.0)
    np.testing.assert_allclose(notebook.weight, recurrent, atol=1e-12)
    np.testing.assert_allclose(notebook.readout, readout, atol=1e-12)


def test_one_update_keeps_the_most_driven_units():
    """Oracle: the product with the whole weight matrix, sorted."""
    _, notebook = stored(examples=9, units=50, active=5)
    start = np.random.default_rng(3).permuted(np.tile(np.arange(50) < 5, (20, 1)), axis=1) * 1.0
    after = notebook.settle(start, steps=1).states
    drive = start @ notebook.weight
    for row, new in zip(drive, after, strict=True):
        # Among equal inputs either may win, so the inputs are compared and not the units.
        np.testing.assert_allclose(np.sort(row[new == 1]), np.sort(row)[-5:])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("units", "active", "examples"), [(15, 5, 6), (150, 50, 20)])
def test_among_equal_inputs_activity_and_place_decide(dtype, units, active, examples):
    """Oracle: whole numbers, sorted by input, then activity, then place. Few units have many equal
    inputs, and without the rule rounding would decide; many units are close in place, and without
    whole grains rounding would decide still."""
    notebook = Notebook(np.zeros((examples, 1), dtype), units=units, active=active, rng=0)
    centred = units * notebook.index.astype(np.int64) - active
    start = np.random.default_rng(1).permuted(np.tile(np.arange(units) < active, (300, 1)), axis=1)
    after = notebook.settle(start.astype(dtype), steps=1).states
    ties, by_activity = 0, 0
    for state, new in zip(start.astype(np.int64), after, strict=True):
        drive = centred.T @ (centred @ state) - state * (centred**2).sum(axis=0)
        order = np.lexsort((np.arange(units), state, drive))[::-1]
        last, next_one = order[active - 1 : active + 1]
        # An input on the edge of two grains may fall into either.
        grains = drive[last] / units**2 / (math.sqrt(np.finfo(dtype).eps) / 4)
        if abs(grains % 1 - 0.5) < 0.15:
            continue
        ties += drive[last] == drive[next_one]
        by_activity += drive[last] == drive[next_one] and state[last] != state[next_one]
        assert set(np.flatnonzero(new)) == set(order[:active])
    assert ties > 10
    assert by_activity > 0 or units > 15


def test_a_state_settles_alone_as_it_does_among_others():
    """Oracle: itself. Products of one row and of many round differently, which must not matter."""
    notebook = Notebook(np.zeros((4, 1)), units=400, active=20, rng=0)
    noise = np.random.default_rng(0).permuted(np.tile(np.arange(400) < 20, (60, 1)), axis=1) * 1.0
    together = notebook.settle(noise)
    alone = [notebook.settle(row[None]).match[0] for row in noise]
    np.testing.assert_array_equal(together.match, alone)
    assert -1 in alone


def test_indices_stay_and_are_found_from_a_part():
    """Oracle: the pattern completion that the network is for."""
    _, notebook = stored()
    found = notebook.settle(notebook.index)
    np.testing.assert_array_equal(found.states, notebook.index)
    assert found.settled.all()
    half = notebook.index * (np.arange(1200) % 2)
    np.testing.assert_array_equal(notebook.settle(half).match, np.arange(60))


def test_what_is_read_errs_by_the_share_of_the_other_examples():
    """Oracle: the variance of the overlap of two random indices, SciPy's hypergeometric law,
    which is 1 / (M - 1) in units of the index's own."""
    units, active = 1200, 40
    overlap = hypergeom(units, active, active).var() / (active * (1 - active / units)) ** 2
    assert overlap == pytest.approx(1 / (units - 1))
    errors = []
    for seed in range(5):
        values, notebook = stored(seed=seed)
        errors.append(np.mean((notebook.read(notebook.index) - values) ** 2))
    assert np.mean(errors) == pytest.approx(59 / 1199, rel=0.1)


def test_an_example_is_completed_from_its_inputs():
    """Oracle: the stored example, up to the share of the others."""
    teacher = Teacher(50, 1.0, rng=0)
    x, y = teacher.examples(40, rng=1)
    notebook = Notebook(np.column_stack([x, y]), units=2000, active=100, rng=2)
    answer = notebook.recall(x, slice(0, 50))
    assert answer.shape == (40, 51)
    assert np.mean((answer[:, -1] - y) ** 2) < 2 * y.var() * 39 / 1999
    same = notebook.recall(x, list(range(50)))
    np.testing.assert_array_equal(same, answer)


def test_reactivation_from_noise_visits_every_example():
    """Oracle: stored indices are attractors; a state that matches none is marked -1."""
    _, notebook = stored(units=800, examples=20)
    dreams = notebook.reactivate(400, rng=0)
    assert set(dreams.match) >= set(range(20))
    for state, match in zip(dreams.states[:50], dreams.match[:50], strict=True):
        agree = state @ notebook.index.T
        assert (match == -1) == (agree.max() < 37)  # 0.9 of 40, after the mean is taken off
        assert match in (-1, agree.argmax())


def test_too_many_examples_leave_no_index_stable():
    """Oracle: a network overloaded far beyond its units recalls nothing."""
    _, notebook = stored(examples=900, units=60, active=6)
    assert (notebook.settle(notebook.index).match == np.arange(900)).mean() < 0.1


def test_a_notebook_of_float32_stays_so():
    """Oracle: NumPy's rules of types."""
    notebook = Notebook(np.ones((3, 2), np.float32), units=50, active=5, rng=0)
    dreams = notebook.reactivate(4, rng=0)
    assert notebook.readout.dtype == notebook.weight.dtype == np.float32
    assert dreams.states.dtype == notebook.read(dreams.states).dtype == np.float32


# --- Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Teacher(0, 1.0, rng=0), "units must be at least 1"),
        (lambda: Teacher(3, 0.0, rng=0), "snr must lie in"),
        (lambda: Teacher(3, -math.inf, rng=0), "snr must lie in"),
        (lambda: Teacher(3, 1.0, variance=0.0, rng=0), "variance must lie in"),
        (lambda: Teacher(3, 1.0, rng=0).examples(0, rng=0), "n must be at least 1"),
        (lambda: Teacher(3, 1.0, rng=0).error([1.0, 2.0]), r"weight must have shape \(..., 3\)"),
        (lambda: Teacher(3, 1.0, rng=0).error(1.0), "weight must have at least 1 axes"),
        (lambda: consolidate([1.0], [1.0], 0.0), "x must have 2 axes"),
        (lambda: consolidate([[1.0]], [1.0, 2.0], 0.0), r"y must have shape \(1,\)"),
        (lambda: consolidate([[1.0]], [1.0], -1.0), "times must not be negative"),
        (lambda: consolidate([[math.nan]], [1.0], 1.0), "x must be finite"),
        (lambda: generalisation_error(math.nan, 1.0, 1.0), "time must not be negative or NaN"),
        (lambda: generalisation_error(1.0, 0.0, 1.0), "load must lie in"),
        (lambda: training_error(1.0, 1.0, math.nan), "snr must lie in"),
        (lambda: consolidation_threshold([1.0, 0.0]), "load must be positive"),
        (lambda: mode_stopping_time([0.0], 1.0), "eigenvalue must be positive"),
        (lambda: mode_stopping_time([1.0], 0.0), "snr must lie in"),
        (lambda: best_stopping_time(1.0, 0.0), "snr must lie in"),
        (lambda: best_stopping_time(-1.0, 1.0), "load must lie in"),
        (lambda: ridge_error(0.0, 1.0), "load must lie in"),
        (lambda: Notebook(np.zeros((0, 2)), units=5, active=1, rng=0), "values must hold"),
        (lambda: Notebook([[1.0]], units=5, active=5, rng=0), "active must be below units = 5"),
        (lambda: Notebook([[1.0]], units=1, active=1, rng=0), "units must be at least 2"),
        (lambda: stored()[1].settle(np.zeros((1, 3))), r"states must have shape \(any, 1200\)"),
        (lambda: stored()[1].settle(np.zeros((1, 1200)), steps=0), "steps must be at least 1"),
        (lambda: stored()[1].reactivate(0, rng=0), "n must be at least 1"),
        (lambda: stored()[1].recall(np.zeros((1, 3)), slice(0, 2)), "cue must have shape"),
        (lambda: stored()[1].read(np.zeros((1, 3))), "states must have shape"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    """Oracle: the message names the argument, what was expected and what came."""
    with pytest.raises(ValueError, match=message):
        call()


def test_an_snr_that_is_no_number_is_a_type_error():
    """Oracle: the message names the argument."""
    with pytest.raises(TypeError, match="snr must be a real number"):
        Teacher(3, "much", rng=0)
