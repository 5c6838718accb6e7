"""MORE (arXiv 2606.09293): reasoning as a constraint, and adaptively weighted rewards of a single reply.

In each update, as in the paper's Algorithm 1: the policy learns verifiable reasoning tasks; a frozen copy of it becomes
the reference of the KL penalty; then it learns, by GRPO, replies to one history that several rewards judge.  A reward's
weight follows from the rank of its gradient's norm among the n of them, ``w = 1 - (rank - 1) / n``, the largest first.

Ours: what is rewarded by which rule (``td_gym.judges``); that norms are those of the whole batch and of the last block;
that rewards are centred on their group first, without which a norm tells a reward's size rather than what can be learnt
from it (``center=False`` is the paper's letter); one optimiser for both phases, which goes slower over reasoning, since
a small policy that learns to answer questions forgets how to talk to customers; and that a refreshed reference serves
for two optimiser steps at least, since at the first its KL gradient is zero.

Costs have no place here, and stated budgets are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import torch
from torch import Tensor

from agents.advantages import batch_mean, group_mean_centre, group_std_scale, to_tokens, zero_variance_share
from agents.distributed import all_sum
from agents.losses import LossConfig
from agents.methods.base import Advantages, Method, Phase, Probe, layout
from agents.trajectories import Trajectories
from td_gym.errors import TdGymError, unknown
from td_gym.judges.answers import MATCH

WEIGHTINGS = ("rank", "equal")


@dataclass(frozen=True, slots=True)
class MOREConfig:
    """Settings of MORE."""

    scaffold: str = "separate"
    """When reasoning is learnt: ``separate`` (before the replies of each update), ``merged`` with them in one batch,
    ``first`` (all of it, and then all replies), or ``none``."""
    mac_weight: float = 0.5
    """Weight of the tasks that ask for an attribute."""
    pnr_weight: float = 0.5
    """Weight of the tasks that ask for a number to be worked out."""
    reasoning_pace: float = 0.2
    """Learning rate of reasoning in batches of its own, as a share of that of replies (ours)."""
    weighting: str = "rank"
    """Weights of the rewards: by the ``rank`` of their gradients, or ``equal``."""
    center: bool = True
    """Whether a reward is centred on its group before its gradient is measured."""
    rouge: bool = False
    """Whether ROUGE against what the scenario's reference agent says is a reward too; not with ``merged``."""
    ref_every: int = 1
    """Batches of replies from one refresh of the reference to the next."""
    loss: LossConfig = field(default_factory=LossConfig)
    """The policy loss of both phases."""

    def __post_init__(self) -> None:
        if self.scaffold not in PLANS:
            raise unknown("scaffold", self.scaffold, PLANS)
        if self.weighting not in WEIGHTINGS:
            raise unknown("weighting", self.weighting, WEIGHTINGS)
        if self.reasoning_pace <= 0:
            raise TdGymError(
                f"reasoning_pace must be above 0, it is {self.reasoning_pace}; scaffold none leaves reasoning out."
            )
        if self.ref_every < 1:
            raise TdGymError(f"ref_every must be at least 1, it is {self.ref_every}.")
        if min(self.mac_weight, self.pnr_weight) < 0 or self.mac_weight + self.pnr_weight == 0:
            raise TdGymError("mac_weight and pnr_weight must not be negative, nor both 0.")
        if self.rouge and self.scaffold == "merged":
            raise TdGymError("rouge is not among the rewards of a merged batch; leave one of them out.")


def _reasoning(number: int, c: MOREConfig) -> Phase:
    return Phase("tasks", number, prefix="reasoning/", pace=c.reasoning_pace)


def _replies(number: int, c: MOREConfig, freezes: bool) -> Phase:
    return Phase("turns_with_rouge" if c.rouge else "turns", number, freezes=freezes)


def _separate(update: int, total: int, c: MOREConfig) -> tuple[Phase, ...]:
    return (_reasoning(update, c), *_alone(update, total, c))


def _first(update: int, total: int, c: MOREConfig) -> tuple[Phase, ...]:
    # Twice as many phases as updates: the first half of them reasoning, two to an update.
    return tuple(
        _reasoning(step, c) if step <= total else _replies(step - total, c, freezes=step == total + 1)
        for step in (2 * update - 1, 2 * update)
    )


def _merged(update: int, total: int, c: MOREConfig) -> tuple[Phase, ...]:
    return (Phase("turns_and_tasks", update),)


def _alone(update: int, total: int, c: MOREConfig) -> tuple[Phase, ...]:
    return (_replies(update, c, freezes=(update - 1) % c.ref_every == 0),)


PLANS: dict[str, Callable[[int, int, MOREConfig], tuple[Phase, ...]]] = {
    "separate": _separate,
    "merged": _merged,
    "first": _first,
    "none": _alone,
}
"""From update and number of updates to the phases of an update."""


