"""The pattern grammar of a scenario's ``acts.toml`` and the reader compiled from it.

Each word is mapped to one character, so that an utterance becomes a short string of word characters and the boundary
marks ``.``, ``,`` and ``?``. Acts are regular expressions over that string: they state clauses, not keywords. Gaps in
them are bounded and never cross a boundary, hence time is linear in the text.

Pattern notation of ``acts.toml``, tokens separated by spaces:

=============  ======================================================================================
``word``       that word; ``a|b|CLASS`` one of several words or classes; UPPER CASE names a class
``@NAME``      the macro of that name
``x? x* x+``   optional, up to four, one to four times
``!x``, ``<x`` not followed by, not preceded by
``_N``         up to N words that are no negation; ``%N`` up to N words of any kind; ``&N`` also over commas
``^``, ``$``   start, end of a clause; ``,`` an optional comma; ``;`` any boundary; ``QM`` a question mark
``( | )``      groups and alternatives; ``)?`` optional, ``)*`` up to six, ``)+`` one to four times
=============  ======================================================================================

Builtin classes: ``NUM`` any number, ``MONEY``, ``TIME``, ``PCT`` numbers of that look, ``UNK`` any word not listed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from personas.packaged import packaged_toml
from td_gym.errors import TdGymError
from td_gym.reading.lexicon import MONEY, NUM, PCT, SPACED, TIME, UNK, Lexicon, read_lexicon
from td_gym.reading.sentences import sentences, zeroed

_BOUNDS = ".,?"
_BUILTIN = {"UNK": UNK, "NUM": NUM + MONEY + TIME + PCT, "MONEY": MONEY, "TIME": TIME, "PCT": PCT}
_FIRST_WORD = 0x100
REMEMBERED = 8192
"""Sentences whose acts a reader remembers."""
LEVELS = 5
_LEFT_WINDOW = 12
_ATOM = re.compile(r"[!<]?[A-Za-z0-9',$^|]+[?*+]?\Z")
_REPEAT = {"?": "?", "*": "{0,4}", "+": "{1,4}"}


@dataclass(frozen=True)
class Pattern:
    """One way to state an act, and the contexts left and right of a match that cancel it."""

    act: str
    stated: re.Pattern[str]
    left: re.Pattern[str] | None
    right: re.Pattern[str] | None

    def holds(self, coded: str) -> bool:
        """Say whether some clause of the coded text carries the act and nothing governs it away."""
        found = self.stated.search(coded)
        while found is not None:
            start, end = found.span()
            if not (
                (self.left is not None and self.left.search(coded, max(0, start - _LEFT_WINDOW), start))
                or (self.right is not None and self.right.match(coded, end))
            ):
                return True
            found = self.stated.search(coded, max(end, start + 1))
        return False


class Reader:
    """Reads acts by the compiled lexicon and patterns, sentence by sentence.

    Sentences recur where whole messages do not, so each is read once and remembered, boundedly.

    ``keys`` maps a character to ``LEVELS`` bit sets over ``patterns``, side by side in one integer: the patterns that
    may match only if this character, or another of the same key, is there. ``keyless`` has the bits of absent keys. A
    pattern is tried when all of its keys are met.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        broken: re.Pattern[str],
        patterns: tuple[Pattern, ...],
        keys: Mapping[str, int],
        keyless: int,
    ) -> None:
        self.lexicon = lexicon
        self.broken = broken
        self.patterns = patterns
        self.keys = keys
        self.keyed = frozenset(keys)
        self.keyless = keyless
        self._read = lru_cache(maxsize=REMEMBERED)(self._read_sentence)
        self.read_form = lru_cache(maxsize=REMEMBERED)(self._match)
        """Return the acts of a ``zeroed`` sentence."""

    def read(self, text: str) -> frozenset[str]:
        """Return the acts of ``text``: those of its sentences."""
        found = list(map(self._read, sentences(text)))
        return found[0] if len(found) == 1 else frozenset().union(*found)

    def _read_sentence(self, sentence: str) -> frozenset[str]:
        return self.read_form(zeroed(sentence))  # no pattern knows one figure from another

    def _match(self, sentence: str) -> frozenset[str]:
        coded = self.encode(sentence)
        keys = self.keys
        met = self.keyless
        for char in self.keyed.intersection(coded):
            met |= keys[char]
        width = len(self.patterns)
        open_bits = met & (1 << width) - 1
        for _ in range(LEVELS - 1):
            met >>= width
            open_bits &= met
        found: set[str] = set()
        while open_bits:
            bit = open_bits & -open_bits
            open_bits ^= bit
            pattern = self.patterns[bit.bit_length() - 1]
            if pattern.act not in found and pattern.holds(coded):
                found.add(pattern.act)
        return frozenset(found)

    def encode(self, text: str) -> str:
        """Return the word characters of a sentence, without its ill-formed clauses."""
        text = text.lower()
        if not text.isascii():
            text = text.translate(SPACED)
        coded = "".join(map(self.lexicon.__getitem__, text.split()))
        if self.broken.search(coded):
            coded = "".join(part for part in re.split(r"([.,?])", coded) if not self.broken.search(part))
        return coded


