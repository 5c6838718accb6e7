"""A base for a scenario in one file: what is said is read by patterns, what is chosen is said from a table."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from personas.customer import Customer
from td_gym.draws import Stream, choice
from td_gym.episode import Episode
from td_gym.errors import TdGymError
from td_gym.judges.wellformed import wellformed
from td_gym.protocol import Messages, ParsedMessage, Tool
from td_gym.scenario import Scenario, TermSpec
from td_gym.scenarios.scripted import CustomerPolicy, MessagePolicy
from td_gym.seats import Demonstrator, SeatPolicy
from td_gym.slots import SLOT, fill_slots
from td_gym.turns import CustomerEffect, ServiceEffect

_ENDING = " Close with [end:X], X from 1 (bad) to 5 (good), or hang up with [hangup:1]."
Choose = Callable[[Messages, int], str]
"""From what the service seat has read, and a seed, to the strategy of its next message."""


@dataclass(frozen=True, slots=True)
class PlainCase:
    """What a conversation is about: who comes, and facts by name, each in words."""

    persona: Customer
    facts: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the case as plain data."""
        return {"persona": self.persona.to_json(), "facts": dict(self.facts)}


class PlainEpisode(Episode):
    """A conversation in which each strategy is an act: the call of the tool of its name, or words by its pattern."""

    scenario: PlainScenario
    served = False
    """Whether the customer has what it came for."""
    ended_by = ""
    """Why the service seat's part is over, such as ``transferred``, where ``use`` says so; the customer has the last
    word."""

    def __init__(self, scenario: PlainScenario, seed: int, split: str, row: int | None, case: PlainCase) -> None:
        super().__init__(scenario, seed, split, row, case)
        self.persona, self.facts = case.persona, case.facts
        self.done: set[str] = set()
        """Acts of the service seat so far; a tool's call is one where the tool did not refuse it."""
        self._advanced = False

    def use(self, tool: str, arguments: Mapping[str, str]) -> str:
        """Carry out a call that the procedure admits now; return why it cannot be, empty where it was.

        Of a tool that looks up return what it found, which is no refusal.
        """
        return ""

    def breaches(self, words: str) -> dict[str, float]:
        """Return the costs of what the service seat says, known after what it does."""
        return {}

    def briefing(self, seat: str) -> str:
        """Return the scenario's words for ``seat`` with the facts of the case, and how messages are written.

        Raises ``TdGymError`` for a seat that there is not.
        """
        self.scenario.check_seat(seat)
        words = self.scenario.briefings[seat].format(persona=self.persona, **self.facts)
        return words + (self.scenario.message_format if seat == "service" else _ENDING)

    def sees(self, seat: str) -> str:
        """Return to the customer which tools the desk has used, whatever it says."""
        if seat != "customer":
            return ""
        used = [name for name in self.scenario.tools if name in self.done]
        return f"What the desk has done so far: {', '.join(used) or 'nothing'}."

    def features(self, seat: str) -> npt.NDArray[np.float32]:
        """Return the share of turns that are left, never quite 0, and for each strategy whether it was followed."""
        left = 1.0 - self.service_turns / (self.scenario.max_turns + 1)
        return np.array([left, *(name in self.done for name in self.scenario.strategies[:-1])], dtype=np.float32)

    def hear_service(self, message: ParsedMessage) -> ServiceEffect:
        """Carry out the call and read the words; the first of the scenario's strategies in them is the message's.

        A call that the procedure does not admit is refused; one whose tool has a cost of its name costs 1 when it is
        carried out.
        """
        scenario, action = self.scenario, message.action
        admissible = scenario.admissible(self)
        acts = scenario.acts_in(message.response)
        answer = ""
        if action:
            admitted = action in admissible
            answer = self.use(action, message.arguments) if admitted else "this cannot be done now"
            if admitted and (not answer or scenario.tools[action].looks_up):
                acts.add(action)
        strategy = next((name for name in scenario.strategies if name in acts), scenario.strategies[-1])
        breaches = self.breaches(message.response)
        terms = {
            "procedure": float(strategy in admissible),
            "progress": float(not acts <= self.done),
            "form": wellformed(message.response),
            "rules": float(not breaches),
        }
        self._advanced = strategy in admissible and not acts <= self.done
        self.done |= acts
        paid = {action: 1.0} if action in acts and action in scenario.costs else {}
        told = f"{action}: {answer}" if answer else ""
        return ServiceEffect(frozenset(acts), strategy, {**paid, **breaches}, terms, told, ended_by=self.ended_by)

    def hear_customer(self, shown: str) -> CustomerEffect:
        """Grade the service turn just answered: 3 where it took an admissible step that was new, else 1."""
        return CustomerEffect(frozenset(), 3 if self._advanced else 1)

    def conclude(self, ended_by: str, rating: float | None) -> tuple[dict[str, Any], dict[str, float]]:
        """Return the outcome; the service seat earns the customer's mark, and nothing where it gave none."""
        mark = rating or 0.0
        outcome = {"ended_by": ended_by, "turns": self.service_turns, "mark": mark, "served": self.served}
        return outcome, {"service": mark}


