"""Printing the package's source."""

import inspect

import pytest

from companion.listing import show
from companion.network import Linear, softmax


def plain(x):
    # A comment stays.
    return x


def test_a_function_without_docstring_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Oracle: inspect.getsource."""
    show(plain)
    assert capsys.readouterr().out == inspect.getsource(plain)


def test_a_docstring_is_left_out_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """Oracle: the lines of inspect.getsource, of which the docstring's alone are missing."""
    show(softmax)
    printed = capsys.readouterr().out.splitlines()
    source = inspect.getsource(softmax).splitlines()
    missing = [line for line in source if line not in printed]
    assert printed == [source[0], source[-1]]
    assert '"""' in missing[0]
    assert '"""' in missing[-1]


def test_a_method_starts_at_the_left_edge(capsys: pytest.CaptureFixture[str]) -> None:
    """Oracle: the first and last line as written in the class, without its indent."""
    show(Linear.backward)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("def backward(self")
    assert printed[-1] == "    return np.asarray(delta @ self.weight)"
    assert '"""' not in "".join(printed)


@pytest.mark.parametrize("wrong", [Linear, len, "softmax", None])
def test_what_is_no_python_function_is_refused(wrong: object) -> None:
    """Oracle: the message."""
    with pytest.raises(TypeError, match="function must be a Python function or method, got"):
        show(wrong)
