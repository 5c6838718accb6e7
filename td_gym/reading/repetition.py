"""How much of a message was said before, counted in runs of three words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from td_gym.reading.sentences import sentences

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_READ_LIMIT = 4096
Run = tuple[str, ...]
"""Three words in a row, or all words of a shorter sentence."""


def repetition(text: str, earlier: Sequence[str]) -> float:
    """Return the share of the three-word runs of ``text`` that the agent has said before, 0..1.

    Said before: in the messages ``earlier`` or in an earlier sentence of ``text``. A sentence shorter than three words
    is one run.
    """
    return _overlap(text, tuple(earlier))


# Both seats' sides read a turn against the same history, one after the other.
@lru_cache(maxsize=512)
def _overlap(text: str, earlier: tuple[str, ...]) -> float:
    fresh, repeated = _runs(text)
    said = frozenset[Run]().union(*[_runs(message)[0] for message in earlier])
    total = len(fresh) + repeated
    return (sum(map(said.__contains__, fresh)) + repeated) / total if total else 0.0


@lru_cache(maxsize=2048)
def _runs(message: str) -> tuple[tuple[Run, ...], int]:
    """Return the runs that stand in no earlier sentence of ``message``, and the number of the others."""
    seen: set[Run] = set()
    fresh: list[Run] = []
    total = 0
    for part in sentences(message[:_READ_LIMIT]):
        runs = _runs_of_sentence(part)
        fresh += [run for run in runs if run not in seen]
        total += len(runs)
        seen.update(runs)
    return tuple(fresh), total - len(fresh)


@lru_cache(maxsize=8192)
def _runs_of_sentence(sentence: str) -> tuple[Run, ...]:
    words = _WORD.findall(sentence.lower().replace("’", "'"))
    if len(words) < 3:
        return (tuple(words),) if words else ()
    return tuple(zip(words, words[1:], words[2:], strict=False))
