"""The second customer of MultiWOZ, kept for evaluation: a list of wishes that it ticks off.

It shares no reading and no words with the first.  It says more at once, goes through its wishes in a fixed order,
compares what it is told with what it asked for, and is sooner tired of hearing nothing new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from td_gym.episode import Episode
from td_gym.scenarios.mind import PlainMind
from td_gym.scenarios.multiwoz.customer_b_reading import Heard, listen
from td_gym.scenarios.multiwoz.customer_b_speech import Speech
from td_gym.scenarios.multiwoz.goals import DomainGoal
from td_gym.scenarios.wording import joined

if TYPE_CHECKING:
    from td_gym.scenarios.multiwoz.cases import Case
    from td_gym.scenarios.multiwoz.scenario import MultiWOZ

_AT_ONCE = {"reserved": 1, "on_request": 2, "forthcoming": 4}
"""Wishes stated in one message, by how freely the persona tells things."""
_MOST_ASKED = 3
"""Times that a question is put, or a wish repeated, before it is dropped."""
_LONGEST = 900
_TIRED, _TIRED_OF_NOTHING = 1.0, 0.3
_WITHOUT_ENTITY = ("taxi", "hospital", "police")


@dataclass
class Mind(PlainMind):
    """What the customer keeps in mind; plain data."""

    left: list[str]
    """Domains still to do, the current one first."""
    wants: dict[str, str]
    """Constraints in force in the current domain."""
    details: dict[str, str]
    """Details of the booking in force."""
    said: list[str] = field(default_factory=list)
    """Slots of ``wants`` stated so far."""
    place: dict[str, str] = field(default_factory=dict)
    """What was offered last, by domain."""
    known: list[str] = field(default_factory=list)
    """Questions of the current domain that were answered."""
    asked: dict[str, int] = field(default_factory=dict)
    """How often something was put, in the current domain."""
    booked: bool = False
    reopened: bool = False
    """The alternative to what cannot be had is in force."""
    met: int = 0
    """Wishes met so far, of all domains done."""
    tired: float = 0.0


def reply(episode: Episode) -> str:
    """Return the customer's next message, with an end mark when it is through."""
    case: Case = episode.case
    speech = Speech(case.persona, episode.split, episode.seed, episode.service_turns)
    memory = episode.memory.get("customer")
    if memory is None:
        mind = Mind(list(case.goal.domains), {}, {})
        episode.memory["customer"] = vars(mind)
        return _open(mind, case, speech)
    mind = Mind.of(memory)
    turn = episode.transcript[-1]
    scenario: MultiWOZ = episode.scenario  # type: ignore[assignment]
    if turn.action == "transfer":
        return f"{speech.say('parting_bad')} {_mark(mind, case)}"
    if not turn.shown.strip() or len(turn.shown) > _LONGEST:
        mind.tired += _TIRED_OF_NOTHING
        return speech.say("confused") if mind.tired < _TIRED else f"{speech.say('parting_cross')} [hangup:1]"
    heard = listen(turn.shown, mind.left[0], scenario.database)
    before = _progress(mind)
    text = _react(mind, case, heard, speech)
    if _progress(mind) == before:
        mind.tired += _TIRED_OF_NOTHING / 2
    if not mind.left:
        return f"{text} {_mark(mind, case)}"
    return text if mind.tired < _TIRED else f"{speech.say('parting_cross')} [hangup:1]"


def _progress(mind: Mind) -> tuple[object, ...]:
    """Return what changes whenever a message gets the customer any further."""
    return len(mind.known), mind.booked, dict(mind.place), len(mind.left), mind.reopened, len(mind.said)


def _react(mind: Mind, case: Case, heard: Heard, speech: Speech) -> str:
    """Take in a message, and answer it or go on with the list."""
    domain = mind.left[0]
    part = case.goal.domains[domain]
    if heard.name and heard.name != mind.place.get(domain):
        mind.place[domain] = heard.name
        mind.known.clear()
    mind.known += [slot for slot in part.request if slot not in mind.known and _is_answered(mind, slot, heard)]
    mind.booked |= bool(heard.reference and "book" in mind.asked)
    if heard.name and (wrong := _misses(mind, heard)):
        del mind.place[domain]
        return _state(mind, domain, wrong, speech, "objects")
    if heard.refuses_booking and "book" in mind.asked and not mind.booked:
        return _rebook(mind, case, part, speech)
    if heard.finds_nothing and not heard.name:
        return _look_elsewhere(mind, case, part, speech)
    if answer := _answer(mind, domain, heard, speech):
        return answer
    return _go_on(mind, case, speech)


def _is_answered(mind: Mind, slot: str, heard: Heard) -> bool:
    return slot in heard.told or (heard.knows_not and f"? {slot}" in mind.asked)


def _misses(mind: Mind, heard: Heard) -> list[str]:
    """Return the slots in which what was offered is said to be something else than was stated."""
    return [slot for slot, told in heard.values.items() if slot in mind.said and mind.wants[slot] not in told]


def _answer(mind: Mind, domain: str, heard: Heard, speech: Speech) -> str:
    """Return the answer to what the message asks for, empty where it asks for nothing."""
    wanted = [slot for slot in heard.asks if slot in mind.wants]
    details = [slot for slot in heard.asks if slot in mind.details]
    if wanted and not all(mind.asked.get(slot, 0) > _MOST_ASKED for slot in wanted):
        return _state(mind, domain, wanted, speech, "answers")
    if details:
        mind.asked["book"] = mind.asked.get("book", 0) + 1
        return speech.say("details", what=speech.details(domain, {slot: mind.details[slot] for slot in details}))
    if heard.asks:
        return joined(speech.say("any"), _pending(mind, domain, speech))
    if heard.offers_booking and not mind.details:
        return joined(speech.say("no_booking"), _pending(mind, domain, speech) or _ask(mind, domain, (), speech))
    return ""


