"""The turn engine: a ``Scenario`` states the rules of one kind of conversation, an ``Episode`` runs one.

An episode is a pure function of its case and of the messages so far, so a snapshot is nothing but
those messages (and what simulated seats remember), and restoring is replaying.  Every view (Gym,
AEC, parallel, vector) only moves messages in and results out.
"""

from __future__ import annotations

import copy
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar, Protocol, final

import numpy as np
import numpy.typing as npt

from td_gym.errors import TdGymError, as_seed, unknown
from td_gym.protocol import MAX_CHARS, ParsedMessage, Tool, parse_message
from td_gym.turns import CustomerEffect, ServiceEffect, Turn, TurnResult, split_end_mark

SPLITS = ("train", "validation", "test")
MAX_ASIDES = 5
"""Look-ups in a row that a seat may make before it has to speak."""
_SNAPSHOT = ("scenario", "version", "case", "seed", "split", "row", "messages", "memory")


@dataclass(frozen=True, slots=True)
class CostSpec:
    """A named cost.  A budgeted one has the default ``limit`` on its mean sum per dialogue."""

    description: str
    limit: float | None = None

    @property
    def budgeted(self) -> bool:
        """Whether the cost has a limit to keep."""
        return self.limit is not None


@dataclass(frozen=True, slots=True)
class TermSpec:
    """A named turn term and its fixed analytic range."""

    low: float
    high: float
    description: str
    weight: float = 1.0
    """Its weight in a turn's score, the weighted mean of the terms."""


@dataclass(frozen=True, slots=True)
class ScaffoldTask:
    """A verifiable question about the briefing: kind ``mac`` (masked attribute) or ``pnr`` (numeric)."""

    kind: str
    name: str
    question: str
    answer: str

    @property
    def asked(self) -> str:
        """The question as it is put to the service seat, so that it is not taken for the customer's words."""
        return f"A question about your briefing, to be answered directly: {self.question}"


class SeatPolicy(Protocol):
    """A simulated occupant of a seat.  It keeps what it remembers in ``episode.memory[seat]``.

    ``reply_batch`` is asked once for all conversations that wait, so that a model server sees one
    batch.  An outage raises; it is never a message.
    """

    def reply_batch(self, episodes: Sequence[Episode]) -> list[str]:
        """Return the next message of each conversation, in order."""


class Demonstrator(SeatPolicy, Protocol):
    """A service agent whose dialogues are learnt from: what it drafts is the target, slots and all."""

    def draft(self, episode: Episode) -> str:
        """Return the next service message with unfilled slots; the environment gets it filled."""


class Episode(ABC):
    """One running conversation.

    ``turns`` counts service turns.  The customer speaks first and is the only seat that ends a
    conversation by words; a format error, a transfer and the turn limit end it too.  An aside, a
    look-up without a word, is no turn; after ``MAX_ASIDES`` in a row one more passes for silence.
    ``case`` is what the conversation is about: plain data by its method ``to_json``, or by a ``repr`` that says all.
    """

    def __init__(self, scenario: Scenario, seed: int, split: str, row: int | None, case: Any) -> None:
        self.scenario = scenario
        self.seed = as_seed(seed)
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

    # The engine.

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
        truncated = not ended_by and self.service_turns >= self.scenario.max_turns
        if not (ended_by or truncated):
            return TurnResult("customer", effect.rewards, relevance=effect.relevance)
        paid = effect.rewards
        final, costs = self._end(ended_by or "turn_limit", mark.rating if mark else None)
        rewards = {seat: paid.get(seat, 0.0) + final.get(seat, 0.0) for seat in paid.keys() | final.keys()}
        return TurnResult(
            "customer",
            rewards,
            costs,
            relevance=effect.relevance,
            terminated=bool(ended_by),
            truncated=truncated,
        )

    def _end(self, ended_by: str, rating: float | None, error: str = "") -> tuple[dict[str, float], dict[str, float]]:
        costs = dict(self.closing_costs())
        self.outcome, rewards = self.conclude(ended_by, rating)
        if error:
            self.outcome["error"] = error
        return rewards, costs

    def _record(self, turn: Turn) -> None:
        self.transcript.append(turn)
        for seat, messages in self._messages.items():
            messages += _as_messages(turn, seat)

    @final
    def messages(self, seat: str) -> list[dict[str, str]]:
        """Return the conversation as chat messages, fresh at every call.

        ``system`` is the seat's briefing, its own turns are ``assistant``, the others' ``user``; a
        tool's answer follows the turn that called it as ``user``, marked ``<tool_result>``.  Raises
        ``TdGymError`` for a seat that the scenario does not have.
        """
        known = self._messages.get(seat)
        if known is None:
            if seat not in self.scenario.seats:
                raise unknown("seat", seat, self.scenario.seats)
            known = [{"role": "system", "content": self.briefing(seat)}]
            for turn in self.transcript:
                known += _as_messages(turn, seat)
            self._messages[seat] = known
        return list(map(dict.copy, known))

    @final
    def snapshot(self) -> dict[str, Any]:
        """Return the conversation as plain data for ``Scenario.restore``; ``case`` is a checksum of its case."""
        return {
            "scenario": self.scenario.name,
            "version": self.scenario.version,
            "case": self._case_checksum(),
            "seed": self.seed,
            "split": self.split,
            "row": self.row,
            "messages": [[turn.seat, turn.text] for turn in self.transcript],
            "memory": copy.deepcopy(self.memory),
        }

    def _case_checksum(self) -> str:
        """Return a checksum of the case and of the rules it is met under; the same before and after any message."""
        if not self._checksum:
            rules = self.messages("service")[0]["content"], self.scenario.max_turns, self.scenario.max_chars
            facts = json.dumps([describe_case(self), *rules], sort_keys=True)
            self._checksum = blake2b(facts.encode(), digest_size=16).hexdigest()
        return self._checksum


