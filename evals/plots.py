"""Figures: training curves and session reward against budgeted cost, with intervals drawn.

Colours are the Okabe-Ito set, which stays apart for colour-blind readers; series also differ in
marker or line style, and no two of the first 32 share both that and the colour.  Names are hostile
text: none is read as a formula, hidden from the legend or let squeeze the axes.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evals.escaping import printable
from td_gym.errors import installed_extras

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C8C")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
_LONGEST, _BESIDE, _TITLE = 60, 28, 72
"""Characters: the most of a label, the most of one beside the axes, and those of a line of a title."""
_ROW = 0.21
"""Height of a line of a legend or title, inches."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Point:
    """One policy in the plane of budgeted cost (x) and session reward (y), with 95 % intervals."""

    name: str
    x: float
    x_interval: Interval
    y: float
    y_interval: Interval
    seeds: tuple[tuple[float, float], ...] = ()
    """x and y of each training seed; where there are any, they are drawn in place of the intervals."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel of training curves: the recorded ``key``, its axis label and an optional target line."""

    key: str
    label: str
    target: float | None = None


def reward_against_cost(
    points: Sequence[Point], path: Path, *, title: str, x_label: str, y_label: str, target: float | None = None
) -> None:
    """Draw ``points`` with error bars, or with their seeds, and the budget as a vertical line, as a PNG at ``path``.

    A t-interval over two or three seeds is wider than the plane; the seeds themselves say it better.
    """
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(8.0, 4.8), layout="constrained")
    handles: list[Any] = []
    for index, point in enumerate(points):
        colour, marker = _style(index, MARKERS)
        for x, y in point.seeds:
            axes.plot([point.x, x], [point.y, y], color=colour, linewidth=0.8, alpha=0.6)
            axes.plot(x, y, marker=marker, color=colour, markersize=4, fillstyle="none", linestyle="none")
        drawn = axes.errorbar(
            point.x,
            point.y,
            xerr=None if point.seeds else _arms(point.x, point.x_interval),
            yerr=None if point.seeds else _arms(point.y, point.y_interval),
            fmt=marker,
            color=colour,
            capsize=3,
            markersize=7,
        )
        handles.append(drawn)
    names = [point.name for point in points]
    if target is not None:
        handles.append(axes.axvline(target, color="#555555", linewidth=1, linestyle=":"))
        names.append(f"budget {target:g}")
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.margins(0.08)
    axes.grid(alpha=0.25)
    _head(figure, title)
    _legend(figure, handles, names)
    _save(figure, path)


def training_curves(
    curves: Mapping[str, Sequence[Sequence[Mapping[str, float]]]], panels: Sequence[Panel], path: Path, *, title: str
) -> None:
    """Draw one panel per quantity: the mean over seeds of each arm, a band from its lowest to its highest seed.

    ``curves`` maps an arm to its seeds, each a list of one mapping per update.  A key that an arm
    does not record is left out of that panel.
    """
    pyplot = _pyplot()
    figure, rows = pyplot.subplots(
        len(panels), 1, figsize=(8.0, 2.5 * len(panels)), sharex=True, layout="constrained", squeeze=False
    )
    handles: dict[str, Any] = {}
    for panel, axes in zip(panels, rows[:, 0], strict=True):
        for index, (arm, seeds) in enumerate(curves.items()):
            values = series(seeds, panel.key)
            if not values.size:
                continue
            steps = np.arange(1, values.shape[1] + 1)
            colour, line = _style(index, LINES)
            known = np.ma.masked_invalid(values)
            handles[arm] = axes.plot(steps, known.mean(axis=0), color=colour, linestyle=line, linewidth=1.8)[0]
            axes.fill_between(steps, known.min(axis=0), known.max(axis=0), color=colour, alpha=0.15, linewidth=0)
        if panel.target is not None:
            handles["budget"] = axes.axhline(panel.target, color="#555555", linewidth=1, linestyle=":")
        axes.set_ylabel(panel.label)
        axes.grid(alpha=0.25)
    rows[-1, 0].set_xlabel("policy update")
    _head(figure, title)
    _legend(figure, [*handles.values()], [*handles])
    _save(figure, path)


