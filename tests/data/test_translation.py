"""Numbers and dates to translate: read back by parsers written separately, and the parts."""

import calendar
import datetime
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion import data
from companion.data.tokens import part_of

SMALL = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def value_of(text):
    """Read number words from left to right: a sum that hundred, thousand and million multiply."""
    total = group = 0
    for word in text.split():
        if word in SMALL:
            group += SMALL.index(word)
        elif word in TENS:
            group += 10 * TENS.index(word) + 20
        elif word == "hundred":
            group *= 100
        elif word in ("thousand", "million"):
            total += group * {"thousand": 1000, "million": 1_000_000}[word]
            group = 0
        else:
            assert word == "and"
    return total + group


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "zero"),
        (7, "seven"),
        (10, "ten"),
        (19, "nineteen"),
        (20, "twenty"),
        (99, "ninety nine"),
        (100, "one hundred"),
        (101, "one hundred and one"),
        (342, "three hundred and forty two"),
        (1000, "one thousand"),
        (1001, "one thousand and one"),
        (1100, "one thousand one hundred"),
        (1110, "one thousand one hundred and ten"),
        (20_099, "twenty thousand and ninety nine"),
        (100_100, "one hundred thousand one hundred"),
        (342_000, "three hundred and forty two thousand"),
        (1_000_000, "one million"),
        (1_000_013, "one million and thirteen"),
        (1_013_000, "one million thirteen thousand"),
        (
            999_999_999,
            "nine hundred and ninety nine million nine hundred and ninety nine thousand "
            "nine hundred and ninety nine",
        ),
    ],
)
def test_numbers_are_named_as_in_britain(value, words):
    """Oracle: a person."""
    assert data.number_words(value) == words


