"""What every check of an exercise has in common: cases, comparison, diagnosis.

An ``Exercise`` says what the right answer is and which wrong ones are
typical. Calling it with a learner's function finds the first case in which the function is
wrong and says what is known about the mistake: the diagnosis of a typical
one if the function behaves like it throughout, otherwise what can be seen from outside.
"""

from __future__ import annotations

import copy
import inspect
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: What stands in a stub before the learner writes anything.
_PLACEHOLDERS = (None, ..., NotImplemented)

#: How NumPy says that the factors of a product do not fit, right factor first.
_UNFIT_PRODUCT = re.compile(r"matmul: .*\(size (\d+) is different from (\d+)\)")


@dataclass(frozen=True, repr=False)
class Result:
    """The answer of a check: true if the function passed, and a message to read.

    Attributes
    ----------
    passed : bool
        Whether the function is right in every case tried.
    message : str
        One or two sentences.

    Examples
    --------
    >>> Result(False, "Your function returns None: write its body, and return the result.")
    Not yet. Your function returns None: write its body, and return the result.
    """

    passed: bool
    message: str

    def __bool__(self) -> bool:
        """Return whether the function passed."""
        return self.passed

    def __repr__(self) -> str:
        """Return the verdict and the message."""
        return f"{'Correct' if self.passed else 'Not yet'}. {self.message}"


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer and what to say about it.

    Attributes
    ----------
    diagnosis : str
        One or two sentences that name the mistake without giving the answer.
    variant : callable, optional
        The wrong answer itself, with the arguments of the exercise. The diagnosis is given if it
        does what the learner's function does in every case that went wrong.
    when : callable, optional
        Instead of ``variant``: takes the arguments of a case as a mapping, the right
        result and the learner's, and returns whether this mistake explains the difference.

    Raises
    ------
    ValueError
        Unless exactly one of ``variant`` and ``when`` is given.
    """

    diagnosis: str
    variant: Callable[..., Any] | None = None
    when: Callable[[Mapping[str, Any], Any, Any], bool] | None = None

    def __post_init__(self) -> None:
        """Refuse a mistake that nothing, or two things, would recognise."""
        if (self.variant is None) == (self.when is None):
            raise ValueError("exactly one of variant and when must be given")


@dataclass(frozen=True)
class _Outcome:
    """What one call of a function came to."""

    value: Any = None
    error: Exception | None = None
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Trial:
    """One case with the right result, the learner's, and what is wrong with it."""

    case: Mapping[str, Any]
    expected: Any
    outcome: _Outcome
    problem: str | None


