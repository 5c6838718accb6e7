"""The agenda of a customer: a stack of moves, and the rules that push onto it and pop from it.

The model is the agenda-based user of Schatzmann et al., "Agenda-Based User Simulation for
Bootstrapping a POMDP Dialogue System" (NAACL-HLT 2007): the goal is laid out as acts once, what the
service says pushes acts on top, and a few are popped for every turn.  The rules are our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from td_gym.scenarios.mind import PlainMind
from td_gym.scenarios.multiwoz.goals import DomainGoal, Goal
from td_gym.scenarios.multiwoz.schema import DOMAINS, DONTCARE, TIME_SLOTS, UNKNOWN, Act

MOST_TRIES = 2
"""How often the customer comes back to what nobody heeds, before it lets it go."""
NEGLECTED, CORRECTED = 0.2, 0.1
"""Irritation for having to come back to something, and for having to correct something or to answer it again."""
_FOUND = ("restaurant", "hotel", "attraction", "train")
"""Domains in which the service offers entities."""


class Move(NamedTuple):
    """An act of the customer, and why it is made.

    ``start`` brings a domain up; ``inform`` states a constraint; ``request`` asks for a slot, or with the domain's key
    for an entity; ``book`` states a detail of a booking, or without a slot asks for it; ``affirm`` and ``decline``
    answer an offer to book; ``bye`` ends the conversation.
    """

    intent: str
    domain: str
    slot: str = ""
    value: str = ""
    reason: str = ""
    """Empty for what is said unasked; else ``answer``, ``correct``, ``switch`` (to the alternative) or ``again``."""


@dataclass
class Mind(PlainMind):
    """What a customer keeps in mind; plain data, kept in ``episode.memory``."""

    stack: list[list[str]]
    """The agenda: moves, the next one last."""
    wants: dict[str, dict[str, str]]
    """Constraints in force, by domain."""
    details: dict[str, dict[str, str]]
    """Booking details in force, by domain."""
    domain: str = ""
    """The domain spoken of last."""
    offered: dict[str, str] = field(default_factory=dict)
    """The entity that is being talked about, by domain."""
    heard: dict[str, dict[str, str]] = field(default_factory=dict)
    """Answers to requests, by domain; ``ref`` for what was booked."""
    open: list[list[str]] = field(default_factory=list)
    """What the last turn asked for, as moves."""
    tries: dict[str, int] = field(default_factory=dict)
    """How often the customer had to come back to something, by domain and slot."""
    lost: list[str] = field(default_factory=list)
    """What was given up: a domain, or a domain and a slot."""
    irritation: float = 0.0

    def push(self, *moves: Move) -> None:
        """Put ``moves`` on top, the first topmost, and take away what they replace further down."""
        new: dict[tuple[str, ...], Move] = {}
        for move in moves:
            new.setdefault(move[:3], move)
        self.stack[:] = [move for move in self.stack if tuple(move[:3]) not in new]
        self.stack += map(list, reversed(new.values()))

    def drop(self, domain: str, intent: str, slot: str) -> None:
        """Take the moves with this intent and slot off the agenda."""
        self.stack[:] = [move for move in self.stack if move[:3] != [intent, domain, slot]]

    def waits(self, domain: str, intent: str) -> bool:
        """Whether a slot is still to be named with this intent in ``domain``."""
        return any(move[:2] == [intent, domain] and move[2] for move in self.stack)

    def give_up(self, domain: str, what: str = "") -> None:
        """Let a domain go, or only one of its requests, or its booking (``book``)."""
        self.lost.append(f"{domain} {what}".strip())
        self.stack[:] = [move for move in self.stack if move[1] != domain or (what and what not in (move[2], move[0]))]

    def seek(self, domain: str) -> None:
        """Put the request for an entity of ``domain`` below the constraints that are still to be stated."""
        self.push(*self.unstated(domain), find(domain))

    def unstated(self, domain: str) -> list[Move]:
        """Return the constraints of ``domain`` that are on the agenda, the next one first."""
        return [Move(*move) for move in reversed(self.stack) if move[:2] == ["inform", domain]]


def find(domain: str) -> Move:
    """Return the request for an entity of ``domain``."""
    return Move("request", domain, DOMAINS[domain].key)


def begin(goal: Goal) -> Mind:
    """Return the mind of a customer who has said nothing yet: first what fails, if anything does."""
    wants = {domain: dict(part.fail_inform or part.inform) for domain, part in goal.domains.items()}
    details = {domain: {**part.book, **part.fail_book} for domain, part in goal.domains.items()}
    mind = Mind([], wants, details)
    moves = []
    for domain, part in goal.domains.items():
        moves.append(Move("start", domain))
        slots = dict.fromkeys((*(slot for slot in part.same if domain == "taxi"), *wants[domain]))
        moves += [Move("inform", domain, slot, wants[domain].get(slot, "")) for slot in slots]
        if domain in _FOUND:
            moves.append(find(domain))
        moves += [Move("request", domain, slot) for slot in part.request]
        moves += [Move("book", domain, slot, value) for slot, value in details[domain].items()]
    mind.push(*moves, Move("bye", ""))
    return mind


# Push rules.


def hear(mind: Mind, goal: Goal, acts: Sequence[Act]) -> None:
    """Push what the acts of a service message call for.

    What was asked for comes up again unless it is answered, below anything that the message itself calls for:
    alternatives, answers to its questions, corrections on top.
    """
    asked = [Move(*move)._replace(reason="again") for move in mind.open]
    mind.open.clear()
    mind.push(*asked)
    acts = [act if act.domain else act._replace(domain=mind.domain) for act in acts]
    for domain in dict.fromkeys(act.domain for act in acts if act.domain in goal.domains):
        if domain not in mind.lost:
            part, said = goal.domains[domain], [act for act in acts if act.domain == domain]
            mind.heard.setdefault(domain, {})
            _hear_offers(mind, part, domain, said)
            _hear_answers(mind, part, domain, said)
            _hear_refusals(mind, part, domain, said)
            _hear_questions(mind, goal, domain, said)
            _hear_mismatches(mind, goal, domain, said)
    if mind.stack[-1][4] != "again":  # the service wants to know something first
        for move in mind.stack:
            if move[4] == "again":
                move[4] = ""


def _told(acts: Sequence[Act], *intents: str) -> dict[str, list[str]]:
    """Return the values of acts with these intents, by slot."""
    told: dict[str, list[str]] = {}
    for act in acts:
        if act.intent in intents and act.value:
            told.setdefault(act.slot, []).append(act.value)
    return told


def _hear_offers(mind: Mind, part: DomainGoal, domain: str, acts: Sequence[Act]) -> None:
    """Take up what is offered: what was asked for by name, else the first of several."""
    key = DOMAINS[domain].key
    names = _told(acts, "recommend").get(key, [])
    want = mind.wants[domain].get(key, "")
    if not names or (want and want not in names):
        return
    known = mind.offered.get(domain, "")
    if known not in names:
        _forget_offer(mind, part, domain)
        mind.offered[domain] = want or names[0]
    mind.drop(domain, "request", key)
    if len(set(names)) > 1 and not want:
        mind.push(Move("inform", domain, key, mind.offered[domain], "answer"))


def _forget_offer(mind: Mind, part: DomainGoal, domain: str) -> None:
    """Let go of the entity spoken of with all that was told of it, and look for another."""
    mind.offered.pop(domain, None)
    told = [slot for slot in part.request if mind.heard[domain].pop(slot, "")]
    mind.push(*(Move("request", domain, slot) for slot in told))
    if domain in _FOUND:
        mind.seek(domain)


def _hear_answers(mind: Mind, part: DomainGoal, domain: str, acts: Sequence[Act]) -> None:
    """Take note of what was asked for, of which a message may say one value only, and of a booking."""
    told = _told(acts, "inform", "recommend", "booked")
    heard = mind.heard[domain]
    for slot in part.request:
        if len(set(told.get(slot, ()))) == 1:
            heard[slot] = told[slot][0]
            mind.drop(domain, "request", slot)
    if not part.book or not any(act.intent == "booked" for act in acts):
        return
    mind.drop(domain, "book", "")
    if mind.waits(domain, "book"):
        return  # without the details it cannot be what the customer wants
    if "ref" in told:
        heard["ref"] = told["ref"][0]
        mind.drop(domain, "request", "ref")
    elif "ref" not in heard:
        mind.push(Move("request", domain, "ref"))


def _hear_refusals(mind: Mind, part: DomainGoal, domain: str, acts: Sequence[Act]) -> None:
    """Take up the alternative when nothing is found or a booking fails; without one insist once, then give up."""
    intents = {act.intent for act in acts}
    if not intents & {"no_offer", "no_book"}:
        return
    asked_to_book = bool(part.book) and not mind.waits(domain, "book") and "ref" not in mind.heard[domain]
    if asked_to_book and domain in mind.offered:
        mind.drop(domain, "book", "")
        _turn_to(mind, domain, "book", mind.details[domain], part.book)
    else:
        _turn_to(mind, domain, "inform", mind.wants[domain], part.inform)
        if "recommend" not in intents and domain not in mind.lost:
            _forget_offer(mind, part, domain)


def _turn_to(mind: Mind, domain: str, intent: str, now: dict[str, str], then: Mapping[str, str]) -> None:
    """Push what the alternative ``then`` has other than ``now``, or where there is none left all of it once more."""
    changed = {slot: value for slot, value in then.items() if now.get(slot) != value}
    reason = "switch" if changed else "again"
    if not changed and mind.waits(domain, intent):
        return  # there is more to say yet
    name = f"{domain} no {intent}"
    mind.tries[name] = mind.tries.get(name, 0) + (not changed)
    if mind.tries[name] > 1:
        mind.give_up(domain, "book" if intent == "book" else "")
        return
    now.clear()
    now.update(then)
    mind.push(*(Move(intent, domain, slot, value, reason) for slot, value in (changed or then).items()))


def _hear_questions(mind: Mind, goal: Goal, domain: str, acts: Sequence[Act]) -> None:
    """Answer questions, with no preference where the goal has none; decline a booking that is not wanted."""
    spec, details = DOMAINS[domain], mind.details[domain]
    answers = []
    for act in acts:
        if act.intent == "offer_book" and not details and domain in _FOUND:
            answers.append(Move("decline", domain, "book", reason="answer"))
        elif act.intent in ("request", "select"):
            slot = _own_time(mind, domain, act.slot)
            if slot in details:
                answers.append(Move("book", domain, slot, details[slot], "answer"))
            elif slot in spec.inform and (slot != spec.key or slot in mind.wants[domain]):
                answers.append(Move("inform", domain, slot, wanted(mind, goal, domain, slot) or DONTCARE, "answer"))
    answers = list(dict.fromkeys(answers))
    for answer in answers:
        name = f"{domain} {answer.slot} answered"
        mind.irritation += CORRECTED * (name in mind.tries)
        mind.tries[name] = 1
    mind.push(*answers)
    if any(answer.intent == "book" for answer in answers):  # what is booked depends on it
        mind.push(*(move._replace(reason="answer") for move in mind.unstated(domain)))
    if any(act.intent == "offer_book" for act in acts) and mind.stack[-1][:2] == ["book", domain]:
        mind.push(Move("affirm", domain, reason="answer"))


def wanted(mind: Mind, goal: Goal, domain: str, slot: str) -> str:
    """Return the value of a constraint in force, empty for none; a taxi's ends may be what was found elsewhere."""
    value = mind.wants[domain].get(slot, "")
    other = goal.domains[domain].same.get(slot, "")
    if value or domain != "taxi" or not other:
        return value
    return mind.offered.get(other, "") or mind.wants[other].get("name", "")


