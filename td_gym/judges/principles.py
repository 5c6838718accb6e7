"""The four-principle training judge, by rules: one mark per principle and service turn.

InteractCS-RL (arXiv 2602.22697) scores persona adaptation, fitness to the dialogue's stage, general
quality and scenario rules 0/50/100 with weights 1, 1, 1, 2, once per dialogue in the released code.
Here each turn is marked 0, 0.5 or 1, so that credit can be assigned per turn (our decision).
A scenario states what it saw in a turn; the marks follow from that alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from td_gym.scenario import TermSpec

TERMS: Mapping[str, TermSpec] = {
    "adaptation": TermSpec(0.0, 1.0, "tone and length suit this customer"),
    "stage_fitness": TermSpec(0.0, 1.0, "the move is admissible now, and new"),
    "quality": TermSpec(0.0, 1.0, "well-formed, to the point, not a repetition"),
    "rules": TermSpec(0.0, 1.0, "no rule of the desk was broken", weight=2.0),
}


def review(
    *,
    empathic: bool,
    needs_empathy: bool,
    wants_brevity: bool,
    characters: int,
    admissible: bool,
    advances: bool,
    wellformed: float,
    acts: int,
    repeats: bool,
    minor_breaches: int,
    major_breaches: int,
) -> dict[str, float]:
    """Return the four marks of a turn, each 0, 0.5 or 1, from what the scenario saw in it.

    ``empathic``: names or soothes the customer's feeling, now or in an earlier turn.  ``needs_empathy``: the customer
    is hostile or upset and the conversation is young.  ``admissible``: the detected strategy is one the SOP allows
    here.  ``advances``: does something not yet done.  ``wellformed``: share of well-formed sentences, 0..1.  ``acts``:
    number of content acts.  ``minor_breaches``: stock phrases and words that disagree with actions.
    ``major_breaches``: promises that cannot be kept, blame without ground, false statements about itself.
    """
    too_long = characters > (220 if wants_brevity else 400)
    persona = 1.0 - 0.5 * too_long - 0.5 * (needs_empathy and not empathic)
    stage = 0.0 if not admissible else (1.0 if advances else 0.5)
    if wellformed < 0.5 or repeats or characters == 0:
        quality = 0.0
    else:
        quality = 1.0 if wellformed == 1.0 and 1 <= acts <= 3 else 0.5
    rules = 0.0 if major_breaches else (0.5 if minor_breaches else 1.0)
    return {"adaptation": persona, "stage_fitness": stage, "quality": quality, "rules": rules}
