"""What a seller says when it follows a strategy, in template words; for agents that choose and do not write."""

from __future__ import annotations

from td_gym.protocol import Messages
from td_gym.scenarios.sales.briefing import slot_values
from td_gym.scenarios.sales.expert import WORDINGS, Reading, answer, read
from td_gym.scenarios.scripted import compose, word
from td_gym.slots import fill_slots

_CALLS = {"offer_coupon": "offer_coupon", "confirm": "confirm_order", "transfer": "transfer"}
_WORDLESS = {"transfer": "stall", "chat": "stall", "open": "introduce"}


def realise(messages: Messages, strategy: str, seed: int) -> str:
    """Return a service message that follows ``strategy`` and speaks of the facts that its ``messages`` hold."""
    reading = read(messages)
    act = _act(reading, strategy)
    words = " ".join(word(WORDINGS, [*_before(reading, act), act], reading.used, seed, reading.turn))
    return fill_slots(compose(words, _CALLS.get(strategy, "")), messages, slot_values)


def _before(reading: Reading, act: str) -> list[str]:
    """Return what the reference agent would put before: greeting and name, a kind word, the pitch, why a coupon."""
    if reading.turn == 0 and act not in ("empathise", "close", "stall"):
        return ["greet"] if act == "introduce" else ["greet", "introduce"]
    if act.startswith("handle_") and "empathise" not in reading.done:
        return ["empathise"]
    if act == "qualify" and "present" not in reading.done:
        return ["present"]
    return [f"handle_{reading.objection}"] if act == "offer_coupon" and reading.objection else []


def _act(reading: Reading, strategy: str) -> str:
    if strategy != "answer":
        return _WORDLESS.get(strategy, strategy)
    if reading.last & {"ask_robot", "notice_robot"} and not reading.secretive:
        return "reveal_ai"
    return answer(reading) if reading.topic else "empathise"
