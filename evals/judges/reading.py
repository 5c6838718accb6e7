"""How evaluation reads a message: sentences, clauses, and what a clause says, negation-aware."""

from __future__ import annotations

import re
from functools import lru_cache

from evals.judges.lexicon import load, load_words

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')]*\s+|\n+")
_CLAUSE_END = re.compile(
    r"[;:–—]\s|,?\s+(?:but|yet|however|although|though|while|whereas)\s+|,\s+(?:so|and|or)\s+|,\s+(?=(?:i|we|you|it)\b)",
    re.I,
)
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:[.:,]\d+)*")


@lru_cache(maxsize=65536)
def sentences(text: str) -> tuple[str, ...]:
    """Split a message into sentences, on line ends and after ``.``, ``!`` or ``?`` before white space."""
    return tuple(part.strip() for part in _SENTENCE_END.split(text.replace("’", "'")) if part.strip())


@lru_cache(maxsize=65536)
def clauses(text: str) -> tuple[str, ...]:
    """Split a message into clauses; a negation or a hypothesis reaches no further than its clause."""
    parts: list[str] = []
    for sentence in sentences(text):
        pieces = [piece.strip() for piece in _CLAUSE_END.split(sentence) if piece.strip()]
        if sentence.endswith("?"):  # every clause of a question stays a question
            pieces = [piece if piece.endswith("?") else f"{piece}?" for piece in pieces]
        parts += pieces
    return tuple(parts)


@lru_cache(maxsize=65536)
def says(text: str, reading: str, lexicon: str = "service") -> bool:
    """Whether any sentence of ``text`` matches the table ``reading`` of ``lexicon``."""
    pattern = load(lexicon)[reading]
    return any(pattern.search(sentence) for sentence in sentences(text))


def words(text: str) -> list[str]:
    """Return the words of ``text`` in lower case."""
    return _WORD.findall(text.lower().replace("’", "'"))


def content_words(text: str) -> frozenset[str]:
    """Return the words that carry the topic, cut to five letters so that inflections meet."""
    common = load_words("common", "words")
    return frozenset(word[:5] for word in words(text) if word not in common and len(word) > 2)


@lru_cache(maxsize=65536)
def voucher_statement(text: str) -> str:
    """Say how strongly ``text`` speaks of giving a voucher: ``given``, ``offered``, ``asked`` or empty.

    ``given`` states it as done or being done, ``offered`` says the agent can or would give it,
    ``asked`` makes it depend on the customer's answer.  Denials and hypothetical forms are empty.
    """
    table = load("service")
    found = set()
    for sentence in sentences(text):
        if table["hypothetical"].search(sentence):
            continue
        in_sentence = table["voucher_word"].search(sentence) is not None
        for clause in clauses(sentence):
            if not (table["voucher_word"].search(clause) or (in_sentence and table["gives"].search(clause))):
                continue
            if table["negated"].search(clause):
                continue
            if clause.endswith("?") or table["conditional"].search(sentence):
                found.add("asked")
            elif table["gives"].search(clause) and not table["offers"].search(clause):
                found.add("given")
            elif table["offers"].search(clause):
                found.add("offered")
    return next((kind for kind in ("given", "offered", "asked") if kind in found), "")
