"""Responses of our own agents to recorded customers, in the form that the standard procedure scores.

An agent holds each dialogue in the environment: it reads what the recorded customer said, its own replies and what its
look-ups have answered from the database, and nothing else of the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from agents.agent import Agent
from evals.dialogue import Dialogue
from evals.multiwoz.delexicalise import Delexicaliser
from evals.runner import Setting, converse
from td_gym.protocol import Messages, parse_message
from td_gym.registration import env_id
from td_gym.scenario import Scenario
from td_gym.scenarios.multiwoz.acts import read_service
from td_gym.scenarios.multiwoz.answers import read_answer
from td_gym.scenarios.multiwoz.customer_acts import read_customer
from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.recorded import RecordedCustomers
from td_gym.scenarios.multiwoz.state import State

Response = dict[str, Any]
"""A turn as the standard format has it: ``response``, ``state``, ``active_domains``."""


class Tolerated:
    """An agent whose message passes for silence where it is no valid one, since that would end the dialogue."""

    def __init__(self, agent: Agent, scenario: Scenario) -> None:
        self.silenced = 0
        """Messages so far that were not valid."""
        self._agent: Any = agent
        self._scenario = scenario
        self.reset = agent.reset
        if hasattr(agent, "act_batch"):
            self.act_batch = self._act_batch

    def act(self, observation: Any, messages: Messages) -> str:
        """Return the agent's next message."""
        return self._valid(self._agent.act(observation, messages))

    def _act_batch(self, observations: Sequence[Any], messages: Sequence[Messages]) -> list[str]:
        return list(map(self._valid, self._agent.act_batch(observations, messages)))

    def _valid(self, text: str) -> str:
        if isinstance(text, str) and parse_message(text, self._scenario.tools, self._scenario.max_chars).error:
            self.silenced += 1
            return ""
        return text


def respond(
    scenario: RecordedCustomers, name: str, agent: Agent, split: str, seed: int, finished: Callable[[], None]
) -> dict[str, list[Response]]:
    """Return the agent's responses in every recording, by id in small letters.

    ``seed`` fixes the agent's own draws; ``finished`` is called for each dialogue.
    """
    setting = Setting(env_id(scenario.name), episodes=len(scenario.ids), split=split)
    held = converse(setting, scenario, name, agent, seed, finished)
    return {
        identity.lower(): responses(dialogue, scenario.database)
        for identity, dialogue in zip(scenario.ids, held, strict=True)
    }


def responses(dialogue: Dialogue, database: Database) -> list[Response]:
    """Return what the agent said to each of the customer's messages but the closing one.

    The state is what is read from the customer's words so far.  Active are the domains of what the response tells of,
    else the one that the customer spoke of last.
    """
    state, delexicaliser = State(), Delexicaliser(database)
    found = []
    for turn, after in pairwise(dialogue.turns):
        if turn.seat == "customer":
            state.hear_customer(read_customer(turn.shown, database, state.domain))
            continue
        if after.seat == "customer":
            response, told = delexicaliser.put(turn.shown, state.domain)
            active = told or tuple(filter(None, [state.domain]))
            found.append({"response": response, "state": wanted(state), "active_domains": list(active)})
            state.hear_service(read_service(turn.shown, database, state.domain))
        if answer := read_answer(f"<tool_result>{turn.tool_message}</tool_result>"):
            delexicaliser.read(answer)
    return found


def wanted(state: State) -> dict[str, dict[str, str]]:
    """Return the constraints and booking details that the customer has named, by domain."""
    values = {domain: {**need.inform, **need.book} for domain, need in state.needs.items()}
    return {domain: slots for domain, slots in values.items() if slots}
