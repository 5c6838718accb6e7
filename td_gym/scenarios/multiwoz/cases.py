"""One customer at the visitors' desk: who comes, what for, and when; and the city it all happens in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from personas.persona import Persona
from td_gym.draws import Stream
from td_gym.errors import TdGymError
from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.files import goal_splits, load_database, load_goals
from td_gym.scenarios.multiwoz.goals import Goal, asked_values, draw_goal
from td_gym.scenarios.multiwoz.schema import WEEK, clock
from td_gym.scenarios.multiwoz.synthetic import synthetic_database

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
    return Case(persona, goal, draws.choice(WEEK), clock(time))


@dataclass(frozen=True)
class City:
    """A database, and the published goals of each split that has any."""

    database: Database
    goals: Mapping[str, Sequence[Goal]] = field(default_factory=dict)
    folder: str = ""
    """Where both come from, empty for an invented city."""

    def goal(self, seed: int, split: str, row: int | None) -> tuple[Goal, int | None]:
        """Return the goal of conversation ``seed`` in ``split`` and its number, ``None`` for one that is made up.

        It is published goal number ``row`` of the split, or one drawn where there are some.  Otherwise goals are made
        up: always in an invented city and with a folder that has no goals at all, and for ``train`` with one that lacks
        its goals alone.  Raises ``TdGymError`` for any other split without goals, and for a row that is not there.
        """
        known = self.goals.get(split, ())
        if row is None and known:
            row = Stream(seed, f"goal/{split}").choice(range(len(known)))
        if row is not None:
            if not known:
                raise TdGymError(
                    f"There is no goal {row} of {split}, since no published goals of it are there; leave the row out, "
                    "or pass the folder that holds them as data_dir."
                )
            if not 0 <= row < len(known):
                raise TdGymError(f"There is no goal {row} of {split}; {self.folder!r} holds 0 to {len(known) - 1}.")
            return known[row], row
        if self.goals and split != "train":
            raise TdGymError(f"{self.folder!r} holds no goals of {split}; known: {', '.join(self.goals)}.")
        return draw_goal(seed, split, self.database), None


@lru_cache(maxsize=4)
def load_city(data_dir: str | Path | None) -> City:
    """Return the city of MultiWOZ's data in ``data_dir``, an invented one for None; ``TdGymError`` names what is wrong.

    Values that the goals name may be asked for though the database has none of them.  Where only the dialogues of 2.2
    are there, which have no goals, goals are made up.
    """
    if data_dir is None:
        return City(synthetic_database())
    folder = Path(data_dir)
    goals = {split: tuple(load_goals(folder, split).values()) for split in goal_splits(folder)}
    return City(load_database(folder, asked_values(chain(*goals.values()))), goals, str(data_dir))
