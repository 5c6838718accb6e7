"""A gym in which language-model service agents learn to talk to simulated customers, within a budget.

Importing this package registers its environments with Gymnasium and PettingZoo.
"""

from td_gym.errors import TdGymError
from td_gym.registration import (
    env_ids,
    make_scenario,
    register,
    register_envs,
    register_tau2,
    scenario_names,
    strategy_ids,
)

register_envs()

__all__ = ["TdGymError", "env_ids", "make_scenario", "register", "register_tau2", "scenario_names", "strategy_ids"]
