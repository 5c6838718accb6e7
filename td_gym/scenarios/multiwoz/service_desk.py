"""The desk's tools at work: look-ups and bookings in one conversation, answered in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from td_gym.protocol import Tool
from td_gym.scenarios.desk import TRANSFER
from td_gym.scenarios.multiwoz.answers import MOST_SHOWN, booked, found, refused
from td_gym.scenarios.multiwoz.database import Database, Entity, QueryError, TakenError
from td_gym.scenarios.multiwoz.schema import DOMAINS

_SLOTS = {slot for spec in DOMAINS.values() for slot in spec.lookup}
_DETAILS = {slot for spec in DOMAINS.values() for slot in spec.book} | {*DOMAINS["taxi"].inform, "name", "trainid"}
TOOLS = {
    "query": Tool(
        "query",
        frozenset({"domain", *_SLOTS}),
        'look up domain=restaurant and any of its slots, such as food=indian name="the old mill"; answers how many '
        "were found, the first in full, and the names of the next. Each look-up counts.",
        looks_up=True,
    ),
    "book": Tool(
        "book",
        frozenset({"domain", *_DETAILS}),
        "book domain=hotel name=... with all its details, a train by trainid=..., a taxi by departure=... "
        "destination=... and leaveat=... or arriveby=...; answers with the reference, or says why not.",
        looks_up=True,
    ),
    "transfer": TRANSFER,
}


class Booking(NamedTuple):
    """A booking that was made."""

    entity: Entity | None
    """What was booked; a taxi has none."""
    details: Mapping[str, str]
    reference: Entity
    """What the customer is to be told: ``ref``, or a taxi's ``type`` and ``phone``."""


class CallResult(NamedTuple):
    """What a call brought about."""

    answer: str
    domain: str = ""
    matches: int | None = None
    """Entities found by a look-up."""
    made: bool | None = None
    """Whether a booking was made; None where the call was at fault."""
    at_fault: bool = False
    """The call names a wrong slot or value, or books what cannot be booked."""


@dataclass
class ServiceDesk:
    """The tools of one conversation, and what was found and booked with them."""

    database: Database
    seed: int
    taken: Mapping[str, Mapping[str, str]]
    """By domain the booking details that are refused."""
    shown: dict[tuple[str, str], Entity] = field(default_factory=dict)
    """Every entity that came up, found, offered or named, by domain and key; of equal train ids the latest."""
    offered: dict[str, Entity] = field(default_factory=dict)
    """What was offered last in each domain."""
    bookings: dict[str, Booking] = field(default_factory=dict)
    """The latest booking of each domain."""

    def find(self, domain: str, key: str) -> Entity | None:
        """Return the entity of ``domain`` with this name or train id, None for none; first one that came up."""
        if domain not in self.database.tables:
            return None
        key = key.lower()
        if (domain, key) in self.shown:
            return self.shown[domain, key]
        try:
            matches = self.database.query(domain, {DOMAINS[domain].key: key})
        except QueryError:
            return None
        return matches[0] if matches else None

    def come_up(self, domain: str, key: str) -> Entity | None:
        """Take note that an entity was named, and return it."""
        entity = self.find(domain, key)
        if entity is not None:
            self.shown[domain, entity[DOMAINS[domain].key]] = entity
        return entity

    def call(self, tool: str, arguments: Mapping[str, str]) -> CallResult:
        """Carry out a look-up or a booking."""
        values = dict(arguments)
        domain = values.pop("domain", "").lower()
        try:
            if not domain:
                raise QueryError("name the domain, such as domain=restaurant")
            return self._query(domain, values) if tool == "query" else self._book(domain, values)
        except QueryError as error:
            return CallResult(refused(tool, domain if domain in DOMAINS else "", str(error)), at_fault=True)

    def _query(self, domain: str, values: Mapping[str, str]) -> CallResult:
        entities = self.database.query(domain, values)
        if "arriveby" in values and "leaveat" not in values:
            entities = tuple(sorted(entities, key=_lateness, reverse=True))
        key = DOMAINS[domain].key
        self.shown.update({(domain, entity[key]): entity for entity in entities[:MOST_SHOWN]})
        return CallResult(found(domain, entities), domain, matches=len(entities))

    def _book(self, domain: str, values: dict[str, str]) -> CallResult:
        entity = None
        if domain != "taxi" and domain in DOMAINS:
            entity = self._wanted(domain, values.pop(DOMAINS[domain].key, ""))
        try:
            reference = self.database.book(domain, entity, values, self.seed, self.taken.get(domain, {}))
        except TakenError as error:
            return CallResult(refused("book", domain, str(error)), domain, made=False)
        self.bookings[domain] = Booking(entity, values, reference)
        return CallResult(booked(domain, reference, entity, values), domain, made=True)

    def _wanted(self, domain: str, key: str) -> Entity | None:
        if not key:
            return self.offered.get(domain)
        entity = self.find(domain, key)
        if entity is None:
            raise QueryError(f"there is no {domain} {key!r}")
        if (domain, entity[DOMAINS[domain].key]) not in self.shown:
            raise QueryError(f"{key} has not been looked up or offered")
        return entity


def _lateness(train: Entity) -> tuple[bool, str]:
    """Order trains by arrival, those that arrive after midnight before the others."""
    return train["leaveat"] < train["arriveby"], train["arriveby"]
