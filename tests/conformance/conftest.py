"""What every registered environment is tested with.  A new scenario gets the whole suite by being registered.

So does the one of the guide on scenarios of one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium
import pytest

import td_gym
from td_gym.draws import uniform
from td_gym.episode import Episode
from td_gym.registration import make_scenario
from td_gym.scenario import Scenario
from td_gym.seats import SeatPolicy
from tests import guides

OF_DESKS = {"transfer", "disclosure"}
"""Options of service desks, which another scenario need not have."""
ENV_IDS = (*td_gym.env_ids(), guides.OWN_ID)


@pytest.fixture(scope="package", autouse=True)
def own_scenario() -> Iterator[None]:
    """Register the scenario of the guide while the tests of this folder run."""
    with guides.own_scenario():
        yield


class Speaker:
    """A seat that says what a function of the conversation returns."""

    def __init__(self, say: Callable[[Episode], str]) -> None:
        self._say = say

    def reply_batch(self, episodes: Sequence[Episode]) -> list[str]:
        return [self._say(episode) for episode in episodes]


@pytest.fixture(params=ENV_IDS)
def env_id(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def scenario(env_id: str) -> Scenario:
    return make_scenario(env_id)


def players(scenario: Scenario) -> dict[str, SeatPolicy]:
    """Return the scripted agents and two that make trouble, by name."""

    def caller(episode: Episode) -> str:
        tools, turn = sorted(scenario.tools), episode.service_turns
        tool = tools[int(uniform(episode.seed, turn, "tool") * len(tools))]
        return f"<think>why not</think><action>{tool}</action><response>There you are, {turn}.</response>"

    def breaker(episode: Episode) -> str:
        return "<action>" if episode.service_turns == 2 else f"Well, {episode.service_turns}."

    return {
        "expert": scenario.expert(),
        "oracle": scenario.oracle(),
        **{name: scenario.floor(name) for name in scenario.floors},
        "caller": Speaker(caller),
        "breaker": Speaker(breaker),
    }


def dialogue(env: gymnasium.Env[Any, Any], player: SeatPolicy, **reset: Any) -> Iterator[tuple[Any, ...]]:
    """Yield ``(observation, reward, terminated, truncated, info)`` from reset to the end."""
    observation, info = env.reset(**reset)
    yield observation, 0.0, False, False, info
    over = False
    while not over:
        (text,) = player.reply_batch([env.unwrapped.episode])  # type: ignore[attr-defined]
        result = env.step(text)
        yield result
        over = result[2] or result[3]
