"""Scripted agents of the service seat: the rule agent, oracle, demonstrator and floors.

The rule agent is the classic one of the field: it tracks what the customer wants, looks it up, and answers with acts
``[intent, domain, slot, value]``, which are then put into words.  All but the oracle read chat messages only.  A
message is *drafted* with ``[slots]`` and filled just before it is sent, so that a small model can learn the drafts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from td_gym.draws import choice, mix, uniform
from td_gym.protocol import Messages
from td_gym.scenario import Episode
from td_gym.scenarios.multiwoz.answers import Answer
from td_gym.scenarios.multiwoz.briefing import Reading
from td_gym.scenarios.multiwoz.cases import Case
from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.schema import DOMAINS, DONTCARE, UNKNOWN, Act
from td_gym.scenarios.multiwoz.state import Need
from td_gym.scenarios.scripted import EpisodePolicy, MessagePolicy, word, wordings
from td_gym.slots import SLOT, fill_slots

_WORDINGS = wordings(__package__)
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
"""Questions answered in one message."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How an agent works; the defaults are the skilled one."""

    care: float = 1.0
    """Probability of each step of good service being taken."""
    offers_from: int = 10
    """Entities found at or below which the agent offers one without asking for more."""
    looks_again: bool = False
    """Whether the agent repeats its last look-up in every domain before each message."""


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
                if not self._looked_now(domain):
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
        need = self.state.need(domain)
        if self._skips("look", domain):
            return ""
        if domain != "taxi" and (self._is_due(domain, need) or self._passes(domain, need)):
            return self.look_up(domain)
        return self._booking(domain, need)

    def look_up(self, domain: str) -> str:
        """Return the look-up of what is wanted in ``domain``, or of the next that was found, where that one is."""
        need, spec = self.state.need(domain), DOMAINS[domain]
        if not self._is_due(domain, need) and self._passes(domain, need):
            return _call("query", domain, {spec.key: "[next]"})
        sought = need.sought(domain)
        return _call("query", domain, {slot: f"[wanted_{slot}]" for slot in spec.lookup if slot in sought})

    def book(self, domain: str) -> str:
        """Return the booking of what was found last in ``domain``, or of a taxi, with the details that are known."""
        need, spec = self.state.need(domain), DOMAINS[domain]
        stated, slots = (need.inform, spec.inform) if domain == "taxi" else (need.book, spec.book)
        details = {slot: f"[wanted_{slot}]" for slot in slots if stated.get(slot, DONTCARE) != DONTCARE}
        if domain == "taxi":
            return _call("book", domain, details)
        named = f"[{spec.key}]" if self._key(domain) else f"[wanted_{spec.key}]" if spec.key in need.inform else ""
        return _call("book", domain, {spec.key: named, **details} if named else details)

    def _is_due(self, domain: str, need: Need) -> bool:
        """Return whether what is wanted was not looked up yet."""
        sought = need.sought(domain)
        if domain == "train" and self._missing(domain):
            return False
        known = bool(sought) or domain in ("police", "hospital") or bool(need.asked) or self._asked_all(domain)
        return known and self.reading.looked_up.get(domain) != sought

    def _passes(self, domain: str, need: Need) -> bool:
        """Return whether the customer wants an alternative to what was found, and there is one."""
        answer = self._found(domain)
        return answer is not None and self._key(domain) in need.passed and bool(self.reading.next(domain))

    def _booking(self, domain: str, need: Need) -> str:
        spec = DOMAINS[domain]
        if domain == "taxi":
            slots = [slot for slot in spec.inform if need.inform.get(slot, DONTCARE) != DONTCARE]
            if self._missing(domain) or self.reading.booked_with.get(domain) == {s: need.inform[s] for s in slots}:
                return ""
            return self.book(domain)
        if not (need.wants_booking and spec.book and self._key(domain)) or self._missing_details(domain):
            return ""
        if self.reading.booked_with.get(domain) == {spec.key: self._key(domain), **need.book}:
            return ""
        return self.book(domain)

    # Words.

    def _speak(self, domain: str) -> Iterator[Act]:
        need, answer = self.state.need(domain), self._found(domain)
        booking = next((a for a in reversed(self.reading.since) if (a.tool, a.domain) == ("book", domain)), None)
        if booking is not None:
            if domain != "taxi" and not booking.error and need.offered != self._key(domain):
                yield Act("recommend", domain)
            yield Act("no_book" if booking.error else "booked", domain)
            if booking.error:
                return
        elif domain == "taxi" and self._missing(domain):
            yield from self._requests(domain, self._missing(domain)[:2])
            return
        elif answer is None and domain != "taxi":
            missing = self._missing(domain) or [slot for slot in _ASKS.get(domain, ()) if slot not in need.inform]
            yield from self._requests(domain, missing[:2])
            return
        elif answer is not None and not answer.count:
            yield Act("no_offer", domain)
            return
        told = () if booking is None else DOMAINS[domain].confirmed
        asked = [slot for slot in need.asked if slot not in told and not self._skips("answer", slot)][:_MOST_ANSWERS]
        if booking is None and answer is not None and (need.wants_offer or need.offered != self._key(domain)):
            narrowing = self._narrowing(domain, answer) if not asked else ()
            if narrowing:
                yield from self._requests(domain, narrowing)
                return
            if domain not in ("police", "hospital") or not asked:
                yield Act("recommend", domain)
        elif booking is None and self._looked_now(domain):
            yield Act("recommend", domain, "again")
        for slot in asked:
            yield Act("inform", domain, slot, self._value(domain, slot))
        if booking is None and DOMAINS[domain].book:
            if need.wants_booking and self._missing_details(domain):
                yield from self._requests(domain, self._missing_details(domain)[:2])
            elif need.wants_booking:
                made = self.reading.latest(domain, "book")  # with the same details
                yield Act("booked" if made and not made.error else "no_book", domain)
            elif not asked and domain not in self.reading.booked_with and domain not in self.reading.proposed:
                yield Act("offer_book", domain)

    def questions(self, domain: str) -> list[Act]:
        """Return two questions about what is wanted in ``domain``; none where nothing can be asked."""
        need = self.state.need(domain)
        details = self._missing_details(domain)
        open_slots = [slot for slot in _ASKS.get(domain, ()) if slot not in need.inform]
        slots = (details if need.wants_booking else ()) or self._missing(domain) or open_slots or details
        return list(self._requests(domain, (slots or _ASKS.get(domain, ()))[:2]))

    def answers(self, domain: str) -> list[Act]:
        """Return what was asked for in ``domain``, else the first thing to tell; none while that is to be looked up."""
        booked = self.reading.latest(domain, "book") is not None
        found = self._found(domain) is not None and not self._is_due(domain, self.state.need(domain))
        if not (found or booked):
            return []
        known = (slot for slot in DOMAINS[domain].request if self._value(domain, slot) != UNKNOWN)
        return list(self._informs(domain, self.state.need(domain).asked or known))

    def asked(self, domain: str) -> list[Act]:
        """Return what was asked for about an entity of ``domain``."""
        slots = (slot for slot in self.state.need(domain).asked if slot not in DOMAINS[domain].confirmed)
        return list(self._informs(domain, slots))

    def _informs(self, domain: str, slots: Iterable[str]) -> Iterator[Act]:
        for slot in islice(slots, _MOST_ANSWERS):
            yield Act("inform", domain, slot, self._value(domain, slot))

    def _requests(self, domain: str, slots: Sequence[str]) -> Iterator[Act]:
        for slot in slots:
            yield Act("request", domain, slot, "?")

    def _narrowing(self, domain: str, answer: Answer) -> Sequence[str]:
        """Return a slot to ask for because too much was found, in a list; none where the agent offers."""
        need = self.state.need(domain)
        if answer.count <= self.habits.offers_from or DOMAINS[domain].key in need.inform or need.wants_booking:
            return ()
        open_slots = [
            slot
            for slot in _ASKS.get(domain, ())
            if slot not in need.inform and (domain, slot) not in self.reading.asked
        ]
        return open_slots[:1]

    # What is known.

    def _found(self, domain: str) -> Answer | None:
        return self.reading.latest(domain, "query")

    def _looked_now(self, domain: str) -> bool:
        """Return whether ``domain`` was looked up since the customer last spoke."""
        return any((answer.tool, answer.domain) == ("query", domain) for answer in self.reading.since)

    def _key(self, domain: str) -> str:
        """Return the name or train id that was found last, empty for none."""
        answer = self._found(domain)
        return answer.entity.get(DOMAINS[domain].key, "") if answer else ""

    def _value(self, domain: str, slot: str) -> str:
        booking = self.reading.latest(domain, "book")
        held = {**(answer.entity if (answer := self._found(domain)) else {}), **(booking.entity if booking else {})}
        return held.get(slot, UNKNOWN)

    def _missing(self, domain: str) -> list[str]:
        """Return what must still be known before anything is looked up or booked."""
        need = self.state.need(domain)
        times = [need.inform[slot] for slot in ("leaveat", "arriveby") if slot in need.inform]
        timed = any(time != DONTCARE for time in times) or (bool(times) and domain != "taxi")  # a taxi comes at a time
        known = {*need.inform} - {"leaveat"} | ({"leaveat"} if timed else set())
        return [slot for slot in _NEEDED.get(domain, ()) if slot not in known]

    def _missing_details(self, domain: str) -> list[str]:
        need = self.state.need(domain)
        return [slot for slot in DOMAINS[domain].book if need.book.get(slot, DONTCARE) == DONTCARE]

    def _asked_all(self, domain: str) -> bool:
        return all((domain, slot) in self.reading.asked for slot in _ASKS.get(domain, ())[:2])

    def _skips(self, step: str, what: str) -> bool:
        """Return whether a careless agent leaves this step out now."""
        care = self.habits.care
        return care < 1.0 and uniform(self.seed, len(self.reading.own), "care", step, what) >= care


