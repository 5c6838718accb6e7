"""What one message is and brings about: the records that an engine, its scenarios and their customers exchange."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

_END = re.compile(r"\[(end|hangup):([1-5](?:\.\d+)?)\]\Z")
_SATISFIED = 4.0


@dataclass(slots=True)
class Turn:
    """One message of one seat, as the record of a conversation keeps it."""

    seat: str
    text: str
    """The message as submitted, tags and all."""
    shown: str
    """What the other seats read."""
    action: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    tool_message: str = ""
    """What a tool answered, most often why it refused; read by the seat that called it only."""
    acts: frozenset[str] = frozenset()
    strategy: str = ""
    aside: bool = False
    """A look-up without a word, of which no other seat hears."""


@dataclass(slots=True)
class TurnResult:
    """What one submitted message brought about.  Costs and rewards are increments."""

    seat: str
    rewards: Mapping[str, float] = field(default_factory=dict)
    """Session reward paid by this turn, by seat."""
    costs: Mapping[str, float] = field(default_factory=dict)
    terms: Mapping[str, float] = field(default_factory=dict)
    """Named turn terms of a service turn."""
    strategy: str = ""
    relevance: int | None = None
    """Grade 0..3 of the service turn just answered: disengaged, neutral, engaged, stage advanced."""
    terminated: bool = False
    truncated: bool = False


@dataclass(slots=True)
class ServiceEffect:
    """A scenario's reading of one well-formed service message."""

    acts: frozenset[str]
    strategy: str
    costs: Mapping[str, float]
    terms: Mapping[str, float]
    tool_message: str = ""
    rewards: Mapping[str, float] = field(default_factory=dict)
    ended_by: str = ""
    """Non-empty when the message ends the service's part; the customer has the last word."""


@dataclass(slots=True)
class CustomerEffect:
    """A scenario's reading of one customer message."""

    acts: frozenset[str]
    relevance: int
    rewards: Mapping[str, float] = field(default_factory=dict)


class EndMark(NamedTuple):
    """The end marker at the close of a customer message: ``[end:4.2]`` or ``[hangup:1]``."""

    hung_up: bool
    rating: float

    @property
    def satisfied(self) -> bool:
        """Whether the rating is one of a customer who is satisfied."""
        return self.rating >= _SATISFIED


def split_end_mark(text: str, max_chars: int | None = None) -> tuple[str, EndMark | None]:
    """Split a customer's message into what is shown and its end marker, if it closes with one.

    Of the words ``max_chars`` characters are shown; a marker behind more than that counts all the same.
    """
    text = text.rstrip()
    match = _END.match(text, max(0, text.rfind("["))) if text.endswith("]") else None
    if match is None:
        return text[:max_chars].strip(), None
    rating = min(max(float(match[2]), 1.0), 5.0)
    return text[: match.start()][:max_chars].strip(), EndMark(match[1] == "hangup", rating)
