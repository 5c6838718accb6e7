"""Letting agents talk to the same customers, and scoring what was said.

Agents get observations and messages and nothing else; costs, outcomes and personas go from the
episode to the record without passing them.  The oracle alone is given the episode.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.agent import Agent, make
from agents.devices import check_device
from evals.dialogue import Dialogue, as_jsonl
from evals.progress import Progress
from evals.provenance import public
from evals.recording import Recorder
from evals.scores import results
from td_gym.draws import mix
from td_gym.envs.batch import ConversationBatch
from td_gym.errors import TdGymError, unknown
from td_gym.registration import make_scenario
from td_gym.scenario import SPLITS, Scenario

CHUNK = 128
"""Conversations stepped together where the agent answers in batches."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Which customers agents meet: dialogue i has seed ``seed + i`` of ``split``.

    An empty ``customer`` or ``population`` is the environment's default.  ``scenarios`` is a parquet
    file whose rows replace synthetic cases, ``data_dir`` a folder with the published data of MultiWOZ,
    ``device`` that of agents that are language models.
    """

    env: str
    episodes: int
    seed: int = 0
    split: str = "test"
    customer: str = ""
    population: str = ""
    scenarios: Path | None = None
    data_dir: Path | None = None
    temperature: float = 1.0
    device: str = "cpu"

    def check(self) -> Scenario:
        """Return the scenario; ``TdGymError`` names what is unknown or out of range."""
        scenario = self.scenario()
        if self.split not in SPLITS:
            raise unknown("split", self.split, SPLITS)
        if self.episodes < 1 or self.seed < 0:
            raise TdGymError("An evaluation needs at least 1 episode and a seed of at least 0.")
        scenario.customer(self.customer_name(scenario))
        return scenario

    def scenario(self) -> Scenario:
        """Return the environment's scenario with the population and file of this setting."""
        population = self.population or None
        return make_scenario(self.env, population=population, scenarios=self.scenarios, data_dir=self.data_dir)

    def customer_name(self, scenario: Scenario) -> str:
        """Return the name of the simulated customer."""
        return self.customer or scenario.customers[0]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every dialogue of every agent, in the order of their seeds."""

    setting: Setting
    dialogues: Mapping[str, Sequence[Dialogue]]

    def results(self, command: Sequence[str], **more: Any) -> dict[str, Any]:
        """Return the content of ``results.json``."""
        return results(self.setting, self.dialogues, command, device=self.setting.device, **more)

    def as_jsonl(self) -> str:
        """Return the content of ``dialogues.jsonl``."""
        return as_jsonl(dialogue for each in self.dialogues.values() for dialogue in each)

    def records(self) -> dict[str, list[dict[str, Any]]]:
        """Return every agent's dialogues as plain JSON."""
        return {name: [dialogue.to_json() for dialogue in each] for name, each in self.dialogues.items()}


def agent_names(specs: Sequence[str]) -> list[str]:
    """Return the names under which ``specs`` stand in results: directories by their own name, doubles numbered."""
    names: list[str] = []
    for spec in specs:
        base = Path(spec).resolve().name if Path(spec).is_dir() else public(spec)
        name, count = base, 1
        while name in names:
            count += 1
            name = f"{base}-{count}"
        names.append(name)
    return names


def make_agents(specs: Sequence[str], setting: Setting) -> dict[str, Agent]:
    """Make every agent of ``specs`` before any of them runs.

    Raises ``TdGymError`` naming a spec that cannot be made, or a device that this machine lacks.
    """
    check_device(setting.device)
    options: Any = {"scenario": setting.scenario(), "temperature": setting.temperature, "device": setting.device}
    made = [make(spec, **options) for spec in specs]
    return dict(zip(agent_names(specs), made, strict=True))


def evaluate(setting: Setting, agents: Mapping[str, Agent], agent_seed: int | None = None) -> Evaluation:
    """Run ``setting.episodes`` dialogues with every agent.

    ``agent_seed`` fixes the agents' own draws; by default it is the setting's seed.  Agents with
    ``act_batch`` answer for many conversations at once and are reset once; others hold one
    conversation after the other and are reset before each, so they may keep state.  Raises
    ``TdGymError`` naming agent and dialogue when an agent raises or does not return text.
    """
    scenario = setting.check()
    held = {}
    for name, agent in agents.items():
        with Progress(name, setting.episodes) as progress:
            own_seed = setting.seed if agent_seed is None else agent_seed
            held[name] = converse(setting, scenario, name, agent, own_seed, progress.advance)
    return Evaluation(setting, held)


