"""Takes dialogues and goals as MultiWOZ publishes them to one form; where they are broken, an error says which field.

``where`` names the file and what lies round the field in it, and is put before every error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from td_gym.errors import TdGymError, unknown
from td_gym.json_data import as_list, as_object, field_of, text_of
from td_gym.scenarios.multiwoz.goals import DomainGoal, Goal
from td_gym.scenarios.multiwoz.schema import DOMAINS, Act, canonical_slot, normal_value

State = Mapping[str, Mapping[str, str]]
"""What a customer has said by now: values of constraints and booking details by domain and slot."""

_NOT_SAID = frozenset({"booked", "ticket"})
"""What 2.1 keeps among the booking details though customers do not say it."""
_EMPTY = frozenset({"", "none", "not mentioned"})
_VENUES = ("restaurant", "hotel", "attraction")
_NOT_DETAILS = frozenset({"invalid", "pre_invalid"})


class Turn(NamedTuple):
    """One message of a recorded dialogue."""

    speaker: str
    """``user`` or ``system``."""
    text: str
    state: State
    """After this message; a system's message leaves it as it is."""
    acts: tuple[Act, ...]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A recorded dialogue with the split it belongs to."""

    id: str
    """As ``PMUL4398``, without ``.json``."""
    split: str
    turns: tuple[Turn, ...]
    goal: Goal | None
    """None where the files tell none; 2.2 has none of its own."""


def plain_id(name: str) -> str:
    """Return a dialogue's id without ``.json``."""
    return name.removesuffix(".json")


def dialogue_21(name: str, split: str, record: Any, where: str) -> Dialogue:
    """Return dialogue ``name`` from its ``record`` in 2.1."""
    turns: list[Turn] = []
    state: State = {}
    log = as_list(field_of(record, "log", where), f"{where}: log")
    for number, message in enumerate(log):
        at = f"{where}: log[{number}]"
        from_system = number % 2 == 1
        if not from_system and number + 1 < len(log):  # what the customer had said is noted at the answer
            answered = f"{where}: log[{number + 1}]"
            state = _state_21(field_of(log[number + 1], "metadata", answered), f"{answered}.metadata")
        acts = _acts(as_object(message, at).get("dialog_act", {}), f"{at}.dialog_act")
        turns.append(Turn("system" if from_system else "user", text_of(message, "text", at), state, acts))
    return Dialogue(name, split, tuple(turns), goal_21(record, where))


def dialogue_22(split: str, record: Any, spoken: Any, goals: Mapping[str, Goal], where: str) -> Dialogue:
    """Return a dialogue from its ``record`` in 2.2; ``spoken`` are all of ``dialog_acts.json``, ``goals`` by id."""
    identity = text_of(record, "dialogue_id", where)
    where = f"{where}: {identity}"
    acts_of = as_object(spoken.get(identity, {}), f"dialog_acts.json: {identity}")
    turns: list[Turn] = []
    state: State = {}
    for message in as_list(field_of(record, "turns", where), f"{where}: turns"):
        number = text_of(message, "turn_id", f"{where}: turns")
        at = f"{where}: turn {number}"
        speaker = text_of(message, "speaker", at).lower()
        if speaker == "user":
            state = _state_22(field_of(message, "frames", at), at)
        said = f"dialog_acts.json: {identity}: turn {number}"
        acts = _acts(as_object(acts_of.get(number, {}), said).get("dialog_act", {}), f"{said}: dialog_act")
        turns.append(Turn(speaker, text_of(message, "utterance", at), state, acts))
    return Dialogue(plain_id(identity), split, tuple(turns), goals.get(plain_id(identity)))


def _state_21(metadata: Any, where: str) -> State:
    state = {}
    for domain, parts in as_object(metadata, where).items():
        said = {
            slot: [value]
            for part in ("semi", "book")
            for slot, value in as_object(field_of(parts, part, f"{where}.{domain}"), f"{where}.{domain}.{part}").items()
            if slot not in _NOT_SAID and not (isinstance(value, str) and value in _EMPTY)
        }
        state[domain] = _slot_values(domain, said, f"{where}.{domain}")
    return {domain: values for domain, values in state.items() if values}


def _state_22(frames: Any, where: str) -> State:
    state = {}
    for number, frame in enumerate(as_list(frames, f"{where}: frames")):
        at = f"{where}: frames[{number}]"
        values = as_object(field_of(field_of(frame, "state", at), "slot_values", at), f"{at}.slot_values")
        domain = text_of(frame, "service", at)
        state[domain] = _slot_values(domain, values, f"{at}.slot_values")
    return {domain: values for domain, values in state.items() if values}


