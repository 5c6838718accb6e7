"""Which rows of a table have a value: sets of rows as whole numbers, one bit a row, the first row the lowest."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from td_gym.scenarios.multiwoz.schema import minutes


class ByValue:
    """Rows by the value they have."""

    def __init__(self, values: Iterable[str]) -> None:
        self._masks: dict[str, int] = {}
        for place, value in enumerate(values):
            self._masks[value] = self._masks.get(value, 0) | 1 << place

    def rows(self, value: str) -> int:
        """Return the rows that have ``value``."""
        return self._masks.get(value, 0)


class ByTime:
    """Rows by time: which leave at one or later (``earliest``), or else arrive by it."""

    def __init__(self, values: Sequence[str], earliest: bool) -> None:
        rows = sorted((time, place) for place, value in enumerate(values) if (time := minutes(value)) is not None)
        self._times = [time for time, _ in rows]
        self._earliest = earliest
        self._first = [0]
        """The first n rows by time, for every n."""
        for _, place in rows:
            self._first.append(self._first[-1] | 1 << place)

    def rows(self, value: str) -> int:
        """Return the rows that leave at the time ``value`` or later, or arrive by it."""
        time = minutes(value) or 0
        if self._earliest:
            return self._first[-1] ^ self._first[bisect_left(self._times, time)]
        return self._first[bisect_right(self._times, time)]
