"""Replies in words to responses with placeholders, by what the agent's look-ups and bookings have answered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from td_gym.scenarios.multiwoz.answers import Answer
from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.forms import Value
from td_gym.scenarios.multiwoz.schema import DOMAINS
from td_gym.scenarios.multiwoz.values import find_values, plain_text

_FACTS = ("address", "phone", "postcode", "trainid", "ref", "openhours", "department")
"""Slots whose values are of one entity or booking; a taxi's ``type`` is one too."""
_CALLED = {"ref": "reference", "trainid": "id", "money": "price", "number": "count"}
"""What placeholders call a slot or kind of value otherwise."""
_COUNTS = ("number", "people", "stay", "stars")
_PLAIN = frozenset(("area", "food", "pricerange", "type", "day", "time", "money", "duration", "place", *_COUNTS))
_ARTICLE = "the "
"""Part of some names, which the reader leaves out."""
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
        self._names: dict[str, dict[str, str]] = {}
        """The slots of every name that was answered, by domain, the latest last."""
        self._facts: dict[str, dict[str, str]] = {}
        """Likewise of every other fact."""

    def read(self, answer: Answer) -> None:
        """Take in what a tool has answered."""
        if answer.domain not in DOMAINS:
            return
        key = DOMAINS[answer.domain].key
        for slot, value in [*answer.entity.items(), *((key, other) for other in answer.others)]:
            if slot == "name":
                told = self._names.setdefault(value, {})
            elif slot in _FACTS or (slot, answer.domain) == ("type", "taxi"):
                told = self._facts.setdefault(plain_text(value), {})
            else:
                continue
            told.pop(answer.domain, None)
            told[answer.domain] = slot

    def put(self, text: str, topic: str = "") -> Delexicalised:
        """Return ``text`` in small letters with placeholders; ``topic`` is the domain that is spoken of.

        What several domains have is told of the topic, else of the one answered last; venues that a taxi goes between
        are not offered.  Brackets are taken out: slots that were never filled, and placeholders of the agent's own,
        tell nothing.
        """
        text = text.translate(_BRACKETS)
        plain = plain_text(text)
        spans = [*self._told(plain, topic)]
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

    def _told(self, plain: str, topic: str) -> Iterator[_Span]:
        """Yield the facts that stand in the text word for word, of two at one place the longer."""
        if not self._facts:
            return
        facts = "|".join(map(re.escape, sorted(self._facts, key=len, reverse=True)))
        for found in re.finditer(rf"(?<!\w)(?:{facts})(?!\w)", plain):
            yield _told_of(found.start(), found.end(), self._facts[found[0]], topic)

    def _span(self, plain: str, value: Value, topic: str) -> _Span | None:
        """Return where a placeholder takes the place of ``value``, None where the words stay."""
        if value.kind == "name":
            article = value.value.startswith(_ARTICLE) and plain.endswith(_ARTICLE, 0, value.start)
            start = value.start - len(_ARTICLE) * article
            if topic == "taxi" and value.role:
                return _Span(start, value.end, "value_place")
            told = self._names.get(value.value)
            return _told_of(start, value.end, told, topic) if told else None
        if value.kind not in _PLAIN or value.value == "free":
            return None
        end = value.end
        if value.kind in _COUNTS:
            figure = _FIGURE.match(plain, value.start)
            if figure is None:
                return None
            end = figure.end()
        return _Span(value.start, end, f"value_{_CALLED.get(value.kind, value.kind)}")


def _told_of(start: int, end: int, slots: Mapping[str, str], topic: str) -> _Span:
    """Return the placeholder of what the ``slots`` of one or more domains have."""
    domain = topic if topic in slots else [*slots][-1]
    slot = slots[domain]
    return _Span(start, end, slot if slot == "openhours" else f"{domain}_{_CALLED.get(slot, slot)}", domain)
