"""How the second prospect understands a service message: cues of ``customer_b.toml`` give points, sentence by sentence.

A sentence is about a theme when its cues reach the points that the theme needs.  A cue shortly behind a negation
counts as denied.  Sentences whose words do not hold together are about nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from personas.packaged import packaged_toml
from td_gym.scenarios.sales.credit import Question

DATA = packaged_toml(__package__, "customer_b.toml")
"""The tables of ``customer_b.toml``."""

_READ_LIMIT = 3000
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")
_TOKEN = re.compile(r"[$€£]?\s?[0-9][0-9.,]*|[a-z]+|%")
_SHORT = (
    ("no,", "nope,"),
    ("can't", "can not"),
    ("cannot", "can not"),
    ("won't", "will not"),
    ("n't", " not"),
    ("'re", " are"),
    ("'ll", " will"),
    ("'ve", " have"),
    ("'d", " would"),
    ("'m", " am"),
    ("let's", "let us"),
    ("'s", " is"),
    ("-", " "),
    ("%", " percent"),
)
_NO_DIGITS = "$€£ .,\x1c\x1d\x1e\x1f"
"""What may stand round a figure; the separators of files count as space, though not to ``float``."""
_UNITS = {"percent": "percent", "day": "days", "days": "days", "month": "months", "months": "months"}
_REACH = 5
"""Words that a negation reaches."""
_MOST_THEMES, _MOST_FIGURES = 4, 3
"""Themes that one sentence, and figures that one answer, can have without being a heap."""
_GLUED = 0.25
_LONG_ENOUGH = 6
_SAME = 0.75
"""Share of its words that make a sentence one that was said before."""


class Figure(NamedTuple):
    """A number and its unit: ``money``, ``percent``, ``days`` or ``months``."""

    value: float
    unit: str


class Sentence(NamedTuple):
    """What one sentence says."""

    themes: frozenset[str]
    denied: frozenset[str]
    """Themes that a negation turned round."""
    words: tuple[str, ...]
    bag: frozenset[str]
    """The words without their order."""
    figures: tuple[Figure, ...]


class Heard(NamedTuple):
    """What one message says to the customer."""

    themes: frozenset[str]
    denied: frozenset[str]
    sentences: tuple[Sentence, ...]
    words: int
    figured: frozenset[str]
    """Themes of sentences with a figure in them."""


class _Theme(NamedTuple):
    name: str
    needs: int
    ask: bool | None


Cue = tuple[tuple[str, ...], int, int]
"""The words after the first, the number of the theme, the points."""

_GRAMMAR = {name: frozenset(words) for name, words in DATA["grammar"].items()}
_THEMES = tuple(_Theme(name, table["needs"], table.get("ask")) for name, table in DATA["themes"].items())
_ANSWERS = {name: (table["unit"], frozenset(table["words"])) for name, table in DATA["answers"].items()}
_TELLING = frozenset().union(*(words for _, words in _ANSWERS.values()))
"""Words that say what a figure is."""


def _cues() -> tuple[dict[str, list[Cue]], dict[str, list[Cue]]]:
    """Return the cues by first word, and those of word stems by stem."""
    exact: dict[str, list[Cue]] = {}
    stems: dict[str, list[Cue]] = {}
    for number, table in enumerate(DATA["themes"].values()):
        for points, phrases in table.items():
            for phrase in phrases if isinstance(phrases, list) else ():
                first, *rest = phrase.split()
                where = stems if first.endswith("*") else exact
                where.setdefault(first.rstrip("*"), []).append((tuple(rest), number, int(points)))
    return exact, stems


_EXACT, _STEMS = _cues()


@lru_cache(maxsize=16384)
def _cues_at(word: str) -> tuple[Cue, ...]:
    found = list(_EXACT.get(word, ()))
    for end in range(3, len(word) + 1):
        found += _STEMS.get(word[:end], ())
    return tuple(found)


@lru_cache(maxsize=4096)
def read(text: str) -> Heard:
    """Read a service message; any text will do, only its first 3,000 characters count."""
    lowered = text[:_READ_LIMIT].lower().replace("’", "'")
    sentences = tuple(filter(lambda sentence: sentence.words, map(_read_sentence, _SENTENCE.split(lowered))))
    return Heard(
        frozenset().union(*(sentence.themes for sentence in sentences)),
        frozenset().union(*(sentence.denied for sentence in sentences)),
        sentences,
        sum(len(sentence.words) for sentence in sentences),
        frozenset().union(*(sentence.themes for sentence in sentences if sentence.figures)),
    )


@lru_cache(maxsize=16384)
def _read_sentence(sentence: str) -> Sentence:
    asks = sentence.rstrip(" \"')").endswith("?")
    for short, full in _SHORT:
        sentence = sentence.replace(short, full)
    tokens: list[str] = _TOKEN.findall(sentence)
    words = tuple("#" if token[-1] in "0123456789.," else token for token in tokens)
    figures = tuple(_figures(tokens))
    if not _holds_together(words):
        return Sentence(frozenset(), frozenset(), words, frozenset(words), figures)
    asks = asks or (len(words) > 2 and words[0] in _GRAMMAR["asks_first"] and words[1] in ("you", "i", "we"))
    said, denied = _points(words)
    themes = frozenset(theme.name for theme, sum_ in zip(_THEMES, said, strict=True) if _is_meant(theme, sum_, asks))
    turned = frozenset(theme.name for theme, sum_ in zip(_THEMES, denied, strict=True) if sum_ >= theme.needs)
    if len(themes - {"greeting", "caller"}) > _MOST_THEMES:
        themes = frozenset()
    return Sentence(themes, turned, words, frozenset(words), figures)


def _is_meant(theme: _Theme, points: int, asks: bool) -> bool:
    return points >= theme.needs and theme.ask in (None, asks)


def _points(words: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return the points of every theme: for what is said, and for what is denied."""
    said, denied = [0] * len(_THEMES), [0] * len(_THEMES)
    counted: set[tuple[tuple[str, ...], str, int]] = set()
    reach = -1
    for place, word in enumerate(words):
        for rest, theme, points in _cues_at(word):
            if rest != words[place + 1 : place + 1 + len(rest)] or (rest, word, theme) in counted:
                continue
            counted.add((rest, word, theme))
            (denied if place < reach and points > 0 else said)[theme] += points
        if word in _GRAMMAR["negation"]:
            reach = place + 1 + _REACH
    return said, denied


