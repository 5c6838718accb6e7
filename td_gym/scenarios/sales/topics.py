"""What a customer's profile question is about, read from free text by the cues of ``topics.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files

_FIGURES = tuple("0123456789")


@cache
def _cues() -> Mapping[str, list[list[str]]]:
    return tomllib.loads(files(__package__).joinpath("topics.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=8192)
def topic_of(text: str) -> str:
    """Return the name of the profile question that ``text`` asks, empty when it asks none."""
    questions = [part for part in text.lower().replace("?", "?\n").splitlines() if part.rstrip().endswith("?")]
    asked = " ".join(questions) or text.lower()
    for topic, lines in _cues().items():
        if all(any(_holds(asked, cue) for cue in line) for line in lines):
            return topic
    return ""


def _holds(text: str, cue: str) -> bool:
    return any(figure in text for figure in _FIGURES) if cue == "#" else cue in text
