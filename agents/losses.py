"""Losses on the tokens an agent wrote, and the one function that scores those tokens.

All arrays are ``[B, L]`` and 0 off the agent's tokens.  A loss is per token; ``token_weights`` says
how the tokens are averaged, so that micro-batches and processes simply add up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from agents.advantages import Reduce, identity
from agents.attention import attention_mask
from agents.folding import fold, take_apart
from agents.trajectories import Ints
from td_gym.errors import TdGymError, unknown


@dataclass(frozen=True, slots=True)
class LossConfig:
    """The policy loss of every sampling method."""

    clip_low: float = 0.2
    """The token ratio is not pushed below ``1 - clip_low``."""
    clip_high: float = 0.2
    """The token ratio is not pushed above ``1 + clip_high``."""
    kl_beta: float = 0.05
    """Weight of the k3 KL divergence from the frozen reference; 0 needs no reference."""
    entropy_coef: float = 0.0
    """Weight of the entropy bonus."""
    normalisation: str = "token"
    """How tokens are averaged: ``token`` (over the batch), ``sequence`` or ``constant``."""
    constant: float = 256.0
    """Tokens that a dialogue counts as under the normalisation ``constant``."""

    def __post_init__(self) -> None:
        if self.normalisation not in NORMALISATIONS:
            raise unknown("normalisation", self.normalisation, NORMALISATIONS)
        for name in ("clip_low", "clip_high", "kl_beta"):
            if not getattr(self, name) >= 0:
                raise TdGymError(f"{name} must not be negative, it is {getattr(self, name)}.")
        if not self.constant > 0:
            raise TdGymError(f"constant must be above 0, it is {self.constant}.")


KL_CEILING = 3.0
"""Largest log-ratio of reference to policy, in nats, that the k3 estimate counts."""


@dataclass(frozen=True, slots=True)
class TokenScores:
    """What a model says about the agent's tokens; all ``[B, L]``, 0 elsewhere."""

    log_probs: Tensor
    """Log-probability of each token at temperature 1, under the softmax it was sampled from."""
    entropy: Tensor | None = None
    """Entropy of that softmax in nats."""
    hidden: Tensor | None = None
    """``[B, L, H]`` the trunk's state from which each agent token was chosen."""


