"""The published FDS rows as scenarios, through ``gym.make``."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import pytest

from td_gym.errors import TdGymError
from td_gym.scenarios.food_dispute.briefing import read_facts
from td_gym.scenarios.food_dispute.scenario import FoodDispute


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


@pytest.mark.parametrize("row", [None, 3])
@pytest.mark.parametrize("seed", [-1, 2.5])
def test_rows_are_not_drawn_by_what_is_no_seed(shared_data: Path, seed: float, row: int | None) -> None:
    scenario = FoodDispute(scenarios=shared_data / "fds" / "test.parquet")
    with pytest.raises(TdGymError, match="A seed must be"):
        scenario.begin(seed, row=row)  # type: ignore[arg-type]


def test_snapshots_are_of_one_file(shared_data: Path) -> None:
    one, other = (FoodDispute(scenarios=shared_data / "fds" / f"{name}.parquet") for name in ("test", "train"))
    snapshot = one.begin(1, row=3).snapshot()
    assert one.restore(snapshot).row == 3
    with pytest.raises(TdGymError, match="another case"):
        other.restore(snapshot)


def test_a_row_is_picked_by_its_index_and_split_by_its_order(shared_data: Path) -> None:
    env = gym.make("td_gym/FoodDispute-v0", scenarios=shared_data / "fds" / "test.parquet", split="validation")
    _, info = env.reset(seed=1, options={"scenario": 3})
    assert info["scenario"] == 3
    scenario = env.unwrapped.scenario  # type: ignore[attr-defined]
    for seed in range(20):
        assert scenario.rows[env.reset(seed=seed)[1]["scenario"]].split == "validation"
    with pytest.raises(TdGymError, match="0 to 255"):
        env.reset(options={"scenario": 256})
