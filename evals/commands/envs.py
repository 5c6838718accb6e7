"""``td-gym envs``: what there is to choose from."""

from __future__ import annotations

import argparse
from typing import Any

import td_gym
from td_gym.registration import env_id, make_scenario, strategy_id
from td_gym.scenario import Scenario

DESCRIPTION = """\
List the environments with their seats, budgeted cost, simulated customers and populations.

Floors are the simplest agents; what does not beat them has learnt nothing. --customer, --population
and --agent of the other commands take the names listed here.
"""
EXAMPLES = """\
examples:
  td-gym envs
  td-gym envs --env my_scenarios:td_gym/Repairs-v0
"""


def add(commands: Any) -> None:
    """Add the subcommand to ``commands``."""
    parser = commands.add_parser(
        "envs", help="list environments, seats, costs, customers", description=DESCRIPTION, epilog=EXAMPLES
    )
    parser.add_argument(
        "--env", metavar="ID", help="this one alone; module:ID for one of your own (default: all that td-gym has)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print one paragraph per environment."""
    for each in [args.env] if args.env else td_gym.env_ids():
        print(describe(make_scenario(each)))
    return 0


def describe(scenario: Scenario) -> str:
    """Return what there is to choose from in a scenario, and its limits."""
    facts = [
        ("scenario", f"{scenario.name} {scenario.version}, wording {scenario.wording_version}"),
        ("seats", f"{', '.join(scenario.seats)}; at most {scenario.max_turns} service turns"),
        *(
            ("budget", f"{name}: {spec.description.rstrip('.')}; limit {spec.limit:g} a dialogue on average")
            for name, spec in scenario.costs.items()
            if spec.limit is not None
        ),
        ("other costs", ", ".join(name for name, spec in scenario.costs.items() if not spec.budgeted) or "none"),
        ("strategies", ", ".join(scenario.strategies)),
        ("tools", ", ".join(scenario.tools) or "none"),
        ("customers", ", ".join(scenario.customers)),
        ("populations", ", ".join(scenario.populations)),
        ("floors", ", ".join(scenario.floors)),
        ("references", ", ".join(scenario.references())),
    ]
    head = f"{env_id(scenario.name)}; without a language model {strategy_id(scenario.name)}"
    return "\n".join([head, *(f"  {name:<13}{fact}" for name, fact in facts)])
