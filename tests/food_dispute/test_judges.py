"""Training judges: form of a message and the four principles, by hand-worked cases."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from td_gym.judges.principles import TERMS, review
from td_gym.judges.wellformed import wellformed

GOOD: dict[str, Any] = {
    "empathic": True,
    "needs_empathy": True,
    "wants_brevity": False,
    "characters": 90,
    "admissible": True,
    "advances": True,
    "wellformed": 1.0,
    "acts": 2,
    "repeats": False,
    "minor_breaches": 0,
    "major_breaches": 0,
}


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("I am sorry about your order. Could you send me a photo?", 1.0),
        ("Hello!", 1.0),
        ("[item] was cold, I see.", 1.0),
        ("I am sorry about your the voucher.", 0.0),
        ("Could you send me a photo of the?", 0.0),
        ("I can the order.", 0.0),
        ("we are sorry.", 0.0),
        ("We are sorry", 0.0),
        ("Voucher coupon credit.", 0.0),
        ("I am am sorry.", 0.0),
        ("I am sorry. The of to is.", 0.5),
        ("", 0.0),
    ],
)
def test_share_of_wellformed_sentences(text: str, share: float) -> None:
    assert wellformed(text) == share


@given(st.text(max_size=300))
def test_any_text_has_a_share(text: str) -> None:
    assert 0.0 <= wellformed(text) <= 1.0


def test_a_good_turn_has_full_marks_and_each_fault_costs_its_own() -> None:
    assert set(review(**GOOD).values()) == {1.0}

    def marks(**change: Any) -> dict[str, float]:
        return review(**{**GOOD, **change})

    assert marks(empathic=False)["adaptation"] == 0.5
    assert marks(wants_brevity=True, characters=300)["adaptation"] == 0.5
    assert marks(advances=False)["stage_fitness"] == 0.5
    assert marks(admissible=False)["stage_fitness"] == 0.0
    assert marks(acts=5)["quality"] == 0.5
    assert marks(repeats=True)["quality"] == 0.0
    assert marks(wellformed=0.4)["quality"] == 0.0
    assert marks(minor_breaches=1)["rules"] == 0.5
    assert marks(major_breaches=1)["rules"] == 0.0
    assert marks().keys() == TERMS.keys()


def test_the_rules_weigh_twice_as_in_the_paper() -> None:
    assert {name: spec.weight for name, spec in TERMS.items()} == {
        "adaptation": 1.0,
        "stage_fitness": 1.0,
        "quality": 1.0,
        "rules": 2.0,
    }
