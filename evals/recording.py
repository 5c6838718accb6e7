"""From a running conversation to a ``Dialogue``, the record that metrics read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from evals.dialogue import Dialogue, DialogueTurn
from personas.customer import Customer
from td_gym.episode import Episode
from td_gym.errors import TdGymError
from td_gym.protocol import parse_message
from td_gym.turns import Turn


@dataclass(slots=True)
class _Note:
    """What the transcript does not keep of a service message."""

    planned: str
    admissible: tuple[str, ...]
    relevance: int | None = None


class Recorder:
    """Follows one conversation, and turns it into a record when it is over."""

    def __init__(self) -> None:
        self._costs: Counter[str] = Counter()
        self._terms: Counter[str] = Counter()
        self._notes: list[_Note] = []
        self._reward = 0.0

    def before(self, episode: Episode, planned: str = "") -> None:
        """Note what the procedure admits and what was planned; called before every message of the service seat."""
        self._notes.append(_Note(planned, episode.scenario.admissible(episode)))

    def after(
        self, costs: Mapping[str, float], terms: Mapping[str, float], relevance: int | None, reward: float
    ) -> None:
        """Take in what one message or step brought about.

        ``relevance`` is that of the service message before, ``reward`` what was paid to the service seat.
        """
        self._reward += reward
        self._costs.update(costs)
        self._terms.update(terms)
        if self._notes and relevance is not None:
            self._notes[-1].relevance = relevance

    def dialogue(self, episode: Episode, *, env: str, agent: str, customer: str, index: int) -> Dialogue:
        """Return the record of ``episode``; ``TdGymError`` when it is not over."""
        if episode.outcome is None:
            raise TdGymError("This conversation is not over; only finished ones are recorded.")
        return Dialogue(
            env=env,
            agent=agent,
            customer=customer,
            split=episode.split,
            seed=episode.seed,
            row=episode.row,
            index=index,
            briefing=episode.briefing("service"),
            turns=tuple(self._turns(episode)),
            costs={name: float(self._costs.get(name, 0.0)) for name in episode.scenario.costs},
            outcome=dict(episode.outcome),
            terms={name: float(total) / len(self._notes) for name, total in sorted(self._terms.items())},
            persona=traits(episode.case),
            max_turns=episode.scenario.max_turns,
            succeeded=episode.scenario.succeeded(episode.outcome),
            session_reward=float(self._reward),
        )

    def _turns(self, episode: Episode) -> Iterator[DialogueTurn]:
        notes = iter(self._notes)
        for turn in episode.transcript:
            if turn.seat == "customer":
                yield DialogueTurn(turn.seat, turn.text, turn.shown)
                continue
            note = next(notes)
            if note.planned:
                yield DialogueTurn("expert", note.planned, "")
            yield _service_turn(turn, note, episode)


def _service_turn(turn: Turn, note: _Note, episode: Episode) -> DialogueTurn:
    return DialogueTurn(
        turn.seat,
        turn.text,
        turn.shown,
        parse_message(turn.text, episode.scenario.tools, episode.scenario.max_chars).think,
        turn.action,
        dict(turn.arguments),
        turn.tool_message,
        turn.strategy,
        turn.strategy in note.admissible if turn.strategy else None,
        note.relevance,
    )


def traits(case: Any) -> dict[str, Any]:
    """Return the traits of the persona: its words and numbers, without identity and free facts."""
    persona = getattr(case, "persona", None)
    if not isinstance(persona, Customer):
        return {}
    held = {each.name: getattr(persona, each.name) for each in fields(persona)}
    return {name: value for name, value in held.items() if isinstance(value, str | int | float)}
