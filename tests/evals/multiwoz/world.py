"""A town small enough to work verdicts out by hand."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from evals.multiwoz.database import Database
from evals.multiwoz.normalise import State, Value
from evals.multiwoz.success import DomainGoal, SystemTurn


def train(name: str, leave: str, arrive: str, departure: str = "cambridge", destination: str = "ely") -> dict[str, str]:
    return {
        "trainID": name,
        "leaveAt": leave,
        "arriveBy": arrive,
        "day": "monday",
        "departure": departure,
        "destination": destination,
    }


TABLES: dict[str, list[dict[str, object]]] = {
    "restaurant": [
        {"id": "r1", "name": "pizza hut", "food": "italian", "area": "centre", "phone": "1", "location": [0, 1]},
        {"id": "r2", "name": "la tasca", "food": "spanish", "area": "centre", "phone": "2", "introduction": "tapas"},
        {"id": "r3", "name": "curry garden", "food": "indian", "area": "east", "signature": "korma"},
    ],
    "hotel": [
        {"id": "h1", "name": "acorn guest house", "area": "north", "stars": "4", "parking": "yes", "price": {"a": "1"}},
        {"id": "h2", "name": "cityroomz", "area": "centre", "stars": "0", "parking": "no"},
    ],
    "attraction": [{"id": "a1", "name": "ballare", "area": "centre", "entrance fee": "?", "type": "nightclub"}],
    "train": [
        dict(train("TR1", "09:00", "09:20")),
        dict(train("TR2", "11:00", "11:20")),
        dict(train("TR3", "11:00", "11:50", "cambridge", "london kings cross")),
    ],
}
TOWN = Database(TABLES)


def wants(wishes: dict[str, Value] | None = None, questions: Collection[str] = ()) -> DomainGoal:
    return DomainGoal(wishes or {}, frozenset(questions))


def says(
    response: str, state: State | None = None, active: Collection[str] | None = None, booked: Collection[str] = ()
) -> SystemTurn:
    """A turn about the domains of its state unless ``active`` says otherwise."""
    return SystemTurn(response, state or {}, list(state or {}) if active is None else active, booked)


PREDICTIONS: dict[str, list[dict[str, object]]] = {
    "sng1": [
        {"response": "in which area ?", "state": {"restaurant": {"food": "indian"}}, "active_domains": ["restaurant"]},
        {
            "response": "[restaurant_name] , phone [restaurant_phone]",
            "state": {"restaurant": {"food": "indian", "area": "east"}},
            "active_domains": ["restaurant"],
        },
    ],
    "mul2": [
        {"response": "[value_name] is booked", "state": {"hotel": {"stars": "0"}}, "active_domains": ["hotel"]},
    ],
}


def write_benchmark(folder: Path) -> Path:
    """Write the benchmark's files of the town into ``folder`` and return it."""
    files: dict[str, object] = {
        "goals.json": {
            "sng1": {"restaurant": {"informable": {"area": "east"}, "requestable": ["PHONE"], "booking": []}},
            "mul2": {"hotel": {"informable": {"stars": "4"}, "requestable": ["REFERENCE"], "booking": []}},
        },
        "booked_domains.json": {"sng1": [[], []], "mul2": [["hotel"]]},
        "references/mwz21_derived.json": {
            "sng1": ["in which area?", "NAME, phone PHONE"],
            "mul2": ["NAME is booked REFERENCE"],
        },
        "gold_states.mwz21.json": {
            "sng1": [{}, {"restaurant": {"area": "east"}}],
            "mul2": [{"hotel": {"stars": "4"}}],
        },
        **{f"database/{domain}_db.json": rows for domain, rows in TABLES.items()},
    }
    for name, content in files.items():
        write(folder / name, content)
    return folder


def write(path: Path, content: object) -> Path:
    """Write ``content`` as JSON and return ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
