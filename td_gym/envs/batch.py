"""Conversations stepped together: the one place where messages move between the seats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from td_gym.envs.transcript import lines
from td_gym.episode import Episode, describe_case
from td_gym.errors import TdGymError, as_flag, unknown
from td_gym.scenario import SPLITS, Scenario
from td_gym.seats import SeatPolicy, ask
from td_gym.turns import TurnResult


@dataclass(slots=True)
class Step:
    """What a seat gets when it is its turn again, or when the conversation is over."""

    observation: dict[str, Any]
    """``observation``: float32 features in [0, 1]; ``text``: all that the seat may read."""
    reward: float
    """The seat's session reward paid since its last step."""
    terminated: bool
    truncated: bool
    info: dict[str, Any]
    relevance: int | None = None
    """Grade 0..3 of the service turn that was answered in this step; for learning signals, not for agents."""


class Ledger:
    """What has happened since a seat's last step, and the text the seat has read so far.

    Without ``notes`` the text leaves the seat's own out, as another must read it who looks over its shoulder.
    """

    __slots__ = (
        "_budgeted",
        "_no_costs",
        "_no_terms",
        "_notes",
        "_read",
        "_seen",
        "costs",
        "relevance",
        "reward",
        "strategy",
        "terms",
    )

    def __init__(self, episode: Episode, seat: str, notes: bool = True) -> None:
        scenario = episode.scenario
        self._notes = notes
        self._read = episode.messages(seat)[0]["content"]
        self._seen = 0
        self._budgeted = scenario.budgeted_cost
        self._no_costs = dict.fromkeys(scenario.costs, 0.0)
        self._no_terms = dict.fromkeys(scenario.terms, 0.0)
        self.open()

    def open(self) -> None:
        """Start counting afresh."""
        self.reward = 0.0
        self.costs: dict[str, float] = {}
        self.terms: Mapping[str, float] = {}
        self.strategy = ""
        self.relevance: int | None = None

    def add(self, result: TurnResult, seat: str) -> None:
        """Count the result of one message, whoever sent it."""
        rewards = result.rewards
        if seat in rewards:
            self.reward += rewards[seat]
        for name, amount in result.costs.items():
            self.costs[name] = self.costs.get(name, 0.0) + amount
        if result.seat == seat:
            self.terms = result.terms
            self.strategy = result.strategy
        if result.relevance is not None:
            self.relevance = result.relevance

    def read(self, episode: Episode, seat: str) -> str:
        """Return the briefing and every message so far, as ``seat`` reads them."""
        for turn in episode.transcript[self._seen :]:
            self._read += lines(turn, seat, episode.scenario.max_chars, self._notes)
        self._seen = len(episode.transcript)
        return self._read

    def step(self, episode: Episode, seat: str, debug: bool) -> Step:
        """Return the seat's step; the ledger goes on counting until ``open``."""
        truncated = episode.truncated
        terminated = episode.outcome is not None and not truncated
        costs = {**self._no_costs, **self.costs}
        info: dict[str, Any] = {
            "cost": costs[self._budgeted],
            "costs": costs,
            "rewards": {**self._no_terms, **self.terms},
            "messages": episode.messages(seat),
            "strategy": self.strategy,
            "scenario": -1 if episode.row is None else episode.row,
            "seed": episode.seed,
        }
        if episode.outcome is not None:
            info["outcome"] = dict(episode.outcome)
        if debug:
            info["debug"] = describe_case(episode)
        observation = {"observation": episode.features(seat), "text": self.read(episode, seat)}
        return Step(observation, self.reward, terminated, truncated, info, self.relevance)


