from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from agents.trajectories import Trajectories, pad_rows
from tests.agents.micro import make_trajectories


def _three() -> Trajectories:
    return make_trajectories(
        tokens=[[1, 2, 3, 4], [1, 5], [1, 6, 7]],
        turn=[[-1, 0, -1, 1], [-1, 0], [-1, 0, 0]],
        rewards=[1.0, 2.0, 3.0],
        groups=[0, 0, 1],
        costs=[0.0, 1.0, 0.0],
    )


def test_select_keeps_rows_together_and_cuts_padding() -> None:
    chosen = _three().select([2, 1])
    assert chosen.tokens.tolist() == [[1, 6, 7], [1, 5, 0]]
    assert chosen.turn.tolist() == [[-1, 0, 0], [-1, 0, -1]]
    assert chosen.turn_rewards.shape == (2, 1, 1)
    assert chosen.session_rewards.tolist() == [3.0, 2.0]
    assert chosen.cost("voucher").tolist() == [0.0, 1.0]
    assert len(chosen) == len(chosen.outcomes) == 2


def test_unknown_cost_is_refused() -> None:
    with pytest.raises(KeyError, match="transfer"):
        _three().cost("transfer")


@pytest.mark.parametrize(
    "name", [f.name for f in dataclasses.fields(Trajectories) if f.name not in ("allowed_sets", "tokens", "outcomes")]
)
def test_every_array_is_checked_against_the_tokens(name: str) -> None:
    batch = _three()
    short = getattr(batch, name)[:1]
    if name in ("term_names", "cost_names", "term_weights"):
        short = ("one", "two") if name != "term_weights" else (1.0, 2.0)
    with pytest.raises(ValueError, match="expected"):
        dataclasses.replace(batch, **{name: short})


def test_pad_rows_fills_on_the_right() -> None:
    assert pad_rows([[1, 2], [3]], np.int64, -1).tolist() == [[1, 2], [3, -1]]
    assert pad_rows([], np.float32).shape == (0, 0)
