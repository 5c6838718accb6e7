"""What Gymnasium's views say of how they were made."""

from __future__ import annotations

from gymnasium.envs.registration import EnvSpec

from td_gym.envs.batch import ConversationBatch
from td_gym.seats import SlowPolicy


class Specified:
    """A view whose ``spec`` says that it is not deterministic where a seat on a server takes part."""

    _batch: ConversationBatch
    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """How the environment was made, ``None`` where not by its id."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = spec
        if spec is not None and any(isinstance(policy, SlowPolicy) for policy in self._batch.policies.values()):
            spec.nondeterministic = True
