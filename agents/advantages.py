"""Advantages as pure functions: centre, scale, fuse, hand to the tokens.

Everything is a float32 torch tensor.  ``B`` dialogues, ``T`` service turns, ``L`` tokens; ``group``
is ``[B]`` integers.  A group never spans two processes, so group statistics are local; batch
statistics take ``reduce``, which sums a tensor over all processes (identity by default).
Standard deviations divide by n, not n - 1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

MIN_STD = 1e-6
"""A group or batch whose standard deviation is below this carries no signal and contributes 0."""

TURN_DISCOUNT = 0.9
"""What a reward one turn later is worth in a discounted return over turns."""

Reduce = Callable[[Tensor], Tensor]


def identity(values: Tensor) -> Tensor:
    """Return ``values``: the sum over processes when there is only one."""
    return values


def _group_sum(values: Tensor, group: Tensor) -> Tensor:
    """Return, for each row, the sum of ``values`` over the rows of its group; shape of ``values``."""
    names, index = torch.unique(group, return_inverse=True)
    sums = torch.zeros((len(names), *values.shape[1:]), dtype=values.dtype, device=values.device)
    return sums.index_add_(0, index, values)[index]


def group_mean(values: Tensor, group: Tensor) -> Tensor:
    """Return ``[B]``: the mean of ``values`` ``[B]`` over each row's group."""
    return _group_sum(values, group) / _group_sum(torch.ones_like(values), group)


def group_mean_centre(values: Tensor, group: Tensor) -> Tensor:
    """Return ``values - mean_G values``, ``[B]``; sums to 0 in every group."""
    return values - group_mean(values, group)


def group_std(values: Tensor, group: Tensor) -> Tensor:
    """Return ``[B]``: the standard deviation of ``values`` within each row's group."""
    return group_mean(group_mean_centre(values, group) ** 2, group).sqrt()


def group_std_scale(centred: Tensor, group: Tensor) -> Tensor:
    """Return ``centred / std_G``, ``[B]``; 0 in a group whose std is below ``MIN_STD``."""
    std = group_std(centred, group)
    return torch.where(std < MIN_STD, torch.zeros_like(centred), centred / std.clamp(min=MIN_STD))


def zero_variance_share(values: Tensor, group: Tensor, reduce: Reduce = identity) -> Tensor:
    """Return the share of groups (weighted by their size) in which ``values`` does not vary, over all processes."""
    return batch_mean((group_std(values, group) < MIN_STD).float(), reduce=reduce)


def batch_mean(values: Tensor, mask: Tensor | None = None, reduce: Reduce = identity) -> Tensor:
    """Return the mean of ``values`` where ``mask`` holds, over all processes; 0 where nothing holds."""
    weight = torch.ones_like(values) if mask is None else mask.to(values.dtype)
    total, count = reduce(torch.stack(((values * weight).sum(), weight.sum())))
    mean: Tensor = total / count.clamp(min=1.0)
    return mean


def batch_std(values: Tensor, mask: Tensor | None = None, reduce: Reduce = identity) -> Tensor:
    """Return the standard deviation of ``values`` where ``mask`` holds, over all processes."""
    mean = batch_mean(values, mask, reduce)
    return batch_mean((values - mean) ** 2, mask, reduce).sqrt()


def scale(values: Tensor, std: Tensor | float) -> Tensor:
    """Return ``values / std``, or zeros where ``std`` is below ``MIN_STD``."""
    std = torch.as_tensor(std, dtype=values.dtype, device=values.device)
    return torch.where(std < MIN_STD, torch.zeros_like(values), values / std.clamp(min=MIN_STD))


def turn_mask(turns: Tensor, length: int) -> Tensor:
    """Return bool ``[B, length]``: whether dialogue i (``turns[i]`` service turns) reached turn t."""
    return torch.arange(length, device=turns.device)[None, :] < turns[:, None]


def turn_compared(reached: Tensor, group: Tensor) -> Tensor:
    """Return bool ``[B, T]``: the turns of each dialogue that another dialogue of its group reached too."""
    return reached & (_group_sum(reached.float(), group) >= 2)


def turn_centre(rewards: Tensor, reached: Tensor, group: Tensor) -> Tensor:
    """Centre turn rewards ``[B, T]`` on the group's dialogues that reached the same turn.

    A turn that fewer than two dialogues of the group reached contributes 0 (there is nothing to
    compare with), and so does everything beyond the end of a dialogue.
    """
    compared = turn_compared(reached, group)
    weight = compared.to(rewards.dtype)
    mean = _group_sum(rewards * weight, group) / _group_sum(weight, group).clamp(min=1.0)
    return torch.where(compared, rewards - mean, torch.zeros_like(rewards))


