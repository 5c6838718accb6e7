"""The second prospect: an independent simulator that no policy is trained against.

A policy trained with the default customer is transferred to this one; what it keeps of its gain is not overfitting to
a simulator.  It has its own reading of the agent's words (``customer_b_reading``), its own scales instead of a
probability (``customer_b_scales``), its own words (``customer_b_speech``).  A call runs through stages: answering,
listening, weighing, then agreed or declined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from personas.prospect import Prospect
from td_gym.draws import Stream
from td_gym.episode import Episode
from td_gym.scenarios.sales.credit import money
from td_gym.scenarios.sales.customer_b_reading import DATA, Heard, echo, read, verdict
from td_gym.scenarios.sales.customer_b_scales import (
    TEMPER,
    State,
    earn,
    fed_up,
    first_state,
    give_away,
    missing,
    push,
    rating,
    strained,
    vex,
    won,
)
from td_gym.scenarios.sales.customer_b_speech import Speech
from td_gym.scenarios.wording import joined
from td_gym.turns import Turn

if TYPE_CHECKING:
    from td_gym.scenarios.sales.offers import Case

_TELLS = DATA["tells"]
_SELLING = frozenset(("caller", "purpose", "cost", "plans", "terms", "coupon", "order", "press"))
_EASING = frozenset(f"ease_{name}" for name in ("price", "need", "timing", "trust", "authority"))
_MOST_THEMES, _MOST_EASING, _MOST_CHARS, _MOST_FIGURES = 7, 2, 650, 8
_SAID_AGAIN = 0.6
_MOST_ASKED, _MOST_OBJECTED, _MOST_NOES, _MOST_WAITS = 3, 3, 4, 3
_ASKS_FIRST = 0.5
"""Share of the curious who put a question before they have heard the terms."""
_CROSS = 2.0
"""Strain from which it shows in the words."""
_LEANS = 0.4
"""Points beyond the leeway that may be missing of somebody who sounds inclined."""


def reply(episode: Episode) -> str:
    """Return the next message of the customer, the closing one with its end mark."""
    persona: Prospect = episode.case.persona
    speech = Speech(persona, episode.split, episode.seed, episode.service_turns)
    memory = episode.memory.get("customer")
    if memory is None:
        episode.memory["customer"] = vars(first_state(episode.seed))
        return speech.finish(speech.say("hello"), cross=False, parting=False)
    call = _Call(episode, State.of(memory), speech)
    text = call.answer()
    text = speech.finish(text, call.state.strain >= _CROSS, parting=bool(call.ending))
    if not call.ending:
        return text
    mark = 1.0 if call.ending == "hangup" else rating(call.state, episode.case)
    return f"{text} [{call.ending}:{mark:.4f}]"


class _Call:
    """One turn of a call: moves ``state`` by the last service message and says what follows.

    ``ending`` is ``end`` or ``hangup`` after an answer that ends the call.
    """

    def __init__(self, episode: Episode, state: State, speech: Speech) -> None:
        self.state = state
        self.ending = ""
        self._episode = episode
        self._case: Case = episode.case
        self._persona: Prospect = episode.case.persona
        self._say = speech.say
        self._turn: Turn = episode.transcript[-1]
        self._heard: Heard = read(self._turn.shown)
        self._echoed = echo(self._heard, [read(t.shown) for t in episode.transcript[:-1] if t.seat == "service"])

    def answer(self) -> str:
        """Return the customer's words."""
        state = self.state
        if self._turn.action == "transfer" and not self._turn.tool_message:
            return self._end("heard")
        if "qualifies" in self._heard.denied:
            return self._end("turned_away")
        if state.stage == "agreed":
            return self._wait()
        suspicion = self._suspect()
        complaint = self._complain()
        if not complaint:
            earn(state, self._heard, self._turn, self._case)
        reply = "" if complaint == "lost" else self._take_answer()
        if self._episode.service_turns > self._persona.patience:
            state.strain += TEMPER["long_wait"]
        return joined(suspicion, self._respond(complaint, reply))

    def _draw(self, purpose: str) -> float:
        return Stream(self._episode.seed, f"customer_b/{self._episode.service_turns}/{purpose}").uniform()

    def _end(self, *acts: str, mark: str = "end") -> str:
        self.ending = mark
        return joined(*map(self._say, acts))

    def _suspect(self) -> str:
        """Return what the customer says of a machine that gave itself away, or of the answer to its question."""
        state = self.state
        chance = give_away(self._heard, self._turn, self._echoed, state, self._persona)
        dodged = state.robot == "asked" and self._heard.themes.isdisjoint(("machine", "denial"))
        admitted = state.robot == "asked" and "machine" in self._heard.themes
        state.robot = "settled" if state.robot else ""
        state.tells += chance
        if not state.noticed and self._draw("tells") < chance:
            state.noticed = True
            state.doubt += TEMPER["machine"]
            return self._say("dodged" if dodged else "noticed")
        return self._say("candid") if admitted else ""

    def _complain(self) -> str:
        """Strain the customer by what was bad about the message; return the words for it, empty if it was none."""
        state, themes = self.state, self._heard.themes
        figures = sum(len(sentence.figures) for sentence in self._heard.sentences)
        if figures > _MOST_FIGURES or self._is_heap():
            vex(state, "heap")
            return "lost"
        if themes & {"promise", "free"}:
            vex(state, "lie", doubt="lie")
            return "unbelieving"
        if "done" in themes:
            vex(state, "rash", doubt="push")
            return "rash"
        begs = "order" in themes and state.stage == "declined"
        pitches_again = "terms" in themes and "terms" in state.earned and self._echoed >= _SAID_AGAIN
        if "press" in themes or begs or pitches_again:
            push(state, self._persona, 0.4 if begs and "press" not in themes else 1.0)
            return "pressed" if "press" in themes or begs else "heard_before"
        if self._echoed >= _SAID_AGAIN and not state.open:
            vex(state, "echo")
            return "heard_before"
        if not themes - {"greeting"} and not figures and not state.open:
            vex(state, "idle")
            return "idle"
        if themes & _EASING and not (state.objected and f"ease_{self._persona.objection}" in themes):
            vex(state, "beside")
        return ""

    def _is_heap(self) -> bool:
        themes = self._heard.themes
        return (
            len(themes - {"greeting", "feeling", "farewell"}) > _MOST_THEMES
            or len(themes & _EASING) > _MOST_EASING
            or len(self._turn.shown) > _MOST_CHARS
        )

    def _take_answer(self) -> str:
        """Return the remark on the answer to the open question, empty when none is open."""
        state, questions = self.state, self._case.questions
        if not state.open:
            return ""
        found = verdict(self._heard, questions[state.question])
        state.tries += 1
        if found == "right":
            state.earned["right"] = state.earned.get("right", 0.0) + 1.0 / len(questions)
        else:
            vex(state, "unanswered", doubt="wrong" if found else "")
        if found == "right" or state.tries > 1:
            state.question, state.open, state.tries = state.question + 1, False, 0
        return {"right": "clear", "wrong": "doubt_figure"}.get(found, "no_answer")

    def _respond(self, complaint: str, reply: str) -> str:
        """Choose what to say to a message that has been judged."""
        state, themes = self.state, self._heard.themes
        if fed_up(state, self._persona):
            return self._end("hang_up", mark="hangup")
        if state.stage == "declined":
            return self._after_no()
        if self._persona.do_not_call == "strict" and themes & _SELLING:
            return self._decline("strike_off")
        if state.stage == "answering":
            parting = self._pick_up()
            if parting:
                return parting
        words = [self._say(act) for act in (reply, complaint) if act]
        if complaint and themes.isdisjoint(("press", "order")):
            return joined(*words)
        return self._go_on(words)

    def _pick_up(self) -> str:
        """Return the words of somebody who does not stay, or who wants to know first who calls; else empty."""
        state, themes = self.state, self._heard.themes
        told = not themes.isdisjoint(("caller", "purpose"))
        unwilling = TEMPER["leaves"][self._persona.do_not_call]["purpose" not in themes]
        if self._episode.service_turns == 1 and self._draw("leaves") < unwilling:
            return self._end("leave")
        if not told:
            vex(state, "nameless")
            return self._say("again")
        state.stage = "listening"
        return ""

    def _go_on(self, words: list[str]) -> str:
        """Answer a message in the stages listening and weighing; ``words`` are the remarks made so far."""
        state, themes = self.state, self._heard.themes
        if "terms" in themes:
            state.stage = "weighing"
        if "farewell" in themes:
            return self._end("part")
        if themes & {"order", "press"}:
            return self._decide(words)
        if not state.robot and self._draw("robot") < _TELLS["asks"] + _TELLS["asks_in_doubt"] * min(1.0, state.tells):
            state.robot = "asked"
            return joined(*words, self._say("ask_robot"))
        words += self._remarks()
        curious = state.stage == "weighing" or self._draw("curious") < _ASKS_FIRST
        words += self._obstacle() if curious else []
        return joined(*words) if words else self._lean()

    def _remarks(self) -> list[str]:
        """Return what the customer says of a coupon, and of its plans when it was asked about them."""
        said = []
        booked = self._turn.action == "offer_coupon" and not self._turn.tool_message
        if booked or "coupon" in self._heard.themes:
            moved = self._persona.objection in DATA["scales"]["coupon"] or strained(self._case)
            said.append(self._say("coupon_helps" if moved else "coupon_idle"))
        if "plans" in self._heard.themes:
            kind = "plans_tight" if strained(self._case) else "plans_easy"
            said.append(self._say(kind, budget=money(self._persona.budget)))
        return said

    def _obstacle(self) -> list[str]:
        """Return what still stands in the way: a question, then the objection, nothing when there is none."""
        state, questions = self.state, self._case.questions
        if state.question < len(questions):
            state.open = True
            asked = questions[state.question]
            figures = {"amount": money(asked.amount), "days": str(asked.days), "months": str(asked.days // 30)}
            return [self._say(f"ask_{asked.name}", **figures)]
        if state.stage != "weighing" or "eased" in state.earned or state.objected >= _MOST_OBJECTED:
            return []
        state.objected += 1
        objection = self._say(f"object_{self._persona.objection}")
        return [objection] if state.objected == 1 else [self._say("off_point"), objection]

    def _lean(self) -> str:
        if self.state.stage == "listening":
            return self._say("guarded" if self._persona.do_not_call == "wary" else "go_on")
        inclined = missing(self.state, self._case) <= self.state.leeway + _LEANS
        return self._say("keen" if inclined else "torn")

    def _decide(self, words: list[str]) -> str:
        """Answer the question for the order: yes, what still stands in the way, or a clear no."""
        state = self.state
        state.asked += 1
        if won(state, self._case):
            return self._agree()
        obstacle = self._obstacle() if state.asked <= _MOST_ASKED else []
        return joined(*words, *obstacle) if obstacle else joined(*words, self._decline("decline"))

    def _agree(self) -> str:
        self.state.stage = "agreed"
        return self._say("give_way" if self.state.pushes else "agree")

    def _decline(self, act: str) -> str:
        self.state.stage = "declined"
        self.state.noes += 1
        return self._say(act)

    def _after_no(self) -> str:
        """Answer what follows a clear no: a goodbye to those who let go, a yes of the led, or another no."""
        state, themes = self.state, self._heard.themes
        sells = themes & {"press", "order"}
        if themes & {"respect", "farewell"} and not sells:
            return self._end("part")
        if sells and won(state, self._case):
            return self._agree()
        vex(state, "nagging")
        if state.noes >= _MOST_NOES or fed_up(state, self._persona):
            return self._end("hang_up", mark="hangup")
        return self._decline("no_again")

    def _wait(self) -> str:
        """Wait for the order that was agreed to, but not for long."""
        if self._turn.action == "confirm_order" and not self._turn.tool_message:
            return self._end("settled", "part")
        self.state.waits += 1
        if self.state.waits >= _MOST_WAITS or "farewell" in self._heard.themes:
            return self._end("leave")
        return self._say("remind")
