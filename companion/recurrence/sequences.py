"""Sequences in, one answer out: forecasts of a series, and classes of sentences."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, DTypeLike

from companion._validation import (
    FloatArray,
    IntArray,
    Seed,
    float_array,
    float_dtype,
    generator,
    integer,
    real,
)
from companion.network.layers import Layer, Linear
from companion.network.losses import MSELoss
from companion.network.training import History, fit
from companion.recurrence.language import Embedding, tokens
from companion.recurrence.lstm import GRU
from companion.recurrence.rnn import RecurrentLayer

Forecaster = Callable[[FloatArray], FloatArray]
"""Takes the values so far, shape (T,), and returns the next ones, shape (horizon,)."""


class SequenceClassifier(Layer):
    r"""Read a sentence of any length, then say its class.

    Implements :eq:`eq-classifier`: an embedding, a recurrent layer, and a linear
    layer on the state after each sentence's own last word. A second direction
    adds the state of a layer that has read from the last word to the first.

    Parameters
    ----------
    num_embeddings : int
        Number of tokens; 0 is the padding below the end of a sentence.
    classes : int
    embedding_dim, hidden_size : int, default 16 and 32
        Numbers of a word, and of the state in one direction.
    cell : type of RecurrentLayer, default GRU
    bidirectional : bool, default False
    rng : Generator or int
    dtype : float64 or float32

    Attributes
    ----------
    embedding : Embedding
    recurrent : RecurrentLayer
    linear : Linear

    Raises
    ------
    TypeError
        If `cell` is not a recurrent layer.
    ValueError
        If a size is below 1.

    Examples
    --------
    >>> model = SequenceClassifier(10, 2, rng=0)
    >>> short, padded = [[4], [7]], [[4], [7], [0], [0]]
    >>> model(short).shape, bool(np.allclose(model(short), model(padded)))
    ((1, 2), True)
    """

    def __init__(
        self,
        num_embeddings: int,
        classes: int,
        *,
        embedding_dim: int = 16,
        hidden_size: int = 32,
        cell: type[RecurrentLayer] = GRU,
        bidirectional: bool = False,
        rng: Seed,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        if not (isinstance(cell, type) and issubclass(cell, RecurrentLayer)):
            raise TypeError(f"cell must be a kind of RecurrentLayer, got {cell!r}")
        integer("classes", classes)
        options: dict[str, Any] = {
            "rng": generator("rng", rng),
            "dtype": float_dtype("dtype", dtype),
        }
        self.embedding = Embedding(num_embeddings, embedding_dim, padding_idx=0, **options)
        self.recurrent = cell(embedding_dim, hidden_size, bidirectional=bidirectional, **options)
        directions = 2 if bidirectional else 1
        self.linear = Linear(directions * hidden_size, classes, **options)

    def children(self) -> dict[str, Layer]:
        """Return the three layers by name."""
        return {"embedding": self.embedding, "recurrent": self.recurrent, "linear": self.linear}

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return the logits of the classes.

        Parameters
        ----------
        x : array_like of int, shape (T, N)
            One sentence a column, 0 below its end.

        Returns
        -------
        ndarray, shape (N, classes)

        Raises
        ------
        ValueError
            If a sentence is empty or has a 0 before its end, or a token is unknown.
        """
        words, lengths = self._sentences(x)
        self._outputs = self.recurrent.forward(self.embedding(words), lengths=lengths).shape
        return self.linear(np.concatenate(self._final_states(), axis=1))

    def _sentences(self, x: ArrayLike) -> tuple[IntArray, IntArray]:
        words = tokens("x", x, self.embedding.num_embeddings)
        if words.ndim != 2:
            raise ValueError(f"x must have shape (T, N), got {words.shape}")
        lengths = np.asarray((words != 0).sum(axis=0))
        if (lengths == 0).any():
            raise ValueError("x must have a word in each sentence, got an empty one")
        if ((np.arange(len(words))[:, None] < lengths) != (words != 0)).any():
            raise ValueError("x must have its zeros below the end of a sentence, got one before")
        return words, lengths

    def _final_states(self) -> list[FloatArray]:
        """Return the final state of each direction, shape (N, hidden_size)."""
        state = self.recurrent.state
        return list(state if len(self.recurrent.state_names) == 1 else state[0])

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        """Store the gradients of the parameters; tokens have none, so zeros come back.

        Parameters
        ----------
        grad_output : array_like, shape (N, classes)

        Returns
        -------
        ndarray of zeros, shape (T, N)
        """
        shape = self._remembered("_outputs")
        grad = self.linear.backward(grad_output)
        by_direction = np.stack(np.split(grad, len(self._final_states()), axis=1))
        # Only the final state h reaches the loss: no step's output does, nor does a cell.
        only_h = len(self.recurrent.state_names) == 1
        final = by_direction if only_h else (by_direction, np.zeros_like(by_direction))
        return self.embedding.backward(
            self.recurrent.backward(np.zeros(shape, dtype=grad.dtype), final)
        )

    def read(self, x: ArrayLike) -> FloatArray:
        """Return the logits after each word, as if the sentence ended there.

        Parameters
        ----------
        x : array_like of int, shape (T, N)

        Returns
        -------
        ndarray, shape (T, N, classes)
            NaN below the end of a sentence.

        Raises
        ------
        ValueError
            If the layer reads in both directions: it needs the whole sentence.
        """
        if self.recurrent.bidirectional:
            raise ValueError("the recurrent layer must read in one direction, got both")
        words, lengths = self._sentences(x)
        logits = self.linear(self.recurrent.forward(self.embedding(words), lengths=lengths))
        logits[words == 0] = np.nan
        return logits

    def __repr__(self) -> str:
        """Return the layers."""
        return f"SequenceClassifier({self.embedding}, {self.recurrent}, {self.linear})"


