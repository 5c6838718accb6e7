"""The training judges of a single reply, by rules: the rewards of MORE (arXiv 2606.09293), each 0..1.

The paper names the rewards; what a rule takes for each of them is ours.  They know nothing of a scenario: they read the
words of both seats, the numbers that the agent could know, and the engine's grade of the move.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Any, NamedTuple

from personas.packaged import packaged_toml
from td_gym.errors import TdGymError
from td_gym.judges.wellformed import wellformed
from td_gym.reading.numerals import numbers
from td_gym.reading.repetition import repetition
from td_gym.reading.sentences import is_curt, sentences

_LISTS = packaged_toml(__package__, "replies.toml")
_COMMON = frozenset(_LISTS["common"])
_STEM = 5
"""Letters by which two forms of a word are recognised as one."""
_SAME = {word[:_STEM]: words[0][:_STEM] for words in _LISTS["same"] for word in words}
_REQUEST = re.compile(rf"\b(?:{'|'.join(_LISTS['requests'])})\b")
_FOR_A_NUMBER = re.compile(rf"\b(?:{'|'.join(_LISTS['quantities'])})\b")
_WORD = re.compile(r"[^\W\d_]+")
_MOST_SENTENCES, _MOST_WORDS = 3, 60
_TURNS_BACK = 5
_ROUNDING = 0.005
_TOP_GRADE = 3


class Reply(NamedTuple):
    """A service turn as the judges see it."""

    text: str
    """What the customer reads."""
    heard: str
    """The customer's message that it answers."""
    said: tuple[str, ...]
    """What the agent said before, in order."""
    known: frozenset[float]
    """Numbers that the agent has read or can look up."""
    admissible: bool
    """The move is one the procedure allows here, and no tool refused it."""
    score: float
    """The mean of the scenario's own turn terms, each scaled to 0..1."""
    relevance: int
    """The engine's grade of how the customer took it, 0..3."""


def judge(reply: Reply) -> dict[str, float]:
    """Return every reward of ``reply`` by name; all are 0 where the customer has nothing to read."""
    rewards = {
        "naturalness": naturalness(reply.text),
        "contextual_reasoning": contextual_reasoning(reply.admissible, reply.score, reply.relevance),
        "semantic_fidelity": semantic_fidelity(reply.text, reply.known),
        "demand_coverage": demand_coverage(reply.text, reply.heard),
        "low_redundancy": 1.0 - repetition(reply.text, reply.said[-_TURNS_BACK:]),
        "no_repetition": 1.0 - repetition(reply.text, ()),
    }
    return rewards if reply.text else dict.fromkeys(rewards, 0.0)


def naturalness(text: str) -> float:
    """Return the share of well-formed sentences, halved for a telegram and for a speech.

    A telegram has three words or fewer a sentence; a speech more than 3 sentences or 60 words.
    """
    speech = len(sentences(text)) > _MOST_SENTENCES or len(text.split()) > _MOST_WORDS
    return wellformed(text) * (0.5 if not text or is_curt(text) or speech else 1.0)


def contextual_reasoning(admissible: bool, score: float, relevance: int) -> float:
    """Return half the turn's ``score``, 0 where the move is not admissible, and half by how the customer took it."""
    return 0.5 * admissible * score + 0.5 * relevance / _TOP_GRADE


def semantic_fidelity(text: str, known: Collection[float]) -> float:
    """Return the share of the numbers in ``text`` that are ``known``; 1 where it states none."""
    stated = numbers(text)
    return sum(any(abs(n - k) < _ROUNDING for k in known) for n in stated) / len(stated) if stated else 1.0


def demand_coverage(text: str, heard: str) -> float:
    """Return the share of the customer's demands that ``text`` takes up; 1 where it demands nothing.

    A demand is a question or a request.  It is taken up by a word of its own or one for the same, one for a quantity by
    any number too, and one of common words only by whatever is said.
    """
    demands = [part for part in sentences(heard.lower()) if part.endswith("?") or _REQUEST.search(part)]
    answered = [_takes_up(text.lower(), demand) for demand in demands]
    return sum(answered) / len(answered) if answered else 1.0


def _takes_up(text: str, demand: str) -> bool:
    asked = _stems(demand)
    if not asked:
        return bool(text)
    return not asked.isdisjoint(_stems(text)) or (_FOR_A_NUMBER.search(demand) is not None and bool(numbers(text)))


@lru_cache(maxsize=4096)
def _stems(text: str) -> frozenset[str]:
    stems = [word[:_STEM] for word in _WORD.findall(text) if len(word) > 2 and word not in _COMMON]
    return frozenset(_SAME.get(stem, stem) for stem in stems)


def rouge_l(text: str, reference: str) -> float:
    """Return the ROUGE-L F-measure of ``text`` against ``reference``, 0..1; ``TdGymError`` without ``rouge-score``."""
    return float(_rouge().score(reference, text)["rougeL"].fmeasure)


@lru_cache(maxsize=1)
def _rouge() -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ModuleNotFoundError as error:
        raise TdGymError('ROUGE needs rouge-score; run `pip install "td-gym[train]"`.') from error
    return RougeScorer(["rougeL"])
