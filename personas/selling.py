"""Customers whom a seller calls: how interested and trusting they are, what they object to, what they can pay.

The shares of the named populations and the phrases of the card are in ``selling.toml``.
"""

from __future__ import annotations

import operator
import tomllib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from itertools import product
from math import isclose, isfinite
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from personas.draws import Stream, uniform
from personas.identities import check_locale, identity
from personas.persona import TRAITS, Identity, PersonaError
from personas.splits import CELL_SHARES, SPLITS, check_split

STYLES = TRAITS["communication_style"]
OBJECTIONS = ("price", "need", "timing", "trust", "authority")
DO_NOT_CALL = ("relaxed", "wary", "strict")
INTEREST_BANDS = ("low", "middle", "high")
LEVELS = range(1, 6)
CURIOSITY = (0, 3)
PATIENCE = (4, 12)
# Of the salts below 300, the one that gives every split each value of every axis in shares that the
# raking below brings closest to the stated ones (within 0.02), and no cell much of a split.
_CELL_SALT = 104
_SWEEPS = 200

Cell = tuple[str, str, str, str]
"""communication style, objection, do-not-call temper, interest band."""


def interest_band(interest: int) -> str:
    """Return ``low`` for an interest of 1 or 2, ``middle`` for 3, ``high`` for 4 or 5."""
    return INTEREST_BANDS[(interest > 2) + (interest > 3)]


def split_of_prospect(cell: Cell) -> str:
    """Return the one split that a ``cell`` belongs to (about 70/10/20), the same in every population."""
    point = uniform(_CELL_SALT, "prospect", *cell)
    if point < CELL_SHARES[0]:
        return SPLITS[0]
    return SPLITS[1] if point < CELL_SHARES[0] + CELL_SHARES[1] else SPLITS[2]


