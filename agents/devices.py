"""Which devices this machine has; torch is loaded for a GPU alone."""

from __future__ import annotations

from td_gym.errors import TdGymError


def check_device(name: str) -> None:
    """Raise ``TdGymError`` unless this machine has the device ``name``: ``cpu``, ``cuda`` or one of several GPUs."""
    if name == "cpu":
        return
    import torch

    count = torch.cuda.device_count()
    known = ["cpu", *["cuda"] * (count > 0), *(f"cuda:{number}" for number in range(count))]
    if name not in known:
        raise TdGymError(f"There is no device {name!r} on this machine; it has {', '.join(known)}.")
