"""Ways in which small language models spoil a sentence, made from good ones with a fixed generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

FUNCTION_WORDS = frozenset(
    [
        "the",
        "a",
        "an",
        "to",
        "of",
        "for",
        "in",
        "on",
        "at",
        "from",
        "with",
        "is",
        "was",
        "are",
        "were",
        "be",
        "have",
        "has",
        "had",
        "can",
        "will",
        "would",
        "i",
        "you",
        "it",
        "that",
        "your",
        "my",
        "and",
        "am",
        "been",
        "not",
        "do",
        "did",
    ]
)
Spoil = Callable[[np.random.Generator, list[list[str]]], list[str] | None]


def splice(rng: np.random.Generator, pool: list[list[str]]) -> list[str] | None:
    """The beginning of one sentence and the end of another."""
    one, other = (pool[int(rng.integers(len(pool)))] for _ in range(2))
    if one is other:
        return None
    return one[: int(rng.integers(2, len(one)))] + other[int(rng.integers(1, len(other) - 1)) :]


def drop(rng: np.random.Generator, pool: list[list[str]]) -> list[str] | None:
    """One function word is lost."""
    one = pool[int(rng.integers(len(pool)))]
    places = [i for i, word in enumerate(one) if word.lower().strip(",;") in FUNCTION_WORDS]
    if not places:
        return None
    place = places[int(rng.integers(len(places)))]
    return one[:place] + one[place + 1 :]


def swap(rng: np.random.Generator, pool: list[list[str]]) -> list[str] | None:
    """Two neighbours change places."""
    one = pool[int(rng.integers(len(pool)))]
    place = int(rng.integers(len(one) - 1))
    return [*one[:place], one[place + 1], one[place], *one[place + 2 :]]


def truncate(rng: np.random.Generator, pool: list[list[str]]) -> list[str] | None:
    """The end is cut off."""
    one = pool[int(rng.integers(len(pool)))]
    return one[: int(rng.integers(2, len(one)))]


SPOILS: dict[str, Spoil] = {"splice": splice, "drop": drop, "swap": swap, "truncate": truncate}


def spoilt(kind: str, sentences: Sequence[str], count: int, seed: int = 0) -> list[str]:
    """Return ``count`` spoilt sentences that start with a capital and keep an end mark."""
    rng = np.random.default_rng(seed)
    pool = [words for words in (sentence[:-1].split() for sentence in sentences) if len(words) >= 5]
    originals = set(sentences)
    found: list[str] = []
    while len(found) < count:
        words = SPOILS[kind](rng, pool)
        if words is None:
            continue
        text = " ".join(words).rstrip(",;:") + "."
        text = text[0].upper() + text[1:]
        if text not in originals:
            found.append(text)
    return found
