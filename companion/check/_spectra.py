"""The exercises of the lesson *Spectra of networks*."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from scipy import stats

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake
from companion.random_matrices import TracyWidom, laguerre_edge


def _vectors_case(rng: np.random.Generator) -> Mapping[str, Any]:
    rows, entries = int(rng.integers(2, 6)), int(rng.integers(7, 20))
    v = rng.normal(0.4, 1.0, size=(rows, entries)) * rng.uniform(0.2, 4.0, size=(rows, 1))
    v[0, ::2] = 0.0
    return {"vectors": v}


def _spread_by_loop(vectors: FloatArray) -> FloatArray:
    """Bring each vector to length 1 first, and add up in a loop."""
    found = []
    for v in vectors:
        length = math.sqrt(sum(float(x) ** 2 for x in v))
        found.append(1 / sum((float(x) / length) ** 4 for x in v))
    return np.array(found)


def _spread_but(
    change: Callable[[FloatArray, FloatArray], Any],
) -> Callable[[FloatArray], Any]:
    """Return an answer made from the vectors and their participation ratios."""
    return lambda vectors: change(vectors, _spread_by_loop(vectors))


spread_over = Exercise(
    name="spread_over",
    oracle=_spread_by_loop,
    sample=_vectors_case,
    edge_cases=[
        {"vectors": np.array([[0.0, -3.0, 0.0]])},
        {"vectors": np.full((2, 5), 0.5)},
    ],
    mistakes=[
        Mistake(
            "This holds for vectors of length 1. These have any length.",
            variant=lambda vectors: 1 / (vectors**4).sum(axis=1),
        ),
        Mistake(
            "It is upside down: a vector with one entry gives 1, one with equal entries n.",
            variant=_spread_but(lambda v, ratio: 1 / ratio),
        ),
        Mistake(
            "One number is expected for each row. These are the columns.",
            when=lambda case, right, got: np.shape(got) == case["vectors"].shape[1:],
        ),
        Mistake(
            "All rows are thrown together. Each is a vector of its own.",
            variant=lambda vectors: float((vectors**2).sum() ** 2 / (vectors**4).sum()),
        ),
        Mistake(
            "The sum of squares in the numerator is not squared.",
            variant=lambda vectors: (vectors**2).sum(axis=1) / (vectors**4).sum(axis=1),
        ),
        Mistake(
            "The sum is squared before the squares: the numerator needs squares of the entries.",
            variant=lambda vectors: vectors.sum(axis=1) ** 2 / (vectors**4).sum(axis=1),
        ),
        Mistake(
            "These are sizes and squares where squares and fourth powers are asked for.",
            variant=lambda vectors: np.abs(vectors).sum(axis=1) ** 2 / (vectors**2).sum(axis=1),
        ),
        Mistake(
            "The mean was taken off first. Then this is about a kurtosis.",
            variant=lambda vectors: _safe(vectors - vectors.mean(axis=1, keepdims=True)),
        ),
        Mistake(
            "This is a share of all entries. Leave out the division by their number.",
            variant=_spread_but(lambda v, ratio: ratio / v.shape[1]),
        ),
        Mistake(
            "It was divided by the value for normal vectors. Leave the ratio as it is.",
            variant=_spread_but(lambda v, ratio: 3 * ratio / (v.shape[1] + 2)),
        ),
        Mistake(
            "A root too many: the ratio itself is asked for.",
            variant=_spread_but(lambda v, ratio: np.sqrt(ratio)),
        ),
    ],
    success="Vectors of every length are counted by their own entries.",
)


def _safe(vectors: FloatArray) -> FloatArray:
    """Return the ratio without a complaint where a vector is zero."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((vectors**2).sum(axis=1) ** 2 / (vectors**4).sum(axis=1))


def _decay_case(rng: np.random.Generator) -> Mapping[str, Any]:
    m, n = (int(k) for k in rng.choice(np.arange(16, 50, 3), size=2, replace=False))
    deviation, rate = float(rng.uniform(0.05, 0.7)), float(rng.uniform(0.05, 0.4))
    steps = int(rng.integers(20, 60))
    # Decay so strong that the approximation by an exponential can be told from the power.
    decay = float(rng.uniform(0.5, 1.5)) / (rate * steps)
    left = (1 - rate * decay) ** steps
    u, v = (np.linalg.qr(rng.normal(size=(side, 6)))[0] for side in (m, n))
    size = deviation * (math.sqrt(m) + math.sqrt(n))
    strengths = size * np.array([3.0, 1.6, *rng.uniform(left, 1.2, size=4)])
    noise = left * deviation * rng.normal(size=(m, n))
    return {
        "weight": noise + (u * strengths) @ v.T,
        "deviation": deviation,
        "rate": rate,
        "decay": decay,
        "steps": steps,
    }


@cache
def _exceeded(level: float) -> float:
    # A search among determinants, and each wrong answer is tried at the same few levels.
    return float(TracyWidom(1).quantile(1 - level))


