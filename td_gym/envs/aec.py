"""The PettingZoo view: every seat is an agent, and the customer speaks first."""

from __future__ import annotations

from typing import Any, ClassVar

from gymnasium.utils import seeding
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import turn_based_aec_to_parallel
from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from td_gym.envs.arguments import RENDER_MODES, as_render_mode, as_row, as_scenario
from td_gym.envs.base import SEEDS
from td_gym.envs.batch import Ledger
from td_gym.envs.spaces import action_space, observation_space
from td_gym.envs.transcript import render
from td_gym.errors import TdGymError, as_flag, unknown
from td_gym.scenario import SPLITS, Episode, Scenario


def env(scenario: str | Scenario, **options: Any) -> AECEnv:
    """Return the AEC environment of a scenario; the arguments are those of ``raw_env``."""
    return OrderEnforcingWrapper(raw_env(scenario, **options))


def parallel_env(scenario: str | Scenario, **options: Any) -> ParallelEnv:
    """Return the parallel environment: a step takes every seat's message and sends the selected seat's.

    ``infos[seat]["active_agent"]`` names the seat whose message the next step sends.  Costs and
    turn terms are those of this step's message alone.
    """
    return turn_based_aec_to_parallel(OrderEnforcingWrapper(raw_env(scenario, per_message=True, **options)))


class raw_env(AECEnv):
    """A conversation in which every seat is played from outside.

    Agents are the scenario's seats, the customer first.  An action is the seat's message as text;
    the customer ends the conversation by closing one with ``[end:X]`` or ``[hangup:X]``, X from 1 to
    5.  Observations are those of ``DialogueEnv``.  ``rewards`` are the session rewards paid by the
    last message.  ``infos[seat]`` has the keys of ``DialogueEnv``; costs count since the seat's own
    last message, or with ``per_message`` those of the last message alone.  ``split``, ``debug``,
    ``render_mode`` and the scenario's options are as in ``DialogueEnv``.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "render_modes": list(RENDER_MODES),
        "render_fps": 1,
        "is_parallelizable": False,  # only turn by turn: the customer must not answer before it has read
    }

    def __init__(
        self,
        scenario: str | Scenario,
        *,
        split: str = "train",
        debug: bool = False,
        render_mode: str | None = None,
        per_message: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        self.scenario = as_scenario(scenario, options, type(self))
        self.render_mode = as_render_mode(render_mode)
        self.metadata = {**self.metadata, "name": f"{self.scenario.name}_v0"}  # type: ignore[misc]
        self.possible_agents = sorted(self.scenario.seats, key=lambda seat: seat != "customer")
        self._split = split
        self._debug = as_flag("debug", debug)
        self._per_message = per_message
        self._action_spaces = {seat: action_space(self.scenario) for seat in self.possible_agents}
        self._observation_spaces = {seat: observation_space(self.scenario) for seat in self.possible_agents}
        self._random, _ = seeding.np_random()
        self._episode: Episode | None = None

    def observation_space(self, agent: str) -> Any:
        """Return the observation space of a seat, the same object every time."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        """Return the action space of a seat, the same object every time."""
        return self._action_spaces[agent]

    @property
    def episode(self) -> Episode:
        """The running conversation, for privileged agents and recorders."""
        if self._episode is None:
            raise TdGymError("There is no conversation yet; call reset() first.")
        return self._episode

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Start a conversation; the customer is selected.  Seeds and ``options`` are as in ``DialogueEnv``."""
        if seed is not None:
            self._random, _ = seeding.np_random(seed)
        drawn = int(self._random.integers(SEEDS)) if seed is None else int(seed)
        self._episode = episode = self.scenario.begin(drawn, self._split, as_row(options))
        self.agents = list(self.possible_agents)
        self._ledgers = {seat: Ledger(episode, seat) for seat in self.agents}
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self._skip_agent_selection = None
        self.agent_selection = episode.next_seat
        self._show()

    def step(self, action: str | None) -> None:
        """Send the selected seat's message; a seat whose conversation is over takes ``None``."""
        seat = self.agent_selection
        if self.terminations[seat] or self.truncations[seat]:
            self._was_dead_step(action)
            return
        if not isinstance(action, str):
            raise TdGymError(f"A message must be text (str), not {type(action).__name__}.")
        episode = self.episode
        for counted in self._ledgers if self._per_message else (seat,):
            self._ledgers[counted].open()
        result = episode.submit(seat, action)
        for counted, ledger in self._ledgers.items():
            ledger.add(result, counted)
        self._cumulative_rewards[seat] = 0.0
        self.rewards = {agent: float(result.rewards.get(agent, 0.0)) for agent in self.agents}
        self._accumulate_rewards()
        self.agent_selection = episode.next_seat
        self._show()
        if episode.outcome is not None:
            self._deads_step_first()

    def _show(self) -> None:
        """Let every seat read what there is to read."""
        steps = {seat: ledger.step(self.episode, seat, self._debug) for seat, ledger in self._ledgers.items()}
        self._observations = {seat: step.observation for seat, step in steps.items()}
        self.infos = {seat: step.info for seat, step in steps.items()}
        self.terminations = {seat: step.terminated for seat, step in steps.items()}
        self.truncations = {seat: step.truncated for seat, step in steps.items()}

    def observe(self, agent: str) -> dict[str, Any]:
        """Return what a seat reads now, fresh at every call."""
        return {
            key: value if isinstance(value, str) else value.copy() for key, value in self._observations[agent].items()
        }

    def render(self) -> str | None:
        """Return the transcript in render mode ``ansi``, else nothing."""
        return render(self.episode) if self.render_mode == "ansi" else None

    def close(self) -> None:
        """Nothing is held open."""
