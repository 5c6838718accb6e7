"""The facts of an order as the service seat's briefing states them; what grounding is checked against."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_ITEM = re.compile(r"^\s*[-*]?\s*(\d+) x ([^,;\n]+?)(?:[,:]?\s+(\d+(?:\.\d+)?)\s*(?:SAR\s*)?each)?\s*$", re.MULTILINE)
_TOTAL = re.compile(r"\btotal:?\s*(\d+(?:\.\d+)?)", re.IGNORECASE)
_CLOCK = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)\b")
_LATE = re.compile(r"\b(\d+) minutes? late", re.IGNORECASE)
_RESTAURANT = re.compile(r"^Restaurant:\s*(.+)$", re.MULTILINE)
_REPORTS = re.compile(r"^Abnormality reports:\s*(.+)$", re.MULTILINE | re.IGNORECASE)
_CASE = re.compile(r"^CASE\n(.+)$", re.MULTILINE)
_VISIBLE = re.compile(
    r"missing|wrong|spill|leak|damag|crush|foreign|hair|insect|raw|undercook|burn|broken|portion", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One line of an order; ``price`` of one piece in SAR, ``None`` where the briefing gives none."""

    quantity: int
    name: str
    price: float | None


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What a briefing says about the order."""

    lines: tuple[OrderLine, ...]
    total: float | None
    clocks: tuple[int, ...]
    """Times of day it names, in minutes after midnight."""
    late: int | None
    """Minutes late, ``None`` where not stated."""
    restaurant: str
    reports: str
    """Abnormality reports, in words."""
    issue: str
    """The kind of complaint."""

    @property
    def amounts(self) -> frozenset[float]:
        """Sums of money that are right to name: prices, lines, the total, and halves of prices."""
        found = {line.price * factor for line in self.lines if line.price for factor in (0.5, 1, line.quantity)}
        return frozenset(round(value, 2) for value in found | ({self.total} if self.total else set()))

    @property
    def largest_voucher(self) -> float | None:
        """A sensible voucher is at most the price of the dearest piece; ``None`` where prices are unknown."""
        return max((line.price for line in self.lines if line.price), default=None)

    @property
    def durations(self) -> frozenset[int]:
        """Minutes that are right to name: the delay, and the time between any two times of day named."""
        spans = {abs(a - b) for a in self.clocks for b in self.clocks}
        return frozenset(spans | ({self.late} if self.late is not None else set()))

    @property
    def visible(self) -> bool:
        """Whether a photo can show this kind of complaint."""
        return bool(_VISIBLE.search(self.issue))

    def reported(self, party: str) -> bool:
        """Whether an abnormality report names ``party`` (``courier`` or ``restaurant``)."""
        return party in self.reports.lower()


@lru_cache(maxsize=4096)
def read_briefing(briefing: str) -> OrderFacts:
    """Read the order facts out of a service seat's system message; absent facts stay empty."""
    order = briefing[max(briefing.find("\nORDER"), 0) :]
    lines = tuple(
        OrderLine(int(count), name.strip(), float(price) if price else None)
        for count, name, price in _ITEM.findall(order)
    )
    total, late = _TOTAL.search(order), _LATE.search(order)
    return OrderFacts(
        lines=lines,
        total=float(total[1]) if total else None,
        clocks=tuple(60 * int(hours) + int(minutes) for hours, minutes in _CLOCK.findall(order)),
        late=int(late[1]) if late else None,
        restaurant=_first(_RESTAURANT, order),
        reports=_first(_REPORTS, order),
        issue=_first(_CASE, order).partition(";")[0],
    )


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1].strip() if match else ""
