"""Traits from the prose of the published FDS profiles, by keywords (``fds.toml``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from personas.checks import PersonaError
from personas.packaged import packaged_toml
from personas.persona import DEMANDS, TRAITS

_CLAUSE = re.compile(r"[.;:,()—]\s")


@cache
def fds_tables() -> Mapping[str, Any]:
    """Load ``fds.toml``: issues, demands, negators, trait keywords; wrong trait or demand names raise PersonaError."""
    tables = packaged_toml(__package__, "fds.toml")
    if tuple(tables["demands"].values()) != DEMANDS:
        raise PersonaError(f"fds.toml: [demands] must name {', '.join(DEMANDS)}.")
    for trait, values in TRAITS.items():
        if set(tables["traits"].get(trait, {})) != {"fields", *values}:
            raise PersonaError(f"fds.toml: [traits.{trait}] must have fields and {', '.join(values)}.")
    return tables


@lru_cache(maxsize=1024)
def _classified(style: str, disclosure: str, solving: str) -> tuple[tuple[str, str], ...]:
    texts = {"communicationStyle": style, "informationDisclosure": disclosure, "problemSolvingApproach": solving}
    traits = []
    for trait, table in fds_tables()["traits"].items():
        prose = ". ".join(texts[name] for name in table["fields"])
        hits = {value: _hits(prose, words) for value, words in table.items() if value != "fields"}
        traits.append((trait, max(hits, key=lambda value: hits[value])))
    return tuple(traits)


def classify(communication_style: str, information_disclosure: str, problem_solving: str) -> dict[str, str]:
    """Return the four traits for the three ``behavioralPatterns`` texts of a profile; pure and deterministic.

    A trait gets the value whose keywords occur most often in its texts, leaving out occurrences
    after a negator in the same clause.
    """
    return dict(_classified(communication_style, information_disclosure, problem_solving))


def _hits(prose: str, keywords: list[str]) -> int:
    count = 0
    for clause in _CLAUSE.split(prose.lower()):
        negated = _negators().search(clause)
        scope = len(clause) if negated is None else negated.end()
        count += sum(match.start() < scope for word in keywords for match in _keyword(word).finditer(clause))
    return count


@cache
def _keyword(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}")


@cache
def _negators() -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, fds_tables()['negators']['words']))})\b")
