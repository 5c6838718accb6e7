"""The scripted customer of FoodDispute: a hidden mind moved by what the service agent does.

The mind reads dialogue acts, never words, and every credit is given once; so no string raises
satisfaction unless it is a piece of service the customer still lacked.  Satisfaction is the
unrounded mark ``1 + 4 * sigmoid(mood)``: a smooth scale has no ceiling that hides the effect of
a voucher.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from personas.persona import Persona
from td_gym.draws import uniform
from td_gym.scenario import Episode
from td_gym.scenarios.food_dispute.language import colour, say
from td_gym.turns import Turn

if TYPE_CHECKING:
    from td_gym.scenarios.food_dispute.orders import Case

# Calibrated on floors, expert and oracle (docs/calibration.md), then frozen with the version.
BASE_MOOD = {1: -0.85, 2: -0.55, 3: -0.25, 4: 0.05, 5: 0.35}
WITHOUT_VOUCHER = {
    "refund_insistence": -1.15,
    "refund_priority": -1.0,
    "compensation_flexible": -0.95,
    "feedback_focus": 0.0,
}
VOUCHER_EFFECT = {
    "refund_insistence": 0.12,
    "refund_priority": 1.35,
    "compensation_flexible": 1.5,
    "feedback_focus": 0.15,
}
APOLOGY, EMPATHY, DETAILS, EVIDENCE, EXPLANATION, OWNING_UP, GOODBYE = 0.2, 0.4, 0.25, 0.25, 0.4, 0.2, 0.15
EMPATHY_WEIGHT = {"hostile": 0.7, "upset": 1.3, "calm": 0.7}
EXPLANATION_WEIGHT = {"demanding": 0.7, "passive": 0.9, "constructive": 1.3}
LIE, FALSE_PROMISE, EMPTY_VOUCHER, BLUNT_REFUSAL, WALKED_OUT, HANGUP = 0.9, 0.2, 0.6, 0.25, 1.0, 0.8
FRUSTRATION_WEIGHT = 0.5
LUCK = 0.3
MOST_ACTS = 3
LONGEST = 600


@dataclass
class Mind:
    """What the customer feels and remembers; plain data, kept in ``episode.memory``."""

    mood: float
    frustration: float = 0.0
    told_item: bool = False
    told_want: bool = False
    photo: str = ""
    """Empty until asked for; then ``shown`` or ``none``."""
    apologies: int = 0
    empathy: int = 0
    questions: int = 0
    explanations: int = 0
    owned_up: bool = False
    refusals: int = 0
    promises: int = 0
    vouchers_said: int = 0
    voucher: float = 0.0
    pushes: int = 0
    settled: bool = False


class ScriptedCustomer:
    """The default customer.  Offline, stochastic, keyed by (seed, turn, purpose)."""

    def reply_batch(self, episodes: Sequence[Episode]) -> list[str]:
        """Return the next message for each conversation that waits for its customer."""
        return [reply(episode) for episode in episodes]


def reply(episode: Episode) -> str:
    """Return the customer's next message, with an end marker when it is through."""
    case: Case = episode.case
    memory = episode.memory.get("customer")
    if memory is None:
        return _open(episode, case)
    mind = Mind(**memory)
    episode.memory["customer"] = vars(mind)
    turn = episode.transcript[-1]
    if turn.action == "transfer" and not turn.tool_message:
        return f"{say('reaction', 'heard', case.order.item.name, episode.split, episode.seed, 99)} {_mark(mind.mood)}"
    text, ending = (_part if mind.settled else _react)(mind, episode, case, turn)
    text = colour(text, case.persona, episode.seed, episode.service_turns)
    return f"{text} {ending}" if ending else text


def satisfaction(mood: float) -> float:
    """Return the unrounded mark in (1, 5) of a mood on the logit scale."""
    return 1.0 + 4.0 / (1.0 + math.exp(-max(-30.0, min(30.0, mood))))


def _mark(mood: float, hung_up: bool = False) -> str:
    return f"[{'hangup' if hung_up else 'end'}:{satisfaction(mood):.4f}]"