def _call(tool: str, domain: str, arguments: dict[str, str]) -> str:
    return " ".join([f"{tool} domain={domain}", *(f'{name}="{value}"' for name, value in arguments.items())])


def draft(reading: Reading, habits: Habits, seed: int) -> str:
    """Return the next message with unfilled slots."""
    plan = Planner(reading, habits, seed).plan()
    if plan.call:
        return f"<action>{_named(plan.call, plan.domain, reading)}</action>"
    return worded(plan.acts, reading, seed)


def worded(acts: Iterable[Act], reading: Reading, seed: int) -> str:
    """Return acts in sentences with unfilled slots."""
    used, turn = frozenset(reading.own), len(reading.own)
    sentences = []
    for act in acts:
        for key in _keys(act):
            (sentence,) = word(_WORDINGS, [key], used, seed, turn)
            sentences.append(_named(sentence, act.domain, reading))
    return " ".join(sentences)


def _keys(act: Act) -> tuple[str, ...]:
    """Return the entries of ``service.toml`` that word an act."""
    intent, domain, slot = act.intent, act.domain, act.slot
    match intent:
        case "greet":
            return ("ask_need",) if slot else ("greet",)
        case "reqmore":
            return ("ask_more",)
        case "stall":
            return ("stall",)
        case "bye":
            return ("close",)
        case "request":
            return (f"request_type_{domain}" if slot == "type" else f"request_{slot}",)
        case "recommend":
            return ("still_train" if domain == "train" else "still",) if slot else (f"offer_{domain}",)
        case "no_offer":
            return ("no_offer", "change")
        case "no_book":
            return ("no_book", f"rebook_{domain}")
        case "booked":
            return ("booked_taxi" if domain == "taxi" else "booked",)
        case "offer_book":
            return (f"offer_book_{domain}",)
    special = f"unknown_{slot}" if act.value == "?" else f"inform_{slot}_{act.value}"
    if special in _WORDINGS:
        return (special,)
    return ("unknown" if act.value == "?" else f"inform_{slot}",)


