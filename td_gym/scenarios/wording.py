"""What scenarios share in their language: counted things, and customers' wordings, lead-ins, temper, typos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from personas.packaged import packaged_toml
from td_gym.draws import Stream
from td_gym.errors import TdGymError

SHARED, WORDINGS = 8, 10
_HELD_OUT = {"validation": 8, "test": 9}


@lru_cache
def phrases(package: str, manners: tuple[str, ...]) -> Mapping[str, Any]:
    """Return a scenario's ``customer.toml``: tables of acts with ten wordings each, and tables of ``manners``.

    Raises ``TdGymError`` for an act that has not exactly ten.
    """
    table = packaged_toml(package, "customer.toml")
    for section in table.keys() - set(manners):
        for act, wordings in table[section].items():
            if len(wordings) != WORDINGS:
                raise TdGymError(
                    f"customer.toml: {section}.{act} has {len(wordings)} variants; write exactly {WORDINGS}."
                )
    return table


def in_split(wordings: list[str], split: str) -> tuple[str, ...]:
    """Return the wordings of an act in ``split``: eight shared ones and the split's own held-out one."""
    own = _HELD_OUT.get(split)
    return tuple(wordings[:SHARED]) + ((wordings[own],) if own is not None else ())


def counted(count: int, noun: str) -> str:
    """Return ``count`` of ``noun`` in words: ``1 minute``, ``25 minutes``."""
    return f"1 {noun}" if count == 1 else f"{count} {noun}s"


def joined(*pieces: str) -> str:
    """Return the pieces of a message that are not empty, in order."""
    return " ".join(filter(None, pieces))


def listed(pieces: Sequence[str], word: str = "and") -> str:
    """Return ``a, b and c``; ``word`` stands before the last of at least one piece."""
    return f" {word} ".join(filter(None, (", ".join(pieces[:-1]), pieces[-1])))


def led_in(text: str, before: str) -> str:
    """Return ``text`` after a lead-in; its first letter is small after a comma."""
    lower = before.endswith(", ") and not text.startswith("I ")
    return before + (text[0].lower() + text[1:] if lower else text)


def exclaimed(text: str) -> str:
    """Return ``text`` with an exclamation mark for its full stop."""
    return text[:-1] + "!" if text.endswith(".") else text


def with_typo(text: str, draws: Stream) -> str:
    """Return ``text`` with two neighbouring letters inside it swapped, where the place drawn has letters."""
    place = draws.integer(1, max(2, len(text) - 2))
    if not text[place : place + 2].isalpha():
        return text
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
