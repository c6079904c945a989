"""The checks of the lesson *The singular value decomposition*."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA

from companion import check
from companion.check import Exercise
from companion.matrices import low_rank_approximation, pca, pseudo_inverse
from tests.check.oracles import reseeded


def truncated_svd(matrix, rank):
    U, s, Vt = np.linalg.svd(matrix, full_matrices=False)
    return (U[:, :rank] * s[:rank]) @ Vt[:rank]


def truncated_by_a_sum(matrix, rank):
    U, s, Vt = np.linalg.svd(matrix)
    return sum((s[i] * np.outer(U[:, i], Vt[i]) for i in range(rank)), np.zeros(matrix.shape))


def truncated_by_a_diagonal(matrix, rank):
    U, s, Vt = np.linalg.svd(matrix, full_matrices=False)
    s[rank:] = 0
    return U @ np.diag(s) @ Vt


def pinv(matrix, rtol):
    U, s, Vt = np.linalg.svd(matrix, full_matrices=False)
    kept = s > rtol * s.max()
    return (Vt[kept].T / s[kept]) @ U[:, kept].T


def pca_reconstruct(x, k):
    mean = x.mean(axis=0)
    U, s, Vt = np.linalg.svd(x - mean, full_matrices=False)
    return (U[:, :k] * s[:k]) @ Vt[:k] + mean, (s[:k] ** 2).sum() / (s**2).sum()


def pca_by_scikit_learn(x, k):
    model = PCA(k, svd_solver="full").fit(x)
    share = model.explained_variance_ratio_.sum()
    return model.inverse_transform(model.transform(x)), share


def pca_by_the_package(x, k):
    model = pca(x, k)
    return model.inverse_transform(model.transform(x)), model.explained_variance_ratio.sum()


def blocks_as_rows(image, size):
    height, width = image.shape
    cut = image.reshape(height // size, size, width // size, size)
    return cut.swapaxes(1, 2).reshape(-1, size * size)


def blocks_by_windows(image, size):
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size))
    return windows[::size, ::size].reshape(-1, size * size)


RIGHT = [
    (check.truncated_svd, truncated_svd),
    (check.truncated_svd, truncated_by_a_sum),
    (check.truncated_svd, truncated_by_a_diagonal),
    (check.truncated_svd, low_rank_approximation),
    (check.pinv, pinv),
    (check.pinv, lambda matrix, rtol: pseudo_inverse(matrix, rtol=rtol)),
    (check.pca_reconstruct, pca_reconstruct),
    (check.pca_reconstruct, pca_by_scikit_learn),
    (check.pca_reconstruct, pca_by_the_package),
    (check.blocks_as_rows, blocks_as_rows),
    (check.blocks_as_rows, blocks_by_windows),
]


@pytest.mark.parametrize(("exercise", "solution"), RIGHT)
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_right_answers_pass(
    exercise: Exercise, solution: Callable[..., Any], seed: int | None
) -> None:
    """Oracle: answers by several ways, on several sets of cases."""
    if seed is not None:
        exercise = reseeded(exercise, seed)
    result = exercise(solution)
    assert result, result.message


def svd(matrix):
    return np.linalg.svd(matrix, full_matrices=False)


def smallest(matrix, rank):
    U, s, Vt = svd(matrix)
    order = np.argsort(s)[:rank]
    return (U[:, order] * s[order]) @ Vt[order]


def without_values(matrix, rank):
    U, _, Vt = svd(matrix)
    return U[:, :rank] @ Vt[:rank]


def values_twice(matrix, rank):
    U, s, Vt = svd(matrix)
    return (U[:, :rank] * s[:rank]) @ np.diag(s[:rank]) @ Vt[:rank]


def first_rows(matrix, rank):
    return np.where(np.arange(len(matrix))[:, None] < rank, matrix, 0)


def first_columns(matrix, rank):
    kept = matrix.copy()
    kept[:, rank:] = 0
    return kept


def columns_for_rows(matrix, rank):
    U, s, V = np.linalg.svd(matrix)
    return sum((s[i] * np.outer(U[:, i], V[:, i]) for i in range(rank)), np.zeros(matrix.shape))


def inverse_of(values):
    def wrong(matrix, rtol):
        U, s, Vt = svd(matrix)
        with np.errstate(all="ignore"):
            return Vt.T @ np.diag(values(s, rtol)) @ U.T

    return wrong


def in_place(matrix, rtol):
    result = pinv(matrix, rtol)
    matrix /= 2
    return result


def share_of(x, k, share):
    return pca_reconstruct(x, k)[0], share(np.linalg.svd(x - x.mean(axis=0))[1])


def around(mean):
    def wrong(x, k):
        rest, share = x - mean(x), None
        U, s, Vt = svd(rest)
        share = (s[:k] ** 2).sum() / (s**2).sum()
        return (U[:, :k] * s[:k]) @ Vt[:k] + mean(x), share

    return wrong


def least_variance(x, k):
    model = PCA(svd_solver="full").fit(x)
    rows = model.components_[-k:]
    kept = (x - model.mean_) @ rows.T @ rows + model.mean_
    return kept, model.explained_variance_ratio_[:k].sum()


def uncentred_scores(x, k):
    model = PCA(k, svd_solver="full").fit(x)
    rebuilt = x @ model.components_.T @ model.components_ + x.mean(axis=0)
    return rebuilt, model.explained_variance_ratio_.sum()


def standardised(x, k):
    rebuilt, share = pca_by_scikit_learn((x - x.mean(axis=0)) / x.std(axis=0), k)
    return rebuilt * x.std(axis=0) + x.mean(axis=0), share


def cut_into_four(image, size):
    return image.reshape(image.shape[0] // size, size, image.shape[1] // size, size)


def blocks(image, size, order):
    rows = blocks_as_rows(image, size).reshape(
        image.shape[0] // size, image.shape[1] // size, size, size
    )
    return rows.transpose(order).reshape(-1, size * size)


WRONG = [
    (check.truncated_svd, smallest, "keeps the smallest"),
    (check.truncated_svd, without_values, "missing from the product"),
    (check.truncated_svd, values_twice, "enter twice"),
    (
        check.truncated_svd,
        lambda w, k: truncated_svd(w, min(k + 1, *w.shape)),
        "one singular value too many",
    ),
    (check.truncated_svd, lambda w, k: truncated_svd(w, max(k - 1, 0)), "too few"),
    (check.truncated_svd, lambda w, k: w - truncated_svd(w, k), "leaves out"),
    (check.truncated_svd, columns_for_rows, "rows of Vt"),
    (check.truncated_svd, first_rows, "first rows of the matrix"),
    (check.truncated_svd, first_columns, "first columns of the matrix"),
    (check.truncated_svd, lambda w, k: w, "is"),
    (check.truncated_svd, lambda w, k: truncated_svd(w, k).T, "it is the transpose"),
    (check.truncated_svd, lambda w, k: svd(w), "should be an array of shape"),
    (check.truncated_svd, lambda w, k: -truncated_svd(w, k), "wrong sign"),
    (check.pinv, inverse_of(lambda s, r: 1 / s), "inverts every"),
    (check.pinv, inverse_of(lambda s, r: np.where(s == 0, 0, 1 / s)), "exact zeros only"),
    (check.pinv, inverse_of(lambda s, r: np.where(s > r, 1 / s, 0)), "absolute number"),
    (
        check.pinv,
        inverse_of(lambda s, r: np.where((s < r * s[0]) | (s == 0), 0, 1 / s)),
        "exactly at the limit",
    ),
    (check.pinv, inverse_of(lambda s, r: np.where(s > r * s[0], 0, 1 / s)), "changed places"),
    (check.pinv, inverse_of(lambda s, r: np.where(s > r * s[0], s, 0)), "not inverted"),
    (check.pinv, inverse_of(lambda s, r: 1 / np.clip(s, r * s[0], None)), "raised to the limit"),
    (check.pinv, inverse_of(lambda s, r: np.where(s > r * sum(s), 1 / s, 0)), "share of the sum"),
    (
        check.pinv,
        inverse_of(lambda s, r: np.where(s > r * np.sqrt(s @ s), 1 / s, 0)),
        "share of the Frobenius norm",
    ),
    (check.pinv, lambda w, r: pinv(w, r).T, "old order"),
    (check.pinv, in_place, "in place"),
    (check.pca_reconstruct, around(lambda x: 0), "not centred"),
    (
        check.pca_reconstruct,
        lambda x, k: (pca_reconstruct(x, k)[0] - x.mean(axis=0), pca_reconstruct(x, k)[1]),
        "not added back",
    ),
    (check.pca_reconstruct, around(lambda x: x.mean(axis=1)[:, None]), "mean of each sample"),
    (check.pca_reconstruct, around(lambda x: x.mean()), "One mean"),
    (check.pca_reconstruct, least_variance, "smallest variance"),
    (
        check.pca_reconstruct,
        lambda x, k: share_of(x, k, lambda s: s[:k].sum() / s.sum()),
        "adds up singular values",
    ),
    (
        check.pca_reconstruct,
        lambda x, k: share_of(x, k, lambda s: s[k - 1] ** 2 / (s**2).sum()),
        "last direction kept",
    ),
    (
        check.pca_reconstruct,
        lambda x, k: share_of(x, k, lambda s: (s[k:] ** 2).sum() / (s**2).sum()),
        "what is lost",
    ),
    (
        check.pca_reconstruct,
        lambda x, k: share_of(x, k, lambda s: 100 * (s[:k] ** 2).sum() / (s**2).sum()),
        "percentage",
    ),
    (check.pca_reconstruct, uncentred_scores, "projected as they are"),
    (check.pca_reconstruct, standardised, "standard deviations"),
    (
        check.pca_reconstruct,
        lambda x, k: share_of(x, k, lambda s: (s[:k] ** 2).sum() / (len(x) - 1)),
        "not divided by that of all",
    ),
    (check.pca_reconstruct, lambda x, k: pca_reconstruct(x, k)[0], "2 values"),
    (check.pca_reconstruct, lambda x, k: pca_reconstruct(x, k)[::-1], "reconstruction"),
    (check.blocks_as_rows, lambda image, size: image.reshape(-1, size * size), "strip"),
    (
        check.blocks_as_rows,
        lambda image, size: blocks(image, size, (1, 0, 2, 3)),
        "come column by column",
    ),
    (
        check.blocks_as_rows,
        lambda image, size: blocks(image, size, (0, 1, 3, 2)),
        "Each block is transposed",
    ),
    (check.blocks_as_rows, lambda image, size: blocks_as_rows(image.T, size), "and each is"),
    (
        check.blocks_as_rows,
        lambda image, size: cut_into_four(image, size).swapaxes(0, 1).reshape(-1, size * size),
        "The first two axes",
    ),
    (
        check.blocks_as_rows,
        lambda image, size: cut_into_four(image, size).swapaxes(2, 3).reshape(-1, size * size),
        "The last two axes",
    ),
    (
        check.blocks_as_rows,
        lambda image, size: blocks_as_rows(image, size).reshape(-1, size, size),
        "two axes",
    ),
    (
        check.blocks_as_rows,
        lambda image, size: np.array(
            [
                image[i : i + size, j : j + size].ravel()
                for i in range(len(image) - size + 1)
                for j in range(image.shape[1] - size + 1)
            ]
        ),
        "overlap",
    ),
    (check.blocks_as_rows, lambda image, size: blocks_as_rows(image, size).T, "in a column"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    result = exercise(answer)
    assert not result
    assert words in result.message, result.message


def test_six_wrong_answers_for_each_exercise() -> None:
    """Oracle: the rule in CONTRIBUTING.md."""
    names = [exercise.name for exercise, _, _ in WRONG]
    assert min(names.count(exercise.name) for exercise, _ in RIGHT) >= 6