def _named(text: str, domain: str, reading: Reading) -> str:
    """Return ``text`` with slots that name their domain, where it is not the one spoken of last."""
    if domain == reading.state.domain or domain not in DOMAINS:
        return text
    return SLOT.sub(lambda slot: f"[{domain}_{slot[0][1:-1]}]", text)


class RuleAgent(MessagePolicy):
    """The reference agent: tracks, looks up, asks, offers, answers and books by rule."""

    def __init__(self, database: Database, habits: Habits = Habits()) -> None:
        self.database = database
        self.habits = habits

    def act(self, messages: Messages, seed: int) -> str:
        """Return the next service message."""
        reading = Reading(messages, self.database)
        return fill_slots(draft(reading, self.habits, seed), messages, lambda _: reading.slots())


class Oracle(EpisodePolicy):
    """The rule agent that knows the goal: it need not ask; an upper reference only."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def draft(self, episode: Episode) -> str:
        """Return the next service message; what the customer has not said yet is taken from its goal."""
        reading = Reading(episode.messages("service"), self.database)
        case: Case = episode.case
        for domain in reading.state.touched:
            part, need = case.goal.domains.get(domain), reading.state.need(domain)
            if part and not part.fail_inform and not (domain == "taxi" and part.same):
                for slot, value in part.inform.items():
                    need.inform.setdefault(slot, value)
        filled = draft(reading, Habits(), episode.seed)
        return fill_slots(filled, (), lambda _: reading.slots())


class Demonstrator(EpisodePolicy):
    """A human-like agent of mixed skill, for supervised data: some look up less, or pass questions over."""

    def __init__(self, database: Database, seed: int) -> None:
        self.database = database
        self.seed = seed

    def draft(self, episode: Episode) -> str:
        """Return the next message with unfilled slots."""
        key = mix(self.seed, episode.seed, "demonstrator")
        habits = Habits(0.8 + 0.2 * uniform(key, "care"), choice((1, 5, 10, 20, 10_000), key, "offers_from"))
        return draft(Reading(episode.messages("service"), self.database), habits, key)


class Floor(MessagePolicy):
    """An agent that shows what no skill earns."""

    def __init__(self, database: Database, name: str) -> None:
        self.database = database
        self.name = name

    def act(self, messages: Messages, seed: int) -> str:
        """Return the next service message."""
        turn = sum(message["role"] == "assistant" for message in messages)
        if self.name == "do_nothing":
            return choice(_WORDINGS["stall"], seed, turn)
        return fill_slots(self._random(seed, turn), messages, lambda _: Reading(messages, self.database).slots())

    def _random(self, seed: int, turn: int) -> str:
        """A random sentence; three in ten messages look something up."""
        if uniform(seed, turn, "tool") < 0.3:
            domain = choice(tuple(self.database.tables), seed, turn, "domain")
            return f"<action>query domain={domain}</action>"
        return choice(_WORDINGS[choice(sorted(_WORDINGS), seed, turn, "act")], seed, turn, "wording")
