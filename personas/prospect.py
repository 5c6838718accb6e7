"""A customer whom a seller calls: how interested and trusting, what speaks against buying, what they can pay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from math import isfinite
from typing import ClassVar

from personas.customer import Customer, Phrases, load_phrases
from personas.identities import Identity
from personas.persona import TRAITS
from personas.splits import ProspectCell

STYLES = TRAITS["communication_style"]
OBJECTIONS = ("price", "need", "timing", "trust", "authority")
DO_NOT_CALL = ("relaxed", "wary", "strict")
INTEREST_BANDS = ("low", "middle", "high")
LEVELS = range(1, 6)
"""The levels of interest and of trust."""
QUESTIONS = range(4)
"""How many profile questions a customer may ask."""


def interest_band(interest: int) -> str:
    """Return ``low`` for an interest of 1 or 2, ``middle`` for 3, ``high`` for 4 or 5."""
    return INTEREST_BANDS[(interest > 2) + (interest > 3)]


@dataclass(frozen=True)
class Prospect(Customer):
    """One called customer.

    ``interest`` and ``trust`` run from 1 (none) to 5; ``budget`` is the money a month the customer can
    spare; ``objection`` is what speaks most against buying; ``do_not_call`` is the temper towards sales
    calls; ``curiosity`` is the number of profile questions, 0 to 3, the customer asks; ``patience`` runs
    from 4 to 12.  Raises :class:`PersonaError` when a value is outside its range.
    """

    ranges: ClassVar[Mapping[str, range]] = {
        "interest": LEVELS,
        "trust": LEVELS,
        "curiosity": QUESTIONS,
        "patience": range(4, 13),
    }
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "objection": OBJECTIONS,
        "do_not_call": DO_NOT_CALL,
        "communication_style": STYLES,
    }

    interest: int
    trust: int
    budget: float
    objection: str
    do_not_call: str
    communication_style: str
    curiosity: int
    patience: int
    identity: Identity
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.budget) not in (int, float) or not isfinite(self.budget) or self.budget <= 0:
            raise self._error("budget", "a positive sum of money")
        object.__setattr__(self, "budget", float(self.budget))

    @property
    def cell(self) -> ProspectCell:
        """The cell that decides the split (see :mod:`personas.splits`)."""
        return (self.communication_style, self.objection, self.do_not_call, interest_band(self.interest))

    def card(self) -> str:
        """Return the prospect in words, as the system prompt of a language model that plays the customer.

        The phrases are in ``prospect_card.toml``.  The card covers every field, tells the customer to
        keep its leanings to itself, to use its own facts only, and how to end the call.
        """
        phrases = _phrases()
        sentences = [phrases[key][str(getattr(self, key))] for key in ("interest", "trust", *self.choices)]
        sentences.append(phrases["amounts"]["budget"].format(budget=f"{self.budget:.2f}"))
        if self.curiosity:
            asked = "1 question" if self.curiosity == 1 else f"{self.curiosity} questions"
            sentences.append(phrases["amounts"]["curiosity"].format(curiosity=asked))
        return self._card(phrases, sentences)


@cache
def _phrases() -> Phrases:
    levels = [str(level) for level in LEVELS]
    needed = {"interest": levels, "trust": levels, **Prospect.choices, "amounts": ("budget", "curiosity")}
    return load_phrases("prospect_card.toml", needed)
