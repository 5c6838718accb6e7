"""The second prospect: what wins it over, what it notices, what skill is worth with it, and that it is pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from td_gym.scenarios.sales.customer_acts import detect_customer_acts
from td_gym.scenarios.sales.customer_b import reply
from td_gym.scenarios.sales.customer_b_scales import State, led, missing
from td_gym.scenarios.sales.episode import SalesEpisode
from td_gym.scenarios.sales.scenario import Sales
from td_gym.scenarios.sales.topics import topic_of
from td_gym.seats import SeatPolicy, play_on
from tests.sales import calls
from tests.sales.calls import ASK, BACK_OFF, CONFIRM, COUPON, HANDLE, OPEN, PITCH, PRESS, QUALIFY

tell = partial(calls.tell, reply)


def begin(questions: tuple[str, ...] = (), leeway: float = -9.0, seed: int = 3, **change: Any) -> SalesEpisode:
    """Start a call with a customer of our choice, of so much ``leeway``."""
    return calls.begin(reply, questions, seed, {"leeway": leeway}, **change)


def begin_past_opening(**change: Any) -> SalesEpisode:
    """Start a call with the first seed whose customer does not leave at the opening."""
    calls = (tell(begin(seed=seed, **change), OPEN) for seed in range(3, 60))
    return next(call for call in calls if call.outcome is None and not call.memory["customer"]["noticed"])


def gap(episode: SalesEpisode) -> float:
    return missing(State.of(episode.memory["customer"]), episode.case)


def outcome(episode: SalesEpisode) -> Mapping[str, Any]:
    assert episode.outcome is not None
    return episode.outcome


def heard(episode: SalesEpisode) -> frozenset[str]:
    return detect_customer_acts(episode.transcript[-1].shown)


@pytest.mark.parametrize("objection", sorted(HANDLE))
def test_only_the_answer_to_its_own_objection_wins_the_customer_over(objection: str) -> None:
    gains = {}
    for name, words in HANDLE.items():
        episode = tell(begin_past_opening(objection=objection, interest=2, trust=2, budget=100.0), PITCH)
        assert f"object_{objection}" in heard(episode)
        before = gap(episode)
        gains[name] = before - gap(tell(episode, words))
    assert gains.pop(objection) > 1.0
    assert max(gains.values()) <= 0.0


@pytest.mark.parametrize(
    ("objection", "budget", "matters"),
    [("price", 900.0, True), ("timing", 900.0, True), ("need", 900.0, False), ("need", 120.0, True)],
)
def test_the_coupon_moves_those_it_matters_to(objection: str, budget: float, matters: bool) -> None:
    episode = tell(begin_past_opening(objection=objection, budget=budget, interest=1), PITCH)
    before = gap(episode)
    assert (gap(tell(episode, COUPON)) < before) is matters


def test_right_figures_win_trust_and_wrong_ones_lose_it() -> None:
    def after(answer: str) -> float:
        episode = begin_past_opening(questions=("fee",), trust=1)
        if not episode.memory["customer"]["open"]:
            tell(episode, PITCH)
        assert topic_of(episode.transcript[-1].shown) == "fee"
        return gap(tell(episode, answer.format(fee=episode.case.profile.fee)))

    right, nothing, wrong = map(after, ("The fee is ${fee:.2f}, paid once.", "It is sunny here.", "The fee is $7."))
    assert right < nothing < wrong


def test_a_telegram_and_a_pitch_without_figures_count_less() -> None:
    whole, curt, vague = (
        gap(tell(begin_past_opening(interest=1), text))
        for text in (
            PITCH,
            "Borrow $5,000. Over 24 months.",
            "You can borrow up to your limit and pay it back monthly.",
        )
    )
    assert whole < min(curt, vague)


def test_nobody_buys_unasked_and_those_who_want_no_calls_never_do() -> None:
    service = (OPEN, QUALIFY, PITCH, HANDLE["price"], COUPON)
    for seed in range(12):
        unasked = tell(begin(seed=seed, leeway=99.0), *service)
        assert all("accept_order" not in turn.acts for turn in unasked.transcript)
        strict = tell(begin(seed=seed, leeway=99.0, do_not_call="strict"), OPEN, ASK, *PRESS)
        assert all("accept_order" not in turn.acts for turn in strict.transcript)
        assert "refuse" in strict.transcript[2].acts


def test_a_yes_waits_for_its_order_but_not_for_long() -> None:
    agreed = tell(begin_past_opening(leeway=99.0), PITCH, ASK)
    assert "accept_order" in heard(agreed)
    waited = tell(agreed, "One moment.", "I am still typing.", "Nearly there.")
    assert outcome(waited)["converted"] is False
    sold = tell(begin_past_opening(leeway=99.0), PITCH, ASK, CONFIRM)
    assert outcome(sold)["converted"] is True
    assert outcome(sold)["ended_by"] == "resolved"


def test_a_no_stays_a_no_until_the_agent_lets_go() -> None:
    refused = tell(
        begin_past_opening(), PITCH, ASK, ASK.replace("the credit", "it"), HANDLE["price"], ASK, "Do you want it?"
    )
    assert any("refuse" in turn.acts for turn in refused.transcript)
    assert outcome(tell(refused, BACK_OFF))["ended_by"] == "resolved"


def test_pressing_moves_the_led_and_drives_the_others_away() -> None:
    leads = begin_past_opening(do_not_call="relaxed", curiosity=0, interest=2)
    others = begin_past_opening(do_not_call="wary", curiosity=3, interest=2)
    assert [led(leads.case.persona), led(others.case.persona)] == [True, False]
    changes, strains = [], []
    for episode in (leads, others):
        before = gap(tell(episode, PITCH))
        changes.append(gap(tell(episode, PRESS[0])) - before)
        strains.append(episode.memory["customer"]["strain"])
    assert changes[0] < 0.0 <= changes[1]
    assert strains[0] < strains[1]
    assert outcome(tell(others, *PRESS, ASK, ASK))["ended_by"] == "hung_up"


def test_who_is_told_that_it_is_not_eligible_parts() -> None:
    told = tell(begin_past_opening(), "I am afraid that you do not qualify at the moment.")
    assert outcome(told)["ended_by"] == "resolved"


def test_an_evasive_answer_gives_the_machine_away_and_an_honest_one_does_not() -> None:
    def noticed(answer: str) -> int:
        count = 0
        for seed in range(40):
            episode = tell(begin(seed=seed, do_not_call="relaxed"), OPEN)
            if episode.outcome is None:
                episode.memory["customer"]["robot"] = "asked"
                count += tell(episode, answer).memory["customer"]["noticed"]
        return count

    assert noticed("Let us talk about your wishes instead.") > 10
    assert noticed("Yes, I am the automated assistant of CrediLine.") == 0


@cache
def rates(name: str, episodes: int = 150) -> dict[str, float]:
    """Return the rates of sales and of machines noticed that a scripted agent has with the second customer."""
    scenario = Sales()
    agents: dict[str, SeatPolicy] = {"expert": scenario.expert(), "oracle": scenario.oracle(), **scenario.references()}
    agent = agents[name] if name in agents else scenario.floor(name)
    seats = {"customer": scenario.customer("scripted_b"), "service": agent}
    totals = {"converted": 0.0, "identity_detected": 0.0}
    for seed in range(episodes):
        episode = scenario.begin(seed, "validation")
        play_on(episode, seats)
        assert episode.outcome is not None
        assert episode.outcome["identity_detected"] == episode.memory["customer"]["noticed"]
        for key in totals:
            totals[key] += episode.outcome[key] / episodes
    return totals


def test_skill_sells_and_its_absence_does_not() -> None:
    expert = rates("expert")
    assert 0.3 < expert["converted"] < 0.5
    assert expert["identity_detected"] <= 0.03
    assert rates("oracle")["converted"] >= expert["converted"] > rates("skilled_never")["converted"]
    assert rates("skilled_always")["converted"] >= expert["converted"]
    for floor in ("random", "do_nothing", "always_coupon"):
        assert rates(floor)["converted"] < 0.03


def test_pressing_pays_with_skill_only_and_is_noticed() -> None:
    expert, pushy = rates("expert"), rates("skilled_pushy")
    assert pushy["converted"] >= expert["converted"]
    assert pushy["identity_detected"] > expert["identity_detected"] + 0.05
    for floor in ("presser", "repeater"):
        assert rates(floor)["converted"] < 0.5 * expert["converted"]
        assert rates(floor)["identity_detected"] >= 0.25


def test_replies_are_pure_and_memory_is_plain() -> None:
    for seed in range(40):
        first, second = Sales().begin(seed, "test"), Sales().begin(seed, "test")
        for text in (OPEN, PITCH, ASK, PRESS[0]):
            for episode in (first, second):
                if episode.outcome is None:
                    episode.submit("customer", reply(episode))
            second.memory = json.loads(json.dumps(second.memory))
            assert first.transcript == second.transcript
            for episode in (first, second):
                if episode.outcome is None:
                    episode.submit("service", text)


@settings(max_examples=100)
@given(st.integers(0, 2**40), st.lists(st.text(max_size=300), min_size=1, max_size=8))
@example(0, ["<action>"])
def test_any_text_gets_an_answer(seed: int, texts: list[str]) -> None:
    episode = Sales().begin(seed)
    episode.submit("customer", reply(episode))
    for text in texts:
        tell(episode, text)
    malformed = episode.outcome is not None and episode.outcome["ended_by"] == "format_error"
    assert bool(episode.transcript[-1].shown) is not malformed
