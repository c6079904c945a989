"""The singular value decomposition: computed by rotations, and what it is good for.

Only ``jacobi_svd`` computes a decomposition of its own, because the lesson shows how that can
be done. All other functions call ``numpy.linalg.svd``, which is much faster.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from companion._validation import FloatArray, float_array, integer, real


def jacobi_svd(
    matrix: ArrayLike, *, tol: float | None = None, max_sweeps: int = 30
) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Return the singular value decomposition, by rotating pairs of columns.

    Implements :eq:`eq-svd` by the one-sided Jacobi method: :eq:`eq-jacobi-rotation`
    is applied to all pairs of columns, sweep after sweep, until all columns
    are orthogonal. Their lengths are then the singular values. The columns of
    a wide matrix are those of its transpose.

    If the matrix is a well-conditioned one whose columns have been multiplied
    by numbers of very different size, every singular value has a small
    relative error, the smallest too (Demmel & Veselić, 1992). That holds as
    long as the squares of the lengths of the columns do not underflow.

    Parameters
    ----------
    matrix : array_like, shape (m, n)
        The matrix, finite.
    tol : float, optional
        Two columns count as orthogonal if the cosine of their angle is at most
        this. By default the unit of rounding times the length of a column.
    max_sweeps : int
        Most sweeps over all pairs.

    Returns
    -------
    U : ndarray, shape (m, r)
        Left singular vectors as columns, with r = min(m, n).
    s : ndarray, shape (r,)
        Singular values, the largest first.
    Vt : ndarray, shape (r, n)
        Right singular vectors as rows.

    Raises
    ------
    ValueError
        If `matrix` does not have two axes or is not finite, or `tol` or
        `max_sweeps` is out of range.
    TypeError
        If `matrix` does not hold real numbers.
    numpy.linalg.LinAlgError
        If a pair still had to be rotated in the last sweep.

    References
    ----------
    J. Demmel and K. Veselić, "Jacobi's Method Is More Accurate than QR",
    SIAM J. Matrix Anal. Appl. 13 (1992).

    Examples
    --------
    >>> U, s, Vt = jacobi_svd([[3.0, 0.0], [4.0, 5.0]])
    >>> s**2
    array([45.,  5.])
    >>> bool(np.allclose((U * s) @ Vt, [[3, 0], [4, 5]]))
    True
    """
    array = float_array("matrix", matrix, ndim=2, finite=True)
    if array.shape[0] < array.shape[1]:
        U, s, Vt = jacobi_svd(array.T, tol=tol, max_sweeps=max_sweeps)
        return Vt.T, s, U.T
    rows, columns = array.shape
    noise = max(rows, 1) * float(np.finfo(array.dtype).eps)
    limit = noise if tol is None else real("tol", tol, minimum=0, open_minimum=True)
    sweeps = integer("max_sweeps", max_sweeps)
    # Dividing by a power of two changes no digit, and keeps the squares in range.
    exponent = int(np.frexp(np.abs(array).max(initial=0.0))[1])
    work = np.ldexp(array, -exponent)
    V = np.eye(columns, dtype=array.dtype)
    for _ in range(sweeps):
        pairs = itertools.combinations(range(columns), 2)
        if not sum(_rotate(work, V, i, j, limit, noise) for i, j in pairs):
            break
    else:
        raise np.linalg.LinAlgError(f"columns are not orthogonal after {sweeps} sweeps")
    lengths = np.linalg.norm(work, axis=0)
    order = np.argsort(-lengths, kind="stable")
    work, lengths, V = work[:, order], lengths[order], V[:, order]
    rank = int(np.count_nonzero(lengths))
    U = work / np.where(lengths > 0, lengths, 1)
    # A column of zeros has no direction: any vector orthogonal to the others will do.
    U[:, rank:] = np.linalg.qr(U[:, :rank], mode="complete")[0][:, rank:columns]
    return U, np.ldexp(lengths, exponent), V.T


