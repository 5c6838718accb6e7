"""A conversation at the visitors' desk with a goal of the test's choice, and what a test says in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from td_gym.scenarios.multiwoz.episode import MultiWOZEpisode
from td_gym.scenarios.multiwoz.goals import Goal
from td_gym.scenarios.multiwoz.scenario import MultiWOZ
from td_gym.scenarios.multiwoz.synthetic import synthetic_database
from td_gym.turns import TurnResult

CITY = synthetic_database()
RESTAURANT, OTHER_RESTAURANT = CITY.query("restaurant", {"food": "indian", "area": "centre"})[:2]
HOTEL = CITY.tables["hotel"][0]
TABLE = {"people": "2", "day": "monday", "time": "17:30"}


def conversation(goal: dict[str, Any], opening: str = "Hello.", **options: Any) -> MultiWOZEpisode:
    """Return a conversation with this goal, in which the customer has said ``opening``."""
    scenario = MultiWOZ(**options)
    case = replace(scenario.begin(0).case, goal=Goal.from_json(goal))
    episode = MultiWOZEpisode(scenario, 0, "train", None, case)
    episode.submit("customer", opening)
    return episode


def say(episode: MultiWOZEpisode, text: str, answer: str = "Okay.") -> TurnResult:
    """Submit a service message, and a customer's answer where it waits for one; return the result of the former."""
    result = episode.submit("service", text)
    if episode.outcome is None and episode.next_seat == "customer":
        episode.submit("customer", answer)
    return result


def ended(episode: MultiWOZEpisode) -> dict[str, Any]:
    """End the conversation by the customer's words and return the outcome."""
    if episode.next_seat == "service":
        episode.submit("service", "I see.")
    episode.submit("customer", "Goodbye. [end:3]")
    assert episode.outcome is not None
    return episode.outcome


def call(tool: str, **arguments: str) -> str:
    """Return a silent tool call."""
    values = (f'{name}="{value}"' for name, value in arguments.items())
    return f"<action>{' '.join([tool, *values])}</action>"


def answer_of(episode: MultiWOZEpisode) -> str:
    """Return what the last tool answered."""
    return [turn.tool_message for turn in episode.transcript if turn.tool_message][-1]
