"""The turn engine: an ``Episode`` runs one conversation under the rules of its ``Scenario``.

An episode is a pure function of its case and of the messages so far, so a snapshot is nothing but
those messages (and what simulated seats remember), and restoring is replaying.  Every view (Gym,
AEC, parallel, vector) only moves messages in and results out.
"""

from __future__ import annotations

import copy
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, final

import numpy as np
import numpy.typing as npt

from td_gym.errors import TdGymError
from td_gym.protocol import ParsedMessage, parse_message
from td_gym.turns import CustomerEffect, ServiceEffect, Turn, TurnResult, split_end_mark

if TYPE_CHECKING:
    from td_gym.scenario import Scenario

MAX_ASIDES = 5
"""Look-ups in a row that a seat may make before it has to speak."""


class Episode(ABC):
    """One running conversation.

    ``turns`` counts service turns.  The customer speaks first and is the only seat that ends a
    conversation by words; a format error, a transfer and the turn limit end it too.  An aside, a
    look-up without a word, is no turn; after ``MAX_ASIDES`` in a row one more passes for silence.
    ``case`` is what the conversation is about: plain data by its method ``to_json``, or by a ``repr`` that says all.
    """

    def __init__(self, scenario: Scenario, seed: int, split: str, row: int | None, case: Any) -> None:
        self.scenario = scenario
        self.seed = seed
        self.split = split
        self.row = row
        self.case = case
        self.transcript: list[Turn] = []
        self.service_turns = 0
        self.next_seat = "customer"
        self.outcome: dict[str, Any] | None = None
        self.memory: dict[str, dict[str, Any]] = {}
        """What simulated seats remember; plain data, part of the snapshot."""
        self._ending = ""
        self._asides = 0
        """Look-ups since another seat last heard something."""
        self._messages: dict[str, list[dict[str, str]]] = {}
        self._checksum = ""

    # What a scenario supplies.

    @abstractmethod
    def briefing(self, seat: str) -> str:
        """Return all that ``seat`` knows before the first word."""

    @abstractmethod
    def features(self, seat: str) -> npt.NDArray[np.float32]:
        """Return the seat's screen as numbers in [0, 1], shape ``(len(scenario.feature_names),)``."""

    @abstractmethod
    def hear_service(self, message: ParsedMessage) -> ServiceEffect:
        """Apply a well-formed service message to the scenario's state.

        The effect's ``terms`` hold a value for each of the scenario's, whatever the message; its ``costs`` only what
        has been run up.
        """

    @abstractmethod
    def hear_customer(self, shown: str) -> CustomerEffect:
        """Apply a customer message to the scenario's state."""

    @abstractmethod
    def conclude(self, ended_by: str, rating: float | None) -> tuple[dict[str, Any], dict[str, float]]:
        """Return the outcome (plain JSON) and the final session rewards by seat.

        The outcome holds ``ended_by`` as given (``resolved``, ``hung_up``, ``transferred`` or another word of a
        ``ServiceEffect``, ``turn_limit``, ``format_error``) and ``turns``, the ``service_turns``.  ``rating`` is the
        customer's own closing mark, ``None`` where it gave none.  After a format error the engine adds ``error``,
        what was wrong with the message.
        """

    def closing_costs(self) -> Mapping[str, float]:
        """Return cost increments that are known only at the end."""
        return {}

    def sees(self, seat: str) -> str:
        """Return what the scenario lets ``seat`` see for itself, whatever is said; empty for nothing.

        A simulated customer that goes by words alone, a language model, is told it beside every message.
        """
        return ""

    # The engine.

    @property
    def truncated(self) -> bool:
        """Whether the conversation was cut off by the limit on service turns."""
        return self.outcome is not None and self.outcome["ended_by"] == "turn_limit"

    @final
    def submit(self, seat: str, text: str) -> TurnResult:
        """Take one message of ``seat`` and say what it brought about.

        Raises ``TdGymError`` when the conversation is over or it is another seat's turn; no text
        ever raises.
        """
        if self.outcome is not None:
            raise TdGymError("This conversation is over; call reset() before the next message.")
        if seat != self.next_seat:
            raise TdGymError(f"It is the turn of {self.next_seat!r}, not of {seat!r}.")
        if seat == "customer":
            return self._submit_customer(text)
        return self._submit_service(text)

    def _submit_service(self, text: str) -> TurnResult:
        message = parse_message(text, self.scenario.tools, self.scenario.max_chars)
        aside = self._is_aside(message)
        self._asides = self._asides + 1 if aside else 0
        self.service_turns += not aside
        if message.error:
            self._record(Turn("service", text, ""))
            rewards, costs = self._end("format_error", None, message.error)
            return TurnResult("service", rewards, {**costs, "format": 1.0}, self.scenario.zero_terms, terminated=True)
        effect = self.hear_service(message)
        self._record(
            Turn(
                "service",
                text,
                message.response,
                message.action,
                message.arguments,
                effect.tool_message,
                effect.acts,
                effect.strategy,
                aside,
            )
        )
        self._ending = effect.ended_by
        if not aside:
            self.next_seat = "customer"
        return TurnResult("service", effect.rewards, effect.costs, effect.terms, effect.strategy)

    def _is_aside(self, message: ParsedMessage) -> bool:
        if not message.action or message.response or self._asides >= MAX_ASIDES:
            return False
        return self.scenario.tools[message.action].looks_up

    def _submit_customer(self, text: str) -> TurnResult:
        shown, mark = split_end_mark(text, self.scenario.max_chars)
        if not self.service_turns:
            mark = None  # nobody has served yet, so there is nothing to rate
        effect = self.hear_customer(shown)
        self._record(Turn("customer", text, shown, acts=effect.acts))
        self.next_seat = "service"
        ended_by = self._ending
        if not ended_by and mark is not None:
            ended_by = "hung_up" if mark.hung_up else "resolved"
        cut_off = not ended_by and self.service_turns >= self.scenario.max_turns
        if not (ended_by or cut_off):
            return TurnResult("customer", effect.rewards, relevance=effect.relevance)
        rewards, costs = self._end(ended_by or "turn_limit", mark.rating if mark else None)
        for seat, paid in effect.rewards.items():
            rewards[seat] = rewards.get(seat, 0.0) + paid
        return TurnResult(
            "customer",
            rewards,
            costs,
            relevance=effect.relevance,
            terminated=bool(ended_by),
            truncated=cut_off,
        )

    def _end(self, ended_by: str, rating: float | None, error: str = "") -> tuple[dict[str, float], dict[str, float]]:
        costs = dict(self.closing_costs())
        self.outcome, rewards = self.conclude(ended_by, rating)
        if error:
            self.outcome["error"] = error
        return dict(rewards), costs

    def _record(self, turn: Turn) -> None:
        self.transcript.append(turn)
        for seat, messages in self._messages.items():
            messages += as_messages(turn, seat)

    @final
    def messages(self, seat: str) -> list[dict[str, str]]:
        """Return the conversation as chat messages, fresh at every call.

        ``system`` is the seat's briefing, its own turns are ``assistant``, the others' ``user``; a
        tool's answer follows the turn that called it as ``user``, marked ``<tool_result>``.  Raises
        ``TdGymError`` for a seat that the scenario does not have.
        """
        known = self._messages.get(seat)
        if known is None:
            self.scenario.check_seat(seat)
            known = [{"role": "system", "content": self.briefing(seat)}]
            for turn in self.transcript:
                known += as_messages(turn, seat)
            self._messages[seat] = known
        return list(map(dict.copy, known))

    @final
    def snapshot(self) -> dict[str, Any]:
        """Return the conversation as plain data for ``Scenario.restore``; ``case`` is a checksum of its case."""
        return {
            "scenario": self.scenario.name,
            "version": self.scenario.version,
            "case": self.case_checksum(),
            "seed": self.seed,
            "split": self.split,
            "row": self.row,
            "messages": [[turn.seat, turn.text] for turn in self.transcript],
            "memory": copy.deepcopy(self.memory),
        }

    def case_checksum(self) -> str:
        """Return a checksum of the case and of the rules and data it is met under, whatever has been said."""
        if not self._checksum:
            rules = self.messages("service")[0]["content"], self.scenario.max_turns, self.scenario.max_chars
            facts = json.dumps([describe_case(self), *rules, self.scenario.data_checksum()], sort_keys=True)
            self._checksum = blake2b(facts.encode(), digest_size=16).hexdigest()
        return self._checksum


def describe_case(episode: Episode) -> Any:
    """Return what is hidden from the service seat, as plain data."""
    describe = getattr(episode.case, "to_json", None)
    return describe() if describe is not None else repr(episode.case)


def as_messages(turn: Turn, seat: str) -> tuple[dict[str, str], ...]:
    """Return a turn as ``seat`` has it in its chat: not at all, as one message, or with a tool's answer behind."""
    if turn.seat == seat:
        own = {"role": "assistant", "content": turn.text}
        if turn.tool_message:
            return own, {"role": "user", "content": f"<tool_result>{turn.tool_message}</tool_result>"}
        return (own,)
    if turn.aside:
        return ()
    return ({"role": "user", "content": turn.shown.replace("<tool_result>", "‹tool_result›")},)
