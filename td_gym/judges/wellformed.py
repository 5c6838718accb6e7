"""Training judge of form: which share of a message's sentences could stand in a letter.

A cheap reading of word order, not a grammar: it exists so that fused half-sentences and keyword
lists earn nothing in training.  Evaluation measures fluency by other code.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from itertools import pairwise, product
from operator import eq

from personas.packaged import packaged_toml
from td_gym.reading.sentences import ASCII, lowered, sentences, zeroed

READ_LIMIT = 2000
"""Characters of a message that are judged."""
_LISTS = packaged_toml(__package__, "wellformed.toml")


def _lists(*names: str) -> tuple[str, ...]:
    return tuple(word for name in names for word in _LISTS[name])


# Words that cannot follow one another, as (first words, second words).
_NEVER = (
    (_lists("determiners"), _lists("determiners", "be", "modals", "pronouns", "have", "prepositions", "no_noun")),
    (_lists("prepositions"), (*_lists("be", "modals", "pronouns"), "has", "had", "and", "or", "to", "of")),
    (_lists("modals"), (*_lists("determiners", "be", "modals", "prepositions"), "has", "had")),
    (("i", "we"), (*_lists("determiners", "prepositions"), "is", "you", "i", "we")),
    (_lists("be"), (*_lists("be", "modals"), "has", "had")),
)
_BROKEN_PAIRS = frozenset(pair for first, second in _NEVER for pair in product(first, second))
_DANGLING = frozenset(
    [word + stop for word in _lists("determiners", "dangling") for stop in ".!?"]
    + [word + "," for word in _lists("determiners")]
)
_PREDICATES = frozenset(_lists("predicates"))
_ENDINGS = ("ed", "s", "ing")
_NO_PUNCTUATION = ASCII | str.maketrans("", "", '.,;:!?"()“”')


def wellformed(text: str) -> float:
    """Return the share of well-formed sentences in ``text``, 0..1; 0 for an empty message."""
    return share(list(map(_remembered, sentences(text[:READ_LIMIT]))))


def share(wellformed: Collection[bool]) -> float:
    """Return how many of a message's sentences are well-formed, as a share; 0 where there are none."""
    return sum(wellformed) / len(wellformed) if wellformed else 0.0


def is_wellformed(sentence: str, form: str) -> bool:
    """Whether a sentence, whose ``zeroed`` form is ``form``, has the form of one, and no word stands twice in a row."""
    return _has_form(form) and not (_stammers(form) and _stammers(sentence))  # two figures in a row may differ


@lru_cache(maxsize=8192)
def _remembered(sentence: str) -> bool:
    return is_wellformed(sentence, zeroed(sentence))


@lru_cache(maxsize=8192)
def _stammers(sentence: str) -> bool:
    words = _words(lowered(sentence))
    return any(map(eq, words, words[1:]))


def _words(text: str) -> list[str]:
    return text.translate(_NO_PUNCTUATION).split()


@lru_cache(maxsize=8192)
def _has_form(sentence: str) -> bool:
    """Whether a sentence begins and ends like one, has a predicate, and no two words clash."""
    if sentence[-1] not in ".!?" or not (sentence[0].isupper() or sentence[0].isdigit() or sentence[0] in "[\"'“"):
        return False
    text = lowered(sentence)
    tokens = text.split()
    if len(tokens) > 40 or not _DANGLING.isdisjoint(tokens):
        return False
    words = _words(text)
    if len(words) > 1 and _PREDICATES.isdisjoint(words) and not any(word.endswith(_ENDINGS) for word in words):
        return False
    return _BROKEN_PAIRS.isdisjoint(pairwise(words))
