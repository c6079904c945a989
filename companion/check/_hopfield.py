"""The exercises of the lesson *Hopfield networks*."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import optimize, special

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake, distinct_sizes
from companion.memory.hopfield import hebbian, mean_field_overlap, random_patterns


def _energy_case(rng: np.random.Generator) -> Mapping[str, Any]:
    units = int(rng.integers(3, 9))
    weight = rng.normal(size=(units, units))
    weight = weight + weight.T
    np.fill_diagonal(weight, 0.0)
    return {
        "weight": weight,
        "state": random_patterns(1, units, rng=rng)[0],
        "unit": int(rng.integers(units)),
    }


def _energy_by_sums(weight: FloatArray, state: FloatArray) -> float:
    return -0.5 * float(np.einsum("ij,i,j->", weight, state, state))


def _flipped(state: FloatArray, unit: int) -> FloatArray:
    changed = state.copy()
    changed[unit] = -changed[unit]
    return changed


def _difference(weight: FloatArray, state: FloatArray, unit: int) -> float:
    return _energy_by_sums(weight, _flipped(state, unit)) - _energy_by_sums(weight, state)


energy_change = Exercise(
    name="energy_change",
    oracle=_difference,
    sample=_energy_case,
    edge_cases=[
        {
            "weight": np.array([[0.0, 1.0, -2.0], [1.0, 0.0, 0.5], [-2.0, 0.5, 0.0]]),
            "state": np.array([1.0, 1.0, -1.0]),
            "unit": 2,
        },
        {"weight": np.zeros((2, 2)), "state": np.array([1.0, -1.0]), "unit": 0},
    ],
    mistakes=[
        # Before the wrong sign, which it looks like wherever it is wrong.
        Mistake(
            "This depends on the field of the unit alone. Where the unit pointed before matters, "
            "too.",
            variant=lambda w, s, i: 2 * float(w[i] @ s),
        ),
        Mistake(
            "The sign is that of before minus after. The change is after minus before.",
            variant=lambda w, s, i: -_difference(w, s, i),
        ),
        Mistake(
            "It is half of the change. The unit's entry changes by two, not by one.",
            variant=lambda w, s, i: _difference(w, s, i) / 2,
        ),
        Mistake(
            "It is twice the change. The factor 1/2 of the energy is missing.",
            variant=lambda w, s, i: 2 * _difference(w, s, i),
        ),
        Mistake(
            "This is the energy after the change. The energy before is not taken away.",
            variant=lambda w, s, i: _energy_by_sums(w, _flipped(s, i)),
        ),
        Mistake(
            "This is the field of the unit, not a change of energy.",
            variant=lambda w, s, i: float(w[i] @ s),
        ),
    ],
    success="It agrees with two double sums over all pairs of units.",
)


def _patterns_case(rng: np.random.Generator) -> Mapping[str, Any]:
    count, units = sorted(distinct_sizes(rng, 2, low=2, high=9))
    while True:
        patterns = random_patterns(count, units + 3, rng=rng)
        if np.linalg.matrix_rank(patterns) == count:
            return {"patterns": patterns}


def _without_diagonal(weight: FloatArray) -> FloatArray:
    return np.asarray(weight - np.diag(weight.diagonal()))


def _projection_by_qr(patterns: FloatArray) -> FloatArray:
    basis, _ = np.linalg.qr(patterns.T)
    return _without_diagonal(basis @ basis.T)


def _overlaps(patterns: FloatArray) -> FloatArray:
    return np.asarray(patterns @ patterns.T / patterns.shape[1])


def _like_hebb(case: Mapping[str, Any], right: FloatArray, got: Any) -> bool:
    """Whether these are Hebb's weights, up to a factor and the diagonal."""
    if np.shape(got) != right.shape:
        return False
    hebb, rest = hebbian(case["patterns"]), _without_diagonal(got)
    factor = float((rest * hebb).sum() / (hebb * hebb).sum())
    return factor > 0 and np.allclose(rest, factor * hebb)


