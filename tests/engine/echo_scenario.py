"""A small scenario whose every number can be worked out by hand.

The customer wants to hear one word.  It says so, counts, and after three messages it leaves with a
mark of 5 when it has heard the word and 1 otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from td_gym.draws import choice
from td_gym.episode import Episode
from td_gym.errors import TdGymError
from td_gym.protocol import MAX_CHARS, Messages, ParsedMessage, Tool
from td_gym.scenario import CostSpec, ScaffoldTask, Scenario, TermSpec
from td_gym.seats import SeatPolicy
from td_gym.turns import CustomerEffect, ServiceEffect

WORDS = ("apple", "pear", "plum", "fig", "lime")


class EchoEpisode(Episode):
    scenario: EchoScenario

    def briefing(self, seat: str) -> str:
        return f"Echo. Say the word {self.case}." if seat == "customer" else "Echo. Say what the customer wants."

    def features(self, seat: str) -> npt.NDArray[np.float32]:
        return np.array([1.0, self.service_turns / self.scenario.max_turns], dtype=np.float32)

    def hear_service(self, message: ParsedMessage) -> ServiceEffect:
        said = self.case in message.response
        costs = {"chars": float(len(message.response))}
        tool_message = ""
        if message.action == "gift":
            if message.arguments.get("size") == "huge":
                tool_message = "gift: there is no huge one"
            else:
                costs["gift"] = 1.0
        elif message.action == "dictionary":
            tool_message = "dictionary: it is a fruit"
        ended_by = "transferred" if message.action == "leave" else ""
        terms = {"said": float(said)}
        rewards = {"customer": 0.25} if said else {}
        strategy = "say" if said else "chat"
        return ServiceEffect(frozenset(), strategy, costs, terms, tool_message, rewards, ended_by)

    def hear_customer(self, shown: str) -> CustomerEffect:
        return CustomerEffect(frozenset(), 2, {"customer": -0.5})

    def closing_costs(self) -> Mapping[str, float]:
        return {"closing": 1.0}

    def conclude(self, ended_by: str, rating: float | None) -> tuple[dict[str, Any], dict[str, float]]:
        mark = rating or 0.0
        return {"mark": mark, "ended_by": ended_by, "turns": self.service_turns}, {"service": mark}


class EchoCustomer:
    """Asks for its word; it remembers how often it was asked, so memory is part of the test."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def reply_batch(self, episodes: Sequence[Episode]) -> list[str]:
        self.batches.append(len(episodes))
        return [self._reply(episode) for episode in episodes]

    def _reply(self, episode: Episode) -> str:
        memory = episode.memory.setdefault("customer", {"spoken": 0})
        memory["spoken"] += 1
        heard = any(episode.case in turn.shown for turn in episode.transcript if turn.seat == "service")
        if memory["spoken"] > 3:
            return f"Goodbye. [end:{5 if heard else 1}]"
        return f"{memory['spoken']}: I want to hear {episode.case}."


class EchoService:
    """Says back the last word of the customer."""

    def reply_batch(self, episodes: Sequence[Episode]) -> list[str]:
        return [episode.messages("service")[-1]["content"].split()[-1] for episode in episodes]


class EchoScenario(Scenario):
    name: ClassVar[str] = "Echo"
    version: ClassVar[str] = "1"
    wording_version: ClassVar[str] = "1"
    costs: ClassVar[Mapping[str, CostSpec]] = {
        "gift": CostSpec("a gift was made", 0.5),
        "chars": CostSpec("characters"),
        "format": CostSpec("format errors"),
        "closing": CostSpec("counted once at the end"),
    }
    terms: ClassVar[Mapping[str, TermSpec]] = {"said": TermSpec(-1.0, 1.0, "the word was said")}
    reward_ranges: ClassVar[Mapping[str, tuple[float, float]]] = {"service": (0.0, 5.0), "customer": (-9.0, 9.0)}
    strategies: ClassVar[tuple[str, ...]] = ("say", "chat")
    fallback_strategy: ClassVar[str] = "chat"
    populations: ClassVar[tuple[str, ...]] = ("all",)
    customers: ClassVar[tuple[str, ...]] = ("scripted",)
    feature_names: ClassVar[tuple[str, ...]] = ("bias", "turns_used")

    def __init__(self, rows: tuple[str, ...] | None = None, max_turns: int = 6, max_chars: int = MAX_CHARS) -> None:
        self.rows = rows
        self.max_turns = max_turns
        self.max_chars = max_chars
        self.tools = {
            "gift": Tool("gift", frozenset({"size"}), "make a gift"),
            "dictionary": Tool("dictionary", frozenset(), "look the word up", looks_up=True),
            "leave": Tool("leave", frozenset(), "leave"),
        }

    def make_episode(self, seed: int, split: str, row: int | None) -> EchoEpisode:
        if row is not None and (self.rows is None or not 0 <= row < len(self.rows)):
            raise TdGymError(f"There is no row {row}.")
        word = choice(WORDS, seed, "word") if self.rows is None or row is None else self.rows[row]
        return EchoEpisode(self, seed, split, row, word)

    def admissible(self, episode: Episode) -> tuple[str, ...]:
        return self.strategies

    def succeeded(self, outcome: Mapping[str, Any]) -> bool:
        return outcome["mark"] == 5.0

    def realise(self, messages: Messages, strategy: str, seed: int) -> str:
        return f"{strategy}, {seed}"

    def scaffold_tasks(self, episode: Episode) -> list[ScaffoldTask]:
        return []

    def make_customer(self, name: str) -> SeatPolicy:
        return EchoCustomer()

    def expert(self) -> SeatPolicy:
        return EchoService()

    def oracle(self) -> SeatPolicy:
        return EchoService()

    def make_floor(self, name: str) -> SeatPolicy:
        return EchoService()

    def slot_values(self, messages: Sequence[Mapping[str, str]]) -> dict[str, str]:
        return {}
