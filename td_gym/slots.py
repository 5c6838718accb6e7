"""Slots: ``[name]`` in a drafted message stands for a value that the service seat has read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from td_gym.protocol import Messages

SLOT = re.compile(r"\[[a-z][a-z_]*\]")


def fill_slots(text: str, messages: Messages, slot_values: Callable[[Messages], Mapping[str, str]]) -> str:
    """Return ``text`` with every slot that ``slot_values(messages)`` knows replaced; unknown slots stay."""
    if SLOT.search(text) is None:
        return text
    values = slot_values(messages)
    return SLOT.sub(lambda slot: values.get(slot[0][1:-1], slot[0]), text)
