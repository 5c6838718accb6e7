"""``--sampler vllm``: vLLM's engine writes what the policy says, with the weights that the policy has at that time.

The engine runs in this process, beside the model that learns.  What it wrote is scored anew by that model, so that
training compares the model with itself; by how much the engine's own figures are off is told beside the losses.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import count
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from agents import lora
from agents.constraints import FREE, AllowedSets
from agents.losses import forward_log_probs
from agents.packing import packed
from agents.rollout import check_finite, token_arrays
from agents.sampler import Answer, Line
from agents.token_policy import TokenPolicy
from td_gym.errors import TdGymError, installed_extras

LARGEST_GAP = 0.5
"""Mean gap in log-probability, in nats a token, from which an engine does not say what its policy would."""

_GROUPS = 8
"""Turns are answered once one in so many of those under way has ended."""


class VLLMWriter:
    """Writes turns for one policy, see ``TokenPolicy.write``.

    A message is drawn by the engine, from a seed that is a function of the line; which others are written beside it
    may change the last digits of its probabilities, so equal seeds need not give equal messages.  Starting an engine
    seeds this process's global random state, on which nothing of ours depends.

    Args:
        policy: What it writes for.
        memory: Share of the GPU's memory that the engine takes, with its copy of the weights.
        most: Tokens, padding included, of one pass of the model that scores what was written.

    Raises ``TdGymError`` where vLLM is not installed, or cannot run this model or use this GPU.
    """

    def __init__(self, policy: TokenPolicy, memory: float, most: int) -> None:
        self._most = most
        self._numbers = count()
        self._sets: AllowedSets | None = None
        """What constrained tokens of the present call were drawn from."""
        self._gaps: list[float] = []
        self._engine = _engine(policy, memory)

    def figures(self) -> dict[str, float]:
        """Return how far the engine's log-probabilities were off the model's, on average (nats), since the last time.

        Tokens that were drawn from choices are not counted.
        """
        gap, self._gaps = _mean(self._gaps), []
        return {"sampler/gap": gap}

    def close(self) -> None:
        """Let go of the engine; nothing can be written afterwards.

        vLLM leaves this process's process group with it, so another engine that was there cannot write any more either.
        """
        self._engine.engine_core.shutdown()

    def __call__(self, policy: TokenPolicy, lines: Sequence[Line], answer: Answer, temperature: float) -> None:
        """Write turns in ``lines`` with the weights of ``policy`` until ``answer`` continues none of them.

        Raises ``TdGymError`` where a dialogue is longer than the policy reads, and where the engine's probabilities
        are not those of the policy.
        """
        self._engine.collective_rpc("reload_weights", kwargs={"weights_iterator": lora.merged(policy.model)})
        if not self._engine.reset_prefix_cache():
            raise TdGymError("vLLM keeps what it read with earlier weights; leave --sampler vllm out.")
        self._sets = None
        asked: dict[str, int] = {}

        def ask(numbers: Iterable[int]) -> None:
            for i in numbers:
                asked[self._ask(policy, lines[i], temperature)] = i

        ended: list[int] = []
        try:
            ask(range(len(lines)))
            while asked:
                for output in self._engine.step():
                    if output.finished:
                        i = asked.pop(output.request_id)
                        self._take(lines[i], output.outputs[0])
                        if lines[i].reply[-1] == policy.end_id or lines[i].sampled == len(lines[i].uniforms):
                            ended.append(i)
                        else:
                            ask([i])
                # In groups, since the other seat may be one that answers several at once.
                if ended and (len(ended) >= len(asked) // _GROUPS or not asked):
                    together, ended = sorted(ended), []
                    ask(answer(together))
        finally:
            self._engine.abort_request(list(asked))
        self._score(policy, lines)

    def _ask(self, policy: TokenPolicy, line: Line, temperature: float) -> str:
        """Ask for the rest of a line's turn, or, where it may not be anything, for the next token; name the request."""
        from vllm import SamplingParams
        from vllm.exceptions import VLLMError
        from vllm.sampling_params import RequestOutputKind

        wanted: dict[str, Any] = {"max_tokens": len(line.uniforms) - line.sampled}
        if line.choices is not None:
            allowed = line.choices.sets.mask(line.choices.after(line.reply))
            wanted = {"max_tokens": 1, "allowed_token_ids": np.flatnonzero(allowed).tolist()}
        params = SamplingParams(
            temperature=temperature,
            seed=int(line.uniforms[line.sampled] * 2**31),
            logprobs=0,  # of what was drawn alone
            stop_token_ids=[policy.end_id],
            ignore_eos=True,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
            **wanted,
        )
        name = str(next(self._numbers))
        try:
            (prompt,) = self._engine.renderer.render_cmpl([{"prompt_token_ids": line.tokens[line.origins[-1] :]}])
            self._engine.add_request(name, prompt, params)
        except VLLMError as error:
            raise TdGymError(
                f"vLLM does not take a dialogue of {line.width} tokens, the policy reads {policy.context}; let it read "
                f"more (--max-context), or leave --sampler vllm out: {_one_line(error)}"
            ) from error
        return name

    def _take(self, line: Line, written: Any) -> None:
        """Append what was written."""
        for token, likely in zip(written.token_ids, written.logprobs, strict=True):
            number = FREE
            if line.choices is not None:
                self._sets = line.choices.sets
                number = line.choices.after(line.reply)
            line.take(int(token), float(likely[token].logprob), number)

    def _score(self, policy: TokenPolicy, lines: Sequence[Line]) -> None:
        """Let the log-probabilities in ``lines`` be those of the policy's model, and measure what they were off."""
        arrays = token_arrays(lines, 0, policy.pad_id)
        allowed_sets = None if self._sets is None else torch.from_numpy(self._sets.as_array()).to(policy.device)
        gaps = []
        for rows in packed([(len(line.tokens), row) for row, line in enumerate(lines)], self._most):
            length = max(len(lines[row].tokens) for row in rows)
            tokens, mask, allowed, parts = (
                None if arrays[name] is None else torch.from_numpy(arrays[name][rows, :length]).to(policy.device)
                for name in ("tokens", "agent_mask", "allowed", "parts")
            )
            with torch.no_grad():
                scores = forward_log_probs(policy.model, tokens, mask, allowed, allowed_sets, parts=parts)  # type: ignore[arg-type]
            for row, log_probs in zip(rows, scores.log_probs.tolist(), strict=True):
                line = lines[row]
                for i in (i for i, turn in enumerate(line.turns) if turn >= 0):
                    if line.allowed[i] == FREE:  # the engine's figures know of no choices
                        gaps.append(abs(line.log_probs[i] - log_probs[i]))
                    line.log_probs[i] = log_probs[i]
        check_finite(log_prob for line in lines for log_prob in line.log_probs)
        if not _mean(gaps) < LARGEST_GAP:
            raise TdGymError(
                f"vLLM's probabilities are {_mean(gaps):.2g} nats off those of the model, so it does not write what "
                "the model would; leave --sampler vllm out."
            )
        self._gaps += gaps


