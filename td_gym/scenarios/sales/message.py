"""What a message of the agent says.  It is read once, whoever asks: sentences recur where messages do not."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from td_gym.judges import wellformed
from td_gym.reading import repetition
from td_gym.reading.numerals import find_numbers
from td_gym.reading.repetition import Runs, runs_of
from td_gym.reading.sentences import curt, lowered, sentences, zeroed
from td_gym.scenarios.sales import style
from td_gym.scenarios.sales.acts import of_message, service_reader
from td_gym.scenarios.sales.eligibility import eligibility
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
    runs: list[Runs]
    """Its runs of words, by sentence."""
    wellformed: float
    stiffness: float
    is_curt: bool


class _Sentence(NamedTuple):
    acts: frozenset[str]
    figures: tuple[Figure, ...]
    numbers: int
    runs: Runs
    wellformed: bool
    stock: frozenset[str]


@lru_cache(maxsize=256)
def read(text: str) -> Message:
    """Return the readings of ``text``; the customer asks for those that the agent's side asked for before."""
    parts = _parts(text)

    def upto(limit: int) -> list[_Sentence]:
        return parts if len(text) <= limit else _parts(text[:limit])

    words = len(text.split())
    stock = frozenset[str]().union(*[part.stock for part in upto(style.READ_LIMIT)])
    return Message(
        of_message(frozenset().union(*[part.acts for part in parts])),
        tuple(chain.from_iterable([part.figures for part in parts])),
        sum([part.numbers for part in parts]),
        eligibility(text),
        [part.runs for part in upto(repetition.READ_LIMIT)],
        wellformed.share([part.wellformed for part in upto(wellformed.READ_LIMIT)]),
        style.stiffness(text, words, stock),
        curt(words, len(parts)),
    )


def _parts(text: str) -> list[_Sentence]:
    return list(map(_read_sentence, sentences(text)))


@lru_cache(maxsize=8192)
def _read_sentence(sentence: str) -> _Sentence:
    form, plain = zeroed(sentence), lowered(sentence)
    found = find_numbers(plain)
    return _Sentence(
        service_reader().read_form(form),
        figures_of(plain, found),
        len(found),
        runs_of(plain),
        wellformed.is_wellformed(sentence, form),
        style.stock_of(form),
    )
