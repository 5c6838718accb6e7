import pytest
from hypothesis import given
from hypothesis import strategies as st

from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.values import find_values, masked

TIMES = {"leaveat": "09:00", "arriveby": "09:51"}
CITY = Database(
    {
        "restaurant": [
            {"name": "pizza hut city centre", "food": "italian", "pricerange": "cheap", "area": "centre"},
            {"name": "pizza hut fen ditton", "food": "italian", "pricerange": "moderate", "area": "east"},
            {"name": "the gardenia", "food": "mediterranean", "pricerange": "cheap", "area": "centre"},
            {"name": "saint john's chop house", "food": "british", "pricerange": "moderate", "area": "west"},
            {"name": "the place", "food": "british", "pricerange": "moderate", "area": "west"},
        ],
        "hotel": [
            {
                "name": "lensfield hotel",
                "type": "hotel",
                "pricerange": "expensive",
                "area": "south",
                "stars": "3",
                "internet": "yes",
                "parking": "yes",
                "address": "53-57 lensfield road",
            }
        ],
        "attraction": [
            {"name": "jesus green pool", "type": "swimmingpool", "area": "north"},
            {"name": "all saints church", "type": "architecture", "area": "centre"},
            {"name": "museum of a time", "type": "museum", "area": "centre"},
            {"name": "cambridge artworks", "type": "museum", "area": "east"},
        ],
        "train": [
            {
                "trainid": "tr0001",
                "departure": "cambridge",
                "destination": "london kings cross",
                "day": "monday",
                **TIMES,
            },
            *(
                {"trainid": "tr0002", "departure": town, "destination": "cambridge", "day": "monday", **TIMES}
                for town in ("kings lynn", "london liverpool street", "stansted airport")
            ),
        ],
    },
    [["red"], ["audi"]],
)


def said(text: str) -> list[tuple[str, str]]:
    return [(value.slot, value.value) for value in find_values(text, CITY)]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Pizza Hut City Centre is cheap.", [("name", "pizza hut city centre"), ("pricerange", "cheap")]),
        ("There is a Pizza Hut.", []),  # there are two of them
        ("The Gardenia, in the center", [("name", "the gardenia"), ("area", "centre")]),
        ("the gardenia or gardenia", [("name", "the gardenia")] * 2),
        ("that place", []),
        ("I found the place in the west", [("area", "west")]),
        ("The Place or one named the place", [("name", "the place"), ("number", "1"), ("name", "the place")]),
        ("st. john 's chop house", [("name", "saint john's chop house")]),
        ("How about the Lensfield?", [("name", "lensfield hotel")]),
        ("57 Mill Lane or 53-57 Lensfield Road", [("address", "57 mill lane"), ("address", "53-57 lensfield road")]),
        ("two swimming pools", [("number", "2"), ("type", "swimmingpool")]),
        ("moderately priced", [("pricerange", "moderate")]),
        ("a table for 4 people on Friday at 7:15 pm", [("people", "4"), ("day", "friday"), ("time", "19:15")]),
        ("three nights for just me", [("stay", "3"), ("people", "1")]),
        ("a party of 6, a 4-star hotel", [("people", "6"), ("stars", "4"), ("type", "hotel")]),
        ("no parking but free wifi", [("parking", "no"), ("internet", "yes")]),
        ("It does not have internet or parking.", [("internet", "no"), ("parking", "no")]),
        ("be without parking and come with wifi", [("parking", "no"), ("internet", "yes")]),
        ("parking is not included", [("parking", "no")]),
        ("leaves at 9:00 and arrives at 09:51", [("leaveat", "09:00"), ("arriveby", "09:51")]),
        ("leaving from there and be in by 10:30", [("arriveby", "10:30")]),
        ("arriving by 10, I mean 10:30", [("number", "10"), ("arriveby", "10:30")]),
        ("from Cambridge to London Kings Cross", [("departure", "cambridge"), ("destination", "london kings cross")]),
        ("departing cambridge", [("departure", "cambridge")]),
        ("from the Gardenia to the Lensfield", [("departure", "the gardenia"), ("destination", "lensfield hotel")]),
        ("TR0001 costs 23.60 pounds", [("trainid", "tr0001"), ("money", "23.60 pounds")]),
        ("It takes 51 minutes.", [("duration", "51 minutes")]),
        ("£4, or free entrance", [("money", "4 pounds"), ("money", "free")]),
        ("call 01223 356354, CB2 3LL", [("phone", "01223356354"), ("postcode", "cb23ll")]),
        ("reference number is yf86ge4j or OXVTBQHH", [("ref", "YF86GE4J"), ("ref", "OXVTBQHH")]),
        ("a red audi", [("type", "red audi")]),
        ("at 25:99", []),
        ("King 's Lynn or king's lynn", [("place", "kings lynn")] * 2),
        ("London Liverpool, Liverpool Street", [("place", "london liverpool street")] * 2),
        ("to Stansted or the airport", [("destination", "stansted airport"), ("place", "stansted airport")]),
        ("a train from London", []),  # there are two of them
        ("Saint Johns Chop House", [("name", "saint john's chop house")]),
        ("All Saints, the artworks", [("name", "all saints church"), ("name", "cambridge artworks")]),
        ("the museum of a kind", [("type", "museum")]),
        ("wendesday, Tusday, thursdya", [("day", "wednesday"), ("day", "tuesday"), ("day", "thursday")]),
        ("to Cambrige or camb", [("destination", "cambridge")]),
        ("I am looking for help in Cambridge.", [("place", "cambridge")]),
        ("a ride for Cambridge", [("destination", "cambridge")]),
        (
            "between the Gardenia and the Lensfield",
            [("departure", "the gardenia"), ("destination", "lensfield hotel")],
        ),
        ("pick me up at the Gardenia by 9:00", [("departure", "the gardenia"), ("leaveat", "09:00")]),
    ],
)
def test_values_are_found_as_people_write_them(text, values):
    assert said(text) == values


def test_a_value_of_the_database_has_its_domain():
    assert [value.domains for value in find_values("the lensfield hotel in the east", CITY)] == [
        ("hotel",),
        ("restaurant", "hotel", "attraction"),
    ]


def test_masking_leaves_the_words_between_values():
    text = "The Gardenia is in the Centre."
    assert masked(text, find_values(text, CITY)) == "the xname is in the xarea."


@given(st.text(max_size=200))
def test_any_text_is_accepted_and_values_lie_in_it(text):
    end = 0
    for value in find_values(text, CITY):
        assert end <= value.start < value.end <= len(text)
        end = value.end
