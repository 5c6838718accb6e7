"""PID-Lagrangian: the multiplier of a cost budget as the output of a controller.

Stooke, Achiam & Abbeel 2020 (arXiv 2007.03964), in the update order of rlpyt and OmniSafe.  The
default gains are ours: they were chosen for a cost in [0, 1], runs of at most 100 updates and a
centred cost advantage.  The policy is an integrator with lag for this controller, so keep
``ki / kp`` near 0.05; the textbook's weaker ``kp`` cycles between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from td_gym.errors import TdGymError


@dataclass(frozen=True, slots=True)
class PIDConfig:
    """Gains of one controller."""

    kp: float = 4.0
    """Gain on the excess of the cost over its limit."""
    ki: float = 0.2
    """Gain on the accumulated excess, per update."""
    kd: float = 0.0
    """Gain on the rise of the smoothed cost over ``delay`` updates; a falling cost adds nothing."""
    initial: float = 1.0
    """Multiplier before the first update, and where the integral starts."""
    maximum: float = 5.0
    """The multiplier never exceeds this."""
    integral_maximum: float | None = None
    """Cap on the integral, against wind-up; none by default."""
    excess_smoothing: float = 0.0
    """Weight of the old value in the moving average of the excess; 0 is no smoothing."""
    cost_smoothing: float = 0.95
    """Weight of the old value in the moving average of the cost that the derivative reads."""
    delay: int = 10
    """Updates over which the derivative looks back."""

    def __post_init__(self) -> None:
        for name in ("kp", "ki", "kd", "initial", "maximum"):
            if not getattr(self, name) >= 0:
                raise TdGymError(f"{name} of a controller must not be negative, it is {getattr(self, name)}.")
        if self.integral_maximum is not None and not self.integral_maximum >= 0:
            raise TdGymError(f"integral_maximum must not be negative, it is {self.integral_maximum}.")
        for name in ("excess_smoothing", "cost_smoothing"):
            if not 0 <= getattr(self, name) <= 1:
                raise TdGymError(f"{name} must be between 0 and 1, it is {getattr(self, name)}.")
        if self.delay < 1:
            raise TdGymError(f"delay must be at least 1, it is {self.delay}.")


class PIDLagrangian:
    """The multiplier of one budget, updated once per batch, before the policy step."""

    def __init__(self, limit: float, config: PIDConfig | None = None) -> None:
        self.limit = limit
        self.config = config or PIDConfig()
        self.multiplier = self.config.initial
        self.integral = self.config.initial
        self.excess: float | None = None
        self.history: list[float] = []
        """Smoothed costs of the last ``delay`` updates, oldest first."""

    def update(self, cost: float) -> float:
        """Take the mean cost per dialogue ``J_c`` of the whole batch and return the new multiplier.

        ``delta = J_c - d``; ``I = max(0, I + ki*delta)``; ``P`` = moving average of ``delta``;
        ``D = max(0, E - E[delay ago])`` with ``E`` the moving average of ``J_c``; the multiplier is
        ``clip(kp*P + I + kd*D, 0, maximum)``.  Averages and history start at their first value.
        """
        c = self.config
        delta = cost - self.limit
        self.integral = max(0.0, self.integral + c.ki * delta)
        if c.integral_maximum is not None:
            self.integral = min(self.integral, c.integral_maximum)
        self.excess = _average(self.excess, delta, c.excess_smoothing)
        smoothed = _average(self.history[-1] if self.history else None, cost, c.cost_smoothing)
        rise = max(0.0, smoothed - (self.history[0] if self.history else smoothed))
        self.history = [*self.history, smoothed][-c.delay :]
        self.multiplier = min(max(c.kp * self.excess + self.integral + c.kd * rise, 0.0), c.maximum)
        return self.multiplier

    def state_dict(self) -> dict[str, Any]:
        """Return everything a resumed run needs, as plain JSON."""
        return {
            "multiplier": self.multiplier,
            "integral": self.integral,
            "excess": self.excess,
            "history": list(self.history),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state_dict`` returned."""
        self.multiplier = state["multiplier"]
        self.integral = state["integral"]
        self.excess = state["excess"]
        self.history = list(state["history"])


def _average(old: float | None, new: float, weight: float) -> float:
    return new if old is None else weight * old + (1.0 - weight) * new
