"""The exercises of the lesson on optimisation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake, distinct_sizes

Case = dict[str, Any]


def _momentum_by_entry(
    w: FloatArray, velocity: FloatArray, gradient: FloatArray, lr: float, momentum: float
) -> tuple[FloatArray, FloatArray]:
    # One number at a time: v' = mu v + g changes w by lr mu v and by lr g.
    pairs = [
        (a - lr * momentum * b - lr * c, math.fsum((momentum * b, c)))
        for a, b, c in zip(w.flat, velocity.flat, gradient.flat, strict=True)
    ]
    moved, kept = zip(*pairs, strict=True)
    return np.reshape(moved, w.shape), np.reshape(kept, w.shape)


def _momentum_case(rng: np.random.Generator) -> Case:
    shape = distinct_sizes(rng, 2)
    return {
        "w": rng.normal(size=shape),
        "velocity": rng.normal(size=shape),
        "gradient": rng.normal(size=shape),
        "lr": float(rng.uniform(0.01, 0.9)),
        "momentum": float(rng.uniform(0.3, 0.95)),
    }


def _swapped(case: Mapping[str, Any], right: Any, got: Any) -> bool:
    return all(np.allclose(a, b) for a, b in zip(right, reversed(got), strict=True))


momentum_step = Exercise(
    name="momentum_step",
    oracle=_momentum_by_entry,
    sample=_momentum_case,
    outputs=("w", "velocity"),
    mistakes=[
        Mistake(
            "Both results are right, but they come in the wrong order: w first, then velocity.",
            when=_swapped,
        ),
        Mistake(
            "The learning rate is inside the velocity. In this convention the velocity is a sum "
            "of gradients, and the rate scales it only when w moves.",
            variant=lambda w, velocity, gradient, lr, momentum: (
                w - (momentum * velocity + lr * gradient),
                momentum * velocity + lr * gradient,
            ),
        ),
        Mistake(
            "w moves along the old velocity: this step's gradient has to be in it already.",
            variant=lambda w, velocity, gradient, lr, momentum: (
                w - lr * velocity,
                momentum * velocity + gradient,
            ),
        ),
        Mistake(
            "The gradient enters the velocity with the weight 1 - momentum. Here it is a sum, "
            "not an average.",
            variant=lambda w, velocity, gradient, lr, momentum: (
                w - lr * (momentum * velocity + (1 - momentum) * gradient),
                momentum * velocity + (1 - momentum) * gradient,
            ),
        ),
        Mistake(
            "momentum multiplies the gradient: it belongs to the old velocity.",
            variant=lambda w, velocity, gradient, lr, momentum: (
                w - lr * (velocity + momentum * gradient),
                velocity + momentum * gradient,
            ),
        ),
        Mistake(
            "w moves up the gradient: a step downhill subtracts.",
            variant=lambda w, velocity, gradient, lr, momentum: (
                w + lr * (momentum * velocity + gradient),
                momentum * velocity + gradient,
            ),
        ),
        Mistake(
            "The velocity has the opposite sign: here it points along the gradient, and w "
            "subtracts it.",
            variant=lambda w, velocity, gradient, lr, momentum: (
                w + lr * (momentum * velocity - gradient),
                momentum * velocity - gradient,
            ),
        ),
        Mistake(
            "w moves along the gradient alone: the velocity is computed, but not used.",
            variant=lambda w, velocity, gradient, lr, momentum: (
                w - lr * gradient,
                momentum * velocity + gradient,
            ),
        ),
        Mistake(
            "That is Nesterov's variant: w moves along gradient + momentum * velocity. The plain "
            "step moves along the velocity itself.",
            variant=lambda w, velocity, gradient, lr, momentum: (
                w - lr * (gradient + momentum * (momentum * velocity + gradient)),
                momentum * velocity + gradient,
            ),
        ),
    ],
    success="Velocity and parameters follow the rule, in PyTorch's convention.",
)


def _adamw_by_entry(
    w: FloatArray,
    m: FloatArray,
    v: FloatArray,
    gradient: FloatArray,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    # The other form in the paper of Adam (its section 2): the corrections are folded into the
    # rate, so that no corrected average appears. One number at a time.
    root = math.sqrt(1.0 - beta2**t)
    rate = lr * root / (1.0 - beta1**t)
    out = []
    for a, b, c, g in zip(w.flat, m.flat, v.flat, gradient.flat, strict=True):
        mean = g + beta1 * (b - g)
        square = g * g + beta2 * (c - g * g)
        out.append(
            (
                a - lr * weight_decay * a - rate * mean / (math.sqrt(square) + eps * root),
                mean,
                square,
            )
        )
    new_w, new_m, new_v = (np.reshape(part, w.shape) for part in zip(*out, strict=True))
    return new_w, new_m, new_v


def _adamw_case(rng: np.random.Generator) -> Case:
    shape = distinct_sizes(rng, 2)
    return {
        "w": rng.normal(size=shape),
        "m": 0.1 * rng.normal(size=shape),
        "v": rng.uniform(0.01, 0.5, size=shape),
        "gradient": rng.normal(size=shape),
        "t": int(rng.integers(2, 20)),
        "lr": float(rng.uniform(0.01, 0.2)),
        "beta1": float(rng.uniform(0.5, 0.9)),
        "beta2": float(rng.uniform(0.92, 0.999)),
        "eps": float(rng.uniform(0.01, 0.1)),
        "weight_decay": float(rng.uniform(0.1, 1.0)),
    }


def _adamw_first_step() -> Case:
    # A first step, with a weight that has never had a gradient: only the decay moves it.
    return {
        "w": np.array([1.0, -2.0, 3.0]),
        "m": np.zeros(3),
        "v": np.zeros(3),
        "gradient": np.array([0.5, -4.0, 0.0]),
        "t": 1,
        "lr": 0.1,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 0.01,
        "weight_decay": 0.5,
    }


def _adamw(
    w: FloatArray,
    m: FloatArray,
    v: FloatArray,
    gradient: FloatArray,
    t: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    *,
    wrong: str,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return what a function with one typical mistake returns."""
    if wrong == "coupled":
        gradient = gradient + weight_decay * w
    if wrong == "betas":
        beta1, beta2 = beta2, beta1
    new1, new2 = (1.0, 1.0) if wrong == "sums" else (1 - beta1, 1 - beta2)
    m = beta1 * m + new1 * gradient
    v = beta2 * v + new2 * (np.abs(gradient) if wrong == "square" else gradient**2)
    clock = {"early": t - 1, "late": t + 1}.get(wrong, t)
    m_hat, v_hat = m / (1 - beta1**clock), v / (1 - beta2**clock)
    if wrong == "uncorrected":
        m_hat, v_hat = m, v
    denominator = np.sqrt(v_hat + eps) if wrong == "inside" else np.sqrt(v_hat) + eps
    if wrong == "no root":
        denominator = v_hat + eps
    decay = {
        "coupled": 0.0,
        "none": 0.0,
        "unscaled": weight_decay,
        "growth": -lr * weight_decay,
    }.get(wrong, lr * weight_decay)
    if wrong == "after":
        w = (1 - decay) * (w - lr * m_hat / denominator)
    else:
        w = (1 - decay) * w - lr * m_hat / denominator
    return (w, m_hat, v_hat) if wrong == "hats" else (w, m, v)


