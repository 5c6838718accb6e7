"""How the rule agent decides: from what was read to acts ``[intent, domain, slot, value]`` to say, or a tool to call.

Values stand as ``[slots]``, filled just before a message is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from td_gym.draws import uniform
from td_gym.scenarios.multiwoz.answers import Answer
from td_gym.scenarios.multiwoz.briefing import Reading
from td_gym.scenarios.multiwoz.schema import DOMAINS, DONTCARE, UNKNOWN, Act

_ASKS = {
    "restaurant": ("food", "area", "pricerange"),
    "hotel": ("area", "pricerange", "type", "stars", "parking", "internet"),
    "attraction": ("type", "area"),
    "hospital": ("department",),
}
"""What may be asked of a customer before something is offered, in order."""
_NEEDED = {"train": ("departure", "destination", "day", "leaveat"), "taxi": ("departure", "destination", "leaveat")}
"""What must be known before anything is offered or booked; a time of arrival does for one of departure."""
_MOST_CALLS = 4
"""Calls in a row before the agent speaks."""
_MOST_ANSWERS = 4
"""Questions answered about a domain in one message."""
_MOST_QUESTIONS = 2
"""Questions asked about a domain in one message."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How an agent works; the defaults are the skilled one."""

    care: float = 1.0
    """Probability of each step of good service being taken."""
    offers_from: int = 10
    """Entities found at or below which the agent offers one without asking for more."""
    looks_again: bool = False
    """Whether the agent repeats its last look-up in every domain before each message."""


SKILLED = Habits()


class Plan(NamedTuple):
    """The next move: acts to say, or a tool to call."""

    acts: tuple[Act, ...] = ()
    call: str = ""
    domain: str = ""


