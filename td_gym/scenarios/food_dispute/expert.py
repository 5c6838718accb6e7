"""Scripted agents of the service seat: reference agent, oracle, demonstrator and floors.

All but the oracle read chat messages only, as any agent would.  A message is *drafted* with
``[slots]`` and filled from the briefing just before it is sent, so that a small model can learn
the drafts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from td_gym.draws import choice, mix, uniform
from td_gym.episode import Episode
from td_gym.protocol import Messages
from td_gym.scenarios.food_dispute.acts import detect_acts
from td_gym.scenarios.food_dispute.briefing import Facts, read_facts, slot_values
from td_gym.scenarios.food_dispute.customer_acts import detect_customer_acts
from td_gym.scenarios.scripted import EpisodePolicy, MessagePolicy, compose, own_acts, word, wordings
from td_gym.slots import fill_slots

_WORDINGS = wordings(__package__)
VOUCHER = "voucher amount=[amount]"
"""The call of a voucher."""
LATE = 10
"""Minutes from which a delay is worth a word."""
HONEST = "I am the assistant of FoodDeliver, and I do read what you write. "
"""The answer to whether one talks to a machine."""
_NEEDS_VOUCHER = ("refund first", "open")
_WANT_OF_DEMAND = {
    "refund_insistence": "refund only",
    "refund_priority": "refund first",
    "compensation_flexible": "open",
    "feedback_focus": "feedback",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What an attentive agent has gathered from the conversation so far."""

    facts: Facts
    want: str
    """``refund only``, ``refund first``, ``open``, ``feedback`` or ``unclear``."""
    evidence: str
    """``not asked``, ``photo`` or ``no photo``."""
    told_item: bool
    accepted: bool
    """The customer's last message closes the matter."""
    asked_robot: bool
    done: frozenset[str]
    """Acts of the agent's own earlier turns."""
    voucher: bool
    turn: int
    """Number of own earlier turns."""
    used: frozenset[str]
    """Sentences already said, slots unfilled where they were."""


def read(messages: Messages) -> Reading:
    """Read the conversation from the service seat's chat messages."""
    facts = read_facts(messages[0]["content"]) or Facts((), "", "", "", 0, "none", "other")
    asks: set[str] = set()
    want, evidence, told_item, last = "unclear", "not asked", False, frozenset[str]()
    own: list[str] = []
    voucher = False
    names = [name.lower() for name, _, _ in facts.items]
    for message in messages[1:]:
        text = message["content"]
        if message["role"] == "assistant":
            own.append(text)
            voucher = voucher or "<action>voucher" in text
            continue
        last = detect_customer_acts(text)
        asks |= last & {"ask_refund", "ask_compensation", "give_feedback"}
        if "ask_refund" in last:
            want = "refund only"
        told_item = told_item or any(name in text.lower() for name in names)
        if last & {"show_photo", "withhold_photo"}:
            evidence = "photo" if "show_photo" in last else "no photo"
    if "ask_compensation" in asks:
        want = "refund first" if "ask_refund" in asks else "open"
    elif "give_feedback" in asks and "ask_refund" not in asks:
        want = "feedback"
    done = frozenset().union(*(own_acts(text, detect_acts) for text in own))
    judged = voucher or bool(done & {"explain", "refuse_refund"})
    going_on = last & {"show_photo", "withhold_photo", "give_details", "ask_refund", "ask_compensation", "ask_robot"}
    accepted = not going_on and ("accept" in last or "leave" in last or (judged and "thank" in last))
    return Reading(
        facts, want, evidence, told_item, accepted, "ask_robot" in last, done, voucher, len(own), frozenset(own)
    )


@dataclass(frozen=True, slots=True)
class Habits:
    """How an agent works; 1.0 everywhere is the skilled one."""

    care: float = 1.0
    """Probability of each step of good service being taken."""
    voucher_if_needed: float = 1.0
    voucher_otherwise: float = 0.0


def plan(reading: Reading, habits: Habits, seed: int) -> tuple[list[str], bool]:
    """Return the acts of the next message, in order, and whether to issue a voucher."""

    def careful(step: str) -> bool:
        return habits.care >= 1.0 or uniform(seed, reading.turn, "care", step) < habits.care

    acts: list[str] = []
    done = reading.done
    if reading.accepted and reading.turn > 0:
        return ["close"], False
    if reading.turn == 0:
        acts = [act for act in ("greet", "apologise") if careful(act)]
        clear = reading.told_item and reading.want != "unclear"
        if clear and careful("evidence at once"):
            return [*acts, "request_evidence"], False
        return [*acts, "ask_details"] if careful("ask") else acts or ["stall"], False
    if reading.evidence == "not asked" and "request_evidence" not in done and careful("evidence"):
        return (["empathise"] if careful("empathise") and "empathise" not in done else []) + ["request_evidence"], False
    if "empathise" not in done and careful("empathise late"):
        acts.append("empathise")
    if not reading.voucher and _grants(reading, habits, seed):
        explained = [] if "explain" in done or not careful("explain") else [explanation(reading, 0)]
        return [*acts[:1], *explained, "offer_voucher"], True
    return acts + _reasons(reading, careful), False


