"""Where a batch of dialogues comes from: the policy itself, the scenario's demonstrator, or recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from agents import distributed
from agents.config import TrainConfig
from agents.constraints import FREE
from agents.planning_agent import agent_of
from agents.rollout import rollout
from agents.supervised import demonstrate, encode
from agents.token_policy import TokenPolicy
from agents.trajectories import Trajectories, pad_rows
from td_gym.draws import mix
from td_gym.envs.batch import ConversationBatch
from td_gym.errors import TdGymError
from td_gym.llm.models import Models
from td_gym.scenario import Scenario
from td_gym.seats import SeatPolicy


class Batch(NamedTuple):
    """This process's share of a batch."""

    rows: Trajectories
    """What is learnt from."""
    dialogues: Trajectories | None = None
    """What the policy held to get there, for the figures of a run; ``None`` where it held no dialogue."""


Source = Callable[[TokenPolicy, int], Batch]
"""Returns the batch of a number, from 1, as the policy stands."""
Seats = Mapping[str, SeatPolicy]
"""Who plays the seats that do not learn."""


def partners(
    config: TrainConfig, scenario: Scenario, opponent: TokenPolicy | None = None, models: Models | None = None
) -> Seats:
    """Return who plays the seat that does not learn: ``opponent``, or else a simulated customer or reference agent.

    What the opponent says is drawn anew in every conversation, from the run's seed and what has been said there.
    ``models`` are the servers of a customer that is on one.
    """
    if opponent is not None:
        agent = agent_of(opponent, scenario)
        agent.reset(mix(config.seed, "opponent"))
        return {opponent.seat: agent}
    if config.seat == "customer":
        return {"service": scenario.expert()}
    return {"customer": scenario.training_customer(config.customer, models)}


def share_of(config: TrainConfig, rank: int, processes: int) -> range:
    """Return the numbers of the groups that process ``rank`` rolls out; groups stay whole.

    Raises ``TdGymError`` when the groups cannot be shared out evenly.
    """
    if config.customers % processes:
        raise TdGymError(f"{config.customers} customers cannot be shared evenly by {processes} processes.")
    each = config.customers // processes
    return range(rank * each, (rank + 1) * each)


def policy_source(config: TrainConfig, scenario: Scenario, others: Seats) -> Source:
    """Return the source that lets the policy hold conversations about ``customers`` cases, ``copies`` of each.

    A case's seed is a function of (run seed, update, number of the group), and what is sampled
    of that seed and the copy, so neither resuming nor sharing out changes any dialogue's draws.
    """
    mine = share_of(config, distributed.rank(), distributed.world_size())
    groups = [group for group in mine for _ in range(config.copies)]
    batch = ConversationBatch(scenario, config.seat, len(groups), others, split=config.split)

    def collect(policy: TokenPolicy, update: int) -> Batch:
        dialogues = hold(policy, batch, config, update, groups)
        return Batch(dialogues, dialogues)

    return collect


def hold(
    policy: TokenPolicy, batch: ConversationBatch, config: TrainConfig, update: int, groups: Sequence[int]
) -> Trajectories:
    """Let the policy hold one dialogue in ``batch`` for each of ``groups``, of which equal ones share a customer."""
    seeds = [case_seed(config, update, group) for group in groups]
    generator = torch.Generator().manual_seed(mix(config.seed, "sampling", update) >> 1)
    return rollout(policy, batch, seeds, groups, generator=generator)


def case_seed(config: TrainConfig, update: int, group: int) -> int:
    """Return the seed of the case that a group of an update's dialogues are about."""
    return mix(config.seed, "customer", update, group) >> 1


def expert_source(config: TrainConfig, scenario: Scenario, others: Seats, recorded: bool = False) -> Source:
    """Return the source of the demonstrator's dialogues, or of recorded ones, as many as the policy would hold.

    Rewards, costs and turn terms are left out: nothing learns from them here.  Raises ``TdGymError`` where nothing
    was recorded.
    """
    mine = share_of(config, distributed.rank(), distributed.world_size())
    count = len(mine) * config.copies
    taught = scenario.recorded(config.split) if recorded else scenario

    def collect(policy: TokenPolicy, update: int) -> Batch:
        seed = mix(config.seed, "demonstration", update, distributed.rank()) >> 1
        examples = [encode(policy, found) for found in demonstrate(taught, count, seed, config.split)]
        tokens = pad_rows([e.tokens for e in examples], np.int64, policy.pad_id)
        mask = pad_rows([e.agent_mask for e in examples], np.bool_)
        starts = mask & ~np.pad(mask, ((0, 0), (1, 0)))[:, :-1]
        turn = np.where(mask, starts.cumsum(axis=1) - 1, -1)
        rows = Trajectories(
            tokens=tokens,
            agent_mask=mask,
            turn=turn,
            seat=np.where(mask, 0, -1),
            log_probs=np.zeros(tokens.shape, dtype=np.float32),
            allowed=np.full(tokens.shape, FREE),
            lengths=np.array([len(e.tokens) for e in examples]),
            turns=turn.max(axis=1) + 1,
            turn_rewards=np.zeros((count, int(turn.max()) + 1, 0), dtype=np.float32),
            session_rewards=np.zeros(count, dtype=np.float32),
            costs=np.zeros((count, 0), dtype=np.float32),
            group=np.arange(count),
            term_names=(),
            cost_names=(),
            outcomes=tuple({} for _ in examples),
        )
        return Batch(rows)

    return collect