def _open(episode: Episode, case: Case) -> str:
    persona, order, seed, split = case.persona, case.order, episode.seed, episode.split
    luck = LUCK * (2 * uniform(seed, "luck") - 1)
    mind = Mind(BASE_MOOD[persona.cooperativeness] + WITHOUT_VOUCHER[persona.demand] + luck)
    mind.told_item = persona.information_disclosure != "reserved" or uniform(seed, "tells item") < 0.3
    pieces = [
        say("problem", order.issue, order.item.name, split, seed, 0)
        if mind.told_item
        else say("vague", "any", order.item.name, split, seed, 0)
    ]
    if persona.information_disclosure == "forthcoming" or uniform(seed, "tells want") < 0.25:
        mind.told_want = True
        pieces.append(say("hint", persona.demand, order.item.name, split, seed, 0))
    if persona.honesty == "exaggerating":
        pieces.append(say("problem", "exaggerated", order.item.name, split, seed, 0))
    episode.memory["customer"] = vars(mind)
    return colour(" ".join(pieces), persona, seed, 0)


def _react(mind: Mind, episode: Episode, case: Case, turn: Turn) -> tuple[str, str]:
    """Move the mind by one service turn; return the words and the end marker (empty to go on)."""
    persona, seed = case.persona, episode.seed
    acts = turn.acts

    def line(section: str, act: str) -> str:
        return say(section, act, case.order.item.name, episode.split, seed, episode.service_turns)

    answer = _judge_manner(mind, episode, turn, line)
    if not answer:
        _credit(mind, case, acts)
    issued = _take_voucher(mind, case, turn)
    answer = answer or _answer(mind, persona, case, turn, line, issued)

    if episode.service_turns > persona.patience:
        mind.frustration += 0.35
    if mind.frustration > 1.0 + 0.25 * persona.cooperativeness:
        return line("verdict", "hangup"), _mark(mind.mood - HANGUP - _penalty(mind), hung_up=True)
    if mind.settled:
        ending = _mark(mind.mood + GOODBYE - _penalty(mind)) if "close" in acts else ""
        return answer, ending
    if "close" in acts:
        mind.mood -= WALKED_OUT
        return line("reaction", "early_goodbye"), _mark(mind.mood - _penalty(mind), hung_up=True)
    return answer, ""


def _part(mind: Mind, episode: Episode, case: Case, turn: Turn) -> tuple[str, str]:
    """Take leave after the matter was settled, whatever the service still says."""
    if "close" in turn.acts and not _repeats(episode, turn):
        mind.mood += GOODBYE
    words = say("verdict", "bye", case.order.item.name, episode.split, episode.seed, episode.service_turns)
    return words, _mark(mind.mood - _penalty(mind))


def _penalty(mind: Mind) -> float:
    empty = EMPTY_VOUCHER if mind.vouchers_said and not mind.voucher else 0.0
    return FRUSTRATION_WEIGHT * mind.frustration + empty


def _judge_manner(mind: Mind, episode: Episode, turn: Turn, line: _Line) -> str:
    """Return an annoyed answer when the message is no service at all, else an empty string."""
    content = turn.acts - {"greet", "close"}
    if len(content) > MOST_ACTS or len(turn.shown) > LONGEST:
        mind.frustration += 0.45
        return line("reaction", "confused")
    if _repeats(episode, turn):
        mind.frustration += 0.45
        if uniform(episode.seed, episode.service_turns, "robot") < 0.3:
            return line("reaction", "robot")
        return line("reaction", "repeated")
    if not content and "close" not in turn.acts:
        mind.frustration += 0.4
        asks = uniform(episode.seed, episode.service_turns, "robot") < 0.1
        return line("reaction", "robot" if asks else "stalled")
    return ""


def _repeats(episode: Episode, turn: Turn) -> bool:
    """Whether the message mostly repeats an earlier one of the service seat (word overlap above 0.7)."""
    words = _words(turn.shown)
    if not words:
        return False
    return any(
        len(words & (other := _words(earlier.shown))) > 0.7 * len(words | other)
        for earlier in episode.transcript[:-1]
        if earlier.seat == "service"
    )


@lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    return frozenset(text.lower().split())


