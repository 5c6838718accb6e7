"""The memory baseline: no weight changes; the policy answers as it did where a dialogue like this one succeeded.

Training lets the policy hold dialogues with training customers and keeps what it said in those that succeeded, as
cases.  The trained agent drafts several replies and answers with the one that agrees best with the drafts of the most
similar cases: minimum Bayes risk decoding (Kumar and Byrne, NAACL 2004) with these as references.

In the spirit of the case-based memory of Memento (arXiv 2508.16153), and ours.  There a large model reads the cases in
its prompt, and the memory grows with use.  Here drafts are picked, because models of the shipped size have not learnt
to read examples; for a large instruction-tuned one the prompt is the place.  The memory is filled once, so that nothing
is learnt from the customers an agent is evaluated with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from agents import checkpoint, distributed
from agents.cases import Case, Memory, append_cases, read_cases, situation_of
from agents.config import TrainConfig, budgets_of, check_same, check_steps, record, scenario_of, versions_of
from agents.figures import describe
from agents.memory_agent import MemoryAgent
from agents.names import CASES, MEMORY, OF_LEARNING
from agents.progress import TrainingProgress
from agents.sources import hold
from agents.token_policy import TokenPolicy
from agents.trajectories import Trajectories
from td_gym.envs.batch import ConversationBatch
from td_gym.errors import TdGymError, as_count, unknown
from td_gym.json_data import as_object, field_of, read_json
from td_gym.llm.models import Models
from td_gym.scenario import Scenario

_KEPT = "memory/cases"


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """Settings of the agent that remembers; all are whole numbers of at least 1."""

    similar: int = 8
    """Cases whose drafts a draft is compared with."""
    drafts: int = 8
    """Drafts of a reply, of which one is sent."""


def configured(config: TrainConfig) -> MemoryConfig:
    """Return the settings that ``config`` states; ``TdGymError`` for what it states in vain, and for unknown ones."""
    unsaid = TrainConfig(MEMORY, config.env, config.out)
    for name in OF_LEARNING:
        if getattr(config, name) != getattr(unsaid, name):
            raise TdGymError(f"{MEMORY} takes no {name}; leave it out.")
    return _settings(config.options)


def _settings(stated: Mapping[str, Any]) -> MemoryConfig:
    known = [field.name for field in fields(MemoryConfig)]
    for name in stated:
        if name not in known:
            raise unknown(f"option of {MEMORY}", name, known)
    return MemoryConfig(**{name: as_count(name, value) for name, value in stated.items()})


def prepare(config: TrainConfig, device: str) -> tuple[MemoryConfig, Scenario, TokenPolicy]:
    """Return the settings, the scenario and the policy that remembers.

    Raises ``TdGymError`` for what is wrong with ``config``, and for a policy that plans.
    """
    settings, scenario = configured(config), scenario_of(config)
    scenario.check_customer(config.customer, training=True)
    policy = TokenPolicy.load(config.model, device, scenario=scenario)
    if policy.planning is not None:
        raise TdGymError(f"{config.model!r} plans before it writes, and cases hold no plans; take 'tiny'.")
    policy.max_new_tokens = config.max_new_tokens or policy.max_new_tokens
    return settings, scenario, policy


def train(config: TrainConfig, models: Models | None = None) -> None:
    """Fill a memory as ``config`` says, ``steps`` times with the dialogues of an update, and leave a run directory.

    ``models`` are the servers of a customer that is on one, by default its own.
    Raises ``TdGymError`` for what is wrong with ``config``, and when no dialogue succeeded.
    """
    if config.device == "cpu":
        torch.set_num_threads(1)
    settings, scenario, policy = prepare(config, distributed.local_device(config.device))
    customer = scenario.training_customer(config.customer, models)
    groups = [group for group in range(config.customers) for _ in range(config.copies)]
    batch = ConversationBatch(scenario, "service", len(groups), {"customer": customer}, split=config.split)
    costs = dict.fromkeys(budgets_of(config, scenario))
    with checkpoint.claimed(config.out, policy.size):
        done, kept = _open(config, _record(config, settings, scenario, policy), policy, scenario)
        with TrainingProgress(MEMORY, done, config.steps, costs) as progress:
            for update in range(done + 1, config.steps + 1):
                held = hold(policy, batch, config, update, groups)
                cases = list(_successful(policy, held, batch))
                kept += len(cases)
                append_cases(config.out / CASES, cases)
                metrics = {**describe(held, list(costs)), _KEPT: kept}
                checkpoint.append_metrics(config.out, update, metrics)
                progress.show(update, metrics)
    if not kept:
        raise TdGymError(
            "None of the dialogues succeeded, so there is nothing to remember; go on with --resume and more --steps, "
            "or take a better --model."
        )


def _record(config: TrainConfig, settings: MemoryConfig, scenario: Scenario, start: TokenPolicy) -> dict[str, Any]:
    """Return ``config.json``."""
    found = record(config, settings, {}, versions_of(scenario), start, 1)
    return {**found, "settings": {k: value for k, value in found["settings"].items() if k not in OF_LEARNING}}


def _open(config: TrainConfig, settings: Mapping[str, Any], policy: TokenPolicy, scenario: Scenario) -> tuple[int, int]:
    """Start a run directory, or take up an old one; return the updates done and the cases kept."""
    run = config.out
    recorded = checkpoint.read_config(run) if config.resume else settings
    if config.resume:
        check_same(recorded, settings)
    else:
        checkpoint.begin(run, settings)
    logged = checkpoint.whole_lines(run / checkpoint.METRICS)
    done, kept = len(logged), json.loads(logged[-1])[_KEPT] if logged else 0
    check_steps(config.steps, done)
    checkpoint.note_steps(run, recorded, config.steps)
    policy.versions = versions_of(scenario)
    policy.save(run / checkpoint.MODEL)
    checkpoint.cut(run / checkpoint.METRICS, done)
    checkpoint.cut(run / CASES, kept)
    return done, kept


def _successful(policy: TokenPolicy, held: Trajectories, batch: ConversationBatch) -> Iterator[Case]:
    """Yield what the policy said in those of the dialogues just ``held`` in ``batch`` that succeeded and earned."""
    scenario = batch.scenario
    for row, outcome in enumerate(held.outcomes):
        if not scenario.succeeded(outcome) or held.session_rewards[row] <= 0:
            continue
        messages = batch.episodes[row].messages(batch.seat)
        replies = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
        for turn, place in enumerate(replies):
            draft = policy.decode_reply(held.tokens[row, held.turn[row] == turn].tolist())
            situation = situation_of(messages[:place], scenario.slot_values(messages[:place]))
            yield Case(situation, draft, float(held.session_rewards[row]))


def load(folder: Path, scenario: Scenario, temperature: float = 1.0, device: str = "cpu") -> MemoryAgent:
    """Return the agent of a run directory; ``TdGymError`` where it is of another scenario, or broken."""
    config = folder / checkpoint.CONFIG
    where = repr(str(config))
    settings = _settings(as_object(field_of(read_json(config), "method", where), f"{where}.method"))
    policy = TokenPolicy.load(folder, device, scenario=scenario)
    memory = Memory(read_cases(folder / CASES))
    return MemoryAgent(policy, scenario, memory, **asdict(settings), temperature=temperature)
