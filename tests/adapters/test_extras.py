"""An adapter whose library is not installed names the extra that brings it."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

from td_gym.errors import TdGymError


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [
        ("td_gym.adapters.openenv", "openenv", "openenv"),
        ("td_gym.adapters.verifiers", "verifiers", "verifiers"),
        ("td_gym.adapters.verifiers", "httpx", "verifiers"),
        ("agents.adapters.trl", "trl", "trl"),
        ("agents.adapters.trl", "datasets", "trl"),
    ],
)
def test_without_its_library_an_adapter_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, module: str, library: str, extra: str
) -> None:
    if module.startswith("agents."):
        pytest.importorskip("torch", reason='needs the extra: pip install "td-gym[train]"')
    for name in [name for name in sys.modules if name == module or name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(TdGymError, match=rf'pip install "td-gym\[{extra}\]"'):
        import_module(module)
