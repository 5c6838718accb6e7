"""What is read once for several rows scores them as each by itself would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from agents.folding import fold, take_apart
from agents.losses import forward_log_probs
from agents.trajectories import pad_rows
from tests.agents.micro import micro_model

VOCABULARY = 12


def batch_of(shapes: list[list[list[tuple[int, int]]]], seed: int) -> tuple[Tensor, Tensor, Any]:
    """Return tokens, mask and groups: a group's rows share what is read first, then (written, read) alternate."""
    draws = np.random.default_rng(seed)
    tokens, mask, groups = [], [], []
    for number, rows in enumerate(shapes):
        history = draws.integers(VOCABULARY, size=1 + number % 3).tolist()
        for row in rows:
            tokens.append(list(history))
            mask.append([False] * len(history))
            for written, read in row:
                tokens[-1] += draws.integers(VOCABULARY, size=written + read).tolist()
                mask[-1] += [True] * written + [False] * read
            groups.append(number)
    return (
        torch.from_numpy(pad_rows(tokens, np.int64)),
        torch.from_numpy(pad_rows(mask, np.bool_)),
        np.array(groups),
    )


rows = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3)), min_size=1, max_size=3)
batches = st.lists(st.lists(rows, min_size=1, max_size=4), min_size=1, max_size=3)


@settings(max_examples=40, deadline=None)
@given(batches, st.integers(0, 99), st.sampled_from((None, 2)))
def test_scores_and_gradients_are_those_of_each_row_by_itself(shapes: Any, seed: int, window: int | None) -> None:
    model = micro_model(window=window)
    tokens, mask, groups = batch_of(shapes, seed)
    weights = torch.from_numpy(np.random.default_rng(seed).normal(size=mask.shape)).float()
    found = []
    for histories in (None, groups):
        scores = forward_log_probs(model, tokens, mask, histories=histories, want_entropy=True, want_hidden=True)
        gradient = torch.autograd.grad((scores.log_probs * weights).sum(), list(model.parameters()), retain_graph=True)
        found.append([scores.log_probs, scores.entropy, scores.hidden, *gradient])
    for apart, together in zip(*found, strict=True):
        torch.testing.assert_close(together, apart, atol=2e-5, rtol=1e-4)


def test_a_group_by_hand() -> None:
    """Two replies to ``5 6 7``: the last token read is each reply's own, since its first token is chosen there."""
    tokens = torch.tensor([[5, 6, 7, 1, 2, 0], [5, 6, 7, 3, 0, 0]])
    mask = torch.tensor([[0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 0, 0]]).bool()
    folded = fold(tokens, mask, np.array([4, 4]))
    assert folded.tokens.tolist() == [[5, 6, 7, 1, 2, 7, 3]]
    assert folded.positions.tolist() == [[0, 1, 2, 3, 4, 2, 3]]
    assert folded.mask.tolist() == [[False, False, False, True, True, False, True]]
    assert (~folded.hidden[0, 0]).int().tolist() == [
        [1, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 1, 1],
    ]


@pytest.mark.parametrize(
    ("tokens", "mask"),
    [
        ([[5, 6, 1], [5, 7, 1]], [[0, 0, 1], [0, 0, 1]]),
        ([[5, 6, 1], [5, 6, 1]], [[0, 0, 1], [0, 1, 1]]),
        ([[5, 6, 1], [5, 6, 1]], [[0, 0, 1], [0, 0, 0]]),
    ],
    ids=["read something else", "begins earlier", "says nothing"],
)
def test_rows_with_other_histories_are_refused(tokens: Any, mask: Any) -> None:
    with pytest.raises(ValueError, match="must have read the same"):
        fold(torch.tensor(tokens), torch.tensor(mask).bool(), np.array([0, 0]))


def test_rows_are_taken_apart_where_they_were_read_anew() -> None:
    tokens = torch.tensor([[1, 2, 3, 4, 5], [6, 7, 8, 0, 0]])
    mask = torch.tensor([[False, True, False, False, True], [False, True, True, False, False]])
    parts = torch.tensor([[0, 0, 1, 1, 1], [0, 0, 0, -1, -1]])
    rows, masks = take_apart(tokens, mask, parts)
    assert rows.tolist() == [[1, 2, 0], [3, 4, 5], [6, 7, 8]]
    assert masks.tolist() == [[False, True, False], [False, False, True], [False, True, True]]
    assert rows[masks].tolist() == tokens[mask].tolist()


@settings(max_examples=30, deadline=None)
@given(st.lists(rows, min_size=1, max_size=3), st.integers(0, 99))
def test_parts_score_as_rows_of_their_own(shapes: Any, seed: int) -> None:
    """Each row of ``shapes`` is read as one row in as many parts as it has turns, and as so many rows."""
    model = micro_model()
    apart, apart_mask, _ = batch_of([[[turn]] for row in shapes for turn in row], seed)
    lengths = (apart_mask | (apart_mask.flip(1).cummax(1).values.flip(1) > 0)).sum(1).tolist()
    pieces = [(t[:n], m[:n]) for t, m, n in zip(apart, apart_mask, lengths, strict=True)]
    joined, masks, parts, place = [], [], [], 0
    for row in shapes:
        mine = pieces[place : place + len(row)]
        place += len(row)
        joined.append(torch.cat([t for t, _ in mine]).tolist())
        masks.append(torch.cat([m for _, m in mine]).tolist())
        parts.append([number for number, (t, _) in enumerate(mine) for _ in t])
    tokens, mask = torch.from_numpy(pad_rows(joined, np.int64)), torch.from_numpy(pad_rows(masks, np.bool_))
    found = forward_log_probs(model, tokens, mask, parts=torch.from_numpy(pad_rows(parts, np.int64, -1)))
    wanted = forward_log_probs(model, apart, apart_mask)
    torch.testing.assert_close(found.log_probs[mask], wanted.log_probs[apart_mask], atol=2e-5, rtol=1e-4)
