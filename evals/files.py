"""Writing results so that a reader never sees half a file."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from typing import Any

from td_gym.errors import TdGymError

_LEAST_FREE = 4 << 20


def check_writable(folder: Path) -> None:
    """Create ``folder`` and prove that files can be written there; raise before any work is done.

    Raises ``TdGymError`` when the path is a file, is read-only or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".td-gym-") as probe:
            probe.write(b"\0" * 4096)
            probe.flush()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TdGymError(f"Cannot write into {str(folder)!r}: {reason}; choose another folder.") from error
    if shutil.disk_usage(folder).free < _LEAST_FREE:
        raise TdGymError(f"The disk of {str(folder)!r} is full; free some space or choose another folder.")


def check_other(out: Path, read: Iterable[Path]) -> None:
    """Raise ``TdGymError`` where ``out``, a file to be written, is among those that are ``read``."""
    for path in read:
        if out.exists() and path.exists() and out.samefile(path):
            raise TdGymError(f"--out {str(out)!r} is a file that is read, and would be lost; name another.")


def file_name(name: str, taken: Callable[[str], bool]) -> str:
    """Return ``name`` as the name of a file without its ending, numbered where that is ``taken``.

    Names may differ in what is cut or replaced, so two may come to the same.
    """
    short = re.sub(r"[^\w.-]+", "_", name).strip("._")[:80]
    base = short.encode()[:200].decode(errors="ignore") or "unnamed"  # file systems hold 255 bytes
    names = (base if number == 1 else f"{base}-{number}" for number in count(1))
    return next(each for each in names if not taken(each))


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically: readers see the old file or the new one.

    Halves of characters, which no file can hold, are written as question marks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, data: Any) -> None:
    """Write ``data`` as indented JSON, atomically; numbers that are not finite are refused."""
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_toml(path: Path) -> dict[str, Any]:
    """Read TOML; ``TdGymError`` names the file when it is not TOML."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TdGymError(f"{str(path)!r} is not a TOML file: {error}.") from error
