"""The long run of the lesson on language, in its smallest form; and what it stored."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from companion import data
from companion.records import RUNS, load
from companion.records.language import character_model, language, restored, train
from companion.recurrence import bits_per_token

TINY = {"units": 4, "length": 64, "epochs": 1, "lr": 0.01, "dropout": 0.1}


@pytest.fixture(scope="module")
def text() -> data.Text:
    return data.load_prose()


def test_the_short_form_is_the_long_one_with_fewer_numbers():
    """Invariant: the same arguments."""
    run = RUNS["language"]
    assert set(run.full) == set(run.short) == {*TINY, "seeds", "keep"}


def test_one_seed_is_the_same_as_that_seed_among_several(text):
    """Oracle: the run by itself, in this process; its parameters make the same model."""
    both = language(seeds=[3, 4], keep=True, **TINY)
    alone = language(seeds=[3], keep=False, **TINY)
    assert "parameters" not in alone
    first, other = both["runs"]
    assert first["seed"] == 3
    for key in ("validation", "test", "test_from_zero"):
        assert first[key] == pytest.approx(alone["runs"][0][key], abs=2e-4)
    assert first["test"] != other["test"]
    model = restored(both["parameters"], size=59, units=4)
    assert not model.training
    assert bits_per_token(model, text.encode(text.test)) == pytest.approx(first["test"], abs=2e-3)
    assert first["test_from_zero"] == pytest.approx(first["test"], abs=0.2)


def test_training_gives_curves_of_bits(text):
    """Oracle: the bits of the model that comes back; an even guess needs 5.9 of them."""
    small = data.Text(text.train[:20_000], text.validation[:3001], text.test, text.alphabet)
    model, curves = train(small, units=8, length=50, epochs=2, lr=0.01, dropout=0.0, seed=0)
    assert len(curves["train"]) == len(curves["validation"]) == 2
    assert curves["train"][1] < curves["train"][0] < np.log2(59)
    validation = small.encode(small.validation)
    parts = [bits_per_token(model, validation[s : s + 1001]) for s in (0, 1000, 2000)]
    assert curves["validation"][-1] == pytest.approx(np.mean(parts), abs=1e-4)


def test_restored_rounds_to_half_precision():
    """Oracle: NumPy's own conversion."""
    model = character_model(5, 3, rng=1)
    packed = {
        name: base64.b64encode(a.astype("<f2").tobytes()).decode()
        for name, a in model.parameters().items()
    }
    back = restored(packed, size=5, units=3)
    for name, array in model.parameters().items():
        np.testing.assert_array_equal(back.parameters()[name], array.astype(np.float16))
        assert back.parameters()[name].dtype == np.float32


def test_the_stored_network_needs_the_stored_bits(text):
    """Oracle: its parameters, on the text of this interpreter, which may differ a little from the
    text of the run."""
    stored = load("language")
    model = restored(
        stored.results["parameters"], size=len(text.alphabet), units=stored.settings["units"]
    )
    bits = bits_per_token(model, text.encode(text.test))
    assert bits == pytest.approx(stored.results["runs"][0]["test"], abs=0.02)


def test_what_is_stored_is_the_full_run():
    """Invariant: the settings, one run for each seed, and curves that fall."""
    stored = load("language")
    assert stored.settings == RUNS["language"].full
    runs = stored.results["runs"]
    assert [run["seed"] for run in runs] == stored.settings["seeds"]
    for run in runs:
        curve = run["curves"]["validation"]
        assert len(curve) == stored.settings["epochs"]
        assert curve[-1] < curve[0] - 0.5
