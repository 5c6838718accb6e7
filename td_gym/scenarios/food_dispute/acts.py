"""Dialogue acts of the service seat, read from free text.

``acts.toml`` holds the lexicon and the patterns, ``act_grammar`` their notation and the compiler.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from td_gym.errors import TdGymError
from td_gym.scenarios.food_dispute.act_grammar import LEVELS, Grammar, Pattern, Reader, index_keys
from td_gym.scenarios.food_dispute.act_lexicon import read_lexicon

SERVICE_ACTS = (
    "greet",
    "apologise",
    "empathise",
    "ask_details",
    "request_evidence",
    "explain",
    "refuse_refund",
    "offer_voucher",
    "promise_refund",
    "promise_callback",
    "admit_fault",
    "reveal_ai",
    "close",
)

_CLAUSE = re.compile(r"[^.!?,;:\n…()–—]+")


def detect_acts(text: str) -> frozenset[str]:
    """Return the service acts that ``text`` carries, a subset of ``SERVICE_ACTS``.

    An act needs a clause that states it: lists of keywords carry none. A denial or a hypothetical cancels only the
    act it governs. Any text is accepted; equal texts are answered from a cache.
    """
    return _cached_service(text)


def segments(text: str) -> list[str]:
    """Return the clauses of ``text``: its parts between punctuation marks, stripped, without empty ones."""
    return [part for part in map(str.strip, _CLAUSE.findall(text)) if part]


@lru_cache(maxsize=8192)
def _cached_service(text: str) -> frozenset[str]:
    return service_reader().read(text)


@cache
def service_reader() -> Reader:
    """Return the reader compiled from the package's ``acts.toml``."""
    source = resources.files(__package__).joinpath("acts.toml").read_text(encoding="utf-8")
    return build_reader(tomllib.loads(source))


def build_reader(data: Mapping[str, Any]) -> Reader:
    """Compile the service acts from the parsed ``acts.toml``.

    Raises TdGymError, naming the table and the pattern, for missing or extra acts, unknown classes and bad notation.
    """
    missing = [
        key for key in ("classes", "macros", "aliases", "suffixes", "typos", "broken", "service") if key not in data
    ]
    if missing:
        raise TdGymError(f"acts.toml lacks {', '.join(missing)}; restore these tables.")
    table = data["service"]
    if set(table) != set(SERVICE_ACTS):
        raise TdGymError(
            f"acts.toml [service] must hold exactly {', '.join(SERVICE_ACTS)}; it holds {', '.join(table)}."
        )
    grammar = Grammar(data["classes"], data["macros"], data["aliases"])
    patterns: list[Pattern] = []
    needs: list[list[frozenset[str]]] = []
    for name in SERVICE_ACTS:
        entry = table[name]
        where = f"[service.{name}]"
        if unknown := set(entry) - {"patterns", "left", "right"}:
            raise TdGymError(f"acts.toml {where} has unknown keys: {', '.join(sorted(unknown))}.")
        if not entry.get("patterns"):
            raise TdGymError(f"acts.toml {where} needs non-empty patterns.")
        left = re.compile(grammar.alternatives(entry["left"], where) + r"\Z") if entry.get("left") else None
        right = re.compile(grammar.alternatives(entry["right"], where)) if entry.get("right") else None
        for source in entry["patterns"]:
            patterns.append(Pattern(name, re.compile(grammar.alternatives([source], where)), left, right))
            needs.append(sorted(grammar.keys(source, where), key=grammar.commonness)[:LEVELS])
    broken = re.compile(grammar.alternatives(data["broken"], "broken"))
    keys, keyless = index_keys(needs)
    return Reader(read_lexicon(data, grammar.codes), broken, tuple(patterns), keys, frozenset(keys), keyless)
