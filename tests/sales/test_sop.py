"""The procedure of Sales: what names a message's strategy, what is admissible when, how both seats move it on."""

from __future__ import annotations

from itertools import product

import pytest

from td_gym.scenarios.sales.acts import SERVICE_ACTS
from td_gym.scenarios.sales.sop import FALLBACK, STRATEGIES, Progress, allows, detect_strategy


def _heard(*moves: tuple[str, str]) -> Progress:
    """Return the progress after ``(seat, acts)`` moves; an act with a trailing ``!`` is a tool call."""
    progress = Progress()
    for seat, names in moves:
        acts = frozenset(name for name in names.split() if not name.endswith("!"))
        action = next((name[:-1] for name in names.split() if name.endswith("!")), "")
        if seat == "service":
            progress.hear_service(acts, action)
        else:
            progress.hear_customer(acts)
    return progress


@pytest.mark.parametrize(
    ("acts", "action", "strategy"),
    [
        ("", "", "chat"),
        ("greet introduce", "", "open"),
        ("greet introduce disclose answer", "", "disclose"),
        ("empathise handle_trust", "", "handle_trust"),
        ("answer present", "", "present"),
        ("answer ask_order", "", "ask_order"),
        ("offer_coupon answer", "", "offer_coupon"),
        ("back_off press", "", "ask_order"),
        ("back_off close empathise", "", "back_off"),
        ("thank close", "", "close"),
        ("answer", "confirm_order", "confirm"),
        ("", "offer_coupon", "offer_coupon"),
        ("close", "transfer", "transfer"),
    ],
)
def test_the_most_committing_act_names_the_strategy(acts: str, action: str, strategy: str) -> None:
    assert detect_strategy(frozenset(acts.split()), action) == strategy


def test_every_act_has_a_strategy_and_every_strategy_but_chat_and_transfer_an_act() -> None:
    named = {detect_strategy(frozenset((act,)), "") for act in SERVICE_ACTS}
    assert named == set(STRATEGIES) - {"chat", "transfer"}


def test_a_sale_passes_the_four_stages_in_order() -> None:
    moves = [
        ("customer", "who_is_this"),
        ("service", "greet introduce disclose"),
        ("customer", "ask_question"),
        ("service", "answer present"),
        ("customer", "object_price"),
        ("service", "handle_price"),
        ("customer", "interested"),
        ("service", "ask_order"),
        ("customer", "accept_order"),
        ("service", "confirm confirm_order!"),
    ]
    stages = [_heard(*moves[:end]).stage() for end in range(len(moves) + 1)]
    assert stages == [0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 4]


@pytest.mark.parametrize(
    ("moves", "allowed", "barred"),
    [
        ([], "open disclose qualify answer", "present offer_coupon ask_order confirm back_off close chat transfer"),
        ([("service", "disclose")], "present qualify answer", "open disclose ask_order offer_coupon confirm"),
        ([("service", "disclose present")], "ask_order offer_coupon", "confirm close"),
        (
            [("service", "disclose present"), ("customer", "object_need")],
            "handle_need back_off ask_order",
            "handle_price handle_timing close",
        ),
        (
            [("service", "disclose present"), ("customer", "refuse")],
            "back_off close answer",
            "present offer_coupon ask_order qualify disclose confirm handle_price",
        ),
        (
            [("service", "disclose present"), ("customer", "refuse object_trust")],
            "handle_trust back_off close",
            "ask_order present",
        ),
        (
            [("service", "disclose present"), ("customer", "refuse object_trust"), ("customer", "refuse")],
            "back_off close",
            "handle_trust ask_order present",
        ),
        (
            [("service", "disclose present"), ("customer", "refuse"), ("customer", "interested")],
            "ask_order present",
            "confirm",
        ),
        ([("service", "disclose ask_order"), ("customer", "accept_order")], "confirm", "ask_order close"),
        (
            [("service", "disclose ask_order"), ("customer", "accept_order"), ("service", "confirm_order!")],
            "close answer",
            "confirm present offer_coupon ask_order",
        ),
    ],
)
def test_what_is_admissible_when(moves: list[tuple[str, str]], allowed: str, barred: str) -> None:
    progress = _heard(*moves)
    assert all(allows(name, progress, transfer=False) for name in allowed.split())
    assert not any(allows(name, progress, transfer=False) for name in barred.split())


def test_who_is_not_eligible_is_told_so_and_let_go() -> None:
    progress = Progress(eligible=False)
    for acts in ("introduce", "disclose present", "ask_order"):
        assert {name for name in STRATEGIES if allows(name, progress, transfer=False)} - {"open"} == {
            "answer",
            "back_off",
            "close",
        }
        progress.hear_service(frozenset(acts.split()))
        progress.hear_customer(frozenset(("object_price", "accept_order")))


def test_transfer_is_admissible_only_where_the_tool_is_there() -> None:
    progress = _heard(("service", "greet"))
    assert allows("transfer", progress, True)
    assert not allows("transfer", progress, False)
    assert not allows("transfer", Progress(), True)


def test_the_fallback_is_always_admissible_and_chat_never() -> None:
    acts = ("disclose", "present", "ask_order", "confirm_order!")
    replies = ("", "refuse", "object_price", "accept_order", "refuse object_timing", "interested")
    for first, second, reply, other in product(acts, acts, replies, replies):
        progress = _heard(("service", first), ("customer", reply), ("service", second), ("customer", other))
        assert allows(FALLBACK, progress, transfer=True)
        assert not allows("chat", progress, transfer=True)
        assert 0 <= progress.stage() <= 4


def test_a_yes_to_nothing_offered_is_no_order() -> None:
    assert not _heard(("service", "greet"), ("customer", "accept_order")).accepted
    assert _heard(("service", "present"), ("customer", "accept_order")).accepted
    assert not _heard(("service", "present"), ("customer", "accept_order"), ("customer", "refuse")).accepted


def test_an_objection_stands_until_it_is_met() -> None:
    raised = [("service", "present"), ("customer", "object_price")]
    assert _heard(*raised).objection_raised == "price"
    assert _heard(*raised, ("service", "handle_need")).objection_raised == "price"
    met = _heard(*raised, ("service", "handle_price"))
    assert (met.objection_raised, met.objection_handled) == ("", True)


def test_a_question_is_open_until_the_next_service_message() -> None:
    assert _heard(("customer", "ask_question")).question_open
    assert not _heard(("customer", "ask_question"), ("service", "greet")).question_open
    assert not _heard(("customer", "ask_question"), ("customer", "thank")).question_open
