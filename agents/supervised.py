"""Supervised learning on scripted dialogues: demonstrations, their tokens, and the loop ``fit``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agents.plans import Planner
from agents.token_policy import TokenPolicy
from agents.trajectories import pad_rows
from td_gym.draws import choice, mix
from td_gym.errors import TdGymError
from td_gym.scenario import Scenario
from td_gym.seats import play_on
from td_gym.slots import fill_slots

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A scripted dialogue as one seat saw it."""

    opening: tuple[dict[str, str], ...]
    """Briefing and, for the service seat, the first customer message."""
    drafts: tuple[str, ...]
    """The seat's messages with their slots unfilled."""
    answers: tuple[tuple[dict[str, str], ...], ...]
    """What the seat read after each reply but the last."""
    strategies: tuple[str, ...] = ()
    """What each message was read as, where it is one to a customer."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A demonstration as tokens; only those in ``agent_mask`` are learnt."""

    tokens: Ints
    agent_mask: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FitConfig:
    """Settings of ``fit``."""

    tokens: int = 1_000_000
    """Tokens to train on, those only read included; examples repeat as needed."""
    batch_tokens: int = 1_000
    """Tokens in a batch, padding included; small batches learn the format in fewer tokens."""
    lr: float = 2e-3
    """Peak learning rate, reached linearly and left along a half cosine to 0."""
    warmup: float = 0.03
    """Share of the tokens over which the learning rate rises."""
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.95)
    """Adam's decay rates."""
    max_grad_norm: float = 1.0
    """The gradient's norm is clipped to this."""
    seed: int = 0
    """Fixes the order of the examples."""


@dataclass(frozen=True, slots=True)
class FitProgress:
    """Where ``fit`` stands after a step."""

    step: int
    tokens: int
    loss: float
    """Mean cross entropy of this batch's agent tokens, in nats."""
    lr: float


def demonstrate(
    scenario: Scenario, count: int, seed: int, split: str = "train", seat: str = "service"
) -> Iterator[Demonstration]:
    """Yield ``count`` dialogues of the scenario's demonstrator with its default customer, as ``seat`` saw them.

    The environment gets the demonstrator's drafts with their slots filled.  Raises ``TdGymError``
    where the scenario has no demonstrator or ``split`` is ``test``.
    """
    if split == "test":
        raise TdGymError("The test split is for evaluation only; learn from split 'train'.")
    teacher = scenario.demonstrator(seed)
    others = {"customer": scenario.customer()}
    for number in range(count):
        episode = scenario.begin(mix(seed, "demonstration", number) >> 1, split)
        drafts: list[str] = []
        strategies: list[str] = []
        play_on(episode, others)
        while episode.outcome is None:
            drafts.append(teacher.draft(episode))
            text = fill_slots(drafts[-1], episode.messages("service"), scenario.slot_values)
            strategies.append(episode.submit("service", text).strategy)
            play_on(episode, others)
        messages = episode.messages(seat)
        if seat == "customer":
            drafts, strategies = [own["content"] for own in messages if own["role"] == "assistant"], []
        yield _demonstration(messages, drafts, strategies)


def demonstrate_answers(scenario: Scenario, count: int, seed: int, split: str = "train") -> Iterator[Demonstration]:
    """Yield ``count`` scaffold tasks on the briefings of as many customers, with their right answers."""
    for number in range(count):
        episode = scenario.begin(mix(seed, "answer", number) >> 1, split)
        task = choice(scenario.scaffold_tasks(episode), episode.seed, "demonstration")
        asked = {"role": "user", "content": task.asked}
        yield Demonstration((*episode.messages("service"), asked), (task.answer,), ())


def _demonstration(
    messages: Sequence[dict[str, str]], drafts: Sequence[str], strategies: Sequence[str]
) -> Demonstration:
    replies = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    answers = [tuple(messages[here + 1 : following]) for here, following in pairwise(replies)]
    return Demonstration(tuple(messages[: replies[0]]), tuple(drafts), tuple(answers), tuple(strategies))