def _own_time(mind: Mind, domain: str, slot: str) -> str:
    """Return the time that the customer has in mind when the service asks for the other one."""
    wants = mind.wants[domain]
    if slot in TIME_SLOTS and slot not in wants:
        return next((time for time in ("leaveat", "arriveby") if time in wants), slot)
    return slot


def _hear_mismatches(mind: Mind, goal: Goal, domain: str, acts: Sequence[Act]) -> None:
    """Correct what is not as it should be: an offer that breaks a constraint, a booking with another detail.

    A constraint that an offer keeps need not be stated any more.
    """
    key, details = DOMAINS[domain].key, mind.details[domain]
    told = _told(acts, "inform", "recommend")
    wrong = []
    for slot, values in told.items():
        want = details.get(slot, "") or wanted(mind, goal, domain, slot)
        if not want:
            continue
        if any(_suits(domain, slot, value, want) for value in values):
            if domain in mind.offered:
                mind.drop(domain, "inform", slot)
        else:
            wrong.append(Move("book" if slot in details else "inform", domain, slot, want, "correct"))
    if not wrong:
        return
    mind.irritation += CORRECTED
    if key in told and any(move.intent == "inform" for move in wrong):
        _forget_offer(mind, goal.domains[domain], domain)
    if any(move.intent == "book" for move in wrong):
        mind.heard[domain].pop("ref", None)
    mind.push(*wrong)


