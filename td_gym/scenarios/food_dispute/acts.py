"""Dialogue acts of the service seat, read from free text by the lexicon and patterns of ``acts.toml``."""

from __future__ import annotations

import re
from functools import cache

from td_gym.reading.grammar import Reader, load_reader
from td_gym.reading.sentences import sentences

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

_PARTIES = {
    "merchant": re.compile(r"\b(?:restaurant|kitchen|chef|cook|merchant)", re.IGNORECASE),
    "courier": re.compile(r"\b(?:courier|rider|driver|delivery partner)", re.IGNORECASE),
}


def detect_acts(text: str) -> frozenset[str]:
    """Return the service acts that ``text`` carries, a subset of ``SERVICE_ACTS``.

    An act needs a clause that states it: lists of keywords carry none. A denial or a hypothetical cancels only the
    act it governs. Any text is accepted.
    """
    return service_reader().read(text)


def blamed_parties(text: str) -> frozenset[str]:
    """Return who is named, ``merchant`` or ``courier``, in the sentences of ``text`` that admit a fault."""
    confessions = " ".join(part for part in sentences(text) if "admit_fault" in detect_acts(part))
    return frozenset(party for party, named in _PARTIES.items() if named.search(confessions))


@cache
def service_reader() -> Reader:
    """Return the reader compiled from the package's ``acts.toml``."""
    return load_reader(__package__, SERVICE_ACTS)