def windows_of(series: ArrayLike, length: int, horizon: int = 1) -> tuple[FloatArray, FloatArray]:
    """Cut a series into overlapping pieces: what is known, and what comes next.

    Parameters
    ----------
    series : array_like, shape (T,)
        Values at even distances in time.
    length : int
        Values to read.
    horizon : int, default 1
        Values to forecast.

    Returns
    -------
    x : ndarray, shape (length, N, 1)
        One window a column, N = T - length - horizon + 1: ``x[:, k, 0]`` is
        ``series[k : k + length]``.
    y : ndarray, shape (N, horizon)
        The values after each window.

    Raises
    ------
    ValueError
        If the series is too short for one window, or holds NaN or infinity.

    Examples
    --------
    >>> x, y = windows_of([1, 2, 3, 4, 5], length=3)
    >>> x[:, :, 0].T
    array([[1., 2., 3.],
           [2., 3., 4.]])
    >>> y
    array([[4.],
           [5.]])
    """
    values = _values(
        "series", series, minimum=integer("length", length) + integer("horizon", horizon)
    )
    pieces = sliding_window_view(values, length + horizon)
    return pieces[:, :length].T[:, :, None].copy(), pieces[:, length:].copy()


def seasonal_naive(history: ArrayLike, horizon: int, *, period: int) -> FloatArray:
    r"""Forecast that everything happens again as one period ago.

    Implements :eq:`eq-seasonal-naive`. With a period of 1 it is persistence: the
    last value stays.

    Parameters
    ----------
    history : array_like, shape (T,)
        Values so far, at least `period`.
    horizon : int
        Values to forecast.
    period : int
        Steps after which the pattern repeats.

    Returns
    -------
    ndarray, shape (horizon,)

    Raises
    ------
    ValueError
        If the history is shorter than a period, or holds NaN or infinity.

    Examples
    --------
    >>> seasonal_naive([9.0, 1.0, 2.0, 3.0], 5, period=3)
    array([1., 2., 3., 1., 2.])
    """
    values = _values("history", history, minimum=integer("period", period))
    return np.resize(values[-period:], integer("horizon", horizon))


