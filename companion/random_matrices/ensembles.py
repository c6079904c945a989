r"""Random matrices, drawn.

Each docstring states the normalisation as a formula. A symmetric matrix here has
entries of variance :math:`1/n`, so that its eigenvalues fill the interval from
-2 to 2; a square matrix without symmetry has them too, and fills the unit disc.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion._validation import FloatArray, Seed, choice, generator, integer, real

ComplexArray = NDArray[np.complexfloating[Any, Any]]

#: Names of the laws that an entry may have, all of mean 0 and variance 1.
ENTRIES = ("gaussian", "signs", "uniform", "student")
_FIELDS = ("real", "complex")


def wigner(
    n: int, *, field: str = "real", entries: str = "gaussian", dof: float = 5.0, rng: Seed = 0
) -> FloatArray | ComplexArray:
    r"""Return a symmetric or Hermitian matrix of independent entries.

    Entries on and above the diagonal are independent, have mean 0 and

    .. math:: \mathbb E\, \lvert A_{ij} \rvert^2 = 1/n,

    on the diagonal too. The eigenvalues follow ``Semicircle()``, with edges near
    -2 and 2.

    Parameters
    ----------
    n : int
        Rows and columns.
    field : {"real", "complex"}
        Real entries, or complex ones above the diagonal, whose real and imaginary
        part are independent and have half of the variance each.
    entries : {"gaussian", "signs", "uniform", "student"}
        Law of an entry, or of its two parts, before it is scaled.
    dof : float
        Degrees of freedom of ``"student"``, above 2, so that the variance is
        finite; the others ignore it. The tail of an entry falls as its size to
        the power of ``-dof``.
    rng : Generator or int
        Source of randomness, or a seed for one.

    Returns
    -------
    ndarray, shape (n, n)

    Raises
    ------
    ValueError
        If `n` is below 1, `field` or `entries` unknown, or `dof` not above 2.

    References
    ----------
    Wigner, Characteristic Vectors of Bordered Matrices With Infinite
    Dimensions, Annals of Mathematics 62 (1955).

    Examples
    --------
    >>> wigner(2, entries="signs", rng=0) * np.sqrt(2)
    array([[ 1.,  1.],
           [ 1., -1.]])
    """
    size = integer("n", n)
    draws = _standardised((size, size), field, entries, dof, rng)
    # One triangle and its mirror image; the diagonal is real, and its variance 1/n as well.
    upper = np.triu(draws, 1)
    diagonal = draws.diagonal().real * (math.sqrt(2) if field == "complex" else 1.0)
    return np.asarray((upper + upper.conj().T + np.diag(diagonal)) / math.sqrt(size))


def gaussian_ensemble(n: int, *, beta: int = 1, rng: Seed = 0) -> FloatArray | ComplexArray:
    r"""Return a matrix of the Gaussian orthogonal, unitary or symplectic ensemble.

    Its law is unchanged by rotations: its density is proportional to
    :math:`\exp(-\beta n \operatorname{tr} H^2 / 4)`. Entries have mean 0, and

    .. math::

        \mathbb E\, \lvert H_{ij} \rvert^2 = 1/n \quad (i \ne j), \qquad
        \mathbb E\, H_{ii}^2 = 2 / (\beta n).

    The eigenvalues follow ``Semicircle()`` for each `beta`.

    Parameters
    ----------
    n : int
        Number of different eigenvalues.
    beta : {1, 2, 4}
        1 for real symmetric matrices (GOE), 2 for Hermitian ones (GUE), 4 for
        those of quaternions (GSE).
    rng : Generator or int
        Source of randomness, or a seed for one.

    Returns
    -------
    ndarray, shape (n, n), or (2n, 2n) for beta 4
        Each quaternion is written as a complex block of two rows and columns, so
        that each eigenvalue of the GSE appears twice. Take every other one.

    Raises
    ------
    ValueError
        If `n` is below 1, or `beta` is not 1, 2 or 4.

    References
    ----------
    Mehta, *Random Matrices* (3rd edition, 2004), chapters 2 and 3.

    Examples
    --------
    >>> h = gaussian_ensemble(2, beta=4, rng=0)
    >>> h.shape
    (4, 4)
    >>> values = np.linalg.eigvalsh(h)
    >>> bool(np.allclose(values[::2], values[1::2]))
    True
    """
    size, order = integer("n", n), integer("beta", beta)
    if order not in (1, 2, 4):
        raise ValueError(f"beta must be 1, 2 or 4, got {order}")
    draws = generator("rng", rng).standard_normal((order, size, size)) / math.sqrt(order)
    a: Any = draws[0] + 1j * draws[1] if order > 1 else draws[0]
    if order == 4:
        b = draws[2] + 1j * draws[3]
        a = np.block([[a, b], [-b.conj(), a.conj()]])
    return np.asarray((a + a.conj().T) / math.sqrt(2 * size))


def ginibre(
    n: int, *, field: str = "real", entries: str = "gaussian", dof: float = 5.0, rng: Seed = 0
) -> FloatArray | ComplexArray:
    r"""Return a square matrix of independent entries without any symmetry.

    All entries are independent, have mean 0 and

    .. math:: \mathbb E\, \lvert G_{ij} \rvert^2 = 1/n.

    The eigenvalues follow ``CircularLaw()`` on the unit disc, and the squared
    singular values follow ``MarchenkoPastur(1.0)``.

    Parameters
    ----------
    n : int
        Rows and columns.
    field, entries, dof, rng
        As in ``wigner``.

    Returns
    -------
    ndarray, shape (n, n)

    Raises
    ------
    ValueError
        As ``wigner`` does.

    References
    ----------
    Ginibre, Statistical Ensembles of Complex, Quaternion, and Real Matrices,
    Journal of Mathematical Physics 6 (1965).

    Examples
    --------
    >>> float(np.abs(np.linalg.eigvals(ginibre(400, rng=0))).max().round(1))
    1.0
    """
    size = integer("n", n)
    return _standardised((size, size), field, entries, dof, rng) / math.sqrt(size)


def ginibre_product(
    n: int, factors: int, *, field: str = "real", rng: Seed = 0
) -> FloatArray | ComplexArray:
    r"""Return the product of independent matrices that ``ginibre`` draws.

    With :math:`G_1, \dots, G_L` as in ``ginibre`` it is

    .. math:: P = G_1 G_2 \cdots G_L, \qquad \mathbb E\, \lvert P_{ij} \rvert^2 = 1/n.

    The squared singular values follow ``FussCatalan(L)``, the eigenvalues
    ``CircularLaw(L)``.

    Parameters
    ----------
    n : int
        Rows and columns.
    factors : int
        :math:`L`, at least 1.
    field : {"real", "complex"}
        Kind of the entries.
    rng : Generator or int
        Source of randomness, or a seed for one.

    Returns
    -------
    ndarray, shape (n, n)

    Raises
    ------
    ValueError
        If `n` or `factors` is below 1, or `field` unknown.

    References
    ----------
    Burda, Janik & Waclaw, Spectrum of the product of independent random
    Gaussian matrices, Physical Review E 81 (2010).

    Examples
    --------
    >>> ginibre_product(3, 4, rng=0).shape
    (3, 3)
    """
    source, count = generator("rng", rng), integer("factors", factors)
    product: Any = ginibre(n, field=field, rng=source)
    for _ in range(count - 1):
        product = product @ ginibre(n, field=field, rng=source)
    return np.asarray(product)


def wishart(
    n: int,
    p: int,
    *,
    field: str = "real",
    entries: str = "gaussian",
    dof: float = 5.0,
    rng: Seed = 0,
) -> FloatArray | ComplexArray:
    r"""Return the covariance matrix of samples that are pure noise.

    With :math:`n` samples as rows of :math:`X`, whose :math:`p` columns have
    independent entries of mean 0 and variance 1, it is

    .. math:: S = X^* X / n, \qquad \mathbb E\, S = I,

    where the star transposes and conjugates. The eigenvalues follow
    ``MarchenkoPastur(p / n)``. (The name is Wishart's for Gaussian entries; the
    factor :math:`1/n` is not part of his definition.)

    Parameters
    ----------
    n : int
        Samples.
    p : int
        Variables, which is the size of the result.
    field, entries, dof, rng
        As in ``wigner``.

    Returns
    -------
    ndarray, shape (p, p)
        Symmetric or Hermitian. No mean is subtracted.

    Raises
    ------
    ValueError
        If `p` is below 1, and as ``wigner`` does.

    References
    ----------
    Wishart, The Generalised Product Moment Distribution in Samples from a
    Normal Multivariate Population, Biometrika 20A (1928).

    Examples
    --------
    >>> wishart(4, 2, entries="signs", rng=0)
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    rows, columns = integer("n", n), integer("p", p)
    x: Any = _standardised((rows, columns), field, entries, dof, rng)
    return np.asarray(x.conj().T @ x / rows)


