"""What can be said in MultiWOZ: domains, their slots and values, one name for each, and dialogue acts.

Names are those of MultiWOZ 2.2 without the domain and without ``book`` ("hotel-bookday" is ``day`` of
``hotel``); ``canonical_slot`` takes the names of every version to them.  Values are lower case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import NamedTuple

DONTCARE = "dontcare"
"""The value of a constraint that any value satisfies."""
UNKNOWN = "?"
"""The value of a slot that the database does not tell."""

WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
TIME_SLOTS = frozenset({"leaveat", "arriveby", "time"})
"""Slots whose values are times of day, ``HH:MM``."""

_AREAS = ("centre", "east", "north", "south", "west")
_PRICES = ("cheap", "moderate", "expensive")
_YES_NO = ("yes", "no")
_COUNTS = tuple(str(count) for count in range(1, 9))


class Act(NamedTuple):
    """A dialogue act, such as ``inform hotel area east``; unused parts are empty.

    A request's value is ``?``.  ``domain`` is also ``booking`` or ``general``.
    """

    intent: str
    domain: str
    slot: str = ""
    value: str = ""


@dataclass(frozen=True)
class Domain:
    """The slots of one domain."""

    key: str
    """Slot that tells its entities apart; empty for taxis, which are not looked up."""
    inform: tuple[str, ...]
    """Slots by which a customer says what is wanted."""
    request: tuple[str, ...]
    """Slots that a customer may ask for."""
    book: tuple[str, ...]
    """Details that a booking needs; empty where nothing is booked, and for taxis, whose constraints are the details."""
    closed: Mapping[str, tuple[str, ...]]
    """Slots whose values are fixed whatever the database holds, and these values."""

    @cached_property
    def lookup(self) -> tuple[str, ...]:
        """Slots by which entities are looked up: those of ``inform``, and the key."""
        return self.inform if self.key in self.inform else (*self.inform, self.key)

    @cached_property
    def stated(self) -> tuple[str, ...]:
        """Slots that a customer may state: those of ``lookup`` and ``book``."""
        return (*self.lookup, *self.book)

    @cached_property
    def confirmed(self) -> tuple[str, ...]:
        """Slots that only a booking has: its ``ref``, or those of a taxi; none where nothing is booked."""
        if self.book:
            return ("ref",)
        return () if self.key else self.request


def _domain(key: str, inform: str, request: str, book: str = "", **closed: tuple[str, ...]) -> Domain:
    return Domain(key, tuple(inform.split()), tuple(request.split()), tuple(book.split()), MappingProxyType(closed))


DOMAINS: Mapping[str, Domain] = MappingProxyType(
    {
        "restaurant": _domain(
            "name",
            "food pricerange area name",
            "address phone postcode food pricerange area",
            "people day time",
            pricerange=_PRICES,
            area=_AREAS,
            people=_COUNTS,
            day=WEEK,
        ),
        "hotel": _domain(
            "name",
            "type pricerange area stars internet parking name",
            "address phone postcode type pricerange area stars internet parking",
            "people day stay",
            type=("guesthouse", "hotel"),
            pricerange=_PRICES,
            area=_AREAS,
            stars=("0", "1", "2", "3", "4", "5"),
            internet=_YES_NO,
            parking=_YES_NO,
            people=_COUNTS,
            day=WEEK,
            stay=_COUNTS,
        ),
        "attraction": _domain(
            "name", "type area name", "address phone postcode entrancefee openhours type area", area=_AREAS
        ),
        "train": _domain(
            "trainid",
            "departure destination day leaveat arriveby",
            "leaveat arriveby duration price trainid",
            "people",
            day=WEEK,
            people=_COUNTS,
        ),
        "taxi": _domain("", "departure destination leaveat arriveby", "type phone"),
        "hospital": _domain("department", "department", "address phone postcode"),
        "police": _domain("name", "name", "address phone postcode"),
    }
)

_SLOT_NAMES = {
    "addr": "address",
    "arrive": "arriveby",
    "car": "type",
    "cartype": "type",
    "choice": "choice",
    "depart": "departure",
    "dest": "destination",
    "fee": "entrancefee",
    "id": "trainid",
    "leave": "leaveat",
    "none": "",
    "open": "openhours",
    "post": "postcode",
    "ticket": "price",
}
_VALUES = {
    "center": "centre",
    "do not care": DONTCARE,
    "don't care": DONTCARE,
    "do n't care": DONTCARE,
    "dont care": DONTCARE,
    "any": DONTCARE,
    "doesn't matter": DONTCARE,
    "free": "yes",
    "moderately": "moderate",
    "moderately priced": "moderate",
    "cheaply": "cheap",
    "guest house": "guesthouse",
    "guest houses": "guesthouse",
    "concert hall": "concerthall",
    "swimming pool": "swimmingpool",
    "night club": "nightclub",
    "mutliple sports": "multiple sports",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
}
_TIME = re.compile(r"(?:(?:after|before|by|at|around)\s+)?(\d\d?)[:.]?(\d\d)")


@lru_cache(maxsize=4096)
def canonical_slot(domain: str, name: str) -> str:
    """Return the slot that any MultiWOZ version calls ``name`` in ``domain``; names that none knows stay.

    ``Price`` of the 2.1 acts is a price range except for trains; ``Time`` of a train is its duration.
    """
    slot = re.sub(r"[\s_]|^book", "", name.lower().rpartition("-")[2])
    slot = _SLOT_NAMES.get(slot, slot)
    if name.lower() == "price" and domain != "train":
        return "pricerange"
    return "duration" if (domain, slot) == ("train", "time") else slot


@lru_cache(maxsize=65536)
def normal_value(slot: str, value: str) -> str:
    """Return ``value`` of ``slot`` as the database spells it: lower case, ``centre``, ``09:05``, ``dontcare``."""
    value = " ".join(value.lower().replace("’", "'").split())
    if slot in TIME_SLOTS:
        found = _TIME.fullmatch(value)
        return f"{int(found[1]):02d}:{found[2]}" if found else _VALUES.get(value, value)
    if slot in ("name", "departure", "destination", "address", "entrancefee"):
        return DONTCARE if _VALUES.get(value) == DONTCARE else value
    if slot in ("stars", "people", "stay") and _VALUES.get(value) != DONTCARE:
        value = re.sub(r"[\s-]+(?:stars?|people|persons?|nights?|days?)$", "", value)
    return _VALUES.get(value, value)


def minutes(time: str) -> int | None:
    """Return ``HH:MM`` as minutes after midnight, or None when it is no time; trains may arrive after 24:00."""
    hours, colon, rest = time.partition(":")
    if not (colon and hours.isdecimal() and rest.isdecimal() and len(hours) == len(rest) == 2 and int(rest) < 60):
        return None
    return int(hours) * 60 + int(rest)


def clock(time: int) -> str:
    """Return minutes after midnight as ``HH:MM``; the inverse of ``minutes``."""
    return f"{time // 60:02d}:{time % 60:02d}"
