"""One customer at the visitors' desk: who comes, what for, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from personas.persona import Persona
from td_gym.draws import Stream
from td_gym.scenarios.multiwoz.goals import Goal
from td_gym.scenarios.multiwoz.schema import WEEK

_OPENS, _CLOSES = 8 * 60, 20 * 60


@dataclass(frozen=True, slots=True)
class Case:
    """A customer, its goal, and the day and time at which it comes."""

    persona: Persona
    goal: Goal
    day: str
    time: str

    def to_json(self) -> dict[str, Any]:
        """Return the case as plain data."""
        return {"persona": self.persona.to_json(), "goal": self.goal.to_json(), "day": self.day, "time": self.time}


def draw_case(seed: int, persona: Persona, goal: Goal) -> Case:
    """Return the case of conversation ``seed`` with this customer and goal."""
    draws = Stream(seed, "case")
    time = draws.integer(_OPENS, _CLOSES)
    return Case(persona, goal, draws.choice(WEEK), f"{time // 60:02d}:{time % 60:02d}")
