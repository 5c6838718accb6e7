"""Train, validation and test: which trait x demand cell and which order belongs to which split.

The partition is a stable hash, so it is the same in every population, on every machine and in
every version: a policy trained on ``hard`` never meets a test cell of ``easy`` either.
"""

from __future__ import annotations

from itertools import product

from personas.draws import uniform
from personas.persona import DEMANDS, TRAITS, PersonaError

SPLITS = ("train", "validation", "test")
CELL_SHARES = (0.7, 0.1, 0.2)
ORDER_SHARES = (0.8, 0.1, 0.1)
# Of the salts below 10,000, the one that lets the splits' trait shares come closest to the stated
# ones in every cooperativeness class (within 0.07, see personas.tables); with another salt the
# splits are as disjoint, but the test customers may be, say, ruder than the training customers.
CELL_SALT = 156

Cell = tuple[str, str, str, str, str]
"""communication style, information disclosure, problem solving, emotional style, demand."""


def all_cells() -> list[Cell]:
    """Return the 432 trait x demand cells in a fixed order."""
    return [(*traits, demand) for demand in DEMANDS for traits in product(*TRAITS.values())]  # type: ignore[misc]


def split_of_cell(cell: Cell) -> str:
    """Return the one split that a trait x demand ``cell`` belongs to (about 70/10/20)."""
    return _bucket(uniform(CELL_SALT, "cell", *cell), CELL_SHARES)


def split_of_order(order_id: str) -> str:
    """Return the one split that an order belongs to (about 80/10/10)."""
    return _bucket(uniform(0, "order", order_id), ORDER_SHARES)


def check_split(split: str) -> str:
    """Return ``split``; raise :class:`PersonaError` when there is no such split."""
    if split not in SPLITS:
        raise PersonaError(f"Unknown split {split!r}: use one of {', '.join(SPLITS)}.")
    return split


def _bucket(point: float, shares: tuple[float, float, float]) -> str:
    if point < shares[0]:
        return SPLITS[0]
    return SPLITS[1] if point < shares[0] + shares[1] else SPLITS[2]
