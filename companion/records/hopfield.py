"""The long runs of the lesson on Hopfield networks: what is recalled, and how much is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy import special

from companion._validation import FloatArray, choice
from companion.memory.hopfield import (
    dense_recall,
    dreaming,
    flip,
    hebbian,
    modern_recall,
    projection,
    random_patterns,
    recall,
    storkey,
)

#: The rules by name; the number is how long the network dreams.
RULES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "Hebb": hebbian,
    "Storkey": storkey,
    "dreaming, 1": partial(dreaming, time=1.0),
    "dreaming, 10": partial(dreaming, time=10.0),
    "dreaming, 100": partial(dreaming, time=100.0),
    "projection": projection,
    "projection, diagonal": partial(projection, diagonal=True),
}
#: Memories of the comparison of capacities, with the power of the energy where there is one.
MODELS = ("Hebb", "dense 3", "dense 4", "modern")


def retrieval(
    rules: Sequence[str],
    units: Sequence[int],
    loads: Sequence[float],
    noises: Sequence[float],
    networks: Sequence[int],
    probes: int,
    *,
    recalled: float = 0.9,
    max_sweeps: int = 100,
    seed: int = 0,
    jobs: int = 1,
) -> dict[str, Any]:
    """Start networks near their patterns, and see where they end.

    Each network stores random patterns. Some of them, or all if there are no more, are
    flipped by each noise and updated one unit after another. All rules
    store the same patterns and start from the same states.

    Parameters
    ----------
    rules : sequence of str
        Some of :data:`RULES`.
    units : sequence of int
        Sizes of networks.
    loads : sequence of float
        Patterns per unit. Their number is rounded, and at least 1.
    noises : sequence of float
        Shares of units that are flipped at the start.
    networks : sequence of int
        How many networks of each size.
    probes : int
        Patterns that are tried in each network.
    recalled : float, default 0.9
        A pattern counts as recalled if the final overlap with it is larger.
    max_sweeps : int, default 100
    seed : int, default 0
    jobs : int, default 1

    Returns
    -------
    dict
        By rule and size, with one row for each load and one column for each noise:
        ``"overlap"``, the mean final overlap; ``"recalled"``, the share of patterns
        recalled; ``"spread"``, the standard deviation of that share over
        networks. And ``"settled"``: the share of all states that reached a fixed point.
    """
    cases = list(product(range(len(units)), range(len(loads))))
    # Largest networks first, so that no core waits for the last one.
    order = sorted(cases, key=lambda case: -units[case[0]])
    parts = Parallel(n_jobs=jobs)(
        delayed(_ends)(
            [choice("rules", rule, RULES) for rule in rules],
            units[n],
            loads[k],
            noises,
            [(seed, units[n], k, network) for network in range(networks[n])],
            probes,
            max_sweeps,
        )
        for n, k in order
    )
    ends = dict(zip(order, parts, strict=True))
    results: dict[str, Any] = {}
    settled = [part[1] for part in parts]
    for r, rule in enumerate(rules):
        results[rule] = {}
        for n, size in enumerate(units):
            # Axes: loads, networks, probes, noises.
            found = [ends[n, k][0][:, r] for k in range(len(loads))]
            shares = np.array([(end > recalled).mean(axis=1) for end in found])
            results[rule][str(size)] = {
                "overlap": _rounded([end.mean(axis=(0, 1)) for end in found]),
                "recalled": _rounded(shares.mean(axis=1)),
                "spread": _rounded(shares.std(axis=1, ddof=1 if networks[n] > 1 else 0)),
            }
    return {**results, "settled": round(float(np.mean(settled)), 4)}


def _ends(
    rules: Sequence[str],
    units: int,
    load: float,
    noises: Sequence[float],
    seeds: Sequence[tuple[int, ...]],
    probes: int,
    max_sweeps: int,
) -> tuple[FloatArray, float]:
    """Return final overlaps of shape (networks, rules, probes, noises), and the share settled."""
    overlaps: list[list[FloatArray]] = []
    settled = []
    count = max(1, round(load * units))
    for seed in seeds:
        rng = np.random.default_rng(seed)
        patterns = random_patterns(count, units, rng=rng, dtype=np.float32)
        tried = patterns[:probes]
        starts = np.stack([flip(tried, noise, rng=rng) for noise in noises], axis=1)
        overlaps.append([])
        for rule in rules:
            found = recall(
                RULES[rule](patterns),
                starts,
                max_sweeps=max_sweeps,
                rng=np.random.default_rng(seed),
            )
            overlaps[-1].append((found.state * tried[:, None]).mean(axis=2))
            settled.append(found.converged.mean())
    return np.array(overlaps), float(np.mean(settled))


def _rounded(rows: Any) -> list[list[float]]:
    return [[round(float(value), 4) for value in row] for row in rows]


def predicted_capacity(model: str, units: int, noise: float) -> float:
    """Return the number of patterns of which theory expects half to be recalled exactly.

    Parameters
    ----------
    model : str
        One of :data:`MODELS`.
    units : int
        At least 2.
    noise : float
        Share of units that are flipped at the start; only "modern" depends on it.

    Returns
    -------
    float
        For "Hebb" and "dense": Gaussian crosstalk turns no unit of a pattern with a
        chance of one half. For many units that is ``N / (2 ln N)`` (McEliece et al.,
        IEEE Trans. Inf. Theory 33, 1987) and ``N^(n-1) / (2 (2n-3)!! ln N)`` for power n
        (Krotov & Hopfield, NIPS 2016). For "modern": with a chance of one half no
        other pattern is as near to the start as the right one; for many units
        this grows like ``2^(N (1 - H))`` with the entropy H of the noise in bits
        (Shannon, Bell Syst. Tech. J. 27, 1948).

    Examples
    --------
    >>> [round(predicted_capacity(model, 20, 0.1)) for model in MODELS]
    [6, 40, 162, 3445]
    """
    if choice("model", model, MODELS) == "modern":
        near = special.comb(units, np.arange(round(noise * units) + 1)).sum()
        return float(np.log(2.0) * 2.0**units / near)
    power = int(model.split()[1]) if model != "Hebb" else 2
    limit = float(special.ndtri(1.0 - np.log(2.0) / units))
    return float(units ** (power - 1) / (special.factorial2(2 * power - 3) * limit**2))


def exactly_recalled(
    model: str, patterns: FloatArray, starts: FloatArray, wanted: FloatArray, noise: float
) -> float:
    """Return the share of states that end in the wanted pattern, without one wrong unit.

    Parameters
    ----------
    model : str
        One of :data:`MODELS`. "modern" makes one step and takes signs; its beta is the one
        at which the step is the mean of the patterns, weighted by their
        probabilities given the state.
    patterns : ndarray, shape (P, N)
    starts, wanted : ndarray, shape (T, N)
    noise : float
        Share of units that were flipped.

    Returns
    -------
    float
    """
    if model == "modern":
        beta = 0.5 * float(np.log((1.0 - noise) / noise))
        state = np.sign(modern_recall(patterns, starts, beta))
    elif model == "Hebb":
        state = recall(hebbian(patterns), starts).state
    else:
        state = dense_recall(patterns, starts, int(model.split()[1])).state
    return float((state == wanted).all(axis=1).mean())


def capacity(
    units: Mapping[str, Sequence[int]],
    noise: float,
    seeds: Sequence[int],
    probes: int,
    *,
    first: float = 0.25,
    factor: float = 1.2,
    jobs: int = 1,
) -> dict[str, Any]:
    """Count the random patterns of which half are recalled exactly.

    Parameters
    ----------
    units : mapping of str to sequence of int
        Sizes to try, for some of :data:`MODELS`.
    noise : float
        Share of units that are flipped at the start.
    seeds : sequence of int
    probes : int
        States that are tried, at each number of patterns.
    first : float, default 0.25
        The first number of patterns, as a share of :func:`predicted_capacity`.
    factor : float, default 1.2
        From one number of patterns to the next.
    jobs : int, default 1

    Returns
    -------
    dict
        By model, for each size and seed, the number of patterns at which the share
        recalled falls through one half: between two numbers tried, on a logarithmic scale.
    """
    cases = [(model, size, s) for model in units for size in units[model] for s in seeds]
    found = iter(
        Parallel(n_jobs=jobs)(
            delayed(_half)(model, size, noise, s, probes, first, factor) for model, size, s in cases
        )
    )
    return {model: [[next(found) for _ in seeds] for _ in units[model]] for model in units}


def _half(
    model: str, units: int, noise: float, seed: int, probes: int, first: float, factor: float
) -> float:
    rng = np.random.default_rng((seed, units))
    guess = first * predicted_capacity(model, units, noise)
    # With a single pattern everything is recalled.
    before, count, share, last = 1.0, max(2.0, guess), 1.0, 1.0
    while True:
        patterns = random_patterns(round(count), units, rng=rng, dtype=np.float32)
        wanted = patterns[rng.integers(len(patterns), size=probes)]
        share = exactly_recalled(model, patterns, flip(wanted, noise, rng=rng), wanted, noise)
        if share < 0.5:
            break
        before, last, count = float(round(count)), share, max(count * factor, count + 1.0)
    part = (last - 0.5) / (last - share)
    return round(float(np.exp((1 - part) * np.log(before) + part * np.log(round(count)))), 3)
