"""How the second customer reads a message: by names, forms and a few words, one sentence after the other."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.schema import DOMAINS

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?!johns|john's|andrews|andrew's|peters|barnabas|marys|edwards|giles|michaels)")
_NEGATIVE = re.compile(r"\b(?:no|not|nothing|none|unable|cannot|failed|unfortunately|full|unsuccessful)\b|n't\b")
_SORRY = re.compile(r"\b(?:match\w*|find|found|available|exist|have|anything|like that|such|came up)\b")
_BOOKS = re.compile(r"\b(?:book\w*|reserv\w*|table|room|tickets?)\b")
_UNKNOWN = re.compile(r"\b(?:not known|unknown|do(?:n't| not) (?:know|have)|no information|not in our records)\b")
_REFERENCE = re.compile(r"\b(?=[A-Z0-9]*\d)(?=[A-Z0-9]*[A-Z])[A-Z0-9]{8}\b")
_ASKS = {
    "food": r"food|cuisine|eat\b",
    "pricerange": r"price|spend|budget",
    "area": r"area|part of|where would you like to be|location|side of",
    "stars": r"\bstars?\b",
    "parking": r"parking",
    "internet": r"internet|wi-?fi",
    "type": r"hotel or|guesthouse or|(?:type|kind) of (?:attraction|place|hotel)|interested in",
    "departure": r"depart\w* (?:place|from)|leav\w* from|pick\w* .*up|from where|starting",
    "destination": r"destination|travel\w* to|want to go|going to\b|where to",
    "day": r"\bday\b|\bdate\b|\bwhen\b",
    "leaveat": r"time.*(?:leav|depart|go\b|travel)|when .*leav",
    "arriveby": r"time.*arriv|arriv.*time",
    "time": r"\btime\b",
    "people": r"how many people|how many (?:guests|tickets|persons)|party|number of (?:people|tickets)",
    "stay": r"\bnights?\b|how long",
    "department": r"department",
}
_TOLD = {
    "phone": r"(?<!\d)0\d{8,10}\b",
    "postcode": r"\b[a-z]{1,2}\d{1,2} ?\d[a-z]{2}\b",
    "address": r"\baddress\b.{6,}|\b\d+ (?:\w+ ){1,2}(?:street|road|lane|row|hill|court|square|avenue|close|yard)\b",
    "trainid": r"\btr ?\d{4}\b",
    "duration": r"\b\d+ min",
    "price": r"\bpounds?\b|£",
    "entrancefee": r"\b(?:entrance|entry|admission|fee)\b",
    "openhours": r"\bopen|\bhours\b",
    "leaveat": r"\b(?:leav|depart)\w*\b.*\d:\d\d",
    "arriveby": r"\barriv\w*\b.*\d:\d\d",
    "internet": r"internet|wi-?fi",
    "parking": r"parking",
}
_CAR = re.compile(r"\b(?:black|white|red|yellow|blue|gr[ea]y|green|silver|orange|brown) (?!taxi|cab|car\b)\w+")
_WORDS = {
    "area": ("centre", "north", "south", "east", "west"),
    "pricerange": ("cheap", "moderate", "expensive"),
    "stars": tuple(f"{count} star" for count in range(6)),
}
_ASK = {slot: re.compile(pattern) for slot, pattern in _ASKS.items()}
_TELL = {slot: re.compile(pattern) for slot, pattern in _TOLD.items()}


@dataclass
class Heard:
    """What the customer takes from one message about its present domain."""

    name: str = ""
    """What is offered: a name, or a train's id."""
    told: set[str] = field(default_factory=set)
    """Slots of which something is told."""
    values: dict[str, list[str]] = field(default_factory=dict)
    """Values told of slots that have few, where something is offered."""
    asks: list[str] = field(default_factory=list)
    """Slots that the message asks for."""
    reference: str = ""
    offers_booking: bool = False
    refuses_booking: bool = False
    finds_nothing: bool = False
    knows_not: bool = False
    """Something is said not to be known."""


def listen(text: str, domain: str, database: Database) -> Heard:
    """Return what ``text`` says to a customer who is about to settle ``domain``."""
    heard = Heard()
    if found := _REFERENCE.search(text):
        heard.reference = found[0]
    for sentence in _SENTENCE.split(text.lower()):
        name = _named(sentence, domain, database)
        heard.name = name or heard.name
        if sentence.endswith("?") and not name:
            _take_question(heard, sentence, domain)
            continue
        if _UNKNOWN.search(sentence):
            heard.knows_not = True
        elif _NEGATIVE.search(sentence) and not name:
            books = _BOOKS.search(sentence) is not None
            heard.refuses_booking |= books and not heard.reference
            heard.finds_nothing |= not books and _SORRY.search(sentence) is not None
        _take_values(heard, sentence, domain, database)
    return heard


def _take_question(heard: Heard, sentence: str, domain: str) -> None:
    spec = DOMAINS[domain]
    slots = [slot for slot in spec.stated if slot in _ASK and _ASK[slot].search(sentence)]
    heard.asks += slots
    heard.offers_booking |= not slots and _BOOKS.search(sentence) is not None


def _take_values(heard: Heard, sentence: str, domain: str, database: Database) -> None:
    """Note what is told, and the values of slots that have few; words in the name of the place are none."""
    heard.told |= {slot for slot, pattern in _TELL.items() if pattern.search(sentence)}
    if domain == "taxi" and _CAR.search(sentence):
        heard.told.add("type")
    told = sentence.replace(heard.name.removeprefix("the "), "") if heard.name else sentence
    for slot in (*DOMAINS[domain].inform, *DOMAINS[domain].request):
        for value in _few(domain, slot, database):
            if value in told:
                heard.told.add(slot)
                if heard.name:
                    heard.values.setdefault(slot, []).append(value.removesuffix(" star"))


def _few(domain: str, slot: str, database: Database) -> tuple[str, ...]:
    """Return the words that may stand for a slot with few values."""
    if slot in _WORDS:
        return _WORDS[slot]
    if (domain, slot) == ("restaurant", "food") or (slot == "type" and domain in ("hotel", "attraction")):
        return database.values(domain, slot)
    return ()


def _named(sentence: str, domain: str, database: Database) -> str:
    """Return the longest name of ``domain`` in a sentence, or a train's id; empty for none."""
    if domain == "train":
        found = _TELL["trainid"].search(sentence)
        return found[0].replace(" ", "") if found else ""
    return max((name for name, form in _names(domain, database) if form in sentence), key=len, default="")


@lru_cache(maxsize=64)
def _names(domain: str, database: Database) -> tuple[tuple[str, str], ...]:
    key = DOMAINS[domain].key
    rows = database.tables.get(domain, ())
    return tuple((row[key], form) for row in rows if len(form := row[key].removeprefix("the ")) > 3)
