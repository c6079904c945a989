"""The exercises of the lesson *Why gradients vanish*."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake, distinct_sizes
from companion.network.gradient_check import numerical_gradient
from companion.network.layers import Layer
from companion.network.losses import CrossEntropyLoss, Loss
from companion.network.models import mlp


def _slopes_case(rng: np.random.Generator) -> Mapping[str, Any]:
    samples, units, fan_out = distinct_sizes(rng, 3)
    return {"slopes": rng.uniform(0.1, 1.0, size=(samples, units)), "fan_out": fan_out}


def _std_by_enumeration(slopes: FloatArray, fan_out: int) -> float:
    # Weights of plus and minus one have mean 0 and variance 1, and all of them can be tried.
    error = 1.0 + np.arange(fan_out)
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=fan_out)))
    sent_back = np.mean((signs @ error) ** 2)
    growth = np.mean([sent_back * slope**2 for slope in np.ravel(slopes)]) / np.mean(error**2)
    return float(growth**-0.5)


error_preserving_std = Exercise(
    name="error_preserving_std",
    oracle=_std_by_enumeration,
    sample=_slopes_case,
    edge_cases=[
        {"slopes": np.array([0.0, 1.0, 1.0, 0.0]), "fan_out": 3},
        {"slopes": np.array([[0.25]]), "fan_out": 5},
    ],
    mistakes=[
        Mistake(
            "This is the variance; the standard deviation is asked for.",
            variant=lambda slopes, fan_out: 1 / (fan_out * np.mean(slopes**2)),
        ),
        Mistake(
            "The slopes are averaged and then squared. Mean squares add up, so square first.",
            variant=lambda slopes, fan_out: 1 / (np.sqrt(fan_out) * np.mean(slopes)),
        ),
        Mistake(
            "The squared slopes are summed. Each entry of the error term meets one slope, "
            "so their mean counts.",
            variant=lambda slopes, fan_out: 1 / np.sqrt(fan_out * np.sum(slopes**2)),
        ),
        Mistake(
            "The slopes are missing: this is right for the identity only.",
            variant=lambda slopes, fan_out: fan_out**-0.5,
        ),
        Mistake(
            "The number of units is missing: an entry of the error term is a sum over all units "
            "of the layer above.",
            variant=lambda slopes, fan_out: np.mean(slopes**2) ** -0.5,
        ),
        Mistake(
            "The size of slopes stands where fan_out belongs. On the way back the sum runs over "
            "the units of the layer above.",
            variant=lambda slopes, fan_out: (slopes.shape[-1] * np.mean(slopes**2)) ** -0.5,
        ),
        Mistake(
            "Small slopes need large weights; here they get small ones.",
            variant=lambda slopes, fan_out: np.sqrt(np.mean(slopes**2) / fan_out),
        ),
        Mistake(
            "This is the root of the growth for weights of variance 1. The standard deviation has "
            "to undo it.",
            variant=lambda slopes, fan_out: np.sqrt(fan_out * np.mean(slopes**2)),
        ),
        Mistake(
            "This is He's formula, which is for ReLU only. Use the slopes you are given.",
            variant=lambda slopes, fan_out: np.sqrt(2.0 / fan_out),
        ),
        Mistake(
            "The largest slope stands where the mean of the squared slopes belongs.",
            variant=lambda slopes, fan_out: 1 / (np.sqrt(fan_out) * np.max(slopes)),
        ),
        Mistake(
            "The spread of the slopes is used. Their mean square counts, with nothing subtracted.",
            variant=lambda slopes, fan_out: 1 / (np.sqrt(fan_out) * np.std(slopes)),
        ),
    ],
    success="With this standard deviation the error term keeps its mean square.",
)


def _draws_case(rng: np.random.Generator) -> Mapping[str, Any]:
    return {"draws": rng.normal(size=distinct_sizes(rng, 2)), "gain": rng.uniform(0.5, 2.0)}


def _tall(
    orthonormal: Callable[[FloatArray], FloatArray],
) -> Callable[[FloatArray, float], FloatArray]:
    """Return the exercise's function for one that serves tall matrices and no gain."""

    def function(draws: FloatArray, gain: float) -> FloatArray:
        wide = draws.shape[0] < draws.shape[1]
        result = orthonormal(draws.T if wide else draws)
        return np.asarray(gain * (result.T if wide else result))

    return function


