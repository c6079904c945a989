"""Answers to the exercises, checked: ``check.<exercise>(your_function)``.

Each exercise of the book has a check of the same name here. It calls the
function on random inputs, compares it with an independent way to the result,
and answers in one or two sentences.
"""

from companion.check._backward import (
    cross_entropy_gradient,
    linear_backward,
    normalise_backward,
)
from companion.check._engine import Exercise, Mistake, Result
from companion.check._forward import linear_forward, mlp_forward, stable_log_softmax
from companion.check._optimisation import adamw_step, momentum_step, warmup_cosine
from companion.check._vanishing_gradients import (
    error_preserving_std,
    gradient_ratio,
    orthogonal_from,
)

__all__ = [
    "Exercise",
    "Mistake",
    "Result",
    "adamw_step",
    "cross_entropy_gradient",
    "error_preserving_std",
    "gradient_ratio",
    "linear_backward",
    "linear_forward",
    "mlp_forward",
    "momentum_step",
    "normalise_backward",
    "orthogonal_from",
    "stable_log_softmax",
    "warmup_cosine",
]