def _adamw_mistake(diagnosis: str, wrong: str) -> Mistake:
    return Mistake(diagnosis, variant=lambda *case: _adamw(*case, wrong=wrong))


adamw_step = Exercise(
    name="adamw_step",
    oracle=_adamw_by_entry,
    sample=_adamw_case,
    edge_cases=[_adamw_first_step()],
    outputs=("w", "m", "v"),
    mistakes=[
        _adamw_mistake(
            "The weight decay passes through the averages, as in Adam with an L2 penalty: "
            "decoupled means that it acts on w alone.",
            "coupled",
        ),
        _adamw_mistake(
            "The step uses m and v without bias correction: at small t they are still close to "
            "where they started.",
            "uncorrected",
        ),
        _adamw_mistake(
            "The step is right, but the corrected averages are returned: the next step needs m "
            "and v themselves.",
            "hats",
        ),
        _adamw_mistake("eps stands under the root; it is added to the root.", "inside"),
        _adamw_mistake("beta1 and beta2 have changed places.", "betas"),
        _adamw_mistake(
            "The bias correction is one step behind: t counts from 1, so this step's correction "
            "uses t itself.",
            "early",
        ),
        _adamw_mistake(
            "The bias correction is one step ahead: t already counts this step.", "late"
        ),
        _adamw_mistake(
            "There is no weight decay: a weight whose gradient is always zero should still shrink.",
            "none",
        ),
        _adamw_mistake(
            "The weight decay is not scaled by the learning rate, so w shrinks too fast.",
            "unscaled",
        ),
        _adamw_mistake(
            "The decay acts on w after the step: it should shrink the old w, not the step.", "after"
        ),
        _adamw_mistake("v should average the square of the gradient.", "square"),
        _adamw_mistake(
            "m and v are sums: the new gradient enters m with the weight 1 - beta1, and its square "
            "enters v with the weight 1 - beta2.",
            "sums",
        ),
        _adamw_mistake("The step divides by v itself: it should divide by its root.", "no root"),
        _adamw_mistake("The weight decay makes w grow: it should shrink w.", "growth"),
    ],
    success="Averages, corrections and decoupled decay follow the rule.",
)


