"""The customer's language: variants by act and split, coloured by the persona's style."""

from __future__ import annotations

from personas.persona import Persona
from td_gym.draws import Stream
from td_gym.scenarios import wording


class Voice(wording.Voice):
    """How a customer words one message about ``item``."""

    __slots__ = ("_item", "_mood")
    book = wording.Phrasebook(__package__)

    def __init__(self, persona: Persona, item: str, split: str, draws: Stream) -> None:
        super().__init__(persona, split, draws)
        self._item = item
        self._mood = persona.emotional_style

    def say(self, section: str, act: str) -> str:
        """Return one wording of an act."""
        return self.pick(section, act).replace("{item}", self._item)

    def colour(self, text: str, opening: bool = False) -> str:
        """Return ``text`` as this persona would write it: lead-ins, temper, typos."""
        manners, draws = self.book.manners, self.draws
        style = manners["style"][self.manner]
        if opening:
            text = self.opened(text)
        elif draws.uniform() < 0.4:
            text = wording.led_in(text, draws.choice(style["before"]))
        if draws.uniform() < 0.5:
            after = draws.choice(style["after"])
            tail = draws.choice(manners["mood"][self._mood])
            text = wording.exclaimed(text + after) if tail == "!" else text + after + tail
        if self.manner == "terse" and draws.uniform() < 0.2:
            text = wording.with_typo(text, draws)
        return text
