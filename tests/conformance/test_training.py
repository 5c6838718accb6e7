"""Every method trains on every scenario, from the weights that are shipped for it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from agents.methods import method_names, presets
from agents.trainer import TrainConfig, train
from td_gym.registration import env_id, scenario_names


@pytest.mark.parametrize("scenario", scenario_names())
@pytest.mark.parametrize("method", method_names())
def test_three_updates(tmp_path: Path, scenario: str, method: str) -> None:
    train(TrainConfig(method, env_id(scenario), tmp_path / "run", steps=3, customers=3, copies=4))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["update"] for line in lines] == [1, 2, 3]
    assert all(math.isfinite(value) for line in lines for value in line.values())
    assert any(value > 0 for line in lines for name, value in line.items() if name.endswith("grad_norm"))
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize("preset", presets("gopo"))
def test_every_way_to_plan(tmp_path: Path, preset: str) -> None:
    train(TrainConfig("gopo", env_id("Sales"), tmp_path / "run", steps=2, preset=preset, customers=2, copies=2))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(0 <= line["gopo/esndcg"] <= 1 for line in lines)
    saved = json.loads((tmp_path / "run" / "model" / "td_gym.json").read_text())
    assert ("planning" in saved) == (preset != "no_expert")
