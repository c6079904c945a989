"""Tasks in a row: which images and classes are in them; no test image is trained on."""

import numpy as np
import pytest

from companion import data

PARTS = ("train", "val", "test")


def part(task, name):
    return getattr(task, f"x_{name}"), getattr(task, f"y_{name}")


def rows(x):
    return {tuple(row) for row in np.round(16 * x).astype(int)}


def test_split_tasks_cut_the_digits_by_class():
    """Oracle: load_digits: the rows of each part whose label is in the group, in their order."""
    split = data.load_digits(rng=3)
    groups = [[7, 2], [0], [9, 1, 4]]
    tasks = data.split_tasks(groups, split_rng=3)
    assert [task.classes for task in tasks] == [(7, 2), (0,), (9, 1, 4)]
    assert [task.name for task in tasks] == ["7 2", "0", "9 1 4"]
    for group, task in zip(groups, tasks, strict=True):
        assert task.features == 64
        for name in PARTS:
            x, y = part(split, name)
            chosen = np.array([label in group for label in y])
            assert np.array_equal(part(task, name)[0], x[chosen])
            assert np.array_equal(part(task, name)[1], y[chosen])


def test_split_tasks_hold_every_image_once_and_share_none():
    """Oracle: the 1,797 images, all different; disjoint sets over parts and tasks."""
    found = [rows(part(task, name)[0]) for task in data.split_tasks() for name in PARTS]
    assert sum(map(len, found)) == len(set.union(*found)) == 1797


def test_permuted_tasks_are_one_split_with_columns_moved():
    """Oracle: the columns of load_digits, the same order in all three parts of a task, another
    one in each task; the first unmoved."""
    split = data.load_digits(rng=5)
    tasks = data.permuted_tasks(4, rng=1, split_rng=5)
    orders = []
    for task in tasks:
        # Columns of the digits repeat (the blank ones), so compare with numbered columns.
        everything = np.concatenate([part(task, name)[0] for name in PARTS])
        original = np.concatenate([part(split, name)[0] for name in PARTS])
        order = np.lexsort(original)[np.argsort(np.lexsort(everything))]
        assert np.array_equal(everything, original[:, order])
        for name in PARTS:
            assert np.array_equal(part(task, name)[1], part(split, name)[1])
        orders.append(tuple(order))
        assert task.classes == tuple(range(10))
    assert np.array_equal(tasks[0].x_train, split.x_train)
    assert len(set(orders)) == 4
    assert [task.name for task in tasks[:2]] == ["pixels in order", "permutation 1"]


def test_no_test_image_of_one_permutation_is_trained_on_in_another():
    """Oracle: sorted pixels, which no permutation changes: no test row among the training rows
    of any task."""
    tasks = data.permuted_tasks(3, rng=0)
    trained = set.union(*(rows(np.sort(task.x_train)) for task in tasks))
    for task in tasks:
        assert not trained & rows(np.sort(task.x_test))
        assert not trained & rows(np.sort(task.x_val))


def test_seeds_and_types():
    """Oracle: one seed one result, another seed another; float32 on request."""
    one, again, other = (data.permuted_tasks(2, rng=seed)[1].x_train for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    first = data.permuted_tasks(2, rng=np.random.default_rng(1))[1].x_train
    assert np.array_equal(first, one)
    assert data.permuted_tasks(1, rng=0, dtype=np.float32)[0].x_test.dtype == np.float32
    assert data.split_tasks(dtype=np.float32)[0].x_val.dtype == np.float32
    assert data.split_tasks()[0].x_train.dtype == np.float64


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        ([], ValueError, "groups must hold at least one group of classes, got none"),
        ([[0], []], ValueError, r"groups\[1\] must hold at least one class"),
        ([[0, 10]], ValueError, r"groups\[0\] must hold digits from 0 to 9, got 10"),
        ([[-1]], ValueError, r"groups\[0\] must be at least 0, got -1"),
        ([[0, 1], [2, 1]], ValueError, r"groups\[1\] must not repeat a class, got 1 again"),
        ([[3, 3]], ValueError, r"groups\[0\] must not repeat a class, got 3 again"),
        ([[0.5]], TypeError, r"groups\[0\] must be an integer, got 0.5"),
    ],
)
def test_split_tasks_say_what_is_wrong(groups, error, message):
    """Oracle: the messages."""
    with pytest.raises(error, match=message):
        data.split_tasks(groups)


def test_permuted_tasks_say_what_is_wrong():
    """Oracle: the messages."""
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        data.permuted_tasks(0, rng=0)
    with pytest.raises(TypeError, match="rng must be"):
        data.permuted_tasks(1, rng=None)
