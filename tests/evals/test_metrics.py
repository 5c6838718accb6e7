import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.dialogue import Dialogue, as_jsonl, read_dialogues
from evals.judges.fluency import fluency
from evals.judges.repetition import distinct_2, repetition
from evals.metrics import (
    BY_SCENARIO,
    FOOD_DISPUTE,
    JUDGED,
    SALES,
    compute,
    headline_of,
    metrics_of,
    satisfaction,
    spending_of,
    summarise,
)
from td_gym.errors import TdGymError
from td_gym.registration import env_ids, make_scenario
from tests.evals.dialogues import call, dialogue, good, said


def failed(ended_by: str) -> Dialogue:
    return said("Hello.", outcome={"ended_by": ended_by, "satisfaction": 0})


def test_satisfaction_counts_failures_as_zero() -> None:
    values = compute([good(), failed("turn_limit"), failed("format_error")])
    assert list(values["satisfaction"]) == [4.0, 0.0, 0.0]
    assert list(values["finish_rate"]) == [1.0, 0.0, 0.0]


def test_every_metric_by_hand() -> None:
    names = {spec.name for spec in FOOD_DISPUTE}
    values = compute([good()])
    assert names == values.keys()
    assert {name: float(value[0]) for name, value in values.items() if not math.isnan(value[0])} == {
        "satisfaction": 4.0, "finish_rate": 1.0, "voucher_rate": 1.0, "voucher_spend": 26.0, "handoff_rate": 0.0,
        "logic": 12.0, "communication": 28.0, "fluency": 1.0, "grounding": 1.0, "inconsistent": 0.0, "turns": 3.0,
        "goal_reward": 0.8,
    }  # fmt: skip
    assert compute([failed("transferred")])["handoff_rate"][0] == 1.0


def test_voucher_rate_by_demand_and_averages_over_what_applies() -> None:
    talks = [good(persona={"demand": "feedback_focus"}), said("Hello.", persona={"demand": "refund_insistence"})]
    values = compute(talks)
    np.testing.assert_array_equal(values["voucher_rate/feedback_focus"], [1.0, np.nan])
    np.testing.assert_array_equal(values["voucher_rate/refund_insistence"], [np.nan, 0.0])
    np.testing.assert_array_equal(values["grounding"], [1.0, np.nan])
    summary = summarise(values)
    assert summary["voucher_rate"].n == 2
    assert (summary["grounding"].mean, summary["grounding"].n) == (1.0, 1)
    assert "grounding" not in summarise(compute(talks[1:]))


def test_values_stay_in_their_ranges() -> None:
    for spec in FOOD_DISPUTE:
        for talk in (good(), said(""), said("A" * 4000), failed("format_error"), dialogue(("service", "\x00[", "9"))):
            value = spec.of(talk)
            assert math.isnan(value) or spec.low <= value <= spec.high


def test_values_of_sales_stay_in_their_ranges() -> None:
    for spec in SALES:
        for talk in (sold("The fee is $40."), sold(""), sold("A" * 4000), sold("\x00[", "No fee. " * 300)):
            value = spec.of(talk)
            assert math.isnan(value) or spec.low <= value <= spec.high


def test_impossible_input_is_refused() -> None:
    bad = [
        lambda: compute([]),
        lambda: compute([good(), good(env="td_gym/Other-v0")]),
        lambda: compute([good(env="td_gym/Other-v0")]),
        lambda: compute([good(persona={"demand": "feedback_focus"}), good(persona={"patience": 5})]),
        lambda: satisfaction(good(outcome={"satisfaction": 7})),
        lambda: satisfaction(good(outcome={"satisfaction": float("nan")})),
        lambda: compute([good(costs={"voucher_amount": -1})]),
        lambda: compute([Dialogue.from_json(good().to_json() | {"outcome": {}})]),
    ]
    for attempt in bad:
        with pytest.raises(TdGymError):
            attempt()


def sold(*sentences: str, **outcome: object) -> Dialogue:
    return call(*(("service", sentence) for sentence in sentences), outcome=outcome)