def heavy_tailed(n: int, *, alpha: float, rng: Seed = 0) -> FloatArray:
    r"""Return a symmetric matrix whose entries have no variance.

    Entries on and above the diagonal are independent,

    .. math:: A_{ij} = n^{-1/\alpha}\, t_{ij},

    where :math:`t_{ij}` follows Student's law with :math:`\alpha < 2` degrees of
    freedom: Cauchy's for :math:`\alpha = 1`. The largest entries of a row stay of
    the order of 1 as `n` grows. The eigenvalues follow a law that is not the
    semicircle and has the same heavy tail.

    Parameters
    ----------
    n : int
        Rows and columns.
    alpha : float
        Degrees of freedom, above 0 and below 2. From 2 on use ``wigner``.
    rng : Generator or int
        Source of randomness, or a seed for one.

    Returns
    -------
    ndarray, shape (n, n)

    Raises
    ------
    ValueError
        If `n` is below 1, or `alpha` outside 0 to 2.

    References
    ----------
    Cizeau & Bouchaud, Theory of Lévy matrices, Physical Review E 50 (1994);
    Ben Arous & Guionnet, The Spectrum of Heavy Tailed Random Matrices,
    Communications in Mathematical Physics 278 (2008).

    Examples
    --------
    >>> a = heavy_tailed(3, alpha=1.0, rng=0)
    >>> bool(np.all(a == a.T))
    True
    """
    size = integer("n", n)
    index = real("alpha", alpha, minimum=0.0, maximum=2.0, open_minimum=True, open_maximum=True)
    draws = np.triu(generator("rng", rng).standard_t(index, size=(size, size)))
    return np.asarray((draws + np.triu(draws, 1).T) * size ** (-1 / index))


