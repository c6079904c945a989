"""Saving and loading: the same numbers come back, and what does not fit is refused by name."""

import zipfile

import numpy as np
import pytest

from companion import network as cn
from tests.network.oracles import DTYPES, KINDS, make


def state(model):
    return {name: array.copy() for name, array in (model.parameters() | model.buffers()).items()}


def network(rng=0, **options):
    return cn.mlp([3, 4, 2], norm="batch", rng=rng, **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KINDS)
def test_round_trip(name, dtype, tmp_path):
    """Oracle: the arrays of the model that was saved, buffers included, in a model with others;
    then equal outputs."""
    rng = np.random.default_rng(0)
    saved, loaded = make(name, 3, rng, dtype), make(name, 3, rng, dtype)
    saved(rng.normal(size=(5, 3)).astype(dtype))
    cn.save(saved, tmp_path / "model.npz")
    arrays = loaded.parameters() | loaded.buffers()
    cn.load(loaded, tmp_path / "model.npz")
    for key, array in state(saved).items():
        assert np.array_equal(arrays[key], array)
        assert arrays[key].dtype == dtype
    x = rng.normal(size=(4, 3)).astype(dtype)
    assert np.array_equal(saved.eval()(x), loaded.eval()(x))


def test_the_file_is_a_plain_npz(tmp_path):
    """Oracle: numpy.load without pickles: names and values."""
    model = network()
    model(np.random.default_rng(0).normal(size=(5, 3)))
    cn.save(model, str(tmp_path / "model.npz"))
    with np.load(tmp_path / "model.npz", allow_pickle=False) as archive:
        assert sorted(archive.files) == sorted([*model.parameters(), *model.buffers()])
        assert "1.running_var" in archive.files
        for key, array in state(model).items():
            assert np.array_equal(archive[key], array)
            assert archive[key].dtype == array.dtype


@pytest.mark.parametrize("name", ["file", "args", "allow_pickle", "self", "0.weight", "a/b"])
def test_any_name_may_be_saved(name, tmp_path):
    """Oracle: the array under a name that numpy.savez would take for an argument of its own."""

    class One(cn.Layer):
        def __init__(self, value):
            super().__init__()
            self._parameters[name] = np.array([value])

    cn.save(One(3.5), tmp_path / "one.npz")
    model = One(0.0)
    cn.load(model, tmp_path / "one.npz")
    assert model.parameters()[name] == 3.5


def test_save_replaces_an_older_file(tmp_path):
    """Oracle: the second model's numbers."""
    path = tmp_path / "model.npz"
    cn.save(cn.mlp([3, 9, 9, 2], rng=0), path)
    second = network(rng=2)
    cn.save(second, path)
    loaded = network(rng=3)
    cn.load(loaded, path)
    for name, array in state(second).items():
        assert np.array_equal(state(loaded)[name], array)


@pytest.mark.parametrize(
    ("other", "problems"),
    [
        (
            lambda: cn.mlp([3, 5, 2], norm="batch", rng=1),
            [
                r"0\.bias must have shape \(4,\), got \(5,\)",
                r"0\.weight must have shape \(4, 3\), got \(5, 3\)",
                r"3\.weight must have shape \(2, 4\), got \(2, 5\)",
            ],
        ),
        (
            lambda: cn.mlp([3, 4, 2], rng=1),
            [
                r"1\.bias is missing",
                r"1\.running_mean is missing",
                r"1\.weight is missing",
                r"2\.bias is unknown to the model",
                r"3\.weight is missing",
            ],
        ),
        (
            lambda: cn.mlp([3, 4, 2, 2], norm="batch", rng=1),
            [r"4\.running_var is unknown to the model", r"6\.weight is unknown to the model"],
        ),
        (
            lambda: network(rng=1, dtype=np.float32),
            [
                r"0\.bias must be float64, got float32",
                r"1\.running_var must be float64, got float32",
            ],
        ),
    ],
    ids=["shape", "missing", "unknown", "type"],
)
def test_what_does_not_fit_is_refused_by_name(other, problems, tmp_path):
    """Oracle: every array that differs is named, in order; the model keeps its numbers, those that
    would fit included."""
    cn.save(other(), tmp_path / "other.npz")
    model = network()
    kept = state(model)
    with pytest.raises(ValueError, match=r"^cannot load '.*other\.npz': .+") as caught:
        cn.load(model, tmp_path / "other.npz")
    for problem in problems:
        caught.match(problem)
    listed = str(caught.value).split("npz': ")[1].split("; ")
    assert listed == sorted(listed)
    assert len(listed) == len(set(listed)) >= len(problems)
    for name, array in state(model).items():
        assert np.array_equal(array, kept[name])


def test_one_wrong_array_among_right_ones(tmp_path):
    """Oracle: the only name in the message, and an untouched model."""
    model = network()
    arrays = {name: array + 1.0 for name, array in state(model).items()}
    arrays["3.bias"] = np.zeros((2, 1))
    np.savez(tmp_path / "bad.npz", **arrays)
    kept = state(model)
    with pytest.raises(ValueError, match=r": 3\.bias must have shape \(2,\), got \(2, 1\)$"):
        cn.load(model, tmp_path / "bad.npz")
    for name, array in state(model).items():
        assert np.array_equal(array, kept[name])


def test_all_problems_are_listed_in_one_line(tmp_path):
    """Oracle: the message, word for word."""
    path = tmp_path / "other.npz"
    cn.save(cn.Linear(3, 2, bias=False, rng=0), path)
    with pytest.raises(ValueError, match="cannot load") as caught:
        cn.load(cn.Sequential(cn.Linear(3, 2, rng=0)), path)
    problems = "0.bias is missing; 0.weight is missing; weight is unknown to the model"
    assert str(caught.value) == f"cannot load {str(path)!r}: {problems}"


def test_large_files_have_room(monkeypatch, tmp_path):
    """Oracle: zipfile's limit for small archives, lowered from 2 GiB to 100 bytes."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    model = cn.Linear(20, 20, rng=0)
    cn.save(model, tmp_path / "model.npz")
    loaded = cn.Linear(20, 20, rng=1)
    cn.load(loaded, tmp_path / "model.npz")
    assert np.array_equal(loaded.weight, model.weight)


def test_path_is_checked(tmp_path):
    """Oracle: the message names path; a missing file is the usual error of Python."""
    for wrong in ("model", "model.npy", "model.npz.txt", "model.NPZ"):
        with pytest.raises(ValueError, match=rf"^path must end in \.npz, got '.*{wrong}'$"):
            cn.save(network(), tmp_path / wrong)
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError):
        cn.load(network(), tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    np.save(tmp_path / "array.npy", np.ones(3))
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("text.npz", "array.npy", "empty.npz"):
        with pytest.raises(ValueError, match=rf"^path must be an \.npz file, got '.*{name}'$"):
            cn.load(network(), tmp_path / name)


def test_pickled_objects_are_neither_written_nor_read(tmp_path):
    """Oracle: numpy's refusal: a pickle could run any code."""
    model = network()
    model[1]._buffers["running_mean"] = np.array([{}], dtype=object)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        cn.save(model, tmp_path / "objects.npz")
    np.savez(tmp_path / "objects.npz", **{"0.weight": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="allow_pickle=False"):
        cn.load(network(), tmp_path / "objects.npz")
