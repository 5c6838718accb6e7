"""Our dialogues and advantages under TRL's ``GRPOTrainer``: its loss, optimiser, vLLM, FSDP and DeepSpeed.

A ``TrainConfig`` means here what it means to ``td-gym train``: the same customers, advantages, clipping, KL term and
step of Adam.  What differs is said in ``docs/adapters.md``.  Needs the extra ``trl``.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents import distributed
from agents.checkpoint import check_no_run
from agents.config import TrainConfig, versions_of
from agents.figures import describe
from agents.losses import KL_CEILING
from agents.methods.base import Method, Phase
from agents.names import HF
from agents.rollout import rollout
from agents.sampler import Answer, Line
from agents.sources import case_seed, partners, share_of
from agents.token_policy import TokenPolicy
from agents.trainer import prepare
from agents.trajectories import Trajectories
from td_gym.envs.batch import ConversationBatch
from td_gym.errors import TdGymError, installed_extras, unknown

with installed_extras():
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

LOSSES = {"token": "dapo", "sequence": "grpo"}
"""TRL's name of a loss that averages tokens as the normalisation does."""


class ConversationTrainer(GRPOTrainer):
    """Trains as ``config`` says; ``arguments`` are fields of ``GRPOConfig`` that replace those made of it.

    ``policy`` has the weights as they are trained.  Raises ``TdGymError`` for what ``td-gym train`` refuses, for a
    method that does more than weigh the tokens of whole dialogues, and for batches that cannot be shared out.
    """

    def __init__(self, config: TrainConfig, **arguments: Any) -> None:
        processes = distributed.launched()
        scenario, self.budgets, self.method, self.policy, opponent = prepare(
            config, distributed.local_device(config.device), processes
        )
        self.policy.versions = versions_of(scenario)
        _check(config, self.method, self.policy)
        args = grpo_config(config, self.method, self.policy, **arguments)
        check_no_run(Path(args.output_dir))
        cases = product(range(1, config.steps + 1), range(config.customers))
        seeds = [case_seed(config, update, group) for update, group in cases]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*rollout_func")  # may change in TRL, whose version is bounded
            super().__init__(
                model=self.policy.model,
                reward_funcs=session_reward,
                args=args,
                train_dataset=Dataset.from_dict({"prompt": [f"{config.env}#{seed}" for seed in seeds], "seed": seeds}),
                processing_class=self.policy.tokenizer,
                rollout_func=self._completions,
            )
        self.policy.writer = self._write
        if self.policy.end_id not in self.eos_token_ids:
            raise TdGymError("This model's generation settings do not stop at its chat template's end of a message.")
        size = args.per_device_train_batch_size * args.steps_per_generation
        others = partners(config, scenario, opponent)
        self._batch = ConversationBatch(scenario, config.seat, size, others, split=config.split)
        self._dialogues: Trajectories | None = None
        self._scored: dict[str, Any] | None = None
        """What the loss is being taken of."""

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Hold the dialogues that ``inputs`` name, and put the method's advantages in the place of TRL's."""
        seeds = [row["seed"] for row in inputs]
        groups = np.unique(seeds, return_inverse=True)[1]
        unused = torch.Generator()  # TRL draws the tokens
        held = rollout(self.policy, self._batch, seeds, groups.tolist(), generator=unused)
        found = self.method.advantages(held)
        for name, value in (describe(held, list(self.budgets)) | found.metrics).items():
            self._metrics["train"][name].append(value)
        self._dialogues = held
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        advantages = torch.zeros(batch["completion_ids"].shape)
        for row, (first, length) in enumerate(completions(held)):
            advantages[row, : length - first] = found.tokens[row, first:length]
        return batch | {"advantages": advantages.to(batch["completion_ids"].device)}

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        """Return TRL's loss, whose KL term counts log-ratios up to ``KL_CEILING``, as ours does."""
        self._scored = dict(inputs)
        try:
            loss: Tensor = super()._compute_loss(model, self._scored)
            return loss
        finally:
            self._scored = None

    def _get_per_token_logps_and_entropies(self, *given: Any, **settings: Any) -> Any:
        scores = super()._get_per_token_logps_and_entropies(*given, **settings)
        if self._scored is not None and "ref_per_token_logps" in self._scored:
            # Where this takes hold, the log-ratio is the ceiling whatever the policy says, so it has no gradient.
            reference = torch.minimum(self._scored["ref_per_token_logps"], scores[0] + KL_CEILING)
            self._scored["ref_per_token_logps"] = reference
        return scores

    def _write(self, policy: TokenPolicy, lines: Sequence[Line], answer: Answer, temperature: float) -> None:
        """Let TRL generate one message in every line under way, until ``answer`` continues none."""
        going = list(range(len(lines)))
        # Every process asks for equally many: the weights, or the server, are those of all.
        while most := int(distributed.gather(torch.tensor([len(going)])).max()):
            asked = [lines[i].tokens for i in (*going, *[0] * (most - len(going)))]
            written, log_probs = self._generate_single_turn(asked, None, {}, num_generations=1)
            for i, tokens, scores in zip(going, written, log_probs or [[0.0] * len(w) for w in written], strict=False):
                for token, score in zip(tokens, scores, strict=True):
                    lines[i].take(token, float("nan") if score is None else score)
            going = answer(going) if going else going
            if any(len(lines[i].origins) > 1 for i in going):
                raise TdGymError("A dialogue is longer than the model reads, which TRL cannot train on.")

    def _completions(self, prompts: list[str], trainer: Any) -> dict[str, Any]:
        """Return the dialogues held, as TRL takes them: all from the first message of ours on is completion."""
        held = self._dialogues
        assert held is not None
        bounds = list(enumerate(completions(held)))
        return {
            "prompt_ids": [held.tokens[row, :first].tolist() for row, (first, _) in bounds],
            "completion_ids": [held.tokens[row, first:length].tolist() for row, (first, length) in bounds],
            "env_mask": [held.agent_mask[row, first:length].astype(int).tolist() for row, (first, length) in bounds],
            "logprobs": [held.log_probs[row, first:length].tolist() for row, (first, length) in bounds]
            if self.use_vllm
            else None,
            "session_reward": held.session_rewards.tolist(),
        }

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save as TRL does, with what ``td-gym evaluate`` has to know of the weights and without pickled settings."""
        super().save_model(output_dir, _internal_call)
        if self.args.should_save:
            folder = Path(output_dir or self.args.output_dir)
            (folder / "training_args.bin").unlink(missing_ok=True)
            self.policy.save_versions(folder)


def grpo_config(config: TrainConfig, method: Method, policy: TokenPolicy, **arguments: Any) -> GRPOConfig:
    """Return TRL's settings for what ``config`` says, with ``arguments`` in the place of their fields.

    Raises ``TdGymError`` where a process's share of the batch has no equal minibatches.
    """
    rows = len(share_of(config, 0, distributed.launched())) * config.copies
    parts = config.minibatches * arguments.get("gradient_accumulation_steps", 1)
    if rows % parts:
        raise TdGymError(f"{rows} dialogues of a process cannot be shared out evenly over {parts} steps.")
    loss = method.loss
    settings: dict[str, Any] = {
        "output_dir": str(config.out),
        "seed": config.seed,
        "max_steps": config.steps * config.minibatches,
        "num_generations": config.copies,
        "per_device_train_batch_size": rows // parts,
        "steps_per_generation": parts,
        "gradient_accumulation_steps": 1,
        "max_completion_length": config.max_new_tokens or policy.max_new_tokens,
        "shuffle_dataset": False,
        "loss_type": LOSSES[loss.normalisation],
        "epsilon": loss.clip_low,
        "epsilon_high": loss.clip_high,
        "beta": loss.kl_beta,
        "use_bias_correction_kl": False,
        "entropy_coef": loss.entropy_coef,
        "learning_rate": config.lr,
        "lr_scheduler_type": "constant",
        "adam_beta1": config.betas[0],
        "adam_beta2": config.betas[1],
        "weight_decay": 0.0,
        "max_grad_norm": config.max_grad_norm,
        "disable_dropout": True,
        "gradient_checkpointing": False,
        "bf16": False,
        "use_cpu": config.device == "cpu",
        "save_strategy": "no",
        "logging_steps": 1,
        "report_to": "none",
    }
    return GRPOConfig(**settings | arguments)


def completions(batch: Trajectories) -> list[tuple[int, int]]:
    """Return of every row where its first agent token stands, and its length."""
    return list(zip(batch.agent_mask.argmax(axis=1).tolist(), batch.lengths.tolist(), strict=True))


def session_reward(session_reward: list[float], **_: Any) -> list[float]:
    """Return the session rewards, for TRL's log; what is learnt from are the method's advantages."""
    return session_reward


def _check(config: TrainConfig, method: Method, policy: TokenPolicy) -> None:
    """Raise ``TdGymError`` for what TRL's loss and generation cannot do."""
    method.build(policy.model.config.hidden_size)
    plain = (
        tuple(method.phases(1, config.steps)) == (Phase("policy", 1),)
        and type(method).token_loss is Method.token_loss
        and type(method).measure is Method.measure
        and method.value_head is None
        and method.needs_reference == (method.loss.kl_beta > 0)  # else it compares dialogues with the reference's
    )
    if not plain:
        raise TdGymError(
            f"{config.method} does more than weigh the tokens of whole dialogues, which is what TRL's loss can do; "
            "take grpo, cmpo, duca or gdpo, or td-gym train."
        )
    if policy.planning is not None:
        raise TdGymError("TRL cannot constrain the strategies of a policy that plans; take 'tiny', or td-gym train.")
    if method.loss.normalisation not in LOSSES:
        raise unknown("normalisation under TRL", method.loss.normalisation, LOSSES)
    ours = {"sampler": config.sampler != HF, "lora_rank": config.lora_rank, "max_context": config.max_context}
    for name, taken in (ours | {"gradient_checkpointing": config.gradient_checkpointing}).items():
        if taken:
            raise TdGymError(f"{name} is of td-gym train; leave it out under TRL, which has settings of its own.")
    if config.resume:
        raise TdGymError("TRL's checkpoints hold no state of the method; train anew, or resume with td-gym train.")


__all__ = ["ConversationTrainer", "grpo_config"]
