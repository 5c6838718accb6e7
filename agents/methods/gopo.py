"""GOPO-style planning and execution (after arXiv 2602.15854): an expert chooses strategies, a service agent writes.

The paper names an expert that plans, a service agent that follows, hard constraints of procedure, a joint business
reward and esnDCG; no formula of it is public, and the arithmetic here is ours.  The two take turns: in odd updates the
expert learns from preferences between whole dialogues with one customer, in even ones the service agent learns to do
what was chosen, and to do it well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from agents.advantages import batch_mean, group_mean_centre, group_std_scale, to_tokens
from agents.distributed import all_sum
from agents.losses import LossConfig
from agents.methods.base import Advantages, Method, Phase, layout, turn_scores
from agents.plans import Planning
from agents.preferences import pairs_within
from agents.session_reward import PERSISTENCE, esndcg, joint_reward, padded
from agents.trajectories import Conduct, Trajectories
from td_gym.envs.planning import BREACHES, EXPERT
from td_gym.errors import TdGymError, unknown

_EXPERTS = ("policy", "random", "none")
_UPDATES = ("preference", "grpo")
_REWARDS = ("joint", "outcome")


@dataclass(frozen=True, slots=True)
class GOPOConfig:
    """Settings of GOPO."""

    expert: str = "policy"
    """Who chooses strategies: the ``policy``, a ``random`` draw among admissible ones, or ``none``."""
    masked: bool = True
    """Whether the expert can choose admissible strategies only."""
    expert_update: str = "preference"
    """How the expert learns: from the ``preference`` between dialogues, or by ``grpo`` on their reward."""
    reward: str = "joint"
    """What a dialogue is worth to the expert: the ``joint`` reward, or the ``outcome`` alone."""
    beta: float = 0.1
    """How strongly a preference holds the expert to the reference; larger is stronger."""
    gap: float = 0.05
    """Two dialogues are compared where their rewards differ by more than this."""
    persistence: float = PERSISTENCE
    """esnDCG's probability of going on to the next turn."""
    discounted: bool = False
    """Whether esnDCG discounts later turns."""
    term_weights: Mapping[str, float] = field(default_factory=dict)
    """Weights of turn terms within a turn score that replace the scenario's, by name."""
    loss: LossConfig = field(default_factory=LossConfig)
    """The policy loss of the service agent, and of the expert under ``grpo``."""

    def __post_init__(self) -> None:
        for name, known in (("expert", _EXPERTS), ("expert_update", _UPDATES), ("reward", _REWARDS)):
            if getattr(self, name) not in known:
                raise unknown(name, getattr(self, name), known)
        if self.beta <= 0 or self.gap < 0:
            raise TdGymError(f"beta must be above 0 and gap not negative, they are {self.beta} and {self.gap}.")
        if not 0 <= self.persistence <= 1:
            raise TdGymError(f"persistence must be between 0 and 1, it is {self.persistence}.")


class GOPO(Method):
    """The expert by preferences on ``R``, the service agent by GRPO on consistency and turn scores, in turn."""

    min_copies = 2
    needs_reference = True

    def __init__(self, config: GOPOConfig, budgets: Mapping[str, float]) -> None:
        self.config: GOPOConfig = config
        self.loss = config.loss
        if config.expert != "none":
            self.planning = Planning(config.expert, config.masked)

    @property
    def may_plan(self) -> bool:
        """Whether anybody is there to choose strategies."""
        return self.config.expert != "none"

    def phases(self, update: int, total: int) -> Sequence[Phase]:
        """Return the expert's update or the service agent's, in turn; the latter's alone where only it learns."""
        if self.config.expert == "none":
            return (Phase("policy", update),)
        seat = EXPERT if self.config.expert == "policy" and update % 2 else "service"
        return (Phase("policy", update, prefix=f"{seat}/", seat=seat),)

    def advantages(self, batch: Trajectories, values: Tensor | None = None) -> Advantages:
        """Return pairs of dialogues for the expert to compare, or an advantage for each dialogue."""
        turn, mask, group, reached = layout(batch)
        rewards, metrics = self._rewards(batch)
        if EXPERT in batch.writers():
            if self.config.expert_update == "preference":
                pairs = pairs_within(rewards, group, self.config.gap, self.config.beta)
                return Advantages(torch.zeros(mask.shape), metrics, pairs=pairs)
            total = rewards
        elif self.config.expert == "none":
            total = rewards
        else:
            # A mean over messages, so that more of them are worth nothing by themselves.
            followed = torch.from_numpy(_conduct(batch).followed).clamp(min=0).float()
            earned = (followed + turn_scores(batch, self.config.term_weights)) * reached
            total = earned.sum(1) / reached.sum(1).clamp(min=1)
        advantage = group_std_scale(group_mean_centre(total, group), group)
        return Advantages(to_tokens(advantage, turn, mask), metrics)

    def _rewards(self, batch: Trajectories) -> tuple[Tensor, dict[str, float]]:
        """Return what each dialogue is worth, ``[B]``, and means over all processes.

        Where nobody chooses strategies, none is departed from, and no choice breaks the procedure.
        """
        c, conduct = self.config, _conduct(batch)
        breached = batch.cost(BREACHES) > 0 if BREACHES in batch.cost_names else [False] * len(batch)
        columns: dict[str, list[float]] = {"esndcg": [], "consistency": [], "reward": []}
        for grades, followed, goal, succeeded, breach in zip(
            conduct.relevance, conduct.followed, conduct.goal, conduct.succeeded, breached, strict=True
        ):
            received = [int(grade) for grade in grades if grade >= 0] or [0]
            kept = [float(each) for each in followed if each >= 0] or [1.0]
            session = padded(received, conduct.horizon, bool(succeeded and not breach))
            quality = esndcg(session, c.persistence, c.discounted)
            joint = joint_reward(quality, float(goal), kept, bool(breach))
            columns["esndcg"].append(quality)
            columns["consistency"].append(sum(kept) / len(kept))
            columns["reward"].append(joint if c.reward == "joint" else float(goal))
        found = {name: torch.tensor(values) for name, values in columns.items()}
        metrics = {f"gopo/{name}": batch_mean(values, reduce=all_sum).item() for name, values in found.items()}
        if not self.may_plan:
            del metrics["gopo/consistency"]
        return found["reward"], metrics


def _conduct(batch: Trajectories) -> Conduct:
    if batch.conduct is None:
        raise ValueError("GOPO learns from dialogues that were held, not from recordings.")
    return batch.conduct
