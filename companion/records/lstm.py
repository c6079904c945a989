"""The long runs of the lesson on gates: four recurrent networks on two tasks of memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import DTypeLike

from companion import data
from companion._validation import FloatArray, Seed, choice, float_dtype
from companion.network import (
    Adam,
    Layer,
    Linear,
    MSELoss,
    Sequential,
    fit,
    initialisers,
    predict,
)
from companion.network.losses import Loss
from companion.recurrence.language import Embedding, SequenceCrossEntropyLoss
from companion.recurrence.lstm import GRU, LSTM
from companion.recurrence.rnn import RNN, LastStep, RecurrentLayer

#: Parameters that a recurrent layer may have, so that no cell wins by its size.
PARAMETERS = 5000
#: Sequences in a batch, and batches between two looks at the validation loss.
BATCH, EVERY = 20, 100
#: Sequences on which a network is judged. Their seeds are apart from those of training.
HELD_OUT, VALIDATION_SEED, TEST_SEED = 500, 10**6, 10**6 + 1
#: The copy task of the lesson: words of five symbols out of four.
SYMBOLS, WORD = 4, 5


def _identity(shape: Sequence[int], *, rng: Seed = 0, dtype: DTypeLike = np.float64) -> FloatArray:
    return np.eye(shape[0]).astype(float_dtype("dtype", dtype))


#: Layers and their options by name. "RNN, ReLU" starts as Le, Jaitly & Hinton (2015) advise.
CELLS: dict[str, tuple[type[RecurrentLayer], dict[str, Any]]] = {
    "RNN, tanh": (RNN, {}),
    "RNN, ReLU": (
        RNN,
        {
            "nonlinearity": "relu",
            "recurrent_init": _identity,
            "weight_init": partial(initialisers.normal, std=0.001),
        },
    ),
    "GRU": (GRU, {}),
    "LSTM": (LSTM, {}),
}


@dataclass(frozen=True)
class Task:
    """A task of memory: its sequences, its loss, and when it counts as learned.

    Attributes
    ----------
    name : {"adding", "copying"}
    length : int
        Steps of a sequence to add; delay of a word to copy.
    """

    name: str
    length: int

    def make(self, n: int, rng: Seed) -> tuple[Any, Any]:
        """Return `n` fresh sequences and what to answer."""
        if self.name == "adding":
            return data.make_adding(n, self.length, rng=rng, dtype=np.float32)
        return data.make_copy(n, self.length, symbols=SYMBOLS, length=WORD, rng=rng)

    def model(self, cell: str, rng: np.random.Generator, **options: Any) -> Sequential:
        """Return a network with a recurrent layer of a kind, as large as `PARAMETERS` allow."""
        kind, usual = CELLS[choice("cell", cell, CELLS)]
        size = 2 if self.name == "adding" else SYMBOLS + 2
        hidden = units(cell, size)
        made: dict[str, Any] = {"rng": rng, "dtype": np.float32}
        layer = kind(size, hidden, **usual, **options, **made)
        if self.name == "adding":
            return Sequential(layer, LastStep(), Linear(hidden, 1, **made))
        return Sequential(Embedding(size, size, **made), layer, Linear(hidden, SYMBOLS + 1, **made))

    def loss(self) -> Loss:
        """Return the mean squared error for sums, the cross-entropy for symbols."""
        return MSELoss() if self.name == "adding" else SequenceCrossEntropyLoss()

    @property
    def baseline(self) -> float:
        """The best loss without a memory."""
        if self.name == "adding":
            return 1.0 / 6.0
        return data.copy_baseline(self.length, symbols=SYMBOLS, length=WORD)

    @property
    def goal(self) -> float:
        """The loss that counts as success: errors of 0.1, or a tenth of the baseline."""
        return 0.01 if self.name == "adding" else 0.1 * self.baseline

    def evaluate(self, model: Layer, seed: int) -> float:
        """Return the loss on held-out sequences; infinity if it is not finite."""
        x, y = self.make(HELD_OUT, seed)
        output = predict(model, x, batch_axis=1, output_axis=0 if self.name == "adding" else 1)
        value = float(self.loss().forward(output, y))
        return value if math.isfinite(value) else math.inf


def units(cell: str, input_size: int) -> int:
    """Return how many units fit into `PARAMETERS`.

    Parameters
    ----------
    cell : str
        One of :data:`CELLS`.
    input_size : int

    Returns
    -------
    int

    Examples
    --------
    >>> {cell: units(cell, 2) for cell in CELLS}
    {'RNN, tanh': 68, 'RNN, ReLU': 68, 'GRU': 38, 'LSTM': 33}
    """
    # A layer of H units has G H (I + H + 2) parameters with G blocks of rows: solve for H.
    blocks = len(CELLS[cell][0].gates)
    half = (input_size + 2) / 2
    return int(math.sqrt(half**2 + PARAMETERS / blocks) - half)


def train(
    task: Task,
    cell: str,
    *,
    lr: float,
    seed: int,
    updates: int,
    max_grad_norm: float | None = 1.0,
    **options: Any,
) -> tuple[Sequential, list[float]]:
    """Train one network on sequences that it never sees twice, until it meets the task's goal.

    Parameters
    ----------
    task : Task
    cell : str
        One of :data:`CELLS`.
    lr : float
        Learning rate of Adam.
    seed : int
        Of parameters and sequences.
    updates : int
        At most so many, in multiples of `EVERY`.
    max_grad_norm : float, optional
        Where the gradient is clipped.
    **options
        For the recurrent layer, such as ``forget_bias``.

    Returns
    -------
    model : Sequential
    curve : list of float
        Validation loss after each `EVERY` updates. It ends when the goal is met,
        or with infinity where training diverged.
    """
    rng = np.random.default_rng(seed)
    model, optimiser = task.model(cell, rng, **options), Adam(lr)
    curve: list[float] = []
    # A network that diverges is a result here, and no reason for a warning.
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(updates // EVERY):
            x, y = task.make(BATCH * EVERY, rng)
            try:
                fit(
                    model,
                    task.loss(),
                    optimiser,
                    x,
                    y,
                    epochs=1,
                    batch_size=BATCH,
                    rng=rng,
                    max_grad_norm=max_grad_norm,
                    batch_axis=1,
                    output_axis=0 if task.name == "adding" else 1,
                )
            except FloatingPointError:
                return model, [*curve, math.inf]
            curve.append(task.evaluate(model, VALIDATION_SEED))
            if curve[-1] < task.goal:
                break
    return model, curve


def _train_and_test(
    task: Task, cell: str, lr: float, seed: int, updates: int, **options: Any
) -> dict[str, Any]:
    model, curve = train(task, cell, lr=lr, seed=seed, updates=updates, **options)
    with np.errstate(over="ignore", invalid="ignore"):
        test = task.evaluate(model, TEST_SEED)
    return {
        "curve": [_json(value) for value in curve],
        "test": _json(test),
        "updates": EVERY * len(curve) if curve[-1] < task.goal else None,
    }


def _json(value: float) -> float | None:
    """JSON has no infinity: a loss that is not finite becomes None."""
    return round(value, 5) if math.isfinite(value) else None


def by_length(
    task: str,
    lengths: Sequence[int],
    rates: Mapping[str, Sequence[float]],
    seeds: Sequence[int],
    updates: int,
    *,
    choose_at: int = 20,
    choose_seeds: Sequence[int] = (100, 101),
    choose_updates: int = 1000,
    jobs: int = 1,
) -> dict[str, Any]:
    """Train each cell at each length with several seeds.

    Where a cell has several learning rates to choose from, each is first tried at
    one length, with seeds of its own. The one whose validation loss is smallest
    on average over all looks at it is taken for all lengths.

    Parameters
    ----------
    task : {"adding", "copying"}
    lengths : sequence of int
        Steps, or delays.
    rates : mapping of str to sequence of float
        Learning rates to choose from, by cell.
    seeds : sequence of int
    updates : int
        At most so many for one network.
    choose_at, choose_seeds, choose_updates
        Length, seeds and updates for the choice.
    jobs : int, default 1
        Networks trained at the same time.

    Returns
    -------
    dict
        ``"rates"`` chosen and the ``"tried"`` mean losses, by cell; ``"units"`` of the
        layers; ``"baselines"`` and ``"goals"`` by length; ``"runs"``: by cell, for each
        length and seed, the validation ``"curve"``, the ``"test"`` loss, and the
        ``"updates"`` until the goal was met, None if it was not.
    """
    choice("task", task, ("adding", "copying"))
    pool = Parallel(n_jobs=jobs)
    chosen = {cell: options[0] for cell, options in rates.items()}
    several = {cell: options for cell, options in rates.items() if len(options) > 1}
    trials = [(cell, lr, s) for cell in several for lr in several[cell] for s in choose_seeds]
    curves = pool(
        delayed(_train_and_test)(Task(task, choose_at), cell, lr, seed, choose_updates)
        for cell, lr, seed in trials
    )
    tried: dict[str, dict[str, Any]] = {}
    for cell, options in several.items():
        means = {lr: _mean_loss(trials, curves, cell, lr, choose_updates) for lr in options}
        chosen[cell] = min(means, key=lambda lr: means[lr])
        tried[cell] = {f"{lr:g}": _json(value) for lr, value in means.items()}
    cases = list(product(rates, lengths, seeds))
    runs = iter(
        pool(
            delayed(_train_and_test)(Task(task, length), cell, chosen[cell], seed, updates)
            for cell, length, seed in cases
        )
    )
    size = 2 if task == "adding" else SYMBOLS + 2
    return {
        "rates": chosen,
        "tried": tried,
        "units": {cell: units(cell, size) for cell in rates},
        "baselines": [Task(task, length).baseline for length in lengths],
        "goals": [Task(task, length).goal for length in lengths],
        "runs": {cell: [[next(runs) for _ in seeds] for _ in lengths] for cell in rates},
    }


def _mean_loss(
    trials: Sequence[tuple[str, float, int]],
    runs: Sequence[dict[str, Any]],
    cell: str,
    lr: float,
    updates: int,
) -> float:
    """Return the mean over all looks; a run that ended early keeps its last loss."""
    total = []
    for (name, rate, _), run in zip(trials, runs, strict=True):
        if (name, rate) == (cell, lr):
            losses = [math.inf if loss is None else loss for loss in run["curve"]]
            losses += losses[-1:] * (updates // EVERY - len(losses))
            total.append(sum(losses) / len(losses))
    return sum(total) / len(total)


def variants(
    length: int,
    options: Mapping[str, Mapping[str, Any]],
    lr: float,
    seeds: Sequence[int],
    updates: int,
    *,
    jobs: int = 1,
) -> dict[str, Any]:
    """Train variants of an LSTM on the adding task.

    Parameters
    ----------
    length : int
    options : mapping of str to mapping
        By name: arguments of :func:`train`, such as ``forget_bias``.
    lr : float
    seeds : sequence of int
    updates : int
    jobs : int, default 1

    Returns
    -------
    dict
        ``"runs"``: by name and seed as in :func:`by_length`.
    """
    runs = iter(
        Parallel(n_jobs=jobs)(
            delayed(_train_and_test)(
                Task("adding", length), "LSTM", lr, seed, updates, **options[name]
            )
            for name, seed in product(options, seeds)
        )
    )
    return {"runs": {name: [next(runs) for _ in seeds] for name in options}}
