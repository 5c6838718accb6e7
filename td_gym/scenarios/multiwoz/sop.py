"""Strategies of the service seat and the standard operating procedure that orders them.

In every domain that comes up: look up -> ask for what is missing, offer, or say that there is nothing -> answer ->
book -> pass the reference on; then ask what else there is, and part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from td_gym.scenarios.multiwoz.schema import DOMAINS, Act
from td_gym.scenarios.multiwoz.state import State

STRATEGY_BY_INTENT = {
    "no_book": "no_book",
    "booked": "confirm",
    "no_offer": "no_offer",
    "recommend": "offer",
    "offer_book": "offer_booking",
    "inform": "inform",
    "request": "request",
    "reqmore": "ask_more",
    "bye": "close",
    "welcome": "close",
    "greet": "greet",
}
"""The strategy that each intent names, the most committing first; a message follows that of its most committing act."""
STRATEGIES = ("query", "book", "transfer", *dict.fromkeys(STRATEGY_BY_INTENT.values()), "chat")
FALLBACK = "inform"


@dataclass
class Progress:
    """How far the procedure has come; moved by both seats."""

    state: State = field(default_factory=State)
    opened: bool = False
    found: dict[str, int] = field(default_factory=dict)
    """Entities that the last look-up of each domain found."""
    booked: dict[str, bool] = field(default_factory=dict)
    """Whether the last booking of each domain was made."""
    reached: set[tuple[str, str]] = field(default_factory=set)
    """What has been done in which domain, each once."""

    def stage(self) -> int:
        """Return how many steps of service were done so far."""
        return len(self.reached)

    def looked_up(self, domain: str, count: int) -> None:
        """Take note of a look-up that found ``count`` entities."""
        self.found[domain] = count
        self.reached.add((domain, "query"))

    def tried_booking(self, domain: str, made: bool) -> None:
        """Take note of a booking, and whether it was made."""
        self.booked[domain] = made
        if made:
            self.state.need(domain).wants_booking = False
            self.reached.add((domain, "book"))

    def hear_service(self, acts: Iterable[Act]) -> None:
        """Move on by the acts of a service message."""
        self.opened = True
        acts = tuple(acts)
        self.state.hear_service(acts)
        for act in acts:
            if act.intent in ("inform", "recommend", "booked", "no_offer"):
                self.reached.add((act.domain or self.state.domain, act.slot or act.intent))


def detect_strategy(acts: Iterable[Act], action: str) -> str:
    """Return the strategy that a message with these acts and this tool call follows."""
    if action:
        return action
    intents = {act.intent for act in acts}
    return next((strategy for intent, strategy in STRATEGY_BY_INTENT.items() if intent in intents), "chat")


def allows(strategy: str, progress: Progress, transfer: bool) -> bool:
    """Return whether the procedure admits ``strategy`` now.

    Answering always is admissible. What is found can be offered, what is not found denied, what was offered or named
    booked. ``chat``, a message that does nothing, is never part of the procedure.
    """
    state = progress.state
    domain = state.domain
    bookable = domain != "" and bool(DOMAINS[domain].book)
    match strategy:
        case "inform":
            return True
        case "greet":
            return not progress.opened
        case "query":
            return domain not in ("", "taxi")
        case "request":
            return domain != "" and ("bye" not in state.said or bool(state.touched))
        case "offer":
            return progress.found.get(domain, 0) > 0
        case "no_offer":
            return progress.found.get(domain) == 0
        case "offer_booking":
            return bookable and progress.found.get(domain, 0) > 0
        case "book":
            return domain == "taxi" or (bookable and state.need(domain).wants_booking)
        case "confirm":
            return progress.booked.get(domain, False)
        case "no_book":
            return progress.booked.get(domain) is False
        case "ask_more":
            return progress.stage() > 0
        case "close":
            return "bye" in state.said or "thank" in state.said
        case "transfer":
            return transfer and progress.opened
        case _:
            return False
