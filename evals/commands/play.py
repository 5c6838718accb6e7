"""``td-gym play``: a person in either seat."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from evals.asking import as_reply, ask, planned_by, restart
from evals.commands.arguments import (
    add_device,
    add_env,
    add_servers,
    conversations,
    non_negative_int,
    positive_int,
    servers,
)
from evals.commands.evaluate import show
from evals.dialogue import Dialogue, as_jsonl, read_dialogues
from evals.files import check_writable, write_json, write_text
from evals.play import Speaker, converse
from evals.recording import Recorder
from evals.runner import Setting, make_agents
from evals.scores import customers_of, results, versions
from td_gym.envs.batch import Ledger
from td_gym.episode import Episode
from td_gym.errors import TdGymError
from td_gym.json_data import as_object, field_of, read_json
from td_gym.registration import without_module
from td_gym.scenario import Scenario

DESCRIPTION = """\
Hold a conversation yourself, in the terminal.

In the service seat you answer a simulated customer; in the customer seat you complain to an agent.
You see the briefing of your seat, then write one line a turn; :help repeats the rules, :quit leaves.
With --save finished conversations are kept in DIR/dialogues.jsonl and scored like any agent's in
DIR/results.json: as row "human" from the service seat, and with customer "human" from the other.
Conversations saved earlier in DIR are kept and scored together; they must be of the same environment,
split, customer and population.
"""
EXAMPLES = """\
examples:
  td-gym play --env td_gym/FoodDispute-v0
  td-gym play --env td_gym/FoodDispute-v0 --episodes 5 --save runs/me
  td-gym play --env td_gym/FoodDispute-v0 --seat customer --agent tiny
"""


def add(commands: Any) -> None:
    """Add the subcommand to ``commands``."""
    parser = commands.add_parser(
        "play", help="talk to a customer or an agent yourself", description=DESCRIPTION, epilog=EXAMPLES
    )
    add_env(parser)
    parser.add_argument("--seat", default="service", choices=("service", "customer"), help="your seat")
    parser.add_argument(
        "--seed",
        type=non_negative_int,
        metavar="S",
        help="seed of the first conversation (default: 0, or where some are saved the next that is not)",
    )
    parser.add_argument(
        "--episodes", type=positive_int, default=1, metavar="N", help="conversations, one after the other"
    )
    parser.add_argument("--split", default="test", metavar="NAME", help="train, validation or test customers")
    parser.add_argument("--customer", metavar="NAME", help="simulated customer (default: the environment's first)")
    parser.add_argument("--population", metavar="NAME", help="population of personas (default: the environment's)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="published data of MultiWOZ, see td-gym data")
    parser.add_argument(
        "--agent",
        metavar="SPEC",
        help="who serves you in the customer seat, see td-gym evaluate (default: scripted)",
    )
    add_device(parser)
    add_servers(parser)
    parser.add_argument("--save", type=Path, metavar="DIR", help="keep and score finished conversations in DIR")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Hold the conversations, save and score them if asked to."""
    setting = Setting(**conversations(args), data_dir=args.data)
    setting.check()
    with servers(args) as models:
        return _play(args, replace(setting, models=models))


def _play(args: argparse.Namespace, setting: Setting) -> int:
    scenario = setting.scenario()
    name, begin = _others(args, setting, scenario)
    customer = "human" if args.seat == "customer" else setting.customer_name(scenario)
    known = {"env": without_module(args.env), "agent": name, "customer": customer}
    earlier: list[Dialogue] = []
    if args.save is not None:
        check_writable(args.save)
        earlier = _earlier(args.save, {**known, "split": args.split}, _fixed(setting, scenario))
    first = max((dialogue.seed for dialogue in earlier), default=-1) + 1 if args.seed is None else args.seed
    held: list[Dialogue] = []
    try:
        for number in range(args.episodes):
            episode = scenario.begin(first + number, args.split)
            recorder = Recorder()
            if not converse(episode, args.seat, begin(episode, number), sys.stdin, sys.stdout, recorder):
                break
            index = len(earlier) + len(held)
            held.append(recorder.dialogue(episode, **known, index=index))
    finally:  # what was said before a server failed is kept
        if args.save is not None and held:
            _save(args, setting, name, [*earlier, *held])
    return 0


