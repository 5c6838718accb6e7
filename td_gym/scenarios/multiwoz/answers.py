"""What the desk's tools answer: written for the agent in one line, and read back from it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from td_gym.protocol import Messages
from td_gym.scenarios.multiwoz.database import Entity
from td_gym.scenarios.multiwoz.schema import DOMAINS, UNKNOWN

MOST_SHOWN = 5
"""Entities that an answer names; only the first is shown in full."""
_FOUND = re.compile(r"<tool_result>(\w+): (\d+) found(?: \| (.*))?</tool_result>")
_BOOKED = re.compile(r"<tool_result>(\w+) booked \| (.*)</tool_result>")
_REFUSED = re.compile(r"<tool_result>(query|book)( \w+)?: (.*)</tool_result>")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a tool, as the agent reads it."""

    tool: str
    domain: str
    """Empty where a call was refused that named none."""
    error: str = ""
    """Why it refused, empty where it did as told."""
    count: int = 0
    """Entities found."""
    entity: Mapping[str, str] = field(default_factory=dict)
    """The first entity found, or what was booked with its reference; unknown slots are left out."""
    others: tuple[str, ...] = ()
    """Names or train ids of the next entities found."""


def found(domain: str, entities: Sequence[Entity]) -> str:
    """Return the answer to a look-up: how many, the first in full, the names of the next."""
    parts = [f"{domain}: {len(entities)} found"]
    if entities:
        parts.append(_fields(entities[0]))
        key = DOMAINS[domain].key
        if others := [entity[key] for entity in entities[1:MOST_SHOWN]]:
            parts.append("also=" + "; ".join(others))
    return " | ".join(parts)


def booked(domain: str, reference: Entity, entity: Entity | None, details: Mapping[str, str]) -> str:
    """Return the answer to a booking that was made: what the customer is to be told, and what was booked."""
    what = {DOMAINS[domain].key: entity[DOMAINS[domain].key]} if entity else {}
    return f"{domain} booked | {_fields({**reference, **what, **details})}"


def refused(tool: str, domain: str, why: str) -> str:
    """Return the answer to a call that was refused; ``domain`` is empty where none is known."""
    return f"{tool} {domain}: {why}" if domain else f"{tool}: {why}"


def _fields(entity: Mapping[str, str]) -> str:
    return " | ".join(f"{slot}={value}" for slot, value in entity.items() if value != UNKNOWN)


@lru_cache(maxsize=8192)
def read_answer(text: str) -> Answer | None:
    """Read a tool's answer from a message, ``None`` where the message is none."""
    if match := _FOUND.fullmatch(text):
        fields = _read_fields(match[3] or "")
        others = fields.pop("also", "")
        return Answer("query", match[1], "", int(match[2]), fields, tuple(filter(None, others.split("; "))))
    if match := _BOOKED.fullmatch(text):
        return Answer("book", match[1], entity=_read_fields(match[2]))
    if match := _REFUSED.fullmatch(text):
        return Answer(match[1], (match[2] or "").strip(), match[3])
    return None


def _read_fields(line: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in line.split(" | ") if part)
    return {slot: value for slot, _, value in pairs}


def answers(messages: Messages) -> list[Answer]:
    """Return all that tools have answered in a conversation, in order."""
    return [answer for message in messages if message["role"] == "user" and (answer := read_answer(message["content"]))]
