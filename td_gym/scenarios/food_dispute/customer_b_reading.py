"""How the second customer understands a service message: concepts per clause, then rules over concepts.

Words and fixed phrases bring *concepts* into a clause; a negation in the preceding words moves a
concept to the negated side; an act is a conjunction of concepts that are present, negated or
absent.  Sentences whose words do not hold together carry no act that earns anything.  Lexicon and
rules are in ``customer_b.toml``.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from personas.packaged import packaged_toml

_TOKEN = re.compile(r"\[(?:end|hangup):|[0-9]+(?:[:.][0-9]+)?|[a-z](?:[a-z'-]*[a-z])?|[,:()-]+")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")
_SPACES = re.compile(r"[^a-z0-9]+")
DATA = packaged_toml(__package__, "customer_b.toml")
"""The tables of ``customer_b.toml``."""

_BREAK_WORDS = frozenset(DATA["grammar"]["contrast"])
_JOINED = frozenset(DATA["grammar"]["joined"])
_INVERTED = frozenset(DATA["grammar"]["inverted"])
_GOOD = frozenset(DATA["good"]["acts"])
_SCOPE = 6
"""Words that a negation reaches."""
_MAX_TEXT = 3000
_CURT = 3.5


@dataclass(frozen=True, slots=True)
class Reading:
    """What one message says to the customer."""

    acts: frozenset[str]
    """Acts that count; those that could earn something come from well-formed sentences only."""
    words: int
    garbled: float
    """Share of words in sentences that do not hold together, 0..1."""
    sentences: tuple[int, ...]
    """Fingerprints of sentences of three words or more."""
    clocks: tuple[int, ...]
    """Times of day named, in minutes after midnight."""
    numbers: tuple[float, ...]
    """Other numbers named."""
    slots: bool
    """Whether an unfilled ``[slot]`` is left in the text."""
    curt: bool
    """Whether it is a telegram, of fewer than three and a half words a sentence."""


@dataclass(frozen=True, slots=True)
class _Sentence:
    acts: frozenset[str]
    words: int
    sound: bool
    fingerprint: int
    clocks: tuple[int, ...]
    numbers: tuple[float, ...]
    carries: bool


@dataclass(frozen=True, slots=True)
class _Rule:
    act: str
    present: int
    negated: int
    absent: int


_FLAGS = ("QUESTION", "LONG", "NUMBER", "CLOCK", "CARRYMONEY", "OFFERTONE")
_BIT = {name: 1 << place for place, name in enumerate((*DATA["concepts"], *_FLAGS))}
_NEG, _HYPO, _SAFE = _BIT["NEG"], _BIT["HYPO"], _BIT["HYPOSAFE"]


def _lexicon() -> tuple[dict[str, int], dict[str, int], dict[str, list[tuple[tuple[str, ...], int]]]]:
    """Return exact words, stems, and phrases by first word (longest first), each with its concept bits."""
    words: dict[str, int] = {}
    stems: dict[str, int] = {}
    phrases: dict[tuple[str, ...], int] = {}
    for concept, entries in DATA["concepts"].items():
        for entry in entries:
            parts = tuple(entry.split())
            if len(parts) > 1:
                phrases[parts] = phrases.get(parts, 0) | _BIT[concept]
            elif entry.endswith("*"):
                stems[entry[:-1]] = stems.get(entry[:-1], 0) | _BIT[concept]
            else:
                words[entry] = words.get(entry, 0) | _BIT[concept]
    heads: dict[str, list[tuple[tuple[str, ...], int]]] = {}
    for parts in sorted(phrases, key=len, reverse=True):
        heads.setdefault(parts[0], []).append((parts[1:], phrases[parts]))
    return words, stems, heads


_WORDS, _STEMS, _HEADS = _lexicon()


def _rules() -> tuple[_Rule, ...]:
    rules = []
    for act, lines in DATA["acts"].items():
        for line in lines:
            masks = {"": 0, "~": 0, "!": 0}
            for name in line.split():
                sign = name[0] if name[0] in "~!" else ""
                masks[sign] |= _BIT[name.lstrip("~!")]
            rules.append(_Rule(act, masks[""], masks["~"], masks["!"]))
    return tuple(rules)


_RULES = _rules()
_CLASS: dict[str, int] = {}
_KINDS = ("determiner", "subject", "verb", "modal", "link", "conjunction", "other")
for _place, _kind in enumerate(_KINDS):
    for _word in DATA["grammar"][_kind]:
        _CLASS[_word] = _CLASS.get(_word, 0) | (1 << _place)
_DETERMINER, _SUBJECT, _VERB, _MODAL, _LINK, _CONJUNCTION = (1 << place for place in range(6))


@lru_cache(maxsize=16384)
def _concepts(word: str) -> int:
    """Return the concept bits of one word."""
    bits = _WORDS.get(word, 0)
    for end in range(4, len(word) + 1):
        bits |= _STEMS.get(word[:end], 0)
    return bits


@lru_cache(maxsize=4096)
def read(text: str) -> Reading:
    """Read a service message; any text will do, only its first 3,000 characters count."""
    lowered = text[:_MAX_TEXT].lower().replace("’", "'")
    acts: set[str] = set()
    words = loose = count = 0
    fingerprints: list[int] = []
    clocks: list[int] = []
    numbers: list[float] = []
    carry = False
    for part in _SENTENCE.split(lowered):
        sentence = _read_sentence(part, carry)
        carry = sentence.carries
        words += sentence.words
        count += sentence.words > 0
        if not sentence.sound:
            loose += sentence.words
        if sentence.words >= 3:
            fingerprints.append(sentence.fingerprint)
        acts |= sentence.acts
        clocks += sentence.clocks
        numbers += sentence.numbers
    garbled = loose / words if words else 0.0
    slots = "[" in lowered and re.search(r"\[[a-z_ ]+\]", lowered) is not None
    return Reading(
        frozenset(acts),
        words,
        garbled,
        tuple(fingerprints),
        tuple(clocks),
        tuple(numbers),
        slots,
        words < _CURT * count,
    )


@lru_cache(maxsize=16384)
def _read_sentence(sentence: str, carry: bool) -> _Sentence:
    tokens: list[str] = _TOKEN.findall(sentence)
    asks = sentence.rstrip(" \"')").endswith("?")
    words = [token for token in tokens if _is_word(token)]
    sound = _holds_together(words)
    clauses = _clauses(tokens)
    inverted = bool(words) and words[0] in _INVERTED
    acts: set[str] = set()
    clocks, numbers = _figures(words)
    hypo = False
    money = _BIT["CARRYMONEY"] if carry else 0
    seen = 0
    for place, clause in enumerate(clauses):
        present, negated = _scan(clause)
        if present & _HYPO:
            hypo = not present & _SAFE
        if hypo and not (present & _NEG and money):
            present |= _HYPO
        if asks and (inverted or place == len(clauses) - 1):
            present |= _BIT["QUESTION"]
        acts |= _match(present | money, negated)
        seen |= present | negated
        if seen & _BIT["MONEYBACK"]:
            money = _BIT["CARRYMONEY"]
        if clause[-1] == "|":
            hypo = False
    useful = len(acts & _GOOD)
    if not sound or useful > 4 or (_is_thin(words) and (useful > 1 or len(words) >= 8)):
        acts -= _GOOD
        sound = False
    fingerprint = zlib.crc32(_SPACES.sub(" ", sentence).strip().encode(errors="replace"))
    return _Sentence(frozenset(acts), len(words), sound, fingerprint, clocks, numbers, bool(seen & _BIT["MONEYBACK"]))


def _is_word(token: str) -> bool:
    return token[0] not in ",:()-"


def _match(present: int, negated: int) -> set[str]:
    everything = present | negated
    return {
        rule.act
        for rule in _RULES
        if present & rule.present == rule.present
        and negated & rule.negated == rule.negated
        and not everything & rule.absent
    }


def _clauses(tokens: Sequence[str]) -> list[list[str]]:
    """Split at commas, at words like *but*, and at *and* before a subject; ``|`` closes a contrast."""
    clauses: list[list[str]] = []
    current: list[str] = []
    for place, token in enumerate(tokens):
        contrast = token in _BREAK_WORDS
        joint = token in ("and", "so") and place + 1 < len(tokens) and tokens[place + 1] in _JOINED
        if contrast or joint or not _is_word(token):
            if current:
                clauses.append([*current, "|"] if contrast else current)
                current = []
        else:
            current.append(token)
    if current:
        clauses.append(current)
    return clauses


def _scan(clause: Sequence[str]) -> tuple[int, int]:
    """Return the concepts of a clause: said, and said within reach of a preceding negation."""
    present = negated = 0
    reach = -1
    place, end = 0, len(clause)
    if end >= 5:
        present |= _BIT["LONG"]
    while place < end:
        word = clause[place]
        bits, width = 0, 1
        for rest, phrase in _HEADS.get(word, ()):
            width = 1 + len(rest)
            if tuple(clause[place + 1 : place + width]) == rest:
                bits = phrase
                break
        else:
            width = 1
            bits = _BIT["CLOCK" if ":" in word else "NUMBER"] if word[0].isdigit() else _concepts(word)
        if bits & _NEG:
            present |= bits
            reach = place + width + _SCOPE
        elif place < reach:
            negated |= bits
        else:
            present |= bits
        place += width
    return present, negated


def _holds_together(words: Sequence[str]) -> bool:
    """Say whether words could be an English sentence, by the neighbours of its function words."""
    count = len(words)
    if count < 4:
        return True
    if len(set(words)) < 0.45 * count:
        return False
    kinds = [_CLASS.get(word, 0) for word in words]
    if kinds[-1] & _DETERMINER or words[-1] in ("and", "or", "because", "i", "we"):
        return False
    for left, right in pairwise(kinds):
        if left & _DETERMINER and right & (_DETERMINER | _SUBJECT | _VERB | _LINK | _CONJUNCTION):
            return False
        if left & _SUBJECT and right & (_DETERMINER | _SUBJECT):
            return False
        if left & (_MODAL | _LINK) and right & _MODAL:
            return False
    return True


def _is_thin(words: Sequence[str]) -> bool:
    """Say whether hardly a function word glues the words together, as in a list of keywords."""
    return len(words) >= 4 and sum(1 for word in words if word in _CLASS) < 0.25 * len(words)


def _figures(words: Sequence[str]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    clocks: list[int] = []
    numbers: list[float] = []
    for word in words:
        if not word[0].isdigit() or len(word) > 8:
            continue
        if ":" in word:
            hours, minutes = word.split(":")
            clocks.append(int(hours) * 60 + int(minutes))
        else:
            numbers.append(float(word))
    return tuple(clocks), tuple(numbers)