@dataclass(frozen=True)
class Prospect:
    """One called customer; equal ones compare equal, and ``facts`` is copied and not to be changed.

    ``interest`` and ``trust`` run from 1 (none) to 5; ``budget`` is the money a month the customer can
    spare; ``objection`` is what speaks most against buying; ``do_not_call`` is the temper towards sales
    calls; ``curiosity`` is the number of profile questions, 0 to 3, the customer asks; ``patience`` is
    the number of service turns, 4 to 12, after which it ends the call.  Raises :class:`PersonaError`
    when a value is outside its range.
    """

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
        _check_range("interest", self.interest, (1, 5))
        _check_range("trust", self.trust, (1, 5))
        _check_range("curiosity", self.curiosity, CURIOSITY)
        _check_range("patience", self.patience, PATIENCE)
        if type(self.budget) not in (int, float) or not isfinite(self.budget) or self.budget <= 0:
            raise PersonaError(f"Prospect budget must be a positive sum of money, not {self.budget!r}.")
        for key, allowed in _CHOICES.items():
            if getattr(self, key) not in allowed:
                raise PersonaError(f"Prospect {key} must be one of {', '.join(allowed)}, not {getattr(self, key)!r}.")
        if not isinstance(self.identity, Identity):
            raise PersonaError(f"Prospect identity must be an Identity, not {self.identity!r}.")
        texts = isinstance(self.facts, Mapping) and {*map(type, self.facts), *map(type, self.facts.values())} <= {str}
        if not texts:
            raise PersonaError(f"Prospect facts must map texts to texts, not {self.facts!r}.")
        object.__setattr__(self, "budget", float(self.budget))
        object.__setattr__(self, "facts", dict(self.facts))

    @property
    def cell(self) -> Cell:
        """The cell that decides the split (see :func:`split_of_prospect`)."""
        return (self.communication_style, self.objection, self.do_not_call, interest_band(self.interest))

    def to_json(self) -> dict[str, Any]:
        """Return the prospect as plain JSON data; :meth:`from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Prospect:
        """Build a prospect from :meth:`to_json` data; missing, unknown or wrong fields raise :class:`PersonaError`."""
        _check_fields("prospect", cls, data, optional={"facts"})
        _check_fields("prospect identity", Identity, data["identity"])
        return cls(**{**data, "identity": Identity(**data["identity"])})

    def card(self) -> str:
        """Return the prospect in words, as the system prompt of a language model that plays the customer.

        The phrases are in ``selling.toml``.  The card covers every field, tells the customer to keep
        its leanings to itself, to use its own facts only, and how to end the call.
        """
        phrases = prospect_data()["card"]
        known = "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in self.facts.items())
        values = {
            **asdict(self.identity),
            "patience": self.patience,
            "curiosity": self.curiosity,
            "budget": f"{self.budget:.2f}",
            "facts": f"{known}." if known else phrases["frame"]["no_facts"],
        }
        sentences = [phrases[key][str(getattr(self, key))] for key in _CARD_KEYS]
        frame = {key: text.format(**values) for key, text in phrases["frame"].items()}
        body = " ".join([*sentences, frame["budget"], frame["curiosity"]])
        return "\n\n".join([frame["opening"], body, *(frame[key] for key in ("facts", "patience", "rules", "ending"))])


@dataclass(frozen=True)
class Prospects:
    """A named population of called customers, from :meth:`load`.

    ``sample(seed, split)`` is a pure function: the same population, seed and split give the same
    prospect, always.  The splits share no cell, and each has the population's shares of interest,
    objection, do-not-call temper and communication style.
    """

    name: str
    locale: str
    cumulative: Mapping[str, tuple[float, ...]]
    """Cumulative probabilities of ``entries``, by split."""
    entries: Mapping[str, tuple[tuple[int, Cell], ...]]
    """(interest, cell) pairs, by split."""

    @staticmethod
    def names() -> list[str]:
        """Return the names that :meth:`load` knows, sorted."""
        return sorted(prospect_data()["populations"])

    @classmethod
    def load(cls, name: str, locale: str = "en_US") -> Prospects:
        """Return population ``name`` with identities of ``locale``; an unknown one of either raises PersonaError."""
        if name not in prospect_data()["populations"]:
            raise PersonaError(f"Unknown population {name!r}: use one of {', '.join(cls.names())}.")
        check_locale(locale)
        entries = {split: _entries(split) for split in SPLITS}
        return cls(name, locale, {split: _cumulative(name, split) for split in SPLITS}, entries)

    def sample(self, seed: int, split: str) -> Prospect:
        """Return the prospect of ``seed``, any non-negative integer, in ``split``; a bad one raises PersonaError."""
        draws = Stream(_check_seed(seed), f"prospect/{self.name}/{check_split(split)}")
        data = prospect_data()
        population = data["populations"][self.name]
        interest, (style, objection, temper, _) = self.entries[split][
            bisect_right(self.cumulative[split], draws.uniform())
        ]
        trust = draws.weighted(LEVELS, population["trust_objector" if objection == "trust" else "trust"])
        low, high = population["budget"]
        budget = 5.0 * round(low * (high / low) ** draws.uniform() / 5.0)
        curiosity = draws.weighted(range(CURIOSITY[0], CURIOSITY[1] + 1), data["curiosity"][interest_band(interest)])
        least, most = data["patience"][temper]
        patience = draws.integer(least, most + 1)
        who = identity(self.locale, draws)
        facts = {key: draws.choice(values) for key, values in data["facts"].items()}
        return Prospect(interest, trust, budget, objection, temper, style, curiosity, patience, who, facts)


_CHOICES: Mapping[str, Sequence[str]] = {
    "objection": OBJECTIONS,
    "do_not_call": DO_NOT_CALL,
    "communication_style": STYLES,
}
_CARD_KEYS = ("interest", "trust", "objection", "do_not_call", "communication_style")
_FRAME = ("opening", "budget", "curiosity", "facts", "no_facts", "patience", "rules", "ending")


@cache
def prospect_data() -> dict[str, Any]:
    """Load ``selling.toml``; missing tables and shares that don't sum to 1 raise :class:`PersonaError`."""
    path = Path(__file__).with_name("selling.toml")
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    levels = [str(level) for level in LEVELS]
    for key, values in {**_CHOICES, "interest": levels, "trust": levels, "frame": _FRAME}.items():
        if set(data["card"].get(key, {})) != set(values):
            raise PersonaError(f"{path}: [card.{key}] must have exactly the keys {', '.join(values)}.")
    for name, population in data["populations"].items():
        for key, values in _CHOICES.items():
            if set(population[key]) != set(values):
                raise PersonaError(f"{path}: {key} of [populations.{name}] must have {', '.join(values)}.")
        rows = [population[key] for key in ("interest", "trust", "trust_objector")]
        rows += [list(population[key].values()) for key in _CHOICES]
        if any(min(row) <= 0 or not isclose(sum(row), 1.0, abs_tol=1e-9) for row in rows):
            raise PersonaError(f"{path}: the shares of [populations.{name}] must be positive and sum to 1.")
    return data


