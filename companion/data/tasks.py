"""Tasks in a row, made from the digits: a few classes at a time, or all with permuted pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from companion._validation import FloatArray, IntArray, Seed, generator, integer
from companion.data.images import load_digits

_PAIRS = ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9))


@dataclass(frozen=True)
class Task:
    """One task of a sequence, cut into three parts that share no image.

    Attributes
    ----------
    name : str
    x_train, x_val, x_test : ndarray, shape (N, features)
        One image a row.
    y_train, y_val, y_test : ndarray of int, shape (N,)
        The digit that each image shows.
    classes : tuple of int
        The digits of this task.
    """

    name: str
    x_train: FloatArray
    y_train: IntArray
    x_val: FloatArray
    y_val: IntArray
    x_test: FloatArray
    y_test: IntArray
    classes: tuple[int, ...]

    @property
    def features(self) -> int:
        """Length of one sample."""
        return int(self.x_train.shape[1])

    def __repr__(self) -> str:
        """Return name, classes and the sizes of the three parts."""
        return (
            f"Task({self.name!r}, classes={self.classes}, train={len(self.y_train)}, "
            f"val={len(self.y_val)}, test={len(self.y_test)})"
        )


def split_tasks(
    groups: Sequence[Sequence[int]] = _PAIRS,
    *,
    split_rng: Seed = 0,
    dtype: DTypeLike = np.float64,
) -> list[Task]:
    """Return tasks with a few digits each: zero or one, then two or three, and so on.

    Parameters
    ----------
    groups : sequence of sequences of int, default pairs in order
        The classes of each task. No class may stand in two tasks, or twice in one.
    split_rng : Generator or int, default 0
        For the split of the images into training, validation and test, see
        :func:`.load_digits`.
    dtype : float64 or float32
        Of the pixels.

    Returns
    -------
    list of Task

    Raises
    ------
    ValueError
        If there is no group, a group is empty, or a class is unknown or repeated.

    Examples
    --------
    >>> split_tasks()[0]
    Task('0 1', classes=(0, 1), train=216, val=71, test=73)
    >>> [task.name for task in split_tasks([[9, 3], [4, 1, 7]])]
    ['9 3', '4 1 7']
    """
    if len(groups) == 0:
        raise ValueError("groups must hold at least one group of classes, got none")
    split = load_digits(rng=split_rng, dtype=dtype)
    taken: set[int] = set()
    tasks = []
    for i, group in enumerate(groups):
        digits = tuple(integer(f"groups[{i}]", digit, minimum=0) for digit in group)
        if not digits:
            raise ValueError(f"groups[{i}] must hold at least one class, got none")
        for digit in digits:
            if digit >= split.classes:
                raise ValueError(f"groups[{i}] must hold digits from 0 to 9, got {digit}")
            if digit in taken:
                raise ValueError(f"groups[{i}] must not repeat a class, got {digit} again")
            taken.add(digit)
        train, val, test = (np.isin(y, digits) for y in (split.y_train, split.y_val, split.y_test))
        tasks.append(
            Task(
                " ".join(map(str, digits)),
                split.x_train[train],
                split.y_train[train],
                split.x_val[val],
                split.y_val[val],
                split.x_test[test],
                split.y_test[test],
                classes=digits,
            )
        )
    return tasks


def permuted_tasks(
    n: int, *, rng: Seed, split_rng: Seed = 0, dtype: DTypeLike = np.float64
) -> list[Task]:
    """Return tasks with all ten digits, whose pixels stand in another fixed order in each.

    The first task has the pixels in their own order. The images are split once:
    a test image of one task is never a training image of another.

    Parameters
    ----------
    n : int
        Number of tasks.
    rng : Generator or int
        For the permutations.
    split_rng : Generator or int, default 0
        For the split of the images, see :func:`.load_digits`.
    dtype : float64 or float32
        Of the pixels.

    Returns
    -------
    list of Task

    Raises
    ------
    ValueError
        If `n` is below 1.

    Examples
    --------
    >>> first, second = permuted_tasks(2, rng=0)
    >>> second
    Task('permutation 1', classes=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9), train=1077, val=360, test=360)
    >>> bool(np.all(np.sort(first.x_test) == np.sort(second.x_test)))
    True
    """
    count, random = integer("n", n), generator("rng", rng)
    split = load_digits(rng=split_rng, dtype=dtype)
    tasks = []
    for i in range(count):
        order = np.arange(split.features) if i == 0 else random.permutation(split.features)
        tasks.append(
            Task(
                f"permutation {i}" if i else "pixels in order",
                split.x_train[:, order],
                split.y_train,
                split.x_val[:, order],
                split.y_val,
                split.x_test[:, order],
                split.y_test,
                classes=tuple(range(split.classes)),
            )
        )
    return tasks
