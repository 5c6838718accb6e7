"""The published FDS rows as scenarios, through ``gym.make``."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import pytest

from td_gym.errors import TdGymError
from td_gym.scenarios.food_dispute.briefing import read_facts


@pytest.mark.parametrize(("name", "rows", "step"), [("test", 256, 1), ("train", 7680, 40)])
def test_every_row_becomes_a_conversation(shared_data: Path, name: str, rows: int, step: int) -> None:
    env = gym.make("td_gym/FoodDispute-v0", scenarios=shared_data / "fds" / f"{name}.parquet")
    scenario = env.unwrapped.scenario  # type: ignore[attr-defined]
    assert len(scenario.rows) == rows
    for row in range(0, rows, step):
        episode = scenario.begin(0, "train", row)
        facts = read_facts(episode.briefing("service"))
        assert facts is not None
        assert [item[0] for item in facts.items] == [item.name for item in episode.case.order.items]


def test_a_row_is_picked_by_its_index_and_split_by_its_order(shared_data: Path) -> None:
    env = gym.make("td_gym/FoodDispute-v0", scenarios=shared_data / "fds" / "test.parquet", split="validation")
    _, info = env.reset(seed=1, options={"scenario": 3})
    assert info["scenario"] == 3
    scenario = env.unwrapped.scenario  # type: ignore[attr-defined]
    for seed in range(20):
        assert scenario.rows[env.reset(seed=seed)[1]["scenario"]].split == "validation"
    with pytest.raises(TdGymError, match="0 to 255"):
        env.reset(options={"scenario": 256})
