"""The prospect's language: variants by act and split, coloured by the persona's style."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from personas.prospect import Prospect
from td_gym.draws import Stream
from td_gym.scenarios import wording

_MANNERS = ("style", "temper", "opener")


def phrases() -> Mapping[str, Any]:
    """Return ``customer.toml``."""
    return wording.phrases(__package__, _MANNERS)


@lru_cache(maxsize=512)
def variants(section: str, act: str, split: str) -> tuple[str, ...]:
    """Return the wordings of an act in ``split``."""
    return wording.in_split(phrases()[section][act], split)


class Voice:
    """How a prospect words one message; ``draws`` belong to this conversation and turn alone."""

    __slots__ = ("_persona", "_split", "draws")

    def __init__(self, persona: Prospect, split: str, draws: Stream) -> None:
        self._persona = persona
        self._split = split
        self.draws = draws

    def say(self, section: str, act: str, **figures: str) -> str:
        """Return one wording of an act with its ``{figures}`` filled in."""
        chosen = self.draws.choice(variants(section, act, self._split))
        return chosen.format_map(figures) if figures else chosen

    def colour(self, text: str, irritated: bool = False, opening: bool = False) -> str:
        """Return ``text`` as this persona would write it: lead-ins, temper, typos."""
        table, draws, manner = phrases(), self.draws, self._persona.communication_style
        style = table["style"][manner]
        if opening:
            return str(draws.choice(table["opener"][manner])) + text
        lead, tail, slip = draws.uniform(), draws.uniform(), draws.uniform()
        if lead < 0.3:
            text = wording.led_in(text, draws.choice(style["before"]))
        if tail < 0.3:
            after = draws.choice(table["temper"]["irritated" if irritated else "calm"])
            text = wording.exclaimed(text) if after == "!" else text + draws.choice(style["after"]) + after
        return wording.with_typo(text, draws) if manner == "terse" and slip < 0.1 else text
