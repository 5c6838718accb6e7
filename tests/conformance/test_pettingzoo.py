"""Every id keeps PettingZoo's rules, and is deterministic for longer than one step."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pettingzoo
import pytest
from gymnasium.utils.env_checker import data_equivalence
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test

from td_gym.envs.aec import env as aec_env
from td_gym.errors import TdGymError
from td_gym.scenario import Scenario
from tests.conformance.conftest import players

# Recommendations of ``api_test`` for boards and joysticks; the names of seats and the spaces are contracts here.
RECOMMENDATIONS = (
    "Observation is not a NumPy array",
    "Observation space for each agent probably should be",
    "Action space for each agent probably should be",
    "Agents are recommended to have numbered string names",
    "We recommend agents to be named in the format",
    "Agents have different observation space sizes",  # the expert's has a mask
)


@contextmanager
def only_recommendations() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for message in RECOMMENDATIONS:
            warnings.filterwarnings("ignore", message)
        yield


@pytest.mark.parametrize("expert", [False, True], ids=["two seats", "three seats"])
def test_api(env_id: str, expert: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with only_recommendations():
        api_test(pettingzoo.make("aec", env_id, expert=expert), num_cycles=40)
        parallel_api_test(pettingzoo.make("parallel", env_id, expert=expert), num_cycles=40)


@pytest.mark.parametrize("expert", [False, True], ids=["two seats", "three seats"])
def test_seeds(env_id: str, expert: bool) -> None:
    with only_recommendations():
        seed_test(lambda: pettingzoo.make("aec", env_id, expert=expert), num_cycles=10)
        parallel_seed_test(lambda: pettingzoo.make("parallel", env_id, expert=expert), num_cycles=10)


def replay(env: Any, scenario: Scenario, name: str, seed: int | None) -> list[Any]:
    """Return all that both seats are told in one dialogue of ``name`` with the simulated customer."""
    env.reset(seed=seed)
    seats = {"customer": scenario.customer(scenario.customers[0]), "service": players(scenario)[name]}
    told = []
    for seat in env.agent_iter():
        last = env.last()
        told.append((seat, last, dict(env.rewards)))
        if last[2] or last[3]:
            env.step(None)
        else:
            env.step(*seats[seat].reply_batch([env.unwrapped.episode]))
    return told


def test_two_copies_side_by_side(env_id: str, scenario: Scenario) -> None:
    first, second = aec_env(env_id), aec_env(env_id)
    for number, name in enumerate(list(players(scenario)) * 4):
        seed = number if number % 3 == 0 else None
        assert data_equivalence(replay(first, scenario, name, seed), replay(second, scenario, name, seed), exact=True)


def test_rewards_and_costs_are_those_of_the_gym_view(env_id: str, scenario: Scenario) -> None:
    import gymnasium

    from tests.conformance.conftest import dialogue

    env, single = aec_env(env_id), gymnasium.make(env_id)
    for seed, (name, player) in enumerate(players(scenario).items()):
        own = [last for seat, last, _ in replay(env, scenario, name, seed) if seat == "service"]
        for (observation, reward, terminated, truncated, info), other in zip(
            own, dialogue(single, player, seed=seed), strict=True
        ):
            assert data_equivalence(observation, other[0], exact=True)
            assert (reward, terminated, truncated) == other[1:4]
            assert info == other[4]


def test_parallel_steps_add_up(env_id: str, scenario: Scenario) -> None:
    env = pettingzoo.make("parallel", env_id)
    seats = {"customer": scenario.customer(scenario.customers[0]), "service": scenario.expert()}
    observations, infos = env.reset(seed=3)
    total = dict.fromkeys(scenario.costs, 0.0)
    paid = dict.fromkeys(env.agents, 0.0)
    speaker = "customer"
    while env.agents:
        (text,) = seats[speaker].reply_batch([env.unwrapped.episode])
        observations, rewards, _, _, infos = env.step({**dict.fromkeys(env.agents, "ignored"), speaker: text})
        for name, amount in infos["service"]["costs"].items():
            total[name] += amount
        for seat, amount in rewards.items():
            paid[seat] += amount
        speaker = infos["service"].get("active_agent", "")
    by_turns = [last for seat, last, _ in replay(aec_env(env_id), scenario, "expert", 3) if seat == "service"]
    assert total == pytest.approx({name: sum(last[4]["costs"][name] for last in by_turns) for name in total})
    assert paid["service"] == pytest.approx(sum(last[1] for last in by_turns))
    assert np.isfinite(observations["customer"]["observation"]).all()


def test_the_customer_may_end_it(env_id: str) -> None:
    env = aec_env(env_id)
    env.reset(seed=0)
    assert env.agents == ["customer", "service"]
    for text in ("Cold soup.", "Oh dear.", "Good. [end:4]"):
        env.step(text)
    assert env.terminations == {"customer": True, "service": True}
    assert env.infos["customer"]["outcome"] == env.infos["service"]["outcome"]
    assert env.infos["service"]["outcome"]["ended_by"] == "resolved"
    assert env.infos["service"]["messages"][-1]["content"] == "Good."
    env.reset(seed=0)
    with pytest.raises(TdGymError, match="must be text"):
        env.step(5)


def test_seeds_mean_here_what_they_mean_in_the_other_views(env_id: str) -> None:
    env, untouched = aec_env(env_id), aec_env(env_id)
    env.reset(seed=np.int64(5))
    untouched.reset(seed=5)
    assert env.infos == untouched.infos
    for seed in (-1, 2.9, "12", "x", True):
        with pytest.raises(TdGymError, match="A seed must be a non-negative whole number"):
            env.reset(seed=seed)
    env.reset()
    untouched.reset()
    assert env.infos == untouched.infos
