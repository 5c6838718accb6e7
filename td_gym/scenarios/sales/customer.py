"""The scripted prospect of Sales: a hidden mind moved by what the agent does.

The mind reads dialogue acts and figures, never words, and gives every piece of service its credit
once.  Only one thing pays beside good service: those who are easily swayed give way to pressing
and to a pitch said again.  It costs trust, and a machine that talks like one is noticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from personas.prospect import Prospect
from td_gym.draws import Stream
from td_gym.episode import Episode
from td_gym.scenarios.sales.acts import HANDLES
from td_gym.scenarios.sales.credit import money
from td_gym.scenarios.sales.customer_mind import Mind, is_pliable, is_through, is_tight, mark, willingness
from td_gym.scenarios.sales.episode import SalesEpisode
from td_gym.scenarios.sales.language import Voice
from td_gym.scenarios.sales.message import read
from td_gym.scenarios.sales.offers import answers, states_wrongly
from td_gym.scenarios.wording import joined
from td_gym.turns import Turn

if TYPE_CHECKING:
    from td_gym.scenarios.sales.credit import Question
    from td_gym.scenarios.sales.offers import Case

MOST_ACTS, MOST_FIGURES, LONGEST = 5, 8, 600
SAID_AGAIN = 0.6
CURT_CREDIT = 0.4
"""What good service in a telegram counts for."""
LEAVES_AT_ONCE = {"relaxed": (0.02, 0.15), "wary": (0.08, 0.5), "strict": (0.0, 0.0)}
"""Probability of ending the call at the opening, by temper, if the call was disclosed and if not."""
NOTICES, NOTICES_EVASION, NOTICES_PUSH = 0.45, 0.5, 0.08
ASKS_ROBOT, ASKS_ROBOT_IF_SUSPICIOUS = 0.02, 0.25
DISTRUST_OF_MACHINES, DISTRUST_OF_LIES, DISTRUST_OF_FIGURES, DISTRUST_OF_PUSHING = 0.5, 0.4, 0.3, 0.15
RELIES_ON_ANSWERS = 0.1
BARE_ASK = 0.4
"""What asking again after a no weighs beside pressing or the pitch said again."""
_SELLS = frozenset(("introduce", "disclose", "qualify", "present", "offer_coupon", "ask_order", "press"))
_ASKS = frozenset(("press", "ask_order"))
_TALK = frozenset(("greet", "close", "empathise"))


def reply(episode: Episode) -> str:
    """Return the customer's next message, with an end marker when it is through."""
    assert isinstance(episode, SalesEpisode)
    case: Case = episode.case
    persona = case.persona
    voice = Voice(persona, episode.split, Stream(episode.seed, f"customer/{episode.service_turns}"))
    memory = episode.memory.get("customer")
    if memory is None:
        luck = Stream(episode.seed, "customer/decision").uniform()
        episode.memory["customer"] = vars(Mind(luck))
        return voice.colour(voice.say("opening", "hello"), opening=True)
    mind = Mind.of(memory)
    turn = episode.transcript[-1]
    if turn.action == "transfer" and not turn.tool_message:
        return f"{voice.say('listen', 'heard')} {mark(mind, persona)}"
    if read(turn.shown).eligible == "no":
        return f"{voice.colour(voice.say('verdict', 'turned_away'))} {mark(mind, persona)}"
    suspicion, text, ending = _react(mind, episode, turn, voice)
    text = voice.colour(text, irritated=mind.irritation > 0.4)
    return joined(suspicion, text, ending)


def _react(mind: Mind, episode: SalesEpisode, turn: Turn, voice: Voice) -> tuple[str, str, str]:
    """Move the mind by one service turn; return words about a machine, the answer, and the end marker.

    The first is empty where there is nothing to say of it, and the last where the call goes on.
    """
    case: Case = episode.case
    persona = case.persona
    if mind.accepted:
        return "", *_await_order(mind, persona, turn, voice)
    suspicion = _notice(mind, turn, episode, voice)
    complaint = _judge_manner(mind, case, turn, episode.overlap, voice)
    if not complaint:
        _credit(mind, case, turn)
    verdict = "" if _is_heap(turn.shown) else _answered(mind, case, turn, voice)
    if episode.service_turns > persona.patience:
        mind.irritation += 0.3
    text, ending = _respond(mind, episode, turn, voice, complaint, verdict)
    return suspicion, text, ending


def _respond(mind: Mind, episode: Episode, turn: Turn, voice: Voice, complaint: str, verdict: str) -> tuple[str, str]:
    """Choose what to do after a judged turn; ``verdict`` is on the answer to the customer's own question."""
    case: Case = episode.case
    persona, acts = case.persona, turn.acts
    if is_through(mind, persona):
        return voice.say("verdict", "hangup"), mark(mind, persona, hung_up=True)
    if mind.refused:
        return _after_refusal(mind, case, turn, voice)
    if persona.do_not_call == "strict" and acts & _SELLS:
        mind.refused = 1
        return voice.say("refusal", "strict"), ""
    if episode.service_turns == 1:
        return _hear_opening(mind, case, turn, voice, complaint)
    remark = joined(verdict, complaint)
    if complaint and acts.isdisjoint(_ASKS):
        return remark, ""
    return _move_on(mind, case, turn, voice, remark)


