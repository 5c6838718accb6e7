"""What the documents show is run, and what they point at exists."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import td_gym
from evals.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_example_runs() -> None:
    example, _ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)
    info = names["info"]
    assert isinstance(info, dict)
    assert info["outcome"]["ended_by"] in ("resolved", "hung_up", "turn_limit")


def test_the_readme_agent_of_ones_own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, agent = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "my_agents.py").write_text(agent, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (command,) = re.findall(r"td-gym (evaluate .*my_agents.*)", README)
    assert main(command.replace("--episodes 100", "--episodes 3").split()) == 0
    results = json.loads((tmp_path / "runs" / "mine" / "results.json").read_text())
    assert results["agents"]["my_agents:Careful"]["metrics"]["finish_rate"]["n"] == 3


def test_the_example_with_servers_of_ones_own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "servers.md").read_text(encoding="utf-8"), re.DOTALL
    )
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(example, "servers.md", "exec"), names)
    assert names["env"].spec.nondeterministic
    names["models"].close()
    assert (tmp_path / "runs" / "tape.jsonl").read_bytes() == b""


def test_the_readme_points_at_files_that_exist() -> None:
    for name in re.findall(r"`((?:docs|evals|agents|td_gym|personas)/[\w/.-]+|[A-Z]+\.md)`", README):
        assert name in td_gym.env_ids() or (ROOT / name).exists(), name


def test_links_lead_to_files() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))]
    assert len(links) > 30
    for page, link in links:
        assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"


def test_no_document_names_a_path_of_one_machine() -> None:
    pattern = re.compile(r"(?<![\w.])/(?:tmp|home|root|Users|work)/\w")
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("results/**/*.json")]:
        assert not pattern.search(path.read_text(encoding="utf-8")), path


def test_the_tutorial_on_strategies_runs_and_learns() -> None:
    """In fewer lines than it promises; a random choice gets 2.2."""
    (example,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert len([line for line in example.splitlines() if line]) <= 20
    names: dict[str, float] = {}
    exec(compile(example, "strategies.md", "exec"), names)
    assert names["after"] > max(names["before"], 2.2) + 0.5
