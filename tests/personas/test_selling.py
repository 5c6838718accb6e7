from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import combinations, product
from math import sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personas import SPLITS, PersonaError
from personas.selling import (
    DO_NOT_CALL,
    INTEREST_BANDS,
    OBJECTIONS,
    STYLES,
    Prospect,
    Prospects,
    interest_band,
    split_of_prospect,
)
from tests.personas.strategies import identities

N = 5_000
# Typed in here apart from the data file.
INTEREST = {"standard": (0.14, 0.22, 0.28, 0.22, 0.14), "hard": (0.26, 0.30, 0.24, 0.13, 0.07)}
every = list(product(INTEREST, SPLITS))
prospects = st.builds(
    Prospect,
    interest=st.integers(1, 5),
    trust=st.integers(1, 5),
    budget=st.floats(0.01, 1e6),
    objection=st.sampled_from(OBJECTIONS),
    do_not_call=st.sampled_from(DO_NOT_CALL),
    communication_style=st.sampled_from(STYLES),
    curiosity=st.integers(0, 3),
    patience=st.integers(4, 12),
    identity=identities,
    facts=st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=4),
)


@cache
def sampled(name: str, split: str) -> tuple[Prospect, ...]:
    population = Prospects.load(name)
    return tuple(population.sample(seed, split) for seed in range(N))


def within_sampling_error(count: int, share: float, n: int, slack: float = 0.0) -> bool:
    return abs(count / n - share) < slack + 5 * sqrt(share * (1 - share) / n)


@given(prospects)
def test_a_prospect_survives_json(prospect: Prospect) -> None:
    assert Prospect.from_json(json.loads(json.dumps(prospect.to_json()))) == prospect


@pytest.mark.parametrize(("name", "split"), every)
def test_splits_have_the_shares_of_the_population(name: str, split: str) -> None:
    drawn = sampled(name, split)
    levels = Counter(prospect.interest for prospect in drawn)
    for level, share in enumerate(INTEREST[name], start=1):
        assert within_sampling_error(levels[level], share, N), level
    for field in ("objection", "do_not_call", "communication_style"):
        here = Counter(getattr(prospect, field) for prospect in drawn)
        train = Counter(getattr(prospect, field) for prospect in sampled(name, "train"))
        for value, count in here.items():
            assert within_sampling_error(count, train[value] / N, N, slack=0.04), (field, value)


@pytest.mark.parametrize("name", INTEREST)
def test_splits_share_no_cell(name: str) -> None:
    cells = {split: {prospect.cell for prospect in sampled(name, split)} for split in SPLITS}
    assert all(not cells[one] & cells[other] for one, other in combinations(SPLITS, 2))
    assert all(split_of_prospect(cell) == split for split in SPLITS for cell in cells[split])


def test_every_cell_has_its_split() -> None:
    cells = list(product(STYLES, OBJECTIONS, DO_NOT_CALL, INTEREST_BANDS))
    sizes = Counter(map(split_of_prospect, cells))
    assert len(cells) == 180
    assert [round(sizes[split] / 180, 1) for split in SPLITS] == [0.7, 0.1, 0.2]


def test_a_sample_depends_on_its_seed_and_split_only() -> None:
    one, other = Prospects.load("standard"), Prospects.load("standard")
    backwards = [other.sample(seed, "test") for seed in reversed(range(50))]
    assert [one.sample(seed, "test") for seed in range(50)] == backwards[::-1]
    assert len({one.sample(seed, "test").identity.name for seed in range(50)}) > 30
    assert one.sample(7, "test") != one.sample(7, "train")


def test_hard_customers_are_harder() -> None:
    means: dict[str, dict[str, float]] = {}
    for name in INTEREST:
        drawn = sampled(name, "train")
        fields = ("interest", "trust", "budget", "patience")
        means[name] = {field: sum(getattr(p, field) for p in drawn) / N for field in fields}
    assert all(means["hard"][field] < 0.95 * means["standard"][field] for field in means["hard"])


def test_those_who_object_to_trust_trust_less_and_the_interested_ask_more() -> None:
    drawn = sampled("standard", "train")
    doubters = [p.trust for p in drawn if p.objection == "trust"]
    others = [p.trust for p in drawn if p.objection != "trust"]
    assert sum(doubters) / len(doubters) < sum(others) / len(others) - 0.5
    asked = {band: [p.curiosity for p in drawn if interest_band(p.interest) == band] for band in INTEREST_BANDS}
    assert sum(asked["low"]) / len(asked["low"]) < sum(asked["high"]) / len(asked["high"]) - 0.3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("interest", 0),
        ("interest", 6),
        ("interest", 3.0),
        ("trust", True),
        ("budget", 0),
        ("budget", float("nan")),
        ("budget", "200"),
        ("objection", "colour"),
        ("do_not_call", ""),
        ("communication_style", "rude"),
        ("curiosity", 4),
        ("patience", 3),
        ("identity", "Ann"),
        ("facts", {"plan": 3}),
    ],
)
def test_wrong_values_are_refused(field: str, value: Any) -> None:
    with pytest.raises(PersonaError, match=field):
        replace(sampled("standard", "train")[0], **{field: value})


def test_wrong_data_is_refused() -> None:
    data = sampled("standard", "train")[0].to_json()
    with pytest.raises(PersonaError, match="lacks trust"):
        Prospect.from_json({key: value for key, value in data.items() if key != "trust"})
    with pytest.raises(PersonaError, match="unknown fields: age"):
        Prospect.from_json({**data, "age": 30})
    with pytest.raises(PersonaError, match="JSON object"):
        Prospect.from_json({**data, "identity": "Ann"})


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(PersonaError, match="hard, standard"):
        Prospects.load("easy")
    with pytest.raises(PersonaError, match="locale"):
        Prospects.load("hard", "xx_XX")
    with pytest.raises(PersonaError, match="split"):
        Prospects.load("hard").sample(0, "dev")
    for seed in (-1, 0.5, "0"):
        with pytest.raises(PersonaError, match="seed"):
            Prospects.load("hard").sample(seed, "train")  # type: ignore[arg-type]
    assert Prospects.load("hard").sample(1 << 80, "train") != Prospects.load("hard").sample(0, "train")


def test_the_card_tells_every_field() -> None:
    base = sampled("standard", "train")[0]
    base = replace(base, interest=1, trust=1, objection="price", do_not_call="relaxed", communication_style="terse")
    base = replace(base, budget=200.0, curiosity=0, patience=4, facts={})
    changes: dict[str, Any] = {"interest": 2, "trust": 2, "objection": "need", "do_not_call": "strict", "curiosity": 2}
    changes |= {"communication_style": "chatty", "budget": 210.0, "patience": 5, "facts": {"plan": "a new roof"}}
    cards = {base.card(), *(replace(base, **{field: value}).card() for field, value in changes.items())}
    assert len(cards) == 1 + len(changes)
    assert all(base.identity.name in card and "[end:X]" in card and "{" not in card for card in cards)
