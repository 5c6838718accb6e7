"""Rules of MultiWOZ: look-ups, bookings, costs, turn terms, and when a goal is met."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from td_gym.envs.batch import ConversationBatch
from td_gym.episode import Episode
from td_gym.errors import TdGymError
from td_gym.scenario import SPLITS
from td_gym.scenarios.multiwoz.cases import City, load_city
from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.goals import draw_goal
from td_gym.scenarios.multiwoz.scenario import MultiWOZ
from tests.multiwoz.desk import (
    CITY,
    HOTEL,
    OTHER_RESTAURANT,
    RESTAURANT,
    TABLE,
    answer_of,
    call,
    conversation,
    ended,
    say,
)
from tests.multiwoz.published import write_22, write_tables

INDIAN = {"food": "indian", "area": "centre"}
EATING = {"restaurant": {"inform": INDIAN, "request": ["phone"]}}
DINING = {"restaurant": {"inform": INDIAN, "book": TABLE}}
WANTS = "I need an indian restaurant in the centre."
NAME = RESTAURANT["name"]
BOOK = call("book", domain="restaurant", name=NAME, **TABLE)


def booked_reference(answer: str) -> str:
    return answer.partition("ref=")[2][:8]


def test_a_look_up_is_answered_at_once_and_is_no_turn() -> None:
    episode = conversation(EATING, WANTS)
    result = episode.submit("service", call("query", domain="restaurant", **INDIAN))
    found = CITY.query("restaurant", INDIAN)
    assert answer_of(episode).startswith(f"restaurant: {len(found)} found | ")
    assert f"name={NAME}" in answer_of(episode)
    assert OTHER_RESTAURANT["name"] in answer_of(episode).partition("also=")[2]
    assert (episode.service_turns, episode.next_seat, result.strategy) == (0, "service", "query")
    assert result.costs == {"db_queries": 0.05}


def test_the_train_that_arrives_last_in_time_is_shown_first() -> None:
    episode = conversation({"train": {}})
    towns = {"departure": "wellminster", "destination": CITY.values("train", "departure")[0], "day": "monday"}
    episode.submit("service", call("query", domain="train", **towns, arriveby="12:00"))
    shown = dict(part.partition("=")[::2] for part in answer_of(episode).split(" | ")[1:])
    arrivals = [train["arriveby"] for train in CITY.query("train", {**towns, "arriveby": "12:00"})]
    assert shown["arriveby"] == max(arrivals)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, "query: name the domain"),
        ({"domain": "moon"}, "Unknown domain"),
        ({"domain": "restaurant", "stars": "4"}, "Unknown slot of restaurant 'stars'"),
        ({"domain": "restaurant", "food": "indain"}, "Did you mean 'indian'"),
        ({"domain": "taxi"}, "Taxis cannot be looked up"),
    ],
)
def test_a_wrong_look_up_says_what_is_wrong_and_counts(arguments: dict[str, str], error: str) -> None:
    episode = conversation(EATING)
    result = episode.submit("service", call("query", **arguments))
    assert error in answer_of(episode)
    assert result.costs == {"db_queries": 0.05}
    assert result.terms["progress"] == 0.0
    assert episode.outcome is None


def test_look_ups_cost_at_most_one() -> None:
    episode = conversation(EATING, max_turns=50)
    costs = [say(episode, call("query", domain="police") + "Well.").costs.get("db_queries", 0.0) for _ in range(25)]
    assert sum(costs) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"domain": "restaurant", **TABLE}, "No restaurant has been offered"),
        ({"domain": "restaurant", "name": NAME, **TABLE}, "has not been looked up or offered"),
        ({"domain": "restaurant", "name": "the moon"}, "there is no restaurant 'the moon'"),
        ({"domain": "attraction"}, "Nothing can be booked in attraction"),
        ({"domain": "taxi", "departure": "here"}, "A taxi needs destination"),
        ({}, "book: name the domain"),
    ],
)
def test_a_booking_at_fault_says_what_is_wrong_and_costs(arguments: dict[str, str], error: str) -> None:
    episode = conversation(DINING)
    assert episode.submit("service", call("book", **arguments)).costs == {"bad_booking": 1.0}
    assert error in answer_of(episode)
    assert ended(episode)["book"] is False


def test_missing_details_are_named() -> None:
    episode = conversation(DINING)
    say(episode, f"I recommend {NAME}.")
    assert say(episode, call("book", domain="restaurant", people="2")).costs == {"bad_booking": 1.0}
    assert "needs day, time too" in answer_of(episode)


def test_what_is_taken_is_refused_without_a_cost() -> None:
    episode = conversation({"restaurant": {"inform": INDIAN, "book": TABLE, "fail_book": {**TABLE, "time": "18:00"}}})
    say(episode, f"I recommend {NAME}.")
    refused = say(episode, call("book", domain="restaurant", name=NAME, **{**TABLE, "time": "18:00"}))
    assert "is not available for" in answer_of(episode)
    assert refused.costs == {}
    say(episode, BOOK)
    say(episode, f"It is booked, and the reference number is {booked_reference(answer_of(episode))}.")
    assert ended(episode)["success"] is True


def test_a_question_answered_rightly_is_success() -> None:
    episode = conversation(EATING, WANTS)
    say(episode, f"I recommend {NAME}.", "What is the phone number?")
    result = say(episode, f"The phone number is {RESTAURANT['phone']}.")
    assert result.terms["slot_coverage"] == result.terms["grounding"] == 1.0
    outcome = ended(episode)
    assert (outcome["inform"], outcome["success"], outcome["book"], outcome["complete"]) == (True, True, None, True)
    assert episode.scenario.succeeded(outcome) is True


def test_a_wrong_number_is_noticed_by_the_outcome_alone() -> None:
    episode = conversation(EATING, WANTS)
    say(episode, f"I recommend {NAME}.", "What is the phone number?")
    result = say(episode, f"The phone number is {OTHER_RESTAURANT['phone']}.")
    assert (result.costs, result.terms["grounding"]) == ({"ungrounded": 1.0}, 0.0)
    outcome = ended(episode)
    assert (outcome["inform"], outcome["success"], outcome["complete"]) == (True, False, True)
    assert episode.scenario.succeeded(outcome) is False


def test_a_number_of_another_place_does_not_count_for_the_last_one_offered() -> None:
    episode = conversation(EATING, WANTS)
    say(episode, f"I recommend {NAME}, and its phone number is {RESTAURANT['phone']}.")
    say(episode, f"Or I recommend {OTHER_RESTAURANT['name']}.")
    assert ended(episode)["success"] is False


def test_an_offer_that_misses_a_constraint_is_no_inform() -> None:
    wrong = next(row for row in CITY.tables["restaurant"] if row["food"] != "indian")
    episode = conversation(EATING, WANTS)
    say(episode, f"I recommend {wrong['name']}, and its phone number is {wrong['phone']}.")
    outcome = ended(episode)
    assert (outcome["inform"], outcome["success"], outcome["complete"]) == (False, False, True)


def test_a_booking_counts_when_its_reference_is_told() -> None:
    for told in (True, False):
        episode = conversation(DINING, WANTS)
        say(episode, f"I recommend {NAME}.", "Please book it for 2 people on monday at 17:30.")
        say(episode, BOOK)
        reference = booked_reference(answer_of(episode)) if told else "ABCD1234"
        result = say(episode, f"It is booked, and the reference number is {reference}.")
        assert result.costs.get("ungrounded", 0.0) == float(not told)
        outcome = ended(episode)
        assert (outcome["book"], outcome["success"], outcome["complete"]) == (True, told, True)


def test_wrong_details_are_no_booking() -> None:
    episode = conversation(DINING, WANTS)
    say(episode, f"I recommend {NAME}.")
    say(episode, call("book", domain="restaurant", name=NAME, **{**TABLE, "people": "3"}))
    assert ended(episode)["book"] is False


def test_a_taxi_between_two_places_found_before() -> None:
    same = {"departure": "hotel", "destination": "restaurant"}
    goal = {
        "hotel": {"inform": {"name": HOTEL["name"]}},
        "restaurant": {"inform": {"name": NAME}},
        "taxi": {"inform": {"leaveat": "10:00"}, "request": ["type", "phone"], "same": same},
    }
    for departure, right in ((HOTEL["name"], True), ("elsewhere", False)):
        episode = conversation(goal)
        say(episode, f"I recommend {HOTEL['name']}.")
        say(episode, f"I recommend {NAME}.", "I need a taxi from the hotel to the restaurant, leaving at 10:00.")
        say(episode, call("book", domain="taxi", departure=departure, destination=NAME, leaveat="10:00"))
        fields = dict(part.partition("=")[::2] for part in answer_of(episode).split(" | ")[1:])
        say(episode, f"Your taxi is a {fields['type']}, and its phone number is {fields['phone']}.")
        outcome = ended(episode)
        assert (outcome["book"], outcome["success"]) == (right, right)


def test_nothing_said_is_nothing_met() -> None:
    outcome = ended(conversation(DINING))
    assert not any((outcome["inform"], outcome["success"], outcome["book"], outcome["complete"]))


def test_saying_the_same_again_is_repetition_and_no_progress() -> None:
    episode = conversation(EATING, WANTS)
    say(episode, call("query", domain="restaurant", **INDIAN))
    first = say(episode, f"I recommend {NAME}.")
    again = say(episode, f"I recommend {NAME}.")
    assert (first.terms["repetition"], first.terms["progress"]) == (1.0, 1.0)
    assert (again.terms["repetition"], again.terms["progress"]) == (0.0, 0.5)


def test_relevance_grades() -> None:
    episode = conversation(EATING, "Hello.")
    episode.submit("service", "How can I help you?")
    assert episode.submit("customer", WANTS).relevance == 2
    episode.submit("service", f"I recommend {NAME}.")
    assert episode.submit("customer", "What is the phone number?").relevance == 3
    episode.submit("service", "I see.")
    assert episode.submit("customer", "Then goodbye. [end:1]").relevance == 0


def test_scaffold_tasks_grow_with_the_conversation() -> None:
    episode = conversation(EATING, WANTS)
    episode.submit("service", call("query", domain="restaurant", **INDIAN))
    tasks = {task.name: task.answer for task in episode.scenario.scaffold_tasks(episode)}
    assert tasks["food"] == "indian"
    assert tasks["found"] == str(len(CITY.query("restaurant", INDIAN)))


def test_the_customer_does_not_see_what_tools_answer() -> None:
    episode = conversation(EATING, WANTS)
    before = episode.features("customer").tolist()
    episode.submit("service", call("query", domain="restaurant", **INDIAN))
    names = episode.scenario.feature_names
    changed = {name for name, old, new in zip(names, before, episode.features("customer"), strict=True) if old != new}
    assert changed <= {"queries", "opened"}
    assert len(names) == len(before)


@pytest.mark.parametrize("data_dir", [5, "nowhere/at/all"])
def test_a_wrong_folder_is_one_sentence(data_dir: object) -> None:
    with pytest.raises(TdGymError, match="data"):
        MultiWOZ(data_dir=data_dir)  # type: ignore[arg-type]


def test_an_invented_city_has_no_goals_to_pick() -> None:
    with pytest.raises(TdGymError, match=r"no goal 3 of train, .*leave the row out, .* as data_dir") as caught:
        MultiWOZ().begin(0, row=3)
    assert "scenarios" not in str(caught.value), "MultiWOZ has no such option"


def test_published_goals_are_picked_by_row(shared_data: Path) -> None:
    scenario = MultiWOZ(data_dir=shared_data / "multiwoz")
    assert len(scenario.city.goals["test"]) == 1000
    picked = [scenario.begin(seed, "test", 7).case.goal for seed in (0, 1)]
    assert picked[0] == picked[1] == scenario.city.goals["test"][7]
    assert scenario.begin(3, "test").case.goal in scenario.city.goals["test"]
    drawn = scenario.begin(3, "test")
    assert drawn.case.goal == scenario.city.goals["test"][drawn.row]
    assert scenario.restore(drawn.snapshot()).case == drawn.case
    with pytest.raises(TdGymError, match=r"no goal 1000 of test; '.*multiwoz' holds 0 to 999\.$"):
        scenario.begin(0, "test", 1000)


def test_a_snapshot_is_of_one_database() -> None:
    scenario, other = MultiWOZ(), MultiWOZ()
    snapshot = scenario.begin(0).snapshot()
    assert other.restore(snapshot).case == scenario.begin(0).case
    tables = {domain: [{**row, "phone": "1"} for row in rows] for domain, rows in CITY.tables.items()}
    other.database = Database(tables, CITY._fleet)
    with pytest.raises(TdGymError, match="another case"):
        other.restore(snapshot)


def test_a_folder_without_goals_of_a_split_makes_up_those_of_train_alone() -> None:
    city = City(CITY, {"validation": [draw_goal(0, "validation", CITY)]}, "some/folder")
    goal, number = city.goal(0, "train", None)
    assert goal.domains
    assert number is None
    with pytest.raises(TdGymError, match="no goals of test"):
        city.goal(0, "test", None)


def test_goals_are_made_up_for_a_folder_of_2_2_alone(tmp_path: Path) -> None:
    write_tables(tmp_path / "db", CITY)
    with pytest.raises(TdGymError, match="holds no test split"):
        load_city(tmp_path)
    write_22(tmp_path / "MultiWOZ_2.2")
    city = load_city(str(tmp_path))
    assert not city.goals
    assert all(city.goal(0, split, None) == (draw_goal(0, split, city.database), None) for split in SPLITS)


def test_the_customers_step_counts_every_look_up_since_it_spoke() -> None:
    class LooksUpTwice:
        def reply_batch(self, episodes: Sequence[Episode]) -> list[str]:
            looked_up = [sum(turn.aside for turn in episode.transcript) for episode in episodes]
            return [call("query", domain="police") if count < 2 else "Well." for count in looked_up]

    batch = ConversationBatch(MultiWOZ(), "customer", 1, {"service": LooksUpTwice()})
    batch.reset([0], [0])
    (step,) = batch.step([0], ["I need the police."])
    assert step.info["cost"] == step.info["costs"]["db_queries"] == pytest.approx(0.1)


def test_a_booking_with_wrong_details_is_no_success_though_its_reference_is_told() -> None:
    episode = conversation(DINING, WANTS)
    say(episode, f"I recommend {NAME}.")
    say(episode, call("book", domain="restaurant", name=NAME, **{**TABLE, "people": "3"}))
    say(episode, f"It is booked, and the reference number is {booked_reference(answer_of(episode))}.")
    outcome = ended(episode)
    assert (outcome["inform"], outcome["book"], outcome["success"], outcome["complete"]) == (True, False, False, True)


def test_a_table_at_another_place_than_wanted_is_no_booking() -> None:
    wrong = next(row for row in CITY.tables["restaurant"] if row["food"] != "indian")
    episode = conversation(DINING, WANTS)
    say(episode, f"I recommend {wrong['name']}.")
    say(episode, call("book", domain="restaurant", name=wrong["name"], **TABLE))
    assert booked_reference(answer_of(episode))
    assert ended(episode)["book"] is False


def test_what_was_told_of_one_place_is_not_told_of_another_that_has_the_same() -> None:
    pairs = combinations(CITY.tables["restaurant"], 2)
    one, _ = next(pair for pair in pairs if pair[0]["pricerange"] == pair[1]["pricerange"])
    goal: dict[str, Any] = {"restaurant": {"inform": {"pricerange": one["pricerange"]}, "request": ["area"]}}
    found = combinations(CITY.query("restaurant", goal["restaurant"]["inform"]), 2)
    one, other = next(pair for pair in found if pair[0]["area"] == pair[1]["area"])
    told = []
    for last in (one, other):
        episode = conversation(goal)
        say(episode, f"I recommend {one['name']}, and it is in the {one['area']}.")
        say(episode, f"I recommend {last['name']}.")
        told.append(ended(episode)["success"])
    assert told == [True, False]


def test_what_a_visitor_wants_changes_nothing_that_the_desk_reads_before_it_speaks() -> None:
    one, other = conversation({"restaurant": {"inform": {"food": "indian"}}}), conversation({"train": {}})
    assert one.briefing("service") == other.briefing("service")
    assert one.features("service").tolist() == other.features("service").tolist()