@dataclass(frozen=True)
class Exercise:
    """The check of one exercise: call it with the learner's function.

    Attributes
    ----------
    name : str
        Its name in ``companion.check``.
    oracle : callable
        A way to the right result, better not the one that the learner will take.
    sample : callable
        Takes a ``numpy.random.Generator`` and returns one case, the arguments by name in
        the order in which the learner's function takes them.
    mistakes : sequence of Mistake
        Typical wrong answers, the most specific first.
    success : str
        What to say if all is well.
    outputs : sequence of str
        Names of the results if there are several.
    edge_cases : sequence of mapping
        Cases to try after the random ones: degenerate inputs say little about a mistake that
        a random one shows as well.
    repeats : int
        Number of random cases.
    rtol, atol : float
        A result may differ from the right one by ``atol`` plus ``rtol`` times its largest entry.

    Examples
    --------
    >>> square = Exercise(
    ...     name="square",
    ...     oracle=lambda x: x**2,
    ...     sample=lambda rng: {"x": rng.normal(size=rng.integers(2, 6))},
    ...     mistakes=[Mistake("It doubles instead of squaring.", variant=lambda x: 2 * x)],
    ...     success="Every entry is squared.",
    ... )
    >>> square(lambda x: x * x)
    Correct. Every entry is squared.
    >>> square(lambda x: x + x)
    Not yet. It doubles instead of squaring.
    >>> bool(square(lambda x: None))
    False
    """

    name: str
    oracle: Callable[..., Any]
    sample: Callable[[np.random.Generator], Mapping[str, Any]]
    mistakes: Sequence[Mistake] = ()
    success: str = "Your function is right in every case tried."
    outputs: Sequence[str] = ()
    edge_cases: Sequence[Mapping[str, Any]] = ()
    repeats: int = 20
    rtol: float = 1e-7
    atol: float = 1e-9

    def __call__(self, function: Callable[..., Any]) -> Result:
        """Try ``function`` on every case.

        Parameters
        ----------
        function : callable
            The learner's function.

        Returns
        -------
        Result

        Raises
        ------
        TypeError
            If ``function`` cannot be called, for example because it was called already.
        """
        if not callable(function):
            raise TypeError(
                f"check.{self.name} takes your function itself, without calling it: "
                f"check.{self.name}(your_function), got {type(function).__name__}"
            )
        rng = np.random.default_rng(0)
        cases = [*(self.sample(rng) for _ in range(self.repeats)), *self.edge_cases]
        if (complaint := _signature_problem(function, cases[0])) is not None:
            return Result(False, complaint)
        trials = []
        for case in cases:
            trials.append(self._try(function, case))
            if (complaint := _unwritten(trials[-1].outcome)) is not None:
                return Result(False, complaint)
        wrong = [trial for trial in trials if trial.problem is not None]
        if wrong:
            return Result(False, self._diagnosis(wrong))
        for trial in trials:
            if trial.outcome.changed:
                names = ", ".join(trial.outcome.changed)
                return Result(
                    False,
                    f"The result is right, but your function changes its argument {names} in "
                    "place. The caller still needs it: compute with a new array.",
                )
        again = _call(function, cases[0])
        if again.error is not None or self._compare(trials[0].outcome.value, again.value):
            return Result(
                False,
                "Called twice with the same input, your function gives two answers: "
                "it depends on something else than its arguments.",
            )
        return Result(True, self.success)

    def _try(self, function: Callable[..., Any], case: Mapping[str, Any]) -> _Trial:
        expected = self.oracle(*_copied(case))
        outcome = _call(function, case)
        problem = None
        if outcome.error is not None:
            problem = f"your function raises {_told(outcome.error)}"
        else:
            problem = self._compare(expected, outcome.value)
        return _Trial(case, expected, outcome, problem)

    def _diagnosis(self, wrong: Sequence[_Trial]) -> str:
        for mistake in self.mistakes:
            if all(self._explains(mistake, trial) for trial in wrong):
                return mistake.diagnosis
        first = wrong[0]
        return f"For {_described(first.case)}, {first.problem}."

    def _explains(self, mistake: Mistake, trial: _Trial) -> bool:
        outcome = trial.outcome
        if mistake.variant is not None:
            variant = _call(mistake.variant, trial.case)
            if outcome.error is not None or variant.error is not None:
                return _told(outcome.error) == _told(variant.error)
            return self._compare(variant.value, outcome.value) is None
        if outcome.error is not None or mistake.when is None:
            return False
        try:
            return bool(mistake.when(trial.case, trial.expected, outcome.value))
        except Exception:
            # A predicate written for arrays may meet anything a learner returns.
            return False

    def _compare(self, expected: Any, got: Any) -> str | None:
        return _Comparison(self.rtol, self.atol, tuple(self.outputs)).problem(expected, got)


