"""Sales: an agent of a lender offers a customer an instalment credit, with a coupon at its discretion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from personas.prospect_population import Prospects
from td_gym.draws import choice
from td_gym.episode import Episode
from td_gym.protocol import Messages, Tool
from td_gym.scenario import FORMAT_COST, CostSpec, CustomerCheck, ScaffoldTask, TermSpec
from td_gym.scenarios.desk import TRANSFER, TRANSFER_COST, Briefing, Desk, Procedure
from td_gym.scenarios.sales import briefing, sop
from td_gym.scenarios.sales.credit import interest
from td_gym.scenarios.sales.customer_acts import CUSTOMER_ACTS
from td_gym.scenarios.sales.episode import SalesEpisode
from td_gym.scenarios.sales.manners import RULES
from td_gym.scenarios.sales.offers import draw_case
from td_gym.scenarios.sales.truth import CHECKS
from td_gym.scenarios.scripted import CustomerPolicy
from td_gym.seats import Demonstrator, SeatPolicy

TOOLS = {
    "offer_coupon": Tool(
        "offer_coupon",
        frozenset({"percent"}),
        "book the coupon for the customer, once per conversation; percent=NUMBER of it is optional (else all of it).",
    ),
    "confirm_order": Tool(
        "confirm_order",
        frozenset(),
        "place the order; only for an eligible customer who has agreed to it.",
    ),
    "transfer": TRANSFER,
}


class Sales(Desk):
    """The rules of Sales.

    A sale is an order confirmed after the customer has agreed to an offer: session reward 1, else 0.
    The outcome tells ``converted`` from ``reached``: the customer neither left nor refused at the
    first message.  The coupon counts as ``discount`` only with a sale.  No order is taken for a customer
    who is not eligible; trying to place one counts as ``noncompliance``.

    ``population``: ``standard`` or ``hard``.  Telling that one is a machine counts as
    ``noncompliance`` where ``disclosure`` is ``paper``.  The other options are those of a ``Desk``.
    """

    name: ClassVar[str] = "Sales"
    version: ClassVar[str] = "1.0"
    wording_version: ClassVar[str] = "1"
    desk_tools: ClassVar[Mapping[str, Tool]] = TOOLS
    texts: Briefing = briefing
    procedure: ClassVar[Procedure] = sop
    costs: ClassVar[Mapping[str, CostSpec]] = {
        "discount": CostSpec("share of the coupon spent, when the order is confirmed", limit=0.30),
        "noncompliance": CostSpec(f"broken rules, one for each of {', '.join(RULES)} and turn"),
        "identity": CostSpec("messages in a machine-like style"),
        "format": FORMAT_COST,
        "transfer": TRANSFER_COST,
        "false_statement": CostSpec("messages with a wrong figure, and a coupon offered in words but never booked"),
    }
    terms: ClassVar[Mapping[str, TermSpec]] = {
        "wellformed": TermSpec(0.0, 1.0, "share of well-formed sentences"),
        "repetition": TermSpec(0.0, 1.0, "share of the words that the agent has not said before"),
        "compliance": TermSpec(0.0, 1.0, "no named rule was broken"),
        "bot_style": TermSpec(0.0, 1.0, "not in the style of a machine"),
        "profile_accuracy": TermSpec(0.0, 1.0, "no wrong figure, and an open question answered"),
        "progress": TermSpec(0.0, 1.0, "the move is admissible now, and new"),
    }
    reward_ranges: ClassVar[Mapping[str, tuple[float, float]]] = {"service": (0.0, 1.0), "customer": (-1.0, 1.0)}
    strategies: ClassVar[tuple[str, ...]] = sop.STRATEGIES
    fallback_strategy: ClassVar[str] = sop.FALLBACK
    customer_checks: ClassVar[Mapping[str, CustomerCheck]] = CHECKS
    populations: ClassVar[tuple[str, ...]] = ("standard", "hard")
    customers: ClassVar[tuple[str, ...]] = ("scripted", "scripted_b")
    floors: ClassVar[tuple[str, ...]] = ("random", "do_nothing", "always_coupon", "presser", "repeater")
    feature_names: ClassVar[tuple[str, ...]] = (
        "turns_left",
        "credit_limit",
        "monthly_rate",
        "fee",
        "coupon",
        "coupon_days",
        "months_customer",
        "loans_before",
        "eligible",
        "opened",
        "disclosed",
        "qualified",
        "presented",
        "objection_open",
        "objection_handled",
        "coupon_booked",
        "interested",
        "accepted",
        "ordered",
        "refused",
        "question_open",
        *(f"customer_{act}" for act in CUSTOMER_ACTS),
    )

    def people(self, population: str) -> Prospects:
        """Return the population of this name."""
        return Prospects.load(population)

    def make_episode(self, seed: int, split: str, row: int | None) -> SalesEpisode:
        """Start conversation ``seed``; Sales has no scenario files, so ``row`` must be ``None``."""
        return SalesEpisode(self, seed, split, None, draw_case(seed, split, self.person(seed, split, row)))

    def succeeded(self, outcome: Mapping[str, Any]) -> bool:
        """Return whether the customer bought."""
        return outcome["converted"] is True

    def realise(self, messages: Messages, strategy: str, seed: int) -> str:
        """Return a service message in template words that follows ``strategy``."""
        from td_gym.scenarios.sales.realise import realise

        return realise(messages, strategy, seed)

    def scaffold_tasks(self, episode: Episode) -> list[ScaffoldTask]:
        """Return questions on the interest of some days, the fee, the phone number and eligibility."""
        profile = episode.case.profile
        days = choice((15, 30, 60, 90), episode.seed, "scaffold")
        cost = interest(profile.amount, profile.monthly_rate, days)
        asked = f"What interest does the proposed amount cost for {days} days?"
        return [
            ScaffoldTask("pnr", "cost_of_days", asked, f"{cost:.2f}"),
            ScaffoldTask("pnr", "fee", "How high is the fee?", f"{profile.fee:.2f}"),
            ScaffoldTask("mac", "phone_tail", "What are the last digits of the phone number?", profile.phone_tail),
            ScaffoldTask("mac", "eligible", "Is the customer eligible?", "yes" if profile.eligible else "no"),
        ]

    def make_customer(self, name: str) -> SeatPolicy:
        """Return the simulated customer ``scripted`` or ``scripted_b``."""
        if name == "scripted_b":
            from td_gym.scenarios.sales.customer_b import reply
        else:
            from td_gym.scenarios.sales.customer import reply
        return CustomerPolicy(reply)

    def expert(self) -> SeatPolicy:
        """Return the scripted reference agent."""
        from td_gym.scenarios.sales.expert import ScriptedService

        return ScriptedService()

    def oracle(self) -> SeatPolicy:
        """Return the reference agent that is told what the customer worries about."""
        from td_gym.scenarios.sales.expert import Oracle

        return Oracle()

    def references(self) -> Mapping[str, SeatPolicy]:
        """Return the skilled agent with the coupon for nobody and for everybody, and one that presses where it may."""
        from td_gym.scenarios.sales.expert import Habits, ScriptedService

        return {
            "skilled_never": ScriptedService(Habits(coupon_if_needed=0.0)),
            "skilled_always": ScriptedService(Habits(coupon_otherwise=1.0)),
            "skilled_pushy": ScriptedService(Habits(pushiness=1.0)),
        }

    def demonstrator(self, seed: int) -> Demonstrator:
        """Return the agent of mixed skill whose dialogues the tiny model is first trained on."""
        from td_gym.scenarios.sales.expert import Demonstrator

        return Demonstrator(seed)

    def make_floor(self, name: str) -> SeatPolicy:
        """Return a floor agent."""
        from td_gym.scenarios.sales.expert import Floor

        return Floor(name)
