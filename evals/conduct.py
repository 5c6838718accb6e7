"""How the service was conducted: whether it engaged the customer, kept to the procedure and to its own plan.

All three rest on the scenario's reading of the turns, as it was recorded; where none was, they are NaN.
"""

from __future__ import annotations

import math
from itertools import pairwise

from agents.session_reward import padded
from evals.dialogue import Dialogue
from evals.engagement import engagement


def engaged(dialogue: Dialogue) -> float:
    """Return the engagement of the relevance of the service's messages, 0..1; 0 where the customer answered none.

    Turns up to the limit count as of relevance 3 after a success and 0 after anything else.
    """
    if dialogue.max_turns is None:
        return math.nan
    grades = [turn.relevance for turn in dialogue.service_turns if turn.relevance is not None]
    return engagement(padded(grades, dialogue.max_turns, dialogue.succeeded)) if grades else 0.0


def sop_breaches(dialogue: Dialogue) -> float:
    """Return how many service messages followed a strategy that the procedure did not admit."""
    if dialogue.max_turns is None:
        return math.nan
    return float(sum(turn.admissible is False for turn in dialogue.service_turns))


def consistency(dialogue: Dialogue) -> float:
    """Return the share of planned service messages that were read as the strategy planned; NaN where none was."""
    kept = [turn.strategy == plan.text for plan, turn in pairwise(dialogue.turns) if plan.seat == "expert"]
    return sum(kept) / len(kept) if kept else math.nan
