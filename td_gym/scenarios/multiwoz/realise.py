"""What the desk says or does when it follows a strategy, in template words; for agents that choose and do not write."""

from __future__ import annotations

from collections.abc import Sequence

from td_gym.protocol import Messages
from td_gym.scenarios.multiwoz.acts import GENERAL
from td_gym.scenarios.multiwoz.briefing import Reading
from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.expert import worded
from td_gym.scenarios.multiwoz.planner import SKILLED, Planner
from td_gym.scenarios.multiwoz.schema import Act
from td_gym.scenarios.multiwoz.sop import STRATEGY_BY_INTENT
from td_gym.slots import fill_slots

_INTENTS = {strategy: intent for intent, strategy in reversed(STRATEGY_BY_INTENT.items())} | {"chat": "stall"}
"""The intent that puts each strategy into words: of several that name it the first."""
_NEED = (Act("greet", "general", "need"),)
"""What is said where there is nothing to tell or ask."""


def realise(messages: Messages, database: Database, strategy: str, seed: int) -> str:
    """Return a service message that follows ``strategy`` in the domain that the customer spoke of last.

    What is asked for and looked up is what the rule agent would ask for and look up there.
    """
    reading = Reading(messages, database)
    planner = Planner(reading, SKILLED, seed)
    domain = reading.state.domain
    if strategy == "transfer":
        return "<action>transfer</action>"
    if strategy in ("query", "book"):
        call = planner.look_up(domain) if strategy == "query" else planner.book(domain)
        return fill_slots(f"<action>{call}</action>", messages, lambda _: reading.slots())
    acts = list(_acts(planner, domain, strategy))
    if not reading.own and strategy not in ("greet", "close", "chat"):
        acts.insert(0, Act("greet", "general"))
    return fill_slots(worded(acts, reading, seed), messages, lambda _: reading.slots())


def _acts(planner: Planner, domain: str, strategy: str) -> Sequence[Act]:
    if strategy in ("request", "inform") and not domain:
        return _NEED
    if strategy == "request":
        return planner.questions(domain) or _NEED
    if strategy == "inform":
        return planner.answers(domain) or _NEED
    intent = _INTENTS[strategy]
    if strategy == "chat" or intent in GENERAL:
        return (Act(intent, "general"),)
    return (Act(intent, domain), *(planner.asked(domain) if strategy == "offer" else ()))
