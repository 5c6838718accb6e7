"""The venues and trains of the benchmark, searched as the standard procedure searches them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from rapidfuzz.distance import Indel, Levenshtein

from evals.multiwoz.normalise import Value, minutes, normal_slot, normal_value

DOMAINS = ("restaurant", "hotel", "attraction", "train")
"""Domains with a table; in the others nothing has to be found."""

_NOT_SEARCHED = {
    "restaurant": {"location", "introduction", "signature"},
    "hotel": {"location", "price", "takesbookings"},
    "attraction": {"location", "openhours"},
    "train": set[str](),
}
_FUZZY = {
    "restaurant": {"name", "food"},
    "hotel": {"name"},
    "attraction": {"name"},
    "train": {"departure", "destination"},
}
_ANY_VALUE = {"dontcare", "dont care", "don't care", "do n't care", "do not care", "not mentioned"}
_UNKNOWN = "?"
"""What the tables say where they know nothing; it fits any wish."""


class Database:
    """Four tables, each a list of rows (column to text), as in the benchmark's ``*_db.json`` files."""

    def __init__(self, tables: Mapping[str, Sequence[Mapping[str, object]]]) -> None:
        self._rows = {domain: [_searched(domain, row) for row in tables[domain]] for domain in DOMAINS}

    def search(self, domain: str, wishes: Mapping[str, Value]) -> frozenset[str]:
        """Return the ids of the rows of ``domain`` that fit all ``wishes``, values by normal slot.

        A train arrives by the wished time at the latest and leaves then at the earliest. A slot that the table has no
        column for asks for nothing, nor does a value that means any.
        """
        rows = self._rows[domain]
        for slot, value in wishes.items():
            if value is not None and value not in _ANY_VALUE:
                wished = normal_value(slot, value)
                rows = [row for row in rows if _fits(domain, slot, row.get(slot, _UNKNOWN), wished)]
        return frozenset(row["trainid" if domain == "train" else "id"] for row in rows)


def _searched(domain: str, row: Mapping[str, object]) -> dict[str, str]:
    return {normal_slot(column): str(value) for column, value in row.items() if column not in _NOT_SEARCHED[domain]}


@lru_cache(maxsize=1 << 17)
def _fits(domain: str, slot: str, own: str, wished: Value) -> bool:
    if own == _UNKNOWN:
        return True
    if slot == "arrive":
        return minutes(own) <= minutes(wished)
    if slot == "leave":
        return minutes(own) >= minutes(wished)
    if slot in _FUZZY[domain]:
        return isinstance(wished, str) and close(own, wished)
    return own == wished


def close(own: str, wished: str) -> bool:
    """Return whether the partial ratio of two texts is at least 90 of 100, rounded.

    The partial ratio compares the shorter text with stretches of the longer. The standard looks only at stretches where
    a matching block of their Levenshtein alignment puts the shorter one, so it is below the best of all stretches
    (rapidfuzz's ``partial_ratio``) for pairs such as ``spanish`` and ``danish``.
    """
    short, long = (own, wished) if len(own) <= len(wished) else (wished, own)
    if not short:
        return False
    starts = {max(block.b - block.a, 0) for block in Levenshtein.opcodes(short, long).as_matching_blocks()}
    best = max(Indel.normalized_similarity(short, long[start : start + len(short)]) for start in starts)
    return round(100 * best) >= 90
