"""Which texts answer a scaffold task."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from td_gym.judges.answers import is_right
from td_gym.scenario import ScaffoldTask

COST = "What interest does the proposed amount cost for 30 days?"
ELIGIBLE = "Is the customer eligible?"


def right(answer: str, text: str, question: str = COST) -> bool:
    return is_right(ScaffoldTask("pnr", "name", question, answer), text)


@pytest.mark.parametrize(
    "text",
    ["1200.50", "It costs 1,200.50.", "For 30 days it is $1200.5", "1.200,50 EUR", "1 200,50", "1200.500"],
)
def test_a_number_may_be_written_in_any_usual_way(text: str) -> None:
    assert right("1200.50", text)


@pytest.mark.parametrize("text", ["", "1200.51", "120.05", "12 or 1200.50", "-1200.50", "1200.50 " + "indeed " * 30])
def test_other_numbers_and_long_texts_are_wrong(text: str) -> None:
    assert not right("1200.50", text)


def test_number_words_and_other_readings() -> None:
    assert right("25.00", "Twenty five dollars.")
    assert right("1200.00", "It is 1.200 dollars.")
    assert right("30.00", "For 30 days that is 30.00.")
    assert not right("0.00", "For 30 days.")


@pytest.mark.parametrize(
    ("text", "good"), [("0412", True), ("They are 0-4-1-2.", True), ("412", False), ("0412 or 0413", False)]
)
def test_digits_with_a_zero_ahead_are_a_code(text: str, good: bool) -> None:
    assert right("0412", text) == good


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Yes.", "yes"),
        ("You are eligible today.", "yes"),
        ("No, sorry.", "no"),
        ("You aren't eligible.", "no"),
        ("The customer wasn’t eligible.", "no"),
        ("They can't be eligible.", "no"),
        ("Don is eligible.", "yes"),
        ("Yes and no.", ""),
        ("Hello there.", ""),
    ],
)
def test_yes_and_no_exclude_each_other(text: str, says: str) -> None:
    assert [answer for answer in ("yes", "no") if right(answer, text, ELIGIBLE)] == [says] * bool(says)


def test_names_count_but_for_case_and_punctuation() -> None:
    assert right("Cambridge Punter", "It is the cambridge punter!", "Which one?")
    assert not right("Cambridge Punter", "It is in Cambridge.", "Which one?")
    assert not right("rice", "The price.", "Which one?")


@given(st.text(), st.sampled_from(("yes", "no", "12.50", "0412", "Kitchen One")))
def test_any_text_is_judged(text: str, answer: str) -> None:
    assert isinstance(right(answer, text), bool)


@given(st.integers(0, 10**6))
def test_the_answer_itself_is_right(cents: int) -> None:
    assert right(f"{cents / 100:.2f}", f"It is {cents / 100:,.2f}.")