def _edge_of(m: int, n: int, deviation: float, level: float) -> float:
    edge = laguerre_edge(max(m, n), min(m, n))
    square = edge.center + edge.scale * _exceeded(level)
    return deviation * math.sqrt(max(m, n) * square)


def _left_by_loop(rate: float, decay: float, steps: int) -> float:
    """Take the steps one by one."""
    left = 1.0
    for _ in range(steps):
        left -= rate * decay * left
    return left


def _decay_but(
    *,
    left: Callable[[float, float, int], float] = _left_by_loop,
    level: float = 0.01,
    edge: Callable[[int, int, float, float], float] = _edge_of,
    power: int = 1,
    start: Callable[[FloatArray, float], float] = lambda weight, deviation: deviation,
) -> Callable[..., tuple[float, int]]:
    """Return edge and count with one thing changed."""

    def answer(
        weight: FloatArray, deviation: float, rate: float, decay: float, steps: int
    ) -> tuple[float, int]:
        noise = start(weight, deviation) * left(rate, decay, steps)
        m, n = weight.shape
        found = edge(m, n, noise, level)
        # Eigenvalues of the smaller Gram matrix, so that this is another way than the learner's.
        gram = weight @ weight.T if m <= n else weight.T @ weight
        values = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0.0))
        return found, int(np.sum(values**power > found))

    return answer


def _count_before_decay(
    weight: FloatArray, deviation: float, rate: float, decay: float, steps: int
) -> tuple[float, int]:
    edge, _ = _decay_but()(weight, deviation, rate, decay, steps)
    return edge, int(_decay_but()(weight, deviation, rate, 0.0, steps)[1])


decayed_edge = Exercise(
    name="decayed_edge",
    oracle=_decay_but(),
    sample=_decay_case,
    outputs=("edge", "count"),
    rtol=1e-6,
    repeats=8,
    mistakes=[
        Mistake(
            "This is the edge of the initial weights. Decay has made the noise smaller since.",
            variant=_decay_but(left=lambda rate, decay, steps: 1.0),
        ),
        Mistake(
            "The exponential is close to what is left, and not equal to it.",
            variant=_decay_but(left=lambda rate, decay, steps: math.exp(-rate * decay * steps)),
        ),
        Mistake(
            "What is left is multiplied at every step: a power, not a straight line.",
            variant=_decay_but(left=lambda rate, decay, steps: 1 - rate * decay * steps),
        ),
        Mistake(
            "The learning rate is forgotten: a step takes off the rate times the decay.",
            variant=_decay_but(left=lambda rate, decay, steps: (1 - decay) ** steps),
        ),
        Mistake(
            "The decay is forgotten: a step takes off the rate times the decay.",
            variant=_decay_but(left=lambda rate, decay, steps: (1 - rate) ** steps),
        ),
        Mistake(
            "Decay shrinks the deviation like a weight. This shrinks it like a variance.",
            variant=_decay_but(
                left=lambda rate, decay, steps: _left_by_loop(rate, decay, steps) ** 2
            ),
        ),
        Mistake(
            "What is left stands under a root. The deviation shrinks as the weights do.",
            variant=_decay_but(
                left=lambda rate, decay, steps: _left_by_loop(rate, decay, steps) ** 0.5
            ),
        ),
        Mistake(
            "One step only. The weights shrink at every one.",
            variant=_decay_but(left=lambda rate, decay, steps: 1 - rate * decay),
        ),
        Mistake(
            "The deviation is that of the trained entries, which hold the signal too.",
            variant=_decay_but(
                start=lambda weight, deviation: float(weight.std()),
                left=lambda rate, decay, steps: 1.0,
            ),
        ),
        Mistake(
            "This is the end of the law of Marchenko and Pastur. Noise exceeds that too often.",
            variant=_decay_but(edge=lambda m, n, std, level: std * (math.sqrt(m) + math.sqrt(n))),
        ),
        Mistake(
            "The level is that of 5 %. Here it is 1 %, the default of rm.weight_edge.",
            variant=_decay_but(level=0.05),
        ),
        Mistake(
            "The edge is right. What is compared with it are squares of singular values.",
            variant=_decay_but(power=2),
        ),
        Mistake(
            "The edge is right. The count is of values beyond the edge of the initial weights.",
            variant=_count_before_decay,
        ),
    ],
    success="The edge has moved with the noise, and the count follows.",
)


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


def _beyond(tail: FloatArray, minimum: float) -> float:
    x = np.sort(tail)
    beyond = (x / minimum) ** (1 - _exponent(tail, minimum))
    return float(np.abs((np.arange(x.size) + 1) / x.size - beyond).max())


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
            "The exponent is right. The share beyond a value is held against the share up to it.",
            variant=_tail_but(lambda tail, low: (_exponent(tail, low), _beyond(tail, low))),
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
