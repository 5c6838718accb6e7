"""Which results stand in one table, and which files a command leaves alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evals import cli, demo, leaderboard
from td_gym.errors import TdGymError

ENV = "td_gym/FoodDispute-v0"


def evaluated(out: Path, *words: str) -> Path:
    assert cli.main(["evaluate", "--env", ENV, "--agent", "random", "--episodes", "2", "--out", str(out), *words]) == 0
    return out / "results.json"


def changed(path: Path, out: Path, **provenance: Any) -> Path:
    """A copy of a results file with other fields of provenance; an empty one is taken out."""
    results = json.loads(path.read_text(encoding="utf-8"))
    results["provenance"] = {k: v for k, v in (results["provenance"] | provenance).items() if v != ""}
    out.mkdir()
    (out / "results.json").write_text(json.dumps(results), encoding="utf-8")
    return out / "results.json"


def headings(paths: list[Path]) -> list[str]:
    page = leaderboard.as_markdown(leaderboard.merge(paths)).replace("\\", "")
    return [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## td")]


def test_other_customers_and_other_versions_stand_in_sections_of_their_own(tmp_path: Path) -> None:
    hard = evaluated(tmp_path / "hard")
    easy = evaluated(tmp_path / "easy", "--population", "easy")
    title = f"{ENV}, split test, customer scripted"
    assert headings([hard]) == [title]
    assert headings([hard, changed(hard, tmp_path / "same", commit="another")]) == [title]
    assert headings([hard, easy]) == [f"{title}, population hard", f"{title}, population easy"]
    older = changed(hard, tmp_path / "older", scenario_version="1.0")
    assert headings([hard, older]) == [f"{title}, scenario version 1.1", f"{title}, scenario version 1.0"]
    others = changed(hard, tmp_path / "others", seed="500000")
    assert headings([hard, others]) == [f"{title}, seed 0", f"{title}, seed 500000"]
    silent = changed(hard, tmp_path / "silent", wording_version="")
    assert headings([silent, hard]) == [f"{title}, wording version not stated", f"{title}, wording version 2"]


def test_metrics_of_several_versions_are_noted(tmp_path: Path) -> None:
    path = evaluated(tmp_path / "now")
    for version, noted in (("2", False), ("1", True), ("", True)):
        other = changed(path, tmp_path / f"version{version}", metrics_version=version)
        page = leaderboard.as_markdown(leaderboard.merge([path, other]))
        assert ("Measured by versions 1 and 2 of the metrics" in page) == noted


def test_the_temperature_of_every_agent_is_stated(tmp_path: Path) -> None:
    path = evaluated(tmp_path / "now")
    assert "\nSampling temperature: 1.\n" in leaderboard.as_markdown(leaderboard.merge([path]))
    cold = changed(path, tmp_path / "cold", temperature=0.5)
    page = leaderboard.as_markdown(leaderboard.merge([path, cold]))
    assert "\nSampling temperature: 1 (random); 0.5 (random (cold)).\n" in page


@pytest.mark.parametrize(
    ("field", "value"),
    [("metrics_version", 2), ("metrics_version", [1]), ("temperature", "cold"), ("temperature", None)],
)
def test_provenance_of_another_kind_is_named(tmp_path: Path, field: str, value: Any) -> None:
    results = json.loads(evaluated(tmp_path).read_text(encoding="utf-8"))
    results["provenance"][field] = value
    (tmp_path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    with pytest.raises(TdGymError, match=rf"is not a results file of td-gym: provenance\.{field} must be"):
        leaderboard.merge([tmp_path / "results.json"])


def test_nothing_in_a_results_file_is_markdown(tmp_path: Path) -> None:
    path = evaluated(tmp_path / "now")
    other = changed(path, tmp_path / "other", metrics_version="<img src=x> \x1b[2J [link](http://evil)")
    page = leaderboard.as_markdown(leaderboard.merge([path, other]))
    assert "Measured by versions" in page
    assert "<img" not in page
    assert "\x1b" not in page
    assert "[link](" not in page


@pytest.mark.parametrize(("out", "said"), [("results.json", "is a file that is read"), ("board.png", "name it .md")])
def test_the_table_replaces_no_results_and_no_figure_replaces_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, said: str
) -> None:
    path = evaluated(tmp_path)
    before = path.read_bytes()
    assert cli.main(["leaderboard", str(tmp_path), "--out", str(tmp_path / out)]) == 2
    assert said in capsys.readouterr().err
    assert path.read_bytes() == before


def test_scores_do_not_replace_what_is_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictions = tmp_path / "responses.json"
    predictions.write_text("{}", encoding="utf-8")
    assert cli.main(["score-multiwoz", str(predictions), "--data", str(tmp_path), "--out", str(predictions)]) == 2
    assert "would be lost" in capsys.readouterr().err
    assert predictions.read_text(encoding="utf-8") == "{}"


def test_an_audit_is_not_replaced_by_an_evaluation_unless_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held, other = tmp_path / "held", tmp_path / "other"
    assert cli.main(["audit", "--env", ENV, "--episodes", "1", "--out", str(held)]) == 0
    assert cli.main(["evaluate", "--env", ENV, "--agent", "random", "--episodes", "1", "--out", str(held)]) == 2
    assert "already holds dialogues.jsonl and audit.json and audit.md" in capsys.readouterr().err
    (held / "dialogues.jsonl").unlink()  # as an audit of another folder leaves it
    assert cli.main(["evaluate", "--env", ENV, "--agent", "random", "--episodes", "1", "--out", str(held)]) == 2
    assert "already holds audit.json" in capsys.readouterr().err
    evaluated(other)
    assert cli.main(["audit", str(other), "--out", str(held)]) == 2
    assert "already holds audit.json" in capsys.readouterr().err
    evaluated(held, "--force")
    assert {path.name for path in held.iterdir()} == {"dialogues.jsonl", "results.json"}


def test_a_demo_replaces_nothing_but_a_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "cmpo" / "config.json"
    mine.parent.mkdir()
    mine.write_text("{}", encoding="utf-8")
    assert demo.main(["--out", str(tmp_path)]) == 2
    assert "holds no earlier demo" in capsys.readouterr().err
    assert mine.exists()


def test_results_on_other_data_stand_in_sections_of_their_own(tmp_path: Path) -> None:
    path = evaluated(tmp_path / "now")
    for field in ("scenarios", "data"):
        other = changed(path, tmp_path / field, **{field: "rows.parquet"})
        ends = [each.rpartition(", ")[2] for each in headings([path, other])]
        assert ends == [f"{field} not stated", f"{field} rows.parquet"]


def test_columns_are_explained_that_a_table_has_and_no_others(tmp_path: Path) -> None:
    page = leaderboard.as_markdown(leaderboard.merge([evaluated(tmp_path / "now")]))
    explained = page.partition("## Columns")[2]
    assert "- `satisfaction`" in explained
    assert "`judged`" not in explained
