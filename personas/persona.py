"""A simulated customer's persona: who they are, how they talk, what they want."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import ClassVar

from personas.customer import Customer, Phrases, load_phrases
from personas.identities import Identity
from personas.splits import Cell

TRAITS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "communication_style": ("terse", "chatty", "sarcastic", "polite"),
        "information_disclosure": ("reserved", "on_request", "forthcoming"),
        "problem_solving": ("demanding", "passive", "constructive"),
        "emotional_style": ("hostile", "upset", "calm"),
    }
)
"""The four intrinsic traits and the values of each."""
DEMANDS = ("refund_insistence", "refund_priority", "compensation_flexible", "feedback_focus")
HONESTY = ("honest", "exaggerating", "dishonest")
CLASSES = range(1, 6)
"""The classes of cooperativeness."""


@dataclass(frozen=True)
class Persona(Customer):
    """One customer with a complaint.

    ``cooperativeness`` runs from 1 (highly uncooperative) to 5 (highly cooperative), the classes of
    the FDS benchmark (arXiv 2602.22697); ``demand`` is its type of core demand; ``patience`` runs
    from 3 to 10.  Raises :class:`PersonaError` when a value is outside its range.
    """

    ranges: ClassVar[Mapping[str, range]] = {"cooperativeness": CLASSES, "patience": range(3, 11)}
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {**TRAITS, "demand": DEMANDS, "honesty": HONESTY}

    cooperativeness: int
    communication_style: str
    information_disclosure: str
    problem_solving: str
    emotional_style: str
    demand: str
    honesty: str
    patience: int
    identity: Identity
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def cell(self) -> Cell:
        """The trait x demand cell, which decides the split (see :mod:`personas.splits`)."""
        return (
            self.communication_style,
            self.information_disclosure,
            self.problem_solving,
            self.emotional_style,
            self.demand,
        )

    def card(self) -> str:
        """Return the persona in words, as the system prompt of a language model that plays the customer.

        The phrases are in ``card.toml``.  The card covers every field, tells the customer not to
        state the demand outright at the start, to use its own facts only, and to end with
        ``[end:X]``, X from 1 to 5.
        """
        phrases = _phrases()
        sentences = [phrases[key][str(getattr(self, key))] for key in ("cooperativeness", *self.choices)]
        return self._card(phrases, sentences)


@cache
def _phrases() -> Phrases:
    return load_phrases("card.toml", {"cooperativeness": [str(level) for level in CLASSES], **Persona.choices})
