"""Fields of frozen configurations, replaced by values that people state and held to what their annotations say."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from td_gym.errors import TdGymError, unknown

T = TypeVar("T")
_FLOATS = (float, float | None)


def replaced(config: T, changes: Mapping[str, Any], where: str) -> T:
    """Return the dataclass ``config`` with the fields that ``changes`` names, nested ones as tables.

    Raises ``TdGymError``, calling a field ``where``, for an unknown one and for a value of another type.
    """
    kinds = get_type_hints(type(config))
    new: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in kinds:
            raise unknown(where, name, kinds)
        if dataclasses.is_dataclass(kinds[name]) and isinstance(value, Mapping):
            new[name] = replaced(getattr(config, name), value, f"{where}, {name}")
        elif _is_of(value, kinds[name]):
            new[name] = _converted(value, kinds[name])
        else:
            raise TdGymError(f"The {where} {name!r} must be a {_named(kinds[name])}, not {value!r}.")
    found: T = dataclasses.replace(config, **new)  # type: ignore[type-var]
    return found


def _is_of(value: Any, kind: Any) -> bool:
    """Return whether ``value`` is what the annotation ``kind`` says; a whole number may stand for a float."""
    if get_origin(kind) is UnionType:
        return any(_is_of(value, each) for each in get_args(kind))
    if get_origin(kind) is Mapping:
        return isinstance(value, Mapping) and all(_is_of(each, get_args(kind)[1]) for each in value.values())
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        return isinstance(value, list | tuple) and len(value) == len(kinds) and all(map(_is_of, value, kinds))
    if kind in (float, int):
        number = isinstance(value, (int, kind)) and not isinstance(value, bool)
        return number and value == value  # which nan is not
    return isinstance(value, kind)


def _converted(value: Any, kind: Any) -> Any:
    """Return ``value`` as the annotation has it, where a file can only state it otherwise."""
    if get_origin(kind) is tuple:
        return tuple(value)
    return float(value) if isinstance(value, int) and kind in _FLOATS else value


def _named(kind: Any) -> str:
    """Return what an annotation is called in an error."""
    if get_origin(kind) is Mapping:
        return "table of numbers"
    if get_origin(kind) is tuple:
        return f"list of {len(get_args(kind))} numbers"
    if dataclasses.is_dataclass(kind):
        return "table"
    name: str = (get_args(kind) or (kind,))[0].__name__
    return "whole number" if name == "int" else name
