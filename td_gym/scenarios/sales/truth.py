"""How true a called customer is to its card, as far as rules can tell; for audits of simulated customers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from td_gym.reading.sentences import sentences
from td_gym.scenarios.card_checks import against_style, checks, closing_mark
from td_gym.scenarios.sales.figures import figures
from td_gym.scenarios.sales.topics import topic_of

if TYPE_CHECKING:
    from td_gym.scenarios.sales.episode import SalesEpisode

NO_INTEREST = 1
"""Interest of those who do not want a credit at all."""
_SPARES = re.compile(
    r"\b(?:i|we)\b.{0,30}\b(?:spare|afford|manage|pay|put aside|budget)\b|\bmy (?:budget|limit)\b", re.I
)
_A_MONTH = re.compile(r"\b(?:a|per|each|every) month\b|\bmonthly\b", re.IGNORECASE)
_TAIL = re.compile(
    r"\bnumber (?:ends|ending) (?:in|with|on) (\d{4})\b|\blast (?:four )?digits are (\d{4})\b", re.IGNORECASE
)


def off_card(episode: SalesEpisode) -> str:
    """Return what in the last message goes against the style on the card; a "hello" is how one takes a call."""
    style, first = episode.case.persona.communication_style, len(episode.transcript) == 1
    return against_style(style, episode.transcript[-1].shown, may_greet=first)


def contradicts_facts(episode: SalesEpisode) -> str:
    """Return what the last message states of the customer that is not so: its budget a month, its phone number."""
    persona, text = episode.case.persona, episode.transcript[-1].shown
    if any(tail != persona.identity.phone_tail for tail in _TAIL.findall(text)):
        return "gives another phone number"
    for sentence in sentences(text):
        if sentence.endswith("?") or not (_SPARES.search(sentence) and _A_MONTH.search(sentence)):
            continue
        if any(figure.unit == "money" and figure.value > persona.budget for figure in figures(sentence)):
            return "claims to have more to spare a month"
    return ""


def contradicts_goal(episode: SalesEpisode) -> str:
    """Return what the last message agrees to against the card, or asks that is not on it."""
    case, turn = episode.case, episode.transcript[-1]
    if "accept_order" in turn.acts and not _agreed_before(episode):
        if case.persona.interest == NO_INTEREST:
            return "agrees to a credit, and wants none at all"
        if _least_payment(episode) > case.persona.budget:
            return "agrees to pay more a month than it can"
    asked = topic_of(turn.shown)
    if asked and asked not in [question.name for question in case.questions]:
        return "asks for a figure that its card does not ask for"
    return ""


def unearned_end(episode: SalesEpisode) -> str:
    """Return what is wrong with the end of the call in the last message, if it closes it."""
    agrees = "accept_order" in episode.transcript[-1].acts and not episode.progress.ordered
    return "agrees to the order and ends before it can be placed" if agrees and closing_mark(episode) else ""


CHECKS = checks(off_card, contradicts_facts, contradicts_goal, unearned_end)


def _agreed_before(episode: SalesEpisode) -> bool:
    return any("accept_order" in turn.acts for turn in episode.transcript[:-1] if turn.seat == "customer")


def _least_payment(episode: SalesEpisode) -> float:
    """Return the least that a month would cost: of the proposal, and of what the agent has named."""
    named = [figure.value for text in episode.said() for figure in figures(text) if figure.label == "monthly_payment"]
    return min([episode.case.profile.payment, *named])
