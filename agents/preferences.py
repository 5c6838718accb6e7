"""Preferences between dialogues: which are compared, and the loss of a comparison."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


class Pairs(NamedTuple):
    """Rows of a batch that are compared, ``P`` pairs."""

    chosen: Tensor
    """``[P]`` row of the dialogue that was worth more."""
    rejected: Tensor
    """``[P]`` row of the other one."""
    beta: float
    """How much a log-ratio counts."""

    def take(self, index: Tensor) -> Pairs:
        """Return the pairs of that ``index``."""
        return Pairs(self.chosen[index], self.rejected[index], self.beta)


def pairs_within(total: Tensor, group: Tensor, gap: float, beta: float) -> Pairs:
    """Return all pairs of rows of one ``group`` ``[B]`` whose ``total`` ``[B]`` differs by more than ``gap``."""
    compared = (group[:, None] == group[None, :]) & (total[:, None] - total[None, :] > gap)
    chosen, rejected = compared.nonzero(as_tuple=True)
    return Pairs(chosen, rejected, beta)


def preference_loss(log_ratios: Tensor, pairs: Pairs) -> Tensor:
    """Return ``[P]``: ``-log sigmoid(beta (S_chosen - S_rejected))``.

    ``log_ratios`` ``[B]`` is ``S``, the sum over a row's agent tokens of ``log pi - log pi_ref`` (DPO,
    arXiv 2305.18290, equation 7).
    """
    return -logsigmoid(pairs.beta * (log_ratios[pairs.chosen] - log_ratios[pairs.rejected]))


def loss_and_gradient(log_ratios: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Return the losses ``[P]``, and the derivative of their sum by each of ``log_ratios``, ``[B]``.

    With the latter as constants, ``(gradient * S).sum()`` has the gradient of the loss, row by row: the two dialogues
    of a pair need not be in one forward pass.
    """
    leaf = log_ratios.detach().requires_grad_()
    losses = preference_loss(leaf, pairs)
    (gradient,) = torch.autograd.grad(losses.sum(), leaf)
    return losses.detach(), gradient
