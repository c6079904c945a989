"""The training loop. There is one, and every chapter uses it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm.auto import tqdm

from companion._validation import FloatArray, Seed, generator, integer, real
from companion.network.layers import Layer
from companion.network.losses import Loss
from companion.network.optimisers import Optimiser, clip_grad_norm, grad_norm
from companion.network.penalties import Penalty
from companion.network.schedules import Schedule

Metric = Callable[[FloatArray, NDArray[Any]], float]


def accuracy(prediction: ArrayLike, target: ArrayLike) -> float:
    """Return the share of rows whose largest logit is at the right class.

    Parameters
    ----------
    prediction : array_like, shape (N, K)
        Logits or probabilities.
    target : array_like of int, shape (N,)

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    ValueError
        If the shapes do not fit or there is no row.

    Examples
    --------
    >>> accuracy([[2.0, 1.0], [0.0, 3.0]], [0, 0])
    0.5
    """
    scores, classes = np.asarray(prediction), np.asarray(target)
    if scores.ndim != 2 or classes.shape != scores.shape[:1] or len(classes) == 0:
        raise ValueError(
            "prediction and target must have shapes (N, K) and (N,) with N >= 1, "
            f"got {scores.shape} and {classes.shape}"
        )
    return float(np.mean(scores.argmax(axis=1) == classes))


@dataclass
class History:
    """What happened in training, one entry an epoch.

    Attributes
    ----------
    train_loss : list of float
        Mean loss over the epoch's batches, penalties included, while the
        parameters were changing.
    val_loss, val_metric : list of float
        On the validation set after the epoch; empty without one.
    lr : list of float
        Learning rate of the epoch's last step.
    grad_norm : list of float
        Mean norm of the gradient over the epoch's steps, before clipping.
    best_epoch : int or None
        Index of the epoch early stopping chose.
    stopped_early : bool
    """

    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_metric: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)
    best_epoch: int | None = None
    stopped_early: bool = False

    def __len__(self) -> int:
        """Return the number of epochs run."""
        return len(self.train_loss)


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the validation loss has not improved for a while.

    (Prechelt, in *Neural Networks: Tricks of the Trade*, 1998.)

    Parameters
    ----------
    patience : int, default 5
        Epochs to wait for an improvement.
    min_delta : float, default 0
        A smaller fall of the loss does not count as one.
    restore_best : bool, default True
        Go back to the parameters of the best epoch at the end.
    """

    patience: int = 5
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        """Check the fields."""
        integer("patience", self.patience)
        real("min_delta", self.min_delta, minimum=0.0)


def predict(
    model: Layer,
    x: ArrayLike,
    *,
    batch_size: int = 1024,
    batch_axis: int = 0,
    output_axis: int | None = None,
) -> FloatArray:
    """Return the outputs of a model in evaluation mode, in batches.

    Parameters
    ----------
    model : Layer
    x : array_like, or tuple of ndarray for a model of several inputs
        Samples along `batch_axis`, at least one.
    batch_size : int, default 1024
    batch_axis : int, default 0
        Axis of the samples in the inputs.
    output_axis : int, optional
        Axis of the samples in the outputs, if it is another one: 0 for a model
        that turns sequences of shape (T, N, C) into one row each.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> from companion.network import Linear
    >>> predict(Linear(3, 2, rng=0), np.ones((5, 3)), batch_size=2).shape
    (5, 2)
    """
    x, size = _arrays(x), integer("batch_size", batch_size)
    n = _samples("x", x, batch_axis)
    out_axis = batch_axis if output_axis is None else output_axis
    integer("output_axis", out_axis, minimum=0)
    before = model.training
    model.eval()
    try:
        parts = [
            model.forward(_take(x, np.arange(start, min(start + size, n)), batch_axis))
            for start in range(0, n, size)
        ]
    finally:
        model.train(before)
    return np.concatenate(parts, axis=out_axis)


