"""``td-gym respond-multiwoz``: responses of our own agents on MultiWOZ, for ``td-gym score-multiwoz``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from evals.commands.arguments import add_device, add_temperature, non_negative_int, positive_int
from evals.files import check_writable, write_json
from td_gym.errors import TdGymError
from td_gym.scenario import SPLITS

DESCRIPTION = """\
Let an agent answer the customers of MultiWOZ's recorded dialogues, and write its responses,
delexicalised, with belief states and active domains, as td-gym score-multiwoz reads them.

The agent holds every dialogue in td_gym/MultiWOZ-v0 with the published tables: it reads what the
customer said, its own replies and what its look-ups answered, nothing else of the recording. The
customer says what it said, whatever it is told. docs/multiwoz.md says how states, domains and
placeholders come about. Beside FILE stands FILE.provenance.json: where it came from.

An agent SPEC is one of td-gym evaluate, without the oracle: a recording has no hidden facts to know.
"""
EXAMPLES = """\
examples:
  td-gym respond-multiwoz --agent scripted --data multiwoz --out responses.json
  td-gym respond-multiwoz --agent runs/more --data multiwoz --temperature 0 --limit 20 --out try.json
  td-gym score-multiwoz responses.json --data evaluation --out scores.json
"""


def add(commands: Any) -> None:
    """Add the subcommand to ``commands``."""
    parser = commands.add_parser(
        "respond-multiwoz",
        help="let an agent answer MultiWOZ's recorded customers",
        description=DESCRIPTION,
        epilog=EXAMPLES,
    )
    parser.add_argument("--agent", required=True, metavar="SPEC", help="agent, see above")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="MultiWOZ's data, see td-gym data")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="write the responses to FILE as JSON")
    parser.add_argument("--split", default="test", choices=SPLITS, help="dialogues to answer")
    parser.add_argument("--limit", type=positive_int, metavar="N", help="the first N dialogues only (default: all)")
    parser.add_argument("--seed", type=non_negative_int, default=0, metavar="S", help="seed of the agent's draws")
    add_temperature(parser)
    add_device(parser)
    parser.add_argument("--force", action="store_true", help="replace an earlier FILE")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Let the agent answer, and write the files."""
    from agents.agent import make
    from agents.devices import check_device
    from evals.multiwoz.respond import Tolerated, respond
    from evals.progress import Progress
    from evals.provenance import provenance
    from evals.runner import agent_names
    from evals.scores import versions
    from td_gym.scenarios.multiwoz.files import load_dialogues
    from td_gym.scenarios.multiwoz.recorded import RecordedCustomers

    if args.out.is_dir():
        raise TdGymError(f"--out {str(args.out)!r} is a folder; name a file, for example responses.json in it.")
    if args.out.exists() and args.out.stat().st_size and not args.force:  # an empty file has nothing to lose
        raise TdGymError(f"{str(args.out)!r} exists; add --force to replace it, or name another --out.")
    check_device(args.device)
    check_writable(args.out.parent)
    recordings = load_dialogues(args.data, args.split)[: args.limit]
    scenario = RecordedCustomers(args.data, recordings)
    made = make(args.agent, scenario=scenario, temperature=args.temperature, device=args.device)
    if getattr(made, "needs_episode", False):
        raise TdGymError(f"Agent {args.agent!r} needs the running episode, which a recording is not; take another.")
    (name,) = agent_names([args.agent])
    agent = Tolerated(made, scenario)
    with Progress(name, len(recordings)) as progress:
        predictions = respond(scenario, name, agent, args.split, args.seed, progress.advance)
    write_json(args.out, predictions)
    source = provenance(
        ["td-gym", *args.argv],
        agent=name,
        split=args.split,
        dialogues=len(predictions),
        invalid_messages=agent.silenced,
        seed=args.seed,
        temperature=args.temperature,
        device=args.device,
        **versions(scenario),
    )
    write_json(args.out.with_name(f"{args.out.name}.provenance.json"), source)
    turns = sum(map(len, predictions.values()))
    print(
        f"{len(predictions)} dialogues, {turns} turns; messages that were not valid, taken for silence: "
        f"{agent.silenced}.\nwrote {args.out}"
    )
    return 0
