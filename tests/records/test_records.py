"""Stored results: complete, made by the settings that the course states, read back as written."""

from __future__ import annotations

import datetime
import importlib
import inspect
import json
import runpy
import sys

import pytest

from companion.records import RUNS, Run, load, record
from companion.records.__main__ import main
from companion.records.store import FOLDER


def double(values: list[int], offset: int = 0) -> dict:
    """Stand in for an experiment."""
    return {"doubled": [2 * v + offset for v in values], "nested": {"pair": (1, 0.5)}}


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """A run named "toy", whose files go to a folder of its own."""
    monkeypatch.setitem(sys.modules, "toy_experiment", sys.modules[__name__])
    run = Run("toy_experiment:double", full={"values": [1, 2]}, short={"values": [1]})
    monkeypatch.setitem(RUNS, "toy", run)
    return tmp_path


def test_a_record_is_what_the_function_returned(toy):
    """Oracle: the function itself; JSON makes lists of tuples."""
    made = record("toy", folder=toy)
    assert made.results == {"doubled": [2, 4], "nested": {"pair": [1, 0.5]}}
    assert made.settings == {"values": [1, 2]}
    assert made.command == "python -m companion.records toy"
    assert made.date == datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    assert made == load("toy", folder=toy)
    assert set(made.versions) == {"numpy", "scipy", "torch"}
    assert str(made) == f"stored on {made.date} by `{made.command}`, a run of 1 min"
    assert RUNS["toy"](RUNS["toy"].short)["doubled"] == [2]


def test_what_is_missing_says_how_to_get_it(toy):
    """Messages name the run and the command."""
    with pytest.raises(FileNotFoundError, match=r"run `python -m companion\.records toy`"):
        load("toy", folder=toy)
    with pytest.raises(ValueError, match="name must be one of"):
        load("nothing", folder=toy)
    with pytest.raises(ValueError, match="name must be one of"):
        record("nothing", folder=toy)


def test_a_result_that_is_not_a_number_is_refused(toy, monkeypatch):
    """NaN has no place in JSON, nor in a stored table."""
    run = Run("toy_experiment:double", full={"values": [float("nan")]}, short={})
    monkeypatch.setitem(RUNS, "toy", run)
    with pytest.raises(ValueError, match="not JSON compliant"):
        record("toy", folder=toy)
    assert not list(toy.iterdir())


def test_the_command(toy, monkeypatch, capsys):
    """Oracle: which runs are done for which arguments."""
    done = []
    monkeypatch.setattr(
        "companion.records.__main__.record", lambda name: done.append(name) or "stored"
    )
    main(["toy"])
    assert done == ["toy"]
    assert "toy: stored" in capsys.readouterr().out
    done.clear()
    main([])
    assert done == list(RUNS)
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "no such run: nothing" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["records", "--help"])
    # A second copy of the module would be run; the first one must be out of the way.
    monkeypatch.delitem(sys.modules, "companion.records.__main__")
    with pytest.raises(SystemExit):
        runpy.run_module("companion.records", run_name="__main__")


@pytest.mark.parametrize("name", RUNS)
def test_each_run_of_the_course_is_stored_as_it_is_stated(name):
    """Oracle: the settings in the code, the signature of the function, and the file's schema."""
    stored, run = load(name), RUNS[name]
    assert stored.settings == json.loads(json.dumps(run.full))
    module, function = run.function.split(":")
    signature = inspect.signature(getattr(importlib.import_module(module), function))
    for settings in (run.full, run.short):
        signature.bind(**settings)
    assert stored.name == name
    assert stored.results
    datetime.date.fromisoformat(stored.date)


def test_no_file_without_a_run():
    """Every stored file belongs to a run."""
    files = {path.stem for path in FOLDER.glob("*.json")}
    assert files == set(RUNS)
