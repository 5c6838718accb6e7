"""The prospect's language: variants by act and split, coloured by the persona's style."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from personas.selling import Prospect
from td_gym.draws import Stream
from td_gym.errors import TdGymError

_HELD_OUT = {"validation": 8, "test": 9}
_MANNERS = ("style", "temper", "opener")


@cache
def phrases() -> Mapping[str, Any]:
    """Return ``customer.toml``; an act without exactly ten wordings raises :class:`TdGymError`."""
    table = tomllib.loads(files(__package__).joinpath("customer.toml").read_text(encoding="utf-8"))
    for section in table.keys() - set(_MANNERS):
        for act, wordings in table[section].items():
            if len(wordings) != 10:
                raise TdGymError(f"customer.toml: {section}.{act} has {len(wordings)} variants; write exactly 10.")
    return table


@lru_cache(maxsize=512)
def variants(section: str, act: str, split: str) -> tuple[str, ...]:
    """Return the wordings of an act in ``split``: eight shared ones and the split's own held-out one."""
    pool = phrases()[section][act]
    own = _HELD_OUT.get(split)
    return tuple(pool[:8]) + ((pool[own],) if own is not None else ())


class Voice:
    """How a prospect words one message; ``draws`` belong to this conversation and turn alone."""

    __slots__ = ("_persona", "_split", "draws")

    def __init__(self, persona: Prospect, split: str, draws: Stream) -> None:
        self._persona = persona
        self._split = split
        self.draws = draws

    def say(self, section: str, act: str, **figures: str) -> str:
        """Return one wording of an act with its ``{figures}`` filled in."""
        wording = self.draws.choice(variants(section, act, self._split))
        return wording.format_map(figures) if figures else wording

    def colour(self, text: str, irritated: bool = False, opening: bool = False) -> str:
        """Return ``text`` as this persona would write it: lead-ins, temper, typos."""
        table, draws, manner = phrases(), self.draws, self._persona.communication_style
        style = table["style"][manner]
        if opening:
            return str(draws.choice(table["opener"][manner])) + text
        lead, tail, slip = draws.uniform(), draws.uniform(), draws.uniform()
        if lead < 0.3:
            before = draws.choice(style["before"])
            lower = before.endswith(", ") and not text.startswith("I ")
            text = before + (text[0].lower() + text[1:] if lower else text)
        if tail < 0.3:
            after = draws.choice(table["temper"]["irritated" if irritated else "calm"])
            text = _exclaim(text) if after == "!" else text + draws.choice(style["after"]) + after
        return _with_typo(text, draws) if manner == "terse" and slip < 0.1 else text


def _exclaim(text: str) -> str:
    return text[:-1] + "!" if text.endswith(".") else text


def _with_typo(text: str, draws: Stream) -> str:
    """Swap two neighbouring letters inside the text."""
    place = draws.integer(1, max(2, len(text) - 2))
    if not text[place : place + 2].isalpha():
        return text
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