def converse(
    setting: Setting, scenario: Scenario, name: str, agent: Agent, agent_seed: int, finished: Callable[[], None]
) -> list[Dialogue]:
    """Return the dialogues of one agent, in the order of their seeds."""
    batched = _answers_together(agent)
    size = min(CHUNK if batched else 1, setting.episodes)
    policies = {"customer": scenario.customer(setting.customer_name(scenario))}
    batch = ConversationBatch(scenario, "service", size, policies, split=setting.split)
    dialogues: list[Dialogue] = []
    for first in range(0, setting.episodes, size):
        count = min(size, setting.episodes - first)
        seeds = [setting.seed + first + i for i in range(count)]
        restart(name, agent, agent_seed, first, seeds[0])
        recorders = _chunk(batch, name, agent, seeds, finished)
        known = {"env": setting.env, "agent": name, "customer": setting.customer_name(scenario)}
        for i, recorder in enumerate(recorders):
            dialogues.append(recorder.dialogue(batch.episodes[i], **known, index=first + i))
    return dialogues


def _chunk(
    batch: ConversationBatch, name: str, agent: Agent, seeds: Sequence[int], finished: Callable[[], None]
) -> list[Recorder]:
    active = list(range(len(seeds)))
    steps = dict(zip(active, batch.reset(active, list(seeds)), strict=True))
    recorders = [Recorder() for _ in seeds]
    while active:
        for i in active:
            recorders[i].after(steps[i].info["costs"], steps[i].info["rewards"], steps[i].relevance)
        over = [i for i in active if steps[i].terminated or steps[i].truncated]
        for _ in over:
            finished()
        active = [i for i in active if i not in set(over)]
        if active:
            texts, planned = _replies(batch, name, agent, active, steps, seeds)
            for i, strategy in zip(active, planned, strict=True):
                recorders[i].before(batch.episodes[i], strategy)
            steps |= dict(zip(active, batch.step(active, texts), strict=True))
    return recorders


def _replies(
    batch: ConversationBatch,
    name: str,
    agent: Any,
    active: Sequence[int],
    steps: Mapping[int, Any],
    seeds: Sequence[int],
) -> tuple[list[str], list[str]]:
    """Return the agent's next message in each conversation, and the strategy that it planned for each."""
    together = _answers_together(agent)
    replies: list[str] = []
    plans: list[str] = []
    for asked in [active] if together else [[i] for i in active]:
        given = ask(name, seeds[asked[0]], lambda asked=asked: _given(agent, batch, asked, steps))  # type: ignore[misc]
        if len(given) != len(asked):
            raise TdGymError(f"Agent {name!r} gave {len(given)} replies for {len(asked)} conversations.")
        for i, reply in zip(asked, given, strict=True):
            replies.append(as_reply(name, seeds[i], reply))
        plans += planned_by(name, agent, len(given))
    return replies, plans


def _answers_together(agent: Any) -> bool:
    return hasattr(agent, "act_episode_batch" if getattr(agent, "needs_episode", False) else "act_batch")


def _given(agent: Any, batch: ConversationBatch, asked: Sequence[int], steps: Mapping[int, Any]) -> list[Any]:
    if getattr(agent, "needs_episode", False):
        episodes = [batch.episodes[i] for i in asked]
        if hasattr(agent, "act_episode_batch"):
            return list(agent.act_episode_batch(episodes))
        return [agent.act_episode(episode) for episode in episodes]
    observations = [steps[i].observation for i in asked]
    messages = [steps[i].info["messages"] for i in asked]
    if hasattr(agent, "act_batch"):
        return list(agent.act_batch(observations, messages))
    return [agent.act(*each) for each in zip(observations, messages, strict=True)]


def planned_by(name: str, agent: Any, count: int) -> list[str]:
    """Return the strategy in force for each of the ``count`` messages that ``agent`` returned last, empty for none.

    Raises ``TdGymError`` naming the agent where its ``planned`` is not one name a message.
    """
    planned = getattr(agent, "planned", None)
    if planned is None:
        return [""] * count
    if not isinstance(planned, list) or [type(strategy) for strategy in planned] != [str] * count:
        raise TdGymError(f"Agent {name!r} planned {planned!r} for {count} messages; it must name a strategy for each.")
    return list(planned)


def restart(name: str, agent: Agent, agent_seed: int, index: int, seed: int) -> None:
    """Reset an agent for its dialogue number ``index``, which has ``seed``.

    One that answers in batches is reset for the first alone, with ``agent_seed``; others for each, which gives its own.
    """
    if not _answers_together(agent):
        own_seed = mix(agent_seed, "dialogue", index) >> 1  # fits a signed 64-bit generator seed
        ask(name, seed, lambda: agent.reset(own_seed))
    elif index == 0:
        ask(name, seed, lambda: agent.reset(agent_seed))


def as_reply(name: str, seed: int, reply: Any) -> str:
    """Return what an agent answered; ``TdGymError`` naming agent and dialogue when it is no text."""
    if not isinstance(reply, str):
        raise TdGymError(f"Agent {name!r} returned a {type(reply).__name__}, not text, in dialogue {seed}.")
    return reply


def ask(name: str, seed: int, question: Callable[[], Any]) -> Any:
    """Ask an agent; whatever its code raises becomes one line naming it, never a score."""
    try:
        return question()
    except TdGymError:
        raise
    except Exception as error:
        reason = re.sub(r"\s+", " ", str(error))[:300]
        raise TdGymError(f"Agent {name!r} failed in dialogue {seed}: {type(error).__name__}: {reason}.") from error
