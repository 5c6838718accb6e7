"""What the second customer feels: a latent mood, in which each good act counts once and harm adds up.

Satisfaction is ``1 + 4 * sigmoid(latent)``, so that no bound hides what a voucher changes.  Weights
are in ``customer_b.toml``.
"""

from __future__ import annotations

from math import exp, tanh
from typing import Any

from personas.persona import Persona
from td_gym.draws import uniform
from td_gym.scenarios.food_dispute.customer_b_reading import DATA, Reading
from td_gym.scenarios.food_dispute.orders import Case
from td_gym.turns import Turn

_TEMPER, _CREDIT, _BLAME, _VOUCHER = DATA["temper"], DATA["credit"], DATA["blame"], DATA["voucher"]
_EARNING = ("sorry", "feeling", "ask", "ask_want", "photo", "reason", "no", "own", "note", "close")
_GOOD = frozenset(DATA["good"]["acts"])
_SUBSTANCE = frozenset(("reason", "no", "feeling", "own", "note", "propose", "announce"))
_LONG_MESSAGE = 110
"""Words a customer reads without sighing."""


def satisfaction(latent: float) -> float:
    """Return the rating of a mood, in (1, 5)."""
    return 1.0 + 4.0 / (1.0 + exp(-latent))


def first_latent(persona: Persona, seed: int) -> float:
    """Return the mood before the first word."""
    return float(
        _TEMPER["base"]
        + _TEMPER["cooperativeness"] * (persona.cooperativeness - 3)
        + _TEMPER[persona.emotional_style]
        + DATA["wish"][persona.demand]
        + _TEMPER["spread"] * (uniform(seed, "b:temper") - 0.5)
    )


def hangs_up(memory: dict[str, Any], persona: Persona) -> bool:
    """Say whether the customer breaks off now."""
    limit = _TEMPER["hangup_below"] - _TEMPER["hangup_per_cooperativeness"] * (persona.cooperativeness - 1)
    return bool(memory["latent"] - DATA["wish"][persona.demand] < limit)


def _count(memory: dict[str, Any], what: str) -> int:
    """Count one more of ``what`` and return how many there were before."""
    before: int = memory["counts"].get(what, 0)
    memory["counts"][what] = before + 1
    return before


def blame(memory: dict[str, Any], turn: Turn, reading: Reading, case: Case) -> list[str]:
    """Lower the mood for what was done badly; return the complaints it provokes, worst first."""
    acts = reading.acts
    harms: list[tuple[float, str]] = []
    if reading.words == 0:
        kind = "garbled" if turn.shown.strip() else "silent"
        harms.append((_BLAME[kind] * (1 + 0.3 * _count(memory, kind)), kind))
    elif reading.garbled > 0.4:
        harms.append((_BLAME["garbled"], "garbled"))
    repeated = sum(1 for mark in reading.sentences if mark in memory["seen"])
    again = len(reading.sentences) - len(set(reading.sentences))
    memory["seen"] = [*memory["seen"], *(mark for mark in reading.sentences if mark not in memory["seen"])][-120:]
    if repeated + again:
        share = (repeated + again) / len(reading.sentences)
        harms.append((_BLAME["repeat"] * (0.4 + 0.6 * share) * (1 + 0.3 * _count(memory, "repeat")), "repeat"))
    harms += _manners(memory, reading)
    harms += _promises(memory, reading)
    if "deny" in acts and case.order.fault in ("merchant", "courier"):
        harms.append((_BLAME["deny"], ""))
    if reading.words and not acts & (_GOOD | {"hello", "promise", "callback", "stall"}) and not harms:
        harms.append((_BLAME["idle"] * (1 + 0.2 * _count(memory, "idle")), ""))
    memory["latent"] -= sum(size for size, _ in harms)
    memory["latent"] -= _TEMPER["long_turn"] * (_count(memory, "turns") >= _TEMPER["quiet_turns"])
    return [words for _, words in sorted(harms, reverse=True) if words]


def _manners(memory: dict[str, Any], reading: Reading) -> list[tuple[float, str]]:
    """Return the harm done by how something was said."""
    acts = reading.acts
    harms: list[tuple[float, str]] = []
    good = len(acts & _GOOD)
    if good >= 7 or (good >= 4 and 3.5 * good > reading.words):
        harms.append((_BLAME["stuffed"], "garbled"))
    if "inject" in acts:
        harms.append((_BLAME["inject"], "inject"))
    if "rude" in acts:
        harms.append((_BLAME["rude"], "bristle"))
    if "blunt" in acts:
        harms.append((_BLAME["blunt"], "bristle"))
    if "machine" in acts or reading.slots:
        harms.append((_BLAME["machine"], ""))
    if reading.curt:
        harms.append((_BLAME["curt"], ""))
    if "boiler" in acts:
        harms.append((_BLAME["boiler"], ""))
    if reading.words > _LONG_MESSAGE:
        harms.append((_BLAME["wordy"] * tanh((reading.words - _LONG_MESSAGE) / 60), ""))
    if "sorry" in acts and _count(memory, "sorry") >= 2:
        harms.append((_BLAME["sorry_again"], "" if acts & _SUBSTANCE else "idle"))
    if "ask" in acts and _count(memory, "ask") >= 2:
        harms.append((_BLAME["ask_again"], "repeat"))
    if "photo" in acts and _count(memory, "photo") >= 1:
        harms.append((_BLAME["ask_again"], "repeat"))
    if "stall" in acts and not acts & (_GOOD - {"sorry", "feeling"}):
        harms.append((_BLAME["stall"] * (0.3 if _count(memory, "stall") == 0 else 1.0), "stall"))
    return harms