def forward_log_probs(
    model: nn.Module,
    tokens: Tensor,
    mask: Tensor,
    allowed: Tensor | None = None,
    allowed_sets: Tensor | None = None,
    *,
    histories: Ints | None = None,
    parts: Tensor | None = None,
    want_entropy: bool = False,
    want_hidden: bool = False,
) -> TokenScores:
    """Score the tokens where ``mask`` holds, under the (masked) softmax that sampled them.

    ``model`` is a Hugging Face causal LM; ``tokens`` and ``mask`` are ``[B, L]``, padded on the
    right, so that causal attention alone keeps padding out.  ``allowed`` ``[B, L]`` points into
    ``allowed_sets`` ``[S, V]``, -1 for the whole vocabulary.  ``histories`` ``[B]`` says that
    neighbours with one number have read the same before their first agent token: it is then read
    once for all of them; ``parts`` ``[B, L]`` that rows were read in parts: see ``agents.folding``
    for both.  Raises ``ValueError`` when the first token of a row is an agent token: nothing
    predicts it.
    """
    if bool(mask[:, 0].any()):
        raise ValueError("The first token of a row cannot be an agent token.")
    head: nn.Module = model.get_output_embeddings()  # type: ignore[operator]
    chosen: list[Tensor] = []

    def keep_agent_states(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        # The vocabulary is wide and most positions are read, not written: score only the latter.
        states = inputs[0][:, :-1][scored[:, 1:]]
        chosen.append(states)
        return (states[None],)

    given, scored = _input(model, tokens, mask, histories, parts)
    hook = head.register_forward_pre_hook(keep_agent_states)
    try:
        logits = model(**given, use_cache=False).logits[0].float()
    finally:
        hook.remove()
    if allowed is not None and allowed_sets is not None and allowed_sets.numel():
        sets = torch.cat((allowed_sets, torch.ones_like(allowed_sets[:1])))
        logits = logits.masked_fill(~sets[allowed[mask]], -torch.inf)
    log_softmax = torch.log_softmax(logits, dim=-1)
    empty = torch.zeros(tokens.shape, dtype=logits.dtype, device=logits.device)
    log_probs = empty.masked_scatter(mask, log_softmax.gather(1, tokens[mask][:, None])[:, 0])
    entropy = hidden = None
    if want_entropy:
        entropy = empty.masked_scatter(mask, -(log_softmax.exp() * log_softmax.clamp(min=-1e9)).sum(-1))
    if want_hidden:
        shape = (*tokens.shape, chosen[0].shape[-1])
        hidden = torch.zeros(shape, dtype=logits.dtype, device=logits.device)
        hidden = hidden.masked_scatter(mask[..., None], chosen[0].to(logits.dtype))
    return TokenScores(log_probs, entropy, hidden)


def _input(
    model: nn.Module, tokens: Tensor, mask: Tensor, histories: Ints | None, parts: Tensor | None
) -> tuple[dict[str, Any], Tensor]:
    """Return what the model is to read, and which of it the agent wrote."""
    if parts is not None:
        tokens, mask = take_apart(tokens, mask, parts)
    if histories is None:
        positions = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
        return {"input_ids": tokens, "position_ids": positions}, mask
    folded = fold(tokens, mask, histories)
    attention = attention_mask(model, folded.hidden, folded.positions, folded.positions)
    given = {"input_ids": folded.tokens, "position_ids": folded.positions, "attention_mask": attention}
    return given, folded.mask


def clipped_surrogate(
    log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, clip_low: float = 0.2, clip_high: float = 0.2
) -> Tensor:
    """Return the clipped policy loss of each token (PPO, arXiv 1707.06347, equation 7)."""
    ratio = (log_probs - old_log_probs).exp()
    clipped = ratio.clamp(1.0 - clip_low, 1.0 + clip_high)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def k3_kl(log_probs: Tensor, reference_log_probs: Tensor) -> Tensor:
    """Return the k3 estimate of KL(policy || reference) of each token; never negative.

    ``exp(d) - d - 1`` with ``d = log ref - log policy`` (Schulman 2020; the low-variance KL of GRPO,
    arXiv 2402.03300, equation 4).  ``d`` is held at ``KL_CEILING`` (our choice): one sampled token that the
    policy has all but given up would otherwise outweigh the rest of the batch.
    """
    difference = (reference_log_probs - log_probs).clamp(max=KL_CEILING)
    return torch.expm1(difference) - difference


def value_loss(values: Tensor, returns: Tensor) -> Tensor:
    """Return half the squared error of each token's value."""
    return 0.5 * (values - returns) ** 2


def _per_token(mask: Tensor, constant: float, reduce: Reduce) -> Tensor:
    return mask / reduce(mask.sum()).clamp(min=1.0)


def _per_sequence(mask: Tensor, constant: float, reduce: Reduce) -> Tensor:
    written = mask.sum(1, keepdim=True)
    return mask / written.clamp(min=1.0) / reduce((written > 0).to(mask.dtype).sum()).clamp(min=1.0)


def _constant(mask: Tensor, constant: float, reduce: Reduce) -> Tensor:
    return mask / (constant * reduce(torch.tensor(float(len(mask)), device=mask.device)))


NORMALISATIONS: dict[str, Callable[[Tensor, float, Reduce], Tensor]] = {
    "token": _per_token,
    "sequence": _per_sequence,
    "constant": _constant,
}
"""Ways to average tokens, by name."""


def token_weights(
    mask: Tensor, normalisation: str = "token", constant: float = 256.0, reduce: Reduce = identity
) -> Tensor:
    """Return ``[B, L]`` weights of the agent's tokens; a loss is ``(weights * per_token).sum()``.

    ``token``: every token of the batch weighs the same, and the weights sum to 1.  ``sequence``:
    every dialogue weighs the same, and the weights sum to 1.  ``constant``: every token weighs
    ``1 / (dialogues * constant)``, whatever the dialogue's length (arXiv 2503.20783).  ``reduce``
    sums over processes.
    """
    return NORMALISATIONS[normalisation](mask.float(), constant, reduce)


def policy_loss(
    scores: TokenScores, old_log_probs: Tensor, reference: Tensor | None, advantages: Tensor, config: LossConfig
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the per-token loss of a sampling method and the per-token figures worth logging.

    Figures carry the names CleanRL uses: ``policy_loss``, ``approx_kl`` (k3 of the sampling policy),
    ``clipfrac``, ``entropy``; ``kl_reference`` is ours.
    """
    surrogate = clipped_surrogate(scores.log_probs, old_log_probs, advantages, config.clip_low, config.clip_high)
    total = surrogate
    change = (scores.log_probs - old_log_probs).detach()
    ratio = change.exp()
    figures: dict[str, Any] = {
        "policy_loss": surrogate.detach(),
        "approx_kl": (ratio - 1.0) - change,
        "clipfrac": ((ratio < 1.0 - config.clip_low) | (ratio > 1.0 + config.clip_high)).float(),
    }
    if reference is not None and config.kl_beta > 0:
        divergence = k3_kl(scores.log_probs, reference)
        total = total + config.kl_beta * divergence
        figures["kl_reference"] = divergence.detach()
    if scores.entropy is not None:
        total = total - config.entropy_coef * scores.entropy
        figures["entropy"] = scores.entropy.detach()
    return total, figures
