"""Sequences in, one answer out: the classifier, and what forecasting needs."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.ar_model import AutoReg
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from companion.network import (
    Adam,
    CrossEntropyLoss,
    EarlyStopping,
    Linear,
    Sequential,
    fit,
    numerical_gradient,
    predict,
    relative_error,
)
from companion.recurrence import (
    GRU,
    LSTM,
    RNN,
    LastStep,
    SequenceClassifier,
    WindowForecaster,
    autoregression,
    conformal_width,
    mase,
    rolling_forecasts,
    seasonal_naive,
    undo_differences,
    windows_of,
)
from tests.network.oracles import assert_close
from tests.recurrence.oracles import LOOSE, load_into

TWINS = {RNN: nn.RNN, LSTM: nn.LSTM, GRU: nn.GRU}


class Twin(nn.Module):
    """PyTorch's way: packed sequences, and the final state of each direction."""

    def __init__(self, cell, sizes, classes, *, bidirectional):
        super().__init__()
        words, dim, hidden = sizes
        self.embedding = nn.Embedding(words, dim, padding_idx=0)
        self.recurrent = TWINS[cell](dim, hidden, bidirectional=bidirectional)
        self.linear = nn.Linear(hidden * (2 if bidirectional else 1), classes)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(self.embedding(x), lengths, enforce_sorted=False)
        state = self.recurrent(packed)[1]
        h = state[0] if isinstance(state, tuple) else state
        return self.linear(torch.cat(list(h), dim=1))


def sentences(rng, words, steps, n):
    """Return padded tokens and lengths; one sentence fills all steps."""
    lengths = rng.integers(1, steps + 1, size=n)
    lengths[-1] = steps
    tokens = rng.integers(1, words, size=(steps, n))
    return np.where(np.arange(steps)[:, None] < lengths, tokens, 0), lengths


