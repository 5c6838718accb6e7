"""How true a customer is to its complaint, as far as rules can tell; for audits of simulated customers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from personas.packaged import packaged_toml
from td_gym.reading.sentences import sentences
from td_gym.scenarios.card_checks import against_style, checks, closing_mark, insults
from td_gym.scenarios.food_dispute.orders import menu

if TYPE_CHECKING:
    from td_gym.scenarios.food_dispute.episode import FoodDisputeEpisode

_WISH = {
    "refund_insistence": "refund",
    "refund_priority": "refund",
    "compensation_flexible": "compensation",
    "feedback_focus": "feedback",
}
"""What each demand is for, as ``truth.toml`` calls it."""
_SETTLED = frozenset(("explain", "refuse_refund", "admit_fault", "promise_refund", "promise_callback"))
"""Service acts that judge the matter, rightly or not."""
_NUMBER = re.compile(
    r"\border (?:number|no\.?|#)(?: is)? ?#?(\w*\d\w*)|\b(fd[0-9a-f]{4,}|\d{1,2}:\d\d)\b"
    r"|\b(?:paid|cost|costs|charged|total|price)\b[^.?!]{0,20}?\b(\d+(?:\.\d+)?)(?= ?(?:sar|riyals?)\b)"
)
"""The number of an order, a time of day, a sum that was paid."""


def off_card(episode: FoodDisputeEpisode) -> str:
    """Return what in the last message goes against the persona card.

    A customer that is upset or calm insults nobody, one that is hostile may whatever its style; none states outright at
    the start what it wants.
    """
    persona, turn = episode.case.persona, episode.transcript[-1]
    if persona.emotional_style != "hostile" and insults(turn.shown):
        return f"is {persona.emotional_style} by its card, and insults"
    if len(episode.transcript) == 1 and _WISH[persona.demand] in _wishes(turn.shown):
        return "states its demand at the start"
    if persona.emotional_style == "hostile" and persona.communication_style == "polite":
        return ""
    return against_style(persona.communication_style, turn.shown)


def contradicts_facts(episode: FoodDisputeEpisode) -> str | None:
    """Return what the last message of an honest customer states that is not so, or that it cannot know.

    Judged are the photo, dishes of the menus, the kind of complaint, and the numbers of orders, times and sums paid,
    which no briefing of a customer holds: it can know them from the agent alone.
    """
    case, turn = episode.case, episode.transcript[-1]
    if case.persona.honesty != "honest":
        return None
    if "show_photo" in turn.acts and not case.has_photo:
        return "sends a photo that it does not have"
    text = turn.shown.lower()
    own = episode.briefing("customer").lower()
    if any(dish not in own and re.search(rf"\b{re.escape(dish)}\b", text) for dish in _dishes()):
        return "names a dish that it did not order"
    if _invented(episode, text):
        return "states a number, time or sum that nobody told it"
    kinds = _kinds(text)
    if kinds and case.order.issue in _table("complaint") and case.order.issue not in kinds:
        return "complains of something else than was wrong"
    return ""


def contradicts_goal(episode: FoodDisputeEpisode) -> str:
    """Return what the last message wants that the customer's demand rules out."""
    demand, wishes = episode.case.persona.demand, _wishes(episode.transcript[-1].shown)
    if demand == "feedback_focus" and "refund" in wishes:
        return "asks for a refund, and wants to be heard only"
    if demand == "refund_insistence" and "compensation" in wishes:
        return "asks for compensation, and wants its money back only"
    return ""


def unearned_end(episode: FoodDisputeEpisode) -> str:
    """Return what is wrong with the end mark of the last message, if it closes the conversation."""
    mark = closing_mark(episode)
    if mark is None or not mark.satisfied:
        return ""
    done = frozenset[str]().union(*(turn.acts for turn in episode.transcript if turn.seat == "service"))
    if not episode.progress.voucher_issued and _SETTLED.isdisjoint(done):
        return "is satisfied, and nothing was resolved"
    return ""


CHECKS = checks(off_card, contradicts_facts, contradicts_goal, unearned_end)


@cache
def _dishes() -> frozenset[str]:
    """Return every dish and drink of the menus, in small letters."""
    dishes = {dish for restaurant in menu()["restaurants"] for dish in restaurant["menu"]}
    return frozenset(name.lower() for name in dishes | set(menu()["drinks"]))


def _invented(episode: FoodDisputeEpisode, text: str) -> bool:
    """Return whether ``text`` states a number that stands in nothing the customer has read."""
    stated = [next(filter(None, groups)) for groups in _NUMBER.findall(text)]
    if not stated:
        return False
    read = " ".join([episode.briefing("customer"), episode.sees("customer"), *episode.said()]).lower()
    return any(number not in read for number in stated)


@cache
def _table(name: str) -> Mapping[str, re.Pattern[str]]:
    table = packaged_toml(__package__, "truth.toml")[name]
    return {key: re.compile("|".join(patterns)) for key, patterns in table.items()}


def _kinds(text: str) -> set[str]:
    """Return the kinds of complaint that ``text`` names."""
    return {kind for kind, pattern in _table("complaint").items() if pattern.search(text)}


def _wishes(text: str) -> set[str]:
    """Return what ``text`` asks for or agrees to."""
    found = set()
    for sentence in sentences(text.lower().replace("’", "'")):
        for wish, pattern in _table("wish").items():
            named = pattern.search(sentence)
            if named and not _table("denied")["wish"].search(sentence[: named.start()]):
                found.add(wish)
    return found
