"""``python -m evals.fidelity --data DIR``: how far MultiWOZ's simulated customer talks like the recorded ones.

The rule agent serves the simulated customer on the goals of the recorded dialogues.  Both sides are
read by the same reader of customer acts, so that what it overlooks is missing on both.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from evals.commands.arguments import Parser
from evals.errors import guarded
from evals.files import check_writable, write_json
from evals.plots import paired_shares
from evals.provenance import provenance
from evals.scores import versions
from evals.tables import text as as_table
from td_gym.errors import TdGymError
from td_gym.scenario import SPLITS
from td_gym.scenarios.multiwoz.customer_acts import read_customer
from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.files import load_dialogues
from td_gym.scenarios.multiwoz.scenario import MultiWOZ
from td_gym.scenarios.multiwoz.schema import DOMAINS
from td_gym.seats import play_on

WORDS_A_BIN = 5
MOST_SHOWN = 12
"""Values of a distribution in the figure; its divergence is over all of them."""


@dataclass
class Talk:
    """What the customers of some dialogues said."""

    turns: list[int] = field(default_factory=list)
    """Customer messages of each dialogue."""
    words: list[int] = field(default_factory=list)
    """Words of each customer message; marks that stand alone are none."""
    acts: list[int] = field(default_factory=list)
    """Dialogue acts of each customer message."""
    intents: Counter[str] = field(default_factory=Counter)
    """Acts by intent."""
    informed: Counter[str] = field(default_factory=Counter)
    """Inform acts by domain and slot."""
    requested: Counter[str] = field(default_factory=Counter)
    """Request acts by slot."""

    def hear(self, messages: Sequence[str], database: Database) -> None:
        """Count the customer's messages of one dialogue."""
        self.turns.append(len(messages))
        domain = ""
        for message in messages:
            acts = read_customer(message, database)
            self.words.append(sum(any(map(str.isalnum, word)) for word in message.split()))
            self.acts.append(len(acts))
            self.intents.update(act.intent for act in acts)
            for act in acts:
                domain = act.domain if act.domain in DOMAINS else domain
                if act.intent == "inform" and act.slot:
                    self.informed[f"{domain} {act.slot}"] += 1
                elif act.intent == "request" and act.slot:
                    self.requested[act.slot] += 1

    def distributions(self) -> dict[str, Counter[str]]:
        """Return what is compared: how often each value occurs, by what is counted."""
        bins = [number // WORDS_A_BIN * WORDS_A_BIN for number in self.words]
        return {
            "turns a dialogue": Counter(f"{number:02d}" for number in self.turns),
            "words a message": Counter(f"{low:02d}-{low + WORDS_A_BIN - 1:02d}" for low in bins),
            "acts a message": Counter(f"{number:02d}" for number in self.acts),
            "acts by intent": self.intents,
            "informs by slot": self.informed,
            "requests by slot": self.requested,
        }


def recorded(data_dir: Path, split: str, database: Database) -> Talk:
    """Return what the customers of published dialogues said."""
    talk = Talk()
    for dialogue in load_dialogues(data_dir, split):
        talk.hear([turn.text for turn in dialogue.turns if turn.speaker == "user"], database)
    return talk


def simulated(scenario: MultiWOZ, split: str, episodes: int) -> Talk:
    """Return what the simulated customer says to the rule agent, with the first ``episodes`` published goals."""
    talk = Talk()
    seats = {"customer": scenario.customer(), "service": scenario.expert()}
    for row in range(episodes):
        episode = scenario.begin(row, split, row)
        play_on(episode, seats)
        talk.hear([turn.shown for turn in episode.transcript if turn.seat == "customer"], scenario.database)
    return talk


def divergence(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Return the Jensen-Shannon divergence of two distributions given as counts, in bits: 0 for the same, at most 1.

    Raises ``TdGymError`` where one of them counts nothing.
    """
    sums = sum(one.values()), sum(other.values())
    if not all(sums):
        raise TdGymError("There are too few dialogues to compare: one side of a distribution is empty.")
    total = 0.0
    for key in one.keys() | other.keys():
        p, q = one.get(key, 0) / sums[0], other.get(key, 0) / sums[1]
        total += sum(share / 2 * math.log2(2 * share / (p + q)) for share in (p, q) if share)
    return total


def compare(real: Talk, ours: Talk) -> dict[str, Any]:
    """Return the divergence of every distribution with the shares on both sides, and means and deviations of counts."""
    others = ours.distributions()
    report: dict[str, Any] = {
        name: {
            "divergence_bits": divergence(counts, others[name]),
            "recorded": _shares(counts),
            "simulated": _shares(others[name]),
        }
        for name, counts in real.distributions().items()
    }
    for name, one, other in (
        ("turns a dialogue", real.turns, ours.turns),
        ("words a message", real.words, ours.words),
        ("acts a message", real.acts, ours.acts),
    ):
        report[name] |= {"recorded_mean": fmean(one), "recorded_sd": pstdev(one)}
        report[name] |= {"simulated_mean": fmean(other), "simulated_sd": pstdev(other)}
    return report


def _shares(counts: Counter[str]) -> dict[str, float]:
    total = counts.total()
    return {key: count / total for key, count in counts.most_common()}


def _rows(report: Mapping[str, Any]) -> list[list[str]]:
    table = [["", "recorded", "simulated", "divergence (bits)"]]
    for name, part in report.items():
        means = [
            f"{part[f'{side}_mean']:.2f} +- {part[f'{side}_sd']:.2f}" if f"{side}_mean" in part else "-"
            for side in ("recorded", "simulated")
        ]
        table.append([name, *means, f"{part['divergence_bits']:.4f}"])
    return table


def _panels(report: Mapping[str, Any]) -> dict[str, dict[str, tuple[float, float]]]:
    """Return both shares of each value that the figure shows: numbers in order, else the most frequent first."""
    panels = {}
    for name, part in report.items():
        keys = list(dict.fromkeys((*part["recorded"], *part["simulated"])))
        if "recorded_mean" in part:
            keys.sort()
        shown = keys if "recorded_mean" in part else keys[:MOST_SHOWN]
        panels[name] = {key: (part["recorded"].get(key, 0.0), part["simulated"].get(key, 0.0)) for key in shown}
    return panels


def main(argv: Sequence[str] | None = None) -> int:
    """Compare the simulated customer with the recorded ones and return the exit code."""
    return guarded("evals.fidelity", lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    parser = Parser(prog="python -m evals.fidelity", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with MultiWOZ's data")
    parser.add_argument("--split", default="test", choices=SPLITS, help="dialogues to compare with")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON file to write")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="PNG file to write")
    options = parser.parse_args(argv)
    for written in filter(None, (options.out, options.plot)):
        check_writable(written.parent)
    scenario = MultiWOZ(data_dir=options.data)
    real = recorded(options.data, options.split, scenario.database)
    report = compare(real, simulated(scenario, options.split, len(real.turns)))
    print(as_table(_rows(report)))
    if options.out:
        command = ["python -m evals.fidelity", *(sys.argv[1:] if argv is None else argv)]
        source = provenance(command, **versions(scenario))
        write_json(options.out, {"split": options.split, "dialogues": len(real.turns), **report, "provenance": source})
    if options.plot:
        title = f"Customers of MultiWOZ, {options.split} split"
        paired_shares(_panels(report), options.plot, title=title, names=("recorded", "simulated"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
