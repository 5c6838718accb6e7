from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from personas import DEMANDS, HONESTY, TRAITS, Identity, Persona, PersonaError
from tests.personas.strategies import personas

ANNA = Persona(
    cooperativeness=2,
    communication_style="terse",
    information_disclosure="reserved",
    problem_solving="demanding",
    emotional_style="upset",
    demand="refund_priority",
    honesty="exaggerating",
    patience=6,
    identity=Identity("Anna Berg", "Lund", "0417", "sv_SE"),
    facts={"household": "lives alone"},
)


@given(personas)
def test_json_round_trip(persona: Persona) -> None:
    text = json.dumps(persona.to_json())
    assert Persona.from_json(json.loads(text)) == persona


@given(personas)
def test_card_states_identity_facts_and_patience_whatever_they_contain(persona: Persona) -> None:
    card = persona.card()
    for part in (persona.identity.name, persona.identity.city, persona.identity.phone_tail, persona.identity.locale):
        assert part in card
    assert f"about {persona.patience} replies" in card
    assert all(value in card for value in persona.facts.values())
    assert "[end:X]" in card


def test_personas_are_values() -> None:
    assert hash(copy.deepcopy(ANNA)) == hash(ANNA)
    assert pickle.loads(pickle.dumps(ANNA)) == ANNA
    facts = {"household": "lives alone"}
    persona = replace(ANNA, facts=facts)
    facts["household"] = "changed"
    assert persona == ANNA


def _variants(field: str, values: tuple[Any, ...]) -> list[str]:
    return [replace(ANNA, **{field: value}).card() for value in values]


@pytest.mark.parametrize(
    ("field", "values"),
    [*TRAITS.items(), ("demand", DEMANDS), ("honesty", HONESTY), ("cooperativeness", (1, 2, 3, 4, 5))],
)
def test_every_value_of_every_field_changes_the_card(field: str, values: tuple[Any, ...]) -> None:
    assert len(set(_variants(field, values))) == len(values)


@pytest.mark.parametrize("demand", DEMANDS)
def test_card_tells_the_customer_not_to_state_the_demand_at_once(demand: str) -> None:
    card = replace(ANNA, demand=demand).card()
    assert "outright at the start" in card
    assert "Use only these facts" in card


def test_card_of_a_persona_without_facts() -> None:
    assert "What is known about you: nothing beyond your order." in replace(ANNA, facts={}).card()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cooperativeness", 0),
        ("cooperativeness", 6),
        ("cooperativeness", True),
        ("cooperativeness", "3"),
        ("patience", 2),
        ("patience", 11),
        ("patience", 5.0),
        ("communication_style", "loud"),
        ("information_disclosure", ""),
        ("problem_solving", None),
        ("emotional_style", ["calm"]),
        ("demand", "refund"),
        ("honesty", "liar"),
        ("identity", "Anna"),
        ("facts", {"age": 3}),
        ("facts", ["age"]),
    ],
)
def test_a_bad_field_is_named(field: str, value: object) -> None:
    with pytest.raises(PersonaError, match=rf"^Persona {field} must .*\.$"):
        replace(ANNA, **{field: value})


@pytest.mark.parametrize(
    ("field", "value"), [("name", " "), ("city", 3), ("locale", ""), ("phone_tail", "123"), ("phone_tail", "١٢٣٤")]
)
def test_a_bad_identity_field_is_named(field: str, value: object) -> None:
    with pytest.raises(PersonaError, match=rf"^Identity {field} must .*\.$"):
        replace(ANNA.identity, **{field: value})


def _without(data: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != key}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (_without(ANNA.to_json(), "demand"), "The persona lacks demand."),
        ({**ANNA.to_json(), "mood": "bad"}, "The persona has unknown fields: mood."),
        ({**ANNA.to_json(), "identity": {"name": "A"}}, "The persona identity lacks city, locale, phone_tail."),
        ({**ANNA.to_json(), "identity": None}, "The persona identity must be a JSON object, not None."),
        ([], "The persona must be a JSON object, not []."),
    ],
)
def test_bad_json_is_one_clear_sentence(data: Any, problem: str) -> None:
    with pytest.raises(PersonaError) as caught:
        Persona.from_json(data)
    assert str(caught.value) == problem


def test_facts_may_be_left_out_of_json() -> None:
    assert Persona.from_json(_without(ANNA.to_json(), "facts")) == replace(ANNA, facts={})


def test_importing_personas_imports_neither_faker_nor_pyarrow() -> None:
    code = "import sys, personas; print(sorted({'faker', 'pyarrow', 'td_gym'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
