"""Checks of persona data and of requests for it, and the error that they raise."""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping
from math import isclose


class PersonaError(ValueError):
    """Bad persona data or a bad request for one; the message is one sentence for the user."""


def check_known(what: str, name: str, known: Collection[str]) -> str:
    """Return ``name``; raise :class:`PersonaError` unless it is among the ``known`` names of a ``what``."""
    if name not in known:
        raise PersonaError(f"Unknown {what} {name!r}: use one of {', '.join(known)}.")
    return name


def check_seed(seed: int) -> int:
    """Return ``seed`` as a Python ``int``; anything but a non-negative integer raises :class:`PersonaError`."""
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise PersonaError(f"A seed must be a non-negative whole number, not {seed!r}.")
    return number


def check_keys(where: str, table: Mapping[str, object], keys: Collection[str]) -> None:
    """Raise :class:`PersonaError` unless ``table`` has exactly the ``keys``; ``where`` names it for the user."""
    if set(table) != set(keys):
        raise PersonaError(f"{where} must have exactly the keys {', '.join(keys)}.")


def check_shares(where: str, shares: Collection[float]) -> None:
    """Raise :class:`PersonaError` unless all ``shares`` are positive and sum to 1."""
    if any(share <= 0 for share in shares) or not isclose(sum(shares), 1.0, abs_tol=1e-9):
        raise PersonaError(f"{where} must have positive figures that sum to 1.")
