"""Sharing out rows over forward passes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def packed(units: Iterable[tuple[int, T]], most: int) -> Iterator[list[T]]:
    """Yield the units, given with their lengths, in parts of similar length.

    A part, padded to its longest, has at most ``most`` tokens, or one unit.
    """
    part: list[T] = []
    longest = 0
    for length, unit in sorted(units, key=lambda each: -each[0]):
        if part and (len(part) + 1) * longest > most:
            yield part
            part = []
        if not part:
            longest = length
        part.append(unit)
    if part:
        yield part
