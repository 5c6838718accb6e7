from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from personas import DEMANDS, Persona
from tests.personas.examples import PERSONA


@pytest.mark.parametrize(("field", "values"), [*Persona.choices.items(), ("cooperativeness", (1, 2, 3, 4, 5))])
def test_every_value_of_every_field_changes_the_card(field: str, values: tuple[Any, ...]) -> None:
    assert len({replace(PERSONA, **{field: value}).card() for value in values}) == len(values)


@pytest.mark.parametrize("demand", DEMANDS)
def test_card_tells_the_customer_not_to_state_the_demand_at_once(demand: str) -> None:
    card = replace(PERSONA, demand=demand).card()
    assert "outright at the start" in card
    assert "Use only these facts" in card


def test_importing_personas_imports_neither_faker_nor_pyarrow() -> None:
    code = "import sys, personas; print(sorted({'faker', 'pyarrow', 'td_gym'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
