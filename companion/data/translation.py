"""Pairs to translate: numbers and their English words, dates in many forms and in one."""

from __future__ import annotations

import datetime
import string
from collections.abc import Iterable
from dataclasses import dataclass

from companion._validation import IntArray, Seed, choice, generator, integer
from companion.data.tokens import END, PAD, PARTS, START, Vocabulary, draw_distinct, part_of, pick

ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ORDINALS = {day: f"{day}th" for day in range(1, 32)}
_ORDINALS |= {1: "1st", 2: "2nd", 3: "3rd", 21: "21st", 22: "22nd", 23: "23rd", 31: "31st"}
FIRST_DAY, LAST_DAY = datetime.date(1950, 1, 1), datetime.date(2049, 12, 31)


@dataclass(frozen=True)
class Translation:
    """Pairs of texts that say the same.

    Attributes
    ----------
    source : ndarray of int, shape (S, N)
        One text a column, 0 below its end.
    source_lengths : ndarray of int, shape (N,)
    target : ndarray of int, shape (T, N)
        The translations. Each begins with ``'<start>'``, token 1, and stops with ``'<end>'``,
        token 2: a decoder reads ``target[:-1]`` and should answer ``target[1:]``.
    target_lengths : ndarray of int, shape (N,)
        Start and end included.
    source_texts, target_texts : tuple of str
        The N pairs.
    source_vocabulary, target_vocabulary : Vocabulary
        Both begin with ``'<pad>'``, ``'<start>'``, ``'<end>'``.
    """

    source: IntArray
    source_lengths: IntArray
    target: IntArray
    target_lengths: IntArray
    source_texts: tuple[str, ...]
    target_texts: tuple[str, ...]
    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary

    def __repr__(self) -> str:
        """Return the sizes."""
        return (
            f"Translation({len(self.source_texts)}, "
            f"source={len(self.source)} x {len(self.source_vocabulary)}, "
            f"target={len(self.target)} x {len(self.target_vocabulary)})"
        )


def make_translation(
    n: int,
    *,
    task: str = "numbers",
    reverse: bool = False,
    part: str = "train",
    min_digits: int | None = None,
    max_digits: int | None = None,
    rng: Seed,
) -> Translation:
    """Return different pairs of texts that say the same.

    **Numbers.** From digits, one token each, to English words as in `number_words`. How many
    digits a number has is drawn first, so that long numbers do not crowd out short ones.

    **Dates.** From one of seven forms that people write, to ISO 8601 (1998-03-03), both as
    characters. The days are those from 1950 to 2049; of a date in figures the day stands first.

    Which pairs are for training is a matter of the number or the day: no number, and no day in
    any form, is in two parts, whatever the seeds. To test on longer numbers than those of
    training, ask for other digits.

    Parameters
    ----------
    n : int
        Number of pairs.
    task : {'numbers', 'dates'}
        What the texts say.
    reverse : bool, default False
        Whether to translate words to digits, or ISO dates to the form "3 march 1998".
    part : {'train', 'validation', 'test'}
        Which pairs.
    min_digits, max_digits : int, optional
        Of numbers: from 1 (the default) and up to 6 (the default) or at most 9 digits.
    rng : Generator or int
        Source of randomness, or a seed for one.

    Returns
    -------
    Translation

    Raises
    ------
    ValueError
        If an option is unknown, the digits are out of range or given for dates, or `n` is below 1
        or above the number of different pairs.
    TypeError
        If an argument has a wrong type.

    References
    ----------
    Encoder and decoder: I. Sutskever, O. Vinyals and Q. V. Le, "Sequence to Sequence Learning with
    Neural Networks", NeurIPS 2014, arXiv:1409.3215.

    Examples
    --------
    >>> pairs = make_translation(2000, min_digits=3, rng=0)
    >>> pairs
    Translation(2000, source=6 x 13, target=13 x 35)
    >>> pairs.source_texts[1], pairs.target_texts[1]
    ('34280', 'thirty four thousand two hundred and eighty')
    >>> pairs.target_vocabulary.decode(pairs.target[:, 1]) == pairs.target_texts[1]
    True
    >>> dates = make_translation(2000, task="dates", rng=0)
    >>> dates.source_texts[0], dates.target_texts[0]
    ('january 24, 2035', '2035-01-24')
    """
    count, random = integer("n", n), generator("rng", rng)
    choice("task", task, ("numbers", "dates"))
    choice("part", part, PARTS)
    if not isinstance(reverse, bool):
        raise TypeError(f"reverse must be True or False, got {reverse!r}")
    fewest = integer("min_digits", 1 if min_digits is None else min_digits)
    most = integer("max_digits", 6 if max_digits is None else max_digits, minimum=fewest)
    if most > 9:
        raise ValueError(f"max_digits must be at most 9, got {most}")
    if task == "dates" and (min_digits is not None or max_digits is not None):
        raise ValueError("min_digits and max_digits must be left out for dates")

    def number() -> tuple[str, str]:
        digits = int(random.integers(fewest, most + 1))
        value = int(random.integers(10 ** (digits - 1) if digits > 1 else 0, 10**digits))
        return str(value), number_words(value)

    def day() -> tuple[str, str]:
        chosen = int(random.integers(FIRST_DAY.toordinal(), LAST_DAY.toordinal() + 1))
        date = datetime.date.fromordinal(chosen)
        forms = _date_forms(date)
        return (forms[0] if reverse else pick(random, forms)), date.isoformat()

    draw, key = (number, 0) if task == "numbers" else (day, 1)
    pairs = draw_distinct(count, draw, lambda pair: part_of(pair[key]) == part)
    left, right = _VOCABULARIES[task]
    if reverse:
        pairs, left, right = [(two, one) for one, two in pairs], right, left
    sources, targets = tuple(one for one, _ in pairs), tuple(two for _, two in pairs)
    return Translation(
        *left.pad(sources), *right.pad(targets, framed=True), sources, targets, left, right
    )


