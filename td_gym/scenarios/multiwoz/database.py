"""The city's tables: looking entities up and booking them, with errors that a tool can answer with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from hashlib import blake2b
from itertools import compress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from td_gym.draws import Stream
from td_gym.errors import TdGymError, unknown
from td_gym.scenarios.multiwoz.indexes import ByTime, ByValue
from td_gym.scenarios.multiwoz.schema import DOMAINS, DONTCARE, TIME_SLOTS, UNKNOWN, minutes, normal_value
from td_gym.scenarios.multiwoz.tables import read_fleet, read_rows

Entity = Mapping[str, str]
"""A row of a table: every slot of its domain with its value, ``?`` where that is not known."""
Constraints = Mapping[str, str]

_NAMES = frozenset({"name", "department"})
_REFERENCE = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_BITS = bytes.maketrans(b"01", b"\0\1")
_MOST_LISTED = 30
_LAST_MINUTE = 25 * 60 - 1  # published goals call half past midnight 24:30


class QueryError(TdGymError):
    """A look-up or booking that cannot be carried out; the message is what the tool answers."""


class UnknownValueError(QueryError):
    """A look-up or booking with a value that is not known; the message, with the nearest one, is made when it is read.

    Most are never read: whatever a message names is looked up, and much of it is no entity.
    """

    def __init__(self, domain: str, slot: str, value: str, known: Sequence[str]) -> None:
        super().__init__(domain, slot, value, known)

    def __str__(self) -> str:
        domain, slot, value, known = self.args
        message = str(unknown(f"{slot} of {domain}", value, known))
        return message.partition(" Known: ")[0] if len(known) > _MOST_LISTED else message


class TakenError(QueryError):
    """A well-formed booking of what is taken."""


class Database:
    """A city's venues, trains and taxis.

    Args:
        tables: Rows by domain, with canonical slots; a slot that is missing or None is unknown.
        fleet: ``colour``, ``make`` and so on: words of which a taxi's ``type`` is made, one of each.
        also_known: Values by domain and slot that may be asked for though no row has them.
    """

    def __init__(
        self,
        tables: Mapping[str, Sequence[Mapping[str, str]]],
        fleet: Sequence[Sequence[str]],
        also_known: Mapping[tuple[str, str], Iterable[str]] = MappingProxyType({}),
    ) -> None:
        self.tables: Mapping[str, tuple[Entity, ...]] = {
            domain: tuple(sorted((_entity(domain, row) for row in rows), key=_departure))
            for domain, rows in tables.items()
        }
        self._fleet = fleet
        self._indexes = {domain: _index(domain, rows) for domain, rows in self.tables.items()}
        self._values = {
            (domain, slot): _known_values(domain, slot, rows, also_known.get((domain, slot), ()))
            for domain, rows in self.tables.items()
            for slot in DOMAINS[domain].lookup
        }
        self._known = {
            place: frozenset(plain_name(value) if place[1] in _NAMES else value for value in values)
            for place, values in self._values.items()
        }
        self._find = lru_cache(maxsize=1 << 13)(self._search)

    def __deepcopy__(self, memo: dict[int, Any]) -> Database:
        """Return the database itself, since nothing changes it: a copied conversation looks into the same tables."""
        return self

    def __reduce__(self) -> tuple[type[Database], tuple[Any, ...]]:
        """Pickle what it is built from, without its indexes."""
        return Database, (self.tables, self._fleet, self._values)

    @classmethod
    def load(cls, folder: Path, also_known: Mapping[tuple[str, str], Iterable[str]] = MappingProxyType({})) -> Database:
        """Read the tables ``restaurant_db.json`` and so on of MultiWOZ; ``TdGymError`` names file and field."""
        if not folder.is_dir():
            raise TdGymError(f"There is no folder {str(folder)!r} with MultiWOZ's *_db.json files.")
        tables = {domain: read_rows(folder, domain) for domain in DOMAINS if domain != "taxi"}
        return cls(tables, read_fleet(folder), also_known)

    @cached_property
    def checksum(self) -> str:
        """A checksum of all that is in it."""
        tables = {domain: [dict(row) for row in rows] for domain, rows in self.tables.items()}
        facts = json.dumps([tables, self._fleet, sorted(self._values.items())], sort_keys=True)
        return blake2b(facts.encode(), digest_size=16).hexdigest()

    def values(self, domain: str, slot: str) -> tuple[str, ...]:
        """Return the values of ``slot`` that a look-up in ``domain`` may name; none are listed for times."""
        return self._values[domain, slot]

    def query(self, domain: str, constraints: Constraints) -> tuple[Entity, ...]:
        """Return the entities of ``domain`` that satisfy all ``constraints``, trains by departure.

        ``leaveat`` is the earliest departure and ``arriveby`` the latest arrival.  Names are found without
        their article too.  ``QueryError`` says which domain, slot or value is not known.
        """
        return self._find(domain, tuple(constraints.items()))

    def _search(self, domain: str, constraints: tuple[tuple[str, str], ...]) -> tuple[Entity, ...]:
        rows = self.tables[_known_domain(domain, "look up", self.tables)]
        found = (1 << len(rows)) - 1
        for slot, value in constraints:
            value = self._checked(domain, slot, value, DOMAINS[domain].lookup)
            if value != DONTCARE:
                found &= self._indexes[domain][slot].rows(value)
        if not found:
            return ()
        return tuple(compress(rows, f"{found:b}".encode().translate(_BITS)[::-1]))

    def _checked(self, domain: str, slot: str, value: str, slots: Sequence[str]) -> str:
        if slot not in slots:
            raise QueryError(str(unknown(f"slot of {domain}", slot, slots)))
        value = normal_value(slot, value)
        if value == DONTCARE:
            return value
        if slot in TIME_SLOTS:
            time = minutes(value)
            if time is None or time > _LAST_MINUTE:
                raise QueryError(f"{slot} of {domain} must be a time from 00:00 to 24:59, not {value!r}.")
            return value
        if domain == "taxi":
            return value
        plain = plain_name(value) if slot in _NAMES else value
        closed = DOMAINS[domain].closed.get(slot)
        if plain not in (closed or self._known[domain, slot]):
            raise UnknownValueError(domain, slot, value, closed or self._values[domain, slot])
        return plain

    def book(
        self,
        domain: str,
        entity: Entity | None,
        details: Mapping[str, str],
        seed: int,
        refused: Mapping[str, str] = MappingProxyType({}),
    ) -> Entity:
        """Book ``entity`` and return what the customer is told: ``ref``, or a taxi's ``type`` and ``phone``.

        What is booked under one ``seed`` always has the same reference.  A taxi has no entity; its
        constraints are the details.

        Args:
            domain: A domain in which one can book.
            entity: A result of ``query``, None when nothing has been offered.
            details: Every booking slot of the domain with its value.
            seed: The conversation.
            refused: Details that are taken, all of which a booking must have to be refused; empty for none.

        Raises:
            QueryError: The booking is refused, has no entity, or its details are wrong or incomplete.
        """
        if domain == "taxi":
            return self._book_taxi(details, seed)
        slots = DOMAINS[_known_domain(domain, "book", self.tables)].book
        if not slots:
            raise QueryError(f"Nothing can be booked in {domain}.")
        if entity is None:
            raise QueryError(f"No {domain} has been offered that could be booked.")
        details = self._booking_details(domain, details, slots)
        if refused and refused.items() <= details.items():
            wanted = ", ".join(f"{slot} {value}" for slot, value in details.items())
            raise TakenError(f"{entity[DOMAINS[domain].key]} is not available for {wanted}.")
        draws = Stream(seed, f"booking/{domain}/{sorted(entity.items())}/{sorted(details.items())}")
        return {"ref": "".join(draws.choice(_REFERENCE) for _ in range(8))}

    def _book_taxi(self, details: Mapping[str, str], seed: int) -> Entity:
        given = {slot: self._checked("taxi", slot, value, DOMAINS["taxi"].inform) for slot, value in details.items()}
        given = {slot: value for slot, value in given.items() if value != DONTCARE}
        missing = [slot for slot in ("departure", "destination") if not given.get(slot)]
        if missing or not given.keys() & TIME_SLOTS:
            raise QueryError(f"A taxi needs {', '.join(missing or ['leaveat or arriveby'])}.")
        if given["departure"] == given["destination"]:
            raise QueryError("A taxi's departure and destination must differ.")
        draws = Stream(seed, f"booking/taxi/{sorted(given.items())}")
        car = " ".join(draws.choice(words) for words in self._fleet)
        return {"type": car, "phone": "07" + "".join(str(draws.integer(0, 10)) for _ in range(9))}

    def _booking_details(self, domain: str, details: Mapping[str, str], slots: Sequence[str]) -> dict[str, str]:
        checked = {slot: self._checked_detail(domain, slot, value, slots) for slot, value in details.items()}
        missing = [slot for slot in slots if slot not in checked]
        if missing:
            raise QueryError(f"Booking a {domain} needs {', '.join(missing)} too.")
        return checked

    def _checked_detail(self, domain: str, slot: str, value: str, slots: Sequence[str]) -> str:
        value = self._checked(domain, slot, value, slots)
        if value == DONTCARE:
            raise QueryError(f"Booking a {domain} needs a definite {slot}.")
        return value


@lru_cache(maxsize=4096)
def plain_name(name: str) -> str:
    """Return ``name`` without what people leave out or write in two ways: article, punctuation, ``and``."""
    plain = re.sub(r"['.,]", "", name.lower()).replace("&", " and ").replace("-", " ")
    return " ".join(plain.split()).removeprefix("the ")


def _index(domain: str, rows: Sequence[Entity]) -> dict[str, ByValue | ByTime]:
    indexes: dict[str, ByValue | ByTime] = {}
    for slot in DOMAINS[domain].lookup:
        values = [row[slot] for row in rows]
        if slot in TIME_SLOTS:
            indexes[slot] = ByTime(values, earliest=slot == "leaveat")
        else:
            indexes[slot] = ByValue(map(plain_name, values) if slot in _NAMES else values)
    return indexes


def _known_values(domain: str, slot: str, rows: Sequence[Entity], others: Iterable[str]) -> tuple[str, ...]:
    if slot in DOMAINS[domain].closed or slot in TIME_SLOTS:
        return DOMAINS[domain].closed.get(slot, ())
    return tuple(sorted({*(row[slot] for row in rows), *others} - {UNKNOWN}))


def _entity(domain: str, row: Mapping[str, str]) -> Entity:
    spec = DOMAINS[domain]
    return {
        slot: normal_value(slot, row[slot]) if row.get(slot) else UNKNOWN
        for slot in dict.fromkeys((*spec.lookup, *spec.request))
    }


def _departure(entity: Entity) -> int:
    return minutes(entity.get("leaveat", "")) or 0


def _known_domain(domain: str, verb: str, tables: Mapping[str, Any]) -> str:
    if domain == "taxi":
        raise QueryError("Taxis cannot be looked up; book one with its departure, destination and time.")
    if domain not in tables:
        raise QueryError(str(unknown(f"domain to {verb}", domain, tables)))
    return domain