def describe_case(episode: Episode) -> Any:
    """Return what is hidden from the service seat, as plain data."""
    describe = getattr(episode.case, "to_json", None)
    return describe() if describe is not None else repr(episode.case)


def ask(policy: SeatPolicy, seat: str, episodes: Sequence[Episode]) -> list[str]:
    """Return the next message of ``seat`` in each of ``episodes``, as its ``policy`` gives them.

    Raises ``TdGymError`` naming the seat for anything but one text for each.
    """
    returned: Any = policy.reply_batch(episodes)
    if isinstance(returned, str) or not isinstance(returned, Iterable):
        raise TdGymError(f"The policy of seat {seat!r} must return a list of messages, not {type(returned).__name__}.")
    replies = list(returned)
    if len(replies) != len(episodes):
        raise TdGymError(
            f"The policy of seat {seat!r} must return one message for each of {len(episodes)} conversations, "
            f"not {len(replies)}."
        )
    for reply in replies:
        if not isinstance(reply, str):
            raise TdGymError(f"The policy of seat {seat!r} must return text (str), not {type(reply).__name__}.")
    return replies


def play_on(episode: Episode, seats: Mapping[str, SeatPolicy]) -> list[TurnResult]:
    """Let ``seats``, policies by seat, speak until ``episode`` is over or it is the turn of a seat not among them.

    Returns what each message brought about.  Raises ``TdGymError`` where a policy returns anything but one text.
    """
    results = []
    while episode.outcome is None and (seat := episode.next_seat) in seats:
        (text,) = ask(seats[seat], seat, [episode])
        results.append(episode.submit(seat, text))
    return results


def _as_messages(turn: Turn, seat: str) -> tuple[dict[str, str], ...]:
    """Return a turn as ``seat`` has it in its chat: not at all, as one message, or with a tool's answer behind."""
    if turn.seat == seat:
        own = {"role": "assistant", "content": turn.text}
        if turn.tool_message:
            return own, {"role": "user", "content": f"<tool_result>{turn.tool_message}</tool_result>"}
        return (own,)
    if turn.aside:
        return ()
    return ({"role": "user", "content": turn.shown.replace("<tool_result>", "‹tool_result›")},)


