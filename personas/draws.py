"""Keyed random draws: every draw is a pure function of (seed, keys), never of a shared stream.

Two agents that act differently therefore meet the same customer, and the same history gets the
same reply.  ``mix`` and the functions on it make one draw: splitmix64 (Steele, Lea & Flood 2014)
passes BigCrush and costs about a microsecond in pure Python, where building a NumPy generator costs
twenty.  ``Stream`` makes several draws for one purpose at the price of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from typing import TypeVar

T = TypeVar("T")
_MASK = (1 << 64) - 1
_DIGEST = Struct(">16I")
"""The numbers of a digest that was turned around, the last first, so that they can be popped."""
_UNIT = 1.0 / (1 << 32)


@lru_cache(maxsize=65536)
def _key(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def mix(seed: int, *keys: int | str) -> int:
    """Return 64 well-mixed bits for ``seed`` (any non-negative integer) and ``keys``."""
    state = seed & _MASK
    high = seed >> 64
    while high > 0:  # seeds beyond 64 bits stay distinct; a negative one would never come to 0
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
    return options[_fall(uniform(seed, *keys) * sum(weights), weights)]


class Stream:
    """Draws for one purpose of one seed, in order: the same two always give the same sequence.

    Sixteen 32-bit numbers come out of one BLAKE2b digest, so that a draw costs a tenth of a keyed
    one.  Two purposes, or two seeds, have nothing in common.
    """

    __slots__ = ("_block", "_key", "_words")

    def __init__(self, seed: int, purpose: str) -> None:
        self._key = f"{seed}/{purpose}".encode("utf-8", "surrogatepass")
        self._block = 0
        self._words = [*_DIGEST.unpack(blake2b(self._key).digest()[::-1])]

    def uniform(self) -> float:
        """Return a float in [0, 1), a multiple of 2**-32."""
        if not self._words:
            self._block += 1
            salted = blake2b(self._key, salt=self._block.to_bytes(16, "little"))
            self._words += _DIGEST.unpack(salted.digest()[::-1])
        return self._words.pop() * _UNIT  # type: ignore[no-any-return]

    def integer(self, low: int, high: int) -> int:
        """Return an integer in [low, high), at most 2**32 apart."""
        return low + int(self.uniform() * (high - low))

    def choice(self, options: Sequence[T]) -> T:
        """Return one of ``options``, all equally likely."""
        return options[int(self.uniform() * len(options))]

    def weighted(self, options: Sequence[T], weights: Sequence[float]) -> T:
        """Return one of ``options`` with probability proportional to ``weights`` (non-negative)."""
        return options[_fall(self.uniform() * sum(weights), weights)]

    def weighted_key(self, weights: Mapping[T, float]) -> T:
        """Return one key of ``weights`` with probability proportional to its weight (non-negative)."""
        return self.weighted(list(weights), list(weights.values()))


def _fall(point: float, weights: Sequence[float]) -> int:
    """Return the index of the weight in which ``point`` falls when they lie end to end from 0."""
    for index, weight in enumerate(weights):
        point -= weight
        if point < 0:
            return index
    return len(weights) - 1
