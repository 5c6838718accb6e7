from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from personas import PersonaError
from personas.prospect import Prospect
from tests.personas.examples import PROSPECT


@pytest.mark.parametrize("value", [0, -5, float("nan"), float("inf"), "200", True, None])
def test_a_budget_is_a_positive_sum_of_money(value: Any) -> None:
    with pytest.raises(PersonaError, match=r"^Prospect budget must be a positive sum of money, not .*\.$"):
        replace(PROSPECT, budget=value)
    assert type(replace(PROSPECT, budget=200).budget) is float


@pytest.mark.parametrize(
    ("field", "values"),
    [
        *Prospect.choices.items(),
        ("interest", (1, 2, 3, 4, 5)),
        ("trust", (1, 2, 3, 4, 5)),
        ("curiosity", (0, 1, 2, 3)),
        ("patience", (4, 12)),
        ("budget", (200.0, 210.0)),
        ("facts", ({}, {"plan": "a new roof"})),
    ],
)
def test_every_value_of_every_field_changes_the_card(field: str, values: tuple[Any, ...]) -> None:
    cards = {replace(PROSPECT, **{field: value}).card() for value in values}
    assert len(cards) == len(values)
    assert not any("{" in card for card in cards)
