"""Rows as a model reads them, where that is not as they stand.

Rows that share a history are folded: one row a group holds the history once and then what each row has of its own.  A
row's own tokens see the history and what comes before them in their own row, at the positions that they have there, so
a model says of them what it says of each row by itself, having read the history once.

Rows whose conversation was read anew on the way are taken apart: each part is a row that sees nothing of the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from agents.trajectories import Bools, Ints, pad_rows

_PADDING = -1
_SHARED = 0


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """``G`` groups of rows as ``[G, S]``; their agent tokens stand in the order in which they stand in the rows."""

    tokens: Tensor
    mask: Tensor
    """Which of them the agent wrote."""
    positions: Tensor
    """Where they stand in their own row."""
    hidden: Tensor
    """``[G, 1, S, S]`` what is not to be seen, by the token that looks and the one looked at."""


def shared_and_ends(mask: Bools) -> tuple[int, Ints]:
    """Return how much of its rows a group shares, and where each row ends for scoring.

    ``mask`` ``[B, L]`` are the agent's tokens of rows that have read the same before the first of them.  The last token
    read is each row's own, since the agent's first is chosen there.
    """
    ends = mask.shape[1] - mask[:, ::-1].argmax(axis=1)
    return int(mask[0].argmax()) - 1, ends


def fold(tokens: Tensor, mask: Tensor, groups: Ints) -> Folded:
    """Fold the rows of ``tokens`` ``[B, L]``; those of a group stand together.

    Raises ``ValueError`` when rows of a group differ before their first agent token, in ``mask`` ``[B, L]``.
    """
    rows, written = tokens.cpu().numpy(), mask.cpu().numpy()
    sources, positions, branches = [], [], []
    starts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
    for first, after in zip(starts, [*starts[1:], len(groups)], strict=True):
        shared, ends = shared_and_ends(written[first:after])
        begins = written[first:after, shared + 1].all() and not written[first:after, : shared + 1].any()
        if not begins or (rows[first:after, : shared + 1] != rows[first, : shared + 1]).any():
            raise ValueError("Rows of a group must have read the same before the agent's first token.")
        own = [np.arange(shared, end) for end in ends]
        at = [np.arange(shared), *own]
        row = [first, *range(first, after)]
        sources.append(np.concatenate([r * rows.shape[1] + p for r, p in zip(row, at, strict=True)]))
        positions.append(np.concatenate(at))
        branches.append(np.repeat(np.arange(len(at)), [len(p) for p in at]))
    source = pad_rows(sources, np.int64)
    branch = torch.from_numpy(pad_rows(branches, np.int64, _PADDING)).to(tokens.device)
    taken = torch.from_numpy(source).to(tokens.device)
    order = torch.arange(source.shape[1], device=tokens.device)
    seen = (order[:, None] >= order) & ((branch[:, None, :] == _SHARED) | (branch[:, None, :] == branch[:, :, None]))
    return Folded(
        tokens=tokens.flatten()[taken],
        mask=mask.flatten()[taken] & (branch > _SHARED),
        positions=torch.from_numpy(pad_rows(positions, np.int64)).to(tokens.device),
        hidden=~seen[:, None],
    )


def take_apart(tokens: Tensor, mask: Tensor, parts: Tensor) -> tuple[Tensor, Tensor]:
    """Return the parts of the rows of ``tokens`` ``[B, L]`` as rows ``[N, S]``, and their part of ``mask``.

    ``parts`` ``[B, L]`` numbers them from 0, -1 for padding.  Agent tokens stand in the order in which they stand in
    the rows; padding is on the right, and 0.
    """
    rows: list[Tensor] = []
    masks: list[Tensor] = []
    for row, own, numbers in zip(tokens, mask, parts, strict=True):
        sizes = torch.unique_consecutive(numbers[numbers >= 0], return_counts=True)[1].tolist()
        rows += row[: sum(sizes)].split(sizes)
        masks += own[: sum(sizes)].split(sizes)
    return pad_sequence(rows, batch_first=True), pad_sequence(masks, batch_first=True)
