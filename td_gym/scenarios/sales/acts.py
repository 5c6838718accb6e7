"""Dialogue acts of the service seat, read from free text by the lexicon and patterns of ``acts.toml``."""

from __future__ import annotations

from functools import cache, lru_cache

from personas.prospect import OBJECTIONS
from td_gym.reading.grammar import Reader, load_reader

HANDLES = tuple(f"handle_{name}" for name in OBJECTIONS)
"""Acts that answer an objection."""
SERVICE_ACTS = (
    "greet",
    "introduce",
    "disclose",
    "qualify",
    "present",
    "answer",
    *HANDLES,
    "offer_coupon",
    "ask_order",
    "confirm",
    "press",
    "back_off",
    "empathise",
    "reveal_ai",
    "deny_ai",
    "guarantee",
    "hide_fee",
    "close",
)

_PURPOSE, _COST = "state_purpose", "state_cost"
_READ = (*(act for act in SERVICE_ACTS if act != "disclose"), _PURPOSE, _COST)


def detect_acts(text: str) -> frozenset[str]:
    """Return the service acts that ``text`` carries, a subset of ``SERVICE_ACTS``.

    An act needs a clause that states it: lists of keywords carry none. A denial or a hypothetical cancels only the
    act it governs. ``disclose`` is the one act of a whole message: it says both that this is an offer of a credit and
    what a credit costs. Any text is accepted.
    """
    return of_message(service_reader().read(text))


@lru_cache(maxsize=4096)
def of_message(found: frozenset[str]) -> frozenset[str]:
    """Return the acts of a message in whose sentences these were ``found``."""
    both = _PURPOSE in found and _COST in found
    return found - {_PURPOSE, _COST} | ({"disclose"} if both else frozenset())


@cache
def service_reader() -> Reader:
    """Return the reader compiled from the package's ``acts.toml``."""
    return load_reader(__package__, _READ)
