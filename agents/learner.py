"""``Learner``: what happens to the weights once a batch is there; the same for every method."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from agents import distributed
from agents.advantages import batch_mean
from agents.config import TrainConfig
from agents.constraints import FREE
from agents.folding import shared_and_ends
from agents.losses import TokenScores, forward_log_probs, k3_kl, token_weights, value_loss
from agents.methods import Method
from agents.preferences import Pairs, loss_and_gradient
from agents.reference import Frozen, holding
from agents.trajectories import Ints, Trajectories
from td_gym.draws import mix
from td_gym.errors import TdGymError


class Learner:
    """Holds the model being trained, its frozen reference, the method and the optimiser.

    The model stays in evaluation mode, so that without dropout the first ratio is 1.
    """

    def __init__(self, model: Any, reference: Any | None, method: Method, config: TrainConfig) -> None:
        self.model, self.method, self.config = model, method, config
        self.reference = reference if method.needs_reference else None
        self.device = next(model.parameters()).device
        method.build(model.config.hidden_size)
        if method.value_head is not None:
            method.value_head.to(self.device)
        self.parameters: list[nn.Parameter] = [p for p in model.parameters() if p.requires_grad]
        if method.value_head is not None:
            self.parameters += list(method.value_head.parameters())
        self.optimizer = torch.optim.Adam(self.parameters, lr=config.lr, betas=config.betas)
        self._trained = [p for p in model.parameters() if p.requires_grad]
        self._mean = [p.detach().clone() for p in self._trained] if config.average else []
        self._frozen: list[Tensor] = []
        self._recomputed: list[nn.Module] = []
        if config.gradient_checkpointing:
            self._recomputed = [block for block in model.modules() if isinstance(block, GradientCheckpointingLayer)]
            # Newer releases of transformers call it by the first name, and warn of the second.
            enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
            enable({"use_reentrant": False})

    def freeze(self) -> None:
        """Let the policy as it stands be the reference from here on."""
        if self.reference is not None:
            self.reference = Frozen(self.model)
            self._frozen = self.reference.weights

    def update(self, batch: Trajectories, number: int, prefix: str = "", pace: float = 1.0) -> dict[str, float]:
        """Learn from this process's share of a batch; return figures equal on all processes.

        The method's own state (controllers, running scales) moves first, then the policy, once per
        minibatch that has anything to learn from, at ``pace`` times the learning rate.  ``prefix`` stands before
        the names of the losses, means over these steps.
        """
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = self.config.lr * pace
        found = self.method.advantages(batch, self.method.measure(batch, self))
        reference = None if self.reference is None else self._log_probs(self.reference, batch)

        figures: defaultdict[str, float] = defaultdict(float)
        generator = torch.Generator().manual_seed(mix(self.config.seed, "order", number, distributed.rank()) >> 1)
        count = len(batch) if found.pairs is None else len(found.pairs.chosen)
        order = torch.randperm(count, generator=generator)
        steps = 0
        for part in order.tensor_split(self.config.minibatches):
            learnt_from = distributed.all_sum(torch.tensor(float(len(part))))
            if not learnt_from:
                continue
            steps += 1
            if found.pairs is None:
                learnt = self._step(batch, part.numpy(), found.tokens, found.returns, reference)
            else:
                learnt = self._compare(batch, found.pairs.take(part), learnt_from, reference)
            for name, value in learnt.items():
                figures[name] += value
        return {**{prefix + name: total / steps for name, total in figures.items()}, **found.metrics}

    def divergence(self, batch: Trajectories) -> float:
        """Return the mean over agent tokens of the k3 KL of the policy that sampled ``batch`` from the present one."""
        moved = k3_kl(torch.from_numpy(batch.log_probs), self._log_probs(self.model, batch))
        return batch_mean(moved, torch.from_numpy(batch.agent_mask), distributed.all_sum).item()

    def take_into_mean(self, number: int) -> None:
        """Let the mean be that of the weights after the last updates, as many as ``average`` says."""
        before = self.config.steps - round(self.config.average * self.config.steps)
        for mean, weights in zip(self._mean, self._trained, strict=False):
            mean.lerp_(weights.detach(), 1.0 / max(1, number - before))

    def averaged(self) -> AbstractContextManager[None]:
        """Let the model hold the mean of its weights, if it is kept, for as long as it is being saved."""
        return holding(self._trained if self._mean else [], self._mean)

    def _step(
        self, batch: Trajectories, rows: Any, advantages: Tensor, returns: Tensor | None, reference: Tensor | None
    ) -> dict[str, float]:
        """Take one optimiser step on ``rows`` of the batch."""
        loss = self.method.loss
        mask = torch.from_numpy(batch.agent_mask)
        weights = torch.zeros(mask.shape)
        weights[rows] = token_weights(mask[rows], loss.normalisation, loss.constant, distributed.all_sum)
        old = torch.from_numpy(batch.log_probs)
        figures: defaultdict[str, float] = defaultdict(float)
        self.optimizer.zero_grad(set_to_none=True)
        for micro in self._micro_batches(batch, rows):
            length = int(batch.lengths[micro].max())

            def cut(array: Tensor, micro: Any = micro, length: int = length) -> Tensor:
                return array[micro, :length].to(self.device)

            scores = self._score(self.model, batch, micro, want_entropy=True)
            kept = None if reference is None else cut(reference)
            per_token, logged = self.method.token_loss(scores, cut(old), kept, cut(advantages))
            if returns is not None and self.method.value_head is not None and scores.hidden is not None:
                errors = value_loss(self.method.value_head(scores.hidden)[..., 0], cut(returns))
                per_token = per_token + self.method.value_coef * errors
                logged["value_loss"] = errors.detach()
            (cut(weights) * per_token).sum().backward()
            for name, values in logged.items():
                figures[f"losses/{name}"] += float((cut(weights) * values).sum())
        whole = float(distributed.all_sum(weights.sum())) or 1.0
        return self._descend({name: total / whole for name, total in figures.items()})

    def _compare(self, batch: Trajectories, pairs: Pairs, count: Tensor, reference: Tensor | None) -> dict[str, float]:
        """Take one optimiser step on the mean preference loss of ``pairs``, of ``count`` on all processes."""
        assert reference is not None
        rows = torch.cat((pairs.chosen, pairs.rejected)).unique().numpy()
        ratios = torch.zeros(len(batch))
        with torch.no_grad():
            for micro in self._micro_batches(batch, rows):
                ratios[micro] = self._score(self.model, batch, micro).log_probs.sum(1).cpu()
        ratios[rows] -= reference[rows].sum(1)
        losses, slope = loss_and_gradient(ratios, pairs)
        self.optimizer.zero_grad(set_to_none=True)
        for micro in self._micro_batches(batch, rows):
            log_probs = self._score(self.model, batch, micro).log_probs.sum(1)
            ((slope[micro] / count).to(self.device) * log_probs).sum().backward()
        right = (ratios[pairs.chosen] > ratios[pairs.rejected]).float()
        return self._descend(
            {
                "losses/preference_loss": float(losses.sum() / count),
                "losses/preference_accuracy": float(right.sum() / count),
            }
        )

    def _descend(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Take the step whose gradient is there; return ``figures`` summed over processes, and the gradient's norm."""
        distributed.sum_gradients(self.parameters)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.config.max_grad_norm)
        if not torch.isfinite(norm):
            raise TdGymError("The gradient is not finite any more; lower the learning rate.")
        self.optimizer.step()
        totals = distributed.all_sum(torch.tensor(list(figures.values()), dtype=torch.float64))
        return {**dict(zip(figures, totals.tolist(), strict=True)), "losses/grad_norm": float(norm)}

    def _micro_batches(self, batch: Trajectories, rows: Any) -> Iterator[Any]:
        """Yield ``rows`` in parts of similar length, each within ``micro_tokens`` with its padding.

        Rows with one history stand together and count as one.
        """
        part: list[Any] = []
        longest = 0
        for length, together in sorted(_read_together(batch, rows), key=lambda unit: -unit[0]):
            if part and (len(part) + 1) * longest > self.config.micro_tokens:
                yield np.concatenate(part)
                part = []
            if not part:
                longest = length
            part.append(together)
        if part:
            yield np.concatenate(part)

    def _score(self, model: Any, batch: Trajectories, rows: Any, want_entropy: bool = False) -> TokenScores:
        length = int(batch.lengths[rows].max())
        tokens, mask, allowed = (
            torch.from_numpy(array[rows, :length]).to(self.device)
            for array in (batch.tokens, batch.agent_mask, batch.allowed)
        )
        with self._recomputing():
            return forward_log_probs(
                model,
                tokens,
                mask,
                allowed,
                torch.from_numpy(batch.allowed_sets).to(self.device),
                histories=batch.group[rows] if batch.one_history else None,
                parts=None if batch.parts is None else torch.from_numpy(batch.parts[rows, :length]).to(self.device),
                want_entropy=want_entropy,
                want_hidden=self.method.value_head is not None,
            )

    @contextmanager
    def _recomputing(self) -> Iterator[None]:
        """Let the model's blocks, with gradient checkpointing, keep what they read alone where a gradient is taken.

        They do it in training mode only; what is in them stays in evaluation mode, without dropout.
        """
        for block in self._recomputed:
            block.training = torch.is_grad_enabled()
        try:
            yield
        finally:
            for block in self._recomputed:
                block.training = False

    def values(self, batch: Trajectories) -> Tensor:
        """Return ``[B, L]``, the value head's values of the agent's tokens."""
        head = self.method.value_head
        assert head is not None

        def values(rows: Any) -> Tensor:
            hidden = self._score(self.model, batch, rows).hidden
            assert hidden is not None
            found: Tensor = head(hidden)[..., 0]
            return found

        return self._evaluate(batch, values)

    def gradient_norms(self, batch: Trajectories, rewards: Tensor) -> Tensor:
        """Return ``[K]``: for each column r of ``rewards`` ``[B, K]`` the norm of the gradient of ``mean(r log p)``.

        ``log p`` is the log-probability of all that the agent wrote in a row, the mean is over all processes' rows, and
        the gradient is that of the last block.
        """
        block = last_block(self.model)
        sums = torch.zeros(rewards.shape[1], sum(p.numel() for p in block), device=self.device)
        told = np.flatnonzero(rewards.any(dim=1).numpy())  # rows without a reward add nothing
        for rows in self._micro_batches(batch, told):
            log_probs = self._score(self.model, batch, rows).log_probs.sum(1)
            for column, total in zip(rewards[rows].T.to(self.device), sums, strict=True):
                found = torch.autograd.grad(log_probs, block, column, retain_graph=True)
                total += torch.cat([each.reshape(-1) for each in found])
        count = distributed.all_sum(torch.tensor(float(len(batch))))
        norms: Tensor = distributed.all_sum(sums).norm(dim=1).cpu() / count
        return norms

    def rescored(self, batch: Trajectories) -> tuple[Trajectories, float]:
        """Return ``batch`` with the log-probabilities of the model, and how far off those were that stood there.

        That is a mean over tokens, in nats; tokens drawn from choices do not count, of which another writer gives the
        probabilities among all tokens.
        """
        log_probs = self._log_probs(self.model, batch).numpy()
        free = batch.agent_mask & (batch.allowed == FREE)
        gaps = np.abs(log_probs - batch.log_probs)[free]
        return replace(batch, log_probs=log_probs), float(gaps.mean()) if gaps.size else 0.0

    def _log_probs(self, model: Any, batch: Trajectories) -> Tensor:
        """Return ``[B, L]``, the log-probabilities that ``model`` gives the agent's tokens."""
        return self._evaluate(batch, lambda rows: self._score(model, batch, rows).log_probs)

    def _evaluate(self, batch: Trajectories, score: Any) -> Tensor:
        """Return ``[B, L]`` on the CPU: ``score`` of all rows, without gradients, 0 off the agent's tokens."""
        result = torch.zeros(batch.tokens.shape)
        with torch.no_grad():
            for rows in self._micro_batches(batch, np.arange(len(batch))):
                values = score(rows).cpu()
                result[rows, : values.shape[1]] = values
        return result * torch.from_numpy(batch.agent_mask)

    def tensors(self) -> dict[str, Tensor]:
        """Return for a checkpoint: latest weights, the optimiser's moments, a frozen reference, the value head."""
        found = {f"weights.{i}": p.detach().cpu().clone() for i, p in enumerate(self._trained) if self._mean}
        found |= {f"reference.{i}": p.cpu().clone() for i, p in enumerate(self._frozen)}
        for i, state in self.optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{i}.{name}": values.cpu() for name, values in state.items()}
        if self.method.value_head is not None:
            head = self.method.value_head.state_dict()
            found |= {f"value_head.{name}": values.cpu() for name, values in head.items()}
        return found

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what ``tensors`` returned; the model holds the running mean before, the latest weights after."""
        state: dict[int, dict[str, Tensor]] = {}
        head: dict[str, Tensor] = {}
        self._mean = [p.detach().clone() for p in self._trained] if self._mean else []
        for key, values in tensors.items():
            kind, name = key.split(".", 1)
            if kind == "optimizer":
                index, moment = name.split(".", 1)
                state.setdefault(int(index), {})[moment] = values
            elif kind == "weights":
                with torch.no_grad():
                    self._trained[int(name)].copy_(values)
            elif kind == "reference":
                if not self._frozen:
                    self.freeze()
                with torch.no_grad():
                    self._frozen[int(name)].copy_(values)
            else:
                head[name] = values
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        if self.method.value_head is not None:
            self.method.value_head.load_state_dict(head)


def _read_together(batch: Trajectories, rows: Ints) -> list[tuple[int, Ints]]:
    """Return what the model reads as one row each, as its length and those of ``rows`` that are in it."""
    if not batch.one_history:
        return [(int(batch.lengths[row]), np.array([row])) for row in rows]
    found = []
    for group in np.unique(batch.group[rows]):
        together = np.sort(rows[batch.group[rows] == group])
        shared, ends = shared_and_ends(batch.agent_mask[together])
        found.append((shared + int((ends - shared).sum()), together))
    return found


def last_block(model: Any) -> list[nn.Parameter]:
    """Return the trained parameters of the model's last transformer block; with adapters, those alone."""
    depth = model.config.num_hidden_layers
    stacks = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == depth]
    return [p for p in stacks[0][-1].parameters() if p.requires_grad]
