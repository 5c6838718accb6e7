"""The customer's language: variants by act and split, coloured by the persona's style."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from personas.persona import Persona
from td_gym.draws import Stream
from td_gym.scenarios import wording

_MANNERS = ("style", "mood", "opener")


def _phrases() -> Mapping[str, Any]:
    return wording.phrases(__package__, _MANNERS)


@lru_cache(maxsize=512)
def variants(section: str, act: str, split: str) -> tuple[str, ...]:
    """Return the wordings of an act in ``split``."""
    return wording.in_split(_phrases()[section][act], split)


class Voice:
    """How a customer words one message; ``draws`` belong to this conversation and turn alone."""

    __slots__ = ("_item", "_persona", "_split", "draws")

    def __init__(self, persona: Persona, item: str, split: str, draws: Stream) -> None:
        self._persona = persona
        self._item = item
        self._split = split
        self.draws = draws

    def say(self, section: str, act: str) -> str:
        """Return one wording of an act."""
        return self.draws.choice(variants(section, act, self._split)).replace("{item}", self._item)

    def colour(self, text: str, opening: bool = False) -> str:
        """Return ``text`` as this persona would write it: lead-ins, temper, typos."""
        table, draws, manner = _phrases(), self.draws, self._persona.communication_style
        style = table["style"][manner]
        if opening:
            text = draws.choice(table["opener"][manner]) + text
        elif draws.uniform() < 0.4:
            text = wording.led_in(text, draws.choice(style["before"]))
        if draws.uniform() < 0.5:
            after = draws.choice(style["after"])
            tail = draws.choice(table["mood"][self._persona.emotional_style])
            text = wording.exclaimed(text + after) if tail == "!" else text + after + tail
        if manner == "terse" and draws.uniform() < 0.2:
            text = wording.with_typo(text, draws)
        return text