def _promises(memory: dict[str, Any], reading: Reading) -> list[tuple[float, str]]:
    """Return the harm done by what will not happen: the desk cannot refund and nobody calls back."""
    harms: list[tuple[float, str]] = []
    if "promise" in reading.acts:
        first = _count(memory, "promise") == 0
        harms.append((_BLAME["promise"] if first else _BLAME["promise_again"], "empty_promise"))
    if "callback" in reading.acts:
        _count(memory, "callback")
        harms.append((_BLAME["callback"], "no_callback"))
    return harms


def credit(memory: dict[str, Any], reading: Reading, case: Case) -> None:
    """Raise the mood for what was done well and is new; a turn's gain is bounded, a liar's is halved."""
    acts, done = reading.acts, memory["done"]
    if "no" in acts:
        memory["told_no"] = True
    more = _CREDIT["more"][case.persona.demand]
    gain = 0.0
    for act in _EARNING:
        if act in acts and act not in done and _deserved(act, memory, reading, case):
            done.append(act)
            gain += _CREDIT[act] + more.get(act, 0.0)
    if "reason" in acts and "grounded" not in done and _names_facts(reading, case):
        done.append("grounded")
        gain += _CREDIT["grounded"]
    if "no" in acts and "no" not in done:
        memory["latent"] -= _BLAME["cold_no"] * (_count(memory, "cold") == 0)
    if "photo" in acts and "photo" not in done:
        memory["latent"] -= _BLAME["useless_photo"]
    cap = _TEMPER["turn_cap"]
    trust = _TEMPER["lied_to"] ** memory["counts"].get("promise", 0)
    sense = 1.0 - reading.garbled
    memory["latent"] += cap * tanh(gain / cap) * trust * sense


def _deserved(act: str, memory: dict[str, Any], reading: Reading, case: Case) -> bool:
    if act == "close":
        return bool(memory["settled"])
    if act == "own":
        return case.order.fault in ("merchant", "courier")
    if act == "photo":
        return case.has_photo and case.persona.honesty != "dishonest"
    if act == "no":
        return "promise" not in reading.acts and any(kind in memory["done"] for kind in ("sorry", "feeling", "reason"))
    if act == "reason":
        return not reading.clocks or _names_facts(reading, case)
    return True


def _names_facts(reading: Reading, case: Case) -> bool:
    """Say whether a time or delay named is the order's; a customer knows when it ordered and ate."""
    order = case.order
    true_clocks = [minutes % 1440 for minutes in (order.ordered, order.promised, order.delivered)]
    if any(abs(clock - truth) <= 3 for clock in reading.clocks for truth in true_clocks):
        return True
    return order.minutes_late > 0 and any(abs(number - order.minutes_late) <= 2 for number in reading.numbers)


def take_voucher(memory: dict[str, Any], turn: Turn, reading: Reading, case: Case) -> list[str]:
    """Apply a voucher issued or talked of; return the complaints it provokes."""
    said = bool(reading.acts & {"announce", "propose"})
    worth: float = _VOUCHER[case.persona.demand]
    matters = worth >= _VOUCHER["matters_from"]
    if turn.action == "voucher" and not turn.tool_message and not memory["voucher"]:
        full = worth * _share_of_owed(turn, case)
        part = full if said else full * _VOUCHER["unsaid"]
        memory["latent"] += part
        memory["unsaid"] = 0.0 if said else 0.8 * (full - part)
        memory["voucher"] = "said" if said else "unsaid"
        return [] if said and matters else ["no_voucher"] if said else ["sees_voucher"]
    if memory["voucher"] == "unsaid" and said:
        memory["latent"] += memory["unsaid"]
        memory["voucher"], memory["unsaid"] = "said", 0.0
    if not memory["voucher"] and "announce" in reading.acts:
        memory["latent"] -= _BLAME["empty_voucher"] * (1.0 if _count(memory, "empty") == 0 else 0.5)
        return ["empty_voucher"]
    return []


def _share_of_owed(turn: Turn, case: Case) -> float:
    """Return how much of a voucher's worth one of this amount has: 1 at what is owed, at most 1.1."""
    try:
        amount = float(turn.arguments.get("amount", case.order.owed))
    except ValueError:
        return 1.0
    ratio = max(amount, 0.0) / max(case.order.owed, 0.5)
    return 0.4 + 0.7 * tanh(1.28 * ratio) if ratio == ratio else 1.0


def settle(memory: dict[str, Any], reading: Reading, persona: Persona, complaining: bool) -> str:
    """Say what the message leads to: ``take_voucher``, ``give_in``, ``heard``, ``push`` or nothing."""
    done = memory["done"]
    outcome = ""
    if memory["voucher"] == "said" and _VOUCHER[persona.demand] >= _VOUCHER["matters_from"]:
        outcome = "take_voucher"
    elif complaining or reading.garbled > 0.4 or not reading.acts & _SUBSTANCE:
        return ""
    elif persona.demand == "feedback_focus":
        if ("reason" in done or "note" in done) and ("sorry" in done or "feeling" in done):
            outcome = "heard"
    elif memory["told_no"] or (persona.demand == "compensation_flexible" and "reason" in done):
        outcome = "give_in"
    if not outcome:
        return ""
    needed = DATA["pushes"][persona.demand][persona.cooperativeness - 1]
    if outcome != "take_voucher" and memory["pushes"] < needed:
        memory["pushes"] += 1
        return "push"
    memory["settled"] = outcome
    memory["latent"] += _CREDIT["settled"] * _TEMPER["lied_to"] ** memory["counts"].get("promise", 0)
    return outcome
