"""What a customer wants of the city: goals, drawn so that they can be met, and what fails first does fail."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from personas.packaged import packaged_toml
from personas.splits import split_of_goal
from td_gym.draws import Stream
from td_gym.errors import TdGymError, unknown
from td_gym.json_data import as_named_texts, as_object, as_texts
from td_gym.scenarios.multiwoz.database import Database, Entity
from td_gym.scenarios.multiwoz.schema import DOMAINS, UNKNOWN, clock, minutes

_FIGURES = packaged_toml(__package__, "goals.toml")
_QUARTER = 15
_NIGHT = 24 * 60
_MOST_ORDERS = 20
_MOST_DRAWS = 100
_VENUES = ("restaurant", "hotel", "attraction")


@dataclass(frozen=True, slots=True)
class DomainGoal:
    """What a customer wants in one domain."""

    inform: Mapping[str, str] = field(default_factory=dict)
    """Constraints that the customer settles for."""
    fail_inform: Mapping[str, str] = field(default_factory=dict)
    """Constraints asked for first, which nothing satisfies; empty when ``inform`` comes first."""
    request: tuple[str, ...] = ()
    """Slots that the customer wants to know."""
    book: Mapping[str, str] = field(default_factory=dict)
    """Details of the booking that the customer settles for; empty without a booking."""
    fail_book: Mapping[str, str] = field(default_factory=dict)
    """Details tried first, which are refused; empty when ``book`` comes first."""
    same: Mapping[str, str] = field(default_factory=dict)
    """Slots that are the same as in another domain, and that domain.

    The value is in ``inform`` or ``book`` all the same, except for a taxi's ``departure`` and
    ``destination``: those are the names of what is found there.
    """


@dataclass(frozen=True, slots=True)
class Goal:
    """What a customer wants, domain by domain in the order in which it comes up."""

    domains: Mapping[str, DomainGoal]

    def to_json(self) -> dict[str, Any]:
        """Return the goal as plain data; what is empty is left out."""
        return {
            domain: {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in asdict(part).items()
                if value
            }
            for domain, part in self.domains.items()
        }

    @classmethod
    def from_json(cls, data: Any, where: str = "the goal") -> Goal:
        """Read what ``to_json`` returns; ``TdGymError`` names ``where`` and the field that is wrong."""
        domains = as_object(data, where)
        return cls({name: _domain_goal(name, part, f"{where}: {name}") for name, part in domains.items()})

    @property
    def split(self) -> str:
        """The one split that the goal belongs to, by its constraints, or its requests where a domain has none.

        Goals of two splits therefore never ask for the same thing in two ways.
        """
        key = [
            (
                name,
                sorted(part.inform.items()),
                sorted(part.fail_inform.items()),
                () if part.inform else sorted(part.request),
            )
            for name, part in sorted(self.domains.items())
        ]
        return split_of_goal(json.dumps(key))


def _domain_goal(domain: str, data: Any, where: str) -> DomainGoal:
    if domain not in DOMAINS:
        raise TdGymError(f"{where}: {unknown('domain', domain, DOMAINS)}")
    spec = DOMAINS[domain]
    allowed = {
        "inform": spec.lookup,
        "fail_inform": spec.lookup,
        "request": spec.request,
        "book": spec.book,
        "fail_book": spec.book,
        "same": spec.stated,
    }
    parts = as_object(data, where)
    for name, value in parts.items():
        if name not in allowed:
            raise TdGymError(f"{where}: {unknown('field', name, allowed)}")
        place = f"{where}.{name}"
        for slot in as_texts(value, place) if name == "request" else as_named_texts(value, place):
            if slot not in allowed[name]:
                raise TdGymError(f"{place}: {unknown('slot', slot, allowed[name])}")
    return DomainGoal(**{**parts, "request": tuple(parts.get("request", ()))})


def draw_goal(seed: int, split: str, database: Database) -> Goal:
    """Draw the goal of conversation ``seed`` in ``split`` (``train``, ``validation`` or ``test``).

    Something in ``database`` satisfies every ``inform``, nothing satisfies a ``fail_inform``.
    Domains of which the database knows too little for goals of every split give way to others;
    ``TdGymError`` when that is so of all.
    """
    draws = Stream(seed, f"goal/{split}")
    for _ in range(_MOST_ORDERS):
        order = draws.weighted_key(_FIGURES["orders"]).split()
        for _ in range(_MOST_DRAWS):
            goal = _draw(draws, database, order)
            if goal.split == split:
                return goal
    raise TdGymError(f"The database holds too little to draw goals of split {split!r} from.")


def asked_values(goals: Iterable[Goal]) -> dict[tuple[str, str], set[str]]:
    """Return what ``goals`` ask for by domain and slot, for a ``Database`` to know where no row has it."""
    asked: dict[tuple[str, str], set[str]] = {}
    for goal in goals:
        for domain, part in goal.domains.items():
            for slot, value in (*part.inform.items(), *part.fail_inform.items()):
                asked.setdefault((domain, slot), set()).add(value)
    return asked


def _draw(draws: Stream, database: Database, order: Sequence[str]) -> Goal:
    domains: dict[str, DomainGoal] = {}
    for domain in order:
        if domain == "taxi":
            domains[domain] = _taxi(draws, database, domains)
        else:
            domains[domain] = _domain(draws, database, domain, domains)
    return Goal(domains)


def _domain(draws: Stream, database: Database, domain: str, others: Mapping[str, DomainGoal]) -> DomainGoal:
    figures = _FIGURES[domain]
    slots = ("departure", "destination", "day") if domain == "train" else _slots(draws, domain)
    same, shared = _shared(draws, slots, others)
    pool = database.query(domain, shared)
    if not pool:
        same, pool = {}, database.tables[domain]
    target = draws.choice(pool)
    inform = {slot: target[slot] for slot in slots}
    if domain == "train":
        inform |= _train_time(draws, target)
    fail_inform = _unsatisfied(draws, database, domain, inform, same)
    if draws.uniform() >= figures.get("book", 0.0):
        return DomainGoal(inform, fail_inform, _requests(draws, domain, inform, target), same=same)
    same_details, shared_details = _shared(draws, DOMAINS[domain].book, others)
    book = {slot: shared_details.get(slot) or _detail(draws, domain, slot) for slot in DOMAINS[domain].book}
    fail_book = {}
    if draws.uniform() < figures.get("fail_book", 0.0):
        weights = {slot: weight for slot, weight in figures["rebook"].items() if slot not in same_details}
        slot = draws.weighted_key(weights)
        fail_book = {**book, slot: _other(draws, domain, slot, book[slot])}
    return DomainGoal(inform, fail_inform, (), book, fail_book, {**same, **same_details})


def _slots(draws: Stream, domain: str) -> list[str]:
    figures = _FIGURES[domain]
    if draws.uniform() < figures["key"]:
        return [DOMAINS[domain].key]
    if "inform" not in figures:
        return []
    return _several(draws, dict.fromkeys(figures["slots"], 1.0), figures["inform"])


def _several(draws: Stream, weights: Mapping[str, float], counts: Mapping[str, float]) -> list[str]:
    """Draw as many different keys of ``weights`` as ``counts`` says."""
    left, chosen = dict(weights), []
    for _ in range(min(int(draws.weighted_key(counts)), len(left))):
        chosen.append(draws.weighted_key(left))
        del left[chosen[-1]]
    return chosen


def _shared(
    draws: Stream, slots: Sequence[str], others: Mapping[str, DomainGoal]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return which of ``slots`` are the same as in which of ``others``, and their values."""
    same, values = {}, {}
    for slot in slots:
        for domain, other in others.items():
            value = other.book.get(slot) or other.inform.get(slot)
            if value and slot not in same and draws.uniform() < _FIGURES["same"].get(slot, 0.0):
                same[slot], values[slot] = domain, value
    return same, values


