"""The second customer: an independent simulator that no policy is trained against.

A policy trained with the default customer is transferred to this one; what it keeps of its gain is
not overfitting to a simulator.  Own act reading (``customer_b_reading``), own wording, thresholds
and weights (``customer_b.toml``), own feelings (``customer_b_temper``).  As no policy is trained
against it, its phrases are the same in all splits.
"""

from __future__ import annotations

from typing import Any

from personas.persona import Persona
from td_gym.draws import choice, uniform
from td_gym.episode import Episode
from td_gym.scenarios.food_dispute.customer_b_reading import DATA, Reading, read
from td_gym.scenarios.food_dispute.customer_b_temper import (
    blame,
    credit,
    first_latent,
    hangs_up,
    satisfaction,
    settle,
    take_voucher,
)
from td_gym.scenarios.food_dispute.orders import Case
from td_gym.scenarios.mind import strange_memory
from td_gym.turns import Turn

_SAY = DATA["say"]
_WANT_AT = {"forthcoming": 0, "on_request": 1, "reserved": 2}
"""Service turn after which the customer says what it wants, asked or not."""
_ASIDE_SHARE = 0.6
"""Share of messages that close with a remark in the persona's style."""
_AT_PEACE = frozenset(("take_voucher", "give_in", "heard", "leave"))
_ANSWERED = frozenset(("sorry", "feeling", "reason", "no", "own", "note"))


def reply(episode: Episode) -> str:
    """Return the next message of the customer, the closing one with its end mark."""
    memory = episode.memory.get("customer")
    if memory is None:
        memory = episode.memory["customer"] = _new_memory(episode)
        return _opening(episode, memory)
    if "latent" not in memory:
        raise strange_memory()
    turn = episode.transcript[-1]
    reading = read(turn.shown)
    if turn.action == "transfer" and not turn.tool_message:
        return _end(episode, memory, ["handed_on"])
    return _answer(episode, memory, turn, reading)


def _new_memory(episode: Episode) -> dict[str, Any]:
    return {
        "latent": first_latent(episode.case.persona, episode.seed),
        "done": [],
        "seen": [],
        "counts": {},
        "told_no": False,
        "pushes": 0,
        "settled": "",
        "told_item": False,
        "told_want": False,
        "voucher": "",
        "unsaid": 0.0,
    }


def _opening(episode: Episode, memory: dict[str, Any]) -> str:
    persona = episode.case.persona
    acts = ["vague"]
    if persona.information_disclosure == "forthcoming":
        acts = ["named", "want"]
        memory["told_item"] = memory["told_want"] = True
    return _compose(episode, acts)


def _answer(episode: Episode, memory: dict[str, Any], turn: Turn, reading: Reading) -> str:
    case: Case = episode.case
    acts = reading.acts
    was_settled = bool(memory["settled"])
    complaints = blame(memory, turn, reading, case)
    credit(memory, reading, case)
    annoyed = bool(complaints)
    complaints += take_voucher(memory, turn, reading, case)
    annoyed = annoyed or "empty_voucher" in complaints
    if was_settled:
        return _end(episode, memory, ["leave"])
    if hangs_up(memory, case.persona):
        return _end(episode, memory, [*complaints[:1], "hang_up"], hung_up=True)
    outcome = settle(memory, reading, case.persona, annoyed)
    if outcome in ("take_voucher", "give_in", "heard"):
        if "close" in acts:
            memory["latent"] -= DATA["temper"]["goodbye_at_once"]
            return _end(episode, memory, [outcome, "leave"])
        return _compose(episode, [outcome])
    if "close" in acts and not acts & {"ask", "ask_want", "photo"}:
        memory["latent"] -= DATA["temper"]["goodbye_unsettled"]
        memory["counts"]["goodbye"] = memory["counts"].get("goodbye", 0) + 1
        if memory["counts"]["goodbye"] > 1:
            angry = case.persona.emotional_style == "hostile" or case.persona.cooperativeness == 1
            return _end(episode, memory, ["hang_up"] if angry else ["worn_out"], hung_up=angry)
        return _compose(episode, ["too_early"])
    if episode.service_turns >= case.persona.patience:
        memory["latent"] -= DATA["temper"]["worn_out"]
        return _end(episode, memory, [*complaints[:1], "worn_out"])
    return _compose(episode, _go_on(memory, episode, acts, complaints, outcome))


