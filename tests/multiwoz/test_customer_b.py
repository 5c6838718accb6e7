"""The second customer, which ticks off a list: what it answers, corrects, gives up, and when it is content."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from td_gym.scenarios.multiwoz.customer_b import reply
from td_gym.scenarios.multiwoz.episode import MultiWOZEpisode
from td_gym.turns import split_end_mark
from tests.multiwoz.desk import CITY, OTHER_RESTAURANT, RESTAURANT, TABLE, conversation

INDIAN = {"food": "indian", "area": "centre"}
NAME = RESTAURANT["name"].title()
OFFER = f"How about {NAME}, which serves indian food in the centre?"
BOOKED = "Your booking was successful, and the reference number is AB12CD34."


class Talk:
    """A conversation with a customer that states one wish at a time."""

    def __init__(self, goal: dict[str, Any]) -> None:
        begun = conversation(goal)
        persona = replace(begun.case.persona, information_disclosure="reserved", communication_style="polite")
        case = replace(begun.case, persona=persona)
        self.episode = MultiWOZEpisode(begun.scenario, 0, "train", None, case)
        self.rating: float | None = None
        self.opening = self._speak()

    def hear(self, text: str) -> str:
        """Say ``text`` to the customer and return what it answers, in small letters."""
        self.episode.submit("service", text)
        return self._speak()

    def _speak(self) -> str:
        message = reply(self.episode)
        self.episode.submit("customer", message)
        said, mark = split_end_mark(message)
        self.rating = mark.rating if mark else None
        return said.lower()


def eating(**more: Any) -> Talk:
    return Talk({"restaurant": {"inform": INDIAN, **more}})


def test_it_states_one_wish_and_tells_the_next_when_asked() -> None:
    talk = eating()
    assert "indian" in talk.opening
    assert "centre" not in talk.opening
    assert "centre" in talk.hear("Which area would you like to be in?")


def test_where_it_has_no_wish_it_says_none_and_goes_on_with_its_list() -> None:
    said = eating().hear("What price range are you looking for?")
    assert not any(price in said for price in ("cheap", "moderate", "expensive"))
    assert "centre" in said


def test_it_turns_to_the_alternative_when_nothing_is_found() -> None:
    talk = Talk({"restaurant": {"inform": INDIAN, "fail_inform": {"food": "welsh", "area": "centre"}}})
    assert "welsh" in talk.opening
    said = talk.hear("I am sorry, I could not find any such place.")
    assert "indian" in said
    assert "welsh" not in said
    assert "welsh" not in talk.hear("I am sorry, I could not find any such place.")


def test_without_an_offer_it_insists_and_then_gives_up() -> None:
    talk = eating(request=["phone"])
    said = []
    while talk.rating is None:
        said.append(talk.hear("One moment, please."))
    assert 3 <= sum("indian" in message for message in said) <= 5
    assert talk.rating < 2.0


def test_it_corrects_an_offer_that_is_not_what_it_said() -> None:
    talk = eating(request=["phone"])
    talk.hear("Which area would you like to be in?")
    said = talk.hear(f"How about {NAME}, which serves chinese food in the centre?")
    assert "indian" in said
    assert "centre" not in said
    assert "phone" in talk.hear(OFFER)


@pytest.mark.parametrize("again", ["{} is one of those.", "You can go to {}."])
def test_a_name_that_holds_another_area_is_no_mistake(again: str) -> None:
    named = next(one for one in CITY.tables["attraction"] if "north" in one["name"] and one["area"] != "north")
    talk = Talk({"attraction": {"inform": {"area": named["area"]}, "request": ["phone", "postcode"]}})
    name = named["name"].title()
    talk.hear(f"How about {name} in the {named['area']}?")
    assert "postcode" in talk.hear(f"{again.format(name)} The phone number is 01632960017.")


def test_it_asks_for_what_it_wants_to_know_until_it_is_told() -> None:
    talk = eating(request=["phone", "postcode"])
    talk.hear(OFFER)
    said = talk.hear("Is there anything else?")
    assert "phone" in said
    assert "postcode" in said
    said = talk.hear("The phone number is 01632960017.")
    assert "phone" not in said
    assert "postcode" in said


def test_a_booking_counts_with_its_reference_only() -> None:
    talk = eating(book=TABLE)
    talk.hear(OFFER)
    assert "17:30" in talk.hear("Is there anything else?")
    assert "17:30" in talk.hear("I have booked the table for you.")
    talk.hear(BOOKED)
    assert talk.rating is not None
    assert talk.rating > 4.5


def test_it_tries_the_other_time_when_a_booking_fails() -> None:
    talk = eating(book=TABLE, fail_book={**TABLE, "time": "13:00"})
    talk.hear(OFFER)
    assert "13:00" in talk.hear("Is there anything else?")
    assert "17:30" in talk.hear("I am sorry, the booking was not successful.")


def test_it_goes_through_its_domains_and_leaves_content_when_all_is_met() -> None:
    talk = Talk({"restaurant": {"inform": {"food": "indian"}, "book": TABLE}, "police": {"request": ["phone"]}})
    talk.hear(OFFER)
    assert "police" in talk.hear(BOOKED)
    assert talk.rating is None
    talk.hear("The phone number is 01632960017.")
    assert talk.rating == 5.0


def test_what_is_left_unmet_costs_the_rating() -> None:
    ratings = []
    for answer in ("The phone number is 01632960017.", "I see."):
        talk = eating(request=["phone"])
        talk.hear(OFFER)
        talk.hear("Is there anything else?")
        while talk.rating is None:
            talk.hear(answer)
        ratings.append(talk.rating)
    assert ratings[0] > 4.5
    assert ratings[1] < 3.5


def test_a_second_offer_is_another_place_of_which_nothing_is_known_yet() -> None:
    talk = eating(request=["phone"], book=TABLE)
    talk.hear(f"{OFFER} The phone number is 01632960017.")
    other = OTHER_RESTAURANT["name"].title()
    assert "phone" in talk.hear(f"How about {other}, which serves indian food in the centre?")
