"""Values that have a form of their own, whatever the city: times, numbers, telephone numbers, references."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Value(NamedTuple):
    """A value said in a text."""

    kind: str
    """A slot, or ``place`` (a station), ``time``, ``money``, ``number`` where the value alone tells no slot."""
    value: str
    """As the database spells it."""
    start: int
    end: int
    domains: tuple[str, ...] = ()
    """Domains whose table has the value; empty where any may be meant."""
    role: str = ""
    """``departure``, ``destination``, ``leaveat`` or ``arriveby`` as the words before tell of a place, name or time."""

    @property
    def slot(self) -> str:
        """The slot as far as the text tells it: the role where there is one, else the kind."""
        return self.role or self.kind


_COUNTS = "one two three four five six seven eight nine ten eleven twelve"
_COLOURS = "black|white|red|yellow|blue|grey|gray|green|silver|orange|brown"
_ROADS = "street|road|lane|way|avenue|place|square|close|row|hill|court|yard|drive|parade|terrace"
_HALF = r" ?[ap]\.?m\b\.?"

WORDS: Mapping[str, tuple[str, str]] = {
    "zero": ("number", "0"),
    **{word: ("number", str(count)) for count, word in enumerate(_COUNTS.split(), 1)},
    "noon": ("time", "12:00"),
    "midday": ("time", "12:00"),
    "midnight": ("time", "00:00"),
    "just me": ("people", "1"),
    "just myself": ("people", "1"),
    "by myself": ("people", "1"),
    **dict.fromkeys(("wifi", "wi fi", "internet", "free wifi", "free wi fi", "free internet"), ("internet", "yes")),
    **dict.fromkeys(("parking", "free parking", "car parking"), ("parking", "yes")),
    **{
        f"{word} {entry}": ("money", "free")
        for word in ("no", "free")
        for entry in (
            "entry",
            "entrance",
            "admission",
            "entrance fee",
            "admission fee",
            "to enter",
            "to visit",
            "of charge",
        )
    },
    "is free": ("money", "free"),
}
"""Phrases that mean the same in every city: kind and value."""

# All of them begin with a figure or its sign, so that a search leaps over everything else.
_FIGURES = {
    "phone": r"(?<![\w.])(?:\+44[ -]?|0)\d(?:[ -]?\d){8,9}(?!\d)",
    "time": rf"(?<![\w.:£$])\d{{1,2}}(?::\d\d(?!\d)(?:{_HALF})?|(?:\.\d\d)?{_HALF}| ?o'? ?clock)",
    "address": rf"\b\d+[a-z]?(?: ?- ?\d+)? (?!stars?\b|nights?\b)(?:[a-z']+ ){{1,3}}?(?:{_ROADS})\b",
    "number": r"\b\d{1,3}(?:\.\d\d?)?\b(?![.:]\d)",
    "money": r"[£$] ?\d+(?:\.\d\d?)?",
}
_SEARCH = re.compile(r"(?=[\d+£$])(?:" + "|".join(f"(?P<{kind}>{form})" for kind, form in _FIGURES.items()) + ")")
_CODES = re.compile(r"\b(?:(?P<trainid>tr ?\d{4})|(?P<postcode>[a-z]{1,2}\d{1,2} ?[,.]? ?\d[a-z]{2}))\b")
_DIGIT = re.compile(r"\d")
_COUNTED = re.compile(
    r"(?P<stars>[ -]{0,3}stars?\b)"
    r"|(?P<people> (?:more )?(?:people|persons?|guests?|adults?|tickets?|passengers?|seats?|diners?|of (?:us|you))\b)"
    r"|(?P<stay>[ -]{0,3}(?:nights?|days?)\b)"
    r"|(?P<duration>[ -]{0,3}(?:minutes?|mins?)\b)"
    r"|(?P<money> ?(?:pounds?|gbp|quid)\b)"
)
_UNITS = {"duration": " minutes", "money": " pounds"}
_RATED = re.compile(r"\b(?:(?P<stars>stars? (?:rating )?(?:of|is)|rating of)|(?P<people>(?:party|group) of)) $")
_CAR = re.compile(rf"\b(?:{_COLOURS}) (?!cars?\b|taxi\b|cab\b|and\b|or\b)[a-z]+")
_REFERENCE = re.compile(r"\b(?=[A-Z\d]*[A-Z])[A-Z\d]{8}\b")
_LOWER_REFERENCE = re.compile(r"\breference(?: (?:number|code|no))?\.?(?: is)? ?:? ?#?(?=[a-z]*\d)([a-z\d]{8})\b")
_TIME = re.compile(r"(\d+)(?:[:.](\d\d))? ?([ap]?)")
_DENIED = re.compile(r"\b(?:no|not|without|lacks?|neither|nor|none|\w+n't|n't)\b(?:(?! but | and )[^.,;!?]){0,25}$")
_DENIED_AFTER = re.compile(r" (?:is|are) (?:not|n't)\b| (?:is|are)n't\b")
_REACH = 40


def find_forms(text: str, plain: str) -> Iterator[Value]:
    """Yield the values that have a form of their own; ``plain`` is ``text`` in small letters, place by place."""
    if _DIGIT.search(plain):
        for pattern in (_CODES, _SEARCH):
            for found in pattern.finditer(plain):
                kind = str(found.lastgroup)
                if value := _value(kind, found[0]):
                    yield Value(kind, value, found.start(), found.end())
        for found in _LOWER_REFERENCE.finditer(plain):
            yield Value("ref", found[1].upper(), found.start(1), found.end(1))
    for found in _REFERENCE.finditer(text):
        yield Value("ref", found[0], found.start(), found.end())
    for found in _CAR.finditer(plain):
        yield Value("type", found[0], found.start(), found.end())


def _value(kind: str, said: str) -> str:
    """Return the value in the database's spelling, empty for an impossible one."""
    if kind == "time":
        return _clock(said)
    if kind == "money":
        return f"{said[1:].strip()} pounds"
    if kind in ("number", "address"):
        return said
    return re.sub(r"[^\w+]", "", said)


def _clock(said: str) -> str:
    found = _TIME.match(said)
    assert found is not None
    hour, minute, half = int(found[1]), found[2] or "00", found[3]
    if half == "p" and hour < 12:
        hour += 12
    elif half == "a" and hour == 12:
        hour = 0
    return f"{hour:02d}:{minute}" if hour <= 24 and int(minute) < 60 else ""


def in_context(plain: str, value: Value) -> Value:
    """Return a ``number`` as what it counts, ``people`` for example, and ``no`` for an amenity that is denied."""
    before = max(0, value.start - _REACH)
    if value.kind == "number":
        found = _COUNTED.match(plain, value.end) or _RATED.search(plain, before, value.start)
        if found is not None:
            kind = str(found.lastgroup)
            said = value.value + _UNITS.get(kind, "")
            return value._replace(kind=kind, value=said, end=max(value.end, found.end()))
    elif value.kind in ("internet", "parking") and (
        _DENIED.search(plain, before, value.start) or _DENIED_AFTER.match(plain, value.end)
    ):
        return value._replace(value="no")
    return value
