"""Learning-rate schedules, step by step against torch.optim.lr_scheduler."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from companion.network import schedules

RATES = st.floats(1e-4, 1.0)


def torch_rates(lr, make, count):
    """Return the learning rate torch uses at steps 0, 1, ..., count - 1."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler, rates = make(optimiser), []
    for _ in range(count):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates


def ours(schedule, count):
    return [schedule(step) for step in range(count)]


@given(lr=RATES)
def test_constant(lr):
    """Oracle: the rate itself."""
    assert ours(schedules.constant(lr), 5) == [lr] * 5


@given(lr=RATES, size=st.integers(1, 7), gamma=st.floats(0.1, 1.0))
def test_step_decay_equals_torch(lr, size, gamma):
    """Oracle: lr_scheduler.StepLR."""
    theirs = torch_rates(lr, lambda o: lr_scheduler.StepLR(o, size, gamma), 20)
    assert ours(schedules.step_decay(lr, step_size=size, gamma=gamma), 20) == pytest.approx(
        theirs, rel=1e-12
    )


def test_step_decay_has_torchs_default():
    """Oracle: lr_scheduler.StepLR without gamma."""
    theirs = torch_rates(1.0, lambda o: lr_scheduler.StepLR(o, 3), 10)
    assert ours(schedules.step_decay(1.0, step_size=3), 10) == pytest.approx(theirs, rel=1e-12)


@given(lr=RATES, gamma=st.floats(0.1, 1.0))
def test_exponential_decay_equals_torch(lr, gamma):
    """Oracle: lr_scheduler.ExponentialLR."""
    theirs = torch_rates(lr, lambda o: lr_scheduler.ExponentialLR(o, gamma), 12)
    assert ours(schedules.exponential_decay(lr, gamma=gamma), 12) == pytest.approx(
        theirs, rel=1e-12
    )


@given(lr=RATES, total=st.integers(1, 25), share=st.floats(0.0, 1.0))
def test_cosine_equals_torch_and_then_stays(lr, total, share):
    """Oracle: lr_scheduler.CosineAnnealingLR up to its end, the final rate from there on."""
    final = share * lr
    theirs = torch_rates(lr, lambda o: lr_scheduler.CosineAnnealingLR(o, total, final), total + 1)
    schedule = schedules.cosine(lr, total_steps=total, final_lr=final)
    assert ours(schedule, total + 1) == pytest.approx(theirs, rel=1e-9, abs=1e-12)
    assert schedule(0) == pytest.approx(lr, rel=1e-15)
    for late in (total, total + 1, 10 * total):
        assert schedule(late) == pytest.approx(final, rel=1e-15, abs=1e-17)


def test_cosine_ends_at_zero_unless_told():
    """Oracle: cos(pi / 2) = 0 half way, and torch's default eta_min of 0."""
    schedule = schedules.cosine(0.4, total_steps=4)
    assert [schedule(t) for t in (0, 2, 4, 5)] == pytest.approx([0.4, 0.2, 0.0, 0.0], abs=1e-17)


@given(lr=RATES, steps=st.integers(1, 8), total=st.integers(1, 8))
def test_warm_up_equals_torch(lr, steps, total):
    """Oracle: LambdaLR with the rise written out, and SequentialLR of LinearLR and
    CosineAnnealingLR."""
    schedule = schedules.warm_up(schedules.constant(lr), warmup_steps=steps)
    theirs = torch_rates(
        lr, lambda o: lr_scheduler.LambdaLR(o, lambda t: min(1.0, (t + 1) / steps)), steps + 4
    )
    assert ours(schedule, steps + 4) == pytest.approx(theirs, rel=1e-12)
    schedule = schedules.warm_up(schedules.cosine(lr, total_steps=total), warmup_steps=steps)

    def rise_then_fall(optimiser):
        # LinearLR ends one step before the milestone at the full rate, as ours does.
        rise = lr_scheduler.LambdaLR(optimiser, lambda t: (t + 1) / steps)
        fall = lr_scheduler.CosineAnnealingLR(optimiser, total)
        return lr_scheduler.SequentialLR(optimiser, [rise, fall], milestones=[steps])

    count = steps + total + 1
    theirs = torch_rates(lr, rise_then_fall, count)
    assert ours(schedule, count) == pytest.approx(theirs, rel=1e-9, abs=1e-9)


