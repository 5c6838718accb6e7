"""One sales call: what a message costs, how far the procedure has come, whether a sale is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from td_gym.protocol import ParsedMessage
from td_gym.reading.numerals import numbers
from td_gym.reading.repetition import Said
from td_gym.scenarios.desk import DeskEpisode, as_flags
from td_gym.scenarios.sales import manners, sop
from td_gym.scenarios.sales.credit import COMPUTED, Profile, Question, ask
from td_gym.scenarios.sales.customer_acts import CUSTOMER_ACTS, detect_customer_acts
from td_gym.scenarios.sales.message import read
from td_gym.scenarios.sales.offers import Case, answers, false_figures, states_wrongly
from td_gym.scenarios.sales.topics import topic_of
from td_gym.turns import CustomerEffect, ServiceEffect, Turn

if TYPE_CHECKING:
    from td_gym.scenarios.sales.scenario import Sales

MACHINE_LIKE = 0.35
"""Style at or above which a message costs ``identity``: one stock phrase, or a long speech."""
_WHOLE_COUPON = 100.0
_PASSIVE = frozenset(("leave", "ask_robot", "notice_robot", "thank"))
"""Acts of a customer that take no part in the matter."""


class SalesEpisode(DeskEpisode):
    """One sales call.  Keeps how far the procedure has come; the customer's mind is not in here."""

    scenario: Sales
    case: Case

    def __init__(self, scenario: Sales, seed: int, split: str, row: int | None, case: Case) -> None:
        super().__init__(scenario, seed, split, row, case)
        self.progress = sop.Progress(eligible=case.profile.eligible)
        self.overlap = 0.0
        """The ``repetition`` of the agent's last message."""
        self.style = 0.0
        """The ``bot_style`` of the agent's last message."""
        self._said = Said()
        self._done: set[str] = set()
        """Acts of the agent so far."""
        self._customer_acts: frozenset[str] = frozenset()
        self._asked: Question | None = None
        """The profile question of the customer's last message."""
        self._coupon = 0.0
        """Share of the coupon that was booked."""
        self._offer = case.profile
        """What may be stated: the profile, with the booked part for the coupon."""
        self._profile_screen = _screen(case.profile)
        self._stage = 0
        """Stage at the last message."""

    def features(self, seat: str) -> npt.NDArray[np.float32]:
        """Return the agent's screen as numbers; the profile is blank for the customer."""
        progress = self.progress
        values = [
            1.0 - min(1.0, self.service_turns / self.scenario.max_turns),
            *(self._profile_screen if seat == "service" else (0.0,) * len(self._profile_screen)),
            progress.opened,
            progress.disclosed,
            progress.qualified,
            progress.presented,
            progress.objection_raised != "",
            progress.objection_handled,
            self._coupon,
            progress.interested,
            progress.accepted,
            progress.ordered,
            min(1.0, progress.refused / 3),
            progress.question_open,
            *as_flags(self._customer_acts, CUSTOMER_ACTS),
        ]
        return np.array(values, dtype=np.float32)

    def sees(self, seat: str) -> str:
        """Return what the customer's account shows of coupon and order."""
        if seat != "customer":
            return ""
        coupon = f"a coupon of {self._offer.coupon:.2f}" if self._coupon else "no coupon"
        order = "an order for the credit" if self.progress.ordered else "no order"
        return f"Your account shows {coupon} and {order}."

    def hear_service(self, message: ParsedMessage) -> ServiceEffect:
        """Carry out the tool call, count the costs, judge the turn, and move the procedure on."""
        text = message.response
        said = read(text)
        acts = said.acts
        strategy = sop.detect_strategy(acts, message.action)
        tool_message = self._call(message)
        done = "" if tool_message else message.action
        self.overlap = self._said.add(said.runs)
        self.style = manners.bot_style(text, self.overlap)
        broken = manners.breaches(
            text,
            acts,
            self.progress,
            action=message.action,
            profile=self.case.profile,
            asked_robot=not self._customer_acts.isdisjoint(("ask_robot", "notice_robot")),
            honest=self.scenario.disclosure == "honest",
        )
        wrong = self._is_wrong(text)
        costs = self._costs(done, len(broken), wrong)
        allowed = self.allows(strategy)
        new = bool(acts - self._done) or (self.progress.question_open and "answer" in acts)
        self.progress.hear_service(acts, done)
        advances = self._moved_on()
        terms = {
            "wellformed": said.wellformed,
            "repetition": 1.0 - self.overlap,
            "compliance": 0.0 if broken else 1.0,
            "bot_style": 1.0 - self.style,
            "profile_accuracy": self._accuracy(text, wrong),
            "progress": 1.0 if allowed and (new or advances) else 0.5 * allowed,
        }
        self._done |= acts
        ended_by = "transferred" if done == "transfer" else ""
        return ServiceEffect(acts, strategy, costs, terms, tool_message, ended_by=ended_by)

    def _call(self, message: ParsedMessage) -> str:
        """Carry out a tool call and return the tool's error message, empty when it did as told."""
        if message.action == "offer_coupon":
            return self._book_coupon(message.arguments.get("percent"))
        if message.action == "confirm_order":
            if not self.case.profile.eligible:
                return "confirm_order: the customer is not eligible today"
            if self.progress.ordered:
                return "confirm_order: the order is confirmed already"
            if not self.progress.accepted:
                return "confirm_order: the customer has not agreed to an order"
        return ""

    def _book_coupon(self, percent: str | None) -> str:
        if self._coupon:
            return "offer_coupon: a coupon was already offered in this conversation"
        if self.progress.ordered:
            return "offer_coupon: the order is confirmed already"
        try:
            value = _WHOLE_COUPON if percent is None else float(percent)
        except ValueError:
            return f"offer_coupon: percent {percent[:20]!r} is not a number"  # type: ignore[index]
        if not 0 < value <= _WHOLE_COUPON:
            return "offer_coupon: percent must be above 0 and at most 100"
        self._coupon = value / _WHOLE_COUPON
        self._offer = replace(self.case.profile, coupon=round(self.case.profile.coupon * self._coupon, 2))
        return ""

    def _costs(self, done: str, broken: int, wrong: bool) -> dict[str, float]:
        costs: dict[str, float] = {}
        if done == "confirm_order" and self._coupon:
            costs["discount"] = self._coupon
        if done == "transfer":
            costs["transfer"] = 1.0
        if broken:
            costs["noncompliance"] = float(broken)
        if self.style >= MACHINE_LIKE:
            costs["identity"] = 1.0
        if wrong:
            costs["false_statement"] = 1.0
        return costs

    def _is_wrong(self, text: str) -> bool:
        """Whether ``text`` states a figure of the profile, or the answer to the open question, wrongly."""
        asked = self._asked
        if asked is None:
            return bool(false_figures(text, self._offer))
        # The amount asked about stands in the question, so only the question can judge that figure.
        return states_wrongly(text, asked) or bool(false_figures(text, self._offer) - {asked.name})

    def _accuracy(self, text: str, wrong: bool) -> float:
        """Return 0 for a wrong figure or an open question passed over, 1 for a right answer or nothing asked."""
        if wrong:
            return 0.0
        return 1.0 if self._asked is None else float(answers(text, self._asked))

    def closing_costs(self) -> Mapping[str, float]:
        """Return the cost of a coupon that was offered in words and never booked."""
        return {"false_statement": 1.0} if "offer_coupon" in self._done and not self._coupon else {}

    def hear_customer(self, shown: str) -> CustomerEffect:
        """Read the customer's acts and grade how the service turn before was received."""
        acts = detect_customer_acts(shown)
        warm = self.progress.interested
        self.progress.hear_customer(acts)
        self._asked = self._question_in(shown)
        self._customer_acts = acts
        return CustomerEffect(acts, self._grade(acts, warm))

    def _question_in(self, shown: str) -> Question | None:
        """Return the profile question that a message asks, ``None`` for none that the profile answers."""
        topic = topic_of(shown)
        if topic in COMPUTED:
            named = numbers(shown)
            return next((own for own in self.case.questions if own.name == topic and own.amount in named), None)
        return ask(self._offer, topic) if topic else None

    def _moved_on(self) -> bool:
        """Note the stage that this message has led to, and return whether it is a later one than before."""
        before, self._stage = self._stage, self.progress.stage()
        return self._stage > before

    def _grade(self, acts: frozenset[str], warm: bool) -> int:
        advances = self._moved_on()
        if acts & {"insult", "refuse"} or ("leave" in acts and not self.progress.ordered and "thank" not in acts):
            return 0
        if advances or "accept_order" in acts or ("interested" in acts and not warm):
            return 3
        return 2 if acts - _PASSIVE else 1

    def conclude(self, ended_by: str, rating: float | None) -> tuple[dict[str, Any], dict[str, float]]:
        """Return the outcome; the service seat earns 1 for a sale and the customer its surplus from the deal."""
        converted = self.progress.ordered
        outcome = {
            "converted": converted,
            "reached": self.service_turns > 1 and "refuse" not in self._first_answer().acts,
            "identity_detected": any("notice_robot" in turn.acts for turn in self.transcript),
            "discount": self._coupon if converted else 0.0,
            "ended_by": ended_by,
            "turns": self.service_turns,
        }
        return outcome, {"service": float(converted), "customer": self._surplus() if converted else 0.0}

    def _first_answer(self) -> Turn:
        """Return the customer's answer to the first message."""
        _hello, _message, answer, *_ = self.transcript
        return answer

    def _surplus(self) -> float:
        """Return what the credit is worth to this customer, -1..1: wish, minus strain on the budget, plus the coupon.

        Interest 3 of 5 is worth nothing, one more or less 0.4; a monthly payment beyond the budget costs up to 0.8,
        and the whole coupon is worth 0.2.
        """
        persona = self.case.persona
        strain = max(0.0, self.case.profile.payment / persona.budget - 1.0)
        worth = 0.4 * (persona.interest - 3) - min(0.8, 0.8 * strain) + 0.2 * self._coupon
        return max(-1.0, min(1.0, worth))


def _screen(profile: Profile) -> tuple[float, ...]:
    """Return what the lender's system shows of a customer, as numbers in [0, 1]."""
    figures = (
        profile.credit_limit / 20_000,
        profile.monthly_rate / 2.5,
        profile.fee / 100,
        profile.coupon / 200,
        profile.coupon_days / 30,
        profile.months_customer / 120,
        profile.loans_before / 5,
    )
    return (*(min(1.0, figure) for figure in figures), float(profile.eligible))
