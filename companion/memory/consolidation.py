"""A fast notebook that keeps examples, and a slow student that learns from their replay."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from companion._validation import FloatArray, IntArray, Seed, float_array, generator, integer, real
from companion.random_matrices import MarchenkoPastur


class Teacher:
    r"""A linear rule with noise: the world that examples come from.

    Implements :eq:`eq-consolidation-teacher`,
    :math:`y = \bar w \cdot x + \varepsilon`. Inputs have independent normal
    entries of variance :math:`1/N`, so that :math:`\bar w \cdot x` varies as
    much as an entry of :math:`\bar w`. The variance of :math:`y` is split between
    rule and noise by the signal-to-noise ratio :math:`s`.

    Parameters
    ----------
    units : int
        :math:`N`, the number of inputs.
    snr : float
        :math:`s`, positive: variance of the rule over variance of the noise.
        Infinity means no noise.
    variance : float, default 1
        Variance of :math:`y`.
    rng : Generator or int
        For the weights.

    Attributes
    ----------
    weight : ndarray, shape (units,)
        :math:`\bar w`, independent normal entries.
    noise_variance : float

    Raises
    ------
    ValueError
        If `units` is below 1, or `snr` or `variance` is not positive.

    References
    ----------
    Sun, Advani, Spruston, Saxe and Fitzgerald, "Organizing memories for
    generalization in complementary learning systems", Nature Neuroscience 26,
    2023.

    Examples
    --------
    >>> teacher = Teacher(50, snr=4.0, rng=0)
    >>> x, y = teacher.examples(30, rng=1)
    >>> x.shape, y.shape, round(teacher.noise_variance, 3)
    ((30, 50), (30,), 0.2)
    >>> round(float(teacher.error(teacher.weight)), 3)
    0.2
    """

    def __init__(self, units: int, snr: float, *, variance: float = 1.0, rng: Seed) -> None:
        self.units = integer("units", units)
        signal, self.noise_variance = _variances(snr, variance)
        self.weight: FloatArray = generator("rng", rng).normal(scale=math.sqrt(signal), size=units)

    def examples(self, n: int, *, rng: Seed) -> tuple[FloatArray, FloatArray]:
        """Draw examples.

        Parameters
        ----------
        n : int
            Number of examples.
        rng : Generator or int

        Returns
        -------
        x : ndarray, shape (n, units)
        y : ndarray, shape (n,)
        """
        shape = integer("n", n), self.units
        random = generator("rng", rng)
        x = random.normal(scale=1 / math.sqrt(self.units), size=shape)
        noise = random.normal(scale=math.sqrt(self.noise_variance), size=n)
        return x, x @ self.weight + noise

    def error(self, weight: ArrayLike) -> FloatArray:
        r"""Return the expected squared error of a student on new examples.

        It is exact: :math:`\sigma_\varepsilon^2 + \lVert w - \bar w \rVert^2 / N`.

        Parameters
        ----------
        weight : array_like, shape (..., units)
            Weights of one or more students.

        Returns
        -------
        ndarray, shape (...)

        Raises
        ------
        ValueError
            If the last axis is not ``units`` long.
        """
        w = float_array("weight", weight, min_ndim=1)
        if w.shape[-1] != self.units:
            raise ValueError(f"weight must have shape (..., {self.units}), got {w.shape}")
        gap = w - self.weight
        return np.asarray(self.noise_variance + (gap * gap).mean(axis=-1))


def consolidate(x: ArrayLike, y: ArrayLike, times: ArrayLike) -> FloatArray:
    r"""Return the weights of a linear student while a notebook replays examples to it.

    Implements :eq:`eq-consolidation-flow`. The student starts from zero and
    follows the gradient of half the summed squared error, in steps too small to
    see. With :math:`X = U S V^\top` its weights at time :math:`t` are
    :math:`\sum_i (1 - e^{-\sigma_i^2 t}) \, \sigma_i^{-1} (u_i \cdot y) \, v_i`, so
    no step has to be taken. At time infinity they are the pseudo-inverse's.

    Parameters
    ----------
    x : array_like, shape (P, N)
        Inputs that the notebook keeps, one a row.
    y : array_like, shape (P,)
        Their outputs.
    times : array_like, shape (...)
        Consolidation times, zero or more; infinity is allowed.

    Returns
    -------
    ndarray, shape (..., N)
        One row of weights for each time.

    Raises
    ------
    ValueError
        If shapes do not fit, or a time is negative or NaN.

    References
    ----------
    Advani, Saxe and Sompolinsky, "High-dimensional dynamics of generalization
    error in neural networks", Neural Networks 132, 2020.

    Examples
    --------
    One example and one input: the weight nears the quotient 3 / 2.

    >>> consolidate([[2.0]], [3.0], [0.0, 0.1, np.inf]).round(3)
    array([[0.   ],
           [0.495],
           [1.5  ]])
    """
    inputs = float_array("x", x, ndim=2, finite=True)
    targets = float_array("y", y, shape=(len(inputs),), finite=True)
    t = _times("times", times)
    U, s, Vt = np.linalg.svd(inputs, full_matrices=False)
    # The threshold of numpy.linalg.matrix_rank: below it a value is rounding.
    known = s > s.max(initial=0.0) * max(inputs.shape) * np.finfo(s.dtype).eps
    scores = (targets @ U)[known] / s[known]
    progress = -np.expm1(-(s[known] ** 2) * t[..., None])
    return np.asarray((progress * scores) @ Vt[known], dtype=np.result_type(inputs, targets))


def generalisation_error(
    time: ArrayLike, load: float, snr: float, *, variance: float = 1.0
) -> FloatArray:
    r"""Return the error on new examples after some time of consolidation.

    Implements :eq:`eq-consolidation-generalisation`: the mean over teachers and
    noise is exact for given eigenvalues of :math:`X^\top X`, and these follow
    the Marchenko-Pastur law as the student grows.

    Parameters
    ----------
    time : array_like
        Consolidation times of any shape, zero or more; infinity is allowed.
    load : float
        :math:`\alpha = P/N`, positive: examples per weight.
    snr : float
        Signal-to-noise ratio of the teacher, positive; infinity is allowed.
    variance : float, default 1
        Variance of :math:`y`.

    Returns
    -------
    ndarray
        Mean squared errors, of the shape of `time`. Infinite for an infinite
        time at load 1 if there is noise.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    References
    ----------
    Advani, Saxe and Sompolinsky, "High-dimensional dynamics of generalization
    error in neural networks", Neural Networks 132, 2020.

    Examples
    --------
    >>> generalisation_error([0.0, 1.0, np.inf], load=0.5, snr=1.0).round(3)
    array([1.  , 0.898, 1.25 ])
    """
    t, alpha, (signal, noise) = _checked(time, load, snr, variance)
    law = _weight_spectrum(alpha)

    def at(moment: float) -> float:
        if math.isinf(moment):
            return _after_full_consolidation(alpha, signal, noise)
        forgotten = law.expect(lambda x: np.exp(-2 * x * moment))
        return noise + signal * forgotten + noise * law.expect(lambda x: _overfit(x, moment))

    return _each(at, t)


def training_error(
    time: ArrayLike, load: float, snr: float, *, variance: float = 1.0
) -> FloatArray:
    r"""Return the student's error on the replayed examples after some time.

    Implements :eq:`eq-consolidation-training`. It is what the student recalls
    of the examples without the notebook.

    Parameters
    ----------
    time : array_like
        Consolidation times of any shape, zero or more; infinity is allowed.
    load : float
        :math:`\alpha = P/N`, positive: examples per weight.
    snr : float
        Signal-to-noise ratio of the teacher, positive; infinity is allowed.
    variance : float, default 1
        Variance of :math:`y`.

    Returns
    -------
    ndarray
        Mean squared errors, of the shape of `time`.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    Fewer examples than weights are learned by heart, noise included.

    >>> training_error([0.0, 1.0, np.inf], load=0.5, snr=1.0).round(3)
    array([1.   , 0.193, 0.   ])
    >>> float(training_error(np.inf, load=2.0, snr=1.0))
    0.25
    """
    t, alpha, (signal, noise) = _checked(time, load, snr, variance)
    law = MarchenkoPastur(aspect=alpha)  # of the P eigenvalues of X X^T

    def at(moment: float) -> float:
        if math.isinf(moment):
            return noise * law.atom
        return law.expect(lambda x: np.exp(-2 * x * moment) * (x * signal + noise))

    return _each(at, t)


def consolidation_threshold(load: ArrayLike) -> FloatArray:
    r"""Return the signal-to-noise ratio below which full consolidation is worse than none.

    Implements :eq:`eq-consolidation-threshold`, :math:`1 / \lvert 1 - \alpha \rvert`.

    Parameters
    ----------
    load : array_like
        :math:`\alpha = P/N`, positive, of any shape.

    Returns
    -------
    ndarray
        Of the same shape; infinite at load 1.

    Raises
    ------
    ValueError
        If a load is not positive.

    Examples
    --------
    >>> consolidation_threshold([0.5, 1.0, 2.0, 3.0])
    array([2. , inf, 1. , 0.5])
    """
    alpha = float_array("load", load, finite=True)
    if not (alpha > 0).all():
        raise ValueError(f"load must be positive, got {alpha.min()}")
    with np.errstate(divide="ignore"):
        return np.asarray(1 / np.abs(1 - alpha))


def mode_stopping_time(eigenvalue: ArrayLike, snr: float) -> FloatArray:
    r"""Return the time at which one mode of the student generalises best.

    Implements :eq:`eq-consolidation-mode`, :math:`\ln(1 + \lambda s) / \lambda`.

    Parameters
    ----------
    eigenvalue : array_like
        :math:`\lambda` of :math:`X^\top X`, positive, of any shape.
    snr : float
        Signal-to-noise ratio :math:`s`, positive; infinity is allowed.

    Returns
    -------
    ndarray
        Times, of the same shape.

    Raises
    ------
    ValueError
        If an eigenvalue or `snr` is not positive.

    Examples
    --------
    >>> mode_stopping_time([0.01, 1.0, 4.0], snr=1.0).round(3)
    array([0.995, 0.693, 0.402])
    """
    x = float_array("eigenvalue", eigenvalue, finite=True)
    if not (x > 0).all():
        raise ValueError(f"eigenvalue must be positive, got {x.min()}")
    return np.asarray(np.log1p(x * _snr(snr)) / x)


def best_stopping_time(load: float, snr: float) -> float:
    r"""Return the time at which the mean error on new examples is smallest.

    The best time of each mode, :func:`mode_stopping_time`, falls with its
    eigenvalue and stays below :math:`s`. The best time for all lies between that
    of the largest eigenvalue and :math:`s`; there it is searched.

    Parameters
    ----------
    load : float
        :math:`\alpha = P/N`, positive.
    snr : float
        Signal-to-noise ratio :math:`s`, positive; infinity gives infinity.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> round(best_stopping_time(1.0, 1.0), 3), best_stopping_time(1.0, math.inf)
    (0.681, inf)
    """
    law = _weight_spectrum(_load(load))
    if math.isinf(_snr(snr)):
        return math.inf
    earliest = float(mode_stopping_time(law.support[1], snr))
    grid = np.geomspace(earliest, snr, 100)
    best = int(np.argmin(generalisation_error(grid, load, snr)))
    found = minimize_scalar(
        lambda u: float(generalisation_error(math.exp(u), load, snr)),
        bounds=(math.log(grid[max(best - 1, 0)]), math.log(grid[min(best + 1, 99)])),
        method="bounded",
        options={"xatol": 1e-8},
    )
    return float(math.exp(found.x))


def ridge_error(load: float, snr: float, *, variance: float = 1.0) -> float:
    r"""Return the error on new examples of ridge regression with the best penalty.

    Implements :eq:`eq-consolidation-ridge`. The penalty :math:`1/s` shrinks every
    mode by just as much as is best for it; no linear student does better.

    Parameters
    ----------
    load : float
        :math:`\alpha = P/N`, positive.
    snr : float
        Signal-to-noise ratio :math:`s`, positive; infinity is allowed.
    variance : float, default 1
        Variance of :math:`y`.

    Returns
    -------
    float
        Mean squared error.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> round(ridge_error(1.0, 1.0), 4)
    0.809
    """
    alpha, ratio = _load(load), _snr(snr)
    signal, noise = _variances(snr, variance)
    law = _weight_spectrum(alpha)
    if math.isinf(ratio):
        return signal * law.atom
    return noise + signal * law.expect(lambda x: 1 / (1 + ratio * x))


@dataclass(frozen=True)
class Reactivation:
    """What a notebook has settled on.

    Attributes
    ----------
    states : ndarray, shape (n, units)
        Final states, ones and zeros.
    match : ndarray of int, shape (n,)
        Number of the stored index that a state agrees with, or -1.
    settled : ndarray of bool, shape (n,)
        Whether a state stays as it is.
    """

    states: FloatArray
    match: IntArray
    settled: np.ndarray


class Notebook:
    r"""A sparse Hopfield network that keeps examples under random index patterns.

    Implements :eq:`eq-consolidation-notebook`. Each example gets a random index
    :math:`\xi^\mu` in which :math:`k` of :math:`M` units are active. Hebbian
    weights hold the indices, others bind each index to its example. All are
    sums over examples: each is seen once. The units settle by a competition that
    keeps the :math:`k` with the strongest input active.

    Parameters
    ----------
    values : array_like, shape (P, features)
        Examples to store, one a row.
    units : int
        :math:`M`.
    active : int
        :math:`k`, from 1 to ``units - 1``.
    rng : Generator or int
        For the indices.

    Attributes
    ----------
    index : ndarray, shape (P, units)
        Index patterns, ones and zeros.
    readout : ndarray, shape (units, features)
        Weights that bind indices to examples.

    Raises
    ------
    ValueError
        If there are no examples, or sizes do not fit.

    References
    ----------
    Sun, Advani, Spruston, Saxe and Fitzgerald, "Organizing memories for
    generalization in complementary learning systems", Nature Neuroscience 26,
    2023. Their notebook has a second stage with a fixed threshold, which this
    one leaves out.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal(size=(10, 4))
    >>> notebook = Notebook(values, units=400, active=20, rng=0)
    >>> dreams = notebook.reactivate(200, rng=1)
    >>> len(set(dreams.match[dreams.match >= 0]))
    10
    """

    def __init__(self, values: ArrayLike, *, units: int, active: int, rng: Seed) -> None:
        stored = float_array("values", values, ndim=2, finite=True)
        if not stored.size:
            raise ValueError(f"values must hold an example and a feature, got {stored.shape}")
        self.units, self.active = integer("units", units, minimum=2), integer("active", active)
        if self.active >= self.units:
            raise ValueError(f"active must be below units = {self.units}, got {self.active}")
        random = generator("rng", rng)
        order = random.random((len(stored), self.units), dtype=np.float32)
        self.index: FloatArray = self._winners(order).astype(stored.dtype)
        share = self.active / self.units
        self._centred = (self.index - share).astype(stored.dtype)
        self._norm = self.units * share * (1 - share)
        self.readout: FloatArray = self._centred.T @ stored / self._norm

    @property
    def weight(self) -> FloatArray:
        """Recurrent weights, shape (units, units), symmetric with a zero diagonal."""
        weight = self._centred.T @ self._centred / self._norm
        np.fill_diagonal(weight, 0.0)
        return np.asarray(weight)

    def _winners(self, drive: FloatArray) -> FloatArray:
        """Return states, shape (n, units), in which the most driven units are active."""
        best = np.argpartition(-drive, self.active - 1, axis=1)[:, : self.active]
        states = np.zeros_like(drive)
        np.put_along_axis(states, best, 1.0, axis=1)
        return states

    def settle(self, states: ArrayLike, *, steps: int = 30) -> Reactivation:
        """Let states run until they stay as they are.

        Among inputs that are equal, up to a grain of a quarter of the root of the machine
        precision, a unit that is active already wins.

        Parameters
        ----------
        states : array_like, shape (n, units)
            Where to begin, one a row.
        steps : int, default 30
            At most so many updates of all units.

        Returns
        -------
        Reactivation

        Raises
        ------
        ValueError
            If the states are not ``units`` long.
        """
        s = float_array("states", states, shape=(None, self.units), finite=True)
        diagonal = (self._centred * self._centred).sum(axis=0)
        # The winners must not depend on how the processor rounds. So inputs are counted in grains,
        # which are coarser than rounding: among equals what is active stays so, then the place
        # decides. In float32 a grain can hide small differences that are real.
        grain = math.sqrt(np.finfo(s.dtype).eps) / 4
        place = np.arange(self.units) / (4 * self.units)
        settled = np.zeros(len(s), dtype=bool)
        for _ in range(integer("steps", steps)):
            # The product with the weights in two thinner ones, less the diagonal's part.
            drive = (s @ self._centred.T) @ self._centred - s * diagonal
            ranks = np.rint(drive.astype(np.float64) / grain) + 0.5 * s + place
            new = self._winners(ranks).astype(s.dtype)
            settled = (new == s).all(axis=1)
            s = new
            if settled.all():
                break
        agree = s @ self._centred.T / self._norm
        match = np.where(agree.max(axis=1) > 0.9, agree.argmax(axis=1), -1)
        return Reactivation(s, match, settled)

    def reactivate(self, n: int, *, rng: Seed) -> Reactivation:
        """Start from random activity and let it settle, as in sleep.

        Parameters
        ----------
        n : int
            How often.
        rng : Generator or int

        Returns
        -------
        Reactivation
        """
        shape = integer("n", n), self.units
        noise = generator("rng", rng).random(shape, dtype=np.float32)
        return self.settle(self._winners(noise).astype(self.index.dtype))

    def recall(self, cue: ArrayLike, known: Sequence[int] | slice) -> FloatArray:
        """Complete examples of which some features are known.

        Parameters
        ----------
        cue : array_like, shape (n, number of known features)
        known : slice or sequence of int
            Which features those are.

        Returns
        -------
        ndarray, shape (n, features)

        Raises
        ------
        ValueError
            If the cue has not as many columns as there are known features.
        """
        keys = self.readout[:, known]
        given = float_array("cue", cue, shape=(None, keys.shape[1]), finite=True)
        return self.read(self.settle(self._winners(given @ keys.T)).states)

    def read(self, states: ArrayLike) -> FloatArray:
        """Return what states stand for.

        Parameters
        ----------
        states : array_like, shape (n, units)

        Returns
        -------
        ndarray, shape (n, features)
            For a stored index the example, and of every other example a small
            random share, of variance :math:`1 / (M - 1)`.

        Raises
        ------
        ValueError
            If the states are not ``units`` long.
        """
        s = float_array("states", states, shape=(None, self.units), finite=True)
        return np.asarray(s @ self.readout)


def _weight_spectrum(load: float) -> MarchenkoPastur:
    """Return the law of the N eigenvalues of X^T X."""
    return MarchenkoPastur(aspect=1 / load, variance=load)


def _after_full_consolidation(load: float, signal: float, noise: float) -> float:
    unseen = signal * max(0.0, 1 - load)
    if noise == 0:
        return unseen
    return noise + unseen + (noise * min(load, 1.0) / abs(1 - load) if load != 1 else math.inf)


def _overfit(x: FloatArray, time: float) -> FloatArray:
    """Return (1 - exp(-x t))^2 / x, which is zero at zero."""
    positive = x > 0
    return np.where(positive, np.expm1(-x * time) ** 2 / np.where(positive, x, 1.0), 0.0)


def _each(function: Callable[[float], float], times: FloatArray) -> FloatArray:
    return np.asarray(np.vectorize(function, otypes=[np.float64])(times))


def _times(name: str, value: ArrayLike) -> FloatArray:
    times = float_array(name, value)
    if times.size and not (times >= 0).all():
        raise ValueError(f"{name} must not be negative or NaN, got {times.min()}")
    return times


def _snr(value: float) -> float:
    if value == math.inf:
        return math.inf
    return real("snr", value, minimum=0.0, open_minimum=True)


def _load(value: float) -> float:
    return real("load", value, minimum=0.0, open_minimum=True)


def _variances(snr: float, variance: float) -> tuple[float, float]:
    """Return the variances of the rule and of the noise."""
    ratio = _snr(snr)
    whole = real("variance", variance, minimum=0.0, open_minimum=True)
    noise = whole / (1 + ratio)
    return whole - noise, noise


def _checked(
    time: ArrayLike, load: float, snr: float, variance: float
) -> tuple[FloatArray, float, tuple[float, float]]:
    return _times("time", time), _load(load), _variances(snr, variance)
