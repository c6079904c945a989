"""What holds for the check of every exercise, whichever chapter it belongs to."""

from typing import Any

import numpy as np
import pytest

from companion import check
from companion.check import Exercise

EXERCISES = {name: value for name, value in vars(check).items() if isinstance(value, Exercise)}
every_exercise = pytest.mark.parametrize("name", list(EXERCISES))


@every_exercise
def test_it_is_public_under_its_own_name(name: str) -> None:
    assert EXERCISES[name].name == name
    assert name in check.__all__


@every_exercise
def test_the_oracle_passes(name: str) -> None:
    """Inputs are left alone, results are finite numbers, and two calls agree."""
    result = EXERCISES[name](EXERCISES[name].oracle)
    assert result, result


@every_exercise
def test_stubs_fail(name: str) -> None:
    def unwritten(*arguments: Any) -> None:
        raise NotImplementedError

    for stub in (lambda *arguments: None, lambda *arguments: ..., unwritten):
        result = EXERCISES[name](stub)
        assert not result
        assert "write its body" in result.message


@every_exercise
def test_each_typical_mistake_gets_its_own_diagnosis(name: str) -> None:
    for mistake in EXERCISES[name].mistakes:
        if mistake.variant is not None:
            assert EXERCISES[name](mistake.variant).message == mistake.diagnosis


@every_exercise
def test_diagnoses_differ_and_are_short(name: str) -> None:
    diagnoses = [mistake.diagnosis for mistake in EXERCISES[name].mistakes]
    assert len(set(diagnoses)) == len(diagnoses)
    for text in (*diagnoses, EXERCISES[name].success):
        assert text.endswith(".")
        assert text.count(". ") <= 1


@every_exercise
def test_cases_vary_in_shape_or_value(name: str) -> None:
    rng = np.random.default_rng(1)
    first, second = (EXERCISES[name].sample(rng) for _ in range(2))
    assert list(first) == list(second)
    assert repr(first) != repr(second)
