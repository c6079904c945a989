"""What the lesson *Forecasts and sentences* reports, found again."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.tsa.ar_model import AutoReg, ar_select_order

from companion import data, records
from companion.data.sentences import ADJECTIVES, VERBS
from companion.network import Adam, Linear, MSELoss, Sequential, fit, predict
from companion.records.sequences import PLANS, bag_of_words, errors_by_lead, train_forecaster
from companion.recurrence import (
    RNN,
    LastStep,
    autoregression,
    conformal_width,
    rolling_forecasts,
    seasonal_naive,
    windows_of,
)

SPOTS, PPM = data.load_sunspots().values, data.load_co2().values
GATED = ("GRU", "LSTM", "GRU, both directions", "GRU, 4 numbers a word")


def mean_error(forecaster, name="sunspots", part="test"):
    values = SPOTS if name == "sunspots" else PPM
    return np.mean(errors_by_lead(forecaster, values, name, part=part))


def best_order(name, orders, difference=None):
    plan = PLANS[name]
    values = (SPOTS if name == "sunspots" else PPM)[: plan["train"]]
    fits = [autoregression(values, p, plan["horizon"], difference=difference) for p in orders]
    return fits[int(np.argmin([mean_error(f, name, "validation") for f in fits]))]


@pytest.fixture(scope="module")
def forecasts():
    return records.load("forecasts").results


@pytest.fixture(scope="module")
def sentences():
    return records.load("sentences")


def test_the_orders_of_the_autoregression():
    """Oracle: statsmodels for the criterion; every order tried on the validation years."""
    train = SPOTS[:200]
    assert ar_select_order(train, maxlag=20, ic="bic").ar_lags == [1, 2]
    scores = [AutoReg(train, lags=p, hold_back=20).fit().bic for p in range(1, 21)]
    assert int(np.argmin(scores)) == 1
    chosen = best_order("sunspots", range(1, 21))
    assert mean_error(chosen) < mean_error(autoregression(train, 2, 11)) - 0.4
    late = [mean_error(autoregression(train, p, 11)) for p in range(9, 21)]
    assert max(late) - min(late) < 0.15


def test_no_network_beats_the_autoregression_on_sunspots(forecasts):
    """Oracle: the stored run against forecasts made here; by the validation years it would."""
    linear = best_order("sunspots", range(1, 21))
    repeated = mean_error(lambda h: seasonal_naive(h, 11, period=11))
    assert mean_error(linear) < repeated
    means = {cell: np.mean(row["test"], axis=1) for cell, row in forecasts["sunspots"].items()}
    for cell, row in means.items():
        assert row.mean() > mean_error(linear) + 0.1, cell
        assert row.mean() > repeated - 0.05, cell
    assert means["LSTM"].mean() == max(row.mean() for row in means.values())
    validation = np.mean(forecasts["sunspots"]["GRU"]["validation"])
    assert validation < mean_error(linear, part="validation")


def test_sunspot_errors_by_lead(forecasts):
    """Oracle: what the figure's description says."""
    linear = errors_by_lead(best_order("sunspots", range(1, 21)), SPOTS, "sunspots", part="test")
    repeated = errors_by_lead(
        lambda h: seasonal_naive(h, 11, period=11), SPOTS, "sunspots", part="test"
    )
    last = errors_by_lead(lambda h: seasonal_naive(h, 11, period=1), SPOTS, "sunspots", part="test")
    network = np.mean(forecasts["sunspots"]["GRU"]["test"], axis=0)
    assert np.all(np.array(repeated) > 1.0)
    assert int(np.argmax(last)) in (4, 5)
    assert np.sum(np.array(linear) < network) >= 10
    ahead = network < np.array(repeated)
    assert ahead[:2].all()
    assert not ahead[3:].any()


def test_what_is_forecast_matters_more_than_the_cell(forecasts):
    """Oracle: the stored run, and the autoregression and persistence made here."""
    persistence = mean_error(lambda h: seasonal_naive(h, 12, period=1), "co2")
    by_lag = {
        lag: [np.mean(row[lag]["test"]) for row in forecasts["co2"].values()]
        for lag in ("None", "1", "12")
    }
    assert min(by_lag["None"]) > 4 * persistence
    assert min(by_lag["None"]) > 20 * max(by_lag["1"])
    for lag in ("1", "12"):
        assert max(by_lag[lag]) < 1.12 * min(by_lag[lag])
        linear = mean_error(best_order("co2", range(1, 26), int(lag)), "co2")
        assert min(by_lag[lag]) > linear - 0.02
    assert mean_error(best_order("co2", range(1, 26)), "co2") < 1.0


def test_levels_fail_and_changes_work_also_in_a_small_run():
    """Oracle: the same comparison with the plain cell, trained here."""
    settings = {"cell": "RNN", "length": 24, "epochs": 60}
    levels, changes = (
        mean_error(train_forecaster(PPM, "co2", difference=lag, **settings), "co2")
        for lag in (None, 1)
    )
    assert levels > 10 * changes


