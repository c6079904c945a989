"""The long run of the capstone: two tasks in a row, watched in the spectra of the hidden layers."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import rankdata

from companion._validation import FloatArray
from companion.data import Task
from companion.network import Adam, Linear, Sequential, accuracy, mlp, predict
from companion.random_matrices import subspace_share, weight_edge
from companion.records.consolidation import Examples, kept_examples, tasks, train

#: Units of each of the two hidden layers.
HIDDEN = 128
#: Drawings of the permutation test and of the bootstrap.
DRAWINGS = 1000


def network(features: int, scale: float, seed: int) -> Sequential:
    """Return a network with two hidden layers, He's weights multiplied by `scale`."""
    # The tasks take the seed itself.
    rng = np.random.default_rng([seed, 0])
    model = mlp([features, HIDDEN, HIDDEN, 10], rng=rng, dtype=np.float32)
    for layer in linear_layers(model):
        layer.weight[...] *= np.float32(scale)
    return model


def linear_layers(model: Sequential) -> list[Linear]:
    """Return the layers with weights; all but the last are hidden."""
    return [layer for layer in model if isinstance(layer, Linear)]


def hidden_weights(model: Sequential) -> list[FloatArray]:
    """Return copies of the weights of the hidden layers, in double precision."""
    return [layer.weight.astype(np.float64) for layer in linear_layers(model)[:-1]]


def leading(weight: FloatArray, k: int) -> tuple[FloatArray, FloatArray]:
    """Return the k leading left and right singular vectors, as columns."""
    U, _, Vt = np.linalg.svd(weight, full_matrices=False)
    return U[:, :k], Vt[:k].T


def shared(a: FloatArray, b: FloatArray) -> float:
    """Return the mean squared cosine of the principal angles between the spans of columns.

    Random subspaces of dimension k in n dimensions share k / n on average.
    """
    return float(subspace_share(a.T, b.T).mean())


# --- One network ----------------------------------------------------------------------------------


def tested(model: Sequential, pair: Sequence[Task], part: str) -> list[float]:
    """Return the accuracies on one part of each task."""
    xy = [(getattr(task, f"x_{part}"), getattr(task, f"y_{part}")) for task in pair]
    return [accuracy(predict(model, x), y) for x, y in xy]


def course(
    student: tuple[Sequential, Adam],
    pools: Sequence[tuple[Examples, float]],
    edges: Sequence[float],
    pair: Sequence[Task],
    *,
    steps: int,
    every: int,
    rng: np.random.Generator,
) -> dict[str, list[Any]]:
    """Train a student in place, and return what is seen every so many steps.

    Accuracies on the tests of both tasks; by hidden layer the number of outliers, the largest
    singular value, and how far the weights and the singular values have moved since the last
    look, relative to their norm.
    """
    model, optimiser = student
    before = hidden_weights(model)
    values = [np.linalg.svd(w, compute_uv=False) for w in before]
    seen: dict[str, list[Any]] = {
        name: [] for name in ("accuracy", "outliers", "largest", "moved", "spectrum moved")
    }
    for _ in range(0, steps, every):
        train(model, optimiser, pools, every, rng)
        now = hidden_weights(model)
        new = [np.linalg.svd(w, compute_uv=False) for w in now]
        seen["accuracy"].append(_rounded(tested(model, pair, "test")))
        seen["outliers"].append([int((s > e).sum()) for s, e in zip(new, edges, strict=True)])
        seen["largest"].append(_rounded([s[0] for s in new]))
        seen["moved"].append(_rounded(_relative(now, before)))
        seen["spectrum moved"].append(_rounded(_relative(new, values)))
        before, values = now, new
    return seen


def _relative(now: Sequence[FloatArray], before: Sequence[FloatArray]) -> list[float]:
    pairs = zip(now, before, strict=True)
    return [float(np.linalg.norm(b - a) / np.linalg.norm(a)) for b, a in pairs]


def _rounded(values: Sequence[float] | FloatArray) -> list[float]:
    return [round(float(value), 4) for value in values]


