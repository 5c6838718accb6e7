"""Tables of entries with stated shares along several axes, by iterative proportional fitting."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from personas.draws import Stream

Entry = TypeVar("Entry")
Value = TypeVar("Value", bound=Hashable)


@dataclass(frozen=True)
class Axis(Generic[Value]):
    """One axis of a table: the value of every entry on it, and the share that each value should have."""

    values: Sequence[Value]
    shares: Mapping[Value, float]


def rake(axes: Sequence[Axis[Any]], sweeps: int) -> npt.NDArray[np.float64]:
    """Return probabilities ``[entries]`` whose shares along each of ``axes`` approach the stated ones.

    Iterative proportional fitting (Deming & Stephan 1940) from independence.  The last axis is fitted
    last in every sweep and so holds exactly; the others hold as far as the entries allow.  The shares
    of an axis are positive and sum to 1, and each of its values occurs in some entry.
    """
    margins = [
        (
            np.array([[value == key for key in axis.shares] for value in axis.values], dtype=float),
            np.array(list(axis.shares.values())),
        )
        for axis in axes
    ]
    weights = np.prod([member @ share for member, share in margins], axis=0)
    for _ in range(sweeps):
        for member, share in margins:
            weights = weights * (member @ (share / (weights @ member)))
    return np.asarray(weights)


@dataclass(frozen=True)
class Table(Generic[Entry]):
    """Entries to draw from, with their cumulative probabilities, the last one 1."""

    cumulative: tuple[float, ...]
    entries: tuple[Entry, ...]

    @classmethod
    def build(cls, entries: Sequence[Entry], weights: npt.NDArray[np.float64]) -> Table[Entry]:
        """Return the table of ``entries`` with the probabilities ``weights`` ``[entries]``, which sum to 1."""
        # Rounding leaves the last sum a hair from 1; the end must lie beyond every draw in [0, 1).
        return cls((*np.cumsum(weights).tolist()[:-1], 1.0), tuple(entries))

    def draw(self, draws: Stream) -> Entry:
        """Draw one entry."""
        return self.entries[bisect_right(self.cumulative, draws.uniform())]
