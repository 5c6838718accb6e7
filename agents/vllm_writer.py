"""``--sampler vllm``: vLLM's engine writes what the policy says, in this process, beside the model that learns."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import count
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from agents import lora
from agents.constraints import FREE
from agents.sampler import Answer, Line
from agents.token_policy import TokenPolicy
from td_gym.errors import TdGymError, installed_extras

_GROUPS = 8
"""Turns are answered once one in so many of those under way has ended."""


class VLLMWriter:
    """Writes turns in the place of a policy's model, see ``TokenPolicy.write``.

    A message is drawn by the engine, from a seed that is a function of the line; which others are written beside it
    may change the last digits of its probabilities, so equal seeds need not give equal messages.  Of a token drawn
    from choices a line gets the log-probability among all tokens.  Starting an engine seeds this process's global
    random state, on which nothing of ours depends.

    Args:
        policy: What it writes for.
        memory: Share of the GPU's memory that the engine takes, with its copy of the weights.

    Raises ``TdGymError`` where vLLM is not installed, or cannot run this model or use this GPU.
    """

    def __init__(self, policy: TokenPolicy, memory: float) -> None:
        self._numbers = count()
        self._engine = _engine(policy, memory)

    def load(self, model: Any) -> None:
        """Take over the weights that ``model`` has now, and forget what was read with others."""
        self._engine.collective_rpc("reload_weights", kwargs={"weights_iterator": lora.merged(model)})
        if not self._engine.reset_prefix_cache():
            raise TdGymError("vLLM keeps what it read with earlier weights; leave --sampler vllm out.")

    def close(self) -> None:
        """Let go of the engine; nothing can be written afterwards.

        vLLM leaves this process's process group with it, so another engine that was there cannot write any more either.
        """
        self._engine.engine_core.shutdown()

    def __call__(self, policy: TokenPolicy, lines: Sequence[Line], answer: Answer, temperature: float) -> None:
        """Write turns in ``lines`` with the weights loaded last until ``answer`` continues none of them.

        Raises ``TdGymError`` where a dialogue is longer than the policy reads.
        """
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
                        _take(lines[i], output.outputs[0])
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


def _take(line: Line, written: Any) -> None:
    """Append what was written."""
    for token, likely in zip(written.token_ids, written.logprobs, strict=True):
        allowed = FREE if line.choices is None else line.choices.after(line.reply)
        line.take(int(token), float(likely[token].logprob), allowed)


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
        except (ValueError, RuntimeError, OSError, VLLMError) as error:
            raise TdGymError(f"vLLM cannot run this model as asked: {_one_line(error)}") from error
