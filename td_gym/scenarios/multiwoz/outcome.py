"""What an agent has told its customer, whether that is true, and whether the customer's goal is met by it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from td_gym.scenarios.multiwoz.database import Entity, QueryError, plain_name
from td_gym.scenarios.multiwoz.goals import DomainGoal, Goal
from td_gym.scenarios.multiwoz.schema import DOMAINS, UNKNOWN, Act, normal_value
from td_gym.scenarios.multiwoz.service_desk import ServiceDesk
from td_gym.scenarios.multiwoz.state import Need, State

_STATES = ("inform", "recommend", "booked")
_ECHOED = frozenset(("people", "stay", "time", "day"))
_NAMES = frozenset(("name", "departure", "destination", "department"))
_NOT_LETTERS = re.compile(r"[\W_]+")


class Fact(NamedTuple):
    """A value told of a slot, and the name or train id of what it was told of, empty for nothing offered."""

    value: str
    key: str


@dataclass
class Told:
    """What the agent has said in one conversation."""

    desk: ServiceDesk
    facts: dict[str, dict[str, Fact]] = field(default_factory=dict)
    """The last value told of each slot, by domain."""

    def hear(self, acts: Sequence[Act], state: State) -> tuple[int, int]:
        """Take note of the acts of a service message; return how many of its statements are true, and false.

        ``state`` is that before the message: to say again what the customer wants states nothing.
        """
        judged: list[bool | None] = []
        for place, act in enumerate(acts):
            if act.intent not in _STATES or not act.value:
                continue
            domain = act.domain if act.domain in DOMAINS else state.domain
            if act.slot == "ref":
                judged.append(self._hear_reference(domain, act.value))
            elif not domain:
                continue
            elif act.slot == DOMAINS[domain].key:
                entity = self.desk.come_up(domain, act.value)
                judged.append(entity is not None)
                if entity is not None:
                    self.desk.offered[domain] = entity
                    name = entity[act.slot]
                    self.facts.setdefault(domain, {})[act.slot] = Fact(name, name)
            else:
                named = self._named_here(domain, acts[place + 1 :]) if not self._names(domain, acts[:place]) else None
                judged.append(self._hear_value(domain, act, named or self.desk.offered.get(domain), state))
        return judged.count(True), judged.count(False)

    def _names(self, domain: str, acts: Iterable[Act]) -> bool:
        return any(act.domain == domain and act.slot == DOMAINS[domain].key and act.value for act in acts)

    def _named_here(self, domain: str, acts: Iterable[Act]) -> Entity | None:
        """Return the entity that is named next in the message, None for none."""
        key = DOMAINS[domain].key
        name = next((act.value for act in acts if act.domain == domain and act.slot == key and act.value), "")
        return self.desk.find(domain, name) if name else None

    def _hear_reference(self, domain: str, value: str) -> bool:
        owner = next((d for d, booking in self.desk.bookings.items() if booking.reference.get("ref") == value), "")
        self.facts.setdefault(owner or domain, {})["ref"] = Fact(value, "")
        return owner != ""

    def _hear_value(self, domain: str, act: Act, entity: Entity | None, state: State) -> bool | None:
        """Take note of a value; return whether it is true, None where it states nothing."""
        booking = self.desk.bookings.get(domain)
        if domain == "taxi" and act.slot in DOMAINS["taxi"].inform:
            return None
        if act.slot in _ECHOED and act.slot in DOMAINS[domain].book:
            return same_value(act.slot, booking.details.get(act.slot, ""), act.value) if booking else None
        key = entity[DOMAINS[domain].key] if entity else ""
        self.facts.setdefault(domain, {})[act.slot] = Fact(act.value, key)
        if domain == "taxi":
            return booking is not None and same_value(act.slot, booking.reference.get(act.slot, ""), act.value)
        need = state.needs.get(domain, Need())
        rows = [entity] if entity else self._candidates(domain, need.sought(domain))
        if any(same_value(act.slot, row.get(act.slot, UNKNOWN), act.value) for row in rows):
            return True
        wanted = {**need.inform, **need.book}
        return None if act.slot in wanted and same_value(act.slot, wanted[act.slot], act.value) else False

    def _candidates(self, domain: str, constraints: Mapping[str, str]) -> Sequence[Entity]:
        try:
            return self.desk.database.query(domain, constraints)
        except QueryError:
            return ()

    def final(self, domain: str) -> Entity | None:
        """Return what the customer is left with in ``domain``: what was booked, else what was offered last."""
        booking = self.desk.bookings.get(domain)
        return booking.entity if booking and booking.entity else self.desk.offered.get(domain)


def judge(goal: Goal, told: Told) -> dict[str, bool | None]:
    """Return whether a goal was met, against the database.

    ``inform``: what was offered satisfies the constraints in every domain. ``book``: so does what was booked, with the
    right details; None where nothing was to be booked. ``success``: both, every question was answered rightly, and
    the references were passed on. ``complete``: as far as the customer can know, it has all it wanted.
    """
    domains = goal.domains.items()
    inform = all(_is_found(domain, part, told) for domain, part in domains)
    to_book = [(domain, part) for domain, part in domains if part.book or domain == "taxi"]
    book = all(_is_booked(domain, part, told) for domain, part in to_book) if to_book else None
    answered = all(_is_answered(domain, part, told) for domain, part in domains)
    return {
        "inform": inform,
        "success": inform and book is not False and answered,
        "book": book,
        "complete": all(_is_complete(domain, part, told) for domain, part in domains),
    }


def _is_found(domain: str, part: DomainGoal, told: Told) -> bool:
    if domain == "taxi":
        return _is_booked(domain, part, told)
    entity = told.final(domain)
    if entity is None:
        return domain in ("hospital", "police") and domain in told.facts
    return entity in told.desk.database.query(domain, part.inform)


def _is_booked(domain: str, part: DomainGoal, told: Told) -> bool:
    booking = told.desk.bookings.get(domain)
    if booking is None:
        return False
    if domain == "taxi":
        wanted = {**part.inform, **_places(part, told)}
        return all(is_same_end(slot, booking.details.get(slot, ""), value) for slot, value in wanted.items())
    details = all(same_value(slot, booking.details.get(slot, ""), value) for slot, value in part.book.items())
    return details and booking.entity in told.desk.database.query(domain, part.inform)


def is_same_end(slot: str, booked: str, wanted: str) -> bool:
    """Return whether a ride was booked as wanted; "Leicester" does for "Leicester train station"."""
    if slot not in ("departure", "destination"):
        return same_value(slot, booked, wanted)
    one, other = plain_name(booked), plain_name(wanted)
    return bool(one) and (one in other or other in one)


def _places(part: DomainGoal, told: Told) -> dict[str, str]:
    """Return the ends of a ride that are what was found in other domains."""
    places = {}
    for slot, other in part.same.items():
        if slot in ("departure", "destination"):
            entity = told.final(other)
            places[slot] = entity["name"] if entity else UNKNOWN
    return places


def _is_answered(domain: str, part: DomainGoal, told: Told) -> bool:
    """Return whether every question was answered rightly, and the reference of a booking was passed on."""
    facts = told.facts.get(domain, {})
    booking = told.desk.bookings.get(domain)
    if part.book and not (booking and "ref" in facts and facts["ref"].value == booking.reference["ref"]):
        return False
    if domain == "taxi":
        return booking is not None and all(_is_told(facts, slot, "", booking.reference) for slot in part.request)
    entity = told.final(domain)
    rows = [entity] if entity else told.desk.database.query(domain, part.inform)
    key = entity[DOMAINS[domain].key] if entity else ""
    return any(all(_is_told(facts, slot, key, row) for slot in part.request) for row in rows)


def _is_told(facts: Mapping[str, Fact], slot: str, key: str, row: Entity) -> bool:
    value = row.get(slot, UNKNOWN)
    fact = facts.get(slot)
    return value == UNKNOWN or (fact is not None and fact.key in ("", key) and same_value(slot, value, fact.value))


def _is_complete(domain: str, part: DomainGoal, told: Told) -> bool:
    facts = told.facts.get(domain, {})
    if part.book and "ref" not in facts:
        return False
    entity = told.final(domain)
    if entity is None and domain not in ("taxi", "hospital", "police"):
        return False
    return all(slot in facts or (entity or {}).get(slot) == UNKNOWN for slot in part.request)


def same_value(slot: str, one: str, other: str) -> bool:
    """Return whether two values of ``slot`` are the same, whatever their case, spaces and marks.

    Opening hours are the same when a sentence ``other`` holds ``one``.
    """
    if one == other or UNKNOWN in (one, other):
        return one == other
    if slot in _NAMES:
        return plain_name(one) == plain_name(other)
    if slot == "openhours":
        return _bare(slot, one) in _bare(slot, other)
    return _bare(slot, one) == _bare(slot, other)


@lru_cache(maxsize=4096)
def _bare(slot: str, value: str) -> str:
    return _NOT_LETTERS.sub("", normal_value(slot, value).lower()).replace("pounds", "pound")
