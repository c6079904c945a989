"""Learning-rate schedules: functions of the step number, counted from 0.

A schedule is any callable ``step -> learning rate``. :func:`.fit`
calls it before each optimiser step.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from companion._validation import integer, real

Schedule = Callable[[int], float]


def constant(lr: float) -> Schedule:
    """Return a schedule that never changes.

    Parameters
    ----------
    lr : float
        Learning rate, above 0.

    Returns
    -------
    callable

    Examples
    --------
    >>> constant(0.1)(1000)
    0.1
    """
    rate = _rate(lr)
    return lambda step: rate


def step_decay(lr: float, *, step_size: int, gamma: float = 0.1) -> Schedule:
    r"""Return a schedule that multiplies the rate by `gamma` every `step_size` steps.

    Implements :eq:`eq-step-decay`.

    Parameters
    ----------
    lr : float
        Learning rate at step 0.
    step_size : int
    gamma : float in (0, 1], default 0.1

    Returns
    -------
    callable

    Examples
    --------
    >>> schedule = step_decay(1.0, step_size=10, gamma=0.5)
    >>> [schedule(t) for t in (0, 9, 10, 25)]
    [1.0, 1.0, 0.5, 0.25]
    """
    rate, size, factor = _rate(lr), integer("step_size", step_size), _gamma(gamma)
    return lambda step: rate * factor ** (step // size)


def exponential_decay(lr: float, *, gamma: float) -> Schedule:
    r"""Return a schedule that multiplies the rate by `gamma` each step.

    Implements :eq:`eq-exponential-decay`.

    Parameters
    ----------
    lr : float
        Learning rate at step 0.
    gamma : float in (0, 1]

    Returns
    -------
    callable

    Examples
    --------
    >>> exponential_decay(1.0, gamma=0.5)(3)
    0.125
    """
    rate, factor = _rate(lr), _gamma(gamma)
    return lambda step: rate * factor**step


def cosine(lr: float, *, total_steps: int, final_lr: float = 0.0) -> Schedule:
    r"""Return a schedule that falls along half a cosine, then stays.

    Implements :eq:`eq-cosine` (Loshchilov & Hutter, ICLR 2017, without restarts).

    Parameters
    ----------
    lr : float
        Learning rate at step 0.
    total_steps : int
        Step at which `final_lr` is reached.
    final_lr : float, default 0

    Returns
    -------
    callable

    Examples
    --------
    >>> schedule = cosine(1.0, total_steps=100)
    >>> [round(schedule(t), 4) for t in (0, 50, 100, 150)]
    [1.0, 0.5, 0.0, 0.0]
    """
    rate, total = _rate(lr), integer("total_steps", total_steps)
    final = real("final_lr", final_lr, minimum=0.0, maximum=rate)

    def schedule(step: int) -> float:
        progress = min(step, total) / total
        return final + (rate - final) * 0.5 * (1.0 + math.cos(math.pi * progress))

    return schedule


def warm_up(schedule: Schedule, *, warmup_steps: int) -> Schedule:
    r"""Return a schedule that rises linearly to another one, which starts afterwards.

    Implements :eq:`eq-warm-up`.

    Parameters
    ----------
    schedule : callable
        Followed from step `warmup_steps` on, as if that step were its step 0.
    warmup_steps : int

    Returns
    -------
    callable

    Raises
    ------
    TypeError
        If `schedule` is not callable.

    Examples
    --------
    >>> schedule = warm_up(constant(1.0), warmup_steps=4)
    >>> [schedule(t) for t in range(6)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    """
    if not callable(schedule):
        raise TypeError(f"schedule must be callable, got {schedule!r}")
    steps = integer("warmup_steps", warmup_steps)

    def warmed(step: int) -> float:
        if step < steps:
            return schedule(0) * (step + 1) / steps
        return schedule(step - steps)

    return warmed


def _rate(lr: float) -> float:
    return real("lr", lr, minimum=0.0, open_minimum=True)


def _gamma(gamma: float) -> float:
    return real("gamma", gamma, minimum=0.0, maximum=1.0, open_minimum=True)
