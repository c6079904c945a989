"""The exercises of the lesson *The singular value decomposition*."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake, distinct_sizes

Factors = tuple[FloatArray, FloatArray, FloatArray]


def _factors(matrix: FloatArray) -> Factors:
    U, s, Vt = np.linalg.svd(matrix, full_matrices=False)
    return U, s, Vt


def _rank_case(rng: np.random.Generator) -> Mapping[str, Any]:
    shape = distinct_sizes(rng, 2, low=3, high=9)
    return {"matrix": rng.normal(size=shape), "rank": int(rng.integers(1, min(shape)))}


def _project_on_eigenvectors(matrix: FloatArray, rank: int) -> FloatArray:
    _, vectors = np.linalg.eigh(matrix.T @ matrix)
    best = vectors[:, vectors.shape[1] - rank :]
    return np.asarray(matrix @ best @ best.T)


def _only_rows(matrix: FloatArray, rank: int) -> FloatArray:
    kept = np.zeros_like(matrix)
    kept[:rank] = matrix[:rank]
    return kept


def _only_columns(matrix: FloatArray, rank: int) -> FloatArray:
    return _only_rows(matrix.T, rank).T


def _columns_of_vt(matrix: FloatArray, rank: int) -> FloatArray:
    U, s, Vt = np.linalg.svd(matrix)
    return np.asarray((U[:, :rank] * s[:rank]) @ Vt[:, :rank].T)


def _rank_but(
    change: Callable[[FloatArray, FloatArray, FloatArray, int], FloatArray],
) -> Callable[[FloatArray, int], FloatArray]:
    return lambda matrix, rank: change(*_factors(matrix), rank)


truncated_svd = Exercise(
    name="truncated_svd",
    oracle=_project_on_eigenvectors,
    sample=_rank_case,
    edge_cases=[
        {"matrix": np.array([[3.0, 0.0, 0.0], [4.0, 5.0, 0.0]]), "rank": 2},
        {"matrix": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), "rank": 0},
    ],
    mistakes=[
        Mistake(
            "It keeps the smallest singular values; the largest matter most.",
            variant=_rank_but(
                lambda U, s, Vt, k: (U[:, s.size - k :] * s[s.size - k :]) @ Vt[s.size - k :]
            ),
        ),
        Mistake(
            "The singular values are missing from the product.",
            variant=_rank_but(lambda U, s, Vt, k: U[:, :k] @ Vt[:k]),
        ),
        Mistake(
            "The singular values enter twice.",
            variant=_rank_but(lambda U, s, Vt, k: (U[:, :k] * s[:k] ** 2) @ Vt[:k]),
        ),
        Mistake(
            "It keeps one singular value too many.",
            variant=_rank_but(lambda U, s, Vt, k: (U[:, : k + 1] * s[: k + 1]) @ Vt[: k + 1]),
        ),
        Mistake(
            "It keeps one singular value too few.",
            variant=_rank_but(
                lambda U, s, Vt, k: (U * s * (np.arange(s.size) < k - 1)) @ Vt,
            ),
        ),
        Mistake(
            "This is what the approximation leaves out. The approximation itself is asked for.",
            variant=_rank_but(lambda U, s, Vt, k: (U[:, k:] * s[k:]) @ Vt[k:]),
        ),
        Mistake(
            "The right singular vectors are the rows of Vt; it takes columns.",
            variant=_columns_of_vt,
        ),
        Mistake(
            "It keeps the first rows of the matrix. The directions to keep are singular vectors.",
            variant=_only_rows,
        ),
        Mistake(
            "It keeps the first columns of the matrix. The directions to keep are singular "
            "vectors.",
            variant=_only_columns,
        ),
    ],
    success="No matrix of this rank is nearer, for tall and wide matrices.",
)


def _inverse_case(rng: np.random.Generator) -> Mapping[str, Any]:
    shape = distinct_sizes(rng, 2, low=3, high=8)
    r, rtol = min(shape), float(10 ** rng.uniform(-4, -2))
    # Clearly above the limit or clearly below it, at any size of the matrix.
    s = np.where(np.arange(r) < rng.integers(1, r), rng.uniform(0.2, 1, r), 0.1 * rtol)
    U, V = (np.linalg.qr(rng.normal(size=(length, r)))[0] for length in shape)
    return {"matrix": 10 ** rng.uniform(-5, 5) * (U * s) @ V.T, "rtol": rtol}


def _inverse_but(
    change: Callable[[FloatArray, float], FloatArray],
) -> Callable[[FloatArray, float], FloatArray]:
    """Return a wrong inverse that puts ``change(s, rtol)`` in the place of the inverted values."""

    def wrong(matrix: FloatArray, rtol: float) -> FloatArray:
        U, s, Vt = _factors(matrix)
        with np.errstate(all="ignore"):
            return np.asarray((Vt.T * change(s, rtol)) @ U.T)

    return wrong


def _largest(s: FloatArray) -> float:
    return float(s.max(initial=0.0))


pinv = Exercise(
    name="pinv",
    oracle=lambda matrix, rtol: np.linalg.pinv(matrix, rtol=rtol),
    sample=_inverse_case,
    edge_cases=[
        {"matrix": np.zeros((2, 3)), "rtol": 1e-10},
        {"matrix": np.array([[2.0, 1.0], [0.0, 4.0]]), "rtol": 1e-10},
        {"matrix": np.diag([4.0, 1.0, 0.0]), "rtol": 0.25},
        {"matrix": np.diag([4.0, 3.0, 2.0]), "rtol": 0.45},
    ],
    mistakes=[
        Mistake(
            "A value exactly at the limit counts as zero.",
            variant=_inverse_but(
                lambda s, rtol: np.where((s >= rtol * _largest(s)) & (s > 0), 1 / s, 0)
            ),
        ),
        Mistake(
            "It inverts every singular value, also those that count as zero.",
            variant=_inverse_but(lambda s, rtol: 1 / s),
        ),
        Mistake(
            "It leaves out exact zeros only. Values below the tolerance count as zero as well.",
            variant=_inverse_but(lambda s, rtol: np.where(s > 0, 1 / s, 0)),
        ),
        Mistake(
            "The tolerance is taken as an absolute number; it is a share of the largest "
            "singular value.",
            variant=_inverse_but(lambda s, rtol: np.where(s > rtol, 1 / s, 0)),
        ),
        Mistake(
            "The limit is a share of the sum of the singular values; a share of the largest is "
            "asked for.",
            variant=_inverse_but(lambda s, rtol: np.where(s > rtol * s.sum(), 1 / s, 0)),
        ),
        Mistake(
            "The limit is a share of the Frobenius norm; a share of the largest singular value "
            "is asked for.",
            variant=_inverse_but(lambda s, rtol: np.where(s > rtol * np.linalg.norm(s), 1 / s, 0)),
        ),
        Mistake(
            "Kept and dropped singular values have changed places.",
            variant=_inverse_but(lambda s, rtol: np.where(s <= rtol * _largest(s), 1 / s, 0)),
        ),
        Mistake(
            "The singular values are not inverted: this is the transpose of an approximation.",
            variant=_inverse_but(lambda s, rtol: np.where(s > rtol * _largest(s), s, 0)),
        ),
        Mistake(
            "Small values are raised to the limit and inverted; they should be left out.",
            variant=_inverse_but(lambda s, rtol: 1 / np.maximum(s, rtol * _largest(s))),
        ),
        Mistake(
            "The factors stand in their old order. An inverse turns the order round.",
            variant=lambda matrix, rtol: np.linalg.pinv(matrix, rtol=rtol).T,
        ),
    ],
    success="It agrees with NumPy's, at the limit, and for a matrix of zeros too.",
    rtol=1e-6,
)


def _samples_case(rng: np.random.Generator) -> Mapping[str, Any]:
    samples, features = distinct_sizes(rng, 2, low=4, high=10)
    spread = rng.permutation(np.geomspace(1, 5, features))
    x = rng.normal(size=(samples, features)) * spread + rng.uniform(-10, 10, size=features)
    return {"x": x, "k": int(rng.integers(1, min(samples - 1, features)))}


def _by_covariance(x: FloatArray, k: int) -> tuple[FloatArray, float]:
    values, vectors = np.linalg.eigh(np.cov(x, rowvar=False))
    best, mean = vectors[:, -k:], x.mean(axis=0)
    return (x - mean) @ best @ best.T + mean, float(values[-k:].sum() / values.sum())


def _share(s: FloatArray, k: int) -> float:
    return float(np.sum(s[:k] ** 2) / np.sum(s**2))


def _project_uncentred(x: FloatArray, k: int) -> tuple[FloatArray, float]:
    mean = x.mean(axis=0)
    _, s, Vt = _factors(x - mean)
    return x @ Vt[:k].T @ Vt[:k] + mean, _share(s, k)


def _standardised(x: FloatArray, k: int) -> tuple[FloatArray, float]:
    mean, spread = x.mean(axis=0), x.std(axis=0)
    U, s, Vt = _factors((x - mean) / spread)
    return (U[:, :k] * s[:k]) @ Vt[:k] * spread + mean, _share(s, k)


def _not_a_share(x: FloatArray, k: int) -> tuple[FloatArray, float]:
    rebuilt, share = _by_covariance(x, k)
    return rebuilt, share * float(np.trace(np.cov(x, rowvar=False)))


def _pca_but(
    *,
    centre: Callable[[FloatArray], Any] = lambda x: x.mean(axis=0),
    back: bool = True,
    keep: Callable[[int], slice] = slice,
    share: Callable[[FloatArray, int], float] | None = None,
) -> Callable[[FloatArray, int], tuple[FloatArray, float]]:
    """Return a reconstruction with one part changed."""

    def wrong(x: FloatArray, k: int) -> tuple[FloatArray, float]:
        mean = centre(x)
        U, s, Vt = _factors(x - mean)
        kept = (U[:, keep(k)] * s[keep(k)]) @ Vt[keep(k)]
        return kept + mean if back else kept, (share or _share)(s, k)

    return wrong


pca_reconstruct = Exercise(
    name="pca_reconstruct",
    oracle=_by_covariance,
    sample=_samples_case,
    outputs=("reconstruction", "share"),
    edge_cases=[{"x": np.array([[3.0, 1.0], [3.0, -1.0], [-3.0, 1.0], [-3.0, -1.0]]), "k": 1}],
    mistakes=[
        Mistake(
            "The samples are not centred, so the first direction points at their mean.",
            variant=_pca_but(centre=lambda x: 0.0),
        ),
        Mistake(
            "The mean is not added back to the reconstruction.",
            variant=_pca_but(back=False),
        ),
        Mistake(
            "The directions come from centred samples, but the samples are projected as they "
            "are, so the mean enters twice.",
            variant=_project_uncentred,
        ),
        Mistake(
            "It divides the features by their standard deviations as well. Only the mean goes.",
            variant=_standardised,
        ),
        Mistake(
            "It subtracts the mean of each sample. Each feature has a mean of its own.",
            variant=_pca_but(centre=lambda x: x.mean(axis=1, keepdims=True)),
        ),
        Mistake(
            "One mean is subtracted from everything. Each feature has a mean of its own.",
            variant=_pca_but(centre=lambda x: x.mean()),
        ),
        Mistake(
            "It keeps the directions of smallest variance.",
            variant=_pca_but(keep=lambda k: slice(-k, None)),
        ),
        Mistake(
            "The share adds up singular values. A variance is the square of one.",
            variant=_pca_but(share=lambda s, k: float(s[:k].sum() / s.sum())),
        ),
        Mistake(
            "The share is that of the last direction kept; all kept ones count.",
            variant=_pca_but(share=lambda s, k: float(s[k - 1] ** 2 / np.sum(s**2))),
        ),
        Mistake(
            "The share is that of what is lost.",
            variant=_pca_but(share=lambda s, k: 1.0 - _share(s, k)),
        ),
        Mistake(
            "The share is a percentage; a number between 0 and 1 is asked for.",
            variant=_pca_but(share=lambda s, k: 100 * _share(s, k)),
        ),
        Mistake(
            "The variance of the kept components is not divided by that of all.",
            variant=_not_a_share,
        ),
    ],
    success="Reconstruction and share agree with the eigenvectors of the covariance matrix.",
)


def _blocks_case(rng: np.random.Generator) -> Mapping[str, Any]:
    size = int(rng.integers(2, 5))
    down, across = distinct_sizes(rng, 2, low=2, high=6)
    return {"image": rng.uniform(size=(down * size, across * size)), "size": size}


def _blocks_by_loops(image: FloatArray, size: int) -> FloatArray:
    height, width = image.shape
    return np.array(
        [
            image[row : row + size, column : column + size].ravel()
            for row in range(0, height, size)
            for column in range(0, width, size)
        ]
    )


def _blocks_but(axes: tuple[int, ...]) -> Callable[[FloatArray, int], FloatArray]:
    def wrong(image: FloatArray, size: int) -> FloatArray:
        height, width = image.shape
        cut = image.reshape(height // size, size, width // size, size)
        return np.asarray(cut.transpose(axes).reshape(-1, size * size))

    return wrong


blocks_as_rows = Exercise(
    name="blocks_as_rows",
    oracle=_blocks_by_loops,
    sample=_blocks_case,
    edge_cases=[{"image": np.arange(12.0).reshape(3, 4), "size": 1}],
    mistakes=[
        Mistake(
            "It cuts the pixels in reading order, so a row holds a strip of the image. "
            "Two axes have to change places first.",
            variant=lambda image, size: image.reshape(-1, size * size),
        ),
        Mistake(
            "The blocks are right, but come column by column. Reading order is asked for.",
            variant=_blocks_but((2, 0, 1, 3)),
        ),
        Mistake(
            "The first two axes change places: it should be row in the block and block column.",
            variant=_blocks_but((1, 0, 2, 3)),
        ),
        Mistake(
            "The last two axes change places: it should be row in the block and block column.",
            variant=_blocks_but((0, 1, 3, 2)),
        ),
        Mistake(
            "Each block is transposed.",
            variant=_blocks_but((0, 2, 3, 1)),
        ),
        Mistake(
            "Blocks come column by column, and each is transposed.",
            variant=_blocks_but((2, 0, 3, 1)),
        ),
        Mistake(
            "The blocks still have two axes; each should be one row.",
            variant=lambda image, size: _blocks_by_loops(image, size).reshape(-1, size, size),
        ),
        Mistake(
            "The blocks overlap. Each pixel belongs to one block.",
            variant=lambda image, size: np.lib.stride_tricks.sliding_window_view(
                image, (size, size)
            ).reshape(-1, size * size),
        ),
        Mistake(
            "Each block stands in a column; a row is asked for.",
            variant=lambda image, size: _blocks_by_loops(image, size).T,
        ),
    ],
    success="Every block is a row, and every pixel is in one place.",
)