@dataclass(frozen=True)
class _Comparison:
    """Says in words how a result differs from the right one."""

    rtol: float
    atol: float
    outputs: tuple[str, ...]

    def problem(self, expected: Any, got: Any, label: str = "the result") -> str | None:
        """Return what is wrong with ``got``, or None."""
        if isinstance(expected, Mapping):
            return self._mapping_problem(expected, got, label)
        if isinstance(expected, (tuple, list)):
            return self._sequence_problem(expected, got, label)
        if any(got is placeholder for placeholder in _PLACEHOLDERS):
            return f"{label} is {'...' if got is ... else got}"
        return self._number_problem(expected, got, label)

    def _mapping_problem(self, expected: Mapping[Any, Any], got: Any, label: str) -> str | None:
        keys = ", ".join(map(str, expected))
        if not isinstance(got, Mapping):
            return f"{label} should be a dictionary with the keys {keys}, not {_kind(got)}"
        if set(got) != set(expected):
            found = ", ".join(map(str, got)) or "none"
            return f"{label} should have the keys {keys}, but has {found}"
        for key, value in expected.items():
            if (complaint := self.problem(value, got[key], str(key))) is not None:
                return complaint
        return None

    def _sequence_problem(self, expected: Sequence[Any], got: Any, label: str) -> str | None:
        # Only the outermost sequence has names; within it places are counted.
        names = self.outputs if label == "the result" else ()
        names = names or tuple(f"part {k + 1} of {label}" for k in range(len(expected)))
        if not isinstance(got, (tuple, list)) or len(got) != len(expected):
            found = f"{len(got)}" if isinstance(got, (tuple, list)) else _kind(got)
            wanted = f" ({', '.join(self.outputs)})" if names == self.outputs else ""
            return f"{label} should be {len(expected)} values{wanted}, not {found}"
        for name, value, answer in zip(names, expected, got, strict=True):
            if (complaint := self.problem(value, answer, name)) is not None:
                return complaint
        return None

    def _number_problem(self, expected: Any, got: Any, label: str) -> str | None:
        right = np.asarray(expected)
        if not isinstance(got, (np.ndarray, np.generic, int, float, complex)):
            wanted = f"an array of shape {right.shape}" if right.ndim else "a number"
            return f"{label} should be {wanted}, not {_kind(got)}"
        array = np.asarray(got)
        if array.shape != right.shape:
            return self._shape_problem(right, array, label)
        # A lone number may be an int where a float is right; an array may not, for
        # arithmetic in place on it would go wrong later.
        kinds = "biufc" if right.dtype.kind == "c" else "biuf"
        if array.dtype.kind not in kinds or (right.ndim and not _fits(right.dtype, array.dtype)):
            return f"{label} holds {array.dtype} where {right.dtype} is expected"
        if (~np.isfinite(array) & np.isfinite(right)).any():
            return f"{label} holds NaN or infinity where the right one is finite"
        return self._value_problem(right, array, label)

    def _shape_problem(self, right: Any, array: Any, label: str) -> str:
        complaint = f"{label} has shape {array.shape} where {right.shape} is expected"
        if array.ndim == 2 and array.T.shape == right.shape and self._close(right, array.T):
            complaint += ": it is the transpose"
        return complaint

    def _value_problem(self, right: Any, array: Any, label: str) -> str | None:
        if self._close(right, array):
            return None
        finite = np.isfinite(right)
        if not np.array_equal(right[~finite], array[~finite], equal_nan=True):
            return f"{label} is finite where the right one is NaN or infinite"
        x, y = right[finite], array[finite]
        if right.dtype.kind == "f" and x.any():
            factor = float(np.vdot(x, y) / np.vdot(x, x))
            # One number is always a multiple of another; only its sign says anything.
            if np.isclose(factor, -1.0) and self._close(-right, array):
                return f"{label} has the wrong sign"
            if x.size > 1 and factor and self._close(factor * right, array):
                return f"{label} is {factor:.4g} times what it should be"
        if right.dtype.kind in "biu":
            return f"{label} is wrong in {np.sum(x != y)} of {x.size} places"
        error, largest = np.abs(x - y).max(), np.abs(x).max()
        return f"{label} is off by up to {error:.2g}, where the right one reaches {largest:.2g}"

    def _close(self, right: Any, array: Any) -> bool:
        finite = np.isfinite(right)
        if not np.array_equal(right[~finite], array[~finite], equal_nan=True):
            return False
        x, y = right[finite], array[finite]
        if right.dtype.kind in "biu" and array.dtype.kind in "biu":
            return np.array_equal(x, y)
        # Sums in float32 lose more than the default tolerance allows.
        eps = 64.0 * float(np.finfo(array.dtype).eps) if array.dtype.kind in "fc" else 0.0
        room = self.atol + max(self.rtol, eps) * np.abs(x).max(initial=0.0)
        return bool((np.abs(x - y) <= room).all())


def _fits(wanted: np.dtype[Any], dtype: np.dtype[Any]) -> bool:
    """Return whether ``dtype`` will do: the size of an integer is up to the learner."""
    return wanted == dtype or (wanted.kind in "iu" and dtype.kind in "iu")


