"""Finds the values of slots in free text: what the database knows by name, and what has a form of its own.

Both readers of the scenario use it, the one of service messages and the one of customers'.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator
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
    if value.kind != "name":
        return True
    word = plain[value.start : value.end].removeprefix("the ")
    if word not in _COMMON:
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
    ("type", "multiple sports"): ("multi sport", "multi sports", "multiple sport"),
}
_TRAILERS = {
    "name": (
        *("restaurant", "hotel", "guest house", "guesthouse", "lodge", "bed and breakfast", "cambridge", "city centre"),
        *("cinema", "noodle bar"),
    ),
    "place": ("street", "new street", "airport"),
}
"""Ends of a name that people leave out, even where only one word is left."""
_COMMON = frozenset(
    (
        *("ask", "place", "bridge", "home", "city", "golden", "grand", "royal", "hotel", "museum", "college", "park"),
        *("restaurant", "street", "station", "common"),
    )
)
"""Words that are no name by themselves."""
_NAMING = re.compile(r"\b(?:called|named|name|recommend|suggest)\s+$")
_JOINING = frozenset(("a", "and", "at", "from", "in", "of", "on", "the"))
"""Words that no name ends in."""
_SHORTEST_PART = 5
"""Letters that a single word left of a name must have to stand for it."""
_MISSPELLED = range(7, 20)
"""Letters of a word that is read in spite of a slip of the pen; shorter ones are too like others."""
_NAMED = ("name", "department", "departure", "destination", "address", "food", "type", "area", "pricerange")
"""Slots whose values are known by name; what comes first has a phrase that two would claim."""


class _Lexicon:
    """The phrases of one database, found by their first word, the longest first."""

    def __init__(self, database: Database) -> None:
        known: dict[tuple[str, ...], dict[tuple[str, str], list[str]]] = {}
        for domain, kind, value in _known(database):
            for form in _forms(kind, value):
                known.setdefault(form, {}).setdefault((kind, value), []).append(domain)
        long = {(kind, value): domain for domain, kind, value in _known(database) if kind in _TRAILERS}
        places = {_words(value) for kind, value in long if kind == "place"}
        parts = Counter(part for form in {_name_words(value) for _, value in long} for part in _ends_of(form))
        for (kind, value), domain in sorted(long.items()):
            for form in _short_forms(kind, value, places):
                if parts[form] == 1 and form not in known:  # a chain's name stands for none of its houses
                    known[form] = {(kind, value): [domain]}
        for phrase, meaning in WORDS.items():
            known.setdefault(_words(phrase), {meaning: []})
        self._meanings: dict[tuple[str, ...], tuple[str, str, tuple[str, ...]]] = {}
        """Kind, value and domains of every phrase."""
        self._lengths: dict[str, list[int]] = {}
        """How many words the phrases have that begin with a word, the longest first."""
        for form in sorted(known, key=len, reverse=True):
            (kind, value), domains = next(iter(known[form].items()))
            self._meanings[form] = kind, value, tuple(filter(None, dict.fromkeys(domains)))
            lengths = self._lengths.setdefault(form[0], [])
            if len(form) not in lengths:
                lengths.append(len(form))
        self._words = {word for form in known for word in form}
        self._near: dict[str, list[str]] = {}
        """Words by what is left of them without one letter."""
        for word in sorted(self._words):
            for part in _slips(word) if len(word) in _MISSPELLED else ():
                self._near.setdefault(part, []).append(word)
        self._spelled = lru_cache(maxsize=1 << 14)(self._spell)

    def _spell(self, word: str) -> str:
        """Return a word as the database spells it, also with one letter too many, too few, wrong or out of place."""
        word = _SPELLINGS.get(word, word)
        if word in self._words or len(word) + 1 not in _MISSPELLED:
            return word
        near = {other for part in _slips(word) for other in self._near.get(part, ()) if _is_slip(word, other)}
        return near.pop() if len(near) == 1 else word

    def find(self, plain: str) -> Iterator[Value]:
        """Yield the known values in a text of small letters."""
        matches = list(_WORD.finditer(plain))
        words = tuple([self._spelled(match[0]) for match in matches])
        place = 0
        while place < len(words):
            start = place
            place += 1
            for length in self._lengths.get(words[start], ()):
                form = words[start : start + length]
                if form in self._meanings:
                    kind, value, domains = self._meanings[form]
                    place = start + len(form)
                    yield Value(kind, value, matches[start].start(), matches[place - 1].end(), domains)
                    break


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
        if not words:
            return
        if words[0] == "the" and not (len(words) == 2 and words[1] in _COMMON):
            words = words[1:]
        split = [part for word in words for part in _JOINED.get(word, (word,))]
        for form in (words, tuple(split), *(_genitives(words) if kind in _TRAILERS else ())):
            yield form
            if kind == "type":
                yield (*form[:-1], form[-1] + "s")


def _genitives(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield a name with a genitive written in two ways: ``kings lynn`` as ``king 's lynn``, and the other way round."""
    for place, word in enumerate(words):
        if word == "s" and place:
            yield (*words[: place - 1], words[place - 1] + word, *words[place + 1 :])
        elif word.endswith("s") and len(word) > _SHORTEST_PART - 1:
            yield (*words[:place], word[:-1], "s", *words[place + 1 :])


