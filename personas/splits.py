"""Train, validation and test: which cell of customers, which order and which goal belongs to which split.

The partition is a stable hash, so it is the same in every population, on every machine and in
every version: a policy trained on ``hard`` never meets a test cell of ``easy`` either.
"""

from __future__ import annotations

from personas.checks import check_known
from personas.draws import uniform

SPLITS = ("train", "validation", "test")
_CELL_SHARES = (0.7, 0.1, 0.2)
_ORDER_SHARES = (0.8, 0.1, 0.1)
# Of the salts below 10,000, the one that lets the splits' trait shares come closest to the stated
# ones in every cooperativeness class (within 0.07, see personas.tables); with another salt the
# splits are as disjoint, but the test customers may be, say, ruder than the training customers.
_CELL_SALT = 156
# Of the salts below 300, the one that gives every split each value of every axis in shares that the
# raking brings closest to the stated ones (within 0.02), and no cell much of a split.
_PROSPECT_SALT = 104
# The first salt that deals the seven goals there are about the police, and about the hospital, 5/1/1.
_GOAL_SALT = 41

Cell = tuple[str, str, str, str, str]
"""communication style, information disclosure, problem solving, emotional style, demand."""
ProspectCell = tuple[str, str, str, str]
"""communication style, objection, do-not-call temper, interest band."""


def split_of_cell(cell: Cell) -> str:
    """Return the one split that a trait x demand ``cell`` belongs to (about 70/10/20)."""
    return _bucket(uniform(_CELL_SALT, "cell", *cell), _CELL_SHARES)


def split_of_prospect(cell: ProspectCell) -> str:
    """Return the one split that a ``cell`` of prospects belongs to (about 70/10/20)."""
    return _bucket(uniform(_PROSPECT_SALT, "prospect", *cell), _CELL_SHARES)


def split_of_order(order_id: str) -> str:
    """Return the one split that an order belongs to (about 80/10/10)."""
    return _bucket(uniform(0, "order", order_id), _ORDER_SHARES)


def split_of_goal(content: str) -> str:
    """Return the one split that a customer's goal belongs to by what it says (about 80/10/10)."""
    return _bucket(uniform(_GOAL_SALT, "goal", content), _ORDER_SHARES)


def check_split(split: str) -> str:
    """Return ``split``; raise :class:`PersonaError` when there is no such split."""
    return check_known("split", split, SPLITS)


def _bucket(point: float, shares: tuple[float, float, float]) -> str:
    if point < shares[0]:
        return SPLITS[0]
    return SPLITS[1] if point < shares[0] + shares[1] else SPLITS[2]
