"""Named populations of customers: seeded, split, with the published shares of the FDS benchmark.

The shares, with their source (arXiv 2602.22697) and what is our own choice, are in
``populations.toml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from personas.checks import check_known, check_seed
from personas.draws import Stream
from personas.identities import check_locale, identity
from personas.persona import Persona
from personas.raking import Table
from personas.splits import SPLITS, check_split
from personas.tables import Entry, cell_table, population_data, profile_facts


@dataclass(frozen=True)
class Population:
    """A named population of customers, from :meth:`load`.

    ``sample(seed, split)`` is a pure function: the same population, seed and split give the same
    persona, always.  The splits share no (traits, demand) cell, and each has the population's
    shares of cooperativeness and demand.
    """

    name: str
    locale: str
    tables: Mapping[str, Table[Entry]]

    @staticmethod
    def names() -> list[str]:
        """Return the names that :meth:`load` knows, sorted."""
        return sorted(population_data()["populations"])

    @classmethod
    def load(cls, name: str, locale: str = "en_US") -> Population:
        """Return population ``name`` with identities of ``locale``; an unknown one of either raises PersonaError."""
        check_known("population", name, cls.names())
        check_locale(locale)
        return cls(name, locale, {split: cell_table(name, split) for split in SPLITS})

    def sample(self, seed: int, split: str) -> Persona:
        """Return the persona of ``seed``, any non-negative integer, in ``split``; a bad one raises PersonaError."""
        draws = Stream(check_seed(seed), f"persona/{self.name}/{check_split(split)}")
        cooperativeness, (style, disclosure, solving, emotion, demand) = self.tables[split].draw(draws)
        return Persona(
            cooperativeness,
            style,
            disclosure,
            solving,
            emotion,
            demand,
            draw_honesty(self.name, draws),
            draw_patience(cooperativeness, draws),
            identity(self.locale, draws),
            draws.choice(profile_facts()),
        )


def draw_honesty(population: str, draws: Stream) -> str:
    """Draw a value of honesty for a customer of a known ``population``."""
    shares: Mapping[str, float] = population_data()["populations"][population]["honesty"]
    return draws.weighted_key(shares)


def draw_patience(cooperativeness: int, draws: Stream) -> int:
    """Draw the number of service turns a customer of class ``cooperativeness`` endures."""
    low, high = population_data()["patience"]["range"][cooperativeness - 1]
    return draws.integer(low, high + 1)
