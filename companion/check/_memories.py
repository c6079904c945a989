"""The exercises of the lesson *Is memory consolidation a random-matrix phenomenon?*."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.integrate import quad

from companion.check._engine import Exercise, Mistake


def _time_case(rng: np.random.Generator) -> Mapping[str, Any]:
    strength, share = float(rng.uniform(0.3, 4.0)), float(rng.uniform(0.2, 0.95))
    # Not near one half, where leaving the share out would go unnoticed.
    if abs(share - 0.5) < 0.05:
        share += 0.1
    start = strength * share * 10 ** float(rng.uniform(-4, -0.5))
    return {"strength": strength, "start": start, "share": share}


def _time_by_quadrature(strength: float, start: float, share: float) -> float:
    """Add up the time from strength to strength; the logarithm of it takes even steps."""
    ends = math.log(start), math.log(share * strength)
    found = quad(lambda x: 1 / (2 * (strength - math.exp(x))), *ends, epsabs=1e-13, epsrel=1e-12)
    return float(found[0])


def _time_but(
    *, factor: float = 1.0, left_out: bool = False, odds: bool = True, half: bool = False
) -> Callable[[float, float, float], float]:
    """Return the time with one thing changed."""

    def wrong(strength: float, start: float, share: float) -> float:
        f = 0.5 if half else share
        ratio = f * (strength if left_out else strength - start) / start
        if odds:
            ratio /= 1 - f
        return factor * math.log(ratio) / (2 * strength)

    return wrong


def _one_layer(strength: float, start: float, share: float) -> float:
    return math.log((strength - start) / ((1 - share) * strength))


def _absolute(strength: float, start: float, share: float) -> float | None:
    """Take the share for a strength, where there is one."""
    if share >= strength:
        return None
    return math.log(share * (strength - start) / ((strength - share) * start)) / (2 * strength)


learning_time = Exercise(
    name="learning_time",
    oracle=_time_by_quadrature,
    sample=_time_case,
    edge_cases=[
        {"strength": 2.0, "start": 0.001, "share": 0.9},
        {"strength": 1.0, "start": 0.5, "share": 0.75},
    ],
    mistakes=[
        Mistake(
            "This is twice the time. The exponent is twice strength times time, because both "
            "layers grow.",
            variant=_time_but(factor=2.0),
        ),
        Mistake(
            "This is half of the time. Count again how often the strength stands in the exponent.",
            variant=_time_but(factor=0.5),
        ),
        Mistake(
            "The sign is wrong: the start comes before the share is learned, so the time is "
            "positive.",
            variant=_time_but(factor=-1.0),
        ),
        Mistake(
            "This is the time for one half, whatever the share.",
            variant=_time_but(half=True),
        ),
        Mistake(
            "This is pure exponential growth. As the mode comes near its strength it slows down.",
            variant=lambda strength, start, share: (
                math.log(share * strength / start) / (2 * strength)
            ),
        ),
        Mistake(
            "The denominator 1 - share is missing inside the logarithm.",
            variant=_time_but(odds=False),
        ),
        Mistake(
            "Close for a small start. In the equation stands the strength over the start, minus "
            "one.",
            variant=_time_but(left_out=True),
        ),
        Mistake(
            "This is the time of a single layer. With two the growth depends on the strength.",
            variant=_one_layer,
        ),
        Mistake(
            "The logarithm is right. It is divided by twice the strength.",
            variant=lambda strength, start, share: (
                2 * strength * _time_by_quadrature(strength, start, share)
            ),
        ),
        Mistake(
            "The logarithm is right, but multiplied by the strength: strong modes would be slow.",
            variant=lambda strength, start, share: (
                2 * strength**2 * _time_by_quadrature(strength, start, share)
            ),
        ),
        Mistake(
            "The share is taken for a strength. It is a share of the strength.",
            # Where the share is no strength that can be reached, the mistake has no answer.
            when=lambda case, right, got: (
                (wrong := _absolute(**case)) is not None and bool(np.isclose(got, wrong))
            ),
        ),
    ],
    success="It agrees with the time added up from strength to strength.",
)


def _copies_case(rng: np.random.Generator) -> Mapping[str, Any]:
    while True:
        load, flipped = float(rng.uniform(0.02, 2.0)), float(rng.uniform(0.0, 0.42))
        bound = math.sqrt(load) / (1 - 2 * flipped) ** 2
        # Rounding must not decide, and neighbours of the answer must be wrong.
        if 0.02 < bound % 1 < 0.98:
            return {"load": load, "flipped": flipped}


def _copies_by_counting(load: float, flipped: float) -> int:
    """Add one copy after another until the block's largest eigenvalue is beyond the threshold."""
    copies = 1
    while True:
        block = np.full((copies, copies), (1 - 2 * flipped) ** 2)
        np.fill_diagonal(block, 1.0)
        if float(np.linalg.eigvalsh(block)[-1]) > 1 + math.sqrt(load) + 1e-9:
            return copies
        copies += 1


def _copies_but(
    *,
    likeness: Callable[[float], float] = lambda f: (1 - 2 * f) ** 2,
    noise: Callable[[float], float] = math.sqrt,
    more: int = 0,
) -> Callable[[float, float], int]:
    """Return the number with one thing changed."""

    def wrong(load: float, flipped: float) -> int:
        return math.floor(1 + noise(load) / likeness(flipped)) + 1 + more

    return wrong


copies_needed = Exercise(
    name="copies_needed",
    oracle=_copies_by_counting,
    sample=_copies_case,
    # In the last the bound is a whole number, without rounding: rounding up is not enough.
    edge_cases=[
        {"load": 0.2, "flipped": 0.2},
        {"load": 0.25, "flipped": 0.0},
        {"load": 1.0, "flipped": 0.0},
    ],
    repeats=12,
    mistakes=[
        Mistake(
            "One too few: this many copies do not stand out yet. The answer lies beyond the bound, "
            "even where the bound is a whole number.",
            variant=_copies_but(more=-1),
        ),
        Mistake("One too many: fewer copies would do.", variant=_copies_but(more=1)),
        Mistake(
            "This is the bound itself. The answer is the first whole number beyond it.",
            variant=lambda load, flipped: 1 + math.sqrt(load) / (1 - 2 * flipped) ** 2,
        ),
        Mistake(
            "The overlap of a copy with the prototype stands where the overlap of two copies "
            "belongs, which is its square.",
            variant=_copies_but(likeness=lambda f: 1 - 2 * f),
        ),
        Mistake(
            "The share that is not flipped is not the overlap: a flipped unit counts against it, "
            "not as zero.",
            variant=_copies_but(likeness=lambda f: (1 - f) ** 2),
        ),
        Mistake(
            "The load stands where its root belongs.",
            variant=_copies_but(noise=lambda load: load),
        ),
        Mistake(
            "This takes the copies as exact. Those with flipped units add up to less.",
            variant=_copies_but(likeness=lambda f: 1.0),
        ),
        Mistake(
            "The edge of the bulk stands where the threshold belongs. A spike is lengthened by "
            "the noise, so it stands out before it is as long as the edge.",
            variant=_copies_but(noise=lambda load: (1 + math.sqrt(load)) ** 2 - 1),
        ),
    ],
    success="One copy fewer stays in the bulk.",
)