def quantities(
    start: Sequence[FloatArray],
    middle: Sequence[FloatArray],
    end: Sequence[FloatArray],
    edges: Sequence[float],
    inputs: Sequence[FloatArray],
    k: int,
) -> dict[str, float]:
    """Return what may tell how much of the old task is left; each a mean over hidden layers.

    Distances are relative to the change that the old task made. The first three need no
    spectrum: how far the weights have moved since, how far they move what the old images call
    up, and which part of the old change is still there. Overlaps are means over left and right
    directions.

    Parameters
    ----------
    start, middle, end : sequence of ndarray, shape (outputs, inputs)
        Hidden weights before the old task, after it, and after the new one.
    edges : sequence of float
        From :func:`.weight_edge`, at the deviation of the start.
    inputs : sequence of ndarray, shape (N, inputs)
        What each hidden layer got from the old task's training images, when they were learned.
    k : int
        Directions that count as leading.
    """
    rows = []
    for first, old, new, limit, x in zip(start, middle, end, edges, inputs, strict=True):
        (U, V), (U_new, V_new) = leading(old, k), leading(new, k)
        (dU, dV), (dU_new, dV_new) = leading(old - first, k), leading(new - first, k)
        learned = np.linalg.norm(old - first)
        s_old, s_new = (np.linalg.svd(w, compute_uv=False) for w in (old, new))
        rows.append(
            {
                "distance": np.linalg.norm(new - old) / learned,
                "distance on old images": np.linalg.norm(x @ (new - old).T)
                / np.linalg.norm(x @ (old - first).T),
                "part of the old change": np.sum((new - first) * (old - first)) / learned**2,
                "change of singular values": np.linalg.norm(s_new - s_old) / learned,
                "number of outliers": (s_new > limit).sum(),
                "largest singular value": s_new[0] / s_old[0],
                "overlap of directions": (shared(U, U_new) + shared(V, V_new)) / 2,
                "overlap of changes": (shared(dU, dU_new) + shared(dV, dV_new)) / 2,
                "strength of old directions": np.mean(np.sum(U * (new @ V), axis=0) / s_old[:k]),
            }
        )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def restricted(
    model: Sequential,
    start: Sequence[FloatArray],
    learned: Sequence[FloatArray],
    pair: Sequence[Task],
    k: int,
    rng: np.random.Generator,
) -> dict[str, list[float]]:
    """Return the accuracies on both tasks with part of what the hidden layers have learned.

    The part of the change since the start that reads from, and writes to, the leading k
    directions of what was learned first is kept alone, or removed. As a control a part with
    the same singular values and random directions is removed.
    """
    changed = {name: copy.deepcopy(model) for name in ("kept", "removed", "random removed")}
    for i, (first, change) in enumerate(zip(start, learned, strict=True)):
        weight = linear_layers(model)[i].weight
        U, V = leading(change, k)
        core = U.T @ (weight - first) @ V
        part = U @ core @ V.T
        U, V = (np.linalg.qr(rng.standard_normal((n, k)))[0] for n in weight.shape)
        linear_layers(changed["kept"])[i].weight[...] = first + part
        linear_layers(changed["removed"])[i].weight[...] = weight - part
        linear_layers(changed["random removed"])[i].weight[...] = weight - U @ core @ V.T
    return {name: _rounded(tested(net, pair, "test")) for name, net in changed.items()}


def with_old_outputs(model: Sequential, old_model: Sequential, old: Task) -> float:
    """Return the accuracy on the old task when the last layer is set back to that of then."""
    mixed = copy.deepcopy(model)
    now, then = linear_layers(mixed)[-1], linear_layers(old_model)[-1]
    now.weight[...] = then.weight
    now.parameters()["bias"][...] = then.parameters()["bias"]
    return round(tested(mixed, [old], "test")[0], 4)


def _hidden_inputs(model: Sequential, x: FloatArray) -> list[FloatArray]:
    found: list[FloatArray] = []
    for layer in model:
        if isinstance(layer, Linear):
            found.append(x.astype(np.float64))
        x = layer.forward(x)
    return found[:-1]


