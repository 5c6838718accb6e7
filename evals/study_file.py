"""Studies as data: which arms, seeds and evaluation a ``studies/NAME.toml`` asks for, and which runs are done."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from evals.files import read_toml
from evals.metrics import check_columns
from evals.scores import check_entry, check_pairs
from td_gym.errors import TdGymError, unknown
from td_gym.json_data import as_list, as_number, as_object, field_of, read_json
from td_gym.registration import scenario_class, without_module

ROOT = Path("results")
RUNS = Path("runs")
_Name = TypeVar("_Name", int, str)
_ENTRIES = {"env", "title", "tuning_budget", "seeds", "fixed", "columns", "train", "evaluation", "arms"}
_TRAINING = ("preset", "steps", "model", "budgets", "options", "settings")
"""Fields of an arm that matter only where it is trained."""
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(
        ("env", "title", "tuning_budget", "method", "agent", "preset", "model", "split", "population"), str
    ),
    **dict.fromkeys(("train", "arms", "evaluation", "budgets", "options", "settings"), dict),
    **dict.fromkeys(("seeds", "fixed", "columns", "customers"), list),
    **dict.fromkeys(("steps", "episodes", "seed"), int),
    "temperature": (float, int),
}
"""The TOML type of every entry of a study."""
VERSIONS = ("scenario", "scenario_version", "wording_version", "protocol_version", "metrics_version")
"""What the provenance of results must agree in before they are put together."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm: a ``method`` to train, or an ``agent`` that is evaluated as it is with each seed as sampling seed."""

    name: str
    method: str = ""
    agent: str = ""
    preset: str = ""
    steps: int = 0
    model: str = "tiny"
    budgets: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the method's configuration that replace the preset's."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further settings of the training run: ``lr``, ``customers``, ``copies`` and so on."""
    seeds: tuple[int, ...] = ()
    """Those of the study's seeds that it is trained with; all when empty."""


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """The dialogues that every arm is evaluated on."""

    episodes: int = 1000
    seed: int = 0
    split: str = "test"
    customers: tuple[str, ...] = ("scripted", "scripted_b")
    temperature: float = 1.0
    population: str = ""
    """Whom arms are trained on, too; the scenario's first when empty."""


@dataclass(frozen=True, slots=True)
class Study:
    """A study as its file states it."""

    name: str
    path: Path
    env: str
    title: str
    tuning_budget: str
    seeds: tuple[int, ...]
    arms: tuple[Arm, ...]
    fixed: tuple[str, ...]
    """Agents evaluated once, for rows beside the arms."""
    columns: tuple[str, ...]
    """Metrics that tables show beside the environment's own, and by which arms are compared."""
    evaluation: EvaluationPlan


@dataclass(frozen=True, slots=True)
class Run:
    """One unit of work: an arm with a seed, or a fixed agent."""

    arm: Arm
    seed: int
    fixed: bool = False

    @property
    def kind(self) -> str:
        """``fixed`` (evaluated once), ``trained``, or ``as it is`` (evaluated with each seed)."""
        return "fixed" if self.fixed else "trained" if self.arm.method else "as it is"

    @property
    def name(self) -> str:
        """``ARM-SEED``, the name of the run's files."""
        return f"{self.arm.name}-{self.seed}"


def load(path: Path) -> Study:
    """Read a study file; whether what it runs exists is found by ``evals.study_check``.

    Raises ``TdGymError`` naming the entry that is missing, unknown or of the wrong type.
    """
    data = read_toml(path)
    where = f"study {str(path)!r}"
    _check_entries(data, _ENTRIES, where)
    shared = data.get("train", {})
    _check_entries(shared, {"model", "steps", "options", "settings"}, f"{where}, [train]")
    seeds = _seeds(_need(data, "seeds", where), where)
    arms = tuple(_arm(name, shared, table, where) for name, table in _need(data, "arms", where).items())
    for arm in arms:
        if foreign := set(arm.seeds) - set(seeds):
            raise TdGymError(
                f"'seeds' in {where}, [arms.{arm.name}] has {min(foreign)}, which is no seed of the study."
            )
    study = Study(
        name=path.stem,
        path=path,
        env=_need(data, "env", where),
        title=data.get("title", path.stem),
        tuning_budget=_need(data, "tuning_budget", where),
        seeds=seeds,
        arms=arms,
        fixed=_names(data, "fixed", where),
        columns=_names(data, "columns", where),
        evaluation=_evaluation(data.get("evaluation", {}), where),
    )
    if study.columns:
        scenario_class(study.env)  # which imports the module that registers it, if the id names one
        check_columns(study.columns, [study.env], f"metric in 'columns' of {where}:")
    for name in (*study.fixed, *(arm.name for arm in arms)):
        if "/" in name or not name.isprintable():
            raise TdGymError(
                f"{name!r} in {where} names the files of its runs, so it cannot hold a '/' or what is not printable; "
                f"write an arm of another name with agent = {name!r}."
            )
    check_pairs([arm.name for arm in arms])
    clash = {arm.name for arm in arms} & set(study.fixed)
    if clash:
        raise TdGymError(f"{min(clash)!r} in {where} is both an arm and a fixed agent; rename the arm.")
    return study


