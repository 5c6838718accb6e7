"""Errors a user can act on: one line that says what is wrong and what to do; checks of plain values."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class TdGymError(Exception):
    """Bad input or an environment fault; its message is one complete sentence for the user."""


def unknown(kind: str, name: object, known: Iterable[str]) -> TdGymError:
    """Build the error for a ``name`` that is not among ``known``, with the nearest match first."""
    names = sorted(known)
    near = get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return TdGymError(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(names)}.")


def as_flag(name: str, value: object) -> bool:
    """Return ``value``; ``TdGymError`` naming the argument when it is not a truth value."""
    if not isinstance(value, bool):
        raise TdGymError(f"{name} must be True or False, not {value!r}.")
    return value


def as_count(name: str, value: Any) -> int:
    """Return ``value`` as an integer; ``TdGymError`` naming the argument when it is not one of at least 1."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise TdGymError(f"{name} must be a whole number of at least 1, not {value!r}.")
    return int(value)


def as_seed(seed: Any) -> int:
    """Return ``seed`` as an integer; ``TdGymError`` when it is not a non-negative one, of Python or of NumPy."""
    try:
        number = -1 if isinstance(seed, bool) else operator.index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise TdGymError(f"A seed must be a non-negative whole number, not {seed!r}.")
    return number