def two_tasks(
    kind: str,
    scale: float,
    lr: float,
    seed: int,
    *,
    steps: int,
    every: int,
    budgets: Sequence[int | None],
    directions: int,
) -> dict[str, Any]:
    """Learn an old task and, from there, a new one in each way; return what was seen.

    The ways take the same number of steps: the old task alone, the new one alone, and the new
    one with half of every batch replayed from so many kept examples of the old one, or from all.
    As a control all of them are replayed with their labels mixed up. As a ceiling, a network
    learns both from the start, in as many steps as the others in all.
    """
    old, new = pair = tasks(kind, seed)
    yesterday, today = (old.x_train, old.y_train), (new.x_train, new.y_train)
    model = network(old.features, scale, seed)
    student = model, Adam(lr)
    start = hidden_weights(model)
    edges = [weight_edge(w.shape[0], w.shape[1], float(w.std())) for w in start]

    def followed(weights: Sequence[FloatArray]) -> dict[str, float]:
        found = quantities(start, middle, weights, edges, inputs, directions)
        return {name: round(value, 4) for name, value in found.items()}

    def look(run: dict[str, list[Any]], net: Sequential) -> dict[str, Any]:
        return {
            "accuracy": run["accuracy"][-1],
            "course": run,
            "restricted": restricted(net, start, learned, pair, directions, control),
            "with old outputs": with_old_outputs(net, model, old),
            "quantities": followed(hidden_weights(net)),
        }

    first = course(
        student,
        [(yesterday, 1.0)],
        edges,
        pair,
        steps=steps,
        every=every,
        rng=np.random.default_rng([seed, 1]),
    )
    middle, inputs = hidden_weights(model), _hidden_inputs(model, old.x_train)
    learned = [b - a for a, b in zip(start, middle, strict=True)]
    control = np.random.default_rng([seed, 2])
    found = {"after the old task": look(first, model)}
    for number, (name, pools) in enumerate(_ways(yesterday, today, old, budgets, seed).items()):
        way = copy.deepcopy(student)
        run = course(
            way,
            pools,
            edges,
            pair,
            steps=steps,
            every=every,
            rng=np.random.default_rng([seed, 3, number]),
        )
        found[name] = look(run, way[0])
    both = network(old.features, scale, seed)
    run = course(
        (both, Adam(lr)),
        [(yesterday, 0.5), (today, 0.5)],
        edges,
        pair,
        steps=2 * steps,
        every=2 * every,
        rng=np.random.default_rng([seed, 5]),
    )
    found["both from the start"] = look(run, both)
    return {"ways": found, "before": followed(start)}


def _ways(
    yesterday: Examples, today: Examples, old: Task, budgets: Sequence[int | None], seed: int
) -> dict[str, list[tuple[Examples, float]]]:
    ways = {"old task only": [(yesterday, 1.0)], "no replay": [(today, 1.0)]}
    for budget in budgets:
        kept = kept_examples(old, budget, np.random.default_rng([seed, 4]))
        name = "all" if budget is None else str(budget)
        ways[f"replay of {name}"] = [(today, 0.5), (kept, 0.5)]
    x, y = yesterday
    mixed_up = x, np.random.default_rng([seed, 6]).permutation(y)
    ways["labels mixed up"] = [(today, 0.5), (mixed_up, 0.5)]
    return ways


def choose(
    kind: str, scale: float, lr: float, seed: int, *, steps: int, budget: int | None
) -> float:
    """Return the mean validation accuracy on both of the tasks for choosing, with replay."""
    old, new = pair = tasks(kind, seed, choosing=True)
    yesterday, today = (old.x_train, old.y_train), (new.x_train, new.y_train)
    model, rng = network(old.features, scale, seed), np.random.default_rng([seed, 1])
    optimiser = Adam(lr)
    train(model, optimiser, [(yesterday, 1.0)], steps, rng)
    kept = kept_examples(old, budget, rng)
    train(model, optimiser, [(today, 0.5), (kept, 0.5)], steps, rng)
    return float(np.mean(tested(model, pair, "val")))


# --- What tells how much is left ------------------------------------------------------------------


def _ranks(values: FloatArray) -> FloatArray:
    """Return ranks along the last axis, centred and of length one, or 0 where nothing varies."""
    ranks = rankdata(values, axis=-1) - (values.shape[-1] + 1) / 2
    norm = np.linalg.norm(ranks, axis=-1, keepdims=True)
    return np.asarray(np.divide(ranks, norm, out=np.zeros_like(ranks), where=norm > 0))


def rank_correlation(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return Spearman's rank correlation along the last axis, 0 where one does not vary."""
    return np.asarray((_ranks(a) * _ranks(b)).sum(axis=-1))


def association(
    values: FloatArray, outcome: FloatArray, reference: FloatArray, rng: np.random.Generator
) -> dict[str, float]:
    """Return how well a quantity orders an outcome, over ways and within each.

    Parameters
    ----------
    values, outcome, reference : ndarray, shape (ways, seeds)
        The quantity, the accuracy on the old task, and the quantity to be compared with.
    rng : Generator

    Returns
    -------
    dict
        ``"all"``: rank correlation over all networks, ``"low"`` and ``"high"`` its 95 %
        interval when seeds are drawn again with replacement, ``"beats"`` in which share of these
        it is further from zero than that of the reference; ``"within"``: the mean of the rank
        correlations among the seeds of one way, ``"p"`` how often it is as far from zero when
        seeds are mixed up within ways.
    """
    ways, seeds = values.shape
    rows = rng.integers(seeds, size=(DRAWINGS, 1, seeds))
    v, y, other = (
        np.take_along_axis(x[None], rows, axis=2).reshape(DRAWINGS, ways * seeds)
        for x in (values, outcome, reference)
    )
    drawn = rank_correlation(v, y)
    mixed_up = rng.permuted(np.tile(outcome, (DRAWINGS, 1, 1)), axis=2)
    mixed = rank_correlation(values, mixed_up).mean(axis=1)
    observed = float(rank_correlation(values, outcome).mean())
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "all": float(rank_correlation(values.ravel(), outcome.ravel())),
        "low": float(low),
        "high": float(high),
        "beats": float(np.mean(np.abs(drawn) > np.abs(rank_correlation(other, y)))),
        "within": observed,
        "p": float((1 + np.sum(np.abs(mixed) >= abs(observed) - 1e-12)) / (1 + DRAWINGS)),
    }


