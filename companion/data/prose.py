"""English prose for a language model of characters: what Python says about itself."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from companion._validation import IntArray
from companion.data.tokens import token_ids

UNKNOWN = "~"
ALPHABET = "\n " + string.ascii_lowercase + string.digits + ".,;:?!'()[]<>-_=/*+%" + UNKNOWN
# Typographic characters with a plain form; the double quotes only mark names of code.
_PLAIN = str.maketrans({"’": "'", "‘": "'", "–": "-", "—": "-", "“": "", "”": "", '"': ""})
_BULLET = re.compile(r"^(?:[*+-]|\[\d+\]|\d+\.|note:|(?:changed|new) in version [\d.]+:)\s+")
_EMPHASIS = re.compile(r"(?<!\w)\*{1,2}(\w[^*]{0,60})(?<!\s)\*{1,2}(?!\w)")
# The marks of sessions, grammar rules and tables.
_CODE = (">>>", "::=", "===", "---", "***")


@dataclass(frozen=True)
class Text:
    """A text in three parts, made of few different characters.

    Attributes
    ----------
    train, validation, test : str
        Each paragraph is one line.
    alphabet : str
        All characters; each stands for its position. The last one stands for every character
        that is not in the alphabet.
    """

    train: str
    validation: str
    test: str
    alphabet: str

    def __repr__(self) -> str:
        """Return the sizes."""
        parts = ", ".join(
            f"{part}={len(getattr(self, part))}" for part in ("train", "validation", "test")
        )
        return f"Text({parts}, alphabet={len(self.alphabet)})"

    def encode(self, text: str) -> IntArray:
        """Return the integers of characters.

        Parameters
        ----------
        text : str
            T characters. Those outside the alphabet, capitals among them, become the last one.

        Returns
        -------
        ndarray of int, shape (T,)

        Raises
        ------
        TypeError
            If `text` is not a string.

        Examples
        --------
        >>> Text("a", "b", "c", alphabet="abc~").encode("cab?")
        array([2, 0, 1, 3])
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be a string, got {text!r}")
        positions = {character: position for position, character in enumerate(self.alphabet)}
        last = len(self.alphabet) - 1
        return np.array([positions.get(character, last) for character in text], dtype=np.int64)

    def decode(self, ids: ArrayLike) -> str:
        """Return the characters that integers stand for.

        Parameters
        ----------
        ids : array_like of int, shape (T,)

        Returns
        -------
        str

        Raises
        ------
        TypeError
            If `ids` does not hold integers.
        ValueError
            If `ids` has another number of axes than one, or an integer stands for no character.

        Examples
        --------
        >>> Text("a", "b", "c", alphabet="abc~").decode([2, 0, 1])
        'cab'
        """
        array = token_ids("ids", ids, size=len(self.alphabet))
        return "".join(self.alphabet[number] for number in array)


def load_prose() -> Text:
    """Return the English prose of the interpreter's own documentation, in three parts.

    It is the text behind ``help('assert')`` and 78 other topics, about 465,000 characters. Code,
    grammar rules, tables and headings are left out, marks of emphasis and the quotes around names
    of code are taken away, capitals become small, and the few characters outside an alphabet of
    59 become ``~``.

    Many topics repeat each other, some whole. So a paragraph is left out when a third or more of
    its runs of five words stood in earlier paragraphs. Then the topics, in the order of their
    names, are cut into three parts at the boundaries nearest to 80 % and 90 % of the characters:
    no topic is in two parts.

    Returns
    -------
    Text
        About 250,000 characters. The text differs a little from one release of Python to the
        next, and so does what a model makes of it.

    References
    ----------
    Python Software Foundation, "The Python Language Reference", as the module
    ``pydoc_data.topics`` of the running interpreter.

    Examples
    --------
    >>> text = load_prose()
    >>> text.train[:67]
    'assert statements are a convenient way to insert debugging assertio'
    >>> text.decode(text.encode("a name is bound")) == "a name is bound"
    True
    """
    from pydoc_data.topics import topics

    seen: set[tuple[str, ...]] = set()
    cleaned = []
    for _, topic in sorted(topics.items()):
        kept = [line for line in _paragraphs(topic) if _is_new(line, seen)]
        cleaned.append("".join(line + "\n" for line in kept))
    ends = np.cumsum([len(topic) for topic in cleaned])
    first, second = (int(np.abs(ends - share * ends[-1]).argmin()) + 1 for share in (0.8, 0.9))
    parts = (cleaned[:first], cleaned[first:second], cleaned[second:])
    train, validation, test = ("".join(part) for part in parts)
    return Text(train, validation, test, ALPHABET)


def _paragraphs(topic: str) -> Iterator[str]:
    """Yield the paragraphs of a topic that are prose, each as one cleaned line."""
    for block in re.split(r"\n\s*\n", topic):
        if any(mark in block for mark in _CODE):
            continue
        line = " ".join(block.translate(_PLAIN).lower().split())
        line = _EMPHASIS.sub(r"\1", _BULLET.sub("", line))
        letters = sum(character.isalpha() or character == " " for character in line)
        # Signatures are short; what is left of code has few letters, or does not end a sentence.
        if len(line.split()) >= 6 and letters >= 0.85 * len(line) and line[-1] in ".:;?!)":
            yield "".join(c if c in ALPHABET else UNKNOWN for c in line)


def _is_new(line: str, seen: set[tuple[str, ...]]) -> bool:
    """Say whether under a third of a line's runs of five words were seen; remember all."""
    words = re.findall(r"\w+", line)
    runs = {tuple(words[start : start + 5]) for start in range(max(1, len(words) - 4))}
    new = len(runs & seen) * 3 < len(runs)
    seen |= runs
    return new