def load_reader(package: str, acts: Sequence[str]) -> Reader:
    """Return the reader of exactly ``acts``, compiled from the ``acts.toml`` of ``package``."""
    return build_reader(packaged_toml(package, "acts.toml"), acts, file_of(package, "acts.toml"))


def file_of(package: str, name: str) -> str:
    """Return how an error names the file ``name`` of a scenario's ``package``."""
    return f"{package.rpartition('.')[2]}/{name}"


def build_reader(
    data: Mapping[str, Any], acts: Sequence[str], file: str = "acts.toml", table: str = "service", shared: str = ""
) -> Reader:
    """Compile a reader of exactly ``acts`` from the parsed ``acts.toml``, whose ``table`` holds their patterns.

    Errors call it ``file``, and ``shared`` where the lexicon and the macros come from another.  Raises TdGymError,
    naming file, table and pattern, for missing or extra acts, unknown classes and macros, macros that hold themselves,
    and bad notation.
    """
    needed = ("classes", "macros", "aliases", "suffixes", "typos", "broken")
    if missing := [key for key in needed if key not in data]:
        raise TdGymError(f"{shared or file} lacks {', '.join(missing)}; restore these tables.")
    entries = data.get(table, {})
    if set(entries) != set(acts):
        raise TdGymError(f"{file} [{table}] must hold exactly {', '.join(acts)}; it holds {', '.join(entries)}.")
    grammar = Grammar(data["classes"], data["macros"], data["aliases"])
    patterns: list[Pattern] = []
    needs: list[list[frozenset[str]]] = []
    for name in acts:
        entry = entries[name]
        where = f"{file} [{table}.{name}]"
        if unknown := set(entry) - {"patterns", "left", "right"}:
            raise TdGymError(f"{where} has unknown keys: {', '.join(sorted(unknown))}.")
        if not entry.get("patterns"):
            raise TdGymError(f"{where} needs non-empty patterns.")
        left = re.compile(grammar.alternatives(entry["left"], where) + r"\Z") if entry.get("left") else None
        right = re.compile(grammar.alternatives(entry["right"], where)) if entry.get("right") else None
        for source in entry["patterns"]:
            patterns.append(Pattern(name, re.compile(grammar.alternatives([source], where)), left, right))
            needs.append(sorted(grammar.keys(source, where), key=grammar.commonness)[:LEVELS])
    broken = re.compile(grammar.alternatives(data["broken"], f"{shared or file} broken"))
    keys, keyless = index_keys(needs)
    return Reader(read_lexicon(data, grammar.codes, file), broken, tuple(patterns), keys, keyless)


def index_keys(needs: list[list[frozenset[str]]]) -> tuple[dict[str, int], int]:
    """Turn the keys that each pattern needs into bits: pattern ``i`` owns bit ``i`` of every level."""
    keys: dict[str, int] = {}
    keyless = 0
    for at, chosen in enumerate(needs):
        for level in range(LEVELS):
            bit = 1 << (level * len(needs) + at)
            if level >= len(chosen):
                keyless |= bit
            else:
                keys.update({char: keys.get(char, 0) | bit for char in chosen[level]})
    return keys, keyless