def associations(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return :func:`association` for every quantity, over all ways to learn the new task second."""
    others = ("after the old task", "old task only", "both from the start")
    names = [n for n in runs[0]["ways"] if n not in others]
    outcome = np.array([[run["ways"][n]["accuracy"][0] for run in runs] for n in names])
    table = {
        q: np.array([[run["ways"][n]["quantities"][q] for run in runs] for n in names])
        for q in runs[0]["ways"][names[0]]["quantities"]
    }
    return {
        q: {
            name: round(value, 4)
            for name, value in association(
                values, outcome, table["distance"], np.random.default_rng(0)
            ).items()
        }
        for q, values in table.items()
    }


def _courses(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Take the courses out of the runs, and return their means over seeds."""
    found: dict[str, dict[str, Any]] = {}
    for name in runs[0]["ways"]:
        courses = [run["ways"][name].pop("course") for run in runs]
        found[name] = {
            key: [_rounded(row) for row in np.mean([c[key] for c in courses], axis=0)]
            for key in courses[0]
        }
    return found


def _gathered(rows: Sequence[Any]) -> Any:
    """Return one tree of lists, one entry a seed, from one tree a seed."""
    if isinstance(rows[0], dict):
        return {key: _gathered([row[key] for row in rows]) for key in rows[0]}
    return list(rows)


def replay(
    *,
    kinds: Sequence[str],
    scales: Sequence[float],
    rates: Sequence[float],
    choose_seeds: Sequence[int],
    choose_budget: int,
    seeds: Sequence[int],
    steps: int,
    every: int,
    budgets: Sequence[int | None],
    directions: int,
    jobs: int = 1,
) -> dict[str, Any]:
    """Return what the spectra show while a new task follows an old one, with and without replay.

    Parameters
    ----------
    kinds : sequence of str
        "split" or "permuted", see :func:`companion.records.consolidation.tasks`.
    scales : sequence of float
        Of the initial weights, 1 for He's.
    rates : sequence of float
        Learning rates of Adam. One is chosen for each kind and scale on tasks of its own, on
        their validation parts, with replay from `choose_budget` examples.
    choose_seeds : sequence of int
    choose_budget : int
    seeds : sequence of int
    steps, every : int
        Steps on each task, and between two looks.
    budgets : sequence of int or None
        Examples of the old task that are kept; None for all.
    directions : int
        Leading directions that are followed.
    jobs : int, default 1
        Networks trained at the same time.

    Returns
    -------
    dict
        By kind and scale: the rate, :func:`associations`, the ``"courses"`` as means over
        seeds, and by way what :func:`two_tasks` found, in lists of one entry a seed.
    """
    pool = Parallel(n_jobs=jobs)
    results: dict[str, Any] = {}
    for kind in kinds:
        for scale in scales:
            scores = pool(
                delayed(choose)(kind, scale, lr, seed, steps=steps, budget=choose_budget)
                for lr in rates
                for seed in choose_seeds
            )
            means = np.reshape(scores, (len(rates), -1)).mean(axis=1)
            lr = float(rates[int(means.argmax())])
            runs = pool(
                delayed(two_tasks)(
                    kind,
                    scale,
                    lr,
                    seed,
                    steps=steps,
                    every=every,
                    budgets=budgets,
                    directions=directions,
                )
                for seed in seeds
            )
            results[f"{kind}, {scale:g}"] = {
                "choices": dict(zip(map(str, rates), _rounded(means), strict=True)),
                "rate": lr,
                "association": associations(runs),
                "courses": _courses(runs),
                "before": _gathered([run["before"] for run in runs]),
                "ways": {
                    name: _gathered([run["ways"][name] for run in runs]) for name in runs[0]["ways"]
                },
            }
    return results
