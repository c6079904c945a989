"""The long runs of the lesson on working memory: trained networks that hold items for a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from companion import data
from companion._validation import choice, integer
from companion.network import (
    Adam,
    CrossEntropyLoss,
    Layer,
    Linear,
    Sequential,
    accuracy,
    fit,
    predict,
)
from companion.recurrence.language import SequenceCrossEntropyLoss
from companion.recurrence.lstm import GRU, LSTM
from companion.recurrence.rnn import RNN, LastStep, RecurrentLayer

#: The recurrent layers, each with its usual start.
CELLS: dict[str, type[RecurrentLayer]] = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}
#: Delays in training, and the largest number of distractors shown in one.
CONDITIONS: dict[str, tuple[tuple[int, ...], int]] = {
    "one delay": ((8,), 0),
    "many delays": (tuple(range(2, 13)), 0),
    "distractors": (tuple(range(2, 13)), 4),
}
#: Symbols of the two tasks.
MATCH_SYMBOLS, BACK_SYMBOLS = 4, 6
#: Trials in a batch, and batches that share their delay.
BATCH, SHARED = 32, 10
#: Trials on which a network is judged. Their seeds are apart from those of training.
HELD_OUT, VALIDATION_SEED, TEST_SEED = 500, 10**6, 10**6 + 1
#: Steps of a sequence for n-back, and the label of the steps that do not count.
LENGTH, IGNORED = 20, 2


def train_match(
    cell: str, condition: str, *, lr: float, seed: int, updates: int = 1500, units: int = 32
) -> Sequential:
    """Train one network to say whether a test item matches the sample.

    Parameters
    ----------
    cell : str
        One of :data:`CELLS`.
    condition : str
        One of :data:`CONDITIONS`. The delay of a batch, and the number of distractors
        in it, are drawn evenly from those it allows.
    lr : float
        Learning rate of Adam.
    seed : int
        Of parameters and trials.
    updates : int, default 1500
        Batches, in multiples of `SHARED`.
    units : int, default 32

    Returns
    -------
    Sequential
        Recurrent layer, last step, linear readout to two classes.

    Examples
    --------
    >>> train_match("RNN", "one delay", lr=0.003, seed=0, updates=10, units=4)
    Sequential(
      (0): RNN(6, 4)
      (1): LastStep()
      (2): Linear(4, 2, bias=True)
    )
    """
    delays, most = CONDITIONS[choice("condition", condition, CONDITIONS)]
    kind, rng = CELLS[choice("cell", cell, CELLS)], np.random.default_rng(seed)
    made: dict[str, Any] = {"rng": rng, "dtype": np.float32}
    size = match_trials(2, 1, rng=0)[0].shape[2]
    model = Sequential(kind(size, units, **made), LastStep(), Linear(units, 2, **made))
    optimiser = Adam(lr)
    for _ in range(integer("updates", updates) // SHARED):
        delay = int(rng.choice(delays))
        shown = int(rng.integers(min(most, delay) + 1))
        x, y = match_trials(BATCH * SHARED, delay, shown, rng=rng)
        fit(
            model,
            CrossEntropyLoss(),
            optimiser,
            x,
            y,
            epochs=1,
            batch_size=BATCH,
            rng=rng,
            max_grad_norm=1.0,
            batch_axis=1,
            output_axis=0,
        )
    return model


def match_trials(n: int, delay: int, distractors: int = 0, *, rng: Any) -> tuple[Any, Any]:
    """Return trials of the delayed match as the networks of this module read them.

    Parameters
    ----------
    n, delay : int
    distractors : int, default 0
    rng : Generator or int

    Returns
    -------
    x : ndarray of float32, shape (delay + 2, n, 6)
    y : ndarray of int, shape (n,)
    """
    return data.make_delayed_match(
        n, delay=delay, symbols=MATCH_SYMBOLS, distractors=distractors, rng=rng, dtype=np.float32
    )


def match_accuracy(
    model: Layer, delay: int, distractors: int = 0, *, seed: int = TEST_SEED, n: int = HELD_OUT
) -> float:
    """Return the share of fresh trials that a network judges rightly; chance is 0.5.

    Parameters
    ----------
    model : Layer
    delay : int
    distractors : int, default 0
    seed : int
    n : int

    Returns
    -------
    float
    """
    x, y = match_trials(n, delay, distractors, rng=seed)
    return accuracy(predict(model, x, batch_axis=1, output_axis=0), y)


def _match_run(
    cell: str,
    condition: str,
    lr: float,
    seed: int,
    updates: int,
    delays: Sequence[int],
    distractors: Sequence[int],
) -> dict[str, list[float]]:
    model = train_match(cell, condition, lr=lr, seed=seed, updates=updates)
    return {
        "by_delay": [round(match_accuracy(model, k), 4) for k in delays],
        "by_distractors": [round(match_accuracy(model, 12, k), 4) for k in distractors],
    }


def _match_choice(cell: str, lr: float, seed: int, updates: int) -> float:
    model = train_match(cell, "many delays", lr=lr, seed=seed, updates=updates)
    delays = CONDITIONS["many delays"][0]
    return float(np.mean([match_accuracy(model, k, seed=VALIDATION_SEED) for k in delays]))


def delayed_match(
    rates: Mapping[str, Sequence[float]],
    seeds: Sequence[int],
    updates: int,
    delays: Sequence[int],
    distractors: Sequence[int],
    *,
    choose_seeds: Sequence[int] = (100, 101),
    jobs: int = 1,
) -> dict[str, Any]:
    """Train each cell in each condition, and test it at many delays and with distractors.

    Where a cell has several learning rates to choose from, the one with the best mean
    accuracy at the delays of training is taken, on trials and with seeds of their own.

    Parameters
    ----------
    rates : mapping of str to sequence of float
        Learning rates to choose from, by cell.
    seeds : sequence of int
    updates : int
    delays : sequence of int
        Delays to test, without distractors.
    distractors : sequence of int
        Numbers of distractors to test, in a delay of 12 steps.
    choose_seeds : sequence of int
    jobs : int, default 1
        Networks trained at the same time.

    Returns
    -------
    dict
        ``"rates"`` chosen and accuracies ``"tried"``, by cell; ``"delays"`` and
        ``"distractors"`` tested; ``"runs"``: by cell and condition, for each seed, the
        accuracies ``"by_delay"`` and ``"by_distractors"``.
    """
    pool = Parallel(n_jobs=jobs)
    chosen, tried = _chosen(pool, _match_choice, rates, choose_seeds, updates)
    cases = list(product(rates, CONDITIONS, seeds))
    runs = iter(
        pool(
            delayed(_match_run)(c, condition, chosen[c], s, updates, delays, distractors)
            for c, condition, s in cases
        )
    )
    return {
        "rates": chosen,
        "tried": tried,
        "delays": list(delays),
        "distractors": list(distractors),
        "runs": {c: {name: [next(runs) for _ in seeds] for name in CONDITIONS} for c in rates},
    }


def _chosen(
    pool: Parallel,
    measure: Any,
    rates: Mapping[str, Sequence[float]],
    seeds: Sequence[int],
    updates: int,
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Return the best rate of each cell, and the mean measure of each that was tried."""
    trials = [(c, lr) for c, options in rates.items() if len(options) > 1 for lr in options]
    values = iter(pool(delayed(measure)(c, lr, s, updates) for c, lr in trials for s in seeds))
    tried: dict[str, dict[str, float]] = {}
    chosen = {c: options[0] for c, options in rates.items()}
    for c, lr in trials:
        mean = round(float(np.mean([next(values) for _ in seeds])), 4)
        # Of equals the smaller rate stays.
        if mean > max(tried.setdefault(c, {}).values(), default=-1.0):
            chosen[c] = lr
        tried[c][f"{lr:g}"] = mean
    return chosen, tried


