"""Merging the ``results.json`` of several evaluations or studies into one table and one figure."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals import plots, tables
from evals.metrics import MetricSpec, check_columns, columns_of, headline_of, spending_of
from td_gym.errors import TdGymError
from td_gym.json_data import as_list, as_object, as_text, field_of, read_json

Board = dict[tuple[str, str, str], dict[str, dict[str, Any]]]
"""(env, split, customer) -> agent -> its entry, as in ``results.json``."""
_DEPTH = 3
"""Folders below a named one that are searched for results: ``RUNS/STUDY/ARM/evaluation`` is three."""


def find(paths: Sequence[Path]) -> list[Path]:
    """Return the results files that ``paths`` name, each once: files as given, of folders those found in them."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = _inside(path, _DEPTH)
            if not inside:
                raise TdGymError(f"No results.json lies in {str(path)!r}; run td-gym evaluate with --out first.")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise TdGymError(f"{str(path)!r} does not exist; name a results.json or a folder that holds one.")
    once: dict[Path, Path] = {}
    for path in found:
        once.setdefault(path.resolve(), path)
    return list(once.values())


def _inside(folder: Path, depth: int) -> list[Path]:
    """Return the ``results*.json`` of ``folder`` or, where it has none, of its folders down to ``depth`` levels."""
    own = sorted(folder.glob("results*.json"))
    if own or not depth:
        return own
    return [path for inner in sorted(folder.iterdir()) if inner.is_dir() for path in _inside(inner, depth - 1)]


def merge(paths: Sequence[Path]) -> Board:
    """Merge results files; agents of one name in several files get their folder's name added.

    Raises ``TdGymError`` naming a file that is no results file, and the field that is missing or wrong.
    """
    board: Board = {}
    for path in paths:
        results = _checked(path)
        section = board.setdefault((results["env"], results["split"], results["customer"]), {})
        for name, entry in results["agents"].items():
            section[_free_name(name, path, section)] = entry
    return board


def _checked(path: Path) -> Mapping[str, Any]:
    results = read_json(path)
    try:
        for key in ("env", "split", "customer"):
            as_text(field_of(results, key, "it"), f"field {key!r}")
        for agent, entry in as_object(field_of(results, "agents", "it"), "field 'agents'").items():
            where = f"agent {agent!r}"
            for name, metric in as_object(field_of(entry, "metrics", where), f"{where}, field 'metrics'").items():
                _check_metric(metric, f"{where}, metric {name!r}")
    except TdGymError as error:
        raise TdGymError(f"{str(path)!r} is not a results file of td-gym: {error}") from error
    return dict(results)


def _check_metric(metric: Any, where: str) -> None:
    """Raise ``TdGymError`` naming the field of a metric, ``mean``, ``ci95`` or ``n``, that is missing or wrong."""
    fields = {field: field_of(metric, field, where) for field in ("mean", "ci95", "n")}
    if not _is_number(fields["mean"]):
        raise TdGymError(f"{where}, field 'mean' must be a number, not {fields['mean']!r:.60}.")
    bounds = as_list(fields["ci95"], f"{where}, field 'ci95'")
    if len(bounds) != 2 or not all(map(_is_number, bounds)):
        raise TdGymError(f"{where}, field 'ci95' must be two numbers, not {bounds!r:.60}.")
    if not _is_number(fields["n"]) or not isinstance(fields["n"], int):
        raise TdGymError(f"{where}, field 'n' must be a whole number, not {fields['n']!r:.60}.")


def _is_number(value: Any) -> bool:
    """Whether a value read from JSON is a number that a float can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _free_name(name: str, path: Path, taken: Mapping[str, Any]) -> str:
    if name not in taken:
        return name
    base = f"{name} ({path.resolve().parent.name})"
    numbers = (base if count == 1 else f"{base} {count}" for count in range(1, len(taken) + 2))
    return next(candidate for candidate in numbers if candidate not in taken)


def as_markdown(board: Board, columns: Sequence[str] = ()) -> str:
    """Return one section per environment, split and customer, agents by their scenario's first metric, falling.

    ``columns`` names metrics to show beside each scenario's own; ``TdGymError`` where no scenario has one.
    """
    envs = [env for env, _, _ in board]
    check_columns(columns, envs)
    parts = ["# Leaderboard", f"Intervals: 95 %, of the kind each file states. {tables.note_trained_on(envs)}"]
    for (env, split, customer), agents in board.items():
        headline = headline_of(env).name
        ordered = dict(sorted(agents.items(), key=lambda item: -_mean(item[1], headline)))
        parts.append(tables.printable(f"## {env}, split {split}, customer {customer}"))
        shown = [spec.name for spec in columns_of(env, columns)]
        parts.append(tables.markdown(tables.rows({"env": env, "agents": ordered}, shown)))
    parts += ["## Columns", tables.glossary(envs, columns)]
    return "\n\n".join(parts) + "\n"


def absent(board: Board, columns: Sequence[str]) -> list[str]:
    """Return those of ``columns``, each once, that ``as_markdown`` does not show because no agent has them."""
    shown = {
        spec.name
        for (env, _, _), agents in board.items()
        for spec in columns_of(env, columns)
        if any(spec.name in entry["metrics"] for entry in agents.values())
    }
    return [name for name in dict.fromkeys(columns) if name not in shown]


def draw(board: Board, path: Path) -> list[Path]:
    """Draw session reward against budgeted cost, one PNG a section; return the files written."""
    written = []
    for number, ((env, split, customer), agents) in enumerate(board.items(), start=1):
        picture = path if len(board) == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        written += draw_plane(env, agents, picture, title=f"{env}, split {split}, customer {customer}")
    return written


def draw_plane(
    env: str, agents: Mapping[str, Mapping[str, Any]], path: Path, *, title: str, target: float | None = None
) -> list[Path]:
    """Draw the agents of ``env`` by session reward and budgeted cost, its limit at ``target``.

    Returns the files written: ``path``, or none when no agent has both figures.
    """
    earned, spent = headline_of(env), spending_of(env)
    points = [
        plots.Point(name, x["mean"], tuple(x["ci95"]), y["mean"], tuple(y["ci95"]), _seeds(entry, spent, earned))
        for name, entry in agents.items()
        if (x := entry["metrics"].get(spent.name)) and (y := entry["metrics"].get(earned.name))
    ]
    if not points:
        return []
    plots.reward_against_cost(
        points,
        path,
        title=title,
        x_label=f"{spent.label} ({spent.unit})",
        y_label=f"{earned.label} ({earned.low:g} to {earned.high:g}, mean over all dialogues)",
        target=target,
    )
    return [path]


def _seeds(entry: Mapping[str, Any], *axes: MetricSpec) -> tuple[tuple[float, float], ...]:
    """Return the two metrics of each training seed, nothing for an agent without any."""
    known = entry.get("seeds", {})
    x, y = (known.get(spec.name, ()) for spec in axes)
    return tuple(zip(x, y, strict=True))


def _mean(entry: Mapping[str, Any], metric: str) -> float:
    found = entry["metrics"].get(metric)
    return float(found["mean"]) if found else 0.0
