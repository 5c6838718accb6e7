"""The customer's language: variants by act and split, coloured by the persona's style."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from personas.persona import Persona
from td_gym.draws import Stream
from td_gym.errors import TdGymError

_HELD_OUT = {"validation": 8, "test": 9}


@lru_cache(maxsize=1)
def _phrases() -> Mapping[str, Any]:
    table = tomllib.loads(files(__package__).joinpath("customer.toml").read_text(encoding="utf-8"))
    for section in ("problem", "vague", "details", "hint", "push", "photo", "reaction", "verdict"):
        for act, variants in table[section].items():
            if len(variants) != 10:
                raise TdGymError(f"customer.toml: {section}.{act} has {len(variants)} variants; write exactly 10.")
    return table


@lru_cache(maxsize=512)
def variants(section: str, act: str, split: str) -> tuple[str, ...]:
    """Return the wordings of an act in ``split``: eight shared ones and the split's own held-out one."""
    pool = _phrases()[section][act]
    own = _HELD_OUT.get(split)
    return tuple(pool[:8]) + ((pool[own],) if own is not None else ())


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
            before = draws.choice(style["before"])
            lower = before.endswith(", ") and not text.startswith("I ")
            text = before + (text[0].lower() + text[1:] if lower else text)
        if draws.uniform() < 0.5:
            after = draws.choice(style["after"])
            tail = draws.choice(table["mood"][self._persona.emotional_style])
            text = _exclaim(text + after) if tail == "!" else text + after + tail
        if manner == "terse" and draws.uniform() < 0.2:
            text = _with_typo(text, draws)
        return text


def _exclaim(text: str) -> str:
    return text[:-1] + "!" if text.endswith(".") else text


def _with_typo(text: str, draws: Stream) -> str:
    """Swap two neighbouring letters inside the text."""
    place = draws.integer(1, max(2, len(text) - 2))
    if not text[place : place + 2].isalpha():
        return text
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