def test_every_metric_of_sales_by_hand() -> None:
    lost = sold("The fee is $40.", converted=False, reached=False, discount=0.0, identity_detected=True)
    values = compute([sold("We offer you a credit.", "There is no fee, and the limit is $8,000."), lost])
    assert {name: [round(float(v), 3) for v in value if not math.isnan(v)] for name, value in values.items()} == {
        "conversion_rate": [1.0, 0.0], "reached_conversion_rate": [1.0], "repetition": [0.0],
        "identity_detection_rate": [0.0, 1.0], "compliance_violations": [1.0, 0.0], "profile_accuracy": [0.5, 1.0],
        "discount_spend": [0.5, 0.0], "distinct_2": [1.0, 1.0], "fluency": [1.0, 1.0], "turns": [2.0, 1.0],
        "engagement": [], "goal_reward": [1.0, 0.0], "sop_breaches": [], "consistency": [],
        **{spec.name: [] for spec in JUDGED},
    }  # fmt: skip
    assert set(values) == {spec.name for spec in SALES}
    with pytest.raises(TdGymError, match="converted"):
        compute([sold("Hello.", converted="yes")])


def test_repetition_by_hand() -> None:
    # Of "we have a", "have a credit", "a credit for", "credit for you" the last two were said before.
    assert repetition(sold("This is a credit for you.", "We have a credit for you.")) == pytest.approx(2 / 4)
    assert repetition(sold("This is a credit.", "this IS a credit!")) == 1.0
    assert repetition(sold("This is a credit.", "Yes.")) == 0.0
    assert repetition(sold("Take it.", "Take it. Take it. Yes.")) == pytest.approx(2 / 3)
    assert math.isnan(repetition(sold("This is a credit.")))
    # "yes no", "no yes", "yes no": two different bigrams of three.
    assert distinct_2(sold("Yes no yes no.")) == pytest.approx(2 / 3)
    assert math.isnan(distinct_2(sold("Yes.")))


def test_a_sentence_that_never_ends_repeats_nothing_but_is_neither_distinct_nor_fluent() -> None:
    endless = sold("We have a credit " * 20)
    assert math.isnan(repetition(endless))
    assert distinct_2(endless) < 0.1
    assert fluency(endless) == 0.0


REWARD = "session reward"
JOINT = "joint reward of agents.session_reward"
SIGNALS = {
    "FoodDispute": {
        "satisfaction": REWARD, "finish_rate": "format", "voucher_rate": "voucher", "voucher_spend": "voucher_amount",
        "handoff_rate": "transfer", "logic": "", "communication": "", "fluency": "", "grounding": "",
        "inconsistent": "inconsistent", "turns": "", "engagement": JOINT, "goal_reward": REWARD,
        "sop_breaches": "stage_fitness", "consistency": JOINT,
    },
    "Sales": {
        "conversion_rate": REWARD, "reached_conversion_rate": REWARD, "repetition": "repetition",
        "identity_detection_rate": "bot_style", "compliance_violations": "compliance",
        "profile_accuracy": "profile_accuracy", "discount_spend": "discount", "distinct_2": "", "fluency": "",
        "turns": "", "engagement": JOINT, "goal_reward": REWARD, "sop_breaches": "progress", "consistency": JOINT,
    },
    "MultiWOZ": {
        "success_rate": REWARD, "inform_rate": REWARD, "book_rate": REWARD, "complete_rate": REWARD,
        "db_queries": "db_queries", "sourced": "grounding", "repetition": "repetition", "distinct_2": "",
        "fluency": "", "turns": "", "engagement": JOINT, "goal_reward": REWARD, "sop_breaches": "progress",
        "consistency": JOINT,
    },
}  # fmt: skip
"""What of a scenario's training signals measures the same as each metric, empty for nothing.

Fluency has a grammar of its own, so that a policy that learns the quirks of the trained one is found out.
"""


@pytest.mark.parametrize("name", BY_SCENARIO)
def test_metrics_that_training_reads_too_are_marked(name: str) -> None:
    scenario, same = make_scenario(name), {**SIGNALS[name], **{spec.name: "" for spec in JUDGED}}
    trained = {*scenario.terms, *scenario.costs}
    assert set(same.values()) <= trained | {REWARD, JOINT, ""}
    assert all(same[metric] == metric for metric in same if metric in trained)
    assert {spec.name: spec.trained_on for spec in metrics_of(name)} == {
        metric: bool(signal) for metric, signal in same.items()
    }


@pytest.mark.parametrize("env", env_ids())
def test_the_first_metric_is_the_session_reward_and_one_is_the_budgeted_cost(env: str) -> None:
    scenario = make_scenario(env)
    assert (headline_of(env).low, headline_of(env).high) == scenario.reward_ranges["service"]
    assert [spec.budget for spec in metrics_of(env) if spec.budget] == [scenario.budgeted_cost]
    assert spending_of(env).budget == scenario.budgeted_cost


