"""``rollout``: let a token policy hold a batch of conversations and record them as ``Trajectories``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from agents.constraints import FREE
from agents.sampler import Line, sample, turn_uniforms
from agents.token_policy import TokenPolicy
from agents.trajectories import Trajectories, pad_rows
from td_gym.draws import mix
from td_gym.errors import TdGymError


@dataclass(slots=True, eq=False)
class _Dialogue:
    """A line and what the environment said about it."""

    key: int
    line: Line = field(default_factory=Line)
    messages: list[dict[str, str]] = field(default_factory=list)
    reward: float = 0.0
    costs: Counter[str] = field(default_factory=Counter)
    terms: list[Mapping[str, float]] = field(default_factory=list)
    outcome: Mapping[str, Any] | None = None

    def observe(self, step: Any) -> None:
        """Take in one ``Step`` of the environment."""
        self.messages = step.info["messages"]
        self.reward += float(step.reward)
        for name, amount in step.info["costs"].items():
            self.costs[name] += amount
        if step.terminated or step.truncated:
            self.outcome = step.info["outcome"]

    def begin_turn(self, max_new_tokens: int) -> None:
        self.line.begin(turn_uniforms(mix(self.key, self.line.turn + 1), max_new_tokens))


def rollout(
    policy: TokenPolicy,
    batch: Any,
    seeds: Sequence[int],
    groups: Sequence[int],
    *,
    generator: torch.Generator | np.random.Generator,
    temperature: float = 1.0,
    max_new_tokens: int | None = None,
    keep_cache: bool = True,
) -> Trajectories:
    """Hold one conversation for each of ``seeds`` and return them in that order.

    ``batch`` is a ``ConversationBatch`` of at least ``len(seeds)`` conversations.  One number is
    taken from ``generator``; with it, the seed, the how-manieth copy of that seed it is, turn and
    position fix every draw, so neither batch composition nor schedule matters.  Rewards and costs
    are recorded and never shown to the policy.  Raises ``TdGymError`` when the model's
    probabilities are no longer finite.
    """
    key = _draw_key(generator)
    length = max_new_tokens or policy.max_new_tokens
    copies: Counter[int] = Counter()
    dialogues = []
    for seed in seeds:
        dialogues.append(_Dialogue(mix(key, seed, copies[seed])))
        copies[seed] += 1
    for dialogue, step in zip(dialogues, batch.reset(list(range(len(seeds))), list(seeds)), strict=True):
        dialogue.observe(step)
        dialogue.line.read(policy.render_opening(dialogue.messages))
        dialogue.begin_turn(length)

    def answer(ended: list[int]) -> list[int]:
        texts = [_text(policy, dialogues[i]) for i in ended]
        going_on = []
        for i, step in zip(ended, batch.step(ended, texts), strict=True):
            dialogue = dialogues[i]
            seen = len(dialogue.messages)
            dialogue.observe(step)
            dialogue.terms.append(step.info["rewards"])
            if dialogue.outcome is None:
                closed = dialogue.line.reply[-1] == policy.end_id
                dialogue.line.read(policy.render_reply(dialogue.messages[seen + 1 :], ended=closed))
                dialogue.begin_turn(length)
                going_on.append(i)
        return going_on

    sample(
        policy.model,
        [dialogue.line for dialogue in dialogues],
        answer,
        end_id=policy.end_id,
        pad_id=policy.pad_id,
        temperature=temperature,
        keep_cache=keep_cache,
    )
    return _record(dialogues, groups, batch, policy.pad_id)


def _draw_key(generator: torch.Generator | np.random.Generator) -> int:
    if isinstance(generator, torch.Generator):
        return int(torch.randint(2**62, (), generator=generator, device=generator.device))
    return int(generator.integers(2**62))


def _text(policy: TokenPolicy, dialogue: _Dialogue) -> str:
    return policy.fill(policy.decode_reply(dialogue.line.reply), dialogue.messages)


def token_arrays(lines: Sequence[Line], seat: int, pad_id: int) -> dict[str, Any]:
    """Return the fields of ``Trajectories`` that run along the tokens of ``lines``, and ``lengths``.

    ``seat`` is the index of the seat that sampled.  Raises ``TdGymError`` when the model's probabilities are no
    longer finite.
    """
    turn = pad_rows([line.turns for line in lines], np.int64, -1)
    log_probs = pad_rows([line.log_probs for line in lines], np.float32)
    if not np.isfinite(log_probs).all():
        raise TdGymError("The policy's probabilities are not finite any more; lower the learning rate.")
    return {
        "tokens": pad_rows([line.tokens for line in lines], np.int64, pad_id),
        "agent_mask": turn >= 0,
        "turn": turn,
        "seat": np.where(turn >= 0, seat, -1).astype(np.int64),
        "log_probs": log_probs,
        "allowed": pad_rows([line.allowed for line in lines], np.int64, FREE),
        "lengths": np.array([len(line.tokens) for line in lines], dtype=np.int64),
    }


def _record(dialogues: Sequence[_Dialogue], groups: Sequence[int], batch: Any, pad_id: int) -> Trajectories:
    scenario = batch.scenario
    term_names, cost_names = tuple(scenario.terms), tuple(scenario.costs)
    turns = np.array([len(dialogue.terms) for dialogue in dialogues], dtype=np.int64)
    terms = np.zeros((len(dialogues), int(turns.max(initial=0)), len(term_names)), dtype=np.float32)
    for i, dialogue in enumerate(dialogues):
        for t, rewards in enumerate(dialogue.terms):
            terms[i, t] = [rewards.get(name, 0.0) for name in term_names]
    costs = [[dialogue.costs[name] for name in cost_names] for dialogue in dialogues]
    return Trajectories(
        **token_arrays([dialogue.line for dialogue in dialogues], scenario.seats.index(batch.seat), pad_id),
        turns=turns,
        turn_rewards=terms,
        session_rewards=np.array([dialogue.reward for dialogue in dialogues], dtype=np.float32),
        costs=np.array(costs, dtype=np.float32).reshape(len(dialogues), len(cost_names)),
        group=np.asarray(groups, dtype=np.int64),
        term_names=term_names,
        cost_names=cost_names,
        outcomes=tuple(dialogue.outcome or {} for dialogue in dialogues),
        term_weights=tuple(spec.weight for spec in scenario.terms.values()),
    )
