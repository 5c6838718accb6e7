"""Training methods, one readable file each; presets as data in ``presets.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.fields import replaced
from agents.methods.base import Advantages, Method
from agents.methods.cmpo import CMPO, CMPOConfig, ReleasedCMPO, ReleasedCMPOConfig
from agents.methods.dpo import DPO, DPOConfig
from agents.methods.duca import DuCA, DuCAConfig
from agents.methods.gdpo import GDPO, GDPOConfig
from agents.methods.gopo import GOPO, GOPOConfig
from agents.methods.grpo import GRPO, GRPOConfig
from agents.methods.more import MORE, MOREConfig
from agents.methods.ppo import PPO, PPOConfig
from agents.methods.sft import SFT, SFTConfig
from personas.packaged import packaged_toml
from td_gym.errors import unknown

__all__ = [
    "ALGORITHMS",
    "Advantages",
    "Method",
    "budget_methods",
    "build_method",
    "customer_methods",
    "method_names",
    "presets",
]

ALGORITHMS: dict[str, tuple[Any, Any]] = {
    "sft": (SFT, SFTConfig),
    "ppo": (PPO, PPOConfig),
    "grpo": (GRPO, GRPOConfig),
    "cmpo": (CMPO, CMPOConfig),
    "cmpo_released": (ReleasedCMPO, ReleasedCMPOConfig),
    "duca": (DuCA, DuCAConfig),
    "gdpo": (GDPO, GDPOConfig),
    "more": (MORE, MOREConfig),
    "dpo": (DPO, DPOConfig),
    "gopo": (GOPO, GOPOConfig),
}
"""Class and configuration of each algorithm a preset may name."""

_PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = packaged_toml(__package__, "presets.toml")


def method_names() -> tuple[str, ...]:
    """Return the names that ``td-gym train METHOD`` takes."""
    return tuple(_PRESETS)


def presets(method: str) -> tuple[str, ...]:
    """Return the presets of ``method``, the default first; ``TdGymError`` for an unknown method."""
    if method not in _PRESETS:
        raise unknown("method", method, _PRESETS)
    return tuple(_PRESETS[method])


def build_method(
    method: str, preset: str = "", budgets: Mapping[str, float] | None = None, options: Mapping[str, Any] | None = None
) -> Method:
    """Return the method under a preset (the default when empty), kept to ``budgets`` (name to limit).

    ``options`` replaces fields of the preset's configuration; nested ones as tables, for example
    ``{"loss": {"kl_beta": 0.05}}``.  Raises ``TdGymError`` for an unknown method, preset or option,
    and for a value of the wrong type.
    """
    names = presets(method)
    preset = preset or names[0]
    if preset not in names:
        raise unknown(f"preset of {method}", preset, names)
    settings = dict(_PRESETS[method][preset])
    algorithm, config = ALGORITHMS[settings.pop("algorithm", method)]
    where = f"option of {method}"
    configured = replaced(replaced(config(), settings, where), options or {}, where)
    built: Method = algorithm(configured, dict(budgets or {}))
    return built


def budget_methods() -> list[str]:
    """Return the methods that use budgets, with the presets that do where not all of a method's do."""
    found = []
    for method in method_names():
        names = presets(method)
        using = [preset for preset in names if build_method(method, preset, {"any": 1.0}).uses_budgets]
        if using:
            found.append(method if len(using) == len(names) else f"{method} with preset {' or '.join(using)}")
    return found


def customer_methods() -> list[str]:
    """Return the methods that can train a customer, by their default presets."""
    return [method for method in method_names() if not build_method(method).needs_service]
