from __future__ import annotations

import builtins
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot

from evals import plots
from td_gym.errors import TdGymError

PNG = b"\x89PNG\r\n\x1a\n"


def a_point(name: str, x: float = 0.3, y: float = 3.8) -> plots.Point:
    return plots.Point(name, x, (x - 0.03, x + 0.03), y, (y - 0.1, y + 0.05))


def test_plane_is_a_picture_and_leaves_no_partial_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "plane.png"
    points = [a_point(f"agent {number}", number / 20, 3 + number / 20) for number in range(12)]
    points.append(replace(points[0], name="an arm", seeds=((0.28, 3.7), (0.32, 3.9))))
    plots.reward_against_cost(points, path, title="t", x_label="x", y_label="y", target=0.3)
    assert path.read_bytes().startswith(PNG)
    assert [each.name for each in path.parent.iterdir()] == ["plane.png"]


def test_curves_draw_arms_of_different_lengths_and_missing_quantities(tmp_path: Path) -> None:
    long = [{"reward": 3.0 + step / 10, "lambda": 0.8} for step in range(5)]
    curves = {"cmpo": [long, long[:3]], "grpo": [[{"reward": 3.1}, {}, {"reward": 3.2}]]}
    panels = [plots.Panel("reward", "reward"), plots.Panel("lambda", "lambda", 0.5)]
    plots.training_curves(curves, panels, tmp_path / "curves.png", title="t")
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)


LONG = "openai:SOME-LONG-MODEL-NAME-8B@http://gpu-host.example.org:8000/v1"
NAMES = ["scripted", LONG, LONG * 2, "W" * 90, "_hidden", r"$\bad$", r"\$x$", "two\nlines\x1b[2J", "a$b"]
CURVE = [[{"reward": 1.0}, {"reward": 2.0}]]


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The figures that are drawn, in place of files."""
    drawn: list[Any] = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: drawn.append(figure))
    yield drawn
    for figure in drawn:
        pyplot.close(figure)


def plane(names: list[str], title: str = "t") -> None:
    points = [a_point(name, number / 20) for number, name in enumerate(names)]
    plots.reward_against_cost(points, Path("x"), title=title, x_label="x", y_label="y", target=0.3)


def curves(names: list[str], title: str = "t") -> None:
    panels = [plots.Panel("reward", "reward", 1.5)]
    plots.training_curves(dict.fromkeys(names, CURVE), panels, Path("x"), title=title)


def as_shown(text: Any) -> str:
    """What a reader sees of a text of matplotlib's."""
    shown, formula = text._preprocess_math(text.get_text())
    assert formula is False
    return str(shown).replace("\u200b", "")


@pytest.mark.parametrize("draw", [plane, curves])
@pytest.mark.parametrize("names", [*([name] for name in NAMES), NAMES, [f"agent {n}" for n in range(40)]])
def test_every_name_is_in_the_legend_as_it_is_and_leaves_the_axes_their_room(
    draw: Any, names: list[str], pictures: list[Any]
) -> None:
    draw(names, title=" ".join(NAMES[:3] + NAMES[4:]))
    (figure,) = pictures
    figure.canvas.draw()
    (legend,), (axes,) = figure.legends, figure.axes
    *labels, budget = map(as_shown, legend.texts)
    assert budget.startswith("budget")
    for name, label in zip(names, labels, strict=True):
        start, _, end = label.partition("\N{HORIZONTAL ELLIPSIS}")
        shown = name.replace("\n", r"\n").replace("\x1b", r"\x1b")
        assert shown == label or (len(label) < len(shown) and shown.startswith(start) and shown.endswith(end) and end)
    assert axes.get_window_extent().width > 0.6 * figure.bbox.width
    assert axes.get_window_extent().height > 0.4 * 2.5 * figure.dpi
    for part in (legend, figure._suptitle):
        box = part.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y0 >= -1  # half a line width
        assert box.y1 <= figure.bbox.y1
        assert not box.overlaps(axes.get_window_extent())


def test_a_short_legend_stands_beside_the_axes(pictures: list[Any]) -> None:
    plane(["scripted", "grpo_session_tenfold"])
    curves(["scripted", "duca_fuse_then_normalise"])
    for figure in pictures:
        figure.canvas.draw()
        assert figure.legends[0].get_window_extent().x0 >= figure.axes[0].get_window_extent().x1


def test_no_two_series_share_colour_and_line_or_marker(pictures: list[Any]) -> None:
    names = [f"arm {number}" for number in range(32)]
    plane(names)
    curves(names)
    for figure in pictures:
        figure.canvas.draw()
    markers = {(p[0].get_color(), p[0].get_marker()) for p in pictures[0].axes[0].containers}
    lines = {(line.get_color(), line.get_linestyle()) for line in pictures[1].axes[0].lines if line.get_linewidth() > 1}
    assert len(markers) == len(lines) == len(names)


def test_shares_show_names_as_they_are(pictures: list[Any]) -> None:
    shares = {r"_a $\bad$": {"_x": (0.2, 0.3), r"$\bad$": (0.1, 0.2)}}
    plots.paired_shares(shares, Path("x"), title=r"$\bad$", names=("_one", r"$\bad$"))
    (figure,) = pictures
    figure.canvas.draw()
    axes = figure.axes[0]
    assert [*map(as_shown, axes.get_xticklabels())] == ["_x", r"$\bad$"]
    assert [*map(as_shown, axes.get_legend().texts)] == ["_one", r"$\bad$"]
    assert [as_shown(axes.title), as_shown(figure._suptitle)] == [r"_a $\bad$", r"$\bad$"]


def test_the_same_figure_has_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        plots.reward_against_cost([a_point("x")], tmp_path / name, title="t", x_label="x", y_label="y")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_series_pads_short_seeds_and_drops_seeds_without_the_key() -> None:
    values = plots.series([[{"k": 1.0}, {"k": 2.0}], [{"k": 3.0}], [{"other": 1.0}]], "k")
    np.testing.assert_array_equal(values, [[1.0, 2.0], [3.0, np.nan]])


def test_without_matplotlib_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: object, **kwargs: object) -> object:
        if name.split(".")[0] == "matplotlib":
            raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(TdGymError, match=r"td-gym\[evals\]"):
        plots.reward_against_cost([a_point("x")], tmp_path / "x.png", title="t", x_label="x", y_label="y")
