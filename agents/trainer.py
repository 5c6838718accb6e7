"""``train``: the loop around rollout, method and optimiser, on one process or many.

Every draw is keyed by (run seed, update), so a checkpoint holds no random state and a resumed run
writes the same ``metrics.jsonl``, byte for byte, as one that was never stopped.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from statistics import fmean
from typing import Any, NamedTuple

import torch
from torch.utils.tensorboard import SummaryWriter

from agents import checkpoint, distributed, lora
from agents.config import TrainConfig, budgets_of, check_same, check_steps, record, scenario_of, versions_of
from agents.figures import describe
from agents.learner import Learner
from agents.methods import Method, budget_methods, build_method, customer_methods
from agents.names import VLLM
from agents.progress import TrainingProgress
from agents.reference import Frozen
from agents.replies import merged_source, task_source, turn_source
from agents.sources import Batch, Seats, Source, expert_source, partners, policy_source, share_of
from agents.token_policy import TokenPolicy
from agents.vllm_writer import VLLMWriter
from td_gym.draws import mix
from td_gym.errors import TdGymError, require_installed
from td_gym.llm.models import Models
from td_gym.scenario import Scenario

__all__ = ["SOURCES", "TrainConfig", "train", "train_policy"]

SOURCES: Mapping[str, Callable[[TrainConfig, Scenario, Seats], Source]] = {
    "policy": policy_source,
    "expert": expert_source,
    "recordings": partial(expert_source, recorded=True),
    "tasks": task_source,
    "turns": turn_source,
    "turns_with_rouge": partial(turn_source, rouge=True),
    "turns_and_tasks": merged_source,
}
"""By the name that the phases of a method give them."""
LARGEST_GAP = 0.5
"""Mean gap in log-probability, in nats a token, from which a writer does not say what the policy would."""


def train(config: TrainConfig, models: Models | None = None) -> None:
    """Train as ``config`` says and leave a run directory; under ``torchrun``, together with the others.

    ``models`` are the servers of a customer that is on one, by default its own.  Raises ``TdGymError``
    before anything is learnt when a name is unknown, the run directory cannot be used, or the model
    was made for another protocol; and later where a server fails.
    """
    if config.device == "cpu":
        torch.set_num_threads(1)
    device = distributed.local_device(config.device)
    with distributed.together(device), ExitStack() as stack:
        scenario, budgets, method, start, opponent = prepare(config, device, distributed.world_size())
        others = partners(config, scenario, opponent, models)
        phases = [phase for update in range(config.steps) for phase in method.phases(update + 1, config.steps)]
        sources = {name: SOURCES[name](config, scenario, others) for name in {phase.source for phase in phases}}
        writer = None
        if config.sampler == VLLM:
            writer = stack.enter_context(closing(VLLMWriter(start, config.vllm_memory)))
        train_policy(config, scenario, start, method, budgets, sources, opponent, writer)


class Prepared(NamedTuple):
    """What a run begins with."""

    scenario: Scenario
    budgets: dict[str, float]
    method: Method
    start: TokenPolicy
    opponent: TokenPolicy | None


def prepare(config: TrainConfig, device: str, processes: int) -> Prepared:
    """Return what a run of ``processes`` begins with.

    Raises ``TdGymError`` for whatever is wrong with the request; nothing is written and no server is asked.
    """
    if config.sampler == VLLM:
        require_installed(VLLM)
        if processes > 1:
            raise TdGymError("vLLM writes for one process; take --nproc 1, or leave --sampler vllm out.")
    share_of(config, 0, processes)
    scenario = scenario_of(config)
    scenario.check_customer(config.customer, training=True)
    budgets = budgets_of(config, scenario)
    method = configured_method(config, budgets, scenario)
    if method.learns_from == "recordings":
        scenario.recorded(config.split)
    start = starting_policy(config, method, scenario, device)
    return Prepared(scenario, budgets, method, start, opposing_policy(config, scenario, device))


def configured_method(config: TrainConfig, budgets: Mapping[str, float], scenario: Scenario) -> Method:
    """Return the method that ``config`` names, kept to ``budgets`` in ``scenario``.

    Raises ``TdGymError`` for too few copies or minibatches to learn from, for stated budgets that it would ignore, for
    weights of turn terms that the scenario does not have, for an opponent that it would not meet, and for a customer
    that is to learn from what only the service seat has.
    """
    method = build_method(config.method, config.preset, budgets, config.options)
    if config.seat == "customer" and (method.needs_service or config.budgets):
        raise TdGymError(
            f"A customer earns the session reward alone, without turn terms, budgets, tasks or plans; train it by "
            f"{', '.join(customer_methods())} on that reward."
        )
    method.check_terms(scenario.terms if config.seat == "service" else {})
    if method.learns_from in ("expert", "recordings"):
        for name, stated in (("opponent", config.opponent), ("customer", config.customer)):
            if stated:
                raise TdGymError(f"{config.method} learns from scripted dialogues and meets no {name}; leave that out.")
        if config.sampler == VLLM:
            raise TdGymError(
                f"{config.method} learns from scripted dialogues, so nothing is sampled; leave --sampler out."
            )
    if config.copies < method.min_copies:
        raise TdGymError(
            f"{config.method} compares dialogues with the same customer, so it needs copies of at least "
            f"{method.min_copies}, not {config.copies}."
        )
    if config.budgets and not method.uses_budgets:
        name = f"{config.method} with preset {config.preset}" if config.preset else config.method
        raise TdGymError(f"{name} ignores budgets; leave them out, or take {', or '.join(budget_methods())}.")
    if config.minibatches < method.min_minibatches:
        raise TdGymError(
            f"{config.method} keeps to the policy as it was before a batch, so it needs minibatches of at least "
            f"{method.min_minibatches}, not {config.minibatches}."
        )
    return method


def opposing_policy(config: TrainConfig, scenario: Scenario, device: str) -> TokenPolicy | None:
    """Return the policy in the other seat, ``None`` where that is simulated; ``TdGymError`` where it cannot play it."""
    if not config.opponent:
        return None
    (seat,) = (other for other in scenario.seats if other != config.seat)
    return TokenPolicy.load(config.opponent, device, scenario=scenario, seat=seat)


def starting_policy(config: TrainConfig, method: Method, scenario: Scenario, device: str) -> TokenPolicy:
    """Return the policy that training starts from, made to plan as ``method`` needs it.

    Raises ``TdGymError`` for a policy that plans and a method that cannot train one.
    """
    plans = method.planning is not None
    dtype = getattr(torch, config.dtype)
    policy = TokenPolicy.load(config.model, device, scenario=scenario, dtype=dtype, plans=plans, seat=config.seat)
    if lora.is_adapted(policy.model) and (rank := lora.rank_of(policy.model)) != config.lora_rank:
        raise TdGymError(
            f"{config.model!r} is an adapter of rank {rank}; train it with lora_rank {rank}, or start from its model."
        )
    policy.max_context = config.max_context or policy.max_context
    policy.max_new_tokens = config.max_new_tokens or policy.max_new_tokens
    if method.planning is not None:
        policy.planning = method.planning
    if policy.planning is not None and not method.may_plan:
        label = f"{config.method} {config.preset}".strip()
        raise TdGymError(f"{config.model!r} plans before it writes, which {label} cannot train; take 'tiny'.")
    return policy


def train_policy(
    config: TrainConfig,
    scenario: Scenario,
    start: TokenPolicy,
    method: Method,
    budgets: Mapping[str, float],
    sources: Mapping[str, Source],
    opponent: TokenPolicy | None = None,
    writer: VLLMWriter | None = None,
) -> None:
    """Train ``start`` by ``method`` on batches from the ``sources`` that its phases name; see ``train``.

    The weights of ``start`` stay as they are: they are the frozen reference.  Where an adapter is trained, it is put
    into ``start`` itself.  ``opponent`` is the policy in the other seat, of which a run keeps the fingerprint.  Where a
    ``writer`` writes what the policy says, the model scores it, so that training compares the model with itself.
    """
    run, first = config.out, distributed.rank() == 0
    versions = versions_of(scenario)
    processes = distributed.world_size()
    settings = record(config, method.config, budgets, versions, start, processes, opponent)
    label = f"{config.method} {config.preset}".strip()
    with ExitStack() as stack:
        _on_first(lambda: stack.enter_context(_opened(config, settings, start, method)))
        found = checkpoint.load(run) if config.resume else None
        policy, reference = _learning(config, scenario, start, versions, resumed=found is not None)
        policy.writer = writer
        learner = Learner(policy.model, reference, method, config)
        if found is not None:
            method.load_state_dict(found.state["method"])
            learner.load_tensors(found.tensors)
        done = found.update if found is not None else 0
        if first:
            checkpoint.cut_metrics(run, done)
            limits = budgets if method.uses_budgets else dict.fromkeys(budgets)
            progress = stack.enter_context(TrainingProgress(label, done, config.steps, limits))
            events = SummaryWriter(str(run / "tensorboard"), purge_step=done + 1)
            stack.callback(events.close)
        for update in range(done + 1, config.steps + 1):
            figures: defaultdict[str, list[float]] = defaultdict(list)
            for phase in method.phases(update, config.steps):
                if phase.freezes:
                    learner.freeze()
                batch, held = _batch(sources[phase.source], policy, phase.number, learner, writer)
                rows = batch.rows
                if batch.dialogues is not None:
                    held |= describe(batch.dialogues, list(budgets))
                learnt = learner.update(
                    rows.of_seat(phase.seat) if phase.seat else rows, phase.number, phase.prefix, phase.pace
                )
                if phase.seat:
                    held |= {
                        f"losses/{seat}_moved": learner.divergence(rows.of_seat(seat))
                        for seat in rows.writers() - {phase.seat}
                    }
                for name, value in (held | learnt).items():
                    figures[name].append(value)
            learner.take_into_mean(update)
            metrics = {name: fmean(values) for name, values in figures.items()}
            if not first:
                continue
            checkpoint.append_metrics(run, update, metrics)
            for name, value in metrics.items():
                events.add_scalar(name, value, update)
            progress.show(update, metrics)
            if update % config.checkpoint_every == 0 or update == config.steps:
                state = {"method": method.state_dict()}
                tensors = learner.tensors()
                with learner.averaged():
                    checkpoint.save(run, update, policy.save, state, tensors)
    distributed.wait_for_all()


def _batch(
    source: Source, policy: TokenPolicy, number: int, learner: Learner, writer: VLLMWriter | None
) -> tuple[Batch, dict[str, float]]:
    """Return a batch as the policy stands, and figures of how it was written.

    Raises ``TdGymError`` where a writer's probabilities say that it has other weights than the policy.
    """
    if writer is None:
        return source(policy, number), {}
    writer.load(policy.model)
    batch = source(policy, number)
    rows, gap = learner.rescored(batch.rows)
    if not gap < LARGEST_GAP:
        raise TdGymError(
            f"vLLM's probabilities are {gap:.2g} nats off those of the model, so it does not write what the model "
            "would; leave --sampler vllm out."
        )
    return batch._replace(rows=rows), {"sampler/gap": gap}


def _learning(
    config: TrainConfig, scenario: Scenario, start: TokenPolicy, versions: dict[str, str], *, resumed: bool
) -> tuple[TokenPolicy, Any]:
    """Return the policy that learns, as the run's checkpoint has it if it is ``resumed``, and its frozen reference."""
    policy = copy.copy(start)
    policy.versions = versions
    kept = config.out / checkpoint.MODEL
    if config.lora_rank:
        policy.model = lora.adapted(start.model, config.lora_rank, mix(config.seed, "adapter") >> 1)
        reference: Any = Frozen(policy.model)
        if resumed:
            lora.load(policy.model, kept)
        return policy, reference
    if resumed:
        policy = TokenPolicy.load(kept, str(start.device), scenario=scenario, seat=config.seat)
        policy.model = copy.deepcopy(policy.model)  # a file's weights lie otherwise in memory, and round otherwise
    else:
        policy.model = copy.deepcopy(start.model)
    return policy, start.model.requires_grad_(False)


