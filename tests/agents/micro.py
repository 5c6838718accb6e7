"""A language model small enough for unit tests, and trajectories made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from agents.trajectories import Conduct, Trajectories, pad_rows


def micro_model(seed: int = 0, vocabulary: int = 12, window: int | None = None) -> Any:
    """Return a randomly initialised Qwen2 causal LM with hidden size 16, its second layer with a sliding ``window``."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Qwen2ForCausalLM(
            Qwen2Config(
                vocab_size=vocabulary,
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=1,
                max_position_embeddings=64,
                tie_word_embeddings=True,
                use_sliding_window=window is not None,
                sliding_window=window,
                max_window_layers=1,
            )
        ).eval()


def make_trajectories(
    tokens: Sequence[Sequence[int]],
    turn: Sequence[Sequence[int]],
    rewards: Sequence[float],
    groups: Sequence[int],
    costs: Sequence[float] | None = None,
    turn_rewards: Sequence[Sequence[Sequence[float]]] | None = None,
    term_names: Sequence[str] = ("quality",),
    term_weights: Sequence[float] = (),
    log_probs: Sequence[Sequence[float]] | None = None,
    relevance: Sequence[Sequence[int]] | None = None,
    followed: Sequence[Sequence[int]] | None = None,
) -> Trajectories:
    """Build trajectories from lists; ``turn`` is -1 where the agent did not write.

    Dialogues may have four turns and five points, and four are a success.
    """
    turns = pad_rows(turn, np.int64, -1)
    counts = turns.max(axis=1) + 1
    if turn_rewards is None:
        turn_rewards = np.zeros((len(tokens), int(counts.max()), len(term_names))).tolist()
    unknown = np.full((len(tokens), np.shape(turn_rewards)[1]), -1)
    return Trajectories(
        tokens=pad_rows(tokens, np.int64),
        agent_mask=turns >= 0,
        turn=turns,
        seat=np.where(turns >= 0, 0, -1),
        log_probs=pad_rows(log_probs or [[0.0] * len(row) for row in tokens], np.float32),
        allowed=np.full(turns.shape, -1),
        lengths=np.array([len(row) for row in tokens]),
        turns=counts,
        turn_rewards=np.asarray(turn_rewards, dtype=np.float32),
        session_rewards=np.asarray(rewards, dtype=np.float32),
        costs=np.asarray(costs if costs is not None else [0.0] * len(tokens), dtype=np.float32)[:, None],
        group=np.asarray(groups),
        term_names=tuple(term_names),
        cost_names=("voucher",),
        outcomes=tuple({"ended_by": "resolved", "turns": int(turns)} for turns in counts),
        term_weights=tuple(term_weights),
        conduct=Conduct(
            relevance=unknown if relevance is None else pad_rows(relevance, np.int64, -1),
            followed=unknown if followed is None else pad_rows(followed, np.int64, -1),
            goal=np.asarray(rewards, dtype=np.float32) / 5,
            succeeded=np.asarray(rewards) >= 4,
            horizon=4,
        ),
    )
