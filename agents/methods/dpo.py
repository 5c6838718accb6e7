"""DPO (arXiv 2305.18290) on the policy's own dialogues: of two with one customer, the better one is preferred.

Pairs are drawn by the policy as it stands, in every update anew (online DPO, arXiv 2402.04792, with the environment's
session reward in the judge's place).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from agents.losses import LossConfig
from agents.methods.base import Advantages, Method
from agents.preferences import pairs_within
from agents.trajectories import Trajectories
from td_gym.errors import TdGymError


@dataclass(frozen=True, slots=True)
class DPOConfig:
    """Settings of DPO."""

    beta: float = 0.1
    """How strongly the policy is held to the reference; larger is stronger."""
    gap: float = 0.0
    """Two dialogues are compared where their session rewards differ by more than this."""
    loss: LossConfig = field(default_factory=lambda: LossConfig(kl_beta=0.0))
    """Nothing is read from it: a comparison has its own loss."""

    def __post_init__(self) -> None:
        if self.beta <= 0 or self.gap < 0:
            raise TdGymError(f"beta must be above 0 and gap not negative, they are {self.beta} and {self.gap}.")
        if self.loss != LossConfig(kl_beta=0.0):
            raise TdGymError("dpo compares dialogues by a loss of its own; leave loss out, and set beta.")


class DPO(Method):
    """``-log sigmoid(beta (S_i - S_j))`` for all dialogues i, j with one customer where i earned more."""

    min_copies = 2
    needs_reference = True
    needs_service = False

    def __init__(self, config: DPOConfig, budgets: Mapping[str, float]) -> None:
        self.config: DPOConfig = config
        self.loss = config.loss

    def advantages(self, batch: Trajectories, values: Tensor | None = None) -> Advantages:
        """Return the pairs to compare."""
        rewards, group = torch.from_numpy(batch.session_rewards), torch.from_numpy(batch.group)
        pairs = pairs_within(rewards, group, self.config.gap, self.config.beta)
        return Advantages(torch.zeros(batch.tokens.shape), pairs=pairs)
