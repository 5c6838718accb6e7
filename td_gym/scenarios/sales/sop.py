"""Strategies of the service seat and the standard operating procedure that orders them.

open and disclose -> qualify and present -> handle what stands in the way -> ask -> confirm, or back off -> close.
Who is not eligible is told so and let go.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from td_gym.scenarios.sales.acts import HANDLES
from td_gym.scenarios.sales.customer_acts import OBJECTS

STRATEGIES = (
    "open",
    "disclose",
    "qualify",
    "present",
    "answer",
    *HANDLES,
    "offer_coupon",
    "ask_order",
    "confirm",
    "back_off",
    "close",
    "transfer",
    "chat",
)
FALLBACK = "answer"

# The most committing act of a message names its strategy.
_BY_ACT = (
    ("confirm", "confirm"),
    ("press", "ask_order"),
    ("back_off", "back_off"),
    ("ask_order", "ask_order"),
    ("offer_coupon", "offer_coupon"),
    ("disclose", "disclose"),
    *((name, name) for name in HANDLES),
    ("close", "close"),
    ("qualify", "qualify"),
    ("present", "present"),
    ("answer", "answer"),
    ("reveal_ai", "answer"),
    ("deny_ai", "answer"),
    ("guarantee", "answer"),
    ("hide_fee", "answer"),
    ("introduce", "open"),
    ("greet", "open"),
    ("empathise", "answer"),
)
_PITCHES = ("present", "offer_coupon", "ask_order", "press")
_BY_ACTION = {"transfer": "transfer", "offer_coupon": "offer_coupon", "confirm_order": "confirm"}


@dataclass
class Progress:
    """How far the procedure has come; moved by both seats."""

    opened: bool = False
    disclosed: bool = False
    """Said to be an offer of a credit, and what a credit costs."""
    qualified: bool = False
    """Asked what the customer has a use for, or can afford."""
    presented: bool = False
    objection_raised: str = ""
    """The objection that stands, one of ``personas.prospect.OBJECTIONS``, or empty."""
    objection_handled: bool = False
    """Some objection was met with an answer to it."""
    coupon_offered: bool = False
    interested: bool = False
    """The customer has shown interest and not refused since."""
    ordered: bool = False
    """The customer has accepted and the order is confirmed."""
    refused: int = 0
    """Clear refusals so far."""
    question_open: bool = False
    """The customer's last message asks something."""
    pitched: bool = False
    """There is an offer on the table that a customer can say yes to."""
    accepted: bool = False
    """The customer has said yes to the offer and not refused since."""
    eligible: bool = True
    """The customer meets the lender's conditions."""

    def stage(self) -> int:
        """Return the number of stages passed, 0..4."""
        warmed = self.presented and (self.interested or self.objection_handled)
        return self.disclosed + (self.disclosed and self.presented) + (self.disclosed and warmed) + self.ordered

    def hear_service(self, acts: frozenset[str], action: str = "") -> None:
        """Move on by a service message that carries ``acts`` and by its tool call, unless the tool refused it."""
        self.opened = True
        self.disclosed |= "disclose" in acts
        self.qualified |= "qualify" in acts
        self.presented |= "present" in acts
        self.coupon_offered |= "offer_coupon" in acts or action == "offer_coupon"
        self.pitched |= not acts.isdisjoint(_PITCHES)
        self.ordered |= action == "confirm_order"
        if self.objection_raised and f"handle_{self.objection_raised}" in acts:
            self.objection_raised, self.objection_handled = "", True
        self.question_open = False

    def hear_customer(self, acts: frozenset[str]) -> None:
        """Move on by a customer's message that carries ``acts``."""
        self.question_open = not acts.isdisjoint(("ask_question", "ask_robot", "who_is_this"))
        for act in OBJECTS:
            if act in acts:
                self.objection_raised = act.removeprefix("object_")
        if "refuse" in acts:
            self.refused += 1
            self.interested = self.accepted = False
        elif "accept_order" in acts:
            self.accepted, self.interested = self.pitched, True
        elif "interested" in acts:
            self.interested = True


@lru_cache(maxsize=4096)
def detect_strategy(acts: frozenset[str], action: str) -> str:
    """Return the strategy that a message with these acts and this tool call follows."""
    if action in _BY_ACTION:
        return _BY_ACTION[action]
    return next((strategy for act, strategy in _BY_ACT if act in acts), "chat")


def allows(strategy: str, progress: Progress, transfer: bool) -> bool:
    """Return whether the procedure admits ``strategy`` now.

    Answering always is admissible. After a clear refusal the offer rests unless the customer takes it up again: the
    first refusal leaves one answer to the objection that came with it. ``chat``, a message that does nothing, is never
    part of the procedure. To a customer who is not eligible nothing is offered from the start.
    """
    resting = not progress.eligible or (progress.refused > 0 and not progress.interested)
    match strategy:
        case "answer":
            return True
        case "open":
            return not progress.opened
        case "disclose":
            return not progress.disclosed and not resting
        case "qualify":
            return not progress.qualified and not progress.ordered and not resting
        case "present":
            return progress.disclosed and not progress.ordered and not resting
        case "offer_coupon":
            return progress.presented and not progress.coupon_offered and not progress.ordered and not resting
        case "ask_order":
            return progress.disclosed and progress.presented and not progress.accepted and not resting
        case "confirm":
            return progress.eligible and progress.disclosed and progress.accepted and not progress.ordered
        case "back_off":
            return not progress.eligible or progress.refused > 0 or progress.objection_raised != ""
        case "close":
            return not progress.eligible or progress.ordered or progress.refused > 0
        case "transfer":
            return transfer and progress.opened
        case "chat":
            return False
        case _:
            handles = strategy == f"handle_{progress.objection_raised}"
            return handles and progress.refused < 2 and progress.eligible
