"""Merging the ``results.json`` of several evaluations or studies into one table and one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evals import plots, tables
from evals.escaping import escape_markdown
from evals.metrics import MetricSpec, check_columns, columns_of, headline_of, spending_of
from evals.scores import check_entry
from td_gym.errors import TdGymError
from td_gym.json_data import as_list, as_number, as_object, as_text, field_of, read_json

_COMPARABLE = ("population", "scenarios", "data", "seed", "scenario_version", "wording_version")
"""Fields of provenance in which the results of one table agree, where they state them."""
_UNSTATED = "not stated"


class Section(NamedTuple):
    """What the results of one table have in common."""

    env: str
    split: str
    customer: str
    source: tuple[str, ...] = (_UNSTATED,) * len(_COMPARABLE)
    """Values of the fields ``_COMPARABLE``."""


Board = dict[Section, dict[str, dict[str, Any]]]
"""The entries of agents, as in ``results.json``, by section and agent."""
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

    Results of other customers, or of another version of a scenario, do not compare and stand in sections of their own.
    Raises ``TdGymError`` naming a file that is no results file, and the field that is missing or wrong.
    """
    board: Board = {}
    for path in paths:
        results = _checked(path)
        source = results.get("provenance", {})
        shared = tuple(str(source.get(field, _UNSTATED)) for field in _COMPARABLE)
        section = board.setdefault(Section(results["env"], results["split"], results["customer"], shared), {})
        for name, entry in results["agents"].items():
            measured = {
                **entry,
                "metrics_version": source.get("metrics_version", "1"),
                "temperature": f"{source['temperature']:g}" if "temperature" in source else _UNSTATED,
            }
            section[_free_name(name, path, section)] = measured
    return board


def _checked(path: Path) -> Mapping[str, Any]:
    results = read_json(path)
    try:
        for key in ("env", "split", "customer"):
            as_text(field_of(results, key, "it"), key)
        for agent, entry in as_object(field_of(results, "agents", "it"), "agents").items():
            where = f"agents.{agent}"
            for name, metric in as_object(field_of(entry, "metrics", where), f"{where}.metrics").items():
                check_entry(metric, f"{where}.metrics.{name}")
            _check_seeds(entry, where)
        source = as_object(results.get("provenance", {}), "provenance")
        as_text(source.get("metrics_version", ""), "provenance.metrics_version")
        as_number(source.get("temperature", 1), "provenance.temperature")
    except TdGymError as error:
        raise TdGymError(f"{str(path)!r} is not a results file of td-gym: {error}") from error
    return dict(results)


def _check_seeds(entry: Mapping[str, Any], where: str) -> None:
    """Raise ``TdGymError`` where ``seeds`` of an agent are not numbers of metrics."""
    for name, values in as_object(entry.get("seeds", {}), f"{where}.seeds").items():
        for value in as_list(values, f"{where}.seeds.{name}"):
            as_number(value, f"{where}.seeds.{name}")


def _free_name(name: str, path: Path, taken: Mapping[str, Any]) -> str:
    if name not in taken:
        return name
    base = f"{name} ({path.resolve().parent.name})"
    numbers = (base if count == 1 else f"{base} {count}" for count in range(1, len(taken) + 2))
    return next(candidate for candidate in numbers if candidate not in taken)


def as_markdown(board: Board, columns: Sequence[str] = ()) -> str:
    """Return the sections of ``board``, agents by their scenario's first metric, falling.

    ``columns`` names metrics to show beside each scenario's own; ``TdGymError`` where no scenario has one.
    """
    envs = [section.env for section in board]
    check_columns(columns, envs)
    parts = ["# Leaderboard", f"Intervals: 95 %, of the kind each file states. {tables.note_trained_on(envs)}"]
    explained: dict[MetricSpec, None] = {}
    for section, agents in board.items():
        headline = headline_of(section.env).name
        ordered = dict(sorted(agents.items(), key=lambda item: -_mean(item[1], headline)))
        parts.append(f"## {escape_markdown(_title(section, board))}")
        parts += [escape_markdown(note) for note in _notes(ordered)]
        shown = _columns(section.env, ordered, columns)
        table = tables.rows({"env": section.env, "agents": ordered}, [spec.name for spec in shown])
        parts.append(tables.markdown(table))
        explained |= dict.fromkeys(shown)
    parts += ["## Columns", tables.glossary(explained)]
    return "\n\n".join(parts) + "\n"


def _notes(agents: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return at which temperature agents were sampled, and by which versions of the metrics where these differ."""
    temperatures: dict[str, list[str]] = {}
    for name, entry in agents.items():
        temperatures.setdefault(entry.get("temperature", _UNSTATED), []).append(name)
    told = (value if len(temperatures) == 1 else f"{value} ({', '.join(of)})" for value, of in temperatures.items())
    notes = [f"Sampling temperature: {'; '.join(told)}."]
    if len(versions := {entry.get("metrics_version", "1") for entry in agents.values()}) > 1:
        notes.append(f"Measured by versions {' and '.join(sorted(versions))} of the metrics (see the changelog).")
    return notes


def _title(section: Section, board: Board) -> str:
    """Return what a section holds, with that in which it differs from others of the same customers."""
    title = f"{section.env}, split {section.split}, customer {section.customer}"
    alike = [other for other in board if other[:3] == section[:3]]
    for place, field in enumerate(_COMPARABLE):
        if len({other.source[place] for other in alike}) > 1:
            title += f", {field.replace('_', ' ')} {section.source[place]}"
    return title


def _columns(env: str, agents: Mapping[str, Mapping[str, Any]], more: Sequence[str]) -> list[MetricSpec]:
    """Return the metrics of ``env``, ``more`` among them, that some of ``agents`` has."""
    return [spec for spec in columns_of(env, more) if any(spec.name in entry["metrics"] for entry in agents.values())]


def absent(board: Board, columns: Sequence[str]) -> list[str]:
    """Return those of ``columns``, each once, that ``as_markdown`` does not show because no agent has them."""
    shown = {spec.name for section, agents in board.items() for spec in _columns(section.env, agents, columns)}
    return [name for name in dict.fromkeys(columns) if name not in shown]


def draw(board: Board, path: Path) -> list[Path]:
    """Draw session reward against budgeted cost, one PNG a section; return the files written."""
    written = []
    for number, (section, agents) in enumerate(board.items(), start=1):
        picture = path if len(board) == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        written += draw_plane(section.env, agents, picture, title=_title(section, board))
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
    """Return the two metrics of each training seed, nothing where there is none, or a metric does not apply to some."""
    known = entry.get("seeds", {})
    x, y = (known.get(spec.name, ()) for spec in axes)
    return tuple(zip(x, y, strict=True)) if len(x) == len(y) else ()


def _mean(entry: Mapping[str, Any], metric: str) -> float:
    found = entry["metrics"].get(metric)
    return float(found["mean"]) if found else 0.0
