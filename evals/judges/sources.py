"""Do the numbers, codes and times that an agent states come from somewhere?"""

from __future__ import annotations

import math
import re

from evals.dialogue import Dialogue

_STATED = re.compile(
    r"(?<![\w.])0\d{8,10}\b"  # telephone numbers
    r"|\b[A-Z0-9]{8}\b"  # references
    r"|\btr\d{4}\b"  # trains
    r"|\b[a-z]{1,2}\d{1,2}\s?\d[a-z]{2}\b"  # postcodes
    r"|\b\d{1,2}:\d{2}\b"  # times
    r"|\b\d+\.\d{2}\b",  # sums
    re.IGNORECASE,
)


def sourced(dialogue: Dialogue) -> float:
    """Return the share of stated numbers, codes and times that a tool or the customer gave before, 0..1.

    NaN where the agent stated none.
    """
    read = dialogue.briefing.lower()
    stated = right = 0
    for turn in dialogue.turns:
        if turn.seat != "service":
            read += f"\n{turn.shown.lower()}"
            continue
        said = _said(turn.shown)
        known = read.replace(" ", "")
        stated += len(said)
        right += sum(each in known for each in said)
        read += f"\n{turn.tool_message.lower()}"
    return right / stated if stated else math.nan


def _said(text: str) -> list[str]:
    """Return what a message states, in small letters; a word of eight letters is no reference."""
    found = (match[0].lower().replace(" ", "") for match in _STATED.finditer(text))
    return [each for each in found if any(map(str.isdigit, each))]
