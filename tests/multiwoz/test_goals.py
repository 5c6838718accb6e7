import json
from collections import Counter
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from td_gym.errors import TdGymError
from td_gym.scenario import SPLITS
from td_gym.scenarios.multiwoz.card import card
from td_gym.scenarios.multiwoz.database import Database, QueryError
from td_gym.scenarios.multiwoz.goals import DomainGoal, Goal, draw_goal
from td_gym.scenarios.multiwoz.synthetic import synthetic_database

CITY = synthetic_database()
goals = st.builds(draw_goal, st.integers(0, 2**40), st.sampled_from(SPLITS), st.just(CITY))


@lru_cache(maxsize=8)
def many(split: str) -> list[Goal]:
    return [draw_goal(seed, split, CITY) for seed in range(3000)]


def check_can_be_met(goal: Goal, city: Database) -> None:
    for domain, part in goal.domains.items():
        if domain == "taxi":
            continue
        found = city.query(domain, part.inform)
        assert found
        if part.fail_inform:
            assert part.fail_inform.keys() == part.inform.keys()
            assert sum(part.fail_inform[slot] != part.inform[slot] for slot in part.inform) == 1
            assert city.query(domain, part.fail_inform) == ()
        if part.book:
            assert not part.request
            for entity in found:
                assert city.book(domain, entity, part.book, 0, refused=part.fail_book)["ref"]
        if part.fail_book:
            assert sum(part.fail_book[slot] != part.book[slot] for slot in part.book) == 1
            with pytest.raises(QueryError, match="not available"):
                city.book(domain, found[0], part.fail_book, 0, refused=part.fail_book)


@given(goals)
def test_a_goal_can_be_met_and_what_fails_first_fails(goal):
    check_can_be_met(goal, CITY)
    assert all(part.request or part.book for part in goal.domains.values())


@given(goals)
def test_what_is_the_same_is_the_same(goal):
    for domain, part in goal.domains.items():
        for slot, other in part.same.items():
            assert list(goal.domains).index(other) < list(goal.domains).index(domain)
            if domain == "taxi" and slot != "arriveby":
                assert slot not in part.inform
                continue
            value = part.book.get(slot) or part.inform[slot]
            assert part.fail_inform.get(slot, value) == part.fail_book.get(slot, value) == value
            there = goal.domains[other]
            name = "time" if slot == "arriveby" else slot
            assert value in (there.book.get(name), there.inform.get(name))


@given(goals)
def test_a_goal_survives_json(goal):
    assert Goal.from_json(json.loads(json.dumps(goal.to_json()))) == goal


def test_a_goal_follows_from_seed_and_split():
    assert draw_goal(3, "train", CITY) == draw_goal(3, "train", CITY)
    assert len({json.dumps(draw_goal(seed, "train", CITY).to_json()) for seed in range(50)}) > 45


def test_splits_share_no_constraints():
    def asked(goal):
        return json.dumps(
            sorted(
                (name, part.inform or sorted(part.request), part.fail_inform) for name, part in goal.domains.items()
            ),
            sort_keys=True,
        )

    kinds = [{asked(goal) for goal in many(split)} for split in SPLITS]
    assert all(len(kind) > 1000 for kind in kinds)
    assert not kinds[0] & kinds[1]
    assert not kinds[0] & kinds[2]
    assert not kinds[1] & kinds[2]


@pytest.mark.parametrize("split", SPLITS)
def test_goals_are_distributed_as_the_published_ones(split):
    """Shares of ConvLab-3's goal model and of the dev and test goals; few attractions can be asked for in vain."""
    drawn = many(split)
    count = len(drawn)
    domains = Counter(domain for goal in drawn for domain in goal.domains)
    published = {"restaurant": 0.46, "hotel": 0.41, "attraction": 0.32, "train": 0.37, "taxi": 0.196}
    for domain, share in published.items():
        assert domains[domain] / count == pytest.approx(share, abs=0.04)
    assert domains["hospital"] / count == pytest.approx(0.034, abs=0.015)
    assert domains["police"] / count == pytest.approx(0.029, abs=0.015)
    for domain, booked, fails in (("restaurant", 0.555, 0.223), ("hotel", 0.651, 0.185), ("train", 0.501, 0.0)):
        parts = [goal.domains[domain] for goal in drawn if domain in goal.domains]
        assert sum(bool(part.book) for part in parts) / len(parts) == pytest.approx(booked, abs=0.05)
        assert sum(bool(part.fail_inform) for part in parts) / len(parts) == pytest.approx(fails, abs=0.05)
    slots = Counter(slot for goal in drawn for slot in goal.domains.get("restaurant", DomainGoal()).inform)
    for slot, share in {"area": 0.665, "food": 0.671, "pricerange": 0.681, "name": 0.151}.items():
        assert slots[slot] / domains["restaurant"] == pytest.approx(share, abs=0.08)


