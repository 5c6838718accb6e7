"""Conversations of which none waits for another, for seats that take their time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait

from td_gym.envs.batch import ConversationBatch, Step
from td_gym.episode import Episode
from td_gym.errors import TdGymError
from td_gym.scenario import Scenario
from td_gym.seats import SeatPolicy, SlowPolicy, as_message, ask


class ConversationStream(ConversationBatch):
    """A batch that says which conversations have come round to the seat, rather than bringing all of them there.

    ``begin`` and ``send`` return at once, ``receive`` returns the steps of whatever has come round by then.  Only a
    ``SlowPolicy`` keeps a conversation away; any other speaks at once.
    """

    def __init__(
        self, scenario: Scenario, seat: str, n: int, policies: Mapping[str, SeatPolicy], split: str = "train"
    ) -> None:
        super().__init__(scenario, seat, n, policies, split)
        self._ready: set[int] = set()
        self._awaited: dict[int, tuple[str, Future[str]]] = {}
        """By conversation the seat that has been asked, and its message to come."""

    def begin(self, indices: Sequence[int], seeds: Sequence[int], rows: Sequence[int | None] | None = None) -> None:
        """Start conversations ``indices`` with ``seeds``; see ``reset``."""
        self._place(indices, self._begun(indices, seeds, rows))
        self._go_on(indices)

    def send(self, indices: Sequence[int], texts: Sequence[str]) -> None:
        """Submit ``seat``'s messages; see ``step``."""
        self._submit(indices, texts)
        self._go_on(indices)

    def _place(self, indices: Sequence[int], episodes: Sequence[Episode]) -> None:
        super()._place(indices, episodes)
        self._ready.difference_update(indices)
        for i in indices:  # what the conversation before was waiting for is nothing to the new one
            self._awaited.pop(i, None)

    def receive(self) -> dict[int, Step]:
        """Wait until some conversations are the seat's turn or over, and return their steps, by index.

        Raises what a policy raised, when all else that has come is heard, and ``TdGymError`` where there is nothing to
        wait for.
        """
        while not self._ready:
            if not self._awaited:
                raise TdGymError("No conversation is under way; call begin() or send() first.")
            done, _ = wait([message for _, message in self._awaited.values()], return_when=FIRST_COMPLETED)
            come = [i for i, (_, message) in self._awaited.items() if message in done]
            heard, failure = [], None
            for i in come:
                other, message = self._awaited.pop(i)
                try:
                    self._hear(i, other, as_message(other, message.result()))
                    heard.append(i)
                except Exception as error:
                    failure = failure or error
            self._go_on(heard)
            if failure is not None:
                raise failure
        steps = {i: self._step(i) for i in sorted(self._ready)}
        self._ready.clear()
        return steps

    def _go_on(self, indices: Sequence[int]) -> None:
        """Let the other seats speak, or ask them, until each of ``indices`` is awaited or has come round."""
        moved = list(indices)
        while moved:
            waiting = self._waiting(moved)
            self._ready.update(set(moved).difference(*waiting.values()))
            moved = []
            for other, members in waiting.items():
                policy, episodes = self.policies[other], [self.episodes[i] for i in members]
                if isinstance(policy, SlowPolicy):
                    messages = policy.start_batch(episodes)
                    self._awaited.update({i: (other, each) for i, each in zip(members, messages, strict=True)})
                else:
                    for i, reply in zip(members, ask(policy, other, episodes), strict=True):
                        self._hear(i, other, reply)
                    moved += members
