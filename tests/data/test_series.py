"""The measured series: statsmodels' own files, read in another way; the filled gaps."""

import csv
from pathlib import Path

import numpy as np
import pytest
import statsmodels.datasets

from companion import data


def rows(name):
    """Read a data set's file with the csv module."""
    file = Path(statsmodels.datasets.__file__).parent / name / f"{name}.csv"
    with file.open(encoding="utf-8") as lines:
        return list(csv.reader(lines))[1:]


def test_sunspots_are_those_of_the_file():
    """Oracle: the file, read with the csv module; published years of the Maunder minimum's end and
    of the highest number."""
    series = data.load_sunspots()
    expected = np.array(rows("sunspots"), dtype=np.float64)
    assert np.array_equal(np.column_stack([series.time, series.values]), expected)
    assert np.array_equal(series.time, np.arange(1700, 2009))
    assert series.filled == 0
    assert series.time[series.values.argmax()] == 1957
    # The cycle of 11 years: the highest peak of the spectrum.
    power = np.abs(np.fft.rfft(series.values - series.values.mean())) ** 2
    assert 309 / power.argmax() == pytest.approx(11, abs=0.2)


def test_co2_is_the_mean_of_each_month():
    """Oracle: a loop over the lines of the file, with a straight line through the gaps by hand."""
    months = {}
    for date, value in rows("co2"):
        weeks = months.setdefault((int(date[:4]), int(date[4:6])), [])
        if value:
            weeks.append(float(value))
    series = data.load_co2()
    keys = sorted(months)
    assert keys[0] == (1958, 3)
    assert keys[-1] == (2001, 12)
    assert len(keys) == len(series.values) == 526
    np.testing.assert_allclose(series.time, [year + (month - 0.5) / 12 for year, month in keys])
    means = [np.mean(months[key]) if months[key] else None for key in keys]
    gaps = [position for position, mean in enumerate(means) if mean is None]
    assert [keys[gap] for gap in gaps] == [(1958, 6), (1958, 10), *((1964, m) for m in (2, 3, 4))]
    assert series.filled == len(gaps) == 5
    for gap in gaps[:2]:
        means[gap] = (means[gap - 1] + means[gap + 1]) / 2
    before, after = means[gaps[2] - 1], means[gaps[4] + 1]
    for step, gap in enumerate(gaps[2:], start=1):
        means[gap] = before + (after - before) * step / 4
    np.testing.assert_allclose(series.values, means)


def test_each_call_gives_fresh_arrays_and_a_frozen_record():
    """Oracle: what one reader writes into a series, the next one does not find."""
    for load in (data.load_sunspots, data.load_co2):
        first = load()
        first.values[:] = 0.0
        first.time[:] = 0.0
        assert load().values.min() >= 0.0
        assert load().values.max() > 100.0
        assert load().time.min() >= 1700.0
        with pytest.raises(AttributeError):
            first.name = "other"
    assert repr(data.load_co2()) == "Series(CO2 at Mauna Loa: 526 values in ppm, 1958-2001)"
