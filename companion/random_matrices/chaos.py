r"""Random recurrent networks: when their activity dies out, and when it is chaotic.

The state :math:`x` of a network without input moves as

.. math:: x_{t+1} = (1 - h)\, x_t + h\, J \tanh(x_t)

with a step :math:`0 < h \le 1`. At :math:`h = 1` this is a recurrent layer,
written for what goes into the activation: :math:`\tanh(x_t)` is its hidden state.
As :math:`h \to 0` it is the equation :math:`\dot x = -x + J \tanh x` of
Sompolinsky, Crisanti and Sommers (Physical Review Letters 61, 1988). All functions
here are for both, except those of the mean field, which need :math:`h = 1`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from companion._validation import FloatArray, Seed, float_array, generator, integer, real

#: A state and some tangent vectors, as columns, to the same one step later.
Advance = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]


def activity(
    weight: ArrayLike,
    start: ArrayLike,
    *,
    steps: int,
    step: float = 1.0,
    inputs: ArrayLike | None = None,
) -> FloatArray:
    r"""Return the states of a random recurrent network over time.

    Each step is :math:`x_{t+1} = (1 - h)\, x_t + h\, (J \tanh(x_t) + u_t)`.

    Parameters
    ----------
    weight : array_like, shape (n, n)
        :math:`J`; entry :math:`(i, j)` leads from unit :math:`j` to unit :math:`i`.
    start : array_like, shape (n,) or (runs, n)
        First state, or one for each of several runs.
    steps : int
        How many steps follow.
    step : float, default 1
        :math:`h`, above 0 and at most 1.
    inputs : array_like, shape (steps, n), optional
        :math:`u_t`, the same for all runs.

    Returns
    -------
    ndarray, shape (steps + 1, n) or (steps + 1, runs, n)
        The states, the first included.

    Raises
    ------
    ValueError
        If `weight` is not square, `start` or `inputs` does not fit, a number is
        not finite, or `steps` or `step` lies outside its range.

    Examples
    --------
    >>> states = activity([[0.5]], [1e-6], steps=3)
    >>> (states[:, 0] * 1e6).round(3)
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    matrix = _square(weight)
    x = float_array("start", start, min_ndim=1, finite=True)
    if x.ndim > 2 or x.shape[-1] != len(matrix):
        raise ValueError(
            f"start must have shape ({len(matrix)},) or (runs, {len(matrix)}), got {x.shape}"
        )
    count, h = integer("steps", steps, minimum=0), _step(step)
    drive = None
    if inputs is not None:
        drive = float_array("inputs", inputs, shape=(count, len(matrix)), finite=True)
    states = np.empty((count + 1, *x.shape), dtype=np.result_type(matrix, x))
    states[0] = x
    for t in range(count):
        arriving = np.tanh(states[t]) @ matrix.T
        if drive is not None:
            arriving = arriving + drive[t]
        states[t + 1] = (1 - h) * states[t] + h * arriving
    return states


def lyapunov_exponents(
    advance: Advance,
    start: ArrayLike,
    *,
    steps: int,
    warm_up: int = 0,
    count: int = 1,
    rng: Seed,
) -> FloatArray:
    r"""Return the largest Lyapunov exponents of a map.

    Implements :eq:`eq-tangent-growth`: carries orthonormal tangent vectors along a
    trajectory, and after each step makes them orthonormal again. What that takes,
    the diagonal of the triangular factor of a QR decomposition, is their growth.

    Parameters
    ----------
    advance : callable
        Takes a state of shape (n,) and tangent vectors of shape (n, k), as columns,
        and returns the next state and the vectors multiplied by the derivative of
        the map at the state given.
    start : array_like, shape (n,)
        First state.
    steps : int
        Over how many steps to average.
    warm_up : int, default 0
        Steps before that, for the state to reach where it stays, and for the
        vectors to turn to the directions that grow most.
    count : int, default 1
        How many exponents, at most n.
    rng : numpy.random.Generator or int
        Source of the first tangent vectors, or a seed for one.

    Returns
    -------
    ndarray, shape (count,)
        Means of the logarithm of the growth per step, natural, the largest first up
        to the noise of a finite run. Minus infinity if a length becomes zero.

    Raises
    ------
    ValueError
        If a size lies outside its range, or the state stops being finite.

    References
    ----------
    Benettin, Galgani, Giorgilli & Strelcyn, Lyapunov Characteristic Exponents for
    Smooth Dynamical Systems, Meccanica 15 (1980).

    Examples
    --------
    >>> def doubling(x, tangents):
    ...     return 2 * x % 1, 2 * tangents
    >>> lyapunov_exponents(doubling, [0.1], steps=30, rng=0).round(4)
    array([0.6931])
    """
    x = float_array("start", start, ndim=1, finite=True)
    total, before = integer("steps", steps), integer("warm_up", warm_up, minimum=0)
    vectors = integer("count", count)
    if vectors > x.size:
        raise ValueError(f"count must be at most the {x.size} entries of start, got {vectors}")
    draws = generator("rng", rng).standard_normal((x.size, vectors))
    tangents = np.linalg.qr(draws)[0].astype(x.dtype)
    sums = np.zeros(vectors)
    for t in range(before + total):
        x, tangents = advance(x, tangents)
        if not (np.isfinite(x).all() and np.isfinite(tangents).all()):
            raise ValueError(f"the state or a tangent vector is not finite after step {t + 1}")
        tangents, triangle = np.linalg.qr(tangents)
        if t >= before:
            with np.errstate(divide="ignore"):
                sums += np.log(np.abs(np.diag(triangle)))
    return sums / total


