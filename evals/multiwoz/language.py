"""What is measured on the words alone: BLEU, and how rich the language is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import log2
from typing import NamedTuple

from sacrebleu import corpus_bleu

_PUNCTUATION = str.maketrans("", "", "'.,?!)(%/-_:;")


class Richness(NamedTuple):
    """How many different words and triples of words there are, and how uncertain the next word is."""

    unique_unigrams: int
    unique_trigrams: int
    cbe: float
    """Conditional bigram entropy in bits."""


def bleu(responses: Sequence[str], references: Sequence[str]) -> float:
    """Return corpus BLEU, 0 to 100, of normal ``responses`` against one reference each, by sacrebleu's defaults."""
    return corpus_bleu(responses, [references]).score


def words(response: str) -> list[str]:
    """Return the words of a normal ``response`` without punctuation, in lower case.

    Punctuation that stood alone leaves an empty word at the start or end, which the standard counts.
    """
    return re.sub(r"\s+", " ", response.replace("``", "").translate(_PUNCTUATION)).lower().split(" ")


def richness(responses: Iterable[str]) -> Richness:
    """Return the richness of normal ``responses``.

    The conditional bigram entropy is ``-sum p(v, w) log2 p(w | v)`` over pairs in one response, with
    ``p(v, w) = count(v, w) / N`` and ``p(w | v) = count(v, w) / count(v)``; ``N`` and ``count(v)`` count all words,
    last words of a response too.
    """
    unigrams, bigrams, trigrams = Counter[str](), Counter[tuple[str, str]](), set[tuple[str, str, str]]()
    for response in responses:
        said = words(response)
        unigrams.update(said)
        bigrams.update(pairwise(said))
        trigrams.update(zip(said, said[1:], said[2:], strict=False))
    total = unigrams.total()
    cbe = -sum(count / total * log2(count / unigrams[first]) for (first, _), count in bigrams.items())
    return Richness(len(unigrams), len(trigrams), cbe)
