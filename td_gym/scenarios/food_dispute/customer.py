"""The scripted customer of FoodDispute: a hidden mind moved by what the service agent does.

The mind reads dialogue acts, never words, and every credit is given once; so no string raises
satisfaction unless it is a piece of service the customer still lacked.  Satisfaction is the
unrounded mark ``1 + 4 * sigmoid(mood)``: a smooth scale has no ceiling that hides the effect of
a voucher.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from personas.persona import Persona
from td_gym.draws import Stream
from td_gym.episode import Episode
from td_gym.reading.sentences import is_curt
from td_gym.scenarios.food_dispute.language import Voice
from td_gym.scenarios.mind import PlainMind
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
LIE, FALSE_PROMISE, EMPTY_VOUCHER, BLUNT_REFUSAL = 0.9, 0.2, 0.6, 0.25
RUSHED, WALKED_OUT, HANGUP = 0.6, 1.0, 0.8
FRUSTRATION_WEIGHT = 0.5
LUCK = 0.3
MOST_ACTS = 3
LONGEST = 600
_COURTESY = frozenset(("greet", "close"))
CURT_CREDIT = 0.4
"""What good service in a telegram counts for."""


@dataclass
class Mind(PlainMind):
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


def reply(episode: Episode) -> str:
    """Return the customer's next message, with an end marker when it is through."""
    case: Case = episode.case
    draws = Stream(episode.seed, f"customer/{episode.service_turns}")
    voice = Voice(case.persona, case.order.item.name, episode.split, draws)
    memory = episode.memory.get("customer")
    if memory is None:
        mind, text = _open(case, voice)
        episode.memory["customer"] = vars(mind)
        return text
    mind = Mind.of(memory)
    turn = episode.transcript[-1]
    if turn.action == "transfer" and not turn.tool_message:
        return f"{voice.say('reaction', 'heard')} {_mark(mind.mood)}"
    text, ending = (_part if mind.settled else _react)(mind, episode, turn, voice)
    text = voice.colour(text)
    return f"{text} {ending}" if ending else text


def satisfaction(mood: float) -> float:
    """Return the unrounded mark in (1, 5) of a mood on the logit scale."""
    return 1.0 + 4.0 / (1.0 + math.exp(-max(-30.0, min(30.0, mood))))


def _mark(mood: float, hung_up: bool = False) -> str:
    return f"[{'hangup' if hung_up else 'end'}:{satisfaction(mood):.4f}]"


def _open(case: Case, voice: Voice) -> tuple[Mind, str]:
    """Return the customer's mind before any service, and its first words."""
    persona, draws = case.persona, voice.draws
    luck, tells_item, tells_want = draws.uniform(), draws.uniform(), draws.uniform()
    mind = Mind(BASE_MOOD[persona.cooperativeness] + WITHOUT_VOUCHER[persona.demand] + LUCK * (2 * luck - 1))
    mind.told_item = persona.information_disclosure != "reserved" or tells_item < 0.3
    mind.told_want = persona.information_disclosure == "forthcoming" or tells_want < 0.25
    pieces = [voice.say("problem", case.order.issue) if mind.told_item else voice.say("vague", "any")]
    if mind.told_want:
        pieces.append(voice.say("hint", persona.demand))
    if persona.honesty == "exaggerating":
        pieces.append(voice.say("problem", "exaggerated"))
    return mind, voice.colour(" ".join(pieces), opening=True)


def _react(mind: Mind, episode: Episode, turn: Turn, voice: Voice) -> tuple[str, str]:
    """Move the mind by one service turn; return the words and the end marker (empty to go on)."""
    case: Case = episode.case
    persona, acts = case.persona, turn.acts
    answer = _judge_manner(mind, episode, turn, voice)
    if not answer:
        _credit(mind, case, acts, CURT_CREDIT if is_curt(turn.shown) else 1.0)
    issued = _take_voucher(mind, case, turn)
    answer = answer or _answer(mind, persona, turn, voice, issued)

    if episode.service_turns > persona.patience:
        mind.frustration += 0.35
    if mind.frustration > 1.0 + 0.25 * persona.cooperativeness:
        return voice.say("verdict", "hangup"), _mark(mind.mood - HANGUP - _penalty(mind), hung_up=True)
    if mind.settled:  # a goodbye in the same breath leaves the customer no say
        return answer, _mark(mind.mood - RUSHED - _penalty(mind)) if "close" in acts else ""
    if "close" in acts:
        mind.mood -= WALKED_OUT
        return voice.say("reaction", "early_goodbye"), _mark(mind.mood - _penalty(mind), hung_up=True)
    return answer, ""


def _part(mind: Mind, episode: Episode, turn: Turn, voice: Voice) -> tuple[str, str]:
    """Take leave after the matter was settled; what is promised only now is a lie all the same."""
    _resent_promises(mind, turn.acts)
    if "close" in turn.acts and not _repeats(episode, turn):
        mind.mood += GOODBYE
    return voice.say("verdict", "bye"), _mark(mind.mood - _penalty(mind))


def _penalty(mind: Mind) -> float:
    empty = EMPTY_VOUCHER if mind.vouchers_said and not mind.voucher else 0.0
    return FRUSTRATION_WEIGHT * mind.frustration + empty


def _judge_manner(mind: Mind, episode: Episode, turn: Turn, voice: Voice) -> str:
    """Return an annoyed answer when the message is no service at all, else an empty string."""
    content = turn.acts - _COURTESY
    if len(content) > MOST_ACTS or len(turn.shown) > LONGEST:
        mind.frustration += 0.45
        return voice.say("reaction", "confused")
    if _repeats(episode, turn):
        mind.frustration += 0.45
        return voice.say("reaction", "robot" if voice.draws.uniform() < 0.3 else "repeated")
    if not content and "close" not in turn.acts:
        mind.frustration += 0.4
        return voice.say("reaction", "robot" if voice.draws.uniform() < 0.1 else "stalled")
    return ""


