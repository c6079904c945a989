"""The long runs of the lesson on consolidation: when to stop, and how to share a night."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from companion import data
from companion._validation import FloatArray, IntArray
from companion.data import Task
from companion.memory.consolidation import (
    Notebook,
    Teacher,
    best_stopping_time,
    consolidate,
)
from companion.network import Adam, CrossEntropyLoss, Layer, accuracy, fit, mlp, predict

#: Times at which a student may stop.
TIMES: FloatArray = np.append(np.geomspace(0.01, 1000.0, 81), np.inf)
#: Examples in a batch, hidden units, and units of the notebook with how many are active.
BATCH, HIDDEN, UNITS, ACTIVE = 32, 100, 2000, 50

Examples = tuple[FloatArray, IntArray]


def estimated_snr(x: FloatArray, y: FloatArray) -> float:
    """Return the signal-to-noise ratio at which the outputs are most probable.

    Under normal weights and noise the outputs are normal, and along the left singular vectors
    of the inputs they are independent, with variances proportional to 1 + ratio * eigenvalue.
    """
    ratios = np.geomspace(1e-3, 1e3, 241)
    U, s, _ = np.linalg.svd(x)
    eigenvalues = np.concatenate([s**2, np.zeros(len(x) - len(s))])
    spread = 1 + ratios[:, None] * eigenvalues
    level = ((U.T @ y) ** 2 / spread).mean(axis=1)
    score = np.log(level) + np.log(spread).mean(axis=1)
    return float(ratios[score.argmin()])


def _errors(x: FloatArray, y: FloatArray, kept: IntArray) -> FloatArray:
    """Return the error on the examples left out, by time, of a student of those kept."""
    out = np.setdiff1d(np.arange(len(x)), kept)
    students = consolidate(x[kept], y[kept], TIMES)
    return np.asarray(((students @ x[out].T - y[out]) ** 2).mean(axis=1))


def stopping(
    *, units: int, loads: Sequence[float], ratios: Sequence[float], seeds: Sequence[int]
) -> dict[str, Any]:
    """Return errors on new examples, per seed, under several rules of when to stop.

    The rules: never start, never stop, the best time for these examples, the best on average in
    closed form (these three need the teacher), the best on a fifth of the examples left out, the
    best on average over five such fifths with all examples replayed afterwards, and the closed
    form with a ratio estimated from the examples.
    """
    results: dict[str, Any] = {}
    for load in loads:
        for ratio in ratios:
            rows = [_one_stopping(units, load, ratio, seed) for seed in seeds]
            results[f"{load:g}, {ratio:g}"] = {
                name: [row[name] for row in rows] for name in rows[0]
            }
    return {"errors": results}


def _one_stopping(units: int, load: float, ratio: float, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    teacher = Teacher(units, ratio, rng=rng)
    x, y = teacher.examples(round(load * units), rng=rng)
    errors = teacher.error(consolidate(x, y, TIMES))
    folds = np.array_split(rng.permutation(len(x)), 5)
    kept = [np.setdiff1d(np.arange(len(x)), fold) for fold in folds]
    left_out = [_errors(x, y, rows) for rows in kept]
    held = consolidate(x[kept[0]], y[kept[0]], TIMES)[int(np.argmin(left_out[0]))]
    guess = estimated_snr(x, y)

    def after(snr: float) -> float:
        return float(teacher.error(consolidate(x, y, best_stopping_time(load, snr))))

    return {
        "never start": float(teacher.error(np.zeros(units))),
        "never stop": float(errors[-1]),
        "best for these examples": float(errors.min()),
        "best on average": after(ratio),
        "a fifth left out": float(teacher.error(held)),
        "five fifths": float(errors[int(np.argmin(np.mean(left_out, axis=0)))]),
        "estimated ratio": after(guess),
        "estimate": guess,
    }


# --- Wake and sleep -------------------------------------------------------------------------------


def tasks(kind: str, seed: int, *, choosing: bool = False) -> tuple[Task, Task]:
    """Return an old and a new task. Those for choosing are made otherwise than those reported.

    "split": the digits 0 to 4, then 5 to 9; for choosing, the even and then the odd ones.
    "permuted": all digits, then all with permuted pixels; for choosing, other permutations.
    """
    split_rng = seed + 1000 * choosing
    if kind == "split":
        halves = [range(0, 10, 2), range(1, 10, 2)] if choosing else [range(5), range(5, 10)]
        old, new = data.split_tasks(halves, split_rng=split_rng, dtype=np.float32)
    else:
        old, new = data.permuted_tasks(2, rng=split_rng, split_rng=split_rng, dtype=np.float32)
    return old, new


def kept_examples(task: Task, budget: int | None, rng: np.random.Generator) -> Examples:
    """Return the examples that the notebook keeps: so many, or with None all."""
    rows = rng.permutation(len(task.x_train))[:budget]
    return task.x_train[rows], task.y_train[rows]


def dreamed(
    old: Examples, n: int, rng: np.random.Generator, *, units: int = UNITS, active: int = ACTIVE
) -> tuple[Examples, dict[str, float]]:
    """Return examples that a notebook reads out after noise has settled, and how it settled."""
    x, y = old
    middle = x.mean(axis=0)
    values = np.column_stack([x - middle, np.eye(10, dtype=x.dtype)[y]])
    notebook = Notebook(values, units=units, active=active, rng=rng)
    dreams = notebook.reactivate(n, rng=rng)
    read = notebook.read(dreams.states)
    counts = np.bincount(dreams.match[dreams.match >= 0], minlength=len(x))
    labels = read[:, -10:].argmax(axis=1)
    matched = dreams.match >= 0
    facts = {
        "matched": float(matched.mean()),
        "examples seen": float((counts > 0).mean()),
        "right label": float((labels[matched] == y[dreams.match[matched]]).mean()),
    }
    return (read[:, :-10] + middle, labels), facts


def train(
    model: Layer,
    optimiser: Adam,
    pools: Sequence[tuple[Examples, float]],
    steps: int,
    rng: np.random.Generator,
) -> None:
    """Take so many steps on batches drawn from pools of examples, each with its share."""
    if not steps:
        return
    n = steps * BATCH
    which = rng.choice(len(pools), size=n, p=[share for _, share in pools])
    parts_x, parts_y = [], []
    for k, ((x, y), _) in enumerate(pools):
        rows = rng.integers(len(x), size=int((which == k).sum()))
        parts_x.append(x[rows])
        parts_y.append(y[rows])
    x_all, y_all = np.concatenate(parts_x), np.concatenate(parts_y)
    loss = CrossEntropyLoss()
    fit(model, loss, optimiser, x_all, y_all, epochs=1, batch_size=BATCH, rng=rng)


def share_the_time(
    student: tuple[Layer, Adam],
    new: Examples,
    replay: Examples,
    *,
    fraction: float,
    cycle: int | None,
    steps: int,
    rng: np.random.Generator,
) -> Layer:
    """Return a student that has learned the new task in wake and replayed in sleep.

    Each cycle has ``(1 - fraction) * cycle`` steps of wake, then sleep for the rest. Without a
    cycle wake and sleep share every batch.
    """
    model, optimiser = copy.deepcopy(student)
    if cycle is None:
        train(model, optimiser, [(new, 1 - fraction), (replay, fraction)], steps, rng)
        return model
    for start in range(0, steps, cycle):
        length = min(cycle, steps - start)
        asleep = round(fraction * length)
        train(model, optimiser, [(new, 1.0)], length - asleep, rng)
        train(model, optimiser, [(replay, 1.0)], asleep, rng)
    return model


def _tested(model: Layer, old: Task, new: Task, *, part: str) -> list[float]:
    pairs = [(getattr(task, f"x_{part}"), getattr(task, f"y_{part}")) for task in (old, new)]
    return [accuracy(predict(model, x), y) for x, y in pairs]


def _student(old: Task, lr: float, steps: int, rng: np.random.Generator) -> tuple[Layer, Adam]:
    model = mlp([old.features, HIDDEN, 10], rng=rng, dtype=np.float32)
    optimiser = Adam(lr)
    train(model, optimiser, [((old.x_train, old.y_train), 1.0)], steps, rng)
    return model, optimiser


def sleep(
    *,
    kind: str,
    rates: Sequence[float],
    choose_seeds: Sequence[int],
    seeds: Sequence[int],
    steps: int,
    fractions: Sequence[float],
    budgets: Sequence[int | None],
    cycle: int,
    cycles: Sequence[int | None],
    dream_budget: int,
    networks: Mapping[str, Mapping[str, int]],
) -> dict[str, Any]:
    """Return accuracies [old, new], one pair per seed, after the same number of steps each.

    The learning rate is chosen on other tasks and their validation parts. Reported are tests:
    by fraction of sleep and budget, by length of the cycle, and by what is replayed.
    """

    def choose(lr: float) -> float:
        scores = []
        for seed in choose_seeds:
            old, new = tasks(kind, seed, choosing=True)
            rng = np.random.default_rng(seed)
            student = _student(old, lr, steps, rng)
            replay = kept_examples(old, dream_budget, rng)
            model = share_the_time(
                student,
                (new.x_train, new.y_train),
                replay,
                fraction=0.5,
                cycle=cycle,
                steps=steps,
                rng=rng,
            )
            scores.append(np.mean(_tested(model, old, new, part="val")))
        return float(np.mean(scores))

    choices = {f"{lr:g}": choose(lr) for lr in rates}
    lr = float(max(choices, key=lambda name: choices[name]))
    rows = [
        _one_sleeper(
            kind,
            lr,
            seed,
            steps=steps,
            fractions=fractions,
            budgets=budgets,
            cycle=cycle,
            cycles=cycles,
            dream_budget=dream_budget,
            networks=networks,
        )
        for seed in seeds
    ]
    gathered: dict[str, Any] = {
        group: {name: [row[group][name] for row in rows] for name in rows[0][group]}
        for group in rows[0]
    }
    return {"choices": choices, "rate": lr, **gathered}


def _one_sleeper(
    kind: str,
    lr: float,
    seed: int,
    *,
    steps: int,
    fractions: Sequence[float],
    budgets: Sequence[int | None],
    cycle: int,
    cycles: Sequence[int | None],
    dream_budget: int,
    networks: Mapping[str, Mapping[str, int]],
) -> dict[str, dict[str, Any]]:
    old, new = tasks(kind, seed)
    fresh = new.x_train, new.y_train
    student = _student(old, lr, steps, np.random.default_rng(seed))

    def after(replay: Examples, fraction: float, length: int | None) -> list[float]:
        # Every condition draws from a generator of its own, so that none moves another.
        rng = np.random.default_rng([seed, round(1000 * fraction), length or 0])
        model = share_the_time(
            student, fresh, replay, fraction=fraction, cycle=length, steps=steps, rng=rng
        )
        return _tested(model, old, new, part="test")

    def kept(budget: int | None) -> Examples:
        return kept_examples(old, budget, np.random.default_rng(seed))

    ends = {
        "before": _tested(student[0], old, new, part="test"),
        "wake only": after(kept(None), 0.0, cycle),
        "sleep only": after(kept(None), 1.0, cycle),
    }
    shared = {
        f"{'all' if budget is None else budget}, {fraction:g}": after(kept(budget), fraction, cycle)
        for budget in budgets
        for fraction in fractions
    }
    rhythm = {
        "every batch" if length is None else f"{length}": after(kept(dream_budget), 0.5, length)
        for length in cycles
    }
    x, y = kept(dream_budget)
    mixed_up = np.random.default_rng([seed, 2]).permutation(y)
    sources = {
        "the examples": after((x, y), 0.5, cycle),
        "their labels mixed up": after((x, mixed_up), 0.5, cycle),
    }
    facts = {}
    for name, sizes in networks.items():
        dreams, facts[name] = dreamed((x, y), 2000, np.random.default_rng([seed, 1]), **sizes)
        sources[name] = after(dreams, 0.5, cycle)
    return {"ends": ends, "shared": shared, "rhythm": rhythm, "sources": sources, "dreams": facts}