def _mean(gaps: Sequence[float]) -> float:
    return sum(gaps) / max(1, len(gaps))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _engine(policy: TokenPolicy, memory: float) -> Any:
    """Return an engine for models such as the policy's, whose weights are still to come."""
    if policy.device.type == "cuda" and policy.device.index:
        raise TdGymError(
            f"vLLM writes on the first GPU that a process sees, not on {policy.device}; choose it by "
            "CUDA_VISIBLE_DEVICES and take --device cuda."
        )
    # In a process of its own it could not be handed weights that lie on this one's device.
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    with installed_extras():
        from vllm import EngineArgs, LLMEngine
        from vllm.exceptions import VLLMError
    on_gpu = policy.device.type == "cuda"
    with TemporaryDirectory() as described:
        policy.model.config.save_pretrained(described)
        arguments = EngineArgs(
            model=described,
            skip_tokenizer_init=True,
            load_format="dummy",
            dtype="bfloat16" if on_gpu else "float32",
            max_model_len=policy.context,
            gpu_memory_utilization=memory,
            enforce_eager=not on_gpu,
            disable_log_stats=True,
        )
        try:
            return LLMEngine.from_engine_args(arguments)
        except (ValueError, RuntimeError, OSError, NotImplementedError, VLLMError) as error:
            raise TdGymError(f"vLLM cannot run this model as asked: {_one_line(error)}") from error
