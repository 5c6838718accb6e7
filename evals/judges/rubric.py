"""A rubric: named items, each a function from a dialogue to 0, 1 or 2."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

from evals.dialogue import Dialogue
from evals.judges.reading import sentences, words

Item = Callable[[Dialogue], int]


def grade(share: float) -> int:
    """Return 2 for a full share, 1 for at least a half, else 0."""
    return 2 if share >= 1.0 else 1 if share >= 0.5 else 0


def total(items: Sequence[Item], dialogue: Dialogue) -> float:
    """Return the sum of ``items``; 0 for a dialogue in which the service never said anything."""
    if not any(words(turn.shown) for turn in dialogue.service_turns):
        return 0.0
    return float(sum(item(dialogue) for item in items))


def service_texts(dialogue: Dialogue) -> list[str]:
    """Return what the service seat said, turn by turn."""
    return [turn.shown for turn in dialogue.service_turns]


def exchanges(dialogue: Dialogue) -> list[tuple[str, str]]:
    """Return (customer message, the service message that answered it) for every answered message."""
    shown = [(turn.seat, turn.shown) for turn in dialogue.turns if turn.seat in ("service", "customer")]
    return [(a, b) for (one, a), (other, b) in pairwise(shown) if (one, other) == ("customer", "service")]


def repetitions(dialogue: Dialogue) -> int:
    """Return how many service sentences of four or more words say again, word for word, an earlier one."""
    said = Counter(
        tuple(words(sentence))
        for text in service_texts(dialogue)
        for sentence in sentences(text)
        if len(words(sentence)) > 3
    )
    return sum(count - 1 for count in said.values())
