"""The customer's language: variants by act and split, coloured by the persona's style."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from personas.persona import Persona
from td_gym.draws import choice, mix
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


def say(section: str, act: str, item: str, split: str, seed: int, turn: int) -> str:
    """Return one wording of an act, keyed by conversation, turn and act."""
    return choice(variants(section, act, split), seed, turn, section, act).replace("{item}", item)


def colour(text: str, persona: Persona, seed: int, turn: int) -> str:
    """Return ``text`` as this persona would write it: lead-ins, temper, typos."""
    table = _phrases()
    style = table["style"][persona.communication_style]
    bits = mix(seed, turn, "colour")
    if turn == 0:
        text = _pick(table["opener"][persona.communication_style], bits) + text
    elif (bits & 0xFF) < 0.4 * 256:
        before = _pick(style["before"], bits >> 8)
        text = before + (text[0].lower() + text[1:] if before.endswith(", ") and not text.startswith("I ") else text)
    if (bits >> 16 & 0xFF) < 0.5 * 256:
        after = _pick(style["after"], bits >> 24)
        tail = _pick(table["mood"][persona.emotional_style], bits >> 32)
        text = _exclaim(text + after) if tail == "!" else text + after + tail
    if persona.communication_style == "terse" and (bits >> 40 & 0xFF) < 0.2 * 256:
        text = _with_typo(text, bits >> 48)
    return text


def _pick(options: Sequence[str], bits: int) -> str:
    """Return the option that the lowest byte of ``bits`` points at."""
    return options[(bits & 0xFF) * len(options) >> 8]


def _exclaim(text: str) -> str:
    return text[:-1] + "!" if text.endswith(".") else text


def _with_typo(text: str, bits: int) -> str:
    """Swap two neighbouring letters inside the text."""
    place = 1 + bits % max(1, len(text) - 3)
    if not text[place : place + 2].isalpha():
        return text
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
