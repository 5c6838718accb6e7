"""MultiWOZ's tables as they are published: ``restaurant_db.json`` and so on, and the words for taxis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from td_gym.errors import TdGymError
from td_gym.json_data import as_list, as_object, read_json
from td_gym.scenarios.multiwoz.schema import DOMAINS, TIME_SLOTS, canonical_slot, minutes


def read_rows(folder: Path, domain: str) -> list[dict[str, str]]:
    """Return the rows of ``domain``'s table with canonical slots; ``TdGymError`` names file, row and slot."""
    path, rows = folder / f"{domain}_db.json", []
    for place, fields in enumerate(_read_objects(path)):
        row = {
            canonical_slot(domain, name) if name != "price" or domain == "train" else "": str(value).strip()
            for name, value in fields.items()
            if isinstance(value, str | int)
        }
        for slot in DOMAINS[domain].lookup:
            if not row.get(slot):
                raise TdGymError(f"{str(path)!r}: row {place} has no {slot}.")
            if slot in TIME_SLOTS and minutes(row[slot]) is None:
                raise TdGymError(f"{str(path)!r}: row {place}: {slot} is {row[slot]!r}, which is no time HH:MM.")
        rows.append(row)
    return rows


def read_fleet(folder: Path) -> list[list[str]]:
    """Return the words of which a taxi's type is made, a list each; ``TdGymError`` names file and field."""
    path = folder / "taxi_db.json"
    taxis = _read_objects(path)[0]
    fleet = []
    for field in ("taxi_colors", "taxi_types"):
        words = taxis.get(field)
        if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
            raise TdGymError(f"{str(path)!r}: {field} must be a list of words.")
        fleet.append(words)
    return fleet


def _read_objects(path: Path) -> list[dict[str, Any]]:
    """Return the non-empty list of objects in ``path``; ``TdGymError`` names the file when it holds none."""
    where = repr(str(path))
    rows = as_list(read_json(path), where)
    if not rows:
        raise TdGymError(f"{where} must hold at least one object.")
    return [as_object(row, f"{where}: row {place}") for place, row in enumerate(rows)]