def paired_shares(
    panels: Mapping[str, Mapping[str, tuple[float, float]]], path: Path, *, title: str, names: tuple[str, str]
) -> None:
    """Draw two distributions side by side in each panel, three panels a row: for every value both its shares."""
    pyplot = _pyplot()
    count = -(-len(panels) // 3)
    figure, rows = pyplot.subplots(count, 3, figsize=(13.0, 3.6 * count), layout="constrained", squeeze=False)
    for axes in rows.flat:
        axes.set_visible(False)
    for axes, (label, shares) in zip(rows.flat, panels.items(), strict=False):
        axes.set_visible(True)
        places = np.arange(len(shares))
        for side, name in enumerate(names):
            heights = [pair[side] for pair in shares.values()]
            axes.bar(
                places + (side - 0.5) * 0.4,
                heights,
                0.4,
                label=_label(name),
                color=COLOURS[side],
                hatch=("", "///")[side],
            )
        axes.set_xticks(places, map(_label, shares), rotation=60, ha="right", fontsize=7)
        axes.set_title(_label(label), fontsize=10)
        axes.grid(axis="y", alpha=0.25)
    rows[0, 0].legend(frameon=False)
    _head(figure, title)
    _save(figure, path)


def series(seeds: Sequence[Sequence[Mapping[str, float]]], key: str) -> npt.NDArray[np.float64]:
    """Return the values of ``key``, shape ``(seeds that recorded it, updates)``; shorter seeds end in NaN."""
    recorded = [[update.get(key, math.nan) for update in seed] for seed in seeds]
    recorded = [values for values in recorded if not all(math.isnan(value) for value in values)]
    length = max((len(values) for values in recorded), default=0)
    return np.array([values + [math.nan] * (length - len(values)) for values in recorded])


def _style(index: int, kinds: Sequence[str]) -> tuple[str, str]:
    """Return the colour of series ``index`` and its marker or line, which shifts each time the colours run out."""
    return COLOURS[index % len(COLOURS)], kinds[(index + index // len(COLOURS)) % len(kinds)]


def _label(name: str) -> str:
    """Return ``name`` so that it is shown as it is: no formula, not hidden by an underscore in front, not overlong."""
    shown = printable(name)
    if len(shown) > _LONGEST:
        tail = _LONGEST // 3
        shown = f"{shown[: _LONGEST - tail - 1]}\N{HORIZONTAL ELLIPSIS}{shown[-tail:]}"
    return ("\N{ZERO WIDTH SPACE}" if shown.startswith("_") else "") + shown.replace("$", r"\$")


def _head(figure: Any, title: str) -> None:
    """Put ``title`` above the figure, which grows by every line after the first."""
    lines = [printable(line).replace("$", r"\$") for line in textwrap.wrap(title, _TITLE, break_on_hyphens=False)]
    _grow(figure, len(lines) - 1)
    figure.suptitle("\n".join(lines))


def _legend(figure: Any, handles: Sequence[Any], names: Sequence[str]) -> None:
    """Put the legend at the right of the axes or, where it is too wide or high, below in a figure that grows by it."""
    labels = [*map(_label, names)]
    longest = max(map(len, labels), default=0)
    if longest <= _BESIDE and len(labels) * _ROW <= figure.get_figheight():
        figure.legend(handles, labels, loc="outside right center", frameon=False)
        return
    columns = max(1, 96 // (longest + 8))
    _grow(figure, -(-len(labels) // columns))
    small = {"fontsize": "small", "markerscale": 0.8}
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, **small)


def _grow(figure: Any, lines: int) -> None:
    figure.set_figheight(figure.get_figheight() + _ROW * max(lines, 0))


def _arms(value: float, interval: Interval) -> list[list[float]]:
    return [[max(value - interval[0], 0.0)], [max(interval[1] - value, 0.0)]]


def _pyplot() -> Any:
    with installed_extras():
        import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    figure.savefig(partial, dpi=150, format="png", metadata={"Software": None})
    partial.replace(path)
    _pyplot().close(figure)
