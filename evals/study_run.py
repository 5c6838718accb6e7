"""One run of a study: train if the arm is a method, evaluate with every customer, write one JSON file.

What another study has found already is taken over.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from agents.names import MEMORY
from agents.progress import figure
from evals.files import check_writable, write_json
from evals.provenance import commit, public_path
from evals.runner import Setting, evaluate, make_agents
from evals.scores import versions
from evals.study_file import ROOT, RUNS, Run, Study, asks_the_same, config_of, read_result, result_path, versions_of
from td_gym.errors import TdGymError, unknown
from td_gym.registration import make_scenario

if TYPE_CHECKING:
    from agents.config import TrainConfig

CURVES = {
    "reward": "charts/episodic_return",
    "turns": "charts/turns",
    "format_error": "charts/format_error",
    "kl": "losses/kl_reference",
    "approx_kl": "losses/approx_kl",
    "entropy": "losses/entropy",
    "reasoning": "reasoning/accuracy",
    "quality": "rewards/mean",
}
"""Names in a study's curves and what the trainer calls them; costs, weights and multipliers are added by prefix."""


def execute(study: Study, run: Run, root: Path = ROOT, runs_root: Path = RUNS) -> Path:
    """Do ``run`` and return the path of its result, written only when everything is done.

    A training run that was cut off goes on from its last checkpoint.
    """
    check_writable(root / study.name)
    begun_at = commit()  # the files may be others when it ends, hours later
    folder = runs_root / study.name / run.name
    training = train_arm(study, run, folder) if run.arm.method else []
    spec = str(folder) if run.arm.method else run.arm.agent
    measured = {}
    for customer in study.evaluation.customers:
        setting = replace(setting_of(study, customer), device=run.arm.settings.get("device", "cpu"))
        evaluation = evaluate(setting, make_agents([spec], setting), agent_seed=run.seed)
        results = evaluation.results([])
        measured[customer] = next(iter(results["agents"].values()))
    path = result_path(study, run, root)
    common = {**results["provenance"], "commit": begun_at}
    common["command"] = f"python -m evals.study {public_path(study.path)} --only {run.name}"
    result = {
        **_heading(study, run),
        "evaluation": measured,
        "training": training,
        "provenance": common,
    }
    write_json(path, result)
    return path


def adopt(study: Study, missing: Sequence[Run], root: Path = ROOT) -> dict[str, Path]:
    """Take over the results of equal runs of other studies; return where they lay, by the run's name.

    Equal runs agree in every entry but the arm's name, and in the versions of scenario, wording, protocol and metrics,
    and hold the metrics that ``study`` asks for.  What else they depend on, the code, is the commit in their
    provenance.
    """
    needed = versions(make_scenario(study.env))
    usable = [
        (path, result)
        for path in sorted(root.glob("*/*-*.json"))
        if (result := _readable(path)) is not None and versions_of(result) == needed and _holds(result, study)
    ]
    sources: dict[str, Path] = {}
    for run in missing:
        equal = (each for each in usable if asks_the_same(study, run, each[1].get("config", {})))
        path, result = next(equal, (None, {}))
        if path is not None:
            source = {"taken_from": public_path(path)}
            write_json(result_path(study, run, root), {**result, **_heading(study, run), **source})
            sources[run.name] = path
    return sources


def _readable(path: Path) -> dict[str, Any] | None:
    """Return the result in ``path``, ``None`` where it holds none, which is for the study it lies in to say."""
    try:
        return read_result(path)
    except TdGymError:
        return None


def _holds(result: Mapping[str, Any], study: Study) -> bool:
    """Say whether a result has the metrics that ``study`` asks for, with each of its customers."""
    evaluation, columns = result["evaluation"], set(study.columns)
    return all(
        customer in evaluation and columns <= evaluation[customer]["metrics"].keys()
        for customer in study.evaluation.customers
    )


def _heading(study: Study, run: Run) -> dict[str, Any]:
    named = {"study": study.name, "arm": run.arm.name, "seed": run.seed}
    return {**named, "kind": run.kind, "config": config_of(study, run)}


def setting_of(study: Study, customer: str) -> Setting:
    """Return the dialogues with ``customer`` that every arm is evaluated on."""
    plan = study.evaluation
    return Setting(
        study.env, plan.episodes, plan.seed, plan.split, customer, plan.population, temperature=plan.temperature
    )


def train_arm(study: Study, run: Run, folder: Path) -> list[dict[str, float]]:
    """Train an arm in ``folder`` and return its curves."""
    from agents import memory, trainer

    (memory if run.arm.method == MEMORY else trainer).train(train_config(study, run, folder))
    return curves(folder / "metrics.jsonl")


def train_config(study: Study, run: Run, folder: Path) -> TrainConfig:
    """Return what the trainer is asked to do in ``folder``; ``TdGymError`` names a setting that is wrong."""
    from agents.config import TrainConfig
    from agents.fields import replaced

    arm = run.arm
    if "data" in arm.settings:
        raise TdGymError(
            "A study takes no 'data' among its 'settings': it evaluates every arm without published data, so train "
            "and evaluate with it by td-gym train --data and td-gym evaluate --data."
        )
    stated: dict[str, Any] = {
        "method": arm.method,
        "env": study.env,
        "model": arm.model,
        "out": folder,
        "steps": arm.steps,
        "seed": run.seed,
        "preset": arm.preset,
        "budgets": dict(arm.budgets),
        "options": dict(arm.options),
        "population": study.evaluation.population,
        "resume": (folder / "config.json").exists(),
    }
    for name in stated.keys() & arm.settings.keys():
        free = [each.name for each in fields(TrainConfig) if each.name not in stated]
        raise unknown("entry of 'settings'", name, free)
    return replaced(TrainConfig(**stated), arm.settings, "entry of 'settings'")


def curves(path: Path) -> list[dict[str, float]]:
    """Return one mapping per update: ``CURVES``, named costs, rewards, weights and multipliers, the mean turn score."""
    updates = []
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        update = {name: value for name, key in CURVES.items() if (value := figure(record, key)) is not None}
        for key, value in record.items():
            if key.startswith(("costs/", "weights/", "gopo/")):
                update[key] = value
            elif key.startswith("pid/") and key.endswith("/lambda"):
                update["lambda/" + key.split("/")[1]] = value
        if terms := [value for key, value in record.items() if key.startswith("turn_terms/")]:
            update["turn_score"] = fmean(terms)
        updates.append({name: round(value, 6) for name, value in update.items() if _is_number(value)})
    return updates


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
