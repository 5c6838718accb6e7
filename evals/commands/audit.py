"""``td-gym audit``: what simulated customers do wrong, next to the scores."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evals import audit_report
from evals.audit import audit, summed_up
from evals.commands.arguments import (
    add_device,
    add_env,
    add_servers,
    asked_of,
    check_recording,
    conversations,
    non_negative_int,
    positive_int,
    servers,
)
from evals.commands.evaluate import AUDIT
from evals.dialogue import Dialogue, as_jsonl, read_dialogues
from evals.files import check_writable, write_json, write_text
from evals.provenance import provenance, public
from evals.runner import Setting, evaluate, make_agents
from evals.scores import customers_of, versions
from td_gym.errors import TdGymError
from td_gym.json_data import field_of, read_json, text_of
from td_gym.registration import make_scenario
from td_gym.scenario import Scenario

EPISODES = 200
_HOLDING = ("env", "customer", "agent", "episodes", "seed", "split", "device", "record", "replay")
"""Options that say how dialogues are held, and mean nothing where they have been."""
_WRITTEN = ("dialogues.jsonl", *AUDIT)

DESCRIPTION = """\
Say how often simulated customers are at fault, with examples: whether a customer left its role or
acted against its card, contradicted its facts or its goal, ended too early or without reason,
revealed its instructions, or went in circles.

With a folder that td-gym evaluate wrote, its dialogues are audited and audit.json and audit.md are
written beside its scores. Without one, dialogues are held first, with each customer in turn.
Every fault is defined in docs/audit.md.
"""
EXAMPLES = """\
examples:
  td-gym audit runs/first
  td-gym audit --env td_gym/Sales-v0 --customer scripted --customer scripted_b
  td-gym audit --env td_gym/FoodDispute-v0 --customer llm:qwen@http://localhost:8000/v1 --episodes 100 \\
    --record runs/llm/tape.jsonl --out runs/llm/audit
"""


def add(commands: Any) -> None:
    """Add the subcommand to ``commands``."""
    parser = commands.add_parser(
        "audit", help="say what simulated customers do wrong", description=DESCRIPTION, epilog=EXAMPLES
    )
    parser.add_argument("run_dir", nargs="?", type=Path, metavar="RUN_DIR", help="folder of an evaluation")
    add_env(parser, required=False)
    parser.add_argument(
        "--customer",
        action="append",
        metavar="NAME",
        help="simulated customer, or llm:MODEL@URL; repeatable (default: all of the environment)",
    )
    parser.add_argument("--agent", metavar="SPEC", help="agent to talk to, as of td-gym evaluate (default: scripted)")
    parser.add_argument(
        "--episodes", type=positive_int, metavar="N", help=f"dialogues per customer (default: {EPISODES})"
    )
    parser.add_argument("--seed", type=non_negative_int, metavar="S", help="seed of the first dialogue (default: 0)")
    parser.add_argument("--split", metavar="NAME", help="train, validation or test customers (default: test)")
    parser.add_argument("--population", metavar="NAME", help="population of personas (default: that of RUN_DIR or env)")
    parser.add_argument("--scenarios", type=Path, metavar="FILE", help="parquet file of the FDS data that cases are of")
    parser.add_argument("--data", type=Path, metavar="DIR", help="published data of MultiWOZ, see td-gym data")
    add_device(parser, default=None)
    parser.add_argument(
        "--examples", type=non_negative_int, default=3, metavar="K", help="examples per fault and customer"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for audit.json and audit.md (default: RUN_DIR, else none)"
    )
    add_servers(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Audit, write the files and print a table per customer and agent."""
    if args.run_dir is None and args.env is None:
        raise TdGymError("Name the folder of an evaluation, or an environment by --env; see `td-gym audit --help`.")
    out = args.out or args.run_dir
    scenario, held, more = _hold(args) if args.run_dir is None else _read(args)
    env, split = held[0][0].env, held[0][0].split
    found = []
    for dialogues in held:
        rates = summed_up([audit(dialogue, scenario) for dialogue in dialogues], args.examples)
        found.append((rates, audit_report.scores(dialogues)))
    print(f"{env}, split {split}.\n{audit_report.notes(env)}")
    for rates, scored in found:
        print(f"\n{audit_report.as_text(rates, env, scored)}")
    if out is not None:
        source = provenance(["td-gym", *args.argv], **versions(scenario), **more)
        audits = [audit_report.as_json(rates, scored) for rates, scored in found]
        if args.run_dir is None:
            write_text(out / "dialogues.jsonl", as_jsonl(each for dialogues in held for each in dialogues))
        write_json(out / "audit.json", {"env": env, "split": split, "audits": audits, "provenance": source})
        write_text(out / "audit.md", audit_report.as_markdown(env, split, found))
        print(f"\nwrote {out / 'audit.json'} and {out / 'audit.md'}")
    return 0