@_tall
def _by_cholesky(draws: FloatArray) -> FloatArray:
    # A'A = R'R, so the Cholesky factor is the R with positive diagonal.
    upper = np.linalg.cholesky(draws.T @ draws).T
    return np.asarray(np.linalg.solve(upper.T, draws.T).T)


def _signed_qr(draws: FloatArray) -> FloatArray:
    q, r = np.linalg.qr(draws)
    return np.asarray(q * np.sign(np.diag(r)))


def _sign_of_all(draws: FloatArray) -> FloatArray:
    q, r = np.linalg.qr(draws)
    return np.asarray(q * np.sign(r[0, 0]))


def _times_diagonal(draws: FloatArray) -> FloatArray:
    q, r = np.linalg.qr(draws)
    return np.asarray(q * np.diag(r))


def _polar(draws: FloatArray) -> FloatArray:
    u, _, vt = np.linalg.svd(draws, full_matrices=False)
    return np.asarray(u @ vt)


def _columns_only(draws: FloatArray, gain: float) -> FloatArray:
    return np.asarray(gain * _signed_qr(draws))


def _unit_columns(draws: FloatArray) -> FloatArray:
    return np.asarray(draws / np.linalg.norm(draws, axis=0))


def _singular_values_are(
    case: Mapping[str, Any], got: NDArray[Any], wanted: Callable[[float], float]
) -> bool:
    values = np.linalg.svd(np.asarray(got, dtype=float), compute_uv=False)
    return got.shape == case["draws"].shape and np.allclose(values, wanted(case["gain"]))


orthogonal_from = Exercise(
    name="orthogonal_from",
    oracle=_by_cholesky,
    sample=_draws_case,
    edge_cases=[
        {"draws": np.array([[-2.0, 1.0], [1.0, 3.0], [0.5, -1.0]]), "gain": 1.5},
        {"draws": np.array([[-3.0, 4.0]]), "gain": 2.0},
        {"draws": np.array([[1.0, 2.0], [3.0, -4.0]]), "gain": 0.5},
    ],
    mistakes=[
        Mistake(
            "The signs are not fixed: where the diagonal of R is negative, a column has the "
            "wrong sign.",
            variant=_tall(lambda draws: np.asarray(np.linalg.qr(draws)[0])),
        ),
        Mistake(
            "One sign is used for all columns. Each column has its own, from its own entry of the "
            "diagonal of R.",
            variant=_tall(_sign_of_all),
        ),
        Mistake(
            "The columns of Q are multiplied by the diagonal of R. Only its signs belong there.",
            variant=_tall(_times_diagonal),
        ),
        Mistake(
            "It works for tall and square matrices only. A wide one has more columns than can be "
            "orthogonal to each other.",
            variant=_columns_only,
        ),
        Mistake(
            "This is the orthogonal factor of the polar decomposition. It is orthogonal too, but "
            "another matrix than Q.",
            variant=_tall(_polar),
        ),
        Mistake(
            "The columns have length 1 but are not orthogonal to each other.",
            variant=_tall(_unit_columns),
        ),
        Mistake(
            "The singular values are 1. The gain is missing.",
            when=lambda case, right, got: (
                _singular_values_are(case, got, lambda gain: 1.0) and case["gain"] != 1.0
            ),
        ),
        Mistake(
            "The singular values are the square of the gain: it has been applied twice.",
            when=lambda case, right, got: _singular_values_are(case, got, lambda gain: gain**2),
        ),
    ],
    success="All singular values equal the gain, for tall and wide matrices, with the signs fixed.",
)


def _network_case(rng: np.random.Generator) -> Mapping[str, Any]:
    batch, inputs, width, classes = distinct_sizes(rng, 4)
    # Six linear layers, so that the last is called "10" and sorts before "2".
    sizes = [inputs, *[width] * 5, classes]
    model = mlp(sizes, activation="tanh", rng=rng)
    for name, parameter in model.parameters().items():
        if name.endswith("bias"):
            parameter[...] = rng.normal(size=parameter.shape)
    return {
        "model": model,
        "loss": CrossEntropyLoss(),
        "x": rng.normal(size=(batch, inputs)),
        "y": rng.integers(classes, size=batch),
    }


