"""Ratings made from a seed: their rank, their variance, and which of them are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion import data


@given(
    users=st.integers(2, 12),
    items=st.integers(2, 12),
    share=st.floats(0.05, 1.0),
    seed=st.integers(0, 99),
)
def test_masks_are_disjoint_and_hold_the_share_asked_for(users, items, share, seed):
    """Oracle: counts: each known entry once; 70, 15 and 15 per cent, within rounding."""
    ratings = data.make_ratings(users, items, rank=1, observed=share, noise=0.1, rng=seed)
    masks = np.array([ratings.train, ratings.val, ratings.test])
    assert masks.sum(axis=0).max() <= 1
    known = masks.sum()
    assert known == round(share * users * items)
    assert np.abs(masks.sum(axis=(1, 2)) - known * np.array([0.7, 0.15, 0.15])).max() <= 1


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_the_truth_less_its_mean_has_the_rank_asked_for(rank):
    """Oracle: numpy.linalg.matrix_rank; without noise the values are the truth."""
    ratings = data.make_ratings(30, 20, rank=rank, observed=0.5, noise=0.0, rng=1)
    assert np.linalg.matrix_rank(ratings.truth - 3.0) == rank
    assert np.array_equal(ratings.values, ratings.truth)


def test_truth_and_noise_have_the_variance_they_should():
    """Oracle: variance 1 and noise squared, within four standard errors at 200,000 entries."""
    ratings = data.make_ratings(500, 400, rank=40, observed=0.5, noise=0.5, rng=0)
    noise = ratings.values - ratings.truth
    assert noise.std() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(2 * noise.size))
    # The entries of the truth depend on each other, through 500 users and 400 items.
    assert ratings.truth.std() == pytest.approx(1.0, abs=0.05)
    assert ratings.truth.mean() == pytest.approx(3.0, abs=0.05)


def test_ratings_follow_their_seed():
    """Oracle: a seed is short for its generator, and another gives other ratings."""
    arguments = {"rank": 2, "observed": 0.5, "noise": 0.1}
    one = data.make_ratings(9, 8, **arguments, rng=5)
    same = data.make_ratings(9, 8, **arguments, rng=np.random.default_rng(5))
    other = data.make_ratings(9, 8, **arguments, rng=6)
    assert np.array_equal(one.values, same.values)
    assert np.array_equal(one.train, same.train)
    assert not np.array_equal(one.values, other.values)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"users": 0}, ValueError, "users must be at least 1, got 0"),
        ({"items": 2.0}, TypeError, "items must be an integer, got 2.0"),
        ({"rank": 5}, ValueError, r"rank must be at most min\(users, items\) = 4, got 5"),
        ({"rank": 0}, ValueError, "rank must be at least 1, got 0"),
        ({"observed": 0.0}, ValueError, r"observed must lie in \(0, 1\], got 0.0"),
        ({"noise": -1.0}, ValueError, "noise must lie in"),
        ({"rng": None}, TypeError, "rng must be a numpy.random.Generator"),
    ],
)
def test_make_ratings_refuses(change, error, message):
    arguments = {"users": 6, "items": 4, "rank": 2, "observed": 0.5, "noise": 0.1, "rng": 0}
    with pytest.raises(error, match=message):
        data.make_ratings(**(arguments | change))
