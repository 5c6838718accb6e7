"""How the second prospect words a message: wordings by act and split, a remark in its style, its spelling."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from personas.packaged import packaged_toml
from personas.prospect import Prospect
from td_gym.draws import Stream
from td_gym.scenarios.wording import in_split, with_typo

WORDS: Mapping[str, list[str]] = packaged_toml(__package__, "customer_b_words.toml")
"""The wordings by act."""

_REMARKS, _REMARKS_WHEN_CROSS = 0.25, 0.5
_SLIPS, _LOWER_CASE = 0.08, 0.4


@lru_cache(maxsize=512)
def _wordings(act: str, split: str) -> tuple[str, ...]:
    return in_split(WORDS[act], split)


class Speech:
    """How one prospect talks in one turn; ``draws`` belong to this conversation and turn alone."""

    __slots__ = ("_persona", "_seed", "_split", "_turn", "draws")

    def __init__(self, persona: Prospect, split: str, seed: int, turn: int) -> None:
        self._persona = persona
        self._split = split
        self._seed = seed
        self._turn = turn
        self.draws = Stream(seed, f"customer_b/{turn}/words")

    def say(self, act: str, **figures: str) -> str:
        """Return one wording of an act with its ``{figures}`` filled in."""
        chosen = self.draws.choice(_wordings(act, self._split))
        return chosen.format_map(figures) if figures else chosen

    def finish(self, text: str, cross: bool, parting: bool) -> str:
        """Return ``text`` in this person's style; no remark follows a question or a goodbye."""
        style, draws = self._persona.communication_style, self.draws
        remark, slip = draws.uniform(), draws.uniform()
        habit = Stream(self._seed, "customer_b/habit")
        if style == "terse":
            text = with_typo(text, draws) if slip < _SLIPS else text
            lower = not parting and habit.uniform() < _LOWER_CASE
            return text[:1].lower() + text[1:].removesuffix(".") if lower else text
        if parting or text.endswith("?") or remark >= (_REMARKS_WHEN_CROSS if cross else _REMARKS):
            return text
        remarks = _wordings("aside_cross" if cross else f"aside_{style}", self._split)
        return text + remarks[(habit.integer(0, len(remarks)) + self._turn) % len(remarks)]
