"""The default customer: what it credits, what it punishes, and that it is keyed by seed alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from td_gym.scenarios.food_dispute.customer import reply, satisfaction
from td_gym.scenarios.food_dispute.episode import FoodDisputeEpisode
from td_gym.scenarios.food_dispute.orders import Case
from td_gym.scenarios.food_dispute.scenario import FoodDispute

GOOD = (
    "Hello, I am sorry about your order. What exactly was the problem?",
    "I understand how frustrating that must be. Could you send me a photo of it?",
    "Our records show that the order was delivered on the promised day. I am not able to refund the order here.",
    "I can see why you are upset. We cannot refund it because the order was delivered.",
    "Thank you for telling us, have a good day.",
)
VOUCHER = (
    "<action>voucher</action><response>Our records show that the order was delivered on the promised day. "
    "I have added a voucher to your account.</response>"
)


def play(case_change: dict[str, object], replies: tuple[str, ...], seed: int = 3) -> FoodDisputeEpisode:
    episode = FoodDispute().begin(seed)
    persona = replace(
        episode.case.persona, **{"patience": 10, "cooperativeness": 3, "honesty": "honest", **case_change}
    )
    episode.case = Case(persona, episode.case.order, has_photo=True)
    episode.submit("customer", reply(episode))
    turn = 0
    while episode.outcome is None:
        episode.submit("service", replies[min(turn, len(replies) - 1)])
        if episode.outcome is None:
            episode.submit("customer", reply(episode))
        turn += 1
    return episode


def rating(case_change: dict[str, object], replies: tuple[str, ...], seed: int = 3) -> float:
    outcome = play(case_change, replies, seed).outcome
    assert outcome is not None
    return float(outcome["satisfaction"])


@pytest.mark.parametrize(
    ("demand", "least", "most"),
    [
        ("refund_insistence", -0.1, 0.35),
        ("refund_priority", 0.6, 1.6),
        ("compensation_flexible", 0.6, 1.6),
        ("feedback_focus", -0.1, 0.35),
    ],
)
def test_a_voucher_matters_to_those_who_want_compensation(demand: str, least: float, most: float) -> None:
    with_voucher = rating({"demand": demand}, (*GOOD[:2], VOUCHER, GOOD[4]))
    without = rating({"demand": demand}, GOOD)
    assert least < with_voucher - without < most


def test_a_voucher_before_listening_is_worth_less() -> None:
    wants = {"demand": "compensation_flexible"}
    assert rating(wants, (VOUCHER, GOOD[4])) < rating(wants, (*GOOD[:2], VOUCHER, GOOD[4])) - 0.5


def test_a_promised_refund_is_found_out() -> None:
    lie = "You will get your money back today."
    assert (
        rating({"demand": "refund_insistence"}, (*GOOD[:2], lie, *GOOD[2:]))
        < rating({"demand": "refund_insistence"}, GOOD) - 0.4
    )


def test_a_lie_after_the_matter_is_settled_is_still_a_lie() -> None:
    flexible = {"demand": "compensation_flexible"}
    lie = "I have refunded the full price to your card. " + GOOD[4]
    assert rating(flexible, (*GOOD[:2], VOUCHER, lie)) < rating(flexible, (*GOOD[:2], VOUCHER, GOOD[4])) - 0.4


def test_a_goodbye_in_the_breath_that_settles_the_matter_costs() -> None:
    flexible = {"demand": "compensation_flexible"}
    hasty = VOUCHER.replace("</response>", " Goodbye.</response>")
    assert rating(flexible, (*GOOD[:2], hasty)) < rating(flexible, (*GOOD[:2], VOUCHER, GOOD[4])) - 0.4


def test_a_telegram_earns_less_than_the_same_service_in_sentences() -> None:
    telegrams = ("Sorry. Which dish?", "Understand anger. Send photo.", "Because late. No refund.", *GOOD[3:])
    assert rating({}, telegrams) < rating({}, GOOD) - 0.2


def test_saying_the_same_again_earns_nothing_and_annoys() -> None:
    once = rating({"demand": "feedback_focus"}, GOOD)
    assert rating({"demand": "feedback_focus"}, (GOOD[0], GOOD[0], *GOOD[1:])) < once


def test_satisfaction_is_smooth_and_inside_its_range() -> None:
    marks = [satisfaction(mood / 10) for mood in range(-100, 101)]
    assert all(1.0 < low < high < 5.0 for low, high in pairwise(marks))
    assert satisfaction(0.0) == 3.0


def test_the_same_history_gets_the_same_reply() -> None:
    first, second = play({}, GOOD, seed=11), play({}, GOOD, seed=11)
    assert [t.text for t in first.transcript] == [t.text for t in second.transcript]