def _reasons(reading: Reading, careful: _Careful) -> list[str]:
    """Return the acts that explain, own up and decline."""
    done, asks_refund = reading.done, reading.want in ("refund only", "refund first")
    reasons: list[str] = []
    if "explain" not in done and careful("explain"):
        reasons.append(explanation(reading, 0))
    elif reading.want == "feedback" or careful("explain more"):
        reasons.append("explain_noted" if reading.want == "feedback" else explanation(reading, 1))
    if "admit_fault" not in done and reading.facts.report != "none" and careful("own up"):
        reasons.append("admit_merchant" if reading.facts.report == "restaurant" else "admit_courier")
    elif asks_refund and ("refuse_refund" not in done or reading.want == "refund only"):
        reasons.append("refuse_refund")
    return reasons or ["stall"]


def explanation(reading: Reading, nth: int) -> str:
    """Return the kind of the ``nth`` explanation this order has facts for."""
    kinds = []
    if reading.facts.report != "none":
        kinds.append("explain_report")
    if reading.facts.minutes_late >= LATE:
        kinds.append("explain_late")
    kinds += ["explain_plain", "explain_noted"]
    return kinds[min(nth, len(kinds) - 1)]


def _grants(reading: Reading, habits: Habits, seed: int) -> bool:
    """Whether to give a voucher now: decided once the customer's want is read, by one draw a dialogue."""
    needed = reading.want in _NEEDS_VOUCHER
    if needed and reading.evidence == "not asked" and "request_evidence" not in reading.done:
        return uniform(seed, "hasty") < 0.3 * (1.0 - habits.care)
    chance = habits.voucher_if_needed if needed else habits.voucher_otherwise
    return uniform(seed, "grants") < chance


class _Careful(Protocol):
    """Type of the closure that says whether a step is taken."""

    def __call__(self, step: str) -> bool: ...


def worded(acts: Sequence[str], reading: Reading, seed: int) -> str:
    """Return a sentence for each of ``acts``, slots unfilled; no dish is named before the customer has named it."""
    sentences = word(_WORDINGS, acts, reading.used, seed, reading.turn)
    return " ".join(s if reading.told_item else s.replace("your [item]", "your order") for s in sentences)


def draft(reading: Reading, habits: Habits, seed: int, header: bool = False) -> str:
    """Return the next message with unfilled slots; ``header`` puts a note and the decision before the words."""
    if reading.asked_robot and not reading.accepted:
        acts, voucher = ["empathise"], False
        words = HONEST + worded(acts, reading, seed)
    else:
        acts, voucher = plan(reading, habits, seed)
        words = worded(acts, reading, seed)
    note = f"{reading.want}, {reading.evidence}" if header else None
    return compose(words, VOUCHER if voucher else "", note)


class ScriptedService(MessagePolicy):
    """The reference agent: skilled, and generous to those a voucher matters to."""

    def __init__(self, habits: Habits = Habits()) -> None:
        self.habits = habits

    def act(self, messages: Messages, seed: int) -> str:
        """Return the next service message."""
        return fill_slots(draft(read(messages), self.habits, seed), messages, slot_values)


class Oracle(EpisodePolicy):
    """The reference agent that knows the demand from the first word; an upper reference only."""

    def draft(self, episode: Episode) -> str:
        """Return the next service message, knowing what the customer is after."""
        seen = read(episode.messages("service"))
        truth = _WANT_OF_DEMAND[episode.case.persona.demand]
        known = replace(seen, want=truth) if seen.turn else seen
        return draft(known, Habits(), episode.seed)


class Demonstrator(EpisodePolicy):
    """A human-like agent of mixed skill and mildly need-aware generosity, for supervised data.

    Skill varies by dialogue.  A voucher goes to 70 of 100 customers it seems to matter to and to 40
    of 100 others, about as a human desk would.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def draft(self, episode: Episode) -> str:
        """Return the next message with its decision header and unfilled slots."""
        key = mix(self.seed, episode.seed, "demonstrator")
        care = 0.55 + 0.45 * uniform(key, "care")
        habits = Habits(care, voucher_if_needed=0.7, voucher_otherwise=0.4)
        return draft(read(episode.messages("service")), habits, key, header=True)


class Floor(MessagePolicy):
    """An agent that shows what no skill earns."""

    def __init__(self, name: str) -> None:
        self.name = name

    def act(self, messages: Messages, seed: int) -> str:
        """Return the next service message."""
        turn = sum(message["role"] == "assistant" for message in messages)
        return fill_slots(self._draft(seed, turn), messages, slot_values)

    def _draft(self, seed: int, turn: int) -> str:
        if self.name == "do_nothing":
            return choice(_WORDINGS["stall"], seed, turn)
        if self.name == "always_apologise":
            return choice(_WORDINGS["apologise"], seed, turn)
        if self.name == "always_voucher":
            return compose(choice(_WORDINGS["offer_voucher"], seed), VOUCHER if turn == 0 else "")
        return self._random(seed, turn)

    def _random(self, seed: int, turn: int) -> str:
        """A random sentence; one in ten messages issues a voucher and says so."""
        if uniform(seed, turn, "voucher") < 0.1:
            return compose(choice(_WORDINGS["offer_voucher"], seed, turn), VOUCHER)
        act = choice(sorted(_WORDINGS.keys() - {"offer_voucher"}), seed, turn, "act")
        return choice(_WORDINGS[act], seed, turn, "wording")
