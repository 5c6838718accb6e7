"""What a customer's profile question is about, read from free text by the cues of ``topics.toml``."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from personas.packaged import packaged_toml
from td_gym.reading.sentences import sentences, zeroed

_READ_LIMIT = 1000


@cache
def _topics() -> dict[str, tuple[re.Pattern[str], ...]]:
    table = packaged_toml(__package__, "topics.toml")
    return {topic: tuple(map(_any_of, lines)) for topic, lines in table.items()}


def _any_of(cues: list[str]) -> re.Pattern[str]:
    return re.compile("|".join("[0-9]" if cue == "#" else re.escape(cue) for cue in cues))


def topic_of(text: str) -> str:
    """Return the name of the profile question that ``text`` asks, empty when it asks none.

    A question ends in a question mark or begs for an answer in words; only the first 1,000 characters are read.
    """
    return _topic_of(" ".join(filter(None, map(_asked, sentences(text[:_READ_LIMIT])))))


@lru_cache(maxsize=8192)
def _asked(sentence: str) -> str:
    """Return a sentence that asks something in small letters, without its figures; empty for any other."""
    (begging,) = _topics()["begging"]
    lowered = sentence.lower()
    return zeroed(lowered) if lowered.endswith("?") or begging.search(lowered) else ""


@lru_cache(maxsize=8192)
def _topic_of(asked: str) -> str:
    for topic, lines in _topics().items():
        if topic != "begging" and all(line.search(asked) for line in lines):
            return topic
    return ""