def _rotate(work: FloatArray, V: FloatArray, i: int, j: int, limit: float, noise: float) -> bool:
    """Make columns i and j orthogonal, in place; return whether they were not yet.

    Implements :eq:`eq-jacobi-rotation`.
    """
    first, second = work[:, i], work[:, j]
    alpha, beta, gamma = (float(p) for p in (first @ first, second @ second, first @ second))
    if abs(gamma) <= limit * math.sqrt(alpha) * math.sqrt(beta):
        return False
    zeta = (beta - alpha) / (2 * gamma)
    # The smaller of the two angles that would do.
    t = math.copysign(1, zeta) / (abs(zeta) + math.hypot(1, zeta))
    c = 1 / math.hypot(1, t)
    rotation = np.array([[c, c * t], [-c * t, c]], dtype=work.dtype)
    for array in (work, V):
        array[:, [i, j]] = array[:, [i, j]] @ rotation
    lengths = np.linalg.norm(work[:, [i, j]], axis=0)
    if lengths.min() <= noise * math.sqrt(min(alpha, beta)):
        # The columns were parallel. What is left of one is rounding, and still parallel.
        work[:, (i, j)[int(lengths.argmin())]] = 0
    return True


def low_rank_approximation(matrix: ArrayLike, rank: int) -> FloatArray:
    """Return the matrix of at most the given rank that is nearest to ``matrix``.

    Implements :eq:`eq-truncated-svd`. No matrix of this rank is nearer, in the
    Frobenius norm (Eckart & Young, 1936) or in any norm that depends on
    singular values alone (Mirsky, 1960).

    Parameters
    ----------
    matrix : array_like, shape (m, n)
        The matrix, finite.
    rank : int
        Number of singular values to keep, from 0 to min(m, n).

    Returns
    -------
    ndarray, shape (m, n)

    Raises
    ------
    ValueError
        If `matrix` does not have two axes or is not finite, or `rank` is out of range.
    TypeError
        If `matrix` does not hold real numbers or `rank` is not an integer.

    References
    ----------
    C. Eckart and G. Young, "The Approximation of One Matrix by Another of
    Lower Rank", Psychometrika 1 (1936).

    Examples
    --------
    >>> low_rank_approximation([[3.0, 0.0], [0.0, 2.0]], 1)
    array([[3., 0.],
           [0., 0.]])
    """
    array = float_array("matrix", matrix, ndim=2, finite=True)
    k = _rank(rank, min(array.shape))
    U, s, Vt = np.linalg.svd(array, full_matrices=False)
    return np.asarray((U[:, :k] * s[:k]) @ Vt[:k])


def approximation_error(s: ArrayLike, rank: int, *, norm: str | int = "fro") -> float:
    """Return how far a matrix is from the nearest one of the given rank.

    Implements :eq:`eq-eckart-young`: the distance follows from the discarded
    singular values alone.

    Parameters
    ----------
    s : array_like, shape (r,)
        All singular values of the matrix, the largest first.
    rank : int
        Number of singular values kept, from 0 to r.
    norm : {'fro', 2}
        Frobenius norm or spectral norm, named as in ``numpy.linalg.norm``.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If `s` is negative somewhere or increases, or `rank` or `norm` is out of range.
    TypeError
        If `s` does not hold real numbers or `rank` is not an integer.

    References
    ----------
    L. Mirsky, "Symmetric Gauge Functions and Unitarily Invariant Norms",
    Quart. J. Math. 11 (1960).

    Examples
    --------
    >>> approximation_error([6.0, 4.0, 3.0], 1)
    5.0
    >>> approximation_error([6.0, 4.0, 3.0], 1, norm=2)
    4.0
    """
    values = float_array("s", s, ndim=1, finite=True)
    if (values < 0).any() or (np.diff(values) > 0).any():
        raise ValueError("s must hold singular values: none negative, the largest first")
    left = values[_rank(rank, values.size) :]
    if norm == "fro":
        return float(np.linalg.norm(left))
    if norm == 2:
        return float(left[0]) if left.size else 0.0
    raise ValueError(f"norm must be 'fro' or 2, got {norm!r}")


def _rank(rank: int, most: int) -> int:
    if integer("rank", rank, minimum=0) > most:
        raise ValueError(f"rank must be at most {most}, got {rank}")
    return int(rank)


