from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from agents.constraints import FREE
from agents.trajectories import Trajectories, pad_rows
from tests.agents.micro import make_trajectories

_OTHERWISE = ("allowed_sets", "tokens", "outcomes", "seats", "conduct", "one_history")


def _three() -> Trajectories:
    return make_trajectories(
        tokens=[[1, 2, 3, 4], [1, 5], [1, 6, 7]],
        turn=[[-1, 0, -1, 1], [-1, 0], [-1, 0, 0]],
        rewards=[1.0, 2.0, 3.0],
        groups=[0, 0, 1],
        costs=[0.0, 1.0, 0.0],
    )


def _in_parts() -> Trajectories:
    """The same, the first row having been read anew before its second message."""
    return dataclasses.replace(_three(), parts=np.array([[0, 0, 1, 1], [0, 0, -1, -1], [0, 0, 0, -1]]))


def test_select_keeps_rows_together_and_cuts_padding() -> None:
    chosen = _three().select([2, 1])
    assert chosen.tokens.tolist() == [[1, 6, 7], [1, 5, 0]]
    assert chosen.turn.tolist() == [[-1, 0, 0], [-1, 0, -1]]
    assert chosen.turn_rewards.shape == (2, 1, 1)
    assert chosen.session_rewards.tolist() == [3.0, 2.0]
    assert chosen.cost("voucher").tolist() == [0.0, 1.0]
    assert len(chosen) == len(chosen.outcomes) == 2


def test_what_was_read_before_a_message_is_its_part_alone() -> None:
    batch = _in_parts()
    assert [batch.read_before(0, turn) for turn in (0, 1)] == [[1], [3]]
    assert _three().read_before(0, 1) == [1, 2, 3]
    chosen = batch.select([2, 1]).parts
    assert chosen is not None
    assert chosen.tolist() == [[0, 0, 0], [0, 0, -1]]


def test_unknown_cost_is_refused() -> None:
    with pytest.raises(KeyError, match="transfer"):
        _three().cost("transfer")


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Trajectories) if f.name not in _OTHERWISE])
def test_every_array_is_checked_against_the_tokens(name: str) -> None:
    batch = _in_parts()
    short = getattr(batch, name)[:1]
    if name in ("term_names", "cost_names", "term_weights"):
        short = ("one", "two") if name != "term_weights" else (1.0, 2.0)
    with pytest.raises(ValueError, match="expected"):
        dataclasses.replace(batch, **{name: short})


def test_seats_and_conduct_are_checked_too() -> None:
    batch = _three()
    with pytest.raises(ValueError, match="seat must point into"):
        dataclasses.replace(batch, seats=())
    assert batch.conduct is not None
    with pytest.raises(ValueError, match="conduct is of"):
        dataclasses.replace(batch, conduct=batch.conduct.select(np.array([0]), 2))


def test_tokens_of_one_seat() -> None:
    batch = dataclasses.replace(_three(), seats=("service", "expert"))
    batch.seat[2, 1] = 1
    assert batch.writers() == {"service", "expert"}
    batch.log_probs[batch.agent_mask] = -1.0
    planned = batch.of_seat("expert")
    assert planned.log_probs[2].tolist() == [0.0, -1.0, 0.0, 0.0]
    assert planned.log_probs.sum() == -1.0
    assert planned.writers() == {"expert"}
    assert planned.agent_mask.tolist() == [[False] * 4, [False] * 4, [False, True, False, False]]
    assert planned.turn[2].tolist() == [-1, 0, -1, -1]
    assert batch.of_seat("service").agent_mask.sum() == batch.agent_mask.sum() - 1


@pytest.mark.parametrize(("number", "sets"), [(FREE - 1, 1), (0, 0), (1, 1)])
def test_allowed_points_into_the_sets(number: int, sets: int) -> None:
    batch = _three()
    free, known = np.full_like(batch.allowed, FREE), np.ones((sets, 9), dtype=np.bool_)
    dataclasses.replace(batch, allowed=free, allowed_sets=known)
    free[0, 1] = number
    with pytest.raises(ValueError, match=f"must point into {sets} sets"):
        dataclasses.replace(batch, allowed=free, allowed_sets=known)


def test_pad_rows_fills_on_the_right() -> None:
    assert pad_rows([[1, 2], [3]], np.int64, -1).tolist() == [[1, 2], [3, -1]]
    assert pad_rows([], np.float32).shape == (0, 0)