def _group_turn_mean(values: Tensor, counted: Tensor, group: Tensor) -> Tensor:
    """Return ``[B, 1]``: the mean of ``values`` ``[B, T]`` over every counted turn of each row's group."""
    weight = counted.to(values.dtype)
    total = _group_sum((values * weight).sum(1, keepdim=True), group)
    return total / _group_sum(weight.sum(1, keepdim=True), group).clamp(min=1.0)


def pooled_turn_centre(rewards: Tensor, reached: Tensor, group: Tensor) -> Tensor:
    """Centre turn rewards ``[B, T]`` on one mean over all turns of the group's dialogues; 0 beyond their end.

    Early and late turns share a baseline, so a dialogue is credited for when it stops, even where
    rewards depend on nothing but the turn's index.
    """
    mean = _group_turn_mean(rewards, reached, group)
    return torch.where(reached, rewards - mean, torch.zeros_like(rewards))


def group_turn_std_scale(centred: Tensor, counted: Tensor, group: Tensor) -> Tensor:
    """Return ``centred / s``, ``[B, T]``: ``s`` the std over every counted turn of the group, pooled.

    0 in a group whose ``s`` is below ``MIN_STD`` and at turns that do not count.
    """
    mean = _group_turn_mean(centred, counted, group)
    std = _group_turn_mean((centred - mean) ** 2, counted, group).sqrt()
    heard = counted & (std >= MIN_STD)
    return torch.where(heard, centred / std.clamp(min=MIN_STD), torch.zeros_like(centred))


def return_to_go(rewards: Tensor, reached: Tensor) -> Tensor:
    """Return ``[B, T]``: at each turn the undiscounted sum of rewards from there to the end."""
    return (rewards * reached).flip(1).cumsum(1).flip(1) * reached


def discounted_return(rewards: Tensor, reached: Tensor, discount: float = TURN_DISCOUNT) -> Tensor:
    """Return ``[B, T]``: at each turn the sum of rewards from there on, each later turn ``discount`` times less."""
    returns = torch.zeros_like(rewards)
    running = torch.zeros(len(rewards), dtype=rewards.dtype, device=rewards.device)
    for turn in range(rewards.shape[1] - 1, -1, -1):
        running = rewards[:, turn] * reached[:, turn] + discount * running
        returns[:, turn] = running
    return returns * reached


def episode_sum(rewards: Tensor, reached: Tensor) -> Tensor:
    """Return ``[B, T]``: the dialogue's total at every turn it reached."""
    return (rewards * reached).sum(1, keepdim=True) * reached


def immediate(rewards: Tensor, reached: Tensor) -> Tensor:
    """Return ``[B, T]``: each turn's own reward."""
    return rewards * reached


TURN_CREDITS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "immediate": immediate,
    "return_to_go": return_to_go,
    "discounted_return": discounted_return,
    "sum": episode_sum,
}
"""What a turn is credited with, by name."""


def to_tokens(values: Tensor, turn: Tensor, agent_mask: Tensor) -> Tensor:
    """Give each agent token the value of its dialogue (``[B]``) or of its turn (``[B, T]``).

    ``turn`` and ``agent_mask`` are ``[B, L]``; all other tokens get 0.
    """
    per_token = values[:, None].expand(agent_mask.shape) if values.ndim == 1 else values.gather(1, turn.clamp(min=0))
    return torch.where(agent_mask, per_token, torch.zeros_like(per_token))


def gae(rewards: Tensor, values: Tensor, agent_mask: Tensor, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation over agent tokens (arXiv 1506.02438), all arrays ``[B, L]``.

    Tokens the agent did not write are no steps: the step after an agent token is the next agent
    token, however much the customer said in between.  The value after the last one is 0.
    Returns ``(advantages, returns)`` with ``returns = advantages + values``; 0 off the agent's tokens.
    """
    advantages = torch.zeros_like(values)
    next_value = torch.zeros_like(values[:, 0])
    running = torch.zeros_like(next_value)
    for position in range(values.shape[1] - 1, -1, -1):
        mask = agent_mask[:, position]
        delta = rewards[:, position] + gamma * next_value - values[:, position]
        running = torch.where(mask, delta + gamma * lam * running, running)
        next_value = torch.where(mask, values[:, position], next_value)
        advantages[:, position] = torch.where(mask, running, advantages[:, position])
    return advantages, torch.where(agent_mask, advantages + values, advantages)
