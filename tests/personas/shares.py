"""Comparing shares of a sample with stated ones."""

from __future__ import annotations

from math import sqrt


def within_sampling_error(count: int, share: float, n: int, slack: float = 0.0) -> bool:
    """Five standard errors: with fixed seeds this holds or not for good, and chance is no reason to fail."""
    return abs(count / n - share) < slack + 5 * sqrt(share * (1 - share) / n)
