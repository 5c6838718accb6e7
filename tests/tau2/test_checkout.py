"""Whatever is missing of a checkout is one line that says what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import td_gym
from td_gym import TdGymError
from td_gym.tau2 import checkout
from tests.tau2.conftest import ID, forget


def test_the_environment_is_registered_when_asked_for_and_once(installed: dict[str, Any]) -> None:
    assert ID not in gymnasium.registry
    assert td_gym.register_tau2() == td_gym.register_tau2() == ID
    assert gymnasium.spec(ID).nondeterministic
    assert ID not in td_gym.env_ids()


def test_importing_td_gym_imports_no_tau2() -> None:
    code = "import sys, td_gym; sys.exit(any('tau2' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _refusal() -> str:
    with pytest.raises(TdGymError) as caught:
        td_gym.register_tau2()
    assert "\n" not in str(caught.value)
    assert ID not in gymnasium.registry
    return str(caught.value)


def test_an_old_python_is_refused(installed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkout, "PYTHON", (99, 0))
    assert "needs Python 99.0 or newer" in _refusal()


def test_the_data_folder_must_be_named(installed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAU2_DATA_DIR")
    assert "TAU2_DATA_DIR is not set" in _refusal()


def test_the_data_folder_must_hold_domains(installed: dict[str, Any], data_dir: Path) -> None:
    (data_dir / "tau2" / "domains").rmdir()
    assert "has no tau2/domains" in _refusal()


def test_a_missing_package_is_named_with_the_commit(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget()
    monkeypatch.setitem(sys.modules, "tau2", None)
    message = _refusal()
    assert "tau2 is not installed" in message
    assert checkout.COMMIT[:12] in message


def test_a_package_that_tau2_needs_is_named(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget()
    package = tmp_path / "site" / "tau2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import a_module_that_is_not_there\n", encoding="utf-8")
    monkeypatch.syspath_prepend(package.parent)
    assert "tau2 needs 'a_module_that_is_not_there'" in _refusal()


@pytest.mark.parametrize("module", checkout.NAMES)
def test_a_module_that_a_checkout_lacks_is_named_with_the_commit(installed: dict[str, Any], module: str) -> None:
    del sys.modules[module]
    message = _refusal()
    assert f"has no {module};" in message
    assert checkout.COMMIT[:12] in message


@pytest.mark.parametrize("module", checkout.NAMES)
def test_a_name_that_a_checkout_lacks_is_named_with_the_commit(installed: dict[str, Any], module: str) -> None:
    name = checkout.NAMES[module][0]
    delattr(installed[module], name.partition(".")[0])
    message = _refusal()
    assert f"has no {module}.{name};" in message
    assert checkout.COMMIT[:12] in message


def test_the_guide_names_the_commit() -> None:
    assert checkout.COMMIT in (Path(__file__).parents[2] / "docs" / "tau2.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"domain": "kisok"}, "Did you mean 'kiosk'? Known: counter, kiosk, opinions."),
        ({"domain": "banking_knowledge"}, "private functions"),
        ({"domain": "kiosk", "split": "trian"}, "Did you mean 'train'"),
        ({"domain": "counter"}, "has no splits; pass split=None"),
        ({"domain": "kiosk", "user": "voice"}, "Unknown user of tau2 'voice'"),
        ({"domain": "kiosk", "user": "user_simulator"}, "name it with user_llm"),
        ({"domain": "kiosk", "judge": 1}, "judge must be True or False"),
        ({"domain": "kiosk", "max_steps": 0}, "max_steps must be a whole number of at least 1"),
        ({"domain": "opinions", "split": None}, "pass judge=True"),
    ],
)
def test_bad_options_are_one_line(tau2: str, options: dict[str, Any], line: str) -> None:
    with pytest.raises(TdGymError) as caught:
        gymnasium.make(tau2, **{"user": "scripted", **options})
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_domain_without_a_solo_mode_is_one_line(tau2: str) -> None:
    env = gymnasium.make(tau2, domain="counter", split=None, user="dummy_user")
    with pytest.raises(TdGymError, match="does not support solo mode"):
        env.reset(seed=0)
