"""How a scripted customer keeps its mind: as plain data in ``episode.memory``, so that a snapshot holds it."""

from __future__ import annotations

from typing import Any, Self


class PlainMind:
    """Base of a customer's mind: a dataclass of plain fields."""

    @classmethod
    def of(cls, memory: dict[str, Any]) -> Self:
        """Return the mind whose attributes are ``memory`` itself, so that what moves the one moves the other."""
        mind = cls.__new__(cls)
        mind.__dict__ = memory
        return mind
