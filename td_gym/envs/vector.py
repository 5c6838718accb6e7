"""The vector view: many conversations stepped together, customers asked as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from td_gym.envs.arguments import (
    RENDER_MODES,
    as_render_mode,
    as_row,
    as_scenario,
    as_seeds,
    as_texts,
    check_reset_options,
)
from td_gym.envs.base import SEEDS
from td_gym.envs.batch import ConversationBatch, Step
from td_gym.envs.served import Served
from td_gym.envs.spaces import action_space, observation_space
from td_gym.envs.transcript import render
from td_gym.errors import TdGymError, as_count, unknown
from td_gym.scenario import Scenario
from td_gym.seats import SeatPolicy

if TYPE_CHECKING:
    from td_gym.llm.models import Models

Array = npt.NDArray[Any]
_INT64 = 2**63


class DialogueVectorEnv(Served, VectorEnv[dict[str, Any], Sequence[str], Array]):
    """``num_envs`` conversations at once; equal, step by step, to as many ``DialogueEnv`` in a ``SyncVectorEnv``.

    ``autoreset_mode`` is ``NEXT_STEP`` (default), ``SAME_STEP`` (``final_obs`` and ``final_info`` in
    the infos) or ``DISABLED``, where ``reset(options={"reset_mask": mask})`` starts anew those
    conversations whose mask is true.  ``options={"scenario": ...}`` takes one row for all
    conversations or a sequence of rows.  The other arguments are those of ``DialogueEnv``.

    Infos are arrays as Gymnasium makes them, of the kind that the first conversation's value has: a ``None`` behind a
    truth value (``outcome["book"]`` of MultiWOZ where nothing was to be booked) reads ``False`` in them, and as
    it is in those of ``DialogueEnv``.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": list(RENDER_MODES), "render_fps": 1}  # type: ignore[misc]

    def __init__(
        self,
        scenario: str | Scenario,
        *,
        num_envs: int = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        split: str = "train",
        customer: str | SeatPolicy | None = None,
        models: Models | None = None,
        seat: str = "service",
        debug: bool = False,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.scenario = as_scenario(scenario, options, type(self))
        self.render_mode = as_render_mode(render_mode)
        self.num_envs = as_count("num_envs", num_envs)
        self.autoreset_mode = _as_mode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}  # type: ignore[misc]
        policies = self._others(self.scenario, seat, customer, models)
        self._batch = ConversationBatch(self.scenario, seat, num_envs, policies, split, debug)
        self.single_action_space = action_space(self.scenario)
        self.single_observation_space = observation_space(self.scenario)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._randoms: list[tuple[np.random.Generator, int] | None] = [None] * num_envs
        self._steps: list[Step] = []

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seeds of the conversations' generators, each by which it was last reset."""
        return tuple(seed for _, seed in self._generators())

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The conversations' generators, which draw the seeds of unseeded resets."""
        return tuple(random for random, _ in self._generators())

    def _generators(self) -> list[tuple[np.random.Generator, int]]:
        generators = [self._random(i, None) for i in range(self.num_envs)]
        self._randoms = [*generators]
        return generators

    def close_extras(self, **kwargs: Any) -> None:
        """Leave the servers that the environment opened."""
        self._leave_servers()

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start conversations and return what their seats read.

        ``seed=s`` gives conversation ``i`` the seed ``s + i``; a sequence gives each its own, and
        ``None`` continues from the conversation's own generator.  Raises ``TdGymError`` for a seed that is no
        non-negative whole number, and for bad options; the conversations go on as before then.
        """
        check_reset_options(options, ("scenario", "reset_mask"))
        options = dict(options or {})
        members = self._masked(options.pop("reset_mask", None))
        seeds = as_seeds(seed, self.num_envs)
        started = self._start(members, [seeds[i] for i in members], self._rows(options))
        if not self._steps:
            self._steps = started
        for i, step in zip(members, started, strict=True):
            self._steps[i] = step
        infos: dict[str, Any] = {}
        for i in members:
            infos = self._add_info(infos, self._steps[i].info, i)
        return self._observations(), infos

    def step(self, actions: Sequence[str]) -> tuple[dict[str, Any], Array, Array, Array, dict[str, Any]]:
        """Send one message to each conversation; those that autoreset in this step ignore theirs."""
        if not self._steps:
            raise TdGymError("The conversations have not begun; call reset() first.")
        texts = as_texts(actions, self.num_envs)
        over = [i for i, step in enumerate(self._steps) if step.terminated or step.truncated]
        if over and self.autoreset_mode is AutoresetMode.DISABLED:
            raise TdGymError(f"Conversation {over[0]} is over; reset it with options={{'reset_mask': mask}} first.")
        live = [i for i in range(self.num_envs) if i not in set(over)]
        for i, step in zip(live, self._batch.step(live, [texts[i] for i in live]), strict=True):
            self._steps[i] = step
        for i, step in zip(over, self._start(over, [None] * len(over), {}), strict=True):
            self._steps[i] = step
        rewards = np.array([step.reward for step in self._steps], dtype=np.float64)
        rewards[over] = 0.0
        terminated = np.array([step.terminated for step in self._steps], dtype=np.bool_)
        truncated = np.array([step.truncated for step in self._steps], dtype=np.bool_)
        infos = self._infos()
        return self._observations(), rewards, terminated, truncated, infos

    def _infos(self) -> dict[str, Any]:
        """Return the infos of a step; in mode SAME_STEP, restart what ended and keep its last step as final."""
        final: dict[int, Step] = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            final = {i: step for i, step in enumerate(self._steps) if step.terminated or step.truncated}
            for i, step in zip(final, self._start(list(final), [None] * len(final), {}), strict=True):
                self._steps[i] = step
        infos: dict[str, Any] = {}
        for i, step in enumerate(self._steps):
            if i in final:
                last = {"final_obs": final[i].observation, "final_info": final[i].info}
                infos = self._add_info(infos, last, i)
            infos = self._add_info(infos, step.info, i)
        return infos

    def _add_info(self, vector_infos: dict[str, Any], env_info: dict[str, Any], env_num: int) -> dict[str, Any]:
        seed = env_info.get("seed", 0)
        if seed >= _INT64 and vector_infos.get("seed", np.empty(0)).dtype != object:
            known = vector_infos.get("seed", np.zeros(self.num_envs, dtype=np.int64))
            vector_infos["seed"] = known.astype(object)
        return super()._add_info(vector_infos, env_info, env_num)

    def _start(self, members: Sequence[int], seeds: Sequence[int | None], rows: dict[int, int | None]) -> list[Step]:
        """Start conversations as ``DialogueEnv`` would: by the seed given, or by one that their generator draws."""
        randoms = [self._random(i, seed) for i, seed in zip(members, seeds, strict=True)]
        drawn = [
            int(random.integers(SEEDS)) if seed is None else seed
            for (random, _), seed in zip(randoms, seeds, strict=True)
        ]
        steps = self._batch.reset(members, drawn, [rows.get(i) for i in members])
        for i, random in zip(members, randoms, strict=True):
            self._randoms[i] = random
        return steps

    def _random(self, index: int, seed: int | None) -> tuple[np.random.Generator, int]:
        """Return generator and seed of a conversation: its own, or new ones where there is a seed, or none yet."""
        own = self._randoms[index]
        return seeding.np_random(seed) if seed is not None or own is None else own

    def _masked(self, mask: Any) -> list[int]:
        if mask is None:
            return list(range(self.num_envs))
        if not isinstance(mask, np.ndarray) or mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise TdGymError(f"options['reset_mask'] must be a boolean array of shape ({self.num_envs},).")
        members = [int(i) for i in np.flatnonzero(mask)]
        if not members:
            raise TdGymError("options['reset_mask'] selects no conversation.")
        if len(members) < self.num_envs and not self._steps:
            raise TdGymError("The first reset() must start all conversations; leave reset_mask out.")
        return members

    def _rows(self, options: dict[str, Any]) -> dict[int, int | None]:
        rows = options.get("scenario")
        if not isinstance(rows, (list, tuple, np.ndarray)) or np.ndim(rows) == 0:
            return dict.fromkeys(range(self.num_envs), as_row(options))
        if len(rows) != self.num_envs:
            raise TdGymError(f"options['scenario'] names {len(rows)} rows for {self.num_envs} conversations.")
        return {i: as_row({"scenario": row}) for i, row in enumerate(rows)}

    def _observations(self) -> dict[str, Any]:
        screens = np.stack([step.observation["observation"] for step in self._steps])
        return {"observation": screens, "text": tuple(step.observation["text"] for step in self._steps)}

    def render(self) -> tuple[str, ...] | None:
        """Return the transcripts in render mode ``ansi``, else nothing."""
        if self.render_mode != "ansi":
            return None
        if not self._steps:
            raise TdGymError("There is no conversation yet; call reset() first.")
        return tuple(render(self._batch.episodes[i]) for i in range(self.num_envs))


def _as_mode(mode: AutoresetMode | str) -> AutoresetMode:
    try:
        return AutoresetMode(mode)
    except ValueError:
        known = [known.value for known in AutoresetMode]
        raise unknown("autoreset mode", str(mode), known) from None
