"""The exercises of the lesson *Low rank at work*."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake, distinct_sizes


def _budget_case(rng: np.random.Generator) -> Mapping[str, Any]:
    out, n_in = distinct_sizes(rng, 2, low=5, high=60)
    return {
        "out_features": out,
        "in_features": n_in,
        "budget": int(rng.integers(0, 2 * out * n_in)),
    }


def _rank_by_counting(out_features: int, in_features: int, budget: int) -> int:
    best = 0
    for rank in range(1, min(out_features, in_features) + 1):
        factors = (np.empty((out_features, rank)), np.empty((rank, in_features)))
        if sum(factor.size for factor in factors) <= budget:
            best = rank
    return best


largest_rank = Exercise(
    name="largest_rank",
    oracle=_rank_by_counting,
    sample=_budget_case,
    edge_cases=[
        {"out_features": 10, "in_features": 64, "budget": 73},
        {"out_features": 10, "in_features": 64, "budget": 74},
        {"out_features": 10, "in_features": 64, "budget": 147},
        {"out_features": 10, "in_features": 64, "budget": 640},
        {"out_features": 10, "in_features": 64, "budget": 10_000},
    ],
    mistakes=[
        Mistake(
            "A large budget gives a rank above the smaller side. No matrix of this shape has it.",
            variant=lambda m, n, budget: budget // (m + n),
        ),
        Mistake(
            "The smallest result is 1, but a budget below one row and one column allows none.",
            variant=lambda m, n, budget: min(max(budget // (m + n), 1), m, n),
        ),
        Mistake(
            "A rank is a whole number. What is left of the budget stays unused.",
            when=lambda case, right, got: float(got) != int(got),
        ),
        Mistake(
            "It rounds to the nearest rank. One more than fits is over the budget.",
            variant=lambda m, n, budget: min(round(budget / (m + n)), m, n),
        ),
        Mistake(
            "It rounds up. One more than fits is over the budget.",
            variant=lambda m, n, budget: min(-(-budget // (m + n)), m, n),
        ),
        Mistake(
            "A budget that is met exactly is allowed: at most means that equality is fine.",
            variant=lambda m, n, budget: min(max(budget - 1, 0) // (m + n), m, n),
        ),
        Mistake(
            "It counts the full matrix for each rank. The two factors are thin.",
            variant=lambda m, n, budget: min(budget // (m * n), m, n),
        ),
        Mistake(
            "It counts the factor with in_features columns only. There are two.",
            variant=lambda m, n, budget: min(budget // n, m, n),
        ),
        Mistake(
            "It counts the factor with out_features rows only. There are two.",
            variant=lambda m, n, budget: min(budget // m, m, n),
        ),
        Mistake(
            "It counts the degrees of freedom of the product. The budget is for stored numbers.",
            variant=lambda m, n, budget: max(
                (r for r in range(min(m, n) + 1) if r * (m + n - r) <= budget), default=0
            ),
        ),
        Mistake(
            "The result is the number of parameters. The rank is asked for.",
            variant=lambda m, n, budget: min(budget // (m + n), m, n) * (m + n),
        ),
    ],
    success="Two thin factors, rounded down, at most the smaller side.",
)


def _merge_case(rng: np.random.Generator) -> Mapping[str, Any]:
    out, n_in, rank = distinct_sizes(rng, 3, low=2, high=9)
    return {
        "weight": rng.normal(size=(out, n_in)),
        "lora_a": rng.normal(size=(rank, n_in)),
        "lora_b": rng.normal(size=(out, rank)),
        "alpha": float(rng.uniform(0.5, 20.0)),
    }


def _merged_by_einsum(
    weight: FloatArray, lora_a: FloatArray, lora_b: FloatArray, alpha: float
) -> FloatArray:
    return np.asarray(weight + np.einsum("or,ri->oi", lora_b, lora_a) * (alpha / len(lora_a)))


def _merged_but(
    scale: Callable[[FloatArray, float], float], *, keep: float = 1.0
) -> Callable[[FloatArray, FloatArray, FloatArray, float], FloatArray]:
    """Return the merge with another scale, as ``scale(lora_a, alpha)``."""

    def wrong(
        weight: FloatArray, lora_a: FloatArray, lora_b: FloatArray, alpha: float
    ) -> FloatArray:
        return np.asarray(keep * weight + scale(lora_a, alpha) * (lora_b @ lora_a))

    return wrong


merged_weight = Exercise(
    name="merged_weight",
    oracle=_merged_by_einsum,
    sample=_merge_case,
    edge_cases=[
        {
            "weight": np.array([[1.0, 2.0], [3.0, 4.0]]),
            "lora_a": np.array([[1.0, -1.0]]),
            "lora_b": np.zeros((2, 1)),
            "alpha": 8.0,
        }
    ],
    mistakes=[
        Mistake(
            "The scale is missing: the product of the factors is added as it is.",
            variant=_merged_but(lambda a, alpha: 1.0),
        ),
        Mistake(
            "The change is multiplied by alpha; the division by the rank is missing.",
            variant=_merged_but(lambda a, alpha: alpha),
        ),
        Mistake(
            "The change is divided by the rank, but not multiplied by alpha.",
            variant=_merged_but(lambda a, alpha: 1.0 / len(a)),
        ),
        Mistake(
            "It divides by the number of inputs. The rank is the other axis of lora_a.",
            variant=_merged_but(lambda a, alpha: alpha / a.shape[1]),
        ),
        Mistake(
            "The scale is upside down.",
            variant=_merged_but(lambda a, alpha: len(a) / alpha),
        ),
        Mistake(
            "The change is subtracted where the formula adds it.",
            variant=_merged_but(lambda a, alpha: -alpha / len(a)),
        ),
        Mistake(
            "This is the change alone. The merged layer also keeps the frozen weight.",
            variant=_merged_but(lambda a, alpha: alpha / len(a), keep=0.0),
        ),
        Mistake(
            "The factors meet in the wrong axis. Write their shapes side by side.",
            variant=lambda w, a, b, alpha: w + alpha / len(a) * (a @ b),
        ),
        Mistake(
            "The scale multiplies the frozen weight too.",
            variant=lambda w, a, b, alpha: alpha / len(a) * (w + b @ a),
        ),
    ],
    success="One weight does the work of three arrays.",
)


def _newcomer_case(rng: np.random.Generator) -> Mapping[str, Any]:
    rank, items = distinct_sizes(rng, 2, low=2, high=12)
    items += rank
    observed = rng.random(items) < 0.6
    # More known entries than factors, so that a missing ridge gives one answer, and one unknown.
    observed[: rank + 1], observed[rank + 1] = True, False
    return {
        "ratings": rng.normal(size=items),
        "observed": observed,
        "item_factors": rng.normal(size=(items, rank)),
        "ridge": float(rng.uniform(0.3, 3.0)),
    }


def _newcomer_by_least_squares(
    ratings: FloatArray, observed: Any, item_factors: FloatArray, ridge: float
) -> FloatArray:
    rank = item_factors.shape[1]
    matrix = np.vstack([item_factors[observed], np.sqrt(ridge) * np.eye(rank)])
    right = np.concatenate([ratings[observed], np.zeros(rank)])
    return np.asarray(np.linalg.lstsq(matrix, right, rcond=None)[0])


def _newcomer_but(
    system: Callable[[FloatArray, float, Any], FloatArray],
    right: Callable[[FloatArray, FloatArray], FloatArray] = lambda g, r: g.T @ r,
) -> Callable[[FloatArray, Any, FloatArray, float], FloatArray]:
    """Return the regression with another system or right side, over the known entries."""

    def wrong(
        ratings: FloatArray, observed: Any, item_factors: FloatArray, ridge: float
    ) -> FloatArray:
        g = item_factors[observed]
        return np.asarray(np.linalg.solve(system(g, ridge, observed), right(g, ratings[observed])))

    return wrong


def _eye(factors: FloatArray) -> FloatArray:
    return np.eye(factors.shape[1])


def _reads_everything(r: FloatArray, o: Any, g: FloatArray, ridge: float) -> FloatArray:
    return np.asarray(np.linalg.solve(g.T @ g + ridge * _eye(g), g.T @ r))


def _unknown_as_zero(r: FloatArray, o: Any, g: FloatArray, ridge: float) -> FloatArray:
    return np.asarray(np.linalg.solve(g.T @ g + ridge * _eye(g), g.T @ np.where(o, r, 0.0)))


fold_in = Exercise(
    name="fold_in",
    oracle=_newcomer_by_least_squares,
    sample=_newcomer_case,
    edge_cases=[
        {
            "ratings": np.array([1.0, -2.0, 0.5]),
            "observed": np.zeros(3, dtype=bool),
            "item_factors": np.array([[1.0, 2.0], [0.0, 1.0], [-1.0, 1.0]]),
            "ridge": 0.5,
        }
    ],
    mistakes=[
        Mistake(
            "Entries that are not observed count as well. "
            "Their numbers mean nothing: leave out the ratings and the rows of item_factors.",
            variant=_reads_everything,
        ),
        Mistake(
            "Unknown ratings count as zeros. The rows of item_factors that belong to them "
            "have to go as well.",
            variant=_unknown_as_zero,
        ),
        Mistake(
            "The ridge is missing. With too few known entries no solution is unique without it.",
            variant=_newcomer_but(lambda g, ridge, o: g.T @ g),
        ),
        Mistake(
            "The ridge is missing.",
            when=lambda case, right, got: np.allclose(
                got,
                np.linalg.pinv(case["item_factors"][case["observed"]])
                @ case["ratings"][case["observed"]],
            ),
        ),
        Mistake(
            "The ridge is added to every entry of the system. It belongs on the diagonal.",
            variant=_newcomer_but(lambda g, ridge, o: g.T @ g + ridge),
        ),
        Mistake(
            "The ridge is subtracted.",
            variant=_newcomer_but(lambda g, ridge, o: g.T @ g - ridge * _eye(g)),
        ),
        Mistake(
            "The ridge is squared.",
            variant=_newcomer_but(lambda g, ridge, o: g.T @ g + ridge**2 * _eye(g)),
        ),
        Mistake(
            "The ridge grows with the number of known ratings. Some authors do that, "
            "this objective does not.",
            variant=_newcomer_but(lambda g, ridge, o: g.T @ g + ridge * np.sum(o) * _eye(g)),
        ),
        Mistake(
            "The right side of the system is right, but the system was never solved.",
            when=lambda case, right, got: np.allclose(
                got, case["item_factors"][case["observed"]].T @ case["ratings"][case["observed"]]
            ),
        ),
        Mistake(
            "These are predicted ratings. The factors of the new user are asked for.",
            when=lambda case, right, got: np.allclose(got, case["item_factors"] @ right),
        ),
    ],
    success="One small system, from the known entries only.",
)