def _go_on(
    memory: dict[str, Any], episode: Episode, acts: frozenset[str], complaints: list[str], outcome: str
) -> list[str]:
    """Choose what an unsettled customer says next: a complaint, answers, its demand, a push-back."""
    persona = episode.case.persona
    said = complaints[:1]
    if "ask" in acts:
        said.append("details_again" if memory["told_item"] and episode.service_turns > 1 else "details")
        memory["told_item"] = True
    if "photo" in acts:
        said.append(_evidence(episode.case))
    if memory["voucher"] == "" and "propose" in acts:
        said.append("yes_please" if _matters(persona) else "no_voucher")
    due = episode.service_turns >= _WANT_AT[persona.information_disclosure]
    if not memory["told_want"] and (due or "ask_want" in acts):
        said.append("want")
        memory["told_want"] = True
    elif "ask_want" in acts:
        said.append("want")
    elif outcome == "push":
        said.append("push")
    passed_over = memory["told_want"] and not memory["told_no"] and "want" not in said and "push" not in said
    if not said and acts & _ANSWERED:
        said.append("noted" if acts & {"reason", "own", "note"} else "soothed")
        if passed_over:
            said.append("remind")
    elif not said:
        said.append("remind" if passed_over else "idle")
    return said[:3]


def _matters(persona: Persona) -> bool:
    return bool(DATA["voucher"][persona.demand] >= DATA["voucher"]["matters_from"])


def _evidence(case: Case) -> str:
    if case.has_photo:
        return "photo_sent"
    return "photo_evasive" if case.persona.honesty == "dishonest" else "photo_none"


def _end(episode: Episode, memory: dict[str, Any], acts: list[str], hung_up: bool = False) -> str:
    mark = "hangup" if hung_up else "end"
    return f"{_compose(episode, acts)} [{mark}:{satisfaction(memory['latent']):.4f}]"


def _compose(episode: Episode, acts: list[str]) -> str:
    """Put the acts into words: one phrase each, filled from the order, in the persona's style."""
    case: Case = episode.case
    pieces = [_phrase(episode, case, act) for act in acts]
    text = " ".join(pieces)
    if case.persona.communication_style == "terse":
        habit = uniform(episode.seed, "b:habit")
        text = text.rstrip(".") if habit < 0.5 else text
        return text.lower() if 0.3 < habit < 0.7 else text
    return text + _aside(episode, case.persona, acts)


def _phrase(episode: Episode, case: Case, act: str) -> str:
    seed, turn = episode.seed, episode.service_turns
    options = _SAY[act]
    if isinstance(options, dict):
        options = options[case.persona.demand]
    phrase: str = choice(options, seed, turn, "b:" + act)
    if "{" in phrase:
        trouble = choice(_SAY["trouble"][case.order.issue], seed, turn, "b:trouble")
        phrase = phrase.format(item=case.order.item.name, restaurant=case.order.restaurant, trouble=trouble)
    if act in ("vague", "named"):
        phrase = f"{choice(_SAY['start'], seed, 'b:start')}{phrase}."
    return phrase[:1].upper() + phrase[1:]


def _aside(episode: Episode, persona: Persona, acts: list[str]) -> str:
    """Return a closing remark in the persona's style, or nothing."""
    turn = episode.service_turns
    if persona.honesty != "honest" and acts[0] in ("vague", "named", "details"):
        kind = "exaggerating"
    elif persona.emotional_style == "hostile" and turn % 2 == 0:
        kind = "hostile"
    elif persona.communication_style == "polite" and persona.emotional_style == "upset" and turn == 0:
        kind = "upset"
    elif persona.communication_style in ("chatty", "sarcastic", "polite"):
        kind = persona.communication_style
    else:
        return ""
    if kind != "polite" and acts[-1] in _AT_PEACE:
        return ""
    point = uniform(episode.seed, turn, "b:aside") / _ASIDE_SHARE
    options: list[str] = _SAY["aside"][kind]
    return options[int(point * len(options))] if point < 1.0 else ""
