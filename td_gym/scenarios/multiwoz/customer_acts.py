"""Dialogue acts of customers, read from free text by the values of a database and the patterns of a table.

An ``inform`` without a slot only brings a domain up.  Beside it and ``request`` there are ``same`` (a slot is as in the
domain that is the act's value), ``book``, ``suggest``, ``reqalts`` and the general ``affirm``, ``deny``, ``thank``,
``bye`` and ``greet``.  A domain that the words do not tell is empty, and so is the slot of a value that only an earlier
question explains; ``state`` knows which are meant.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache

from personas.packaged import packaged_toml
from td_gym.reading.sentences import sentences
from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.forms import Value
from td_gym.scenarios.multiwoz.schema import DOMAINS, DONTCARE, Act
from td_gym.scenarios.multiwoz.values import find_values, masked, plain_text

READ_LIMIT = 1000
"""Characters of a message that are read."""
_CLAUSE = re.compile(
    r"[.!?;]+(?=\s|$)|(?:, | )(?=(?:and|but|also|then|plus) (?:also |then |please )?"
    r"(?:i|we|can|could|what|which|when|how|is|are|does|do|book|find|tell|give|it|they|that|a|an|the|my|need)\b"
    r"|(?:as|so) long as\b|just (?:an?|some\w+)\b)|, (?=(?:what|which|when|how|can|could|is|does|i|please|and)\b)"
)
_STATED = frozenset(slot for spec in DOMAINS.values() for slot in spec.stated) | {"time", ""}
_NOT = re.compile(r"\b(?:not|rather than|instead of)(?: an?| the)? $")
"""What before a value says that it is not wanted."""
_UNWANTED = re.compile(r"(?:\bnot|n't|\bdont) (?:want|need|like)(?: an?| any| the)? $")
"""The same for all but amenities, of which one may do without."""
_NEAR = re.compile(r"\b(?:near(?:by)?|close to|next to|beside|distance (?:of|from|to))(?: the)? $")
"""What before a name says that something else is looked for."""
_BETWEEN = re.compile(r"between (?<=\bbetween )(?:(?! and )[^,.;?!]){1,60}$")
"""What before a clause says that it is the second of two places; it begins with letters, which a search leaps to."""
_NO_NUMBER = re.compile(r"\b(?:another|other|which|that|this|the|any|no|first|last|new|different) $")
_COUNTED_FOR = re.compile(r"\b(?:table|room|booking|reservation|tickets?|seats?|it|just|please),? for $")
_PRONOUN = re.compile(r"one (?:that|which|with|like|in|on|of|is|would|should|near|called|named)\b")
"""What makes a pronoun of ``one``."""
_TELLING = ("name", "food", "type", "place", "department")
"""Kinds of values that may tell the domain."""
_AMENITIES = ("internet", "parking")


@lru_cache(maxsize=4096)
def read_customer(text: str, database: Database, topic: str = "") -> tuple[Act, ...]:
    """Return the acts of a customer's message, in order; any text is accepted.

    ``topic`` is the domain that was spoken of before: the ends of a ride are told only by it from places wanted
    otherwise. Only the first ``READ_LIMIT`` characters are read.
    """
    acts: dict[Act, None] = {}
    domain = ""
    for sentence in sentences(text[:READ_LIMIT]):
        found, domain = _read_sentence(sentence, database, domain, topic)
        acts |= dict.fromkeys(found)
    told = {act.domain for act in acts if act.slot or act.intent == "book"}
    return tuple(act for act in acts if act.slot or act.value or act.intent != "inform" or act.domain not in told)


@lru_cache(maxsize=8192)
def _read_sentence(sentence: str, database: Database, domain: str, topic: str) -> tuple[tuple[Act, ...], str]:
    """Return the acts of a sentence, and the domain that it ends with; ``domain`` is the one named before it."""
    acts: list[Act] = []
    for clause, values in _clauses(sentence, find_values(sentence, database)):
        before = domain or topic
        named = _domain(clause, values, before)
        domain = named or domain
        acts += _read_clause(clause, values, domain, before)
        if named:
            acts.append(Act("inform", named))
    return tuple(acts), domain


def _clauses(text: str, values: Sequence[Value]) -> Iterator[tuple[str, list[Value]]]:
    """Yield every clause, with kinds for values, and the values said in it."""
    plain = plain_text(text)
    start = 0
    for end in [*_ends(plain, values), len(plain)]:
        here = [_counted(plain, value) for value in values if start <= value.start < end]
        inside = [Value(_kind(value), value.value, value.start - start, value.end - start) for value in here]
        if clause := masked(plain[start:end], inside).strip():
            yield clause, [value for value in here if _is_meant(plain, start, end, value)]
        start = end


def _counted(plain: str, value: Value) -> Value:
    """Return ``for 4`` as a number of people; ``for one`` is one only after what is booked, since one looks for one."""
    if value.kind != "number" or not plain.endswith(" for ", 0, value.start):
        return value
    one = value.value == "1" and not plain[value.start].isdigit()
    return value if one and not _COUNTED_FOR.search(plain[: value.start]) else value._replace(kind="people")


def _is_meant(plain: str, start: int, end: int, value: Value) -> bool:
    """Return whether the words around a value, in the clause from ``start`` to ``end``, leave it one that is wanted."""
    before = plain[start : value.start]
    if value.kind == "number" and (_NO_NUMBER.search(before) or _PRONOUN.match(plain, value.start, end)):
        return False
    if value.kind == "name" and _NEAR.search(before):
        return False
    return _NOT.search(before) is None and (value.kind in _AMENITIES or _UNWANTED.search(before) is None)


def _kind(value: Value) -> str:
    """Return what stands for a value in a clause: its kind, with the domain that a name or type tells."""
    return (
        f"{value.domains[0]}{value.kind}" if value.kind in ("name", "type") and len(value.domains) == 1 else value.kind
    )


def _ends(plain: str, values: Sequence[Value]) -> Iterator[int]:
    for found in _CLAUSE.finditer(plain):
        end = found.end()
        inside = any(value.start < end < value.end for value in values)
        if not inside and not _BETWEEN.search(plain, 0, found.start()):
            yield end


def _domain(clause: str, values: Sequence[Value], before: str) -> str:
    """Return the domain that a clause names, empty for none; a ride between two venues is about the ride.

    ``before`` is the domain of the clause before.
    """
    if before == "taxi" and (_says(clause, "rides") or any(each.kind == "name" and each.role for each in values)):
        return before
    if "same" in clause:
        clause = _expressions("phrases")["same"].sub(" ", clause)
    told = _found("domains", clause)
    if "taxi" in told:
        return "taxi"
    if told:
        return min(told, key=told.__getitem__)
    telling = (value for value in values if len(value.domains) == 1 and value.kind in _TELLING)
    left = (value for value in telling if f"x{_kind(value)}" in clause and (value.kind != "place" or value.role))
    return next((value.domains[0] for value in left), "")


def _read_clause(clause: str, values: Sequence[Value], domain: str, before: str) -> Iterator[Act]:
    asks, searches = _says(clause, "asks"), _says(clause, "searches")
    careless = _says(clause, "dontcare")
    stated = set()
    for slot, other in _same(clause):
        stated.add(slot)
        yield Act("same", domain, slot, other)
    if domain == "taxi":
        yield from _ends_of_ride(clause, [value.role for value in values])
        values = [value for value in values if value.kind != "type"]
    values = _one_type(clause, values)
    for value in values:
        if value.kind in _AMENITIES and (careless or (_says(clause, "wonders") and not searches)):
            continue
        if (act := _inform(value, domain, clause, before)) is not None:
            stated.add(act.slot)
            yield act
    for found in _phrases("any", clause):
        for slot in [slot for slot in _found("named_slots", found["any"]) if slot not in stated]:
            stated.add(slot)
            yield Act("inform", domain, slot, DONTCARE)
    if careless:
        named = [slot for slot in _found("named_slots", clause) if slot not in stated]
        for slot in named if named or stated else [""]:
            yield Act("inform", domain, slot, DONTCARE)
    else:
        yield from _requests(clause, domain, stated, asks and not searches)
    general = _found("general", clause)
    if _says(clause, "books"):
        yield Act("deny", "general") if _says(clause, "without") else Act("book", domain)
    if _says(clause, "suggestions"):
        yield Act("suggest", domain)
    if _says(clause, "alternatives") and not (_says(clause, "without") or "deny" in general):
        yield Act("reqalts", domain)
    for intent in general:
        if intent != "deny" or not careless:
            yield Act(intent, "general")


def _inform(value: Value, domain: str, clause: str, before: str) -> Act | None:
    """Return the act that states ``value``, ``None`` for one that customers do not state."""
    slot = value.kind
    if slot == "name":
        slot = value.role if domain == "taxi" else "name"
    elif slot == "place":
        slot = value.role
    elif slot == "time":
        slot = value.role or "time"
    elif slot == "number":
        slot = ""
    if slot not in _STATED:
        return None
    if value.value == "hotel" and not _says(clause, "kinds") and not (before == "hotel" and _says(clause, "a_hotel")):
        return None  # said of guesthouses too
    if slot == "type" and not value.domains:
        return None  # a car
    tells = value.kind in ("type", "food", "department") or (slot == "name" and domain not in value.domains)
    own = value.domains[0] if len(value.domains) == 1 and tells else ""
    return Act("inform", own or domain, slot, value.value)


def _one_type(clause: str, values: Sequence[Value]) -> Sequence[Value]:
    """Return ``values`` with one type of lodging at most: a guesthouse is called a hotel too, "or" leaves it open."""
    if _says(clause, "either_lodging"):
        return [value for value in values if value.kind != "type"]
    if any(value.value == "guesthouse" for value in values):
        return [value for value in values if value.value != "hotel"]
    return values


def _same(clause: str) -> Iterator[tuple[str, str]]:
    for found in _phrases("same", clause):
        other = _place_meant(found["other"] or "")
        for slot in _found("named_slots", found["slots"] or found["slots2"] or found["slots3"]):
            yield slot, other


def _ends_of_ride(clause: str, named: Container[str]) -> Iterator[Act]:
    """Yield the ends of a ride that are told by what is there, ``from the hotel``, or by what was spoken of before.

    ``named`` are the ends that are given by name.
    """
    ends: dict[str, str] = {}
    if _says(clause, "between"):
        ends = {slot: "" for slot in ("departure", "destination") if slot not in named}
    for found in _phrases("between", clause):
        ends |= {"departure": found["first"], "destination": found["second"]}
    for found in _expressions("rides")["ends"].finditer(clause):
        ends["destination" if found["to"] else "departure"] = found["other"]
    for slot, noun in ends.items():
        other = _place_meant(noun)
        if not noun or (other not in ("", "train", "taxi") and not noun.endswith("name")):
            yield Act("same", "taxi", slot, other)
    if _says(clause, "table_time"):
        yield Act("same", "taxi", "arriveby", "restaurant")


def _place_meant(noun: str) -> str:
    """Return the domain that a noun means, empty for none."""
    return next(iter(_found("domains", noun)), "")


def _requests(clause: str, domain: str, stated: set[str], asks: bool) -> Iterator[Act]:
    wanted = [slot for slot in _found("asked", clause) if slot not in stated] if asks else []
    for slot in (*_found("asked_only", clause), *wanted):
        if slot == "price" and ("pricerange" in stated or _is_fee(clause)):
            continue
        if not domain or slot in (*DOMAINS[domain].request, "ref"):
            yield Act("request", domain, slot, "?")


def _is_fee(clause: str) -> bool:
    """Return whether a price asked for is that of a visit."""
    return "entrancefee" in _found("asked_only", clause)


# Clauses recur where their values do not: what is looked for in one is remembered.


@lru_cache(maxsize=16384)
def _says(clause: str, cue: str) -> bool:
    return _expressions("cues")[cue].search(clause) is not None


@lru_cache(maxsize=16384)
def _found(table: str, clause: str) -> Mapping[str, int]:
    """Return where in a clause the entries of a table are found, most often none of them."""
    first = _any_of(table).search(clause)
    if first is None:
        return {}
    start = first.start()
    return {name: found.start() for name, cue in _expressions(table).items() if (found := cue.search(clause, start))}


def _phrases(word: str, clause: str) -> Iterable[re.Match[str]]:
    """Return the phrases of a clause that hold ``word``."""
    return _expressions("phrases")[word].finditer(clause) if word in clause else ()


@cache
def _any_of(table: str) -> re.Pattern[str]:
    """Return one expression for all entries of a table."""
    return _one_of(pattern for patterns in _entries(table).values() for pattern in patterns)


@cache
def _expressions(table: str) -> Mapping[str, re.Pattern[str]]:
    """Return a table, every entry compiled to one expression."""
    return {name: _one_of(patterns) for name, patterns in _entries(table).items()}


def _entries(table: str) -> Mapping[str, Sequence[str]]:
    return packaged_toml(__package__, "customer_acts.toml")[table]  # type: ignore[no-any-return]


def _one_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """Return one expression for ``patterns``; those that begin with a word share the search for where words begin."""
    patterns = tuple(patterns)
    words = [pattern.removeprefix(r"\b") for pattern in patterns if pattern.startswith(r"\b")]
    others = [pattern for pattern in patterns if not pattern.startswith(r"\b")]
    return re.compile("|".join([*others, rf"\b(?:{'|'.join(words)})"] if words else others))
