"""The ``td-gym`` command and its subcommands, one module each in ``evals.commands``."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from evals.commands.arguments import Parser
from evals.errors import guarded
from td_gym.errors import TdGymError

DESCRIPTION = """\
Train and compare language-model service agents that talk to simulated customers within a budget.

A first look, without any training:
  td-gym envs
  td-gym evaluate --env td_gym/FoodDispute-v0 --agent scripted --agent random --episodes 100 --out runs/first
  td-gym play --env td_gym/FoodDispute-v0

Train a small model and compare it with its start (needs pip install "td-gym[train]"):
  td-gym train cmpo --env td_gym/FoodDispute-v0 --model tiny --out runs/cmpo --steps 40
  td-gym evaluate --env td_gym/FoodDispute-v0 --agent tiny --agent runs/cmpo --episodes 500 --out runs/compare
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: the process's own) and return the exit code."""
    return guarded("td-gym", lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    check_packages()
    import_from_here()
    words = sys.argv[1:] if argv is None else list(argv)
    args, unknown_words = build_parser().parse_known_args(words)
    if unknown_words:  # argparse would name the whole program's help
        command = next(word for word in words if not word.startswith("-"))
        raise TdGymError(f"Unrecognized arguments: {' '.join(unknown_words)}; see `td-gym {command} --help`.")
    args.argv = words
    code: int = args.run(args)
    return code


def build_parser() -> Parser:
    """Return the parser of the whole command.

    The subcommands are imported here, after ``check_packages``: with a hidden package their imports
    would fail in ways that say nothing to a user.
    """
    from evals.commands import (
        audit,
        data,
        envs,
        evaluate,
        leaderboard,
        play,
        respond_multiwoz,
        score_multiwoz,
        self_play,
        train,
    )

    parser = Parser(prog="td-gym", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"td-gym {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    for command in (envs, play, train, self_play, evaluate, audit, leaderboard, data, respond_multiwoz, score_multiwoz):
        command.add(commands)
    return parser


def check_packages(names: Sequence[str] = ("personas", "agents", "evals")) -> None:
    """Raise ``TdGymError`` when another distribution's package hides one of ours.

    The names are common; ours lie in the same folder as ``td_gym``.
    """
    home = _folder("td_gym")
    for name in names:
        found = _folder(name)
        if found != home:
            raise TdGymError(
                f"The package {name!r} in use lies in {found}, not beside td_gym in {home}: another distribution or "
                f"folder of that name hides td-gym's; uninstall or rename it, or install td-gym in its own environment."
            )


def import_from_here() -> None:
    """Put the working folder on the import path, as ``python -m`` does and a console script does not.

    Called when ``check_packages`` has imported ours, so that no folder of the user's hides them.
    """
    here = os.getcwd()
    if not sys.flags.safe_path and not {"", here} & set(sys.path):
        sys.path.insert(0, here)


def _folder(package: str) -> Path:
    module = importlib.import_module(package)
    place = module.__file__ or next(iter(module.__path__)) + "/__init__.py"
    return Path(place).resolve().parent.parent


def _version() -> str:
    try:
        return version("td-gym")
    except PackageNotFoundError:
        return "(not installed)"
