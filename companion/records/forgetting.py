"""What the lesson *Forgetting* measures: strategies, budgets, strengths, lengths of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from companion.data import Task, permuted_tasks, split_tasks
from companion.memory.forgetting import (
    EWC,
    Distillation,
    FineTuning,
    GenerativeReplay,
    L2ToStart,
    Regularisation,
    Replay,
    Scenario,
    Strategy,
    average_accuracy,
    learn_in_sequence,
)
from companion.network import Adam, mlp

#: Units of the one hidden layer.
HIDDEN = 100
#: Learning rate of Adam.
RATE = 0.001
#: How much online EWC keeps of the earlier Fisher information at each task.
DECAY = 0.9

#: How each kind of strategy is made from its settings.
KINDS: dict[str, Callable[..., Strategy]] = {
    "fine-tuning": FineTuning,
    "L2 to start": lambda strength: Regularisation(L2ToStart(strength)),
    "EWC": lambda strength: Regularisation(EWC(strength)),
    "online EWC": lambda strength: Regularisation(EWC(strength, decay=DECAY)),
    "distillation": Distillation,
    "generative replay": GenerativeReplay,
    "replay": Replay,
}


def make_tasks(data: str, seed: int) -> list[Task]:
    """Return the tasks that belong to a seed, in float32.

    Parameters
    ----------
    data : {"split", "permuted"}
        Five pairs of digits drawn at random, or five orders of the pixels.
    seed : int
        The images are cut into training, validation and test in the same way for
        every seed: no test image is ever trained on, or chosen with.

    Returns
    -------
    list of Task
    """
    rng = np.random.default_rng(seed)
    if data == "split":
        return split_tasks(rng.permutation(10).reshape(5, 2).tolist(), dtype=np.float32)
    return permuted_tasks(5, rng=rng, dtype=np.float32)


def run(
    data: str,
    scenario: str,
    kind: str,
    option: Mapping[str, Any],
    epochs: int,
    seed: int,
    part: str,
) -> tuple[list[list[float]], int]:
    """Train one network on one sequence.

    Parameters
    ----------
    data : {"split", "permuted"}
    scenario : {"task", "domain", "class"}
    kind : str
        One of :data:`KINDS`.
    option : mapping
        Its settings.
    epochs, seed : int
    part : {"test", "val"}
        What accuracy is measured on.

    Returns
    -------
    matrix : list of list of float
        Of accuracies, as :func:`.learn_in_sequence` returns it.
    memory : int
        Numbers kept between tasks.
    """
    tasks, strategy = make_tasks(data, seed), KINDS[kind](**option)
    rng = np.random.default_rng([seed, 1])
    outputs = Scenario(scenario, tasks).outputs
    model = mlp([tasks[0].features, HIDDEN, outputs], rng=rng, dtype=np.float32)
    matrix = learn_in_sequence(
        model,
        tasks,
        strategy,
        scenario=scenario,
        optimiser=partial(Adam, RATE),
        epochs=epochs,
        rng=rng,
        part=part,
    )
    return np.round(matrix, 5).tolist(), strategy.memory


def compare(
    data: str,
    scenarios: Sequence[str],
    strategies: Mapping[str, Mapping[str, Any]],
    epochs: int,
    seeds: Sequence[int],
    *,
    choose_seeds: Sequence[int] = (),
    jobs: int = 1,
) -> dict[str, Any]:
    """Compare strategies, each with the setting that does best on tasks of other seeds.

    Where a strategy has several settings, each is tried on the tasks of
    `choose_seeds`, measured on validation images. The one with the largest average
    accuracy is taken for the tasks of `seeds`, measured on test images.

    Parameters
    ----------
    data : {"split", "permuted"}
    scenarios : sequence of str
    strategies : mapping of str to mapping
        By name: ``"kind"``, one of :data:`KINDS`, and ``"options"``, a list of settings.
    epochs : int
    seeds, choose_seeds : sequence of int
        With no seed in common.
    jobs : int, default 1
        Networks trained at the same time.

    Returns
    -------
    dict
        For each scenario and strategy the ``"option"`` taken, how well each was
        when it was ``"tried"``, the ``"matrices"`` of accuracies, one a seed, and the
        ``"memory"``: numbers kept between tasks.
    """
    pool = Parallel(n_jobs=jobs)
    trials = [
        (scenario, name, i, seed)
        for scenario in scenarios
        for name, strategy in strategies.items()
        if len(strategy["options"]) > 1
        for i in range(len(strategy["options"]))
        for seed in choose_seeds
    ]
    found = pool(
        delayed(run)(
            data, scenario, strategies[n]["kind"], strategies[n]["options"][i], epochs, seed, "val"
        )
        for scenario, n, i, seed in trials
    )
    scores: dict[tuple[str, str, int], list[float]] = {}
    for (scenario, name, i, _), (matrix, _) in zip(trials, found, strict=True):
        scores.setdefault((scenario, name, i), []).append(average_accuracy(matrix))
    results: dict[str, Any] = {}
    for scenario in scenarios:
        results[scenario] = {}
        for name, strategy in strategies.items():
            tried = [
                round(float(np.mean(scores[scenario, name, i])), 5)
                for i in range(len(strategy["options"]))
                if (scenario, name, i) in scores
            ]
            best = int(np.argmax(tried)) if tried else 0
            results[scenario][name] = {"option": strategy["options"][best], "tried": tried}
    cases = [
        (scenario, name, seed) for scenario in scenarios for name in strategies for seed in seeds
    ]
    done = iter(
        pool(
            delayed(run)(
                data,
                scenario,
                strategies[n]["kind"],
                results[scenario][n]["option"],
                epochs,
                seed,
                "test",
            )
            for scenario, n, seed in cases
        )
    )
    for scenario in scenarios:
        for name in strategies:
            pairs = [next(done) for _ in seeds]
            results[scenario][name]["matrices"] = [matrix for matrix, _ in pairs]
            results[scenario][name]["memory"] = pairs[0][1]
    return results


def curve(
    data: str,
    scenarios: Sequence[str],
    kind: str,
    options: Sequence[Mapping[str, Any]],
    epochs: int,
    seeds: Sequence[int],
    *,
    jobs: int = 1,
) -> dict[str, Any]:
    """Measure one strategy at every one of several settings, on test images.

    Parameters
    ----------
    data : {"split", "permuted"}
    scenarios : sequence of str
    kind : str
        One of :data:`KINDS`.
    options : sequence of mapping
    epochs : int
    seeds : sequence of int
    jobs : int, default 1

    Returns
    -------
    dict
        By scenario: for each setting and seed a matrix of accuracies.
    """
    cases = [(scenario, o, seed) for scenario in scenarios for o in options for seed in seeds]
    done = iter(
        Parallel(n_jobs=jobs)(
            delayed(run)(data, scenario, kind, option, epochs, seed, "test")
            for scenario, option, seed in cases
        )
    )
    return {s: [[next(done)[0] for _ in seeds] for _ in options] for s in scenarios}


def lengths(
    epochs: Sequence[int],
    strategies: Mapping[str, Mapping[str, Any]],
    seeds: Sequence[int],
    *,
    choose_seeds: Sequence[int] = (),
    jobs: int = 1,
) -> dict[str, Any]:
    """Compare strategies in class-incremental learning after trainings of several lengths.

    Parameters
    ----------
    epochs : sequence of int
    strategies, seeds, choose_seeds, jobs
        As in :func:`compare`: settings are chosen for each length.

    Returns
    -------
    dict
        By the number of epochs: what :func:`compare` returns for the scenario.
    """
    return {
        str(n): compare(
            "split", ["class"], strategies, n, seeds, choose_seeds=choose_seeds, jobs=jobs
        )["class"]
        for n in epochs
    }
