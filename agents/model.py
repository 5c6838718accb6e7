"""From-scratch language models and their tokenizer: Qwen2 architecture, byte-level BPE.

Both are ordinary Hugging Face objects, so what is built here loads anywhere and any other causal
language model can take its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

from td_gym.errors import TdGymError, unknown
from td_gym.slots import SLOT

PAD, END = "<|endoftext|>", "<|end|>"
MARKERS = (PAD, END, "<|system|>", "<|user|>", "<|assistant|>")
TAGS = ("<think>", "</think>", "<action>", "</action>", "<response>", "</response>")
_BYTES = 256


@dataclass(frozen=True, slots=True)
class Size:
    """Width and depth of a model."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int


SIZES = {
    "micro": Size(32, 2, 2, 1, 64),
    "tiny": Size(128, 4, 4, 2, 384),
    "small": Size(192, 6, 6, 2, 512),
    "medium": Size(512, 12, 8, 4, 1536),
    "large": Size(768, 12, 12, 4, 2304),
}
"""With 1,024 tokens: micro 0.05M (for tests), tiny 0.92M, small 2.6M, medium 38M, large 83M parameters."""


def build_model(size: str, vocab_size: int, *, seed: int = 0, pad_id: int = 0, end_id: int = 1) -> Any:
    """Return a ``Qwen2ForCausalLM`` of the named size with weights drawn from ``seed``.

    Two key/value heads suffice at these sizes and halve the cache that decoding reads.  The global
    random state is left as it was.  Raises ``TdGymError`` for an unknown size.
    """
    if size not in SIZES:
        raise unknown("model size", size, SIZES)
    shape = SIZES[size]
    config = Qwen2Config(
        vocab_size=vocab_size,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.intermediate,
        tie_word_embeddings=True,
        max_position_embeddings=4096,
        pad_token_id=pad_id,
        bos_token_id=None,
        eos_token_id=end_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen2ForCausalLM(config).eval()


def train_tokenizer(
    texts: Iterable[str], vocab_size: int = 1024, phrases: Iterable[str] = ()
) -> PreTrainedTokenizerFast:
    """Train byte-level BPE on ``texts`` and return it with the chat template of this package.

    All 256 bytes are in the alphabet, so any text encodes.  Chat markers, protocol tags, every ``[slot]``
    seen in ``texts`` and each of ``phrases`` are single tokens; digits are never merged, so that amounts
    can be copied.  Raises ``TdGymError`` when ``vocab_size`` has no room for those.
    """
    single = [*TAGS, *sorted(phrases)]
    between = re.compile("|".join([*map(re.escape, [*MARKERS, *single]), SLOT.pattern]))
    pieces: list[str] = []
    slots: set[str] = set()
    for text in texts:
        slots.update(SLOT.findall(text))
        pieces += filter(None, between.split(text))  # no merge is spent on what is a single token anyway
    extra = [*single, *sorted(slots)]
    if vocab_size < _BYTES + len(MARKERS) + len(extra):
        raise TdGymError(f"A vocabulary of {vocab_size} is too small; take at least 512.")
    tokenizer = Tokenizer(BPE())
    # transformers reads every tokenizer beside a Qwen2 model with these two, whatever its file says.
    tokenizer.normalizer = Qwen2Tokenizer().backend_tokenizer.normalizer
    tokenizer.pre_tokenizer = Qwen2Tokenizer().backend_tokenizer.pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=vocab_size - len(extra),
        special_tokens=list(MARKERS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(pieces, trainer)
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in extra])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=PAD,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=list(MARKERS[2:]),
        chat_template=Path(__file__).with_name("chat.jinja").read_text(),
        clean_up_tokenization_spaces=False,
    )
