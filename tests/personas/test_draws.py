from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from personas.draws import Stream, choice, integer, mix, uniform, weighted

seeds = st.integers(0, 2**130)


@given(seeds, st.lists(st.one_of(st.text(), st.integers(-(2**70), 2**70)), max_size=3))
def test_draws_are_pure_and_in_range(seed: int, keys: list[int | str]) -> None:
    assert 0 <= mix(seed, *keys) == mix(seed, *keys) < 2**64
    assert 0 <= uniform(seed, *keys) < 1
    assert 3 <= integer(3, 9, seed, *keys) < 9
    assert choice("ab", seed, *keys) in "ab"
    assert weighted("abc", [0, 2, 0], seed, *keys) == "b"


def test_draws_of_non_negative_seeds_stay_what_they_were_and_a_negative_one_comes_to_an_end() -> None:
    assert [mix(seed, "a", 1) for seed in (0, 7, 2**64 + 1, 2**200)] == [
        9962256937282428547,
        34737108737341314,
        3005424398770228355,
        11464462150397903437,
    ]
    assert mix(-1, "a") != mix(-2, "a")


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


@given(seeds, st.text(), st.integers(1, 40))
def test_a_stream_is_pure_and_in_range(seed: int, purpose: str, count: int) -> None:
    first, second = Stream(seed, purpose), Stream(seed, purpose)
    drawn = [first.uniform() for _ in range(count)]
    assert drawn == [second.uniform() for _ in range(count)]
    assert all(0 <= value < 1 for value in drawn)
    assert 3 <= first.integer(3, 9) < 9
    assert first.choice("ab") in "ab"
    assert first.weighted("abc", [0, 2, 0]) == "b"


def test_streams_of_other_seeds_and_purposes_have_nothing_in_common() -> None:
    wide = [0, 1, 2**64, 2**64 + 1]
    drawn = {Stream(seed, purpose).uniform() for seed in wide for purpose in ("a", "b", "a/1")}
    assert len(drawn) == len(wide) * 3
    long = Stream(0, "a")
    assert len({long.uniform() for _ in range(200)}) == 200, "the second block is not the first again"


def test_shares_of_a_stream() -> None:
    n = 20_000
    draws = Stream(7, "share")
    deciles = Counter(int(draws.uniform() * 10) for _ in range(n))
    assert all(abs(deciles[k] / n - 0.1) < 0.012 for k in range(10))
    across = Counter(Stream(seed, "share").weighted("abc", [1, 2, 7]) for seed in range(n))
    by_key = Counter(Stream(seed, "share").weighted_key({"a": 1, "b": 2, "c": 7}) for seed in range(n))
    assert by_key == across
    assert all(abs(across[letter] / n - share) < 0.018 for letter, share in zip("abc", (0.1, 0.2, 0.7), strict=True))
