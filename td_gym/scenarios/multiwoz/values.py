"""Finds the values of slots in free text: what the database knows by name, and what has a form of its own.

Both readers of the scenario use it, the one of service messages and the one of customers'.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.forms import WORDS, Value, find_forms, in_context
from td_gym.scenarios.multiwoz.schema import DOMAINS, UNKNOWN, WEEK


@lru_cache(maxsize=8192)
def find_values(text: str, database: Database) -> tuple[Value, ...]:
    """Return the values said in ``text``, in order and without overlaps; any text is accepted."""
    plain = plain_text(text)
    covered = bytearray(len(plain))
    kept = []
    for value in (*_lexicon(database).find(plain), *find_forms(text, plain)):
        if b"\1" not in covered[value.start : value.end] and _is_meant(text, plain, value):
            value = in_context(plain, value)
            covered[value.start : value.end] = b"\1" * (value.end - value.start)
            kept.append(value)
    kept.sort(key=lambda value: value.start)
    return tuple(_with_roles(plain, kept))


def _is_meant(text: str, plain: str, value: Value) -> bool:
    """Whether a name that is a common word, "The Place", is meant as one: by its capital, or the word before."""
    word = plain[value.start : value.end].removeprefix("the ")
    if value.kind != "name" or word not in _COMMON:
        return True
    return text[value.end - len(word)].isupper() or _NAMING.search(plain, 0, value.start) is not None


def plain_text(text: str) -> str:
    """Return ``text`` in small letters, letter by letter, so that places stay, with plain apostrophes."""
    plain = text.lower().replace("’", "'")
    return plain if len(plain) == len(text) else "".join(letter.lower()[0] for letter in text)


def masked(text: str, values: Iterable[Value]) -> str:
    """Return ``text`` in small letters with the kind in place of every value, such as ``xarea``."""
    text = plain_text(text)
    pieces, end = [], 0
    for value in values:
        pieces += [text[end : value.start], f"x{value.kind}"]
        end = value.end
    return "".join([*pieces, text[end:]])


# What the database knows by name.

_WORD = re.compile(r"[^\W_]+|&")
_SPELLINGS = {"&": "and", "center": "centre", "theater": "theatre", "st": "saint"}
_JOINED = {
    "guesthouse": ("guest", "house"),
    "swimmingpool": ("swimming", "pool"),
    "nightclub": ("night", "club"),
    "concerthall": ("concert", "hall"),
}
_SYNONYMS = {
    ("pricerange", "cheap"): ("inexpensive", "cheaply", "low cost", "cheaper", "cheapest"),
    ("pricerange", "moderate"): ("moderately", "mid range", "medium priced", "reasonably priced"),
    ("pricerange", "expensive"): ("high end", "upscale", "pricey", "high priced"),
    ("area", "centre"): ("central", "city centre", "town centre"),
    ("area", "north"): ("northern",),
    ("area", "south"): ("southern",),
    ("area", "east"): ("eastern",),
    ("area", "west"): ("western",),
    ("type", "architecture"): ("architectural",),
    ("type", "guesthouse"): ("guest houses", "bed and breakfast"),
    ("type", "boat"): ("boating",),
}
_TRAILERS = "restaurant", "hotel", "guest house", "guesthouse", "lodge", "bed and breakfast", "cambridge", "city centre"
"""Ends of a name that people leave out."""
_COMMON = frozenset(
    ("ask", "place", "bridge", "home", "city", "golden", "grand", "royal", "hotel", "museum", "college", "park")
)
"""Words that are no name by themselves."""
_NAMING = re.compile(r"\b(?:called|named|name|recommend|suggest)\s+$")
_SHORTEST_PART = 5
"""Letters that a single word left of a name must have to stand for it."""
_NAMED = ("name", "department", "departure", "destination", "address", "food", "type", "area", "pricerange")
"""Slots whose values are known by name; what comes first has a phrase that two would claim."""


class _Lexicon:
    """The phrases of one database, found by their first word, the longest first."""

    def __init__(self, database: Database) -> None:
        known: dict[tuple[str, ...], dict[tuple[str, str], list[str]]] = {}
        names = {(domain, value) for domain, kind, value in _known(database) if kind == "name"}
        for domain, kind, value in _known(database):
            for form in _forms(kind, value):
                known.setdefault(form, {}).setdefault((kind, value), []).append(domain)
        chains = Counter(
            form[:end]
            for form in {_words(name.removeprefix("the ")) for _, name in names}
            for end in range(1, len(form))
        )
        for domain, name in sorted(names):
            for form in _short_forms(name):
                if chains[form] == 1 and form not in known:  # a chain's name stands for none of its houses
                    known[form] = {("name", name): [domain]}
        for phrase, meaning in WORDS.items():
            known.setdefault(_words(phrase), {meaning: []})
        self._by_word: dict[str, list[tuple[tuple[str, ...], str, str, tuple[str, ...]]]] = {}
        for form in sorted(known, key=len, reverse=True):
            (kind, value), domains = next(iter(known[form].items()))
            where = tuple(filter(None, dict.fromkeys(domains)))
            self._by_word.setdefault(form[0], []).append((form, kind, value, where))

    def find(self, plain: str) -> Iterator[Value]:
        """Yield the known values in a text of small letters."""
        matches = list(_WORD.finditer(plain))
        words = tuple([_SPELLINGS.get(match[0], match[0]) for match in matches])
        place = 0
        while place < len(words):
            for form, kind, value, domains in self._by_word.get(words[place], ()):
                end = place + len(form)
                if words[place:end] == form:
                    yield Value(kind, value, matches[place].start(), matches[end - 1].end(), domains)
                    place = end - 1
                    break
            place += 1


@lru_cache(maxsize=16)
def _lexicon(database: Database) -> _Lexicon:
    return _Lexicon(database)


def _known(database: Database) -> Iterator[tuple[str, str, str]]:
    """Yield domain, kind and value of everything that the database knows by name."""
    for slot in _NAMED:
        for domain, spec in DOMAINS.items():
            if domain not in database.tables:
                continue
            values = database.values(domain, slot) if slot in spec.lookup else _told(database, domain, slot)
            kind = "place" if slot in ("departure", "destination") else slot
            for value in values:
                yield domain, kind, value
    for value in WEEK:
        yield "", "day", value


def _told(database: Database, domain: str, slot: str) -> Iterable[str]:
    """Return the values of a slot by which nothing is looked up."""
    return dict.fromkeys(row[slot] for row in database.tables[domain] if row.get(slot, UNKNOWN) != UNKNOWN)


def _words(phrase: str) -> tuple[str, ...]:
    return tuple(_SPELLINGS.get(word, word) for word in _WORD.findall(phrase))


def _forms(kind: str, value: str) -> Iterator[tuple[str, ...]]:
    """Yield the ways to write a value, as words."""
    for phrase in (value, *_SYNONYMS.get((kind, value), ())):
        words = _words(phrase)
        if words[0] == "the" and not (len(words) == 2 and words[1] in _COMMON):
            words = words[1:]
        split = [part for word in words for part in _JOINED.get(word, (word,))]
        for form in (words, tuple(split)):
            yield form
            if kind == "type":
                yield (*form[:-1], form[-1] + "s")


def _short_forms(name: str) -> Iterator[tuple[str, ...]]:
    """Yield what people say for a long name."""
    words = _words(name.removeprefix("the "))
    for trailer in map(_words, _TRAILERS):
        short = words[: -len(trailer)]
        ends = words[-len(trailer) :] == trailer
        if ends and (len(short) > 1 or (short and len(short[0]) >= _SHORTEST_PART and short[0] not in _COMMON)):
            yield short


# What the words before a time or a place make of it.

_TIME_ROLES = re.compile(
    r"\b(?:(?P<leaveat>leav\w*|depart\w*|start\w*)|"
    r"(?P<arriveby>arriv\w*|get(?:s|ting)? (?:there|in|to|you)|be there|reach\w*|drop\w*))"
)
_TIME_PREPOSITIONS = re.compile(r"\b(?:(?P<leaveat>after|from|later than)|(?P<arriveby>by|before|until))\b")
_PLACE_ROLES = re.compile(
    r"\b(?:(?P<departure>from|leav\w*|depart\w*|out of|pick\w* up)|"
    r"(?P<destination>to|arriv\w*|destination|into|towards|for|reach\w*))\b"
)
_LIST = re.compile(r"[\s,]*(?:and|or|to|-|until)?\s*")
_WINDOW = 40


def _with_roles(plain: str, values: list[Value]) -> Iterator[Value]:
    """Yield ``values`` with the roles that the words since the last value of a kind give them."""
    ends = {"time": 0, "place": 0}
    last = {"time": "", "place": ""}
    for value in values:
        kind = "place" if value.kind == "name" else value.kind
        if kind in ends:
            before = plain[max(ends[kind], value.start - _WINDOW) : value.start]
            if kind == "time" and ends[kind] and _LIST.fullmatch(before):
                role = last[kind]
            elif kind == "time":
                role = _role(_TIME_ROLES, before) or _role(_TIME_PREPOSITIONS, before)
            else:
                role = _role(_PLACE_ROLES, before)
            ends[kind], last[kind] = value.end, role
            value = value._replace(role=role)
        yield value


def _role(pattern: re.Pattern[str], before: str) -> str:
    role = ""
    for found in pattern.finditer(before):
        role = found.lastgroup or ""
    return role
