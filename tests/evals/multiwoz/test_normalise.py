from __future__ import annotations

import pytest

from evals.multiwoz.normalise import (
    Value,
    minutes,
    normal_response,
    normal_state,
    normal_time,
    normal_value,
    unknown_placeholders,
)

RESPONSES = {
    "classes": ("[restaurant_name] is at [value_address].", "NAME is at ADDRESS."),
    "plural endings belong to the placeholder": ("[hotel_choice] [value_type]s, [type]-s", "COUNT TYPE, TYPE"),
    "spaced as one writes": ("Sure ! it ' s [value_price] , ok ?", "sure! it 's PRICE, ok?"),
    "lower case outside placeholders": ("The NAME Of It", "the name of it"),
    "endings that were split off": ("place -s, quick -ly", "place, quick"),
    "unknown placeholders are dropped": ("take the [bus_id] now", "take the now"),
}


@pytest.mark.parametrize(("response", "expected"), RESPONSES.values(), ids=RESPONSES)
def test_responses(response: str, expected: str) -> None:
    assert normal_response(response) == expected


def test_unknown_placeholders_are_named() -> None:
    assert unknown_placeholders("[hotel_name] by [Bus_id] or [tram]") == ["bus_id", "tram"]


TIMES = {
    "17:15": "17:15",
    "9:45": "09:45",
    "0945": "09:45",
    "9": "09:00",
    "by 10:15": "10:15",
    "after 5 pm": "17:00",
    "afer 5:30 p.m.": "17:30",
    "8:05am": "08:05",
    "12:30 pm": "24:30",
    "1 : 15 pm": "13:15",
    "Noon": "12:00",
    "10:30?": "10:30",
    "": "00:00",
    "soon": "soon",
    "0530 pm": "542:00",
}


@pytest.mark.parametrize(("text", "expected"), TIMES.items())
def test_times(text: str, expected: str) -> None:
    assert normal_time(text) == expected


@pytest.mark.parametrize("rest", ["", ":15"])
def test_a_number_too_long_for_a_clock_is_no_time(rest: str) -> None:
    assert minutes(normal_time(f"{'9' * 5_000}{rest} pm")) == 0


VALUES: list[tuple[str, Value, Value]] = [
    ("name", " Saint John & Co ", "saint john and co"),
    ("name", "Cafe Uno", "caffe uno"),
    ("destination", "king 's lynn", "king's lynn"),
    ("food", "Sea Food", "seafood"),
    ("type", "guest house", "guesthouse"),
    ("internet", "free", "yes"),
    ("arrive", "9:45", "09:45"),
    ("area", "North", "North"),
    ("stars", 4, 4),
    ("name", None, None),
]


@pytest.mark.parametrize(("slot", "value", "expected"), VALUES)
def test_values(slot: str, value: Value, expected: Value) -> None:
    assert normal_value(slot, value) == expected


def test_states_have_normal_slots_and_keep_the_order_of_domains() -> None:
    state = normal_state({"train": {"Leave At": "9:45", "arriveBy": "10"}, "hotel": {"price range": "cheap"}})
    assert state == {"train": {"leave": "09:45", "arrive": "10:00"}, "hotel": {"pricerange": "cheap"}}
    assert [*state] == ["train", "hotel"]


@pytest.mark.parametrize(("time", "expected"), [("01:30", 90), ("24:30", 1470), ("10:15 or so", 615), ("9:45", 0)])
def test_minutes(time: str, expected: int) -> None:
    assert minutes(time) == expected