class TestSequenceClassifier:
    @pytest.mark.parametrize("cell", TWINS)
    @pytest.mark.parametrize("bidirectional", [False, True])
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_is_pytorchs_packed_sequence(self, cell, bidirectional, dtype):
        """Oracle: PyTorch with packed sequences, in outputs and in every gradient."""
        rng = np.random.default_rng(0)
        model = SequenceClassifier(
            *(9, 3),
            embedding_dim=4,
            hidden_size=5,
            cell=cell,
            bidirectional=bidirectional,
            rng=rng,
            dtype=dtype,
        )
        for name, array in model.parameters().items():
            if name != "embedding.weight":
                array[...] = rng.normal(scale=0.7, size=array.shape)
        twin = Twin(cell, (9, 4, 5), 3, bidirectional=bidirectional)
        load_into(model, twin)
        x, lengths = sentences(rng, 9, 6, 7)
        labels = rng.integers(3, size=7)
        logits = twin(torch.tensor(x), torch.tensor(lengths))
        nn.functional.cross_entropy(logits, torch.tensor(labels)).backward()

        ours, loss = model(x), CrossEntropyLoss()
        assert ours.dtype == dtype
        assert_close(ours, logits, tolerance=LOOSE[np.dtype(dtype)])
        assert not model.embedding.weight[0].any()
        loss.forward(ours, labels)
        back = model.backward(loss.backward())
        assert back.shape == x.shape
        assert not back.any()
        theirs = dict(twin.named_parameters())
        assert model.gradients().keys() == model.parameters().keys() == theirs.keys()
        for name, gradient in model.gradients().items():
            assert_close(gradient, theirs[name].grad, tolerance=LOOSE[np.dtype(dtype)])

    @pytest.mark.parametrize("cell", TWINS)
    def test_gradients_are_finite_differences(self, cell):
        """Oracle: finite differences."""
        rng = np.random.default_rng(1)
        model = SequenceClassifier(
            6, 2, embedding_dim=3, hidden_size=4, cell=cell, bidirectional=True, rng=rng
        )
        x, _ = sentences(rng, 6, 4, 5)
        labels, loss = rng.integers(2, size=5), CrossEntropyLoss()

        def value_with(candidate: np.ndarray, array: np.ndarray) -> float:
            kept = array.copy()
            array[...] = candidate
            value = loss.forward(model(x), labels)
            array[...] = kept
            return value

        loss.forward(model(x), labels)
        model.backward(loss.backward())
        for name, array in model.parameters().items():
            slopes = numerical_gradient(partial(value_with, array=array), array)
            if name == "embedding.weight":
                slopes[0] = 0.0  # the padding's row is not trained
            assert relative_error(model.gradients()[name], slopes) < 1e-6, name

    @pytest.mark.parametrize("cell", TWINS)
    @pytest.mark.parametrize("bidirectional", [False, True])
    def test_padding_and_company_change_nothing(self, cell, bidirectional):
        """Oracle: each sentence alone, without padding."""
        rng = np.random.default_rng(2)
        model = SequenceClassifier(9, 3, cell=cell, bidirectional=bidirectional, rng=rng)
        x, lengths = sentences(rng, 9, 7, 6)
        together = model(np.vstack([x, np.zeros((3, 6), dtype=int)]))
        for k, length in enumerate(lengths):
            np.testing.assert_allclose(together[k], model(x[:length, [k]])[0], atol=1e-12)

    @pytest.mark.parametrize("cell", TWINS)
    def test_read_is_the_answer_to_each_beginning(self, cell):
        """Oracle: the classifier on the first words alone."""
        rng = np.random.default_rng(3)
        model = SequenceClassifier(9, 3, cell=cell, rng=rng)
        x, lengths = sentences(rng, 9, 5, 4)
        running = model.read(x)
        assert running.shape == (5, 4, 3)
        for k, length in enumerate(lengths):
            assert np.isnan(running[length:, k]).all()
            for t in range(length):
                np.testing.assert_allclose(running[t, k], model(x[: t + 1, [k]])[0], atol=1e-12)

    def test_trains_by_the_one_loop(self):
        """Oracle: a task with a known answer, whether word 1 comes before word 2.

        A bag of words cannot do better than chance, for both words are in every sentence.
        """
        rng = np.random.default_rng(4)
        x = np.full((6, 400), 3)
        first, second = np.sort([rng.permutation(6)[:2] for _ in range(400)], axis=1).T
        labels = rng.integers(2, size=400)
        x[first, np.arange(400)], x[second, np.arange(400)] = 1 + labels, 2 - labels
        model = SequenceClassifier(4, 2, embedding_dim=4, hidden_size=8, rng=5, dtype=np.float32)
        options = {"epochs": 20, "batch_size": 50, "batch_axis": 1, "output_axis": 0}
        fit(model, CrossEntropyLoss(), Adam(0.02), x[:, :300], labels[:300], rng=6, **options)
        got = predict(model, x[:, 300:], batch_axis=1, output_axis=0).argmax(axis=1)
        assert np.mean(got == labels[300:]) > 0.97

    def test_wrong_input(self):
        """Oracle: the messages."""
        model = SequenceClassifier(5, 2, rng=0)
        with pytest.raises(ValueError, match=r"x must have shape \(T, N\), got \(3,\)"):
            model([1, 2, 3])
        with pytest.raises(ValueError, match="word in each sentence, got an empty one"):
            model([[1, 0], [2, 0]])
        with pytest.raises(ValueError, match="zeros below the end of a sentence"):
            model([[1, 0], [2, 3]])
        with pytest.raises(ValueError, match=r"x must lie in 0\.\.4"):
            model([[5]])
        with pytest.raises(TypeError, match="cell must be a kind of RecurrentLayer"):
            SequenceClassifier(5, 2, cell=Linear, rng=0)
        with pytest.raises(TypeError, match="cell must be a kind of RecurrentLayer"):
            SequenceClassifier(5, 2, cell="GRU", rng=0)
        with pytest.raises(ValueError, match="classes must be at least 1"):
            SequenceClassifier(5, 0, rng=0)
        with pytest.raises(RuntimeError, match="backward was called before forward"):
            model.backward(np.zeros((1, 2)))
        both = SequenceClassifier(5, 2, bidirectional=True, rng=0)
        with pytest.raises(ValueError, match="must read in one direction, got both"):
            both.read([[1]])

    def test_says_what_it_is_made_of(self):
        """Oracle: the sizes given."""
        text = repr(SequenceClassifier(5, 2, embedding_dim=3, hidden_size=4, cell=LSTM, rng=0))
        assert text.startswith("SequenceClassifier(Embedding(5, 3), LSTM(3, 4")
        assert text.endswith("Linear(4, 2, bias=True))")


