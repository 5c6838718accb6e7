"""One customer at the visitors' desk: what a message does, costs and is worth, and whether the goal was met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from td_gym.protocol import ParsedMessage
from td_gym.reading.repetition import Said, runs
from td_gym.scenarios.desk import DeskEpisode, as_flags
from td_gym.scenarios.multiwoz import sop
from td_gym.scenarios.multiwoz.acts import read_service
from td_gym.scenarios.multiwoz.cases import Case
from td_gym.scenarios.multiwoz.customer_acts import read_customer
from td_gym.scenarios.multiwoz.outcome import Told, judge
from td_gym.scenarios.multiwoz.schema import DOMAINS, Act
from td_gym.scenarios.multiwoz.service_desk import CallResult, ServiceDesk
from td_gym.turns import CustomerEffect, ServiceEffect

if TYPE_CHECKING:
    from td_gym.scenarios.multiwoz.scenario import MultiWOZ

QUERIES = 20
"""Look-ups that use up the whole of ``db_queries``."""
CUSTOMER_ACTS = ("inform", "request", "same", "book", "suggest", "reqalts", "affirm", "deny", "thank", "bye", "greet")
_A_TURN = 0.01
_CALLS = ("query", "book")


class MultiWOZEpisode(DeskEpisode):
    """One conversation.  Keeps what was wanted, looked up, told and booked; the customer's mind is not in here."""

    scenario: MultiWOZ
    case: Case

    def __init__(self, scenario: MultiWOZ, seed: int, split: str, row: int | None, case: Case) -> None:
        super().__init__(scenario, seed, split, row, case)
        taken = {domain: part.fail_book for domain, part in case.goal.domains.items() if part.fail_book}
        self.desk = ServiceDesk(scenario.database, seed, taken)
        self.progress = sop.Progress()
        self.told = Told(self.desk)
        self._said = Said()
        self._queries = 0
        self._made: set[object] = set()
        """Acts and look-ups so far."""
        self._stage = 0
        """Stage at the customer's last message."""

    def features(self, seat: str) -> npt.NDArray[np.float32]:
        """Return the desk's screen as numbers; for the customer what the tools answered is blank."""
        progress, state = self.progress, self.progress.state
        values: list[float] = [
            1.0 - min(1.0, self.service_turns / self.scenario.max_turns),
            min(1.0, self._queries / QUERIES),
            progress.opened,
            state.proposed,
            bool(state.requested),
        ]
        for domain in DOMAINS:
            values += self._screen(domain, own=seat == "service")
        values += as_flags(state.said, CUSTOMER_ACTS)
        return np.array(values, dtype=np.float32)

    def _screen(self, domain: str, own: bool) -> list[float]:
        """Return what the screen shows of a domain; what the tools answered only where it is the seat's ``own``."""
        progress, state = self.progress, self.progress.state
        need = state.needs.get(domain)
        found = progress.found.get(domain, -1) if own else -1
        return [
            state.domain == domain,
            min(1.0, len(need.inform) / 4) if need else 0.0,
            min(1.0, len(need.asked) / 4) if need else 0.0,
            found >= 0,
            min(1.0, found / 20) if found > 0 else 0.0,
            domain in self.desk.offered,
            need is not None and need.wants_booking,
            own and progress.booked.get(domain, False),
        ]

    def sees(self, seat: str) -> str:
        """Return the confirmations that the customer was sent."""
        if seat != "customer":
            return ""
        sent = [f"{domain} ({', '.join(made.reference.values())})" for domain, made in self.desk.bookings.items()]
        return f"You were sent confirmations of: {'; '.join(sent) or 'nothing'}."

    def hear_service(self, message: ParsedMessage) -> ServiceEffect:
        """Carry out the tool call, count the costs, judge the turn, and move the procedure on."""
        call = self.desk.call(message.action, message.arguments) if message.action in _CALLS else None
        text = message.response
        acts = read_service(text, self.scenario.database, self.progress.state.domain) if text else ()
        strategy = sop.detect_strategy(acts, message.action)
        allowed = self.allows(strategy)
        overlap = self._said.add(runs(text))
        open_before = self._open()
        wanted = {domain: self.progress.state.need(domain).sought(domain) for domain in _domain_of(message)}
        self._take_note(call)
        true, false = self.told.hear(acts, self.progress.state)
        new = self._is_new(message, acts)
        self.progress.hear_service(acts)
        terms = {
            "repetition": 1.0 - overlap,
            "grounding": true / (true + false) if true + false else 1.0,
            "slot_coverage": self._coverage(message, open_before, wanted),
            "progress": (1.0 if new else 0.5) if allowed and not (call and call.at_fault) else 0.0,
        }
        costs = self._costs(message.action, call, false)
        names = frozenset(act.intent for act in acts)
        ended_by = "transferred" if message.action == "transfer" else ""
        return ServiceEffect(names, strategy, costs, terms, call.answer if call else "", ended_by=ended_by)

    def _take_note(self, call: CallResult | None) -> None:
        if call is None:
            return
        if call.matches is not None:
            self.progress.looked_up(call.domain, call.matches)
        if call.made is not None:
            self.progress.tried_booking(call.domain, call.made)

    def _open(self) -> set[tuple[str, str]]:
        """Return the slots that the customer has asked for and not been told, with their domains."""
        return {(domain, slot) for domain, need in self.progress.state.needs.items() for slot in need.asked}

    def _coverage(
        self, message: ParsedMessage, open_before: set[tuple[str, str]], wanted: Mapping[str, Mapping[str, str]]
    ) -> float:
        """Return the share of open questions that are answered; of a look-up, of the constraints that it names."""
        if message.response or message.action != "query":
            return 1.0 - len(open_before & self._open()) / len(open_before) if open_before else 1.0
        slots = next(iter(wanted.values()), {})
        return sum(slot in message.arguments for slot in slots) / len(slots) if slots else 1.0

    def _is_new(self, message: ParsedMessage, acts: Sequence[Act]) -> bool:
        """Return whether the message does anything that the agent has not done before."""
        made: set[object] = set(acts)
        if message.action:
            made.add((message.action, *sorted(message.arguments.items())))
        new = not made <= self._made
        self._made |= made
        return new

    def _costs(self, action: str, call: CallResult | None, false: int) -> dict[str, float]:
        costs: dict[str, float] = {}
        if action == "query":
            self._queries += 1
            if self._queries <= QUERIES:
                costs["db_queries"] = 1 / QUERIES
        if action == "book" and call and call.at_fault:
            costs["bad_booking"] = 1.0
        if action == "transfer":
            costs["transfer"] = 1.0
        if false:
            costs["ungrounded"] = 1.0
        return costs

    def hear_customer(self, shown: str) -> CustomerEffect:
        """Read the customer's acts, move its wishes on, and grade how the service turn before was received."""
        acts = read_customer(shown, self.scenario.database, self.progress.state.domain)
        for act in acts:
            if act.slot == "name":
                self.desk.come_up(act.domain or self.progress.state.domain, act.value)
        self.progress.state.hear_customer(acts)
        return CustomerEffect(self.progress.state.said, self._grade(acts))

    def _grade(self, acts: Sequence[Act]) -> int:
        stage, self._stage = self._stage, self.progress.stage()
        state = self.progress.state
        pending = any(need.asked or need.wants_booking for need in state.needs.values())
        if "bye" in state.said and (pending or not self._stage):
            return 0
        if self._stage > stage:
            return 3
        return 2 if any(act.domain != "general" for act in acts) else 1

    def conclude(self, ended_by: str, rating: float | None) -> tuple[dict[str, Any], dict[str, float]]:
        """Return the outcome; the service seat earns 1 for success, the customer that minus 0.01 a turn."""
        verdict = judge(self.case.goal, self.told)
        outcome = {**verdict, "ended_by": ended_by, "turns": self.service_turns}
        success = float(verdict["success"] is True)
        return outcome, {"service": success, "customer": max(-1.0, success - _A_TURN * self.service_turns)}


def _domain_of(message: ParsedMessage) -> list[str]:
    """Return the known domain that a call names, in a list; an empty one for none."""
    return [domain for domain in [message.arguments.get("domain", "")] if domain in DOMAINS]
