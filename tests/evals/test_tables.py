from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from evals import leaderboard, tables
from evals.escaping import printable
from evals.metrics import BY_SCENARIO, metrics_of
from td_gym.errors import TdGymError

RESULTS = Path(__file__).parents[2] / "results"
FOOD, SALES = "td_gym/FoodDispute-v0", "td_gym/Sales-v0"


def results_of(env: str) -> dict[str, Any]:
    """Results of one agent that has every metric of ``env``, and one of another scenario."""
    names = [*(spec.name for spec in metrics_of(env)), "foreign"]
    return {
        "env": env,
        "agents": {"mine": {"metrics": {name: {"mean": 0.5, "ci95": [0, 1], "n": 7} for name in names}}},
    }


@pytest.mark.parametrize("env", [FOOD, SALES])
def test_a_table_shows_the_metrics_of_its_scenario_in_their_order(env: str) -> None:
    shown = [(spec.name, spec.trained_on) for spec in metrics_of(env) if spec.shown]
    heading, row = tables.rows(results_of(env))
    assert heading == ["agent", "n", *(f"{name} [t]" if trained_on else name for name, trained_on in shown)]
    assert row == ["mine", "7", *["0.50 [0.00, 1.00]"] * len(shown)]


def test_columns_that_nobody_has_are_left_out() -> None:
    results = results_of(FOOD)
    results["agents"]["other"] = {"metrics": {"turns": results["agents"]["mine"]["metrics"].pop("turns")}}
    del results["agents"]["mine"]["metrics"]["logic"]
    heading, mine, other = tables.rows(results, ["logic", "fluency", "turns"])
    assert heading == ["agent", "n", "fluency", "turns"]
    assert (mine[2:], other[2:]) == (["0.50 [0.00, 1.00]", "-"], ["-", "0.50 [0.00, 1.00]"])


def test_a_mark_is_the_scenarios_own_and_holds_for_groups() -> None:
    assert tables.heading("voucher_rate/feedback_focus", FOOD) == "voucher_rate/feedback_focus [t]"
    assert tables.heading("repetition", SALES) == "repetition [t]"
    assert tables.heading("repetition", FOOD) == "repetition"


