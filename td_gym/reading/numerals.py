"""Reads numbers out of free text, in any usual way of writing them.

``1,200``, ``1.200,00``, ``1 200``, ``$1,200.00``, ``1.2k``, ``twelve hundred``, ``one point two``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from td_gym.reading.sentences import sentences, zeroed


class Number(NamedTuple):
    """A number as written: ``value`` is the usual reading, ``other`` another possible one (or the same).

    ``1.200`` is 1.2 in English and 1,200 elsewhere; ``1,200`` the other way round.
    """

    start: int
    end: int
    value: float
    other: float


_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_UNITS += " seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL = {word: float(number) for number, word in enumerate(_UNITS.split())}
_SMALL |= {word: 10.0 * number for number, word in enumerate(_TENS.split(), start=2)}
_SCALES = {"hundred": 1e2, "thousand": 1e3, "k": 1e3, "million": 1e6}
_WORDS = sorted([*_SMALL, "hundred", "thousand"], key=len, reverse=True)
_WORD = "|".join(_WORDS)
# Every pattern opens with a set of characters, and looks back only then: so the search leaps over all others.
_AFTER_NO_LETTER = r"(?:(?<!\w.)|(?<=\busd.)|(?<=\beur.)|(?<=\bgbp.))(?<![0-9][:/].)"
_DIGITS = r"(?:(?<=[0-9])|(?=[0-9]))[0-9]*(?:[.,'’][0-9]+|[ \u00a0\u2009\u202f][0-9]{3}(?![0-9]))*"
_WRITTEN = re.compile(
    rf"(?P<digits>[.0-9]{_AFTER_NO_LETTER}{_DIGITS})(?![0-9]|[:/][0-9]|(?:st|nd|rd|th)\b)"
    r"(?:\s?(?P<scale>k|thousand|million)\b)?",
    re.DOTALL,
)
_SPOKEN = re.compile(
    rf"[{''.join(sorted({word[0] for word in _WORDS}))}](?<!\w.)"
    rf"(?:{'|'.join(f'(?<={word[0]}){word[1:]}' for word in _WORDS)})\b(?:[\s-]+(?:and\s+)?(?:{_WORD})\b)*",
    re.DOTALL,
)
_NEGATIVE = re.compile(r"(?:^|[\s(=:])[-−][$€£]?$|[$€£]-$")
_SIGN_WIDTH = 3
_LONGEST = 24
"""No figure is written with more characters; what is longer is noise, and may lie beyond every float."""
_GROUPED = re.compile(r"[0-9]{1,3}(?:([.,'’ \u00a0\u2009\u202f])[0-9]{3})(?:\1[0-9]{3})*")
_ONE = re.compile(r"\s*(?:%|(?:percent|per cent|days?|weeks?|months?|years?|point)\b)")


@lru_cache(maxsize=4096)
def numbers(text: str) -> tuple[float, ...]:
    """Return the numbers that ``text`` states, in order, each in its usual reading; never raises."""
    return tuple([number.value for sentence in sentences(text) for number in find_numbers(sentence.lower())])


def find_numbers(text: str) -> tuple[Number, ...]:
    """Return the numbers of a sentence, which is in small letters, with places and readings, in order; never raises."""
    return numbers_of(text, zeroed(text))


def numbers_of(text: str, form: str) -> tuple[Number, ...]:
    """Return what ``find_numbers`` does for a sentence whose ``zeroed`` form is ``form``."""
    places, spoken = _places(form)  # where numbers stand does not depend on which they are
    found = [
        Number(start, end, value * factor, other * factor)
        for start, stop, end, factor in places
        for value, other in _written(text[start:stop])
    ]
    if not spoken:
        return tuple(found)
    covered = [range(number.start, number.end) for number in found]
    found += [number for number in spoken if not any(number.start in span for span in covered)]  # "5 thousand"
    return tuple(_join_points(text, sorted(found)))


class _Place(NamedTuple):
    """Where a written number stands: its digits up to ``stop``, and up to ``end`` what multiplies them."""

    start: int
    stop: int
    end: int
    factor: float


@lru_cache(maxsize=8192)
def _places(text: str) -> tuple[tuple[_Place, ...], tuple[Number, ...]]:
    """Return the places of the written numbers of a sentence, and its spoken numbers."""
    places = []
    for match in _WRITTEN.finditer(text):
        start, end = match.span()
        if end - start > _LONGEST:
            continue
        factor = _SCALES[match["scale"]] if match["scale"] else 1.0
        if _NEGATIVE.search(text[max(0, start - _SIGN_WIDTH) : start]):
            factor = -factor
        places.append(_Place(start, match.end("digits"), end, factor))
    spoken = []
    for match in _SPOKEN.finditer(text):
        value = _spoken(match[0])
        if value != 1.0 or _ONE.match(text, match.end()):  # not "one moment"
            spoken.append(Number(match.start(), match.end(), value, value))
    return tuple(places), tuple(spoken)


def _spoken(words: str) -> float:
    """Return what number words say: ``two hundred and fifty`` is 250."""
    total = current = 0.0
    for word in re.split(r"[\s-]+", words):
        if word == "thousand":
            total, current = total + max(current, 1.0) * 1e3, 0.0
        elif word == "hundred":
            current = max(current, 1.0) * 1e2
        elif word != "and":
            current += _SMALL[word]
    return total + current


@lru_cache(maxsize=8192)
def _written(digits: str) -> tuple[tuple[float, float], ...]:
    """Return the usual and the other reading of written digits; a list such as ``6,12,24`` gives one for each."""
    body, mark, tail = "", "", digits
    for sign in ",.":
        head, found, rest = digits.rpartition(sign)
        if found and rest.isdigit() and sign not in head and (not body or len(head) > len(body)):
            body, mark, tail = head, sign, rest
    whole = re.sub("[^0-9]", "", digits)
    if _GROUPED.fullmatch(digits):
        value = float(whole)
        if not mark or digits.startswith("0"):
            return ((float(digits.replace(",", ".")) if mark else value, value),)
        decimal = float(f"{body}.{tail}") if body.isdigit() else value
        return ((value, decimal) if mark == "," else (decimal, value),)
    if digits.isdigit():
        return ((float(digits), float(digits)),)
    if mark and (not body or body.isdigit() or _GROUPED.fullmatch(body)):
        value = float(f"{re.sub('[^0-9]', '', body) or 0}.{tail}")
        return ((value, value),)
    return tuple((float(part), float(part)) for part in re.findall("[0-9]+", digits))


def _join_points(text: str, found: list[Number]) -> list[Number]:
    """Join ``one point two`` into 1.2."""
    joined: list[Number] = []
    for number in found:
        before = joined[-1] if joined else None
        if before and number.value < 10 and text[before.end : number.start].strip() == "point":
            value = before.value + number.value / 10
            joined[-1] = Number(before.start, number.end, value, value)
        else:
            joined.append(number)
    return joined
