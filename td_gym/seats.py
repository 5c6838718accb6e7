"""Simulated occupants of seats, and conversations in which they speak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from td_gym.errors import TdGymError
from td_gym.turns import TurnResult

if TYPE_CHECKING:
    from td_gym.episode import Episode


@runtime_checkable
class SeatPolicy(Protocol):
    """A simulated occupant of a seat.  It keeps what it remembers in ``episode.memory[seat]``.

    ``reply_batch`` is asked once for all conversations that wait, so that a model server sees one
    batch.  An outage raises; it is never a message.
    """

    def reply_batch(self, episodes: Sequence[Episode]) -> list[str]:
        """Return the next message of each conversation, in order."""


@runtime_checkable
class SlowPolicy(SeatPolicy, Protocol):
    """A seat policy that takes its time: it can be asked and not waited for."""

    at_once: int
    """How many replies it works on side by side."""

    def start_batch(self, episodes: Sequence[Episode]) -> list[Future[str]]:
        """Ask for the next message of each conversation, in order, and return at once."""


class Demonstrator(SeatPolicy, Protocol):
    """A service agent whose dialogues are learnt from: what it drafts is the target, slots and all."""

    def draft(self, episode: Episode) -> str:
        """Return the next service message with unfilled slots; the environment gets it filled."""


def ask(policy: SeatPolicy, seat: str, episodes: Sequence[Episode]) -> list[str]:
    """Return the next message of ``seat`` in each of ``episodes``, as its ``policy`` gives them.

    Raises ``TdGymError`` naming the seat for anything but one text for each.
    """
    returned: Any = policy.reply_batch(episodes)
    if isinstance(returned, str) or not isinstance(returned, Iterable):
        raise TdGymError(f"The policy of seat {seat!r} must return a list of messages, not {type(returned).__name__}.")
    replies = [as_message(seat, reply) for reply in returned]
    if len(replies) != len(episodes):
        raise TdGymError(
            f"The policy of seat {seat!r} must return one message for each of {len(episodes)} conversations, "
            f"not {len(replies)}."
        )
    return replies


def as_message(seat: str, reply: Any) -> str:
    """Return what the policy of ``seat`` gave for a message; ``TdGymError`` naming the seat when it is no text."""
    if not isinstance(reply, str):
        raise TdGymError(f"The policy of seat {seat!r} must return text (str), not {type(reply).__name__}.")
    return reply


def play_on(episode: Episode, seats: Mapping[str, SeatPolicy]) -> list[TurnResult]:
    """Let ``seats``, policies by seat, speak until ``episode`` is over or it is the turn of a seat not among them.

    Returns what each message brought about.  Raises ``TdGymError`` where a policy returns anything but one text.
    """
    results = []
    while episode.outcome is None and (seat := episode.next_seat) in seats:
        (text,) = ask(seats[seat], seat, [episode])
        results.append(episode.submit(seat, text))
    return results
