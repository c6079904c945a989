"""Hopfield networks: rules that store patterns in a matrix, recall, theory, and what came after.

Patterns and states are rows of plus and minus ones. A matrix of weights is
symmetric with as many rows as a pattern has units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy import optimize, special

from companion._validation import (
    FloatArray,
    IntArray,
    Seed,
    choice,
    float_array,
    float_dtype,
    generator,
    integer,
    real,
)
from companion.matrices import pseudo_inverse
from companion.network.activations import softmax

MODES = ("asynchronous", "synchronous")
"""Ways to update the units, one after another or all at once."""
# A field below this many units of rounding counts as zero.
_ROUNDING = 8.0


def random_patterns(
    patterns: int, units: int, *, rng: Seed, dtype: DTypeLike = np.float64
) -> FloatArray:
    """Return patterns whose entries are plus or minus one, each with a fair coin.

    Parameters
    ----------
    patterns, units : int
        Numbers of rows and columns.
    rng : Generator or int
    dtype : float64 or float32

    Returns
    -------
    ndarray, shape (patterns, units)

    Raises
    ------
    ValueError
        If `patterns` is negative or `units` is below 1.

    Examples
    --------
    >>> random_patterns(2, 5, rng=0)
    array([[ 1.,  1.,  1., -1., -1.],
           [-1., -1., -1., -1.,  1.]])
    """
    shape = integer("patterns", patterns, minimum=0), integer("units", units)
    coins = generator("rng", rng).integers(2, size=shape)
    return np.asarray(2 * coins - 1, dtype=float_dtype("dtype", dtype))


def flip(patterns: ArrayLike, fraction: float, *, rng: Seed) -> FloatArray:
    """Return the patterns with the sign of some entries turned, as many in each row.

    Parameters
    ----------
    patterns : array_like, shape (..., N)
        Plus and minus ones.
    fraction : float in [0, 1]
        Share of the entries; of each row ``round(fraction * N)`` are turned. The
        overlap with the pattern is then ``1 - 2 * round(fraction * N) / N``.
    rng : Generator or int

    Returns
    -------
    ndarray, shape (..., N)

    Raises
    ------
    ValueError
        If `patterns` holds other numbers, or `fraction` is out of range.

    Examples
    --------
    >>> flip(np.ones((2, 5)), 0.4, rng=0)
    array([[ 1.,  1., -1., -1.,  1.],
           [ 1., -1.,  1., -1.,  1.]])
    """
    array = _signs("patterns", patterns)
    count = round(real("fraction", fraction, minimum=0.0, maximum=1.0) * array.shape[-1])
    # The places of the smallest of N random numbers are a random choice of places.
    places = generator("rng", rng).random(array.shape).argsort(axis=-1)[..., :count]
    flipped = array.copy()
    np.put_along_axis(flipped, places, -np.take_along_axis(array, places, axis=-1), axis=-1)
    return flipped


def hebbian(patterns: ArrayLike, *, diagonal: bool = False) -> FloatArray:
    r"""Return Hebb's weights: each pattern adds the products of its entries.

    Implements :eq:`eq-hebbian` (Hopfield, PNAS 79, 1982; the idea is Hebb's, 1949).

    Parameters
    ----------
    patterns : array_like, shape (P, N)
        Plus and minus ones.
    diagonal : bool, default False
        Whether to keep the weights of units to themselves, which are P/N.

    Returns
    -------
    ndarray, shape (N, N)
        Symmetric; zero if there are no patterns.

    Raises
    ------
    ValueError
        If `patterns` is not a matrix of plus and minus ones.

    Examples
    --------
    >>> hebbian([[1, 1, -1, -1], [1, -1, 1, -1]])
    array([[ 0. ,  0. ,  0. , -0.5],
           [ 0. ,  0. , -0.5,  0. ],
           [ 0. , -0.5,  0. ,  0. ],
           [-0.5,  0. ,  0. ,  0. ]])
    """
    xi = _signs("patterns", patterns, ndim=2)
    return _with_diagonal(xi.T @ xi / xi.shape[1], diagonal)


def projection(patterns: ArrayLike, *, diagonal: bool = False) -> FloatArray:
    r"""Return the weights that project on the span of the patterns: the pseudo-inverse rule.

    Implements :eq:`eq-projection` (Personnaz, Guyon & Dreyfus, J. Physique Lett. 46,
    1985; Kanter & Sompolinsky, Phys. Rev. A 35, 1987, without the diagonal).

    Parameters
    ----------
    patterns : array_like, shape (P, N)
        Plus and minus ones. They may depend on each other.
    diagonal : bool, default False
        Whether to keep the weights of units to themselves. Every pattern is a
        fixed point either way; without them its basin is larger.

    Returns
    -------
    ndarray, shape (N, N)
        Symmetric.

    Raises
    ------
    ValueError
        If `patterns` is not a matrix of plus and minus ones.

    Examples
    --------
    >>> patterns = [[1, 1, 1, -1], [1, 1, -1, -1]]
    >>> projection(patterns, diagonal=True) @ np.transpose(patterns)
    array([[ 1.,  1.],
           [ 1.,  1.],
           [ 1., -1.],
           [-1., -1.]])
    """
    xi = _signs("patterns", patterns, ndim=2)
    if not len(xi):
        return np.zeros((xi.shape[1],) * 2, dtype=xi.dtype)
    weight = pseudo_inverse(xi) @ xi
    return _with_diagonal((weight + weight.T) / 2, diagonal)


def storkey(patterns: ArrayLike) -> FloatArray:
    r"""Return the weights of Storkey's rule, which stores one pattern after another.

    Implements :eq:`eq-storkey` (Storkey, ICANN 1997). Like Hebb's rule it is local,
    since the change of a weight depends on the two units that it joins: on
    their entries and on their fields. The order of the patterns matters.

    Parameters
    ----------
    patterns : array_like, shape (P, N)
        Plus and minus ones.

    Returns
    -------
    ndarray, shape (N, N)
        Symmetric, with a diagonal of zeros.

    Raises
    ------
    ValueError
        If `patterns` is not a matrix of plus and minus ones.

    Examples
    --------
    >>> bool(np.allclose(storkey([[1, -1, 1]]), hebbian([[1, -1, 1]])))
    True
    """
    xi = _signs("patterns", patterns, ndim=2)
    units = xi.shape[1]
    weight = np.zeros((units, units), dtype=xi.dtype)
    for pattern in xi:
        # Row i, column j: the field at unit i from all units but i and j.
        field = (weight @ pattern)[:, None] - weight * pattern
        product = field * pattern
        weight = weight + (np.outer(pattern, pattern) - product - product.T) / units
        np.fill_diagonal(weight, 0.0)
    return weight


def dreaming(patterns: ArrayLike, time: float, *, diagonal: bool = False) -> FloatArray:
    r"""Return weights between Hebb's rule and the projection: the longer the sleep, the nearer.

    Implements :eq:`eq-dreaming` (Fachechi, Agliari & Barra, Neural Networks 112, 2019).

    Parameters
    ----------
    patterns : array_like, shape (P, N)
        Plus and minus ones.
    time : float >= 0
        How long the network dreams. Zero is :func:`hebbian`, infinity :func:`projection`.
    diagonal : bool, default False
        Whether to keep the weights of units to themselves.

    Returns
    -------
    ndarray, shape (N, N)
        Symmetric.

    Raises
    ------
    ValueError
        If `patterns` is not a matrix of plus and minus ones, or `time` is negative.

    Examples
    --------
    >>> patterns = [[1, 1, 1, -1], [1, 1, -1, -1]]
    >>> for time in (0.0, 1.0, np.inf):
    ...     print(dreaming(patterns, time)[0, 1].round(3))
    0.5
    0.4
    0.333
    """
    if isinstance(time, float) and np.isposinf(time):
        return projection(patterns, diagonal=diagonal)
    t = real("time", time, minimum=0.0)
    xi = _signs("patterns", patterns, ndim=2)
    count, units = xi.shape
    overlaps = xi @ xi.T / units
    kernel = np.linalg.solve(np.eye(count, dtype=xi.dtype) + t * overlaps, (1 + t) * xi)
    weight = xi.T @ kernel / units
    return _with_diagonal((weight + weight.T) / 2, diagonal)


def _with_diagonal(weight: FloatArray, keep: bool) -> FloatArray:
    if not keep:
        np.fill_diagonal(weight, 0.0)
    return weight


def overlap(patterns: ArrayLike, state: ArrayLike) -> FloatArray:
    r"""Return how far states agree with patterns: 1 for the pattern, -1 for its negative.

    Implements :eq:`eq-overlap`.

    Parameters
    ----------
    patterns : array_like, shape (P, N)
    state : array_like, shape (..., N)

    Returns
    -------
    ndarray, shape (..., P)
        The mean of the products of their entries.

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> overlap([[1, 1, -1, -1], [1, -1, 1, -1]], [1, 1, 1, -1])
    array([0.5, 0.5])
    """
    xi = float_array("patterns", patterns, shape=(None, None))
    if not xi.shape[1]:
        raise ValueError(f"patterns must have at least one column, got shape {xi.shape}")
    s = _rows("state", state, xi.shape[1])
    return np.asarray(s @ xi.T / xi.shape[1])


def energy(weight: ArrayLike, state: ArrayLike) -> FloatArray:
    r"""Return the energy of each state.

    Implements :eq:`eq-energy` (Hopfield, PNAS 79, 1982).

    Parameters
    ----------
    weight : array_like, shape (N, N)
    state : array_like, shape (..., N)

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> weight = hebbian([[1, 1, -1]])
    >>> energy(weight, [[1, 1, -1], [1, 1, 1]]).round(3)
    array([-1.   ,  0.333])
    """
    w = _square(weight)
    s = _rows("state", state, len(w))
    return np.asarray(-0.5 * ((s @ w) * s).sum(axis=-1))


@dataclass(frozen=True)
class Recall:
    """Where states ended.

    Attributes
    ----------
    state : ndarray, shape (..., N)
    sweeps : ndarray of int, shape (...)
        Sweeps until nothing changed any more; all of them if that did not happen.
    period : ndarray of int, shape (...)
        1 where the state is a fixed point, 2 where it is one of two that follow
        each other for ever, 0 where neither was seen in the sweeps that were allowed.
    """

    state: FloatArray
    sweeps: IntArray
    period: IntArray

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Whether each state is a fixed point."""
        return np.asarray(self.period == 1)


class _Drive(Protocol):
    """What pushes each unit of each state: positive towards plus one."""

    zero: FloatArray  # for each unit, what still counts as no push at all

    def refresh(self, state: FloatArray) -> None: ...

    def at(self, unit: int) -> FloatArray: ...

    def flipped(self, rows: IntArray, unit: int, change: FloatArray) -> None: ...


class _Fields:
    """Linear fields ``W s``, kept up to date as units change."""

    def __init__(self, weight: FloatArray) -> None:
        self.weight = weight
        # A tie is a tie on every machine, however its sums are rounded.
        eps = float(np.finfo(weight.dtype).eps)
        # One bound for all units: a row may hold nothing but rounding.
        self.zero = np.full(len(weight), _ROUNDING * eps * np.abs(weight).sum(axis=1).max())

    def refresh(self, state: FloatArray) -> None:
        self.fields = state @ self.weight.T

    def at(self, unit: int) -> FloatArray:
        return np.asarray(self.fields[:, unit])

    def flipped(self, rows: IntArray, unit: int, change: FloatArray) -> None:
        self.fields[rows] += change[:, None] * self.weight[:, unit]


class _Overlaps:
    """The drives of a dense memory, from the products of the states with all patterns."""

    def __init__(self, patterns: FloatArray, power: int) -> None:
        # In float64 the products and small powers of them are whole numbers, and exact.
        self.columns = np.ascontiguousarray(patterns.T, dtype=np.float64)
        self.power = power
        self.zero: FloatArray = np.zeros(len(self.columns))

    def refresh(self, state: FloatArray) -> None:
        self.state = state
        self.products = state @ self.columns

    def at(self, unit: int) -> FloatArray:
        column = self.columns[unit]
        rest = self.products - self.state[:, unit, None] * column
        up, down = _power(rest + column, self.power), _power(rest - column, self.power)
        return np.asarray((up - down).sum(axis=1))

    def flipped(self, rows: IntArray, unit: int, change: FloatArray) -> None:
        self.products[rows] += change[:, None] * self.columns[unit]


def _power(x: FloatArray, power: int) -> FloatArray:
    # NumPy's ** takes a logarithm, which costs ten times as much and is not exact.
    result = x
    for _ in range(power - 1):
        result = result * x
    return result


def recall(
    weight: ArrayLike,
    state: ArrayLike,
    *,
    mode: str = "asynchronous",
    max_sweeps: int = 100,
    temperature: float = 0.0,
    rng: Seed = 0,
) -> Recall:
    r"""Update the units until nothing changes any more.

    Implements :eq:`eq-hopfield-update`. A unit whose field is zero stays as it is.
    With a symmetric matrix and a diagonal that is not negative, asynchronous
    updates never raise the :func:`energy`, so they end in a fixed point.
    Synchronous ones may end in two states that follow each other for ever.

    Parameters
    ----------
    weight : array_like, shape (N, N)
        Row i holds the weights of what reaches unit i.
    state : array_like, shape (..., N)
        Where to start, plus and minus ones.
    mode : {"asynchronous", "synchronous"}
        One unit after another in random order, which is new for each sweep and
        the same for all states; or all units at once.
    max_sweeps : int, default 100
        In a sweep each unit is updated once.
    temperature : float, default 0.0
        Above zero a unit becomes plus one with probability
        ``1 / (1 + exp(-2 * field / temperature))``, and all sweeps are done.
    rng : Generator or int, default 0
        For the order, and for the noise at a temperature above zero.

    Returns
    -------
    Recall

    Raises
    ------
    ValueError
        If shapes do not fit, `weight` is not finite, `state` holds other numbers,
        `mode` is unknown, `max_sweeps` is below 1 or `temperature` is negative.

    Examples
    --------
    >>> patterns = random_patterns(3, 100, rng=0)
    >>> start = flip(patterns, 0.2, rng=1)
    >>> found = recall(hebbian(patterns), start)
    >>> overlap(patterns, start).diagonal(), overlap(patterns, found.state).diagonal()
    (array([0.6, 0.6, 0.6]), array([1., 1., 1.]))
    """
    w = _square(weight)
    start = _signs("state", state, units=len(w))
    choice("mode", mode, MODES)
    sweeps = integer("max_sweeps", max_sweeps)
    heat = real("temperature", temperature, minimum=0.0)
    random = generator("rng", rng)
    rows = start.reshape(-1, len(w)).astype(np.result_type(w, start))
    settle = _synchronous if mode == "synchronous" else _asynchronous
    return _shaped(settle(_Fields(w.astype(rows.dtype)), rows, sweeps, heat, random), start)


def _shaped(found: Recall, like: FloatArray) -> Recall:
    lead = like.shape[:-1]
    return Recall(
        found.state.reshape(like.shape).astype(like.dtype, copy=False),
        found.sweeps.reshape(lead),
        found.period.reshape(lead),
    )


def _asynchronous(
    drive: _Drive, state: FloatArray, max_sweeps: int, heat: float, random: np.random.Generator
) -> Recall:
    state = state.copy()
    sweeps, period = np.full(len(state), max_sweeps), np.zeros(len(state), dtype=int)
    active = np.arange(len(state))
    for sweep in range(max_sweeps):
        if not active.size:
            break
        part = state[active]
        drive.refresh(part)
        moved = np.zeros(len(part), dtype=bool)
        for unit in random.permutation(state.shape[1]):
            old = part[:, unit]
            rows = np.flatnonzero(_turns(drive.at(unit), old, drive.zero[unit], heat, random))
            if rows.size:
                change = -2 * old[rows]
                part[rows, unit] += change
                drive.flipped(rows, unit, change)
                moved[rows] = True
        state[active] = part
        if not heat:
            sweeps[active[~moved]], period[active[~moved]] = sweep, 1
            active = active[moved]
    return Recall(state, sweeps, period)


def _synchronous(
    drive: _Fields, state: FloatArray, max_sweeps: int, heat: float, random: np.random.Generator
) -> Recall:
    state = state.copy()
    sweeps, period = np.full(len(state), max_sweeps), np.zeros(len(state), dtype=int)
    active, before = np.arange(len(state)), np.zeros_like(state)
    for sweep in range(max_sweeps):
        if not active.size:
            break
        part = state[active]
        drive.refresh(part)
        new = np.where(_turns(drive.fields, part, drive.zero, heat, random), -part, part)
        if not heat:
            fixed = (new == part).all(axis=1)
            cycle = (new == before[active]).all(axis=1) & ~fixed
            done = active[fixed | cycle]
            sweeps[done], period[done] = sweep, np.where(cycle, 2, 1)[fixed | cycle]
            part, new, active = (a[~(fixed | cycle)] for a in (part, new, active))
        before[active], state[active] = part, new
    return Recall(state, sweeps, period)


def _turns(
    field: FloatArray, state: FloatArray, zero: Any, heat: float, random: np.random.Generator
) -> NDArray[np.bool_]:
    """Return where units turn: against the sign of their field, or with its probability."""
    if heat:
        chance = special.expit(-2.0 * field * state / heat)
        return np.asarray(random.random(field.shape) < chance)
    return np.asarray(field * state < -zero)


def one_step_error(load: ArrayLike) -> FloatArray:
    r"""Return the share of a stored pattern's units that turn in one step, under Hebb's rule.

    Implements :eq:`eq-one-step-error`. For random patterns, as the number of units
    goes to infinity at this load.

    Parameters
    ----------
    load : array_like
        Patterns per unit, not negative.

    Returns
    -------
    ndarray
        Of the shape of `load`.

    Raises
    ------
    ValueError
        If a load is negative or not finite.

    Examples
    --------
    >>> one_step_error([0.105, 0.138, 0.185]).round(4)
    array([0.001 , 0.0036, 0.01  ])
    """
    alpha = _loads(load)
    # At load zero the argument is infinite, and the error zero.
    argument = np.divide(
        1.0, np.sqrt(2.0 * alpha), out=np.full_like(alpha, np.inf), where=alpha > 0
    )
    return np.asarray(special.erfc(argument) / 2.0)


def critical_load() -> float:
    r"""Return the load up to which Hebb's rule has states near its patterns, about 0.138.

    It is the largest load for which :eq:`eq-mean-field` has a solution other than
    zero: a statement on infinitely many units, in the approximation of replica
    symmetry (Amit, Gutfreund & Sompolinsky, PRL 55, 1985).

    Returns
    -------
    float

    Examples
    --------
    >>> round(critical_load(), 5)
    0.13791
    """
    return _mean_field_root(_turning_point()) ** 2 / 2.0


def mean_field_overlap(load: ArrayLike) -> FloatArray:
    r"""Return the overlap of what Hebb's rule recalls with its pattern, in mean-field theory.

    Implements :eq:`eq-mean-field` (Amit, Gutfreund & Sompolinsky, PRL 55, 1985, and
    Ann. Phys. 173, 1987): replica symmetry, temperature zero, random
    patterns, infinitely many units.

    Parameters
    ----------
    load : array_like
        Patterns per unit, not negative.

    Returns
    -------
    ndarray
        Of the shape of `load`; zero above :func:`critical_load`.

    Raises
    ------
    ValueError
        If a load is negative or not finite.

    Examples
    --------
    >>> mean_field_overlap([0.0, 0.05, 0.1, 0.137, 0.139]).round(4)
    array([1.    , 1.    , 0.998 , 0.9754, 0.    ])
    """
    alpha = _loads(load)
    lowest, critical = _turning_point(), critical_load()
    result = np.zeros(alpha.size, dtype=alpha.dtype)
    for k, value in enumerate(alpha.ravel()):
        root = float(np.sqrt(2.0 * value))
        if root < 1e-3:
            result[k] = 1.0
        elif value <= critical:
            # The root of the load is below 1/y, so the solution is below one over that root.
            y = optimize.brentq(lambda y, r=root: _mean_field_root(y) - r, lowest, 1.0 / root)
            result[k] = special.erf(y)
    return result.reshape(alpha.shape)


def _mean_field_root(y: float) -> float:
    """Return the root of twice the load at which y solves the mean-field equation."""
    return float(special.erf(y) / y - 2.0 / np.sqrt(np.pi) * np.exp(-(y**2)))


def _turning_point() -> float:
    """Return the y at which that root is largest: its derivative, times y squared, is zero."""

    def slope(y: float) -> float:
        return float(2.0 / np.sqrt(np.pi) * np.exp(-(y**2)) * (y + 2.0 * y**3) - special.erf(y))

    return float(optimize.brentq(slope, 1.0, 3.0, xtol=1e-14))


def dense_recall(
    patterns: ArrayLike, state: ArrayLike, power: int, *, max_sweeps: int = 100, rng: Seed = 0
) -> Recall:
    r"""Update the units of a dense associative memory until nothing changes any more.

    Implements :eq:`eq-dense` (Krotov & Hopfield, NIPS 2016). With `power` 2 it does
    what :func:`recall` does with :func:`hebbian` weights.

    Parameters
    ----------
    patterns : array_like, shape (P, N)
        Plus and minus ones. They are kept; there is no matrix of weights.
    state : array_like, shape (..., N)
        Where to start.
    power : int, at least 2
        Of the overlaps, in the energy.
    max_sweeps : int, default 100
    rng : Generator or int, default 0
        For the order of the units.

    Returns
    -------
    Recall

    Raises
    ------
    ValueError
        If shapes do not fit, `patterns` or `state` hold other numbers, `power` is
        below 2 or so large that the energy overflows, or `max_sweeps` is below 1.

    Examples
    --------
    >>> patterns = random_patterns(40, 50, rng=0)
    >>> start = flip(patterns[:5], 0.1, rng=1)
    >>> for power in (2, 3, 4):
    ...     found = dense_recall(patterns, start, power)
    ...     print(power, overlap(patterns, found.state)[:, :5].diagonal().round(2))
    2 [0.32 0.16 0.56 0.44 0.52]
    3 [1. 1. 1. 1. 1.]
    4 [1. 1. 1. 1. 1.]
    """
    xi = _signs("patterns", patterns, ndim=2)
    start = _signs("state", state, units=xi.shape[1])
    exponent = integer("power", power, minimum=2)
    if exponent * np.log(xi.shape[1]) + np.log(max(len(xi), 1)) > 700.0:
        raise ValueError(f"power must leave the energy finite, got {power}")
    sweeps, random = integer("max_sweeps", max_sweeps), generator("rng", rng)
    rows = start.reshape(-1, xi.shape[1]).astype(np.float64)
    return _shaped(_asynchronous(_Overlaps(xi, exponent), rows, sweeps, 0.0, random), start)


def modern_recall(
    patterns: ArrayLike, state: ArrayLike, beta: float, *, steps: int = 1
) -> FloatArray:
    r"""Update the states of a modern Hopfield network: averages of patterns, the nearest foremost.

    Implements :eq:`eq-modern-hopfield` (Ramsauer et al., ICLR 2021). One step is
    :func:`.dot_product_attention` with the states as queries, the patterns as keys
    and values, and `beta` for its scale.

    Parameters
    ----------
    patterns : array_like, shape (P, N)
        Any real numbers.
    state : array_like, shape (..., N)
    beta : float > 0
        How sharply the nearest pattern is preferred.
    steps : int, default 1

    Returns
    -------
    ndarray, shape (..., N)

    Raises
    ------
    ValueError
        If shapes do not fit, there is no pattern, `beta` is not positive, or
        `steps` is below 1.

    Examples
    --------
    >>> patterns = np.array([[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]])
    >>> for beta in (0.1, 1.0, 10.0):
    ...     print(modern_recall(patterns, [1.0, 1.0, 0.5, 0.5], beta).round(2))
    [ 1.    0.05 -0.05 -1.  ]
    [ 1.    0.46 -0.46 -1.  ]
    [ 1.  1. -1. -1.]
    """
    xi, s, sharpness = _modern(patterns, state, beta)
    for _ in range(integer("steps", steps)):
        s = np.asarray(softmax(sharpness * (s @ xi.T)) @ xi)
    return s


def modern_energy(patterns: ArrayLike, state: ArrayLike, beta: float) -> FloatArray:
    r"""Return the energy of states of a modern Hopfield network.

    Implements :eq:`eq-modern-energy` (Ramsauer et al., ICLR 2021, without the
    constant). :func:`modern_recall` never raises it.

    Parameters
    ----------
    patterns : array_like, shape (P, N)
    state : array_like, shape (..., N)
    beta : float > 0

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ValueError
        If shapes do not fit, there is no pattern, or `beta` is not positive.

    Examples
    --------
    >>> modern_energy([[1.0, -1.0]], [[1.0, -1.0], [0.0, 0.0]], 1.0)
    array([-1.,  0.])
    """
    xi, s, sharpness = _modern(patterns, state, beta)
    nearest = special.logsumexp(sharpness * (s @ xi.T), axis=-1) / sharpness
    return np.asarray((s * s).sum(axis=-1) / 2.0 - nearest)


def _modern(
    patterns: ArrayLike, state: ArrayLike, beta: float
) -> tuple[FloatArray, FloatArray, float]:
    xi = float_array("patterns", patterns, shape=(None, None), finite=True)
    if not xi.size:
        raise ValueError(f"patterns must hold at least one number, got shape {xi.shape}")
    s = _rows("state", state, xi.shape[1])
    return xi, s, real("beta", beta, minimum=0.0, open_minimum=True)


def _signs(
    name: str, value: ArrayLike, *, ndim: int | None = None, units: int | None = None
) -> FloatArray:
    """Return rows of plus and minus ones, of at least one unit."""
    array = float_array(name, value, ndim=ndim, min_ndim=1)
    wanted = "at least one" if units is None else str(units)
    if array.shape[-1] == 0 or units not in (None, array.shape[-1]):
        raise ValueError(f"{name} must have {wanted} entries in a row, got shape {array.shape}")
    if not (np.abs(array) == 1.0).all():
        raise ValueError(f"{name} must hold nothing but +1 and -1")
    return array


def _rows(name: str, value: ArrayLike, units: int) -> FloatArray:
    array = float_array(name, value, min_ndim=1, finite=True)
    if array.shape[-1] != units:
        raise ValueError(f"{name} must have {units} entries in a row, got shape {array.shape}")
    return array


def _square(weight: ArrayLike) -> FloatArray:
    array = float_array("weight", weight, ndim=2, finite=True)
    if array.shape[0] != array.shape[1] or not array.size:
        raise ValueError(f"weight must be a square matrix, got shape {array.shape}")
    return array


def _loads(load: ArrayLike) -> FloatArray:
    array = float_array("load", load, finite=True)
    if (array < 0).any():
        raise ValueError(f"load must not be negative, got {array.min():g}")
    return array