class Scenario(ABC):
    """The rules of one kind of conversation; stateless once built, so many episodes share one.

    A scenario fills in all that has no value here; the conformance suite holds it to that.
    """

    name: ClassVar[str]
    """Name in the environment's id, in snapshots and in trained weights."""
    version: ClassVar[str]
    """Frozen rules and numbers; a change of either bumps it."""
    wording_version: ClassVar[str]
    """Of the texts that seats read and simulated ones say; bumped where only these change."""
    seats: ClassVar[tuple[str, ...]] = ("service", "customer")
    """Who talks: ``service`` and ``customer``."""
    costs: ClassVar[Mapping[str, CostSpec]]
    """Named costs, increments of at least 0.  ``format``, which the engine counts, is among them; exactly one is
    budgeted."""
    terms: ClassVar[Mapping[str, TermSpec]]
    """Named turn terms, four or more, finite and with ``low < high``.  Every service turn returns all of them; after a
    format error the engine gives ``zero_terms``."""
    reward_ranges: ClassVar[Mapping[str, tuple[float, float]]]
    """Range of the session reward, by seat."""
    strategies: ClassVar[tuple[str, ...]]
    """Names of what a service message may set out to do, all different.  At least one is always admissible."""
    fallback_strategy: ClassVar[str]
    """One of ``strategies``, which takes the place of a choice that the procedure does not admit."""
    populations: ClassVar[tuple[str, ...]]
    """Names of the populations of customers, the first the default."""
    customers: ClassVar[tuple[str, ...]]
    """Names of the simulated customers: the default and at least a second, independent one.  All but the first are
    kept for evaluation."""
    floors: ClassVar[tuple[str, ...]] = ("random", "do_nothing")
    """Names of the agents that show what no skill earns; ``random`` and ``do_nothing`` are among them."""
    feature_names: ClassVar[tuple[str, ...]]
    """What the numbers of ``Episode.features`` are, in order."""

    tools: Mapping[str, Tool]
    """The service seat's tools by name; none is called ``chat``."""
    max_turns: int
    """Limit on service turns."""
    max_chars: int = MAX_CHARS
    """Limit on the length of a message: a longer one is a format error of the service seat, the customer's is cut."""

    @property
    def zero_terms(self) -> dict[str, float]:
        """Every turn term at the worst end of its range."""
        return {name: spec.low for name, spec in self.terms.items()}

    @property
    def budgeted_cost(self) -> str:
        """Name of the cost that ``info["cost"]`` carries; ``TdGymError`` where not exactly one has a limit."""
        budgeted = [name for name, spec in self.costs.items() if spec.budgeted]
        if len(budgeted) != 1:
            raise TdGymError(
                f"{self.name} has {len(budgeted)} costs with a limit ({', '.join(budgeted) or 'none'}); "
                "give exactly one of its costs a limit."
            )
        return budgeted[0]

    @abstractmethod
    def begin(self, seed: int, split: str = "train", row: int | None = None) -> Episode:
        """Start a conversation: ``seed`` fixes it, ``row`` picks a row of the scenario file.

        It begins with ``seed = as_seed(seed)``, since nothing may be drawn by what is no seed.
        """

    @abstractmethod
    def admissible(self, episode: Episode) -> tuple[str, ...]:
        """Return the strategies the SOP allows the service seat now, in the order of ``strategies``."""

    @abstractmethod
    def succeeded(self, outcome: Mapping[str, Any]) -> bool:
        """Return whether a conversation with this outcome reached the service seat's goal."""

    @abstractmethod
    def realise(self, messages: Sequence[Mapping[str, str]], strategy: str, seed: int) -> str:
        """Return a service message in template words that follows ``strategy``, an admissible one or the fallback.

        It speaks of what the service seat has read in ``messages``; ``seed`` picks the wording.  Where there is nothing
        to tell or ask it says something harmless, which may be read as another strategy.
        """

    @abstractmethod
    def scaffold_tasks(self, episode: Episode) -> list[ScaffoldTask]:
        """Return verifiable questions whose answers stand in the service seat's briefing."""

    @abstractmethod
    def customer(self, name: str) -> SeatPolicy:
        """Return the simulated customer called ``name``; ``TdGymError`` when unknown."""

    @final
    def training_customer(self, name: str = "") -> SeatPolicy:
        """Return the simulated customer to train with, by default the first.

        Raises ``TdGymError`` for an unknown one, and for one kept for evaluation: what is reached with it shows
        what an agent has learnt beyond the customer it knows.
        """
        if name in self.customers[1:]:
            raise TdGymError(f"Customer {name!r} is kept for evaluation; train with {self.customers[0]!r}.")
        return self.customer(name or self.customers[0])

    @abstractmethod
    def expert(self) -> SeatPolicy:
        """Return the scripted reference agent for the service seat; it reads ``messages`` only."""

    @abstractmethod
    def oracle(self) -> SeatPolicy:
        """Return the privileged agent that knows what is hidden; an upper reference, never a baseline."""

    @abstractmethod
    def floor(self, name: str) -> SeatPolicy:
        """Return the floor agent called ``name``, one of ``floors``."""

    def references(self) -> Mapping[str, SeatPolicy]:
        """Return further scripted agents that a calibration table shows, by name."""
        return {}

    def demonstrator(self, seed: int) -> Demonstrator:
        """Return the agent of mixed skill whose dialogues a model is first trained on; ``seed`` fixes its habits.

        Raises ``TdGymError`` where there is none to learn from.
        """
        raise TdGymError(f"{self.name} has no demonstrator, so no scripted dialogues to learn from.")

    def recorded(self, split: str) -> Scenario:
        """Return this scenario with recorded customers and the recorded desk as its demonstrator, to learn from.

        Raises ``TdGymError`` where nothing of ``split`` was recorded.
        """
        raise TdGymError(f"{self.name} has no recorded dialogues.")

    @abstractmethod
    def slot_values(self, messages: Sequence[Mapping[str, str]]) -> dict[str, str]:
        """Return what the service seat can fill in for each slot, from what it has read; names without brackets."""

    @final
    def restore(self, snapshot: Mapping[str, Any]) -> Episode:
        """Return a conversation that continues from ``snapshot``.

        Raises ``TdGymError`` when it is another scenario's or version's, when other options or data make another case
        of it, and when it is not whole.
        """
        if missing := [key for key in _SNAPSHOT if key not in snapshot]:
            raise TdGymError(f"This snapshot lacks {', '.join(missing)}; pass what Episode.snapshot() returned.")
        if (snapshot["scenario"], snapshot["version"]) != (self.name, self.version):
            raise TdGymError(
                f"This snapshot is of {snapshot['scenario']} {snapshot['version']}; "
                f"restore it with that scenario, not {self.name} {self.version}."
            )
        episode = self.begin(snapshot["seed"], snapshot["split"], snapshot["row"])
        if episode._case_checksum() != snapshot["case"]:
            raise TdGymError(
                f"This snapshot is of another case than seed {episode.seed} is here; restore it with the options and "
                f"the data with which its {self.name} was made."
            )
        for seat, text in snapshot["messages"]:
            episode.submit(seat, text)
        episode.memory = copy.deepcopy(snapshot["memory"])
        return episode
