"""How much words sound like a machine: by stock phrases, by length, by lists."""

from __future__ import annotations

import re
from collections.abc import Set

from personas.packaged import packaged_toml

READ_LIMIT = 4096
"""Characters of a message that are read for stock phrases."""
_STOCK = tuple(packaged_toml(__package__, "manners.toml")["stock"])
_LISTED = re.compile(r"\s*(?:[-*•#]|\d+[.)]) ")
_EASY_WORDS, _LONG_WORDS = 45, 120


def stiffness(text: str, words: int, stock: Set[str]) -> float:
    """Return the stiffness of ``text``, from 0, which has so many ``words`` and these ``stock`` phrases.

    Stock phrases weigh 0.35 each, talk beyond a few sentences up to 0.4, a list 0.3.
    """
    length = (words - _EASY_WORDS) / (_LONG_WORDS - _EASY_WORDS)
    listed = any(map(_LISTED.match, text.split("\n")))
    return 0.35 * len(stock) + 0.4 * min(1.0, max(0.0, length)) + 0.3 * listed


def stock_of(sentence: str) -> tuple[str, ...]:
    """Return the stock phrases in a ``lowered`` sentence; they hold no figures, so a ``zeroed`` one has the same."""
    return tuple(filter(sentence.__contains__, _STOCK))