def _name_words(name: str) -> tuple[str, ...]:
    return _words(name.removeprefix("the "))


def _ends_of(form: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield what a name begins or ends with."""
    for place in range(1, len(form)):
        yield form[:place]
        yield form[place:]


def _short_forms(kind: str, name: str, places: Container[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Yield what people say for a long name: without its last word, or its first where that is one of ``places``."""
    words = _name_words(name)
    shorter = [words[: -len(end)] for end in map(_words, _TRAILERS[kind]) if words[-len(end) :] == end]
    if len(words) > 2:
        shorter.append(words[:-1])
    if kind == "place" or words[:1] in places:
        shorter.append(words[1:])
    for form in shorter:
        long = len(form) > 1 or len("".join(form)) >= _SHORTEST_PART
        if long and form[-1] not in _JOINING and not all(word in _COMMON or word in WORDS for word in form):
            yield form


def _slips(word: str) -> Iterator[str]:
    """Yield a word, and it without any one letter but the first."""
    yield word
    yield from (word[:place] + word[place + 1 :] for place in range(1, len(word)))


def _is_slip(word: str, other: str) -> bool:
    """Return whether of two words that are alike but for a letter in each, one is the other with one slip."""
    wrong = sum(a != b for a, b in zip(word, other, strict=False))
    return len(word) != len(other) or wrong == 1 or (wrong == 2 and sorted(word) == sorted(other))


# What the words before a time or a place make of it.

_TIME_ROLES = re.compile(
    r"\b(?:(?P<leaveat>leav\w*|depart\w*|start\w*|pick\w* (?:(?:me|us) )?up)|"
    r"(?P<arriveby>arriv\w*|get(?:s|ting)? (?:there|in|to|you)|be there|be in(?= by\b)|reach\w*|drop\w*))"
)
_TIME_PREPOSITIONS = re.compile(r"\b(?:(?P<leaveat>after|from|later than)|(?P<arriveby>by|before|until))\b")
_PLACE_ROLES = re.compile(
    r"\b(?:(?P<destination>between (?:the|my|our) \w+ and|to|arriv\w*|destination|into|towards|for(?=(?: the)? $)|"
    r"reach\w*|drop\w*)|(?P<between>between)|"
    r"(?P<departure>from|leav\w*|depart\w*|out of|pick\w* (?:(?:me|us) )?up))\b"
)
_LIST = re.compile(r"[\s,]*(?:and|or|to|-|until)?\s*")
_WINDOW = 60


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
                role = _role(_PLACE_ROLES, before) or ("destination" if last[kind] == "between" else "")
            ends[kind], last[kind] = value.end, role
            if role:
                value = value._replace(role="departure" if role == "between" else role)
        yield value


def _role(pattern: re.Pattern[str], before: str) -> str:
    role = ""
    for found in pattern.finditer(before):
        role = found.lastgroup or ""
    return role