def mase(target: ArrayLike, forecast: ArrayLike, train: ArrayLike, *, period: int = 1) -> float:
    r"""Return the mean absolute scaled error of forecasts.

    Implements :eq:`eq-mase` (Hyndman & Koehler, International Journal of
    Forecasting 2006; with the seasonal forecast as the yardstick).

    Parameters
    ----------
    target, forecast : array_like, any shape
        What came, and what was forecast.
    train : array_like, shape (T,)
        The series that the forecaster was fitted to, more than a period long.
    period : int, default 1
        The yardstick is the error, on `train`, of repeating the value one period ago.

    Returns
    -------
    float
        1 is as large an error as the yardstick's; it has no unit.

    Raises
    ------
    ValueError
        If the shapes differ, nothing is forecast, a value is not finite, or the
        yardstick is zero because `train` repeats itself exactly.

    Examples
    --------
    >>> mase([5.0, 5.0], [4.0, 7.0], [1.0, 2.0, 3.0, 4.0])
    1.5
    """
    truth = float_array("target", target, finite=True)
    guess = float_array("forecast", forecast, shape=truth.shape, finite=True)
    if truth.size == 0:
        raise ValueError("target must hold at least one value, got none")
    known = _values("train", train, minimum=integer("period", period) + 1)
    yardstick = float(np.mean(np.abs(known[period:] - known[:-period])))
    if yardstick == 0.0:
        raise ValueError(f"train must not repeat itself exactly with period {period}")
    return float(np.mean(np.abs(truth - guess))) / yardstick


def rolling_forecasts(
    forecaster: Forecaster, series: ArrayLike, *, start: int, horizon: int, step: int = 1
) -> tuple[FloatArray, FloatArray]:
    """Forecast again and again, each time from the values known by then.

    The forecaster is called with ``series[:start]``, ``series[: start + step]`` and
    so on. It never gets a value that it is to forecast, so it cannot leak.

    Parameters
    ----------
    forecaster : callable
        Takes the values so far and returns the next `horizon`.
    series : array_like, shape (T,)
    start : int
        Values known at the first forecast.
    horizon : int
        Values of each forecast.
    step : int, default 1
        Values that become known between two forecasts.

    Returns
    -------
    forecasts : ndarray, shape (origins, horizon)
        For all origins whose `horizon` values are in the series.
    targets : ndarray, shape (origins, horizon)
        What came.

    Raises
    ------
    ValueError
        If no forecast fits into the series, or a forecast has a wrong shape.

    Examples
    --------
    >>> forecasts, targets = rolling_forecasts(
    ...     lambda history: history[-1:], [1.0, 2.0, 4.0, 8.0], start=2, horizon=1
    ... )
    >>> np.hstack([forecasts, targets])
    array([[2., 4.],
           [4., 8.]])
    """
    first, ahead = integer("start", start), integer("horizon", horizon)
    values = _values("series", series, minimum=first + ahead)
    origins = range(first, len(values) - ahead + 1, integer("step", step))
    forecasts = [
        # A copy, so that a forecaster that writes into its history spoils nothing.
        float_array("a forecast", forecaster(values[:origin].copy()), shape=(ahead,))
        for origin in origins
    ]
    return np.stack(forecasts), np.stack([values[k : k + ahead] for k in origins])


def undo_differences(changes: ArrayLike, history: ArrayLike, *, lag: int) -> FloatArray:
    """Return the values that follow a history, given how they differ from those `lag` before.

    Parameters
    ----------
    changes : array_like, shape (horizon,)
        Each value less the one `lag` steps before it.
    history : array_like, shape (T,)
        Values so far, at least `lag`.
    lag : int

    Returns
    -------
    ndarray, shape (horizon,)

    Raises
    ------
    ValueError
        If the history is shorter than the lag.

    Examples
    --------
    >>> undo_differences([1.0, -2.0, 5.0], [10.0, 20.0], lag=1)
    array([21., 19., 24.])
    >>> undo_differences([1.0, -2.0, 5.0], [10.0, 20.0], lag=2)
    array([11., 18., 16.])
    """
    steps = float_array("changes", changes, ndim=1)
    known = _values("history", history, minimum=integer("lag", lag))
    values = [*known[-lag:]]
    for change in steps:
        values.append(values[-lag] + change)
    return np.array(values[lag:], dtype=np.result_type(steps, known))


