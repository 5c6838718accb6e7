"""What a judge's verdict of a dialogue is: a mark by each of four principles.

Marks and weights are those of InteractCS-RL's released code (arXiv 2602.22697).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WEIGHTS: Mapping[str, float] = {"adaptation": 1.0, "stage_fitness": 1.0, "quality": 1.0, "rules": 2.0}
"""Weight of each principle; names as in the training judge, which this one shares nothing else with."""
MARKS = (0, 50, 100)


def is_verdict(data: Any) -> bool:
    """Return whether ``data``, read from JSON, has one of ``MARKS`` by each principle."""
    return isinstance(data, Mapping) and all(_is_mark(data.get(name)) for name in WEIGHTS)


def score(verdict: Mapping[str, Any]) -> float:
    """Return the weighted mean of a verdict's marks, 0 to 100."""
    return float(sum(weight * verdict[name] for name, weight in WEIGHTS.items()) / sum(WEIGHTS.values()))


def _is_mark(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value in MARKS