def test_the_card_says_what_is_wanted_in_order():
    goal = Goal(
        {
            "restaurant": DomainGoal(
                inform={"food": "thai", "area": "north"},
                fail_inform={"food": "swiss", "area": "north"},
                book={"people": "4", "day": "friday", "time": "18:00"},
                fail_book={"people": "4", "day": "friday", "time": "19:00"},
            ),
            "hotel": DomainGoal(
                inform={"area": "north", "parking": "yes"}, request=("phone", "internet"), same={"area": "restaurant"}
            ),
            "taxi": DomainGoal(
                inform={"arriveby": "18:00"},
                request=("type", "phone"),
                same={"departure": "hotel", "destination": "restaurant", "arriveby": "restaurant"},
            ),
        }
    )
    assert card(goal) == (
        "You are looking for a restaurant that serves swiss food and is in the north. If there is none, look for one "
        "that serves thai food instead. Book it for 4 people on friday at 19:00 and get the reference number. If that "
        "fails, try to book it at 18:00 instead.\n"
        "You are looking for a place to stay that is in the same area as the restaurant and has parking. Find out the "
        "phone number and whether there is internet.\n"
        "You need a taxi that picks you up at the place to stay, takes you to the restaurant and arrives by the time "
        "of the booked table. Find out the type of car and the phone number."
    )


@given(goals)
def test_the_card_says_every_value(goal):
    text = card(goal)
    for part in goal.domains.values():
        for values in (part.inform, part.fail_inform, part.book, part.fail_book):
            for slot, value in values.items():
                assert slot in (*part.same, "internet", "parking") or value in text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "must be a JSON object"),
        ({"bus": {}}, "'bus'"),
        ({"hotel": []}, "hotel must be a JSON object"),
        ({"hotel": {"wants": {}}}, "field 'wants'"),
        ({"hotel": {"inform": {"colour": "red"}}}, "hotel.inform.*slot 'colour'"),
        ({"hotel": {"inform": {"area": 3}}}, "hotel.inform.area must be text"),
        ({"hotel": {"request": {"phone": ""}}}, "hotel.request must be a JSON list"),
        ({"hotel": {"request": ["ref"]}}, "slot 'ref'"),
    ],
)
def test_a_faulty_goal_names_the_field(data, words):
    with pytest.raises(TdGymError, match=words):
        Goal.from_json(data)


def test_domains_without_goals_in_a_split_give_way(monkeypatch):
    tables = {**CITY.tables, "police": [{"name": "station", "phone": "0555"}]}
    city = Database(tables, [["red"]])
    drawn = {split: [draw_goal(seed, split, city) for seed in range(300)] for split in SPLITS}
    assert sum(any("police" in goal.domains for goal in drawn[split]) for split in SPLITS) == 1
    assert all(goal.split == split for split in SPLITS for goal in drawn[split])
    monkeypatch.setattr("td_gym.scenarios.multiwoz.goals._MOST_ORDERS", 1)
    monkeypatch.setattr("td_gym.scenarios.multiwoz.goals._MOST_DRAWS", 1)
    with pytest.raises(TdGymError, match="too little to draw goals of split 'test' from"):
        [draw_goal(seed, "test", CITY) for seed in range(50)]


def test_goals_of_the_published_tables(shared_data: Path):
    city = Database.load(shared_data / "multiwoz" / "db")
    for split in SPLITS:
        for seed in range(200):
            check_can_be_met(draw_goal(seed, split, city), city)