def _slot_values(domain: str, said: Mapping[str, Any], where: str) -> dict[str, str]:
    """Return the first of each slot's values, in lists or ``a|b``; buses, of which there is no table, are left out."""
    if domain == "bus":
        return {}
    if domain not in DOMAINS:
        raise TdGymError(f"{where}: {unknown('domain', domain, DOMAINS)}")
    slots = DOMAINS[domain].stated
    state = {}
    for name, values in said.items():
        slot = canonical_slot(domain, name)
        if slot not in slots:
            raise TdGymError(f"{where}: {unknown('slot', name, slots)}")
        if not isinstance(values, list) or not values or not isinstance(values[0], str):
            raise TdGymError(f"{where}.{name} must be words, not {values!r}.")
        state[slot] = normal_value(slot, values[0].partition("|")[0])
    return state


def _acts(acts: Any, where: str) -> tuple[Act, ...]:
    if isinstance(acts, str):  # "No Annotation"
        return ()
    found = []
    for kind, pairs in as_object(acts, where).items():
        domain, _, intent = kind.lower().partition("-")
        for pair in as_list(pairs, f"{where}.{kind}"):
            if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
                raise TdGymError(f"{where}.{kind} must hold pairs of slot and value, not {pair!r}.")
            slot = canonical_slot(domain, pair[0])
            found.append(Act(intent, domain, slot, "" if pair[1] == "none" else normal_value(slot, pair[1])))
    return tuple(found)


_MENTIONED = re.compile(
    r"<span class='emphasis'>(?:particular )?"
    r"(train|places to go|attraction|place to stay|hotel|place to dine|restaurant|taxi|hospital|police)\b"
)
_CALLED = {"places to go": "attraction", "place to stay": "hotel", "place to dine": "restaurant"}
_RIDE = re.compile(
    r"(?:want to (leave) the|it arrives the) (?:<span class='emphasis'>)?(restaurant|hotel|attraction)\b"
)


def goal_21(record: Any, where: str) -> Goal:
    """Return the goal of a dialogue of 2.1, its domains in the order in which the instructions come to them."""
    where = f"{where}: goal"
    goal = as_object(field_of(record, "goal", where), where)
    message = goal.get("message", "")
    told = message if isinstance(message, str) else " ".join(map(str, message))
    mentioned = [_CALLED.get(name, name) for name in _MENTIONED.findall(told)]
    names = [name for name in dict.fromkeys([*mentioned, *DOMAINS]) if goal.get(name)]
    domains = {name: _domain_goal(name, goal[name], told, f"{where}.{name}") for name in names}
    if "taxi" in domains and "departure" not in domains["taxi"].inform:
        domains["taxi"] = replace(domains["taxi"], same=_ends(told, names, where))
    return Goal.from_json(Goal(domains).to_json(), where)


def _domain_goal(domain: str, data: Any, told: str, where: str) -> DomainGoal:
    """Return a domain's goal; the constraints that fail count only where the customer is told what to do then."""
    parts = as_object(data, where)
    inform, fail_inform, book, fail_book = (
        {
            (slot := canonical_slot(domain, name)): normal_value(slot, value) if isinstance(value, str) else value
            for name, value in as_object(parts.get(part) or {}, f"{where}.{part}").items()
            if name not in _NOT_DETAILS
        }
        for part in ("info", "fail_info", "book", "fail_book")
    )
    return DomainGoal(
        inform,
        fail_inform if f"no such {domain}" in told else {},
        tuple([canonical_slot(domain, name) for name in as_list(parts.get("reqt") or [], f"{where}.reqt")]),
        book,
        {**book, **fail_book} if fail_book else {},
    )


def _ends(told: str, names: list[str], where: str) -> dict[str, str]:
    """Return the venues between which a taxi goes, as its instructions say: which to leave, or which to arrive at."""
    ride = _RIDE.search(told)
    others = [name for name in names if name in _VENUES and ride and name != ride[2]]
    if ride is None or len(others) != 1:
        raise TdGymError(f"{where}.taxi: neither its info nor the message says from where to where.")
    first, last = (ride[2], others[0]) if ride[1] else (others[0], ride[2])
    return {"departure": first, "destination": last}
