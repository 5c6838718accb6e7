"""What a service message says, read from free text: dialogue acts ``[intent, domain, slot, value]``.

Intents: ``recommend`` (an entity by its key), ``inform``, ``select`` (values to choose from), ``request``,
``no_offer``, ``offer_book``, ``booked`` (slot ``ref`` with the reference), ``no_book``; and of domain ``general``
``reqmore``, ``greet``, ``welcome``, ``bye``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache

from personas.packaged import packaged_toml
from td_gym.reading.grammar import Reader, load_reader
from td_gym.reading.sentences import sentences
from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.forms import Value
from td_gym.scenarios.multiwoz.schema import DOMAINS, UNKNOWN, Act
from td_gym.scenarios.multiwoz.values import find_values, masked, plain_text

GENERAL = ("reqmore", "greet", "welcome", "bye")
"""Intents of acts that are about no domain."""
_ABOUT_DOMAIN = ("no_offer", "no_book", "booked", "offer_book")
_ASKED = (
    *("area", "food", "pricerange", "type", "stars", "internet", "parking", "name", "day", "time", "people", "stay"),
    *("departure", "destination", "leaveat", "arriveby", "department"),
)
_REQUESTS = {f"request_{slot}": slot for slot in _ASKED}
_READ = (*_ABOUT_DOMAIN, *GENERAL, "unknown", *_REQUESTS)
_HAS = {
    "food": "restaurant",
    "department": "hospital",
    "trainid": "train",
    "duration": "train",
    "stars": "hotel",
    "internet": "hotel",
    "parking": "hotel",
    "stay": "hotel",
}
"""The domain of kinds of values that only one domain has."""
_OPEN = re.compile(r"\b(?:open|opens|opening|hours|closed|closes)\b")
_CLAUSE = re.compile(r"\b(?:but|however|although)\b")
_WORD = re.compile(r"[a-z]+")
_ABBREVIATED = re.compile(r"\b(st|dr|mr|mrs)\.(?= )", re.IGNORECASE)
"""What ends in a full stop and ends no sentence."""


@lru_cache(maxsize=4096)
def read_service(text: str, database: Database, topic: str = "") -> tuple[Act, ...]:
    """Return what a service message says, in order; any text is accepted.

    Acts are about ``topic``, the domain last spoken of, where the words name none.  Attributes are ``inform``
    acts only where something is offered or told; a choice that is left to the customer is ``select``.
    """
    acts: list[Act] = []
    for sentence in sentences(_ABBREVIATED.sub(r"\1", text)):
        found, topic = _read_sentence(sentence, database, topic)
        acts += found
    return tuple(dict.fromkeys(acts))


@lru_cache(maxsize=8192)
def _read_sentence(sentence: str, database: Database, topic: str) -> tuple[tuple[Act, ...], str]:
    """Return the acts of a sentence, and the domain that it ends with; sentences recur where whole messages do not."""
    acts: list[Act] = []
    for clause in _CLAUSE.split(sentence):
        found = tuple(_read_clause(clause, database, topic))
        topic = next((act.domain for act in reversed(found) if act.domain in DOMAINS), topic)
        acts += found
    return tuple(acts), topic


def _read_clause(clause: str, database: Database, topic: str) -> Iterator[Act]:
    values = _meant(find_values(clause, database))
    plain = masked(clause, values)
    intents = service_reader().read(plain)
    domain = _domain(plain, values, topic)
    if any(value.kind == "ref" for value in values):
        intents -= {"no_book", "no_offer"}
    if "no_book" in intents:
        intents -= {"no_offer", "booked"}
    for intent in _ABOUT_DOMAIN:
        if intent in intents:
            yield Act(intent, domain)
    asked = [slot for act, slot in _REQUESTS.items() if act in intents and _is_open(domain, slot, values)]
    told = "no_offer" if "no_offer" in intents else "select" if _leaves_choice(clause, values, asked) else "inform"
    for value in values:
        slot = _slot(domain, value)
        if value.kind in ("name", "trainid", "department"):
            yield Act("no_offer" if told == "no_offer" else "recommend", domain, slot, value.value)
        elif value.kind == "ref":
            yield Act("booked", domain, "ref", value.value)
        elif slot:
            yield Act(told, domain, slot, value.value)
    if "unknown" in intents:
        for noun in _WORD.findall(plain):
            if slot := _nouns().get(noun, ""):
                yield Act("inform", domain, slot, UNKNOWN)
    if domain == "attraction" and _OPEN.search(plain) and any(value.kind in ("time", "day") for value in values):
        yield Act("inform", domain, "openhours", plain_text(clause))
    for slot in asked:
        yield Act("request", domain, slot, UNKNOWN)
    for intent in GENERAL:
        if intent in intents:
            yield Act(intent, "general")


def _meant(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """Return ``values`` without the word "hotel" where it is no type, but any place to stay."""
    if any(value.kind == "name" or value.value == "guesthouse" for value in values):
        return values
    return tuple([value for value in values if (value.kind, value.value) != ("type", "hotel")])


def _domain(plain: str, values: tuple[Value, ...], topic: str) -> str:
    """Return the domain that a clause is about: its entity's, else what its words and values point to, else topic."""
    pointing = _cues()
    cues = [pointing[word] for word in _WORD.findall(plain) if word in pointing]
    if "taxi" in cues or any(value.kind == "type" and not value.domains for value in values):
        return "taxi"
    named = [domain for value in values if value.kind == "name" for domain in value.domains]
    candidates = named or [*cues, *(_HAS[value.kind] for value in values if value.kind in _HAS)]
    candidates = candidates or [domain for value in values if value.kind == "type" for domain in value.domains]
    if not candidates or topic in candidates:
        return topic
    return candidates[0]


def _slot(domain: str, value: Value) -> str:
    """Return the slot of ``domain`` that ``value`` fills, empty where it fills none."""
    slot = value.slot
    if value.kind == "money":
        slot = {"attraction": "entrancefee", "train": "price"}.get(domain, "")
    elif value.kind == "time" and domain not in ("train", "taxi"):
        slot = "time"
    spec = DOMAINS.get(domain)
    if spec is None:
        return slot if slot not in ("place", "number", "money") else ""
    return slot if slot in spec.stated or slot in spec.request else ""


def _is_open(domain: str, slot: str, values: tuple[Value, ...]) -> bool:
    """Whether a question for ``slot`` makes sense: the domain has it, and the words do not settle it themselves."""
    spec = DOMAINS.get(domain)
    if spec is not None and slot not in (*spec.inform, *spec.book):
        return False
    return sum(_slot(domain, value) == slot for value in values) != 1 or slot in ("internet", "parking")


def _leaves_choice(clause: str, values: tuple[Value, ...], asked: list[str]) -> bool:
    """Whether a clause asks about attributes rather than tells those of an entity."""
    entity = any(value.kind in ("name", "trainid", "ref", "phone") for value in values)
    return bool(asked) or (clause.rstrip().endswith("?") and not entity)


@cache
def service_reader() -> Reader:
    """Return the reader compiled from the package's ``acts.toml``."""
    return load_reader(__package__, _READ)


@cache
def _cues() -> Mapping[str, str]:
    """The domain that a word points to."""
    return _by_word("domains")


@cache
def _nouns() -> Mapping[str, str]:
    """The slot that a word names."""
    return _by_word("nouns")


def _by_word(table: str) -> dict[str, str]:
    lists = packaged_toml(__package__, "acts.toml")[table]
    return {word: name for name, words in lists.items() for word in words.split()}
