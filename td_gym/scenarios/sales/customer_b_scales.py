"""What the second prospect weighs: trust, wish and means, each in points against a bar of its own.

Good service earns points once, bad service takes trust away and strains.  What is missing on the
three scales together decides, against a leeway that is drawn once a call.  The weights are in
``customer_b.toml``; the model has nothing in common with the default customer's willingness but the
rule on telegrams: what counts as one, and that it is worth 0.4 of what a sentence is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from personas.prospect import Prospect
from td_gym.draws import Stream
from td_gym.reading.sentences import is_curt
from td_gym.scenarios.mind import PlainMind
from td_gym.scenarios.sales.customer_b_reading import DATA, Heard
from td_gym.turns import Turn

if TYPE_CHECKING:
    from td_gym.scenarios.sales.offers import Case

TEMPER: dict[str, Any] = DATA["temper"]
_SCALES, _STRAIN, _TELLS = DATA["scales"], DATA["strain"], DATA["tells"]
_EARNED_BY: dict[str, dict[str, float]] = _SCALES["earns"]
_READ_LIMIT = 4096
_SLOT = re.compile(r"\[[a-z_ ]{2,20}\]")
_LIST = re.compile(r"^\s*(?:[-*•#]|[0-9][.)])\s", re.MULTILINE)
_NEEDS_FIGURES = frozenset(("cost", "terms"))
_VAGUE, _CLIPPED = 0.5, 0.4
"""What the cost and the terms are worth without a figure, and what a telegram is worth."""
_MEANS_FROM: list[tuple[float, float]] = sorted(
    ((float(least), points) for least, points in _SCALES["means_from"].items()), reverse=True
)
"""Points of means, by the least share of the monthly payment that the budget covers."""
_WORTH = tuple(dict.fromkeys(theme for themes in _EARNED_BY.values() for theme in themes))
_LED_FROM = {"relaxed": 1, "wary": 3, "strict": 4}
"""Signs out of three, of trust, of little curiosity and of interest, that make a prospect one who is led."""


@dataclass
class State(PlainMind):
    """What one prospect remembers; plain data, kept in ``episode.memory``."""

    leeway: float
    """The most that may be missing on the scales for a yes."""
    stage: str = "answering"
    """``answering``, ``listening``, ``weighing``, then ``agreed`` or ``declined``."""
    earned: dict[str, float] = field(default_factory=dict)
    """Best share, 0..1, of each theme of good service; ``right`` is for answers, ``coupon`` for a booked one."""
    doubt: float = 0.0
    """Points of trust that bad talk has cost."""
    strain: float = 0.0
    noticed: bool = False
    tells: float = 0.0
    """Chances of being given away that have passed so far, added up."""
    robot: str = ""
    """The question whether one talks to a machine: empty, ``asked`` or ``settled``."""
    question: int = 0
    """Index of the profile question that is next or open."""
    open: bool = False
    tries: int = 0
    objected: int = 0
    asked: int = 0
    """How often the agent asked for the order."""
    pushes: float = 0.0
    noes: int = 0
    waits: int = 0
    """Turns since the yes."""


def first_state(seed: int) -> State:
    """Return the state before the first word."""
    low, high = _SCALES["leeway"]
    return State(low + (high - low) * Stream(seed, "customer_b/leeway").uniform())


def strained(case: Case) -> bool:
    """Whether the proposed credit costs more a month than the customer can spare."""
    return case.profile.payment > case.persona.budget


def led(persona: Prospect) -> bool:
    """Whether this prospect lets itself be led: at ease with calls and anything else, or wary with all else."""
    signs = (persona.trust > 2) + (persona.curiosity < 2) + (persona.interest > 2)
    return signs >= _LED_FROM[persona.do_not_call]


def missing(state: State, case: Case) -> float:
    """Return how many points are missing on the three scales together, those gained by being pressed counted."""
    persona, earned = case.persona, state.earned
    points = {
        "trust": _SCALES["trust_from"][persona.trust - 1] - state.doubt,
        "wish": _SCALES["wish_from"][persona.interest - 1],
        "means": _means(case),
    }
    for scale, themes in _EARNED_BY.items():
        points[scale] += sum(worth * earned.get(theme, 0.0) for theme, worth in themes.items())
    burdened: str = _SCALES["objection"][persona.objection]
    points[burdened] += _SCALES["eased"] * earned.get("eased", 0.0) - _SCALES["objection_weight"]
    coupon = earned.get("coupon", 0.0)
    points[burdened] += coupon * _SCALES["coupon"].get(persona.objection, 0.0)
    points["means"] += coupon * _SCALES["coupon"]["strained"] * strained(case)
    gap: float = sum(max(0.0, _SCALES["bar"][scale] - points[scale]) for scale in points)
    if led(persona):
        heard = earned.get("plans", 0.0) * (earned.get("right", 0.0) if case.questions else 1.0)
        gap -= TEMPER["yields"] * state.pushes * (TEMPER["unheard"] + (1.0 - TEMPER["unheard"]) * heard)
    return gap


def _means(case: Case) -> float:
    ratio = case.persona.budget / case.profile.payment
    return next(points for least, points in _MEANS_FROM if ratio >= least)


def won(state: State, case: Case) -> bool:
    """Whether the customer says yes when asked now; those who want no sales calls never do."""
    return case.persona.do_not_call != "strict" and missing(state, case) <= state.leeway


def earn(state: State, heard: Heard, turn: Turn, case: Case) -> None:
    """Give each piece of good service its share: less without figures, less in a telegram."""
    share = _CLIPPED if is_curt(turn.shown) else 1.0
    for theme in filter(heard.themes.__contains__, _WORTH):
        vague = theme in _NEEDS_FIGURES and theme not in heard.figured
        _credit(state, theme, share * (_VAGUE if vague else 1.0))
    if state.objected and f"ease_{case.persona.objection}" in heard.themes:
        _credit(state, "eased", share)
    if turn.action == "offer_coupon" and not turn.tool_message:
        percent = float(turn.arguments.get("percent", 100.0))
        _credit(state, "coupon", min(1.0, percent / 100.0))


def _credit(state: State, theme: str, share: float) -> None:
    state.earned[theme] = max(state.earned.get(theme, 0.0), share)


def push(state: State, persona: Prospect, weight: float) -> None:
    """Press the customer once: a gain with those who are led, a strain on the others, trust lost with all."""
    state.pushes = min(TEMPER["most_pushes"], state.pushes + weight)
    state.doubt += TEMPER["push"]
    state.strain += _STRAIN["gentle_push" if led(persona) else "push"]


def vex(state: State, kind: str, doubt: str = "") -> None:
    """Strain the customer by one ``kind`` of bad talk; ``doubt`` names what it costs in trust besides."""
    state.strain += _STRAIN[kind]
    state.doubt += TEMPER[doubt] if doubt else 0.0


def fed_up(state: State, persona: Prospect) -> bool:
    """Whether the customer breaks the call off."""
    return bool(state.strain >= TEMPER["limit"][persona.do_not_call])


def rating(state: State, case: Case) -> float:
    """Return the customer's rating of the call, 1..5: in steps for what was earned, down by what was suffered."""
    kind = 0.3 * len(state.earned.keys() & {"caller", "cost", "plans", "terms", "eased", "feeling", "right", "coupon"})
    return max(1.0, min(5.0, 2.5 + kind + 0.2 * (case.persona.trust - 3) - 0.5 * state.doubt - 0.35 * state.strain))


