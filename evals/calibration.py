"""``python -m evals.calibration ENV``: what a scenario is worth before anything is trained on it.

Floors, skilled references, scripted expert and oracle against every simulated customer.  A
scenario's numbers are set on this table and then frozen.
"""

from __future__ import annotations

import math
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from agents.agent import Agent, make, scripted_names
from evals.commands.arguments import Parser, non_negative_int, positive_int
from evals.dialogue import Dialogue
from evals.errors import guarded
from evals.files import check_writable, write_text
from evals.metrics import MetricSpec, group_of, headline_of, metrics_of, spending_of
from evals.runner import Setting, evaluate
from evals.statistics import bootstrap_mean
from td_gym.scenario import Scenario


def agents_of(scenario: Scenario) -> dict[str, Agent]:
    """Return floors, references, expert and oracle of a scenario, by name."""
    return {name: make(name, scenario=scenario) for name in (*scripted_names(scenario), "scripted", "oracle")}


def row(name: str, dialogues: Sequence[Dialogue], scenario: Scenario) -> str:
    """Return one line of the table: headline metric, budgeted cost, what else is compared, turns, both by group."""
    headline = headline_of(scenario.name)
    reward = [headline.of(dialogue) for dialogue in dialogues]
    cost = [dialogue.costs.get(scenario.budgeted_cost, 0.0) for dialogue in dialogues]
    mean, low, high, _ = bootstrap_mean(reward, seed=0)
    more = [_over_applicable(map(spec.of, dialogues)) for spec in _beside(scenario)]
    groups: dict[str, list[int]] = {}
    for i, dialogue in enumerate(dialogues):
        groups.setdefault(_group(dialogue, scenario), []).append(i)
    by_group = [
        f"{fmean(reward[i] for i in members):.2f} / {fmean(cost[i] for i in members):.2f}"
        for _, members in sorted(groups.items())
    ]
    turns = fmean(float(dialogue.outcome["turns"]) for dialogue in dialogues)
    figures = [f"{fmean(cost):.2f}", *more, f"{turns:.1f}"]
    return "| " + " | ".join([name, f"{mean:.2f} [{low:.2f}, {high:.2f}]", *figures, *by_group]) + " |"


def _over_applicable(values: Iterable[float]) -> str:
    applicable = [value for value in values if not math.isnan(value)]
    return f"{fmean(applicable):.2f}" if applicable else "-"


def _beside(scenario: Scenario) -> list[MetricSpec]:
    """Return what arms are compared by beside what is earned and spent."""
    shown = (headline_of(scenario.name), spending_of(scenario.name))
    return [spec for spec in metrics_of(scenario.name) if spec.compared and spec not in shown]


def _group(dialogue: Dialogue, scenario: Scenario) -> str:
    return group_of(dialogue, spending_of(scenario.name)) or "all"


def sections(setting: Setting, agents: Mapping[str, Agent]) -> list[str]:
    """Return ``agents`` against every simulated customer of the scenario, one Markdown section each."""
    customers = setting.scenario().customers
    return [f"## Customer `{name}`\n\n{table(replace(setting, customer=name), agents)}" for name in customers]


def table(setting: Setting, agents: Mapping[str, Agent]) -> str:
    """Return the table of ``agents`` against the customer of ``setting`` as Markdown."""
    scenario = setting.scenario()
    result = evaluate(setting, agents)
    groups = sorted({_group(dialogue, scenario) for each in result.dialogues.values() for dialogue in each})
    more = [spec.name for spec in _beside(scenario)]
    earned, spent = headline_of(scenario.name).name, scenario.budgeted_cost
    head = ["agent", f"{earned} [95 %]", f"{spent} rate", *more, "turns", *groups]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + [row(name, each, scenario) for name, each in result.dialogues.items()])


def add_options(parser: Parser, episodes: int, split: str) -> None:
    """Add to ``parser`` which dialogues a page is about, by default ``episodes`` of ``split``, and where it goes."""
    parser.add_argument("--episodes", type=positive_int, default=episodes, metavar="N", help="dialogues an agent")
    parser.add_argument("--split", default=split, metavar="NAME", help="split of customers")
    parser.add_argument("--seed", type=non_negative_int, default=0, metavar="S", help="seed of the first dialogue")
    parser.add_argument("--out", type=Path, metavar="FILE", help="Markdown file to write (default: print)")


def setting_of(options: Namespace) -> Setting:
    """Return the setting that the parsed options of ``add_options`` and ``env`` state."""
    return Setting(options.env, options.episodes, options.seed, options.split)


def publish(title: str, command: str, setting: Setting, agents: Mapping[str, Agent], out: Path | None) -> None:
    """Write the page of ``agents`` to ``out``, or print it.

    ``title`` goes before the scenario's name; ``command`` is the module and its own arguments.
    """
    if out:
        check_writable(out.parent)
    scenario = setting.scenario()
    by = spending_of(scenario.name).by or "customer"
    page = [
        f"# {title} {scenario.name} {scenario.version}",
        "Scripted agents only; nothing was trained. Intervals are bootstrap over dialogues. The last columns show "
        f"{headline_of(scenario.name).name} / {scenario.budgeted_cost} rate by {by}.",
        f"Command: `python -m {command} --episodes {setting.episodes} --split {setting.split} --seed {setting.seed}`",
        *sections(setting, agents),
    ]
    text = "\n\n".join(page) + "\n"
    if out:
        write_text(out, text)
    else:
        print(text, end="")


def main(argv: Sequence[str] | None = None) -> int:
    """Write the calibration page of an environment and return the exit code."""
    return guarded("evals.calibration", lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    parser = Parser(prog="python -m evals.calibration", description=__doc__)
    parser.add_argument("env", help="environment id, for example td_gym/FoodDispute-v0")
    add_options(parser, episodes=2000, split="validation")
    options = parser.parse_args(argv)
    setting = setting_of(options)
    scenario = setting.check()
    publish("Calibration of", f"evals.calibration {options.env}", setting, agents_of(scenario), options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
