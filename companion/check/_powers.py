"""The exercises of the lesson *Rank, eigenvalues, powers*."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import optimize

from companion._validation import FloatArray, IntArray
from companion.check._engine import Exercise, Mistake, distinct_sizes
from companion.matrices.powers import power_products

Pair = tuple[Any, Any]


def _iteration_case(rng: np.random.Generator) -> Mapping[str, Any]:
    n, steps = distinct_sizes(rng, 2)
    return {"matrix": rng.normal(size=(n, n)), "start": rng.normal(size=n), "steps": steps}


def _unit(x: FloatArray) -> FloatArray:
    return np.asarray(x / np.linalg.norm(x))


def _by_one_power(matrix: FloatArray, start: FloatArray, steps: int) -> Pair:
    scaled = matrix / np.linalg.norm(matrix)
    x = _unit(np.linalg.matrix_power(scaled, steps) @ start)
    return float(x @ matrix @ x), x


def _iteration_but(
    change: Callable[[FloatArray, FloatArray], Pair],
    *,
    extra: int = 0,
    normalise: Callable[[FloatArray], FloatArray] = _unit,
) -> Callable[[FloatArray, FloatArray, int], Pair]:
    """Return the iteration with another last line: ``change(matrix, x)``."""

    def wrong(matrix: FloatArray, start: FloatArray, steps: int) -> Pair:
        x = start
        for _ in range(steps + extra):
            x = normalise(matrix @ x)
        return change(matrix, x)

    return wrong


def _quotient_and_vector(matrix: FloatArray, x: FloatArray) -> Pair:
    return x @ matrix @ x, x


def _quotient_of_last_but_one(matrix: FloatArray, start: FloatArray, steps: int) -> Pair:
    value: Any = None
    x = start
    for _ in range(steps):
        y = matrix @ _unit(x)
        value, x = _unit(x) @ y, _unit(y)
    return value, x


def _mixed_quotient(matrix: FloatArray, start: FloatArray, steps: int) -> Pair:
    y = x = start
    for _ in range(steps):
        y = matrix @ x
        x = _unit(y)
    return x @ y, x


def _normalised_at_the_end(matrix: FloatArray, start: FloatArray, steps: int) -> Pair:
    x = start
    for _ in range(steps):
        x = matrix @ x
    return _quotient_and_vector(matrix, _unit(x))


top_eigenvalue = Exercise(
    name="top_eigenvalue",
    oracle=_by_one_power,
    sample=_iteration_case,
    outputs=("value", "vector"),
    edge_cases=[
        {
            "matrix": 1e7 * np.array([[2.0, 1.0], [0.5, -3.0]]),
            "start": np.array([1.0, 1.0]),
            "steps": 100,
        },
        {"matrix": np.array([[-2.0]]), "start": np.array([3.0]), "steps": 1},
    ],
    mistakes=[
        Mistake(
            "It is right for a few steps only: without a division in each step, the numbers grow "
            "beyond the range of floating point.",
            variant=_normalised_at_the_end,
        ),
        Mistake(
            "The vector is right, but the value belongs to the vector one step earlier.",
            variant=_quotient_of_last_but_one,
        ),
        Mistake(
            "The vector is right, but the value mixes two steps: it multiplies the new vector with "
            "the product from the one before. Take the product of the matrix and the new vector.",
            variant=_mixed_quotient,
        ),
        Mistake(
            "The value is a length, which is never negative. The Rayleigh quotient keeps the sign.",
            variant=_iteration_but(lambda matrix, x: (np.linalg.norm(matrix @ x), x)),
        ),
        Mistake(
            "It takes one step too few.",
            variant=_iteration_but(_quotient_and_vector, extra=-1),
        ),
        Mistake(
            "It takes one step too many.",
            variant=_iteration_but(_quotient_and_vector, extra=1),
        ),
        Mistake(
            "The vector is divided by its largest entry. Its length should be 1.",
            variant=_iteration_but(_quotient_and_vector, normalise=lambda x: x / np.abs(x).max()),
        ),
        Mistake(
            "The vector is divided by the sum of its entries in size. Its Euclidean length should "
            "be 1.",
            variant=_iteration_but(_quotient_and_vector, normalise=lambda x: x / np.abs(x).sum()),
        ),
        Mistake(
            "The vector is divided by its squared length.",
            variant=_iteration_but(_quotient_and_vector, normalise=lambda x: x / (x @ x)),
        ),
        Mistake(
            "It multiplies from the left, which applies the transpose.",
            variant=lambda matrix, start, steps: _by_one_power(matrix.T, start, steps),
        ),
        Mistake(
            "The value is that of the vector times the last one before it was divided: "
            "one product too many without a division.",
            variant=_iteration_but(lambda matrix, x: ((matrix @ x) @ (matrix @ x), x)),
        ),
        Mistake(
            "Both results are right, but in another order: value, vector is asked for.",
            when=lambda case, right, got: (
                np.allclose(got[0], right[1]) and np.allclose(got[1], right[0])
            ),
        ),
    ],
    success="Value and vector are right, with large eigenvalues too.",
)


def _power_case(rng: np.random.Generator) -> Mapping[str, Any]:
    n = int(rng.integers(2, 6))
    matrix = rng.normal(size=(n, n)) / np.sqrt(n)
    return {"matrix": matrix, "exponent": int(rng.integers(2, 41))}


def _power_and_formula(matrix: FloatArray, exponent: int) -> Pair:
    return np.linalg.matrix_power(matrix, exponent), power_products(exponent)


def _power_but(
    power: Callable[[FloatArray, int], FloatArray] = np.linalg.matrix_power,
    products: Callable[[int], int] = power_products,
) -> Callable[[FloatArray, int], Pair]:
    return lambda matrix, exponent: (power(matrix, exponent), products(exponent))


counted_power = Exercise(
    name="counted_power",
    oracle=_power_and_formula,
    sample=_power_case,
    outputs=("power", "products"),
    edge_cases=[
        {"matrix": np.array([[1.0, 1.0], [1.0, 0.0]]), "exponent": 1},
        {"matrix": np.array([[0.9, 1.0], [0.0, 0.9]]), "exponent": 64},
        {"matrix": np.array([[0.9, 1.0], [0.0, 0.9]]), "exponent": 63},
    ],
    mistakes=[
        Mistake(
            "The power is right, but it takes as many products as multiplying one factor at a "
            "time. Compute the half once, and square it.",
            variant=_power_but(products=lambda k: k - 1),
        ),
        Mistake(
            "The power is right, but there is always one product too many: one with the identity, "
            "or a square that nothing uses.",
            variant=_power_but(products=lambda k: power_products(k) + 1),
        ),
        Mistake(
            "The power is right, but there are always two products too many: one with the "
            "identity, and a square at the end that nothing uses.",
            variant=_power_but(products=lambda k: power_products(k) + 2),
        ),
        Mistake(
            "The power is right, but only the squarings are counted. "
            "An odd exponent takes one more product.",
            variant=_power_but(products=lambda k: k.bit_length() - 1),
        ),
        Mistake(
            "The power is right, but the squarings are not counted.",
            variant=_power_but(products=lambda k: k.bit_count() - 1),
        ),
        Mistake(
            "The power is right, but the count is the bound, rounded down. "
            "Most exponents take fewer products.",
            variant=_power_but(products=lambda k: int(2 * np.log2(k))),
        ),
        Mistake(
            "Each entry is raised to the power by itself. A matrix power is made of products.",
            variant=_power_but(power=lambda matrix, k: np.asarray(matrix**k)),
        ),
        Mistake(
            "What an odd exponent leaves over is lost: the exponent used is a power of two.",
            when=lambda case, right, got: np.allclose(
                got[0],
                np.linalg.matrix_power(case["matrix"], 2 ** (case["exponent"].bit_length() - 1)),
            ),
        ),
        Mistake(
            "The matrix is multiplied in once too often.",
            when=lambda case, right, got: np.allclose(got[0], right[0] @ case["matrix"]),
        ),
        Mistake(
            "Both results are right, but in another order: power, products is asked for.",
            when=lambda case, right, got: (
                np.shape(got[1]) == right[0].shape
                and np.allclose(got[1], right[0])
                and got[0] == right[1]
            ),
        ),
    ],
    success="The power is right, and no product is wasted.",
)

_STEPS = np.arange(1, 401)


def _link_case(rng: np.random.Generator) -> Mapping[str, Any]:
    return {"radius": rng.uniform(0.5, 0.95), "growth": 2.0 * 10.0 ** rng.uniform(0, 2)}


def _peak(radius: float, link: float) -> float:
    blocks = np.zeros((len(_STEPS), 2, 2))
    blocks[:, 0, 0] = blocks[:, 1, 1] = radius**_STEPS
    blocks[:, 0, 1] = _STEPS * radius ** (_STEPS - 1.0) * link
    return float(np.linalg.norm(blocks, 2, axis=(1, 2)).max())


def _link_by_root_finding(radius: float, growth: float) -> float:
    return float(
        optimize.brentq(lambda link: _peak(radius, link) - growth, 0.0, growth, xtol=1e-13)
    )


def _links(radius: float, growth: float, steps: IntArray | float = _STEPS) -> FloatArray:
    """Return the link that brings the norm of each power to the growth."""
    above = growth - radius ** (2.0 * steps) / growth
    return np.asarray(above / (steps * radius ** (steps - 1.0)))


def _frobenius_links(radius: float, growth: float) -> FloatArray:
    square = growth**2 - 2 * radius ** (2.0 * _STEPS)
    return np.asarray(np.sqrt(square) / (_STEPS * radius ** (_STEPS - 1.0)))


link_for_growth = Exercise(
    name="link_for_growth",
    oracle=_link_by_root_finding,
    sample=_link_case,
    edge_cases=[
        {"radius": 0.9, "growth": 100.0},
        {"radius": 0.5, "growth": 2.0},
        {"radius": 0.95, "growth": 2.0},
    ],
    rtol=1e-8,
    mistakes=[
        Mistake(
            "With this link the norm of the matrix itself is the growth. "
            "Most of its powers go higher.",
            variant=lambda radius, growth: _links(radius, growth)[0],
        ),
        Mistake(
            "It makes the largest entry equal to the growth. "
            "The norm is a little more than that entry.",
            variant=lambda radius, growth: (growth / (_STEPS * radius ** (_STEPS - 1.0))).min(),
        ),
        Mistake(
            "This is right for the Frobenius norm. The largest singular value is asked for.",
            variant=lambda radius, growth: _frobenius_links(radius, growth).min(),
        ),
        Mistake(
            "The peak is placed between two powers. The exponent is a whole number.",
            variant=lambda radius, growth: float(
                _links(radius, growth, max(1.0, -1.0 / np.log(radius)))
            ),
        ),
        Mistake(
            "It tries the first few powers only. Near radius 1 the peak comes later.",
            when=lambda case, right, got: (
                np.ndim(got) == 0
                and any(
                    np.isclose(got, _links(**case)[:last].min(), rtol=1e-8) for last in range(2, 21)
                )
            ),
        ),
        Mistake(
            "The entry above the diagonal has one factor of the radius too many. "
            "Write the second power down by hand.",
            variant=lambda radius, growth: (_links(radius, growth) / radius).min(),
        ),
        Mistake(
            "The link is close, but not to eight digits: let the search go on for longer.",
            when=lambda case, right, got: abs(got - right) <= 1e-3 * right,
        ),
        Mistake(
            "With this link the norm peaks above the growth.",
            when=lambda case, right, got: got > right,
        ),
        Mistake(
            "With this link the norm stays below the growth.",
            when=lambda case, right, got: got < right,
        ),
    ],
    success="The norm peaks at the growth that was ordered.",
)
