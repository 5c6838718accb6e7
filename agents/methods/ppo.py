"""PPO (arXiv 1707.06347) on tokens: a value head on the trunk, GAE over the agent's tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from agents.advantages import batch_mean, batch_std, gae, scale
from agents.distributed import all_sum
from agents.losses import LossConfig
from agents.methods.base import Advantages, Method, turn_scores
from agents.trajectories import Trajectories
from td_gym.errors import TdGymError


@dataclass(frozen=True, slots=True)
class PPOConfig:
    """Settings of PPO."""

    gamma: float = 1.0
    """Discount per agent token."""
    gae_lambda: float = 0.99
    """Weight of longer returns in the advantage; near 1, because a dialogue has hundreds of tokens."""
    value_coef: float = 0.1
    """Weight of the value loss beside the policy loss."""
    turn_weight: float = 0.0
    """Weight of turn scores, paid at the last token of their turn."""
    term_weights: Mapping[str, float] = field(default_factory=dict)
    """Weights of turn terms within a turn score that replace the scenario's, by name."""
    loss: LossConfig = field(default_factory=LossConfig)
    """The policy loss."""

    def __post_init__(self) -> None:
        for name in ("gamma", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise TdGymError(f"{name} must be between 0 and 1, it is {getattr(self, name)}.")
        if not self.value_coef >= 0:
            raise TdGymError(f"value_coef must not be negative, it is {self.value_coef}.")


class PPO(Method):
    """Proximal policy optimisation with a critic that shares the trunk.

    The head starts at zero weights and the first batch's mean reward (our decision), so that its
    first errors do not drown the policy's gradient in the shared trunk.
    """

    def __init__(self, config: PPOConfig, budgets: Mapping[str, float]) -> None:
        self.config: PPOConfig = config
        self.loss = config.loss
        self.value_coef = config.value_coef
        self.started = False

    @property
    def needs_service(self) -> bool:
        """Where turn scores are paid; the session reward is every seat's."""
        return bool(self.config.turn_weight)

    def build(self, hidden_size: int) -> None:
        """Create the value head."""
        self.value_head = nn.Linear(hidden_size, 1)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)

    @property
    def reads_terms(self) -> bool:
        """Where turn scores have a weight."""
        return bool(self.config.turn_weight)

    def advantages(self, batch: Trajectories, values: Tensor | None = None) -> Advantages:
        """Return GAE of the token rewards, standardised over the batch, and the value targets."""
        if values is None or self.value_head is None:
            raise ValueError("PPO needs the values of its own head; call build() first.")
        c = self.config
        mask = torch.from_numpy(batch.agent_mask)
        rewards = token_rewards(batch, c.turn_weight * turn_scores(batch, c.term_weights))
        if not self.started:
            first = batch_mean(rewards.sum(1), reduce=all_sum)
            with torch.no_grad():
                self.value_head.bias.fill_(first.item())
            values = values + first
            self.started = True

        raw, returns = gae(rewards, values, mask, c.gamma, c.gae_lambda)
        centred = (raw - batch_mean(raw, mask, all_sum)) * mask
        advantage = scale(centred, batch_std(centred, mask, all_sum))

        unexplained = batch_std(returns - values, mask, all_sum) ** 2
        variance = (batch_std(returns, mask, all_sum) ** 2).clamp(min=1e-6)
        metrics = {"losses/explained_variance": (1.0 - unexplained / variance).item()}
        return Advantages(advantage, metrics, returns)

    def state_dict(self) -> dict[str, Any]:
        """Return whether the head has been given its first value."""
        return {"started": self.started}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state_dict`` returned."""
        self.started = state["started"]


def token_rewards(batch: Trajectories, turn_rewards: Tensor) -> Tensor:
    """Return ``[B, L]``: turn rewards ``[B, T]`` at the last token of their turn, the session reward at the last."""
    mask = torch.from_numpy(batch.agent_mask)
    turn = torch.from_numpy(batch.turn).clamp(min=0)
    place = torch.where(mask, torch.arange(mask.shape[1]), -1)
    # The plan of a turn stands apart from its message, so that more than one run of tokens may belong to a turn.
    last = torch.full(turn_rewards.shape, -1).scatter_reduce(1, turn, place, "amax")
    closes_turn = mask & (place == last.gather(1, turn))
    rewards = turn_rewards.gather(1, turn) * closes_turn
    closes_dialogue = mask & (mask.flip(1).cumsum(1).flip(1) == 1)
    return rewards + closes_dialogue * torch.from_numpy(batch.session_rewards)[:, None]
