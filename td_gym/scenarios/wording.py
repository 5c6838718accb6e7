"""What scenarios share in their language: counted things, and customers' wordings, lead-ins, temper, typos."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

from personas.packaged import packaged_toml
from personas.persona import Persona
from personas.prospect import Prospect
from td_gym.draws import Stream
from td_gym.errors import TdGymError

SHARED, WORDINGS = 8, 10
_HELD_OUT = {"validation": 8, "test": 9}
_MANNERS = frozenset(("style", "temper", "mood", "opener"))


class Phrasebook:
    """The ``customer.toml`` of the scenario in ``package``.

    ``acts`` holds ten wordings an act, by section and act; ``manners`` the tables that colour a message.
    Raises ``TdGymError`` for an act that has not exactly ten.
    """

    def __init__(self, package: str) -> None:
        tables = packaged_toml(package, "customer.toml")
        self.manners = {name: table for name, table in tables.items() if name in _MANNERS}
        self.acts = {name: table for name, table in tables.items() if name not in _MANNERS}
        for section, table in self.acts.items():
            for act, wordings in table.items():
                if len(wordings) != WORDINGS:
                    raise TdGymError(
                        f"customer.toml: {section}.{act} has {len(wordings)} variants; write exactly {WORDINGS}."
                    )
        self.variants = lru_cache(maxsize=512)(self._variants)
        """The wordings of an act in a split, by section, act and split."""

    def _variants(self, section: str, act: str, split: str) -> tuple[str, ...]:
        return in_split(self.acts[section][act], split)


class Voice:
    """How a customer words one message out of its scenario's ``book``.

    ``draws`` belong to this conversation and turn alone.
    """

    __slots__ = ("_split", "draws", "manner")
    book: ClassVar[Phrasebook]

    def __init__(self, persona: Persona | Prospect, split: str, draws: Stream) -> None:
        self._split = split
        self.draws = draws
        self.manner = persona.communication_style

    def pick(self, section: str, act: str) -> str:
        """Return one wording of an act, with nothing filled in."""
        return self.draws.choice(self.book.variants(section, act, self._split))

    def opened(self, text: str) -> str:
        """Return the first ``text`` of a conversation behind a greeting of this manner."""
        return str(self.draws.choice(self.book.manners["opener"][self.manner])) + text

    def in_temper(self, text: str, irritated: bool, lead: bool, tail: bool) -> str:
        """Return ``text`` with a ``lead``-in and a ``tail`` of this manner and temper, where they are wanted."""
        manners, draws = self.book.manners, self.draws
        style = manners["style"][self.manner]
        if lead:
            text = led_in(text, draws.choice(style["before"]))
        if tail:
            after = draws.choice(manners["temper"]["irritated" if irritated else "calm"])
            text = exclaimed(text) if after == "!" else text + draws.choice(style["after"]) + after
        return text


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
