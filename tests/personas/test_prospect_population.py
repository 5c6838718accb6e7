from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache
from itertools import combinations, product

import pytest

from personas import SPLITS
from personas.prospect import DO_NOT_CALL, INTEREST_BANDS, OBJECTIONS, STYLES, Prospect, interest_band
from personas.prospect_population import Prospects, prospect_data
from personas.splits import split_of_prospect
from tests.personas.shares import within_sampling_error

N = 5_000
# Typed in here apart from the data file.
INTEREST = {"standard": (0.14, 0.22, 0.28, 0.22, 0.14), "hard": (0.26, 0.30, 0.24, 0.13, 0.07)}
every = list(product(INTEREST, SPLITS))


@cache
def sampled(name: str, split: str) -> tuple[Prospect, ...]:
    population = Prospects.load(name)
    return tuple(population.sample(seed, split) for seed in range(N))


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
    assert one.sample(1 << 80, "test") != one.sample(0, "test")


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


def test_a_prospects_patience_takes_every_value_of_its_range() -> None:
    population, found = Prospects.load("standard"), defaultdict(set)
    for seed in range(400):
        prospect = population.sample(seed, "train")
        found[prospect.do_not_call].add(prospect.patience)
    for temper, (least, most) in prospect_data()["patience"].items():
        assert found[temper] == set(range(least, most + 1)), temper
