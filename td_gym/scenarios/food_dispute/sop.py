"""Strategies of the service seat and the standard operating procedure that orders them.

clarify -> evidence -> judge responsibility -> resolve or negotiate -> close.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

STRATEGIES = (
    "open",
    "empathise",
    "clarify",
    "request_evidence",
    "explain",
    "acknowledge_fault",
    "decline_refund",
    "offer_voucher",
    "close",
    "transfer",
    "chat",
)
FALLBACK = "empathise"

# The most committing act of a message names its strategy.
_BY_ACT = (
    ("offer_voucher", "offer_voucher"),
    ("promise_refund", "chat"),
    ("refuse_refund", "decline_refund"),
    ("admit_fault", "acknowledge_fault"),
    ("request_evidence", "request_evidence"),
    ("explain", "explain"),
    ("ask_details", "clarify"),
    ("empathise", "empathise"),
    ("apologise", "empathise"),
    ("close", "close"),
    ("greet", "open"),
)


@dataclass
class Progress:
    """How far the procedure has come; moved by both seats."""

    opened: bool = False
    asked: int = 0
    clarified: bool = False
    """The customer has said what is wrong with which dish."""
    evidence: str = ""
    """Empty until asked for, then ``asked``, ``shown`` or ``withheld``."""
    judged: bool = False
    """Facts or responsibility have been stated."""
    resolved: bool = False
    """A voucher was issued, a refund declined, or the customer content."""
    voucher_issued: bool = False

    def stage(self) -> int:
        """Return the number of stages passed, 0..4."""
        evidence = self.evidence in ("shown", "withheld")
        return self.clarified + (self.clarified and evidence) + self.judged + self.resolved


@lru_cache(maxsize=4096)
def detect_strategy(acts: frozenset[str], action: str) -> str:
    """Return the strategy that a message with these acts and this tool call follows."""
    if action == "transfer":
        return "transfer"
    if action == "voucher":
        return "offer_voucher"
    return next((strategy for act, strategy in _BY_ACT if act in acts), "chat")


def allows(strategy: str, progress: Progress, transfer: bool) -> bool:
    """Return whether the procedure admits ``strategy`` now.

    ``chat``, a message that does nothing, is never part of the procedure; ``empathise`` always is.
    """
    match strategy:
        case "empathise":
            return True
        case "open":
            return not progress.opened
        case "clarify":
            return progress.asked < 2 and not progress.judged
        case "request_evidence":
            return not progress.evidence and not progress.resolved
        case "explain":
            return progress.clarified or progress.asked > 0
        case "acknowledge_fault":
            return progress.clarified and progress.evidence != ""
        case "decline_refund":
            return progress.clarified or progress.judged
        case "offer_voucher":
            return progress.clarified and progress.evidence != "" and not progress.voucher_issued
        case "close":
            return progress.judged or progress.resolved
        case "transfer":
            return transfer and (progress.judged or progress.resolved)
        case _:
            return False
