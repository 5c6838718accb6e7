"""Whether a message says that the customer meets the lender's conditions, read by the cues of ``offers.toml``."""

from __future__ import annotations

import re

from td_gym.reading.sentences import lowered
from td_gym.scenarios.sales.figures import TABLES


def _any_phrase(phrases: list[str]) -> re.Pattern[str]:
    """Return a pattern of ``phrases``, each at the start of a word, but for "n't", which stands in one."""
    parted = [phrase for phrase in phrases if phrase.startswith("n't")]
    whole = [re.escape(phrase) for phrase in phrases if phrase not in parted]
    return re.compile("|".join([rf"(?<![a-z])(?:{'|'.join(whole)})", *parted]))


_CUES = {name: _any_phrase(phrases) for name, phrases in TABLES["eligible"].items()}


def is_mentioned(text: str) -> bool:
    """Return whether ``lowered`` text has a word without which nothing is said of eligibility."""
    return any(map(text.__contains__, TABLES["eligible_stems"]["any"]))


def eligibility(text: str) -> str:
    """Return ``yes`` or ``no`` when ``text`` says that the customer meets the conditions or not, else empty."""
    text = lowered(text)
    rest, denials = _CUES["no"].subn(" ", text)
    claims = _CUES["yes"].search(rest) is not None
    if _CUES["open"].search(text) or (denials and claims):
        return ""
    if not (denials or claims):
        return ""
    return "no" if denials else "yes"
