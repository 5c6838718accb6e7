"""The belief state: what the customer of one conversation wants, as far as both seats' words tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from td_gym.scenarios.multiwoz.schema import DOMAINS, DONTCARE, TIME_SLOTS, Act

_OTHER_END = {"departure": "destination", "destination": "departure"}


@dataclass
class Need:
    """What the customer wants in one domain."""

    inform: dict[str, str] = field(default_factory=dict)
    """Constraints, the latest value of each slot."""
    book: dict[str, str] = field(default_factory=dict)
    """Details of a booking."""
    asked: dict[str, None] = field(default_factory=dict)
    """Slots asked for and not told since, in order."""
    wants_booking: bool = False
    """A booking was asked for that has not been made since."""
    offered: str = ""
    """Name or train id of what the agent offered last."""
    wants_offer: bool = False
    """A suggestion was asked for that has not been made since."""
    passed: dict[str, None] = field(default_factory=dict)
    """Names or train ids offered that the customer wanted an alternative to."""

    def sought(self, domain: str) -> dict[str, str]:
        """Return the constraints by which to look: a name alone when the customer has given one."""
        key = DOMAINS[domain].key
        if key in self.inform:
            return {key: self.inform[key]}
        return {slot: value for slot, value in self.inform.items() if value != DONTCARE}


@dataclass
class State:
    """What is wanted in each domain, and which domain is talked about."""

    domain: str = ""
    """The domain that the customer spoke of last, empty before the first."""
    needs: dict[str, Need] = field(default_factory=dict)
    touched: tuple[str, ...] = ()
    """Domains that the customer's last message was about, in order."""
    said: frozenset[str] = frozenset()
    """Intents of the customer's last message."""
    requested: tuple[str, ...] = ()
    """Slots that the agent asked for last."""
    proposed: bool = False
    """The agent's last message offered to book."""

    def need(self, domain: str) -> Need:
        """Return what is wanted in ``domain``, made when it is first spoken of."""
        if domain not in self.needs:
            self.needs[domain] = Need()
        return self.needs[domain]

    def hear_customer(self, acts: Iterable[Act]) -> None:
        """Move on by the acts of a customer's message."""
        acts = list(acts)
        touched: dict[str, None] = {}
        self.said = frozenset(act.intent for act in acts)
        for act in acts:
            if act.domain == "general":
                continue
            domain, slot = self._place(act)
            if domain:
                self.domain = domain
                touched[domain] = None
                self._apply(act, domain, slot)
        self.touched = tuple(touched)
        if self.proposed and "affirm" in self.said and "book" not in self.said and self.domain:
            self.need(self.domain).wants_booking = True
            self.touched = tuple({self.domain: None} | touched)
        self.requested, self.proposed = (), False

    def _place(self, act: Act) -> tuple[str, str]:
        """Return the domain and slot that ``act`` is about; no domain where nothing makes sense of it."""
        candidates = [act.domain] if act.domain else list(dict.fromkeys((self.domain, *reversed(self.needs))))
        if act.slot == "name" and self.domain == "taxi":
            candidates = ["taxi", *candidates]  # where the agent has asked for an end of the ride
        for domain in filter(None, candidates):
            slot = self._slot(act, domain)
            if slot or act.intent in ("book", "suggest", "reqalts") or (not act.slot and act.value in ("", DONTCARE)):
                return domain, slot
        return "", ""

    def _slot(self, act: Act, domain: str) -> str:
        """Return the slot of ``domain`` that ``act`` means, empty for none."""
        spec = DOMAINS[domain]
        if act.intent == "request":
            return act.slot if act.slot in (*spec.request, *spec.confirmed) else ""
        known = spec.stated
        slot = act.slot
        if slot in TIME_SLOTS and slot not in known:
            times = [each for each in known if each in TIME_SLOTS]
            slot = next((each for each in times if each in self.requested), times[0] if times else "")
        elif domain == "taxi" and slot == "name":
            slot = next((each for each in self.requested if each in _OTHER_END), "")
        elif not slot:
            slot = next((each for each in self.requested if _may_be(domain, each, act.value)), "")
        return slot if slot in known else ""

    def _apply(self, act: Act, domain: str, slot: str) -> None:
        need, spec = self.need(domain), DOMAINS[domain]
        if act.intent == "inform" and act.value:
            for each in [slot] if slot else self.requested:
                if act.value != DONTCARE or each not in _OTHER_END:
                    self._state(domain, each, act.value)
        elif act.intent == "same":
            if value := self._value_elsewhere(domain, slot, act.value):
                self._state(domain, slot, value)
        elif act.intent == "request" and slot:
            need.asked[slot] = None
        elif act.intent == "book" and (spec.book or domain == "taxi"):
            need.wants_booking = True
        elif act.intent == "suggest":
            need.wants_offer = True
        elif act.intent == "reqalts" and need.offered:
            need.passed[need.offered] = None
            need.inform.pop(spec.key, None)

    def _state(self, domain: str, slot: str, value: str) -> None:
        need, spec = self.need(domain), DOMAINS[domain]
        if slot in spec.book:
            need.wants_booking = value != DONTCARE and (need.wants_booking or need.book.get(slot) != value)
            need.book[slot] = value
        elif slot in spec.lookup:
            if slot in ("leaveat", "arriveby"):
                for time in TIME_SLOTS & need.inform.keys() - {slot} if value != DONTCARE else ():
                    del need.inform[time]
            other = _OTHER_END.get(slot, "") if domain == "taxi" else ""
            if need.inform.get(other) == value:  # it goes the other way
                del need.inform[other]
                if slot in need.inform:
                    need.inform[other] = need.inform[slot]
            if slot != spec.key and need.inform.get(slot) != value:
                need.inform.pop(spec.key, None)
            need.inform[slot] = value

    def _value_elsewhere(self, domain: str, slot: str, other: str) -> str:
        """Return what ``slot`` is in the domain ``other``, by default in the one before.

        A place is what is there, a time of arrival that of a table; the ends of a ride differ.
        """
        end = self.need(domain).inform.get(_OTHER_END.get(slot, ""), "")
        for each in [other] if other else [name for name in reversed(self.needs) if name != domain]:
            need = self.needs.get(each, Need())
            if slot in _OTHER_END:
                value = (need.offered or need.inform.get("name", "")) if DOMAINS[each].key == "name" else ""
            else:
                value = need.book.get(slot) or need.inform.get(slot, "")
                if not value and slot in TIME_SLOTS:
                    value = need.book.get("time", "")
            if value and (other or value != end):
                return value
        return ""

    def hear_service(self, acts: Iterable[Act]) -> None:
        """Move on by the acts of a service message: what it asks for, offers and answers."""
        for act in acts:
            domain = act.domain if act.domain in DOMAINS else self.domain
            if act.intent == "request":
                self.requested = (*self.requested, act.slot)
            elif act.intent == "offer_book":
                self.proposed = True
            elif domain and act.intent in ("inform", "recommend", "booked"):
                need = self.need(domain)
                need.asked.pop(act.slot, None)
                if act.slot == DOMAINS[domain].key:
                    need.offered, need.wants_offer = act.value, False


def _may_be(domain: str, slot: str, value: str) -> bool:
    """Return whether a bare ``value`` can be one of ``slot``."""
    closed: Mapping[str, tuple[str, ...]] = DOMAINS[domain].closed
    return value in closed[slot] if slot in closed else not value.isdigit()
