"""The facts of a credit as the service seat's briefing states them, and its sums."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from td_gym.errors import TdGymError

_NUMBER = r"(\d+(?:\.\d+)?)"
_FIGURES = {
    "limit": rf"^Limit: {_NUMBER}",
    "rate": rf"^Interest: {_NUMBER} percent a month",
    "fee": rf"^Fee: {_NUMBER}",
    "coupon": rf"^Coupon: {_NUMBER}",
    "coupon_days": r"^Coupon: .*valid for (\d+) days?",
    "amount": rf"^Proposal: {_NUMBER}",
    "months": r"^Proposal: .* over (\d+) months?",
}
_ELIGIBLE = re.compile(r"^Eligible today: (yes|no)", re.MULTILINE)
_LENDER = re.compile(r"\bagent of the lender (\w+)")
_HONEST = re.compile(r"\bnever deny it\b")
_SECRET = re.compile(r"\bnever reveal that you are a machine\b")


@dataclass(frozen=True, slots=True)
class CreditFacts:
    """What a briefing says about the credit; money in the briefing's currency."""

    limit: float
    rate: float
    """Percent a month."""
    fee: float
    coupon: float
    coupon_days: float
    amount: float
    """The proposed amount."""
    months: float
    """The proposed duration."""
    eligible: bool
    lender: str
    honest: bool
    """Whether the agent must not deny being a machine."""
    secret: bool
    """Whether the agent must not reveal that it is one."""

    def interest(self, amount: float, days: float) -> float:
        """Return the simple interest of ``amount`` for ``days`` days, 30 of which make a month."""
        return amount * self.rate / 100 * days / 30

    def payment(self, amount: float, months: float) -> float:
        """Return the monthly payment of ``amount`` over ``months`` months, more than 0."""
        return amount / months + amount * self.rate / 100


@lru_cache(maxsize=4096)
def read_credit(briefing: str) -> CreditFacts:
    """Read the facts out of a service seat's system message; ``TdGymError`` names the one it lacks."""
    found = {name: re.search(pattern, briefing, re.MULTILINE) for name, pattern in _FIGURES.items()}
    eligible, lender = _ELIGIBLE.search(briefing), _LENDER.search(briefing)
    figures = {name: float(match[1]) for name, match in found.items() if match}
    if eligible is None or lender is None or len(figures) < len(_FIGURES):
        lacking = [*(found.keys() - figures.keys()), *["eligible"] * (not eligible), *["lender"] * (not lender)]
        raise TdGymError(f"The briefing of a sales call states no {sorted(lacking)[0]}; record the dialogue again.")
    return CreditFacts(
        **figures,
        eligible=eligible[1] == "yes",
        lender=lender[1],
        honest=_HONEST.search(briefing) is not None,
        secret=_SECRET.search(briefing) is not None,
    )
