"""The exercises of the lesson *Spectra of networks*."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import stats

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake


def _tail_case(rng: np.random.Generator) -> Mapping[str, Any]:
    """Return values of which some lie below the minimum, one at it, in any order."""
    minimum = float(rng.uniform(0.3, 3.0))
    values = minimum * rng.pareto(rng.uniform(0.7, 4.0), size=int(rng.integers(8, 60)))
    values += minimum * rng.uniform(0.3, 0.9)
    values[0], values[1] = minimum, 2.5 * minimum
    return {"values": rng.permutation(values), "minimum": minimum}


def _tail_but(
    change: Callable[[FloatArray, float], tuple[float, float]],
) -> Callable[[FloatArray, float], tuple[float, float]]:
    """Return an answer that gets the values of the tail only, and the minimum."""
    return lambda values, minimum: change(values[values >= minimum], minimum)


def _exponent(tail: FloatArray, minimum: float) -> float:
    """Return the exponent by SciPy's fit of Pareto's law, whose shape is one less."""
    return 1 + float(stats.pareto.fit(tail, floc=0, fscale=minimum)[0])


def _distance(tail: FloatArray, minimum: float, alpha: float) -> float:
    return float(stats.kstest(tail, stats.pareto(alpha - 1, scale=minimum).cdf).statistic)


def _right(tail: FloatArray, minimum: float) -> tuple[float, float]:
    alpha = _exponent(tail, minimum)
    return alpha, _distance(tail, minimum, alpha)


def _one_sided(tail: FloatArray, minimum: float, offset: int) -> float:
    """Return the largest difference on one side of the steps of the empirical function."""
    x = np.sort(tail)
    fitted = 1 - (x / minimum) ** (1 - _exponent(tail, minimum))
    return float(np.abs((np.arange(x.size) + offset) / x.size - fitted).max())


def _signed(tail: FloatArray, minimum: float) -> float:
    x = np.sort(tail)
    fitted = 1 - (x / minimum) ** (1 - _exponent(tail, minimum))
    return float(((np.arange(x.size) + 1) / x.size - fitted).max())


def _first_is(change: Callable[[FloatArray, float], float]) -> Callable[..., bool]:
    """Return whether the first of two results is this exponent, whatever the second."""

    def explains(case: Mapping[str, Any], right: Any, got: Any) -> bool:
        tail = case["values"][case["values"] >= case["minimum"]]
        return bool(np.isclose(got[0], change(tail, case["minimum"]), rtol=1e-6))

    return explains


def _all_is(case: Mapping[str, Any], right: Any, got: Any) -> bool:
    values = case["values"]
    logs = np.log(values / case["minimum"])
    return bool(np.isclose(got[0], 1 + values.size / logs.sum(), rtol=1e-6))


tail_exponent = Exercise(
    name="tail_exponent",
    oracle=_tail_but(_right),
    sample=_tail_case,
    outputs=("exponent", "distance"),
    edge_cases=[
        {"values": np.array([1.0, 3.0]), "minimum": 1.0},
        {"values": np.array([2.0, 2.0, 0.1, 5.0, 5.0]), "minimum": 2.0},
        {"values": np.array([4.0, 9.0, 6.0]), "minimum": 3.0},
    ],
    mistakes=[
        Mistake(
            "The values below the minimum are in the sum. The tail begins at the minimum.",
            when=_all_is,
        ),
        Mistake(
            "This is the exponent of the share of values beyond x. The density falls faster: "
            "add 1.",
            when=_first_is(lambda tail, low: _exponent(tail, low) - 1),
        ),
        Mistake(
            "The logarithm is the one to base 10. The formula needs the natural one.",
            when=_first_is(lambda tail, low: 1 + (_exponent(tail, low) - 1) * math.log(10)),
        ),
        Mistake(
            "The mean of the logarithms is added to 1. It is the reciprocal that belongs there.",
            when=_first_is(lambda tail, low: 1 + 1 / (_exponent(tail, low) - 1)),
        ),
        Mistake(
            "The values are not divided by the minimum before the logarithm.",
            when=_first_is(lambda tail, low: 1 + tail.size / float(np.log(tail).sum())),
        ),
        Mistake(
            "The number of all values stands where that of the tail belongs.",
            when=lambda case, right, got: bool(
                np.isclose(
                    got[0] - 1,
                    (right[0] - 1)
                    * case["values"].size
                    / (case["values"] >= case["minimum"]).sum(),
                    rtol=1e-6,
                )
            ),
        ),
        Mistake(
            "The value at the minimum is left out. The tail holds the values that are at least "
            "the minimum.",
            when=lambda case, right, got: bool(
                np.isclose(
                    got[0],
                    _exponent(case["values"][case["values"] > case["minimum"]], case["minimum"]),
                    rtol=1e-6,
                )
            ),
        ),
        Mistake(
            "The sum is divided by one value less than the tail holds, which removes a bias. "
            "The largest likelihood is asked for.",
            when=_first_is(
                lambda tail, low: 1 + (_exponent(tail, low) - 1) * (tail.size - 1) / tail.size
            ),
        ),
        Mistake(
            "The exponent is right. The distance looks at the steps from one side only: just "
            "below a value the share of smaller ones is still one step lower.",
            variant=_tail_but(lambda tail, low: (_exponent(tail, low), _one_sided(tail, low, 1))),
        ),
        Mistake(
            "The exponent is right. The distance looks at the share just below each value only; "
            "at the value it is one step higher.",
            variant=_tail_but(lambda tail, low: (_exponent(tail, low), _one_sided(tail, low, 0))),
        ),
        Mistake(
            "The exponent is right. The distance takes differences of one sign only.",
            variant=_tail_but(lambda tail, low: (_exponent(tail, low), _signed(tail, low))),
        ),
        Mistake(
            "The exponent is right. In the distribution function the exponent of the density "
            "stands; its integral has one less.",
            variant=_tail_but(
                lambda tail, low: (
                    _exponent(tail, low),
                    _distance(tail, low, _exponent(tail, low) + 1),
                )
            ),
        ),
        Mistake(
            "The two results are exchanged: first the exponent, then the distance.",
            variant=_tail_but(lambda tail, low: _right(tail, low)[::-1]),
        ),
    ],
    success="Exponent and distance are those of the largest likelihood.",
)


def _growth_case(rng: np.random.Generator) -> Mapping[str, Any]:
    n = int(rng.integers(2, 7))
    return {
        "weight": rng.uniform(0.7, 2.5) * rng.normal(size=(n, n)) / math.sqrt(n),
        "start": rng.normal(size=n),
        "direction": rng.uniform(0.2, 5.0) * rng.normal(size=n),
        "steps": int(rng.integers(1, 13)),
    }


def _growth_but(
    *,
    slope: Callable[[FloatArray], FloatArray] = lambda x: np.cosh(x) ** -2.0,
    derivative: Callable[[FloatArray, FloatArray], FloatArray] = lambda w, d: w * d,
    late: bool = False,
    rate: Callable[[float, float, int], float] = lambda end, begin, t: math.log(end / begin) / t,
) -> Callable[[FloatArray, FloatArray, FloatArray, int], float]:
    """Return the growth by the product of all derivatives, with one thing changed."""

    def growth(weight: FloatArray, start: FloatArray, direction: FloatArray, steps: int) -> float:
        x, product = start, np.eye(start.size)
        for _ in range(steps):
            following = weight @ np.tanh(x)
            product = derivative(weight, slope(following if late else x)) @ product
            x = following
        end, begin = np.linalg.norm(product @ direction), np.linalg.norm(direction)
        return rate(float(end), float(begin), steps)

    return growth


def _one_by_one(weight: FloatArray, start: FloatArray, direction: FloatArray, steps: int) -> float:
    """Let the state stay where it started."""
    product = np.linalg.matrix_power(weight * np.cosh(start) ** -2.0, steps)
    growth = np.linalg.norm(product @ direction) / np.linalg.norm(direction)
    return float(math.log(growth) / steps)


growth_rate = Exercise(
    name="growth_rate",
    oracle=_growth_but(),
    sample=_growth_case,
    edge_cases=[
        {
            "weight": np.array([[2.0]]),
            "start": np.array([0.5]),
            "direction": np.array([-3.0]),
            "steps": 4,
        },
        {
            "weight": np.array([[0.0, -0.5], [2.0, 0.1]]),
            "start": np.array([0.3, -0.2]),
            "direction": np.array([0.0, 1.0]),
            "steps": 1,
        },
    ],
    mistakes=[
        Mistake(
            "The slope of tanh is missing: this is the growth under the weights alone.",
            variant=_growth_but(slope=np.ones_like),
        ),
        Mistake(
            "The slope of tanh is 1 minus its square; here 1 minus the square of the state stands.",
            variant=_growth_but(slope=lambda x: 1 - x * x),
        ),
        Mistake(
            "tanh stands where its slope belongs.",
            variant=_growth_but(slope=np.tanh),
        ),
        Mistake(
            "1 minus tanh stands where 1 minus its square belongs.",
            variant=_growth_but(slope=lambda x: 1 - np.tanh(x)),
        ),
        Mistake(
            "The slope is taken twice: tanh of what is tanh already.",
            variant=_growth_but(slope=lambda x: 1 - np.tanh(np.tanh(x)) ** 2),
        ),
        Mistake(
            "The slope is that of the state after the step. The difference passes the state "
            "before it.",
            variant=_growth_but(late=True),
        ),
        Mistake(
            "The slopes multiply after the weights. tanh acts before them.",
            variant=_growth_but(derivative=lambda w, d: w * d[:, None]),
        ),
        Mistake(
            "The derivative is transposed: that carries gradients back, not differences on.",
            variant=_growth_but(derivative=lambda w, d: (w * d).T),
        ),
        Mistake(
            "The slopes are right, and the weights are transposed for the difference.",
            variant=_growth_but(derivative=lambda w, d: w.T * d),
        ),
        Mistake(
            "The state stays where it started, so that all steps have the same derivative.",
            variant=_one_by_one,
        ),
        Mistake(
            "The growth of all steps together is returned. Divide by their number.",
            variant=_growth_but(rate=lambda end, begin, t: math.log(end / begin)),
        ),
        Mistake(
            "The direction has a length at the start, which the growth compares with.",
            variant=_growth_but(rate=lambda end, begin, t: math.log(end) / t),
        ),
        Mistake(
            "The factor per step is returned. Its logarithm is asked for.",
            variant=_growth_but(rate=lambda end, begin, t: (end / begin) ** (1 / t)),
        ),
        Mistake(
            "The logarithm is the one to base 2. The natural one is asked for.",
            variant=_growth_but(rate=lambda end, begin, t: math.log2(end / begin) / t),
        ),
        Mistake(
            "The logarithm is the one to base ten. The natural one is asked for.",
            variant=_growth_but(rate=lambda end, begin, t: math.log10(end / begin) / t),
        ),
        Mistake(
            "The sum runs over one step too few, or is divided by one too many.",
            variant=_growth_but(rate=lambda end, begin, t: math.log(end / begin) / (t + 1)),
        ),
        Mistake(
            "It is a little off. A difference of two runs must be small all the time; multiply "
            "by the derivative instead.",
            # Where the difference shrinks below rounding, nothing is left to compare.
            when=lambda case, right, got: bool(
                right * case["steps"] < -12 or np.isclose(got, right, rtol=0.1, atol=0.1)
            ),
        ),
    ],
    success="It is the mean growth per step of a small difference.",
)