def test_metrics_of_strategy_views() -> None:
    assert metrics_of("td_gym/FoodDisputeStrategy-v0") == metrics_of("td_gym/FoodDispute-v0")


def test_dialogues_survive_the_file(tmp_path: Path) -> None:
    talks = [good(persona={"demand": "feedback_focus"}), said("Grüße ‹\u2028›")]
    (tmp_path / "dialogues.jsonl").write_text(as_jsonl(talks), encoding="utf-8")
    assert read_dialogues(tmp_path / "dialogues.jsonl") == talks


@pytest.mark.parametrize(
    "line",
    ["{", "[1]", "{}", '{"env": 3}', "[" * 100_000, "9" * 5_000],
    ids=["cut off", "a list", "empty", "of another kind", "nested deeply", "a number too long"],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "dialogues.jsonl"
    path.write_text(as_jsonl([good()]) + line + "\n", encoding="utf-8")
    with pytest.raises(TdGymError, match=r"dialogues\.jsonl'?, line 2"):
        read_dialogues(path)


MARKED = {"adaptation": 50, "stage_fitness": 100, "quality": 0, "rules": 100, "reason": "Kind."}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, []) for name in ("env", "agent", "customer", "split", "briefing")),
        *((name, wrong) for name in ("seed", "index", "row", "max_turns") for wrong in ("1", 1.5, True)),
        ("succeeded", 1),
        ("turns", []),
        ("turns", [3]),
        *((name, []) for name in ("costs", "outcome", "terms", "persona", "verdict")),
        ("costs", {"voucher": 10**400}),
        ("costs", {"voucher": "high"}),
        ("costs", {"voucher": None}),
        ("terms", {"sourced": math.inf}),
        ("terms", {"sourced": True}),
        ("outcome", {"satisfaction": 10**400}),
        ("outcome", {"satisfaction": math.nan}),
        pytest.param("session_reward", 10**400, id="session_reward-too large"),
        ("session_reward", "much"),
        ("verdict", {"a": 1}),
        ("verdict", MARKED | {"rules": 99}),
        ("verdict", MARKED | {"rules": False}),
        ("verdict", MARKED | {"rules": [100]}),
        ("verdict", {name: mark for name, mark in MARKED.items() if name != "rules"}),
    ],
)
def test_a_wrong_field_of_a_dialogue_is_named(name: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "dialogues.jsonl"
    path.write_text(json.dumps(good().to_json() | {name: value}), encoding="utf-8")
    with pytest.raises(TdGymError, match=f"dialogues.jsonl', line 1: Field '{name}' of a dialogue"):
        read_dialogues(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, wrong) for name in ("seat", "text", "shown", "think", "action") for wrong in (5, None)),
        *((name, wrong) for name in ("tool_message", "strategy") for wrong in ([], None)),
        ("arguments", None),
        ("arguments", {"amount": 26.0}),
        ("admissible", "yes"),
        ("admissible", 1),
        ("relevance", 1.5),
        ("relevance", True),
    ],
)
def test_a_wrong_field_of_a_turn_is_named(name: str, value: Any) -> None:
    record = good().to_json()
    record["turns"][1][name] = value
    with pytest.raises(TdGymError, match=f"Field '{name}' of a turn .*; record it again"):
        Dialogue.from_json(record)


@pytest.mark.parametrize("limit", [0, -1, 10**9, 10**30])
def test_a_limit_on_turns_is_one_that_can_be_reached(limit: int) -> None:
    with pytest.raises(TdGymError, match="Field 'max_turns' of a dialogue must be between 1 and 1000000"):
        Dialogue.from_json(good().to_json() | {"max_turns": limit})


def test_fields_that_may_be_absent_or_empty_are_right() -> None:
    record = good().to_json() | {"row": None, "max_turns": None, "session_reward": None, "verdict": MARKED}
    record["turns"][1].update(admissible=None, relevance=None)
    assert Dialogue.from_json(record).verdict == MARKED
    record |= {"row": 3, "max_turns": 20, "session_reward": 4, "costs": {"voucher": 1}, "verdict": {}}
    record["turns"][1].update(admissible=True, relevance=3)
    assert Dialogue.from_json(record).to_json()["turns"][1]["relevance"] == 3


def test_a_missing_or_empty_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TdGymError, match="Cannot read"):
        read_dialogues(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(TdGymError, match="holds no dialogue"):
        read_dialogues(tmp_path / "empty.jsonl")
