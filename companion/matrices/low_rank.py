"""Two uses of low rank: ratings that are mostly unknown, and a trained layer that has to change.

Both write a large matrix as a product of two thin ones, and learn the thin ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from companion._validation import (
    FloatArray,
    Seed,
    choice,
    float_array,
    generator,
    integer,
    real,
)
from companion.network import Layer, Linear, initialisers

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Factorisation:
    """A matrix as a product of two thin ones, fitted to the entries that are known.

    Attributes
    ----------
    user_factors : ndarray, shape (users, rank)
        One row for each row of the ratings.
    item_factors : ndarray, shape (items, rank)
        One row for each column of the ratings.
    objective : ndarray, shape (2 * sweeps,)
        The objective after each half of each sweep: users, items, users, and so on.
    """

    user_factors: FloatArray
    item_factors: FloatArray
    objective: FloatArray

    @property
    def rank(self) -> int:
        """Number of columns of the factors."""
        return int(self.user_factors.shape[1])

    def predict(self) -> FloatArray:
        """Return the product of the factors, shape (users, items)."""
        return np.asarray(self.user_factors @ self.item_factors.T)

    def __repr__(self) -> str:
        """Return the sizes."""
        users, items = len(self.user_factors), len(self.item_factors)
        return f"Factorisation(users={users}, items={items}, rank={self.rank})"


def rmse(prediction: ArrayLike, target: ArrayLike, mask: ArrayLike) -> float:
    """Return the root mean squared error over the entries of a mask.

    Implements :eq:`eq-rmse`.

    Parameters
    ----------
    prediction, target : array_like of float, same shape
        Entries outside the mask may be anything, NaN included.
    mask : array_like of bool, same shape
        Which entries count; at least one.

    Returns
    -------
    float
        In the units of `target`.

    Raises
    ------
    ValueError
        If the shapes differ, no entry counts, or one that counts is not finite.
    TypeError
        If `mask` does not hold booleans.

    Examples
    --------
    >>> round(rmse([[3.0, 4.0]], [[3.0, 2.0]], [[True, True]]), 3)
    1.414
    """
    prediction = float_array("prediction", prediction)
    target = float_array("target", target, shape=prediction.shape)
    mask = _mask("mask", mask, prediction.shape)
    if not mask.any():
        raise ValueError("mask must name at least one entry, got none")
    difference = float_array("prediction[mask]", prediction[mask], finite=True) - float_array(
        "target[mask]", target[mask], finite=True
    )
    return float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))


def als_step(
    ratings: ArrayLike, observed: ArrayLike, factors: ArrayLike, *, ridge: float
) -> FloatArray:
    r"""Return the best factors of all rows, when those of the columns are given.

    Implements :eq:`eq-als-step`: one small ridge regression for each row, over
    the entries of that row which are known. All rows are solved at once.

    Parameters
    ----------
    ratings : array_like, shape (rows, columns)
        Entries that are not observed may be anything, NaN included.
    observed : array_like of bool, shape (rows, columns)
        Which entries are known.
    factors : array_like, shape (columns, rank)
        One row for each column of the ratings.
    ridge : float
        Strength of the penalty on the squared factors, above 0: it gives a row
        with fewer known entries than `rank` one best solution too.

    Returns
    -------
    ndarray, shape (rows, rank)
        Zeros for a row of which nothing is known.

    Raises
    ------
    ValueError
        If shapes do not fit, a known entry or a factor is not finite, or
        `ridge` is not positive.
    TypeError
        If `observed` does not hold booleans, or float32 meets float64.
    numpy.linalg.LinAlgError
        If `ridge` is so small that rounding swallows it.

    Examples
    --------
    >>> als_step([[2.0, 4.0, np.nan]], [[True, True, False]], [[1.0], [2.0], [9.0]], ridge=1e-9)
    array([[2.]])
    """
    known, mask = _observed_ratings(ratings, observed)
    factors = float_array("factors", factors, shape=(known.shape[1], None), finite=True)
    integer("the rank, factors.shape[1],", factors.shape[1])
    if factors.dtype != known.dtype:
        raise TypeError(f"factors must be {known.dtype} like ratings, got {factors.dtype}")
    strength = real("ridge", ridge, minimum=0.0, open_minimum=True)
    return _solve_rows(known, mask.astype(known.dtype), factors, strength)


def als(
    ratings: ArrayLike,
    observed: ArrayLike,
    rank: int,
    *,
    ridge: float,
    sweeps: int = 20,
    start: str = "spectral",
    rng: Seed = 0,
) -> Factorisation:
    r"""Fit a matrix of low rank to the known entries, by alternating least squares.

    Implements :eq:`eq-als-objective`, which no half of a sweep can raise: with
    the factors of the items fixed it is a sum of ridge regressions, one for
    each user, and the other way round.

    Parameters
    ----------
    ratings : array_like, shape (users, items)
        Subtract their mean first. Entries that are not observed may be
        anything, NaN included.
    observed : array_like of bool, shape (users, items)
        Which entries are known; at least one.
    rank : int
        Number of factors for each user and each item, at most the smaller side.
    ridge : float
        Strength of the penalty on the squared factors, above 0.
    sweeps : int, default 20
        How often users and items are solved for.
    start : {'spectral', 'random'}
        Where the factors of the items begin: at the leading right singular
        vectors of the ratings with zeros for what is not known, or at normal
        numbers. The objective is not convex: with a small ridge the second often
        gets stuck far from the best fit (Jain, Netrapalli & Sanghavi, STOC 2013,
        on the first).
    rng : Generator or int, default 0
        For the random start.

    Returns
    -------
    Factorisation
        Of the dtype of `ratings`.

    Raises
    ------
    ValueError
        If shapes do not fit, nothing is observed, a known entry is not finite,
        or a number is out of range.
    TypeError
        If `observed` does not hold booleans.

    References
    ----------
    Zhou, Wilkinson, Schreiber & Pan, AAIM 2008; Koren, Bell & Volinsky, Computer 2009.

    Examples
    --------
    >>> from companion import data
    >>> made = data.make_ratings(60, 50, rank=2, observed=0.5, noise=0.0, rng=0)
    >>> fitted = als(made.values - 3, made.train, 2, ridge=1e-6)
    >>> fitted
    Factorisation(users=60, items=50, rank=2)
    >>> rmse(fitted.predict() + 3, made.truth, made.test) < 1e-3
    True
    """
    known, mask = _observed_ratings(ratings, observed)
    if not mask.any():
        raise ValueError("observed must name at least one entry, got none")
    rank = integer("rank", rank)
    strength = real("ridge", ridge, minimum=0.0, open_minimum=True)
    integer("sweeps", sweeps)
    if rank > min(known.shape):
        raise ValueError(f"rank must be at most min(users, items) = {min(known.shape)}, got {rank}")
    weights = mask.astype(known.dtype)
    random = generator("rng", rng)
    if choice("start", start, ("spectral", "random")) == "spectral":
        _, s, vt = np.linalg.svd(known, full_matrices=False)
        items = vt[:rank].T * np.sqrt(s[:rank])
    else:
        items = random.normal(size=(known.shape[1], rank)).astype(known.dtype)
    objective = []
    for _ in range(sweeps):
        users = _solve_rows(known, weights, items, strength)
        objective.append(_objective(known, mask, users, items, strength))
        items = _solve_rows(known.T, weights.T, users, strength)
        objective.append(_objective(known, mask, users, items, strength))
    return Factorisation(users, items, np.array(objective))


def _solve_rows(
    known: FloatArray, weights: FloatArray, factors: FloatArray, ridge: float
) -> FloatArray:
    columns, rank = factors.shape
    squares = factors[:, :, None] * factors[:, None, :]
    systems = weights @ squares.reshape(columns, rank * rank)
    systems = systems.reshape(-1, rank, rank)
    systems += ridge * np.eye(rank, dtype=factors.dtype)
    right = known @ factors
    return np.asarray(np.linalg.solve(systems, right[:, :, None])[:, :, 0])


def _objective(
    known: FloatArray, mask: BoolArray, users: FloatArray, items: FloatArray, ridge: float
) -> float:
    error = float(np.sum(np.square(known - users @ items.T), where=mask, dtype=np.float64))
    size = sum(float(np.sum(np.square(side), dtype=np.float64)) for side in (users, items))
    return error + ridge * size


def _observed_ratings(ratings: ArrayLike, observed: ArrayLike) -> tuple[FloatArray, BoolArray]:
    """Return the ratings, zero where they are not known, and the mask."""
    values = float_array("ratings", ratings, ndim=2)
    mask = _mask("observed", observed, values.shape)
    float_array("ratings[observed]", values[mask], finite=True)
    return np.where(mask, values, values.dtype.type(0)), mask


def _mask(name: str, value: ArrayLike, shape: tuple[int, ...]) -> BoolArray:
    mask = np.asarray(value)
    # An array of row numbers would select something else, without an error.
    if mask.dtype != np.bool_:
        raise TypeError(f"{name} must hold booleans, got dtype {mask.dtype}")
    if mask.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {mask.shape}")
    return mask


class LowRankLinear(Layer):
    r"""A trained linear layer, frozen, plus a change of low rank that is trained.

    Implements :eq:`eq-low-rank-adaptation`,
    :math:`Z = X (W + \tfrac{\alpha}{r} B A)^\top + b`, without ever forming
    :math:`BA` (Hu et al., *LoRA*, ICLR 2022). :math:`B` starts at zero, so that the
    layer starts as the one it was made from.

    Parameters
    ----------
    linear : Linear
        The trained layer. Its weight and bias are copied, and never change again.
    rank : int
        :math:`r`, at most the smaller side of the weight.
    alpha : float, optional
        Scale of the change is ``alpha / rank``; by default `alpha` is `rank`, so 1.
    rng : Generator or int
        For the start of :math:`A`: normal numbers of variance 1 / in_features.

    Attributes
    ----------
    lora_A : ndarray, shape (rank, in_features)
    lora_B : ndarray, shape (out_features, rank)
        The two arrays that are trained, and so the only ones in :meth:`~.Layer.parameters`.
        The frozen weight and bias are among the :meth:`~.Layer.buffers`.

    Raises
    ------
    TypeError
        If `linear` is not a :class:`.Linear`.
    ValueError
        If `rank` or `alpha` is out of range.

    Examples
    --------
    >>> linear = Linear(64, 10, rng=0)
    >>> layer = LowRankLinear(linear, 2, rng=1)
    >>> {name: array.shape for name, array in layer.parameters().items()}
    {'lora_A': (2, 64), 'lora_B': (10, 2)}
    >>> x = np.ones((5, 64))
    >>> bool(np.array_equal(layer(x), linear(x)))
    True
    """

    def __init__(self, linear: Linear, rank: int, *, alpha: float | None = None, rng: Seed) -> None:
        super().__init__()
        if not isinstance(linear, Linear):
            raise TypeError(f"linear must be a Linear, got {linear!r}")
        self.rank = integer("rank", rank)
        n_out, n_in = linear.weight.shape
        if self.rank > min(n_out, n_in):
            raise ValueError(f"rank must be at most {min(n_out, n_in)}, got {rank}")
        given = self.rank if alpha is None else alpha
        self.alpha = real("alpha", given, minimum=0.0, open_minimum=True)
        self._frozen = _linear(linear.weight, linear.bias)
        self._buffers = self._frozen.parameters()
        dtype = linear.weight.dtype
        start = generator("rng", rng).normal(scale=n_in**-0.5, size=(self.rank, n_in))
        self._parameters["lora_A"] = start.astype(dtype)
        self._parameters["lora_B"] = np.zeros((n_out, self.rank), dtype=dtype)

    @property
    def lora_A(self) -> FloatArray:
        """The factor next to the input, shape (rank, in_features)."""
        return self._parameters["lora_A"]

    @property
    def lora_B(self) -> FloatArray:
        """The factor next to the output, shape (out_features, rank)."""
        return self._parameters["lora_B"]

    @property
    def scale(self) -> float:
        """The number before the product of the factors, ``alpha / rank``."""
        return self.alpha / self.rank

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return the frozen layer's output plus that of the change.

        Parameters
        ----------
        x : array_like, shape (..., in_features)
            One sample a row; any axes before the last count as batch.

        Returns
        -------
        ndarray, shape (..., out_features)

        Raises
        ------
        ValueError
            If the last axis of `x` is not ``in_features`` long.
        """
        frozen = self._frozen.forward(x)
        self._x = float_array("x", x)
        self._inside = self._x @ self.lora_A.T
        return np.asarray(frozen + self.scale * (self._inside @ self.lora_B.T))

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        """Store the gradients of the two factors; return that of the input.

        Parameters
        ----------
        grad_output : array_like, shape (..., out_features)
            Gradient of the loss with respect to the last output, one sample a row.

        Returns
        -------
        ndarray, shape (..., in_features)
        """
        x = self._remembered("_x")
        n_out, n_in = self._frozen.weight.shape
        delta = float_array("grad_output", grad_output, shape=(*x.shape[:-1], n_out))
        grad_inside = self.scale * (delta @ self.lora_B)
        rows, inside = delta.reshape(-1, n_out), self._inside.reshape(-1, self.rank)
        self._gradients["lora_B"] = self.scale * (rows.T @ inside)
        self._gradients["lora_A"] = grad_inside.reshape(-1, self.rank).T @ x.reshape(-1, n_in)
        return np.asarray(delta @ self._frozen.weight + grad_inside @ self.lora_A)

    def merge(self) -> Linear:
        """Return one ordinary linear layer with the same outputs.

        Returns
        -------
        Linear
            Its weight is the frozen one plus ``scale * lora_B @ lora_A``. A new
            layer: training it changes nothing here.
        """
        change = self.scale * (self.lora_B @ self.lora_A)
        return _linear(self._frozen.weight + change, self._frozen.bias)

    def __repr__(self) -> str:
        """Return the sizes."""
        n_out, n_in = self._frozen.weight.shape
        return f"LowRankLinear({n_in}, {n_out}, rank={self.rank}, alpha={self.alpha:g})"


def _linear(weight: FloatArray, bias: FloatArray | None) -> Linear:
    """Return a linear layer with copies of these parameters."""
    n_out, n_in = weight.shape
    layer = Linear(
        n_in,
        n_out,
        bias=bias is not None,
        weight_init=initialisers.zeros,
        rng=0,
        dtype=weight.dtype,
    )
    layer.weight[...] = weight
    if bias is not None:
        layer.parameters()["bias"][...] = bias
    return layer