class TestWindowsOf:
    @given(total=st.integers(1, 30), length=st.integers(1, 10), horizon=st.integers(1, 10))
    @settings(max_examples=60, deadline=None)
    def test_windows_are_slices(self, total, length, horizon):
        """Oracle: slices, one by one; or the error where no window fits."""
        series = np.arange(total) ** 2.0
        if total < length + horizon:
            with pytest.raises(ValueError, match=f"at least {length + horizon} values"):
                windows_of(series, length, horizon)
            return
        x, y = windows_of(series, length, horizon)
        assert x.shape == (length, total - length - horizon + 1, 1)
        assert y.shape == (x.shape[1], horizon)
        for k in range(x.shape[1]):
            np.testing.assert_array_equal(x[:, k, 0], series[k : k + length])
            np.testing.assert_array_equal(y[k], series[k + length : k + length + horizon])

    def test_are_copies_of_the_same_type(self):
        """Oracle: the series, unchanged after the windows are written to."""
        series = np.ones(6, dtype=np.float32)
        x, y = windows_of(series, 2)
        x += 1.0
        y += 1.0
        assert x.dtype == y.dtype == np.float32
        assert (series == 1.0).all()

    def test_wrong_input(self):
        """Oracle: the messages."""
        with pytest.raises(ValueError, match="series must be finite, got 1 NaN"):
            windows_of([1.0, np.nan, 2.0], 1)
        with pytest.raises(ValueError, match="length must be at least 1"):
            windows_of([1.0, 2.0], 0)
        with pytest.raises(ValueError, match="horizon must be at least 1"):
            windows_of([1.0, 2.0], 1, 0)


class TestSeasonalNaive:
    @given(
        history=st.lists(st.floats(-9, 9), min_size=1, max_size=20),
        period=st.integers(1, 20),
        horizon=st.integers(1, 30),
    )
    @settings(max_examples=60, deadline=None)
    def test_is_the_value_a_whole_number_of_periods_ago(self, history, period, horizon):
        """Oracle: step back by periods until the value is known."""
        if len(history) < period:
            with pytest.raises(ValueError, match=f"history must have at least {period} values"):
                seasonal_naive(history, horizon, period=period)
            return
        for k, value in enumerate(seasonal_naive(history, horizon, period=period)):
            place = len(history) + k
            while place >= len(history):
                place -= period
            assert value == history[place]


class TestMase:
    def test_of_the_seasonal_forecast_on_the_training_values_is_one(self):
        """Oracle: the definition, by which the yardstick measures 1 against itself."""
        train = np.random.default_rng(0).normal(size=40).cumsum()
        for period in (1, 4, 12):
            assert mase(train[period:], train[:-period], train, period=period) == pytest.approx(1)

    @given(scale=st.floats(0.01, 100), shift=st.floats(-50, 50))
    @settings(max_examples=30, deadline=None)
    def test_has_no_unit(self, scale, shift):
        """Oracle: an invariant, the same series in other units."""
        rng = np.random.default_rng(1)
        target, forecast, train = rng.normal(size=(3, 20))
        expected = mase(target, forecast, train, period=3)
        got = mase(*(scale * a + shift for a in (target, forecast, train)), period=3)
        assert got == pytest.approx(expected, rel=1e-6)

    def test_wrong_input(self):
        """Oracle: the messages."""
        with pytest.raises(ValueError, match=r"forecast must have shape \(2,\), got \(1,\)"):
            mase([1.0, 2.0], [1.0], [1.0, 2.0])
        with pytest.raises(ValueError, match="target must hold at least one value"):
            mase([], [], [1.0, 2.0])
        with pytest.raises(ValueError, match="train must have at least 4 values, got 3"):
            mase([1.0], [1.0], [1.0, 2.0, 3.0], period=3)
        with pytest.raises(ValueError, match="must not repeat itself exactly with period 2"):
            mase([1.0], [1.0], [1.0, 2.0, 1.0, 2.0], period=2)


