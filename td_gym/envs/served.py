"""What Gymnasium's views share where a seat may be a model on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gymnasium.envs.registration import EnvSpec

from td_gym.envs.arguments import other_seats
from td_gym.scenario import LLM, Scenario
from td_gym.seats import SeatPolicy

if TYPE_CHECKING:
    from td_gym.llm.models import Models


class Served:
    """A view that may ask model servers: those it is given, or its own, which it leaves when it is closed.

    Its ``spec`` says that it is not deterministic then.
    """

    _models: Models | None = None
    """Servers of its own."""
    _on_server = False
    _spec: EnvSpec | None = None

    def _others(
        self, scenario: Scenario, seat: str, customer: str | None, models: Models | None
    ) -> dict[str, SeatPolicy]:
        """Return who plays the seats other than ``seat``; see ``other_seats``."""
        self._on_server = customer is not None and customer.startswith(LLM)
        if self._on_server and models is None:
            from td_gym.llm.models import Models

            models = self._models = Models()
        return other_seats(scenario, seat, customer, models)

    def _leave_servers(self) -> None:
        if self._models is not None:
            self._models.close()

    @property
    def spec(self) -> EnvSpec | None:
        """How the environment was made, ``None`` where not by its id."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = spec
        if spec is not None and self._on_server:
            spec.nondeterministic = True
