"""``td-gym envs``: what there is to choose from."""

from __future__ import annotations

import argparse
from typing import Any

import td_gym
from td_gym.registration import make_scenario

DESCRIPTION = """\
List the environments with their seats, budgeted cost, simulated customers and populations.

Floors are the simplest agents; what does not beat them has learnt nothing. --customer, --population
and --agent of the other commands take the names listed here.
"""
EXAMPLES = """\
example:
  td-gym envs
"""


def add(commands: Any) -> None:
    """Add the subcommand to ``commands``."""
    parser = commands.add_parser(
        "envs", help="list environments, seats, costs, customers", description=DESCRIPTION, epilog=EXAMPLES
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print one paragraph per environment."""
    for env_id, strategy_id in zip(td_gym.env_ids(), td_gym.strategy_ids(), strict=True):
        scenario = make_scenario(env_id)
        print(f"{env_id}; without a language model {strategy_id}")
        print(f"  scenario     {scenario.name} {scenario.version}, wording {scenario.wording_version}")
        print(f"  seats        {', '.join(scenario.seats)}; at most {scenario.max_turns} service turns")
        for name, spec in scenario.costs.items():
            if spec.limit is not None:
                print(
                    f"  budget       {name}: {spec.description.rstrip('.')}; limit {spec.limit:g} a dialogue on average"
                )
        others = [name for name, spec in scenario.costs.items() if not spec.budgeted]
        print(f"  other costs  {', '.join(others)}")
        print(f"  strategies   {', '.join(scenario.strategies)}")
        print(f"  tools        {', '.join(scenario.tools) or 'none'}")
        print(f"  customers    {', '.join(scenario.customers)}")
        print(f"  populations  {', '.join(scenario.populations)}")
        print(f"  floors       {', '.join(scenario.floors)}")
        print(f"  references   {', '.join(scenario.references())}")
    return 0
