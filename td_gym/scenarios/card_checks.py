"""What scenarios share that tell how true a customer is to its card; for audits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from td_gym.turns import EndMark, split_end_mark

if TYPE_CHECKING:
    from td_gym.episode import Episode
    from td_gym.scenario import CustomerCheck

TERSE = 30
"""Words of a message from which one does not write in few words."""
_WORD = re.compile(r"\w")
_GREETING = re.compile(
    r"\s*(?:(?:hi|hello|hey|greetings|dear)\b(?!\s*\?)|good (?:morning|day|afternoon|evening)\b)(?!.*\bgoodbye\b)",
    re.IGNORECASE,
)
"""A lone "Hello?" asks whether anybody is there, and "good day and goodbye" parts."""
_INSULT = re.compile(
    r"\b(?:idiots?|morons?|imbeciles?|stupid|dumb|useless|liars?|scum|crooks?|thieves|thief|clowns?|pathetic|"
    r"incompetent|bastards?|jerks?|scammers?|shut up|get lost|go to hell|shame on you|screw you|fuck)\b",
    re.IGNORECASE,
)


def against_style(style: str, text: str, may_greet: bool = False) -> str:
    """Return what in ``text`` goes against a ``communication_style``, empty for nothing.

    ``terse`` is few words and no greeting, unless it ``may_greet``; ``polite`` insults nobody.  Nothing is told of
    ``chatty`` and ``sarcastic``, which show over many messages if at all.
    """
    if style == "terse":
        if len([word for word in text.split() if _WORD.search(word)]) > TERSE:
            return f"is terse by its card, and writes more than {TERSE} words"
        if not may_greet and _GREETING.match(text):
            return "is terse by its card, and greets"
    return "is polite by its card, and insults" if style == "polite" and insults(text) else ""


def checks(*functions: Callable[[Any], str | None]) -> Mapping[str, CustomerCheck]:
    """Return checks by the fault that each finds, which is its function's name."""
    return {function.__name__: function for function in functions}


def closing_mark(episode: Episode) -> EndMark | None:
    """Return the end mark of the last message, ``None`` where that does not close the conversation."""
    return None if episode.outcome is None else split_end_mark(episode.transcript[-1].text)[1]


def insults(text: str) -> bool:
    """Return whether ``text`` holds a word of abuse."""
    return _INSULT.search(text) is not None