def _ratio_by_differences(model: Layer, loss: Loss, x: FloatArray, y: NDArray[Any]) -> float:
    weights = [w for w in model.parameters().values() if w.ndim == 2]

    def norm(weight: FloatArray) -> float:
        def value(changed: FloatArray) -> float:
            kept = weight.copy()
            weight[...] = changed
            result = loss.forward(model.forward(x), y)
            weight[...] = kept
            return result

        return float(np.linalg.norm(numerical_gradient(value, weight.copy())))

    return norm(weights[0]) / norm(weights[-1])


def _ratio(
    select: Callable[[dict[str, FloatArray]], list[FloatArray]],
    size: Callable[[FloatArray], float] = lambda g: float(np.linalg.norm(g)),
) -> Callable[[Layer, Loss, FloatArray, NDArray[Any]], float]:
    """Return the ratio of `size` of the first and the last of the gradients that `select` gives."""

    def function(model: Layer, loss: Loss, x: FloatArray, y: NDArray[Any]) -> float:
        loss.forward(model.forward(x), y)
        model.backward(loss.backward())
        chosen = select(model.gradients())
        return size(chosen[0]) / size(chosen[-1])

    return function


def _matrices(gradients: dict[str, FloatArray]) -> list[FloatArray]:
    return [g for g in gradients.values() if g.ndim == 2]


def _of_the_weights(model: Layer, loss: Loss, x: FloatArray, y: NDArray[Any]) -> float:
    weights = _matrices(model.parameters())
    return float(np.linalg.norm(weights[0]) / np.linalg.norm(weights[-1]))


gradient_ratio = Exercise(
    name="gradient_ratio",
    oracle=_ratio_by_differences,
    sample=_network_case,
    repeats=5,
    rtol=1e-5,
    mistakes=[
        Mistake(
            "This is the last layer over the first; the first over the last is asked for.",
            variant=_ratio(lambda gradients: _matrices(gradients)[::-1]),
        ),
        Mistake(
            "The last gradient in the dictionary belongs to a bias. Only weight matrices count.",
            variant=_ratio(lambda gradients: list(gradients.values())),
        ),
        Mistake(
            "The names are sorted as text, which puts layer 10 before layer 2. Keep the order of "
            "the dictionary.",
            variant=_ratio(lambda gradients: [gradients[n] for n in sorted(gradients) if "w" in n]),
        ),
        Mistake(
            "These are the squares of the norms: the root is missing.",
            variant=_ratio(_matrices, lambda g: float(np.sum(g**2))),
        ),
        Mistake(
            "This compares the largest entries. The Frobenius norm counts all of them.",
            variant=_ratio(_matrices, lambda g: float(np.abs(g).max())),
        ),
        Mistake(
            "This is a mean over the entries, so the size of the matrix changes it. The Frobenius "
            "norm is the root of a sum.",
            variant=_ratio(_matrices, lambda g: float(np.sqrt(np.mean(g**2)))),
        ),
        Mistake(
            "This compares the spectral norms, the largest singular values. The Frobenius norm is "
            "asked for.",
            variant=_ratio(_matrices, lambda g: float(np.linalg.norm(g, 2))),
        ),
        Mistake(
            "These are the biases' gradients. Only weight matrices count.",
            variant=_ratio(lambda gradients: [g for g in gradients.values() if g.ndim == 1]),
        ),
        Mistake(
            "This compares the weights themselves; their gradients are asked for.",
            variant=_of_the_weights,
        ),
        Mistake(
            "This is the logarithm of the ratio; the ratio itself is asked for.",
            variant=lambda *case: np.log10(_ratio(_matrices)(*case)),
        ),
        Mistake(
            "This begins at the second weight matrix; the first is asked for.",
            variant=_ratio(lambda gradients: _matrices(gradients)[1:]),
        ),
    ],
    success="The ratio agrees with finite differences of the loss.",
)