def runs(study: Study) -> list[Run]:
    """Return every run of ``study``: fixed agents first, then seed by seed, so that all arms fill up together."""
    fixed = [Run(Arm(name=agent, agent=agent), 0, fixed=True) for agent in study.fixed]
    return fixed + [Run(arm, seed) for seed in study.seeds for arm in study.arms if seed in (arm.seeds or study.seeds)]


def find_run(study: Study, name: str) -> Run:
    """Return the run called ``ARM-SEED``; ``TdGymError`` when the study has none of that name."""
    known = {run.name: run for run in runs(study)}
    if name not in known:
        raise unknown("run", name, known)
    return known[name]


def result_path(study: Study, run: Run, root: Path = ROOT) -> Path:
    """Return where the result of ``run`` is kept."""
    return root / study.name / f"{run.name}.json"


def config_of(study: Study, run: Run) -> dict[str, Any]:
    """Return all that ``study`` asks of ``run``, as plain JSON: its result's ``config``."""
    config = {
        **asdict(run.arm),
        "seed": run.seed,
        "env": without_module(study.env),
        "evaluation": asdict(study.evaluation),
    }
    del config["seeds"]  # which others it is done with changes nothing
    plain: dict[str, Any] = json.loads(json.dumps(config))
    return plain


def finished(study: Study, root: Path = ROOT) -> list[tuple[Run, dict[str, Any]]]:
    """Return the runs that are done, each with its result.

    Raises ``TdGymError`` naming a file that holds no result, a run whose result was made for other entries than the
    study's, and two results of different ``VERSIONS``.
    """
    found = [(run, read_result(path)) for run in runs(study) if (path := result_path(study, run, root)).exists()]
    for run, result in found:
        _check_same(study, run, result.get("config", {}), root)
        for customer in study.evaluation.customers:
            field_of(result["evaluation"], customer, f"{str(result_path(study, run, root))!r}: evaluation")
    check_versions({repr(str(result_path(study, run, root))): versions_of(result) for run, result in found})
    return found


def read_result(path: Path) -> dict[str, Any]:
    """Return the result of a run; ``TdGymError`` names the file and the field in it that is missing or wrong."""
    where = repr(str(path))
    result = as_object(read_json(path), where)
    as_object(field_of(result, "provenance", where), f"{where}: provenance")
    config = as_object(result.get("config", {}), f"{where}: config")
    as_object(config.get("evaluation", {}), f"{where}: config.evaluation")
    for place, update in enumerate(as_list(result.get("training", []), f"{where}: training")):
        for name, value in as_object(update, f"{where}: training[{place}]").items():
            as_number(value, f"{where}: training[{place}].{name}")
    evaluation = as_object(field_of(result, "evaluation", where), f"{where}: evaluation")
    for customer, measured in evaluation.items():
        within = f"{where}: evaluation.{customer}"
        for name, metric in as_object(field_of(measured, "metrics", within), f"{within}.metrics").items():
            check_entry(metric, f"{within}.metrics.{name}")
    return result


def versions_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of ``VERSIONS`` that the provenance of a result names; one that names none has metrics 1."""
    known = {"metrics_version": "1", **result["provenance"]}
    return {name: known[name] for name in VERSIONS if name in known}


def check_versions(made: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ``TdGymError`` where two of ``made``, versions by what was made with them, differ."""
    for (one, known), (other, found) in pairwise(made.items()):
        for name in VERSIONS:
            if known.get(name) != found.get(name):
                raise TdGymError(
                    f"{one} has {name} {known.get(name)!r}, but {other} has {found.get(name)!r}; results of different "
                    "versions do not compare, so delete the older and run them again."
                )


def asks_the_same(study: Study, run: Run, other: Mapping[str, Any]) -> bool:
    """Whether ``other``, the ``config`` of a result, asks for what ``study`` asks of ``run`` under whatever name."""
    now, old = _flat(config_of(study, run)), _flat(other)
    return all(entry in old and now[entry] == old[entry] for entry in _that_matter(run, now) if entry != "name")


