"""Keyed random draws: every draw is a pure function of (seed, keys), never of a shared stream.

Two agents that act differently therefore meet the same customer, and the same history gets the
same reply.  The mixer is splitmix64 (Steele, Lea & Flood 2014), which passes BigCrush and costs
about a microsecond in pure Python, where building a NumPy generator costs twenty.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")
_MASK = (1 << 64) - 1


@lru_cache(maxsize=65536)
def _key(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def mix(seed: int, *keys: int | str) -> int:
    """Return 64 well-mixed bits for ``seed`` (any non-negative integer) and ``keys``."""
    state = seed & _MASK
    high = seed >> 64
    while high:  # seeds beyond 64 bits stay distinct
        state = _splitmix(state) ^ (high & _MASK)
        high >>= 64
    for key in keys:  # splitmix, written out: this loop is a tenth of an environment's time
        x = state ^ (_key(key) if isinstance(key, str) else (key * 0x2545F4914F6CDD1D) & _MASK)
        x = (x + 0x9E3779B97F4A7C15) & _MASK
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
        state = x ^ (x >> 31)
    x = (state + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def _splitmix(x: int) -> int:
    x = (x + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def uniform(seed: int, *keys: int | str) -> float:
    """Return a float in [0, 1)."""
    return (mix(seed, *keys) >> 11) * (1.0 / (1 << 53))


def integer(low: int, high: int, seed: int, *keys: int | str) -> int:
    """Return an integer in [low, high)."""
    return low + int(uniform(seed, *keys) * (high - low))


def choice(options: Sequence[T], seed: int, *keys: int | str) -> T:
    """Return one of ``options``, all equally likely."""
    return options[int(uniform(seed, *keys) * len(options))]


def weighted(options: Sequence[T], weights: Sequence[float], seed: int, *keys: int | str) -> T:
    """Return one of ``options`` with probability proportional to ``weights`` (non-negative)."""
    point = uniform(seed, *keys) * sum(weights)
    for option, weight in zip(options, weights, strict=True):
        point -= weight
        if point < 0:
            return option
    return options[-1]
