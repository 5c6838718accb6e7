"""Hand-worked examples and properties of the advantage functions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from agents import advantages as adv

GROUPS = torch.tensor([7, 7, 7, 2, 2])
numbers = st.floats(-10, 10, width=32)
batches = st.lists(numbers, min_size=5, max_size=5).map(torch.tensor)
turn_batches = st.lists(st.lists(numbers, min_size=4, max_size=4), min_size=5, max_size=5).map(torch.tensor)
turn_counts = st.lists(st.integers(1, 4), min_size=5, max_size=5).map(torch.tensor)


def test_group_centre_and_scale_by_hand() -> None:
    values = torch.tensor([1.0, 2.0, 6.0, 4.0, 4.0])
    centred = adv.group_mean_centre(values, GROUPS)
    torch.testing.assert_close(centred, torch.tensor([-2.0, -1.0, 3.0, 0.0, 0.0]))
    std = (14 / 3) ** 0.5
    expected = torch.tensor([-2 / std, -1 / std, 3 / std, 0.0, 0.0])
    torch.testing.assert_close(adv.group_std_scale(centred, GROUPS), expected)
    torch.testing.assert_close(adv.zero_variance_share(values, GROUPS), torch.tensor(0.4))
    elsewhere = torch.tensor([3.0, 4.0])  # of another process: groups that do not vary, and all of its rows
    together = adv.zero_variance_share(values, GROUPS, lambda own: own + elsewhere)
    torch.testing.assert_close(together, torch.tensor((0.4 * len(values) + 3) / (len(values) + 4)))


@given(batches)
def test_centred_sums_to_zero_in_every_group(values: Tensor) -> None:
    centred = adv.group_mean_centre(values, GROUPS)
    assert centred[:3].sum().abs() < 1e-4
    assert centred[3:].sum().abs() < 1e-4


@given(st.permutations(range(5)), batches)
def test_order_of_rows_does_not_matter(order: list[int], values: Tensor) -> None:
    shuffled = adv.group_mean_centre(values[order], GROUPS[order])
    torch.testing.assert_close(shuffled, adv.group_mean_centre(values, GROUPS)[order], atol=1e-5, rtol=1e-5)


@given(st.floats(0.5, 100), st.floats(-50, 50))
def test_group_z_score_ignores_scale_and_shift(factor: float, shift: float) -> None:
    values = torch.tensor([1.0, 2.0, 6.0, 4.0, 5.0])

    def z_score(v: Tensor) -> Tensor:
        return adv.group_std_scale(adv.group_mean_centre(v, GROUPS), GROUPS)

    torch.testing.assert_close(z_score(values * factor + shift), z_score(values), atol=1e-3, rtol=1e-3)


@given(st.floats(-100, 100, width=32))
def test_group_without_variance_contributes_nothing(value: float) -> None:
    values = torch.full((5,), value)
    scaled = adv.group_std_scale(adv.group_mean_centre(values, GROUPS), GROUPS)
    assert torch.equal(scaled, torch.zeros(5))


def test_batch_std_by_hand_masked_and_reduced() -> None:
    values = torch.tensor([1.0, 3.0, 100.0])
    mask = torch.tensor([True, True, False])
    assert adv.batch_std(values, mask).item() == pytest.approx(1.0)
    # Two processes holding the same rows have the same mean and std as one.
    assert adv.batch_std(values, mask, lambda x: 2 * x).item() == pytest.approx(1.0)
    assert adv.batch_std(values, torch.zeros(3, dtype=torch.bool)).item() == 0.0


def test_scale_refuses_to_blow_up_noise() -> None:
    assert torch.equal(adv.scale(torch.tensor([1e-8, -1e-8]), 1e-8), torch.zeros(2))
    torch.testing.assert_close(adv.scale(torch.tensor([2.0]), 4.0), torch.tensor([0.5]))


def test_turn_centre_by_hand() -> None:
    rewards = torch.tensor([[1.0, 5.0, 9.0], [3.0, 7.0, 0.0], [2.0, 0.0, 0.0]])
    reached = adv.turn_mask(torch.tensor([3, 2, 1]), 3)
    centred = adv.turn_centre(rewards, reached, torch.zeros(3, dtype=torch.long))
    # Turn 3 was reached by one dialogue only: nothing to compare with.
    torch.testing.assert_close(centred, torch.tensor([[-1.0, -1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]))


@given(turn_batches, turn_counts)
def test_turn_credit_sums_to_zero_at_every_turn_of_a_group(rewards: Tensor, turns: Tensor) -> None:
    reached = adv.turn_mask(turns, 4)
    centred = adv.turn_centre(rewards, reached, GROUPS)
    assert centred[:3].sum(0).abs().max() < 1e-4
    assert centred[3:].sum(0).abs().max() < 1e-4
    assert torch.equal(centred[~reached], torch.zeros(int((~reached).sum())))


def test_rewards_that_depend_on_the_turn_index_alone_give_no_credit() -> None:
    rewards = torch.tensor([[1.0, 2.0, 3.0]]).repeat(4, 1)
    reached = adv.turn_mask(torch.tensor([1, 2, 3, 3]), 3)
    centred = adv.turn_centre(rewards, reached, torch.zeros(4, dtype=torch.long))
    assert centred.abs().max() == 0.0


def test_pooled_turn_centre_by_hand() -> None:
    rewards = torch.tensor([[1.0, 5.0, 9.0], [3.0, 7.0, 99.0], [2.0, 99.0, 99.0], [4.0, 6.0, 99.0]])
    reached = adv.turn_mask(torch.tensor([3, 2, 1, 2]), 3)
    centred = adv.pooled_turn_centre(rewards, reached, torch.tensor([0, 0, 0, 1]))
    # One mean a group: 27/6 = 4.5 and 10/2 = 5.
    expected = [[-3.5, 0.5, 4.5], [-1.5, 2.5, 0.0], [-2.5, 0.0, 0.0], [-1.0, 1.0, 0.0]]
    torch.testing.assert_close(centred, torch.tensor(expected))


def test_group_turn_std_scale_by_hand() -> None:
    centred = torch.tensor([[-1.0, -2.0, 7.0], [1.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    counted = torch.tensor([[True, True, False], [True, True, False], [True, True, False]])
    # Four numbers of the first group count: s^2 = (1 + 4 + 1 + 4) / 4; the second group has no spread.
    expected = torch.tensor([[-1.0, -2.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 0.0]]) / 2.5**0.5
    torch.testing.assert_close(adv.group_turn_std_scale(centred, counted, torch.tensor([0, 0, 1])), expected)
    assert torch.equal(
        adv.group_turn_std_scale(centred * 1e-7, counted, torch.tensor([0, 0, 1])), torch.zeros_like(centred)
    )


def test_turn_compared_by_hand() -> None:
    reached = adv.turn_mask(torch.tensor([3, 2, 2]), 3)
    expected = [[True, True, False], [True, True, False], [False, False, False]]
    assert adv.turn_compared(reached, torch.tensor([0, 0, 1])).tolist() == expected


@given(turn_batches, turn_counts)
def test_pooled_credit_sums_to_zero_over_a_group(rewards: Tensor, turns: Tensor) -> None:
    reached = adv.turn_mask(turns, 4)
    centred = adv.pooled_turn_centre(rewards, reached, GROUPS)
    assert centred[:3].sum().abs() < 1e-3
    assert centred[3:].sum().abs() < 1e-3
    assert torch.equal(centred[~reached], torch.zeros(int((~reached).sum())))


def test_turn_credits_by_hand() -> None:
    rewards = torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 99.0]])
    reached = adv.turn_mask(torch.tensor([3, 2]), 3)
    expected = {
        "immediate": [[1.0, 2.0, 4.0], [8.0, 16.0, 0.0]],
        "return_to_go": [[7.0, 6.0, 4.0], [24.0, 16.0, 0.0]],
        "discounted_return": [[1 + 0.9 * 5.6, 2 + 0.9 * 4, 4.0], [8 + 0.9 * 16, 16.0, 0.0]],
        "sum": [[7.0, 7.0, 7.0], [24.0, 24.0, 0.0]],
    }
    assert expected.keys() == adv.TURN_CREDITS.keys()
    for name, rows in expected.items():
        torch.testing.assert_close(adv.TURN_CREDITS[name](rewards, reached), torch.tensor(rows))


def test_to_tokens_reaches_agent_tokens_only() -> None:
    turn = torch.tensor([[-1, 0, 0, -1, 1], [-1, 0, -1, -1, -1]])
    mask = turn >= 0
    torch.testing.assert_close(
        adv.to_tokens(torch.tensor([2.0, 3.0]), turn, mask),
        torch.tensor([[0.0, 2.0, 2.0, 0.0, 2.0], [0.0, 3.0, 0.0, 0.0, 0.0]]),
    )
    torch.testing.assert_close(
        adv.to_tokens(torch.tensor([[2.0, 4.0], [3.0, 9.0]]), turn, mask),
        torch.tensor([[0.0, 2.0, 2.0, 0.0, 4.0], [0.0, 3.0, 0.0, 0.0, 0.0]]),
    )


def test_gae_by_hand_skips_what_the_agent_did_not_write() -> None:
    mask = torch.tensor([[False, True, False, True, False]])
    rewards = torch.tensor([[0.0, 1.0, 0.0, 2.0, 0.0]])
    values = torch.tensor([[9.0, 0.5, 9.0, 1.0, 9.0]])
    advantages, returns = adv.gae(rewards, values, mask, gamma=0.9, lam=0.5)
    last = 2.0 - 1.0
    first = 1.0 + 0.9 * 1.0 - 0.5 + 0.9 * 0.5 * last
    torch.testing.assert_close(advantages, torch.tensor([[0.0, first, 0.0, last, 0.0]]))
    torch.testing.assert_close(returns, torch.tensor([[0.0, first + 0.5, 0.0, 2.0, 0.0]]))


@settings(max_examples=25)
@given(turn_batches, turn_batches)
def test_gae_with_lambda_one_is_return_minus_value(rewards: Tensor, values: Tensor) -> None:
    mask = torch.ones(5, 4, dtype=torch.bool)
    advantages, returns = adv.gae(rewards, values, mask, gamma=1.0, lam=1.0)
    to_go = adv.return_to_go(rewards, mask)
    torch.testing.assert_close(returns, to_go, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(advantages, to_go - values, atol=1e-3, rtol=1e-3)
