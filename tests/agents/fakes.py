"""A scenario of a few lines, and a batch of its conversations with the interface of ``ConversationBatch``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from agents.model import build_model, train_tokenizer
from agents.token_policy import TokenPolicy
from td_gym.draws import choice, integer
from td_gym.envs.batch import ConversationBatch, Step
from td_gym.episode import Episode
from td_gym.protocol import Messages, ParsedMessage, Tool
from td_gym.scenario import CostSpec, ScaffoldTask, Scenario, TermSpec
from td_gym.seats import SeatPolicy
from td_gym.turns import CustomerEffect, ServiceEffect

ITEMS = ("soup", "pizza", "salad")
HEADING = "You answer for a kitchen."


class FakeEpisode(Episode):
    """Ends after as many answers as its seed says."""

    _vouchers = 0.0

    def briefing(self, seat: str) -> str:
        if seat == "customer":
            return f"Your meal was cold: {self.case['item']}. You wait {self.case['patience']} times. Complain briefly."
        return f"{HEADING}\n\nCASE\n{self.case['item']}; waits {self.case['patience']}\n\nBe brief."

    def features(self, seat: str) -> Any:
        return np.zeros(1, dtype=np.float32)

    def hear_service(self, message: ParsedMessage) -> ServiceEffect:
        voucher = float(message.action == "voucher")
        self._vouchers += voucher
        return ServiceEffect(
            frozenset(),
            "compensate" if voucher else "answer",
            {"voucher": voucher},
            {"polite": float("sorry" in message.response)},
        )

    def hear_customer(self, shown: str) -> CustomerEffect:
        return CustomerEffect(frozenset(), 1, {"service": 0.5} if self.service_turns else {})

    def conclude(self, ended_by: str, rating: float | None) -> tuple[dict[str, Any], dict[str, float]]:
        rewards = {"service": rating or 0.0, "customer": self._vouchers - 0.1 * self.service_turns}
        return {"ended_by": ended_by, "turns": self.service_turns}, rewards


class FakeCustomer:
    """Complains until its patience is used up."""

    def reply_batch(self, episodes: Sequence[Episode]) -> list[str]:
        return [self._reply(episode) for episode in episodes]

    def _reply(self, episode: Episode) -> str:
        if episode.service_turns >= episode.case["patience"]:
            return "bye [end:4]"
        words = ["my", episode.case["item"], "was", "cold", "and", "late"] * 3
        return " ".join(words[: integer(4, 16, episode.seed, episode.service_turns)])


class FakeService:
    """Apologises; as demonstrator it leaves the slot open."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def draft(self, episode: Episode) -> str:
        act = choice(("chat", "voucher"), self.seed, episode.seed, episode.service_turns)
        return f"<think>cold</think><action>{act}</action><response>sorry for the [item]</response>"

    def act(self, messages: Sequence[Mapping[str, str]], seed: int) -> str:
        return f"sorry, {len(messages)} {seed}"

    def reply_batch(self, episodes: Sequence[Episode]) -> list[str]:
        return ["I know all" for _ in episodes]


class FakeScenario(Scenario):
    name: ClassVar[str] = "Fake"
    version: ClassVar[str] = "1"
    wording_version: ClassVar[str] = "1"
    costs: ClassVar[Mapping[str, CostSpec]] = {"voucher": CostSpec("v", 0.3), "format": CostSpec("f")}
    terms: ClassVar[Mapping[str, TermSpec]] = {"polite": TermSpec(0.0, 1.0, "p")}
    reward_ranges: ClassVar[Mapping[str, tuple[float, float]]] = {"service": (0, 20), "customer": (-1, 8)}
    strategies: ClassVar[tuple[str, ...]] = ("answer", "compensate")
    fallback_strategy: ClassVar[str] = "answer"
    populations: ClassVar[tuple[str, ...]] = ("all",)
    customers: ClassVar[tuple[str, ...]] = ("scripted",)
    feature_names: ClassVar[tuple[str, ...]] = ("nothing",)

    def __init__(self) -> None:
        self.tools = {"voucher": Tool("voucher", frozenset(), "give")}
        self.max_turns = 8

    def make_episode(self, seed: int, split: str, row: int | None) -> Episode:
        case = {"item": choice(ITEMS, seed, "item"), "patience": integer(1, 7, seed, "patience")}
        return FakeEpisode(self, seed, split, row, case)

    def admissible(self, episode: Episode) -> tuple[str, ...]:
        return self.strategies if episode.service_turns else ("answer",)

    def succeeded(self, outcome: Mapping[str, Any]) -> bool:
        return outcome["ended_by"] == "resolved"

    def realise(self, messages: Messages, strategy: str, seed: int) -> str:
        return f"{strategy}, {seed}"

    def scaffold_tasks(self, episode: Episode) -> list[ScaffoldTask]:
        patience = str(episode.case["patience"])
        return [
            ScaffoldTask("mac", "item", "What was it?", episode.case["item"]),
            ScaffoldTask("pnr", "patience", "How often does the customer wait?", patience),
        ]

    def make_customer(self, name: str) -> SeatPolicy:
        return FakeCustomer()

    def expert(self) -> SeatPolicy:
        return FakeService()

    def oracle(self) -> SeatPolicy:
        return FakeService()

    def demonstrator(self, seed: int) -> FakeService:
        return FakeService(seed)

    def make_floor(self, name: str) -> SeatPolicy:
        return FakeService()

    def slot_values(self, messages: Sequence[Mapping[str, str]]) -> dict[str, str]:
        return {"item": messages[0]["content"].split("CASE\n")[1].split(";")[0]}


class FakeBatch(ConversationBatch):
    """Conversations of ``FakeScenario``; it also notes what it was given."""

    def __init__(self, size: int = 128, seat: str = "service") -> None:
        others: dict[str, SeatPolicy] = {"service": FakeService(), "customer": FakeCustomer()}
        del others[seat]
        super().__init__(FakeScenario(), seat, size, others)
        self.submitted: defaultdict[int, list[str]] = defaultdict(list)
        self.calls: list[list[int]] = []

    def step(self, indices: Sequence[int], texts: Sequence[str]) -> list[Step]:
        self.calls.append(list(indices))
        for i, text in zip(indices, texts, strict=True):
            self.submitted[i].append(text)
        return super().step(indices, texts)


TEXTS = (
    "my soup was cold and late",
    "<think>cold</think><action>chat</action><response>sorry for the [item]</response>",
    "pizza salad soup; waits 3",
)


def fake_policy(size: str = "micro", seed: int = 0, max_new_tokens: int = 12, seat: str = "service") -> TokenPolicy:
    """Return an untrained policy; replies of random tokens."""
    tokenizer = train_tokenizer(TEXTS, 512)
    model = build_model(size, len(tokenizer), seed=seed)
    return TokenPolicy(model, tokenizer, scenario=FakeScenario(), max_new_tokens=max_new_tokens, seat=seat)