class PlainScenario(Scenario):
    """A scenario of which a subclass states costs, rewards, tables, the procedure and who talks.

    Its strategies are the keys of ``words``, its customers those of ``talkers``; either may be stated as well, and
    ``feature_names`` beside an episode with ``features`` of its own.
    """

    version: ClassVar[str] = "1"
    wording_version: ClassVar[str] = "1"
    reward_ranges: ClassVar[Mapping[str, tuple[float, float]]] = {"service": (0.0, 5.0), "customer": (0.0, 0.0)}
    terms: ClassVar[Mapping[str, TermSpec]] = {
        "procedure": TermSpec(0.0, 1.0, "the procedure admits the message's strategy"),
        "progress": TermSpec(0.0, 1.0, "something was done that was not done before"),
        "form": TermSpec(0.0, 1.0, "share of well-formed sentences"),
        "rules": TermSpec(0.0, 1.0, "nothing was said that costs", weight=2.0),
    }
    tools: Mapping[str, Tool] = MappingProxyType({})
    briefings: ClassVar[Mapping[str, str]]
    """What ``service`` and ``customer`` know before the first word; ``{free}`` is the fact ``free``, and
    ``{persona.patience}`` a trait of who comes."""
    words: ClassVar[Mapping[str, Sequence[str]]]
    """Messages by strategy, in which ``[slots]`` stand for values.  A message that follows several strategies has the
    first of them; the last is that of a message which follows none, and never part of the procedure."""
    patterns: ClassVar[Mapping[str, str]]
    """For each strategy that is words alone a regular expression of small letters by which it is recognised."""
    talkers: ClassVar[Mapping[str, Callable[[Any], str]]]
    """The simulated customers by name: each a function of the episode that returns the customer's next message."""
    episodes: ClassVar[type[PlainEpisode]]
    """The class of conversations."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        stated = vars(cls)
        if "strategies" not in stated:
            cls.strategies = tuple(getattr(cls, "words", ()))
        if "customers" not in stated:
            cls.customers = tuple(getattr(cls, "talkers", ()))
        if "feature_names" not in stated:
            cls.feature_names = ("turns_left", *cls.strategies[:-1])

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for tool in self.tools:
            if tool not in self.strategies[:-1]:
                raise TdGymError(f"{self.name} has no words for its tool {tool!r}; add them, before the last entry.")

    # What a scenario supplies beside what every scenario does.

    @abstractmethod
    def draw_facts(self, draws: Stream) -> dict[str, str]:
        """Return what a conversation is about: facts by name, each in words."""

    @abstractmethod
    def next_strategy(self, messages: Messages, seed: int) -> str:
        """Return what the reference agent does next, from what the service seat has read."""

    @staticmethod
    def said(messages: Messages, role: str = "assistant") -> str:
        """Return the words of one side in small letters: the service seat's own, or those of ``user``."""
        return "\n".join(message["content"] for message in messages if message["role"] == role).lower()

    # What follows from it.

    def succeeded(self, outcome: Mapping[str, Any]) -> bool:
        """Return whether the customer closed the conversation and has what it came for."""
        return bool(outcome["ended_by"] == "resolved" and outcome["served"])

    @cached_property
    def _readers(self) -> dict[str, re.Pattern[str]]:
        return {act: re.compile(pattern) for act, pattern in self.patterns.items()}

    def acts_in(self, text: str) -> set[str]:
        """Return the strategies that ``text`` follows by its words."""
        return {act for act, pattern in self._readers.items() if pattern.search(text.lower())}

    def make_episode(self, seed: int, split: str, row: int | None) -> Episode:
        """Return the conversation of ``seed``."""
        persona, facts = self.person(seed, split, row), self.draw_facts(Stream(seed, f"{self.name}/{split}"))
        return self.episodes(self, seed, split, None, PlainCase(persona, facts))

    def draft(self, messages: Messages, strategy: str, seed: int) -> str:
        """Return a message that follows ``strategy``, slots unfilled; what cannot be filled yet is the fallback's."""
        turn = sum(message["role"] == "assistant" for message in messages)
        text = choice(self.words[strategy], seed, turn, "word")
        if SLOT.search(fill_slots(text, messages, self.slot_values)):
            return choice(self.words[self.fallback_strategy], seed, turn, "word")
        return text

    def realise(self, messages: Messages, strategy: str, seed: int) -> str:
        """Return a message out of ``words`` that follows ``strategy``, slots filled."""
        return fill_slots(self.draft(messages, strategy, seed), messages, self.slot_values)

    def slot_values(self, messages: Messages) -> dict[str, str]:
        """Return the values of the slots in ``words`` from what the service seat has read, by default none."""
        return {}

    def make_customer(self, name: str) -> SeatPolicy:
        """Return the simulated customer ``name``."""
        return CustomerPolicy(self.talkers[name])

    def expert(self) -> SeatPolicy:
        """Return the agent that follows ``next_strategy``."""
        return Follower(self, self.next_strategy)

    def oracle(self) -> SeatPolicy:
        """Return the reference agent, where no other is given that knows more."""
        return self.expert()

    def demonstrator(self, seed: int) -> Demonstrator:
        """Return the reference agent."""
        return Follower(self, self.next_strategy)

    def make_floor(self, name: str) -> SeatPolicy:
        """Return the floor agent ``name``: ``random`` strategies, or the last one, whatever is said."""
        if name not in ("random", "do_nothing"):
            raise TdGymError(f"{self.name} does not say what the floor {name!r} is; override make_floor.")
        return Follower(self, self._at_random if name == "random" else self._nothing)

    def _at_random(self, messages: Messages, seed: int) -> str:
        return choice(self.strategies, seed, len(messages), "strategy")

    def _nothing(self, messages: Messages, seed: int) -> str:
        return self.strategies[-1]


class Follower(MessagePolicy):
    """A service agent that chooses strategies, and says them in its scenario's words."""

    def __init__(self, scenario: PlainScenario, choose: Choose) -> None:
        self._scenario = scenario
        self._choose = choose

    def act(self, messages: Messages, seed: int) -> str:
        """Return the next service message."""
        return self._scenario.realise(messages, self._choose(messages, seed), seed)

    def draft(self, episode: Episode) -> str:
        """Return the next service message with unfilled slots."""
        messages, seed = episode.messages("service"), episode.seed
        return self._scenario.draft(messages, self._choose(messages, seed), seed)