def sparse(n: int, *, degree: float, rng: Seed = 0) -> FloatArray:
    r"""Return a symmetric matrix of signs, most of which are replaced by zero.

    Entries on and above the diagonal are independent,

    .. math:: A_{ij} = b_{ij} s_{ij} / \sqrt d, \qquad \mathbb E\, A_{ij}^2 = 1/n,

    where :math:`b_{ij}` is 1 with probability :math:`d/n` and otherwise 0, and
    :math:`s_{ij}` is a random sign. A row holds :math:`d` entries on average. If
    :math:`d` grows with `n`, the eigenvalues follow ``Semicircle()``; if it stays,
    they do not.

    Parameters
    ----------
    n : int
        Rows and columns.
    degree : float
        :math:`d`, above 0 and at most `n`.
    rng : Generator or int
        Source of randomness, or a seed for one.

    Returns
    -------
    ndarray, shape (n, n)
        Stored in full.

    Raises
    ------
    ValueError
        If `n` is below 1, or `degree` outside 0 to `n`.

    References
    ----------
    Rodgers & Bray, Density of states of a sparse random matrix, Physical
    Review B 37 (1988).

    Examples
    --------
    >>> a = sparse(1000, degree=3.0, rng=0)
    >>> float((a != 0).sum(axis=1).mean().round())
    3.0
    """
    size = integer("n", n)
    mean = real("degree", degree, minimum=0.0, maximum=size, open_minimum=True)
    source = generator("rng", rng)
    kept = source.random((size, size)) < mean / size
    draws = np.triu(kept * _signs(source, (size, size)))
    return np.asarray((draws + np.triu(draws, 1).T) / math.sqrt(mean))


def _signs(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    return 2.0 * rng.integers(0, 2, size=shape) - 1.0


def _standardised(
    shape: tuple[int, int], field: str, entries: str, dof: float, rng: Seed
) -> FloatArray | ComplexArray:
    """Return independent entries of mean 0 and mean square 1."""
    choice("field", field, _FIELDS)
    choice("entries", entries, ENTRIES)
    freedom = real("dof", dof, minimum=2.0, open_minimum=True)
    source = generator("rng", rng)

    def draw() -> FloatArray:
        if entries == "gaussian":
            return source.standard_normal(shape)
        if entries == "signs":
            return _signs(source, shape)
        if entries == "uniform":
            return source.uniform(-math.sqrt(3), math.sqrt(3), size=shape)
        return source.standard_t(freedom, size=shape) * math.sqrt((freedom - 2) / freedom)

    if field == "real":
        return draw()
    return np.asarray((draw() + 1j * draw()) / math.sqrt(2))
