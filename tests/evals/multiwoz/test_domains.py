from __future__ import annotations

import pytest

from evals.multiwoz.domains import from_placeholders, from_states
from evals.multiwoz.normalise import State

HOTEL: State = {"hotel": {"area": "north"}}
BOTH: State = {"hotel": {"area": "north"}, "train": {"day": "monday"}}
BOTH_TURNED: State = {"train": {"day": "monday"}, "hotel": {"area": "north"}}
FULLER: State = {"hotel": {"area": "north"}, "train": {"day": "monday", "leave": "10:00"}}
AGAIN: State = {"hotel": {"area": "south"}, "train": {"day": "friday"}}
LESS: State = {"hotel": {}, "train": {"day": "monday"}}

STATES: dict[str, tuple[list[State], list[str]]] = {
    "nothing yet": ([{}, {"hotel": {}}], ["", ""]),
    "the domain that changed": ([HOTEL, BOTH], ["hotel", "train"]),
    "no change keeps it": ([HOTEL, HOTEL], ["hotel", "hotel"]),
    "a value taken back is no change": ([BOTH, LESS, LESS], ["hotel", "train", "train"]),
    "two at once: the first in the state's order": ([BOTH], ["hotel"]),
    "two at once, the order turned": ([BOTH_TURNED], ["train"]),
    "two at once: the fuller": ([FULLER], ["train"]),
    "two at once: the current stays": ([HOTEL, BOTH, AGAIN], ["hotel", "train", "train"]),
    "after two at once, the other one's turn": ([BOTH, BOTH, BOTH], ["hotel", "train", "train"]),
    "unless it is gone": ([BOTH, HOTEL], ["hotel", "hotel"]),
}


@pytest.mark.parametrize(("states", "expected"), STATES.values(), ids=STATES)
def test_the_domain_is_the_one_whose_state_changed_last(states: list[State], expected: list[str]) -> None:
    assert from_states(states) == [(domain,) if domain else () for domain in expected]


def test_placeholders_name_their_domains() -> None:
    responses = ["[Hotel_name] near [train_id]", "[name] at [value_time]", "[bus_id]", "[taxi]"]
    assert from_placeholders(responses) == [("hotel", "train"), (), (), ("taxi",)]
