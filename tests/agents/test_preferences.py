"""Comparisons of dialogues: which pairs, what loss, and a gradient that needs no pair in one forward pass."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agents.config import TrainConfig
from agents.learner import Learner
from agents.losses import forward_log_probs
from agents.methods import build_method
from agents.preferences import Pairs, loss_and_gradient, pairs_within, preference_loss
from agents.trajectories import Trajectories
from td_gym.errors import TdGymError
from tests.agents.micro import make_trajectories, micro_model

GROUP = torch.tensor([0, 0, 0, 1, 1])


def test_pairs_are_of_one_group_and_differ_by_more_than_the_gap() -> None:
    total = torch.tensor([3.0, 1.0, 3.0, 2.0, 1.5])
    found = pairs_within(total, GROUP, 0.0, 0.1)
    assert set(zip(found.chosen.tolist(), found.rejected.tolist(), strict=True)) == {(0, 1), (2, 1), (3, 4)}
    wide = pairs_within(total, GROUP, 0.5, 0.1)
    assert set(zip(wide.chosen.tolist(), wide.rejected.tolist(), strict=True)) == {(0, 1), (2, 1)}
    assert len(pairs_within(torch.zeros(5), GROUP, 0.0, 0.1).chosen) == 0


def test_the_loss_by_hand() -> None:
    pairs = Pairs(torch.tensor([0, 1]), torch.tensor([1, 0]), 0.5)
    losses = preference_loss(torch.tensor([3.0, 1.0]), pairs)
    assert losses.tolist() == pytest.approx([math.log(1 + math.exp(-1.0)), math.log(1 + math.exp(1.0))])
    assert preference_loss(torch.zeros(2), pairs).tolist() == pytest.approx([math.log(2.0)] * 2)


@given(st.lists(st.floats(-20, 20), min_size=5, max_size=5), st.floats(0.01, 2))
def test_slopes_are_the_derivative(ratios: list[float], beta: float) -> None:
    """By hand: -beta sigmoid(-beta d) for the better of a pair, the same with the other sign for the worse."""
    pairs = Pairs(torch.tensor([0, 0, 3]), torch.tensor([1, 2, 4]), beta)
    _, found = loss_and_gradient(torch.tensor(ratios), pairs)
    expected = [0.0] * 5
    for better, worse in ((0, 1), (0, 2), (3, 4)):
        slope = beta / (1 + math.exp(beta * (ratios[better] - ratios[worse])))
        expected[better] -= slope
        expected[worse] += slope
    assert found.tolist() == pytest.approx(expected, abs=1e-5)
    assert found.sum().item() == pytest.approx(0.0, abs=1e-5)


def dialogues(**changes: Any) -> Trajectories:
    settings: dict[str, Any] = {
        "tokens": [[1, 2, 3], [1, 4, 5, 6], [2, 7, 8], [2, 9, 1, 3]],
        "turn": [[-1, 0, 0], [-1, 0, 0, -1], [-1, 0, -1], [-1, 0, 0, 0]],
        "rewards": [4.0, 2.0, 3.0, 1.0],
        "groups": [0, 0, 1, 1],
    }
    return make_trajectories(**{**settings, **changes})


def learner(tmp_path: Path, **changes: Any) -> Learner:
    settings: dict[str, Any] = {"minibatches": 1, "micro_tokens": 4, "max_grad_norm": 1e9, "average": 0.0}
    config = TrainConfig("dpo", "toy", tmp_path, **{**settings, **changes})
    return Learner(micro_model(1), micro_model(2), build_method("dpo", "", {}, {"beta": 0.7}), config)


def test_dpo_takes_the_gradient_of_its_loss(tmp_path: Path) -> None:
    """Against one graph over all four dialogues, though the learner scores them one by one."""
    batch, learns = dialogues(), learner(tmp_path)

    def sums(model: Any) -> torch.Tensor:
        mask = torch.from_numpy(batch.agent_mask)
        return forward_log_probs(model, torch.from_numpy(batch.tokens), mask).log_probs.sum(1)

    model = micro_model(1)
    with torch.no_grad():
        reference = sums(micro_model(2))
    ratios = sums(model) - reference
    margin = 0.7 * torch.stack((ratios[0] - ratios[1], ratios[2] - ratios[3]))
    loss = -torch.nn.functional.logsigmoid(margin).mean()
    loss.backward()
    metrics = learns.update(batch, 1)
    assert metrics["losses/preference_loss"] == pytest.approx(loss.item(), rel=1e-4)
    assert metrics["losses/preference_accuracy"] == pytest.approx((margin > 0).float().mean().item())
    for expected, found in zip(model.parameters(), learns.parameters, strict=True):
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-3, atol=1e-6)


def test_dpo_comes_to_prefer_the_better_dialogues(tmp_path: Path) -> None:
    batch, learns = dialogues(), learner(tmp_path, minibatches=2, lr=1e-3)
    accuracy = [learns.update(batch, number)["losses/preference_accuracy"] for number in range(1, 30)]
    assert accuracy[-1] == 1.0
    assert learns.update(batch, 30)["losses/preference_loss"] < math.log(2) / 2


def test_equal_dialogues_teach_nothing(tmp_path: Path) -> None:
    learns = learner(tmp_path)
    before = [p.detach().clone() for p in learns.parameters]
    metrics = learns.update(dialogues(rewards=[3.0] * 4), 1)
    assert not any(name.startswith("losses/") for name in metrics)
    assert all(torch.equal(a, b) for a, b in zip(before, learns.parameters, strict=True))


@pytest.mark.parametrize("options", [{"beta": 0.0}, {"gap": -1.0}])
@pytest.mark.parametrize("method", ["dpo", "gopo"])
def test_bad_options_are_refused(method: str, options: dict[str, float]) -> None:
    with pytest.raises(TdGymError, match="beta must be above 0 and gap not negative"):
        build_method(method, "", {}, options)


def test_the_loss_of_preferences_is_finite_far_out() -> None:
    pairs = Pairs(torch.tensor([0]), torch.tensor([1]), 1.0)
    losses, gradient = loss_and_gradient(torch.tensor([-1e4, 1e4]), pairs)
    assert np.isfinite(losses.numpy()).all()
    assert gradient.tolist() == pytest.approx([-1.0, 1.0])


def test_micro_batches_keep_within_the_tokens_they_may_have(tmp_path: Path) -> None:
    rows = dialogues()
    for micro_tokens in (4, 8, 12, 16):
        parts = [*learner(tmp_path, micro_tokens=micro_tokens)._micro_batches(rows, np.arange(4))]
        assert sorted(np.concatenate(parts)) == [0, 1, 2, 3]
        assert all(len(part) * rows.lengths[part].max() <= micro_tokens for part in parts), micro_tokens
