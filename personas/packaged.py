"""Tables of words and figures that lie as TOML beside the code."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def packaged_toml(package: str, name: str) -> Mapping[str, Any]:
    """Return the tables of the file ``name`` in ``package``: parsed once, shared by all and not to be changed."""
    return tomllib.loads(files(package).joinpath(name).read_text(encoding="utf-8"))
