"""The checks of the lesson *Optimisation*: right answers pass, typical wrong ones do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from companion import check
from companion.check import Exercise
from companion.network import SGD, AdamW, schedules


def momentum_step(w, velocity, gradient, lr, momentum):
    velocity = momentum * velocity + gradient
    return w - lr * velocity, velocity


def adamw_step(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay):
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    w = (1 - lr * weight_decay) * w - lr * m_hat / (np.sqrt(v_hat) + eps)
    return w, m, v


def adamw_step_otherwise(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay):
    m = m + (1 - beta1) * (gradient - m)
    v = v - (1 - beta2) * (v - gradient * gradient)
    update = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps) + weight_decay * w
    return [w - lr * update, m, v]


def warmup_cosine(step, lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return lr * (step + 1) / warmup_steps
    progress = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    return 0.5 * lr * (1 + np.cos(np.pi * progress))


def warmup_cosine_by_the_package(step, lr, warmup_steps, total_steps):
    falling = schedules.cosine(lr, total_steps=total_steps - warmup_steps)
    return schedules.warm_up(falling, warmup_steps=warmup_steps)(step)


@pytest.mark.parametrize(
    ("exercise", "solution"),
    [
        (check.momentum_step, momentum_step),
        (check.adamw_step, adamw_step),
        (check.adamw_step, adamw_step_otherwise),
        (check.warmup_cosine, warmup_cosine),
        (check.warmup_cosine, warmup_cosine_by_the_package),
    ],
)
def test_right_answers_pass(exercise: Exercise, solution: Callable[..., Any]) -> None:
    """Oracle: answers written out by hand, by more than one way, and the package's schedules."""
    assert exercise(solution), exercise(solution).message


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("exercise", "solution"),
    [
        (check.momentum_step, momentum_step),
        (check.adamw_step, adamw_step),
        (check.warmup_cosine, warmup_cosine),
    ],
)
def test_the_oracles_agree_with_the_solutions_on_other_cases(
    exercise: Exercise, solution: Callable[..., Any], seed: int
) -> None:
    case = exercise.sample(np.random.default_rng(100 + seed)).values()
    for right, got in zip(
        np.atleast_1d(exercise.oracle(*case)), np.atleast_1d(solution(*case)), strict=True
    ):
        np.testing.assert_allclose(got, right, rtol=1e-12, atol=1e-15)


def test_momentum_oracle_is_pytorchs_rule() -> None:
    """Oracle: torch.optim.SGD, whose state is set to the given velocity, and the package's."""
    case = check.momentum_step.sample(np.random.default_rng(3))
    w, velocity = check.momentum_step.oracle(*case.values())
    theirs = torch.nn.Parameter(torch.tensor(case["w"]))
    theirs.grad = torch.tensor(case["gradient"])
    optimiser = torch.optim.SGD([theirs], lr=case["lr"], momentum=case["momentum"])
    optimiser.state[theirs]["momentum_buffer"] = torch.tensor(case["velocity"])
    optimiser.step()
    np.testing.assert_allclose(theirs.detach().numpy(), w, rtol=1e-12)

    ours = {"w": np.zeros_like(case["w"])}
    sgd = SGD(lr=1.0, momentum=case["momentum"])
    sgd.step(ours, {"w": case["velocity"]})
    ours["w"][...], sgd.lr = case["w"], case["lr"]
    sgd.step(ours, {"w": case["gradient"]})
    np.testing.assert_allclose(ours["w"], w, rtol=1e-12)
    np.testing.assert_allclose(case["momentum"] * case["velocity"] + case["gradient"], velocity)


def test_adamw_oracle_is_pytorchs_rule_over_several_steps() -> None:
    """Oracle: torch.optim.AdamW, step after step from zero averages, and the package's."""
    rng = np.random.default_rng(4)
    settings = {"lr": 0.05, "eps": 0.02, "weight_decay": 0.3}
    w = rng.normal(size=(3, 4))
    m = v = np.zeros_like(w)
    theirs, ours = torch.nn.Parameter(torch.tensor(w)), {"w": w.copy()}
    optimiser = torch.optim.AdamW([theirs], betas=(0.8, 0.95), **settings)
    adamw = AdamW(betas=(0.8, 0.95), **settings)
    for t in range(1, 6):
        gradient = rng.normal(size=w.shape)
        theirs.grad = torch.tensor(gradient)
        optimiser.step()
        adamw.step(ours, {"w": gradient})
        w, m, v = check.adamw_step.oracle(w, m, v, gradient, t, 0.05, 0.8, 0.95, 0.02, 0.3)
        np.testing.assert_allclose(theirs.detach().numpy(), w, rtol=1e-10)
        np.testing.assert_allclose(ours["w"], w, rtol=1e-10)