def distinct_sizes(
    rng: np.random.Generator, count: int, *, low: int = 2, high: int = 8
) -> tuple[int, ...]:
    """Draw different sizes for different axes, so that no transpose fits by accident.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    count : int
        How many sizes.
    low, high : int
        Smallest size, and one more than the largest.

    Returns
    -------
    tuple of int, length ``count``

    Examples
    --------
    >>> import numpy as np
    >>> sizes = distinct_sizes(np.random.default_rng(0), 3)
    >>> len(set(sizes))
    3
    """
    return tuple(int(size) for size in rng.choice(np.arange(low, high), size=count, replace=False))


def _copied(case: Mapping[str, Any]) -> list[Any]:
    return [copy.deepcopy(value) for value in case.values()]


def _call(function: Callable[..., Any], case: Mapping[str, Any]) -> _Outcome:
    arguments = _copied(case)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = function(*arguments)
    except Exception as error:
        return _Outcome(error=error)
    pairs = zip(case.items(), arguments, strict=True)
    return _Outcome(value, None, tuple(name for (name, old), new in pairs if _differ(old, new)))


def _differ(old: Any, new: Any) -> bool:
    """Return whether arrays inside two values differ; other things are taken as equal."""
    if isinstance(old, np.ndarray):
        # Numbers only: equal_nan is not defined for objects.
        numeric = old.dtype.kind in "fc"
        return not (new.dtype == old.dtype and np.array_equal(old, new, equal_nan=numeric))
    if isinstance(old, Mapping):
        return list(old) != list(new) or any(_differ(old[key], new[key]) for key in old)
    if isinstance(old, (list, tuple)):
        return len(old) != len(new) or any(map(_differ, old, new))
    return False


def _signature_problem(function: Callable[..., Any], case: Mapping[str, Any]) -> str | None:
    try:
        signature = inspect.signature(function)
    except ValueError:
        # Some functions written in C do not say what they take.
        return None
    try:
        signature.bind(*case.values())
    except TypeError:
        taken = ", ".join(signature.parameters) or "nothing"
        wanted = f"{len(case)} argument{'s' if len(case) > 1 else ''}"
        return f"Your function should take {wanted}, {', '.join(case)}; it takes {taken}."
    return None


def _unwritten(outcome: _Outcome) -> str | None:
    if isinstance(outcome.error, NotImplementedError):
        return "Your function raises NotImplementedError: write its body first."
    if outcome.error is None and any(outcome.value is mark for mark in _PLACEHOLDERS):
        returned = "..." if outcome.value is ... else outcome.value
        return f"Your function returns {returned}: write its body, and return the result."
    return None


def _told(error: Exception | None) -> str:
    """Return an exception's name and the first line of what it says, without addresses."""
    message = re.sub(r" at 0x[0-9a-fA-F]+", "", str(error).strip().partition("\n")[0])
    if (unfit := _UNFIT_PRODUCT.match(message)) is not None:
        right, left = unfit.groups()
        message = f"the inner sizes of a product, {left} and {right}, differ"
    told = f"{type(error).__name__}: {message}".rstrip(": .")
    # The decisive words of NumPy's messages stand at their end.
    return told if len(told) <= 240 else told[:240].rstrip() + " ..."


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}"
    if isinstance(value, (np.ndarray, np.generic, int, float, complex)):
        return "a number"
    if any(value is mark for mark in _PLACEHOLDERS):
        return "..." if value is ... else str(value)
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _described(case: Mapping[str, Any]) -> str:
    """Return the arguments of a case: shapes of arrays, values of numbers and strings."""
    *others, last = (f"{name} {_size(value)}".rstrip() for name, value in case.items())
    return f"{', '.join(others)} and {last}" if others else last


def _size(value: Any) -> str:
    if isinstance(value, (np.ndarray, np.generic)) and np.ndim(value):
        return f"of shape {np.shape(value)}"
    if isinstance(value, (bool, str)):
        return f"= {value!r}"
    if isinstance(value, (int, float, np.number)):
        return f"= {value:.4g}"
    if isinstance(value, (list, tuple)):
        pairs = all(isinstance(part, (list, tuple)) and len(part) == 2 for part in value)
        part = "pair" if pairs else "part"
        return f"({_kind(value)} of {len(value)} {part}{'' if len(value) == 1 else 's'})"
    return ""
