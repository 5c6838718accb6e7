"""What a batch of dialogues came to, as the figures of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents import distributed
from agents.advantages import batch_mean, turn_mask, zero_variance_share
from agents.trajectories import Trajectories


def describe(batch: Trajectories, budget_names: Sequence[str]) -> dict[str, float]:
    """Return figures of a whole batch, all processes together: return, costs, turns, terms, endings.

    Where several dialogues share a customer, also the share of customers with whom they all came to the same.
    """

    def mean(values: Any, mask: Tensor | None = None) -> float:
        tensor = torch.as_tensor(np.asarray(values, dtype=np.float32))
        return batch_mean(tensor, mask, distributed.all_sum).item()

    group = torch.from_numpy(batch.group)
    reached = turn_mask(torch.from_numpy(batch.turns), batch.turn_rewards.shape[1])
    rewards = torch.from_numpy(batch.session_rewards)
    figures = {
        "charts/episodic_return": mean(rewards),
        "charts/turns": mean([o["turns"] for o in batch.outcomes]),
        "charts/agent_tokens": mean(batch.agent_mask.sum(axis=1)),
        "charts/format_error": mean([o.get("ended_by") == "format_error" for o in batch.outcomes]),
        "charts/turn_limit": mean([o.get("ended_by") == "turn_limit" for o in batch.outcomes]),
    }
    for i, name in enumerate(batch.cost_names):
        figures[f"costs/{name}"] = mean(batch.costs[:, i])
    for i, name in enumerate(batch.term_names):
        figures[f"turn_terms/{name}"] = mean(batch.turn_rewards[:, :, i], reached)
    if len(group.unique()) == len(group):
        return figures
    figures["groups/zero_variance_reward"] = zero_variance_share(rewards, group, distributed.all_sum).item()
    for name in budget_names:
        still = zero_variance_share(torch.from_numpy(batch.cost(name)), group, distributed.all_sum)
        figures[f"groups/zero_variance_cost/{name}"] = still.item()
    return figures
