"""Errors a user can act on: one line that says what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class TdGymError(Exception):
    """Bad input or an environment fault; its message is one complete sentence for the user."""


def unknown(kind: str, name: str, known: Iterable[str]) -> TdGymError:
    """Build the error for a ``name`` that is not among ``known``, with the nearest match first."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return TdGymError(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(names)}.")
