"""What every method is to the trainer: advantages from trajectories, a per-token loss, a small state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from agents.advantages import turn_mask
from agents.losses import LossConfig, TokenScores, policy_loss
from agents.trajectories import Trajectories
from td_gym.errors import unknown


@dataclass(frozen=True, slots=True)
class Advantages:
    """What a method makes of a batch."""

    tokens: Tensor
    """``[B, L]`` advantage of each agent token, 0 elsewhere."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Figures for ``metrics.jsonl``, by full name."""
    returns: Tensor | None = None
    """``[B, L]`` targets of the value head, for methods that have one."""


class Method(ABC):
    """A training method.  ``advantages`` is called once per batch, before the policy step."""

    learns_from: ClassVar[str] = "policy"
    """Whose dialogues it learns from: the ``policy`` it trains, or the scenario's ``expert``."""

    min_copies: ClassVar[int] = 1
    """Dialogues with each customer that it needs: 2 where it compares them with each other."""

    loss: LossConfig
    value_head: nn.Linear | None = None
    """Extra parameters on the trunk's last state; trained beside the model when present."""
    value_coef: float = 0.0
    """Weight of the value loss."""

    @property
    def uses_budgets(self) -> bool:
        """Whether budgets change what is learnt, under this configuration."""
        return False

    def build(self, hidden_size: int) -> None:  # noqa: B027 - an optional hook
        """Create extra parameters for a trunk of this width; most methods have none."""

    @abstractmethod
    def advantages(self, batch: Trajectories, values: Tensor | None = None) -> Advantages:
        """Return advantages for this process's share of the batch and update the method's state.

        ``values`` ``[B, L]`` are the value head's, for methods that have one.
        """

    def token_loss(
        self, scores: TokenScores, old_log_probs: Tensor, reference: Tensor | None, advantages: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of each agent token ``[B, L]`` and per-token figures to log."""
        return policy_loss(scores, old_log_probs, reference, advantages, self.loss)

    def state_dict(self) -> dict[str, Any]:
        """Return the method's state as plain JSON."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - an optional hook
        """Take over what ``state_dict`` returned."""


def layout(batch: Trajectories) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return tensors: ``turn`` and ``agent_mask`` ``[B, L]``, ``group`` ``[B]``, and the turns reached ``[B, T]``."""
    turn, mask, group, turns = map(torch.from_numpy, (batch.turn, batch.agent_mask, batch.group, batch.turns))
    return turn, mask, group, turn_mask(turns, batch.turn_rewards.shape[1])


def term_weights(batch: Trajectories, replaced: Mapping[str, float]) -> tuple[float, ...]:
    """Return each turn term's weight, the scenario's or the ``replaced`` one; ``TdGymError`` for an unknown term."""
    for name in replaced:
        if name not in batch.term_names:
            raise unknown("turn term", name, batch.term_names)
    own = batch.term_weights or (1.0,) * len(batch.term_names)
    return tuple(replaced.get(name, weight) for name, weight in zip(batch.term_names, own, strict=True))


def turn_scores(batch: Trajectories, replaced: Mapping[str, float]) -> Tensor:
    """Return ``[B, T]``: the weighted mean of the turn terms, with the weights of ``term_weights``."""
    w = torch.tensor(term_weights(batch, replaced))
    return (torch.from_numpy(batch.turn_rewards) * w).sum(-1) / w.sum().clamp(min=1e-6)
