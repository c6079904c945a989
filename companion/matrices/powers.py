"""Rank, eigenvalues and powers: what happens when one matrix is applied again and again.

The lesson *Rank, eigenvalues, powers* teaches it. Every routine first divides by a power of two
where a product could leave the range of floating-point numbers, which changes no digit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from companion._validation import FloatArray, Seed, float_array, generator, integer, real

ComplexArray = NDArray[np.complexfloating[Any, Any]]


def rank(matrix: ArrayLike, *, rtol: float | None = None) -> int:
    r"""Return the number of singular values that are not zero within rounding.

    Implements :eq:`eq-numerical-rank`, with :math:`\tau` = `rtol`.

    Parameters
    ----------
    matrix : array_like, shape (m, n)
        Finite entries; m or n may be 0.
    rtol : float in [0, 1), optional
        A singular value counts if it is larger than `rtol` times the largest. By default the
        larger of m and n, times the machine precision of the dtype, as in
        ``numpy.linalg.matrix_rank``.

    Returns
    -------
    int
        Between 0 and the smaller of m and n.

    Raises
    ------
    ValueError
        If `matrix` does not have two axes or is not finite, or `rtol` is outside [0, 1).

    References
    ----------
    Golub & Van Loan, *Matrix Computations*, 4th ed. (2013), section 5.4.1.

    Examples
    --------
    >>> rank([[1, 2], [2, 4]])
    1
    >>> rank([[1, 2], [2, 4.001]]), rank([[1, 2], [2, 4.001]], rtol=0.01)
    (2, 1)
    """
    array = float_array("matrix", matrix, ndim=2, finite=True)
    if rtol is None:
        rtol = max(array.shape) * float(np.finfo(array.dtype).eps)
    else:
        rtol = real("rtol", rtol, minimum=0.0, maximum=1.0, open_maximum=True)
    s = np.linalg.svd(array, compute_uv=False)
    return int(np.sum(s > rtol * s.max(initial=0.0)))


@dataclass(frozen=True)
class PowerIteration:
    """What :func:`power_iteration` found.

    Attributes
    ----------
    value : float
        The Rayleigh quotient of `vector`.
    vector : ndarray, shape (n,)
        Length 1; its entry of largest size is positive.
    values : ndarray, shape (steps,)
        The Rayleigh quotient at each step; the last is `value`.
    residuals : ndarray, shape (steps,)
        The length of ``matrix @ vector - value * vector`` at each step.
    converged : bool
        Whether the last residual met the tolerance.
    """

    value: float
    vector: FloatArray
    values: FloatArray
    residuals: FloatArray
    converged: bool

    @property
    def steps(self) -> int:
        """The number of products with the matrix."""
        return len(self.values)


def power_iteration(
    matrix: ArrayLike, *, rng: Seed, tol: float | None = None, max_steps: int = 1000
) -> PowerIteration:
    r"""Find the eigenvalue of largest modulus by applying the matrix again and again.

    Implements :eq:`eq-power-iteration`. If :math:`|\lambda_1| > |\lambda_2|` and the matrix is
    diagonalisable, the residual falls by :math:`|\lambda_2 / \lambda_1|` a step. If two
    eigenvalues share the largest modulus, it does not converge in general, and says so.

    Parameters
    ----------
    matrix : array_like, shape (n, n)
        Finite entries.
    rng : Generator or int
        Draws the start: a normal vector, made to length 1.
    tol : float, optional
        Stop when the residual is at most `tol` times the Frobenius norm of `matrix`. By default
        10 n times the machine precision.
    max_steps : int, default 1000
        Stop at the latest after so many products.

    Returns
    -------
    PowerIteration

    Raises
    ------
    ValueError
        If `matrix` is not square, is empty or not finite, `tol` is negative or `max_steps` below 1.

    References
    ----------
    Golub & Van Loan, *Matrix Computations*, 4th ed. (2013), section 7.3.1.

    Examples
    --------
    >>> found = power_iteration([[2, 1], [1, 2]], rng=0)
    >>> round(found.value, 6), found.vector.round(3), found.converged
    (3.0, array([0.707, 0.707]), True)
    """
    array, shift = _scaled(_square(matrix))
    limit = _tolerance(tol, array)
    max_steps = integer("max_steps", max_steps)
    y = generator("rng", rng).normal(size=len(array)).astype(array.dtype)
    values, residuals = [], []
    for _ in range(max_steps):
        x = y / np.linalg.norm(y)
        y = array @ x
        values.append(x @ y)
        residuals.append(np.linalg.norm(y - values[-1] * x))
        if converged := bool(residuals[-1] <= limit):
            break
    history = np.ldexp(np.array(values, dtype=array.dtype), shift)
    return PowerIteration(
        value=float(history[-1]),
        vector=np.asarray(x * np.sign(x[np.argmax(np.abs(x))])),
        values=history,
        residuals=np.ldexp(np.array(residuals, dtype=array.dtype), shift),
        converged=converged,
    )


@dataclass(frozen=True)
class SubspaceIteration:
    """What :func:`subspace_iteration` found.

    Attributes
    ----------
    values : ndarray, shape (k,)
        The eigenvalues of ``basis.T @ matrix @ basis``, largest modulus first; complex if one
        of them is.
    basis : ndarray, shape (n, k)
        Orthonormal columns that span the subspace.
    residuals : ndarray, shape (steps,)
        The Frobenius norm of ``matrix @ basis - basis @ (basis.T @ matrix @ basis)`` at each step.
    converged : bool
        Whether the last residual met the tolerance.
    """

    values: NDArray[Any]
    basis: FloatArray
    residuals: FloatArray
    converged: bool

    @property
    def steps(self) -> int:
        """The number of products with the matrix."""
        return len(self.residuals)


def subspace_iteration(
    matrix: ArrayLike, k: int, *, rng: Seed, tol: float | None = None, max_steps: int = 1000
) -> SubspaceIteration:
    r"""Find the `k` eigenvalues of largest modulus: power iteration on `k` vectors at once.

    Implements :eq:`eq-subspace-iteration`. If :math:`|\lambda_k| > |\lambda_{k+1}|` and the matrix
    is diagonalisable, the residual falls by :math:`|\lambda_{k+1} / \lambda_k|` a step.

    Parameters
    ----------
    matrix : array_like, shape (n, n)
        Finite entries.
    k : int
        How many vectors, from 1 to n.
    rng : Generator or int
        Draws the start.
    tol : float, optional
        Stop when the residual is at most `tol` times the Frobenius norm of `matrix`. By default
        10 n times the machine precision.
    max_steps : int, default 1000
        Stop at the latest after so many products.

    Returns
    -------
    SubspaceIteration

    Raises
    ------
    ValueError
        If `matrix` is not square, is empty or not finite, `k` is not in 1..n, `tol` is negative or
        `max_steps` below 1.

    References
    ----------
    Golub & Van Loan, *Matrix Computations*, 4th ed. (2013), section 7.3.2.

    Examples
    --------
    >>> found = subspace_iteration([[0, -2, 0], [2, 0, 0], [0, 0, 1]], 2, rng=0)
    >>> np.abs(found.values).round(6), found.converged
    (array([2., 2.]), True)
    """
    array, shift = _scaled(_square(matrix))
    n = len(array)
    if integer("k", k) > n:
        raise ValueError(f"k must be at most {n}, the size of matrix, got {k}")
    limit = _tolerance(tol, array)
    max_steps = integer("max_steps", max_steps)
    z = generator("rng", rng).normal(size=(n, k)).astype(array.dtype)
    residuals = []
    for _ in range(max_steps):
        q = np.linalg.qr(z).Q
        z = array @ q
        h = q.T @ z
        residuals.append(np.linalg.norm(z - q @ h))
        if converged := bool(residuals[-1] <= limit):
            break
    values = np.linalg.eigvals(h) * np.ldexp(array.dtype.type(1), shift)
    # Of a complex pair, the one with the positive imaginary part stands first.
    order = np.lexsort((-values.imag, -np.abs(values)))
    return SubspaceIteration(
        values=values[order],
        basis=q,
        residuals=np.ldexp(np.array(residuals, dtype=array.dtype), shift),
        converged=converged,
    )


def spectral_radius(matrix: ArrayLike) -> float:
    r"""Return the largest modulus among the eigenvalues.

    Implements :eq:`eq-spectral-radius`.

    Parameters
    ----------
    matrix : array_like, shape (n, n)
        Finite entries.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If `matrix` is not square, is empty or not finite.

    Examples
    --------
    >>> spectral_radius([[0, -2], [2, 0]])
    2.0
    """
    return float(np.abs(np.linalg.eigvals(_square(matrix))).max())


def matrix_power(matrix: ArrayLike, exponent: int) -> FloatArray:
    r"""Return a power of a matrix by repeated squaring.

    Implements :eq:`eq-squaring` with the number of products that :func:`power_products` gives.

    Parameters
    ----------
    matrix : array_like, shape (n, n)
        Finite entries.
    exponent : int
        At least 0. The power 0 is the identity.

    Returns
    -------
    ndarray, shape (n, n)

    Raises
    ------
    ValueError
        If `matrix` is not square, is empty or not finite, or `exponent` is negative.
    OverflowError
        If an entry of a product is too large for the dtype.

    References
    ----------
    Knuth, *The Art of Computer Programming*, vol. 2 (3rd ed., 1997), section 4.6.3.

    Examples
    --------
    >>> matrix_power([[1, 1], [1, 0]], 10)
    array([[89., 55.],
           [55., 34.]])
    """
    square = _square(matrix)
    exponent = integer("exponent", exponent, minimum=0)
    result = np.eye(len(square), dtype=square.dtype)
    left = exponent
    with np.errstate(over="ignore", invalid="ignore"):
        while left:
            if left % 2:
                result = result @ square
            left //= 2
            if left:
                square = square @ square
    if not np.isfinite(result).all():
        raise OverflowError(f"matrix to the power {exponent} is too large for {result.dtype}")
    return result


def power_products(exponent: int) -> int:
    r"""Return how many matrix products repeated squaring takes.

    Implements :eq:`eq-squaring-cost`. The product of the identity with the first factor is not
    counted, since it needs no arithmetic.

    Parameters
    ----------
    exponent : int
        At least 1.

    Returns
    -------
    int
        At most twice the logarithm to base 2 of `exponent`.

    Raises
    ------
    ValueError
        If `exponent` is below 1.

    Examples
    --------
    >>> [power_products(exponent) for exponent in (1, 2, 10, 1000)]
    [0, 1, 4, 14]
    """
    exponent = integer("exponent", exponent)
    return exponent.bit_length() + exponent.bit_count() - 2


def gelfand(matrix: ArrayLike, exponents: ArrayLike) -> FloatArray:
    r"""Return the k-th root of the spectral norm of the k-th power, for several k.

    Implements :eq:`eq-gelfand` (Gelfand, Matematicheskii Sbornik, 1941): no root is below the
    spectral radius, and they tend to it. Each power is kept at size 1 and its scale apart, so
    nothing overflows, whatever the exponent.

    Parameters
    ----------
    matrix : array_like, shape (n, n)
        Finite entries.
    exponents : array_like of int, shape (p,)
        Each at least 1, in any order. The work is that of as many products as the largest.

    Returns
    -------
    ndarray, shape (p,)
        :math:`\lVert W^k \rVert_2^{1/k}` for each exponent k; 0 where the power is the zero matrix.

    Raises
    ------
    ValueError
        If `matrix` is not square, is empty or not finite, or an exponent is below 1.
    TypeError
        If an exponent is not an integer.

    Examples
    --------
    >>> gelfand([[0.5, 10], [0, 0.5]], [1, 10, 1000]).round(3)
    array([10.025,  0.849,  0.505])
    """
    array, shift = _scaled(_square(matrix))
    wanted = np.asarray(exponents)
    if wanted.dtype.kind not in "iu":
        raise TypeError(f"exponents must hold integers, got dtype {wanted.dtype}")
    if wanted.ndim != 1 or wanted.min(initial=1) < 1:
        raise ValueError(f"exponents must be a list of integers from 1 on, got {wanted.tolist()}")
    logs = np.empty(wanted.shape)
    power, total = np.eye(len(array), dtype=array.dtype), 0
    for k in range(1, int(wanted.max(initial=0)) + 1):
        power, step = _scaled(power @ array)
        total += shift + step
        if (here := wanted == k).any():
            with np.errstate(divide="ignore"):
                logs[here] = (np.log2(np.linalg.norm(power, 2)) + total) / k
    return np.exp2(logs).astype(array.dtype)


def numerical_range(matrix: ArrayLike, *, angles: int = 180) -> ComplexArray:
    r"""Return points on the boundary of the numerical range.

    Implements :eq:`eq-numerical-range`: for each direction, the top eigenvector of the
    Hermitian part of the rotated matrix gives the point that lies furthest in this direction.

    Parameters
    ----------
    matrix : array_like, shape (n, n)
        Finite entries.
    angles : int, default 180
        Number of directions, evenly spaced over the circle; at least 3.

    Returns
    -------
    ndarray of complex, shape (angles,)
        In the order of their directions, counterclockwise from the real axis. The numerical range
        is convex, so the polygon through them lies inside it.

    Raises
    ------
    ValueError
        If `matrix` is not square, is empty or not finite, or `angles` is below 3.

    References
    ----------
    Horn & Johnson, *Topics in Matrix Analysis* (1991), chapter 1.

    Examples
    --------
    >>> np.abs(numerical_range([[0, 1], [0, 0]], angles=4)).round(6)
    array([0.5, 0.5, 0.5, 0.5])
    """
    array, shift = _scaled(_square(matrix))
    directions = np.linspace(0.0, 2 * np.pi, integer("angles", angles, minimum=3), endpoint=False)
    tops = [np.linalg.eigh(_hermitian_part(array, theta))[1][:, -1] for theta in directions]
    points = np.array([v.conj() @ array @ v for v in tops])
    return np.asarray(points * np.ldexp(array.dtype.type(1), shift))


def numerical_radius(matrix: ArrayLike) -> float:
    r"""Return the largest modulus in the numerical range.

    Implements :eq:`eq-numerical-radius`: the largest eigenvalue of the Hermitian part is maximised
    over the rotation, first on a grid and then around the best of its points.

    Parameters
    ----------
    matrix : array_like, shape (n, n)
        Finite entries.

    Returns
    -------
    float
        Never above the true value but for rounding. If a peak between two points of the grid were
        missed, it would be below by at most 1 part in 100,000.

    Raises
    ------
    ValueError
        If `matrix` is not square, is empty or not finite.

    References
    ----------
    Horn & Johnson, *Topics in Matrix Analysis* (1991), chapter 1.

    Examples
    --------
    >>> round(numerical_radius([[0, 1], [0, 0]]), 6)
    0.5
    """
    array, shift = _scaled(_square(matrix))

    def reach(theta: float) -> float:
        return float(np.linalg.eigvalsh(_hermitian_part(array, theta))[-1])

    # The matrix is real, so its range is symmetric about the real axis: half a turn will do. A
    # convex set that reaches w in one direction reaches w cos(t) at the angle t from it, so the
    # grid misses at most 1 - cos(step / 2).
    grid = np.linspace(0.0, np.pi, 361)
    best = max(grid, key=reach)
    step = grid[1]
    found = optimize.minimize_scalar(
        lambda theta: -reach(theta),
        bounds=(best - step, best + step),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return float(np.ldexp(max(reach(best), -found.fun), shift))


def log_growth(matrices: Iterable[ArrayLike], x: ArrayLike) -> FloatArray:
    r"""Follow the length of a vector through a sequence of matrices.

    Implements :eq:`eq-log-growth`. The vector is brought back to length 1 after each product, so
    it neither vanishes nor overflows, however long the sequence.

    Parameters
    ----------
    matrices : iterable of array_like, shapes (n1, n), (n2, n1), ...
        Applied in this order, so the first is the rightmost factor of the product.
    x : array_like, shape (n,)
        Not zero.

    Returns
    -------
    ndarray, shape (number of matrices,)
        Natural logarithm of the length after each matrix over that of `x`. Once the vector is
        zero it is minus infinity.

    Raises
    ------
    ValueError
        If `x` is not one finite vector other than zero, or a matrix is not finite or its
        shape does not fit.

    Examples
    --------
    >>> log_growth([2 * np.eye(2)] * 3, [3, 4]).round(4)
    array([0.6931, 1.3863, 2.0794])
    """
    vector, _ = _scaled(float_array("x", x, ndim=1, finite=True))
    if not vector.any():
        raise ValueError(f"x must not be zero, got shape {vector.shape}")
    vector = vector / np.linalg.norm(vector)
    logs, total = [], 0.0
    for number, matrix in enumerate(matrices):
        name = f"matrices[{number}]"
        array = float_array(name, matrix, shape=(None, vector.size), finite=True)
        scaled, shift = _scaled(array)
        vector = scaled @ vector
        length = float(np.linalg.norm(vector))
        if length:
            vector = vector / vector.dtype.type(length)
            total += float(np.log(length)) + shift * float(np.log(2.0))
        else:
            total = -np.inf
        logs.append(total)
    return np.array(logs, dtype=vector.dtype)


def lyapunov_exponent(width: int, *, gain: float = 1.0) -> float:
    r"""Return the mean growth of the logarithm of a length under a random Gaussian matrix.

    Implements :eq:`eq-lyapunov` for square matrices with independent entries from
    :math:`\mathcal N(0, g^2 / n)`, drawn afresh at each step.

    Parameters
    ----------
    width : int
        Size :math:`n` of the matrices.
    gain : float, default 1.0
        The factor :math:`g`, positive.

    Returns
    -------
    float
        Natural logarithm of the factor per step. A length times the exponential of this number
        is a typical length, not the mean.

    Raises
    ------
    ValueError
        If `width` is below 1 or `gain` is not positive.

    References
    ----------
    Cohen & Newman, *Annals of Probability* 12 (1984).

    Examples
    --------
    >>> round(lyapunov_exponent(64), 4), round(lyapunov_exponent(2, gain=2.0), 4)
    (-0.0079, 0.4045)
    """
    n = integer("width", width)
    g = real("gain", gain, minimum=0.0, open_minimum=True)
    return float(np.log(g) + 0.5 * (special.digamma(n / 2) + np.log(2 / n)))


def _square(matrix: ArrayLike) -> FloatArray:
    array = float_array("matrix", matrix, ndim=2, finite=True)
    if array.shape[0] != array.shape[1] or not array.size:
        raise ValueError(f"matrix must be square and not empty, got shape {array.shape}")
    return array


def _scaled(array: FloatArray) -> tuple[FloatArray, int]:
    """Return an array with entries below 2 and the exponent e: times 2**e it is the original."""
    shift = int(np.frexp(np.abs(array).max(initial=0.0))[1]) - 1
    return np.ldexp(array, -shift), shift


def _tolerance(tol: float | None, scaled: FloatArray) -> float:
    """Return the largest residual that counts as converged, for a matrix already scaled."""
    if tol is None:
        tol = 10 * len(scaled) * float(np.finfo(scaled.dtype).eps)
    return real("tol", tol, minimum=0.0) * float(np.linalg.norm(scaled))


def _hermitian_part(matrix: FloatArray, theta: float) -> ComplexArray:
    """Return the Hermitian part of exp(-i theta) times a real matrix."""
    rotated = matrix * matrix.dtype.type(np.cos(theta)) - 1j * (
        matrix * matrix.dtype.type(np.sin(theta))
    )
    return np.asarray((rotated + rotated.conj().T) / 2)
