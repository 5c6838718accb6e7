from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personas import DEMANDS, HONESTY, SPLITS, TRAITS, Persona, PersonaError, Population, split_of_cell
from personas.prospect_population import Prospects
from personas.tables import all_cells
from tests.bounded import bounded
from tests.personas.shares import within_sampling_error

N = 20_000
# Published counts and shares (arXiv 2602.22697), typed in here apart from the data file.
CLASS_COUNTS = {"hard": (720, 2400, 1920, 1920, 720), "easy": (696, 696, 2378, 2204, 1450)}
DEMAND_SHARES = ((0.7, 0.15, 0.1, 0.05), (0.6, 0.1, 0.15, 0.15), (0.4, 0.15, 0.2, 0.25), (0.4, 0.15, 0.2, 0.25))
DEMAND_SHARES = (*DEMAND_SHARES, (0.5, 0.2, 0.1, 0.2))
HONESTY_SHARES = {"hard": (0.75, 0.15, 0.10), "easy": (0.88, 0.09, 0.03)}
names = st.sampled_from(["hard", "easy"])
splits = st.sampled_from(SPLITS)


@cache
def sampled(name: str, split: str) -> tuple[Persona, ...]:
    population = Population.load(name)
    return tuple(population.sample(seed, split) for seed in range(N))


every = [(name, split) for name in CLASS_COUNTS for split in SPLITS]


@pytest.mark.parametrize(("name", "split"), every)
def test_published_shares_hold_in_every_split(name: str, split: str) -> None:
    drawn = sampled(name, split)
    counts = CLASS_COUNTS[name]
    for level in range(1, 6):
        members = [persona for persona in drawn if persona.cooperativeness == level]
        assert within_sampling_error(len(members), counts[level - 1] / sum(counts), N)
        demands = Counter(persona.demand for persona in members)
        for demand, share in zip(DEMANDS, DEMAND_SHARES[level - 1], strict=True):
            assert within_sampling_error(demands[demand], share, len(members))
    honesty = Counter(persona.honesty for persona in drawn)
    for value, share in zip(HONESTY, HONESTY_SHARES[name], strict=True):
        assert within_sampling_error(honesty[value], share, N)


def trait_shares(drawn: list[Persona]) -> dict[tuple[str, str], float]:
    return {
        (trait, value): sum(getattr(persona, trait) == value for persona in drawn) / len(drawn)
        for trait, values in TRAITS.items()
        for value in values
    }


def test_splits_show_similar_customers_in_each_class() -> None:
    for level in range(1, 6):
        shares = {s: trait_shares([p for p in sampled("hard", s) if p.cooperativeness == level]) for s in SPLITS}
        for one, other in combinations(SPLITS, 2):
            assert all(abs(shares[one][key] - shares[other][key]) < 0.15 for key in shares[one]), (level, one, other)


@pytest.mark.parametrize("name", CLASS_COUNTS)
def test_traits_follow_cooperativeness(name: str) -> None:
    worst, best = (
        trait_shares([p for s in SPLITS for p in sampled(name, s) if p.cooperativeness == level]) for level in (1, 5)
    )
    assert worst["emotional_style", "hostile"] > 0.5 > 0.1 > best["emotional_style", "hostile"]
    assert worst["information_disclosure", "reserved"] > 0.6 > 0.2 > best["information_disclosure", "reserved"]
    assert worst["problem_solving", "demanding"] > 0.6 > 0.2 > best["problem_solving", "demanding"]
    assert best["communication_style", "polite"] > 0.4 > 0.2 > worst["communication_style", "polite"]


def test_patience_follows_cooperativeness() -> None:
    ranges = {level: {p.patience for p in sampled("hard", "train") if p.cooperativeness == level} for level in (1, 5)}
    assert ranges == {1: {4, 5, 6}, 5: {7, 8, 9, 10}}


