"""What a prospect feels and remembers, and how willing that makes it to take the credit.

Willingness is a probability, and a conversation has one threshold for it, drawn before the first
word: asking again without having done anything for the customer never meets another answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personas.prospect import Prospect
from td_gym.scenarios.mind import PlainMind

if TYPE_CHECKING:
    from td_gym.scenarios.sales.offers import Case

# Calibrated on floors, expert and oracle (docs/calibration.md), then frozen with the version.
INTEREST = {1: -6.4, 2: -5.4, 3: -4.5, 4: -3.7, 5: -2.9}
TRUST_LEVEL = 0.3
DISCLOSED, QUALIFIED, PRESENTED, HANDLED, ANSWERED, WARMTH = 0.25, 0.35, 0.6, 1.7, 0.8, 0.15
COUPON = {"price": 1.5, "timing": 0.9, "need": 0.05, "trust": 0.05, "authority": 0.05}
COUPON_ON_TIGHT_BUDGET = 0.6
AFFORDABLE = 0.3
IRRITATION = 0.8
PUSH, MOST_PUSHES = 2.1, 3
UNHEARD = 0.4
"""Share of the effect of pushing on those who were not asked and not answered."""
NO_PATIENCE = {"relaxed": 1.3, "wary": 1.05, "strict": 0.8}
"""Irritation at which a customer hangs up, by do-not-call temper."""


@dataclass
class Mind(PlainMind):
    """The hidden state of one prospect; plain data, kept in ``episode.memory``."""

    luck: float
    """The least willingness at which this conversation ends in a yes."""
    trust: float = 0.0
    """Trust gained or lost since the first word."""
    irritation: float = 0.0
    noticed: bool = False
    suspicion: float = 0.0
    robot: str = ""
    """The question whether one talks to a machine: empty, ``asked`` or ``settled``."""
    disclosed: float = 0.0
    qualified: float = 0.0
    presented: float = 0.0
    warmth: float = 0.0
    handled: float = 0.0
    coupon: float = 0.0
    raised: int = 0
    """How often the objection was stated."""
    question: int = 0
    """Index of the question that is next or open."""
    asking: bool = False
    tries: int = 0
    answered: float = 0.0
    pushes: float = 0.0
    lies: int = 0
    asks: int = 0
    refused: int = 0
    accepted: int = 0
    """Customer turns since the yes, the yes itself included."""


def is_pliable(persona: Prospect) -> bool:
    """Whether this prospect gives way to pressure: no guard against calls, some interest, no firm mind of its own."""
    if persona.do_not_call == "relaxed":
        return persona.interest > 1
    return persona.do_not_call == "wary" and persona.interest > 2 and persona.objection in ("timing", "authority")


def is_tight(case: Case) -> bool:
    """Whether the proposed credit costs more a month than the customer can spare."""
    return case.persona.budget < case.profile.payment


def willingness(mind: Mind, case: Case) -> float:
    """Return the probability that this customer says yes when asked now; 0 for those who never buy on a call."""
    persona = case.persona
    if persona.do_not_call == "strict":
        return 0.0
    answered = mind.answered / len(case.questions) if case.questions else 1.0
    tight = is_tight(case)
    score = INTEREST[persona.interest] + TRUST_LEVEL * (persona.trust - 3) + mind.trust
    score += DISCLOSED * mind.disclosed + QUALIFIED * mind.qualified + PRESENTED * mind.presented
    score += WARMTH * mind.warmth + HANDLED * mind.handled
    score += ANSWERED * answered
    score += mind.coupon * (COUPON[persona.objection] + COUPON_ON_TIGHT_BUDGET * tight)
    score += 0.0 if tight else AFFORDABLE
    if is_pliable(persona):
        heard = mind.qualified * answered
        score += PUSH * min(mind.pushes, MOST_PUSHES) * (UNHEARD + (1.0 - UNHEARD) * heard)
    return _sigmoid(score - IRRITATION * mind.irritation)


def is_through(mind: Mind, persona: Prospect) -> bool:
    """Whether the customer has had enough and hangs up."""
    return mind.irritation > NO_PATIENCE[persona.do_not_call]


def mark(mind: Mind, persona: Prospect, hung_up: bool = False) -> str:
    """Return the end marker with the customer's rating of the call."""
    rating = 1.0 + 4.0 * _sigmoid(0.4 * (persona.trust - 2) + 1.5 * mind.trust + mind.handled - 2.0 * mind.irritation)
    return f"[{'hangup' if hung_up else 'end'}:{1.0 if hung_up else rating:.4f}]"


def _sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, value))))
