"""What every method is to the trainer: phases of an update, advantages, a per-token loss, a small state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from agents.advantages import turn_mask
from agents.losses import LossConfig, TokenScores, policy_loss
from agents.plans import Planning
from agents.preferences import Pairs
from agents.trajectories import Trajectories
from td_gym.errors import TdGymError, unknown
from td_gym.scenario import TermSpec


@dataclass(frozen=True, slots=True)
class Advantages:
    """What a method makes of a batch."""

    tokens: Tensor
    """``[B, L]`` advantage of each agent token, 0 elsewhere."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Figures for ``metrics.jsonl``, by full name."""
    returns: Tensor | None = None
    """``[B, L]`` targets of the value head, for methods that have one."""
    pairs: Pairs | None = None
    """Dialogues to compare: where given, the loss is that of preferences, and advantages count for nothing."""


class Phase(NamedTuple):
    """A part of an update: one batch, and the policy's steps on it."""

    source: str
    """Where the batch comes from, one of ``agents.trainer.SOURCES``."""
    number: int
    """The how-manieth batch of that source it is, from 1: the key of all its draws."""
    prefix: str = ""
    """Stands before the names of the losses; figures of one name in an update are averaged."""
    freezes: bool = False
    """The policy, as it stands when the phase begins, becomes the reference."""
    pace: float = 1.0
    """What the learning rate is multiplied by."""
    seat: str = ""
    """Whose tokens are learnt from, where the policy writes for several seats; empty for all."""


class Probe(Protocol):
    """What a method may ask of the model before it computes advantages."""

    def values(self, batch: Trajectories) -> Tensor:
        """Return ``[B, L]``, the value head's values of the agent's tokens."""

    def gradient_norms(self, batch: Trajectories, rewards: Tensor) -> Tensor:
        """Return ``[K]``, for each column of ``rewards`` ``[B, K]`` the norm of its policy gradient."""


class Method(ABC):
    """A training method.  ``advantages`` is called once per batch, before the policy step."""

    learns_from: str = "policy"
    """Where its batches come from: the ``policy`` it trains, or the scenario's ``expert``, for example."""

    min_copies: ClassVar[int] = 1
    """Dialogues with each customer that it needs: 2 where it compares them with each other."""

    config: Any
    """The method's own configuration, a dataclass."""
    loss: LossConfig
    value_head: nn.Linear | None = None
    """Extra parameters on the trunk's last state; trained beside the model when present."""
    value_coef: float = 0.0
    """Weight of the value loss."""
    planning: Planning | None = None
    """How the policy has to plan; ``None`` leaves that to the policy."""

    @property
    def may_plan(self) -> bool:
        """Whether it can train a policy that plans: one that holds whole dialogues by itself."""
        return self.learns_from == "policy"

    @property
    def needs_reference(self) -> bool:
        """Whether the policy that training starts from is scored too."""
        return self.loss.kl_beta > 0

    @property
    def uses_budgets(self) -> bool:
        """Whether budgets change what is learnt, under this configuration."""
        return False

    @property
    def needs_service(self) -> bool:
        """Whether it learns from what only the service seat has: turn terms, costs, tasks, plans, demonstrations."""
        return True

    @property
    def min_minibatches(self) -> int:
        """Optimiser steps per batch that it needs, under this configuration."""
        return 1

    @property
    def averages_terms(self) -> bool:
        """Whether turn terms count by their weighted mean, so that their weights must have a sum to divide by."""
        return True

    @property
    def reads_terms(self) -> bool:
        """Whether turn scores count, under this configuration, of a method with ``term_weights``."""
        return True

    def check_terms(self, terms: Mapping[str, TermSpec]) -> None:
        """Raise ``TdGymError`` where ``term_weights`` of the configuration do not go with the turn ``terms``."""
        replaced = getattr(self.config, "term_weights", {})
        if replaced and not self.reads_terms:
            raise TdGymError("Turn scores count for nothing here, so term_weights would too; leave them out.")
        for name in replaced:
            if not terms:
                raise TdGymError(f"There are no turn terms to learn from, so {name!r} has no weight; leave it out.")
            if name not in terms:
                raise unknown("turn term", name, terms)
        total = sum(replaced.get(name, spec.weight) for name, spec in terms.items())
        if replaced and self.averages_terms and not (total > 0 and isfinite(total)):
            raise TdGymError(f"The weights of all turn terms must add up to more than 0, their sum is {total:g}.")

    def phases(self, update: int, total: int) -> Sequence[Phase]:
        """Return the parts of an update, the first being 1 and the last ``total``, in order."""
        return (Phase(self.learns_from, update),)

    def build(self, hidden_size: int) -> None:  # noqa: B027 - an optional hook
        """Create extra parameters for a trunk of this width; most methods have none."""

    def measure(self, batch: Trajectories, model: Probe) -> Tensor | None:
        """Return what ``advantages`` has to know of the model beside the batch; ``None`` for most methods."""
        return None if self.value_head is None else model.values(batch)

    @abstractmethod
    def advantages(self, batch: Trajectories, values: Tensor | None = None) -> Advantages:
        """Return advantages for this process's share of the batch and update the method's state.

        ``values`` are what ``measure`` found: the value head's ``[B, L]``, for methods that have one.
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
