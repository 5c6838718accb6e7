"""Results as tables: fixed-width for the terminal, Markdown for files."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evals.metrics import BY_SCENARIO, MetricSpec, headline_of

Results = Mapping[str, Any]

COLUMNS = (
    "satisfaction",
    "conversion_rate",
    "reached_conversion_rate",
    "voucher_rate",
    "finish_rate",
    "logic",
    "communication",
    "fluency",
    "grounding",
    "inconsistent",
    "repetition",
    "identity_detection_rate",
    "compliance_violations",
    "profile_accuracy",
    "discount_spend",
    "distinct_2",
    "turns",
)
"""Metrics shown, of whatever scenario; columns that nobody has are left out."""
TRAINED_ON = frozenset(spec.name for specs in BY_SCENARIO.values() for spec in specs if spec.trained_on)

NOTE_BOOTSTRAP = "Intervals: 95 %, bootstrap over dialogues."


def note_trained_on(envs: Iterable[str]) -> str:
    """Return what ``[t]`` says of figures of the environments ``envs``."""
    headlines = dict.fromkeys(headline_of(env).name for env in envs)
    return (
        "[t] a training signal reads this figure, so by itself it is no evidence of better service; "
        f"{' or '.join(headlines)} is what agents are trained on."
    )


def glossary(columns: Sequence[str] = COLUMNS) -> str:
    """Return what each of ``columns`` means, as a Markdown list."""
    known = {spec.name: spec for specs in BY_SCENARIO.values() for spec in specs}
    return "\n".join(f"- `{name}` ({_range(known[name])}): {known[name].definition}" for name in columns)


def _range(spec: MetricSpec) -> str:
    return f"{spec.unit}, {spec.low:g} to {spec.high:g}" if math.isfinite(spec.high) else spec.unit


def heading(metric: str) -> str:
    """Return the column heading of ``metric``, ``[t]`` added where training reads it."""
    return f"{metric} [t]" if metric.partition("/")[0] in TRAINED_ON else metric


def cell(metric: Mapping[str, Any] | None) -> str:
    """Return ``mean [low, high]``, or a dash for a metric that was not measured."""
    if metric is None:
        return "-"
    low, high = metric["ci95"]
    digits = 1 if abs(metric["mean"]) >= 10 else 2
    return f"{metric['mean']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def rows(results: Results, columns: Sequence[str] = COLUMNS) -> list[list[str]]:
    """Return heading and one row per agent; columns that no agent has are left out."""
    agents = results["agents"]
    shown = [name for name in columns if any(name in agent["metrics"] for agent in agents.values())]
    table = [["agent", "n", *map(heading, shown)]]
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
    """Return ``table`` as a Markdown table; pipes and control characters are escaped."""
    lines = ["| " + " | ".join(printable(value).replace("|", r"\|") for value in row) + " |" for row in table]
    rule = "|" + "|".join([" --- ", *(" ---: " for _ in table[0][1:])]) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def printable(value: str) -> str:
    """Return ``value`` with every character that could move the cursor or break a line escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in value)
