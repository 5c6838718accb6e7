"""What a figure came from: versions, commit, machine kind and arguments, without secrets, clocks or machine paths."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_DISTRIBUTIONS = ("td-gym", "numpy", "gymnasium", "pettingzoo", "faker", "torch", "transformers")
_URL = re.compile(r"(\w+://)(?:[^/\s]*@)?([^?#\s]*)\S*")
"""A URL; only scheme, host and path are kept."""


def provenance(arguments: Sequence[str], **settings: Any) -> dict[str, Any]:
    """Return where results come from; ``settings`` (seeds, split, versions ...) stand beside the common facts."""
    return {
        "command": " ".join(public(argument) for argument in arguments),
        "commit": commit(),
        "versions": _versions(),
        "machine": machine(),
        **settings,
    }


def public(argument: str) -> str:
    """Return an argument fit for publication: no absolute path, no credentials or query in a URL."""
    if argument.startswith("--") and "=" in argument:
        name, _, value = argument.partition("=")
        return f"{name}={public(value)}"
    if "://" in argument:
        return _URL.sub(r"\1\2", argument)
    return public_path(Path(argument)) if argument.startswith(("/", "~")) else argument


def public_path(path: Path) -> str:
    """Return ``path`` relative to the working folder, or its last part when it lies elsewhere."""
    if not path.is_absolute():
        return str(path)
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return path.name


def commit() -> str | None:
    """Return the source's git commit, ``+changes`` added when files differ from it; ``None`` outside a checkout."""
    home = Path(__file__).resolve().parent.parent
    if not (home / ".git").exists():
        return None
    head = _git(home, "rev-parse", "HEAD")
    if head is None:
        return None
    changed = _git(home, "status", "--porcelain", "--untracked-files=no", "--", "personas", "td_gym", "agents", "evals")
    return head + ("+changes" if changed else "")


def _git(home: Path, *arguments: str) -> str | None:
    command = ["git", "-c", f"safe.directory={home}", "-C", str(home), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def machine() -> dict[str, Any]:
    """Return the kind of machine: processor, cores, and the GPU when torch is in use and sees one."""
    kind: dict[str, Any] = {"cpu": _processor(), "cores": os.cpu_count() or 1, "system": platform.system()}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        kind["gpu"] = torch.cuda.get_device_name(0)
    return kind


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
