"""Results as tables: fixed-width for the terminal, Markdown for files."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evals.escaping import escape_markdown, printable
from evals.metrics import MetricSpec, columns_of, headline_of, metrics_of

Results = Mapping[str, Any]

_MARK = " [t]"
_FIGURES = re.compile(r"(?:[-+\d., %(\[)]|\](?!\())*")
"""A mean with its interval and share, or a dash; brackets before a parenthesis would be a link."""
NOTE_BOOTSTRAP = "Intervals: 95 %, bootstrap over dialogues."


def note_trained_on(envs: Iterable[str]) -> str:
    """Return what ``[t]`` says of figures of the environments ``envs``."""
    headlines = dict.fromkeys(headline_of(env).name for env in envs)
    return (
        "[t] a training signal reads this figure, so by itself it is no evidence of better service; "
        f"{' or '.join(headlines)} is what agents are trained on."
    )


def glossary(columns: Iterable[MetricSpec]) -> str:
    """Return what each of ``columns`` means as a Markdown list."""
    return "\n".join(f"- `{spec.name}` ({_range(spec)}): {spec.definition}" for spec in columns)


def _range(spec: MetricSpec) -> str:
    return f"{spec.unit}, {spec.low:g} to {spec.high:g}" if math.isfinite(spec.high) else spec.unit


def heading(metric: str, env: str) -> str:
    """Return the heading of ``metric`` or of a group in it, ``[t]`` added where training in ``env`` reads it."""
    trained_on = {spec.name for spec in metrics_of(env) if spec.trained_on}
    return f"{metric}{_MARK}" if metric.partition("/")[0] in trained_on else metric


def cell(metric: Mapping[str, Any] | None) -> str:
    """Return ``mean [low, high]``, or a dash for a metric that was not measured."""
    if metric is None:
        return "-"
    low, high = metric["ci95"]
    digits = 1 if abs(metric["mean"]) >= 10 else 2
    return f"{metric['mean']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def rows(results: Results, columns: Sequence[str] = ()) -> list[list[str]]:
    """Return heading and one row per agent; without ``columns`` the metrics that tables of the environment show.

    Columns that no agent has are left out.
    """
    env, agents = results["env"], results["agents"]
    wanted = columns or [spec.name for spec in columns_of(env)]
    shown = [name for name in wanted if any(name in agent["metrics"] for agent in agents.values())]
    table = [["agent", "n", *(heading(name, env) for name in shown)]]
    for name, agent in agents.items():
        metrics = agent["metrics"]
        count = max((metric["n"] for metric in metrics.values()), default=0)
        table.append([name, str(count), *(cell(metrics.get(column)) for column in shown)])
    return table


def text(table: Sequence[Sequence[str]]) -> str:
    """Return ``table`` in columns of fixed width; control characters in names are shown escaped."""
    clean = [[printable(value) for value in row] for row in table]
    widths = [max(len(row[column]) for row in clean) for column in range(len(clean[0]))]
    lines = ["  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip() for row in clean]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def markdown(table: Sequence[Sequence[str]]) -> str:
    """Return ``table`` as a Markdown table; names and words are escaped, figures and the mark of ``heading`` stand."""
    lines = ["| " + " | ".join(map(_marked_down, row)) + " |" for row in table]
    rule = "|" + "|".join([" --- ", *(" ---: " for _ in table[0][1:])]) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _marked_down(value: str) -> str:
    words = "" if _FIGURES.fullmatch(value) else value.removesuffix(_MARK)
    return escape_markdown(words) + value[len(words) :]