projection_weights = Exercise(
    name="projection_weights",
    oracle=_projection_by_qr,
    sample=_patterns_case,
    edge_cases=[
        {"patterns": np.array([[1.0, -1.0, 1.0]])},
        {"patterns": np.array([[1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0]])},
    ],
    mistakes=[
        Mistake(
            "These are Hebb's weights: the overlaps between the patterns are not undone.",
            # For patterns at right angles both rules agree, but not for random ones.
            when=_like_hebb,
        ),
        Mistake(
            "The diagonal is still there. Set the weights of units to themselves to zero.",
            when=lambda case, right, got: (
                np.shape(got) == right.shape and np.allclose(_without_diagonal(got), right)
            ),
        ),
        Mistake(
            "The overlaps between the patterns are applied; their inverse is needed.",
            variant=lambda p: _without_diagonal(p.T @ _overlaps(p) @ p / p.shape[1]),
        ),
        Mistake(
            "It is divided by the number of units once too often.",
            variant=lambda p: _projection_by_qr(p) / p.shape[1],
        ),
        Mistake(
            "It is not divided by the number of units where that is needed.",
            variant=lambda p: _projection_by_qr(p) * p.shape[1],
        ),
        Mistake(
            "This projects on what is at right angles to all patterns, so it removes them.",
            variant=lambda p: -_projection_by_qr(p),
        ),
        Mistake(
            "There is one row for each pattern here. A weight joins two units.",
            when=lambda case, right, got: np.shape(got) == (len(case["patterns"]),) * 2,
        ),
    ],
    success="It agrees with the projection computed from an orthonormal basis.",
)


def _load_case(rng: np.random.Generator) -> Mapping[str, Any]:
    # Close to the critical load any way to the root is slow, so that is left out.
    low, high = (0.02, 0.13) if rng.random() < 0.7 else (0.15, 0.3)
    return {"load": float(rng.uniform(low, high))}


def _root(y: FloatArray) -> FloatArray:
    return np.asarray(special.erf(y) / y - 2.0 / np.sqrt(np.pi) * np.exp(-(y**2)))


def _upper(load: float, function: Callable[[float], float]) -> float:
    """Return a function of the solution, or zero where the true equation has none."""
    if float(mean_field_overlap(load)) == 0.0:
        return 0.0
    y = optimize.brentq(lambda y: float(_root(y)) - np.sqrt(2 * load), 1.511, 50.0)
    return function(float(y))


def _lower(load: float) -> float:
    if float(mean_field_overlap(load)) == 0.0:
        return 0.0
    y = optimize.brentq(lambda y: float(_root(y)) - np.sqrt(2 * load), 1e-3, 1.511)
    return float(special.erf(y))


def _by_iteration(load: float, *, noise: float = 2.0, slope: float = 1.0) -> float:
    y = 10.0
    for _ in range(400):
        bottom = np.sqrt(noise * load) + slope * 2.0 / np.sqrt(np.pi) * np.exp(-(y**2))
        y = float(special.erf(y) / bottom)
    return float(special.erf(y)) if y > 1e-9 else 0.0


recalled_overlap = Exercise(
    name="recalled_overlap",
    oracle=lambda load: float(mean_field_overlap(load)),
    sample=_load_case,
    edge_cases=[{"load": 0.12}, {"load": 0.5}],
    rtol=1e-5,
    atol=1e-5,
    mistakes=[
        Mistake(
            "This is y. The overlap is its error function.",
            variant=lambda load: _upper(load, lambda y: y),
        ),
        Mistake(
            "This is the smaller of the two solutions. The state that is recalled belongs to the "
            "larger one.",
            variant=_lower,
        ),
        Mistake(
            "This is the solution zero, which there is at any load. Look for the larger ones: "
            "start at a larger y.",
            when=lambda case, right, got: right > 0.0 and np.isclose(got, 0.0, atol=1e-3),
        ),
        Mistake(
            "This is the overlap after one step from the pattern. Wrong units make more units "
            "wrong.",
            variant=lambda load: float(special.erf(1 / np.sqrt(2 * load))),
        ),
        Mistake(
            "Under the root stands the load itself here. Twice the load belongs there.",
            variant=lambda load: _by_iteration(load, noise=1.0),
        ),
        Mistake(
            "The factor of the exponential is 1 here. It is 2 over the root of pi.",
            variant=lambda load: _by_iteration(load, slope=np.sqrt(np.pi) / 2),
        ),
        Mistake(
            "The term with the exponential is missing.",
            variant=lambda load: _by_iteration(load, slope=0.0),
        ),
        Mistake(
            "Right below the critical load. Above it the only solution is zero, and the overlap "
            "is zero.",
            when=lambda case, right, got: right == 0.0 and not np.isclose(got, 0.0, atol=1e-5),
        ),
    ],
    success="Right on both sides of the critical load.",
)
