"""What a person watching a training run sees: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class TrainingProgress:
    """Shows the figures that matter after each update: return, costs against limits, multipliers, KL.

    ``limits`` holds the costs to show; the limit of one that the method does not keep is ``None``.
    """

    def __init__(self, label: str, done: int, total: int, limits: Mapping[str, float | None]) -> None:
        self.label, self.done, self.total, self.limits = label, done, total, limits
        self._bar: Progress | None = None
        self._task: Any = None
        self._since = time.monotonic()

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            columns = (BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task(self.label, total=self.total, completed=self.done)
        return self

    def show(self, update: int, metrics: Mapping[str, float]) -> None:
        """Report that ``update`` updates are done."""
        seconds, self._since = time.monotonic() - self._since, time.monotonic()
        text = summary(metrics, self.limits)
        if self._bar is not None:
            self._bar.update(self._task, completed=update, description=f"{self.label}: {text}")
        else:
            print(f"{self.label} {update}/{self.total}: {text}, {seconds:.1f} s", file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def summary(metrics: Mapping[str, float], limits: Mapping[str, float | None]) -> str:
    """Return one line such as ``reward 3.52, voucher 0.34 (limit 0.30), lambda 1.12, kl 0.004``."""
    parts = []
    if "charts/episodic_return" in metrics:
        parts.append(f"reward {metrics['charts/episodic_return']:.2f}")
    for name, limit in limits.items():
        if f"costs/{name}" in metrics:
            kept = "" if limit is None else f" (limit {limit:.2f})"
            parts.append(f"{name} {metrics[f'costs/{name}']:.2f}{kept}")
        if limit is not None and f"pid/{name}/lambda" in metrics:
            parts.append(f"lambda {metrics[f'pid/{name}/lambda']:.2f}")
    shown = [("losses/kl_reference", "kl"), ("losses/entropy", "entropy")]
    if "charts/episodic_return" not in metrics:
        shown.append(("losses/policy_loss", "loss"))
    for name, short in shown:
        if (value := figure(metrics, name)) is not None:
            parts.append(f"{short} {value:.3f}")
    return ", ".join(parts)


def figure(metrics: Mapping[str, float], name: str) -> float | None:
    """Return the figure called ``name``, else that of the one role or stage that has it, ``expert/losses/entropy``."""
    if name in metrics:
        return metrics[name]
    return next((value for key, value in metrics.items() if key.endswith(f"/{name}")), None)
