"""The runs that take minutes: which function, and with which settings."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Run:
    """A function, and the settings of its full and of its short form.

    Attributes
    ----------
    function : str
        ``"package.module:name"``. It takes the settings by keyword and returns
        what JSON can hold: numbers, strings, and lists and dicts of them.
    full : dict
        Settings of the form that takes minutes and is stored.
    short : dict
        Settings of the form that a lesson executes.
    """

    function: str
    full: dict[str, Any]
    short: dict[str, Any]

    def __call__(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the results with these settings."""
        module, name = self.function.split(":")
        function: Callable[..., dict[str, Any]] = getattr(importlib.import_module(module), name)
        return function(**settings)


RUNS: dict[str, Run] = {}
"""The runs of the course by name. Each has a file ``<name>.json`` in this folder."""

_ALL_CELLS = ("RNN, tanh", "RNN, ReLU", "GRU", "LSTM")
_RATES = (0.0003, 0.001, 0.003, 0.01)
RUNS["language"] = Run(
    "companion.records.language:language",
    full={
        "units": 128,
        "length": 64,
        "epochs": 24,
        "lr": 0.02,
        "dropout": 0.1,
        "seeds": [0, 1, 2],
        "keep": True,
    },
    short={
        "units": 64,
        "length": 64,
        "epochs": 3,
        "lr": 0.02,
        "dropout": 0.0,
        "seeds": [0],
        "keep": False,
    },
)
RUNS["lstm-adding"] = Run(
    "companion.records.lstm:by_length",
    full={
        "task": "adding",
        "lengths": [10, 20, 40, 80, 160],
        "rates": dict.fromkeys(_ALL_CELLS, _RATES),
        "seeds": [0, 1, 2],
        "updates": 2000,
        "choose_at": 40,
        "choose_updates": 1500,
        "jobs": 2,
    },
    short={
        "task": "adding",
        "lengths": [20],
        "rates": {
            "RNN, tanh": [0.0003],
            "RNN, ReLU": [0.001],
            "GRU": [0.01],
            "LSTM": [0.01],
        },
        "seeds": [0],
        "updates": 1000,
    },
)
RUNS["lstm-patience"] = Run(
    "companion.records.lstm:by_length",
    full={
        "task": "adding",
        "lengths": [40],
        # As chosen by lstm-adding.
        "rates": {"RNN, tanh": [0.0003], "RNN, ReLU": [0.001]},
        "seeds": [0, 1, 2],
        "updates": 10_000,
        "jobs": 2,
    },
    short={
        "task": "adding",
        "lengths": [10],
        "rates": {"RNN, tanh": [0.0003], "RNN, ReLU": [0.001]},
        "seeds": [0],
        "updates": 1000,
    },
)
RUNS["lstm-copying"] = Run(
    "companion.records.lstm:by_length",
    full={
        "task": "copying",
        "lengths": [5, 10, 20, 40],
        "rates": dict.fromkeys(_ALL_CELLS, _RATES),
        "seeds": [0, 1, 2],
        "updates": 1500,
        "choose_at": 10,
        "choose_updates": 1500,
        "jobs": 2,
    },
    short={
        "task": "copying",
        "lengths": [5],
        "rates": {
            "RNN, tanh": [0.003],
            "RNN, ReLU": [0.003],
            "GRU": [0.01],
            "LSTM": [0.01],
        },
        "seeds": [0],
        "updates": 1000,
    },
)
RUNS["lstm-variants"] = Run(
    "companion.records.lstm:variants",
    full={
        "length": 80,
        "options": {
            "forget bias -2": {"forget_bias": -2.0},
            "forget bias 0": {"forget_bias": 0.0},
            "forget bias 1": {"forget_bias": 1.0},
            "forget bias 3": {"forget_bias": 3.0},
            "forget bias 5": {"forget_bias": 5.0},
            "bias 1, no clipping": {"max_grad_norm": None},
        },
        "lr": 0.01,
        "seeds": [0, 1, 2],
        "updates": 2000,
        "jobs": 2,
    },
    short={
        "length": 20,
        "options": {"forget bias 1": {"forget_bias": 1.0}, "forget bias 3": {"forget_bias": 3.0}},
        "lr": 0.01,
        "seeds": [0],
        "updates": 1000,
    },
)

