"""Supervised fine-tuning: cross entropy on the agent's tokens of given dialogues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from agents.losses import LossConfig, TokenScores
from agents.methods.base import Advantages, Method
from agents.trajectories import Trajectories
from td_gym.errors import TdGymError


@dataclass(frozen=True, slots=True)
class SFTConfig:
    """Settings of SFT."""

    loss: LossConfig = field(default_factory=lambda: LossConfig(kl_beta=0.0))
    """Only the normalisation is read: there is neither a ratio nor a reference."""
    recorded: bool = False
    """Learn from the scenario's recorded dialogues instead of its demonstrator's."""

    def __post_init__(self) -> None:
        if self.loss != replace(
            LossConfig(kl_beta=0.0), normalisation=self.loss.normalisation, constant=self.loss.constant
        ):
            raise TdGymError("sft learns by cross entropy; of loss it reads normalisation and constant alone.")


class SFT(Method):
    """Every token the expert wrote counts the same."""

    def __init__(self, config: SFTConfig, budgets: Mapping[str, float]) -> None:
        self.config: SFTConfig = config
        self.loss = config.loss
        self.learns_from = "recordings" if config.recorded else "expert"

    def advantages(self, batch: Trajectories, values: Tensor | None = None) -> Advantages:
        """Return 1 for each agent token."""
        return Advantages(torch.from_numpy(batch.agent_mask).float())

    def token_loss(
        self, scores: TokenScores, old_log_probs: Tensor, reference: Tensor | None, advantages: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the negative log-likelihood of each token, in nats."""
        loss = -scores.log_probs * advantages
        figures = {"policy_loss": loss.detach()}
        if scores.entropy is not None:
            figures["entropy"] = scores.entropy.detach()
        return loss, figures
