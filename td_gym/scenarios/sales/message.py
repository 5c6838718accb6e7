"""What a message of the agent says.  It is read once, whoever asks: sentences recur where messages do not."""

from __future__ import annotations

from functools import lru_cache
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
    """What a ``zeroed`` sentence says: so does every sentence of that form, whatever its figures."""

    plain: str
    """The form in small letters."""
    words: int
    """How many words it has."""
    acts: frozenset[str]
    stock: tuple[str, ...]
    wellformed: bool
    """Whether it is well-formed with any figures."""
    on_eligibility: bool
    """Whether it may speak of eligibility."""


class _Sentence(NamedTuple):
    form: _Form
    figures: tuple[Figure, ...]
    numbers: int
    runs: Runs
    wellformed: bool


@lru_cache(maxsize=1024)
def read(text: str) -> Message:
    """Return the readings of ``text``; the customer asks for those that the agent's side asked for before."""
    parts = _parts(text)
    acts: set[str] = set()
    figures: list[Figure] = []
    words = numbers = 0
    on_eligibility = False
    for part in parts:
        acts |= part.form.acts
        figures += part.figures
        words += part.form.words
        numbers += part.numbers
        on_eligibility = on_eligibility or part.form.on_eligibility

    def upto(limit: int) -> list[_Sentence]:
        return parts if len(text) <= limit else _parts(text[:limit])

    return Message(
        of_message(frozenset(acts)),
        tuple(figures),
        numbers,
        eligibility(text) if on_eligibility else "",
        tuple([part.runs for part in upto(repetition.READ_LIMIT)]),
        wellformed.share([part.wellformed for part in upto(wellformed.READ_LIMIT)]),
        style.stiffness(text, words, {phrase for part in upto(style.READ_LIMIT) for phrase in part.form.stock}),
        curt(words, len(parts)),
    )


def _parts(text: str) -> list[_Sentence]:
    return list(map(_read_sentence, sentences(text)))


@lru_cache(maxsize=8192)
def _read_sentence(sentence: str) -> _Sentence:
    zeros, plain = zeroed(sentence), lowered(sentence)
    form = _read_form(zeros)
    found = numbers_of(plain, form.plain)
    return _Sentence(
        form,
        figures_of(form.plain, found),
        len(found),
        runs_of(plain),
        form.wellformed or wellformed.is_wellformed(sentence, zeros),
    )


@lru_cache(maxsize=8192)
def _read_form(zeros: str) -> _Form:
    plain = lowered(zeros)
    return _Form(
        plain,
        len(plain.split()),
        service_reader().read_form(zeros),
        style.stock_of(plain),
        wellformed.is_wellformed(zeros, zeros),
        is_mentioned(plain),
    )
