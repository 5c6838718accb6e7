"""The Discrete view: the learner chooses strategies and template language says them."""

from __future__ import annotations

import operator
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Discrete, Space

from td_gym.envs.base import ConversationEnv
from td_gym.envs.batch import Step
from td_gym.envs.planning import BREACHES, mask, realise_choice
from td_gym.envs.spaces import wordless_space
from td_gym.errors import TdGymError


class StrategyEnv(ConversationEnv[np.int64]):
    """A conversation between a service agent and a customer, for agents without a language model.

    ## Description
    As in `DialogueEnv`, but the service agent chooses among named strategies (`scenario.strategies`), and
    template language says what was chosen (`scenario.realise`).

    ## Action Space
    `Discrete(n)`: the number of a strategy.  A choice that the scenario's procedure does not admit now is
    replaced by `scenario.fallback_strategy` and costs 1 `sop_breaches`.  Anything but a number in range
    raises `TdGymError`.

    ## Observation Space
    `Dict(observation=Box(0, 1, float32), action_mask=MultiBinary(n))`: the desk's screen as numbers
    (`scenario.feature_names`), and which strategies are admissible; `action_masks()` returns the mask as
    truth values, as sb3-contrib's MaskablePPO asks for it.  At least one strategy always is admissible.

    ## Starting State, Rewards, Costs, Episode End, Arguments
    As in `DialogueEnv` for the seat `service`; `info["costs"]` also has `sop_breaches`, which judges the choice.
    `info["strategy"]` is the strategy that the words were read as: another one, now and then, where there was nothing
    to tell or ask.

    ## Version History
    - v0: first version.
    """

    def _seats(self) -> tuple[str, ...]:
        return ("service",)

    def _spaces(self) -> tuple[Space[np.int64], Space[dict[str, Any]]]:
        return Discrete(len(self.scenario.strategies)), wordless_space(self.scenario)

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return which strategies are admissible now, shape ``(n,)``."""
        return mask(self.episode).astype(bool)

    def step(self, action: SupportsIndex) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Say the chosen strategy, or the fallback for an inadmissible one, and return what the desk sees next."""
        text, _, breach = realise_choice(self.episode, self._strategy(action))
        (step,) = self._batch.step((0,), (text,))
        observation, info = self._shown(step)
        info["costs"][BREACHES] += breach
        return observation, step.reward, step.terminated, step.truncated, info

    def _strategy(self, action: SupportsIndex) -> str:
        strategies = self.scenario.strategies
        try:
            number = operator.index(action)
        except TypeError:
            number = -1
        if isinstance(action, bool) or not 0 <= number < len(strategies):
            raise TdGymError(f"An action is the number of a strategy, 0 to {len(strategies) - 1}, not {action!r}.")
        return strategies[number]

    def _shown(self, step: Step) -> tuple[dict[str, Any], dict[str, Any]]:
        step.info["costs"][BREACHES] = 0.0
        return {"observation": step.observation["observation"], "action_mask": mask(self.episode)}, step.info
