"""The lexicon of an ``acts.toml``: from an utterance to its string of word characters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from td_gym.errors import TdGymError

UNK, NUM, MONEY, TIME, PCT = "\u00a1", "\u00a2", "\u00a3", "\u00a4", "\u00a5"
_TOKEN = re.compile(
    r"[£$€]?\d+(?:[.:,]\d+)*[£$€%]?[^\W\d_]{0,12}|[^\W_]+(?:'[^\W_]+)?|[.!\n…]+|\?[?!]*|[,;:()–—]|^-+$|--+"
)
SPACED = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "´": "'", "`": "'", "＇": "'", "\u00a0": " ", "‑": " "})
_MEMO_LENGTH = 24
MEMO_LIMIT = 20_000


class Lexicon(dict[str, str]):
    """Maps a lower-case token to its characters; unlisted tokens are analysed once and remembered, boundedly."""

    def __init__(self, words: Mapping[str, str], suffixes: Mapping[str, str], near: Mapping[str, str]) -> None:
        super().__init__(words)
        self._suffixes = suffixes
        self._near = near
        self._room = MEMO_LIMIT

    def __missing__(self, token: str) -> str:
        token = token.replace("a.i.", "ai")
        parts = _TOKEN.findall(token)
        code = "".join([self.get(part) or self._analyse(part) for part in parts])
        if self._room and len(token) <= _MEMO_LENGTH:
            self._room -= 1
            self[token] = code
        return code

    def _analyse(self, token: str) -> str:
        first = token[0]
        if first in "£$€" or first.isdigit():
            return _number(token)
        if not first.isalnum():
            return "?" if first == "?" else "," if first in ",;:()–—-" else "."
        base, mark, suffix = token.partition("'")
        if mark:
            if suffix == "t" and base.endswith("n"):
                return self[base[:-1]] + self["not"]
            if suffix == "s" or suffix not in self._suffixes:
                return self[base]
            return self[base] + self._suffixes[suffix]
        if 6 <= len(token) <= 16:
            for form in (token, *_deletions(token)):
                if form in self._near:
                    return self._near[form]
        return UNK


def read_lexicon(data: Mapping[str, Any], codes: Mapping[str, str], file: str) -> Lexicon:
    """Return the lexicon of the parsed ``acts.toml``; ``codes`` has a character for each word of the patterns.

    Raises TdGymError, naming the ``file`` of the patterns, for figures among the words.
    """
    words = dict(codes)

    def spell(phrase: str) -> str:
        return "".join(words.get(word, UNK) for word in phrase.split())

    for phrase, forms in data["aliases"].items():
        for form in forms.split():
            words[form] = spell(phrase)
    words.setdefault("not", UNK)
    near: dict[str, str] = {}
    for word in filter(words.__contains__, data["typos"]):
        for form in (word, *_deletions(word)):
            near.setdefault(form, words[word])
    if figured := sorted(word for word in words if not word.isalpha() and re.search("[0-9]", word)):
        raise TdGymError(f"{file} lists {', '.join(figured)}; figures read alike, so write NUM or MONEY.")
    return Lexicon(words, {suffix: spell(word) for suffix, word in data["suffixes"].items()}, near)


def _deletions(word: str) -> list[str]:
    """Return ``word`` with one letter left out, the first never: one slip of the keyboard shares such a form."""
    return [word[:at] + word[at + 1 :] for at in range(1, len(word))]


def _number(token: str) -> str:
    if token[0] in "£$€" or token[-1] in "£$€":
        return MONEY
    if token[-1] == "%":
        return PCT
    return TIME if ":" in token or token.endswith(("am", "pm")) else NUM