class Grammar:
    """Translates the pattern notation into regular expressions and hands out one character per word."""

    def __init__(self, classes: Mapping[str, str], macros: Mapping[str, str], aliases: Mapping[str, str]) -> None:
        self._canonical = {form: key for key, forms in aliases.items() if " " not in key for form in forms.split()}
        self.codes: dict[str, str] = {}
        self._macros = macros
        self._classes = dict(_BUILTIN)
        for name, words in classes.items():
            self._classes[name] = "".join(
                self._classes[word] if word in self._classes else self.code(word) for word in words.split()
            )
        self._common = frozenset(self._classes.get("COMMON", "") + UNK + _BOUNDS)
        self._no_gap = self._classes.get("NEG", "")

    def code(self, word: str) -> str:
        """Return the character of ``word``, new for a new word."""
        word = self._canonical.get(word, word)
        return self.codes.setdefault(word, chr(_FIRST_WORD + len(self.codes)))

    def members(self, atom: str, where: str) -> str:
        """Return the characters of ``a|b|CLASS``."""
        chars = ""
        for part in atom.split("|"):
            if part == ",":
                chars += ","
            elif part.isupper() and len(part) > 1:
                if part not in self._classes:
                    raise TdGymError(f"{where} uses the unknown class {part}; add it to [classes].")
                chars += self._classes[part]
            else:
                chars += self.code(part)
        return chars

    def alternatives(self, patterns: list[str], where: str) -> str:
        """Return one regular expression that matches any of ``patterns``."""
        parts = []
        for pattern in patterns:
            expression = "".join(self._token(token, f"{where} {pattern!r}") for token in self._expand(pattern, where))
            try:
                re.compile(expression)
            except re.error as error:
                raise TdGymError(f"{where}: pattern {pattern!r} is malformed ({error}).") from error
            parts.append(expression)
        return f"(?:{'|'.join(parts)})"

    def keys(self, pattern: str, where: str) -> list[frozenset[str]]:
        """Return character sets, each of which must have a member in any text that ``pattern`` matches."""
        branches: list[list[frozenset[str]]] = [[]]
        stack: list[list[list[frozenset[str]]]] = []
        for token in ["(", *self._expand(pattern, where), ")"]:
            if token == "(":
                stack.append(branches)
                branches = [[]]
            elif token == "|":
                branches.append([])
            elif token[0] == ")":
                inner, branches = branches, stack.pop()
                if token in (")", ")+") and all(inner):
                    one_way = len(inner) == 1
                    rarest = [min(branch, key=self.commonness) for branch in inner]
                    branches[-1] += inner[0] if one_way else [frozenset().union(*rarest)]
            elif token == "QM":
                branches[-1].append(frozenset("?"))
            elif token[0] not in "!<_%&^$,;" and token[-1] not in "?*" and not set("^$") & set(token):
                branches[-1].append(frozenset(self.members(token.rstrip("+"), where)))
        return branches[0]

    def commonness(self, chars: frozenset[str]) -> int:
        """Return a rough weight of how often a text holds one of ``chars``; rare keys spare the most work."""
        return len(chars) + 30 * len(chars & self._common)

    def _expand(self, pattern: str, where: str, within: tuple[str, ...] = ()) -> list[str]:
        """Return the tokens of ``pattern`` with its macros written out; it stands ``within`` these macros itself."""
        tokens: list[str] = []
        for token in pattern.split():
            if token.startswith("@"):
                name = token.rstrip("?")[1:]
                if name not in self._macros:
                    raise TdGymError(f"{where} uses the unknown macro {token}; add it to [macros].")
                if name in within:
                    raise TdGymError(f"{where}: the macro @{name} holds itself; write it out in [macros].")
                inner = self._expand(self._macros[name], where, (*within, name))
                tokens += ["(", *inner, ")?" if token.endswith("?") else ")"]
            else:
                tokens.append(token)
        return tokens

    def _token(self, token: str, where: str) -> str:
        fixed = {
            "^": r"(?<![^.,?])",
            "$": r"(?=[.,?]|\Z)",
            "(": "(?:",
            ")": ")",
            ")?": ")?",
            ")*": "){0,6}",
            ")+": "){1,4}",
            "|": "|",
            ",": ",?",
            ";": "[.,?]",
            "QM": r"\?",
        }
        if token in fixed:
            return fixed[token]
        if token[0] in "_%&" and token[1:].isdigit():
            excluded = {"_": _BOUNDS + self._no_gap, "%": _BOUNDS, "&": ".?"}[token[0]]
            return f"[^{excluded}]{{0,{token[1:]}}}?"
        if not _ATOM.match(token) or "||" in token or "" in token.strip("!<?*+").split("|"):
            raise TdGymError(f"{where}: cannot read {token!r}; see the notation in td_gym/reading/grammar.py.")
        repeat = _REPEAT.get(token[-1], "")
        body = token[:-1] if repeat else token
        if body[0] in "!<":
            look = "?!" if body[0] == "!" else "?<!"
            return f"({look}[{self.members(body[1:], where)}])"
        parts = body.split("|")
        edges = [fixed[part] for part in parts if part in ("^", "$")]
        words = [part for part in parts if part not in ("^", "$")]
        if not edges:
            return f"[{self.members(body, where)}]{repeat}"
        return f"(?:[{self.members('|'.join(words), where)}]|{'|'.join(edges)}){repeat}"
