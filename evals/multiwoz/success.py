"""Inform and Success of one dialogue."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from evals.multiwoz.database import DOMAINS, Database
from evals.multiwoz.normalise import State, Value

_ANSWERS = ("PHONE", "ADDRESS", "POST", "REFERENCE", "TRAINID")
"""Placeholders that answer what a goal may ask for."""


class DomainGoal(NamedTuple):
    """What the user wants in one domain: ``wishes`` a venue must fit, and ``questions`` by placeholder."""

    wishes: Mapping[str, Value]
    questions: frozenset[str]


Goal = Mapping[str, DomainGoal]
"""What the user wants, by domain."""


class SystemTurn(NamedTuple):
    """One turn of the system as the procedure sees it."""

    response: str
    """Normal form, placeholders as classes."""
    state: State
    """Normal form."""
    active: Collection[str]
    """Domains that the turn is about."""
    booked: Collection[str]
    """Domains booked so far, in the dialogue the benchmark recorded."""


def verdict(goal: Goal, turns: Sequence[SystemTurn], database: Database) -> tuple[bool, bool]:
    """Return Inform and Success of a dialogue: were fitting venues offered, and was all that was asked answered too.

    Success implies Inform.
    """
    inform = all(informed(domain, wanted, offer(domain, turns, database), database) for domain, wanted in goal.items())
    success = inform and all(wanted.questions <= answers(domain, turns) for domain, wanted in goal.items())
    return inform, success


def offer(domain: str, turns: Sequence[SystemTurn], database: Database) -> frozenset[str]:
    """Return the ids of the venues or trains that the dialogue can have offered in ``domain``, empty for none.

    Each mention of a name or train id offers what fits the state at that turn. It takes the place of an earlier offer
    only if it lacks some of that: a state that asks for less than before offers no more.
    """
    offered: frozenset[str] = frozenset()
    mention = "TRAINID" if domain == "train" else "NAME"
    if domain not in DOMAINS:
        return offered
    for turn in turns:
        if domain in turn.active and mention in turn.response:
            found = database.search(domain, turn.state[domain]) if domain in turn.state else frozenset[str]()
            if not offered or not offered <= found:
                offered = found
    return offered


def informed(domain: str, wanted: DomainGoal, offered: frozenset[str], database: Database) -> bool:
    """Return whether all that was ``offered`` in ``domain`` fits the goal.

    Nothing has to be offered where there is no table, where the goal names the venue, and where a train was not asked
    for by its id.
    """
    if domain not in DOMAINS or "name" in wanted.wishes:
        return True
    if domain == "train" and not offered and "TRAINID" not in wanted.questions:
        return True
    return bool(offered) and offered <= database.search(domain, wanted.wishes)


def answers(domain: str, turns: Sequence[SystemTurn]) -> frozenset[str]:
    """Return the placeholders said in turns about ``domain``; a reference counts once the domain is booked."""
    return frozenset(
        answer
        for turn in turns
        if domain in turn.active
        for answer in _ANSWERS
        if answer in turn.response and (answer != "REFERENCE" or domain in turn.booked)
    )