class TestRollingForecasts:
    def test_each_forecast_sees_the_past_only(self):
        """Oracle: what the forecaster was called with."""
        series, seen = np.arange(10.0), []

        def forecaster(history):
            seen.append(history.copy())
            history[:] = -1.0  # must not reach the series
            return np.array([100.0, 200.0]) + len(seen)

        forecasts, targets = rolling_forecasts(forecaster, series, start=3, horizon=2, step=2)
        assert [len(history) for history in seen] == [3, 5, 7]
        for history in seen:
            np.testing.assert_array_equal(history, series[: len(history)])
        np.testing.assert_array_equal(targets, [[3, 4], [5, 6], [7, 8]])
        np.testing.assert_array_equal(forecasts[:, 1], [201, 202, 203])

    def test_agrees_with_statsmodels_one_step_ahead(self):
        """Oracle: statsmodels' own one-step forecasts with fixed coefficients."""
        series = np.random.default_rng(2).normal(size=80).cumsum()
        coefficients = AutoReg(series[:50], lags=2).fit().params

        def forecaster(history):
            return coefficients[:1] + coefficients[1:] @ history[:-3:-1]

        forecasts, targets = rolling_forecasts(forecaster, series, start=50, horizon=1)
        expected = AutoReg(series, lags=2).predict(coefficients, start=50, end=79)
        np.testing.assert_allclose(forecasts[:, 0], expected)
        np.testing.assert_array_equal(targets[:, 0], series[50:])

    def test_wrong_input(self):
        """Oracle: the messages."""
        with pytest.raises(ValueError, match="series must have at least 6 values, got 5"):
            rolling_forecasts(lambda history: history[-2:], np.ones(5), start=4, horizon=2)
        with pytest.raises(ValueError, match=r"a forecast must have shape \(2,\), got \(1,\)"):
            rolling_forecasts(lambda history: history[-1:], np.ones(9), start=4, horizon=2)
        with pytest.raises(ValueError, match="step must be at least 1"):
            rolling_forecasts(lambda history: history[-1:], np.ones(9), start=4, horizon=1, step=0)


class TestUndoDifferences:
    @given(lag=st.integers(1, 6), horizon=st.integers(0, 15), seed=st.integers(0, 99))
    @settings(max_examples=60, deadline=None)
    def test_brings_back_what_was_differenced(self, lag, horizon, seed):
        """Oracle: the series itself, before its differences were taken."""
        series = np.random.default_rng(seed).normal(size=10 + horizon)
        changes = series[lag:] - series[:-lag]
        got = undo_differences(changes[10 - lag :], series[:10], lag=lag)
        np.testing.assert_allclose(got, series[10:], atol=1e-12)

    def test_keeps_float32(self):
        """Oracle: the type that came."""
        ones = np.ones(3, dtype=np.float32)
        assert undo_differences(ones, ones, lag=1).dtype == np.float32

    def test_wrong_input(self):
        """Oracle: the message."""
        with pytest.raises(ValueError, match="history must have at least 3 values, got 2"):
            undo_differences([1.0], [1.0, 2.0], lag=3)


