"""The second customer of a scenario shares no code with the first but what is named here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.resources import files
from importlib.util import resolve_name
from pathlib import Path

import pytest

from td_gym.scenarios import food_dispute, multiwoz, sales

OURS = ("personas", "td_gym", "agents", "evals")
ENGINE = {"personas.packaged.packaged_toml", "td_gym.episode.Episode", "td_gym.turns.Turn"}
SHARED = {
    food_dispute.__name__: ENGINE
    | {
        "personas.persona.Persona",
        "td_gym.draws.choice",
        "td_gym.draws.uniform",
        "td_gym.scenarios.food_dispute.orders.Case",
        "td_gym.scenarios.mind.strange_memory",  # an error
    },
    sales.__name__: ENGINE
    | {
        "personas.prospect.Prospect",
        "td_gym.draws.Stream",
        "td_gym.reading.sentences.is_curt",  # the telegram rule
        "td_gym.scenarios.mind.PlainMind",
        "td_gym.scenarios.sales.credit.Question",
        "td_gym.scenarios.sales.credit.money",
        "td_gym.scenarios.sales.offers.Case",
        "td_gym.scenarios.wording.in_split",
        "td_gym.scenarios.wording.joined",
        "td_gym.scenarios.wording.with_typo",
    },
    multiwoz.__name__: {
        "personas.packaged.packaged_toml",
        "personas.persona.Persona",
        "td_gym.episode.Episode",
        "td_gym.draws.Stream",
        "td_gym.scenarios.mind.PlainMind",
        "td_gym.scenarios.multiwoz.cases.Case",
        "td_gym.scenarios.multiwoz.database.Database",  # names are recognised by it
        "td_gym.scenarios.multiwoz.goals.DomainGoal",
        "td_gym.scenarios.multiwoz.scenario.MultiWOZ",
        "td_gym.scenarios.multiwoz.schema.DOMAINS",
        "td_gym.scenarios.wording.in_split",
        "td_gym.scenarios.wording.joined",
    },
}


def imported(source: str, package: str) -> Iterator[str]:
    """Yield the full name of everything of ours that ``source``, a module of ``package``, imports."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            names = [f"{module}.{alias.name}" for alias in node.names]
        yield from (name for name in names if name.split(".")[0] in OURS)


@pytest.mark.parametrize("package", SHARED)
def test_the_second_customer_stands_alone(package: str) -> None:
    modules = sorted(Path(str(files(package))).glob("customer_b*.py"))
    own = tuple(f"{package}.{path.stem}." for path in modules)
    names = {name for path in modules for name in imported(path.read_text(encoding="utf-8"), package)}
    assert {name for name in names if not name.startswith(own)} == SHARED[package]


@pytest.mark.parametrize(
    "line",
    [
        "import td_gym.scenarios.sales.manners",
        "import td_gym.scenarios.sales.manners as m",
        "from td_gym.scenarios.sales import manners",
        "from td_gym.scenarios.sales.manners import repetition",
        "from . import manners",
        "from .manners import repetition",
        "def f():\n    from ..sales import manners",
    ],
)
def test_no_form_of_import_passes_unseen(line: str) -> None:
    (name,) = imported(line, sales.__name__)
    assert name.startswith("td_gym.scenarios.sales.manners")