@contextmanager
def _opened(config: TrainConfig, settings: dict[str, Any], start: TokenPolicy, method: Method) -> Iterator[None]:
    """Claim a run directory, start it, or check that an old one may be resumed."""
    size = lora.size(start.model, config.lora_rank) if config.lora_rank else start.size
    with checkpoint.claimed(config.out, size):
        if config.resume:
            _take_up(config, settings, method)
        else:
            checkpoint.begin(config.out, settings)
        yield


def _take_up(config: TrainConfig, settings: dict[str, Any], method: Method) -> None:
    """Check that the run in the directory may go on as ``config`` says."""
    recorded = checkpoint.read_config(config.out)
    check_same(recorded, settings)
    checkpoint.finish_move(config.out)
    done, before = checkpoint.updates_done(config.out), int(recorded["settings"].get("steps", config.steps))
    check_steps(config.steps, done)
    if any(method.phases(number, before) != method.phases(number, config.steps) for number in range(1, done + 1)):
        raise TdGymError(
            f"What the first {done} updates learnt from depends on their being {before} in all; "
            f"resume this run with {before} steps, not {config.steps}, or take another --out."
        )
    checkpoint.note_steps(config.out, recorded, config.steps)


def _on_first(action: Any) -> None:
    """Let the first process act while the others wait; its error is everybody's."""
    error: TdGymError | None = None
    if distributed.rank() == 0:
        try:
            action()
        except TdGymError as raised:
            error = raised
    if distributed.all_sum(torch.tensor(float(error is not None))).item():
        raise error or TdGymError("The first process could not open the run directory.")
