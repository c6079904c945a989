"""The long run of the lesson on language: a network of characters, trained for many epochs."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from companion import data
from companion.network import Adam, Dropout, Linear, Sequential, fit, schedules
from companion.recurrence.language import (
    Embedding,
    SequenceCrossEntropyLoss,
    bits_per_token,
    windows,
)
from companion.recurrence.lstm import LSTM

EMBEDDING = 32
BATCH = 32
# Long enough that the empty state at its start hardly counts.
LONG = 1000


def character_model(size: int, units: int, *, dropout: float = 0.0, rng: int) -> Sequential:
    """Return a network from characters (T, N) to logits (T, N, size), in float32.

    Parameters
    ----------
    size : int
        Characters in the alphabet.
    units : int
        Units of the LSTM.
    dropout : float, default 0
        Share of the embedding and of the LSTM's output that training drops.
    rng : int
        Seed of the parameters and of what is dropped.

    Returns
    -------
    Sequential
        Embedding, dropout, LSTM, dropout, linear layer.

    Examples
    --------
    >>> character_model(59, 8, rng=0)([[0], [58]]).shape
    (2, 1, 59)
    """
    random = np.random.default_rng(rng)
    return Sequential(
        Embedding(size, EMBEDDING, rng=random, dtype=np.float32),
        Dropout(dropout, rng=random),
        LSTM(EMBEDDING, units, rng=random, dtype=np.float32),
        Dropout(dropout, rng=random),
        Linear(units, size, rng=random, dtype=np.float32),
    )


def train(
    text: data.Text,
    *,
    units: int,
    length: int,
    epochs: int,
    lr: float,
    dropout: float,
    seed: int,
) -> tuple[Sequential, dict[str, list[float]]]:
    """Train a network of characters on a text.

    Parameters
    ----------
    text : Text
        It learns from ``text.train`` and is measured on ``text.validation`` after every
        epoch, in sequences of 1000 characters.
    units, dropout, seed
        As in :func:`character_model`; the seed also shuffles.
    length : int
        Characters in a sequence.
    epochs : int
    lr : float
        Where Adam's learning rate starts; it falls to zero along a cosine.

    Returns
    -------
    model : Sequential
    curves : dict of str to list of float
        Bits per character of each epoch, ``"train"`` and ``"validation"``. Those of
        training start from an empty state every `length` characters, and drop.
    """
    size = len(text.alphabet)
    x, y = windows(text.encode(text.train), length)
    steps = epochs * -(-len(y) // BATCH)
    model = character_model(size, units, dropout=dropout, rng=seed)
    history = fit(
        model,
        SequenceCrossEntropyLoss(),
        Adam(lr),
        x,
        y,
        epochs=epochs,
        batch_size=BATCH,
        rng=seed,
        validation=windows(text.encode(text.validation), LONG),
        schedule=schedules.cosine(lr, total_steps=steps),
        max_grad_norm=1.0,
        batch_axis=1,
    )
    bits = {"train": history.train_loss, "validation": history.val_loss}
    return model, {name: [loss / np.log(2.0) for loss in losses] for name, losses in bits.items()}


def language(*, seeds: list[int], keep: bool, **settings: Any) -> dict[str, Any]:
    """Train a network of characters on the course's prose, once for each seed.

    Parameters
    ----------
    seeds : list of int
    keep : bool
        Whether to return the parameters of the first seed, for :func:`restored`.
    **settings
        Of :func:`train`.

    Returns
    -------
    dict
        ``"runs"``, one for each seed: its ``"curves"`` and, with the state carried
        through the whole text, its bits per character on ``"validation"`` and
        ``"test"``; ``"test_from_zero"`` is the same with an empty state every `length`
        characters. ``"parameters"`` if kept.
    """
    one = partial(_one, data.load_prose(), settings)
    if len(seeds) == 1:
        done = [one(seeds[0])]
    else:
        with ProcessPoolExecutor(max_workers=2) as pool:
            done = list(pool.map(one, seeds))
    runs, states = zip(*done, strict=True)
    return {"runs": list(runs)} | ({"parameters": states[0]} if keep else {})


def _one(
    text: data.Text, settings: Mapping[str, Any], seed: int
) -> tuple[dict[str, Any], dict[str, str]]:
    model, curves = train(text, seed=seed, **settings)
    test, length = text.encode(text.test), settings["length"]
    run = {
        "seed": seed,
        "curves": {name: [round(value, 4) for value in values] for name, values in curves.items()},
        "validation": round(bits_per_token(model, text.encode(text.validation)), 4),
        "test": round(bits_per_token(model, test), 4),
        "test_from_zero": round(bits_per_token(model, test, window=length, carry=False), 4),
    }
    # Half precision: its error is far below what a change of seed does, and it is a quarter of
    # the length of decimal numbers.
    packed = {
        name: base64.b64encode(array.astype("<f2").tobytes()).decode()
        for name, array in model.parameters().items()
    }
    return run, packed


def restored(parameters: Mapping[str, str], *, size: int, units: int) -> Sequential:
    """Return the network whose parameters :func:`language` kept, rounded to half precision.

    Parameters
    ----------
    parameters : mapping of str to str
        ``results["parameters"]`` of a stored result.
    size, units : int
        As in :func:`character_model`.

    Returns
    -------
    Sequential
        In evaluation mode.
    """
    model = character_model(size, units, rng=0)
    for name, array in model.parameters().items():
        values = np.frombuffer(base64.b64decode(parameters[name]), dtype="<f2")
        array[...] = values.reshape(array.shape)
    return model.eval()
