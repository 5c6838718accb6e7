"""A model that decodes rows of unequal progress together: each row writes its own part of one key/value cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers.cache_utils import Cache

from agents.attention import attention_mask
from td_gym.errors import TdGymError

_GROW = 128
"""Positions by which the cache grows at a time."""
_AGREE = 0.1
"""Difference of logits, as a share of the largest, that may be the rounding of half precision."""

Past = tuple[Tensor, ...]
"""What one row has in the cache: keys and values ``[heads, positions, dim]`` of every layer in turn."""


class RowCache(Cache):
    """A key/value cache in which every row writes at its own positions.

    One slab ``[rows, heads, capacity, dim]`` a layer.  The last column takes the writes of padding
    and of idle rows and is never read.
    """

    def __init__(self) -> None:
        super().__init__(layers=[])
        self._slabs: list[list[Tensor]] = []
        self._rows = self.capacity = self.width = 0
        self._selected: Tensor | None = None
        self._at: tuple[Any, ...] = ()

    def open(self, rows: int) -> None:
        """Make room for ``rows`` empty rows."""
        self._rows = rows

    def plan(self, selected: Tensor | None, positions: Tensor, width: int) -> None:
        """Set where the next forward pass writes (``positions [n, S]``) and how far it reads.

        ``selected [n]`` names the rows that take part; ``None`` for all.
        """
        self.width, self._selected = width, selected
        rows = torch.arange(self._rows, device=positions.device) if selected is None else selected
        self._at = (rows[:, None], slice(None), positions)

    def reserve(self, width: int) -> None:
        """Grow to hold ``width`` positions and the column that is never read."""
        if width < self.capacity:
            return
        grown = (width // _GROW + 1) * _GROW
        for slabs in self._slabs:
            for i, slab in enumerate(slabs):
                larger = slab.new_zeros((*slab.shape[:2], grown, slab.shape[3]))
                larger[:, :, : slab.shape[2]] = slab
                slabs[i] = larger
        self.capacity = grown

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these."""
        self._rows = len(rows)
        for slabs in self._slabs:
            slabs[:] = [slab.index_select(0, rows) for slab in slabs]

    def save(self, row: int, count: int) -> Past:
        """Return a copy of what ``row`` has at its first ``count`` positions."""
        return tuple(slab[row, :, :count].clone() for slabs in self._slabs for slab in slabs)

    def load(self, row: int, past: Past) -> None:
        """Let ``row`` have what another one, of this cache or of one for the same model, had."""
        self.reserve(past[0].shape[1])
        for layer_idx in range(len(past) // 2):
            states = past[2 * layer_idx : 2 * layer_idx + 2]
            for slab, kept in zip(self._layer(layer_idx, *states), states, strict=True):
                slab[row, :, : kept.shape[1]] = kept

    def _layer(self, layer_idx: int, keys: Tensor, values: Tensor) -> list[Tensor]:
        """Return the slabs of a layer, made like ``keys`` and ``values`` ``[..., heads, positions, dim]``."""
        while layer_idx >= len(self._slabs):
            self._slabs.append(
                [
                    states.new_zeros((self._rows, states.shape[-3], self.capacity, states.shape[-1]))
                    for states in (keys, values)
                ]
            )
        return self._slabs[layer_idx]

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any) -> Any:
        """Write ``[n, heads, S, dim]`` keys and values and return all that the rows may read."""
        slabs = self._layer(layer_idx, key_states, value_states)
        for slab, states in zip(slabs, (key_states, value_states), strict=True):
            slab[self._at] = states.transpose(1, 2)
        views = [slab[:, :, : self.width] for slab in slabs]
        return tuple(views if self._selected is None else [view.index_select(0, self._selected) for view in views])

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return how many positions the next forward pass reads."""
        return self.width

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        """Return the key length and offset of the mask."""
        return self.width, 0


class Decoder:
    """A model with a ``RowCache``: rows read chunks or one token, and get the next token's logits."""

    def __init__(self, model: Any, rows: int, pad_id: int) -> None:
        self._model = model
        self._pad = pad_id
        self._device = next(model.parameters()).device
        self._cache = RowCache()
        self._cache.open(rows)
        self._limit = getattr(model.config, "max_position_embeddings", None)

    def read(self, rows: Sequence[int], chunks: Sequence[Sequence[int]], starts: Sequence[int]) -> Tensor:
        """Let ``rows`` read ``chunks`` from the positions ``starts`` on; logits ``[len(rows), V]``."""
        longest = max(map(len, chunks))
        tokens = np.full((len(rows), longest), self._pad, dtype=np.int64)
        positions = np.full((len(rows), longest), -1, dtype=np.int64)
        for i, (chunk, start) in enumerate(zip(chunks, starts, strict=True)):
            # Padded on the left, so that the last column is every row's last token.
            tokens[i, longest - len(chunk) :] = chunk
            positions[i, longest - len(chunk) :] = np.arange(start, start + len(chunk))
        return self._forward(tokens, positions, torch.as_tensor(rows, device=self._device))

    def step(self, tokens: npt.NDArray[np.int64], positions: npt.NDArray[np.int64]) -> Tensor:
        """Let every row read one token at its position, -1 for an idle row; logits ``[rows, V]``."""
        return self._forward(tokens[:, None], positions[:, None], None)

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all rows but these."""
        self._cache.keep(torch.as_tensor(rows, dtype=torch.long, device=self._device))

    def save(self, row: int, count: int) -> Past:
        """Return what ``row`` has in the cache of its first ``count`` tokens."""
        return self._cache.save(row, count)

    def load(self, row: int, past: Past) -> None:
        """Let ``row``, still empty, have read what ``past`` was saved of."""
        self._cache.load(row, past)

    def _forward(self, tokens: npt.NDArray[np.int64], positions: npt.NDArray[np.int64], rows: Tensor | None) -> Tensor:
        width = int(positions.max()) + 1
        if self._limit is not None and width > self._limit:
            raise TdGymError(
                f"A dialogue is longer than the {self._limit} tokens that the model can read; take one that reads more."
            )
        self._cache.reserve(width)
        writes = torch.from_numpy(np.where(positions < 0, self._cache.capacity - 1, positions)).to(self._device)
        places = torch.from_numpy(np.maximum(positions, 0)).to(self._device)
        self._cache.plan(rows, writes, width)
        read = torch.arange(width, device=self._device)
        hidden = read > places[:, None, :, None]
        output = self._model(
            input_ids=torch.from_numpy(tokens).to(self._device),
            attention_mask=attention_mask(self._model, hidden, places, read[None]),
            position_ids=places,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1]
        return logits


def check_decodes(model: Any) -> None:
    """Raise ``TdGymError`` for a model that, reading bit by bit, says otherwise than reading all at once."""
    tokens = [(7 * i + 5) % model.get_input_embeddings().num_embeddings for i in range(8)]
    fault = f"A {model.config.model_type} model keeps more, or other things, of what it has read than keys and values"
    advice = "of each token, which sampling here rests on; take one with attention in every layer, as Qwen2 or Llama."
    try:
        with torch.no_grad():
            whole = model(input_ids=torch.tensor([tokens], device=model.device), use_cache=False).logits[0, -1]
            decoder = Decoder(model, 2, pad_id=0)
            decoder.read([0, 1], [tokens[:5], tokens[:3]], [0, 0])
            decoder.read([0], [tokens[5:7]], [5])
            bit_by_bit = decoder.step(np.array([tokens[7], 0]), np.array([7, -1]))[0]
    except Exception as error:  # models that take no such cache fail each in its own way
        raise TdGymError(f"{fault} {advice}") from error
    if not (bit_by_bit - whole).abs().max() <= _AGREE * whole.abs().max():
        raise TdGymError(f"{fault} {advice}")
