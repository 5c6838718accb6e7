"""What a service agent says when it follows a strategy, in template words; for agents that choose and do not write."""

from __future__ import annotations

from td_gym.protocol import Messages
from td_gym.scenarios.food_dispute.briefing import slot_values
from td_gym.scenarios.food_dispute.expert import HONEST, LATE, VOUCHER, Reading, explanation, read, worded
from td_gym.scenarios.scripted import compose
from td_gym.slots import fill_slots

_ACTS = {
    "open": "greet",
    "empathise": "empathise",
    "clarify": "ask_details",
    "request_evidence": "request_evidence",
    "decline_refund": "refuse_refund",
    "offer_voucher": "offer_voucher",
    "close": "close",
    "transfer": "stall",
    "chat": "stall",
}
_DECISIONS = ("offer_voucher", "acknowledge_fault", "decline_refund")
_CALLS = {"offer_voucher": VOUCHER, "transfer": "transfer"}


def realise(messages: Messages, strategy: str, seed: int) -> str:
    """Return a service message that follows ``strategy`` and speaks of the facts that its ``messages`` hold."""
    reading = read(messages)
    words = worded([*_before(reading, strategy), _act(reading, strategy)], reading, seed)
    if reading.asked_robot and strategy != "close":
        words = HONEST + words
    return fill_slots(compose(words, _CALLS.get(strategy, "")), messages, slot_values)


def _before(reading: Reading, strategy: str) -> list[str]:
    """Return what the reference agent would put before, each once: greeting, kind word, reason of a decision."""
    if strategy in ("open", "close", "chat"):
        return []
    if reading.turn == 0:
        return ["greet", "apologise"]
    kind = ["empathise"] if "empathise" not in reading.done and strategy != "empathise" else []
    reasons = [explanation(reading, 0)] if "explain" not in reading.done and strategy in _DECISIONS else []
    return kind + reasons


def _act(reading: Reading, strategy: str) -> str:
    if strategy == "explain":
        return explanation(reading, int("explain" in reading.done))
    if strategy == "acknowledge_fault":
        facts = reading.facts
        courier = facts.report == "courier" or (facts.report == "none" and facts.minutes_late >= LATE)
        return "admit_courier" if courier else "admit_merchant"
    return _ACTS[strategy]
