"""The PettingZoo view: every seat is an agent, and the customer speaks first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gymnasium.utils import seeding
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import turn_based_aec_to_parallel
from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from td_gym.envs.arguments import RENDER_MODES, as_render_mode, as_row, as_scenario
from td_gym.envs.base import SEEDS
from td_gym.envs.batch import Ledger, Step
from td_gym.envs.planning import BREACHES, EXPERT, Plan
from td_gym.envs.spaces import Names, action_space, expert_space, observation_space
from td_gym.envs.transcript import render
from td_gym.episode import Episode
from td_gym.errors import TdGymError, as_flag, as_seed, unknown
from td_gym.scenario import SPLITS, Scenario
from td_gym.turns import TurnResult


def env(scenario: str | Scenario, **options: Any) -> AECEnv:
    """Return the AEC environment of a scenario; the arguments are those of ``raw_env``."""
    return OrderEnforcingWrapper(raw_env(scenario, **options))


def parallel_env(scenario: str | Scenario, **options: Any) -> ParallelEnv:
    """Return the parallel environment: a step takes every seat's message and sends the selected seat's.

    The customer's comes first; after a step ``infos[seat]["active_agent"]`` names the seat whose message the next one
    sends.  Costs and turn terms are those of this step's message alone.
    """
    return turn_based_aec_to_parallel(OrderEnforcingWrapper(raw_env(scenario, per_message=True, **options)))


def _seat_of(agent: str) -> str:
    """Return the seat whose view and rewards an agent has: the expert has those of the service seat."""
    return "service" if agent == EXPERT else agent


def _show_plan(plan: Plan, steps: Mapping[str, Step]) -> None:
    """Let service seat and expert read their notes, and show the expert what is admissible."""
    for step in steps.values():
        step.info["costs"].setdefault(BREACHES, 0.0)
    for agent in (EXPERT, "service"):
        step = steps[agent]
        step.observation["text"] = plan.read(agent, step.observation["text"])
        step.info["messages"] = plan.messages(agent)
    steps[EXPERT].observation["action_mask"] = plan.mask()


class raw_env(AECEnv):
    """A conversation in which every seat is played from outside.

    Agents are the scenario's seats, the customer first.  An action is the seat's message as text;
    the customer ends the conversation by closing one with ``[end:X]`` or ``[hangup:X]``, X from 1 to
    5.  Observations are those of ``DialogueEnv``.  ``rewards`` are the session rewards paid by the
    last message.  ``infos[seat]`` has the keys of ``DialogueEnv``; costs count since the seat's own
    last message, or with ``per_message`` those of the last message alone.  ``split``, ``debug``,
    ``render_mode`` and the scenario's options are as in ``DialogueEnv``.

    With ``expert=True`` there is a third agent, ``expert``, which is asked before every service message and shares
    the service seat's rewards.  Its action is the name of a strategy; what the procedure does not admit, or is no
    strategy, is replaced by the fallback strategy and costs ``sop_breaches``.  The strategy in force stands at the
    end of the service seat's briefing; the customer does not hear of it.  The expert sees what the service seat sees
    but its ``<think>`` parts, and ``action_mask``: which of ``scenario.strategies`` are admissible.
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
        expert: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        self.scenario = as_scenario(scenario, options, type(self))
        self.render_mode = as_render_mode(render_mode)
        self.metadata = {**self.metadata, "name": f"{self.scenario.name}_v0"}  # type: ignore[misc]
        self._expert = as_flag("expert", expert)
        seats = sorted(self.scenario.seats, key=lambda seat: seat != "customer")
        self.possible_agents = ["customer", EXPERT, *seats[1:]] if expert else seats
        self._split = split
        self._debug = as_flag("debug", debug)
        self._per_message = per_message
        self._action_spaces: dict[str, Any] = {seat: action_space(self.scenario) for seat in seats}
        self._observation_spaces = {seat: observation_space(self.scenario) for seat in seats}
        if expert:
            self._action_spaces[EXPERT] = Names(self.scenario.strategies)
            self._observation_spaces[EXPERT] = expert_space(self.scenario)
        self._random, _ = seeding.np_random()
        self._episode: Episode | None = None
        self._plan: Plan | None = None

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
        """Start a conversation; the customer is selected.

        Seeds and the option ``scenario`` are as in ``DialogueEnv``.  Other options are passed over, as PettingZoo's
        tests want it.
        """
        row = as_row(options)
        drawn = int(self._random.integers(SEEDS)) if seed is None else as_seed(seed)
        self._episode = episode = self.scenario.begin(drawn, self._split, row)
        if seed is not None:
            self._random, _ = seeding.np_random(drawn)
        self._plan = Plan(episode) if self._expert else None
        self.agents = list(self.possible_agents)
        self._ledgers = {agent: Ledger(episode, _seat_of(agent), notes=agent != EXPERT) for agent in self.agents}
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
        episode, plan = self.episode, self._plan
        for counted in self._ledgers if self._per_message else (seat,):
            self._ledgers[counted].open()
        if plan is not None and seat == EXPERT:
            result = TurnResult(EXPERT, costs={BREACHES: float(plan.choose(action))})
        else:
            result = episode.submit(seat, action)
        for agent, ledger in self._ledgers.items():
            ledger.add(result, _seat_of(agent))
        self._cumulative_rewards[seat] = 0.0
        self.rewards = {agent: float(result.rewards.get(_seat_of(agent), 0.0)) for agent in self.agents}
        self._accumulate_rewards()
        self.agent_selection = episode.next_seat if plan is None else plan.next_seat
        self._show()
        if episode.outcome is not None:
            self._deads_step_first()

    def _show(self) -> None:
        """Let every seat read what there is to read."""
        steps = {
            agent: ledger.step(self.episode, _seat_of(agent), self._debug) for agent, ledger in self._ledgers.items()
        }
        if self._plan is not None:
            _show_plan(self._plan, steps)
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