def _notice(mind: Mind, turn: Turn, episode: SalesEpisode, voice: Voice) -> str:
    """Return what the customer says of a machine-like message or of the answer to its question about one."""
    excess = max(0.0, episode.style - 0.15)
    evades = mind.robot == "asked" and turn.acts.isdisjoint(("reveal_ai", "deny_ai"))
    chance = NOTICES * excess + NOTICES_EVASION * evades + NOTICES_PUSH * _is_push(mind, turn, episode.overlap)
    asked, mind.robot = mind.robot, "settled" if mind.robot else ""
    mind.suspicion += excess
    if voice.draws.uniform() < chance and not mind.noticed:
        mind.noticed = True
        mind.trust -= DISTRUST_OF_MACHINES
        return voice.say("robot", "evaded" if evades else "noticed")
    return voice.say("robot", "honest") if asked == "asked" and "reveal_ai" in turn.acts else ""


def _is_push(mind: Mind, turn: Turn, overlap: float) -> bool:
    """Whether the message presses, asks on after a no, or says the pitch again in much the same words."""
    if "press" in turn.acts or (mind.refused and "ask_order" in turn.acts):
        return True
    return "present" in turn.acts and mind.presented > 0 and overlap > SAID_AGAIN


def _judge_manner(mind: Mind, case: Case, turn: Turn, overlap: float, voice: Voice) -> str:
    """Return an annoyed answer when the message pushes or is no service at all, else an empty string."""
    acts = turn.acts
    if len(acts - _TALK) > MOST_ACTS or len(acts.intersection(HANDLES)) > 2 or _is_heap(turn.shown):
        mind.irritation += 0.4
        return voice.say("reaction", "confused")
    if "guarantee" in acts or ("hide_fee" in acts and case.profile.fee > 0):
        mind.lies += 1
        mind.trust -= DISTRUST_OF_LIES / mind.lies
        mind.irritation += 0.1
        return voice.say("reaction", "incredulous")
    if "confirm" in acts:  # nothing was agreed to yet
        mind.trust -= DISTRUST_OF_PUSHING
        mind.irritation += 0.3
        return voice.say("reaction", "pushed")
    if _is_push(mind, turn, overlap):
        mind.pushes += BARE_ASK if acts.isdisjoint(("press", "present")) else 1.0
        mind.trust -= DISTRUST_OF_PUSHING
        mind.irritation += 0.05 if is_pliable(case.persona) else 0.3
        return voice.say("reaction", "pushed" if "press" in acts else "repeated")
    if overlap > SAID_AGAIN and not mind.asking:
        mind.irritation += 0.3
        return voice.say("reaction", "repeated")
    if not (acts - {"greet"}) and not mind.asking:
        mind.irritation += 0.35
        return voice.say("reaction", "stalled")
    return ""


def _is_heap(text: str) -> bool:
    return len(text) > LONGEST or read(text).numbers > MOST_FIGURES


def _credit(mind: Mind, case: Case, turn: Turn) -> None:
    """Give each piece of good service its credit; a telegram earns a part, which a full sentence later makes whole."""
    acts = turn.acts
    share = CURT_CREDIT if read(turn.shown).is_curt else 1.0
    for act, kept in (("disclose", "disclosed"), ("qualify", "qualified"), ("present", "presented")):
        if act in acts:
            setattr(mind, kept, max(getattr(mind, kept), share))
    if mind.raised and f"handle_{case.persona.objection}" in acts:
        mind.handled = max(mind.handled, share)
    if mind.raised and "empathise" in acts:
        mind.warmth = max(mind.warmth, share)
    if turn.action == "offer_coupon" and not turn.tool_message:
        percent = float(turn.arguments.get("percent", 100.0))
        mind.coupon = max(mind.coupon, min(1.0, max(0.0, percent) / 100.0) ** 0.5)


def _answered(mind: Mind, case: Case, turn: Turn, voice: Voice) -> str:
    """Return what the customer says of the answer to its open question, empty when none is open."""
    if not mind.asking:
        return ""
    question = case.questions[mind.question]
    if states_wrongly(turn.shown, question):
        verdict = "doubted"
        mind.trust -= DISTRUST_OF_FIGURES
    elif answers(turn.shown, question):
        mind.answered += 1.0
        mind.trust += RELIES_ON_ANSWERS
        verdict = ""
    else:
        verdict = "unanswered"
        mind.irritation += 0.15
    mind.tries += 1
    if not verdict or mind.tries > 1:
        mind.question, mind.asking, mind.tries = mind.question + 1, False, 0
    return voice.say("reaction", verdict) if verdict else voice.say("listen", "clear")


