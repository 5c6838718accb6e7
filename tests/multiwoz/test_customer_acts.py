"""What a customer's message says, and what the desk takes it to want."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personas.packaged import packaged_toml
from td_gym.scenarios.multiwoz.customer_acts import read_customer
from td_gym.scenarios.multiwoz.schema import DONTCARE, Act
from td_gym.scenarios.multiwoz.state import State
from tests.bounded import bounded
from tests.multiwoz.desk import CITY, HOTEL, RESTAURANT

NAME = RESTAURANT["name"]
TOWN = next(town for town in CITY.values("train", "destination") if town != "wellminster")


BY_THE_TABLE = {"taxi arriveby as restaurant", "taxi book"}


@pytest.mark.parametrize(
    ("text", "acts"),
    [
        ("I need a cheap restaurant in the north.", {"restaurant pricerange=cheap", "restaurant area=north"}),
        ("Somewhere to eat that serves indian food please", {"restaurant food=indian"}),
        (
            "I want a place to stay. It should have free wifi and 4 stars.",
            {"hotel internet=yes", "hotel stars=4"},
        ),
        ("It doesn't need to have parking.", {"hotel parking=no"}),
        (
            "I'd like a hotel, not a guesthouse, in the moderate range",
            {"hotel type=hotel", "hotel pricerange=moderate"},
        ),
        ("It should be a guesthouse.", {"hotel type=guesthouse"}),
        ("I am looking for a hotel in the east.", {"hotel area=east"}),
        ("Are there any museums in the centre?", {"attraction type=museum", "attraction area=centre"}),
        (
            f"A train from wellminster to {TOWN} on tuesday, leaving after 14:15.",
            {"train departure=wellminster", f"train destination={TOWN}", "train day=tuesday", "train leaveat=14:15"},
        ),
        (f"I'm looking for a restaurant called {NAME}.", {f"restaurant name={NAME}"}),
        (
            "Please book it for 3 nights from saturday for 2 people",
            {"hotel stay=3", "hotel day=saturday", "hotel people=2", "hotel book"},
        ),
        (
            "A table for 4 people at 17:30 on friday.",
            {f"restaurant {d}" for d in ("people=4", "time=17:30", "day=friday")},
        ),
        (
            f"I need a taxi from {HOTEL['name']} to {NAME} by 18:00",
            {f"taxi departure={HOTEL['name']}", f"taxi destination={NAME}", "taxi arriveby=18:00"},
        ),
        (
            "Get me a cab from the hotel to the restaurant",
            {"taxi departure as hotel", "taxi destination as restaurant"},
        ),
        ("An attraction in the same area as the restaurant.", {"attraction area as restaurant"}),
        ("A restaurant in the same area please.", {"restaurant area as "}),
        ("It is for the same day as the hotel.", {" day as hotel"}),
        ("A train for the same number of people as my restaurant", {"train people as restaurant"}),
        ("Get me a taxi between the two places.", {"taxi departure as ", "taxi destination as "}),
        (
            f"I want a taxi between the hotel and {NAME}.",
            {"taxi departure as hotel", f"taxi destination={NAME}"},
        ),
        (
            "A taxi between the hotel and the museum, I leave the museum by 18:00",
            {"taxi departure as hotel", "taxi destination as attraction"}
            | {"taxi departure as attraction", "taxi leaveat=18:00"},
        ),
        ("A taxi to be at the restaurant for our booking", {"taxi destination as restaurant"} | BY_THE_TABLE),
        ("A taxi to the train station", {"taxi"}),
        ("I don't care about the area.", {" area=dontcare"}),
        ("I do n't have an area preference.", {" area=dontcare"}),
        ("A hotel with parking in any part of town", {"hotel parking=yes", "hotel area=dontcare"}),
        ("Is there anything that would work for me?", set()),
        ("I do n't want a guesthouse. I do n't like indian food.", {"hotel", "restaurant"}),
        ("a guesthouse hotel", {"hotel type=guesthouse"}),
        ("Is it a guesthouse or a hotel?", {"? hotel type"}),
        ("It should have internet if possible.", {"hotel internet=yes"}),
        ("Somewhere to eat near " + HOTEL["name"], {"restaurant"}),
        ("A hotel for 2 with parking for my car", {"hotel people=2", "hotel parking=yes"}),
        ("a table for two, please", {"restaurant people=2"}),
        ("I am looking for one", {" =1"}),
        ("I would like help in wellminster.", {" =wellminster"}),
        ("No preference.", {" =dontcare"}),
        ("for 5 people", {" people=5"}),
        ("Does it have free parking? What is the postcode?", {"? hotel parking", "? hotel postcode"}),
        ("I was robbed, where is the police station?", {"? police address"}),
        ("How much is a ticket, and how long does the journey take?", {"? price", "? duration"}),
        ("What time does the train arrive?", {"? train arriveby"}),
        ("Which area is it in?", {"? area"}),
        ("Do you have another one?", {"reqalts"}),
        ("I need the hospital.", {"hospital"}),
        ("Thank you, that is all I need. Goodbye.", {"thank", "bye"}),
        ("No, that's all.", {"deny", "bye"}),
        ("That is it, thanks.", {"thank", "bye"}),
        ("Please make sure that it will be a guesthouse and nothing else.", {"hotel type=guesthouse"}),
        ("Yes please, go ahead.", {"affirm"}),
        ("I do not need a booking, thanks.", {"deny", "thank"}),
        ("Hello there", {"greet"}),
        ("", set()),
    ],
)
def test_reading(text: str, acts: set[str]) -> None:
    assert {worded(act) for act in read_customer(text, CITY)} == acts


def worded(act: Act) -> str:
    if act.intent == "request":
        return f"? {act.domain} {act.slot}".replace("  ", " ")
    if act.intent == "same":
        return f"{act.domain} {act.slot} as {act.value}"
    if act.intent == "inform":
        return f"{act.domain} {act.slot}={act.value}" if act.value else act.domain
    return act.intent if act.domain in ("general", "") else f"{act.domain} {act.intent}"


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    state = State()
    state.hear_customer(read_customer(text, CITY))
    state.hear_customer(read_customer(text, CITY))


def test_no_expression_of_the_lexicon_has_alternatives_outside_of_brackets() -> None:
    for table in packaged_toml("td_gym.scenarios.multiwoz", "customer_acts.toml").values():
        for pattern in itertools.chain(*table.values()):
            outside, closed = re.subn(r"\\.|\[[^]]*\]", "", pattern)[0], 1
            while closed:
                outside, closed = re.subn(r"\([^()]*\)", "", outside)
            assert "|" not in outside, pattern


def test_reading_takes_time_linear_in_the_text() -> None:
    for text in (
        "from " * 4000,
        "the same area as the " * 1000,
        "I need a train, and " * 1000,
        "a" * 20_000,
        "," * 9000,
    ):
        with bounded():
            read_customer(text, CITY)


def heard(*texts: str, requested: str = "") -> State:
    """Return what is wanted after these messages; before the last, the agent asks for ``requested``."""
    state = State()
    for place, text in enumerate(texts):
        if requested and place == len(texts) - 1:
            state.hear_service([Act("request", state.domain, requested, "?")])
        state.hear_customer(read_customer(text, CITY))
    return state


def test_what_is_wanted_is_kept_and_changed() -> None:
    state = heard("I need a cheap restaurant in the north.", "Then an expensive one.", "What about indian food?")
    assert state.need("restaurant").inform == {"pricerange": "expensive", "area": "north", "food": "indian"}


@pytest.mark.parametrize(
    ("requested", "answer", "slot", "value"),
    [
        ("area", "I don't care.", "area", DONTCARE),
        ("area", "Any is fine.", "area", DONTCARE),
        ("people", "4", "people", "4"),
        ("leaveat", "at 10:15", "leaveat", "10:15"),
        ("arriveby", "10:15 please", "arriveby", "10:15"),
        ("destination", TOWN, "destination", TOWN),
    ],
)
def test_an_answer_is_understood_by_the_question(requested: str, answer: str, slot: str, value: str) -> None:
    opening = "I need a restaurant." if requested in ("area", "people") else "I need a train."
    state = heard(opening, answer, requested=requested)
    need = state.need(state.domain)
    assert {**need.inform, **need.book}[slot] == value


def test_the_time_of_a_table_is_no_departure() -> None:
    state = heard("I need a restaurant.", "Book a table at 17:30.", "Make it by 18:00.")
    assert state.need("restaurant").book["time"] == "18:00"


def test_a_yes_to_an_offer_to_book_asks_for_a_booking() -> None:
    state = heard("I need a cheap restaurant.")
    state.hear_service([Act("offer_book", "restaurant")])
    state.hear_customer(read_customer("Yes, please.", CITY))
    assert state.need("restaurant").wants_booking
    state = heard("I need a cheap restaurant.")
    state.hear_service([Act("offer_book", "restaurant")])
    state.hear_customer(read_customer("No, not now.", CITY))
    assert not state.need("restaurant").wants_booking


def test_the_same_as_elsewhere_is_looked_up() -> None:
    state = heard("I need a restaurant in the north.", "And a museum in the same area as the restaurant.")
    assert state.need("attraction").inform["area"] == "north"
    state.hear_service([Act("recommend", "restaurant", "name", NAME)])
    state.hear_customer(read_customer("I need a taxi to the restaurant.", CITY))
    assert state.need("taxi").inform == {"destination": NAME}


def met(*domains: str) -> State:
    """Return what is wanted after something was found in each of ``domains``."""
    state = State()
    for domain in domains:
        state.hear_service([Act("recommend", domain, "name", f"the {domain}")])
    return state


def test_a_ride_between_two_places_goes_from_where_one_leaves() -> None:
    for venue, other in (("restaurant", "hotel"), ("hotel", "restaurant")):
        state = met("restaurant", "hotel")
        state.hear_customer(read_customer("I need a taxi between the two of them.", CITY, state.domain))
        assert set(state.need("taxi").inform.values()) == {"the restaurant", "the hotel"}
        state.hear_customer(read_customer(f"I want to leave the {venue} by 18:00.", CITY, state.domain))
        ends = {"departure": f"the {venue}", "destination": f"the {other}"}
        assert state.need("taxi").inform == {**ends, "leaveat": "18:00"}


def test_a_ride_with_one_end_known_gets_no_empty_one() -> None:
    state = met("hotel")
    for text in ("I need a taxi to the hotel.", "From the hotel."):
        state.hear_customer(read_customer(text, CITY, state.domain))
    assert state.need("taxi").inform == {"departure": "the hotel"}


def test_a_name_answers_where_a_ride_goes() -> None:
    state = heard("I need a taxi.", NAME, requested="destination")
    assert state.need("taxi").inform == {"destination": NAME}
    assert "restaurant" not in state.needs
    assert heard("I need a taxi.", f"And the restaurant {NAME}.").need("restaurant").inform == {"name": NAME}


def test_a_taxi_is_there_in_time_for_the_table() -> None:
    state = heard("A table at 17:30.", "A taxi that arrives by the booked time.")
    assert state.need("taxi").inform == {"arriveby": "17:30"}


def test_where_a_train_goes_is_never_all_the_same() -> None:
    state = heard("I need a train.", "Anything is fine.", requested="destination")
    assert not state.need("train").inform


def test_questions_stay_open_until_they_are_answered() -> None:
    state = heard(f"I need the restaurant {NAME}.", "What is the phone number and the address?")
    assert set(state.need("restaurant").asked) == {"phone", "address"}
    state.hear_service([Act("inform", "restaurant", "phone", "1")])
    assert set(state.need("restaurant").asked) == {"address"}


def test_an_alternative_passes_over_what_was_offered() -> None:
    state = heard("I need a cheap restaurant.")
    state.hear_service([Act("recommend", "restaurant", "name", NAME)])
    state.hear_customer(read_customer("Do you have another one?", CITY))
    assert set(state.need("restaurant").passed) == {NAME}


def test_a_name_goes_when_other_wishes_come() -> None:
    state = heard(f"I need the restaurant {NAME}.", "Or rather something cheap in the north.")
    assert state.need("restaurant").sought("restaurant") == {"pricerange": "cheap", "area": "north"}
