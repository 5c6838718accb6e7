"""The third seat: an expert chooses the strategy of every service message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from td_gym.draws import choice
from td_gym.envs.aec import env as aec_env
from td_gym.errors import TdGymError
from td_gym.scenario import Scenario


def play(
    env: Any, scenario: Scenario, seed: int, choose: Callable[[dict[str, Any]], str], **made: Any
) -> list[tuple[str, Any]]:
    """Return who was asked and what it was told; the service seat says what the strategy in its briefing asks for."""
    env.reset(seed=seed)
    customer = scenario.customer(scenario.customers[0])
    told = []
    for agent in env.agent_iter():
        last = env.last()
        told.append((agent, last))
        episode = env.unwrapped.episode
        if last[2] or last[3]:
            env.step(None)
        elif agent == "expert":
            env.step(choose(last[0]))
        elif agent == "customer":
            env.step(*customer.reply_batch([episode]))
        else:
            strategy = last[4]["messages"][0]["content"].rpartition("strategy: ")[2]
            env.step(scenario.realise(episode.messages("service"), strategy, seed))
    return told


def admissible(scenario: Scenario, observation: dict[str, Any]) -> str:
    """Return a strategy by the mask."""
    names = [scenario.strategies[i] for i in np.flatnonzero(observation["action_mask"])]
    return choice(names, len(observation["text"]))


def test_the_expert_is_asked_before_every_service_message(env_id: str, scenario: Scenario) -> None:
    env = aec_env(env_id, expert=True)
    assert env.possible_agents == ["customer", "expert", "service"]
    for seed in range(8):
        asked = [agent for agent, last in play(env, scenario, seed, lambda o: admissible(scenario, o)) if not last[2]]
        for place, agent in enumerate(asked):
            assert (agent == "service") == (place > 0 and asked[place - 1] == "expert")


def test_it_shares_the_reward_and_keeps_to_the_procedure(env_id: str, scenario: Scenario) -> None:
    env = aec_env(env_id, expert=True)
    for seed in range(8):
        told = play(env, scenario, seed, lambda o: admissible(scenario, o))
        paid = {agent: sum(last[1] for name, last in told if name == agent) for agent in env.possible_agents}
        assert paid["expert"] == pytest.approx(paid["service"])
        assert all(last[4]["costs"]["sop_breaches"] == 0 for _, last in told)
        assert env.unwrapped.episode.outcome is not None


def test_what_is_not_admissible_is_replaced_and_counted(env_id: str, scenario: Scenario) -> None:
    env = aec_env(env_id, expert=True)
    told = play(env, scenario, 3, lambda _: "no such strategy")
    notes = [last[4]["messages"][0]["content"] for agent, last in told if agent == "service" and not last[2]]
    assert all(note.endswith(f"follows this strategy: {scenario.fallback_strategy}") for note in notes)
    counted = [last[4]["costs"]["sop_breaches"] for agent, last in told if agent == "expert"]
    assert counted == [0.0] + [1.0] * (len(counted) - 1)


def test_only_the_service_seat_hears_of_it(env_id: str, scenario: Scenario) -> None:
    env = aec_env(env_id, expert=True)
    for agent, (observation, _, terminated, truncated, info) in play(
        env, scenario, 1, lambda o: admissible(scenario, o)
    ):
        shown = observation["text"] + "".join(message["content"] for message in info["messages"])
        asked = agent == "service" and not (terminated or truncated)
        assert ("follows this strategy" in shown) == asked
        assert ("You choose the strategy" in shown) == (agent == "expert")
        assert observation in env.observation_space(agent)
        assert ("action_mask" in observation) == (agent == "expert")


def test_the_expert_reads_its_own_choices_and_both_seats(env_id: str, scenario: Scenario) -> None:
    env = aec_env(env_id, expert=True)
    told = play(env, scenario, 2, lambda o: admissible(scenario, o))
    messages = next(last for agent, last in reversed(told) if agent == "expert")[4]["messages"]
    assert messages[0]["role"] == "system"
    assert all(name in messages[0]["content"] for name in scenario.strategies)
    own = [message["content"] for message in messages if message["role"] == "assistant"]
    assert own
    assert set(own) <= set(scenario.strategies)
    said = [message["content"] for message in messages if message["role"] == "user"]
    assert len(said) == len(env.unwrapped.episode.transcript)
    assert all(line.startswith(("customer: ", "service: ")) for line in said)


def test_the_conversation_is_that_of_two_seats(env_id: str, scenario: Scenario) -> None:
    """Who plans changes nothing but who is asked: the same words are worth the same."""
    three, two = aec_env(env_id, expert=True), aec_env(env_id)
    told = play(three, scenario, 5, lambda o: admissible(scenario, o))
    two.reset(seed=5)
    for turn in three.unwrapped.episode.transcript:
        two.step(turn.text)
    last = [last for agent, last in told if agent == "service"][-1]
    assert two.infos["service"]["outcome"] == last[4]["outcome"]
    assert two.unwrapped.episode.messages("service") == three.unwrapped.episode.messages("service")


def test_actions_are_text_and_the_option_a_truth_value(env_id: str) -> None:
    env = aec_env(env_id, expert=True)
    env.reset(seed=0)
    env.step("It was cold.")
    with pytest.raises(TdGymError, match="must be text"):
        env.step(3)
    with pytest.raises(TdGymError, match="expert must be True or False"):
        aec_env(env_id, expert="yes")
