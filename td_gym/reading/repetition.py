"""How much of a message was said before, counted in runs of three words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from td_gym.reading.sentences import sentences

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_READ_LIMIT = 4096


class Said:
    """The three-word runs that an agent has said so far; nothing at first."""

    def __init__(self) -> None:
        self._runs: set[str] = set()

    def add(self, text: str) -> float:
        """Take in the next message and return the share of its runs that the agent had said before, 0..1.

        Said before: in an earlier message or in an earlier sentence of ``text``.  A sentence shorter than three words
        is one run.
        """
        said = self._runs
        total = repeated = 0
        for sentence in sentences(text[:_READ_LIMIT]):
            runs = _runs_of(sentence)
            total += len(runs)
            repeated += sum(map(said.__contains__, runs))
            said.update(runs)
        return repeated / total if total else 0.0


def repetition(text: str, earlier: Iterable[str]) -> float:
    """Return the share of ``text`` that an agent who said ``earlier`` so far has said before; see ``Said``."""
    said = Said()
    for message in earlier:
        said.add(message)
    return said.add(text)


@lru_cache(maxsize=8192)
def _runs_of(sentence: str) -> tuple[str, ...]:
    words = _WORD.findall(sentence.lower().replace("’", "'"))
    if len(words) < 3:
        return (" ".join(words),) if words else ()
    return tuple(map(" ".join, zip(words, words[1:], words[2:], strict=False)))
