"""Asking agents for their messages: whatever their code does wrong is one line that names agent and dialogue.

Agents get observations and messages and nothing else; the oracle alone is given the episode.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from agents.agent import Agent
from td_gym.draws import mix
from td_gym.envs.batch import ConversationBatch
from td_gym.errors import TdGymError, unknown
from td_gym.llm.client import as_unicode


def replies(
    batch: ConversationBatch,
    name: str,
    agent: Any,
    active: Sequence[int],
    steps: Mapping[int, Any],
    seeds: Sequence[int],
) -> tuple[list[str], list[str]]:
    """Return the agent's next message in each conversation, and the strategy that it planned for each.

    An agent that does not answer together is asked for one.
    """
    given = ask(name, seeds[active[0]], lambda: _given(agent, batch, active, steps))
    if len(given) != len(active):
        raise TdGymError(f"Agent {name!r} gave {len(given)} replies for {len(active)} conversations.")
    said = [as_reply(name, seeds[i], reply) for i, reply in zip(active, given, strict=True)]
    return said, planned_by(name, agent, len(said), batch.scenario.strategies)


def answers_together(agent: Any) -> bool:
    """Return whether an agent answers in many conversations at once."""
    return hasattr(agent, "act_episode_batch" if getattr(agent, "needs_episode", False) else "act_batch")


def _given(agent: Any, batch: ConversationBatch, asked: Sequence[int], steps: Mapping[int, Any]) -> list[Any]:
    if getattr(agent, "needs_episode", False):
        episodes = [batch.episodes[i] for i in asked]
        if hasattr(agent, "act_episode_batch"):
            return _listed(agent.act_episode_batch(episodes))
        return [agent.act_episode(episode) for episode in episodes]
    observations = [steps[i].observation for i in asked]
    messages = [steps[i].info["messages"] for i in asked]
    if hasattr(agent, "act_batch"):
        return _listed(agent.act_batch(observations, messages))
    return [agent.act(*each) for each in zip(observations, messages, strict=True)]


def _listed(given: Any) -> list[Any]:
    if isinstance(given, str):  # as a list it would be as many replies as it has characters
        raise TypeError("one text, not a list with a reply for each conversation")
    return list(given)


def planned_by(name: str, agent: Any, count: int, known: Collection[str]) -> list[str]:
    """Return the strategy in force for each of the ``count`` messages that ``agent`` returned last, empty for none.

    Raises ``TdGymError`` naming the agent where its ``planned`` is not one of the ``known`` strategies a message.
    """
    planned = getattr(agent, "planned", None)
    if planned is None:
        return [""] * count
    if not isinstance(planned, list) or [type(strategy) for strategy in planned] != [str] * count:
        raise TdGymError(f"Agent {name!r} planned {planned!r} for {count} messages; it must name a strategy for each.")
    for strategy in planned:
        if strategy and strategy not in known:
            raise TdGymError(f"Agent {name!r} planned: {unknown('strategy', strategy, known)}")
    return list(planned)


def restart(name: str, agent: Agent, agent_seed: int, index: int, seed: int) -> None:
    """Reset an agent for its dialogue number ``index``, which has ``seed``.

    One that answers in batches is reset for the first alone, with ``agent_seed``; others for each, which gives its own.
    """
    if not answers_together(agent):
        own_seed = mix(agent_seed, "dialogue", index) >> 1  # fits a signed 64-bit generator seed
        ask(name, seed, lambda: agent.reset(own_seed))
    elif index == 0:
        ask(name, seed, lambda: agent.reset(agent_seed))


def as_reply(name: str, seed: int, reply: Any) -> str:
    """Return what an agent answered, without halves of characters, which cannot be written to a file.

    Raises ``TdGymError`` naming agent and dialogue when it is no text.
    """
    if not isinstance(reply, str):
        raise TdGymError(f"Agent {name!r} returned a {type(reply).__name__}, not text, in dialogue {seed}.")
    return as_unicode(reply)


def ask(name: str, seed: int, question: Callable[[], Any]) -> Any:
    """Ask an agent; whatever its code raises becomes one line naming it, never a score."""
    try:
        return question()
    except TdGymError:
        raise
    except (Exception, SystemExit) as error:
        reason = re.sub(r"\s+", " ", str(error))[:300]
        raise TdGymError(f"Agent {name!r} failed in dialogue {seed}: {type(error).__name__}: {reason}.") from error