def _suits(domain: str, slot: str, value: str, want: str) -> bool:
    """Whether a value is what is wanted; a train may leave later and arrive earlier than it has to."""
    if DONTCARE in (value, want) or value == UNKNOWN:
        return True
    if domain == "train" and slot in ("leaveat", "arriveby"):
        return value >= want if slot == "leaveat" else value <= want
    return value == want


# Pop rules.


def speak(mind: Mind, goal: Goal, count: int) -> list[Move]:
    """Pop the moves of a turn: of one kind and domain, ``count`` of what is said unasked, and all that is due."""
    moves: list[Move] = []
    while mind.stack:
        move = Move(*mind.stack[-1])
        if moves and not _goes_with(moves[-1], move):
            break
        if not move.reason and sum(other.intent not in ("start", "affirm", "decline") for other in moves) >= count:
            break
        mind.stack.pop()
        if move.reason == "again" and not _comes_back(mind, move):
            continue
        if move.intent == "inform" and not move.value:
            move = move._replace(value=wanted(mind, goal, move.domain, move.slot))
            if not move.value:  # a ride between places of which one was not found
                moves = [other for other in moves if other.domain != move.domain]
                mind.give_up(move.domain)
                continue
        moves.append(move)
    mind.domain = next((move.domain for move in reversed(moves) if move.domain), mind.domain)
    _await(mind, moves)
    return moves