_ENCODERS: dict[str, dict[str, Any]] = {
    "no attention": {"attention": None, "epochs": 10},
    "dot product": {"attention": "dot", "epochs": 10},
}
RUNS["attention-numbers"] = Run(
    "companion.records.attention:translation",
    full={
        "n": 6000,
        "train": {"task": "numbers", "min_digits": 3, "max_digits": 8},
        "tests": {
            str(k): {"n": 80 if k == 3 else 200, "min_digits": k, "max_digits": k}
            for k in range(3, 10)
        },
        "runs": {
            **_ENCODERS,
            "no attention, 30 epochs": {"attention": None, "epochs": 30},
            "additive": {"attention": "additive", "epochs": 10},
        },
        "seeds": [0, 1, 2],
        "widths": {"8": [1, 2, 4, 8]},
    },
    short={
        "n": 3000,
        "train": {"task": "numbers", "min_digits": 3, "max_digits": 6},
        "tests": {
            str(k): {"n": 80 if k == 3 else 200, "min_digits": k, "max_digits": k}
            for k in range(3, 7)
        },
        "runs": _ENCODERS,
        "seeds": [0],
        "widths": {},
    },
)
RUNS["attention-words"] = Run(
    "companion.records.attention:translation",
    full={
        "n": 6000,
        "train": {"task": "numbers", "min_digits": 3, "max_digits": 8, "reverse": True},
        "tests": {
            str(k): {
                "n": 80 if k == 3 else 200,
                "min_digits": k,
                "max_digits": k,
                "reverse": True,
            }
            for k in range(3, 10)
        },
        "runs": _ENCODERS,
        "seeds": [0, 1, 2],
        "widths": {},
    },
    short={
        "n": 500,
        "train": {"task": "numbers", "min_digits": 3, "max_digits": 6, "reverse": True},
        "tests": {"4": {"n": 200, "min_digits": 4, "max_digits": 4, "reverse": True}},
        "runs": {"dot product": {"attention": "dot", "epochs": 2}},
        "seeds": [0],
        "widths": {},
    },
)
RUNS["attention-dates"] = Run(
    "companion.records.attention:translation",
    full={
        "n": 3000,
        "train": {"task": "dates"},
        "tests": {"dates": {"n": 500, "task": "dates"}},
        "runs": _ENCODERS,
        "seeds": [0, 1, 2],
        "widths": {},
    },
    short={
        "n": 500,
        "train": {"task": "dates"},
        "tests": {"dates": {"n": 200, "task": "dates"}},
        "runs": {"dot product": {"attention": "dot", "epochs": 2}},
        "seeds": [0],
        "widths": {},
    },
)
RUNS["attention-reports-wide"] = Run(
    "companion.records.attention:summaries",
    full={
        "n": 4000,
        "n_test": 1000,
        # As many parameters as the network with attention, and twice the epochs.
        "runs": {"no attention, wide": {"attention": False, "epochs": 20, "hidden_size": 96}},
        "seeds": [0, 1],
        "examples": 0,
    },
    short={
        "n": 100,
        "n_test": 100,
        "runs": {"no attention, wide": {"attention": False, "epochs": 1, "hidden_size": 96}},
        "seeds": [0],
        "examples": 0,
    },
)
RUNS["attention-reports"] = Run(
    "companion.records.attention:summaries",
    full={
        "n": 4000,
        "n_test": 1000,
        "runs": {
            "no attention": {"attention": False, "epochs": 10},
            "attention": {"attention": True, "epochs": 10},
        },
        "seeds": [0, 1, 2],
        "examples": 3,
    },
    short={
        "n": 300,
        "n_test": 300,
        "runs": {"attention": {"attention": True, "epochs": 2}},
        "seeds": [0],
        "examples": 1,
    },
)

RUNS["forecasts"] = Run(
    "companion.records.sequences:forecasts",
    full={
        "cells": ["RNN", "GRU", "LSTM"],
        "lengths": [11, 22, 33],
        "units": [16],
        "rates": [0.003, 0.01],
        "differences": [None, 1, 12],
        "choose_seeds": [0, 1],
        "seeds": [10, 11, 12, 13, 14],
        "epochs": 200,
        "jobs": 2,
    },
    short={
        "cells": ["GRU"],
        "lengths": [22],
        "units": [16],
        "rates": [0.01],
        "differences": [None, 1],
        "choose_seeds": [0],
        "seeds": [10],
        "epochs": 100,
    },
)
RUNS["sentences"] = Run(
    "companion.records.sequences:sentences",
    full={
        "n": 4000,
        "tests": 600,
        "steps": 1000,
        "networks": {
            "RNN": {"cell": "RNN"},
            "GRU": {"cell": "GRU"},
            "LSTM": {"cell": "LSTM"},
            "GRU, both directions": {"cell": "GRU", "bidirectional": True},
            "GRU, 4 numbers a word": {"cell": "GRU", "embedding": 4},
        },
        "rates": [0.003, 0.01],
        "choose_seeds": [0],
        "seeds": [10, 11, 12, 13, 14],
        "sizes": [125, 500, 2000],
        "topic_sizes": [16, 64, 256],
        "curve_seeds": [10, 11, 12],
        "jobs": 2,
    },
    short={
        "n": 400,
        "tests": 100,
        "steps": 40,
        "networks": {"GRU": {"cell": "GRU"}},
        "rates": [0.01],
        "choose_seeds": [0],
        "seeds": [10],
        "sizes": [100],
        "topic_sizes": [64],
        "curve_seeds": [10],
    },
)
