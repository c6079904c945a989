"""Ratings of items by users, of which only a part is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from companion._validation import FloatArray, Seed, generator, integer, real

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Ratings:
    """Ratings of which only a part is known, with the truth that a real data set never has.

    Attributes
    ----------
    values : ndarray, shape (users, items)
        What each user would say of each item: the truth plus noise. Only the entries that a
        mask names count as known.
    truth : ndarray, shape (users, items)
        What the ratings would be without noise.
    train, val, test : ndarray of bool, shape (users, items)
        Which entries are known for which purpose. No entry is in two of them.
    """

    values: FloatArray
    truth: FloatArray
    train: BoolArray
    val: BoolArray
    test: BoolArray

    def __repr__(self) -> str:
        """Return the sizes."""
        counts = ", ".join(
            f"{part}={getattr(self, part).sum()}" for part in ("train", "val", "test")
        )
        return f"Ratings(users={self.values.shape[0]}, items={self.values.shape[1]}, {counts})"


def make_ratings(
    users: int, items: int, *, rank: int, observed: float, noise: float, rng: Seed
) -> Ratings:
    """Return ratings whose deviation from the mean has a known rank.

    Each of `rank` hidden tastes gives every user and every item a number; a rating is 3 plus
    the sum of the products, scaled to variance 1, plus Gaussian noise. Which
    entries are known is decided by chance, the same for all: in real data it is not.

    Parameters
    ----------
    users, items : int
        Shape of the matrix.
    rank : int
        Rank of the truth without its mean, at most the smaller of the two sizes.
    observed : float in (0, 1]
        Share of all entries that is known: 70 % of these for training, 15 % for
        validation and 15 % for testing.
    noise : float
        Standard deviation of the noise, in units of the ratings; may be 0.
    rng : Generator or int
        Source of randomness, or a seed for one.

    Returns
    -------
    Ratings

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> make_ratings(50, 40, rank=3, observed=0.5, noise=0.2, rng=0)
    Ratings(users=50, items=40, train=700, val=150, test=150)
    """
    shape = (integer("users", users), integer("items", items))
    if integer("rank", rank) > min(shape):
        raise ValueError(f"rank must be at most min(users, items) = {min(shape)}, got {rank}")
    share = real("observed", observed, minimum=0.0, maximum=1.0, open_minimum=True)
    spread = real("noise", noise, minimum=0.0)
    random = generator("rng", rng)
    tastes, traits = random.normal(size=(shape[0], rank)), random.normal(size=(shape[1], rank))
    truth = 3.0 + tastes @ traits.T / np.sqrt(rank)
    values = truth + spread * random.normal(size=shape)
    known = random.permutation(truth.size)[: round(share * truth.size)]
    first, second = round(0.7 * known.size), round(0.85 * known.size)
    masks = []
    for part in np.split(known, [first, second]):
        mask = np.zeros(truth.size, dtype=np.bool_)
        mask[part] = True
        masks.append(mask.reshape(shape))
    return Ratings(values, truth, *masks)
