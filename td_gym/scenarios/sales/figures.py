"""Reads figures out of free text: which numbers a message states, and what each one is said to be.

What a number is (a fee, a rate, days ...) follows from its unit and from the nearest telling word in
its clause; the words are in ``offers.toml``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from personas.packaged import packaged_toml
from td_gym.reading.numerals import Number, numbers_of
from td_gym.reading.sentences import lowered, sentences, zeroed

TABLES: Mapping[str, Any] = packaged_toml(__package__, "offers.toml")
"""What ``offers.toml`` holds."""


class Figure(NamedTuple):
    """A number with what it is said to be."""

    value: float
    other: float
    unit: str
    """``money``, ``percent``, ``days``, ``months`` or ``other``."""
    label: str
    """A label of ``offers.toml`` (``fee``, ``rate``, ``coupon`` ...), or empty when no word tells."""
    hedged: bool
    """Said to be approximate or part of a range: no exact statement."""
    bare: bool
    """Stands for itself: no thing that it counts follows."""


_UNIT = re.compile(
    r"[\s-]*(?:(?P<percent>%|percent\b|per cent\b|pct\b)|(?P<days>days?\b)|(?P<weeks>weeks?\b)"
    r"|(?P<months>(?:months?|monthly|(?:equal )?instal?lments?|payments?|repayments?)\b)|(?P<years>years?\b)"
    r"|(?P<other>(?:hours?|minutes?|seconds?|o'clock|am|pm|credits?|loans?|times?)\b))",
)
_RANGE = re.compile(r"[\s$€£]*(?:to|or|-|–)[\s$€£]*")
_ISH = re.compile(r"\s*(?:or so|more or less|give or take|-?ish|plus|\+)\b")
_BARE_AFTER = re.compile(
    r"\s*(?:$|[^\w\s]|(?:dollars?|usd|eur|euros?|bucks|for|in|on|at|a|per|over|if|and|or|of|off|with|once|each|every"
    r"|altogether|total|then|only|exactly|now|by)\b)",
)
_BREAK = re.compile(r"[,;:()]|\b(?:and|but|while|plus)\b")
_PER_MONTH = re.compile(r"\s*(?:dollars?\s+)?(?:a|per|each|every)\s+month\b|\s*monthly\b")
_SUFFIX = re.compile(
    r"\s*(?:%|percent|per cent|dollars?)?\s*(?:interest\s+)?(?:(?:a|per|each|every)\s+(?:month|year)\b|monthly\b)",
)
"""What still belongs to the number before."""
_PLAIN_RATE = 20.0
"""A number of at least this size is no monthly rate unless it says percent."""
_MEANINGS: Mapping[str, Mapping[str, str]] = {
    "percent": {"rate": "rate", "interest": "rate", "payment": "rate", "annual": "aside", "coupon": "aside"},
    "days": {"expiry": "coupon_expiry", "coupon": "coupon_expiry", "waiting": "aside"},
    "money": {
        "fee": "fee",
        "rate": "rate",
        "limit": "limit",
        "cap": "limit",
        "coupon": "coupon_value",
        "payment": "monthly_payment",
        "interest": "cost_of_days",
        "cost": "cost_of_days",
        "total": "aside",
        "amount": "aside",
        "phone": "aside",
        "annual": "aside",
    },
}


_LABELS = {phrase: label for label, phrases in TABLES["labels"].items() for phrase in phrases}
"""The label of each telling word."""
_TELLING = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(_LABELS, key=len, reverse=True)))})\b")
_ENDINGS = {name: tuple(words) for name, words in TABLES["before"].items()}
"""The words before a number that hedge it, deny it, and so on, each as a text can end in it."""


def _labels(text: str) -> list[str]:
    return [_LABELS[word] for word in _TELLING.findall(text)]


@lru_cache(maxsize=4096)
def figures(text: str) -> tuple[Figure, ...]:
    """Return the figures that ``text`` states, in order; a denied one ("not 30") is left out.  Never raises."""
    parts = [(part, zeroed(part)) for part in map(lowered, sentences(text))]
    return tuple(chain.from_iterable(figures_of(form, numbers_of(part, form)) for part, form in parts))


def figures_of(form: str, found: Sequence[Number]) -> tuple[Figure, ...]:
    """Return the figures of a ``lowered`` sentence: ``form`` is its ``zeroed`` one, ``found`` are its numbers."""
    if not found:
        return ()
    places = tuple([(number.start, number.end, number.value >= _PLAIN_RATE) for number in found])
    stated = zip(found, _of_ones(form, places), strict=True)
    return tuple(
        [Figure(number.value * one.value, number.other * one.other, *one[2:]) for number, one in stated if one]
    )


@lru_cache(maxsize=8192)
def _of_ones(sentence: str, places: tuple[tuple[int, int, bool], ...]) -> tuple[Figure | None, ...]:
    """Return the figures of a sentence in small letters as if every number were 1, ``None`` for a denied one.

    ``places`` tells of each number its start, its end, and whether it is too large for a plain rate.
    """
    result: list[Figure | None] = []
    last: Figure | None = None
    between, topic, done = False, "", 0
    for place, (start, end, large) in enumerate(places):
        before = sentence[done:start]
        after = sentence[end : places[place + 1][0] if place + 1 < len(places) else len(sentence)]
        done = end
        lead = f" {before.rstrip('$€£ ')}"
        second = (between and lead.strip() == "and") or (place > 0 and bool(_RANGE.fullmatch(before)))
        first = place + 1 < len(places) and bool(_RANGE.fullmatch(after))
        between = lead.endswith("between")
        if lead.endswith(_ENDINGS["denial"]):
            result.append(None)
            continue
        hedged = first or second or lead.endswith(_ENDINGS["hedge"]) or bool(_ISH.match(after))
        figure, beside = _figure(
            large, before[suffix.end() :] if place and (suffix := _SUFFIX.match(before)) else before, after, hedged
        )
        topic = beside or topic
        if topic and figure.unit == "money" and not figure.label and lead.endswith(_ENDINGS["is"]):
            figure = figure._replace(label=topic)  # "the interest on 5,000 for 30 days is 60"
        if second and last and not figure.label and figure.unit == last.unit:
            figure = figure._replace(label=last.label)  # "the fee is 25 or 30"
        result.append(figure)
        last = figure
    return tuple(result)


def _figure(large: bool, before: str, after: str, hedged: bool) -> tuple[Figure, str]:
    """Return a 1 as a figure, and what is said of it if it stands beside a name ("the interest on 1"), else empty."""
    match = _UNIT.match(after)
    written = (match.lastgroup if match else None) or "money"
    times = {"weeks": 7.0, "years": 12.0}.get(written, 1.0)
    unit = {"weeks": "days", "years": "months"}.get(written, written)
    label = _meaning(unit, before, after[match.end() if match else 0 :])
    beside = ""
    if unit == "money":
        if label != "coupon_value" and f" {before}".rstrip("$€£ ").endswith(_ENDINGS["beside"]):
            label, beside = "aside", label
        elif label == "rate" and large:
            label = ""
    bare = bool(_BARE_AFTER.match(after))
    return Figure(times, times, unit, label, hedged, bare), beside


@lru_cache(maxsize=8192)
def _meaning(unit: str, before: str, following: str) -> str:
    """Return what a number is, from the words of its clause, then those after it, then those before the clause."""
    meanings = _MEANINGS.get(unit)
    if meanings is None:
        return ""
    phrase = _BREAK.split(before)[-1]
    clause = _labels(phrase)
    nearest = _labels(_BREAK.split(following, maxsplit=1)[0])
    if unit == "money":
        label = _money_by_rule(phrase, clause, following, nearest)
        if label:
            return label
        nearest = [label for label in nearest if label != "cost"]  # "5,000 costs 60"
    elif unit == "days":
        nearest = [label for label in nearest if label in ("expiry", "waiting")]
    elif "annual" in clause:
        return "aside"
    for label in (*reversed(clause), *nearest, *reversed(_labels(before))):
        if label in meanings:
            return meanings[label]
    return ""


def _money_by_rule(phrase: str, clause: list[str], following: str, nearest: list[str]) -> str:
    """Return what money is where the nearest word alone would mislead, else empty."""
    if "total" in clause or "annual" in clause:
        return "aside"
    if "coupon" in clause and clause[-1] in ("cap", "interest", "cost"):
        return "aside" if phrase.rstrip(" $€£").endswith(" to") and clause[-1] != "cap" else "coupon_value"
    if "limit" in clause and clause[-1] == "amount":
        return "limit"
    if _PER_MONTH.match(following) and not {"rate", "fee", "interest"} & set(clause):
        return "cost_of_days" if "interest" in nearest else "monthly_payment"
    return ""
