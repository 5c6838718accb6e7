"""MultiWOZ: customers look for places, trains and taxis in a city, and a visitors' desk serves them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from td_gym.draws import choice
from td_gym.episode import Episode
from td_gym.errors import TdGymError
from td_gym.protocol import MAX_CHARS, Messages, Tool
from td_gym.scenario import FORMAT_COST, CostSpec, CustomerCheck, ScaffoldTask, Scenario, TermSpec
from td_gym.scenarios.desk import TRANSFER_COST, Briefing, Desk, Procedure
from td_gym.scenarios.multiwoz import sop
from td_gym.scenarios.multiwoz.briefing import DeskTexts
from td_gym.scenarios.multiwoz.cases import draw_case, load_city
from td_gym.scenarios.multiwoz.episode import CUSTOMER_ACTS, MultiWOZEpisode
from td_gym.scenarios.multiwoz.files import load_dialogues
from td_gym.scenarios.multiwoz.schema import DOMAINS
from td_gym.scenarios.multiwoz.service_desk import TOOLS
from td_gym.scenarios.multiwoz.truth import CHECKS
from td_gym.scenarios.scripted import CustomerPolicy
from td_gym.seats import Demonstrator, SeatPolicy

_OF_DOMAIN = ("active", "constraints", "asked", "looked_up", "found", "offered", "wants_booking", "booked")


class MultiWOZ(Desk):
    """The rules of MultiWOZ.

    Success is session reward 1, else 0: in every domain what was offered and booked satisfies the goal, every
    question is answered rightly, and the references are passed on.  The outcome also tells ``inform``, ``book`` (None
    where nothing was to be booked) and ``complete``, success as far as the customer can know.

    ``data_dir``: folder with MultiWOZ's data, for its database and goals; without it there is an invented city. Where
    the folder lacks the goals of ``train``, they are made up over its database.
    ``population``: ``easy`` or ``hard``, whose styles of writing customers have.  The other options are those of a
    ``Desk``.
    """

    name: ClassVar[str] = "MultiWOZ"
    version: ClassVar[str] = "1.1"
    wording_version: ClassVar[str] = "1"
    desk_tools: ClassVar[Mapping[str, Tool]] = TOOLS
    texts: Briefing
    procedure: ClassVar[Procedure] = sop
    costs: ClassVar[Mapping[str, CostSpec]] = {
        "db_queries": CostSpec("look-ups, as a share of twenty and at most 1 a dialogue", limit=0.25),
        "ungrounded": CostSpec("messages that offer or state what is not in the database"),
        "bad_booking": CostSpec("bookings refused for a wrong slot or value, a missing detail, or no offer"),
        "format": FORMAT_COST,
        "transfer": TRANSFER_COST,
    }
    terms: ClassVar[Mapping[str, TermSpec]] = {
        "repetition": TermSpec(0.0, 1.0, "share of the words that the agent has not said before"),
        "grounding": TermSpec(0.0, 1.0, "share of the statements that the database bears out"),
        "slot_coverage": TermSpec(0.0, 1.0, "share of open questions answered, or of constraints in a look-up"),
        "progress": TermSpec(0.0, 1.0, "the move is admissible now, and new"),
    }
    reward_ranges: ClassVar[Mapping[str, tuple[float, float]]] = {"service": (0.0, 1.0), "customer": (-1.0, 1.0)}
    strategies: ClassVar[tuple[str, ...]] = sop.STRATEGIES
    fallback_strategy: ClassVar[str] = sop.FALLBACK
    customer_checks: ClassVar[Mapping[str, CustomerCheck]] = CHECKS
    populations: ClassVar[tuple[str, ...]] = ("easy", "hard")
    customers: ClassVar[tuple[str, ...]] = ("agenda", "checklist")
    feature_names: ClassVar[tuple[str, ...]] = (
        "turns_left",
        "queries",
        "opened",
        "booking_offered",
        "slot_requested",
        *(f"{domain}_{name}" for domain in DOMAINS for name in _OF_DOMAIN),
        *(f"customer_{act}" for act in CUSTOMER_ACTS),
    )

    def __init__(
        self,
        data_dir: str | Path | None = None,
        population: str = "",
        transfer: bool = False,
        disclosure: str = "honest",
        max_turns: int = 20,
        max_chars: int = MAX_CHARS,
    ) -> None:
        if not isinstance(data_dir, str | Path | None):
            raise TdGymError(f"data_dir must be the path of a folder, not {data_dir!r}.")
        self.city = load_city(data_dir)
        self.database = self.city.database
        self.texts = DeskTexts(self.database)
        super().__init__(population, transfer, disclosure, max_turns, max_chars)

    def make_episode(self, seed: int, split: str, row: int | None) -> MultiWOZEpisode:
        """Start conversation ``seed`` on a published goal of the split, number ``row`` or one drawn, if it has any."""
        persona = self.person(seed, split, None)
        goal, row = self.city.goal(seed, split, row)
        return MultiWOZEpisode(self, seed, split, row, draw_case(seed, persona, goal))

    def data_checksum(self) -> str:
        """Return a checksum of the database."""
        return self.database.checksum

    def succeeded(self, outcome: Mapping[str, Any]) -> bool:
        """Return whether all was offered, told and booked that the customer wanted, and rightly."""
        return outcome["success"] is True

    def realise(self, messages: Messages, strategy: str, seed: int) -> str:
        """Return a service message in template words that follows ``strategy``."""
        from td_gym.scenarios.multiwoz.realise import realise

        return realise(messages, self.database, strategy, seed)

    def scaffold_tasks(self, episode: Episode) -> list[ScaffoldTask]:
        """Return questions on the customer, the tables and, once it has come up, what the customer wants."""
        assert isinstance(episode, MultiWOZEpisode)
        case = episode.case
        domain = choice(tuple(self.database.tables), episode.seed, "scaffold")
        entries = str(len(self.database.tables[domain]))
        tasks = [
            ScaffoldTask("mac", "customer", "What is the customer's name?", case.persona.identity.name),
            ScaffoldTask("mac", "day", "Which day is it today?", case.day),
            ScaffoldTask("pnr", "entries", f"How many entries does the table {domain} have?", entries),
        ]
        state = episode.progress.state
        for slot, value in state.need(state.domain).sought(state.domain).items() if state.domain else ():
            tasks.append(ScaffoldTask("mac", slot, f"Which {slot} of {state.domain} does the customer want?", value))
        if (count := episode.progress.found.get(state.domain)) is not None:
            asked = f"How many entries of {state.domain} did the last look-up find?"
            tasks.append(ScaffoldTask("pnr", "found", asked, str(count)))
        return tasks

    def recorded(self, split: str) -> Scenario:
        """Return the dialogues of ``split`` in ``data_dir`` as a scenario with this one's options.

        Its limit on service turns is its own: no recording is cut off.
        """
        from td_gym.scenarios.multiwoz.recorded import RecordedCustomers

        if not self.city.folder:
            raise TdGymError("An invented city has no recorded dialogues; pass the folder of MultiWOZ's data.")
        recordings, population = load_dialogues(Path(self.city.folder), split), self.population.name
        return RecordedCustomers(
            self.city.folder, recordings, population, self.transfer, self.disclosure, self.max_chars
        )

    def make_customer(self, name: str) -> SeatPolicy:
        """Return the simulated customer ``agenda`` or ``checklist``."""
        if name == "checklist":
            from td_gym.scenarios.multiwoz.customer_b import reply
        else:
            from td_gym.scenarios.multiwoz.customer import reply
        return CustomerPolicy(reply)

    def expert(self) -> SeatPolicy:
        """Return the rule agent."""
        from td_gym.scenarios.multiwoz.expert import RuleAgent

        return RuleAgent(self.database)

    def oracle(self) -> SeatPolicy:
        """Return the rule agent that knows the goal."""
        from td_gym.scenarios.multiwoz.expert import Oracle

        return Oracle(self.database)

    def references(self) -> Mapping[str, SeatPolicy]:
        """Return the rule agent that asks for all before it offers, that asks for nothing, and that looks up always."""
        from td_gym.scenarios.multiwoz.expert import RuleAgent
        from td_gym.scenarios.multiwoz.planner import Habits

        return {
            "asks_first": RuleAgent(self.database, Habits(offers_from=1)),
            "offers_first": RuleAgent(self.database, Habits(offers_from=10_000)),
            "looks_up_always": RuleAgent(self.database, Habits(looks_again=True)),
        }

    def demonstrator(self, seed: int) -> Demonstrator:
        """Return the agent of mixed skill whose dialogues the tiny model is first trained on."""
        from td_gym.scenarios.multiwoz.expert import Demonstrator

        return Demonstrator(self.database, seed)

    def make_floor(self, name: str) -> SeatPolicy:
        """Return a floor agent."""
        from td_gym.scenarios.multiwoz.expert import Floor

        return Floor(self.database, name)
