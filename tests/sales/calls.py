"""What a seller says in the tests of both prospects, and a call with a customer of the test's choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from td_gym.episode import Episode
from td_gym.scenarios.sales.credit import ask
from td_gym.scenarios.sales.episode import SalesEpisode
from td_gym.scenarios.sales.offers import Case
from td_gym.scenarios.sales.scenario import Sales

OPEN = (
    "Hello, this is CrediLine. This is a sales call about a credit, it costs 1.2 percent interest a month and a "
    "fee of $25."
)
QUALIFY = "How much could you put aside each month?"
PITCH = "You can borrow up to $8,000, and $5,000 over 24 months would be $268.33 a month."
HANDLE = {
    "price": "You can take a smaller amount, and paying back early saves interest.",
    "need": "Many people keep it in reserve for an unexpected bill.",
    "timing": "There is no rush, and you can decide when it suits you.",
    "trust": "CrediLine is a licensed lender, and you may withdraw within fourteen days.",
    "authority": "Of course you can discuss it with your family first.",
}
COUPON = "<action>offer_coupon</action><response>I can give you a coupon of $80 off the interest.</response>"
ASK = "Would you like to take the credit on these terms?"
PRESS = (
    "You really should not miss this, the offer is only valid today.",
    "This is your last chance, decide right now.",
    "Please do not say no yet, you need to decide now.",
    "Come on, just say yes, you will regret it otherwise.",
)
BACK_OFF = "That is perfectly fine, I respect your decision."
CONFIRM = "<action>confirm_order</action><response>Your order is confirmed.</response>"
USUAL = {
    "do_not_call": "wary",
    "objection": "price",
    "interest": 3,
    "trust": 3,
    "budget": 900.0,
    "patience": 12,
    "communication_style": "polite",
}

Reply = Callable[[Episode], str]


def begin(reply: Reply, questions: Sequence[str], seed: int, mind: dict[str, Any], **change: Any) -> SalesEpisode:
    """Start a call with an eligible customer of our choice, that asks nothing about machines and has ``mind``."""
    episode = Sales().begin(seed)
    persona = replace(episode.case.persona, **{**USUAL, **change})
    profile = replace(episode.case.profile, amount=5000.0, months=24, eligible=True)
    episode.case = Case(persona, profile, tuple(ask(profile, name) for name in questions))
    episode.submit("customer", reply(episode))
    episode.memory["customer"].update(robot="settled", **mind)
    return episode


def tell(reply: Reply, episode: SalesEpisode, *messages: str) -> SalesEpisode:
    """Say ``messages`` one after the other as long as the call goes on."""
    for message in messages:
        if episode.outcome is None:
            episode.submit("service", message)
        if episode.outcome is None:
            episode.submit("customer", reply(episode))
    return episode
