"""Wrappers of the Gymnasium view."""

from __future__ import annotations

from typing import Any

import gymnasium


class SafetyStep(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Return safety-gymnasium's six values from ``step``: the budgeted cost comes after the reward."""

    def step(self, action: Any) -> tuple[Any, float, float, bool, bool, dict[str, Any]]:  # type: ignore[override]
        """Return observation, reward, cost, terminated, truncated, info."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, float(reward), float(info["cost"]), terminated, truncated, info
