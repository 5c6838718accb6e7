"""What a message of the agent says.  It is read once, whoever asks: sentences recur where messages do not."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from td_gym.judges import wellformed
from td_gym.reading import repetition
from td_gym.reading.numerals import numbers_of
from td_gym.reading.repetition import Runs, runs_of
from td_gym.reading.sentences import curt, lowered, sentences, zeroed
from td_gym.scenarios.sales import style
from td_gym.scenarios.sales.acts import of_message, service_reader
from td_gym.scenarios.sales.eligibility import eligibility, is_mentioned
from td_gym.scenarios.sales.figures import Figure, figures_of


class Message(NamedTuple):
    """The readings of one message."""

    acts: frozenset[str]
    """Its dialogue acts, as ``detect_acts`` finds them."""
    figures: tuple[Figure, ...]
    numbers: int
    """How many numbers it states."""
    eligible: str
    """Whether it says that the customer is eligible: ``yes``, ``no`` or empty."""
    runs: tuple[Runs, ...]
    """Its runs of words, by sentence."""
    wellformed: float
    stiffness: float
    is_curt: bool


class _Form(NamedTuple):
    """The readings of a ``zeroed`` sentence, which hold for every sentence of that form."""

    plain: str
    """The form in small letters."""
    acts: frozenset[str]
    stock: tuple[str, ...]
    wellformed: bool
    """Whether it is well-formed whatever its figures."""
    mentions: bool


class _Sentence(NamedTuple):
    acts: frozenset[str]
    figures: tuple[Figure, ...]
    numbers: int
    runs: Runs
    wellformed: bool
    stock: tuple[str, ...]
    mentions: bool
    """Whether eligibility may be spoken of."""


class _Sentences(NamedTuple):
    """The readings of several sentences, each kind in a tuple."""

    acts: tuple[frozenset[str], ...] = ()
    figures: tuple[tuple[Figure, ...], ...] = ()
    numbers: tuple[int, ...] = ()
    runs: tuple[Runs, ...] = ()
    wellformed: tuple[bool, ...] = ()
    stock: tuple[tuple[str, ...], ...] = ()
    mentions: tuple[bool, ...] = ()


@lru_cache(maxsize=256)
def read(text: str) -> Message:
    """Return the readings of ``text``; the customer asks for those that the agent's side asked for before."""
    whole = _sentences(text)

    def upto(limit: int) -> _Sentences:
        return whole if len(text) <= limit else _sentences(text[:limit])

    words = len(text.split())
    stock: frozenset[str] = frozenset().union(*upto(style.READ_LIMIT).stock)
    return Message(
        of_message(frozenset().union(*whole.acts)),
        tuple(chain.from_iterable(whole.figures)),
        sum(whole.numbers),
        eligibility(text) if any(whole.mentions) else "",
        upto(repetition.READ_LIMIT).runs,
        wellformed.share(upto(wellformed.READ_LIMIT).wellformed),
        style.stiffness(text, words, stock),
        curt(words, len(whole.acts)),
    )


def _sentences(text: str) -> _Sentences:
    return _Sentences(*zip(*map(_read_sentence, sentences(text)), strict=True))


@lru_cache(maxsize=8192)
def _read_sentence(sentence: str) -> _Sentence:
    form, plain = zeroed(sentence), lowered(sentence)
    known = _read_form(form)
    found = numbers_of(plain, known.plain)
    return _Sentence(
        known.acts,
        figures_of(known.plain, found),
        len(found),
        runs_of(plain),
        known.wellformed or wellformed.is_wellformed(sentence, form),
        known.stock,
        known.mentions,
    )


@lru_cache(maxsize=8192)
def _read_form(form: str) -> _Form:
    plain = lowered(form)
    return _Form(
        plain,
        service_reader().read_form(form),
        style.stock_of(plain),
        wellformed.is_wellformed(form, form),
        is_mentioned(plain),
    )
