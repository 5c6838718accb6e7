"""JSON read and checked: whatever is wrong is one ``TdGymError`` that names the file and the field.

``where`` names the file and what lies round the value in it, and begins every error.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from td_gym.errors import TdGymError

_LONGEST = 60


def read_json(path: Path) -> Any:
    """Return what the file ``path`` holds."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TdGymError(f"Cannot read {str(path)!r}: {error.strerror or error}.") from error
    return parse_json(content, repr(str(path)))


def parse_json(content: bytes, where: str) -> Any:
    """Return what ``content`` says."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise TdGymError(f"{where} is not a whole JSON file ({error}); write or download it again.") from error


def as_object(data: Any, where: str) -> dict[str, Any]:
    """Return ``data``, which must be a JSON object."""
    if not isinstance(data, dict):
        raise TdGymError(f"{where} must be a JSON object, not {_named(data)}.")
    return data


def as_list(data: Any, where: str) -> list[Any]:
    """Return ``data``, which must be a JSON list."""
    if not isinstance(data, list):
        raise TdGymError(f"{where} must be a JSON list, not {_named(data)}.")
    return data


def as_text(data: Any, where: str) -> str:
    """Return ``data``, which must be text."""
    if not isinstance(data, str):
        raise TdGymError(f"{where} must be text, not {_named(data)}.")
    return data


def as_number(data: Any, where: str) -> float:
    """Return ``data``, which must be a number that a float can hold: neither infinite nor NaN."""
    if not isinstance(data, int | float) or isinstance(data, bool) or not abs(data) <= sys.float_info.max:
        raise TdGymError(f"{where} must be a finite number, not {_named(data)}.")
    return float(data)


def as_texts(data: Any, where: str) -> tuple[str, ...]:
    """Return ``data``, which must be a JSON list of texts."""
    return tuple([as_text(text, f"{where}[{place}]") for place, text in enumerate(as_list(data, where))])


def as_named_texts(data: Any, where: str) -> dict[str, str]:
    """Return ``data``, which must be a JSON object of texts."""
    return {name: as_text(text, f"{where}.{name}") for name, text in as_object(data, where).items()}


def field_of(data: Any, name: str, where: str) -> Any:
    """Return what the JSON object ``data`` has under ``name``."""
    if name not in as_object(data, where):
        raise TdGymError(f"{where} has no field {name!r}.")
    return data[name]


def text_of(data: Any, name: str, where: str) -> str:
    """Return the text that the JSON object ``data`` has under ``name``."""
    return as_text(field_of(data, name, where), f"{where}.{name}")


def _named(data: Any) -> str:
    """Say what ``data`` is, shortly and as JSON calls it."""
    if isinstance(data, list | dict):
        return "a list" if isinstance(data, list) else "an object"
    text = "null" if data is None else repr(data)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
