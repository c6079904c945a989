"""The exercises of the lesson *Spectra of networks* on layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

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


def _edge_of(m: int, n: int, deviation: float, level: float) -> float:
    edge = laguerre_edge(max(m, n), min(m, n))
    square = edge.center + edge.scale * float(TracyWidom(1).quantile(1 - level))
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
    ],
    success="The edge has moved with the noise, and the count follows.",
)
