"""What every registered environment is tested with.  A new scenario gets the whole suite by being registered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import pytest

import td_gym
from td_gym.draws import uniform
from td_gym.registration import make_scenario
from td_gym.scenario import Episode, Scenario

Player = Callable[[Episode, int], str]
"""Chooses the service seat's next message, given the conversation and the turn."""


@pytest.fixture(params=td_gym.env_ids())
def env_id(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def scenario(env_id: str) -> Scenario:
    return make_scenario(env_id)


def players(scenario: Scenario) -> dict[str, Player]:
    """Return the scripted agents and two that make trouble, by name."""
    policies = {"expert": scenario.expert(), "oracle": scenario.oracle()}
    policies |= {name: scenario.floor(name) for name in scenario.floors}

    def policy(name: str) -> Player:
        return lambda episode, turn: policies[name].reply_batch([episode])[0]

    def caller(episode: Episode, turn: int) -> str:
        tools = sorted(scenario.tools)
        tool = tools[int(uniform(episode.seed, turn, "tool") * len(tools))]
        return f"<think>why not</think><action>{tool}</action><response>There you are, {turn}.</response>"

    def breaker(episode: Episode, turn: int) -> str:
        return "<action>" if turn == 2 else f"Well, {turn}."

    return {name: policy(name) for name in policies} | {"caller": caller, "breaker": breaker}


def dialogue(env: gymnasium.Env[Any, Any], player: Player, **reset: Any) -> Iterator[tuple[Any, ...]]:
    """Yield ``(observation, reward, terminated, truncated, info)`` from reset to the end."""
    observation, info = env.reset(**reset)
    yield observation, 0.0, False, False, info
    over, turn = False, 0
    while not over:
        result = env.step(player(env.unwrapped.episode, turn))  # type: ignore[attr-defined]
        yield result
        over, turn = result[2] or result[3], turn + 1
