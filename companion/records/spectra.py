"""What the lesson *Spectra of networks* measures: weights before and after training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed

from companion.convolution import lenet
from companion.data import Split, load_digits
from companion.network import (
    SGD,
    CrossEntropyLoss,
    Layer,
    Linear,
    Penalty,
    Sequential,
    accuracy,
    fit,
    initialisers,
    mlp,
    predict,
)
from companion.random_matrices import (
    count_outliers,
    fit_bulk,
    keep_directions,
    noise_level,
    participation_ratio,
    rectangular_outlier,
    remove_directions,
    subspace_share,
    weight_edge,
)
from companion.random_matrices.power_laws import compare_tails, goodness_of_fit
from companion.recurrence import LSTM, LastStep

#: Widths of the perceptron.
SIZES = (64, 256, 256, 10)
#: State of the LSTM.
HIDDEN = 64
#: Samples in a step, and the momentum of every run.
BATCH, MOMENTUM = 64, 0.9
#: Draws of each random control.
DRAWS = 5


class Frozen(Penalty):
    """Not a penalty on a parameter but a stop: its gradient becomes zero.

    Parameters
    ----------
    name : str
        Name of the parameter in the network.
    """

    def __init__(self, name: str) -> None:
        super().__init__(0.0)
        self.name = name

    def value(self, parameters: Mapping[str, Any]) -> float:
        """Return nothing to add."""
        return 0.0

    def add_gradient(self, parameters: Mapping[str, Any], gradients: Mapping[str, Any]) -> None:
        """Set one gradient to zero, in place."""
        gradients[self.name][...] = 0.0


class Trained(NamedTuple):
    """A trained network, and what is needed to look into it.

    Attributes
    ----------
    model : Layer
    weights : list of ndarray
        Matrices to look at: views of the parameters, so that a change is a
        change of the network.
    initial : list of ndarray
        The same before training.
    deviations : list of float
        Standard deviation of an entry that the initialiser aimed at.
    data : Split
        Images as the network takes them; `y_train` as it was trained on.
    seed : int
    sequences : bool
        Whether samples lie on the second axis of the images.
    train_loss : float
        Mean over the last epoch.
    left : float
        What weight decay leaves of an initial weight that gets no gradient; 1
        without decay.
    """

    model: Layer
    weights: list[Any]
    initial: list[Any]
    deviations: list[float]
    data: Split
    seed: int
    sequences: bool
    train_loss: float
    left: float

    def accuracy(self, part: str = "test") -> float:
        """Return the share of right answers on ``"train"``, ``"val"`` or ``"test"``."""
        x, y = getattr(self.data, f"x_{part}"), getattr(self.data, f"y_{part}")
        axis = int(self.sequences)
        return accuracy(predict(self.model, x, batch_axis=axis, output_axis=0), y)

    def accuracy_with(self, k: int, matrix: Any, part: str = "test") -> float:
        """Return the accuracy with another matrix in the place of number `k`."""
        mine = self.weights[k].copy()
        self.weights[k][...] = matrix.reshape(mine.shape)
        found = self.accuracy(part)
        self.weights[k][...] = mine
        return found


def train(
    kind: str,
    scale: float,
    seed: int,
    *,
    rate: float,
    epochs: int,
    shuffled: bool = False,
    decay: float = 0.0,
    frozen: int | None = None,
) -> Trained:
    """Train one network on the digits, in float32, without early stopping.

    Parameters
    ----------
    kind : {"mlp", "cnn", "lstm"}
        A perceptron with ReLU, a small LeNet, or an LSTM that reads an image row by
        row. Initial weights are normal: He's, or Xavier's for the LSTM.
    scale : float
        What every initial weight is multiplied by.
    seed : int
        Of the initial weights and the order of the samples. The images are cut into
        training, validation and test in the same way for every seed: no test image
        is ever trained on, or chosen with.
    rate : float
        Learning rate of gradient descent with momentum.
    epochs : int
    shuffled : bool, default False
        Give the training images the labels of each other.
    decay : float, default 0
        Weight decay.
    frozen : int, optional
        Leave this matrix at its initial weights. Needs a decay of 0.

    Returns
    -------
    Trained
    """
    data, rng = load_digits(rng=0, dtype=np.float32), np.random.default_rng([seed, 1])
    model, weights = _NETWORKS[kind](rng)
    images = [
        x.reshape(-1, 8, 8).transpose(1, 0, 2) if kind == "lstm" else x.reshape(len(x), -1)
        for x in (data.x_train, data.x_val, data.x_test)
    ]
    labels = rng.permutation(data.y_train) if shuffled else data.y_train
    data = Split(images[0], labels, images[1], data.y_val, images[2], data.y_test, (8, 8))
    for name, parameter in model.parameters().items():
        if "weight" in name:
            parameter *= np.float32(scale)
    initial = [w.copy() for w in weights]
    stops = [Frozen(n) for n, p in model.parameters().items() if _is(p, weights, frozen)]
    history = fit(
        model,
        CrossEntropyLoss(),
        SGD(rate, momentum=MOMENTUM, weight_decay=decay),
        data.x_train,
        data.y_train,
        epochs=epochs,
        batch_size=BATCH,
        rng=rng,
        penalties=stops,
        batch_axis=int(kind == "lstm"),
        output_axis=0,
    )
    steps = epochs * -(-len(data.x_train) // BATCH)
    deviations = [scale * _deviation(kind, w) for w in weights]
    last, left = float(history.train_loss[-1]), what_is_left(rate, decay, steps)
    return Trained(model, weights, initial, deviations, data, seed, kind == "lstm", last, left)


def what_is_left(rate: float, decay: float, steps: int) -> float:
    """Return what weight decay leaves of a weight of 1 that gets no gradient.

    Parameters
    ----------
    rate, decay : float
    steps : int
        Of gradient descent with momentum.

    Returns
    -------
    float
    """
    weight, zero = {"w": np.ones(1)}, {"w": np.zeros(1)}
    optimiser = SGD(rate, momentum=MOMENTUM, weight_decay=decay)
    for _ in range(steps if decay else 0):
        optimiser.step(weight, zero)
    return float(weight["w"][0])


def _is(parameter: Any, weights: Sequence[Any], place: int | None) -> bool:
    return place is not None and parameter is weights[place]


def _make_mlp(rng: np.random.Generator) -> tuple[Layer, list[Any]]:
    model = mlp(SIZES, rng=rng, dtype=np.float32)
    return model, [layer.weight for layer in model if isinstance(layer, Linear)][:2]


def _make_cnn(rng: np.random.Generator) -> tuple[Layer, list[Any]]:
    model = lenet(rng=rng, dtype=np.float32)
    return model, [w for name, w in model.parameters().items() if w.ndim == 4]


def _make_lstm(rng: np.random.Generator) -> tuple[Layer, list[Any]]:
    normal = initialisers.xavier_normal
    cell = LSTM(8, HIDDEN, weight_init=normal, recurrent_init=normal, rng=rng, dtype=np.float32)
    head = Linear(HIDDEN, 10, weight_init=normal, rng=rng, dtype=np.float32)
    hh = cell.parameters()["weight_hh_l0"]
    gates = [hh[i * HIDDEN : (i + 1) * HIDDEN] for i in range(4)]
    return Sequential(cell, LastStep(), head), [hh, *gates]


_NETWORKS: dict[str, Callable[[np.random.Generator], tuple[Layer, list[Any]]]] = {
    "mlp": _make_mlp,
    "cnn": _make_cnn,
    "lstm": _make_lstm,
}


def _deviation(kind: str, weight: Any) -> float:
    """Return the standard deviation of He's initialiser, or of Xavier's for a gate."""
    inputs = weight[0].size
    return float((2 / (inputs if kind != "lstm" else inputs + HIDDEN)) ** 0.5)


def as_matrix(weight: Any) -> Any:
    """Return a weight as a matrix in float64: kernels become rows."""
    return weight.reshape(len(weight), -1).astype(np.float64)


def spectrum(trained: Trained, k: int) -> dict[str, Any]:
    """Return what the spectrum of matrix `k` says, before and after training.

    Returns
    -------
    dict
        ``"outliers"``: singular values beyond the edge of the initial variance;
        ``"outliers, left"``: beyond the edge of what weight decay leaves of it;
        ``"outliers, estimated"``: beyond that of the variance that the median
        singular value suggests; ``"noise"``: this deviation over the initial one;
        ``"distance"``: of the bulk from its law, initial and trained; ``"change"``:
        size of the change over the size of the initial weights;
        ``"directions"``: effective number of directions of the change;
        ``"top"``: largest singular value, initial and trained, and as the formula
        for an independent spike and a rotated change have it;
        ``"outliers, noise"``: with noise of the size of the change in its place;
        ``"outliers, rotated"``: with the change in random directions.
    """
    rng = np.random.default_rng([trained.seed, 2, k])
    std = trained.deviations[k]
    before, after = as_matrix(trained.initial[k]), as_matrix(trained.weights[k])
    change = after - before
    strengths = np.linalg.svd(change, compute_uv=False)
    unit, aspect = std * max(after.shape) ** 0.5, min(after.shape) / max(after.shape)
    noisy: list[int] = []
    rotated: list[tuple[int, float]] = []
    for _ in range(DRAWS):
        noise = rng.normal(size=change.shape)
        noise *= np.linalg.norm(change) / np.linalg.norm(noise)
        noisy.append(count_outliers(before + noise, std))
        left, right = (_rotation(side, rng) for side in change.shape)
        other = before + left @ change @ right
        rotated.append((count_outliers(other, std), float(np.linalg.norm(other, 2))))
    level = noise_level(after)
    found = _rounded(
        {
            "outliers": count_outliers(after, std),
            "outliers, left": count_outliers(after, std * trained.left),
            "outliers, estimated": count_outliers(after, level),
            "outliers, noise": np.mean(noisy),
            "outliers, rotated": np.mean(rotated, axis=0)[0],
            "noise": level / std,
            "distance": [fit_bulk(before, deviation=std).distance, fit_bulk(after).distance],
            "change": np.linalg.norm(change) / np.linalg.norm(before),
            "directions": participation_ratio(strengths),
            "edge": weight_edge(len(after), after.shape[1], std),
            "top": {
                "initial": np.linalg.norm(before, 2),
                "trained": np.linalg.norm(after, 2),
                "formula": unit * rectangular_outlier(strengths[0] / unit, aspect).position,
                "rotated": np.mean(rotated, axis=0)[1],
            },
        }
    )
    return dict(found)


def pruned(trained: Trained, k: int, *, part: str = "test") -> dict[str, float]:
    """Return accuracies with matrix `k` changed in several ways.

    Outliers are singular values beyond the edge of what is left of the initial
    weights.

    Returns
    -------
    dict of str to float
        ``"whole"``; ``"keep"`` and ``"remove"`` the outliers; the same with as many
        directions drawn at random, mean over :data:`DRAWS`; ``"reset"``: the
        initial weights; ``"change"``: the trained minus the initial ones.
    """
    rng = np.random.default_rng([trained.seed, 3, k])
    before, after = as_matrix(trained.initial[k]), as_matrix(trained.weights[k])
    count = count_outliers(after, trained.deviations[k] * trained.left)
    draws = [rng.permutation(min(after.shape))[:count] for _ in range(DRAWS)]

    def score(matrix: Any) -> float:
        return trained.accuracy_with(k, matrix, part)

    return {
        "whole": trained.accuracy(part),
        "keep": score(keep_directions(after, range(count))),
        "remove": score(remove_directions(after, range(count))),
        "keep random": float(np.mean([score(keep_directions(after, d)) for d in draws])),
        "remove random": float(np.mean([score(remove_directions(after, d)) for d in draws])),
        "reset": score(before),
        "change": score(after - before),
    }


def directions(trained: Trained, k: int) -> dict[str, Any]:
    """Return where the singular vectors of matrix `k` of a perceptron point.

    Returns
    -------
    dict
        For ``"outliers"`` and ``"bulk"``: participation ratio on the right and on
        the left (one over the mean of its inverse), the share of the right vectors
        in the span of the ten class means of the layer's inputs, and the share of
        the left vectors in the ten strongest right directions of the next layer.
        None where there is no outlier.
    """
    after = as_matrix(trained.weights[k])
    layers = list(trained.model)  # type: ignore[call-overload]
    linear = [i for i, layer in enumerate(layers) if isinstance(layer, Linear)]
    inputs = trained.data.x_train
    for layer in layers[: linear[k]]:
        inputs = layer(inputs)
    y = trained.data.y_train
    means = np.array([inputs[y == c].mean(axis=0) for c in range(10)])
    following = np.linalg.svd(layers[linear[k + 1]].weight, full_matrices=False)[2][:10]
    u, _, vt = np.linalg.svd(after, full_matrices=False)
    count = count_outliers(after, trained.deviations[k] * trained.left)
    found: dict[str, Any] = {}
    for name, part in (("outliers", slice(count)), ("bulk", slice(count, None))):
        right, left = vt[part], u.T[part]
        found[name] = None
        if len(right):
            found[name] = _rounded(
                {
                    "right": 1 / np.mean(1 / participation_ratio(right)),
                    "left": 1 / np.mean(1 / participation_ratio(left)),
                    "class means": np.mean(subspace_share(right, means)),
                    "next layer": np.mean(subspace_share(left, following)),
                }
            )
    return found


def _rotation(side: int, rng: np.random.Generator) -> Any:
    """Return a rotation, uniform."""
    q, r = np.linalg.qr(rng.normal(size=(side, side)))
    return q * np.sign(np.diag(r))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value if isinstance(value, int) else round(float(value), 5)


def _report(
    kind: str, scale: float, seed: int, condition: Mapping[str, Any], rate: float, epochs: int
) -> dict[str, Any]:
    trained = train(kind, scale, seed, rate=rate, epochs=epochs, **condition)
    layers = []
    for k in range(0 if "frozen" in condition else len(trained.weights)):
        layer = {"spectrum": spectrum(trained, k), "accuracy": _rounded(pruned(trained, k))}
        if kind == "mlp":
            layer["directions"] = directions(trained, k)
        layers.append(layer)
    return {
        "seed": seed,
        "train": round(trained.accuracy("train"), 5),
        "test": round(trained.accuracy(), 5),
        "train loss": round(trained.train_loss, 6),
        "left": round(trained.left, 6),
        "layers": layers,
    }


def _validated(kind: str, scale: float, seed: int, rate: float, epochs: int) -> float:
    return round(train(kind, scale, seed, rate=rate, epochs=epochs).accuracy("val"), 5)


def compare(
    kind: str,
    scales: Sequence[float],
    conditions: Mapping[str, Mapping[str, Any]],
    seeds: Sequence[int],
    *,
    rates: Sequence[float],
    choose_seeds: Sequence[int],
    epochs: int,
    jobs: int = 1,
) -> dict[str, Any]:
    """Train networks from several scales of initial weights, and look at their spectra.

    One learning rate serves all of them, so that they differ in one thing at a
    time: the one with the best mean accuracy on validation images over the scales
    and `choose_seeds`, with true labels. With one rate there is nothing to choose.

    Parameters
    ----------
    kind : {"mlp", "cnn", "lstm"}
    scales : sequence of float
    conditions : mapping of str to mapping
        By name, what :func:`train` takes: ``shuffled``, ``decay``.
    seeds, choose_seeds : sequence of int
        With no seed in common.
    rates : sequence of float
    epochs : int
    jobs : int, default 1
        Networks trained at the same time.

    Returns
    -------
    dict
        ``"rate"`` that was chosen and ``"validation"``, the mean accuracy of each;
        ``"runs"`` by condition and scale, one entry a seed.
    """
    work = Parallel(n_jobs=jobs)
    tries = [(scale, seed, rate) for rate in rates for scale in scales for seed in choose_seeds]
    scores = np.array(work(delayed(_validated)(kind, *each, epochs) for each in tries))
    means = scores.reshape(len(rates), -1).mean(axis=1) if tries else np.zeros(0)
    rate = rates[int(means.argmax())] if tries else rates[0]
    names = [f"{each:g}" for each in rates] if tries else []
    plan = [
        (scale, seed, condition)
        for condition in conditions.values()
        for scale in scales
        for seed in seeds
    ]
    reports = iter(work(delayed(_report)(kind, *each, rate, epochs) for each in plan))
    return {
        "rate": rate,
        "validation": _rounded(dict(zip(names, means, strict=True))),
        "runs": {
            condition: {f"{scale:g}": [next(reports) for _ in seeds] for scale in scales}
            for condition in conditions
        },
    }


def others(
    kinds: Mapping[str, Mapping[str, Any]], scales: Sequence[float], **options: Any
) -> dict[str, Any]:
    """Do the same for networks of other kinds.

    Parameters
    ----------
    kinds : mapping of str to mapping
        Kind, and its ``rates`` and ``epochs``.
    scales : sequence of float
    **options
        See :func:`compare`.

    Returns
    -------
    dict
        By kind, what :func:`compare` returns.
    """
    return {
        kind: compare(kind, scales, {"labels": {}}, **own, **options) for kind, own in kinds.items()
    }


def tails(
    scales: Sequence[float],
    seeds: Sequence[int],
    *,
    rate: float,
    epochs: int,
    repeats: int,
    jobs: int = 1,
) -> dict[str, Any]:
    """Fit power laws to the squared singular values of the second hidden layer.

    Parameters
    ----------
    scales : sequence of float
    seeds : sequence of int
    rate : float
        The one that :func:`compare` chose.
    epochs : int
    repeats : int
        Lists drawn for each p-value.
    jobs : int, default 1

    Returns
    -------
    dict
        By condition and scale one entry a seed, with fits by state of the matrix:
        ``"initial"``, ``"trained"``, and ``"permuted"``, the trained entries in
        another order.
    """
    conditions = {"labels": False, "shuffled": True}
    plan = [(s, seed, wrong) for wrong in conditions.values() for s in scales for seed in seeds]
    reports = iter(
        Parallel(n_jobs=jobs)(delayed(_tails)(*each, rate, epochs, repeats) for each in plan)
    )
    return {
        condition: {f"{scale:g}": [next(reports) for _ in seeds] for scale in scales}
        for condition in conditions
    }


def _tails(
    scale: float, seed: int, shuffled: bool, rate: float, epochs: int, repeats: int
) -> dict[str, Any]:
    trained = train("mlp", scale, seed, rate=rate, epochs=epochs, shuffled=shuffled)
    rng = np.random.default_rng([seed, 4])
    before, after = as_matrix(trained.initial[1]), as_matrix(trained.weights[1])
    matrices = {
        "initial": before,
        "trained": after,
        "permuted": rng.permuted(after.ravel()).reshape(after.shape),
    }
    return {name: tail(matrix, rng, repeats) for name, matrix in matrices.items()}


def tail(matrix: Any, rng: np.random.Generator, repeats: int) -> dict[str, Any]:
    """Return what a power law makes of the squared singular values of a matrix.

    Returns
    -------
    dict
        ``"alpha"`` and its ``"error"``, the number of values in the ``"tail"``, the
        ratio of the ``"largest"`` value to the smallest of the tail, the p-value
        of the ``"power law"``, and that of the test against a ``"lognormal"`` tail.
    """
    squares = np.linalg.svd(matrix, compute_uv=False) ** 2
    found = goodness_of_fit(squares, rng=rng, repeats=repeats)
    fitted: dict[str, Any] = _rounded(
        {
            "alpha": found.fit.alpha,
            "error": found.fit.standard_error,
            "tail": found.fit.tail,
            "largest": squares[0] / found.fit.minimum,
            "power law": found.pvalue,
            "lognormal": compare_tails(squares, "lognormal").pvalue,
        }
    )
    return fitted


def kept(
    scales: Sequence[float],
    counts: Sequence[int],
    seeds: Sequence[int],
    *,
    rate: float,
    epochs: int,
    jobs: int = 1,
) -> dict[str, Any]:
    """Keep the strongest directions of the second hidden layer, more and more of them.

    Parameters
    ----------
    scales : sequence of float
    counts : sequence of int
        Numbers of directions.
    seeds : sequence of int
    rate : float
        The one that :func:`compare` chose.
    epochs : int
    jobs : int, default 1

    Returns
    -------
    dict
        By scale, one entry a seed: the ``"edge"``, the first 40 ``"singular
        values"``, and test accuracies with the directions ``"kept"`` and
        ``"removed"``, one for each of `counts`.
    """
    plan = [(scale, seed) for scale in scales for seed in seeds]
    reports = iter(
        Parallel(n_jobs=jobs)(delayed(_kept)(*each, counts, rate, epochs) for each in plan)
    )
    return {f"{scale:g}": [next(reports) for _ in seeds] for scale in scales}


def _kept(
    scale: float, seed: int, counts: Sequence[int], rate: float, epochs: int
) -> dict[str, Any]:
    trained = train("mlp", scale, seed, rate=rate, epochs=epochs)
    weight = as_matrix(trained.weights[1])
    parts = [keep_directions(weight, range(n)) for n in counts]
    found: dict[str, Any] = _rounded(
        {
            "edge": weight_edge(len(weight), weight.shape[1], trained.deviations[1]),
            "singular values": np.linalg.svd(weight, compute_uv=False)[:40].tolist(),
            "kept": [trained.accuracy_with(1, part) for part in parts],
            "removed": [trained.accuracy_with(1, weight - part) for part in parts],
        }
    )
    return found
