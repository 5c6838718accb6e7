"""A two-armed conversation of one token, with a real token policy: enough to train in seconds."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from agents import distributed
from agents.config import TrainConfig
from agents.model import build_model, train_tokenizer
from agents.sources import Batch, share_of
from agents.token_policy import TokenPolicy
from agents.trainer import SOURCES, configured_method, train_policy
from agents.trajectories import Trajectories
from td_gym.draws import mix
from td_gym.scenario import CostSpec, TermSpec

SPEND, SAVE = 20, 21
REWARDS = {SPEND: 4.0, SAVE: 3.0}
MOOD = 0.8
"""Standard deviation of what a reward owes to chance, as satisfaction does."""
SCENARIO: Any = SimpleNamespace(
    name="Toy",
    version="1",
    wording_version="1",
    costs={"voucher": CostSpec("a voucher", 0.3)},
    terms={"quality": TermSpec(0.0, 1.0, "always 0")},
)


@cache
def _tokenizer() -> Any:
    return train_tokenizer(["hello there"], 300)


def toy_policy() -> TokenPolicy:
    tokenizer = _tokenizer()
    return TokenPolicy(build_model("micro", len(tokenizer), seed=1), tokenizer)


def toy_source(config: TrainConfig) -> Any:
    """Return a source in which the policy picks one of two tokens; the dearer one pleases more.

    Every process draws for the whole batch and keeps its share, so that sharing out changes nothing.
    """
    share = share_of(config, distributed.rank(), distributed.world_size())
    mine = slice(share.start * config.copies, share.stop * config.copies)
    everybody = config.customers * config.copies
    count = mine.stop - mine.start

    def collect(policy: TokenPolicy, update: int) -> Batch:
        group = np.arange(everybody)[mine] // config.copies
        prompt = torch.tensor([[30 + mix(config.seed, update, int(g)) % 8] for g in group])
        with torch.no_grad():
            log_probs = policy.model(prompt).logits[:, -1, [SPEND, SAVE]].log_softmax(-1)
        generator = torch.Generator().manual_seed(mix(config.seed, "sampling", update) >> 1)
        arm = (torch.rand(everybody, 1, generator=generator)[mine] > log_probs[:, :1].exp()).long()
        token = torch.tensor([SPEND, SAVE])[arm]
        chosen = log_probs.gather(1, arm)
        mood = torch.randn(everybody, generator=generator)[mine]
        reward = np.array([REWARDS[int(t)] for t in token], dtype=np.float32) + MOOD * mood.numpy()
        sets = np.zeros((1, len(policy.tokenizer)), dtype=np.bool_)
        sets[0, [SPEND, SAVE]] = True
        turn = np.tile(np.array([[-1, 0]]), (count, 1))
        dialogues = Trajectories(
            tokens=torch.cat((prompt, token), dim=1).numpy(),
            agent_mask=turn >= 0,
            turn=turn,
            seat=turn.copy(),
            log_probs=torch.cat((torch.zeros(count, 1), chosen), dim=1).numpy(),
            allowed=turn.copy(),
            lengths=np.full(count, 2),
            turns=np.ones(count, dtype=np.int64),
            turn_rewards=np.zeros((count, 1, 1), dtype=np.float32),
            session_rewards=reward,
            costs=(token == SPEND).float().numpy(),
            group=group,
            term_names=("quality",),
            cost_names=("voucher",),
            outcomes=tuple({"ended_by": "resolved", "turns": 1} for _ in range(count)),
            allowed_sets=sets,
        )
        return Batch(dialogues, dialogues)

    return collect


def toy_config(out: Path, **changes: Any) -> TrainConfig:
    settings: dict[str, Any] = {"method": "cmpo", "env": "toy", "out": out, "model": "toy", "lr": 1e-3, "steps": 6}
    return TrainConfig(**{**settings, "customers": 16, "checkpoint_every": 2, **changes})


def run_toy(config: TrainConfig, source: Any = None) -> None:
    """Train on the toy as ``td-gym train`` would on an environment."""
    budgets = dict(config.budgets) or {"voucher": 0.3}
    method = configured_method(config, budgets, SCENARIO)
    sources = dict.fromkeys(SOURCES, source or toy_source(config))
    train_policy(config, SCENARIO, toy_policy(), method, budgets, sources)