def autoregression(
    train: ArrayLike, lags: int, horizon: int = 1, *, difference: int | None = None
) -> Forecaster:
    r"""Fit a linear forecast from the last values, by least squares.

    Implements :eq:`eq-autoregression` (Yule, Philosophical Transactions of the Royal
    Society A 1927). Further than one step ahead it takes its own forecasts for values.

    Parameters
    ----------
    train : array_like, shape (T,)
        With at least ``lags + 1`` windows of ``lags + 1`` values.
    lags : int
        Values to read.
    horizon : int, default 1
        Values to forecast.
    difference : int, optional
        Forecast the changes against so many steps before, instead of the values.

    Returns
    -------
    callable
        Takes the values so far, shape (T,), and returns the next, shape (horizon,).

    Raises
    ------
    ValueError
        If there are fewer windows than coefficients.

    Examples
    --------
    >>> forecast = autoregression([1.0, 2.0, 4.0, 8.0], lags=1, horizon=2)
    >>> forecast([3.0, 5.0]).round(6)
    array([10., 20.])
    """
    order, ahead = integer("lags", lags), integer("horizon", horizon)
    lag = 0 if difference is None else integer("difference", difference)
    known = _values("train", train, minimum=2 * order + 1 + lag)
    x, y = windows_of(_changes(known, lag), order)
    matrix = np.column_stack([np.ones(len(y)), x[:, :, 0].T])
    constant, *weights = np.linalg.lstsq(matrix, y[:, 0])[0]

    def forecaster(history: FloatArray) -> FloatArray:
        last = _values("history", history, minimum=order + lag)[-order - lag :]
        values = [*_changes(last, lag)]
        for _ in range(ahead):
            values.append(constant + np.dot(weights, values[-order:]))
        answer = np.array(values[order:])
        return undo_differences(answer, last, lag=lag) if lag else answer

    return forecaster


