"""The rule agent in single conversations: when it asks, offers, books and looks up, and what it does after an error."""

from __future__ import annotations

from itertools import groupby

import pytest

from td_gym.scenarios.multiwoz.episode import MultiWOZEpisode
from td_gym.scenarios.multiwoz.expert import RuleAgent
from td_gym.scenarios.multiwoz.planner import SKILLED, Habits
from td_gym.scenarios.multiwoz.scenario import MultiWOZ
from td_gym.seats import play_on
from tests.multiwoz.desk import CITY, RESTAURANT, TABLE, answer_of, call, conversation

INDIAN = {"food": "indian", "area": "centre"}
WANTS = "I need an indian restaurant in the centre."
NAME = RESTAURANT["name"]
BOOK = "Please book it for 2 people on monday at 17:30."


def turn(episode: MultiWOZEpisode, habits: Habits = SKILLED) -> tuple[int, str]:
    """Let the agent act until it speaks; return how many calls it made first, and what it said, in small letters."""
    messages = play_on(episode, {"service": RuleAgent(CITY, habits)})
    return len(messages) - 1, episode.transcript[-1].shown.lower()


def test_it_asks_before_it_offers_where_much_is_found() -> None:
    assert len(CITY.query("restaurant", {"area": "centre"})) > SKILLED.offers_from
    wants = "I need a restaurant in the centre."
    _, said = turn(conversation({}, wants))
    assert said.endswith("?")
    assert not any(name in said for name in CITY.values("restaurant", "name"))
    _, said = turn(conversation({}, wants), Habits(offers_from=10_000))
    assert any(name in said for name in CITY.values("restaurant", "name"))


def test_it_offers_at_once_where_little_is_found() -> None:
    assert len(CITY.query("restaurant", INDIAN)) <= SKILLED.offers_from
    _, said = turn(conversation({}, WANTS))
    assert NAME in said


def test_it_says_so_where_nothing_is_found() -> None:
    missing = next(
        food
        for food in CITY.values("restaurant", "food")
        if not CITY.query("restaurant", {"food": food, "area": "north"})
    )
    episode = conversation({}, f"I need a {missing} restaurant in the north.")
    _, said = turn(episode)
    assert "restaurant: 0 found" in answer_of(episode)
    assert said.endswith("?")
    assert not any(name in said for name in CITY.values("restaurant", "name"))


def test_it_books_and_passes_the_reference_on() -> None:
    episode = conversation({}, WANTS)
    turn(episode)
    episode.submit("customer", BOOK)
    _, said = turn(episode)
    reference = answer_of(episode).partition("ref=")[2][:8].lower()
    assert len(reference) == 8
    assert reference in said


def test_it_says_a_reference_that_was_asked_for_once() -> None:
    episode = conversation({}, WANTS)
    turn(episode)
    episode.submit("customer", f"{BOOK} I need the reference number too.")
    _, said = turn(episode)
    assert said.count(answer_of(episode).partition("ref=")[2][:8].lower()) == 1


def test_it_asks_for_what_a_booking_lacks() -> None:
    episode = conversation({}, WANTS)
    turn(episode)
    episode.submit("customer", "Please book it for 2 people on monday.")
    calls, said = turn(episode)
    assert calls == 0
    assert "time" in said


def test_it_answers_several_questions_in_one_message() -> None:
    episode = conversation({}, WANTS)
    turn(episode)
    episode.submit("customer", "What are the address, the phone number and the postcode?")
    calls, said = turn(episode)
    assert calls == 0
    assert all(RESTAURANT[slot] in said for slot in ("address", "phone", "postcode"))


@pytest.mark.parametrize("habits", [SKILLED, Habits(looks_again=True)], ids=["skilled", "looks_again"])
def test_it_speaks_after_four_calls_however_much_is_wanted(habits: Habits) -> None:
    wants = (
        "I need an indian restaurant in the centre. I need a hotel in the north. I want to visit a museum. "
        "I need the police. I need the hospital."
    )
    episode = conversation({}, wants)
    calls, said = turn(episode, habits)
    assert calls == 4
    assert said


@pytest.mark.parametrize("customer", MultiWOZ.customers)
def test_no_conversation_has_more_calls_in_a_row(customer: str) -> None:
    scenario = MultiWOZ()
    seats = {"customer": scenario.customer(customer), "service": scenario.references()["looks_up_always"]}
    for seed in range(10):
        episode = scenario.begin(seed)
        play_on(episode, seats)
        runs = [len(list(run)) for aside, run in groupby(episode.transcript, lambda each: each.aside) if aside]
        assert max(runs) <= 4


def test_it_takes_another_time_when_the_first_is_refused() -> None:
    goal = {"restaurant": {"inform": INDIAN, "book": TABLE, "fail_book": {**TABLE, "time": "13:00"}}}
    episode = conversation(goal, WANTS)
    turn(episode)
    episode.submit("customer", BOOK.replace("17:30", "13:00"))
    _, said = turn(episode)
    assert "ref=" not in answer_of(episode)
    assert "time" in said
    episode.submit("customer", "Then at 17:30, please.")
    _, said = turn(episode)
    assert answer_of(episode).partition("ref=")[2][:8].lower() in said


def test_it_goes_on_after_a_call_that_was_refused() -> None:
    episode = conversation({}, WANTS)
    episode.submit("service", call("query", domain="restaurant", food="indian", stars="4"))
    assert "found" not in answer_of(episode)
    calls, said = turn(episode)
    assert calls == 1
    assert NAME in said


@pytest.mark.parametrize("domain", ["attraction", "hospital", "police"])
def test_it_goes_on_after_a_booking_where_nothing_can_be_booked(domain: str) -> None:
    episode = conversation({}, WANTS)
    episode.submit("service", call("book", domain=domain, people="2"))
    _, said = turn(episode)
    assert said


def test_only_one_that_looks_again_repeats_a_look_up() -> None:
    for habits, expected in ((SKILLED, 0), (Habits(looks_again=True), 1)):
        episode = conversation({}, WANTS)
        turn(episode, habits)
        episode.submit("customer", "What is the phone number?")
        calls, said = turn(episode, habits)
        assert calls == expected
        assert RESTAURANT["phone"] in said
