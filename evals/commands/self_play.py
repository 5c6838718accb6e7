"""``td-gym self-play``: a service agent and a customer trained in turn."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals import tables
from evals.commands.arguments import add_env, add_learning, check_split, learning, next_evaluation, positive_int
from evals.files import check_writable, write_text
from td_gym.errors import TdGymError

DESCRIPTION = """\
Train a service agent and a customer in turn, each against the other's latest weights.

Needs pip install "td-gym[train]", and weights that play a customer: python -m agents.tiny --seat
customer. Round k leaves the run directories service-k and customer-k in --out; service-k is an agent
for td-gym evaluate. At the end stands what both seats earned, in the terminal and in rounds.md. With
--resume a command that was stopped goes on, finished runs are not repeated, and more --rounds follow.
"""
EXAMPLES = """\
examples:
  python -m agents.tiny --env td_gym/Sales-v0 --seat customer --tokens 4M --out runs/customer
  td-gym self-play --env td_gym/Sales-v0 --customer-model runs/customer --rounds 3 --steps 10 --out runs/self-play
"""


def add(commands: Any) -> None:
    """Add the subcommand to ``commands``."""
    parser = commands.add_parser(
        "self-play", help="train service agent and customer in turn", description=DESCRIPTION, epilog=EXAMPLES
    )
    add_env(parser)
    parser.add_argument("--model", default="tiny", metavar="MODEL", help="the service agent's first weights")
    parser.add_argument("--customer-model", required=True, metavar="MODEL", help="the customer's first weights")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the run directories")
    parser.add_argument("--rounds", type=positive_int, default=3, metavar="N", help="turns of each seat to learn")
    parser.add_argument("--method", default="grpo", metavar="METHOD", help="how the service agent learns")
    parser.add_argument(
        "--customer-method", default="grpo", metavar="METHOD", help="how the customer learns: ppo, grpo or dpo"
    )
    add_learning(parser)
    parser.add_argument("--resume", action="store_true", help="go on with the rounds in --out")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train the rounds, and show and write what both seats earned."""
    from agents.self_play import self_play
    from agents.trainer import TrainConfig

    check_split(args.split)
    check_writable(args.out)
    if not args.resume and any(args.out.iterdir()):
        raise TdGymError(
            f"{str(args.out)!r} is not empty; add --resume to go on with its rounds, or take another --out."
        )
    common = learning(args)

    service = TrainConfig(args.method, args.env, args.out / "service", args.model, **common)
    customer = TrainConfig(args.customer_method, args.env, args.out / "customer", args.customer_model, **common)
    table = _table(self_play(service, customer, args.rounds))
    write_text(args.out / "rounds.md", tables.markdown(table) + "\n")
    print(tables.text(table))
    print(next_evaluation(args.env, args.out / f"service-{args.rounds}", args))
    return 0


def _table(earned: Sequence[Mapping[str, Sequence[float]]]) -> list[list[str]]:
    """Return the session rewards of the first and the last update of every run, a line each round."""
    seats = ("service", "customer")
    rows = [["round", *(f"{seat}, {when} update" for seat in seats for when in ("first", "last"))]]
    for number, rewards in enumerate(earned, 1):
        rows.append([str(number), *(f"{rewards[seat][place]:.2f}" for seat in seats for place in (0, -1))])
    return rows