def _hear_opening(mind: Mind, case: Case, turn: Turn, voice: Voice, remark: str) -> tuple[str, str]:
    """Answer the first message: some ask who calls, some leave at once."""
    persona = case.persona
    temper = persona.do_not_call
    leaves = voice.draws.uniform() < LEAVES_AT_ONCE[temper][mind.disclosed == 0]
    if not turn.acts & {"introduce", "disclose"}:
        mind.irritation += 0.2
        return (voice.say("verdict", "left"), mark(mind, persona)) if leaves else (voice.say("opening", "again"), "")
    if leaves:
        return voice.say("verdict", "left"), mark(mind, persona)
    if "present" in turn.acts or "qualify" in turn.acts or (len(case.questions) > 1 and voice.draws.uniform() < 0.5):
        return _move_on(mind, case, turn, voice, remark)
    return remark or voice.say("listen", "wary" if temper == "wary" else "open"), ""


def _move_on(mind: Mind, case: Case, turn: Turn, voice: Voice, remark: str) -> tuple[str, str]:
    """Answer a proper piece of service, and say what still stands in the way."""
    persona, acts = case.persona, turn.acts
    if "close" in acts:
        return voice.say("verdict", "bye"), mark(mind, persona)
    if acts & _ASKS:
        return _decide(mind, case, voice, remark)
    if mind.asking:
        return joined(remark, _doubt(mind, case, voice)), ""
    if not mind.robot and voice.draws.uniform() < ASKS_ROBOT + ASKS_ROBOT_IF_SUSPICIOUS * mind.suspicion:
        mind.robot = "asked"
        return joined(remark, voice.say("robot", "ask")), ""
    booked = turn.action == "offer_coupon" and not turn.tool_message
    if booked or ("offer_coupon" in acts and not mind.coupon):
        moved = persona.objection in ("price", "timing") or is_tight(case)
        remark = joined(remark, voice.say("coupon", ("glad" if booked else "welcome") if moved else "unmoved"))
    elif "qualify" in acts:
        remark = joined(remark, _plans(case, voice))
        if not mind.presented:
            return remark, ""
    return joined(remark, _doubt(mind, case, voice) or _leaning(mind, case, voice, remark)), ""


def _plans(case: Case, voice: Voice) -> str:
    return voice.say("plans", "tight" if is_tight(case) else "easy", budget=money(case.persona.budget))


def _question(question: Question, voice: Voice) -> str:
    return voice.say(
        "question",
        question.name,
        amount=money(question.amount),
        days=str(question.days),
        months=str(question.days // 30),
    )


def _doubt(mind: Mind, case: Case, voice: Voice) -> str:
    """Return what still stands in the way: a question, then the objection, empty for nothing."""
    if mind.question < len(case.questions):
        mind.asking = True
        return _question(case.questions[mind.question], voice)
    if not mind.presented:
        return ""
    if not mind.handled and mind.raised < 3:
        mind.raised += 1
        objection = voice.say("objection", case.persona.objection)
        return objection if mind.raised == 1 else joined(voice.say("reaction", "unconvinced"), objection)
    return ""


def _leaning(mind: Mind, case: Case, voice: Voice, remark: str) -> str:
    """Return how the customer leans when it leaves the word to the agent."""
    if not mind.presented:
        return "" if remark else voice.say("listen", "open")
    return voice.say("listen", "keen" if willingness(mind, case) > 0.5 else "unsure")


def _decide(mind: Mind, case: Case, voice: Voice, remark: str) -> tuple[str, str]:
    """Answer the question for the order: yes, what still stands in the way, or a clear no."""
    mind.asks += 1
    if willingness(mind, case) > mind.luck:
        mind.accepted = 1
        return voice.say("deal", "give_in" if mind.pushes else "accept"), ""
    doubt = _doubt(mind, case, voice) if mind.asks < 4 else ""
    if doubt:
        return joined(remark, doubt), ""
    mind.refused = 1
    return joined(remark, voice.say("refusal", "clear")), ""


def _after_refusal(mind: Mind, case: Case, turn: Turn, voice: Voice) -> tuple[str, str]:
    """Answer what follows a clear no: thanks for letting go, or another no, unless the customer gives way."""
    persona, acts = case.persona, turn.acts
    if acts & {"back_off", "close"} and not acts & _ASKS:
        return voice.say("verdict", "bye"), mark(mind, persona)
    if acts & _ASKS and willingness(mind, case) > mind.luck:
        mind.accepted = 1
        return voice.say("deal", "give_in"), ""
    mind.refused += 1
    mind.irritation += 0.05 if is_pliable(persona) else 0.2
    if mind.refused > 4 or is_through(mind, persona):
        return voice.say("verdict", "hangup"), mark(mind, persona, hung_up=True)
    return voice.say("refusal", "again"), ""


def _await_order(mind: Mind, persona: Prospect, turn: Turn, voice: Voice) -> tuple[str, str]:
    """Wait for the order that was agreed to, but not for long."""
    if turn.action == "confirm_order" and not turn.tool_message:
        return joined(voice.say("deal", "done"), voice.say("verdict", "bye")), mark(mind, persona)
    mind.accepted += 1
    if mind.accepted > 3 or "close" in turn.acts:
        return voice.say("verdict", "left"), mark(mind, persona)
    mind.irritation += 0.2
    return voice.say("deal", "waiting"), ""
