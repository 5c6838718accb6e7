"""``td-gym leaderboard``: several results as one table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evals import leaderboard
from evals.files import check_other, write_text
from td_gym.errors import TdGymError
from td_gym.registration import scenario_class

DESCRIPTION = """\
Merge the results.json of several evaluations or studies into one Markdown table.

With --out the table is written there and, where matplotlib is installed (pip install
"td-gym[evals]"), figures of session reward against budgeted cost beside it as PNGs.
"""
EXAMPLES = """\
examples:
  td-gym leaderboard runs/compare
  td-gym leaderboard runs/mine results/food_dispute_headline --out runs/leaderboard.md
"""


def add(commands: Any) -> None:
    """Add the subcommand to ``commands``."""
    parser = commands.add_parser(
        "leaderboard", help="merge results into one table", description=DESCRIPTION, epilog=EXAMPLES
    )
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="DIR_OR_FILE",
        help="a results.json, or a folder that holds some, at most three folders down",
    )
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="MODULE:ID",
        help="an environment of your own among these results, with the module that registers it; repeatable",
    )
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="METRIC",
        help="show this metric of the results files too, such as engagement; repeatable",
    )
    parser.add_argument("--out", type=Path, metavar="PATH", help="write the Markdown table to PATH (default: print it)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print or write the merged table."""
    for env in args.env:
        scenario_class(env)
    found = leaderboard.find(args.paths)
    if args.out is not None:
        _check_out(args.out, found)
    board = leaderboard.merge(found)
    page = leaderboard.as_markdown(board, args.column)
    if lacking := leaderboard.absent(board, args.column):
        print(f"note: no agent in these results has {', '.join(lacking)}", file=sys.stderr)  # stdout is the table's
    if args.out is None:
        sys.stdout.write(page)
        return 0
    write_text(args.out, page)
    print(f"wrote {args.out}")
    try:
        pictures = leaderboard.draw(board, args.out.with_suffix(".png"))
    except TdGymError as error:
        print(f"no figure: {error}")
        return 0
    for picture in pictures:
        print(f"wrote {picture}")
    return 0


def _check_out(out: Path, found: Sequence[Path]) -> None:
    """Raise ``TdGymError`` where the table cannot be written to ``out``."""
    if out.is_dir():
        raise TdGymError(f"--out {str(out)!r} is a folder; name a file, for example leaderboard.md in it.")
    if out.suffix.lower() == ".png":
        raise TdGymError(f"--out {str(out)!r} is for the table, figures come beside it; name it .md.")
    check_other(out, found)
