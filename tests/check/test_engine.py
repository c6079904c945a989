"""The engine behind the checks, tried on an exercise with known right and wrong answers."""

import functools
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.check import Exercise, Mistake, Result
from companion.check._engine import distinct_sizes


def sample(rng: np.random.Generator) -> dict[str, Any]:
    rows, inputs, outputs = distinct_sizes(rng, 3)
    return {"x": rng.normal(size=(rows, inputs)), "weight": rng.normal(size=(outputs, inputs))}


def by_loops(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.array(
        [[sum(a * b for a, b in zip(row, w, strict=True)) for w in weight] for row in x]
    )


linear = Exercise(
    name="linear",
    oracle=by_loops,
    sample=sample,
    mistakes=[
        Mistake("The last column is forgotten.", variant=lambda x, w: x[:, :-1] @ w[:, :-1].T),
        Mistake(
            "One number comes out for the whole batch.",
            when=lambda case, right, got: np.ndim(got) == 0 and len(case["x"]) > 1,
        ),
        Mistake("weight holds outputs in rows.", variant=lambda x, w: x @ w),
    ],
    success="Every row is right.",
)


def right(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return x @ weight.T


def in_place(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    result = x @ weight.T
    x *= 2
    return result


def with_state() -> Callable[..., np.ndarray]:
    calls: list[int] = []

    def function(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        calls.append(0)
        return x @ weight.T if len(calls) <= 20 else 0 * (x @ weight.T)

    return function


def raises(error: Exception) -> Callable[..., Any]:
    def function(x: np.ndarray, weight: np.ndarray) -> Any:
        raise error

    return function


def changed(change: Callable[[np.ndarray], Any]) -> Callable[..., Any]:
    return lambda x, weight: change(x @ weight.T)


def with_nan(z: np.ndarray) -> np.ndarray:
    z[0, 0] = np.nan
    return z


def with_one_wrong(z: np.ndarray) -> np.ndarray:
    z[-1, -1] += 0.5
    return z


CASE = r"For x of shape \(\d, \d\) and weight of shape \(\d, \d\), "


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x, weight: None, "returns None: write its body, and return the result."),
        (lambda x, weight: ..., r"returns \.\.\.: write its body"),
        (lambda x, weight: NotImplemented, "returns NotImplemented: write its body"),
        (raises(NotImplementedError()), "raises NotImplementedError: write its body first."),
        (lambda x: x, "should take 2 arguments, x, weight; it takes x.$"),
        (lambda: 0, "should take 2 arguments, x, weight; it takes nothing.$"),
        (raises(KeyError("z")), CASE + "your function raises KeyError: 'z'.$"),
        (raises(ValueError()), CASE + "your function raises ValueError.$"),
        (raises(ValueError("first\nsecond")), "raises ValueError: first.$"),
        (raises(ValueError("<f at 0x7f12ab>")), "raises ValueError: <f>.$"),
        (raises(ValueError("a" * 200)), r"raises ValueError: a{200}\.$"),
        (raises(ValueError("a" * 400)), r"raises ValueError: a{228} \.\.\.\.$"),
        (raises(ValueError("wait...")), r"raises ValueError: wait\.$"),
        (changed(lambda z: z.T.copy()), CASE + r"the result has shape .* it is the transpose\.$"),
        (changed(lambda z: z[0]), CASE + r"the result has shape \(\d,\) where \(\d, \d\) is exp"),
        (changed(lambda z: z[:, :1]), CASE + r"the result has shape \(\d, 1\) where \(\d, \d\)"),
        (changed(lambda z: z.tolist()), "the result should be an array of shape .*, not a list.$"),
        (changed(lambda z: (z, z)), "the result should be an array of shape .*, not a tuple.$"),
        (changed(lambda z: z.astype(int)), "the result holds int64 where float64 is expected.$"),
        (changed(lambda z: z > 0), "the result holds bool where float64 is expected.$"),
        (changed(lambda z: z.astype("f4")), "the result holds float32 where float64 is expected"),
        (changed(lambda z: z.astype(object)), "the result holds object where float64 is expected"),
        (changed(with_nan), "the result holds NaN or infinity where the right one is finite.$"),
        (changed(lambda z: z / np.zeros(1)), "holds NaN or infinity"),
        (changed(lambda z: -z), "the result has the wrong sign.$"),
        (changed(lambda z: z / 3), "the result is 0.3333 times what it should be.$"),
        (changed(lambda z: 0 * z), "the result is off by up to"),
        (changed(with_one_wrong), r"the result is off by up to 0\.5, where the right one reaches"),
        (in_place, "The result is right, but your function changes its argument x in place"),
        (with_state(), "Called twice with the same input, your function gives two answers"),
        (lambda x, w: x[:, :-1] @ w[:, :-1].T, "^The last column is forgotten.$"),
        (lambda x, w: float((x @ w.T).sum()), "^One number comes out for the whole batch.$"),
        # Raises as the variant does, in every case.
        (lambda x, w: np.matmul(x, w), "^weight holds outputs in rows.$"),
    ],
)
def test_wrong_answers_are_told_apart(function: Callable[..., Any], message: str) -> None:
    result = linear(function)
    assert not result
    assert repr(result).startswith("Not yet. ")
    assert "\n" not in result.message
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(result.message)


@pytest.mark.parametrize(
    "function",
    [right, by_loops, lambda *arguments: right(*arguments), functools.partial(right)],
)
def test_right_answers_pass_however_they_are_written(function: Callable[..., Any]) -> None:
    result = linear(function)
    assert result
    assert repr(result) == "Correct. Every row is right."


def test_the_same_answer_gives_the_same_words() -> None:
    assert repr(linear(changed(with_one_wrong))) == repr(linear(changed(with_one_wrong)))


@pytest.mark.parametrize("given", [np.zeros(3), None, "linear", 3])
def test_what_cannot_be_called_is_an_error_of_use(given: Any) -> None:
    with pytest.raises(TypeError, match=r"check\.linear takes your function itself") as caught:
        linear(given)
    assert type(given).__name__ in str(caught.value)


def test_a_mistake_needs_exactly_one_way_to_be_recognised() -> None:
    for arguments in ({}, {"variant": right, "when": lambda case, right, got: True}):
        with pytest.raises(ValueError, match="exactly one of variant and when"):
            Mistake("Something.", **arguments)


def test_a_diagnosis_must_explain_every_case_that_went_wrong() -> None:
    def sometimes(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return x[:, :-1] @ weight[:, :-1].T if len(x) % 2 else np.zeros((len(x), len(weight)))

    assert "forgotten" not in linear(sometimes).message


def test_a_diagnosis_may_concern_some_cases_only() -> None:
    exercise = Exercise(
        name="relu",
        oracle=lambda z: np.maximum(z, 0),
        sample=lambda rng: {"z": rng.normal(size=2)},
        mistakes=[Mistake("Negative entries should become zero.", variant=lambda z: abs(z))],
    )
    assert exercise(np.abs).message == "Negative entries should become zero."


def test_a_function_that_does_not_say_what_it_takes_is_tried_all_the_same() -> None:
    assert "not a str" in returning(1.0)("{}".format).message


def test_a_failing_predicate_explains_nothing() -> None:
    exercise = Exercise(
        name="f",
        oracle=lambda x: x,
        sample=lambda rng: {"x": rng.normal(size=3)},
        mistakes=[Mistake("Never said.", when=lambda case, right, got: 1 / 0 > 0)],
    )
    assert "Never" not in exercise(lambda x: x + 1).message
    assert "raises KeyError" in exercise(lambda x: {}[0]).message


def test_the_learner_may_not_reach_the_cases_through_what_it_is_given() -> None:
    """A list changed in place is seen, and the next call gets the untouched one."""
    exercise = Exercise(
        name="total",
        oracle=lambda parts, options: float(sum(part.sum() for part in parts)),
        sample=lambda rng: {
            "parts": [rng.normal(size=2), rng.normal(size=3)],
            "options": {"scale": np.ones(2), "name": "a", "mask": np.array([True])},
        },
    )

    def spoil(parts: list[np.ndarray], options: dict[str, Any]) -> float:
        total = float(sum(part.sum() for part in parts))
        parts[1][0] = np.nan
        return total

    def drop(parts: list[np.ndarray], options: dict[str, Any]) -> float:
        total = float(sum(part.sum() for part in parts))
        parts.pop()
        return total

    def rescale(parts: list[np.ndarray], options: dict[str, Any]) -> float:
        options["scale"] = options["scale"].astype("f4")
        return float(sum(part.sum() for part in parts))

    def add(parts: list[np.ndarray], options: dict[str, Any]) -> float:
        options["new"] = 1
        return float(sum(part.sum() for part in parts))

    def flip(parts: list[np.ndarray], options: dict[str, Any]) -> float:
        options["mask"][0] = False
        return float(sum(part.sum() for part in parts))

    assert exercise(lambda parts, options: float(np.concatenate(parts).sum()))
    for function, name in ((spoil, "parts"), (drop, "parts"), (rescale, "options")):
        assert f"its argument {name} in place" in exercise(function).message
    for function in (add, flip):
        assert "its argument options in place" in exercise(function).message


def test_inputs_with_nan_do_not_count_as_changed() -> None:
    exercise = Exercise(
        name="count",
        oracle=lambda x: int(np.isnan(x).sum()),
        sample=lambda rng: {"x": np.array([1.0, np.nan])},
    )
    assert exercise(lambda x: sum(value != value for value in x))


def test_warnings_of_the_learners_function_stay_away() -> None:
    def loud(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        warnings.warn("deprecated", stacklevel=1)
        np.exp(np.full(1, 1e5))
        return x @ weight.T

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert linear(loud)


def test_an_interrupt_is_not_an_answer() -> None:
    def interrupted(x: np.ndarray, weight: np.ndarray) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        linear(interrupted)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([(1, 2), [3, 4]], "layers (a list of 2 pairs)"),
        ([(1, 2)], "layers (a list of 1 pair)"),
        ((1, 2, 3), "layers (a tuple of 3 parts)"),
    ],
)
def test_a_case_is_described_by_shapes_and_values(layers: Any, words: str) -> None:
    """Oracle: the sentence as it should read."""
    exercise = Exercise(
        name="softmax",
        oracle=lambda z, rate, mode, layers, rng: np.array([1.0, 0.0]),
        sample=lambda rng: {
            "z": np.array([1e4, 0.0]),
            "rate": 0.12345678,
            "mode": "train",
            "layers": layers,
            "rng": rng,
        },
    )
    assert exercise(lambda z, rate, mode, layers, rng: np.exp(z) / np.exp(z).sum()).message == (
        f"For z of shape (2,), rate = 0.1235, mode = 'train', {words} and rng, "
        "the result holds NaN or infinity where the right one is finite."
    )


def test_a_random_case_is_reported_before_an_edge_case() -> None:
    """Oracle: answers wrong everywhere, and wrong in the edge case alone."""
    exercise = replace(linear, edge_cases=[{"x": np.array([[3.0]]), "weight": np.eye(1)}])
    with pytest.raises(AssertionError, match=CASE):
        raise AssertionError(exercise(changed(lambda z: z[0])).message)
    edge_only = exercise(lambda x, w: 2 * x @ w.T if x.size == 1 else x @ w.T).message
    assert edge_only.startswith("For x of shape (1, 1) and weight of shape (1, 1), the result is")


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        ((2, 5), (6, 3), "ValueError: the inner sizes of a product, 5 and 6, differ"),
        ((5,), (6, 3), "ValueError: the inner sizes of a product, 5 and 6, differ"),
        ((7, 2, 5), (6,), "ValueError: the inner sizes of a product, 5 and 6, differ"),
    ],
)
def test_factors_that_do_not_fit_are_told_by_their_sizes(
    left: tuple[int, ...], right: tuple[int, ...], message: str
) -> None:
    """Oracle: the shapes of the two factors, and the message of the installed NumPy."""
    exercise = Exercise(name="f", oracle=lambda x: x, sample=lambda rng: {"x": 1.5})
    result = exercise(lambda x: np.ones(left) @ np.ones(right))
    assert result.message == f"For x = 1.5, your function raises {message}."