def _others(
    args: argparse.Namespace, setting: Setting, scenario: Scenario
) -> tuple[str, Callable[[Episode, int], Speaker]]:
    """Return the name of the row to score, and how to find who speaks with the person in a conversation that begins.

    It is told the how-manieth it is, from 0.
    """
    if args.seat == "service":
        for name, stated in (("--agent", args.agent is not None), ("--device", args.device != "cpu")):
            if stated:
                raise TdGymError(
                    f"{name} is of the agent that serves you as a customer; add --seat customer, or leave it out."
                )
        customer = setting.simulated(scenario)
        return "human", lambda *_: lambda episode: (customer.reply_batch([episode])[0], "")
    ((name, agent),) = make_agents([args.agent or "scripted"], setting).items()

    def begin(episode: Episode, number: int) -> Speaker:
        restart(name, agent, setting.seed, number, episode.seed)
        return partial(_answer, name, agent)

    return name, begin


def _answer(name: str, agent: Any, episode: Episode) -> tuple[str, str]:
    """Return the agent's next message, and the strategy that it planned for it."""
    if getattr(agent, "needs_episode", False):
        reply = ask(name, episode.seed, lambda: agent.act_episode(episode))
    else:
        step = Ledger(episode, "service").step(episode, "service", debug=False)
        reply = ask(name, episode.seed, lambda: agent.act(step.observation, step.info["messages"]))
    text = as_reply(name, episode.seed, reply)
    (planned,) = planned_by(name, agent, 1, episode.scenario.strategies)
    return text, planned


def _save(args: argparse.Namespace, setting: Setting, name: str, dialogues: list[Dialogue]) -> None:
    seeds = [dialogue.seed for dialogue in dialogues]
    scored = replace(setting, episodes=len(seeds), seed=seeds[0])
    found = results(scored, {name: dialogues}, ["td-gym", *args.argv], device=setting.device, seeds=seeds)
    write_text(args.save / "dialogues.jsonl", as_jsonl(dialogues))
    write_json(args.save / "results.json", found)
    show(found)
    print(f"\nwrote {args.save / 'dialogues.jsonl'} and {args.save / 'results.json'}")


def _fixed(setting: Setting, scenario: Scenario) -> dict[str, str | None]:
    """Return what the provenance of conversations that are scored together must agree in."""
    return {"data": None, **customers_of(setting, scenario), **versions(scenario)}


def _earlier(folder: Path, record: Mapping[str, str], source: Mapping[str, str | None]) -> list[Dialogue]:
    """Return the dialogues saved in ``folder`` before.

    Raises ``TdGymError`` unless their records hold what ``record`` states, and the provenance beside them ``source``.
    """
    kept, scored = folder / "dialogues.jsonl", folder / "results.json"
    if not kept.exists() and not scored.exists():
        return []
    if not kept.exists() or not scored.exists():
        there, lacking = (kept, scored) if kept.exists() else (scored, kept)
        raise TdGymError(f"{str(there)!r} has no {lacking.name} beside it; choose another --save folder.")
    where = repr(str(scored))
    provenance = as_object(field_of(read_json(scored), "provenance", where), f"{where}, field 'provenance'")
    found = read_dialogues(kept)
    agreeing: list[tuple[str, Any, str | None]]
    agreeing = [(field, getattr(dialogue, field), value) for dialogue in found for field, value in record.items()]
    agreeing += [(field, provenance.get(field), value) for field, value in source.items()]
    for field, before, now in agreeing:
        if before != now:
            raise TdGymError(
                f"{str(folder)!r} holds dialogues of {field} {before!r}, not {now!r}; choose another --save folder."
            )
    return found
