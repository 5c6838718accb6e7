"""DuCA (arXiv 2603.01481): turn and session rewards normalised separately, then fused (HIAN).

That the two horizons are normalised on their own and fused afterwards is the paper's.  We know no
formula of it: the arithmetic below, the weights and the treatment of turns that few dialogues reach
are ours.  Costs have no place in DuCA, and stated budgets are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from agents.advantages import (
    TURN_CREDITS,
    group_mean_centre,
    group_std_scale,
    group_turn_std_scale,
    pooled_turn_centre,
    to_tokens,
    turn_centre,
    turn_compared,
)
from agents.losses import LossConfig
from agents.methods.base import Advantages, Method, layout, turn_scores
from agents.trajectories import Trajectories
from td_gym.errors import unknown


@dataclass(frozen=True, slots=True)
class DuCAConfig:
    """Settings of DuCA; all choices are ours."""

    session_weight: float = 1.0
    """Weight of the normalised session reward."""
    turn_weight: float = 1.0
    """Weight of the normalised turn credit."""
    term_weights: Mapping[str, float] = field(default_factory=dict)
    """Weights of turn terms within a turn score that replace the scenario's, by name."""
    turn_credit: str = "immediate"
    """What a turn is credited with: its ``immediate`` score, the ``discounted_return``, ``return_to_go`` or ``sum``."""
    turn_baseline: str = "same_index"
    """What a turn is compared with: the ``same_index`` of the group's other dialogues, or all turns ``pooled``."""
    fusion: str = "normalise_then_fuse"
    """``normalise_then_fuse``, or ``fuse_then_normalise``: one z-score over the sums of both rewards."""
    loss: LossConfig = field(default_factory=LossConfig)
    """The policy loss."""

    def __post_init__(self) -> None:
        if self.turn_credit not in TURN_CREDITS:
            raise unknown("turn_credit", self.turn_credit, TURN_CREDITS)
        if self.turn_baseline not in TURN_BASELINES:
            raise unknown("turn_baseline", self.turn_baseline, TURN_BASELINES)
        if self.fusion not in FUSIONS:
            raise unknown("fusion", self.fusion, FUSIONS)


def _same_index(credit: Tensor, reached: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
    # A turn without anything to compare with has no residual, so it does not count in the std either.
    return turn_centre(credit, reached, group), turn_compared(reached, group)


def _pooled(credit: Tensor, reached: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
    return pooled_turn_centre(credit, reached, group), reached


TURN_BASELINES: dict[str, Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "same_index": _same_index,
    "pooled": _pooled,
}
"""From credit ``[B, T]``, turns reached and group: centred credit ``[B, T]`` and the turns that count in its std."""


def _normalise_then_fuse(session: Tensor, credit: Tensor, reached: Tensor, group: Tensor, c: DuCAConfig) -> Tensor:
    of_session = group_std_scale(group_mean_centre(session, group), group)
    centred, counted = TURN_BASELINES[c.turn_baseline](credit, reached, group)
    of_turn = group_turn_std_scale(centred, counted, group)
    return c.session_weight * of_session[:, None] + c.turn_weight * of_turn


def _fuse_then_normalise(session: Tensor, credit: Tensor, reached: Tensor, group: Tensor, c: DuCAConfig) -> Tensor:
    total = c.session_weight * session[:, None] + c.turn_weight * credit
    return group_turn_std_scale(pooled_turn_centre(total, reached, group), reached, group)


FUSIONS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor, DuCAConfig], Tensor]] = {
    "normalise_then_fuse": _normalise_then_fuse,
    "fuse_then_normalise": _fuse_then_normalise,
}
"""From session rewards ``[B]``, turn credit ``[B, T]``, turns reached, group and settings to advantages ``[B, T]``."""


class DuCA(Method):
    """``A[i, t] = w_S A_S,i + w_T A_T,it``, each horizon in units of its own spread within the group.

    ``A_S`` is the z-score of the session reward.  ``A_T`` is a turn's score minus the mean of the
    dialogues that reached the same turn, over the std of that difference pooled over the group.
    """

    min_copies = 2

    def __init__(self, config: DuCAConfig, budgets: Mapping[str, float]) -> None:
        self.config: DuCAConfig = config
        self.loss = config.loss

    @property
    def reads_terms(self) -> bool:
        """Where turn scores have a weight."""
        return bool(self.config.turn_weight)

    def advantages(self, batch: Trajectories, values: Tensor | None = None) -> Advantages:
        """Return the fused advantage, one value per dialogue and turn."""
        c = self.config
        turn, mask, group, reached = layout(batch)
        credit = TURN_CREDITS[c.turn_credit](turn_scores(batch, c.term_weights), reached)
        fused = FUSIONS[c.fusion](torch.from_numpy(batch.session_rewards), credit, reached, group, c)
        return Advantages(to_tokens(fused, turn, mask))