def condition_number(matrix: ArrayLike) -> float:
    """Return the largest singular value over the smallest.

    Implements :eq:`eq-condition-number`.

    Parameters
    ----------
    matrix : array_like, shape (m, n)
        The matrix, finite and not empty.

    Returns
    -------
    float
        At least 1; infinity if the smallest singular value is 0. Rounding often
        turns that 0 into a number near 1e-16 times the largest.

    Raises
    ------
    ValueError
        If `matrix` does not have two axes, is empty, or is not finite.
    TypeError
        If `matrix` does not hold real numbers.

    References
    ----------
    L. N. Trefethen and D. Bau, *Numerical Linear Algebra*, SIAM (1997), lecture 12.

    Examples
    --------
    >>> condition_number([[3.0, 0.0], [4.0, 5.0]])
    3.0
    """
    array = float_array("matrix", matrix, ndim=2, finite=True)
    if not array.size:
        raise ValueError(f"matrix must not be empty, got shape {array.shape}")
    s = np.linalg.svd(array, compute_uv=False)
    return float(s[0]) / float(s[-1]) if s[-1] > 0 else math.inf


def pseudo_inverse(matrix: ArrayLike, *, rtol: float | None = None) -> FloatArray:
    """Return the Moore-Penrose inverse: singular values inverted, zeros left alone.

    Implements :eq:`eq-pseudo-inverse`.

    Parameters
    ----------
    matrix : array_like, shape (m, n)
        The matrix, finite.
    rtol : float in [0, 1), optional
        Singular values of at most `rtol` times the largest count as zero. By
        default the unit of rounding times max(m, n).

    Returns
    -------
    ndarray, shape (n, m)
        The inverse, if `matrix` has one.

    Raises
    ------
    ValueError
        If `matrix` does not have two axes or is not finite, or `rtol` is out of range.
    TypeError
        If `matrix` does not hold real numbers.

    References
    ----------
    R. Penrose, "A Generalized Inverse for Matrices", Proc. Camb. Phil. Soc. 51 (1955).

    Examples
    --------
    >>> pseudo_inverse([[2.0, 0.0], [0.0, 0.0]])
    array([[0.5, 0. ],
           [0. , 0. ]])
    """
    U, s, Vt = _kept("matrix", matrix, rtol)
    return np.asarray((Vt.T / s) @ U.T)


def least_squares(matrix: ArrayLike, target: ArrayLike, *, rtol: float | None = None) -> FloatArray:
    r"""Return the shortest of all ``x`` for which ``matrix @ x`` is nearest to ``target``.

    Implements :eq:`eq-least-squares`.

    Parameters
    ----------
    matrix : array_like, shape (m, n)
        The matrix, finite.
    target : array_like, shape (m,) or (m, k)
        One target, or k of them as columns.
    rtol : float in [0, 1), optional
        As for :func:`pseudo_inverse`.

    Returns
    -------
    ndarray, shape (n,) or (n, k)

    Raises
    ------
    ValueError
        If a shape is wrong, a value is not finite, or `rtol` is out of range.
    TypeError
        If an argument does not hold real numbers.

    References
    ----------
    G. H. Golub and C. F. Van Loan, *Matrix Computations*, 4th ed. (2013), section 5.5.

    Examples
    --------
    >>> least_squares([[1.0, 1.0]], [4.0])
    array([2., 2.])
    """
    U, s, Vt = _kept("matrix", matrix, rtol)
    y = float_array("target", target, min_ndim=1, finite=True)
    if y.ndim > 2 or len(y) != len(U):
        raise ValueError(
            f"target must have shape ({len(U)},) or ({len(U)}, any), got shape {y.shape}"
        )
    return np.asarray((Vt.T / s) @ (U.T @ y))


