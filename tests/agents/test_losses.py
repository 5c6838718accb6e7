"""Losses by hand, and the scoring function against the plain definition."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from agents import losses
from agents.losses import LossConfig, TokenScores
from tests.agents.micro import micro_model

TOKENS = torch.tensor([[1, 2, 3, 4, 5], [1, 6, 7, 0, 0]])
MASK = torch.tensor([[False, True, False, True, True], [False, False, True, False, False]])
log_probs = st.lists(st.floats(-8, 0, width=32), min_size=4, max_size=4).map(torch.tensor)


@given(log_probs, log_probs)
def test_at_ratio_one_the_loss_is_minus_the_advantage(current: Tensor, advantages: Tensor) -> None:
    torch.testing.assert_close(losses.clipped_surrogate(current, current, advantages), -advantages)


def test_clipped_surrogate_by_hand() -> None:
    ratio = torch.tensor([1.5, 1.5, 0.5, 0.5])
    advantage = torch.tensor([1.0, -1.0, 1.0, -1.0])
    loss = losses.clipped_surrogate(ratio.log(), torch.zeros(4), advantage, 0.2, 0.3)
    torch.testing.assert_close(loss, torch.tensor([-1.3, 1.5, -0.5, 0.8]))


def test_gradient_at_ratio_one_is_the_policy_gradient() -> None:
    current = torch.tensor([-1.0, -2.0], requires_grad=True)
    losses.clipped_surrogate(current, current.detach(), torch.tensor([3.0, -0.5])).sum().backward()
    torch.testing.assert_close(current.grad, torch.tensor([-3.0, 0.5]))


@given(log_probs, log_probs)
def test_k3_is_never_negative_and_zero_on_itself(current: Tensor, reference: Tensor) -> None:
    assert (losses.k3_kl(current, reference) >= 0).all()
    assert torch.equal(losses.k3_kl(current, current), torch.zeros(4))


def test_k3_by_hand_and_on_average_the_kl_divergence() -> None:
    assert losses.k3_kl(torch.tensor(0.0), torch.tensor(math.log(2.0))).item() == pytest.approx(2 - math.log(2) - 1)
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])
    expected = (p * losses.k3_kl(p.log(), q.log())).sum()
    torch.testing.assert_close(expected, (p * (p / q).log()).sum())


def test_value_loss_by_hand() -> None:
    torch.testing.assert_close(losses.value_loss(torch.tensor([1.0]), torch.tensor([4.0])), torch.tensor([4.5]))


def test_token_weights_by_hand() -> None:
    weights = losses.token_weights(MASK, "token")
    torch.testing.assert_close(weights, MASK / 4)
    weights = losses.token_weights(MASK, "sequence")
    torch.testing.assert_close(weights[0], MASK[0] / 6)
    torch.testing.assert_close(weights[1], MASK[1] / 2)
    torch.testing.assert_close(losses.token_weights(MASK, "constant", 10.0), MASK / 20)
    assert losses.NORMALISATIONS.keys() == {"token", "sequence", "constant"}


@pytest.mark.parametrize("normalisation", losses.NORMALISATIONS)
def test_two_processes_weigh_tokens_as_one_process_would(normalisation: str) -> None:
    both = losses.token_weights(torch.cat((MASK, MASK)), normalisation)
    half = losses.token_weights(MASK, normalisation, reduce=lambda x: 2 * x)
    torch.testing.assert_close(both[:2], half)


def test_scores_equal_the_plain_definition() -> None:
    model = micro_model()
    scores = losses.forward_log_probs(model, TOKENS, MASK, want_entropy=True, want_hidden=True)
    with torch.no_grad():
        log_softmax = model(TOKENS).logits.log_softmax(-1)
        hidden = model.model(TOKENS).last_hidden_state
    assert scores.entropy is not None
    assert scores.hidden is not None
    for row, position in MASK.nonzero().tolist():
        before = log_softmax[row, position - 1]
        torch.testing.assert_close(scores.log_probs[row, position], before[TOKENS[row, position]])
        torch.testing.assert_close(scores.entropy[row, position], -(before.exp() * before).sum())
        torch.testing.assert_close(scores.hidden[row, position], hidden[row, position - 1])
    for array in (scores.log_probs, scores.entropy, scores.hidden):
        assert torch.equal(array[~MASK], torch.zeros_like(array[~MASK]))


def test_padding_does_not_change_scores() -> None:
    model = micro_model()
    alone = losses.forward_log_probs(model, TOKENS[1:, :3], MASK[1:, :3]).log_probs
    together = losses.forward_log_probs(model, TOKENS, MASK).log_probs
    torch.testing.assert_close(together[1:, :3], alone)


def test_masked_softmax_is_over_the_admissible_set_and_has_a_finite_gradient() -> None:
    model = micro_model()
    sets = torch.zeros(1, 12, dtype=torch.bool)
    sets[0, [2, 3]] = True
    allowed = torch.full_like(TOKENS, -1)
    allowed[0, 1] = 0
    scores = losses.forward_log_probs(model, TOKENS, MASK, allowed, sets, want_entropy=True)
    with torch.no_grad():
        logits = model(TOKENS).logits[0, 0]
        free = losses.forward_log_probs(model, TOKENS, MASK).log_probs
    torch.testing.assert_close(scores.log_probs[0, 1], logits[[2, 3]].log_softmax(-1)[0])
    torch.testing.assert_close(scores.log_probs[0, 3], free[0, 3])
    assert scores.entropy is not None
    assert 0 < scores.entropy[0, 1].item() <= math.log(2) + 1e-6
    (scores.log_probs.sum() + scores.entropy.sum()).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_a_row_cannot_start_with_an_agent_token() -> None:
    with pytest.raises(ValueError, match="first token"):
        losses.forward_log_probs(micro_model(), TOKENS, torch.ones_like(MASK))


def test_policy_loss_adds_kl_and_subtracts_entropy() -> None:
    zero = torch.zeros(1)
    scores = TokenScores(zero, entropy=torch.tensor([2.0]))
    reference = torch.tensor([math.log(2.0)])
    config = LossConfig(kl_beta=0.5, entropy_coef=0.1)
    total, figures = losses.policy_loss(scores, zero, reference, torch.tensor([3.0]), config)
    assert total.item() == pytest.approx(-3.0 + 0.5 * (1 - math.log(2)) - 0.2)
    assert figures["clipfrac"].item() == 0.0
    assert figures["approx_kl"].item() == 0.0
    moved = TokenScores(torch.tensor([math.log(1.5)]))
    _, figures = losses.policy_loss(moved, zero, None, torch.tensor([3.0]), config)
    assert figures["clipfrac"].item() == 1.0
    assert figures["approx_kl"].item() == pytest.approx(0.5 - math.log(1.5))


def test_one_abandoned_token_does_not_outweigh_a_batch() -> None:
    abandoned = torch.tensor([-40.0], requires_grad=True)
    losses.k3_kl(abandoned, torch.tensor([-0.1])).sum().backward()
    assert float(losses.k3_kl(abandoned.detach(), torch.tensor([-0.1]))) == pytest.approx(math.expm1(3.0) - 3.0)
    assert abandoned.grad is not None
    assert float(abandoned.grad) == 0.0


def test_a_policy_loss_is_clipped_where_its_configuration_says() -> None:
    ratio = torch.tensor([1.25, 0.85, 1.35, 0.95])
    config = LossConfig(clip_low=0.1, clip_high=0.3, kl_beta=0.0)
    advantages = torch.tensor([1.0, -1.0, 1.0, -1.0])
    loss, figures = losses.policy_loss(TokenScores(ratio.log()), torch.zeros(4), None, advantages, config)
    torch.testing.assert_close(loss, torch.tensor([-1.25, 0.9, -1.3, 0.95]))
    assert figures["clipfrac"].tolist() == [0.0, 1.0, 1.0, 0.0]


def test_a_row_without_agent_tokens_takes_no_share_of_the_weights() -> None:
    mask = torch.tensor([[False, True, True], [False, False, False]])
    torch.testing.assert_close(losses.token_weights(mask, "sequence"), mask / 2)
    torch.testing.assert_close(losses.token_weights(mask, "token"), mask / 2)
