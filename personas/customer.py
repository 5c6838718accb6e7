"""What the two kinds of simulated customers, personas and prospects, have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import Field, asdict, fields
from typing import Any, ClassVar, Self

from personas.checks import PersonaError, check_keys
from personas.identities import Identity
from personas.packaged import packaged_toml

Phrases = Mapping[str, Mapping[str, str]]
"""The words of a card: a phrase for each value of a field, by field, and the ``frame`` around them."""
_FRAME = ("opening", "facts", "no_facts", "patience", "rules", "ending")


class Customer:
    """Base of the frozen dataclasses of customers; they add their own fields to those named here.

    ``patience`` is the number of service turns after which the customer gives up; ``facts`` are free
    profile facts, copied and not to be changed.  Equal customers compare equal.  A value outside
    ``ranges`` or ``choices`` raises :class:`PersonaError`.
    """

    ranges: ClassVar[Mapping[str, range]]
    """The allowed values of each field that is a whole number."""
    choices: ClassVar[Mapping[str, tuple[str, ...]]]
    """The allowed words of each field that has a fixed set of them."""
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]  # what tells the type checker that these are dataclasses

    patience: int
    identity: Identity
    facts: Mapping[str, str]

    def __post_init__(self) -> None:
        given = vars(self)
        for key, values in self.ranges.items():
            if type(given[key]) is not int or given[key] not in values:
                raise self._error(key, f"a whole number from {values[0]} to {values[-1]}")
        for key, words in self.choices.items():
            if given[key] not in words:
                raise self._error(key, f"one of {', '.join(words)}")
        if not isinstance(self.identity, Identity):
            raise self._error("identity", "an Identity")
        facts = self.facts
        if not isinstance(facts, Mapping) or not {*map(type, facts), *map(type, facts.values())} <= {str}:
            raise self._error("facts", "a mapping of texts to texts")
        object.__setattr__(self, "facts", dict(facts))

    def _error(self, key: str, wanted: str) -> PersonaError:
        return PersonaError(f"{type(self).__name__} {key} must be {wanted}, not {getattr(self, key)!r}.")

    def to_json(self) -> dict[str, Any]:
        """Return the customer as plain JSON data; :meth:`from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Build a customer from :meth:`to_json` data; missing, unknown or wrong fields raise :class:`PersonaError`."""
        name = cls.__name__.lower()
        _check_fields(name, cls, data, optional={"facts"})
        identity = data["identity"]
        _check_fields(f"{name} identity", Identity, identity)
        return cls(**{**data, "identity": Identity(**identity)})

    def _card(self, phrases: Phrases, sentences: list[str]) -> str:
        """Return the opening, the ``sentences`` on the customer's traits, and what every card ends with."""
        frame = phrases["frame"]
        known = "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in self.facts.items())
        facts = f"{known}." if known else frame["no_facts"]
        values = {**asdict(self.identity), "patience": self.patience, "facts": facts}
        opening, *rules = (frame[key].format(**values) for key in ("opening", "facts", "patience", "rules", "ending"))
        return "\n\n".join([opening, " ".join(sentences), *rules])


def load_phrases(file: str, needed: Mapping[str, Collection[str]]) -> Phrases:
    """Load the phrases of a card from ``file`` of this package.

    A table without exactly the ``needed`` keys, or a frame without its own, raises :class:`PersonaError`.
    """
    phrases = packaged_toml(__package__, file)
    for key, values in {**needed, "frame": _FRAME}.items():
        check_keys(f"{file}: the table [{key}]", phrases.get(key, {}), values)
    return phrases


def _check_fields(what: str, kind: type, data: object, optional: Collection[str] = ()) -> None:
    if not isinstance(data, Mapping):
        raise PersonaError(f"The {what} must be a JSON object, not {data!r}.")
    known = {item.name for item in fields(kind)}
    if missing := sorted(known - set(optional) - set(data)):
        raise PersonaError(f"The {what} lacks {', '.join(missing)}.")
    if extra := sorted(str(key) for key in set(data) - known):
        raise PersonaError(f"The {what} has unknown fields: {', '.join(extra)}.")