class WindowForecaster:
    """A network that reads the last values of a series and forecasts the next ones.

    Parameters
    ----------
    model : Layer
        From windows (length, N, 1) to forecasts (N, horizon). Trained in place.
    length : int
        Values to read.
    horizon : int
        Values to forecast.
    difference : int, optional
        Forecast the changes against so many steps before, instead of the values.

    Attributes
    ----------
    mean, scale : float
        Of the training values, or of their differences; set by :meth:`fit`.

    Examples
    --------
    >>> from companion.network import Adam, Sequential
    >>> from companion.recurrence import RNN, LastStep
    >>> model = Sequential(RNN(1, 8, rng=0), LastStep(), Linear(8, 1, rng=1))
    >>> forecaster = WindowForecaster(model, length=6)
    >>> wave = np.sin(np.arange(80.0))
    >>> history = forecaster.fit(wave, optimiser=Adam(0.01), epochs=60, rng=0)
    >>> bool(abs(forecaster(wave)[0] - np.sin(80.0)) < 0.2)
    True
    """

    def __init__(
        self, model: Layer, length: int, horizon: int = 1, *, difference: int | None = None
    ) -> None:
        self.model = model
        self.length, self.horizon = integer("length", length), integer("horizon", horizon)
        self.lag = 0 if difference is None else integer("difference", difference)

    def fit(
        self, train: ArrayLike, *, validation: ArrayLike | None = None, **options: Any
    ) -> History:
        """Scale by the training values, cut windows, and train.

        Parameters
        ----------
        train : array_like, shape (T,)
        validation : array_like, shape (V,), optional
            The values that follow `train`. Its windows may begin in `train`; what
            they forecast lies in `validation`.
        **options
            For :func:`.fit`: optimiser, epochs, rng, early_stopping
            and the like. The loss is the mean squared error of the scaled values.

        Returns
        -------
        History

        Raises
        ------
        ValueError
            If a part is too short for one window, or the training values are all equal.
        """
        needed = self.length + self.horizon + self.lag
        values = _values("train", train, minimum=needed)
        known = _changes(values, self.lag)
        self.mean, self.scale = float(known.mean()), float(known.std())
        if self.scale == 0.0:
            raise ValueError("train must not be constant")
        if validation is not None:
            context = values[-self.length - self.lag :]
            later = np.concatenate([context, np.asarray(validation)])
            later = _values("validation with what is before it", later, minimum=needed)
            options["validation"] = self._windows(_changes(later, self.lag))
        x, y = self._windows(known)
        optimiser = options.pop("optimiser")
        return fit(self.model, MSELoss(), optimiser, x, y, batch_axis=1, output_axis=0, **options)

    def _windows(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        kind = next(iter(self.model.parameters().values())).dtype
        x, y = windows_of((values - self.mean) / self.scale, self.length, self.horizon)
        return x.astype(kind), y.astype(kind)

    def __call__(self, history: ArrayLike) -> FloatArray:
        """Return the forecast of the values that follow `history`.

        Parameters
        ----------
        history : array_like, shape (T,)
            At least `length` values, and `difference` more.

        Returns
        -------
        ndarray of float64, shape (horizon,)

        Raises
        ------
        ValueError
            If the history is too short.
        RuntimeError
            If called before :meth:`fit`.
        """
        if not hasattr(self, "scale"):
            raise RuntimeError("WindowForecaster was called before fit")
        context = self.length + self.lag
        last = _values("history", history, minimum=context)[-context:]
        values = _changes(last, self.lag)
        scaled = ((values - self.mean) / self.scale)[:, None, None]
        answer = self.model(scaled)[0].astype(np.float64) * self.scale + self.mean
        return undo_differences(answer, last, lag=self.lag) if self.lag else answer


def conformal_width(errors: ArrayLike, coverage: float) -> float:
    r"""Return the half width of an interval that should hold a share of new values.

    Implements :eq:`eq-conformal`, split conformal prediction (Lei, G'Sell, Rinaldo,
    Tibshirani & Wasserman, Journal of the American Statistical Association 2018).

    Parameters
    ----------
    errors : array_like, shape (n,)
        Errors of forecasts on values that nothing was fitted to; signs do not matter.
    coverage : float in (0, 1)
        Share of new values to hold, for example 0.9.

    Returns
    -------
    float
        Infinite where n is too small for the coverage.

    Raises
    ------
    ValueError
        If there is no error, one is not finite, or the coverage is out of range.

    Examples
    --------
    >>> conformal_width([1.0, -4.0, 2.0, -3.0], 0.6)
    3.0
    >>> conformal_width([1.0, -4.0, 2.0, -3.0], 0.9)
    inf
    """
    sizes = np.sort(np.abs(_values("errors", errors, minimum=1)))
    share = real(
        "coverage", coverage, minimum=0.0, maximum=1.0, open_minimum=True, open_maximum=True
    )
    # The new error is as likely to be the smallest of n + 1 as the second smallest and so on.
    # Rounding keeps 0.9 * 10 at 9.
    rank = math.ceil(round(share * (len(sizes) + 1), 9))
    return float(sizes[rank - 1]) if rank <= len(sizes) else math.inf


def _values(name: str, value: ArrayLike, *, minimum: int) -> FloatArray:
    array = float_array(name, value, ndim=1, finite=True)
    if len(array) < minimum:
        raise ValueError(f"{name} must have at least {minimum} values, got {len(array)}")
    return array


def _changes(values: FloatArray, lag: int) -> FloatArray:
    """Return each value less the one `lag` steps before; the values themselves for a lag of 0."""
    return np.asarray(values[lag:] - values[:-lag]) if lag else values
