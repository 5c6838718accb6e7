"""Reads numbers out of free text, in any usual way of writing them.

``1,200``, ``1.200,00``, ``1 200``, ``$1,200.00``, ``1.2k``, ``twelve hundred``, ``one point two``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple


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
_WORD = "|".join(sorted([*_SMALL, "hundred", "thousand"], key=len, reverse=True))
_DIGITS = r"(?:[0-9]+(?:[.,'’][0-9]+|[ \u00a0\u2009\u202f][0-9]{3}(?![0-9]))*|\.[0-9]+)"
_NUMBER = re.compile(
    rf"(?<![\w])(?<![0-9][:/])(?:usd|eur|gbp)?\s?(?P<sign>[-−])?\s?[$€£]?\s?(?P<sign2>-)?"
    rf"(?P<digits>{_DIGITS})(?![0-9]|[:/][0-9]|(?:st|nd|rd|th)\b)(?:\s?(?P<scale>k|thousand|million)\b)?"
    rf"|\b(?P<words>(?=[efhnostz])(?:{_WORD})\b(?:[\s-]+(?:and\s+)?(?:{_WORD})\b)*)",
    re.IGNORECASE,
)
_GROUPED = re.compile(r"[0-9]{1,3}(?:([.,'’ \u00a0\u2009\u202f])[0-9]{3})(?:\1[0-9]{3})*")
_ONE = re.compile(r"\s*(?:%|percent|per cent|days?|weeks?|months?|years?|point)\b", re.IGNORECASE)


def numbers(text: str) -> tuple[float, ...]:
    """Return the numbers that ``text`` states, in order, each in its usual reading; never raises."""
    return tuple(number.value for number in find_numbers(text))


@lru_cache(maxsize=8192)
def find_numbers(text: str) -> tuple[Number, ...]:
    """Return the numbers of ``text`` with their places and readings, in order; never raises."""
    found = []
    for match in _NUMBER.finditer(text):
        if match["words"] is not None:
            value = _spoken(match["words"].lower())
            if value == 1.0 and not _ONE.match(text, match.end()):
                continue  # "one moment"
            found.append(Number(match.start(), match.end(), value, value))
            continue
        readings = _written(match["digits"])
        factor = _SCALES[match["scale"].lower()] if match["scale"] else 1.0
        factor = -factor if match["sign"] or match["sign2"] else factor
        found += [
            Number(match.start("digits"), match.end(), value * factor, other * factor) for value, other in readings
        ]
    return tuple(_join_points(text, found))


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


def _written(digits: str) -> list[tuple[float, float]]:
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
            return [(float(digits.replace(",", ".")), value)] if mark else [(value, value)]
        decimal = float(f"{body}.{tail}") if body.isdigit() else value
        return [(value, decimal)] if mark == "," else [(decimal, value)]
    if digits.isdigit():
        return [(float(digits), float(digits))]
    if mark and (not body or body.isdigit() or _GROUPED.fullmatch(body)):
        value = float(f"{re.sub('[^0-9]', '', body) or 0}.{tail}")
        return [(value, value)]
    return [(float(part), float(part)) for part in re.findall("[0-9]+", digits)]


def _join_points(text: str, found: list[Number]) -> list[Number]:
    """Join ``one point two`` into 1.2."""
    joined: list[Number] = []
    for number in found:
        before = joined[-1] if joined else None
        if before and number.value < 10 and text[before.end : number.start].strip().lower() == "point":
            value = before.value + number.value / 10
            joined[-1] = Number(before.start, number.end, value, value)
        else:
            joined.append(number)
    return joined