def encode(policy: TokenPolicy, demonstration: Demonstration, planner: Planner | None = None) -> Example:
    """Return the tokens of a demonstration exactly as a rollout would have recorded them.

    With a ``planner`` every reply follows its strategy, which is learnt too.
    """
    opening = demonstration.opening if planner is None else planner.opening(demonstration.opening)
    parts = [(policy.render_opening(opening), False)]
    for t, draft in enumerate(demonstration.drafts):
        if planner is not None:
            parts += [(planner.answer(demonstration.strategies[t]), True), (planner.request(), False)]
        parts.append((policy.encode_reply(draft), True))
        if t < len(demonstration.answers):
            parts.append((policy.render_reply(demonstration.answers[t]), False))
    tokens = np.concatenate([np.array(part, dtype=np.int64) for part, _ in parts])
    if len(tokens) > policy.context:
        raise TdGymError(
            f"A demonstration has {len(tokens)} tokens and is not cut, the model reads {policy.context}; "
            "let it read more (max_context), or take one that does."
        )
    return Example(tokens, np.repeat([own for _, own in parts], [len(part) for part, _ in parts]))


def batches(examples: Sequence[Example], batch_tokens: int, rng: np.random.Generator) -> Iterator[list[Example]]:
    """Yield batches of similar length for ever, each about ``batch_tokens`` with its padding."""
    pool_size = 512
    while True:
        order = rng.permutation(len(examples))
        ready: list[list[Example]] = []
        for first in range(0, len(order), pool_size):
            pool = sorted((examples[i] for i in order[first : first + pool_size]), key=lambda e: len(e.tokens))
            batch: list[Example] = []
            for example in pool:
                if batch and (len(batch) + 1) * len(example.tokens) > batch_tokens:
                    ready.append(batch)
                    batch = []
                batch.append(example)
            ready.append(batch)
        for i in rng.permutation(len(ready)):
            yield ready[i]


def loss_of(model: Any, batch: Sequence[Example], pad_id: int) -> Tensor:
    """Return the mean cross entropy of the batch's agent tokens, in nats."""
    device = next(model.parameters()).device
    tokens = torch.from_numpy(pad_rows([e.tokens for e in batch], np.int64, pad_id)).to(device)
    mask = torch.from_numpy(pad_rows([e.agent_mask for e in batch], np.bool_, False)).to(device)
    # Padding is on the right, so the causal mask alone keeps it out of every token that counts.
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
    learnt = mask[:, 1:]
    return torch.nn.functional.cross_entropy(logits[learnt].float(), tokens[:, 1:][learnt])


def fit(
    policy: TokenPolicy,
    examples: Sequence[Example],
    config: FitConfig,
    *,
    report: Callable[[FitProgress], None] | None = None,
) -> FitProgress:
    """Train ``policy.model`` on ``examples``; ``report`` is called after every step.

    Returns the last progress with ``loss`` averaged over the final tenth of the steps.  Raises
    ``TdGymError`` without examples, or when the loss is no longer finite.
    """
    if not examples or config.tokens < 1:
        raise TdGymError("Supervised learning needs at least one example and one token.")
    model = policy.model
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=config.lr,
        betas=config.betas,
    )
    stream = batches(examples, config.batch_tokens, np.random.default_rng(config.seed))
    seen, step, losses = 0, 0, []
    progress = FitProgress(0, 0, math.nan, 0.0)
    model.train()
    while seen < config.tokens:
        batch = next(stream)
        seen += sum(len(example.tokens) for example in batch)
        step += 1
        lr = config.lr * _schedule(min(1.0, seen / config.tokens), config.warmup)
        for group in optimizer.param_groups:
            group["lr"] = lr
        loss = loss_of(model, batch, policy.pad_id)
        if not torch.isfinite(loss):
            raise TdGymError("The loss is not finite any more; lower the learning rate.")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        optimizer.step()
        losses.append(loss.item())
        progress = FitProgress(step, seen, losses[-1], lr)
        if report is not None:
            report(progress)
    model.eval()
    return FitProgress(step, seen, float(np.mean(losses[-max(1, step // 10) :])), progress.lr)


def _schedule(share: float, warmup: float) -> float:
    """Return the learning rate's factor when ``share`` of the tokens are done."""
    if share < warmup:
        return share / warmup
    return 0.5 * (1.0 + math.cos(math.pi * (share - warmup) / max(1e-9, 1.0 - warmup)))