def largest_lyapunov(
    weight: ArrayLike,
    *,
    steps: int = 1000,
    warm_up: int = 200,
    step: float = 1.0,
    noise: float = 0.0,
    rng: Seed,
) -> float:
    r"""Return the largest Lyapunov exponent of a random recurrent network.

    Small differences between two states grow or shrink at this rate in the long
    run. It is negative if the activity settles or the input dictates it, zero on
    a cycle in continuous time, positive in chaos.

    Parameters
    ----------
    weight : array_like, shape (n, n)
        :math:`J`, as in :func:`activity`.
    steps, warm_up : int
        Steps to average over, and steps before that.
    step : float, default 1
        :math:`h`, as in :func:`activity`.
    noise : float, default 0
        Standard deviation of a normal input, fresh for each unit and step. The
        vectors feel it only through the state.
    rng : numpy.random.Generator or int
        Source of the first state, the first vector and the input. It must not be
        the seed that drew the weights.

    Returns
    -------
    float
        Mean growth of the logarithm per unit of time, which is `step` per step:
        for a recurrent layer, per step. If the activity dies out it is the
        logarithm of the spectral radius.

    Raises
    ------
    ValueError
        As :func:`activity` and :func:`lyapunov_exponents` do.

    Examples
    --------
    >>> from companion.random_matrices import ginibre
    >>> j = ginibre(100, rng=0)
    >>> largest_lyapunov(0.5 * j, rng=1) < 0 < largest_lyapunov(3.0 * j, rng=1)
    True
    """
    matrix = _square(weight)
    h, sigma = _step(step), real("noise", noise, minimum=0.0)
    source = generator("rng", rng)

    def advance(x: FloatArray, tangents: FloatArray) -> tuple[FloatArray, FloatArray]:
        hidden = np.tanh(x)
        slope = 1 - hidden * hidden
        # One product for the state and the vectors.
        moved = matrix @ np.column_stack([hidden, slope[:, None] * tangents])
        if sigma:
            moved[:, 0] += sigma * source.standard_normal(x.size).astype(x.dtype)
        return (1 - h) * x + h * moved[:, 0], (1 - h) * tangents + h * moved[:, 1:]

    start = source.standard_normal(len(matrix)).astype(matrix.dtype)
    exponents = lyapunov_exponents(advance, start, steps=steps, warm_up=warm_up, rng=source)
    return float(exponents[0]) / h


def mean_field_variance(gain: float, *, noise: float = 0.0) -> float:
    r"""Return the variance of the state of a large random network.

    Implements the first line of :eq:`eq-mean-field-chaos`: the positive solution
    :math:`q`, if there is one, of

    .. math:: q = g^2\, \mathbb E \tanh^2(\sqrt q\, z) + \sigma^2,
              \qquad z \sim \mathcal N(0, 1).

    Near the transition, without input, :math:`q \approx (1 - g^{-2})/2`.

    Parameters
    ----------
    gain : float
        :math:`g`, where the weights have the variance :math:`g^2/n`; positive and
        at most 10,000.
    noise : float, default 0
        :math:`\sigma`, the standard deviation of a normal input, fresh for each unit
        and step.

    Returns
    -------
    float
        :math:`q`; zero for :math:`g \le 1` without input. For :math:`h = 1` and in
        the limit of many units.

    Raises
    ------
    ValueError
        If `gain` or `noise` lies outside its range.

    References
    ----------
    Molgedey, Schuchhardt & Schuster, Suppressing chaos in neural networks by
    noise, Physical Review Letters 69 (1992).

    Examples
    --------
    >>> mean_field_variance(0.9), round(mean_field_variance(2.0), 3)
    (0.0, 2.121)
    """
    g, sigma = _gain(gain), real("noise", noise, minimum=0.0)
    room = 1 - 1 / g**2
    if sigma == 0 and room <= 0:
        return 0.0
    if sigma == 0 and room < 1e-6:
        # Here the two sides differ by less than rounding; two terms of the series are exact.
        return room / 2 * (1 + 17 * room / 12)

    def excess(q: float) -> float:
        return g**2 * _normal_mean(lambda x: np.tanh(x) ** 2, q) + sigma**2 - q

    # tanh squared of y is at least y^2 - 2 y^4 / 3, and at most 1.
    low = max(sigma**2, room / 4)
    return float(brentq(excess, low, g**2 + sigma**2, xtol=1e-14 * low, rtol=1e-14))


