"""Conversations do not depend on the order in which Python happens to go through a set."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import td_gym
from td_gym.registration import make_scenario
from td_gym.seats import play_on
from tests.conformance.conftest import players


def snapshots(env_id: str) -> str:
    """Return, as JSON, dialogues of each customer with two service agents."""
    scenario = make_scenario(env_id)
    seats = players(scenario)
    told = []
    for name in scenario.customers:
        for agent in ("expert", "caller"):
            for seed in range(8):
                episode = scenario.begin(seed)
                play_on(episode, {"customer": scenario.customer(name), "service": seats[agent]})
                told.append([episode.snapshot(), episode.outcome])
    return json.dumps(told)


@pytest.mark.parametrize("env_id", td_gym.env_ids())
def test_snapshots_are_the_same_in_every_process(env_id: str) -> None:
    code = f"from {__name__} import snapshots; print(snapshots({env_id!r}))"
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in "01"
    ]
    assert said[0] == said[1]