class TestAutoregression:
    @pytest.mark.parametrize("lags", [1, 2, 9])
    def test_is_statsmodels_autoregression(self, lags):
        """Oracle: statsmodels' AutoReg, fitted and then applied to a longer history."""
        series = np.random.default_rng(9).normal(size=90).cumsum()
        forecaster = autoregression(series[:60], lags, horizon=7)
        theirs = AutoReg(series[:60], lags=lags).fit()
        np.testing.assert_allclose(forecaster(series[:60]), theirs.forecast(7))
        later = AutoReg(series[:80], lags=lags)
        np.testing.assert_allclose(
            forecaster(series[:80]), later.predict(theirs.params, start=80, end=86)
        )

    @pytest.mark.parametrize("difference", [1, 12])
    def test_of_differences(self, difference):
        """Oracle: statsmodels on the differences, added up by NumPy."""
        series = np.random.default_rng(10).normal(size=90).cumsum()
        changes = series[difference:] - series[:-difference]
        expected = AutoReg(changes, lags=3).fit().forecast(6)
        start = series[-1] if difference == 1 else series[-12:-6]
        expected = start + (np.cumsum(expected) if difference == 1 else expected)
        got = autoregression(series, 3, 6, difference=difference)(series)
        np.testing.assert_allclose(got, expected)

    def test_wrong_input(self):
        """Oracle: the messages."""
        with pytest.raises(ValueError, match="train must have at least 5 values, got 4"):
            autoregression(np.ones(4), 2)
        with pytest.raises(ValueError, match="history must have at least 4 values, got 3"):
            autoregression(np.arange(9.0) ** 2, 2, difference=2)(np.ones(3))
        with pytest.raises(ValueError, match="lags must be at least 1"):
            autoregression(np.ones(9), 0)


def network(horizon=1, rng=0, dtype=np.float64):
    return Sequential(
        RNN(1, 6, rng=rng, dtype=dtype), LastStep(), Linear(6, horizon, rng=rng, dtype=dtype)
    )


