"""What a ``Scenario`` states: the rules of one kind of conversation, its seats, costs, terms and agents."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, final

from personas.checks import PersonaError
from personas.population import Population
from td_gym.episode import Episode
from td_gym.errors import TdGymError, as_count, as_index, as_seed, unknown
from td_gym.json_data import as_list, as_object
from td_gym.protocol import MAX_CHARS, Tool, describe_format
from td_gym.seats import Demonstrator, SeatPolicy

if TYPE_CHECKING:
    from td_gym.llm.models import Models

SPLITS = ("train", "validation", "test")
LLM = "llm:"
"""What the names of customers begin with that a language model plays; ``MODEL@URL`` follows."""
CustomerCheck = Callable[[Any], str | None]
"""Given a conversation right after a message of the customer, says in a few words what is wrong with that message;
empty for nothing, ``None`` where it cannot be told of this customer."""
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


FORMAT_COST = CostSpec("a message that is no valid message (0/1 a dialogue)")
"""The cost ``format``, which every scenario has and the engine counts."""


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


class People(Protocol):
    """A population: the customer of every conversation, by seed and split."""

    @property
    def name(self) -> str:
        """Its name among the scenario's ``populations``."""

    def sample(self, seed: int, split: str) -> Any:
        """Return the customer of ``seed`` in ``split``; PersonaError for a bad seed or split."""


