"""Constrained decoding: a turn that may only be one of some token sequences.

Where a turn is constrained, tokens are drawn from the softmax over those that the sequences go on with.  The sets of
tokens are numbered, so that whoever scores a turn later does it under the very softmax that sampled it
(``Trajectories.allowed`` and ``allowed_sets``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

FREE = -1
"""The number of the whole vocabulary."""


class AllowedSets:
    """Token sets of a vocabulary of ``size`` tokens, each with one number."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._numbers: dict[frozenset[int], int] = {}
        self._masks: list[npt.NDArray[np.bool_]] = []

    def number(self, tokens: Iterable[int]) -> int:
        """Return the number of a set, the next free one where it is new; ``ValueError`` for none or unknown tokens."""
        found = frozenset(tokens)
        if not found or not all(0 <= token < self.size for token in found):
            raise ValueError(f"Allowed tokens must be some from 0 to {self.size - 1}, not {sorted(found)}.")
        if found not in self._numbers:
            self._numbers[found] = len(self._masks)
            self._masks.append(np.isin(np.arange(self.size), list(found)))
        return self._numbers[found]

    def mask(self, number: int) -> npt.NDArray[np.bool_]:
        """Return ``[V]``: which tokens the set ``number`` holds."""
        return self._masks[number]

    def as_array(self) -> npt.NDArray[np.bool_]:
        """Return ``[S, V]``: all sets by number, for ``Trajectories.allowed_sets``."""
        return np.array(self._masks, dtype=np.bool_).reshape(len(self._masks), self.size)


class Choices:
    """What a turn may be: one of ``sequences`` of tokens, each with its end-of-turn token."""

    def __init__(self, sequences: Iterable[Sequence[int]], sets: AllowedSets) -> None:
        known = {tuple(sequence) for sequence in sequences}
        following: dict[tuple[int, ...], set[int]] = {}
        for sequence in known:
            for place, token in enumerate(sequence):
                following.setdefault(sequence[:place], set()).add(token)
        if not known or () in known or known & following.keys():
            raise ValueError("Choices must be at least one sequence of tokens, none the beginning of another.")
        self.sets = sets
        self.longest = max(map(len, known))
        self._after = {begun: sets.number(tokens) for begun, tokens in following.items()}

    def after(self, begun: Sequence[int]) -> int:
        """Return the number of the set that a turn may go on with after the tokens ``begun``."""
        return self._after[tuple(begun)]
