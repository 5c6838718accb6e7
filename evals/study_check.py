"""Finding what is wrong with a study before its first run starts, instead of run by run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from agents.names import MEMORY
from evals.runner import make_agents
from evals.study_file import RUNS, Run, Study, runs
from evals.study_run import setting_of, train_config
from td_gym.errors import TdGymError


def check(study: Study) -> None:
    """Build all that the runs of ``study`` are made of, and run nothing.

    Raises ``TdGymError`` naming the study, the arm and the first environment, customer, population, agent,
    method, preset, option, budget, setting or model that does not exist or has an impossible value.
    """
    where = f"study {str(study.path)!r}"
    settings = [setting_of(study, customer) for customer in study.evaluation.customers]
    with _blamed(where):
        for setting in settings:
            setting.check()
    for run in {run.arm.name: run for run in runs(study)}.values():
        with _blamed(f"{where}, {run.arm.name!r}"):
            if run.arm.method:
                _check_training(study, run)
            else:
                make_agents([run.arm.agent], settings[0])


def _check_training(study: Study, run: Run) -> None:
    from agents import memory
    from agents.distributed import local_device
    from agents.trainer import prepare

    config = train_config(study, run, RUNS / study.name / run.name)
    device = local_device(config.device)
    if config.method == MEMORY:
        memory.prepare(config, device)
    else:
        prepare(config, device, processes=1)


@contextmanager
def _blamed(where: str) -> Iterator[None]:
    try:
        yield
    except TdGymError as error:
        raise TdGymError(f"In {where}: {error}") from error
