"""The examples in the guides, as code that tests can run."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from td_gym import registration

ROOT = Path(__file__).parents[1]
OWN_ID = "td_gym/Repairs-v0"
"""The scenario of ``docs/own_scenario.md``, where it is registered."""


def examples(page: str) -> list[str]:
    """Return the Python examples of a page, named from the root of the repository, in their order."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


@contextmanager
def module(name: str, source: str, folder: Path) -> Iterator[ModuleType]:
    """Make ``source`` importable as module ``name`` in ``folder``, and forget it and its scenarios afterwards."""
    known = dict(registration._scenarios)
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    sys.path.insert(0, str(folder))
    invalidate_caches()
    try:
        yield import_module(name)
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop(name, None)
        registration._scenarios.clear()
        registration._scenarios.update(known)


@contextmanager
def own_scenario() -> Iterator[ModuleType]:
    """Register the scenario of the guide, from a module ``repairs``."""
    source, *_ = examples("docs/own_scenario.md")
    with TemporaryDirectory() as folder, module("repairs", source, Path(folder)) as found:
        yield found
