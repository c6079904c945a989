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

_DECADES = [{"strength": 10.0**k} for k in range(1, 7)]
_FORGETTING: dict[str, Any] = {
    "fine-tuning": {"kind": "fine-tuning", "options": [{}]},
    "L2 to start": {
        "kind": "L2 to start",
        "options": [{"strength": s} for s in (0.001, 0.01, 0.1, 1.0, 10.0)],
    },
    "EWC": {"kind": "EWC", "options": _DECADES},
    "online EWC": {"kind": "online EWC", "options": _DECADES},
    "distillation": {
        "kind": "distillation",
        "options": [{"strength": s} for s in (0.03, 0.1, 0.3, 1.0, 3.0)],
    },
    "replay, 20 images": {"kind": "replay", "options": [{"budget": 20}]},
    "replay, 80 images": {"kind": "replay", "options": [{"budget": 80}]},
    "generative replay": {"kind": "generative replay", "options": [{"components": 4}]},
    "joint training": {"kind": "replay", "options": [{}]},
}
RUNS["forgetting-split"] = Run(
    "companion.records.forgetting:compare",
    full={
        "data": "split",
        "scenarios": ["task", "domain", "class"],
        "strategies": _FORGETTING,
        "epochs": 100,
        "seeds": [0, 1, 2, 3, 4],
        "choose_seeds": [100, 101],
        "jobs": 2,
    },
    short={
        "data": "split",
        "scenarios": ["domain", "class"],
        "strategies": {
            "fine-tuning": {"kind": "fine-tuning", "options": [{}]},
            "EWC": {"kind": "EWC", "options": [{"strength": 1000.0}]},
            "replay, 80 images": {"kind": "replay", "options": [{"budget": 80}]},
        },
        "epochs": 50,
        "seeds": [0],
    },
)
RUNS["forgetting-permuted"] = Run(
    "companion.records.forgetting:compare",
    full={
        "data": "permuted",
        "scenarios": ["domain"],
        "strategies": {
            **_FORGETTING,
            "EWC": {"kind": "EWC", "options": [{"strength": 10.0**k} for k in range(5)]},
            "online EWC": {
                "kind": "online EWC",
                "options": [{"strength": 10.0**k} for k in range(4)],
            },
            "replay, 400 images": {"kind": "replay", "options": [{"budget": 400}]},
        },
        "epochs": 30,
        "seeds": [0, 1, 2, 3, 4],
        "choose_seeds": [100, 101],
        "jobs": 2,
    },
    short={
        "data": "permuted",
        "scenarios": ["domain"],
        "strategies": {"EWC": {"kind": "EWC", "options": [{"strength": 10.0}]}},
        "epochs": 10,
        "seeds": [0],
    },
)
RUNS["forgetting-budgets"] = Run(
    "companion.records.forgetting:curve",
    full={
        "data": "split",
        "scenarios": ["domain", "class"],
        "kind": "replay",
        "options": [{"budget": n} for n in (5, 10, 20, 40, 80, 160)],
        "epochs": 100,
        "seeds": [0, 1, 2],
        "jobs": 2,
    },
    short={
        "data": "split",
        "scenarios": ["class"],
        "kind": "replay",
        "options": [{"budget": 10}],
        "epochs": 20,
        "seeds": [0],
    },
)
RUNS["forgetting-strengths"] = Run(
    "companion.records.forgetting:curve",
    full={
        "data": "permuted",
        "scenarios": ["domain"],
        "kind": "EWC",
        "options": [{"strength": s} for s in (0.1, 1.0, 10.0, 30.0, 100.0, 1e3, 1e5)],
        "epochs": 30,
        "seeds": [0, 1, 2],
        "jobs": 2,
    },
    short={
        "data": "permuted",
        "scenarios": ["domain"],
        "kind": "EWC",
        "options": [{"strength": 10.0}],
        "epochs": 5,
        "seeds": [0],
    },
)
RUNS["forgetting-lengths"] = Run(
    "companion.records.forgetting:lengths",
    full={
        "epochs": [10, 20, 50],
        "strategies": {"EWC": {"kind": "EWC", "options": _DECADES}},
        "seeds": [0, 1, 2, 3, 4],
        "choose_seeds": [100, 101],
        "jobs": 2,
    },
    short={
        "epochs": [10],
        "strategies": {"EWC": {"kind": "EWC", "options": [{"strength": 1000.0}]}},
        "seeds": [0],
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
# Loads at which all three sizes store a whole number of patterns, and shares of units flipped.
_LOADS = tuple(round(0.008 * k, 3) for k in (4, 8, 10, *range(12, 25), 26, 28))
_NOISES = tuple(round(0.05 * k, 2) for k in range(10))
RUNS["hopfield-map"] = Run(
    "companion.records.hopfield:retrieval",
    full={
        "rules": ["Hebb"],
        "units": [125, 500, 2000],
        "loads": [round(0.016 * k, 3) for k in (1, 3, 5, 6, 7, 8, 9, 10, 11, 13)],
        "noises": _NOISES,
        "networks": [30, 12, 3],
        "probes": 15,
        "jobs": 2,
    },
    short={
        "rules": ["Hebb"],
        "units": [125],
        "loads": [0.048, 0.096, 0.144, 0.192],
        "noises": [0.0, 0.1, 0.2, 0.3, 0.4],
        "networks": [10],
        "probes": 15,
    },
)
RUNS["hopfield-curve"] = Run(
    "companion.records.hopfield:retrieval",
    full={
        "rules": ["Hebb"],
        "units": [125, 500, 2000],
        "loads": _LOADS,
        "noises": [0.0],
        "networks": [60, 20, 5],
        "probes": 25,
        "jobs": 2,
    },
    short={
        "rules": ["Hebb"],
        "units": [125, 500],
        "loads": [0.08, 0.12, 0.16, 0.2],
        "noises": [0.0],
        "networks": [10, 3],
        "probes": 25,
    },
)
RUNS["hopfield-rules"] = Run(
    "companion.records.hopfield:retrieval",
    full={
        "rules": [
            "Hebb",
            "Storkey",
            "dreaming, 1",
            "dreaming, 10",
            "dreaming, 100",
            "projection",
            "projection, diagonal",
        ],
        "units": [200],
        "loads": [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
        "noises": _NOISES,
        "networks": [10],
        "probes": 20,
        "recalled": 0.95,
        "jobs": 2,
    },
    short={
        "rules": ["Hebb", "Storkey", "projection"],
        "units": [100],
        "loads": [0.1, 0.5],
        "noises": [0.0, 0.1, 0.2],
        "networks": [4],
        "probes": 20,
        "recalled": 0.95,
    },
)
RUNS["hopfield-capacity"] = Run(
    "companion.records.hopfield:capacity",
    full={
        "units": {
            "Hebb": [20, 40, 80, 160, 320],
            "dense 3": [20, 40, 80, 160],
            "dense 4": [20, 40, 80],
            "modern": [10, 20, 30],
        },
        "noise": 0.1,
        "seeds": [0, 1, 2, 3, 4],
        "probes": 60,
        "jobs": 2,
    },
    short={
        "units": {"Hebb": [20, 40], "dense 3": [20, 40], "dense 4": [20], "modern": [10, 20]},
        "noise": 0.1,
        "seeds": [0, 1],
        "probes": 60,
    },
)

RUNS["memory-networks-table"] = Run(
    "companion.records.memory_networks:table",
    full={
        "tasks": ["one-fact", "two-facts", "relations", "yes-no", "counting", "lists"],
        "rates": {
            "0": [0.003, 0.01],
            "1": [0.005, 0.01, 0.02, 0.04],
            "2": [0.005, 0.01, 0.02, 0.04],
            "3": [0.005, 0.01, 0.02, 0.04],
        },
        "seeds": {
            "0": [0, 1, 2],
            "1": [0, 1, 2, 3, 4],
            "2": [0, 1, 2, 3, 4],
            "3": [0, 1, 2, 3, 4],
        },
        "epochs": {"0": 30, "1": 60, "2": 60, "3": 60},
        "jobs": 2,
    },
    short={
        "tasks": ["one-fact", "two-facts"],
        "rates": {"1": [0.02], "2": [0.02]},
        "seeds": {"1": [0], "2": [0]},
        "epochs": {"1": 20, "2": 20},
        "dtype": "float64",
    },
)
RUNS["memory-networks-parts"] = Run(
    "companion.records.memory_networks:parts",
    full={
        "cases": {
            "all parts": {"tasks": ["two-facts"], "seeds": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]},
            "linear start": {
                "tasks": ["two-facts"],
                "seeds": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
                "linear": True,
            },
            "no temporal encoding": {"tasks": ["one-fact", "two-facts"], "temporal": False},
            "bag of words": {"tasks": ["two-facts", "relations"], "position": False},
            "no for any place": {"tasks": ["yes-no"], "any_place": True},
            "10,000 stories": {
                "tasks": ["one-fact", "two-facts", "relations", "yes-no", "counting", "lists"],
                "n": 10000,
                "epochs": 15,
                "seeds": [0, 1, 2],
            },
        },
        "lr": 0.02,
        "seeds": [0, 1, 2, 3, 4],
        "jobs": 2,
    },
    short={
        "cases": {
            "no temporal encoding": {
                "tasks": ["two-facts"],
                "temporal": False,
                "dtype": "float64",
            }
        },
        "lr": 0.02,
        "seeds": [0],
        "epochs": 20,
    },
)
RUNS["memory-networks-length"] = Run(
    "companion.records.memory_networks:lengths",
    full={
        "tasks": ["one-fact", "two-facts"],
        "lengths": [5, 8, 10, 12, 15, 20, 30],
        "rates": {"0": 0.01, "3": 0.02},
        "seeds": {"0": [0, 1, 2], "3": [0, 1, 2, 3, 4]},
        "epochs": {"0": 30, "3": 60},
        "jobs": 2,
    },
    short={
        "tasks": ["one-fact"],
        "lengths": [5, 10, 20],
        "rates": {"3": 0.02},
        "seeds": {"3": [0]},
        "epochs": {"3": 20},
        "dtype": "float64",
    },
)
RUNS["working-memory-delay"] = Run(
    "companion.records.working_memory:delayed_match",
    full={
        "rates": {"RNN": [0.0003, 0.001, 0.003], "GRU": [0.003, 0.01], "LSTM": [0.003, 0.01]},
        "seeds": [0, 1, 2, 3, 4, 5, 6, 7],
        "updates": 2000,
        "delays": [1, 2, 4, 6, 7, 8, 9, 10, 12, 16, 24, 32, 64, 128, 256],
        "distractors": [0, 1, 2, 4, 6, 8, 10],
        "jobs": 2,
    },
    short={
        "rates": {"RNN": [0.001], "GRU": [0.003]},
        "seeds": [0],
        "updates": 1000,
        "delays": [2, 8, 32],
        "distractors": [0, 4, 8],
    },
)
RUNS["working-memory-n-back"] = Run(
    "companion.records.working_memory:n_back",
    full={
        "rates": {"RNN": [0.001, 0.003], "GRU": [0.003, 0.01]},
        "backs": [1, 2, 3, 4, 6, 8],
        "units": [4, 8, 16, 32],
        "seeds": [0, 1, 2],
        "updates": 1200,
        "jobs": 2,
    },
    short={
        "rates": {"RNN": [0.003]},
        "backs": [1, 2, 3],
        "units": [4, 16],
        "seeds": [0],
        "updates": 800,
    },
)

_SLEEP: dict[str, Any] = {
    "rates": [0.0003, 0.001, 0.003, 0.01],
    "choose_seeds": [0, 1, 2],
    "seeds": [0, 1, 2, 3, 4, 5, 6, 7],
    "steps": 600,
    "fractions": [0.1, 0.25, 0.5, 0.75, 0.9],
    "budgets": [10, 50, 200, None],
    "cycle": 60,
    "cycles": [600, 200, 60, 20, None],
    "dream_budget": 200,
    "networks": {
        "2000 units": {"units": 2000, "active": 50},
        "500 units": {"units": 500, "active": 20},
        "200 units": {"units": 200, "active": 10},
    },
}
_NAP: dict[str, Any] = _SLEEP | {
    "rates": [0.001],
    "choose_seeds": [0],
    "seeds": [0, 1],
    "fractions": [0.5],
    "budgets": [200],
    "cycles": [600, 60],
    "networks": {},
}
for _kind in ("split", "permuted"):
    RUNS[f"consolidation-{_kind}"] = Run(
        "companion.records.consolidation:sleep",
        full=_SLEEP | {"kind": _kind},
        short=_NAP | {"kind": _kind},
    )
RUNS["consolidation-stopping"] = Run(
    "companion.records.consolidation:stopping",
    full={
        "units": 100,
        "loads": [0.5, 1.0, 2.0],
        "ratios": [0.2, 1.0, 5.0],
        "seeds": list(range(40)),
    },
    short={"units": 50, "loads": [1.0], "ratios": [1.0], "seeds": [0, 1, 2]},
)
RUNS["memories-replay"] = Run(
    "companion.records.memories:replay",
    full={
        "kinds": ["permuted", "split"],
        "scales": [1.0, 0.25],
        "rates": [0.0003, 0.001, 0.003, 0.01],
        "choose_seeds": [0, 1, 2],
        "choose_budget": 100,
        "seeds": list(range(12)),
        "steps": 600,
        "every": 60,
        "budgets": [20, 100, None],
        "directions": 10,
        "jobs": 2,
    },
    short={
        "kinds": ["permuted"],
        "scales": [1.0],
        "rates": [0.003],
        "choose_seeds": [0],
        "choose_budget": 100,
        "seeds": [0, 1],
        "steps": 600,
        "every": 120,
        "budgets": [100],
        "directions": 10,
    },
)
RUNS["memory-networks-readers"] = Run(
    "companion.records.memory_networks:readers",
    full={
        "tasks": {"one-fact": 1000, "two-facts": 2500, "lists": 1500},
        "people": {"two-facts": 500, "lists": 500},
        "epochs": 20,
        "lr": 0.02,
        "seeds": [0, 1, 2],
    },
    short={
        "tasks": {"one-fact": 200, "two-facts": 500},
        "people": {"two-facts": 100},
        "epochs": 4,
        "lr": 0.02,
        "seeds": [0],
    },
)
RUNS["spectra-mlp"] = Run(
    "companion.records.spectra:compare",
    full={
        "kind": "mlp",
        "scales": [0.1, 0.25, 1.0],
        "conditions": {
            "labels": {},
            "shuffled": {"shuffled": True},
            "decay": {"decay": 0.001},
            "first frozen": {"frozen": 0},
            "second frozen": {"frozen": 1},
        },
        "seeds": [0, 1, 2, 3, 4],
        "rates": [0.02, 0.05, 0.1],
        "choose_seeds": [100, 101],
        "epochs": 150,
        "jobs": 2,
    },
    short={
        "kind": "mlp",
        "scales": [0.25, 1.0],
        "conditions": {"labels": {}, "first frozen": {"frozen": 0}},
        "seeds": [0],
        "rates": [0.1],
        "choose_seeds": [],
        "epochs": 20,
    },
)
RUNS["spectra-others"] = Run(
    "companion.records.spectra:others",
    full={
        "kinds": {
            "cnn": {"rates": [0.02, 0.05, 0.1], "epochs": 30},
            "lstm": {"rates": [0.05, 0.1, 0.3], "epochs": 60},
        },
        "scales": [0.25, 1.0],
        "seeds": [0, 1, 2],
        "choose_seeds": [100, 101],
        "jobs": 2,
    },
    short={
        "kinds": {
            "cnn": {"rates": [0.1], "epochs": 2},
            "lstm": {"rates": [0.1], "epochs": 6},
        },
        "scales": [0.25],
        "seeds": [0],
        "choose_seeds": [],
    },
)
RUNS["spectra-tails"] = Run(
    "companion.records.spectra:tails",
    full={
        "scales": [0.1, 1.0],
        "seeds": [0, 1, 2, 3, 4],
        "rate": 0.1,
        "epochs": 150,
        "repeats": 200,
        "jobs": 2,
    },
    short={"scales": [1.0], "seeds": [0], "rate": 0.1, "epochs": 5, "repeats": 20},
)
RUNS["spectra-kept"] = Run(
    "companion.records.spectra:kept",
    full={
        "scales": [0.1, 0.25, 1.0],
        "counts": [0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 30, 60, 120],
        "seeds": [0, 1, 2, 3, 4],
        "rate": 0.1,
        "epochs": 150,
        "jobs": 2,
    },
    short={"scales": [1.0], "counts": [0, 256], "seeds": [0], "rate": 0.1, "epochs": 2},
)