# Several results, and results that are no arrays


def returning(expected: Any, **options: Any) -> Exercise:
    return Exercise(name="f", oracle=lambda x: expected, sample=lambda rng: {"x": 1.5}, **options)


PAIR = (np.ones((2, 3)), np.arange(3.0))


@pytest.mark.parametrize(
    ("expected", "outputs", "answer", "complaint"),
    [
        (PAIR, ("dw", "db"), PAIR, None),
        (PAIR, ("dw", "db"), list(PAIR), None),
        (PAIR, ("dw", "db"), (PAIR[0], -PAIR[1]), "db has the wrong sign"),
        (PAIR, ("dw", "db"), (PAIR[0].T, PAIR[1]), "dw has shape (3, 2) where (2, 3) is expected"),
        (PAIR, ("dw", "db"), (PAIR[0], None), "db is None"),
        (PAIR, ("dw", "db"), (..., PAIR[1]), "dw is ..."),
        (PAIR, ("dw", "db"), PAIR[0], "should be 2 values (dw, db), not an array of shape (2, 3)"),
        (PAIR, ("dw", "db"), PAIR + PAIR, "should be 2 values (dw, db), not 4"),
        (PAIR, (), (PAIR[0], 0.0), "part 2 of the result has shape () where (3,) is"),
        (PAIR, (), "ab", "the result should be 2 values, not a str"),
        ([PAIR], (), [(PAIR[0], 2 * PAIR[1])], "part 2 of part 1 of the result is 2 times"),
        ({"a": 1.0, "b": 2.0}, (), {"b": 2.0, "a": 1.0}, None),
        ({"a": 1.0, "b": 2.0}, (), {"a": 1.0, "b": 2.5}, "b is off by up to 0.5"),
        ({"a": 1.0}, (), {"c": 1.0}, "the result should have the keys a, but has c"),
        ({"a": 1.0}, (), {}, "the result should have the keys a, but has none"),
        ({"a": 1.0}, (), 1.0, "should be a dictionary with the keys a, not a number"),
        (0.0, (), 0, None),
        (0.0, (), np.float64(0), None),
        (0.0, (), np.array(0.0), None),
        (0.0, (), 1e-12, None),
        (0.5, (), np.array([0.5]), "the result has shape (1,) where () is expected"),
        (0.5, (), -0.5, "the result has the wrong sign"),
        (0.5, (), 0.25, "the result is off by up to 0.25, where the right one reaches 0.5"),
        (0.5, (), "half", "the result should be a number, not a str"),
        (0.5, (), ValueError, "the result should be a number, not a type"),
        (0.5, (), np.array("half"), "the result holds <U4 where float64 is expected"),
        (0.5, (), {1}, "the result should be a number, not a set"),
        (0.5, (), iter([]), "the result should be a number, not a list_iterator"),
        (0.5, (), 0.5j, "the result holds complex128 where float64 is expected"),
        (1j, (), 1j, None),
        (1j, (), 0.5j, "the result is off by up to 0.5, where the right one reaches 1"),
        (3, (), 3.0, None),
        (3, (), 4, "the result is wrong in 1 of 1 places"),
        (True, (), True, None),
        (True, (), False, "the result is wrong in 1 of 1 places"),
        (np.array([1, 2]), (), np.array([1, 2], dtype=np.int8), None),
        (np.array([1, 2]), (), np.array([1, 3]), "the result is wrong in 1 of 2 places"),
        (np.array([1, 2]), (), np.array([1.0, 2.0]), "holds float64 where int64 is expected"),
        (np.array([1.0, np.inf]), (), np.array([1.0, np.inf]), None),
        (np.array([1.0, np.nan]), (), np.array([1.0, np.nan]), None),
        (np.array([1.0, np.inf]), (), np.array([1.0, 2.0]), "is finite where the right one is"),
        (np.zeros(2), (), np.ones(2), "off by up to 1, where the right one reaches 0"),
        (np.ones(2, "f4"), (), np.ones(2, "f4") * np.float32(1 + 1e-6), None),
        (np.ones(2, "f4"), (), np.ones(2), "holds float64 where float32 is expected"),
        (np.ones(0), (), np.ones(0), None),
    ],
)
def test_results_of_every_kind(
    expected: Any, outputs: tuple[str, ...], answer: Any, complaint: str | None
) -> None:
    result = returning(expected, outputs=outputs)(lambda x: answer)
    assert bool(result) == (complaint is None), result
    if complaint is not None:
        assert result.message.startswith("For x = 1.5, ")
        assert complaint in result.message


@given(
    st.integers(0, 2**32 - 1),
    st.floats(1e-6, 1e6),
    st.sampled_from([0.5, 0.99, 1.01, 2.0]),
)
def test_the_tolerance_is_relative_to_the_largest_entry(
    seed: int, scale: float, multiple: float
) -> None:
    """Below atol + rtol * largest an error passes, above it does not."""
    rng = np.random.default_rng(seed)
    expected = scale * rng.normal(size=5)
    room = 1e-9 + 1e-3 * abs(expected).max()
    answer = expected.copy()
    answer[rng.integers(5)] += multiple * room
    assert bool(returning(expected, rtol=1e-3)(lambda x: answer)) == (multiple < 1)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_sizes_are_distinct_and_in_range(seed: int, count: int) -> None:
    sizes = distinct_sizes(np.random.default_rng(seed), count)
    assert len(set(sizes)) == len(sizes) == count
    assert all(type(size) is int and 2 <= size < 8 for size in sizes)


def test_a_result_is_its_verdict() -> None:
    assert Result(True, "Yes.")
    assert not Result(False, "No.")
    assert f"{Result(True, 'Yes.')!r} {Result(False, 'No.')!r}" == "Correct. Yes. Not yet. No."
