"""How the service side reads a customer's message: dialogue acts by patterns over free text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from personas.packaged import packaged_toml
from td_gym.reading.sentences import lowered, sentences

# In a pattern: what may match anything, a choice between branches or with nothing, words that have to be there.
_OPEN = re.compile(r"\([^()]*\)[*+]|\(\?[!=<][^()]*\)|\[[^\]]*\][?*+]?|.[*+]")
_CHOICE = re.compile(r"\((?:\?:)?([^()]*)\)(\??)|([a-z,])\?")
_SURE = re.compile(r"(?<=[ ^])(?:[a-z]+(?=[ ^])|[a-z]{3})")
_WORD = re.compile(r"\b[a-z]+", re.ASCII)

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

    words: frozenset[str]
    """What every match contains, whole words or the first three letters of some; to look first is ten times faster."""
    pattern: re.Pattern[str]
    act: str
    cancels: bool


@lru_cache(maxsize=1)
def _rules() -> Mapping[str, tuple[Rule, ...]]:
    """Return the rules by the rarest of their words, those that have none under the empty key."""
    table = packaged_toml(__package__, "customer_acts.toml")
    rules = [
        Rule(words, re.compile(pattern), act, kind == "unless")
        for act in CUSTOMER_ACTS
        for kind in ("any", "unless")
        for pattern in table[act][kind]
        for words in _sure_words(pattern.replace(r"\b", "^"))
    ]
    spread = Counter(word for rule in rules for word in rule.words)
    by_word: dict[str, tuple[Rule, ...]] = {"": ()}
    for rule in rules:
        rarest = min(sorted(rule.words), key=spread.__getitem__, default="")
        by_word[rarest] = (*by_word.get(rarest, ()), rule)
    return by_word


def _sure_words(pattern: str) -> set[frozenset[str]]:
    """Return what words a match contains, for each way through ``pattern``, in which ``^`` is the edge of a word."""
    pattern = _OPEN.sub("#", pattern)
    if (choice := _CHOICE.search(pattern)) is None:
        return {frozenset(_SURE.findall(way)) for way in pattern.split("|")}
    branches = [choice[3], ""] if choice[3] else choice[1].split("|") + [""] * len(choice[2])
    before, behind = pattern[: choice.start()], pattern[choice.end() :]
    ways = {words for branch in branches for words in _sure_words(before + branch + behind)}
    return {words for words in ways if not any(fewer < words for fewer in ways)}


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
    text = lowered(text)
    rules = _rules()
    written = _WORD.findall(text)
    words = {*written, *[word[:3] for word in written]}
    near = chain(rules[""], *[rules[word] for word in rules.keys() & words])
    matching = [rule for rule in near if rule.words <= words and rule.pattern.search(text)]
    return frozenset(rule.act for rule in matching) - {rule.act for rule in matching if rule.cancels}