def _holds_together(words: Sequence[str]) -> bool:
    """Say whether words could be a sentence: no broken ends and neighbours, and enough small words between."""
    count = len(words)
    if count < _LONG_ENOUGH:
        return True
    if words[-1] in _GRAMMAR["never_last"] or len(set(words)) < 0.5 * count:
        return False
    if any(
        left in _GRAMMAR["determiner"] and right in _GRAMMAR["never_after_determiner"]
        for left, right in pairwise(words)
    ):
        return False
    return sum(word in _GRAMMAR["glue"] for word in words) >= _GLUED * count


def _figures(tokens: Sequence[str]) -> Iterator[Figure]:
    for token, after in zip(tokens, [*tokens[1:], ""], strict=False):
        if token[-1] in "0123456789.,":
            value = _value(token.strip(_NO_DIGITS))
            if value is not None:
                yield Figure(value, _UNITS.get(after, "money"))


def _value(digits: str) -> float | None:
    """Return a written number: a mark before exactly three last digits groups thousands, else it is the point."""
    head, mark, tail = digits.rpartition(max(",.", key=digits.rfind)) if set(digits) & {",", "."} else (digits, "", "")
    whole = re.sub("[.,]", "", head)
    if len(whole) + len(tail) > 12:
        return None
    return float(whole + tail) if not mark or (len(tail) == 3 and whole != "0") else float(f"{whole}.{tail}")


def verdict(heard: Heard, question: Question) -> str:
    """Return whether a message answers ``question``: ``right``, ``wrong``, or empty for not at all."""
    if question.kind == "word":
        said = _yes_or_no(heard)
        return "" if not said else "right" if said == question.answer else "wrong"
    unit, words = _ANSWERS[question.name]
    near = [sentence for sentence in heard.sentences if words & sentence.bag]
    near = near or [sentence for sentence in heard.sentences if not _TELLING & sentence.bag]
    values = {
        figure.value
        for sentence in near
        for figure in sentence.figures
        if figure.unit == unit and figure.value != question.amount
    }
    if not values:
        return ""
    exact = any(abs(value - float(question.answer)) < 0.0051 for value in values)
    return "right" if exact and len(values) <= _MOST_FIGURES else "wrong"


def _yes_or_no(heard: Heard) -> str:
    if "qualifies" in heard.denied:
        return "no"
    if "qualifies" in heard.themes:
        return "yes"
    opening = heard.sentences[0].words[0] if heard.sentences else ""
    return {"yes": "yes", "no": "no", "nope": "no"}.get(opening, "")


def echo(heard: Heard, earlier: Sequence[Heard]) -> float:
    """Return the share of a message's words that stand in sentences said before, in ``earlier`` or in itself."""
    if not heard.words:
        return 0.0
    told = [sentence.bag for message in earlier for sentence in message.sentences]
    again = 0
    for sentence in heard.sentences:
        if any(_alike(sentence.bag, other) for other in told):
            again += len(sentence.words)
        told.append(sentence.bag)
    return again / heard.words


def _alike(words: frozenset[str], other: frozenset[str]) -> bool:
    shared = len(words & other)
    return shared >= _SAME * (len(words) + len(other) - shared)
