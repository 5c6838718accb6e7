"""How true a customer is to its goal, as far as rules can tell; for audits of simulated customers.

What the customer wants is the belief state that the conversation keeps of its words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from td_gym.scenarios.card_checks import against_style, checks, closing_mark
from td_gym.scenarios.multiwoz.goals import DomainGoal
from td_gym.scenarios.multiwoz.outcome import is_same_end
from td_gym.scenarios.multiwoz.schema import DOMAINS, DONTCARE, TIME_SLOTS
from td_gym.scenarios.multiwoz.state import Need

if TYPE_CHECKING:
    from td_gym.scenarios.multiwoz.episode import MultiWOZEpisode

_COUNTS = ("people", "stay", "stars")
_ALONE = re.compile(r"\b(?:1|one (?:person|night|star|guest|ticket|seat)|just me|myself|alone)\b", re.IGNORECASE)
"""Words of a single one; the belief state takes the pronoun for a number where one was asked for."""
_BOOKS = re.compile(r"(?!.*\b(?:no|not|without|never|n't) .{0,30}\bbook).*\b(?:book|reserv)", re.IGNORECASE | re.DOTALL)
"""Words of a booking; the belief state takes a ticket's price for the wish to have one."""


def off_card(episode: MultiWOZEpisode) -> str:
    """Return what in the last message goes against the style on the card, the one trait that it tells."""
    return against_style(episode.case.persona.communication_style, episode.transcript[-1].shown)


def contradicts_facts(episode: MultiWOZEpisode) -> str:
    """Return the first constraint or detail that the customer has stated otherwise than its goal has it.

    A name or train may be any that the agent has spoken of, and so may the ends of a ride that are told by other
    domains.
    """
    return next(_misstated(episode), "")


def contradicts_goal(episode: MultiWOZEpisode) -> str:
    """Return what the customer wants now that its goal does not hold: a domain, a booking, an answer."""
    return next(_unwanted(episode), "")


def unearned_end(episode: MultiWOZEpisode) -> str:
    """Return what is wrong with the end mark of the last message, if it closes the conversation."""
    mark = closing_mark(episode)
    if mark is None or not mark.satisfied:
        return ""
    assert episode.outcome is not None  # the mark has closed it
    silent = [domain for domain in episode.case.goal.domains if domain not in episode.progress.state.needs]
    if silent:
        return f"is satisfied, and has never spoken of the {silent[0]}"
    return "" if episode.outcome["complete"] else "is satisfied, and does not have all it came for"


CHECKS = checks(off_card, contradicts_facts, contradicts_goal, unearned_end)


def _misstated(episode: MultiWOZEpisode) -> Iterator[str]:
    """Yield what is wanted otherwise than in the goal; indifference is no contradiction."""
    text = episode.transcript[-1].shown
    for domain, need in episode.progress.state.needs.items():
        goal = episode.case.goal.domains.get(domain)
        if goal is None:
            continue
        for slot, value in {**need.inform, **need.book}.items():
            wanted = _values(goal, slot)
            if slot == DOMAINS[domain].key and not wanted:
                continue
            if slot in goal.same and slot not in goal.inform and slot not in goal.book:
                continue
            if value == DONTCARE or (slot in _COUNTS and value == "1" and not _ALONE.search(text)):
                continue
            if not any(is_same_end(slot, value, one) for one in wanted):
                yield f"states another {domain} {slot} than its goal" if wanted else f"adds a {domain} {slot}"


def _values(goal: DomainGoal, slot: str) -> list[str]:
    """Return what ``slot`` is in ``goal``; which of two times is meant is left open."""
    meant = TIME_SLOTS if slot in TIME_SLOTS else {slot}
    parts = (goal.inform, goal.fail_inform, goal.book, goal.fail_book)
    return [value for part in parts for each, value in part.items() if each in meant]


def _unwanted(episode: MultiWOZEpisode) -> Iterator[str]:
    for domain, need in episode.progress.state.needs.items():
        goal = episode.case.goal.domains.get(domain)
        if goal is None:
            if need != Need():
                yield f"wants a {domain}, which its goal does not hold"
            continue
        if need.wants_booking and not goal.book and domain != "taxi" and _BOOKS.match(episode.transcript[-1].shown):
            yield f"wants to book the {domain}, which its goal does not"
        known = {*goal.request, *goal.inform, *goal.fail_inform, *DOMAINS[domain].confirmed, DOMAINS[domain].key}
        for slot in need.asked:
            if slot not in known:
                yield f"asks for the {slot} of the {domain}, which its goal does not"
