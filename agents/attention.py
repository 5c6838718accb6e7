"""Attention masks as models take them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def additive_mask(hidden: Tensor, dtype: torch.dtype) -> Tensor:
    """Return 0 where ``hidden`` does not hold and the lowest number of ``dtype`` where it does, in its shape."""
    mask = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device)
    return mask.masked_fill_(hidden, torch.finfo(dtype).min)


def attention_mask(model: Any, hidden: Tensor, looking: Tensor, looked_at: Tensor) -> Tensor | dict[str, Tensor]:
    """Return what ``model`` is not to see, as it takes it: one mask, or one for each kind of its layers.

    ``hidden`` ``[N, 1, S, T]`` holds of what no layer sees; ``looking`` ``[N, S]`` and ``looked_at`` ``[N or 1, T]``
    are the positions of the tokens, of which layers with a sliding window see as many as that is long.
    """
    dtype = next(model.parameters()).dtype
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    if not window:
        return additive_mask(hidden, dtype)
    passed = looked_at[:, None, None, :] <= looking[:, None, :, None] - window
    windowed = additive_mask(hidden | passed, dtype)
    if not getattr(config, "layer_types", None):
        return windowed
    return {"full_attention": additive_mask(hidden, dtype), "sliding_attention": windowed}
