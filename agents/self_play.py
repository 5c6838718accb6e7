"""``self_play``: service and customer learn in turn, each against the other's latest weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from agents import checkpoint
from agents.config import TrainConfig, budgets_of, scenario_of
from agents.trainer import configured_method, train
from td_gym.draws import mix
from td_gym.errors import TdGymError

RETURN = "charts/episodic_return"
"""What a run's figures call the mean session reward of an update's dialogues."""


def self_play(service: TrainConfig, customer: TrainConfig, rounds: int) -> list[dict[str, list[float]]]:
    """Train the service seat, then the customer, ``rounds`` times; return what each earned in each round, by seat.

    That is the mean session reward of the dialogues of every update, held before it.  ``service`` and ``customer`` are
    the settings of each seat's runs, but for seat and opponent; ``model`` is where the seat starts.  Round k is the
    folder ``out`` with ``-k`` behind it, and has a seed of its own.  A run goes on from its seat's weights of the round
    before, which are the reference too, and meets the other seat's latest.  One that was begun goes on, one that is
    done is not repeated.  Raises ``TdGymError`` as ``train`` does, and for a run begun with another number of steps.
    """
    learners = {
        "service": replace(service, seat="service", opponent=customer.model),
        "customer": replace(customer, seat="customer", opponent=service.model),
    }
    for config in learners.values():
        scenario = scenario_of(config)
        configured_method(config, budgets_of(config, scenario), scenario)
    earned: list[dict[str, list[float]]] = []
    for number in range(1, rounds + 1):
        earned.append({})
        for seat, other in (("service", "customer"), ("customer", "service")):
            config = learners[seat]
            run = Path(f"{config.out}-{number}")
            seed = mix(config.seed, "self-play", seat, number) >> 1
            train(replace(config, out=run, seed=seed, resume=_was_begun(run, config.steps)))
            learners[seat] = replace(config, model=str(run))
            learners[other] = replace(learners[other], opponent=str(run))
            earned[-1][seat] = _rewards(run)
    return earned


def _was_begun(run: Path, steps: int) -> bool:
    """Return whether ``run`` holds a run; ``TdGymError`` where that has another number of steps.

    The other seat has learnt against its weights, so it cannot be made longer.
    """
    if not (run / checkpoint.CONFIG).exists():
        return False
    before = checkpoint.read_config(run)["settings"]["steps"]
    if before != steps:
        raise TdGymError(
            f"{str(run)!r} was begun with {before} steps, not {steps}; keep to that, or take another --out."
        )
    return True


def _rewards(run: Path) -> list[float]:
    """Return the mean session rewards of a run's updates, but for those that held no dialogues."""
    updates = map(json.loads, (run / checkpoint.METRICS).read_text(encoding="utf-8").splitlines())
    return [update[RETURN] for update in updates if RETURN in update]
