"""How the service side reads a customer's message: dialogue acts by patterns over free text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from personas.packaged import packaged_toml
from td_gym.reading.sentences import sentences

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


class Rule(NamedTuple):
    """A pattern that states an act, or cancels it."""

    literal: str
    """What every match contains; looking for it first is ten times faster."""
    pattern: re.Pattern[str]
    act: str
    cancels: bool


@lru_cache(maxsize=1)
def _rules() -> Mapping[str, tuple[Rule, ...]]:
    """Return the rules by three letters that every match contains, those of shorter literals under the empty key."""
    table = packaged_toml(__package__, "customer_acts.toml")
    rules = [
        Rule(_literal(pattern), re.compile(pattern), act, kind == "unless")
        for act in CUSTOMER_ACTS
        for kind in ("any", "unless")
        for pattern in table[act][kind]
    ]
    spread = Counter(letters for rule in rules for letters in _threes(rule.literal))
    by_letters: dict[str, tuple[Rule, ...]] = {"": ()}
    for rule in rules:
        key = min(sorted(_threes(rule.literal)), key=spread.__getitem__, default="")
        by_letters[key] = (*by_letters.get(key, ()), rule)
    return by_letters


def _threes(text: str) -> set[str]:
    """Return all runs of three characters in ``text``."""
    return {text[i : i + 3] for i in range(len(text) - 2)}


def _literal(pattern: str) -> str:
    bare = pattern.replace(r"\b", "|")
    while (shorter := _GROUP.sub("|", bare)) != bare:
        bare = shorter
    return max(re.split(r"[^a-z ]+", _OPTIONAL.sub("|", bare)), key=len)


def detect_customer_acts(text: str) -> frozenset[str]:
    """Return the acts of a customer's message, a subset of ``CUSTOMER_ACTS``.

    ``ask_refund`` wants money back; ``ask_compensation`` asks what else is offered;
    ``give_feedback`` wants it noted or explained; ``give_details`` says what is wrong with which
    dish; ``show_photo`` and ``withhold_photo`` answer a request for evidence; ``accept`` closes the
    matter, gladly or not; ``decline`` turns an offer down.
    """
    return frozenset().union(*map(_read_sentence, sentences(text[:1000])))


@lru_cache(maxsize=8192)
def _read_sentence(text: str) -> frozenset[str]:
    text = text.lower().replace("’", "'")
    rules = _rules()
    near = chain(rules[""], *[rules[letters] for letters in rules.keys() & _threes(text)])
    matching = [rule for rule in near if rule.literal in text and rule.pattern.search(text)]
    return frozenset(rule.act for rule in matching) - {rule.act for rule in matching if rule.cancels}
