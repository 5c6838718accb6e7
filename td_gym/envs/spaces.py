"""The space of free text, and the spaces of a seat."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from gymnasium.error import CustomSpaceError
from gymnasium.spaces import Box, Dict, MultiBinary, Text
from gymnasium.vector.utils import create_shared_memory

from td_gym.episode import MAX_ASIDES
from td_gym.scenario import Scenario

_SAMPLED = string.ascii_letters + string.digits + " .,!?'-<>=/[]:"
_LONGEST_SAMPLE = 4096
_LONGEST_BRIEFING = 65_536
_LONGEST_ANSWER = 4096
"""Characters of a tool's answer beside the values it was called with."""


class OpenText(Text):
    """Any string of at most ``max_length`` characters, in any script.

    Unlike ``Text``, membership asks for type and length only; the character set serves ``sample``, which draws texts of
    no more than 4,096 characters.
    """

    def __init__(self, max_length: int, *, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(max_length, min_length=0, charset=_SAMPLED, seed=seed)

    def contains(self, x: Any) -> bool:
        """Return whether ``x`` is a string that is short enough."""
        return isinstance(x, str) and len(x) <= self.max_length

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Return a text at random; the arguments are those of ``Text``."""
        if mask is None and probability is None:
            mask = int(self.np_random.integers(min(self.max_length, _LONGEST_SAMPLE) + 1)), None
        return str(super().sample(mask, probability))

    @property
    def is_np_flattenable(self) -> bool:
        """Open text has no code of fixed size."""
        return False

    def __repr__(self) -> str:
        return f"OpenText({self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OpenText) and self.max_length == other.max_length


class Names(OpenText):
    """One of some names, as text."""

    def __init__(self, names: Sequence[str], *, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(max(map(len, names)), seed=seed)
        self.names = tuple(names)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Return a name at random; with ``mask``, one of those whose entry in it is not 0."""
        allowed = self.names if mask is None else [name for name, use in zip(self.names, mask, strict=True) if use]
        return allowed[int(self.np_random.integers(len(allowed)))]

    def contains(self, x: Any) -> bool:
        """Return whether ``x`` is one of the names."""
        return isinstance(x, str) and x in self.names

    def __repr__(self) -> str:
        return f"Names({', '.join(self.names)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Names) and self.names == other.names


@create_shared_memory.register(OpenText)
def _refuse_shared_memory(space: OpenText, n: int = 1, ctx: Any = None) -> NoReturn:
    raise CustomSpaceError(
        "Open text has no fixed size, so it cannot live in shared memory; use gymnasium.make_vec(id, num_envs=2) "
        'without a vectorization_mode, or gymnasium.make_vec(id, num_envs=2, vectorization_mode="async", '
        'vector_kwargs={"shared_memory": False}), or AsyncVectorEnv(..., shared_memory=False).'
    )


def action_space(scenario: Scenario) -> OpenText:
    """Return the space of a seat's messages."""
    return OpenText(scenario.max_chars)


def observation_space(scenario: Scenario) -> Dict:
    """Return ``Dict(observation=Box, text=OpenText)``: the screen in [0, 1], and all the seat may read."""
    longest_message = 3 * scenario.max_chars + 64  # line breaks are indented, see td_gym.envs.transcript
    longest_answer = 10 * scenario.max_chars + _LONGEST_ANSWER  # a value may be told back with its characters escaped
    asides = MAX_ASIDES if any(tool.looks_up for tool in scenario.tools.values()) else 0
    longest_turn = (asides + 1) * (longest_message + longest_answer) + longest_message
    features = Box(0.0, 1.0, (len(scenario.feature_names),), np.float32)
    text = OpenText(_LONGEST_BRIEFING + (scenario.max_turns + 1) * longest_turn)
    return Dict({"observation": features, "text": text})


def expert_space(scenario: Scenario) -> Dict:
    """Return the space of what an expert sees: that of the service seat, and ``action_mask`` over the strategies."""
    return Dict({**observation_space(scenario).spaces, "action_mask": MultiBinary(len(scenario.strategies))})


def wordless_space(scenario: Scenario) -> Dict:
    """Return the space of what an expert sees that does not read: ``expert_space`` without ``text``."""
    return Dict({name: space for name, space in expert_space(scenario).items() if name != "text"})
