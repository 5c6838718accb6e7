"""Environment ids, in Gymnasium's and PettingZoo's registries, and scenarios by name."""

from __future__ import annotations

import inspect
from collections import ChainMap
from importlib import import_module
from itertools import product
from types import ModuleType
from typing import Any

import gymnasium
import pettingzoo

from td_gym.errors import TdGymError, unknown
from td_gym.scenario import Scenario
from td_gym.scenarios import SCENARIOS

NAMESPACE = "td_gym"
VERSION = 0
_scenarios: dict[str, str | type[Scenario]] = dict(SCENARIOS)
"""The classes of the registered scenarios by name, those of this package as ``module:class``."""


def env_id(name: str) -> str:
    """Return the id under which scenario ``name`` is registered."""
    return f"{NAMESPACE}/{name}-v{VERSION}"


def strategy_id(name: str) -> str:
    """Return the id of the Discrete view of scenario ``name``."""
    return env_id(f"{name}Strategy")


TAU2 = env_id("Tau2")
"""Id of the environment over a tau2-bench checkout."""


def scenario_names() -> tuple[str, ...]:
    """Return the names of all scenarios."""
    return tuple(_scenarios)


def env_ids() -> tuple[str, ...]:
    """Return all registered environment ids."""
    return tuple(map(env_id, _scenarios))


def strategy_ids() -> tuple[str, ...]:
    """Return the ids of the Discrete views, one a scenario."""
    return tuple(map(strategy_id, _scenarios))


def strategy_scenario(name: str) -> str:
    """Return the scenario of a Discrete view's id; ``TdGymError`` for any other id."""
    short = _load(name)
    known = dict(zip(strategy_ids(), _scenarios, strict=True))
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
    for name, (id_of, entry_point, vector_entry_point) in product(_scenarios, _GYMNASIUM_VIEWS):
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
    for name in _scenarios:
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
    if TAU2 not in gymnasium.registry:
        gymnasium.register(
            TAU2,
            entry_point="td_gym.tau2.env:Tau2Env",
            nondeterministic=True,  # its customers are language models, but for the one that is none
            disable_env_checker=True,
            order_enforce=False,
        )
    return TAU2


def register(scenario: type[Scenario]) -> None:
    """Register a scenario of one's own, whose environment id is then ``td_gym/NAME-v0``, in all views.

    A class may be registered again, as a notebook does; the latest counts.  Raises ``TdGymError`` naming what the class
    lacks, and for a name that is no plain word or another scenario's.
    """
    if not isinstance(scenario, type):
        raise TdGymError(f"Register the class {type(scenario).__name__} itself, not an instance of it.")
    if lacking := _lacking(scenario):
        (base, *_) = scenario.__bases__
        raise TdGymError(
            f"{scenario.__name__} lacks {', '.join(lacking)}; {base.__name__} in {base.__module__} says what each is."
        )
    if scenario.fallback_strategy not in scenario.strategies:
        raise unknown(f"fallback_strategy of {scenario.__name__}", scenario.fallback_strategy, scenario.strategies)
    if "format" not in scenario.costs:
        raise TdGymError(f"{scenario.__name__} has no cost 'format', which the engine counts; give it FORMAT_COST.")
    if not scenario.name.isidentifier():
        raise TdGymError(f"A scenario's name is a word of letters and digits, such as Repairs, not {scenario.name!r}.")
    if (place := _place(_scenarios.get(scenario.name, scenario))) != _place(scenario):
        raise TdGymError(
            f"There is another scenario {scenario.name!r} already, {place}; give {_place(scenario)} another name."
        )
    others = [name for name in _scenarios if name != scenario.name]
    taken = {TAU2, *map(env_id, others), *map(strategy_id, others)}
    if clash := taken & {env_id(scenario.name), strategy_id(scenario.name)}:
        raise TdGymError(f"{min(clash)!r} is another environment already; give {scenario.__name__} another name.")
    _scenarios[scenario.name] = scenario
    register_envs()


def _lacking(scenario: type[Scenario]) -> list[str]:
    """Return what a scenario's class has to state and does not, by name."""
    declared = ChainMap(*map(inspect.get_annotations, scenario.__mro__))
    stated = [name for name, kind in declared.items() if "ClassVar" in str(kind)]
    return [*(name for name in stated if not hasattr(scenario, name)), *sorted(scenario.__abstractmethods__)]


def _place(scenario: str | type[Scenario]) -> str:
    return scenario if isinstance(scenario, str) else f"{scenario.__module__}:{scenario.__qualname__}"


def import_named(module: str, what: str) -> ModuleType:
    """Import a user's ``module``; ``TdGymError`` that names ``what`` it is needed for, whatever the module raises."""
    try:
        return import_module(module)
    except TdGymError:
        raise
    except Exception as error:
        raise TdGymError(f"Cannot import {what}: {type(error).__name__}: {error}.") from error


def without_module(name: str) -> str:
    """Return the name or id of an environment without the module that registers it, ``module:id``."""
    return name.rpartition(":")[2]


def _load(name: str) -> str:
    """Import the module in ``module:id``, as ``gymnasium.make`` does, and return the id."""
    if not isinstance(name, str):
        raise TdGymError(f"An environment is named by its id, such as {env_id('FoodDispute')}, not {name!r}.")
    module = name.rpartition(":")[0]
    if module:
        import_named(module, f"environment {name!r}")
    return without_module(name)


def scenario_class(name: str) -> type[Scenario]:
    """Return the class of a scenario, given its name or its environment id, which may name a module to import first.

    Raises ``TdGymError`` naming the known ones when there is none, and for a module that cannot be imported.
    """
    short = _load(name)
    if "/" in short:
        known = {env_id(scenario): scenario for scenario in _scenarios}
        if short in strategy_ids():
            raise TdGymError(f"{short!r} is the Discrete view of {env_id(strategy_scenario(short))!r}; name that here.")
        if short == TAU2:
            raise TdGymError(f"{short!r} has no scenario of its own; it is made by gymnasium.make alone.")
        if short not in known:
            raise unknown("environment", short, known)
        short = known[short]
    if short not in _scenarios:
        raise unknown("environment", short, map(env_id, _scenarios))
    found = _scenarios[short]
    if isinstance(found, str):
        module, _, attribute = found.partition(":")
        found = getattr(import_module(module), attribute)
    return found


def scenario_options(name: str) -> tuple[str, ...]:
    """Return the options that ``make_scenario`` takes for this scenario, those it passes on to its base among them."""
    options: list[str] = []
    for base in scenario_class(name).__mro__:
        if "__init__" in vars(base):
            _, *taken = inspect.signature(vars(base)["__init__"]).parameters.values()
            options += [each.name for each in taken if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
            if not any(each.kind is each.VAR_KEYWORD for each in taken):
                break
    return tuple(dict.fromkeys(options))


def make_scenario(name: str, **options: Any) -> Scenario:
    """Build a scenario by name (``FoodDispute``) or environment id (``td_gym/FoodDispute-v0``, ``module:id``).

    An option that is ``None`` counts as not given, even one that the scenario does not have.  Raises ``TdGymError``
    for an unknown name, an option the scenario does not have, or a bad value.
    """
    scenario, accepted = scenario_class(name), scenario_options(name)
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        if option not in accepted:
            raise unknown(f"option of {scenario.name}", option, accepted)
    return scenario(**given)
