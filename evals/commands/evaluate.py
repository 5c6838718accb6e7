"""``td-gym evaluate``: agents on the same customers, with intervals."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.agent import Agent
from evals import tables, transcripts
from evals.commands.arguments import (
    add_device,
    add_env,
    add_servers,
    add_temperature,
    asked_of,
    check_recording,
    conversations,
    non_negative_int,
    positive_int,
    servers,
)
from evals.escaping import printable
from evals.files import check_writable, write_json, write_text
from evals.runner import Evaluation, Setting, evaluate, make_agents, with_verdicts
from td_gym.errors import TdGymError
from td_gym.llm.client import Client
from td_gym.llm.models import Models
from td_gym.scenario import LLM

_WRITTEN = ("dialogues.jsonl", "results.json")
AUDIT = ("audit.json", "audit.md")
"""What td-gym audit leaves."""
TRANSCRIPTS = "transcripts"
"""Folder in ``--out`` for transcripts."""

DESCRIPTION = """\
Let agents talk to the same simulated customers and score them.

Dialogue i has seed SEED + i in the split, so all agents meet the same customers with the same
orders. Writes into --out dialogues.jsonl (every dialogue) whenever an agent is through, and at the
end, also if an agent or a server fails, results.json (means, 95 % intervals, paired differences,
where it came from), and prints a table. Results already there are kept unless --force replaces them.

An agent SPEC is one of
  scripted             the reference agent: reads the briefing, follows the procedure
  oracle               knows what is hidden; an upper reference, never a baseline
  random, do_nothing   floors of every scenario, which may have more, see td-gym envs
  tiny                 the shipped small language model (needs pip install "td-gym[train]")
  tiny-planned         the same once it has learnt to plan before it writes, where gopo begins
  DIRECTORY            what td-gym train wrote, or a Hugging Face model directory
  HUB_ID               a model downloaded before with hf download
  openai:MODEL@URL     a model on a server; #text behind the URL if that has no tool calling
  package.module:factory     your own: factory() returns an object with reset(seed=None) and
                       act(observation, messages) -> str
"""
EXAMPLES = """\
examples:
  td-gym evaluate --env td_gym/FoodDispute-v0 --agent scripted --agent random --out runs/first
  td-gym evaluate --env td_gym/FoodDispute-v0 --agent tiny --agent runs/cmpo --episodes 1000 --out runs/compare
  td-gym evaluate --env td_gym/FoodDispute-v0 --agent runs/cmpo --customer scripted_b --out runs/transfer
  td-gym evaluate --env td_gym/FoodDispute-v0 --agent my_agents:make_agent --save-transcripts 10 --out runs/mine
  td-gym evaluate --env td_gym/FoodDispute-v0 --agent scripted --customer llm:qwen@http://localhost:8000/v1 \\
    --record runs/llm/tape.jsonl --out runs/llm/scripted
"""


def add(commands: Any) -> None:
    """Add the subcommand to ``commands``."""
    parser = commands.add_parser(
        "evaluate", help="score agents on the same customers", description=DESCRIPTION, epilog=EXAMPLES
    )
    add_env(parser)
    parser.add_argument(
        "--agent", required=True, action="append", metavar="SPEC", help="agent to score, see above; repeatable"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for results and dialogues")
    parser.add_argument("--episodes", type=positive_int, default=200, metavar="N", help="dialogues per agent")
    parser.add_argument("--seed", type=non_negative_int, default=0, metavar="S", help="seed of the first dialogue")
    parser.add_argument("--split", default="test", metavar="NAME", help="train, validation or test customers")
    parser.add_argument(
        "--customer", metavar="NAME", help="simulated customer, or llm:MODEL@URL (default: the environment's first)"
    )
    parser.add_argument("--population", metavar="NAME", help="population of personas (default: the environment's)")
    parser.add_argument(
        "--scenarios", type=Path, metavar="FILE", help="draw cases from this parquet file of the FDS data"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="published data of MultiWOZ, see td-gym data")
    add_temperature(parser)
    add_device(parser)
    parser.add_argument("--judge", metavar="llm:MODEL@URL", help="let a model mark every dialogue by four principles")
    add_servers(parser)
    parser.add_argument(
        "--save-transcripts",
        type=non_negative_int,
        default=0,
        metavar="K",
        help="write the first K dialogues of each agent as Markdown and HTML",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace an earlier evaluation in --out, its audit, and every .md and .html among its transcripts",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate, write the files and print the table."""
    setting = Setting(**conversations(args), scenarios=args.scenarios, data_dir=args.data, temperature=args.temperature)
    setting.check()
    check_recording(args.record, args.out, _WRITTEN)
    with servers(args) as models:
        setting = replace(setting, models=models)
        agents = make_agents(args.agent, setting)
        _check_free(args.out, args.force)
        check_writable(args.out)
        judge = models.client(_judge(args.judge)) if args.judge else None
        evaluation, results = _hold(setting, agents, judge, args, models)
    show(results)
    print(f"\nwrote {args.out / 'results.json'} and {args.out / 'dialogues.jsonl'}")
    if args.save_transcripts:
        for name, records in evaluation.records().items():
            for path in transcripts.write(args.out / TRANSCRIPTS, name, records, args.save_transcripts):
                print(f"wrote {path}")
    return 0


