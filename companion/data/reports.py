"""Short reports, of which one sentence is the one to keep: summarising by choosing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from companion._validation import IntArray, Seed, choice, generator, integer
from companion.data.ratings import BoolArray
from companion.data.tokens import PAD, PARTS, Vocabulary, draw_distinct, part_of, pick
from companion.data.translation import number_words

STATIONS = (
    *("alder", "birch", "cedar", "elm", "hazel"),
    *("juniper", "linden", "maple", "poplar", "willow"),
)
LARGEST = 20
# Of a station and a number.
CHANGES = (
    "the river at {} rose by {} .",
    "the river at {} fell by {} .",
    "at {} the water climbed by {} .",
    "at {} the water dropped by {} .",
)
# Of a station.
WITHDRAWALS: tuple[str, ...] = (
    "the figure from {} was wrong .",
    "the figure from {} was not right .",
)
CONFIRMATIONS: tuple[str, ...] = (
    "the figure from {} was right .",
    "the figure from {} was not wrong .",
)
ASIDES: tuple[str, ...] = (
    "the weather at {} was mild .",
    "the road to {} was open .",
    "the bridge at {} held .",
)


@dataclass(frozen=True)
class Reports:
    """Reports, and which sentence of each is the one to keep.

    Attributes
    ----------
    tokens : ndarray of int, shape (T, N)
        One report a column, 0 below its end.
    lengths : ndarray of int, shape (N,)
        Words of each report, points included.
    sentence : ndarray of int, shape (T, N)
        Which sentence of its report, from 0, each token stands in; -1 below the end.
    counts : ndarray of int, shape (N,)
        Sentences of each report.
    keep : ndarray of int, shape (N,)
        The sentence to keep.
    withdrawn : ndarray of bool, shape (N,)
        Whether the largest figure of the report is withdrawn, so that another one is to keep.
    texts : tuple of str
        The N reports.
    vocabulary : Vocabulary
    """

    tokens: IntArray
    lengths: IntArray
    sentence: IntArray
    counts: IntArray
    keep: IntArray
    withdrawn: BoolArray
    texts: tuple[str, ...]
    vocabulary: Vocabulary

    def __repr__(self) -> str:
        """Return the sizes."""
        return (
            f"Reports({len(self.texts)}, longest={len(self.tokens)}, "
            f"vocabulary={len(self.vocabulary)})"
        )


@dataclass(frozen=True)
class _Report:
    text: str
    keep: int
    withdrawn: bool


def make_reports(n: int, *, part: str = "train", rng: Seed) -> Reports:
    r"""Return different reports of 4 to 8 sentences, with the one that says the most.

    At least two sentences state by how much the water rose or fell, each at another station.
    Others withdraw such a figure later ("the figure from elm was wrong ."), or confirm it ("...
    was not wrong ."), and some are asides. **The sentence to keep** states the largest figure
    that is not withdrawn. So its place says little, and neither does the number alone: in about
    half of the reports the largest figure is withdrawn. Nor does the word "wrong", which may be
    negated. All figures of a report differ, and one at least stands.

    Rules that do not read the whole report: the first sentence is the one to keep in 25 % of the
    reports, the last in 9 %, the one with the largest figure in 49 %, and the one with the largest
    figure of which nothing more is said in 65 %.

    Parameters
    ----------
    n : int
        Number of reports.
    part : {'train', 'validation', 'test'}
        Which reports: no report is in two parts, whatever the seeds.
    rng : Generator or int
        Source of randomness, or a seed for one.

    Returns
    -------
    Reports

    Raises
    ------
    ValueError
        If `part` is unknown or `n` is below 1.
    TypeError
        If an argument has a wrong type.

    References
    ----------
    To summarise by choosing sentences: H. P. Luhn, "The Automatic Creation of Literature
    Abstracts", IBM Journal of Research and Development 2(2), 1958.

    Examples
    --------
    >>> reports = make_reports(500, rng=0)
    >>> reports
    Reports(500, longest=64, vocabulary=54)
    >>> print(reports.texts[2].replace(". ", ".\n"))
    the weather at poplar was mild .
    at maple the water dropped by eleven .
    the figure from maple was not wrong .
    the river at linden rose by nineteen .
    >>> chosen = reports.sentence[:, 2] == reports.keep[2]
    >>> reports.vocabulary.decode(reports.tokens[chosen, 2])
    'the river at linden rose by nineteen .'
    """
    count, random = integer("n", n), generator("rng", rng)
    choice("part", part, PARTS)
    reports = draw_distinct(
        count,
        lambda: _report(random),
        lambda report: report.keep >= 0 and part_of(report.text) == part,
    )
    texts = tuple(report.text for report in reports)
    tokens, lengths = _VOCABULARY.pad(texts)
    # A sentence ends with its point, so a token's sentence is the number of points before it.
    points = tokens == _VOCABULARY.tokens.index(".")
    sentence = np.where(tokens > 0, np.cumsum(points, axis=0) - points, -1)
    return Reports(
        tokens,
        lengths,
        sentence,
        points.sum(axis=0),
        np.array([report.keep for report in reports], dtype=np.int64),
        np.array([report.withdrawn for report in reports], dtype=np.bool_),
        texts,
        _VOCABULARY,
    )


def _report(random: np.random.Generator) -> _Report:
    total = int(random.integers(4, 9))
    changes = int(random.integers(2, total))
    stations = random.permutation(len(STATIONS))
    # The largest figure first, each of a station and at a moment of its own.
    figures = np.sort(random.permutation(LARGEST)[:changes] + 1)[::-1]
    moments = random.random(changes)
    lines = [
        (moment, pick(random, CHANGES).format(STATIONS[station], number_words(int(figure))))
        for moment, station, figure in zip(moments, stations, figures, strict=False)
    ]
    stands = np.ones(changes, dtype=np.bool_)
    unspoken = [int(figure) for figure in random.permutation(changes)]
    remarks: list[tuple[str, ...]] = []
    # Two of five reports withdraw the largest figure on purpose; with those that happen to do so,
    # it is about half.
    if random.random() < 0.4:
        unspoken.remove(0)
        unspoken.append(0)
        remarks.append(WITHDRAWALS)
    while len(remarks) < total - changes:
        remarks.append(pick(random, (WITHDRAWALS, CONFIRMATIONS, ASIDES)))
    for forms in remarks:
        if forms is ASIDES or not unspoken:
            aside = pick(random, ASIDES).format(pick(random, STATIONS))
            lines.append((random.random(), aside))
            continue
        figure = unspoken.pop()
        stands[figure] &= forms is CONFIRMATIONS
        moment = random.uniform(moments[figure], 1.0)
        lines.append((moment, pick(random, forms).format(STATIONS[stations[figure]])))
    order = np.argsort([moment for moment, _ in lines])
    text = " ".join(lines[position][1] for position in order)
    # If no figure stands there is nothing to keep.
    keep = int(np.flatnonzero(order == stands.argmax())[0]) if stands.any() else -1
    return _Report(text, keep, not stands[0])


_VOCABULARY = Vocabulary(
    (
        PAD,
        *sorted(
            {
                *" ".join((*CHANGES, *WITHDRAWALS, *CONFIRMATIONS, *ASIDES)).split(),
                *STATIONS,
                *(number_words(figure) for figure in range(1, LARGEST + 1)),
            }
            - {"{}"}
        ),
    )
)
