"""GOPO on batches made by hand: who learns what, from which rewards."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from agents.methods import build_method
from agents.plans import Planning
from agents.session_reward import esndcg
from agents.trajectories import Trajectories
from td_gym.errors import TdGymError
from tests.agents.micro import make_trajectories


def planned(breaches: tuple[int, ...] = (0, 0, 0, 0), **changes: Any) -> Trajectories:
    """Two customers, two dialogues each, two messages each: a token of the expert, then one of the service agent."""
    settings: dict[str, Any] = {
        "tokens": [[9, 1, 2, 3, 4, 5]] * 4,
        "turn": [[-1, 0, 0, -1, 1, 1]] * 4,
        "rewards": [4.0, 2.0, 4.0, 4.0],
        "groups": [0, 0, 1, 1],
        "turn_rewards": [[[1.0], [0.5]], [[1.0], [0.5]], [[1.0], [1.0]], [[0.0], [0.0]]],
        "relevance": [[2, 3], [1, 0], [3, 3], [3, 3]],
        "followed": [[1, 1], [1, 0], [1, 1], [1, 0]],
    }
    batch = make_trajectories(**{**settings, **changes})
    seat = np.array([[-1, 1, 0, -1, 1, 0]] * 4)
    costs = np.array([[each] for each in breaches], dtype=np.float32)
    return dataclasses.replace(batch, seats=("service", "expert"), seat=seat, costs=costs, cost_names=("sop_breaches",))


def test_the_two_seats_take_turns() -> None:
    method = build_method("gopo")
    seats = [phase.seat for update in range(1, 5) for phase in method.phases(update, 4)]
    assert seats == ["expert", "service", "expert", "service"]
    assert [phase.seat for phase in build_method("gopo", "random_expert").phases(1, 4)] == ["service"]
    assert [phase.seat for phase in build_method("gopo", "no_expert").phases(1, 4)] == [""]


def test_the_joint_reward_by_hand() -> None:
    """Dialogue 0: grades 2, 3, then 3 for the two turns that its success saved; dialogue 1: 1, 0, then 0."""
    found = build_method("gopo").advantages(planned().of_seat("expert"))
    first, second = esndcg([2, 3, 3, 3]), esndcg([1, 0, 0, 0])
    worth = [0.4 * first + 0.4 * 0.8 + 0.2, 0.4 * second + 0.4 * 0.4 + 0.2 * 0.5, 0.4 + 0.32 + 0.2, 0.4 + 0.32 + 0.1]
    assert found.metrics["gopo/esndcg"] == pytest.approx((first + second + 2) / 4)
    assert found.metrics["gopo/consistency"] == pytest.approx(0.75)
    assert found.metrics["gopo/reward"] == pytest.approx(sum(worth) / 4)
    assert found.pairs is not None
    assert list(zip(found.pairs.chosen.tolist(), found.pairs.rejected.tolist(), strict=True)) == [(0, 1), (2, 3)]


def test_without_an_expert_nothing_is_said_of_consistency() -> None:
    """Dialogues as in the test above: nothing chosen counts as nothing departed from."""
    found = build_method("gopo", "no_expert").advantages(planned(followed=[[-1, -1]] * 4).of_seat("service"))
    first, second = esndcg([2, 3, 3, 3]), esndcg([1, 0, 0, 0])
    worth = [0.4 * first + 0.4 * 0.8 + 0.2, 0.4 * second + 0.4 * 0.4 + 0.2, 0.4 + 0.32 + 0.2, 0.4 + 0.32 + 0.2]
    assert found.metrics["gopo/reward"] == pytest.approx(sum(worth) / 4)
    assert "gopo/consistency" not in found.metrics


def test_a_gap_leaves_out_what_is_nearly_equal() -> None:
    found = build_method("gopo", "", {}, {"gap": 0.2}).advantages(planned().of_seat("expert"))
    assert found.pairs is not None
    assert found.pairs.chosen.tolist() == [0]


def test_a_breach_makes_a_dialogue_worthless() -> None:
    found = build_method("gopo").advantages(planned(breaches=(1, 0, 0, 0)).of_seat("expert"))
    assert found.pairs is not None
    assert (1, 0) in zip(found.pairs.chosen.tolist(), found.pairs.rejected.tolist(), strict=True)


def test_the_service_agent_learns_from_consistency_and_turn_scores() -> None:
    """Means over messages: 1 + .75, .5 + .75; 1 + 1, .5 + 0.  In a pair the z-scores are 1 and -1."""
    batch = planned().of_seat("service")
    found = build_method("gopo").advantages(batch)
    assert found.pairs is None
    expected = torch.tensor([1.0, -1.0, 1.0, -1.0])[:, None] * torch.from_numpy(batch.agent_mask)
    torch.testing.assert_close(found.tokens, expected)
    same = build_method("gopo").advantages(planned(followed=[[1, 1], [1, 1], [1, 1], [1, 1]]).of_seat("service"))
    assert same.tokens[:2].abs().sum() == 0.0


def test_longer_dialogues_earn_the_service_agent_nothing_by_themselves() -> None:
    turn = [[-1, 0, 0, -1, 1, 1], [-1, 0, 0, -1, -1, -1]] * 2
    batch = planned(
        turn=turn, turn_rewards=[[[1.0], [1.0]]] * 4, followed=[[1, 1], [1]] * 2, relevance=[[3, 3], [3]] * 2
    )
    batch.seat[batch.turn < 0] = -1
    found = build_method("gopo").advantages(batch.of_seat("service"))
    assert found.tokens.abs().sum() == 0.0


def test_the_grpo_arm_and_no_expert_use_the_joint_reward() -> None:
    batch = planned()
    expert = build_method("gopo", "grpo").advantages(batch.of_seat("expert"))
    expected = torch.tensor([1.0, -1.0, 1.0, -1.0])[:, None]
    torch.testing.assert_close(expert.tokens, expected * torch.from_numpy(batch.of_seat("expert").agent_mask))
    alone = build_method("gopo", "no_expert").advantages(planned(followed=[[-1, -1]] * 4).of_seat("service"))
    assert alone.tokens[0, 2] == pytest.approx(1.0)
    assert alone.tokens[2:].abs().sum() == 0.0, "without a plan these two dialogues are equal"


def test_the_outcome_alone() -> None:
    found = build_method("gopo", "outcome_only").advantages(planned().of_seat("expert"))
    assert found.pairs is not None
    assert found.pairs.chosen.tolist() == [0]


def test_how_each_preset_plans() -> None:
    plans = {name: build_method("gopo", name).planning for name in ("default", "no_mask", "random_expert", "no_expert")}
    assert plans["no_expert"] is None
    assert plans["default"] == Planning("policy", True)
    assert plans["no_mask"] == Planning("policy", False)
    assert plans["random_expert"] == Planning("random", True)


@pytest.mark.parametrize("option", ["expert", "expert_update", "reward"])
def test_unknown_choices_are_refused(option: str) -> None:
    with pytest.raises(TdGymError, match=f"Unknown {option} 'x'"):
        build_method("gopo", "", {}, {option: "x"})


def test_recordings_are_no_ground_to_learn_on() -> None:
    with pytest.raises(ValueError, match="held"):
        build_method("gopo").advantages(dataclasses.replace(planned(), conduct=None))


def test_a_success_with_a_breach_saves_no_turns() -> None:
    found = build_method("gopo").advantages(planned(breaches=(1, 0, 0, 0)).of_seat("expert"))
    assert found.metrics["gopo/esndcg"] == pytest.approx((esndcg([2, 3, 0, 0]) + esndcg([1, 0, 0, 0]) + 2) / 4)
