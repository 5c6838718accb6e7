"""The environments as an OpenEnv server: conversations over a WebSocket, for trainers elsewhere.

An action is a message of the learner's seat.  An observation holds what the seat may read; its ``metadata`` is the
``info`` of Gymnasium's view, which is for the trainer and not for the model.  Needs the extra ``openenv``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium

from td_gym.envs.spaces import OpenText
from td_gym.errors import TdGymError, as_count, installed_extras
from td_gym.llm.client import as_unicode

with installed_extras():
    from openenv.core.env_server import Action, Environment, Observation, State, create_app
    from pydantic import Field


class MessageAction(Action):
    """A message of the learner's seat, as ``DialogueEnv`` takes it."""

    text: str = Field(description="The message, with its optional parts <think>, <response> and <action>.")


class DialogueObservation(Observation):
    """What the seat reads when it is asked again; ``reward``, ``done`` and ``metadata`` are the base class's."""

    messages: list[dict[str, str]] = Field(
        description="The conversation as chat messages, the seat's own as assistant."
    )
    screen: list[float] = Field(description="The seat's screen as numbers between 0 and 1.")
    truncated: bool = Field(default=False, description="Whether the conversation ended at the turn limit.")


class DialogueEnvironment(Environment):
    """One conversation at a time in the environment ``env``; ``options`` are arguments of ``gymnasium.make``.

    Raises ``TdGymError`` for an unknown environment and for options it does not take.
    """

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, env: str, **options: Any) -> None:
        super().__init__()
        try:
            self._env = gymnasium.make(env, **options)
        except gymnasium.error.Error as error:
            raise TdGymError(f"There is no environment {env!r}: {error}") from error
        if not isinstance(self._env.action_space, OpenText):
            raise TdGymError(f"An action of {env!r} is no message; serve the environment of the scenario itself.")
        self._state = State()

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, scenario: int | None = None
    ) -> DialogueObservation:
        """Start a conversation; ``scenario`` picks a row of the scenario file, as ``options`` does in Gymnasium."""
        options = None if scenario is None else {"scenario": scenario}
        observation, info = self._env.reset(seed=seed, options=options)
        self._state = State(episode_id=episode_id)
        return _observed(observation, info)

    def step(self, action: MessageAction, timeout_s: float | None = None) -> DialogueObservation:
        """Send the seat's message; ``timeout_s`` is for environments that wait, and this one does not."""
        observation, reward, terminated, truncated, info = self._env.step(as_unicode(action.text))
        self._state.step_count += 1
        return _observed(observation, info, float(reward), terminated or truncated, truncated)

    @property
    def state(self) -> State:
        """The name that the client gave the episode, and how many messages the seat has sent."""
        return self._state

    def close(self) -> None:
        """Leave the servers that the environment opened."""
        self._env.close()


def _observed(
    observation: Any, info: dict[str, Any], reward: float | None = None, done: bool = False, truncated: bool = False
) -> DialogueObservation:
    return DialogueObservation(
        messages=info["messages"],
        screen=observation["observation"].tolist(),
        truncated=truncated,
        reward=reward,
        done=done,
        metadata={name: value for name, value in info.items() if name != "messages"},
    )


def make_app(env: str, *, sessions: int = 64, **options: Any) -> Any:
    """Return an ASGI application that serves ``env`` to as many clients as ``sessions`` at a time.

    Every client has a conversation of its own.  Raises ``TdGymError`` for an unknown environment, for options it does
    not take, and where ``sessions`` is no positive whole number.
    """
    as_count("sessions", sessions)
    if "models" in options:
        raise TdGymError("Every session opens servers of its own; name the customer and leave models out.")
    DialogueEnvironment(env, **options).close()  # what is wrong is said now, not to the first client
    return create_app(
        partial(DialogueEnvironment, env, **options),
        MessageAction,
        DialogueObservation,
        env_name=env.rpartition("/")[2],
        max_concurrent_envs=sessions,
    )
