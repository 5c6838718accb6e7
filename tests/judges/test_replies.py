"""The judges of a single reply, worked by hand."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from td_gym.errors import TdGymError
from td_gym.judges import replies
from td_gym.judges.replies import (
    Reply,
    contextual_reasoning,
    demand_coverage,
    judge,
    naturalness,
    rouge_l,
    semantic_fidelity,
)

GOOD = Reply(
    text="The fee is 25.00, and you pay it once.",
    heard="And how high is the fee?",
    said=("Hello, this is Sam of CrediLine.",),
    known=frozenset((25.0, 1.2)),
    admissible=True,
    score=0.5,
    relevance=3,
)


def test_a_reply_by_hand() -> None:
    assert judge(GOOD) == {
        "naturalness": 1.0,
        "contextual_reasoning": 0.75,
        "semantic_fidelity": 1.0,
        "demand_coverage": 1.0,
        "low_redundancy": 1.0,
        "no_repetition": 1.0,
    }


def test_nothing_to_read_earns_nothing() -> None:
    assert set(judge(GOOD._replace(text="")).values()) == {0.0}


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("We can lend you the money. It costs little.", 1.0),
        ("We can lend you the money. it costs little", 0.5),  # the second has the form of no sentence
        ("Fee is low. Rate is low.", 0.5),  # a telegram
        ("It costs you little. " * 4, 0.5),  # a speech
        ("Well, " + "very " * 60 + "much.", 0.0),
        ("", 0.0),
    ],
)
def test_naturalness(text: str, worth: float) -> None:
    assert naturalness(text) == worth


@pytest.mark.parametrize(
    ("admissible", "score", "relevance", "worth"),
    [
        (True, 1.0, 3, 1.0),
        (True, 0.5, 0, 0.25),
        (False, 1.0, 3, 0.5),
        (True, 1.0, 1, 0.5 + 0.5 / 3),
        (False, 0.0, 0, 0),
    ],
)
def test_contextual_reasoning(admissible: bool, score: float, relevance: int, worth: float) -> None:
    assert contextual_reasoning(admissible, score, relevance) == pytest.approx(worth)


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("It is yours.", 1.0),
        ("The fee is 25.", 1.0),
        ("The fee is twenty five dollars and the rate 1.2 percent.", 1.0),
        ("The fee is 25 and the rate 1.3 percent.", 0.5),
        ("It costs 26.", 0.0),
    ],
)
def test_semantic_fidelity(text: str, worth: float) -> None:
    assert semantic_fidelity(text, (25.0, 1.2)) == worth


@pytest.mark.parametrize(
    ("text", "heard", "worth"),
    [
        ("We lend money.", "I see.", 1.0),  # demands nothing
        ("The coupon is valid for a week.", "Is there a coupon? Could you explain the interest?", 0.5),
        ("Interests are simple, and coupons there are.", "Is there a coupon? Could you explain the interest?", 1.0),
        ("It is 25.", "How high is the fee?", 1.0),  # a number was asked for
        ("It is 25.", "Is there a coupon?", 0.0),
        ("Good day.", "I want my money back.", 0.0),
        ("There is no refund.", "I want my money back.", 1.0),
        ("This is Sam.", "Who are you?", 1.0),  # only common words
        ("", "Who are you?", 0.0),
    ],
)
def test_demand_coverage(text: str, heard: str, worth: float) -> None:
    assert demand_coverage(text, heard) == worth


def test_redundancy_looks_five_turns_back_and_repetition_into_the_reply() -> None:
    other = [f"This is message number {n}." for n in ("one", "two", "three", "four", "five")]
    again = GOOD._replace(said=(GOOD.text, *other[:4]))
    assert judge(again)["low_redundancy"] == 0.0
    assert judge(again)["no_repetition"] == 1.0
    assert judge(again._replace(said=(GOOD.text, *other)))["low_redundancy"] == 1.0
    twice = GOOD._replace(text="Please take the offer. Please take the offer.")
    assert judge(twice)["no_repetition"] == 0.5


def test_rouge_by_hand() -> None:
    # The longest common subsequence is "the fee is": precision 3/4, recall 3/5.
    assert rouge_l("the fee is low", "the fee is twenty dollars") == pytest.approx(2 * 0.75 * 0.6 / 1.35)
    assert rouge_l("", "the fee") == 0.0


def test_rouge_names_the_package_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    replies._rouge.cache_clear()
    with pytest.raises(TdGymError, match="ROUGE needs rouge-score"):
        rouge_l("a", "b")
    replies._rouge.cache_clear()


@given(st.builds(Reply, known=st.frozensets(st.floats(-10, 10)), score=st.floats(0, 1), relevance=st.integers(0, 3)))
def test_every_reward_is_a_share(reply: Reply) -> None:
    assert all(0.0 <= value <= 1.0 for value in judge(reply).values())