def _kept(
    name: str, matrix: ArrayLike, rtol: float | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the decomposition without the singular values that count as zero."""
    array = float_array(name, matrix, ndim=2, finite=True)
    if rtol is None:
        share = max(array.shape) * float(np.finfo(array.dtype).eps)
    else:
        share = real("rtol", rtol, minimum=0, maximum=1, open_maximum=True)
    U, s, Vt = np.linalg.svd(array, full_matrices=False)
    rank = int(np.count_nonzero(s > share * s.max(initial=0.0)))
    return U[:, :rank], s[:rank], Vt[:rank]


@dataclass(frozen=True, eq=False, repr=False)
class PCA:
    """Principal components of a data set, as :func:`pca` returns them.

    Attributes
    ----------
    mean : ndarray, shape (n,)
        Mean of each feature.
    components : ndarray, shape (k, n)
        Principal directions as rows: orthogonal, of length 1, the one of
        largest variance first.
    explained_variance : ndarray, shape (k,)
        Variance of the data along each direction, with N - 1 in the denominator.
    explained_variance_ratio : ndarray, shape (k,)
        The same as shares of the variance of all features together.
    """

    mean: FloatArray
    components: FloatArray
    explained_variance: FloatArray
    explained_variance_ratio: FloatArray

    def __repr__(self) -> str:
        """Return the sizes and the share of the variance."""
        k, n = self.components.shape
        share = 100 * self.explained_variance_ratio.sum()
        return f"PCA({k} of {n} directions, {share:.1f} % of the variance)"

    def transform(self, x: ArrayLike) -> FloatArray:
        """Return the coordinates of samples along the principal directions.

        Implements :eq:`eq-pca-scores`.

        Parameters
        ----------
        x : array_like, shape (N, n)
            Samples as rows.

        Returns
        -------
        ndarray, shape (N, k)

        Raises
        ------
        ValueError
            If the shape is wrong.
        TypeError
            If `x` does not hold real numbers.
        """
        array = float_array("x", x, shape=(None, self.mean.size))
        return np.asarray((array - self.mean) @ self.components.T)

    def inverse_transform(self, scores: ArrayLike) -> FloatArray:
        """Return the samples that have the given coordinates.

        Implements :eq:`eq-pca-reconstruction`.

        Parameters
        ----------
        scores : array_like, shape (N, k)
            Coordinates along the principal directions.

        Returns
        -------
        ndarray, shape (N, n)

        Raises
        ------
        ValueError
            If the shape is wrong.
        TypeError
            If `scores` does not hold real numbers.
        """
        array = float_array("scores", scores, shape=(None, len(self.components)))
        return np.asarray(array @ self.components + self.mean)


def pca(x: ArrayLike, components: int) -> PCA:
    """Return the directions along which centred samples vary most.

    Implements :eq:`eq-pca`. A direction and its opposite are equally good; the
    one whose entry of largest absolute value is positive is returned, as
    scikit-learn does.

    Parameters
    ----------
    x : array_like, shape (N, n)
        At least two samples, as rows, not all the same.
    components : int
        Number of directions, from 1 to min(N, n).

    Returns
    -------
    PCA

    Raises
    ------
    ValueError
        If `x` has a wrong shape, is not finite, or has no variance, or
        `components` is out of range.
    TypeError
        If `x` does not hold real numbers or `components` is not an integer.

    References
    ----------
    G. H. Golub and C. F. Van Loan, *Matrix Computations*, 4th ed. (2013).

    Examples
    --------
    >>> pca([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], 1)
    PCA(1 of 2 directions, 100.0 % of the variance)
    """
    array = float_array("x", x, ndim=2, finite=True)
    # Rounding of the mean would give equal samples a variance, and underflow would take it
    # from samples that hardly differ.
    if len(array) < 2 or (array == array[:1]).all() or not array.var(axis=0).any():
        raise ValueError(f"x must hold at least two different samples, got shape {array.shape}")
    k = integer("components", components)
    if k > min(array.shape):
        raise ValueError(f"components must be at most {min(array.shape)}, got {k}")
    mean = array.mean(axis=0)
    _, s, Vt = np.linalg.svd(array - mean, full_matrices=False)
    largest = np.take_along_axis(Vt, np.abs(Vt).argmax(axis=1)[:, None], axis=1)
    variance = s**2 / (len(array) - 1)
    return PCA(mean, (Vt * np.sign(largest))[:k], variance[:k], variance[:k] / variance.sum())
