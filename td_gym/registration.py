"""Environment ids, in Gymnasium's and PettingZoo's registries, and scenarios by name."""

from __future__ import annotations

import inspect
from importlib import import_module
from itertools import product
from typing import Any

import gymnasium
import pettingzoo

from td_gym.errors import unknown
from td_gym.scenario import Scenario
from td_gym.scenarios import SCENARIOS

NAMESPACE = "td_gym"
VERSION = 0


def env_id(name: str) -> str:
    """Return the id under which scenario ``name`` is registered."""
    return f"{NAMESPACE}/{name}-v{VERSION}"


def strategy_id(name: str) -> str:
    """Return the id of the Discrete view of scenario ``name``."""
    return env_id(f"{name}Strategy")


def scenario_names() -> tuple[str, ...]:
    """Return the names of all scenarios."""
    return tuple(SCENARIOS)


def env_ids() -> tuple[str, ...]:
    """Return all registered environment ids."""
    return tuple(map(env_id, SCENARIOS))


def strategy_ids() -> tuple[str, ...]:
    """Return the ids of the Discrete views, one a scenario."""
    return tuple(map(strategy_id, SCENARIOS))


def strategy_scenario(name: str) -> str:
    """Return the scenario of a Discrete view's id; ``TdGymError`` for any other id."""
    known = dict(zip(strategy_ids(), SCENARIOS, strict=True))
    short = name.rpartition(":")[2]
    if short not in known:
        raise unknown("environment with a Discrete view", short, known)
    return known[short]


_GYMNASIUM_VIEWS = (
    (env_id, "td_gym.envs.gym:DialogueEnv", "td_gym.envs.vector:DialogueVectorEnv"),
    (strategy_id, "td_gym.envs.strategy:StrategyEnv", None),
)
"""Of every scenario: how the view's id is made, its environment, and its vector environment if it has one."""


def register_envs() -> None:
    """Register every scenario in Gymnasium's and PettingZoo's registries; calling it again changes nothing."""
    for name, (id_of, entry_point, vector_entry_point) in product(SCENARIOS, _GYMNASIUM_VIEWS):
        if id_of(name) not in gymnasium.registry:
            gymnasium.register(
                id_of(name),
                entry_point=entry_point,
                vector_entry_point=vector_entry_point,
                kwargs={"scenario": name},
                # Both wrap every step; what they look for, these environments refuse themselves, by name.
                disable_env_checker=True,
                order_enforce=False,
            )
    for name in SCENARIOS:
        known = env_id(name)
        if known not in pettingzoo.aec_registry:
            pettingzoo.register("aec", known, "td_gym.envs.aec:env", kwargs={"scenario": name})
        if known not in pettingzoo.parallel_registry:
            pettingzoo.register("parallel", known, "td_gym.envs.aec:parallel_env", kwargs={"scenario": name})


def register_tau2() -> str:
    """Register the environment over a tau2-bench checkout and return its id; calling it again changes nothing.

    Raises ``TdGymError`` where tau2 cannot be used: Python too old, ``TAU2_DATA_DIR`` not set, the package missing, or
    without a name that is needed of it.
    """
    from td_gym.tau2.checkout import check_checkout

    check_checkout()
    name = env_id("Tau2")
    if name not in gymnasium.registry:
        gymnasium.register(
            name,
            entry_point="td_gym.tau2.env:Tau2Env",
            nondeterministic=True,  # its customers are language models, but for the one that is none
            disable_env_checker=True,
            order_enforce=False,
        )
    return name


def scenario_class(name: str) -> type[Scenario]:
    """Return the class of a scenario, given its name or its environment id.

    Raises ``TdGymError`` naming the known ones when there is none.
    """
    short = name.rpartition(":")[2]
    if "/" in short:
        known = {env_id(scenario): scenario for scenario in SCENARIOS}
        if short not in known:
            raise unknown("environment", short, known)
        short = known[short]
    if short not in SCENARIOS:
        raise unknown("environment", short, map(env_id, SCENARIOS))
    module, _, attribute = SCENARIOS[short].partition(":")
    found: type[Scenario] = getattr(import_module(module), attribute)
    return found


def scenario_options(name: str) -> tuple[str, ...]:
    """Return the options that ``make_scenario`` takes for this scenario."""
    return tuple(inspect.signature(scenario_class(name)).parameters)


def make_scenario(name: str, **options: Any) -> Scenario:
    """Build a scenario by name (``FoodDispute``) or environment id (``td_gym/FoodDispute-v0``).

    An option that is ``None`` counts as not given, even one that the scenario does not have.  Raises ``TdGymError``
    for an unknown name, an option the scenario does not have, or a bad value.
    """
    scenario, accepted = scenario_class(name), scenario_options(name)
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        if option not in accepted:
            raise unknown(f"option of {scenario.name}", option, accepted)
    return scenario(**given)