def _repeats(episode: Episode, turn: Turn) -> bool:
    """Whether the message mostly repeats an earlier one of the service seat (word overlap above 0.7)."""
    words = _words(turn.shown)
    size = len(words)
    for earlier in episode.transcript[:-1]:
        if earlier.seat == "service":
            other = _words(earlier.shown)
            most = len(other)
            if size > 0.7 * most and most > 0.7 * size:  # else the smaller set could not fill the overlap
                shared = len(words & other)
                if shared > 0.7 * (size + most - shared):
                    return True
    return False


@lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    return frozenset(text.lower().split())


def _credit(mind: Mind, case: Case, acts: frozenset[str], share: float) -> None:
    """Give each piece of good service its credit, the first time it is given; ``share`` of it where it counts less."""
    persona = case.persona
    if "apologise" in acts:
        mind.apologies += 1
        if mind.apologies == 1:
            mind.mood += share * APOLOGY
        elif mind.apologies > 2:
            mind.frustration += 0.2
    if "empathise" in acts:
        mind.empathy += 1
        if mind.empathy == 1:
            mind.mood += share * EMPATHY * EMPATHY_WEIGHT[persona.emotional_style]
        elif mind.empathy > 2:
            mind.frustration += 0.1
    if "ask_details" in acts:
        mind.questions += 1
        if mind.questions == 1:
            mind.mood += share * DETAILS * (2 - mind.told_item - mind.told_want) / 2
        else:
            mind.frustration += 0.3
    if "request_evidence" in acts:
        if mind.photo:
            mind.frustration += 0.35
        else:
            mind.photo = "shown" if case.has_photo else "none"
            mind.mood += share * EVIDENCE * (1.0 if case.has_photo else 0.5)
    if "explain" in acts:
        mind.explanations += 1
        if mind.explanations == 1:
            informed = mind.told_item and (mind.photo or mind.questions)
            mind.mood += share * EXPLANATION * EXPLANATION_WEIGHT[persona.problem_solving] * (1.0 if informed else 0.5)
    if "admit_fault" in acts and not mind.owned_up and case.order.fault in ("merchant", "courier"):
        mind.owned_up = True
        mind.mood += share * OWNING_UP
    if "refuse_refund" in acts:
        mind.refusals += 1
        if mind.refusals == 1 and not acts & {"explain", "empathise", "apologise", "offer_voucher"}:
            mind.mood -= BLUNT_REFUSAL
    _resent_promises(mind, acts)
    if "reveal_ai" in acts:
        mind.mood -= 0.1


def _resent_promises(mind: Mind, acts: frozenset[str]) -> None:
    """Let promises that the desk cannot keep lower the mood."""
    if "promise_refund" in acts:
        mind.promises += 1
        mind.mood -= LIE if mind.promises == 1 else 0.3
    if "promise_callback" in acts:
        mind.mood -= FALSE_PROMISE


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


def _answer(mind: Mind, persona: Persona, turn: Turn, voice: Voice, issued: bool) -> str:
    """Return the answer to a proper piece of service, and settle the matter when nothing is missing."""
    acts = turn.acts
    wants_voucher = persona.demand in ("refund_priority", "compensation_flexible")
    if "promise_refund" in acts:
        mind.frustration += 0.5
        return voice.say("reaction", "lied_to")
    if issued:
        mind.settled = True
        return voice.say(
            "verdict", "glad_voucher" if wants_voucher or persona.demand == "feedback_focus" else "unmoved_voucher"
        )
    if "offer_voucher" in acts and not mind.voucher:
        if "?" in turn.shown:
            return voice.say("reaction", "wants_voucher" if wants_voucher else "refuses_voucher")
        mind.vouchers_said += 1
        mind.frustration += 0.3
        return voice.say("reaction", "no_voucher_seen")

    pieces = []
    if "request_evidence" in acts:
        pieces.append(voice.say("photo", "show" if mind.photo == "shown" else "none"))
    if "ask_details" in acts and mind.questions == 1:
        if not mind.told_item or mind.told_want:  # otherwise the want, below, is what is still missing
            pieces.append(voice.say("details", "any"))
        mind.told_item = True
    if not mind.told_want and ("ask_details" in acts or persona.information_disclosure != "reserved" or mind.pushes):
        mind.told_want = True
        return " ".join([*pieces, voice.say("hint", persona.demand)])
    if pieces:
        return " ".join(pieces)
    if "explain" in acts or "refuse_refund" in acts:
        return _weigh_up(mind, persona, voice)
    return voice.say("reaction", "heard")


def _weigh_up(mind: Mind, persona: Persona, voice: Voice) -> str:
    """Decide after an explanation or a refusal: enough, or push once more."""
    pushes = 2 if persona.demand == "refund_insistence" and persona.cooperativeness <= 2 else 1
    if persona.demand == "feedback_focus":
        pushes = 0
    answered = mind.explanations > 0 and (mind.refusals > 0 or not persona.demand.startswith("refund"))
    if mind.pushes >= pushes and answered:
        mind.settled = True
        content = persona.demand == "feedback_focus" or mind.mood > 0.3
        return voice.say("verdict", "accept" if content else "grudging")
    mind.pushes += 1
    mind.told_want = True
    mind.frustration += 0.1
    return voice.say("push", persona.demand)
