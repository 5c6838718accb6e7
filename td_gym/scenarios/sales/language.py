"""The prospect's language: variants by act and split, coloured by the persona's style."""

from __future__ import annotations

from td_gym.scenarios import wording


class Voice(wording.Voice):
    """How a prospect words one message."""

    __slots__ = ()
    book = wording.Phrasebook(__package__)

    def say(self, section: str, act: str, **figures: str) -> str:
        """Return one wording of an act with its ``{figures}`` filled in."""
        chosen = self.pick(section, act)
        return chosen.format_map(figures) if figures else chosen

    def colour(self, text: str, irritated: bool = False, opening: bool = False) -> str:
        """Return ``text`` as this persona would write it: lead-ins, temper, typos."""
        if opening:
            return self.opened(text)
        lead, tail, slip = self.draws.uniform(), self.draws.uniform(), self.draws.uniform()
        text = self.in_temper(text, irritated, lead < 0.3, tail < 0.3)
        return wording.with_typo(text, self.draws) if self.manner == "terse" and slip < 0.1 else text
