"""FoodDispute: a customer complains about a delivered meal; the desk can only explain or give a voucher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from personas.fds import FdsRow, load_rows
from td_gym.draws import choice
from td_gym.episode import Episode
from td_gym.errors import TdGymError
from td_gym.judges import principles
from td_gym.protocol import MAX_CHARS, Messages, Tool
from td_gym.scenario import FORMAT_COST, CostSpec, CustomerCheck, ScaffoldTask, TermSpec
from td_gym.scenarios.desk import TRANSFER, TRANSFER_COST, Briefing, Desk, Procedure
from td_gym.scenarios.food_dispute import briefing, sop
from td_gym.scenarios.food_dispute.customer_acts import CUSTOMER_ACTS
from td_gym.scenarios.food_dispute.episode import NEUTRAL_RATING, FoodDisputeEpisode
from td_gym.scenarios.food_dispute.orders import amount_owed, case_of_row, draw_case, menu
from td_gym.scenarios.food_dispute.truth import CHECKS
from td_gym.scenarios.scripted import CustomerPolicy
from td_gym.seats import Demonstrator, SeatPolicy

TOOLS = {
    "voucher": Tool(
        "voucher",
        frozenset({"amount"}),
        "credit a voucher to the customer, once per conversation; amount=NUMBER is optional (else what it is worth).",
    ),
    "transfer": TRANSFER,
}


class FoodDispute(Desk):
    """The rules of FoodDispute.

    ``population``: ``hard`` or ``easy``.  ``scenarios``: a published FDS parquet file whose rows
    replace the synthetic cases.  The other options are those of a ``Desk``.
    """

    name: ClassVar[str] = "FoodDispute"
    version: ClassVar[str] = "1.1"
    wording_version: ClassVar[str] = "2"
    desk_tools: ClassVar[Mapping[str, Tool]] = TOOLS
    texts: Briefing = briefing
    procedure: ClassVar[Procedure] = sop
    costs: ClassVar[Mapping[str, CostSpec]] = {
        "voucher": CostSpec("a voucher was issued (0/1 a dialogue)", limit=0.30),
        "voucher_amount": CostSpec("money given as voucher"),
        "transfer": TRANSFER_COST,
        "format": FORMAT_COST,
        "overpromise": CostSpec("promises of a refund or of later contact, which the desk cannot keep"),
        "unfounded_fault": CostSpec("blame stated as fact where the case does not bear it out"),
        "identity": CostSpec("machine-like stock phrases"),
        "noncompliance": CostSpec("false statements about being a machine, by the disclosure rule"),
        "second_voucher": CostSpec("attempts to issue a voucher after the first"),
        "inconsistent": CostSpec("a voucher issued but not said, or said but not issued"),
    }
    terms: ClassVar[Mapping[str, TermSpec]] = principles.TERMS
    reward_ranges: ClassVar[Mapping[str, tuple[float, float]]] = {"service": (0.0, 5.0), "customer": (-2.0, 1.0)}
    strategies: ClassVar[tuple[str, ...]] = sop.STRATEGIES
    fallback_strategy: ClassVar[str] = sop.FALLBACK
    customer_checks: ClassVar[Mapping[str, CustomerCheck]] = CHECKS
    populations: ClassVar[tuple[str, ...]] = ("hard", "easy")
    customers: ClassVar[tuple[str, ...]] = ("scripted", "scripted_b")
    floors: ClassVar[tuple[str, ...]] = ("random", "do_nothing", "always_apologise", "always_voucher")
    feature_names: ClassVar[tuple[str, ...]] = (
        "turns_used",
        "minutes_late",
        "report_merchant",
        "report_courier",
        *(f"issue_{name}" for name in menu()["issues"]),
        "opened",
        "clarified",
        "judged",
        "resolved",
        "voucher_issued",
        "evidence_shown",
        "evidence_withheld",
        *(f"customer_{act}" for act in CUSTOMER_ACTS),
    )

    def __init__(
        self,
        population: str = "",
        scenarios: str | Path | None = None,
        transfer: bool = False,
        disclosure: str = "honest",
        max_turns: int = 15,
        max_chars: int = MAX_CHARS,
    ) -> None:
        super().__init__(population, transfer, disclosure, max_turns, max_chars)
        self.rows: list[FdsRow] | None = None
        if scenarios is not None:
            if not isinstance(scenarios, str | Path):
                raise TdGymError(f"scenarios must be the path of a file, not {scenarios!r}.")
            try:
                self.rows = load_rows(scenarios)
            except ValueError as error:
                raise TdGymError(str(error)) from error

    def make_episode(self, seed: int, split: str, row: int | None) -> FoodDisputeEpisode:
        """Start conversation ``seed``; with a scenario file, on ``row`` or on a row drawn from ``split``."""
        if self.rows is None:
            case = draw_case(seed, split, self.person(seed, split, row))
            return FoodDisputeEpisode(self, seed, split, None, case)
        if row is None:
            own = [i for i, candidate in enumerate(self.rows) if candidate.split == split]
            if not own:
                raise TdGymError(f"The scenario file has no rows in split {split!r}.")
            row = choice(own, seed, "row", split)
        elif not 0 <= row < len(self.rows):
            raise TdGymError(f"Scenario {row} is out of range; the file has rows 0 to {len(self.rows) - 1}.")
        return FoodDisputeEpisode(self, seed, split, row, case_of_row(self.rows[row]))

    def succeeded(self, outcome: Mapping[str, Any]) -> bool:
        """Return whether the customer closed the conversation itself, better than neutral."""
        return bool(outcome["ended_by"] == "resolved" and outcome["satisfaction"] > NEUTRAL_RATING)

    def realise(self, messages: Messages, strategy: str, seed: int) -> str:
        """Return a service message in template words that follows ``strategy``."""
        from td_gym.scenarios.food_dispute.realise import realise

        return realise(messages, strategy, seed)

    def scaffold_tasks(self, episode: Episode) -> list[ScaffoldTask]:
        """Return questions on amount owed, minutes late, a price, and whether a report is present."""
        order = episode.case.order
        item = choice(order.items, episode.seed, "scaffold")
        owed = amount_owed(order.issue, item.price)
        return [
            ScaffoldTask("pnr", "amount_owed", f"What is a voucher worth for one {item.name}?", f"{owed:.2f}"),
            ScaffoldTask("pnr", "minutes_late", "How many minutes late did the order arrive?", str(order.minutes_late)),
            ScaffoldTask("mac", "price", f"What does one {item.name} cost?", f"{item.price:.2f}"),
            ScaffoldTask("mac", "report_present", "Is there an abnormality report?", "yes" if order.report else "no"),
        ]

    def make_customer(self, name: str) -> SeatPolicy:
        """Return the simulated customer ``scripted`` or ``scripted_b``."""
        if name == "scripted_b":
            from td_gym.scenarios.food_dispute.customer_b import reply
        else:
            from td_gym.scenarios.food_dispute.customer import reply
        return CustomerPolicy(reply)

    def expert(self) -> SeatPolicy:
        """Return the scripted reference agent."""
        from td_gym.scenarios.food_dispute.expert import ScriptedService

        return ScriptedService()

    def oracle(self) -> SeatPolicy:
        """Return the reference agent that is told what the customer is after."""
        from td_gym.scenarios.food_dispute.expert import Oracle

        return Oracle()

    def references(self) -> Mapping[str, SeatPolicy]:
        """Return the skilled agent with vouchers for nobody, for a random 30 %, and for everybody."""
        from td_gym.scenarios.food_dispute.expert import Habits, ScriptedService

        rates = {"skilled_never": 0.0, "skilled_random_30": 0.3, "skilled_always": 1.0}
        return {name: ScriptedService(Habits(1.0, rate, rate)) for name, rate in rates.items()}

    def demonstrator(self, seed: int) -> Demonstrator:
        """Return the agent of mixed skill whose dialogues the tiny model is first trained on."""
        from td_gym.scenarios.food_dispute.expert import Demonstrator

        return Demonstrator(seed)

    def make_floor(self, name: str) -> SeatPolicy:
        """Return a floor agent."""
        from td_gym.scenarios.food_dispute.expert import Floor

        return Floor(name)
