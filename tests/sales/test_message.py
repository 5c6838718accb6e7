"""A message is read once and found to say what each reading by itself finds in it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from td_gym.judges.wellformed import wellformed
from td_gym.reading.numerals import numbers
from td_gym.reading.repetition import runs
from td_gym.reading.sentences import is_curt
from td_gym.scenarios.sales.acts import detect_acts
from td_gym.scenarios.sales.eligibility import eligibility
from td_gym.scenarios.sales.figures import TABLES, figures
from td_gym.scenarios.sales.message import read

SENTENCES = (
    "Hello, this is Mia of CrediLine.",
    "The interest is 1.2 percent a month, and the fee is $25.",
    "I’m afraid you don’t qualify today!",
    "You are eligible, and 6,000 over 12 months costs 572 a month.",
    "Rest assured that twelve hundred is fine",
    "- no fee\n- one point two percent",
    "fee 25 25.",
    "Shall I place the order?",
    "",
)


@given(st.lists(st.sampled_from(SENTENCES) | st.text(max_size=40), max_size=6), st.sampled_from([1, 30, 90]))
@example(["Hello there. "], 400)
@example([SENTENCES[1]], 90)
def test_a_reading_is_what_each_reader_reads(parts: list[str], times: int) -> None:
    text = " ".join(parts * times)
    message = read(text)
    assert message.acts == detect_acts(text)
    assert message.figures == figures(text)
    assert message.numbers == len(numbers(text))
    assert message.eligible == eligibility(text)
    assert message.runs == runs(text)
    assert message.wellformed == wellformed(text)
    assert message.is_curt == is_curt(text)


@pytest.mark.parametrize("phrase", [*TABLES["eligible"]["no"], *TABLES["eligible"]["yes"]])
def test_no_phrase_on_eligibility_is_passed_over(phrase: str) -> None:
    text = f"Well, {phrase}."
    assert read(text).eligible == eligibility(text) != ""


def test_stiffness_is_read_from_phrases_length_and_lists() -> None:
    assert read("You pay 268.50 a month, and you can repay early.").stiffness == 0.0
    assert read("Rest assured that it is fine.").stiffness == 0.35
    assert read("Rest assured. Yes, rest assured that it is fine.").stiffness == 0.35  # one phrase, said twice
    assert read("Your figures:\n- the rate\n- the fee").stiffness == 0.3
    assert read("and " * 120 + "so on.").stiffness == 0.4
    assert read("Fine. " * 700 + "Rest assured.").stiffness == 0.4  # nobody reads as far as that