def _goes_with(one: Move, other: Move) -> bool:
    """Whether two moves fit into one turn, in this order."""
    if one.intent in ("affirm", "decline"):
        return True
    if one.domain != other.domain or _is_find(one):
        return False
    if _is_find(other):
        return one.intent == "inform" and not one.reason
    return one.intent in ("start", other.intent)


def _is_find(move: Move) -> bool:
    return move.intent == "request" and move.slot == DOMAINS[move.domain].key


def _comes_back(mind: Mind, move: Move) -> bool:
    """Whether the customer comes back to something once more; otherwise it is given up."""
    name = f"{move.domain} {move.slot or move.intent}"
    mind.tries[name] = mind.tries.get(name, 0) + 1
    mind.irritation += NEGLECTED
    if mind.tries[name] <= MOST_TRIES:
        return True
    mind.give_up(move.domain, "" if _is_find(move) else move.slot or move.intent)
    return False


def _await(mind: Mind, moves: Sequence[Move]) -> None:
    """Take note of what a turn asks for: answers, or once all details are said a booking."""
    mind.open += [list(move) for move in moves if move.intent == "request"]
    for domain in dict.fromkeys(move.domain for move in moves if move.intent == "book"):
        if not mind.waits(domain, "book"):
            mind.open.append(list(Move("book", domain)))


def share_met(mind: Mind, goal: Goal) -> float:
    """Return how much of the goal is met as far as the customer can tell, from 0 to 1."""
    met = []
    for domain, part in goal.domains.items():
        heard = mind.heard.get(domain, {})
        if domain in _FOUND:
            met.append(domain in mind.offered)
        met += [heard.get(slot, UNKNOWN) != UNKNOWN for slot in part.request]
        if part.book:
            met.append("ref" in heard)
    return sum(met) / len(met) if met else 1.0