class Planner:
    """Plans one message from what was read."""

    def __init__(self, reading: Reading, habits: Habits, seed: int) -> None:
        self.reading = reading
        self.state = reading.state
        self.habits = habits
        self.seed = seed

    def plan(self) -> Plan:
        """Return the next move."""
        domains = self.state.touched or ((self.state.domain,) if self.state.domain else ())
        if "bye" in self.state.said and not self.state.touched:
            return Plan((Act("bye", "general"),))
        if len(self.reading.since) < _MOST_CALLS:
            for domain in domains:
                if call := self._call(domain):
                    return Plan(call=call, domain=domain)
            for domain, sought in self.reading.looked_up.items() if self.habits.looks_again else ():
                if not self._just(domain, "query"):
                    return Plan(call=_call("query", domain, sought), domain=domain)
        acts = [act for domain in domains for act in self._speak(domain)]
        if not self.reading.own:
            acts.insert(0, Act("greet", "general"))
        if not domains:
            acts.append(Act("greet", "general", "need"))
        elif not any(act.intent in ("request", "offer_book", "no_offer", "no_book") for act in acts):
            acts.append(Act("reqmore", "general"))
        return Plan(tuple(acts))

    # Tools.

    def _call(self, domain: str) -> str:
        """Return the tool call that ``domain`` needs before anything can be said of it, empty for none."""
        if self._skips("look", domain):
            return ""
        if domain != "taxi" and (self._is_due(domain) or self._passes(domain)):
            return self.look_up(domain)
        return self.book(domain) if self._is_to_book(domain) else ""

    def look_up(self, domain: str) -> str:
        """Return the look-up of what is wanted in ``domain``, or of the next that was found, where that one is."""
        spec, sought = DOMAINS[domain], self.state.need(domain).sought(domain)
        if not self._is_due(domain) and self._passes(domain):
            return _call("query", domain, {spec.key: "[next]"})
        return _call("query", domain, {slot: f"[wanted_{slot}]" for slot in spec.lookup if slot in sought})

    def book(self, domain: str) -> str:
        """Return the booking of what was found last in ``domain``, or of a taxi, with the details that are known."""
        need, key = self.state.need(domain), DOMAINS[domain].key
        details = {slot: f"[wanted_{slot}]" for slot in self._details(domain)}
        named = f"[{key}]" if self._key(domain) else f"[wanted_{key}]" if key in need.inform else ""
        return _call("book", domain, {key: named, **details} if named else details)

    def _is_due(self, domain: str) -> bool:
        """Return whether what is wanted was not looked up yet."""
        need = self.state.need(domain)
        sought = need.sought(domain)
        if domain == "train" and self._missing(domain):
            return False
        known = bool(sought) or domain in ("police", "hospital") or bool(need.asked) or self._asked_all(domain)
        return known and self.reading.looked_up.get(domain) != sought

    def _passes(self, domain: str) -> bool:
        """Return whether the customer wants an alternative to what was found, and there is one."""
        return self._key(domain) in self.state.need(domain).passed and bool(self.reading.next(domain))

    def _is_to_book(self, domain: str) -> bool:
        """Return whether all that a booking needs is known, and it was not tried with that."""
        spec, key, tried = DOMAINS[domain], self._key(domain), self.reading.booked_with.get(domain)
        if domain == "taxi":
            return not self._missing(domain) and tried != self._details(domain)
        if not (self.state.need(domain).wants_booking and spec.book and key) or self._missing_details(domain):
            return False
        return tried != {spec.key: key, **self._details(domain)}

    # Words.

    def _speak(self, domain: str) -> Iterator[Act]:
        answer, booking = self._found(domain), self._just(domain, "book")
        lacking = self._missing(domain) if domain == "taxi" else answer is None
        if booking is not None:
            yield from self._speak_of_booking(domain, booking)
        elif lacking:
            yield from self._requests(domain, self._open(domain))
        elif answer is not None and not answer.count:
            yield Act("no_offer", domain)
        else:
            yield from self._speak_of_found(domain, answer)

    def _speak_of_booking(self, domain: str, booking: Answer) -> Iterator[Act]:
        if booking.error:
            yield Act("no_book", domain)
            return
        if domain != "taxi" and self.state.need(domain).offered != self._key(domain):
            yield Act("recommend", domain)
        yield Act("booked", domain)
        yield from self.asked(domain)

    def _speak_of_found(self, domain: str, answer: Answer | None) -> Iterator[Act]:
        need, asked = self.state.need(domain), self._to_answer(domain)
        if answer is not None and (need.wants_offer or need.offered != self._key(domain)):
            if not asked and (narrowing := self._narrowing(domain, answer)):
                yield from self._requests(domain, narrowing)
                return
            if domain not in ("police", "hospital") or not asked:
                yield Act("recommend", domain)
        elif self._just(domain, "query"):
            yield Act("recommend", domain, "again")
        yield from self._informs(domain, asked)
        if not DOMAINS[domain].book:
            return
        if need.wants_booking and (missing := self._missing_details(domain)):
            yield from self._requests(domain, missing)
        elif need.wants_booking:
            made = self.reading.latest(domain, "book")  # with the same details
            yield Act("booked" if made and not made.error else "no_book", domain)
        elif not asked and domain not in self.reading.booked_with and domain not in self.reading.proposed:
            yield Act("offer_book", domain)

    def questions(self, domain: str) -> list[Act]:
        """Return two questions about what is wanted in ``domain``; none where nothing can be asked."""
        details = self._missing_details(domain)
        urgent = details if self.state.need(domain).wants_booking else ()
        return list(self._requests(domain, urgent or self._open(domain) or details or _ASKS.get(domain, ())))

    def answers(self, domain: str) -> list[Act]:
        """Return what was asked for in ``domain``, else the first thing to tell; none while that is to be looked up."""
        booked = self.reading.latest(domain, "book") is not None
        found = self._found(domain) is not None and not self._is_due(domain)
        if not (found or booked):
            return []
        known = (slot for slot in DOMAINS[domain].request if self._value(domain, slot) != UNKNOWN)
        return list(self._informs(domain, self._to_answer(domain) or known))

    def asked(self, domain: str) -> list[Act]:
        """Return what was asked for about an entity of ``domain``."""
        slots = (slot for slot in self._to_answer(domain) if slot not in DOMAINS[domain].confirmed)
        return list(self._informs(domain, slots))

    def _to_answer(self, domain: str) -> list[str]:
        """Return the slots asked for in ``domain`` that the agent does not pass over."""
        return [slot for slot in self.state.need(domain).asked if not self._skips("answer", slot)]

    def _informs(self, domain: str, slots: Iterable[str]) -> Iterator[Act]:
        for slot in islice(slots, _MOST_ANSWERS):
            yield Act("inform", domain, slot, self._value(domain, slot))

    def _requests(self, domain: str, slots: Iterable[str]) -> Iterator[Act]:
        for slot in islice(slots, _MOST_QUESTIONS):
            yield Act("request", domain, slot, "?")

    def _narrowing(self, domain: str, answer: Answer) -> Sequence[str]:
        """Return a slot to ask for because too much was found, in a list; none where the agent offers."""
        need = self.state.need(domain)
        if answer.count <= self.habits.offers_from or DOMAINS[domain].key in need.inform or need.wants_booking:
            return ()
        return [slot for slot in self._unstated(domain) if (domain, slot) not in self.reading.asked][:1]

    # What is known.

    def _found(self, domain: str) -> Answer | None:
        return self.reading.latest(domain, "query")

    def _just(self, domain: str, tool: str) -> Answer | None:
        """Return the last answer of ``tool`` about ``domain`` since the customer last spoke, ``None`` for none."""
        matches = (answer for answer in reversed(self.reading.since) if (answer.tool, answer.domain) == (tool, domain))
        return next(matches, None)

    def _key(self, domain: str) -> str:
        """Return the name or train id that was found last, empty for none."""
        answer = self._found(domain)
        return answer.entity.get(DOMAINS[domain].key, "") if answer else ""

    def _value(self, domain: str, slot: str) -> str:
        booking = self.reading.latest(domain, "book")
        held = {**(answer.entity if (answer := self._found(domain)) else {}), **(booking.entity if booking else {})}
        return held.get(slot, UNKNOWN)

    def _open(self, domain: str) -> list[str]:
        """Return what must still be known before anything is looked up or booked, else what may still be asked."""
        return self._missing(domain) or self._unstated(domain)

    def _unstated(self, domain: str) -> list[str]:
        return [slot for slot in _ASKS.get(domain, ()) if slot not in self.state.need(domain).inform]

    def _missing(self, domain: str) -> list[str]:
        """Return what must still be known before anything is looked up or booked."""
        need = self.state.need(domain)
        times = [need.inform[slot] for slot in ("leaveat", "arriveby") if slot in need.inform]
        timed = any(time != DONTCARE for time in times) or (bool(times) and domain != "taxi")  # a taxi comes at a time
        known = {*need.inform} - {"leaveat"} | ({"leaveat"} if timed else set())
        return [slot for slot in _NEEDED.get(domain, ()) if slot not in known]

    def _details(self, domain: str) -> dict[str, str]:
        """Return the details of a booking that are known; those of a taxi are its constraints."""
        need, spec = self.state.need(domain), DOMAINS[domain]
        stated, slots = (need.inform, spec.inform) if domain == "taxi" else (need.book, spec.book)
        return {slot: stated[slot] for slot in slots if stated.get(slot, DONTCARE) != DONTCARE}

    def _missing_details(self, domain: str) -> list[str]:
        details = self._details(domain)
        return [slot for slot in DOMAINS[domain].book if slot not in details]

    def _asked_all(self, domain: str) -> bool:
        return all((domain, slot) in self.reading.asked for slot in _ASKS.get(domain, ())[:_MOST_QUESTIONS])

    def _skips(self, step: str, what: str) -> bool:
        """Return whether a careless agent leaves this step out now."""
        care = self.habits.care
        return care < 1.0 and uniform(self.seed, len(self.reading.own), "care", step, what) >= care


def _call(tool: str, domain: str, arguments: dict[str, str]) -> str:
    return " ".join([f"{tool} domain={domain}", *(f'{name}="{value}"' for name, value in arguments.items())])
