"""The exercises of the lesson *Forgetting*."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from companion._validation import FloatArray, IntArray
from companion.check._engine import Exercise, Mistake, distinct_sizes

Metrics = tuple[float, float, float]


def _matrix_case(rng: np.random.Generator) -> Mapping[str, Any]:
    tasks = int(rng.integers(3, 7))
    return {"matrix": rng.random((tasks, tasks))}


def _metrics_by_loops(matrix: FloatArray) -> Metrics:
    tasks = len(matrix)
    average = sum(matrix[tasks - 1, j] for j in range(tasks)) / tasks
    lost, gained = 0.0, 0.0
    for j in range(tasks - 1):
        best = max(matrix[i, j] for i in range(tasks - 1))
        lost += best - matrix[tasks - 1, j]
        gained += matrix[tasks - 1, j] - matrix[j, j]
    return float(average), float(lost / (tasks - 1)), float(gained / (tasks - 1))


def _metrics_but(
    change: Callable[[FloatArray, Metrics], tuple[Any, Any, Any]],
) -> Callable[[FloatArray], tuple[Any, Any, Any]]:
    return lambda matrix: change(matrix, _metrics_by_loops(matrix))


def _mean(array: FloatArray) -> float:
    return float(np.mean(array))


def _diagonal(matrix: FloatArray) -> FloatArray:
    return np.asarray(np.diagonal(matrix))


sequence_metrics = Exercise(
    name="sequence_metrics",
    oracle=_metrics_by_loops,
    sample=_matrix_case,
    outputs=("average accuracy", "forgetting", "backward transfer"),
    edge_cases=[
        {"matrix": np.array([[0.9, 0.5], [0.4, 0.8]])},
        # Better at the end than ever before: forgetting is negative.
        {"matrix": np.array([[0.6, 0.5, 0.5], [0.7, 0.6, 0.5], [0.9, 0.8, 0.7]])},
    ],
    mistakes=[
        Mistake(
            "Rows and columns are exchanged: row i is measured after task i.",
            variant=lambda r: _metrics_by_loops(r.T),
        ),
        Mistake(
            "The average accuracy runs over the whole matrix. It is measured at the end only.",
            variant=_metrics_but(lambda r, m: (_mean(r), m[1], m[2])),
        ),
        Mistake(
            "The average accuracy is that just after training on each task. "
            "It is measured at the end.",
            variant=_metrics_but(lambda r, m: (_mean(_diagonal(r)), m[1], m[2])),
        ),
        Mistake(
            "The best accuracy is looked for in all rows. The last is what it is compared with.",
            variant=_metrics_but(lambda r, m: (m[0], _mean((r.max(axis=0) - r[-1])[:-1]), m[2])),
        ),
        Mistake(
            "Forgetting compares with the accuracy just after training. "
            "It asks for the best one, in whichever row that is.",
            variant=_metrics_but(lambda r, m: (m[0], -m[2], m[2])),
        ),
        Mistake(
            "The best accuracy is looked for only from the training on each task onwards. "
            "The definition takes the rows before it, too.",
            variant=_metrics_but(
                lambda r, m: (
                    m[0],
                    _mean(np.array([r[j:-1, j].max() - r[-1, j] for j in range(len(r) - 1)])),
                    m[2],
                )
            ),
        ),
        Mistake(
            "The last task is counted, too. It has had no time to be forgotten, "
            "so the means run over T - 1 tasks.",
            variant=_metrics_but(
                lambda r, m: (
                    m[0],
                    _mean(r.max(axis=0) - r[-1]),
                    _mean(r[-1] - _diagonal(r)),
                )
            ),
        ),
        Mistake(
            "Both sums are divided by T. There are T - 1 tasks in them.",
            variant=_metrics_but(
                lambda r, m: (m[0], m[1] * (1 - 1 / len(r)), m[2] * (1 - 1 / len(r)))
            ),
        ),
        Mistake(
            "Backward transfer has the wrong sign: it is negative where accuracy fell.",
            variant=_metrics_but(lambda r, m: (m[0], m[1], -m[2])),
        ),
        Mistake(
            "Forgetting has the wrong sign: it is positive where accuracy fell.",
            variant=_metrics_but(lambda r, m: (m[0], -m[1], m[2])),
        ),
    ],
    success="All three agree with the definitions, also where forgetting is negative.",
)


def _softmax_case(rng: np.random.Generator) -> Mapping[str, Any]:
    n, inputs, classes = distinct_sizes(rng, 3)
    return {"x": rng.normal(size=(n, inputs)), "weight": rng.normal(size=(classes, inputs))}


def _fisher_by_samples(x: FloatArray, weight: FloatArray) -> FloatArray:
    total = np.zeros_like(weight)
    for row in x:
        p = special.softmax(weight @ row)
        for c in range(len(weight)):
            gradient = np.outer(np.eye(len(weight))[c] - p, row)
            total += p[c] * gradient**2
    return total / len(x)


def _fisher_but(
    change: Callable[[FloatArray, FloatArray], FloatArray],
) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """Return a wrong answer from the probabilities and the inputs."""
    return lambda x, weight: change(special.softmax(x @ weight.T, axis=1), x)


softmax_fisher = Exercise(
    name="softmax_fisher",
    oracle=_fisher_by_samples,
    sample=_softmax_case,
    edge_cases=[{"x": np.array([[2.0]]), "weight": np.array([[0.0], [0.0]])}],
    mistakes=[
        Mistake(
            "The sum over samples is not divided by their number.",
            variant=_fisher_but(lambda p, x: (p * (1 - p)).T @ x**2),
        ),
        Mistake(
            "The factor of the probabilities is p. Sum the squares of (1 if c is the class, "
            "else 0) minus p, weighted with the probabilities: something smaller comes out.",
            variant=_fisher_but(lambda p, x: p.T @ x**2 / len(x)),
        ),
        Mistake(
            "Only the case that c is the class is counted. If another is, the gradient of "
            "row c is not zero.",
            variant=_fisher_but(lambda p, x: (p * (1 - p) ** 2).T @ x**2 / len(x)),
        ),
        Mistake(
            "It squares p (1 - p). That product is itself the mean of a square.",
            variant=_fisher_but(lambda p, x: ((p * (1 - p)) ** 2).T @ x**2 / len(x)),
        ),
        Mistake(
            "The inputs are not squared.",
            variant=_fisher_but(lambda p, x: (p * (1 - p)).T @ x / len(x)),
        ),
        Mistake(
            "Means are taken before squaring. Each sample has its own gradient, and the squares "
            "are averaged.",
            variant=_fisher_but(
                lambda p, x: np.outer((p * (1 - p)).mean(axis=0), x.mean(axis=0) ** 2)
            ),
        ),
        Mistake(
            "Probabilities and inputs are averaged apart. They belong together sample by sample.",
            variant=_fisher_but(
                lambda p, x: np.outer((p * (1 - p)).mean(axis=0), (x**2).mean(axis=0))
            ),
        ),
        Mistake(
            "The softmax runs over the samples. Each row is one sample.",
            variant=lambda x, w: (
                (special.softmax(x @ w.T, axis=0) * (1 - special.softmax(x @ w.T, axis=0))).T
                @ x**2
                / len(x)
            ),
        ),
    ],
    success="It agrees with the sum over samples and classes, and needs one matrix product.",
)


def _stream_case(rng: np.random.Generator) -> Mapping[str, Any]:
    budget = int(rng.integers(2, 6))
    n = budget + int(rng.integers(5, 20))
    return {
        "stream": rng.normal(size=n).round(3),
        "budget": budget,
        "draws": rng.integers(0, np.arange(1, n + 1)),
    }


def _reservoir_by_places(stream: NDArray[Any], budget: int, draws: IntArray) -> NDArray[Any]:
    kept = []
    for place in range(min(budget, len(stream))):
        later = [i for i in range(budget, len(stream)) if draws[i] == place]
        kept.append(stream[later[-1] if later else place])
    return np.array(kept)


def _reservoir_but(
    *,
    first: int = 0,
    replaces: Callable[[int, int, int], bool] = lambda i, draw, budget: draw < budget,
    place: Callable[[int, int, int], int] = lambda i, draw, budget: draw,
) -> Callable[[NDArray[Any], int, IntArray], NDArray[Any]]:
    """Return the algorithm with another start, another rule or another place."""

    def wrong(stream: NDArray[Any], budget: int, draws: IntArray) -> NDArray[Any]:
        kept = stream[:budget].copy()
        for i in range(budget + first, len(stream)):
            if replaces(i, int(draws[i]), budget):
                kept[place(i, int(draws[i]), budget)] = stream[i]
        return kept

    return wrong


def _drawn_before_it_is_full(stream: NDArray[Any], budget: int, draws: IntArray) -> NDArray[Any]:
    kept = stream[:budget].copy()
    for i in range(len(stream)):
        if draws[i] < budget:
            kept[draws[i]] = stream[i]
    return kept


reservoir = Exercise(
    name="reservoir",
    oracle=_reservoir_by_places,
    sample=_stream_case,
    edge_cases=[
        {"stream": np.array([5.0, 6.0]), "budget": 3, "draws": np.array([0, 1])},
        {"stream": np.array([5.0, 6.0, 7.0]), "budget": 3, "draws": np.array([0, 0, 0])},
    ],
    mistakes=[
        Mistake(
            "These are the last items of the stream. Early ones need the same chance to stay.",
            variant=lambda stream, budget, draws: stream[-budget:].copy(),
        ),
        Mistake(
            "These are the first items of the stream. Later ones need the same chance to come in.",
            variant=lambda stream, budget, draws: stream[:budget].copy(),
        ),
        Mistake(
            "Every item comes in. An item whose draw is not below the budget is dropped.",
            variant=_reservoir_but(
                replaces=lambda i, draw, budget: True,
                place=lambda i, draw, budget: draw % budget,
            ),
        ),
        Mistake(
            "Every item comes in, in turn. Its draw says whether, and where.",
            variant=_reservoir_but(
                replaces=lambda i, draw, budget: True,
                place=lambda i, draw, budget: i % budget,
            ),
        ),
        Mistake(
            "The item goes to another place than its draw says.",
            variant=_reservoir_but(place=lambda i, draw, budget: i % budget),
        ),
        Mistake(
            "The item goes to another place than its draw says: counted from the end.",
            variant=_reservoir_but(place=lambda i, draw, budget: budget - 1 - draw),
        ),
        Mistake(
            "The first item after the places are full is passed over.",
            variant=_reservoir_but(first=1),
        ),
        Mistake(
            "A draw of exactly the budget brings an item in; there is no such place.",
            variant=_reservoir_but(
                replaces=lambda i, draw, budget: draw <= budget,
                place=lambda i, draw, budget: draw - (draw == budget),
            ),
        ),
        Mistake(
            "A draw of zero is not used. Place 0 is as good as any other.",
            variant=_reservoir_but(replaces=lambda i, draw, budget: 0 < draw < budget),
        ),
        Mistake(
            "The draws are counted from the first item after the places are full. "
            "Item i belongs to draws[i].",
            variant=lambda stream, budget, draws: _reservoir_by_places(
                stream, budget, np.concatenate([draws[:budget], draws])[: len(draws)]
            ),
        ),
        Mistake(
            "The draws are used while there are still free places. The first items just fill them.",
            variant=_drawn_before_it_is_full,
        ),
    ],
    success="Right for every stream, also for one that is shorter than the budget.",
)
