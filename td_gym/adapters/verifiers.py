"""The environments as a taskset of verifiers v1: one task a seed, the simulated customer in the place of the user.

What verifiers loads is ``td_gym_verifiers``.  Needs the extra ``verifiers``.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import gymnasium

from td_gym.errors import TdGymError, installed_extras

with installed_extras():
    import httpx
    import verifiers.v1 as vf
    from pydantic import Field
    from verifiers.v1.dialects.chat import message_to_wire


class ConversationData(vf.TaskData):
    """A conversation to be held; its briefing is told when it begins."""

    seed: int
    """Fixes persona, case and wording."""


class ConversationTask(vf.Task[ConversationData]):
    """Scored by the environment itself."""


class ConversationConfig(vf.TasksetConfig):
    """Which environment, and how it is made."""

    env: str = "td_gym/FoodDispute-v0"
    """Id of a text environment."""
    split: str = "train"
    """Whom one meets: ``train``, ``validation`` or ``test`` customers."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of ``gymnasium.make``, such as ``population`` and ``max_turns``."""


class ConversationTaskset(vf.Taskset[ConversationTask, ConversationConfig]):
    """Endlessly many conversations: that of seed 0, of seed 1, and so on."""

    INFINITE = True

    def load(self) -> Iterator[ConversationTask]:
        """Yield the tasks in order of their seeds."""
        for seed in itertools.count():
            yield ConversationTask(ConversationData(name=f"{self.config.env}#{seed}", seed=seed), self.config.task)


class ConversationEnvConfig(vf.EnvConfig):
    """One seat that learns or is evaluated."""

    agent: vf.AgentConfig = vf.AgentConfig(runtime=vf.SubprocessConfig())
    """The seat.  Its harness runs nothing that the model says, so it needs no sandbox."""


class ConversationEnv(vf.Env[ConversationEnvConfig]):
    """Relays messages between a model and a conversation.

    The trace gets the session reward as ``session_reward``, every cost as the metric ``cost/NAME``, the sum of every
    turn term as ``term/NAME``, and ``info["outcome"]``.  A conversation that the model's side breaks off is an error
    of the episode and no reward of 0.
    """

    async def run(self, task: ConversationTask, agents: vf.Agents) -> None:
        """Hold one conversation; raises ``TdGymError`` for a bad environment and for one broken off."""
        config = self.taskset.config
        env = gymnasium.make(config.env, split=config.split, **config.options)
        try:
            await self._converse(env, task, agents)
        finally:
            env.close()

    async def _converse(self, env: gymnasium.Env[Any, Any], task: ConversationTask, agents: vf.Agents) -> None:
        total, over = 0.0, False
        sums: Counter[str] = Counter()
        _, info = await asyncio.to_thread(env.reset, seed=task.data.seed)  # the customer may be a model on a server
        briefed = task.with_system_prompt(info["messages"][0]["content"])
        new = info["messages"][1:]
        async with agents.agent.interaction(briefed) as interaction:
            while not over:
                segment = await interaction.turn(new)
                if segment.terminated:
                    break
                seen = len(info["messages"])
                _, reward, terminated, truncated, info = await asyncio.to_thread(env.step, segment.last_reply)
                over = terminated or truncated
                total += float(reward)
                sums.update({f"cost/{name}": amount for name, amount in info["costs"].items()})
                sums.update({f"term/{name}": amount for name, amount in info["rewards"].items()})
                new = info["messages"][seen + 1 :]
        trace = interaction.trace
        if not over:
            raise TdGymError(f"The conversation was broken off ({trace.stop_condition}), so it has no reward.")
        trace.record_reward("session_reward", total)
        trace.record_metrics(sums)
        trace.info["outcome"] = info["outcome"]


class ConversationHarness(vf.Harness[vf.HarnessConfig]):
    """Asks the model once a message, in this process; there are no tools but those its messages call."""

    APPENDS_SYSTEM_PROMPT = True
    SUPPORTS_RESUME = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: vf.ModelContext,
        trace: vf.Trace,
        runtime: vf.Runtime,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: vf.TaskData,
    ) -> vf.ProgramResult:
        """Ask for the next message of the conversation; the trace records the answer."""
        system, said = self.resolve_prompt(data)
        messages = [{"role": "system", "content": system}, *map(message_to_wire, said)]
        async with httpx.AsyncClient(timeout=None) as client:  # the seat's own limits bound it
            answer = await client.post(
                f"{endpoint}/chat/completions",
                json={"model": ctx.model, "messages": messages},
                headers={"Authorization": f"Bearer {secret}"},
            )
        return vf.ProgramResult(
            exit_code=int(answer.is_error), stdout="", stderr=answer.text if answer.is_error else ""
        )