def _check_same(study: Study, run: Run, before: Mapping[str, Any], root: Path) -> None:
    """Refuse a result of other entries; what only one side knows, such as an entry added later, is not compared."""
    now, old = _flat(config_of(study, run)), _flat(before)
    for entry in _that_matter(run, now):
        if entry in old and now[entry] != old[entry]:
            path = str(result_path(study, run, root))
            trained = run.arm.method and not entry.startswith("evaluation.")
            stale = f"{path!r} and {str(RUNS / study.name / run.name)!r}" if trained else repr(path)
            raise TdGymError(
                f"Run {run.name!r} was done with {entry} {old[entry]!r}, but study {study.name!r} now says "
                f"{now[entry]!r}; restore the entry, or delete {stale} to run it again."
            )


def _that_matter(run: Run, entries: Mapping[str, Any]) -> list[str]:
    return [entry for entry in entries if run.arm.method or entry not in _TRAINING]


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in config.items() if name != "evaluation"}
    return rest | {f"evaluation.{name}": value for name, value in config.get("evaluation", {}).items()}


def _arm(name: str, shared: Mapping[str, Any], table: Mapping[str, Any], where: str) -> Arm:
    where = f"{where}, [arms.{name}]"
    if not isinstance(table, dict):
        raise TdGymError(f"{where} must be a table with 'method' or 'agent'.")
    _check_entries(table, {"method", "agent", "seeds", *_TRAINING}, where)
    if ("method" in table) == ("agent" in table):
        raise TdGymError(f"{where} needs either 'method' (to train) or 'agent' (as it is).")
    if "agent" in table and len(table) > 1:
        raise TdGymError(f"{where} has an 'agent', which is taken as it is; remove {max(table.keys() - {'agent'})!r}.")
    for budget, limit in table.get("budgets", {}).items():
        if not _is(limit, (float, int)):
            raise TdGymError(f"The budget {budget!r} of {where} must be a number, not {limit!r}.")
    merged = {key: {**shared.get(key, {}), **table.get(key, {})} for key in ("options", "settings")}
    seeds = {"seeds": _seeds(table["seeds"], where)} if "seeds" in table else {}
    arm = Arm(**{"name": name, **shared, **table, **merged, **seeds})
    if arm.method and arm.steps < 1:
        raise TdGymError(f"{where} needs 'steps' of at least 1, here or in [train].")
    return arm


def _seeds(values: Any, where: str) -> tuple[int, ...]:
    if not isinstance(values, list) or not values or not all(_is(seed, int) and seed >= 0 for seed in values):
        raise TdGymError(f"'seeds' in {where} must be a list of whole numbers of at least 0.")
    return _each_once(values, "seeds", where)


def _evaluation(table: Mapping[str, Any], where: str) -> EvaluationPlan:
    where = f"{where}, [evaluation]"
    _check_entries(table, set(EvaluationPlan.__dataclass_fields__), where)
    named = {"customers": _names(table, "customers", where)} if "customers" in table else {}
    plan = EvaluationPlan(**{**table, **named})
    if plan.episodes < 1 or not plan.customers:
        raise TdGymError(f"{where} needs 'episodes' of at least 1 and at least one of 'customers'.")
    if not 0 <= plan.temperature < math.inf:
        raise TdGymError(f"'temperature' in {where} must be a number of at least 0.")
    return plan


def _check_entries(table: Mapping[str, Any], known: set[str], where: str) -> None:
    for key, value in table.items():
        if key not in known:
            raise unknown(f"entry of {where}:", key, known)
        if not _is(value, _KINDS[key]):
            raise TdGymError(f"{key!r} in {where} must be a {_name(_KINDS[key])}, not {value!r}.")


def _is(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _name(kind: type | tuple[type, ...]) -> str:
    return {str: "text", dict: "table", list: "list", int: "whole number"}.get(kind, "number")  # type: ignore[arg-type]


def _names(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    names = table.get(key, [])
    if not all(isinstance(name, str) for name in names):
        raise TdGymError(f"{key!r} in {where} must be a list of names.")
    return _each_once(names, key, where)


def _each_once(values: Sequence[_Name], key: str, where: str) -> tuple[_Name, ...]:
    for value, count in Counter(values).items():
        if count > 1:
            raise TdGymError(f"{key!r} in {where} names {value!r} {count} times; name it once.")
    return tuple(values)


def _need(data: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in data:
        raise TdGymError(f"{where} needs {key!r}.")
    return data[key]
