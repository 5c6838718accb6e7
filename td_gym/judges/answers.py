"""The training judge of answers to scaffold tasks: whether a text gives the one right answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from td_gym.reading.numerals import find_numbers
from td_gym.reading.sentences import sentences
from td_gym.scenario import ScaffoldTask

MATCH = "match"
"""Name of this judge's mark: 1 for the right answer, else 0."""
_WORD = re.compile(r"\w+")
_DIGITS = re.compile(r"\d(?:[\s-]?\d)*")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_MOST_WORDS = 25
"""A direct answer is no longer; what is longer may name everything there is."""
_TELLING = 5
"""Letters of a word that tells what a question is about."""
_DENIALS = frozenset(("no", "not", "none", "never", "nor", "neither", "cannot", "without"))
_ROUNDING = 0.005


def is_right(task: ScaffoldTask, text: str) -> bool:
    """Return whether ``text`` answers ``task`` directly, and with nothing but the right answer.

    A number may be written in any usual way, and no other may stand beside it but those of the question; digits with a
    zero ahead are a code, to be given digit by digit; a text that denies anything says no, and one that says yes, or
    asserts in a word of the question, yes; other answers are to be named as they are, but for case and punctuation.
    """
    words = _words(text)
    if not 0 < len(words) <= _MOST_WORDS:
        return False
    answer = task.answer
    if answer in ("yes", "no"):
        return _polarity(words, _words(task.question)) == answer
    if len(answer) > 1 and answer.isdigit() and answer.startswith("0"):
        return [re.sub(r"\D", "", code) for code in _DIGITS.findall(text)] == [answer]
    if _NUMBER.fullmatch(answer):
        return _states(text, task.question, float(answer))
    return f" {' '.join(_words(answer))} " in f" {' '.join(words)} "


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _polarity(words: Sequence[str], asked: Sequence[str]) -> str:
    """Return ``yes`` or ``no``, or neither where the words of a text say both or nothing."""
    contracted = any(word.endswith("n") and after == "t" for word, after in pairwise(words))
    denied = contracted or not _DENIALS.isdisjoint(words)
    if denied or "yes" in words:
        return "" if denied and "yes" in words else "no" if denied else "yes"
    return "yes" if any(len(word) >= _TELLING and word in words for word in asked) else ""


def _states(text: str, question: str, answer: float) -> bool:
    """Whether ``text`` states the number ``answer``, and beside it at most numbers of the ``question``."""
    stated = _readings(text)
    right = [any(abs(value - answer) < _ROUNDING for value in readings) for readings in stated]
    asked = _readings(question)
    return any(right) and all(ok or readings in asked for ok, readings in zip(right, stated, strict=True))


def _readings(text: str) -> list[tuple[float, float]]:
    found = [number for sentence in sentences(text.lower()) for number in find_numbers(sentence)]
    return [(number.value, number.other) for number in found]