def fit(
    model: Layer,
    loss: Loss,
    optimiser: Optimiser,
    x: ArrayLike,
    y: ArrayLike,
    *,
    epochs: int,
    batch_size: int = 32,
    rng: Seed,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    metric: Metric | None = None,
    schedule: Schedule | None = None,
    penalties: Sequence[Penalty] = (),
    max_grad_norm: float | None = None,
    early_stopping: EarlyStopping | None = None,
    batch_axis: int = 0,
    output_axis: int | None = None,
    progress: bool = False,
) -> History:
    """Train a model by mini-batches drawn in a new random order each epoch.

    Parameters
    ----------
    model : Layer
        Changed in place; left in the mode (training or evaluation) it came in.
    loss : Loss
        Mean over a batch.
    optimiser : Optimiser
    x, y : array_like
        Inputs and targets; samples along `batch_axis` of `x` and axis 0 of `y`.
        For a model of several inputs `x` is a tuple of ndarray, and the model's
        ``forward`` gets a tuple.
    epochs : int
        Passes through the data.
    batch_size : int, default 32
        The last batch of an epoch is smaller where it does not divide.
    rng : Generator or int
        For the order of the samples.
    validation : tuple (x, y), optional
        Measured after each epoch, in evaluation mode.
    metric : callable ``(prediction, target) -> float``, optional
        Measured on the validation set beside the loss, for example :func:`accuracy`.
    schedule : callable ``step -> learning rate``, optional
    penalties : sequence of Penalty
    max_grad_norm : float, optional
        Clip the gradient to this norm.
    early_stopping : EarlyStopping, optional
        Needs `validation`.
    batch_axis : int, default 0
        1 for sequences of shape (T, N, C).
    output_axis : int, optional
        Axis of the samples in the outputs, see :func:`predict`.
    progress : bool, default False
        Show a progress bar over epochs.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If lengths differ, there are no samples, or early stopping has no validation set.
    FloatingPointError
        If the loss is no longer finite: the message says when.

    Examples
    --------
    >>> from companion.network import Linear, MSELoss, SGD
    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> model = Linear(1, 1, rng=0)
    >>> history = fit(model, MSELoss(), SGD(lr=0.5), x, 3 * x + 1, epochs=50, rng=0)
    >>> model.weight.round(3), model.bias.round(3)
    (array([[3.]]), array([1.]))
    """
    x, y = _arrays(x), np.asarray(y)
    n = _samples("x", x, batch_axis)
    if y.ndim == 0 or len(y) != n:
        raise ValueError(f"y must have one entry for each of the {n} samples, got shape {y.shape}")
    integer("epochs", epochs)
    size = integer("batch_size", batch_size)
    random = generator("rng", rng)
    if early_stopping is not None and validation is None:
        raise ValueError("early_stopping needs validation=(x, y), got None")
    if metric is not None and validation is None:
        raise ValueError("metric needs validation=(x, y), got None")
    if max_grad_norm is not None:
        real("max_grad_norm", max_grad_norm, minimum=0.0, open_minimum=True)
    if validation is not None:
        _check_validation(validation, batch_axis)

    history = History()
    best_loss = np.inf
    best_state: dict[str, FloatArray] | None = None
    mode_before = model.training
    step = 0
    try:
        for epoch in tqdm(range(epochs), desc="epochs", disable=not progress):
            model.train()
            order = random.permutation(n)
            losses, norms = [], []
            for start in range(0, n, size):
                batch = order[start : start + size]
                if schedule is not None:
                    optimiser.lr = schedule(step)
                value = loss.forward(model.forward(_take(x, batch, batch_axis)), y[batch])
                model.backward(loss.backward())
                parameters, gradients = model.parameters(), model.gradients()
                for penalty in penalties:
                    value += penalty.value(parameters)
                    penalty.add_gradient(parameters, gradients)
                if not np.isfinite(value):
                    raise FloatingPointError(
                        f"the loss became {value} in epoch {epoch}, step {step}: "
                        "try a smaller learning rate, a better initialiser or gradient clipping"
                    )
                if max_grad_norm is None:
                    norms.append(grad_norm(gradients))
                else:
                    norms.append(clip_grad_norm(gradients, max_grad_norm))
                optimiser.step(parameters, gradients)
                losses.append(value * len(batch))
                step += 1
            history.train_loss.append(float(np.sum(losses)) / n)
            history.grad_norm.append(float(np.mean(norms)))
            history.lr.append(optimiser.lr)
            if validation is None:
                continue
            output = predict(model, validation[0], batch_axis=batch_axis, output_axis=output_axis)
            history.val_loss.append(loss.forward(output, validation[1]))
            if metric is not None:
                history.val_metric.append(metric(output, np.asarray(validation[1])))
            if early_stopping is None:
                continue
            if history.val_loss[-1] < best_loss - early_stopping.min_delta:
                best_loss, history.best_epoch = history.val_loss[-1], epoch
                if early_stopping.restore_best:
                    best_state = copy.deepcopy(model.parameters() | model.buffers())
            elif epoch - (history.best_epoch or 0) >= early_stopping.patience:
                history.stopped_early = True
                break
        if best_state is not None:
            for key, array in (model.parameters() | model.buffers()).items():
                array[...] = best_state[key]
    finally:
        model.train(mode_before)
    return history


def _check_validation(validation: Any, batch_axis: int) -> None:
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise TypeError(f"validation must be a pair (x, y), got {type(validation).__name__}")
    n = _samples("validation[0]", _arrays(validation[0]), batch_axis)
    if np.shape(validation[1])[:1] != (n,):
        raise ValueError(
            f"validation[1] must have one entry for each of the {n} samples, "
            f"got shape {np.shape(validation[1])}"
        )


def _arrays(x: Any) -> Any:
    """Return one array, or the tuple of arrays that a model of several inputs takes."""
    several = isinstance(x, tuple) and x and all(isinstance(part, np.ndarray) for part in x)
    return x if several else np.asarray(x)


def _take(x: Any, samples: NDArray[Any], batch_axis: int) -> Any:
    if isinstance(x, tuple):
        return tuple(part.take(samples, axis=batch_axis) for part in x)
    return x.take(samples, axis=batch_axis)


def _samples(name: str, x: Any, batch_axis: int) -> int:
    integer("batch_axis", batch_axis, minimum=0)
    parts = x if isinstance(x, tuple) else (x,)
    for part in parts:
        if part.ndim <= batch_axis or part.shape[batch_axis] == 0:
            raise ValueError(
                f"{name} must have samples along axis {batch_axis}, got shape {part.shape}"
            )
    counts = [part.shape[batch_axis] for part in parts]
    if len(set(counts)) > 1:
        raise ValueError(f"{name} must hold arrays of as many samples each, got {counts}")
    return int(counts[0])
