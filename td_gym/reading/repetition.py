"""How much of a message was said before, counted in runs of three words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from td_gym.reading.sentences import sentences

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_READ_LIMIT = 4096


class _Runs(NamedTuple):
    """The runs of one message."""

    fresh: tuple[str, ...]
    """Those that stand in no earlier sentence of it."""
    distinct: frozenset[str]
    repeated: int
    """How many others there are."""


def repetition(text: str, earlier: Iterable[str]) -> float:
    """Return the share of the three-word runs of ``text`` that the agent has said before, 0..1.

    Said before: in the messages ``earlier`` or in an earlier sentence of ``text``. A sentence shorter than three words
    is one run.
    """
    own = _runs(text)
    said = frozenset[str]().union(*[_runs(message).distinct for message in earlier])
    total = len(own.fresh) + own.repeated
    return (sum(map(said.__contains__, own.fresh)) + own.repeated) / total if total else 0.0


@lru_cache(maxsize=2048)
def _runs(message: str) -> _Runs:
    seen: set[str] = set()
    fresh: list[str] = []
    total = 0
    for part in sentences(message[:_READ_LIMIT]):
        runs = _runs_of_sentence(part)
        fresh += [run for run in runs if run not in seen]
        total += len(runs)
        seen.update(runs)
    return _Runs(tuple(fresh), frozenset(seen), total - len(fresh))


@lru_cache(maxsize=8192)
def _runs_of_sentence(sentence: str) -> tuple[str, ...]:
    words = _WORD.findall(sentence.lower().replace("’", "'"))
    if len(words) < 3:
        return (" ".join(words),) if words else ()
    return tuple(map(" ".join, zip(words, words[1:], words[2:], strict=False)))
