"""The exercises of the lesson *Consolidation*."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import stats

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake, distinct_sizes


def _mode_case(rng: np.random.Generator) -> Mapping[str, Any]:
    eigenvalue = float(rng.uniform(0.05, 4.0))
    return {
        "eigenvalue": eigenvalue,
        "rule": float(rng.normal()),
        "start": float(rng.normal()),
        "noise": float(rng.uniform(0.1, 2.0)),
        # In the middle of learning: at the end many wrong answers are right.
        "time": float(rng.uniform(0.1, 2.5)) / eigenvalue,
    }


def _mode_by_two_noises(
    eigenvalue: float, rule: float, start: float, noise: float, time: float
) -> float:
    # A noise that is plus or minus one standard deviation has the variance of a normal one.
    if eigenvalue == 0:
        return (start - rule) ** 2
    errors = []
    for sign in (-1.0, 1.0):
        target = rule + sign * math.sqrt(noise / eigenvalue)
        weight = target + (start - target) * math.exp(-eigenvalue * time)
        errors.append((weight - rule) ** 2)
    return sum(errors) / 2


def _mode_but(
    *,
    from_zero: bool = False,
    not_squared: bool = False,
    not_divided: bool = False,
    by_singular_value: bool = False,
    at_the_end: bool = False,
    spread: bool = False,
    with_noise: bool = False,
    no_noise: bool = False,
) -> Callable[..., float]:
    def wrong(eigenvalue: float, rule: float, start: float, noise: float, time: float) -> float:
        left = math.exp(-eigenvalue * time)
        bias = (rule if from_zero else start - rule) ** 2 * (left if not_squared else left**2)
        learned = 1.0 - left
        share = 1.0 if at_the_end else learned if not_squared else learned**2
        if spread:
            share = 1.0 - left**2
        scale = 1.0 if not_divided or eigenvalue == 0 else eigenvalue
        if by_singular_value:
            scale = math.sqrt(scale)
        learned_noise = 0.0 if no_noise or eigenvalue == 0 else noise * share / scale
        return bias + learned_noise + (noise if with_noise else 0.0)

    return wrong


mode_error = Exercise(
    name="mode_error",
    oracle=_mode_by_two_noises,
    sample=_mode_case,
    edge_cases=[
        {"eigenvalue": 1.0, "rule": 0.5, "start": 0.0, "noise": 0.0, "time": 1.0},
        {"eigenvalue": 2.0, "rule": 0.5, "start": -0.5, "noise": 1.0, "time": 0.0},
        {"eigenvalue": 0.0, "rule": 1.0, "start": 0.25, "noise": 1.0, "time": 3.0},
    ],
    mistakes=[
        Mistake(
            "Where the eigenvalue is zero, no example says anything: nothing is learned, the noise "
            "neither. Your function should say so for that case.",
            when=lambda case, right, got: case["eigenvalue"] == 0,
        ),
        Mistake(
            "The student starts from zero here. It should start from the weight that is given.",
            variant=_mode_but(from_zero=True),
        ),
        Mistake(
            "These are the distances themselves, and not their squares.",
            variant=_mode_but(not_squared=True),
        ),
        Mistake(
            "The noise is not divided by the eigenvalue. The student divides by a singular value, "
            "and the variance by its square.",
            variant=_mode_but(not_divided=True),
        ),
        Mistake(
            "The noise is divided by the singular value. That is right for the noise itself, and "
            "its variance is divided by the square.",
            variant=_mode_but(by_singular_value=True),
        ),
        Mistake(
            "The noise is there from the start. It is learned as the rule is, little by little.",
            variant=_mode_but(at_the_end=True),
        ),
        Mistake(
            "The share of the noise that has been learned is one minus the exponential, and all of "
            "that is squared.",
            variant=_mode_but(spread=True),
        ),
        Mistake(
            "The noise of a new example is in it. Asked is the distance of the weights alone.",
            variant=_mode_but(with_noise=True),
        ),
        Mistake(
            "The noise that the student learns is missing.",
            variant=_mode_but(no_noise=True),
        ),
    ],
    success="What is missing and what is learned too well add up as they should.",
)


def _ridge_case(rng: np.random.Generator) -> Mapping[str, Any]:
    examples, units = distinct_sizes(rng, 2)
    return {
        "x": rng.normal(size=(examples, units)) / math.sqrt(units),
        "y": rng.normal(size=examples),
        "snr": float(rng.choice([rng.uniform(0.1, 0.8), rng.uniform(1.5, 10.0)])),
    }


def _ridge_by_modes(x: FloatArray, y: FloatArray, snr: float) -> FloatArray:
    U, s, Vt = np.linalg.svd(x, full_matrices=False)
    return np.asarray((s / (s**2 + 1 / snr) * (y @ U)) @ Vt)


def _ridge_with(penalty: Callable[[FloatArray, float], float]) -> Callable[..., FloatArray]:
    return lambda x, y, snr: _ridge_by_modes(x, y, 1 / penalty(x, snr))


ridge_student = Exercise(
    name="ridge_student",
    oracle=_ridge_by_modes,
    sample=_ridge_case,
    edge_cases=[
        {"x": np.array([[0.5]]), "y": np.array([1.0]), "snr": 2.0},
        {"x": np.zeros((2, 3)), "y": np.array([1.0, -1.0]), "snr": 1.0},
    ],
    mistakes=[
        Mistake(
            "The penalty is the ratio itself. Noisier examples, with a smaller ratio, need a "
            "larger penalty.",
            variant=_ridge_with(lambda x, snr: snr),
        ),
        Mistake(
            "There is no penalty, or next to none: this is the student that never stops.",
            when=lambda case, right, got: np.allclose(
                got, np.linalg.pinv(case["x"]) @ case["y"], rtol=1e-3, atol=1e-6
            ),
        ),
        Mistake(
            "The penalty is too large by the number of examples. The student's error is summed "
            "over the examples and not averaged.",
            variant=_ridge_with(lambda x, snr: len(x) / snr),
        ),
        Mistake(
            "The penalty is too large by the number of weights. The inputs are scaled by that "
            "number already.",
            variant=_ridge_with(lambda x, snr: x.shape[1] / snr),
        ),
        Mistake(
            "The penalty is twice too large. Half of the squared error needs half of the penalty.",
            variant=_ridge_with(lambda x, snr: 2 / snr),
        ),
        Mistake(
            "The ratio is one of variances already. Do not square it.",
            variant=_ridge_with(lambda x, snr: 1 / snr**2),
        ),
        Mistake(
            "The ratio is one of variances, and so is the penalty. No root is needed.",
            variant=_ridge_with(lambda x, snr: 1 / math.sqrt(snr)),
        ),
    ],
    success="Every mode is shrunk by what is best for it.",
)


def _finite_case(rng: np.random.Generator) -> Mapping[str, Any]:
    units = int(rng.integers(2, 40))
    gap = int(rng.integers(2, 20))
    fewer = gap < units and rng.random() < 0.5
    return {
        "examples": units - gap if fewer else units + gap,
        "units": units,
        "snr": float(rng.choice([rng.uniform(0.2, 0.8), rng.uniform(1.5, 6.0)])),
    }


def _finite_by_wishart(examples: int, units: int, snr: float) -> float:
    signal, noise = snr / (1 + snr), 1 / (1 + snr)
    small, large = sorted((examples, units))
    inverse = np.atleast_2d(stats.invwishart(df=large, scale=np.eye(small)).mean())
    # The inputs have variance 1 / units, so the inverse is larger by units; the mean is over units.
    return float(noise + signal * (units - min(examples, units)) / units + noise * inverse.trace())


def _finite_but(
    *,
    large: bool = False,
    no_unseen: bool = False,
    no_noise: bool = False,
    averaged: bool = False,
    swapped: bool = False,
    units_in_front: bool = False,
) -> Callable[[int, int, float], float]:
    def wrong(examples: int, units: int, snr: float) -> float:
        signal, noise = snr / (1 + snr), 1 / (1 + snr)
        if swapped:
            signal, noise = noise, signal
        unseen = 0.0 if no_unseen else signal * max(0.0, 1 - examples / units)
        front = units if units_in_front else min(examples, units)
        trace = front / (abs(examples - units) - (0 if large else 1))
        learned = noise * trace / (units if averaged else 1)
        return (0.0 if no_noise else noise) + unseen + learned

    return wrong


full_consolidation_error = Exercise(
    name="full_consolidation_error",
    oracle=_finite_by_wishart,
    sample=_finite_case,
    edge_cases=[
        {"examples": 1, "units": 3, "snr": 1.0},
        {"examples": 3, "units": 1, "snr": 2.0},
    ],
    mistakes=[
        Mistake(
            "This holds for infinitely many weights. The trace of the finite matrix has one less "
            "in its denominator.",
            variant=_finite_but(large=True),
        ),
        Mistake(
            "Where there are fewer examples than weights, some directions of the rule are never "
            "seen. Their error is missing.",
            variant=_finite_but(no_unseen=True),
        ),
        Mistake(
            "The noise of the new example itself is missing.",
            variant=_finite_but(no_noise=True),
        ),
        Mistake(
            "The trace is divided by the number of weights and not multiplied by it: the "
            "eigenvalues of small inputs are small, and their inverses are large.",
            variant=_finite_but(averaged=True),
        ),
        Mistake(
            "The variances are exchanged. The ratio is that of the rule to the noise.",
            variant=_finite_but(swapped=True),
        ),
        Mistake(
            "The trace has as many terms as there are eigenvalues that are not zero: the smaller "
            "of the two numbers.",
            variant=_finite_but(units_in_front=True),
        ),
    ],
    success="The error of full consolidation is exact at every size.",
)
