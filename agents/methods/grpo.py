"""GRPO (arXiv 2402.03300): the z-score of a dialogue's total within its group, for all its tokens.

The presets ``fixed_penalty`` and ``dual_ascent`` charge a price for every budgeted cost.  They are
our stand-ins for constrained baselines whose formulas are not public.  The presets ``total...`` add
the turn scores to the session reward, at three scales of the latter: what an advantage over
separately normalised horizons has to be measured against.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

import torch
from torch import Tensor

from agents.advantages import batch_mean, group_mean_centre, group_std_scale, to_tokens
from agents.distributed import all_sum
from agents.losses import LossConfig
from agents.methods.base import Advantages, Method, layout, turn_scores
from agents.pid import PIDConfig, PIDLagrangian
from agents.trajectories import Trajectories
from td_gym.errors import TdGymError


@dataclass(frozen=True, slots=True)
class GRPOConfig:
    """Settings of GRPO."""

    session_weight: float = 1.0
    """Scale of the session reward in a dialogue's total; without turn scores and costs it changes nothing."""
    turn_weight: float = 0.0
    """Weight of the sum of turn scores in a dialogue's total."""
    term_weights: Mapping[str, float] = field(default_factory=dict)
    """Weights of turn terms within a turn score that replace the scenario's, by name."""
    penalty: float = 0.0
    """Price of one unit of each budgeted cost; where dual ascent starts."""
    dual_rate: float = 0.0
    """Change of the price per update and unit of overspending; 0 keeps the price fixed."""
    loss: LossConfig = field(default_factory=LossConfig)
    """The policy loss."""

    def __post_init__(self) -> None:
        for name in ("penalty", "dual_rate"):
            if not getattr(self, name) >= 0:
                raise TdGymError(f"{name} must not be negative, it is {getattr(self, name)}.")


class GRPO(Method):
    """Group-relative policy optimisation on ``U_i = w_S R_i + w_T sum_t r_it - sum_n price_n C_n,i``."""

    min_copies = 2

    def __init__(self, config: GRPOConfig, budgets: Mapping[str, float]) -> None:
        self.config: GRPOConfig = config
        self.loss = config.loss
        # A price that moves by ``dual_rate * (J_c - d)`` is a controller with an integral only.
        ascent = PIDConfig(kp=0.0, ki=config.dual_rate, kd=0.0, initial=config.penalty, maximum=inf)
        self.prices = {name: PIDLagrangian(limit, ascent) for name, limit in budgets.items() if self.uses_budgets}

    @property
    def uses_budgets(self) -> bool:
        """Where a budgeted cost has a price, or may come to have one."""
        return bool(self.config.penalty or self.config.dual_rate)

    @property
    def needs_service(self) -> bool:
        """Where turn scores count or costs have a price; the session reward is every seat's."""
        return self.uses_budgets or bool(self.config.turn_weight)

    @property
    def reads_terms(self) -> bool:
        """Where turn scores have a weight."""
        return bool(self.config.turn_weight)

    def advantages(self, batch: Trajectories, values: Tensor | None = None) -> Advantages:
        """Return ``(U_i - mean_G U) / std_G U`` for every agent token of dialogue i."""
        c = self.config
        turn, mask, group, reached = layout(batch)

        total = c.session_weight * torch.from_numpy(batch.session_rewards)
        total = total + c.turn_weight * (turn_scores(batch, c.term_weights) * reached).sum(1)
        metrics = {}
        for name, price in self.prices.items():
            cost = torch.from_numpy(batch.cost(name))
            total = total - price.update(batch_mean(cost, reduce=all_sum).item()) * cost
            metrics[f"pid/{name}/lambda"] = price.multiplier

        advantage = group_std_scale(group_mean_centre(total, group), group)
        return Advantages(to_tokens(advantage, turn, mask), metrics)

    def state_dict(self) -> dict[str, Any]:
        """Return the prices as plain JSON."""
        return {"prices": {name: price.state_dict() for name, price in self.prices.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state_dict`` returned."""
        for name, price in self.prices.items():
            price.load_state_dict(state["prices"][name])
