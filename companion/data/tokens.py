"""Texts as arrays of integers: what the made texts of the course have in common.

A token is a word or a character; a batch of texts is an array of shape (T, N), one time step a
row and one text a column, filled up with zeros below the end of the shorter ones.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from companion._validation import IntArray

PAD, START, END = "<pad>", "<start>", "<end>"
PARTS = ("train", "validation", "test")

Option = TypeVar("Option")
Example = TypeVar("Example", bound=Hashable)


@dataclass(frozen=True)
class Vocabulary:
    """Words or characters in a fixed order, each standing for its position.

    Attributes
    ----------
    tokens : tuple of str
        The first is ``'<pad>'``, the filling beneath the shorter texts of a batch. A vocabulary
        to translate to goes on with ``'<start>'`` and ``'<end>'``.
    characters : bool, default False
        Whether the tokens are characters, and not words parted by spaces.

    Raises
    ------
    ValueError
        If the first token is another one, or a token occurs twice.

    Examples
    --------
    >>> words = Vocabulary(("<pad>", "not", "good"))
    >>> tokens, lengths = words.pad(["good", "not good"])
    >>> tokens
    array([[2, 1],
           [0, 2]])
    >>> lengths
    array([1, 2])
    >>> words.decode(tokens[:, 1])
    'not good'
    """

    tokens: tuple[str, ...]
    characters: bool = False

    def __post_init__(self) -> None:
        """Check the tokens."""
        if self.tokens[:1] != (PAD,):
            raise ValueError(f"tokens must begin with {PAD!r}, got {self.tokens[:1]}")
        if len(set(self.tokens)) < len(self.tokens):
            raise ValueError(f"tokens must be distinct, got {self.tokens}")

    def __len__(self) -> int:
        """Return the number of tokens, the filling included."""
        return len(self.tokens)

    def __repr__(self) -> str:
        """Return the number of tokens: they are many."""
        return f"Vocabulary({len(self)} {'characters' if self.characters else 'words'})"

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {token: position for position, token in enumerate(self.tokens)}

    def encode(self, text: str) -> IntArray:
        """Return the integers of a text.

        Parameters
        ----------
        text : str
            T tokens.

        Returns
        -------
        ndarray of int, shape (T,)

        Raises
        ------
        TypeError
            If `text` is not a string.
        ValueError
            If a token is not in the vocabulary.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be a string, got {text!r}")
        tokens = text if self.characters else text.split()
        try:
            return np.array([self._positions[token] for token in tokens], dtype=np.int64)
        except KeyError as error:
            raise ValueError(f"text must be made of the vocabulary, got {error}") from None

    def decode(self, ids: ArrayLike) -> str:
        """Return the text that integers stand for.

        Parameters
        ----------
        ids : array_like of int, shape (T,)

        Returns
        -------
        str
            What stands before the first ``'<end>'``, without ``'<start>'`` and ``'<pad>'``.

        Raises
        ------
        TypeError
            If `ids` does not hold integers.
        ValueError
            If `ids` has another number of axes than one, or an integer stands for no token.
        """
        tokens = [self.tokens[number] for number in token_ids("ids", ids, size=len(self))]
        if END in tokens:
            tokens = tokens[: tokens.index(END)]
        separator = "" if self.characters else " "
        return separator.join(token for token in tokens if token not in (PAD, START))

    def pad(self, texts: Iterable[str], *, framed: bool = False) -> tuple[IntArray, IntArray]:
        """Return texts of several lengths as one array.

        Parameters
        ----------
        texts : iterable of str
            N texts.
        framed : bool, default False
            Whether to put ``'<start>'`` before each text and ``'<end>'`` behind it.

        Returns
        -------
        tokens : ndarray of int, shape (T, N)
            T is the length of the longest text; 0 stands below the end of the others.
        lengths : ndarray of int, shape (N,)
            What the frame adds is counted.

        Raises
        ------
        TypeError
            If a text is not a string.
        ValueError
            If a token is not in the vocabulary.
        """
        columns = [self.encode(text) for text in texts]
        if framed:
            start, end = (self.tokens.index(token) for token in (START, END))
            columns = [np.concatenate([[start], column, [end]]) for column in columns]
        lengths = np.array([len(column) for column in columns], dtype=np.int64)
        tokens = np.zeros((lengths.max(initial=0), len(columns)), dtype=np.int64)
        for number, column in enumerate(columns):
            tokens[: len(column), number] = column
        return tokens, lengths


def token_ids(name: str, value: ArrayLike, *, size: int) -> IntArray:
    """Return `value` as an array of integers in 0 .. size - 1 with one axis, or say what is wrong.

    An empty list is fine.
    """
    array = np.asarray(value)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, got dtype {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"{name} must have 1 axis, got shape {array.shape}")
    if array.size and (array.min() < 0 or array.max() >= size):
        raise ValueError(
            f"{name} must lie in 0..{size - 1}, got values from {array.min()} to {array.max()}"
        )
    return array


def part_of(text: str) -> str:
    """Return the part that an example belongs to, by a checksum of its text.

    So the parts share no example, whatever the seeds: 8 texts of 10 are for training, one for
    validation and one for testing.
    """
    return PARTS[max(0, zlib.crc32(text.encode()) % 10 - 7)]


def pick(random: np.random.Generator, options: Sequence[Option]) -> Option:
    """Return one of `options`, each with the same chance."""
    # One float is drawn ten times as fast as one integer.
    return options[int(random.random() * len(options))]


def draw_distinct(
    n: int, draw: Callable[[], Example], admit: Callable[[Example], bool]
) -> list[Example]:
    """Return the first `n` different examples that `draw` makes and `admit` lets in.

    After 10,000 draws in a row without a new one, there are hardly more.
    """
    found: dict[Example, None] = {}
    misses = 0
    while len(found) < n:
        example = draw()
        if example not in found and admit(example):
            found[example] = None
            misses = 0
        elif (misses := misses + 1) == 10_000:
            raise ValueError(
                f"n must be at most the number of different examples, here {len(found)}, got {n}"
            )
    return list(found)
