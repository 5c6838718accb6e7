"""Replies in words to responses with placeholders, by what the agent's look-ups and bookings have answered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from td_gym.scenarios.multiwoz.answers import Answer
from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.forms import Value
from td_gym.scenarios.multiwoz.schema import DOMAINS, UNKNOWN
from td_gym.scenarios.multiwoz.values import find_values, plain_text

_FACTS = ("address", "phone", "postcode", "trainid", "ref", "openhours", "department")
"""Slots whose values are of one entity or booking; a taxi's ``type`` is one too."""
_NAMES = {"ref": "reference", "trainid": "id", "time": "time", "money": "price", "number": "count"}
_COUNTS = ("number", "people", "stay", "stars")
_PLAIN = frozenset(("area", "food", "pricerange", "type", "day", "time", "money", "duration", "place", *_COUNTS))
_FIGURE = re.compile(r"\d+")
_BRACKETS = str.maketrans("", "", "[]")


class Delexicalised(NamedTuple):
    """A response, and the domains of the entities and bookings that it tells of."""

    text: str
    domains: tuple[str, ...]


class _Span(NamedTuple):
    start: int
    end: int
    placeholder: str
    domain: str = ""
    """Of what an entity or a booking is told, else empty."""


class Delexicaliser:
    """Puts placeholders into the replies of one conversation.

    Names, addresses, telephone numbers, codes, opening hours and taxis become ``[hotel_name]`` and so on where tools
    have answered them; what the agent made up stays text and offers or answers nothing.  Areas, times, prices and the
    like become ``[value_area]`` wherever they come from.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._names: dict[str, str] = {}
        """The domain of every name that was answered; the latest where several have it."""
        self._facts: dict[str, tuple[str, str]] = {}
        """Domain and slot of every other fact that was answered."""

    def read(self, answer: Answer) -> None:
        """Take in what a tool has answered."""
        spec = DOMAINS.get(answer.domain)
        if spec is None:
            return
        facts = [*answer.entity.items(), *((spec.key, other) for other in answer.others)]
        for slot, value in facts:
            if value == UNKNOWN:
                continue
            if slot == "name":
                self._names[value] = answer.domain
            elif slot in _FACTS or (slot, answer.domain) == ("type", "taxi"):
                self._facts[plain_text(value)] = answer.domain, slot

    def put(self, text: str, topic: str = "") -> Delexicalised:
        """Return ``text`` in small letters with placeholders; about a taxi, ``topic``, ends of a ride offer nothing.

        Brackets are taken out: slots that were never filled, and placeholders of the agent's own, tell nothing.
        """
        text = text.translate(_BRACKETS)
        plain = plain_text(text)
        spans = [*self._told(plain)]
        covered = {place for span in spans for place in range(span.start, span.end)}
        for value in find_values(text, self._database):
            span = self._span(plain, value, topic)
            if span is not None and covered.isdisjoint(range(value.start, value.end)):
                spans.append(span)
        pieces, end = [], 0
        for span in sorted(spans):
            pieces += [plain[end : span.start], f"[{span.placeholder}]"]
            end = span.end
        domains = dict.fromkeys(span.domain for span in spans if span.domain)
        return Delexicalised("".join([*pieces, plain[end:]]), tuple(domains))

    def _told(self, plain: str) -> Iterator[_Span]:
        """Yield the facts that stand in the text word for word, of two at one place the longer."""
        if not self._facts:
            return
        facts = "|".join(map(re.escape, sorted(self._facts, key=len, reverse=True)))
        for found in re.finditer(rf"(?<!\w)(?:{facts})(?!\w)", plain):
            domain, slot = self._facts[found[0]]
            name = slot if slot == "openhours" else f"{domain}_{_NAMES.get(slot, slot)}"
            yield _Span(found.start(), found.end(), name, domain)

    def _span(self, plain: str, value: Value, topic: str) -> _Span | None:
        """Return where a placeholder takes the place of ``value``, None where the words stay."""
        if value.kind == "name":
            if topic == "taxi" and value.role:
                return _Span(value.start, value.end, "value_place")
            domain = self._names.get(value.value)
            return _Span(value.start, value.end, f"{domain}_name", domain) if domain else None
        if value.kind not in _PLAIN or value.value == "free":
            return None
        end = value.end
        if value.kind in _COUNTS:
            figure = _FIGURE.match(plain, value.start)
            if figure is None:
                return None
            end = figure.end()
        return _Span(value.start, end, f"value_{_NAMES.get(value.kind, value.kind)}")
