"""The customer's language: wordings by act and split, put together into sentences, coloured by the persona's style."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from td_gym.scenarios import wording
from td_gym.scenarios.multiwoz.agenda import Move
from td_gym.scenarios.multiwoz.schema import DOMAINS, DONTCARE

_SPELLED = {"swimmingpool": "swimming pool", "concerthall": "concert hall"}
_THEMES = frozenset(("architecture", "entertainment", "multiple sports", "boat"))
"""Types of attractions that are no thing one could visit one of."""
_NOUNS = {("hotel", "type"): "hotel_type", ("taxi", "type"): "car", ("taxi", "phone"): "contact"}
_VOWEL = re.compile(r"(?!eu|uni|one\b)[aeiou]")
_ONE_OF_MANY = re.compile(r"\b1 (star|night)s\b")


class Voice(wording.Voice):
    """How a customer words one message."""

    __slots__ = ()
    book = wording.Phrasebook(__package__)

    def say(self, section: str, act: str, **values: str) -> str:
        """Return one wording of an act with its ``{values}`` filled in."""
        chosen = self.pick(section, act)
        if "a {value}" in chosen and _VOWEL.match(values["value"]):
            chosen = chosen.replace("a {value}", "an {value}")
        return chosen.format_map(values) if values else chosen

    def put(self, moves: Iterable[Move], first: bool = False) -> str:
        """Return moves in sentences, one for all neighbours of a kind; ``first`` for those of a first message."""
        return " ".join(self._sentence(key, list(group), first) for key, group in groupby(moves, _frame))

    def _sentence(self, frame: tuple[str, str], moves: Sequence[Move], first: bool) -> str:
        section, act = frame
        if section == "start":
            return self.say(section, act, also="" if first else " also")
        if section == "answer" or act in ("find", "find_train", "plain"):
            return self.say(section, act)
        if section == "request" or act == "dontcare":
            nouns = [self.say("noun", _NOUNS.get((move.domain, move.slot), move.slot)) for move in moves]
            what = wording.listed(nouns, "or" if act == "dontcare" else "and")
        elif section == "book":
            what = " ".join(self.say("detail", _detail(move), value=move.value) for move in moves)
        elif act == "choice":
            what = moves[0].value
        else:
            what = wording.listed([self.say("what", _what(move), value=_spelled(move.value)) for move in moves])
        return _tidy(self.say(section, act, what=what))

    def colour(self, text: str, irritated: bool = False, opening: bool = False) -> str:
        """Return ``text`` as this persona would write it: lead-ins, temper."""
        if opening:
            return self.opened(text)
        lead, tail = self.draws.uniform(), self.draws.uniform()
        return self.in_temper(text, irritated, lead < 0.2, tail < 0.2)


def _frame(move: Move) -> tuple[str, str]:
    """Return the section and the act by which a move is worded."""
    is_key = move.domain != "" and move.slot == DOMAINS[move.domain].key
    if move.intent == "start":
        return "start", move.domain
    if move.intent in ("affirm", "decline"):
        return "answer", move.intent
    if move.intent == "request":
        if is_key:
            return "request", "find_train" if move.domain == "train" else "find"
        return "request", "again" if move.reason == "again" else "unasked"
    if move.intent == "book" and not move.slot:
        return "book", "plain"
    if move.value == DONTCARE:
        return "inform", "dontcare"
    if is_key and move.reason == "answer":
        return "inform", "choice"
    return move.intent, move.reason or "unasked"


def _what(move: Move) -> str:
    """Return the entry of ``[what]`` that words a constraint."""
    if move.slot in ("internet", "parking"):
        return f"{move.slot}_{move.value}"
    return "theme" if move.slot == "type" and move.value in _THEMES else move.slot


def _detail(move: Move) -> str:
    """Return the entry of ``[detail]`` that words a detail of a booking."""
    if move.value == "1" and move.slot in ("people", "stay"):
        return "person" if move.slot == "people" else "night"
    if (move.domain, move.slot) == ("train", "people"):
        return "tickets"
    return "table_day" if (move.domain, move.slot) == ("restaurant", "day") else move.slot


def _spelled(value: str) -> str:
    return _SPELLED.get(value, value)


def _tidy(sentence: str) -> str:
    """Return a sentence with one star, not stars, and a capital in front."""
    if "1 " in sentence:
        sentence = _ONE_OF_MANY.sub(r"1 \1", sentence)
    return sentence[0].upper() + sentence[1:]
