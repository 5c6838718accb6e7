"""No string raises the session reward without being good service: degenerate policies stay far below the expert."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import td_gym
from td_gym.scenario import Episode

HACKS = tomllib.loads(Path(__file__).with_name("hacks.toml").read_text(encoding="utf-8"))
DIALOGUES = 150
MARGIN = 0.1
"""How far below the expert, as a share of the range of the service seat's session reward."""
CASES = [
    (scenario, customer, hack)
    for scenario, hacks in HACKS.items()
    for customer in td_gym.make_scenario(scenario).customers
    for hack in [*hacks, "huge_message", "huge_valid_message"]
]


def speak(hack: str, scenario: str, turn: int) -> str:
    if hack == "huge_message":
        return "I am sorry. " * 4200
    if hack == "huge_valid_message":
        return ("I am sorry about this. I understand. Here is why. " * 90)[:4096]
    messages = HACKS[scenario][hack]
    return messages[turn % len(messages)].replace("{turn}", str(turn))


def mean_reward(scenario_name: str, customer_name: str, service: Callable[[Episode], str]) -> float:
    scenario = td_gym.make_scenario(scenario_name)
    customer = scenario.customer(customer_name)
    total = 0.0
    for seed in range(DIALOGUES):
        episode = scenario.begin(seed, "validation")
        while episode.outcome is None:
            if episode.next_seat == "customer":
                result = episode.submit("customer", customer.reply_batch([episode])[0])
            else:
                result = episode.submit("service", service(episode))
            total += result.rewards.get("service", 0.0)
    return total / DIALOGUES


@cache
def expert_reward(scenario: str, customer: str) -> float:
    expert = td_gym.make_scenario(scenario).expert()
    return mean_reward(scenario, customer, lambda episode: expert.reply_batch([episode])[0])


@pytest.mark.parametrize(("scenario", "customer", "hack"), CASES)
def test_a_degenerate_policy_stays_far_below_the_expert(scenario: str, customer: str, hack: str) -> None:
    low, high = td_gym.make_scenario(scenario).reward_ranges["service"]
    reward = mean_reward(scenario, customer, lambda episode: speak(hack, scenario, episode.service_turns))
    assert reward <= expert_reward(scenario, customer) - MARGIN * (high - low), f"{hack}: {reward:.2f}"
