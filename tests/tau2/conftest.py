"""The environment over the stand-in, as if it were a checkout of tau2-bench."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import td_gym
from td_gym.tau2 import checkout
from tests.tau2 import fake

ID = "td_gym/Tau2-v0"


def forget() -> None:
    """Leave no module that was bound to one tau2 or another, and no registered environment."""
    for name in [*sys.modules]:
        if name.partition(".")[0] == "tau2" or name in {
            f"td_gym.tau2.{own}" for own in ("conversation", "env", "scoring")
        }:
            del sys.modules[name]
    gymnasium.registry.pop(ID, None)


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tau2" / "domains").mkdir(parents=True)
    monkeypatch.setenv(checkout.DATA, str(tmp_path))
    monkeypatch.setattr(checkout, "PYTHON", (3, 11))
    return tmp_path


@pytest.fixture
def installed(data_dir: Path) -> Iterator[dict[str, Any]]:
    """The stand-in in the place of tau2; its modules by name."""
    forget()
    made = fake.modules(checkout.NAMES)
    sys.modules.update(made)
    yield made
    forget()


@pytest.fixture
def tau2(installed: dict[str, Any]) -> str:
    """The id of the environment over the stand-in."""
    return td_gym.register_tau2()
