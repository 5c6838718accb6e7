"""Rewards of a whole conversation by how its turns were received: esnDCG, and a joint reward.

They are GOPO-style: the paper (arXiv 2602.15854) names an expert rewarded by esnDCG and a joint business reward, its
formulas are not public, and padding, weights and the joint reward are ours.

A turn's relevance is a grade: 0 disengaged, 1 neutral, 2 engaged, 3 a stage advanced.  What comes after the last turn
counts too (``padded``), else a conversation that breaks off after one good turn would be perfect, and one that drags
on better than one that is soon done.

Source of esnDCG: Kanoulas, Carterette, Clough, Sanderson, "Evaluating multi-query sessions" (SIGIR 2011), the expected
nDCG of a session over where a user leaves it, here with one item a turn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from td_gym.errors import TdGymError

HIGHEST = 3
PERSISTENCE = 0.9
"""Probability of going on to the next turn."""


def check_grades(grades: Sequence[int]) -> None:
    """Raise ``TdGymError`` for grades outside 0..3, or none at all."""
    if not grades or not all(grade in range(HIGHEST + 1) for grade in grades):
        raise TdGymError(f"Relevance must be grades from 0 to {HIGHEST}, one a turn, not {list(grades)}.")


def padded(grades: Sequence[int], horizon: int, succeeded: bool) -> list[int]:
    """Return the grades of ``horizon`` turns: those given, then 3 after a success and 0 after anything else.

    Raises ``TdGymError`` for grades outside 0..3, none at all, or more than ``horizon``.
    """
    check_grades(grades)
    if len(grades) > horizon:
        raise TdGymError(f"{len(grades)} turns were graded, more than the {horizon} that there may be.")
    return [*grades, *[HIGHEST if succeeded else 0] * (horizon - len(grades))]


def esndcg(grades: Sequence[int], persistence: float = PERSISTENCE, discounted: bool = False) -> float:
    """Return the expected session nDCG of ``grades``, one a turn, 0..1.

    ``sum_r P(r) G(1..r) / I(1..r)``: ``r`` is the turn after which one leaves, ``P(r) = p^(r-1) (1 - p)`` and
    ``p^(m-1)`` for the last; ``G`` sums the gains ``2^grade - 1``, ``I`` those of grades that are all 3.
    ``discounted`` divides the gain of turn ``r`` by ``log2(r + 1)``.  ``TdGymError`` for a persistence outside 0..1.
    """
    if not 0 <= persistence <= 1:
        raise TdGymError(f"The persistence must be between 0 and 1, it is {persistence}.")
    check_grades(grades)
    count = len(grades)
    weights = discounts(count) if discounted else np.ones(count)
    gained = np.cumsum((2.0 ** np.asarray(grades) - 1.0) * weights)
    ideal = np.cumsum((2.0**HIGHEST - 1.0) * weights)
    return float((leaving(count, persistence) * gained / ideal).sum())


def leaving(count: int, persistence: float) -> npt.NDArray[np.float64]:
    """Return with which probability one leaves after each of ``count`` turns; they sum to 1."""
    reached: npt.NDArray[np.float64] = persistence ** np.arange(count, dtype=np.float64)
    return np.append(reached[:-1] * (1.0 - persistence), reached[-1:])


def discounts(count: int) -> npt.NDArray[np.float64]:
    """Return ``1 / log2(turn + 1)`` for the turns 1 to ``count``."""
    return 1.0 / np.log2(np.arange(2, count + 2, dtype=np.float64))


def joint_reward(esndcg: float, outcome: float, consistency: Sequence[float], breached: bool) -> float:
    """Return ``0.4 esndcg + 0.4 outcome + 0.2 mean consistency``, 0..1, or 0 where the procedure was breached.

    ``outcome`` is the session reward in 0..1; ``consistency`` says for every turn whether the words followed the
    strategy.  Raises ``TdGymError`` for a value outside 0..1, or no turn.
    """
    values = (esndcg, outcome, *consistency)
    if not consistency or not all(0 <= value <= 1 for value in values):
        raise TdGymError(f"esnDCG, outcome and the consistency of each turn must lie between 0 and 1, not {values}.")
    return 0.0 if breached else 0.4 * esndcg + 0.4 * outcome + 0.2 * float(np.mean(consistency))
