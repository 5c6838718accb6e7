"""How the service side reads a customer's message: dialogue acts by patterns over free text."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib.resources import files

_GROUP = re.compile(r"\([^()]*\)[?*+]?|\[[^\]]*\][?*+]?")
_OPTIONAL = re.compile(r".[?*]")

CUSTOMER_ACTS = (
    "ask_refund",
    "ask_compensation",
    "give_feedback",
    "give_details",
    "show_photo",
    "withhold_photo",
    "accept",
    "decline",
    "insult",
    "ask_robot",
    "thank",
    "leave",
)


Rule = tuple[str, re.Pattern[str]]
"""A pattern and a literal that every match contains: looking for the literal first is ten times faster."""


@lru_cache(maxsize=1)
def _rules() -> tuple[tuple[str, tuple[Rule, ...], tuple[Rule, ...]], ...]:
    table = tomllib.loads(files(__package__).joinpath("customer_acts.toml").read_text(encoding="utf-8"))
    return tuple(
        (act, tuple(map(_rule, table[act]["any"])), tuple(map(_rule, table[act]["unless"]))) for act in CUSTOMER_ACTS
    )


def _rule(pattern: str) -> Rule:
    bare = pattern.replace(r"\b", "|")
    while (shorter := _GROUP.sub("|", bare)) != bare:
        bare = shorter
    return max(re.split(r"[^a-z ]+", _OPTIONAL.sub("|", bare)), key=len), re.compile(pattern)


def _holds(rules: tuple[Rule, ...], text: str) -> bool:
    return any(literal in text and pattern.search(text) for literal, pattern in rules)


@lru_cache(maxsize=8192)
def detect_customer_acts(text: str) -> frozenset[str]:
    """Return the acts of a customer's message, a subset of ``CUSTOMER_ACTS``.

    ``ask_refund`` wants money back; ``ask_compensation`` asks what else is offered;
    ``give_feedback`` wants it noted or explained; ``give_details`` says what is wrong with which
    dish; ``show_photo`` and ``withhold_photo`` answer a request for evidence; ``accept`` closes the
    matter, gladly or not; ``decline`` turns an offer down.
    """
    text = text[:1000].lower().replace("’", "'")
    return frozenset(act for act, found, unless in _rules() if _holds(found, text) and not _holds(unless, text))
