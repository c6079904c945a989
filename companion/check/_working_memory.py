"""The exercises of the lesson *Working memory and long-term memory*."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake, distinct_sizes
from companion.memory import FastWeights, memory_function


def _curve_case(rng: np.random.Generator) -> Mapping[str, Any]:
    n, lags = distinct_sizes(rng, 2)
    w = rng.normal(size=(n, n))
    w *= rng.uniform(0.5, 0.9) / np.abs(np.linalg.eigvals(w)).max()
    return {"w": w, "v": rng.normal(size=n), "noise": float(rng.uniform(0.2, 1.5)), "lags": lags}


def _curve_by_package(w: FloatArray, v: FloatArray, noise: float, lags: int) -> FloatArray:
    return memory_function(w, v, range(lags), noise)


def _curve_but(
    *,
    transposed: bool = False,
    power: int = 2,
    last_step: bool = False,
    no_input: bool = False,
    no_noise: bool = False,
    from_one: bool = False,
    root: bool = False,
    no_inverse: bool = False,
    growing: bool = False,
) -> Callable[..., FloatArray]:
    def wrong(w: FloatArray, v: FloatArray, noise: float, lags: int) -> FloatArray:
        n = len(v)
        w = w.T if transposed else w
        step = noise**power * np.eye(n) + (0.0 if no_input else np.outer(v, v))
        step = np.outer(v, v) if no_noise else step
        c: FloatArray = step
        if not last_step:
            c = np.linalg.solve(np.eye(n * n) - np.kron(w, w), step.ravel()).reshape(n, n)
        held = []
        for k in range(lags):
            u = np.linalg.matrix_power(w, k + from_one) @ v
            held.append(u @ u if no_inverse else u @ np.linalg.pinv(c) @ u)
        found = np.sqrt(held) if root else np.array(held)
        return np.cumsum(found) if growing else found

    return wrong


memory_curve = Exercise(
    name="memory_curve",
    oracle=_curve_by_package,
    sample=_curve_case,
    edge_cases=[
        {"w": np.array([[0.5]]), "v": np.array([2.0]), "noise": 1.0, "lags": 3},
        {"w": np.eye(3, k=-1), "v": np.array([1.0, 0.0, 0.0]), "noise": 0.5, "lags": 5},
    ],
    mistakes=[
        Mistake(
            "The covariance holds the noise of one step only. What came in earlier is still there, "
            "multiplied by W once for each step.",
            variant=_curve_but(last_step=True),
        ),
        Mistake(
            "The noise enters with its standard deviation. A covariance adds up variances.",
            variant=_curve_but(power=1),
        ),
        Mistake(
            "The covariance holds the noise alone. The inputs move the state as well, and to the "
            "input asked for all others are noise.",
            variant=_curve_but(no_input=True),
        ),
        Mistake(
            "The covariance holds the inputs alone. The noise moves the state as well.",
            variant=_curve_but(no_noise=True),
        ),
        Mistake(
            "W stands transposed. With h = W h + v x the input of k steps ago has been multiplied "
            "by W from the left k times.",
            variant=_curve_but(transposed=True),
        ),
        Mistake(
            "Every lag is one too large: at lag 0 the input has just been read, and no W has "
            "touched it yet.",
            variant=_curve_but(from_one=True),
        ),
        Mistake(
            "These are correlations. The memory function has their squares.",
            variant=_curve_but(root=True),
        ),
        Mistake(
            "The inverse of the covariance is missing: this is the power of the input in the "
            "state, not the share of it that can be told from everything else.",
            variant=_curve_but(no_inverse=True),
        ),
        Mistake(
            "These are running sums. Return one number for each lag.",
            variant=_curve_but(growing=True),
        ),
    ],
    success="It agrees with the package, which never forms the covariance.",
)


def _line_by_package(size: int, noise: float) -> float:
    line, entry = np.eye(size, k=-1), np.eye(size)[0]
    return float(memory_function(line, entry, range(size), noise).sum())


def _line_case(rng: np.random.Generator) -> Mapping[str, Any]:
    return {"size": int(rng.integers(2, 40)), "noise": float(rng.uniform(0.05, 1.5))}


def _line_but(term: Callable[[Any, int, float], Any]) -> Callable[..., float]:
    def wrong(size: int, noise: float) -> float:
        return float(np.sum(term(np.arange(size), size, noise)))

    return wrong


line_capacity = Exercise(
    name="line_capacity",
    oracle=_line_by_package,
    sample=_line_case,
    edge_cases=[{"size": 1, "noise": 1.0}, {"size": 5, "noise": 0.0}],
    mistakes=[
        Mistake(
            "The noise is missing: without it the line holds one input in each unit.",
            variant=_line_but(lambda k, n, s: 1.0 + 0.0 * k),
        ),
        Mistake(
            "The noise enters with its standard deviation. Variances add up.",
            variant=_line_but(lambda k, n, s: 1.0 / (1.0 + (k + 1) * s)),
        ),
        Mistake(
            "One step of noise is missing in each unit: the first unit gets noise as well.",
            variant=_line_but(lambda k, n, s: 1.0 / (1.0 + k * s**2)),
        ),
        Mistake(
            "Every unit has the noise of the first. It adds up along the line.",
            variant=_line_but(lambda k, n, s: 1.0 / (1.0 + s**2 + 0.0 * k)),
        ),
        Mistake(
            "Every unit has the noise of the last. The first ones have been reached by less.",
            variant=_line_but(lambda k, n, s: 1.0 / (1.0 + n * s**2 + 0.0 * k)),
        ),
        Mistake(
            "These are ratios of signal to noise. A squared correlation compares the signal with "
            "signal and noise together.",
            variant=lambda size, noise: float(
                np.sum(1.0 / (np.arange(1, size + 1) * max(noise, 1e-300) ** 2))
            ),
        ),
        Mistake(
            "The noises are added up before they are squared. They are independent: their "
            "variances add up.",
            variant=_line_but(lambda k, n, s: 1.0 / (1.0 + ((k + 1) * s) ** 2)),
        ),
        Mistake(
            "These are correlations. The memory function has their squares.",
            variant=_line_but(lambda k, n, s: 1.0 / np.sqrt(1.0 + (k + 1) * s**2)),
        ),
    ],
    success="It agrees with the memory function of a delay line, summed.",
)


def _recall_case(rng: np.random.Generator) -> Mapping[str, Any]:
    n, d, m = distinct_sizes(rng, 3)
    return {
        "keys": rng.normal(size=(n, d)),
        "values": rng.normal(size=(n, m)),
        "query": rng.normal(size=d),
        "decay": float(rng.uniform(0.3, 0.95)),
    }


def _recall_by_matrix(
    keys: FloatArray, values: FloatArray, query: FloatArray, decay: float
) -> FloatArray:
    store = FastWeights(keys.shape[1], values.shape[1], decay=decay)
    store.write(keys, values)
    return np.asarray(store.read(query[None])[0])


def _recall_but(
    *,
    reverse: bool = False,
    late: int = 0,
    no_decay: bool = False,
    softmax: bool = False,
    softmax_first: bool = False,
    share: bool = False,
    nearest: bool = False,
    squared: bool = False,
) -> Callable[..., FloatArray]:
    def wrong(keys: FloatArray, values: FloatArray, query: FloatArray, decay: float) -> FloatArray:
        n = len(keys)
        ages = np.arange(n) if reverse else np.arange(n)[::-1]
        factors = 1.0 if no_decay else decay ** ((1 + squared) * (ages + late).astype(float))
        scores = keys @ query
        if softmax:
            scores = np.exp(scores - scores.max())
            scores = scores / scores.sum() if softmax_first else scores
        weights = scores * factors
        if (softmax and not softmax_first) or share:
            weights = weights / weights.sum()
        if nearest:
            return np.asarray((factors * np.ones(n))[scores.argmax()] * values[scores.argmax()])
        return np.asarray(weights @ values)

    return wrong


recall = Exercise(
    name="recall",
    oracle=_recall_by_matrix,
    sample=_recall_case,
    edge_cases=[
        {
            "keys": np.array([[1.0, 2.0]]),
            "values": np.array([[3.0]]),
            "query": np.array([2.0, 1.0]),
            "decay": 0.5,
        },
        {
            "keys": np.eye(2),
            "values": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 2.0]]),
            "query": np.array([1.0, 1.0]),
            "decay": 1.0,
        },
    ],
    mistakes=[
        Mistake(
            "The ages are the wrong way round: here the first pair comes out strongest. The last "
            "one written has not decayed at all.",
            variant=_recall_but(reverse=True),
        ),
        Mistake(
            "Every pair has decayed once too often: the last one written keeps its full strength.",
            variant=_recall_but(late=1),
        ),
        Mistake("The decay is missing.", variant=_recall_but(no_decay=True)),
        Mistake(
            "This takes a softmax of the products. Fast weights use the products themselves.",
            variant=_recall_but(softmax=True),
        ),
        Mistake(
            "This takes a softmax first and lets its shares decay. Fast weights take no softmax.",
            variant=_recall_but(softmax=True, softmax_first=True),
        ),
        Mistake(
            "The weights are divided by their sum. Nothing in the matrix makes them add up to 1.",
            variant=_recall_but(share=True),
        ),
        Mistake(
            "Only the pair whose key fits best is read. A matrix adds up all of them.",
            variant=_recall_but(nearest=True),
        ),
        Mistake(
            "The decay is squared. That belongs to powers of signals, not to the signal.",
            variant=_recall_but(squared=True),
        ),
    ],
    success="It agrees with what is read from the matrix.",
)
