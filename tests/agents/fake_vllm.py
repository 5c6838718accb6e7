"""What ``agents.vllm_writer`` uses of vLLM 0.32, by transformers: a request's tokens are drawn one a step.

It stands for the module ``vllm``, for ``vllm.exceptions`` and for ``vllm.sampling_params``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM


@dataclass
class EngineArgs:
    model: str
    skip_tokenizer_init: bool
    load_format: str
    dtype: str
    max_model_len: int
    gpu_memory_utilization: float
    enforce_eager: bool
    disable_log_stats: bool


class VLLMError(Exception):
    pass


class RequestOutputKind(Enum):
    FINAL_ONLY = 2


@dataclass
class SamplingParams:
    temperature: float
    seed: int
    max_tokens: int
    logprobs: int
    stop_token_ids: list[int]
    ignore_eos: bool
    detokenize: bool
    output_kind: RequestOutputKind
    allowed_token_ids: list[int] | None = None


class LLMEngine:
    """Refuses what the engine would: too long a prompt, a name that is in use, weights that its model does not have.

    It keeps nothing of what it has read, but insists that it be told to forget it where weights are new.
    """

    def __init__(self, arguments: EngineArgs) -> None:
        assert arguments.load_format == "dummy"
        assert arguments.skip_tokenizer_init
        config = AutoConfig.from_pretrained(arguments.model)
        with torch.random.fork_rng():
            self.model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, arguments.dtype)).eval()
        self.longest = arguments.max_model_len
        self.cache_is_of_now = True
        self.engine_core = SimpleNamespace(shutdown=lambda: setattr(self, "model", None))
        self.requests: dict[str, SimpleNamespace] = {}
        self.renderer = SimpleNamespace(render_cmpl=lambda prompts: [{"type": "token", **each} for each in prompts])

    @classmethod
    def from_engine_args(cls, arguments: EngineArgs) -> LLMEngine:
        return cls(arguments)

    def collective_rpc(self, method: str, kwargs: Mapping[str, Any]) -> list[None]:
        assert method == "reload_weights"
        weights: Iterable[tuple[str, Tensor]] = kwargs["weights_iterator"]
        self.model.load_state_dict(dict(weights))
        self.cache_is_of_now = False
        return [None]

    def reset_prefix_cache(self) -> bool:
        self.cache_is_of_now = not self.requests
        return self.cache_is_of_now

    def add_request(self, name: str, prompt: Mapping[str, Any], params: SamplingParams) -> str:
        read = list(prompt["prompt_token_ids"])
        assert prompt["type"] == "token"
        assert name not in self.requests
        assert self.cache_is_of_now
        if len(read) >= self.longest:
            raise VLLMError(f"The prompt has {len(read)} tokens,\nthe model reads {self.longest}.")
        generator = torch.Generator().manual_seed(params.seed)
        self.requests[name] = SimpleNamespace(
            tokens=read, params=params, generator=generator, token_ids=[], logprobs=[], finished=False
        )
        return name

    def abort_request(self, names: Sequence[str]) -> None:
        for name in names:
            self.requests.pop(name, None)

    @torch.no_grad()
    def step(self) -> list[SimpleNamespace]:
        for request in self.requests.values():
            self._write(request)
        found = [
            SimpleNamespace(request_id=name, finished=request.finished, outputs=[request])
            for name, request in self.requests.items()
            if request.finished
        ]
        self.abort_request([each.request_id for each in found])
        return found

    def _write(self, request: Any) -> None:
        params = request.params
        log_probs = self.model(torch.tensor([request.tokens])).logits[0, -1].float().log_softmax(-1)
        weights = (log_probs / params.temperature).softmax(-1)
        if params.allowed_token_ids is not None:
            weights = torch.zeros_like(weights).index_copy(
                0, torch.tensor(params.allowed_token_ids), weights[params.allowed_token_ids]
            )
        token = int(torch.multinomial(weights, 1, generator=request.generator))
        request.tokens.append(token)
        request.token_ids.append(token)
        request.logprobs.append({token: SimpleNamespace(logprob=float(log_probs[token]))})
        full = len(request.token_ids) == params.max_tokens or len(request.tokens) == self.longest
        request.finished = full or token in params.stop_token_ids