def mean_field_exponent(gain: float, *, noise: float = 0.0) -> float:
    r"""Return the largest Lyapunov exponent of a large random network.

    Implements the second line of :eq:`eq-mean-field-chaos`,

    .. math:: \lambda = \tfrac12 \log\bigl(g^2\, \mathbb E [\tanh'(\sqrt q\, z)^2]\bigr),

    with :math:`q` from :func:`mean_field_variance`. Without input it is
    :math:`\log g` for :math:`g \le 1`, and just above it is near
    :math:`\tfrac23 (g - 1)^2`.

    Parameters
    ----------
    gain, noise : float
        As in :func:`mean_field_variance`.

    Returns
    -------
    float
        Mean growth of the logarithm per step, for :math:`h = 1` and in the limit of
        many units.

    Raises
    ------
    ValueError
        If `gain` or `noise` lies outside its range.

    References
    ----------
    Molgedey, Schuchhardt & Schuster, Physical Review Letters 69 (1992).

    Examples
    --------
    >>> round(mean_field_exponent(0.5), 3), round(mean_field_exponent(2.0), 3)
    (-0.693, 0.155)
    """
    q = mean_field_variance(gain, noise=noise)
    slopes = _normal_mean(lambda x: (1 - np.tanh(x) ** 2) ** 2, q)
    return math.log(gain) + math.log(slopes) / 2


def excitatory_inhibitory(
    n: int,
    *,
    fraction: float = 0.8,
    spreads: tuple[float, float] = (1.0, 1.0),
    mean: float = 1.0,
    balanced: bool = True,
    rng: Seed = 0,
) -> FloatArray:
    r"""Return random weights in which each unit either excites or inhibits.

    A column holds what one unit sends to all, so all its entries have one sign
    (Dale's principle): positive in the first :math:`n_E` columns, the given
    fraction, and negative in the others. Sizes are independent draws from gamma
    laws with means and standard deviations

    .. math::

        \frac{\mu}{\sqrt n},\ \frac{\sigma_E}{\sqrt n} \quad (E), \qquad
        \frac{\mu\, n_E}{\sqrt n\, (n - n_E)},\ \frac{\sigma_I}{\sqrt n} \quad (I),

    so that a row sums to zero on average. If `balanced`, the negative entries of
    each row are multiplied by one number, near 1, that makes the sum exactly zero.

    Parameters
    ----------
    n : int
        Units, at least 2.
    fraction : float, default 0.8
        Share of columns that excite, between 0 and 1; at least one column of each
        kind remains.
    spreads : (float, float)
        :math:`\sigma_E` and :math:`\sigma_I`, positive.
    mean : float, default 1
        :math:`\mu`, positive.
    balanced : bool, default True
        Whether each row sums to exactly zero. Without that, single eigenvalues lie
        far outside the disc of the others.
    rng : numpy.random.Generator or int
        Source of randomness, or a seed for one.

    Returns
    -------
    ndarray, shape (n, n)

    Raises
    ------
    ValueError
        If an argument lies outside its range.

    References
    ----------
    Rajan & Abbott, Eigenvalue Spectra of Random Matrices for Neural Networks,
    Physical Review Letters 97 (2006), with normal entries and with the sums
    subtracted.

    Examples
    --------
    >>> j = excitatory_inhibitory(10, rng=0)
    >>> (np.sign(j[0]) + 0).astype(int)
    array([ 1,  1,  1,  1,  1,  1,  1,  1, -1, -1])
    >>> bool(np.allclose(j.sum(axis=1), 0))
    True
    """
    size, source = integer("n", n, minimum=2), generator("rng", rng)
    share, (first, second) = _columns(fraction, spreads)
    mu = real("mean", mean, minimum=0.0, open_minimum=True)
    exciting = min(max(round(share * size), 1), size - 1)
    others = size - exciting
    excite = _sizes(source, (size, exciting), mu, first)
    inhibit = _sizes(source, (size, others), mu * exciting / others, second)
    if balanced:
        inhibit *= excite.sum(axis=1, keepdims=True) / inhibit.sum(axis=1, keepdims=True)
    return np.hstack([excite, -inhibit]) / math.sqrt(size)


