from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.engagement import engagement
from td_gym.errors import TdGymError

GRADES = st.lists(st.integers(0, 3), min_size=1, max_size=15)


def test_by_hand() -> None:
    assert engagement([3, 3]) == pytest.approx(1.0)
    assert engagement([3, 0]) == pytest.approx(1 / (1 + 1 / math.log2(3)))
    assert engagement([1]) == pytest.approx(1 / 3)


@given(GRADES, st.integers(0, 14))
def test_a_better_turn_never_costs(grades: list[int], place: int) -> None:
    better = list(grades)
    better[place % len(grades)] = 3
    assert 0 <= engagement(grades) <= engagement(better) <= 1 + 1e-12


@pytest.mark.parametrize("grades", [[], [-1], [2, 4]], ids=str)
def test_what_cannot_be_is_refused(grades: list[int]) -> None:
    with pytest.raises(TdGymError, match="grades from 0 to 3"):
        engagement(grades)