def test_splits_share_no_cell_not_even_between_populations() -> None:
    cells = {split: {p.cell for name in CLASS_COUNTS for p in sampled(name, split)} for split in SPLITS}
    for one, other in combinations(SPLITS, 2):
        assert not cells[one] & cells[other]
    assert all(split_of_cell(cell) == split for split in SPLITS for cell in cells[split])


def test_cells_are_split_about_70_10_20() -> None:
    cells = all_cells()
    assert len(set(cells)) == 4 * 3 * 3 * 3 * 4
    counts = Counter(map(split_of_cell, cells))
    assert counts["train"] / len(cells) == pytest.approx(0.7, abs=0.05)
    assert counts["validation"] / len(cells) == pytest.approx(0.1, abs=0.04)
    assert counts["test"] / len(cells) == pytest.approx(0.2, abs=0.05)


def test_every_class_and_demand_occurs_in_every_split() -> None:
    for name, split in every:
        assert len({(p.cooperativeness, p.demand) for p in sampled(name, split)}) == 5 * 4


@given(name=names, split=splits, seed=st.integers(0, 2**200))
def test_any_non_negative_seed_is_valid_and_sampling_is_pure(name: str, split: str, seed: int) -> None:
    random.seed(seed)
    first = Population.load(name).sample(seed, split)
    np.random.seed(1)  # noqa: NPY002 - global state, which must not matter
    assert Population.load(name).sample(seed, split) == first
    assert split_of_cell(first.cell) == split


def test_a_persona_is_the_same_in_another_process() -> None:
    code = "from personas import Population; print(Population.load('hard').sample(0, 'test'))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert other.strip() == str(Population.load("hard").sample(0, "test"))


def test_seeds_splits_and_populations_give_different_customers() -> None:
    hard, easy = Population.load("hard"), Population.load("easy")
    drawn = [hard.sample(s, split) for s in range(50) for split in SPLITS] + [
        easy.sample(s, "train") for s in range(50)
    ]
    assert len({str(persona) for persona in drawn}) == len(drawn)
    assert hard.sample(np.int64(7), "train") == hard.sample(7, "train")


def test_sampling_leaves_global_random_state_alone() -> None:
    random.seed(3)
    before = random.getstate()
    Population.load("hard", locale="fr_FR").sample(1, "train")
    assert random.getstate() == before


def test_locale_changes_the_identity_only() -> None:
    here, there = (Population.load("hard", locale=locale).sample(5, "train") for locale in ("en_US", "ja_JP"))
    assert there.identity.locale == "ja_JP"
    assert not there.identity.name.isascii()
    assert {**here.to_json(), "identity": None} == {**there.to_json(), "identity": None}


def test_identities_vary() -> None:
    assert len({persona.identity for persona in sampled("hard", "train")}) > 450


def test_names() -> None:
    assert Population.names() == ["easy", "hard"]
    assert Prospects.names() == ["hard", "standard"]


both_kinds = pytest.mark.parametrize("kind", [Population, Prospects])


@both_kinds
def test_unknown_population_or_locale(kind: type[Population | Prospects]) -> None:
    with pytest.raises(PersonaError, match=rf"^Unknown population 'medium': use one of {', '.join(kind.names())}\.$"):
        kind.load("medium")
    for locale in ("xx_YY", ""):
        problem = rf"^Unknown locale '{locale}': use one that Faker knows, such as en_US\.$"
        with pytest.raises(PersonaError, match=problem):
            kind.load("hard", locale=locale)


@both_kinds
def test_bad_seed_or_unknown_split(kind: type[Population | Prospects]) -> None:
    population = kind.load("hard")
    with pytest.raises(PersonaError, match=r"^A seed must be a non-negative whole number, not -1\.$"):
        population.sample(-1, "train")
    with pytest.raises(PersonaError, match=r"^Unknown split 'dev': use one of train, validation, test\.$"):
        population.sample(0, "dev")


def test_sampling_is_cheap_enough_for_an_environment() -> None:
    population = Population.load("hard")
    with bounded():
        for seed in range(3000):
            population.sample(seed, "train")
