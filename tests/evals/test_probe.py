from __future__ import annotations

from pathlib import Path

import pytest

from evals import probe
from evals.calibration import agents_of
from evals.metrics import headline_of
from td_gym.registration import env_ids, make_scenario

ENV = "td_gym/FoodDispute-v0"
SCRIPTS = """
[FoodDispute]
silence = [""]
voucher = ["<action>voucher</action><response>I have added a voucher to your account.</response>", "Goodbye."]
[Sales]
silence = [""]
[MultiWOZ]
silence = [""]
"""


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    path = tmp_path / "scripts.toml"
    path.write_text(SCRIPTS, encoding="utf-8")
    return path


def cells(section: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {row[0]: row[1:] for row in rows}


def test_a_script_starts_again_from_its_first_message_and_names_the_turn() -> None:
    script = probe.Script(["one {turn}", "two"])
    heard = [{"role": "system", "content": "briefing"}, {"role": "user", "content": "cold"}]
    said = []
    for _ in range(3):
        said.append(script.act(None, heard))
        heard += [{"role": "assistant", "content": said[-1]}, {"role": "user", "content": "still cold"}]
    assert said == ["one 0", "two", "one 2"]
    assert script.act_batch([None, None], [heard[:2], heard]) == ["one 0", "two"]


@pytest.mark.parametrize("env", env_ids())
def test_every_customer_has_a_table_beside_expert_and_skilled_agent(
    env: str, scripts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = make_scenario(env)
    words = [str(scripts), "--env", env, "--episodes", "3", "--split", "validation", "--seed", "4"]
    assert probe.main(words) == 0
    page = capsys.readouterr().out
    assert str(tmp_path) not in page
    head, *sections = page.split("\n## Customer ")
    assert "--episodes 3 --split validation --seed 4" in head
    assert [section.split("`")[1] for section in sections] == list(scenario.customers)
    for section in sections:
        table = cells(section)
        assert table["agent"][:2] == [f"{headline_of(env).name} [95 %]", f"{scenario.budgeted_cost} rate"]
        assert {"silence", *(name for name in probe.BESIDE if name in agents_of(scenario))} <= table.keys()
    assert probe.main([*words, "--out", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == page


def test_reward_and_budgeted_cost_are_each_scripts_own(scripts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.main([str(scripts), "--env", ENV, "--episodes", "3"]) == 0
    table = cells(capsys.readouterr().out.split("\n## Customer ")[1])
    reward = {name: float(table[name][0].split()[0]) for name in ("silence", "voucher", "scripted")}
    assert reward["silence"] < reward["voucher"] < reward["scripted"]
    assert (table["silence"][1], table["voucher"][1]) == ("0.00", "1.00")


def test_another_seed_is_other_customers(scripts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = []
    for seed in ("0", "7", "7"):
        assert probe.main([str(scripts), "--env", ENV, "--episodes", "3", "--seed", seed]) == 0
        pages.append(capsys.readouterr().out.split("\n## Customer ", 1)[1])
    assert pages[0] != pages[1] == pages[2]


@pytest.mark.parametrize(
    ("text", "more", "named"),
    [
        (SCRIPTS, ["--env", "td_gym/FoodDispte-v0"], "FoodDispte"),
        (SCRIPTS, ["--split", "tset"], "tset"),
        (SCRIPTS, ["--episodes", "0"], "'0'"),
        (None, [], "scripts.toml"),
        ("[FoodDispute", [], "not a TOML file"),
        ("[Sales]\nsilence = ['']", [], "no scripts for FoodDispute"),
        ("FoodDispute = 3", [], "no scripts for FoodDispute"),
        ("[FoodDispute]\nempty = []", [], "'empty'"),
        ("[FoodDispute]\nnumbers = [1, 2]", [], "'numbers'"),
        ("[FoodDispute]\nbare = 'Hello.'", [], "'bare'"),
        ("[FoodDispute]\nscripted = ['Hello.']", [], "rename it"),
        ("[FoodDispute]\nbare = ['Hello.']", ["--out", "/dev/null/page.md"], "Cannot write into '/dev/null'"),
    ],
)
def test_bad_input_is_one_line(
    text: str | None, more: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scripts.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert probe.main([str(path), "--env", ENV, "--episodes", "2", *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("evals.probe: error: ")
    assert named in line
