"""Attention masks as models take them."""

from __future__ import annotations

import torch
from torch import Tensor


def additive_mask(hidden: Tensor, dtype: torch.dtype) -> Tensor:
    """Return 0 where ``hidden`` does not hold and the lowest number of ``dtype`` where it does, in its shape."""
    mask = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device)
    return mask.masked_fill_(hidden, torch.finfo(dtype).min)