@pytest.mark.parametrize("envs", [[FOOD], [SALES], [FOOD, "td_gym/FoodDisputeStrategy-v0", SALES]])
def test_a_leaderboard_explains_its_own_columns_once(envs: list[str]) -> None:
    board = {leaderboard.Section(env, "test", "scripted"): results_of(env)["agents"] for env in envs}
    page = leaderboard.as_markdown(board)
    explained = [line.split("`")[1] for line in page.split("## Columns")[1].splitlines() if line]
    shown = {spec.name for env in envs for spec in metrics_of(env) if spec.shown}
    assert len(explained) == len(shown)
    assert set(explained) == shown


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"env": 5}, "env must be text, not 5."),
        ({"agents": []}, "agents must be a JSON object, not a list."),
        ({"agents": {"mine": {}}}, "agents.mine has no field 'metrics'."),
        ({"agents": {"mine": {"metrics": {}, "seeds": 3}}}, "agents.mine.seeds must be a JSON object, not 3."),
        (
            {"agents": {"mine": {"metrics": {}, "seeds": {"turns": ["x"]}}}},
            "agents.mine.seeds.turns must be a finite number, not 'x'.",
        ),
        ({"mean": "x"}, "agents.mine.metrics.turns.mean must be a finite number, not 'x'."),
        ({"mean": None}, "agents.mine.metrics.turns.mean must be a finite number, not null."),
        ({"mean": float("nan")}, "agents.mine.metrics.turns.mean must be a finite number, not nan."),
        ({"mean": 10**400}, "agents.mine.metrics.turns.mean must be a finite number, not 1000"),
        ({"ci95": 0.5}, "agents.mine.metrics.turns.ci95 must be a JSON list, not 0.5."),
        ({"ci95": [0, 1, 2]}, "agents.mine.metrics.turns.ci95 must be two numbers, not 3."),
        ({"ci95": [0, "1"]}, "agents.mine.metrics.turns.ci95 must be a finite number, not '1'."),
        ({"n": "x"}, "agents.mine.metrics.turns.n must be a finite number, not 'x'."),
        ({"n": 1.5}, "agents.mine.metrics.turns.n must be a whole number of at least 0, not 1.5."),
        ({"n": -3}, "agents.mine.metrics.turns.n must be a whole number of at least 0, not -3."),
        ({"n": True}, "agents.mine.metrics.turns.n must be a finite number, not True."),
        ({"provenance": []}, "provenance must be a JSON object, not a list."),
    ],
)
def test_a_wrong_field_of_a_results_file_is_named(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    results = results_of(FOOD) | {"split": "test", "customer": "scripted"}
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    assert leaderboard.merge([path])
    if change.keys() <= {*results, "provenance"}:
        results |= change
    else:
        results["agents"]["mine"]["metrics"]["turns"] |= change
    path.write_text(json.dumps(results))
    with pytest.raises(TdGymError, match=re.escape(f"results.json' is not a results file of td-gym: {said}")):
        leaderboard.merge([path])


def test_a_leaderboard_shows_and_explains_a_metric_that_is_asked_for() -> None:
    board = {leaderboard.Section(env, "test", "scripted"): results_of(env)["agents"] for env in (FOOD, SALES)}
    page = leaderboard.as_markdown(board, ["engagement", "voucher_spend"])
    assert page.count("engagement [t]") == 2
    assert page.count("voucher_spend [t]") == 1
    assert "- `engagement` (share, 0 to 1): Mean relevance" in page
    with pytest.raises(TdGymError, match=r"Unknown metric 'engagment'\. Did you mean 'engagement'\?"):
        leaderboard.as_markdown(board, ["engagment"])


NAMES = (
    "gopo_no_expert",
    "cmpo_d10-fixed_l05",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[1](2)",
    r"a\|b",
    "a\\\\|b|",
    "_a_ **b** `c`",
    "&lt; <http://a.b>",
    "two\nlines\x1b[2J",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_reads_as_it_is_in_a_table_of_markdown(name: str) -> None:
    parser = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")
    page = tables.markdown([["agent", "n", name], [name, "5", "0.28 [0.25, 0.30]"]])
    cells = [token.children for token in parser.parse(page) if token.type == "inline"]
    assert {part.type for cell in cells for part in cell} <= {"text", "text_special"}
    shown = printable(name)
    words = ["".join(part.content for part in cell) for cell in cells]
    assert words == ["agent", "n", shown, shown, "5", "0.28 [0.25, 0.30]"]


PLAIN = [
    ["gopo_no_expert", "5", "0.28 [0.25, 0.30]", "-0.09 [-0.11, -0.06] (-24 %)", "-", "n/a"],
    ["cmpo-grpo_session_tenfold", "", "voucher_rate/feedback_focus [t]", "turns", "speaks as the service: 6", "11.3"],
]


@pytest.mark.parametrize("row", PLAIN)
def test_figures_marks_and_words_need_no_escape(row: list[str]) -> None:
    assert tables.markdown([row]).splitlines()[0] == f"| {' | '.join(row)} |"


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*/table.md")), ids=lambda path: path.parent.name)
def test_published_tables_would_be_written_as_they_are(path: Path) -> None:
    rows = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert rows
    for line in rows:
        if set(line) != set("| -:"):
            assert tables.markdown([line[2:-2].split(" | ")]).splitlines()[0] == line


def test_a_name_means_the_same_in_every_scenario() -> None:
    known: dict[str, object] = {}
    for specs in BY_SCENARIO.values():
        assert all(known.setdefault(spec.name, spec) is spec for spec in specs)
