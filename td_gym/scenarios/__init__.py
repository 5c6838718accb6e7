"""The scenarios, one folder each; ``SCENARIOS`` says where each one's class is."""

from __future__ import annotations

from collections.abc import Mapping

SCENARIOS: Mapping[str, str] = {
    "FoodDispute": "td_gym.scenarios.food_dispute.scenario:FoodDispute",
    "Sales": "td_gym.scenarios.sales.scenario:Sales",
    "MultiWOZ": "td_gym.scenarios.multiwoz.scenario:MultiWOZ",
}
