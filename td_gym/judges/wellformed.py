"""Training judge of form: which share of a message's sentences could stand in a letter.

A cheap reading of word order, not a grammar: it exists so that fused half-sentences and keyword
lists earn nothing in training.  Evaluation measures fluency by other code.
"""

from __future__ import annotations

import re
from functools import lru_cache

_SENTENCE = re.compile(r"[^.!?]+[.!?]+(?=\s|$)|[^.!?\s][^.!?]*(?:[.!?](?!\s|$)[^.!?]*)*[.!?]*")
_DETERMINER = r"(?:the|a|an|your|my|our|their|his|her)"
_BROKEN = re.compile(
    rf"\b{_DETERMINER}\s+(?:{_DETERMINER}|is|are|was|were|be|been|to|of|and|or|for|from|in|on|at|with|by|you|i|we|they|"
    r"it|that|which|can|could|will|would|have|has|had|do|does|not|if|because|am)\b"
    r"|\b(?:to|of|for|from|with|by|at)\s+(?:is|are|was|were|can|could|will|would|am|has|had|and|or|to|of|i|we|they)\b"
    r"|\b(?:can|could|will|would|must|should)\s+(?:the|a|an|to|of|for|with|is|are|was|were|am|has|had|can|could|will|would)\b"
    r"|\b(?:i|we)\s+(?:is|was\s+is|the|a|an|to|of|for|with|you|i|we|your|my)\b"
    r"|\b(?:am|is|are|was|were)\s+(?:is|are|was|were|am|can|could|will|would|has|had)\b"
    r"|\b(?:and|or|but|because|that)\s*[.!?]"
    rf"|\b{_DETERMINER}\s*[.!?,]"
    r"|\b(\w+)\s+\1\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+(?:[.:]\d+)?|\[\w+\]")
_PREDICATE = re.compile(
    r"\b(?:am|is|are|was|were|be|been|have|has|had|do|does|did|can|could|will|would|may|must|should|let|please|thank|thanks|"
    r"sorry|apologies|hello|hi|hey|welcome|goodbye|bye|take|enjoy|i'm|i've|i'll|we're|we've|we'll|it's|that's|you're|"
    r"\w+(?:ed|es|s|ing)|see|send|tell|give|gave|got|made|sent|left|know|understand|say|said|went|came|put|get|accept|"
    r"apologise|apologize|appreciate|receive|check|note|find|found|feel|want|need|show|hope|regret|offer|confirm|"
    r"share|upload|describe|refund|wish|no|yes|okay|ok|sure|great|good)\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=8192)
def wellformed(text: str) -> float:
    """Return the share of well-formed sentences in ``text``, 0..1; 0 for an empty message."""
    sentences = [s for s in _SENTENCE.findall(text[:2000]) if s.strip()]
    if not sentences:
        return 0.0
    return sum(map(_is_wellformed, sentences)) / len(sentences)


def _is_wellformed(sentence: str) -> bool:
    sentence = sentence.strip()
    words = _WORD.findall(sentence)
    return (
        1 <= len(words) <= 40
        and sentence[-1] in ".!?"
        and (sentence[0].isupper() or sentence[0].isdigit() or sentence[0] in "[\"'“")
        and (len(words) == 1 or _PREDICATE.search(sentence) is not None)
        and _BROKEN.search(sentence) is None
    )
