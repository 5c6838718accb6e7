"""How a scripted customer keeps its mind: as plain data in ``episode.memory``, so that a snapshot holds it."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from td_gym.errors import TdGymError


def strange_memory() -> TdGymError:
    """Build the error for a conversation whose customer is to go on with the memory of another one."""
    return TdGymError("This conversation was begun with another simulated customer; let that one go on with it.")


class PlainMind:
    """Base of a customer's mind: a dataclass of plain fields."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @classmethod
    def of(cls, memory: dict[str, Any]) -> Self:
        """Return the mind whose attributes are ``memory`` itself, so that what moves the one moves the other.

        Raises ``TdGymError`` for the memory of another mind.
        """
        if memory.keys() != cls.__dataclass_fields__.keys():
            raise strange_memory()
        mind = cls.__new__(cls)
        mind.__dict__ = memory
        return mind
