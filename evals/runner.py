"""Letting agents talk to the same customers, and scoring what was said.

Costs, outcomes and personas go from the episode to the record without passing the agents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agents.agent import Agent, make
from agents.devices import check_device
from evals.asking import answers_together, ask, replies, restart
from evals.dialogue import Dialogue, as_jsonl
from evals.llm_judge import judged
from evals.progress import Progress
from evals.provenance import public
from evals.recording import Recorder
from evals.scores import check_pairs, results
from td_gym.envs.batch import ConversationBatch, Step
from td_gym.envs.stream import ConversationStream
from td_gym.errors import TdGymError, unknown
from td_gym.llm.client import Client
from td_gym.llm.models import Models
from td_gym.registration import make_scenario, without_module
from td_gym.scenario import SPLITS, Scenario
from td_gym.seats import SeatPolicy, SlowPolicy

CHUNK = 128
"""Conversations stepped together where the agent answers in batches."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Which customers agents meet: dialogue i has seed ``seed + i`` of ``split``.

    An empty ``customer`` or ``population`` is the environment's default.  ``scenarios`` is a parquet
    file whose rows replace synthetic cases, ``data_dir`` a folder with the published data of MultiWOZ,
    ``device`` that of agents that are language models, ``models`` the servers of those that are asked over a network.
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
    models: Models | None = None

    def check(self) -> Scenario:
        """Return the scenario; ``TdGymError`` names what is unknown or out of range."""
        scenario = self.scenario()
        if self.split not in SPLITS:
            raise unknown("split", self.split, SPLITS)
        if self.episodes < 1 or self.seed < 0:
            raise TdGymError("An evaluation needs at least 1 episode and a seed of at least 0.")
        scenario.check_customer(self.customer)
        return scenario

    def scenario(self) -> Scenario:
        """Return the environment's scenario with the population and file of this setting."""
        population = self.population or None
        return make_scenario(self.env, population=population, scenarios=self.scenarios, data_dir=self.data_dir)

    def simulated(self, scenario: Scenario) -> SeatPolicy:
        """Return the simulated customer; ``TdGymError`` when unknown."""
        return scenario.customer(self.customer, self.models)

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
    """Return the names under which ``specs`` stand in results: directories by their own name, doubles numbered.

    Raises ``TdGymError`` for names of which two pairs could not be told apart.
    """
    names: list[str] = []
    for spec in specs:
        base = Path(spec).resolve().name if Path(spec).is_dir() else public(spec)
        name, count = base, 1
        while name in names:
            count += 1
            name = f"{base}-{count}"
        names.append(name)
    check_pairs(names)
    return names


def make_agents(specs: Sequence[str], setting: Setting) -> dict[str, Agent]:
    """Make every agent of ``specs`` before any of them runs.

    Raises ``TdGymError`` naming a spec that cannot be made, or a device that this machine lacks.
    """
    check_device(setting.device)
    options: Any = {name: getattr(setting, name) for name in ("temperature", "device", "models")}
    scenario = setting.scenario()
    made = [make(spec, scenario=scenario, **options) for spec in specs]
    return dict(zip(agent_names(specs), made, strict=True))


def evaluate(
    setting: Setting,
    agents: Mapping[str, Agent],
    agent_seed: int | None = None,
    ended: Callable[[Evaluation], None] = lambda so_far: None,
) -> Evaluation:
    """Run ``setting.episodes`` dialogues with every agent, one agent after the other.

    After each, ``ended`` is called with the evaluation so far, so that it outlives a failure of the next.

    ``agent_seed`` fixes the agents' own draws; by default it is the setting's seed.  Agents with
    ``act_batch`` answer for many conversations at once and are reset once; others hold one
    conversation after the other and are reset before each, so they may keep state.  Where the customer
    is slow, as one on a server is, copies of an agent that has ``copy`` hold conversations side by side.
    Raises ``TdGymError`` naming agent and dialogue when an agent raises or does not return text.
    """
    scenario = setting.check()
    held: dict[str, Sequence[Dialogue]] = {}
    for name, agent in agents.items():
        with Progress(name, setting.episodes) as progress:
            own_seed = setting.seed if agent_seed is None else agent_seed
            held[name] = converse(setting, scenario, name, agent, own_seed, progress.advance)
        ended(Evaluation(setting, dict(held)))
    return Evaluation(setting, held)