def test_shuffled_windows_look_too_good():
    """Oracle: the same small network, split by time and split at random."""
    honest = mean_error(train_forecaster(PPM, "co2", cell="RNN", length=24, epochs=60), "co2")
    rng = np.random.default_rng(0)
    x, y = windows_of((PPM - PPM.mean()) / PPM.std(), 24, 12)
    order = rng.permutation(len(y))
    first, second = order[:345], order[345:]
    model = Sequential(RNN(1, 16, rng=rng), LastStep(), Linear(16, 12, rng=rng))
    options = {"epochs": 60, "batch_size": 64, "rng": rng, "batch_axis": 1, "output_axis": 0}
    fit(model, MSELoss(), Adam(0.01), x[:, first], y[first], **options)
    guess = predict(model, x[:, second], batch_axis=1, output_axis=0)
    error = np.abs(guess - y[second]).mean() * PPM.std()
    assert error / np.abs(PPM[12:310] - PPM[:298]).mean() < honest / 5


def test_a_fixed_interval_is_too_narrow_and_a_moving_one_is_not():
    """Oracle: count the test years inside."""
    forecaster = autoregression(SPOTS[:200], 18)
    ahead, came = rolling_forecasts(forecaster, SPOTS, start=200, horizon=1)
    misses = np.abs(came - ahead)[:, 0]
    fixed = conformal_width(misses[:40], 0.9)
    moving = [conformal_width(misses[k - 40 : k], 0.9) for k in range(40, 109)]
    assert np.mean(misses[40:] <= fixed) < 0.8
    assert np.mean(misses[40:] <= moving) > 0.85


def test_intervals_of_changes_hold_about_what_they_promise():
    """Oracle: count the test months inside, by month ahead."""
    forecaster = best_order("co2", range(1, 26), 1)
    ahead, came = rolling_forecasts(forecaster, PPM, start=310, horizon=12)
    sizes = np.abs(came - ahead)
    shares = [np.mean(sizes[72:, k] <= conformal_width(sizes[:61, k], 0.9)) for k in range(12)]
    assert 0.8 < min(shares) < 0.9 < max(shares) < 0.96


def test_gated_cells_beat_counts_where_order_decides(sentences):
    """Oracle: the stored run; the counts again here, on other sentences."""
    models, bags = sentences.results["models"], sentences.results["bags"]
    for name in GATED:
        assert min(models[name]["test"]) > 0.98, name
    assert max(bag["test"] for bag in bags.values()) < 0.72
    assert np.mean(models["RNN"]["test"]) < 0.85
    train, validation, test = (
        data.make_sentences(n, part=part, rng=40)
        for part, n in (("train", 2000), ("validation", 300), ("test", 500))
    )
    accuracy = bag_of_words(train, validation, longest=2).score(test.texts, test.labels)
    assert 0.55 < accuracy < 0.75


def test_what_the_perfect_score_hides(sentences):
    """Oracle: the stored run; a rule of three lines that is right everywhere."""
    models = sentences.results["models"]
    for name in GATED:
        assert np.mean(models[name]["negated"]) < 0.85
        assert 0.3 < np.mean(models[name]["held-out"]) < 0.7
        assert np.mean(models[name]["longer"]) < np.mean(models[name]["test"]) - 0.03
    assert np.ptp(models["GRU"]["negated"]) > 0.2
    turning = {"not", "never", "hardly", "doubt", "nobody", "false"}
    opinions = {
        word: side
        for table in (ADJECTIVES, VERBS)
        for pair in table.values()
        for side, group in enumerate(pair)
        for word in group
    }
    for part in ("train", "test", "longer", "negated", "held-out"):
        sample = data.make_sentences(400, part=part, rng=41)
        for text, label in zip(sample.texts, sample.labels, strict=True):
            clause = text.split(" but ")[-1].split(" although ")[0].split()
            side = next(opinions[word] for word in clause if word in opinions)
            assert (side + sum(word in turning for word in clause)) % 2 == label, text


def test_where_the_curves_cross(sentences):
    """Oracle: the stored run: counts are ahead with few sentences, the network with many."""
    mood = sentences.results["curve"]["sentiment"]
    network = np.mean(mood["GRU"], axis=1)
    assert sentences.settings["sizes"] == [125, 500, 2000]
    assert mood["bag of 2"][1] > network[1]
    assert network[2] > mood["bag of 2"][2] + 0.2
    topic = sentences.results["curve"]["topic"]
    assert np.all(np.array(topic["bag of 1"]) >= np.mean(topic["GRU"], axis=1))
    assert topic["bag of 1"][1] > 0.98
    assert sentences.results["topic bag"]["held-out"] < 0.35
