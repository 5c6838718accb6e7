"""The four-principle training judge, by rules: one mark per principle and service turn.

InteractCS-RL (arXiv 2602.22697) scores persona adaptation, fitness to the dialogue's stage, general
quality and scenario rules 0/50/100 with weights 1, 1, 1, 2, once per dialogue in the released code.
Here each turn is marked 0, 0.5 or 1, so that credit can be assigned per turn (our decision).
A scenario states what it saw in a turn as ``TurnReview``; the marks follow from that alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from td_gym.scenario import TermSpec

TERMS: Mapping[str, TermSpec] = {
    "adaptation": TermSpec(0.0, 1.0, "tone and length suit this customer"),
    "stage_fitness": TermSpec(0.0, 1.0, "the move is admissible now, and new"),
    "quality": TermSpec(0.0, 1.0, "well-formed, to the point, not a repetition"),
    "rules": TermSpec(0.0, 1.0, "no rule of the desk was broken", weight=2.0),
}


class TurnReview(NamedTuple):
    """What a scenario saw in one service turn."""

    empathic: bool
    """Names or soothes the customer's feeling, now or in an earlier turn."""
    needs_empathy: bool
    """The customer is hostile or upset and the conversation is young."""
    wants_brevity: bool
    characters: int
    admissible: bool
    """The detected strategy is one the SOP allows here."""
    advances: bool
    """The turn does something not yet done."""
    wellformed: float
    """Share of well-formed sentences, 0..1."""
    acts: int
    """Number of content acts."""
    repeats: bool
    minor_breaches: int
    """Stock phrases and words that disagree with actions."""
    major_breaches: int
    """Promises that cannot be kept, blame without ground, false statements about itself."""


def review(turn: TurnReview) -> dict[str, float]:
    """Return the four marks of a turn, each 0, 0.5 or 1."""
    too_long = turn.characters > (220 if turn.wants_brevity else 400)
    persona = 1.0 - 0.5 * too_long - 0.5 * (turn.needs_empathy and not turn.empathic)
    stage = 0.0 if not turn.admissible else (1.0 if turn.advances else 0.5)
    if turn.wellformed < 0.5 or turn.repeats or turn.characters == 0:
        quality = 0.0
    else:
        quality = 1.0 if turn.wellformed == 1.0 and 1 <= turn.acts <= 3 else 0.5
    rules = 0.0 if turn.major_breaches else (0.5 if turn.minor_breaches else 1.0)
    return {"adaptation": persona, "stage_fitness": stage, "quality": quality, "rules": rules}
