"""What is needed of a tau2-bench checkout, checked before any of it is used; all of it is public there."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from td_gym.errors import TdGymError

COMMIT = "fc0055dc4e0a316c3f83133267fbd6faaa770992"
"""Of https://github.com/sierra-research/tau2-bench: release v1.0.1, against which ``NAMES`` were checked."""
PYTHON = (3, 12)
"""The oldest Python that tau2 runs on."""
DATA = "TAU2_DATA_DIR"
NAMES: Mapping[str, tuple[str, ...]] = {
    "tau2.agent.base_agent": ("HalfDuplexAgent", "is_valid_agent_history_message"),
    "tau2.agent.llm_agent": ("LLMSoloAgent.STOP_TOKEN", "LLMSoloAgent.check_valid_task"),
    "tau2.data_model.message": ("AssistantMessage", "ToolCall"),
    "tau2.data_model.simulation": ("SimulationRun", "TerminationReason"),
    "tau2.data_model.tasks": ("RewardType",),
    "tau2.evaluator.evaluator": ("EvaluationType", "evaluate_simulation"),
    "tau2.orchestrator.orchestrator": (
        "Orchestrator.get_messages",
        "Orchestrator.initialize",
        "Orchestrator.step",
        "Role",
    ),
    "tau2.registry": (
        "registry.get_domains",
        "registry.get_task_splits_loader",
        "registry.get_tasks_loader",
        "registry.get_user_constructor",
        "registry.get_users",
    ),
    "tau2.runner": ("build_environment", "build_user"),
    "tau2.user.user_simulator": ("DummyUser",),
}
"""By module of tau2, what is used of it."""
_INSTALL = f"check out commit {COMMIT[:12]} of tau2-bench and run pip install -e CHECKOUT"


def check_checkout() -> None:
    """Raise ``TdGymError`` where tau2 cannot be used: Python, ``TAU2_DATA_DIR``, the package or a name it lacks."""
    if sys.version_info[:2] < PYTHON:
        wanted = ".".join(map(str, PYTHON))
        raise TdGymError(f"tau2 needs Python {wanted} or newer, and this is Python {platform.python_version()}.")
    # tau2 reads the variable once, while it is imported, and without it takes a folder that may not be there.
    folder = os.environ.get(DATA)
    if not folder:
        raise TdGymError(f"The environment variable {DATA} is not set; set it to the folder data/ of your checkout.")
    if not (Path(folder) / "tau2" / "domains").is_dir():
        raise TdGymError(f"{DATA} names {folder!r}, which has no tau2/domains; set it to data/ of your checkout.")
    _import("tau2")
    for module, names in NAMES.items():
        for name in names:
            found = _import(module)
            for part in name.split("."):
                if not hasattr(found, part):
                    raise _lacking(f"{module}.{name}")
                found = getattr(found, part)


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing == "tau2":
            raise TdGymError(f"The package tau2 is not installed: {_INSTALL}.") from error
        if not missing.startswith("tau2."):
            raise TdGymError(f"tau2 needs {missing!r}, which is not installed: {_INSTALL}.") from error
        raise _lacking(missing) from error


def _lacking(name: str) -> TdGymError:
    return TdGymError(f"This tau2-bench has no {name}; td_gym is made for another version: {_INSTALL}.")