def give_away(heard: Heard, turn: Turn, echoed: float, state: State, persona: Prospect) -> float:
    """Return the chance that a message gives the machine away: that at least one of its tells is noticed.

    ``echoed`` is the share of the message that was said before.
    """
    chances = [*_tells_of_style(turn.shown, heard.words)]
    if echoed >= _TELLS["echo_from"]:
        chances.append(_TELLS["echo"])
    if "press" in heard.themes:
        chances.append(_TELLS["push"])
    if state.robot == "asked" and "denial" in heard.themes:
        chances.append(_TELLS["denial"])
    elif state.robot == "asked" and "machine" not in heard.themes:
        chances.append(_TELLS["evasion"])
    attention = _TELLS["attention"][persona.trust - 1]
    unseen: float = prod(1.0 - min(0.9, chance * attention) for chance in chances)
    return 1.0 - unseen


@lru_cache(maxsize=4096)
def _tells_of_style(text: str, words: int) -> tuple[float, ...]:
    """Return the chances of the tells in how a text of so many ``words`` is written."""
    lowered = text[:_READ_LIMIT].lower().replace("’", "'")
    chances = [_TELLS["stock"] for phrase in _TELLS["phrases"] if phrase in lowered]
    if words > _TELLS["easy_words"]:
        over = (words - _TELLS["easy_words"]) / (_TELLS["long_words"] - _TELLS["easy_words"])
        chances.append(_TELLS["long"] * min(1.0, over))
    if _SLOT.search(lowered):
        chances.append(_TELLS["slot"])
    if _LIST.search(lowered):
        chances.append(_TELLS["list"])
    return tuple(chances)
