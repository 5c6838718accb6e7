"""Are the items, amounts and times that the service names the ones in its briefing?"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from evals.dialogue import Dialogue
from evals.judges.briefing import OrderFacts, read_briefing
from evals.judges.consistency import issued_turns
from evals.judges.lexicon import load, load_words
from evals.judges.reading import sentences

_CLOCK = re.compile(r"\b(\d{1,2}):(\d{2})(?:\s*([ap])\.?m\b)?", re.IGNORECASE)
_MONEY = re.compile(
    r"(?:\b(?:SAR|riyals?)|[$£€])\s*(\d+(?:\.\d+)?)|\b(\d+(?:\.\d+)?)\s*(?:SAR|riyals?)\b|\b(\d+\.\d{2})\b", re.I
)
_VOUCHER_SUM = re.compile(
    r"\b(?:voucher|coupon|credit)s?\s+(?:of|for|worth|over)\s+(?:SAR\s*)?(\d+(?:\.\d+)?)"
    r"|\b(\d+(?:\.\d+)?)(?:\s*SAR)?\s+(?:voucher|coupon|credit)"
    r"|\b(?:put|add|added|credited|adding)\s+(?:SAR\s*)?(\d+(?:\.\d+)?)\b",
    re.IGNORECASE,
)
_LATE = re.compile(
    r"\b(\d+)[- ]minutes?\s+(?:late|behind|delay|after|over|past)\b"
    r"|\b(?:late|delayed|delay)\s+(?:by|of)\s+(\d+)\s+minutes?|\btook\s+(\d+)\s+minutes?",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"[A-Za-z][A-Za-z'’-]*|[.!?,;:]")
_ABSENT = re.compile(
    r"\b(?:not|n't|no|don't|doesn't|isn't|wasn't)\b[^.]*\b(?:order|list\w*|includ\w*|records?)\b", re.IGNORECASE
)


class Mention(NamedTuple):
    """Something the service named: its kind (``item``, ``money``, ``time``), its words, whether it is right."""

    kind: str
    words: str
    right: bool


def grounding(dialogue: Dialogue) -> float:
    """Return right mentions / all mentions of items, amounts and times; NaN where nothing was named."""
    found = mentions(dialogue)
    return sum(mention.right for mention in found) / len(found) if found else math.nan


def mentions(dialogue: Dialogue) -> list[Mention]:
    """Return every mention of an item, a sum of money or a time in the service's messages."""
    facts = read_briefing(dialogue.briefing)
    issued = _issued_sums(dialogue)
    found: list[Mention] = []
    for turn in dialogue.service_turns:
        for sentence in sentences(turn.shown):
            found += _times(sentence, facts)
            found += _sums(sentence, facts, issued)
            found += _items(sentence, facts)
    return found


def _issued_sums(dialogue: Dialogue) -> frozenset[float]:
    """What was issued: the amount argument, else the episode's cost; empty when none was."""
    turns = issued_turns(dialogue)
    if not turns:
        return frozenset()
    argument = dialogue.turns[turns[0]].arguments.get("amount", "")
    sums = {round(dialogue.costs["voucher_amount"], 2)} if dialogue.costs.get("voucher_amount") else set()
    try:
        return frozenset(sums | {round(float(argument), 2)})
    except ValueError:
        return frozenset(sums)


def _times(sentence: str, facts: OrderFacts) -> Iterator[Mention]:
    for match in _CLOCK.finditer(sentence):
        clock = 60 * int(match[1]) + int(match[2])
        if match[3] and match[3].lower() == "p" and int(match[1]) < 12:
            clock += 12 * 60
        yield Mention("time", match[0], clock in facts.clocks)
    for match in _LATE.finditer(sentence):
        yield Mention("time", match[0], int(match[1] or match[2] or match[3]) in facts.durations)


def _sums(sentence: str, facts: OrderFacts, issued: frozenset[float]) -> Iterator[Mention]:
    """A voucher's sum must be the one issued; when none was, and for any other sum, one of the order's."""
    voucher_spans = []
    for match in _VOUCHER_SUM.finditer(sentence):
        if sentence[match.end() : match.end() + 1] == ":" or re.match(
            r"\s*(?:minutes?|x|times)\b", sentence[match.end() :]
        ):
            continue
        voucher_spans.append(match.span())
        value = round(float(match[1] or match[2] or match[3]), 2)
        yield Mention("money", match[0], value in (issued or facts.amounts))
    for match in _MONEY.finditer(sentence):
        if any(start < match.end() and match.start() < end for start, end in voucher_spans):
            continue
        value = round(float(match[1] or match[2] or match[3]), 2)
        allowed = issued if issued and load("service")["voucher_word"].search(sentence) else frozenset()
        yield Mention("money", match[0], value in (allowed | facts.amounts))


def _items(sentence: str, facts: OrderFacts) -> Iterator[Mention]:
    """Named dishes: runs of dish words, and capitalised names after a determiner."""
    ordered = [frozenset(map(_stem, re.findall(r"[A-Za-z'-]+", line.name))) for line in facts.lines]
    listed = load_words("items", "food") | load_words("items", "modifiers")
    denied = _ABSENT.search(sentence) is not None
    for run, after_determiner in _runs(_TOKEN.findall(sentence), listed, facts):
        named = frozenset(_stem(word) for word in run if word.lower() not in ("and", "with")) - _stems("generic")
        core = named & _stems("food")
        if not named or not (core or after_determiner):
            continue
        right = any(named <= item for item in ordered) or all(
            any(word in item for item in ordered) for word in core or named
        )
        if right or not denied:
            yield Mention("item", " ".join(run), right)


def _runs(tokens: list[str], listed: frozenset[str], facts: OrderFacts) -> Iterator[tuple[list[str], bool]]:
    """Yield maximal runs of dish words or of capitalised unknown words, and whether a determiner precedes them."""
    names = load_words("items", "names") | frozenset(facts.restaurant.lower().split())
    run: list[str] = []
    determined = False
    previous = "."
    for token in [*tokens, "."]:
        lower = token.lower().replace("’", "'").removesuffix("'s")
        capital = token[0].isupper() and previous not in ".!?" and lower not in names
        if token[0].isalpha() and (lower in listed or capital) and not (lower in ("and", "with") and not run):
            if not run:
                determined = previous.lower() in ("your", "the") and capital
            run.append(token)
        elif run:
            while run and run[-1].lower() in ("and", "with"):
                run.pop()
            if frozenset(word.lower() for word in run) - names:
                yield run, determined
            run = []
        previous = token


def _stem(word: str) -> str:
    word = word.lower().replace("’", "'").removesuffix("'s")
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


@cache
def _stems(table: str) -> frozenset[str]:
    return frozenset(map(_stem, load_words("items", table)))