def _train_time(draws: Stream, train: Entity) -> dict[str, str]:
    """Draw a time that ``train`` keeps, at most two hours off, on the quarter."""
    leave, arrive = minutes(train["leaveat"]) or 0, minutes(train["arriveby"]) or 0
    off = draws.integer(0, 9) * _QUARTER
    by = -(-arrive // _QUARTER) * _QUARTER + off
    if draws.weighted_key(_FIGURES["train"]["times"]) == "arriveby" and by < _NIGHT:
        return {"arriveby": clock(by)}
    return {"leaveat": clock(max(0, leave // _QUARTER * _QUARTER - off))}


def _unsatisfied(
    draws: Stream, database: Database, domain: str, inform: Mapping[str, str], same: Mapping[str, str]
) -> dict[str, str]:
    """Return ``inform`` with another value in one slot so that nothing satisfies it, or nothing."""
    changed = _FIGURES[domain].get("changed", {})
    left = {slot: changed[slot] for slot in inform if slot in changed and slot not in same}
    if not left or len(inform) == 1 or draws.uniform() >= _FIGURES[domain]["fail"]:
        return {}
    while left:
        slot = draws.weighted_key(left)
        del left[slot]
        others = [{**inform, slot: value} for value in database.values(domain, slot)]
        failing = [other for other in others if not database.query(domain, other)]
        if failing:
            return draws.choice(failing)
    return {}


def _requests(draws: Stream, domain: str, inform: Mapping[str, str], target: Entity) -> tuple[str, ...]:
    """Draw what to ask about ``target``, of what is known of it and not said already."""
    figures = _FIGURES[domain]
    weights = {
        slot: weight for slot, weight in figures["requested"].items() if slot not in inform and target[slot] != UNKNOWN
    }
    return tuple(_several(draws, weights, figures["request"]))


def _detail(draws: Stream, domain: str, slot: str) -> str:
    if slot == "time":
        return clock(draws.integer(9 * 4, 20 * 4) * _QUARTER)
    if slot == "stay":
        return str(draws.integer(1, 6))
    return draws.choice(DOMAINS[domain].closed[slot])


def _other(draws: Stream, domain: str, slot: str, value: str) -> str:
    while (other := _detail(draws, domain, slot)) == value:
        pass
    return other


def _taxi(draws: Stream, database: Database, others: Mapping[str, DomainGoal]) -> DomainGoal:
    """Draw a ride between the two venues of ``others``, or without them between any two of the city."""
    time = draws.weighted_key(_FIGURES["taxi"]["times"])
    when = {time: clock(draws.integer(5 * 4, 24 * 4) * _QUARTER)}
    request = DOMAINS["taxi"].request
    if not others:
        places = [place["name"] for domain in _VENUES for place in database.tables[domain]]
        departure = draws.choice(places)
        destination = draws.choice([place for place in places if place != departure])
        return DomainGoal({"departure": departure, "destination": destination, **when}, request=request)
    ends = list(others)
    if draws.uniform() < 0.5:
        ends.reverse()
    table = others.get("restaurant", DomainGoal()).book
    if table and draws.uniform() < _FIGURES["same"]["arriveby"]:
        ends.sort(key=lambda domain: domain == "restaurant")
        return DomainGoal(
            {"arriveby": table["time"]},
            request=request,
            same={"departure": ends[0], "destination": ends[1], "arriveby": "restaurant"},
        )
    return DomainGoal(when, request=request, same={"departure": ends[0], "destination": ends[1]})
