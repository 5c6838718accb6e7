"""GDPO (arXiv 2601.05242): every reward normalised in its group on its own, summed, then normalised in the batch.

Published, for dialogue j of group i and rewards n = 1..N:

- ``A_n,ij = (r_n,ij - mean_j r_n,ij) / std_j r_n,ij``
- ``A_ij = sum_n w_n A_n,ij``
- ``(A_ij - mean A) / std A``, mean and std over all dialogues of the batch

and every token of a dialogue gets its one value.  Ours: what the rewards are (the session reward and
each turn term, summed over the dialogue), standard deviations that divide by n, and that a std below
``MIN_STD`` silences its reward, where the published one adds a small constant.  Costs have no
place here, and stated budgets are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from agents.advantages import batch_mean, batch_std, group_mean_centre, group_std_scale, scale, to_tokens
from agents.distributed import all_sum
from agents.losses import LossConfig
from agents.methods.base import Advantages, Method, layout, term_weights, turn_scores
from agents.trajectories import Trajectories
from td_gym.errors import unknown


@dataclass(frozen=True, slots=True)
class GDPOConfig:
    """Settings of GDPO."""

    session_weight: float = 1.0
    """Weight of the normalised session reward."""
    turn_weight: float = 1.0
    """Weight of each normalised turn term, or of the normalised sum of turn scores."""
    term_weights: Mapping[str, float] = field(default_factory=dict)
    """Weights of turn terms that replace the scenario's, by name, on top of ``turn_weight``."""
    rewards: str = "terms"
    """What is normalised beside the session reward: each of the ``terms``, or their mean for both ``horizons``."""
    loss: LossConfig = field(default_factory=LossConfig)
    """The policy loss."""

    def __post_init__(self) -> None:
        if self.rewards not in REWARDS:
            raise unknown("rewards", self.rewards, REWARDS)


def _each_term(batch: Trajectories, reached: Tensor, c: GDPOConfig) -> list[tuple[float, Tensor]]:
    sums = (torch.from_numpy(batch.turn_rewards) * reached[:, :, None]).sum(1)
    return [(c.turn_weight * weight, sums[:, k]) for k, weight in enumerate(term_weights(batch, c.term_weights))]


def _turn_score(batch: Trajectories, reached: Tensor, c: GDPOConfig) -> list[tuple[float, Tensor]]:
    return [(c.turn_weight, (turn_scores(batch, c.term_weights) * reached).sum(1))]


REWARDS: dict[str, Callable[[Trajectories, Tensor, GDPOConfig], list[tuple[float, Tensor]]]] = {
    "terms": _each_term,
    "horizons": _turn_score,
}
"""The rewards ``[B]`` beside the session's, each with its weight."""


class GDPO(Method):
    """Group reward-decoupled normalisation of the session reward and the turn terms' sums."""

    min_copies = 2

    def __init__(self, config: GDPOConfig, budgets: Mapping[str, float]) -> None:
        self.config: GDPOConfig = config
        self.loss = config.loss

    @property
    def averages_terms(self) -> bool:
        """Where it takes their mean for one reward; each of the terms is normalised by itself otherwise."""
        return self.config.rewards == "horizons"

    def advantages(self, batch: Trajectories, values: Tensor | None = None) -> Advantages:
        """Return the normalised sum of z-scores for every agent token of dialogue i."""
        c = self.config
        turn, mask, group, reached = layout(batch)
        session = torch.from_numpy(batch.session_rewards)

        total = torch.zeros_like(session)
        for weight, reward in [(c.session_weight, session), *REWARDS[c.rewards](batch, reached, c)]:
            total = total + weight * group_std_scale(group_mean_centre(reward, group), group)
        total = total - batch_mean(total, reduce=all_sum)
        return Advantages(to_tokens(scale(total, batch_std(total, reduce=all_sum)), turn, mask))
