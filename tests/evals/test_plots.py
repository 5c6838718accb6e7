from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

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
