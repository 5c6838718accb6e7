"""Probabilities of a population's cells, from the shares in ``populations.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from personas.persona import COOPERATIVENESS, DEMANDS, HONESTY, TRAITS, PersonaError
from personas.splits import Cell, all_cells, split_of_cell

CLASSES = range(COOPERATIVENESS[0], COOPERATIVENESS[1] + 1)
_SWEEPS = 100
_AXES: tuple[Sequence[str], ...] = (*TRAITS.values(), DEMANDS)


@dataclass(frozen=True)
class CellTable:
    """The (cooperativeness, cell) pairs of one split with their cumulative probabilities, the last one 1."""

    cumulative: tuple[float, ...]
    entries: tuple[tuple[int, Cell], ...]


@cache
def cell_table(population: str, split: str) -> CellTable:
    """Build the table of a known ``population`` and ``split``: P(class) * P(cell | class, split).

    P(cell | class, split) is the product of the class's trait and demand shares, restricted to the
    split's cells and raked until the split shows those shares again: exactly for the demand, and as
    far as the split's cells allow (within 0.07) for each trait.
    """
    data = population_data()
    counts = data["populations"][population]["cooperativeness"]
    cells = [cell for cell in all_cells() if split_of_cell(cell) == split]
    weights = []
    for place, count in enumerate(counts):
        tables = (*(data["traits"][trait] for trait in TRAITS), data["demand"])
        shares = [np.array([table[value][place] for value in axis]) for axis, table in zip(_AXES, tables, strict=True)]
        weights.append(count / sum(counts) * _rake(cells, shares))
    cumulative = np.cumsum(np.concatenate(weights)).tolist()
    # Rounding leaves the last sum a hair from 1; the end must lie beyond every draw in [0, 1).
    return CellTable((*cumulative[:-1], 1.0), tuple((level, cell) for level in CLASSES for cell in cells))


def _rake(cells: Sequence[Cell], shares: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Return probabilities ``[cells]`` whose shares along each axis approach ``shares`` (one array an axis).

    Iterative proportional fitting (Deming & Stephan 1940) from independence; the last axis, the
    demand, is fitted last in every sweep and so holds exactly.
    """
    members = [
        np.array([[cell[k] == value for value in axis] for cell in cells], dtype=float) for k, axis in enumerate(_AXES)
    ]
    weights = np.prod([member @ share for member, share in zip(members, shares, strict=True)], axis=0)
    for _ in range(_SWEEPS):
        for member, share in zip(members, shares, strict=True):
            weights = weights * (member @ (share / (weights @ member)))
    return np.asarray(weights)


@cache
def population_data() -> dict[str, Any]:
    """Load ``populations.toml``; shares that are not positive or don't sum to 1 raise :class:`PersonaError`."""
    path = Path(__file__).with_name("populations.toml")
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    _check_shares(f"{path}: [demand]", data["demand"], DEMANDS, len(CLASSES))
    for trait, values in TRAITS.items():
        _check_shares(f"{path}: [traits.{trait}]", data["traits"][trait], values, len(CLASSES))
    for name, population in data["populations"].items():
        shares = {key: [share] for key, share in population["honesty"].items()}
        _check_shares(f"{path}: honesty of [populations.{name}]", shares, HONESTY, 1)
    return data


@cache
def profile_facts() -> tuple[dict[str, str], ...]:
    """Return every combination of the profile facts, all equally likely."""
    facts: dict[str, list[str]] = population_data()["facts"]
    return tuple(dict(zip(facts, values, strict=True)) for values in product(*facts.values()))


def _check_shares(where: str, table: Mapping[str, list[float]], keys: tuple[str, ...], columns: int) -> None:
    if set(table) != set(keys) or any(len(row) != columns for row in table.values()):
        raise PersonaError(f"{where} must have {columns} figures for each of {', '.join(keys)}.")
    if any(share <= 0 for row in table.values() for share in row):
        raise PersonaError(f"{where} must have positive figures only.")
    if not all(isclose(sum(column), 1.0, abs_tol=1e-9) for column in zip(*table.values(), strict=True)):
        raise PersonaError(f"{where} must have columns that sum to 1.")
