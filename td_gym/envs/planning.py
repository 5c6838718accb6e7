"""Who plans: a strategy is chosen before each service message, and what the procedure does not admit is replaced."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from td_gym.envs.batch import lines
from td_gym.scenario import Episode

BREACHES = "sop_breaches"
"""The cost of a choice that the procedure does not admit."""
_STRATEGY = "\n\nSTRATEGY\nYour next message follows this strategy: {strategy}"
_PLAN = """

PLAN
You choose the strategy of each service message before it is written. Answer with the name of one and nothing else:
{strategies}"""


def in_force(episode: Episode, chosen: str) -> tuple[str, bool]:
    """Return the strategy that a choice puts in force, and whether it is the fallback for an inadmissible one."""
    scenario = episode.scenario
    admissible = chosen in scenario.admissible(episode)
    return (chosen, False) if admissible else (scenario.fallback_strategy, True)


def mask(episode: Episode) -> npt.NDArray[np.int8]:
    """Return 1 for each of ``scenario.strategies`` that is admissible now, shape ``(n,)``."""
    admissible = episode.scenario.admissible(episode)
    return np.array([strategy in admissible for strategy in episode.scenario.strategies], dtype=np.int8)


def service_note(strategy: str) -> str:
    """Return what stands at the end of the service seat's briefing while ``strategy`` is in force."""
    return _STRATEGY.format(strategy=strategy)


def expert_note(episode: Episode) -> str:
    """Return what stands at the end of the expert's briefing, which else is the service seat's."""
    return _PLAN.format(strategies=", ".join(episode.scenario.strategies))


def expert_messages(episode: Episode, choices: Sequence[tuple[int, str]]) -> list[dict[str, str]]:
    """Return the conversation as chat messages of the expert: its choices, and what both seats said.

    ``choices`` are what it chose, each with the number of turns that were said before.
    """
    chat = [{"role": "system", "content": episode.briefing("service") + expert_note(episode)}]
    said = [(place, 1, "user", _line(episode, place)) for place in range(len(episode.transcript))]
    own = [(place, 0, "assistant", name) for place, name in choices]
    return chat + [{"role": role, "content": content} for *_, role, content in sorted(said + own)]


def _line(episode: Episode, place: int) -> str:
    return lines(episode.transcript[place], "service", episode.scenario.max_chars).removeprefix("\n")
