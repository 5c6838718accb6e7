"""Context-free recognition: a grammar file in, "does this sequence of terminal sets derive from that symbol" out.

Cocke-Younger-Kasami over bit masks (Younger 1967); unit rules are closed beforehand, longer rules
are split in two.  Sets of symbols recur from sentence to sentence, so their combination is cached.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

_MACRO = re.compile(r"^(.*)\{x:([^}]*)\}\s*$")


class Grammar:
    """A recogniser of the grammar whose rules are the lines ``LEFT -> a B "c" | D``; see the grammar file's head."""

    def __init__(self, source: str) -> None:
        self._ids: dict[str, int] = {}
        rules = [(left, tuple(right)) for left, right in _expand(source)]
        self.terminals = frozenset(symbol[1:-1] for _, right in rules for symbol in right if symbol.startswith('"'))
        parents: dict[int, set[int]] = defaultdict(set)
        binary: list[tuple[int, int, int]] = []
        for left, right in rules:
            while len(right) > 2:
                rest = " ".join(right[1:])
                binary.append((self._id(left), self._id(right[0]), self._id(f"<{rest}>")))
                left, right = f"<{rest}>", right[1:]
            if len(right) == 1:
                parents[self._id(right[0])].add(self._id(left))
            else:
                binary.append((self._id(left), self._id(right[0]), self._id(right[1])))
        self.undefined = {symbol for _, right in rules for symbol in right if not symbol.startswith('"')} - {
            left for left, _ in rules
        }
        self._closure = [_closed(symbol, parents) for symbol in range(len(self._ids))]
        pairs: dict[int, dict[int, int]] = defaultdict(dict)
        for left_id, first, second in set(binary):
            pairs[first][second] = pairs[first].get(second, 0) | self._closure[left_id]
        self._pairs = {first: list(seconds.items()) for first, seconds in pairs.items()}
        self._seconds = {first: sum(1 << second for second in seconds) for first, seconds in pairs.items()}
        self._firsts = sum(1 << first for first in pairs)
        self._combine = lru_cache(maxsize=1 << 18)(self._combination)

    def derives(self, start: str, terminals: Sequence[frozenset[str]]) -> bool:
        """Whether ``start`` derives the sequence; each position offers a set of terminals."""
        n = len(terminals)
        if n == 0:
            return False
        cells = [[0] * (n + 1) for _ in range(n)]
        for i, choices in enumerate(terminals):
            for name in choices:
                cells[i][i + 1] |= self._closure[self._ids[f'"{name}"']] if f'"{name}"' in self._ids else 0
        combine = self._combine
        for width in range(2, n + 1):
            for i in range(n - width + 1):
                end, found, row = i + width, 0, cells[i]
                for middle in range(i + 1, end):
                    left = row[middle]
                    if left:
                        right = cells[middle][end]
                        if right:
                            found |= combine(left, right)
                row[end] = found
        return bool(cells[0][n] >> self._ids[start] & 1)

    def _combination(self, left: int, right: int) -> int:
        found, rest = 0, left & self._firsts
        while rest:
            bit = rest & -rest
            rest ^= bit
            first = bit.bit_length() - 1
            if self._seconds[first] & right:
                for second, parents in self._pairs[first]:
                    if right >> second & 1:
                        found |= parents
        return found

    def _id(self, symbol: str) -> int:
        return self._ids.setdefault(symbol, len(self._ids))


def _expand(source: str) -> list[tuple[str, list[str]]]:
    """Return the rules of ``source`` with macros written out."""
    rules = []
    for line in source.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        macro = _MACRO.match(line)
        body, values = (macro[1], macro[2].split()) if macro else (line, [""])
        for value in values:
            left, _, alternatives = body.replace("{x}", value).partition("->")
            rules += [(left.strip(), option.split()) for option in alternatives.split("|")]
    return rules


def _closed(symbol: int, parents: dict[int, set[int]]) -> int:
    """The mask of ``symbol`` and of all that derive it by unit rules."""
    seen, waiting = {symbol}, [symbol]
    while waiting:
        for parent in parents.get(waiting.pop(), ()):
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    return sum(1 << each for each in seen)