def excitatory_inhibitory_cdf(
    radius: ArrayLike, *, fraction: float = 0.8, spreads: tuple[float, float] = (1.0, 1.0)
) -> FloatArray:
    r"""Return the share of eigenvalues of :func:`excitatory_inhibitory` within a radius.

    Implements :eq:`eq-dale-disc`, which gives radius and share by a parameter
    :math:`s \ge 0`; for two kinds of columns :math:`s` solves a quadratic
    equation. The disc ends at :math:`\sqrt{f \sigma_E^2 + (1 - f)\, \sigma_I^2}`,
    and is filled evenly only if both spreads are equal. For balanced weights and
    in the limit of many units.

    Parameters
    ----------
    radius : array_like
        Radii, not negative, of any shape.
    fraction, spreads
        :math:`f`, and :math:`\sigma_E` and :math:`\sigma_I`, as in
        :func:`excitatory_inhibitory`.

    Returns
    -------
    ndarray
        Shares, of the same shape.

    Raises
    ------
    ValueError
        If an argument lies outside its range.

    References
    ----------
    Rajan & Abbott, Physical Review Letters 97 (2006).

    Examples
    --------
    >>> excitatory_inhibitory_cdf([0.5, 1.0]).round(3)
    array([0.25, 1.  ])
    """
    r = float_array("radius", radius, finite=True)
    if r.size and r.min() < 0:
        raise ValueError(f"radius must not be negative, got {r.min():g}")
    share, (first, second) = _columns(fraction, spreads)
    a, b = first**2, second**2
    # r^2 (1 + a s)(1 + b s) = f a (1 + b s) + (1 - f) b (1 + a s), for radii inside the disc.
    edge = share * a + (1 - share) * b
    squares = np.clip(r.astype(np.float64) ** 2, 1e-300, edge)
    linear, constant = squares * (a + b) - a * b, squares - edge
    root = np.sqrt(linear**2 - 4 * squares * a * b * constant)
    # Of the two forms of the solution, the one without a difference of close numbers.
    falling = np.where(linear > 0, linear + root, 1.0)
    s = np.where(linear > 0, -2 * constant / falling, (root - linear) / (2 * squares * a * b))
    return np.asarray(share / (1 + a * s) + (1 - share) / (1 + b * s))


def _square(weight: ArrayLike) -> FloatArray:
    matrix = float_array("weight", weight, ndim=2, finite=True)
    if matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"weight must be square and not empty, got shape {matrix.shape}")
    return matrix


def _step(step: float) -> float:
    return real("step", step, minimum=0.0, maximum=1.0, open_minimum=True)


def _gain(gain: float) -> float:
    return real("gain", gain, minimum=0.0, maximum=1e4, open_minimum=True)


def _columns(fraction: float, spreads: tuple[float, float]) -> tuple[float, tuple[float, float]]:
    share = real("fraction", fraction, minimum=0.0, maximum=1.0)
    if not isinstance(spreads, tuple | list) or len(spreads) != 2:
        raise ValueError(f"spreads must be two numbers, got {spreads!r}")
    first, second = (
        real(f"spreads[{k}]", value, minimum=0.0, open_minimum=True)
        for k, value in enumerate(spreads)
    )
    return share, (first, second)


def _sizes(
    rng: np.random.Generator, shape: tuple[int, int], mean: float, spread: float
) -> FloatArray:
    """Return positive draws with this mean and standard deviation."""
    return rng.gamma((mean / spread) ** 2, spread**2 / mean, size=shape)


def _normal_mean(function: Callable[[FloatArray], FloatArray], variance: float) -> float:
    """Return the mean of a function of tanh over a normal law of mean 0.

    The trapezoidal rule loses nothing here: the nearest poles of tanh lie so far
    from the real axis that a finer grid changes less than rounding.
    """
    deviation = math.sqrt(variance)
    spacing = 0.25 / max(1.0, deviation)
    z = spacing * np.arange(-math.ceil(9 / spacing), math.ceil(9 / spacing) + 1)
    weights = np.exp(-z * z / 2) * (spacing / math.sqrt(2 * math.pi))
    return float(weights @ function(deviation * z))