def _hold(args: argparse.Namespace) -> tuple[Scenario, list[Sequence[Dialogue]], dict[str, Any]]:
    """Hold dialogues of every customer with the agent; return them with the scenario and how they were held."""
    options = {"episodes": EPISODES, **conversations(args)}
    names = options.pop("customer", None)
    setting = Setting(**options, scenarios=args.scenarios, data_dir=args.data)
    scenario = setting.check()
    if args.out is not None:
        _check_free(args)
        check_writable(args.out)
    with servers(args) as models:
        settings = [replace(setting, customer=name, models=models) for name in names or scenario.customers]
        for each in settings:
            scenario.check_customer(each.customer)
        held: list[Sequence[Dialogue]] = []
        for each in settings:
            held += evaluate(each, make_agents([args.agent or "scripted"], each)).dialogues.values()
    about = {"episodes": setting.episodes, "seed": setting.seed, **customers_of(setting, scenario)}
    return scenario, held, about | asked_of(models)


def _check_free(args: argparse.Namespace) -> None:
    """Refuse to replace other results in ``--out``, and a recording that results would be written over."""
    for name in ("results.json", *_WRITTEN):
        if (args.out / name).exists():
            raise TdGymError(f"{str(args.out)!r} already holds {name}; take another --out.")
    check_recording(args.record, args.out, _WRITTEN)


def _read(args: argparse.Namespace) -> tuple[Scenario, list[Sequence[Dialogue]], dict[str, Any]]:
    """Return the dialogues of an evaluation by customer and agent, with the scenario and where they come from."""
    for name in _HOLDING:
        if getattr(args, name) is not None:
            raise TdGymError(f"An evaluation is audited as it was held; leave out --{name}, or {str(args.run_dir)!r}.")
    dialogues = read_dialogues(args.run_dir / "dialogues.jsonl")
    held: dict[tuple[str, str, str, str], list[Dialogue]] = {}
    for dialogue in dialogues:
        held.setdefault((dialogue.env, dialogue.split, dialogue.customer, dialogue.agent), []).append(dialogue)
    (env, split, *_), *others = held
    if any((each[0], each[1]) != (env, split) for each in others):
        raise TdGymError(f"{str(args.run_dir)!r} holds dialogues of several environments or splits; audit each alone.")
    population = args.population or _population(args.run_dir / "results.json")
    scenario = make_scenario(env, population=population, scenarios=args.scenarios, data_dir=args.data)
    if args.out is not None and args.out.resolve() != args.run_dir.resolve():
        _check_free(args)
    check_writable(args.out or args.run_dir)
    return scenario, [*held.values()], {"population": population, "audited": public(str(args.run_dir))}


def _population(path: Path) -> str:
    """Return the population that an evaluation was held with."""
    source = field_of(read_json(path), "provenance", repr(str(path)))
    return text_of(source, "population", f"{str(path)!r}: provenance")