@cache
def _entries(split: str) -> tuple[tuple[int, Cell], ...]:
    cells = product(LEVELS, STYLES, OBJECTIONS, DO_NOT_CALL)
    entries = [(level, (style, objection, temper, interest_band(level))) for level, style, objection, temper in cells]
    return tuple(entry for entry in entries if split_of_prospect(entry[1]) == split)


@cache
def _cumulative(name: str, split: str) -> tuple[float, ...]:
    """Return the cumulative probabilities of the split's entries, the last one 1.

    Iterative proportional fitting (Deming & Stephan 1940) from independence brings the split's shares
    along each axis to the population's; interest is fitted last and so holds exactly.
    """
    population = prospect_data()["populations"][name]
    entries = _entries(split)
    margins = [_margin([cell[k] for _, cell in entries], population[key]) for k, key in enumerate(_CELL_KEYS)]
    interest = dict(zip(LEVELS, population["interest"], strict=True))
    margins.append(_margin([level for level, _ in entries], interest))
    weights = np.prod([member @ share for member, share in margins], axis=0)
    for _ in range(_SWEEPS):
        for member, share in margins:
            weights = weights * (member @ (share / (weights @ member)))
    cumulative = np.cumsum(weights).tolist()
    # Rounding leaves the last sum a hair from 1; the end must lie beyond every draw in [0, 1).
    return (*cumulative[:-1], 1.0)


_CELL_KEYS = ("communication_style", "objection", "do_not_call")


def _margin(
    values: Sequence[Any], shares: Mapping[Any, float]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return an axis as a membership matrix ``[entries, values]`` and its shares ``[values]``."""
    member = np.array([[value == key for key in shares] for value in values], dtype=float)
    return member, np.array(list(shares.values()))


def _check_range(key: str, value: object, bounds: tuple[int, int]) -> None:
    if type(value) is not int or not bounds[0] <= value <= bounds[1]:
        raise PersonaError(f"Prospect {key} must be a whole number from {bounds[0]} to {bounds[1]}, not {value!r}.")


def _check_fields(what: str, kind: type, data: object, optional: set[str] | None = None) -> None:
    if not isinstance(data, Mapping):
        raise PersonaError(f"The {what} must be a JSON object, not {data!r}.")
    known = {item.name for item in fields(kind)}
    if missing := sorted(known - (optional or set()) - set(data)):
        raise PersonaError(f"The {what} lacks {', '.join(missing)}.")
    if extra := sorted(str(key) for key in set(data) - known):
        raise PersonaError(f"The {what} has unknown fields: {', '.join(extra)}.")


def _check_seed(seed: int) -> int:
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise PersonaError(f"A seed must be a non-negative whole number, not {seed!r}.")
    return number
