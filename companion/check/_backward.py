"""The exercises of the lesson *Backward*."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special

from companion._validation import FloatArray, IntArray
from companion.check._engine import Exercise, Mistake, distinct_sizes
from companion.network.autodiff import Tensor

Gradients = tuple[FloatArray, FloatArray, FloatArray]


def _linear_case(rng: np.random.Generator) -> Mapping[str, Any]:
    batch, n, m = distinct_sizes(rng, 3)
    return {
        "grad_output": rng.normal(size=(batch, m)),
        "x": rng.normal(size=(batch, n)),
        "weight": rng.normal(size=(m, n)),
    }


def _linear_by_autodiff(grad_output: FloatArray, x: FloatArray, weight: FloatArray) -> Gradients:
    # The loss <grad_output, Z> has exactly this gradient with respect to Z.
    inputs = Tensor(x), Tensor(weight), Tensor(np.zeros(len(weight)))
    ((inputs[0] @ inputs[1].T + inputs[2]) * grad_output).sum().backward()
    grad_x, grad_weight, grad_bias = (np.asarray(tensor.grad) for tensor in inputs)
    return grad_x, grad_weight, grad_bias


def _linear_but(
    change: Callable[[FloatArray, FloatArray, FloatArray, Gradients], tuple[Any, Any, Any]],
) -> Callable[[FloatArray, FloatArray, FloatArray], tuple[Any, Any, Any]]:
    def wrong(grad_output: FloatArray, x: FloatArray, weight: FloatArray) -> tuple[Any, Any, Any]:
        right = grad_output @ weight, grad_output.T @ x, grad_output.sum(axis=0)
        return change(grad_output, x, weight, right)

    return wrong


def _in_another_order(case: Mapping[str, Any], right: Gradients, got: Any) -> bool:
    return len(got) == 3 and any(
        all(
            np.shape(r) == np.shape(g) and np.allclose(r, g)
            for r, g in zip(order, got, strict=True)
        )
        for order in itertools.permutations(right)
    )


linear_backward = Exercise(
    name="linear_backward",
    oracle=_linear_by_autodiff,
    sample=_linear_case,
    outputs=("grad_x", "grad_weight", "grad_bias"),
    edge_cases=[{"grad_output": np.array([[2.0]]), "x": np.array([[3.0]]), "weight": np.eye(1)}],
    mistakes=[
        Mistake(
            "grad_weight has one row for each input. It needs the layout of weight, "
            "one row for each output.",
            variant=_linear_but(lambda g, x, w, r: (r[0], r[1].T, r[2])),
        ),
        Mistake(
            "The product for grad_x does not fit: the axis of the outputs has to meet the axis of "
            "the outputs. Write the shapes of both factors side by side.",
            variant=_linear_but(lambda g, x, w, r: (g @ w.T, r[1], r[2])),
        ),
        Mistake(
            "grad_x has samples as columns; it needs the layout of x.",
            variant=_linear_but(lambda g, x, w, r: (r[0].T, r[1], r[2])),
        ),
        Mistake(
            "grad_bias is averaged over the batch. The 1/N of the loss is already inside "
            "grad_output.",
            variant=_linear_but(lambda g, x, w, r: (r[0], r[1], g.mean(axis=0))),
        ),
        Mistake(
            "grad_weight is averaged over the batch. The 1/N of the loss is already inside "
            "grad_output.",
            variant=_linear_but(lambda g, x, w, r: (r[0], r[1] / len(x), r[2])),
        ),
        Mistake(
            "The parameter gradients are averaged over the batch. The 1/N of the loss is already "
            "inside grad_output.",
            variant=_linear_but(lambda g, x, w, r: (r[0], r[1] / len(x), r[2] / len(x))),
        ),
        Mistake(
            "All three gradients are averaged over the batch. The 1/N of the loss is already "
            "inside grad_output.",
            variant=_linear_but(lambda g, x, w, r: (r[0] / len(x), r[1] / len(x), r[2] / len(x))),
        ),
        Mistake(
            "grad_bias still has one row for each sample. One bias serves all samples.",
            variant=_linear_but(lambda g, x, w, r: (r[0], r[1], g)),
        ),
        Mistake(
            "grad_bias sums over the outputs; the sum has to run over the samples.",
            variant=_linear_but(lambda g, x, w, r: (r[0], r[1], g.sum(axis=1))),
        ),
        Mistake(
            "The three gradients are right, but in another order: x, weight, bias is asked for.",
            when=_in_another_order,
        ),
    ],
    success="All three gradients agree with automatic differentiation of the forward pass.",
)


def _logits_case(rng: np.random.Generator) -> Mapping[str, Any]:
    batch, classes = distinct_sizes(rng, 2)
    return {
        "logits": rng.normal(scale=3.0, size=(batch, classes)),
        "labels": rng.integers(classes, size=batch),
    }


def _cross_entropy_by_autodiff(logits: FloatArray, labels: IntArray) -> FloatArray:
    z = Tensor(logits)
    shifted = z - logits.max(axis=1, keepdims=True)
    log_p = shifted - shifted.exp().sum(axis=1).log()
    (-(log_p * np.eye(logits.shape[1])[labels]).sum() / len(labels)).backward()
    return np.asarray(z.grad)


def _one_hot(logits: FloatArray, labels: IntArray) -> FloatArray:
    return np.asarray(np.eye(logits.shape[1])[labels])


def _literal_softmax(logits: FloatArray) -> FloatArray:
    return np.asarray(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))


def _one_maximum_softmax(logits: FloatArray) -> FloatArray:
    return _literal_softmax(logits - logits.max())


def _minus_one_in_columns(logits: FloatArray, labels: IntArray) -> FloatArray:
    p = special.softmax(logits, axis=1)
    p[:, labels] -= 1
    return np.asarray(p / len(logits))


def _is_derivative_by_probability(case: Mapping[str, Any], right: Any, got: Any) -> bool:
    """Return whether the result is -Y / P, over N or not, wherever that is finite."""
    logits, labels = case["logits"], case["labels"]
    with np.errstate(all="ignore"):
        wanted = -_one_hot(logits, labels) / special.softmax(logits, axis=1)
    seen = np.isfinite(wanted) & np.isfinite(got)
    return bool(seen.any()) and any(
        np.allclose(got[seen], wanted[seen] / n, rtol=1e-5) for n in (1, len(labels))
    )


cross_entropy_gradient = Exercise(
    name="cross_entropy_gradient",
    oracle=_cross_entropy_by_autodiff,
    sample=_logits_case,
    edge_cases=[
        {"logits": np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]]), "labels": np.array([1, 2])},
        {"logits": np.array([[0.5, -0.5, 1.5, 0.0]]), "labels": np.array([3])},
    ],
    mistakes=[
        Mistake(
            "It is right for small logits only: for large ones an exponential overflows.",
            variant=lambda z, y: (_literal_softmax(z) - _one_hot(z, y)) / len(z),
        ),
        Mistake(
            "One maximum is used for all rows, so a row of small logits underflows. "
            "Each row needs its own maximum.",
            variant=lambda z, y: (_one_maximum_softmax(z) - _one_hot(z, y)) / len(z),
        ),
        Mistake(
            "This is the gradient of the sum of the losses; the loss is their mean.",
            variant=lambda z, y: special.softmax(z, axis=1) - _one_hot(z, y),
        ),
        Mistake(
            "It divides by the number of all logits. The loss is a mean over samples.",
            variant=lambda z, y: (special.softmax(z, axis=1) - _one_hot(z, y)) / z.size,
        ),
        Mistake(
            "It divides by the number of classes. The loss is a mean over samples.",
            variant=lambda z, y: (special.softmax(z, axis=1) - _one_hot(z, y)) / z.shape[1],
        ),
        Mistake(
            "For large logits an exponential overflows, and this is the gradient of the sum of "
            "the losses. Their mean is asked for, at every size of the logits.",
            variant=lambda z, y: _literal_softmax(z) - _one_hot(z, y),
        ),
        Mistake(
            "It subtracts 1 in whole columns; each row has one right class.",
            variant=_minus_one_in_columns,
        ),
        Mistake(
            "This is the derivative with respect to the probability; "
            "the softmax has not been differentiated yet.",
            when=_is_derivative_by_probability,
        ),
        Mistake(
            "This is truth minus probability. The loss falls when the right logit rises, "
            "so that entry is negative.",
            variant=lambda z, y: (_one_hot(z, y) - special.softmax(z, axis=1)) / len(z),
        ),
        Mistake(
            "This is truth minus probability, so every sign is wrong. "
            "The mean over the samples is missing, too.",
            variant=lambda z, y: _one_hot(z, y) - special.softmax(z, axis=1),
        ),
        Mistake(
            "The softmax runs over the samples. Each row is one sample.",
            variant=lambda z, y: (special.softmax(z, axis=0) - _one_hot(z, y)) / len(z),
        ),
        Mistake(
            "These are the probabilities over N. The truth is not subtracted yet.",
            variant=lambda z, y: special.softmax(z, axis=1) / len(z),
        ),
        Mistake(
            "The logits stand where the probabilities belong.",
            variant=lambda z, y: (z - _one_hot(z, y)) / len(z),
        ),
        Mistake(
            "The label is subtracted as a number. It names the one entry of its row that changes.",
            variant=lambda z, y: (special.softmax(z, axis=1) - y[:, None]) / len(z),
        ),
    ],
    success="Right in every row, at logits of ten thousand too.",
)

_EPS = 1e-5


def _normalise_case(rng: np.random.Generator) -> Mapping[str, Any]:
    batch, n = distinct_sizes(rng, 2, low=3, high=9)
    return {
        "grad_output": rng.normal(size=(batch, n)),
        "x": rng.normal(loc=1.0, scale=2.0, size=(batch, n)),
    }


def _normalise_by_autodiff(grad_output: FloatArray, x: FloatArray) -> FloatArray:
    tensor, n = Tensor(x), x.shape[1]
    centred = tensor - tensor.sum(axis=1) / n
    variance = (centred * centred).sum(axis=1) / n
    (centred * (variance + _EPS) ** -0.5 * grad_output).sum().backward()
    return np.asarray(tensor.grad)


def _normalise_but(
    change: Callable[[FloatArray, FloatArray, FloatArray], FloatArray],
    *,
    axis: int = 1,
    ddof: int = 0,
    eps: float = _EPS,
) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """Return a backward pass from ``change(grad_output, y, s)``, y the output and s the scale."""

    def wrong(grad_output: FloatArray, x: FloatArray) -> FloatArray:
        s = np.sqrt(x.var(axis=axis, keepdims=True, ddof=ddof) + eps)
        return change(grad_output, (x - x.mean(axis=axis, keepdims=True)) / s, s)

    return wrong


def _mean(array: FloatArray, axis: int = 1) -> FloatArray:
    return np.asarray(array.mean(axis=axis, keepdims=True))


normalise_backward = Exercise(
    name="normalise_backward",
    oracle=_normalise_by_autodiff,
    sample=_normalise_case,
    edge_cases=[
        {
            "grad_output": np.array([[1.0, 2.0, 4.0], [0.5, -1.0, 0.0]]),
            "x": np.array([[3.0, 3.0, 3.0], [1.0, 2.0, 4.0]]),
        }
    ],
    mistakes=[
        Mistake(
            "Mean and variance are treated as constants. "
            "Both change when an input of the row changes.",
            variant=_normalise_but(lambda g, y, s: g / s),
        ),
        Mistake(
            "The variance is treated as a constant. It changes when an input of the row changes.",
            variant=_normalise_but(lambda g, y, s: (g - _mean(g)) / s),
        ),
        Mistake(
            "The path through the mean is missing.",
            variant=_normalise_but(lambda g, y, s: (g - y * _mean(g * y)) / s),
        ),
        Mistake(
            "The path through the variance has the wrong sign.",
            variant=_normalise_but(lambda g, y, s: (g - _mean(g) + y * _mean(g * y)) / s),
        ),
        Mistake(
            "The two terms that come from mean and variance are sums over the row; "
            "the 1/n in front of them is missing.",
            variant=_normalise_but(
                lambda g, y, s: (g - g.shape[1] * _mean(g) - g.shape[1] * y * _mean(g * y)) / s
            ),
        ),
        Mistake(
            "The term that comes from the variance is a sum over the row; "
            "the 1/n in front of it is missing.",
            variant=_normalise_but(
                lambda g, y, s: (g - _mean(g) - g.shape[1] * y * _mean(g * y)) / s
            ),
        ),
        Mistake(
            "In the term that comes from the variance the mean is that of grad_output alone. "
            "The sum of hint 3 has one more factor.",
            variant=_normalise_but(lambda g, y, s: (g - _mean(g) - y * _mean(g)) / s),
        ),
        Mistake(
            "In one place the centred row stands where the normalised one belongs.",
            variant=_normalise_but(lambda g, y, s: (g - _mean(g) - s * y * _mean(g * y)) / s),
        ),
        Mistake(
            "In two places the centred row stands where the normalised one belongs.",
            variant=_normalise_but(lambda g, y, s: (g - _mean(g) - s**2 * y * _mean(g * y)) / s),
        ),
        Mistake(
            "It divides by the variance of the row. The scale is its root.",
            variant=_normalise_but(lambda g, y, s: (g - _mean(g) - y * _mean(g * y)) / s**2),
        ),
        Mistake(
            "Mean and variance run over the samples. Each row is normalised by itself.",
            variant=_normalise_but(
                lambda g, y, s: (g - _mean(g, 0) - y * _mean(g * y, 0)) / s, axis=0
            ),
        ),
        Mistake(
            "The division by the scale of the row is missing.",
            variant=_normalise_but(lambda g, y, s: g - _mean(g) - y * _mean(g * y)),
        ),
        Mistake(
            "It multiplies by the scale of the row where it should divide.",
            variant=_normalise_but(lambda g, y, s: (g - _mean(g) - y * _mean(g * y)) * s),
        ),
        Mistake(
            "The small constant under the root is missing, "
            "which shows most where a row is nearly constant.",
            variant=_normalise_but(lambda g, y, s: (g - _mean(g) - y * _mean(g * y)) / s, eps=0.0),
        ),
        Mistake(
            "The variance divides by n - 1; the forward pass divides by n.",
            variant=_normalise_but(lambda g, y, s: (g - _mean(g) - y * _mean(g * y)) / s, ddof=1),
        ),
    ],
    success="It agrees with automatic differentiation of the forward pass, constant rows included.",
)
