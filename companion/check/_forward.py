"""The exercises of the lesson *Forward*."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import special

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake, distinct_sizes

Layers = Sequence[tuple[FloatArray, FloatArray]]


def _linear_case(rng: np.random.Generator) -> Mapping[str, Any]:
    n, m, batch = distinct_sizes(rng, 3)
    return {
        "x": rng.normal(size=(batch, n)),
        "weight": rng.normal(size=(m, n)),
        "bias": rng.normal(size=m),
    }


def _linear_by_einsum(x: FloatArray, weight: FloatArray, bias: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("bi,oi->bo", x, weight) + bias[None, :])


linear_forward = Exercise(
    name="linear_forward",
    oracle=_linear_by_einsum,
    sample=_linear_case,
    mistakes=[
        Mistake(
            "The bias is missing: its numbers belong to the outputs of every sample.",
            variant=lambda x, weight, bias: x @ weight.T,
        ),
        Mistake(
            "The bias is subtracted where the formula adds it.",
            variant=lambda x, weight, bias: x @ weight.T - bias,
        ),
        Mistake(
            "The two factors do not meet in the axis of length n. "
            "Write their shapes side by side; one of them has to be transposed.",
            variant=lambda x, weight, bias: x @ weight + bias,
        ),
        Mistake(
            "The result has samples as columns. In this course each sample is a row.",
            variant=lambda x, weight, bias: weight @ x.T + bias[:, None],
        ),
    ],
    success="One product and one shift serve the whole batch.",
)


def _logits_case(rng: np.random.Generator) -> Mapping[str, Any]:
    batch, classes = distinct_sizes(rng, 2)
    return {"z": rng.normal(scale=3.0, size=(batch, classes))}


def _literal_log_softmax(z: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)))


def _log_sum_exp(z: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.exp(z).sum(axis=1, keepdims=True)))


def _is_floored(case: Mapping[str, Any], right: Any, got: Any) -> bool:
    """Return whether small probabilities were raised before the logarithm, by any usual floor."""
    finite = np.isfinite(got)
    right, got = right[finite], got[finite]
    floors = np.log([*10.0 ** -np.arange(4, 17), np.finfo(float).eps, 1e-300, np.finfo(float).tiny])
    return bool((np.abs(got - right) > 1e-9).any()) and any(
        np.allclose(got, raised(right, floor), rtol=1e-6, atol=1e-6)
        for floor in floors
        for raised in (np.logaddexp, np.maximum)
    )


def _overflows_where_logits_spread(case: Mapping[str, Any], right: Any, got: Any) -> bool:
    """Return whether the rows that break are those with logits far above their middle or least."""
    spread = case["z"] - case["z"].min(axis=1, keepdims=True)
    broken = spread.max(axis=1) > 2.0 * np.log(np.finfo(float).max)
    return bool(
        broken.any()
        and (~np.isfinite(got[broken])).any(axis=1).all()
        and np.allclose(got[~broken], right[~broken])
    )


stable_log_softmax = Exercise(
    name="stable_log_softmax",
    oracle=lambda z: special.log_softmax(z, axis=1),
    sample=_logits_case,
    edge_cases=[
        {"z": np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]])},
        {"z": np.array([[0.0, 1e4], [5.0, 5.0], [-2.0, 3.0]])},
    ],
    mistakes=[
        Mistake(
            "It is right for small logits only: for large ones an exponential overflows or a "
            "probability rounds to zero before its logarithm is taken.",
            variant=_literal_log_softmax,
        ),
        Mistake(
            "It is right for small logits only: the softmax is stable, but its logarithm is taken "
            "after small probabilities have rounded to zero.",
            variant=lambda z: np.log(special.softmax(z, axis=1)),
        ),
        Mistake(
            "It is right for small logits only: for others the sum of the exponentials overflows "
            "or rounds to zero.",
            variant=lambda z: z - _log_sum_exp(z),
        ),
        Mistake(
            "A floor under the probability hides the infinity, and gives a wrong number instead.",
            when=_is_floored,
        ),
        Mistake(
            "The shift is undone on one side only.",
            variant=lambda z: z - _log_sum_exp(z - z.max(axis=1, keepdims=True)),
        ),
        Mistake(
            "The sum runs over the samples. Each row needs its own.",
            variant=lambda z: special.log_softmax(z, axis=0),
        ),
        Mistake(
            "The sum runs over the whole batch. Each row needs its own.",
            variant=lambda z: z - special.logsumexp(z),
        ),
        Mistake(
            "One maximum is used for all rows, so a row of small logits underflows. "
            "Each row needs its own maximum.",
            variant=lambda z: (z - z.max()) - np.log(np.exp(z - z.max()).sum(axis=1)[:, None]),
        ),
        Mistake(
            "This is the softmax; its logarithm is asked for.",
            variant=lambda z: special.softmax(z, axis=1),
        ),
        Mistake(
            "The logarithm of the sum is missing: the row is only shifted by its maximum.",
            variant=lambda z: z - z.max(axis=1, keepdims=True),
        ),
        Mistake(
            "Another number than the maximum is subtracted, and an exponential still overflows. "
            "Subtract the one that keeps every exponent at or below 0.",
            when=_overflows_where_logits_spread,
        ),
    ],
    success="Every row is right, at logits of ten thousand too.",
)


def _network_case(rng: np.random.Generator) -> Mapping[str, Any]:
    sizes = distinct_sizes(rng, int(rng.integers(2, 6)), high=10)
    layers = [(rng.normal(size=(m, n)), rng.normal(size=m)) for n, m in itertools.pairwise(sizes)]
    return {"x": rng.normal(size=(int(rng.integers(1, 8)), sizes[0])), "layers": layers}


def _network_one_sample_at_a_time(x: FloatArray, layers: Layers) -> FloatArray:
    rows = []
    for a in x:
        for depth, (weight, bias) in enumerate(layers, start=1):
            a = weight @ a + bias
            if depth < len(layers):
                a = np.where(a > 0, a, 0.0)
        rows.append(a)
    return np.stack(rows)


def _chain(x: FloatArray, layers: Layers, activations: Sequence[Any]) -> FloatArray:
    for (weight, bias), f in zip(layers, activations, strict=True):
        x = f(x @ weight.T + bias)
    return x


def _relu(z: FloatArray) -> FloatArray:
    return np.maximum(z, 0.0)


def _same(z: FloatArray) -> FloatArray:
    return z


def _bias_last(x: FloatArray, layers: Layers) -> FloatArray:
    for depth, (weight, bias) in enumerate(layers, start=1):
        z = x @ weight.T
        x = (_relu(z) if depth < len(layers) else z) + bias
    return x


mlp_forward = Exercise(
    name="mlp_forward",
    oracle=_network_one_sample_at_a_time,
    sample=_network_case,
    mistakes=[
        Mistake(
            "ReLU also follows the last layer, so no logit is ever negative. "
            "The last layer has no activation.",
            variant=lambda x, layers: _chain(x, layers, [_relu] * len(layers)),
        ),
        Mistake(
            "ReLU is missing between the layers: they collapse into one matrix.",
            variant=lambda x, layers: _chain(x, layers, [_same] * len(layers)),
        ),
        Mistake(
            "ReLU comes before the layers instead of between them: it cuts the input, too.",
            variant=lambda x, layers: _chain(
                _relu(x), layers, [_relu] * (len(layers) - 1) + [_same]
            ),
        ),
        Mistake(
            "ReLU follows the first layer only. It belongs between every two layers.",
            variant=lambda x, layers: _chain(
                x,
                layers,
                [_relu if k == 0 < len(layers) - 1 else _same for k in range(len(layers))],
            ),
        ),
        Mistake(
            "Python's max compares whole arrays. ReLU takes the maximum entry by entry.",
            variant=lambda x, layers: _chain(
                x, layers, [lambda z: max(z, 0)] * (len(layers) - 1) + [_same]
            ),
        ),
        Mistake(
            "The bias is added after ReLU. It belongs to the pre-activation.",
            variant=_bias_last,
        ),
        Mistake(
            "The biases are missing.",
            variant=lambda x, layers: _chain(
                x, [(w, 0.0 * b) for w, b in layers], [_relu] * (len(layers) - 1) + [_same]
            ),
        ),
        Mistake(
            "The result holds probabilities. Logits are asked for; the loss does the rest.",
            variant=lambda x, layers: special.softmax(
                _network_one_sample_at_a_time(x, layers), axis=1
            ),
        ),
        Mistake(
            "The last layer is left out.",
            variant=lambda x, layers: _chain(x, layers[:-1], [_relu] * (len(layers) - 1)),
        ),
    ],
    success="The network is right at every depth tried, one layer included.",
)