def _hold(
    setting: Setting, agents: Mapping[str, Agent], judge: Client | None, args: argparse.Namespace, models: Models
) -> tuple[Evaluation, dict[str, Any]]:
    """Hold the dialogues, let a ``judge`` mark them, and write them and their results.

    Where that fails, what the agents said that were through, and its results, are kept.
    """
    held = Evaluation(setting, {})

    def keep(so_far: Evaluation) -> None:
        nonlocal held
        if not held.dialogues:
            _remove_earlier(args.out)
        held = so_far
        write_text(args.out / "dialogues.jsonl", held.as_jsonl())

    try:
        evaluate(setting, agents, ended=keep)
        if judge is not None:
            keep(with_verdicts(held, judge))
    except BaseException:
        if held.dialogues:
            _write_results(held, args, models)
            kept = ", ".join(held.dialogues)
            print(printable(f"{str(args.out)!r} holds the results of {kept}."), file=sys.stderr)
        raise
    return held, _write_results(held, args, models)


def _write_results(evaluation: Evaluation, args: argparse.Namespace, models: Models) -> dict[str, Any]:
    """Write ``results.json``; return its content."""
    results = evaluation.results(["td-gym", *args.argv], **asked_of(models))
    write_json(args.out / "results.json", results)
    return results


def _judge(spec: str) -> str:
    """Return the model of a judge ``llm:MODEL@URL``."""
    if not spec.startswith(LLM):
        raise TdGymError(f"A judge is {LLM}MODEL@URL, not {spec!r}; the judges that are rules always mark.")
    return spec.removeprefix(LLM)


def _check_free(out: Path, force: bool) -> None:
    """Refuse to replace results and audits unless it is to be forced, and transcripts of no evaluation always."""
    held = [name for name in (*_WRITTEN, *AUDIT) if (out / name).exists()]
    if held and not force:
        raise TdGymError(
            f"{str(out)!r} already holds {' and '.join(held)}; add --force to replace them, or take another --out."
        )
    if not held and any((out / TRANSCRIPTS).glob("*")):
        raise TdGymError(
            f"{str(out / TRANSCRIPTS)!r} is not empty and no results.json stands beside it, so no evaluation wrote it; "
            "move it away, or take another --out."
        )


def _remove_earlier(out: Path) -> None:
    """Remove what an earlier evaluation in ``out`` left, and an audit of it."""
    for name in (*_WRITTEN, *AUDIT):
        (out / name).unlink(missing_ok=True)
    for page in (out / TRANSCRIPTS).glob("*"):
        if page.suffix in (".md", ".html"):
            page.unlink()


def show(results: dict[str, Any]) -> None:
    """Print the table with what its intervals and marks mean."""
    print(f"{results['env']}, split {results['split']}, customer {results['customer']}.")
    print(f"Intervals: {results['provenance']['interval']}.\n{tables.note_trained_on([results['env']])}\n")
    print(tables.text(tables.rows(results)))
