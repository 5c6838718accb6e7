from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personas.checks import PersonaError, check_keys, check_known, check_seed, check_shares


@given(st.integers(0, 2**130))
def test_any_non_negative_integer_is_a_seed(seed: int) -> None:
    assert check_seed(seed) == seed


def test_a_numpy_seed_becomes_an_int() -> None:
    assert type(check_seed(np.int64(7))) is int


@pytest.mark.parametrize("seed", [-1, np.int64(-3), 1.5, 0.0, "3", None])
def test_a_bad_seed_is_named(seed: object) -> None:
    with pytest.raises(PersonaError) as caught:
        check_seed(seed)  # type: ignore[arg-type]
    assert str(caught.value) == f"A seed must be a non-negative whole number, not {seed!r}."


def test_an_unknown_name_is_told_the_known_ones() -> None:
    assert check_known("colour", "red", ("red", "blue")) == "red"
    with pytest.raises(PersonaError, match=r"^Unknown colour 'green': use one of red, blue\.$"):
        check_known("colour", "green", ("red", "blue"))


@pytest.mark.parametrize("table", [{}, {"a": 1}, {"a": 1, "b": 2, "c": 3}])
def test_a_table_has_exactly_its_keys(table: dict[str, int]) -> None:
    check_keys("x.toml: [letters]", {"b": 1, "a": 2}, "ab")
    with pytest.raises(PersonaError, match=r"^x\.toml: \[letters\] must have exactly the keys a, b\.$"):
        check_keys("x.toml: [letters]", table, "ab")


@pytest.mark.parametrize("shares", [[], [0.5, 0.4], [0.5, 0.5, 0.0], [1.5, -0.5], [float("nan"), 0.5]])
def test_shares_are_positive_and_sum_to_one(shares: list[float]) -> None:
    check_shares("x.toml: [letters]", [0.1] * 10)
    with pytest.raises(PersonaError, match=r"^x\.toml: \[letters\] must have positive figures that sum to 1\.$"):
        check_shares("x.toml: [letters]", shares)