class TestWindowForecaster:
    @pytest.mark.parametrize("difference", [None, 1, 3])
    def test_forecast_is_the_networks_on_scaled_values(self, difference):
        """Oracle: the same steps written out for one forecast."""
        rng = np.random.default_rng(3)
        train = 50 + 10 * rng.normal(size=60).cumsum()
        forecaster = WindowForecaster(network(2), 5, 2, difference=difference)
        forecaster.fit(train, optimiser=Adam(0.01), epochs=2, rng=0)
        values = train if difference is None else train[difference:] - train[:-difference]
        assert forecaster.mean == pytest.approx(values.mean())
        assert forecaster.scale == pytest.approx(values.std())
        scaled = (values[-5:] - values.mean()) / values.std()
        answer = forecaster.model(scaled.reshape(5, 1, 1))[0] * values.std() + values.mean()
        if difference == 1:
            answer = train[-1] + np.cumsum(answer)
        elif difference == 3:
            answer = train[[-3, -2]] + answer
        np.testing.assert_allclose(forecaster(train), answer)

    def test_validation_windows_forecast_the_validation_part(self):
        """Oracle: the loss on windows cut by hand, with the scale of the training part."""
        series = np.random.default_rng(4).normal(size=50).cumsum()
        for lag in (None, 2):
            forecaster = WindowForecaster(network(2, rng=1), 4, 2, difference=lag)
            history = forecaster.fit(
                series[:40],
                validation=series[40:],
                optimiser=Adam(0.01),
                epochs=3,
                rng=0,
                early_stopping=EarlyStopping(patience=1, restore_best=False),
            )
            shift = lag or 0
            values = series if lag is None else series[lag:] - series[:-lag]
            scaled = (values - forecaster.mean) / forecaster.scale
            starts = range(40 - shift, 49 - shift)
            x = np.stack([scaled[k - 4 : k] for k in starts], axis=1)[:, :, None]
            y = np.stack([scaled[k : k + 2] for k in starts])
            assert history.val_loss[-1] == pytest.approx(np.mean((forecaster.model(x) - y) ** 2))

    def test_scale_does_not_know_the_validation_part(self):
        """Oracle: two validation parts, one far away; the training must be the same."""
        train = np.random.default_rng(5).normal(size=40)
        ends = []
        for later in (np.zeros(6), np.full(6, 1000.0)):
            forecaster = WindowForecaster(network(), 4)
            forecaster.fit(train, validation=later, optimiser=Adam(0.01), epochs=2, rng=0)
            ends.append((forecaster.mean, forecaster.scale, forecaster(train)[0]))
        assert ends[0] == ends[1]

    def test_float32(self):
        """Oracle: the type of the parameters after training; forecasts are float64."""
        forecaster = WindowForecaster(network(3, dtype=np.float32), 4, 3)
        series = np.random.default_rng(6).normal(size=30)
        forecaster.fit(series, optimiser=Adam(0.01), epochs=1, rng=0)
        assert {array.dtype for array in forecaster.model.parameters().values()} == {
            np.dtype(np.float32)
        }
        assert forecaster(series).dtype == np.float64

    def test_learns_a_line_from_differences_and_not_from_values(self):
        """Oracle: a straight line, whose continuation is known."""
        line = 2.0 * np.arange(120) + np.random.default_rng(7).normal(scale=0.1, size=120)
        errors = []
        for lag in (None, 1):
            forecaster = WindowForecaster(network(rng=2), 5, difference=lag)
            forecaster.fit(line[:60], optimiser=Adam(0.01), epochs=60, rng=0)
            forecasts, targets = rolling_forecasts(forecaster, line, start=100, horizon=1)
            errors.append(np.abs(forecasts - targets).mean())
        assert errors[0] > 20
        assert errors[1] < 0.5

    def test_wrong_input(self):
        """Oracle: the messages."""
        forecaster = WindowForecaster(network(), 4, difference=2)
        with pytest.raises(RuntimeError, match="was called before fit"):
            forecaster(np.ones(9))
        with pytest.raises(ValueError, match="train must have at least 7 values, got 6"):
            forecaster.fit(np.arange(6.0), optimiser=Adam(0.01), epochs=1, rng=0)
        with pytest.raises(ValueError, match="train must not be constant"):
            forecaster.fit(np.arange(9.0), optimiser=Adam(0.01), epochs=1, rng=0)
        forecaster.fit(np.arange(9.0) ** 2, optimiser=Adam(0.01), epochs=1, rng=0)
        with pytest.raises(ValueError, match="history must have at least 6 values, got 5"):
            forecaster(np.ones(5))
        with pytest.raises(ValueError, match="validation with what is before it must be finite"):
            forecaster.fit(
                np.arange(9.0) ** 2, validation=[np.nan], optimiser=Adam(0.1), epochs=1, rng=0
            )


class TestConformalWidth:
    @pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
    def test_holds_its_share_of_exchangeable_errors(self, coverage):
        """Oracle: the theorem; coverage is k / (n + 1), between the share and 1 / (n + 1) more."""
        rng = np.random.default_rng(8)
        errors = rng.standard_t(3, size=(4000, 25))
        widths = np.array([conformal_width(row[:-1], coverage) for row in errors])
        share = np.mean(np.abs(errors[:, -1]) <= widths)
        assert share == pytest.approx(np.ceil(coverage * 25) / 25, abs=0.025)

    @given(errors=st.lists(st.floats(-9, 9), min_size=1, max_size=30), percent=st.integers(1, 99))
    @settings(max_examples=100, deadline=None)
    def test_is_the_smallest_with_enough_errors_inside(self, errors, percent):
        """Oracle: count the errors inside, in whole numbers."""
        width, n = conformal_width(errors, percent / 100), len(errors)
        needed = -(-percent * (n + 1) // 100)
        if needed > n:
            assert width == np.inf
            return
        sizes = np.abs(errors)
        assert np.sum(sizes <= width) >= needed
        assert np.sum(sizes < width) < needed

    def test_wrong_input(self):
        """Oracle: the messages."""
        with pytest.raises(ValueError, match="errors must have at least 1 values, got 0"):
            conformal_width([], 0.9)
        with pytest.raises(ValueError, match="errors must be finite"):
            conformal_width([1.0, np.inf], 0.9)
        with pytest.raises(ValueError, match="coverage must lie in"):
            conformal_width([1.0], 1.0)
