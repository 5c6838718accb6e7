"""Named populations of called customers: seeded and split, with the shares in ``prospect_populations.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

from personas.checks import check_keys, check_known, check_seed, check_shares
from personas.draws import Stream
from personas.identities import check_locale, identity
from personas.packaged import packaged_toml
from personas.prospect import DO_NOT_CALL, LEVELS, OBJECTIONS, QUESTIONS, STYLES, Prospect, interest_band
from personas.raking import Axis, Table, rake
from personas.splits import SPLITS, ProspectCell, check_split, split_of_prospect

Entry = tuple[int, ProspectCell]
"""An interest from 1 to 5 and a cell in the band of it."""
_SWEEPS = 200  # another number draws other customers


@dataclass(frozen=True)
class Prospects:
    """A named population of called customers, from :meth:`load`.

    ``sample(seed, split)`` is a pure function: the same population, seed and split give the same
    prospect, always.  The splits share no cell, and each has the population's shares of interest,
    objection, do-not-call temper and communication style.
    """

    name: str
    locale: str
    tables: Mapping[str, Table[Entry]]

    @staticmethod
    def names() -> list[str]:
        """Return the names that :meth:`load` knows, sorted."""
        return sorted(prospect_data()["populations"])

    @classmethod
    def load(cls, name: str, locale: str = "en_US") -> Prospects:
        """Return population ``name`` with identities of ``locale``; an unknown one of either raises PersonaError."""
        check_known("population", name, cls.names())
        check_locale(locale)
        return cls(name, locale, {split: _table(name, split) for split in SPLITS})

    def sample(self, seed: int, split: str) -> Prospect:
        """Return the prospect of ``seed``, any non-negative integer, in ``split``; a bad one raises PersonaError."""
        draws = Stream(check_seed(seed), f"prospect/{self.name}/{check_split(split)}")
        data = prospect_data()
        population = data["populations"][self.name]
        interest, (style, objection, temper, band) = self.tables[split].draw(draws)
        trust = draws.weighted(LEVELS, population["trust_objector" if objection == "trust" else "trust"])
        low, high = population["budget"]
        budget = 5.0 * round(low * (high / low) ** draws.uniform() / 5.0)
        curiosity = draws.weighted(QUESTIONS, data["curiosity"][band])
        least, most = data["patience"][temper]
        patience = draws.integer(least, most + 1)
        who = identity(self.locale, draws)
        facts = {key: draws.choice(values) for key, values in data["facts"].items()}
        return Prospect(interest, trust, budget, objection, temper, style, curiosity, patience, who, facts)


@cache
def _table(population: str, split: str) -> Table[Entry]:
    """Build the table of a known ``population`` and ``split``, raked to the population's shares, interest exactly."""
    data = prospect_data()["populations"][population]
    everyone = product(LEVELS, STYLES, OBJECTIONS, DO_NOT_CALL)
    pairs = [(level, (style, objection, temper, interest_band(level))) for level, style, objection, temper in everyone]
    entries = [(level, cell) for level, cell in pairs if split_of_prospect(cell) == split]
    keys = ("communication_style", "objection", "do_not_call")
    cell_axes = [Axis([cell[place] for _, cell in entries], data[key]) for place, key in enumerate(keys)]
    interest = Axis([level for level, _ in entries], dict(zip(LEVELS, data["interest"], strict=True)))
    return Table.build(entries, rake([*cell_axes, interest], _SWEEPS))


@cache
def prospect_data() -> Mapping[str, Any]:
    """Load ``prospect_populations.toml``; shares that are not positive or don't sum to 1 raise PersonaError."""
    data = packaged_toml(__package__, "prospect_populations.toml")
    for name, population in data["populations"].items():
        where = f"prospect_populations.toml: populations.{name}"
        for key, values in Prospect.choices.items():
            check_keys(f"{where}.{key}", population[key], values)
            check_shares(f"{where}.{key}", population[key].values())
        for key in ("interest", "trust", "trust_objector"):
            check_shares(f"{where}.{key}", population[key])
    return data
