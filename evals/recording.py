"""From a running conversation to a ``Dialogue``, the record that metrics read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from evals.dialogue import Dialogue, DialogueTurn
from personas.customer import Customer
from td_gym.errors import TdGymError
from td_gym.protocol import parse_message
from td_gym.scenario import Episode
from td_gym.turns import Turn


class Recorder:
    """Adds up what one conversation costs and earns, and turns it into a record when it is over."""

    def __init__(self) -> None:
        self._costs: Counter[str] = Counter()
        self._terms: Counter[str] = Counter()

    def add(self, costs: Mapping[str, float], terms: Mapping[str, float]) -> None:
        """Take in the increments of one step."""
        self._costs.update(costs)
        self._terms.update(terms)

    def dialogue(self, episode: Episode, *, env: str, agent: str, customer: str, index: int) -> Dialogue:
        """Return the record of ``episode``; ``TdGymError`` when it is not over."""
        if episode.outcome is None:
            raise TdGymError("This conversation is not over; only finished ones are recorded.")
        messages = sum(turn.seat == "service" for turn in episode.transcript) or 1
        return Dialogue(
            env=env,
            agent=agent,
            customer=customer,
            split=episode.split,
            seed=episode.seed,
            row=episode.row,
            index=index,
            briefing=episode.briefing("service"),
            turns=tuple(_turn(turn, episode) for turn in episode.transcript),
            costs={name: float(self._costs.get(name, 0.0)) for name in episode.scenario.costs},
            outcome=dict(episode.outcome),
            terms={name: float(total) / messages for name, total in sorted(self._terms.items())},
            persona=_persona(episode.case),
        )


def _turn(turn: Turn, episode: Episode) -> DialogueTurn:
    think = ""
    if turn.seat != "customer":
        think = parse_message(turn.text, episode.scenario.tools, episode.scenario.max_chars).think
    return DialogueTurn(turn.seat, turn.text, turn.shown, think, turn.action, dict(turn.arguments), turn.tool_message)


def _persona(case: Any) -> dict[str, Any]:
    """Return the traits of the persona: its words and numbers, without identity and free facts."""
    persona = getattr(case, "persona", None)
    if not isinstance(persona, Customer):
        return {}
    held = {each.name: getattr(persona, each.name) for each in fields(persona)}
    return {name: value for name, value in held.items() if isinstance(value, str | int | float)}
