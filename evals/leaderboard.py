"""Merging the ``results.json`` of several evaluations or studies into one table and one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals import plots, tables
from evals.files import read_json
from evals.metrics import metrics_of
from td_gym.errors import TdGymError

Board = dict[tuple[str, str, str], dict[str, dict[str, Any]]]
"""(env, split, customer) -> agent -> its entry, as in ``results.json``."""


def find(paths: Sequence[Path]) -> list[Path]:
    """Return the results files that ``paths`` name: files as given, of folders their ``results*.json``."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(path.glob("results*.json")) or sorted(path.glob("*/results*.json"))
            if not inside:
                raise TdGymError(f"No results.json lies in {str(path)!r}; run td-gym evaluate with --out first.")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise TdGymError(f"{str(path)!r} does not exist; name a results.json or a folder that holds one.")
    return found


def merge(paths: Sequence[Path]) -> Board:
    """Merge results files; agents of one name in several files get their folder's name added.

    Raises ``TdGymError`` naming a file that is no results file.
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
            if not isinstance(results[key], str):
                raise TypeError(key)
        for entry in results["agents"].values():
            for metric in entry["metrics"].values():
                _, (_, _), _ = metric["mean"], metric["ci95"], metric["n"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TdGymError(f"{str(path)!r} is not a results file of td-gym ({error} is missing or wrong).") from error
    return dict(results)


def _free_name(name: str, path: Path, taken: Mapping[str, Any]) -> str:
    if name not in taken:
        return name
    base = f"{name} ({path.resolve().parent.name})"
    numbers = (base if count == 1 else f"{base} {count}" for count in range(1, len(taken) + 2))
    return next(candidate for candidate in numbers if candidate not in taken)


def as_markdown(board: Board) -> str:
    """Return one section per environment, split and customer, agents by their scenario's first metric, falling."""
    parts = ["# Leaderboard", f"Intervals: 95 %, of the kind each file states. {tables.NOTE_TRAINED_ON}"]
    for (env, split, customer), agents in board.items():
        headline = metrics_of(env)[0].name
        ordered = dict(sorted(agents.items(), key=lambda item: -_mean(item[1], headline)))
        parts.append(tables.printable(f"## {env}, split {split}, customer {customer}"))
        parts.append(tables.markdown(tables.rows({"agents": ordered})))
    parts += ["## Columns", tables.glossary()]
    return "\n\n".join(parts) + "\n"


def draw(board: Board, path: Path) -> list[Path]:
    """Draw satisfaction against voucher rate, one PNG a section; sections without both are left out."""
    written = []
    for number, ((env, split, customer), agents) in enumerate(board.items(), start=1):
        found = [point(name, entry) for name, entry in agents.items()]
        points = [each for each in found if each is not None]
        if not points:
            continue
        target = path if len(board) == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        plots.satisfaction_against_cost(
            points,
            target,
            title=f"{env}, split {split}, customer {customer}",
            x_label="voucher rate (share of dialogues)",
            y_label="satisfaction (0 to 5, mean over all dialogues)",
        )
        written.append(target)
    return written


def point(name: str, entry: Mapping[str, Any]) -> plots.Point | None:
    """Return an agent's place in the figure, ``None`` when it lacks satisfaction or voucher rate."""
    metrics = entry["metrics"]
    spent, pleased = metrics.get("voucher_rate"), metrics.get("satisfaction")
    if spent is None or pleased is None:
        return None
    return plots.Point(name, spent["mean"], tuple(spent["ci95"]), pleased["mean"], tuple(pleased["ci95"]))


def _mean(entry: Mapping[str, Any], metric: str) -> float:
    found = entry["metrics"].get(metric)
    return float(found["mean"]) if found else 0.0