def _schedule_by_sine(step: int, lr: float, warmup_steps: int, total_steps: int) -> float:
    # (1 + cos x) / 2 = 1 - sin^2(x / 2)
    if step < warmup_steps:
        return lr - lr * (warmup_steps - 1 - step) / warmup_steps
    if step >= total_steps:
        return 0.0
    quarter = math.pi / 2 * (step - warmup_steps) / (total_steps - warmup_steps)
    return lr * (1.0 - math.sin(quarter) ** 2)


def _schedule_case(rng: np.random.Generator) -> Case:
    warmup = int(rng.integers(2, 12))
    total = warmup + int(rng.integers(5, 40))
    return {
        "step": int(rng.integers(0, total + 10)),
        "lr": float(rng.uniform(0.01, 2.0)),
        "warmup_steps": warmup,
        "total_steps": total,
    }


def _rate(step: int, lr: float, warmup: int, total: int, *, wrong: str) -> float:
    """Return what a function with one typical mistake returns."""
    if wrong != "no warm-up" and (step < warmup or (wrong == "boundary" and step == warmup)):
        return lr * (step if wrong == "zero" else step + 1) / (warmup + (wrong == "ramp"))
    start = 0 if wrong in ("clock", "no warm-up") else warmup
    length = total if wrong in ("length", "clock", "no warm-up") else total - warmup
    progress = (step - start + (wrong == "early")) / length
    if wrong != "end":
        progress = min(progress, 1.0)
    if wrong == "linear":
        return lr * (1 - progress)
    if wrong == "quarter":
        return lr * math.cos(math.pi / 2 * progress)
    angle = progress if wrong == "radians" else math.pi * progress
    wave = -math.cos(angle) if wrong == "minus" else math.cos(angle)
    return lr * (1.0 if wrong == "half" else 0.5) * (1 + wave)


def _schedule_mistake(diagnosis: str, wrong: str) -> Mistake:
    return Mistake(diagnosis, variant=lambda *case: _rate(*case, wrong=wrong))


warmup_cosine = Exercise(
    name="warmup_cosine",
    oracle=_schedule_by_sine,
    sample=_schedule_case,
    edge_cases=[
        {"step": step, "lr": 0.5, "warmup_steps": 4, "total_steps": 20}
        for step in (0, 1, 3, 4, 5, 12, 19, 20, 21, 30)
    ],
    mistakes=[
        _schedule_mistake(
            "The warm-up starts from zero, so that the first step goes nowhere: at step 0 the rate "
            "should already be above zero, and at the warm-up's last step it should be full.",
            "zero",
        ),
        _schedule_mistake(
            "After total_steps the rate rises again: the cosine goes on. It should stay at zero.",
            "end",
        ),
        _schedule_mistake(
            "The cosine starts at the right step but takes too long: at total_steps the rate is "
            "not yet zero.",
            "length",
        ),
        _schedule_mistake(
            "The cosine's clock starts at step 0, so that the rate jumps when the warm-up ends.",
            "clock",
        ),
        _schedule_mistake("There is no warm-up at the first steps.", "no warm-up"),
        _schedule_mistake(
            "The warm-up lasts one step too long, and its last rate is above lr.", "boundary"
        ),
        _schedule_mistake("The cosine reaches twice lr: 1 + cos lies between 0 and 2.", "half"),
        _schedule_mistake(
            "The angle runs to 1 instead of pi: the rate never gets near zero.", "radians"
        ),
        _schedule_mistake(
            "That is a quarter of a cosine wave. The schedule takes half a wave, which starts and "
            "ends flat.",
            "quarter",
        ),
        _schedule_mistake("After the warm-up the rate falls in a straight line.", "linear"),
        _schedule_mistake(
            "The warm-up never reaches the full rate: at its last step the rate should be lr.",
            "ramp",
        ),
        _schedule_mistake(
            "After the warm-up the rate rises from zero: the cosine has the wrong sign.", "minus"
        ),
        _schedule_mistake(
            "The cosine runs one step early: at step warmup_steps the rate should still be lr.",
            "early",
        ),
    ],
    success="Warm-up, cosine and what comes after are right.",
)