def number_words(value: int) -> str:
    """Return a number in British English words.

    Parameters
    ----------
    value : int
        From 0 to 999,999,999.

    Returns
    -------
    str
        Without hyphens: "forty two" is two words, each of which stands for one digit.

    Raises
    ------
    ValueError
        If `value` is out of range.
    TypeError
        If `value` is not an integer.

    Examples
    --------
    >>> number_words(342_007)
    'three hundred and forty two thousand and seven'
    """
    number = integer("value", value, minimum=0)
    if number >= 10**9:
        raise ValueError(f"value must be below 1,000,000,000, got {number}")
    if number == 0:
        return ONES[0]
    millions, thousands, rest = number // 10**6, number // 1000 % 1000, number % 1000
    words = []
    for group, name in ((millions, "million"), (thousands, "thousand")):
        if group:
            words += [_below_thousand(group), name]
    if rest:
        # "And" stands before the tens: two thousand and seven, but two thousand one hundred.
        words += [*(["and"] if words and rest < 100 else []), _below_thousand(rest)]
    return " ".join(words)


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [ONES[hundreds], "hundred"] if hundreds else []
    if hundreds and rest:
        words.append("and")
    if rest >= 20:
        words.append(TENS[rest // 10 - 2])
        rest %= 10
    if rest:
        words.append(ONES[rest])
    return " ".join(words)


def _date_forms(date: datetime.date) -> tuple[str, ...]:
    """Return the ways to write a day; the first is the long form of ``reverse=True``."""
    day, month, year = date.day, MONTHS[date.month - 1], date.year
    return (
        f"{day} {month} {year}",
        f"{month} {day}, {year}",
        f"the {_ORDINALS[day]} of {month} {year}",
        f"{WEEKDAYS[date.weekday()]} {day} {month} {year}",
        f"{day} {month[:3]} {year}",
        f"{day}/{date.month}/{year}",
        f"{day:02}.{date.month:02}.{year}",
    )


def _vocabulary(tokens: Iterable[str], *, characters: bool) -> Vocabulary:
    return Vocabulary((PAD, START, END, *tokens), characters)


_VOCABULARIES = {
    "numbers": (
        _vocabulary(string.digits, characters=True),
        _vocabulary((*ONES, *TENS, "hundred", "thousand", "million", "and"), characters=False),
    ),
    "dates": (
        _vocabulary(" ,./" + string.digits + string.ascii_lowercase, characters=True),
        _vocabulary("-" + string.digits, characters=True),
    ),
}
