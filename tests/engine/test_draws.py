"""Keyed draws: pure, distinct, and fair enough."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from td_gym.draws import choice, integer, mix, uniform, weighted

KEYS = st.lists(st.one_of(st.integers(0, 2**40), st.text(max_size=8)), max_size=4)


@given(st.integers(0, 2**130), KEYS)
def test_any_seed_and_keys_give_64_bits_and_the_same_again(seed: int, keys: list[int | str]) -> None:
    drawn = mix(seed, *keys)
    assert 0 <= drawn < 2**64
    assert drawn == mix(seed, *keys)


def test_streams_do_not_collide() -> None:
    drawn = {mix(seed, turn, what) for seed in range(60) for turn in range(10) for what in ("luck", "word", "")}
    assert len(drawn) == 60 * 10 * 3
    assert len({mix(0), mix(2**64), mix(2**65), mix(1)}) == 4


def test_uniform_is_uniform() -> None:
    drawn = [uniform(seed, "u") for seed in range(20_000)]
    assert min(drawn) >= 0
    assert max(drawn) < 1
    assert sum(drawn) / len(drawn) == pytest.approx(0.5, abs=0.01)
    tenths = Counter(int(10 * value) for value in drawn)
    assert all(abs(count - 2000) < 220 for count in tenths.values())


def test_choices_follow_their_weights() -> None:
    drawn = Counter(weighted("abc", (0.0, 1.0, 3.0), seed, "w") for seed in range(8000))
    assert drawn["a"] == 0
    assert drawn["c"] / drawn["b"] == pytest.approx(3.0, rel=0.12)
    assert {choice("xyz", seed) for seed in range(50)} == set("xyz")
    assert {integer(3, 6, seed) for seed in range(50)} == {3, 4, 5}
