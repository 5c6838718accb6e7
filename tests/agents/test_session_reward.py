"""Rewards of whole conversations: by hand, against simulated leaving, and in the order they are meant to give."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.session_reward import esndcg, joint_reward, leaving, padded
from td_gym.errors import TdGymError

GRADES = st.lists(st.integers(0, 3), min_size=1, max_size=15)


@pytest.mark.parametrize(
    ("grades", "persistence", "discounted", "value"),
    [
        ([3], 0.9, False, 1.0),
        ([2], 0.9, False, 3 / 7),
        ([3, 0], 0.9, False, 0.1 * 1 + 0.9 * (7 / 14)),
        ([0, 3], 0.9, False, 0.9 * (7 / 14)),
        ([1, 2, 3], 0.5, False, 0.5 * (1 / 7) + 0.25 * (4 / 14) + 0.25 * (11 / 21)),
        ([3, 0], 0.9, True, 0.1 * 1 + 0.9 * (7 / (7 + 7 / math.log2(3)))),
        ([1, 3, 3], 0.0, False, 1 / 7),
        ([1, 3, 3], 1.0, False, 15 / 21),
    ],
)
def test_by_hand(grades: list[int], persistence: float, discounted: bool, value: float) -> None:
    assert esndcg(grades, persistence, discounted) == pytest.approx(value, abs=1e-12)


@given(GRADES, st.floats(0, 1), st.booleans())
def test_between_nothing_and_the_ideal(grades: list[int], persistence: float, discounted: bool) -> None:
    assert -1e-12 <= esndcg(grades, persistence, discounted) <= 1 + 1e-12
    assert esndcg([3] * len(grades), persistence, discounted) == pytest.approx(1.0)
    assert esndcg([0] * len(grades), persistence, discounted) == 0.0
    assert leaving(len(grades), persistence).sum() == pytest.approx(1.0)


@given(GRADES, st.integers(0, 14), st.floats(0.05, 1))
def test_a_better_turn_never_costs(grades: list[int], place: int, persistence: float) -> None:
    better = list(grades)
    better[place % len(grades)] = 3
    assert esndcg(better, persistence) >= esndcg(grades, persistence) - 1e-12


@pytest.mark.parametrize("seed", range(25))
def test_the_closed_form_is_the_mean_over_where_people_leave(seed: int) -> None:
    """Leave turn by turn, as a user would, and average the nDCG of what was seen."""
    random, walks = np.random.default_rng(seed), 20_000
    grades = [int(grade) for grade in random.integers(0, 4, random.integers(2, 16))]
    persistence, discounted = random.uniform(0.3, 0.98), bool(seed % 2)
    going = random.random((walks, len(grades))) < persistence
    seen = np.minimum(np.cumprod(going, axis=1).sum(axis=1) + 1, len(grades))

    def gain(grade: int, turn: int) -> float:
        return (2**grade - 1) / (math.log2(turn + 2) if discounted else 1)

    ndcg = [
        sum(gain(grade, turn) for turn, grade in enumerate(grades[:last])) / sum(gain(3, turn) for turn in range(last))
        for last in range(1, len(grades) + 1)
    ]
    sample = np.array(ndcg)[seen - 1]
    error = sample.std(ddof=1) / math.sqrt(walks)
    assert abs(esndcg(grades, persistence, discounted) - sample.mean()) <= 3 * error


def test_fast_success_beats_slow_success_beats_dragging_beats_breaking_off() -> None:
    horizon = 15
    fast = esndcg(padded([2, 3, 3], horizon, succeeded=True))
    slow = esndcg(padded([1, 2, 1, 2, 1, 2, 3, 3], horizon, succeeded=True))
    dragging = esndcg(padded([1, 2] * 7 + [1], horizon, succeeded=False))
    one_good_turn = esndcg(padded([3], horizon, succeeded=False))
    assert fast > slow > dragging > one_good_turn
    assert esndcg([3]) == 1.0 > one_good_turn  # what the padding is for


def test_the_joint_reward_by_hand() -> None:
    assert joint_reward(0.5, 1.0, [1, 0], breached=False) == pytest.approx(0.2 + 0.4 + 0.1)
    assert joint_reward(1.0, 1.0, [1], breached=False) == pytest.approx(1.0)
    assert joint_reward(1.0, 1.0, [1], breached=True) == 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: padded([], 5, True),
        lambda: padded([4], 5, True),
        lambda: padded([1] * 6, 5, True),
        lambda: esndcg([1], persistence=1.5),
        lambda: esndcg([-1]),
        lambda: esndcg([]),
        lambda: joint_reward(0.5, 3.2, [1], False),
        lambda: joint_reward(0.5, 0.2, [], False),
    ],
)
def test_what_cannot_be_is_refused(wrong: Any) -> None:
    with pytest.raises(TdGymError):
        wrong()