def velocity_holds_the_rate(w, velocity, gradient, lr, momentum):
    velocity = momentum * velocity + lr * gradient
    return w - velocity, velocity


def moves_by_the_old_velocity(w, velocity, gradient, lr, momentum):
    return w - lr * velocity, momentum * velocity + gradient


def averages(w, velocity, gradient, lr, momentum):
    velocity = momentum * velocity + (1 - momentum) * gradient
    return w - lr * velocity, velocity


def momentum_on_the_gradient(w, velocity, gradient, lr, momentum):
    velocity = velocity + momentum * gradient
    return w - lr * velocity, velocity


def climbs(w, velocity, gradient, lr, momentum):
    velocity = momentum * velocity + gradient
    return w + lr * velocity, velocity


def points_downhill(w, velocity, gradient, lr, momentum):
    velocity = momentum * velocity - gradient
    return w + lr * velocity, velocity


def ignores_the_velocity(w, velocity, gradient, lr, momentum):
    return w - lr * gradient, momentum * velocity + gradient


def looks_ahead(w, velocity, gradient, lr, momentum):
    velocity = momentum * velocity + gradient
    return w - lr * (gradient + momentum * velocity), velocity


def velocity_first(w, velocity, gradient, lr, momentum):
    return momentum_step(w, velocity, gradient, lr, momentum)[::-1]


def changes_w_in_place(w, velocity, gradient, lr, momentum):
    velocity = momentum * velocity + gradient
    w -= lr * velocity
    return w, velocity


def returns_w_alone(w, velocity, gradient, lr, momentum):
    return w - lr * (momentum * velocity + gradient)


def coupled_decay(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay):
    gradient = gradient + weight_decay * w
    return adamw_step(w, m, v, gradient, t, lr, beta1, beta2, eps, 0.0)


def no_bias_correction(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay):
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    return (1 - lr * weight_decay) * w - lr * m / (np.sqrt(v) + eps), m, v


def returns_the_corrected(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay):
    w, m, v = adamw_step(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay)
    return w, m / (1 - beta1**t), v / (1 - beta2**t)


def eps_under_the_root(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay):
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    step = m / (1 - beta1**t) / np.sqrt(v / (1 - beta2**t) + eps)
    return (1 - lr * weight_decay) * w - lr * step, m, v


def betas_swapped(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay):
    return adamw_step(w, m, v, gradient, t, lr, beta2, beta1, eps, weight_decay)


def t_from_zero(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay):
    return adamw_step(w, m, v, gradient, t - 1, lr, beta1, beta2, eps, weight_decay)


def t_counts_twice(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay):
    return adamw_step(w, m, v, gradient, t + 1, lr, beta1, beta2, eps, weight_decay)


def no_decay(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay):
    return adamw_step(w, m, v, gradient, t, lr, beta1, beta2, eps, 0.0)


def decay_without_rate(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay):
    return adamw_step(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay / lr)


def decays_afterwards(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay):
    w, m, v = adamw_step(w, m, v, gradient, t, lr, beta1, beta2, eps, 0.0)
    return (1 - lr * weight_decay) * w, m, v


def averages_absolute_values(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay):
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * abs(gradient)
    step = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps)
    return (1 - lr * weight_decay) * w - lr * step, m, v


def sums_instead_of_averages(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay):
    m, v = beta1 * m + gradient, beta2 * v + gradient**2
    step = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps)
    return (1 - lr * weight_decay) * w - lr * step, m, v


def forgets_the_root(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay):
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    step = m / (1 - beta1**t) / (v / (1 - beta2**t) + eps)
    return (1 - lr * weight_decay) * w - lr * step, m, v


def grows(w, m, v, gradient, t, lr, beta1, beta2, eps, weight_decay):
    return adamw_step(w, m, v, gradient, t, lr, beta1, beta2, eps, -weight_decay)


