"""How much of a message was said before, counted in runs of three words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from td_gym.reading.sentences import sentences

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_READ_LIMIT = 4096


def repetition(text: str, earlier: Sequence[str]) -> float:
    """Return the share of the three-word runs of ``text`` that the agent has said before, 0..1.

    Said before: in the messages ``earlier`` or in an earlier sentence of ``text``. A sentence shorter than three words
    is one run.
    """
    return _overlap(text, tuple(earlier))


# Both seats' sides read a turn against the same history, one after the other.
@lru_cache(maxsize=512)
def _overlap(text: str, earlier: tuple[str, ...]) -> float:
    seen: set[str] = set()
    for message in earlier:
        seen |= _said(message)
    repeated = total = 0
    for part in sentences(text[:_READ_LIMIT]):
        runs = _runs(part)
        repeated += sum(map(seen.__contains__, runs))
        total += len(runs)
        seen.update(runs)
    return repeated / total if total else 0.0


@lru_cache(maxsize=2048)
def _said(message: str) -> frozenset[str]:
    return frozenset(run for part in sentences(message[:_READ_LIMIT]) for run in _runs(part))


@lru_cache(maxsize=8192)
def _runs(sentence: str) -> tuple[str, ...]:
    words = _WORD.findall(sentence.lower().replace("’", "'"))
    if len(words) < 3:
        return (" ".join(words),) if words else ()
    return tuple(map(" ".join, zip(words, words[1:], words[2:], strict=False)))
