"""CMPO of InteractCS-RL (arXiv 2602.22697): outcome, turn credit and dynamic cost in one advantage.

The problem is a constrained MDP: maximise the customer's satisfaction subject to ``E[C] <= d`` for
every budgeted cost.  That the three parts meet in one advantage is the paper's; the arithmetic of
``CMPO`` (preset ``hybrid``) is ours, that of ``ReleasedCMPO`` (preset ``released``) is read from the
authors' released code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from agents.advantages import (
    MIN_STD,
    TURN_CREDITS,
    batch_mean,
    batch_std,
    group_mean_centre,
    group_std_scale,
    scale,
    to_tokens,
    turn_centre,
)
from agents.distributed import all_sum, gather
from agents.losses import LossConfig
from agents.methods.base import Advantages, Method, layout, turn_scores
from agents.pid import PIDConfig, PIDLagrangian
from agents.trajectories import Trajectories
from td_gym.errors import TdGymError, unknown


@dataclass(frozen=True, slots=True)
class CMPOConfig:
    """Settings of CMPO as td-gym states it."""

    process_weight: float = 0.5
    """Weight of the turn credit beside the outcome (our choice)."""
    term_weights: Mapping[str, float] = field(default_factory=dict)
    """Weights of turn terms within a turn score that replace the scenario's, by name."""
    turn_credit: str = "immediate"
    """What a turn is credited with: its ``immediate`` score, the ``return_to_go`` or the ``sum``."""
    outcome_scale: str = "running"
    """What the outcome is divided by: the ``running`` std of the whole batch, or the std of the ``group``."""
    scale_decay: float = 0.98
    """Weight of the old value in the running std."""
    pid: PIDConfig = field(default_factory=PIDConfig)
    """Gains of each budget's controller."""
    loss: LossConfig = field(default_factory=LossConfig)
    """The policy loss."""

    def __post_init__(self) -> None:
        if self.turn_credit not in TURN_CREDITS:
            raise unknown("turn_credit", self.turn_credit, TURN_CREDITS)
        if self.outcome_scale not in OUTCOME_SCALES:
            raise unknown("outcome_scale", self.outcome_scale, OUTCOME_SCALES)
        if not 0 <= self.scale_decay <= 1:
            raise TdGymError(f"scale_decay must be between 0 and 1, it is {self.scale_decay}.")


def _scale_by_running_std(centred: Tensor, group: Tensor, running: float) -> Tensor:
    return scale(centred, running)


def _scale_by_group_std(centred: Tensor, group: Tensor, running: float) -> Tensor:
    return group_std_scale(centred, group)


OUTCOME_SCALES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "running": _scale_by_running_std,
    "group": _scale_by_group_std,
}