def never_reaches_the_top(step, lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return lr * (step + 1) / (warmup_steps + 1)
    return warmup_cosine(step, lr, warmup_steps, total_steps)


def one_step_early(step, lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return lr * (step + 1) / warmup_steps
    return warmup_cosine(step + 1, lr, warmup_steps, total_steps)


def starts_at_zero(step, lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return lr * step / warmup_steps
    return warmup_cosine(step, lr, warmup_steps, total_steps)


def rises_again(step, lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return lr * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return 0.5 * lr * (1 + math.cos(math.pi * progress))


def falls_too_slowly(step, lr, warmup_steps, total_steps):
    return warmup_cosine(step, lr, warmup_steps, total_steps + warmup_steps)


def one_clock_for_both(step, lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return lr * (step + 1) / warmup_steps
    return 0.5 * lr * (1 + math.cos(math.pi * min(step / total_steps, 1)))


def no_warm_up(step, lr, warmup_steps, total_steps):
    return 0.5 * lr * (1 + math.cos(math.pi * min(step / total_steps, 1)))


def one_step_too_long(step, lr, warmup_steps, total_steps):
    if step <= warmup_steps:
        return lr * (step + 1) / warmup_steps
    return warmup_cosine(step, lr, warmup_steps, total_steps)


def _after_warm_up(shape):
    def schedule(step, lr, warmup_steps, total_steps):
        if step < warmup_steps:
            return lr * (step + 1) / warmup_steps
        return lr * shape(min(1.0, (step - warmup_steps) / (total_steps - warmup_steps)))

    return schedule


WRONG = [
    (check.momentum_step, velocity_holds_the_rate, "inside the velocity"),
    (check.momentum_step, moves_by_the_old_velocity, "old velocity"),
    (check.momentum_step, averages, "not an average"),
    (check.momentum_step, momentum_on_the_gradient, "belongs to the old velocity"),
    (check.momentum_step, climbs, "up the gradient"),
    (check.momentum_step, points_downhill, "opposite sign"),
    (check.momentum_step, ignores_the_velocity, "gradient alone"),
    (check.momentum_step, looks_ahead, "Nesterov"),
    (check.momentum_step, velocity_first, "wrong order"),
    (check.momentum_step, changes_w_in_place, "changes its argument w in place"),
    (check.momentum_step, returns_w_alone, "should be 2 values"),
    (check.adamw_step, coupled_decay, "decoupled means"),
    (check.adamw_step, no_bias_correction, "without bias correction"),
    (check.adamw_step, returns_the_corrected, "corrected averages are returned"),
    (check.adamw_step, eps_under_the_root, "eps stands under the root"),
    (check.adamw_step, betas_swapped, "changed places"),
    (check.adamw_step, t_from_zero, "one step behind"),
    (check.adamw_step, t_counts_twice, "one step ahead"),
    (check.adamw_step, no_decay, "There is no weight decay"),
    (check.adamw_step, decay_without_rate, "not scaled by the learning rate"),
    (check.adamw_step, decays_afterwards, "after the step"),
    (check.adamw_step, averages_absolute_values, "the square of the gradient"),
    (check.adamw_step, sums_instead_of_averages, "m and v are sums"),
    (check.adamw_step, forgets_the_root, "divides by v itself"),
    (check.adamw_step, grows, "makes w grow"),
    (check.warmup_cosine, never_reaches_the_top, "never reaches the full rate"),
    (check.warmup_cosine, one_step_early, "one step early"),
    (check.warmup_cosine, _after_warm_up(lambda p: (1 - math.cos(math.pi * p)) / 2), "wrong sign"),
    (check.warmup_cosine, starts_at_zero, "starts from zero"),
    (check.warmup_cosine, rises_again, "rises again"),
    (check.warmup_cosine, falls_too_slowly, "takes too long"),
    (check.warmup_cosine, one_clock_for_both, "jumps when the warm-up ends"),
    (check.warmup_cosine, no_warm_up, "no warm-up"),
    (check.warmup_cosine, one_step_too_long, "one step too long"),
    (check.warmup_cosine, _after_warm_up(lambda p: 1 + math.cos(math.pi * p)), "twice lr"),
    (check.warmup_cosine, _after_warm_up(lambda p: (1 + math.cos(p)) / 2), "instead of pi"),
    (check.warmup_cosine, _after_warm_up(lambda p: math.cos(p * math.pi / 2)), "a quarter"),
    (check.warmup_cosine, _after_warm_up(lambda p: 1 - p), "straight line"),
    (check.warmup_cosine, lambda step, lr, warmup_steps, total_steps: lr, "is off by"),
]


@pytest.mark.parametrize(
    ("exercise", "function", "words"),
    WRONG,
    ids=[f"{exercise.name}-{words.replace(' ', '-')}" for exercise, _, words in WRONG],
)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, function: Callable[..., Any], words: str
) -> None:
    result = exercise(function)
    assert not result
    assert words in result.message