def with_verdicts(evaluation: Evaluation, judge: Client) -> Evaluation:
    """Return the evaluation with every dialogue marked by the model that ``judge`` asks."""
    marked = {}
    for name, dialogues in evaluation.dialogues.items():
        with Progress(f"judging {name}", len(dialogues)) as progress:
            marked[name] = judged(dialogues, judge, progress.advance)
    return replace(evaluation, dialogues=marked)


def converse(
    setting: Setting, scenario: Scenario, name: str, agent: Any, agent_seed: int, finished: Callable[[], None]
) -> list[Dialogue]:
    """Return the dialogues of one agent, in the order of their seeds."""
    customer = setting.simulated(scenario)
    known = {"env": without_module(setting.env), "agent": name, "customer": setting.customer_name(scenario)}
    if answers_together(agent):
        size = min(CHUNK, setting.episodes)
        batch = ConversationBatch(scenario, "service", size, {"customer": customer}, setting.split)
        return _in_step(setting, batch, agent, agent_seed, finished, known)
    several = customer.at_once if isinstance(customer, SlowPolicy) and hasattr(agent, "copy") else 1
    size = min(several, setting.episodes)
    agents = [agent, *(ask(name, setting.seed, agent.copy) for _ in range(size - 1))]
    stream = ConversationStream(scenario, "service", size, {"customer": customer}, setting.split)
    return _side_by_side(setting, stream, agents, agent_seed, finished, known)


def _in_step(
    setting: Setting,
    batch: ConversationBatch,
    agent: Agent,
    agent_seed: int,
    finished: Callable[[], None],
    known: Mapping[str, str],
) -> list[Dialogue]:
    """Hold conversations in batches, all of them a message further at a time, one agent for all."""
    dialogues: list[Dialogue] = []
    for first in range(0, setting.episodes, batch.size):
        active = list(range(min(batch.size, setting.episodes - first)))
        seeds = [setting.seed + first + i for i in active]
        restart(known["agent"], agent, agent_seed, first, seeds[0])
        steps = dict(zip(active, batch.reset(active, seeds), strict=True))
        recorders = [Recorder() for _ in active]
        while active:
            for i in active:
                _note(recorders[i], steps[i])
                if _is_over(steps[i]):
                    finished()
            active = [i for i in active if not _is_over(steps[i])]
            if active:
                texts, planned = replies(batch, known["agent"], agent, active, steps, seeds)
                for i, strategy in zip(active, planned, strict=True):
                    recorders[i].before(batch.episodes[i], strategy)
                steps |= dict(zip(active, batch.step(active, texts), strict=True))
        for i, recorder in enumerate(recorders):
            dialogues.append(recorder.dialogue(batch.episodes[i], **known, index=first + i))
    return dialogues


def _side_by_side(
    setting: Setting,
    stream: ConversationStream,
    agents: Sequence[Agent],
    agent_seed: int,
    finished: Callable[[], None],
    known: Mapping[str, str],
) -> list[Dialogue]:
    """Hold as many conversations at a time as there are ``agents``, each at its own pace, one agent each."""
    name, to_come = known["agent"], iter(range(setting.episodes))
    seeds, numbers, recorders = [0] * len(agents), [0] * len(agents), [Recorder() for _ in agents]
    held: dict[int, Dialogue] = {}

    def begin(slot: int) -> None:
        number = next(to_come, None)
        if number is not None:
            numbers[slot], seeds[slot], recorders[slot] = number, setting.seed + number, Recorder()
            restart(name, agents[slot], agent_seed, number, seeds[slot])
            stream.begin([slot], [seeds[slot]])

    for slot in range(len(agents)):
        begin(slot)
    while len(held) < setting.episodes:
        for slot, step in stream.receive().items():
            recorder, episode = recorders[slot], stream.episodes[slot]
            _note(recorder, step)
            if _is_over(step):
                held[numbers[slot]] = recorder.dialogue(episode, **known, index=numbers[slot])
                finished()
                begin(slot)
            else:
                texts, (planned,) = replies(stream, name, agents[slot], [slot], {slot: step}, seeds)
                recorder.before(episode, planned)
                stream.send([slot], texts)
    return [held[number] for number in range(setting.episodes)]


def _note(recorder: Recorder, step: Step) -> None:
    recorder.after(step.info["costs"], step.info["rewards"], step.relevance, step.reward)


def _is_over(step: Step) -> bool:
    return step.terminated or step.truncated
