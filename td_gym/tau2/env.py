"""The Gymnasium view of a tau2 domain: one task a conversation, from the service seat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict
from tau2.agent.llm_agent import LLMSoloAgent
from tau2.registry import registry

from td_gym.draws import choice
from td_gym.envs.arguments import as_row, check_reset_options
from td_gym.envs.base import SEEDS
from td_gym.envs.spaces import OpenText
from td_gym.envs.transcript import lines
from td_gym.episode import as_messages
from td_gym.errors import TdGymError, as_count, as_flag, as_seed, unknown
from td_gym.protocol import MAX_CHARS
from td_gym.tau2.actions import read
from td_gym.tau2.conversation import SOLO, Conversation
from td_gym.tau2.scoring import can_be_scored, do_nothing, score

SIMULATED = "user_simulator"
"""tau2's name for its language model in the customer's seat."""
COSTS = ("tool_calls", "tool_errors", "format")
_PRIVATELY_BUILT = "banking_knowledge"
_LONGEST_TEXT = 2**24
_SEAT = "service"


class Tau2Env(gymnasium.Env[dict[str, Any], str]):
    """A task of a tau2-bench domain, played from the service seat.

    ## Description
    tau2's ``Orchestrator`` runs the conversation, in the caller's thread: its customer, its tools, its scores.  tau2
    greets the customer in the seat's name; the learner answers from then on.

    ## Action Space
    `OpenText(4096)`, as in the other environments, with one difference: a call's arguments may be a JSON object,
    `<action>NAME {"key": [1, 2]}</action>`.  A message either speaks or calls one tool; words beside a call reach
    nobody.  An empty message is a format error, since tau2 has no silent turns.

    ## Observation Space
    `Dict(observation=Box(0, 1, (3,)), text=OpenText)`: the shares of the allowed steps and tool errors that are used
    up, and whether a tool has just answered; all that the seat may read.

    ## Starting State
    `reset(seed=s)` draws one of the split's tasks and seeds tau2's customer; `reset(options={"scenario": i})` picks the
    domain's task `i`, whatever the split.

    ## Rewards
    What tau2 pays, at the end: the product of the parts in the task's reward basis.  `info["outcome"]` holds the parts
    `db`, `environment`, `communicate`, `action` and `nl_assertions`, each `None` where it is not in the basis.  Without
    `judge=True` no language model judges: `nl_assertions` is `None`, the product is of the others, and
    `outcome["unjudged"]` names it.  Tasks with no other part are never drawn.

    ## Costs
    `tool_calls` (the budgeted one), `tool_errors`, `format`: increments, of the service seat.

    ## Episode End
    *Terminated*: the customer or the closing of the ticket ends it, a format error, too many tool errors.  *Truncated*:
    tau2's `max_steps`.  A model server that fails raises `ServerError`.

    ## Arguments
    - `domain`: a domain of tau2, as `retail`; not `banking_knowledge`, which tau2 sets up by private functions.
    - `split="train"`: of tau2's splits, as `train`, `test`, `base`; `None` for all tasks.
    - `user="user_simulator"`: tau2's name of the customer, or `dummy_user`: none, the agent answers a ticket.
    - `user_llm`, `user_llm_args`: the customer's model and its arguments, as tau2 (LiteLLM) names them.
    - `judge=False`: let tau2's language model judge what a task states in words.
    - `max_steps=200`, `max_errors=10`: tau2's limits.  `max_chars=4096`: of a message.

    ## Version History
    - v0: first version, over tau2-bench 1.0.1.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}  # type: ignore[misc]

    def __init__(
        self,
        domain: str,
        *,
        split: str | None = "train",
        user: str = SIMULATED,
        user_llm: str | None = None,
        user_llm_args: Mapping[str, Any] | None = None,
        judge: bool = False,
        max_steps: int = 200,
        max_errors: int = 10,
        max_chars: int = MAX_CHARS,
    ) -> None:
        self.domain = _as_domain(domain)
        self._user = _as_user(user, user_llm)
        self._model = user_llm, None if user_llm_args is None else dict(user_llm_args)
        self._judge = as_flag("judge", judge)
        self._limits = as_count("max_steps", max_steps), as_count("max_errors", max_errors)
        self._max_chars = as_count("max_chars", max_chars)
        self._tasks: list[Any] = registry.get_tasks_loader(domain)(None)
        self.rows = self._rows_of(split)
        """The tasks that are drawn from, as rows of the domain's list."""
        self._conversation: Conversation | None = None
        self.action_space = OpenText(self._max_chars)
        self.observation_space = Dict({"observation": Box(0.0, 1.0, (3,), np.float32), "text": OpenText(_LONGEST_TEXT)})

    def do_nothing(self, row: int) -> float:
        """Return what closing task ``row`` at once earns, without any model: a floor."""
        return do_nothing(self._task(row), self.domain, self._user == SOLO, self._judge).reward

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start a conversation and return what the seat reads when it is first asked.

        Raises ``TdGymError`` for a seed that is no non-negative whole number, an unknown option or a row that is no
        task, ``ServerError`` where the customer's model fails.
        """
        check_reset_options(options, ("scenario",))
        row = as_row(options)
        super().reset(seed=None if seed is None else as_seed(seed))
        drawn = int(self.np_random.integers(SEEDS)) if seed is None else as_seed(seed)
        row = choice(self.rows, drawn, self.domain, "task") if row is None else row
        task = self._task(row)
        self._seed, self._row, self._conversation = drawn, row, None
        it = self._conversation = Conversation(
            self.domain, task, self._user, *self._model, drawn % SEEDS, *self._limits
        )  # fmt: skip
        self._text, self._shown = it.briefing, 0
        return self._observe(it), self._info(it, dict.fromkeys(COSTS, 0.0))

    def step(self, action: str) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Send the seat's message and return what the seat reads when it is asked again.

        Raises ``TdGymError`` for what is no text and where no conversation is under way, ``ServerError`` where a model
        server fails; there is no conversation under way then.
        """
        if not isinstance(action, str):
            raise TdGymError(f"A message must be text (str), not {type(action).__name__}.")
        it, self._conversation = self._conversation, None
        if it is None:
            raise TdGymError("There is no conversation under way; call reset() before the next message.")
        before = it.calls, it.errors
        said = read(action, it.functions, self._max_chars)
        if said.error:
            it.break_off(action)
        else:
            it.say(action, said)
        costs = {"tool_calls": it.calls - before[0], "tool_errors": it.errors - before[1], "format": bool(said.error)}
        observation, info = self._observe(it), self._info(it, {name: float(cost) for name, cost in costs.items()})
        if not it.ended_by:
            self._conversation = it
            return observation, 0.0, False, False, info
        outcome = info["outcome"] = self._outcome(it, said.error)
        truncated = outcome["ended_by"] == "max_steps"
        return observation, outcome["reward"], not truncated, truncated, info

    def _outcome(self, it: Conversation, error: str) -> dict[str, Any]:
        scored = score(it.record(), it.task, self.domain, it.solo, self._judge)
        outcome = {
            "reward": scored.reward,
            "success": scored.reward > 1 - 1e-6,
            **scored.parts,
            "unjudged": scored.unjudged,
            "ended_by": "format_error" if error else it.ended_by,
            "turns": sum(turn.seat == _SEAT for turn in it.turns),
        }
        return {**outcome, "error": error} if error else outcome

    def _observe(self, it: Conversation) -> dict[str, Any]:
        for turn in it.turns[self._shown :]:
            self._text += lines(turn, _SEAT, self._max_chars)
        self._shown = len(it.turns)
        answered = bool(it.turns) and bool(it.turns[-1].tool_message)
        return {"observation": np.array([*it.progress, answered], dtype=np.float32), "text": self._text}

    def _info(self, it: Conversation, costs: dict[str, float]) -> dict[str, Any]:
        messages = [{"role": "system", "content": it.briefing}]
        for turn in it.turns:
            messages += as_messages(turn, _SEAT)
        return {
            "cost": costs[COSTS[0]], "costs": costs, "rewards": {}, "messages": messages, "strategy": "",
            "scenario": self._row, "seed": self._seed,
        }  # fmt: skip

    def _task(self, row: int) -> Any:
        """Return task ``row``; ``TdGymError`` where there is none, or it cannot be played so."""
        if not 0 <= row < len(self._tasks):
            raise TdGymError(f"{self.domain} has no task {row}; it has {len(self._tasks)}, from 0 on.")
        if obstacle := self._obstacle(self._tasks[row]):
            raise TdGymError(f"Task {row} of {self.domain} cannot be played: {obstacle}.")
        return self._tasks[row]

    def _obstacle(self, task: Any) -> str:
        """Return why a task cannot be played, empty where it can."""
        if not can_be_scored(task, self._judge):
            return "all of it is judged by a language model (pass judge=True)"
        if self._user == SOLO and not LLMSoloAgent.check_valid_task(task):
            return "it needs a customer (pass another user)"
        return ""

    def _rows_of(self, split: str | None) -> list[int]:
        """Return the rows of ``split`` that can be played; ``TdGymError`` where there is no such split or row."""
        ids = None if split is None else self._ids_of(split)
        rows = [row for row, task in enumerate(self._tasks) if ids is None or task.id in ids]
        playable = [row for row in rows if not self._obstacle(self._tasks[row])]
        if not playable:
            obstacles = sorted({self._obstacle(self._tasks[row]) for row in rows})
            raise TdGymError(f"{self.domain} has no task to play: {'; '.join(obstacles) or 'the split is empty'}.")
        return playable

    def _ids_of(self, split: str) -> frozenset[str]:
        loader = registry.get_task_splits_loader(self.domain)
        known: Mapping[str, list[str]] = loader() if loader else {}
        if not known:
            raise TdGymError(f"tau2's domain {self.domain!r} has no splits; pass split=None for all its tasks.")
        if split not in known:
            raise unknown(f"split of {self.domain}", split, known)
        return frozenset(known[split])


def _as_domain(domain: str) -> str:
    known = [name for name in registry.get_domains() if name != _PRIVATELY_BUILT]
    if domain == _PRIVATELY_BUILT:
        raise TdGymError(f"{domain} is set up by private functions of tau2; play one of {', '.join(sorted(known))}.")
    if domain not in known:
        raise unknown("domain of tau2", domain, known)
    return domain


def _as_user(user: str, user_llm: str | None) -> str:
    known = [
        name for name in registry.get_users() if hasattr(registry.get_user_constructor(name), "generate_next_message")
    ]
    if user not in known:
        raise unknown("user of tau2", user, known)
    if user == SIMULATED and not user_llm:
        raise TdGymError(f"The user {user!r} is a language model; name it with user_llm, or pass user={SOLO!r}.")
    return user
