"""``td-gym score-multiwoz``: the standard scores of responses on MultiWOZ."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals import tables
from evals.escaping import printable
from evals.files import check_other, check_writable, write_json
from evals.multiwoz import DOMAIN_SOURCES
from td_gym.errors import TdGymError

if TYPE_CHECKING:
    from evals.multiwoz.files import Benchmark
    from evals.multiwoz.score import Predictions, Scores

DESCRIPTION = """\
Score delexicalised responses on MultiWOZ: Inform, Success, BLEU, Combined and richness of language,
by the standard procedure (arXiv 2106.05555).

PREDICTIONS is JSON, {"sng0073": [{"response": TEXT, "state": {DOMAIN: {SLOT: VALUE}},
"active_domains": [DOMAIN]}, ...], ...}. Without states the benchmark's own are taken; docs/multiwoz.md
says which files --data needs. Needs pip install "td-gym[evals]".

The domains that a turn is about:
  shipped    active_domains of the file, or where they are missing the same as state
  state      the domain whose state changed last
  slots      domains in the names of placeholders, [hotel_name]
"""
EXAMPLES = """\
examples:
  td-gym score-multiwoz predictions.json --data evaluation --out scores.json
  td-gym score-multiwoz predictions.json --data evaluation --domains slots --out scores.json
"""


def add(commands: Any) -> None:
    """Add the subcommand to ``commands``."""
    parser = commands.add_parser(
        "score-multiwoz", help="score responses on MultiWOZ", description=DESCRIPTION, epilog=EXAMPLES
    )
    parser.add_argument("predictions", type=Path, metavar="PREDICTIONS", help="JSON file of responses, see above")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="folder of the benchmark's data")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="write the scores to FILE as JSON")
    parser.add_argument(
        "--domains",
        default="shipped",
        choices=DOMAIN_SOURCES,
        help="where the domains that a turn is about come from",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Score, write the file and print the table."""
    from evals.multiwoz.files import Benchmark, read_predictions
    from evals.multiwoz.score import score

    if args.out.is_dir():
        raise TdGymError(f"--out {str(args.out)!r} is a folder; name a file, for example scores.json in it.")
    check_other(args.out, [args.predictions])
    check_writable(args.out.parent)
    predictions, benchmark = read_predictions(args.predictions), Benchmark(args.data)
    check_other(args.out, benchmark.files())
    benchmark.check_knows(predictions, args.predictions)
    scores = score(predictions, benchmark, args.domains)
    write_json(args.out, asdict(scores))
    print("\n".join(notes(predictions, benchmark, args.domains)))
    print(f"\n{tables.text(rows(scores))}\n\nwrote {args.out}")
    return 0


def notes(predictions: Predictions, benchmark: Benchmark, domains: str) -> list[str]:
    """Return what the scores were computed from, a line each."""
    from evals.multiwoz.normalise import unknown_placeholders
    from evals.multiwoz.score import all_have, domain_source

    turns = [turn for dialogue in predictions.values() for turn in dialogue]
    states = "the file" if all_have(predictions, "state") else benchmark.states_path.name
    dropped = Counter(name for turn in turns for name in unknown_placeholders(turn.response))
    lines = [
        f"{len(predictions)} dialogues, {len(turns)} turns.",
        f"Active domains: {domain_source(predictions, domains)}; states: {states}; "
        f"references: {benchmark.references_path.name}.",
    ]
    if dropped:
        listed = ", ".join(f"[{printable(name)}] {count}" for name, count in dropped.most_common(10))
        lines.append(f"Placeholders of no known class, dropped: {listed}.")
    return lines


def rows(scores: Scores) -> list[list[str]]:
    """Return heading and row of the table."""
    figures = {name: figure for name, figure in asdict(scores).items() if name != "dialogues"}
    shown = [str(figure) if isinstance(figure, int) else f"{figure:.2f}" for figure in figures.values()]
    return [[*figures], shown]
