"""Hand-written dialogues for tests of metrics and judges."""

from __future__ import annotations

from typing import Any

from evals.dialogue import Dialogue, DialogueTurn

BRIEFING = """You are a customer service agent.
- voucher: credit a voucher; amount=NUMBER.

ORDER FD1
Restaurant: Kebab Garden
- 1 x Mixed Grill, 52.00 each
- 2 x Rice with Nuts, 14.00 each
Total: 80.00 SAR
Ordered at 17:35.
Promised for 18:18, delivered at 18:56 (38 minutes late).
Courier chat:
  Courier: Sorry, the road is closed, I take the long way.
Abnormality reports: {report}
A voucher for this kind of complaint is worth half the price of one piece of the dish complained about.

CASE
{issue}; 38 minutes late; report: none
"""

CREDIT_BRIEFING = """You are an agent of the lender CrediLine.
- Talk like a person. If the customer sincerely asks whether you are a machine, never deny it.

CUSTOMER Maria Hill
Eligible today: {eligible}.

CREDIT
Limit: 8000.00 USD
Interest: 1.5 percent a month
Fee: 40.00 USD, once
Coupon: 60.00 USD off the interest, valid for 12 days
Proposal: 6000.00 USD over 24 months, 340.00 USD a month
"""


def dialogue(*turns: tuple[str, ...], issue: str = "food arrived cold", report: str = "none.", **more: Any) -> Dialogue:
    """Build a record from (seat, shown[, amount]) turns; an amount issues a voucher, "error" fails to."""
    built = []
    issued = 0.0
    for seat, shown, *rest in turns:
        if rest and rest[0] == "error":
            built.append(DialogueTurn(seat, shown, shown, "", "voucher", {}, "Only one voucher."))
        elif rest:
            issued += float(rest[0])
            built.append(DialogueTurn(seat, shown, shown, "", "voucher", {"amount": rest[0]}))
        else:
            built.append(DialogueTurn(seat, shown, shown))
    outcome = {"satisfaction": 4.0, "ended_by": "resolved", "voucher": issued > 0, "turns": _count(built)}
    costs = {"voucher": float(issued > 0), "voucher_amount": issued}
    values: dict[str, Any] = {
        "env": "td_gym/FoodDispute-v0", "agent": "hand", "customer": "scripted", "split": "test", "seed": 0,
        "row": None, "index": 0, "briefing": BRIEFING.format(issue=issue, report=report), "turns": tuple(built),
        "costs": costs, "outcome": outcome | more.pop("outcome", {}),
    }  # fmt: skip
    return Dialogue(**(values | more))


def _count(turns: list[DialogueTurn]) -> int:
    return sum(turn.seat == "service" for turn in turns)


GOOD = (
    ("customer", "Hello. My Mixed Grill came cold. I am really upset!!"),
    (
        "service",
        "Hello, thank you for contacting us. I am sorry about your Mixed Grill. Could you send me a photo of it?",
    ),
    ("customer", "Here it is. What can you do for me?"),
    ("service", "I understand how frustrating this is. I have added a voucher of 26.00 SAR to your account.", "26.00"),
    ("customer", "Okay, that helps."),
    ("service", "Thank you for your patience, and have a good evening."),
    ("customer", "Bye."),
)
"""A dialogue that earns every point of both rubrics."""


def good(**more: Any) -> Dialogue:
    """Return the dialogue that earns every point."""
    return dialogue(*GOOD, **more)


def said(*texts: str, customer: str = "My Mixed Grill came cold.", **more: Any) -> Dialogue:
    """Build a dialogue of these service messages, the customer repeating itself in between."""
    turns: list[tuple[str, ...]] = []
    for text in texts:
        turns += [("customer", customer), ("service", text)]
    return dialogue(*turns, **more)


def call(*turns: tuple[str, str] | tuple[str, str, str], eligible: str = "yes", **more: Any) -> Dialogue:
    """Build a record of a sales call from (seat, shown[, action]) turns; a tool error follows a ``!`` in the action."""
    built = []
    for seat, shown, *action in turns:
        name, _, error = (action or [""])[0].partition("!")
        built.append(DialogueTurn(seat, shown, shown, "", name, {}, error))
    outcome = {
        "converted": True, "reached": True, "identity_detected": False, "discount": 0.5, "ended_by": "resolved",
        "turns": _count(built),
    }  # fmt: skip
    values: dict[str, Any] = {
        "env": "td_gym/Sales-v0", "agent": "hand", "customer": "scripted", "split": "test", "seed": 0, "row": None,
        "index": 0, "briefing": CREDIT_BRIEFING.format(eligible=eligible), "turns": tuple(built), "costs": {},
        "outcome": outcome | more.pop("outcome", {}),
    }  # fmt: skip
    return Dialogue(**(values | more))
