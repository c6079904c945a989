"""The checks of the lesson *Hopfield networks*: right answers pass, typical wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import optimize, special

from companion import check
from companion.check import Exercise
from tests.check.oracles import reseeded


def energy(weight, state):
    return -0.5 * state @ weight @ state


def energy_change(weight, state, unit):
    return 2 * state[unit] * (weight[unit] @ state)


def energy_change_by_difference(weight, state, unit):
    after = state.copy()
    after[unit] *= -1
    return energy(weight, after) - energy(weight, state)


def energy_change_by_loops(weight, state, unit):
    total = 0.0
    for j in range(len(state)):
        if j != unit:
            total += weight[unit, j] * state[unit] * state[j]
    return 2 * total


def projection_weights(patterns):
    weight = patterns.T @ np.linalg.inv(patterns @ patterns.T) @ patterns
    np.fill_diagonal(weight, 0.0)
    return weight


def projection_weights_by_pinv(patterns):
    weight = np.linalg.pinv(patterns) @ patterns
    return weight * (1 - np.eye(len(weight)))


def projection_weights_by_overlaps(patterns):
    units = patterns.shape[1]
    overlaps = patterns @ patterns.T / units
    weight = patterns.T @ np.linalg.solve(overlaps, patterns) / units
    return weight - np.diag(np.diag(weight))


def projection_weights_by_svd(patterns):
    v = np.linalg.svd(patterns, full_matrices=False)[2]
    weight = v.T @ v
    weight[np.diag_indices(len(weight))] = 0
    return weight


def root(y):
    return special.erf(y) / y - 2 / np.sqrt(np.pi) * np.exp(-(y**2))


def recalled_overlap(load):
    y = np.linspace(1e-3, 20, 40_001)
    above = np.flatnonzero(root(y) >= np.sqrt(2 * load))
    if not above.size:
        return 0.0
    last = y[above[-1]]
    y = optimize.brentq(lambda y: root(y) - np.sqrt(2 * load), last, last + 1e-2)
    return float(special.erf(y))


def recalled_overlap_by_iteration(load):
    y = 10.0
    for _ in range(600):
        y = special.erf(y) / (np.sqrt(2 * load) + 2 / np.sqrt(np.pi) * np.exp(-y * y))
    return special.erf(y)


def recalled_overlap_by_torch(load):
    y = torch.linspace(1.0, 20.0, 190_001, dtype=torch.float64)
    g = torch.erf(y) / y - 2 / np.sqrt(np.pi) * torch.exp(-(y**2))
    fits = torch.nonzero(g >= np.sqrt(2 * load))
    return float(torch.erf(y[fits[-1, 0]])) if len(fits) else 0


RIGHT = [
    (check.energy_change, energy_change),
    (check.energy_change, energy_change_by_difference),
    (check.energy_change, energy_change_by_loops),
    (check.projection_weights, projection_weights),
    (check.projection_weights, projection_weights_by_pinv),
    (check.projection_weights, projection_weights_by_overlaps),
    (check.projection_weights, projection_weights_by_svd),
    (check.recalled_overlap, recalled_overlap),
    (check.recalled_overlap, recalled_overlap_by_iteration),
    (check.recalled_overlap, recalled_overlap_by_torch),
]


@pytest.mark.parametrize(("exercise", "solution"), RIGHT)
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_right_answers_pass(
    exercise: Exercise, solution: Callable[..., Any], seed: int | None
) -> None:
    """Oracle: answers written in other ways."""
    if seed is not None:
        exercise = reseeded(exercise, seed)
    result = exercise(solution)
    assert result, result.message


def hebb(patterns):
    weight = patterns.T @ patterns / patterns.shape[1]
    np.fill_diagonal(weight, 0.0)
    return weight


def not_inverted(patterns):
    units = patterns.shape[1]
    weight = patterns.T @ (patterns @ patterns.T / units) @ patterns / units
    np.fill_diagonal(weight, 0.0)
    return weight


def no_units_in_the_overlaps(patterns):
    weight = patterns.T @ np.linalg.inv(patterns @ patterns.T) @ patterns / patterns.shape[1]
    np.fill_diagonal(weight, 0.0)
    return weight


def no_units_at_all(patterns):
    overlaps = patterns @ patterns.T / patterns.shape[1]
    weight = patterns.T @ np.linalg.inv(overlaps) @ patterns
    np.fill_diagonal(weight, 0.0)
    return weight


def complement(patterns):
    weight = np.eye(patterns.shape[1]) - np.linalg.pinv(patterns) @ patterns
    np.fill_diagonal(weight, 0.0)
    return weight


def changes_the_state(weight, state, unit):
    before = energy(weight, state)
    state[unit] *= -1
    return energy(weight, state) - before


def solution_y(load):
    m = recalled_overlap(load)
    if not m:
        return 0.0
    return optimize.brentq(lambda y: root(y) - np.sqrt(2 * load), 1.512, 60.0)


def lower_branch(load):
    if not recalled_overlap(load):
        return 0.0
    y = optimize.brentq(lambda y: root(y) - np.sqrt(2 * load), 1e-6, 1.512)
    return float(special.erf(y))


def iterated(load, noise=2.0, slope=1.1283791670955126):
    y = 10.0
    for _ in range(600):
        y = special.erf(y) / (np.sqrt(noise * load) + slope * np.exp(-y * y))
    return special.erf(y)


def iterated_from_below(load):
    y = 0.5
    for _ in range(600):
        y = special.erf(y) / (np.sqrt(2 * load) + 2 / np.sqrt(np.pi) * np.exp(-y * y))
    return special.erf(y)


def diagonal_of_ones(patterns):
    weight = np.linalg.pinv(patterns) @ patterns
    np.fill_diagonal(weight, 1.0)
    return weight


def never_zero(load):
    return recalled_overlap(load) or 0.967


WRONG = [
    (check.energy_change, lambda w, s, i: -energy_change(w, s, i), "before minus after"),
    (check.energy_change, lambda w, s, i: s[i] * (w[i] @ s), "half of the change"),
    (check.energy_change, lambda w, s, i: 4 * s[i] * (w[i] @ s), "twice the change"),
    (
        check.energy_change,
        lambda w, s, i: energy(w, s) + energy_change(w, s, i),
        "energy after the change",
    ),
    (check.energy_change, lambda w, s, i: 2 * (w[i] @ s), "pointed before"),
    (check.energy_change, lambda w, s, i: w[i] @ s, "field of the unit"),
    (check.energy_change, changes_the_state, "changes its argument state"),
    (check.projection_weights, hebb, "Hebb's weights"),
    (check.projection_weights, lambda p: p.T @ p, "Hebb's weights"),
    (check.projection_weights, lambda p: hebb(p) * p.shape[1] / len(p), "Hebb's weights"),
    (check.projection_weights, lambda p: np.linalg.pinv(p) @ p, "diagonal is still there"),
    (check.projection_weights, diagonal_of_ones, "diagonal is still there"),
    (check.projection_weights, not_inverted, "inverse is needed"),
    (check.projection_weights, no_units_in_the_overlaps, "once too often"),
    (check.projection_weights, no_units_at_all, "not divided"),
    (check.projection_weights, complement, "at right angles"),
    (check.projection_weights, lambda p: p @ np.linalg.pinv(p), "joins two units"),
    (check.recalled_overlap, solution_y, "This is y"),
    (check.recalled_overlap, lower_branch, "smaller of the two"),
    (check.recalled_overlap, iterated_from_below, "solution zero"),
    (check.recalled_overlap, lambda a: special.erf(1 / np.sqrt(2 * a)), "after one step"),
    (check.recalled_overlap, lambda a: iterated(a, noise=1.0), "load itself"),
    (check.recalled_overlap, lambda a: iterated(a, slope=1.0), "2 over the root"),
    (check.recalled_overlap, lambda a: iterated(a, slope=0.0), "exponential is missing"),
    (check.recalled_overlap, never_zero, "Above it the only solution"),
    (check.recalled_overlap, lambda a: 1 - special.erfc(1 / np.sqrt(2 * a)) / 2, "is off by"),
]


@pytest.mark.parametrize(("exercise", "wrong", "hint"), WRONG)
def test_wrong_answers_get_their_diagnosis(
    exercise: Exercise, wrong: Callable[..., Any], hint: str
) -> None:
    """Oracle: the sentence written for this mistake."""
    result = exercise(wrong)
    assert not result
    assert hint in result.message
