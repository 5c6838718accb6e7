"""What a customer's profile question is about, read from free text by the cues of ``topics.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files

from td_gym.reading.sentences import sentences

_FIGURES = tuple("0123456789")
_READ_LIMIT = 1000


@cache
def _cues() -> Mapping[str, list[list[str]]]:
    return tomllib.loads(files(__package__).joinpath("topics.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=8192)
def topic_of(text: str) -> str:
    """Return the name of the profile question that ``text`` asks, empty when it asks none.

    A question ends in a question mark or begs for an answer in words; only the first 1,000 characters are read.
    """
    cues = _cues()
    begging = cues["begging"][0]
    lowered = text[:_READ_LIMIT].lower()
    asked = " ".join(
        part for part in sentences(lowered) if part.endswith("?") or any(phrase in part for phrase in begging)
    )
    for topic, lines in cues.items():
        if topic != "begging" and all(any(_holds(asked, cue) for cue in line) for line in lines):
            return topic
    return ""


def _holds(text: str, cue: str) -> bool:
    return any(figure in text for figure in _FIGURES) if cue == "#" else cue in text
