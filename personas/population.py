"""Named populations of customers: seeded, split, with the published shares of the FDS benchmark.

The shares, with their source (arXiv 2602.22697) and what is our own choice, are in
``populations.toml``.
"""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from personas.draws import Stream
from personas.identities import check_locale, identity
from personas.persona import HONESTY, Persona, PersonaError
from personas.splits import SPLITS, check_split
from personas.tables import CellTable, cell_table, population_data, profile_facts


@dataclass(frozen=True)
class Population:
    """A named population of customers, from :meth:`load`.

    ``sample(seed, split)`` is a pure function: the same population, seed and split give the same
    persona, always.  The splits share no (traits, demand) cell, and each has the population's
    shares of cooperativeness and demand.
    """

    name: str
    locale: str
    honesty: Mapping[str, float]
    tables: Mapping[str, CellTable]

    @staticmethod
    def names() -> list[str]:
        """Return the names that :meth:`load` knows, sorted."""
        return sorted(population_data()["populations"])

    @classmethod
    def load(cls, name: str, locale: str = "en_US") -> Population:
        """Return population ``name`` with identities of ``locale``; an unknown one of either raises PersonaError."""
        if name not in population_data()["populations"]:
            raise PersonaError(f"Unknown population {name!r}: use one of {', '.join(cls.names())}.")
        check_locale(locale)
        honesty = population_data()["populations"][name]["honesty"]
        return cls(name, locale, honesty, {split: cell_table(name, split) for split in SPLITS})

    def sample(self, seed: int, split: str) -> Persona:
        """Return the persona of ``seed``, any non-negative integer, in ``split``; a bad one raises PersonaError."""
        draws = Stream(_check_seed(seed), f"persona/{self.name}/{check_split(split)}")
        table = self.tables[split]
        place = bisect_right(table.cumulative, draws.uniform())
        cooperativeness, cell = table.entries[place]
        style, disclosure, solving, emotion, demand = cell
        return Persona(
            cooperativeness,
            style,
            disclosure,
            solving,
            emotion,
            demand,
            draw_honesty(self.honesty, draws),
            draw_patience(cooperativeness, draws),
            identity(self.locale, draws),
            draws.choice(profile_facts()),
        )


def honesty_shares(population: str) -> Mapping[str, float]:
    """Return the shares of honest, exaggerating and dishonest customers in a known ``population``."""
    shares: Mapping[str, float] = population_data()["populations"][population]["honesty"]
    return shares


def draw_honesty(shares: Mapping[str, float], draws: Stream) -> str:
    """Draw a value of honesty."""
    return draws.weighted(HONESTY, [shares[value] for value in HONESTY])


def draw_patience(cooperativeness: int, draws: Stream) -> int:
    """Draw the number of service turns a customer of class ``cooperativeness`` endures."""
    low, high = population_data()["patience"]["range"][cooperativeness - 1]
    return draws.integer(low, high + 1)


def _check_seed(seed: int) -> int:
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise PersonaError(f"A seed must be a non-negative whole number, not {seed!r}.")
    return number