def _credit(mind: Mind, case: Case, acts: frozenset[str]) -> None:
    """Give each piece of good service its credit, the first time it is given."""
    persona = case.persona
    if "apologise" in acts:
        mind.apologies += 1
        if mind.apologies == 1:
            mind.mood += APOLOGY
        elif mind.apologies > 2:
            mind.frustration += 0.2
    if "empathise" in acts:
        mind.empathy += 1
        if mind.empathy == 1:
            mind.mood += EMPATHY * EMPATHY_WEIGHT[persona.emotional_style]
        elif mind.empathy > 2:
            mind.frustration += 0.1
    if "ask_details" in acts:
        mind.questions += 1
        if mind.questions == 1:
            mind.mood += DETAILS * (2 - mind.told_item - mind.told_want) / 2
        else:
            mind.frustration += 0.3
    if "request_evidence" in acts:
        if mind.photo:
            mind.frustration += 0.35
        else:
            mind.photo = "shown" if case.has_photo else "none"
            mind.mood += EVIDENCE if case.has_photo else 0.5 * EVIDENCE
    if "explain" in acts:
        mind.explanations += 1
        if mind.explanations == 1:
            informed = mind.told_item and (mind.photo or mind.questions)
            mind.mood += EXPLANATION * EXPLANATION_WEIGHT[persona.problem_solving] * (1.0 if informed else 0.5)
    if "admit_fault" in acts and not mind.owned_up and case.order.fault in ("merchant", "courier"):
        mind.owned_up = True
        mind.mood += OWNING_UP
    if "refuse_refund" in acts:
        mind.refusals += 1
        if mind.refusals == 1 and not acts & {"explain", "empathise", "apologise", "offer_voucher"}:
            mind.mood -= BLUNT_REFUSAL
    if "promise_refund" in acts:
        mind.promises += 1
        mind.mood -= LIE if mind.promises == 1 else 0.3
    if "promise_callback" in acts:
        mind.mood -= FALSE_PROMISE
    if "reveal_ai" in acts:
        mind.mood -= 0.1


def _take_voucher(mind: Mind, case: Case, turn: Turn) -> bool:
    """Let an issued voucher work: in full on a customer who was heard first, else by half."""
    if turn.action != "voucher" or turn.tool_message or mind.voucher:
        return False
    owed = case.order.owed
    mind.voucher = float(turn.arguments.get("amount", owed))
    understood = mind.told_item and mind.told_want
    heard = (bool(mind.apologies + mind.empathy) + understood + bool(mind.photo) + bool(mind.explanations)) / 4
    share = min(1.0, mind.voucher / owed) ** 0.5
    mind.mood += VOUCHER_EFFECT[case.persona.demand] * share * (0.4 + 0.6 * heard)
    return True


def _answer(mind: Mind, persona: Persona, case: Case, turn: Turn, line: _Line, issued: bool) -> str:
    """Return the answer to a proper piece of service, and settle the matter when nothing is missing."""
    acts = turn.acts
    wants_voucher = persona.demand in ("refund_priority", "compensation_flexible")
    if "promise_refund" in acts:
        mind.frustration += 0.5
        return line("reaction", "lied_to")
    if issued:
        mind.settled = True
        return line(
            "verdict", "glad_voucher" if wants_voucher or persona.demand == "feedback_focus" else "unmoved_voucher"
        )
    if "offer_voucher" in acts and not mind.voucher:
        if "?" in turn.shown:
            return line("reaction", "wants_voucher" if wants_voucher else "refuses_voucher")
        mind.vouchers_said += 1
        mind.frustration += 0.3
        return line("reaction", "no_voucher_seen")

    pieces = []
    if "request_evidence" in acts:
        pieces.append(line("photo", "show" if mind.photo == "shown" else "none"))
    if "ask_details" in acts and mind.questions == 1:
        if not mind.told_item or mind.told_want:  # otherwise the want, below, is what is still missing
            pieces.append(line("details", "any"))
        mind.told_item = True
    if not mind.told_want and (acts & {"ask_details"} or persona.information_disclosure != "reserved" or mind.pushes):
        mind.told_want = True
        return " ".join([*pieces, line("hint", persona.demand)])
    if pieces:
        return " ".join(pieces)
    if acts & {"explain", "refuse_refund"}:
        return _weigh_up(mind, persona, line)
    return line("reaction", "heard")


def _weigh_up(mind: Mind, persona: Persona, line: _Line) -> str:
    """Decide after an explanation or a refusal: enough, or push once more."""
    pushes = 2 if persona.demand == "refund_insistence" and persona.cooperativeness <= 2 else 1
    if persona.demand == "feedback_focus":
        pushes = 0
    answered = mind.explanations > 0 and (mind.refusals > 0 or not persona.demand.startswith("refund"))
    if mind.pushes >= pushes and answered:
        mind.settled = True
        content = persona.demand == "feedback_focus" or mind.mood > 0.3
        return line("verdict", "accept" if content else "grudging")
    mind.pushes += 1
    mind.told_want = True
    mind.frustration += 0.1
    return line("push", persona.demand)


class _Line(Protocol):
    """Type of the closure that words an act in this conversation at this turn."""

    def __call__(self, section: str, act: str) -> str: ...
