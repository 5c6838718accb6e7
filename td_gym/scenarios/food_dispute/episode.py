"""One complaint of FoodDispute: what a message costs, how far the procedure has come, how it ends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from td_gym.judges import principles
from td_gym.judges.wellformed import wellformed
from td_gym.protocol import ParsedMessage
from td_gym.scenarios.desk import DeskEpisode, as_flags
from td_gym.scenarios.food_dispute import sop
from td_gym.scenarios.food_dispute.acts import blamed_parties, detect_acts
from td_gym.scenarios.food_dispute.customer_acts import CUSTOMER_ACTS, detect_customer_acts
from td_gym.scenarios.food_dispute.orders import Case, menu
from td_gym.turns import CustomerEffect, ServiceEffect

if TYPE_CHECKING:
    from td_gym.scenarios.food_dispute.scenario import FoodDispute

NEUTRAL_RATING = 3.0
"""Mark of a conversation handed over to a colleague when the customer gives none; a success is rated above it."""

_ROBOT_STYLE = (
    "as an ai",
    "automated message",
    "automated reply",
    "automated response",
    "your request has been",
    "your query has been",
    "your ticket has been",
    "i understand your query",
    "dear customer",
    "dear valued customer",
    "dear user",
    "please be informed",
    "please select one of",
    "please select an option",
)
_FALSE_DENIAL = re.compile(
    r"\b(?:i am|i'm|i’m|this is) (?:not|no|neither) (?:a |an )?(?:ro)?(?:bot|machine|ai|computer|program)\b|"
    r"\b(?:i am|i'm|i’m|this is|you are talking to|you're talking to) a (?:real |living )?(?:human|person)\b",
    re.IGNORECASE,
)


_MINOR = frozenset(("identity", "inconsistent", "second_voucher"))
_MAJOR = frozenset(("overpromise", "unfounded_fault", "noncompliance"))
_COURTESY = frozenset(("greet", "close"))
_PROMISES = frozenset(("promise_refund", "promise_callback"))
_JUDGEMENT = frozenset(("explain", "admit_fault", "refuse_refund"))
_COMFORT = frozenset(("empathise", "apologise"))


@lru_cache(maxsize=8192)
def _is_robotic(text: str) -> bool:
    return any(map(text.lower().__contains__, _ROBOT_STYLE))


class FoodDisputeEpisode(DeskEpisode):
    """One complaint.  Keeps how far the procedure has come; the customer's mind is not in here."""

    scenario: FoodDispute
    case: Case

    def __init__(self, scenario: FoodDispute, seed: int, split: str, row: int | None, case: Case) -> None:
        super().__init__(scenario, seed, split, row, case)
        self.progress = sop.Progress()
        self._done: set[str] = set()
        self._announced = False
        """A voucher was offered or announced, and neither issued nor declined since."""
        self._customer_acts: frozenset[str] = frozenset()
        self._claimed_photo = False
        self._said: set[str] = set()
        self._credited = 0.0
        """Amount of the voucher that was issued."""
        self._order_screen: list[float] = []

    def features(self, seat: str) -> npt.NDArray[np.float32]:
        """Return the desk's screen as numbers; the order's facts are blank for the customer."""
        progress = self.progress
        values = [
            min(1.0, self.service_turns / self.scenario.max_turns),
            *self._order_features(seat == "service"),
            progress.opened,
            progress.clarified,
            progress.judged,
            progress.resolved,
            progress.voucher_issued,
            progress.evidence == "shown",
            progress.evidence == "withheld",
            *as_flags(self._customer_acts, CUSTOMER_ACTS),
        ]
        return np.array(values, dtype=np.float32)

    def _order_features(self, desk: bool) -> list[float]:
        if not self._order_screen:
            order = self.case.order
            facts = [min(1.0, order.minutes_late / 60), order.report == "merchant", order.report == "courier"]
            self._order_screen = [*map(float, facts), *[float(order.issue == name) for name in menu()["issues"]]]
        return self._order_screen if desk else [0.0, 0.0, 0.0, *self._order_screen[3:]]

    def sees(self, seat: str) -> str:
        """Return the customer's account: whether a voucher was credited."""
        if seat != "customer":
            return ""
        if not self.progress.voucher_issued:
            return "Your account shows no voucher and no refund for this order."
        currency = menu()["currency"]
        return f"Your account shows a new voucher of {self._credited:.2f} {currency}, and no refund for this order."

    def hear_service(self, message: ParsedMessage) -> ServiceEffect:
        """Carry out the tool call, count the costs, judge the turn, and move the procedure on."""
        acts = detect_acts(message.response)
        strategy = sop.detect_strategy(acts, message.action)
        allowed = self.allows(strategy)
        tool_message, issued, rewards = "", 0.0, {}
        costs: dict[str, float] = {}
        if message.action == "voucher":
            tool_message, issued = self._issue(message.arguments.get("amount"))
            if self.progress.voucher_issued:
                costs["second_voucher"] = 1.0
            elif not tool_message:
                costs["voucher"], costs["voucher_amount"] = 1.0, issued
                self._credited = issued
                rewards = {"customer": min(1.0, issued / self.case.order.total)}
        elif message.action == "transfer":
            costs["transfer"] = 1.0
        costs.update(self._breaches(message.response, acts))
        if self._disagrees(acts, "voucher" in costs):
            costs["inconsistent"] = 1.0
        words = message.response.lower()
        terms = self._review(message, words, acts, allowed, costs)
        self._said.add(words)
        self._advance(acts, "voucher" in costs)
        ended_by = "transferred" if message.action == "transfer" else ""
        return ServiceEffect(acts, strategy, costs, terms, tool_message, rewards, ended_by)

    def _issue(self, amount: str | None) -> tuple[str, float]:
        """Return the tool's error message (empty when the voucher was credited) and the amount."""
        if self.progress.voucher_issued:
            return "voucher: one was already issued in this conversation", 0.0
        if amount is None:
            return "", self.case.order.owed
        try:
            value = float(amount)
        except ValueError:
            return f"voucher: amount {amount[:20]!r} is not a number", 0.0
        if not 0 < value <= self.case.order.total:
            return f"voucher: amount must be above 0 and at most {self.case.order.total:.2f}", 0.0
        return "", value

    def _breaches(self, text: str, acts: frozenset[str]) -> dict[str, float]:
        costs = {}
        promises = len(acts & _PROMISES)
        if promises:
            costs["overpromise"] = float(promises)
        if "admit_fault" in acts and not self._is_founded(blamed_parties(text)):
            costs["unfounded_fault"] = 1.0
        if _is_robotic(text):
            costs["identity"] = 1.0
        paper = self.scenario.disclosure == "paper"
        denies = "ask_robot" in self._customer_acts and _FALSE_DENIAL.search(text) is not None
        if ("reveal_ai" in acts) if paper else denies:
            costs["noncompliance"] = 1.0
        return costs

    def _is_founded(self, blamed: frozenset[str]) -> bool:
        """Whether the case bears out a fault that is put on ``blamed``, nobody in particular when empty."""
        fault = self.case.order.fault
        return fault in blamed if blamed else fault in ("merchant", "courier")

    def _disagrees(self, acts: frozenset[str], issued: bool) -> bool:
        """Whether words and actions about the voucher part ways in this turn.

        An offer may be made one turn before the voucher is issued; an offer neither issued by the
        next turn nor declined was empty words.
        """
        said = "offer_voucher" in acts
        if issued:
            disagrees = not (said or self._announced)
            self._announced = False
            return disagrees
        empty = self._announced
        self._announced = said and not self.progress.voucher_issued and not empty
        return empty

    def closing_costs(self) -> Mapping[str, float]:
        """Return the cost of a voucher that was announced last and never came."""
        return {"inconsistent": 1.0} if self._announced else {}

    def _review(
        self, message: ParsedMessage, words: str, acts: frozenset[str], allowed: bool, costs: dict[str, float]
    ) -> dict[str, float]:
        persona = self.case.persona
        done = self._done
        return principles.review(
            empathic=not (_COMFORT.isdisjoint(acts) and _COMFORT.isdisjoint(done)),
            needs_empathy=persona.emotional_style != "calm" and self.service_turns <= 3,
            wants_brevity=persona.communication_style == "terse",
            characters=len(message.response),
            admissible=allowed,
            advances=not acts <= done or "voucher" in costs,
            wellformed=wellformed(message.response),
            acts=len(acts - _COURTESY) or int("close" in acts),
            repeats=words in self._said,
            minor_breaches=len(_MINOR.intersection(costs)),
            major_breaches=len(_MAJOR.intersection(costs)),
        )

    def _advance(self, acts: frozenset[str], issued: bool) -> None:
        progress = self.progress
        self._done |= acts
        progress.opened = True
        progress.asked += "ask_details" in acts
        progress.judged |= not _JUDGEMENT.isdisjoint(acts)
        progress.voucher_issued |= issued
        progress.resolved |= issued or "refuse_refund" in acts
        if "request_evidence" in acts and not progress.evidence:
            progress.evidence = "asked"

    def hear_customer(self, shown: str) -> CustomerEffect:
        """Read the customer's acts and grade how the service turn before was received."""
        acts = detect_customer_acts(shown)
        before = self.progress.stage()
        progress = self.progress
        progress.clarified |= "give_details" in acts or "give_feedback" in acts
        if "show_photo" in acts:
            progress.evidence = "shown"
        elif "withhold_photo" in acts:
            progress.evidence = "withheld"
        progress.resolved |= "accept" in acts
        if "decline" in acts:
            self._announced = False
        self._customer_acts = acts
        reward = -0.02
        if "show_photo" in acts and not self.case.has_photo and not self._claimed_photo:
            self._claimed_photo = True
            reward -= 1.0
        return CustomerEffect(acts, self._grade(acts, before), {"customer": reward})

    def _grade(self, acts: frozenset[str], stage_before: int) -> int:
        if "insult" in acts or ("leave" in acts and not acts & {"accept", "thank"} and not self.progress.resolved):
            return 0
        if self.progress.stage() > stage_before or "accept" in acts:
            return 3
        return 2 if acts - {"leave", "decline", "ask_robot"} else 1

    def conclude(self, ended_by: str, rating: float | None) -> tuple[dict[str, Any], dict[str, float]]:
        """Return the outcome; satisfaction is 0 at the turn limit and after a format error."""
        failed = ended_by in ("turn_limit", "format_error")
        satisfaction = 0.0 if failed else NEUTRAL_RATING if rating is None else rating
        outcome = {
            "satisfaction": satisfaction,
            "ended_by": ended_by,
            "voucher": self.progress.voucher_issued,
            "turns": self.service_turns,
        }
        return outcome, {"service": satisfaction}
