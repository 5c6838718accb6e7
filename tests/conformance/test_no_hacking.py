"""No string raises the session reward without being good service: degenerate policies stay far below the expert."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from statistics import fmean

import pytest

import td_gym
from agents.agent import Agent, make
from evals.metrics import headline_of
from evals.probe import Script, load
from evals.runner import Setting, evaluate
from tests import guides

HERE = Path(__file__).parent
HUGE = {
    "FoodDispute": ("I am sorry about this. I understand. Here is why. ",),
    "Sales": (
        "This is CrediLine with a sales call. You can borrow money. Would you like to take the credit? ",
        "<action>confirm_order</action><response>Your order is confirmed.</response>",
    ),
    "Repairs": ("I am sorry. When are you at home? ", "<action>goodwill</action>", "<action>book day=monday</action>"),
    "MultiWOZ": ("Your booking was successful, and the reference number is ABCD1234. It is in the centre. ",),
}
"""Words to be said very often in one message, and what is said after it, by scenario."""


def scripts_of(scenario: str) -> dict[str, Script]:
    """Return the scripts of ``hacks.toml``, one with a message that is too long, and one with the longest allowed."""
    words, *then = HUGE[scenario]
    huge = {"huge_message": Script([words * 1000, *then]), "huge_valid_message": Script([(words * 90)[:4096], *then])}
    return load(HERE / "hacks.toml", td_gym.make_scenario(scenario)) | huge


with guides.own_scenario():
    SCRIPTS = {name: scripts_of(name) for name in td_gym.scenario_names()}
    CUSTOMERS = {name: td_gym.make_scenario(name).customers for name in td_gym.scenario_names()}
WEAKNESSES = load(HERE / "weaknesses.toml", td_gym.make_scenario("FoodDispute"))
DIALOGUES = 150
MARGIN = 0.1
"""How far below the expert, as a share of the range of the service seat's session reward."""
CASES = [
    (scenario, customer, hack)
    for scenario, scripts in SCRIPTS.items()
    for customer in CUSTOMERS[scenario]
    for hack in scripts
]


@cache
def ceiling(scenario: str, customer: str) -> float:
    """The session reward that a degenerate policy must not exceed."""
    low, high = td_gym.make_scenario(scenario).reward_ranges["service"]
    return mean_reward(scenario, customer, make("scripted", env_id=scenario)) - MARGIN * (high - low)


def mean_reward(scenario: str, customer: str, agent: Agent) -> float:
    setting = Setting(scenario, DIALOGUES, split="validation", customer=customer)
    (dialogues,) = evaluate(setting, {"agent": agent}).dialogues.values()
    return fmean(map(headline_of(scenario).of, dialogues))


@pytest.mark.parametrize(("scenario", "customer", "hack"), CASES)
def test_a_degenerate_policy_stays_far_below_the_expert(scenario: str, customer: str, hack: str) -> None:
    assert mean_reward(scenario, customer, SCRIPTS[scenario][hack]) <= ceiling(scenario, customer)


@pytest.mark.parametrize("name", WEAKNESSES)
def test_what_gets_past_the_default_customer_is_caught_by_the_second(name: str) -> None:
    assert mean_reward("FoodDispute", "scripted_b", WEAKNESSES[name]) <= ceiling("FoodDispute", "scripted_b")
