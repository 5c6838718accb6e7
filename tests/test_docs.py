"""What the documents show is run, and what they point at exists."""

from __future__ import annotations

import re
from pathlib import Path

import td_gym

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)
    info = names["info"]
    assert isinstance(info, dict)
    assert info["outcome"]["ended_by"] in ("resolved", "hung_up", "turn_limit")


def test_the_readme_points_at_files_that_exist() -> None:
    for name in re.findall(r"`((?:docs|evals|agents|td_gym|personas)/[\w/.-]+|[A-Z]+\.md)`", README):
        assert name in td_gym.env_ids() or (ROOT / name).exists(), name


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
