from __future__ import annotations

from collections.abc import Sequence

import pytest

from evals.multiwoz.normalise import State, Value
from evals.multiwoz.success import DomainGoal, Goal, SystemTurn, offer, verdict
from tests.evals.multiwoz.world import TOWN, says, wants

CENTRE: State = {"restaurant": {"area": "centre"}}
SPANISH: State = {"restaurant": {"area": "centre", "food": "spanish"}}
EAST: State = {"restaurant": {"area": "east"}}

OFFERS = {
    "what fits the state where a name is said": ([says("what food?", CENTRE), says("try NAME", SPANISH)], {"r2"}),
    "replaced: r1 and r2 are not among r3": ([says("NAME", CENTRE), says("NAME", EAST)], {"r3"}),
    "replaced: r1 is not among r2, the narrower": ([says("NAME", CENTRE), says("NAME", SPANISH)], {"r2"}),
    "kept: r2 is among r1 and r2, the wider": ([says("NAME", SPANISH), says("NAME", CENTRE)], {"r2"}),
    "replaced by nothing": ([says("NAME", CENTRE), says("NAME", {"restaurant": {"food": "thai"}})], set()),
    "nothing is replaced by whatever comes": (
        [says("NAME", {"restaurant": {"food": "thai"}}), says("NAME", CENTRE)],
        {"r1", "r2"},
    ),
    "a turn about another domain": ([says("NAME", CENTRE, active=["hotel"])], set()),
    "a state without the domain offers nothing": ([says("NAME", {}, active=["restaurant"])], set()),
    "a state that asks for nothing offers all": ([says("NAME", {"restaurant": {}})], {"r1", "r2", "r3"}),
    "a train id is no venue": ([says("TRAINID", CENTRE)], set()),
}


@pytest.mark.parametrize(("turns", "expected"), OFFERS.values(), ids=OFFERS)
def test_the_last_offer_stands_unless_the_new_one_holds_all_of_it(
    turns: Sequence[SystemTurn], expected: set[str]
) -> None:
    assert offer("restaurant", turns, TOWN) == expected


def test_a_train_is_offered_by_its_id_only() -> None:
    state: State = {"train": {"leave": "10:00", "destination": "ely"}}
    assert offer("train", [says("NAME at TIME", state)], TOWN) == set()
    assert offer("train", [says("TRAINID at TIME", state)], TOWN) == {"TR2"}


EARLY: dict[str, Value] = {"arrive": "10:00"}
IN_CENTRE: dict[str, Value] = {"area": "centre"}
INFORM: dict[str, tuple[DomainGoal, str, SystemTurn, bool]] = {
    "all that is offered fits": (wants(IN_CENTRE), "restaurant", says("NAME", SPANISH), True),
    "some that is offered does not fit": (wants({"food": "indian"}), "restaurant", says("NAME", CENTRE), False),
    "nothing offered": (wants(IN_CENTRE), "restaurant", says("in which area?", CENTRE), False),
    "a goal with a name needs no offer": (wants({"name": "la tasca"}), "restaurant", says("hello", {}), True),
    "nor does it mind a wrong one": (wants({"name": "la tasca"}), "restaurant", says("NAME", EAST), True),
    "a taxi needs no offer": (wants({"leave": "10:00"}), "taxi", says("booked", {"taxi": {}}), True),
    "a train needs none when its id is not asked": (wants(EARLY), "train", says("booked", {"train": {}}), True),
    "its id is asked": (wants(EARLY, ["TRAINID"]), "train", says("booked", {"train": {}}), False),
    "its id is not asked, but a wrong one offered": (wants(EARLY), "train", says("TRAINID", {"train": {}}), False),
}


@pytest.mark.parametrize(("wanted", "domain", "turn", "expected"), INFORM.values(), ids=INFORM)
def test_inform(wanted: DomainGoal, domain: str, turn: SystemTurn, expected: bool) -> None:
    assert verdict({domain: wanted}, [turn], TOWN)[0] is expected


ASKED: Goal = {"restaurant": wants(IN_CENTRE, ["PHONE", "REFERENCE"])}
OFFER = says("NAME", SPANISH)
SUCCESS: dict[str, tuple[Goal, list[SystemTurn], tuple[bool, bool]]] = {
    "both answered, the reference once booked": (
        ASKED,
        [OFFER, says("it is REFERENCE, PHONE", SPANISH, booked=["restaurant"])],
        (True, True),
    ),
    "a reference before the booking does not count": (
        ASKED,
        [says("NAME REFERENCE", SPANISH), says("booked, PHONE", SPANISH, booked=["restaurant"])],
        (True, False),
    ),
    "a reference of another booking does not count": (
        ASKED,
        [OFFER, says("REFERENCE PHONE", SPANISH, booked=["hotel"])],
        (True, False),
    ),
    "an answer about another domain does not count": (
        ASKED,
        [OFFER, says("REFERENCE", SPANISH, booked=["restaurant"]), says("PHONE", {"hotel": {}})],
        (True, False),
    ),
    "answers without a fitting offer": (
        {"restaurant": wants({"area": "east"}, ["PHONE"])},
        [says("NAME, PHONE", CENTRE)],
        (False, False),
    ),
    "one domain of two without an offer": (
        {"restaurant": wants(IN_CENTRE), "hotel": wants({"stars": "4"})},
        [OFFER],
        (False, False),
    ),
    "two domains in one turn": (
        {"restaurant": wants(IN_CENTRE, ["POST"]), "hotel": wants({"stars": "4"}, ["POST"])},
        [says("NAME and NAME, POST", {**SPANISH, "hotel": {"stars": "4"}})],
        (True, True),
    ),
}


@pytest.mark.parametrize(("goal", "turns", "expected"), SUCCESS.values(), ids=SUCCESS)
def test_verdict(goal: Goal, turns: list[SystemTurn], expected: tuple[bool, bool]) -> None:
    assert verdict(goal, turns, TOWN) == expected
