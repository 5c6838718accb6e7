"""Devices of processes; sums, means and gathers over them, identities when there is only one.

Start several with ``torchrun --nproc_per_node N``.  Gradients are summed here once per optimiser
step instead of by ``DistributedDataParallel``: processes hold different numbers of micro-batches,
and a loss whose token weights already count all processes needs a sum, not a mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from agents.devices import check_device


def local_device(name: str) -> str:
    """Return the device of this process: ``cpu`` or a GPU, under ``torchrun`` that of its local rank.

    Raises ``TdGymError`` when this machine has no such device.
    """
    local = os.environ.get("LOCAL_RANK")
    device = name
    if name == "cuda" or (name.startswith("cuda:") and local is not None):
        device = f"cuda:{local or 0}"
    check_device(device)
    if device != "cpu":
        torch.cuda.set_device(device)
    return device


def launched() -> int:
    """Return how many processes ``torchrun`` started, 1 without it; known before they are a group."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def together(device: str) -> Iterator[None]:
    """Be in the process group, for as long as the block runs, when ``torchrun`` started this process.

    By gloo on CPU, nccl on GPU.  A group that somebody else has joined is theirs to leave.
    """
    joins = launched() > 1 and not dist.is_initialized()
    if joins:
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=timedelta(hours=1))
    try:
        yield
    finally:
        if joins:
            dist.destroy_process_group()


def rank() -> int:
    """Return this process's number, 0 when alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return the number of processes, 1 when alone."""
    return dist.get_world_size() if dist.is_initialized() else 1


def wait_for_all() -> None:
    """Return when every process has come here."""
    all_sum(torch.zeros(1))


def _shared(values: Tensor) -> Tensor:
    return values.detach().cuda() if dist.get_backend() == "nccl" else values.detach().clone()


def all_sum(values: Tensor) -> Tensor:
    """Return the sum of ``values`` over processes, on the device of ``values``."""
    if world_size() == 1:
        return values
    total = _shared(values)
    dist.all_reduce(total)
    return total.to(values.device)


def gather(values: Tensor) -> Tensor:
    """Return the rows of all processes in order of rank; all must hold equally many."""
    if world_size() == 1:
        return values
    own = _shared(values)
    parts = [torch.empty_like(own) for _ in range(world_size())]
    dist.all_gather(parts, own)
    return torch.cat(parts).to(values.device)


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its sum over processes, in one message."""
    if world_size() == 1:
        return
    held = list(parameters)
    for p in held:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    gradients = [p.grad for p in held if p.grad is not None]
    total = all_sum(torch.cat([g.reshape(-1) for g in gradients]))
    for gradient, part in zip(gradients, total.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
