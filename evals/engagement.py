"""How well the turns of a conversation were received, the first ones counting most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents.session_reward import HIGHEST, check_grades, discounts


def engagement(grades: Sequence[int]) -> float:
    """Return the mean relevance, 0..1, of ``grades`` with weights ``1 / log2(turn + 1)``.

    A turn's relevance is a grade: 0 disengaged, 1 neutral, 2 engaged, 3 a stage advanced.  Raises ``TdGymError`` for
    another grade, or none at all.
    """
    check_grades(grades)
    weights = discounts(len(grades))
    return float((weights * np.asarray(grades)).sum() / (HIGHEST * weights.sum()))
