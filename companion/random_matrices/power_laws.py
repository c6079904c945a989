r"""Power-law tails: fitted, tested, and held against tails of other kinds.

A density that falls as :math:`x^{-\alpha}` from some value on is often read off a
straight line in a logarithmic plot, which many other densities show as well over
a short range. The functions here fit by maximum likelihood, choose where the tail
begins, and say how well the data bear the hypothesis. They take the values as
independent draws. Eigenvalues are not, see :func:`goodness_of_fit`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import erfc, erfcx, log_ndtr
from scipy.stats import chi2, pareto

from companion._validation import FloatArray, Seed, choice, float_array, generator, integer, real

#: Tails that :func:`compare_tails` knows beside the power law.
ALTERNATIVES = ("exponential", "lognormal")

# Candidates for the minimum times values: what a scan holds in memory at once.
_BLOCK = 20_000
# A normal density cut off this many standard deviations above its mean is exponential but for
# one part in a few thousand; cut off that many below its mean it is not cut at all.
_FARTHEST, _NEAREST = 100.0, -40.0


@dataclass(frozen=True)
class PowerLawFit:
    r"""A power law fitted to the largest of a list of values.

    Attributes
    ----------
    alpha : float
        Exponent of the density, which falls as :math:`x^{-\alpha}`; above 1.
    minimum : float
        Where the tail begins.
    standard_error : float
        That of `alpha` for a given minimum, :math:`(\alpha - 1)/\sqrt m`. It leaves
        out that the minimum was chosen.
    tail : int
        Number :math:`m` of values from the minimum on.
    distance : float
        Largest difference between the distribution function of those values and
        the fitted one, Kolmogorov and Smirnov's.
    """

    alpha: float
    minimum: float
    standard_error: float
    tail: int
    distance: float

    @property
    def law(self) -> Any:
        """The fitted law of the tail, a frozen :data:`scipy.stats.pareto`."""
        return pareto(self.alpha - 1, scale=self.minimum)


@dataclass(frozen=True)
class GoodnessOfFit:
    """Result of :func:`goodness_of_fit`.

    Attributes
    ----------
    fit : PowerLawFit
        The fit to the data.
    pvalue : float
        Probability that data with this power law in their tail are at least as far
        from their own fit. Small values speak against the power law; large ones
        do not speak for it.
    """

    fit: PowerLawFit
    pvalue: float


@dataclass(frozen=True)
class TailComparison:
    """Result of :func:`compare_tails`.

    Attributes
    ----------
    ratio : float
        Log-likelihood of the power law less that of the alternative, in nats.
        Negative values favour the alternative.
    statistic : float
        `ratio` over its estimated standard deviation, Vuong's statistic.
    pvalue : float
        Probability of a ratio as far from zero if both tails fit equally well
        (exponential), or as far below zero if the power law is right (lognormal).
    parameters : tuple of float
        Rate of the exponential; or mean and standard deviation of the logarithm of
        the lognormal, which are infinite if the power law is its best case.
    """

    ratio: float
    statistic: float
    pvalue: float
    parameters: tuple[float, ...]


def fit_power_law(
    values: ArrayLike, *, minimum: float | None = None, min_tail: int = 10
) -> PowerLawFit:
    r"""Fit a power law to the tail of a list of values.

    Implements :eq:`eq-power-law-mle`, the exponent of largest likelihood for a
    given minimum, which is Hill's estimate. Without a given minimum it tries each
    of the values, and keeps the one for which the fitted law is closest to the
    values from there on.

    Parameters
    ----------
    values : array_like, shape (n,)
        Positive numbers in any order, such as the squared singular values of a
        matrix of weights.
    minimum : float, optional
        Where the tail begins, if that is known.
    min_tail : int, default 10
        Fewest values that a tail may hold, at least 2. It keeps the search from
        ending at a handful of values, which any law would fit.

    Returns
    -------
    PowerLawFit
        Exponent, minimum, standard error, number of values, distance.

    Raises
    ------
    ValueError
        If a value is not positive or not finite, or fewer than `min_tail` values,
        or only equal ones, are left for the tail.

    References
    ----------
    Hill, A Simple General Approach to Inference About the Tail of a Distribution,
    Annals of Statistics 3 (1975); Clauset, Shalizi & Newman, Power-Law
    Distributions in Empirical Data, SIAM Review 51 (2009).

    Examples
    --------
    >>> draws = np.random.default_rng(0).pareto(1.5, size=2000) + 1.0
    >>> fit = fit_power_law(draws, minimum=1.0)
    >>> round(fit.alpha, 1), round(fit.standard_error, 2), fit.tail
    (2.5, 0.03, 2000)
    """
    logs, start, least = _checked(values, minimum, min_tail)
    return _fit(logs, start, least)


def hill_estimates(values: ArrayLike) -> FloatArray:
    r"""Return the exponent for each possible size of the tail.

    Where the tail is a power law, the estimates stay the same over a range of
    sizes, up to their standard errors :math:`(\alpha - 1)/\sqrt m`.

    Parameters
    ----------
    values : array_like, shape (n,)
        Positive numbers in any order, at least two; the largest ones must differ.

    Returns
    -------
    ndarray, shape (n - 1,)
        :math:`\alpha` of :eq:`eq-power-law-mle` for tails of the 2, 3, ..., n
        largest values, the smallest of which is the minimum.

    Raises
    ------
    ValueError
        If a value is not positive or not finite, or the two largest are equal.

    References
    ----------
    Hill, Annals of Statistics 3 (1975).

    Examples
    --------
    >>> hill_estimates([1.0, np.e, np.e**2]).round(3)
    array([3., 2.])
    """
    logs, _, _ = _checked(values, None, 2)
    if logs[-1] == logs[-2]:
        raise ValueError("values must have two different largest ones")
    return np.asarray(1 + _rates(logs)[-2::-1])


def goodness_of_fit(
    values: ArrayLike,
    *,
    rng: Seed,
    repeats: int = 200,
    minimum: float | None = None,
    min_tail: int = 10,
) -> GoodnessOfFit:
    r"""Test whether the tail of a list of values is a power law.

    The distance of :func:`fit_power_law` has no fixed law, because exponent and
    minimum were fitted to the same values. So the test draws data that do have
    such a tail: a value lies beyond the minimum with the share that the data
    have there, and then follows the fitted law; otherwise it is one of the data
    below the minimum. Each list is fitted anew, with its own minimum. The p-value
    is the share of lists with a distance at least as large, the data counted
    among them.

    The values count as independent. Neighbouring eigenvalues repel, and come
    closer to the law that they do follow than independent values would, so a large
    p-value of a spectrum means less than it seems to. And with a free minimum the
    last few of almost any values pass, with a large exponent: look at both.

    Parameters
    ----------
    values, minimum, min_tail
        As for :func:`fit_power_law`. With a given minimum only the tail is drawn.
    rng : numpy.random.Generator or int
        Source of randomness, or a seed for one.
    repeats : int, default 200
        Lists to draw. The standard error of the p-value is at most
        :math:`1/(2 \sqrt{\text{repeats}})`.

    Returns
    -------
    GoodnessOfFit
        The fit and the p-value. Clauset, Shalizi and Newman drop the hypothesis
        at 0.1 or less.

    Raises
    ------
    ValueError
        As :func:`fit_power_law` does, or if `repeats` is below 1.

    References
    ----------
    Clauset, Shalizi & Newman, SIAM Review 51 (2009), section 4.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> goodness_of_fit(rng.pareto(1.5, size=300) + 1.0, rng=1).pvalue > 0.1
    True
    >>> goodness_of_fit(rng.random(300) + 1.0, rng=1, minimum=1.0).pvalue < 0.1
    True
    """
    logs, start, least = _checked(values, minimum, min_tail)
    source, count = generator("rng", rng), integer("repeats", repeats)
    fit = _fit(logs, start, least)
    body = logs[: logs.size - fit.tail] if start is None else logs[:0]
    size, share = body.size + fit.tail, fit.tail / (body.size + fit.tail)
    reached = 1
    for _ in range(count):
        # One draw beyond the minimum at least, so that there is something to fit.
        tail = max(1, int(source.binomial(size, share)))
        beyond = math.log(fit.minimum) + source.exponential(1 / (fit.alpha - 1), size=tail)
        below = source.choice(body, size=size - tail) if tail < size else body[:0]
        drawn = _fit(np.sort(np.concatenate([below, beyond])), start, least)
        reached += drawn.distance >= fit.distance
    return GoodnessOfFit(fit, reached / (count + 1))


def compare_tails(
    values: ArrayLike,
    alternative: str,
    *,
    minimum: float | None = None,
    min_tail: int = 10,
) -> TailComparison:
    r"""Compare a power-law tail with an exponential or a lognormal one.

    Both laws are fitted by maximum likelihood to the values beyond the minimum of
    :func:`fit_power_law`, the alternative cut off at the same place, and the
    log-likelihoods are subtracted.

    The exponential tail is a law of another family, and the p-value is Vuong's,
    two-sided. A lognormal tail includes the power law as a limit: in
    :math:`y = \log(x / x_{\min})` the first has the density
    :math:`\propto e^{-a y - b y^2}` with :math:`b \ge 0`, the second the same with
    :math:`b = 0`. So the ratio is never positive, Vuong's law does not apply, and
    under the power law minus twice the ratio is zero in half of the cases and
    follows :math:`\chi^2_1` in the others, for many values and a given minimum.
    The best lognormal is a power law if the standard deviation of :math:`y` is not
    less than its mean (del Castillo 1994).

    Parameters
    ----------
    values, minimum, min_tail
        As for :func:`fit_power_law`.
    alternative : {"exponential", "lognormal"}
        The other tail.

    Returns
    -------
    TailComparison
        Log-likelihood ratio, statistic, p-value and what was fitted.

    Raises
    ------
    ValueError
        As :func:`fit_power_law` does, or if `alternative` is unknown.

    References
    ----------
    Vuong, Likelihood Ratio Tests for Model Selection and Non-Nested Hypotheses,
    Econometrica 57 (1989); del Castillo, The Singly Truncated Normal Distribution:
    A Non-Steep Exponential Family, Annals of the Institute of Statistical
    Mathematics 46 (1994); Malevergne, Pisarenko & Sornette, Testing the Pareto
    against the lognormal distributions, Physical Review E 83 (2011).

    Examples
    --------
    >>> draws = np.random.default_rng(0).exponential(size=300) + 1.0
    >>> compare_tails(draws, "exponential", minimum=1.0).ratio < 0
    True
    """
    logs, start, least = _checked(values, minimum, min_tail)
    choice("alternative", alternative, ALTERNATIVES)
    fit = _fit(logs, start, least)
    y = np.maximum(logs[logs.size - fit.tail :] - math.log(fit.minimum), 0.0)
    # All densities are those of y: the factor 1/x of the change of variables cancels.
    rate = fit.alpha - 1
    power = math.log(rate) - rate * y
    if alternative == "exponential":
        beyond = np.expm1(y)
        other = y - beyond / beyond.mean() - math.log(beyond.mean())
        parameters: tuple[float, ...] = (1 / (fit.minimum * float(beyond.mean())),)
    else:
        mean, deviation = _half_normal(y)
        parameters = (math.log(fit.minimum) + mean, deviation)
        other = power if math.isinf(deviation) else _log_truncated_normal(y, mean, deviation)
    difference = power - other
    ratio, scale = float(difference.sum()), float(difference.std()) * math.sqrt(y.size)
    statistic = ratio / scale if scale else 0.0
    if alternative == "exponential":
        pvalue = float(erfc(abs(statistic) / math.sqrt(2)))
    else:
        pvalue = float(chi2.sf(-2 * ratio, 1) / 2) if ratio < 0 else 1.0
    return TailComparison(ratio, statistic, pvalue, parameters)


def _checked(
    values: ArrayLike, minimum: float | None, min_tail: int
) -> tuple[FloatArray, float | None, int]:
    """Return the sorted logarithms, that of the minimum, and the fewest values of a tail."""
    x = np.sort(float_array("values", values, ndim=1, finite=True).astype(np.float64))
    least = integer("min_tail", min_tail, minimum=2)
    if x.size and x[0] <= 0:
        raise ValueError(f"values must be positive, got {x[0]:g}")
    if minimum is not None:
        low = real("minimum", minimum, minimum=0.0, open_minimum=True)
        x = x[x >= low]
    if x.size < least:
        raise ValueError(f"the tail must hold at least min_tail = {least} values, got {x.size}")
    logs = np.log(x)
    if logs[0] == logs[-1]:
        raise ValueError(f"the values of the tail must differ, got {x.size} times {x[0]:g}")
    return logs, None if minimum is None else math.log(low), least


def _rates(logs: FloatArray) -> FloatArray:
    """Return alpha - 1 for the tail from each value on; zero where all of it is equal."""
    counts = np.arange(logs.size, 0, -1)
    # Down from the largest, so that the sum over equal largest ones is exactly zero.
    depth = logs[-1] - logs
    sums = counts * depth - np.cumsum(depth[::-1])[::-1]
    rates: FloatArray = np.divide(counts, sums, out=np.zeros(logs.size), where=sums > 0)
    return rates


def _fit(logs: FloatArray, start: float | None, least: int) -> PowerLawFit:
    """Fit to sorted logarithms, from `start` on or from the best of the values."""
    if start is not None:
        y = logs - start
        rate = 1 / float(y.mean())
        return _described(rate, start, y.size, float(_distances(y[None], np.array([rate]))[0]))
    rates = _rates(logs)
    # Of equal values only the first begins a tail that holds all of them.
    begins = np.flatnonzero(np.concatenate([[True], np.diff(logs) > 0]) & (rates > 0))
    begins = begins[begins <= logs.size - least]
    rows = max(1, _BLOCK // logs.size)
    distances = np.concatenate(
        [
            _distances(logs[block[0] :] - logs[block, None], rates[block])
            for block in (begins[k : k + rows] for k in range(0, begins.size, rows))
        ]
    )
    best = int(np.argmin(distances))
    first = int(begins[best])
    return _described(
        float(rates[first]), float(logs[first]), logs.size - first, float(distances[best])
    )


def _described(rate: float, start: float, tail: int, distance: float) -> PowerLawFit:
    return PowerLawFit(1 + rate, math.exp(start), rate / math.sqrt(tail), tail, distance)


def _distances(y: FloatArray, rates: FloatArray) -> FloatArray:
    """Return Kolmogorov's distance of each row's values from 0 on to an exponential law."""
    inside = y >= 0
    below = np.argmax(inside, axis=1)[:, None]
    half = 0.5 / (y.shape[1] - below)
    # Of the two ends of a step the one farther away is half a step beyond its middle.
    middle = (2 * (np.arange(y.shape[1]) - below) + 1) * half
    fitted = -np.expm1(-rates[:, None] * np.where(inside, y, 0.0))
    return np.asarray(np.max(np.abs(middle - fitted) * inside, axis=1) + half[:, 0])


def _half_normal(y: FloatArray) -> tuple[float, float]:
    """Return mean and standard deviation of the normal density, cut off at 0, that fits best."""
    first, second, spread = float(y.mean()), float(np.mean(y * y)), float(y.std())
    if first > -_NEAREST * spread:
        return first, spread

    def excess(h: float) -> float:
        # With the cut h standard deviations above the mean: the second moment over the first's
        # square rises with h from 1 to 2, the value of an exponential density.
        beyond = _hazard(h) - h
        return (1 - h * beyond) / beyond**2 - second / first**2

    if excess(_FARTHEST) <= 0:
        return -math.inf, math.inf
    h = float(brentq(excess, _NEAREST - 1, _FARTHEST, xtol=1e-12, rtol=1e-14))
    deviation = first / (_hazard(h) - h)
    return -h * deviation, deviation


def _hazard(h: float) -> float:
    return math.sqrt(2 / math.pi) / float(erfcx(h / math.sqrt(2)))


def _log_truncated_normal(y: FloatArray, mean: float, deviation: float) -> FloatArray:
    z = (y - mean) / deviation
    normal = -0.5 * z * z - math.log(deviation * math.sqrt(2 * math.pi))
    return np.asarray(normal - log_ndtr(mean / deviation))
