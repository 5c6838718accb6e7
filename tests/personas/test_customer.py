"""What holds for both kinds of customers, personas and prospects."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personas import Persona, PersonaError
from personas.customer import Customer, load_phrases
from personas.prospect import Prospect
from tests.personas.examples import ANNA, FACTS, PERSONA, PROSPECT
from tests.personas.strategies import personas, prospects

customers = st.one_of(personas, prospects)
each_kind = pytest.mark.parametrize("base", [PERSONA, PROSPECT], ids=lambda base: type(base).__name__)


@given(customers)
def test_json_round_trip(customer: Customer) -> None:
    assert type(customer).from_json(json.loads(json.dumps(customer.to_json()))) == customer


@given(customers)
def test_card_states_identity_facts_and_patience_whatever_they_contain(customer: Customer) -> None:
    card = customer.card()
    who = customer.identity
    assert all(part in card for part in (who.name, who.city, who.phone_tail, who.locale, *customer.facts.values()))
    assert f"about {customer.patience} replies" in card
    assert "[end:X]" in card


@each_kind
def test_card_puts_facts_in_words(base: Customer) -> None:
    assert "What is known about you: household: lives alone; account age: a year. Use only these" in base.card()
    assert "What is known about you: nothing" in replace(base, facts={}).card()


@each_kind
def test_customers_are_values(base: Customer) -> None:
    assert hash(copy.deepcopy(base)) == hash(base)
    assert pickle.loads(pickle.dumps(base)) == base
    facts = dict(FACTS)
    other = replace(base, facts=facts)
    facts["household"] = "changed"
    assert other == base


def test_ranges() -> None:
    assert Persona.ranges == {"cooperativeness": range(1, 6), "patience": range(3, 11)}
    levels = {"interest": range(1, 6), "trust": range(1, 6)}
    assert Prospect.ranges == {**levels, "curiosity": range(4), "patience": range(4, 13)}


def _bad_values(base: Customer) -> list[tuple[str, object]]:
    bad: list[tuple[str, object]] = [("identity", "Anna"), ("facts", {"age": 3}), ("facts", ["age"]), ("facts", None)]
    for field, values in base.ranges.items():
        bad += [(field, value) for value in (values[0] - 1, values[-1] + 1, float(values[0]), str(values[0]), True)]
    for field, words in base.choices.items():
        bad += [(field, value) for value in ("", "other", None, [words[0]])]
    return bad


@pytest.mark.parametrize(
    ("base", "field", "value"),
    [(base, field, value) for base in (PERSONA, PROSPECT) for field, value in _bad_values(base)],
    ids=lambda value: type(value).__name__ if isinstance(value, Customer) else repr(value),
)
def test_a_bad_field_is_named(base: Customer, field: str, value: object) -> None:
    with pytest.raises(PersonaError, match=rf"^{type(base).__name__} {field} must be .*\.$"):
        replace(base, **{field: value})


@pytest.mark.parametrize(
    ("field", "value"), [("name", " "), ("city", 3), ("locale", ""), ("phone_tail", "123"), ("phone_tail", "١٢٣٤")]
)
def test_a_bad_identity_field_is_named(field: str, value: object) -> None:
    with pytest.raises(PersonaError, match=rf"^Identity {field} must .*\.$"):
        replace(ANNA, **{field: value})


def _without(data: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != key}


@pytest.mark.parametrize(
    ("kind", "data", "problem"),
    [
        (Persona, _without(PERSONA.to_json(), "demand"), "The persona lacks demand."),
        (Prospect, _without(PROSPECT.to_json(), "trust"), "The prospect lacks trust."),
        (Persona, {**PERSONA.to_json(), "mood": "bad"}, "The persona has unknown fields: mood."),
        (
            Persona,
            {**PERSONA.to_json(), "identity": {"name": "A"}},
            "The persona identity lacks city, locale, phone_tail.",
        ),
        (Prospect, {**PROSPECT.to_json(), "identity": 3}, "The prospect identity must be a JSON object, not 3."),
        (Persona, [], "The persona must be a JSON object, not []."),
    ],
)
def test_bad_json_is_one_clear_sentence(kind: type[Customer], data: Any, problem: str) -> None:
    with pytest.raises(PersonaError) as caught:
        kind.from_json(data)
    assert str(caught.value) == problem


@each_kind
def test_facts_may_be_left_out_of_json(base: Customer) -> None:
    assert type(base).from_json(_without(base.to_json(), "facts")) == replace(base, facts={})


@pytest.mark.parametrize(("table", "keys"), [("honesty", ("honest", "sly")), ("mood", ("good",))])
def test_a_card_without_a_phrase_is_refused(table: str, keys: tuple[str, ...]) -> None:
    problem = rf"card\.toml: the table \[{table}\] must have exactly the keys {', '.join(keys)}\.$"
    with pytest.raises(PersonaError, match=problem):
        load_phrases("card.toml", {table: keys})
