"""Probabilities of a population's cells, from the shares in ``populations.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from personas.checks import PersonaError, check_keys, check_shares
from personas.packaged import packaged_toml
from personas.persona import CLASSES, DEMANDS, HONESTY, TRAITS
from personas.raking import Axis, Table, rake
from personas.splits import Cell, split_of_cell

Entry = tuple[int, Cell]
"""A class of cooperativeness and a cell."""
_AXES: Mapping[str, tuple[str, ...]] = {**TRAITS, "demand": DEMANDS}
_SWEEPS = 100  # another number draws other customers


def all_cells() -> list[Cell]:
    """Return the 432 trait x demand cells in a fixed order."""
    return [(*traits, demand) for demand in DEMANDS for traits in product(*TRAITS.values())]  # type: ignore[misc]


@cache
def cell_table(population: str, split: str) -> Table[Entry]:
    """Build the table of a known ``population`` and ``split``: P(class) * P(cell | class, split).

    P(cell | class, split) is the product of the class's trait and demand shares, restricted to the
    split's cells and raked until the split shows those shares again: exactly for the demand, and as
    far as the split's cells allow (within 0.07) for each trait.
    """
    data = population_data()
    counts = data["populations"][population]["cooperativeness"]
    cells = [cell for cell in all_cells() if split_of_cell(cell) == split]
    tables = {**data["traits"], "demand": data["demand"]}
    weights = []
    for place, count in enumerate(counts):
        axes = [
            Axis([cell[k] for cell in cells], {value: tables[key][value][place] for value in values})
            for k, (key, values) in enumerate(_AXES.items())
        ]
        weights.append(count / sum(counts) * rake(axes, _SWEEPS))
    return Table.build([(level, cell) for level in CLASSES for cell in cells], np.concatenate(weights))


@cache
def population_data() -> Mapping[str, Any]:
    """Load ``populations.toml``; shares that are not positive or don't sum to 1 raise :class:`PersonaError`."""
    data = packaged_toml(__package__, "populations.toml")
    _check_columns("populations.toml: [demand]", data["demand"], DEMANDS)
    for trait, values in TRAITS.items():
        _check_columns(f"populations.toml: [traits.{trait}]", data["traits"][trait], values)
    for name, population in data["populations"].items():
        where = f"populations.toml: populations.{name}.honesty"
        check_keys(where, population["honesty"], HONESTY)
        check_shares(where, population["honesty"].values())
    return data


@cache
def profile_facts() -> tuple[dict[str, str], ...]:
    """Return every combination of the profile facts, all equally likely."""
    facts: dict[str, list[str]] = population_data()["facts"]
    return tuple(dict(zip(facts, values, strict=True)) for values in product(*facts.values()))


def _check_columns(where: str, table: Mapping[str, list[float]], keys: tuple[str, ...]) -> None:
    """Check the shares of a trait or the demand: a row for each of ``keys``, a column for each class."""
    check_keys(where, table, keys)
    if any(len(row) != len(CLASSES) for row in table.values()):
        raise PersonaError(f"{where} must have {len(CLASSES)} figures for each of {', '.join(keys)}.")
    for level, column in zip(CLASSES, zip(*table.values(), strict=True), strict=True):
        check_shares(f"{where}, class {level},", column)