@given(lr=RATES, steps=st.integers(2, 9))
def test_warm_up_equals_linear_lr(lr, steps):
    """Oracle: lr_scheduler.LinearLR from 1/steps to 1 over steps - 1 steps."""
    theirs = torch_rates(
        lr, lambda o: lr_scheduler.LinearLR(o, 1 / steps, 1.0, steps - 1), steps + 3
    )
    schedule = schedules.warm_up(schedules.constant(lr), warmup_steps=steps)
    assert ours(schedule, steps + 3) == pytest.approx(theirs, rel=1e-9)


def test_warm_up_starts_the_other_schedule_at_its_step_0():
    """Oracle: a schedule that returns the step it was asked for."""
    schedule = schedules.warm_up(lambda step: 100.0 + step, warmup_steps=4)
    assert ours(schedule, 7) == [25.0, 50.0, 75.0, 100.0, 100.0, 101.0, 102.0]


@pytest.mark.parametrize(
    "make",
    [
        schedules.constant,
        lambda lr: schedules.step_decay(lr, step_size=1),
        lambda lr: schedules.exponential_decay(lr, gamma=0.5),
        lambda lr: schedules.cosine(lr, total_steps=1),
    ],
)
def test_every_schedule_checks_its_rate(make):
    """Oracle: the message names lr and its interval."""
    for wrong in (0, 0.0, -1e-3, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"^lr must lie in \(0, inf\), got "):
            make(wrong)
    for wrong in ("0.1", None, True, [0.1]):
        with pytest.raises(TypeError, match=r"^lr must be a real number, got "):
            make(wrong)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: schedules.step_decay(1.0, step_size=0),
            ValueError,
            r"^step_size must be at least 1, got 0$",
        ),
        (
            lambda: schedules.step_decay(1.0, step_size=2.0),
            TypeError,
            r"^step_size must be an integer, got 2\.0$",
        ),
        (
            lambda: schedules.step_decay(1.0, step_size=1, gamma=0.0),
            ValueError,
            r"^gamma must lie in \(0, 1\], got 0\.0$",
        ),
        (
            lambda: schedules.exponential_decay(1.0, gamma=1.01),
            ValueError,
            r"^gamma must lie in \(0, 1\], got 1\.01$",
        ),
        (
            lambda: schedules.exponential_decay(1.0, gamma=-0.5),
            ValueError,
            r"^gamma must lie in \(0, 1\], got -0\.5$",
        ),
        (
            lambda: schedules.exponential_decay(1.0, gamma="x"),
            TypeError,
            r"^gamma must be a real number, got 'x'$",
        ),
        (
            lambda: schedules.cosine(1.0, total_steps=0),
            ValueError,
            r"^total_steps must be at least 1, got 0$",
        ),
        (
            lambda: schedules.cosine(1.0, total_steps=1.5),
            TypeError,
            r"^total_steps must be an integer, got 1\.5$",
        ),
        (
            lambda: schedules.cosine(0.5, total_steps=2, final_lr=0.6),
            ValueError,
            r"^final_lr must lie in \[0, 0\.5\], got 0\.6$",
        ),
        (
            lambda: schedules.cosine(0.5, total_steps=2, final_lr=-0.1),
            ValueError,
            r"^final_lr must lie in \[0, 0\.5\], got -0\.1$",
        ),
        (
            lambda: schedules.warm_up(0.1, warmup_steps=2),
            TypeError,
            r"^schedule must be callable, got 0\.1$",
        ),
        (
            lambda: schedules.warm_up(schedules.constant(1.0), warmup_steps=0),
            ValueError,
            r"^warmup_steps must be at least 1, got 0$",
        ),
        (
            lambda: schedules.warm_up(schedules.constant(1.0), warmup_steps=None),
            TypeError,
            r"^warmup_steps must be an integer, got None$",
        ),
    ],
)
def test_schedules_refuse(call, error, message):
    """Oracle: the message names the argument, what was expected and what came."""
    with pytest.raises(error, match=message):
        call()
