"""Devices by name, of one process and of several."""

from __future__ import annotations

import pytest
import torch

from agents.devices import check_device
from agents.distributed import local_device
from td_gym.errors import TdGymError


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """A machine with two GPUs; a device without a number cannot be set, as on a real one."""
    found: list[torch.device] = []

    def set_device(name: str) -> None:
        assert torch.device(name).index is not None
        found.append(torch.device(name))

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", set_device)
    return found


@pytest.mark.parametrize(
    ("name", "rank", "device"),
    [
        ("cpu", None, "cpu"),
        ("cpu", "1", "cpu"),
        ("cuda", None, "cuda:0"),
        ("cuda", "1", "cuda:1"),
        ("cuda:1", None, "cuda:1"),
        ("cuda:0", "1", "cuda:1"),
    ],
)
def test_a_process_takes_the_gpu_of_its_rank(
    monkeypatch: pytest.MonkeyPatch, chosen: list[torch.device], name: str, rank: str | None, device: str
) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert local_device(name) == device
    assert chosen == ([] if device == "cpu" else [torch.device(device)])


@pytest.mark.parametrize("name", ["cuda:2", "abacus", "cuda:x", ""])
def test_a_device_that_is_not_there_is_one_line(chosen: list[torch.device], name: str) -> None:
    for ask in (check_device, local_device):
        with pytest.raises(TdGymError, match=r"There is no device .* it has cpu, cuda, cuda:0, cuda:1"):
            ask(name)
    assert chosen == []