@given(st.integers(0, 999_999_999))
def test_number_words_are_read_back(value):
    """Oracle: a parser that adds and multiplies from left to right; "and" stands exactly where a
    rest below one hundred follows something."""
    words = data.number_words(value)
    assert value_of(words) == value
    ands = sum(group >= 100 and group % 100 > 0 for group in (value // 10**6, value // 1000 % 1000))
    ands += value >= 100 and value % 100 > 0
    assert words.split().count("and") == ands
    assert not re.search(r"^and\b|\band$|and and|and (?:thousand|million|hundred)", words)


@pytest.mark.parametrize(("low", "high"), [(1, 6), (1, 1), (3, 3), (4, 9)])
@pytest.mark.parametrize("reverse", [False, True])
def test_numbers_are_translated(low, high, reverse):
    """Oracle: the parser of this file, and the digits asked for."""
    n = 6 if high == 1 else 500
    pairs = data.make_translation(n, reverse=reverse, min_digits=low, max_digits=high, rng=0)
    one, two = pairs.source_texts, pairs.target_texts
    for digits, words in zip(*((two, one) if reverse else (one, two)), strict=True):
        assert str(value_of(words)) == digits
        assert low <= len(digits) <= high
    assert len(set(one)) == len(set(two)) == n


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize("digits", [1, 2])
def test_every_number_of_a_length_is_in_some_part(digits, part):
    """Oracle: the numbers from 0 to 9 and from 10 to 99, parted by their checksums."""
    expected = {str(n) for n in range(100) if len(str(n)) == digits and part_of(str(n)) == part}
    if expected:
        pairs = data.make_translation(
            len(expected), part=part, min_digits=digits, max_digits=digits, rng=0
        )
        assert set(pairs.source_texts) == expected


def test_lengths_of_numbers_have_equal_chances_while_they_last():
    """Oracle: a fifth each for 4 to 8 digits, within four standard errors."""
    pairs = data.make_translation(4000, min_digits=4, max_digits=8, rng=1)
    counts = np.bincount(pairs.source_lengths)
    assert counts[:4].sum() == 0
    np.testing.assert_allclose(counts[4:], 800, atol=4 * np.sqrt(4000 * 0.16))


def read_date(text):
    """Read a day in any of the seven forms, with datetime.strptime, and return the form too."""
    plain = re.sub(r"(?<=\d)[dhnrst]{2}\b", "", text)
    forms = (
        *("%d %B %Y", "%B %d, %Y", "the %d of %B %Y", "%A %d %B %Y"),
        *("%d %b %Y", "%d/%m/%Y", "%d.%m.%Y"),
    )
    for form in forms:
        try:
            return datetime.datetime.strptime(plain, form).date(), form
        except ValueError:
            continue
    raise AssertionError(text)


def test_dates_are_translated():
    """Oracle: datetime.strptime for each form, calendar for the day of the week, and a rule for
    the ending of a day's number."""
    pairs = data.make_translation(4000, task="dates", rng=0)
    found = {}
    for text, iso in zip(pairs.source_texts, pairs.target_texts, strict=True):
        day, form = read_date(text)
        found[form] = found.get(form, 0) + 1
        assert iso == f"{day.year:04}-{day.month:02}-{day.day:02}"
        assert 1950 <= day.year <= 2049
        if form.startswith("%A"):
            weekday = calendar.weekday(day.year, day.month, day.day)
            assert text.split()[0] == calendar.day_name[weekday].lower()
        if form.startswith("the"):
            # 11 to 13 are like 4 to 20; every other number is like its last digit.
            last = 4 if day.day in (11, 12, 13) else day.day % 10
            ending = {1: "1st", 2: "2nd", 3: "3rd"}.get(last, "4th")[1:]
            assert f"the {day.day}{ending} of " in text
        if form == "%d.%m.%Y":
            assert len(text) == 10
        if form == "%d/%m/%Y":
            assert "/0" not in f"/{text}"
    # "3 may 1998" is read as the long form whether it was meant as the short one or not.
    assert len(found) == 7
    assert min(found.values()) > 400


def test_iso_dates_are_written_out():
    """Oracle: datetime.strptime of the long form."""
    pairs = data.make_translation(3000, task="dates", reverse=True, rng=0)
    for iso, text in zip(pairs.source_texts, pairs.target_texts, strict=True):
        assert re.fullmatch(r"[1-9]\d? [a-z]+ \d{4}", text)
        assert datetime.datetime.strptime(text, "%d %B %Y").date().isoformat() == iso
    assert len(set(pairs.source_texts)) == 3000


def test_days_are_spread_over_a_century():
    """Oracle: the uniform distribution: a tenth of 5000 days in each of ten decades, within four
    standard errors, and days near both ends."""
    pairs = data.make_translation(5000, task="dates", reverse=True, rng=0)
    decades = np.array([(int(iso[:4]) - 1950) // 10 for iso in pairs.source_texts])
    np.testing.assert_allclose(np.bincount(decades), 500, atol=4 * np.sqrt(450))
    assert min(pairs.source_texts) < "1950-02"
    assert max(pairs.source_texts) > "2049-11"


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("task", ["numbers", "dates"])
def test_no_number_and_no_day_is_in_two_parts(task, reverse):
    """Oracle: sets, of numbers up to 4 digits and of days, for other seeds and directions."""
    options = {"max_digits": 4} if task == "numbers" else {}
    said = {}
    for seed, (part, n) in enumerate((("train", 3000), ("validation", 500), ("test", 500))):
        pairs = data.make_translation(
            n, task=task, reverse=reverse != (part == "test"), part=part, rng=seed, **options
        )
        assert len(set(zip(pairs.source_texts, pairs.target_texts, strict=True))) == n
        plain = re.compile(r"\d{4}-\d\d-\d\d|\d{1,4}" if task == "numbers" else r"\d{4}-\d\d-\d\d")
        both = zip(pairs.source_texts, pairs.target_texts, strict=True)
        said[part] = {one if plain.fullmatch(one) else two for one, two in both}
    assert not said["train"] & said["validation"]
    assert not said["train"] & said["test"]
    assert not said["validation"] & said["test"]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("task", ["numbers", "dates"])
def test_the_arrays_say_what_the_texts_say(task, reverse):
    """Oracle: a loop over words or characters, with start and end by hand."""
    pairs = data.make_translation(300, task=task, reverse=reverse, rng=0)
    for side in ("source", "target"):
        array, lengths = getattr(pairs, side), getattr(pairs, f"{side}_lengths")
        vocabulary, texts = getattr(pairs, f"{side}_vocabulary"), getattr(pairs, f"{side}_texts")
        assert vocabulary.tokens[:3] == ("<pad>", "<start>", "<end>")
        assert array.shape == (lengths.max(), 300)
        by_words = task == "numbers" and (side == "target") != reverse
        for column, text in enumerate(texts):
            ids = [vocabulary.tokens.index(t) for t in (text.split(" ") if by_words else text)]
            ids = [1, *ids, 2] if side == "target" else ids
            assert array[:, column].tolist() == ids + [0] * (len(array) - len(ids))
            assert lengths[column] == len(ids)
            assert vocabulary.decode(array[:, column]) == text
    sizes = (*pairs.source.shape, *pairs.target.shape)
    numbers = [int(number) for number in re.findall(r"\d+", repr(pairs))]
    one, two = len(pairs.source_vocabulary), len(pairs.target_vocabulary)
    assert numbers == [300, sizes[0], one, sizes[2], two]


def test_translations_follow_their_seed():
    """Oracle: a seed is short for its generator, and another gives other pairs."""
    one, same, other = (data.make_translation(9, rng=r) for r in (4, np.random.default_rng(4), 5))
    assert one.source_texts == same.source_texts
    assert one.source_texts != other.source_texts


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n": 0}, ValueError, "n must be at least 1, got 0"),
        ({"n": 11, "max_digits": 1}, ValueError, "n must be at most the number of different"),
        ({"task": "times"}, ValueError, "task must be one of 'numbers', 'dates', got 'times'"),
        ({"part": "held-out"}, ValueError, "part must be one of 'train', 'validation', 'test'"),
        ({"reverse": 1}, TypeError, "reverse must be True or False, got 1"),
        ({"min_digits": 0}, ValueError, "min_digits must be at least 1, got 0"),
        ({"min_digits": 7}, ValueError, "max_digits must be at least 7, got 6"),
        ({"max_digits": 10}, ValueError, "max_digits must be at most 9, got 10"),
        ({"task": "dates", "min_digits": 1}, ValueError, "must be left out for dates"),
        ({"task": "dates", "max_digits": 3}, ValueError, "must be left out for dates"),
        ({"rng": None}, TypeError, "rng must be a numpy.random.Generator"),
    ],
)
def test_make_translation_refuses(options, error, message):
    with pytest.raises(error, match=message):
        data.make_translation(**({"n": 1, "rng": 0} | options))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (-1, ValueError, "value must be at least 0, got -1"),
        (10**9, ValueError, "value must be below 1,000,000,000, got 1000000000"),
        (1.5, TypeError, "value must be an integer, got 1.5"),
    ],
)
def test_number_words_refuses(value, error, message):
    with pytest.raises(error, match=message):
        data.number_words(value)
