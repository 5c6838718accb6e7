"""The Gymnasium view: one seat is the learner, the others are simulated."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.utils import seeding

from td_gym.envs.arguments import RENDER_MODES, as_render_mode, as_row, as_scenario, check_reset_options, other_seats
from td_gym.envs.batch import ConversationBatch
from td_gym.envs.spaces import action_space, observation_space
from td_gym.envs.transcript import render
from td_gym.errors import TdGymError
from td_gym.scenario import Episode, Scenario

SEEDS = 2**31
"""Unseeded resets draw their conversation's seed below this."""


class DialogueEnv(gymnasium.Env[dict[str, Any], str]):
    """A conversation between a service agent and a customer, from one seat.

    ## Description
    A simulated customer opens the conversation; the learner answers, message by message, until the
    matter is closed.  Which matter, which tools and which rules: the scenario's, and the seat's
    briefing tells them.

    ## Action Space
    `OpenText(4096)`: the seat's next message.  Optional parts, in any order:
    `<think>...</think>` (shown to no one), `<response>...</response>` (the words),
    `<action>NAME key=value ...</action>` (a tool call; `chat` means none).  Text without these three
    tags is a response.  No text raises; anything that is not a `str` raises `TdGymError`.

    A *format error* ends the conversation and costs `format`; `info["outcome"]["error"]` says what was
    wrong: a tag that is not closed, an unknown action, an argument the action does not have, or a text
    over `max_chars`.  A *wrong value* of an argument the action has does not end it: the tool answers
    with an error message, which the seat reads in `<tool_result>`, and the conversation goes on.

    ## Observation Space
    `Dict(observation=Box(0, 1, float32), text=OpenText)`: the seat's screen as numbers
    (`scenario.feature_names`), and all that the seat may read.  `info["messages"]` holds the same as
    chat messages.

    ## Starting State
    `reset(seed=s)` fixes persona, case and wording; any non-negative seed is valid, in every split.
    `reset(options={"scenario": i})` picks row `i` of the scenario file, always.  A reset without a
    seed draws the next one from `np_random`.

    ## Rewards
    The seat's session reward, paid when it is known (`scenario.reward_ranges`).
    `info["rewards"]` holds the named turn terms of the learner's message.

    ## Costs
    `info["cost"]` is this step's increment of the budgeted cost, `info["costs"]` the increments of
    all named costs.  `td_gym.envs.wrappers.SafetyStep` returns the cost as sixth value of `step`.

    ## Episode End
    *Terminated*: the customer is done or hung up, the conversation was handed over, or a message was
    malformed.  *Truncated*: `max_turns` service turns.  The last `info` holds `outcome`.

    ## Arguments
    - `population`: whom one meets (`scenario.populations`).
    - `split="train"`: `train`, `validation` or `test` customers.
    - `customer="scripted"`: name of the simulated customer (`scenario.customers`).
    - `seat="service"`: the learner's seat; with `customer`, the reference agent serves.
    - `scenarios`: a file of cases in place of the synthetic ones.
    - `max_turns`, `max_chars`: limits on service turns and on a message's length.
    - `debug=False`: add the hidden case to `info["debug"]`.
    - `render_mode`: `ansi` (the transcript as text) or `None`.
    - All others are options of the scenario, for FoodDispute `transfer` and `disclosure`.

    ## Version History
    - v0: first version.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": list(RENDER_MODES), "render_fps": 1}  # type: ignore[misc]

    def __init__(
        self,
        scenario: str | Scenario,
        *,
        split: str = "train",
        customer: str | None = None,
        seat: str = "service",
        debug: bool = False,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        self._generator: np.random.Generator | None = None
        self.scenario = as_scenario(scenario, options, type(self))
        self.render_mode = as_render_mode(render_mode)
        policies = other_seats(self.scenario, seat, customer)
        self._batch = ConversationBatch(self.scenario, seat, 1, policies, split, debug)
        self.action_space = action_space(self.scenario)
        self.observation_space = observation_space(self.scenario)

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
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start a conversation and return what the seat reads when it is first asked."""
        check_reset_options(options, ("scenario",))
        if seed is not None:
            self._generator, self._np_random_seed = None, int(seed)
        drawn = int(self.np_random.integers(SEEDS)) if seed is None else int(seed)
        (step,) = self._batch.reset((0,), (drawn,), (as_row(options),))
        return step.observation, step.info

    def step(self, action: str) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Send the seat's message and return what the seat reads when it is asked again."""
        (step,) = self._batch.step((0,), (action,))
        return step.observation, step.reward, step.terminated, step.truncated, step.info

    def render(self) -> str | None:
        """Return the transcript in render mode ``ansi``, else nothing."""
        return render(self.episode) if self.render_mode == "ansi" else None
