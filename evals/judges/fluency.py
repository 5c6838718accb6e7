"""Fluency: the share of the service's sentences that are well-formed English, by an own grammar.

A sentence passes when its surface is clean (capital, end mark, no word or three words repeated, no
slot left open, at most 45 words of 30 letters) and a context-free grammar of service English
derives its word classes (``fluency_grammar.txt``, ``fluency_words.toml``).  Fused half-sentences,
dropped function words and cut endings pass a pattern search but seldom a grammar.  No training
signal uses it.  Numbers written together with capitals (references, train ids, postcodes) count as names.

Measured by ``tests/evals/test_fluency.py``: of 100 sentences written after the grammar was finished
96 pass; of 400 spoilt ones of each kind it notices 62 % of spliced halves, 67 % of lost function
words, 76 % of swapped neighbours and 64 % of cut endings (much of the rest is still English: "I
make sure that this is noted.").
"""

from __future__ import annotations

import math
import re
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

from evals.dialogue import Dialogue
from evals.judges.grammar import Grammar
from evals.judges.reading import sentences, words
from evals.judges.word_classes import classes, is_no_command, tokens

MAX_WORDS = 45
MAX_LETTERS = 30
_BRACKETED = re.compile(r"\s*\([^()]*\)")
_QUOTED = re.compile(r"(?<!\w)'(.*?)'(?!\w)")
_QUOTES = re.compile(r"[\"“”]|(?<!\w)'|(?<!s)'(?!\w)")
_SLOT = re.compile(r"[\[\]{}<>_|\\]")
_VOWEL_AFTER_A = re.compile(r"\ba ([aeio](?!n?e\b|ne-)\w*)", re.IGNORECASE)
_CONSONANT_AFTER_AN = re.compile(r"\ban ([bcdfgjklmnpqrstvwyz]\w+)\b")
_MAY_DOUBLE = frozenset(("that", "had", "very", "really", "so", "no", "bye", "many"))


def fluency(dialogue: Dialogue) -> float:
    """Return well-formed sentences / all sentences of the service's shown text; NaN where nothing was said."""
    said = [sentence for turn in dialogue.service_turns for sentence in sentences(turn.shown)]
    return sum(map(well_formed, said)) / len(said) if said else math.nan


@lru_cache(maxsize=1 << 17)
def well_formed(sentence: str) -> bool:
    """Whether one sentence is clean on the surface and derived by the grammar."""
    text = " ".join(sentence.replace("’", "'").replace("…", ".").split())
    if not surface_is_clean(text):
        return False
    bare = _QUOTES.sub("", _QUOTED.sub(r"\1", _BRACKETED.sub("", text)))
    body = bare.rstrip(".!? ").strip()
    found = tokens(body)
    question = bare.rstrip().endswith("?")
    if not found or (is_no_command(found) and not question):
        return False
    terminals = [
        classes(
            token,
            position == 0,
            position + 1 < len(found) and found[position + 1][:1].isupper() and found[position + 1] != "I",
        )
        for position, token in enumerate(found)
    ]
    return _grammar().derives("QUESTION" if question else "STATEMENT", terminals)


def surface_is_clean(text: str) -> bool:
    """Whether a sentence looks right from outside: its ends, brackets, length, articles, no repetition."""
    said = words(text)
    if not said or len(said) > MAX_WORDS or max(map(len, said)) > MAX_LETTERS or _SLOT.search(text):
        return False
    if not (text[0].isupper() or text[0].isdigit()) or text[-1] not in ".!?" or text.count("(") != text.count(")"):
        return False
    if any(a == b and a not in _MAY_DOUBLE for a, b in pairwise(said)):
        return False
    threes = list(zip(said, said[1:], said[2:], strict=False))
    if len(set(threes)) < len(threes):
        return False
    return not (_VOWEL_AFTER_A.search(text) or _CONSONANT_AFTER_AN.search(text))


@cache
def _grammar() -> Grammar:
    return Grammar(Path(__file__).with_name("fluency_grammar.txt").read_text(encoding="utf-8"))
