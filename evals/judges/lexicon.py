"""Lexicons as data: TOML tables of regular expressions, compiled and checked at load."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from personas.packaged import packaged_toml
from td_gym.errors import TdGymError


@cache
def load(name: str) -> Mapping[str, re.Pattern[str]]:
    """Return the patterns of ``NAME.toml`` beside this file: one a table, case-blind, any of its lines may match.

    A line is a regular expression; a space stands for any white space, and ``(?-i:...)`` minds case.
    """
    patterns = {}
    for table, content in packaged_toml(__package__, f"{name}.toml").items():
        lines = [line.strip() for line in content["lines"].splitlines() if line.strip()]
        try:
            patterns[table] = re.compile("|".join(f"(?:{line})" for line in lines).replace(" ", r"\s+"), re.IGNORECASE)
        except re.error as error:
            raise TdGymError(
                f"Table {table!r} of {name}.toml holds a pattern that does not compile: {error}."
            ) from error
    return patterns


@cache
def load_words(name: str, table: str) -> frozenset[str]:
    """Return the plain words of ``table`` in ``NAME.toml`` beside this file."""
    return frozenset(packaged_toml(__package__, f"{name}.toml")[table]["words"].split())
