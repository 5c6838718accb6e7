"""Local directories as Hugging Face checkpoints have them: other architectures and chat templates, random weights."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from agents.model import train_tokenizer

_SHAPE: dict[str, Any] = {
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 8192,
    "pad_token_id": 0,
    "eos_token_id": 1,
}
_QWEN2 = (
    "{% for m in messages %}<|user|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|user|>assistant\n{% endif %}"
)
_LLAMA = (
    "<|endoftext|>{% for m in messages %}<|system|>{{ m['role'] }}<|assistant|>\n\n{{ m['content'] | trim }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|system|>assistant<|assistant|>\n\n{% endif %}"
)
_GEMMA = (
    "<|endoftext|>{% for m in messages %}"
    "{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}"
    "<|user|>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n{{ m['content'] | trim }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|user|>model\n{% endif %}"
)
"""Without a system role, and with no two messages of one role in a row."""

KINDS = ("qwen2", "llama", "gemma")


def write_checkpoint(kind: str, folder: Path, hidden_size: int = 32) -> Path:
    """Write a randomly initialised model of ``kind`` into ``folder`` and return it."""
    tokenizer, template = _tokenizer(), {"qwen2": _QWEN2, "llama": _LLAMA, "gemma": _GEMMA}[kind]
    shape = {**_SHAPE, "vocab_size": len(tokenizer), "hidden_size": hidden_size}
    with torch.random.fork_rng():
        torch.manual_seed(5)
        if kind == "qwen2":
            model: Any = Qwen2ForCausalLM(Qwen2Config(**shape, num_key_value_heads=2, tie_word_embeddings=True))
        elif kind == "llama":
            model = LlamaForCausalLM(LlamaConfig(**shape, num_key_value_heads=4, tie_word_embeddings=False))
        else:
            model = GemmaForCausalLM(GemmaConfig(**shape, num_key_value_heads=1, head_dim=hidden_size // 2))
    model.save_pretrained(folder)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return folder


@cache
def _tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(["hello there, your order was late and we are sorry"], 512)
