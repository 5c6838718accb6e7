"""What Gymnasium's views share where a seat may be a model on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gymnasium.envs.registration import EnvSpec

from td_gym.envs.arguments import other_seats
from td_gym.scenario import LLM, Scenario
from td_gym.seats import SeatPolicy

if TYPE_CHECKING:
    from td_gym.llm.models import Models


class _Share:
    """A share in servers, which are closed when the last of its copies is left."""

    def __init__(self, models: Models, holders: set[_Share] | None = None) -> None:
        self._models = models
        self._holders = set() if holders is None else holders
        self._holders.add(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Share:
        """Return a share of the copy's own."""
        return _Share(self._models, self._holders)

    def leave(self) -> None:
        """Give the share up; doing so again changes nothing."""
        self._holders.discard(self)
        if not self._holders:
            self._models.close()


class Served:
    """A view that may ask model servers: those it is given, or its own, which it leaves when it is closed.

    Its ``spec`` says that it is not deterministic then.
    """

    _share: _Share | None = None
    """In servers of its own."""
    _on_server = False
    _spec: EnvSpec | None = None

    def _others(
        self, scenario: Scenario, seat: str, customer: str | SeatPolicy | None, models: Models | None
    ) -> dict[str, SeatPolicy]:
        """Return who plays the seats other than ``seat``; see ``other_seats``."""
        self._on_server = isinstance(customer, str) and customer.startswith(LLM)
        if self._on_server and models is None:
            from td_gym.llm.models import Models

            models = Models()
            self._share = _Share(models)
        return other_seats(scenario, seat, customer, models)

    def _leave_servers(self) -> None:
        if self._share is not None:
            self._share.leave()

    @property
    def spec(self) -> EnvSpec | None:
        """How the environment was made, ``None`` where not by its id."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = spec
        if spec is not None and self._on_server:
            spec.nondeterministic = True
