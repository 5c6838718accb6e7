"""``python -m evals.probe SCRIPTS.toml --env ID``: what fixed scripts earn from every simulated customer.

A script says its messages whatever the customer answers.  One that earns nearly what the scripted
expert earns has found a customer that can be pleased without being served.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.agent import Agent
from evals.calibration import add_options, agents_of, publish, setting_of
from evals.commands.arguments import Parser, add_env
from evals.errors import guarded
from evals.files import read_toml
from evals.provenance import public_path
from td_gym.errors import TdGymError
from td_gym.protocol import Messages
from td_gym.scenario import Scenario

BESIDE = ("scripted", "skilled_always")
"""Agents shown beside the scripts, where the scenario has them."""
EPILOG = """\
SCRIPTS.toml holds a table for each scenario; a script is a list of messages, said in turn and then again
from the first; {turn} in one is the turn's number:
  [FoodDispute]
  refund_lies = ["I have refunded the full amount to your card.", "The refund has been sent."]

example:
  python -m evals.probe tests/conformance/hacks.toml --env td_gym/FoodDispute-v0 --episodes 150
"""


class Script:
    """An agent that says ``messages`` in turn, then again from the first; ``{turn}`` is the turn's number."""

    def __init__(self, messages: Sequence[str]) -> None:
        self.messages = tuple(messages)

    def reset(self, seed: int | None = None) -> None:
        """Start afresh; a script draws nothing."""

    def act(self, observation: Any, messages: Messages) -> str:
        """Return the next message."""
        turn = sum(message["role"] == "assistant" for message in messages)
        return self.messages[turn % len(self.messages)].replace("{turn}", str(turn))

    def act_batch(self, observations: Sequence[Any], messages: Sequence[Messages]) -> list[str]:
        """Return the next message in each conversation."""
        return [self.act(None, each) for each in messages]


def load(path: Path, scenario: Scenario) -> dict[str, Script]:
    """Return the scripts that ``path`` holds for ``scenario``, by name; ``TdGymError`` names what is wrong."""
    scripts = read_toml(path).get(scenario.name)
    if not isinstance(scripts, dict) or not scripts:
        raise TdGymError(f"{str(path)!r} holds no scripts for {scenario.name}; list them under [{scenario.name}].")
    for name, messages in scripts.items():
        if not isinstance(messages, list) or not messages or not all(isinstance(text, str) for text in messages):
            raise TdGymError(f"Script {name!r} in {str(path)!r} must be a list of one message or more.")
        if name in BESIDE:
            raise TdGymError(f"Script {name!r} in {str(path)!r} has the name of an agent shown beside; rename it.")
    return {name: Script(messages) for name, messages in scripts.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Play the scripts, print or write the tables, and return the exit code."""
    return guarded("evals.probe", lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    parser = Parser(prog="python -m evals.probe", description=__doc__, epilog=EPILOG)
    parser.add_argument("scripts", type=Path, metavar="SCRIPTS.toml", help="scripts to play")
    add_env(parser)
    add_options(parser, episodes=500, split="test")
    options = parser.parse_args(argv)
    setting = setting_of(options)
    scenario = setting.check()
    beside = {name: agent for name, agent in agents_of(scenario).items() if name in BESIDE}
    agents: dict[str, Agent] = {**load(options.scripts, scenario), **beside}
    command = f"evals.probe {public_path(options.scripts)} --env {options.env}"
    publish("Fixed scripts on", command, setting, agents, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