class CMPO(Method):
    """``A = (A_out + w_p A_proc - sum_n lambda_n A_cost_n) / (1 + sum_n lambda_n)``."""

    min_copies = 2

    def __init__(self, config: CMPOConfig, budgets: Mapping[str, float]) -> None:
        self.config: CMPOConfig = config
        self.loss = config.loss
        self.controllers = {name: PIDLagrangian(limit, config.pid) for name, limit in budgets.items()}
        self.outcome_std: float | None = None

    @property
    def uses_budgets(self) -> bool:
        """Always: budgets are what the method is for."""
        return True

    @property
    def reads_terms(self) -> bool:
        """Where turn scores have a weight."""
        return bool(self.config.process_weight)

    def advantages(self, batch: Trajectories, values: Tensor | None = None) -> Advantages:
        """Update the multipliers, then fuse the three parts, one advantage per dialogue and turn."""
        c = self.config
        turn, mask, group, reached = layout(batch)

        # The controllers move before the policy step, on the mean cost of the whole batch.
        costs = {name: torch.from_numpy(batch.cost(name)) for name in self.controllers}
        multipliers = {
            name: controller.update(batch_mean(costs[name], reduce=all_sum).item())
            for name, controller in self.controllers.items()
        }

        # Outcome: centred on the group, in units of a slowly moving std of the whole batch.  A
        # group's own std would erase how much a voucher matters to each customer.
        centred = group_mean_centre(torch.from_numpy(batch.session_rewards), group)
        outcome_std = self._update_outcome_std(batch_std(centred, reduce=all_sum).item())
        outcome = OUTCOME_SCALES[c.outcome_scale](centred, group, outcome_std)

        # Process: a turn against the same turn of the group's other dialogues.  One that no other reached differs by 0,
        # which counts in the std, as the mean over the batch's turns has it.
        credit = TURN_CREDITS[c.turn_credit](turn_scores(batch, c.term_weights), reached)
        credit = turn_centre(credit, reached, group)
        process = scale(credit, batch_std(credit, reached, all_sum))

        # Cost: centred, not scaled, so that a multiplier keeps its meaning as costs become rare.
        penalty = torch.zeros_like(outcome)
        for name, multiplier in multipliers.items():
            penalty = penalty + multiplier * group_mean_centre(costs[name], group)

        fused = (outcome - penalty)[:, None] + c.process_weight * process
        fused = fused / (1.0 + sum(multipliers.values()))
        metrics = {f"pid/{name}/lambda": multiplier for name, multiplier in multipliers.items()}
        metrics |= {f"pid/{name}/integral": pid.integral for name, pid in self.controllers.items()}
        metrics["advantages/outcome_std"] = outcome_std
        return Advantages(to_tokens(fused, turn, mask), metrics)

    def _update_outcome_std(self, fresh: float) -> float:
        if self.outcome_std is None or self.outcome_std < MIN_STD:  # a batch without variance tells no scale
            self.outcome_std = fresh
        self.outcome_std = self.config.scale_decay * self.outcome_std + (1.0 - self.config.scale_decay) * fresh
        return self.outcome_std

    def state_dict(self) -> dict[str, Any]:
        """Return the controllers and the running std as plain JSON."""
        return {
            "controllers": {name: pid.state_dict() for name, pid in self.controllers.items()},
            "outcome_std": self.outcome_std,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state_dict`` returned."""
        for name, pid in self.controllers.items():
            pid.load_state_dict(state["controllers"][name])
        self.outcome_std = state["outcome_std"]


@dataclass(frozen=True, slots=True)
class ReleasedCMPOConfig:
    """Settings of the released code; its learning rate and model size are not ours."""

    process_weight: float = 2.0
    """Weight of the process score of a dialogue, where the paid outcome is positive."""
    term_weights: Mapping[str, float] = field(default_factory=dict)
    """Weights of turn terms within a turn score that replace the scenario's, by name."""
    window: int = 128
    """Finished dialogues between two updates of the multiplier."""
    rate_weight: float = 0.7
    """Weight of the newest window in the moving average of the cost, which starts at the limit."""
    multiplier_rate: float = 0.2
    """Change of the multiplier per window and unit of overspending."""
    multiplier_maximum: float = 5.0
    """The multiplier starts at 0 and stays in [0, this]."""
    loss: LossConfig = field(default_factory=lambda: LossConfig(kl_beta=0.005))
    """The policy loss."""

    def __post_init__(self) -> None:
        if self.window < 1:
            raise TdGymError(f"window must be at least 1, it is {self.window}.")
        if not 0 <= self.rate_weight <= 1:
            raise TdGymError(f"rate_weight must be between 0 and 1, it is {self.rate_weight}.")
        for name in ("multiplier_rate", "multiplier_maximum"):
            if not getattr(self, name) >= 0:
                raise TdGymError(f"{name} must not be negative, it is {getattr(self, name)}.")


class ReleasedCMPO(Method):
    """GRPO on ``u = s - lambda v``, plus ``2 g`` where ``u > 0``, with a windowed multiplier.

    ``s`` is the session reward (unrounded here), ``v`` the budgeted cost, ``g`` the dialogue's mean
    turn score.  A batch is paid with the multiplier it was sampled under; then its dialogues enter
    the window.
    """

    min_copies = 2

    def __init__(self, config: ReleasedCMPOConfig, budgets: Mapping[str, float]) -> None:
        if len(budgets) != 1:
            raise TdGymError(f"The preset 'released' keeps exactly one budget, not {len(budgets)}; name one.")
        self.config: ReleasedCMPOConfig = config
        self.loss = config.loss
        self.cost_name, self.limit = next(iter(budgets.items()))
        self.multiplier = 0.0
        self.rate = self.limit
        self.waiting: list[float] = []
        """Costs of finished dialogues that have not filled a window yet."""

    @property
    def uses_budgets(self) -> bool:
        """Always: budgets are what the method is for."""
        return True

    def advantages(self, batch: Trajectories, values: Tensor | None = None) -> Advantages:
        """Return the group z-score of ``U_i`` for every agent token of dialogue i."""
        c = self.config
        turn, mask, group, reached = layout(batch)
        cost = torch.from_numpy(batch.cost(self.cost_name))

        scores = turn_scores(batch, c.term_weights) * reached
        process = scores.sum(1) / reached.sum(1).clamp(min=1)
        paid = torch.from_numpy(batch.session_rewards) - self.multiplier * cost
        total = torch.where(paid > 0, paid + c.process_weight * process, paid)
        advantage = group_std_scale(group_mean_centre(total, group), group)

        metrics = {f"pid/{self.cost_name}/lambda": self.multiplier}
        self._enter_window(gather(cost).tolist())
        return Advantages(to_tokens(advantage, turn, mask), metrics)

    def _enter_window(self, costs: list[float]) -> None:
        c = self.config
        self.waiting += costs
        while len(self.waiting) >= c.window:
            fresh = sum(self.waiting[: c.window]) / c.window
            self.waiting = self.waiting[c.window :]
            self.rate = c.rate_weight * fresh + (1.0 - c.rate_weight) * self.rate
            moved = self.multiplier + c.multiplier_rate * (self.rate - self.limit)
            self.multiplier = min(max(moved, 0.0), c.multiplier_maximum)

    def state_dict(self) -> dict[str, Any]:
        """Return the multiplier, the moving average and the open window as plain JSON."""
        return {"multiplier": self.multiplier, "rate": self.rate, "waiting": list(self.waiting)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state_dict`` returned."""
        self.multiplier = state["multiplier"]
        self.rate = state["rate"]
        self.waiting = list(state["waiting"])
