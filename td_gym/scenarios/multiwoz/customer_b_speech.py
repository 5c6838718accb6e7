"""How the second customer words a message: its own wordings by act and split, its wishes as phrases, its spelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from personas.packaged import packaged_toml
from personas.persona import Persona
from td_gym.draws import Stream
from td_gym.scenarios.wording import in_split

_REMARKS = 0.15
_LOWER_CASE = 0.5
_WORDS = packaged_toml(__package__, "customer_b_words.toml")


@lru_cache(maxsize=512)
def _wordings(act: str, split: str) -> tuple[str, ...]:
    return in_split(_WORDS["acts"][act], split)


class Speech:
    """How one customer talks in one turn; the draws belong to this conversation and turn alone."""

    __slots__ = ("_draws", "_habit", "_persona", "_split")

    def __init__(self, persona: Persona, split: str, seed: int, turn: int) -> None:
        self._persona = persona
        self._split = split
        self._draws = Stream(seed, f"customer_b/{turn}/words")
        self._habit = Stream(seed, "customer_b/habit")

    def say(self, act: str, what: str = "") -> str:
        """Return one wording of an act, with ``what`` it is about."""
        return str(self._draws.choice(_wordings(act, self._split))).replace("{what}", what)

    def wishes(self, domain: str, values: Mapping[str, str]) -> str:
        """Return constraints in words: ``a place in the north, with indian food``."""
        return self._phrases("wishes", domain, values, ", ")

    def details(self, domain: str, values: Mapping[str, str]) -> str:
        """Return the details of a booking in words: ``for 2 people, on monday``."""
        return self._phrases("details", domain, values, " ")

    def questions(self, domain: str, slots: Sequence[str]) -> str:
        """Return slots in words: ``the address and the postcode``."""
        return self._phrases("questions", domain, dict.fromkeys(slots, ""), " and ")

    def _phrases(self, table: str, domain: str, values: Mapping[str, str], mark: str) -> str:
        phrases = _WORDS[table]
        found = []
        for slot, value in values.items():
            forms = phrases.get(f"{domain}_{slot}") or phrases.get(f"{slot}_{value}") or phrases[slot]
            found.append(str(self._draws.choice(forms)).replace("{value}", value))
        return mark.join(found)

    def finish(self, text: str) -> str:
        """Return an opening in this person's style: a greeting, a remark, or small letters."""
        style = self._persona.communication_style
        if style == "terse":
            return text.lower() if self._habit.uniform() < _LOWER_CASE else text
        if self._draws.uniform() < _REMARKS:
            return f"{self._draws.choice(_WORDS['remarks'][style])} {text}"
        return text