class ConversationBatch:
    """``n`` conversations of one scenario, seen from one seat.

    ``policies`` play the other seats; each is asked once per round for all conversations that wait
    for it.  ``episodes[i]`` is the live conversation ``i``.  Raises ``TdGymError`` for an unknown
    seat or split, a ``debug`` that is no truth value, or a seat that nobody plays.
    """

    def __init__(
        self,
        scenario: Scenario,
        seat: str,
        n: int,
        policies: Mapping[str, SeatPolicy],
        split: str = "train",
        debug: bool = False,
    ) -> None:
        scenario.check_seat(seat)
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        for other in scenario.seats:
            if other != seat and other not in policies:
                raise TdGymError(f"Nobody plays the seat {other!r}; pass a policy for it.")
        if n < 1:
            raise TdGymError(f"A batch needs at least one conversation, not {n}.")
        self.scenario = scenario
        self.seat = seat
        self.policies = dict(policies)
        self.split = split
        self.debug = as_flag("debug", debug)
        self.size = n
        self.episodes: dict[int, Episode] = {}
        """The live conversations that have begun, by index."""
        self._ledgers: dict[int, Ledger] = {}

    def reset(
        self, indices: Sequence[int], seeds: Sequence[int], rows: Sequence[int | None] | None = None
    ) -> list[Step]:
        """Start conversations ``indices`` with ``seeds`` and let the other seats speak until it is ``seat``'s turn.

        Raises ``TdGymError`` where one of them cannot begin by its seed or row; none has begun anew then.  Whatever a
        policy raises passes through; conversations that wait for it then have to be reset.
        """
        return self._enter(indices, self._begun(indices, seeds, rows))

    def _begun(self, indices: Sequence[int], seeds: Sequence[int], rows: Sequence[int | None] | None) -> list[Episode]:
        self._check_range(indices)
        rows = [None] * len(indices) if rows is None else rows
        return [self.scenario.begin(seed, self.split, row) for _, seed, row in zip(indices, seeds, rows, strict=True)]

    def resume(self, indices: Sequence[int], snapshots: Sequence[Mapping[str, Any]]) -> list[Step]:
        """Take conversations ``indices`` up where ``snapshots`` were taken; see ``reset``.

        Rewards and costs count from there.  Raises ``TdGymError`` for a snapshot that ``Scenario.restore`` refuses;
        none has changed then.
        """
        self._check_range(indices)
        restored = [self.scenario.restore(snapshot) for _, snapshot in zip(indices, snapshots, strict=True)]
        return self._enter(indices, restored)

    def _check_range(self, indices: Sequence[int]) -> None:
        for i in indices:
            if not 0 <= i < self.size:
                raise TdGymError(f"Conversation {i} is out of range; this batch holds {self.size}.")

    def _enter(self, indices: Sequence[int], episodes: Sequence[Episode]) -> list[Step]:
        """Put ``episodes`` at ``indices`` and let the other seats speak."""
        self._place(indices, episodes)
        return self._advance(indices)

    def _place(self, indices: Sequence[int], episodes: Sequence[Episode]) -> None:
        ledgers = [Ledger(episode, self.seat) for episode in episodes]
        self.episodes.update(zip(indices, episodes, strict=True))
        self._ledgers.update(zip(indices, ledgers, strict=True))

    def step(self, indices: Sequence[int], texts: Sequence[str]) -> list[Step]:
        """Submit ``seat``'s messages; return when each of ``indices`` waits for ``seat`` again or is over.

        Raises ``TdGymError`` when a conversation is over or named twice, or a message is not text; nothing moves then.
        """
        self._submit(indices, texts)
        return self._advance(indices)

    def _submit(self, indices: Sequence[int], texts: Sequence[str]) -> None:
        if len(set(indices)) < len(indices):
            raise TdGymError("A conversation takes one message at a time; name each once.")
        for i, text in zip(indices, texts, strict=True):
            if not isinstance(text, str):
                raise TdGymError(f"A message must be text (str), not {type(text).__name__}.")
            episode = self.episodes.get(i)
            if episode is None:
                raise TdGymError(f"Conversation {i} has not begun; call reset() first.")
            if episode.outcome is not None:
                raise TdGymError(f"Conversation {i} is over; reset it before the next message.")
            if episode.next_seat != self.seat:
                raise TdGymError(f"Conversation {i} waits for the {episode.next_seat}, which failed; reset it.")
        for i, text in zip(indices, texts, strict=True):
            self._ledgers[i].open()
            self._hear(i, self.seat, text)

    def _advance(self, indices: Sequence[int]) -> list[Step]:
        """Let the other seats speak until every one of ``indices`` waits for ``seat`` or is over."""
        while waiting := self._waiting(indices):
            for other, members in waiting.items():
                replies = ask(self.policies[other], other, [self.episodes[i] for i in members])
                for i, reply in zip(members, replies, strict=True):
                    self._hear(i, other, reply)
        return list(map(self._step, indices))

    def _waiting(self, indices: Sequence[int]) -> dict[str, list[int]]:
        """Return which of ``indices`` wait for a seat other than ``seat``, by that seat."""
        waiting: dict[str, list[int]] = {}
        for i in indices:
            episode = self.episodes[i]
            if episode.next_seat != self.seat and episode.outcome is None:
                waiting.setdefault(episode.next_seat, []).append(i)
        return waiting

    def _hear(self, i: int, seat: str, message: str) -> None:
        """Let ``seat`` say ``message`` in conversation ``i``."""
        self._ledgers[i].add(self.episodes[i].submit(seat, message), self.seat)

    def _step(self, i: int) -> Step:
        return self._ledgers[i].step(self.episodes[i], self.seat, self.debug)
