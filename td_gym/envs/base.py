"""What the Gymnasium views of one conversation share: arguments, seeds, reset, rendering."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.core import ActType
from gymnasium.spaces import Space
from gymnasium.utils import seeding

from td_gym.envs.arguments import RENDER_MODES, as_render_mode, as_row, as_scenario, check_reset_options
from td_gym.envs.batch import ConversationBatch, Step
from td_gym.envs.served import Served
from td_gym.envs.transcript import render
from td_gym.episode import Episode
from td_gym.errors import TdGymError, as_seed, unknown
from td_gym.scenario import Scenario
from td_gym.seats import SeatPolicy

if TYPE_CHECKING:
    from td_gym.llm.models import Models

SEEDS = 2**31
"""Unseeded resets draw their conversation's seed below this."""


class ConversationEnv(Served, gymnasium.Env[dict[str, Any], ActType], ABC):
    """One conversation seen from one seat, the other seats simulated.

    A subclass says what an action is: by ``_spaces`` and ``step``, and by ``_seats`` who may take it.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": list(RENDER_MODES), "render_fps": 1}  # type: ignore[misc]

    def __init__(
        self,
        scenario: str | Scenario,
        *,
        split: str = "train",
        customer: str | SeatPolicy | None = None,
        models: Models | None = None,
        seat: str = "service",
        debug: bool = False,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        self._generator: np.random.Generator | None = None
        self.scenario = as_scenario(scenario, options, type(self))
        self.render_mode = as_render_mode(render_mode)
        if seat not in self._seats():
            raise unknown("seat", seat, self._seats())
        policies = self._others(self.scenario, seat, customer, models)
        self._batch = ConversationBatch(self.scenario, seat, 1, policies, split, debug)
        self.action_space, self.observation_space = self._spaces()

    def close(self) -> None:
        """Leave the servers that the environment opened."""
        self._leave_servers()

    def _seats(self) -> tuple[str, ...]:
        """Return the seats that the learner may have."""
        return self.scenario.seats

    @abstractmethod
    def _spaces(self) -> tuple[Space[ActType], Space[dict[str, Any]]]:
        """Return the spaces of actions and of observations."""

    @property
    def _np_random(self) -> np.random.Generator | None:
        """Gymnasium's generator, made when first asked for: a seeded reset has no use for it."""
        if self._generator is None and self._np_random_seed is not None:
            self._generator, _ = seeding.np_random(self._np_random_seed)
        return self._generator

    @_np_random.setter
    def _np_random(self, generator: np.random.Generator | None) -> None:
        self._generator = generator

    @property
    def episode(self) -> Episode:
        """The running conversation, for privileged agents and recorders."""
        if not self._batch.episodes:
            raise TdGymError("There is no conversation yet; call reset() first.")
        return self._batch.episodes[0]

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start a conversation and return what the seat reads when it is first asked.

        Raises ``TdGymError`` for a seed that is no non-negative whole number, an unknown option, and a row that is not
        there; the conversation goes on as before then.
        """
        check_reset_options(options, ("scenario",))
        row = as_row(options)
        drawn = int(self.np_random.integers(SEEDS)) if seed is None else as_seed(seed)
        (step,) = self._batch.reset((0,), (drawn,), (row,))
        if seed is not None:
            self._generator, self._np_random_seed = None, drawn
        return self._shown(step)

    def _shown(self, step: Step) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return observation and info of a step."""
        return step.observation, step.info

    def render(self) -> str | None:
        """Return the transcript in render mode ``ansi``, else nothing."""
        return render(self.episode) if self.render_mode == "ansi" else None