def _pending(mind: Mind, domain: str, speech: Speech) -> str:
    """Return wishes not yet stated, in words."""
    slots = [slot for slot in mind.wants if slot not in mind.said]
    return _state(mind, domain, slots[:2], speech, "adds") if slots else ""


def _go_on(mind: Mind, case: Case, speech: Speech) -> str:
    """Return the next point of the list."""
    domain = mind.left[0]
    part = case.goal.domains[domain]
    if pending := _pending(mind, domain, speech):
        return pending
    if domain not in _WITHOUT_ENTITY and domain not in mind.place:
        return _insist(mind, case, speech, "find")
    open_questions = [slot for slot in part.request if slot not in mind.known]
    if asked := _ask(mind, domain, open_questions, speech):
        return asked
    if mind.details and not mind.booked and mind.asked.get("book", 0) < _MOST_ASKED:
        mind.asked["book"] = mind.asked.get("book", 0) + 1
        return speech.say("book", what=speech.details(domain, mind.details))
    return _next(mind, case, speech)


def _ask(mind: Mind, domain: str, slots: Sequence[str], speech: Speech) -> str:
    """Return a question for two of ``slots``, leaving out what was asked too often."""
    due = [slot for slot in slots if mind.asked.get(f"? {slot}", 0) < _MOST_ASKED][:2]
    for slot in due:
        mind.asked[f"? {slot}"] = mind.asked.get(f"? {slot}", 0) + 1
    return speech.say("asks", what=speech.questions(domain, due)) if due else ""


def _state(mind: Mind, domain: str, slots: Sequence[str], speech: Speech, act: str) -> str:
    for slot in slots:
        mind.asked[slot] = mind.asked.get(slot, 0) + 1
    mind.said += [slot for slot in slots if slot not in mind.said]
    return speech.say(act, what=speech.wishes(domain, {slot: mind.wants[slot] for slot in slots}))


def _insist(mind: Mind, case: Case, speech: Speech, act: str) -> str:
    """Repeat all wishes, or drop the domain after that was done often enough."""
    mind.asked[act] = mind.asked.get(act, 0) + 1
    if mind.asked[act] > _MOST_ASKED:
        return _next(mind, case, speech)
    return speech.say(act, what=speech.wishes(mind.left[0], mind.wants))


def _look_elsewhere(mind: Mind, case: Case, part: DomainGoal, speech: Speech) -> str:
    """Return what comes after nothing was found: the alternative, once, or the same again."""
    domain = mind.left[0]
    if part.fail_inform and not mind.reopened:
        changed = [slot for slot in part.inform if mind.wants.get(slot) != part.inform[slot]]
        mind.reopened = True
        mind.wants = dict(part.inform)
        return _state(mind, domain, changed, speech, "instead")
    return _pending(mind, domain, speech) or _insist(mind, case, speech, "again")


def _rebook(mind: Mind, case: Case, part: DomainGoal, speech: Speech) -> str:
    if mind.details != part.book:
        mind.details = dict(part.book)
        return speech.say("details", what=speech.details(mind.left[0], mind.details))
    return _insist(mind, case, speech, "again")


def _next(mind: Mind, case: Case, speech: Speech) -> str:
    """Close the current domain and open the next, or take leave."""
    domain = mind.left.pop(0)
    mind.met += len(mind.known) + mind.booked + (domain in mind.place)
    for held in (mind.said, mind.known, mind.asked):
        held.clear()
    mind.booked = mind.reopened = False
    if mind.left:
        return _open(mind, case, speech)
    return speech.say("parting_good" if mind.met >= _wishes(case) else "parting_bad")


def _open(mind: Mind, case: Case, speech: Speech) -> str:
    """Bring up the current domain with the first wishes."""
    domain = mind.left[0]
    part = case.goal.domains[domain]
    mind.wants = {**_ends(part, mind.place), **(part.fail_inform or part.inform)}
    mind.details = dict(part.fail_book or part.book)
    slots = list(mind.wants)[: _AT_ONCE[case.persona.information_disclosure]]
    opening = speech.say(f"open_{domain}")
    return speech.finish(joined(opening, _state(mind, domain, slots, speech, "adds") if slots else ""))


def _ends(part: DomainGoal, place: Mapping[str, str]) -> dict[str, str]:
    """Return the ends of a ride that are what was found in other domains."""
    ends = {slot: other for slot, other in part.same.items() if slot in ("departure", "destination")}
    return {slot: place[other] for slot, other in ends.items() if other in place}


def _wishes(case: Case) -> int:
    """Return how many wishes there are: an entity, a booking, every question."""
    return sum(
        len(part.request) + bool(part.book) + (domain not in _WITHOUT_ENTITY)
        for domain, part in case.goal.domains.items()
    )


def _mark(mind: Mind, case: Case) -> str:
    share = mind.met / max(1, _wishes(case))
    return f"[end:{1.0 + 4.0 * min(1.0, share) * (1.0 - 0.3 * min(1.0, mind.tired)):.4f}]"
