"""Two measured series that come with statsmodels: sunspots, and carbon dioxide in the air."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from companion._validation import FloatArray


@dataclass(frozen=True)
class Series:
    """A quantity measured at even distances in time.

    Attributes
    ----------
    time : ndarray, shape (T,)
        Years; the middle of a month is a fraction of its year.
    values : ndarray, shape (T,)
        What was measured.
    name, unit : str
        Of the values.
    source : str
        Who measured, and where the numbers come from.
    filled : int
        How many values were missing and are interpolated.
    """

    time: FloatArray
    values: FloatArray
    name: str
    unit: str
    source: str
    filled: int = 0

    def __repr__(self) -> str:
        """Return the name, the number of values and the years."""
        years = f"{int(self.time[0])}-{int(self.time[-1])}"
        return f"Series({self.name}: {len(self.values)} values in {self.unit}, {years})"


def load_sunspots() -> Series:
    """Return the mean number of sunspots of each year from 1700 to 2008.

    The number rises and falls in cycles of about 11 years. It is the series for which
    autoregression was invented: G. U. Yule, "On a Method of Investigating Periodicities in
    Disturbed Series", Philosophical Transactions of the Royal Society A 226, 1927.

    Returns
    -------
    Series
        309 values, none of them missing.

    Raises
    ------
    ModuleNotFoundError
        If statsmodels, which ships the numbers, is not installed.

    References
    ----------
    The data set ``sunspots`` of statsmodels (S. Seabold and J. Perktold, SciPy 2010), from the
    National Geophysical Data Center.

    Examples
    --------
    >>> load_sunspots()
    Series(sunspots: 309 values in sunspots, 1700-2008)
    """
    from statsmodels.datasets import sunspots

    table = sunspots.load_pandas().data
    return Series(
        time=table["YEAR"].to_numpy(dtype=np.float64, copy=True),
        values=table["SUNACTIVITY"].to_numpy(dtype=np.float64, copy=True),
        name="sunspots",
        unit="sunspots",
        source="National Geophysical Data Center; the data set sunspots of statsmodels",
    )


def load_co2() -> Series:
    """Return the carbon dioxide in the air over Mauna Loa, month by month from 1958 to 2001.

    The weekly measurements are averaged over each month from March 1958 to December 2001. Five
    months have no measurement (June and October 1958, February to April 1964): they are filled by
    a straight line between their neighbours.

    Returns
    -------
    Series
        526 values in parts per million, of which 5 are filled in.

    Raises
    ------
    ModuleNotFoundError
        If statsmodels, which ships the numbers, is not installed.

    References
    ----------
    C. D. Keeling and T. P. Whorf, "Atmospheric CO2 Concentrations Derived from Flask Air Samples
    at Sites in the SIO Network", Oak Ridge National Laboratory, 2004: the data set ``co2`` of
    statsmodels (S. Seabold and J. Perktold, SciPy 2010).

    Examples
    --------
    >>> series = load_co2()
    >>> series
    Series(CO2 at Mauna Loa: 526 values in ppm, 1958-2001)
    >>> series.filled
    5
    """
    from statsmodels.datasets import co2

    monthly = co2.load_pandas().data["co2"].resample("MS").mean()
    years, months = monthly.index.year.to_numpy(), monthly.index.month.to_numpy()
    values = monthly.to_numpy(dtype=np.float64, copy=True)
    missing, steps = np.isnan(values), np.arange(len(values))
    values[missing] = np.interp(steps[missing], steps[~missing], values[~missing])
    return Series(
        time=years + (months - 0.5) / 12,
        values=values,
        name="CO2 at Mauna Loa",
        unit="ppm",
        source="Keeling and Whorf (2004); the data set co2 of statsmodels",
        filled=int(missing.sum()),
    )
