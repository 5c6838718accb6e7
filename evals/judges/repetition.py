"""How often an agent says again what it has said: by word n-grams over its own sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evals.dialogue import Dialogue
from evals.judges.reading import sentences, words

ORDER = 3


def repetition(dialogue: Dialogue) -> float:
    """Return the share of word trigrams that stood in an earlier sentence of the agent, 0..1.

    A sentence shorter than three words counts as one, so that short ones cannot be said again for free.
    NaN when the agent never wrote a second sentence.
    """
    wording = [words(sentence) for turn in dialogue.service_turns for sentence in sentences(turn.shown)]
    said = [ngrams(each, min(ORDER, len(each))) for each in wording if each]
    earlier = set(said[0]) if said else set()
    again = total = 0
    for runs in said[1:]:
        again += sum(run in earlier for run in runs)
        total += len(runs)
        earlier.update(runs)
    return again / total if total else math.nan


def distinct_2(dialogue: Dialogue) -> float:
    """Return distinct word bigrams / all word bigrams of the agent's text (distinct-2, Li et al. 2016), 0..1."""
    bigrams = [
        bigram
        for turn in dialogue.service_turns
        for sentence in sentences(turn.shown)
        for bigram in ngrams(words(sentence), 2)
    ]
    return len(set(bigrams)) / len(bigrams) if bigrams else math.nan


def ngrams(tokens: Sequence[str], order: int) -> list[tuple[str, ...]]:
    """Return the runs of ``order`` words in ``tokens``, in order and in lower case."""
    lowered = [token.lower() for token in tokens]
    return [tuple(lowered[at : at + order]) for at in range(len(lowered) - order + 1)]
