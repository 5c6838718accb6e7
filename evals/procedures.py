"""``python -m evals.procedures``: the procedures of the scenarios as diagrams, drawn from what they admit.

Conversations in which every strategy is chosen at random among the admissible ones show what each choice opens and
closes: which strategies the procedure admits at the next choice and did not before, and the other way round.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import td_gym
from td_gym.draws import choice
from td_gym.registration import make_scenario
from td_gym.scenario import Scenario
from td_gym.seats import play_on

EPISODES = 200
SHOWN = 0.05
"""Share of a strategy's uses from which on what it opens or closes is drawn."""
_START = "start"
_INTRODUCTION = """\
# Procedures

What each scenario's procedure admits, drawn from the procedure itself by `python -m evals.procedures`: over
{episodes} conversations with the default customer in which every strategy is drawn from the admissible ones. An
arrow leads from a strategy to what is admissible at the next choice and was not before; figures are shares of the
strategy's uses, those below {shown:.0%} are left out. What a strategy opens depends on what the customer answers.
A strategy that is never admissible in its table is no part of the procedure, or its tool is not offered by
default.
"""


@dataclass
class Walks:
    """What was counted over random admissible conversations."""

    used: Counter[str] = field(default_factory=Counter)
    opened: Counter[tuple[str, str]] = field(default_factory=Counter)
    closed: Counter[tuple[str, str]] = field(default_factory=Counter)
    admitted: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    """How often no choice followed."""
    choices: int = 0

    def shares(self, counted: Counter[tuple[str, str]], strategy: str) -> list[tuple[str, float]]:
        """Return what ``strategy`` brought about in ``SHOWN`` of its uses or more, with the share, most often first."""
        found = [(other, count / self.used[strategy]) for (own, other), count in counted.items() if own == strategy]
        return sorted((pair for pair in found if pair[1] >= SHOWN), key=lambda pair: (-pair[1], pair[0]))


def walk(scenario: Scenario, episodes: int = EPISODES) -> Walks:
    """Return the counts over ``episodes`` conversations with the default customer."""
    walks = Walks()
    customer = scenario.customer()
    for seed in range(episodes):
        episode, last, before = scenario.begin(seed, "validation"), _START, frozenset[str]()
        play_on(episode, {"customer": customer})
        while episode.outcome is None:
            now = frozenset(scenario.admissible(episode))
            walks.opened.update((last, strategy) for strategy in now - before)
            walks.closed.update((last, strategy) for strategy in before - now)
            walks.admitted.update(now)
            walks.choices += 1
            last, before = choice(sorted(now), seed, len(episode.transcript), "walk"), now
            episode.submit("service", scenario.realise(episode.messages("service"), last, seed))
            walks.used[last] += 1
            play_on(episode, {"customer": customer})
        walks.ended[last] += 1
    walks.used[_START] = episodes
    return walks


def diagram(scenario: Scenario, walks: Walks) -> Iterator[str]:
    """Yield the lines of a Mermaid flow chart: an arrow leads to what a strategy opens."""
    yield "flowchart LR"
    yield f"    {_START}((start))"
    for strategy in (_START, *scenario.strategies):
        for other, share in walks.shares(walks.opened, strategy):
            label = "" if share > 0.995 else f"|{share:.0%}|"
            yield f"    {strategy} -->{label} {other}"


def table(scenario: Scenario, walks: Walks) -> Iterator[str]:
    """Yield the lines of a Markdown table: how often each strategy is admissible, what it opens, closes and ends."""
    yield "| strategy | admissible | opens | closes | nothing follows |"
    yield "|---|---|---|---|---|"
    for strategy in scenario.strategies:
        admitted = walks.admitted[strategy] / walks.choices
        cells = [_listed(walks.shares(counted, strategy)) for counted in (walks.opened, walks.closed)]
        always = " (fallback)" if strategy == scenario.fallback_strategy else ""
        ended = f"{walks.ended[strategy] / walks.used[strategy]:.0%}" if walks.used[strategy] else ""
        yield f"| `{strategy}`{always} | {admitted:.0%} | {cells[0]} | {cells[1]} | {ended} |"


def _listed(shares: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"`{other}` {share:.0%}" for other, share in shares)


def page() -> Iterator[str]:
    """Yield the lines of the page on all scenarios."""
    yield from _INTRODUCTION.format(episodes=EPISODES, shown=SHOWN).splitlines()
    for env_id in td_gym.env_ids():
        scenario = make_scenario(env_id)
        walks = walk(scenario)
        yield from ("", f"## {scenario.name} {scenario.version}", "", "```mermaid")
        yield from diagram(scenario, walks)
        yield from ("```", "")
        yield from table(scenario, walks)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the page."""
    argparse.ArgumentParser(prog="python -m evals.procedures", description=__doc__).parse_args(argv)
    print("\n".join(page()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
