"""Print the package's own code in a lesson, so that no second copy exists."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any


def show(function: Callable[..., Any]) -> None:
    """Print the source of a function or method without its docstring.

    Parameters
    ----------
    function : callable
        Written in Python.

    Raises
    ------
    TypeError
        If it is not a function or method, or not written in Python.

    Examples
    --------
    >>> from companion.network import mse
    >>> show(mse)
    def mse(prediction: ArrayLike, target: ArrayLike) -> float:
        return float(np.mean(np.square(_difference(prediction, target))))
    """
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        raise TypeError(f"function must be a Python function or method, got {function!r}")
    lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    (definition,) = ast.parse("\n".join(lines)).body
    assert isinstance(definition, ast.FunctionDef)
    if ast.get_docstring(definition) is not None:
        text = definition.body[0]
        assert text.end_lineno is not None
        del lines[text.lineno - 1 : text.end_lineno]
    print("\n".join(lines))
