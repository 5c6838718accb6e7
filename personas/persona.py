"""A simulated customer's persona: who they are, how they talk, what they want."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

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
COOPERATIVENESS = (1, 5)
PATIENCE = (3, 10)

_CHOICES: Mapping[str, tuple[str, ...]] = {**TRAITS, "demand": DEMANDS, "honesty": HONESTY}
_FOUR_DIGITS = re.compile(r"[0-9]{4}")


class PersonaError(ValueError):
    """Bad persona data or a bad request for one; the message is one sentence for the user."""


@dataclass(frozen=True)
class Identity:
    """A customer's name, city, last four digits of the phone number and locale (``en_US``)."""

    name: str
    city: str
    phone_tail: str
    locale: str

    def __post_init__(self) -> None:
        for key in ("name", "city", "locale"):
            value = getattr(self, key)
            if not isinstance(value, str) or not value.strip():
                raise PersonaError(f"Identity {key} must be a non-empty text, not {value!r}.")
        if not isinstance(self.phone_tail, str) or not _FOUR_DIGITS.fullmatch(self.phone_tail):
            raise PersonaError(f"Identity phone_tail must be 4 digits, not {self.phone_tail!r}.")


@dataclass(frozen=True)
class Persona:
    """One customer; equal personas compare equal, and ``facts`` is copied and not to be changed.

    ``cooperativeness`` runs from 1 (highly uncooperative) to 5 (highly cooperative), the classes of
    the FDS benchmark (arXiv 2602.22697); ``demand`` is its type of core demand; ``patience`` is the
    number of service turns, 3 to 10, after which the customer gives up; ``facts`` are free profile
    facts.  Raises :class:`PersonaError` when a value is outside its range.
    """

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

    def __post_init__(self) -> None:
        _check_range("cooperativeness", self.cooperativeness, COOPERATIVENESS)
        _check_range("patience", self.patience, PATIENCE)
        for key, allowed in _CHOICES.items():
            if getattr(self, key) not in allowed:
                raise PersonaError(f"Persona {key} must be one of {', '.join(allowed)}, not {getattr(self, key)!r}.")
        if not isinstance(self.identity, Identity):
            raise PersonaError(f"Persona identity must be an Identity, not {self.identity!r}.")
        if not isinstance(self.facts, Mapping) or not {*map(type, self.facts), *map(type, self.facts.values())} <= {
            str
        }:
            raise PersonaError(f"Persona facts must map texts to texts, not {self.facts!r}.")
        object.__setattr__(self, "facts", dict(self.facts))

    @property
    def cell(self) -> tuple[str, str, str, str, str]:
        """The trait x demand cell, which decides the split (see :mod:`personas.splits`)."""
        return (
            self.communication_style,
            self.information_disclosure,
            self.problem_solving,
            self.emotional_style,
            self.demand,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the persona as plain JSON data; :meth:`from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Persona:
        """Build a persona from :meth:`to_json` data; missing, unknown or wrong fields raise :class:`PersonaError`."""
        _check_fields("persona", cls, data, optional={"facts"})
        identity = data["identity"]
        _check_fields("persona identity", Identity, identity)
        return cls(**{**data, "identity": Identity(**identity)})

    def card(self) -> str:
        """Return the persona in words, as the system prompt of a language model that plays the customer.

        The phrases are in ``card.toml``.  The card covers every field, tells the customer not to
        state the demand outright at the start, to use its own facts only, and to end with
        ``[end:X]``, X from 1 to 5.
        """
        phrases = _phrases()
        values = {**asdict(self.identity), "patience": self.patience, "facts": self._facts_in_words()}
        sentences = [phrases["cooperativeness"][str(self.cooperativeness)]]
        sentences += [phrases[key][getattr(self, key)] for key in (*TRAITS, "demand", "honesty")]
        opening = phrases["frame"]["opening"].format(**values)
        rules = [phrases["frame"][key].format(**values) for key in ("facts", "patience", "rules", "ending")]
        return "\n\n".join([opening, " ".join(sentences), *rules])

    def _facts_in_words(self) -> str:
        frame = _phrases()["frame"]
        if not self.facts:
            return str(frame["no_facts"])
        return "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in self.facts.items()) + "."


def _check_range(key: str, value: object, bounds: tuple[int, int]) -> None:
    if type(value) is not int or not bounds[0] <= value <= bounds[1]:
        raise PersonaError(f"Persona {key} must be a whole number from {bounds[0]} to {bounds[1]}, not {value!r}.")


def _check_fields(what: str, kind: type, data: object, optional: set[str] | None = None) -> None:
    if not isinstance(data, Mapping):
        raise PersonaError(f"The {what} must be a JSON object, not {data!r}.")
    known = {item.name for item in fields(kind)}
    if missing := sorted(known - (optional or set()) - set(data)):
        raise PersonaError(f"The {what} lacks {', '.join(missing)}.")
    if extra := sorted(str(key) for key in set(data) - known):
        raise PersonaError(f"The {what} has unknown fields: {', '.join(extra)}.")


@cache
def _phrases() -> dict[str, dict[str, str]]:
    """Load the card's phrases and check that every value of every field has one."""
    path = Path(__file__).with_name("card.toml")
    phrases: dict[str, dict[str, str]] = tomllib.loads(path.read_text(encoding="utf-8"))
    needed = {key: set(values) for key, values in _CHOICES.items()}
    needed["cooperativeness"] = {str(k) for k in range(COOPERATIVENESS[0], COOPERATIVENESS[1] + 1)}
    needed["frame"] = {"opening", "facts", "no_facts", "patience", "rules", "ending"}
    for key, values in needed.items():
        if set(phrases.get(key, {})) != values:
            raise PersonaError(f"{path}: the table [{key}] must have exactly the keys {', '.join(sorted(values))}.")
    return phrases