def train_n_back(
    cell: str, back: int, *, lr: float, seed: int, updates: int = 2000, units: int = 32
) -> Sequential:
    """Train one network to say at each step whether the symbol is that of some steps ago.

    Parameters
    ----------
    cell : str
        One of :data:`CELLS`.
    back : int
        How many steps ago.
    lr, seed, updates, units
        As for :func:`train_match`.

    Returns
    -------
    Sequential
        Recurrent layer, linear readout to two classes at each step.

    Examples
    --------
    >>> train_n_back("GRU", 2, lr=0.01, seed=0, updates=10, units=4)
    Sequential(
      (0): GRU(6, 4)
      (1): Linear(4, 2, bias=True)
    )
    """
    kind, rng = CELLS[choice("cell", cell, CELLS)], np.random.default_rng(seed)
    made: dict[str, Any] = {"rng": rng, "dtype": np.float32}
    model = Sequential(kind(BACK_SYMBOLS, units, **made), Linear(units, 2, **made))
    optimiser = Adam(lr)
    for _ in range(integer("updates", updates) // SHARED):
        x, y = back_sequences(BATCH * SHARED, back, rng=rng)
        fit(
            model,
            SequenceCrossEntropyLoss(ignore_index=IGNORED),
            optimiser,
            x,
            y,
            epochs=1,
            batch_size=BATCH,
            rng=rng,
            max_grad_norm=1.0,
            batch_axis=1,
            output_axis=1,
        )
    return model


def back_sequences(n: int, back: int, *, rng: Any) -> tuple[Any, Any]:
    """Return sequences for n-back as the networks of this module read them.

    Parameters
    ----------
    n, back : int
    rng : Generator or int

    Returns
    -------
    x : ndarray of float32, shape (20, n, 6)
    y : ndarray of int, shape (n, 20)
    """
    return data.make_n_back(n, LENGTH, back=back, symbols=BACK_SYMBOLS, rng=rng, dtype=np.float32)


def n_back_score(model: Layer, back: int, *, seed: int = TEST_SEED, n: int = HELD_OUT) -> float:
    """Return the rate of hits less the rate of false alarms: 0 for guessing, 1 for no error.

    Parameters
    ----------
    model : Layer
    back : int
    seed : int
    n : int

    Returns
    -------
    float
    """
    x, y = back_sequences(n, back, rng=seed)
    said = predict(model, x, batch_axis=1, output_axis=1).argmax(axis=2).T
    return float(said[y == 1].mean() - said[y == 0].mean())


def _n_back_choice(cell: str, lr: float, seed: int, updates: int) -> float:
    model = train_n_back(cell, 3, lr=lr, seed=seed, updates=updates, units=16)
    return n_back_score(model, 3, seed=VALIDATION_SEED)


def n_back(
    rates: Mapping[str, Sequence[float]],
    backs: Sequence[int],
    units: Sequence[int],
    seeds: Sequence[int],
    updates: int,
    *,
    choose_seeds: Sequence[int] = (100, 101),
    jobs: int = 1,
) -> dict[str, Any]:
    """Train networks of several sizes on n-back for several n.

    Learning rates are chosen at n = 3 with 16 units, on sequences and with seeds of
    their own.

    Parameters
    ----------
    rates : mapping of str to sequence of float
        Learning rates to choose from, by cell.
    backs : sequence of int
    units : sequence of int
    seeds : sequence of int
    updates : int
    choose_seeds : sequence of int
    jobs : int, default 1
        Networks trained at the same time.

    Returns
    -------
    dict
        ``"rates"`` chosen and scores ``"tried"``, by cell; ``"backs"`` and ``"units"``;
        ``"runs"``: by cell, for each number of units, each n and each seed, the score of
        :func:`n_back_score`.
    """
    pool = Parallel(n_jobs=jobs)
    chosen, tried = _chosen(pool, _n_back_choice, rates, choose_seeds, updates)
    cases = list(product(rates, units, backs, seeds))
    scores = iter(
        pool(
            delayed(_n_back_run)(cell, back, chosen[cell], seed, updates, size)
            for cell, size, back, seed in cases
        )
    )
    return {
        "rates": chosen,
        "tried": tried,
        "backs": list(backs),
        "units": list(units),
        "runs": {
            cell: [[[next(scores) for _ in seeds] for _ in backs] for _ in units] for cell in rates
        },
    }


def _n_back_run(cell: str, back: int, lr: float, seed: int, updates: int, units: int) -> float:
    model = train_n_back(cell, back, lr=lr, seed=seed, updates=updates, units=units)
    return round(n_back_score(model, back), 4)
