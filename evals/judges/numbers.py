"""Numbers in free text, in digits or in words, with their units."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {word: value for value, word in enumerate(_ONES)} | {word: 10 * ten for ten, word in enumerate(_TENS, 2)}
_SCALES = {"hundred": 100, "thousand": 1000}
_WORD = "|".join((*_WORDS, *_SCALES))
_UNIT = r"%|per ?cent\b|pct\b|dollars?\b|usd\b|bucks\b|days?\b|weeks?\b|months?\b|years?\b"
_JOINED = r"(?:(?<=hundred) and |(?<=thousand) and |[ -])"
_SPELT = re.compile(
    rf"\b(?:an? (?=hundred|thousand))?(?:{_WORD})\b(?:{_JOINED}(?:{_WORD})\b)*(?: point(?: (?:{_WORD}))+\b)?",
    re.IGNORECASE,
)
_DIGITS = re.compile(
    r"(?<![\w.,])(?P<money>[$£€] ?|usd )?(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?P<thousand> ?k\b)?"
    rf"(?P<half> and a half)?(?:[ -]?(?P<unit>{_UNIT}))?",
    re.IGNORECASE,
)
_EMPHASIS = re.compile(r"[*_`\u200b-\u200d\u2060]")
_BEFORE_UNIT = re.compile(rf"(?: and a half)?[ -](?:{_UNIT})", re.IGNORECASE)
_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "year": 12}


class Number(NamedTuple):
    """A number in a text, its place included."""

    value: float
    unit: str
    """``money``, ``percent``, ``days``, ``months`` or empty for a bare number."""
    start: int
    end: int


def plain(text: str) -> str:
    """Return ``text`` on one line, without marks of emphasis, its numbers in digits.

    A lone ``one`` is a number only before a unit.
    """
    line = " ".join(_EMPHASIS.sub("", text).replace("’", "'").split())
    return _SPELT.sub(_spelt, line.replace("half a percent", "0.5 percent"))


@lru_cache(maxsize=65536)
def numbers(text: str) -> tuple[Number, ...]:
    """Return the numbers of a ``plain`` text; weeks become days, years become months."""
    found = []
    for match in _DIGITS.finditer(text):
        value = float(match["digits"].replace(",", "")) * (1000 if match["thousand"] else 1)
        value += 0.5 if match["half"] else 0.0
        unit = (match["unit"] or "").lower().removesuffix("s")
        if match["money"] or unit in ("dollar", "usd", "buck"):
            kind = "money"
        elif unit in _DAYS:
            value, kind = value * _DAYS[unit], "days"
        elif unit in _MONTHS:
            value, kind = value * _MONTHS[unit], "months"
        else:
            kind = "percent" if unit else ""
        found.append(Number(value, kind, match.start(), match.end()))
    return tuple(found)


def _spelt(match: re.Match[str]) -> str:
    whole, _, decimals = match[0].lower().replace("-", " ").partition(" point ")
    if whole == "one" and not decimals and not _BEFORE_UNIT.match(match.string, match.end()):
        return match[0]
    total = group = 0
    for word in whole.split():
        if word == "thousand":
            total, group = total + 1000 * max(group, 1), 0
        elif word == "hundred":
            group = 100 * max(group, 1)
        else:
            group += _WORDS.get(word, 0)
    digits = "".join(str(_WORDS.get(word, "")) for word in decimals.split())
    return f"{total + group}.{digits}" if digits else str(total + group)
