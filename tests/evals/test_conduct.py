"""Engagement, breaches of the procedure and consistency with the plan: by hand, by property, on recorded dialogues."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.conduct import consistency, engaged, sop_breaches
from evals.dialogue import Dialogue, DialogueTurn
from evals.metrics import compute, goal_reward
from evals.multiwoz.respond import responses
from evals.runner import Setting, evaluate, make_agents
from td_gym.errors import TdGymError
from td_gym.registration import env_ids
from td_gym.scenarios.multiwoz.scenario import MultiWOZ
from tests.evals.dialogues import call, good, said

GREETING = DialogueTurn("customer", "Hello.", "Hello.")
GRADES = st.lists(st.integers(0, 3), min_size=1, max_size=15)


def served(strategy: str = "explain", admissible: bool | None = True, relevance: int | None = None) -> DialogueTurn:
    return DialogueTurn("service", "Hm.", "Hm.", strategy=strategy, admissible=admissible, relevance=relevance)


def planned(strategy: str) -> DialogueTurn:
    return DialogueTurn("expert", strategy, "")


def talk(*turns: DialogueTurn, max_turns: int | None = 4, succeeded: bool = False) -> Dialogue:
    return replace(good(), turns=(GREETING, *turns), max_turns=max_turns, succeeded=succeeded)


def graded(*grades: int | None, max_turns: int = 4, succeeded: bool = False) -> Dialogue:
    return talk(*(served(relevance=grade) for grade in grades), max_turns=max_turns, succeeded=succeeded)


def test_engagement_by_hand() -> None:
    weights = [1, 1 / math.log2(3), 1 / 2, 1 / math.log2(5)]
    lost = (2 * weights[0] + 3 * weights[1]) / (3 * sum(weights))
    assert engaged(graded(2, 3)) == pytest.approx(lost)
    won = (2 * weights[0] + 3 * sum(weights[1:])) / (3 * sum(weights))
    assert engaged(graded(2, 3, succeeded=True)) == pytest.approx(won)
    assert engaged(graded(1, 1, 1, 1)) == pytest.approx(1 / 3)
    assert engaged(graded(None, 2, None, 3)) == engaged(graded(2, 3))  # look-ups, of which no customer hears


def test_a_dialogue_that_no_customer_answered_engages_nobody() -> None:
    broken = DialogueTurn("service", "<response>", "")
    assert engaged(talk(broken)) == 0.0
    assert engaged(talk(served(relevance=3), broken)) == engaged(graded(3))


@given(GRADES, st.integers(0, 14), st.booleans())
def test_engagement_rises_with_every_grade_and_with_success(grades: list[int], place: int, succeeded: bool) -> None:
    better = list(grades)
    better[place % len(grades)] = 3
    value, risen = (engaged(graded(*each, max_turns=15, succeeded=succeeded)) for each in (grades, better))
    assert 0 <= value <= risen <= 1 + 1e-12
    assert engaged(graded(*grades, max_turns=15)) <= engaged(graded(*grades, max_turns=15, succeeded=True))


def test_grades_that_cannot_be_are_refused() -> None:
    for impossible in (graded(4), graded(1, 1, max_turns=1)):
        with pytest.raises(TdGymError):
            engaged(impossible)


def test_breaches_by_hand() -> None:
    broken = DialogueTurn("service", "<response>", "")
    assert sop_breaches(talk(served(), served("chat", False), served("close", False), broken)) == 2.0
    assert sop_breaches(talk(served(), served())) == 0.0
    assert sop_breaches(talk(broken)) == 0.0


def test_consistency_by_hand() -> None:
    kept, broken = (planned("explain"), served("explain")), (planned("close"), DialogueTurn("service", "<a>", ""))
    assert consistency(talk(*kept)) == 1.0
    assert consistency(talk(*kept, GREETING, planned("close"), served("explain"))) == 0.5
    assert consistency(talk(*kept, GREETING, served("chat", False))) == 1.0  # nothing was planned for the last one
    assert consistency(talk(*kept, GREETING, *broken)) == 0.5
    assert math.isnan(consistency(talk(served())))


def test_goal_reward_is_a_share_of_what_the_session_can_pay() -> None:
    assert goal_reward(good()) == pytest.approx(4 / 5)
    assert goal_reward(said("Hello.", outcome={"ended_by": "turn_limit", "satisfaction": 0})) == 0.0
    assert goal_reward(call(("service", "Hello."), outcome={"converted": True})) == 1.0


@cache
def recorded(env: str) -> tuple[Dialogue, ...]:
    setting = Setting(env, episodes=4)
    held = evaluate(setting, make_agents(["scripted", "random"], setting)).dialogues
    return tuple(dialogue for each in held.values() for dialogue in each)


@pytest.mark.parametrize("env", env_ids())
def test_older_records_load_and_are_measured_as_before(env: str) -> None:
    older = []
    for dialogue in recorded(env):
        record = dialogue.to_json()
        del record["max_turns"], record["succeeded"]
        for turn in record["turns"]:
            del turn["strategy"], turn["admissible"], turn["relevance"]
        older.append(Dialogue.from_json(record))
    before, now = compute(older), compute(recorded(env))
    for name in ("engagement", "sop_breaches"):
        assert np.isnan(before.pop(name)).all()
        assert not np.isnan(now.pop(name)).any()
    for name, values in now.items():
        np.testing.assert_array_equal(before[name], values)


@pytest.mark.parametrize("env", env_ids())
@given(st.data())
@settings(max_examples=10)
def test_what_an_expert_plans_changes_no_other_metric(env: str, data: st.DataObject) -> None:
    plans, kept = [], 0
    for dialogue in recorded(env):
        turns: list[DialogueTurn] = []
        for turn in dialogue.turns:
            if turn.seat == "service" and (strategy := data.draw(st.sampled_from(("", "close", turn.strategy)))):
                turns.append(planned(strategy))
                kept += strategy == turn.strategy
            turns.append(turn)
        plans.append(replace(dialogue, turns=tuple(turns)))
    before, now = compute(recorded(env)), compute(plans)
    assert np.isnan(before.pop("consistency")).all()
    counts = [sum(turn.seat == "expert" for turn in dialogue.turns) for dialogue in plans]
    assert np.nansum(now.pop("consistency") * counts) == pytest.approx(kept)
    for name, values in before.items():
        np.testing.assert_array_equal(now[name], values)


def test_responses_to_recorded_customers_need_no_plan() -> None:
    database = MultiWOZ().database
    for dialogue in recorded("td_gym/MultiWOZ-v0"):
        turns: list[DialogueTurn] = []
        for turn in dialogue.turns:
            turns += [planned("inform"), turn] if turn.seat == "service" else [turn]
        assert responses(replace(dialogue, turns=tuple(turns)), database) == responses(dialogue, database)