class Scenario(ABC):
    """The rules of one kind of conversation; stateless once built, so many episodes share one.

    A scenario fills in all that has no value here; the conformance suite holds it to that.  The arguments are options
    that all of them have: ``population``, one of ``populations``, by default the first; ``max_turns``, the limit on
    service turns; ``max_chars``, the limit on the length of a message.  Raises ``TdGymError`` for a bad value.
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
    populations: ClassVar[tuple[str, ...]] = ("hard", "easy")
    """Names of the populations of customers, the first the default."""
    customers: ClassVar[tuple[str, ...]]
    """Names of the simulated customers: the default and at least a second, independent one.  All but the first are
    kept for evaluation."""
    floors: ClassVar[tuple[str, ...]] = ("random", "do_nothing")
    """Names of the agents that show what no skill earns; ``random`` and ``do_nothing`` are among them."""
    feature_names: ClassVar[tuple[str, ...]]
    """What the numbers of ``Episode.features`` are, in order."""

    customer_checks: ClassVar[Mapping[str, CustomerCheck]] = {}
    """What can be told of how true a customer is to its case, by the fault that is found; for audits alone."""

    tools: Mapping[str, Tool]
    """The service seat's tools by name; none is called ``chat``."""
    max_turns: int
    """Limit on service turns."""
    max_chars: int = MAX_CHARS
    """Limit on the length of a message: a longer one is a format error of the service seat, the customer's is cut."""

    def __init__(self, population: str = "", max_turns: int = 15, max_chars: int = MAX_CHARS) -> None:
        name = population or self.populations[0]
        if name not in self.populations:
            raise unknown("population", name, self.populations)
        try:
            self.population = self.people(name)
        except PersonaError as error:
            raise TdGymError(f"{self.name}: {error} For people of its own, override people.") from error
        self.max_turns = as_count("max_turns", max_turns)
        self.max_chars = as_count("max_chars", max_chars)

    @property
    def zero_terms(self) -> dict[str, float]:
        """Every turn term at the worst end of its range."""
        return {name: spec.low for name, spec in self.terms.items()}

    @property
    def message_format(self) -> str:
        """How the service seat writes a message, and its tools, in words for its briefing."""
        return describe_format(self.tools)

    @cached_property
    def budgeted_cost(self) -> str:
        """Name of the cost that ``info["cost"]`` carries; ``TdGymError`` where not exactly one has a limit."""
        budgeted = [name for name, spec in self.costs.items() if spec.budgeted]
        if len(budgeted) != 1:
            raise TdGymError(
                f"{self.name} has {len(budgeted)} costs with a limit ({', '.join(budgeted) or 'none'}); "
                "give exactly one of its costs a limit."
            )
        return budgeted[0]

    @final
    def check_seat(self, seat: str) -> None:
        """Raise ``TdGymError`` for a seat that the scenario does not have."""
        if seat not in self.seats:
            raise unknown("seat", seat, self.seats)

    @final
    def begin(self, seed: int, split: str = "train", row: int | None = None) -> Episode:
        """Start a conversation: ``seed`` fixes it, ``row`` picks a row of the scenario file.

        Raises ``TdGymError`` for what is no seed, since nothing may be drawn by it, and for a row that is not there.
        """
        if row is not None and (number := as_index(row)) is None:
            raise TdGymError(f"A row of the scenario file is named by its number, not {row!r}.")
        return self.make_episode(as_seed(seed), split, None if row is None else number)

    def data_checksum(self) -> str:
        """Return a checksum of the data beside its case that a conversation depends on, empty where there is none."""
        return ""

    def people(self, population: str) -> People:
        """Return the population of this name: of personas, where a scenario has no people of its own."""
        return Population.load(population)

    def person(self, seed: int, split: str, row: int | None) -> Any:
        """Return the customer of a conversation without a scenario file; ``TdGymError`` for a row, or a bad seed."""
        if row is not None:
            raise TdGymError(
                "There is no scenario file to pick a row from; leave the row out, or pass scenarios=FILE where "
                "the scenario takes one."
            )
        try:
            return self.population.sample(seed, split)
        except PersonaError as error:
            raise TdGymError(str(error)) from error

    @abstractmethod
    def make_episode(self, seed: int, split: str, row: int | None) -> Episode:
        """Return the conversation that ``begin`` starts, before the first word.

        The customer is that of ``person``, or of a row of the scenario file.
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

    @final
    def customer(self, name: str = "", models: Models | None = None) -> SeatPolicy:
        """Return the simulated customer called ``name``, or for ``llm:MODEL@URL`` one that a language model plays.

        By default it is the first.  One that a model plays is asked through ``models``, by default through servers of
        its own.  Raises ``TdGymError`` for any other name, and where the extra ``llm`` is missing.
        """
        self.check_customer(name)
        if not name.startswith(LLM):
            return self.make_customer(name or self.customers[0])
        from td_gym.llm.customer import LLMCustomer
        from td_gym.llm.models import Models

        return LLMCustomer((models or Models()).client(name.removeprefix(LLM)))

    @final
    def check_customer(self, name: str = "", training: bool = False) -> None:
        """Raise ``TdGymError`` for a name that ``customer`` does not take; no server is opened for that.

        With ``training`` also for a customer that is kept for evaluation: what is reached with it shows what an agent
        has learnt beyond the customer it knows.
        """
        if name.startswith(LLM):
            from td_gym.llm.endpoint import Endpoint

            Endpoint.parse(name.removeprefix(LLM))
        elif name not in ("", *self.customers):
            raise unknown("customer", name, (*self.customers, f"{LLM}MODEL@URL"))
        elif training and name in self.customers[1:]:
            raise TdGymError(f"Customer {name!r} is kept for evaluation; train with {self.customers[0]!r}.")

    @abstractmethod
    def make_customer(self, name: str) -> SeatPolicy:
        """Return the simulated customer ``name``, one of ``customers``."""

    @final
    def training_customer(self, name: str = "", models: Models | None = None) -> SeatPolicy:
        """Return the simulated customer to train with, by default the first; see ``customer``, ``check_customer``."""
        self.check_customer(name, training=True)
        return self.customer(name, models)

    @abstractmethod
    def expert(self) -> SeatPolicy:
        """Return the scripted reference agent for the service seat; it reads ``messages`` only."""

    @abstractmethod
    def oracle(self) -> SeatPolicy:
        """Return the privileged agent that knows what is hidden; an upper reference, never a baseline."""

    @final
    def floor(self, name: str) -> SeatPolicy:
        """Return the floor agent called ``name``; ``TdGymError`` when unknown."""
        if name not in self.floors:
            raise unknown("floor", name, self.floors)
        return self.make_floor(name)

    @abstractmethod
    def make_floor(self, name: str) -> SeatPolicy:
        """Return the floor agent ``name``, one of ``floors``."""

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
        if episode.case_checksum() != snapshot["case"]:
            raise TdGymError(
                f"This snapshot is of another case than seed {episode.seed} is here; restore it with the options and "
                f"the data with which its {self.name} was made."
            )
        for message in as_list(snapshot["messages"], "The messages of a snapshot"):
            match message:
                case [str() as seat, str() as text]:
                    episode.submit(seat, text)
                case _:
                    raise TdGymError(
                        f"A snapshot's messages are pairs of seat and text, not {message!r}; "
                        "pass what Episode.snapshot() returned."
                    )
        memory = as_object(snapshot["memory"], "The memory of a snapshot")
        for seat, kept in memory.items():
            as_object(kept, f"The memory of a snapshot's {seat}")
        episode.memory = copy.deepcopy(memory)
        return episode