def rank_weights(norms: Tensor) -> Tensor:
    """Return ``[n]``: ``1 - (rank - 1) / n``, the largest of ``norms`` ``[n]`` first; ties share their mean rank."""
    larger = (norms[None, :] > norms[:, None]).sum(1)
    equal = (norms[None, :] == norms[:, None]).sum(1)
    rank = larger + (equal + 1) / 2
    weights: Tensor = 1.0 - (rank - 1.0) / len(norms)
    return weights


class MORE(Method):
    """``A_i`` is the z-score, among the replies to one history, of ``R_i = sum_j w_j r_ij``."""

    learns_from = "turns"
    min_copies = 2

    def __init__(self, config: MOREConfig, budgets: Mapping[str, float]) -> None:
        self.config: MOREConfig = config
        self.loss = config.loss

    @property
    def min_minibatches(self) -> int:
        """Two where the reference is fresh in every batch: at the first step the KL penalty has no gradient."""
        refreshed = self.config.scaffold in ("separate", "none") and self.config.ref_every == 1
        return 2 if refreshed and self.loss.kl_beta > 0 else 1

    def phases(self, update: int, total: int) -> Sequence[Phase]:
        """Return reasoning and replies in the order that ``scaffold`` names."""
        return PLANS[self.config.scaffold](update, total, self.config)

    def measure(self, batch: Trajectories, model: Probe) -> Tensor | None:
        """Return ``[K]``, the norms of the rewards' gradients, where weights depend on them."""
        rewards = _rewards(batch)
        if self.config.weighting == "equal" or rewards.shape[1] == 1:
            return None
        if self.config.center:
            rewards = group_mean_centre(rewards, torch.from_numpy(batch.group))
        return model.gradient_norms(batch, rewards)

    def advantages(self, batch: Trajectories, values: Tensor | None = None) -> Advantages:
        """Return one value for each reply or answer; ``values`` ``[K]`` are the norms of the rewards' gradients."""
        turn, mask, group, _ = layout(batch)
        rewards = _rewards(batch)
        weights = torch.ones(rewards.shape[1]) if values is None else rank_weights(values)
        total = rewards @ weights
        advantage = group_std_scale(group_mean_centre(total, group), group) * self._task_weights(batch)
        metrics = self._means(batch, rewards)
        prefix = "reasoning/" if all(_kinds(batch)) else ""
        metrics[f"{prefix}groups/zero_variance_reward"] = zero_variance_share(total, group, all_sum).item()
        if values is not None:
            for name, weight, norm in zip(batch.term_names, weights.tolist(), values.tolist(), strict=True):
                metrics |= {f"weights/{name}": weight, f"gradient_norms/{name}": norm}
        return Advantages(to_tokens(advantage, turn, mask), metrics)

    def _task_weights(self, batch: Trajectories) -> Tensor:
        """Return ``[B]``: the weight of each answer by the kind of its task, 1 on average; 1 for a reply."""
        mean = (self.config.mac_weight + self.config.pnr_weight) / 2
        weights = {"mac": self.config.mac_weight / mean, "pnr": self.config.pnr_weight / mean, "": 1.0}
        return torch.tensor([weights[kind] for kind in _kinds(batch)])

    def _means(self, batch: Trajectories, rewards: Tensor) -> dict[str, float]:
        """Return the mean of each reward, of them all, and the accuracy by kind of task, over all processes."""
        kinds = _kinds(batch)

        def mean(values: Tensor, kind: str) -> float:
            return batch_mean(values, torch.tensor([k == kind for k in kinds]), all_sum).item()

        names = [name for name in batch.term_names if name != MATCH]
        figures = {f"rewards/{name}": mean(rewards[:, batch.term_names.index(name)], "") for name in names}
        if names:
            figures["rewards/mean"] = fmean(figures.values())
        if MATCH in batch.term_names:
            right = rewards[:, batch.term_names.index(MATCH)]
            asked = [kind for kind in ("mac", "pnr") if all_sum(torch.tensor(float(kinds.count(kind)))) > 0]
            accuracy = {f"reasoning/{kind}": mean(right, kind) for kind in asked}
            figures |= {**accuracy, "reasoning/accuracy": fmean(accuracy.values())}
        return figures


def _rewards(batch: Trajectories) -> Tensor:
    """Return ``[B, K]``: each row's rewards, summed over its turns; a reply is one."""
    return torch.from_numpy(batch.turn_rewards).sum(1)


def _kinds(batch: Trajectories) -> list[str]:
    """Return the kind of task that each row answers, empty for a reply to the customer."""
    return [outcome.get("task", "") for outcome in batch.outcomes]
