"""How much of a message was said before, counted in runs of three words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from td_gym.reading.sentences import lowered, sentences

READ_LIMIT = 4096
"""Characters of a message that are read for it."""
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")

Runs = Sequence[str]
"""The runs of a sentence, in order."""


class Said:
    """The runs of what an agent has said so far; nothing at first."""

    def __init__(self) -> None:
        self._runs: set[str] = set()

    def add(self, message: Iterable[Runs]) -> float:
        """Take in the next message, sentence by sentence; return the share of its runs that was said before, 0..1.

        Said before: in an earlier message or in an earlier sentence of this one.
        """
        said = self._runs
        total = repeated = 0
        for runs in message:
            total += len(runs)
            repeated += sum(map(said.__contains__, runs))
            said.update(runs)
        return repeated / total if total else 0.0


def repetition(text: str, earlier: Iterable[str]) -> float:
    """Return the share of ``text`` that an agent who said ``earlier`` so far has said before; see ``Said``."""
    said = Said()
    for message in earlier:
        said.add(runs(message))
    return said.add(runs(text))


def runs(text: str) -> tuple[Runs, ...]:
    """Return the runs of each sentence of ``text``."""
    return tuple(map(_remembered, sentences(text[:READ_LIMIT])))


def runs_of(sentence: str) -> Runs:
    """Return the runs of three words of a ``lowered`` sentence; a shorter one is one run."""
    words = _WORD.findall(sentence)
    if len(words) < 3:
        return (" ".join(words),) if words else ()
    return tuple(map(" ".join, zip(words, words[1:], words[2:], strict=False)))


@lru_cache(maxsize=8192)
def _remembered(sentence: str) -> Runs:
    return runs_of(lowered(sentence))
