from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from personas.draws import choice, integer, mix, uniform, weighted

seeds = st.integers(0, 2**130)


@given(seeds, st.lists(st.one_of(st.text(), st.integers(-(2**70), 2**70)), max_size=3))
def test_draws_are_pure_and_in_range(seed: int, keys: list[int | str]) -> None:
    assert 0 <= mix(seed, *keys) == mix(seed, *keys) < 2**64
    assert 0 <= uniform(seed, *keys) < 1
    assert 3 <= integer(3, 9, seed, *keys) < 9
    assert choice("ab", seed, *keys) in "ab"
    assert weighted("abc", [0, 2, 0], seed, *keys) == "b"


def test_seeds_and_keys_all_count() -> None:
    wide = [0, 1, 2**64, 2**64 + 1, 2**128]
    values = {mix(seed, key, order) for seed in wide for key in ("a", "b", 0, 1) for order in (0, 1)}
    assert len(values) == len(wide) * 4 * 2
    assert mix(0, "a", "b") != mix(0, "b", "a")


def test_uniform_and_weighted_shares() -> None:
    n = 20_000
    deciles = Counter(int(uniform(seed, "share") * 10) for seed in range(n))
    assert all(abs(deciles[k] / n - 0.1) < 0.012 for k in range(10))
    letters = Counter(weighted("abc", [1, 2, 7], seed, "share") for seed in range(n))
    assert all(abs(letters[letter] / n - share) < 0.018 for letter, share in zip("abc", (0.1, 0.2, 0.7), strict=True))
